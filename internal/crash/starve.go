package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tillwire/tillwire/epos"
)

// smallDisk is its size in bytes: the ballast, and some more.
const smallDisk = 40 << 20

// starve fills the disk under a running gateway, kills it there, starts it where
// nothing can be written, and gives the room back. The machines keep their
// memory on another disk. It returns what the books say, or
// errors.ErrUnsupported where no small disk can be made.
func starve(ctx context.Context, c config) (books, error) {
	rng := rand.New(rand.NewPCG(c.seed, 5))
	addr, err := freeAddress()
	if err != nil {
		return books{}, err
	}
	at := filepath.Join(c.dir, "small")
	h := house{dir: filepath.Join(at, "data"), addr: addr, tillwire: c.tillwire, self: c.self, log: filepath.Join(c.dir, "small.log")}
	elsewhere := filepath.Join(c.dir, "small-sim")
	if err := errors.Join(os.MkdirAll(at, 0o700), os.MkdirAll(elsewhere, 0o700)); err != nil {
		return books{}, err
	}
	unmount, err := mountSmall(at, smallDisk)
	if err != nil {
		return books{}, err
	}
	defer unmount()
	if _, err := prepare(ctx, h.dir); err != nil {
		return books{}, err
	}
	if err := os.Symlink(elsewhere, filepath.Join(h.dir, "sim")); err != nil {
		return books{}, err
	}
	if err := warmUp(ctx, h, c.seed, machines); err != nil {
		return books{}, err
	}
	s := open(ctx, h, slices.Concat(plain, keyed), rng)
	defer s.others.Wait()
	defer s.tills.Wait()
	defer s.goHome()
	closeTables, err := s.openTables(filepath.Join(c.dir, "small-tables"))
	if err != nil {
		return books{}, err
	}

	p, err := s.start(blow{speed: "max"}, c.seed)
	if err != nil {
		return books{}, err
	}
	defer p.kill()
	if err := s.until(ctx, p, "tills are served", func() bool { return s.count(paid, 0) >= 10 }); err != nil {
		return books{}, err
	}
	junk := filepath.Join(at, "junk")
	if err := fill(junk); err != nil {
		return books{}, err
	}
	from := s.tickets()
	if err := s.until(ctx, p, "tills are refused, for the disk is full", func() bool { return s.count(noStorage, from) >= 10 }); err != nil {
		return books{}, err
	}
	p.kill()
	again, err := s.start(blow{speed: "max"}, c.seed)
	if err != nil {
		return books{}, err
	}
	defer again.kill()
	if !again.within(ctx, again.ready, 20*time.Second) {
		return books{}, fmt.Errorf("the gateway does not start on a full disk: %s", again.last())
	}
	if err := os.Remove(junk); err != nil {
		return books{}, err
	}
	from = s.tickets()
	if err := s.until(ctx, again, "tills are served again", func() bool { return s.count(paid, from) >= 10 }); err != nil {
		return books{}, err
	}
	again.kill()
	b, err := s.shut(ctx, c.seed)
	return b, errors.Join(err, closeTables())
}

// tickets is how many there are.
func (s *shop) tickets() int { return len(s.crowd.written()) }

// count counts the tries of tickets from that one on of which something holds.
func (s *shop) count(holds func(try) bool, from int) (n int) {
	for _, k := range s.crowd.written()[from:] {
		for _, t := range k.Tries {
			if holds(t) {
				n++
			}
		}
	}
	return n
}

func paid(t try) bool { return t.Word == taken }

// noStorage is what tills are told while nothing can be written: nothing else
// has that code here.
func noStorage(t try) bool { return t.Code == epos.ErrInternal }

// until waits until something holds.
func (s *shop) until(ctx context.Context, p *process, what string, holds func() bool) error {
	for limit := time.Now().Add(30 * time.Second); !holds(); {
		if time.Now().After(limit) || ctx.Err() != nil {
			return fmt.Errorf("not in time: %s: %s", what, p.last())
		}
		select {
		case <-p.ended:
			return fmt.Errorf("the gateway ended before %s: %s", what, p.last())
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// fill writes a file until the disk takes no more.
func fill(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	chunk := make([]byte, 4096)
	for err == nil {
		_, err = f.Write(chunk)
	}
	return f.Close()
}
