package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal/sqlite"
)

// growth compares the cost of a sale with few and with many sales behind it.
func (b *bench) growth(ctx context.Context) (Group, error) {
	f, err := b.form(ctx)
	if err != nil {
		return Group{}, err
	}
	n := slices.Max(b.InFlight)
	g := Group{
		Meaning: fmt.Sprintf("What a sale costs with so many records behind it in the journal, over what it costs with few, %d in flight: processor's time of "+
			"this whole process, and time on the clock; through the gateway over real sockets, and for information the journal alone, with as many "+
			"goroutines that append sales. A turn is %d sales, after a quarter as many; the small journal is made anew for each round, the large ones keep "+
			"what they are given. The sales behind were appended by the journal itself, and are of %d terminals.", n, b.GrowthSales, pastTerminals),
		Notes: []string{fmt.Sprintf("A sale leaves %d records in %d appends.", f.records, len(f.appends))},
	}
	few := b.Behind[0]
	for _, many := range b.Behind[1:] {
		large, err := b.past(ctx, f, sales(many, f))
		if err != nil {
			return Group{}, err
		}
		type side struct{ cpu, wall []float64 }
		var small, big, smallAlone, bigAlone side
		for round := range b.Rounds {
			b.say("growth: %d records, round %d of %d", many, round+1, b.Rounds)
			fresh := b.folder()
			if err := b.fillNew(ctx, fresh, f, sales(few, f)); err != nil {
				return Group{}, err
			}
			for _, turn := range []struct {
				dir string
				run func(context.Context, string, saleForm, int) (rate, error)
				to  *side
			}{
				{fresh, b.sellOn, &small},
				{large, b.sellOn, &big},
				{fresh, b.appendOn, &smallAlone},
				{large, b.appendOn, &bigAlone},
			} {
				r, err := turn.run(ctx, turn.dir, f, n)
				if err != nil {
					return Group{}, err
				}
				turn.to.cpu = append(turn.to.cpu, r.cpuMicros())
				turn.to.wall = append(turn.to.wall, 1e6/r.perSecond())
			}
		}
		figure := func(what string, over, under []float64) Figure {
			return Figure{
				Case: fmt.Sprintf("%d records / %d: %s", many, few, what), Figure: spread(ratios(over, under)),
				Values: []Value{
					{fmt.Sprintf("with %d", many), "µs", spread(over)}, {fmt.Sprintf("with %d", few), "µs", spread(under)},
				},
			}
		}
		g.Figures = append(g.Figures,
			figure("a sale, processor", big.cpu, small.cpu).atMost(1.2), figure("a sale, clock", big.wall, small.wall).atMost(1.2),
			figure("the journal alone, processor", bigAlone.cpu, smallAlone.cpu), figure("the journal alone, clock", bigAlone.wall, smallAlone.wall))
	}
	return g, nil
}

// sales is how many it takes to leave at least so many records.
func sales(records int, f saleForm) int { return (records + f.records - 1) / f.records }

// sellOn sells in a shop on the journal of that folder.
func (b *bench) sellOn(ctx context.Context, dir string, _ saleForm, n int) (rate, error) {
	store, err := sqlite.Open(dir, sqlite.Options{})
	if err != nil {
		return rate{}, err
	}
	s, err := openShop(ctx, store, n, b.play.atOnce)
	if err != nil {
		return rate{}, err
	}
	r, err := drive(ctx, s.url, b.atOnce(n), stretch{sales: int64(b.GrowthSales)})
	return r, errors.Join(err, s.close())
}

// appendOn appends sales to the journal of that folder, from n goroutines and
// without a gateway.
func (b *bench) appendOn(ctx context.Context, dir string, f saleForm, n int) (_ rate, err error) {
	store, err := sqlite.Open(dir, sqlite.Options{})
	if err != nil {
		return rate{}, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	runtime.GC()
	l := newLoad(nil, stretch{sales: int64(b.GrowthSales)})
	var left atomic.Int64
	left.Store(l.last)
	var all sync.WaitGroup
	defer all.Wait()
	for w := range n {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				now := time.Now().UTC()
				sale, err := f.sale(gateway.NewRequestID(now), tid(w), now, len(f.appends))
				for _, a := range sale {
					if err == nil {
						err = store.Append(ctx, a)
					}
				}
				if err != nil {
					cancel(err)
					return
				}
				l.one()
			}
		})
	}
	return l.count(ctx)
}
