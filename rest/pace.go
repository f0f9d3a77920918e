package rest

import (
	"cmp"
	"context"
	"hash/maphash"
	"sync"
	"time"
)

// A Pace bounds how fast one address is polled: after a burst the answers are
// spaced, and held for a moment at most. Zero fields have defaults.
type Pace struct {
	Burst int           // 20
	Every time.Duration // 0.1 s
	Hold  time.Duration // 0.5 s
}

// maxPaced is how many addresses are remembered before those that need not be are
// forgotten.
const maxPaced = 4096

// A pacer remembers of each address when its next answer would be due if they came
// evenly.
type pacer struct {
	pace Pace

	mu  sync.Mutex
	due map[uint64]time.Time // by what the address comes to, however long it is
	cap int

	seed maphash.Seed
}

func newPacer(p Pace) *pacer {
	p.Burst = cmp.Or(p.Burst, 20)
	p.Every = cmp.Or(p.Every, 100*time.Millisecond)
	p.Hold = cmp.Or(p.Hold, 500*time.Millisecond)
	return &pacer{pace: p, due: map[uint64]time.Time{}, cap: maxPaced, seed: maphash.MakeSeed()}
}

// wait holds a poll of an address back if it comes too fast. It never refuses one.
func (p *pacer) wait(ctx context.Context, address string) {
	d := p.take(maphash.String(p.seed, address), time.Now())
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// take counts a poll, and says how long it is held back.
func (p *pacer) take(address uint64, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	due, known := p.due[address]
	if !known && len(p.due) >= p.cap {
		p.forget(now)
	}
	if due.Before(now) {
		due = now
	}
	burst := time.Duration(p.pace.Burst) * p.pace.Every
	held := min(due.Sub(now)-burst+p.pace.Every, p.pace.Hold)
	if next := due.Add(p.pace.Every); next.Sub(now) <= burst+p.pace.Hold {
		due = next // else it is as late as it gets
	}
	p.due[address] = due
	return held
}

// forget lets go of addresses that were not polled lately. Those that were, and
// are too many, are remembered all the same; then the next look is later.
func (p *pacer) forget(now time.Time) {
	for a, due := range p.due {
		if due.Before(now) {
			delete(p.due, a)
		}
	}
	p.cap = max(maxPaced, 2*len(p.due))
}
