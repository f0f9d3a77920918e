package epos

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/wire"
	"github.com/tillwire/tillwire/ws"
)

const (
	// awayLimit is how long a call waits while its stream has no connection:
	// longer than a gateway takes to be restarted, shorter than patience.
	awayLimit = 2 * time.Minute
	// deliverLimit is how long after it was made a request that never reached the
	// gateway is still delivered. Later the customer may have left.
	deliverLimit = 30 * time.Second
)

// A stream is a channel that outlives its connections (the contract, section 10,
// resume): when one is lost it dials again and goes on where it was. Duplicates
// are dropped. What it cannot know is whether what it sent has arrived; the calls
// find out, see Client.carry.
type stream struct {
	options Options
	address string // with the wish for the stream, without since
	trace   func(sent bool, message []byte)
	tracing sync.Mutex

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	done   chan struct{} // closed when it will not dial again

	mu      sync.Mutex
	conn    *ws.Conn
	keeper  *ws.Keeper
	up      chan struct{} // closed while there is a connection
	away    chan struct{} // closed when there was none for long
	turn    chan struct{} // closed when the calls have to look what became of them
	turns   int
	opened  time.Time
	short   int   // connections in a row that were lost at once
	gaps    int   // how often not all came that was sent, or will
	clashes int   // how often an earlier run of this till had the number of a call
	begun   bool  // last is known
	last    int64 // number of the newest message
	answers []*sentAnswer
	again   int // answers that were sent once more, which the gateway may not have needed
	nextID  jsonrpc.ID
	err     error
}

// A sentAnswer is one of which it is not known yet whether it has arrived.
type sentAnswer struct{ message []byte }

// newStream takes over the first connection of a stream.
func newStream(o Options, address string, conn *ws.Conn, keeper *ws.Keeper) *stream {
	s := &stream{
		options: o, address: address, trace: o.Handler.Trace, conn: conn, keeper: keeper, done: make(chan struct{}),
		up: make(chan struct{}), away: make(chan struct{}), turn: make(chan struct{}),
		opened: time.Now(),
		// An earlier run of this till may have requests in flight in the same stream.
		nextID: rand.N(jsonrpc.MaxID),
	}
	close(s.up)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Read returns the next message that is not a duplicate, from whatever
// connection. It ends when the stream is closed, or the gateway does not want its
// till back.
func (s *stream) Read() ([]byte, error) {
	for {
		s.mu.Lock()
		conn := s.conn
		s.mu.Unlock()
		message, err := conn.Read()
		if err == nil {
			see(s.trace, &s.tracing, false, message)
			if s.fresh(message) {
				return message, nil
			}
			continue
		}
		if err := s.redial(err); err != nil {
			s.end(err)
			return nil, err
		}
	}
}

// fresh counts a message, and reports whether it is for the calls: neither one
// that came before, nor one about the stream itself.
func (s *stream) fresh(message []byte) bool {
	m := wire.DecodeNumbered(message)
	if m.Seq == 0 {
		return true // for the peer to judge
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	missed := s.begun && m.Seq > s.last+1
	if s.begun && m.Seq <= s.last {
		return false
	}
	s.begun, s.last = true, m.Seq
	own := m.Unasked
	switch {
	case m.FirstKept > 0:
		missed = true
	case own && m.Code == jsonrpc.InvalidRequest && m.Pointer == "/id":
		s.clashes++ // and nobody knows which call it was
		missed = true
	case own && m.Code == int(ErrUnexpectedResponse) && s.again > 0:
		s.again--
	default:
		own = false
	}
	if missed {
		s.gaps++
		s.move()
	}
	return !own
}

// move has the calls look what became of them. s.mu is held.
func (s *stream) move() {
	s.turns++
	close(s.turn)
	s.turn = make(chan struct{})
}

// redial opens the next connection of the stream, as often as it takes. The error
// says why there will be none.
func (s *stream) redial(lost error) error {
	s.mu.Lock()
	s.keeper.Stop()
	s.up = make(chan struct{})
	away := s.away
	if s.short++; time.Since(s.opened) >= firstPause {
		s.short = 0
	}
	pause := afterShort(s.short)
	s.mu.Unlock()
	if e, ok := errors.AsType[*ws.CloseError](lost); s.ctx.Err() != nil || ok && !resumable(e.Code) {
		return lost
	}
	tooLong := time.AfterFunc(awayLimit, func() { close(away) })
	defer tooLong.Stop()
	for {
		if err := s.pause(pause); err != nil {
			return lost
		}
		pause = min(max(2*pause, firstPause), lastPause)
		conn, keeper, granted, err := s.options.dialGranted(s.ctx, s.since())
		if refused, ok := errors.AsType[*RefusedError](err); ok {
			if refused.Status < http.StatusTooManyRequests {
				return refused
			}
			pause = max(pause, min(refused.RetryAfter, lastPause))
		}
		if err != nil {
			continue
		}
		if !streams(granted) {
			keeper.Stop()
			_ = conn.Close(ws.Normal, "")
			return lost // there is another gateway now
		}
		s.goOn(conn, keeper, !tooLong.Stop())
		return nil
	}
}

// afterShort is how long to wait before the next connection, where so many were
// lost at once after they were opened: one is an accident, a second bad luck.
func afterShort(short int) time.Duration {
	const accidents, most = 2, 8 // doublings
	if short <= accidents {
		return 0
	}
	return min(firstPause<<min(short-accidents-1, most), lastPause)
}

// resumable reports whether a stream goes on after a connection that was closed
// with that code: not where either end found fault with the other, nor where the
// gateway wants it gone.
func resumable(code ws.Code) bool {
	switch code {
	case ws.Policy, ws.Protocol, ws.Unsupported, ws.InvalidData, ws.TooBig:
		return false
	default:
		return true
	}
}

// pause waits, a little more or less than it is told so that tills do not come
// back all at once.
func (s *stream) pause(d time.Duration) error {
	if d > 0 {
		d = d/2 + rand.N(d)
	}
	select {
	case <-s.ctx.Done():
		return s.ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// since is the address that takes the stream up.
func (s *stream) since() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.begun {
		return s.address
	}
	return s.address + "&since=" + strconv.FormatInt(s.last, 10)
}

// goOn makes a connection the stream's own. TooLong says that the one before was
// lost for as long as calls wait.
func (s *stream) goOn(conn *ws.Conn, keeper *ws.Keeper, tooLong bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn, s.keeper, s.opened = conn, keeper, time.Now()
	if tooLong {
		s.away = make(chan struct{})
	}
	if !s.begun {
		s.gaps++ // nothing could be asked for
	}
	for _, a := range s.answers { // the gateway may not have them
		s.again++
		s.deliver(a)
	}
	close(s.up)
	s.move()
	if s.ctx.Err() != nil { // Close has closed the one before
		conn.StartClose(ws.Normal, "")
	}
}

// Send sends a message on the connection that there is. That it is lost with it
// is no error: what matters is asked about, or sent again.
func (s *stream) Send(message []byte) error {
	see(s.trace, &s.tracing, true, message)
	m, fault := jsonrpc.Decode(message)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	if fault == nil && (m.Kind == jsonrpc.Response || m.Kind == jsonrpc.ErrorResponse) {
		a := &sentAnswer{message: slices.Clone(message)}
		s.answers = append(s.answers, a)
		s.deliver(a)
		return nil
	}
	_ = s.conn.Send(message)
	return nil
}

// deliver sends an answer, and forgets it once the pong to a ping behind it has
// come. s.mu is held.
func (s *stream) deliver(a *sentAnswer) {
	if s.conn.Send(a.message) != nil {
		return // with the next connection
	}
	_ = s.conn.Ping(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.answers = slices.DeleteFunc(s.answers, func(other *sentAnswer) bool { return other == a })
	})
}

// Close ends the stream on this side.
func (s *stream) Close() error {
	s.cancel()
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	return conn.Close(ws.Normal, "")
}

// StartClose ends the stream for something that is wrong with it.
func (s *stream) StartClose(code ws.Code, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn.StartClose(code, reason)
}

// end notes that there will be no connection any more.
func (s *stream) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	s.cancel()
	close(s.done)
}

// Done is closed when the stream has ended.
func (s *stream) Done() <-chan struct{} { return s.done }

// Err says why it has; nil before.
func (s *stream) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// A view is a stream as a call sees it at one moment.
type view struct {
	turn, away <-chan struct{}
	turns      int
	gaps       int
	clashes    int
}

func (s *stream) view() view {
	s.mu.Lock()
	defer s.mu.Unlock()
	return view{turn: s.turn, away: s.away, turns: s.turns, gaps: s.gaps, clashes: s.clashes}
}

// ready waits for a connection, as long as a blip takes.
func (s *stream) ready(ctx context.Context) error {
	s.mu.Lock()
	up := s.up
	s.mu.Unlock()
	select {
	case <-up:
		return nil
	case <-s.done:
		return closed(s.Err())
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(deliverLimit):
		return errAway
	}
}

// id numbers the calls of a stream.
func (s *stream) id() jsonrpc.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nextID = s.nextID%jsonrpc.MaxID + 1
	return s.nextID
}

var errAway = errors.New("there is no connection to the gateway at the moment")
