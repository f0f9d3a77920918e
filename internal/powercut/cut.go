package powercut

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// A Loss counts what a cut took back.
type Loss struct {
	Writes int // not synced, and gone or torn
	Names  int // likewise
}

// Cut is the loss of power of a program that is dead, which had noted in dir:
// afterwards its files are as a disk may have them. The dice decide what of
// all that was not synced was on disk by then.
func Cut(dir string, rng *rand.Rand) (loss Loss, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return loss, err
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return loss, nil
	}
	if err != nil {
		return loss, err
	}
	// Names come after what is in the files, which are found by their last names.
	for _, kind := range []struct {
		suffix string
		cut    func(path string, all []note, rng *rand.Rand) (int, error)
		lost   *int
	}{{fileNotes, cutFile, &loss.Writes}, {folderNotes, cutFolder, &loss.Names}} {
		for _, e := range entries {
			name, ok := strings.CutSuffix(e.Name(), kind.suffix)
			if !ok {
				continue
			}
			path, err := hex.DecodeString(name)
			if err != nil {
				return loss, fmt.Errorf("powercut: %s: %w", e.Name(), err)
			}
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				return loss, err
			}
			n, err := kind.cut(string(path), decode(text), rng)
			*kind.lost += n
			if err != nil {
				return loss, fmt.Errorf("powercut: %s: %w", path, err)
			}
		}
	}
	return loss, Forget(dir)
}

// sector is what a disk writes whole or not at all, in bytes.
const sector = 512

// cutFile takes writes to a file back.
func cutFile(path string, all []note, rng *rand.Rand) (lost int, err error) {
	if len(all) == 0 {
		return 0, nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil // it was about to be made
	}
	if err != nil {
		return 0, err
	}
	for i := len(all) - 1; i >= 0; i-- {
		data = all[i].undo(data)
	}
	// Of what was not synced a disk has nothing, or as much as there was time
	// for, or whatever it liked to begin with.
	switch n := rng.IntN(len(all) + 1); rng.IntN(4) {
	case 0:
		lost = len(all)
	case 1:
		for _, one := range all[:n] {
			data = one.redo(data, nil)
		}
		if lost = len(all) - n; lost > 0 {
			last, keep := all[n], rng.IntN(len(all[n].now)/sector+1)
			data = last.redo(data, func(at int) bool { return at < keep })
		}
	default:
		for _, one := range all {
			whole := true
			data = one.redo(data, func(int) bool {
				kept := rng.IntN(2) == 0
				whole = whole && kept
				return kept
			})
			if !whole {
				lost++
			}
		}
	}
	return lost, os.WriteFile(path, data, 0o600)
}

// undo gives a file's content as it was before.
func (n note) undo(data []byte) []byte {
	data = resize(data, n.size)
	copy(data[min(n.offset, n.size):], n.before)
	return data
}

// redo does once more what was done; only those of its sectors that are kept,
// counted from its beginning, if a function says so.
func (n note) redo(data []byte, keep func(sector int) bool) []byte {
	if n.kind == truncated {
		if keep != nil && !keep(0) {
			return data
		}
		return resize(data, n.offset)
	}
	for i, from := 0, 0; from < len(n.now); i++ {
		// Sectors are the disk's, wherever the write begins.
		to := min(len(n.now), from+sector-int((n.offset+int64(from))%sector))
		if keep == nil || keep(i) {
			if end := n.offset + int64(to); end > int64(len(data)) {
				data = resize(data, end)
			}
			copy(data[n.offset+int64(from):], n.now[from:to])
		}
		from = to
	}
	return data
}

// resize cuts or fills with zeros.
func resize(data []byte, size int64) []byte {
	if size <= int64(len(data)) {
		return data[:size:size]
	}
	return append(data, make([]byte, size-int64(len(data)))...)
}

// cutFolder takes back what was done to names, the last first.
func cutFolder(_ string, all []note, rng *rand.Rand) (lost int, err error) {
	keep := rng.IntN(len(all) + 1)
	for i := len(all) - 1; i >= keep; i-- {
		one := all[i]
		var err error
		switch one.kind {
		case created:
			err = os.Remove(one.name)
		case removed:
			err = os.WriteFile(one.name, one.before, 0o600)
		case renamed:
			if err = os.Rename(one.name, one.from); err == nil && one.had {
				err = os.WriteFile(one.name, one.before, 0o600)
			}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // it was about to be done
			return lost, err
		}
		lost++
	}
	return lost, nil
}
