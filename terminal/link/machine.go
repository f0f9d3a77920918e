package link

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/ws"
)

// A Machine shows a terminal to a gateway. Its first three fields are required;
// nobody changes it while it runs.
type Machine struct {
	TID txn.TID
	// Connect links the terminal anew: an older link of it is dead from then on.
	// The terminal tells over the new one what was not acknowledged. Where it is
	// a terminal.Waiter, it serves tables.
	//
	// WentAway of the terminal's own ends the link; the next is dialled once it
	// says CameBack.
	Connect func(terminal.Sink) terminal.Terminal
	// Dial opens a connection to the gateway. See [Dialler].
	Dial func(context.Context) (*ws.Conn, error)
	// Pause is how long to wait before the next dial, after so many links in a
	// row that failed or did not last; nil is [Pauses] up to LongestPause. A
	// Retry-After of the gateway can make it longer.
	Pause func(failures int) time.Duration
	// Watch is told of the link's ups and downs; it may be nil.
	Watch func(Standing)
	Log   *slog.Logger // nil discards
}

// A Standing is how the link stands.
type Standing struct {
	Up   bool
	Err  error         // why it is down
	Next time.Duration // until it is dialled again; 0 where that is not known
}

// A RejectedError says that the gateway will not have this machine, and that
// dialling again would not mend it: a key that is unknown, revoked or for
// another TID, or a version that is not spoken.
type RejectedError struct{ Reason string }

// Error gives the gateway's reason.
func (e *RejectedError) Error() string { return "link: the gateway refuses this terminal: " + e.Reason }

// How long a link must have been up not to count as a failure. One that the
// gateway closed with 1008 must have been up longer: two machines under one TID
// push each other off, and must not do so in a loop.
const (
	lasting       = time.Second
	lastingPolicy = 10 * time.Second
)

// LongestPause bounds the pauses between dials where nobody sets another bound:
// so long after a gateway is back at the latest it has its terminals again.
const LongestPause = 5 * time.Second

// Pauses returns pauses for a Machine. They double with the failures, from a
// tenth of a second to the longest, which is at least that. Half of each is
// chance, so that machines do not all come at once when a gateway is back.
func Pauses(longest time.Duration) func(failures int) time.Duration {
	const shortest = 100 * time.Millisecond
	return func(failures int) time.Duration {
		d := min(shortest<<min(max(failures, 0), 16), max(longest, shortest))
		return d/2 + rand.N(d/2+1)
	}
}

// longestRetry bounds what is believed of a Retry-After.
const longestRetry = time.Minute

// A turnedAwayError is an upgrade that was refused for now.
type turnedAwayError struct {
	text  string
	after time.Duration // dial no sooner; 0 where the gateway did not say
}

func (e *turnedAwayError) Error() string { return "link: the gateway answered " + e.text }

// retryAfter reads how many seconds the gateway wants to be left alone.
func retryAfter(header string) time.Duration {
	seconds, err := strconv.Atoi(header)
	if err != nil || seconds <= 0 {
		return 0
	}
	return min(time.Duration(min(seconds, 1<<20))*time.Second, longestRetry)
}

// pause is how long to wait after a link that ended so.
func (m Machine) pause(failures int, err error) time.Duration {
	d := m.Pause(failures)
	if away, ok := errors.AsType[*turnedAwayError](err); ok && away.after > 0 {
		d = max(d, away.after+rand.N(away.after/4))
	}
	return d
}

// held reports whether a link that ended so, after so long, was a good one.
func held(lasted time.Duration, err error) bool {
	closed, ok := errors.AsType[*ws.CloseError](err)
	if ok && closed.Remote && closed.Code == ws.Policy {
		return lasted >= lastingPolicy
	}
	return lasted >= lasting
}

// Run keeps the terminal linked until ctx ends, whose error it returns, or until
// the gateway rejects the machine with a *RejectedError.
func (m Machine) Run(ctx context.Context) error {
	if m.Pause == nil {
		m.Pause = Pauses(LongestPause)
	}
	if m.Watch == nil {
		m.Watch = func(Standing) {}
	}
	if m.Log == nil {
		m.Log = slog.New(slog.DiscardHandler)
	}
	k := &keeping{Machine: m, back: make(chan struct{}, 1)}
	said := "" // why it was down, last
	for failures := 0; ; {
		if err := k.present(ctx); err != nil {
			return err
		}
		lasted, err := k.link(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if k.gone() {
			m.Watch(Standing{Err: errAway})
			continue
		}
		if rejected, ok := errors.AsType[*RejectedError](err); ok {
			m.Watch(Standing{Err: err})
			return rejected
		}
		if held(lasted, err) {
			failures = 0
		}
		d := m.pause(failures, err)
		failures++
		m.Watch(Standing{Err: err, Next: d})
		level := slog.LevelWarn
		if why := err.Error(); why == said && lasted == 0 {
			level = slog.LevelDebug // as it was before
		} else {
			said = why
		}
		m.Log.Log(ctx, level, "the link to the gateway is down", "tid", m.TID, "error", err, "next", d)
		if d <= 0 {
			continue
		}
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// A keeping is a machine that runs, over all its links.
type keeping struct {
	Machine

	mu        sync.Mutex
	away      bool          // by the terminal's own word
	restarted bool          // and no gateway was told of it yet
	back      chan struct{} // one when it came back
}

// present waits until the terminal is there.
func (k *keeping) present(ctx context.Context) error {
	for k.gone() {
		select {
		case <-k.back:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}

func (k *keeping) gone() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.away
}

// stands notes what the terminal says of itself, and reports whether it is there.
func (k *keeping) stands(e terminal.Event) (there bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch e := e.(type) {
	case terminal.WentAway:
		k.away = true
	case terminal.CameBack:
		k.away = false
		k.restarted = k.restarted || e.Restarted
		select {
		case k.back <- struct{}{}:
		default:
		}
	default: // says nothing of that
	}
	return !k.away
}

// link dials and serves one link until it is over. It returns how long it was
// up, once everything that came over it has been dealt with.
func (k *keeping) link(ctx context.Context) (lasted time.Duration, err error) {
	conn, err := k.Dial(ctx)
	if err != nil {
		return 0, rejection(err)
	}
	stop := context.AfterFunc(ctx, func() { conn.StartClose(ws.GoingAway, "the terminal is switched off") })
	defer leave(conn)
	defer stop()
	if k.gone() {
		return 0, errAway // it left while the gateway was dialled
	}
	s := &session{k: k, conn: conn, requests: make(chan jsonrpc.Message, maxWaiting)}
	defer s.over()
	s.term = k.Connect(s.tell)
	if err := s.greet(); err != nil {
		return 0, err
	}
	k.Watch(Standing{Up: true})
	k.Log.Info("linked to the gateway", "tid", k.TID)
	up := time.Now()
	err = s.serve(ctx)
	return time.Since(up), err
}

var errAway = errors.New("link: the terminal is away")

// leave closes a connection by the book, if that does not take long.
func leave(conn *ws.Conn) {
	conn.StartClose(ws.Normal, "")
	late := time.AfterFunc(time.Second, conn.Abort)
	defer late.Stop()
	<-conn.Done()
}

// rejection makes of a refused upgrade what it means.
func rejection(err error) error {
	refused, ok := errors.AsType[*ws.RefusedError](err)
	if !ok {
		return fmt.Errorf("link: %w", err)
	}
	reason := refusalText(refused)
	if slices.Contains([]int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden}, refused.Status) {
		return &RejectedError{Reason: reason}
	}
	return &turnedAwayError{reason, retryAfter(refused.Header.Get("Retry-After"))}
}

// A session is one link. What the terminal says before the gateway has answered
// the hello waits.
type session struct {
	k        *keeping
	conn     *ws.Conn
	term     terminal.Terminal
	currency money.Currency // of its capabilities, from the hello on
	requests chan jsonrpc.Message

	mu      sync.Mutex
	closed  bool             // nothing is passed on any more
	welcome bool             // the hello was answered
	waiting []terminal.Event // that came before
}

// tell is the terminal's sink.
func (s *session) tell(e terminal.Event) {
	if !s.k.stands(e) {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.conn.StartClose(ws.GoingAway, "the terminal is away")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed: // it tells it again over the next link
	case !s.welcome:
		s.waiting = append(s.waiting, e)
	default:
		s.pass(e)
	}
}

// pass sends an event. s.mu is held, which keeps the order.
func (s *session) pass(e terminal.Event) {
	method, params, ok := eventForm(e, s.currency)
	if !ok {
		return
	}
	text, err := jsonrpc.AppendNotification(nil, method, params)
	if err != nil {
		s.k.Log.Error("an event cannot be sent", "tid", s.k.TID, "method", method, "error", err)
		return
	}
	_ = s.conn.Send(text) // a link that is gone shows in serve
}

func (s *session) over() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.waiting = true, nil
}

// greet says hello and waits for the welcome.
func (s *session) greet() error {
	caps := s.term.Capabilities()
	s.currency = caps.Currency
	_, tables := s.term.(terminal.Waiter)
	s.k.mu.Lock()
	restarted := s.k.restarted
	s.k.mu.Unlock()
	const id = 1
	text, err := jsonrpc.AppendRequest(nil, id, methodHello, formHello(s.k.TID, caps, tables, restarted))
	if err != nil {
		return fmt.Errorf("link: hello: %w", err)
	}
	if err := s.conn.Send(text); err != nil {
		return fmt.Errorf("link: hello: %w", err)
	}
	late := time.AfterFunc(helloLimit, s.conn.Abort)
	defer late.Stop()
	answer, err := s.conn.Read()
	if err != nil {
		return fmt.Errorf("link: no answer to the hello: %w", err)
	}
	m, bad := jsonrpc.Decode(answer)
	switch {
	case bad != nil:
		return fmt.Errorf("link: the answer to the hello: %w", bad)
	case m.Kind == jsonrpc.ErrorResponse && m.Error.Code == jsonrpc.InternalError:
		return fmt.Errorf("link: hello: %w", m.Error) // the next one may fare better
	case m.Kind == jsonrpc.ErrorResponse:
		return &RejectedError{Reason: "the hello: " + strings.TrimPrefix(m.Error.Message, "Invalid params: ")}
	case m.Kind != jsonrpc.Response || m.ID != id:
		return errors.New("link: the gateway did not answer the hello first")
	}
	w, wrong := decode[welcomeForm]("/result", m.Result)
	switch {
	case wrong != nil:
		return fmt.Errorf("link: the answer to the hello: %w", wrong)
	case *w.LinkVersion != Version:
		return &RejectedError{Reason: fmt.Sprintf("it speaks version %d of the terminal link, and this terminal version %d", *w.LinkVersion, Version)}
	}
	if restarted {
		s.k.mu.Lock()
		s.k.restarted = false
		s.k.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.welcome = true
	for _, e := range s.waiting {
		s.pass(e)
	}
	s.waiting = nil
	return nil
}

// serve reads until the link is over. Requests are dealt with one after the
// other, in the order in which they came, beside the reading: pings are answered
// there. It returns when the last of them is done or dropped.
func (s *session) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var worker sync.WaitGroup
	defer worker.Wait()
	defer close(s.requests)
	defer cancel()
	worker.Go(func() {
		for m := range s.requests {
			if ctx.Err() == nil { // else it lay in a link that is gone
				s.reply(m.ID, s.do(ctx, m))
			}
		}
	})
	for {
		text, err := s.conn.Read()
		if err != nil {
			return fmt.Errorf("link: %w", err)
		}
		if err := s.conn.Room(ctx); err != nil {
			return fmt.Errorf("link: %w", err)
		}
		m, bad := jsonrpc.Decode(text)
		switch {
		case bad != nil:
			s.k.Log.Warn("the gateway sent something that is not understood", "tid", s.k.TID, "error", bad)
			if !bad.Answer {
				s.reply(bad.ID, reply{err: bad.Reply()})
			}
		case m.Kind == jsonrpc.Request:
			select {
			case s.requests <- m:
			default:
				s.reply(m.ID, reply{err: &jsonrpc.Error{Code: jsonrpc.InternalError, Message: "Internal error: too many requests at a time"}})
			}
		case m.Kind == jsonrpc.ErrorResponse: // about an event of ours that it could not use
			s.k.Log.Error("the gateway cannot use what the terminal said", "tid", s.k.TID, "error", m.Error)
		default: // a notification or answer that this version does not have
			s.k.Log.Warn("the gateway sent something that is not of this version", "tid", s.k.TID)
		}
	}
}

// A reply is a result or an error.
type reply struct {
	result form
	err    *jsonrpc.Error
}

func (s *session) reply(id jsonrpc.ID, r reply) {
	var text []byte
	var err error
	if r.err != nil {
		text, err = jsonrpc.AppendError(nil, id, r.err)
	} else {
		text, err = jsonrpc.AppendResult(nil, id, r.result)
	}
	if err != nil {
		s.k.Log.Error("an answer cannot be sent", "tid", s.k.TID, "error", err)
		return // the gateway asks
	}
	_ = s.conn.Send(text) // a link that is gone shows in serve
}

// do has the terminal do what a request says.
func (s *session) do(ctx context.Context, m jsonrpc.Message) reply {
	w, tables := s.term.(terminal.Waiter)
	switch m.Method {
	case methodStart:
		return handle(m.Params, func(f startForm) (form, error) {
			return started(s.term.Start(ctx, f.request()))
		}, s)
	case methodCancel:
		return handle(m.Params, func(f requestForm) (form, error) { return taken(s.term.Cancel(ctx, f.RequestID)) }, s)
	case methodAnswerSignature:
		return handle(m.Params, func(f signatureForm) (form, error) {
			return taken(s.term.AnswerSignature(ctx, f.RequestID, *f.Accepted))
		}, s)
	case methodAcknowledge:
		return handle(m.Params, func(f requestForm) (form, error) { return taken(s.term.Acknowledge(ctx, f.RequestID)) }, s)
	case methodQuery:
		return handle(m.Params, func(f requestForm) (form, error) { return s.query(ctx, f.RequestID) }, s)
	case methodLast:
		return handle(m.Params, func(emptyForm) (form, error) { return s.last(ctx) }, s)
	case methodAnswerTable:
		if !tables {
			break
		}
		return handle(m.Params, func(f answerTableForm) (form, error) {
			var err error
			for _, a := range f.answers() {
				err = w.AnswerTable(ctx, f.VisitID, a)
			}
			return taken(err)
		}, s)
	case methodQueryPayment:
		if !tables {
			break
		}
		return handle(m.Params, func(f queryPaymentForm) (form, error) {
			a, err := w.QueryPayment(ctx, f.VisitID, f.PaymentID)
			if err != nil {
				return nil, err
			}
			answer := paymentAnswerForm{Answer: a.Kind.String()}
			if a.Kind == terminal.Final {
				answer.Taken = &a.Taken
				if a.Taken {
					answer.Receipt = formReceipt(a.Receipt, s.currency)
				}
			}
			return answer, nil
		}, s)
	}
	return reply{err: noMethod()}
}

// handle reads the params and runs f. An error of the terminal's says to the
// gateway that what became of the request is not known; its text stays here.
func handle[F form](params jsontext.Value, f func(F) (form, error), s *session) reply {
	q, bad := decode[F]("/params", params)
	if bad != nil {
		return reply{err: bad}
	}
	result, err := f(q)
	if err != nil {
		s.k.Log.Warn("the terminal failed to answer", "tid", s.k.TID, "error", err)
		return reply{err: &jsonrpc.Error{Code: jsonrpc.InternalError, Message: "Internal error"}}
	}
	return reply{result: result}
}

// started makes an answer of what the terminal said to a start.
func started(err error) (form, error) {
	if err == nil {
		return startAnswerForm{Answer: answerAccepted}, nil
	}
	if errors.Is(err, terminal.ErrBusy) {
		return startAnswerForm{Answer: answerBusy}, nil
	}
	no, ok := refusal(err)
	if !ok {
		return nil, err
	}
	return startAnswerForm(no), nil
}

// taken makes an answer of what the terminal said to anything else.
func taken(err error) (form, error) {
	if err == nil {
		return answerForm{Answer: answerTaken}, nil
	}
	no, ok := refusal(err)
	if !ok {
		return nil, err
	}
	return no, nil
}

// refusal is the answer of a terminal that cannot do what was asked.
func refusal(err error) (answerForm, bool) {
	no, ok := errors.AsType[*terminal.RefusedError](err)
	if !ok {
		return answerForm{}, false
	}
	return answerForm{Answer: answerRefused, Reason: cut(no.Reason, maxText), UserMessage: cut(no.UserMessage, maxText)}, true
}

func (s *session) query(ctx context.Context, id txn.RequestID) (form, error) {
	a, err := s.term.Query(ctx, id)
	if err != nil {
		return nil, err
	}
	f := queryAnswerForm{Answer: a.Kind.String()}
	switch {
	case a.Outcome != nil:
		f.Outcome = formOutcome(*a.Outcome)
	case a.Report != nil:
		f.Report = formReport(*a.Report)
	}
	return f, nil
}

func (s *session) last(ctx context.Context) (form, error) {
	l, err := s.term.Last(ctx)
	if errors.Is(err, terminal.ErrNoLast) {
		return lastAnswerForm{Answer: answerNone}, nil
	}
	if no, ok := refusal(err); ok {
		return lastAnswerForm{Answer: no.Answer, Reason: no.Reason, UserMessage: no.UserMessage}, nil
	}
	if err != nil {
		return nil, err
	}
	f := lastAnswerForm{Answer: answerFound, Outcome: formOutcome(l.Outcome)}
	if l.ID != "" { // else the terminal made it by itself
		f.RequestID = &l.ID
	}
	return f, nil
}
