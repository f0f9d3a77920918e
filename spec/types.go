package spec

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// A Side is one of the two integration types, and so a path of the gateway.
type Side string

// The two sides.
const (
	PAC Side = "pac" // Pay-At-Counter: the till asks
	PAT Side = "pat" // Pay-At-Table: the till is asked
)

// Link stands in place of a side in the messages of the terminal link, which is
// no part of the contract with tills.
const Link Side = "link"

// The versions of the contract, as they stand in api-version.
const (
	V1 = "v1"
	V0 = "v0"
)

// A Direction says who sends a message to whom.
type Direction string

// The two directions.
const (
	ToConnect Direction = "EPOS → Connect"
	ToEPOS    Direction = "Connect → EPOS"
)

// The directions of the terminal link.
const (
	ToTerminal   Direction = "gateway → terminal"
	FromTerminal Direction = "terminal → gateway"
)

// A Kind is what a message is in JSON-RPC.
type Kind string

// The kinds of message.
const (
	KindRequest      Kind = "request"
	KindResponse     Kind = "response"
	KindNotification Kind = "notification"
	KindError        Kind = "error"
)

// A Message is one entry of the contract: a request with its response, a
// notification, or the error message.
type Message struct {
	Side         Side      `json:"side"`
	Name         string    `json:"name"` // the same in every package, as in performTransaction
	Title        string    `json:"title"`
	Kind         Kind      `json:"kind"`         // request, notification or error
	Direction    Direction `json:"direction"`    // of the request or notification; a response goes the other way
	Clause       string    `json:"clause"`       // section of the contract
	IngenicoOnly bool      `json:"ingenicoOnly"` // other makes of terminal do not have it

	About    string      `json:"-"` // Markdown: what lies beyond the schemas
	Schemas  []Schema    `json:"-"` // v1 first, request before response
	Examples []Example   `json:"-"` // as in examples.json, edits applied
	Errors   []ErrorPair `json:"-"` // of the error message only
}

// Schema returns the schema of the message of that version and kind.
func (m Message) Schema(version string, kind Kind) (Schema, bool) {
	for _, s := range m.Schemas {
		if s.Version == version && s.Kind == kind {
			return s, true
		}
	}
	return Schema{}, false
}

// Example returns the example of that name.
func (m Message) Example(name string) (Example, bool) {
	for _, e := range m.Examples {
		if e.Name == name {
			return e, true
		}
	}
	return Example{}, false
}

// A Schema is one published schema file.
type Schema struct {
	Version   string
	Folder    string // where it is published: its version, or as in extensions/keys/v1
	File      string // the published file name
	Kind      Kind
	Direction Direction
	Methods   []string // of a request or notification, in the schema's order
	Raw       []byte   // the file; not to be changed
}

// An Extension is something that a connection can opt in to (the contract,
// section 10). Without it, its messages and members do not exist.
type Extension struct {
	Name     string    `json:"name"` // as it stands in the query
	Title    string    `json:"title"`
	Sides    []Side    `json:"sides"` // where it can be had
	Adds     string    `json:"adds"`
	Why      string    `json:"why"`      // the reason for it
	Messages []Message `json:"messages"` // those that it adds or changes; without texts of their own

	About string `json:"-"` // Markdown
}

// ExtensionsHeader is the header of the answer to an upgrade that lists the
// extensions that are granted, with commas between them. A till that asked for
// none gets no such header; nor does one whose gateway knows none.
const ExtensionsHeader = "Tillwire-Extensions"

// Message returns the extension's message of that name.
func (e Extension) Message(name string) (Message, bool) {
	for _, m := range e.Messages {
		if m.Name == name {
			return m, true
		}
	}
	return Message{}, false
}

// An Example is one message, valid or with one fault.
type Example struct {
	Name      string // unique in its message
	Title     string
	Version   string
	Direction Direction
	Kind      Kind
	Published bool   // one of the examples of the reference page
	Text      []byte // the message as it stands on the wire; not to be changed
	ReplyTo   string // name of the request that it answers, if any
	Valid     bool
	Place     string // of the fault, a JSON pointer
	Rule      string // that is broken, a schema keyword
	Base      string // name of the valid example that this one was made from, if any
}

// An ErrorPair is one example of an error: what a till sent and what it got.
type ErrorPair struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	Note  string `json:"note"` // how things stood before
	// ToConnect is the text that the till sent, broken as it may be. It is empty
	// for Connection Discontinued, which answers nothing.
	ToConnect string `json:"toConnect"`
	// Message and Kind say what ToConnect was meant to be, where that can be said.
	Message     string         `json:"message"`
	Kind        Kind           `json:"kind"`
	ErrorToEPOS jsontext.Value `json:"errorToEPOS"`
}

// An ErrorCode is one code of the error table (the contract, section 6).
type ErrorCode struct {
	Code       int         `json:"code"`
	Name       string      `json:"name"` // the Go constant without its prefix Code
	Title      string      `json:"title"`
	Sides      []Side      `json:"sides"`
	Meaning    string      `json:"meaning"`
	ID         string      `json:"id"` // never, asReceived, ifUsable, ifAny or bySide
	IDRule     string      `json:"idRule"`
	Advice     Advice      `json:"advice"`
	AdviceText string      `json:"adviceText"`
	Texts      []ErrorText `json:"texts"`
}

// An ErrorText is one wording of an error. Words in braces stand for values.
type ErrorText struct {
	Name        string `json:"name"`
	Message     string `json:"message"`     // for the developer
	UserMessage string `json:"userMessage"` // for the staff; may be empty
}

// ErrorDocs is the page about an error, a path on the gateway.
func ErrorDocs(code int) string { return "/docs/errors#" + strconv.Itoa(code) }

// Fill puts values into a text: Fill(text, "tid", "12345678") replaces {tid}.
// It takes names and values in turn.
func Fill(text string, namesAndValues ...string) string {
	pairs := make([]string, len(namesAndValues))
	for i, s := range namesAndValues {
		if i%2 == 0 {
			s = "{" + s + "}"
		}
		pairs[i] = s
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// Advice is what a till can do about an error.
type Advice string

// The kinds of advice.
const (
	Retry       Advice = "retry"       // nothing ran; the same message may be sent again
	Correct     Advice = "correct"     // the message is wrong and will stay so
	AskTerminal Advice = "askTerminal" // the outcome lies with the terminal
	Stop        Advice = "stop"        // no message mends it
)

// A NotificationValue is one value of terminalNotification (the contract,
// section 4.2).
type NotificationValue struct {
	Value   string `json:"value"`
	Group   string `json:"group"`
	Since   string `json:"since"` // the first version that has it
	REST    string `json:"rest"`  // likewise of the REST interface; empty if all have it
	Meaning string `json:"meaning"`
}

// A Limit is one time limit or count (the contract, section 9).
type Limit struct {
	Name     string `json:"name"`
	Seconds  int    `json:"seconds"` // of a time limit, else 0
	Count    int    `json:"count"`   // of a count, else 0
	Settable bool   `json:"settable"`
	Title    string `json:"title"`
	Then     string `json:"then"` // what happens when it is reached
	Clause   string `json:"clause"`
}

// A Result is one value of transactionResult (the contract, section 7).
type Result struct {
	Value string `json:"value"`
	Money string `json:"money"` // was it taken: yes, no or unknown
	Title string `json:"title"`
	Till  string `json:"till"` // what the till does
}

// A ReceiptFormat is one way to set a receipt line.
type ReceiptFormat struct {
	Value   string `json:"value"`
	Meaning string `json:"meaning"`
}

// A ReceiptLine is one type of receipt line (the contract, section 8).
type ReceiptLine struct {
	Type    string   `json:"type"`
	From    []string `json:"from"` // terminal, epos or both
	Meaning string   `json:"meaning"`
}

// A ChecklistLine is one line of the integration checklist (the contract,
// section 14).
type ChecklistLine struct {
	ID       string `json:"id"`
	Side     string `json:"side"` // general, pac or pat
	Text     string `json:"text"`
	Optional bool   `json:"optional"`
	Only     string `json:"only"` // the one face it is about, if only one
	Clause   string `json:"clause"`
}
