package table

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
)

// This file is a table that is kept here, for tills that store their tables at
// the gateway and read them there. It is pure like the visit, and has three
// rules that no event gets round: what a till changes it must know as it is;
// who holds the lock is asked first, or named in an override; and a payment is
// booked to the table that was locked for it, whatever became of lock and table.

// A KeptID names one kept table for ever. A new table of the same name has
// another id, and inherits nothing.
type KeptID string

// A KeptState says how a kept table stands, and so who moves next.
type KeptState string

// The states of a kept table.
const (
	Free           KeptState = "free"           // nobody holds it; a till or a waiter moves next
	HeldByTill     KeptState = "heldByTill"     // a till locked it, and no terminal is shown it; the till moves next
	HeldByTerminal KeptState = "heldByTerminal" // it is being paid at a terminal; the visit there moves next
	Deleted        KeptState = "deleted"        // a till took it away and the name is free; nobody moves
	Stray          KeptState = "stray"          // it was paid after it was deleted; an operator has to look
)

// KeptStates lists the states of a kept table.
func KeptStates() []KeptState { return []KeptState{Free, HeldByTill, HeldByTerminal, Deleted, Stray} }

// What a kept table may hold (section 7.3 of the contract for REST). Lengths are
// in characters, amounts in minor units.
const (
	MaxName                     = 64
	MaxHolder                   = 64
	MaxWaiters                  = 50
	MaxWaiterID                 = 20
	MaxReceiptLines             = 500
	MaxAmount       money.Minor = 99_999_999
)

// DefaultHolder is who locks where a till does not say.
const DefaultHolder = "EPoS"

// A Kept is the state of one kept table; its zero value is one that was not
// stored yet.
type Kept struct {
	ID       KeptID
	Site     string
	Name     TableID
	Currency money.Currency

	State   KeptState
	Amount  money.Minor    // the bill; payments do not reduce it
	Receipt []receipt.Line // what a terminal prints as the bill; none has it made from the amounts
	Waiters []WaiterID     // who may take payments at it; none is everybody

	LockedBy string  // the till's name for itself, or the TID; empty while free
	Visit    VisitID // that holds it, while a terminal does
	LockedAt time.Time

	Payments  []Booked // in the order in which they were learned of
	At        time.Time
	DeletedAt time.Time
}

// A Booked is a payment that was booked to a table.
type Booked struct {
	ID      PaymentID
	Visit   VisitID
	TID     string
	Waiter  WaiterID
	Receipt Receipt
	Late    bool // the table was deleted by then
	At      time.Time
}

// Stored reports whether the table is there: begun, and not deleted.
func (k Kept) Stored() bool {
	return k.State == Free || k.State == HeldByTill || k.State == HeldByTerminal
}

// Paid is what the payments took towards the bill.
func (k Kept) Paid() money.Minor { return k.sum(func(r Receipt) money.Minor { return r.Paid }) }

// Cashback is what the payments gave out in cash.
func (k Kept) Cashback() money.Minor { return k.sum(func(r Receipt) money.Minor { return r.Cashback }) }

// Gratuity is what the payments took beside the bill.
func (k Kept) Gratuity() money.Minor { return k.sum(func(r Receipt) money.Minor { return r.Gratuity }) }

func (k Kept) sum(of func(Receipt) money.Minor) (total money.Minor) {
	for _, p := range k.Payments {
		total += of(p.Receipt)
	}
	return total
}

// Outstanding is what is left of the bill; less than 0 where more was paid.
func (k Kept) Outstanding() money.Minor { return k.Amount - k.Paid() }

// Serves reports whether that waiter may take payments at the table. One that
// keyed in nothing may, for such terminals ask for none.
func (k Kept) Serves(w WaiterID) bool {
	return w == "" || len(k.Waiters) == 0 || slices.Contains(k.Waiters, w)
}

// Offered reports whether a terminal of that currency shows the table to that
// waiter.
func (k Kept) Offered(w WaiterID, c money.Currency) bool {
	return k.State == Free && k.Outstanding() > 0 && k.Currency == c && k.Serves(w)
}

// Hinders reports whether the lock that k is under keeps a till from locking it
// under that name, or from unlocking it. Who gives no name when unlocking undoes
// the lock of any till.
func (k Kept) Hinders(holder string, lock bool) bool {
	switch k.State {
	case HeldByTerminal:
		return true
	case HeldByTill:
		if holder == "" && !lock {
			return false
		}
		return cmp.Or(holder, DefaultHolder) != k.LockedBy
	case Free, Deleted, Stray:
	}
	return false
}

// A Known is what a till believes that the table's amounts are.
type Known struct {
	Amount money.Minor
	Paid   money.Minor
}

// A KeptEvent is something that happened to a kept table. The set is closed.
// Those by a till say By whom, as it named itself, and what was tolerated of its
// message, for the record.
type KeptEvent interface{ keptEvent() }

// The events of a kept table, in the past tense.
type (
	// Created: a till stored it. The first event of each.
	Created struct {
		ID         KeptID
		Site       string
		Name       TableID
		Amount     money.Minor
		Currency   money.Currency
		Receipt    []receipt.Line
		Waiters    []WaiterID
		By         string
		Deviations []string
		At         time.Time
	}
	// AmountChanged: the bill is another. It may be less than was paid.
	AmountChanged struct {
		Known      Known
		Amount     money.Minor
		By         string
		Deviations []string
		At         time.Time
	}
	// ReceiptChanged: terminals print other lines.
	ReceiptChanged struct {
		Known      Known
		Receipt    []receipt.Line
		By         string
		Deviations []string
		At         time.Time
	}
	// WaitersChanged: others may take payments.
	WaitersChanged struct {
		Known      Known
		Waiters    []WaiterID
		By         string
		Deviations []string
		At         time.Time
	}
	// TillLocked: a till holds it from now on. Over is whose lock it overrode:
	// empty where none was in the way.
	TillLocked struct {
		Known      Known
		Holder     string // empty is DefaultHolder
		Over       string
		By         string
		Deviations []string
		At         time.Time
	}
	// TillUnlocked: a till ended a lock. Over is as in TillLocked.
	TillUnlocked struct {
		Known      Known
		Holder     string // may be empty
		Over       string
		By         string
		Deviations []string
		At         time.Time
	}
	// TerminalLocked: a waiter picked it at a terminal.
	TerminalLocked struct {
		TID    string
		Visit  VisitID
		Waiter WaiterID
		At     time.Time
	}
	// TerminalUnlocked: the visit is over.
	TerminalUnlocked struct {
		Visit VisitID
		At    time.Time
	}
	// UnlockedByHand: an operator ended a lock.
	UnlockedByHand struct {
		By     string
		Reason string // in the operator's words
		At     time.Time
	}
	// PaymentBooked: a card paid for it, whoever holds it by now and whether it is
	// still there or not.
	PaymentBooked struct {
		Payment PaymentID
		Visit   VisitID
		TID     string
		Waiter  WaiterID
		Receipt Receipt
		At      time.Time
	}
	// Removed: a till deleted it.
	Removed struct {
		Known      Known
		By         string
		Deviations []string
		At         time.Time
	}
)

func (Created) keptEvent()          {}
func (AmountChanged) keptEvent()    {}
func (ReceiptChanged) keptEvent()   {}
func (WaitersChanged) keptEvent()   {}
func (TillLocked) keptEvent()       {}
func (TillUnlocked) keptEvent()     {}
func (TerminalLocked) keptEvent()   {}
func (TerminalUnlocked) keptEvent() {}
func (UnlockedByHand) keptEvent()   {}
func (PaymentBooked) keptEvent()    {}
func (Removed) keptEvent()          {}

// An Obstacle is why an event is refused.
type Obstacle string

// The obstacles.
const (
	NotThere    Obstacle = "there is no such table"
	There       Obstacle = "the table exists"
	StaleAmount Obstacle = "the amount is another one"
	StalePaid   Obstacle = "another amount was paid"
	LockHeld    Obstacle = "somebody holds the table"
	LockNotHeld Obstacle = "that lock is not held"
	NothingDue  Obstacle = "nothing is left to pay"
	SaidBefore  Obstacle = "the payment is booked"
	Unfit       Obstacle = "a value of it is outside the limits"
)

// A KeptRefusal is the error for an event that a kept table does not allow.
type KeptRefusal struct {
	ID    KeptID
	State KeptState
	Event KeptEvent
	Why   Obstacle
}

// Error names the event, the state, the table by its id, and the obstacle.
func (e *KeptRefusal) Error() string {
	return fmt.Sprintf("table: %T in state %s of table %s: %s", e.Event, cmp.Or(e.State, "not stored"), e.ID, e.Why)
}

// ApplyKept returns k as it stands after e, or a *KeptRefusal and k as it was.
// Where several obstacles apply the first of them counts: that it is not there,
// then what is stale, then the lock.
func ApplyKept(k Kept, e KeptEvent) (Kept, error) {
	next, why := k, Obstacle("")
	switch e := e.(type) {
	case Created:
		next, why = k.create(e)
	case AmountChanged:
		if why = k.editable(e.Known, e.Amount >= 0 && e.Amount <= MaxAmount); why == "" {
			next.Amount = e.Amount
		}
	case ReceiptChanged:
		if why = k.editable(e.Known, receiptFits(e.Receipt)); why == "" {
			next.Receipt = own(e.Receipt)
		}
	case WaitersChanged:
		if why = k.editable(e.Known, waitersFit(e.Waiters)); why == "" {
			next.Waiters = own(e.Waiters)
		}
	case TillLocked:
		holder := cmp.Or(e.Holder, DefaultHolder)
		why = k.lockable(e.Known, holder, e.Over, true)
		if why == "" && (k.State != HeldByTill || k.LockedBy != holder) {
			next.State, next.LockedBy, next.Visit, next.LockedAt = HeldByTill, holder, "", e.At
		}
	case TillUnlocked:
		if why = k.lockable(e.Known, e.Holder, e.Over, false); why == "" {
			next = k.free()
		}
	case TerminalLocked:
		next, why = k.lockAtTerminal(e)
	case TerminalUnlocked:
		if k.State != HeldByTerminal || k.Visit != e.Visit {
			why = LockNotHeld
			break
		}
		next = k.free()
	case UnlockedByHand:
		if k.State != HeldByTill && k.State != HeldByTerminal {
			why = LockNotHeld
			break
		}
		next = k.free()
	case PaymentBooked:
		next, why = k.book(e)
	case Removed:
		if why = k.stale(e.Known); why == "" && k.State == HeldByTerminal {
			why = LockHeld // money may be under way
		}
		if why == "" {
			next = k.free()
			next.State, next.DeletedAt = Deleted, e.At
		}
	default:
		panic(fmt.Sprintf("table: no rule for %T", e))
	}
	if why != "" {
		return k, &KeptRefusal{ID: k.ID, State: k.State, Event: e, Why: why}
	}
	return next, nil
}

func (k Kept) create(e Created) (Kept, Obstacle) {
	switch {
	case k.State != "":
		return k, There
	case e.ID == "" || e.Currency == "" || !NameFits(string(e.Name)) || e.Amount < 0 || e.Amount > MaxAmount ||
		!receiptFits(e.Receipt) || !waitersFit(e.Waiters):
		return k, Unfit
	}
	return Kept{
		ID: e.ID, Site: e.Site, Name: e.Name, Currency: e.Currency, State: Free,
		Amount: e.Amount, Receipt: own(e.Receipt), Waiters: own(e.Waiters), At: e.At,
	}, ""
}

// stale says what of the table is not as a till believes.
func (k Kept) stale(known Known) Obstacle {
	switch {
	case !k.Stored():
		return NotThere
	case known.Amount != k.Amount:
		return StaleAmount
	case known.Paid != k.Paid():
		return StalePaid
	}
	return ""
}

// editable says what hinders a till from changing the table: anybody's lock does.
func (k Kept) editable(known Known, fits bool) Obstacle {
	switch why := k.stale(known); {
	case why != "":
		return why
	case k.State != Free:
		return LockHeld
	case !fits:
		return Unfit
	}
	return ""
}

// lockable says what hinders a till from locking the table, or from unlocking it.
func (k Kept) lockable(known Known, holder, over string, lock bool) Obstacle {
	hinders := k.Hinders(holder, lock)
	switch why := k.stale(known); {
	case why != "":
		return why
	case hinders && over != k.LockedBy:
		return LockHeld
	case !hinders && over != "":
		return LockNotHeld
	case utf8.RuneCountInString(holder) > MaxHolder || !utf8.ValidString(holder):
		return Unfit
	}
	return ""
}

// lockAtTerminal gives the table to a visit at a terminal, also where an earlier
// visit of that terminal holds it.
func (k Kept) lockAtTerminal(e TerminalLocked) (Kept, Obstacle) {
	switch {
	case !k.Stored():
		return k, NotThere
	case k.State == HeldByTill, k.State == HeldByTerminal && k.LockedBy != e.TID:
		return k, LockHeld
	case k.Outstanding() <= 0:
		return k, NothingDue
	case e.TID == "" || e.Visit == "":
		return k, Unfit
	}
	k.State, k.LockedBy, k.Visit, k.LockedAt = HeldByTerminal, e.TID, e.Visit, e.At
	return k, ""
}

// book adds a payment, once.
func (k Kept) book(e PaymentBooked) (Kept, Obstacle) {
	switch {
	case k.State == "":
		return k, NotThere
	case k.HasPayment(e.Payment):
		return k, SaidBefore
	case e.Payment == "" || !e.Receipt.Moved():
		return k, Unfit
	}
	late := !k.Stored()
	if late {
		k.State = Stray
	}
	k.Payments = append(slices.Clone(k.Payments), Booked{
		ID: e.Payment, Visit: e.Visit, TID: e.TID, Waiter: e.Waiter, Receipt: e.Receipt, Late: late, At: e.At,
	})
	return k, ""
}

// HasPayment reports whether the payment is booked to the table.
func (k Kept) HasPayment(id PaymentID) bool {
	return slices.ContainsFunc(k.Payments, func(p Booked) bool { return p.ID == id })
}

// free is k without a lock.
func (k Kept) free() Kept {
	k.State, k.LockedBy, k.Visit, k.LockedAt = Free, "", "", time.Time{}
	return k
}

// own is a copy that nobody else changes, nil where there is nothing.
func own[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return slices.Clone(s)
}

// NameFits reports whether a kept table may bear that name.
func NameFits(name string) bool {
	return name != "." && name != ".." && fits(name, MaxName)
}

// fits reports whether a name has 1 to most characters and no control character.
func fits(name string, most int) bool {
	n := utf8.RuneCountInString(name)
	return n >= 1 && n <= most && utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsControl)
}

func waitersFit(ids []WaiterID) bool {
	return len(ids) <= MaxWaiters && !slices.ContainsFunc(ids, func(w WaiterID) bool { return !fits(string(w), MaxWaiterID) })
}

// receiptFits takes the lines of tills and of terminals alike.
func receiptFits(lines []receipt.Line) bool {
	return len(lines) <= MaxReceiptLines && receipt.Check(lines, append(receipt.TerminalTypes(), receipt.EPOSTypes()...)) == nil
}

// ReplayKept applies the events in order to a table that was not stored yet. It
// stops at the first that is refused.
func ReplayKept(events ...KeptEvent) (Kept, error) {
	var k Kept
	for _, e := range events {
		var err error
		if k, err = ApplyKept(k, e); err != nil {
			return k, err
		}
	}
	return k, nil
}
