package gateway

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/wire"
)

// tableWanted asks the till to lock a table (the contract, section 5.2). That
// it is about to be asked is on disk before it is.
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
	board := a.site.board
	if !board.online() {
		v.forget()
		refuse(noAnswer{}.screen())
		return
	}
	if a.unsettled(e.Table, v) || a.doubted[e.Table] > 0 {
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
	intended := table.LockIntended{Table: e.Table, At: time.Now().UTC()}
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
	currency := a.currency()
	board.ask(&question{
		method: wire.MethodTableLock, deadline: a.patDeadline(), once: true,
		params: func(seconds float64) wire.Message {
			return wire.TableLockRequest{TerminalID: wire.TerminalID{TID: string(a.tid)}, WaiterID: string(v.state.Waiter), TableID: string(e.Table), Timeout: seconds}
		},
		take: taking(wire.DecodeTableLockResult, func(r wire.TableLockResult) *fault {
			if r.Confirmed && r.Currency != currency {
				return &fault{code: spec.CodeInvalidParams, message: fmt.Sprintf("Invalid params: /result/currency must be %s, the terminal's", currency)}
			}
			return nil
		}, func(r wire.TableLockResult) { a.do(func() { v.lockAnswered(r) }) }),
		none: func(n noAnswer) { a.do(func() { v.lockUnanswered(n) }) },
		late: func(result jsontext.Value) {
			r, _, bad := wire.DecodeTableLockResult(wire.V1, result)
			if bad == nil && r.Confirmed {
				a.do(func() { a.lockedLate(e.Visit) })
			}
		},
	})
}

// unsettled reports whether the till is owed the unlock of another visit to that
// table from here. To the till a lock is the terminal's: the unlock of one visit
// would end another one's.
func (a *actor) unsettled(id table.TableID, but *visit) bool {
	for _, w := range a.works {
		if v, ok := w.(*visit); ok && v != but && v.state.Asked && v.state.Table == id {
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
		v.unlockAgain = !a.unsettled(v.state.Table, v)
		v.advance()
	}
}

// lockAnswered is the till's answer.
func (v *visit) lockAnswered(r wire.TableLockResult) {
	now := time.Now().UTC()
	var e table.Event = table.LockRefused{Why: "the till refused", At: now}
	if r.Confirmed {
		e = table.LockConfirmed{Amount: r.Amount, Currency: r.Currency, At: now}
	}
	if v.state.State == table.Locking && !v.must(func() { v.lockAnswered(r) }, e) {
		return
	}
	switch {
	case !r.Confirmed:
		v.notLocked("The table cannot be paid now.")
	case v.leaving != "":
		v.leave(v.leaving)
	case v.state.State == table.Locked:
		v.answer(terminal.TableLock{Granted: true, Amount: r.Amount, Currency: r.Currency})
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
