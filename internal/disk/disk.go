// Package disk is what rooms that keep files ask of the disk when they write, so
// that a test can put another one there, such as one that loses its power. It
// decides nothing about what is written, and reading needs none of it.
package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// A Disk takes files.
type Disk interface {
	// OpenFile is os.OpenFile for a file to be written.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	// Rename is os.Rename. Like a file that is new it lasts once its folder is
	// synced.
	Rename(from, to string) error
	// SyncDir has the entries of a folder on disk when it returns, where the
	// system has such a thing.
	SyncDir(dir string) error
}

// A File is a file to be written, by one goroutine at a time.
type File interface {
	io.Writer
	io.WriterAt
	Truncate(size int64) error
	Sync() error // what was written is on disk when it returns nil
	Close() error
}

// System is the operating system's.
type System struct{}

// OpenFile is part of Disk, as are those below.
func (System) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err // and no File with nothing in it
	}
	return f, nil
}

// Rename gives a file another name.
func (System) Rename(from, to string) error { return os.Rename(from, to) }

// SyncDir syncs a folder. Windows has no such thing.
func (System) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission) {
		err = nil
	}
	return errors.Join(err, d.Close())
}
