package jsonrpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creachadair/jrpc2"
	"github.com/creachadair/jrpc2/channel"
	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A line is one end of an in-memory channel that never blocks the sender.
type line struct {
	in, out chan []byte
	closed  chan struct{} // shared by both ends
	once    *sync.Once
}

func lines() (a, b *line) {
	x, y := make(chan []byte, 1000), make(chan []byte, 1000)
	closed, once := make(chan struct{}), new(sync.Once)
	return &line{x, y, closed, once}, &line{y, x, closed, once}
}

func (l *line) Read() ([]byte, error) {
	select {
	case m := <-l.in:
		return m, nil
	default:
	}
	select {
	case m := <-l.in:
		return m, nil
	case <-l.closed:
		return nil, io.EOF
	}
}

func (l *line) Send(m []byte) error {
	select {
	case <-l.closed:
		return io.ErrClosedPipe
	default:
		l.out <- m
		return nil
	}
}

func (l *line) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// say sends raw text; hear reads the next message as text.
func (l *line) say(t *testing.T, s string) {
	t.Helper()
	if err := l.Send([]byte(s)); err != nil {
		t.Fatal(err)
	}
}

func (l *line) hear(t *testing.T) string {
	t.Helper()
	m, err := l.Read()
	if err != nil {
		t.Fatal(err)
	}
	return string(m)
}

func wantText(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// inBubble runs a test against one peer, whose other end is held by hand.
func inBubble(t *testing.T, h Handler, f func(t *testing.T, p *Peer, far *line)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		near, far := lines()
		p := NewPeer(near, h)
		f(t, p, far)
		_ = p.Close()
		<-p.Done()
	})
}

// async makes a call and returns where its error will be.
func async(f func() error) <-chan error {
	c := make(chan error, 1)
	go func() { c <- f() }()
	return c
}

func TestCall(t *testing.T) {
	inBubble(t, Handler{}, func(t *testing.T, p *Peer, far *line) {
		ctx := context.Background()
		type answer struct {
			TID string `json:"tid"`
		}
		var one, two answer
		var raw jsontext.Value
		first := async(func() error {
			return p.Call(ctx, "terminalDetails", map[string]string{"tid": "1"}, &one)
		})
		wantText(t, far.hear(t), `{"jsonrpc":"2.0","id":1,"method":"terminalDetails","params":{"tid":"1"}}`)
		second := async(func() error { return p.Call(ctx, "b", nil, &two) })
		wantText(t, far.hear(t), `{"jsonrpc":"2.0","id":2,"method":"b"}`)
		third := async(func() error { return p.Call(ctx, "c", nil, &raw) })
		wantText(t, far.hear(t), `{"jsonrpc":"2.0","id":3,"method":"c"}`)
		fourth := async(func() error { return p.Call(ctx, "d", nil, nil) })
		wantText(t, far.hear(t), `{"jsonrpc":"2.0","id":4,"method":"d"}`)

		// Answers in any order.
		far.say(t, `{"jsonrpc":"2.0","id":3,"result":[1, 2]}`)
		far.say(t, `{"jsonrpc":"2.0","id":2,"error":{"code":-32071,"message":"Terminal Busy"}}`)
		far.say(t, `{"jsonrpc":"2.0","id":4,"result":{}}`)
		far.say(t, `{"jsonrpc":"2.0","id":1,"result":{"tid":"x"}}`)
		for i, c := range []<-chan error{first, third, fourth} {
			if err := <-c; err != nil {
				t.Errorf("call %d: %v", i, err)
			}
		}
		if err := <-second; !errors.Is(err, &Error{Code: -32071}) {
			t.Errorf("an error answer came as %v", err)
		}
		if one.TID != "x" || two.TID != "" || string(raw) != "[1, 2]" {
			t.Errorf("got %+v, %+v, %s", one, two, raw)
		}
		bad := async(func() error { return p.Call(ctx, "e", nil, &one) })
		_ = far.hear(t)
		far.say(t, `{"jsonrpc":"2.0","id":5,"result":[]}`)
		if err := <-bad; err == nil {
			t.Error("an array was read as an object")
		}
		if err := p.Call(ctx, "f", func() {}, nil); err == nil {
			t.Error("a func was sent")
		}
		if len(p.open) != 0 {
			t.Errorf("%d ids are still taken", len(p.open))
		}
	})
}

func TestConstantID(t *testing.T) {
	inBubble(t, Handler{}, func(t *testing.T, p *Peer, far *line) {
		ctx := context.Background()
		for range 3 {
			c := async(func() error { return p.CallWithID(ctx, 7, "sale", nil, nil) })
			wantText(t, far.hear(t), `{"jsonrpc":"2.0","id":7,"method":"sale"}`)
			if err := p.CallWithID(ctx, 7, "sale", nil, nil); !errors.Is(err, ErrIDInFlight) {
				t.Errorf("the same id again: %v", err)
			}
			far.say(t, `{"jsonrpc":"2.0","id":7,"result":{}}`)
			if err := <-c; err != nil {
				t.Error(err)
			}
		}
		for _, id := range []ID{-1, MaxID + 1} {
			if err := p.CallWithID(ctx, id, "sale", nil, nil); err == nil {
				t.Errorf("id %d was taken", id)
			}
		}
	})
}

func TestIDsWrap(t *testing.T) {
	inBubble(t, Handler{}, func(t *testing.T, p *Peer, far *line) {
		ctx := context.Background()
		p.next = MaxID - 2
		held := async(func() error { return p.CallWithID(ctx, 1, "held", nil, nil) })
		_ = far.hear(t)
		for _, want := range []ID{MaxID - 1, MaxID, 2, 3} {
			c := async(func() error { return p.Call(ctx, "m", nil, nil) })
			wantText(t, far.hear(t), fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"m"}`, want))
			far.say(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":{}}`, want))
			if err := <-c; err != nil {
				t.Error(err)
			}
		}
		far.say(t, `{"jsonrpc":"2.0","id":1,"result":{}}`)
		if err := <-held; err != nil {
			t.Error(err)
		}
	})
}

func TestGivingUpKeepsTheID(t *testing.T) {
	inBubble(t, Handler{}, func(t *testing.T, p *Peer, far *line) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err := p.CallWithID(ctx, 5, "sale", nil, nil)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "not known") {
			t.Errorf("gave up with %v", err)
		}
		_ = far.hear(t)
		if err := p.CallWithID(context.Background(), 5, "sale", nil, nil); !errors.Is(err, ErrIDInFlight) {
			t.Errorf("the id was given away: %v", err)
		}
		far.say(t, `{"jsonrpc":"2.0","id":5,"result":{}}`)
		synctest.Wait()
		c := async(func() error { return p.CallWithID(context.Background(), 5, "sale", nil, nil) })
		_ = far.hear(t)
		far.say(t, `{"jsonrpc":"2.0","id":5,"result":{}}`)
		if err := <-c; err != nil {
			t.Error(err)
		}
		if err := p.Call(ctx, "sale", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a call that was over before: %v", err)
		}
		if n := len(far.in); n != 0 {
			t.Errorf("%d messages were sent for it", n)
		}
	})
}

func TestLostConnection(t *testing.T) {
	inBubble(t, Handler{}, func(t *testing.T, p *Peer, far *line) {
		ctx := context.Background()
		var calls []<-chan error
		for range 5 {
			calls = append(calls, async(func() error { return p.Call(ctx, "sale", nil, nil) }))
			_ = far.hear(t)
		}
		if p.Err() != nil {
			t.Errorf("ended with %v", p.Err())
		}
		_ = far.Close()
		for _, c := range calls {
			err := <-c
			lost, ok := errors.AsType[*LostError](err)
			if !ok || lost.Method != "sale" || !errors.Is(err, io.EOF) || !strings.Contains(err.Error(), "not known") {
				t.Errorf("ended with %v", err)
			}
		}
		<-p.Done()
		err := p.Call(ctx, "sale", nil, nil)
		if _, lost := errors.AsType[*LostError](err); err == nil || lost || !errors.Is(err, io.EOF) {
			t.Errorf("a call that was never sent: %v", err)
		}
		if err := p.Notify("n", nil); err == nil {
			t.Error("a notification after the end")
		}
	})
}

// A refused send leaves the outcome open: part of it may have left.
func TestSendFails(t *testing.T) {
	near, _ := lines()
	p := NewPeer(failing{near}, Handler{})
	_, ok := errors.AsType[*LostError](p.Call(t.Context(), "sale", nil, nil))
	if !ok || len(p.open) != 0 {
		t.Errorf("got a *LostError: %v; %d ids taken", ok, len(p.open))
	}
	_ = p.Close()
	<-p.Done()
}

type failing struct{ Channel }

func (failing) Send([]byte) error { return io.ErrShortWrite }

func TestStrays(t *testing.T) {
	var strays []string
	h := Handler{Stray: func(err error) { strays = append(strays, err.Error()) }}
	inBubble(t, h, func(t *testing.T, p *Peer, far *line) {
		call := async(func() error { return p.Call(context.Background(), "sale", nil, nil) })
		_ = far.hear(t)
		// None of these may end the call, though it is the only one.
		far.say(t, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request: id 1 is in flight"}}`)
		far.say(t, `{"jsonrpc":"2.0","id":2,"result":{}}`)
		far.say(t, `{"jsonrpc":"2.0","id":"1","result":{}}`)
		far.say(t, `nonsense`)
		far.say(t, `{"jsonrpc":"2.0","id":1,"method":"sale"}`) // their own id 1 is not ours
		wantText(t, far.hear(t), `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found: sale"}}`)
		synctest.Wait()
		select {
		case err := <-call:
			t.Fatalf("the call ended: %v", err)
		default:
		}
		want := []string{
			"Invalid Request: id 1 is in flight (-32600)",
			"an answer with id 2, which is not in flight",
			"Invalid Request: /id must be an integer from 0 to 999999",
			"Parse error: not JSON at byte 1",
		}
		if strings.Join(strays, "\n") != strings.Join(want, "\n") {
			t.Errorf("strays:\n%s", strings.Join(strays, "\n"))
		}
		far.say(t, `{"jsonrpc":"2.0","id":1,"result":{}}`)
		if err := <-call; err != nil {
			t.Error(err)
		}
	})
}

func TestServing(t *testing.T) {
	var order []string
	var inside []error
	free := make(chan struct{})
	h := Handler{
		Notification: func(method string, _ jsontext.Value) { order = append(order, method) },
		Stray:        func(err error) { inside = append(inside, err) },
		Request: func(ctx context.Context, id ID, method string, params jsontext.Value) (any, error) {
			switch method {
			case "echo":
				return params, nil
			case "later":
				<-free
				return map[string]ID{"id": id}, nil
			case "wire error":
				return nil, fmt.Errorf("wrapped: %w", &Error{Code: -32072, Message: "Request Not Supported"})
			case "secret":
				return nil, errors.New("the disk is full of secrets")
			case "unsayable":
				return func() {}, nil
			case "silent":
				return nil, ErrNoAnswer
			}
			<-ctx.Done() // ends with the connection
			return nil, ctx.Err()
		},
	}
	synctest.Test(t, func(t *testing.T) {
		free = make(chan struct{}) // of this bubble
		near, far := lines()
		p := NewPeer(near, h)
		far.say(t, `{"jsonrpc":"2.0","id":1,"method":"later"}`)
		far.say(t, `{"jsonrpc":"2.0","id":2,"method":"silent"}`)
		far.say(t, `{"jsonrpc":"2.0","method":"n1"}`)
		far.say(t, `{"jsonrpc":"2.0","method":"n2"}`)
		for _, tc := range []struct{ say, hear string }{
			{`"echo","params":{"a":1}`, `"result":{"a":1}`},
			{`"wire error"`, `"error":{"code":-32072,"message":"Request Not Supported"}`},
			{`"secret"`, `"error":{"code":-32603,"message":"Internal error"}`},
			{`"unsayable"`, `"error":{"code":-32603,"message":"Internal error"}`},
		} {
			far.say(t, `{"jsonrpc":"2.0","id":3,"method":`+tc.say+`}`)
			wantText(t, far.hear(t), `{"jsonrpc":"2.0","id":3,`+tc.hear+`}`)
		}
		close(free)
		wantText(t, far.hear(t), `{"jsonrpc":"2.0","id":1,"result":{"id":1}}`)
		far.say(t, `{"jsonrpc":"2.0","id":9,"method":"until the end"}`)
		if err := p.Notify("bye", struct{}{}); err != nil {
			t.Error(err)
		}
		wantText(t, far.hear(t), `{"jsonrpc":"2.0","method":"bye","params":{}}`)
		synctest.Wait()
		_ = p.Close()
		<-p.Done()
		if strings.Join(order, " ") != "n1 n2" {
			t.Errorf("notifications %q", order)
		}
		if len(inside) != 3 || !strings.Contains(inside[0].Error(), "secrets") {
			t.Errorf("kept inside: %v", inside)
		}
	})
}

func TestRequestsAreBounded(t *testing.T) {
	h := Handler{Request: func(ctx context.Context, _ ID, _ string, _ jsontext.Value) (any, error) {
		<-ctx.Done()
		return nil, ErrNoAnswer
	}}
	inBubble(t, h, func(t *testing.T, p *Peer, far *line) {
		for i := range MaxRequests + 1 {
			far.say(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"m"}`, i))
		}
		wantText(t, far.hear(t), fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"error":{"code":-32603,"message":"Internal error: too many requests at a time"}}`, MaxRequests))
		synctest.Wait()
		if n := len(far.in); n != 0 {
			t.Errorf("%d more answers", n)
		}
	})
}

func TestTwoPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		double := func(_ context.Context, _ ID, _ string, params jsontext.Value) (any, error) { return params, nil }
		a, b := lines()
		left, right := NewPeer(a, Handler{Request: double}), NewPeer(b, Handler{Request: double})
		var wg sync.WaitGroup
		for i := range 20 {
			for _, p := range []*Peer{left, right} { // the same ids in both directions
				wg.Go(func() {
					var got map[string]int
					if err := p.Call(t.Context(), "m", map[string]int{"n": i}, &got); err != nil || got["n"] != i {
						t.Errorf("got %v, %v", got, err)
					}
				})
			}
		}
		wg.Wait()
		_ = left.Close()
		<-left.Done()
		<-right.Done()
	})
}

// A theirs is a channel of the other implementation as one of ours.
type theirs struct {
	channel.Channel
	once *sync.Once
}

func (c theirs) Read() ([]byte, error) { return c.Recv() }

func (c theirs) Close() (err error) {
	c.once.Do(func() { err = c.Channel.Close() })
	return err
}

// Our peer calls another maker's server, and is notified by it.
func TestCallOracle(t *testing.T) {
	ours, other := channel.Direct()
	server := jrpc2.NewServer(assign{
		"echo": func(_ context.Context, r *jrpc2.Request) (any, error) {
			var p map[string]any
			err := r.UnmarshalParams(&p)
			return p, err
		},
		"fail": func(context.Context, *jrpc2.Request) (any, error) {
			return nil, jrpc2.Errorf(-32071, "Terminal Busy").WithData(map[string]int{"a": 1})
		},
	}, &jrpc2.ServerOptions{AllowPush: true}).Start(other)
	notes := make(chan string, 1)
	p := NewPeer(theirs{ours, new(sync.Once)}, Handler{
		Notification: func(method string, params jsontext.Value) { notes <- method + string(params) },
		Request: func(_ context.Context, _ ID, method string, _ jsontext.Value) (any, error) {
			return map[string]string{"you said": method}, nil
		},
	})
	ctx := t.Context()
	var got map[string]string
	if err := p.Call(ctx, "echo", map[string]string{"k": "\u20ac"}, &got); err != nil || got["k"] != "\u20ac" {
		t.Errorf("got %v, %v", got, err)
	}
	err := p.Call(ctx, "fail", nil, nil)
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != -32071 || e.Message != "Terminal Busy" || string(e.Data) != `{"a":1}` {
		t.Errorf("got %v", err)
	}
	if err := p.Call(ctx, "nosuch", nil, nil); !errors.Is(err, &Error{Code: MethodNotFound}) {
		t.Errorf("got %v", err)
	}
	if err := server.Notify(ctx, "note", map[string]int{"n": 1}); err != nil {
		t.Error(err)
	}
	wantText(t, <-notes, `note{"n":1}`)
	_ = p.Close()
	<-p.Done()
	_ = server.Wait()
}

type assign map[string]jrpc2.Handler

func (a assign) Assign(_ context.Context, method string) jrpc2.Handler { return a[method] }

// Another maker's client calls our peer.
func TestServeOracle(t *testing.T) {
	ours, other := channel.Direct()
	p := NewPeer(theirs{ours, new(sync.Once)}, Handler{Request: func(_ context.Context, _ ID, method string, params jsontext.Value) (any, error) {
		if method == "fail" {
			return nil, &Error{Code: -32072, Message: "Request Not Supported"}
		}
		return params, nil
	}})
	client := jrpc2.NewClient(other, nil)
	var got map[string]string
	if err := client.CallResult(t.Context(), "echo", map[string]string{"k": "\u20ac <&>"}, &got); err != nil || got["k"] != "\u20ac <&>" {
		t.Errorf("got %v, %v", got, err)
	}
	_, err := client.Call(t.Context(), "fail", nil)
	if e, ok := errors.AsType[*jrpc2.Error](err); !ok || e.Code != -32072 || e.Message != "Request Not Supported" {
		t.Errorf("got %v", err)
	}
	_ = client.Close()
	<-p.Done()
}
