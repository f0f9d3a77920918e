package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
)

// A diary is a file of lines, each on disk before anybody acts on it, of a
// program that may be killed.
type diary[T any] struct {
	mu sync.Mutex
	f  *os.File
}

// readDiary returns the lines of a diary, and where they end. There need not be
// one. A last line without its end was never acted on.
func readDiary[T any](path string) (lines []T, end int64, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	for {
		at := bytes.IndexByte(text[end:], '\n')
		if at < 0 {
			return lines, end, nil
		}
		var l T
		if err := json.Unmarshal(text[end:end+int64(at)], &l); err != nil {
			return nil, 0, fmt.Errorf("%s: %w", path, err)
		}
		lines = append(lines, l)
		end += int64(at) + 1
	}
}

// openDiary opens a diary to go on with it, and returns what is in it.
func openDiary[T any](path string) (*diary[T], []T, error) {
	lines, end, err := readDiary[T](path)
	if err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, err
	}
	if err := f.Truncate(end); err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return &diary[T]{f: f}, lines, nil
}

// write has a line on disk when it returns.
func (d *diary[T]) write(l T) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.f.Write(append(text, '\n')); err != nil {
		return err
	}
	return d.f.Sync()
}

func (d *diary[T]) close() error { return d.f.Close() }
