package bench

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tillwire/tillwire/journal/sqlite"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// A hop is one way for a frame from a goroutine that has it to a client's
// socket. Its reader tells when a frame has been read.
type hop struct {
	client *end
	read   chan time.Time
	failed chan error
}

// newHop starts the reader, which is the same on both sides.
func newHop(client *end) *hop {
	h := &hop{client: client, read: make(chan time.Time, 1), failed: make(chan error, 1)}
	go func() {
		defer close(h.failed)
		for {
			frame, err := h.client.read()
			at := time.Now()
			if err != nil {
				h.failed <- err
				return
			}
			if isResult(frame) && !isSuccess(frame) {
				h.failed <- errors.New("a sale failed: " + string(frame))
				return
			}
			h.read <- at
		}
	}()
	return h
}

func (h *hop) wait(ctx context.Context) (time.Time, error) {
	select {
	case at := <-h.read:
		return at, nil
	case err := <-h.failed:
		return time.Time{}, err
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	}
}

// time measures one frame, in microseconds. Before it everything falls asleep:
// in a shop notifications are seconds apart.
func (h *hop) time(ctx context.Context, send func() error) (float64, error) {
	if err := sleep(ctx, 200*time.Microsecond); err != nil {
		return 0, err
	}
	start := time.Now()
	if err := send(); err != nil {
		return 0, err
	}
	at, err := h.wait(ctx)
	return float64(at.Sub(start)) / float64(time.Microsecond), err
}

// close ends the reader.
func (h *hop) close() {
	h.client.close()
	for {
		select {
		case <-h.read:
		case _, open := <-h.failed:
			if !open {
				return
			}
		}
	}
}

// notesPerSale is how many notifications are timed in one sale: as many as one
// by chip and PIN has.
const notesPerSale = 8

// sampled are the notifications that are timed, in turns: the same one twice
// running is told once. They are of one length.
func sampled(i int) txn.Notification {
	return [...]txn.Notification{"PLEASE_WAIT", "INSERT_CARD"}[i%2]
}

// relay times a notification through the gateway and a bare frame, in turns.
func (b *bench) relay(ctx context.Context) (Group, error) {
	store, err := sqlite.Open(b.folder(), sqlite.Options{})
	if err != nil {
		return Group{}, err
	}
	began := make(chan terminal.Request, 1)
	s, err := openShop(ctx, store, 1, func(_ *machine, r terminal.Request) { began <- r })
	if err != nil {
		return Group{}, err
	}
	g, err := b.relayed(ctx, s, began)
	return g, errors.Join(err, s.close())
}

func (b *bench) relayed(ctx context.Context, s *shop, began <-chan terminal.Request) (Group, error) {
	client, err := dial(ctx, s.url)
	if err != nil {
		return Group{}, err
	}
	through := newHop(client)
	defer through.close()
	accepted := make(chan *end, 1)
	server, err := openBare(func(e *end) {
		accepted <- e
		_, _ = e.read() // until it is closed
	})
	if err != nil {
		return Group{}, err
	}
	defer server.close()
	if client, err = dial(ctx, server.url()); err != nil {
		return Group{}, err
	}
	raw := newHop(client)
	defer raw.close()
	var far *end
	select {
	case far = <-accepted:
	case <-ctx.Done():
		return Group{}, ctx.Err()
	}

	frame := []byte(`{"jsonrpc":"2.0","method":"terminalNotification","params":{"notificationValue":"` + string(sampled(0)) + `","tid":"` + string(tid(0)) + `"}}`)
	var ours, bare []float64
	for round := range b.Rounds {
		b.say("relay: round %d of %d", round+1, b.Rounds)
		a, err := b.sampleSales(ctx, s, through, began)
		if err != nil {
			return Group{}, err
		}
		c := make([]float64, b.Samples)
		for i := range c {
			if c[i], err = raw.time(ctx, func() error { return far.write(frame) }); err != nil {
				return Group{}, err
			}
		}
		slices.Sort(a)
		slices.Sort(c)
		ours, bare = append(ours, median(a)), append(bare, median(c))
	}
	return Group{
		Meaning: "The time from a terminal's driver telling a notification until the till's socket has read it, through the gateway " +
			"with its journal on disk, over the time of one frame of the same bytes from a goroutine that writes it with the bare WebSocket library " +
			"until a client has read it. Both over loopback, one frame at a time, 200 µs of rest before each, the same reader.",
		Figures: []Figure{Figure{
			Case: "through the gateway / one bare hop", Figure: spread(ratios(ours, bare)),
			Values: []Value{
				{"through the gateway", "µs", spread(ours)},
				{"one bare hop", "µs", spread(bare)},
			},
		}.atMost(1.5)},
	}, nil
}

// sampleSales times notifications, so many in each of as many sales as it takes.
func (b *bench) sampleSales(ctx context.Context, s *shop, h *hop, began <-chan terminal.Request) ([]float64, error) {
	var took []float64
	m := s.machines[0]
	for len(took) < b.Samples {
		if err := h.client.write(request(0, 1250)); err != nil {
			return nil, err
		}
		if _, err := h.wait(ctx); err != nil { // TRANSACTION_STARTED
			return nil, err
		}
		r := <-began // before the terminal had it there was nothing to read
		for i := range min(notesPerSale, b.Samples-len(took)) {
			t, err := h.time(ctx, func() error { m.note(r.ID, sampled(i)); return nil })
			if err != nil {
				return nil, err
			}
			took = append(took, t)
		}
		m.end(b.play, r)
		for range 2 { // TRANSACTION_FINISHED, the result
			if _, err := h.wait(ctx); err != nil {
				return nil, err
			}
		}
	}
	return took, nil
}
