package traffic

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Connection is one socket of a peer.
type Connection struct {
	Number  uint64 // as the door counts them
	Site    string
	Key     string // public id of the key that opened the door
	Face    string // pac, pat or terminal
	Version string // of the contract; empty for a terminal
	Remote  string // the peer's address

	SoftwareHouse, Installer string
	Extensions               []string // that were granted
	FinalReceipt             bool

	Opened time.Time
}

// The faces of a connection.
const (
	FacePAC      = "pac"
	FacePAT      = "pat"
	FaceTerminal = "terminal"
)

// Options bound a hub. Zero fields have defaults.
type Options struct {
	Messages   int // that are kept; 5,000
	Bytes      int // of their texts; 16 MiB
	Queue      int // messages that wait to be taken in; 4,096
	QueueBytes int // of them; 8 MiB
	MaxText    int // of one message, the rest is cut off; 256 KiB
	// Always keeps messages also while nobody looks, as a development gateway
	// does. Otherwise they are kept from when somebody looks until Linger after
	// the last one has gone, then forgotten: what tills say is not kept for
	// nobody.
	Always bool
	Linger time.Duration // 10 min
}

func (o *Options) fill() {
	o.Messages = cmp.Or(o.Messages, 5000)
	o.Bytes = cmp.Or(o.Bytes, 16<<20)
	o.Queue = cmp.Or(o.Queue, 4096)
	o.QueueBytes = cmp.Or(o.QueueBytes, 8<<20)
	o.MaxText = cmp.Or(o.MaxText, 256<<10)
	o.Linger = cmp.Or(o.Linger, 10*time.Minute)
}

// A Hub keeps the latest messages. Use New, and Close it in the end.
type Hub struct {
	opt  Options
	done chan struct{} // closed when the loop has ended
	quit chan struct{}
	look chan struct{} // of capacity 1: somebody begins to look

	listening atomic.Bool
	dropped   atomic.Uint64 // messages that found no room in the queue

	// Who tells a message takes this lock and no other, for an append.
	queueMu sync.Mutex
	queue   []event
	waiting int // bytes of texts in it

	linesMu sync.Mutex
	lines   map[*Line]struct{} // open ones

	// keepMu is held by whoever takes messages in; it is taken before mu.
	keepMu sync.Mutex
	spare  []event // a queue to be used again

	mu      sync.Mutex
	closed  bool
	ring    []*Message // oldest first, from first on
	first   int
	bytes   int
	seq     uint64 // of the newest
	evicted uint64 // seq of the newest that is gone
	readers map[*Reader]struct{}
	linger  *time.Timer // forgets; nil unless it runs
}

// A Line tells the hub of one connection. Its methods never block.
type Line struct {
	Connection
	hub *Hub

	missed atomic.Bool   // messages of it were left out, or came before anybody looked
	unsure atomic.Bool   // so many of its requests were open that they were given up
	heard  atomic.Uint64 // messages in all
	tid    atomic.Pointer[string]
	end    atomic.Pointer[Ending]

	state matcher // of whoever holds keepMu
}

// An Ending is how a connection was closed.
type Ending struct {
	At     time.Time
	Code   int
	ByPeer bool
	Reason string // the gateway's
}

// Ending returns how the connection was closed, or nil while it is open.
func (l *Line) Ending() *Ending { return l.end.Load() }

// Heard is how many messages went over the connection, kept or not.
func (l *Line) Heard() uint64 { return l.heard.Load() }

// Missed reports whether messages of the connection were not kept.
func (l *Line) Missed() bool { return l.missed.Load() }

// TID is the terminal at the other end of a terminal's connection, once it has
// said who it is; empty for a till's.
func (l *Line) TID() string {
	if p := l.tid.Load(); p != nil {
		return *p
	}
	return ""
}

// An event is what waits to be taken in.
type event struct {
	line        *Line
	at          time.Time
	fromGateway bool
	text        []byte
	size        int     // of the whole text
	opened      bool    // the connection is open now
	ending      *Ending // the connection has ended
	status      int     // it was refused with that
}

// takeInEvery is how often the queue is emptied. It is not when something comes:
// to wake somebody costs the gateway's goroutine many times what the message
// does.
const takeInEvery = 20 * time.Millisecond

// New makes a hub. It starts the goroutine that takes messages in.
func New(o Options) *Hub {
	o.fill()
	h := &Hub{
		opt: o, done: make(chan struct{}), quit: make(chan struct{}), look: make(chan struct{}, 1),
		lines: map[*Line]struct{}{}, readers: map[*Reader]struct{}{},
	}
	h.listening.Store(o.Always)
	go h.run()
	return h
}

// Close ends the hub and its readers. Lines may still be told; it is lost.
func (h *Hub) Close() {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return
	}
	h.closed = true
	if h.linger != nil {
		h.linger.Stop()
	}
	for r := range h.readers {
		r.wake()
	}
	h.mu.Unlock()
	h.hush()
	close(h.quit)
	<-h.done
}

// hush has nothing listened to any more, and forgets what waits, which is not
// masked yet.
func (h *Hub) hush() {
	h.queueMu.Lock()
	defer h.queueMu.Unlock()
	h.listening.Store(false)
	h.queue, h.waiting = nil, 0
}

// Opened tells of a new connection and returns who is told of its messages.
func (h *Hub) Opened(c Connection) *Line {
	c.Extensions = slices.Clone(c.Extensions)
	if c.Opened.IsZero() {
		c.Opened = time.Now()
	}
	l := &Line{Connection: c, hub: h}
	h.linesMu.Lock()
	h.lines[l] = struct{}{}
	h.linesMu.Unlock()
	if h.listening.Load() {
		h.offer(event{line: l, at: c.Opened, opened: true})
	} else {
		l.missed.Store(true)
	}
	return l
}

// Refused tells of a connection that did not come about, with the status of the
// HTTP answer.
func (h *Hub) Refused(c Connection, status int) {
	c.Opened = time.Now()
	l := &Line{Connection: c, hub: h}
	l.end.Store(&Ending{At: c.Opened})
	if h.listening.Load() {
		h.offer(event{line: l, at: c.Opened, status: status})
	}
}

// Message tells of one text message. The bytes stay the caller's.
func (l *Line) Message(fromGateway bool, text []byte) {
	l.heard.Add(1)
	h := l.hub
	if !h.listening.Load() {
		l.missed.Store(true)
		return
	}
	kept := min(len(text), h.opt.MaxText)
	h.offer(event{line: l, at: time.Now(), fromGateway: fromGateway, text: text[:kept], size: len(text)})
}

// Closed tells of the end of the connection.
func (l *Line) Closed(code int, byPeer bool, reason string) {
	e := &Ending{At: time.Now(), Code: code, ByPeer: byPeer, Reason: reason}
	l.end.Store(e)
	h := l.hub
	h.linesMu.Lock()
	delete(h.lines, l)
	h.linesMu.Unlock()
	if h.listening.Load() {
		h.offer(event{line: l, at: e.At, ending: e})
	}
}

// offer puts an event into the queue, with a copy of its text, or counts it.
func (h *Hub) offer(e event) {
	h.queueMu.Lock()
	if !h.listening.Load() {
		h.queueMu.Unlock()
		e.line.missed.Store(true)
		return
	}
	room := len(h.queue) < h.opt.Queue && h.waiting+len(e.text) <= h.opt.QueueBytes
	if room {
		e.text = slices.Clone(e.text)
		h.queue = append(h.queue, e)
		h.waiting += len(e.text)
	}
	h.queueMu.Unlock()
	if !room {
		e.line.missed.Store(true)
		h.dropped.Add(1)
	}
}

// Dropped is how many messages were not kept because they came faster than they
// could be taken in.
func (h *Hub) Dropped() uint64 { return h.dropped.Load() }

// run takes in what was told.
func (h *Hub) run() {
	defer close(h.done)
	for {
		if !h.listening.Load() {
			select {
			case <-h.look:
			case <-h.quit:
				return
			}
			continue
		}
		t := time.NewTimer(takeInEvery)
		select {
		case <-t.C:
		case <-h.quit:
			t.Stop()
			return
		}
		h.takeIn()
	}
}

// takeIn empties the queue. Readers call it as well, so that they see all that
// was told before.
func (h *Hub) takeIn() {
	h.keepMu.Lock()
	defer h.keepMu.Unlock()
	h.queueMu.Lock()
	events := h.queue
	h.queue, h.waiting = h.spare[:0], 0
	h.queueMu.Unlock()
	if h.listening.Load() {
		for _, e := range events {
			h.keep(e)
		}
	}
	clear(events)
	h.spare = events[:0]
	if len(events) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for r := range h.readers {
		r.wake()
	}
}

// keep makes a message of an event and appends it to the ring. keepMu is held.
func (h *Hub) keep(e event) {
	m := newMessage(e)
	// Nobody else changes seq, so the message may have its number before the lock
	// is taken.
	m.Seq = h.seq + 1
	answered := e.line.state.match(m)

	h.mu.Lock()
	defer h.mu.Unlock()
	h.seq = m.Seq
	h.ring = append(h.ring, m)
	h.bytes += m.cost()
	for len(h.ring)-h.first > h.opt.Messages || h.bytes > h.opt.Bytes && len(h.ring)-h.first > 1 {
		h.bytes -= h.ring[h.first].cost()
		h.evicted = h.ring[h.first].Seq
		h.ring[h.first] = nil
		h.first++
	}
	if h.first > h.opt.Messages { // the slice would grow for ever
		h.ring = slices.Clone(h.ring[h.first:])
		h.first = 0
	}
	if asked := h.find(answered); asked != nil {
		asked.answer.Store(m.Seq)
	}
}

// find returns a kept message by its number, or nil. mu is held.
func (h *Hub) find(seq uint64) *Message {
	kept := h.ring[h.first:]
	if len(kept) == 0 || seq < kept[0].Seq {
		return nil
	}
	// Numbers have no gaps, unless the ring was forgotten in between.
	i, ok := slices.BinarySearchFunc(kept, seq, func(m *Message, seq uint64) int { return cmp.Compare(m.Seq, seq) })
	if !ok {
		return nil
	}
	return kept[i]
}

// Message returns a kept message by its number, or nil.
func (h *Hub) Message(seq uint64) *Message {
	h.takeIn()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.find(seq)
}

// Of returns the kept messages of a connection, oldest first.
func (h *Hub) Of(conn uint64) []*Message {
	return h.Select(Filter{Conn: conn})
}

// Select returns the kept messages that a filter takes, oldest first.
func (h *Hub) Select(f Filter) []*Message {
	var out []*Message
	for _, m := range h.kept() {
		if f.takes(m) {
			out = append(out, m)
		}
	}
	return out
}

// kept is a copy of the ring.
func (h *Hub) kept() []*Message {
	h.takeIn()
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.ring[h.first:])
}

// Lines returns the connections of a site that are open, and those that are not
// any more but have messages that are kept, by their numbers.
func (h *Hub) Lines(site string) []*Line {
	found := map[*Line]struct{}{}
	for _, m := range h.kept() {
		if m.Line.Site == site {
			found[m.Line] = struct{}{}
		}
	}
	h.linesMu.Lock()
	for l := range h.lines {
		if l.Site == site {
			found[l] = struct{}{}
		}
	}
	h.linesMu.Unlock()
	out := make([]*Line, 0, len(found))
	for l := range found {
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b *Line) int { return cmp.Compare(a.Number, b.Number) })
	return out
}

// enter adds a reader.
func (h *Hub) enter(r *Reader) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	h.readers[r] = struct{}{}
	if h.linger != nil {
		h.linger.Stop()
		h.linger = nil
	}
	h.listening.Store(true)
	select {
	case h.look <- struct{}{}:
	default:
	}
}

// leave takes a reader out. The last one has the messages forgotten, after a
// while.
func (h *Hub) leave(r *Reader) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.readers, r)
	if h.opt.Always || h.closed || len(h.readers) > 0 || h.linger != nil {
		return
	}
	var t *time.Timer
	t = time.AfterFunc(h.opt.Linger, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.linger != t {
			return // somebody looks again
		}
		h.linger = nil
		h.hush()
		h.evicted = h.seq
		h.ring, h.first, h.bytes = nil, 0, 0
		h.linesMu.Lock()
		defer h.linesMu.Unlock()
		for l := range h.lines {
			l.missed.Store(true)
		}
	})
	h.linger = t
}
