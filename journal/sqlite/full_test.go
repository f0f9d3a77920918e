package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/journaltest"
	"github.com/tillwire/tillwire/txn"
)

// withWriter runs f in the writer's goroutine, after a transaction of its own.
func withWriter(t *testing.T, s *Store, f func(*writer)) {
	t.Helper()
	err := s.submit(t.Context(), &request{done: make(chan error, 1), do: func(w *writer) error { f(w); return nil }})
	if err != nil {
		t.Fatal(err)
	}
}

// fill appends until it is refused, and returns how many sales are whole and
// the append that was refused.
func fill(t *testing.T, s *Store, stop func(error) bool) (sales int, refused journal.Append, why error) {
	t.Helper()
	for i := range 100_000 {
		for _, a := range journaltest.Appends(txn.RequestID(fmt.Sprintf("fill%d", i)), "shop", "1001", start) {
			if err := s.Append(t.Context(), a); stop(err) || err != nil {
				return i, a, err
			}
		}
	}
	t.Fatal("the disk never fills")
	return 0, journal.Append{}, nil
}

func sound(t *testing.T, s *Store) {
	t.Helper()
	if v, err := s.Verify(t.Context()); err != nil || v.Fault != "" {
		t.Errorf("verified %+v, %v", v, err)
	}
}

// TestFull lets SQLite run out of pages.
func TestFull(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{probeEvery: time.Hour})
	defer s.Close()
	sample(t, s)
	var err error
	withWriter(t, s, func(w *writer) {
		var pages int64
		if pages, err = w.c.integer("PRAGMA page_count"); err == nil {
			err = w.c.script(fmt.Sprintf("PRAGMA max_page_count = %d", pages+20))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	_, refused, err := fill(t, s, func(err error) bool { return err != nil })
	if !errors.Is(err, journal.ErrFull) {
		t.Fatalf("refused with %v", err)
	}
	if err := s.Healthy(); !errors.Is(err, journal.ErrFull) {
		t.Errorf("healthy: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, ballastName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the ballast: %v", err)
	}
	// Nothing of it was kept, and nothing else was lost.
	if h, err := s.Head(t.Context(), refused.Stream); h.Records != refused.Expect || err != nil && !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("the refused stream has %d records, %v", h.Records, err)
	}
	sound(t, s)
	if err := s.Append(t.Context(), refused); !errors.Is(err, journal.ErrFull) {
		t.Errorf("refused with %v", err)
	}
	withWriter(t, s, func(w *writer) { err = w.c.script("PRAGMA max_page_count = 1000000") })
	if err != nil {
		t.Fatal(err)
	}
	appendOne(t, s, refused)
	sound(t, s)
	if n := s.Stats().Failures; n != 2 {
		t.Errorf("%d failures counted", n)
	}
}

// TestFullDisk does the same on a disk that is really full.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := mountSmall(t, dir, 8<<20); err != nil {
		t.Logf("only the simulated full disk is tested here: %v", err)
		return
	}
	const ballastSize = 1 << 20
	recovered := make(chan struct{}, 1)
	s := open(t, dir, Options{BallastSize: ballastSize, probeEvery: time.Millisecond, recovered: func() { recovered <- struct{}{} }})
	defer s.Close()
	sample(t, s)

	junk := takeAllRoom(t, dir)

	// The ballast is given up for what is in flight: nothing is refused yet.
	_, a, err := fill(t, s, func(error) bool { return s.Healthy() != nil })
	if err != nil || !errors.Is(s.Healthy(), journal.ErrFull) {
		t.Errorf("the append that needed the ballast: %v, healthy: %v", err, s.Healthy())
	}
	if _, err := os.Stat(filepath.Join(dir, ballastName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the ballast: %v", err)
	}
	h, err := s.Head(t.Context(), a.Stream)
	if err != nil || h.Records != a.Expect+len(a.Records) {
		t.Errorf("the append that needed the ballast: %d records, %v", h.Records, err)
	}
	appendOne(t, s, journaltest.Appends("r8", "shop", "1001", start.Add(8*time.Minute))[2])

	// Then even that is used up.
	i := 0
	for err == nil {
		err = s.Append(t.Context(), journaltest.Appends(txn.RequestID(fmt.Sprintf("more%d", i)), "shop", "1001", start)[0])
		i++
	}
	if !errors.Is(err, journal.ErrFull) {
		t.Errorf("refused with %v", err)
	}
	sound(t, s)

	// There is room again.
	if err := os.Remove(junk); err != nil {
		t.Fatal(err)
	}
	<-recovered
	if err := s.Healthy(); err != nil {
		t.Errorf("healthy: %v", err)
	}
	if st, err := os.Stat(filepath.Join(dir, ballastName)); err != nil || st.Size() != ballastSize {
		t.Errorf("the ballast: %v, %v", st, err)
	}
	appendOne(t, s, journaltest.Appends("after", "shop", "1001", start)[0])
	sound(t, s)
}

// takeAllRoom fills the disk with something else and returns its name.
func takeAllRoom(t *testing.T, dir string) string {
	t.Helper()
	junk, err := os.Create(filepath.Join(dir, "junk"))
	if err != nil {
		t.Fatal(err)
	}
	chunk := make([]byte, 4096)
	for err == nil {
		_, err = junk.Write(chunk)
	}
	if err := junk.Close(); err != nil {
		t.Fatal(err)
	}
	return junk.Name()
}

// TestOpenOnFullDisk restarts where there is no room: what was in flight ends.
func TestOpenOnFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := mountSmall(t, dir, 8<<20); err != nil {
		t.Logf("not tested here: %v", err)
		return
	}
	o := Options{BallastSize: 1 << 20, probeEvery: time.Hour}
	s := open(t, dir, o)
	sample(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	takeAllRoom(t, dir)
	s = open(t, dir, o)
	defer s.Close()
	if err := s.Healthy(); !errors.Is(err, journal.ErrFull) {
		t.Errorf("healthy: %v", err)
	}
	for _, a := range journaltest.Appends("r8", "shop", "1001", start.Add(8*time.Minute))[2:] {
		appendOne(t, s, a)
	}
	sound(t, s)
}

// A failing is a statement that fails a number of times before it works.
type failing struct {
	driver.Stmt
	times int
	code  int
}

type codedError int

func (e codedError) Error() string { return fmt.Sprintf("failed with %d", int(e)) }
func (e codedError) Code() int     { return int(e) }

func (f *failing) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if f.times > 0 {
		f.times--
		return nil, codedError(f.code)
	}
	return f.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

// TestFailedCommit has COMMIT itself fail, once and twice: it is tried a
// second time, and what cannot be known is said not to be known.
func TestFailedCommit(t *testing.T) {
	for _, c := range []struct {
		name  string
		times int
		code  int
		want  error
	}{
		{"sync failed once", 1, codeFsync, nil},
		{"sync failed", 2, codeFsync, journal.ErrUncertain},
		{"folder's sync failed", 2, codeDirFsync, journal.ErrUncertain},
		{"write failed once", 1, codeIO | 3<<8, nil},
		{"full", 2, codeFull, journal.ErrFull},
	} {
		t.Run(c.name, func(t *testing.T) {
			recovered := make(chan struct{}, 8)
			s := open(t, t.TempDir(), Options{probeEvery: time.Millisecond, recovered: func() { recovered <- struct{}{} }})
			defer s.Close()
			all := journaltest.Appends("r1", "shop", "1001", start)
			appendOne(t, s, all[0])
			var f *failing
			withWriter(t, s, func(w *writer) {
				f = &failing{Stmt: w.commit.Stmt}
				w.commit.Stmt = f
			})
			// Armed by the next transaction, after this one's own commit.
			withWriter(t, s, func(w *writer) {
				w.commit.Stmt = &arming{failing: f, times: c.times, code: c.code}
			})
			err := s.Append(t.Context(), all[1])
			if !errors.Is(err, c.want) {
				t.Errorf("append: %v, want %v", err, c.want)
			}
			<-recovered
			if err := s.Healthy(); err != nil {
				t.Errorf("healthy: %v", err)
			}
			if c.want != nil {
				if h, err := s.Head(t.Context(), "r1"); err != nil || h.Records != all[1].Expect {
					t.Errorf("%d records, %v, want %d", h.Records, err, all[1].Expect)
				}
				appendOne(t, s, all[1])
			}
			appendOne(t, s, all[2])
			sound(t, s)
		})
	}
}

// An arming lets one commit through and then has its statement fail.
type arming struct {
	*failing
	times, code int
}

func (a *arming) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	r, err := a.failing.ExecContext(ctx, args)
	a.failing.times, a.failing.code = a.failing.times+a.times, a.code
	a.times = 0
	return r, err
}

func TestWriteErrorsKeepNothing(t *testing.T) {
	for _, c := range []struct {
		err  error
		want error
	}{
		{&commitError{codedError(codeFsync)}, journal.ErrUncertain},
		{errors.Join(&commitError{codedError(codeFsync)}, codedError(codeFull)), journal.ErrUncertain},
		{errors.Join(codedError(codeFull), &commitError{codedError(codeFsync)}), journal.ErrUncertain},
		{codedError(codeFsync), nil},
		{&commitError{codedError(codeFull)}, journal.ErrFull},
		{codedError(codeFull), journal.ErrFull},
		{&commitError{codedError(codeIO | 3<<8)}, nil},
		{codedError(5), nil},
	} {
		err := refusal(fmt.Errorf("wrapped: %w", c.err))
		if errors.Is(err, journal.ErrUncertain) != (c.want == journal.ErrUncertain) || errors.Is(err, journal.ErrFull) != (c.want == journal.ErrFull) {
			t.Errorf("%v became %v, want %v", c.err, err, c.want)
		}
	}
}

// TestForeignWriter has another connection write: nobody's append is lost or
// kept twice, and the one that did not know is refused.
func TestForeignWriter(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir, Options{})
	defer first.Close()
	all := journaltest.Appends("r1", "shop", "1001", start)
	appendOne(t, first, all[0])
	second := open(t, dir, Options{})
	defer second.Close()
	appendOne(t, second, all[1])
	if err := first.Append(t.Context(), all[1]); err == nil {
		t.Error("the first writer appended what the second had appended")
	}
	if err := first.Append(t.Context(), journaltest.Appends("r2", "shop", "1001", start)[0]); err == nil {
		t.Error("the first writer appended where the second had appended")
	}
	appendOne(t, second, all[2])
	sound(t, second)
}
