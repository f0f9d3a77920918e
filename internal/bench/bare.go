package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gobwas/ws"
)

// An end is one end of a WebSocket by the bare library, on a real socket: one
// write for a frame, one buffer for reading, nothing else. Every client in this
// room is one, whatever it speaks to, so that both sides of a ratio read alike.
type end struct {
	nc   net.Conn
	role ws.State

	br  *bufio.Reader
	hdr [12]byte
	in  []byte

	mu  sync.Mutex // of writing
	out []byte
}

const readBuffer = 4096

// limit is when a socket gives up whatever happens.
const limit = 10 * time.Minute

func newEnd(nc net.Conn, role ws.State) *end {
	_ = nc.SetDeadline(time.Now().Add(limit)) // an error shows with the first read
	return &end{nc: nc, role: role, br: bufio.NewReaderSize(nc, readBuffer)}
}

// dial connects to a ws: URL.
func dial(ctx context.Context, url string) (*end, error) {
	nc, br, _, err := ws.Dial(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("dialling: %w", err)
	}
	e := newEnd(nc, ws.StateClientSide)
	if br != nil { // with what came right behind the answer
		e.br = br
	}
	return e, nil
}

// write sends one text frame, masked if we are the client. p stays as it is.
func (e *end) write(p []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	h := ws.Header{Fin: true, OpCode: ws.OpText, Length: int64(len(p))}
	if e.role.ClientSide() {
		h.Masked, h.Mask = true, ws.NewMask()
	}
	b := buffer{e.out[:0]}
	if err := ws.WriteHeader(&b, h); err != nil {
		return err
	}
	at := len(b.b)
	b.b = append(b.b, p...)
	if h.Masked {
		ws.Cipher(b.b[at:], h.Mask, 0)
	}
	e.out = b.b
	_, err := e.nc.Write(b.b)
	return err
}

type buffer struct{ b []byte }

func (b *buffer) Write(p []byte) (int, error) {
	b.b = append(b.b, p...)
	return len(p), nil
}

// read returns the payload of the next text frame. It is good until the next
// read.
func (e *end) read() ([]byte, error) {
	for {
		h, err := ws.ReadHeaderBuffer(e.br, e.hdr[:])
		if err != nil {
			return nil, err
		}
		if int64(cap(e.in)) < h.Length {
			e.in = make([]byte, h.Length)
		}
		p := e.in[:h.Length]
		if _, err := io.ReadFull(e.br, p); err != nil {
			return nil, err
		}
		if h.Masked {
			ws.Cipher(p, h.Mask, 0)
		}
		switch h.OpCode {
		case ws.OpText:
			return p, nil
		case ws.OpClose:
			code, reason := ws.ParseCloseFrameData(p)
			return nil, fmt.Errorf("closed with %d %s", code, reason)
		}
	}
}

// close ends the socket at once, and leaves no port behind that waits.
func (e *end) close() {
	if t, ok := e.nc.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = e.nc.Close()
}

// A bareServer upgrades connections by the bare library and serves each on a
// goroutine.
type bareServer struct {
	ln    net.Listener
	serve func(*end)
	wg    sync.WaitGroup
	mu    sync.Mutex
	ends  []*end
}

func openBare(serve func(*end)) (*bareServer, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &bareServer{ln: ln, serve: serve}
	s.wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() {
				e := newEnd(nc, ws.StateServerSide)
				s.mu.Lock()
				s.ends = append(s.ends, e)
				s.mu.Unlock()
				defer e.close()
				if _, err := ws.Upgrade(nc); err == nil {
					s.serve(e)
				}
			})
		}
	})
	return s, nil
}

func (s *bareServer) url() string { return "ws://" + s.ln.Addr().String() + "/" }

func (s *bareServer) close() {
	_ = s.ln.Close()
	s.mu.Lock()
	for _, e := range s.ends {
		e.close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}
