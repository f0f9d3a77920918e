package bench

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"
)

// demo times whole demonstrations.
func (b *bench) demo(ctx context.Context) (Group, error) {
	var took []float64
	for round := range b.Demos {
		b.say("demo: round %d of %d", round+1, b.Demos)
		one, err := b.oneDemo(ctx)
		if err != nil {
			return Group{}, err
		}
		took = append(took, one.Seconds())
	}
	return Group{
		Meaning: "The time of one whole `tillwire demo --sim-speed max`, from the start of the built binary to its end: the one figure here that is no ratio.",
		Figures: []Figure{Figure{Case: "one demonstration", Unit: "s", Figure: spread(took)}.atMost(5)},
	}, nil
}

func (b *bench) oneDemo(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := b.Demo(ctx)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 10 * time.Second
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start)
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, out.String())
	}
	for line := range strings.Lines(out.String()) {
		if strings.TrimSpace(line) == "SUCCESSFUL" {
			return took, nil
		}
	}
	return 0, fmt.Errorf("the demonstration did not say SUCCESSFUL: %s", out.String())
}
