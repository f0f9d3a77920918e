package gateway

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/wire"
)

// tableWanted asks the till to lock a table (the contract, section 5.2). That
// it is about to be asked is on disk before it is.
func (a *actor) tableWanted(e terminal.TableWanted) {
	refuse := func(message string) { a.answerTable(e.Visit, terminal.TableLock{Message: message}) }
	if v := a.visit(e.Visit); v != nil && v.state.State != table.Listing {
		return // it is being asked, or was answered
	}
	if !lockableName(string(e.Table)) {
		refuse("There is no such table.")
		return
	}
	if a.busy() {
		refuse("The card machine is busy.")
		return
	}
	board := a.site.board
	if !board.online() {
		if v := a.visit(e.Visit); v != nil {
			v.forget()
		}
		refuse(noAnswer{}.screen())
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
	v := a.openVisit(e.Visit, e.Waiter)
	if v == nil {
		return
	}
	if err := v.record(a.g.ctx, table.LockIntended{Table: e.Table, At: time.Now().UTC()}); err != nil {
		a.g.log.Error("a table was refused: it could not be recorded", "error", err)
		v.forget()
		refuse("Payments cannot be stored at the moment.")
		return
	}
	a.hold(v)
	currency := a.currency()
	board.ask(&question{
		method: wire.MethodTableLock, deadline: a.patDeadline(), once: true,
		params: func(seconds float64) wire.Message {
			return wire.TableLockRequest{TerminalID: wire.TerminalID{TID: string(a.tid)}, WaiterID: string(e.Waiter), TableID: string(e.Table), Timeout: seconds}
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

// lockedLate is a till that locked the table after its time was up. It may have
// had the unlock before that, and so gets it again.
func (a *actor) lockedLate(id table.VisitID) {
	v, err := a.reviveVisit(id)
	if err != nil {
		a.g.log.Error("a late lock could not be answered yet", "tid", a.tid, "visit", id, "error", err)
		a.after(recordAgain, func() { a.lockedLate(id) })
		return
	}
	if v != nil {
		v.unlockAgain = true
		v.advance()
	}
}

// lockAnswered is the till's answer.
func (v *visit) lockAnswered(r wire.TableLockResult) {
	now := time.Now().UTC()
	again := func() { v.lockAnswered(r) }
	if !r.Confirmed {
		if v.must(again, table.LockRefused{Why: "the till refused", At: now}) {
			v.answer(terminal.TableLock{Message: "The table cannot be paid now."})
			v.forget()
		}
		return
	}
	if !v.must(again, table.LockConfirmed{Amount: r.Amount, Currency: r.Currency, At: now}) {
		return
	}
	if v.leaving != "" {
		v.leave(v.leaving)
		return
	}
	v.answer(terminal.TableLock{Granted: true, Amount: r.Amount, Currency: r.Currency})
}

// lockUnanswered is when there is no answer. If the till may have locked the
// table, it is owed an unlock.
func (v *visit) lockUnanswered(n noAnswer) {
	var e table.Event = table.LockUnanswered{Why: n.why, At: time.Now().UTC()}
	if !n.sent {
		e = table.NotAsked{Why: n.why, At: time.Now().UTC()}
	}
	if !v.must(func() { v.lockUnanswered(n) }, e) {
		return
	}
	v.answer(terminal.TableLock{Message: n.screen()})
	if !n.sent {
		v.forget()
		return
	}
	v.advance()
}
