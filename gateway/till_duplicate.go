package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// A duplicateRun is one txn.Duplicate on its way. It holds its terminal, so that
// nothing newer begins meanwhile. It belongs to its actor's goroutine.
type duplicateRun struct {
	a *actor
	life[txn.Duplicate, txn.DuplicateEvent]
	answer *txn.DuplicateFound // that is known and has yet to be recorded
}

func (a *actor) newDuplicate(id txn.RequestID, key string, records int) *duplicateRun {
	d := &duplicateRun{a: a}
	d.ledger = ledger{store: a.g.store, stream: id, key: key, count: records}
	d.apply, d.encode, d.head, d.replay = txn.ApplyDuplicate, journal.EncodeDuplicate, journal.DuplicateHead, journal.ReplayDuplicate
	return d
}

// beginDuplicate begins, or returns why not.
func (a *actor) beginDuplicate(key string, id txn.RequestID, caller txn.Caller, deviations []string) *fault {
	if f := a.takesDuplicate(suchRequest); f != nil {
		return f
	}
	d := a.newDuplicate(id, key, 0)
	wanted := txn.DuplicateWanted{ID: id, Site: a.site.settings.Load().ID, TID: a.tid, Caller: caller, Deviations: deviations, At: time.Now().UTC()}
	if err := d.record(a.g.ctx, wanted); err != nil {
		a.g.log.Error("a request was refused: it could not be recorded", "tid", a.tid, "error", err)
		if errors.Is(err, journal.ErrUncertain) {
			a.disown(d.ledger, func(now time.Time) (journal.Head, []journal.Record, error) {
				asked, _ := txn.ApplyDuplicate(txn.Duplicate{}, wanted)
				found := txn.DuplicateFound{At: now}
				end, err := txn.ApplyDuplicate(asked, found)
				return journal.DuplicateHead(end), []journal.Record{journal.EncodeDuplicate(found, now)}, err
			}, func() {})
		}
		return storage(err)
	}
	a.open(d)
	a.site.keys.hand(key, d)
	d.ask()
	return nil
}

func (d *duplicateRun) requestID() txn.RequestID { return d.stream }
func (d *duplicateRun) requestKey() string       { return d.key }
func (d *duplicateRun) actor() *actor            { return d.a }
func (d *duplicateRun) asked() body              { return body{tid: d.a.tid, duplicate: true} }

// join implements keyed. No request that somebody waits for can have such a key:
// what asks for a duplicate on a connection has none.
func (d *duplicateRun) join(*call) {}

// lost implements work: the answer comes all the same, for the record has one too.
func (d *duplicateRun) lost() {}

// returned implements work: the terminal is not asked about it.
func (d *duplicateRun) returned(bool) { delete(d.a.owed, d.stream) }

// ask has the terminal name its last transaction, and the record where it does not.
func (d *duplicateRun) ask() {
	d.a.call(askLimit, func(ctx context.Context, term terminal.Terminal) {
		o, err := d.a.lastAt(ctx, term)
		d.a.do(func() { d.found(o, err) })
	})
}

// look answers from the record alone.
func (d *duplicateRun) look() {
	o, err := d.a.g.lastTransaction(d.a.g.ctx, d.a.site.settings.Load().ID, d.a.tid, terminal.Last{}, false)
	d.found(o, err)
}

// found is the answer, which is recorded before a till sees it.
func (d *duplicateRun) found(o txn.Outcome, err error) {
	e := txn.DuplicateFound{Outcome: &o, At: time.Now().UTC()}
	switch {
	case errors.Is(err, journal.ErrNotFound):
		e.Outcome = nil
	case err != nil:
		d.a.g.log.Error("a duplicate could not be read", "tid", d.a.tid, "error", err)
		d.a.after(recordAgain, d.look)
		return
	}
	d.answer = &e
	d.end()
}

// end records the answer, and goes on trying while it cannot.
func (d *duplicateRun) end() {
	if d.state.State != txn.DuplicateFinished {
		if err := d.record(d.a.g.ctx, *d.answer); err != nil && d.state.State != txn.DuplicateFinished {
			d.a.g.log.Error("a duplicate could not be recorded yet", "tid", d.a.tid, "request", d.stream, "error", err)
			d.a.after(recordAgain, d.end)
			return
		}
	}
	d.a.closed(d)
}

// recover takes a duplicate up after a restart.
func (d *duplicateRun) recover() (resume func()) {
	return func() {
		d.a.site.keys.hand(d.key, d)
		d.a.do(func() {
			d.a.works[d.stream] = d
			d.look()
		})
	}
}
