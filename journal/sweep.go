package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
)

// A Cut says what may be pruned: what has its end, and had it before a time.
type Cut struct {
	Site txn.SiteID // empty is all
	// Outcomes is for all but reports, Reports for those: what
	// ended before it may go. A zero time leaves that kind alone.
	Outcomes, Reports time.Time
	// Looked says that people have looked at conflicts and orphans, so that those
	// may go as well.
	Looked bool
	DryRun bool          // only count
	Most   int           // streams at most; 0 is no limit
	Pause  time.Duration // between two steps, for whoever else writes
	Why    string        // for the record
}

// A Keeping is why something is not pruned although it is old.
type Keeping string

// Why old streams are kept.
const (
	KeptOpen     Keeping = "open"     // without a recorded end, stored, or owed to a till
	KeptConflict Keeping = "conflict" // two words on it differ, and people have yet to look
	KeptOrphan   Keeping = "orphan"   // no till may have booked it (of a stored table: something of it), and people have yet to look
	KeptLast     Keeping = "last"     // the last of its terminal, which a duplicate names
)

// A Sweeping is what became of a Cut.
type Sweeping struct {
	Streams, Records int // that are gone, or would go
	Kept             map[Keeping]int
}

// sweepStep is how many streams are pruned at once: few, so that an append
// never waits long behind them.
const sweepStep = 32

// Sweep prunes what the cut lets go, in small steps, oldest first. What is open,
// unresolved or owed to a till stays however old it is, and so does the last
// transaction of each terminal: without it a duplicate would name an older one.
// It may be stopped at any time by its context.
func Sweep(ctx context.Context, j Journal, c Cut) (Sweeping, error) {
	s := sweep{j: j, cut: c, out: Sweeping{Kept: map[Keeping]int{}}, last: map[terminalKey]Stream{}, seen: map[Stream]bool{}}
	err := s.run(ctx, Query{Kind: ReportStream, Until: c.Reports})
	if err == nil {
		err = s.run(ctx, Query{Until: c.Outcomes})
	}
	return s.out, err
}

// run goes through what q selects: without a kind, all but reports.
func (s *sweep) run(ctx context.Context, q Query) error {
	q.Site, q.OldestFirst, q.Limit = s.cut.Site, true, sweepStep
	for more := !q.Until.IsZero(); more; {
		heads, err := s.j.List(ctx, q)
		if err != nil {
			return err
		}
		page, err := s.sift(ctx, q, heads)
		if err != nil {
			return err
		}
		if err := s.prune(ctx, page); err != nil {
			return err
		}
		switch { // a page begins in the instant in which the one before ended
		case len(heads) < q.Limit, s.cut.Most > 0 && s.out.Streams >= s.cut.Most:
			more = false
		case heads[len(heads)-1].AcceptedAt.Equal(q.Since):
			q.Limit *= 2 // more than a page was accepted in one instant
		default:
			q.Since = heads[len(heads)-1].AcceptedAt
			clear(s.seen)
		}
		for _, h := range heads {
			if h.AcceptedAt.Equal(q.Since) {
				s.seen[h.Stream] = true
			}
		}
	}
	clear(s.seen)
	return nil
}

// terminalKey names a terminal of a site.
type terminalKey struct {
	site txn.SiteID
	tid  txn.TID
}

type sweep struct {
	j    Journal
	cut  Cut
	out  Sweeping
	last map[terminalKey]Stream
	seen map[Stream]bool // pages overlap
}

// sift returns those of the heads that may go.
func (s *sweep) sift(ctx context.Context, q Query, heads []Head) ([]Head, error) {
	var out []Head
	for _, h := range heads {
		if s.cut.Most > 0 && s.out.Streams+len(out) >= s.cut.Most {
			break
		}
		if s.seen[h.Stream] || h.Kind == ReportStream && q.Kind == "" || !h.Open && !h.EndedAt.Before(q.Until) {
			continue
		}
		why, err := s.keeps(ctx, h)
		if errors.Is(err, ErrNotFound) {
			continue // somebody else has pruned it
		}
		if err != nil {
			return nil, fmt.Errorf("journal: %s: %w", h.Stream, err)
		}
		if why == "" && !s.cut.DryRun {
			out = append(out, h)
			continue
		}
		if why != "" {
			s.out.Kept[why]++
			continue
		}
		s.out.Streams++
		s.out.Records += h.Records
	}
	return out, nil
}

// keeps says why an old stream must stay, or nothing.
func (s *sweep) keeps(ctx context.Context, h Head) (Keeping, error) {
	if h.Open {
		return KeptOpen, nil
	}
	if h.Kind == TransactionStream {
		last, err := s.lastOf(ctx, h)
		if err != nil || last == h.Stream {
			return KeptLast, err
		}
	}
	if s.cut.Looked {
		return "", nil
	}
	switch h.Kind {
	case OrphanStream:
		return KeptOrphan, nil
	case KeptStream:
		if h.State == string(table.Stray) {
			return KeptOrphan, nil
		}
	case TransactionStream, VisitStream:
		records, err := s.j.Records(ctx, h.Stream)
		if err != nil {
			return "", err
		}
		disputed, err := disputed(h.Kind, records)
		if disputed {
			return KeptConflict, err
		}
		return "", err
	case ReportStream, DuplicateStream:
	}
	return "", nil
}

// lastOf returns the stream that a duplicate at h's terminal would name.
func (s *sweep) lastOf(ctx context.Context, h Head) (Stream, error) {
	key := terminalKey{h.Site, h.TID}
	last, known := s.last[key]
	if known {
		return last, nil
	}
	found, err := s.j.LastCounting(ctx, h.Site, h.TID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return "", err
	}
	s.last[key] = found.Stream
	return found.Stream, nil
}

// disputed reports whether two words on a transaction, or on a payment of a
// visit, differ.
func disputed(kind StreamKind, records []Record) (bool, error) {
	if kind == TransactionStream {
		t, err := ReplayTxn(records)
		return t.Disputed(), err
	}
	v, err := ReplayTable(records)
	for _, p := range v.Payments {
		if p.Conflict != nil {
			return true, err
		}
	}
	return false, err
}

// prune removes the streams of a page, a step at a time.
func (s *sweep) prune(ctx context.Context, heads []Head) error {
	for step := range slices.Chunk(heads, sweepStep) {
		gone, err := s.j.Prune(ctx, step, s.cut.Why)
		for _, h := range gone {
			s.out.Streams++
			s.out.Records += h.Records
		}
		if err != nil {
			return err
		}
		select {
		case <-time.After(s.cut.Pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}
