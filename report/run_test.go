package report_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tillwire/tillwire/report"
)

// at is n seconds after the first event of each story.
func at(n int) time.Time {
	return time.Date(2026, 10, 7, 23, 5, n, 0, time.UTC)
}

var (
	dispatched = report.Dispatched{ID: "report-1", Site: "demo", TID: "12345678", Type: report.ZBalance, At: at(0)}
	complete   = report.Report{Type: report.ZBalance, Result: report.Complete, Time: at(4)}
	brought    = report.Brought{ID: "report-2", Site: "demo", TID: "12345678", Report: complete, At: at(5)}
)

// TestRandomRuns holds what must be true of every report, asked for by a till
// or brought by its terminal, however the events fall.
func TestRandomRuns(t *testing.T) {
	events := make([]report.Event, 0, len(trials()))
	for _, try := range trials() {
		events = append(events, try.Event)
	}
	rapid.Check(t, func(t *rapid.T) {
		var (
			live report.Run
			log  []report.Event
		)
		story := rapid.SliceOfN(rapid.SampledFrom(events), 1, 20).Draw(t, "story")
		first := rapid.SampledFrom([]report.Event{nil, dispatched, brought}).Draw(t, "first")
		if first != nil {
			story = append([]report.Event{first}, story...)
		}
		for _, e := range story {
			was := live
			next, err := report.Apply(live, e)
			if err != nil {
				if d := cmp.Diff(was, next); d != "" {
					t.Fatalf("refused %#v changed the report:\n%s", e, d)
				}
				continue
			}
			live, log = next, append(log, e)
			switch e.(type) {
			case report.Made:
				if was.Report != nil {
					t.Fatalf("%#v was allowed after a report", e)
				}
			case report.Delivered:
				if !was.Owed() || live.Owed() {
					t.Fatalf("delivered when it was owed: %t; owed then: %t", was.Owed(), live.Owed())
				}
			case report.Requeued:
				if !was.Delivered || !live.Owed() || live.Resent != was.Resent+1 {
					t.Fatalf("requeued: %+v, then %+v", was, live)
				}
			default:
				if was.State == report.Finished {
					t.Fatalf("%#v was allowed after the end", e)
				}
			}
			if was.State != "" && live.Brought != was.Brought {
				t.Fatalf("%#v changed who began it", e)
			}
			if live.Brought && (live.State != report.Finished || live.Report == nil || live.Told != "") {
				t.Fatalf("brought, and yet %+v", live)
			}
			if !live.Brought && (live.Owed() || live.Delivered || live.Resent != 0) {
				t.Fatalf("a till asked, and yet %+v", live)
			}
			if was.Told != "" && live.Told != was.Told {
				t.Fatalf("told %s, then %s", was.Told, live.Told)
			}
			if finished := live.State == report.Finished; finished != (live.Report != nil || live.Failed != "") {
				t.Fatalf("%s with report %v and failure %q", live.State, live.Report, live.Failed)
			}
			if !slices.Contains(report.States(), live.State) {
				t.Fatalf("state %q is not listed", live.State)
			}
		}
		again, err := report.Replay(log...)
		if err != nil {
			t.Fatalf("the log of a life does not replay: %v", err)
		}
		if d := cmp.Diff(live, again); d != "" {
			t.Fatalf("replay differs from the live state:\n%s", d)
		}
	})
}

func TestWhatIsTold(t *testing.T) {
	made := report.Made{Report: complete, At: at(5)}
	for _, c := range []struct {
		name     string
		then     []report.Event
		told     report.Result
		recorded bool
	}{
		{"made in time", []report.Event{made}, report.Complete, true},
		{"made late: kept, and what was told stays", []report.Event{report.GaveUp{At: at(120)}, made}, report.TimedOut, true},
		{"made after a lost link", []report.Event{report.Interrupted{At: at(1)}, made}, report.Complete, true},
		{"not made", []report.Event{report.NotMade{Reason: "busy", At: at(1)}}, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			run, err := report.Replay(append([]report.Event{dispatched}, c.then...)...)
			if err != nil {
				t.Fatal(err)
			}
			if run.Told != c.told || (run.Report != nil) != c.recorded {
				t.Errorf("told %q, report %v; want %q, recorded %t", run.Told, run.Report, c.told, c.recorded)
			}
		})
	}
}

// TestBrought: a report that was started at the terminal is owed until the
// till has it, and again when an operator has it sent anew.
func TestBrought(t *testing.T) {
	delivered, requeued := report.Delivered{At: at(6)}, report.Requeued{By: "anna", At: at(7)}
	for _, c := range []struct {
		name   string
		then   []report.Event
		owed   bool
		resent int
	}{
		{"brought", nil, true, 0},
		{"delivered", []report.Event{delivered}, false, 0},
		{"sent anew", []report.Event{delivered, requeued}, true, 1},
		{"delivered again", []report.Event{delivered, requeued, delivered}, false, 1},
		{"sent anew twice", []report.Event{delivered, requeued, delivered, requeued}, true, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := report.Replay(append([]report.Event{brought}, c.then...)...)
			if err != nil {
				t.Fatal(err)
			}
			want := report.Run{
				ID: "report-2", Site: "demo", TID: "12345678", Type: report.ZBalance, State: report.Finished, Report: &complete,
				Brought: true, Delivered: !c.owed, Resent: c.resent, At: at(5),
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
			if got.Owed() != c.owed {
				t.Errorf("owed %t, want %t", got.Owed(), c.owed)
			}
		})
	}
}

func TestIllegalMoveNamesAllThree(t *testing.T) {
	finished, err := report.Replay(dispatched, report.Made{Report: complete})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		run  report.Run
		want []string
	}{
		{report.Run{}, []string{"report.GaveUp", "not begun"}},
		{finished, []string{"report.GaveUp", "finished", "report-1"}},
	} {
		_, err := report.Apply(c.run, report.GaveUp{})
		if err == nil {
			t.Fatalf("GaveUp was allowed in %q", c.run.State)
		}
		for _, word := range c.want {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q does not name %s", err, word)
			}
		}
	}
}

func TestReplayStopsAtTheFirstFault(t *testing.T) {
	run, err := report.Replay(dispatched, dispatched, report.GaveUp{})
	if err == nil || run.State != report.Asked || run.Told != "" {
		t.Errorf("got %+v and error %v, want the first event's state and an error", run, err)
	}
}

func TestApplyPanicsOnAForgottenEvent(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("nil is no event; want a panic")
		}
	}()
	_, _ = report.Apply(report.Run{}, nil)
}
