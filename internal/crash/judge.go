package main

import (
	"fmt"

	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
)

// A verdict is what the referee found.
type verdict struct {
	Charges     int // of cards that were charged or paid back, reversed ones included
	AtTables    int // of them
	Outcomes    int // that the journal knows
	Late        int // of them, told as TIMED_OUT before
	Corrections int // that tills heard of, each as often as one did
	Unresolved  int // nobody can tell, and the journal says so
	Lost        int // money moved and somebody who must know does not, or the other way round
	Doubled     int // money moved, or is written, twice for one wish
	Stuck       int // terminals, tables and records that wait for something that never comes
	Findings    []string
}

// whole reports whether nothing was found.
func (v verdict) whole() bool { return len(v.Findings) == 0 }

// add adds what was found in another shop.
func (v *verdict) add(w verdict) {
	v.Charges += w.Charges
	v.AtTables += w.AtTables
	v.Outcomes += w.Outcomes
	v.Late += w.Late
	v.Corrections += w.Corrections
	v.Unresolved += w.Unresolved
	v.Lost += w.Lost
	v.Doubled += w.Doubled
	v.Stuck += w.Stuck
	v.Findings = append(v.Findings, w.Findings...)
}

func (v *verdict) lost(format string, args ...any) {
	v.Lost++
	v.Findings = append(v.Findings, "lost: "+fmt.Sprintf(format, args...))
}

func (v *verdict) doubled(format string, args ...any) {
	v.Doubled++
	v.Findings = append(v.Findings, "doubled: "+fmt.Sprintf(format, args...))
}

func (v *verdict) stuck(format string, args ...any) {
	v.Stuck++
	v.Findings = append(v.Findings, "stuck: "+fmt.Sprintf(format, args...))
}

// named is how a terminal names a transaction.
type named struct{ tid, id string }

// judge holds the books against each other. What must hold:
//
//   - a charge that stands is in exactly one successful outcome of the journal,
//     with its amount, and each successful outcome has its charge;
//   - a ticket is charged at most once, whatever became of the gateway, and so is
//     a request key;
//   - what a till was told is true, or was "not known", which the journal has
//     cleared up since or says it cannot, and which a till with keys has learned;
//   - a payment at a table is booked once by the till;
//   - in the end nothing waits: no terminal, no table, no record.
func judge(b books) verdict {
	v := verdict{Charges: len(b.charges)}
	v.ofCharges(b)
	v.ofTickets(b)
	v.ofTables(b)
	for _, t := range b.txns {
		if t.Outcome != nil || t.NotRun != "" || t.Conflict != nil {
			v.Outcomes++
		}
		if t.Late() {
			v.Late++
		}
		if t.Conflict != nil {
			v.lost("the journal has two words on %s of %s: %+v and %+v, not run %q", t.ID, t.TID, t.Outcome, t.Conflict, t.NotRun)
		}
		if t.Told == txn.ToldNothing {
			v.stuck("%s of %s is not told to anybody, and stands as %s", t.ID, t.TID, t.State)
		}
	}
	for _, id := range b.orphans {
		v.lost("the journal does not know the request of orphan %s", id)
	}
	for _, f := range b.faults {
		v.lost("the journal: %s", f)
	}
	for _, h := range b.open {
		switch {
		case h.State == string(txn.Unresolved) && tellsNothing(string(h.TID)):
			v.Unresolved++
		case h.Told == string(txn.ToldTimedOut) && h.State == string(txn.Finished): // a correction waits for a till that wants it
		default:
			v.stuck("%s %s of %s stands as %s", h.Kind, h.Stream, h.TID, h.State)
		}
	}
	for _, what := range b.stuck {
		v.stuck("%s", what)
	}
	return v
}

// tellsNothing reports whether a machine's part is to time out and not to know
// what became of it.
func tellsNothing(tid string) bool { return tid == mute }

// ofCharges holds the acquirer's books against the journal.
func (v *verdict) ofCharges(b books) {
	type entry struct {
		amount int64
		what   string
	}
	written := map[named][]entry{}
	for _, t := range b.txns {
		o := t.Truth()
		if o != nil && o.Result == txn.Successful && o.Type != txn.AccountVerification {
			at := named{string(t.TID), string(o.TransactionID)}
			written[at] = append(written[at], entry{int64(o.Total()), "request " + string(t.ID)})
		}
	}
	for _, visit := range b.visits {
		for _, p := range visit.Payments {
			if p.State == table.Taken {
				v.Outcomes++
				at := named{visit.TID, p.Receipt.TransactionID}
				written[at] = append(written[at], entry{int64(p.Receipt.Paid + p.Receipt.Cashback + p.Receipt.Gratuity), "payment " + string(p.ID)})
			} else if p.State == table.NotTaken {
				v.Outcomes++
			}
			if p.Conflict != nil {
				v.lost("the journal has two words on payment %s of visit %s", p.ID, visit.ID)
			}
		}
	}
	for _, c := range b.charges {
		at := named{c.TID, c.TransactionID}
		entries := written[at]
		delete(written, at)
		switch {
		case c.Reversed && len(entries) > 0:
			v.lost("%+v was paid back, and %s says that it stands", c, entries[0].what)
		case c.Reversed:
		case len(entries) == 0:
			v.lost("no outcome knows of %+v", c)
		case len(entries) > 1:
			v.doubled("%+v is in %+v", c, entries)
		case entries[0].amount != c.Amount:
			v.lost("%s says %d of %+v", entries[0].what, entries[0].amount, c)
		}
	}
	for at, entries := range written {
		v.lost("%s says that money moved, and the acquirer has no %s of %s", entries[0].what, at.id, at.tid)
	}
}

// ofTickets holds what tills were told against the acquirer's books and the
// journal.
func (v *verdict) ofTickets(b books) {
	type wanted struct {
		tid    string
		amount int64
	}
	standing, charged := map[wanted]int{}, map[wanted]int{}
	for _, c := range b.charges {
		if c.Payment != "" {
			continue
		}
		charged[wanted{c.TID, c.Amount}]++
		if !c.Reversed {
			standing[wanted{c.TID, c.Amount}]++
		}
	}
	for _, key := range b.twice {
		v.doubled("key %s is that of two transactions", key)
	}
	results, timedOut, txns := map[named]txn.Result{}, map[wanted]bool{}, map[txn.RequestID]txn.Transaction{}
	for _, t := range b.txns {
		txns[t.ID] = t
		if o := t.Truth(); o != nil {
			results[named{string(t.TID), string(o.TransactionID)}] = o.Result
		}
		if t.Told == txn.ToldTimedOut {
			timedOut[wanted{string(t.TID), int64(t.Request.Amount)}] = true
		}
	}
	v.ofCorrections(b, txns)
	for _, k := range b.tickets {
		w := wanted{k.TID, k.Amount}
		if standing[w] > 1 {
			v.doubled("ticket %+v is charged %d times", k, standing[w])
		}
		took, open := false, false
		for _, try := range k.Tries {
			took = took || try.Word == taken
			open = open || try.Word == unknown
			if try.Result == string(txn.TimedOut) && !try.Asked && !timedOut[w] {
				v.lost("ticket %+v was told TIMED_OUT, and no record says so", k)
			}
			if try.TransactionID == "" || try.Result == string(txn.TimedOut) || try.Word == notRun {
				continue
			}
			if got := results[named{k.TID, try.TransactionID}]; string(got) != try.Result {
				v.lost("ticket %+v was told %s of %s, and the journal says %q", k, try.Result, try.TransactionID, got)
			}
		}
		if len(k.Keys) > 0 {
			v.ofKeys(b, k, txns)
			open = open && tellsNothing(k.TID)
		}
		switch {
		case took && standing[w] == 0:
			v.lost("ticket %+v counts as paid, and no charge stands", k)
		case !took && !open && standing[w] > 0:
			v.lost("ticket %+v counts as not paid, and a charge stands", k)
		}
		if len(k.Keys) > 0 && charged[w] > len(k.Keys) {
			v.doubled("ticket %+v with %d keys was charged %d times, reversed ones included", k, len(k.Keys), charged[w])
		}
	}
}

// ofKeys holds what a till believes of each key of a ticket against the journal.
func (v *verdict) ofKeys(b books, k ticket, txns map[txn.RequestID]txn.Transaction) {
	for _, key := range k.Keys {
		t, known := txns[b.transactionOf(key)]
		truth := t.Truth()
		if known && string(t.TID) != k.TID || known && int64(t.Request.Amount) != k.Amount {
			v.lost("key %s of ticket %+v is that of %+v", key, k, t.Request)
		}
		last := unknown
		for _, try := range k.Tries {
			if try.Key != key {
				continue
			}
			last = try.Word
			switch try.Word {
			case taken, notTaken: // one that was cancelled in time never ran, and has no id
				if got := idOf(truth); got != try.TransactionID || try.Word == taken && truth == nil {
					v.lost("ticket %+v was told %s of key %s, and the journal has %+v", k, try.Result, key, truth)
				}
			case refused, notRun:
				if truth != nil {
					v.lost("ticket %+v was told that %s did not run, and it is %+v", k, key, truth)
				}
			case unknown:
			}
		}
		if last == unknown && !tellsNothing(k.TID) {
			v.stuck("the till of ticket %+v does not know what became of %s", k, key)
		}
	}
}

// ofCorrections holds what tills were told unasked against the journal.
func (v *verdict) ofCorrections(b books, txns map[txn.RequestID]txn.Transaction) {
	for _, c := range b.told {
		v.Corrections++
		t, ok := txns[txn.RequestID(c.RequestID)]
		truth := t.Truth()
		is := txn.Unsuccessful // it never ran
		if truth != nil {
			is = truth.Result
		}
		if !ok || t.Told != txn.ToldTimedOut || string(t.TID) != c.TID || idOf(truth) != c.TransactionID || string(is) != c.Result || truth == nil && t.NotRun == "" {
			v.lost("a till was told %+v, and the journal says %+v, told %q, not run %q", c, truth, t.Told, t.NotRun)
		}
	}
}

// idOf is the terminal's name for a transaction that it had, or is empty.
func idOf(o *txn.Outcome) string {
	if o == nil {
		return ""
	}
	return string(o.TransactionID)
}

// ofTables holds the till's bookings against the acquirer's books.
func (v *verdict) ofTables(b books) {
	booked := map[string]booking{}
	for _, k := range b.booked {
		booked[k.Payment] = k
		if k.Times > 1 {
			v.doubled("the till booked %+v", k)
		}
	}
	for _, c := range b.charges {
		if c.Payment == "" {
			continue
		}
		v.AtTables++
		if c.Reversed {
			continue
		}
		k, ok := booked[c.Payment]
		delete(booked, c.Payment)
		switch {
		case !ok:
			v.lost("the till never booked %+v", c)
		case k.Amount != c.Amount:
			v.lost("the till booked %+v for %+v", k, c)
		}
	}
	for _, k := range booked {
		v.lost("the till booked %+v, and no charge stands", k)
	}
}
