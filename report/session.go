package report

import (
	"maps"
	"time"

	"github.com/tillwire/tillwire/money"
)

// An Entry is one transaction that moved money.
type Entry struct {
	Refund   bool
	Total    money.Minor // what the cardholder paid or got back, in minor units
	Cashback money.Minor // of it
	Gratuity money.Minor // of it
	Issuer   string      // "VISA"
	Acquirer string
	Waiter   string // empty at the counter
	Number   string // "0012"
}

// A Ledger is a terminal's memory of totals: the balances since the last Z or
// end of day, and the banking sessions by acquirer. Use New; its fields are
// open so that a terminal can keep it on disk.
type Ledger struct {
	Currency money.Currency
	Balances Balances
	Banking  map[string]AcquirerTotals
}

// New returns a ledger without entries; its totals count since installation.
func New(c money.Currency) Ledger {
	return Ledger{Currency: c, Balances: newBalances(c, time.Time{}), Banking: map[string]AcquirerTotals{}}
}

func newBalances(c money.Currency, since time.Time) Balances {
	return Balances{
		Breakdown: Breakdown{Currency: c}, Since: since,
		Issuers: map[string]Breakdown{}, Waiters: map[string]Breakdown{},
	}
}

// Add books an entry. It returns a new ledger and leaves l as it was.
func (l Ledger) Add(e Entry) Ledger {
	b := l.Balances
	b.Breakdown = b.add(e)
	if e.Cashback > 0 {
		b.CashbackAmount += e.Cashback
		b.CashbackCount++
	}
	if e.Gratuity > 0 {
		b.GratuityAmount += e.Gratuity
		b.GratuityCount++
	}
	b.Issuers = l.addTo(b.Issuers, e.Issuer, e)
	if e.Waiter != "" {
		b.Waiters = l.addTo(b.Waiters, e.Waiter, e)
	}
	l.Balances = b

	a, ok := l.Banking[e.Acquirer]
	if !ok {
		a = l.newAcquirer()
	}
	a.Current = a.Current.add(e)
	a.CurrentIssuers = l.addTo(a.CurrentIssuers, e.Issuer, e)
	if a.CurrentNumbers.First == "" {
		a.CurrentNumbers.First = e.Number
	}
	a.CurrentNumbers.Last = e.Number
	l.Banking = with(l.Banking, e.Acquirer, a)
	return l
}

// Make returns the report of type t made at the given time, and the ledger as
// it stands afterwards: X and banking change nothing, Z resets the balances,
// an end of day also closes the banking sessions. The report has no lines yet.
func (l Ledger) Make(t Type, at time.Time) (Report, Ledger) {
	r := Report{Type: t, Result: Complete, Time: at}
	if t != Banking {
		b := l.Balances
		b.Issuers, b.Waiters = maps.Clone(b.Issuers), maps.Clone(b.Waiters)
		r.Balances = &b
	}
	if t == Banking || t == EndOfDay {
		r.Banking = make(map[string]AcquirerTotals, len(l.Banking))
		for name, a := range l.Banking {
			a.CurrentIssuers, a.PreviousIssuers = maps.Clone(a.CurrentIssuers), maps.Clone(a.PreviousIssuers)
			r.Banking[name] = a
		}
	}
	if t == ZBalance || t == EndOfDay {
		l.Balances = newBalances(l.Currency, at)
	}
	if t == EndOfDay {
		closed := make(map[string]AcquirerTotals, len(l.Banking))
		for name, a := range l.Banking {
			next := l.newAcquirer()
			next.Previous, next.PreviousIssuers, next.PreviousNumbers = a.Current, a.CurrentIssuers, a.CurrentNumbers
			closed[name] = next
		}
		l.Banking = closed
	}
	return r, l
}

func (l Ledger) newAcquirer() AcquirerTotals {
	none := Breakdown{Currency: l.Currency}
	return AcquirerTotals{
		Currency: l.Currency, Current: none, Previous: none,
		CurrentIssuers: map[string]Breakdown{}, PreviousIssuers: map[string]Breakdown{},
	}
}

func (l Ledger) addTo(m map[string]Breakdown, name string, e Entry) map[string]Breakdown {
	b, ok := m[name]
	if !ok {
		b.Currency = l.Currency
	}
	return with(m, name, b.add(e))
}

// with returns a copy of m that has v under name; m may be nil, as it is in a
// ledger read back from where empty maps are not written.
func with[V any](m map[string]V, name string, v V) map[string]V {
	next := make(map[string]V, len(m)+1)
	maps.Copy(next, m)
	next[name] = v
	return next
}

func (b Breakdown) add(e Entry) Breakdown {
	if e.Refund {
		b.RefundsAmount += e.Total
		b.RefundsCount++
		b.TotalAmount -= e.Total
	} else {
		b.SalesAmount += e.Total
		b.SalesCount++
		b.TotalAmount += e.Total
	}
	return b
}
