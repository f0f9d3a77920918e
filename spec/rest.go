package spec

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// V2 is the newest version of the REST interface. Of the WebSocket there is no
// such version.
const V2 = "v2"

// RESTVersions lists the versions of the REST interface, the oldest first.
func RESTVersions() []string { return []string{V0, V1, V2} }

// REST is the contract of the REST interface, which is read from the folder
// rest. Like the index it never changes.
type REST struct {
	about      string
	endpoints  []RESTEndpoint
	objects    []RESTObject
	enums      []RESTEnum
	parameters []RESTParameter
	headers    []RESTHeader
	errors     []RESTError
	faults     []RESTText
	texts      []RESTText
	common     []string // the errors of every endpoint
	elsewhere  []string // those of what is no endpoint
	outside    []string // those of an endpoint in a version that it is not part of
}

// A RESTEndpoint is a path with a method, or with two that mean the same.
type RESTEndpoint struct {
	Name       string       `json:"name"`
	Title      string       `json:"title"`
	Side       Side         `json:"side"`
	Methods    []string     `json:"methods"`
	Path       string       `json:"path"` // below /pac it is found below /retail, too
	Clause     string       `json:"clause"`
	Versions   []string     `json:"versions"`   // all if the file does not say
	Parameters []string     `json:"parameters"` // of the path and the query
	Headers    []string     `json:"headers"`    // that it takes beside those that all take
	Body       string       `json:"body"`       // the object that it takes, if any
	Answers    []RESTAnswer `json:"answers"`    // in which it succeeds
	Errors     []string     `json:"errors"`     // beside those of all endpoints
	Ours       bool         `json:"ours"`       // the product does not have it

	About    string        `json:"-"` // Markdown: what lies beyond the schemas
	Examples []RESTExample `json:"-"` // edits applied
}

// A RESTAnswer is one way in which an endpoint succeeds.
type RESTAnswer struct {
	Status   int      `json:"status"`
	Versions []string `json:"versions"` // all of the endpoint if the file does not say
	Body     string   `json:"body"`     // the object, if there is one
	Stream   bool     `json:"stream"`   // the body is a stream of events
	Headers  []string `json:"headers"`  // beside those of all answers
	When     string   `json:"when"`
}

// A RESTParameter is a parameter of a path or a query.
type RESTParameter struct {
	Name     string   `json:"name"`
	In       string   `json:"in"` // path or query
	Type     string   `json:"type"`
	Enum     string   `json:"enum"`     // the name of a RESTEnum
	Versions []string `json:"versions"` // all if the file does not say
	Minimum  *int64   `json:"minimum"`
	Example  string   `json:"example"`
	Text     string   `json:"text"`
}

// A RESTHeader is a header of a request or of an answer.
type RESTHeader struct {
	Name      string   `json:"name"`
	To        string   `json:"to"` // gateway or till
	Type      string   `json:"type"`
	MinLength int      `json:"minLength"`
	MaxLength int      `json:"maxLength"`
	Minimum   *int64   `json:"minimum"`
	Pattern   string   `json:"pattern"`
	Format    string   `json:"format"`
	Values    []string `json:"values"`   // all that it can be, if not any
	Required  []string `json:"required"` // the versions in which it has to be there
	Common    bool     `json:"common"`   // in every request or answer
	Statuses  []int    `json:"statuses"` // in every answer of these
	Example   string   `json:"example"`
	Text      string   `json:"text"`
}

// A RESTObject is an object in a body.
type RESTObject struct {
	Name     string      `json:"name"`
	Title    string      `json:"title"`
	Versions []string    `json:"versions"` // all if the file does not say
	Body     bool        `json:"body"`     // a till sends it
	With     string      `json:"with"`     // the object whose fields stand before its own
	Fields   []RESTField `json:"fields"`
	// Finished is the object whose fields join these all at once, when FinishedBy
	// is there; in the versions of FinishedIn there is no other. While a signature
	// is awaited those of Signing do, in the versions of SigningIn.
	Finished   string   `json:"finished"`
	FinishedBy string   `json:"finishedBy"`
	FinishedIn []string `json:"finishedIn"`
	Signing    []string `json:"signing"`
	SigningIn  []string `json:"signingIn"`
	By         string   `json:"by"`    // the field by which others are required
	Event      string   `json:"event"` // the name of the event whose data it is, if it is
}

// A RESTField is a field of an object. Two may have one name in different versions.
type RESTField struct {
	Name          string   `json:"name"`
	Type          string   `json:"type"` // string, integer, boolean, object, array or map
	Of            string   `json:"of"`   // of an object, an array and a map: an object, or string
	Enum          string   `json:"enum"` // the name of a RESTEnum, of the string or of each in the array
	Format        string   `json:"format"`
	Pattern       string   `json:"pattern"`
	Not           []string `json:"not"`   // what a string must not be
	Empty         bool     `json:"empty"` // a string of an enum may be empty as well
	Minimum       *int64   `json:"minimum"`
	Maximum       *int64   `json:"maximum"`
	MinLength     int      `json:"minLength"`
	MaxLength     int      `json:"maxLength"`
	MinItems      int      `json:"minItems"`
	MaxItems      int      `json:"maxItems"`
	ItemMinLength int      `json:"itemMinLength"`
	ItemMaxLength int      `json:"itemMaxLength"`
	Versions      []string `json:"versions"` // all of the object if the file does not say
	Required      bool     `json:"required"`
	RequiredIn    []string `json:"requiredIn"`  // the versions in which it is required
	RequiredFor   []string `json:"requiredFor"` // the values of By for which it is
	OnlyFor       []string `json:"onlyFor"`     // the values of By for which it may say something
	NotFor        []string `json:"notFor"`      // those for which it may not
	Example       string   `json:"example"`
	Text          string   `json:"text"`
}

// A RESTEnum is a list of words.
type RESTEnum struct {
	Name   string      `json:"name"`
	From   string      `json:"from"` // the table that it is taken from, if it is one
	Values []RESTValue `json:"values"`
}

// A RESTValue is a word of such a list.
type RESTValue struct {
	Value string `json:"value"`
	Since string `json:"since"` // the first version that has it, if not all have
}

// In returns the words that a version has.
func (e RESTEnum) In(version string) []string {
	var out []string
	for _, v := range e.Values {
		if v.Since <= version {
			out = append(out, v.Value)
		}
	}
	return out
}

// A RESTExample is a body that a till sends or gets.
type RESTExample struct {
	Name      string // unique in its endpoint
	Title     string
	Versions  []string
	Kind      Kind // request or response
	Status    int  // of a response
	Published bool // one of the product's own description
	Text      []byte
	Valid     bool
	Tolerated bool   // taken, though no schema has it
	Beyond    bool   // refused, though every schema has it
	Place     string // of the fault, a JSON pointer
	Rule      string // that is broken, a schema keyword or syntax
	Base      string // name of the example that this one was made from, if any
}

// A RESTError is one way in which a request is refused.
type RESTError struct {
	Name   string      `json:"name"` // one of the REST constants
	Status int         `json:"status"`
	Body   string      `json:"body"` // the object; error if the file does not say
	When   string      `json:"when"`
	Texts  []RESTWords `json:"texts"`
}

// RESTWords is the wording of an error in some versions. Words in braces stand
// for values.
type RESTWords struct {
	Versions []string `json:"versions"`
	Text     string   `json:"text"`
	Same     string   `json:"same"` // the wording of the WebSocket whose userMessage it is, if it is one
}

// A RESTText is another text that a till gets to see.
type RESTText struct {
	Name string `json:"name"`
	Text string `json:"text"`
	Same string `json:"same"` // as in RESTWords
	When string `json:"when"`
}

// Text returns the wording of the error in a version, with values put in as
// [Fill] does. Where the version has none of its own, for it cannot meet the
// error, it is the first there is.
func (e RESTError) Text(version string, namesAndValues ...string) string {
	text := e.Texts[0].Text
	for _, w := range e.Texts {
		if slices.Contains(w.Versions, version) {
			text = w.Text
		}
	}
	return Fill(text, namesAndValues...)
}

// In reports whether the error can be met in a version.
func (e RESTError) In(version string) bool {
	return slices.ContainsFunc(e.Texts, func(w RESTWords) bool { return slices.Contains(w.Versions, version) })
}

// REST returns the contract of the REST interface.
func (x *Index) REST() REST { return x.rest }

// About is a text on the interface as a whole, in Markdown.
func (r REST) About() string { return r.about }

// Endpoints returns the endpoints in the order of the documentation.
func (r REST) Endpoints() []RESTEndpoint { return slices.Clone(r.endpoints) }

// Objects returns the objects, in the order in which they are met.
func (r REST) Objects() []RESTObject { return slices.Clone(r.objects) }

// Enums returns the lists of words.
func (r REST) Enums() []RESTEnum { return slices.Clone(r.enums) }

// Parameters returns the parameters of paths and queries.
func (r REST) Parameters() []RESTParameter { return slices.Clone(r.parameters) }

// Headers returns the headers of requests and answers.
func (r REST) Headers() []RESTHeader { return slices.Clone(r.headers) }

// Errors returns the errors, in the order of their statuses.
func (r REST) Errors() []RESTError { return slices.Clone(r.errors) }

// Elsewhere returns the errors of what is no endpoint.
func (r REST) Elsewhere() []RESTError { return r.named(r.elsewhere) }

// Faults returns the sentences about a body that cannot be taken.
func (r REST) Faults() []RESTText { return slices.Clone(r.faults) }

// Texts returns the other texts that a till gets to see.
func (r REST) Texts() []RESTText { return slices.Clone(r.texts) }

// Endpoint returns the endpoint of that name.
func (r REST) Endpoint(name string) (RESTEndpoint, bool) {
	return lookUp(r.endpoints, name, func(e RESTEndpoint) string { return e.Name })
}

// Object returns the object of that name.
func (r REST) Object(name string) (RESTObject, bool) {
	return lookUp(r.objects, name, func(o RESTObject) string { return o.Name })
}

// Enum returns the list of that name.
func (r REST) Enum(name string) (RESTEnum, bool) {
	return lookUp(r.enums, name, func(e RESTEnum) string { return e.Name })
}

// Parameter returns the parameter of that name.
func (r REST) Parameter(name string) (RESTParameter, bool) {
	return lookUp(r.parameters, name, func(p RESTParameter) string { return p.Name })
}

// Header returns the header of that name.
func (r REST) Header(name string) (RESTHeader, bool) {
	return lookUp(r.headers, name, func(h RESTHeader) string { return h.Name })
}

// Error returns the error of that name, which is one of the REST constants. It
// panics if there is none of that name.
func (r REST) Error(name string) RESTError {
	e, ok := lookUp(r.errors, name, func(e RESTError) string { return e.Name })
	if !ok {
		panic(fmt.Sprintf("spec: no error %q of REST", name))
	}
	return e
}

func lookUp[T any](list []T, name string, nameOf func(T) string) (found T, ok bool) {
	for _, one := range list {
		if nameOf(one) == name {
			return one, true
		}
	}
	return found, false
}

// Refusals returns the errors that an endpoint answers with in a version, in the
// order of their statuses.
func (r REST) Refusals(e RESTEndpoint, version string) []RESTError {
	names := slices.Concat(r.common, e.Errors)
	if !slices.Contains(e.Versions, version) {
		names = r.outside
	}
	return slices.DeleteFunc(r.named(names), func(e RESTError) bool { return !e.In(version) })
}

func (r REST) named(names []string) []RESTError {
	var out []RESTError
	for _, e := range r.errors {
		if slices.Contains(names, e.Name) {
			out = append(out, e)
		}
	}
	return out
}

// FieldsIn returns the fields of an object in a version, without those that join
// when it is finished.
func (r REST) FieldsIn(o RESTObject, version string) []RESTField {
	var out []RESTField
	if o.With != "" {
		with, _ := r.Object(o.With)
		out = r.FieldsIn(with, version)
	}
	for _, f := range o.Fields {
		if len(f.Versions) == 0 || slices.Contains(f.Versions, version) {
			out = append(out, f)
		}
	}
	return out
}

// loadREST reads the folder rest. The tables of the WebSocket are read before.
func (x *Index) loadREST(fsys fs.FS) error {
	r := &x.rest
	var endpoints struct {
		Common    []string       `json:"common"`
		Elsewhere []string       `json:"elsewhere"`
		Outside   []string       `json:"outside"`
		Endpoints []RESTEndpoint `json:"endpoints"`
	}
	var texts struct {
		Errors []RESTError `json:"errors"`
		Faults []RESTText  `json:"faults"`
		Texts  []RESTText  `json:"texts"`
	}
	for file, into := range map[string]any{
		"endpoints.json": &endpoints, "objects.json": &r.objects, "enums.json": &r.enums,
		"parameters.json": &r.parameters, "headers.json": &r.headers, "errors.json": &texts,
	} {
		if err := read(fsys, path.Join("rest", file), into); err != nil {
			return err
		}
	}
	about, err := fs.ReadFile(fsys, "rest/about.md")
	if err != nil {
		return err
	}
	r.about, r.endpoints = string(about), endpoints.Endpoints
	r.common, r.elsewhere, r.outside = endpoints.Common, endpoints.Elsewhere, endpoints.Outside
	r.errors, r.faults, r.texts = texts.Errors, texts.Faults, texts.Texts
	if err := x.resolveREST(); err != nil {
		return err
	}
	for i := range r.objects {
		whereNothing(&r.objects[i].Versions, RESTVersions())
	}
	for i := range r.parameters {
		whereNothing(&r.parameters[i].Versions, RESTVersions())
	}
	for i := range r.endpoints {
		e := &r.endpoints[i]
		whereNothing(&e.Versions, RESTVersions())
		for j := range e.Answers {
			whereNothing(&e.Answers[j].Versions, e.Versions)
		}
		if err := e.load(fsys); err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
	}
	return nil
}

func whereNothing(list *[]string, otherwise []string) {
	if len(*list) == 0 {
		*list = otherwise
	}
}

// resolveREST takes from the tables of the WebSocket what is not listed twice.
func (x *Index) resolveREST() error {
	r := &x.rest
	for i := range r.errors {
		e := &r.errors[i]
		if len(e.Texts) == 0 {
			return fmt.Errorf("error %s: no text", e.Name)
		}
		if e.Body == "" {
			e.Body = "error"
		}
		for j := range e.Texts {
			if err := x.resolve(&e.Texts[j].Text, e.Texts[j].Same); err != nil {
				return fmt.Errorf("error %s: %w", e.Name, err)
			}
		}
	}
	for i := range r.texts {
		if err := x.resolve(&r.texts[i].Text, r.texts[i].Same); err != nil {
			return fmt.Errorf("text %s: %w", r.texts[i].Name, err)
		}
	}
	for i := range r.enums {
		if err := x.words(&r.enums[i]); err != nil {
			return fmt.Errorf("enum %s: %w", r.enums[i].Name, err)
		}
	}
	return nil
}

// resolve takes a text from the error table of the WebSocket where one is named.
func (x *Index) resolve(text *string, same string) error {
	if (*text == "") == (same == "") {
		return errors.New("it has to have either a text or the name of one")
	}
	if same == "" {
		return nil
	}
	for _, e := range x.errors {
		for _, t := range e.Texts {
			if t.Name == same && t.UserMessage != "" {
				*text = t.UserMessage
				return nil
			}
		}
	}
	return fmt.Errorf("no userMessage of the name %s", same)
}

// words takes the words of a list from the table that it names.
func (x *Index) words(e *RESTEnum) error {
	if (len(e.Values) == 0) == (e.From == "") {
		return errors.New("it has to have either words or a table of them")
	}
	add := func(word, since string) { e.Values = append(e.Values, RESTValue{word, since}) }
	switch e.From {
	case "":
	case "results":
		for _, r := range x.results {
			add(r.Value, "")
		}
	case "notifications":
		for _, n := range x.notifications {
			add(n.Value, n.REST)
		}
	case "terminalLines", "allLines":
		for _, l := range x.lines {
			if e.From == "allLines" || slices.Contains(l.From, "terminal") {
				add(l.Type, "")
			}
		}
	case "lineFormats":
		for _, f := range x.formats {
			add(f.Value, "")
		}
	default:
		return fmt.Errorf("there is no table %s", e.From)
	}
	return nil
}

// load reads the text and the examples of an endpoint from its folder.
func (e *RESTEndpoint) load(fsys fs.FS) error {
	about, err := fs.ReadFile(fsys, path.Join("rest", e.Name, "about.md"))
	if err != nil {
		return err
	}
	e.About = string(about)
	var entries []struct {
		Name      string                    `json:"name"`
		Title     string                    `json:"title"`
		Versions  []string                  `json:"versions"`
		Status    int                       `json:"status"`
		Published bool                      `json:"published"`
		Body      jsontext.Value            `json:"body"`
		Raw       string                    `json:"raw"`
		Valid     bool                      `json:"valid"`
		Tolerated bool                      `json:"tolerated"`
		Beyond    bool                      `json:"beyond"`
		Place     string                    `json:"place"`
		Rule      string                    `json:"rule"`
		Base      string                    `json:"base"`
		Set       map[string]jsontext.Value `json:"set"`
		Remove    []string                  `json:"remove"`
	}
	data, err := fs.ReadFile(fsys, path.Join("rest", e.Name, "examples.json"))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &entries, json.RejectUnknownMembers(true)); err != nil {
		return fmt.Errorf("examples.json: %w", err)
	}
	for _, in := range entries {
		ex := RESTExample{
			Name: in.Name, Title: in.Title, Versions: in.Versions, Kind: KindRequest, Status: in.Status, Published: in.Published,
			Valid: in.Valid, Tolerated: in.Tolerated, Beyond: in.Beyond, Place: in.Place, Rule: in.Rule, Base: in.Base, Text: in.Body,
		}
		if in.Body != nil {
			if err := in.Body.Compact(); err != nil {
				return fmt.Errorf("example %s: %w", in.Name, err)
			}
			ex.Text = in.Body
		}
		if in.Raw != "" {
			ex.Text = []byte(in.Raw)
		}
		if in.Base != "" {
			base, ok := e.Example(in.Base)
			if !ok {
				return fmt.Errorf("example %s: its base %s does not stand before it", in.Name, in.Base)
			}
			whereNothing(&ex.Versions, base.Versions)
			if ex.Status == 0 {
				ex.Status = base.Status
			}
			if ex.Text, err = edit(base.Text, in.Set, in.Remove); err != nil {
				return fmt.Errorf("example %s: %w", in.Name, err)
			}
		}
		whereNothing(&ex.Versions, e.Versions)
		if ex.Status != 0 {
			ex.Kind = KindResponse
		}
		if _, ok := e.Example(ex.Name); ok {
			return fmt.Errorf("example %s: twice", ex.Name)
		}
		e.Examples = append(e.Examples, ex)
	}
	return nil
}

// Example returns the example of that name.
func (e RESTEndpoint) Example(name string) (RESTExample, bool) {
	return lookUp(e.Examples, name, func(x RESTExample) string { return x.Name })
}
