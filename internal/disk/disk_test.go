package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestSystem(t *testing.T) {
	var d Disk = System{}
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	f, err := d.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write([]byte("hello"))
	_, err2 := f.WriteAt([]byte("J"), 0)
	if err := errors.Join(err, err2, f.Truncate(4), f.Sync(), f.Close(), d.Rename(path, filepath.Join(dir, "b")), d.SyncDir(dir)); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "b")); err != nil || string(got) != "Jell" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestNotThere: an error comes without a file, not with one that is nil inside.
func TestNotThere(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone")
	f, err := System{}.OpenFile(filepath.Join(gone, "a"), os.O_CREATE|os.O_WRONLY, 0o600)
	if f != nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, %v", f, err)
	}
	if err := (System{}).SyncDir(gone); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
	if err := (System{}).Rename(gone, gone+"2"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}
