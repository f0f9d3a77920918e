package spec_test

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/spec"
)

// What the terminal link has, by who sends it. Requests have an answer.
var (
	linkRequests = []string{
		"hello", "start", "cancel", "answerSignature", "query", "acknowledge", "last", "answerTable", "queryPayment",
	}
	linkNotifications = []string{
		"notified", "signatureWanted", "ended", "reported", "statusChanged",
		"tablesWanted", "tableWanted", "billWanted", "paymentStarted", "paymentEnded", "visitLeft", "reportMade",
	}
)

// linkFiles are the files of the terminal link, no more and no less.
func linkFiles() []string {
	files := []string{"link/messages.json"}
	add := func(name string, schemas ...string) {
		dir := path.Join("link", name)
		files = append(files, path.Join(dir, "about.md"), path.Join(dir, "examples.json"))
		for _, s := range schemas {
			files = append(files, path.Join(dir, "v1", "TL_"+name+"_"+s+".json"))
		}
	}
	for _, name := range linkRequests {
		add(name, "Request", "Response")
	}
	for _, name := range linkNotifications {
		add(name, "Notification")
	}
	return files
}

// TestLink: the messages of the terminal link are all there, each with schemas
// that name its method, a text, and examples of either sort that the schemas
// judge as they say.
func TestLink(t *testing.T) {
	x, v := spec.Default(), validator(t)
	var names []string
	for _, m := range x.Link() {
		names = append(names, m.Name)
		from := spec.FromTerminal
		if m.Kind == spec.KindRequest && m.Name != "hello" {
			from = spec.ToTerminal
		}
		if m.Side != spec.Link || m.Direction != from || m.Title == "" || len(m.About) < 100 {
			t.Errorf("%s: %s from %s; or no title, or too short a text", m.Name, m.Side, m.Direction)
		}
		seen := map[string]int{}
		for _, s := range m.Schemas {
			if raw, ok := x.Schema("link/v1", s.File); !ok || string(raw) != string(s.Raw) {
				t.Errorf("%s is not the file that is served", s.File)
			}
			if s.Kind != spec.KindResponse && !slices.Equal(s.Methods, []string{m.Name}) {
				t.Errorf("%s is for %v", s.File, s.Methods)
			}
		}
		for _, e := range m.Examples {
			sort := "invalid"
			if e.Valid {
				sort = "valid"
			}
			seen[string(e.Kind)+" "+sort]++
			s, ok := m.Schema(spec.V1, e.Kind)
			if !ok || e.Direction != s.Direction || e.Title == "" {
				t.Errorf("%s/%s: no title, no schema, or sent the wrong way", m.Name, e.Name)
				continue
			}
			if asked, ok := m.Example(e.ReplyTo); e.Valid && e.Kind == spec.KindResponse && (!ok || asked.Kind != spec.KindRequest) {
				t.Errorf("%s/%s answers %q", m.Name, e.Name, e.ReplyTo)
			}
			faults, err := v.Check("link/v1", s.File, e.Text)
			if err != nil {
				t.Fatalf("%s/%s: %v", m.Name, e.Name, err)
			}
			if e.Valid && len(faults) > 0 {
				t.Errorf("%s/%s is called valid: %v\n%s", m.Name, e.Name, faults, e.Text)
			}
			if !e.Valid && (len(faults) != 1 || faults[0].Pointer != e.Place || faults[0].Rule != e.Rule) {
				t.Errorf("%s/%s: got %v, want %s at %s\n%s", m.Name, e.Name, faults, e.Rule, e.Place, e.Text)
			}
		}
		for _, s := range m.Schemas {
			for _, sort := range []string{"valid", "invalid"} {
				if seen[string(s.Kind)+" "+sort] == 0 {
					t.Errorf("%s has no %s example of a %s", m.Name, sort, s.Kind)
				}
			}
		}
		for _, s := range m.Schemas {
			if strings.Contains(string(s.Raw), `"additionalProperties": false`) {
				t.Errorf("%s refuses members that a later version may add", s.File)
			}
		}
	}
	if diff := cmp.Diff(slices.Concat(linkRequests, linkNotifications), names); diff != "" {
		t.Errorf("link/messages.json (-want +got):\n%s", diff)
	}
	if _, ok := x.Schema("v1", "TL_hello_Request.json"); ok {
		t.Error("a message of the link is published among those for tills")
	}
}
