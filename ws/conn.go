// Package ws carries a WebSocket (RFC 6455) as whole text messages, for the
// server and for the client side.
//
// It frames, masks, answers pings, checks every rule of the protocol, closes
// with the right code, and bounds all that a peer could make grow: the size of
// a message, the bytes queued for a peer that does not read, the time a write
// and a close may take. It knows nothing of what a message says, never
// compresses, never sends or takes binary messages, and keeps neither a
// goroutine nor a buffer of its own while a connection is idle: the one
// goroutine is the caller's, in [Conn.Read].
//
// The codes and limits are those of the contract, section 1 (Framing and
// Liveness). Frame and handshake primitives are those of github.com/gobwas/ws.
package ws

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Limits that hold where [Options] names none.
const (
	DefaultMaxMessage   = 1 << 20
	DefaultMaxQueue     = 1 << 20
	DefaultWriteTimeout = 10 * time.Second
	DefaultCloseTimeout = 5 * time.Second
)

// A Role is the side of the connection that we are.
type Role uint8

// The two sides. A client masks what it sends, a server must not.
const (
	Server Role = iota
	Client
)

// Options bounds one connection. The zero value means the defaults.
type Options struct {
	// MaxMessage is the largest message accepted, in bytes, fragments taken
	// together. A larger one closes the connection with TooBig before memory
	// is taken for it.
	MaxMessage int64
	// MaxQueue is how many bytes may wait for a peer that does not read: when
	// as many wait, one more message closes the connection with Policy. So
	// the most that is held is MaxQueue and one message.
	MaxQueue int
	// WriteTimeout is how long the peer may take nothing of what is written.
	WriteTimeout time.Duration
	// CloseTimeout is how long a close waits for the peer's part of it.
	CloseTimeout time.Duration
	// Answer is sent with the answer to an upgrade, on the server's side.
	Answer http.Header
	// Keeper pings the connection; nil means that nobody does.
	Keeper *Keeper
	// Busy, asked by the Keeper when its pings stay unanswered, says whether
	// the connection must live on all the same: a card transaction of it runs.
	// It must not block.
	Busy func() bool
	// Tap is told of each text message in the order of the wire: of one that
	// is sent when it is queued, of one that came when Read returns it. The
	// bytes are not its to keep or to change, and it must not block or call the
	// connection: a lock is held. Nil costs a comparison.
	Tap func(sent bool, msg []byte)
	// Pinged, if not nil, is given each ping of the peer in place of its answer,
	// which is sent when answer is called: for who hands pings on. It is called
	// on the reading goroutine and must not block.
	Pinged func(answer func())
}

func (o *Options) fill() {
	if o.MaxMessage <= 0 {
		o.MaxMessage = DefaultMaxMessage
	}
	if o.MaxQueue <= 0 {
		o.MaxQueue = DefaultMaxQueue
	}
	if o.WriteTimeout <= 0 {
		o.WriteTimeout = DefaultWriteTimeout
	}
	if o.CloseTimeout <= 0 {
		o.CloseTimeout = DefaultCloseTimeout
	}
}

// bounds are what a connection keeps of its Options.
type bounds struct {
	maxMessage                 int64
	maxQueue                   int
	writeTimeout, closeTimeout time.Duration
	keeper                     *Keeper
	busy                       func() bool
	hooks                      *hooks // nil where there are none
}

// hooks are what somebody wants to be told.
type hooks struct {
	tap    func(sent bool, msg []byte)
	pinged func(answer func())
}

func (o Options) hooks() *hooks {
	if o.Tap == nil && o.Pinged == nil {
		return nil
	}
	return &hooks{o.Tap, o.Pinged}
}

// readAhead is the buffer each connection owns for reading. It takes a typical
// request with its header in one system call, and lets a Conn fit the allocator's
// size of 416 bytes. Larger messages are read straight into the caller's slice.
const readAhead = 136

// A Conn is one WebSocket. One goroutine reads; every other method may be
// called by any number of goroutines.
//
// mu guards the queue and the state and is held for moments only. The read
// side belongs to whoever has set reading (see acquire).
type Conn struct {
	nc   net.Conn
	opt  bounds
	born time.Time
	seen atomic.Int64 // last byte from the peer, as time since born

	// The read side.
	ahead []byte // read but not consumed yet: of the upgrade request, or of in
	in    [readAhead]byte
	hdr   [12]byte
	role  Role
	offer bool // nc can be written to without blocking

	mu         sync.Mutex
	out        []byte // whole frames that wait
	inflight   int    // bytes being written
	reading    bool   // somebody has the read side
	flushing   bool   // somebody writes; all others only queue
	closing    bool   // the close frame is queued, nothing follows it
	ended      bool   // the network connection is being closed
	gone       bool   // and now it is closed
	remoteDone bool   // the peer's close frame has come
	broken     bool   // the peer's frames cannot be followed any more
	late       int32  // frames that came after our close
	pings      uint32 // number of the last ping sent
	err        *CloseError
	closeBy    time.Duration // when a close gives up writing, since born
	room       chan struct{} // closed when the queue has room again; nil if nobody waits
	free       chan struct{} // closed when the read side is free; nil if nobody waits
	done       chan struct{} // made when first asked for
	probes     []probe       // pings whose sender wants to hear of the pong

	keep keepState // the Keeper's, under its lock
}

// New makes a connection of nc, on which the upgrade has been done (or needs
// none: a pipe in a test). From here on nc belongs to the connection.
func New(nc net.Conn, role Role, o Options) *Conn {
	return newConn(nc, role, o, nil)
}

func newConn(nc net.Conn, role Role, o Options, ahead []byte) *Conn {
	o.fill()
	c := &Conn{
		nc: nc, offer: canOffer && rawOf(nc) != nil, role: role, born: time.Now(), ahead: ahead,
		opt: bounds{o.MaxMessage, o.MaxQueue, o.WriteTimeout, o.CloseTimeout, o.Keeper, o.Busy, o.hooks()},
	}
	if o.Keeper != nil {
		o.Keeper.add(c)
	}
	return c
}

// RemoteAddr is the peer's network address.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// LastSeen is when the peer last sent anything at all.
func (c *Conn) LastSeen() time.Time { return c.born.Add(time.Duration(c.seen.Load())) }

// Err says why the connection ended or is ending; nil while it is open.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		return nil
	}
	return c.err
}

// Done is closed once the network connection is closed and nothing more will
// be read or written.
func (c *Conn) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.gone {
			close(c.done)
		}
	}
	return c.done
}

// end closes the network connection, for the reason given unless there was one
// before. It never blocks.
func (c *Conn) end(why *CloseError) {
	c.mu.Lock()
	if c.err == nil {
		c.err = why
	}
	if c.ended {
		c.mu.Unlock()
		return
	}
	c.ended = true
	c.closing = true
	c.out = nil
	c.probes = nil
	c.makeRoom()
	c.mu.Unlock()

	// tls.Conn.Close would first say goodbye, and wait for a peer that does
	// not read; our own CloseWrite has said it where there was time.
	if t, ok := c.nc.(*tls.Conn); ok {
		_ = t.NetConn().Close()
	} else {
		_ = c.nc.Close()
	}
	if c.opt.keeper != nil {
		c.opt.keeper.remove(c)
	}

	c.mu.Lock()
	c.gone = true
	if c.done != nil {
		close(c.done)
	}
	c.mu.Unlock()
}
