package gateway

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// An actor owns one terminal and serialises everything that happens to it: one
// goroutine at a time has it, its own or, for progress, the one that brings it.
// All fields but the first group belong to that goroutine.
type actor struct {
	g    *Gateway
	site *site
	tid  txn.TID
	mail *mailbox
	view atomic.Pointer[TerminalView]

	term    terminal.Terminal // nil while not connected
	absent  terminal.Terminal // the same link's, while the terminal is away
	link    int               // counts links; what an older one says is dropped
	spell   int               // counts losses and returns; what was asked before the last is void
	ownBusy bool              // busy by the terminal's own word
	seen    time.Time
	begun   int // counts the works that were opened

	stockTaken bool // it was asked for its last transaction after a restore

	current work                   // holds the terminal; nil when nothing does
	works   map[txn.RequestID]work // everything that has no recorded end, the current one included
	owed    map[txn.RequestID]bool // those of works that the terminal, since it came back, was asked about in vain so far
	doubted map[table.TableID]int  // intentions to lock that may be on disk although the waiter was refused
}

// A work is one request that a terminal was or is to be told: a transaction or
// a report; or a visit at a table.
type work interface {
	requestID() txn.RequestID
	lost()                   // the link is gone
	returned(restarted bool) // the link is back; forget what the old one was told
}

// An askable is a work that the terminal is asked about by its request id.
type askable interface {
	work
	answered(terminal.Answer) // the terminal was asked
	unanswered()              // it was asked in vain
}

// askLimit bounds one question to a terminal.
const askLimit = 10 * time.Second

func (g *Gateway) newActor(s *site, tid txn.TID) *actor {
	a := &actor{g: g, site: s, tid: tid, mail: newMailbox(), works: map[txn.RequestID]work{}, owed: map[txn.RequestID]bool{}, doubted: map[table.TableID]int{}}
	a.view.Store(&TerminalView{TID: tid})
	a, mine := s.adopt(a)
	if mine {
		g.wg.Go(a.run)
	}
	return a
}

func (a *actor) do(f func()) { a.mail.put(f) }

func (a *actor) run() {
	var q []func()
	for {
		select {
		case <-a.mail.signal:
		case <-a.g.ctx.Done():
			return
		}
		for q = a.mail.swap(q, false); len(q) > 0; q = a.mail.swap(q, true) {
			for _, f := range q {
				f()
			}
			clear(q)
			a.publish()
		}
	}
}

// after does f in the actor's goroutine once d has passed.
func (a *actor) after(d time.Duration, f func()) *time.Timer {
	return time.AfterFunc(max(d, 0), func() { a.do(f) })
}

// call runs f, which may wait for the terminal, beside the actor.
func (a *actor) call(limit time.Duration, f func(context.Context, terminal.Terminal)) {
	term := a.term
	a.g.wg.Go(func() {
		ctx, cancel := context.WithTimeout(a.g.ctx, limit)
		defer cancel()
		f(ctx, term)
	})
}

func (a *actor) connected() bool { return a.term != nil }

// busy reports whether the gateway would turn a request away with -32071.
func (a *actor) busy() bool { return a.current != nil || a.ownBusy || len(a.owed) > 0 }

// publish shows the outside how the terminal stands.
func (a *actor) publish() {
	v := TerminalView{TID: a.tid, Connected: a.connected(), Busy: a.busy(), LastSeen: a.seen}
	old := a.view.Load()
	if v.Connected {
		if old.Connected == v.Connected && old.Busy == v.Busy && old.LastSeen.Equal(v.LastSeen) {
			return
		}
		v.Capabilities = a.term.Capabilities()
	}
	a.view.Store(&v)
}

// plug takes a new link to the terminal into use, unless first has an error.
func (a *actor) plug(first func() error, connect func(terminal.Sink) terminal.Terminal) error {
	done := make(chan struct{})
	var refused error
	a.do(func() {
		defer close(done)
		if refused = first(); refused != nil {
			return
		}
		a.lost()
		a.publish()
		a.absent = nil
		link := a.link
		a.term = connect(func(e terminal.Event) { a.told(link, e) })
		a.seen = time.Now()
		a.interrogate(false)
		a.publish()
	})
	select {
	case <-done:
		return refused
	case <-a.g.ctx.Done():
		return errClosed
	}
}

// lost takes the terminal off. What it had is unresolved from now on.
func (a *actor) lost() {
	a.link++
	if a.term == nil {
		return
	}
	a.term, a.ownBusy = nil, false
	a.spell++
	clear(a.owed)
	for _, w := range a.works {
		w.lost()
	}
}

// interrogate asks the terminal about everything that is open. Until it has
// answered it counts as busy.
func (a *actor) interrogate(restarted bool) {
	a.spell++
	clear(a.owed)
	for id := range a.works {
		a.owed[id] = true
	}
	for _, w := range a.works {
		w.returned(restarted)
	}
	a.takeStock()
}

// ask has the terminal say what became of w.
func (a *actor) ask(w askable) {
	if a.term == nil {
		return // it is asked when it is back
	}
	spell, id := a.spell, w.requestID()
	a.call(askLimit, func(ctx context.Context, term terminal.Terminal) {
		ans, err := term.Query(ctx, id)
		a.do(func() {
			if a.spell != spell {
				return // it is asked anew
			}
			delete(a.owed, id)
			if a.works[id] != work(w) {
				return
			}
			if err != nil {
				a.g.log.Warn("terminal did not answer a query", "site", a.site.settings.Load().ID, "tid", a.tid, "request", id, "error", loggable(err))
				w.unanswered()
				return
			}
			a.g.metrics.queries.WithLabelValues(ans.Kind.String()).Inc()
			w.answered(ans)
		})
	})
}

// memory names the memory of the terminal that is connected.
func (a *actor) memory() string {
	if a.term == nil {
		return ""
	}
	return a.term.Capabilities().Memory
}

// otherMemory reports whether the terminal that is connected is not the one that
// had the memory of that name when something was begun on it, or has lost it
// since. A spare machine under the same TID knows nothing of what the one before
// it has charged.
func (a *actor) otherMemory(then string) bool { return then != "" && a.memory() != then }

// open takes a new work in; it holds the terminal.
func (a *actor) open(w work) {
	a.works[w.requestID()] = w
	a.begun++
	a.hold(w)
}

// hold makes the terminal busy with w.
func (a *actor) hold(w work) {
	if a.current == nil {
		a.current = w
		a.g.metrics.running.add()
	}
	a.publish()
}

// release lets the terminal go: from now on it is busy or not by its own word.
func (a *actor) release(w work) {
	if a.current == w {
		a.current = nil
		a.g.metrics.running.done()
	}
}

// closed forgets a work that has its recorded end.
func (a *actor) closed(w work) {
	a.release(w)
	delete(a.works, w.requestID())
	delete(a.owed, w.requestID())
	if k, ok := w.(keyed); ok {
		a.site.keys.free(k.requestKey())
	}
	if v, ok := w.(viewable); ok {
		a.site.polls.end(w.requestID(), v.view)
	}
	a.publish()
}

// told takes what the terminal says over a link. Progress, which waits for no
// disk, is dealt with on the goroutine that brings it unless something else
// goes on: the till hears of it before another goroutine would have woken.
func (a *actor) told(link int, e terminal.Event) {
	if _, ok := e.(terminal.Notified); ok && a.g.ctx.Err() == nil && a.mail.take() {
		defer a.mail.giveBack()
		if a.link == link {
			a.event(e)
			a.publish()
		}
		return
	}
	a.do(func() {
		if a.link == link {
			a.event(e)
		}
	})
}

// event is something that the terminal said.
func (a *actor) event(e terminal.Event) {
	a.seen = time.Now()
	switch e := e.(type) {
	case terminal.Notified:
		if t, ok := a.works[e.ID].(*transaction); ok {
			t.notified(e.Value)
		}
	case terminal.SignatureWanted:
		if t, ok := a.works[e.ID].(*transaction); ok {
			t.signatureWanted(e.Wish)
		}
	case terminal.Ended:
		a.ended(e.ID, e.Outcome)
	case terminal.Reported:
		a.reported(e.ID, e.Report)
	case terminal.WentAway:
		link, term := a.link, a.term
		a.lost()
		a.link = link // the same link may say that the terminal is back
		if term != nil {
			a.absent = term
		}
	case terminal.CameBack:
		a.cameBack(e)
	case terminal.StatusChanged:
		a.ownBusy = e.Busy
	default:
		a.atTable(e)
	}
}

// ended is the end of a transaction by the terminal's word.
func (a *actor) ended(id txn.RequestID, o txn.Outcome) {
	if t, ok := a.works[id].(*transaction); ok {
		t.ended(o)
		return
	}
	a.toldAgain(id, func(ctx context.Context) error { return a.g.keepOutcome(ctx, a, id, o) })
}

// reported is a report by the terminal's word.
func (a *actor) reported(id txn.RequestID, rep report.Report) {
	if r, ok := a.works[id].(*reportRun); ok {
		r.made(rep)
		return
	}
	a.toldAgain(id, func(ctx context.Context) error { return a.g.keepReport(ctx, a, id, rep) })
}

// cameBack takes a terminal that was away into use again, and asks it.
func (a *actor) cameBack(e terminal.CameBack) {
	if a.term == nil {
		a.term, a.absent = a.absent, nil
	}
	if a.term == nil {
		return
	}
	a.interrogate(e.Restarted)
}

// toldAgain deals with the end of a request that is not open here: it is kept,
// then acknowledged. A failure leaves it to the terminal to tell it again.
func (a *actor) toldAgain(id txn.RequestID, keep func(context.Context) error) {
	if err := keep(a.g.ctx); err != nil {
		a.g.log.Error("an outcome could not be kept; the terminal will tell it again", "tid", a.tid, "request", id, "error", err)
		a.after(time.Second, func() { a.toldAgain(id, keep) })
		return
	}
	a.acknowledge(id)
}

// acknowledge lets the terminal forget an outcome that is on disk.
func (a *actor) acknowledge(id txn.RequestID) {
	if a.term == nil {
		return // it tells it again when it is back
	}
	a.call(askLimit, func(ctx context.Context, term terminal.Terminal) {
		if err := term.Acknowledge(ctx, id); err != nil {
			a.g.log.Warn("terminal did not take an acknowledgement", "tid", a.tid, "request", id, "error", loggable(err))
		}
	})
}
