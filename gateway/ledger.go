package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/txn"
)

// A ledger writes one stream. Records that may wait are noted and ride along
// with the next append that must not.
type ledger struct {
	store  journal.Journal
	stream journal.Stream
	count  int // records known to be kept
	notes  []journal.Record
}

// note keeps a record for the next commit.
func (l *ledger) note(r journal.Record) { l.notes = append(l.notes, r) }

// commit appends the notes and the records with the head that results. When it
// fails, nothing was kept, the records are not noted, and the notes still wait.
func (l *ledger) commit(ctx context.Context, head journal.Head, records ...journal.Record) error {
	all := append(l.notes[:len(l.notes):len(l.notes)], records...)
	if len(all) == 0 {
		return nil
	}
	a := journal.Append{Stream: l.stream, Expect: l.count, Records: all, Head: head}
	err := l.store.Append(ctx, a)
	if errors.Is(err, journal.ErrUncertain) {
		err = l.settle(ctx, a)
	}
	if err != nil {
		return err
	}
	l.count += len(all)
	l.notes = nil
	return nil
}

// settle finds out whether an append whose fate is not known was kept.
func (l *ledger) settle(ctx context.Context, a journal.Append) error {
	h, err := l.store.Head(ctx, l.stream)
	switch {
	case errors.Is(err, journal.ErrNotFound) && a.Expect == 0, err == nil && h.Records == a.Expect:
		return l.store.Append(ctx, a)
	case err == nil && h.Records == a.Expect+len(a.Records):
		return nil
	case err == nil:
		return journal.ErrConflict
	}
	return err
}

// txnRecord is an event of a transaction in its stored form.
func txnRecord(e txn.Event) journal.Record { return journal.EncodeTxn(e, time.Now().UTC()) }
