package sqlite

import (
	"testing"

	"github.com/tillwire/tillwire/journal"
)

// TestOlderSchema opens what the first tillwire left, to read it and then to
// write it: nothing is lost, and all that is asked of it is answered alike.
func TestOlderSchema(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	sample(t, s)
	want, err := s.List(t.Context(), journal.Query{})
	if err != nil || len(want) == 0 {
		t.Fatalf("%d heads, %v", len(want), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	alter(t, dir, `DROP INDEX heads_orphans;
		DROP INDEX heads_tables;
		ALTER TABLE sites DROP COLUMN pat;
		CREATE INDEX heads_last ON heads (site, tid, dispatched) WHERE counts = 1;
		CREATE INDEX heads_accepted ON heads (accepted);
		PRAGMA user_version = 1`)
	for _, readOnly := range []bool{true, false} {
		s := open(t, dir, Options{ReadOnly: readOnly})
		got, err := s.List(t.Context(), journal.Query{})
		if err != nil || len(got) != len(want) {
			t.Errorf("read-only %t: %d heads, %v, want %d", readOnly, len(got), err, len(want))
		}
		for i, h := range got {
			if h != want[i] {
				t.Errorf("read-only %t: got %+v, want %+v", readOnly, h, want[i])
			}
			last, err := s.LastCounting(t.Context(), h.Site, h.TID)
			if h.Counts && (err != nil || last.AcceptedAt.Before(h.AcceptedAt)) {
				t.Errorf("read-only %t: the last of %s is %s, %v, and %s is later", readOnly, h.TID, last.Stream, err, h.Stream)
			}
		}
		if sites, err := s.Sites(t.Context()); err != nil || len(sites) != 1 || sites[0].PAT != journal.PATAuto {
			t.Errorf("read-only %t: sites %+v, %v", readOnly, sites, err)
		}
		if v, err := s.Verify(t.Context()); err != nil || v.Fault != "" {
			t.Errorf("read-only %t: %q, %v", readOnly, v.Fault, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	db := raw(t, dir)
	defer db.Close()
	var version, indexes int
	if err := db.QueryRow("PRAGMA user_version").Scan(&version); err != nil || version != len(migrations()) {
		t.Errorf("schema version %d, %v, want %d", version, err, len(migrations()))
	}
	if err := db.QueryRow("SELECT count(*) FROM sqlite_schema WHERE name IN ('heads_last', 'heads_accepted')").Scan(&indexes); err != nil || indexes > 0 {
		t.Errorf("%d indexes are left that nothing needs, %v", indexes, err)
	}
}
