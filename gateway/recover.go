package gateway

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/txn"
)

// recoverAtOnce is how many streams are read and recorded at a time, so that
// they share commits.
const recoverAtOnce = 128

// Recover takes up what an earlier process left open. It starts nothing: what
// was never sent ends as not run, what may have reached a terminal is
// unresolved until the terminal says. Call it once, before Plug and Admit.
// It returns how many requests it found open. What has its end costs nothing here,
// however much of it there is.
func (g *Gateway) Recover(ctx context.Context) (int, error) {
	heads, err := g.store.OpenStreams(ctx)
	if err != nil {
		return 0, fmt.Errorf("gateway: open streams: %w", err)
	}
	actors := make([]*actor, len(heads))
	requests := 0
	for i, h := range heads {
		s := g.site(h.Site)
		if s == nil {
			return 0, fmt.Errorf("gateway: recovering request %s: its site %q is not there", h.Stream, h.Site)
		}
		if h.Kind == journal.KeptStream {
			continue // it is of no terminal
		}
		requests++
		if actors[i] = s.actor(h.TID); actors[i] == nil {
			actors[i] = g.newActor(s, h.TID)
		}
	}
	resumes, err := g.recoverAll(ctx, heads, actors)
	if err != nil {
		return 0, err
	}
	for _, resume := range resumes { // oldest first: a terminal and a till get things in their order
		resume()
	}
	g.wg.Go(g.prunes)
	// What tills are owed is in its order before the first of them connects.
	return requests, g.settle(ctx)
}

// recoverAll recovers the streams with those heads, and returns what is to be
// done next for each. The streams do not touch each other; their actors are
// touched only by what is returned.
func (g *Gateway) recoverAll(ctx context.Context, heads []journal.Head, actors []*actor) ([]func(), error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	resumes := make([]func(), len(heads))
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(recoverAtOnce, len(heads)) {
		all.Go(func() {
			for i := int(next.Add(1) - 1); i < len(heads) && ctx.Err() == nil; i = int(next.Add(1) - 1) {
				var err error
				if resumes[i], err = g.recover(ctx, actors[i], heads[i]); err != nil {
					cancel(fmt.Errorf("gateway: recovering request %s: %w", heads[i].Stream, err))
				}
			}
		})
	}
	all.Wait()
	return resumes, context.Cause(ctx)
}

// recover records in a stream that the process was interrupted. It returns what
// is to be done once all have been recorded.
func (g *Gateway) recover(ctx context.Context, a *actor, h journal.Head) (resume func(), err error) {
	records, err := g.store.Records(ctx, h.Stream)
	if err != nil {
		return nil, err
	}
	led := ledger{store: g.store, stream: h.Stream, count: len(records)}
	switch h.Kind {
	case journal.KeptStream:
		return func() {}, g.site(h.Site).keeper.recover(h.Stream, records)
	case journal.ReportStream:
		led.key = h.RequestKey
		r := &reportRun{a: a, led: led}
		if r.run, err = journal.ReplayReport(records); err != nil {
			return nil, err
		}
		if r.run.Brought {
			b := a.brought(h.Stream, len(records))
			b.state = r.run
			return b.recover(), nil
		}
		return r.recover(ctx)
	case journal.VisitStream:
		v := a.newVisit(len(records))
		v.stream = h.Stream
		if v.state, err = journal.ReplayTable(records); err != nil {
			return nil, err
		}
		return v.recover(ctx)
	case journal.DuplicateStream:
		d := a.newDuplicate(h.Stream, h.RequestKey, len(records))
		if d.state, err = journal.ReplayDuplicate(records); err != nil {
			return nil, err
		}
		return d.recover(), nil
	case journal.OrphanStream:
		return func() {}, nil // nobody waits for it
	case journal.TransactionStream:
	}
	led.key = h.RequestKey
	t := &transaction{a: a, led: led}
	if t.txn, err = journal.ReplayTxn(records); err != nil {
		return nil, err
	}
	t.hear(records)
	return t.recover(ctx)
}

// recover takes a transaction up after a restart. Nobody waits for it.
func (t *transaction) recover(ctx context.Context) (resume func(), err error) {
	now := time.Now().UTC()
	next := t.txn
	var records []journal.Record
	if next.State != txn.Finished { // one that is was only not told
		e := txn.Restarted{At: now}
		if next, err = txn.Apply(next, e); err != nil {
			return nil, err
		}
		records = append(records, txnRecord(e))
	}
	if next.State == txn.Finished && next.Told == txn.ToldNothing {
		answer := txn.Answered{Told: txn.ToldResult, At: now}
		if next, err = txn.Apply(next, answer); err != nil {
			return nil, err
		}
		records = append(records, txnRecord(answer))
	}
	if err := t.led.commit(ctx, journal.TxnHead(next), records...); err != nil {
		return nil, err
	}
	if t.txn.Told != next.Told {
		t.toldAt = now
	}
	t.txn, t.started = next, next.Started
	return func() { t.resume(now) }, nil
}

// resume hands a transaction that was recovered at that time to its actor.
func (t *transaction) resume(recovered time.Time) {
	if t.txn.State == txn.Finished {
		t.a.do(t.advance) // what tills are owed
		return
	}
	t.a.site.keys.hand(t.led.key, t)
	t.a.do(func() {
		t.a.works[t.txn.ID] = t
		if t.txn.Told == txn.ToldNothing {
			t.limit(t.remaining())
		}
		if t.txn.Wish != nil && t.txn.SignatureBy == "" {
			limit := t.a.site.settings.Load().limits["signature"]
			left := min(max(limit-recovered.Sub(t.txn.WantedAt), 0), limit)
			t.signature = t.a.after(left, t.signatureTimedOut)
		}
		t.advance()
	})
}

// recover takes a report up after a restart. Nobody waits for it.
func (r *reportRun) recover(ctx context.Context) (resume func(), err error) {
	if err := r.record(ctx, report.Interrupted{At: time.Now().UTC()}); err != nil {
		return nil, err
	}
	return func() {
		r.a.site.keys.hand(r.led.key, r)
		r.a.do(func() {
			r.a.works[r.requestID()] = r
			r.limit()
		})
	}, nil
}
