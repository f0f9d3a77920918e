package gateway

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/wire"
)

// A visit is one table.Visit on its way. It belongs to its actor's goroutine,
// but for its notices in the outbox, which call back through the mailbox.
type visit struct {
	a *actor
	life[table.Visit, table.Event]

	lostTimer  *time.Timer
	flushing   *time.Timer
	leaving    string         // the waiter left while the till was asked for the lock, or with a payment open
	finalAsked bool           // the till is being asked for the final receipt
	finalRan   bool           // it was, or need not be
	asking     bool           // the terminal is being asked about the open payment, or will be after a pause
	billAsked  bool           // the till is being asked for the bill
	final      []receipt.Line // what it gave
	// unlockAgain says that the till locked the table after it was, or may have
	// been, told of the unlock: it is told once more.
	unlockAgain bool
	settling    *time.Timer // what a kept table is owed is tried again then
	owed        int         // entries of the outbox that were handed to the switchboard
	askAgain    time.Duration
}

func (a *actor) newVisit(count int) *visit {
	return &visit{a: a, life: visitLife(a.g.store, "", count)}
}

func (v *visit) requestID() txn.RequestID { return txn.RequestID(v.state.ID) }

// atTable is what a terminal says when it serves tables.
func (a *actor) atTable(e terminal.Event) {
	switch e := e.(type) {
	case terminal.TablesWanted:
		a.tablesWanted(e)
	case terminal.TableWanted:
		a.tableWanted(e)
	case terminal.BillWanted:
		if v := a.visit(e.Visit); v != nil {
			v.billWanted()
		} else {
			a.answerTable(e.Visit, terminal.Bill{Message: "The table is no longer open here."})
		}
	case terminal.PaymentStarted:
		a.paymentStarted(e)
	case terminal.PaymentEnded:
		a.paymentEnded(e)
	case terminal.VisitLeft:
		a.visitLeft(e)
	case terminal.ReportMade:
		a.reportMade(e)
	default:
		a.g.log.Error("a terminal said something that is not understood", "tid", a.tid)
	}
}

// visit returns the open visit with that id, or nil.
func (a *actor) visit(id table.VisitID) *visit {
	v, _ := a.works[txn.RequestID(id)].(*visit)
	return v
}

// openVisit returns the visit with that id and begins it if it is new. What the
// terminal began before it is over then: there is one waiter at a terminal.
func (a *actor) openVisit(id table.VisitID, w table.WaiterID) *visit {
	if v := a.visit(id); v != nil {
		return v
	}
	if !nameable(string(id), maxVisitID) {
		a.g.log.Error("a visit has no usable id", "tid", a.tid)
		return nil
	}
	for _, other := range a.works {
		if v, ok := other.(*visit); ok && (v.state.State == table.Listing || a.current == other) {
			v.leave("the terminal began another visit")
		}
	}
	v := a.newVisit(0)
	v.stream = txn.RequestID(id)
	err := v.jot(table.Opened{
		ID: id, Site: string(a.site.settings.Load().ID), TID: string(a.tid), Waiter: fittingWaiter(w), At: time.Now().UTC(),
	})
	if err != nil {
		a.g.log.Error("event refused", "error", err)
		return nil
	}
	a.works[v.requestID()] = v
	return v
}

// answerTable answers the terminal. What it does not hear it asks for again.
func (a *actor) answerTable(id table.VisitID, ans terminal.TableAnswer) {
	if a.term == nil {
		return
	}
	a.call(askLimit, func(ctx context.Context, term terminal.Terminal) {
		w, ok := term.(terminal.Waiter)
		if !ok {
			return
		}
		if err := w.AnswerTable(ctx, id, ans); err != nil {
			a.g.log.Warn("terminal did not take an answer", "tid", a.tid, "visit", id, "error", err)
		}
	})
}

func (v *visit) answer(ans terminal.TableAnswer) { v.a.answerTable(v.state.ID, ans) }

// note applies an event that may wait for the disk.
func (v *visit) note(e table.Event) bool {
	if err := v.jot(e); err != nil {
		v.a.g.log.Warn("event refused", "error", err)
		return false
	}
	if v.flushing == nil && v.state.Asked {
		v.flushing = v.a.after(noteDelay, v.flushNotes)
	}
	return true
}

func (v *visit) flushNotes() {
	v.flushing = nil
	if len(v.notes) == 0 {
		return
	}
	if err := v.flush(v.a.g.ctx); err != nil {
		v.a.g.log.Error("notes could not be recorded yet", "visit", v.state.ID, "error", err)
		v.flushing = v.a.after(recordAgain, v.flushNotes)
	}
}

// record is [life.record]. What is known of the link is not lost with what was
// jotted.
func (v *visit) record(ctx context.Context, events ...table.Event) error {
	err := v.life.record(ctx, events...)
	if errors.Is(err, journal.ErrConflict) && v.a.term == nil && v.state.Asked && !v.state.State.Ended() && !v.state.Lost {
		v.note(table.TerminalLost{At: time.Now().UTC()})
	}
	return err
}

// must records events that have to be on disk; while they cannot be, again is
// called after a pause. By then they may be on disk after all: again goes by the
// state. It reports whether they are.
func (v *visit) must(again func(), events ...table.Event) bool {
	err := v.record(v.a.g.ctx, events...)
	var illegal *table.IllegalMove
	switch {
	case err == nil:
		return true
	case errors.As(err, &illegal):
		v.a.g.log.Warn("event refused", "error", err)
	default:
		v.a.g.log.Error("a visit could not be recorded yet", "visit", v.state.ID, "error", err)
		v.a.after(recordAgain, again)
	}
	return false
}

// billWanted has the bill printed.
func (v *visit) billWanted() {
	v.here()
	if v.billAsked {
		return
	}
	if !v.note(table.BillWanted{At: time.Now().UTC()}) {
		v.answer(terminal.Bill{Message: "The bill cannot be printed now."})
		return
	}
	v.billAsked = true
	v.source().bill(v, func(lines []receipt.Line, message string) {
		v.billAsked = false
		if v.state.State == table.Printing {
			v.note(table.BillAnswered{At: time.Now().UTC()})
		}
		v.answer(terminal.Bill{Lines: lines, Message: message})
	})
}

// paymentStarted lets a card be charged once that is on disk.
func (a *actor) paymentStarted(e terminal.PaymentStarted) {
	v := a.visit(e.Visit)
	if v == nil {
		a.answerTable(e.Visit, terminal.PaymentForbidden{Payment: e.Payment, Message: "The table is no longer open here."})
		return
	}
	v.here()
	if p, open := v.state.OpenPayment(); open && p.ID == e.Payment {
		if v.state.State == table.Unresolved {
			v.back()
		}
		v.answer(terminal.PaymentAllowed{Payment: e.Payment}) // it did not hear the first time
		return
	}
	err := errNoUUID
	if isUUID(e.Payment) {
		err = v.record(a.g.ctx, table.PaymentStarted{Payment: e.Payment, Asked: e.Asked, Memory: a.memory(), At: time.Now().UTC()})
	}
	if err == nil {
		v.answer(terminal.PaymentAllowed{Payment: e.Payment})
		return
	}
	a.g.log.Warn("a payment was not allowed", "tid", a.tid, "visit", e.Visit, "payment", e.Payment, "error", err)
	message := "This payment cannot be taken."
	var illegal *table.IllegalMove
	if !errors.As(err, &illegal) && !errors.Is(err, errNoUUID) {
		message = "Payments cannot be stored at the moment."
	}
	v.answer(terminal.PaymentForbidden{Payment: e.Payment, Message: message})
}

// paymentEnded keeps what became of a payment, then lets the terminal forget.
func (a *actor) paymentEnded(e terminal.PaymentEnded) {
	v, err := a.reviveVisit(e.Visit)
	if err != nil {
		a.g.log.Error("a payment could not be kept yet", "tid", a.tid, "payment", e.Payment, "error", err)
		a.after(time.Second, func() { a.paymentEnded(e) })
		return
	}
	kept := func() { a.answerTable(e.Visit, terminal.PaymentKept{Payment: e.Payment}) }
	if v == nil {
		a.strayPayment(e, kept)
		return
	}
	known := slices.ContainsFunc(v.state.Payments, func(p table.Payment) bool { return p.ID == e.Payment })
	now := time.Now().UTC()
	var event table.Event = table.PaymentNotTaken{Payment: e.Payment, At: now}
	if e.Taken {
		if err := unusableReceipt(e.Receipt); err != nil {
			a.g.log.Error("a terminal's word on a payment cannot be used", "tid", a.tid, "visit", e.Visit, "payment", e.Payment, "error", err)
			if p, open := v.state.OpenPayment(); open && p.ID == e.Payment {
				v.askLater() // it stays with the terminal
				v.abandoned()
				return
			}
			v.stray(e, kept)
			return
		}
		e.Receipt = fittingReceipt(e.Receipt)
		event = table.PaymentTaken{Payment: e.Payment, Receipt: e.Receipt, At: now}
	}
	if !known && !isUUID(e.Payment) { // no till could be told of it
		v.stray(e, kept)
		return
	}
	err = v.record(a.g.ctx, event)
	var illegal *table.IllegalMove
	switch {
	case err == nil, errors.As(err, &illegal) && known: // or it says nothing new
		kept()
		if v.leaving != "" && v.state.State == table.Paying {
			v.leave(v.leaving)
			return
		}
		v.advance()
	case errors.As(err, &illegal):
		v.stray(e, kept)
	default:
		a.g.log.Error("a payment could not be recorded yet", "tid", a.tid, "payment", e.Payment, "error", err)
		a.after(recordAgain, func() { a.paymentEnded(e) })
	}
}

// stray deals with the end of a payment that is none of the visit's.
func (v *visit) stray(e terminal.PaymentEnded, kept func()) {
	v.a.strayPayment(e, kept)
	v.advance()
}

// strayPayment keeps the end of a payment of which no till can be told, as of a
// visit that locked nothing: it may be money all the same.
func (a *actor) strayPayment(e terminal.PaymentEnded, kept func()) {
	a.g.log.Error("a terminal told the end of a payment that is not known here", "tid", a.tid, "visit", e.Visit, "payment", e.Payment)
	if e.Taken {
		a.toldAgainPayment(e, kept)
		return
	}
	kept()
}

// toldAgainPayment keeps a payment that belongs to no visit, for people to see.
func (a *actor) toldAgainPayment(e terminal.PaymentEnded, kept func()) {
	id := txn.RequestID(e.Payment)
	o := outcomeOfPayment(e.Receipt, a.currency())
	if err := a.g.keepOutcome(a.g.ctx, a, id, o); err != nil {
		a.g.log.Error("a payment could not be kept yet", "tid", a.tid, "payment", e.Payment, "error", err)
		a.after(time.Second, func() { a.paymentEnded(e) })
		return
	}
	kept()
}

func (a *actor) currency() money.Currency {
	if a.term == nil {
		return ""
	}
	return a.term.Capabilities().Currency
}

// reviveVisit returns the visit with that id, from the journal if it is over.
// It returns nil when there is none.
func (a *actor) reviveVisit(id table.VisitID) (*visit, error) {
	if v := a.visit(id); v != nil {
		return v, nil
	}
	_, mine, err := a.stream(a.g.ctx, journal.VisitStream, txn.RequestID(id))
	if err != nil || !mine {
		return nil, err // another terminal's, or no visit: this one has none of that id
	}
	records, err := a.g.store.Records(a.g.ctx, txn.RequestID(id))
	if err != nil {
		return nil, err
	}
	v := a.newVisit(len(records))
	v.stream = txn.RequestID(id)
	if v.state, err = journal.ReplayTable(records); err != nil {
		return nil, err
	}
	v.owed, v.finalRan = len(v.state.Outbox), true
	a.works[v.requestID()] = v
	return v, nil
}

// visitLeft is the waiter's end of the visit.
func (a *actor) visitLeft(e terminal.VisitLeft) {
	v := a.visit(e.Visit)
	if v == nil {
		a.answerTable(e.Visit, terminal.VisitClosed{})
		return
	}
	v.leave(e.Why)
}

func (v *visit) leave(why string) {
	why = cmp.Or(why, "left")
	switch v.state.State {
	case table.Listing: // nothing is recorded of a visit that asked for no table
		v.forget()
		v.answer(terminal.VisitClosed{})
	case table.Locking:
		v.leaving = why
	case table.Settled:
		v.advance()
	case table.Unlocked, table.Refused:
		v.answer(terminal.VisitClosed{FinalReceipt: v.final})
	case table.Locked, table.Printing, table.Paying, table.Unresolved:
		if _, open := v.state.OpenPayment(); open {
			v.leaving = why
			v.abandoned()
			return
		}
		if v.must(func() { v.leave(why) }, table.Left{Why: why, At: time.Now().UTC()}) {
			v.advance()
		}
	}
}

// abandoned is told when the terminal has done with a visit whose payment is
// open: that is as if it were away.
func (v *visit) abandoned() {
	v.a.release(v)
	if !v.state.Lost && !v.note(table.TerminalLost{At: time.Now().UTC()}) {
		return
	}
	v.advance()
}

// advance does what is due (table.Due).
func (v *visit) advance() {
	v.deliver() // the till hears of payments before it is asked for their receipt
	for _, e := range table.Due(v.state) {
		switch e.(type) {
		case table.QueuePayments:
			if !v.must(v.advance, table.Queued{Notice: table.TransactionResponse, Payments: v.state.Unreported(), At: time.Now().UTC()}) {
				return
			}
			v.advance()
			return
		case table.AskFinalReceipt:
			if v.finalAsked {
				return
			}
			if !v.finalRan {
				v.askFinal()
				return
			}
		case table.QueueUnlock:
			if !v.must(v.advance, table.Queued{Notice: table.TableUnlock, At: time.Now().UTC()}) {
				return
			}
			v.a.release(v)
			v.answer(terminal.VisitClosed{FinalReceipt: v.final})
			v.a.g.metrics.visits.WithLabelValues(visitResult(v.state)).Inc()
			v.advance()
			return
		case table.AskTerminal:
			v.askPayment()
		case table.Deliver: // done
		}
	}
	if v.state.Done() && v.unlockAgain {
		v.requeueUnlock()
	}
	if v.state.Done() {
		v.forget()
	}
}

// requeueUnlock owes the till its unlock anew.
func (v *visit) requeueUnlock() {
	for _, e := range v.state.Outbox {
		if e.Notice != table.TableUnlock || !e.Delivered {
			continue
		}
		if v.must(v.advance, table.Requeued{N: e.N, By: "a lock that was confirmed late", At: time.Now().UTC()}) {
			v.unlockAgain = false
			v.owe(v.state.Outbox[e.N-1])
		}
	}
}

// deliver hands the entries of the outbox that are new to the switchboard.
func (v *visit) deliver() {
	for ; v.owed < len(v.state.Outbox); v.owed++ {
		if e := v.state.Outbox[v.owed]; !e.Delivered {
			v.owe(e)
		}
	}
}

func (v *visit) owe(e table.Entry) { v.source().tell(v, e) }

// tell implements source: the till is owed a notice.
func (b *switchboard) tell(v *visit, e table.Entry) {
	n := &notice{
		queue: "table " + string(v.state.Table), stream: v.stream, at: e.At, method: wire.MethodTableUnlock,
		delivered: func() { v.a.do(func() { v.delivered(e.N) }) },
	}
	state := v.state
	n.message = func() wire.Message { return tableUnlock(state) }
	if e.Notice == table.TransactionResponse {
		zone := v.a.site.settings.Load().zone
		n.method = wire.MethodTransactionResponse
		n.message = func() wire.Message { return transactionResponse(state, e, zone) }
	}
	b.owe(n)
}

func (v *visit) delivered(n int) {
	if v.must(func() { v.delivered(n) }, table.Delivered{N: n, At: time.Now().UTC()}) {
		v.advance()
	}
}

// forget lets go of a visit that needs nobody any more.
func (v *visit) forget() {
	for _, t := range []*time.Timer{v.lostTimer, v.flushing, v.settling} {
		if t != nil {
			t.Stop()
		}
	}
	if v.a.works[v.requestID()] == work(v) { // else it was taken up anew
		v.a.closed(v)
	}
}

// lost is told when the link is gone with the visit.
func (v *visit) lost() {
	v.a.release(v)
	if v.state.State == table.Listing {
		v.forget()
		return
	}
	if v.state.State.Ended() || v.state.Lost {
		return
	}
	if !v.note(table.TerminalLost{At: time.Now().UTC()}) {
		return
	}
	v.waitForTerminal()
	v.advance()
}

// waitForTerminal brings the visit to its end when the terminal stays away.
// With a payment open it waits for the terminal's or an operator's word.
func (v *visit) waitForTerminal() {
	limit := v.a.site.settings.Load().limits[spec.TimerLostTerminal]
	left := min(max(limit-time.Since(v.state.LostAt), 0), limit)
	v.lostTimer = v.a.after(left, func() {
		if v.state.Lost && (v.state.State == table.Locked || v.state.State == table.Printing || v.state.State == table.Paying) {
			v.leave("the terminal was lost")
		}
	})
}

// returned is told when the link is back. The terminal tells by itself what it
// has to tell; only an open payment is asked about. After a loss of power nobody
// is in the visit any more: unless the terminal speaks of it, it ends like that
// of one that stayed away.
func (v *visit) returned(restarted bool) {
	v.askAgain, v.asking = 0, false
	if restarted {
		v.lost()
	}
	if v.state.State == table.Unresolved {
		v.askPayment()
		return
	}
	delete(v.a.owed, v.requestID())
	if !restarted {
		v.here()
	}
}

// here is told when the terminal knows the visit. With a payment open it is
// asked.
func (v *visit) here() {
	if v.state.Lost && v.state.State != table.Unresolved && !v.state.State.Ended() {
		v.back()
	}
}

func (v *visit) back() {
	if !v.note(table.TerminalBack{At: time.Now().UTC()}) {
		return
	}
	if v.lostTimer != nil {
		v.lostTimer.Stop()
	}
	if v.state.State != table.Settled {
		v.a.hold(v)
	}
	v.advance()
}

// askPayment has the terminal say what became of the open payment.
func (v *visit) askPayment() {
	p, open := v.state.OpenPayment()
	a := v.a
	if !open || a.term == nil || v.asking {
		return
	}
	v.asking = true
	spell, id := a.spell, v.state.ID
	a.call(askLimit, func(ctx context.Context, term terminal.Terminal) {
		ans, err := terminal.PaymentAnswer{}, error(terminal.ErrNotDelivered)
		if w, ok := term.(terminal.Waiter); ok {
			ans, err = w.QueryPayment(ctx, id, p.ID)
		}
		a.do(func() {
			if a.spell != spell {
				return // it is asked anew
			}
			v.asking = false
			delete(a.owed, v.requestID())
			v.paymentAnswered(p, ans, err)
		})
	})
}

func (v *visit) paymentAnswered(p table.Payment, ans terminal.PaymentAnswer, err error) {
	if err != nil {
		v.askLater()
		return
	}
	v.a.g.metrics.queries.WithLabelValues(ans.Kind.String()).Inc()
	switch ans.Kind {
	case terminal.Final:
		v.a.paymentEnded(terminal.PaymentEnded{Visit: v.state.ID, Payment: p.ID, Taken: ans.Taken, Receipt: ans.Receipt})
	case terminal.NeverRan:
		if v.a.otherMemory(p.Memory) {
			v.a.g.log.Warn("a machine whose memory is another one says that a payment never ran; it is not believed", "tid", v.a.tid, "visit", v.state.ID, "payment", p.ID)
			v.askLater()
			return
		}
		v.a.paymentEnded(terminal.PaymentEnded{Visit: v.state.ID, Payment: p.ID})
	case terminal.InProgress:
		if v.state.Lost {
			v.back()
		}
	case terminal.CannotTell:
		v.askLater()
	}
}

func (v *visit) askLater() {
	v.askAgain = min(max(2*v.askAgain, firstAsk), lastAsk)
	v.asking = true
	spell := v.a.spell
	v.a.after(v.askAgain, func() {
		if v.a.spell != spell {
			return
		}
		v.asking = false
		if v.state.State == table.Unresolved {
			v.askPayment()
		}
	})
}

// recover takes a visit up after a restart.
func (v *visit) recover(ctx context.Context) (resume func(), err error) {
	var events []table.Event
	now := time.Now().UTC()
	switch {
	case v.state.State == table.Locking:
		events = append(events, table.LockUnanswered{Why: "the gateway was restarted", At: now})
	case !v.state.State.Ended() && !v.state.Lost:
		events = append(events, table.TerminalLost{At: now})
	}
	if len(events) > 0 {
		if err := v.record(ctx, events...); err != nil {
			return nil, err
		}
	}
	return func() {
		v.a.do(func() {
			v.a.works[v.requestID()] = v
			if v.state.Lost {
				v.waitForTerminal()
			}
			v.advance()
		})
	}, nil
}

// outcomeOfPayment is a payment in the form of a counter's outcome.
func outcomeOfPayment(r table.Receipt, c money.Currency) txn.Outcome {
	return txn.Outcome{
		Type: txn.Sale, Result: txn.Successful, Currency: c,
		Base: r.Paid, Cashback: r.Cashback, Gratuity: r.Gratuity,
		TransactionID: txn.TransactionID(r.TransactionID), Number: r.Number, Time: r.Time,
		Method: txn.PaymentMethod(r.Method), CVM: txn.CVM(r.CVM), Scheme: r.Scheme, AID: r.AID, Label: r.Label,
		AuthCode: r.AuthCode, PAN: r.PAN, Expiry: r.Expiry, Receipts: r.Receipts,
	}
}

// visitResult is the label of a visit's end in metrics.
func visitResult(v table.Visit) string {
	switch {
	case !v.Took():
		return "unpaid"
	case v.Balance() > 0:
		return "partPaid"
	}
	return "paid"
}

// paymentsOf are the payments of a visit with the given ids, in their order.
func paymentsOf(v table.Visit, ids []table.PaymentID) []table.Payment {
	var out []table.Payment
	for _, p := range v.Payments {
		if slices.Contains(ids, p.ID) {
			out = append(out, p)
		}
	}
	return out
}
