package gateway

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/wire"
)

// A switchboard is the Pay-At-Table side of a site: the one live connection,
// the questions that wait for its answers, and the notices that it is owed.
type switchboard struct {
	g *Gateway

	mu        sync.Mutex
	live      *line // nil while no till is connected
	questions map[*question]struct{}
	box       outbox
	takeovers []time.Time // of the last minute
}

// A line is one connection of a till that keeps the tables. Its fields belong
// to its switchboard's lock.
type line struct {
	sess  *Session
	board *switchboard
	final bool // it wants to be asked for final receipts
	acks  bool // it answers notices

	last jsonrpc.ID // numbers our requests from 1
	open map[jsonrpc.ID]*question
	over map[jsonrpc.ID]string               // what became of those that are no longer open
	late map[jsonrpc.ID]func(jsontext.Value) // who wants to hear of an answer that comes late
	past []jsonrpc.ID                        // the keys of over, oldest first
}

// pastKept bounds how many answered or lapsed requests a line remembers, to
// tell a late answer from one that answers nothing.
const pastKept = 4096

// A question is a request to the till. Exactly one of its ends is called, once,
// under the switchboard's lock: they only pass the word on.
type question struct {
	method   string
	params   func(seconds float64) wire.Message
	deadline time.Time
	// once says that it is not asked again of a newer connection, final that only
	// one that wants to be asked for final receipts is.
	once, final bool
	// take reads the till's result. A fault leaves the question open: what is
	// malformed is no answer. Otherwise it returns what to do with the answer.
	take taker
	// none is called when there is no answer: an error of the till's, or why.
	none func(n noAnswer)
	// late, if there is one, is called with a result that comes after its time.
	late func(result jsontext.Value)

	timer *time.Timer
	id    jsonrpc.ID // on the live line
	heard bool       // something came back on it
}

// A taker reads a result, and returns what to do with it if it is accepted.
type taker func(v wire.Version, result jsontext.Value) (use func(), devs []wire.Deviation, f *fault)

// taking makes a taker of a decoder. Check, which may be nil, refuses what no
// schema can say.
func taking[T any](
	decode func(wire.Version, jsontext.Value) (T, []wire.Deviation, *wire.Fault),
	check func(T) *fault, use func(T),
) taker {
	return func(v wire.Version, result jsontext.Value) (func(), []wire.Deviation, *fault) {
		answer, devs, bad := decode(v, result)
		if bad != nil {
			return nil, nil, invalidParams(bad)
		}
		if check != nil {
			if f := check(answer); f != nil {
				return nil, nil, f
			}
		}
		return func() { use(answer) }, devs, nil
	}
}

// A noAnswer says why a question has none.
type noAnswer struct {
	why   string         // for the record
	says  string         // for the waiter, where there is more to say
	sent  bool           // it may have reached a till
	error *jsonrpc.Error // what the till said instead
}

// maxScreen is how much of a till's words a terminal shows, in characters.
const maxScreen = 200

// screen is what a waiter reads.
func (n noAnswer) screen() string {
	switch {
	case n.says != "":
		return n.says
	case n.error != nil && n.error.UserMessage != "":
		return printable(receipt.MaskPANs(n.error.UserMessage), maxScreen)
	case n.error != nil:
		return printable(receipt.MaskPANs(n.error.Message), maxScreen)
	case !n.sent:
		return "The till is offline."
	}
	return "The till did not answer."
}

func newSwitchboard(g *Gateway) *switchboard {
	return &switchboard{g: g, questions: map[*question]struct{}{}, box: newOutbox()}
}

// online reports whether a till is connected.
func (b *switchboard) online() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.live != nil
}

// hangUp closes the connection of the till, if there is one.
func (b *switchboard) hangUp(why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.live != nil {
		b.live.sess.conn.Close(closePolicy, why)
	}
}

// wantsFinal reports whether the till wants to be asked for final receipts.
func (b *switchboard) wantsFinal() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.live != nil && b.live.final
}

// ask sends a question. Without a till there is no answer at once.
func (b *switchboard) ask(q *question) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.live == nil {
		q.none(noAnswer{why: "no till was connected"})
		return
	}
	b.questions[q] = struct{}{}
	q.timer = time.AfterFunc(time.Until(q.deadline), func() { b.lapse(q) })
	b.put(q)
}

// put sends a question on the live line, with the time that it has left.
func (b *switchboard) put(q *question) {
	l := b.live
	l.last = l.last%jsonrpc.MaxID + 1
	q.id = l.last
	l.open[q.id] = q
	left := max(math.Ceil(time.Until(q.deadline).Seconds()), 1)
	l.sess.send(jsonrpc.AppendRequest(nil, q.id, q.method, wire.Encode(l.sess.version, q.params(left))))
}

func (b *switchboard) lapse(q *question) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, open := b.questions[q]; !open {
		return
	}
	b.close(q, sigLapsed)
	q.none(noAnswer{why: "the till did not answer in time", sent: true})
}

// close takes a question off, and remembers on the live line what became of it.
func (b *switchboard) close(q *question, why string) {
	delete(b.questions, q)
	q.timer.Stop()
	if l := b.live; l != nil && l.open[q.id] == q {
		delete(l.open, q.id)
		l.remember(q.id, why)
		if why == sigLapsed && q.late != nil {
			l.late[q.id] = q.late
		}
	}
}

// drop takes a question off that is on no line any more.
func (b *switchboard) drop(q *question, n noAnswer) {
	delete(b.questions, q)
	q.timer.Stop()
	q.none(n)
}

func (l *line) remember(id jsonrpc.ID, why string) {
	if _, known := l.over[id]; !known {
		l.past = append(l.past, id)
	}
	l.over[id] = why
	if len(l.past) > pastKept {
		delete(l.over, l.past[0])
		delete(l.late, l.past[0])
		l.past = slices.Delete(l.past, 0, 1)
	}
}

// connect makes a line the live one. The one before is told and closed;
// questions that may be asked again are, in what time they have left.
func (b *switchboard) connect(l *line) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.live
	b.live = l
	if old != nil {
		b.g.metrics.takeovers.Inc()
		old.sess.fail(jsonrpc.NoID, newFault(spec.CodeConnectionDiscontinued, spec.MessageConnectionDiscontinued, ""))
		old.sess.silence()
		old.sess.conn.Close(closePolicy, "a newer connection of this site took over")
		b.countTakeover()
	}
	b.moveOn("a newer connection took over", true)
	b.box.begin(b)
}

// countTakeover raises the alarm when tills push each other off in a loop.
func (b *switchboard) countTakeover() {
	now := time.Now()
	b.takeovers = append(slices.DeleteFunc(b.takeovers, func(t time.Time) bool { return now.Sub(t) > time.Minute }), now)
	if most := spec.Default().Count(spec.CountTakeovers); len(b.takeovers) >= most {
		b.g.metrics.takeoverLoops.Inc()
		b.g.log.Error("tills push each other off the Pay-At-Table connection; only one may be connected",
			"site", b.live.sess.site.settings.Load().ID, "takeovers in the last minute", len(b.takeovers))
	}
}

// delay is how long a further connection has to wait before it is let in.
func (b *switchboard) delay() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, t := range b.takeovers {
		if time.Since(t) <= time.Minute {
			n++
		}
	}
	if n+1 < spec.Default().Count(spec.CountTakeovers) {
		return 0
	}
	return spec.Default().Timer(spec.TimerTakeoverDelay)
}

// disconnect takes a line off. A line that is no longer the live one changes
// nothing.
func (b *switchboard) disconnect(l *line) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.live != l {
		return
	}
	b.live = nil
	b.moveOn("the till went away", false)
	b.box.pause()
}

// moveOn deals with the open questions when the live line changes: those to be
// asked once have no answer, the others go to the new line or wait for one.
func (b *switchboard) moveOn(why string, again bool) {
	for q := range b.questions {
		switch {
		case q.once:
			b.drop(q, noAnswer{why: why, sent: true})
		case again && q.final && !b.live.final:
			b.drop(q, noAnswer{why: why, sent: true})
		case again:
			q.heard = false
			b.put(q)
		}
	}
}

// awaits reports, once for each question that was put on the line, whether m is
// an answer to it. Such answers do not count towards the till's rate: it is the
// gateway that asks, and none must be lost for having come with many others.
func (l *line) awaits(m jsonrpc.Message) bool {
	if m.Kind != jsonrpc.Response && m.Kind != jsonrpc.ErrorResponse {
		return false
	}
	l.board.mu.Lock()
	defer l.board.mu.Unlock()
	q := l.open[m.ID]
	if q == nil || q.heard {
		return false
	}
	q.heard = true
	return true
}

// receive takes one message of a till on /pat: it answers and never asks.
func (l *line) receive(m jsonrpc.Message) {
	s := l.sess
	switch m.Kind {
	case jsonrpc.Request:
		s.g.metrics.requests.WithLabelValues("unknown").Inc()
		s.fail(m.ID, methodNotFound(m.Method))
		return
	case jsonrpc.Notification:
		s.fail(jsonrpc.NoID, &fault{code: spec.CodeInvalidRequest, message: "Invalid Request: a till has nothing to notify; answer the requests that come", noID: true})
		return
	case jsonrpc.ErrorResponse:
		if m.ID == jsonrpc.NoID {
			s.g.log.Warn("a till sent an error", "remote", s.conn.RemoteAddr(), "code", m.Error.Code)
			return
		}
	case jsonrpc.Response, jsonrpc.Invalid:
	}
	f, late := l.answer(m)
	if f != nil {
		s.fail(m.ID, f)
	}
	if late != nil {
		late(m.Result)
	}
}

// answer finds the question and passes the answer on. It returns what is wrong
// and who wants to hear of an answer that came late, once that was told.
func (l *line) answer(m jsonrpc.Message) (f *fault, late func(jsontext.Value)) {
	b := l.board
	b.mu.Lock()
	defer b.mu.Unlock()
	id := strconv.Itoa(int(m.ID))
	if b.live != l {
		return nil, nil // it was told that it is discontinued
	}
	q := l.open[m.ID]
	if q == nil {
		switch l.over[m.ID] {
		case sigLapsed:
			l.remember(m.ID, sigAnswered)
			if m.Kind == jsonrpc.Response {
				late = l.late[m.ID]
			}
			delete(l.late, m.ID)
			return newFault(spec.CodeRequestTimedOut, spec.MessageLateAnswer, "", "id", id), late
		case sigAnswered:
			return newFault(spec.CodeUnexpectedResponse, spec.MessageSecondAnswer, "", "id", id), nil
		}
		return newFault(spec.CodeUnexpectedResponse, spec.MessageUnknownAnswer, "", "id", id), nil
	}
	if m.Kind == jsonrpc.ErrorResponse {
		b.close(q, sigAnswered)
		q.none(noAnswer{why: fmt.Sprintf("the till answered with error %d", m.Error.Code), sent: true, error: m.Error})
		return nil, nil
	}
	use, devs, f := q.take(l.sess.version, m.Result)
	if f == nil {
		f = l.sess.deviations(append(unknownMembers(m), devs...))
	}
	if f != nil {
		return f, nil
	}
	b.close(q, sigAnswered)
	use()
	return nil, nil
}
