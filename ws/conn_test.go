package ws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/gobwas/ws"
)

// pair is two connections of ours over a pipe.
func pair(so, co Options) (server, client *Conn) {
	a, b := net.Pipe()
	return New(a, Server, so), New(b, Client, co)
}

// tcpPair is two connections of ours over a real socket.
func tcpPair(t *testing.T, so, co Options) (server, client *Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server, client = New(a, Server, so), New(b, Client, co)
	t.Cleanup(func() {
		server.Abort()
		client.Abort()
		<-server.Done()
		<-client.Done()
	})
	return server, client
}

// echo sends back what it reads until the connection ends.
func echo(c *Conn) error {
	for {
		msg, err := c.Read()
		if err != nil {
			return err
		}
		if err := c.Room(context.Background()); err != nil {
			return err
		}
		if err := c.Send(msg); err != nil {
			return err
		}
	}
}

func wantClose(t *testing.T, err error, code Code, remote bool) {
	t.Helper()
	var ce *CloseError
	if !errors.As(err, &ce) || ce.Code != code || ce.Remote != remote {
		t.Errorf("error %v (%+v), want close %d, remote %v", err, ce, code, remote)
	}
}

func TestBurst(t *testing.T) {
	const n = 10_000
	server, client := tcpPair(t, Options{}, Options{})
	go func() { _ = echo(server) }()
	go func() {
		for i := range n {
			// The burst is larger than the queue: the sender keeps to Room.
			if client.Room(context.Background()) != nil || client.Send(fmt.Appendf(nil, "message %d of a burst", i)) != nil {
				return
			}
		}
	}()
	for i := range n {
		msg, err := client.Read()
		if want := fmt.Sprintf("message %d of a burst", i); err != nil || string(msg) != want {
			t.Fatalf("got %q, %v, want %q", msg, err, want)
		}
	}
}

func TestSendersKeepTheirOrder(t *testing.T) {
	const senders, each = 8, 500
	for _, tcp := range []bool{false, true} {
		t.Run(fmt.Sprintf("tcp=%v", tcp), func(t *testing.T) {
			o := Options{MaxQueue: 8 << 20}
			var server, client *Conn
			if tcp {
				server, client = tcpPair(t, o, o)
			} else {
				server, client = pair(o, o)
			}
			defer client.Abort()
			defer server.Abort()
			for s := range senders {
				go func() {
					for i := range each {
						if err := server.Send(fmt.Appendf(nil, "%d %d", s, i)); err != nil {
							t.Error(err)
							return
						}
					}
				}()
			}
			var next [senders]int
			for range senders * each {
				msg, err := client.Read()
				if err != nil {
					t.Fatal(err)
				}
				var s, i int
				if _, err := fmt.Sscan(string(msg), &s, &i); err != nil {
					t.Fatal(err)
				}
				if i != next[s] {
					t.Fatalf("sender %d: message %d, want %d", s, i, next[s])
				}
				next[s]++
			}
		})
	}
}

func TestSendKeepsNothingOfTheCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := pair(Options{}, Options{})
		defer client.Abort()
		defer server.Abort()
		msg := []byte("one")
		for range 3 {
			if err := client.Send(msg); err != nil {
				t.Fatal(err)
			}
		}
		if string(msg) != "one" {
			t.Errorf("the client masked the caller's bytes: %q", msg)
		}
		copy(msg, "xxx")
		for range 3 {
			if got, err := server.Read(); err != nil || string(got) != "one" {
				t.Errorf("got %q, %v", got, err)
			}
		}
	})
}

// TestTap: what a tap is told is what went over the wire, in its order, and
// nothing of pings, closes and what was not queued.
func TestTap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		tap := func(sent bool, msg []byte) { told = append(told, fmt.Sprintf("%t %s", sent, msg)) }
		server, client := pair(Options{Tap: tap}, Options{})
		hear := func(c *Conn, want string) {
			t.Helper()
			if got, err := c.Read(); err != nil || string(got) != want {
				t.Errorf("read %q, %v, want %q", got, err, want)
			}
		}
		if err := client.Send([]byte("asked")); err != nil {
			t.Fatal(err)
		}
		hear(server, "asked")
		if err := server.Ping(nil); err != nil {
			t.Fatal(err)
		}
		for _, m := range []string{"told", "answered"} {
			if err := server.Send([]byte(m)); err != nil {
				t.Fatal(err)
			}
			hear(client, m)
		}
		server.StartClose(Normal, "")
		if err := server.Send([]byte("late")); err == nil {
			t.Error("a message was queued behind the close")
		}
		client.Abort()
		<-server.Done()
		if want := []string{"false asked", "true told", "true answered"}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	})
}

func TestClose(t *testing.T) {
	for _, role := range []Role{Server, Client} {
		t.Run(fmt.Sprintf("role %d closes", role), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				one, other := pair(Options{}, Options{})
				if role == Client {
					one, other = other, one
				}
				for _, m := range []string{"a", "b", "c"} {
					if err := one.Send([]byte(m)); err != nil {
						t.Fatal(err)
					}
				}
				one.StartClose(Policy, "a newer one took over")
				if err := one.Send([]byte("late")); err == nil {
					t.Error("Send after a close gave no error")
				}
				for _, want := range []string{"a", "b", "c"} {
					if got, err := other.Read(); err != nil || string(got) != want {
						t.Errorf("got %q, %v, want %q", got, err, want)
					}
				}
				_, err := other.Read()
				wantClose(t, err, Policy, true)
				if ce, ok := errors.AsType[*CloseError](err); !ok || ce.Reason != "a newer one took over" {
					t.Errorf("the reason did not arrive: %v", err)
				}
				if err := one.Close(Normal, "the second close"); err != nil {
					t.Errorf("Close: %v", err)
				}
				wantClose(t, one.Err(), Policy, false)
				<-other.Done()
			})
		})
	}
}

func TestCloseWhileReading(t *testing.T) {
	server, client := tcpPair(t, Options{}, Options{})
	read := make(chan error, 2)
	for _, c := range []*Conn{server, client} {
		go func() {
			_, err := c.Read()
			read <- err
		}()
	}
	if err := server.Close(GoingAway, "stopping"); err != nil {
		t.Error(err)
	}
	one, two := <-read, <-read
	for _, err := range []error{one, two} {
		if ce, ok := errors.AsType[*CloseError](err); !ok || ce.Code != GoingAway {
			t.Errorf("Read says %v", err)
		}
	}
	<-client.Done()
}

func TestBothCloseAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := pair(Options{}, Options{})
		server.StartClose(Normal, "")
		client.StartClose(GoingAway, "")
		if err := server.Close(Normal, ""); err != nil {
			t.Error(err)
		}
		if err := client.Close(Normal, ""); err != nil {
			t.Error(err)
		}
	})
}

func TestCloseIsBounded(t *testing.T) {
	for _, reads := range []bool{false, true} {
		t.Run(fmt.Sprintf("the peer reads: %v", reads), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				defer theirs.Close()
				if reads { // but never answers
					go func() { _, _ = io.Copy(io.Discard, theirs) }()
				}
				c := New(ours, Server, Options{WriteTimeout: 3 * time.Second, CloseTimeout: 7 * time.Second})
				begun := time.Now()
				if err := c.Send([]byte("x")); err != nil {
					t.Fatal(err)
				}
				if err := c.Close(Normal, ""); err == nil {
					t.Error("Close says that the peer took part")
				}
				want := 3 * time.Second
				if reads {
					want = 7 * time.Second
				}
				if took := time.Since(begun); took != want {
					t.Errorf("took %v, want %v", took, want)
				}
			})
		})
	}
}

func TestCloseArguments(t *testing.T) {
	for _, tc := range []struct {
		code       Code
		reason     string
		wantCode   Code
		wantReason string
	}{
		{Policy, strings.Repeat("a", 200), Policy, strings.Repeat("a", 123)},
		{Policy, strings.Repeat("\u20ac", 42), Policy, strings.Repeat("\u20ac", 41)},
		{Policy, strings.Repeat("a", 122) + "\u20ac", Policy, strings.Repeat("a", 122)},
		{Policy, "a\xffb" + strings.Repeat("\u20ac", 60), Policy, "a?b" + strings.Repeat("\u20ac", 40)},
		{Abnormal, "x", Normal, "x"},
		{0, "", Normal, ""},
		{9999, "", Normal, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			server, client := pair(Options{}, Options{})
			server.StartClose(tc.code, tc.reason)
			_, err := client.Read()
			ce, ok := errors.AsType[*CloseError](err)
			if !ok || ce.Code != tc.wantCode || ce.Reason != tc.wantReason {
				t.Errorf("Close(%d, %q) arrived as %v", tc.code, tc.reason, err)
			}
			<-server.Done()
			<-client.Done()
		})
	}
}

func TestAbort(t *testing.T) {
	server, client := tcpPair(t, Options{}, Options{})
	read := make(chan error)
	go func() { _, err := server.Read(); read <- err }()
	server.Abort()
	wantClose(t, <-read, Abnormal, false)
	<-server.Done()
	wantClose(t, server.Send([]byte("x")), Abnormal, false)
	if _, err := client.Read(); err == nil {
		t.Error("the peer reads on")
	}
	wantClose(t, client.Err(), Abnormal, true)
}

// A peer that never reads is cut off as soon as its queue is full, and nobody
// waits for it.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const queue = 64 << 10
		ours, theirs := net.Pipe()
		defer theirs.Close()
		c := New(ours, Server, Options{MaxQueue: queue})
		begun := time.Now()
		msg := bytes.Repeat([]byte("n"), 1000)
		sent := 0
		var err error
		for err == nil && sent < 1000 {
			if err = c.Send(msg); err == nil {
				sent++
			}
		}
		wantClose(t, err, Policy, false)
		if got := time.Since(begun); got != 0 {
			t.Errorf("Send waited %v", got)
		}
		if sent != queue/1004+1 { // the last one went over the mark
			t.Errorf("%d messages of 1000 bytes were queued in %d", sent, queue)
		}
		<-c.Done()
		if got := time.Since(begun); got != DefaultWriteTimeout {
			t.Errorf("gone after %v, want %v", got, DefaultWriteTimeout)
		}
	})
}

// The same over a real socket, whose buffers are full first: after that, when
// the peer reads at last, it finds our close frame at the end.
func TestSlowReaderIsTold(t *testing.T) {
	server, client := tcpPair(t, Options{MaxQueue: 256 << 10}, Options{})
	msg := bytes.Repeat([]byte("n"), 10_000)
	var err error
	sent := 0
	for ; err == nil; sent++ {
		err = server.Send(msg)
	}
	wantClose(t, err, Policy, false)
	read := 0
	for {
		got, err := client.Read()
		if err != nil {
			wantClose(t, err, Policy, true)
			break
		}
		if !bytes.Equal(got, msg) {
			t.Fatal("a damaged message")
		}
		read++
	}
	if read != sent-1 {
		t.Errorf("read %d of %d messages", read, sent-1)
	}
	<-server.Done()
}

func TestOneLargeMessageFitsAnEmptyQueue(t *testing.T) {
	server, client := tcpPair(t, Options{MaxQueue: 1000}, Options{MaxMessage: 2 << 20})
	msg := bytes.Repeat([]byte("l"), 2<<20)
	if err := server.Send(msg); err != nil {
		t.Fatal(err)
	}
	got, err := client.Read()
	if err != nil || !bytes.Equal(got, msg) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		c := New(ours, Server, Options{WriteTimeout: time.Second})
		if err := c.Send([]byte("nobody reads this")); err != nil {
			t.Fatal(err)
		}
		<-c.Done()
		wantClose(t, c.Err(), Policy, false)
	})
}

// A slow line that moves is not a peer that does not read.
func TestSlowLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		c := New(ours, Server, Options{WriteTimeout: time.Second})
		msg := bytes.Repeat([]byte("s"), 10*chunk)
		if err := c.Send(msg); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if _, err := ws.ReadHeader(theirs); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(msg))
		for i := 0; i < len(got); i += chunk {
			if i > 0 {
				time.Sleep(900 * time.Millisecond) // fake time: the line is slow
			}
			if _, err := io.ReadFull(theirs, got[i:i+chunk]); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, msg) || c.Err() != nil {
			t.Errorf("after %v: %v", time.Since(begun), c.Err())
		}
		c.Abort()
	})
}

func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		c := New(ours, Server, Options{MaxQueue: 1000, WriteTimeout: time.Minute})
		ctx := context.Background()
		if err := c.Room(ctx); err != nil {
			t.Fatal(err)
		}
		for range 6 {
			if err := c.Send(make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
		}
		soon, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if err := c.Room(soon); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Room in a full queue: %v", err)
		}
		free := make(chan error)
		go func() { free <- c.Room(ctx) }()
		synctest.Wait()
		select {
		case err := <-free:
			t.Fatalf("Room in a full queue: %v", err)
		default:
		}
		if _, err := io.ReadFull(theirs, make([]byte, 6*102)); err != nil {
			t.Fatal(err)
		}
		if err := <-free; err != nil {
			t.Error(err)
		}
		c.Abort()
		wantClose(t, c.Room(ctx), Abnormal, false)
	})
}

// A till that asks without listening ends with Policy, however small what it
// takes.
func TestRoomGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		c := New(ours, Server, Options{MaxQueue: 1000, WriteTimeout: time.Minute})
		for range 8 {
			if err := c.Send(make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
		}
		over := make(chan struct{})
		go func() { // one byte every 50 s keeps each write alive, but not for ever
			defer close(over)
			for {
				if _, err := theirs.Read(make([]byte, 1)); err != nil {
					return
				}
				time.Sleep(50 * time.Second)
			}
		}()
		wantClose(t, c.Room(context.Background()), Policy, false)
		<-c.Done()
		<-over
	})
}

func TestPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		c := New(ours, Server, Options{})
		defer c.Abort()
		go func() { _, _ = c.Read() }()
		var mu sync.Mutex
		var answered []int
		for i := range 3 {
			if err := c.Ping(func() {
				mu.Lock()
				defer mu.Unlock()
				answered = append(answered, i)
			}); err != nil {
				t.Fatal(err)
			}
		}
		read := func() string {
			h, err := ws.ReadHeader(theirs)
			if err != nil || h.OpCode != ws.OpPing {
				t.Fatalf("%+v, %v", h, err)
			}
			p := make([]byte, h.Length)
			if _, err := io.ReadFull(theirs, p); err != nil {
				t.Fatal(err)
			}
			return string(p)
		}
		one, two, three := read(), read(), read()
		check := func(pong string, want int) {
			t.Helper()
			if _, err := theirs.Write(frame{op: 10, payload: pong}.bytes(true)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if len(answered) != want {
				t.Errorf("after pong %q: answered %v, want %d of them", pong, answered, want)
			}
		}
		check("", 0)
		check("something else", 0)
		check("4", 0) // never sent
		check(two, 2) // answers the one before as well
		check(one, 2)
		check(three, 3)
		check(three, 3)
	})
}

// A ping that is handed on is answered when whoever took it says so.
func TestPinged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pings := make(chan func(), 1)
		server, client := pair(Options{}, Options{Pinged: func(answer func()) { pings <- answer }})
		defer server.Abort()
		defer client.Abort()
		go func() { _, _ = server.Read() }()
		go func() { _, _ = client.Read() }()
		answered := make(chan struct{})
		if err := server.Ping(func() { close(answered) }); err != nil {
			t.Fatal(err)
		}
		answer := <-pings
		synctest.Wait()
		select {
		case <-answered:
			t.Fatal("answered by itself")
		default:
		}
		answer()
		<-answered
	})
}

func TestPingsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		c := New(ours, Server, Options{})
		defer c.Abort()
		var err error
		n := 0
		for ; err == nil && n < 10*maxProbes; n++ {
			err = c.Ping(func() {})
		}
		if n != maxProbes+1 {
			t.Errorf("refused at %d: %v", n, err)
		}
	})
}

// A peer that pings without reading cannot make the queue grow.
func TestPingFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		c := New(ours, Server, Options{MaxQueue: 10_000})
		go func() {
			p := ping(strings.Repeat("p", 125)).bytes(true)
			for {
				if _, err := theirs.Write(p); err != nil {
					return
				}
			}
		}()
		go func() { <-c.Done(); theirs.Close() }()
		_, err := c.Read()
		wantClose(t, err, Policy, false)
		<-c.Done()
	})
}

func TestLastSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := pair(Options{}, Options{})
		defer client.Abort()
		defer server.Abort()
		time.Sleep(time.Hour) // fake
		if err := client.Send([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := server.Read(); err != nil {
			t.Fatal(err)
		}
		if got := time.Since(server.LastSeen()); got != 0 {
			t.Errorf("seen %v ago", got)
		}
		if server.RemoteAddr() == nil {
			t.Error("no address")
		}
	})
}

// A served is a Handler made of functions.
type served struct {
	receive func([]byte)
	ended   func(error)
}

func (s served) Receive(msg []byte) { s.receive(msg) }
func (s served) Ended(err error)    { s.ended(err) }

// Serve hands over every message in order and ends once, also across the
// change of goroutine that a pong brings.
func TestServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := pair(Options{}, Options{})
		var got []string
		end := make(chan error, 1)
		server.Serve(served{func(msg []byte) {
			got = append(got, string(msg))
			if err := server.Ping(nil); err != nil {
				t.Error(err)
			}
		}, func(err error) { end <- err }})
		go func() { _, _ = client.Read() }() // answers the pings
		var want []string
		for i := range 50 {
			want = append(want, fmt.Sprint(i))
			if err := client.Send([]byte(want[i])); err != nil {
				t.Fatal(err)
			}
			if i%5 == 0 {
				synctest.Wait()
			}
		}
		if err := client.Close(Normal, ""); err != nil {
			t.Error(err)
		}
		wantClose(t, <-end, Normal, true)
		<-server.Done()
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("got %q", got)
		}
	})
}

// TestSize holds a Conn to a size of the allocator's: there are tens of thousands
// that idle.
func TestSize(t *testing.T) {
	if got := unsafe.Sizeof(Conn{}); got > 416 {
		t.Errorf("a Conn takes %d bytes, more than 416", got)
	}
}
