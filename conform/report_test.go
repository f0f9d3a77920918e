package conform_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/xml"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/conform"
	"github.com/tillwire/tillwire/spec"
)

func sampleReport() conform.Report {
	at := time.Date(2026, 10, 7, 12, 30, 15, 0, time.UTC)
	cleared := true
	return conform.Report{
		Product: "test", Side: "pac", Began: at, Ended: at.Add(time.Second),
		Lines: []conform.Line{
			{ID: "pac.sale", Text: "A sale works.", Clause: "3.3", Needs: conform.ByWire, State: conform.Passed, Evidence: []int{1}},
			{ID: "pac.notTaken", Text: "…", Clause: "7", Needs: conform.ByBoth, State: conform.Failed, Hint: "<b>compare</b> the whole value", Evidence: []int{0, 1}, Words: []conform.Said{{Step: "pac.notTaken/declined", Word: conform.Word{Cleared: &cleared}}}},
			{ID: "pac.banking", Text: "…", Clause: "3.6", Optional: true, Needs: conform.ByWire, State: conform.NotReached, Hint: "nothing came"},
		},
		Frames: []conform.Frame{
			{At: at, Conn: 1, Kind: conform.Opened, Path: "/pac", Version: "v1", SoftwareHouse: "S", Installer: "I"},
			{At: at, Conn: 1, Kind: conform.Message, Text: `{"jsonrpc":"2.0","id":1,"method":"sale"}`},
		},
	}
}

func testKey(b byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize))
}

// Every byte counts: a report in which any one is another is refused, unless the
// change is one of white space.
func TestVerify(t *testing.T) {
	r := sampleReport()
	var b bytes.Buffer
	if err := r.WriteSigned(&b, testKey(1)); err != nil {
		t.Fatal(err)
	}
	got, key, err := conform.Verify(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if want := conform.Fingerprint(testKey(1).Public().(ed25519.PublicKey)); key != want {
		t.Errorf("key %s, want %s", key, want)
	}
	for i, c := range b.Bytes() {
		if strings.ContainsRune(" \n", rune(c)) {
			continue
		}
		edited := bytes.Clone(b.Bytes())
		edited[i] ^= 1
		if _, _, err := conform.Verify(edited); err == nil {
			t.Fatalf("byte %d, %q, can be changed to %q", i, c, edited[i])
		}
	}
	again := bytes.ReplaceAll(b.Bytes(), []byte("\n"), []byte("\n  "))
	if _, _, err := conform.Verify(again); err != nil {
		t.Errorf("indented anew: %v", err)
	}
	forged := bytes.Replace(b.Bytes(), []byte(`"state": "failed"`), []byte(`"state": "passed"`), 1)
	if _, _, err := conform.Verify(forged); !errors.Is(err, conform.ErrForged) {
		t.Errorf("a verdict was changed: %v", err)
	}
	for _, text := range []string{"", "{}", "[]", `{"report":{}}`, `{"report":{},"signature":{"algorithm":"none","key":"","value":""}}`} {
		if _, _, err := conform.Verify([]byte(text)); err == nil {
			t.Errorf("%q is taken for a report", text)
		}
	}
}

func TestReportForms(t *testing.T) {
	r := sampleReport()
	if r.Passed() {
		t.Error("a report with a failed line has passed")
	}
	left := r
	left.Lines = []conform.Line{r.Lines[0], r.Lines[2]}
	if !left.Passed() {
		t.Error("an optional line that was not reached counts as failed")
	}
	var text, junit, page bytes.Buffer
	for _, err := range []error{r.WriteText(&text), r.WriteJUnit(&junit), r.WriteHTML(&page)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"failed       pac.notTaken", "<b>compare</b> the whole value", `till: {"jsonrpc"`, "not passed: 1 lines passed, 1 failed, 1 not reached"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("text has no %q:\n%s", want, text.String())
		}
	}
	var suite struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Skipped  int `xml:"skipped,attr"`
		Cases    []struct {
			Name    string `xml:"name,attr"`
			Failure *struct {
				Message string `xml:"message,attr"`
			} `xml:"failure"`
		} `xml:"testcase"`
	}
	if err := xml.Unmarshal(junit.Bytes(), &suite); err != nil {
		t.Fatal(err)
	}
	if suite.Tests != 3 || suite.Failures != 1 || suite.Skipped != 1 || suite.Cases[1].Failure == nil || suite.Cases[1].Failure.Message != r.Lines[1].Hint {
		t.Errorf("JUnit says %+v", suite)
	}
	if strings.Contains(page.String(), "<b>compare") || !strings.Contains(page.String(), "&lt;b&gt;compare") || !strings.Contains(page.String(), "The conversation") {
		t.Errorf("the page is not whole, or takes a text for its own:\n%s", page.String())
	}
}

// Each check decides one line of the checklist, and no line is decided twice.
func TestChecks(t *testing.T) {
	lines := map[string]spec.ChecklistLine{}
	for _, l := range spec.Default().Checklist() {
		lines[l.ID] = l
	}
	if len(lines) < 40 {
		t.Errorf("the checklist has %d lines", len(lines))
	}
	seen := map[string]bool{}
	for _, c := range conform.Checks(conform.Options{}) {
		if lines[c.ID].Clause == "" || seen[c.ID] || lines[c.ID].Side == "pat" {
			t.Errorf("%s: no line of the checklist, or decided twice", c.ID)
		}
		seen[c.ID] = true
		if (c.Stands == nil) == (len(c.Acts) == 0) {
			t.Errorf("%s: it either stands over the run or has acts", c.ID)
		}
		steps := map[string]bool{}
		for i, a := range c.Acts {
			if a.Order.Text == "" || a.Judge == nil || steps[a.Name] || (a.Name == "") != (len(c.Acts) == 1) {
				t.Errorf("%s: step %d is not whole", c.ID, i)
			}
			steps[a.Name] = true
		}
	}
	for id, l := range lines {
		if (l.Side == "pac" || l.Side == "general") && l.Only == "" && !seen[id] {
			t.Errorf("%s: no check decides it", id)
		}
	}
}

// FuzzJudges: no message of a till breaks a judge.
func FuzzJudges(f *testing.F) {
	for _, m := range spec.Default().Messages() {
		for _, e := range m.Examples {
			f.Add(true, string(e.Text), string(e.Text))
		}
	}
	f.Add(false, `[{"id":1}]`, `{"jsonrpc":"2.0","id":1,"result":[]}`)
	checks := append(conform.Checks(conform.Options{}), conform.TableChecks(conform.TableOptions{})...)
	f.Fuzz(func(t *testing.T, first bool, one, other string) {
		frames := []conform.Frame{
			{Conn: 1, Kind: conform.Opened, Version: "v1"},
			{Conn: 1, Kind: conform.Message, FromGateway: first, Text: one},
			{Conn: 1, Kind: conform.Message, FromGateway: !first, Text: other},
			{Conn: 1, Kind: conform.Closed, ByTill: true},
		}
		look := func(id string, v conform.Verdict) {
			for _, n := range v.Frames {
				if n < 0 || n >= len(frames) {
					t.Errorf("%s: names frame %d", id, n)
				}
			}
			if v.State == conform.Passed && len(v.Frames) == 0 && v.Hint == "" && !v.Settle {
				t.Errorf("%s: passed on nothing", id)
			}
		}
		for _, c := range checks {
			if c.Stands != nil {
				look(c.ID, c.Stands(frames))
			}
			if c.Scene != nil {
				look(c.ID, c.Judge(&conform.Seen{Order: conform.Order{Table: "12", Amount: 4550, Currency: "GBP"}, Frames: frames, Before: frames, Alive: []int{1}}))
			}
			for _, a := range c.Acts {
				look(c.ID, a.Judge(&conform.Seen{Order: a.Order, Frames: frames, Before: frames, Alive: []int{1}}))
			}
		}
	})
}
