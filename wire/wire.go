// Package wire is the Go form of each message between a till and the gateway
// over a WebSocket: it encodes and decodes them, one file a message, and does
// nothing else. It knows how a member is spelt, of what type it is and within
// what limits; it holds no rule of the business, never looks at a terminal or a
// site, and never converts to the types of the machines: package gateway does.
//
// What a till sends is judged by the Decode functions that return a [Fault].
// They decide exactly as the published schemas do, but for two things. Members
// that the contract does not know are tolerated and listed as [Deviation]s,
// which a site in strict mode turns into faults; and the sum of an amount and
// its cashback is bounded, which a schema cannot say. What the gateway sends is
// written by [Encode] and read, on a till's side, by the Decode functions that
// return an error; those take whatever they can make sense of.
//
// The two versions differ in little (the contract, section 11), and structs hold
// both: Encode writes the form of the version asked for.
package wire

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A TerminalID names the terminal that an object is about, in TID. The other
// two are the member's two names on the wire; they are set only while a message
// is encoded or decoded.
type TerminalID struct {
	TID  string  `json:"-"`
	InV1 *string `json:"tid,omitzero"`
	InV0 *string `json:"tpi,omitzero"`
}

// in gives the form of version v. An empty name is written, too.
func (t TerminalID) in(v Version) TerminalID {
	if v == V0 {
		return TerminalID{InV0: &t.TID}
	}
	return TerminalID{InV1: &t.TID}
}

// fold takes the name from whichever member was decoded.
func (t *TerminalID) fold() {
	switch {
	case t.InV1 != nil:
		t.TID = *t.InV1
	case t.InV0 != nil:
		t.TID = *t.InV0
	}
	t.InV1, t.InV0 = nil, nil
}

// A folding is a message of type T with a TerminalID in it.
type folding[T any] interface {
	*T
	fold()
}

// Raw is JSON as it stands on the wire, for rooms that carry it without looking
// into it.
type Raw = jsontext.Value

// A Message is the params or the result of a message that can be encoded. The
// set is closed.
type Message interface {
	// in gives what is to be marshalled in version v.
	in(v Version) any
}

// Encode writes the params or the result of a message in the form of version v.
// The bytes depend on nothing but m and v: members stand in the order of the
// contract, the names of totals are sorted.
//
// It cannot fail, for what it writes may be the only word on a payment: bytes
// of a terminal that are no UTF-8 become U+FFFD.
func Encode(v Version, m Message) jsontext.Value {
	if q, ok := m.(quick); ok {
		return q.encode(v)
	}
	data, err := json.Marshal(m.in(v), json.Deterministic(true),
		jsontext.AllowInvalidUTF8(true),
		jsontext.AllowDuplicateNames(true), // two names of totals may become one by U+FFFD
	)
	if err != nil {
		panic(fmt.Sprintf("wire: %T cannot be encoded: %v", m, err))
	}
	return data
}

// decode reads into out what the gateway sent. Its error names the place and
// repeats no value.
func decode(what string, kind jsontext.Kind, data jsontext.Value, out any) error {
	if data.Kind() != kind {
		return fmt.Errorf("wire: %s cannot be read: it is no %s", what, nounOf(kind))
	}
	err := json.Unmarshal(data, out)
	if err == nil {
		return nil
	}
	if at, ok := errors.AsType[*json.SemanticError](err); ok {
		return fmt.Errorf("wire: %s cannot be read: unexpected value at %q", what, at.JSONPointer)
	}
	return fmt.Errorf("wire: %s cannot be read: it is not JSON", what)
}

// decodeObject is decode for an object that names its terminal.
func decodeObject[T any, P folding[T]](what string, data jsontext.Value) (T, error) {
	var out T
	err := decode(what, jsontext.KindBeginObject, data, &out)
	P(&out).fold()
	return out, err
}

func nounOf(k jsontext.Kind) string {
	if k == jsontext.KindBeginArray {
		return "array"
	}
	return "object"
}
