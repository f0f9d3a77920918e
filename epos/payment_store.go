package epos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
)

// A PaymentStore remembers which payments a till has booked, so that each is
// booked once however often the gateway tells of it.
//
// Only a till whose bookings and whose store change in one transaction books
// each payment exactly once whatever fails. One that books in a database makes
// its store of a table with the ids:
//
//	func (s store) Once(ctx context.Context, ids []epos.PaymentID, book func(context.Context, []epos.PaymentID) error) error {
//		tx, err := s.db.BeginTx(ctx, nil)
//		… // fresh are those ids that INSERT … ON CONFLICT DO NOTHING has inserted
//		if err := book(context.WithValue(ctx, txKey{}, tx), fresh); err != nil {
//			… // roll back
//		}
//		return tx.Commit()
//	}
//
// and its Paid books in the transaction of its ctx. With a FileStore, and with a
// MemoryStore until the program ends, a payment is booked a second time only if
// the program dies after Paid has returned and before the ids are kept.
type PaymentStore interface {
	// Once calls book with those of the ids that were not booked before, in
	// their order, and not at all when there is none. It returns nil only when
	// all of them are booked and will be known as such. When it returns an
	// error, the gateway is asked to tell of them again. It is called by many
	// goroutines, but never with the same id at the same time.
	Once(ctx context.Context, ids []PaymentID, book func(ctx context.Context, fresh []PaymentID) error) error
}

// A MemoryStore remembers payments as long as the program runs, in some hundred
// bytes each. Its zero value is ready for use.
type MemoryStore struct {
	mu     sync.Mutex
	booked map[PaymentID]struct{}
}

// Once is part of PaymentStore.
func (s *MemoryStore) Once(ctx context.Context, ids []PaymentID, book func(context.Context, []PaymentID) error) error {
	fresh := s.fresh(ids)
	if len(fresh) == 0 {
		return nil
	}
	if err := book(ctx, fresh); err != nil {
		return err
	}
	s.add(fresh)
	return nil
}

func (s *MemoryStore) fresh(ids []PaymentID) []PaymentID {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []PaymentID
	for _, id := range ids {
		if _, ok := s.booked[id]; !ok {
			out = append(out, id)
		}
	}
	return out
}

func (s *MemoryStore) add(ids []PaymentID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.booked == nil {
		s.booked = map[PaymentID]struct{}{}
	}
	for _, id := range ids {
		s.booked[id] = struct{}{}
	}
}

// A FileStore remembers payments in a file, to which it adds a line for each and
// has it on disk before Once returns. Only one program may use the file.
type FileStore struct {
	memory MemoryStore

	mu      sync.Mutex
	file    *os.File
	size    int64       // of the lines that are on disk
	waiting []PaymentID // booked, and not yet on disk
}

// OpenFileStore opens the file, or makes it. A last line that was cut off, as by
// a loss of power, is dropped: it was not kept when Once would have returned.
func OpenFileStore(name string) (*FileStore, error) {
	_, err := os.Stat(name)
	created := errors.Is(err, fs.ErrNotExist)
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("epos: %w", err)
	}
	s := &FileStore{file: file}
	if created {
		err = syncFolder(filepath.Dir(name))
	}
	if err == nil {
		err = s.load()
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("epos: %s: %w", name, err)
	}
	return s, nil
}

func (s *FileStore) load() error {
	data, err := io.ReadAll(s.file)
	if err != nil {
		return err
	}
	ids, size, err := parseStore(data)
	if err != nil {
		return err
	}
	s.memory.add(ids)
	s.size = int64(size)
	return nil
}

// parseStore reads the lines of a store, each an id in quotes. Size is where the
// last whole one ends.
func parseStore(data []byte) (ids []PaymentID, size int, err error) {
	for n := 1; ; n++ {
		end := bytes.IndexByte(data[size:], '\n')
		if end < 0 {
			return ids, size, nil
		}
		id, err := strconv.Unquote(string(data[size : size+end]))
		if err != nil {
			return nil, 0, fmt.Errorf("line %d is not one of this store", n)
		}
		ids = append(ids, PaymentID(id))
		size += end + 1
	}
}

// Once is part of PaymentStore. When the file cannot be written, what was booked
// is remembered in memory and written the next time.
func (s *FileStore) Once(ctx context.Context, ids []PaymentID, book func(context.Context, []PaymentID) error) error {
	fresh := s.memory.fresh(ids)
	if len(fresh) > 0 {
		if err := book(ctx, fresh); err != nil {
			return err
		}
		s.memory.add(fresh)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = append(s.waiting, fresh...)
	return s.flush()
}

// flush writes what waits. A try that failed may have left anything behind the
// last line that is known to be on disk, so writing begins there.
func (s *FileStore) flush() error {
	if len(s.waiting) == 0 {
		return nil
	}
	var lines []byte
	for _, id := range s.waiting {
		lines = append(strconv.AppendQuote(lines, string(id)), '\n')
	}
	err := s.file.Truncate(s.size)
	if err == nil {
		_, err = s.file.WriteAt(lines, s.size)
	}
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("epos: booked payments could not be noted: %w", err)
	}
	s.size += int64(len(lines))
	s.waiting = nil
	return nil
}

// Close writes what could not be written before, and closes the file. Use the
// store no more.
func (s *FileStore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.flush(), s.file.Close())
}

// syncFolder has the name of a new file on disk. Windows has no call for that.
func syncFolder(name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
