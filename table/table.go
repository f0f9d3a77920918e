// Package table is one Pay-At-Table visit: a waiter at a terminal, a table
// locked at the till, payments, and what the till is owed afterwards. It is also
// a table that is kept here for tills which do not answer for it themselves. It is
// pure: Apply and ApplyKept take and return values, do no I/O and read no clock.
//
// Two things cannot be lost by its rules. A visit that took money does not end
// without its payments in the outbox, and a visit that asked for a lock does
// not end without its unlock there. Money that is learned of after the end gets
// a notice of its own, behind the unlock. The outbox is part of the visit: what
// waits in it are the entries of Outbox that are not delivered.
package table

import (
	"time"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
)

// Ids are distinct types so that they cannot swap.
type (
	// A VisitID names one visit. The terminal makes it, unique for ever.
	VisitID string
	// A PaymentID names one payment, a UUID. The terminal makes it before it
	// charges a card; tills recognise payments by it.
	PaymentID string
	// A TableID is the till's own name for a table; opaque, for display.
	TableID string
	// A WaiterID is what the waiter keyed in; empty where none is asked for.
	WaiterID string
)

// A State says where a visit stands, and so who moves next.
type State string

// The states.
const (
	Listing    State = "listing"    // the waiter chooses a table; nothing is owed
	Locking    State = "locking"    // the till is asked for the lock; the till moves next
	Locked     State = "locked"     // the table is the waiter's; the waiter moves next
	Printing   State = "printing"   // the till is asked for the bill; the till moves next, or the waiter goes on without
	Paying     State = "paying"     // a payment has been begun in this visit; the cardholder or waiter moves next
	Unresolved State = "unresolved" // the terminal was lost with a payment open; ask it, never guess
	Settled    State = "settled"    // nothing more is paid; the gateway reports and unlocks
	Unlocked   State = "unlocked"   // payments and unlock are in the outbox; nobody moves
	Refused    State = "refused"    // no lock, and none asked for that is still open; nobody moves
)

// States lists the states.
func States() []State {
	return []State{Listing, Locking, Locked, Printing, Paying, Unresolved, Settled, Unlocked, Refused}
}

// Ended reports whether nobody moves any more.
func (s State) Ended() bool { return s == Unlocked || s == Refused }

// A PaymentState says what is known of a payment.
type PaymentState string

// The states of a payment.
const (
	Open     PaymentState = "open"     // begun; the card may be charged at any moment
	Taken    PaymentState = "taken"    // money moved
	NotTaken PaymentState = "notTaken" // no money moved
)

// A Payment is one card payment of a visit.
type Payment struct {
	ID    PaymentID
	State PaymentState
	// Asked is what the card was to pay towards the bill, in minor units. It is 0
	// when the terminal never said that it began, only that it took money.
	Asked money.Minor
	// Memory names the memory of the terminal that began it; it may be empty.
	Memory string
	// Receipt is what the terminal told; meaningful once Taken.
	Receipt Receipt
	// Queued says that a transactionResponse with it is in the outbox.
	Queued bool
	// By says who resolved it when it was not the terminal, and Reason why.
	By, Reason string
	// Conflict is the word that does not count, where two words on the payment
	// differ: money that moved counts over none that did, and else the first
	// word, for the till may have been told. It is for people to look at.
	Conflict *Word
}

// A Word is what somebody said became of a payment.
type Word struct {
	Taken   bool
	Receipt Receipt // when taken
	By      string  // empty for the terminal
	Reason  string  // of who said it by hand
}

// A Receipt is what a terminal tells of a payment that took money (the
// contract, section 5.5). Paid counts towards the bill, without cashback and
// gratuity; all amounts are minor units of the visit's currency.
type Receipt struct {
	Paid     money.Minor
	Cashback money.Minor
	Gratuity money.Minor

	AuthCode string
	Scheme   string
	Method   string // ICC_CHIP …
	Time     time.Time

	TransactionID string
	Number        string
	CVM           string
	AID           string
	Label         string
	PAN           string // masked
	Expiry        string // "MM/YY" or empty
	Receipts      receipt.Copies
}

// amounts gives r without what does not change money.
func (r Receipt) amounts() [3]money.Minor { return [...]money.Minor{r.Paid, r.Cashback, r.Gratuity} }

// Moved reports whether r can be the receipt of a payment that took money.
func (r Receipt) Moved() bool {
	return min(r.Paid, r.Cashback, r.Gratuity) >= 0 && max(r.Paid, r.Cashback, r.Gratuity) > 0
}

// A Notice is a message that the till is owed.
type Notice string

// The notices of a visit.
const (
	TransactionResponse Notice = "transactionResponse"
	TableUnlock         Notice = "tableUnlock"
)

// An Entry is one notice in the outbox of a visit.
type Entry struct {
	N         int // 1 for the first of the visit
	Notice    Notice
	Payments  []PaymentID // of a transactionResponse
	At        time.Time   // when it was put there
	Delivered bool
	Resent    int // how often it was sent anew after it had been delivered
}

// A Visit is the state of one visit; its zero value is one that has not begun.
type Visit struct {
	ID     VisitID
	Site   string
	TID    string
	Waiter WaiterID

	State State
	Table TableID
	Kept  KeptID // which of that name, where the table is kept here

	// Asked says that a lock request may have reached the till, so that an
	// unlock is owed whatever came of it.
	Asked    bool
	LockedAt time.Time
	Currency money.Currency
	Due      money.Minor // outstanding when locked
	Why      string      // why it was refused, or how the visit was brought to its end

	Payments []Payment
	Outbox   []Entry
	Lost     bool      // the terminal is away
	LostAt   time.Time // since when, while it is
	At       time.Time
}

// Balance is what is left of the bill, never less than 0: should terminals have
// taken more than was owed, nothing is left.
func (v Visit) Balance() money.Minor {
	left := v.Due
	for _, p := range v.Payments {
		if p.State == Taken {
			left -= p.Receipt.Paid
		}
	}
	return max(left, 0)
}

// OpenPayment returns the payment that is open, if any. There is at most one.
func (v Visit) OpenPayment() (Payment, bool) { return openOf(v.Payments) }

func openOf(payments []Payment) (Payment, bool) {
	for _, p := range payments {
		if p.State == Open {
			return p, true
		}
	}
	return Payment{}, false
}

// Took reports whether any payment took money.
func (v Visit) Took() bool {
	for _, p := range v.Payments {
		if p.State == Taken {
			return true
		}
	}
	return false
}

// Owes reports whether something of the outbox is not delivered.
func (v Visit) Owes() bool {
	for _, e := range v.Outbox {
		if !e.Delivered {
			return true
		}
	}
	return false
}

// Done reports whether the visit needs nobody any more: it has ended and the
// till has all that it is owed. Money that is learned of later undoes it.
func (v Visit) Done() bool { return v.State.Ended() && !v.Owes() && len(v.Unreported()) == 0 }
