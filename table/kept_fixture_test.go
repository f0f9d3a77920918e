package table_test

import (
	"github.com/tillwire/tillwire/internal/machinetest"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/table"
)

const tid = "12345678"

var (
	created = table.Created{
		ID: "table-1", Site: "demo", Name: "12", Amount: 4550, Currency: money.GBP,
		Receipt: lines("TABLE 12"), Waiters: []table.WaiterID{"3"}, By: "till1", At: at(0),
	}
	unpaid   = table.Known{Amount: 4550}
	halfPaid = table.Known{Amount: 4550, Paid: 2275}
	atTill   = table.TillLocked{Known: unpaid, Holder: "till1", By: "till1", At: at(5)}
	atTID    = table.TerminalLocked{TID: tid, Visit: "visit-1", Waiter: "3", At: at(5)}
)

func lines(text ...string) []receipt.Line {
	var b receipt.Builder
	for _, l := range text {
		b.Text(l)
	}
	return b.Lines()
}

func booked(id table.PaymentID) table.PaymentBooked {
	return table.PaymentBooked{Payment: id, Visit: "visit-1", TID: tid, Waiter: "3", Receipt: half, At: at(40)}
}

// keptVariants are the prototypes that the transition table is made from.
func keptVariants() []machinetest.Variant[table.KeptEvent] {
	var all []machinetest.Variant[table.KeptEvent]
	add := func(name string, from []table.KeptEvent, more ...table.KeptEvent) []table.KeptEvent {
		story := append(from[:len(from):len(from)], more...)
		all = append(all, machinetest.Variant[table.KeptEvent]{Name: name, Story: story})
		return story
	}
	add("", nil)
	free := add("nothing paid", nil, created)
	half := add("half paid", free, booked(first))
	add("all paid", half, booked(second))

	byDefault := atTill
	byDefault.Holder = ""
	add("by till1", free, atTill)
	add("by EPoS", free, byDefault)
	again := atTill
	again.Known = halfPaid
	add("by till1, half paid", half, again)

	add("in a visit", free, atTID)
	add("in a visit, half paid", free, atTID, booked(first))

	gone := add("nothing paid", free, table.Removed{Known: unpaid, At: at(60)})
	add("half paid", half, table.Removed{Known: halfPaid, At: at(60)})
	late := add("paid afterwards", gone, booked(first))
	add("paid afterwards twice", late, booked(second))
	return all
}

// keptTrials are the events that every variant is tried with.
func keptTrials() []machinetest.Trial[table.KeptEvent] {
	t := at(400)
	nowhere := created
	nowhere.ID = ""
	dotted := created
	dotted.Name = ".."
	dear := created
	dear.Amount = table.MaxAmount + 1
	other := table.Known{Amount: 4551}
	long := make([]byte, table.MaxHolder+1)
	for i := range long {
		long[i] = 'x'
	}
	return []machinetest.Trial[table.KeptEvent]{
		{Event: created},
		{Name: "without id", Event: nowhere},
		{Name: "named ..", Event: dotted},
		{Name: "of too much", Event: dear},
		{Name: "unpaid", Event: table.AmountChanged{Known: unpaid, Amount: 100, At: t}},
		{Name: "half paid", Event: table.AmountChanged{Known: halfPaid, Amount: 100, At: t}},
		{Name: "stale amount", Event: table.AmountChanged{Known: other, Amount: 100, At: t}},
		{Name: "negative", Event: table.AmountChanged{Known: unpaid, Amount: -1, At: t}},
		{Name: "unpaid", Event: table.ReceiptChanged{Known: unpaid, Receipt: lines("OTHER"), At: t}},
		{Name: "half paid", Event: table.ReceiptChanged{Known: halfPaid, Receipt: lines("OTHER"), At: t}},
		{Name: "of no known kind", Event: table.ReceiptChanged{Known: unpaid, Receipt: []receipt.Line{{Type: "SONG"}}, At: t}},
		{Name: "unpaid", Event: table.WaitersChanged{Known: unpaid, At: t}},
		{Name: "half paid", Event: table.WaitersChanged{Known: halfPaid, At: t}},
		{Name: "a nameless one", Event: table.WaitersChanged{Known: unpaid, Waiters: []table.WaiterID{""}, At: t}},
		{Name: "as till1", Event: table.TillLocked{Known: unpaid, Holder: "till1", At: t}},
		{Name: "as till1, half paid", Event: table.TillLocked{Known: halfPaid, Holder: "till1", At: t}},
		{Name: "as till2", Event: table.TillLocked{Known: unpaid, Holder: "till2", At: t}},
		{Name: "without name", Event: table.TillLocked{Known: unpaid, At: t}},
		{Name: "as till2 over till1", Event: table.TillLocked{Known: unpaid, Holder: "till2", Over: "till1", At: t}},
		{Name: "as till1 over the terminal", Event: table.TillLocked{Known: unpaid, Holder: "till1", Over: tid, At: t}},
		{Name: "as the terminal", Event: table.TillLocked{Known: unpaid, Holder: tid, At: t}},
		{Name: "of a long name", Event: table.TillLocked{Known: unpaid, Holder: string(long), At: t}},
		{Name: "stale", Event: table.TillLocked{Known: other, Holder: "till1", At: t}},
		{Name: "as till1", Event: table.TillUnlocked{Known: unpaid, Holder: "till1", At: t}},
		{Name: "as till1, half paid", Event: table.TillUnlocked{Known: halfPaid, Holder: "till1", At: t}},
		{Name: "as till2", Event: table.TillUnlocked{Known: unpaid, Holder: "till2", At: t}},
		{Name: "without name", Event: table.TillUnlocked{Known: unpaid, At: t}},
		{Name: "as till2 over till1", Event: table.TillUnlocked{Known: unpaid, Holder: "till2", Over: "till1", At: t}},
		{Name: "without name over the terminal", Event: table.TillUnlocked{Known: unpaid, Over: tid, At: t}},
		{Name: "as the terminal", Event: table.TillUnlocked{Known: unpaid, Holder: tid, At: t}},
		{Event: table.TerminalLocked{TID: tid, Visit: "visit-2", At: t}},
		{Name: "another terminal", Event: table.TerminalLocked{TID: "12345679", Visit: "visit-2", At: t}},
		{Name: "no visit", Event: table.TerminalLocked{TID: tid, At: t}},
		{Event: table.TerminalUnlocked{Visit: "visit-1", At: t}},
		{Name: "another visit", Event: table.TerminalUnlocked{Visit: "visit-2", At: t}},
		{Event: table.UnlockedByHand{By: "manager", Reason: "the machine is broken", At: t}},
		{Name: "first", Event: booked(first)},
		{Name: "second", Event: booked(second)},
		{Name: "of nothing", Event: table.PaymentBooked{Payment: unannounced, At: t}},
		{Name: "without id", Event: table.PaymentBooked{Receipt: half, At: t}},
		{Name: "unpaid", Event: table.Removed{Known: unpaid, At: t}},
		{Name: "half paid", Event: table.Removed{Known: halfPaid, At: t}},
		{Name: "stale", Event: table.Removed{Known: other, At: t}},
	}
}

// keptMachine is what machinetest needs to know of the machine.
func keptMachine() machinetest.Machine[table.Kept, table.KeptState, table.KeptEvent] {
	return machinetest.Machine[table.Kept, table.KeptState, table.KeptEvent]{
		Name:   "table",
		States: table.KeptStates(),
		Next: map[table.KeptState]string{ // in the words of the states' comments
			"":                   "the till",
			table.Free:           "the till, or a waiter",
			table.HeldByTill:     "the till",
			table.HeldByTerminal: "the visit at the terminal",
			table.Deleted:        "nobody",
			table.Stray:          "an operator",
		},
		Apply:  table.ApplyKept,
		Replay: table.ReplayKept,
		Refuse: func(k table.Kept, e table.KeptEvent) error {
			return &table.KeptRefusal{ID: k.ID, State: k.State, Event: e, Why: obstacle(k, e)}
		},
		State: func(k table.Kept) table.KeptState { return k.State },

		Variants: keptVariants(),
		Trials:   keptTrials(),

		EventMethod: "keptEvent", StateType: "KeptState",
	}
}
