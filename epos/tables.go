package epos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/wire"
	"github.com/tillwire/tillwire/ws"
)

// A TableID is a table by the till's own name for it: 1 to 64 printable
// characters. Terminals shorten what they show after 24.
type TableID string

// A WaiterID is what a waiter keyed in at a terminal; empty where it asks for
// none.
type WaiterID string

// A TableHandler answers for a till's tables (the contract, section 5). Calls
// about one table come one at a time, in the order in which the gateway sent
// them, over all connections; calls about different tables, and ListTables, come
// at the same time.
//
// The ctx of a question (ListTables, LockTable, Bill and FinalReceipt) ends when
// the gateway's time for it is up or the connection is lost; what is returned
// after that is not sent. The ctx of the others ends after NoticeTimeout, and
// outlives the connection: what has begun to be booked is booked.
//
// An error of a question that is an *Error is sent as it is, and its
// StaffMessage stands on the terminal's screen; of any other the terminal learns
// only that there is no answer.
type TableHandler interface {
	// ListTables gives the tables that can be paid: open, with something owed,
	// not locked and, where a till keeps waiters apart, the waiter's.
	ListTables(ctx context.Context, r TableListRequest) (TableList, error)

	// LockTable keeps a table from being edited and says what is owed. To
	// refuse, return a TableLock that is not Granted. After an error, as after
	// an answer that came too late, the gateway cannot know whether the table is
	// locked, and has UnlockTable called.
	LockTable(ctx context.Context, r TableRequest) (TableLock, error)

	// UnlockTable gives a table back to the till. It may come more than once,
	// and for a table that was never locked: unlock only what r.TID holds. An
	// error has it come again.
	UnlockTable(ctx context.Context, r TableRequest) error

	// Bill gives what the terminal prints as the bill of a table it has locked.
	Bill(ctx context.Context, r TableRequest) ([]receipt.Line, error)

	// Paid books payments that took money, and that were not booked before; see
	// PaymentStore. They are to be booked whatever state the table is in, a
	// table that nobody knows any more included: the cards were charged. An
	// error has them come again.
	Paid(ctx context.Context, p TablePayments) error
}

// A FinalReceiptHandler is a TableHandler that has the terminal print a receipt
// of its own once a table was paid (the contract, section 5.4). The gateway is
// told on connecting that this till wants to be asked.
type FinalReceiptHandler interface {
	FinalReceipt(ctx context.Context, r TableRequest) ([]receipt.Line, error)
}

// A TableReportHandler is a TableHandler that keeps the reports that were
// started at a terminal (the contract, section 5.7), as a till should with those
// of the end of day. A report may come more than once; TID, Type and Time tell
// it. An error has it come again.
type TableReportHandler interface {
	TableReport(ctx context.Context, r Report) error
}

// A TableRequest is about one table, at the terminal where a waiter is.
type TableRequest struct {
	TID      TID
	WaiterID WaiterID
	TableID  TableID
}

// Tables is a till's side of Pay-At-Table: it answers what waiters do at the
// site's terminals. Exactly one of them can be connected for a site.
type Tables struct {
	Options Options
	Handler TableHandler

	// Payments knows which payments are booked; nil is a new MemoryStore, which
	// forgets them when the program ends.
	Payments PaymentStore

	// NoAcks does without the extension acks (the contract, section 10), for
	// gateways that do not have it. A notice then counts as delivered when the
	// line is seen to be alive after it. This package answers the line only when
	// the notice is dealt with, and drops the line when that failed, so that the
	// gateway sends it again; but meanwhile no question is answered.
	NoAcks bool

	// Connection is told each time the connection is made, lost, or cannot be
	// made. It may be nil.
	Connection func(ConnectionState)

	// Failed is told when a call of the Handler or of Payments has failed with an
	// error that is no *Error, came too late, or answered what cannot be sent.
	// Method is the contract's word for what was asked. It is called by many
	// goroutines, one at a time, and may be nil.
	Failed func(method string, err error)
}

// A ConnectionState says how the connection to the gateway is.
type ConnectionState struct {
	Up    bool
	Err   error         // why it is not up: a *ClosedError, a *RefusedError, or what the network said
	Retry time.Duration // when it is tried again
}

// NoticeTimeout is how long UnlockTable, Paid and TableReport may take. The
// gateway sends again what was not answered within half a minute.
const NoticeTimeout = 25 * time.Second

// ServeTables is Run of Tables with these options and this handler.
func ServeTables(ctx context.Context, o Options, h TableHandler) error {
	return Tables{Options: o, Handler: h}.Run(ctx)
}

// Run connects to a gateway's Pay-At-Table interface (the contract, section 5)
// and serves it until ctx ends. It connects again whenever the connection is
// lost or cannot be made, waiting a little longer each time, half a minute at
// most. It returns when its calls of the Handler have returned, with
//
//   - the error of ctx;
//   - an *Error that is ErrDiscontinued, when a newer connection of the site took
//     over. Do not call Run again by a program: two tills would take the
//     connection from each other for ever. A person must stop one of them;
//   - a *RefusedError that trying again will not change, such as a wrong key;
//   - another error when the options cannot be right.
func (t Tables) Run(ctx context.Context) error {
	address, version, err := t.address()
	if err != nil {
		return err
	}
	return newTableServer(t, version).run(ctx, func(ctx context.Context) (*ws.Conn, *ws.Keeper, error) {
		return t.Options.dial(ctx, address)
	})
}

// address adds to the address of Options what the gateway must know of this
// till.
func (t Tables) address() (string, wire.Version, error) {
	address, version, err := t.Options.address("/pat")
	if err != nil {
		return "", 0, err
	}
	u, err := url.Parse(address)
	if err != nil || !strings.EqualFold(strings.Trim(u.Path, "/"), "pat") {
		return "", 0, errors.New("epos: the URL is not of the form wss://host/pat?token=…")
	}
	q := u.Query()
	extensions := strings.FieldsFunc(q.Get("extensions"), func(r rune) bool { return r == ',' })
	if !t.NoAcks && !slices.Contains(extensions, "acks") {
		q.Set("extensions", strings.Join(append(extensions, "acks"), ","))
	}
	if _, ok := t.Handler.(FinalReceiptHandler); ok {
		q.Set("final-pos-receipt-request", "")
	}
	u.RawQuery = q.Encode()
	return u.String(), version, nil
}

// The pauses before connecting again. Each is up to twice the one before, until
// a connection has held for a while.
const (
	firstPause = 500 * time.Millisecond
	lastPause  = 30 * time.Second
	longPause  = 10 * time.Minute // that a gateway may ask for
	heldLong   = 30 * time.Second
	dialLimit  = 20 * time.Second
)

// A tableServer is a Tables that runs.
type tableServer struct {
	Tables
	version wire.Version
	orders  orders
	calls   sync.WaitGroup
	telling sync.Mutex // of Failed and of the options' Error
}

func newTableServer(t Tables, v wire.Version) *tableServer {
	if t.Payments == nil {
		t.Payments = &MemoryStore{}
	}
	return &tableServer{Tables: t, version: v, orders: orders{last: map[string]chan struct{}{}}}
}

type dialer func(context.Context) (*ws.Conn, *ws.Keeper, error)

func (s *tableServer) run(ctx context.Context, dial dialer) error {
	defer s.calls.Wait()
	var pause time.Duration
	for {
		began := time.Now()
		err := s.connect(ctx, dial)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, ErrDiscontinued) || hopeless(err) {
			s.tell(ConnectionState{Err: err})
			return err
		}
		if time.Since(began) >= heldLong {
			pause = 0
		}
		pause = min(max(2*pause, firstPause), lastPause)
		wait := pause/2 + rand.N(pause/2) // tills that were cut off together do not come back together
		if refused, ok := errors.AsType[*RefusedError](err); ok {
			wait = max(wait, min(refused.RetryAfter, longPause))
		}
		s.tell(ConnectionState{Err: err, Retry: wait})
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// hopeless reports whether a refusal will be the same the next time.
func hopeless(err error) bool {
	refused, ok := errors.AsType[*RefusedError](err)
	return ok && refused.Status >= 400 && refused.Status <= 428 && refused.Status != 408
}

func (s *tableServer) tell(state ConnectionState) {
	if s.Connection != nil {
		s.Connection(state)
	}
}

// failed tells of what went wrong here.
func (s *tableServer) failed(method string, err error) {
	if s.Failed != nil {
		s.telling.Lock()
		defer s.telling.Unlock()
		s.Failed(method, err)
	}
}

// complained tells of what the gateway finds wrong.
func (s *tableServer) complained(e *Error) {
	if f := s.Options.Handler.Error; f != nil {
		s.telling.Lock()
		defer s.telling.Unlock()
		f(e)
	}
}

// orders keeps calls about one thing in their order: each has to wait for the
// one before.
type orders struct {
	mu   sync.Mutex
	last map[string]chan struct{} // closed when the last call about it has ended
}

// join takes the next place in the order of key. The call may begin when turn is
// closed, and says done at its end, or when it gives up its place.
func (o *orders) join(key string) (turn <-chan struct{}, done func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before, end := o.last[key], make(chan struct{})
	if before == nil {
		before = make(chan struct{})
		close(before)
	}
	o.last[key] = end
	return before, func() {
		select {
		case <-before:
			o.end(key, end)
		default: // gives up its place, not the place of the one before it
			go func() {
				<-before
				o.end(key, end)
			}()
		}
	}
}

func (o *orders) end(key string, end chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(end)
	if o.last[key] == end {
		delete(o.last, key)
	}
}

// A call is something that the gateway wants of the handler.
type call struct {
	method string
	about  string        // calls about the same are in order; empty for those that need none
	limit  time.Duration // for the answer
	notice bool          // tells, and asks nothing
	do     func(context.Context) (wire.Message, error)
}

// errLate is what becomes of an answer that nobody waits for any more.
var errLate = errors.New("epos: no answer was sent, nobody waits for it any more")

// callOf reads what the gateway wants. It is nil when this till does not know
// the method.
func (s *tableServer) callOf(method string, params wire.Raw) (*call, error) {
	switch method {
	case wire.MethodTableList:
		return s.tableList(params)
	case wire.MethodTableLock:
		return s.tableLock(params)
	case wire.MethodTableUnlock:
		return s.tableUnlock(params)
	case wire.MethodPOSReceipt:
		return s.posReceipt(params)
	case wire.MethodFinalPOSReceipt:
		return s.finalPOSReceipt(params)
	case wire.MethodTransactionResponse:
		return s.transactionResponse(params)
	case wire.MethodReportResponse:
		return s.reportResponse(params)
	}
	return nil, nil //nolint:nilnil // documented
}

// about names a table for the order of calls.
func (r TableRequest) about() string { return "table " + string(r.TableID) }

// maxSeconds keeps a nonsensical timeout from overflowing, and noTimeout stands
// for one that is not there.
const (
	maxSeconds = 3600
	noTimeout  = 10 * time.Second
)

func limitOf(seconds float64) time.Duration {
	if !(seconds > 0) {
		return noTimeout
	}
	return time.Duration(min(seconds, maxSeconds) * float64(time.Second))
}

// checked refuses an answer of the handler that the gateway would refuse. It
// reads it as the gateway will.
func checked[T any](s *tableServer, m wire.Message, decode func(wire.Version, wire.Raw) (T, []wire.Deviation, *wire.Fault)) (wire.Message, error) {
	if _, _, fault := decode(s.version, wire.Encode(s.version, m)); fault != nil {
		return nil, fmt.Errorf("epos: the handler's answer cannot be sent: %s", fault.Text)
	}
	return m, nil
}
