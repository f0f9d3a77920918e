package report_test

import (
	"flag"
	"os"
	"slices"
	"testing"

	"github.com/tillwire/tillwire/internal/machinetest"
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

// machine is what machinetest needs to know of the machine.
func machine() machinetest.Machine[report.Run, report.State, report.Event] {
	return machinetest.Machine[report.Run, report.State, report.Event]{
		Name:   "report",
		States: report.States(),
		Next: map[report.State]string{ // in the words of the states' comments
			"":              "the till or the terminal",
			report.Asked:    "the terminal",
			report.Unknown:  "the terminal",
			report.Finished: "nobody",
		},
		Apply:  report.Apply,
		Replay: report.Replay,
		Refuse: func(r report.Run, e report.Event) error {
			return &report.IllegalMove{ID: r.ID, State: r.State, Event: e}
		},
		State: func(r report.Run) report.State { return r.State },
		Told:  func(r report.Run) string { return string(r.Told) },

		Variants: variants(),
		Trials:   trials(),
	}
}

// variants are the prototypes that the transition table is made from.
func variants() []machinetest.Variant[report.Event] {
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
	return []machinetest.Variant[report.Event]{
		{},
		{Name: "in time", Story: asked},
		{Name: told, Story: late},
		{Name: "in time", Story: lost},
		{Name: told, Story: both},
		{Name: "made", Story: then(asked, made)},
		{Name: "made after TIMED_OUT", Story: then(late, made)},
		{Name: "not made", Story: then(asked, not)},
		{Name: "not made after TIMED_OUT", Story: then(both, not)},
		{Name: "brought, owed", Story: owed},
		{Name: "brought, delivered", Story: settled},
		{Name: "brought, owed again", Story: then(settled, report.Requeued{By: "anna", At: at(7)})},
	}
}

// trials are the events that every variant is tried with.
func trials() []machinetest.Trial[report.Event] {
	t := at(400)
	return []machinetest.Trial[report.Event]{
		{Event: dispatched},
		{Event: brought},
		{Event: report.Delivered{At: t}},
		{Event: report.Requeued{By: "anna", At: t}},
		{Event: report.Interrupted{At: t}},
		{Name: "COMPLETE", Event: report.Made{Report: complete, At: t}},
		{Name: "TIMED_OUT", Event: report.Made{Report: report.Report{Type: report.ZBalance, Result: report.TimedOut}, At: t}},
		{Event: report.GaveUp{At: t}},
		{Name: "refused", Event: report.NotMade{Reason: "refused", At: t}},
		{Name: "no reason", Event: report.NotMade{At: t}},
	}
}

// TestTransitions holds the table of every way of standing in a state with
// every event.
func TestTransitions(t *testing.T) {
	summary, _ := machine().Table(t)
	machinetest.Golden(t, "../spec/states/report.json", summary, *update)
}

func TestNamesAreUnique(t *testing.T) { machine().NamesAreUnique(t) }

func TestNothingIsForgotten(t *testing.T) { machine().NothingIsForgotten(t, ".") }
