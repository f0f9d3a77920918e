package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/tillwire/tillwire/internal/powercut"
)

// A remote is a card machine in a process of its own.
type remote struct {
	tid, plays string
	waits      bool // a waiter is at it; else a till has it
}

var remotes = []remote{
	{tid: "20000001", plays: "SIP0"},
	{tid: "20000002", plays: "SIS0"},
	{tid: "20000003", plays: "SCD0"},
	{tid: "20000004", plays: "SIN0", waits: true},
}

// A machineBlow is what is done to one life of a card machine.
type machineBlow struct {
	point string // where it ends itself; else it is killed from outside
	nth   int
	ours  bool // the machine with a fuse, without one; else tillwire terminal
	speed string
	wait  time.Duration // until the kill
	away  time.Duration // until the next life

	freeze time.Duration // SIGSTOP before that
	power  bool          // with the power of its disk
}

// machinePoints are those on a card machine's side, with a waiter at it or with
// a till's cashier.
func machinePoints(waits bool) (all []string) {
	calls, events := []string{"Start", "Cancel", "AnswerSignature", "Query", "Acknowledge"}, []string{"CameBack", "SignatureWanted", "Ended", "Reported"}
	if waits {
		calls, events = []string{"AnswerTable", "QueryPayment"}, []string{"CameBack", "TableWanted", "PaymentStarted", "PaymentEnded", "VisitLeft"}
	}
	for _, n := range calls {
		all = append(all, "before call "+n, "after call "+n)
	}
	for _, n := range events {
		all = append(all, "before event "+n, "after event "+n)
	}
	return all
}

// planMachines deals so many blows to the remotes.
func planMachines(kills int, rng *rand.Rand) [][]machineBlow {
	blows := make([][]machineBlow, len(remotes))
	speeds := []string{"20", "100", "max"}
	for i := range kills {
		r := i % len(remotes)
		b := machineBlow{
			ours: remotes[r].waits || rng.IntN(2) == 0, speed: speeds[rng.IntN(len(speeds))],
			wait: 50*time.Millisecond + time.Duration(rng.IntN(6000))*time.Millisecond, away: time.Duration(rng.IntN(400)) * time.Millisecond,
		}
		if all := machinePoints(remotes[r].waits); rng.IntN(3) > 0 {
			b.point, b.nth, b.ours = all[rng.IntN(len(all))], 1+rng.IntN(2), true
			b.wait += 3 * time.Second // it may never come there
		}
		if i%freezeEvery == freezeAt/2 {
			b.point, b.wait, b.freeze = "", 200*time.Millisecond+time.Duration(rng.IntN(800))*time.Millisecond, shortFreeze
			if i%(16*freezeEvery) == freezeEvery+freezeAt/2 {
				b.freeze = longFreeze
			}
		}
		if i%3 == 1 {
			b.ours, b.power = true, true
		}
		blows[r] = append(blows[r], b)
	}
	return blows
}

// A stable is the remotes of a run and their processes.
type stable struct {
	dir, tillwire, self, log string
	url                      func(tid string) string
	seed                     uint64

	waiting *os.File // the waiters' standard input
	quiet   func()   // ends it

	warm    chan struct{} // closed when the blows begin
	begin   func()        // closes it
	limit   time.Duration // for all blows, with time to spare
	done    sync.WaitGroup
	beaten  sync.WaitGroup // until all blows are dealt
	ctx     context.Context
	goHome  context.CancelFunc
	mu      sync.Mutex
	kills   int
	freezes int
	cuts    cuts
	points  map[string]bool
	failure error
}

// openStable starts the remotes, each with its blows.
func openStable(ctx context.Context, h house, dir, link string, keys map[string]string, seed uint64, blows [][]machineBlow) (*stable, error) {
	in, end, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s := &stable{
		dir: dir, tillwire: h.tillwire, self: h.self, log: h.log, seed: seed,
		url:     func(tid string) string { return link + "?token=" + keys[tid] },
		waiting: in, quiet: sync.OnceFunc(func() { end.Close() }), points: map[string]bool{},
		warm: make(chan struct{}),
	}
	s.begin = sync.OnceFunc(func() { close(s.warm) })
	s.ctx, s.goHome = context.WithCancel(ctx)
	for i, r := range remotes {
		longest := time.Minute
		for _, b := range blows[i] {
			longest += 2 * (2*b.wait + b.freeze + b.away)
		}
		s.limit = max(s.limit, longest)
		s.beaten.Add(1)
		s.done.Go(func() { s.keep(r, blows[i]) })
	}
	return s, nil
}

// tids are the remotes' names.
func (s *stable) tids() (all []string) {
	for _, r := range remotes {
		all = append(all, r.tid)
	}
	return all
}

// close takes the remotes away; what they know is on disk.
func (s *stable) close() {
	s.quiet()
	s.goHome()
	s.done.Wait()
	s.waiting.Close()
}

// fail notes the first thing that should not have happened.
func (s *stable) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure == nil {
		s.failure = err
	}
}

// failed returns it.
func (s *stable) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// home is where a remote has its memory.
func (s *stable) home(tid string) string { return filepath.Join(s.dir, tid) }

// power is where one notes what is lost with its power.
func (s *stable) power(tid string) string { return filepath.Join(s.dir, tid+".power") }

func (s *stable) start(r remote, b machineBlow) (*process, error) {
	seed := strconv.FormatUint(s.seed, 10)
	if !b.ours {
		return launch(s.tillwire, []string{
			"terminal", "--url", s.url(r.tid), "--tid", r.tid, "--plays", r.plays, "--data", s.home(r.tid),
			"--sim-speed", b.speed, "--sim-seed", seed, "--log-level", "error",
		}, s.log, nil)
	}
	args := []string{
		"machine", "-url", s.url(r.tid), "-tid", r.tid, "-plays", r.plays, "-data", s.home(r.tid), "-speed", b.speed, "-sim-seed", seed,
		"-waits=" + strconv.FormatBool(r.waits), "-point", b.point, "-nth", strconv.Itoa(max(b.nth, 1)),
	}
	if b.power {
		args = append(args, "-power", s.power(r.tid))
	}
	return launch(s.self, args, s.log, s.waiting)
}

// keep has a remote live through its blows, and then in peace until the stable
// closes.
func (s *stable) keep(r remote, blows []machineBlow) {
	beaten := sync.OnceFunc(s.beaten.Done)
	defer beaten()
	never := make(chan struct{})
	peace := machineBlow{ours: true, speed: "max", wait: 24 * time.Hour}
	if first, err := s.start(r, peace); err != nil {
		s.fail(err)
		return
	} else if first.within(s.ctx, s.warm, peace.wait); !first.kill() {
		s.fail(fmt.Errorf("terminal %s ended by itself: %w: %s", r.tid, first.err, first.last()))
		return
	}
	for i := 0; s.ctx.Err() == nil; i++ {
		b := peace
		if i < len(blows) {
			b = blows[i]
		} else {
			beaten()
		}
		p, err := s.start(r, b)
		if err != nil {
			s.fail(err)
			return
		}
		if b.freeze > 0 {
			p.within(s.ctx, never, b.wait)
			frozen, err := p.freeze(s.ctx, b.freeze)
			if err != nil {
				s.fail(err)
			}
			if frozen > 0 {
				s.mu.Lock()
				s.freezes++
				s.mu.Unlock()
			}
		}
		p.within(s.ctx, never, b.wait)
		if s.ctx.Err() != nil {
			if err := p.stop(20 * time.Second); err != nil {
				s.fail(fmt.Errorf("terminal %s: %w: %s", r.tid, err, p.last()))
			}
			return
		}
		byItself := p.gone()
		if !p.kill() {
			s.fail(fmt.Errorf("terminal %s ended by itself: %w: %s", r.tid, p.err, p.last()))
			return
		}
		var loss powercut.Loss
		if b.power {
			if loss, err = powercut.Cut(s.power(r.tid), rand.New(rand.NewPCG(s.seed, 2000+uint64(i)))); err != nil {
				s.fail(err)
				return
			}
		}
		s.mu.Lock()
		s.kills++
		if b.power {
			s.cuts.terminals++
			s.cuts.add(loss)
		}
		if byItself {
			s.points[b.point] = true
		}
		s.mu.Unlock()
		select {
		case <-time.After(b.away):
		case <-s.ctx.Done():
		}
	}
}

// finish waits until all blows are dealt.
func (s *stable) finish(ctx context.Context) error {
	dealt := make(chan struct{})
	go func() { s.beaten.Wait(); close(dealt) }()
	t := time.NewTimer(s.limit)
	defer t.Stop()
	select {
	case <-dealt:
		return s.failed()
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return errors.New("the terminals do not come to an end")
	}
}
