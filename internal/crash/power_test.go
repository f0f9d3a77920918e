package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/tillwire/tillwire/internal/powercut"
)

// TestPower cuts the power of a gateway at work, a few times. On a disk that
// syncs nothing is lost; on one that does not, something is found: in the books,
// or already by who opens the files.
func TestPower(t *testing.T) {
	c := config{seed: uint64(time.Now().UnixNano()) % 1_000_000_000, out: t.Output()}
	var err error
	if c.tillwire, c.self, err = build(t.Context(), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	t.Logf("seed %d", c.seed)
	for _, lying := range []bool{false, true} {
		t.Run(fmt.Sprintf("lying %t", lying), func(t *testing.T) {
			c := c
			c.dir = t.TempDir()
			found, err := withoutPower(t.Context(), c, lying, 3)
			switch {
			case err == nil && len(found) == 0 && lying:
				t.Error("nothing was found on a disk that never syncs")
			case !lying && (err != nil || len(found) > 0):
				t.Errorf("%v, %v", found, err)
			case lying:
				said := fmt.Sprint(found, err)
				t.Logf("found: …%s", said[max(0, len(said)-400):])
			}
		})
	}
}

// withoutPower has a gateway lose its power while tills are served, and returns
// what the referee finds.
func withoutPower(ctx context.Context, c config, lying bool, lives int) (found []string, err error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	h := house{
		dir: filepath.Join(c.dir, "data"), addr: addr, tillwire: c.tillwire, self: c.self, log: filepath.Join(c.dir, "log"),
		power: filepath.Join(c.dir, "power"), lying: lying,
	}
	if _, err := prepare(ctx, h.dir); err != nil {
		return nil, err
	}
	if err := warmUp(ctx, h, c.seed, machines); err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(c.seed, 8))
	s := open(ctx, h, append(plain[:len(plain):len(plain)], keyed...), rng)
	defer s.others.Wait()
	defer s.tills.Wait()
	defer s.goHome()
	closeTables, err := s.openTables(filepath.Join(c.dir, "tables"))
	if err != nil {
		return nil, err
	}
	for range lives {
		p, err := s.start(blow{speed: "max", power: true}, c.seed)
		if err != nil {
			return nil, err
		}
		defer p.kill()
		from := s.tickets()
		if err := s.until(ctx, p, "tills are served", func() bool { return s.count(paid, from) >= 20 }); err != nil {
			return nil, err
		}
		p.within(ctx, make(chan struct{}), time.Duration(rng.IntN(50))*time.Millisecond)
		p.kill()
		if _, err := powercut.Cut(h.power, rng); err != nil {
			return nil, err
		}
	}
	b, err := s.shut(ctx, c.seed)
	return judge(b).Findings, errors.Join(err, closeTables())
}
