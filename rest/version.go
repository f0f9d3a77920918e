package rest

import (
	"mime"
	"strconv"
	"strings"

	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/wire/rest"
)

// negotiate chooses the version (the contract of REST, section 1.3): of those
// that the header Accept names the one that it likes best, then the newest. It
// refuses only a request that names unknown versions and nothing else.
func (q *request) negotiate(path []string) *refusal {
	liked := -1.0
	unknown, other := false, false
	for _, header := range q.r.Header.Values("Accept") {
		for _, one := range strings.Split(header, ",") {
			name, params, err := mime.ParseMediaType(strings.TrimSpace(one))
			if err != nil && name == "" {
				continue
			}
			v, known, is := versionOf(name)
			switch {
			case !is:
				other = other || strings.HasSuffix(name, "json") || strings.HasSuffix(name, "/*")
			case !known:
				unknown = true
			default:
				if like := quality(params["q"]); like > liked || like == liked && v > q.version {
					if like > 0 {
						liked, q.version, q.named = like, v, true
					}
				}
			}
		}
	}
	switch {
	case q.named:
		return nil
	case unknown && !other:
		q.version = rest.V2 // whose shape the refusal has
		return q.refusal(spec.RESTUnknownVersion)
	}
	q.version = rest.V1
	if len(path) > 0 && strings.EqualFold(path[0], "retail") {
		q.version = rest.V0
	}
	if len(path) > 0 && strings.EqualFold(path[len(path)-1], "events") {
		q.version = rest.V2
	}
	return nil
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

// quality reads how much a media type is liked: 1 where that is not said.
func quality(q string) float64 {
	if q == "" {
		return 1
	}
	f, err := strconv.ParseFloat(q, 64)
	if err != nil || f < 0 || f > 1 {
		return 1
	}
	return f
}
