package door

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/coder/websocket"
	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/gateway"
)

const good = "/pac?token=demo&api-version=v1&software-house-id=S&installer-id=I"

func TestRefusals(t *testing.T) {
	s := open(t, Config{})
	tests := []struct {
		name   string
		method string
		path   string
		header http.Header
		why    *gateway.Refusal // of the gateway
		asked  bool             // the gateway was asked
		status int
		says   string
		sets   map[string]string
	}{
		{name: "no such path", path: "/nothing", header: upgrade(), status: 404, says: "/pac"},
		{name: "a path that is not served", path: "/pax?token=demo", header: upgrade(), status: 404, says: "/pac"},
		{name: "more after the path", path: "/pac/12345678", header: upgrade(), status: 404, says: "/pac"},
		{name: "the path is encoded", path: "/%70ac", header: upgrade(), status: 404, says: "/pac"},
		{name: "the query is encoded too", path: "/pac%3Ftoken=demo", header: upgrade(), status: 404, says: "/pac"},
		{name: "path before upgrade", path: "/nothing", status: 404, says: "/pac"},
		{name: "another method", method: "POST", path: good, header: upgrade(), status: 405, says: "GET", sets: map[string]string{"Allow": "GET"}},
		{name: "HEAD", method: "HEAD", path: good, header: upgrade(), status: 405, sets: map[string]string{"Allow": "GET"}},
		{name: "no upgrade", path: good, status: 426, says: "WebSocket", sets: map[string]string{"Upgrade": "websocket", "Sec-WebSocket-Version": "13"}},
		{name: "no upgrade, before the gateway", path: good, why: &gateway.Refusal{Status: 401}, status: 426, says: "WebSocket"},
		{name: "upgrade to something else", path: good, header: upgrade("Upgrade", "h2c"), status: 426, says: "WebSocket"},
		{name: "Connection does not say upgrade", path: good, header: upgrade("Connection", "keep-alive"), status: 426, says: "Connection"},
		{name: "an old WebSocket", path: good, header: upgrade("Sec-WebSocket-Version", "8"), asked: true, status: 426, says: "13", sets: map[string]string{"Sec-WebSocket-Version": "13"}},
		{name: "no version", path: good, header: upgrade("Sec-WebSocket-Version", ""), asked: true, status: 426, says: "Sec-WebSocket-Version"},
		{name: "no key", path: good, header: upgrade("Sec-WebSocket-Key", ""), asked: true, status: 400, says: "Sec-WebSocket-Key"},
		{name: "a key that is too short", path: good, header: upgrade("Sec-WebSocket-Key", "c2hvcnQ="), asked: true, status: 400, says: "Sec-WebSocket-Key"},
		{name: "a key that is not base64", path: good, header: upgrade("Sec-WebSocket-Key", "!!!!!!!!!!!!!!!!!!!!!!!!"), asked: true, status: 400, says: "Sec-WebSocket-Key"},
		{name: "a query that is not one", path: "/pac?token=%zz", header: upgrade(), status: 400, says: "percent-encode"},
		{name: "a semicolon in the query", path: "/pac?token=demo;api-version=v1", header: upgrade(), status: 400, says: "&"},
		{name: "no key for the gateway", path: "/pac", header: upgrade(), why: &gateway.Refusal{Status: 401, UserMessage: "Which key?"}, asked: true, status: 401, says: "Which key?"},
		{name: "a limit", path: good, header: upgrade(), why: &gateway.Refusal{Status: 429, UserMessage: "Too many.", RetryAfter: 1500 * time.Millisecond}, asked: true, status: 429, says: "Too many.", sets: map[string]string{"Retry-After": "2"}},
		{name: "bytes that are not text", path: good, header: upgrade(), why: &gateway.Refusal{Status: 400, UserMessage: "not known: \xff"}, asked: true, status: 400, says: "not known"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.fake.refuse.Store(tt.why)
			before := s.fake.knocks.Load()
			method := tt.method
			if method == "" {
				method = "GET"
			}
			res, body := s.get(method, tt.path, tt.header)
			if res.StatusCode != tt.status {
				t.Errorf("status %d, want %d: %s", res.StatusCode, tt.status, body)
			}
			if got := res.Header.Get("Content-Type"); got != "application/json; charset=utf-8" {
				t.Errorf("Content-Type %q", got)
			}
			if asked := s.fake.knocks.Load() > before; asked != tt.asked {
				t.Errorf("the gateway was asked: %v, want %v", asked, tt.asked)
			}
			for name, want := range tt.sets {
				if got := res.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if method == "HEAD" {
				return
			}
			var got map[string]string
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatalf("%v: %s", err, body)
			}
			if len(got) != 1 || !strings.Contains(got["userMessage"], tt.says) {
				t.Errorf("got %v, want a userMessage with %q alone", got, tt.says)
			}
		})
	}
}

func TestHTTP10(t *testing.T) {
	s := open(t, Config{})
	c := s.raw()
	c.send("GET " + good + " HTTP/1.0\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if res := c.response(); res.StatusCode != 426 {
		t.Errorf("status %d, want 426", res.StatusCode)
	}
}

func TestPaths(t *testing.T) {
	s := open(t, Config{})
	for _, path := range []string{"/pac", "/PAC", "/Pac", "//pac", "//PAC", "/pac/"} {
		t.Run(path, func(t *testing.T) {
			c := s.raw()
			c.send("GET " + path + "?token=demo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
			if res := c.response(); res.StatusCode != 101 {
				t.Errorf("status %d, want 101", res.StatusCode)
			}
		})
	}
}

// TestBrowser does the handshake as Chromium does, from a page of anywhere.
func TestBrowser(t *testing.T) {
	s := open(t, Config{})
	c := s.raw()
	c.send("GET " + good + " HTTP/1.1\r\nHost: " + s.addr + "\r\n" +
		"Connection: Upgrade\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36\r\n" +
		"Upgrade: websocket\r\nOrigin: null\r\nSec-WebSocket-Version: 13\r\n" +
		"Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n" +
		"\x81\x85\x00\x00\x00\x00hello") // the first frame in the same packet
	res := c.response()
	if res.StatusCode != 101 || res.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("status %d, header %v", res.StatusCode, res.Header)
	}
	if got := res.Header.Get("Sec-WebSocket-Extensions"); got != "" {
		t.Errorf("extensions %q were agreed to", got)
	}
	got := make([]byte, 7)
	if _, err := io.ReadFull(c.in, got); err != nil || string(got) != "\x81\x05hello" {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestLimitOfConnections(t *testing.T) {
	s := open(t, Config{MaxConnections: 2})
	first, second := s.dial(good), s.dial(good)
	res, body := s.get("GET", good, upgrade())
	if res.StatusCode != 429 || res.Header.Get("Retry-After") != "5" || !strings.Contains(body, "limit of 2 connections") {
		t.Fatalf("third: %d, Retry-After %q: %s", res.StatusCode, res.Header.Get("Retry-After"), body)
	}
	second.alive()
	_ = first.Close(websocket.StatusNormalClosure, "")
	for start := time.Now(); ; {
		if res, _ = s.get("GET", good, upgrade()); res.StatusCode == 101 {
			break
		}
		if time.Since(start) > patience {
			t.Fatal("the place was not given back")
		}
	}
	second.alive()
}

// TestFailedHandshakeTakesNoPlace: a place is not lost on what is refused late.
func TestFailedHandshakeTakesNoPlace(t *testing.T) {
	s := open(t, Config{MaxConnections: 1})
	for range 3 {
		if res, _ := s.get("GET", good, upgrade("Sec-WebSocket-Key", "bad")); res.StatusCode != 400 {
			t.Fatalf("status %d, want 400", res.StatusCode)
		}
	}
	s.dial(good).alive()
}

func TestStopping(t *testing.T) {
	s := open(t, Config{})
	a, b := s.dial(good), s.dial(good)
	a.alive()
	b.alive()
	sessions := []*fakeSession{s.session(), s.session()}
	s.stop()
	a.closed(websocket.StatusGoingAway)
	b.closed(websocket.StatusGoingAway)
	if err := take(t, s.done); err != nil {
		t.Errorf("Serve: %v", err)
	}
	for _, one := range sessions {
		take(t, one.ended)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", good, nil)
	r.Header = upgrade()
	s.door.ServeHTTP(w, r)
	if w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("after the end: %d, header %v", w.Code, w.Header())
	}
	s.door.Close() // once more harms nothing
}

func TestServeFails(t *testing.T) {
	d := New(Config{Gateway: &fakeGateway{}})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	if err := d.Serve(context.Background(), ln); err == nil || !strings.Contains(err.Error(), ln.Addr().String()) {
		t.Errorf("Serve on a closed listener: %v", err)
	}
}

func TestSlowRequest(t *testing.T) {
	s := open(t, Config{HeaderTimeout: time.Second}) // enough for a good request on a busy machine
	till := s.dial(good)
	c := s.raw()
	c.send("GET " + good + " HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	if rest, err := io.ReadAll(c.in); err != nil {
		t.Errorf("half a header: %q, %v", rest, err)
	}
	till.alive() // the limit is the request's, not the connection's
}

func TestLongRequest(t *testing.T) {
	s := open(t, Config{})
	c := s.raw()
	go func() { // the answer comes before all of it is taken
		_, _ = io.WriteString(c, "GET "+good+"&x="+strings.Repeat("x", 64<<10)+" HTTP/1.1\r\nHost: x\r\n\r\n")
	}()
	if res := c.response(); res.StatusCode != 431 {
		t.Errorf("status %d, want 431", res.StatusCode)
	}
}

func TestPanicWhileAsked(t *testing.T) {
	s := open(t, Config{MaxConnections: 1})
	where := "admit"
	s.fake.panics.Store(&where)
	res, body := s.get("GET", good, upgrade())
	if res.StatusCode != 500 || !strings.Contains(body, "userMessage") {
		t.Errorf("%d: %s", res.StatusCode, body)
	}
	if log := s.log.String(); !strings.Contains(log, "panic in a request") || !strings.Contains(log, "main_test.go") {
		t.Errorf("no stack in the log: %s", log)
	}
	s.fake.panics.Store(nil)
	s.dial(good).alive()
}

// TestRequestIsLetGo: an idle connection keeps nothing of its request.
func TestRequestIsLetGo(t *testing.T) {
	s := open(t, Config{})
	seen := make(chan weak.Pointer[http.Request], 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- weak.Make(r)
		s.door.ServeHTTP(w, r)
	}))
	defer srv.Close()
	c := &stage{t: t, addr: srv.Listener.Addr().String()}
	till := c.dial(good)
	till.alive()
	request := take(t, seen)
	for start := time.Now(); request.Value() != nil; runtime.GC() {
		if time.Since(start) > patience {
			t.Fatal("the request is still held")
		}
	}
	till.alive()
}

func TestRemote(t *testing.T) {
	tests := []struct {
		proxy  bool
		header []string
		want   string
	}{
		{false, nil, "192.0.2.1:1234"},
		{false, []string{"203.0.113.9"}, "192.0.2.1:1234"},
		{true, nil, "192.0.2.1:1234"},
		{true, []string{"203.0.113.9"}, "203.0.113.9"},
		{true, []string{"198.51.100.1, 203.0.113.9"}, "203.0.113.9"},
		{true, []string{"198.51.100.1", "203.0.113.9"}, "203.0.113.9"},
		{true, []string{"198.51.100.1, 2001:db8::7"}, "2001:db8::7"},
		{true, []string{"203.0.113.9, nonsense"}, "192.0.2.1:1234"},
	}
	for _, tt := range tests {
		d := &Door{cfg: Config{BehindProxy: tt.proxy}}
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["X-Forwarded-For"] = tt.header
		if got := d.remote(r); got != tt.want {
			t.Errorf("proxy %v, %q: %q, want %q", tt.proxy, tt.header, got, tt.want)
		}
	}
}

func TestShown(t *testing.T) {
	long := "/" + strings.Repeat("x", 100)
	for path, want := range map[string]string{
		"/pac":                     "/pac",
		"//PAC/":                   "//PAC/",
		"/docs/schemas/v1/St.json": "/docs/schemas/v1/St.json",
		"/pac%3Ftoken=SECRET":      "/pac…",
		"/pac&token=SECRET":        "/pac…",
		"/pac\ntoken":              "/pac…",
		long:                       long[:64] + "…",
	} {
		if got := shown(path); got != want {
			t.Errorf("shown(%q): %q, want %q", path, got, want)
		}
	}
}

func TestCheckListen(t *testing.T) {
	tests := []struct {
		addr            string
		tls, proxy, dev bool
		says            string // of the error; empty for none
	}{
		{addr: "127.0.0.1:8484"},
		{addr: "127.0.0.1:0", dev: true},
		{addr: "127.8.8.8:1", dev: true},
		{addr: "localhost:8484", dev: true},
		{addr: "[::1]:8484", dev: true},
		{addr: "[::ffff:127.0.0.1]:8484", dev: true},
		{addr: "127.0.0.1:8484", tls: true, dev: true},
		{addr: "0.0.0.0:8484", says: "--tls-cert"},
		{addr: ":8484", says: "--behind-proxy"},
		{addr: "[::]:8484", says: "in clear"},
		{addr: "192.168.1.5:8484", says: "in clear"},
		{addr: "till.example:8484", says: "in clear"},
		{addr: "localhost.example:8484", says: "in clear"},
		{addr: "0.0.0.0:8484", tls: true},
		{addr: ":8484", proxy: true},
		{addr: "0.0.0.0:8484", tls: true, dev: true, says: "--dev"},
		{addr: ":8484", proxy: true, dev: true, says: "--dev"},
		{addr: "192.168.1.5:8484", dev: true, says: "127.0.0.1"},
		{addr: "127.0.0.1", says: "host:port"},
		{addr: "", says: "host:port"},
		{addr: "::1:8484", says: "host:port"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s tls=%v proxy=%v dev=%v", tt.addr, tt.tls, tt.proxy, tt.dev), func(t *testing.T) {
			err := CheckListen(tt.addr, tt.tls, tt.proxy, tt.dev)
			switch {
			case tt.says == "" && err != nil:
				t.Error(err)
			case tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)):
				t.Errorf("got %v, want an error with %q", err, tt.says)
			}
		})
	}
}

// rawConn speaks bytes.
type rawConn struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

func (s *stage) raw() *rawConn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	s.t.Cleanup(func() { _ = c.Close() })
	return &rawConn{c, s.t, bufio.NewReader(c)}
}

func (c *rawConn) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *rawConn) response() *http.Response {
	c.t.Helper()
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return res
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
