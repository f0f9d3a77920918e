package txn_test

import (
	"time"

	"github.com/tillwire/tillwire/internal/machinetest"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/txn"
)

// at is n seconds after the first event of each story.
func at(n int) time.Time {
	return time.Date(2026, 10, 7, 12, 30, n, 0, time.UTC)
}

var (
	accepted = txn.Accepted{
		ID: "request-1", Site: "demo", TID: "12345678",
		Request: txn.Request{Type: txn.Sale, Currency: money.GBP, Amount: 1250},
		Caller:  txn.Caller{Face: "pac", Version: "v1", SoftwareHouse: "DEMOSWH", Installer: "DEMOINST"},
		At:      at(0),
	}
	wanted = txn.SignatureWanted{
		Wish: txn.SignatureWish{Type: txn.Sale, Merchant: []receipt.Line{{Type: receipt.Text, Value: "SIGN BELOW"}}, Method: txn.MethodSwiped},
		At:   at(4),
	}
	successful = outcome("0042", txn.Successful)
	declined   = outcome("0042", txn.Declined)
)

func outcome(number string, r txn.Result) txn.Outcome {
	return txn.Outcome{
		Type: txn.Sale, Result: r, Currency: money.GBP, Base: 1250,
		TransactionID: txn.TransactionID("1" + number), Number: number, Time: at(9),
		Method: txn.MethodChip, CVM: txn.CVMPIN, PAN: "************1234",
	}
}

// variants are the prototypes that the transition table is made from.
func variants() []machinetest.Variant[txn.Event] {
	var all []machinetest.Variant[txn.Event]
	add := func(name string, from []txn.Event, more ...txn.Event) []txn.Event {
		story := append(from[:len(from):len(from)], more...)
		all = append(all, machinetest.Variant[txn.Event]{Name: name, Story: story})
		return story
	}
	var (
		timedOut   = txn.Answered{Told: txn.ToldTimedOut, At: at(200)}
		told       = txn.Answered{Told: txn.ToldResult, At: at(11)}
		wish       = txn.CancelWished{At: at(3)}
		lost       = txn.LinkLost{At: at(5)}
		byTill     = txn.SignatureAnswered{Accepted: true, By: txn.ByTill, At: at(6)}
		rejected   = txn.SignatureAnswered{Accepted: false, By: txn.ByTill, At: at(6)}
		ended      = txn.Ended{Outcome: successful, At: at(10)}
		refused    = txn.NeverRan{Reason: txn.Refused, At: at(2)}
		resolution = txn.Resolved{Resolution: txn.Resolution{Result: txn.Unsuccessful, By: "manager", Reason: "the card machine shows nothing"}, At: at(300)}
	)
	add("", nil)
	requested := add("just accepted", nil, accepted)
	add("cancel wished", requested, wish)

	sent := add("not accepted yet", requested, txn.Dispatched{At: at(1)})
	add("not accepted yet, cancel wished", sent, wish)
	add("not accepted yet, TIMED_OUT told", sent, timedOut)
	started := add("accepted by the terminal", sent, txn.Started{})
	add("cancel wished", started, wish)
	add("TIMED_OUT told", started, timedOut)
	add("signature accepted", started, wanted, byTill)
	add("signature rejected", started, wanted, rejected)
	add("cancel wished while signing", started, wanted, wish, byTill)
	add("in progress again after a lost link", started, lost, txn.Resumed{At: at(7)})

	signing := add("signature open", started, wanted)
	add("cancel wished", signing, wish)
	add("TIMED_OUT told", signing, timedOut)

	add("never accepted", sent, lost)
	unresolved := add("accepted by the terminal", started, lost)
	add("cancel wished", unresolved, wish)
	add("signature open", signing, lost)
	add("signature rejected", signing, rejected, lost)
	add("gateway restarted", started, txn.Restarted{At: at(8)})
	add("terminal could not tell", started, txn.CouldNotTell{At: at(8)})
	late := add("TIMED_OUT told", unresolved, timedOut)

	over := add("outcome, nothing told", started, ended)
	add("outcome told", over, told)
	tooLate := add("outcome after TIMED_OUT", late, ended)
	add("outcome after TIMED_OUT, corrected", tooLate, txn.Corrected{At: at(300)})
	add("two outcomes", over, told, txn.Contradicted{Outcome: declined, At: at(20)})
	no := add("not run, nothing told", sent, refused)
	add("not run, error told", no, txn.Answered{Told: txn.ToldError, At: at(3)})
	add("not run, outcome all the same", no, txn.Contradicted{Outcome: successful, At: at(20)})
	add("never sent", requested, txn.Restarted{At: at(8)})
	add("resolved, nothing told", unresolved, resolution)
	resolved := add("resolved after TIMED_OUT", late, resolution)
	resolved = add("resolved after TIMED_OUT, corrected", resolved, txn.Corrected{At: at(301)})
	add("resolved after TIMED_OUT, corrected, contradicted", resolved, txn.Contradicted{Outcome: successful, At: at(302)})
	return all
}

// trials are the events that every variant is tried with.
func trials() []machinetest.Trial[txn.Event] {
	t := at(400)
	return []machinetest.Trial[txn.Event]{
		{Event: accepted},
		{Event: txn.Dispatched{At: t}},
		{Event: txn.Started{}},
		{Event: txn.Notified{Value: "PRESENT_CARD", At: t}},
		{Event: txn.CancelWished{At: t}},
		{Event: txn.SignatureWanted{Wish: wanted.Wish, At: t}},
		{Name: "accepted", Event: txn.SignatureAnswered{Accepted: true, By: txn.ByTimeout, At: t}},
		{Name: "rejected", Event: txn.SignatureAnswered{By: txn.ByTill, At: t}},
		{Event: txn.LinkLost{At: t}},
		{Event: txn.Restarted{At: t}},
		{Event: txn.Resumed{At: t}},
		{Event: txn.CouldNotTell{At: t}},
		{Name: "SUCCESSFUL", Event: txn.Ended{Outcome: successful, At: t}},
		{Name: "VOID", Event: txn.Ended{Outcome: outcome("0042", txn.Void), At: t}},
		{Name: "TIMED_OUT", Event: txn.Ended{Outcome: outcome("0042", txn.TimedOut), At: t}},
		{Name: "refused", Event: txn.NeverRan{Reason: txn.Refused, At: t}},
		{Name: "fenced", Event: txn.NeverRan{Reason: txn.Fenced, At: t}},
		{Name: "no reason", Event: txn.NeverRan{At: t}},
		{Name: "result", Event: txn.Answered{Told: txn.ToldResult, At: t}},
		{Name: "error", Event: txn.Answered{Told: txn.ToldError, At: t}},
		{Name: "TIMED_OUT", Event: txn.Answered{Told: txn.ToldTimedOut, At: t}},
		{Name: "nothing", Event: txn.Answered{Told: txn.ToldNothing, At: t}},
		{Name: "unknown word", Event: txn.Answered{Told: "shouted", At: t}},
		{Name: "SUCCESSFUL", Event: txn.Resolved{Resolution: txn.Resolution{Result: txn.Successful, By: "manager"}, At: t}},
		{Name: "DECLINED", Event: txn.Resolved{Resolution: txn.Resolution{Result: txn.Declined, By: "manager"}, At: t}},
		{Name: "the outcome anew", Event: txn.Contradicted{Outcome: successful, At: t}},
		{Name: "another outcome", Event: txn.Contradicted{Outcome: outcome("0099", txn.Successful), At: t}},
		{Name: "TIMED_OUT", Event: txn.Contradicted{Outcome: outcome("0042", txn.TimedOut), At: t}},
		{Name: "delivered", Event: txn.Corrected{At: t}},
		{Name: "lapsed", Event: txn.Corrected{Lapsed: true, At: t}},
	}
}
