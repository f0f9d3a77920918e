package wire

import "fmt"

// A Version is a version of the contract. It is set when a connection is made
// and holds as long as it lasts.
type Version int

// The versions.
const (
	V0 Version = iota // deprecated, served
	V1
)

// ParseVersion reads the query parameter api-version and reports whether it is
// one. Without the parameter it is v0 (the contract, section 1).
func ParseVersion(s string) (v Version, ok bool) {
	switch s {
	case "", "v0":
		return V0, true
	case "v1":
		return V1, true
	}
	return 0, false
}

// String writes the version as api-version does.
func (v Version) String() string {
	switch v {
	case V0:
		return "v0"
	case V1:
		return "v1"
	}
	return fmt.Sprintf("Version(%d)", int(v))
}

// terminalMember is the name of the member that names a terminal.
func (v Version) terminalMember() string {
	if v == V0 {
		return "tpi"
	}
	return "tid"
}
