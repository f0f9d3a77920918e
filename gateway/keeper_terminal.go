package gateway

import (
	"errors"
	"fmt"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/wire"
)

// This file is how terminals are served from the tables that are kept here: the
// keeper is the source of their visits (section 7.1 of the contract for REST).

// list implements source: the tables that may be paid here, oldest first.
func (k *keeper) list(v *visit, show func(terminal.TableList)) {
	currency := v.a.currency()
	var names []string
	for _, t := range k.all() {
		if t.Offered(v.state.Waiter, currency) {
			names = append(names, string(t.Name))
		}
	}
	show(terminal.TableList{Tables: lockable(names), Currency: currency})
}

// find implements source.
func (k *keeper) find(v *visit, name table.TableID) (kept table.KeptID, hindrance string) {
	t := k.named(name)
	if t == nil {
		return "", "There is no such table."
	}
	state := t.seen.Load()
	return state.ID, v.hindrance(*state)
}

// hindrance says, in words for the waiter, why the visit cannot have the table, or
// nothing.
func (v *visit) hindrance(t table.Kept) string {
	switch {
	case !t.Stored():
		return "There is no such table."
	case t.Currency != v.a.currency():
		return "The table is in another currency."
	case !t.Serves(v.state.Waiter):
		return "The table is another waiter's."
	case t.State == table.HeldByTill:
		return "The table is in use at the till."
	case t.State == table.HeldByTerminal && t.LockedBy != v.state.TID:
		return "The table is being paid at another card machine."
	case t.Outstanding() <= 0:
		return "Nothing is left to pay."
	}
	return ""
}

// lock implements source.
func (k *keeper) lock(v *visit) {
	hindrance := "There is no such table."
	var err error
	var now table.Kept
	if t := k.identified(v.state.Kept); t != nil {
		_, now, err = k.change(v.a.g.ctx, t, func(now table.Kept) []table.KeptEvent {
			if hindrance = v.hindrance(now); hindrance != "" {
				return nil
			}
			return []table.KeptEvent{table.TerminalLocked{TID: v.state.TID, Visit: v.state.ID, Waiter: v.state.Waiter, At: time.Now().UTC()}}
		})
	}
	switch {
	case err != nil:
		k.g.log.Error("a table could not be locked", "tid", v.a.tid, "visit", v.state.ID, "error", err)
		v.lockUnanswered(noAnswer{
			why: "the lock could not be recorded", says: "Payments cannot be stored at the moment.",
			sent: errors.Is(err, journal.ErrUncertain), // it may be locked
		})
	case hindrance != "":
		v.lockAnswered(lockAnswer{why: "it could not be locked", screen: hindrance})
	default:
		v.lockAnswered(lockAnswer{granted: true, amount: now.Outstanding(), currency: now.Currency})
	}
}

// bill implements source: the bill that the till stored, else one made of the
// amounts.
func (k *keeper) bill(v *visit, show func(lines []receipt.Line, message string)) {
	t := k.identified(v.state.Kept)
	if t == nil {
		show(nil, "The table is no longer stored.")
		return
	}
	state := t.seen.Load()
	if len(state.Receipt) > 0 {
		show(state.Receipt, "")
		return
	}
	amount := func(m money.Minor) string { return money.Amount{Minor: m, Currency: state.Currency}.String() }
	var b receipt.Builder
	b.Centred(string(state.Name), receipt.Bold).Line(receipt.SeparatorSingle)
	b.Pair("TOTAL", amount(state.Amount)).Pair("PAID", amount(state.Paid()))
	b.Pair("TO PAY", amount(max(state.Outstanding(), 0)), receipt.Bold).Line(receipt.TicketFeed)
	show(b.Lines(), "")
}

// final implements source: nobody is asked.
func (k *keeper) final(*visit, func([]receipt.Line, string)) bool { return false }

// tell implements source: the table is told what the till would be, all that it
// has not been told yet in its order.
func (k *keeper) tell(v *visit, _ table.Entry) { v.a.do(v.tellKept) }

// tellKept brings what is in the visit's outbox to its table. That the table has
// it is on disk before the visit records that; between the two it is brought once
// more, and changes nothing.
func (v *visit) tellKept() {
	if v.settling != nil {
		v.settling.Stop()
		v.settling = nil
	}
	for _, e := range v.state.Outbox {
		if e.Delivered {
			continue
		}
		if err := v.bring(e); err != nil {
			v.a.g.log.Error("a stored table could not be told yet", "visit", v.state.ID, "table", v.state.Table, "notice", e.Notice, "error", err)
			v.settling = v.a.after(recordAgain, v.tellKept)
			return
		}
		if !v.must(v.tellKept, table.Delivered{N: e.N, At: time.Now().UTC()}) {
			return
		}
		v.a.g.metrics.delivered.WithLabelValues(noticeMethod(e.Notice)).Inc()
	}
	v.advance()
}

func noticeMethod(n table.Notice) string {
	if n == table.TableUnlock {
		return wire.MethodTableUnlock
	}
	return wire.MethodTransactionResponse
}

// bring brings one entry of the outbox to the table.
func (v *visit) bring(e table.Entry) error {
	k := v.a.site.keeper
	if e.Notice == table.TableUnlock {
		return k.unlock(v.a.g.ctx, v.state.Kept, v.state.ID)
	}
	var booked []table.PaymentBooked
	for _, p := range paymentsOf(v.state, e.Payments) {
		r := p.Receipt
		r.Receipts = receipt.Copies{} // they stay with the visit
		booked = append(booked, table.PaymentBooked{
			Payment: p.ID, Visit: v.state.ID, TID: v.state.TID, Waiter: v.state.Waiter, Receipt: r, At: time.Now().UTC(),
		})
	}
	err := k.book(v.a.g.ctx, v.state.Kept, booked)
	if !errors.Is(err, journal.ErrNotFound) {
		return err
	}
	// Not even the table's record is left: people must see the money all the same.
	for _, p := range booked {
		if err := v.a.g.keepOutcome(v.a.g.ctx, v.a, txn.RequestID(p.Payment), outcomeOfPayment(p.Receipt, v.state.Currency)); err != nil {
			return fmt.Errorf("payment %s: %w", p.Payment, err)
		}
	}
	return nil
}
