package ws

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/gobwas/ws"
)

// chunk is how much is written under one deadline, so that a slow line that
// moves is not taken for a peer that does not read.
const chunk = 64 << 10

// Send queues one text message and keeps a copy, not msg itself. It never
// waits for the peer. Messages arrive in the order of the calls. If the peer
// has left so much unread that MaxQueue bytes wait already, the connection
// closes with Policy.
//
// A nil error means queued, not received; see Ping. msg must be UTF-8.
func (c *Conn) Send(msg []byte) error {
	return c.push(ws.OpText, msg)
}

// Room returns when less than half of MaxQueue waits to be written. A reader
// that answers what it reads calls it before each Read, so that a peer which
// asks without listening slows down itself and nobody else. It waits no longer
// than WriteTimeout, then closes the connection with Policy.
func (c *Conn) Room(ctx context.Context) error {
	var limit *time.Timer
	for {
		c.mu.Lock()
		if c.err != nil {
			defer c.mu.Unlock()
			return c.err
		}
		if c.queued() < (c.opt.maxQueue+1)/2 {
			c.mu.Unlock()
			return nil
		}
		if c.room == nil {
			c.room = make(chan struct{})
		}
		room := c.room
		c.mu.Unlock()

		if limit == nil {
			limit = time.NewTimer(c.opt.writeTimeout)
			defer limit.Stop()
		}
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.C:
			c.mu.Lock()
			defer c.mu.Unlock()
			c.startClose(notReading(nil))
			return c.err
		}
	}
}

func notReading(err error) *CloseError {
	return &CloseError{Code: Policy, Reason: "not reading", Err: err}
}

// queued is what has not been handed to the network yet. mu is held.
func (c *Conn) queued() int { return len(c.out) + c.inflight }

// makeRoom wakes those in Room. mu is held.
func (c *Conn) makeRoom() {
	if c.room != nil && (c.closing || c.queued() < (c.opt.maxQueue+1)/2) {
		close(c.room)
		c.room = nil
	}
}

func (c *Conn) push(op ws.OpCode, payload []byte) error {
	c.mu.Lock()
	return c.pushLocked(op, payload)
}

// pushLocked queues a frame and sees that it is written. It takes over mu,
// which is held, and releases it.
//
// If nobody writes at the moment, the caller itself offers the frame to the
// network, which takes it or not but never waits: no goroutine wakes for a
// message in the ordinary case. What is not taken is left to flush.
func (c *Conn) pushLocked(op ws.OpCode, payload []byte) error {
	if c.closing {
		defer c.mu.Unlock()
		return c.err
	}
	if c.queued() >= c.opt.maxQueue {
		defer c.mu.Unlock()
		c.startClose(notReading(nil))
		return c.err
	}
	if h := c.opt.hooks; h != nil && h.tap != nil && op == ws.OpText {
		h.tap(true, payload)
	}
	if c.flushing {
		c.out = c.appendFrame(c.out, op, payload)
		c.mu.Unlock()
		return nil
	}
	frame := c.appendFrame(nil, op, payload)
	c.flushing = true
	c.inflight = len(frame)
	if !c.offer {
		c.mu.Unlock()
		go c.flush(frame)
		return nil
	}
	c.mu.Unlock()

	n, err := offer(rawOf(c.nc), frame)
	if err != nil {
		return c.lost(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inflight -= n
	c.makeRoom()
	if n == len(frame) && len(c.out) == 0 {
		c.flushing = false
		return nil
	}
	go c.flush(frame[n:])
	return nil
}

// appendFrame appends a whole frame, masked if we are the client.
func (c *Conn) appendFrame(dst []byte, op ws.OpCode, payload []byte) []byte {
	n := len(payload)
	if dst == nil {
		dst = make([]byte, 0, n+ws.MaxHeaderSize)
	}
	const fin, masked = 0x80, 0x80
	var mask byte
	if c.role == Client {
		mask = masked
	}
	dst = append(dst, fin|byte(op))
	switch {
	case n <= 125:
		dst = append(dst, mask|byte(n))
	case n <= 0xffff:
		dst = binary.BigEndian.AppendUint16(append(dst, mask|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, mask|127), uint64(n))
	}
	if c.role == Client {
		m := ws.NewMask()
		dst = append(dst, m[:]...)
		dst = append(dst, payload...)
		ws.Cipher(dst[len(dst)-n:], m, 0)
		return dst
	}
	return append(dst, payload...)
}

// flush writes buf and then the queue until it is empty, several messages at a
// time if they wait. It runs only while there is something to write, and sees
// a close through to its end.
func (c *Conn) flush(buf []byte) {
	var spare []byte
	for {
		if !c.write(buf) {
			return
		}
		if cap(buf) <= chunk {
			spare = buf[:0]
		}
		c.mu.Lock()
		switch {
		case c.ended:
			c.mu.Unlock()
			return
		case len(c.out) > 0:
			buf, c.out, spare = c.out, spare, nil
			c.inflight = len(buf)
			c.mu.Unlock()
		case c.closing:
			c.mu.Unlock()
			c.finish()
			return
		default:
			c.out = nil
			c.flushing = false
			_ = c.nc.SetWriteDeadline(time.Time{}) // a past one would stop the next offer
			c.mu.Unlock()
			return
		}
	}
}

// write writes all of buf, or ends the connection and returns false.
func (c *Conn) write(buf []byte) bool {
	for len(buf) > 0 {
		by := time.Now().Add(c.opt.writeTimeout)
		c.mu.Lock()
		if c.closing {
			if last := c.born.Add(c.closeBy); last.Before(by) {
				by = last
			}
		}
		c.mu.Unlock()
		_ = c.nc.SetWriteDeadline(by)
		n, err := c.nc.Write(buf[:min(len(buf), chunk)])
		if err != nil {
			if t, ok := err.(net.Error); ok && t.Timeout() {
				c.end(notReading(err))
			} else {
				_ = c.lost(fmt.Errorf("writing: %w", err))
			}
			return false
		}
		buf = buf[n:]
		c.mu.Lock()
		c.inflight -= n
		c.makeRoom()
		c.mu.Unlock()
	}
	return true
}

// rawOf is the way to write to nc without blocking, or nil. TLS and in-memory
// connections have none: for them each burst of messages has its goroutine. It is
// made for each write, since the many that idle would have to keep it.
func rawOf(nc net.Conn) syscall.RawConn {
	t, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}
