package faultproxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// long is longer than any test.
const long = time.Hour

// A pair is a connection through a proxy: who dialled, and who was reached.
type pair struct {
	*Proxy
	near, far net.Conn
	dial      func() (near, far net.Conn)
}

func connected(t *testing.T) *pair {
	t.Helper()
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p, err := Listen(target.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(target.Close(), p.Close()); err != nil {
			t.Error(err)
		}
	})
	dial := func() (near, far net.Conn) {
		near, err := net.Dial("tcp", p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if far, err = target.Accept(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { near.Close(); far.Close() })
		return near, far
	}
	near, far := dial()
	c := &pair{p, near, far, dial}
	c.says(t, near, far, "hello")
	c.says(t, far, near, "good day")
	return c
}

// says has one end say a line that the other hears.
func (c *pair) says(t *testing.T, from, to net.Conn, line string) {
	t.Helper()
	c.send(t, from, line)
	c.hears(t, to, line)
}

func (c *pair) send(t *testing.T, from net.Conn, line string) {
	t.Helper()
	if _, err := io.WriteString(from, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

func (c *pair) hears(t *testing.T, at net.Conn, line string) {
	t.Helper()
	if got, err := bufio.NewReaderSize(at, 16).ReadString('\n'); err != nil || got != line+"\n" {
		t.Fatalf("heard %q, %v, want %q", got, err, line)
	}
}

// silent fails when an end hears something, or of its end.
func (c *pair) silent(t *testing.T, at net.Conn) {
	t.Helper()
	at.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if n, err := at.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%d bytes and %v where nothing could be heard", n, err)
	}
	at.SetReadDeadline(time.Time{})
}

// ended returns how a connection ends.
func ended(t *testing.T, at net.Conn) error {
	t.Helper()
	n, err := at.Read(make([]byte, 1))
	if n > 0 || err == nil {
		t.Fatalf("%d bytes where the connection should end", n)
	}
	return err
}

func TestEndsPassThrough(t *testing.T) {
	c := connected(t)
	if err := c.near.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := ended(t, c.far); !errors.Is(err, io.EOF) {
		t.Errorf("the other half heard %v", err)
	}
	c.says(t, c.far, c.near, "the other direction stays")
	c.far.Close()
	if err := ended(t, c.near); !errors.Is(err, io.EOF) {
		t.Errorf("ended with %v", err)
	}
}

func TestResetsPassThrough(t *testing.T) {
	c := connected(t)
	end(c.far.(*net.TCPConn), true)
	if err := ended(t, c.near); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("ended with %v", err)
	}
}

func TestCut(t *testing.T) {
	c := connected(t)
	c.Do(Cut, 0)
	for _, at := range []net.Conn{c.near, c.far} {
		if err := ended(t, at); !errors.Is(err, io.EOF) {
			t.Errorf("ended with %v", err)
		}
	}
	near, far := c.dial()
	c.says(t, near, far, "the next one works")
}

func TestReset(t *testing.T) {
	c := connected(t)
	c.Do(Reset, 0)
	for _, at := range []net.Conn{c.near, c.far} {
		if err := ended(t, at); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("ended with %v", err)
		}
	}
	near, far := c.dial()
	c.says(t, near, far, "the next one works")
}

func TestDelay(t *testing.T) {
	c := connected(t)
	c.Do(Delay, long)
	c.send(t, c.near, "late")
	c.silent(t, c.far)
	c.Calm()
	c.hears(t, c.far, "late")
	c.Do(Delay, time.Millisecond)
	c.says(t, c.near, c.far, "a little late")
}

func TestHole(t *testing.T) {
	c := connected(t)
	c.Do(Hole, long)
	c.send(t, c.near, "question")
	c.send(t, c.far, "answer")
	c.silent(t, c.far)
	c.silent(t, c.near)
	dialled, err := net.Dial("tcp", c.Addr()) // it is let in, and hears nothing
	if err != nil {
		t.Fatal(err)
	}
	defer dialled.Close()
	c.silent(t, dialled)
	c.near.Close() // who goes away now is still heard
	c.Calm()
	c.hears(t, c.far, "question")
	near, far := c.dial() // far may be of who dialled into the hole
	c.send(t, near, "through again")
	c.send(t, dialled, "through again")
	c.hears(t, far, "through again")
}

func TestGhost(t *testing.T) {
	c := connected(t)
	c.Do(Ghost, long)
	if err := ended(t, c.near); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("ended with %v", err)
	}
	c.send(t, c.far, "is somebody there?")
	c.silent(t, c.far)
	near, far := c.dial()
	c.says(t, near, far, "the next one works")
	c.Calm()
	if err := ended(t, c.far); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the ghost ended with %v", err)
	}
	c.says(t, near, far, "and goes on to")
	c.Do(Ghost, time.Millisecond)
	if err := ended(t, far); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the second ghost ended with %v", err)
	}
}

func TestNobodyListens(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	p, err := Listen(gone.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	c, err := net.Dial("tcp", p.Addr())
	if err == nil { // it is reset at once, or soon
		defer c.Close()
		err = ended(t, c)
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("ended with %v", err)
	}
}
