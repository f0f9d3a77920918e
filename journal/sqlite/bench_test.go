//go:build unix

package sqlite

import (
	"crypto/rand"
	"fmt"
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

// BenchmarkSale writes whole sales, four appends each, with so many in
// flight. It reports the processor's time a sale besides.
func BenchmarkSale(b *testing.B) {
	for name, open := range map[string]func(b *testing.B) journal.Store{
		"memory": func(*testing.B) journal.Store { return memory.New() },
		"sqlite": func(b *testing.B) journal.Store { return openBench(b, 0) },
		"slow":   func(b *testing.B) journal.Store { return openBench(b, 2*time.Millisecond) },
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
