package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tillwire/tillwire/journal/sqlite"
	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
)

// visits measures how long a till waits for what a card has paid at a table.
func (b *bench) visits(ctx context.Context) (Group, error) {
	g := Group{
		Meaning: fmt.Sprintf("%d visits at once on one site, each at a terminal and a table of its own, with one payment, over one real socket with "+
			"acknowledgements: the time from the card's approval until the till has the transactionResponse, over the time of one sync of 4 KiB "+
			"measured in the same round; and with 2 ms added to each sync, over the two. The terminals are played and answer at once; gateway, "+
			"terminals and till share this process and its processors.", b.Visits),
		Notes: []string{"Between the two lie two steps of the terminal, which hears that the payment is kept before it leaves the table, and three appends: the payment, the end of the visit, the notice."},
	}
	for _, disk := range []struct {
		name  string
		delay time.Duration
	}{{"", 0}, {", 2 ms a sync", slowSync}} {
		var halves, most, syncs, overHalf, overMost []float64
		for round := range b.Rounds {
			b.say("visits%s: round %d of %d", disk.name, round+1, b.Rounds)
			sync, err := syncTime(b.dir)
			if err != nil {
				return Group{}, err
			}
			store, err := b.disk(disk.delay)
			if err != nil {
				return Group{}, err
			}
			took, err := b.serve(ctx, store)
			if err != nil {
				return Group{}, err
			}
			half, late := took[len(took)/2], took[len(took)*99/100]
			one := sync.Median + float64(disk.delay)/float64(time.Millisecond)
			halves, most, syncs = append(halves, half), append(most, late), append(syncs, one)
			overHalf, overMost = append(overHalf, half/one), append(overMost, late/one)
		}
		one := Value{"one sync", "ms", spread(syncs)}
		late := Figure{
			Case: fmt.Sprintf("%d visits%s: 99 of 100 payments / one sync", b.Visits, disk.name), Figure: spread(overMost),
			Values: []Value{{"99 of 100 payments", "ms", spread(most)}, one},
		}
		if disk.delay > 0 { // on a disk that is faster than any, the processors are what is measured
			late = late.atMost(100)
		}
		g.Figures = append(g.Figures, Figure{
			Case: fmt.Sprintf("%d visits%s: half of the payments / one sync", b.Visits, disk.name), Figure: spread(overHalf),
			Values: []Value{{"half of the payments", "ms", spread(halves)}, one},
		}, late)
	}
	return g, nil
}

// serve has all visits begin at once in a new shop on that store, closes both,
// and returns how long each payment took to reach the till, in milliseconds,
// ordered.
func (b *bench) serve(ctx context.Context, store *sqlite.Store) (_ []float64, err error) {
	s, err := openShop(ctx, store, 0, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	waiters := make([]*playedWaiter, b.Visits)
	for i := range waiters {
		w := &playedWaiter{machine: &machine{}, play: b.play, at: i, done: make(chan struct{})}
		waiters[i] = w
		if err := s.gw.Plug(siteID, tid(i), func(sink terminal.Sink) terminal.Terminal {
			w.sink = sink
			return w
		}); err != nil {
			return nil, err
		}
	}
	e, err := dial(ctx, strings.Replace(s.url, "/pac?", "/pat?extensions=acks&", 1))
	if err != nil {
		return nil, err
	}
	defer e.close()
	defer context.AfterFunc(ctx, e.close)()
	runtime.GC()
	var all sync.WaitGroup
	all.Go(func() {
		for _, w := range waiters {
			w.sink(terminal.TableWanted{Visit: w.visit(), Waiter: "1", Table: table.TableID(strconv.Itoa(w.at))})
		}
	})
	defer all.Wait()
	booked, err := keepTables(e, len(waiters))
	if err != nil {
		return nil, errors.Join(context.Cause(ctx), err)
	}
	took := make([]float64, len(waiters))
	for i, w := range waiters {
		select {
		case <-w.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		took[i] = float64(booked[i].Sub(w.approved)) / float64(time.Millisecond)
	}
	slices.Sort(took)
	return took, nil
}

// keepTables is a till with n tables. It returns when each was paid for once
// and unlocked, with the times at which it had the payments.
func keepTables(e *end, n int) ([]time.Time, error) {
	booked := make([]time.Time, n)
	for unlocked := 0; unlocked < n; {
		frame, err := e.read()
		if err != nil {
			return nil, err
		}
		now := time.Now()
		m, fault := jsonrpc.Decode(frame)
		if fault != nil {
			return nil, fmt.Errorf("%s: %w", frame, fault)
		}
		_, name, _ := strings.Cut(string(frame), `"tableId":"`)
		name, _, _ = strings.Cut(name, `"`)
		at, err := strconv.Atoi(name)
		if err != nil || at < 0 || at >= n {
			return nil, fmt.Errorf("not about a table: %s", frame)
		}
		answer := `{"recorded":true}`
		switch m.Method {
		case "tableLockRequest":
			answer = `{"confirmed":true,"amount":1250,"currency":"GBP"}`
		case "transactionResponse":
			if !booked[at].IsZero() {
				return nil, fmt.Errorf("table %d was paid twice", at)
			}
			booked[at] = now
		case "tableUnlock":
			if booked[at].IsZero() {
				return nil, fmt.Errorf("table %d was unlocked before it was paid", at)
			}
			unlocked++
		default:
			return nil, fmt.Errorf("not a question of these visits: %s", frame)
		}
		if err := e.write(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"result":%s}`, m.ID, answer)); err != nil {
			return nil, err
		}
	}
	return booked, nil
}

// A playedWaiter is a machine at which one visit is played: the table is paid
// by one card as soon as it may be charged, and left as soon as that is kept.
type playedWaiter struct {
	*machine
	play     *play
	at       int
	approved time.Time     // set before done is closed
	done     chan struct{} // closed when the visit is over
}

func (w *playedWaiter) visit() table.VisitID { return table.VisitID("visit" + strconv.Itoa(w.at)) }

func (w *playedWaiter) payment() table.PaymentID {
	return table.PaymentID(fmt.Sprintf("00000000-0000-4000-8000-%012d", w.at))
}

// AnswerTable goes on with the visit.
func (w *playedWaiter) AnswerTable(_ context.Context, v table.VisitID, a terminal.TableAnswer) error {
	switch a := a.(type) {
	case terminal.TableLock:
		if !a.Granted {
			return errors.New("no lock: " + a.Message)
		}
		w.sink(terminal.PaymentStarted{Visit: v, Payment: w.payment(), Asked: a.Amount})
	case terminal.PaymentAllowed:
		o := w.play.outcome
		w.approved = time.Now()
		w.sink(terminal.PaymentEnded{Visit: v, Payment: a.Payment, Taken: true, Receipt: table.Receipt{
			Paid: money.Minor(1250), AuthCode: o.AuthCode, Scheme: o.Scheme, Method: string(o.Method), Time: o.Time,
			TransactionID: string(o.TransactionID), Number: o.Number, CVM: string(o.CVM), AID: o.AID, Label: o.Label,
			PAN: o.PAN, Expiry: o.Expiry, Receipts: o.Receipts,
		}})
	case terminal.PaymentKept:
		w.sink(terminal.VisitLeft{Visit: v, Why: "paid"})
	case terminal.VisitClosed:
		close(w.done)
	case terminal.TableList, terminal.Bill, terminal.PaymentForbidden:
		return fmt.Errorf("%T was not asked for", a)
	}
	return nil
}

// QueryPayment is never needed: the links hold.
func (w *playedWaiter) QueryPayment(context.Context, table.VisitID, table.PaymentID) (terminal.PaymentAnswer, error) {
	return terminal.PaymentAnswer{}, nil
}
