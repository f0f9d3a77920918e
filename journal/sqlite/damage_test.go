package sqlite

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/journaltest"
	"github.com/tillwire/tillwire/txn"
)

// sample writes ten sales, the last two of them open, a site and a key.
func sample(t *testing.T, s *Store) {
	t.Helper()
	for i := range 10 {
		all := journaltest.Appends(txn.RequestID(fmt.Sprintf("r%d", i)), "shop", "1001", start.Add(time.Duration(i)*time.Minute))
		if i >= 8 {
			all = all[:2]
		}
		for _, a := range all {
			a.Head.RequestKey = fmt.Sprintf("key%d", i)
			appendOne(t, s, a)
		}
	}
	if err := errors.Join(s.PutSite(t.Context(), journal.Site{ID: "shop", Name: "The Corner Shop"}),
		s.PutKey(t.Context(), journal.Key{ID: "k1", Site: "shop", Hash: [32]byte{7}})); err != nil {
		t.Fatal(err)
	}
}

var start = time.Date(2026, time.March, 14, 12, 0, 0, 0, time.UTC)

func appendOne(t *testing.T, s *Store, a journal.Append) {
	t.Helper()
	if err := s.Append(t.Context(), a); err != nil {
		t.Fatal(err)
	}
}

// A content is all that can be read of a sample.
type content struct {
	Records map[journal.Stream][]journal.Record
	Heads   []journal.Head
	Open    []journal.Head
	Keyed   []journal.Head
	Last    journal.Head
	Sites   []journal.Site
	Keys    []journal.Key
}

// read returns what can be read, and the errors of what cannot.
func read(t *testing.T, s *Store) (c content, errs []error) {
	ctx := t.Context()
	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	c.Records = map[journal.Stream][]journal.Record{}
	for i := range 10 {
		id := journal.Stream(fmt.Sprintf("r%d", i))
		records, err := s.Records(ctx, id)
		note(err)
		if err == nil {
			c.Records[id] = records
		}
		h, err := s.ByKey(ctx, "shop", fmt.Sprintf("key%d", i))
		note(err)
		c.Keyed = append(c.Keyed, h)
	}
	var err error
	c.Heads, err = s.List(ctx, journal.Query{Site: "shop"})
	note(err)
	c.Open, err = s.OpenStreams(ctx)
	note(err)
	c.Last, err = s.LastCounting(ctx, "shop", "1001")
	note(err)
	c.Sites, err = s.Sites(ctx)
	note(err)
	c.Keys, err = s.Keys(ctx)
	note(err)
	return c, errs
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	for _, name := range []string{FileName, FileName + "-wal", markName} {
		b, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAlteredFiles cuts and alters the files at many places. The journal must
// be refused by name, or say that something is wrong when it is read or
// verified, or be what it was.
func TestAlteredFiles(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))

	// One sample as a clean stop leaves it, one as a kill does.
	clean, killed := t.TempDir(), t.TempDir()
	s := open(t, clean, Options{})
	sample(t, s)
	want, errs := read(t, s)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	copyDir(t, clean, killed)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	outcomes := map[string]int{}
	try := func(from, name string) {
		dir := t.TempDir()
		copyDir(t, from, dir)
		path := filepath.Join(dir, name)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		pos := rng.IntN(len(b))
		deed := fmt.Sprintf("%s of %d bytes, ", name, len(b))
		switch rng.IntN(3) {
		case 0:
			b = b[:pos]
			deed += fmt.Sprintf("cut to %d", pos)
		case 1:
			b[pos] ^= byte(1 + rng.IntN(255))
			deed += fmt.Sprintf("altered at %d", pos)
		case 2:
			end := min(len(b), pos+512)
			clear(b[pos:end])
			deed += fmt.Sprintf("zeroed from %d to %d", pos, end)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		outcomes[judge(t, dir, deed, want)]++
	}
	for range 15 {
		try(clean, FileName)
		try(killed, FileName+"-wal")
	}
	for range 4 {
		try(killed, FileName)
		try(clean, markName)
	}
	for n := 0; n < 200 && outcomes["found"] == 0; n++ { // few places are such that it is found only later
		try(clean, FileName)
	}
	t.Logf("%v", outcomes)
	if outcomes["refused"] == 0 || outcomes["found"] == 0 {
		t.Errorf("nothing was refused or nothing found: %v", outcomes)
	}
}

// judge opens an altered folder and returns what became of it.
func judge(t *testing.T, dir, deed string, want content) string {
	t.Helper()
	var tampered *journal.TamperedError
	s, err := Open(dir, Options{BallastSize: -1})
	if err != nil {
		var newer *journal.NewerError
		if !errors.As(err, &tampered) && !errors.As(err, &newer) {
			t.Errorf("%s: refused, but not by name: %v", deed, err)
		}
		return "refused"
	}
	defer s.Close() // may fail: what it would check in is damaged
	v, err := s.Verify(t.Context())
	if err != nil {
		t.Errorf("%s: verify: %v", deed, err)
	}
	got, errs := read(t, s)
	for _, err := range errs {
		if !errors.As(err, &tampered) && (v.Fault == "" || !errors.Is(err, journal.ErrNotFound)) {
			t.Errorf("%s: read: %v", deed, err)
		}
	}
	// What is returned as a stream's records is always right.
	for id, records := range got.Records {
		if d := cmp.Diff(want.Records[id], records); d != "" {
			t.Errorf("%s: wrong records of %s:\n%s", deed, id, d)
		}
	}
	if v.Fault != "" || len(errs) > 0 {
		return "found"
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s: wrong in silence:\n%s", deed, d)
	}
	return "harmless"
}

// TestTampering does to a journal what somebody with SQL at hand may do.
func TestTampering(t *testing.T) {
	for name, c := range map[string]struct {
		sql     string
		file    func(t *testing.T, dir string)
		refused string // what Open says; else it opens
		fault   string // what Verify says
		records string // what Records of r1 say
		rebuilt bool   // Rebuild puts it right
	}{
		"untouched":            {sql: ``},
		"record edited":        {sql: `UPDATE entries SET data = CAST(replace(CAST(data AS TEXT), 'INSERT', 'REMOVE') AS BLOB) WHERE id = 6`, fault: `entry 6: record 3 of stream "r1"`, records: "entry 6"},
		"entry removed":        {sql: `DELETE FROM entries WHERE id = 6`, fault: "entry 6 is missing", records: "entry 6 is missing"},
		"entries swapped":      {sql: `UPDATE entries SET id = -1 WHERE id = 6; UPDATE entries SET id = 6 WHERE id = 7; UPDATE entries SET id = 7 WHERE id = -1`, fault: "entry 6", records: "entry 8"},
		"entry led elsewhere":  {sql: `UPDATE entries SET prev = 1 WHERE id = 6`, fault: "entry 6", records: "entry 6"},
		"tail cut":             {sql: `DELETE FROM entries WHERE id > 34`, refused: "the end was cut: 34 entries"},
		"tail and mark cut":    {sql: `DELETE FROM entries WHERE id > 34`, file: remove(markName), refused: markName + " is missing"},
		"tail rewritten":       {sql: `UPDATE entries SET hash = zeroblob(32) WHERE id = 38`, refused: "entry 38"},
		"mark removed":         {sql: ``, file: remove(markName), refused: markName + " is missing"},
		"mark garbled":         {sql: ``, file: write(markName, "0"), refused: markName + " cannot be read"},
		"mark of another":      {sql: ``, file: write(markName, string(mark{id: 38}.encode())), refused: "entry 38 is not the one"},
		"mark behind":          {sql: ``, file: behind},
		"key made valid":       {sql: `UPDATE keys SET note = 'x'`, fault: `the row of key "k1"`},
		"key removed":          {sql: `DELETE FROM keys`, fault: "key k1 is missing"},
		"key slipped in":       {sql: `INSERT INTO keys SELECT 'k2', site, hash, faces, note, created, revoked, sum FROM keys`, fault: "key k2 is not what was put"},
		"site edited":          {sql: `UPDATE sites SET name = 'x', sum = 1`, fault: "site shop is not what was put"},
		"database removed":     {sql: ``, file: remove(FileName), refused: "the database is empty, and had 38 entries"},
		"database of nobody":   {sql: ``, file: write(FileName, strings.Repeat("x", 8192)), refused: "not a database"},
		"writer renamed":       {sql: `UPDATE meta SET value = 'me' WHERE name = 'writer'`, fault: "entry 1"},
		"writer without name":  {sql: `DELETE FROM meta`, fault: "entry 1"},
		"table dropped":        {sql: `DROP TABLE entries`, refused: "entries"},
		"head edited":          {sql: `UPDATE heads SET result = 'DECLINED' WHERE stream = 'r1'`, fault: `the head of stream "r1"`, records: "head", rebuilt: true},
		"head removed":         {sql: `DELETE FROM heads WHERE stream = 'r1'`, fault: "heads lead to", records: "not found", rebuilt: true},
		"heads removed":        {sql: `DELETE FROM heads`, fault: "heads lead to", records: "not found", rebuilt: true},
		"head edited with sum": {sql: editWithSum, fault: `the head of stream "r1" is not what its records say`, rebuilt: true},
		"index of others":      {sql: `PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = replace(sql, 'accepted', 'ended') WHERE name = 'heads_open'`, fault: "heads_open"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, Options{})
			sample(t, s)
			h, err := s.Head(t.Context(), "r1")
			if err != nil {
				t.Fatal(err)
			}
			want, _ := read(t, s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			query := c.sql
			if query == editWithSum {
				h.Result = "DECLINED"
				r := row{id: 5, last: 8, head: h}
				query = fmt.Sprintf(editWithSum, r.sum())
			}
			alter(t, dir, query)
			if c.file != nil {
				c.file(t, dir)
			}

			s, err = Open(dir, Options{BallastSize: -1})
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
			_, err = s.Records(t.Context(), "r1")
			if (c.records == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.records) {
				t.Errorf("records: %v, want %q", err, c.records)
			}
			n, err := s.Rebuild(t.Context())
			if c.rebuilt || c.fault == "" {
				if n != 10 || err != nil {
					t.Errorf("rebuilt %d, %v", n, err)
				}
				got, errs := read(t, s)
				if d := cmp.Diff(want, got); d != "" || len(errs) > 0 {
					t.Errorf("rebuilt: %v (-want +got)\n%s", errs, d)
				}
				if v, err := s.Verify(t.Context()); v.Fault != "" || err != nil {
					t.Errorf("verified anew: %q, %v", v.Fault, err)
				}
				appendOne(t, s, journaltest.Appends("r8", "shop", "1001", start.Add(8*time.Minute))[2])
			}
		})
	}
}

const editWithSum = `UPDATE heads SET result = 'DECLINED', sum = %d WHERE stream = 'r1'`

func remove(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func write(name, content string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// behind sets the mark back, as a loss of power may.
func behind(t *testing.T, dir string) {
	db := raw(t, dir)
	defer db.Close()
	m := mark{id: 30}
	var hash []byte
	if err := db.QueryRow("SELECT hash FROM entries WHERE id = 30").Scan(&hash); err != nil {
		t.Fatal(err)
	}
	copy(m.hash[:], hash)
	write(markName, string(m.encode()))(t, dir)
}

func raw(t *testing.T, dir string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// alter runs SQL on a journal that nobody has open.
func alter(t *testing.T, dir, query string) {
	t.Helper()
	db := raw(t, dir)
	defer db.Close()
	if _, err := db.Exec(query); err != nil {
		t.Fatal(err)
	}
}

func TestMarkHeals(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	sample(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, markName))
	if err != nil {
		t.Fatal(err)
	}
	behind(t, dir)
	s = open(t, dir, Options{})
	defer s.Close()
	after, err := os.ReadFile(filepath.Join(dir, markName))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("mark %q, %v, want %q", after, err, before)
	}
}

func TestNewerDatabase(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, dir, Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	alter(t, dir, "PRAGMA user_version = 99")
	for _, o := range []Options{{}, {ReadOnly: true}} {
		_, err := Open(dir, o)
		var newer *journal.NewerError
		if !errors.As(err, &newer) || newer.Version != 99 {
			t.Errorf("opened a newer database: %v", err)
		}
	}
}

func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(filepath.Join(dir, "none"), Options{ReadOnly: true}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("opened a folder that is not there: %v", err)
	}
	w := open(t, dir, Options{})
	sample(t, w)
	want, _ := read(t, w)
	check := func() {
		t.Helper()
		r, err := Open(dir, Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		got, errs := read(t, r)
		if d := cmp.Diff(want, got); d != "" || len(errs) > 0 {
			t.Errorf("%v (-want +got)\n%s", errs, d)
		}
		if v, err := r.Verify(t.Context()); err != nil || v.Fault != "" || v.Streams != 10 {
			t.Errorf("verified %+v, %v", v, err)
		}
		if err := r.Append(t.Context(), journaltest.Appends("x", "shop", "1001", start)[0]); !errors.Is(err, journal.ErrReadOnly) {
			t.Errorf("append: %v", err)
		}
		if err := r.PutSite(t.Context(), journal.Site{ID: "x"}); !errors.Is(err, journal.ErrReadOnly) {
			t.Errorf("put: %v", err)
		}
		if _, err := r.Rebuild(t.Context()); !errors.Is(err, journal.ErrReadOnly) {
			t.Errorf("rebuild: %v", err)
		}
	}
	check() // while it is written
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	check() // when nobody has it open
}

// FuzzEntry holds that an entry is read as it was written, and nothing else
// is read.
func FuzzEntry(f *testing.F) {
	for _, a := range journaltest.Appends("r1", "shop", "1001", start) {
		f.Add(entry{stream: a.Stream, kind: a.Head.Kind, key: "key", expect: a.Expect, records: a.Records}.encode())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := decodeEntry(data)
		if err != nil {
			return
		}
		again, err := decodeEntry(e.encode())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(e, again, cmp.AllowUnexported(entry{})); d != "" {
			t.Fatal(d)
		}
	})
}
