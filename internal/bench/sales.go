package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/journal/sqlite"
	"github.com/tillwire/tillwire/txn"
)

// slowSync is added to each sync where a slower disk is measured.
const slowSync = 2 * time.Millisecond

// atOnce returns lanes whose amounts the seed decides, for machines that say
// their whole sale at once.
func (b *bench) atOnce(n int) []*lane {
	amounts := mathrand.New(mathrand.NewPCG(b.Seed, 0))
	lanes := make([]*lane, n)
	for i := range lanes {
		lanes[i] = &lane{request: request(i, 100+amounts.Int64N(9900))}
	}
	return lanes
}

// sell runs sales in a new shop on that store and closes both.
func (b *bench) sell(ctx context.Context, store journal.Store, n int) (r rate, err error) {
	s, err := openShop(ctx, store, n, b.play.atOnce)
	if err != nil {
		return rate{}, err
	}
	r, err = drive(ctx, s.url, b.atOnce(n), stretch{window: b.Window})
	return r, errors.Join(err, s.close())
}

// disk opens a journal as the product does, in a folder of its own.
func (b *bench) disk(delay time.Duration) (*sqlite.Store, error) {
	return sqlite.Open(b.folder(), sqlite.Options{SyncDelay: delay})
}

// sales compares durable sales with sales that are kept in memory only.
func (b *bench) sales(ctx context.Context) (Group, error) {
	written, err := b.written(ctx)
	if err != nil {
		return Group{}, err
	}
	bytes := 0
	for _, a := range written {
		for _, r := range a.Records {
			bytes += len(r.Body)
		}
	}
	g := Group{
		Meaning: "Sales per second over real sockets with so many in flight, one to a terminal, with the journal on disk, over the same run with " +
			"the journal in memory; and with 2 ms added to each sync, over the smaller of that and of plain group-committed appends of the same " +
			"bytes from as many goroutines, divided by the appends that a sale waits for. The terminals are played and answer at once; " +
			"gateway and tills share this process and its processors.",
		Notes: []string{fmt.Sprintf("A sale waits for %d appends, with %d bytes of records in all.", len(written), bytes)},
	}
	for _, n := range b.InFlight {
		ram, disk, slow, plain, err := b.onDiskAndNot(ctx, "sales", n, written, b.sell)
		if err != nil {
			return Group{}, err
		}
		figures := durable(n, ram, disk, slow, plain)
		if n == slices.Max(b.InFlight) {
			for i := range figures[:2] {
				figures[i] = figures[i].atLeast(0.8)
			}
		}
		g.Figures = append(g.Figures, figures...)
	}
	return g, nil
}

// onDiskAndNot sells, round by round, with the journal in memory, on disk, and on
// a disk with slow syncs, n in flight, and has plain appends beside that.
func (b *bench) onDiskAndNot(
	ctx context.Context, what string, n int, written []journal.Append, sell func(context.Context, journal.Store, int) (rate, error),
) (ram, disk, slow sold, plain []float64, err error) {
	for round := range b.Rounds {
		b.say("%s: %d in flight, round %d of %d", what, n, round+1, b.Rounds)
		for _, side := range []struct {
			open func() (journal.Store, error)
			to   *sold
		}{
			{func() (journal.Store, error) { return memory.New(), nil }, &ram},
			{func() (journal.Store, error) { return b.disk(0) }, &disk},
			{func() (journal.Store, error) { return b.disk(slowSync) }, &slow},
		} {
			store, err := side.open()
			if err != nil {
				return ram, disk, slow, plain, err
			}
			r, err := sell(ctx, store, n)
			if err != nil {
				return ram, disk, slow, plain, err
			}
			side.to.add(r)
		}
		r, err := b.appends(ctx, written, n)
		if err != nil {
			return ram, disk, slow, plain, err
		}
		plain = append(plain, r)
	}
	return ram, disk, slow, plain, nil
}

// A sold is what was sold in the rounds of one side.
type sold struct {
	perSecond, cpu []float64
}

func (s *sold) add(r rate) {
	s.perSecond, s.cpu = append(s.perSecond, r.perSecond()), append(s.cpu, r.cpuMicros())
}

// durable sets sales on disk against those in memory, those on a slow disk against
// the smaller of that and plain appends to it, and last the processor's time,
// which other processes on the machine disturb less.
func durable(n int, ram, disk, slow sold, plain []float64) []Figure {
	bound := make([]float64, len(plain))
	for i := range bound {
		bound[i] = math.Min(ram.perSecond[i], plain[i])
	}
	return []Figure{
		{
			Case: fmt.Sprintf("%d in flight: on disk / in memory", n), Figure: spread(ratios(disk.perSecond, ram.perSecond)),
			Values: []Value{{"on disk", "sales/s", spread(disk.perSecond)}, {"in memory", "sales/s", spread(ram.perSecond)}},
		},
		{
			Case: fmt.Sprintf("%d in flight, 2 ms a sync: on disk / the smaller bound", n), Figure: spread(ratios(slow.perSecond, bound)),
			Values: []Value{{"on disk, 2 ms a sync", "sales/s", spread(slow.perSecond)}, {"plain appends, 2 ms a sync", "sales/s", spread(plain)}},
		},
		{
			Case: fmt.Sprintf("%d in flight, processor: in memory / on disk", n), Figure: spread(ratios(ram.cpu, disk.cpu)),
			Values: []Value{{"a sale on disk", "µs", spread(disk.cpu)}, {"a sale in memory", "µs", spread(ram.cpu)}},
		},
	}
}

// A tap keeps what is appended.
type tap struct {
	journal.Store
	mu      sync.Mutex
	appends []journal.Append
}

func (t *tap) Append(ctx context.Context, a journal.Append) error {
	err := t.Store.Append(ctx, a)
	if err == nil {
		t.mu.Lock()
		t.appends = append(t.appends, a)
		t.mu.Unlock()
	}
	return err
}

// written returns the appends of one sale as the gateway makes them.
func (b *bench) written(ctx context.Context) ([]journal.Append, error) {
	t := &tap{Store: memory.New()}
	s, err := openShop(ctx, t, 1, b.play.atOnce)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(oneSale(ctx, s.url, b.atOnce(1)[0], nil), s.close()); err != nil {
		return nil, err
	}
	return t.appends, nil
}

// oneSale sells once and shows each frame, the request first.
func oneSale(ctx context.Context, url string, l *lane, show func(frame []byte)) error {
	e, err := dial(ctx, url)
	if err != nil {
		return err
	}
	defer e.close()
	defer context.AfterFunc(ctx, e.close)()
	if show == nil {
		show = func([]byte) {}
	}
	show(l.request)
	if err := e.write(l.request); err != nil {
		return err
	}
	for {
		frame, err := e.read()
		if err != nil {
			return err
		}
		show(frame)
		switch {
		case isResult(frame) && !isSuccess(frame):
			return fmt.Errorf("the sale failed: %s", frame)
		case isResult(frame):
			return nil
		case l.read != nil && !isFinished(frame):
			l.read()
		}
	}
}

// appends has n goroutines append sale after sale to a slow disk and nothing
// else, and returns the sales per second.
func (b *bench) appends(ctx context.Context, sale []journal.Append, n int) (_ float64, err error) {
	store, err := b.disk(slowSync)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	runtime.GC()
	var made atomic.Int64
	var over atomic.Bool
	var all sync.WaitGroup
	defer all.Wait()
	begun := rand.Text()
	for w := range n {
		all.Go(func() {
			for i := 0; !over.Load(); i++ {
				id := txn.RequestID(begun + "-" + strconv.Itoa(w) + "-" + strconv.Itoa(i))
				for _, a := range sale {
					a.Stream, a.Head.Stream, a.Head.TID = id, id, tid(w)
					if err := store.Append(ctx, a); err != nil {
						cancel(err)
						return
					}
					made.Add(1)
				}
			}
		})
	}
	err = sleep(ctx, b.Window/4)
	before, start := made.Load(), time.Now()
	for err == nil && made.Load() == before {
		err = sleep(ctx, b.Window)
	}
	rate := float64(made.Load()-before) / time.Since(start).Seconds() / float64(len(sale))
	over.Store(true)
	all.Wait()
	return rate, errors.Join(err, context.Cause(ctx))
}
