package spec_test

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/spec"
)

// restFiles are the files of the REST interface.
func restFiles() []string {
	files := []string{"rest/about.md"}
	for _, table := range []string{"endpoints", "objects", "enums", "parameters", "headers", "errors"} {
		files = append(files, "rest/"+table+".json")
	}
	for _, e := range spec.Default().REST().Endpoints() {
		files = append(files, "rest/"+e.Name+"/about.md", "rest/"+e.Name+"/examples.json")
	}
	return files
}

// Tills in the field look for these words anywhere in a body (the contract of
// REST, section 11), so no text may hold them; but for the one that means it.
func TestRESTTextsHoldNoWordThatTillsLookFor(t *testing.T) {
	r := spec.Default().REST()
	var texts []string
	for _, e := range r.Errors() {
		for _, v := range spec.RESTVersions() {
			texts = append(texts, e.Text(v))
		}
	}
	for _, f := range r.Faults() {
		texts = append(texts, f.Text)
	}
	for _, f := range r.Texts() {
		if f.Name != "ReportComplete" {
			texts = append(texts, f.Text)
		}
	}
	for _, text := range texts {
		for _, word := range []string{"TRANSACTION_FINISHED", "SIGNATURE_VERIFICATION", "REPORT_FINISHED", "REPORT COMPLETE", "SUCCESSFUL"} {
			if strings.Contains(strings.ToUpper(text), word) {
				t.Errorf("%q holds %s", text, word)
			}
		}
		if !strings.HasSuffix(text, ".") && !strings.HasSuffix(text, "}") && text != strings.ToUpper(text) {
			t.Errorf("%q is no sentence", text)
		}
	}
}

func TestRESTErrors(t *testing.T) {
	r := spec.Default().REST()
	names := map[string]bool{}
	last := 0
	for _, e := range r.Errors() {
		if names[e.Name] {
			t.Errorf("%s stands twice", e.Name)
		}
		names[e.Name] = true
		if e.Status < last || e.When == "" {
			t.Errorf("%s: out of order, or without a when", e.Name)
		}
		last = e.Status
		var seen []string
		for _, w := range e.Texts {
			for _, v := range w.Versions {
				if slices.Contains(seen, v) || !slices.Contains(spec.RESTVersions(), v) {
					t.Errorf("%s: version %q twice or unknown", e.Name, v)
				}
				seen = append(seen, v)
			}
		}
		if got := r.Error(e.Name); got.Status != e.Status {
			t.Errorf("%s is not found by its name", e.Name)
		}
	}
	for _, tt := range []struct{ name, version, want string }{
		{spec.RESTTerminalUnavailable, spec.V1, "Unavailable terminal or no data available for terminal."},
		{spec.RESTTerminalUnavailable, spec.V2, spec.Fill(spec.UserMessageTerminalUnavailable, "tid", "12345678")},
		{spec.RESTUnknownTable, spec.V2, "Table could not be found."},
		{spec.RESTTerminalBusy, spec.V0, "The card machine is busy."},
	} {
		if got := r.Error(tt.name).Text(tt.version, "tid", "12345678"); got != tt.want {
			t.Errorf("%s in %s: got %q, want %q", tt.name, tt.version, got, tt.want)
		}
	}
}

// What the tables of REST name is there, and what is there is named.
func TestRESTTablesFitTogether(t *testing.T) {
	r := spec.Default().REST()
	used := map[string]bool{}
	use := func(kind, name, by string, ok bool) {
		if !ok {
			t.Errorf("%s names the %s %q, which there is not", by, kind, name)
		}
		used[kind+" "+name] = true
	}
	object := func(name, by string) {
		_, ok := r.Object(name)
		use("object", name, by, ok)
	}
	enum := func(name, by string) {
		if name != "" {
			_, ok := r.Enum(name)
			use("enum", name, by, ok)
		}
	}
	versions := func(list, of []string, by string) {
		for _, v := range list {
			if !slices.Contains(of, v) {
				t.Errorf("%s is in %q, which it cannot be", by, v)
			}
		}
	}
	for _, e := range r.Endpoints() {
		versions(e.Versions, spec.RESTVersions(), e.Name)
		for _, name := range e.Parameters {
			p, ok := r.Parameter(name)
			use("parameter", name, e.Name, ok)
			if inPath := strings.Contains(e.Path, "{"+name+"}"); inPath != (p.In == "path") {
				t.Errorf("%s: the path and the parameter %s do not fit", e.Name, name)
			}
		}
		if strings.Count(e.Path, "{") != len(slices.DeleteFunc(slices.Clone(e.Parameters), func(name string) bool { return !strings.Contains(e.Path, "{"+name+"}") })) {
			t.Errorf("%s: not all of the path is described", e.Name)
		}
		for _, name := range e.Headers {
			_, ok := r.Header(name)
			use("header", name, e.Name, ok)
		}
		if e.Body != "" {
			object(e.Body, e.Name)
			if o, _ := r.Object(e.Body); !o.Body {
				t.Errorf("%s takes %s, which tills do not send", e.Name, e.Body)
			}
		}
		if len(e.Answers) == 0 || e.Title == "" || e.Clause == "" || len(e.About) < 100 {
			t.Errorf("%s: something is missing, or the text says too little", e.Name)
		}
		for _, a := range e.Answers {
			versions(a.Versions, e.Versions, e.Name)
			if a.Body != "" {
				object(a.Body, e.Name)
			}
			for _, name := range a.Headers {
				_, ok := r.Header(name)
				use("header", name, e.Name, ok)
			}
		}
		for _, v := range e.Versions {
			if !slices.ContainsFunc(e.Answers, func(a spec.RESTAnswer) bool { return slices.Contains(a.Versions, v) }) {
				t.Errorf("%s cannot succeed in %s", e.Name, v)
			}
		}
		for _, name := range e.Errors {
			refused := r.Error(name)
			use("error", name, e.Name, true)
			if !slices.ContainsFunc(e.Versions, refused.In) {
				t.Errorf("%s has no version in which there is %s", e.Name, name)
			}
		}
		for _, v := range spec.RESTVersions() {
			for _, refused := range r.Refusals(e, v) {
				use("error", refused.Name, e.Name, true)
				object(refused.Body, refused.Name)
			}
		}
		valid := slices.ContainsFunc(e.Examples, func(x spec.RESTExample) bool { return x.Valid })
		invalid := slices.ContainsFunc(e.Examples, func(x spec.RESTExample) bool { return !x.Valid && !x.Tolerated })
		if !valid || !invalid {
			t.Errorf("%s has no valid or no invalid example", e.Name)
		}
		for _, x := range e.Examples {
			versions(x.Versions, spec.RESTVersions(), e.Name+" "+x.Name)
			if x.Title == "" || x.Valid && (x.Tolerated || x.Place != "") || !x.Valid && x.Rule == "" {
				t.Errorf("%s %s: it says too little or too much", e.Name, x.Name)
			}
		}
	}
	for _, o := range r.Objects() {
		versions(o.Versions, spec.RESTVersions(), o.Name)
		if o.With != "" {
			object(o.With, o.Name)
		}
		if o.Finished != "" {
			object(o.Finished, o.Name)
		}
		if o.Event != "" {
			use("object", o.Name, "the stream", true)
		}
		for _, f := range o.Fields {
			where := o.Name + "." + f.Name
			versions(f.Versions, o.Versions, where)
			versions(f.RequiredIn, o.Versions, where)
			enum(f.Enum, where)
			switch f.Type {
			case "object", "array", "map":
				if f.Of != "string" {
					object(f.Of, where)
				}
			case "string", "integer", "boolean":
				if f.Of != "" {
					t.Errorf("%s: a %s of %s", where, f.Type, f.Of)
				}
			default:
				t.Errorf("%s: no type %q", where, f.Type)
			}
			if !strings.HasSuffix(f.Text, ".") {
				t.Errorf("%s: no text", where)
			}
		}
		for _, v := range o.Versions {
			names := map[string]bool{}
			for _, f := range r.FieldsIn(o, v) {
				if names[f.Name] {
					t.Errorf("%s has %s twice in %s", o.Name, f.Name, v)
				}
				names[f.Name] = true
			}
		}
	}
	for _, p := range r.Parameters() {
		enum(p.Enum, p.Name)
		use("parameter", p.Name, "the table", used["parameter "+p.Name])
	}
	for _, h := range r.Headers() {
		if !h.Common && len(h.Statuses) == 0 && !used["header "+h.Name] {
			t.Errorf("no endpoint has the header %s", h.Name)
		}
	}
	for _, e := range r.Elsewhere() {
		used["error "+e.Name] = true
	}
	for _, e := range r.Errors() {
		if !used["error "+e.Name] {
			t.Errorf("nothing is refused with %s", e.Name)
		}
	}
	for _, o := range r.Objects() {
		if !used["object "+o.Name] {
			t.Errorf("nothing has the object %s", o.Name)
		}
	}
	for _, e := range r.Enums() {
		if !used["enum "+e.Name] {
			t.Errorf("nothing has the enum %s", e.Name)
		}
		if len(e.In(spec.V0)) == 0 {
			t.Errorf("the enum %s is empty in v0", e.Name)
		}
	}
}

// The description of the interface is the same each time, and what it refers to
// is in it. That its schemas are schemas is tested where they are compiled.
func TestOpenAPI(t *testing.T) {
	text := spec.Default().REST().OpenAPI()
	if string(text) != string(spec.Default().REST().OpenAPI()) {
		t.Error("it is not the same twice")
	}
	var doc any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	refs := 0
	var walk func(at string, part any)
	walk = func(at string, part any) {
		switch part := part.(type) {
		case []any:
			for i, one := range part {
				walk(at+"/"+strconv.Itoa(i), one)
			}
		case map[string]any:
			if ref, ok := part["$ref"].(string); ok {
				refs++
				if !resolves(doc, ref) {
					t.Errorf("%s refers to %s, which there is not", at, ref)
				}
			}
			if id, ok := part["operationId"].(string); ok {
				if ids[id] {
					t.Errorf("two operations are %s", id)
				}
				ids[id] = true
			}
			for name, one := range part {
				walk(at+"/"+name, one)
			}
		}
	}
	walk("", doc)
	if len(ids) != 20 || refs < 200 {
		t.Errorf("it has %d operations and %d references", len(ids), refs)
	}
	for name := range doc.(map[string]any)["paths"].(map[string]any) {
		if !strings.HasPrefix(name, "/pac/") && !strings.HasPrefix(name, "/pat/") && !strings.HasPrefix(name, "/retail/") {
			t.Errorf("it has the path %s", name)
		}
	}
}

func resolves(doc any, ref string) bool {
	pointer, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return false
	}
	plain, err := url.PathUnescape(pointer)
	if err != nil {
		return false
	}
	for token := range jsontext.Pointer(plain).Tokens() {
		parent, ok := doc.(map[string]any)
		if !ok {
			return false
		}
		if doc, ok = parent[token]; !ok {
			return false
		}
	}
	return true
}

// The examples of the product's own descriptions are here, as those have them but
// for their slips.
func TestRESTPublishedExamples(t *testing.T) {
	want := map[string]int{"terminal": 2, "startTransaction": 7, "transaction": 2, "signature": 1, "startReport": 1, "report": 2}
	got := map[string]int{}
	for _, e := range spec.Default().REST().Endpoints() {
		for _, x := range e.Examples {
			if x.Published {
				got[e.Name]++
				if !x.Valid {
					t.Errorf("%s %s is published and not valid", e.Name, x.Name)
				}
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("published examples (-want +got):\n%s", diff)
	}
}
