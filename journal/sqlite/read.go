package sqlite

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/txn"
)

// The queries. A test asks SQLite for the plan of each.
const (
	// entryQuery reads an entry with the hash that it follows.
	entryQuery = `SELECT e.prev, e.hash, e.data, p.hash FROM entries e LEFT JOIN entries p ON p.id = e.id - 1 WHERE e.id = ?`
	headQuery  = `SELECT ` + headColumns + ` FROM heads WHERE stream = ?`
	openQuery  = `SELECT ` + headColumns + ` FROM heads WHERE open = 1 ORDER BY accepted, id`
	lastQuery  = `SELECT ` + headColumns + ` FROM heads WHERE +site = ? AND tid = ? AND counts = 1 AND kind = 'transaction' ORDER BY accepted DESC, id DESC LIMIT 1`
	// laterQuery finds what came after that by the order of the journal, because the
	// clock was set back. It looks at the numbers in the terminal's index only.
	laterQuery  = `SELECT max(id) FROM heads INDEXED BY heads_tid WHERE tid = ? AND id > ? AND +site = ? AND counts = 1 AND kind = 'transaction'`
	byIDQuery   = `SELECT ` + headColumns + ` FROM heads WHERE id = ?`
	byKeyQuery  = `SELECT ` + headColumns + ` FROM heads WHERE site = ? AND request_key = ? AND request_key <> ''`
	sitesQuery  = `SELECT id, name, time_zone, strict, reject_unanswered, simulated, limits, created, pat, sum FROM sites ORDER BY id`
	keysQuery   = `SELECT id, site, hash, faces, note, created, revoked, sum FROM keys ORDER BY id`
	chainQuery  = `SELECT id, prev, hash, data FROM entries ORDER BY id`
	streamQuery = `SELECT ` + headColumns + ` FROM heads ORDER BY id`
	// olderSitesQuery is sitesQuery for a database before keeperSchema, which is only
	// read.
	olderSitesQuery = `SELECT id, name, time_zone, strict, reject_unanswered, simulated, limits, created, '', sum FROM sites ORDER BY id`
	// inUseQuery finds the sites that have streams, each by one look at an index.
	inUseQuery = `WITH RECURSIVE used (site) AS (
		SELECT min(site) FROM heads
		UNION ALL SELECT (SELECT min(h.site) FROM heads h WHERE h.site > used.site) FROM used WHERE used.site IS NOT NULL
	) SELECT site FROM used WHERE site IS NOT NULL`
)

// queries are those of the hot path, prepared.
type queries struct{ entry, head, last, later, byID, byKey *sql.Stmt }

func (q *queries) prepare(db *sql.DB) error {
	for query, to := range map[string]**sql.Stmt{
		entryQuery: &q.entry, headQuery: &q.head, lastQuery: &q.last, laterQuery: &q.later, byIDQuery: &q.byID, byKeyQuery: &q.byKey,
	} {
		var err error
		if *to, err = db.Prepare(query); err != nil {
			return err
		}
	}
	return nil
}

func (q *queries) close() error {
	return errors.Join(q.entry.Close(), q.head.Close(), q.last.Close(), q.later.Close(), q.byID.Close(), q.byKey.Close())
}

// A loaded is a row of entries with the hash before it, not yet trusted.
type loaded struct {
	prev         int64
	hash, before []byte // before is nil for the first
	data         []byte
}

// sum returns the digest of the data that the chain covers.
func (l *loaded) sum() digest {
	if len(l.data) == 1+sha256.Size && l.data[0] == stubFormat {
		return digest(l.data[1:])
	}
	return sha256.Sum256(l.data)
}

// check returns the entry if its hash fits and it can be read, or a
// *journal.TamperedError. Of one that was pruned nothing can be read.
func (l *loaded) check(id int64, genesis digest) (entry, error) {
	before := genesis
	if id > 1 && copy(before[:], l.before) != len(before) {
		return entry{}, &journal.TamperedError{What: fmt.Sprintf("entry %d is missing", id-1)}
	}
	sum := l.sum()
	if want := link(before, l.prev, sum); string(want[:]) != string(l.hash) {
		// Name the record too, if it can still be made out.
		if e, err := decodeEntry(l.data); err == nil {
			return entry{}, &journal.TamperedError{What: fmt.Sprintf("entry %d: record %d of stream %q", id, e.expect+1, e.stream)}
		}
		return entry{}, &journal.TamperedError{What: fmt.Sprintf("entry %d", id)}
	}
	if len(l.data) > 0 && l.data[0] == stubFormat && string(l.data) == string(stub(sum)) {
		return entry{}, nil
	}
	e, err := decodeEntry(l.data)
	if err != nil {
		return entry{}, &journal.TamperedError{What: fmt.Sprintf("entry %d: %v", id, err)}
	}
	return e, nil
}

// stream reads the entries of one stream, from the last back to the first,
// and returns them in order with their ids. Each is checked against the chain.
func (s *Store) stream(ctx context.Context, entryStmt *sql.Stmt, last int64) ([]int64, []entry, error) {
	var ids []int64
	var entries []entry
	for id := last; id != 0; {
		var l loaded
		err := entryStmt.QueryRowContext(ctx, id).Scan(&l.prev, &l.hash, &l.data, &l.before)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, nil, &journal.TamperedError{What: fmt.Sprintf("entry %d is missing", id)}
		}
		if err != nil {
			return nil, nil, wrap(err)
		}
		e, err := l.check(id, s.genesis)
		if err != nil {
			return nil, nil, err
		}
		if e.gone() {
			return nil, nil, &journal.TamperedError{What: fmt.Sprintf("entry %d was pruned, and a stream leads there", id)}
		}
		if n := len(entries); n > 0 && (entries[n-1].stream != e.stream || entries[n-1].expect != e.expect+len(e.records)) ||
			l.prev >= id || (l.prev == 0) != (e.expect == 0) {
			return nil, nil, &journal.TamperedError{What: fmt.Sprintf("entry %d is not what stream %q follows", id, e.stream)}
		}
		ids, entries = append(ids, id), append(entries, e)
		id = l.prev
	}
	slices.Reverse(ids)
	slices.Reverse(entries)
	return ids, entries, nil
}

// Records implements journal.Journal. What it returns fits the chain, else it
// returns a *journal.TamperedError.
func (s *Store) Records(ctx context.Context, id journal.Stream) ([]journal.Record, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	r, err := one(s.q.head.QueryRowContext(ctx, string(id)))
	if err != nil {
		return nil, err
	}
	_, entries, err := s.stream(ctx, s.q.entry, r.last)
	if err != nil {
		// It may have been pruned between the two looks.
		if _, gone := one(s.q.head.QueryRowContext(ctx, string(id))); errors.Is(gone, journal.ErrNotFound) {
			err = gone
		}
		return nil, err
	}
	var records []journal.Record
	for _, e := range entries {
		if e.stream != id {
			return nil, &journal.TamperedError{What: fmt.Sprintf("the head of stream %q leads to %q", id, e.stream)}
		}
		records = append(records, e.records...)
	}
	if len(records) != r.head.Records {
		return nil, &journal.TamperedError{What: fmt.Sprintf("the head of stream %q tells of %d records; %d are there", id, r.head.Records, len(records))}
	}
	return records, nil
}

// Head implements journal.Journal.
func (s *Store) Head(ctx context.Context, id journal.Stream) (journal.Head, error) {
	if err := s.ready(); err != nil {
		return journal.Head{}, err
	}
	r, err := one(s.q.head.QueryRowContext(ctx, string(id)))
	return r.head, err
}

// OpenStreams implements journal.Journal.
func (s *Store) OpenStreams(ctx context.Context) ([]journal.Head, error) {
	return s.heads(ctx, openQuery)
}

// LastCounting implements journal.Journal.
func (s *Store) LastCounting(ctx context.Context, site txn.SiteID, tid txn.TID) (journal.Head, error) {
	if err := s.ready(); err != nil {
		return journal.Head{}, err
	}
	r, err := one(s.q.last.QueryRowContext(ctx, string(site), string(tid)))
	if err != nil {
		return r.head, err
	}
	var later sql.NullInt64
	if err := s.q.later.QueryRowContext(ctx, string(tid), r.id, string(site)).Scan(&later); err != nil {
		return journal.Head{}, fmt.Errorf("journal: %w", err)
	}
	if later.Valid {
		r, err = one(s.q.byID.QueryRowContext(ctx, later.Int64))
	}
	return r.head, err
}

// ByKey implements journal.Journal.
func (s *Store) ByKey(ctx context.Context, site txn.SiteID, key string) (journal.Head, error) {
	if err := s.ready(); err != nil {
		return journal.Head{}, err
	}
	r, err := one(s.q.byKey.QueryRowContext(ctx, string(site), key))
	return r.head, err
}

// List implements journal.Journal.
func (s *Store) List(ctx context.Context, q journal.Query) ([]journal.Head, error) {
	if q.Site == "" && q.TID == "" && q.Kind != journal.OrphanStream {
		return s.listAll(ctx, q)
	}
	query, args := listQuery(q, q.Site != "")
	return s.heads(ctx, query, args...)
}

// listAll lists what all sites have, from what each has: no index holds the heads
// of all in the order of a list. What comes meanwhile may or may not be in it.
func (s *Store) listAll(ctx context.Context, q journal.Query) ([]journal.Head, error) {
	sites, err := all(ctx, s, func(scan scanner) (site txn.SiteID, err error) {
		err = scan((*string)(&site))
		return site, err
	}, inUseQuery)
	if err != nil {
		return nil, err
	}
	var found []row
	for _, q.Site = range sites {
		query, args := listQuery(q, true)
		more, err := s.rows(ctx, query, args...)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
		slices.SortFunc(found, func(a, b row) int {
			order := cmp.Or(a.head.AcceptedAt.Compare(b.head.AcceptedAt), cmp.Compare(a.id, b.id))
			if q.OldestFirst {
				return order
			}
			return -order
		})
		found = found[:min(len(found), q.Max())]
	}
	return headsOf(found), nil
}

// listQuery writes the query for q with the conditions it has and no others,
// so that an index serves it. OfSite says whether the site is one of them. Where
// a terminal is named its index is the one: it holds least.
func listQuery(q journal.Query, ofSite bool) (string, []any) {
	var where []string
	var args []any
	switch {
	case ofSite && q.TID != "":
		where, args = append(where, "+site = ?"), append(args, string(q.Site))
	case ofSite:
		where, args = append(where, "site = ?"), append(args, string(q.Site))
	}
	if q.TID != "" {
		where, args = append(where, "tid = ?"), append(args, string(q.TID))
	}
	switch q.Kind {
	case "":
	case journal.ReportStream, journal.KeptStream, journal.OrphanStream: // in these words they have an index
		where = append(where, "kind = '"+string(q.Kind)+"'")
	default:
		where, args = append(where, "kind = ?"), append(args, string(q.Kind))
	}
	if q.State != "" {
		where, args = append(where, "state = ?"), append(args, q.State)
	}
	if !q.Since.IsZero() {
		where, args = append(where, "accepted >= ?"), append(args, nanos(q.Since))
	}
	if !q.Until.IsZero() {
		where, args = append(where, "accepted < ?"), append(args, nanos(q.Until))
	}
	query := "SELECT " + headColumns + " FROM heads"
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	if q.OldestFirst {
		query += " ORDER BY accepted, id LIMIT ?"
	} else {
		query += " ORDER BY accepted DESC, id DESC LIMIT ?"
	}
	return query, append(args, q.Max())
}

func (s *Store) heads(ctx context.Context, query string, args ...any) ([]journal.Head, error) {
	found, err := s.rows(ctx, query, args...)
	return headsOf(found), err
}

// rows returns the rows of the table heads that a query finds.
func (s *Store) rows(ctx context.Context, query string, args ...any) ([]row, error) {
	return all(ctx, s, func(scan scanner) (r row, err error) {
		err = r.scan(scan)
		return r, err
	}, query, args...)
}

func headsOf(rows []row) []journal.Head {
	var out []journal.Head
	for _, r := range rows {
		out = append(out, r.head)
	}
	return out
}

// A scanner reads the columns of a row.
type scanner = func(...any) error

// all returns what read makes of each row that a query finds.
func all[T any](ctx context.Context, s *Store, read func(scanner) (T, error), query string, args ...any) ([]T, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, wrap(err)
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := read(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, wrap(rows.Err())
}

// one scans a query's only row.
func one(found *sql.Row) (row, error) {
	var r row
	err := r.scan(found.Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return row{}, journal.ErrNotFound
	}
	return r, err
}

// ready returns ErrClosed once the store is closed.
func (s *Store) ready() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return journal.ErrClosed
	}
	return nil
}
