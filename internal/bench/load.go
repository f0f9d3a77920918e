package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// A lane is one terminal as a till drives it: sale after sale, each begun when
// the one before has its result.
type lane struct {
	request []byte
	// read is called for each frame but the last two of a sale; nil does nothing.
	read func()
	// echoed, if there are any, are sent one by one to a server that sends each
	// back. All of them count as a sale.
	echoed [][]byte
	at     int // the one that is out
}

// mostTills is how many connections share the lanes of one load.
const mostTills = 8

// A load is tills that sell as fast as they are answered. They are the same
// whatever they are connected to.
type load struct {
	lanes []*lane
	most  int // lanes at a time
	sold  atomic.Int64
	over  atomic.Bool

	// first and last, unless 0, are the numbers of sales with which these are
	// closed.
	first, last  int64
	warm, enough chan struct{}
}

// A stretch is what is measured of a load.
type stretch struct {
	window time.Duration // after a quarter of it to warm up, or
	sales  int64         // so many sales, after a quarter as many
	// inFlight is how many lanes sell at a time, each when its turn comes; 0 is
	// all.
	inFlight int
}

func newLoad(lanes []*lane, over stretch) *load {
	l := &load{lanes: lanes, most: len(lanes)}
	if over.inFlight > 0 {
		l.most = min(l.most, over.inFlight)
	}
	if over.sales > 0 {
		l.first = max(over.sales/4, 1)
		l.last = l.first + over.sales
		l.warm, l.enough = make(chan struct{}), make(chan struct{})
	}
	return l
}

// one counts a sale.
func (l *load) one() {
	switch l.sold.Add(1) {
	case l.first:
		close(l.warm)
	case l.last:
		close(l.enough)
	}
}

// A rate is what was sold in a window.
type rate struct {
	sales int64
	took  time.Duration
	cpu   time.Duration // of this whole process, tills included
}

func (r rate) perSecond() float64 { return float64(r.sales) / r.took.Seconds() }

func (r rate) cpuMicros() float64 {
	return float64(r.cpu) / float64(time.Microsecond) / float64(r.sales)
}

// drive has the lanes sell at that address, and returns what was sold in that
// stretch. Every sale that was begun has its result when it returns nil.
func drive(ctx context.Context, url string, lanes []*lane, over stretch) (_ rate, err error) {
	l := newLoad(lanes, over)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var tills []*end
	defer func() {
		for _, e := range tills {
			e.close()
		}
	}()
	n := min(l.most, mostTills)
	for range n {
		e, err := dial(ctx, url)
		if err != nil {
			return rate{}, err
		}
		tills = append(tills, e)
	}
	runtime.GC() // what came before is not this load's

	var all sync.WaitGroup
	defer all.Wait()
	defer context.AfterFunc(ctx, func() {
		for _, e := range tills {
			e.close()
		}
	})()
	for i, e := range tills {
		all.Go(func() {
			if err := l.sell(e, i, n); err != nil {
				cancel(fmt.Errorf("till %d: %w", i, err))
			}
		})
	}
	r, err := l.measure(ctx, over.window)
	l.over.Store(true)
	if err != nil {
		cancel(err)
	}
	all.Wait()
	return r, errors.Join(err, context.Cause(ctx))
}

// measure waits until it is warm, then for the window and for one sale at
// least.
func (l *load) measure(ctx context.Context, window time.Duration) (rate, error) {
	if l.last > 0 {
		return l.count(ctx)
	}
	if err := sleep(ctx, window/4); err != nil {
		return rate{}, err
	}
	sold, used, begun := l.sold.Load(), cpuTime(), time.Now()
	for {
		if err := sleep(ctx, window); err != nil {
			return rate{}, err
		}
		r := rate{sales: l.sold.Load() - sold, took: time.Since(begun), cpu: cpuTime() - used}
		if r.sales > 0 && r.cpu > 0 {
			return r, nil
		}
		if r.took > limit {
			return rate{}, errors.New("nothing was sold")
		}
	}
}

// count waits for the sales that are to be measured.
func (l *load) count(ctx context.Context) (rate, error) {
	if err := reached(ctx, l.warm); err != nil {
		return rate{}, err
	}
	used, begun := cpuTime(), time.Now()
	err := reached(ctx, l.enough)
	return rate{sales: l.last - l.first, took: time.Since(begun), cpu: cpuTime() - used}, err
}

func reached(ctx context.Context, c <-chan struct{}) error {
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// sell is one till: of the lanes, it has each n-th from the i-th on, and of those
// that may sell at a time its share.
func (l *load) sell(e *end, i, n int) error {
	var idle []*lane // in the order of their turns
	share := (l.most - i + n - 1) / n
	for ; i < len(l.lanes); i += n {
		idle = append(idle, l.lanes[i])
	}
	active := 0
	for ; active < share; active++ {
		if err := e.write(idle[0].request); err != nil {
			return err
		}
		idle = idle[1:]
	}
	for active > 0 {
		frame, err := e.read()
		if err != nil {
			return err
		}
		at, ok := terminalOf(frame)
		if !ok || at >= len(l.lanes) {
			return fmt.Errorf("not a sale's frame: %s", frame)
		}
		ln := l.lanes[at]
		switch {
		case ln.echoed != nil:
			ln.at = (ln.at + 1) % len(ln.echoed)
			if ln.at == 0 {
				l.one()
				if l.over.Load() {
					active--
					continue
				}
			}
			if err := e.write(ln.echoed[ln.at]); err != nil {
				return err
			}
		case isResult(frame):
			if !isSuccess(frame) {
				return fmt.Errorf("a sale failed: %s", frame)
			}
			l.one()
			if l.over.Load() {
				active--
				continue
			}
			idle = append(idle, ln)
			if err := e.write(idle[0].request); err != nil {
				return err
			}
			idle = idle[1:]
		case ln.read != nil && !isFinished(frame):
			ln.read()
		}
	}
	return nil
}

// isResult tells an answer from a notification, which bears no id.
func isResult(frame []byte) bool { return bytes.HasPrefix(frame, []byte(`{"jsonrpc":"2.0","id":`)) }

func isFinished(frame []byte) bool { return bytes.Contains(frame, []byte(`"TRANSACTION_FINISHED"`)) }

// terminalOf finds in a frame which lane it is for.
func terminalOf(frame []byte) (int, bool) {
	const name = `"tid":"`
	i := bytes.Index(frame, []byte(name))
	if i < 0 || len(frame) < i+len(name)+8 {
		return 0, false
	}
	n := 0
	for _, c := range frame[i+len(name) : i+len(name)+8] {
		n = 10*n + int(c-'0')
	}
	return n - firstTID, n >= firstTID
}

// request is a lane's, under an id that is always the same.
func request(i int, amount int64) []byte {
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"sale","params":{"tid":"%s","currency":"GBP","amount":%d,"amountCashback":0}}`, i+1, tid(i), amount)
}

// frameFor is a frame of the first lane as the i-th would get it.
func frameFor(i int, frame []byte) []byte {
	out := bytes.ReplaceAll(frame, []byte(tid(0)), []byte(tid(i)))
	if rest, ok := bytes.CutPrefix(out, []byte(`{"jsonrpc":"2.0","id":1,`)); ok {
		out = append([]byte(`{"jsonrpc":"2.0","id":`+strconv.Itoa(i+1)+`,`), rest...)
	}
	return out
}

func isSuccess(frame []byte) bool {
	return bytes.Contains(frame, []byte(`"transactionResult":"SUCCESSFUL"`))
}
