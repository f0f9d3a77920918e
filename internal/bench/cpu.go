package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/terminal"
)

// A pacer is the other side's own goroutine for one lane: it takes the next
// step of a sale whenever the till has read a frame. So frames travel one by
// one, as in a shop, and the goroutine costs both sides the same.
type pacer struct {
	next chan struct{}
	done chan struct{}
}

// newPacer takes so many steps a sale, again and again.
func newPacer(steps int, step func(i int)) *pacer {
	p := &pacer{next: make(chan struct{}, 1), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		i := 0
		for range p.next {
			step(i)
			i = (i + 1) % steps
		}
	}()
	return p
}

func (p *pacer) wake() { p.next <- struct{}{} }

func (p *pacer) stop() {
	close(p.next)
	<-p.done
}

// paced gives each terminal of a shop a pacer, and returns the lanes.
func (b *bench) paced(s *shop) (lanes []*lane, stop func()) {
	amounts := rand.New(rand.NewPCG(b.Seed, 0))
	var pacers []*pacer
	for i, m := range s.machines {
		var now atomic.Pointer[terminal.Request]
		m.perform = func(_ *machine, r terminal.Request) { now.Store(&r) }
		p := newPacer(len(b.play.notes)+1, func(i int) {
			if r := *now.Load(); i < len(b.play.notes) {
				m.note(r.ID, b.play.notes[i])
			} else {
				m.end(b.play, r)
			}
		})
		pacers = append(pacers, p)
		lanes = append(lanes, &lane{request: request(i, 100+amounts.Int64N(9900)), read: p.wake})
	}
	return lanes, func() { stopAll(pacers) }
}

func stopAll(pacers []*pacer) {
	for _, p := range pacers {
		p.stop()
	}
}

// cpu compares the processor's time of a sale with that of echoing its frames.
func (b *bench) cpu(ctx context.Context) (Group, error) {
	said, err := b.conversation(ctx)
	if err != nil {
		return Group{}, err
	}
	bytes := 0
	for _, f := range said {
		bytes += len(f)
	}
	g := Group{
		Meaning: "The processor's time, of this whole process, for a sale through the gateway with its journal on disk, over that for echoing as many " +
			"frames of the same bytes with the bare WebSocket library: the till sends each, and it comes back. Tills are in the process on " +
			"both sides; frames go one by one, the next when the till has read the one before; the terminals are played. For information also " +
			"over sending the frames once, in the directions that a sale has, which is half as many on the way.",
		Notes: []string{fmt.Sprintf("A sale has %d frames, 1 to the gateway and %d to the till, of %d bytes in all; the result alone has %d.",
			len(said), len(said)-1, bytes, len(said[len(said)-1]))},
	}
	for _, n := range b.InFlight {
		var disk, ram, bare, echo []float64
		for round := range b.Rounds {
			b.say("cpu: %d in flight, round %d of %d", n, round+1, b.Rounds)
			store, err := b.disk(0)
			if err != nil {
				return Group{}, err
			}
			for _, side := range []struct {
				run func() (rate, error)
				to  *[]float64
			}{
				{func() (rate, error) { return b.sellPaced(ctx, store, n) }, &disk},
				{func() (rate, error) { return b.sellPaced(ctx, memory.New(), n) }, &ram},
				{func() (rate, error) { return b.talkBare(ctx, said, n) }, &bare},
				{func() (rate, error) { return b.echoBare(ctx, said, n) }, &echo},
			} {
				r, err := side.run()
				if err != nil {
					return Group{}, err
				}
				*side.to = append(*side.to, r.cpuMicros())
			}
		}
		f := Figure{
			Case: fmt.Sprintf("%d in flight: a sale / its frames echoed", n), Figure: spread(ratios(disk, echo)),
			Values: []Value{
				{"a sale, journal on disk", "µs", spread(disk)},
				{"a sale, journal in memory", "µs", spread(ram)},
				{"its frames, each out and back", "µs", spread(echo)},
			},
		}
		if n == slices.Max(b.InFlight) {
			f = f.atMost(2.5)
		}
		g.Figures = append(g.Figures, f, Figure{
			Case: fmt.Sprintf("%d in flight: a sale / its frames sent once", n), Figure: spread(ratios(disk, bare)),
			Values: []Value{{"its frames, one way each", "µs", spread(bare)}},
		})
	}
	return g, nil
}

func (b *bench) sellPaced(ctx context.Context, store journal.Store, n int) (rate, error) {
	s, err := openShop(ctx, store, n, nil)
	if err != nil {
		return rate{}, err
	}
	lanes, stop := b.paced(s)
	defer stop()
	r, err := drive(ctx, s.url, lanes, stretch{window: b.Window})
	return r, errors.Join(err, s.close())
}

// conversation returns the frames of one sale, the request first, as the first
// lane has them.
func (b *bench) conversation(ctx context.Context) (frames [][]byte, err error) {
	s, err := openShop(ctx, memory.New(), 1, nil)
	if err != nil {
		return nil, err
	}
	lanes, stop := b.paced(s)
	defer stop()
	err = oneSale(ctx, s.url, lanes[0], func(f []byte) { frames = append(frames, slices.Clone(f)) })
	if err = errors.Join(err, s.close()); err == nil && len(frames) != len(b.play.notes)+4 {
		err = fmt.Errorf("a sale has %d frames with %d notifications of the terminal", len(frames), len(b.play.notes))
	}
	return frames, err
}

// talkBare has the same tills hold the same conversations with a server that
// only writes the frames.
func (b *bench) talkBare(ctx context.Context, said [][]byte, n int) (r rate, err error) {
	type side struct {
		frames [][]byte // to the till
		pacer  *pacer
		end    atomic.Pointer[end]
	}
	sides := make([]*side, n)
	lanes := make([]*lane, n)
	var pacers []*pacer
	defer func() { stopAll(pacers) }()
	var mu sync.Mutex
	failed := func(e error) {
		mu.Lock()
		defer mu.Unlock()
		err = errors.Join(err, e)
	}
	for i := range n {
		s := &side{}
		for _, f := range said[1:] {
			s.frames = append(s.frames, frameFor(i, f))
		}
		last := len(s.frames) - 1
		s.pacer = newPacer(last-1, func(step int) {
			e := s.end.Load()
			werr := e.write(s.frames[step+1])
			if werr == nil && step+1 == last-1 {
				werr = e.write(s.frames[last])
			}
			if werr != nil {
				failed(werr)
				e.close()
			}
		})
		pacers = append(pacers, s.pacer)
		sides[i], lanes[i] = s, &lane{request: frameFor(i, request(i, 1250)), read: s.pacer.wake}
	}
	server, err := openBare(func(e *end) {
		for {
			frame, err := e.read()
			if err != nil {
				return // the till has gone
			}
			i, ok := terminalOf(frame)
			if !ok || i >= n {
				return
			}
			sides[i].end.Store(e)
			if e.write(sides[i].frames[0]) != nil {
				return
			}
		}
	})
	if err != nil {
		return rate{}, err
	}
	r, derr := drive(ctx, server.url(), lanes, stretch{window: b.Window})
	server.close()
	mu.Lock()
	defer mu.Unlock()
	return r, errors.Join(derr, err)
}

// echoBare has the same tills send the frames of a sale to a server that sends
// each back.
func (b *bench) echoBare(ctx context.Context, said [][]byte, n int) (rate, error) {
	lanes := make([]*lane, n)
	for i := range lanes {
		lanes[i] = &lane{}
		for _, f := range said {
			lanes[i].echoed = append(lanes[i].echoed, frameFor(i, f))
		}
		lanes[i].request = lanes[i].echoed[0]
	}
	server, err := openBare(func(e *end) {
		for {
			frame, err := e.read()
			if err != nil || e.write(frame) != nil {
				return // the till has gone
			}
		}
	})
	if err != nil {
		return rate{}, err
	}
	defer server.close()
	return drive(ctx, server.url(), lanes, stretch{window: b.Window})
}
