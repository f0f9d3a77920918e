package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"runtime/debug"
	"strconv"

	"github.com/gobwas/ws"

	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/terminal"
)

// serveIdle is the server's process of the measurement of memory: it serves
// connections of one side on a free loopback port, prints its URL, and for each
// line that it reads the bytes of memory that it holds.
func serveIdle(side string, in io.Reader, out io.Writer) (err error) {
	var url string
	switch side {
	case RoleGateway:
		s, err := openShop(context.Background(), memory.New(), 1, func(*machine, terminal.Request) {})
		if err != nil {
			return err
		}
		defer s.close()
		url = s.url
	default:
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer ln.Close()
		go idleBare(ln)
		url = "ws://" + ln.Addr().String() + "/pac?token=bench&api-version=v1&software-house-id=BENCH&installer-id=BENCH"
	}
	if _, err := fmt.Fprintln(out, url); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if _, err := fmt.Fprintln(out, held()); err != nil {
			return err
		}
	}
	return lines.Err()
}

// held is the memory that this process holds of the system's, after what can be
// given back was: heap, stacks and the runtime's own.
func held() uint64 {
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys - m.HeapReleased
}

// idleBare serves with the library alone: the upgrade, then a goroutine that
// reads headers and answers each text.
func idleBare(ln net.Listener) {
	answer := ws.MustCompileFrame(ws.NewTextFrame([]byte(idleAnswer)))
	for {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		if _, err := ws.Upgrade(nc); err != nil {
			nc.Close()
			continue
		}
		go func() {
			defer nc.Close()
			for {
				h, err := ws.ReadHeader(nc)
				if err != nil {
					return
				}
				if _, err := io.CopyN(io.Discard, nc, h.Length); err != nil {
					return
				}
				if h.OpCode != ws.OpText {
					continue
				}
				if _, err := nc.Write(answer); err != nil {
					return
				}
			}
		}()
	}
}

// idleRequest is what each till asks once before it idles, and idleAnswer what
// the gateway says to that.
const (
	idleRequest = `{"jsonrpc":"2.0","id":1,"method":"connectedTerminals"}`
	idleAnswer  = `{"jsonrpc":"2.0","id":1,"result":[{"tid":"10000001","currency":"GBP","status":"AVAILABLE"}]}`
)

// memory compares what an idle connection costs.
func (b *bench) memory(ctx context.Context) (Group, error) {
	n := b.Connections
	g := Group{
		Meaning: "The memory that the server's process holds of the system's after a garbage collection, for each idle till connected to /pac, over the same for the bare " +
			"WebSocket library: upgrade and a goroutine that reads headers. The server is a process of its own; what the kernel " +
			"keeps for a socket is on neither side. Each connection has asked for the terminals once and has answered one ping.",
	}
	if most := fileLimit() - 100; n > most {
		g.Notes = append(g.Notes, fmt.Sprintf("This process may open %d files, so there were %d connections and not %d.", fileLimit(), most, n))
		n = most
	}
	if n < 2 {
		return Group{}, fmt.Errorf("only %d connections can be opened", n)
	}
	var ours, bare []float64
	for round := range b.MemoryRounds {
		b.say("memory: %d connections, round %d of %d", n, round+1, b.MemoryRounds)
		for _, side := range []struct {
			name string
			to   *[]float64
		}{{RoleGateway, &ours}, {RoleBare, &bare}} {
			cost, err := b.idle(ctx, side.name, n)
			if err != nil {
				return Group{}, fmt.Errorf("%s: %w", side.name, err)
			}
			*side.to = append(*side.to, cost)
		}
	}
	g.Figures = []Figure{Figure{
		Case: fmt.Sprintf("%d connections: the gateway / the bare library", n), Figure: spread(ratios(ours, bare)),
		Values: []Value{{"the gateway", "kB each", spread(ours)}, {"the bare library", "kB each", spread(bare)}},
	}.atMost(1.3)}
	return g, nil
}

// idle opens n connections to a server of that side and returns what each cost,
// in kB. The first ones, which pay for what the server needs anyway, do not
// count.
func (b *bench) idle(ctx context.Context, side string, n int) (cost float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	p, err := startAssistant(b.Assistant(ctx, side))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	url, err := p.hear()
	if err != nil {
		return 0, err
	}
	var ends []*end
	defer func() {
		for _, e := range ends {
			e.close()
		}
	}()
	open := func(until int) error {
		for len(ends) < until {
			e, err := dial(ctx, url)
			if err != nil {
				return err
			}
			ends = append(ends, e)
			if err := settle(e); err != nil {
				return err
			}
		}
		return nil
	}
	first := n/20 + 1
	if err := open(first); err != nil {
		return 0, err
	}
	before, err := heldBy(p)
	if err != nil {
		return 0, err
	}
	if err := open(n); err != nil {
		return 0, err
	}
	after, err := heldBy(p)
	if err != nil {
		return 0, err
	}
	return max(after-before, 1) / float64(n-first) / 1000, nil
}

// settle asks once, and answers the ping that would come in time.
func settle(e *end) error {
	if err := e.write([]byte(idleRequest)); err != nil {
		return err
	}
	if _, err := e.read(); err != nil {
		return err
	}
	e.br, e.in, e.out = nil, nil, nil // it reads no more, and this process has many
	return ws.WriteFrame(e.nc, ws.MaskFrame(ws.NewPongFrame([]byte("1"))))
}

// heldBy asks a server's process for its memory, in bytes.
func heldBy(p *assistant) (float64, error) {
	if err := p.tell("held"); err != nil {
		return 0, err
	}
	text, err := p.hear()
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(text, 64)
}
