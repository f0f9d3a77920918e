package rest

import (
	"strconv"
	"strings"

	"github.com/tillwire/tillwire/wire/rest"
)

// negotiate chooses the version (the contract of REST, section 1.3): of those
// that the header Accept names the one that it likes best, then the newest. It
// reports false only of a request that names unknown versions and nothing else.
func (q *request) negotiate(path []string) bool {
	q.version = defaultVersion(path)
	liked := 0.0
	unknown, other := false, false
	for _, header := range q.r.Header.Values("Accept") {
		for _, one := range strings.Split(header, ",") {
			name, params, _ := strings.Cut(strings.ToLower(one), ";")
			name = strings.TrimSpace(name)
			v, known, is := versionOf(name)
			switch like := quality(params); {
			case !is:
				other = other || strings.HasSuffix(name, "json") || strings.HasSuffix(name, "*")
			case !known:
				unknown = true
			case like > liked, like == liked && like > 0 && v > q.version:
				liked, q.version, q.named = like, v, true
			}
		}
	}
	return q.named || !unknown || other
}

// defaultVersion is the version of a path where none is named.
func defaultVersion(path []string) rest.Version {
	switch {
	case isStream(path):
		return rest.V2
	case len(path) > 0 && strings.EqualFold(path[0], "retail"):
		return rest.V0
	}
	return rest.V1
}

// versionOf reads the name of a media type: whether it is one of the interface's,
// and of which version.
func versionOf(name string) (v rest.Version, known, is bool) {
	number, is := strings.CutPrefix(name, "application/connect.v")
	if !is {
		return 0, false, false
	}
	if number, is = strings.CutSuffix(number, "+json"); !is {
		return 0, false, false
	}
	for _, v := range rest.Versions() {
		if v.String() == "v"+number {
			return v, true, true
		}
	}
	return 0, false, true
}

// quality reads how much a media type is liked from its parameters: 1 where they
// do not say.
func quality(params string) float64 {
	for _, p := range strings.Split(params, ";") {
		name, value, _ := strings.Cut(p, "=")
		if strings.TrimSpace(name) != "q" {
			continue
		}
		if f, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil && f >= 0 && f <= 1 {
			return f
		}
	}
	return 1
}
