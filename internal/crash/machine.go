package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/tillwire/tillwire/internal/folder"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/terminal/link"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/ws"
)

// A machineConfig says how the card machine with a fuse is run.
type machineConfig struct {
	dir, url, tid, plays string
	speed                float64
	seed                 uint64
	waits                bool // a waiter is at it, until standard input ends
	point                string
	nth                  int
	power                string // the folder of what is lost with the power; else there is enough
}

// keepMachine is a card machine in this process, linked to a gateway, with a
// fuse on its own side of what it says and is asked. It runs until it is
// interrupted, or until the fuse burns.
func keepMachine(c machineConfig, in io.Reader, out, log io.Writer) (err error) {
	ctx, ignore := signal.NotifyContext(context.Background(), os.Interrupt)
	defer ignore()
	f := &fuse{point: c.point, left: c.nth}
	own, err := folder.Take(c.dir, "crash machine")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.Release()) }()
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelError}))
	files, err := filesOver(c.power, false)
	if err != nil {
		return err
	}
	defer runtime.KeepAlive(files)
	park, err := sim.Open(sim.Options{
		Dir: filepath.Join(own.Dir(), "sim"), Disk: files, Named: map[txn.TID]string{txn.TID(c.tid): c.plays}, Seed: c.seed, Speed: c.speed, Log: logger,
	})
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = errors.Join(err, park.Close(ctx))
	}()
	m, ok := park.Machine(txn.TID(c.tid))
	if !ok {
		return fmt.Errorf("no machine %s", c.tid)
	}
	pings := ws.NewKeeper(limits["ping"], 2)
	defer pings.Stop()
	dial, err := link.Dialler(c.url, nil, pings)
	if err != nil {
		return err
	}
	if c.waits {
		walking, leave := context.WithCancel(ctx)
		go func() {
			defer leave()
			io.Copy(io.Discard, in) //nolint:errcheck // its end is what counts
		}()
		var walk sync.WaitGroup
		defer walk.Wait()
		defer leave()
		walk.Go(func() { wait(walking, m) })
	}
	fmt.Fprintln(out, "ready")
	err = link.Machine{
		TID: m.TID(), Connect: f.fused(m.Connect), Dial: dial, Log: logger,
		Pause: func(int) time.Duration { return redialPause },
	}.Run(ctx)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// wait is a waiter at a machine, from table to table until ctx ends.
func wait(ctx context.Context, m *sim.Machine) {
	rng := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	for ctx.Err() == nil {
		if _, err := m.Visit(ctx, newErrand(rng).visit(), nil); err != nil && !errors.Is(err, terminal.ErrBusy) {
			return // it is off
		}
		select {
		case <-time.After(time.Duration(5+rng.IntN(30)) * time.Millisecond):
		case <-ctx.Done():
		}
	}
}
