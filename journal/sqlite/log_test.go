package sqlite

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tillwire/tillwire/journal/journaltest"
	"github.com/tillwire/tillwire/txn"
)

// TestKilledYoung has processes that are killed, one after the other, before any
// of them has written enough to make a checkpoint. The log must not grow with
// their number, for each of them has to read it.
func TestKilledYoung(t *testing.T) {
	var first, last int64
	dir := t.TempDir()
	for life := range 12 {
		s := open(t, dir, Options{})
		for i := range 20 {
			id := txn.RequestID(fmt.Sprintf("r%d-%d", life, i))
			for _, a := range journaltest.Appends(id, "shop", "1001", start.Add(time.Duration(20*life+i)*time.Minute)) {
				if err := s.Append(t.Context(), a); err != nil {
					t.Fatal(err)
				}
			}
		}
		log, err := os.Stat(filepath.Join(dir, FileName+"-wal"))
		if err != nil {
			t.Fatal(err)
		}
		if last = log.Size(); life == 0 {
			first = last
		}
		next := t.TempDir()
		copyDir(t, dir, next) // as a kill leaves it
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		dir = next
	}
	if last > 3*first {
		t.Errorf("the log has %d bytes after the first life and %d after twelve", first, last)
	}
	s := open(t, dir, Options{})
	defer s.Close()
	if _, err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}
