package spec_test

import (
	"slices"
	"strings"
	"testing"

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
