package epos

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/wire"
	"github.com/tillwire/tillwire/ws"
)

// A tableLine is one connection of a tableServer.
type tableLine struct {
	*tableServer
	ch    *channel
	life  context.Context // ends with the connection, or when the till stops
	stop  context.Context // ends with the connection, or when the calls of a till that stops have ended
	slots chan struct{}

	mu      sync.Mutex
	closing bool
	running sync.WaitGroup // calls of this line; added to under mu, not once it is closing

	discontinued *Error // belongs to the goroutine that reads
}

// maxCalls is how many calls of one connection run or wait for their turn. With
// more, the gateway is not read from until one has ended.
const maxCalls = 64

// connect connects and serves until the connection ends, and says why it ended.
// When ctx ends, nothing more is taken in, and the connection is closed once
// what was taken in has been answered.
func (s *tableServer) connect(ctx context.Context, dial dialer) error {
	dialCtx, cancel := context.WithTimeout(ctx, dialLimit)
	conn, keeper, err := dial(dialCtx)
	cancel()
	if err != nil {
		return err
	}
	defer keeper.Stop()
	life, endLife := context.WithCancel(ctx)
	defer endLife()
	stop, endStop := context.WithCancel(context.WithoutCancel(ctx))
	defer endStop()
	l := &tableLine{
		tableServer: s, life: life, stop: stop, slots: make(chan struct{}, maxCalls),
		ch: &channel{Conn: conn, trace: s.Options.Handler.Trace},
	}
	s.tell(ConnectionState{Up: true})
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-conn.Done(): // lost while the reader waits for a call
		case <-ctx.Done():
			l.shut()
			_ = conn.Close(ws.Normal, "")
		}
		endLife()
		endStop()
	})
	err = l.read()
	watching.Wait()
	if l.discontinued != nil {
		return l.discontinued
	}
	return err
}

// shut takes in no more calls and returns when those that run have ended.
func (l *tableLine) shut() {
	l.mu.Lock()
	l.closing = true
	l.mu.Unlock()
	l.running.Wait()
}

// admit counts a call as running unless the line is closing.
func (l *tableLine) admit() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return false
	}
	l.running.Add(1)
	return true
}

func (l *tableLine) read() error {
	for {
		text, err := l.ch.Read()
		if err != nil {
			<-l.ch.Done()
			return closed(l.ch.Err())
		}
		if err := l.receive(text); err != nil {
			// Dropped, not closed: a line that is closed by the book still answers
			// that it is alive, and what was not dealt with must not count as
			// delivered.
			l.ch.Abort()
			<-l.ch.Done()
			return err
		}
	}
}

// receive takes one message. An error ends the connection.
func (l *tableLine) receive(text []byte) error {
	m, fault := jsonrpc.Decode(text)
	if fault != nil {
		// It may have been a notice, and the next one would make it look delivered.
		return fmt.Errorf("epos: a message of the gateway cannot be read: %s", fault.Message)
	}
	switch m.Kind {
	case jsonrpc.Request:
		l.request(m)
	case jsonrpc.Notification:
		return l.notification(m)
	case jsonrpc.ErrorResponse:
		e := errorOf(m.Error)
		if m.ID == jsonrpc.NoID && e.Code == ErrDiscontinued {
			l.discontinued = e
			l.ch.StartClose(ws.Normal, "")
			return nil
		}
		l.complained(e)
	case jsonrpc.Response: // this side asks nothing
	case jsonrpc.Invalid:
		panic("epos: an invalid message without a fault")
	}
	return nil
}

// request has a request answered. It returns once that has its place among the
// calls.
func (l *tableLine) request(m jsonrpc.Message) {
	c, err := l.callOf(m.Method, m.Params)
	switch {
	case err != nil:
		l.failed(m.Method, err)
		l.refuse(m.ID, &jsonrpc.Error{Code: jsonrpc.InvalidParams, Message: "Invalid params: " + err.Error()})
		return
	case c == nil:
		l.refuse(m.ID, &jsonrpc.Error{Code: jsonrpc.MethodNotFound, Message: "Method not found: " + m.Method})
		return
	}
	select {
	case l.slots <- struct{}{}:
	case <-l.stop.Done():
		return
	}
	l.begin(c, func(result wire.Message, err error) {
		l.answer(m.ID, c, result, err)
		<-l.slots
	})
}

// begin makes a call on a goroutine of its own, which says ended. It reports
// false, and makes none, if the line is closing.
func (l *tableLine) begin(c *call, ended func(wire.Message, error)) bool {
	if !l.admit() {
		return false
	}
	parent := l.life
	if c.notice { // a booking is not broken off because the line is
		parent = context.WithoutCancel(l.life)
	}
	ctx, cancel := context.WithTimeout(parent, c.limit)
	turn, done := closedChannel(), func() {}
	if c.about != "" {
		turn, done = l.orders.join(c.about)
	}
	l.calls.Go(func() {
		defer l.running.Done()
		defer cancel()
		defer done() // only now, so that the answers keep the order, too
		result, err := perform(ctx, c, turn)
		ended(result, err)
	})
	return true
}

func closedChannel() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// perform makes a call when its turn has come, if its time is not over by then.
func perform(ctx context.Context, c *call, turn <-chan struct{}) (wire.Message, error) {
	select {
	case <-turn:
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%w: its turn did not come in time", errLate)
	}
	result, err := c.do(ctx)
	switch {
	case c.notice || ctx.Err() == nil:
		return result, err
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errLate, err)
	}
	return nil, errLate
}

// answer sends what came of a call.
func (l *tableLine) answer(id jsonrpc.ID, c *call, result wire.Message, err error) {
	own, ok := errors.AsType[*Error](err)
	if err != nil && (!ok || c.notice || errors.Is(err, errLate)) {
		l.failed(c.method, err)
	}
	switch {
	case err != nil && c.notice:
		l.send(jsonrpc.AppendResult(nil, id, wire.Encode(l.version, wire.Recorded(false))))
	case errors.Is(err, errLate): // the gateway goes on without it
	case ok:
		code := own.Code
		if code == 0 {
			code = ErrInternal
		}
		l.refuse(id, &jsonrpc.Error{Code: int(code), Message: own.Message, UserMessage: own.UserMessage})
	case err != nil:
		l.refuse(id, &jsonrpc.Error{Code: jsonrpc.InternalError, Message: "Internal error", UserMessage: noAnswer})
	default:
		message, err := jsonrpc.AppendResult(nil, id, wire.Encode(l.version, result))
		if len(message) > ws.DefaultMaxMessage {
			l.failed(c.method, fmt.Errorf("epos: the handler's answer of %d bytes is too long to be sent", len(message)))
			l.refuse(id, &jsonrpc.Error{Code: jsonrpc.InternalError, Message: "Internal error: the answer is too long", UserMessage: noAnswer})
			return
		}
		l.send(message, err)
	}
}

// noAnswer is what a waiter reads when the handler has failed.
const noAnswer = "The till could not answer."

func (l *tableLine) refuse(id jsonrpc.ID, e *jsonrpc.Error) {
	l.send(jsonrpc.AppendError(nil, id, e))
}

// send sends a message if it could be made. A line that is lost is learnt of by
// its reader.
func (l *tableLine) send(message []byte, err error) {
	if err != nil {
		panic(fmt.Sprintf("epos: an answer cannot be encoded: %v", err))
	}
	_ = l.ch.Send(message)
}

// notification takes a notice that wants no answer. The gateway takes it for
// delivered when the line is seen to be alive after it, so nothing is read, and
// no ping answered, until it is dealt with. An error ends the connection before
// that, and the gateway will send the notice again.
func (l *tableLine) notification(m jsonrpc.Message) error {
	c, err := l.callOf(m.Method, m.Params)
	if c == nil || !c.notice {
		return nil // one that this version of the library does not know
	}
	if err != nil {
		l.failed(m.Method, err)
		return err
	}
	result := make(chan error, 1)
	begun := l.begin(c, func(_ wire.Message, err error) {
		if err != nil {
			l.failed(c.method, err)
		}
		result <- err
	})
	if !begun {
		return errStopping
	}
	late := time.NewTimer(c.limit)
	defer late.Stop()
	select {
	case err := <-result:
		if err != nil {
			return fmt.Errorf("epos: %s could not be dealt with: %w", c.method, err)
		}
		return nil
	case <-late.C:
		return fmt.Errorf("epos: %s could not be dealt with in time", c.method)
	case <-l.stop.Done():
		return errStopping
	}
}

var errStopping = errors.New("epos: the connection has ended")
