// Package sqlite keeps a journal in one folder, in an embedded SQLite
// database: journal.db, the mark of how far its chain went in journal.head,
// and a ballast to be given up when the disk is full. One goroutine writes; it
// gathers the appends that wait and has them on disk with one commit. Readers
// never wait for it.
//
// It never decides anything about a transaction, and it does not keep a second
// process from writing: who opens a folder for writing holds its lock.
package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"

	"github.com/tillwire/tillwire/internal/disk"
	"github.com/tillwire/tillwire/journal"
)

// FileName is the database's name in its folder.
const FileName = "journal.db"

// DefaultBallast is the size of the ballast in bytes.
const DefaultBallast = 16 << 20

// Options change how a folder is opened. The zero value is a writer as it
// should be.
type Options struct {
	// ReadOnly opens a folder that exists, also while another process writes it.
	ReadOnly bool
	// SyncDelay is added to each commit: a slower disk, for measurements.
	SyncDelay time.Duration
	// Log hears of what a person should know; nil is silence.
	Log *slog.Logger
	// WriterID begins the chain of a new folder; empty is a random one. A
	// folder keeps the one it was made with.
	WriterID string
	// Disk takes the mark beside the database, which SQLite writes by itself; the
	// system's when nil.
	Disk disk.Disk
	// BallastSize in bytes; 0 is DefaultBallast, negative is none.
	BallastSize int64
	// Observe hears of each commit: how many appends it held and how long it
	// took. It is called by the writer and must not block.
	Observe func(batch int, took time.Duration)

	probeEvery time.Duration // how often it is tried whether there is space again
	recovered  func()        // for tests: there was
}

// A Store is a journal.Store in a folder. Use Open.
type Store struct {
	dir     string
	file    string // of a backup; empty for the folder's database
	sealed  mark   // of a backup
	version int    // of the schema
	o       Options
	log     *slog.Logger
	genesis digest
	read    *sql.DB
	q       queries

	// mu is held for reading while a request is handed over, and for writing
	// by Close, so that no request is left behind.
	mu       sync.RWMutex
	closed   bool
	requests chan *request
	free     sync.Pool // of *request
	done     chan struct{}
	finish   func() error // closes what the writer had; set when done

	ill   atomic.Pointer[error] // why new work is refused
	stats counters
}

type counters struct {
	appends, records, commits, failures atomic.Uint64
	commitTime                          atomic.Int64
}

var _ journal.Store = (*Store)(nil)

// Open opens the journal of a folder, and makes both when they are not there.
// It returns a *journal.TamperedError when what it finds was cut or altered,
// as far as a look at its end can tell, and a *journal.NewerError when a newer
// binary wrote it.
func Open(dir string, o Options) (*Store, error) {
	s := &Store{dir: dir, o: o, log: o.Log, requests: make(chan *request, maxBatch), done: make(chan struct{})}
	s.free.New = func() any { return &request{done: make(chan error, 1)} }
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if o.BallastSize == 0 {
		s.o.BallastSize = DefaultBallast
	}
	if o.Disk == nil {
		s.o.Disk = disk.System{}
	}
	if o.probeEvery == 0 {
		s.o.probeEvery = time.Second
	}
	err := s.open()
	if err != nil && short(err) && !o.ReadOnly {
		// What was in flight must end, also after a restart on a full disk.
		if gone := (ballast{dir: dir}).giveUp(); gone != nil {
			err = errors.Join(err, gone)
		} else {
			s.log.Error("journal: ballast given up to open", "error", err)
			err = s.open()
		}
	}
	if err != nil && short(err) {
		err = fmt.Errorf("%w: %w", journal.ErrFull, err)
	}
	if err != nil {
		return nil, fmt.Errorf("journal %s: %w", dir, err)
	}
	return s, nil
}

func (s *Store) open() (err error) {
	if s.o.ReadOnly {
		if _, err := os.Stat(filepath.Join(s.dir, FileName)); err != nil {
			return err
		}
	} else if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	m, marked, err := readMark(s.dir)
	if err != nil {
		return err
	}
	c, err := s.connect()
	if err != nil {
		return err
	}
	keep := false
	defer func() {
		if !keep {
			err = errors.Join(err, c.Close())
		}
	}()

	tail, err := s.prepare(c, m, marked)
	if err != nil {
		return foreign(err)
	}
	if err := s.openReaders(); err != nil {
		return foreign(err)
	}
	if s.o.ReadOnly {
		s.finish = func() error { return nil }
		close(s.done)
		return nil // the readers have connections of their own
	}
	w, err := newWriter(s, c, tail)
	if err != nil {
		return errors.Join(foreign(err), s.q.close(), s.read.Close())
	}
	keep = true
	go w.run()
	return nil
}

// prepare brings the schema up to date and returns where the chain ends.
func (s *Store) prepare(c *conn, m mark, marked bool) (mark, error) {
	version, err := schemaVersion(c)
	if err != nil {
		return mark{}, err
	}
	s.version = version
	switch {
	case version == 0 && m.id > 0:
		return mark{}, &journal.TamperedError{What: fmt.Sprintf("the database is empty, and had %d entries", m.id)}
	case version == 0 && s.o.ReadOnly:
		return mark{}, errors.New("not begun yet")
	case !s.o.ReadOnly:
		if err := migrate(c, version); err != nil {
			return mark{}, err
		}
		s.version = len(migrations())
		id := s.o.WriterID
		if id == "" {
			id = rand.Text()
		}
		insert, err := c.prepare("INSERT OR IGNORE INTO meta (name, value) VALUES ('writer', ?)")
		if err != nil {
			return mark{}, err
		}
		defer insert.close()
		if _, err := insert.exec(id); err != nil {
			return mark{}, wrap(err)
		}
	}
	return s.tail(c, m, marked)
}

// tail learns where the chain begins, and returns where it ends.
func (s *Store) tail(c *conn, m mark, marked bool) (mark, error) {
	read, err := c.prepare("SELECT value FROM meta WHERE name = 'writer'")
	if err != nil {
		return mark{}, err
	}
	defer read.close()
	writer := ""
	if _, err := read.row(func(v []driver.Value) { writer, _ = v[0].(string) }); err != nil {
		return mark{}, err
	}
	if writer == "" {
		return mark{}, &journal.TamperedError{What: "the writer has no name"}
	}
	s.genesis = genesis(writer)
	return s.checkTail(c, m, marked)
}

// connect opens one connection for the writer or, read-only, for a look.
func (s *Store) connect() (*conn, error) {
	connector, err := sqlite.NewConnector(s.dsn(s.o.ReadOnly))
	if err != nil {
		return nil, wrap(err)
	}
	c, err := connector.Connect(context.Background())
	if err != nil {
		return nil, foreign(err)
	}
	return &conn{c}, nil
}

func (s *Store) dsn(readOnly bool) string {
	path := filepath.Join(s.dir, FileName)
	if s.file != "" {
		path = s.file
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	v := url.Values{"_pragma": {"busy_timeout(5000)", "temp_store(MEMORY)"}}
	switch {
	case readOnly:
		v.Set("mode", "ro")
	case s.file != "":
		v["_pragma"] = append(v["_pragma"], "synchronous(FULL)")
	default:
		// A checkpoint is made beside the writer, not in its commits.
		v["_pragma"] = append(v["_pragma"], "journal_mode(WAL)", "synchronous(FULL)", "wal_autocheckpoint(0)", "cache_size(-16000)")
	}
	return "file:" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath() + "?" + v.Encode()
}

// maxReaders is how many read at once.
const maxReaders = 4

func (s *Store) openReaders() error {
	connector, err := sqlite.NewConnector(s.dsn(true))
	if err != nil {
		return wrap(err)
	}
	s.read = sql.OpenDB(connector)
	s.read.SetMaxOpenConns(maxReaders)
	s.read.SetMaxIdleConns(maxReaders)
	if err := s.q.prepare(s.read); err != nil {
		return errors.Join(err, s.read.Close())
	}
	return nil
}

// checkTail compares the chain's end with the mark, and returns the end.
func (s *Store) checkTail(c *conn, m mark, marked bool) (mark, error) {
	last, err := c.integer("SELECT coalesce(max(id), 0) FROM entries")
	if err != nil {
		return mark{}, err
	}
	switch {
	case !marked && last > 0:
		return mark{}, &journal.TamperedError{What: markName + " is missing"}
	case m.id > last:
		return mark{}, &journal.TamperedError{What: fmt.Sprintf("the end was cut: %d entries, and %s knows of %d", last, markName, m.id)}
	case last == 0:
		return mark{hash: s.genesis}, nil
	}
	read, err := c.prepare(entryQuery)
	if err != nil {
		return mark{}, err
	}
	defer read.close()
	end := mark{id: last}
	for id := max(1, min(m.id, last)); id <= last; id++ {
		var l loaded
		found, err := read.row(func(v []driver.Value) {
			l.prev, _ = v[0].(int64)
			l.hash, _ = v[1].([]byte)
			l.data, _ = v[2].([]byte)
			l.before, _ = v[3].([]byte)
		}, id)
		if err != nil {
			return mark{}, err
		}
		if !found {
			return mark{}, &journal.TamperedError{What: fmt.Sprintf("entry %d is missing", id)}
		}
		if _, err := l.check(id, s.genesis); err != nil {
			return mark{}, err
		}
		copy(end.hash[:], l.hash)
		if id == m.id && end.hash != m.hash {
			return mark{}, &journal.TamperedError{What: fmt.Sprintf("entry %d is not the one that %s knows of", id, markName)}
		}
	}
	return end, nil
}

// Healthy implements journal.Journal: it returns why new work should be
// refused. What ends work in flight may still be appended.
func (s *Store) Healthy() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return journal.ErrClosed
	}
	if ill := s.ill.Load(); ill != nil {
		return *ill
	}
	return nil
}

// Stats implements journal.Journal.
func (s *Store) Stats() journal.Stats {
	return journal.Stats{
		Appends: s.stats.appends.Load(), Records: s.stats.records.Load(),
		Commits: s.stats.commits.Load(), Failures: s.stats.failures.Load(),
		CommitTime: time.Duration(s.stats.commitTime.Load()),
	}
}

// Close writes what waits and closes the folder.
func (s *Store) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	if first {
		close(s.requests)
	}
	s.mu.Unlock()
	<-s.done
	if !first {
		return nil
	}
	return errors.Join(s.q.close(), s.read.Close(), s.finish())
}
