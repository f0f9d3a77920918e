package gateway

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// A transaction is one txn.Transaction on its way: its state, its stream in
// the journal, who waits for it, its timers, and what was done of what is due.
// It belongs to its actor's goroutine.
type transaction struct {
	a     *actor
	txn   txn.Transaction
	led   ledger
	calls callers // the tills that wait
	done  map[txn.Effect]bool

	since time.Time // in this state

	deadline  *time.Timer
	signature *time.Timer
	flush     *time.Timer
	again     *time.Timer // the next question to the terminal

	started     bool                   // TRANSACTION_STARTED went out
	spoken      bool                   // some notification went out
	latest      txn.Notification       // the last that went out
	decision    *txn.SignatureAnswered // on the signature, recorded or about to be
	deciding    bool                   // the terminal was told about the signature and has yet to confirm it
	undecided   bool                   // SIGNATURE_VERIFICATION_PROCESS_COULD_NOT_BE_COMPLETED went out
	cancelling  bool                   // ATTEMPTING_CANCEL went out
	honoured    bool                   // and CANCELLING
	refused     bool                   // and UNABLE_TO_CANCEL
	cancelReply []func(cancelled bool)
	heard       []Notice      // what was told on the way
	keptHeard   int           // how much of that is on disk
	toldAt      time.Time     // when the end was told
	restarted   bool          // the terminal lost power with it
	askAgain    time.Duration // backoff
	ending      txn.Event     // the end that could not be recorded yet
	failures    int           // of recording it
}

const (
	// noteDelay is how long a record that may wait waits for one that must not.
	noteDelay = 250 * time.Millisecond
	// firstAsk and lastAsk bound the backoff of questions to a terminal.
	firstAsk = time.Second
	lastAsk  = time.Minute
	// recordAgain is the pause before an end that could not be recorded is
	// tried again.
	recordAgain = 500 * time.Millisecond
)

func (t *transaction) requestID() txn.RequestID { return t.txn.ID }

// begin records the request with its dispatch, in one append, and then does
// what is due. When it returns an error nothing was kept and nobody was told.
func (t *transaction) begin(ctx context.Context, accepted txn.Accepted) error {
	now := time.Now().UTC()
	accepted.At = now
	dispatched := txn.Dispatched{Memory: t.a.memory(), At: now}
	next, err := txn.Replay(accepted, dispatched)
	if err != nil {
		return err
	}
	t.led.store, t.led.stream = t.a.g.store, accepted.ID
	if err := t.led.commit(ctx, journal.TxnHead(next), journal.EncodeTxn(accepted, now), journal.EncodeTxn(dispatched, now)); err != nil {
		if errors.Is(err, journal.ErrUncertain) {
			t.a.disown(t.led, func(now time.Time) (journal.Head, []journal.Record, error) {
				never, told := txn.NeverRan{Reason: txn.NeverSent, At: now}, txn.Answered{Told: txn.ToldError, At: now}
				end, err := txn.Replay(accepted, dispatched, never, told)
				return journal.TxnHead(end), []journal.Record{journal.EncodeTxn(never, now), journal.EncodeTxn(told, now)}, err
			}, func() {})
		}
		return err
	}
	t.become(next)
	t.a.open(t)
	t.limit(t.remaining())
	// Through the mailbox: a cancel that came during the append is seen first.
	t.a.do(t.advance)
	return nil
}

// remaining is what is left until TIMED_OUT is told. The journal's timestamps
// are clamped, so that a clock that was set cannot stretch it.
func (t *transaction) remaining() time.Duration {
	name := "transaction"
	if t.txn.Request.CardholderNotPresent {
		name = "transactionNotPresent"
	}
	limit := t.a.site.settings.Load().limits[name]
	return min(max(limit-time.Since(t.txn.DispatchedAt), 0), limit)
}

func (t *transaction) limit(d time.Duration) { t.deadline = t.a.after(d, t.timedOut) }

// become takes the next state, and counts the time in the one before.
func (t *transaction) become(next txn.Transaction) {
	if now := time.Now(); next.State != t.txn.State {
		if t.txn.State != "" {
			t.a.g.metrics.stateSeconds.WithLabelValues(string(t.txn.State)).Observe(now.Sub(t.since).Seconds())
		}
		t.since = now
	}
	if t.txn.Told == txn.ToldNothing && next.Told != txn.ToldNothing {
		t.toldAt = time.Now().UTC()
	}
	t.txn = next
	t.show()
}

// commit appends to the transaction's stream.
func (t *transaction) commit(ctx context.Context, head journal.Head, records ...journal.Record) error {
	err := t.led.commit(ctx, head, records...)
	if err == nil && t.keptHeard < len(t.heard) {
		t.keptHeard = len(t.heard)
		t.show()
	}
	return err
}

// note applies an event that need not be on disk before the next step. It
// reports whether the event was legal.
func (t *transaction) note(e txn.Event) bool { return t.noteAt(time.Now().UTC(), e) }

// noteAt is note for a record of that time: an event of the same time keeps
// none of its own.
func (t *transaction) noteAt(now time.Time, e txn.Event) bool {
	next, err := txn.Apply(t.txn, e)
	if err != nil {
		t.a.g.log.Warn("event refused", "error", err)
		return false
	}
	if n, ok := e.(txn.Notified); ok {
		t.hears(n)
	}
	t.become(next)
	t.led.note(func() journal.Record { return journal.EncodeTxn(e, now) })
	if t.flush == nil {
		t.flush = t.a.after(noteDelay, t.flushNotes)
	}
	return true
}

func (t *transaction) flushNotes() {
	t.flush = nil
	if _, open := t.a.works[t.txn.ID]; !open || len(t.led.notes) == 0 {
		return
	}
	if err := t.commit(t.a.g.ctx, journal.TxnHead(t.txn)); err != nil {
		t.a.g.log.Error("notes could not be recorded yet", "request", t.txn.ID, "error", err)
		t.flush = t.a.after(recordAgain, t.flushNotes)
		t.conflicted(err)
	}
}

// conflicted takes up what the journal says where that is more than we know: an
// append was kept after all whose fate was not known.
func (t *transaction) conflicted(err error) {
	if !errors.Is(err, journal.ErrConflict) {
		return
	}
	records, err := t.led.store.Records(t.a.g.ctx, t.led.stream)
	if err != nil {
		t.a.g.log.Error("a stream could not be read anew", "request", t.txn.ID, "error", err)
		return
	}
	was := t.txn
	if t.txn, err = journal.ReplayTxn(records); err != nil {
		t.txn = was
		t.a.g.log.Error("a stream could not be read anew", "request", was.ID, "error", err)
		return
	}
	t.led = ledger{store: t.led.store, stream: t.led.stream, key: t.led.key, count: len(records)}
	t.hear(records)
	t.show()
	if t.txn.State == txn.Finished {
		t.finish(was.Told == txn.ToldNothing, nil)
		return
	}
	if was.Told == txn.ToldTimedOut && t.txn.Told == txn.ToldNothing {
		t.note(txn.Answered{Told: txn.ToldTimedOut, At: time.Now().UTC()})
	}
	t.lost()
	t.advance()
}

// record applies an event that must be on disk before the next step.
func (t *transaction) record(e txn.Event) error {
	next, err := txn.Apply(t.txn, e)
	if err != nil {
		return err
	}
	if err := t.commit(t.a.g.ctx, journal.TxnHead(next), txnRecord(e)); err != nil {
		t.conflicted(err)
		return err
	}
	t.become(next)
	return nil
}

// advance does what is due and was not done yet.
func (t *transaction) advance() {
	for _, e := range txn.Due(t.txn) {
		if t.done[e] || (!t.a.connected() && forTerminal(e)) {
			continue
		}
		if t.done == nil {
			t.done = map[txn.Effect]bool{}
		}
		t.done[e] = true
		t.perform(e)
	}
}

// forTerminal reports whether an effect needs the terminal's link.
func forTerminal(e txn.Effect) bool {
	switch e.(type) {
	case txn.StartTerminal, txn.CancelTerminal, txn.AskTerminal, txn.AnswerTerminal:
		return true
	default:
		return false
	}
}

func (t *transaction) perform(e txn.Effect) {
	switch e := e.(type) {
	case txn.StartTerminal:
		t.start()
	case txn.CancelTerminal:
		t.cancelTerminal()
	case txn.AskTerminal:
		t.a.ask(t)
	case txn.AskSignature:
		t.askSignature()
	case txn.AnswerTerminal:
		t.answerTerminal(e.Accepted)
	case txn.AcknowledgeTerminal:
		t.a.acknowledge(t.txn.ID)
	case txn.TellTill: // told by end, in the append that records it
	case txn.CorrectTill:
		t.a.correct(t.txn, t.led.count)
	}
}

// cancelTerminal passes the wish on. A terminal that said no to it has answered;
// whether one got it that did not say so is not known, and the end will tell.
func (t *transaction) cancelTerminal() {
	id, spell := t.txn.ID, t.a.spell
	t.a.call(askLimit, func(ctx context.Context, term terminal.Terminal) {
		err := term.Cancel(ctx, id)
		if err == nil {
			return
		}
		t.a.do(func() {
			t.a.g.log.Warn("terminal did not take a cancel", "tid", t.a.tid, "request", id, "error", loggable(err))
			var no *terminal.RefusedError
			if t.a.spell == spell && t.txn.State != txn.Finished && errors.As(err, &no) {
				t.notified(txn.UnableToCancel)
			}
		})
	})
}

// start tells the terminal.
func (t *transaction) start() {
	req := terminal.Request{ID: t.txn.ID, Txn: t.txn.Request}
	limit := t.a.site.settings.Load().limits["terminalAccepts"]
	t.a.call(limit, func(ctx context.Context, term terminal.Terminal) {
		err := term.Start(ctx, req)
		t.a.do(func() { t.startAnswered(err) })
	})
}

func (t *transaction) startAnswered(err error) {
	var refused *terminal.RefusedError
	switch {
	case t.txn.State == txn.Finished:
	case err == nil:
		t.begun()
		t.advance()
	case t.txn.Started: // its events were faster, and say otherwise
	case errors.As(err, &refused):
		t.end(txn.NeverRan{Reason: txn.Refused}, unsupported(t.a.tid, refused))
	case errors.Is(err, terminal.ErrBusy):
		t.end(txn.NeverRan{Reason: txn.WasBusy}, nil)
	case errors.Is(err, terminal.ErrNotDelivered):
		t.end(txn.NeverRan{Reason: txn.NotDelivered}, nil)
	default: // it may have arrived
		t.a.g.log.Warn("terminal did not say whether it took a start", "tid", t.a.tid, "request", t.txn.ID, "error", loggable(err))
		t.lost()
		t.advance()
	}
}

// begun is called with anything that shows that the terminal took the request.
func (t *transaction) begun() {
	if !t.txn.Started && !t.note(txn.Started{}) {
		return
	}
	if !t.started && t.txn.Told == txn.ToldNothing {
		t.started = true
		t.tell(txn.TransactionStarted)
	}
}

// tell notes a notification and sends it to the till that waits.
func (t *transaction) tell(n txn.Notification) {
	if t.txn.Told != txn.ToldNothing {
		return // it was given its answer; nothing follows that
	}
	t.spoken, t.latest = true, n
	t.calls.notify(t.a.tid, n)
	now := time.Now().UTC()
	t.noteAt(now, txn.Notified{Value: n, At: now})
	switch n {
	case txn.Cancelling:
		t.honoured = true
	case txn.UnableToCancel:
		t.refused = true
		t.replyCancels(false)
	default: // only shown
	}
}

// notified is progress told by the terminal.
func (t *transaction) notified(n txn.Notification) {
	switch n {
	case txn.TransactionStarted, txn.TransactionFinished, txn.AttemptingCancel:
		return // the gateway's own to say
	default:
	}
	if (n == txn.Cancelling || n == txn.UnableToCancel) && (!t.cancelling || t.refused) {
		return // nobody asked, or it was said already
	}
	if n == t.latest {
		return // a link brought it twice; said again at once it says nothing new
	}
	t.begun()
	t.decided(nil)
	t.tell(n)
}

// cancel is the wish of some till of the site. The reply was sent before.
func (t *transaction) cancel() {
	if t.cancelling {
		return
	}
	t.cancelling = true
	if !t.note(txn.CancelWished{At: time.Now().UTC()}) {
		return
	}
	t.tell(txn.AttemptingCancel)
	switch {
	case t.unsent():
		t.withhold()
		t.tell(txn.Cancelling)
		t.end(txn.NeverRan{Reason: txn.Withdrawn}, nil)
	case t.txn.Wish != nil:
		t.tell(txn.UnableToCancel)
	default:
		t.advance()
	}
}

// unsent reports whether it is certain that nothing was told to the terminal.
func (t *transaction) unsent() bool {
	return t.txn.State == txn.AtTerminal && !t.txn.Started && !t.txn.Interrupted && !t.done[txn.StartTerminal{}]
}

// withhold keeps the terminal from ever hearing of it.
func (t *transaction) withhold() { t.done = map[txn.Effect]bool{txn.StartTerminal{}: true} }

// settleCancel says what became of the wish for a cancel, where the terminal
// has not: the end shows it.
func (t *transaction) settleCancel(r txn.Result) {
	switch {
	case !t.cancelling || t.refused || r == txn.TimedOut:
	case r != txn.Cancelled:
		t.tell(txn.UnableToCancel)
	case !t.honoured:
		t.tell(txn.Cancelling)
	}
}

// signatureWanted is the terminal's question to the cashier.
func (t *transaction) signatureWanted(w txn.SignatureWish) {
	t.begun()
	first := t.txn.Wish == nil
	if !t.note(txn.SignatureWanted{Wish: fittingWish(w, t.txn.Request.Type), At: time.Now().UTC()}) {
		return
	}
	if t.cancelling && !t.refused {
		t.tell(txn.UnableToCancel) // the wish never reached the terminal; now it is too late
	}
	if first {
		t.signature = t.a.after(t.a.site.settings.Load().limits["signature"], t.signatureTimedOut)
	}
	t.advance()
}

// askSignature puts the question to the till, in the order of the contract,
// section 4.1.
func (t *transaction) askSignature() {
	t.tell(txn.SignatureVerification)
	if t.txn.Told == txn.ToldNothing {
		t.calls.newest().askSignature(t, t.a.site.settings.Load().limits[spec.TimerSignature].Seconds())
	}
	t.tell(txn.SignatureInProgress)
}

// signatureLeft is what is left of the time for an answer, in whole seconds and
// at least one.
func (t *transaction) signatureLeft() float64 {
	limit := t.a.site.settings.Load().limits[spec.TimerSignature]
	left := min(limit-time.Since(t.txn.WantedAt), limit)
	return max(math.Ceil(left.Seconds()), 1)
}

// signatureAnswered is the cashier's word.
func (t *transaction) signatureAnswered(accepted bool, deviations []string) {
	t.calls.signatureOver(t, sigAnswered) // wherever else it was asked
	t.decide(txn.SignatureAnswered{Accepted: accepted, By: txn.ByTill, Deviations: deviations})
}

// decide records what was decided on the signature, then tells the terminal.
// The first decision stands, also while it cannot be recorded: silence must not
// accept what the cashier has rejected.
func (t *transaction) decide(e txn.SignatureAnswered) {
	e.At = time.Now().UTC()
	if _, err := txn.Apply(t.txn, e); err != nil || t.decision != nil {
		return // it was decided already, or the transaction has ended
	}
	t.decision = &e
	t.recordDecision()
}

func (t *transaction) recordDecision() {
	if t.txn.SignatureBy != "" || t.txn.State == txn.Finished {
		return
	}
	if err := t.record(*t.decision); err != nil {
		t.a.g.log.Error("a signature answer could not be recorded yet", "request", t.txn.ID, "error", err)
		t.a.after(recordAgain, t.recordDecision)
		return
	}
	t.signature.Stop()
	t.advance()
}

// signatureTimedOut is the limit: silence accepts, unless the site says
// otherwise.
func (t *transaction) signatureTimedOut() {
	if t.decision != nil || t.txn.SignatureBy != "" || t.txn.State == txn.Finished {
		return
	}
	if t.calls.signatureOver(t, sigLapsed) {
		return // the answer came in this instant and is on its way here
	}
	accepted := !t.a.site.settings.Load().RejectUnanswered
	t.tell(txn.SignatureTimeout)
	t.a.g.metrics.signatureTimeouts.Inc()
	t.a.g.log.Warn("nobody verified a signature in time", "tid", t.a.tid, "request", t.txn.ID, "accepted", accepted)
	t.decide(txn.SignatureAnswered{Accepted: accepted, By: txn.ByTimeout})
}

// answerTerminal passes the decision on the signature on.
func (t *transaction) answerTerminal(accepted bool) {
	t.deciding = true
	id, spell := t.txn.ID, t.a.spell
	t.a.call(askLimit, func(ctx context.Context, term terminal.Terminal) {
		err := term.AnswerSignature(ctx, id, accepted)
		t.a.do(func() {
			if t.a.spell == spell {
				t.decided(err)
			}
		})
	})
}

// decided says once how the signature check ended: with the terminal's
// confirmation, or with anything it says next.
func (t *transaction) decided(err error) {
	if !t.deciding {
		return
	}
	t.deciding = false
	if err == nil {
		t.tell(txn.SignatureCompleted)
		return
	}
	t.a.g.log.Warn("terminal did not take the answer on a signature", "tid", t.a.tid, "request", t.txn.ID, "error", loggable(err))
	if !t.undecided {
		t.undecided = true
		t.tell(txn.SignatureCouldNotComplete)
	}
	if t.txn.State == txn.AtTerminal { // ask before it is told again, but not at once: it may say no for ever
		t.lost()
		t.askLater()
	}
}

// lost is told when the link is gone with the transaction.
func (t *transaction) lost() {
	if t.unsent() {
		t.withhold()
		t.end(txn.NeverRan{Reason: txn.NotDelivered}, nil)
		return
	}
	if t.txn.State == txn.AtTerminal || t.txn.State == txn.Signing {
		t.note(txn.LinkLost{At: time.Now().UTC()})
	}
	t.forget()
}

// forget makes what the old link was told due again.
func (t *transaction) forget() {
	t.deciding = false
	delete(t.done, txn.AskTerminal{})
	delete(t.done, txn.CancelTerminal{})
	delete(t.done, txn.AnswerTerminal{Accepted: true})
	delete(t.done, txn.AnswerTerminal{Accepted: false})
}

// returned is told when the link is back.
func (t *transaction) returned(restarted bool) {
	t.forget()
	t.restarted = t.restarted || restarted
	t.askAgain = 0
	if t.txn.State == txn.AtTerminal || t.txn.State == txn.Signing {
		t.note(txn.LinkLost{At: time.Now().UTC()})
	}
	t.advance()
}

// answered is the terminal's answer to what became of it.
func (t *transaction) answered(ans terminal.Answer) {
	switch ans.Kind {
	case terminal.Final:
		if ans.Outcome != nil {
			t.ended(*ans.Outcome)
			return
		}
		t.unanswered()
	case terminal.InProgress:
		t.a.hold(t)
		if t.txn.State == txn.Unresolved {
			t.note(txn.Resumed{At: time.Now().UTC()})
			delete(t.done, txn.AskTerminal{})
		}
		t.begun()
		t.advance()
		t.askLater()
	case terminal.NeverRan:
		if t.a.otherMemory(t.txn.Memory) {
			t.a.g.log.Warn("a machine whose memory is another one says that a request never ran; it is not believed", "tid", t.a.tid, "request", t.txn.ID)
			t.answered(terminal.Answer{Kind: terminal.CannotTell})
			return
		}
		if t.txn.State == txn.Signing { // it takes back what it asked for
			t.note(txn.LinkLost{At: time.Now().UTC()})
		}
		t.end(txn.NeverRan{Reason: txn.Fenced}, nil)
	case terminal.CannotTell:
		if t.txn.State != txn.Unresolved {
			t.note(txn.CouldNotTell{At: time.Now().UTC()})
		}
		if t.restarted {
			t.timedOut() // it will not learn it any more
		}
		t.a.release(t)
		t.askLater()
	}
}

// unanswered is told when the terminal did not answer.
func (t *transaction) unanswered() {
	if t.txn.Told != txn.ToldNothing {
		t.a.release(t)
	}
	t.askLater()
}

// askLater asks again after a pause that grows.
func (t *transaction) askLater() {
	t.askAgain = min(max(2*t.askAgain, firstAsk), lastAsk)
	if t.again != nil {
		t.again.Stop() // one question at a time
	}
	spell := t.a.spell
	t.again = t.a.after(t.askAgain, func() {
		if t.a.works[t.txn.ID] == t && t.a.spell == spell && t.asks() {
			t.a.ask(t)
		}
	})
}

// asks reports whether the terminal should be asked without being connected
// anew: while the outcome is unresolved, or the till has given up.
func (t *transaction) asks() bool {
	return t.txn.State == txn.Unresolved || t.txn.Told != txn.ToldNothing
}

// timedOut is the limit: TIMED_OUT is told, the truth is still sought.
func (t *transaction) timedOut() {
	if t.txn.State == txn.Finished || t.txn.Told != txn.ToldNothing {
		return
	}
	now := time.Now().UTC()
	t.note(txn.Notified{Value: txn.TransactionFinished, At: now})
	e := txn.Answered{Told: txn.ToldTimedOut, At: now}
	if err := t.record(e); err != nil {
		if t.txn.Told != txn.ToldNothing {
			return // the journal knew more
		}
		// TIMED_OUT claims nothing, so it may be told unrecorded; it is noted for
		// when there is space again.
		t.a.g.log.Error("TIMED_OUT is told before it could be recorded", "request", t.txn.ID, "error", err)
		t.note(e)
	}
	t.a.g.metrics.outcome(t.txn, txn.TimedOut)
	t.a.g.log.Warn("no outcome in time", "tid", t.a.tid, "request", t.txn.ID)
	t.a.release(t)
	if t.a.connected() {
		t.cancelTerminal()
		t.a.ask(t)
	}
	t.a.publish()
	t.calls.signatureOver(t, sigLapsed)
	t.calls.notify(t.a.tid, txn.TransactionFinished)
	t.calls.payment(t.a.tid, attempted(t.txn, txn.TimedOut))
	t.replyCancels(false)
	t.calls = nil
}

// ended is the terminal's final word. One that says TIMED_OUT is none, nor is
// one that cannot be used; that one is left with the terminal.
func (t *transaction) ended(o txn.Outcome) {
	o = fitting(o)
	if err := unusable(o, t.txn.Request.Currency); err != nil {
		t.a.g.log.Error("a terminal's final word cannot be used", "tid", t.a.tid, "request", t.txn.ID, "error", err)
		t.answered(terminal.Answer{Kind: terminal.CannotTell})
		t.timedOut()
		return
	}
	if o.Result == txn.TimedOut {
		t.a.acknowledge(t.txn.ID)
		t.answered(terminal.Answer{Kind: terminal.CannotTell})
		t.timedOut()
		return
	}
	if t.ending != nil {
		if before, ok := t.ending.(txn.Ended); !ok || !txn.Same(before.Outcome, o) { // it is dealt with after the one before
			t.a.after(recordAgain, func() { t.a.ended(t.txn.ID, o) })
		}
		return
	}
	t.begun()
	t.decided(nil)
	t.end(txn.Ended{Outcome: o}, nil)
}

// end records how it ended together with what the till is told, then tells it,
// then lets the terminal forget. While it cannot be recorded nobody hears of
// it; it is tried again, and the limit goes on running.
func (t *transaction) end(e txn.Event, f *fault) {
	if t.ending != nil {
		return // the first end stands
	}
	now := time.Now().UTC()
	switch ev := e.(type) {
	case txn.Ended:
		ev.At = now
		e = ev
	case txn.NeverRan:
		ev.At = now
		e = ev
	default: // it bears its time
	}
	next, records, fresh, err := t.closing(e)
	if err != nil {
		t.a.g.log.Warn("event refused", "error", err)
		return
	}
	if err := t.commit(t.a.g.ctx, journal.TxnHead(next), records...); err != nil {
		t.failures++
		t.a.g.log.Error("an end could not be recorded yet", "request", t.txn.ID, "tries", t.failures, "error", err)
		t.ending = e
		t.a.after(recordAgain, func() {
			t.ending = nil
			if t.txn.State != txn.Finished {
				t.end(e, f)
			}
		})
		t.conflicted(err)
		return
	}
	t.become(next)
	t.finish(fresh, f)
}

// closing returns the transaction as it stands after e, its end, and what the
// till is told, with the records of both. Fresh says that the till has yet to be
// told.
func (t *transaction) closing(e txn.Event) (next txn.Transaction, records []journal.Record, fresh bool, err error) {
	if next, err = txn.Apply(t.txn, e); err != nil {
		return next, nil, false, err
	}
	if t.cancelling {
		t.settleCancel(resultOf(next))
		if next, err = txn.Apply(t.txn, e); err != nil {
			return next, nil, false, err
		}
	}
	records = []journal.Record{txnRecord(e)}
	if next.Told != txn.ToldNothing {
		return next, records, false, nil
	}
	now := time.Now().UTC()
	answer := txn.Answered{Told: t.toldFor(next), At: now}
	if answer.Told == txn.ToldResult {
		records = append(records, journal.EncodeTxn(txn.Notified{Value: txn.TransactionFinished, At: now}, now))
	}
	next, err = txn.Apply(next, answer)
	return next, append(records, journal.EncodeTxn(answer, now)), true, err
}

// finish does what follows once the end is on disk. With fresh the till has yet
// to be told.
func (t *transaction) finish(fresh bool, f *fault) {
	next := t.txn
	t.stop()
	t.a.closed(t)
	t.calls.signatureOver(t, sigLapsed)
	t.a.g.metrics.outcome(next, resultOf(next))
	if next.Late() {
		t.a.g.metrics.late.Inc()
		t.a.g.log.Warn("the outcome came after TIMED_OUT was told", "tid", t.a.tid, "request", next.ID, "result", resultOf(next))
	}
	switch {
	case !fresh:
	case next.Told == txn.ToldError:
		t.calls.fail(t.faultFor(f))
	default:
		t.calls.notify(t.a.tid, txn.TransactionFinished)
		t.calls.payment(t.a.tid, paymentOf(next))
	}
	t.calls = nil
	t.replyCancels(resultOf(next) == txn.Cancelled)
	t.advance()
}

// toldFor says what the till is given: an error where it waits and the
// terminal certainly took nothing, a result in all other cases.
func (t *transaction) toldFor(next txn.Transaction) txn.Told {
	if next.NotRun == "" || next.NotRun == txn.Withdrawn || t.spoken || !t.calls.waits() {
		return txn.ToldResult
	}
	return txn.ToldError
}

func (t *transaction) faultFor(f *fault) *fault {
	switch {
	case f != nil:
		return f
	case t.txn.NotRun == txn.WasBusy:
		return busy(t.a.tid)
	case t.txn.NotRun == txn.Refused:
		return methodUnsupported(t.a.tid, suchRequest)
	default:
		return notTaken(t.a.tid)
	}
}

// replyCancels answers the v0 cancels that wait.
func (t *transaction) replyCancels(cancelled bool) {
	for _, reply := range t.cancelReply {
		reply(cancelled)
	}
	t.cancelReply = nil
}

func (t *transaction) stop() {
	for _, timer := range []*time.Timer{t.deadline, t.signature, t.flush, t.again} {
		if timer != nil {
			timer.Stop()
		}
	}
}
