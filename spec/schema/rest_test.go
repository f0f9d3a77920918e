package schema_test

import (
	"slices"
	"testing"

	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/spec/schema"
)

// bodyOf is the object that an example is one of in a version, if it is one.
func bodyOf(r spec.REST, e spec.RESTEndpoint, ex spec.RESTExample, version string) string {
	if ex.Kind == spec.KindRequest {
		return e.Body
	}
	for _, a := range e.Answers {
		if a.Status == ex.Status && slices.Contains(a.Versions, version) {
			return a.Body
		}
	}
	body := ""
	for _, refused := range r.Refusals(e, version) {
		if refused.Status == ex.Status && (body == "" || refused.Body != "error" && refused.Name != spec.RESTTablesElsewhere) {
			body = refused.Body
		}
	}
	return body
}

// Each valid example of REST fits its schema, each other one has the fault that
// it names; but for what no schema can say.
func TestRESTExamples(t *testing.T) {
	r := spec.Default().REST()
	v, err := schema.NewREST(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range r.Endpoints() {
		for _, ex := range e.Examples {
			for _, version := range ex.Versions {
				t.Run(e.Name+"/"+ex.Name+"/"+version, func(t *testing.T) {
					body := bodyOf(r, e, ex, version)
					if body == "tableError" && ex.Name == "elsewhere" {
						body = "error"
					}
					if body == "" {
						t.Fatal("the endpoint has no such body")
					}
					faults, err := v.Check(body, version, ex.Text)
					switch {
					case ex.Rule == "syntax":
						if err == nil && len(faults) == 0 {
							t.Error("it fits")
						}
						return
					case err != nil:
						t.Fatal(err)
					case ex.Valid || ex.Beyond:
						if len(faults) > 0 || ex.Valid && (ex.Place != "" || ex.Rule != "") {
							t.Errorf("called valid, but has faults %v or names one at %q\n%s", faults, ex.Place, ex.Text)
						}
						return
					case ex.Tolerated && len(faults) == 0 && ex.Rule == "type":
						return // 1250.0 is an integer to a schema
					}
					if !slices.ContainsFunc(faults, func(f schema.Fault) bool { return f.Pointer == ex.Place }) {
						t.Errorf("got faults %v, want %s at %s\n%s", faults, ex.Rule, ex.Place, ex.Text)
					}
				})
			}
		}
	}
}
