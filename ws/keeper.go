package ws

import (
	"sync"
	"time"
)

// slots is how many parts a Keeper's interval has: the pings of all
// connections are spread over them instead of leaving in one burst.
const slots = 32

// A Keeper finds dead peers for any number of connections with one goroutine.
// Each connection is pinged once an interval. Whatever a peer sends is a sign
// of life. When the given number of pings in a row has met silence for an
// interval each, the connection is dropped, unless its Options.Busy says that
// it must live on: then pinging goes on. This is the Liveness rule of the
// contract, section 1.
type Keeper struct {
	interval time.Duration
	missed   uint16
	stop     chan struct{}
	stopped  chan struct{}

	mu    sync.Mutex
	at    int // the slot whose turn comes next
	wheel [slots][]*Conn
}

// keepState is what a Keeper knows of a connection.
type keepState struct {
	index      int32 // where in its slot; valid while kept
	in         uint8 // which slot
	kept       bool
	unanswered uint16 // pings in a row, no more than are needed
	pinged     int64  // when, as time since the connection was born; 0 for never
}

// NewKeeper starts a Keeper. By the contract the interval is 30 s and missed 2.
func NewKeeper(interval time.Duration, missed int) *Keeper {
	k := &Keeper{
		interval: max(interval, slots),
		missed:   uint16(min(max(missed, 1), 1000)),
		stop:     make(chan struct{}),
		stopped:  make(chan struct{}),
	}
	go k.run()
	return k
}

// Stop ends the pinging. The connections stay as they are. Call it once.
func (k *Keeper) Stop() {
	close(k.stop)
	<-k.stopped
}

func (k *Keeper) run() {
	defer close(k.stopped)
	tick := time.NewTicker(k.interval / slots)
	defer tick.Stop()
	var turn []*Conn
	for {
		select {
		case <-k.stop:
			return
		case <-tick.C:
		}
		// The connections are visited without the lock: one that ends takes
		// itself out of the wheel.
		k.mu.Lock()
		turn = append(turn[:0], k.wheel[k.at]...)
		k.at = (k.at + 1) % slots
		k.mu.Unlock()
		for _, c := range turn {
			k.visit(c)
		}
		clear(turn)
	}
}

func (k *Keeper) visit(c *Conn) {
	s := &c.keep // unanswered and pinged are touched by this goroutine only
	if s.pinged == 0 || c.seen.Load() >= s.pinged {
		s.unanswered = 0
	} else {
		s.unanswered = min(s.unanswered+1, k.missed)
	}
	if s.unanswered >= k.missed && (c.opt.busy == nil || !c.opt.busy()) {
		c.end(&CloseError{Code: GoingAway, Reason: "pings unanswered", Remote: true})
		return
	}
	s.pinged = int64(time.Since(c.born))
	_ = c.Ping(nil) // an error means that the connection is closing
}

// add gives c the slot that was just served, so that its first ping comes
// after a whole interval.
func (k *Keeper) add(c *Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	in := (k.at + slots - 1) % slots
	c.keep = keepState{in: uint8(in), index: int32(len(k.wheel[in])), kept: true}
	k.wheel[in] = append(k.wheel[in], c)
}

func (k *Keeper) remove(c *Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !c.keep.kept {
		return
	}
	c.keep.kept = false
	slot := k.wheel[c.keep.in]
	last := slot[len(slot)-1]
	slot[c.keep.index] = last
	last.keep.index = c.keep.index
	slot[len(slot)-1] = nil
	k.wheel[c.keep.in] = slot[:len(slot)-1]
}
