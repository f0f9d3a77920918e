package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/txn"
)

// A ledger writes one stream. Records that may wait are noted and ride along
// with the next append that must not.
type ledger struct {
	store  journal.Journal
	stream journal.Stream
	key    string // the request key, if there is one
	count  int    // records known to be kept
	notes  []func() journal.Record
	doubt  bool // count may not be all that was kept
}

// note keeps a record for the next commit, and has it written out only then: a
// till that hears of progress does not wait for that.
func (l *ledger) note(r func() journal.Record) { l.notes = append(l.notes, r) }

// commit appends the notes and the records with the head that results. When it
// fails, the records are not noted and the notes still wait. Nothing was kept
// then, unless the error is ErrUncertain; the next commit finds out, and fails
// with ErrConflict if it was.
func (l *ledger) commit(ctx context.Context, head journal.Head, records ...journal.Record) error {
	if len(l.notes)+len(records) == 0 {
		return nil
	}
	all := make([]journal.Record, 0, len(l.notes)+len(records))
	for _, note := range l.notes {
		all = append(all, note())
	}
	all = append(all, records...)
	if l.doubt {
		if err := l.resolve(ctx); err != nil {
			return err
		}
	}
	head.RequestKey = l.key
	a := journal.Append{Stream: l.stream, Expect: l.count, Records: all, Head: head}
	err := l.store.Append(ctx, a)
	if errors.Is(err, journal.ErrUncertain) {
		err = l.settle(ctx, a)
	}
	if err != nil {
		l.doubt = l.doubt || errors.Is(err, journal.ErrConflict)
		return err
	}
	l.count += len(all)
	l.notes = nil
	return nil
}

// settle finds out whether an append whose fate is not known was kept, and
// tries once more if it was not.
func (l *ledger) settle(ctx context.Context, a journal.Append) error {
	n, err := l.kept(ctx)
	switch {
	case err != nil:
		err = fmt.Errorf("%w: %w", journal.ErrUncertain, err)
	case n == a.Expect:
		err = l.store.Append(ctx, a)
	case n == a.Expect+len(a.Records):
		return nil
	default:
		return journal.ErrConflict
	}
	l.doubt = errors.Is(err, journal.ErrUncertain)
	return err
}

// resolve ends the doubt about an append before the next one.
func (l *ledger) resolve(ctx context.Context) error {
	n, err := l.kept(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", journal.ErrUncertain, err)
	}
	if n != l.count {
		return journal.ErrConflict // for as long as nobody reads the stream anew
	}
	l.doubt = false
	return nil
}

// kept returns how many records the stream has.
func (l *ledger) kept(ctx context.Context) (int, error) {
	h, err := l.store.Head(ctx, l.stream)
	if errors.Is(err, journal.ErrNotFound) {
		return 0, nil
	}
	return h.Records, err
}

// disown ends a request that may have come to disk although nobody could know:
// its till was told that it was not taken, and the terminal was never told. It
// goes on until it is known that nothing was kept, or that its end is; then done
// is called.
func (a *actor) disown(l ledger, end func(now time.Time) (journal.Head, []journal.Record, error), done func()) {
	n, err := l.kept(a.g.ctx)
	if err == nil && n > 0 {
		head, records, illegal := end(time.Now().UTC())
		if illegal != nil {
			a.g.log.Error("event refused", "error", illegal)
			done()
			return
		}
		mine := ledger{store: l.store, stream: l.stream, count: n}
		err = mine.commit(a.g.ctx, head, records...)
	}
	if err != nil {
		a.g.log.Error("a request that was refused may be on disk, open", "request", l.stream, "error", err)
		a.after(disownAgain, func() { a.disown(l, end, done) })
		return
	}
	done()
}

// disownAgain is the pause between tries to end a request that nobody waits for.
const disownAgain = time.Minute

// txnRecord is an event of a transaction in its stored form.
func txnRecord(e txn.Event) journal.Record { return journal.EncodeTxn(e, time.Now().UTC()) }
