package sqlite

import (
	"context"
	"crypto/sha256"
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
	// putKeeperQuery is putSiteQuery for a site that says who keeps its tables. What
	// the others have been put as is the same as ever, and so is its sum.
	putKeeperQuery = `INSERT OR REPLACE INTO sites (id, name, time_zone, strict, reject_unanswered, simulated, limits, created, pat, sum) VALUES (?,?,?,?,?,?,?,?,?,?)`
	putKeyQuery    = `INSERT OR REPLACE INTO keys (id, site, hash, faces, note, created, revoked, sum) VALUES (?,?,?,?,?,?,?,?)`
)

// The kinds of entries that are no part of a stream: each holds one row of the
// register as it was put, so that the chain covers the register too. A key
// that was revoked stays revoked even if the end of the files is cut.
const (
	siteEntry journal.StreamKind = "site"
	keyEntry  journal.StreamKind = "key"
)

// registers reports whether e is of the register.
func (e entry) registers() bool { return e.kind == siteEntry || e.kind == keyEntry }

// lone reports whether e is no part of a stream.
func (e entry) lone() bool { return e.registers() || e.kind == pruneEntry }

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
	query := putSiteQuery
	if site.PAT != journal.PATAuto {
		query = putKeeperQuery
	}
	return s.put(ctx, siteEntry, query, siteRow(site, string(text))...)
}

// siteRow is the row of a site but for its sum. One that does not say who keeps
// its tables ends before that.
func siteRow(site journal.Site, limits string) []driver.Value {
	row := []driver.Value{
		string(site.ID), site.Name, site.TimeZone, number(site.Strict), number(site.RejectUnanswered), site.Simulated, limits, nanos(site.Created),
	}
	if site.PAT != journal.PATAuto {
		row = append(row, string(site.PAT))
	}
	return row
}

// PutKey implements journal.Register.
func (s *Store) PutKey(ctx context.Context, k journal.Key) error {
	words := k.Faces
	if k.TID != "" {
		words = append(slices.Clip(words), tidWord+string(k.TID))
	}
	if faces := strings.Fields(strings.Join(words, " ")); len(faces) != len(words) {
		return fmt.Errorf("journal: key %q: a face or TID is not one word", k.ID)
	}
	return s.put(ctx, keyEntry, putKeyQuery, k.ID, string(k.Site), k.Hash[:], strings.Join(words, " "), k.Note,
		nanos(k.Created), nanos(k.Revoked))
}

// tidWord begins the word among a key's faces that names the terminal which it
// is bound to. There it is as safe as in a column of its own, and an older
// tillwire takes it for a face that nobody knocks at.
const tidWord = "tid="

// canonicalRow returns bytes that are equal for equal rows only.
func canonicalRow(args ...driver.Value) []byte { return fmt.Appendf(nil, "%q", args) }

// sumOf finds damage in a row of the register, as row.sum does in a head.
func sumOf(canonical []byte) int64 { return int64(crc32.ChecksumIEEE(canonical)) }

// put writes one row, with its sum as the last column, and its entry. The
// first argument is the row's id.
func (s *Store) put(ctx context.Context, kind journal.StreamKind, query string, args ...driver.Value) error {
	canonical := canonicalRow(args...)
	id, _ := args[0].(string)
	if id == "" {
		return fmt.Errorf("journal: a %s without an id", kind)
	}
	e := entry{stream: journal.Stream(id), kind: kind, records: []journal.Record{
		{Kind: string(kind) + ".put", Version: 1, At: time.Now().UTC(), Body: canonical},
	}}
	args = append(args, sumOf(canonical))
	return s.submit(ctx, &request{done: make(chan error, 1), do: func(w *writer) error {
		put, err := w.c.prepare(query)
		if err != nil {
			return err
		}
		defer put.close()
		if _, err := put.exec(args...); err != nil {
			return err
		}
		data := e.encode()
		return w.chain(0, sha256.Sum256(data), data)
	}})
}

// Sites implements journal.Register.
func (s *Store) Sites(ctx context.Context) ([]journal.Site, error) {
	query := sitesQuery
	if s.version < keeperSchema {
		query = olderSitesQuery
	}
	return all(ctx, s, readSite, query)
}

// readSite reads a row, and compares it with its sum.
func readSite(scan scanner) (journal.Site, error) {
	var site journal.Site
	var text string
	var created, sum int64
	if err := scan((*string)(&site.ID), &site.Name, &site.TimeZone, &site.Strict, &site.RejectUnanswered,
		&site.Simulated, &text, &created, (*string)(&site.PAT), &sum); err != nil {
		return site, wrap(err)
	}
	site.Created = fromNanos(created)
	if sum != sumOf(canonicalRow(siteRow(site, text)...)) {
		return site, &journal.TamperedError{What: fmt.Sprintf("the row of site %q", site.ID)}
	}
	var limits map[string]int64
	if err := json.Unmarshal([]byte(text), &limits); err != nil {
		return site, &journal.TamperedError{What: fmt.Sprintf("the limits of site %q: %v", site.ID, err)}
	}
	for name, limit := range limits {
		if site.Limits == nil {
			site.Limits = make(map[string]time.Duration, len(limits))
		}
		site.Limits[name] = time.Duration(limit)
	}
	return site, nil
}

// Keys implements journal.Register.
func (s *Store) Keys(ctx context.Context) ([]journal.Key, error) {
	return all(ctx, s, readKey, keysQuery)
}

// readKey reads a row, and compares it with its sum.
func readKey(scan scanner) (journal.Key, error) {
	var k journal.Key
	var site, faces string
	var hash []byte
	var created, revoked, sum int64
	if err := scan(&k.ID, &site, &hash, &faces, &k.Note, &created, &revoked, &sum); err != nil {
		return k, wrap(err)
	}
	if len(hash) != len(k.Hash) || sum != sumOf(canonicalRow(k.ID, site, hash, faces, k.Note, created, revoked)) {
		return k, &journal.TamperedError{What: fmt.Sprintf("the row of key %q", k.ID)}
	}
	copy(k.Hash[:], hash)
	k.Site = txn.SiteID(site)
	for word := range strings.FieldsSeq(faces) {
		if tid, ok := strings.CutPrefix(word, tidWord); ok {
			k.TID = txn.TID(tid)
		} else {
			k.Faces = append(k.Faces, word)
		}
	}
	k.Created, k.Revoked = fromNanos(created), fromNanos(revoked)
	return k, nil
}
