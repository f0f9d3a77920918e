package door

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/ws"
)

func TestConversation(t *testing.T) {
	s := open(t, Config{})
	c := s.dial(good)
	for _, m := range []string{"one", "two", "", "ünï"} {
		c.say(m)
		got, err := c.hear()
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "echo", got, m)
	}
	sess := s.session()
	if got := sess.conn.RemoteAddr(); !strings.HasPrefix(got, "127.0.0.1:") {
		t.Errorf("RemoteAddr %q", got)
	}
	_ = c.Close(websocket.StatusNormalClosure, "bye")
	err := take(t, sess.ended)
	if closed, ok := errors.AsType[*ws.CloseError](err); !ok || closed.Code != ws.Normal || !closed.Remote {
		t.Errorf("the session ended with %v", err)
	}
	if strings.Contains(err.Error(), "bye") {
		t.Errorf("the till's words are in the error: %v", err)
	}
}

// TestBadMessages: each ends its own connection with its code, and no other.
func TestBadMessages(t *testing.T) {
	s := open(t, Config{})
	other := s.dial(good)
	other.alive()
	take(t, s.fake.sessions)
	tests := []struct {
		name    string
		kind    websocket.MessageType
		message []byte
		code    websocket.StatusCode
	}{
		{"binary", websocket.MessageBinary, []byte("{}"), websocket.StatusUnsupportedData},
		{"2 MiB", websocket.MessageText, bytes.Repeat([]byte("x"), 2<<20), websocket.StatusMessageTooBig},
		{"not UTF-8", websocket.MessageText, []byte("\"\xff\""), websocket.StatusInvalidFramePayloadData},
		{"a panic", websocket.MessageText, []byte("panic"), websocket.StatusInternalError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := s.dial(good)
			c.alive()
			sess := s.session()
			_ = c.Write(t.Context(), tt.kind, tt.message) // a close may come first
			c.closed(tt.code)
			if err := take(t, sess.ended); err == nil {
				t.Error("the session ended without a reason")
			}
			other.alive()
		})
	}
	log := s.log.String()
	if !strings.Contains(log, `"panic":"planted"`) || !strings.Contains(log, "fakeSession).Receive") {
		t.Errorf("no stack of the panic in the log: %s", log)
	}
}

func TestLargestMessage(t *testing.T) {
	s := open(t, Config{})
	c := s.dial(good)
	c.SetReadLimit(2 << 20)
	m := strings.Repeat("x", 1<<20)
	c.say(m)
	if got, err := c.hear(); err != nil || got != m {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
}

func TestRefusedAfterUpgrade(t *testing.T) {
	s := open(t, Config{MaxConnections: 1})
	s.fake.late.Store(&gateway.Refusal{Status: 429, UserMessage: "This site is full."})
	c := s.dial(good)
	_, err := c.hear()
	var closed websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != websocket.StatusPolicyViolation || closed.Reason != "This site is full." {
		t.Errorf("got %v", err)
	}
}

func TestPanicAtTheOpening(t *testing.T) {
	s := open(t, Config{})
	where := "open"
	s.fake.panics.Store(&where)
	s.dial(good).closed(websocket.StatusInternalError)
	s.fake.panics.Store(nil)
	s.dial(good).alive()
}

func TestClosedByTheGateway(t *testing.T) {
	s := open(t, Config{})
	c := s.dial(good)
	c.alive()
	sess := s.session()
	if err := sess.conn.Close(1008, "the key was revoked"); err != nil {
		t.Error(err)
	}
	c.closed(websocket.StatusPolicyViolation)
	take(t, sess.ended)
}

// mute opens a connection that answers nothing by itself.
func (s *stage) mute() *rawConn {
	s.t.Helper()
	c := s.raw()
	c.send("GET " + good + " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if res := c.response(); res.StatusCode != 101 {
		s.t.Fatalf("status %d", res.StatusCode)
	}
	return c
}

// frame reads one short frame.
func (c *rawConn) frame() (op byte, payload []byte, err error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(c.in, head); err != nil {
		return 0, nil, err
	}
	payload = make([]byte, head[1])
	_, err = io.ReadFull(c.in, payload)
	return head[0] & 0x0f, payload, err
}

// TestHalfOpen: a till that has gone without a word is found by its pings.
func TestHalfOpen(t *testing.T) {
	s := open(t, Config{PingInterval: 40 * time.Millisecond, PingsMissed: 2})
	c := s.mute()
	sess := s.session()
	pings := 0
	for {
		op, _, err := c.frame()
		if err != nil {
			break
		}
		if op != 9 {
			t.Errorf("opcode %d", op)
		}
		pings++
	}
	if pings < 2 {
		t.Errorf("closed after %d pings", pings)
	}
	take(t, sess.ended)
	s.stop()
	take(t, s.done)
	if log := s.log.String(); !strings.Contains(log, `"code":1001,"by":"till","quiet":"`) {
		t.Errorf("the log does not say why: %s", log)
	}
}

// TestBusyIsNotCutOff: with a transaction under way, pings may go unanswered.
func TestBusyIsNotCutOff(t *testing.T) {
	s := open(t, Config{PingInterval: 100 * time.Millisecond, PingsMissed: 2})
	s.fake.busy.Store(true)
	c := s.mute()
	sess := s.session()
	for range 6 {
		if op, _, err := c.frame(); err != nil || op != 9 {
			t.Fatalf("opcode %d, %v", op, err)
		}
	}
	if err := sess.conn.Send([]byte("the result")); err != nil {
		t.Fatal(err)
	}
	for {
		op, payload, err := c.frame()
		if err != nil {
			t.Fatal(err)
		}
		if op == 1 {
			equal(t, "message", string(payload), "the result")
			break
		}
	}
	s.fake.busy.Store(false)
	for {
		if _, _, err := c.frame(); err != nil {
			break
		}
	}
	take(t, sess.ended)
}

// TestNeverReads: a till that asks and asks and reads nothing is closed, and
// the others do not notice.
func TestNeverReads(t *testing.T) {
	s := open(t, Config{Socket: ws.Options{MaxQueue: 64 << 10, WriteTimeout: 100 * time.Millisecond, CloseTimeout: 100 * time.Millisecond}})
	other := s.dial(good)
	other.alive()
	take(t, s.fake.sessions)
	c := s.mute()
	sess := s.session()
	payload := bytes.Repeat([]byte("x"), 60<<10)
	frame := append([]byte{0x81, 0x80 | 126}, binary.BigEndian.AppendUint16(nil, uint16(len(payload)))...)
	frame = append(frame, 0, 0, 0, 0)
	frame = append(frame, payload...)
	for {
		if _, err := c.Write(frame); err != nil {
			break
		}
	}
	closed, ok := errors.AsType[*ws.CloseError](take(t, sess.ended))
	if !ok || closed.Code != ws.Policy {
		t.Errorf("ended with %v, want 1008", closed)
	}
	other.alive()
}
