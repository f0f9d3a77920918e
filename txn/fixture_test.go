package txn_test

import (
	"time"

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

// A variant is a way of standing in a state that the rules may treat apart
// from other ways of standing in it: what led there, and its name.
type variant struct {
	name  string
	story []txn.Event
}

// variants are the prototypes that the transition table is made from.
func variants() []variant {
	var all []variant
	add := func(name string, from []txn.Event, more ...txn.Event) []txn.Event {
		story := append(from[:len(from):len(from)], more...)
		all = append(all, variant{name, story})
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
	add("outcome after TIMED_OUT", late, ended)
	add("two outcomes", over, told, txn.Contradicted{Outcome: declined, At: at(20)})
	no := add("not run, nothing told", sent, refused)
	add("not run, error told", no, txn.Answered{Told: txn.ToldError, At: at(3)})
	add("not run, outcome all the same", no, txn.Contradicted{Outcome: successful, At: at(20)})
	add("never sent", requested, txn.Restarted{At: at(8)})
	add("resolved, nothing told", unresolved, resolution)
	add("resolved after TIMED_OUT", late, resolution)
	return all
}

// A trial is an event, with what sets it apart from others of its type.
type trial struct {
	name  string
	event txn.Event
}

// trials are the events that every variant is tried with.
func trials() []trial {
	t := at(400)
	return []trial{
		{"", accepted},
		{"", txn.Dispatched{At: t}},
		{"", txn.Started{}},
		{"", txn.Notified{Value: "PRESENT_CARD", At: t}},
		{"", txn.CancelWished{At: t}},
		{"", txn.SignatureWanted{Wish: wanted.Wish, At: t}},
		{"accepted", txn.SignatureAnswered{Accepted: true, By: txn.ByTimeout, At: t}},
		{"rejected", txn.SignatureAnswered{By: txn.ByTill, At: t}},
		{"", txn.LinkLost{At: t}},
		{"", txn.Restarted{At: t}},
		{"", txn.Resumed{At: t}},
		{"", txn.CouldNotTell{At: t}},
		{"SUCCESSFUL", txn.Ended{Outcome: successful, At: t}},
		{"VOID", txn.Ended{Outcome: outcome("0042", txn.Void), At: t}},
		{"TIMED_OUT", txn.Ended{Outcome: outcome("0042", txn.TimedOut), At: t}},
		{"refused", txn.NeverRan{Reason: txn.Refused, At: t}},
		{"fenced", txn.NeverRan{Reason: txn.Fenced, At: t}},
		{"no reason", txn.NeverRan{At: t}},
		{"result", txn.Answered{Told: txn.ToldResult, At: t}},
		{"error", txn.Answered{Told: txn.ToldError, At: t}},
		{"TIMED_OUT", txn.Answered{Told: txn.ToldTimedOut, At: t}},
		{"nothing", txn.Answered{Told: txn.ToldNothing, At: t}},
		{"unknown word", txn.Answered{Told: "shouted", At: t}},
		{"SUCCESSFUL", txn.Resolved{Resolution: txn.Resolution{Result: txn.Successful, By: "manager"}, At: t}},
		{"DECLINED", txn.Resolved{Resolution: txn.Resolution{Result: txn.Declined, By: "manager"}, At: t}},
		{"the outcome anew", txn.Contradicted{Outcome: successful, At: t}},
		{"another outcome", txn.Contradicted{Outcome: outcome("0099", txn.Successful), At: t}},
		{"TIMED_OUT", txn.Contradicted{Outcome: outcome("0042", txn.TimedOut), At: t}},
	}
}
