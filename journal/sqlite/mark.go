package sqlite

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tillwire/tillwire/internal/disk"
	"github.com/tillwire/tillwire/journal"
)

// A mark says how far the chain went, in a file of its own beside the
// database, so that a database whose tail was cut is found out. It is written
// after a commit is on disk and is never ahead of it; it may lag behind.
type mark struct {
	id   int64
	hash digest
}

const (
	markName   = "journal.head"
	markFormat = "tillwire journal head 1\n%020d %64s\n"
)

// encode returns the file, always of one length and well within a sector, so
// that a write in place is whole or not there.
func (m mark) encode() []byte {
	return fmt.Appendf(nil, markFormat, m.id, hex.EncodeToString(m.hash[:]))
}

// readMark returns the mark of the folder, and whether there is one.
func readMark(dir string) (mark, bool, error) {
	b, err := os.ReadFile(filepath.Join(dir, markName))
	if errors.Is(err, fs.ErrNotExist) {
		return mark{}, false, nil
	}
	if err != nil {
		return mark{}, false, fmt.Errorf("journal: %w", err)
	}
	var m mark
	var sum string
	if _, err := fmt.Sscanf(string(b), markFormat, &m.id, &sum); err == nil && m.id >= 0 {
		if raw, err := hex.DecodeString(sum); err == nil && copy(m.hash[:], raw) == len(m.hash) && string(m.encode()) == string(b) {
			return m, true, nil
		}
	}
	return mark{}, false, &journal.TamperedError{What: markName + " cannot be read"}
}

// createMark writes a first mark and has it on disk when it returns: from
// then on the file keeps its length and is written in place.
func createMark(d disk.Disk, dir string, m mark) (disk.File, error) {
	f, err := d.OpenFile(filepath.Join(dir, markName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	_, err = f.WriteAt(m.encode(), 0)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = d.SyncDir(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("journal: %w", errors.Join(err, f.Close()))
	}
	return f, nil
}
