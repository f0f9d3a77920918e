package rest

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/wire/rest"
)

// maxBody is how much a body may hold, in bytes.
const maxBody = 256 << 10

// readBody reads the body of an endpoint that has one; of all others it is left
// alone (the contract of REST, section 1.5).
func (q *request) readBody() *refusal {
	if !q.route.body {
		return nil
	}
	if q.r.ContentLength > maxBody {
		return q.refusal(spec.RESTBodyTooLarge)
	}
	var err error
	if q.body, err = io.ReadAll(http.MaxBytesReader(q.w, q.r.Body, maxBody)); err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			return q.refusal(spec.RESTBodyTooLarge)
		}
		q.body = nil // it broke off, or took too long, and nobody may be there to hear it
	}
	return nil
}

// badBody says what is wrong with a body.
func (q *request) badBody(f *rest.Fault) *refusal {
	return q.refusal(spec.RESTBadBody, "fault", f.Text)
}

// patient has the connection outlive its time limits, which are for requests: the
// answer to this one takes as long as it takes.
func (q *request) patient() {
	c := http.NewResponseController(q.w)
	_ = c.SetReadDeadline(time.Time{}) // what has no such limit needs none lifted
}

// tolerated says for the record what a body has beyond the contract.
func tolerated(devs []rest.Deviation) []string {
	var out []string
	for _, d := range devs {
		out = append(out, d.Text)
	}
	return out
}
