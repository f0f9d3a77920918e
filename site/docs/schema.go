package docs

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// A node is a schema, or one in it, ready to be shown: references are put in
// place, and what allOf adds is added.
type node struct {
	Title, Description string
	Types              []string
	Enum               []string // as JSON
	Default            string   // as JSON, or empty
	Pattern, Format    string

	Minimum, Maximum     string // of a number
	MinLength, MaxLength string
	MinItems, MaxItems   string
	MaxProperties        string
	Closed               bool // no other members
	Required             []string
	Properties           []property
	Items                *node
	Extra                *node // what other members are
	Not                  *node
	Choices              []*node // one of them holds
	Recursive            bool    // it is within itself; not shown again
	hasDescription       bool
}

// A property is one member of an object.
type property struct {
	Name string
	Node *node
}

// A value is JSON with its members in the order of the file.
type value struct {
	members []member
	items   []value
	text    string // of a string, otherwise as it stands
	kind    jsontext.Kind
}

type member struct {
	name  string
	value value
}

func (v value) get(name string) (value, bool) {
	for _, m := range v.members {
		if m.name == name {
			return m.value, true
		}
	}
	return value{}, false
}

// parseJSON reads one JSON text.
func parseJSON(raw []byte) (value, error) {
	d := jsontext.NewDecoder(bytes.NewReader(raw))
	v, err := readValue(d)
	if err != nil {
		return value{}, err
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return value{}, errors.New("more than one JSON text")
	}
	return v, nil
}

func readValue(d *jsontext.Decoder) (value, error) {
	switch k := d.PeekKind(); k {
	case '{', '[':
		if _, err := d.ReadToken(); err != nil {
			return value{}, err
		}
		v := value{kind: k}
		for d.PeekKind() != '}' && d.PeekKind() != ']' {
			name := ""
			if k == '{' {
				t, err := d.ReadToken()
				if err != nil {
					return value{}, err
				}
				name = t.String()
			}
			inner, err := readValue(d)
			if err != nil {
				return value{}, err
			}
			if k == '{' {
				v.members = append(v.members, member{name, inner})
			} else {
				v.items = append(v.items, inner)
			}
		}
		_, err := d.ReadToken()
		return v, err
	default:
		raw, err := d.ReadValue()
		if err != nil {
			return value{}, err
		}
		v := value{kind: k, text: string(raw)}
		if k == '"' {
			s, err := jsontext.AppendUnquote(nil, raw)
			if err != nil {
				return value{}, err
			}
			v.text = string(s)
		}
		return v, nil
	}
}

// JSON is the value as it is written.
func (v value) JSON() string {
	if v.kind == '"' {
		q, err := jsontext.AppendQuote(nil, v.text)
		if err != nil {
			return strconv.Quote(v.text)
		}
		return string(q)
	}
	return v.text
}

// readSchema makes nodes of a schema file. A keyword that it does not know is an
// error: what is not shown would not be true.
func readSchema(raw []byte) (*node, error) {
	v, err := parseJSON(raw)
	if err != nil {
		return nil, err
	}
	definitions, _ := v.get("definitions")
	r := schemaReader{definitions: definitions}
	return r.node(v, nil)
}

type schemaReader struct{ definitions value }

func (r schemaReader) node(v value, within []string) (*node, error) {
	n := &node{}
	for _, m := range v.members {
		if err := r.keyword(n, m.name, m.value, within); err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return n, nil
}

func (r schemaReader) keyword(n *node, name string, v value, within []string) error {
	var err error
	switch name {
	case "$schema", "definitions":
	case "title":
		n.Title = v.text
	case "description":
		n.Description, n.hasDescription = v.text, true
	case "type":
		n.Types = []string{v.text}
		for i, t := range v.items {
			if i == 0 {
				n.Types = nil
			}
			n.Types = append(n.Types, t.text)
		}
	case "enum":
		for _, e := range v.items {
			n.Enum = append(n.Enum, e.JSON())
		}
	case "default":
		n.Default = v.JSON()
	case "pattern":
		n.Pattern = v.text
	case "format":
		n.Format = v.text
	case "minimum":
		n.Minimum = v.text
	case "maximum":
		n.Maximum = v.text
	case "minLength":
		n.MinLength = v.text
	case "maxLength":
		n.MaxLength = v.text
	case "minItems":
		n.MinItems = v.text
	case "maxItems":
		n.MaxItems = v.text
	case "maxProperties":
		n.MaxProperties = v.text
	case "required":
		for _, e := range v.items {
			n.Required = append(n.Required, e.text)
		}
	case "additionalProperties":
		switch v.kind {
		case 'f':
			n.Closed = true
		case '{':
			n.Extra, err = r.node(v, within)
		}
	case "properties":
		for _, p := range v.members {
			inner, err := r.node(p.value, within)
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			n.Properties = append(n.Properties, property{p.name, inner})
		}
	case "items":
		n.Items, err = r.node(v, within)
	case "not":
		n.Not, err = r.node(v, within)
	case "anyOf", "oneOf":
		for _, e := range v.items {
			inner, err := r.node(e, within)
			if err != nil {
				return err
			}
			n.Choices = append(n.Choices, inner)
		}
	case "allOf":
		for _, e := range v.items {
			inner, err := r.node(e, within)
			if err != nil {
				return err
			}
			if err := n.add(inner); err != nil {
				return err
			}
		}
	case "$ref":
		target, ok := strings.CutPrefix(v.text, "#/definitions/")
		if !ok {
			return fmt.Errorf("%s points out of the file", v.text)
		}
		if slices.Contains(within, target) {
			n.Recursive = true
			return nil
		}
		definition, ok := r.definitions.get(target)
		if !ok {
			return fmt.Errorf("%s is not defined", v.text)
		}
		inner, err := r.node(definition, append(slices.Clone(within), target))
		if err != nil {
			return err
		}
		return n.add(inner)
	default:
		return errors.New("a keyword that the docs cannot show")
	}
	return err
}

// add puts in what another schema says that holds as well.
func (n *node) add(m *node) error {
	if !n.hasDescription {
		n.Description, n.hasDescription = m.Description, m.hasDescription
	}
	if len(n.Types) > 0 && len(m.Types) > 0 && !slices.Equal(n.Types, m.Types) ||
		len(n.Properties) > 0 && len(m.Properties) > 0 || len(n.Choices) > 0 && len(m.Choices) > 0 || n.Items != nil && m.Items != nil {
		return errors.New("two schemas that cannot be shown as one")
	}
	if len(n.Types) == 0 {
		n.Types = m.Types
	}
	if len(n.Enum) == 0 {
		n.Enum = m.Enum
	}
	for into, from := range map[*string]string{
		&n.Default: m.Default, &n.Pattern: m.Pattern, &n.Format: m.Format, &n.Minimum: m.Minimum, &n.Maximum: m.Maximum,
		&n.MinLength: m.MinLength, &n.MaxLength: m.MaxLength, &n.MinItems: m.MinItems, &n.MaxItems: m.MaxItems, &n.MaxProperties: m.MaxProperties,
	} {
		*into = cmp.Or(*into, from)
	}
	n.Closed = n.Closed || m.Closed
	n.Required = append(n.Required, m.Required...)
	n.Properties = append(n.Properties, m.Properties...)
	n.Choices = append(n.Choices, m.Choices...)
	n.Items, n.Extra, n.Not = cmp.Or(n.Items, m.Items), cmp.Or(n.Extra, m.Extra), cmp.Or(n.Not, m.Not)
	n.Recursive = n.Recursive || m.Recursive
	return nil
}

// Type says in words what a value is, with its limits: "integer 1 … 99999999".
func (n *node) Type() string {
	t := strings.Join(n.Types, " or ")
	if t == "" && (len(n.Properties) > 0 || n.Extra != nil) {
		t = "object"
	}
	if slices.Equal(n.Types, []string{"array"}) && n.Items != nil {
		t = "array of " + cmp.Or(strings.Join(n.Items.Types, " or "), "values")
	}
	if r := span(n.Minimum, n.Maximum); r != "" {
		t += " " + r
	}
	if n.MinLength != "" || n.MaxLength != "" {
		t += ", " + counted(n.MinLength, n.MaxLength, "character")
	}
	if n.MinItems != "" || n.MaxItems != "" {
		t += ", " + counted(n.MinItems, n.MaxItems, "item")
	}
	if n.MaxProperties != "" {
		if n.MaxProperties == "0" {
			t += ", empty"
		} else {
			t += ", at most " + n.MaxProperties + " members"
		}
	}
	if n.Format != "" {
		t += ", " + n.Format
	}
	return strings.TrimPrefix(strings.TrimSpace(t), ", ")
}

// counted is a span of things.
func counted(least, most, thing string) string {
	if most == "1" || most == "" && least == "1" {
		return span(least, most) + " " + thing
	}
	return span(least, most) + " " + thing + "s"
}

func span(least, most string) string {
	switch {
	case least == "" && most == "":
		return ""
	case least == most:
		return "exactly " + least
	case least == "":
		return "at most " + most
	case most == "":
		return "at least " + least
	}
	return least + " … " + most
}

// IsRequired reports whether an object must have the member.
func (n *node) IsRequired(name string) bool { return slices.Contains(n.Required, name) }

// Inner is what a value is made of: itself, or its items.
func (n *node) Inner() *node {
	if n.Items != nil {
		return n.Items.Inner()
	}
	return n
}

// HasParts reports whether there is something to open.
func (n *node) HasParts() bool {
	return len(n.Properties) > 0 || n.Extra != nil && (len(n.Extra.Properties) > 0 || n.Extra.Description != "")
}

// Parts says how many members there are to see.
func (n *node) Parts() string {
	switch count := len(n.Properties); {
	case count == 0:
		return "its values"
	case count == 1:
		return "1 member"
	default:
		return fmt.Sprintf("%d members", count)
	}
}

// condition says when a choice holds, in Markdown: the members whose values it
// names, those that it needs, and those that must not be there.
func (n *node) condition() string {
	var when []string
	for _, p := range n.Properties {
		if len(p.Node.Enum) > 0 && !p.Node.HasParts() {
			when = append(when, fmt.Sprintf("`%s` is %s", p.Name, anyOf(p.Node.Enum)))
		} else if p.Node.MaxItems == "0" || p.Node.MaxProperties == "0" {
			when = append(when, fmt.Sprintf("`%s` is empty", p.Name))
		} else if p.Node.MinItems != "" && !p.Node.HasParts() {
			when = append(when, fmt.Sprintf("`%s` has %s items", p.Name, span(p.Node.MinItems, p.Node.MaxItems)))
		}
	}
	if len(n.Required) > 0 {
		when = append(when, allOf(n.Required)+" must be there")
	}
	if n.Not != nil {
		when = append(when, n.Not.absence())
	}
	if len(when) == 0 {
		return "anything else"
	}
	return strings.Join(when, "; ")
}

// absence says what a schema under "not" rules out.
func (n *node) absence() string {
	var out []string
	for _, c := range n.Choices {
		out = append(out, c.absence())
	}
	switch len(n.Required) {
	case 0:
	case 1:
		out = append(out, "without `"+n.Required[0]+"`")
	default:
		out = append(out, "not "+allOf(n.Required)+" at once")
	}
	return strings.Join(out, ", ")
}

func anyOf(values []string) string {
	return list(values, "or", func(s string) string { return "`" + strings.Trim(s, `"`) + "`" })
}

func allOf(names []string) string {
	return list(names, "and", func(s string) string { return "`" + s + "`" })
}

func list(values []string, last string, show func(string) string) string {
	var b strings.Builder
	for i, v := range values {
		switch {
		case i == 0:
		case i == len(values)-1:
			b.WriteString(" " + last + " ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(show(v))
	}
	return b.String()
}
