package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tillwire/tillwire/terminal"
)

// A Point is a moment of a transaction: one of those below, or a notification
// that was just told. Payments at a table have the notifications and
// AtAuthorised only.
type Point string

// The points besides the notifications.
const (
	AtStart      Point = "START"      // the request is on its way to the machine
	AtStarted    Point = "STARTED"    // the machine has taken it, and its reply is on its way
	AtAuthorised Point = "AUTHORISED" // the approval is in its memory and was not told
	AtSigning    Point = "SIGNING"    // it has asked for the signature to be verified
	AtEnded      Point = "ENDED"      // the outcome is in its memory and was not told
	AtTold       Point = "TOLD"       // the outcome was told and is not acknowledged
)

// A Deed is what a mishap does.
type Deed string

// The deeds.
const (
	CutLink   Deed = "cutLink"   // the link breaks, and is back after that time
	StallLink Deed = "stallLink" // nothing gets through for that time; then what the machine said arrives
	HalfOpen  Deed = "halfOpen"  // the same, and all of it is lost; then the machine dials anew
	SlowLink  Deed = "slowLink"  // what the machine says in this request arrives that much later
	Duplicate Deed = "duplicate" // and twice
	Reorder   Deed = "reorder"   // progress arrives after what follows it, newest first
	Stale     Deed = "stale"     // the machine tells its last transaction again
	PowerOff  Deed = "powerOff"  // the machine loses power, and is back after that time
	Linger    Deed = "linger"    // people take that much longer
)

// A Mishap happens once, at the first moment that fits. For is its time at
// speed 1; at Max it is over at once. Without it, a link stays as it is until
// RestoreLink or Connect, a machine without power until PowerCycle.
type Mishap struct {
	At  Point
	Do  Deed
	For time.Duration
}

// bars reports whether it keeps a request from arriving that is on its way.
func (mi Mishap) bars() bool {
	return slices.Contains([]Deed{CutLink, StallLink, HalfOpen, PowerOff}, mi.Do)
}

// loud reports whether both ends notice that the link is gone.
func (mi Mishap) loud() bool { return mi.Do == CutLink || mi.Do == PowerOff }

// troubles are what goes wrong between a machine and its gateway, under the
// machine's lock.
type troubles struct {
	cuts    int              // how often the link was cut
	dark    bool             // the power is gone
	pulled  bool             // without power: the cable is out as well
	hush    *hush            // nothing gets through
	slow    time.Duration    // what is said arrives that much later
	twice   bool             // and twice
	reorder bool             // progress waits for what follows it
	held    []terminal.Event // that progress
	road    []underway       // what is on its way, oldest first
	driving bool             // somebody brings it
}

// A hush is a link on which nothing gets through, while both ends believe in it.
type hush struct {
	over  chan struct{} // closed, under the machine's lock, when it is over
	loses bool
	held  []terminal.Event
}

// An underway is what arrives later.
type underway struct {
	told
	due time.Time
}

// errSilent says that nobody knows whether a call arrived.
var errSilent = errors.New("sim: nothing came back over the link")

// wait waits until the link carries again. What was under way is lost with a
// link that loses.
func (h *hush) wait(ctx context.Context, p *Park) error {
	select {
	case <-h.over:
		if h.loses {
			return errSilent
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", errSilent, ctx.Err())
	case <-p.ctx.Done():
		return errSilent
	}
}

// calm ends what is only for one request. What it holds back is told. The
// caller holds m.mu.
func (m *Machine) calm() {
	t := &m.troubles
	t.slow, t.twice, t.reorder = 0, false, false
	held := t.held
	t.held = nil
	for _, e := range held {
		m.enqueue(e)
	}
}

// suffer has a mishap happen. The caller holds m.mu and calls tell after it has
// let it go.
func (m *Machine) suffer(mi Mishap) {
	m.park.o.Log.Info("card machine has a mishap", "tid", m.name.tid, "at", mi.At, "mishap", mi.Do, "for", mi.For)
	switch mi.Do {
	case CutLink:
		m.cutLink()
		cuts := m.troubles.cuts
		m.undo(mi, func() {
			if m.troubles.cuts == cuts {
				m.restoreLink()
			}
		})
	case StallLink, HalfOpen:
		h := &hush{over: make(chan struct{}), loses: mi.Do == HalfOpen}
		m.carry()
		m.troubles.hush = h
		m.undo(mi, func() {
			if m.troubles.hush == h {
				m.carry()
			}
		})
	case SlowLink:
		m.troubles.slow = m.park.pace(mi.For)
	case Duplicate:
		m.troubles.twice = true
	case Reorder:
		m.troubles.reorder = true
	case Stale:
		if last := m.mem.Last; last != nil && last.Visit == "" {
			m.enqueue(terminal.Notified{ID: last.ID, Value: PresentCard})
			m.enqueue(last.event())
		}
	case PowerOff:
		m.losePower(mi)
	case Linger: // the run does it
	}
}

// undo ends a mishap when its time is over: at once, without a timer, where it
// takes none.
func (m *Machine) undo(mi Mishap, end func()) {
	d := m.park.pace(mi.For)
	switch {
	case mi.For == 0:
	case d == 0:
		end()
	default:
		m.park.run(func() {
			if m.park.sleep(d) {
				m.mu.Lock()
				end()
				m.mu.Unlock()
				m.tell()
			}
		})
	}
}

// sleep lets time go by. It reports false when the park was closed first.
func (p *Park) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.ctx.Done():
		return false
	}
}

// losePower is a machine without power, until its time is over and what ran has
// noticed.
func (m *Machine) losePower(mi Mishap) {
	m.cutLink()
	m.troubles.dark, m.panel.menu = true, nil
	cuts := m.troubles.cuts
	var ran []chan struct{}
	if r := m.run; r != nil {
		r.off()
		ran = append(ran, r.done)
	}
	if w := m.round; w != nil {
		w.off()
		ran = append(ran, w.done)
	}
	if mi.For == 0 {
		return
	}
	m.park.run(func() {
		for _, done := range ran {
			<-done
		}
		if d := m.park.pace(mi.For); d > 0 && !m.park.sleep(d) {
			return // it wakes when the park is opened again
		}
		m.mu.Lock()
		if m.troubles.dark && m.troubles.cuts == cuts {
			_ = m.wakeUp() // it is logged, and the machine says nothing more
		}
		m.mu.Unlock()
		m.tell()
	})
}

// carry ends a hush. The caller holds m.mu.
func (m *Machine) carry() {
	h := m.troubles.hush
	if h == nil {
		return
	}
	m.troubles.hush = nil
	close(h.over)
	for _, e := range h.held {
		m.enqueue(e)
	}
	if h.loses { // it dials anew
		m.round.unheard()
		m.enqueue(terminal.WentAway{})
		m.comeBack()
	}
}

// drop loses what is on a link that breaks. The caller holds m.mu.
func (m *Machine) drop() {
	t := &m.troubles
	if t.hush != nil {
		close(t.hush.over)
		t.hush = nil
	}
	t.held, t.road = nil, nil
}

// enqueue leaves an event for the newest link. The caller holds m.mu and calls
// tell after it has let it go.
func (m *Machine) enqueue(e terminal.Event) {
	t := &m.troubles
	_, progress := e.(terminal.Notified)
	switch {
	case m.link == nil || m.cut || m.broken:
	case t.hush != nil:
		if !t.hush.loses {
			t.hush.held = append(t.hush.held, e)
		}
	case t.reorder && progress:
		t.held = append(t.held, e)
	default:
		m.send(e)
		held := t.held
		t.held = nil
		for _, e := range slices.Backward(held) {
			m.send(e)
		}
	}
}

// send puts an event on its way.
func (m *Machine) send(e terminal.Event) {
	t := &m.troubles
	for range 2 {
		if next := (told{m.link, e}); t.slow == 0 && len(t.road) == 0 {
			m.queue = append(m.queue, next)
		} else {
			t.road = append(t.road, underway{next, time.Now().Add(t.slow)})
		}
		if !t.twice {
			break
		}
	}
	if len(t.road) > 0 && !t.driving {
		t.driving = m.park.run(m.drive)
	}
}

// drive brings what is on its way, each in its time.
func (m *Machine) drive() {
	for {
		m.mu.Lock()
		if len(m.troubles.road) == 0 {
			m.troubles.driving = false
			m.mu.Unlock()
			return
		}
		first := m.troubles.road[0]
		wait := time.Until(first.due)
		if wait <= 0 {
			m.queue = append(m.queue, first.told)
			m.troubles.road = m.troubles.road[1:]
		}
		m.mu.Unlock()
		m.tell()
		if wait > 0 && !m.park.sleep(wait) {
			return
		}
	}
}

// strike has the mishaps of a point happen, and returns them. The caller holds
// the machine's lock.
func (r *run) strike(p Point) (struck []Mishap) {
	for _, mi := range r.mishaps {
		if mi.At == p {
			struck = append(struck, mi)
		}
	}
	r.mishaps = slices.DeleteFunc(r.mishaps, func(mi Mishap) bool { return mi.At == p })
	for _, mi := range struck {
		r.m.suffer(mi)
	}
	return struck
}

// at is a point of the transaction.
func (r *run) at(p Point) error {
	if len(r.mishaps) == 0 {
		return nil
	}
	r.m.mu.Lock()
	struck := r.strike(p)
	r.m.mu.Unlock()
	r.m.tell()
	for _, mi := range struck {
		if mi.Do == Linger {
			if err := r.pause(mi.For); err != nil {
				return err
			}
		}
	}
	return nil
}
