package epos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/wire"
	"github.com/tillwire/tillwire/ws"
)

// A Client is a connection to a gateway. Its methods may be called by many
// goroutines at once.
type Client struct {
	carrier carrier
	stream  *stream // the carrier where it is one; else nil
	peer    *jsonrpc.Peer
	version wire.Version
	handler Handler
	events  *events
	granted []string // extensions, by name

	ctx  context.Context // ends with the connection
	done chan struct{}

	mu           sync.Mutex
	transactions []*transaction // that wait for their end, in the order in which they were asked for
}

// A carrier is what a client talks over: one connection, or a stream of them.
type carrier interface {
	jsonrpc.Channel
	StartClose(code ws.Code, reason string)
	Done() <-chan struct{}
	Err() error
}

// newClient takes over a connection, with the extensions that are granted on it,
// and the keeper that pings it.
func newClient(conn *ws.Conn, keeper *ws.Keeper, v wire.Version, h Handler, granted ...string) *Client {
	c := &Client{version: v, handler: h, granted: granted}
	c.talk(&channel{Conn: conn, trace: h.Trace}, keeper.Stop)
	return c
}

// newStreamClient is newClient for a connection that begins a stream.
func newStreamClient(s *stream, v wire.Version, h Handler, granted ...string) *Client {
	c := &Client{stream: s, version: v, handler: h, granted: granted}
	c.talk(s, func() {})
	return c
}

// talk begins to talk over a carrier, and calls over when that has ended.
func (c *Client) talk(l carrier, over func()) {
	var cancel context.CancelFunc
	c.carrier, c.done = l, make(chan struct{})
	c.ctx, cancel = context.WithCancel(context.Background())
	c.events = newEvents(c.ctx.Done())
	c.peer = jsonrpc.NewPeer(l, jsonrpc.Handler{Request: c.serve, Notification: c.notified, Stray: c.stray})
	go func() {
		defer close(c.done)
		<-l.Done()
		cancel()
		over()
	}()
}

// A channel is a WebSocket as the peer wants it.
type channel struct {
	*ws.Conn
	trace   func(sent bool, message []byte) // may be nil
	tracing sync.Mutex
}

func (c *channel) Read() ([]byte, error) {
	message, err := c.Conn.Read()
	if err == nil {
		see(c.trace, &c.tracing, false, message)
	}
	return message, err
}

func (c *channel) Send(message []byte) error {
	see(c.trace, &c.tracing, true, message) // before the answer can be seen
	return c.Conn.Send(message)
}

func (c *channel) Close() error { return c.Conn.Close(ws.Normal, "") }

// see shows a message to who traces, if somebody does.
func see(trace func(sent bool, message []byte), one *sync.Mutex, sent bool, message []byte) {
	if trace == nil {
		return
	}
	one.Lock()
	defer one.Unlock()
	trace(sent, message)
}

// Extensions lists the extensions that the gateway has granted on this
// connection. It is empty where it knows none, or where none was asked for.
func (c *Client) Extensions() []string { return slices.Clone(c.granted) }

func (c *Client) has(extension string) bool { return slices.Contains(c.granted, extension) }

// Close ends the connection. Transactions that run go on without the till, and
// their calls end with an *OutcomeUnknownError. The error is always nil: whether
// the gateway took part in the close is of no consequence.
func (c *Client) Close() error {
	_ = c.peer.Close()
	<-c.done
	return nil
}

// Done is closed when the connection has ended, for whatever reason.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err says why the connection has ended, as a *ClosedError. It is nil until Done
// is closed. Of a stream that the gateway did not take up again it is a
// *RefusedError.
func (c *Client) Err() error {
	select {
	case <-c.done:
		return closed(c.carrier.Err())
	default:
		return nil
	}
}

// closed makes what a till sees of the end of a connection.
func closed(err error) error {
	if e, ok := errors.AsType[*ws.CloseError](err); ok {
		return &ClosedError{Code: int(e.Code), Reason: e.Reason, err: e.Err}
	}
	return err
}

// call sends a request and waits for its result, which is JSON. The error is an
// *Error, or wraps errNotSent, or leaves open whether the request was carried
// out.
func (c *Client) call(ctx context.Context, method string, m wire.Message) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", errNotSent, err)
	}
	if err := c.Err(); err != nil { // the peer may not have noticed yet
		return nil, fmt.Errorf("%w: %w", errNotSent, err)
	}
	if err := c.peer.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", errNotSent, closed(err))
	}
	if c.stream != nil {
		return c.carry(ctx, method, m)
	}
	return c.send(ctx, method, m)
}

// send is call on whatever connection there is now.
func (c *Client) send(ctx context.Context, method string, m wire.Message) ([]byte, error) {
	var params any
	if m != nil {
		params = wire.Encode(c.version, m)
	}
	var result wire.Raw
	err := c.request(ctx, method, params, &result)
	if err == nil {
		return result, nil
	}
	if e, ok := errors.AsType[*jsonrpc.Error](err); ok {
		return nil, errorOf(e)
	}
	if lost, ok := errors.AsType[*ws.CloseError](err); ok {
		return nil, closed(lost)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, err
}

// request numbers a request. In a stream an earlier run of this till may have
// left requests open, so that its numbers do not begin at 1.
func (c *Client) request(ctx context.Context, method string, params, result any) error {
	if c.stream == nil {
		return c.peer.Call(ctx, method, params, result)
	}
	for {
		err := c.peer.CallWithID(ctx, c.stream.id(), method, params, result)
		if !errors.Is(err, jsonrpc.ErrIDInFlight) {
			return err
		}
	}
}

// about says in an error which call it ends. An *Error and a *RefusedError stand
// for themselves.
func about(method string, err error) error {
	if e, ok := errors.AsType[*RefusedError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return fmt.Errorf("epos: %s: %w", method, err)
}

func errorOf(e *jsonrpc.Error) *Error {
	data := wire.DecodeErrorData(e.Data)
	return &Error{
		Code: Code(e.Code), Message: e.Message, UserMessage: e.UserMessage,
		Pointer: data.Pointer, Rule: data.Rule, Docs: data.Docs,
	}
}

// notified takes a notification of the gateway. It runs on the goroutine that
// reads.
func (c *Client) notified(method string, params wire.Raw) {
	switch method {
	case wire.MethodTerminalNotification:
	case wire.MethodTransactionCorrected:
		c.corrected(params)
		return
	default:
		return // one that this version of the library does not know
	}
	n, err := wire.DecodeTerminalNotification(params)
	if err != nil {
		return // progress only: nothing depends on it
	}
	tid := TID(n.TID)
	if f := c.on(tid).handler.Notification; f != nil {
		c.events.add(func() { f(tid, Notification(n.NotificationValue)) })
	}
}

// stray takes what ends no call. It runs on the goroutine that reads.
func (c *Client) stray(err error) {
	if e, ok := errors.AsType[*jsonrpc.Error](err); ok {
		if f := c.handler.Error; f != nil {
			c.events.add(func() { f(errorOf(e)) })
		}
		return
	}
	if _, ok := errors.AsType[*jsonrpc.Fault](err); ok {
		// What cannot be read may have been an answer, and its call would wait
		// for ever. The end of the connection ends it as not known.
		c.carrier.StartClose(ws.Protocol, "a message that cannot be read")
	}
}
