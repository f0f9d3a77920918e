package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/conform"
)

// unsigned is long enough for a till to answer a signature by itself, if it does.
const unsigned = 300 * time.Millisecond

// testChecks are the checks with a cashier who is quick.
func testChecks() []conform.Check {
	return conform.Checks(conform.Options{Slow: 50 * time.Millisecond, Unsigned: unsigned})
}

// paceFor gives a till whose flaw is haste time to show it, on a machine that
// has much to do, and all others none.
func paceFor(flaw string) (checks []conform.Check, lingers time.Duration) {
	checks, lingers = testChecks(), time.Millisecond
	switch flaw {
	case "signs for the cashier":
		checks = conform.Checks(conform.Options{Slow: 5 * time.Second, Unsigned: unsigned})
	case "accepts by itself":
		checks = conform.Checks(conform.Options{Slow: 50 * time.Millisecond, Unsigned: 5 * time.Second})
	case "hangs up on cancelling", "breaks on what it does not know", "hangs up when time is up":
		lingers = 5 * time.Second
	}
	return checks, lingers
}

// tryTill runs all checks against a sample.
func tryTill(till *sampleTill) (_ conform.Report, err error) {
	under := "" // where files are temporary
	if memory := "/dev/shm"; isDir(memory) {
		under = memory // hundreds of sales need not wait for a disk
	}
	bench, err := openCheckBench(streams{out: &bytes.Buffer{}, err: &bytes.Buffer{}, in: strings.NewReader("")}, under, "127.0.0.1:0", 0, checkState{})
	if err != nil {
		return conform.Report{}, err
	}
	checks, lingers := paceFor(till.flaw)
	till.url, bench.lingers = bench.url, lingers
	defer func() {
		till.close()
		err = errors.Join(err, bench.close())
	}()
	run := conform.NewRun(conform.Config{
		Checks: checks, Stage: bench, Hands: till, Limit: 40 * time.Second, Settle: 5 * time.Millisecond, Product: "test", Side: "pac",
	})
	if err := bench.serve(run.Saw); err != nil {
		return conform.Report{}, err
	}
	return run.Run(context.Background())
}

// tryTills runs all checks against samples, some at once: they mostly wait.
func tryTills(t *testing.T, tills []*sampleTill) []conform.Report {
	t.Helper()
	reports, errs := make([]conform.Report, len(tills)), make([]error, len(tills))
	places := make(chan struct{}, 6)
	var all sync.WaitGroup
	for i, till := range tills {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			reports[i], errs[i] = tryTill(till)
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return reports
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// TestGoodTill: a till that does everything right passes every line.
func TestGoodTill(t *testing.T) {
	for i, r := range tryTills(t, []*sampleTill{{}, {flaw: "one id for all"}}) { // which is none
		for _, l := range r.Lines {
			if l.State != conform.Passed {
				t.Errorf("%d: %s: %s: %s", i, l.ID, l.State, l.Hint)
			}
		}
		if !r.Passed() || len(r.Lines) != len(testChecks()) {
			t.Errorf("%d: %s, of %d lines", i, r.Verdict(), len(testChecks()))
		}
	}
}

// linesIn are the lines in a state.
func linesIn(r conform.Report, s conform.State) []string {
	out := []string{}
	for _, l := range r.Lines {
		if l.State == s {
			out = append(out, l.ID)
		}
	}
	return out
}

// All lines that want a transaction to run, besides those that only look at what
// the till sends.
func needTransactions() []string {
	var out []string
	for _, c := range testChecks() {
		if strings.HasPrefix(c.ID, "pac.") && c.Stands == nil && !slices.Contains([]string{"pac.amounts", "pac.balances", "pac.banking"}, c.ID) {
			out = append(out, c.ID)
		}
	}
	return out
}

// needWire are all lines for which the till has to be heard.
func needWire() []string {
	var out []string
	for _, c := range testChecks() {
		if c.Needs != conform.ByWord {
			out = append(out, c.ID)
		}
	}
	return out
}

func without(list []string, those ...string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(id string) bool { return slices.Contains(those, id) })
}

// wantLines checks that one line failed, or none, and which were not reached.
func wantLines(t *testing.T, r conform.Report, line string, notReached []string) {
	t.Helper()
	fails := []string{}
	if line != "" {
		fails = append(fails, line)
	}
	if diff := cmp.Diff(fails, linesIn(r, conform.Failed)); diff != "" {
		t.Errorf("failed lines (-want +got):\n%s", diff)
	}
	slices.Sort(notReached)
	missed := linesIn(r, conform.NotReached)
	slices.Sort(missed)
	if diff := cmp.Diff(append([]string{}, notReached...), missed); diff != "" {
		t.Errorf("lines that were not reached (-want +got):\n%s", diff)
	}
	for _, l := range r.Lines {
		if l.State != conform.Passed && len(l.Hint) < 20 {
			t.Errorf("%s: the hint says too little: %q", l.ID, l.Hint)
		}
		if l.State == conform.Failed && l.Needs != conform.ByWord && len(l.Evidence) == 0 {
			t.Errorf("%s: failed without a message that shows it", l.ID)
		}
	}
}

// TestBadTills: each fails its line and no other; what needs something that it
// lacks is not reached; all other lines pass.
func TestBadTills(t *testing.T) {
	signatures := []string{"pac.signatureRejected", "pac.signatureSlow"}
	cases := []struct {
		flaw, fails string
		notReached  []string
	}{
		{"a key of its own", "general.address", without(needWire(), "general.address")},
		{"no partner ids", "general.partnerIds", without(needWire(), "general.partnerIds")},
		{"another installer each time", "general.partnerIds", nil},
		{"software house in the settings", "general.softwareHouse", nil},
		{"installer fixed", "general.installer", nil},
		{"no end of day at night", "general.endOfDay", nil},
		{"keeps no copies", "general.endOfDayCopy", nil},
		{"no reports", "", []string{"pac.balances", "pac.banking", "general.endOfDay", "general.endOfDayCopy"}},

		{"batches", "pac.envelope", without(needWire(), "general.address", "general.partnerIds", "pac.envelope")},
		{"no version", "pac.envelope", without(needWire(), "general.address", "general.partnerIds", "pac.envelope", "pac.ids", "pac.amounts")},
		{"its own method", "pac.envelope", append(without(needTransactions(), "pac.refund", "pac.preAuth"), "pac.amounts")},
		{"ids as text", "pac.ids", without(needWire(), "general.address", "general.partnerIds", "pac.envelope", "pac.ids", "pac.amounts")},
		{"floats", "pac.amounts", needTransactions()},
		{"amounts as text", "pac.amounts", needTransactions()},
		{"cuts fractions off", "pac.amounts", nil},

		{"sells twice", "pac.sale", nil},
		{"sells without currency", "pac.sale", nil},
		{"sells euros", "pac.sale", nil},
		{"no refunds", "", []string{"pac.refund"}},
		{"refunds by a sale", "pac.refund", nil},
		{"refunds below nothing", "pac.refund", nil},
		{"refunds without currency", "pac.refund", nil},
		{"one card machine", "pac.chooseTerminal", []string{"pac.userMessage", "pac.unavailable", "pac.busy"}},
		{"shows nothing", "pac.notifications", nil},
		{"goes back", "pac.notifications", nil},
		{"breaks on what it does not know", "pac.unknown", nil},
		{"never answers signatures", "pac.signature", signatures},
		{"another id for signatures", "pac.signature", signatures},
		{"accepted as text", "pac.signature", signatures},
		{"accepts every signature", "pac.signatureRejected", nil},
		{"signs for the cashier", "pac.signatureSlow", nil},
		{"accepts by itself", "pac.signatureTimeout", nil},
		{"takes silence for a no", "pac.signatureTimeout", nil},
		{"hangs up when time is up", "pac.signatureTimeout", nil},
		{"cannot cancel", "", []string{"pac.cancel", "pac.cancelLate"}},
		{"hangs up on cancelling", "pac.cancel", []string{"pac.cancelLate"}},
		{"believes the wish", "pac.cancelLate", nil},
		{"books what was asked for", "pac.successful", nil},
		{"forgets gratuity", "pac.successful", nil},
		{"looks for a part of the word", "pac.notTaken", nil},
		{"clears on declined", "pac.notTaken", nil},
		{"clears on void", "pac.notTaken", nil},
		{"clears on cancelled", "pac.notTaken", nil},
		{"clears on timed out", "pac.timedOut", nil},
		{"sends again on timed out", "pac.timedOut", nil},
		{"asks nobody on timed out", "pac.timedOut", nil},
		{"texts of its own", "pac.userMessage", nil},
		{"clears on unavailable", "pac.unavailable", nil},
		{"clears on busy", "pac.busy", nil},
		{"keeps a dead socket", "pac.lostBefore", []string{
			"pac.lostDuring", "pac.lostAfter", "pac.balances", "pac.banking", "pac.duplicate", "pac.preAuth", "pac.cashback", "pac.notPresent",
			"general.endOfDay", "general.endOfDayCopy",
		}},
		{"sends again when cut off", "pac.lostDuring", nil},
		{"forgets when cut off", "pac.lostDuring", nil},
		{"books nothing after recovery", "pac.lostDuring", nil},
		{"takes back when cut off later", "pac.lostAfter", nil},
		{"runs X for Z", "pac.balances", nil},
		{"closes the day for banking", "pac.banking", nil},
		{"end of day of no machine", "general.endOfDay", []string{"general.endOfDayCopy"}},
		{"duplicate of another machine", "pac.duplicate", nil},
		{"not present as text", "pac.notPresent", nil},
		{"loses auth codes", "pac.preAuth", nil},
		{"forgets cashback", "pac.cashback", nil},
	}
	var tills []*sampleTill
	for _, tt := range cases {
		tills = append(tills, &sampleTill{flaw: tt.flaw})
	}
	reports := tryTills(t, tills)
	for i, tt := range cases {
		t.Run(tt.flaw, func(t *testing.T) {
			wantLines(t, reports[i], tt.fails, tt.notReached)
			if t.Failed() {
				t.Log(strings.Join(tills[i].log, "\n"))
			}
		})
	}
}

// TestChecklistGuide: the till in the guide is the one that is tried.
func TestChecklistGuide(t *testing.T) {
	guide, err := os.ReadFile(filepath.Join("..", "..", "docs", "checklist.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"check.txtar", "check_pat.txtar"} {
		script, err := os.ReadFile(filepath.Join("testdata", "script", name))
		if err != nil {
			t.Fatal(err)
		}
		_, till, ok := strings.Cut(string(script), "-- till.sh --\n")
		if !ok || !strings.Contains(string(guide), till) {
			t.Errorf("docs/checklist.md does not have the till of testdata/script/%s as it is", name)
		}
	}
	for _, name := range orderEnv(conform.Step{}, "") {
		if name, _, _ = strings.Cut(name, "="); !strings.Contains(string(guide), "`"+name+"`") {
			t.Errorf("docs/checklist.md does not say what %s is", name)
		}
	}
}
