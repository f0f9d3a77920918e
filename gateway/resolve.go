package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
)

// This file records what an operator says became of a request, or of a payment
// at a table, of which no terminal tells. The terminal is not asked any more;
// should it speak all the same, what it says is kept beside the operator's word
// and is what counts.

// A Resolution is an operator's word.
type Resolution struct {
	Stream journal.Stream
	Taken  bool   // money was taken
	By     string // who says so
	Reason string // why, in the operator's words

	// Payment is the visit's payment that is meant; empty for a transaction.
	Payment table.PaymentID
	// Receipt is of a payment that took money: the amounts at least. With none
	// the card paid what it was asked for.
	Receipt table.Receipt
}

// A NotUnresolvedError says why there is nothing that an operator could resolve.
type NotUnresolvedError struct {
	Stream journal.Stream
	Why    string
}

// Error names the stream and says how it stands.
func (e *NotUnresolvedError) Error() string {
	return fmt.Sprintf("gateway: %s is not unresolved: %s", e.Stream, e.Why)
}

// Resolve records an operator's word on a transaction or payment that is
// unresolved, and does what follows from it: a till that still waits is told.
// It returns a *NotUnresolvedError when there is nothing to resolve, and
// journal.ErrNotFound when nothing has that id.
func (g *Gateway) Resolve(ctx context.Context, r Resolution) error {
	h, err := g.store.Head(ctx, r.Stream)
	if err != nil {
		return err
	}
	s := g.site(h.Site)
	if s == nil {
		return fmt.Errorf("gateway: no site %q", h.Site)
	}
	if h.Kind == journal.KeptStream {
		return notResolvable(h)
	}
	a := s.actor(h.TID)
	if a == nil {
		a = g.newActor(s, h.TID)
	}
	return a.ordered(ctx, func() error {
		switch h.Kind {
		case journal.TransactionStream:
			return a.resolveTransaction(r)
		case journal.VisitStream:
			return a.resolvePayment(r)
		case journal.ReportStream, journal.DuplicateStream, journal.KeptStream, journal.OrphanStream:
		}
		return notResolvable(h)
	})
}

// ordered has an operator's order carried out by the actor, and waits for it.
func (a *actor) ordered(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	a.do(func() { done <- f() })
	select {
	case err := <-done:
		return err
	case <-a.g.ctx.Done():
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Settle is Resolve for a journal that no gateway runs on. What was at a
// terminal when the last gateway ended is unresolved.
func Settle(ctx context.Context, j journal.Journal, r Resolution) error {
	h, err := j.Head(ctx, r.Stream)
	if err != nil {
		return err
	}
	records, err := j.Records(ctx, r.Stream)
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	switch h.Kind {
	case journal.TransactionStream:
		t, err := journal.ReplayTxn(records)
		if err != nil {
			return err
		}
		if err := r.fits(h.Kind); err != nil {
			return err
		}
		var events []txn.Event
		if t.State == txn.AtTerminal || t.State == txn.Signing {
			events = append(events, txn.Restarted{At: now})
		}
		events = append(events, txn.Resolved{Resolution: r.resolution(), At: now})
		if t.Told == txn.ToldNothing {
			events = append(events, txn.Answered{Told: txn.ToldResult, At: now})
		}
		l := ledger{store: j, stream: r.Stream, count: len(records)}
		next, kept := t, make([]journal.Record, len(events))
		for i, e := range events {
			if next, err = txn.Apply(next, e); err != nil {
				return notUnresolved(t)
			}
			kept[i] = journal.EncodeTxn(e, now)
		}
		return l.commit(ctx, journal.TxnHead(next), kept...)
	case journal.VisitStream:
		l := visitLife(j, r.Stream, len(records))
		if l.state, err = journal.ReplayTable(records); err != nil {
			return err
		}
		var events []table.Event
		if _, open := l.state.OpenPayment(); open && l.state.State != table.Unresolved {
			events = append(events, table.TerminalLost{At: now})
		}
		return r.record(ctx, &l, events...)
	case journal.ReportStream, journal.DuplicateStream, journal.KeptStream, journal.OrphanStream:
	}
	return notResolvable(h)
}

// notResolvable says why no stream of that kind is ever resolved by hand.
func notResolvable(h journal.Head) error {
	why := "no money depends on a " + string(h.Kind)
	if h.Kind == journal.KeptStream {
		why = "it is a table, whose payments are those of the visits to it"
	}
	if h.Kind == journal.OrphanStream {
		why = "the terminal has said what became of it"
	}
	return &NotUnresolvedError{h.Stream, why}
}

// fits says what is wrong with an operator's word on a stream of that kind.
func (r Resolution) fits(kind journal.StreamKind) error {
	switch {
	case kind == journal.TransactionStream && r.Payment != "":
		return fmt.Errorf("gateway: %s is a transaction, not a visit: it has no payments of its own", r.Stream)
	case kind == journal.TransactionStream && r.Receipt.Paid+r.Receipt.Gratuity+r.Receipt.Cashback != 0:
		return fmt.Errorf("gateway: %s is a transaction: its amounts are those that were asked for", r.Stream)
	case kind == journal.VisitStream && r.Payment == "":
		return fmt.Errorf("gateway: %s is a visit to a table: say which of its payments is meant", r.Stream)
	}
	return nil
}

// resolution is the word on a transaction.
func (r Resolution) resolution() txn.Resolution {
	result := txn.Unsuccessful
	if r.Taken {
		result = txn.Successful
	}
	return txn.Resolution{Result: result, By: r.By, Reason: r.Reason}
}

// notUnresolved says how a transaction stands.
func notUnresolved(t txn.Transaction) error {
	e := &NotUnresolvedError{Stream: t.ID}
	switch {
	case t.State == txn.Requested:
		e.Why = "nothing was told to the terminal, so it ends by itself"
	case t.State != txn.Finished:
		e.Why = "it is running at the terminal"
	case t.Resolution != nil && t.Truth() == nil:
		e.Why = fmt.Sprintf("%s has said by hand that it was %s", t.Resolution.By, t.Resolution.Result)
	case t.Truth() != nil:
		e.Why = fmt.Sprintf("the terminal has said that it was %s", t.Truth().Result)
	default:
		e.Why = fmt.Sprintf("it is known that it did not run on the terminal (%s)", t.NotRun)
	}
	return e
}

// resolveTransaction ends a transaction by the operator's word.
func (a *actor) resolveTransaction(r Resolution) error {
	if err := r.fits(journal.TransactionStream); err != nil {
		return err
	}
	t, open := a.works[r.Stream].(*transaction)
	if !open {
		records, err := a.g.store.Records(a.g.ctx, r.Stream)
		if err != nil {
			return err
		}
		ended, err := journal.ReplayTxn(records)
		if err != nil {
			return err
		}
		return notUnresolved(ended)
	}
	return t.resolve(r)
}

func (t *transaction) resolve(r Resolution) error {
	if t.ending != nil {
		return &NotUnresolvedError{t.txn.ID, "its end is known, and is recorded as soon as the journal takes it"}
	}
	e := txn.Resolved{Resolution: r.resolution(), At: time.Now().UTC()}
	if _, err := txn.Apply(t.txn, e); err != nil {
		return notUnresolved(t.txn)
	}
	next, records, fresh, err := t.closing(e)
	if err != nil {
		return err
	}
	if err := t.commit(t.a.g.ctx, journal.TxnHead(next), records...); err != nil {
		t.conflicted(err)
		return err
	}
	t.become(next)
	t.a.g.metrics.resolved.Inc()
	t.a.g.log.Warn("an operator said what became of a request", "tid", t.a.tid, "request", t.txn.ID, "result", e.Resolution.Result, "by", r.By)
	t.finish(fresh, nil)
	return nil
}

// record has the operator's word on a payment recorded, behind the events given.
func (r Resolution) record(ctx context.Context, l *life[table.Visit, table.Event], events ...table.Event) error {
	if err := r.fits(journal.VisitStream); err != nil {
		return err
	}
	p, open := l.state.OpenPayment()
	if !open || p.ID != r.Payment {
		return notOpen(l.state, r.Payment)
	}
	e := table.PaymentResolved{Payment: p.ID, Taken: r.Taken, By: r.By, Reason: r.Reason, At: time.Now().UTC()}
	if r.Taken {
		e.Receipt = r.Receipt
		if !e.Receipt.Moved() {
			e.Receipt.Paid = p.Asked
		}
		if e.Receipt.Time.IsZero() {
			e.Receipt.Time = e.At
		}
		e.Receipt = fittingReceipt(e.Receipt)
		if err := unusableReceipt(e.Receipt); err != nil {
			return fmt.Errorf("gateway: payment %s: %w", p.ID, err)
		}
		if e.Receipt.Paid > p.Asked {
			return fmt.Errorf("gateway: payment %s was of %s and cannot have paid %s towards the bill; a gratuity counts apart", p.ID, p.Asked.Decimal(), e.Receipt.Paid.Decimal())
		}
	}
	err := l.record(ctx, append(events, e)...)
	if _, illegal := errors.AsType[*table.IllegalMove](err); illegal {
		return &NotUnresolvedError{l.stream, fmt.Sprintf("payment %s is being taken at the terminal", p.ID)}
	}
	return err
}

// notOpen says how a payment stands that is not open.
func notOpen(v table.Visit, id table.PaymentID) error {
	why := fmt.Sprintf("it has no payment %s", id)
	for _, p := range v.Payments {
		if p.ID != id {
			continue
		}
		word := "took money"
		if p.State == table.NotTaken {
			word = "took none"
		}
		who := "the terminal"
		if p.By != "" {
			who = p.By
		}
		why = fmt.Sprintf("%s has said that payment %s %s", who, id, word)
	}
	return &NotUnresolvedError{journal.Stream(v.ID), why}
}

// resolvePayment ends a visit's open payment by the operator's word.
func (a *actor) resolvePayment(r Resolution) error {
	v := a.visit(table.VisitID(r.Stream))
	if v == nil {
		records, err := a.g.store.Records(a.g.ctx, r.Stream)
		if err != nil {
			return err
		}
		state, err := journal.ReplayTable(records)
		if err != nil {
			return err
		}
		if err := r.fits(journal.VisitStream); err != nil {
			return err
		}
		return notOpen(state, r.Payment)
	}
	if err := r.record(a.g.ctx, &v.life); err != nil {
		return err
	}
	a.g.metrics.resolved.Inc()
	a.g.log.Warn("an operator said what became of a payment", "tid", a.tid, "visit", r.Stream, "payment", r.Payment, "taken", r.Taken, "by", r.By)
	v.advance()
	return nil
}
