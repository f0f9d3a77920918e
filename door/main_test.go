package door

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/tillwire/tillwire/gateway"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// A stage is a door on a real loopback socket with a gateway behind it that
// the test plays.
type stage struct {
	t    *testing.T
	door *Door
	addr string
	log  *record
	fake *fakeGateway
	stop context.CancelFunc
	done chan error // what Serve returned
}

// open starts a door. Its gateway refuses what fakeGateway.refuse says and
// grants the rest.
func open(t *testing.T, cfg Config) *stage {
	t.Helper()
	s := &stage{t: t, log: &record{}, done: make(chan error, 1), fake: &fakeGateway{sessions: make(chan *fakeSession, 100)}}
	cfg.Log = slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if cfg.Gateway == nil {
		cfg.Gateway = s.fake
	}
	s.door = New(cfg)
	if cfg.Gateway == s.fake {
		s.door.admit = s.fake.admit
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = ln.Addr().String()
	ctx, stop := context.WithCancel(t.Context())
	s.stop = stop
	go func() { s.done <- s.door.Serve(ctx, ln); close(s.done) }()
	t.Cleanup(func() {
		stop()
		for range s.done {
		}
	})
	return s
}

// record keeps all that is logged.
type record struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String()
}

// fakeGateway grants every knock unless told otherwise.
type fakeGateway struct {
	refuse   atomic.Pointer[gateway.Refusal]
	unready  atomic.Pointer[string]
	late     atomic.Pointer[gateway.Refusal] // what Open refuses with
	panics   atomic.Pointer[string]          // where to panic: admit or open
	knocks   atomic.Int32
	busy     atomic.Bool // what every session says
	sessions chan *fakeSession
}

// Admit is here to make it a Gateway; admit below stands in for it, because
// only the gateway can make a ticket.
func (*fakeGateway) Admit(gateway.Knock) (*gateway.Ticket, error) {
	return nil, errors.New("not asked")
}

func (g *fakeGateway) Ready() error {
	if why := g.unready.Load(); why != nil {
		return errors.New(*why)
	}
	return nil
}

func (g *fakeGateway) admit(gateway.Knock) (admission, error) {
	g.knocks.Add(1)
	if p := g.panics.Load(); p != nil && *p == "admit" {
		panic("planted")
	}
	if r := g.refuse.Load(); r != nil {
		return admission{}, r
	}
	return admission{site: "demo", key: "kPUBLIC", version: "v1", open: func(c gateway.Conn) (session, error) {
		if p := g.panics.Load(); p != nil && *p == "open" {
			panic("planted")
		}
		if r := g.late.Load(); r != nil {
			return nil, r
		}
		s := &fakeSession{conn: c, busy: &g.busy, ended: make(chan error, 1)}
		g.sessions <- s
		return s, nil
	}}, nil
}

// fakeSession sends back what it hears.
type fakeSession struct {
	conn  gateway.Conn
	busy  *atomic.Bool
	ended chan error
}

func (s *fakeSession) Receive(m []byte) {
	if string(m) == "panic" {
		panic("planted")
	}
	_ = s.conn.Send(m)
}

func (s *fakeSession) Busy() bool { return s.busy.Load() }

func (s *fakeSession) Ended(err error) {
	s.ended <- err
	if strings.Contains(err.Error(), "1001") {
		panic("planted at the end")
	}
}

// session waits for the session of the connection that was opened last.
func (s *stage) session() *fakeSession {
	s.t.Helper()
	return take(s.t, s.fake.sessions)
}

// take waits for a value.
func take[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("not reached")
	}
}

// A till is a WebSocket of another maker.
type till struct {
	*websocket.Conn
	t *testing.T
}

func (s *stage) dial(path string) *till {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, "ws://"+s.addr+path, &websocket.DialOptions{HTTPClient: client()})
	if err != nil {
		s.t.Fatalf("dialling %s: %v", path, err)
	}
	s.t.Cleanup(func() { _ = c.CloseNow() })
	return &till{c, s.t}
}

// client keeps no connections: they would count as leaks.
func client() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}

func (c *till) say(m string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.Write(ctx, websocket.MessageText, []byte(m)); err != nil {
		c.t.Fatalf("writing: %v", err)
	}
}

func (c *till) hear() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, m, err := c.Read(ctx)
	return string(m), err
}

// alive fails the test unless the connection answers.
func (c *till) alive() {
	c.t.Helper()
	c.say("still there?")
	if m, err := c.hear(); err != nil || m != "still there?" {
		c.t.Fatalf("the echo: %q, %v", m, err)
	}
}

// closed fails the test unless the connection ends with that code.
func (c *till) closed(want websocket.StatusCode) {
	c.t.Helper()
	for {
		_, err := c.hear()
		if err == nil {
			continue
		}
		if got := websocket.CloseStatus(err); got != want {
			c.t.Errorf("closed with %d (%v), want %d", got, err, want)
		}
		return
	}
}

// get does one HTTP request and reads the answer whole.
func (s *stage) get(method, path string, header http.Header) (*http.Response, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.addr+"/", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.URL.Opaque = path // as it stands, //pac included
	if header != nil {
		req.Header = header
	}
	return do(s.t, client(), req)
}

func do(t *testing.T, c *http.Client, req *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusSwitchingProtocols {
		return res, ""
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// upgrade is the header of a good handshake, with changes in pairs; an empty
// value takes the field out.
func upgrade(changes ...string) http.Header {
	h := http.Header{
		"Connection":            {"Upgrade"},
		"Upgrade":               {"websocket"},
		"Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key":     {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	for i := 0; i < len(changes); i += 2 {
		if changes[i+1] == "" {
			h.Del(changes[i])
		} else {
			h.Set(changes[i], changes[i+1])
		}
	}
	return h
}
