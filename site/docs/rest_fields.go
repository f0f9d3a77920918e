package docs

import (
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/tillwire/tillwire/spec"
)

// A fields block lists parameters, headers, or the fields of an object, with
// their anchors below ID.
type fields struct {
	ID     string
	Title  string // Markdown; empty where a heading stands above
	List   []field
	Groups []fieldGroup
}

// A field is one of them.
type field struct {
	Name     string
	Anchor   string // below that of the block; the name if empty
	Type     string // Markdown
	Versions []string
	Required bool
	Notes    []string // when it has to be there, and when it must not
	Text     string   // Markdown
	Values   []wordList
	Pattern  string
	Example  string
	Inner    *fields // its own, ID being empty
}

// A wordList is the words that a field can have.
type wordList struct {
	Label string
	Words []string
	Href  string // where they are explained, if they are
}

// A fieldGroup is fields that join the others all at once.
type fieldGroup struct {
	Name string
	When string // Markdown
	List []field
}

// A fieldMaker makes fields of the contract.
type fieldMaker struct {
	rest   spec.REST
	nested bool // with what is in objects, not only a link to them
}

// only returns the versions to be named: none where all of the page have it.
func (fieldMaker) only(has, of []string) []string {
	var in []string
	for _, v := range newestFirst(of) {
		if len(has) == 0 || slices.Contains(has, v) {
			in = append(in, v)
		}
	}
	if len(in) == len(of) {
		return nil
	}
	return in
}

func (f fieldMaker) parameter(p spec.RESTParameter, versions []string) field {
	n := node{Types: []string{p.Type}, Minimum: number(p.Minimum)}
	out := field{
		Name: p.Name, Type: n.Type(), Versions: f.only(p.Versions, versions), Required: p.In == "path", Text: p.Text, Example: p.Example,
		Values: f.words(p.Enum, versions),
	}
	if p.Enum != "" || p.Type == "boolean" {
		out.Example = "" // the words are there
	}
	return out
}

func (f fieldMaker) header(h spec.RESTHeader, versions []string) field {
	n := node{
		Types: []string{h.Type}, Minimum: number(h.Minimum), MinLength: count(h.MinLength), MaxLength: count(h.MaxLength), Format: h.Format,
	}
	out := field{Name: h.Name, Type: n.Type(), Text: h.Text, Pattern: visible(h.Pattern), Example: h.Example}
	if len(h.Values) > 0 {
		out.Values, out.Example = []wordList{{Label: label(len(h.Values)), Words: h.Values}}, ""
	}
	out.Required, out.Notes = f.required(false, h.Required, nil, versions)
	return out
}

// required says when something has to be there: everywhere, or in the words that
// it returns.
func (f fieldMaker) required(always bool, in, forWhat, versions []string) (bool, []string) {
	var notes []string
	if len(in) > 0 {
		switch some := f.only(in, versions); {
		case some == nil:
			always = true
		case len(some) > 0:
			notes = append(notes, "required in "+strings.Join(some, ", "))
		}
	}
	if len(forWhat) > 0 {
		notes = append(notes, "required for "+strings.Join(forWhat, ", "))
	}
	return always, notes
}

// object lists the fields of an object in some versions.
func (f fieldMaker) object(id string, o spec.RESTObject, versions []string) fields {
	out := fields{ID: id, List: f.fieldsOf(o, versions)}
	if len(o.Signing) > 0 {
		if in := f.among(o.SigningIn, versions); len(in) > 0 {
			out.Groups = append(out.Groups, fieldGroup{
				Name: "while a signature is awaited",
				When: "in " + strings.Join(in, " and ") + ": " + allOf(o.Signing) + " stand beside them.",
			})
		}
	}
	if finished, ok := f.rest.Object(o.Finished); ok {
		g := fieldGroup{Name: "once it has finished"}
		g.When = fmt.Sprintf("all of [%s](%s#%s) stand beside them at once; `%s` tells.", finished.Title, restObjects, finished.Name, o.FinishedBy)
		if in := f.among(o.FinishedIn, versions); len(in) > 0 {
			g.When += " In " + strings.Join(in, " and ") + " there is no other answer."
		}
		if f.nested {
			g.List = f.fieldsOf(finished, versions)
		}
		out.Groups = append(out.Groups, g)
	}
	return out
}

// among returns those of the versions that are on the page.
func (fieldMaker) among(some, of []string) []string {
	return slices.DeleteFunc(newestFirst(some), func(v string) bool { return !slices.Contains(of, v) })
}

func (f fieldMaker) fieldsOf(o spec.RESTObject, versions []string) []field {
	var out []field
	if with, ok := f.rest.Object(o.With); ok {
		out = f.fieldsOf(with, versions)
	}
	for _, x := range o.Fields {
		has := x.Versions
		if len(has) > 0 && len(f.among(has, versions)) == 0 {
			continue
		}
		v := f.field(x, versions)
		if slices.ContainsFunc(out, func(other field) bool { return other.Name == x.Name }) {
			v.Anchor = x.Name + "-" + strings.Join(newestFirst(has), "-")
		}
		out = append(out, v)
	}
	return out
}

func (f fieldMaker) field(x spec.RESTField, versions []string) field {
	inner, isObject := f.rest.Object(x.Of)
	out := field{
		Name: x.Name, Type: f.typeOf(x), Versions: f.only(x.Versions, versions), Text: x.Text, Pattern: visible(x.Pattern), Example: x.Example,
		Values: f.words(x.Enum, versions),
	}
	if x.Enum != "" || x.Type == "boolean" {
		out.Example = "" // the words are there
	}
	out.Required, out.Notes = f.required(x.Required, x.RequiredIn, x.RequiredFor, versions)
	if len(x.OnlyFor) > 0 && !slices.Equal(x.OnlyFor, x.RequiredFor) {
		out.Notes = append(out.Notes, "only for "+strings.Join(x.OnlyFor, ", "))
	}
	if len(x.NotFor) > 0 {
		out.Notes = append(out.Notes, "not for "+strings.Join(x.NotFor, ", "))
	}
	if x.Empty {
		out.Values = append(out.Values, wordList{Label: "or empty"})
	}
	if len(x.Not) > 0 {
		out.Values = append(out.Values, wordList{Label: "never", Words: x.Not})
	}
	if isObject && f.nested {
		in := f.among(versions, inner.Versions)
		view := f.object("", inner, in)
		out.Inner = &view
	}
	return out
}

// typeOf says what a field is, with its limits, in Markdown.
func (f fieldMaker) typeOf(x spec.RESTField) string {
	n := node{
		Types: []string{x.Type}, Format: x.Format, Minimum: number(x.Minimum), Maximum: number(x.Maximum),
		MinLength: count(x.MinLength), MaxLength: count(x.MaxLength), MinItems: count(x.MinItems), MaxItems: count(x.MaxItems),
	}
	o, isObject := f.rest.Object(x.Of)
	is := x.Of
	if isObject {
		is = fmt.Sprintf("[%s](%s#%s)", o.Title, restObjects, o.Name)
	}
	switch x.Type {
	case "object":
		n.Types = []string{is}
	case "map":
		n.Types = []string{"object, by name a " + is}
	case "array":
		n.Types = []string{"array of " + is}
	}
	out := n.Type()
	if x.ItemMinLength+x.ItemMaxLength > 0 {
		out += ", " + span(count(x.ItemMinLength), count(x.ItemMaxLength)) + " characters each"
	}
	return out
}

// words are those of an enum: those that all versions of the page have, then
// what newer ones have more.
func (f fieldMaker) words(enum string, versions []string) []wordList {
	e, ok := f.rest.Enum(enum)
	if !ok {
		return nil
	}
	var out []wordList
	var known []string
	for _, v := range slices.Sorted(slices.Values(versions)) {
		more := slices.DeleteFunc(e.In(v), func(w string) bool { return slices.Contains(known, w) })
		switch {
		case len(more) == 0:
		case len(out) == 0:
			out = append(out, wordList{label(len(more)), more, restWords + "#" + enum})
		default:
			out = append(out, wordList{"and in " + v, more, ""})
		}
		known = append(known, more...)
	}
	return out
}

// visible writes control characters as JSON can.
func visible(pattern string) string {
	var b strings.Builder
	for _, c := range pattern {
		if unicode.IsControl(c) {
			fmt.Fprintf(&b, `\u%04x`, c)
		} else {
			b.WriteRune(c)
		}
	}
	return b.String()
}

func label(n int) string {
	if n == 1 {
		return "always"
	}
	return "one of"
}

func number(n *int64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(*n, 10)
}

func count(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// What the template shows of fields.
type (
	fieldsView struct {
		Title  template.HTML
		List   []fieldView
		Groups []groupView
	}
	fieldView struct {
		field
		ID         string
		Type, Text template.HTML
		Parts      string
		Open       bool
		Inner      *fieldsView
	}
	groupView struct {
		ID, Name string
		When     template.HTML
		List     fieldsView
	}
)

func (f fields) html(r *renderer) (template.HTML, error) {
	v := f.view(r, f.ID, 0)
	v.Title = r.inlineQuiet(f.Title)
	return r.run("fields-block", v)
}

func (f fields) view(r *renderer, id string, depth int) fieldsView {
	v := fieldsView{List: viewFields(r, f.List, id, depth)}
	for _, g := range f.Groups {
		view := groupView{ID: r.own(id + "." + slug(g.Name)), Name: g.Name, When: r.inline(g.When)}
		view.List.List = viewFields(r, g.List, id, depth)
		v.Groups = append(v.Groups, view)
	}
	return v
}

func viewFields(r *renderer, list []field, id string, depth int) []fieldView {
	var out []fieldView
	for _, x := range list {
		anchor := x.Anchor
		if anchor == "" {
			anchor = x.Name
		}
		v := fieldView{field: x, ID: r.own(id + "." + anchor)}
		if depth == 0 {
			r.at(v.ID, x.Name) // what lies deeper is found on the page of the objects
		}
		v.Type, v.Text = r.inlineQuiet(x.Type), r.inline(x.Text)
		v.Values = slices.Clone(x.Values)
		for i, w := range v.Values {
			r.say(strings.Join(w.Words, " "))
			if w.Href != "" {
				v.Values[i].Href = r.href(w.Href)
			}
		}
		if x.Inner != nil {
			inner := x.Inner.view(r, v.ID, depth+1)
			v.Inner, v.Open = &inner, depth == 0 && len(list) == 1
			v.Parts = "1 field"
			if n := len(x.Inner.List); n != 1 {
				v.Parts = fmt.Sprintf("%d fields", n)
			}
		}
		out = append(out, v)
	}
	return out
}

func (f fields) markdown(r *renderer) string {
	var b strings.Builder
	if f.Title != "" {
		b.WriteString(f.Title + ":\n\n")
	}
	f.write(r, &b, "")
	return strings.TrimSpace(b.String())
}

func (f fields) write(r *renderer, b *strings.Builder, indent string) {
	writeFields(r, b, f.List, indent)
	for _, g := range f.Groups {
		fmt.Fprintf(b, "%s- %s %s\n", indent, g.Name, r.mdLinks(g.When))
		writeFields(r, b, g.List, indent+"  ")
	}
}

func writeFields(r *renderer, b *strings.Builder, list []field, indent string) {
	for _, x := range list {
		fmt.Fprintf(b, "%s- `%s`", indent, x.Name)
		if x.Type != "" {
			b.WriteString(": " + r.mdLinks(x.Type))
		}
		if len(x.Versions) > 0 {
			b.WriteString(", in " + strings.Join(x.Versions, ", "))
		}
		if x.Required {
			b.WriteString(", required")
		}
		for _, n := range x.Notes {
			b.WriteString(", " + n)
		}
		for _, w := range x.Values {
			b.WriteString(", " + strings.TrimSpace(w.Label+" "+anyOf(w.Words)))
		}
		if x.Pattern != "" {
			fmt.Fprintf(b, ", pattern `%s`", x.Pattern)
		}
		if x.Example != "" {
			fmt.Fprintf(b, ", as in `%s`", x.Example)
		}
		if x.Text != "" {
			b.WriteString(". " + r.mdLinks(x.Text))
		}
		b.WriteString("\n")
		if x.Inner != nil {
			x.Inner.write(r, b, indent+"  ")
		}
	}
}
