package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/tillwire/tillwire/terminal/sim"
)

func main() {
	run := func(args []string) error { return crashMain(args, os.Stdout) }
	args := os.Args[1:]
	if len(args) > 0 {
		switch args[0] {
		case "house":
			run, args = houseMain, args[1:]
		case "machine":
			run, args = machineMain, args[1:]
		case "till":
			run, args = tillMain, args[1:]
		case "tables":
			run, args = tablesMain, args[1:]
		}
	}
	if err := run(args); err != nil {
		fmt.Fprintln(os.Stderr, "crash: error:", err)
		os.Exit(1)
	}
}

// houseMain is the gateway with a fuse, for the processes of a run.
func houseMain(args []string) error {
	f := flag.NewFlagSet("crash house", flag.ExitOnError)
	c := houseConfig{speed: sim.Max}
	f.StringVar(&c.dir, "data", "", "data folder")
	f.StringVar(&c.listen, "listen", "", "address for tills")
	f.Func("speed", "pace of the terminals", speedInto(&c.speed))
	f.Uint64Var(&c.seed, "sim-seed", 1, "seed of the terminals")
	f.StringVar(&c.point, "point", "", "where it ends itself")
	f.IntVar(&c.nth, "nth", 1, "when it is there for the n-th time")
	f.StringVar(&c.power, "power", "", "notes here what is not on disk yet, for a power cut")
	f.BoolVar(&c.lying, "lying", false, "its disk never syncs")
	if err := f.Parse(args); err != nil {
		return err
	}
	return keepHouse(c, os.Stdout, os.Stderr)
}

// machineMain is the card machine with a fuse, for the processes of a run.
func machineMain(args []string) error {
	f := flag.NewFlagSet("crash machine", flag.ExitOnError)
	c := machineConfig{speed: sim.Max}
	f.StringVar(&c.dir, "data", "", "folder of its memory")
	f.StringVar(&c.url, "url", "", "address of the gateway's terminal link")
	f.StringVar(&c.tid, "tid", "", "its terminal id")
	f.StringVar(&c.plays, "plays", "SIP0", "what it plays")
	f.BoolVar(&c.waits, "waits", false, "a waiter is at it")
	f.Func("speed", "its pace", speedInto(&c.speed))
	f.Uint64Var(&c.seed, "sim-seed", 1, "its seed")
	f.StringVar(&c.point, "point", "", "where it ends itself")
	f.IntVar(&c.nth, "nth", 1, "when it is there for the n-th time")
	f.StringVar(&c.power, "power", "", "notes here what is not on disk yet, for a power cut")
	if err := f.Parse(args); err != nil {
		return err
	}
	return keepMachine(c, os.Stdin, os.Stdout, os.Stderr)
}

// tillMain is a till with keys, for the processes of a run.
func tillMain(args []string) error {
	f := flag.NewFlagSet("crash till", flag.ExitOnError)
	c := keyedConfig{}
	f.StringVar(&c.url, "url", "", "address of the gateway")
	f.StringVar(&c.book, "book", "", "its diary")
	f.Func("tids", "the terminals it works at", func(text string) error { c.tids = strings.Split(text, ","); return nil })
	f.Int64Var(&c.base, "base", 0, "its amounts are above this one")
	f.Uint64Var(&c.seed, "seed", 1, "what it does")
	f.BoolVar(&c.rest, "rest", false, "it asks over REST")
	if err := f.Parse(args); err != nil {
		return err
	}
	ctx, ignore := signal.NotifyContext(context.Background(), os.Interrupt)
	defer ignore()
	return keepTill(ctx, c, os.Stdin, os.Stdout)
}

// tablesMain is the till with the tables, for the processes of a run.
func tablesMain(args []string) error {
	f := flag.NewFlagSet("crash tables", flag.ExitOnError)
	url := f.String("url", "", "address of the gateway")
	book := f.String("book", "", "its diary")
	if err := f.Parse(args); err != nil {
		return err
	}
	ctx, ignore := signal.NotifyContext(context.Background(), os.Interrupt)
	defer ignore()
	r, err := newRestaurant(*url, *book)
	if err != nil {
		return err
	}
	return errors.Join(r.serve(ctx), r.pages.close())
}

func speedInto(to *float64) func(string) error {
	return func(text string) (err error) {
		if text == "max" {
			*to = sim.Max
			return nil
		}
		*to, err = strconv.ParseFloat(text, 64)
		return err
	}
}

// crashMain is a run.
func crashMain(args []string, out io.Writer) error {
	f := flag.NewFlagSet("crash", flag.ExitOnError)
	kills := f.Int("kills", 10, "how often the gateway is killed")
	seed := f.Uint64("seed", 0, "repeats the schedule of a run; 0 is a new one")
	dir := f.String("dir", "", "where the run is kept; a temporary folder that goes when all is well")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *kills < 1 {
		return errors.New("-kills is at least 1")
	}
	ctx, ignore := signal.NotifyContext(context.Background(), os.Interrupt)
	defer ignore()
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano()) % 1_000_000_000
	}
	at := *dir
	if at == "" {
		var err error
		if at, err = os.MkdirTemp("", "tillwire-crash-"); err != nil {
			return err
		}
	}
	c := config{kills: *kills, seed: *seed, dir: at, out: out}
	var err error
	if c.tillwire, c.self, err = build(ctx, filepath.Join(at, "bin")); err != nil {
		return err
	}
	if err := tell(ctx, c); err != nil {
		return fmt.Errorf("%w\nthe run is kept in %s; -seed %d repeats its schedule", err, at, *seed)
	}
	if *dir == "" {
		return os.RemoveAll(at)
	}
	return nil
}

// tell does the run and says what came of it, in the end with one line.
func tell(ctx context.Context, c config) error {
	fmt.Fprintf(c.out, "crash: seed %d, %d kills\n", c.seed, c.kills)
	began := time.Now()
	done, b, err := run(ctx, c)
	if err != nil {
		return err
	}
	v := judge(b)
	fmt.Fprintf(c.out, "crash: %d of %d named points hit, %d kills there and %d before the gateway was ready, stopped for a while %d times, at most %v\n",
		len(done.points), len(points()), done.atPoints, done.early, done.freezes, done.longest)
	if len(done.missed) > 0 {
		sort.Strings(done.missed)
		fmt.Fprintf(c.out, "crash: killed from outside, for they were not passed in time: %s\n", strings.Join(slices.Compact(done.missed), ", "))
	}
	fmt.Fprintf(c.out, "crash: %d kills of terminals in processes of their own, at %d points on their side, stopped for a while %d times\n", done.farKills, len(done.farPoints), done.farFreezes)
	fmt.Fprintf(c.out, "crash: power cuts: %d of gateways, %d of terminals; %d writes and %d names were not on disk and went\n",
		done.cuts.gateways, done.cuts.terminals, done.cuts.loss.Writes, done.cuts.loss.Names)
	fmt.Fprintf(c.out, "crash: %d kills of tills in processes of their own\n", done.crewKills)
	fmt.Fprintf(c.out, "crash: network: %s\n", done.weather)
	fmt.Fprintf(c.out, "crash: %d charges were made at tables, %d outcomes came after TIMED_OUT was told, which tills heard %d times, %d requests nobody can tell about\n", v.AtTables, v.Late, v.Corrections, v.Unresolved)
	t, err := tear(ctx, filepath.Join(c.dir, killedFolder), filepath.Join(c.dir, "torn"), rand.New(rand.NewPCG(c.seed, 6)), min(10+c.kills/10, 40))
	if err != nil {
		return fmt.Errorf("cut journals: %w", err)
	}
	fmt.Fprintf(c.out, "crash: cut journals: %d refused, %d found by verifying, %d open at an earlier record, %d whole\n", t.refused, t.found, t.earlier, t.same)
	switch starved, err := starve(ctx, c); {
	case errors.Is(err, errors.ErrUnsupported):
		fmt.Fprintln(c.out, "crash: full disk: this user can make no small disk; the tests of journal/sqlite have one of another kind")
	case err != nil:
		return fmt.Errorf("full disk: %w", err)
	default:
		w := judge(starved)
		fmt.Fprintf(c.out, "crash: full disk: charges=%d outcomes=%d lost=%d doubled=%d stuck=%d\n", w.Charges, w.Outcomes, w.Lost, w.Doubled, w.Stuck)
		v.add(w)
	}
	for _, x := range v.Findings {
		fmt.Fprintln(c.out, "crash:", x)
	}
	fmt.Fprintf(c.out, "crash: took %v\n", time.Since(began).Round(time.Second))
	fmt.Fprintf(c.out, "crash: kills=%d charges=%d outcomes=%d lost=%d doubled=%d stuck=%d\n", done.kills+done.farKills, v.Charges, v.Outcomes, v.Lost, v.Doubled, v.Stuck)
	if !v.whole() {
		return errors.New("the promise is broken")
	}
	return nil
}

// build makes the binaries whose processes are killed, without the race
// detector whatever this program was made with.
func build(ctx context.Context, dir string) (tillwire, self string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", "", err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", dir+string(filepath.Separator),
		"github.com/tillwire/tillwire/cmd/tillwire", "github.com/tillwire/tillwire/internal/crash")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("building: %w\n%s", err, out)
	}
	suffix := ""
	if runtime.GOOS == "windows" {
		suffix = ".exe"
	}
	return filepath.Join(dir, "tillwire"+suffix), filepath.Join(dir, "crash"+suffix), nil
}
