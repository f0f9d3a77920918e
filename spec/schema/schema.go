// Package schema judges messages by the published schemas of package spec and
// says what is wrong with them, where, and by which rule.
//
// It costs some hundred microseconds a message, so it is for tests, for the
// traffic view and for the checker. It is never on the path of a payment: there
// the typed decoders decide, and tests hold the two equal.
package schema

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/tillwire/tillwire/spec"
)

// ErrNotJSON says that a message is not one JSON text in valid UTF-8, or that an
// object in it has one name twice.
var ErrNotJSON = errors.New("schema: not JSON")

// ErrNoSchema says that no schema file of that version and name is published.
var ErrNoSchema = errors.New("schema: no such schema")

// A Fault is one broken rule.
type Fault struct {
	Pointer string // where; for a missing or unwanted member, where it would be or is
	Rule    string // the schema keyword, as in required or maximum
	Message string // for a developer
}

// A Validator holds all schemas, compiled. It may be used by many goroutines at
// once.
type Validator struct {
	compiled map[string]*jsonschema.Schema // by folder/file
}

// base is where the schemas stand for the compiler. Nothing is fetched from it.
const base = "spec:///"

// New compiles the schemas of an index and checks each against the draft-04
// metaschema.
func New(x *spec.Index) (*Validator, error) {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft4)
	c.UseLoader(noLoader{})
	v := &Validator{compiled: map[string]*jsonschema.Schema{}}
	messages := append(x.Messages(), x.Link()...)
	for _, e := range x.Extensions() {
		messages = append(messages, e.Messages...)
	}
	for _, m := range messages {
		for _, s := range m.Schemas {
			key := s.Folder + "/" + s.File
			if _, ok := v.compiled[key]; ok {
				continue // the error message is published once for both sides
			}
			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(s.Raw))
			if err != nil {
				return nil, fmt.Errorf("schema: %s: %w", key, err)
			}
			if err := c.AddResource(base+key, doc); err != nil {
				return nil, fmt.Errorf("schema: %s: %w", key, err)
			}
			if v.compiled[key], err = c.Compile(base + key); err != nil {
				return nil, fmt.Errorf("schema: %s: %w", key, err)
			}
		}
	}
	return v, nil
}

// noLoader keeps the compiler from reading anything that it was not given.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("schema: %s is not at hand; schemas stand alone", url)
}

// Check judges a message by the schema published as that file in that folder,
// which is a version of the contract, or as in extensions/keys/v1 and link/v1. It returns
// the faults in the order of their places, none if the message fits. The error
// is [ErrNotJSON] or [ErrNoSchema].
func (v *Validator) Check(folder, file string, text []byte) ([]Fault, error) {
	s, ok := v.compiled[folder+"/"+file]
	if !ok {
		return nil, fmt.Errorf("%w: %s/%s", ErrNoSchema, folder, file)
	}
	return check(s, text)
}

// check judges a text by one schema.
func check(s *jsonschema.Schema, text []byte) ([]Fault, error) {
	if err := readable(text); err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotJSON, err)
	}
	var failure *jsonschema.ValidationError
	if err := s.Validate(doc); err == nil {
		return nil, nil
	} else if !errors.As(err, &failure) {
		return nil, err
	}
	faults := collect(failure)
	slices.SortFunc(faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Pointer, b.Pointer), cmp.Compare(a.Rule, b.Rule))
	})
	return slices.CompactFunc(faults, func(a, b Fault) bool {
		return a.Pointer == b.Pointer && a.Rule == b.Rule
	}), nil
}

// readable makes sure that the text is strict JSON whose numbers the validator
// can hold: it works them out to the last digit, so that a short text with a
// large exponent would take all memory.
func readable(text []byte) error {
	dec := jsontext.NewDecoder(bytes.NewReader(text))
	if _, err := dec.ReadValue(); err != nil {
		return fmt.Errorf("%w: %w", ErrNotJSON, err)
	}
	if _, err := dec.ReadToken(); err == nil {
		return fmt.Errorf("%w: more than one value", ErrNotJSON)
	}
	for dec = jsontext.NewDecoder(bytes.NewReader(text)); ; {
		tok, err := dec.ReadToken()
		if err != nil {
			return nil // the end
		}
		if tok.Kind() != '0' {
			continue
		}
		f, err := strconv.ParseFloat(tok.String(), 64)
		if err != nil || (f == 0 && strings.ContainsAny(tok.String(), "eE")) || len(tok.String()) > 400 {
			return fmt.Errorf("%w: a number out of reach at %s", ErrNotJSON, dec.StackPointer())
		}
	}
}

// collect returns the faults below a failure. Of alternatives only the one that
// the message was meant to be is looked into.
func collect(f *jsonschema.ValidationError) []Fault {
	switch k := f.ErrorKind.(type) {
	case *kind.AnyOf:
		return meant(f)
	case *kind.Required:
		return each(f, k.Missing, "required", "is required")
	case *kind.AdditionalProperties:
		return each(f, k.Properties, "additionalProperties", "is not allowed here")
	case *kind.DependentRequired:
		return each(f, k.Missing, "dependentRequired", "is required beside "+k.Prop)
	case *kind.FalseSchema:
		at := pointer(f.InstanceLocation)
		return []Fault{{at, "additionalProperties", at + " is not allowed here"}}
	}
	if len(f.Causes) > 0 {
		var out []Fault
		for _, c := range f.Causes {
			out = append(out, collect(c)...)
		}
		return out
	}
	rule := strings.Join(f.ErrorKind.KeywordPath(), "/")
	if _, ok := f.ErrorKind.(*kind.Not); ok {
		rule = "not" // the library gives it no path
	}
	at := pointer(f.InstanceLocation)
	return []Fault{{at, rule, strings.TrimSpace(at + " " + says(f.ErrorKind))}}
}

// says puts a broken rule into words. Values of the message are not repeated:
// they may be what must not be logged.
func says(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return "must be of type " + strings.Join(k.Want, " or ")
	case *kind.Enum:
		return fmt.Sprintf("must be one of %v", k.Want)
	case *kind.Minimum:
		return "must be at least " + k.Want.RatString()
	case *kind.Maximum:
		return "must be at most " + k.Want.RatString()
	case *kind.MinLength:
		return fmt.Sprintf("must have at least %d characters", k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("must have at most %d characters", k.Want)
	case *kind.Pattern:
		return "must be written as " + k.Want
	case *kind.MaxItems:
		return fmt.Sprintf("must have at most %d items", k.Want)
	case *kind.MaxProperties:
		return fmt.Sprintf("must have at most %d members", k.Want)
	case *kind.Not:
		return "has members that exclude each other"
	default:
		return "breaks the rule " + strings.Join(k.KeywordPath(), " ")
	}
}

// each makes one fault a member.
func each(f *jsonschema.ValidationError, names []string, rule, says string) []Fault {
	out := make([]Fault, len(names))
	for i, name := range names {
		at := pointer(append(slices.Clone(f.InstanceLocation), name))
		out[i] = Fault{at, rule, at + " " + says}
	}
	return out
}

// meant returns the faults of the alternative that the message was meant to be.
// An alternative says inline which message it is for ("method": {"enum":
// ["sale"]}) and refers to a definition, or has other keywords, for what it
// demands. So a broken enum that stands inline rules the alternative out; among
// the rest the one with the fewest faults is taken, the first of equals. If all
// are ruled out, the rule above them has said so already.
func meant(f *jsonschema.ValidationError) []Fault {
	var best []Fault
	for _, c := range f.Causes {
		if ruledOut(c, f.SchemaURL) {
			continue
		}
		if faults := collect(c); best == nil || len(faults) < len(best) {
			best = faults
		}
	}
	return best
}

// ruledOut reports whether an enum below the failure is broken whose schema lies
// under the URL itself, not behind a reference.
func ruledOut(f *jsonschema.ValidationError, url string) bool {
	if _, ok := f.ErrorKind.(*kind.Enum); ok && strings.HasPrefix(f.SchemaURL, strings.TrimSuffix(url, "/")+"/anyOf/") {
		return true
	}
	return slices.ContainsFunc(f.Causes, func(c *jsonschema.ValidationError) bool { return ruledOut(c, url) })
}

// pointer writes a JSON pointer.
func pointer(tokens []string) string {
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	var b strings.Builder
	for _, t := range tokens {
		b.WriteByte('/')
		b.WriteString(escape.Replace(t))
	}
	return b.String()
}
