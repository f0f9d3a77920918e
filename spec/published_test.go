package spec_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/tillwire/tillwire/spec"
)

// The descriptions of REST that the product publishes, and ours, are taken apart
// into facts: a line each, which begins with version, method and path. The facts
// of the product's stand in testdata/rest-published.json, those of ours are read
// from the OpenAPI document. Every fact that only one of them has is to be matched
// by a line of the table in docs/divergences.md, and every line is to match one.
func TestDivergencesFromThePublished(t *testing.T) {
	theirs, ours := publishedFacts(t), ourFacts(t)
	if len(theirs) < 1500 || len(ours) < 1500 {
		t.Fatalf("%d facts of theirs and %d of ours are too few", len(theirs), len(ours))
	}
	lines := divergences(t)
	check := func(of string, has, lacks map[string]bool) {
		for _, fact := range slices.Sorted(maps.Keys(has)) {
			if lacks[fact] {
				continue
			}
			listed := false
			for _, l := range lines {
				if l.only == of && matches(l.pattern, fact) {
					l.matched++
					listed = true
				}
			}
			if !listed {
				t.Errorf("only in %s, and not in docs/divergences.md: %s", of, fact)
			}
		}
	}
	check("theirs", theirs, ours)
	check("ours", ours, theirs)
	for _, l := range lines {
		if l.matched == 0 {
			t.Errorf("docs/divergences.md lists what is none: only in %s, %s", l.only, l.pattern)
		}
	}
}

// A divergence is a line of the table: what only one of the two has, with * for
// anything.
type divergence struct {
	only    string // theirs or ours
	pattern string
	matched int
}

// matches reports whether a text is a pattern with something in place of each *.
func matches(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	text, ok := strings.CutPrefix(text, parts[0])
	for i, part := range parts[1:] {
		if i == len(parts)-2 {
			return ok && strings.HasSuffix(text, part)
		}
		var found bool
		_, text, found = strings.Cut(text, part)
		ok = ok && found
	}
	return ok && text == ""
}

func TestMatches(t *testing.T) {
	for _, tt := range []struct {
		pattern, text string
		want          bool
	}{
		{"abc", "abc", true},
		{"abc", "abcd", false},
		{"a*", "abc", true},
		{"*c", "abc", true},
		{"a*c", "abc", true},
		{"a*b*c", "axbyc", true},
		{"a*b*c", "axyc", false},
		{"*b*", "abc", true},
		{"*", "", true},
		{"b*", "abc", false},
		{"*b", "abc", false},
		{"ab*bc", "abc", false},
	} {
		if got := matches(tt.pattern, tt.text); got != tt.want {
			t.Errorf("%s and %s: %v", tt.pattern, tt.text, got)
		}
	}
}

func divergences(t *testing.T) []*divergence {
	t.Helper()
	data, err := os.ReadFile("../docs/divergences.md")
	if err != nil {
		t.Fatal(err)
	}
	var out []*divergence
	row := regexp.MustCompile("^\\| (theirs|ours) \\| `([^`]+)` \\| (.+) \\|$")
	for line := range strings.SplitSeq(string(data), "\n") {
		m := row.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if len(m[3]) < 20 {
			t.Errorf("%s has no reason", m[2])
		}
		out = append(out, &divergence{only: m[1], pattern: m[2]})
	}
	if len(out) == 0 {
		t.Fatal("docs/divergences.md has no table")
	}
	return out
}

func publishedFacts(t *testing.T) map[string]bool {
	t.Helper()
	data, err := os.ReadFile("testdata/rest-published.json")
	if err != nil {
		t.Fatal(err)
	}
	var endpoints []struct {
		Version  string                       `json:"version"`
		Method   string                       `json:"method"`
		Path     string                       `json:"path"`
		Statuses []int                        `json:"statuses"`
		Query    map[string]string            `json:"query"`
		Body     map[string]string            `json:"body"`
		Answers  map[string]map[string]string `json:"answers"`
	}
	if err := json.Unmarshal(data, &endpoints, json.RejectUnknownMembers(true)); err != nil {
		t.Fatal(err)
	}
	facts := map[string]bool{}
	for _, e := range endpoints {
		of := e.Version + " " + e.Method + " " + e.Path + " "
		for _, status := range e.Statuses {
			facts[of+"status "+strconv.Itoa(status)] = true
		}
		told := map[string]map[string]string{"query": e.Query, "body": e.Body}
		maps.Copy(told, e.Answers)
		for where, fields := range told {
			for at, is := range fields {
				tell(facts, of+where+" "+at, is)
			}
		}
	}
	return facts
}

// tell makes facts of what is said of a field: its type, its limits, whether it is
// required, and its words.
func tell(facts map[string]bool, at, is string) {
	for i, word := range strings.Fields(is) {
		from, to, isRange := strings.Cut(word, "..")
		switch {
		case i == 0:
			facts[at+": "+word] = true
		case isRange:
			facts[at+" from "+from] = true
			facts[at+" to "+to] = true
		case word == "required":
			facts[at+" required"] = true
		default:
			for value := range strings.SplitSeq(word, "|") {
				facts[at+" = "+value] = true
			}
		}
	}
}

// The parts of our description that facts are made of.
type (
	ourDocument struct {
		Paths      map[string]map[string]ourOperation `json:"paths"`
		Components struct {
			Schemas    map[string]*ourSchema   `json:"schemas"`
			Responses  map[string]ourResponse  `json:"responses"`
			Parameters map[string]ourParameter `json:"parameters"`
		} `json:"components"`
	}
	ourOperation struct {
		Parameters  []ourParameter         `json:"parameters"`
		RequestBody ourContent             `json:"requestBody"`
		Responses   map[string]ourResponse `json:"responses"`
	}
	ourResponse struct {
		Ref      string   `json:"$ref"`
		Versions []string `json:"x-versions"`
		ourContent
	}
	ourContent struct {
		Content map[string]struct {
			Schema *ourSchema `json:"schema"`
		} `json:"content"`
	}
	ourParameter struct {
		Ref      string     `json:"$ref"`
		Name     string     `json:"name"`
		In       string     `json:"in"`
		Required bool       `json:"required"`
		Versions []string   `json:"x-versions"`
		Schema   *ourSchema `json:"schema"`
	}
	ourSchema struct {
		Ref        string                `json:"$ref"`
		Type       string                `json:"type"`
		Enum       []string              `json:"enum"`
		Minimum    *int64                `json:"minimum"`
		Maximum    *int64                `json:"maximum"`
		MinLength  int                   `json:"minLength"`
		MaxLength  int                   `json:"maxLength"`
		MaxItems   int                   `json:"maxItems"`
		Pattern    string                `json:"pattern"`
		Required   []string              `json:"required"`
		Properties map[string]*ourSchema `json:"properties"`
		Items      *ourSchema            `json:"items"`
		Additional *ourSchema            `json:"additionalProperties"`
		AnyOf      []*ourSchema          `json:"anyOf"`
		AllOf      []struct {
			Then struct {
				Required []string `json:"required"`
			} `json:"then"`
		} `json:"allOf"`
	}
)

func ourFacts(t *testing.T) map[string]bool {
	t.Helper()
	var doc ourDocument
	var paths struct {
		Paths map[string]struct {
			Ref string `json:"$ref"`
		} `json:"paths"`
	}
	text := spec.Default().REST().OpenAPI()
	if err := json.Unmarshal(text, &paths); err != nil {
		t.Fatal(err)
	}
	// Operations and references stand side by side: the latter are read as above.
	text = []byte(regexp.MustCompile(`(?s)"(/retail/[^"]*)": \{\s*"\$ref": "[^"]*"\s*\}`).ReplaceAllString(string(text), `"$1": {}`))
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`\{\w+\}`)
	facts := map[string]bool{}
	for path, methods := range doc.Paths {
		if paths.Paths[path].Ref != "" {
			methods = doc.Paths["/pac/"+strings.TrimPrefix(path, "/retail/")]
		}
		for method, op := range methods {
			for _, version := range spec.RESTVersions() {
				of := version + " " + strings.ToUpper(method) + " " + names.ReplaceAllString(path, "{}") + " "
				doc.tellOperation(facts, of, version, op)
			}
		}
	}
	return facts
}

func (d *ourDocument) tellOperation(facts map[string]bool, of, version string, op ourOperation) {
	in := false
	for status, r := range op.Responses {
		if r.Ref != "" {
			r = d.Components.Responses[strings.TrimPrefix(r.Ref, "#/components/responses/")]
		}
		if !slices.Contains(r.Versions, version) {
			continue
		}
		facts[of+"status "+status] = true
		in = in || status < "300"
		if media, ok := r.Content[spec.MediaType(version)]; ok {
			d.tellSchema(facts, of+status+" ", media.Schema, false)
		}
	}
	if !in {
		return // the version does not have it
	}
	if media, ok := op.RequestBody.Content[spec.MediaType(version)]; ok {
		d.tellSchema(facts, of+"body ", media.Schema, true)
	}
	for _, p := range op.Parameters {
		p = d.Components.Parameters[strings.TrimPrefix(p.Ref, "#/components/parameters/")]
		if p.In == "path" || len(p.Versions) > 0 && !slices.Contains(p.Versions, version) {
			continue
		}
		at := of + p.In + " " + p.Name
		facts[at+": "+p.Schema.Type] = true
		for _, value := range p.Schema.Enum {
			facts[at+" = "+value] = true
		}
	}
}

// tellSchema tells of the fields of an object; limits only of what tills send.
func (d *ourDocument) tellSchema(facts map[string]bool, at string, s *ourSchema, limits bool) {
	s = d.resolve(s)
	for _, one := range s.AnyOf {
		d.tellSchema(facts, at, one, limits)
	}
	for name, field := range s.Properties {
		d.tellField(facts, at+name, field, limits)
		if slices.Contains(s.Required, name) {
			facts[at+name+" required"] = true
		}
	}
	if limits {
		for _, c := range s.AllOf {
			for _, name := range c.Then.Required {
				facts[at+name+" required for some"] = true
			}
		}
	}
}

func (d *ourDocument) tellField(facts map[string]bool, at string, s *ourSchema, limits bool) {
	s = d.resolve(s)
	kind := s.Type
	if s.Additional != nil {
		kind = "map"
		d.tellSchema(facts, at+".*.", s.Additional, limits)
		facts[at+".*: "+d.resolve(s.Additional).Type] = true
	}
	facts[at+": "+kind] = true
	for _, value := range s.Enum {
		if value == "" {
			value = "(empty)"
		}
		facts[at+" = "+value] = true
	}
	if limits {
		for word, n := range map[string]int{"minLength": s.MinLength, "maxLength": s.MaxLength, "maxItems": s.MaxItems} {
			if n > 0 {
				facts[fmt.Sprintf("%s %s %d", at, word, n)] = true
			}
		}
		if s.Pattern != "" {
			facts[at+" pattern"] = true
		}
		if s.Minimum != nil {
			facts[at+" from "+strconv.FormatInt(*s.Minimum, 10)] = true
		}
		if s.Maximum != nil {
			facts[at+" to "+strconv.FormatInt(*s.Maximum, 10)] = true
		}
	}
	if s.Items != nil {
		d.tellField(facts, at+"[]", s.Items, limits)
	}
	if len(s.Properties) > 0 {
		d.tellSchema(facts, at+".", s, limits)
	}
}

func (d *ourDocument) resolve(s *ourSchema) *ourSchema {
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		return d.Components.Schemas[name]
	}
	return s
}
