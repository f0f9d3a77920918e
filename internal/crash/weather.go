package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/tillwire/tillwire/internal/faultproxy"
)

// The pairs between whom the network fails, each over a proxy of its own.
var pairs = []string{"PAC", "PAT", "terminals"}

// The weather is what the network does to the processes of a run.
type weather struct {
	proxies map[string]*faultproxy.Proxy
	calm    func()
	work    sync.WaitGroup
	dealt   sync.WaitGroup // until each fault has been there once

	mu     sync.Mutex
	faults map[string]map[faultproxy.Fault]int
}

// calmNetwork makes the network, on which nothing fails yet.
func calmNetwork(addr string) (w *weather, err error) {
	w = &weather{proxies: map[string]*faultproxy.Proxy{}, calm: func() {}, faults: map[string]map[faultproxy.Fault]int{}}
	for _, pair := range pairs {
		if w.proxies[pair], err = faultproxy.Listen(addr); err != nil {
			return nil, errors.Join(err, w.close())
		}
		w.faults[pair] = map[faultproxy.Fault]int{}
	}
	return w, nil
}

// begin has the network fail: each fault once between each pair, in an order
// that the seed decides, and then at random.
func (w *weather) begin(ctx context.Context, seed uint64) {
	ctx, w.calm = context.WithCancel(ctx)
	for i, pair := range pairs {
		rng := rand.New(rand.NewPCG(seed, 200+uint64(i)))
		w.dealt.Add(1)
		w.work.Go(func() { w.blow(ctx, pair, rng) })
	}
}

// blow has the network between one pair fail until ctx ends.
func (w *weather) blow(ctx context.Context, pair string, rng *rand.Rand) {
	p := w.proxies[pair]
	defer p.Calm()
	dealt := sync.OnceFunc(w.dealt.Done)
	defer dealt()
	all := faultproxy.Faults()
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for n := 0; ; n++ {
		f, d, pause := all[n%len(all)], time.Duration(0), 100+rng.IntN(800)
		if n >= len(all) {
			dealt()
			f, pause = all[rng.IntN(len(all))], 100+rng.IntN(3000)
		}
		switch f {
		case faultproxy.Delay:
			d = time.Duration(50+rng.IntN(1500)) * time.Millisecond
		case faultproxy.Hole, faultproxy.Ghost: // some are noticed by missed pings, some by nobody
			d = time.Duration(200+rng.IntN(4500)) * time.Millisecond
		case faultproxy.Cut, faultproxy.Reset:
		}
		select {
		case <-time.After(time.Duration(pause) * time.Millisecond):
		case <-ctx.Done():
			return
		}
		p.Do(f, d)
		w.mu.Lock()
		w.faults[pair][f]++
		w.mu.Unlock()
	}
}

// close ends the network; nobody needs it any more.
func (w *weather) close() (err error) {
	w.calm()
	w.work.Wait()
	for _, p := range w.proxies {
		if p != nil {
			err = errors.Join(err, p.Close())
		}
	}
	return err
}

// url is an address over the network between a pair.
func (w *weather) url(pair, direct string) string {
	u, err := url.Parse(direct)
	if err != nil {
		panic(err) // made here
	}
	u.Host = w.proxies[pair].Addr()
	return u.String()
}

// String counts the faults.
func (w *weather) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, pair := range pairs {
		var some []string
		for _, f := range faultproxy.Faults() {
			some = append(some, fmt.Sprintf("%s %d", f, w.faults[pair][f]))
		}
		all = append(all, pair+": "+strings.Join(some, ", "))
	}
	return strings.Join(all, "; ")
}
