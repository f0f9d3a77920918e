// Package jsonrpc holds the envelopes of JSON-RPC 2.0 as the contract has
// them (section 2): decoding with a fault that names the place, encoding in
// the order of the contract's examples, and a [Peer] that makes and serves
// calls in both directions over any channel of messages.
//
// # Ids
//
// An [ID] is an integer from 0 to 999999, nothing else. Each side numbers its
// own requests, so an id says nothing without the connection and the
// direction. What could not be read as an id, or bears none, has [NoID].
//
// # Faults
//
// [Decode] never guesses. What is not a request, a notification or a response
// comes back as a [Fault]: the code, a message for a developer, the JSON
// pointer and the rule. The fault bears an id only where answering under it is
// safe.
//
// # What it never does
//
// It knows no method, no parameter and none of the contract's own error codes.
// It never accepts a batch, and never sends null for an id it does not have.
package jsonrpc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// The codes of JSON-RPC 2.0 itself.
const (
	ParseError     = -32700
	InvalidRequest = -32600
	MethodNotFound = -32601
	InvalidParams  = -32602
	InternalError  = -32603
)

// An ID is a request's number, from 0 to MaxID.
type ID int32

const (
	NoID  ID = -1 // where there is none
	MaxID ID = 999999
)

// MaxUnknown bounds how many unknown members of one object are listed.
const MaxUnknown = 32

// A Kind is what an envelope is.
type Kind uint8

// The kinds of messages.
const (
	Invalid       Kind = iota // none: there was a fault
	Request                   // wants an answer
	Notification              // a request without an id: wants none
	Response                  // bears a result
	ErrorResponse             // bears an error; without an id it answers no request
)

// A Message is one decoded envelope. Params, Result and Error.Data share the
// memory of the decoded bytes.
type Message struct {
	Kind   Kind
	ID     ID // NoID if there is none
	Method string
	Params jsontext.Value // an object, or nil if absent
	Result jsontext.Value // any JSON value
	Error  *Error
	// Unknown are JSON pointers of members that the contract does not have,
	// in the envelope and in its error, the first MaxUnknown of each. Whether
	// they are tolerated is the caller's business.
	Unknown []string
}

// A Fault is why bytes are not a message.
type Fault struct {
	Code    int
	Message string // for a developer: the code's name, the place, the rule
	Pointer string // JSON pointer of the place; empty for the whole
	Rule    string // what must be so there
	// ID is the id to answer with: the message's own, if it was read and is
	// a valid one; else NoID.
	ID ID
	// Answer says that the faulty message was an answer, not a request: it
	// has a result or an error and no method.
	Answer bool
}

func (f *Fault) Error() string { return f.Message }

// Reply is the fault as the error to answer with.
func (f *Fault) Reply() *Error { return &Error{Code: f.Code, Message: f.Message} }

// An Error is the error member of a response. It is a Go error, and errors.Is
// compares it by code alone.
type Error struct {
	Code        int            `json:"code"`
	Message     string         `json:"message"`              // for a developer
	UserMessage string         `json:"userMessage,omitzero"` // for staff
	Data        jsontext.Value `json:"data,omitzero"`
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s (%d)", e.Message, e.Code)
	if e.UserMessage != "" {
		s += ": " + e.UserMessage
	}
	return s
}

// Is says whether target is an *Error of the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Decode reads one envelope. The checks come in the contract's order: JSON at
// all, then one object with names used once, then the id, then the rest of the
// envelope, then params. The fault is nil if and only if the message's Kind is
// not Invalid; otherwise the message holds what could be read.
func Decode(data []byte) (Message, *Fault) {
	e, fault := split(data)
	m := Message{ID: NoID, Unknown: e.unknown}
	if fault != nil {
		return m, fault
	}
	bad := func(code int, pointer, rule string) (Message, *Fault) {
		f := faultAt(code, pointer, rule)
		f.ID = m.ID
		f.Answer = e.method == nil && (e.result != nil || e.err != nil)
		return m, f
	}
	if e.id != nil {
		id, ok := integer(e.id)
		if !ok || id < 0 || id > int64(MaxID) {
			return bad(InvalidRequest, "/id", "must be an integer from 0 to 999999")
		}
		m.ID = ID(id)
	}
	var isString bool
	m.Method, isString = text(e.method)
	if version, ok := text(e.version); !ok || version != "2.0" {
		return bad(InvalidRequest, "/jsonrpc", `must be "2.0"`)
	}
	if e.method != nil {
		switch {
		case !isString:
			return bad(InvalidRequest, "/method", "must be a string")
		case e.result != nil:
			return bad(InvalidRequest, "/result", "does not belong in a request")
		case e.err != nil:
			return bad(InvalidRequest, "/error", "does not belong in a request")
		case e.params != nil && e.params.Kind() != '{':
			return bad(InvalidParams, "/params", "must be an object")
		}
		m.Params = e.params
		m.Kind = Request
		if e.id == nil {
			m.Kind = Notification
		}
		return m, nil
	}
	switch {
	case e.result == nil && e.err == nil:
		return bad(InvalidRequest, "/method", "is required")
	case e.result != nil && e.err != nil:
		return bad(InvalidRequest, "/error", "does not belong beside a result")
	case e.params != nil:
		return bad(InvalidRequest, "/params", "does not belong in a response")
	case e.result != nil && e.id == nil:
		return bad(InvalidRequest, "/id", "is required")
	case e.result != nil:
		m.Result = e.result
		m.Kind = Response
		return m, nil
	}
	werr, unknown, place, rule := decodeError(e.err)
	if rule != "" {
		return bad(InvalidRequest, "/error"+place, rule)
	}
	m.Error = werr
	m.Unknown = append(m.Unknown, unknown...)
	m.Kind = ErrorResponse
	return m, nil
}

// An envelope is the raw members of a message, nil where absent.
type envelope struct {
	version, id, method, params, result, err jsontext.Value
	unknown                                  []string
}

// split takes the object apart. All of data has been seen to be JSON, each
// name of each object in it unique, when there is no fault.
func split(data []byte) (e envelope, fault *Fault) {
	isObject, err := members(data, func(name string, value jsontext.Value) {
		switch name {
		case "jsonrpc":
			e.version = value
		case "id":
			e.id = value
		case "method":
			e.method = value
		case "params":
			e.params = value
		case "result":
			e.result = value
		case "error":
			e.err = value
		default:
			e.unknown = note(e.unknown, pointer(name))
		}
	})
	switch {
	case err == nil && isObject:
		return e, nil
	case err == nil:
		return envelope{}, faultAt(InvalidRequest, "", "a message is one object")
	}
	at := int64(len(data)) // where a text that breaks off ends
	if se, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		// A name used twice is a fault of its own, but only in JSON.
		if errors.Is(err, jsontext.ErrDuplicateName) && jsontext.Value(data).IsValid(jsontext.AllowDuplicateNames(true)) {
			return envelope{}, faultAt(InvalidRequest, string(se.JSONPointer), "occurs twice")
		}
		at = se.ByteOffset
	}
	return envelope{}, faultAt(ParseError, "", fmt.Sprintf("not JSON at byte %d", at))
}

// members calls f with each member of the object that data is, or says that it
// is another value. Either way it reads all of data. The error is the
// decoder's.
func members(data []byte, f func(name string, value jsontext.Value)) (isObject bool, err error) {
	d := jsontext.NewDecoder(bytes.NewBuffer(data))
	if d.PeekKind() != '{' {
		if err := d.SkipValue(); err != nil {
			return false, err
		}
		return false, end(d)
	}
	if _, err := d.ReadToken(); err != nil {
		return true, err
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return true, err
		}
		known := name.String() // the token is gone with the next read
		value, err := d.ReadValue()
		if err != nil {
			return true, err
		}
		// The decoder lends its value only until the next read; data's own
		// bytes stay.
		at := d.InputOffset()
		f(known, data[at-int64(len(value)):at:at])
	}
	if _, err := d.ReadToken(); err != nil {
		return true, err
	}
	return true, end(d)
}

// end demands that nothing follows the value.
func end(d *jsontext.Decoder) error {
	at := d.InputOffset()
	switch _, err := d.ReadToken(); err {
	case io.EOF:
		return nil
	case nil:
		return &jsontext.SyntacticError{ByteOffset: at, Err: errors.New("text after the value")}
	default:
		return err
	}
}

// decodeError reads the error member. The rule is empty if it is one.
func decodeError(raw jsontext.Value) (e *Error, unknown []string, place, rule string) {
	e = new(Error)
	hasCode, hasMessage := false, false
	fail := func(p, r string) {
		if rule == "" {
			place, rule = p, r
		}
	}
	isObject, _ := members(raw, func(name string, value jsontext.Value) {
		var ok bool
		switch name {
		case "code":
			var n int64
			if n, ok = integer(value); !ok || n != int64(int32(n)) {
				fail("/code", "must be an integer")
			}
			e.Code, hasCode = int(n), true
		case "message":
			if e.Message, ok = text(value); !ok {
				fail("/message", "must be a string")
			}
			hasMessage = true
		case "userMessage":
			if e.UserMessage, ok = text(value); !ok {
				fail("/userMessage", "must be a string")
			}
		case "data":
			e.Data = value
		default:
			unknown = note(unknown, "/error"+pointer(name))
		}
	}) // no error: raw has been seen to be JSON
	switch {
	case !isObject:
		fail("", "must be an object")
	case !hasCode:
		fail("/code", "is required")
	case !hasMessage:
		fail("/message", "is required")
	}
	return e, unknown, place, rule
}

func faultAt(code int, pointer, rule string) *Fault {
	name := "Invalid Request"
	switch code {
	case ParseError:
		name = "Parse error"
	case InvalidParams:
		name = "Invalid params"
	}
	f := &Fault{Code: code, Pointer: pointer, Rule: rule, ID: NoID}
	f.Message = name + ": " + rule
	if pointer != "" {
		f.Message = name + ": " + pointer + " " + rule
	}
	return f
}

func note(unknown []string, pointer string) []string {
	if len(unknown) == MaxUnknown {
		return unknown
	}
	return append(unknown, pointer)
}

func pointer(name string) string {
	return string(jsontext.Pointer("").AppendToken(name))
}

// integer reads a number that has neither fraction nor exponent, and no minus
// before zero.
func integer(v jsontext.Value) (int64, bool) {
	if v.Kind() != '0' || string(v) == "-0" {
		return 0, false
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	return n, err == nil
}

// text reads a string; ok is false for anything else, and for nil.
func text(v jsontext.Value) (s string, ok bool) {
	if v.Kind() != '"' {
		return "", false
	}
	if !bytes.ContainsRune(v, '\\') {
		return string(v[1 : len(v)-1]), true
	}
	b, err := jsontext.AppendUnquote(nil, v)
	return string(b), err == nil
}
