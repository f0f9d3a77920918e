//go:build unix

package sqlite

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/journaltest"
	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/txn"
)

// slower is added to each sync: a disk in the field.
const slower = 2 * time.Millisecond

// BenchmarkSale writes whole sales, four appends each, with so many in
// flight. It reports the processor's time a sale besides. Its yardsticks are a
// journal in memory and a bare file that groups the same bytes.
func BenchmarkSale(b *testing.B) {
	for name, open := range map[string]func(b *testing.B) journal.Store{
		"memory":     func(*testing.B) journal.Store { return memory.New() },
		"raw":        func(b *testing.B) journal.Store { return openRaw(b, 0) },
		"raw+2ms":    func(b *testing.B) journal.Store { return openRaw(b, slower) },
		"sqlite":     func(b *testing.B) journal.Store { return openBench(b, 0) },
		"sqlite+2ms": func(b *testing.B) journal.Store { return openBench(b, slower) },
	} {
		for _, writers := range []int{1, 16, 128} {
			b.Run(fmt.Sprintf("%s/%d", name, writers), func(b *testing.B) {
				s := open(b)
				defer s.Close()
				var left atomic.Int64
				left.Store(int64(b.N))
				before := cpu(b)
				b.ResetTimer()
				var all sync.WaitGroup
				for w := range writers {
					all.Go(func() {
						for left.Add(-1) >= 0 {
							for _, a := range journaltest.Appends(txn.RequestID(rand.Text()), "shop", txn.TID(fmt.Sprint(1000+w)), time.Now()) {
								if err := s.Append(b.Context(), a); err != nil {
									b.Error(err)
									return
								}
							}
						}
					})
				}
				all.Wait()
				b.StopTimer()
				st := s.Stats()
				b.ReportMetric(float64(cpu(b)-before)/float64(b.N)/1e3, "cpu-µs/sale")
				b.ReportMetric(float64(st.Appends)/float64(st.Commits), "appends/commit")
			})
		}
	}
}

func openBench(b *testing.B, delay time.Duration) *Store {
	s, err := Open(b.TempDir(), Options{BallastSize: -1, SyncDelay: delay})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// cpu is the processor's time that this process has used.
func cpu(b *testing.B) time.Duration {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// A rawFile appends to a file with one sync for all that wait: the least that
// a durable journal can do. It finds nothing again.
type rawFile struct {
	journal.Store // for its other methods, of which none is called but these
	f             *os.File
	delay         time.Duration
	in            chan rawAppend
	done          chan struct{}
	stats         journal.Stats
}

type rawAppend struct {
	data []byte
	err  chan error
}

func openRaw(b *testing.B, delay time.Duration) journal.Store {
	f, err := os.Create(filepath.Join(b.TempDir(), "raw"))
	if err != nil {
		b.Fatal(err)
	}
	r := &rawFile{f: f, delay: delay, in: make(chan rawAppend, maxBatch), done: make(chan struct{})}
	go r.run()
	return r
}

func (r *rawFile) Append(_ context.Context, a journal.Append) error {
	e := entry{stream: a.Stream, kind: a.Head.Kind, expect: a.Expect, records: a.Records}
	w := rawAppend{e.encode(), make(chan error, 1)}
	r.in <- w
	return <-w.err
}

func (r *rawFile) run() {
	defer close(r.done)
	for first := range r.in {
		runtime.Gosched()
		batch := []rawAppend{first}
		for len(r.in) > 0 && len(batch) < maxBatch {
			batch = append(batch, <-r.in)
		}
		var all []byte
		for _, w := range batch {
			all = append(all, w.data...)
		}
		_, err := r.f.Write(all)
		err = errors.Join(err, r.f.Sync())
		if r.delay > 0 {
			time.Sleep(r.delay)
		}
		r.stats.Commits++
		r.stats.Appends += uint64(len(batch))
		for _, w := range batch {
			w.err <- err
		}
	}
}

func (r *rawFile) Stats() journal.Stats { return r.stats }

func (r *rawFile) Close() error {
	close(r.in)
	<-r.done
	return r.f.Close()
}
