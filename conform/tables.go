package conform

import (
	"cmp"
	"time"
)

// TableOptions change the checks of Pay-At-Table.
type TableOptions struct {
	// Tables are the names of three tables that are free for the check.
	Tables [3]string
	// Waiters are the ids of two waiters who may use the card machines.
	Waiters [2]string
	// Stays is how long a till that was taken over must stay away; 5 s by default.
	Stays time.Duration
}

// TableChecks returns every check of a till that keeps tables, in the order of a
// report. Of the general lines it has those that fit; that a copy of each end of
// day is kept is pat.endOfDay there.
func TableChecks(o TableOptions) []Check {
	for i, name := range []string{"12", "14", "15"} {
		o.Tables[i] = cmp.Or(o.Tables[i], name)
	}
	for i, id := range []string{"1", "2"} {
		o.Waiters[i] = cmp.Or(o.Waiters[i], id)
	}
	o.Stays = cmp.Or(o.Stays, 5*time.Second)
	table, lost, waiters, day, over := tableScene(o), lostScene(o), waitersScene(o), dayScene(), overScene(o)
	return []Check{
		generalAddress(), generalPartnerIDs(), generalSoftwareHouse(), generalInstaller(),
		patList(table), patLock(table), patRefuse(table), patBill(table), patUnlock(table),
		patSplit(table), patGratuity(table), patFinalReceipt(table),
		patWaiters(o, waiters),
		patOnce(lost), patOffline(lost),
		patEndOfDay(day), generalEndOfDayAtTable(day),
		patOneConnection(over),
	}
}

// open orders a table to be opened in the till.
func open(table string, amount int64, waiter, text string) Order {
	return Order{Method: "open", Table: table, Amount: amount, Currency: "GBP", Waiter: waiter, Text: text}
}

// books asks what the till has booked for a table.
func books(table, waiter string) Order {
	return Order{Method: "books", Table: table, Currency: "GBP", Waiter: waiter}
}
