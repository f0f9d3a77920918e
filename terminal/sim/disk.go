package sim

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tillwire/tillwire/internal/disk"
)

// replaceFile puts data in place of the file at path: whole or not at all, and
// on disk when it returns.
func replaceFile(d disk.Disk, path string, data []byte) error {
	tmp := path + ".tmp"
	f, err := d.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("sim: %w", err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = d.Rename(tmp, path)
	}
	if err == nil {
		err = d.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("sim: %w", err)
	}
	return nil
}

// A lineFile is a file that only grows, by whole lines.
type lineFile struct {
	f   disk.File
	end int64
}

// openLines opens or makes the file and returns the lines in it. A last line
// without its end was never reported to anybody and is cut off.
func openLines(d disk.Disk, path string) (*lineFile, [][]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("sim: %w", err)
	}
	isNew := err != nil
	var lines [][]byte
	end := 0
	for i, c := range data {
		if c == '\n' {
			lines = append(lines, data[end:i])
			end = i + 1
		}
	}
	f, err := d.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("sim: %w", err)
	}
	l := &lineFile{f: f, end: int64(end)}
	if err := f.Truncate(l.end); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("sim: %w", err), f.Close())
	}
	if isNew {
		if err := d.SyncDir(filepath.Dir(path)); err != nil {
			return nil, nil, errors.Join(fmt.Errorf("sim: %w", err), f.Close())
		}
	}
	return l, lines, nil
}

// append adds whole lines; they are on disk when it returns nil. After an error
// the file is as it was, or what was added is written over by the next append.
func (l *lineFile) append(data []byte) error {
	if _, err := l.f.WriteAt(data, l.end); err != nil {
		return errors.Join(fmt.Errorf("sim: %w", err), l.f.Truncate(l.end))
	}
	if err := l.f.Sync(); err != nil {
		return errors.Join(fmt.Errorf("sim: %w", err), l.f.Truncate(l.end))
	}
	l.end += int64(len(data))
	return nil
}

func (l *lineFile) close() error { return l.f.Close() }
