package gateway

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/wire"
)

// This file keeps the streams of tills that opted in to resume (the contract,
// section 10): what one connection leaves open goes on on the next.
//
// A stream lives in memory. What it keeps is a second way to outcomes that the
// journal has, so a gateway that was restarted says that it has nothing, and
// pretends no continuity.

const (
	// maxStreamName is how long the name of a stream may be, in characters.
	maxStreamName = 64
	// maxSince keeps the numbers of messages, which go on from what a till
	// claims to have, far from where some languages count no further.
	maxSince = 999_999_999_999
	// maxStreams bounds the streams of a site, those without a connection
	// included.
	maxStreams = 256
	// maxStreamBytes bounds what one stream keeps, beside their age and number.
	maxStreamBytes = 4 << 20
	// replayBurst is how much is replayed before the till has shown, by a pong,
	// that it reads: less than a connection queues for one that does not.
	replayBurst = 256 << 10
)

// A resumption is what a till says of its stream when it connects.
type resumption struct {
	stream string
	since  int64 // the last message that it has
	taking bool  // it gave since: it takes the stream up
	knock  int64 // which of the site's knocks it was: what was opened last need not be what came last
}

// readResumption takes stream and since from the query of a till that asked for
// resume, or not.
func readResumption(q url.Values, resume bool) (r resumption, _ error) {
	names, since := q["stream"], q["since"]
	switch {
	case !resume && len(names)+len(since) > 0:
		return r, refuse(http.StatusUnprocessableEntity, "stream and since belong to the extension resume of /pac. Add resume to extensions, or leave them out.")
	case !resume:
		return r, nil
	case len(names) == 0:
		return r, refuse(http.StatusUnprocessableEntity, "The extension resume needs stream=<name>, a name of this till's own. Add it, or leave resume out of extensions.")
	case len(names) > 1 || len(since) > 1:
		return r, refuse(http.StatusBadRequest, "stream and since may stand in the query once.")
	case !nameable(names[0], maxStreamName):
		return r, refuse(http.StatusBadRequest, "stream must be 1 to %d printable characters.", maxStreamName)
	}
	r.stream = strings.Clone(names[0]) // for the reason given in read
	if r.taking = len(since) == 1; r.taking {
		n, err := strconv.ParseUint(since[0], 10, 64)
		if err != nil || n > maxSince {
			return r, refuse(http.StatusBadRequest, "since must be the seq of the last message that this till has, an integer from 0 to %d.", int64(maxSince))
		}
		r.since = int64(n)
	}
	return r, nil
}

// Streams are those of a site, by name.
type streams struct {
	mu    sync.Mutex
	all   map[string]*stream
	knock int64 // number of the last that was let in
}

// A stream is what the connections of one till have in common. Its home is the
// session whose ids, requests and questions outlive connections; the stream is
// the Conn of its home, which numbers, keeps and passes on.
type stream struct {
	site *site
	name string
	home *Session

	receiving sync.Mutex // held while a message is served, and to change live

	mu      sync.Mutex
	begun   bool     // some connection has had it
	knock   int64    // of the newest connection, though it be gone
	over    bool     // no connection will have it any more
	live    *Session // the newest connection, or nil
	lapse   *time.Timer
	left    time.Time // when the last connection did
	last    int64     // number of the newest message
	kept    []keptMessage
	bytes   int // of kept
	next    int64
	halted  bool // the replay waits for a pong
	follows []*follow
}

// A keptMessage is one that was sent, or would have been.
type keptMessage struct {
	seq      int64
	at       time.Time
	message  []byte     // without its number
	question *signature // that it asks, or nil
}

// A follow is a ping behind a message, until its pong has come on whatever
// connection.
type follow struct {
	seq      int64
	on       *Session // where it was sent last
	answered func()
}

// home is the session whose requests this connection makes: its own, or that of
// its stream.
func (s *Session) home() *Session {
	if s.stream != nil {
		return s.stream.home
	}
	return s
}

// admit numbers a knock, or says why there is no room for the stream that it
// names.
func (ss *streams) admit(t *Ticket) *Refusal {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.knock++
	t.resume.knock = ss.knock
	return ss.full(t)
}

// full says why there is no room for one more stream, or nil. ss.mu is held.
func (ss *streams) full(t *Ticket) *Refusal {
	if ss.all[t.resume.stream] != nil || len(ss.all) < maxStreams {
		return nil
	}
	r := refuse(http.StatusTooManyRequests, "This site has reached its limit of %d streams. Use one name for each till; a stream without a connection is given up after a day.", maxStreams)
	r.RetryAfter = time.Minute
	return r
}

// take finds the stream that a ticket names, or begins it. A stream whose
// messages this till could not read, for it speaks another version or has other
// extensions, or comes from another software house, is given up for a new one.
func (ss *streams) take(t *Ticket) (*stream, *Refusal) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if r := ss.full(t); r != nil {
		return nil, r
	}
	old := ss.all[t.resume.stream]
	if old != nil && !old.yields(t) {
		return old, nil
	}
	st := &stream{site: t.site, name: t.resume.stream}
	st.home = newSession(t, st)
	if ss.all == nil {
		ss.all = map[string]*stream{}
	}
	ss.all[st.name] = st
	if old != nil {
		old.end("this stream was begun anew")
	}
	return st, nil
}

// yields reports whether the till of a ticket, the newest, could not read what the
// stream keeps.
func (st *stream) yields(t *Ticket) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	h := st.home
	return t.resume.knock > st.knock && (h.version != t.version || h.ext != t.ext || h.caller != t.caller)
}

// homes returns those of all streams, with a connection or without.
func (ss *streams) homes() (out []*Session) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, st := range ss.all {
		out = append(out, st.home)
	}
	return out
}

// enter makes sess a connection of the stream that its till named.
func (t *Ticket) enter(sess *Session) *Refusal {
	for {
		st, r := t.site.streams.take(t)
		if r != nil {
			return r
		}
		switch overtaken, ok := st.attach(sess, t.resume); {
		case overtaken:
			return refuse(http.StatusConflict, "%s", tookOver)
		case ok:
			return nil
		}
	}
}

const tookOver = "a newer connection of this stream took over"

// attach makes sess the newest connection and sends what its till has missed. It
// is not ok when the stream has come to its end meanwhile, nor when a newer
// connection was faster.
func (st *stream) attach(sess *Session, r resumption) (overtaken, ok bool) {
	st.receiving.Lock() // what the older connection has brought is served first
	defer st.receiving.Unlock()
	st.mu.Lock()
	if st.over || r.knock < st.knock {
		defer st.mu.Unlock()
		return !st.over, false
	}
	st.knock = r.knock
	if st.lapse != nil {
		st.lapse.Stop()
	}
	if st.live != nil {
		st.live.conn.Close(closePolicy, tookOver)
	}
	sess.stream, st.live, st.halted = st, sess, false
	taken := st.takeUp(r)
	var arrived, lost []*follow
	for _, f := range st.follows {
		switch {
		case taken && f.seq <= r.since:
			arrived = append(arrived, f)
		case !taken:
			lost = append(lost, f)
		}
	}
	st.follows = slices.DeleteFunc(st.follows, func(f *follow) bool {
		return slices.Contains(arrived, f) || slices.Contains(lost, f)
	})
	st.pump()
	st.mu.Unlock()
	for _, f := range arrived {
		f.answered()
	}
	if len(lost) > 0 {
		st.site.late.forget(st.home) // to be told anew
	}
	return false, true
}

// takeUp finds where the till goes on, and sends at once what is out of turn. It
// reports whether the till has, or gets, all that it was ever sent. st.mu is
// held.
func (st *stream) takeUp(r resumption) bool {
	known := st.begun
	st.begun = true
	st.forgetOld(time.Now())
	first := st.first()
	switch {
	case !r.taking:
		st.next = st.last + 1
		for _, k := range st.kept { // nothing else would put an open question before the cashier
			if k.question != nil && st.home.asks(k.question) {
				st.pass(wire.Number(k.message, k.seq))
			}
		}
		return !known
	case known && r.since <= st.last && r.since+1 >= first:
		st.next = r.since + 1
		return true
	case !known || r.since > st.last:
		// Nothing is known of what the till has. The numbers go on from there, so
		// that it takes no message for one that it has.
		st.begin(r.since + 1)
		first = st.first()
		st.home.numberFrom(r.since)
	}
	st.next = first
	f := newFault(spec.CodeInvalidParams, spec.MessageSinceNotKept, "", "since", strconv.FormatInt(r.since, 10), "first", strconv.FormatInt(first, 10))
	data := wire.ErrorData{Pointer: "/since", FirstKept: first}
	if st.home.ext.errors {
		data.Rule, data.Docs = wire.RuleMinimum, spec.ErrorDocs(f.code)
	}
	st.home.g.metrics.faults.WithLabelValues(strconv.Itoa(f.code)).Inc()
	message, err := jsonrpc.AppendError(nil, jsonrpc.NoID, &jsonrpc.Error{
		Code: f.code, Message: f.message, Data: wire.Encode(st.home.version, data),
	})
	if err != nil {
		panic("gateway: an error of ours that cannot be written: " + err.Error())
	}
	st.pass(wire.Number(message, first-1)) // it stands where what is lost would
	return false
}

// begin lets go of all messages but the open questions, which are numbered anew
// from the one after last. st.mu is held.
func (st *stream) begin(last int64) {
	kept := st.kept
	st.kept, st.bytes, st.last = nil, 0, last
	for _, k := range kept {
		if k.question != nil && st.home.asks(k.question) {
			st.add(k)
		}
	}
}

// add numbers and keeps a message. st.mu is held.
func (st *stream) add(k keptMessage) {
	st.last++
	k.seq = st.last
	st.kept = append(st.kept, k)
	st.bytes += len(k.message)
}

// first is the number of the first message that is kept, or of the one to come.
// st.mu is held.
func (st *stream) first() int64 { return st.last + 1 - int64(len(st.kept)) }

// Send implements Conn for what the home of the stream sends.
func (st *stream) Send(message []byte) error {
	st.send(message, nil)
	return nil
}

// send numbers and keeps a message, and passes it on while there is somebody.
func (st *stream) send(message []byte, q *signature) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.over {
		return
	}
	now := time.Now()
	st.add(keptMessage{at: now, message: message, question: q})
	st.forgetOld(now)
	st.pump()
}

// forgetOld lets go of what is kept no longer, but never of the newest message.
// st.mu is held.
func (st *stream) forgetOld(now time.Time) {
	keep, most := spec.Default().Timer(spec.TimerKeepStream), spec.Default().Count(spec.CountKeepStreamMessages)
	n := 0
	for n < len(st.kept)-1 && (len(st.kept)-n > most || st.bytes > maxStreamBytes || now.Sub(st.kept[n].at) >= keep) {
		st.bytes -= len(st.kept[n].message)
		st.kept[n] = keptMessage{}
		n++
	}
	if n == len(st.kept)-1 && now.Sub(st.kept[n].at) >= keep {
		st.kept, st.bytes = nil, 0
		return
	}
	st.kept = st.kept[n:]
}

// pump passes on what the newest connection has yet to get. st.mu is held.
func (st *stream) pump() {
	if st.live == nil || st.halted {
		return
	}
	first := st.first()
	if st.next < first {
		// It reads so slowly that what it has yet to get is gone. On its next
		// connection it is told so.
		st.live.conn.Close(closePolicy, "not reading")
		st.halted = true
		return
	}
	for burst := 0; st.next <= st.last; st.next++ {
		k := st.kept[st.next-first]
		if burst > 0 && burst+len(k.message) > replayBurst {
			st.halt()
			return
		}
		if k.question == nil || st.home.asks(k.question) {
			st.pass(wire.Number(k.message, k.seq))
			burst += len(k.message)
		}
	}
	for _, f := range st.follows {
		if f.on == st.live {
			continue
		}
		f.on = st.live
		if err := st.live.conn.Ping(func() { st.arrived(f) }); err != nil {
			f.on = nil // with the next message
		}
	}
}

// halt has the replay go on once the till has read what it got. st.mu is held.
func (st *stream) halt() {
	live := st.live
	st.halted = true
	err := live.conn.Ping(func() {
		st.mu.Lock()
		defer st.mu.Unlock()
		if st.live == live {
			st.halted = false
			st.pump()
		}
	})
	if err != nil {
		live.conn.Close(closePolicy, "not reading")
	}
}

// pass hands a message to the newest connection. What does not reach it is kept
// for the next. st.mu is held.
func (st *stream) pass(message []byte) {
	if err := st.live.conn.Send(message); err != nil {
		st.home.g.log.Debug("a message of a stream was not sent yet", "remote", st.live.conn.RemoteAddr(), "error", err)
	}
}

// Ping implements Conn: answered is called once the till has all that was sent
// before, which it shows by a pong, or by naming it when it connects anew.
func (st *stream) Ping(answered func()) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.follows = append(st.follows, &follow{seq: st.last, answered: answered})
	st.pump()
	return nil
}

func (st *stream) arrived(f *follow) {
	st.mu.Lock()
	i := slices.Index(st.follows, f)
	if i >= 0 {
		st.follows = slices.Delete(st.follows, i, i+1)
	}
	st.mu.Unlock()
	if i >= 0 {
		f.answered()
	}
}

// Close implements Conn: it closes the connection that there is.
func (st *stream) Close(code int, reason string) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.live == nil {
		return nil
	}
	return st.live.conn.Close(code, reason)
}

// RemoteAddr implements Conn.
func (st *stream) RemoteAddr() string {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.live == nil {
		return "a stream without a connection"
	}
	return st.live.conn.RemoteAddr()
}

// receive takes a message of the newest connection. What an older one still
// brings is not heard: its till may have sent it again.
func (st *stream) receive(from *Session, data []byte) {
	st.receiving.Lock()
	defer st.receiving.Unlock()
	st.mu.Lock()
	heard := st.live == from
	st.mu.Unlock()
	if heard {
		st.home.Receive(data)
	}
}

// leave is told that a connection has ended. A stream without one waits for a
// day.
func (st *stream) leave(sess *Session) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.live != sess {
		return
	}
	st.live, st.halted, st.left = nil, false, time.Now()
	for _, f := range st.follows {
		f.on = nil
	}
	keep := spec.Default().Timer(spec.TimerKeepStream)
	st.lapse = time.AfterFunc(keep, func() { st.site.streams.lapse(st, keep) })
}

// lapse gives up a stream that was without a connection for so long.
func (ss *streams) lapse(st *stream, keep time.Duration) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	st.mu.Lock()
	lapsed := st.live == nil && !st.over && time.Since(st.left) >= keep
	st.mu.Unlock()
	if lapsed {
		delete(ss.all, st.name)
		st.end("")
	}
}

// end gives the stream up. What runs for it goes on.
func (st *stream) end(why string) {
	st.mu.Lock()
	st.over = true
	if st.lapse != nil {
		st.lapse.Stop()
	}
	if st.live != nil {
		st.live.conn.Close(closePolicy, why)
	}
	st.kept, st.bytes, st.follows = nil, 0, nil
	st.mu.Unlock()
	st.home.fallSilent()
	st.site.late.forget(st.home)
}

// asks reports whether a question still wants an answer.
func (s *Session) asks(q *signature) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return q.over == "" && !s.gone
}

// numberFrom has our own requests numbered on from at least last: no till has had
// more of them than messages, so that an answer to one of before a restart is
// none to another.
func (s *Session) numberFrom(last int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.signatures) == 0 {
		s.lastAsked = jsonrpc.ID(max(int64(s.lastAsked), last%int64(jsonrpc.MaxID)))
	}
}

// sendQuestion sends a request of ours.
func (s *Session) sendQuestion(q *signature, message []byte, err error) {
	st, streams := s.conn.(*stream)
	if !streams || err != nil {
		s.send(message, err)
		return
	}
	st.send(message, q)
}
