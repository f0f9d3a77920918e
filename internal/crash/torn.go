package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/sqlite"
)

// journalFiles are the files of a journal as a kill leaves them.
var journalFiles = []string{"journal.db", "journal.db-wal", "journal.head"}

// copyJournal copies a journal that nobody writes.
func copyJournal(from, to string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for _, name := range journalFiles {
		b, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), b, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// A torn counts what became of journals that were cut.
type torn struct {
	refused int // by name, when opened
	found   int // by name, when read or verified
	earlier int // opened at a whole earlier record
	same    int // nothing was missing
}

// tear cuts copies of a journal, as a kill left it, each at another place, and
// opens them. What opens must be a whole earlier state, else it must be refused
// or found by name: anything else is returned as an error.
func tear(ctx context.Context, from, scratch string, rng *rand.Rand, n int) (t torn, err error) {
	if err := copyJournal(from, scratch); err != nil {
		return t, err
	}
	want, fault, err := readJournal(ctx, scratch)
	if err != nil || fault != "" {
		return t, fmt.Errorf("the journal that a kill left: %s, %w", fault, err)
	}
	if len(want) == 0 {
		return t, errors.New("the journal that a kill left is empty")
	}
	for i := range n {
		dir := filepath.Join(scratch, fmt.Sprint("cut", i))
		if err := copyJournal(from, dir); err != nil {
			return t, err
		}
		deed, err := cut(dir, rng)
		if err != nil {
			return t, err
		}
		if err := t.judge(ctx, dir, want); err != nil {
			return t, fmt.Errorf("%s: %w", deed, err)
		}
		if err := os.RemoveAll(dir); err != nil {
			return t, err
		}
	}
	return t, nil
}

// cut takes the end of one file away.
func cut(dir string, rng *rand.Rand) (deed string, err error) {
	var there []string
	for _, name := range journalFiles {
		if s, err := os.Stat(filepath.Join(dir, name)); err == nil && s.Size() > 0 {
			there = append(there, name)
		}
	}
	name := there[rng.IntN(len(there))]
	s, err := os.Stat(filepath.Join(dir, name))
	if err != nil {
		return "", err
	}
	at := rng.Int64N(s.Size())
	return fmt.Sprintf("%s of %d bytes cut to %d", name, s.Size(), at), os.Truncate(filepath.Join(dir, name), at)
}

// readJournal opens a journal as a gateway would and reads all records.
func readJournal(ctx context.Context, dir string) (all map[journal.Stream][]journal.Record, fault string, err error) {
	s, err := sqlite.Open(dir, sqlite.Options{BallastSize: -1})
	if err != nil {
		return nil, "", err
	}
	defer s.Close() //nolint:errcheck // what it would check in may be damaged
	v, err := s.Verify(ctx)
	if err != nil {
		return nil, "", err
	}
	all = map[journal.Stream][]journal.Record{}
	heads, err := s.List(ctx, journal.Query{Limit: 1 << 30})
	if err != nil {
		return nil, v.Fault, err
	}
	for _, h := range heads {
		records, err := s.Records(ctx, h.Stream)
		if err != nil {
			return nil, v.Fault, err
		}
		all[h.Stream] = records
	}
	return all, v.Fault, nil
}

// judge opens a journal that was cut.
func (t *torn) judge(ctx context.Context, dir string, want map[journal.Stream][]journal.Record) error {
	got, fault, err := readJournal(ctx, dir)
	switch {
	case errors.As(err, new(*journal.TamperedError)), errors.As(err, new(*journal.NewerError)):
		t.refused++
		return nil
	case fault != "":
		t.found++
		return nil
	case err != nil:
		return fmt.Errorf("refused, but not by name: %w", err)
	}
	whole := len(got) == len(want)
	for id, records := range got {
		full := want[id]
		if len(records) > len(full) || !slices.EqualFunc(records, full[:len(records)], sameRecord) {
			return fmt.Errorf("stream %s opens with records that nobody wrote", id)
		}
		whole = whole && len(records) == len(full)
	}
	if whole {
		t.same++
	} else {
		t.earlier++
	}
	return nil
}

func sameRecord(a, b journal.Record) bool {
	return a.Seq == b.Seq && a.Kind == b.Kind && a.Version == b.Version && a.At.Equal(b.At) && string(a.Body) == string(b.Body)
}
