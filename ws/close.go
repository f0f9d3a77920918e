package ws

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// A Code is a close code of RFC 6455, section 7.4.
type Code uint16

// The close codes used here.
const (
	Normal      Code = 1000
	GoingAway   Code = 1001 // the server stops, or the peer was found dead
	Protocol    Code = 1002 // the peer broke the framing rules
	Unsupported Code = 1003 // a binary message
	NoStatus    Code = 1005 // never sent: the peer's close frame had no code
	Abnormal    Code = 1006 // never sent: the connection ended without a close frame
	InvalidData Code = 1007 // text that is not UTF-8
	Policy      Code = 1008 // a peer that does not read, a revoked key, a takeover
	TooBig      Code = 1009 // a message over the limit
	Internal    Code = 1011
)

// onWire says whether a close frame may bear the code.
func (c Code) onWire() bool {
	switch {
	case c >= 1000 && c <= 1003, c >= 1007 && c <= 1014, c >= 3000 && c <= 4999:
		return true
	}
	return false
}

// A CloseError says how a connection ended.
type CloseError struct {
	Code   Code
	Reason string
	Remote bool  // the peer ended it, or was lost
	Err    error // what the network said, if it said something
}

func (e *CloseError) Error() string {
	side := "closed"
	if e.Remote {
		side = "closed by the peer"
	}
	s := fmt.Sprintf("websocket %s: %d", side, e.Code)
	if e.Reason != "" {
		s += " " + e.Reason
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *CloseError) Unwrap() error { return e.Err }

// maxReason is what a close frame has room for beside its code.
const maxReason = ws.MaxControlFramePayloadSize - 2

// Close ends the connection by the book: what is queued is written, then a
// close frame, then our side is shut and the peer's answer awaited. Every step
// is bounded by Options. It returns when the connection is gone, nil if the
// peer took part in the close. Only the first close counts; later ones wait
// for it.
//
// A code that may not be sent becomes Normal; a reason is cut at 123 bytes.
func (c *Conn) Close(code Code, reason string) error {
	c.StartClose(code, reason)
	<-c.Done()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.remoteDone {
		return fmt.Errorf("the peer did not answer the close: %w", c.err)
	}
	return nil
}

// StartClose is Close without the wait, for callers that must not block.
func (c *Conn) StartClose(code Code, reason string) {
	if !code.onWire() {
		code = Normal
	}
	reason = strings.ToValidUTF8(reason, "?")
	if len(reason) > maxReason {
		cut := maxReason
		for !utf8.RuneStart(reason[cut]) {
			cut--
		}
		reason = reason[:cut]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.startClose(&CloseError{Code: code, Reason: reason})
}

// Abort drops the connection at once, with all that is queued.
func (c *Conn) Abort() {
	c.end(&CloseError{Code: Abnormal, Reason: "aborted"})
}

// startClose queues the close frame and sees that it is written. mu is held.
func (c *Conn) startClose(why *CloseError) {
	if c.closing {
		return
	}
	c.closing = true
	c.err = why
	c.closeBy = time.Since(c.born) + c.opt.writeTimeout
	c.makeRoom()
	var body []byte
	if why.Code != NoStatus {
		body = binary.BigEndian.AppendUint16(nil, uint16(why.Code))
		if !why.Remote { // an answer repeats the code only
			body = append(body, why.Reason...)
		}
	}
	c.out = c.appendFrame(c.out, ws.OpClose, body)
	if !c.flushing {
		c.flushing = true
		go c.flush(nil)
	}
	if !c.remoteDone && !c.broken {
		go c.hearOut() // a peer that is busy writing may not read before we do
	}
}

// hearOut reads until the peer's close frame, or until it cannot be had.
func (c *Conn) hearOut() {
	c.acquire()
	defer c.release()
	for err := error(nil); err == nil; {
		_, err = c.next(false)
	}
}

// fail ends the connection because of what the peer sent. The frames that
// follow are not looked at any more.
func (c *Conn) fail(code Code, reason string) *CloseError {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = true
	c.startClose(&CloseError{Code: code, Reason: reason})
	return c.err
}

// maxUnread is how many bytes of a peer that does not stop are thrown away
// before it is cut off without having heard why.
const maxUnread = 64 << 20

// finish follows the close frame: shut our side, hear the peer out for a
// bounded time, close. Closing earlier would let unread bytes turn into a
// reset that can overtake our close frame.
func (c *Conn) finish() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	ok = ok && half.CloseWrite() == nil
	_ = c.nc.SetReadDeadline(time.Now().Add(c.opt.closeTimeout))

	c.hearOut() // after a Read that waits: it sees the close, the end, or the deadline
	if ok {
		c.acquire()
		_, _ = io.CopyN(io.Discard, c.nc, maxUnread)
		c.release()
	}
	c.end(nil)
}
