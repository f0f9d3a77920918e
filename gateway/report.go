package gateway

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/wire"
)

// report serves the four reports (the contract, section 3.6).
func (s *Session) report(m jsonrpc.Message, kind report.Type) *fault {
	decode := wire.DecodeReport
	if s.ext.keys {
		decode = wire.DecodeKeyedReport
	}
	params, devs, bad := decode(s.version, m.Params)
	key := keptKey(params.RequestKey)
	asked := body{tid: txn.TID(params.TID), report: kind}
	return s.toTerminal(m, key, asked, devs, bad, func(a *actor, c *call, deviations []string) { a.report(c, key, kind, deviations) })
}

func (a *actor) report(c *call, key string, kind report.Type, deviations []string) {
	if f := a.beginReport(c, key, NewRequestID(time.Now()), kind, deviations); f != nil {
		c.fail(f)
		a.site.keys.free(key)
	}
}

// beginReport begins, or returns why not. Waits is the call of the till, or nil
// where none waits.
func (a *actor) beginReport(waits *call, key string, id txn.RequestID, kind report.Type, deviations []string) *fault {
	method := suchRequest
	if waits != nil {
		method = waits.method
	}
	f := a.takes(func(caps terminal.Capabilities) *fault {
		if !slices.Contains(caps.Reports, kind) {
			return methodUnsupported(a.tid, method)
		}
		return nil
	})
	if f != nil {
		return f
	}
	r := &reportRun{a: a, calls: callersOf(waits), currency: a.term.Capabilities().Currency, led: ledger{key: key}}
	err := r.begin(a.g.ctx, report.Dispatched{
		ID: string(id), Site: string(a.site.settings.Load().ID), TID: string(a.tid), Type: kind, Deviations: deviations,
	})
	if err != nil {
		a.g.log.Error("a report was refused: it could not be recorded", "tid", a.tid, "error", err)
		return storage(err)
	}
	a.site.keys.hand(key, r)
	return nil
}

// A reportRun is one report.Run on its way. It belongs to its actor's
// goroutine.
type reportRun struct {
	a        *actor
	run      report.Run
	led      ledger
	calls    callers
	currency money.Currency // the terminal's
	deadline *time.Timer
	again    *time.Timer // the next question to the terminal
	askAgain time.Duration
	gaveUp   bool // TIMED_OUT was told; it is recorded, or soon will be
}

// terminalCurrency is also known after a restart, once the terminal is back.
func (r *reportRun) terminalCurrency() money.Currency {
	if r.currency == "" && r.a.connected() {
		r.currency = r.a.term.Capabilities().Currency
	}
	return r.currency
}

// anyCurrency is that of a report that has no totals.
func (r *reportRun) anyCurrency() money.Currency {
	return cmp.Or(r.terminalCurrency(), r.a.anyCurrency())
}

// anyCurrency is the terminal's as far as it is known, or else the first of the
// contract's.
func (a *actor) anyCurrency() money.Currency {
	var known money.Currency
	if its := a.site.actor(a.tid); its != nil {
		known = its.view.Load().Capabilities.Currency
	}
	return cmp.Or(known, money.GBP)
}

func (r *reportRun) requestID() txn.RequestID { return txn.RequestID(r.run.ID) }

// begin records the request with its dispatch and tells the terminal.
func (r *reportRun) begin(ctx context.Context, e report.Dispatched) error {
	e.At = time.Now().UTC()
	r.led.store, r.led.stream = r.a.g.store, txn.RequestID(e.ID)
	if err := r.record(ctx, e); err != nil {
		if errors.Is(err, journal.ErrUncertain) {
			r.a.disown(r.led, func(now time.Time) (journal.Head, []journal.Record, error) {
				never := report.NotMade{Reason: "the terminal was never told", At: now}
				end, err := report.Replay(e, never)
				return journal.ReportHead(end), []journal.Record{journal.EncodeReport(never, now)}, err
			}, func() {})
		}
		return err
	}
	r.a.open(r)
	r.limit()
	req := terminal.Request{ID: r.requestID(), Report: e.Type}
	r.a.call(r.a.site.settings.Load().limits["terminalAccepts"], func(ctx context.Context, term terminal.Terminal) {
		err := term.Start(ctx, req)
		r.a.do(func() { r.startAnswered(err) })
	})
	return nil
}

func (r *reportRun) limit() {
	limit := r.a.site.settings.Load().limits["report"]
	left := min(max(limit-time.Since(r.run.At), 0), limit)
	r.deadline = r.a.after(left, r.timedOut)
}

func (r *reportRun) record(ctx context.Context, e report.Event) error {
	next, err := report.Apply(r.run, e)
	if err != nil {
		return err
	}
	if err := r.led.commit(ctx, journal.ReportHead(next), journal.EncodeReport(e, time.Now().UTC())); err != nil {
		return err
	}
	r.run = next
	r.show()
	return nil
}

func (r *reportRun) startAnswered(err error) {
	var refused *terminal.RefusedError
	switch {
	case err == nil, r.run.State == report.Finished:
	case errors.As(err, &refused):
		r.failed(refused.Reason, unsupported(r.a.tid, refused))
	case errors.Is(err, terminal.ErrBusy):
		r.failed("the terminal was busy", busy(r.a.tid))
	case errors.Is(err, terminal.ErrNotDelivered):
		r.failed("the request certainly did not arrive", notTaken(r.a.tid))
	default:
		r.lost()
		r.a.ask(r)
	}
}

// failed ends the report without one.
func (r *reportRun) failed(reason string, f *fault) {
	if r.run.State == report.Finished {
		return
	}
	r.gaveUp = r.gaveUp || f == nil // TIMED_OUT is what tills are told then
	err := r.recordGaveUp()
	if err == nil {
		err = r.record(r.a.g.ctx, report.NotMade{Reason: reason, At: time.Now().UTC()})
	}
	if err != nil {
		r.recordLater(err, func() { r.failed(reason, f) })
		return
	}
	r.closed()
	if f != nil {
		r.calls.fail(f)
	} else {
		r.calls.reportTimedOut(r.a.tid, r.run.Type, r.anyCurrency())
	}
	r.calls = nil
}

// made is the terminal's report. One that is not what it was asked for is none.
func (r *reportRun) made(rep report.Report) {
	rep = fittingReport(rep)
	if err := unusableReport(rep, r.run.Type, r.terminalCurrency()); err != nil {
		r.a.g.log.Error("a terminal's report cannot be used", "tid", r.a.tid, "request", r.run.ID, "error", err)
		r.failed("the terminal's report cannot be used: "+err.Error(), nil)
		r.a.acknowledge(r.requestID())
		return
	}
	err := r.recordGaveUp()
	if err == nil {
		err = r.record(r.a.g.ctx, report.Made{Report: rep, At: time.Now().UTC()})
	}
	if err != nil {
		r.recordLater(err, func() { r.a.reported(r.requestID(), rep) })
		return
	}
	r.closed()
	r.calls.report(r.a.tid, rep)
	r.calls = nil
	r.a.acknowledge(r.requestID())
}

// recordGaveUp records that TIMED_OUT was told, where that could not be done
// then.
func (r *reportRun) recordGaveUp() error {
	if !r.gaveUp || r.run.Told != "" {
		return nil
	}
	return r.record(r.a.g.ctx, report.GaveUp{At: time.Now().UTC()})
}

// recordLater tries an end again that could not be recorded.
func (r *reportRun) recordLater(err error, again func()) {
	var illegal *report.IllegalMove
	if errors.As(err, &illegal) {
		r.a.g.log.Warn("event refused", "error", err)
		return
	}
	r.a.g.log.Error("a report could not be recorded yet", "request", r.run.ID, "error", err)
	r.conflicted(err)
	r.a.after(recordAgain, again)
}

func (r *reportRun) closed() {
	for _, timer := range []*time.Timer{r.deadline, r.again} {
		if timer != nil {
			timer.Stop()
		}
	}
	r.a.closed(r)
	result := string(r.run.Told)
	if r.run.Failed != "" {
		result = "NOT_MADE"
	}
	r.a.g.metrics.outcomes.WithLabelValues(string(r.run.Type), result).Inc()
}

// conflicted takes up what the journal says where that is more than we know: an
// append was kept after all whose fate was not known.
func (r *reportRun) conflicted(err error) {
	if !errors.Is(err, journal.ErrConflict) {
		return
	}
	records, err := r.led.store.Records(r.a.g.ctx, r.led.stream)
	if err != nil {
		r.a.g.log.Error("a stream could not be read anew", "request", r.run.ID, "error", err)
		return
	}
	run, err := journal.ReplayReport(records)
	if err != nil {
		r.a.g.log.Error("a stream could not be read anew", "request", r.run.ID, "error", err)
		return
	}
	r.run, r.led = run, ledger{store: r.led.store, stream: r.led.stream, key: r.led.key, count: len(records)}
	if run.State != report.Finished {
		return
	}
	r.closed()
	if run.Report != nil {
		r.calls.report(r.a.tid, *run.Report)
	} else {
		r.calls.reportTimedOut(r.a.tid, run.Type, r.anyCurrency())
	}
	r.calls = nil
}

// timedOut is the limit: the till is told, the terminal is asked all the same.
// TIMED_OUT claims nothing, so it may be told before it is recorded.
func (r *reportRun) timedOut() {
	if r.run.State == report.Finished || r.run.Told != "" || r.gaveUp {
		return
	}
	r.gaveUp = true
	if err := r.recordGaveUp(); err != nil {
		r.recordLater(err, r.gaveUpLater)
	}
	r.show()
	if r.run.State == report.Finished {
		return // the journal knew more
	}
	r.a.release(r)
	r.a.ask(r)
	r.a.publish()
	r.calls.reportTimedOut(r.a.tid, r.run.Type, r.anyCurrency())
	r.calls = nil
}

func (r *reportRun) gaveUpLater() {
	if r.run.State == report.Finished {
		return
	}
	if err := r.recordGaveUp(); err != nil {
		r.recordLater(err, r.gaveUpLater)
	}
}

// lost is told when the link is gone with the report.
func (r *reportRun) lost() {
	if r.run.State != report.Asked {
		return
	}
	if err := r.record(r.a.g.ctx, report.Interrupted{At: time.Now().UTC()}); err != nil {
		r.a.g.log.Error("an interruption could not be recorded", "request", r.run.ID, "error", err)
		r.conflicted(err)
	}
}

// returned is told when the link is back.
func (r *reportRun) returned(bool) {
	r.askAgain = 0
	r.lost()
	r.a.ask(r)
}

// answered is the terminal's answer to what became of it. A report moves no
// money: one that the terminal cannot tell of is given up.
func (r *reportRun) answered(ans terminal.Answer) {
	switch ans.Kind {
	case terminal.Final:
		if ans.Report != nil {
			r.made(*ans.Report)
			return
		}
		r.unanswered()
	case terminal.InProgress:
		r.a.hold(r)
		r.askLater()
	case terminal.NeverRan:
		r.failed("the terminal never ran it", notTaken(r.a.tid))
	case terminal.CannotTell:
		r.failed("the terminal cannot tell what became of it", nil)
	}
}

// unanswered is told when the terminal did not answer.
func (r *reportRun) unanswered() {
	if r.told() {
		r.a.release(r)
	}
	r.askLater()
}

func (r *reportRun) askLater() {
	r.askAgain = min(max(2*r.askAgain, firstAsk), lastAsk)
	if r.again != nil {
		r.again.Stop() // one question at a time
	}
	spell := r.a.spell
	r.again = r.a.after(r.askAgain, func() {
		if r.a.works[r.requestID()] == r && r.a.spell == spell && (r.run.State == report.Unknown || r.told()) {
			r.a.ask(r)
		}
	})
}

// told reports whether the till has its answer.
func (r *reportRun) told() bool { return r.run.Told != "" || r.gaveUp }
