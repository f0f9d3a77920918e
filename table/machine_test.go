package table_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/table"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const begin = "begin" // how the table writes the state of what has not begun

func stateName(s table.State) string {
	if s == "" {
		return begin
	}
	return string(s)
}

// A machine is what spec/states holds of one: enough to draw it.
type machine struct {
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

// A standing is a way of standing in a state, and what is owed then.
type standing struct {
	Name string   `json:"name,omitzero"`
	Due  []string `json:"due"`
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
		begin:                    "the waiter",
		string(table.Listing):    "the waiter",
		string(table.Locking):    "the till",
		string(table.Locked):     "the waiter",
		string(table.Printing):   "the till, or the waiter",
		string(table.Paying):     "the cardholder, or the waiter",
		string(table.Unresolved): "the terminal, or an operator",
		string(table.Settled):    "the gateway",
		string(table.Unlocked):   "nobody",
		string(table.Refused):    "nobody",
	}[s]
}

func eventName(e table.Event) string { return reflect.TypeOf(e).Name() }

func dueNames(v table.Visit) []string {
	names := []string{}
	for _, d := range table.Due(v) {
		names = append(names, reflect.TypeOf(d).Name())
	}
	return names
}

// replay stands a visit where the story leads.
func replay(t *testing.T, story []table.Event) table.Visit {
	t.Helper()
	v, err := table.Replay(story...)
	if err != nil {
		t.Fatalf("story %v: %v", story, err)
	}
	return v
}

// TestTransitions tries every way of standing in a state with every event. The
// summary is what the docs draw; the full list is for reading what a change of
// the rules changed.
func TestTransitions(t *testing.T) {
	var (
		full    strings.Builder
		sum     = machine{Machine: "visit", Start: begin}
		all     = map[[2]string]int{}         // state and event: how many were tried
		allowed = map[[3]string][][2]string{} // state, event, state: form and standing of each that was allowed
		order   [][3]string                   // of the keys of allowed
		index   = func(name string) int {     // of the state in the summary
			return slices.IndexFunc(sum.States, func(s state) bool { return s.Name == name })
		}
	)
	for _, way := range variants() {
		v := replay(t, way.story)
		from := stateName(v.State)
		if index(from) < 0 {
			sum.States = append(sum.States, state{Name: from, Next: movesNext(from)})
		}
		s := &sum.States[index(from)]
		s.Standings = append(s.Standings, standing{Name: way.name, Due: dueNames(v)})
		fmt.Fprintf(&full, "%s; due: %s\n", label(from, way.name), strings.Join(dueNames(v), ", "))

		for _, try := range trials() {
			event := eventName(try.event)
			all[[2]string{from, event}]++
			next, err := table.Apply(v, try.event)
			if d := cmp.Diff(replay(t, way.story), v); d != "" {
				t.Fatalf("%s: %s changed what it was applied to:\n%s", label(from, way.name), label(event, try.name), d)
			}
			var illegal *table.IllegalMove
			switch {
			case errors.As(err, &illegal):
				if d := cmp.Diff(v, next); d != "" {
					t.Errorf("%s: refused %s changed the visit:\n%s", label(from, way.name), label(event, try.name), d)
				}
				if illegal.State != v.State || illegal.ID != v.ID || !reflect.DeepEqual(illegal.Event, try.event) {
					t.Errorf("%s: refused %s says %+v", label(from, way.name), label(event, try.name), illegal)
				}
				continue
			case err != nil:
				t.Errorf("%s: %s: %v, want an *IllegalMove", label(from, way.name), label(event, try.name), err)
				continue
			}
			to := stateName(next.State)
			fmt.Fprintf(&full, "\t%s -> %s; due: %s\n", label(event, try.name), to, strings.Join(dueNames(next), ", "))
			key := [3]string{from, event, to}
			if allowed[key] == nil {
				order = append(order, key)
			}
			allowed[key] = append(allowed[key], [2]string{try.name, way.name})
		}
	}
	for _, key := range order {
		tr := transition{From: key[0], Event: key[1], To: key[2]}
		if hits := allowed[key]; len(hits) < all[[2]string{key[0], key[1]}] {
			tr.Forms = some(hits, 0, formsOf(key[1]))
			tr.Standings = some(hits, 1, standingsOf(sum.States[index(key[0])]))
		}
		sum.Transitions = append(sum.Transitions, tr)
	}
	for _, s := range table.States() {
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
	golden(t, "../spec/states/visit.json", append(text, '\n'))
	golden(t, "testdata/transitions.txt", []byte(full.String()))
}

func label(name, form string) string {
	if form == "" {
		return name
	}
	return name + " (" + form + ")"
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
		t.Fatalf("%v; write it with go test ./table -update", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; if the change is meant, rewrite it with go test ./table -update:\n%s",
			path, cmp.Diff(string(want), string(got)))
	}
}

// TestNamesAreUnique holds the names in the table to one meaning each.
func TestNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, way := range variants() {
		name := label(stateName(replay(t, way.story).State), way.name)
		if seen[name] {
			t.Errorf("two variants are called %s", name)
		}
		seen[name] = true
	}
	for _, try := range trials() {
		name := label(eventName(try.event), try.name)
		if seen[name] {
			t.Errorf("two trials are called %s", name)
		}
		seen[name] = true
	}
}

// TestNothingIsForgotten reads the source: each declared event is tried, each
// declared state is listed.
func TestNothingIsForgotten(t *testing.T) {
	var tried []string
	for _, try := range trials() {
		if name := eventName(try.event); !slices.Contains(tried, name) {
			tried = append(tried, name)
		}
	}
	slices.Sort(tried)
	events := declared(t, "apply.go", func(d ast.Decl) []string {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv == nil || f.Name.Name != "event" {
			return nil
		}
		return []string{f.Recv.List[0].Type.(*ast.Ident).Name}
	})
	if d := cmp.Diff(events, tried); d != "" {
		t.Errorf("declared events and those tried differ:\n%s", d)
	}

	var listed []string
	for _, s := range table.States() {
		listed = append(listed, fmt.Sprintf("%q", s))
	}
	slices.Sort(listed)
	states := declared(t, "table.go", func(d ast.Decl) []string {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			return nil
		}
		var values []string
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			if id, ok := v.Type.(*ast.Ident); ok && id.Name == "State" {
				values = append(values, v.Values[0].(*ast.BasicLit).Value)
			}
		}
		return values
	})
	if d := cmp.Diff(states, listed); d != "" {
		t.Errorf("declared states and those listed differ:\n%s", d)
	}
}

func declared(t *testing.T, file string, pick func(ast.Decl) []string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range f.Decls {
		names = append(names, pick(d)...)
	}
	if len(names) == 0 {
		t.Fatalf("nothing found in %s", file)
	}
	slices.Sort(names)
	return names
}
