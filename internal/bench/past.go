package bench

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/sqlite"
	"github.com/tillwire/tillwire/txn"
)

// pastTerminals share the sales of a past that are finished.
const pastTerminals = 1000

// A saleForm is one sale as the gateway recorded it, from which others are made.
type saleForm struct {
	appends [][]txn.Event
	records int
}

// form reads back what the gateway writes of one played sale.
func (b *bench) form(ctx context.Context) (f saleForm, err error) {
	written, err := b.written(ctx)
	if err != nil {
		return f, err
	}
	for _, a := range written {
		var events []txn.Event
		for _, r := range a.Records {
			e, err := journal.DecodeTxn(r)
			if err != nil {
				return f, err
			}
			events = append(events, e)
			f.records++
		}
		f.appends = append(f.appends, events)
	}
	return f, nil
}

// moved returns an event of a sale as it would be of that sale and time.
func moved(e txn.Event, id txn.RequestID, tid txn.TID, when time.Time) txn.Event {
	switch e := e.(type) {
	case txn.Accepted:
		e.ID, e.TID, e.At = id, tid, when
		return e
	case txn.Dispatched:
		e.At = when
		return e
	case txn.Notified:
		e.At = when
		return e
	case txn.Ended:
		e.At = when
		return e
	case txn.Answered:
		e.At = when
		return e
	default: // bears no time, or is no part of a played sale
		return e
	}
}

// sale returns the first so many appends of a sale, by the codec and with the
// heads that the gateway would have made.
func (f saleForm) sale(id txn.RequestID, tid txn.TID, when time.Time, first int) ([]journal.Append, error) {
	var out []journal.Append
	var t txn.Transaction
	count := 0
	for _, events := range f.appends[:first] {
		a := journal.Append{Stream: id, Expect: count}
		for _, e := range events {
			e = moved(e, id, tid, when)
			var err error
			if t, err = txn.Apply(t, e); err != nil {
				return nil, err
			}
			a.Records = append(a.Records, journal.EncodeTxn(e, when))
		}
		a.Head = journal.TxnHead(t)
		count += len(a.Records)
		out = append(out, a)
	}
	return out, nil
}

// fill appends the sales from the from-th to before the to-th: so many of their
// appends each, a second between two sales, the last ones now. All goes
// through Append, so that chain, heads and indexes are what running would have
// made them.
func (f saleForm) fill(ctx context.Context, j journal.Journal, from, to, appends, terminals int) error {
	const writers = 256 // as many as one commit takes
	begun := time.Now().UTC().Add(-time.Duration(to-from) * time.Second)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	next.Store(int64(from))
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for {
				i := int(next.Add(1) - 1)
				if i >= to {
					return
				}
				when := begun.Add(time.Duration(i-from) * time.Second)
				sale, err := f.sale(gateway.NewRequestID(when), tid(i%terminals), when, appends)
				for _, a := range sale {
					if err == nil {
						err = j.Append(ctx, a)
					}
				}
				if err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// past returns a folder with a journal of so many finished sales, and the site
// of a shop. It is made once; who uses it may add to it.
func (b *bench) past(ctx context.Context, f saleForm, sales int) (dir string, err error) {
	if dir, ok := b.pasts[sales]; ok {
		return dir, nil
	}
	b.say("a past of %d sales is being made", sales)
	dir = b.folder()
	if err := b.fillNew(ctx, dir, f, sales); err != nil {
		return "", err
	}
	if b.pasts == nil {
		b.pasts = map[int]string{}
	}
	b.pasts[sales] = dir
	runtime.GC()
	return dir, nil
}

func (b *bench) fillNew(ctx context.Context, dir string, f saleForm, sales int) (err error) {
	store, err := sqlite.Open(dir, sqlite.Options{})
	if err != nil {
		return err
	}
	defer func() {
		if cerr := store.Close(); err == nil {
			err = cerr
		}
	}()
	if err := settleIn(ctx, store); err != nil {
		return err
	}
	if err := f.fill(ctx, store, 0, sales, len(f.appends), pastTerminals); err != nil {
		return fmt.Errorf("a past of %d sales: %w", sales, err)
	}
	return nil
}
