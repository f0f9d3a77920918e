// Package rest is the Go form of each body of the REST interface: it encodes
// and decodes them, one file a body, and does nothing else. It knows how a field
// is spelt, of what type it is and within what limits, in each version; it holds
// no rule of the business, never looks at a terminal, a site or a table, never
// reads a header, and never converts to the types of the machines: package rest
// at the root does.
//
// What a till sends is judged by the functions that return a [Fault]. They take
// more than the published descriptions say, as tills in the field write more
// (the contract of REST, section 1.5): integers as 1234.0 or "1234", booleans as
// "true" or "false", null for a field that is not there, and fields that nobody
// knows. All but null is listed as [Deviation]s. What the gateway sends is a
// [Body], which writes itself without reflection, for a thousand tills may ask
// for it once a second. A till reads it by the Read functions, which take
// whatever they can make sense of.
package rest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/wire"
)

// A Version is a version of the interface. Each request names its own.
type Version int

// The versions.
const (
	V0 Version = iota
	V1
	V2
)

// Versions lists the versions, the oldest first.
func Versions() []Version { return []Version{V0, V1, V2} }

// String writes the version as spec does.
func (v Version) String() string {
	switch v {
	case V0:
		return spec.V0
	case V1:
		return spec.V1
	case V2:
		return spec.V2
	}
	return fmt.Sprintf("Version(%d)", int(v))
}

// MediaType is what a request asks for the version by, without parameters.
func (v Version) MediaType() string { return "application/connect." + v.String() + "+json" }

// terminalMember is the name of the member that names a terminal.
func (v Version) terminalMember() string {
	if v == V2 {
		return "tid"
	}
	return "tpi"
}

// A Body is what an answer carries.
type Body interface {
	// Append writes the body in the form of a version behind dst and returns
	// both. It cannot fail, for it may be the only word on a payment: bytes of
	// a terminal that are no UTF-8 become U+FFFD.
	Append(dst []byte, v Version) []byte
}

var (
	_ Body = Terminal{}
	_ Body = Terminals{}
	_ Body = Begun{}
	_ Body = (*Transaction)(nil)
	_ Body = (*Report)(nil)
	_ Body = (*PATReport)(nil)
	_ Body = PATReports{}
	_ Body = (*Table)(nil)
	_ Body = Tables{}
	_ Body = TableCreated{}
	_ Body = Error{}
	_ Body = Status{}
	_ Body = NotificationEvent{}
	_ Body = SignatureEvent{}
	_ Body = LateEvent{}
)

// How times are written. A time without a zone is the site's.
const (
	localLayout  = wire.TimeLayout
	offsetLayout = "2006-01-02T15:04:05-07:00"
)

// appendTime writes a time in the zone that it has, as text, empty for the zero
// time.
func appendTime(b []byte, t time.Time, layout string) []byte {
	if t.IsZero() {
		return append(b, `""`...)
	}
	b = append(b, '"')
	b = t.AppendFormat(b, layout)
	return append(b, '"')
}

// layout is how the version writes the time of a transaction or a report.
func (v Version) layout() string {
	if v == V0 {
		return offsetLayout
	}
	return localLayout
}

// parseTime reads what appendTime wrote in either layout. It gives the zero time
// for anything else. A time without a zone is read as one of UTC.
func parseTime(s string) time.Time {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t
	}
	t, _ := time.Parse(localLayout, s)
	return t
}

func appendLines(b []byte, lines []receipt.Line) []byte {
	return wire.AppendList(b, lines, func(b []byte, l receipt.Line) []byte {
		b = wire.AppendText(append(b, `{"type":`...), l.Type)
		b = wire.AppendList(append(b, `,"format":`...), l.Format, wire.AppendText[receipt.Format])
		b = wire.AppendText(append(b, `,"value":`...), l.Value)
		return append(b, '}')
	})
}

func appendTexts(b []byte, list []string) []byte {
	return wire.AppendList(b, list, wire.AppendText[string])
}

func appendBool(b []byte, set bool) []byte {
	if set {
		return append(b, "true"...)
	}
	return append(b, "false"...)
}

// read decodes what a gateway sent into out. Its error names the place and
// repeats no value.
func read(what string, body []byte, out any) error {
	err := json.Unmarshal(body, out)
	if err == nil {
		return nil
	}
	if at, ok := errors.AsType[*json.SemanticError](err); ok {
		return fmt.Errorf("rest: %s cannot be read: unexpected value at %q", what, at.JSONPointer)
	}
	return fmt.Errorf("rest: %s cannot be read: it is not JSON", what)
}

// anyOf writes a choice for people: "GBP or EUR".
func anyOf(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// spelt converts a list of one string type to another.
func spelt[To, From ~string](from []From) []To {
	to := make([]To, len(from))
	for i, s := range from {
		to[i] = To(s)
	}
	return to
}
