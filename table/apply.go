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
	// LockIntended: the till is about to be asked, or the table that is kept here
	// to be locked. On disk before it is.
	LockIntended struct {
		Table TableID
		Kept  KeptID // empty where a till keeps the tables
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
	// BillWanted: the waiter wants the bill, for the first time or again.
	BillWanted struct{ At time.Time }
	// BillAnswered: the terminal has it, or knows that it gets none.
	BillAnswered struct{ At time.Time }
	// PaymentStarted: the terminal is about to charge a card. On disk before it
	// may. Memory names the terminal's memory, where it has a name.
	PaymentStarted struct {
		Payment PaymentID
		Asked   money.Minor
		Memory  string
		At      time.Time
	}
	// PaymentTaken: the terminal's word that money moved. It is heard whenever
	// it comes, also about a payment that was thought not taken, or that nobody
	// announced, and after the end of the visit.
	PaymentTaken struct {
		Payment PaymentID
		Receipt Receipt
		At      time.Time
	}
	// PaymentNotTaken: the terminal's word that none did. About a payment that
	// counts as taken it is a conflict.
	PaymentNotTaken struct {
		Payment PaymentID
		At      time.Time
	}
	// PaymentResolved: an operator's word on a payment that no terminal told of.
	PaymentResolved struct {
		Payment PaymentID
		Taken   bool
		Receipt Receipt // when taken: the amounts at least, no more than was asked
		By      string
		Reason  string // in the operator's words
		At      time.Time
	}
	// Left: the waiter is done, or the visit was brought to its end.
	Left struct {
		Why string
		At  time.Time
	}
	// TerminalLost: the link is gone, or the gateway began anew. Of a lock that
	// is being asked for it decides nothing.
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
	// Requeued: a delivered notice is to be sent anew, because an operator wants
	// it, or because the till locked the table after its unlock was delivered.
	Requeued struct {
		N      int
		By     string
		Reason string // in the operator's words
		At     time.Time
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
		if e.Table == "" {
			break // it could not be unlocked by name
		}
		return v.move(e, Locking, func(v *Visit) { v.Table, v.Kept, v.Asked, v.LockedAt = e.Table, e.Kept, true, e.At }, Listing)
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
		if _, open := v.OpenPayment(); open {
			break
		}
		return v.move(e, Printing, nil, Locked, Printing, Paying)
	case BillAnswered:
		to := Locked
		if len(v.Payments) > 0 {
			to = Paying
		}
		return v.move(e, to, nil, Printing)
	case PaymentStarted:
		return v.startPayment(e)
	case PaymentTaken:
		return v.take(e)
	case PaymentNotTaken:
		return v.takeNot(e)
	case PaymentResolved:
		return v.resolve(e)
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
	if open || v.find(e.Payment) >= 0 || v.Lost || e.Payment == "" || e.Asked <= 0 || e.Asked > v.Balance() {
		return v, &IllegalMove{v.ID, v.State, e}
	}
	return v.move(e, Paying, func(v *Visit) {
		v.Payments = append(slices.Clone(v.Payments), Payment{ID: e.Payment, State: Open, Asked: e.Asked, Memory: e.Memory})
	}, Locked, Printing, Paying)
}

// take records that money moved. Wherever it can still be told to the till it
// is: a terminal's word for money is refused only where nothing was locked, or
// where it says nothing new.
func (v Visit) take(e PaymentTaken) (Visit, error) {
	i, p := v.find(e.Payment), Payment{ID: e.Payment}
	if i >= 0 {
		p = v.Payments[i]
	}
	same := p.Receipt.amounts() == e.Receipt.amounts()
	switch {
	case e.Payment == "" || !e.Receipt.Moved():
		return v, &IllegalMove{v.ID, v.State, e}
	case p.State != Taken: // open, thought not taken, or not announced
		if p.State == NotTaken {
			p.Conflict = &Word{By: p.By, Reason: p.Reason}
		}
		p.State, p.Receipt, p.By, p.Reason = Taken, e.Receipt, "", ""
	case p.By != "" && same: // an operator was right; the terminal knows more
		p.Receipt, p.By, p.Reason = e.Receipt, "", ""
	case p.Conflict == nil && !same:
		p.Conflict = &Word{Taken: true, Receipt: e.Receipt}
	default:
		return v, &IllegalMove{v.ID, v.State, e}
	}
	return v.endPayment(e, i, p)
}

// takeNot records that no money moved.
func (v Visit) takeNot(e PaymentNotTaken) (Visit, error) {
	i := v.find(e.Payment)
	if i < 0 {
		return v, &IllegalMove{v.ID, v.State, e}
	}
	p := v.Payments[i]
	switch {
	case p.State == Open:
		p.State = NotTaken
	case p.State == Taken && p.Conflict == nil:
		p.Conflict = &Word{}
	default:
		return v, &IllegalMove{v.ID, v.State, e}
	}
	return v.endPayment(e, i, p)
}

// resolve records an operator's word. Unlike a terminal's it can be refused for
// its amounts, and said again.
func (v Visit) resolve(e PaymentResolved) (Visit, error) {
	i := v.find(e.Payment)
	if i < 0 || v.State != Unresolved || v.Payments[i].State != Open {
		return v, &IllegalMove{v.ID, v.State, e}
	}
	p := v.Payments[i]
	p.State, p.By, p.Reason = NotTaken, e.By, e.Reason
	if e.Taken {
		if !e.Receipt.Moved() || e.Receipt.Paid > p.Asked {
			return v, &IllegalMove{v.ID, v.State, e}
		}
		p.State, p.Receipt = Taken, e.Receipt
	}
	return v.endPayment(e, i, p)
}

// endPayment puts p in the place i, or behind the last if i is none. What an
// unresolved visit learns of its open payment brings it to its end: the
// terminal took nothing more since it was lost.
func (v Visit) endPayment(e Event, i int, p Payment) (Visit, error) {
	if v.Due == 0 { // nothing was locked, so there is nothing to be paid
		return v, &IllegalMove{v.ID, v.State, e}
	}
	to, payments := v.State, slices.Clone(v.Payments)
	if i < 0 {
		payments = append(payments, p)
	} else {
		payments[i] = p
	}
	switch _, open := openOf(payments); {
	case to == Unresolved && !open:
		to = Settled
	case to == Locked:
		to = Paying
	}
	return v.move(e, to, func(v *Visit) { v.Payments = payments }, Locked, Printing, Paying, Unresolved, Settled, Unlocked)
}

// find returns the place of a payment, -1 if there is none.
func (v Visit) find(id PaymentID) int {
	return slices.IndexFunc(v.Payments, func(p Payment) bool { return p.ID == id })
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
	return v.move(e, to, func(v *Visit) {
		if !v.Lost {
			v.Lost, v.LostAt = true, e.At
		}
	}, Listing, Locking, Locked, Printing, Paying, Unresolved, Settled)
}

// back takes up a visit whose terminal is there again.
func (v Visit) back(e TerminalBack) (Visit, error) {
	to := v.State
	if to == Unresolved {
		to = Paying // the payment is open still, and its end will be told
	}
	return v.move(e, to, func(v *Visit) { v.Lost, v.LostAt = false, time.Time{} }, Listing, Locking, Locked, Printing, Paying, Unresolved, Settled)
}

// queue puts a notice into the outbox: each payment that took money once, and
// the unlock once, behind all that is known by then.
func (v Visit) queue(e Queued) (Visit, error) {
	illegal := &IllegalMove{v.ID, v.State, e}
	entry := Entry{N: len(v.Outbox) + 1, Notice: e.Notice, Payments: slices.Clone(e.Payments), At: e.At}
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
		}, Unresolved, Settled, Unlocked)
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
