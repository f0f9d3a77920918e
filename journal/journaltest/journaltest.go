// Package journaltest is the one suite that every journal backend passes, and
// the sales and visits that tests and measurements of journals are made of. It
// is not part of the product.
package journaltest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
)

// noon is when the suite's first request was accepted. It never changes.
var noon = time.Date(2026, time.March, 14, 12, 0, 0, 0, time.UTC)

// A Life is a transaction that is being written to a journal, event by event.
// Its methods are for one goroutine.
type Life struct {
	T   txn.Transaction
	Key string
	n   int
}

// Sale begins the life of a sale of 12.50 that is accepted at the given time.
func Sale(id txn.RequestID, site txn.SiteID, tid txn.TID, at time.Time) (*Life, txn.Event) {
	return &Life{}, txn.Accepted{
		ID: id, Site: site, TID: tid, At: at,
		Request: txn.Request{Type: txn.Sale, Currency: money.GBP, Amount: 1250},
		Caller:  txn.Caller{Face: "pac", Version: "v1", SoftwareHouse: "TESTSOFT", Installer: "TESTINST"},
	}
}

// Append returns the append that adds the events, each recorded at its turn.
func (l *Life) Append(at time.Time, events ...txn.Event) journal.Append {
	a := journal.Append{Stream: l.T.ID, Expect: l.n}
	for _, e := range events {
		var err error
		if l.T, err = txn.Apply(l.T, e); err != nil {
			panic(err)
		}
		a.Records = append(a.Records, journal.EncodeTxn(e, at))
	}
	l.n += len(events)
	a.Stream, a.Head = l.T.ID, journal.TxnHead(l.T)
	a.Head.RequestKey = l.Key
	return a
}

// Appends returns a whole sale as the gateway writes one: accepted and
// dispatched, some progress, the outcome with more progress, and the answer.
func Appends(id txn.RequestID, site txn.SiteID, tid txn.TID, at time.Time) []journal.Append {
	l, accepted := Sale(id, site, tid, at)
	later := func(s int) time.Time { return at.Add(time.Duration(s) * time.Second) }
	notified := func(s int, v txn.Notification) txn.Event { return txn.Notified{Value: v, At: later(s)} }
	return []journal.Append{
		l.Append(at, accepted, txn.Dispatched{At: at}),
		l.Append(later(2), txn.Started{}, notified(1, txn.TransactionStarted), notified(2, "INSERT_CARD"), notified(2, "PIN_ENTRY")),
		l.Append(later(9), notified(5, "CONNECTING"), notified(6, "AUTHORISING"), notified(8, "APPROVED"), notified(9, "REMOVE_CARD"),
			txn.Ended{Outcome: Outcome(at), At: later(9)}),
		l.Append(later(9), txn.Answered{Told: txn.ToldResult, At: later(9)}),
	}
}

// Outcome is a successful sale of 12.50 with both receipts.
func Outcome(at time.Time) txn.Outcome {
	var b receipt.Builder
	b.Centred("THE CORNER SHOP").Centred("1 HIGH STREET").Line(receipt.CarriageReturn).Centred("SALE", receipt.Bold, receipt.DoubleHeight)
	b.Pair("MERCHANT", "***12345").Pair("TERMINAL", "****0001").Line(receipt.SeparatorSingle)
	b.Text("VISA DEBIT").Pair("CARD", "************1234").Pair("AID", "A0000000031010").Pair("PAN SEQ", "01").Text("ICC")
	b.Pair("AMOUNT", "GBP 12.50").Line(receipt.SeparatorDouble).Pair("TOTAL", "GBP 12.50", receipt.Bold)
	b.Text("PIN VERIFIED").Pair("AUTH CODE", "123456").Pair("NUMBER", "0012").Text(at.Format("02/01/2006 15:04:05"))
	b.Line(receipt.CarriageReturn).Centred("PLEASE KEEP THIS RECEIPT").Line(receipt.TicketFeed)
	return txn.Outcome{
		Type: txn.Sale, Result: txn.Successful, Currency: money.GBP, Base: 1250,
		TransactionID: "0b8f5c1e-1111-4222-8333-944455556666", Number: "0012", Time: at.UTC(),
		Method: txn.MethodChip, CVM: txn.CVMPIN, Scheme: "VISA", AID: "A0000000031010", Label: "VISA DEBIT",
		AuthCode: "123456", PAN: "************1234", PANSequence: "01", Expiry: "12/29",
		Receipts: receipt.Copies{Merchant: b.Lines(), Customer: b.Lines()},
	}
}

// Run runs the suite. Open returns an empty store; it is closed by the suite.
// Reopen, when it is not nil, closes a store and opens what it kept.
func Run(t *testing.T, open func(t *testing.T) journal.Store, reopen func(t *testing.T, s journal.Store) journal.Store) {
	s := suite{open, reopen}
	t.Run("sequence", s.sequence)
	t.Run("conflict", s.conflict)
	t.Run("refused appends", s.refused)
	t.Run("heads", s.heads)
	t.Run("identity", s.identity)
	t.Run("request keys", s.keys)
	t.Run("last counting", s.lastCounting)
	t.Run("open streams", s.openStreams)
	t.Run("list", s.list)
	t.Run("report and orphan", s.reportAndOrphan)
	t.Run("duplicate", s.duplicate)
	t.Run("visit", s.visit)
	t.Run("brought report", s.brought)
	t.Run("kept table", s.kept)
	t.Run("waiting", s.waiting)
	t.Run("prune", s.prune)
	t.Run("sweep", s.sweep)
	t.Run("sweep of an instant", s.sweepInstant)
	t.Run("sweep of tables", s.sweepTables)
	t.Run("concurrent", s.concurrent)
	t.Run("one winner", s.oneWinner)
	t.Run("register", s.register)
	t.Run("context and close", s.contextAndClose)
	if reopen != nil {
		t.Run("durable", s.durable)
	}
}

type suite struct {
	open   func(t *testing.T) journal.Store
	reopen func(t *testing.T, s journal.Store) journal.Store
}

func (s suite) begin(t *testing.T) journal.Store {
	st := s.open(t)
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return st
}

func (s suite) sequence(t *testing.T) {
	st := s.begin(t)
	var want []journal.Record
	for _, a := range Appends("r1", "shop", "1001", noon) {
		must(t, st.Append(t.Context(), a))
		for _, r := range a.Records {
			r.Seq = len(want) + 1
			want = append(want, r)
		}
		got, err := st.Records(t.Context(), "r1")
		must(t, err)
		diff(t, want, got)
	}
	tr, err := journal.ReplayTxn(want)
	must(t, err)
	if tr.State != txn.Finished || tr.Told != txn.ToldResult {
		t.Errorf("replayed to %s, told %q", tr.State, tr.Told)
	}
	if _, err := st.Records(t.Context(), "r2"); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("records of nothing: %v", err)
	}
	sound(t, st, 1, len(want))
	stats := st.Stats()
	if stats.Appends != 4 || stats.Records != uint64(len(want)) || stats.Commits != 4 || stats.Failures != 0 {
		t.Errorf("stats %+v", stats)
	}
}

func (s suite) conflict(t *testing.T) {
	st := s.begin(t)
	all := Appends("r1", "shop", "1001", noon)
	if err := st.Append(t.Context(), all[1]); !errors.Is(err, journal.ErrConflict) {
		t.Errorf("append after records that are not there: %v", err)
	}
	must(t, st.Append(t.Context(), all[0]))
	for _, a := range []journal.Append{all[0], all[2]} {
		if err := st.Append(t.Context(), a); !errors.Is(err, journal.ErrConflict) || errors.Is(err, journal.ErrKeyTaken) {
			t.Errorf("append expecting %d of 2 records: %v", a.Expect, err)
		}
	}
	must(t, st.Append(t.Context(), all[1]))
	must(t, st.Append(t.Context(), all[2]))
	must(t, st.Append(t.Context(), all[3]))
	// The stream is not open any more.
	for _, a := range all {
		if err := st.Append(t.Context(), a); !errors.Is(err, journal.ErrConflict) {
			t.Errorf("append expecting %d of all records: %v", a.Expect, err)
		}
	}
	got, err := st.Records(t.Context(), "r1")
	must(t, err)
	sound(t, st, 1, len(got))
	if f := st.Stats().Failures; f != 7 {
		t.Errorf("%d failures counted, want 7", f)
	}
}

func (s suite) refused(t *testing.T) {
	st := s.begin(t)
	good := Appends("r1", "shop", "1001", noon)[0]
	for name, spoil := range map[string]func(*journal.Append){
		"no stream":  func(a *journal.Append) { a.Stream = "" },
		"no records": func(a *journal.Append) { a.Records = nil },
		"negative":   func(a *journal.Append) { a.Expect = -1 },
		"no kind":    func(a *journal.Append) { a.Head.Kind = "" },
		"bad record": func(a *journal.Append) { a.Records = append(a.Records[:1:1], journal.Record{}) },
	} {
		bad := good
		spoil(&bad)
		if err := st.Append(t.Context(), bad); err == nil || errors.Is(err, journal.ErrConflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// All or none: nothing of them is there.
	if _, err := st.Head(t.Context(), "r1"); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("head after refused appends: %v", err)
	}
	sound(t, st, 0, 0)
}

func (s suite) heads(t *testing.T) {
	st := s.begin(t)
	states := []string{"atTerminal", "atTerminal", "finished", "finished"}
	for i, a := range Appends("r1", "shop", "1001", noon) {
		must(t, st.Append(t.Context(), a))
		want := journal.Head{
			Stream: "r1", Kind: journal.TransactionStream, Site: "shop", TID: "1001",
			State: states[i], Open: i < 3, Type: "SALE", Minor: 1250, Currency: "GBP", Counts: true,
			AcceptedAt: noon, DispatchedAt: noon, Records: a.Expect + len(a.Records),
		}
		if i >= 2 {
			want.Result = "SUCCESSFUL"
		}
		if i >= 3 {
			want.Told, want.EndedAt = "result", noon.Add(9*time.Second)
		}
		got, err := st.Head(t.Context(), "r1")
		must(t, err)
		diff(t, want, got)
	}
	if _, err := st.Head(t.Context(), "r2"); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("head of nothing: %v", err)
	}
}

// identity: what a stream is stays what its first append said, and when it
// ended is when it ended first.
func (s suite) identity(t *testing.T) {
	st := s.begin(t)
	l, accepted := Sale("r1", "shop", "1001", noon)
	l.Key = "key"
	must(t, st.Append(t.Context(), l.Append(noon, accepted, txn.Dispatched{At: noon})))
	a := l.Append(noon, txn.Started{})
	a.Head.Site, a.Head.TID, a.Head.RequestKey, a.Head.Minor = "other", "1002", "other", 1
	a.Head.AcceptedAt = noon.Add(time.Hour)
	must(t, st.Append(t.Context(), a))
	l.Key = ""
	must(t, st.Append(t.Context(), l.Append(noon.Add(time.Second), txn.Ended{Outcome: Outcome(noon), At: noon}, txn.Answered{Told: txn.ToldResult, At: noon})))
	other := Outcome(noon)
	other.Result = txn.Declined
	must(t, st.Append(t.Context(), l.Append(noon.Add(time.Minute), txn.Contradicted{Outcome: other, At: noon})))

	got, err := st.ByKey(t.Context(), "shop", "key")
	must(t, err)
	diff(t, journal.Head{
		Stream: "r1", Kind: journal.TransactionStream, Site: "shop", TID: "1001",
		State: "finished", Told: "result", Type: "SALE", Result: "SUCCESSFUL", Minor: 1250, Currency: "GBP", Counts: true,
		RequestKey: "key", AcceptedAt: noon, DispatchedAt: noon, EndedAt: noon.Add(time.Second), Records: 6,
	}, got)
	sound(t, st, 1, 6)
}

func (s suite) keys(t *testing.T) {
	st := s.begin(t)
	first := func(id txn.RequestID, site txn.SiteID, key string) journal.Append {
		l, accepted := Sale(id, site, "1001", noon)
		l.Key = key
		return l.Append(noon, accepted)
	}
	must(t, st.Append(t.Context(), first("r1", "shop", "k1")))
	must(t, st.Append(t.Context(), first("r2", "shop", "k2")))
	must(t, st.Append(t.Context(), first("r3", "bar", "k1")))
	must(t, st.Append(t.Context(), first("r4", "shop", "")))
	must(t, st.Append(t.Context(), first("r5", "shop", "")))
	err := st.Append(t.Context(), first("r6", "shop", "k1"))
	if !errors.Is(err, journal.ErrKeyTaken) || !errors.Is(err, journal.ErrConflict) {
		t.Errorf("second stream with a key: %v", err)
	}
	if _, err := st.Head(t.Context(), "r6"); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("head of the refused stream: %v", err)
	}
	for _, c := range []struct {
		site txn.SiteID
		key  string
		want journal.Stream
	}{{"shop", "k1", "r1"}, {"shop", "k2", "r2"}, {"bar", "k1", "r3"}, {"bar", "k2", ""}, {"shop", "", ""}, {"none", "k1", ""}} {
		h, err := st.ByKey(t.Context(), c.site, c.key)
		if h.Stream != c.want || (c.want == "") != errors.Is(err, journal.ErrNotFound) {
			t.Errorf("key %q of %q: stream %q, %v, want %q", c.key, c.site, h.Stream, err, c.want)
		}
	}
	sound(t, st, 5, 5)
}

func (s suite) lastCounting(t *testing.T) {
	st := s.begin(t)
	last := func(site txn.SiteID, tid txn.TID, want journal.Stream) {
		t.Helper()
		h, err := st.LastCounting(t.Context(), site, tid)
		if h.Stream != want || (want == "") != errors.Is(err, journal.ErrNotFound) {
			t.Errorf("last of %s at %s: %q, %v, want %q", tid, site, h.Stream, err, want)
		}
	}
	last("shop", "1001", "")
	put := func(id txn.RequestID, site txn.SiteID, tid txn.TID, minute int) {
		at := noon.Add(time.Duration(minute) * time.Minute)
		must(t, st.Append(t.Context(), Appends(id, site, tid, at)[0]))
	}
	put("r1", "shop", "1001", 1)
	last("shop", "1001", "r1")
	put("r2", "shop", "1001", 3)
	put("r3", "shop", "1001", 2) // the clock was set back in between
	put("r4", "shop", "1002", 4)
	put("r5", "bar", "1001", 5)
	last("shop", "1001", "r3")
	last("shop", "1002", "r4")
	last("bar", "1001", "r5")
	last("bar", "1002", "")

	// Accepted and never dispatched: does not count.
	l, accepted := Sale("r6", "shop", "1001", noon.Add(6*time.Minute))
	must(t, st.Append(t.Context(), l.Append(noon, accepted)))
	last("shop", "1001", "r3")
	must(t, st.Append(t.Context(), l.Append(noon, txn.Dispatched{At: noon.Add(7 * time.Minute)})))
	last("shop", "1001", "r6")
	// Known not to have run: counts until the till was told so by an error.
	must(t, st.Append(t.Context(), l.Append(noon, txn.NeverRan{Reason: txn.WasBusy, At: noon})))
	last("shop", "1001", "r6")
	must(t, st.Append(t.Context(), l.Append(noon, txn.Answered{Told: txn.ToldError, At: noon})))
	last("shop", "1001", "r3")
	sound(t, st, 6, 14)
}

func (s suite) openStreams(t *testing.T) {
	st := s.begin(t)
	var want []journal.Stream
	for i := range 6 {
		id := txn.RequestID(fmt.Sprintf("r%d", i))
		// The later written ones were accepted earlier.
		all := Appends(id, "shop", "1001", noon.Add(-time.Duration(i)*time.Minute))
		if i%2 == 0 {
			want = append([]journal.Stream{id}, want...)
			all = all[:1+i/2]
		}
		for _, a := range all {
			must(t, st.Append(t.Context(), a))
		}
	}
	heads, err := st.OpenStreams(t.Context())
	must(t, err)
	diff(t, want, streams(heads))
}

func (s suite) list(t *testing.T) {
	st := s.begin(t)
	at := func(minute int) time.Time { return noon.Add(time.Duration(minute) * time.Minute) }
	for i := range 120 {
		site, tid := txn.SiteID([]string{"shop", "bar"}[i%2]), txn.TID([]string{"1001", "1002", "1003"}[i%3])
		id := txn.RequestID(fmt.Sprintf("r%03d", i))
		if i%10 == 9 {
			e := report.Dispatched{ID: string(id), Site: string(site), TID: string(tid), Type: report.XBalance, At: at(i)}
			run, err := report.Replay(e)
			must(t, err)
			must(t, st.Append(t.Context(), journal.Append{Stream: id, Records: []journal.Record{journal.EncodeReport(e, at(i))}, Head: journal.ReportHead(run)}))
			continue
		}
		for _, a := range Appends(id, site, tid, at(i))[:1+i%4] {
			must(t, st.Append(t.Context(), a))
		}
	}
	all, err := st.List(t.Context(), journal.Query{Limit: 1000, OldestFirst: true})
	must(t, err)
	if len(all) != 120 {
		t.Fatalf("%d heads in all, want 120", len(all))
	}
	for i, h := range all {
		if want := journal.Stream(fmt.Sprintf("r%03d", i)); h.Stream != want {
			t.Fatalf("%s is number %d of all, want %s", h.Stream, i+1, want)
		}
	}
	for name, q := range map[string]journal.Query{
		"all":           {},
		"site":          {Site: "shop"},
		"terminal":      {Site: "shop", TID: "1001"},
		"any site":      {TID: "1002"},
		"reports":       {Site: "bar", Kind: journal.ReportStream},
		"transactions":  {Site: "bar", Kind: journal.TransactionStream, Limit: 200},
		"orphans":       {Kind: journal.OrphanStream},
		"state":         {Site: "shop", State: "finished"},
		"since":         {Site: "shop", Since: at(50)},
		"until":         {Site: "shop", Until: at(50)},
		"between":       {Since: at(30), Until: at(40)},
		"limit":         {Limit: 7},
		"oldest first":  {Site: "shop", Limit: 7, OldestFirst: true},
		"no such site":  {Site: "none"},
		"all of it":     {Site: "shop", TID: "1003", Kind: journal.TransactionStream, State: "atTerminal", Since: at(10), Until: at(90), Limit: 3},
		"nothing there": {Since: at(1000)},
	} {
		t.Run(name, func(t *testing.T) {
			var want []journal.Head
			for i := range all {
				h := all[i]
				if !q.OldestFirst {
					h = all[len(all)-1-i]
				}
				if q.Selects(h) && len(want) < q.Max() {
					want = append(want, h)
				}
			}
			got, err := st.List(t.Context(), q)
			must(t, err)
			diff(t, streams(want), streams(got))
			diff(t, want, got)
		})
	}
}

func (s suite) reportAndOrphan(t *testing.T) {
	st := s.begin(t)
	made := report.New(money.GBP).Add(report.Entry{Total: 1250, Issuer: "VISA", Acquirer: "BANK", Number: "0012"})
	r, _ := made.Make(report.EndOfDay, noon)
	events := []report.Event{
		report.Dispatched{ID: "x1", Site: "shop", TID: "1001", Type: report.EndOfDay, At: noon},
		report.Made{Report: r, At: noon.Add(time.Minute)},
	}
	var run report.Run
	for i, e := range events {
		var err error
		run, err = report.Apply(run, e)
		must(t, err)
		must(t, st.Append(t.Context(), journal.Append{
			Stream: "x1", Expect: i, Head: journal.ReportHead(run),
			Records: []journal.Record{journal.EncodeReport(e, noon.Add(time.Minute))},
		}))
	}
	records, err := st.Records(t.Context(), "x1")
	must(t, err)
	got, err := journal.ReplayReport(records)
	must(t, err)
	diff(t, run, got)

	outcome := Outcome(noon)
	orphan := journal.Orphan{ID: "o1", Site: "shop", TID: "1001", Outcome: &outcome}
	must(t, st.Append(t.Context(), journal.Append{
		Stream: "o1", Head: journal.OrphanHead(orphan, noon), Records: []journal.Record{journal.EncodeOrphan(orphan, noon)},
	}))
	if h, err := st.LastCounting(t.Context(), "shop", "1001"); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("a report or an orphan counts: %+v, %v", h, err)
	}
	heads, err := st.OpenStreams(t.Context())
	must(t, err)
	diff(t, []journal.Stream(nil), streams(heads))
	sound(t, st, 2, 3)
}

func (s suite) duplicate(t *testing.T) {
	st := s.begin(t)
	outcome := Outcome(noon)
	wanted := txn.DuplicateWanted{ID: "d1", Site: "shop", TID: "1001", At: noon}
	found := txn.DuplicateFound{Outcome: &outcome, At: noon.Add(time.Second)}
	var d txn.Duplicate
	for i, e := range []txn.DuplicateEvent{wanted, found} {
		var err error
		d, err = txn.ApplyDuplicate(d, e)
		must(t, err)
		head := journal.DuplicateHead(d)
		head.RequestKey = "k"
		must(t, st.Append(t.Context(), journal.Append{
			Stream: "d1", Expect: i, Head: head, Records: []journal.Record{journal.EncodeDuplicate(e, noon.Add(time.Second))},
		}))
		open, err := st.OpenStreams(t.Context())
		must(t, err)
		if len(open) != 1-i {
			t.Errorf("%d are open after %T", len(open), e)
		}
	}
	h, err := st.ByKey(t.Context(), "shop", "k")
	must(t, err)
	if h.Stream != "d1" || h.Kind != journal.DuplicateStream || h.Result != string(outcome.Result) {
		t.Errorf("under the key: %+v", h)
	}
	if h, err := st.LastCounting(t.Context(), "shop", "1001"); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("a duplicate counts: %+v, %v", h, err)
	}
	records, err := st.Records(t.Context(), "d1")
	must(t, err)
	got, err := journal.ReplayDuplicate(records)
	must(t, err)
	diff(t, d, got)
	sound(t, st, 1, 2)
}

// Visit returns a whole visit to table 12 as the gateway writes one: picked,
// locked for 45.50, bill printed, paid by two cards, told and unlocked. The
// last two appends are the deliveries.
func Visit(id table.VisitID, site txn.SiteID, tid txn.TID, at time.Time) []journal.Append {
	later := func(s int) time.Time { return at.Add(time.Duration(s) * time.Second) }
	taken := func(p table.PaymentID, s int) table.Event {
		o := Outcome(later(s))
		return table.PaymentTaken{Payment: p, At: later(s), Receipt: table.Receipt{
			Paid: 2275, Gratuity: 450, AuthCode: o.AuthCode, Scheme: o.Scheme, Method: string(o.Method), Time: o.Time,
			TransactionID: string(o.TransactionID), Number: o.Number, CVM: string(o.CVM), AID: o.AID, Label: o.Label,
			PAN: o.PAN, Expiry: o.Expiry, Receipts: o.Receipts,
		}}
	}
	paid := []table.PaymentID{"0d7f2a44-6a52-4c0c-9a1e-5f5b6a3e9c01", "5b1f0c36-83f5-4a56-8a83-0f8f1e2f7a02"}
	return visited(at, [][]table.Event{
		{table.Opened{ID: id, Site: string(site), TID: string(tid), Waiter: "3", At: at}, table.LockIntended{Table: "12", At: later(5)}},
		{table.LockConfirmed{Amount: 4550, Currency: money.GBP, At: later(6)}},
		{table.BillWanted{At: later(8)}, table.BillAnswered{At: later(9)}},
		{table.PaymentStarted{Payment: paid[0], Asked: 2275, At: later(20)}},
		{taken(paid[0], 30)},
		{table.PaymentStarted{Payment: paid[1], Asked: 2275, At: later(40)}},
		{taken(paid[1], 50)},
		{table.Left{Why: "the waiter was done", At: later(55)}, table.Queued{Notice: table.TransactionResponse, Payments: paid, At: later(55)}},
		{table.Queued{Notice: table.TableUnlock, At: later(56)}},
		{table.Delivered{N: 1, At: later(57)}},
		{table.Delivered{N: 2, At: later(58)}},
	})
}

// visited returns the appends of a visit, one for each group of events.
func visited(at time.Time, groups [][]table.Event) []journal.Append {
	var v table.Visit
	var out []journal.Append
	n := 0
	for _, events := range groups {
		a := journal.Append{Expect: n}
		for _, e := range events {
			var err error
			if v, err = table.Apply(v, e); err != nil {
				panic(err)
			}
			a.Records = append(a.Records, journal.EncodeTable(e, at))
		}
		n += len(events)
		a.Stream, a.Head = journal.Stream(v.ID), journal.TableHead(v)
		out = append(out, a)
	}
	return out
}

// visit: it is open until the till has all that it is owed, again when
// something is sent anew, and its amount is known once the table is locked.
func (s suite) visit(t *testing.T) {
	st := s.begin(t)
	all := Visit("v1", "shop", "1001", noon)
	want := journal.Head{
		Stream: "v1", Kind: journal.VisitStream, Site: "shop", TID: "1001", Type: "VISIT", Open: true, AcceptedAt: noon,
	}
	for i, state := range []table.State{
		table.Locking, table.Locked, table.Locked, table.Paying, table.Paying, table.Paying, table.Paying,
		table.Settled, table.Unlocked, table.Unlocked, table.Unlocked,
	} {
		must(t, st.Append(t.Context(), all[i]))
		want.State, want.Records = string(state), all[i].Expect+len(all[i].Records)
		if state == table.Locked {
			want.Minor, want.Currency = 4550, "GBP"
		}
		if state == table.Settled {
			want.Result = "PAID"
		}
		s.standing(t, st, &want, i < len(all)-1, noon)
	}
	records, err := st.Records(t.Context(), "v1")
	must(t, err)
	v, err := journal.ReplayTable(records)
	must(t, err)
	if !v.Done() || v.Balance() != 0 || len(v.Outbox) != 2 {
		t.Errorf("replayed to %+v", v)
	}
	anew := noon.Add(time.Hour)
	for i, e := range []table.Event{table.Requeued{N: 2, By: "anna", At: anew}, table.Delivered{N: 2, At: anew}} {
		v, err = table.Apply(v, e)
		must(t, err)
		must(t, st.Append(t.Context(), journal.Append{
			Stream: "v1", Expect: len(records) + i, Head: journal.TableHead(v), Records: []journal.Record{journal.EncodeTable(e, anew)},
		}))
		want.Records++
		s.standing(t, st, &want, i == 0, anew)
	}
	if h, err := st.LastCounting(t.Context(), "shop", "1001"); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("a visit counts: %+v, %v", h, err)
	}
}

// brought: a report that was started at the terminal is open until delivered.
func (s suite) brought(t *testing.T) {
	st := s.begin(t)
	r, _ := report.New(money.GBP).Add(report.Entry{Total: 1250, Issuer: "VISA", Acquirer: "BANK", Waiter: "3"}).Make(report.EndOfDay, noon)
	want := journal.Head{
		Stream: "x1", Kind: journal.ReportStream, Site: "shop", TID: "1001", Type: "END_OF_DAY",
		State: "finished", Result: "COMPLETE", AcceptedAt: noon,
	}
	var run report.Run
	for i, e := range []report.Event{
		report.Brought{ID: "x1", Site: "shop", TID: "1001", Report: r, At: noon},
		report.Delivered{At: noon},
		report.Requeued{By: "anna", At: noon},
		report.Delivered{At: noon},
	} {
		at := noon.Add(time.Duration(i) * time.Minute)
		var err error
		run, err = report.Apply(run, e)
		must(t, err)
		must(t, st.Append(t.Context(), journal.Append{
			Stream: "x1", Expect: i, Head: journal.ReportHead(run), Records: []journal.Record{journal.EncodeReport(e, at)},
		}))
		want.Records++
		s.standing(t, st, &want, i%2 == 0, at)
	}
	records, err := st.Records(t.Context(), "x1")
	must(t, err)
	got, err := journal.ReplayReport(records)
	must(t, err)
	diff(t, run, got)
}

// waiting: what tills are owed is found, oldest first, and nothing else is.
func (s suite) waiting(t *testing.T) {
	st := s.begin(t)
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	put := func(appends ...journal.Append) {
		t.Helper()
		for _, a := range appends {
			must(t, st.Append(t.Context(), a))
		}
	}
	check := func(site txn.SiteID, want ...journal.Waiting) {
		t.Helper()
		got, err := journal.WaitingOf(t.Context(), st, site)
		must(t, err)
		diff(t, want, got)
	}
	check("")
	put(Appends("r1", "shop", "1001", noon)[0]) // an open sale owes its till no notice
	v1, v2 := Visit("v1", "shop", "1001", noon), Visit("v2", "bar", "1002", noon.Add(-time.Minute))
	put(v1[:7]...)
	check("")
	put(v1[7:9]...)
	put(v2[:8]...)

	var run report.Run
	brought := 0
	bring := func(e report.Event) {
		t.Helper()
		var err error
		run, err = report.Apply(run, e)
		must(t, err)
		put(journal.Append{Stream: "x1", Expect: brought, Head: journal.ReportHead(run), Records: []journal.Record{journal.EncodeReport(e, noon)}})
		brought++
	}
	r, _ := report.New(money.GBP).Make(report.XBalance, noon)
	bring(report.Brought{ID: "x1", Site: "shop", TID: "1003", Report: r, At: at(56)})

	// It began first and owes last. Then the clock went back.
	v3 := visited(noon, [][]table.Event{
		{table.Opened{ID: "v3", Site: "shop", TID: "1004", At: at(-3600)}, table.LockIntended{Table: "12", At: at(60)}},
		{table.LockConfirmed{Amount: 100, Currency: money.GBP, At: at(61)}, table.PaymentStarted{Payment: "p1", Asked: 100, At: at(62)}},
		{table.PaymentTaken{Payment: "p1", Receipt: table.Receipt{Paid: 100}, At: at(63)}, table.Left{At: at(64)}},
		{table.Queued{Notice: table.TransactionResponse, Payments: []table.PaymentID{"p1"}, At: at(65)}},
		{table.Queued{Notice: table.TableUnlock, At: at(50)}},
		{table.Delivered{N: 1, At: at(66)}},
		{table.Delivered{N: 2, At: at(67)}},
		{table.Requeued{N: 2, By: "anna", At: at(68)}},
	})
	put(v3[:5]...)

	visit := func(id journal.Stream, site txn.SiteID, tid txn.TID, n int, notice table.Notice, s, resent int) journal.Waiting {
		return journal.Waiting{
			Stream: id, Kind: journal.VisitStream, Site: site, TID: tid, Table: "12", N: n, Notice: notice, At: at(s), Resent: resent,
		}
	}
	w21 := visit("v2", "bar", "1002", 1, table.TransactionResponse, -5, 0)
	w11 := visit("v1", "shop", "1001", 1, table.TransactionResponse, 55, 0)
	w12 := visit("v1", "shop", "1001", 2, table.TableUnlock, 56, 0)
	w31 := visit("v3", "shop", "1004", 1, table.TransactionResponse, 65, 0)
	w32 := visit("v3", "shop", "1004", 2, table.TableUnlock, 65, 0)
	x1 := journal.Waiting{Stream: "x1", Kind: journal.ReportStream, Site: "shop", TID: "1003", N: 1, Notice: journal.ReportResponse, At: at(56)}
	check("", w21, w11, w12, x1, w31, w32)
	check("shop", w11, w12, x1, w31, w32)
	check("bar", w21)
	check("none")

	put(v1[9])
	put(v3[5:]...)
	bring(report.Delivered{At: at(70)})
	w32.Resent = 1
	check("shop", w12, w32)
	put(v1[10])
	bring(report.Requeued{By: "anna", At: at(71)})
	x1.Resent = 1
	check("shop", x1, w32)

	// A record that cannot be read is an error that names the stream.
	put(journal.Append{
		Stream: "v9", Records: []journal.Record{{Kind: "table.vanished", Version: 1, At: noon, Body: []byte("{}")}},
		Head: journal.Head{Kind: journal.VisitStream, Site: "cafe", Open: true},
	})
	if _, err := journal.WaitingOf(t.Context(), st, ""); err == nil || !strings.Contains(err.Error(), "v9") {
		t.Errorf("with a stream that cannot be read: %v", err)
	}
	check("shop", x1, w32)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := journal.WaitingOf(ended, st, "shop"); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
}

// standing holds what the store says of its only stream. It was open or ended
// by a record of the given time.
func (suite) standing(t *testing.T, st journal.Store, want *journal.Head, open bool, at time.Time) {
	t.Helper()
	var listed []journal.Stream
	want.Open, want.EndedAt = open, time.Time{}
	if open {
		listed = []journal.Stream{want.Stream}
	} else {
		want.EndedAt = at
	}
	got, err := st.Head(t.Context(), want.Stream)
	must(t, err)
	diff(t, *want, got)
	heads, err := st.OpenStreams(t.Context())
	must(t, err)
	diff(t, listed, streams(heads))
	sound(t, st, 1, want.Records)
}

// writers is how many write at once.
const writers = 128

func (s suite) concurrent(t *testing.T) {
	st := s.begin(t)
	var all sync.WaitGroup
	records := 0
	for i := range writers {
		appends := Appends(txn.RequestID(fmt.Sprintf("r%d", i)), "shop", txn.TID(fmt.Sprint(i%10)), noon.Add(time.Duration(i)*time.Second))
		for _, a := range appends {
			records += len(a.Records)
		}
		all.Go(func() {
			for _, a := range appends {
				if err := st.Append(t.Context(), a); err != nil {
					t.Errorf("%s after %d: %v", a.Stream, a.Expect, err)
					return
				}
				// What was appended is seen.
				h, err := st.Head(t.Context(), a.Stream)
				if want := a.Expect + len(a.Records); err != nil || h.Records != want {
					t.Errorf("%s has %d records, %v, want %d", a.Stream, h.Records, err, want)
				}
			}
		})
	}
	all.Wait()
	sound(t, st, writers, records)
	if stats := st.Stats(); stats.Appends != writers*4 || stats.Commits > stats.Appends || stats.Records != uint64(records) {
		t.Errorf("stats %+v", stats)
	}
}

// oneWinner: of many who append to one place of one stream, one does.
func (s suite) oneWinner(t *testing.T) {
	st := s.begin(t)
	for _, a := range Appends("r1", "shop", "1001", noon) {
		var all sync.WaitGroup
		var won atomic.Int32
		for range 16 {
			all.Go(func() {
				switch err := st.Append(context.WithoutCancel(t.Context()), a); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, journal.ErrConflict):
					t.Errorf("loser: %v", err)
				}
			})
		}
		all.Wait()
		if n := won.Load(); n != 1 {
			t.Errorf("%d won at %d", n, a.Expect)
		}
	}
	got, err := st.Records(t.Context(), "r1")
	must(t, err)
	sound(t, st, 1, len(got))
}

func (s suite) register(t *testing.T) {
	st := s.begin(t)
	shop := journal.Site{
		ID: "shop", Name: "The Corner Shop", TimeZone: "Europe/London", Strict: true, RejectUnanswered: true,
		Simulated: "DEMO", Limits: map[string]time.Duration{"signature": 5 * time.Second}, Created: noon,
	}
	bar := journal.Site{ID: "bar", PAT: journal.PATREST, Created: noon.Add(time.Nanosecond)}
	key := journal.Key{ID: "k2", Site: "shop", Hash: [32]byte{1, 2, 3, 31: 9}, Faces: []string{"pac", "rest"}, Note: "till 1", Created: noon}
	other := journal.Key{ID: "k1", Site: "bar", Created: noon}
	bound := journal.Key{ID: "k3", Site: "shop", Hash: [32]byte{3}, Faces: []string{"terminal"}, TID: "10000001", Created: noon}
	must(t, st.PutSite(t.Context(), shop))
	must(t, st.PutSite(t.Context(), bar))
	must(t, st.PutKey(t.Context(), key))
	must(t, st.PutKey(t.Context(), other))
	must(t, st.PutKey(t.Context(), bound))
	check := func(sites []journal.Site, keys []journal.Key) {
		t.Helper()
		gotSites, err := st.Sites(t.Context())
		must(t, err)
		diff(t, sites, gotSites)
		gotKeys, err := st.Keys(t.Context())
		must(t, err)
		diff(t, keys, gotKeys)
	}
	check([]journal.Site{bar, shop}, []journal.Key{other, key, bound})
	shop.Name, key.Revoked = "Shop", noon.Add(time.Hour)
	shop.PAT, bar.PAT = journal.PATWebSocket, journal.PATAuto
	must(t, st.PutSite(t.Context(), shop))
	must(t, st.PutSite(t.Context(), bar))
	must(t, st.PutKey(t.Context(), key))
	check([]journal.Site{bar, shop}, []journal.Key{other, key, bound})
	sound(t, st, 0, 0)
}

func (s suite) contextAndClose(t *testing.T) {
	st := s.open(t)
	a := Appends("r1", "shop", "1001", noon)[0]
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := st.Append(ended, a); !errors.Is(err, context.Canceled) {
		t.Errorf("append with an ended context: %v", err)
	}
	if _, err := st.Head(t.Context(), "r1"); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("head after it: %v", err)
	}
	must(t, st.Healthy())
	must(t, st.Close())
	must(t, st.Close())
	if err := st.Append(t.Context(), a); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
	if _, err := st.Records(t.Context(), "r1"); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("records after close: %v", err)
	}
	if err := st.Healthy(); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("health after close: %v", err)
	}
}

func (s suite) durable(t *testing.T) {
	st := s.open(t)
	all := Appends("r1", "shop", "1001", noon)
	must(t, st.PutSite(t.Context(), journal.Site{ID: "shop", Created: noon}))
	must(t, st.Append(t.Context(), Appends("r2", "shop", "1001", noon.Add(time.Hour))[0]))
	for i, a := range all {
		must(t, st.Append(t.Context(), a))
		head, err := st.Head(t.Context(), "r1")
		must(t, err)
		records, err := st.Records(t.Context(), "r1")
		must(t, err)

		st = s.reopen(t, st)
		head2, err := st.Head(t.Context(), "r1")
		must(t, err)
		diff(t, head, head2)
		records2, err := st.Records(t.Context(), "r1")
		must(t, err)
		diff(t, records, records2)
		if err := st.Append(t.Context(), a); !errors.Is(err, journal.ErrConflict) {
			t.Errorf("append %d a second time: %v", i, err)
		}
		sound(t, st, 2, 2+len(records))
	}
	sites, err := st.Sites(t.Context())
	must(t, err)
	diff(t, []journal.Site{{ID: "shop", Created: noon}}, sites)
	must(t, st.Close())
}

// sound has the store verified.
func sound(t *testing.T, st journal.Store, streams, records int) {
	t.Helper()
	v, err := st.Verify(t.Context())
	must(t, err)
	if v.Fault != "" || v.Streams != streams || v.Records != records {
		t.Errorf("verified %+v, want %d streams, %d records", v, streams, records)
	}
}

func streams(heads []journal.Head) []journal.Stream {
	var out []journal.Stream
	for _, h := range heads {
		out = append(out, h.Stream)
	}
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func diff(t *testing.T, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
