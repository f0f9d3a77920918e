package table_test

import (
	"flag"
	"testing"

	"github.com/tillwire/tillwire/internal/machinetest"
	"github.com/tillwire/tillwire/table"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// machine is what machinetest needs to know of the machine.
func machine() machinetest.Machine[table.Visit, table.State, table.Event] {
	return machinetest.Machine[table.Visit, table.State, table.Event]{
		Name:   "visit",
		States: table.States(),
		Next: map[table.State]string{ // in the words of the states' comments
			"":               "the waiter",
			table.Listing:    "the waiter",
			table.Locking:    "the till",
			table.Locked:     "the waiter",
			table.Printing:   "the till, or the waiter",
			table.Paying:     "the cardholder, or the waiter",
			table.Unresolved: "the terminal, or an operator",
			table.Settled:    "the gateway",
			table.Unlocked:   "nobody",
			table.Refused:    "nobody",
		},
		Apply:  table.Apply,
		Replay: table.Replay,
		Refuse: func(v table.Visit, e table.Event) error {
			return &table.IllegalMove{ID: v.ID, State: v.State, Event: e}
		},
		State: func(v table.Visit) table.State { return v.State },
		Due:   dueNames,

		Variants: variants(),
		Trials:   trials(),
	}
}

func dueNames(v table.Visit) []string {
	var names []string
	for _, d := range table.Due(v) {
		names = append(names, machinetest.NameOf(d))
	}
	return names
}

// replay stands a visit where the story leads.
func replay(t *testing.T, story []table.Event) table.Visit {
	t.Helper()
	return machinetest.Stand(t, table.Replay, story)
}

// TestTransitions holds the table of every way of standing in a state with
// every event.
func TestTransitions(t *testing.T) {
	summary, list := machine().Table(t)
	machinetest.Golden(t, "../spec/states/visit.json", summary, *update)
	machinetest.Golden(t, "testdata/transitions.txt", list, *update)
}

func TestNamesAreUnique(t *testing.T) { machine().NamesAreUnique(t) }

func TestNothingIsForgotten(t *testing.T) { machine().NothingIsForgotten(t, ".") }
