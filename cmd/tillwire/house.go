package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/tillwire/tillwire/door"
	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/internal/folder"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/rest"
	"github.com/tillwire/tillwire/site/console"
	"github.com/tillwire/tillwire/site/docs"
	"github.com/tillwire/tillwire/site/traffic"
	"github.com/tillwire/tillwire/txn"
)

// A houseConfig says how a gateway is to be run in this process.
type houseConfig struct {
	Dir, Command, Listen string
	TLS                  *tls.Config
	BehindProxy          bool
	REST                 rest.Config // what of it is set from outside
	Dev                  bool
	Controls             bool // of simulated terminals, under /dev/
	Speed                float64
	Seed                 uint64
	Always               tidScenarios // what simulated terminals play
	ByAmount             bool         // amounts choose what they play
	Log                  *slog.Logger
}

// A house is a gateway with all that it needs, running in this process.
type house struct {
	folder  *folder.Folder
	store   journal.Store
	gw      *gateway.Gateway
	sims    *simulators
	hands   *controls // nil for none
	console *console.Console
	rest    *rest.Handler
	traffic *traffic.Hub
	score   *scoreKeeper // nil for none
	office  *office
	admin   *http.Server
	addr    string // host:port for tills
	log     *slog.Logger

	shutDoor context.CancelFunc
	running  sync.WaitGroup // the door and the admin socket
	failed   chan error     // the door or the admin socket broke
}

// openHouse opens the data folder, takes up what an earlier process left, and
// serves tills. It returns once tills can connect.
func openHouse(ctx context.Context, cfg houseConfig) (_ *house, err error) {
	h := &house{log: cfg.Log, failed: make(chan error, 2), shutDoor: func() {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	if h.folder, err = folder.Take(cfg.Dir, cfg.Command); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			listener.Close()
		}
	}()
	h.addr = reachable(cfg.Listen, listener.Addr())
	if h.store, err = openStore(h.folder.Dir(), cfg.Log); err != nil {
		return nil, err
	}
	if err := prepareSites(ctx, h.store, cfg, listener.Addr()); err != nil {
		return nil, err
	}
	h.sims = &simulators{
		dir: filepath.Join(h.folder.Dir(), "sim"), speed: cfg.Speed, seed: cfg.Seed, always: cfg.Always, byAmount: cfg.ByAmount,
		log: cfg.Log, parks: map[txn.SiteID]*simPark{},
	}
	restored, err := wasRestored(h.folder.Dir(), cfg.Log)
	if err != nil {
		return nil, err
	}
	metrics := gateway.NewMetrics()
	if h.gw, err = gateway.New(ctx, gateway.Config{Store: h.store, Log: cfg.Log, Metrics: metrics, Summon: h.sims.summon, Restored: restored}); err != nil {
		return nil, err
	}
	found, err := h.gw.Recover(ctx)
	if err != nil {
		return nil, err
	}
	if found > 0 {
		cfg.Log.Warn("requests were left open and are asked about", "count", found)
	}
	if err := h.sims.arrange(ctx, h.gw, h.store); err != nil {
		return nil, err
	}
	if err := h.openAdmin(); err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics, gateway.Figures{Gateway: h.gw}, &journalFigures{h.store}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	dc := door.Config{Gateway: h.gw, Log: cfg.Log, Gatherer: registry, TLS: cfg.TLS, BehindProxy: cfg.BehindProxy, Terminals: dialIn(h.gw, cfg.Log)}
	dc.Docs = docs.Handler(docs.Options{Try: cfg.Dev, Console: true})
	if cfg.Controls {
		h.hands = newControls(h.gw, h.sims)
		dc.Dev = h.hands
	}
	h.traffic = traffic.New(traffic.Options{Always: cfg.Controls})
	heard := tap{hub: h.traffic}
	var score console.Scorer
	if cfg.Controls {
		heard.site = devSite
		h.score = keepScore(h.traffic)
		score = h.score
	}
	dc.Tap = heard
	if h.console, err = console.New(console.Config{
		Traffic: h.traffic, Score: score, Ledger: &consoleLedger{store: h.store, office: h.office},
		House: &consoleHouse{gw: h.gw, sims: h.sims}, Dev: cfg.Controls, Secure: cfg.TLS != nil || cfg.BehindProxy, Log: cfg.Log,
	}); err != nil {
		return nil, err
	}
	dc.Console = h.console
	rc := cfg.REST
	rc.Gateway, rc.Log, rc.TLS = h.gw, cfg.Log, cfg.TLS != nil
	h.rest = rest.New(rc)
	dc.REST = h.rest
	d := door.New(dc)
	doorCtx, shut := context.WithCancel(context.Background())
	h.shutDoor = shut
	h.running.Go(func() {
		if err := d.Serve(doorCtx, listener); err != nil {
			h.failed <- err
		}
	})
	return h, nil
}

// reachable is the address as a till names it: what was asked for, with the
// port that was found.
func reachable(asked string, found net.Addr) string {
	host, _, err := net.SplitHostPort(asked)
	if err != nil || host == "" {
		return found.String()
	}
	_, port, err := net.SplitHostPort(found.String())
	if err != nil {
		return found.String()
	}
	return net.JoinHostPort(host, port)
}

// prepareSites adds the development site when it is wanted, and refuses to
// open it to others when it is not.
func prepareSites(ctx context.Context, store journal.Store, cfg houseConfig, at net.Addr) error {
	keys, err := store.Keys(ctx)
	if err != nil {
		return err
	}
	var public []string // ids of working keys that everybody knows
	for _, k := range keys {
		if k.Revoked.IsZero() && k.Hash == gateway.HashKey(devKey) {
			public = append(public, k.ID)
		}
	}
	if !cfg.Dev {
		if len(public) > 0 && (cfg.BehindProxy || !isLoopback(at)) {
			return hint(fmt.Errorf("this data folder was used with --dev: its key %q is known to everybody", devKey),
				"take another folder with --data, or revoke it: tillwire key revoke %s", strings.Join(public, ", "))
		}
		return nil
	}
	if _, err := gateway.FindSite(ctx, store, devSite); err != nil {
		s := journal.Site{ID: devSite, Name: "Demo", Simulated: devLetters}
		if err := gateway.AddSite(ctx, store, s); err != nil {
			return err
		}
	}
	if len(public) == 0 {
		_, _, err = gateway.AddKey(ctx, store, devSite, devKey, "for development; everybody knows it", nil)
	}
	return err
}

// isLoopback reports whether only this machine can reach the listener.
func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// openAdmin takes orders of other processes of this user.
func (h *house) openAdmin() error {
	l, err := h.folder.Listen()
	if err != nil {
		return err
	}
	h.office = &office{store: h.store, gw: h.gw, after: func(ctx context.Context) error {
		if err := h.gw.Reload(ctx); err != nil {
			return err
		}
		return h.sims.arrange(ctx, h.gw, h.store)
	}}
	h.admin = &http.Server{
		Handler:     h.office,
		ReadTimeout: 10 * time.Second,
		ErrorLog:    slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
	}
	h.running.Go(func() {
		if err := h.admin.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			h.failed <- fmt.Errorf("admin socket: %w", err)
		}
	})
	return nil
}

// drain takes no new requests and waits for those that run.
func (h *house) drain(limit time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := h.gw.Drain(ctx); err != nil {
		h.log.Warn("stopped before everything had ended; it is asked about at the next start", "error", err)
	}
}

// close ends everything that openHouse began, in the opposite order.
func (h *house) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var errs []error
	if h.hands != nil {
		h.hands.stop()
	}
	if h.console != nil {
		h.console.Close()
	}
	if h.score != nil {
		h.score.close()
	}
	if h.traffic != nil {
		h.traffic.Close()
	}
	if h.rest != nil {
		h.rest.Close()
	}
	h.shutDoor()
	if h.admin != nil {
		errs = append(errs, h.admin.Shutdown(ctx))
	}
	h.running.Wait()
	if h.gw != nil {
		h.gw.Close()
	}
	if h.sims != nil {
		errs = append(errs, h.sims.close(ctx))
	}
	if h.store != nil {
		errs = append(errs, h.store.Close())
	}
	if h.folder != nil {
		errs = append(errs, h.folder.Release())
	}
	return errors.Join(errs...)
}

// journalFigures are the journal's counters as metrics.
type journalFigures struct{ store journal.Store }

func (j *journalFigures) descs() (appends, records, commits, failures, seconds, open *prometheus.Desc) {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("tillwire_"+name, help, labels, nil)
	}
	return d("journal_appends_total", "Appends that were kept."),
		d("journal_records_total", "Records that were kept."),
		d("journal_commits_total", "Commits, each with one sync and the appends that waited for it."),
		d("journal_failures_total", "Commits that failed."),
		d("journal_commit_seconds_total", "Time spent in commits."),
		d("open_requests", "Requests without a recorded end, by state; unresolved ones are to be looked at.", "state")
}

// Describe is part of prometheus.Collector.
func (j *journalFigures) Describe(c chan<- *prometheus.Desc) { prometheus.DescribeByCollect(j, c) }

// Collect is part of prometheus.Collector.
func (j *journalFigures) Collect(c chan<- prometheus.Metric) {
	appends, records, commits, failures, seconds, open := j.descs()
	s := j.store.Stats()
	c <- prometheus.MustNewConstMetric(appends, prometheus.CounterValue, float64(s.Appends))
	c <- prometheus.MustNewConstMetric(records, prometheus.CounterValue, float64(s.Records))
	c <- prometheus.MustNewConstMetric(commits, prometheus.CounterValue, float64(s.Commits))
	c <- prometheus.MustNewConstMetric(failures, prometheus.CounterValue, float64(s.Failures))
	c <- prometheus.MustNewConstMetric(seconds, prometheus.CounterValue, s.CommitTime.Seconds())
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	heads, err := j.store.OpenStreams(ctx)
	if err != nil {
		return // the failure shows in the journal's own figures
	}
	states := map[string]int{string(txn.Unresolved): 0}
	for _, h := range heads {
		if h.Kind != journal.KeptStream { // a table is no request; the gateway counts them
			states[h.State]++
		}
	}
	for state, n := range states {
		c <- prometheus.MustNewConstMetric(open, prometheus.GaugeValue, float64(n), state)
	}
}
