package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
)

// simulators are the simulated terminals of all sites that have some.
type simulators struct {
	dir   string // each site's machines keep their memory in a folder under it
	speed float64
	seed  uint64
	log   *slog.Logger

	always   tidScenarios
	byAmount bool

	mu    sync.Mutex
	parks map[txn.SiteID]*simPark
}

// A simPark is a site's machines and those of them that are plugged in.
type simPark struct {
	park    *sim.Park
	letters string
	plugged map[txn.TID]bool
}

// arrange gives each site the simulated terminals that its record names, and
// takes away those that it names no more.
func (s *simulators) arrange(ctx context.Context, g *gateway.Gateway, store journal.Store) error {
	sites, err := store.Sites(ctx)
	if err != nil {
		return err
	}
	open, err := store.OpenStreams(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, site := range sites {
		p := s.parks[site.ID]
		if p != nil && p.letters != site.Simulated {
			if err := s.remove(ctx, g, site.ID); err != nil {
				return err
			}
			p = nil
		}
		if site.Simulated == "" || p != nil {
			continue
		}
		if p, err = s.open(site); err != nil {
			return err
		}
		s.parks[site.ID] = p
		for _, tid := range p.park.Listed() {
			p.plug(g, site.ID, tid)
		}
		// One that exists only because it was asked for has to be asked what
		// became of its requests.
		for _, h := range open {
			if h.Site == site.ID && h.TID != "" {
				p.plug(g, site.ID, h.TID)
			}
		}
	}
	return nil
}

// open switches a site's machines on.
func (s *simulators) open(site journal.Site) (*simPark, error) {
	zone := time.Local
	if site.TimeZone != "" {
		var err error
		if zone, err = time.LoadLocation(site.TimeZone); err != nil {
			return nil, fmt.Errorf("time zone of site %s: %w", site.ID, err)
		}
	}
	park, err := sim.Open(sim.Options{
		Dir: filepath.Join(s.dir, string(site.ID)), Account: site.Simulated, Seed: s.seed, Speed: s.speed,
		MuteFor: muteFor(site), ByAmount: s.byAmount, Zone: zone, Log: s.log.With("site", site.ID),
	})
	if err != nil {
		return nil, hint(fmt.Errorf("simulated terminals of site %s: %w", site.ID, err),
			"their memory is in %s; without it they begin anew", filepath.Join(s.dir, string(site.ID)))
	}
	s.always.arrange(park)
	return &simPark{park: park, letters: site.Simulated, plugged: map[txn.TID]bool{}}, nil
}

// muteFor is how long a machine that plays a time-out stays mute: longer than
// the site waits.
func muteFor(site journal.Site) time.Duration {
	var longest time.Duration
	for _, name := range []string{spec.TimerTransaction, spec.TimerTransactionNotPresent} {
		limit, own := site.Limits[name]
		if !own {
			limit = spec.Default().Timer(name)
		}
		longest = max(longest, limit)
	}
	return longest + 10*time.Second
}

// plug connects the machine of that name, if the park has it, and reports
// whether it is connected now.
func (p *simPark) plug(g *gateway.Gateway, site txn.SiteID, tid txn.TID) bool {
	m, ok := p.park.Machine(tid)
	if !ok {
		return false
	}
	if p.plugged[m.TID()] {
		return true
	}
	if err := g.Plug(site, m.TID(), m.Connect); err != nil {
		return false
	}
	p.plugged[m.TID()] = true
	return true
}

// summon plugs in a machine that was asked for by name.
func (s *simulators) summon(g *gateway.Gateway, site journal.Site, tid txn.TID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.parks[site.ID]
	return p != nil && p.plug(g, site.ID, tid)
}

// machine finds a simulated terminal by its name and plugs it in.
func (s *simulators) machine(g *gateway.Gateway, site txn.SiteID, tid txn.TID) (*sim.Machine, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.parks[site]
	if p == nil || !p.plug(g, site, tid) {
		return nil, false
	}
	return p.park.Machine(tid)
}

// has reports whether the site has simulated terminals.
func (s *simulators) has(site txn.SiteID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.parks[site] != nil
}

// remove unplugs a site's machines and switches them off.
func (s *simulators) remove(ctx context.Context, g *gateway.Gateway, id txn.SiteID) error {
	p := s.parks[id]
	delete(s.parks, id)
	for tid := range p.plugged {
		g.Unplug(id, tid)
	}
	return p.park.Close(ctx)
}

// close switches all machines off.
func (s *simulators) close(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for id, p := range s.parks {
		errs = append(errs, p.park.Close(ctx))
		delete(s.parks, id)
	}
	return errors.Join(errs...)
}

// plugged finds a simulated terminal that is plugged in.
func (s *simulators) plugged(site txn.SiteID, tid txn.TID) (*sim.Machine, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.parks[site]
	if p == nil || !p.plugged[tid] {
		return nil, false
	}
	return p.park.Machine(tid)
}
