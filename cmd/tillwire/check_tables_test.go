package main

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/conform"
	"github.com/tillwire/tillwire/spec"
)

// An impatientStage gives a till little time for its answers.
type impatientStage struct{ *checkBench }

// Calm keeps it so.
func (s impatientStage) Calm() error {
	if err := s.checkBench.Calm(); err != nil {
		return err
	}
	return s.Limit(spec.TimerPATAnswer, 3*time.Second)
}

// tableChecks are the checks of tables, with a stay that no good till breaks.
func tableChecks(stays time.Duration) []conform.Check {
	return conform.TableChecks(conform.TableOptions{Stays: stays})
}

// tryTables runs all checks of tables against a sample.
func tryTables(till *tableTill) (_ conform.Report, err error) {
	under := ""
	if memory := "/dev/shm"; isDir(memory) {
		under = memory
	}
	bench, err := openCheckBench(streams{out: &bytes.Buffer{}, err: &bytes.Buffer{}, in: strings.NewReader("")}, under, "127.0.0.1:0", 0, checkState{})
	if err != nil {
		return conform.Report{}, err
	}
	till.url = strings.Replace(bench.url, "/pac?", "/pat?", 1)
	defer func() {
		till.close()
		err = errors.Join(err, bench.close())
	}()
	cfg := conform.Config{
		Checks: tableChecks(20 * time.Millisecond), Stage: bench, Hands: till, Limit: patienceOfTill, Patience: patienceOfTill,
		Settle: 5 * time.Millisecond, Product: "test", Side: "pat",
	}
	// What a till does not do is waited for in vain, and not for long.
	switch till.flaw {
	case "never answers", "another id in answers", "ids as text", "floats", "amounts as text", "confirms without a currency", "confirmed as text":
		cfg.Stage = impatientStage{bench}
	case "answers no pings", "does not say that it is recorded", "knows no reports":
		cfg.Patience = 2 * time.Second
	case "a key of its own":
		cfg.Limit = 200 * time.Millisecond
	case "keeps a dead socket":
		cfg.Stage, cfg.Limit = impatientStage{bench}, 5*time.Second
	case "dials back at once":
		cfg.Checks = tableChecks(patienceOfTill)
	}
	run := conform.NewRun(cfg)
	if err := bench.serve(run.Saw); err != nil {
		return conform.Report{}, err
	}
	return run.Run(context.Background())
}

// tryTableTills runs all checks against samples, some at once.
func tryTableTills(t *testing.T, tills []*tableTill) []conform.Report {
	t.Helper()
	reports, errs := make([]conform.Report, len(tills)), make([]error, len(tills))
	places := make(chan struct{}, 6)
	var all sync.WaitGroup
	for i, till := range tills {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			reports[i], errs[i] = tryTables(till)
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return reports
}

// TestGoodTableTills: tills that do everything right pass every line that they
// have to.
func TestGoodTableTills(t *testing.T) {
	tills := []*tableTill{{}, {acks: true}, {noFinal: true}, {noWaiters: true, acks: true}}
	leftOut := [][]string{{}, {}, {"pat.finalReceipt"}, {"pat.waiters"}}
	for i, r := range tryTableTills(t, tills) {
		missed := []string{}
		for _, l := range r.Lines {
			if l.State != conform.Passed {
				missed = append(missed, l.ID)
			}
		}
		if diff := cmp.Diff(leftOut[i], missed); diff != "" || !r.Passed() || len(r.Lines) != len(tableChecks(0)) {
			t.Errorf("%d: %s, left out (-want +got):\n%s\n%s", i, r.Verdict(), diff, strings.Join(tills[i].log, "\n"))
		}
	}
}

// TestBadTableTills: each fails its line and no other; what needs something that
// it lacks is not reached; all other lines pass.
func TestBadTableTills(t *testing.T) {
	var atTables, all []string
	for _, c := range tableChecks(0) {
		if c.Needs != conform.ByWord {
			all = append(all, c.ID)
		}
		if c.Scene != nil && !slices.Contains([]string{"pat.endOfDay", "general.endOfDay", "pat.oneConnection"}, c.ID) {
			atTables = append(atTables, c.ID)
		}
	}
	paid := []string{"pat.list", "pat.refuse", "pat.split", "pat.gratuity", "pat.finalReceipt", "pat.once", "pat.offline"}
	cases := []struct {
		flaw, fails string
		notReached  []string
		acks        bool
	}{
		{flaw: "a key of its own", fails: "general.address", notReached: without(all, "general.address")},
		{flaw: "another installer each time", fails: "general.partnerIds"},
		{flaw: "no end of day at night", fails: "general.endOfDay"},

		{flaw: "never answers", fails: "pat.list", notReached: without(atTables, "pat.list")},
		{flaw: "another id in answers", fails: "pat.list", notReached: without(atTables, "pat.list")},
		{flaw: "ids as text", fails: "pat.list", notReached: without(atTables, "pat.list")},
		{flaw: "lists nothing", fails: "pat.list", notReached: []string{"pat.waiters"}},
		{flaw: "lists locked tables", fails: "pat.list"},
		{flaw: "lists paid tables", fails: "pat.list"},
		{flaw: "refuses free tables", fails: "pat.lock", notReached: without(atTables, "pat.lock", "pat.waiters")},
		{flaw: "floats", fails: "pat.lock", notReached: without(atTables, "pat.lock", "pat.waiters")},
		{flaw: "amounts as text", fails: "pat.lock", notReached: without(atTables, "pat.lock", "pat.waiters")},
		{flaw: "confirms without a currency", fails: "pat.lock", notReached: without(atTables, "pat.lock", "pat.waiters")},
		{flaw: "confirmed as text", fails: "pat.lock", notReached: without(atTables, "pat.lock", "pat.waiters")},
		{flaw: "cuts fractions off", fails: "pat.lock"},
		{flaw: "lets a locked table be edited", fails: "pat.lock"},
		{flaw: "confirms an unknown table", fails: "pat.refuse"},
		{flaw: "confirms a locked table", fails: "pat.refuse"},
		{flaw: "confirms a paid table", fails: "pat.refuse"},
		{flaw: "refuses with an error", fails: "pat.refuse"},
		{flaw: "prints no bill", fails: "pat.bill"},
		{flaw: "ignores unlock", fails: "pat.unlock", notReached: paid},
		{flaw: "closes the table after the first part", fails: "pat.split", notReached: []string{"pat.list", "pat.refuse", "pat.gratuity", "pat.once", "pat.offline"}},
		{flaw: "books a visit as one payment", fails: "pat.split"},
		{flaw: "pays the bill with gratuity", fails: "pat.gratuity"},
		{flaw: "forgets gratuity", fails: "pat.gratuity"},
		{flaw: "loses the final receipt", fails: "pat.finalReceipt"},
		{flaw: "ignores waiters", fails: "pat.waiters"},
		{flaw: "checks waiters in lists only", fails: "pat.waiters"},
		{flaw: "books twice", fails: "pat.once"},
		{flaw: "answers no pings", fails: "pat.once", notReached: append(without(paid, "pat.once"), "pat.unlock")},
		{flaw: "does not say that it is recorded", fails: "pat.once", notReached: without(paid, "pat.once", "pat.finalReceipt"), acks: true},
		{flaw: "does not book what was paid while offline", fails: "pat.offline"},
		{flaw: "keeps a dead socket", fails: "pat.offline", notReached: []string{"pat.once", "pat.endOfDay", "general.endOfDay", "pat.oneConnection"}},
		{flaw: "drops the end of day", fails: "pat.endOfDay"},
		{flaw: "knows no reports", fails: "pat.endOfDay", acks: true},
		{flaw: "dials back at once", fails: "pat.oneConnection"},
	}
	var tills []*tableTill
	for _, tt := range cases {
		tills = append(tills, &tableTill{flaw: tt.flaw, acks: tt.acks})
	}
	reports := tryTableTills(t, tills)
	for i, tt := range cases {
		t.Run(tt.flaw, func(t *testing.T) {
			wantLines(t, reports[i], tt.fails, tt.notReached)
			if t.Failed() {
				t.Log(strings.Join(tills[i].log, "\n"))
			}
		})
	}
}
