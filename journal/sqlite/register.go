package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/txn"
)

const (
	putSiteQuery = `INSERT OR REPLACE INTO sites (id, name, time_zone, strict, reject_unanswered, simulated, limits, created, sum) VALUES (?,?,?,?,?,?,?,?,?)`
	putKeyQuery  = `INSERT OR REPLACE INTO keys (id, site, hash, faces, note, created, revoked, sum) VALUES (?,?,?,?,?,?,?,?)`
)

// PutSite implements journal.Register.
func (s *Store) PutSite(ctx context.Context, site journal.Site) error {
	limits := make(map[string]int64, len(site.Limits))
	for name, limit := range site.Limits {
		limits[name] = int64(limit)
	}
	text, err := json.Marshal(limits, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("journal: site %q: %w", site.ID, err)
	}
	return s.put(ctx, putSiteQuery, string(site.ID), site.Name, site.TimeZone, number(site.Strict),
		number(site.RejectUnanswered), site.Simulated, string(text), nanos(site.Created))
}

// PutKey implements journal.Register.
func (s *Store) PutKey(ctx context.Context, k journal.Key) error {
	return s.put(ctx, putKeyQuery, k.ID, string(k.Site), k.Hash[:], strings.Join(k.Faces, " "), k.Note,
		nanos(k.Created), nanos(k.Revoked))
}

// sumOf finds damage in a row of the register, as row.sum does in a head.
func sumOf(args ...driver.Value) int64 {
	return int64(crc32.ChecksumIEEE(fmt.Appendf(nil, "%q", args)))
}

// put writes one row, with its sum as the last column.
func (s *Store) put(ctx context.Context, query string, args ...driver.Value) error {
	return s.submit(ctx, &request{done: make(chan error, 1), do: func(w *writer) error {
		put, err := w.c.prepare(query)
		if err != nil {
			return err
		}
		defer put.close()
		_, err = put.exec(append(slices.Clip(args), sumOf(args...))...)
		return err
	}})
}

// Sites implements journal.Register.
func (s *Store) Sites(ctx context.Context) ([]journal.Site, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	rows, err := s.read.QueryContext(ctx, sitesQuery)
	if err != nil {
		return nil, wrap(err)
	}
	defer rows.Close()
	var out []journal.Site
	for rows.Next() {
		var site journal.Site
		var text string
		var created, sum int64
		if err := rows.Scan((*string)(&site.ID), &site.Name, &site.TimeZone, &site.Strict, &site.RejectUnanswered,
			&site.Simulated, &text, &created, &sum); err != nil {
			return nil, wrap(err)
		}
		if sum != sumOf(string(site.ID), site.Name, site.TimeZone, number(site.Strict),
			number(site.RejectUnanswered), site.Simulated, text, created) {
			return nil, &journal.TamperedError{What: fmt.Sprintf("the row of site %q", site.ID)}
		}
		var limits map[string]int64
		if err := json.Unmarshal([]byte(text), &limits); err != nil {
			return nil, &journal.TamperedError{What: fmt.Sprintf("the limits of site %q: %v", site.ID, err)}
		}
		for name, limit := range limits {
			if site.Limits == nil {
				site.Limits = make(map[string]time.Duration, len(limits))
			}
			site.Limits[name] = time.Duration(limit)
		}
		site.Created = fromNanos(created)
		out = append(out, site)
	}
	return out, wrap(rows.Err())
}

// Keys implements journal.Register.
func (s *Store) Keys(ctx context.Context) ([]journal.Key, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	rows, err := s.read.QueryContext(ctx, keysQuery)
	if err != nil {
		return nil, wrap(err)
	}
	defer rows.Close()
	var out []journal.Key
	for rows.Next() {
		var k journal.Key
		var site, faces string
		var hash []byte
		var created, revoked, sum int64
		if err := rows.Scan(&k.ID, &site, &hash, &faces, &k.Note, &created, &revoked, &sum); err != nil {
			return nil, wrap(err)
		}
		if len(hash) != len(k.Hash) || sum != sumOf(k.ID, site, hash, faces, k.Note, created, revoked) {
			return nil, &journal.TamperedError{What: fmt.Sprintf("the row of key %q", k.ID)}
		}
		copy(k.Hash[:], hash)
		k.Site, k.Faces = txn.SiteID(site), strings.Fields(faces)
		if len(k.Faces) == 0 {
			k.Faces = nil
		}
		k.Created, k.Revoked = fromNanos(created), fromNanos(revoked)
		out = append(out, k)
	}
	return out, wrap(rows.Err())
}
