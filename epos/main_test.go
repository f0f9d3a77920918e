package epos

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/goleak"

	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/wire"
	"github.com/tillwire/tillwire/ws"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A gateway is the other end of a client's connection: it says what a test tells
// it to and no more.
type gateway struct {
	t    *testing.T
	conn *ws.Conn
	line *line
	got  chan message // closed when the connection has ended
}

// A message is what a gateway has received.
type message struct {
	ID     int            `json:"id"`
	Method string         `json:"method"`
	Params jsontext.Value `json:"params"`
	Result jsontext.Value `json:"result"`
	Error  jsontext.Value `json:"error"`
	text   string
}

// connect runs a test with a client and a gateway that are joined by a pipe, in
// a bubble of fake time.
func connect(t *testing.T, v wire.Version, h Handler, test func(*testing.T, *Client, *gateway)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		keeper := ws.NewKeeper(pingInterval, pingsMissed)
		c := newClient(ws.New(near, ws.Client, ws.Options{Keeper: keeper}), keeper, v, h)
		l := &line{Conn: far}
		g := &gateway{t: t, conn: ws.New(l, ws.Server, ws.Options{}), line: l, got: make(chan message, 100)}
		go g.read()
		test(t, c, g)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		for m := range g.got {
			t.Errorf("the gateway received %s, which no test expected", m.text)
		}
	})
}

// A line can be cut without a word: what is written to it then goes nowhere.
type line struct {
	net.Conn
	cut atomic.Bool
}

func (l *line) Write(p []byte) (int, error) {
	if l.cut.Load() {
		return len(p), nil
	}
	return l.Conn.Write(p)
}

func (g *gateway) read() {
	defer close(g.got)
	for {
		text, err := g.conn.Read()
		if err != nil {
			return
		}
		m := message{text: string(text)}
		if err := json.Unmarshal(text, &m); err != nil {
			g.t.Errorf("the gateway received %s: %v", text, err)
		}
		g.got <- m
	}
}

// next returns the next message of the client.
func (g *gateway) next() message {
	m, ok := <-g.got
	if !ok {
		g.t.Error("the connection has ended, a message was expected")
	}
	return m
}

// silent fails if the client has sent anything.
func (g *gateway) silent() {
	g.t.Helper()
	synctest.Wait()
	select {
	case m, ok := <-g.got:
		if ok {
			g.t.Errorf("the gateway received %s, want nothing", m.text)
		}
	default:
	}
}

func (g *gateway) send(format string, args ...any) {
	if err := g.conn.Send(fmt.Appendf(nil, format, args...)); err != nil {
		g.t.Error(err)
	}
}

// answer gives a result to a request.
func (g *gateway) answer(m message, result string) {
	g.send(`{"jsonrpc":"2.0","id":%d,"result":%s}`, m.ID, result)
}

// notify tells of a notification on terminal 12345678.
func (g *gateway) notify(n Notification) {
	g.send(`{"jsonrpc":"2.0","method":"terminalNotification","params":{"notificationValue":%q,"tid":"12345678"}}`, string(n))
}

// example returns the result, or else the params, of an example of the contract.
func example(t *testing.T, message, name string) string {
	t.Helper()
	m, _ := spec.Default().Message(spec.PAC, message)
	e, ok := m.Example(name)
	if !ok {
		t.Fatalf("no example %s of %s", name, message)
	}
	var env struct {
		Params jsontext.Value `json:"params"`
		Result jsontext.Value `json:"result"`
	}
	if err := json.Unmarshal(e.Text, &env); err != nil {
		t.Fatal(err)
	}
	if env.Result != nil {
		return string(env.Result)
	}
	return string(env.Params)
}

// later runs a call beside the test and returns how to wait for its end.
func later[T any](f func() (T, error)) func() (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		v, err := f()
		done <- result{v, err}
	}()
	return func() (T, error) {
		r := <-done
		return r.value, r.err
	}
}

// unknown fails unless err says that the outcome is not known.
func unknown(t *testing.T, err error) *OutcomeUnknownError {
	t.Helper()
	u, ok := errors.AsType[*OutcomeUnknownError](err)
	if !ok {
		t.Fatalf("got %v, want that the outcome is not known", err)
	}
	return u
}

// known fails if err says that the outcome is not known.
func known(t *testing.T, err error) {
	t.Helper()
	if u, ok := errors.AsType[*OutcomeUnknownError](err); ok || err == nil {
		t.Fatalf("got %v, want an error that leaves no doubt (%v)", err, u)
	}
}

// paramsOf returns the params of a message.
func paramsOf(t *testing.T, text []byte) string {
	t.Helper()
	var m message
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	return string(m.Params)
}
