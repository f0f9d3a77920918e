package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/spec"
)

// This file removes what is past its keeping time (the contract, section 9), at
// sites that say how long that is. A site that says nothing keeps everything:
// records of payments are not thrown away by default.

const (
	// pruneEvery is the pause between two looks at what may go.
	pruneEvery = time.Hour
	// prunePause is the pause between two steps of pruning.
	prunePause = 200 * time.Millisecond
)

// keepingTimes checks the times of a site's record: shorter ones than the
// contract's would break its promise.
func keepingTimes(s journal.Site) error {
	for _, name := range []string{spec.TimerKeepOutcomes, spec.TimerKeepReports} {
		least := spec.Default().Timer(name)
		if d, own := s.Limits[name]; own && d < least {
			return fmt.Errorf("gateway: site %q: %s must be %s at least", s.ID, name, least)
		}
	}
	return nil
}

// prunes removes what is past its keeping time, now and then, until the gateway
// is closed.
func (g *Gateway) prunes() {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		g.prune(g.ctx)
		select {
		case <-tick.C:
		case <-g.ctx.Done():
			return
		}
	}
}

// prune goes once over all sites.
func (g *Gateway) prune(ctx context.Context) {
	g.mu.RLock()
	sites := make([]*site, 0, len(g.sites))
	for _, s := range g.sites {
		sites = append(sites, s)
	}
	g.mu.RUnlock()
	now := time.Now()
	for _, s := range sites {
		set := s.settings.Load()
		cut := journal.Cut{Site: set.ID, Pause: prunePause, Why: "older than the site keeps it"}
		if d, own := set.Limits[spec.TimerKeepOutcomes]; own {
			cut.Outcomes = now.Add(-d)
		}
		if d, own := set.Limits[spec.TimerKeepReports]; own {
			cut.Reports = now.Add(-d)
		}
		if cut.Outcomes.IsZero() && cut.Reports.IsZero() || g.store.Healthy() != nil {
			continue
		}
		done, err := journal.Sweep(ctx, g.store, cut)
		g.metrics.pruned.Add(float64(done.Streams))
		if err != nil && !errors.Is(err, context.Canceled) {
			g.log.Error("what is past its keeping time could not be pruned", "site", set.ID, "error", err)
		}
		if done.Streams > 0 {
			g.log.Info("pruned what is past its keeping time", "site", set.ID, "requests", done.Streams, "records", done.Records, "kept", done.Kept)
		}
	}
}
