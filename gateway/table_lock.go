package gateway

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/wire"
)

// tableWanted has a table locked for the waiter (the contract, section 5.2). That
// the till, or the table kept here, is about to be asked is on disk before it is.
func (a *actor) tableWanted(e terminal.TableWanted) {
	refuse := func(message string) { a.answerTable(e.Visit, terminal.TableLock{Message: message}) }
	v := a.openVisit(e.Visit, e.Waiter)
	if v != nil && v.state.State != table.Listing {
		return // it is being asked, or was answered
	}
	if v == nil || !lockableName(string(e.Table)) {
		refuse("There is no such table.")
		return
	}
	if a.busy() {
		refuse("The card machine is busy.")
		return
	}
	src := a.site.source()
	kept, hindrance := src.find(v, e.Table)
	if hindrance != "" {
		v.forget()
		refuse(hindrance)
		return
	}
	if a.unsettled(e.Table, kept, v) || a.doubted[e.Table] > 0 {
		refuse("The table is not settled yet. Please try again in a moment.")
		return
	}
	if a.g.Stopping() {
		refuse("The payment system is restarting. Please try again in a moment.")
		return
	}
	if err := a.g.store.Healthy(); err != nil {
		a.g.log.Error("a table was refused: the journal cannot take it", "error", err)
		refuse("Payments cannot be stored at the moment.")
		return
	}
	intended := table.LockIntended{Table: e.Table, Kept: kept, At: time.Now().UTC()}
	if err := v.record(a.g.ctx, intended); err != nil {
		a.g.log.Error("a table was refused: it could not be recorded", "error", err)
		if errors.Is(err, journal.ErrUncertain) {
			asked, _ := table.Apply(v.state, intended) // it was applied once
			a.doubted[e.Table]++
			a.disown(v.ledger, func(now time.Time) (journal.Head, []journal.Record, error) {
				never := table.NotAsked{Why: "it could not be recorded", At: now}
				end, err := table.Apply(asked, never)
				return journal.TableHead(end), []journal.Record{journal.EncodeTable(never, now)}, err
			}, func() {
				if a.doubted[e.Table]--; a.doubted[e.Table] == 0 {
					delete(a.doubted, e.Table)
				}
			})
		}
		v.forget()
		refuse("Payments cannot be stored at the moment.")
		return
	}
	a.hold(v)
	src.lock(v)
}

// find implements source: of its tables only the till knows.
func (b *switchboard) find(*visit, table.TableID) (table.KeptID, string) {
	if !b.online() {
		return "", noAnswer{}.screen()
	}
	return "", ""
}

// lock asks the till.
func (b *switchboard) lock(v *visit) {
	a, state, currency := v.a, v.state, v.a.currency()
	b.ask(&question{
		method: wire.MethodTableLock, deadline: a.patDeadline(), once: true,
		params: func(seconds float64) wire.Message {
			return wire.TableLockRequest{TerminalID: wire.TerminalID{TID: state.TID}, WaiterID: string(state.Waiter), TableID: string(state.Table), Timeout: seconds}
		},
		take: taking(wire.DecodeTableLockResult, func(r wire.TableLockResult) *fault {
			if r.Confirmed && r.Currency != currency {
				return &fault{code: spec.CodeInvalidParams, message: fmt.Sprintf("Invalid params: /result/currency must be %s, the terminal's", currency)}
			}
			return nil
		}, func(r wire.TableLockResult) {
			a.do(func() {
				v.lockAnswered(lockAnswer{granted: r.Confirmed, amount: r.Amount, currency: r.Currency, why: "the till refused", screen: "The table cannot be paid now."})
			})
		}),
		none: func(n noAnswer) { a.do(func() { v.lockUnanswered(n) }) },
		late: func(result jsontext.Value) {
			r, _, bad := wire.DecodeTableLockResult(wire.V1, result)
			if bad == nil && r.Confirmed {
				a.do(func() { a.lockedLate(state.ID) })
			}
		},
	})
}

// unsettled reports whether the till is owed the unlock of another visit to that
// table from here. To the till a lock is the terminal's: the unlock of one visit
// would end another one's. A kept table of that name may be another table.
func (a *actor) unsettled(id table.TableID, kept table.KeptID, but *visit) bool {
	for _, w := range a.works {
		if v, ok := w.(*visit); ok && v != but && v.state.Asked && v.state.Table == id && v.state.Kept == kept {
			return true
		}
	}
	return false
}

// lockedLate is a till that locked the table after its time was up. It may have
// had the unlock before that, and so gets it again, unless another unlock of the
// same table and terminal comes anyway.
func (a *actor) lockedLate(id table.VisitID) {
	v, err := a.reviveVisit(id)
	if err != nil {
		a.g.log.Error("a late lock could not be answered yet", "tid", a.tid, "visit", id, "error", err)
		a.after(recordAgain, func() { a.lockedLate(id) })
		return
	}
	if v != nil {
		v.unlockAgain = !a.unsettled(v.state.Table, v.state.Kept, v)
		v.advance()
	}
}

// A lockAnswer is what came of a wish to lock a table.
type lockAnswer struct {
	granted  bool
	amount   money.Minor // outstanding
	currency money.Currency
	// why it was not granted, for the record, and what the waiter is shown then.
	why, screen string
}

// lockAnswered is told whether the table is locked.
func (v *visit) lockAnswered(r lockAnswer) {
	now := time.Now().UTC()
	var e table.Event = table.LockRefused{Why: r.why, At: now}
	if r.granted {
		e = table.LockConfirmed{Amount: r.amount, Currency: r.currency, At: now}
	}
	if v.state.State == table.Locking && !v.must(func() { v.lockAnswered(r) }, e) {
		return
	}
	switch {
	case !r.granted:
		v.notLocked(r.screen)
	case v.leaving != "":
		v.leave(v.leaving)
	case v.state.State == table.Locked:
		v.answer(terminal.TableLock{Granted: true, Amount: r.amount, Currency: r.currency})
		if v.state.Lost { // its time may have run out before there was anything to unlock
			v.waitForTerminal()
		}
	}
}

// notLocked ends a visit to a table that is certainly not locked.
func (v *visit) notLocked(message string) {
	if v.leaving == "" {
		v.answer(terminal.TableLock{Message: message})
	} else {
		v.answer(terminal.VisitClosed{})
	}
	v.forget()
}

// lockUnanswered is when there is no answer. If the till may have locked the
// table, it is owed an unlock.
func (v *visit) lockUnanswered(n noAnswer) {
	var e table.Event = table.LockUnanswered{Why: n.why, At: time.Now().UTC()}
	if !n.sent {
		e = table.NotAsked{Why: n.why, At: time.Now().UTC()}
	}
	if v.state.State == table.Locking && !v.must(func() { v.lockUnanswered(n) }, e) {
		return
	}
	if !n.sent {
		v.notLocked(n.screen())
		return
	}
	if v.leaving == "" {
		v.answer(terminal.TableLock{Message: n.screen()})
	}
	v.advance()
}
