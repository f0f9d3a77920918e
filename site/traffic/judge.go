package traffic

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/spec/schema"
)

// A Verdict is what a message is found to be by its published schema.
type Verdict struct {
	Schema     string // folder and file; empty where there is none for it
	Title      string // of the message, as in Perform Transaction
	Unjudged   string // why it was not looked at; empty if it was
	Deviations []Deviation
}

// A Deviation is something in a message that the contract does not have.
type Deviation struct {
	Pointer string // where: a JSON pointer; empty is the whole message
	Rule    string // the schema's keyword, or method, id, json, match
	Text    string // for people, the place first
	// Tolerated says that a gateway lets it pass unless the site is strict: an
	// unknown member.
	Tolerated bool
}

// A Judge says what is wrong with messages. Its schemas are compiled when it is
// first asked. It may be asked by several goroutines.
type Judge struct {
	compiled func() (*schema.Validator, error)
}

// NewJudge makes one.
func NewJudge() *Judge {
	return &Judge{compiled: sync.OnceValues(func() (*schema.Validator, error) { return schema.New(spec.Default()) })}
}

// Judge says what is wrong with a kept message. It takes some hundred
// microseconds the first time, and nothing after that.
func (j *Judge) Judge(m *Message) *Verdict {
	if v := m.found.Load(); v != nil {
		return v
	}
	v := j.judge(m)
	m.found.Store(v)
	return v
}

// Judged returns the verdict on a message if somebody has asked for it before,
// else nil.
func (m *Message) Judged() *Verdict { return m.found.Load() }

func (j *Judge) judge(m *Message) *Verdict {
	switch {
	case !m.Kind.IsMessage():
		return &Verdict{Unjudged: "not a message"}
	case m.Cut:
		return &Verdict{Unjudged: "too long to be kept whole"}
	}
	v := &Verdict{}
	for _, at := range m.Masked {
		v.add(at, "cardNumber", strings.TrimSpace(cmp.Or(at, "the message")+" had a card number, which was masked before it was kept here"))
	}
	if err := readable(m.Text); err != nil {
		v.add("", "json", "the message "+err.Error())
		return v
	}
	if jsontext.Value(m.Text).Kind() != '{' {
		v.add("", "json", "the message is "+kindName(jsontext.Value(m.Text).Kind())+", must be one JSON-RPC object")
		return v
	}
	j.envelope(m, v)
	s, title, ok := j.schemaFor(m, v)
	v.Title = title
	if !ok {
		return v
	}
	v.Schema = s.Folder + "/" + s.File
	compiled, err := j.compiled()
	if err == nil {
		var faults []schema.Fault
		if faults, err = compiled.Check(s.Folder, s.File, []byte(m.Text)); err == nil {
			for _, f := range faults {
				v.fault(m, f)
			}
			v.numbers(m.Text)
		}
	}
	if err != nil {
		v.Unjudged = err.Error()
	}
	slices.SortStableFunc(v.Deviations, func(a, b Deviation) int { return cmp.Compare(a.Pointer, b.Pointer) })
	return v
}

func (v *Verdict) add(pointer, rule, text string) {
	v.Deviations = append(v.Deviations, Deviation{Pointer: pointer, Rule: rule, Text: text})
}

// has reports whether something was said of a place.
func (v *Verdict) has(pointer string) bool {
	return slices.ContainsFunc(v.Deviations, func(d Deviation) bool { return d.Pointer == pointer })
}

// fault takes over what the validator found, with what stands there.
func (v *Verdict) fault(m *Message, f schema.Fault) {
	if v.has(f.Pointer) {
		return // it was said in better words
	}
	if f.Pointer == "/seq" && m.FromGateway && slices.Contains(m.Line.Extensions, "resume") {
		return // in a stream every message of the gateway has it, also those without a schema of their own
	}
	d := Deviation{Pointer: f.Pointer, Rule: f.Rule, Text: f.Message}
	there, _ := valueAt(m.Text, f.Pointer)
	rule := strings.TrimSpace(strings.TrimPrefix(f.Message, f.Pointer))
	switch f.Rule {
	case "additionalProperties":
		d.Text, d.Tolerated = f.Pointer+" is not a member of this message", true
	case "required":
	case "type":
		d.Text = fmt.Sprintf("%s is %s, %s", f.Pointer, kindName(there.Kind()), article(rule))
	default:
		if there.Kind() == '0' && len(there) < 20 {
			d.Text = fmt.Sprintf("%s is %s, %s", f.Pointer, there, rule)
		}
	}
	if f.Pointer == "" {
		d.Text = "the message " + rule
	}
	v.Deviations = append(v.Deviations, d)
}

// article turns "must be of type integer" into what people say.
func article(rule string) string {
	kinds := strings.NewReplacer(
		"of type integer", "an integer", "of type string", "a string", "of type boolean", "true or false",
		"of type object", "an object", "of type array", "an array", "of type number", "a number",
	)
	return kinds.Replace(rule)
}

func kindName(k jsontext.Kind) string {
	switch k {
	case '"':
		return "a string"
	case '0':
		return "a number"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	case '[':
		return "an array"
	case '{':
		return "an object"
	}
	return "not there"
}

// readable says why a text is not strict JSON, as the contract wants it.
func readable(text string) error {
	dec := jsontext.NewDecoder(strings.NewReader(text))
	if _, err := dec.ReadValue(); err != nil {
		at := dec.StackPointer()
		why := "is not JSON"
		if errors.Is(err, jsontext.ErrDuplicateName) {
			if bad, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
				at = bad.JSONPointer
			}
			return fmt.Errorf("has the name at %s twice", at)
		}
		if bad, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
			return fmt.Errorf("%s, from character %d on", why, len([]rune(text[:min(int(bad.ByteOffset), len(text))]))+1)
		}
		return errors.New(why)
	}
	if _, err := dec.ReadToken(); err == nil {
		return errors.New("has something behind its end")
	}
	return nil
}

// numbers finds integers that are written as no integer is written here: a
// schema takes 1250.0 for one (the contract, section 2).
func (v *Verdict) numbers(text string) {
	dec := jsontext.NewDecoder(strings.NewReader(text))
	for {
		tok, err := dec.ReadToken()
		if err != nil {
			return
		}
		if tok.Kind() != '0' || !strings.ContainsAny(tok.String(), ".eE") {
			continue
		}
		if at := string(dec.StackPointer()); !v.has(at) {
			v.add(at, "integer", at+" is written "+tok.String()+", must be written without fraction and exponent")
		}
	}
}

// envelope looks at what no schema of a single message says.
func (j *Judge) envelope(m *Message, v *Verdict) {
	id, there := valueAt(m.Text, "/id")
	if there && m.ID == NoID {
		what := kindName(id.Kind())
		if id.Kind() == '0' {
			what = id.String()
		}
		v.add("/id", "id", "/id is "+what+", must be an integer from 0 to 999999")
	}
	if m.Kind == Reply && m.Answers == 0 && there && m.ID != NoID && !m.Line.partial() {
		v.add("/id", "match", fmt.Sprintf("/id is %d, which no open request has", m.ID))
	}
}

// schemaFor finds the schema of a message. What keeps it from being found is
// said in the verdict.
func (j *Judge) schemaFor(m *Message, v *Verdict) (s spec.Schema, title string, ok bool) {
	l := m.Line
	switch m.Kind {
	case Error:
		if l.Face == FaceTerminal {
			v.Unjudged = "no schema is published for errors of the terminal link"
			return spec.Schema{}, "Error", false
		}
		if !m.FromGateway {
			v.Unjudged = "no schema is published for errors of a till"
			return spec.Schema{}, "Error", false
		}
		msg, _ := spec.Default().Message(spec.Side(l.Face), "errorMessage")
		s, ok = msg.Schema(l.Version, spec.KindError)
		return s, msg.Title, ok
	case Reply:
		if m.Answers == 0 {
			if v.Unjudged = "its request was not kept"; !m.Line.partial() {
				v.Unjudged = "it answers no open request"
			}
			return spec.Schema{}, "Reply", false
		}
		s, ok = schemaOf(l, m.Method, spec.KindResponse)
		if !ok {
			v.Unjudged = fmt.Sprintf("no schema is published for a reply to %s", m.Method)
		}
		return s, titleOf(l, m.Method), ok
	case Request, Notification:
		kind := spec.KindRequest
		if m.Kind == Notification {
			kind = spec.KindNotification
		}
		s, ok = schemaOf(l, m.Method, kind)
		if !ok {
			s, ok = schemaOf(l, m.Method, other(kind)) // an id too many or too few is the schema's to say
		}
		if ok && fromGateway(s) != m.FromGateway {
			v.add("/method", "method", "/method is "+m.Method+", which "+who(l, fromGateway(s))+" sends")
			return s, titleOf(l, m.Method), false
		}
		if !ok {
			v.add("/method", "method", methodText(l, m.Method))
		}
		return s, titleOf(l, m.Method), ok
	case Unreadable, Opened, Closed, Refused:
	}
	v.add("/method", "required", "/method is required, or result or error in an answer")
	return spec.Schema{}, "", false
}

// partial reports whether requests of the connection may not be known.
func (l *Line) partial() bool { return l.Missed() || l.unsure.Load() }

func other(k spec.Kind) spec.Kind {
	if k == spec.KindRequest {
		return spec.KindNotification
	}
	return spec.KindRequest
}

// fromGateway reports whether the gateway is who sends what the schema is for.
func fromGateway(s spec.Schema) bool {
	return s.Direction == spec.ToEPOS || s.Direction == spec.ToTerminal
}

func who(l *Line, gateway bool) string {
	switch {
	case gateway:
		return "only the gateway"
	case l.Face == FaceTerminal:
		return "only a terminal"
	}
	return "only a till"
}

// methodText says what is wrong with a method.
func methodText(l *Line, method string) string {
	if l.Face == FaceTerminal {
		return "/method is " + method + ", which the terminal link does not have"
	}
	text := fmt.Sprintf("/method is %s, which /%s %s does not have", method, l.Face, l.Version)
	x := spec.Default()
	for _, side := range []spec.Side{spec.PAC, spec.PAT} {
		for _, version := range []string{spec.V1, spec.V0} {
			if _, ok := x.ByMethod(side, version, method); ok {
				return text + fmt.Sprintf("; /%s %s does", side, version)
			}
		}
	}
	for _, e := range x.Extensions() {
		for _, msg := range e.Messages {
			for _, s := range msg.Schemas {
				if s.Version == l.Version && slices.Contains(s.Methods, method) {
					return text + "; the extension " + e.Name + " does, which this connection did not ask for"
				}
			}
		}
	}
	for _, msg := range x.Messages() {
		for _, s := range msg.Schemas {
			for _, name := range s.Methods {
				if strings.EqualFold(name, method) {
					return text + "; names are case-sensitive: " + name
				}
			}
		}
	}
	return text
}

// schemaOf finds the schema for a method, of an extension of the connection
// first.
func schemaOf(l *Line, method string, kind spec.Kind) (spec.Schema, bool) {
	x := spec.Default()
	if l.Face == FaceTerminal {
		for _, m := range x.Link() {
			if m.Name == method {
				return m.Schema(spec.V1, kind)
			}
		}
		return spec.Schema{}, false
	}
	for _, name := range l.Extensions {
		e, _ := x.Extension(name)
		for _, m := range e.Messages {
			if m.Side != spec.Side(l.Face) {
				continue
			}
			if asks(m, l.Version, method) {
				if s, ok := m.Schema(l.Version, kind); ok {
					return s, true
				}
			}
		}
	}
	m, ok := x.ByMethod(spec.Side(l.Face), l.Version, method)
	if !ok {
		return spec.Schema{}, false
	}
	return m.Schema(l.Version, kind)
}

// asks reports whether a message has the method.
func asks(m spec.Message, version, method string) bool {
	return slices.ContainsFunc(m.Schemas, func(s spec.Schema) bool {
		return s.Version == version && slices.Contains(s.Methods, method)
	})
}

func titleOf(l *Line, method string) string {
	x := spec.Default()
	if l.Face == FaceTerminal {
		for _, m := range x.Link() {
			if m.Name == method {
				return m.Title
			}
		}
		return ""
	}
	if m, ok := x.ByMethod(spec.Side(l.Face), l.Version, method); ok {
		return m.Title
	}
	for _, name := range l.Extensions {
		e, _ := x.Extension(name)
		for _, m := range e.Messages {
			if asks(m, l.Version, method) {
				return m.Title
			}
		}
	}
	return ""
}

// requiredOf reads from a response's schema which members its result must have,
// or that it is an array.
func requiredOf(raw []byte) (names []string, array bool) {
	var body struct {
		Properties struct {
			Result struct {
				Type     string   `json:"type"`
				Required []string `json:"required"`
			} `json:"result"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		return nil, false
	}
	return body.Properties.Result.Required, body.Properties.Result.Type == "array"
}

// valueAt returns the scalar at a pointer; of an object or array only that it is
// one.
func valueAt(text, pointer string) (jsontext.Value, bool) {
	dec := jsontext.NewDecoder(strings.NewReader(text), jsontext.AllowDuplicateNames(true))
	for {
		before := dec.InputOffset()
		tok, err := dec.ReadToken()
		if err != nil {
			return nil, false
		}
		if isName(dec) || string(dec.StackPointer()) != pointer {
			continue
		}
		switch tok.Kind() {
		case '{':
			return jsontext.Value("{}"), true
		case '[':
			return jsontext.Value("[]"), true
		}
		return jsontext.Value(strings.TrimLeft(text[before:dec.InputOffset()], ":, \t\r\n")), true
	}
}

// isName reports whether the token that was just read is the name of a member.
func isName(dec *jsontext.Decoder) bool {
	kind, length := dec.StackIndex(dec.StackDepth())
	return kind == '{' && length%2 == 1
}
