package epos

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tillwire/tillwire/wire"
)

// A Handler takes what the gateway sends of its own accord. Any of its functions
// may be nil.
type Handler struct {
	// Notification is told how far a transaction on a terminal is. It is called
	// in the order of arrival, one call at a time, and the call of a transaction
	// returns only after it has been told of everything before, for which it has
	// 2 s. If it does not return, notifications get lost, but no outcome does.
	Notification func(TID, Notification)

	// Signature asks the cashier whether the signature is right. It runs on a
	// goroutine of its own; its ctx ends when time is up, when the transaction
	// has ended or the connection is lost, and what it returns after that is
	// ignored. If it returns an error, or is nil, the question stays unanswered
	// and the gateway decides when time is up: by the contract it accepts.
	Signature func(ctx context.Context, r SignatureRequest) (accept bool, err error)

	// Error is told of errors that answer no request, for instance that an
	// answer on a signature came too late. It is called like Notification. As
	// such an error belongs to no call, only the client's own Error is used.
	Error func(*Error)

	// Corrected is told the truth about a transaction that ended as TimedOut, of
	// this till or of another one of the site, once the gateway knows it (the
	// extension late). It is called like Notification, and only the client's own
	// Corrected is used. The same truth may be told again after a lost connection.
	Corrected func(Correction)

	// Begun is told, over REST only, that the gateway has taken a request, before
	// anything else is done about it. A till keeps the location with the sale: after
	// a restart it asks there what became of it.
	Begun func(Begun)

	// Trace sees each message as it stands on the wire, one at a time: those to
	// be sent (which a lost line may keep from leaving) and those received. It
	// must not change them, call the client, or take long, for the connection
	// waits. Only the client's own Trace is used.
	Trace func(sent bool, message []byte)
}

// A CallOption changes one call.
type CallOption func(*transaction)

// WithHandler gives one transaction a handler of its own for notifications,
// signature requests and Begun. Where a function of it is nil, the client's is used.
func WithHandler(h Handler) CallOption {
	return func(t *transaction) {
		if h.Notification != nil {
			t.handler.Notification = h.Notification
		}
		if h.Signature != nil {
			t.handler.Signature = h.Signature
		}
		if h.Begun != nil {
			t.handler.Begun = h.Begun
		}
	}
}

// WithKey gives a request a key of the till's own choice, 1 to 64 characters,
// instead of a random one. The same key and the same request are one
// transaction, however often and on whatever connection of the site it is sent:
// a till that keeps the key on disk before it sends can ask again after a crash.
// Make it with [NewKey], and a new one for each try that is to be a transaction
// of its own.
//
// Where the gateway knows no keys, the call ends with ErrNoExtension and nothing
// is sent: the till relies on what would not be so.
func WithKey(key string) CallOption {
	return func(t *transaction) { t.key = key }
}

// NewKey makes a key that nobody else has.
func NewKey() string { return uuid.NewString() }

// keyFor is the request's key: the one that it was given, or a new one where the
// gateway knows keys.
func (c *Client) keyFor(t *transaction) (string, error) {
	switch known := c.has(wire.ExtensionKeys); {
	case !known && t.key != "":
		return "", fmt.Errorf("%w: %w: %s", errNotSent, ErrNoExtension, wire.ExtensionKeys)
	case known && t.key == "":
		return NewKey(), nil
	}
	return t.key, nil
}

// A transaction is a call that waits for the end of a transaction. Its context
// ends with it.
type transaction struct {
	tid     TID
	handler Handler
	key     string // of the request, if the till chose one
	ctx     context.Context
	cancel  context.CancelFunc
}

// begin notes that a transaction is asked for on a terminal.
func (c *Client) begin(tid TID, opts []CallOption) *transaction {
	t := &transaction{tid: tid, handler: c.handler}
	t.ctx, t.cancel = context.WithCancel(c.ctx)
	for _, opt := range opts {
		opt(t)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.transactions = append(c.transactions, t)
	return t
}

func (c *Client) end(t *transaction) {
	t.cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, other := range c.transactions {
		if other == t {
			c.transactions = append(c.transactions[:i], c.transactions[i+1:]...)
			return
		}
	}
}

// on returns the transaction that runs on a terminal: the first that was asked
// for, since a terminal refuses a second. If there is none, a till that gave up
// waiting hears of it through the client's own handler.
func (c *Client) on(tid TID) *transaction {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.transactions {
		if strings.EqualFold(string(t.tid), string(tid)) { // names of virtual terminals have no case
			return t
		}
	}
	return &transaction{tid: tid, handler: c.handler, ctx: c.ctx}
}

// maxEvents is how many notifications may wait for a handler.
const maxEvents = 256

// events calls handlers one after the other, away from the goroutine that reads.
type events struct {
	queue chan func()
	ended <-chan struct{} // when the connection has
}

func newEvents(ended <-chan struct{}) *events {
	e := &events{queue: make(chan func(), maxEvents), ended: ended}
	go e.run()
	return e
}

func (e *events) run() {
	for {
		select {
		case f := <-e.queue:
			f()
		case <-e.ended:
			return
		}
	}
}

// add queues a call. It never waits: a handler that does not return must not
// keep an outcome from being read.
func (e *events) add(f func()) {
	select {
	case e.queue <- f:
	default:
	}
}

// settleLimit is how long a handler can keep an outcome from its caller.
const settleLimit = 2 * time.Second

// settle returns when all calls that were queued before it have returned, or ctx
// or the connection has ended, or the limit has passed.
func (e *events) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	done := make(chan struct{})
	select {
	case e.queue <- func() { close(done) }:
	case <-ctx.Done():
		return
	case <-e.ended:
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	case <-e.ended:
	}
}
