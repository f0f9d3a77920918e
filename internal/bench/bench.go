// Package bench measures what the gateway costs, as ratios: each figure sets
// the product against the same work done by less of it (the bare WebSocket
// library, a journal in memory, plain appends), in one run, in turns, on one
// machine. Absolute values stand beside the ratios for information only; they
// say as much about the machine.
//
// It never leaves the loopback interface and the folder that it is given, ends
// by itself, and never judges more than the median of what it has seen against
// the aim. Card machines are played, not simulated: what one simulated
// chip-and-PIN sale said is said again, without pauses, so that a terminal's
// own work is not what is measured.
package bench

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// The measurements, in their order.
const (
	Relay    = "relay"
	Sales    = "sales"
	CPU      = "cpu"
	Visits   = "visits"
	Memory   = "memory"
	Demo     = "demo"
	Link     = "link"
	Growth   = "growth"
	Recovery = "recovery"
	Traffic  = "traffic"
	Polling  = "polling"
)

// Names lists the measurements.
func Names() []string {
	return []string{Relay, Sales, Link, CPU, Visits, Memory, Growth, Recovery, Traffic, Polling, Demo}
}

// An Effort says how much is measured. Use Full or Quick.
type Effort struct {
	Rounds       int           // turns of each side
	Samples      int           // notifications, in each turn
	Window       time.Duration // of sales, in each turn, after a quarter of it to warm up
	InFlight     []int         // sales at a time
	Visits       int           // to tables, at once
	Connections  int           // idle ones
	MemoryRounds int           // turns of each side with all connections
	Pollers      int           // tills that ask over and over
	PollEvery    time.Duration // and how often each does; by the contract once a second
	GrowthSales  int           // sales in each turn, after a quarter as many to warm up
	Behind       []int         // records behind a sale: few, then each of the others against that
	Finished     [2]int        // sales behind a start, and a hundredth of each open
	Demos        int           // demonstrations
}

// Full is the effort for figures to keep; it takes some twenty minutes.
func Full() Effort {
	return Effort{
		Rounds: 7, Samples: 500, Window: time.Second, InFlight: []int{1, 16, 128},
		Visits: 500, Connections: 10_000, MemoryRounds: 3, Pollers: 1000, PollEvery: time.Second,
		GrowthSales: 2000, Behind: []int{10_000, 1_000_000, 15_000_000}, Finished: [2]int{100_000, 1_000_000}, Demos: 5,
	}
}

// Quick is the effort for a first look; its spread is wide.
func Quick() Effort {
	return Effort{
		Rounds: 3, Samples: 200, Window: 300 * time.Millisecond, InFlight: []int{1, 16, 128},
		Visits: 500, Connections: 2000, MemoryRounds: 1, Pollers: 1000, PollEvery: time.Second,
		GrowthSales: 1000, Behind: []int{10_000, 1_000_000}, Finished: [2]int{10_000, 100_000}, Demos: 1,
	}
}

// Options say what is measured and with what.
type Options struct {
	Effort
	Only []string // names of measurements; empty is all
	Seed uint64   // decides amounts and the simulated card
	Dir  string   // journals are made in a folder under it, and removed
	// Assistant makes a process that calls Assist in that role.
	Assistant func(ctx context.Context, role string) *exec.Cmd
	// Demo makes a process that is one demonstration; it must print the word
	// SUCCESSFUL and exit with 0.
	Demo     func(ctx context.Context) *exec.Cmd
	Progress func(text string) // hears what is going on; may be nil
}

// Run measures. It takes no longer than the effort asks for, or ends with ctx.
func Run(ctx context.Context, o Options) (*Report, error) {
	for _, name := range o.Only {
		if !slices.Contains(Names(), name) {
			return nil, fmt.Errorf("bench: no measurement %q; there are %v", name, Names())
		}
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	dir, err := os.MkdirTemp(o.Dir, "tillwire-bench-")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	defer os.RemoveAll(dir)
	b := &bench{Options: o, dir: dir}
	sync, err := syncTime(dir)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	r := &Report{
		Seed: o.Seed, CPUs: runtime.GOMAXPROCS(0), Platform: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(),
		Sync: Value{Name: "one sync of 4 KiB in the folder used", Unit: "ms", Spread: sync},
	}
	if b.play, err = perform(o.Seed); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	for _, m := range []struct {
		name string
		run  func(context.Context) (Group, error)
	}{
		{Relay, b.relay},
		{Sales, b.sales},
		{Link, b.link},
		{CPU, b.cpu},
		{Visits, b.visits},
		{Memory, b.memory},
		{Growth, b.growth},
		{Recovery, b.recovery},
		{Traffic, b.traffic},
		{Polling, b.polling},
		{Demo, b.demo},
	} {
		if len(o.Only) > 0 && !slices.Contains(o.Only, m.name) {
			continue
		}
		g, err := m.run(ctx)
		if err != nil {
			return nil, fmt.Errorf("bench: %s: %w", m.name, err)
		}
		g.Name = m.name
		r.Groups = append(r.Groups, g)
	}
	return r, nil
}

// A bench is one run.
type bench struct {
	Options
	dir   string
	play  *play
	made  int            // folders
	pasts map[int]string // folders of journals, by their finished sales
	opens map[string]int // open sales, by folder
}

// say tells how far it is.
func (b *bench) say(format string, args ...any) { b.Progress(fmt.Sprintf(format, args...)) }

// folder is a new one for a journal.
func (b *bench) folder() string {
	b.made++
	return filepath.Join(b.dir, fmt.Sprint(b.made))
}

// syncTime measures how long the disk takes to have 4 KiB, in milliseconds: a
// folder in memory, or a disk that only promises, shows here.
func syncTime(dir string) (Spread, error) {
	f, err := os.CreateTemp(dir, "sync-*")
	if err != nil {
		return Spread{}, err
	}
	defer f.Close()
	page := make([]byte, 4096)
	var took []float64
	for range 25 {
		start := time.Now()
		if _, err := f.Write(page); err != nil {
			return Spread{}, err
		}
		if err := f.Sync(); err != nil {
			return Spread{}, err
		}
		took = append(took, float64(time.Since(start))/float64(time.Millisecond))
	}
	return spread(took), nil
}

// spread is the median of values with the lowest and the highest. There must be
// one.
func spread(values []float64) Spread {
	s := slices.Sorted(slices.Values(values))
	return Spread{Median: median(s), Low: s[0], High: s[len(s)-1], Rounds: len(s)}
}

// median is that of sorted values.
func median[T cmp.Ordered](sorted []T) T { return sorted[len(sorted)/2] }

// ratios divides round by round.
func ratios(over, under []float64) []float64 {
	out := make([]float64, len(over))
	for i := range over {
		out[i] = over[i] / under[i]
	}
	return out
}
