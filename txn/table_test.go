package txn_test

import (
	"flag"
	"fmt"
	"testing"

	"github.com/tillwire/tillwire/internal/machinetest"
	"github.com/tillwire/tillwire/txn"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// machine is what machinetest needs to know of the machine.
func machine() machinetest.Machine[txn.Transaction, txn.State, txn.Event] {
	return machinetest.Machine[txn.Transaction, txn.State, txn.Event]{
		Name:   "transaction",
		States: txn.States(),
		Next: map[txn.State]string{ // in the words of the states' comments
			"":             "the till",
			txn.Requested:  "the gateway",
			txn.AtTerminal: "the cardholder",
			txn.Signing:    "the cashier",
			txn.Unresolved: "the terminal, or an operator",
			txn.Finished:   "nobody",
		},
		Apply:  txn.Apply,
		Replay: txn.Replay,
		Refuse: func(t txn.Transaction, e txn.Event) error {
			return &txn.IllegalMove{ID: t.ID, State: t.State, Event: e}
		},
		State: func(t txn.Transaction) txn.State { return t.State },
		Told:  func(t txn.Transaction) string { return string(t.Told) },
		Due:   dueNames,

		Variants: variants(),
		Trials:   trials(),
	}
}

func dueNames(t txn.Transaction) []string {
	var names []string
	for _, d := range txn.Due(t) {
		name := machinetest.NameOf(d)
		if a, ok := d.(txn.AnswerTerminal); ok {
			name = fmt.Sprintf("%s(%t)", name, a.Accepted)
		}
		names = append(names, name)
	}
	return names
}

// replay stands a transaction where the story leads.
func replay(t *testing.T, story []txn.Event) txn.Transaction {
	t.Helper()
	return machinetest.Stand(t, txn.Replay, story)
}

// TestTransitions holds the table of every way of standing in a state with
// every event.
func TestTransitions(t *testing.T) {
	summary, list := machine().Table(t)
	machinetest.Golden(t, "../spec/states/transaction.json", summary, *update)
	machinetest.Golden(t, "testdata/transitions.txt", list, *update)
}

func TestNamesAreUnique(t *testing.T) { machine().NamesAreUnique(t) }

func TestNothingIsForgotten(t *testing.T) { machine().NothingIsForgotten(t, ".") }
