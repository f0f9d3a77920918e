package ws

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"
	"unicode/utf8"
)

// A tape is a network connection that plays its bytes, then ends.
type tape struct{ in *bytes.Reader }

func (t tape) Read(p []byte) (int, error)     { return t.in.Read(p) }
func (tape) Write(p []byte) (int, error)      { return len(p), nil }
func (tape) CloseWrite() error                { return nil }
func (tape) Close() error                     { return nil }
func (tape) LocalAddr() net.Addr              { return nil }
func (tape) RemoteAddr() net.Addr             { return nil }
func (tape) SetDeadline(time.Time) error      { return nil }
func (tape) SetReadDeadline(time.Time) error  { return nil }
func (tape) SetWriteDeadline(time.Time) error { return nil }

var _ io.Reader = tape{}

// Whatever a peer sends: no panic, no message over the limit, no text that is
// not UTF-8, no more memory than the limit and the growth step allow, and an
// end that says why.
func FuzzRead(f *testing.F) {
	for _, c := range frameCases() {
		var in []byte
		for _, fr := range c.frames {
			in = append(in, fr.bytes(true)...)
		}
		if len(in) < 2000 {
			f.Add(in, false)
			f.Add(in, true)
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, client bool) {
		const limit = 1000
		role := Server
		if client {
			role = Client
		}
		c := New(tape{bytes.NewReader(in)}, role, Options{MaxMessage: limit})
		for {
			msg, err := c.Read()
			if err != nil {
				break
			}
			if len(msg) > limit || cap(msg) > 4*limit || len(msg) > len(in) {
				t.Fatalf("a message of %d bytes in %d", len(msg), cap(msg))
			}
			if !utf8.Valid(msg) {
				t.Fatalf("not UTF-8: %q", msg)
			}
		}
		<-c.Done()
		if _, ok := c.Err().(*CloseError); !ok {
			t.Fatalf("ended with %v", c.Err())
		}
	})
}
