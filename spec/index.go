package spec

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

//go:generate go run ./internal/gen

//go:embed *.json pac pat extensions link rest states
var files embed.FS

// An Index is the contract, read. It never changes, so it may be shared; what
// its methods return must not be changed either.
type Index struct {
	messages      []Message
	extensions    []Extension
	link          []Message
	schemas       map[string]Schema // by folder/file, as they are published
	errors        []ErrorCode
	notifications []NotificationValue
	limits        []Limit
	results       []Result
	formats       []ReceiptFormat
	lines         []ReceiptLine
	virtual       VirtualTerminals
	scenarios     Scenarios
	testCards     TestCards
	checklist     []ChecklistLine
	rest          REST
}

// Default returns the index of the embedded files, read on first use. It panics
// if they are broken, which the tests of this package rule out.
func Default() *Index { return loaded() }

var loaded = sync.OnceValue(func() *Index {
	x, err := Load(files)
	if err != nil {
		panic(err)
	}
	return x
})

// Files gives the embedded files as they are, for serving and for tests.
func Files() fs.FS { return files }

// Load reads an index from a folder laid out like the one of this package. Its
// errors name the file.
func Load(fsys fs.FS) (*Index, error) {
	x := &Index{schemas: map[string]Schema{}}
	var receipts struct {
		Clause  string          `json:"clause"`
		Formats []ReceiptFormat `json:"formats"`
		Lines   []ReceiptLine   `json:"lines"`
	}
	for file, into := range map[string]any{
		"messages.json":          &x.messages,
		"extensions.json":        &x.extensions,
		"link/messages.json":     &x.link,
		"errors.json":            &x.errors,
		"notifications.json":     &x.notifications,
		"timers.json":            &x.limits,
		"results.json":           &x.results,
		"receipts.json":          &receipts,
		"virtual-terminals.json": &x.virtual,
		"scenarios.json":         &x.scenarios,
		"test-cards.json":        &x.testCards,
		"checklist.json":         &x.checklist,
	} {
		if err := read(fsys, file, into); err != nil {
			return nil, err
		}
	}
	x.formats, x.lines = receipts.Formats, receipts.Lines
	if err := x.loadREST(fsys); err != nil {
		return nil, fmt.Errorf("spec: rest: %w", err)
	}
	for _, list := range [][]Message{x.messages, x.link} {
		for i := range list {
			m := &list[i]
			if err := x.loadMessage(fsys, m); err != nil {
				return nil, fmt.Errorf("spec: %s/%s: %w", m.Side, m.Name, err)
			}
		}
	}
	for i := range x.extensions {
		e := &x.extensions[i]
		if err := x.loadExtension(fsys, e); err != nil {
			return nil, fmt.Errorf("spec: extension %s: %w", e.Name, err)
		}
	}
	return x, nil
}

// loadExtension reads an extension's text, and its messages, which lie in its
// folder as those of the contract do in theirs.
func (x *Index) loadExtension(fsys fs.FS, e *Extension) error {
	folder := path.Join("extensions", e.Name)
	about, err := fs.ReadFile(fsys, path.Join(folder, "about.md"))
	if err != nil {
		return err
	}
	e.About = string(about)
	for i := range e.Messages {
		m := &e.Messages[i]
		if err := x.loadSchemas(fsys, m, path.Join(folder, m.Name), folder); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
	}
	return nil
}

// read decodes a file and refuses members that no field takes: a misspelt one
// would be lost in silence.
func read(fsys fs.FS, file string, into any) error {
	data, err := fs.ReadFile(fsys, file)
	if err != nil {
		return fmt.Errorf("spec: %w", err)
	}
	if err := json.Unmarshal(data, into, json.RejectUnknownMembers(true)); err != nil {
		return fmt.Errorf("spec: %s: %w", file, err)
	}
	return nil
}

func (x *Index) loadMessage(fsys fs.FS, m *Message) error {
	dir := path.Join(string(m.Side), m.Name)
	about, err := fs.ReadFile(fsys, path.Join(dir, "about.md"))
	if err != nil {
		return err
	}
	m.About = string(about)
	at := ""
	if m.Side == Link {
		at = string(Link)
	}
	return x.loadSchemas(fsys, m, dir, at)
}

// loadSchemas reads schemas and examples of a message from its folder. They are
// published below the folder at.
func (x *Index) loadSchemas(fsys fs.FS, m *Message, dir, at string) error {
	for _, version := range []string{V1, V0} {
		names, err := fs.Glob(fsys, path.Join(dir, version, "*.json"))
		if err != nil {
			return err
		}
		slices.Sort(names) // request before response
		for _, name := range names {
			raw, err := fs.ReadFile(fsys, name)
			if err != nil {
				return err
			}
			s, err := newSchema(version, path.Base(name), raw, m.Direction)
			if err != nil {
				return err
			}
			s.Folder = path.Join(at, version)
			m.Schemas = append(m.Schemas, s)
			x.schemas[path.Join(s.Folder, s.File)] = s
		}
	}
	data, err := fs.ReadFile(fsys, path.Join(dir, "examples.json"))
	if err != nil {
		return err
	}
	if m.Kind == KindError {
		return json.Unmarshal(data, &m.Errors, json.RejectUnknownMembers(true))
	}
	m.Examples, err = readExamples(data)
	return err
}

// newSchema reads from the published file name and from the schema itself what
// the message is.
func newSchema(version, file string, raw []byte, toward Direction) (Schema, error) {
	s := Schema{Version: version, File: file, Direction: toward, Raw: raw}
	switch {
	case strings.HasSuffix(file, "_Request.json"):
		s.Kind = KindRequest
	case strings.HasSuffix(file, "_Response.json"):
		s.Kind = KindResponse
		s.Direction = toward.Opposite()
	case strings.HasPrefix(file, "StCN_"), strings.HasSuffix(file, "_Notification.json"):
		s.Kind = KindNotification
	case strings.HasPrefix(file, "StCE_"):
		s.Kind = KindError
	default:
		return s, fmt.Errorf("%s is no published file name", file)
	}
	var body struct {
		Properties struct {
			Method struct {
				Enum []string `json:"enum"`
			} `json:"method"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		return s, fmt.Errorf("%s: %w", file, err)
	}
	s.Methods = body.Properties.Method.Enum
	return s, nil
}

// Opposite returns the other direction.
func (d Direction) Opposite() Direction {
	switch d {
	case ToConnect:
		return ToEPOS
	case ToTerminal:
		return FromTerminal
	case FromTerminal:
		return ToTerminal
	case ToEPOS:
	}
	return ToConnect
}

// exampleEntry is an example as it is written in examples.json.
type exampleEntry struct {
	Name      string                    `json:"name"`
	Title     string                    `json:"title"`
	Version   string                    `json:"version"`
	Direction Direction                 `json:"direction"`
	Kind      Kind                      `json:"kind"`
	Published bool                      `json:"published"`
	Message   jsontext.Value            `json:"message"`
	Raw       string                    `json:"raw"`
	ReplyTo   string                    `json:"replyTo"`
	Valid     bool                      `json:"valid"`
	Place     string                    `json:"place"`
	Rule      string                    `json:"rule"`
	Base      string                    `json:"base"`
	Set       map[string]jsontext.Value `json:"set"`
	Remove    []string                  `json:"remove"`
}

// readExamples decodes an examples.json and makes each entry whole: one with a
// base takes from it what it does not say itself.
func readExamples(data []byte) ([]Example, error) {
	var entries []exampleEntry
	if err := json.Unmarshal(data, &entries, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("examples.json: %w", err)
	}
	out := make([]Example, 0, len(entries))
	at := make(map[string]int, len(entries))
	for _, e := range entries {
		ex := Example{
			Name: e.Name, Title: e.Title, Version: e.Version, Direction: e.Direction, Kind: e.Kind,
			Published: e.Published, ReplyTo: e.ReplyTo, Valid: e.Valid,
			Place: e.Place, Rule: e.Rule, Base: e.Base,
		}
		if err := e.Message.Compact(); e.Message != nil && err != nil {
			return nil, fmt.Errorf("example %s: %w", e.Name, err)
		}
		ex.Text = e.Message
		if e.Raw != "" {
			ex.Text = []byte(e.Raw)
		}
		if e.Base != "" {
			i, ok := at[e.Base]
			if !ok {
				return nil, fmt.Errorf("example %s: its base %s does not stand before it", e.Name, e.Base)
			}
			base := out[i]
			ex.Version, ex.Direction, ex.Kind = base.Version, base.Direction, base.Kind
			text, err := edit(base.Text, e.Set, e.Remove)
			if err != nil {
				return nil, fmt.Errorf("example %s: %w", e.Name, err)
			}
			ex.Text = text
		}
		if _, ok := at[ex.Name]; ok {
			return nil, fmt.Errorf("example %s: twice", ex.Name)
		}
		at[ex.Name] = len(out)
		out = append(out, ex)
	}
	return out, nil
}

// Messages returns all messages in the order of the documentation.
func (x *Index) Messages() []Message { return slices.Clone(x.messages) }

// Message returns a message by its side and name.
func (x *Index) Message(side Side, name string) (Message, bool) {
	for _, m := range x.messages {
		if m.Side == side && m.Name == name {
			return m, true
		}
	}
	return Message{}, false
}

// ByMethod returns the message that has the method on a side in a version. Names
// are case-sensitive.
func (x *Index) ByMethod(side Side, version, method string) (Message, bool) {
	for _, m := range x.messages {
		if m.Side != side {
			continue
		}
		for _, s := range m.Schemas {
			if s.Version == version && slices.Contains(s.Methods, method) {
				return m, true
			}
		}
	}
	return Message{}, false
}

// Link returns the messages of the terminal link, version 1, in the order of the
// documentation.
func (x *Index) Link() []Message { return slices.Clone(x.link) }

// Extensions returns the extensions, in the order of the documentation.
func (x *Index) Extensions() []Extension { return slices.Clone(x.extensions) }

// Extension returns the extension of that name.
func (x *Index) Extension(name string) (Extension, bool) {
	for _, e := range x.extensions {
		if e.Name == name {
			return e, true
		}
	}
	return Extension{}, false
}

// Schema returns a schema file as it is published at
// /docs/schemas/<folder>/<file>. The folder is a version; of an extension's
// messages it is as in extensions/keys/v1, of the terminal link's it is link/v1.
func (x *Index) Schema(folder, file string) ([]byte, bool) {
	s, ok := x.schemas[folder+"/"+file]
	return s.Raw, ok
}

// Errors returns the error table in the order of the contract.
func (x *Index) Errors() []ErrorCode { return slices.Clone(x.errors) }

// Error returns the entry of a code.
func (x *Index) Error(code int) (ErrorCode, bool) {
	for _, e := range x.errors {
		if e.Code == code {
			return e, true
		}
	}
	return ErrorCode{}, false
}

// Notifications returns the values of terminalNotification.
func (x *Index) Notifications() []NotificationValue { return slices.Clone(x.notifications) }

// Limits returns the time limits and counts.
func (x *Index) Limits() []Limit { return slices.Clone(x.limits) }

// Timer returns a time limit by its name, one of the Timer constants. It panics
// if there is none of that name.
func (x *Index) Timer(name string) time.Duration {
	for _, l := range x.limits {
		if l.Name == name && l.Seconds > 0 {
			return time.Duration(l.Seconds) * time.Second
		}
	}
	panic(fmt.Sprintf("spec: no timer %q", name))
}

// Count returns a count by its name, one of the Count constants. It panics if
// there is none of that name.
func (x *Index) Count(name string) int {
	for _, l := range x.limits {
		if l.Name == name && l.Count > 0 {
			return l.Count
		}
	}
	panic(fmt.Sprintf("spec: no count %q", name))
}

// Results returns the six results and what a till does with each.
func (x *Index) Results() []Result { return slices.Clone(x.results) }

// ReceiptFormats returns the ways to set a receipt line.
func (x *Index) ReceiptFormats() []ReceiptFormat { return slices.Clone(x.formats) }

// ReceiptLines returns the types of receipt lines.
func (x *Index) ReceiptLines() []ReceiptLine { return slices.Clone(x.lines) }

// VirtualTerminals returns the grammar of virtual terminal names.
func (x *Index) VirtualTerminals() VirtualTerminals { return x.virtual }

// Checklist returns the integration checklist.
func (x *Index) Checklist() []ChecklistLine { return slices.Clone(x.checklist) }
