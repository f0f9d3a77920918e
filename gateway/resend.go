package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
)

// This file sends notices anew that were delivered before: for what a till lost
// after it had it (the contract, section 5.5).

// ErrNothingToResend says that nothing of the stream was delivered before.
var ErrNothingToResend = errors.New("gateway: nothing of it was delivered, so nothing is sent anew; what waits is sent by itself")

// Resend has a notice that was delivered sent anew, or all of a stream when n
// is 0. By is who wants it and reason why, for the record. It returns how many.
func (g *Gateway) Resend(ctx context.Context, stream journal.Stream, n int, by, reason string) (int, error) {
	h, err := g.store.Head(ctx, stream)
	if err != nil {
		return 0, err
	}
	s := g.site(h.Site)
	if s == nil {
		return 0, fmt.Errorf("gateway: no site %q", h.Site)
	}
	if h.Kind == journal.KeptStream {
		return 0, ErrNothingToResend
	}
	a := s.actor(h.TID)
	if a == nil {
		a = g.newActor(s, h.TID)
	}
	resent := 0
	err = a.ordered(ctx, func() (err error) {
		switch h.Kind {
		case journal.ReportStream:
			resent, err = a.resendReport(stream, n, by, reason)
		case journal.VisitStream:
			resent, err = a.resendVisit(table.VisitID(stream), n, by, reason)
		case journal.TransactionStream, journal.DuplicateStream, journal.KeptStream, journal.OrphanStream:
			err = ErrNothingToResend
		}
		return err
	})
	if err != nil {
		return 0, err // resent may be written still
	}
	return resent, nil
}

// Requeue is Resend for a journal that no gateway runs on: it is only recorded,
// and sent once one does.
func Requeue(ctx context.Context, j journal.Journal, stream journal.Stream, n int, by, reason string) (int, error) {
	h, err := j.Head(ctx, stream)
	if err != nil {
		return 0, err
	}
	records, err := j.Records(ctx, stream)
	if err != nil {
		return 0, err
	}
	switch h.Kind {
	case journal.ReportStream:
		l := reportLife(j, stream, len(records))
		if l.state, err = journal.ReplayReport(records); err != nil {
			return 0, err
		}
		if err := requeueReport(ctx, &l, n, by, reason); err != nil {
			return 0, err
		}
		return 1, nil
	case journal.VisitStream:
		l := visitLife(j, stream, len(records))
		if l.state, err = journal.ReplayTable(records); err != nil {
			return 0, err
		}
		again, err := requeueVisit(ctx, &l, n, by, reason)
		return len(again), err
	case journal.TransactionStream, journal.DuplicateStream, journal.KeptStream, journal.OrphanStream:
	}
	return 0, ErrNothingToResend
}

// visitLife is the life of a visit before its state is known.
func visitLife(j journal.Journal, stream journal.Stream, count int) life[table.Visit, table.Event] {
	return life[table.Visit, table.Event]{
		ledger: ledger{store: j, stream: stream, count: count},
		apply:  table.Apply, encode: journal.EncodeTable, head: journal.TableHead, replay: journal.ReplayTable,
	}
}

// reportLife is the life of a report before its state is known.
func reportLife(j journal.Journal, stream journal.Stream, count int) life[report.Run, report.Event] {
	return life[report.Run, report.Event]{
		ledger: ledger{store: j, stream: stream, count: count},
		apply:  report.Apply, encode: journal.EncodeReport, head: journal.ReportHead, replay: journal.ReplayReport,
	}
}

// requeueVisit records that delivered notices are owed once more, and returns
// their numbers.
func requeueVisit(ctx context.Context, l *life[table.Visit, table.Event], n int, by, reason string) ([]int, error) {
	var again []int
	var events []table.Event
	for _, e := range l.state.Outbox {
		if e.Delivered && (n == 0 || e.N == n) {
			again = append(again, e.N)
			events = append(events, table.Requeued{N: e.N, By: by, Reason: reason, At: time.Now().UTC()})
		}
	}
	if len(again) == 0 {
		return nil, ErrNothingToResend
	}
	if err := l.record(ctx, events...); err != nil {
		return nil, err
	}
	return again, nil
}

// requeueReport records that a delivered report is owed once more. It is the
// only notice of its stream.
func requeueReport(ctx context.Context, l *life[report.Run, report.Event], n int, by, reason string) error {
	if !l.state.Brought || !l.state.Delivered || n > 1 {
		return ErrNothingToResend
	}
	return l.record(ctx, report.Requeued{By: by, Reason: reason, At: time.Now().UTC()})
}

func (a *actor) resendVisit(id table.VisitID, n int, by, reason string) (int, error) {
	v, err := a.reviveVisit(id)
	if err != nil {
		return 0, err
	}
	if v == nil {
		return 0, fmt.Errorf("gateway: %s is no visit of terminal %s", id, a.tid)
	}
	again, err := requeueVisit(a.g.ctx, &v.life, n, by, reason)
	for _, n := range again {
		v.owe(v.state.Outbox[n-1])
	}
	if v.state.Done() {
		v.forget()
	}
	return len(again), err
}

func (a *actor) resendReport(stream journal.Stream, n int, by, reason string) (int, error) {
	records, err := a.g.store.Records(a.g.ctx, stream)
	if err != nil {
		return 0, err
	}
	b := a.brought(stream, len(records))
	if b.state, err = journal.ReplayReport(records); err != nil {
		return 0, err
	}
	if err := requeueReport(a.g.ctx, &b.life, n, by, reason); err != nil {
		return 0, err
	}
	b.owe()
	return 1, nil
}
