package table_test

import (
	"time"

	"github.com/tillwire/tillwire/internal/machinetest"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/table"
)

func at(seconds int) time.Time {
	return time.Date(2026, 10, 7, 20, 0, 0, 0, time.UTC).Add(time.Duration(seconds) * time.Second)
}

// The payments of the stories; unannounced is one that no terminal began.
const (
	first       = table.PaymentID("0d7f2a44-6a52-4c0c-9a1e-5f5b6a3e9c01")
	second      = table.PaymentID("5b1f0c36-83f5-4a56-8a83-0f8f1e2f7a02")
	unannounced = table.PaymentID("9e2b7d10-1c4f-4f0e-8d55-3a6c2b9e1f03")
)

var (
	opened    = table.Opened{ID: "visit-1", Site: "demo", TID: "12345678", Waiter: "3", At: at(0)}
	intended  = table.LockIntended{Table: "12", At: at(1)}
	confirmed = table.LockConfirmed{Amount: 4550, Currency: money.GBP, At: at(2)}
	half      = receiptOf(2275)
)

func receiptOf(paid money.Minor) table.Receipt {
	return table.Receipt{Paid: paid, Gratuity: 450, AuthCode: "789DE0", Scheme: "VISA", Method: "ICC_CHIP", Time: at(30), PAN: "************1234"}
}

func started(id table.PaymentID) table.PaymentStarted {
	return table.PaymentStarted{Payment: id, Asked: 2275, At: at(10)}
}

func taken(id table.PaymentID) table.PaymentTaken {
	return table.PaymentTaken{Payment: id, Receipt: half, At: at(40)}
}

func queued(ids ...table.PaymentID) table.Queued {
	return table.Queued{Notice: table.TransactionResponse, Payments: ids, At: at(50)}
}

var unlocked = table.Queued{Notice: table.TableUnlock, At: at(51)}

// variants are the prototypes that the transition table is made from.
func variants() []machinetest.Variant[table.Event] {
	var all []machinetest.Variant[table.Event]
	add := func(name string, from []table.Event, more ...table.Event) []table.Event {
		story := append(from[:len(from):len(from)], more...)
		all = append(all, machinetest.Variant[table.Event]{Name: name, Story: story})
		return story
	}
	var (
		lost     = table.TerminalLost{At: at(20)}
		back     = table.TerminalBack{At: at(25)}
		left     = table.Left{Why: "paid", At: at(45)}
		no       = table.PaymentNotTaken{Payment: first, At: at(40)}
		operator = table.PaymentResolved{Payment: first, By: "manager", At: at(300)}
	)
	add("", nil)
	listing := add("terminal there", nil, opened)
	add("terminal lost", listing, lost)

	locking := add("terminal there", listing, intended)
	add("terminal lost", locking, lost)

	locked := add("terminal there", locking, confirmed)
	add("terminal lost", locked, lost)

	printing := add("nothing paid", locked, table.BillWanted{At: at(5)})
	add("terminal lost", printing, lost)

	open := add("payment open", locked, started(first))
	add("payment open again", open, lost, back)
	add("payment not taken", open, no)
	one := add("payment taken", open, taken(first))
	add("terminal lost, payment taken", one, lost)
	two := add("second payment open", one, started(second))
	add("all paid", two, taken(second))
	add("something paid", one, table.BillWanted{At: at(42)})

	unresolved := add("payment open", open, lost)
	before := add("payment open, another taken", two, lost)
	reported := add("payment open, another reported", before, queued(first))
	add("payment open, the other delivered", reported, table.Delivered{N: 1, At: at(60)})

	add("lock unanswered", locking, table.LockUnanswered{Why: "no answer", At: at(11)})
	add("nothing paid", locked, left)
	over := add("payment taken", one, left)
	add("payment taken, terminal lost", over, lost)
	add("payment reported", over, queued(first))
	not := add("resolved as not taken", unresolved, operator)
	operator.Taken, operator.Receipt = true, half
	yes := add("resolved as taken", unresolved, operator)

	end := add("paid, nothing delivered", over, queued(first), unlocked)
	add("paid, all delivered", end, table.Delivered{N: 1, At: at(60)}, table.Delivered{N: 2, At: at(61)})
	add("nothing paid", locked, left, unlocked)
	gone := add("resolved as not taken", not, unlocked)
	late := add("resolved as not taken, and taken", gone, table.Delivered{N: 1, At: at(60)}, taken(first))
	add("taken after the end, reported", late, queued(first))
	yes = add("resolved as taken", yes, queued(first), unlocked)
	add("resolved as taken, and not taken", yes, no)

	add("by the till", locking, table.LockRefused{Why: "locked", At: at(2)})
	add("never asked", locking, table.NotAsked{Why: "till offline", At: at(2)})
	add("nothing picked", listing, table.Left{Why: "cancelled", At: at(3)})
	return all
}

// trials are the events that every variant is tried with.
func trials() []machinetest.Trial[table.Event] {
	t := at(400)
	resolved := func(id table.PaymentID, r *table.Receipt) table.PaymentResolved {
		e := table.PaymentResolved{Payment: id, By: "manager", At: t}
		if r != nil {
			e.Taken, e.Receipt = true, *r
		}
		return e
	}
	more, negative := receiptOf(2276), table.Receipt{Paid: 2275, Gratuity: -1}
	return []machinetest.Trial[table.Event]{
		{Event: table.Opened{ID: "visit-2", At: t}},
		{Event: table.LockIntended{Table: "14", At: t}},
		{Name: "no name", Event: table.LockIntended{At: t}},
		{Event: table.LockConfirmed{Amount: 100, Currency: money.EUR, At: t}},
		{Name: "nothing owed", Event: table.LockConfirmed{Currency: money.EUR, At: t}},
		{Event: table.LockRefused{Why: "locked", At: t}},
		{Event: table.LockUnanswered{Why: "no answer", At: t}},
		{Event: table.NotAsked{Why: "till offline", At: t}},
		{Event: table.BillWanted{At: t}},
		{Event: table.BillAnswered{At: t}},
		{Name: "new", Event: table.PaymentStarted{Payment: unannounced, Asked: 1, At: t}},
		{Name: "first again", Event: table.PaymentStarted{Payment: first, Asked: 1, At: t}},
		{Name: "more than is left", Event: table.PaymentStarted{Payment: unannounced, Asked: 4551, At: t}},
		{Name: "for nothing", Event: table.PaymentStarted{Payment: unannounced, At: t}},
		{Name: "without id", Event: table.PaymentStarted{Asked: 1, At: t}},
		{Name: "first", Event: table.PaymentTaken{Payment: first, Receipt: half, At: t}},
		{Name: "first, another amount", Event: table.PaymentTaken{Payment: first, Receipt: more, At: t}},
		{Name: "second", Event: table.PaymentTaken{Payment: second, Receipt: half, At: t}},
		{Name: "unannounced", Event: table.PaymentTaken{Payment: unannounced, Receipt: half, At: t}},
		{Name: "nothing", Event: table.PaymentTaken{Payment: first, At: t}},
		{Name: "negative", Event: table.PaymentTaken{Payment: first, Receipt: negative, At: t}},
		{Name: "without id", Event: table.PaymentTaken{Receipt: half, At: t}},
		{Name: "first", Event: table.PaymentNotTaken{Payment: first, At: t}},
		{Name: "second", Event: table.PaymentNotTaken{Payment: second, At: t}},
		{Name: "unannounced", Event: table.PaymentNotTaken{Payment: unannounced, At: t}},
		{Name: "first taken", Event: resolved(first, &half)},
		{Name: "first taken, more than asked", Event: resolved(first, &more)},
		{Name: "first taken, negative", Event: resolved(first, &negative)},
		{Name: "first not taken", Event: resolved(first, nil)},
		{Name: "second taken", Event: resolved(second, &half)},
		{Name: "unannounced taken", Event: resolved(unannounced, &half)},
		{Event: table.Left{Why: "cancelled", At: t}},
		{Event: table.TerminalLost{At: t}},
		{Event: table.TerminalBack{At: t}},
		{Name: "first payment", Event: table.Queued{Notice: table.TransactionResponse, Payments: []table.PaymentID{first}, At: t}},
		{Name: "first payment twice", Event: table.Queued{Notice: table.TransactionResponse, Payments: []table.PaymentID{first, first}, At: t}},
		{Name: "both payments", Event: table.Queued{Notice: table.TransactionResponse, Payments: []table.PaymentID{first, second}, At: t}},
		{Name: "no payment", Event: table.Queued{Notice: table.TransactionResponse, At: t}},
		{Name: "unlock", Event: table.Queued{Notice: table.TableUnlock, At: t}},
		{Name: "another notice", Event: table.Queued{Notice: "greeting", At: t}},
		{Name: "first", Event: table.Delivered{N: 1, At: t}},
		{Name: "none", Event: table.Delivered{At: t}},
		{Name: "beyond the last", Event: table.Delivered{N: 9, At: t}},
		{Name: "first", Event: table.Requeued{N: 1, By: "manager", At: t}},
		{Name: "beyond the last", Event: table.Requeued{N: 9, By: "manager", At: t}},
	}
}
