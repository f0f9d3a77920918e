package jsonrpc

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A Channel carries whole messages. Send and Close may be called by any number
// of goroutines, Read by one. Once Close was called or the other side is gone,
// Read returns an error. Close may be called more than once.
type Channel interface {
	Read() ([]byte, error)
	Send(msg []byte) error
	Close() error
}

// A Handler takes what the other side sends unasked. Any part may be nil.
type Handler struct {
	// Request answers a request: with the result, or with an error, of which
	// an *Error is sent as it is and any other as a plain Internal error. On
	// ErrNoAnswer nothing is sent. It runs on its own goroutine, as many at a
	// time as MaxRequests; ctx ends with the connection. Without Request
	// every request gets MethodNotFound.
	Request func(ctx context.Context, id ID, method string, params jsontext.Value) (any, error)
	// Notification is called in the order of arrival, between responses. The
	// next message is not read until it returns, so it must not wait for one.
	Notification func(method string, params jsontext.Value)
	// Stray hears of messages that end no call: an *Error that bears no id, a
	// *Fault, an answer to nothing; and of errors of Request that the other
	// side is not told. Like Notification it must not wait, and it may be
	// called on several goroutines at a time.
	Stray func(error)
}

// MaxRequests is how many requests of the other side are served at a time;
// one more is refused.
const MaxRequests = 64

// ErrNoAnswer, returned by Handler.Request, leaves the request unanswered.
var ErrNoAnswer = errors.New("no answer")

// ErrIDInFlight says that the id chosen for a call still waits for an answer.
var ErrIDInFlight = errors.New("the id is in flight")

// A LostError ends the calls that were open when the connection ended. The
// request may have been carried out or not: the outcome is not known, and only
// the other side can tell it.
type LostError struct {
	Method string
	Err    error // how the connection ended
}

func (e *LostError) Error() string {
	return fmt.Sprintf("the connection ended before the answer to %s, whose outcome is not known: %v", e.Method, e.Err)
}

func (e *LostError) Unwrap() error { return e.Err }

// A Peer is one end of a connection: it calls the other side and serves it.
// Answers are matched by connection, direction and id.
type Peer struct {
	ch     Channel
	h      Handler
	ctx    context.Context
	cancel context.CancelFunc
	served sync.WaitGroup
	slots  chan struct{}
	done   chan struct{}

	mu   sync.Mutex
	open map[ID]chan<- Message // each takes one answer without blocking
	next ID
	err  error
}

// NewPeer starts reading from ch, which from here on belongs to the peer.
func NewPeer(ch Channel, h Handler) *Peer {
	p := &Peer{
		ch: ch, h: h, open: map[ID]chan<- Message{},
		slots: make(chan struct{}, MaxRequests), done: make(chan struct{}),
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	go p.run()
	return p
}

// Call sends a request under the next free id and waits for the answer, which
// it stores in result unless that is nil. The error is the answer's *Error; or
// a *LostError; or wraps that of ctx, when waiting was given up: the request
// then still stands, its outcome is not known, and its id stays taken until
// the answer comes.
func (p *Peer) Call(ctx context.Context, method string, params, result any) error {
	return p.call(ctx, NoID, method, params, result)
}

// CallWithID is Call under an id of the caller's choice. The id must not be in
// flight.
func (p *Peer) CallWithID(ctx context.Context, id ID, method string, params, result any) error {
	if id < 0 || id > MaxID {
		return fmt.Errorf("id %d is not from 0 to %d", id, MaxID)
	}
	return p.call(ctx, id, method, params, result)
}

func (p *Peer) call(ctx context.Context, id ID, method string, params, result any) error {
	if err := ctx.Err(); err != nil {
		return err // nothing was sent
	}
	answer := make(chan Message, 1)
	id, err := p.reserve(id, method, answer)
	if err != nil {
		return err
	}
	msg, err := AppendRequest(nil, id, method, params)
	if err != nil {
		p.take(id)
		return err
	}
	if err := p.ch.Send(msg); err != nil {
		p.take(id)
		return &LostError{method, err}
	}
	var m Message
	select {
	case m = <-answer:
	case <-ctx.Done():
		return fmt.Errorf("gave up waiting for the answer to %s, whose outcome is not known: %w", method, ctx.Err())
	}
	switch {
	case m.Kind == Invalid:
		return &LostError{method, p.Err()}
	case m.Kind == ErrorResponse:
		return m.Error
	case result == nil:
		return nil
	}
	if raw, ok := result.(*jsontext.Value); ok {
		*raw = m.Result.Clone()
		return nil
	}
	if err := json.Unmarshal(m.Result, result); err != nil {
		return fmt.Errorf("reading the answer to %s: %w", method, err)
	}
	return nil
}

// reserve takes an id, NoID for the next free one.
func (p *Peer) reserve(id ID, method string, answer chan<- Message) (ID, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.err != nil:
		return id, fmt.Errorf("%s was not sent: the connection has ended: %w", method, p.err)
	case id == NoID && len(p.open) >= int(MaxID):
		return id, fmt.Errorf("%s was not sent: every id is in flight", method)
	case id == NoID:
		for taken := true; taken; _, taken = p.open[p.next] {
			p.next = p.next%MaxID + 1
		}
		id = p.next
	default:
		if _, taken := p.open[id]; taken {
			return id, fmt.Errorf("%s was not sent: id %d: %w", method, id, ErrIDInFlight)
		}
	}
	p.open[id] = answer
	return id, nil
}

// take frees an id, and returns who waits for its answer.
func (p *Peer) take(id ID) (chan<- Message, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	answer, ok := p.open[id]
	delete(p.open, id)
	return answer, ok
}

// Notify sends a notification.
func (p *Peer) Notify(method string, params any) error {
	msg, err := AppendNotification(nil, method, params)
	if err != nil {
		return err
	}
	return p.ch.Send(msg)
}

// Close closes the channel. Open calls end with a *LostError.
func (p *Peer) Close() error { return p.ch.Close() }

// Done is closed when the connection has ended, every call has, and every
// handler has returned.
func (p *Peer) Done() <-chan struct{} { return p.done }

// Err says how the connection ended; nil while it is open.
func (p *Peer) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

func (p *Peer) run() {
	defer close(p.done)
	defer p.served.Wait()
	for {
		data, err := p.ch.Read()
		if err != nil {
			p.end(err)
			_ = p.ch.Close()
			return
		}
		p.receive(data)
	}
}

func (p *Peer) end(err error) {
	p.cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
	for id, answer := range p.open {
		delete(p.open, id)
		answer <- Message{}
	}
}

func (p *Peer) receive(data []byte) {
	m, fault := Decode(data)
	if fault != nil {
		p.stray(fault)
		return
	}
	switch m.Kind {
	case Request:
		p.serve(m)
	case Notification:
		if p.h.Notification != nil {
			p.h.Notification(m.Method, m.Params)
		}
	case Response, ErrorResponse:
		if m.ID == NoID { // answers no request, so it fails no call
			p.stray(m.Error)
			return
		}
		answer, ok := p.take(m.ID)
		if !ok {
			p.stray(fmt.Errorf("an answer with id %d, which is not in flight", m.ID))
			return
		}
		answer <- m
	case Invalid:
		panic("jsonrpc: an invalid message without a fault")
	}
}

func (p *Peer) stray(err error) {
	if p.h.Stray != nil {
		p.h.Stray(err)
	}
}

// serve answers a request, on a goroutine of its own.
func (p *Peer) serve(m Message) {
	if p.h.Request == nil {
		p.reply(m.ID, nil, &Error{Code: MethodNotFound, Message: "Method not found: " + m.Method})
		return
	}
	select {
	case p.slots <- struct{}{}:
	default:
		p.reply(m.ID, nil, &Error{Code: InternalError, Message: "Internal error: too many requests at a time"})
		return
	}
	p.served.Go(func() {
		defer func() { <-p.slots }()
		result, err := p.h.Request(p.ctx, m.ID, m.Method, m.Params)
		p.reply(m.ID, result, err)
	})
}

func (p *Peer) reply(id ID, result any, err error) {
	if errors.Is(err, ErrNoAnswer) {
		return
	}
	var msg []byte
	if err == nil {
		msg, err = AppendResult(nil, id, result)
	}
	if err != nil {
		werr, ok := errors.AsType[*Error](err)
		if !ok { // what went wrong inside is nobody's business outside
			p.stray(fmt.Errorf("answering request %d: %w", id, err))
			werr = &Error{Code: InternalError, Message: "Internal error"}
		}
		if msg, err = AppendError(nil, id, werr); err != nil {
			p.stray(err)
			return
		}
	}
	_ = p.ch.Send(msg) // the read loop learns of a lost connection
}
