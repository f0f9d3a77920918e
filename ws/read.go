package ws

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// growth is how much memory is taken for bytes that the peer has announced but
// not sent yet. Beyond it a message grows only as it arrives.
const growth = 32 << 10

// Read returns the next text message, which is the caller's to keep. Pings are
// answered and pongs taken in along the way. The error, once there is one, is
// a *CloseError and stays.
//
// Call it from one goroutine, and always again: nobody else reads.
func (c *Conn) Read() ([]byte, error) { return c.read(false) }

// read is Read. If the goroutine is worn it may return errFresh.
func (c *Conn) read(worn bool) ([]byte, error) {
	c.acquire()
	defer c.release()
	for {
		if err := c.over(); err != nil {
			return nil, err
		}
		// The wait for a message happens here, on as little stack as can be:
		// it is where idle connections are.
		if len(c.ahead) == 0 {
			if err := c.fill(); err != nil {
				return nil, err
			}
		}
		msg, err := c.next(worn)
		if err != nil {
			return nil, err
		}
		c.mu.Lock()
		closing := c.closing
		c.mu.Unlock()
		if !closing { // after our close frame nothing is delivered any more
			if h := c.opt.hooks; h != nil && h.tap != nil {
				h.tap(false, msg)
			}
			return msg, nil
		}
	}
}

// acquire waits for the read side. It waits on a channel, made only if
// somebody must wait, since a goroutine that waits for a mutex would stop the
// fake clock of tests.
func (c *Conn) acquire() {
	for {
		c.mu.Lock()
		if !c.reading {
			c.reading = true
			c.mu.Unlock()
			return
		}
		if c.free == nil {
			c.free = make(chan struct{})
		}
		free := c.free
		c.mu.Unlock()
		<-free
	}
}

func (c *Conn) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading = false
	if c.free != nil {
		close(c.free)
		c.free = nil
	}
}

// errFresh is not an error: the goroutine that serves should be a fresh one.
var errFresh = errors.New("")

// A Handler has what a connection that is served brings.
type Handler interface {
	// Receive gets each message in turn; the next one is read when it returns.
	Receive(msg []byte)
	// Ended is called last, with the reason for the end.
	Ended(err error)
}

// Serve reads on goroutines of its own, and returns at once.
//
// It is the way for a server with many connections. What a handler does makes
// the stack of its goroutine grow, and a stack does not shrink again while the
// goroutine waits: so when a connection has been idle long enough to answer a
// ping, a fresh goroutine takes over the wait. Nothing else may call Read.
func (c *Conn) Serve(h Handler) { go c.serve(h) }

func (c *Conn) serve(h Handler) {
	for worn := false; ; worn = true {
		switch msg, err := c.read(worn); err {
		case nil:
			h.Receive(msg)
		case errFresh:
			go c.serve(h)
			return
		default:
			h.Ended(err)
			return
		}
	}
}

// over says why nothing more can be read, if so.
func (c *Conn) over() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.remoteDone || c.broken {
		return c.err
	}
	return nil
}

// fill reads ahead what the network has.
func (c *Conn) fill() error {
	n, err := c.nc.Read(c.in[:])
	if n == 0 && err != nil {
		return c.lost(err)
	}
	c.seen.Store(int64(time.Since(c.born)))
	c.ahead = c.in[:n] // an error with it comes back with the next read
	return nil
}

// next reads one whole message, for whoever has the read side.
func (c *Conn) next(worn bool) ([]byte, error) {
	if err := c.over(); err != nil {
		return nil, err
	}
	state := ws.StateServerSide
	if c.role == Client {
		state = ws.StateClientSide
	}
	var msg []byte // no memory before a header has come
	for {
		h, err := ws.ReadHeaderBuffer((*source)(c), c.hdr[:])
		switch {
		case errors.Is(err, ws.ErrHeaderLengthMSB):
			return nil, c.fail(Protocol, "a length must not have its top bit set")
		case err != nil:
			return nil, c.lost(err)
		}
		if err := ws.CheckHeader(h, state); err != nil {
			return nil, c.fail(Protocol, err.Error())
		}
		if err := c.tooLate(); err != nil {
			return nil, err
		}
		if h.OpCode.IsControl() {
			if err := c.control(h); err != nil {
				return nil, err
			}
			if worn && h.OpCode == ws.OpPong && !state.Fragmented() && len(c.ahead) == 0 {
				return nil, errFresh
			}
			continue
		}
		if h.OpCode == ws.OpBinary {
			return nil, c.fail(Unsupported, "text messages only")
		}
		if h.Length > c.opt.maxMessage-int64(len(msg)) {
			return nil, c.fail(TooBig, fmt.Sprintf("a message may have %d bytes", c.opt.maxMessage))
		}
		if msg, err = c.payload(msg, h); err != nil {
			return nil, c.lost(err)
		}
		if !h.Fin {
			state = state.Set(ws.StateFragmented)
			continue
		}
		if !utf8.Valid(msg) {
			return nil, c.fail(InvalidData, "text must be UTF-8")
		}
		if msg == nil {
			msg = []byte{}
		}
		return msg, nil
	}
}

// maxLate is how many frames are read after our close frame was queued. A peer
// may have that many on their way; one that sends on and on is not heard out.
const maxLate = 1 << 16

// tooLate counts the frames that come after our close.
func (c *Conn) tooLate() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closing {
		return nil
	}
	if c.late++; c.late > maxLate {
		c.broken = true
		return c.err
	}
	return nil
}

// payload appends the frame's payload to dst, unmasked.
func (c *Conn) payload(dst []byte, h ws.Header) ([]byte, error) {
	start := len(dst)
	for left := int(h.Length); left > 0; {
		n := min(left, max(growth, len(dst)))
		dst = slices.Grow(dst, n)
		end := len(dst) + n
		if _, err := io.ReadFull((*source)(c), dst[len(dst):end]); err != nil {
			return nil, err
		}
		dst = dst[:end]
		left -= n
	}
	if h.Masked {
		ws.Cipher(dst[start:], h.Mask, 0)
	}
	return dst, nil
}

// control handles a control frame whose header has been checked.
func (c *Conn) control(h ws.Header) error {
	body, err := c.payload(nil, h)
	if err != nil {
		return c.lost(err)
	}
	switch h.OpCode {
	case ws.OpPing:
		// A peer that pings without reading fills the queue and is cut off.
		answer := func() { _ = c.push(ws.OpPong, body) }
		if h := c.opt.hooks; h != nil && h.pinged != nil {
			h.pinged(answer)
		} else {
			answer()
		}
	case ws.OpPong:
		c.pong(body)
	case ws.OpClose:
		return c.peerCloses(body)
	}
	return nil
}

// peerCloses takes the peer's close frame and answers it.
func (c *Conn) peerCloses(body []byte) error {
	why := &CloseError{Code: NoStatus, Remote: true}
	switch {
	case len(body) == 1:
		return c.fail(Protocol, "a close code has two bytes")
	case len(body) > 1:
		why.Code = Code(binary.BigEndian.Uint16(body))
		why.Reason = string(body[2:])
		if !why.Code.onWire() {
			return c.fail(Protocol, fmt.Sprintf("close code %d must not be sent", why.Code))
		}
		if !utf8.ValidString(why.Reason) {
			return c.fail(InvalidData, "a close reason must be UTF-8")
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remoteDone = true
	c.startClose(why)
	return c.err
}

// lost ends the connection because the network did.
func (c *Conn) lost(err error) error {
	c.end(&CloseError{Code: Abnormal, Reason: "connection lost", Remote: true, Err: err})
	return c.Err()
}

// source reads what the connection has read ahead, then the network.
type source Conn

func (s *source) Read(p []byte) (int, error) {
	if len(s.ahead) == 0 {
		into := s.in[:]
		direct := len(p) >= len(into)
		if direct {
			into = p
		}
		n, err := s.nc.Read(into)
		if n > 0 {
			s.seen.Store(int64(time.Since(s.born)))
		}
		if direct || n == 0 {
			return n, err
		}
		s.ahead = s.in[:n] // an error with it comes back with the next Read
	}
	n := copy(p, s.ahead)
	if s.ahead = s.ahead[n:]; len(s.ahead) == 0 {
		s.ahead = nil // lets go of the upgrade request's bytes
	}
	return n, nil
}

// maxProbes bounds how many pings may wait for their pong.
const maxProbes = 256

// A probe waits for the pong of one ping.
type probe struct {
	number   uint32
	answered func()
}

// Ping sends a ping. answered, if not nil, is called once when the peer has
// answered it: by then the peer's WebSocket has also received every message
// sent before. A pong to a later ping counts, as RFC 6455, section 5.5.3, lets
// a peer answer the newest only. If the connection ends first, answered is
// never called. It runs on the reading goroutine and must not block.
//
// The payload is a number of this connection's own, so a pong nobody asked for
// answers nothing.
func (c *Conn) Ping(answered func()) error {
	c.mu.Lock()
	if answered != nil {
		if len(c.probes) >= maxProbes {
			c.mu.Unlock()
			return errors.New("too many pings wait for their answer")
		}
		// A refused or failing push leaves it behind; end drops it.
		c.probes = append(c.probes, probe{c.pings + 1, answered})
	}
	c.pings++
	var number [20]byte
	return c.pushLocked(ws.OpPing, strconv.AppendUint(number[:0], uint64(c.pings), 10))
}

func (c *Conn) pong(body []byte) {
	parsed, err := strconv.ParseUint(string(body), 10, 32)
	if err != nil {
		return // unsolicited pongs are allowed and mean nothing
	}
	number := uint32(parsed)
	c.mu.Lock()
	if number > c.pings {
		c.mu.Unlock()
		return
	}
	n := 0
	for n < len(c.probes) && c.probes[n].number <= number {
		n++
	}
	answered := c.probes[:n:n]
	if c.probes = c.probes[n:]; len(c.probes) == 0 {
		c.probes = nil
	}
	c.mu.Unlock()
	for _, p := range answered {
		p.answered()
	}
}
