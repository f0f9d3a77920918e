package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/journaltest"
	"github.com/tillwire/tillwire/txn"
)

// restored restores a backup into a new folder and opens it.
func restored(t *testing.T, file string) *Store {
	t.Helper()
	dir := t.TempDir()
	if _, err := Restore(t.Context(), file, dir, nil); err != nil {
		t.Fatal(err)
	}
	return open(t, dir, Options{})
}

// TestBackup: what is restored is what was backed up, from a store that writes
// and from one that only reads, and goes on from there.
func TestBackup(t *testing.T) {
	dir := t.TempDir()
	w := pruned(t, dir)
	defer w.Close()
	want, _ := read(t, w)
	verified, err := w.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(dir, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for name, s := range map[string]*Store{"writer": w, "reader": r} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "backup")
			b, err := s.Backup(t.Context(), file)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(verified, b.Verification); d != "" || time.Since(b.Made) > time.Hour {
				t.Errorf("made %v (-want +got)\n%s", b.Made, d)
			}
			if again, err := CheckBackup(t.Context(), file); err != nil || again != b {
				t.Errorf("checked %+v, %v", again, err)
			}
			if _, err := s.Backup(t.Context(), file); !errors.Is(err, fs.ErrExist) {
				t.Errorf("onto a file that is there: %v", err)
			}
			back := restored(t, file)
			defer back.Close()
			got, _ := read(t, back)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("restored (-want +got)\n%s", d)
			}
			appendOne(t, back, journaltest.Appends("r8", "shop", "1001", start.Add(8*time.Minute))[2])
			if v, err := back.Verify(t.Context()); err != nil || v.Fault != "" || v.Records <= verified.Records {
				t.Errorf("afterwards %+v, %v", v, err)
			}
			alone(t, filepath.Dir(file), "backup")
		})
	}
}

// alone holds that a folder has only that file in it, or none.
func alone(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if d := cmp.Diff(names, got); d != "" {
		t.Errorf("left in the folder (-want +got)\n%s", d)
	}
}

// TestBackupWhileWriting: the backup is the journal of one moment, however much
// is written meanwhile.
func TestBackupWhileWriting(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	defer s.Close()
	stop := make(chan struct{})
	begun := make(chan struct{})
	var writers sync.WaitGroup
	for k := range 4 {
		writers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				id := txn.RequestID(fmt.Sprintf("r%d-%d", k, i))
				for _, a := range journaltest.Appends(id, "shop", txn.TID(fmt.Sprint(k)), start.Add(time.Duration(i)*time.Second)) {
					if err := s.Append(t.Context(), a); err != nil {
						t.Error(err)
						return
					}
				}
				if k == 0 && i == 5 {
					close(begun)
				}
			}
		})
	}
	<-begun
	for n := range 3 {
		file := filepath.Join(t.TempDir(), "backup")
		b, err := s.Backup(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		back := restored(t, file)
		v, err := back.Verify(t.Context())
		if err != nil || v.Fault != "" || v.Head != b.Head || v.Records < 12*5 {
			t.Errorf("backup %d: %+v, %v", n, v, err)
		}
		if err := back.Close(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	writers.Wait()
}

// TestBackupRefused: what is not whole is neither backed up nor restored, and
// leaves nothing behind.
func TestBackupRefused(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	sample(t, s)
	good := filepath.Join(t.TempDir(), "backup")
	if _, err := s.Backup(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	want, _ := read(t, s)
	if _, err := s.Backup(t.Context(), filepath.Join(dir, "none", "backup")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("into a folder that is not there: %v", err)
	}
	if _, err := Restore(t.Context(), good, dir, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a journal: %v", err)
	}
	if got, _ := read(t, s); !cmp.Equal(want, got) {
		t.Error("the journal was changed by it")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	refused := func(name, file, want string) {
		t.Helper()
		to := t.TempDir()
		_, err := Restore(t.Context(), file, to, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
		alone(t, to)
	}
	to := t.TempDir()
	full := errors.New("no space for a note")
	if _, err := Restore(t.Context(), good, to, func(Backup) error { return full }); !errors.Is(err, full) {
		t.Errorf("with a note that fails: %v", err)
	}
	alone(t, to)
	refused("not there", filepath.Join(dir, "nothing"), "no such file")
	refused("a journal", filepath.Join(dir, FileName), "it is no backup")
	spoilt := func(name, query string) string {
		b, err := os.ReadFile(good)
		if err != nil {
			t.Fatal(err)
		}
		at := t.TempDir()
		write(FileName, string(b))(t, at)
		alter(t, at, query)
		return filepath.Join(at, FileName)
	}
	for name, c := range map[string]struct{ query, want string }{
		"newer":    {`UPDATE meta SET value = replace(value, '"format":1', '"format":9') WHERE name = 'backup'`, "newer tillwire"},
		"schema":   {`PRAGMA user_version = 99`, "newer tillwire"},
		"no words": {`UPDATE meta SET value = '{}' WHERE name = 'backup'`, "newer tillwire"},
		"garbled":  {`UPDATE meta SET value = '{' WHERE name = 'backup'`, "what it says of itself"},
		"cut":      {`DELETE FROM entries WHERE id > 30`, "the end was cut"},
		"longer":   {`INSERT INTO entries SELECT 39, 0, hash, data FROM entries WHERE id = 38`, "entry 39"},
		"altered":  {`UPDATE entries SET data = x'00' WHERE id = 6`, "entry 6"},
		"a head":   {`UPDATE heads SET result = 'DECLINED' WHERE stream = 'r1'`, `the head of stream "r1"`},
		"a key":    {`DELETE FROM keys`, "key k1 is missing"},
	} {
		refused(name, spoilt(name, c.query), c.want)
	}

	alter(t, dir, `UPDATE entries SET data = x'00' WHERE id = 6`)
	s = open(t, dir, Options{})
	defer s.Close()
	to = t.TempDir()
	if _, err := s.Backup(t.Context(), filepath.Join(to, "backup")); !errors.As(err, new(*journal.TamperedError)) {
		t.Errorf("an altered journal was backed up: %v", err)
	}
	alone(t, to)
}

// TestDamagedBackups alters a backup at many places: it is refused, or what is
// restored is what was backed up.
func TestDamagedBackups(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	s := open(t, t.TempDir(), Options{})
	sample(t, s)
	want, _ := read(t, s)
	good := filepath.Join(t.TempDir(), "backup")
	if _, err := s.Backup(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for range 12 {
		bad := append([]byte(nil), b...)
		at := rng.IntN(len(bad))
		if rng.IntN(2) == 0 {
			bad = bad[:at]
		} else {
			bad[at] ^= byte(1 + rng.IntN(255))
		}
		dir := t.TempDir()
		write("backup", string(bad))(t, dir)
		to := t.TempDir()
		if _, err := Restore(t.Context(), filepath.Join(dir, "backup"), to, nil); err != nil {
			refused++
			alone(t, to)
			continue
		}
		back := open(t, to, Options{BallastSize: -1})
		got, errs := read(t, back)
		if d := cmp.Diff(want, got); d != "" || len(errs) > 0 {
			t.Errorf("altered at %d of %d: %v (-want +got)\n%s", at, len(b), errs, d)
		}
		if err := back.Close(); err != nil {
			t.Error(err)
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}
