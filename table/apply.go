package table

import (
	"fmt"
	"slices"
	"time"

	"github.com/tillwire/tillwire/money"
)

// An Event is something that happened to a visit. The set is closed.
type Event interface{ event() }

// The events, in the past tense.
type (
	// Opened: a waiter began at the terminal. The first event of each.
	Opened struct {
		ID     VisitID
		Site   string
		TID    string
		Waiter WaiterID
		At     time.Time
	}
	// LockIntended: the till is about to be asked. On disk before it is.
	LockIntended struct {
		Table TableID
		At    time.Time
	}
	// LockConfirmed: the till locked the table.
	LockConfirmed struct {
		Amount   money.Minor
		Currency money.Currency
		At       time.Time
	}
	// LockRefused: the till said no, so it holds no lock.
	LockRefused struct {
		Why string
		At  time.Time
	}
	// LockUnanswered: the till may have locked the table and did not say so in
	// time. No payment is taken; the unlock is owed.
	LockUnanswered struct {
		Why string
		At  time.Time
	}
	// NotAsked: nothing was ever sent to the till.
	NotAsked struct {
		Why string
		At  time.Time
	}
	// BillWanted: the waiter wants the bill.
	BillWanted struct{ At time.Time }
	// BillAnswered: the terminal has it, or knows that it gets none.
	BillAnswered struct{ At time.Time }
	// PaymentStarted: the terminal is about to charge a card. On disk before it
	// may.
	PaymentStarted struct {
		Payment PaymentID
		Asked   money.Minor
		At      time.Time
	}
	// PaymentTaken: the terminal's word that money moved.
	PaymentTaken struct {
		Payment PaymentID
		Receipt Receipt
		At      time.Time
	}
	// PaymentNotTaken: the terminal's word that none did.
	PaymentNotTaken struct {
		Payment PaymentID
		At      time.Time
	}
	// PaymentResolved: an operator's word on a payment that no terminal told of.
	PaymentResolved struct {
		Payment PaymentID
		Taken   bool
		Receipt Receipt // when taken: the amounts at least
		By      string
		At      time.Time
	}
	// Left: the waiter is done, or the visit was brought to its end.
	Left struct {
		Why string
		At  time.Time
	}
	// TerminalLost: the link is gone, or the gateway began anew.
	TerminalLost struct{ At time.Time }
	// TerminalBack: the terminal is there again and knows the visit.
	TerminalBack struct{ At time.Time }
	// Queued: a notice was put into the outbox.
	Queued struct {
		Notice   Notice
		Payments []PaymentID
		At       time.Time
	}
	// Delivered: the till has the notice.
	Delivered struct {
		N  int
		At time.Time
	}
	// Requeued: an operator had a delivered notice sent anew.
	Requeued struct {
		N  int
		By string
		At time.Time
	}
)

func (Opened) event()          {}
func (LockIntended) event()    {}
func (LockConfirmed) event()   {}
func (LockRefused) event()     {}
func (LockUnanswered) event()  {}
func (NotAsked) event()        {}
func (BillWanted) event()      {}
func (BillAnswered) event()    {}
func (PaymentStarted) event()  {}
func (PaymentTaken) event()    {}
func (PaymentNotTaken) event() {}
func (PaymentResolved) event() {}
func (Left) event()            {}
func (TerminalLost) event()    {}
func (TerminalBack) event()    {}
func (Queued) event()          {}
func (Delivered) event()       {}
func (Requeued) event()        {}

// An IllegalMove is the error for an event that the state does not allow.
type IllegalMove struct {
	ID    VisitID
	State State
	Event Event
}

// Error names the event, the state and the visit.
func (e *IllegalMove) Error() string {
	state := e.State
	if state == "" {
		state = "not begun"
	}
	return fmt.Sprintf("table: %T in state %s of visit %s", e.Event, state, e.ID)
}

const begin State = "" // before Opened

// Apply returns v as it stands after e, or an *IllegalMove and v as it was.
func Apply(v Visit, e Event) (Visit, error) {
	switch e := e.(type) {
	case Opened:
		return v.move(e, Listing, func(v *Visit) {
			v.ID, v.Site, v.TID, v.Waiter, v.At = e.ID, e.Site, e.TID, e.Waiter, e.At
		}, begin)
	case LockIntended:
		return v.move(e, Locking, func(v *Visit) { v.Table, v.Asked, v.LockedAt = e.Table, true, e.At }, Listing)
	case LockConfirmed:
		if e.Amount <= 0 {
			break
		}
		return v.move(e, Locked, func(v *Visit) { v.Due, v.Currency = e.Amount, e.Currency }, Locking)
	case LockRefused:
		return v.move(e, Refused, func(v *Visit) { v.Asked, v.Why = false, e.Why }, Locking)
	case LockUnanswered:
		return v.move(e, Settled, func(v *Visit) { v.Why = e.Why }, Locking)
	case NotAsked:
		return v.move(e, Refused, func(v *Visit) { v.Asked, v.Why = false, e.Why }, Listing, Locking)
	case BillWanted:
		return v.move(e, Printing, nil, Locked)
	case BillAnswered:
		return v.move(e, Locked, nil, Printing)
	case PaymentStarted:
		return v.startPayment(e)
	case PaymentTaken:
		return v.endPayment(e, e.Payment, func(p *Payment) { p.State, p.Receipt = Taken, e.Receipt })
	case PaymentNotTaken:
		return v.endPayment(e, e.Payment, func(p *Payment) { p.State = NotTaken })
	case PaymentResolved:
		if v.State != Unresolved {
			break
		}
		return v.endPayment(e, e.Payment, func(p *Payment) {
			p.By, p.State = e.By, NotTaken
			if e.Taken {
				p.State, p.Receipt = Taken, e.Receipt
			}
		})
	case Left:
		return v.leave(e)
	case TerminalLost:
		return v.lose(e)
	case TerminalBack:
		return v.back(e)
	case Queued:
		return v.queue(e)
	case Delivered:
		return v.onEntry(e, e.N, func(en *Entry) bool { was := en.Delivered; en.Delivered = true; return !was })
	case Requeued:
		return v.onEntry(e, e.N, func(en *Entry) bool { was := en.Delivered; en.Delivered = false; en.Resent++; return was })
	default:
		panic(fmt.Sprintf("table: no rule for %T", e))
	}
	return v, &IllegalMove{v.ID, v.State, e}
}

// startPayment begins a payment, unless one is open, its id was used, it asks
// for nothing, or for more than is left.
func (v Visit) startPayment(e PaymentStarted) (Visit, error) {
	_, open := v.OpenPayment()
	used := slices.ContainsFunc(v.Payments, func(p Payment) bool { return p.ID == e.Payment })
	if open || used || v.Lost || e.Payment == "" || e.Asked <= 0 || e.Asked > v.Balance() {
		return v, &IllegalMove{v.ID, v.State, e}
	}
	return v.move(e, Paying, func(v *Visit) {
		v.Payments = append(slices.Clone(v.Payments), Payment{ID: e.Payment, State: Open, Asked: e.Asked})
	}, Locked, Paying)
}

// endPayment records what became of a payment. What an unresolved visit learns
// brings it to its end: the terminal took nothing more since it was lost.
func (v Visit) endPayment(e Event, id PaymentID, change func(*Payment)) (Visit, error) {
	i := slices.IndexFunc(v.Payments, func(p Payment) bool { return p.ID == id && p.State == Open })
	if i < 0 {
		return v, &IllegalMove{v.ID, v.State, e}
	}
	to := v.State
	if to == Unresolved {
		to = Settled
	}
	return v.move(e, to, func(v *Visit) {
		v.Payments = slices.Clone(v.Payments)
		change(&v.Payments[i])
	}, Paying, Unresolved)
}

// leave ends the paying. With a payment open it cannot be: that one may be
// money.
func (v Visit) leave(e Left) (Visit, error) {
	if _, open := v.OpenPayment(); open {
		return v, &IllegalMove{v.ID, v.State, e}
	}
	if v.State == Listing {
		return v.move(e, Refused, func(v *Visit) { v.Why = e.Why }, Listing)
	}
	return v.move(e, Settled, func(v *Visit) { v.Why = e.Why }, Locked, Printing, Paying)
}

// lose marks the terminal as away. With a payment open nobody knows.
func (v Visit) lose(e TerminalLost) (Visit, error) {
	to := v.State
	if _, open := v.OpenPayment(); open {
		to = Unresolved
	}
	return v.move(e, to, func(v *Visit) { v.Lost = true }, Listing, Locking, Locked, Printing, Paying, Unresolved, Settled)
}

// back takes up a visit whose terminal is there again.
func (v Visit) back(e TerminalBack) (Visit, error) {
	to := v.State
	if to == Unresolved {
		to = Paying // the payment is open still, and its end will be told
	}
	return v.move(e, to, func(v *Visit) { v.Lost = false }, Listing, Locking, Locked, Printing, Paying, Unresolved, Settled)
}

// queue puts a notice into the outbox: each payment that took money once, and
// the unlock last of all and once.
func (v Visit) queue(e Queued) (Visit, error) {
	illegal := &IllegalMove{v.ID, v.State, e}
	entry := Entry{N: len(v.Outbox) + 1, Notice: e.Notice, Payments: e.Payments, At: e.At}
	switch e.Notice {
	case TransactionResponse:
		if len(e.Payments) == 0 {
			return v, illegal
		}
		payments := slices.Clone(v.Payments)
		for _, id := range e.Payments {
			i := slices.IndexFunc(payments, func(p Payment) bool { return p.ID == id && p.State == Taken && !p.Queued })
			if i < 0 {
				return v, illegal
			}
			payments[i].Queued = true
		}
		return v.move(e, v.State, func(v *Visit) {
			v.Payments, v.Outbox = payments, append(slices.Clone(v.Outbox), entry)
		}, Unresolved, Settled)
	case TableUnlock:
		if len(v.Unreported()) > 0 || !v.Asked {
			return v, illegal
		}
		return v.move(e, Unlocked, func(v *Visit) { v.Outbox = append(slices.Clone(v.Outbox), entry) }, Settled)
	}
	return v, illegal
}

func (v Visit) onEntry(e Event, n int, change func(*Entry) bool) (Visit, error) {
	if n < 1 || n > len(v.Outbox) {
		return v, &IllegalMove{v.ID, v.State, e}
	}
	box := slices.Clone(v.Outbox)
	if !change(&box[n-1]) {
		return v, &IllegalMove{v.ID, v.State, e}
	}
	v.Outbox = box
	return v, nil
}

// Unreported are the payments that took money and are in no notice yet.
func (v Visit) Unreported() []PaymentID {
	var ids []PaymentID
	for _, p := range v.Payments {
		if p.State == Taken && !p.Queued {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// move returns v in state to, changed by change, if it stands in one of from.
func (v Visit) move(e Event, to State, change func(*Visit), from ...State) (Visit, error) {
	if !slices.Contains(from, v.State) {
		return v, &IllegalMove{v.ID, v.State, e}
	}
	v.State = to
	if change != nil {
		change(&v)
	}
	return v, nil
}

// Replay applies the events in order to a visit that has not begun. It stops at
// the first that is not allowed.
func Replay(events ...Event) (Visit, error) {
	var v Visit
	for _, e := range events {
		var err error
		if v, err = Apply(v, e); err != nil {
			return v, err
		}
	}
	return v, nil
}
