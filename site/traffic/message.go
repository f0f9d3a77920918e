package traffic

import (
	"bytes"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/receipt"
)

// A Kind is what a message is.
type Kind string

// The kinds. Opened, Closed and Refused are no messages, but stand in their order.
const (
	Request      Kind = "request"
	Reply        Kind = "reply"
	Error        Kind = "error"
	Notification Kind = "notification"
	Unreadable   Kind = "unreadable" // none of the above
	Opened       Kind = "opened"
	Closed       Kind = "closed"
	Refused      Kind = "refused" // a till wanted a connection and did not get it
)

// IsMessage reports whether it was said, and is not about a connection.
func (k Kind) IsMessage() bool { return k != Opened && k != Closed && k != Refused }

// NoID is the ID of a message that has none that could be used.
const NoID = -1

// maxID is the largest id that the contract knows (section 2).
const maxID = 999_999

// A Message is one message as it is kept. It does not change, but that a request
// gets its answer.
type Message struct {
	Seq         uint64 // 1 for the first that the hub kept; without gaps
	At          time.Time
	Line        *Line
	FromGateway bool
	Kind        Kind
	Text        string   // card numbers masked
	Size        int      // bytes of the whole, where Text was cut
	Cut         bool     // Text is the beginning only
	Masked      []string // pointers of the values in which a card number was masked; "" for the text as such
	Ending      *Ending
	Status      int // of a refusal: the HTTP status

	ID     int    // NoID for none
	Method string // of a reply, that of its request; empty where that is not known
	TID    string // the terminal that it is about, where it says so or its request did
	Ref    string // on a terminal's connection: the gateway's id of the request that it is about
	Note   string // of a terminal's notification, what it notifies

	Answers uint64        // the request that a reply answers; 0 for none that was kept
	After   time.Duration // since that request
	About   uint64        // for an error that answers no request: the message that it is most likely about
	Of      uint64        // the transaction or report, a request, that it is part of

	answer atomic.Uint64
	found  atomic.Pointer[Verdict] // once somebody looked
}

// Answer is the reply to a request, or 0.
func (m *Message) Answer() uint64 { return m.answer.Load() }

// overhead is what a kept message takes beside its text, about.
const overhead = 512

func (m *Message) cost() int { return len(m.Text) + overhead }

func newMessage(e event) *Message {
	m := &Message{At: e.at, Line: e.line, FromGateway: e.fromGateway, ID: NoID, Ending: e.ending, Status: e.status, Size: e.size}
	switch {
	case e.status != 0:
		m.Kind = Refused
	case e.opened:
		m.Kind = Opened
	case e.ending != nil:
		m.Kind = Closed
	default:
		text := e.text
		if m.Cut = len(text) < e.size; m.Cut {
			text = uncut(text)
		}
		m.Text, m.Masked = masked(text)
		m.read()
	}
	return m
}

// uncut takes the beginning of a card number off the end of a text that was
// cut: what is left of a number is not seen to be one.
func uncut(text []byte) []byte {
	const longest = 19 * 2
	end := len(text)
	for end > 0 && len(text)-end < longest && strings.IndexByte("0123456789 -", text[end-1]) >= 0 {
		end--
	}
	return bytes.ToValidUTF8(text[:end], nil)
}

// maxMasked bounds the places of masked numbers that are remembered.
const maxMasked = 16

// panFields are the members whose whole value is a card number.
var panFields = [...]string{"primaryAccountNumber", "pan"}

// masked masks card numbers, as everything that is kept here has them: in texts
// what looks like one, and whole fields that are for one.
func masked(text []byte) (string, []string) {
	whole := string(text)
	plain := receipt.MaskPANs(whole)
	suspect := plain != whole || strings.Contains(whole, `\u00`)
	for _, name := range panFields {
		suspect = suspect || strings.Contains(whole, `"`+name+`"`)
	}
	if !suspect {
		return whole, nil
	}
	// Token by token: a number that is masked must become a text, or the message
	// is no JSON any more, and digits may be written as escapes.
	var out strings.Builder
	dec := jsontext.NewDecoder(strings.NewReader(whole), jsontext.AllowDuplicateNames(true))
	done := 0
	var at []string
	values := 0
	for values < 2 {
		before := int(dec.InputOffset())
		tok, err := dec.ReadToken()
		if err != nil {
			break // the end, or no JSON from here on
		}
		after := int(dec.InputOffset())
		kind := tok.Kind()
		if dec.StackDepth() == 0 {
			values++ // a second one is not JSON any more
		}
		if kind != '"' && kind != '0' {
			continue
		}
		value := tok.String()
		if isUUID(value) { // its digits may look like a card number's
			continue
		}
		better := receipt.MaskPANs(value)
		if better == value && isPANField(dec) {
			better = receipt.MaskPAN(value)
		}
		if better == value {
			continue
		}
		start := before + strings.IndexAny(whole[before:after], `"-0123456789`)
		quoted, err := jsontext.AppendQuote(nil, better)
		if err != nil {
			quoted = []byte(`""`)
		}
		out.WriteString(whole[done:start])
		out.Write(quoted)
		done = after
		if len(at) < maxMasked {
			at = append(at, string(dec.StackPointer()))
		}
	}
	out.WriteString(whole[done:])
	better := out.String()
	if values != 1 || int(dec.InputOffset()) < len(strings.TrimRight(whole, " \t\r\n")) {
		// Not JSON, or not to its end: numbers may lie across tokens.
		if text := receipt.MaskPANs(better); text != better {
			better, at = text, append(at, "")
		}
	}
	if len(at) == 0 {
		return whole, nil
	}
	return better, at
}

// isUUID reports whether a text is a UUID, as payments and requests are named.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		hyphen := i == 8 || i == 13 || i == 18 || i == 23
		if hyphen != (c == '-') || !hyphen && strings.IndexByte("0123456789abcdefABCDEF", c) < 0 {
			return false
		}
	}
	return true
}

// isPANField reports whether the token that was just read is the value of a
// member for card numbers.
func isPANField(dec *jsontext.Decoder) bool {
	kind, length := dec.StackIndex(dec.StackDepth())
	if kind != '{' || length%2 != 0 { // a name, or no member
		return false
	}
	name := dec.StackPointer().LastToken()
	for _, f := range panFields {
		if name == f {
			return true
		}
	}
	return false
}

// read reads the envelope, and what of the message says which terminal it is
// about, as far as it can be read. It is lenient: what is wrong is the judge's to
// say.
func (m *Message) read() {
	m.Kind = Unreadable
	dec := jsontext.NewDecoder(strings.NewReader(m.Text), jsontext.AllowDuplicateNames(true))
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '{' {
		return
	}
	var method, result, failed, hasID bool
	id := NoID
	for {
		tok, err := dec.ReadToken()
		if err != nil || tok.Kind() != '"' {
			break
		}
		switch tok.String() {
		case "id":
			hasID = true
			var v jsontext.Value
			if v, err = dec.ReadValue(); err == nil {
				id = idOf(v)
			}
		case "method":
			var v jsontext.Value
			if v, err = dec.ReadValue(); err == nil && v.Kind() == '"' {
				method = true
				m.Method = shortText(v)
			}
		case "params":
			err = m.readTop(dec)
		case "result":
			result = true
			err = m.readTop(dec)
		case "error":
			failed = true
			err = dec.SkipValue()
		default:
			err = dec.SkipValue()
		}
		if err != nil {
			break
		}
	}
	m.ID = id
	switch {
	case method && hasID:
		m.Kind = Request
	case method:
		m.Kind = Notification
	case failed:
		m.Kind = Error
	case result:
		m.Kind = Reply
	}
}

// idOf is an id that can be used, or NoID.
func idOf(v jsontext.Value) int {
	if v.Kind() != '0' || len(v) > 6 {
		return NoID
	}
	n := 0
	for _, c := range v {
		if c < '0' || c > '9' {
			return NoID
		}
		n = n*10 + int(c-'0')
	}
	if n > maxID {
		return NoID
	}
	return n
}

// shortText is the value of a JSON string, cut short where it is long for a name.
func shortText(v jsontext.Value) string {
	b, err := jsontext.AppendUnquote(nil, []byte(v))
	if err != nil {
		return ""
	}
	const longest = 64
	if len(b) > longest {
		b = append(bytes.ToValidUTF8(b[:longest], nil), "…"...)
	}
	return string(b)
}

// readTop reads the members of params or result that say what the message is
// about.
func (m *Message) readTop(dec *jsontext.Decoder) error {
	if dec.PeekKind() != '{' {
		return dec.SkipValue()
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return err
		}
		var into *string
		switch name.String() {
		case "tid", "tpi":
			into = &m.TID
		case "notificationValue":
			into = &m.Note
		case "value":
			if m.Line.Face == FaceTerminal {
				into = &m.Note
			}
		case "requestId":
			into = &m.Ref
		}
		if into == nil || dec.PeekKind() != '"' {
			if err := dec.SkipValue(); err != nil {
				return err
			}
			continue
		}
		v, err := dec.ReadValue()
		if err != nil {
			return err
		}
		*into = shortText(v)
	}
	_, err := dec.ReadToken()
	return err
}
