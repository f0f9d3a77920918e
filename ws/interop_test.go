package ws

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// serve is an HTTP server that upgrades every request and hands the
// connection to f on a fresh goroutine.
func serve(t *testing.T, secure bool, o Options, f func(*Conn)) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Upgrade(w, r, o)
		if err != nil {
			if he, ok := errors.AsType[*HandshakeError](err); ok {
				http.Error(w, `{"userMessage":"`+he.Reason+`"}`, he.Status)
			}
			return
		}
		go f(c)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

var samples = []string{
	"", "a", strings.Repeat("b", 125), strings.Repeat("c", 126), strings.Repeat("d", 65535),
	strings.Repeat("e", 65536), "\u20ac\U0001f4b7", strings.Repeat("f", DefaultMaxMessage),
}

// Another maker's client against our server, plain and over TLS.
func TestTheirClient(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", secure), func(t *testing.T) {
			ended := make(chan error, 1)
			s := serve(t, secure, Options{MaxQueue: 4 << 20}, func(c *Conn) {
				err := echo(c)
				<-c.Done()
				ended <- err
			})
			ctx := soon(t)
			c, _, err := websocket.Dial(ctx, s.URL, &websocket.DialOptions{
				HTTPClient: s.Client(), CompressionMode: websocket.CompressionContextTakeover,
			})
			if err != nil {
				t.Fatal(err)
			}
			c.SetReadLimit(-1)
			for _, want := range samples {
				if err := c.Write(ctx, websocket.MessageText, []byte(want)); err != nil {
					t.Fatal(err)
				}
				_, got, err := c.Read(ctx)
				if err != nil || string(got) != want {
					t.Fatalf("%d bytes came back as %d, %v", len(want), len(got), err)
				}
			}
			ctx2 := c.CloseRead(ctx)
			if err := c.Ping(ctx2); err != nil {
				t.Errorf("ping: %v", err)
			}
			if err := c.Close(4321, "enough"); err != nil {
				t.Errorf("close: %v", err)
			}
			wantClose(t, <-ended, 4321, true)
		})
	}
}

func TestTheirClientIsTold(t *testing.T) {
	for name, tc := range map[string]struct {
		typ  websocket.MessageType
		msg  string
		code websocket.StatusCode
	}{
		"binary":  {websocket.MessageBinary, "x", websocket.StatusUnsupportedData},
		"too big": {websocket.MessageText, strings.Repeat("x", 20<<20), websocket.StatusMessageTooBig},
		"UTF-8":   {websocket.MessageText, "\xff", websocket.StatusInvalidFramePayloadData},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan struct{})
			s := serve(t, false, Options{}, func(c *Conn) { _ = echo(c); <-c.Done(); close(ended) })
			ctx := soon(t)
			c, _, err := websocket.Dial(ctx, s.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			wrote := make(chan struct{})
			go func() { _ = c.Write(ctx, tc.typ, []byte(tc.msg)); close(wrote) }()
			_, _, err = c.Read(ctx)
			if got := websocket.CloseStatus(err); got != tc.code {
				t.Errorf("told %v (%v), want %v", got, err, tc.code)
			}
			_ = c.CloseNow()
			<-ended
			<-wrote
		})
	}
}

// Our client against another maker's server, plain and over TLS.
func TestTheirServer(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", secure), func(t *testing.T) {
			ctx := soon(t)
			ended := make(chan error, 1)
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Till") != "7" {
					t.Error("our header did not arrive")
				}
				c, err := websocket.Accept(w, r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				c.SetReadLimit(-1)
				for err == nil {
					var typ websocket.MessageType
					var p []byte
					if typ, p, err = c.Read(ctx); err == nil {
						err = c.Write(ctx, typ, p)
					}
				}
				ended <- err
			})
			start := httptest.NewServer
			if secure {
				start = httptest.NewTLSServer
			}
			s := start(h)
			defer s.Close()
			o := DialOptions{Header: http.Header{"X-Till": {"7"}}}
			if secure {
				o.TLS = s.Client().Transport.(*http.Transport).TLSClientConfig
			}
			c, err := Dial(ctx, "ws"+strings.TrimPrefix(s.URL, "http"), o)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range samples {
				if err := c.Send([]byte(want)); err != nil {
					t.Fatal(err)
				}
				got, err := c.Read()
				if err != nil || string(got) != want {
					t.Fatalf("%d bytes came back as %d, %v", len(want), len(got), err)
				}
			}
			if err := c.Close(Policy, "enough"); err != nil {
				t.Error(err)
			}
			if got := websocket.CloseStatus(<-ended); got != websocket.StatusPolicyViolation {
				t.Errorf("they were told %v", got)
			}
		})
	}
}

// Ours against ours, with what a frame in a hurry needs: bytes that come with
// the handshake in one piece, on either side.
func TestFramesInAHurry(t *testing.T) {
	ended := make(chan error, 1)
	s := serve(t, false, Options{}, func(c *Conn) { ended <- echo(c); <-c.Done() })
	nc, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	long := strings.Repeat("l", 1000)
	request := "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	first := string(text("first").bytes(true)) + string(text(long).bytes(true)) + string(closing(1000, "").bytes(true))
	if _, err := io.WriteString(nc, request+first); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(nc)
	if err != nil {
		t.Fatal(err)
	}
	want := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n" +
		string(text("first").bytes(false)) + string(text(long).bytes(false)) + string(closing(1000, "").bytes(false))
	if string(all) != want {
		t.Errorf("got %q\nwant %q", all, want)
	}
	wantClose(t, <-ended, Normal, true)
}

func TestServerInAHurry(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nc, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer nc.Close()
		_, _ = io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+
			accept(r.Header.Get("Sec-WebSocket-Key"))+"\r\n\r\n"+string(text("first").bytes(false))+string(closing(1001, "").bytes(false)))
		_, _ = io.Copy(io.Discard, nc)
	}))
	defer s.Close()
	c, err := Dial(soon(t), "ws"+strings.TrimPrefix(s.URL, "http"), DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if msg, err := c.Read(); err != nil || string(msg) != "first" {
		t.Errorf("got %q, %v", msg, err)
	}
	_, err = c.Read()
	wantClose(t, err, GoingAway, true)
	<-c.Done()
}

func TestRefusals(t *testing.T) {
	s := serve(t, false, Options{}, func(c *Conn) { _ = c.Close(Normal, "") })
	good := map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	}
	for name, tc := range map[string]struct {
		method, header, value string
		status                int
	}{
		"as it should be": {"GET", "X", "", 101},
		"plain":           {"GET", "Upgrade", "", 426},
		"other upgrade":   {"GET", "Upgrade", "h2c", 426},
		"no connection":   {"GET", "Connection", "keep-alive", 426},
		"POST":            {"POST", "X", "", 426},
		"version 8":       {"GET", "Sec-WebSocket-Version", "8", 426},
		"no version":      {"GET", "Sec-WebSocket-Version", "", 426},
		"no key":          {"GET", "Sec-WebSocket-Key", "", 400},
		"short key":       {"GET", "Sec-WebSocket-Key", "YWJj", 400},
		"garbage key":     {"GET", "Sec-WebSocket-Key", "!!!!!!!!!!!!!!!!!!!!!!!!", 400},
		"body":            {"GET", "Content-Length", "1", 400},
	} {
		t.Run(name, func(t *testing.T) {
			nc, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			req := tc.method + " / HTTP/1.1\r\nHost: x\r\n"
			for k, v := range good {
				if k != tc.header {
					req += k + ": " + v + "\r\n"
				}
			}
			if tc.value != "" {
				req += tc.header + ": " + tc.value + "\r\n"
			}
			if _, err := io.WriteString(nc, req+"\r\n"+"x"); err != nil {
				t.Fatal(err)
			}
			line := make([]byte, len("HTTP/1.1 101"))
			if _, err := io.ReadFull(nc, line); err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("HTTP/1.1 %d", tc.status); string(line) != want {
				t.Errorf("answered %q, want %q", line, want)
			}
		})
	}
	// A server that cannot hand over its connection.
	r := httptest.NewRequest("GET", "/", nil)
	for k, v := range good {
		r.Header.Set(k, v)
	}
	_, err := Upgrade(httptest.NewRecorder(), r, Options{})
	if he, ok := errors.AsType[*HandshakeError](err); !ok || he.Status != 500 {
		t.Errorf("without a hijacker: %v", err)
	}
}

func TestDialRefused(t *testing.T) {
	const body = `{"userMessage":"unknown key"}`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, body+strings.Repeat(" ", 2*maxRefusal))
	}))
	defer s.Close()
	_, err := Dial(soon(t), "ws"+strings.TrimPrefix(s.URL, "http")+"/pac?token=SECRET", DialOptions{})
	re, ok := errors.AsType[*RefusedError](err)
	if !ok {
		t.Fatalf("error %v, want a *RefusedError", err)
	}
	if re.Status != 401 || re.Header.Get("Retry-After") != "3" || len(re.Body) != maxRefusal {
		t.Errorf("got %d, %v, %d bytes", re.Status, re.Header, len(re.Body))
	}
	if got := err.Error(); !strings.HasSuffix(got, body) || strings.Contains(got, "SECRET") {
		t.Errorf("error %q", got)
	}
}

func TestDialErrors(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := l.Addr().String()
	l.Close()
	for _, u := range []string{
		"ws://" + dead + "/?token=SECRET", "http://" + dead + "/?token=SECRET", "://?token=SECRET", "ws://\x00/?token=SECRET",
	} {
		c, err := Dial(soon(t), u, DialOptions{})
		if err == nil {
			c.Abort()
			t.Fatalf("Dial(%q) succeeded", u)
		}
		if strings.Contains(err.Error(), "SECRET") {
			t.Errorf("the error repeats the key: %v", err)
		}
	}
}

func TestDialMute(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // accepts nobody, answers nothing
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Dial(ctx, "ws://"+l.Addr().String(), DialOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	_, err = Dial(t.Context(), "ws://"+l.Addr().String(), DialOptions{Timeout: time.Millisecond})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

// A certificate that the client does not trust is refused.
func TestDialTLSIsChecked(t *testing.T) {
	s := serve(t, true, Options{}, func(c *Conn) { c.Abort() })
	u := "wss" + strings.TrimPrefix(s.URL, "https")
	if c, err := Dial(soon(t), u, DialOptions{}); err == nil {
		c.Abort()
		t.Error("an unknown certificate was accepted")
	}
	roots := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	c, err := Dial(soon(t), u, DialOptions{TLS: &tls.Config{RootCAs: roots}})
	if err != nil {
		t.Fatal(err)
	}
	c.Abort()
}

// A peer over TLS that does not read is cut off without waiting for it.
func TestAbortOverTLS(t *testing.T) {
	cut := make(chan error, 1)
	s := serve(t, true, Options{MaxQueue: 1 << 20}, func(c *Conn) {
		var err error
		for err == nil {
			err = c.Send(make([]byte, 10_000))
		}
		c.Abort()
		<-c.Done()
		cut <- err
	})
	c, err := Dial(soon(t), "wss"+strings.TrimPrefix(s.URL, "https"), DialOptions{TLS: s.Client().Transport.(*http.Transport).TLSClientConfig})
	if err != nil {
		t.Fatal(err)
	}
	wantClose(t, <-cut, Policy, false)
	c.Abort()
}

// What the server adds to its answer reaches who dials; the headers of the
// handshake itself are nobody's business.
func TestHeadersOfTheAnswer(t *testing.T) {
	s := serve(t, false, Options{Answer: http.Header{"X-Granted": {"a,b"}}}, func(c *Conn) { _ = c.Close(Normal, "") })
	got := map[string]string{}
	c, err := Dial(soon(t), strings.Replace(s.URL, "http", "ws", 1), DialOptions{
		OnHeader: func(name, value string) { got[name] = value },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	if len(got) != 1 || got["X-Granted"] != "a,b" {
		t.Errorf("heard %v", got)
	}
}
