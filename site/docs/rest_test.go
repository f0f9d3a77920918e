package docs

import (
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/spec"
)

// legible is what a reader sees of HTML, with single spaces.
func legible(html string) string {
	s := tagsPattern.ReplaceAllString(html, " ")
	s = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&#34;", `"`, "&quot;", `"`, "&#39;", "'", "&#43;", "+", "&amp;", "&").Replace(s)
	return strings.Join(strings.Fields(s), " ")
}

// A sheet is a page that a test looks things up on.
type sheet struct {
	t          *testing.T
	name       string
	html, text string
	markdown   string
	ids        map[string]bool
}

func sheetOf(t *testing.T, s *Site, name string) sheet {
	t.Helper()
	p := s.byPath[name]
	if p == nil {
		t.Fatalf("there is no page %s", name)
	}
	return sheet{t, name, string(p.HTML), legible(string(p.HTML)), strings.Join(strings.Fields(string(p.Markdown)), " "), read(string(p.HTML)).ids}
}

// anchor demands that there is something with this id, and returns the HTML from
// there on.
func (s sheet) anchor(id string) string {
	s.t.Helper()
	if !s.ids[id] {
		s.t.Errorf("%s has no #%s", s.name, id)
		return ""
	}
	return s.html[strings.Index(s.html, ` id="`+id+`"`):]
}

// says demands that words can be read, on the page and in its Markdown.
func (s sheet) says(words string) {
	s.t.Helper()
	words = strings.Join(strings.Fields(words), " ")
	if !strings.Contains(s.text, legible(words)) {
		s.t.Errorf("%s does not say %q", s.name, words)
	}
	if !strings.Contains(s.markdown, words) {
		s.t.Errorf("%s.md does not say %q", s.name, words)
	}
}

// item is the part of a page that belongs to an anchor of a list.
func (s sheet) item(id string) string {
	s.t.Helper()
	part := s.anchor(id)
	for _, end := range []string{`<li id="`, `<li class="choice"`, "</li>"} {
		if at := strings.Index(part[min(1, len(part)):], end); at > 0 {
			part = part[:at+1]
		}
	}
	return legible("<" + part)
}

// field demands that a field is there, below an anchor, with all that the
// contract says of it, and returns the anchor.
func (s sheet) field(r spec.REST, below string, f spec.RESTField, versions []string) string {
	s.t.Helper()
	id := below + "." + f.Name
	if twice := id + "-" + strings.Join(newestFirst(f.Versions), "-"); s.ids[twice] {
		id = twice
	}
	item := s.item(id)
	want := []string{f.Name, legible(strings.ReplaceAll(f.Text, "`", "")), visible(f.Pattern)}
	if !slices.Contains([]string{"object", "map", "array"}, f.Type) {
		want = append(want, f.Type)
	}
	for _, limit := range []*int64{f.Minimum, f.Maximum} {
		if limit != nil {
			want = append(want, fmt.Sprint(*limit))
		}
	}
	for _, limit := range []int{f.MinLength, f.MaxLength, f.MinItems, f.MaxItems, f.ItemMinLength, f.ItemMaxLength} {
		if limit > 0 {
			want = append(want, fmt.Sprint(limit))
		}
	}
	want = append(append(append(append(want, f.RequiredFor...), f.OnlyFor...), f.NotFor...), f.Not...)
	if f.Required || len(f.RequiredIn) > 0 {
		want = append(want, "required")
	}
	if f.Enum != "" {
		e, _ := r.Enum(f.Enum)
		for _, v := range versions {
			if len(f.Versions) == 0 || slices.Contains(f.Versions, v) {
				want = append(want, e.In(v)...)
			}
		}
	} else if f.Type != "boolean" {
		want = append(want, f.Example)
	}
	for _, w := range want {
		if !strings.Contains(item, w) {
			s.t.Errorf("%s#%s does not say %q:\n%s", s.name, id, w, item)
		}
	}
	if at := strings.Index(s.markdown, " - `"+f.Name+"`"); at < 0 || f.Text != "" && !strings.Contains(s.markdown[at:], strings.Join(strings.Fields(f.Text), " ")) {
		s.t.Errorf("%s.md does not say what %s is", s.name, f.Name)
	}
	if len(f.Versions) > 0 && slices.ContainsFunc(versions, func(v string) bool { return !slices.Contains(f.Versions, v) }) {
		for _, v := range versions {
			if has := strings.Contains(" "+item+" ", " "+v+" "); has != slices.Contains(f.Versions, v) && !strings.Contains(f.Text, v) {
				s.t.Errorf("%s#%s: %s is named: %t", s.name, id, v, has)
			}
		}
	}
	return id
}

// object demands that an object is there with all its fields, and what they hold.
func (s sheet) object(r spec.REST, below string, o spec.RESTObject, versions []string, deep bool) {
	s.t.Helper()
	var list []spec.RESTField
	for _, v := range versions {
		for _, f := range r.FieldsIn(o, v) {
			if !slices.ContainsFunc(list, func(other spec.RESTField) bool { return cmp.Equal(other, f) }) {
				list = append(list, f)
			}
		}
	}
	if len(list) == 0 {
		s.t.Errorf("%s has no field in %v", o.Name, versions)
	}
	for _, f := range list {
		id := s.field(r, below, f, versions)
		if inner, ok := r.Object(f.Of); ok && deep {
			in := slices.DeleteFunc(slices.Clone(versions), func(v string) bool {
				return !slices.Contains(inner.Versions, v) || len(f.Versions) > 0 && !slices.Contains(f.Versions, v)
			})
			s.object(r, id, inner, in, deep)
		}
	}
	for _, name := range o.Signing {
		if !strings.Contains(s.anchor(below+".while-a-signature-is-awaited"), "<code>"+name+"</code>") {
			s.t.Errorf("%s does not say that %s is there while a signature is awaited", s.name, name)
		}
	}
	if finished, ok := r.Object(o.Finished); ok {
		s.anchor(below + ".once-it-has-finished")
		if deep {
			s.object(r, below, finished, versions, deep)
		}
	}
}

// TestREST holds the pages of the endpoints to the contract: all of it is there.
func TestREST(t *testing.T) {
	s := must(t, static)
	r := s.index.REST()
	for _, e := range r.Endpoints() {
		t.Run(e.Name, func(t *testing.T) {
			p := sheetOf(t, s, "rest/"+e.Name)
			if s.byPath[p.name].Title != e.Title {
				t.Errorf("its title is %q, want %q", s.byPath[p.name].Title, e.Title)
			}
			for _, m := range e.Methods {
				p.says(m)
			}
			p.says(e.Path)
			for _, words := range strings.Split(e.About, "\n") {
				if words = strings.TrimLeft(words, "-# "); words != "" && !strings.Contains(words, "](") {
					if !strings.Contains(p.text, legible(strings.NewReplacer("`", " ", "**", " ").Replace(words))) && !strings.Contains(squeezed(p.text), squeezed(plain(words))) {
						t.Errorf("it does not say %q", words)
					}
				}
			}
			for _, name := range e.Parameters {
				x, _ := r.Parameter(name)
				item := p.item(x.In + "." + name)
				for _, want := range append([]string{x.Type, x.Text}, wordsOf(r, x.Enum, e.Versions)...) {
					if !strings.Contains(item, want) {
						t.Errorf("of the parameter %s it does not say %q:\n%s", name, want, item)
					}
				}
			}
			for _, name := range e.Headers {
				x, _ := r.Header(name)
				p.anchor("header." + name)
				p.says(x.Text)
			}
			if o, ok := r.Object(e.Body); ok {
				p.object(r, "body", o, e.Versions, true)
			}
			for _, a := range e.Answers {
				id := fmt.Sprintf("answer-%d", a.Status)
				if !p.ids[id] {
					id += "-" + strings.Join(newestFirst(a.Versions), "-")
				}
				if got := legible("<" + p.anchor(id)); !strings.Contains(got, fmt.Sprintf("%d %s", a.Status, http.StatusText(a.Status))) {
					t.Errorf("the answer %d is not told", a.Status)
				}
				p.says(a.When)
				for _, name := range a.Headers {
					p.anchor(id + ".header." + name)
				}
				if o, ok := r.Object(a.Body); ok {
					p.object(r, id, o, a.Versions, true)
				}
				for _, o := range r.Objects() {
					if a.Stream && o.Event != "" {
						p.object(r, id+"."+o.Event, o, a.Versions, true)
					}
				}
			}
			for _, v := range spec.RESTVersions() {
				for _, refused := range r.Refusals(e, v) {
					item := p.item("error-" + refused.Name)
					for _, want := range []string{fmt.Sprint(refused.Status), refused.When, v, refused.Text(v)} {
						if !strings.Contains(item, want) {
							t.Errorf("of %s it does not say %q:\n%s", refused.Name, want, item)
						}
					}
					for _, other := range spec.RESTVersions() {
						meets := slices.ContainsFunc(r.Refusals(e, other), func(x spec.RESTError) bool { return x.Name == refused.Name })
						if !meets && strings.Contains(item, " "+other+" ") && !strings.Contains(refused.When+refused.Text(v), other) {
							t.Errorf("%s is said to be met in %s:\n%s", refused.Name, other, item)
						}
					}
				}
				if has := strings.Contains(p.markdown, " In "+v+" ```sh"); has != slices.Contains(e.Versions, v) {
					t.Errorf("has lines for %s: %t", v, has)
				}
			}
			for _, x := range e.Examples {
				part := p.anchor("example-" + x.Name)
				part, _, _ = strings.Cut(part, "</figure>")
				if x.Valid && !strings.Contains(part, string(markedJSON(x.Text, "-"))) || !x.Valid && !strings.Contains(part, string(element(string(x.Text)))) {
					t.Errorf("the example %s is not shown", x.Name)
				}
				want := []string{x.Title}
				if x.Status != 0 {
					want = append(want, fmt.Sprint(x.Status))
				}
				if !x.Valid {
					want = append(want, x.Rule, x.Place)
				}
				if !slices.Equal(newestFirst(x.Versions), newestFirst(e.Versions)) {
					want = append(want, x.Versions...)
				}
				for _, w := range want {
					if !strings.Contains(legible("<"+part), w) {
						t.Errorf("of the example %s it does not say %q", x.Name, w)
					}
				}
			}
		})
	}
}

// squeezed is a text without any space, which marks of Markdown can leave.
func squeezed(s string) string { return strings.Join(strings.Fields(s), "") }

func wordsOf(r spec.REST, enum string, versions []string) []string {
	e, ok := r.Enum(enum)
	if !ok {
		return nil
	}
	var out []string
	for _, v := range versions {
		out = append(out, e.In(v)...)
	}
	return out
}

// TestRESTTables holds the other pages to the contract.
func TestRESTTables(t *testing.T) {
	s := must(t, static)
	r := s.index.REST()

	refused := sheetOf(t, s, "rest/errors")
	for _, e := range r.Errors() {
		item := refused.item(e.Name)
		want := []string{fmt.Sprint(e.Status), e.When}
		for _, w := range e.Texts {
			want = append(append(want, w.Text), w.Versions...)
		}
		for _, x := range r.Endpoints() {
			if slices.Contains(x.Errors, e.Name) {
				want = append(want, x.Title)
			}
		}
		for _, w := range want {
			if !strings.Contains(item, w) {
				t.Errorf("of %s is not said %q:\n%s", e.Name, w, item)
			}
		}
	}
	for prefix, list := range map[string][]spec.RESTText{"fault-": r.Faults(), "text-": r.Texts()} {
		for _, x := range list {
			if item := refused.item(prefix + x.Name); !strings.Contains(item, x.Text) || !strings.Contains(item, x.When) {
				t.Errorf("the text %s is not whole: %s", x.Name, item)
			}
		}
	}

	objects := sheetOf(t, s, "rest/objects")
	for _, o := range r.Objects() {
		if part := legible("<" + objects.anchor(o.Name)); !strings.Contains(part, o.Title) {
			t.Errorf("the object %s is not called %s", o.Name, o.Title)
		}
		objects.object(r, o.Name, o, o.Versions, false)
	}

	words := sheetOf(t, s, "rest/words")
	for _, e := range r.Enums() {
		for _, v := range e.Values {
			if got, want := words.item(e.Name+"."+v.Value), v.Value+" "+v.Since; !strings.HasPrefix(got+" ", want) {
				t.Errorf("%s of %s: %q, want it to begin with %q", v.Value, e.Name, got, want)
			}
		}
	}
	for _, x := range s.index.Notifications() {
		if !strings.Contains(words.item("notification."+x.Value), legible(strings.ReplaceAll(x.Meaning, "`", ""))) {
			t.Errorf("what %s means is not said", x.Value)
		}
	}
	// What no field of a version can say is not said to be in it.
	if part, _, _ := strings.Cut(words.anchor("capability"), "</h2>"); !strings.HasPrefix(legible("<"+part), "capability v1 v0 ") {
		t.Errorf("capabilities are in v1 and v0: %s", part)
	}

	over := sheetOf(t, s, "rest/index")
	for _, e := range r.Endpoints() {
		if !strings.Contains(over.html, `href="`+e.Name+`.html"`) {
			t.Errorf("the overview does not lead to %s", e.Name)
		}
	}
	for _, h := range r.Headers() {
		over.anchor("to-" + h.To + "." + h.Name)
		over.says(h.Text)
	}
	for _, v := range spec.RESTVersions() {
		over.says(spec.MediaType(v))
	}
	for _, e := range r.Errors() {
		over.anchor(fmt.Sprintf("status-%d", e.Status))
		if !strings.Contains(over.html, path.Base("errors.html")+"#"+e.Name+`"`) {
			t.Errorf("the statuses do not name %s", e.Name)
		}
	}
}

// TestRESTIsFound: the search, and the overview for language models, know the
// endpoints.
func TestRESTIsFound(t *testing.T) {
	s := must(t, static)
	search, models := string(s.files["search.json"].Body), string(s.files["llms.txt"].Body)
	for _, e := range s.index.REST().Endpoints() {
		if !strings.Contains(search, `"u":"rest/`+e.Name+`"`) {
			t.Errorf("the search does not know %s", e.Name)
		}
		if !strings.Contains(models, "](rest/"+e.Name+".md)") {
			t.Errorf("llms.txt does not name %s", e.Name)
		}
	}
	for _, want := range []string{"ACCOUNT_VERIFICATION pass over it", "404 TerminalUnavailable", "Poll a transaction", "lastKnownPaidAmount"} {
		if !strings.Contains(search, want) {
			t.Errorf("the search does not know %s", want)
		}
	}
}

// TestRESTWords: a weave line about what there is not fails.
func TestRESTWords(t *testing.T) {
	s := must(t, static)
	for _, text := range []string{
		"rest", "rest nothing", "rest example startTransaction", "rest example startTransaction nothing", "rest example nothing busy", "rest curl nothing v1", "rest curl tables v2",
	} {
		if _, err := s.weave("<!-- weave: "+text+" -->", spec.V1); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}
