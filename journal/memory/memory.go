// Package memory is a journal that lives as long as its process: for tests,
// and as the yardstick that durable journals are measured against. It keeps
// nothing on any disk.
package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/txn"
)

// A Store is a journal.Store in memory. Use New.
type Store struct {
	mu      sync.RWMutex
	streams map[journal.Stream]*stream
	order   []*stream // as they began
	keys    map[siteKey]*stream
	sites   map[txn.SiteID]journal.Site
	doors   map[string]journal.Key
	stats   journal.Stats
	closed  bool
}

type stream struct {
	head    journal.Head
	records []journal.Record
}

type siteKey struct {
	site txn.SiteID
	key  string
}

var _ journal.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store {
	return &Store{
		streams: map[journal.Stream]*stream{},
		keys:    map[siteKey]*stream{},
		sites:   map[txn.SiteID]journal.Site{},
		doors:   map[string]journal.Key{},
	}
}

// Append implements journal.Journal.
func (s *Store) Append(ctx context.Context, a journal.Append) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := a.Check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.append(a)
	if err != nil {
		s.stats.Failures++
		return err
	}
	s.stats.Appends++
	s.stats.Commits++
	s.stats.Records += uint64(len(a.Records))
	return nil
}

func (s *Store) append(a journal.Append) error {
	if s.closed {
		return journal.ErrClosed
	}
	st := s.streams[a.Stream]
	if st == nil {
		if a.Expect != 0 {
			return journal.ErrConflict
		}
		if a.Head.RequestKey != "" {
			if s.keys[siteKey{a.Head.Site, a.Head.RequestKey}] != nil {
				return journal.ErrKeyTaken
			}
		}
		st = &stream{}
		s.streams[a.Stream] = st
		s.order = append(s.order, st)
		if a.Head.RequestKey != "" {
			s.keys[siteKey{a.Head.Site, a.Head.RequestKey}] = st
		}
	}
	if len(st.records) != a.Expect {
		return journal.ErrConflict
	}
	st.head = a.Next(st.head)
	for i, r := range a.Records {
		r.Seq, r.At = a.Expect+i+1, r.At.UTC()
		st.records = append(st.records, r)
	}
	return nil
}

// Records implements journal.Journal.
func (s *Store) Records(ctx context.Context, id journal.Stream) ([]journal.Record, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	st := s.streams[id]
	if st == nil {
		return nil, journal.ErrNotFound
	}
	return slices.Clone(st.records), nil
}

// Head implements journal.Journal.
func (s *Store) Head(ctx context.Context, id journal.Stream) (journal.Head, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.ready(ctx); err != nil {
		return journal.Head{}, err
	}
	return head(s.streams[id])
}

// OpenStreams implements journal.Journal.
func (s *Store) OpenStreams(ctx context.Context) ([]journal.Head, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	return s.selected(func(h journal.Head) bool { return h.Open }), nil
}

// LastCounting implements journal.Journal.
func (s *Store) LastCounting(ctx context.Context, site txn.SiteID, tid txn.TID) (journal.Head, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.ready(ctx); err != nil {
		return journal.Head{}, err
	}
	var last *stream
	for _, st := range s.order {
		h := st.head
		if h.Kind == journal.TransactionStream && h.Counts && h.Site == site && h.TID == tid {
			last = st
		}
	}
	return head(last)
}

// ByKey implements journal.Journal.
func (s *Store) ByKey(ctx context.Context, site txn.SiteID, key string) (journal.Head, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.ready(ctx); err != nil {
		return journal.Head{}, err
	}
	return head(s.keys[siteKey{site, key}])
}

// List implements journal.Journal.
func (s *Store) List(ctx context.Context, q journal.Query) ([]journal.Head, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	heads := s.selected(q.Selects)
	if !q.OldestFirst {
		slices.Reverse(heads)
	}
	return heads[:min(len(heads), q.Max())], nil
}

// Prune implements journal.Journal.
func (s *Store) Prune(ctx context.Context, heads []journal.Head, _ string) ([]journal.Head, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	var gone []journal.Head
	for _, h := range heads {
		st := s.streams[h.Stream]
		if st == nil || st.head.Open || st.head.Records != h.Records {
			continue
		}
		gone = append(gone, st.head)
		delete(s.streams, h.Stream)
		if st.head.RequestKey != "" {
			delete(s.keys, siteKey{st.head.Site, st.head.RequestKey})
		}
	}
	s.order = slices.DeleteFunc(s.order, func(st *stream) bool { return s.streams[st.head.Stream] != st })
	return gone, nil
}

// Verify implements journal.Journal. There is no chain: nobody reaches the
// memory of the process.
func (s *Store) Verify(ctx context.Context) (journal.Verification, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.ready(ctx); err != nil {
		return journal.Verification{}, err
	}
	v := journal.Verification{Streams: len(s.order)}
	for _, st := range s.order {
		v.Records += len(st.records)
	}
	return v, nil
}

// Healthy implements journal.Journal.
func (s *Store) Healthy() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.ready(context.Background())
}

// Stats implements journal.Journal.
func (s *Store) Stats() journal.Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.stats
}

// Close implements journal.Journal.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// PutSite implements journal.Register.
func (s *Store) PutSite(ctx context.Context, site journal.Site) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return err
	}
	s.sites[site.ID] = site
	return nil
}

// Sites implements journal.Register.
func (s *Store) Sites(ctx context.Context) ([]journal.Site, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(s.sites), func(a, b journal.Site) int { return cmp.Compare(a.ID, b.ID) }), nil
}

// PutKey implements journal.Register.
func (s *Store) PutKey(ctx context.Context, k journal.Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return err
	}
	s.doors[k.ID] = k
	return nil
}

// Keys implements journal.Register.
func (s *Store) Keys(ctx context.Context) ([]journal.Key, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(s.doors), func(a, b journal.Key) int { return cmp.Compare(a.ID, b.ID) }), nil
}

// ready is called with the lock held.
func (s *Store) ready(ctx context.Context) error {
	if s.closed {
		return journal.ErrClosed
	}
	return ctx.Err()
}

// selected returns the heads that pass, oldest first.
func (s *Store) selected(pass func(journal.Head) bool) []journal.Head {
	var out []journal.Head
	for _, st := range s.order {
		if pass(st.head) {
			out = append(out, st.head)
		}
	}
	slices.SortStableFunc(out, func(a, b journal.Head) int { return a.AcceptedAt.Compare(b.AcceptedAt) })
	return out
}

func head(st *stream) (journal.Head, error) {
	if st == nil {
		return journal.Head{}, journal.ErrNotFound
	}
	return st.head, nil
}
