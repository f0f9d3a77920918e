package spec

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// V2 is the newest version of the REST interface. Of the WebSocket there is no
// such version.
const V2 = "v2"

// REST is the contract of the REST interface, which is read from the folder
// rest. Like the index it never changes.
type REST struct {
	errors []RESTError
	faults []RESTText
	texts  []RESTText
}

// A RESTError is one way in which a request is refused.
type RESTError struct {
	Name   string      `json:"name"` // one of the REST constants
	Status int         `json:"status"`
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

// REST returns the contract of the REST interface.
func (x *Index) REST() REST { return x.rest }

// Errors returns the errors, in the order of their statuses.
func (r REST) Errors() []RESTError { return slices.Clone(r.errors) }

// Error returns the error of that name, which is one of the REST constants. It
// panics if there is none of that name.
func (r REST) Error(name string) RESTError {
	for _, e := range r.errors {
		if e.Name == name {
			return e
		}
	}
	panic(fmt.Sprintf("spec: no error %q of REST", name))
}

// Faults returns the sentences about a body that cannot be taken.
func (r REST) Faults() []RESTText { return slices.Clone(r.faults) }

// Texts returns the other texts that a till gets to see.
func (r REST) Texts() []RESTText { return slices.Clone(r.texts) }

// loadREST reads the folder rest. The errors of the WebSocket are read before.
func (x *Index) loadREST(fsys fs.FS) error {
	var file struct {
		Errors []RESTError `json:"errors"`
		Faults []RESTText  `json:"faults"`
		Texts  []RESTText  `json:"texts"`
	}
	if err := read(fsys, "rest/errors.json", &file); err != nil {
		return err
	}
	x.rest.errors, x.rest.faults, x.rest.texts = file.Errors, file.Faults, file.Texts
	for _, e := range x.rest.errors {
		if len(e.Texts) == 0 {
			return fmt.Errorf("error %s: no text", e.Name)
		}
		for i := range e.Texts {
			if err := x.resolve(&e.Texts[i].Text, e.Texts[i].Same); err != nil {
				return fmt.Errorf("error %s: %w", e.Name, err)
			}
		}
	}
	for i := range x.rest.texts {
		if err := x.resolve(&x.rest.texts[i].Text, x.rest.texts[i].Same); err != nil {
			return fmt.Errorf("text %s: %w", x.rest.texts[i].Name, err)
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
