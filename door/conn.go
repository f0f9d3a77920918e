package door

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/ws"
)

// A conn is one open connection, and the gateway.Conn of its session. There may
// be tens of thousands that idle, so it keeps nothing of the request that
// brought it and no goroutine but the one that reads.
type conn struct {
	door      *Door
	ws        *ws.Conn
	site, key string // public names, for the log
	remote    string
	tapped    TapLine // nil for none
	place     int     // among those inside; the door's

	// The session is there once opened is true: pings begin before.
	session session
	opened  atomic.Bool
}

// Send queues a message and never waits for the till. One that does not read
// is closed with 1008.
func (c *conn) Send(message []byte) error { return c.ws.Send(message) }

// Ping follows what was sent with a ping, and calls answered at its pong.
func (c *conn) Ping(answered func()) error { return c.ws.Ping(answered) }

// Close ends the connection by the book, without waiting for it.
func (c *conn) Close(code int, reason string) error {
	c.ws.StartClose(ws.Code(code), reason)
	return nil
}

// RemoteAddr is the till's address, through a proxy too.
func (c *conn) RemoteAddr() string { return c.remote }

// busy says that unanswered pings are no reason to close.
func (c *conn) busy() bool { return c.opened.Load() && c.session.Busy() }

// open begins the session.
func (c *conn) open(a admission) (err error) {
	defer c.rescue(&err)
	s, err := a.open(c)
	if err != nil {
		// Between its knock and now the site has filled up or the key was
		// revoked. It is too late for a status.
		code, reason := ws.Internal, "the gateway failed"
		if r, ok := errors.AsType[*gateway.Refusal](err); ok {
			code, reason = ws.Policy, r.UserMessage
		}
		c.ws.StartClose(code, reason)
		return &ws.CloseError{Code: code, Err: err}
	}
	c.session = s
	c.opened.Store(true)
	c.door.log.Info("connection opened", "site", c.site, "key", c.key, "remote", c.remote, "version", a.version)
	return nil
}

// lend has somebody else serve the connection of a terminal.
func (c *conn) lend(serve func(*ws.Conn)) {
	defer c.door.leave(c)
	c.door.log.Info("terminal connected", "site", c.site, "key", c.key, "remote", c.remote)
	func() {
		defer c.rescue(nil)
		serve(c.ws)
	}()
	c.ws.StartClose(ws.Normal, "") // where it returned before the end
	<-c.ws.Done()
	c.tapClosed()
	c.report("terminal", silenced(c.ws.Err()))
}

// Receive hands one message to the session.
func (c *conn) Receive(message []byte) {
	defer c.rescue(nil)
	c.session.Receive(message)
	// A till that asks without reading the answers waits here, and after a
	// while is closed.
	_ = c.ws.Room(context.Background())
}

// Ended sees the connection out: nothing more will be received.
func (c *conn) Ended(err error) {
	defer c.door.leave(c)
	why := silenced(err)
	if c.opened.Load() {
		c.tell(why)
	}
	<-c.ws.Done()
	c.tapClosed()
	c.report("till", why)
}

// silenced is the reason for the end without the words that the till put into
// its close frame: some software puts the text of an error there, URI and key
// included.
func silenced(err error) *ws.CloseError {
	closed, ok := errors.AsType[*ws.CloseError](err)
	if !ok {
		return &ws.CloseError{Code: ws.Internal, Err: err}
	}
	if closed.Remote && closed.Err == nil && closed.Reason != "" {
		quiet := *closed
		quiet.Reason = ""
		return &quiet
	}
	return closed
}

// tell says to the session that it is over.
func (c *conn) tell(why *ws.CloseError) {
	defer c.rescue(nil)
	c.session.Ended(why)
}

// rescue keeps a panic that one till has provoked from the others: its
// connection is closed with 1011, and *err says so if there is one.
func (c *conn) rescue(err *error) {
	p := recover()
	if p == nil {
		return
	}
	if err != nil {
		*err = fmt.Errorf("panic: %v", p)
	}
	c.door.log.Error("panic on a connection", "site", c.site, "key", c.key, "remote", c.remote, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	c.ws.StartClose(ws.Internal, "the gateway failed")
}

// report logs the end. A code of 1001 from the peer after a long quiet is one
// whose pings stayed unanswered.
func (c *conn) report(peer string, why *ws.CloseError) {
	by := "gateway"
	if why.Remote {
		by = peer
	}
	attrs := []any{"site", c.site, "key", c.key, "remote", c.remote, "code", int(why.Code), "by", by}
	if why.Reason != "" {
		attrs = append(attrs, "reason", why.Reason)
	}
	if why.Err != nil {
		attrs = append(attrs, "error", why.Err)
	}
	c.door.log.Info("connection closed", append(attrs, "quiet", time.Since(c.ws.LastSeen()).Round(time.Millisecond).String())...)
}
