// Package machinetest is the one test that every state machine passes: it tries
// every way of standing in a state with every event, makes the table of what
// came of it, and finds names that mean two things and states or events that
// were forgotten. It knows no machine, so each brings its own variants and
// trials. It is not part of the product.
package machinetest

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

// A Machine is a state machine to be tried: V is what its Apply moves, S its
// states, E its events. The empty state is that of what has not begun.
type Machine[V any, S ~string, E any] struct {
	Name   string       // in the table
	States []S          // all but the empty one
	Next   map[S]string // who moves next, in each state and the empty one

	Apply  func(V, E) (V, error)
	Replay func(...E) (V, error)
	Refuse func(V, E) error // the error for an event that the state does not allow

	State func(V) S
	Told  func(V) string   // what was told to the outside; nil where nothing is
	Due   func(V) []string // what is owed; nil where nothing ever is

	Variants []Variant[E]
	Trials   []Trial[E]

	// EventMethod and StateType tell the machine from others of its package:
	// what its events are sealed with, and the type of its states. They are "event"
	// and "State" where they are empty.
	EventMethod, StateType string
}

// A Variant is a way of standing in a state that the rules may treat apart from
// other ways of standing in it: what led there, and its name.
type Variant[E any] struct {
	Name  string
	Story []E
}

// A Trial is an event, with what sets it apart from others of its type.
type Trial[E any] struct {
	Name  string
	Event E
}

const begin = "begin" // how the table writes the empty state

// A table is what spec/states holds of a machine: enough to draw it.
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

// A standing is a way of standing in a state, what was told and what is owed
// then. Due is nil for a machine that owes nothing.
type standing struct {
	Name string   `json:"name,omitzero"`
	Told string   `json:"told,omitzero"`
	Due  []string `json:"due,omitzero"`
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

// state returns the state with the name, nil if there is none.
func (tab *table) state(name string) *state {
	for i := range tab.States {
		if tab.States[i].Name == name {
			return &tab.States[i]
		}
	}
	return nil
}

// names are those of the standings.
func (s *state) names() []string {
	var names []string
	for _, st := range s.Standings {
		names = append(names, st.Name)
	}
	return names
}

type (
	move struct{ from, event, to string }
	// A way is how a move was made: by which form of the event, from which standing.
	way struct{ form, standing string }
)

// Table tries every variant with every trial. It returns the summary that the
// docs draw, as JSON, and the full list, for reading what a change of the rules
// changed. It fails t where a refusal is not the machine's own or leaves a
// trace, where an event changes the value that it is applied to, and where a
// state has no variant or nobody to move next.
func (m Machine[V, S, E]) Table(t testing.TB) (summary, list []byte) {
	t.Helper()
	var (
		full    bytes.Buffer
		sum     = table{Machine: m.Name, Start: begin}
		tried   = map[[2]string]int{} // by state and event
		allowed = map[move][]way{}
		order   []move // of the keys of allowed
	)
	for _, v := range m.Variants {
		was := Stand(t, m.Replay, v.Story)
		from := m.State(was)
		s := sum.state(stateName(from))
		if s == nil {
			sum.States = append(sum.States, state{Name: stateName(from), Next: m.Next[from]})
			s = &sum.States[len(sum.States)-1]
		}
		s.Standings = append(s.Standings, standing{Name: v.Name, Told: m.told(was), Due: m.due(was)})
		place := label(s.Name, v.Name)
		fmt.Fprintf(&full, "%s%s\n", place, m.owing(was))

		for _, try := range m.Trials {
			event := NameOf(try.Event)
			form := label(event, try.Name)
			tried[[2]string{s.Name, event}]++
			next, err := m.Apply(was, try.Event)
			if d := cmp.Diff(Stand(t, m.Replay, v.Story), was); d != "" {
				t.Fatalf("%s: %s changed what it was applied to:\n%s", place, form, d)
			}
			if err != nil {
				if want := m.Refuse(was, try.Event); !reflect.DeepEqual(err, want) {
					t.Errorf("%s: %s was refused with %#v, want %#v", place, form, err, want)
				}
				if d := cmp.Diff(was, next); d != "" {
					t.Errorf("%s: %s was refused and left a trace:\n%s", place, form, d)
				}
				continue
			}
			made := move{s.Name, event, stateName(m.State(next))}
			fmt.Fprintf(&full, "\t%s -> %s", form, made.to)
			if told := m.told(next); told != m.told(was) {
				fmt.Fprintf(&full, "; told %s", told)
			}
			fmt.Fprintf(&full, "%s\n", m.owing(next))
			if allowed[made] == nil {
				order = append(order, made)
			}
			allowed[made] = append(allowed[made], way{try.Name, v.Name})
		}
	}
	for _, made := range order {
		tr := transition{From: made.from, Event: made.event, To: made.to}
		if ways := allowed[made]; len(ways) < tried[[2]string{made.from, made.event}] {
			tr.Forms = some(ways, func(w way) string { return w.form }, m.forms(made.event))
			tr.Standings = some(ways, func(w way) string { return w.standing }, sum.state(made.from).names())
		}
		sum.Transitions = append(sum.Transitions, tr)
	}
	for _, s := range m.States {
		if sum.state(string(s)) == nil {
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
	return append(text, '\n'), full.Bytes()
}

// told is what was told in v, empty for a machine that tells nothing.
func (m Machine[V, S, E]) told(v V) string {
	if m.Told == nil {
		return ""
	}
	return m.Told(v)
}

// due is what is owed in v: nil only for a machine that owes nothing.
func (m Machine[V, S, E]) due(v V) []string {
	if m.Due == nil {
		return nil
	}
	return append([]string{}, m.Due(v)...)
}

// owing is how the full list says what is owed in v.
func (m Machine[V, S, E]) owing(v V) string {
	if m.Due == nil {
		return ""
	}
	return "; due: " + strings.Join(m.due(v), ", ")
}

// forms are the names of an event's trials.
func (m Machine[V, S, E]) forms(event string) []string {
	var names []string
	for _, try := range m.Trials {
		if NameOf(try.Event) == event {
			names = append(names, try.Name)
		}
	}
	return names
}

// some returns those of all that name says of one of the ways, or nil if that is
// each of them.
func some(ways []way, name func(way) string, all []string) []string {
	var found []string
	for _, n := range all {
		if slices.ContainsFunc(ways, func(w way) bool { return name(w) == n }) {
			found = append(found, n)
		}
	}
	if len(found) == len(all) {
		return nil
	}
	return found
}

// Stand returns the value that a story leads to.
func Stand[V, E any](t testing.TB, replay func(...E) (V, error), story []E) V {
	t.Helper()
	v, err := replay(story...)
	if err != nil {
		t.Fatalf("story %v: %v", story, err)
	}
	return v
}

// NameOf returns the name of the type of an event or effect.
func NameOf(v any) string { return reflect.TypeOf(v).Name() }

func stateName[S ~string](s S) string {
	if s == "" {
		return begin
	}
	return string(s)
}

func label(name, form string) string {
	if form == "" {
		return name
	}
	return name + " (" + form + ")"
}

// Golden compares got with the file, or writes it.
func Golden(t testing.TB, path string, got []byte, write bool) {
	t.Helper()
	if write {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it with go test -update in the package's folder", err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s differs; if the change is meant, rewrite it with go test -update in the package's folder:\n%s", path, d)
	}
}
