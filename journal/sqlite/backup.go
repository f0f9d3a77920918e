package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tillwire/tillwire/internal/disk"
	"github.com/tillwire/tillwire/journal"
)

// A backup is one file: the database as it stood at one moment, with the mark of
// how far its chain went as a row of meta.

// A Backup says what a backup holds.
type Backup struct {
	Made time.Time // UTC
	journal.Verification
}

// backupForm is the value of the row.
type backupForm struct {
	Format  int       `json:"format"`
	Made    time.Time `json:"made"`
	Entries int64     `json:"entries"`
	Head    string    `json:"head"` // hex
}

const (
	backupFormat    = 1
	putBackupQuery  = `INSERT OR REPLACE INTO meta (name, value) VALUES ('backup', ?)`
	getBackupQuery  = `SELECT value FROM meta WHERE name = 'backup'`
	dropBackupQuery = `DELETE FROM meta WHERE name = 'backup'`
)

// Backup writes a backup into a new file, and reads it once more from end to
// end. The store goes on meanwhile, also when it is another process that writes
// it: the backup is as the journal stood at one moment, whole. A store that is
// altered or cut is not backed up: it returns a *journal.TamperedError.
func (s *Store) Backup(ctx context.Context, path string) (b Backup, err error) {
	if err := s.ready(); err != nil {
		return b, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return b, fmt.Errorf("journal: backup: %w", err)
	}
	if err := absent(path); err != nil {
		return b, err
	}
	known, _, err := readMark(s.dir) // before the database, which may grow meanwhile
	if err != nil {
		return b, err
	}
	part, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".part-*")
	if err != nil {
		return b, fmt.Errorf("journal: backup: %w", err)
	}
	name := part.Name()
	defer func() {
		if err != nil {
			err = errors.Join(err, remains(name))
		}
	}()
	if err := part.Close(); err != nil {
		return b, fmt.Errorf("journal: backup: %w", err)
	}
	if _, err := s.read.ExecContext(ctx, "VACUUM INTO ?", name); err != nil {
		return b, fmt.Errorf("journal: backup: %w", refusal(err))
	}
	if err := seal(name, known, time.Now().UTC()); err != nil {
		return b, err
	}
	if b, err = CheckBackup(ctx, name); err != nil {
		return b, err
	}
	if err := absent(path); err != nil {
		return b, err
	}
	if err := os.Rename(name, path); err != nil {
		return b, fmt.Errorf("journal: backup: %w", err)
	}
	return b, disk.System{}.SyncDir(filepath.Dir(path))
}

// absent refuses a file that is there.
func absent(path string) error {
	_, err := os.Lstat(path)
	if err == nil {
		return fmt.Errorf("journal: %s: %w", path, fs.ErrExist)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("journal: %w", err)
}

// remains removes what a backup or restore that failed has left.
func remains(names ...string) error {
	var errs []error
	for _, name := range names {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// seal writes into a copy how far its chain goes, and has it on disk. Known is
// the mark of the original, which the copy must contain.
func seal(path string, known mark, made time.Time) error {
	s := fileStore(path, Options{})
	c, err := s.connect()
	if err != nil {
		return err
	}
	err = func() error {
		// The writer's WAL is no part of one file.
		if err := c.script("PRAGMA journal_mode = DELETE"); err != nil {
			return wrap(err)
		}
		end, err := s.tail(c, known, known.id > 0)
		if err != nil {
			return err
		}
		value, err := json.Marshal(backupForm{backupFormat, made, end.id, hex.EncodeToString(end.hash[:])})
		if err != nil {
			return err
		}
		return execOne(c, putBackupQuery, string(value))
	}()
	return errors.Join(err, c.Close(), syncFile(path))
}

// fileStore is a store of one file, not opened yet.
func fileStore(path string, o Options) *Store {
	s := &Store{dir: filepath.Dir(path), file: path, o: o, log: slog.New(slog.DiscardHandler), requests: make(chan *request), done: make(chan struct{})}
	s.finish = func() error { return nil }
	close(s.done)
	return s
}

func execOne(c *conn, query string, args ...driver.Value) error {
	st, err := c.prepare(query)
	if err != nil {
		return err
	}
	defer st.close()
	_, err = st.exec(args...)
	return wrap(err)
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return errors.Join(f.Sync(), f.Close())
}

// CheckBackup reads a backup from end to end. It returns a *journal.TamperedError
// when it is not whole, and a *journal.NewerError when a newer binary made it.
func CheckBackup(ctx context.Context, path string) (Backup, error) {
	b, _, err := checkBackup(ctx, path)
	return b, err
}

func checkBackup(ctx context.Context, path string) (b Backup, m mark, err error) {
	if _, err := os.Stat(path); err != nil {
		return b, m, fmt.Errorf("journal: %w", err)
	}
	s := fileStore(path, Options{ReadOnly: true})
	if err := s.openFile(&b.Made); err != nil {
		return b, m, fmt.Errorf("backup %s: %w", path, foreign(err))
	}
	v, err := s.Verify(ctx)
	if err == nil && v.Fault != "" {
		err = &journal.TamperedError{What: v.Fault}
	}
	b.Verification = v
	if err = errors.Join(err, s.Close()); err != nil {
		return b, m, fmt.Errorf("backup %s: %w", path, err)
	}
	return b, s.sealed, nil
}

// openFile opens a backup for reading.
func (s *Store) openFile(made *time.Time) error {
	c, err := s.connect()
	if err != nil {
		return err
	}
	err = func() error {
		version, err := schemaVersion(c)
		if err != nil {
			return err
		}
		s.version = version
		read, err := c.prepare(getBackupQuery)
		if err != nil {
			return err
		}
		defer read.close()
		text := ""
		if _, err := read.row(func(v []driver.Value) { text, _ = v[0].(string) }); err != nil {
			return err
		}
		var f backupForm
		if text == "" {
			return &journal.TamperedError{What: "it is no backup, or was not finished"}
		}
		if err := json.Unmarshal([]byte(text), &f); err != nil {
			return &journal.TamperedError{What: fmt.Sprintf("what it says of itself: %v", err)}
		}
		if f.Format != backupFormat {
			return &journal.NewerError{Kind: "backup", Version: f.Format}
		}
		hash, err := hex.DecodeString(f.Head)
		if err != nil || len(hash) != len(s.sealed.hash) || f.Entries < 0 {
			return &journal.TamperedError{What: "what it says of itself is no end of a chain"}
		}
		*made, s.sealed = f.Made.UTC(), mark{id: f.Entries, hash: digest(hash)}
		end, err := s.tail(c, s.sealed, true)
		if err == nil && end != s.sealed {
			err = &journal.TamperedError{What: fmt.Sprintf("%d entries were written behind its end", end.id-s.sealed.id)}
		}
		return err
	}()
	if err = errors.Join(err, c.Close()); err != nil {
		return err
	}
	return s.openReaders()
}

// Restore makes the journal of a folder from a backup, which it reads from end
// to end first. The folder is the caller's, and holds no journal. Before the
// journal takes its place there note is called, unless it is nil. When that or
// anything else fails, there is no journal afterwards either.
func Restore(ctx context.Context, path, dir string, note func(Backup) error) (b Backup, err error) {
	for _, name := range []string{FileName, FileName + "-wal", FileName + "-shm", markName} {
		if err := absent(filepath.Join(dir, name)); err != nil {
			return b, err
		}
	}
	if _, err := CheckBackup(ctx, path); err != nil {
		return b, err
	}
	part := filepath.Join(dir, FileName+".restoring")
	defer func() {
		if err != nil {
			err = errors.Join(err, remains(part, part+"-journal", filepath.Join(dir, markName)))
		}
	}()
	if err := copyFile(path, part); err != nil {
		return b, err
	}
	b, end, err := checkBackup(ctx, part) // as it came to this disk
	if err != nil {
		return b, err
	}
	c, err := fileStore(part, Options{}).connect()
	if err != nil {
		return b, err
	}
	if err := errors.Join(execOne(c, dropBackupQuery), c.Close(), syncFile(part)); err != nil {
		return b, err
	}
	if note != nil {
		if err := note(b); err != nil {
			return b, err
		}
	}
	f, err := createMark(disk.System{}, dir, end)
	if err != nil {
		return b, err
	}
	if err := f.Close(); err != nil {
		return b, fmt.Errorf("journal: %w", err)
	}
	// A folder with one of the two only is refused by name.
	if err := os.Rename(part, filepath.Join(dir, FileName)); err != nil {
		return b, fmt.Errorf("journal: %w", err)
	}
	return b, disk.System{}.SyncDir(dir)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("journal: restore: %w", err)
	}
	return nil
}
