// Package powercut is a layer over files that can lose its power. Programs write
// through it, and it notes beside the files what is not synced yet, together
// with what was there before. Once such a program is dead, Cut takes back what a
// disk without power may have forgotten: writes since the last sync of their
// file, whole, in part or out of order, by sectors of 512 bytes, and names that
// were made, changed or removed since the last sync of their folder.
//
// It is for tests. What was synced is never taken back, and what a program
// reads is always what was written last. Nothing waits for a real disk.
package powercut

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"

	"github.com/tillwire/tillwire/internal/disk"
)

// A Layer is a disk.Disk whose power can be cut. Use Open. One process at a
// time may write the files of a layer, and all of it through the layer.
type Layer struct {
	dir   string // where it notes
	lying bool

	mu    sync.Mutex
	files map[string]*notes
	under *vfs
}

var _ disk.Disk = (*Layer)(nil)

// Options change how a layer works.
type Options struct {
	// Lying has the layer forget nothing when it is told to sync, as if nobody
	// had: what is kept all the same is kept by luck. A test that does not fail
	// with it tests nothing.
	Lying bool
}

// Open begins a layer, which notes in the folder dir what is not synced. What a
// layer before it noted there must be cut or forgotten first.
func Open(dir string, o Options) (*Layer, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return &Layer{dir: dir, lying: o.Lying, files: map[string]*notes{}}, nil
}

// Forget has everything that a dead program wrote last, as if it had been
// synced: its end had nothing to do with the power.
func Forget(dir string) error { return os.RemoveAll(dir) }

// Notes are what is not synced of one file, or of the names in one folder.
type notes struct {
	mu  sync.Mutex
	log *os.File
}

// The kinds of notes.
const (
	wrote     byte = iota + 1 // Now at Offset, where Before was, in a file of Size
	truncated                 // from Size to Offset; Before is the end that went
	created                   // Name
	renamed                   // From to Name, where Before was if Had
	removed                   // Name, where Before was
)

// A note is one thing that is not synced.
type note struct {
	kind         byte
	had          bool
	offset, size int64
	name, from   string
	before, now  []byte
}

// encode gives a note as it stands in its file: its length first, so that one
// that was not written whole is known.
func (n note) encode() []byte {
	b := append(make([]byte, 4), n.kind, 0)
	if n.had {
		b[5] = 1
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(n.offset))
	b = binary.LittleEndian.AppendUint64(b, uint64(n.size))
	for _, part := range [][]byte{[]byte(n.name), []byte(n.from), n.before, n.now} {
		b = append(binary.LittleEndian.AppendUint32(b, uint32(len(part))), part...)
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// decode reads the notes of a file. A last one that is not whole was about
// nothing that happened.
func decode(b []byte) (all []note) {
	for len(b) >= 4 {
		size := int(binary.LittleEndian.Uint32(b))
		if size < 18 || len(b) < 4+size {
			return all
		}
		one, rest := b[4:4+size], b[4+size:]
		n := note{
			kind: one[0], had: one[1] == 1,
			offset: int64(binary.LittleEndian.Uint64(one[2:])), size: int64(binary.LittleEndian.Uint64(one[10:])),
		}
		var name, from []byte
		one = one[18:]
		for _, part := range []*[]byte{&name, &from, &n.before, &n.now} {
			if len(one) < 4 {
				return all
			}
			l := int(binary.LittleEndian.Uint32(one))
			if len(one) < 4+l {
				return all
			}
			*part, one = one[4:4+l], one[4+l:]
		}
		n.name, n.from = string(name), string(from)
		all, b = append(all, n), rest
	}
	return all
}

// Notes about files and about folders have names that say of which.
const (
	fileNotes   = ".file"
	folderNotes = ".folder"
)

// of returns the notes of a file or of a folder.
func (l *Layer) of(path, suffix string) (*notes, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := l.notePath(path, suffix)
	if n := l.files[key]; n != nil {
		return n, nil
	}
	f, err := os.OpenFile(key, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	n := &notes{log: f}
	l.files[key] = n
	return n, nil
}

func (l *Layer) notePath(path, suffix string) string {
	return filepath.Join(l.dir, hex.EncodeToString([]byte(path))+suffix)
}

// add notes something before it is done. The caller holds n.mu.
func (n *notes) add(one note) error {
	_, err := n.log.Write(one.encode())
	return err
}

// sync forgets: it is on disk. The caller holds n.mu.
func (l *Layer) sync(n *notes) error {
	if l.lying {
		return nil
	}
	return n.log.Truncate(0)
}

// A reader gives the size of a file and what is in it at an offset, up to so many
// bytes. It reads through the handle that writes: whoever closes another one
// gives up the locks that the process has on the file.
type reader func(offset, n int64) (size int64, b []byte, err error)

// write notes a write to path and does it.
func (l *Layer) write(path string, b []byte, offset int64, read reader, do func() error) error {
	n, err := l.of(path, fileNotes)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	size, before, err := read(offset, int64(len(b)))
	if err != nil {
		return err
	}
	if err := n.add(note{kind: wrote, offset: offset, size: size, before: before, now: b}); err != nil {
		return err
	}
	return do()
}

// truncate notes a truncation and does it.
func (l *Layer) truncate(path string, to int64, read reader, do func() error) error {
	n, err := l.of(path, fileNotes)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	size, before, err := read(to, math.MaxInt64)
	if err != nil {
		return err
	}
	if size != to {
		if err := n.add(note{kind: truncated, offset: to, size: size, before: before}); err != nil {
			return err
		}
	}
	return do()
}

// syncFile has what was written to path last.
func (l *Layer) syncFile(path string) error {
	n, err := l.of(path, fileNotes)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return l.sync(n)
}

// create notes that a file is about to be made.
func (l *Layer) create(path string) error {
	n, err := l.of(filepath.Dir(path), folderNotes)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.add(note{kind: created, name: path})
}

// remove notes that a file is about to go, and removes it.
func (l *Layer) remove(path string, do func() error) error {
	n, err := l.of(filepath.Dir(path), folderNotes)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	before, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return do()
	}
	if err != nil {
		return err
	}
	if err := n.add(note{kind: removed, name: path, before: before}); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return l.drop(path)
}

// drop forgets what is noted of a file that is not there any more.
func (l *Layer) drop(path string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := l.notePath(path, fileNotes)
	if n := l.files[key]; n != nil {
		delete(l.files, key)
		n.log.Close() //nolint:errcheck // nothing is read from it any more
	}
	if err := os.Remove(key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// OpenFile is part of disk.Disk, as are those below.
func (l *Layer) OpenFile(name string, flag int, perm fs.FileMode) (disk.File, error) {
	path, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	_, err = os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && flag&os.O_CREATE != 0 {
		if err := l.create(path); err != nil {
			return nil, err
		}
	}
	f, err := os.OpenFile(path, flag&^(os.O_TRUNC|os.O_WRONLY)|os.O_RDWR, perm)
	if err != nil {
		return nil, err
	}
	w := &file{layer: l, path: path, f: f}
	if flag&os.O_TRUNC != 0 {
		err = w.Truncate(0)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return w, nil
}

// Rename gives a file of a folder another name in it.
func (l *Layer) Rename(from, to string) error {
	from, errFrom := filepath.Abs(from)
	to, errTo := filepath.Abs(to)
	if err := errors.Join(errFrom, errTo); err != nil {
		return err
	}
	if filepath.Dir(from) != filepath.Dir(to) {
		return errors.New("powercut: a rename from folder to folder")
	}
	n, err := l.of(filepath.Dir(to), folderNotes)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	one := note{kind: renamed, from: from, name: to, had: true}
	if one.before, err = os.ReadFile(to); errors.Is(err, fs.ErrNotExist) {
		one.had = false
	} else if err != nil {
		return err
	}
	if err := n.add(one); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	// What is not synced of the file is now under its new name. Files are
	// closed before they are renamed.
	if err := l.drop(to); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	old, now := l.notePath(from, fileNotes), l.notePath(to, fileNotes)
	if open := l.files[old]; open != nil {
		delete(l.files, old)
		l.files[now] = open
	}
	if err := os.Rename(old, now); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// SyncDir has the names in a folder last.
func (l *Layer) SyncDir(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	n, err := l.of(dir, folderNotes)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return l.sync(n)
}

// A file of a layer.
type file struct {
	layer *Layer
	path  string
	f     *os.File
}

// Write writes where the file stands.
func (w *file) Write(b []byte) (n int, err error) {
	at, err := w.f.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	err = w.layer.write(w.path, b, at, w.read, func() (err error) { n, err = w.f.Write(b); return err })
	return n, err
}

// WriteAt writes at an offset.
func (w *file) WriteAt(b []byte, at int64) (n int, err error) {
	err = w.layer.write(w.path, b, at, w.read, func() (err error) { n, err = w.f.WriteAt(b, at); return err })
	return n, err
}

// Truncate changes the size.
func (w *file) Truncate(size int64) error {
	return w.layer.truncate(w.path, size, w.read, func() error { return w.f.Truncate(size) })
}

// Sync has what was written last.
func (w *file) Sync() error { return w.layer.syncFile(w.path) }

// Close closes the file. What is not synced stays so.
func (w *file) Close() error { return w.f.Close() }

func (w *file) read(offset, n int64) (size int64, b []byte, err error) {
	s, err := w.f.Stat()
	if err != nil {
		return 0, nil, err
	}
	b = make([]byte, max(0, min(n, s.Size()-offset)))
	_, err = io.ReadFull(io.NewSectionReader(w.f, offset, int64(len(b))), b)
	return s.Size(), b, err
}
