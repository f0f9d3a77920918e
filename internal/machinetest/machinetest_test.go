package machinetest_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/internal/machinetest"
)

// The machine of these tests is a gate that opens for a coin of enough worth.
type (
	place string
	gate  struct {
		State place
		Paid  []int
	}
	event interface{ event() }
	coin  struct{ Worth int }
	pass  struct{}
	built struct{}
	stray struct{}
)

func (coin) event()  {}
func (pass) event()  {}
func (built) event() {}
func (stray) event() {}

// source declares what the gate has, as a machine's package does.
const source = `package gate
type State string
const begin State = ""
const (
	Shut State = "shut" // pay
	Open State = "open"
)
const Price = "10"
func (coin) event() {}
func (pass) event() {}
func (built) event() {}
func (gate) events() {}
func event() {}
`

type refusal struct {
	From place
	What event
}

func (r refusal) Error() string { return fmt.Sprintf("no %T when %s", r.What, r.From) }

func apply(g gate, e event) (gate, error) {
	switch e := e.(type) {
	case built:
		if g.State == "" {
			return gate{State: "shut"}, nil
		}
	case coin:
		if g.State == "shut" && e.Worth >= 10 {
			return gate{"open", append(slices.Clone(g.Paid), e.Worth)}, nil
		}
	case pass:
		if g.State == "open" {
			return gate{"shut", g.Paid}, nil
		}
	}
	return g, refusal{g.State, e}
}

func replay(events ...event) (gate, error) {
	var g gate
	for _, e := range events {
		var err error
		if g, err = apply(g, e); err != nil {
			return g, err
		}
	}
	return g, nil
}

type (
	machine = machinetest.Machine[gate, place, event]
	variant = machinetest.Variant[event]
	trial   = machinetest.Trial[event]
)

func theGate() machine {
	return machine{
		Name: "gate", States: []place{"shut", "open"},
		Next:  map[place]string{"": "the builder", "shut": "who pays", "open": "who paid"},
		Apply: apply, Replay: replay,
		Refuse: func(g gate, e event) error { return refusal{g.State, e} },
		State:  func(g gate) place { return g.State },
		Told: func(g gate) string {
			if g.State == "open" {
				return "welcome"
			}
			return ""
		},
		Due: func(g gate) []string {
			if g.State == "open" {
				return []string{"Light", "Sound"}
			}
			return nil
		},
		Variants: []variant{
			{},
			{Name: "new", Story: []event{built{}}},
			{Name: "used", Story: []event{built{}, coin{10}, pass{}}},
			{Story: []event{built{}, coin{10}}},
		},
		Trials: []trial{
			{Event: built{}},
			{Name: "enough", Event: coin{20}},
			{Name: "too little", Event: coin{1}},
			{Event: pass{}},
		},
	}
}

func TestTable(t *testing.T) {
	const (
		wantList = `begin; due: ` + `
	built -> shut; due: ` + `
shut (new); due: ` + `
	coin (enough) -> open; told welcome; due: Light, Sound
shut (used); due: ` + `
	coin (enough) -> open; told welcome; due: Light, Sound
open; due: Light, Sound
	pass -> shut; told ; due: ` + `
`
		wantSummary = `{"machine":"gate","start":"begin",
			"states":[
				{"name":"begin","next":"the builder","standings":[{"due":[]}]},
				{"name":"shut","next":"who pays","standings":[{"name":"new","due":[]},{"name":"used","due":[]}]},
				{"name":"open","next":"who paid","standings":[{"told":"welcome","due":["Light","Sound"]}]}],
			"transitions":[
				{"from":"begin","event":"built","to":"shut"},
				{"from":"shut","event":"coin","to":"open","forms":["enough"]},
				{"from":"open","event":"pass","to":"shut"}]}`
	)
	summary, list := theGate().Table(t)
	if d := cmp.Diff(wantList, string(list)); d != "" {
		t.Errorf("the list differs:\n%s", d)
	}
	squeeze := func(s string) string { return strings.Join(strings.Fields(s), "") }
	if d := cmp.Diff(squeeze(wantSummary), squeeze(string(summary))); d != "" {
		t.Errorf("the summary differs:\n%s", d)
	}
}

// TestSomeStandings: an event that only some ways of standing in a state allow
// names them, and a machine that tells and owes nothing has no word of it.
func TestSomeStandings(t *testing.T) {
	m := theGate()
	m.Told, m.Due = nil, nil
	m.Apply = func(g gate, e event) (gate, error) {
		if _, ok := e.(coin); ok && len(g.Paid) > 0 {
			return g, refusal{g.State, e}
		}
		return apply(g, e)
	}
	m.Trials = slices.DeleteFunc(m.Trials, func(try trial) bool { return try.Name == "too little" })
	summary, list := m.Table(t)
	for _, c := range []struct {
		text, word string
		want       bool
	}{
		{string(summary), `"standings": [
        "new"
      ]`, true},
		{string(summary), "forms", false},
		{string(summary), "due", false},
		{string(summary), "told", false},
		{string(list), "due", false},
		{string(list), "told", false},
	} {
		if strings.Contains(c.text, c.word) != c.want {
			t.Errorf("that %q is in it should be %t:\n%s", c.word, c.want, c.text)
		}
	}
}

// A witness is a test that is allowed to fail: it keeps what it is told.
type witness struct {
	testing.TB
	said []string
}

type stopped struct{}

func (w *witness) Helper() {}

func (w *witness) Errorf(format string, args ...any) {
	w.said = append(w.said, fmt.Sprintf(format, args...))
}

func (w *witness) Fatalf(format string, args ...any) {
	w.Errorf(format, args...)
	panic(stopped{})
}

func (w *witness) Fatal(args ...any) { w.Fatalf("%s", fmt.Sprint(args...)) }

// watch returns what is said while do runs.
func watch(t *testing.T, do func(testing.TB)) []string {
	t.Helper()
	w := &witness{TB: t}
	func() {
		defer func() {
			if r := recover(); r != nil && r != any(stopped{}) {
				panic(r)
			}
		}()
		do(w)
	}()
	return w.said
}

// TestFlawsAreFound: each way of being wrong is said, and the gate as it is has none.
func TestFlawsAreFound(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{"gate.go": source, "gate_test.go": "package gate\nfunc (fake) event() {}\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func(m machine) []string {
		return watch(t, func(w testing.TB) {
			m.Table(w)
			m.NamesAreUnique(w)
			m.NothingIsForgotten(w, folder)
		})
	}
	if said := check(theGate()); len(said) > 0 {
		t.Errorf("of a sound machine it is said: %q", said)
	}
	for _, c := range []struct {
		name  string
		spoil func(*machine)
		want  []string // words of the one thing that is said
	}{
		{"state without a variant", func(m *machine) { m.Variants = m.Variants[:3] }, []string{"no variant", "open"}},
		{"nobody moves next", func(m *machine) { delete(m.Next, "shut") }, []string{"who moves next", "shut"}},
		{"variants of one name", func(m *machine) { m.Variants[2].Name = "new" }, []string{"two variants", "shut (new)"}},
		{"trials of one name", func(m *machine) { m.Trials[2].Name = "enough" }, []string{"two trials", "coin (enough)"}},
		{"story that cannot be", func(m *machine) { m.Variants[3].Story = []event{pass{}} }, []string{"story", "no machinetest_test.pass"}},
		{"event that is not tried", func(m *machine) { m.Trials = m.Trials[:3] }, []string{"declared events", "tried", `-`, `"pass"`}},
		{"event that is not declared", func(m *machine) { m.Trials = append(m.Trials, trial{Event: stray{}}) }, []string{"declared events", "tried", "+", `"stray"`}},
		{"state that is not listed", func(m *machine) { m.States = m.States[:1] }, []string{"declared states", "listed", "-", `"open"`}},
		{"refusal of another kind", func(m *machine) {
			m.Apply = func(g gate, e event) (gate, error) {
				if g.State == "open" && e == (built{}) {
					return g, errors.New("no")
				}
				return apply(g, e)
			}
		}, []string{"open", "built", "was refused with", "want"}},
		{"refusal that leaves a trace", func(m *machine) {
			m.Apply = func(g gate, e event) (gate, error) {
				next, err := apply(g, e)
				if g.State == "open" && e == (built{}) {
					next.State = "ajar"
				}
				return next, err
			}
		}, []string{"open", "built", "left a trace", "ajar"}},
		{"what is applied to changes", func(m *machine) {
			m.Apply = func(g gate, e event) (gate, error) {
				if e == (pass{}) && len(g.Paid) > 0 {
					g.Paid[0]++
				}
				return apply(g, e)
			}
		}, []string{"shut (used)", "pass", "changed what it was applied to"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := theGate()
			c.spoil(&m)
			said := check(m)
			if len(said) != 1 || slices.ContainsFunc(c.want, func(word string) bool { return !strings.Contains(said[0], word) }) {
				t.Errorf("said %q, want one thing with %q", said, c.want)
			}
		})
	}
}

// TestEmptyFolder: source without events and states is not taken for a machine
// that has none.
func TestEmptyFolder(t *testing.T) {
	said := watch(t, func(w testing.TB) { machine{}.NothingIsForgotten(w, t.TempDir()) })
	if len(said) != 2 || !strings.HasPrefix(said[0], "no events are declared") || !strings.HasPrefix(said[1], "no states are declared") {
		t.Errorf("said %q, want that no events and no states are declared", said)
	}
}

func TestGolden(t *testing.T) {
	path := filepath.Join(t.TempDir(), "golden")
	golden := func(got string, write bool) []string {
		return watch(t, func(w testing.TB) { machinetest.Golden(w, path, []byte(got), write) })
	}
	for _, c := range []struct {
		got   string
		write bool
		want  string // in what is said; empty: nothing is
	}{
		{"a table", false, "write it with go test -update"},
		{"a table", true, ""},
		{"a table", false, ""},
		{"a table\n", false, "golden differs"},
		{"another", true, ""},
		{"another", false, ""},
	} {
		said := golden(c.got, c.write)
		if (len(said) == 0) != (c.want == "") || !strings.Contains(strings.Join(said, "\n"), c.want) {
			t.Errorf("of %q (written: %t) it is said %q, want %q", c.got, c.write, said, c.want)
		}
	}
}
