package bench

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

// child says in the environment that this test binary is a process of a
// measurement, and which.
const child = "TILLWIRE_BENCH_TEST_CHILD"

func TestMain(m *testing.M) {
	switch kind := os.Getenv(child); kind {
	case "":
		goleak.VerifyTestMain(m)
	case "demo":
		fmt.Println("The result:\nSUCCESSFUL")
	case "failing":
		fmt.Println("UNSUCCESSFUL")
	default:
		if err := Assist(kind, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// self is this binary as a process of that kind.
func self(ctx context.Context, kind string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), child+"="+kind)
	return cmd
}

func tiny(t *testing.T, only ...string) Options {
	return Options{
		Effort: Effort{
			Rounds: 2, Samples: 10, Window: 20 * time.Millisecond, InFlight: []int{1, 3},
			Visits: 5, Connections: 60, MemoryRounds: 1, Pollers: 9, PollEvery: 20 * time.Millisecond,
			GrowthSales: 8, Behind: []int{13, 40}, Finished: [2]int{100, 200}, Demos: 2,
		},
		Only: only, Seed: 7, Dir: t.TempDir(),
		Assistant: self,
		Demo:      func(ctx context.Context) *exec.Cmd { return self(ctx, "demo") },
	}
}

// TestRun has each measurement run, small as can be, and looks whether what
// comes out is a figure. How large it is is not looked at.
func TestRun(t *testing.T) {
	cases := map[string][]string{
		Relay: {"through the gateway / one bare hop"},
		Sales: {
			"1 in flight: on disk / in memory", "1 in flight, 2 ms a sync: on disk / the smaller bound", "1 in flight, processor: in memory / on disk",
			"3 in flight: on disk / in memory", "3 in flight, 2 ms a sync: on disk / the smaller bound", "3 in flight, processor: in memory / on disk",
		},
		CPU: {
			"1 in flight: a sale / its frames echoed", "1 in flight: a sale / its frames sent once",
			"3 in flight: a sale / its frames echoed", "3 in flight: a sale / its frames sent once",
		},
		Visits: {
			"5 visits: half of the payments / one sync", "5 visits: 99 of 100 payments / one sync",
			"5 visits, 2 ms a sync: half of the payments / one sync", "5 visits, 2 ms a sync: 99 of 100 payments / one sync",
		},
		Link: {"3 in flight: on disk / in memory", "3 in flight, 2 ms a sync: on disk / the smaller bound", "3 in flight, processor: in memory / on disk"},
		Growth: {
			"40 records / 13: a sale, processor", "40 records / 13: a sale, clock",
			"40 records / 13: the journal alone, processor", "40 records / 13: the journal alone, clock",
		},
		Recovery: {
			"200 finished and 1 open / 100 finished and 1 open", "200 finished and 2 open / 100 finished and 1 open",
			"100 finished and 1 open / 0 finished and 0 open",
		},
		Memory: {"60 connections: the gateway / the bare library"},
		Traffic: {
			"relay, the page closed / without a tap", "relay, the page open / without a tap",
			"shown with none left out", "kept with none dropped",
		},
		Polling: {
			"9 tills at their pace, 99 of 100 answers: the gateway / a bare handler",
			"as fast as answered: the gateway / a bare handler", "processor of a poll: the gateway / a bare handler",
			"9 tills, memory of each: the gateway / a bare handler",
		},
		Demo: {"one demonstration"},
	}
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			o := tiny(t, name)
			var heard []string
			o.Progress = func(text string) { heard = append(heard, text) }
			r, err := Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Groups) != 1 || r.Groups[0].Name != name || r.Groups[0].Meaning == "" {
				t.Fatalf("got %+v, want the measurement %s with its meaning", r.Groups, name)
			}
			if len(heard) == 0 {
				t.Error("nothing was heard of the progress")
			}
			var got []string
			aims := 0
			for _, f := range r.Groups[0].Figures {
				got = append(got, f.Case)
				sound(t, f.Case, f.Figure)
				for _, v := range f.Values {
					sound(t, f.Case+": "+v.Name, v.Spread)
				}
				if f.Aim != nil {
					aims++
				}
			}
			if d := cmp.Diff(cases[name], got); d != "" {
				t.Errorf("cases (-want +got):\n%s", d)
			}
			if aims == 0 {
				t.Error("no figure has an aim")
			}
			if left, err := os.ReadDir(o.Dir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func sound(t *testing.T, what string, s Spread) {
	t.Helper()
	for _, v := range []float64{s.Low, s.Median, s.High} {
		if math.IsNaN(v) || math.IsInf(v, 0) || v <= 0 {
			t.Errorf("%s: %+v is not finite and positive", what, s)
			return
		}
	}
	if s.Low > s.Median || s.Median > s.High || s.Rounds == 0 {
		t.Errorf("%s: %+v is no spread", what, s)
	}
}

func TestRunRefuses(t *testing.T) {
	t.Run("an unknown measurement", func(t *testing.T) {
		_, err := Run(t.Context(), tiny(t, "weight"))
		if err == nil || !strings.Contains(err.Error(), `"weight"`) {
			t.Errorf("got %v, want an error that names it", err)
		}
	})
	t.Run("a demonstration that fails", func(t *testing.T) {
		o := tiny(t, Demo)
		o.Demo = func(ctx context.Context) *exec.Cmd { return self(ctx, "failing") }
		if _, err := Run(t.Context(), o); err == nil {
			t.Error("a demonstration without SUCCESSFUL on a line was timed")
		}
	})
	t.Run("an idle server that ends at once", func(t *testing.T) {
		o := tiny(t, Memory)
		o.Assistant = func(ctx context.Context, _ string) *exec.Cmd { return self(ctx, "demo") }
		if _, err := Run(t.Context(), o); err == nil {
			t.Error("no server, and yet a figure")
		}
	})
	t.Run("once it was told to stop", func(t *testing.T) {
		for _, name := range Names() {
			ctx, cancel := context.WithCancel(t.Context())
			o := tiny(t, name)
			o.Progress = func(string) { cancel() }
			if _, err := Run(ctx, o); err == nil {
				t.Errorf("%s went on", name)
			}
			cancel()
		}
	})
}

// TestConversation holds the played sale to what the contract says of one, and
// the frames of a lane to what that lane's terminal would get.
func TestConversation(t *testing.T) {
	b := &bench{Options: tiny(t), dir: t.TempDir()}
	var err error
	if b.play, err = perform(7); err != nil {
		t.Fatal(err)
	}
	frames, err := b.conversation(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, frame := range frames {
		if at, ok := terminalOf(frame); !ok || at != 0 {
			t.Errorf("frame %d is for no or another terminal: %s", i, frame)
		}
		moved := frameFor(41, frame)
		if at, ok := terminalOf(moved); !ok || at != 41 {
			t.Errorf("frame %d is not for terminal 41: %s", i, moved)
		}
		if named := bytes.HasPrefix(moved, []byte(`{"jsonrpc":"2.0","id":42,`)); named != isResult(frame) {
			t.Errorf("frame %d has the wrong id: %s", i, moved)
		}
	}
	last := len(frames) - 1
	if !isResult(frames[last]) || !isSuccess(frames[last]) || !isFinished(frames[last-1]) {
		t.Errorf("a sale ends with\n%s\n%s", frames[last-1], frames[last])
	}
	if !bytes.Contains(frames[1], []byte(`"TRANSACTION_STARTED"`)) {
		t.Errorf("a sale begins with %s", frames[1])
	}
	written, err := b.written(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(written) != 2 {
		t.Errorf("a sale waits for %d appends, want 2", len(written))
	}
}

func TestWrite(t *testing.T) {
	r := &Report{
		Seed: 7, CPUs: 2, Platform: "linux/amd64", Go: "go1",
		Sync: Value{"one sync", "ms", spread([]float64{0.5, 0.1, 0.2})},
		Groups: []Group{{
			Name: Relay, Meaning: strings.Repeat("word ", 25), Notes: []string{"a note"},
			Figures: []Figure{
				Figure{Case: "a / b", Figure: spread([]float64{1.5}), Values: []Value{{"a", "µs", spread([]float64{150, 12.34})}}}.atMost(1.5),
				Figure{Case: "c / d", Figure: spread([]float64{0.79, 0.7, 0.9})}.atLeast(0.8),
				{Case: "e", Unit: "s", Figure: spread([]float64{1})},
			},
		}},
	}
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := `seed 7, 2 CPUs, linux/amd64, go1
one sync: 0.20 (0.10 to 0.50) ms
Each figure is the median of its rounds (lowest to highest). The aim is for the median.

relay
  word word word word word word word word word word word word word word word word word word word
  word word word word word word
  a note
    a / b  1.50 (1.50 to 1.50)    aim ≤ 1.50 met     1 round
      a    150 (12.3 to 150) µs
    c / d  0.79 (0.70 to 0.90)    aim ≥ 0.80 missed  3 rounds
    e      1.00 (1.00 to 1.00) s  for information    1 round
`
	var got []string
	for line := range strings.Lines(b.String()) {
		got = append(got, strings.TrimRight(line, " \n"))
	}
	if d := cmp.Diff(strings.Split(strings.TrimSuffix(want, "\n"), "\n"), got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestRatiosAreByRound(t *testing.T) {
	got := ratios([]float64{2, 9}, []float64{1, 3})
	if want := []float64{2, 3}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
