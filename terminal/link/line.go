package link

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/time/rate"

	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/ws"
)

// A Line is the gateway's end of the connection to a machine that has said
// hello.
type Line struct {
	conn  *ws.Conn
	hello helloForm
	caps  terminal.Capabilities
	log   *slog.Logger

	peer   *jsonrpc.Peer // from Connect on
	sink   terminal.Sink
	faults atomic.Int32 // messages that could not be read
}

// Greet waits for the hello of a machine that has dialled in with the key of
// that TID, and answers it. On an error the connection is being closed. Nothing
// that the machine sends is lost between Greet and Connect. The log may be nil.
func Greet(c *ws.Conn, tid txn.TID, log *slog.Logger) (*Line, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	l := &Line{conn: c, log: log.With("tid", tid)}
	late := time.AfterFunc(helloLimit, func() { c.StartClose(ws.Policy, "no hello in time") })
	defer late.Stop()
	text, err := c.Read()
	if err != nil {
		return nil, fmt.Errorf("link: no hello: %w", err)
	}
	id, bad := l.read(text, tid)
	if bad != nil {
		if answer, err := jsonrpc.AppendError(nil, id, bad); err == nil {
			_ = c.Send(answer) // the close follows it
		}
		c.StartClose(ws.Policy, "the hello was not accepted")
		return nil, fmt.Errorf("link: hello: %w", bad)
	}
	answer, err := jsonrpc.AppendResult(nil, id, welcomeForm{LinkVersion: ref(Version)})
	if err == nil {
		err = c.Send(answer)
	}
	if err != nil {
		return nil, fmt.Errorf("link: answering the hello: %w", err)
	}
	return l, nil
}

// read takes the hello in, and returns the id to answer with.
func (l *Line) read(text []byte, tid txn.TID) (jsonrpc.ID, *jsonrpc.Error) {
	m, f := jsonrpc.Decode(text)
	if f != nil {
		return f.ID, f.Reply()
	}
	if m.Kind != jsonrpc.Request || m.Method != methodHello {
		return m.ID, &jsonrpc.Error{Code: jsonrpc.InvalidRequest, Message: "Invalid Request: the first message must be the request hello"}
	}
	var bad *jsonrpc.Error
	if l.hello, bad = decode[helloForm]("/params", m.Params); bad != nil {
		return m.ID, bad
	}
	if !strings.EqualFold(string(l.hello.TID), string(tid)) {
		return m.ID, fault("/params/tid", "is not the TID that the key is for")
	}
	l.caps = l.hello.capabilities()
	return m.ID, nil
}

// Connect is for Gateway.Plug. It is called once: from then on the sink hears
// what the machine says, in the end that it went away.
func (l *Line) Connect(sink terminal.Sink) terminal.Terminal {
	l.sink = sink
	if l.hello.Restarted {
		sink(terminal.CameBack{Restarted: true})
	}
	l.peer = jsonrpc.NewPeer(&channel{Conn: l.conn, rate: rate.NewLimiter(perSecond, burst)}, jsonrpc.Handler{Notification: l.notified, Stray: l.stray})
	go func() {
		<-l.peer.Done() // everything that came has been told by now
		sink(terminal.WentAway{})
	}()
	r := &remote{l}
	if l.hello.Capabilities.Tables {
		return &remoteWaiter{r}
	}
	return r
}

// A channel is a WebSocket as the peer wants it. A machine that says more than
// its share is read more slowly; nothing of it is dropped.
type channel struct {
	*ws.Conn
	rate *rate.Limiter
}

func (c *channel) Read() ([]byte, error) {
	text, err := c.Conn.Read()
	if d := c.rate.Reserve().Delay(); err == nil && d > 0 {
		time.Sleep(d)
	}
	return text, err
}

func (c *channel) Close() error {
	c.StartClose(ws.Normal, "")
	return nil
}

// notified takes an event.
func (l *Line) notified(method string, params jsontext.Value) {
	e, bad := decodeEvent(method, params, l.caps.Currency)
	if bad != nil {
		l.refuse(method, bad)
		return
	}
	l.sink(e)
}

// refuse tells the machine of an event that cannot be used. It may be money: it
// is told to people, and stays with the machine.
func (l *Line) refuse(method string, bad *jsonrpc.Error) {
	l.log.Error("a terminal said something that cannot be used", "method", shortened(method), "error", bad)
	if text, err := jsonrpc.AppendError(nil, jsonrpc.NoID, bad); err == nil {
		_ = l.conn.Send(text) // the read loop learns of a lost connection
	}
	l.countFault()
}

func (l *Line) countFault() {
	if l.faults.Add(1) == faultsTolerated {
		l.conn.StartClose(ws.Policy, "too many messages that cannot be read")
	}
}

func shortened(method string) string { return cut(strings.ToValidUTF8(method, "?"), 32) }

// stray hears of what is no event and no answer.
func (l *Line) stray(err error) {
	l.log.Warn("a terminal sent something that is not understood", "error", err)
	if f, ok := errors.AsType[*jsonrpc.Fault](err); ok && !f.Answer {
		if text, err := jsonrpc.AppendError(nil, f.ID, f.Reply()); err == nil {
			_ = l.conn.Send(text)
		}
	}
	l.countFault()
}

// ask sends a request to the machine and reads the result. ErrNotDelivered says
// that it certainly did not leave.
func ask[R form](ctx context.Context, l *Line, method string, params form) (R, error) {
	var none R
	if err := l.conn.Err(); err != nil {
		return none, fmt.Errorf("link: %s: %w: %w", method, terminal.ErrNotDelivered, err)
	}
	var raw jsontext.Value
	if err := l.peer.Call(ctx, method, params, &raw); err != nil {
		return none, fmt.Errorf("link: %s: %w", method, err)
	}
	r, bad := decode[R]("/result", raw)
	if bad != nil {
		return none, fmt.Errorf("link: the answer to %s cannot be used: %w", method, bad)
	}
	return r, nil
}

// A remote is a machine at the other end of a line.
type remote struct{ line *Line }

// A remoteWaiter serves tables too.
type remoteWaiter struct{ *remote }

var (
	_ terminal.Terminal = (*remote)(nil)
	_ terminal.Waiter   = (*remoteWaiter)(nil)
)

// Capabilities implements [terminal.Terminal]: what the hello said.
func (r *remote) Capabilities() terminal.Capabilities { return r.line.caps }

// Start implements [terminal.Terminal].
func (r *remote) Start(ctx context.Context, q terminal.Request) error {
	a, err := ask[startAnswerForm](ctx, r.line, methodStart, formStart(q))
	switch {
	case err != nil:
		return err
	case a.Answer == answerBusy:
		return terminal.ErrBusy
	case a.Answer == answerRefused:
		return &terminal.RefusedError{Reason: a.Reason, UserMessage: a.UserMessage}
	}
	return nil
}

// Cancel implements [terminal.Terminal].
func (r *remote) Cancel(ctx context.Context, id txn.RequestID) error {
	return r.wish(ctx, methodCancel, requestForm{id})
}

// AnswerSignature implements [terminal.Terminal].
func (r *remote) AnswerSignature(ctx context.Context, id txn.RequestID, accepted bool) error {
	return r.wish(ctx, methodAnswerSignature, signatureForm{id, &accepted})
}

// Acknowledge implements [terminal.Terminal].
func (r *remote) Acknowledge(ctx context.Context, id txn.RequestID) error {
	return r.wish(ctx, methodAcknowledge, requestForm{id})
}

// AnswerTable implements [terminal.Waiter].
func (r *remoteWaiter) AnswerTable(ctx context.Context, v table.VisitID, a terminal.TableAnswer) error {
	return r.wish(ctx, methodAnswerTable, formAnswer(v, a))
}

// wish sends a request whose answer is yes or a refusal.
func (r *remote) wish(ctx context.Context, method string, params form) error {
	a, err := ask[answerForm](ctx, r.line, method, params)
	if err == nil && a.Answer == answerRefused {
		err = &terminal.RefusedError{Reason: a.Reason, UserMessage: a.UserMessage}
	}
	return err
}

// Query implements [terminal.Terminal].
func (r *remote) Query(ctx context.Context, id txn.RequestID) (terminal.Answer, error) {
	f, err := ask[queryAnswerForm](ctx, r.line, methodQuery, requestForm{id})
	if err != nil {
		return terminal.Answer{}, err
	}
	a := terminal.Answer{}
	a.Kind, _ = kindOf(f.Answer)
	if f.Outcome != nil {
		a.Outcome = ref(f.Outcome.outcome())
	}
	if f.Report != nil {
		a.Report = ref(f.Report.report())
	}
	return a, nil
}

// Last implements [terminal.Terminal].
func (r *remote) Last(ctx context.Context) (terminal.Last, error) {
	f, err := ask[lastAnswerForm](ctx, r.line, methodLast, emptyForm{})
	switch {
	case err != nil:
		return terminal.Last{}, err
	case f.Answer == answerNone:
		return terminal.Last{}, terminal.ErrNoLast
	case f.Answer == answerRefused:
		return terminal.Last{}, &terminal.RefusedError{Reason: f.Reason, UserMessage: f.UserMessage}
	}
	return terminal.Last{ID: value(f.RequestID), Outcome: f.Outcome.outcome()}, nil
}

// QueryPayment implements [terminal.Waiter].
func (r *remoteWaiter) QueryPayment(ctx context.Context, v table.VisitID, p table.PaymentID) (terminal.PaymentAnswer, error) {
	f, err := ask[paymentAnswerForm](ctx, r.line, methodQueryPayment, queryPaymentForm{v, p})
	if err != nil {
		return terminal.PaymentAnswer{}, err
	}
	if f.Receipt != nil {
		if bad := ofCurrency("/result/receipt/currency", f.Receipt.Currency, r.line.caps.Currency); bad != nil {
			return terminal.PaymentAnswer{}, fmt.Errorf("link: the answer to %s cannot be used: %w", methodQueryPayment, bad)
		}
	}
	a := terminal.PaymentAnswer{Taken: f.Taken != nil && *f.Taken, Receipt: f.Receipt.receipt()}
	a.Kind, _ = kindOf(f.Answer)
	return a, nil
}
