package sqlite

import (
	"testing"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/journaltest"
)

// small is a ballast that costs tests no time.
const small = 64 << 10

func open(t *testing.T, dir string, o Options) *Store {
	t.Helper()
	if o.BallastSize == 0 {
		o.BallastSize = small
	}
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestJournal(t *testing.T) {
	journaltest.Run(t,
		func(t *testing.T) journal.Store { return open(t, t.TempDir(), Options{}) },
		func(t *testing.T, s journal.Store) journal.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, s.(*Store).dir, Options{})
		})
}
