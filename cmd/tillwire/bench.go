package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/tillwire/tillwire/internal/bench"
)

type benchCmd struct {
	Only  []string `placeholder:"NAME,…" help:"Measure these only: relay, sales, link, cpu, visits, memory, growth, recovery, traffic, polling, demo."`
	Quick bool     `help:"Fewer rounds, connections and sales: two minutes, and a wide spread."`
	Dir   string   `type:"existingdir" placeholder:"DIR" help:"Make the journals in a folder under this one, on the disk to be measured; by default the system's folder for temporary files."`
	Seed  uint64   `placeholder:"N" help:"Seed of amounts and of the simulated card; 0 takes a new one each time."`
	JSON  bool     `name:"json" help:"Print one JSON object."`

	// Role makes this process an assistant of a measurement in another.
	Role string `hidden:""`
}

// Help is shown with the command's own help.
func (benchCmd) Help() string {
	return `It measures what the gateway costs, as ratios in one run on this machine: against
the bare WebSocket library, and against a journal in memory. The two sides take
turns; a figure is the median of the rounds, with the lowest and the highest. The
whole uses loopback sockets only, wants an otherwise idle machine, and takes some
twenty minutes: growth and recovery make a journal of a million sales, of some six
gigabytes, in the folder and remove it. The exit code does not depend on the
figures.

    tillwire bench
    tillwire bench --quick --only relay,memory
    tillwire bench --only recovery,growth --dir /var/lib
    tillwire bench --dir . --json`
}

// Run measures and prints.
func (c benchCmd) Run(s streams) error {
	defer makeRoomForGarbage()() // as serve does; it holds for both sides of each figure
	if c.Role != "" {
		return bench.Assist(c.Role, s.in, s.out)
	}
	for _, name := range c.Only {
		if !slices.Contains(bench.Names(), name) {
			return usage("--only: there is no measurement %q; there are %s", name, strings.Join(bench.Names(), ", "))
		}
	}
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	interrupts, ignore := onInterrupt()
	defer ignore()
	go func() {
		select {
		case <-interrupts:
			cancel()
		case <-ctx.Done():
		}
	}()
	o := bench.Options{
		Effort: bench.Full(), Only: c.Only, Seed: c.Seed, Dir: c.Dir,
		Assistant: func(ctx context.Context, role string) *exec.Cmd {
			return exec.CommandContext(ctx, binary, "bench", "--role", role)
		},
		Demo: func(ctx context.Context) *exec.Cmd {
			return exec.CommandContext(ctx, binary, "demo", "--sim-speed", "max")
		},
		Progress: func(text string) { fmt.Fprintf(s.err, "tillwire: %s\n", text) },
	}
	if c.Quick {
		o.Effort = bench.Quick()
	}
	if o.Seed == 0 {
		o.Seed = newSeed()
	}
	r, err := bench.Run(ctx, o)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s, r)
	}
	return r.Write(s.out)
}
