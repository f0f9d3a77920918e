package main

import (
	"strings"
	"testing"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
)

// goodBooks have one of each: a sale, one that was declined, one that was paid
// back, one that nobody can tell about, a late one, likewise of tills with keys,
// and a payment at a table.
func goodBooks() books {
	ended := func(tid txn.TID, id txn.TransactionID, amount int64, r txn.Result) txn.Transaction {
		return txn.Transaction{
			ID: txn.RequestID("r" + id), TID: tid, State: txn.Finished, Told: txn.ToldResult, Request: txn.Request{Type: txn.Sale, Amount: minor(amount)},
			Outcome: &txn.Outcome{Type: txn.Sale, Result: r, TransactionID: id, Base: minor(amount)},
		}
	}
	late := ended("A", "5", 1005, txn.Successful)
	late.Told = txn.ToldTimedOut
	keyedLate := ended("K", "9", 2003, txn.Successful)
	keyedLate.Told = txn.ToldTimedOut
	return books{
		keys: map[string]txn.RequestID{"k6": "r6", "k7": "r7", "k8": "r8", "k9": "r9", "k10": "r10"},
		charges: []charge{
			{TID: "A", TransactionID: "1", Type: "SALE", Amount: 1001},
			{TID: "A", TransactionID: "3", Type: "SALE", Amount: 1003, Reversed: true},
			{TID: "A", TransactionID: "5", Type: "SALE", Amount: 1005},
			{TID: "K", TransactionID: "7", Type: "SALE", Amount: 2001},
			{TID: "K", TransactionID: "9", Type: "SALE", Amount: 2003},
			{TID: "T", TransactionID: "1", Payment: "p1", Type: "SALE", Amount: 500},
		},
		txns: []txn.Transaction{
			ended("A", "1", 1001, txn.Successful), ended("A", "2", 1002, txn.Declined), ended("A", "3", 1003, txn.Void), late,
			ended("K", "6", 2001, txn.Declined), ended("K", "7", 2001, txn.Successful),
			{ID: "r8", TID: "K", State: txn.Finished, NotRun: txn.Withdrawn, Told: txn.ToldResult, Request: txn.Request{Type: txn.Sale, Amount: 2002}},
			keyedLate,
			{ID: "r10", TID: "K", State: txn.Finished, NotRun: txn.Fenced, Told: txn.ToldTimedOut, Request: txn.Request{Type: txn.Sale, Amount: 2004}},
			{ID: "r4", TID: txn.TID(mute), State: txn.Unresolved, Told: txn.ToldTimedOut, Request: txn.Request{Amount: 1004}},
		},
		visits: []table.Visit{{ID: "v1", TID: "T", Payments: []table.Payment{
			{ID: "p1", State: table.Taken, Receipt: table.Receipt{Paid: 450, Gratuity: 50, TransactionID: "1"}},
			{ID: "p2", State: table.NotTaken},
		}}},
		open: []journal.Head{
			{Stream: "r4", TID: txn.TID(mute), State: string(txn.Unresolved), Told: string(txn.ToldTimedOut)},
			{Stream: "r5", TID: "A", State: string(txn.Finished), Told: string(txn.ToldTimedOut)},
		},
		tickets: []ticket{
			{Till: "a", TID: "A", Amount: 1001, Tries: []try{{Word: refused}, {Word: taken, Result: "SUCCESSFUL", TransactionID: "1"}}},
			{Till: "a", TID: "A", Amount: 1002, Tries: []try{{Word: notTaken, Result: "DECLINED", TransactionID: "2"}}},
			{Till: "a", TID: "A", Amount: 1003, Tries: []try{{Word: notTaken, Result: "VOID", TransactionID: "3"}}},
			{Till: "a", TID: mute, Amount: 1004, Tries: []try{{Word: unknown, Result: "TIMED_OUT"}}},
			{Till: "a", TID: "A", Amount: 1005, Tries: []try{{Word: taken, Result: "SUCCESSFUL", TransactionID: "5", Asked: true}}},
			{Till: "k", TID: "K", Amount: 2001, Keys: []string{"k6", "k7"}, Tries: []try{
				{Key: "k6", Word: notTaken, Result: "DECLINED", TransactionID: "6"}, {Key: "k7", Word: taken, Result: "SUCCESSFUL", TransactionID: "7", Asked: true},
			}},
			{Till: "k", TID: "K", Amount: 2002, Keys: []string{"k8"}, Tries: []try{{Key: "k8", Word: notTaken, Result: "CANCELLED"}}},
			{Till: "k", TID: "K", Amount: 2003, Keys: []string{"k9"}, Tries: []try{
				{Key: "k9", Word: unknown, Result: "TIMED_OUT"}, {Key: "k9", Word: taken, Result: "SUCCESSFUL", TransactionID: "9"},
			}},
			{Till: "k", TID: "K", Amount: 2004, Keys: []string{"k10"}, Tries: []try{{Key: "k10", Word: unknown, Asked: true}, {Key: "k10", Word: notRun, Asked: true}}},
			{Till: "k", TID: "K", Amount: 2005, Keys: []string{"k11"}, Tries: []try{{Key: "k11", Word: refused}}},
			{Till: "k", TID: mute, Amount: 2006, Keys: []string{"k12"}, Tries: []try{{Key: "k12", Word: unknown, Asked: true}}},
			{Till: "a", TID: "A", Amount: 1006, Tries: []try{{Word: notRun, TransactionID: "5", Asked: true}}},
		},
		told: []correction{
			{TID: "K", RequestID: "r9", TransactionID: "9", Result: "SUCCESSFUL"},
			{TID: "K", RequestID: "r10", Result: "UNSUCCESSFUL"},
			{TID: "A", RequestID: "r5", TransactionID: "5", Result: "SUCCESSFUL"},
		},
		booked: []booking{{Payment: "p1", TID: "T", Amount: 500, Times: 1}},
	}
}

// TestReferee plants what must never be into good books. The referee finds all
// of it, and nothing in the good ones.
func TestReferee(t *testing.T) {
	for _, c := range []struct {
		name  string
		plant func(*books)
		want  verdict // Lost, Doubled and Stuck, at least
		says  string
	}{
		{"good", func(*books) {}, verdict{}, ""},
		{"a charge that nobody knows", func(b *books) {
			b.charges = append(b.charges, charge{TID: "A", TransactionID: "9", Amount: 7})
		}, verdict{Lost: 1}, "no outcome knows"},
		{"a charge that is not there", func(b *books) { b.charges = b.charges[1:] }, verdict{Lost: 2}, "the acquirer has no 1 of A"},
		{"an outcome that is lost", func(b *books) { b.txns = b.txns[1:] }, verdict{Lost: 2}, "no outcome knows"},
		{"an outcome that is written twice", func(b *books) {
			again := b.txns[0]
			again.ID = "again"
			b.txns = append(b.txns, again)
		}, verdict{Doubled: 1}, "is in"},
		{"a ticket that is charged twice", func(b *books) {
			again := b.txns[0]
			o := *again.Outcome
			o.TransactionID = "9"
			again.ID, again.Outcome = "again", &o
			b.txns = append(b.txns, again)
			b.charges = append(b.charges, charge{TID: "A", TransactionID: "9", Amount: 1001})
		}, verdict{Doubled: 1}, "is charged 2 times"},
		{"another amount", func(b *books) { b.txns[0].Outcome.Base++ }, verdict{Lost: 1}, "says 1002 of"},
		{"a reversal that the journal missed", func(b *books) { b.charges[0].Reversed = true }, verdict{Lost: 2}, "was paid back"},
		{"told declined, and charged", func(b *books) {
			b.tickets[0].Tries[1] = try{Word: notTaken, Result: "DECLINED", TransactionID: "1"}
		}, verdict{Lost: 2}, "counts as not paid"},
		{"told refused, and charged", func(b *books) { b.tickets[0].Tries = b.tickets[0].Tries[:1] }, verdict{Lost: 1}, "counts as not paid"},
		{"told that it did not run, and charged", func(b *books) { b.tickets[11].Amount = 1001 }, verdict{Lost: 1}, "counts as not paid"},
		{"told paid, and not charged", func(b *books) {
			b.tickets[1].Tries[0] = try{Word: taken, Result: "SUCCESSFUL", TransactionID: "2"}
		}, verdict{Lost: 2}, "counts as paid"},
		{"told TIMED_OUT without a record", func(b *books) { b.txns[9].Told = txn.ToldNothing }, verdict{Lost: 1, Stuck: 1}, "no record says so"},
		{"a key that was charged twice", func(b *books) {
			b.charges = append(b.charges, charge{TID: "K", TransactionID: "10", Type: "SALE", Amount: 2003, Reversed: true})
		}, verdict{Doubled: 1}, "with 1 keys was charged 2 times"},
		{"a key of two transactions", func(b *books) { b.twice = []string{"k6"} }, verdict{Doubled: 1}, "key k6 is that of two"},
		{"a key that is another's", func(b *books) { b.keys["k9"] = "r7" }, verdict{Lost: 2}, "key k9 of ticket"},
		{"a key told declined, and charged", func(b *books) {
			b.tickets[7].Tries[1] = try{Key: "k9", Word: notTaken, Result: "DECLINED", TransactionID: "9"}
		}, verdict{Lost: 2}, "counts as not paid"},
		{"a key told paid, of which the journal has nothing", func(b *books) { delete(b.keys, "k9") }, verdict{Lost: 1}, "was told SUCCESSFUL of key k9"},
		{"a key told not to have run, and charged", func(b *books) {
			b.tickets[7].Tries[1] = try{Key: "k9", Word: notRun, Asked: true}
		}, verdict{Lost: 2}, "was told that k9 did not run"},
		{"a key told refused, and charged", func(b *books) {
			b.tickets[7].Tries = []try{{Key: "k9", Word: refused}}
		}, verdict{Lost: 2}, "was told that k9 did not run"},
		{"a key told TIMED_OUT without a record", func(b *books) {
			b.txns[7].Told, b.told = txn.ToldResult, nil
		}, verdict{Lost: 1}, "no record says so"},
		{"a key of which the till never learns", func(b *books) { b.tickets[7].Tries = b.tickets[7].Tries[:1] }, verdict{Lost: 1, Stuck: 1}, "does not know what became of k9"},
		{"a key of which the till was told nothing", func(b *books) { b.tickets[9].Tries = nil }, verdict{Stuck: 1}, "does not know what became of k11"},
		{"a correction that is not true", func(b *books) { b.told[0].Result = "DECLINED" }, verdict{Lost: 1}, "a till was told {TID:K"},
		{"a correction of what was never told", func(b *books) { b.told[0].RequestID, b.told[0].TransactionID = "r7", "7" }, verdict{Lost: 1}, "a till was told {TID:K"},
		{"a correction of what nobody asked for", func(b *books) { b.told[0].RequestID = "r99" }, verdict{Lost: 1}, "a till was told {TID:K"},
		{"two words on one request", func(b *books) { b.txns[1].Conflict = b.txns[0].Outcome }, verdict{Lost: 1}, "two words"},
		{"an orphan", func(b *books) { b.orphans = []journal.Stream{"o"} }, verdict{Lost: 1}, "orphan o"},
		{"a journal that is not whole", func(b *books) { b.faults = []string{"entry 6 is missing"} }, verdict{Lost: 1}, "entry 6"},
		{"a payment at a table that is not booked", func(b *books) { b.booked = nil }, verdict{Lost: 1}, "never booked"},
		{"one that is booked twice", func(b *books) { b.booked[0].Times = 2 }, verdict{Doubled: 1}, "the till booked"},
		{"one that is booked with another amount", func(b *books) { b.booked[0].Amount = 450 }, verdict{Lost: 1}, "for {TID:T"},
		{"one that is booked and was not charged", func(b *books) {
			b.booked = append(b.booked, booking{Payment: "p2", TID: "T", Amount: 1, Times: 1})
		}, verdict{Lost: 1}, "no charge stands"},
		{"one that the journal does not know", func(b *books) { b.visits = nil }, verdict{Lost: 1}, "no outcome knows"},
		{"two words on a payment", func(b *books) { b.visits[0].Payments[0].Conflict = &table.Word{} }, verdict{Lost: 1}, "two words on payment p1"},
		{"a request that nobody ends", func(b *books) {
			b.open = append(b.open, journal.Head{Kind: journal.TransactionStream, Stream: "r9", TID: "A", State: string(txn.AtTerminal)})
		}, verdict{Stuck: 1}, "r9 of A stands as atTerminal"},
		{"an unresolved one of a terminal that could tell", func(b *books) { b.open[0].TID = "A" }, verdict{Stuck: 1}, "stands as unresolved"},
		{"an answer that is never given", func(b *books) { b.txns[0].Told = txn.ToldNothing }, verdict{Stuck: 1}, "not told to anybody"},
		{"a terminal that stays busy", func(b *books) { b.stuck = []string{"terminal A is BUSY"} }, verdict{Stuck: 1}, "A is BUSY"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := goodBooks()
			c.plant(&b)
			v := judge(b)
			if v.Lost != c.want.Lost || v.Doubled != c.want.Doubled || v.Stuck != c.want.Stuck {
				t.Errorf("lost %d, doubled %d, stuck %d; want %d, %d, %d: %q", v.Lost, v.Doubled, v.Stuck, c.want.Lost, c.want.Doubled, c.want.Stuck, v.Findings)
			}
			if !strings.Contains(strings.Join(v.Findings, "\n"), c.says) {
				t.Errorf("it says %q, want %q", v.Findings, c.says)
			}
			if v.whole() != (c.says == "") {
				t.Errorf("whole: %t", v.whole())
			}
		})
	}
}
