package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"

	"github.com/tillwire/tillwire/internal/disk"
	"github.com/tillwire/tillwire/journal"
)

// maxBatch is how many appends one commit takes.
const maxBatch = 256

// A request is one append on its way to the writer, or another deed for it.
type request struct {
	a     journal.Append
	data  []byte // the entry's canonical bytes
	sum   digest // of data
	do    func(*writer) error
	state atomic.Int32
	err   error
	done  chan error
}

// The states of a request. Whoever moves it away from waiting has it.
const (
	waiting int32 = iota
	taken
	withdrawn
)

// Append implements journal.Journal.
func (s *Store) Append(ctx context.Context, a journal.Append) error {
	if err := a.Check(); err != nil {
		return err
	}
	e := entry{stream: a.Stream, kind: a.Head.Kind, expect: a.Expect, records: a.Records}
	if a.Expect == 0 {
		e.key = a.Head.RequestKey
	}
	r := s.free.Get().(*request)
	r.a, r.data = a, e.encode()
	r.sum = sha256.Sum256(r.data)
	return s.submit(ctx, r)
}

// submit hands a request to the writer and waits for what became of it.
func (s *Store) submit(ctx context.Context, r *request) error {
	if s.o.ReadOnly {
		return journal.ErrReadOnly
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	r.state.Store(waiting)
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return journal.ErrClosed
	}
	select {
	case s.requests <- r:
		s.mu.RUnlock()
	case <-ctx.Done():
		s.mu.RUnlock()
		return ctx.Err()
	}
	var err error
	select {
	case err = <-r.done:
	case <-ctx.Done():
		if r.state.CompareAndSwap(waiting, withdrawn) {
			return ctx.Err() // the writer will drop it, so it is not used again
		}
		err = <-r.done
	}
	r.a, r.data, r.do, r.err = journal.Append{}, nil, nil, nil
	s.free.Put(r)
	return err
}

// A writer owns the connection that writes. Only its goroutine touches it.
type writer struct {
	s    *Store
	c    *conn
	mark disk.File
	tail mark // the last entry on disk
	next mark // the last entry of the transaction that is being written

	// rows are those of open streams, so that an append need not look. Nobody
	// else writes; should somebody, the conditions in the statements find out.
	rows map[journal.Stream]*row

	begin, commit, rollback *stmt
	insertEntry, insertHead *stmt
	updateHead, updateOpen  *stmt
	findHead, probe         *stmt

	ballast ballast
	pages   int // about how many were written since a checkpoint was asked for
	ask     chan struct{}
	behind  atomic.Int64 // pages in the log after the last checkpoint
	stopped chan struct{}
}

const (
	insertEntryQuery = `INSERT INTO entries (id, prev, hash, data) VALUES (?, ?, ?, ?)`
	insertHeadQuery  = `INSERT INTO heads (` + headColumns + `) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`
	// Without the column that stands in an index, since SQLite writes an index
	// anew for every column that is set, changed or not.
	updateHeadQuery = `UPDATE heads SET ` + updated + ` WHERE id=? AND records=?`
	updateOpenQuery = `UPDATE heads SET open=?, ` + updated + ` WHERE id=? AND records=?`
	updated         = `last=?, state=?, told=?, type=?, result=?, counts=?, dispatched=?, minor=?, currency=?, ended=?, records=?, sum=?`
	probeQuery      = `INSERT INTO meta (name, value) VALUES ('probe', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`
)

func newWriter(s *Store, c *conn, tail mark) (*writer, error) {
	w := &writer{
		s: s, c: c, tail: tail, next: tail, rows: map[journal.Stream]*row{},
		ask: make(chan struct{}, 1), stopped: make(chan struct{}),
		ballast: ballast{dir: s.dir, size: s.o.BallastSize},
	}
	for query, to := range map[string]**stmt{
		"BEGIN IMMEDIATE": &w.begin, "COMMIT": &w.commit, "ROLLBACK": &w.rollback,
		insertEntryQuery: &w.insertEntry, insertHeadQuery: &w.insertHead,
		updateHeadQuery: &w.updateHead, updateOpenQuery: &w.updateOpen,
		headQuery: &w.findHead, probeQuery: &w.probe,
	} {
		var err error
		if *to, err = c.prepare(query); err != nil {
			return nil, err
		}
	}
	var err error
	if w.mark, err = createMark(s.o.Disk, s.dir, tail); err != nil {
		return nil, err
	}
	if err := w.ballast.fill(); err != nil {
		w.fallIll(err)
	}
	// What a process that was killed left in the log, this one need not find there:
	// else the log grows for as long as none lives to make a checkpoint.
	if _, err := c.integer("PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
		s.log.Warn("journal: no checkpoint at the start", "error", err)
	}
	connector, err := sqlite.NewConnector(s.dsn(false))
	if err != nil {
		return nil, errors.Join(wrap(err), w.mark.Close())
	}
	side, err := connector.Connect(context.Background())
	if err != nil {
		return nil, errors.Join(wrap(err), w.mark.Close())
	}
	go w.checkpoints(&conn{side})
	return w, nil
}

// run is the writer's goroutine.
func (w *writer) run() {
	batch := make([]*request, 0, maxBatch)
	retry := time.NewTimer(w.s.o.probeEvery)
	defer retry.Stop()
	for {
		var tick <-chan time.Time
		if w.s.ill.Load() != nil {
			tick = retry.C
		}
		select {
		case r, ok := <-w.s.requests:
			if !ok {
				w.stop()
				return
			}
			batch = w.gather(append(batch[:0], r))
			w.write(batch)
			clear(batch)
		case <-tick:
			w.recover()
			retry.Reset(w.s.o.probeEvery)
		}
	}
}

// gather adds what waits by now, and leaves out what was withdrawn.
func (w *writer) gather(batch []*request) []*request {
	// Those who were just told of the last commit bring their next appends now
	// if they are let; else they come one commit later, and every batch is half
	// of what it could be.
	runtime.Gosched()
	if !batch[0].state.CompareAndSwap(waiting, taken) {
		batch = batch[:0]
	}
	for len(batch) < maxBatch {
		select {
		case r, ok := <-w.s.requests:
			if !ok {
				return batch // the next receive finds it closed again
			}
			if r.state.CompareAndSwap(waiting, taken) {
				batch = append(batch, r)
			}
		default:
			return batch
		}
	}
	return batch
}

// write has the batch on disk and tells everyone what became of theirs.
func (w *writer) write(batch []*request) {
	if len(batch) == 0 {
		return
	}
	start := time.Now()
	kept, err := w.transaction(batch)
	if err != nil && short(err) {
		// The ballast is for this; an I/O error may have been of the moment.
		w.fallIll(err)
		if gone := w.ballast.giveUp(); gone != nil {
			w.s.log.Error("journal: ballast not given up", "error", gone)
		}
		first := err
		if kept, err = w.transaction(batch); err != nil {
			err = errors.Join(first, err)
		}
	}
	if err != nil {
		w.fallIll(err)
		w.s.log.Error("journal: a batch was not kept", "appends", len(batch), "error", err)
		err = refusal(err)
	}
	took := time.Since(start)
	if err == nil && kept > 0 {
		w.s.stats.commits.Add(1)
		w.s.stats.commitTime.Add(int64(took))
		if w.s.o.Observe != nil {
			w.s.o.Observe(kept, took)
		}
	}
	for _, r := range batch {
		if r.err == nil {
			r.err = err
		}
		if r.err != nil {
			w.s.stats.failures.Add(1)
		} else if r.do == nil {
			w.s.stats.appends.Add(1)
			w.s.stats.records.Add(uint64(len(r.a.Records)))
		}
		r.done <- r.err
	}
	w.checkpointSoon()
}

// transaction writes the batch with one commit and returns how many of it are
// kept. Those refused for their own sake have err set; the error returned is
// everybody's, and nothing is kept then.
func (w *writer) transaction(batch []*request) (kept int, err error) {
	if _, err := w.begin.exec(); err != nil {
		return 0, fmt.Errorf("begin: %w", err)
	}
	defer func() {
		if err != nil {
			w.undo()
		}
	}()
	bytes := 0
	for _, r := range batch {
		if r.do != nil {
			r.err, err = w.deed(r.do)
		} else {
			r.err, err = w.append(r)
		}
		if err != nil {
			return 0, err
		}
		if r.err == nil {
			kept++
			bytes += len(r.data)
		}
	}
	if kept == 0 {
		w.undo()
		return 0, nil
	}
	if _, err := w.commit.exec(); err != nil {
		return 0, &commitError{err}
	}
	if w.s.o.SyncDelay > 0 {
		time.Sleep(w.s.o.SyncDelay)
	}
	if w.next.id != w.tail.id {
		w.tail = w.next
		if _, err := w.mark.WriteAt(w.tail.encode(), 0); err != nil {
			// It may lag behind: a cut of what follows would not be found.
			w.s.log.Error("journal: mark not written", "error", err)
		}
	}
	w.pages += pagesPerCommit + kept*pagesPerAppend + bytes/pageSize
	return kept, nil
}

// undo goes back to what is on disk.
func (w *writer) undo() {
	if _, err := w.rollback.exec(); err != nil {
		w.s.log.Debug("journal: roll back", "error", err) // SQLite may have done so itself
	}
	w.next = w.tail
	clear(w.rows)
}

// deed runs something else in the transaction. It is undone by itself when it
// fails for a reason of its own.
func (w *writer) deed(do func(*writer) error) (refused, fatal error) {
	if err := w.c.script("SAVEPOINT deed"); err != nil {
		return nil, err
	}
	before := w.next
	err := do(w)
	if err != nil && short(err) {
		return nil, err
	}
	if err != nil {
		w.next = before
		if undone := w.c.script("ROLLBACK TO deed"); undone != nil {
			return nil, errors.Join(err, undone)
		}
	}
	return wrap(err), w.c.script("RELEASE deed")
}

// append writes one append. Refused is its own error, for which nothing was
// written; fatal is the whole transaction's.
func (w *writer) append(r *request) (refused, fatal error) {
	known, err := w.row(r.a.Stream, r.a.Expect)
	if err != nil {
		return nil, err
	}
	next := row{id: w.next.id + 1, last: w.next.id + 1}
	prev := int64(0)
	if r.a.Expect == 0 {
		if known != nil {
			return journal.ErrConflict, nil
		}
		next.head = r.a.Next(journal.Head{})
		refused, fatal = w.newHead(&next)
	} else {
		if known == nil || known.head.Records != r.a.Expect {
			return journal.ErrConflict, nil
		}
		prev, next.id, next.head = known.last, known.id, r.a.Next(known.head)
		refused, fatal = w.nextHead(known, &next)
	}
	if refused != nil || fatal != nil {
		return refused, fatal
	}
	if err := w.chain(prev, r.sum, r.data); err != nil {
		return nil, err
	}
	if next.head.Open {
		w.rows[r.a.Stream] = &next
	} else {
		delete(w.rows, r.a.Stream)
	}
	return nil, nil
}

// chain adds an entry to the end of the chain.
func (w *writer) chain(prev int64, sum digest, data []byte) error {
	next := mark{id: w.next.id + 1, hash: link(w.next.hash, prev, sum)}
	if _, err := w.insertEntry.exec(next.id, prev, next.hash[:], data); err != nil {
		return fmt.Errorf("entry %d: %w", next.id, err)
	}
	w.next = next
	return nil
}

// row returns the stream's row, or nil. For a stream that is said to be new it
// looks in memory only; the index on the table sees to the rest.
func (w *writer) row(s journal.Stream, expect int) (*row, error) {
	if known := w.rows[s]; known != nil || expect == 0 {
		return known, nil
	}
	var found row
	var damaged error
	ok, err := w.findHead.row(func(v []driver.Value) { damaged = found.scan(values(v).scan) }, string(s))
	if err = errors.Join(err, damaged); err != nil || !ok {
		return nil, err
	}
	return &found, nil
}

// newHead inserts the first row of a stream.
func (w *writer) newHead(r *row) (refused, fatal error) {
	h := &r.head
	_, err := w.insertHead.exec(r.id, r.last, string(h.Stream), string(h.Kind), string(h.Site), string(h.TID),
		h.Minor, h.Currency, h.RequestKey, nanos(h.AcceptedAt),
		h.State, number(h.Open), h.Told, h.Type, h.Result, number(h.Counts), nanos(h.DispatchedAt), nanos(h.EndedAt),
		int64(h.Records), r.sum())
	if err == nil {
		return nil, nil
	}
	if code(err) != codeUnique {
		return nil, fmt.Errorf("head of %q: %w", h.Stream, err)
	}
	// The statement has undone itself. Which of the two is it?
	exists, err := w.findHead.row(func([]driver.Value) {}, string(h.Stream))
	if err != nil {
		return nil, err
	}
	if exists {
		return journal.ErrConflict, nil
	}
	return journal.ErrKeyTaken, nil
}

// nextHead replaces a stream's row.
func (w *writer) nextHead(known, next *row) (refused, fatal error) {
	h, was := &next.head, &known.head
	update := w.updateHead
	set := make([]driver.Value, 0, 15)
	if h.Open != was.Open {
		update, set = w.updateOpen, append(set, number(h.Open))
	}
	n, err := update.exec(append(set, next.last, h.State, h.Told, h.Type, h.Result, number(h.Counts), nanos(h.DispatchedAt), h.Minor, h.Currency,
		nanos(h.EndedAt), int64(h.Records), next.sum(), next.id, int64(was.Records))...)
	if err != nil {
		return nil, fmt.Errorf("head of %q: %w", h.Stream, err)
	}
	if n != 1 {
		delete(w.rows, h.Stream)
		return journal.ErrConflict, nil
	}
	return nil, nil
}

// stop is the end of the writer's goroutine. The connection stays: the last
// one to be closed checks the log in, and readers cannot.
func (w *writer) stop() {
	close(w.ask)
	<-w.stopped
	w.s.finish = func() error {
		var errs []error
		for _, s := range []*stmt{
			w.begin, w.commit, w.rollback, w.insertEntry, w.insertHead,
			w.updateHead, w.updateOpen, w.findHead, w.probe,
		} {
			errs = append(errs, s.Stmt.Close())
		}
		return errors.Join(append(errs, w.c.Close(), w.mark.Close())...)
	}
	close(w.s.done)
}

// A commit writes some pages to the log whatever it holds, and more for each
// append: an estimate, so that the log need not be looked at each time.
const (
	pagesPerCommit = 2
	pagesPerAppend = 3
	pageSize       = 4096
	// checkpointPages in the log ask for a checkpoint.
	checkpointPages = 4000
	// maxLogPages are too many: the writer waits for a checkpoint.
	maxLogPages = 4 * checkpointPages
)

// checkpointSoon asks for a checkpoint when the log has grown. It is made by
// another connection while this one goes on writing, and so it never reaches
// the log's very end; should the log grow without end because of that, the
// writer makes one itself, and the log begins anew.
func (w *writer) checkpointSoon() {
	if w.pages < checkpointPages {
		return
	}
	w.pages = 0
	if w.behind.Load() > maxLogPages {
		w.behind.Store(0)
		if _, err := w.c.integer("PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
			w.s.log.Error("journal: checkpoint", "error", err)
		}
		return
	}
	select {
	case w.ask <- struct{}{}:
	default:
	}
}

// checkpoints is the goroutine that copies the log into the database.
func (w *writer) checkpoints(c *conn) {
	defer close(w.stopped)
	for range w.ask {
		s, err := c.prepare("PRAGMA wal_checkpoint(PASSIVE)")
		if err == nil {
			_, err = s.row(func(v []driver.Value) {
				pages, _ := v[1].(int64)
				w.behind.Store(pages)
			})
			s.close()
		}
		if err != nil {
			w.s.log.Error("journal: checkpoint", "error", err)
		}
	}
	if err := c.Close(); err != nil {
		w.s.log.Error("journal: checkpoint", "error", err)
	}
}

// fallIll has new work refused from now on.
func (w *writer) fallIll(err error) {
	why := wrap(err)
	if c := code(err) & 0xff; c == codeFull || c == 0 { // 0: the ballast finds no room
		why = fmt.Errorf("%w: %w", journal.ErrFull, err)
	}
	if w.s.ill.Swap(&why) == nil {
		w.s.log.Error("journal: new work is refused", "error", err)
	}
}

// recover sees whether it can be written again, and takes new work if so: the
// ballast must be whole, and a write must work. That write also overwrites
// what a failed commit may have left behind in the log.
func (w *writer) recover() {
	err := w.ballast.fill()
	if err == nil {
		_, err = w.probe.exec(time.Now().UTC().Format(time.RFC3339Nano))
	}
	if err != nil {
		w.s.log.Debug("journal: still refusing new work", "error", err)
		return
	}
	w.s.ill.Store(nil)
	w.s.log.Info("journal: new work is taken again")
	if w.s.o.recovered != nil {
		w.s.o.recovered()
	}
}

// A ballast is space that can be given back to a full disk.
type ballast struct {
	dir  string
	size int64 // in bytes; none when not positive
}

const ballastName = "ballast"

// fill makes the ballast unless it is there. It leaves a disk alone that has
// no room for twice its size: work in flight needs it more.
func (b ballast) fill() error {
	if b.size <= 0 {
		return nil
	}
	path := filepath.Join(b.dir, ballastName)
	if st, err := os.Stat(path); err == nil && st.Size() == b.size {
		return nil
	}
	if free, ok := freeSpace(b.dir); ok && free < 2*uint64(b.size) {
		return fmt.Errorf("ballast of %d bytes: %d are free", b.size, free)
	}
	f, err := os.CreateTemp(b.dir, ballastName+"-*")
	if err != nil {
		return err
	}
	err = b.write(f)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// write fills a file with what no file system can make smaller.
func (b ballast) write(f *os.File) error {
	noise := rand.NewChaCha8(sha256.Sum256([]byte(ballastName)))
	chunk := make([]byte, 256<<10)
	for left := b.size; left > 0; left -= int64(len(chunk)) {
		chunk = chunk[:min(left, int64(len(chunk)))]
		_, _ = noise.Read(chunk) // never fails
		if _, err := f.Write(chunk); err != nil {
			return err
		}
	}
	return f.Sync()
}

// giveUp gives the space back.
func (b ballast) giveUp() error {
	err := os.Remove(filepath.Join(b.dir, ballastName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
