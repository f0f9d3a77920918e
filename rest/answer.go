package rest

import (
	"net/http"
	"strconv"

	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/wire/rest"
)

// A refusal is an answer that is none of success.
type refusal struct {
	status   int
	text     string // in the words of the version
	location string // of a table
}

// retryAfter is when to come back to a gateway that takes nothing new, in seconds.
const retryAfter = "5"

// refusal makes the refusal of that name.
func (q *request) refusal(name string, namesAndValues ...string) *refusal {
	e := q.h.texts.errors[name]
	return &refusal{status: e.Status, text: e.Text(q.version.String(), namesAndValues...)}
}

// refuse writes a refusal.
func (q *request) refuse(bad *refusal) {
	switch bad.status {
	case http.StatusUnauthorized:
		q.w.Header().Set("WWW-Authenticate", `Basic realm="connect"`)
	case http.StatusServiceUnavailable:
		q.w.Header().Set("Retry-After", retryAfter)
	}
	q.answer(bad.status, rest.Error{Text: bad.text, Location: bad.location})
}

// answer writes an answer with a body, or with none.
func (q *request) answer(status int, body rest.Body) {
	q.answered = true
	header := q.w.Header()
	header.Set("Cache-Control", "no-store")
	if body == nil {
		if status != http.StatusNoContent { // which must not have it, and which alone tills know to be empty without
			header.Set("Content-Length", "0")
		}
		q.w.WriteHeader(status)
		return
	}
	data := body.Append(make([]byte, 0, 512), q.version)
	kind := "application/json; charset=utf-8"
	if q.named || status == http.StatusNotAcceptable {
		kind = q.version.MediaType() + "; charset=utf-8"
	}
	header.Set("Content-Type", kind)
	header.Set("Content-Length", strconv.Itoa(len(data)))
	q.w.WriteHeader(status)
	_, _ = q.w.Write(data) // whoever has gone asks again
}

// texts are those of the contract, by name.
type texts struct{ errors map[string]spec.RESTError }

func newTexts(c spec.REST) texts {
	t := texts{errors: map[string]spec.RESTError{}}
	for _, e := range c.Errors() {
		t.errors[e.Name] = e
	}
	return t
}
