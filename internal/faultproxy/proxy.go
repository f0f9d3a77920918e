// Package faultproxy stands between two programs that talk over TCP and does to
// their connections what networks do: it cuts and resets them, delays what is
// sent, swallows it for a while, and leaves ghosts behind. It is for tests.
//
// It never changes, drops or reorders bytes within a connection that lives on:
// TCP does not, either.
package faultproxy

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// A Fault is something that happens to all connections of a Proxy.
type Fault string

// The faults. Those from Delay on last for a time.
const (
	Cut   Fault = "cut"   // both ends are closed
	Reset Fault = "reset" // both ends are reset, and what was on its way is gone
	Delay Fault = "delay" // what is sent arrives later by that time, for as long again
	Hole  Fault = "hole"  // nothing arrives, and then all of it; who dials gets no answer
	Ghost Fault = "ghost" // the end that dialled is gone, and the other learns of it only then
)

// Faults lists all of them.
func Faults() []Fault { return []Fault{Cut, Reset, Delay, Hole, Ghost} }

// A Proxy passes connections on to its target. Use Listen.
type Proxy struct {
	target   string
	listener net.Listener
	work     sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	lines    map[*line]bool
	hole     time.Time     // until then nothing passes
	delay    time.Duration // of what is sent
	delaying time.Time     // until then
	calm     chan struct{} // closed when no fault lasts any more
}

// A line is one connection and its other half. From is who dialled.
type line struct {
	proxy    *Proxy
	from, to *net.TCPConn
	ghost    time.Time // from is gone, and to must not learn of it before
}

// Listen makes a proxy on a free loopback port. Nobody need listen at the
// target yet, host:port.
func Listen(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{target: target, listener: l, lines: map[*line]bool{}, calm: make(chan struct{})}
	p.work.Go(p.accept)
	return p, nil
}

// Addr is where to dial instead of the target.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Do lets a fault happen to all connections that there are. D is for how long,
// where the fault lasts; one that lasts already is replaced.
func (p *Proxy) Do(f Fault, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	switch f {
	case Delay:
		p.delay, p.delaying = d, now.Add(2*d)
	case Hole:
		p.hole = now.Add(d)
	case Cut, Reset, Ghost:
		for l := range p.lines {
			switch f {
			case Ghost:
				if l.ghost.IsZero() {
					l.ghost = now.Add(d)
					end(l.from, true)
				}
			default:
				end(l.from, f == Reset)
				end(l.to, f == Reset)
			}
		}
	}
}

// Calm ends the faults that last: what was held back goes on its way.
func (p *Proxy) Calm() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hole, p.delaying = time.Time{}, time.Time{}
	for l := range p.lines {
		if !l.ghost.IsZero() {
			l.ghost = time.Now()
			end(l.to, true)
		}
	}
	close(p.calm)
	p.calm = make(chan struct{})
}

// Close ends all connections.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	err := p.listener.Close()
	p.Do(Cut, 0)
	p.Calm()
	p.work.Wait()
	return err
}

// end closes a connection, in order or not.
func end(c *net.TCPConn, reset bool) {
	if reset {
		c.SetLinger(0) //nolint:errcheck // it is gone already
	}
	c.Close() //nolint:errcheck // likewise
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // of who dialled
		}
		p.work.Go(func() { p.serve(c.(*net.TCPConn)) })
	}
}

// serve passes on what one connection says, both ways.
func (p *Proxy) serve(from *net.TCPConn) {
	p.hold(false)
	to, err := net.Dial("tcp", p.target)
	if err != nil {
		end(from, true) // as who dials where nobody listens
		return
	}
	l := &line{proxy: p, from: from, to: to.(*net.TCPConn)}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		end(from, true)
		end(l.to, true)
		return
	}
	p.lines[l] = true
	p.mu.Unlock()
	var back sync.WaitGroup
	back.Go(func() { l.pass(l.from, l.to) })
	l.pass(l.to, l.from)
	l.haunt()
	back.Wait()
	p.mu.Lock()
	delete(p.lines, l)
	p.mu.Unlock()
	end(l.from, false)
	end(l.to, false)
}

// hold waits while nothing may pass and, for what is sent, as long as it is
// delayed.
func (p *Proxy) hold(sent bool) {
	for {
		p.mu.Lock()
		wait, calm := time.Until(p.hole), p.calm
		last := wait <= 0
		if last && sent && time.Now().Before(p.delaying) {
			wait = p.delay
		}
		p.mu.Unlock()
		if wait > 0 {
			t := time.NewTimer(wait)
			select {
			case <-t.C:
			case <-calm:
			}
			t.Stop()
		}
		if last {
			return
		}
	}
}

// pass takes what one end says to the other, until it has said all.
func (l *line) pass(dst, src *net.TCPConn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			l.proxy.hold(true)
			if _, err := dst.Write(buf[:n]); err != nil && !l.isGhost() {
				end(src, true)
				return
			}
		}
		if err != nil {
			l.proxy.hold(false)
			switch {
			case l.isGhost():
			case isEnd(err):
				dst.CloseWrite() //nolint:errcheck // it is gone already
			default:
				end(dst, true)
			}
			return
		}
	}
}

// isEnd reports whether who was read from has said all, rather than vanished.
func isEnd(err error) bool { return errors.Is(err, io.EOF) }

func (l *line) isGhost() bool {
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	return !l.ghost.IsZero()
}

// haunt keeps the end that knows nothing until it is time.
func (l *line) haunt() {
	l.proxy.mu.Lock()
	until, calm := l.ghost, l.proxy.calm
	l.proxy.mu.Unlock()
	if until.IsZero() {
		return
	}
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-t.C:
	case <-calm:
	}
	end(l.to, true)
}
