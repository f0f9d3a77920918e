package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/ws"
)

const tid txn.TID = "10001234"

// A fake is a terminal that says what the test says.
type fake struct {
	caps    terminal.Capabilities
	welcome []terminal.Event // told from within connect

	mu     sync.Mutex
	sinks  []terminal.Sink
	calls  []string
	err    error // what every call returns
	answer terminal.Answer
	pay    terminal.PaymentAnswer
	last   terminal.Last
	hold   chan struct{} // calls wait for it, if it is there
}

func newFake() *fake {
	return &fake{caps: terminal.Capabilities{
		Currency: money.GBP, Model: "M", Software: "S", Memory: "m1", Types: txn.RequestTypes(), Reports: report.Types(),
		Duplicate: true, Cashback: true, NotPresent: true, CancelAllowed: true,
	}}
}

func (f *fake) connect(sink terminal.Sink) terminal.Terminal {
	f.mu.Lock()
	f.sinks = append(f.sinks, sink)
	f.mu.Unlock()
	for _, e := range f.welcome {
		sink(e)
	}
	return f
}

func (f *fake) say(e terminal.Event) {
	f.mu.Lock()
	sink := f.sinks[len(f.sinks)-1]
	f.mu.Unlock()
	sink(e)
}

func (f *fake) called(ctx context.Context, format string, args ...any) error {
	f.mu.Lock()
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
	hold, err := f.hold, f.err
	f.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func (f *fake) heard() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

func (f *fake) Start(ctx context.Context, r terminal.Request) error {
	return f.called(ctx, "start %s %+v %s", r.ID, r.Txn, r.Report)
}

func (f *fake) Cancel(ctx context.Context, id txn.RequestID) error {
	return f.called(ctx, "cancel %s", id)
}

func (f *fake) AnswerSignature(ctx context.Context, id txn.RequestID, accepted bool) error {
	return f.called(ctx, "signature %s %t", id, accepted)
}

func (f *fake) Acknowledge(ctx context.Context, id txn.RequestID) error {
	return f.called(ctx, "acknowledge %s", id)
}

func (f *fake) Query(ctx context.Context, id txn.RequestID) (terminal.Answer, error) {
	return f.answer, f.called(ctx, "query %s", id)
}

func (f *fake) Last(ctx context.Context) (terminal.Last, error) {
	return f.last, f.called(ctx, "last")
}

func (f *fake) Capabilities() terminal.Capabilities { return f.caps }

// A waiter serves tables too.
type waiter struct{ *fake }

func (w *waiter) connect(sink terminal.Sink) terminal.Terminal {
	w.fake.connect(sink)
	return w
}

func (w *waiter) AnswerTable(ctx context.Context, v table.VisitID, a terminal.TableAnswer) error {
	return w.called(ctx, "%s %T%+v", v, a, a)
}

func (w *waiter) QueryPayment(ctx context.Context, v table.VisitID, p table.PaymentID) (terminal.PaymentAnswer, error) {
	return w.pay, w.called(ctx, "query %s %s", v, p)
}

// A stage has a machine run, and the test at the other end of its links.
type stage struct {
	t        *testing.T
	dialled  chan *ws.Conn // the gateway's ends, as they come
	standing chan Standing
	stop     context.CancelFunc
	done     chan error
}

// run starts a machine in a synctest bubble.
func run(t *testing.T, connect func(terminal.Sink) terminal.Terminal) *stage {
	return runWith(t, connect, func(*Machine) {})
}

func runWith(t *testing.T, connect func(terminal.Sink) terminal.Terminal, change func(*Machine)) *stage {
	s := &stage{t: t, dialled: make(chan *ws.Conn), standing: make(chan Standing, 100), done: make(chan error, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	s.stop = cancel
	m := Machine{
		TID: tid, Connect: connect, Watch: func(st Standing) { s.standing <- st },
		Dial: func(ctx context.Context) (*ws.Conn, error) {
			a, b := net.Pipe()
			near, far := ws.New(a, ws.Client, ws.Options{}), ws.New(b, ws.Server, ws.Options{})
			select {
			case s.dialled <- far:
				return near, nil
			case <-ctx.Done():
				near.Abort()
				far.Abort()
				return nil, ctx.Err()
			}
		},
	}
	change(&m)
	go func() { s.done <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-s.done; !errors.Is(err, context.Canceled) {
			t.Errorf("run: %v", err)
		}
	})
	return s
}

// A gate is the gateway's end of a link.
type gate struct {
	*Line
	term   terminal.Terminal
	events chan terminal.Event
}

// open greets the next link.
func (s *stage) open() *gate {
	s.t.Helper()
	c := <-s.dialled
	l, err := Greet(c, tid, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	g := &gate{Line: l, events: make(chan terminal.Event, 1000)}
	g.term = l.Connect(func(e terminal.Event) { g.events <- e })
	s.t.Cleanup(func() { <-c.Done() })
	return g
}

// got compares the events so far.
func (g *gate) got(t *testing.T, want ...terminal.Event) {
	t.Helper()
	synctest.Wait()
	var got []terminal.Event
	for len(g.events) > 0 {
		got = append(got, <-g.events)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func sample() []terminal.Event {
	return []terminal.Event{
		terminal.Notified{ID: "r1", Value: "PIN_ENTRY"},
		terminal.SignatureWanted{ID: "r1", Wish: txn.SignatureWish{Type: txn.Sale, AuthCode: "1"}},
		terminal.Ended{ID: "r1", Outcome: txn.Outcome{Type: txn.Sale, Result: txn.Successful, Currency: money.GBP, Base: 5, Time: time.Unix(9, 0).UTC()}},
		terminal.Reported{ID: "r2", Report: report.Report{Type: report.XBalance, Result: report.Complete}},
		terminal.StatusChanged{Busy: true},
		terminal.TablesWanted{Visit: "v1", Waiter: "3"},
		terminal.TableWanted{Visit: "v1", Waiter: "3", Table: "12"},
		terminal.BillWanted{Visit: "v1"},
		terminal.PaymentStarted{Visit: "v1", Payment: "p1", Asked: 5},
		terminal.PaymentEnded{Visit: "v1", Payment: "p1", Taken: true, Receipt: table.Receipt{Paid: 5, Gratuity: 1}},
		terminal.PaymentEnded{Visit: "v1", Payment: "p2"},
		terminal.VisitLeft{Visit: "v1", Why: "paid"},
		terminal.ReportMade{ID: "t1", Report: report.Report{Type: report.Banking, Result: report.Complete}},
	}
}

// TestEvents: what a terminal says arrives, in its order, also what it says
// before the gateway listens; what it says over a link that is gone is not kept
// for the next.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &waiter{newFake()}
		f.welcome = sample()[:2]
		s := run(t, f.connect)
		g := s.open()
		g.got(t, sample()[:2]...)
		for _, e := range sample() {
			f.say(e)
		}
		g.got(t, sample()...)
		if diff := cmp.Diff(f.caps, g.term.Capabilities()); diff != "" {
			t.Errorf("capabilities (-want +got):\n%s", diff)
		}
		g.conn.Abort()
		synctest.Wait()
		f.say(sample()[0])
		g.got(t, terminal.WentAway{})
		s.open().got(t, sample()[:2]...)
	})
}

// TestRequests: each request arrives as it was, and its answer comes back.
func TestRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &waiter{newFake()}
		g := run(t, f.connect).open()
		ctx := t.Context()
		w := g.term.(terminal.Waiter)
		sale := txn.Request{Type: txn.Sale, Currency: money.GBP, Amount: 5, Cashback: 1, CardholderNotPresent: true, AuthCode: "A", PreAuthorisedTotal: 9}
		f.answer = terminal.Answer{Kind: terminal.Final, Outcome: &txn.Outcome{Type: txn.Sale, Result: txn.Declined, Currency: money.GBP, Base: 5}}
		f.last = terminal.Last{ID: "r1", Outcome: *f.answer.Outcome}
		f.pay = terminal.PaymentAnswer{Kind: terminal.Final, Taken: true, Receipt: table.Receipt{Paid: 5}}
		for _, err := range []error{
			g.term.Start(ctx, terminal.Request{ID: "r1", Txn: sale}),
			g.term.Start(ctx, terminal.Request{ID: "r2", Report: report.EndOfDay}),
			g.term.Cancel(ctx, "r1"), g.term.AnswerSignature(ctx, "r1", true), g.term.Acknowledge(ctx, "r1"),
			w.AnswerTable(ctx, "v1", terminal.TableLock{Granted: true, Amount: 7, Currency: money.GBP}),
		} {
			if err != nil {
				t.Error(err)
			}
		}
		answer, err := g.term.Query(ctx, "r1")
		if diff := cmp.Diff(f.answer, answer); diff != "" || err != nil {
			t.Errorf("query: %v %s", err, diff)
		}
		last, err := g.term.Last(ctx)
		if diff := cmp.Diff(f.last, last); diff != "" || err != nil {
			t.Errorf("last: %v %s", err, diff)
		}
		pay, err := w.QueryPayment(ctx, "v1", "p1")
		if diff := cmp.Diff(f.pay, pay); diff != "" || err != nil {
			t.Errorf("query of a payment: %v %s", err, diff)
		}
		want := []string{
			fmt.Sprintf("start r1 %+v ", sale), fmt.Sprintf("start r2 %+v END_OF_DAY", txn.Request{}),
			"cancel r1", "signature r1 true", "acknowledge r1", "v1 terminal.TableLock{Granted:true Amount:7 Currency:GBP Message:}",
			"query r1", "last", "query v1 p1",
		}
		if diff := cmp.Diff(want, f.heard()); diff != "" {
			t.Errorf("the terminal heard (-want +got):\n%s", diff)
		}
	})
}

// TestAnswers: what a terminal says to a request means the same at the other
// end; what it cannot say leaves open what became of it.
func TestAnswers(t *testing.T) {
	no := &terminal.RefusedError{Reason: "no " + strings.Repeat("x", 500), UserMessage: "No."}
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		g := run(t, f.connect).open()
		start := func() error { return g.term.Start(t.Context(), terminal.Request{ID: "r1", Report: report.XBalance}) }
		last := func() error { _, err := g.term.Last(t.Context()); return err }
		cancel := func() error { return g.term.Cancel(t.Context(), "r1") }
		for _, tt := range []struct {
			name string
			err  error
			call func() error
			want func(error) bool
		}{
			{"busy", terminal.ErrBusy, start, func(err error) bool { return errors.Is(err, terminal.ErrBusy) }},
			{"refused", no, start, refuses},
			{"cancel refused", no, cancel, refuses},
			{"last refused", no, last, refuses},
			{"none", terminal.ErrNoLast, last, func(err error) bool { return errors.Is(err, terminal.ErrNoLast) }},
			{"failed", errors.New("what went wrong inside"), start, unclear},
			{"busy for a cancel", terminal.ErrBusy, cancel, unclear},
		} {
			f.mu.Lock()
			f.err = tt.err
			f.mu.Unlock()
			if err := tt.call(); !tt.want(err) || strings.Contains(err.Error(), "inside") {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
		for _, kind := range terminal.AnswerKinds() {
			f.mu.Lock()
			f.err, f.answer = nil, terminal.Answer{Kind: kind}
			f.mu.Unlock()
			got, err := g.term.Query(t.Context(), "r1")
			if kind == terminal.Final { // of what?
				if !unclear(err) {
					t.Errorf("an end without an outcome: %v", err)
				}
			} else if err != nil || got.Kind != kind {
				t.Errorf("%s came as %s, %v", kind, got.Kind, err)
			}
		}
		if _, ok := g.term.(terminal.Waiter); ok {
			t.Error("a terminal that serves no tables is a waiter")
		}
	})
}

func refuses(err error) bool {
	no, ok := errors.AsType[*terminal.RefusedError](err)
	return ok && strings.HasPrefix(no.Reason, "no x") && no.UserMessage == "No."
}

// unclear reports whether an error leaves open what became of a request.
func unclear(err error) bool {
	_, refused := errors.AsType[*terminal.RefusedError](err)
	return err != nil && !refused && !errors.Is(err, terminal.ErrBusy) && !errors.Is(err, terminal.ErrNotDelivered)
}

// TestNotDelivered: only what certainly did not leave is called undelivered.
func TestNotDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.hold = make(chan struct{})
		s := run(t, f.connect)
		g := s.open()
		start := func(ctx context.Context) error {
			return g.term.Start(ctx, terminal.Request{ID: "r1", Report: report.XBalance})
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := start(impatient); !unclear(err) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a start that is not answered: %v", err)
		}
		errs := make(chan error, 1)
		go func() { errs <- start(t.Context()) }()
		synctest.Wait()
		g.conn.Abort()
		if err := <-errs; !unclear(err) {
			t.Errorf("a start whose link was lost: %v", err)
		}
		if err := start(t.Context()); !errors.Is(err, terminal.ErrNotDelivered) {
			t.Errorf("a start over a link that was gone: %v", err)
		}
		if got := f.heard(); len(got) != 1 { // the second lay behind the first, and is dead
			t.Errorf("the terminal heard %v", got)
		}
		s.open()
	})
}

// TestStale: what lies in a link when the next one is dialled is never done, and
// what is being done is over before.
func TestStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.hold = make(chan struct{})
		s := run(t, f.connect)
		g := s.open()
		for _, id := range []txn.RequestID{"r1", "r2", "r3"} {
			go g.term.Start(t.Context(), terminal.Request{ID: id, Report: report.XBalance}) //nolint:errcheck // lost
			synctest.Wait()
		}
		g.conn.Abort()
		s.open()
		close(f.hold)
		synctest.Wait()
		if got := f.heard(); len(got) != 1 || !strings.HasPrefix(got[0], "start r1") {
			t.Errorf("the terminal began %v, want r1 only", got)
		}
	})
}

// TestInOrder: requests are dealt with in the order in which they came, and
// pings meanwhile.
func TestInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.hold = make(chan struct{})
		g := run(t, f.connect).open()
		var all sync.WaitGroup
		want := []string{}
		for i := range 20 {
			id := txn.RequestID(fmt.Sprint("r", i))
			want = append(want, "cancel "+string(id))
			all.Go(func() {
				if err := g.term.Cancel(t.Context(), id); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		answered := make(chan struct{})
		if err := g.conn.Ping(func() { close(answered) }); err != nil {
			t.Fatal(err)
		}
		<-answered
		close(f.hold)
		all.Wait()
		if diff := cmp.Diff(want, f.heard()); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	})
}

// TestTooManyRequests: more than a terminal holds are turned away unheard.
func TestTooManyRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.hold = make(chan struct{})
		g := run(t, f.connect).open()
		errs := make(chan error, 100)
		for range 100 {
			go func() { errs <- g.term.Cancel(t.Context(), "r1") }()
		}
		synctest.Wait()
		refused := len(errs)
		close(f.hold)
		for range 100 {
			<-errs
		}
		if refused != 100-maxWaiting-1 || len(f.heard()) != maxWaiting+1 {
			t.Errorf("%d were refused, %d heard", refused, len(f.heard()))
		}
	})
}

// TestRestarted: that a terminal lost power is said in each hello until one was
// answered, and not again.
func TestRestarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.welcome = []terminal.Event{terminal.CameBack{Restarted: true}}
		s := run(t, f.connect)
		c := <-s.dialled
		if _, err := c.Read(); err != nil { // the hello, which is not answered
			t.Fatal(err)
		}
		f.mu.Lock()
		f.welcome = nil
		f.mu.Unlock()
		c.Abort()
		g := s.open()
		g.got(t, terminal.CameBack{Restarted: true})
		g.conn.Abort()
		s.open().got(t)
	})
}

// TestAway: a terminal that goes away by its own word is not linked until it is
// back; then it is, and what it said of itself is passed on.
func TestAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s := run(t, f.connect)
		g := s.open()
		f.say(terminal.WentAway{})
		g.got(t, terminal.WentAway{})
		f.say(terminal.StatusChanged{Busy: true}) // from afar
		time.Sleep(time.Hour)
		select {
		case <-s.dialled:
			t.Fatal("it was linked while it was away")
		default:
		}
		f.say(terminal.CameBack{Restarted: true})
		f.say(terminal.StatusChanged{Busy: true}) // it belongs to the old link
		s.open().got(t, terminal.CameBack{Restarted: true})
	})
}

// TestPauses: dials that fail are tried again more and more slowly, up to the
// longest pause. A link that held for a second begins anew, so that gateways that
// restart often find their terminals soon; one that was closed with 1008 has to
// have held longer.
func TestPauses(t *testing.T) {
	for set, most := range map[time.Duration]time.Duration{0: LongestPause, 2 * time.Second: 2 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s := runWith(t, newFake().connect, func(m *Machine) {
				if set > 0 {
					m.Pause = Pauses(set)
				}
			})
			waits := func(then func(*ws.Conn)) time.Duration {
				began := time.Now()
				c := <-s.dialled
				waited := time.Since(began)
				then(c)
				return waited
			}
			abort := func(c *ws.Conn) { c.Abort() }
			between := func(what string, d, least, most time.Duration) {
				t.Helper()
				if d < least || d > most {
					t.Errorf("%s the pause is %v, want %v to %v", what, d, least, most)
				}
			}
			last := func(up time.Duration, end func(*ws.Conn)) func(*ws.Conn) {
				return func(c *ws.Conn) {
					if _, err := Greet(c, tid, nil); err != nil {
						t.Fatal(err)
					}
					time.Sleep(up)
					end(c)
					_, _ = c.Read()
					<-c.Done()
				}
			}
			pushedOff := func(c *ws.Conn) { c.StartClose(ws.Policy, "a newer connection of this terminal took over") }
			first := 100 * time.Millisecond
			waits(abort)
			for i := range 12 {
				d := min(first<<i, most)
				between(fmt.Sprintf("after %d failures", i), waits(abort), d/2, d)
			}
			between("before a good link", waits(last(time.Minute, abort)), most/2, most)
			for range 20 { // a gateway that is killed every other second
				between("after a link that held", waits(last(2*time.Second, abort)), first/2, first)
			}
			waits(abort)
			between("after a failure", waits(last(0, abort)), first, 2*first)
			between("after a link that did not hold", waits(last(11*time.Second, pushedOff)), 2*first, 4*first)
			between("after a long link that was pushed off", waits(last(5*time.Second, pushedOff)), first/2, first)
			between("after a short one", waits(last(5*time.Second, pushedOff)), first, 2*first)
			between("after another", waits(abort), 2*first, 4*first)
		})
	}
}

// TestRetryAfter: a gateway that says when it wants to be dialled again is not
// dialled before, nor, should it have said something wild, much later.
func TestRetryAfter(t *testing.T) {
	for _, tt := range []struct {
		header string
		least  time.Duration
	}{{"7", 7 * time.Second}, {"", 0}, {"soon", 0}, {"-3", 0}, {"99999999999", longestRetry}} {
		synctest.Test(t, func(t *testing.T) {
			var dials []time.Time
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			_ = Machine{TID: tid, Connect: newFake().connect, Dial: func(context.Context) (*ws.Conn, error) {
				if dials = append(dials, time.Now()); len(dials) == 4 {
					cancel()
				}
				return nil, &ws.RefusedError{Status: 503, Header: http.Header{"Retry-After": {tt.header}}}
			}}.Run(ctx)
			for i := range 3 {
				most := max(tt.least*5/4, 100*time.Millisecond<<i)
				if d := dials[i+1].Sub(dials[i]); d < tt.least || d > most {
					t.Errorf("Retry-After %q: pause %d is %v, want %v to %v", tt.header, i, d, tt.least, most)
				}
			}
		})
	}
}

// TestRejected: a machine that the gateway will not have does not dial again.
func TestRejected(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		stop bool
	}{
		{"unknown key", &ws.RefusedError{Status: 401, Body: []byte(`{"userMessage":"not known here"}`)}, true},
		{"till's key", &ws.RefusedError{Status: 403, Body: []byte(`{"userMessage":"for tills"}`)}, true},
		{"old version", &ws.RefusedError{Status: 400, Body: []byte(`{"userMessage":"link-version"}`)}, true},
		{"a proxy", &ws.RefusedError{Status: 502, Body: []byte(`<html>`)}, false},
		{"stopping", &ws.RefusedError{Status: 503}, false},
		{"nobody", errors.New("connection refused"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dials := 0
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				err := Machine{TID: tid, Connect: newFake().connect, Dial: func(context.Context) (*ws.Conn, error) {
					dials++
					return nil, tt.err
				}}.Run(ctx)
				_, rejected := errors.AsType[*RejectedError](err)
				if rejected != tt.stop || rejected && dials != 1 || !rejected && dials < 5 {
					t.Errorf("%v after %d dials", err, dials)
				}
			})
		})
	}
}

// TestHelloRefused: who does not say a proper hello is told why and let go.
func TestHelloRefused(t *testing.T) {
	hello := func(with string) string {
		return `{"jsonrpc":"2.0","id":3,"method":"hello","params":{"tid":"10001234","linkVersion":1,"capabilities":{"currency":"GBP","types":["SALE"]}` + with + `}}`
	}
	other := strings.Replace(hello(""), "10001234", "10001235", 1)
	for _, tt := range []struct{ name, says, answer string }{
		{"not JSON", `hello`, `"code":-32700`},
		{"an event", `{"jsonrpc":"2.0","method":"statusChanged","params":{"busy":true}}`, `must be the request hello`},
		{"another request", `{"jsonrpc":"2.0","id":3,"method":"start","params":{}}`, `{"jsonrpc":"2.0","id":3,"error":{"code":-32600,`},
		{"another TID", other, `/params/tid is not the TID that the key is for`},
		{"another version", strings.Replace(hello(""), `"linkVersion":1`, `"linkVersion":2`, 1), `/params/linkVersion must be 1`},
		{"no capabilities", strings.Replace(hello(""), `"capabilities"`, `"capability"`, 1), `/params/capabilities/currency is required`},
		{"a null", hello(`,"model":null`), `/params/model is null`},
		{"a name twice", hello(`,"tid":"10001234"`), `"error"`},
		{"nothing", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := net.Pipe()
				near, far := ws.New(a, ws.Client, ws.Options{}), ws.New(b, ws.Server, ws.Options{})
				failed := make(chan error, 1)
				began := time.Now()
				go func() {
					_, err := Greet(far, tid, nil)
					failed <- err
				}()
				if tt.says != "" {
					if err := near.Send([]byte(tt.says)); err != nil {
						t.Fatal(err)
					}
				}
				text, err := near.Read()
				if tt.answer == "" {
					if ce, ok := errors.AsType[*ws.CloseError](err); !ok || ce.Code != ws.Policy || time.Since(began) < helloLimit {
						t.Errorf("silence: %s %v after %v", text, err, time.Since(began))
					}
				} else if !strings.Contains(string(text), tt.answer) {
					t.Errorf("answer %s %v, want %s", text, err, tt.answer)
				}
				if err := <-failed; err == nil {
					t.Error("it was let in")
				}
				for err == nil {
					_, err = near.Read()
				}
				<-far.Done()
				<-near.Done()
			})
		})
	}
}

// TestBadWelcome: a machine does not go on with what is no welcome.
func TestBadWelcome(t *testing.T) {
	for name, answer := range map[string]string{
		"not JSON": `{`, "a request": `{"jsonrpc":"2.0","id":1,"method":"query","params":{"requestId":"r1"}}`,
		"another id": `{"jsonrpc":"2.0","id":2,"result":{"linkVersion":1}}`, "no version": `{"jsonrpc":"2.0","id":1,"result":{}}`, "silence": "",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				s := run(t, f.connect)
				c := <-s.dialled
				go func() {
					for {
						if _, err := c.Read(); err != nil {
							return
						}
					}
				}()
				if answer != "" {
					if err := c.Send([]byte(answer)); err != nil {
						t.Fatal(err)
					}
				}
				if st := <-s.standing; st.Up || st.Err == nil {
					t.Errorf("it stands %+v", st)
				}
				<-c.Done()
				s.open()
				if len(f.heard()) > 0 {
					t.Errorf("the terminal was asked: %v", f.heard())
				}
			})
		})
	}
	for answer, reason := range map[string]string{
		`{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"/params/tid"}}`: "/params/tid",
		`{"jsonrpc":"2.0","id":1,"result":{"linkVersion":2}}`:                      "version 2 of the terminal link, and this terminal version 1",
		`{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"crashed"}}`:     "", // may not come again
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			dials := 0
			err := Machine{TID: tid, Connect: newFake().connect, Dial: func(context.Context) (*ws.Conn, error) {
				dials++
				near, far := net.Pipe()
				c := ws.New(far, ws.Server, ws.Options{})
				go func() {
					if _, err := c.Read(); err == nil {
						_ = c.Send([]byte(answer))
					}
					_, _ = c.Read()
				}()
				return ws.New(near, ws.Client, ws.Options{}), nil
			}}.Run(ctx)
			rejected, ok := errors.AsType[*RejectedError](err)
			switch {
			case reason == "" && (ok || dials < 5):
				t.Errorf("%s: %v after %d dials", answer, err, dials)
			case reason != "" && (!ok || dials != 1 || !strings.Contains(rejected.Reason, reason)):
				t.Errorf("%s: %v after %d dials", answer, err, dials)
			}
			synctest.Wait()
		})
	}
}

// TestBadEvents: what the gateway cannot use it says so about, hears no more of,
// and after too much of it lets the machine go.
func TestBadEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		near, far := ws.New(a, ws.Client, ws.Options{}), ws.New(b, ws.Server, ws.Options{})
		lines := make(chan *Line, 1)
		go func() {
			l, err := Greet(far, tid, nil)
			if err != nil {
				t.Error(err)
			}
			lines <- l
		}()
		say := func(text string) {
			if err := near.Send([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		hear := func() string {
			text, err := near.Read()
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		say(`{"jsonrpc":"2.0","id":1,"method":"hello","params":{"tid":"10001234","linkVersion":1,"capabilities":{"currency":"GBP","types":[]}}}`)
		if got := hear(); got != `{"jsonrpc":"2.0","id":1,"result":{"linkVersion":1}}` {
			t.Errorf("welcome %s", got)
		}
		g := &gate{events: make(chan terminal.Event, 10)}
		g.Line = <-lines
		g.term = g.Connect(func(e terminal.Event) { g.events <- e })
		said := 0
		for _, tt := range []struct{ says, hears string }{
			{`{"jsonrpc":"2.0","method":"ended","params":{"requestId":"r1","outcome":{"type":"SALE","result":"PAID","currency":"GBP","amountBase":1}}}`, `{"jsonrpc":"2.0","error":{"code":-32602,"message":"Invalid params: /params/outcome/result must be one of`},
			{`{"jsonrpc":"2.0","method":"ended","params":{"requestId":"r1"}}`, `/params/outcome is required`},
			{`{"jsonrpc":"2.0","method":"` + strings.Repeat("m", 10_000) + `"}`, `-32601`},
			{`{"jsonrpc":"2.0","id":9,"method":"hello","params":{}}`, `{"jsonrpc":"2.0","id":9,"error":{"code":-32601`},
			{`not JSON`, `-32700`},
			{`[]`, `-32600`},
		} {
			say(tt.says)
			if got := hear(); !strings.Contains(got, tt.hears) || len(got) > 500 {
				t.Errorf("to %.60s the gateway says %s", tt.says, got)
			}
			said++
		}
		say(`{"jsonrpc":"2.0","id":77,"result":{}}`) // an answer to nothing
		g.got(t)
		say(`{"jsonrpc":"2.0","method":"statusChanged","params":{"busy":true,"since":"later versions may"}}`)
		g.got(t, terminal.StatusChanged{Busy: true})
		go func() {
			for range faultsTolerated {
				_ = near.Send([]byte(`{`))
			}
		}()
		var err error
		for err == nil {
			_, err = near.Read()
		}
		if ce, ok := errors.AsType[*ws.CloseError](err); !ok || ce.Code != ws.Policy {
			t.Errorf("after too many: %v", err)
		}
		<-far.Done()
		<-near.Done()
		g.got(t, terminal.WentAway{})
	})
}

// TestBadRequests: what a terminal cannot use it answers so, and does nothing.
func TestBadRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		s := run(t, f.connect)
		c := <-s.dialled
		if _, err := c.Read(); err != nil {
			t.Fatal(err)
		}
		if err := c.Send([]byte(`{"jsonrpc":"2.0","id":1,"result":{"linkVersion":1}}`)); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct{ says, hears string }{
			{`{"jsonrpc":"2.0","id":5,"method":"start","params":{"requestId":"r1"}}`, `{"jsonrpc":"2.0","id":5,"error":{"code":-32602,"message":"Invalid params: /params/transaction is required`},
			{`{"jsonrpc":"2.0","id":5,"method":"start","params":{"requestId":"r1","transaction":{"type":"SALE","currency":"GBP"}}}`, `/params/transaction/amountBase is required`},
			{`{"jsonrpc":"2.0","id":5,"method":"query"}`, `/params/requestId is required`},
			{`{"jsonrpc":"2.0","id":5,"method":"answerTable","params":{"visitId":"v1","bill":{}}}`, `-32601`},
			{`{"jsonrpc":"2.0","id":5,"method":"selfDestruct"}`, `-32601`},
			{`{`, `-32700`},
			{`{"jsonrpc":"2.0","method":"news","params":{}}` + "\n" + `{}`, `-32700`},
		} {
			if err := c.Send([]byte(tt.says)); err != nil {
				t.Fatal(err)
			}
			text, err := c.Read()
			if err != nil || !strings.Contains(string(text), tt.hears) {
				t.Errorf("to %s the terminal says %s %v", tt.says, text, err)
			}
		}
		for _, quiet := range []string{
			`{"jsonrpc":"2.0","method":"news","params":{}}`, `{"jsonrpc":"2.0","id":5,"result":{}}`,
			`{"jsonrpc":"2.0","error":{"code":-32602,"message":"what you said"}}`, `{"jsonrpc":"2.0","id":5,"result":{},"error":{"code":1,"message":"both"}}`,
		} {
			if err := c.Send([]byte(quiet)); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Send([]byte(`{"jsonrpc":"2.0","id":6,"method":"cancel","params":{"requestId":"r1"}}`)); err != nil {
			t.Fatal(err)
		}
		text, err := c.Read()
		if err != nil || string(text) != `{"jsonrpc":"2.0","id":6,"result":{"answer":"taken"}}` {
			t.Errorf("afterwards: %s %v", text, err)
		}
		if diff := cmp.Diff([]string{"cancel r1"}, f.heard()); diff != "" {
			t.Errorf("the terminal heard %s", diff)
		}
		s.stop()
		for err == nil {
			_, err = c.Read()
		}
		<-c.Done()
	})
}

// TestDialler: the address is made whole, and no error repeats it.
func TestDialler(t *testing.T) {
	for _, bad := range []string{"", "http://127.0.0.1/terminal?token=secret", "ws://?token=secret", "ws://h/terminal?token=secret%zz", "\x00secret", "ws://h/pac?token=secret", "ws://h/terminal?key=secret", "ws://h/?token="} {
		if _, err := Dialler(bad, nil, nil); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan string, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			asked <- err.Error()
			return
		}
		defer c.Close()
		head := make([]byte, 4096)
		n, _ := c.Read(head)
		asked <- string(head[:n])
		_, _ = io.WriteString(c, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 23\r\nConnection: close\r\n\r\n{\"userMessage\":\"Never\"}")
	}()
	dial, err := Dialler("ws://"+l.Addr().String()+"?token=secret#x", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = dial(t.Context())
	if head := <-asked; !strings.HasPrefix(head, "GET /terminal?link-version=1&token=secret HTTP/1.1\r\n") {
		t.Errorf("it asked %q", head)
	}
	if rejected, ok := errors.AsType[*RejectedError](rejection(err)); !ok || rejected.Reason != "401 Unauthorized: Never" {
		t.Errorf("refused with %v", err)
	}
	l.Close()
	if _, err = dial(t.Context()); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("nobody there: %v", err)
	}
	for _, good := range []string{"ws://h:1?token=s", "wss://h/Terminal/?token=s", " wss://h/behind/a/proxy/terminal?token=s&link-version=1\n"} {
		if _, err := Dialler(good, nil, nil); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

// TestVersions: an address without the version, or with another, is refused with
// a text that says what to write.
func TestVersions(t *testing.T) {
	if err := CheckVersion("1"); err != nil {
		t.Error(err)
	}
	for _, v := range []string{"", "0", "2", "01", "v1", strings.Repeat("9", 1000)} {
		if err := CheckVersion(v); err == nil || !strings.Contains(err.Error(), "link-version=1") || len(err.Error()) > 100 {
			t.Errorf("%.10q: %v", v, err)
		}
	}
}

var _ jsonrpc.Channel = (*channel)(nil)
