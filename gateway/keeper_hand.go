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

// This file ends the lock of a stored table by an operator's hand.

// ErrNotLocked says that nobody holds the table.
var ErrNotLocked = errors.New("gateway: the table is not locked")

// UnlockTable ends whatever lock a stored table is under. A visit that held it
// goes on, and what it pays is booked to the table. By is who wants it and reason
// why, for the record; it returns whose lock it was. The error is ErrNoTable or
// ErrNotLocked.
func (g *Gateway) UnlockTable(ctx context.Context, site txn.SiteID, name table.TableID, by, reason string) (holder string, err error) {
	s := g.site(site)
	if s == nil {
		return "", fmt.Errorf("gateway: no site %q", site)
	}
	t := s.keeper.named(name)
	if t == nil {
		return "", ErrNoTable
	}
	before, _, err := s.keeper.change(ctx, t, func(table.Kept) []table.KeptEvent {
		return []table.KeptEvent{table.UnlockedByHand{By: by, Reason: reason, At: time.Now().UTC()}}
	})
	if err != nil {
		return "", unlockError(err)
	}
	g.metrics.overrides.Inc()
	g.log.Warn("an operator ended the lock of a stored table", "site", site, "table", name, "held by", before.LockedBy, "by", by)
	return before.LockedBy, nil
}

func unlockError(err error) error {
	var refused *table.KeptRefusal
	if errors.As(err, &refused) && refused.Why == table.LockNotHeld {
		return ErrNotLocked
	}
	return err
}

// FreeTable is UnlockTable for a journal that no gateway runs on.
func FreeTable(ctx context.Context, j journal.Journal, site txn.SiteID, name table.TableID, by, reason string) (holder string, err error) {
	heads, err := j.OpenStreams(ctx)
	if err != nil {
		return "", err
	}
	for _, h := range heads {
		if h.Kind != journal.KeptStream || h.Site != site {
			continue
		}
		records, err := j.Records(ctx, h.Stream)
		if err != nil {
			return "", err
		}
		l := keptLife(j, h.Stream, len(records))
		if l.state, err = journal.ReplayKept(records); err != nil {
			return "", err
		}
		if l.state.Name != name {
			continue
		}
		holder := l.state.LockedBy
		return holder, unlockError(l.record(ctx, table.UnlockedByHand{By: by, Reason: reason, At: time.Now().UTC()}))
	}
	return "", ErrNoTable
}
