package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A member is a till in a process of its own: one with keys, or the one that
// keeps tables when it has no terminals.
type member struct {
	name string
	tids []string
	rest bool // it has no connection
}

// members are the tills of a run that are killed, too.
func members() []member {
	all := []member{{name: "tables"}}
	for _, tid := range keyed {
		all = append(all, member{name: "keyed-" + tid, tids: []string{tid}})
	}
	for _, r := range remotes {
		if !r.waits {
			all = append(all, member{name: "keyed-" + r.tid, tids: []string{r.tid}})
		}
	}
	for i := range 2 {
		all = append(all, member{name: fmt.Sprintf("keyed-guest%d", i+1), tids: shared})
	}
	return append(all, member{name: "polling-guest", tids: shared, rest: true}, member{name: "polling-" + polled, tids: []string{polled}, rest: true})
}

// A crew is the tills of a run in processes of their own. They are killed again
// and again, until quiet.
type crew struct {
	self, dir, log string
	pac, pat       string // URLs
	seed           uint64

	in       *os.File // their standard input
	quiet    func()   // ends it, and the killing
	calm     chan struct{}
	finished sync.WaitGroup // the tills that know everything
	done     sync.WaitGroup
	ctx      context.Context
	goHome   context.CancelFunc

	mu      sync.Mutex
	kills   int
	failure error
}

// openCrew starts the tills.
func openCrew(ctx context.Context, h house, dir, pac, pat string, seed uint64) (*crew, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	in, end, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c := &crew{self: h.self, dir: dir, log: h.log, pac: pac, pat: pat, seed: seed, in: in, calm: make(chan struct{})}
	c.quiet = sync.OnceFunc(func() { end.Close(); close(c.calm) })
	c.ctx, c.goHome = context.WithCancel(ctx)
	for i, m := range members() {
		if len(m.tids) > 0 {
			c.finished.Add(1)
		}
		c.done.Go(func() { c.keep(i, m) })
	}
	return c, nil
}

// close takes the tills away.
func (c *crew) close() {
	c.quiet()
	c.goHome()
	c.done.Wait()
	c.in.Close()
}

// book is a till's diary.
func (c *crew) book(m member) string {
	if len(m.tids) == 0 {
		return filepath.Join(c.dir, m.name)
	}
	return filepath.Join(c.dir, m.name+tillSuffix)
}

func (c *crew) start(i, life int, m member) (*process, error) {
	if len(m.tids) == 0 {
		return launch(c.self, []string{"tables", "-url", c.pat, "-book", c.book(m)}, c.log, nil)
	}
	return launch(c.self, []string{
		"till", fmt.Sprintf("-rest=%t", m.rest), "-url", c.pac, "-book", c.book(m), "-tids", strings.Join(m.tids, ","),
		"-base", strconv.Itoa((i + 1) * 1_000_000), "-seed", strconv.FormatUint(c.seed+uint64(life), 10),
	}, c.log, c.in)
}

// keep has a till live, be killed and live again, until it is quiet; then until
// it knows everything, and the one with the tables until all go home.
func (c *crew) keep(i int, m member) {
	finish := sync.OnceFunc(c.finished.Done)
	if len(m.tids) == 0 {
		finish = func() {}
	}
	defer finish()
	rng := rand.New(rand.NewPCG(c.seed, 100+uint64(i)))
	for life := 0; c.ctx.Err() == nil; life++ {
		p, err := c.start(i, life, m)
		if err != nil {
			c.fail(err)
			return
		}
		p.within(c.ctx, c.calm, 200*time.Millisecond+time.Duration(rng.IntN(4000))*time.Millisecond)
		select {
		case <-c.calm:
			p.within(c.ctx, make(chan struct{}), 24*time.Hour)
			if c.ctx.Err() != nil {
				p.kill()
			} else if p.err != nil || len(m.tids) == 0 {
				c.fail(fmt.Errorf("till %s ended by itself: %w: %s", m.name, p.err, p.last()))
			}
			return
		default:
		}
		if c.ctx.Err() == nil && p.gone() {
			c.fail(fmt.Errorf("till %s ended by itself: %w: %s", m.name, p.err, p.last()))
			return
		}
		p.kill()
		c.mu.Lock()
		c.kills++
		c.mu.Unlock()
		select {
		case <-time.After(time.Duration(rng.IntN(300)) * time.Millisecond):
		case <-c.ctx.Done():
		}
	}
}

// fail notes the first thing that should not have happened.
func (c *crew) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure == nil {
		c.failure = err
	}
}

// failed returns it.
func (c *crew) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failure
}
