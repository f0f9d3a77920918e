// Package gateway runs the state machines between tills and terminals: sites
// and their keys, the sessions of tills, one actor a terminal, the timers, and
// recovery. It never touches a socket, a database or a card machine itself:
// it knows them as Conn, journal.Store and terminal.Terminal.
//
// The order of everything that carries money is: apply, append, and only then
// send. What the world is owed comes from txn.Due, after a restart as while
// running.
package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/wire"
)

// Config is what a gateway is made of. Store is required.
type Config struct {
	Store   journal.Store
	Log     *slog.Logger // nil discards
	Metrics *Metrics     // nil counts for nobody

	// Summon plugs in a terminal that was asked for by name and is not there
	// yet, if it can be had. It reports whether it did. May be nil.
	Summon func(g *Gateway, site journal.Site, tid txn.TID) bool

	// Restored says that the store came back from a backup: each terminal is asked
	// once for its last transaction, which may be newer.
	Restored bool

	// Limits bound what one connection or site may do; zero fields have
	// defaults.
	Limits Limits
}

// Limits bound what one connection or site may do. A refusal says which one
// was reached.
type Limits struct {
	MessagesPerSecond float64 // sustained, a connection; 500
	MessageBurst      int     // at once, a connection; 2000
	InFlight          int     // transactions, reports and duplicates at once, a connection; 256
	Connections       int     // at once, a site; 20000
}

func (l Limits) withDefaults() Limits {
	l.MessagesPerSecond = cmp.Or(l.MessagesPerSecond, 500)
	l.MessageBurst = cmp.Or(l.MessageBurst, 2000)
	l.InFlight = cmp.Or(l.InFlight, 256)
	l.Connections = cmp.Or(l.Connections, 20000)
	return l
}

// A Gateway serves tills and terminals. Use New, then Recover, then Admit.
type Gateway struct {
	store   journal.Store
	log     *slog.Logger
	metrics *Metrics
	summon  func(*Gateway, journal.Site, txn.TID) bool
	limits  Limits
	pace    pace // of messages on one connection
	born    time.Time

	restored bool

	ctx    context.Context // ends when Close is called
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.RWMutex
	stopping bool
	sites    map[txn.SiteID]*site
	keys     map[[32]byte]journal.Key
}

// New returns a gateway over cfg.Store with its sites and keys. It serves
// nobody until Recover has run.
func New(ctx context.Context, cfg Config) (*Gateway, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics()
	}
	g := &Gateway{
		store: cfg.Store, log: cfg.Log, metrics: cfg.Metrics, summon: cfg.Summon, limits: cfg.Limits.withDefaults(),
		sites: map[txn.SiteID]*site{}, keys: map[[32]byte]journal.Key{},
	}
	g.restored, g.born = cfg.Restored, time.Now()
	g.pace = newPace(g.limits.MessagesPerSecond, g.limits.MessageBurst)
	g.ctx, g.cancel = context.WithCancel(context.Background())
	if err := g.Reload(ctx); err != nil {
		return nil, err
	}
	return g, nil
}

// Reload reads sites and keys anew. Sockets of tills and terminals opened with a
// key that was revoked are closed with 1008; the transactions that they began go
// on.
func (g *Gateway) Reload(ctx context.Context) error {
	sites, err := g.store.Sites(ctx)
	if err != nil {
		return fmt.Errorf("gateway: sites: %w", err)
	}
	keys, err := g.store.Keys(ctx)
	if err != nil {
		return fmt.Errorf("gateway: keys: %w", err)
	}
	g.mu.Lock()
	revoked := map[string]bool{}
	for _, s := range sites {
		settings, err := newSettings(s)
		if err != nil {
			g.mu.Unlock()
			return err
		}
		if known, ok := g.sites[s.ID]; ok {
			known.settings.Store(settings)
			continue
		}
		g.sites[s.ID] = newSite(g, settings)
	}
	clear(g.keys)
	for _, k := range keys {
		if !k.Revoked.IsZero() {
			revoked[k.ID] = true
			continue
		}
		g.keys[k.Hash] = k
	}
	all := make([]*site, 0, len(g.sites))
	for _, s := range g.sites {
		all = append(all, s)
	}
	g.mu.Unlock()
	for _, s := range all {
		for _, sess := range s.sessionsOf(func(id string) bool { return revoked[id] }) {
			sess.conn.Close(closePolicy, "the key was revoked")
		}
		s.links.closeWhere(func(id string) bool { return revoked[id] }, closePolicy, "the key was revoked")
		if s.settings.Load().PAT == journal.PATREST {
			s.board.hangUp("the site's tables are kept over REST now")
		}
	}
	return nil
}

// site returns the site with that id, or nil.
func (g *Gateway) site(id txn.SiteID) *site {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.sites[id]
}

// Plug connects a terminal to a site under its TID. A terminal that was there
// under the same TID is replaced: only the newest link counts. It returns
// once the terminal has been asked about every request that was left open.
func (g *Gateway) Plug(id txn.SiteID, tid txn.TID, connect func(terminal.Sink) terminal.Terminal) error {
	return g.plug(id, tid, func() error { return nil }, connect)
}

// plug is Plug, unless first, called when the terminal's turn has come, has an
// error: then the terminal that was there stays.
func (g *Gateway) plug(id txn.SiteID, tid txn.TID, first func() error, connect func(terminal.Sink) terminal.Terminal) error {
	s := g.site(id)
	if s == nil {
		return fmt.Errorf("gateway: no site %q", id)
	}
	if g.ctx.Err() != nil {
		return errClosed
	}
	a := s.actor(tid)
	if a == nil {
		a = g.newActor(s, tid)
	}
	return a.plug(first, connect)
}

// Unplug takes the terminal away from its site, as when its link is lost.
func (g *Gateway) Unplug(id txn.SiteID, tid txn.TID) {
	if s := g.site(id); s != nil {
		if a := s.actor(tid); a != nil {
			a.do(func() { a.lost() })
		}
	}
}

// Stopping reports whether the gateway has begun to stop.
func (g *Gateway) Stopping() bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.stopping
}

// Ready returns why new work would be refused, or nil.
func (g *Gateway) Ready() error {
	if g.Stopping() {
		return errStopping
	}
	return g.store.Healthy()
}

var (
	errStopping = errors.New("gateway: stopping")
	errClosed   = errors.New("gateway: closed")
)

// Drain takes no new requests from now on and returns once nothing runs, or
// when ctx ends. Nothing depends on its having waited.
func (g *Gateway) Drain(ctx context.Context) error {
	g.mu.Lock()
	g.stopping = true
	g.mu.Unlock()
	for {
		n, idle := g.running()
		if n == 0 {
			return g.settle(ctx)
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return fmt.Errorf("gateway: %d transactions or reports still run: %w", n, ctx.Err())
		}
	}
}

// settle returns once each actor has done what it was at: a transaction lets
// its terminal go before its end is told to the till.
func (g *Gateway) settle(ctx context.Context) error {
	g.mu.RLock()
	var actors []*actor
	for _, s := range g.sites {
		actors = append(actors, s.actorList()...)
	}
	g.mu.RUnlock()
	for _, a := range actors {
		done := make(chan struct{})
		a.do(func() { close(done) })
		select {
		case <-done:
		case <-g.ctx.Done():
			return nil
		case <-ctx.Done():
			return fmt.Errorf("gateway: an end is not told yet: %w", ctx.Err())
		}
	}
	return nil
}

// running counts what tills still wait for, and returns a channel that is
// closed when something of it ends.
func (g *Gateway) running() (int, <-chan struct{}) {
	return g.metrics.running.look()
}

// Close ends all actors and sessions. It does not close the store.
func (g *Gateway) Close() {
	g.mu.Lock()
	g.stopping = true
	var sessions []*Session
	var sites []*site
	for _, s := range g.sites {
		sessions = append(sessions, s.sessionsOf(nil)...)
		sites = append(sites, s)
	}
	g.mu.Unlock()
	for _, s := range sessions {
		s.conn.Close(closeGoingAway, "the gateway stops")
	}
	g.cancel()
	for _, s := range sites { // none is plugged in from here on
		s.links.closeWhere(nil, closeGoingAway, "the gateway stops")
	}
	g.wg.Wait()
}

// settings are what a site's record says, made ready for use.
type settings struct {
	journal.Site
	zone   *time.Location
	limits map[string]time.Duration
}

func newSettings(s journal.Site) (*settings, error) {
	zone := time.Local
	if s.TimeZone != "" {
		var err error
		if zone, err = time.LoadLocation(s.TimeZone); err != nil {
			return nil, fmt.Errorf("gateway: site %q: time zone: %w", s.ID, err)
		}
	}
	if err := keepingTimes(s); err != nil {
		return nil, err
	}
	switch s.PAT {
	case journal.PATAuto, journal.PATWebSocket, journal.PATREST:
	default:
		return nil, fmt.Errorf("gateway: site %q: nobody called %q keeps tables", s.ID, s.PAT)
	}
	limits := map[string]time.Duration{}
	for _, l := range spec.Default().Limits() {
		if l.Settable {
			limits[l.Name] = spec.Default().Timer(l.Name)
		}
	}
	for name, d := range s.Limits {
		if _, ok := limits[name]; !ok {
			return nil, fmt.Errorf("gateway: site %q: there is no limit named %q that a site can set", s.ID, name)
		}
		limits[name] = d
	}
	return &settings{Site: s, zone: zone, limits: limits}, nil
}

// TerminalView is a terminal as other rooms may see it.
type TerminalView struct {
	TID          txn.TID
	Connected    bool
	Busy         bool
	Capabilities terminal.Capabilities
	LastSeen     time.Time
}

// Terminals returns the site's terminals in the order in which they were
// plugged in, those that are not connected included.
func (g *Gateway) Terminals(id txn.SiteID) []TerminalView {
	s := g.site(id)
	if s == nil {
		return nil
	}
	var out []TerminalView
	for _, a := range s.actorList() {
		out = append(out, *a.view.Load())
	}
	return out
}

// find returns the actor of a terminal by the name a till used for it, which
// simulated terminals take without regard to case, or nil.
func (g *Gateway) find(s *site, tid txn.TID) *actor {
	if a := s.actor(tid); a != nil {
		return a
	}
	if g.summon != nil && g.summon(g, s.settings.Load().Site, tid) {
		return s.actor(tid)
	}
	return nil
}

// methodName is the label of a method in metrics; what is not of the contract
// is counted together.
func methodName(v wire.Version, method string) string {
	if slices.Contains(wire.Methods(v), method) {
		return method
	}
	return "unknown"
}
