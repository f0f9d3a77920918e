package conform

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
)

// A Kind says what a frame is.
type Kind string

// The kinds of frames.
const (
	Opened  Kind = "opened"  // a till connected
	Refused Kind = "refused" // a till tried to, and was refused
	Message Kind = "message" // a text message, either way
	Closed  Kind = "closed"  // the connection ended
	Pong    Kind = "pong"    // the till answered the gateway's ping, and so has all that was said before it
	Asked   Kind = "asked"   // a till asked something over REST
)

// A Frame is one thing that was seen on the wire, in the order of the wire.
type Frame struct {
	At   time.Time `json:"at"`
	Conn int       `json:"conn"` // the connection's number, 1 for the first
	Kind Kind      `json:"kind"`

	// Of a message.
	FromGateway bool   `json:"fromGateway,omitzero"`
	Added       bool   `json:"added,omitzero"` // by the checker: no gateway said it
	Text        string `json:"text,omitzero"`

	// Of a connection that was opened or refused. Its key is not kept.
	Path          string `json:"path,omitzero"`
	Version       string `json:"version,omitzero"`
	SoftwareHouse string `json:"softwareHouse,omitzero"`
	Installer     string `json:"installer,omitzero"`
	Status        int    `json:"status,omitzero"`   // of a refusal
	WrongKey      bool   `json:"wrongKey,omitzero"` // the till did not use the key of the check

	// Of a request over REST, which is told as messages besides. Text says what was
	// tolerated of it.
	Method string `json:"method,omitzero"`
	Key    string `json:"key,omitzero"` // its Idempotency-Key
	// REST says that the frame stands for something of a till that asks over REST.
	REST bool `json:"rest,omitzero"`

	// Of a pong: when it was asked for. It says nothing about what was said later.
	Pinged time.Time `json:"pinged,omitzero"`

	// Of one that was closed.
	ByTill bool `json:"byTill,omitzero"`
	Cut    bool `json:"cut,omitzero"` // by the checker, as a network does
}

// A message is one text message, taken apart as far as judges need it.
type message struct {
	valid  bool // it is one JSON object
	fields map[string]json.RawMessage
	method string
	id     string // as it was written; empty where there is none
	params map[string]json.RawMessage
	result map[string]json.RawMessage
	isList bool // the result is an array
	fault  *fault
}

type fault struct {
	Code        int    `json:"code"`
	Message     string `json:"message"`
	UserMessage string `json:"userMessage"`
}

// staff is what staff are to be shown.
func (f *fault) staff() string {
	if f.UserMessage != "" {
		return f.UserMessage
	}
	return f.Message
}

func read(text string) message {
	var m message
	if json.Unmarshal([]byte(text), &m.fields) != nil || m.fields == nil {
		return m
	}
	m.valid = true
	m.method = text1(m.fields["method"])
	m.id = string(bytes.TrimSpace(m.fields["id"]))
	_ = json.Unmarshal(m.fields["params"], &m.params) // what is no object stays nil
	if r := bytes.TrimSpace(m.fields["result"]); len(r) > 0 {
		m.isList = r[0] == '['
		_ = json.Unmarshal(r, &m.result)
	}
	if e := m.fields["error"]; len(e) > 0 {
		var f fault
		if json.Unmarshal(e, &f) == nil {
			m.fault = &f
		}
	}
	return m
}

// text1 is a JSON string's text, or nothing.
func text1(raw json.RawMessage) string {
	var s string
	_ = json.Unmarshal(raw, &s)
	return s
}

// whole reads an integer that is written as the contract wants one: a number
// with neither fraction nor exponent.
func whole(raw json.RawMessage) (int64, bool) {
	n, err := strconv.ParseInt(string(bytes.TrimSpace(raw)), 10, 64)
	return n, err == nil
}

// truth reads a boolean.
func truth(raw json.RawMessage) (value, ok bool) {
	switch string(bytes.TrimSpace(raw)) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

// A call is a request of the till with what came of it.
type call struct {
	conn     int
	at       int // number of the frame, from the first that was given
	message      // the request
	answered int // number of the frame; -1 while there is none
	answer   message
	notes    []note
	closed   int // number of the frame with which its connection ended unanswered; -1
}

// A note is one notification.
type note struct {
	at    int
	value string
}

// took reports what the till was told became of a transaction.
func (c *call) took() string { return text1(c.answer.result["transactionResult"]) }

func (c *call) tid() string { return text1(c.params["tid"]) }

// isTransaction reports whether the method takes or gives money, or may.
func isTransaction(method string) bool {
	switch method {
	case "sale", "refund", "preAuth", "completion", "accountVerification":
		return true
	}
	return false
}

// calls finds the requests of the till in frames, with their answers.
func calls(frames []Frame) []*call {
	var all []*call
	for i, f := range frames {
		if f.Kind == Closed {
			for _, c := range all {
				if c.conn == f.Conn && c.answered < 0 && c.closed < 0 {
					c.closed = i
				}
			}
			continue
		}
		if f.Kind != Message || f.Added {
			continue
		}
		m := read(f.Text)
		switch {
		case !m.valid:
		case !f.FromGateway && m.method != "":
			all = append(all, &call{conn: f.Conn, at: i, message: m, answered: -1, closed: -1})
		case f.FromGateway && m.method == "terminalNotification":
			for _, c := range all {
				if c.conn == f.Conn && c.answered < 0 && isTransaction(c.method) && c.tid() == text1(m.params["tid"]) {
					c.notes = append(c.notes, note{i, text1(m.params["notificationValue"])})
				}
			}
		case f.FromGateway && m.method == "":
			if c := answers(all, f.Conn, m); c != nil {
				c.answered, c.answer = i, m
			}
		}
	}
	return all
}

// answers finds the call that a message of the gateway answers. Tills may use
// one id for all their requests, so the answer's form is looked at as well.
func answers(all []*call, conn int, m message) *call {
	var found *call
	for _, c := range all {
		if c.conn != conn || c.answered >= 0 || c.id != m.id || c.id == "" || !c.couldBe(m) {
			continue
		}
		if found == nil {
			found = c
		}
	}
	return found
}

func (c *call) couldBe(m message) bool {
	if m.fault != nil {
		return true
	}
	switch {
	case c.method == "cancelTransaction":
		return m.result["cancelling"] != nil || m.result["cancelled"] != nil
	case c.method == "connectedTerminals":
		return m.isList
	case isTransaction(c.method), c.method == "duplicate":
		return m.result["transactionResult"] != nil
	}
	return true
}

// A question is a signature request of the gateway with the till's answer.
type question struct {
	conn, at int
	id       string
	answered int // number of the frame of the first answer under its id; -1
	accepted bool
	form     bool // the answer has accepted as a boolean
	astray   int  // number of a frame with an answer under an id that asks nothing; -1
}

// questions finds the signature requests in frames.
func questions(frames []Frame) []*question {
	var all []*question
	for i, f := range frames {
		if f.Kind != Message || f.Added {
			continue
		}
		m := read(f.Text)
		switch {
		case !m.valid:
		case f.FromGateway && m.method == "signatureVerificationRequest":
			all = append(all, &question{conn: f.Conn, at: i, id: m.id, answered: -1, astray: -1})
		case !f.FromGateway && m.method == "":
			for _, q := range all {
				switch {
				case q.conn != f.Conn || q.answered >= 0:
				case q.id == m.id:
					q.answered = i
					q.accepted, q.form = truth(m.result["accepted"])
				default:
					q.astray = i
				}
			}
		}
	}
	return all
}
