package report_test

import (
	"bytes"
	"errors"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/report"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestMain gives the random sequences one seed, so that a run can be repeated;
// -rapid.seed on the command line still wins.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.seed", "1"); err != nil {
		panic(err)
	}
	flag.Parse()
	os.Exit(m.Run())
}

const begin = "begin" // how the table writes the state of what has not begun

func stateName(s report.State) string {
	if s == "" {
		return begin
	}
	return string(s)
}

// A table is what spec/states holds of a machine: enough to draw it. The test
// of txn writes the same form.
type table struct {
	Machine     string       `json:"machine"`
	Start       string       `json:"start"`
	States      []state      `json:"states"`
	Transitions []transition `json:"transitions"`
}

type state struct {
	Name      string     `json:"name"`
	Next      string     `json:"next"` // who moves next
	Standings []standing `json:"standings"`
}

type standing struct {
	Name string `json:"name,omitzero"`
	Told string `json:"told,omitzero"`
}

// A transition is an event that a state allows. Forms and Standings are absent
// where every form of the event and every standing of the state allows it.
type transition struct {
	From      string   `json:"from"`
	Event     string   `json:"event"`
	To        string   `json:"to"`
	Forms     []string `json:"forms,omitzero"`
	Standings []string `json:"standings,omitzero"`
}

// movesNext says who moves next, in the words of the states' comments.
func movesNext(s string) string {
	return map[string]string{
		begin:                   "the till or the terminal",
		string(report.Asked):    "the terminal",
		string(report.Unknown):  "the terminal",
		string(report.Finished): "nobody",
	}[s]
}

type variant struct {
	name  string
	story []report.Event
}

func variants() []variant {
	const told = "TIMED_OUT told"
	var (
		asked   = []report.Event{dispatched}
		owed    = []report.Event{brought}
		settled = []report.Event{brought, report.Delivered{At: at(6)}}
		lost    = []report.Event{dispatched, report.Interrupted{At: at(1)}}
		late    = []report.Event{dispatched, report.GaveUp{At: at(120)}}
		both    = []report.Event{dispatched, report.Interrupted{At: at(1)}, report.GaveUp{At: at(120)}}
		made    = report.Made{Report: complete, At: at(5)}
		not     = report.NotMade{Reason: "refused", At: at(5)}
	)
	then := func(story []report.Event, e report.Event) []report.Event { return append(slices.Clone(story), e) }
	return []variant{
		{"", nil},
		{"in time", asked},
		{told, late},
		{"in time", lost},
		{told, both},
		{"made", then(asked, made)},
		{"made after TIMED_OUT", then(late, made)},
		{"not made", then(asked, not)},
		{"not made after TIMED_OUT", then(both, not)},
		{"brought, owed", owed},
		{"brought, delivered", settled},
		{"brought, owed again", then(settled, report.Requeued{By: "anna", At: at(7)})},
	}
}

type trial struct {
	name  string
	event report.Event
}

func trials() []trial {
	t := at(400)
	return []trial{
		{"", dispatched},
		{"", brought},
		{"", report.Delivered{At: t}},
		{"", report.Requeued{By: "anna", At: t}},
		{"", report.Interrupted{At: t}},
		{"COMPLETE", report.Made{Report: complete, At: t}},
		{"TIMED_OUT", report.Made{Report: report.Report{Type: report.ZBalance, Result: report.TimedOut}, At: t}},
		{"", report.GaveUp{At: t}},
		{"refused", report.NotMade{Reason: "refused", At: t}},
		{"no reason", report.NotMade{At: t}},
	}
}

func eventName(e report.Event) string { return reflect.TypeOf(e).Name() }

// TestTransitions tries every way of standing in a state with every event, and
// holds the summary that the docs draw.
func TestTransitions(t *testing.T) {
	var (
		sum     = table{Machine: "report", Start: begin}
		tried   = map[[2]string]int{}
		allowed = map[[3]string][][2]string{} // state, event, state: form and standing of each that was allowed
		order   [][3]string
		index   = func(name string) int {
			return slices.IndexFunc(sum.States, func(s state) bool { return s.Name == name })
		}
	)
	for _, v := range variants() {
		run, err := report.Replay(v.story...)
		if err != nil {
			t.Fatalf("%q: %v", v.name, err)
		}
		from := stateName(run.State)
		if index(from) < 0 {
			sum.States = append(sum.States, state{Name: from, Next: movesNext(from)})
		}
		s := &sum.States[index(from)]
		s.Standings = append(s.Standings, standing{Name: v.name, Told: string(run.Told)})

		for _, try := range trials() {
			event := eventName(try.event)
			tried[[2]string{from, event}]++
			next, err := report.Apply(run, try.event)
			if err != nil {
				var illegal *report.IllegalMove
				if !errors.As(err, &illegal) || illegal.State != run.State || illegal.ID != run.ID || !reflect.DeepEqual(illegal.Event, try.event) {
					t.Errorf("%s (%s): %s: error %#v", from, v.name, event, err)
				}
				if d := cmp.Diff(run, next); d != "" {
					t.Errorf("%s (%s): refused %s changed the report:\n%s", from, v.name, event, d)
				}
				continue
			}
			key := [3]string{from, event, stateName(next.State)}
			if allowed[key] == nil {
				order = append(order, key)
			}
			allowed[key] = append(allowed[key], [2]string{try.name, v.name})
		}
	}
	for _, key := range order {
		tr := transition{From: key[0], Event: key[1], To: key[2]}
		if hits := allowed[key]; len(hits) < tried[[2]string{key[0], key[1]}] {
			tr.Forms = some(hits, 0, formsOf(key[1]))
			tr.Standings = some(hits, 1, standingsOf(sum.States[index(key[0])]))
		}
		sum.Transitions = append(sum.Transitions, tr)
	}
	for _, s := range report.States() {
		if index(string(s)) < 0 {
			t.Errorf("no variant stands in %s", s)
		}
	}
	for _, s := range sum.States {
		if s.Next == "" {
			t.Errorf("it is not said who moves next in %s", s.Name)
		}
	}

	text, err := json.Marshal(sum, jsontext.WithIndent("  "))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "../spec/states/report.json", append(text, '\n'))
}

// some returns the i-th strings that occur in hits, or nil if all of them do.
func some(hits [][2]string, i int, of []string) []string {
	var found []string
	for _, name := range of {
		if slices.ContainsFunc(hits, func(h [2]string) bool { return h[i] == name }) {
			found = append(found, name)
		}
	}
	if len(found) == len(of) {
		return nil
	}
	return found
}

func formsOf(event string) []string {
	var forms []string
	for _, try := range trials() {
		if eventName(try.event) == event {
			forms = append(forms, try.name)
		}
	}
	return forms
}

func standingsOf(s state) []string {
	var names []string
	for _, st := range s.Standings {
		names = append(names, st.Name)
	}
	return names
}

// golden compares got with the file, or writes it under -update.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it with go test ./report -update", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; if the change is meant, rewrite it with go test ./report -update:\n%s",
			path, cmp.Diff(string(want), string(got)))
	}
}

// TestNothingIsForgotten reads the source: each declared event is tried.
func TestNothingIsForgotten(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "run.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var events []string
	for _, d := range f.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv != nil && f.Name.Name == "event" {
			events = append(events, f.Recv.List[0].Type.(*ast.Ident).Name)
		}
	}
	var tried []string
	for _, try := range trials() {
		if name := eventName(try.event); !slices.Contains(tried, name) {
			tried = append(tried, name)
		}
	}
	slices.Sort(events)
	slices.Sort(tried)
	if d := cmp.Diff(events, tried); d != "" {
		t.Errorf("declared events and those tried differ:\n%s", d)
	}
}
