package journaltest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/txn"
)

// put appends a stream's life, or fails the test.
func put(t *testing.T, st journal.Store, appends []journal.Append) {
	t.Helper()
	for _, a := range appends {
		must(t, st.Append(t.Context(), a))
	}
}

func headOf(t *testing.T, st journal.Store, id journal.Stream) journal.Head {
	t.Helper()
	h, err := st.Head(t.Context(), id)
	must(t, err)
	return h
}

// gone holds that nothing is left of a stream.
func gone(t *testing.T, st journal.Store, id journal.Stream) {
	t.Helper()
	if _, err := st.Head(t.Context(), id); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("head of %s: %v", id, err)
	}
	if _, err := st.Records(t.Context(), id); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("records of %s: %v", id, err)
	}
}

// prune: what has its end goes whole, and nothing else does.
func (s suite) prune(t *testing.T) {
	st := s.begin(t)
	total := 0
	for i := range 4 {
		all := Appends(txn.RequestID(fmt.Sprintf("r%d", i)), "shop", "1001", noon.Add(time.Duration(i)*time.Minute))
		for _, a := range all {
			a.Head.RequestKey = fmt.Sprintf("k%d", i)
			if i == 1 && a.Expect > 0 {
				continue // open
			}
			must(t, st.Append(t.Context(), a))
			total += len(a.Records)
		}
	}
	put(t, st, Visit("v1", "shop", "1001", noon))
	r0, r1, r2 := headOf(t, st, "r0"), headOf(t, st, "r1"), headOf(t, st, "r2")
	v1 := headOf(t, st, "v1")
	total += v1.Records

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := st.Prune(ended, []journal.Head{r0}, "test"); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
	stale, unknown := r2, r2
	stale.Records--
	unknown.Stream = "r9"
	for name, heads := range map[string][]journal.Head{
		"nothing": nil, "an open one": {r1}, "one that has changed": {stale}, "one that is not there": {unknown},
	} {
		if got, err := st.Prune(t.Context(), heads, "test"); err != nil || len(got) > 0 {
			t.Errorf("%s: pruned %v, %v", name, got, err)
		}
	}
	sound(t, st, 5, total)

	got, err := st.Prune(t.Context(), []journal.Head{r0, r1, stale, v1, unknown, r0}, "test")
	must(t, err)
	diff(t, []journal.Head{r0, v1}, got)
	gone(t, st, "r0")
	gone(t, st, "v1")
	sound(t, st, 3, total-r0.Records-v1.Records)
	heads, err := st.List(t.Context(), journal.Query{Site: "shop"})
	must(t, err)
	diff(t, []journal.Stream{"r3", "r2", "r1"}, streams(heads))
	if _, err := st.ByKey(t.Context(), "shop", "k0"); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("by the key of one that was pruned: %v", err)
	}

	// It cannot be taken up again, its key is free, and what is there goes on.
	again := Appends("r0", "shop", "1001", noon)
	if err := st.Append(t.Context(), again[3]); !errors.Is(err, journal.ErrConflict) {
		t.Errorf("append to one that was pruned: %v", err)
	}
	other := Appends("r5", "shop", "1001", noon.Add(5*time.Minute))
	other[0].Head.RequestKey = "k0"
	put(t, st, other)
	put(t, st, Appends("r1", "shop", "1001", noon.Add(time.Minute))[1:])
	if h, err := st.LastCounting(t.Context(), "shop", "1001"); err != nil || h.Stream != "r5" {
		t.Errorf("last %q, %v", h.Stream, err)
	}
	if s.reopen == nil {
		return
	}
	before, err := st.Verify(t.Context())
	must(t, err)
	st = s.reopen(t, st)
	defer func() { must(t, st.Close()) }()
	after, err := st.Verify(t.Context())
	must(t, err)
	diff(t, before, after)
	gone(t, st, "r0")
}

// sweep: a cut takes what is old and ended, and leaves what somebody may need.
func (s suite) sweep(t *testing.T) {
	st := s.begin(t)
	day := func(n int) time.Time { return noon.AddDate(0, 0, n) }
	// r0 … r79, two a day on each of four terminals of two sites.
	for i := range 80 {
		put(t, st, Appends(txn.RequestID(fmt.Sprintf("r%02d", i)), txn.SiteID([]string{"shop", "bar"}[i%2]), txn.TID(fmt.Sprint(1001+i/2%2)), day(i/8)))
	}
	l, accepted := Sale("open", "shop", "1001", day(-1))
	must(t, st.Append(t.Context(), l.Append(day(-1), accepted, txn.Dispatched{At: day(-1)})))

	// Two words on one; one by hand, which the terminal confirmed; one told late.
	l, accepted = Sale("conflict", "shop", "1001", day(-1))
	declined := Outcome(noon)
	declined.Result = txn.Declined
	must(t, st.Append(t.Context(), l.Append(day(-1), accepted, txn.Dispatched{At: day(-1)},
		txn.Ended{Outcome: Outcome(noon), At: day(-1)}, txn.Answered{Told: txn.ToldResult, At: day(-1)}, txn.Contradicted{Outcome: declined, At: day(-1)})))
	l, accepted = Sale("confirmed", "shop", "1001", day(-1))
	must(t, st.Append(t.Context(), l.Append(day(-1), accepted, txn.Dispatched{At: day(-1)}, txn.LinkLost{At: day(-1)},
		txn.Resolved{Resolution: txn.Resolution{Result: txn.Successful, By: "anna"}, At: day(-1)}, txn.Answered{Told: txn.ToldResult, At: day(-1)},
		txn.Contradicted{Outcome: Outcome(noon), At: day(-1)})))
	// It began long ago and ended yesterday.
	l, accepted = Sale("slow", "shop", "1001", day(-1))
	must(t, st.Append(t.Context(), l.Append(day(-1), accepted, txn.Dispatched{At: day(-1)})))
	must(t, st.Append(t.Context(), l.Append(day(30), txn.Ended{Outcome: Outcome(noon), At: day(30)}, txn.Answered{Told: txn.ToldResult, At: day(30)})))

	o := journal.Orphan{ID: "orphan", Site: "shop", TID: "1001", Outcome: &declined}
	must(t, st.Append(t.Context(), journal.Append{
		Stream: "orphan", Records: []journal.Record{journal.EncodeOrphan(o, day(-1))}, Head: journal.OrphanHead(o, day(-1)),
	}))
	put(t, st, Visit("done", "shop", "1001", day(-1)))
	put(t, st, Visit("owed", "shop", "1001", day(-1))[:9])
	made, _ := report.New(money.GBP).Make(report.XBalance, noon)
	for _, id := range []string{"told", "untold"} {
		brought := report.Brought{ID: id, Site: "shop", TID: "1001", Report: made, At: day(-1)}
		run, err := report.Replay(brought)
		must(t, err)
		must(t, st.Append(t.Context(), journal.Append{Stream: journal.Stream(id), Head: journal.ReportHead(run), Records: []journal.Record{journal.EncodeReport(brought, day(-1))}}))
		if id == "untold" {
			continue
		}
		e := report.Delivered{At: day(-1)}
		run, err = report.Apply(run, e)
		must(t, err)
		must(t, st.Append(t.Context(), journal.Append{Stream: "told", Expect: 1, Head: journal.ReportHead(run), Records: []journal.Record{journal.EncodeReport(e, day(-1))}}))
	}
	total := len(all(t, st, ""))

	cut := func(c journal.Cut, streams int, kept map[journal.Keeping]int) journal.Sweeping {
		t.Helper()
		c.Why = "test"
		got, err := journal.Sweep(t.Context(), st, c)
		must(t, err)
		if got.Streams != streams {
			t.Errorf("%d streams went, want %d", got.Streams, streams)
		}
		diff(t, kept, got.Kept)
		if !c.DryRun {
			total -= streams
		}
		if n := len(all(t, st, "")); n != total {
			t.Errorf("%d streams are left, want %d", n, total)
		}
		return got
	}
	none := map[journal.Keeping]int{}
	cut(journal.Cut{}, 0, none)
	cut(journal.Cut{Outcomes: day(-1)}, 0, none)
	cut(journal.Cut{Site: "none", Outcomes: day(40)}, 0, none)
	// Of the shop: "confirmed" and "done".
	kept := map[journal.Keeping]int{journal.KeptOpen: 2, journal.KeptConflict: 1, journal.KeptOrphan: 1}
	dry := cut(journal.Cut{Outcomes: day(0), DryRun: true}, 2, kept)
	wet := cut(journal.Cut{Outcomes: day(0)}, 2, kept)
	if dry.Records != wet.Records || wet.Records == 0 {
		t.Errorf("%d records went, %d should have", wet.Records, dry.Records)
	}
	cut(journal.Cut{Reports: day(0)}, 1, map[journal.Keeping]int{journal.KeptOpen: 1})
	// Most, and one site.
	cut(journal.Cut{Site: "bar", Outcomes: day(2), Most: 3}, 3, none)
	cut(journal.Cut{Site: "bar", Outcomes: day(2)}, 5, none)
	if n := len(all(t, st, "bar")); n != 32 {
		t.Errorf("%d of the bar are left", n)
	}
	// All of the bar is old now: the last of each terminal stays.
	cut(journal.Cut{Site: "bar", Outcomes: day(20)}, 30, map[journal.Keeping]int{journal.KeptLast: 2})
	for _, tid := range []txn.TID{"1001", "1002"} {
		if _, err := st.LastCounting(t.Context(), "bar", tid); err != nil {
			t.Errorf("last of %s: %v", tid, err)
		}
	}
	// Somebody has looked.
	cut(journal.Cut{Site: "shop", Outcomes: day(0), Looked: true}, 2, map[journal.Keeping]int{journal.KeptOpen: 2})
	for _, id := range []journal.Stream{"open", "slow", "owed", "untold"} {
		headOf(t, st, id)
	}
	for _, id := range []journal.Stream{"confirmed", "conflict", "done", "orphan", "told"} {
		gone(t, st, id)
	}
	if v, err := st.Verify(t.Context()); err != nil || v.Fault != "" || v.Streams != total {
		t.Errorf("verified %+v, %v", v, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := journal.Sweep(ended, st, journal.Cut{Outcomes: day(40)}); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
}

// sweepInstant: however many were accepted in one instant, all are found.
func (s suite) sweepInstant(t *testing.T) {
	st := s.begin(t)
	for i := range 70 {
		put(t, st, Appends(txn.RequestID(fmt.Sprintf("r%02d", i)), "shop", "1001", noon))
	}
	for _, dry := range []bool{true, false} {
		got, err := journal.Sweep(t.Context(), st, journal.Cut{Outcomes: noon.Add(time.Hour), DryRun: dry})
		must(t, err)
		if got.Streams != 69 || got.Kept[journal.KeptLast] != 1 {
			t.Errorf("dry %t: %+v", dry, got)
		}
	}
	sound(t, st, 1, 12)
}

func all(t *testing.T, st journal.Store, site txn.SiteID) []journal.Head {
	t.Helper()
	heads, err := st.List(t.Context(), journal.Query{Site: site, Limit: 1 << 20})
	must(t, err)
	return heads
}
