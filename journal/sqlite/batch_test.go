package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/journaltest"
	"github.com/tillwire/tillwire/txn"
)

// hold keeps the writer busy until the function returned is called.
func hold(t *testing.T, s *Store) (letGo func()) {
	t.Helper()
	holding, release, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- s.submit(context.WithoutCancel(t.Context()), &request{done: make(chan error, 1), do: func(*writer) error {
			close(holding)
			<-release
			return nil
		}})
	}()
	<-holding
	return func() {
		close(release)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// queued waits until n requests wait for the writer.
func queued(s *Store, n int) {
	for len(s.requests) < n {
		runtime.Gosched()
	}
}

// TestOneCommitForAllThatWait: those that wait share a commit, and one that
// is refused does not take the others with it.
func TestOneCommitForAllThatWait(t *testing.T) {
	var batches []int
	s := open(t, t.TempDir(), Options{Observe: func(batch int, took time.Duration) { batches = append(batches, batch) }})
	letGo := hold(t, s)
	var all sync.WaitGroup
	errs := make([]error, 20)
	for i := range errs {
		all.Go(func() {
			a := journaltest.Appends(txn.RequestID(fmt.Sprintf("r%d", i)), "shop", "1001", start)[0]
			if i%5 == 4 {
				a.Expect = 3 // of a stream that is not there
			}
			errs[i] = s.Append(t.Context(), a)
		})
	}
	queued(s, len(errs))
	letGo()
	all.Wait()
	for i, err := range errs {
		if refused := i%5 == 4; refused != errors.Is(err, journal.ErrConflict) || !refused && err != nil {
			t.Errorf("append %d: %v", i, err)
		}
	}
	sound(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if len(batches) != 2 || batches[0] != 1 || batches[1] != 16 {
		t.Errorf("batches of %v, want 1 and 16", batches)
	}
	if st := s.Stats(); st.Commits != 2 || st.Appends != 16 || st.Failures != 4 || st.CommitTime <= 0 {
		t.Errorf("stats %+v", st)
	}
}

// TestAppendTakenBack: an append whose context ends while it waits is not kept.
func TestAppendTakenBack(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	defer s.Close()
	letGo := hold(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	back := make(chan error, 1)
	go func() { back <- s.Append(ctx, journaltest.Appends("r1", "shop", "1001", start)[0]) }()
	queued(s, 1)
	cancel()
	if err := <-back; !errors.Is(err, context.Canceled) {
		t.Errorf("taken back: %v", err)
	}
	letGo()
	appendOne(t, s, journaltest.Appends("r2", "shop", "1001", start)[0])
	if _, err := s.Head(t.Context(), "r1"); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("what was taken back: %v", err)
	}
	sound(t, s)
}

// TestCloseWritesWhatWaits: an append that waits when the store is closed is kept.
func TestCloseWritesWhatWaits(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	letGo := hold(t, s)
	appended, closed := make(chan error, 1), make(chan error, 1)
	go func() { appended <- s.Append(t.Context(), journaltest.Appends("r1", "shop", "1001", start)[0]) }()
	queued(s, 1)
	go func() { closed <- s.Close() }()
	for s.Healthy() == nil { // until Close has begun
		runtime.Gosched()
	}
	letGo()
	if err := errors.Join(<-appended, <-closed); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, FileName+"-wal")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the log is still there after a clean stop: %v", err)
	}
	s = open(t, dir, Options{})
	defer s.Close()
	if h, err := s.Head(t.Context(), "r1"); err != nil || h.Records != 2 {
		t.Errorf("%d records, %v", h.Records, err)
	}
}
