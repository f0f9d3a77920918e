package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/txn"
)

// This file keeps what terminals say of requests that are not open here: the
// same end once more, another end than the recorded one, or the end of
// something that nobody on this site asked this terminal for.

// stream finds the head of a request of that kind at this very terminal. It
// reports mine false when the id is unknown or belongs to anything else: a
// terminal has no say about another one's requests, least of all another site's.
func (a *actor) stream(ctx context.Context, kind journal.StreamKind, id txn.RequestID) (h journal.Head, mine bool, err error) {
	h, err = a.g.store.Head(ctx, id)
	if errors.Is(err, journal.ErrNotFound) {
		return h, false, nil
	}
	mine = h.Kind == kind && h.Site == a.site.settings.Load().ID && foldTID(h.TID) == foldTID(a.tid)
	return h, mine && err == nil, err
}

// keepOutcome records what a terminal said of a transaction that has its end,
// or that nobody here knows.
func (g *Gateway) keepOutcome(ctx context.Context, a *actor, id txn.RequestID, o txn.Outcome) error {
	o = fitting(o)
	_, mine, err := a.stream(ctx, journal.TransactionStream, id)
	if err != nil {
		return err
	}
	if !mine {
		return a.keepOrphan(ctx, journal.Orphan{ID: id, Outcome: &o})
	}
	records, err := g.store.Records(ctx, id)
	if err != nil {
		return err
	}
	t, err := journal.ReplayTxn(records)
	if err != nil {
		return err
	}
	if t.State != txn.Finished {
		return fmt.Errorf("gateway: request %s is open and in nobody's hands", id)
	}
	if o.Result == txn.TimedOut {
		return nil // it claims nothing
	}
	if err := unusable(o, t.Request.Currency); err != nil {
		g.log.Error("a terminal's word on a request that has its end cannot be used", "tid", a.tid, "request", id, "error", err)
		return a.keepOrphan(ctx, journal.Orphan{ID: id, Outcome: &o})
	}
	e := txn.Contradicted{Outcome: o, At: time.Now().UTC()}
	next, err := txn.Apply(t, e)
	if err != nil {
		return nil // it says nothing new
	}
	if next.Disputed() {
		g.log.Error("a terminal contradicts what was recorded", "tid", a.tid, "request", id, "said", o.Result)
		g.metrics.conflicts.Inc()
	} else {
		g.log.Info("a terminal confirms what was recorded by hand", "tid", a.tid, "request", id, "said", o.Result)
	}
	l := ledger{store: g.store, stream: id, count: len(records)}
	if err := l.commit(ctx, journal.TxnHead(next), txnRecord(e)); err != nil {
		return err
	}
	if next.Uncorrected() {
		a.correct(next, l.count)
	}
	return nil
}

// keepReport records a report that came after its end, or that nobody here
// knows.
func (g *Gateway) keepReport(ctx context.Context, a *actor, id txn.RequestID, r report.Report) error {
	r = fittingReport(r)
	_, mine, err := a.stream(ctx, journal.ReportStream, id)
	if err != nil {
		return err
	}
	if !mine {
		return a.keepOrphan(ctx, journal.Orphan{ID: id, Report: &r})
	}
	records, err := g.store.Records(ctx, id)
	if err != nil {
		return err
	}
	run, err := journal.ReplayReport(records)
	if err != nil {
		return err
	}
	if run.State != report.Finished {
		return fmt.Errorf("gateway: request %s is open and in nobody's hands", id)
	}
	e := report.Made{Report: r, At: time.Now().UTC()}
	next, err := report.Apply(run, e)
	if err != nil {
		return nil // it is recorded already
	}
	l := ledger{store: g.store, stream: id, count: len(records)}
	return l.commit(ctx, journal.ReportHead(next), journal.EncodeReport(e, e.At))
}

// keepOrphan records what a terminal said of a request that is not its own. The
// stream is named after all of it, so that a word told again is kept once, and
// so that no terminal can take the name of another one's request.
func (a *actor) keepOrphan(ctx context.Context, o journal.Orphan) error {
	said := o.ID
	o.Site, o.TID = a.site.settings.Load().ID, a.tid
	h, err := a.g.store.Head(ctx, said)
	switch {
	case said == "", err == nil && (h.Kind != journal.OrphanStream || h.Site != o.Site || h.TID != o.TID):
		sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", o.Site, o.TID, said))
		o.ID = txn.RequestID("o" + hex.EncodeToString(sum[:16]))
	case err == nil:
		return nil // it is kept already
	case !errors.Is(err, journal.ErrNotFound):
		return err
	}
	a.g.log.Error("a terminal told the end of a request that it was never given from here", "tid", a.tid, "request", said, "kept", o.ID)
	now := time.Now().UTC()
	err = a.g.store.Append(ctx, journal.Append{
		Stream: o.ID, Records: []journal.Record{journal.EncodeOrphan(o, now)}, Head: journal.OrphanHead(o, now),
	})
	if errors.Is(err, journal.ErrConflict) {
		return nil // it is kept already
	}
	if err == nil {
		a.g.metrics.orphans.Inc()
	}
	return err
}
