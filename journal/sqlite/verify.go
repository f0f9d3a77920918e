package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/tillwire/tillwire/journal"
)

// Verify implements journal.Journal. It reads one state of the database, also
// while another process goes on writing.
func (s *Store) Verify(ctx context.Context) (journal.Verification, error) {
	var v journal.Verification
	err := s.verify(ctx, &v)
	var tampered *journal.TamperedError
	if errors.As(err, &tampered) {
		v.Fault, err = tampered.What, nil
	}
	return v, err
}

func (s *Store) verify(ctx context.Context, v *journal.Verification) (err error) {
	if err := s.ready(); err != nil {
		return err
	}
	m, marked := s.sealed, true
	if s.file == "" { // before the database, which may grow meanwhile
		if m, marked, err = readMark(s.dir); err != nil {
			return err
		}
	}
	tx, err := s.read.BeginTx(ctx, nil)
	if err != nil {
		return wrap(err)
	}
	defer func() {
		if undone := tx.Rollback(); undone != nil && err == nil {
			err = wrap(undone)
		}
	}()
	rows := map[string]int64{}
	tail, records, pruned, err := s.verifyChain(ctx, tx, m, rows)
	v.Records, v.Pruned, v.Head = records, pruned, hex.EncodeToString(tail.hash[:])
	if err != nil {
		return err
	}
	if !marked && tail.id > 0 {
		return &journal.TamperedError{What: markName + " is missing"}
	}
	if m.id > tail.id {
		return &journal.TamperedError{What: fmt.Sprintf("the end was cut: %d entries, and %s knows of %d", tail.id, markName, m.id)}
	}
	found, err := s.verifyHeads(ctx, tx, v)
	if err != nil {
		return err
	}
	if found != records {
		return &journal.TamperedError{What: fmt.Sprintf("heads lead to %d of %d records", found, records)}
	}
	if err := verifyRegister(ctx, tx, rows); err != nil {
		return err
	}
	_, sites := s.Sites(ctx) // reading compares each row with its sum
	_, keys := s.Keys(ctx)
	if err := errors.Join(sites, keys); err != nil {
		return err
	}
	return integrity(ctx, tx)
}

// verifyChain follows the chain from its first entry. It counts the records of
// streams and the entries that were pruned, and notes the sum of each row of the
// register as it was put last.
func (s *Store) verifyChain(ctx context.Context, tx *sql.Tx, m mark, register map[string]int64) (tail mark, records, pruned int, err error) {
	rows, err := tx.QueryContext(ctx, chainQuery)
	if err != nil {
		return tail, 0, 0, wrap(err)
	}
	defer rows.Close()
	var gone, listed spans
	tail.hash = s.genesis
	for rows.Next() {
		var id int64
		var l loaded
		if err := rows.Scan(&id, &l.prev, &l.hash, &l.data); err != nil {
			return tail, records, pruned, wrap(err)
		}
		if id != tail.id+1 {
			return tail, records, pruned, &journal.TamperedError{What: fmt.Sprintf("entry %d is missing", tail.id+1)}
		}
		l.before = tail.hash[:]
		e, err := l.check(id, s.genesis)
		if err != nil {
			return tail, records, pruned, err
		}
		tail = mark{id: id, hash: link(tail.hash, l.prev, l.sum())}
		switch {
		case e.gone():
			gone = gone.add(id)
			pruned++
		case e.registers():
			register[string(e.kind)+" "+string(e.stream)] = sumOf(e.records[0].Body)
		case e.kind == pruneEntry:
			some, err := prunedBy(e)
			if err == nil && some[len(some)-1].last >= id {
				err = fmt.Errorf("it names entries behind it")
			}
			if err != nil {
				return tail, records, pruned, &journal.TamperedError{What: fmt.Sprintf("entry %d: %v", id, err)}
			}
			listed = append(listed, some...)
		default:
			records += len(e.records)
		}
		if id == m.id && tail.hash != m.hash {
			return tail, records, pruned, &journal.TamperedError{What: fmt.Sprintf("entry %d is not the one that %s knows of", id, markName)}
		}
	}
	if err := rows.Err(); err != nil {
		return tail, records, pruned, wrap(err)
	}
	if id := gone.uncovered(listed); id != 0 {
		return tail, records, pruned, &journal.TamperedError{What: fmt.Sprintf("entry %d was taken away, and nothing says that it was pruned", id)}
	}
	return tail, records, pruned, nil
}

// verifyHeads compares each head with what its records make it, and returns
// how many records the heads lead to in all.
func (s *Store) verifyHeads(ctx context.Context, tx *sql.Tx, v *journal.Verification) (records int, err error) {
	entryStmt, err := tx.PrepareContext(ctx, entryQuery)
	if err != nil {
		return 0, wrap(err)
	}
	defer entryStmt.Close()
	rows, err := tx.QueryContext(ctx, streamQuery)
	if err != nil {
		return 0, wrap(err)
	}
	defer rows.Close()
	for rows.Next() {
		var r row
		if err := r.scan(rows.Scan); err != nil {
			return records, err
		}
		ids, entries, err := s.stream(ctx, entryStmt, r.last)
		if err != nil {
			return records, err
		}
		want, err := rebuilt(ids, entries)
		if err != nil {
			return records, &journal.TamperedError{What: fmt.Sprintf("stream %q: %v", r.head.Stream, err)}
		}
		if string(want.canonical()) != string(r.canonical()) {
			return records, &journal.TamperedError{What: fmt.Sprintf("the head of stream %q is not what its records say", r.head.Stream)}
		}
		v.Streams++
		records += r.head.Records
	}
	return records, wrap(rows.Err())
}

const registerQuery = `SELECT 'site ' || id, sum FROM sites UNION ALL SELECT 'key ' || id, sum FROM keys`

// verifyRegister compares the rows of the register with the entries of their
// last changes.
func verifyRegister(ctx context.Context, tx *sql.Tx, want map[string]int64) error {
	rows, err := tx.QueryContext(ctx, registerQuery)
	if err != nil {
		return wrap(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var sum int64
		if err := rows.Scan(&name, &sum); err != nil {
			return wrap(err)
		}
		if was, known := want[name]; !known || was != sum {
			return &journal.TamperedError{What: fmt.Sprintf("%s is not what was put", name)}
		}
		delete(want, name)
	}
	if err := rows.Err(); err != nil {
		return wrap(err)
	}
	for name := range want {
		return &journal.TamperedError{What: fmt.Sprintf("%s is missing", name)}
	}
	return nil
}

// integrity has SQLite compare its indexes with its tables.
func integrity(ctx context.Context, tx *sql.Tx) error {
	var found string
	if err := tx.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&found); err != nil {
		return wrap(err)
	}
	if found != "ok" {
		return &journal.TamperedError{What: found}
	}
	return nil
}

// chainIsWhole returns a *journal.TamperedError when an entry does not fit the
// chain, or was taken away.
func (s *Store) chainIsWhole(ctx context.Context) error {
	tx, err := s.read.BeginTx(ctx, nil)
	if err != nil {
		return wrap(err)
	}
	_, _, _, err = s.verifyChain(ctx, tx, mark{}, map[string]int64{})
	return errors.Join(err, wrap(tx.Rollback()))
}

// tailsQuery finds the last entry of each stream that is there, without the
// heads: what begins with 0x02 is a stub.
const tailsQuery = `SELECT id FROM entries WHERE id NOT IN (SELECT prev FROM entries) AND substr(data, 1, 1) <> x'02' ORDER BY id`

// Rebuild makes all heads again from the records. It returns how many there
// are. Entries that do not fit the chain end it, and nothing is changed then.
func (s *Store) Rebuild(ctx context.Context) (streams int, err error) {
	r := &request{done: make(chan error, 1)}
	r.do = func(w *writer) error {
		streams = 0
		clear(w.rows)
		if err := s.chainIsWhole(ctx); err != nil {
			return err
		}
		if err := w.c.script("DELETE FROM heads"); err != nil {
			return err
		}
		rows, err := s.read.QueryContext(ctx, tailsQuery)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var last int64
			if err := rows.Scan(&last); err != nil {
				return err
			}
			ids, entries, err := s.stream(ctx, s.q.entry, last)
			if err != nil {
				return err
			}
			if entries[0].lone() {
				continue
			}
			r, err := rebuilt(ids, entries)
			if err != nil {
				return &journal.TamperedError{What: fmt.Sprintf("stream %q: %v", entries[0].stream, err)}
			}
			refused, err := w.newHead(&r)
			if refused != nil || err != nil {
				return errors.Join(refused, err)
			}
			streams++
		}
		return rows.Err()
	}
	err = s.submit(ctx, r)
	return streams, err
}
