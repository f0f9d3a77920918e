package sqlite

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/journaltest"
	"github.com/tillwire/tillwire/txn"
)

// pruned returns a sample of which r0 to r4 but r2 were pruned: 16 of 38
// entries, which entry 39 says.
func pruned(t *testing.T, dir string) *Store {
	t.Helper()
	s := open(t, dir, Options{})
	sample(t, s)
	var heads []journal.Head
	for _, i := range []int{4, 0, 1, 3} {
		h, err := s.Head(t.Context(), journal.Stream(fmt.Sprintf("r%d", i)))
		if err != nil {
			t.Fatal(err)
		}
		heads = append(heads, h)
	}
	got, err := s.Prune(t.Context(), heads, "older than 7 days, by anna")
	if err != nil || len(got) != len(heads) {
		t.Fatalf("pruned %d, %v", len(got), err)
	}
	return s
}

// TestPrunedStaysVerifiable: what is left of what was pruned says nothing of it,
// and still shows whatever is altered, taken away or put back.
func TestPrunedStaysVerifiable(t *testing.T) {
	for name, c := range map[string]struct {
		sql     string
		deed    func(t *testing.T, dir string)
		refused string
		fault   string
		rebuilt bool
	}{
		"untouched":                  {rebuilt: true},
		"one more is taken away":     {deed: takeAway, fault: "entry 9 was taken away, and nothing says that it was pruned"},
		"and with its head":          {deed: takeAway, sql: `DELETE FROM heads WHERE stream = 'r2'`, fault: "entry 9 was taken away"},
		"what is left is altered":    {sql: `UPDATE entries SET data = x'02' || zeroblob(32) WHERE id = 6`, fault: "entry 6"},
		"what is left is cut":        {sql: `UPDATE entries SET data = x'02' WHERE id = 6`, fault: "entry 6"},
		"what is left is removed":    {sql: `DELETE FROM entries WHERE id = 6`, fault: "entry 6 is missing"},
		"what says so is altered":    {sql: `UPDATE entries SET data = CAST(replace(CAST(data AS TEXT), '1-8', '1-9') AS BLOB) WHERE id = 39`, refused: "entry 39"},
		"what says so is taken away": {sql: `DELETE FROM entries WHERE id = 39`, refused: "the end was cut"},
		"a head is put back":         {sql: `INSERT INTO heads SELECT 1, 4, 'r0', kind, site, tid, minor, currency, 'x', accepted, state, open, told, type, result, counts, dispatched, ended, records, sum FROM heads WHERE stream = 'r2'`, fault: `stream "r0"`, rebuilt: true},
		"a record is altered":        {sql: `UPDATE entries SET data = CAST(replace(CAST(data AS TEXT), 'INSERT', 'REMOVE') AS BLOB) WHERE id = 10`, fault: `entry 10: record 3 of stream "r2"`},
		"a head is removed":          {sql: `DELETE FROM heads WHERE stream = 'r2'`, fault: "heads lead to", rebuilt: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := pruned(t, dir)
			want, _ := read(t, s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			alter(t, dir, c.sql)
			if c.deed != nil {
				c.deed(t, dir)
			}
			s, err := Open(dir, Options{BallastSize: -1})
			if c.refused != "" {
				if !errors.As(err, new(*journal.TamperedError)) || !strings.Contains(err.Error(), c.refused) {
					t.Fatalf("opened with %v, want %q", err, c.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			v, err := s.Verify(t.Context())
			if err != nil || !strings.Contains(v.Fault, c.fault) || (c.fault == "") != (v.Fault == "") {
				t.Errorf("fault %q, %v, want %q", v.Fault, err, c.fault)
			}
			n, err := s.Rebuild(t.Context())
			if !c.rebuilt {
				if !errors.As(err, new(*journal.TamperedError)) {
					t.Errorf("rebuilt %d, %v", n, err)
				}
				return
			}
			if n != 6 || err != nil {
				t.Errorf("rebuilt %d, %v", n, err)
			}
			got, _ := read(t, s)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("rebuilt (-want +got)\n%s", d)
			}
			if v, err := s.Verify(t.Context()); err != nil || v.Fault != "" || v.Pruned != 16 || v.Streams != 6 {
				t.Errorf("verified anew: %+v, %v", v, err)
			}
		})
	}
}

// takeAway makes a stub of an entry, as somebody may who knows how it is done.
func takeAway(t *testing.T, dir string) {
	db := raw(t, dir)
	defer db.Close()
	var data []byte
	if err := db.QueryRow("SELECT data FROM entries WHERE id = 9").Scan(&data); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("UPDATE entries SET data = ? WHERE id = 9", stub(sha256.Sum256(data))); err != nil {
		t.Fatal(err)
	}
}

// TestPruneRefusesWhatWasAltered: what was altered is not made to disappear.
func TestPruneRefusesWhatWasAltered(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	sample(t, s)
	h, err := s.Head(t.Context(), "r1")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	alter(t, dir, `UPDATE entries SET data = CAST(replace(CAST(data AS TEXT), 'INSERT', 'REMOVE') AS BLOB) WHERE id = 6`)
	s = open(t, dir, Options{})
	defer s.Close()
	other, err := s.Head(t.Context(), "r2")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Prune(t.Context(), []journal.Head{other, h}, "test"); !errors.As(err, new(*journal.TamperedError)) {
		t.Errorf("an altered stream was pruned: %v", err)
	}
	// All or none.
	if _, err := s.Records(t.Context(), "r2"); err != nil {
		t.Errorf("the other one: %v", err)
	}
	if _, err := s.Head(t.Context(), "r1"); err != nil {
		t.Errorf("its head: %v", err)
	}
	if v, err := s.Verify(t.Context()); err != nil || !strings.HasPrefix(v.Fault, "entry 6") {
		t.Errorf("verified %+v, %v", v, err)
	}
}

// TestPruneRefused: nothing is pruned read-only, nor too much at once.
func TestPruneRefused(t *testing.T) {
	dir := t.TempDir()
	w := pruned(t, dir)
	defer w.Close()
	h, err := w.Head(t.Context(), "r2")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Prune(t.Context(), make([]journal.Head, maxPrune+1), "test"); err == nil {
		t.Error("too many were taken at once")
	}
	r, err := Open(dir, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Prune(t.Context(), []journal.Head{h}, "test"); !errors.Is(err, journal.ErrReadOnly) {
		t.Errorf("read-only: %v", err)
	}
	if v, err := r.Verify(t.Context()); err != nil || v.Fault != "" || v.Pruned != 16 {
		t.Errorf("verified %+v, %v", v, err)
	}
}

// TestPrunedTail: a mark that lags behind may know of an entry that was pruned
// since.
func TestPrunedTail(t *testing.T) {
	dir := t.TempDir()
	s := pruned(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	m := mark{id: 16}
	db := raw(t, dir)
	var hash []byte
	if err := db.QueryRow("SELECT hash FROM entries WHERE id = 16").Scan(&hash); err != nil {
		t.Fatal(err)
	}
	db.Close()
	copy(m.hash[:], hash)
	if err := os.WriteFile(filepath.Join(dir, markName), m.encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, Options{})
	defer s.Close()
	if v, err := s.Verify(t.Context()); err != nil || v.Fault != "" {
		t.Errorf("verified %+v, %v", v, err)
	}
}

func TestSpans(t *testing.T) {
	var s spans
	for _, id := range []int64{1, 2, 3, 7, 9, 10} {
		s = s.add(id)
	}
	const text = "1-3,7,9-10"
	if s.String() != text {
		t.Errorf("%q, want %q", s, text)
	}
	back, err := parseSpans(text)
	if err != nil || back.String() != text {
		t.Errorf("read as %q, %v", back, err)
	}
	for _, bad := range []string{"", "0", "-1", "3-1", "1,1", "2,1", "1-2-3", "a", "1,", "9223372036854775808"} {
		if got, err := parseSpans(bad); err == nil {
			t.Errorf("%q was read as %v", bad, got)
		}
	}
	for by, want := range map[string]int64{
		text: 0, "1-100": 0, "9-12,1-8": 0, "1-2,4-20": 3, "2-10": 1, "1-9": 10, "1-3,9-10": 7, "50-60": 1,
	} {
		var other spans
		for part := range strings.SplitSeq(by, ",") {
			p, err := parseSpans(part)
			if err != nil {
				t.Fatal(err)
			}
			other = append(other, p...)
		}
		if got := s.uncovered(other); got != want {
			t.Errorf("of %s by %s: %d is not covered, want %d", text, by, got, want)
		}
	}
}

// TestPruneWhileReading: who reads a stream that is being pruned finds it whole,
// or not at all.
func TestPruneWhileReading(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	defer s.Close()
	const streams = 15
	var heads []journal.Head
	for i := range streams {
		for _, a := range journaltest.Appends(txn.RequestID(fmt.Sprintf("r%d", i)), "shop", "1001", start) {
			appendOne(t, s, a)
		}
		h, err := s.Head(t.Context(), journal.Stream(fmt.Sprintf("r%d", i)))
		if err != nil {
			t.Fatal(err)
		}
		heads = append(heads, h)
	}
	var readers sync.WaitGroup
	begun := make(chan struct{}, 3)
	for range cap(begun) {
		readers.Go(func() {
			whole := true
			for first := true; whole; first = false {
				whole = false
				for _, h := range heads {
					records, err := s.Records(t.Context(), h.Stream)
					switch {
					case err == nil && len(records) == h.Records:
						whole = true
					case !errors.Is(err, journal.ErrNotFound):
						t.Errorf("%s: %d records, %v", h.Stream, len(records), err)
						return
					}
				}
				if first {
					begun <- struct{}{}
				}
			}
		})
	}
	for range cap(begun) {
		<-begun
	}
	for _, h := range heads {
		if gone, err := s.Prune(t.Context(), []journal.Head{h}, "test"); err != nil || len(gone) != 1 {
			t.Errorf("pruned %v, %v", gone, err)
		}
	}
	readers.Wait()
}
