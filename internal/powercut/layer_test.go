package powercut

import (
	"bufio"
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite"

	"github.com/tillwire/tillwire/internal/disk"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerEnv); dir != "" {
		if err := writeUntilKilled(dir, os.Getenv(writerEnv+"_SYNC"), os.Getenv(writerEnv+"_LYING") != ""); err != nil {
			fmt.Println("error", err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// A desk is a folder under a layer.
type desk struct {
	*testing.T
	*Layer
	dir   string
	notes string
}

func newDesk(t *testing.T, o Options) *desk {
	t.Helper()
	d := &desk{T: t, dir: t.TempDir(), notes: filepath.Join(t.TempDir(), "notes")}
	d.again(o)
	return d
}

// again is the next life after a cut.
func (d *desk) again(o Options) {
	d.Helper()
	var err error
	if d.Layer, err = Open(d.notes, o); err != nil {
		d.Fatal(err)
	}
}

func (d *desk) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func (d *desk) open(name string, flag int) disk.File {
	d.Helper()
	f, err := d.OpenFile(filepath.Join(d.dir, name), flag, 0o600)
	d.must(err)
	return f
}

// put writes a file as a careful program does: whole, synced, and its name, too.
func (d *desk) put(name, text string) {
	d.Helper()
	f := d.open(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY)
	_, err := f.Write([]byte(text))
	d.must(errors.Join(err, f.Sync(), f.Close(), d.SyncDir(d.dir)))
}

func (d *desk) cut(seed uint64) Loss {
	d.Helper()
	d.mu.Lock()
	for _, n := range d.files {
		d.must(n.log.Close())
	}
	d.mu.Unlock()
	loss, err := Cut(d.notes, rand.New(rand.NewPCG(seed, 1)))
	d.must(err)
	return loss
}

// files reads the folder.
func (d *desk) all() map[string]string {
	d.Helper()
	got := map[string]string{}
	entries, err := os.ReadDir(d.dir)
	d.must(err)
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(d.dir, e.Name()))
		d.must(err)
		got[e.Name()] = string(text)
	}
	return got
}

// enough seeds for each way in which a disk forgets.
const enough = 60

// TestSyncedStays: what was synced is never taken back.
func TestSyncedStays(t *testing.T) {
	for seed := range uint64(enough) {
		d := newDesk(t, Options{})
		d.put("a", "first")
		d.put("a", "second, longer")
		f := d.open("a", os.O_RDWR)
		_, err := f.WriteAt([]byte("SECOND"), 0)
		d.must(errors.Join(err, f.Truncate(10), f.Sync(), f.Close()))
		d.put("b.tmp", "renamed")
		d.must(errors.Join(d.Rename(filepath.Join(d.dir, "b.tmp"), filepath.Join(d.dir, "b")), d.SyncDir(d.dir)))
		if loss := d.cut(seed); loss != (Loss{}) {
			t.Errorf("lost %+v", loss)
		}
		if diff := cmp.Diff(map[string]string{"a": "SECOND, lo", "b": "renamed"}, d.all()); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
	}
}

// outcomes cuts the same life with many seeds and returns what became of it.
func outcomes(t *testing.T, life func(*desk)) map[string]int {
	t.Helper()
	got := map[string]int{}
	for seed := range uint64(enough) {
		d := newDesk(t, Options{})
		life(d)
		d.cut(seed)
		all := d.all()
		got[fmt.Sprint(all)]++
		// The next life begins with what is there.
		d.again(Options{})
		if d.cut(seed); !cmp.Equal(all, d.all()) {
			t.Errorf("a second cut changes %v to %v", all, d.all())
		}
	}
	return got
}

func same(t *testing.T, got map[string]int, want ...string) {
	t.Helper()
	for _, w := range want {
		if got[w] == 0 {
			t.Errorf("%s never comes", w)
		}
		delete(got, w)
	}
	for g := range got {
		t.Errorf("what nobody wrote: %.300s", g)
	}
}

// TestWritesAreLost: sector by sector, whatever their order.
func TestWritesAreLost(t *testing.T) {
	block := func(c string) string { return strings.Repeat(c, sector) }
	same(t, outcomes(t, func(d *desk) {
		d.put("a", block("."))
		f := d.open("a", os.O_RDWR)
		_, err := f.WriteAt([]byte(block("1")), 0)
		_, err2 := f.WriteAt([]byte(block("2")), sector)
		d.must(errors.Join(err, err2, f.Close()))
	}),
		"map[a:"+block(".")+"]", "map[a:"+block("1")+"]", "map[a:"+block(".")+block("2")+"]", "map[a:"+block("1")+block("2")+"]")
	same(t, outcomes(t, func(d *desk) { // one write of three sectors, not at the beginning of one
		f := d.open("a", os.O_CREATE|os.O_WRONLY)
		_, err := f.WriteAt([]byte(block(".")+block(".")), 0)
		d.must(errors.Join(err, f.Sync(), d.SyncDir(d.dir)))
		_, err = f.WriteAt([]byte(block("x")), sector/2)
		d.must(errors.Join(err, f.Close()))
	}),
		"map[a:"+block(".")+block(".")+"]",
		"map[a:"+block(".")[:sector/2]+block("x")+block(".")[:sector/2]+"]",
		"map[a:"+block(".")[:sector/2]+block("x")[:sector/2]+block(".")+"]",
		"map[a:"+block(".")+block("x")[:sector/2]+block(".")[:sector/2]+"]")
}

// TestTruncationsAreLost, and so is what is written where the end was.
func TestTruncationsAreLost(t *testing.T) {
	same(t, outcomes(t, func(d *desk) {
		d.put("a", "1234567890")
		f := d.open("a", os.O_RDWR)
		d.must(errors.Join(f.Truncate(5), f.Close()))
	}), "map[a:1234567890]", "map[a:12345]")
	same(t, outcomes(t, func(d *desk) {
		d.put("a", "12345")
		f := d.open("a", os.O_RDWR)
		d.must(errors.Join(f.Truncate(7), f.Close()))
	}), "map[a:12345]", "map[a:12345\x00\x00]")
}

// TestNamesAreLost: the last first.
func TestNamesAreLost(t *testing.T) {
	same(t, outcomes(t, func(d *desk) {
		d.put("a", "old")
		f := d.open("a.tmp", os.O_CREATE|os.O_WRONLY)
		_, err := f.Write([]byte("new"))
		d.must(errors.Join(err, f.Sync(), f.Close(), d.Rename(filepath.Join(d.dir, "a.tmp"), filepath.Join(d.dir, "a"))))
	}), "map[a:old]", "map[a:old a.tmp:new]", "map[a:new]")
	same(t, outcomes(t, func(d *desk) {
		d.put("a", "there")
		d.put("b", "there")
		d.must(d.remove(filepath.Join(d.dir, "a"), func() error { return os.Remove(filepath.Join(d.dir, "a")) }))
	}), "map[a:there b:there]", "map[b:there]")
}

// TestRenamedUnsynced: a name lasts, and what should be in the file does not.
func TestRenamedUnsynced(t *testing.T) {
	same(t, outcomes(t, func(d *desk) {
		f := d.open("a.tmp", os.O_CREATE|os.O_WRONLY)
		_, err := f.Write([]byte("new"))
		d.must(errors.Join(err, f.Close(), d.Rename(filepath.Join(d.dir, "a.tmp"), filepath.Join(d.dir, "a")), d.SyncDir(d.dir)))
	}), "map[a:]", "map[a:new]")
}

// TestLying: without syncs what was synced goes, too.
func TestLying(t *testing.T) {
	lost := 0
	for seed := range uint64(enough) {
		d := newDesk(t, Options{Lying: true})
		d.put("a", "text")
		d.cut(seed)
		if !cmp.Equal(d.all(), map[string]string{"a": "text"}) {
			lost++
		}
	}
	if lost < enough/4 {
		t.Errorf("%d of %d lost", lost, enough)
	}
}

func TestForget(t *testing.T) {
	d := newDesk(t, Options{})
	f := d.open("a", os.O_CREATE|os.O_WRONLY)
	_, err := f.Write([]byte("text"))
	d.must(errors.Join(err, f.Close(), Forget(d.notes)))
	if loss, err := Cut(d.notes, nil); err != nil || loss != (Loss{}) {
		t.Errorf("%+v, %v", loss, err)
	}
	if diff := cmp.Diff(map[string]string{"a": "text"}, d.all()); diff != "" {
		t.Error(diff)
	}
}

// TestTornNotes: a program that died in the middle of a note had not done what
// the note is about.
func TestTornNotes(t *testing.T) {
	one := note{kind: wrote, offset: 3, size: 9, name: "n", from: "f", before: []byte("b"), now: []byte("now"), had: true}.encode()
	two := note{kind: truncated, offset: 1, size: 2}.encode()
	text := append(bytes.Clone(one), two...)
	for cut := range len(text) + 1 {
		want := 0
		for _, end := range []int{len(one), len(text)} {
			if cut >= end {
				want++
			}
		}
		if got := decode(text[:cut]); len(got) != want {
			t.Errorf("cut at %d: %d notes, want %d", cut, len(got), want)
		}
	}
	if diff := cmp.Diff(one, decode(text)[0].encode()); diff != "" {
		t.Error(diff)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(note{kind: wrote, offset: 3, size: 9, before: []byte("b"), now: []byte("now")}.encode())
	f.Add([]byte{18, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, n := range decode(b) {
			if got := decode(n.encode()); len(got) != 1 || !cmp.Equal(got[0], n, cmp.AllowUnexported(note{})) {
				t.Errorf("%+v became %+v", n, got)
			}
		}
	})
}

// writerEnv makes the test binary a process that writes to a database under a
// layer until it is killed.
const writerEnv = "TILLWIRE_TEST_WRITE_UNTIL_KILLED"

func address(dir string) string { return "file:" + filepath.Join(dir, "db") }

func writeUntilKilled(dir, synchronous string, lying bool) error {
	l, err := Open(filepath.Join(dir, "notes"), Options{Lying: lying})
	if err != nil {
		return err
	}
	defer runtime.KeepAlive(l)
	if err := l.UnderSQLite(); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", address(dir)+"?_pragma=journal_mode(WAL)&_pragma=wal_autocheckpoint(20)&_pragma=synchronous("+synchronous+")")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, text TEXT)"); err != nil {
		return err
	}
	for {
		r, err := db.Exec("INSERT INTO t (text) VALUES (?)", strings.Repeat("text", 500))
		if err != nil {
			return err
		}
		id, err := r.LastInsertId()
		if err != nil {
			return err
		}
		fmt.Println(id)
	}
}

// loses writes to a database, kills the process and cuts its power, some times
// over, and returns the first row, or fault, that should not be lost.
func loses(t *testing.T, synchronous string, lying bool, rounds int) string {
	t.Helper()
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(uint64(os.Getpid()), uint64(rounds)))
	for round := range rounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), writerEnv+"="+dir, writerEnv+"_SYNC="+synchronous)
		if lying {
			cmd.Env = append(cmd.Env, writerEnv+"_LYING=1")
		}
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		told, left := 0, 1+rng.IntN(150)
		for lines := bufio.NewScanner(out); lines.Scan(); left-- {
			if n, err := fmt.Sscan(lines.Text(), &told); n != 1 || err != nil {
				cmd.Wait() //nolint:errcheck // it says why itself
				return lines.Text()
			}
			if left == 0 { // go on reading what it said before it died
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || left > 0 {
			t.Fatalf("round %d: ended by itself: %v", round, err)
		}
		if _, err := Cut(filepath.Join(dir, "notes"), rng); err != nil {
			t.Fatal(err)
		}
		if fault := missing(t, dir, told); fault != "" {
			return fmt.Sprintf("round %d: %s", round, fault)
		}
	}
	return ""
}

func missing(t *testing.T, dir string, told int) string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, "db")); errors.Is(err, fs.ErrNotExist) {
		return "there is no database"
	}
	db, err := sql.Open("sqlite", address(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var whole string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&whole); err != nil || whole != "ok" {
		return fmt.Sprintf("%.200s, %v", whole, err)
	}
	var rows int
	if err := db.QueryRow("SELECT count(*) FROM t").Scan(&rows); err != nil || rows < told {
		return fmt.Sprintf("%d rows of %d, %v", rows, told, err)
	}
	return ""
}

// TestSQLite: a database that syncs loses nothing that was told, whenever the
// power goes; and one that does not is found out.
func TestSQLite(t *testing.T) {
	if fault := loses(t, "FULL", false, 8); fault != "" {
		t.Error(fault)
	}
	for what, fault := range map[string]string{
		"synchronous=OFF": loses(t, "OFF", false, 50), "a disk that lies": loses(t, "FULL", true, 50),
	} {
		if fault == "" {
			t.Errorf("nothing is lost with %s", what)
		}
		t.Logf("with %s: %s", what, fault)
	}
}
