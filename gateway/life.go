package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/tillwire/tillwire/journal"
)

// A life is a stream while it is lived: the state that its records lead to, and
// the ledger that writes them. S is the state and E its events.
type life[S, E any] struct {
	ledger
	state  S
	apply  func(S, E) (S, error)
	encode func(E, time.Time) journal.Record
	head   func(S) journal.Head
	replay func([]journal.Record) (S, error)
}

// jot applies an event that need not be on disk before the next step.
func (l *life[S, E]) jot(e E) error {
	next, err := l.apply(l.state, e)
	if err != nil {
		return err
	}
	l.state = next
	now := time.Now().UTC()
	l.note(func() journal.Record { return l.encode(e, now) })
	return nil
}

// record applies events that must be on disk before the next step, in one
// append with all that was jotted. When it fails nothing was applied; with
// ErrConflict the state is the journal's from then on.
func (l *life[S, E]) record(ctx context.Context, events ...E) error {
	next, now := l.state, time.Now().UTC()
	records := make([]journal.Record, 0, len(events))
	for _, e := range events {
		var err error
		if next, err = l.apply(next, e); err != nil {
			return err
		}
		records = append(records, l.encode(e, now))
	}
	if err := l.commit(ctx, l.head(next), records...); err != nil {
		return l.conflicted(ctx, err)
	}
	l.state = next
	return nil
}

// flush writes what was jotted.
func (l *life[S, E]) flush(ctx context.Context) error {
	return l.conflicted(ctx, l.commit(ctx, l.head(l.state)))
}

// conflicted takes up what the journal says where that is more than we know: an
// append was kept after all whose fate was not known. What was jotted since is
// given up. It returns the error of the append.
func (l *life[S, E]) conflicted(ctx context.Context, err error) error {
	if !errors.Is(err, journal.ErrConflict) || l.count == 0 {
		return err
	}
	records, unread := l.store.Records(ctx, l.stream)
	if unread != nil {
		return errors.Join(err, unread)
	}
	state, unread := l.replay(records)
	if unread != nil {
		return errors.Join(err, unread)
	}
	l.state, l.ledger = state, ledger{store: l.store, stream: l.stream, key: l.key, count: len(records)}
	return err
}
