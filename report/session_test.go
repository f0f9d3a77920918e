package report_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/report"
)

// sum adds entries up anew, in the plainest way.
func sum(entries []report.Entry, of func(report.Entry) bool) report.Breakdown {
	b := report.Breakdown{Currency: money.GBP}
	for _, e := range entries {
		switch {
		case !of(e):
		case e.Refund:
			b.RefundsAmount += e.Total
			b.RefundsCount++
		default:
			b.SalesAmount += e.Total
			b.SalesCount++
		}
	}
	b.TotalAmount = b.SalesAmount - b.RefundsAmount
	return b
}

// by adds entries up under each name that occurs; nameless ones have no place.
func by(entries []report.Entry, name func(report.Entry) string) map[string]report.Breakdown {
	m := map[string]report.Breakdown{}
	for _, e := range entries {
		if n := name(e); n != "" {
			m[n] = sum(entries, func(o report.Entry) bool { return name(o) == n })
		}
	}
	return m
}

func everyEntry(report.Entry) bool { return true }
func issuer(e report.Entry) string { return e.Issuer }
func waiter(e report.Entry) string { return e.Waiter }
func balancesOf(entries []report.Entry, since time.Time) *report.Balances {
	b := &report.Balances{
		Breakdown: sum(entries, everyEntry), Since: since,
		Issuers: by(entries, issuer), Waiters: by(entries, waiter),
	}
	for _, e := range entries {
		b.CashbackAmount += e.Cashback
		b.GratuityAmount += e.Gratuity
		if e.Cashback > 0 {
			b.CashbackCount++
		}
		if e.Gratuity > 0 {
			b.GratuityCount++
		}
	}
	return b
}

func with(entries []report.Entry, acquirer string) []report.Entry {
	return slices.DeleteFunc(slices.Clone(entries), func(e report.Entry) bool { return e.Acquirer != acquirer })
}

func numbers(entries []report.Entry) report.Numbers {
	if len(entries) == 0 {
		return report.Numbers{}
	}
	return report.Numbers{First: entries[0].Number, Last: entries[len(entries)-1].Number}
}

// bankingOf is what a banking report must say: current are the entries of this
// session, previous those of the one before, known the acquirers ever used.
func bankingOf(current, previous []report.Entry, known []string) map[string]report.AcquirerTotals {
	m := map[string]report.AcquirerTotals{}
	for _, name := range known {
		c, p := with(current, name), with(previous, name)
		m[name] = report.AcquirerTotals{
			Currency: money.GBP,
			Current:  sum(c, everyEntry), Previous: sum(p, everyEntry),
			CurrentIssuers: by(c, issuer), PreviousIssuers: by(p, issuer),
			CurrentNumbers: numbers(c), PreviousNumbers: numbers(p),
		}
	}
	return m
}

func anyEntry(t *rapid.T, n int) report.Entry {
	e := report.Entry{
		Refund:   rapid.IntRange(0, 3).Draw(t, "refund") == 0,
		Total:    money.Minor(rapid.IntRange(1, 99_999_999).Draw(t, "total")),
		Issuer:   rapid.SampledFrom([]string{"VISA", "MASTERCARD", "AMEX"}).Draw(t, "issuer"),
		Acquirer: rapid.SampledFrom([]string{"ACQUIRER ONE", "ACQUIRER TWO"}).Draw(t, "acquirer"),
		Waiter:   rapid.SampledFrom([]string{"", "3", "7"}).Draw(t, "waiter"),
		Number:   fmt.Sprintf("%04d", n),
	}
	if !e.Refund {
		e.Cashback = money.Minor(rapid.SampledFrom([]int{0, 0, 1000}).Draw(t, "cashback"))
		e.Gratuity = money.Minor(rapid.SampledFrom([]int{0, 250}).Draw(t, "gratuity"))
		e.Total += e.Cashback + e.Gratuity
	}
	return e
}

// TestRandomDays books entries and makes reports in any order. Each report must
// say what adding up its entries anew says, and no earlier ledger or report may
// change under later ones.
func TestRandomDays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var (
			ledger            = report.New(money.GBP)
			sinceZ            []report.Entry
			session, previous []report.Entry
			known             []string
			since             time.Time
			kept, copies      []any // ledgers and reports of before, and what they looked like
		)
		keep := func(v any) { kept, copies = append(kept, v), append(copies, deepCopy(v)) }
		for i := range rapid.IntRange(1, 40).Draw(t, "steps") {
			keep(ledger)
			if rapid.IntRange(0, 3).Draw(t, "step") > 0 {
				e := anyEntry(t, i)
				ledger = ledger.Add(e)
				sinceZ, session = append(sinceZ, e), append(session, e)
				if !slices.Contains(known, e.Acquirer) {
					known = append(known, e.Acquirer)
				}
				continue
			}
			typ := rapid.SampledFrom(report.Types()).Draw(t, "type")
			want := report.Report{Type: typ, Result: report.Complete, Time: at(i)}
			if typ != report.Banking {
				want.Balances = balancesOf(sinceZ, since)
			}
			if typ == report.Banking || typ == report.EndOfDay {
				want.Banking = bankingOf(session, previous, known)
			}
			if typ == report.ZBalance || typ == report.EndOfDay {
				sinceZ, since = nil, at(i)
			}
			if typ == report.EndOfDay {
				session, previous = nil, session
			}
			got, next := ledger.Make(typ, at(i))
			if d := cmp.Diff(want, got); d != "" {
				t.Fatalf("%s (-want +got):\n%s", typ, d)
			}
			keep(got)
			ledger = next
		}
		if d := cmp.Diff(copies, kept); d != "" {
			t.Fatalf("something made earlier changed (-then +now):\n%s", d)
		}
	})
}

// deepCopy copies a ledger or a report with all its maps.
func deepCopy(v any) any {
	switch v := v.(type) {
	case report.Ledger:
		v.Balances = copyBalances(v.Balances)
		v.Banking = copyBanking(v.Banking)
		return v
	case report.Report:
		if v.Balances != nil {
			b := copyBalances(*v.Balances)
			v.Balances = &b
		}
		v.Banking = copyBanking(v.Banking)
		return v
	default:
		panic(fmt.Sprintf("no copy of %T", v))
	}
}

func copyMap[V any](m map[string]V, one func(V) V) map[string]V {
	if m == nil {
		return nil
	}
	c := make(map[string]V, len(m))
	for name, v := range m {
		c[name] = one(v)
	}
	return c
}

func same(b report.Breakdown) report.Breakdown { return b }

func copyBalances(b report.Balances) report.Balances {
	b.Issuers, b.Waiters = copyMap(b.Issuers, same), copyMap(b.Waiters, same)
	return b
}

func copyBanking(m map[string]report.AcquirerTotals) map[string]report.AcquirerTotals {
	return copyMap(m, func(a report.AcquirerTotals) report.AcquirerTotals {
		a.CurrentIssuers, a.PreviousIssuers = copyMap(a.CurrentIssuers, same), copyMap(a.PreviousIssuers, same)
		return a
	})
}

var (
	sale   = report.Entry{Total: 2000, Cashback: 500, Gratuity: 200, Issuer: "VISA", Acquirer: "ACQUIRER ONE", Waiter: "3", Number: "0001"}
	refund = report.Entry{Refund: true, Total: 700, Issuer: "VISA", Acquirer: "ACQUIRER ONE", Number: "0002"}
)

// TestReports shows each report of one small day.
func TestReports(t *testing.T) {
	var (
		day    = report.Breakdown{Currency: money.GBP, TotalAmount: 1300, SalesAmount: 2000, SalesCount: 1, RefundsAmount: 700, RefundsCount: 1}
		sales  = report.Breakdown{Currency: money.GBP, TotalAmount: 2000, SalesAmount: 2000, SalesCount: 1}
		none   = report.Breakdown{Currency: money.GBP}
		issuer = map[string]report.Breakdown{"VISA": day}
		empty  = map[string]report.Breakdown{}

		balances = &report.Balances{
			Breakdown: day, CashbackAmount: 500, CashbackCount: 1, GratuityAmount: 200, GratuityCount: 1,
			Issuers: issuer, Waiters: map[string]report.Breakdown{"3": sales},
		}
		reset   = report.Balances{Breakdown: none, Since: at(50), Issuers: empty, Waiters: empty}
		banking = map[string]report.AcquirerTotals{"ACQUIRER ONE": {
			Currency: money.GBP, Current: day, Previous: none, CurrentIssuers: issuer, PreviousIssuers: empty,
			CurrentNumbers: report.Numbers{First: "0001", Last: "0002"},
		}}
		closed = map[string]report.AcquirerTotals{"ACQUIRER ONE": {
			Currency: money.GBP, Current: none, Previous: day, CurrentIssuers: empty, PreviousIssuers: issuer,
			PreviousNumbers: report.Numbers{First: "0001", Last: "0002"},
		}}
		ledger = report.New(money.GBP).Add(sale).Add(refund)
	)
	for _, c := range []struct {
		typ      report.Type
		balances *report.Balances
		banking  map[string]report.AcquirerTotals
		after    report.Ledger
	}{
		{report.XBalance, balances, nil, ledger},
		{report.ZBalance, balances, nil, report.Ledger{Currency: money.GBP, Balances: reset, Banking: banking}},
		{report.Banking, nil, banking, ledger},
		{report.EndOfDay, balances, banking, report.Ledger{Currency: money.GBP, Balances: reset, Banking: closed}},
	} {
		t.Run(string(c.typ), func(t *testing.T) {
			got, after := ledger.Make(c.typ, at(50))
			want := report.Report{Type: c.typ, Result: report.Complete, Time: at(50), Balances: c.balances, Banking: c.banking}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("report (-want +got):\n%s", d)
			}
			if d := cmp.Diff(c.after, after); d != "" {
				t.Errorf("ledger afterwards (-want +got):\n%s", d)
			}
		})
	}
}

// TestReportIsItsOwn: writing in a report reaches neither the ledger nor the
// next report.
func TestReportIsItsOwn(t *testing.T) {
	ledger := report.New(money.GBP).Add(sale)
	want := deepCopy(ledger)
	r, after := ledger.Make(report.EndOfDay, at(50))
	wantAfter := deepCopy(after)
	r.Balances.Issuers["VISA"] = report.Breakdown{}
	r.Balances.Waiters["3"] = report.Breakdown{}
	a := r.Banking["ACQUIRER ONE"]
	a.CurrentIssuers["VISA"] = report.Breakdown{}
	a.PreviousIssuers["VISA"] = report.Breakdown{SalesCount: 9}
	r.Banking["ACQUIRER TWO"] = a
	if d := cmp.Diff(want, any(ledger)); d != "" {
		t.Errorf("the ledger changed:\n%s", d)
	}
	if d := cmp.Diff(wantAfter, any(after)); d != "" {
		t.Errorf("the ledger afterwards changed:\n%s", d)
	}
}

// TestLedgerWithoutMaps: a ledger read back from where empty maps are not
// written takes entries as a new one does.
func TestLedgerWithoutMaps(t *testing.T) {
	bare := report.Ledger{Currency: money.GBP}
	bare.Balances.Currency = money.GBP
	got, want := bare.Add(sale), report.New(money.GBP).Add(sale)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
