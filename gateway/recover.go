package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/txn"
)

// Recover takes up what an earlier process left open. It starts nothing: what
// was never sent ends as not run, what may have reached a terminal is
// unresolved until the terminal says. Call it once, before Plug and Admit.
// It returns how many requests it found open.
func (g *Gateway) Recover(ctx context.Context) (int, error) {
	heads, err := g.store.OpenStreams(ctx)
	if err != nil {
		return 0, fmt.Errorf("gateway: open streams: %w", err)
	}
	for _, h := range heads {
		if err := g.recover(ctx, h); err != nil {
			return 0, fmt.Errorf("gateway: recovering request %s: %w", h.Stream, err)
		}
	}
	g.wg.Go(g.prunes)
	// What tills are owed is in its order before the first of them connects.
	return len(heads), g.settle(ctx)
}

func (g *Gateway) recover(ctx context.Context, h journal.Head) error {
	s := g.site(h.Site)
	if s == nil {
		return fmt.Errorf("its site %q is not there", h.Site)
	}
	records, err := g.store.Records(ctx, h.Stream)
	if err != nil {
		return err
	}
	a := s.actor(h.TID)
	if a == nil {
		a = g.newActor(s, h.TID)
	}
	led := ledger{store: g.store, stream: h.Stream, count: len(records)}
	switch h.Kind {
	case journal.ReportStream:
		led.key = h.RequestKey
		r := &reportRun{a: a, led: led}
		if r.run, err = journal.ReplayReport(records); err != nil {
			return err
		}
		if r.run.Brought {
			b := a.brought(h.Stream, len(records))
			b.state = r.run
			return b.recover(ctx)
		}
		return r.recover(ctx)
	case journal.VisitStream:
		v := a.newVisit(len(records))
		v.stream = h.Stream
		if v.state, err = journal.ReplayTable(records); err != nil {
			return err
		}
		return v.recover(ctx)
	case journal.OrphanStream:
		return nil // nobody waits for it
	case journal.TransactionStream:
	}
	led.key = h.RequestKey
	t := &transaction{a: a, led: led}
	if t.txn, err = journal.ReplayTxn(records); err != nil {
		return err
	}
	return t.recover(ctx)
}

// recover takes a transaction up after a restart. Nobody waits for it.
func (t *transaction) recover(ctx context.Context) error {
	now := time.Now().UTC()
	next := t.txn
	var records []journal.Record
	if next.State != txn.Finished { // one that is was only not told
		e := txn.Restarted{At: now}
		var err error
		if next, err = txn.Apply(next, e); err != nil {
			return err
		}
		records = append(records, txnRecord(e))
	}
	if next.State == txn.Finished && next.Told == txn.ToldNothing {
		answer := txn.Answered{Told: txn.ToldResult, At: now}
		var err error
		if next, err = txn.Apply(next, answer); err != nil {
			return err
		}
		records = append(records, txnRecord(answer))
	}
	if err := t.led.commit(ctx, journal.TxnHead(next), records...); err != nil {
		return err
	}
	t.txn, t.started = next, next.Started
	if t.txn.State == txn.Finished {
		t.a.do(t.advance) // what tills are owed
		return nil
	}
	t.a.site.keys.hand(t.led.key, t)
	t.a.do(func() {
		t.a.works[t.txn.ID] = t
		if t.txn.Told == txn.ToldNothing {
			t.limit(t.remaining())
		}
		if t.txn.Wish != nil && t.txn.SignatureBy == "" {
			limit := t.a.site.settings.Load().limits["signature"]
			left := min(max(limit-now.Sub(t.txn.WantedAt), 0), limit)
			t.signature = t.a.after(left, t.signatureTimedOut)
		}
		t.advance()
	})
	return nil
}

// recover takes a report up after a restart. Nobody waits for it.
func (r *reportRun) recover(ctx context.Context) error {
	if err := r.record(ctx, report.Interrupted{At: time.Now().UTC()}); err != nil {
		return err
	}
	r.a.site.keys.hand(r.led.key, r)
	r.a.do(func() {
		r.a.works[r.requestID()] = r
		r.limit()
	})
	return nil
}
