// Package door is the listener: it answers the upgrade of a till, or of a terminal
// that dials in, or says in HTTP why not, bounds what a peer can take before and after that, and hands
// each open connection to the gateway. Beside the sockets it serves what a
// machine asks for over plain HTTP: health, readiness, metrics, and the schema
// files.
//
// It knows no message and no card transaction, decides about no key, and never
// writes a query to the log, for the key stands there. Statuses, limits and
// liveness are those of the contract, section 1.
package door

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/ws"
)

// A Gateway is what the door needs of a *gateway.Gateway.
type Gateway interface {
	Admit(gateway.Knock) (*gateway.Ticket, error)
	Ready() error
}

// Config is what a door is made of. Gateway is required; the other zero fields
// have defaults.
type Config struct {
	Gateway  Gateway
	Log      *slog.Logger        // nil discards
	Gatherer prometheus.Gatherer // what /metrics shows; nil for no such page

	// TLS, as made by LoadTLS, is spoken on every listener given to Serve; nil
	// for plain sockets.
	TLS *tls.Config
	// BehindProxy says that every connection comes from a reverse proxy of
	// ours, whose word about the peer's address is taken.
	BehindProxy bool

	// Terminals decides on terminals that dial in at /terminal; nil for no such
	// path. The query of the knock is the terminal's. Its error is as Admit's.
	Terminals func(gateway.Knock) (Link, error)

	// Tap hears of each connection and message; nil for nobody.
	Tap Tap

	MaxConnections int           // tills and terminals at once, all sites together; 50,000
	HeaderTimeout  time.Duration // for a request to arrive, TLS handshake included; 10 s

	// The fields below are those of the contract unless a test sets them.
	PingInterval time.Duration // for all; zero is each site's own
	PingsMissed  int
	Socket       ws.Options // MaxMessage, MaxQueue and time limits of one connection
	// Dev serves what lies under /dev/: the controls of simulated terminals. Nil
	// for none; it must not be there off loopback.
	Dev http.Handler
	// Docs serves what lies under /docs but the schema files, which the door
	// gives out itself; nil for none.
	Docs http.Handler
	// Console serves what lies under /console; nil for none.
	Console http.Handler
	// REST serves what lies under /pac/, /pat/ and /retail/; nil for none.
	REST http.Handler
}

func (c *Config) fill() {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	index := spec.Default()
	c.MaxConnections = cmp.Or(c.MaxConnections, 50_000)
	c.HeaderTimeout = cmp.Or(c.HeaderTimeout, 10*time.Second)
	c.PingsMissed = cmp.Or(c.PingsMissed, index.Count(spec.CountPingsMissed))
	c.Socket.MaxMessage = cmp.Or(c.Socket.MaxMessage, int64(index.Count(spec.CountMessageBytes)))
}

// Bounds of one HTTP request and of the time that stopping takes.
const (
	maxHeaderBytes = 16 << 10
	answerTimeout  = 30 * time.Second
	idleTimeout    = 60 * time.Second
	stopTimeout    = 5 * time.Second
)

// A Door serves tills, and terminals that dial in. Use New, then Serve, or use it as an http.Handler and
// Close it in the end.
type Door struct {
	cfg     Config
	log     *slog.Logger
	metrics http.Handler // nil for none
	// admit asks the gateway. It is a field so that a test can put in a session
	// that fails.
	admit   func(gateway.Knock) (admission, error)
	numbers atomic.Uint64 // of connections, for the tap

	mu      sync.Mutex
	closed  bool
	keepers map[time.Duration]*ws.Keeper // by interval; sites may have their own
	entered int                          // connections let in, those still in their handshake included
	inside  []*conn                      // open ones
	wg      sync.WaitGroup               // one for each that has entered
}

// A Link is the granted knock of a terminal.
type Link struct {
	Site, Key    string        // public names, for the log
	PingInterval time.Duration // zero is the contract's
	// Serve has the connection until it returns, which it does when that has
	// ended. It runs on a goroutine of its own.
	Serve func(*ws.Conn)
}

// An admission is a granted knock.
type admission struct {
	site, key, version string // for the log
	open               func(gateway.Conn) (session, error)
	serve              func(*ws.Conn) // of a terminal, which has no session
	delay              time.Duration  // before the upgrade is answered
	ping               time.Duration  // between two pings
	extensions         []string       // that are granted
}

// A session is what the door needs of a *gateway.Session.
type session interface {
	Receive(message []byte)
	Busy() bool
	Ended(err error)
}

// New returns a door to cfg.Gateway. It starts the goroutine that pings.
func New(cfg Config) *Door {
	cfg.fill()
	d := &Door{
		cfg:     cfg,
		log:     cfg.Log,
		keepers: map[time.Duration]*ws.Keeper{},
	}
	d.admit = func(k gateway.Knock) (admission, error) {
		if k.Face == gateway.FaceTerminal {
			l, err := cfg.Terminals(k)
			return admission{site: l.Site, key: l.Key, ping: l.PingInterval, serve: l.Serve}, err
		}
		t, err := cfg.Gateway.Admit(k)
		if err != nil {
			return admission{}, err
		}
		return admission{
			site: string(t.Site()), key: t.Key(), version: t.Version().String(),
			delay: t.Delay(), ping: t.PingInterval(), extensions: t.Extensions(),
			open: func(c gateway.Conn) (session, error) {
				s, err := t.Open(c)
				if err != nil {
					return nil, err // not s: a nil *Session would be a session
				}
				return s, nil
			},
		}, nil
	}
	if cfg.Gatherer != nil {
		d.metrics = promhttp.HandlerFor(cfg.Gatherer, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
	}
	return d
}

// Serve answers on ln until ctx ends, then closes ln and every connection
// (1001) and returns nil once they are gone. A door serves once.
//
// It is the gateway that waits for running transactions: drain that first.
func (d *Door) Serve(ctx context.Context, ln net.Listener) error {
	defer d.Close()
	srv := &http.Server{
		Handler:           d,
		TLSConfig:         d.cfg.TLS,
		ReadHeaderTimeout: d.cfg.HeaderTimeout,
		ReadTimeout:       d.cfg.HeaderTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
		// A WebSocket needs HTTP/1.1, and nothing else here is worth a second
		// protocol.
		Protocols: new(http.Protocols),
	}
	srv.Protocols.SetHTTP1(true)

	failed := make(chan error, 1)
	go func() {
		if d.cfg.TLS != nil {
			failed <- srv.ServeTLS(ln, "", "")
		} else {
			failed <- srv.Serve(ln)
		}
	}()
	select {
	case err := <-failed:
		return fmt.Errorf("door: serving %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	d.shut()
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := srv.Shutdown(limit); err != nil {
		_ = srv.Close() // a request still dribbles in
	}
	<-failed
	return nil
}

// shut lets nobody in any more.
func (d *Door) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
}

// Close lets nobody in any more, closes all connections (1001) and waits until
// they are gone, which the time limits of a close bound.
func (d *Door) Close() {
	d.shut()
	d.mu.Lock()
	for _, c := range d.inside {
		c.ws.StartClose(ws.GoingAway, goodbye)
	}
	d.mu.Unlock()
	d.wg.Wait()
	d.rest()
}

const goodbye = "the gateway stops"

// ServeHTTP answers one request, or upgrades it and hands it over.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if p := recover(); p == http.ErrAbortHandler {
			panic(p) // it was said before, and the connection is to be cut
		} else if p != nil {
			d.log.Error("panic in a request", "path", shown(r.URL.EscapedPath()), "remote", d.remote(r), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			d.refuse(w, r, refusal(http.StatusInternalServerError, failedText))
		}
	}()
	w.Header().Set("X-Content-Type-Options", "nosniff")
	// The escaped path is routed by hand: http.ServeMux would answer //pac with
	// a redirect, which no till follows.
	path := "/" + strings.TrimLeft(r.URL.EscapedPath(), "/")
	switch face := strings.ToLower(strings.TrimSuffix(path[1:], "/")); {
	case face == "pac", face == "pat", face == gateway.FaceTerminal && d.cfg.Terminals != nil:
		d.knock(w, r, face)
		return
	}
	if d.cfg.REST != nil && underREST(path) {
		d.cfg.REST.ServeHTTP(w, r)
		return
	}
	if d.cfg.Dev != nil && strings.HasPrefix(path, "/dev/") {
		d.cfg.Dev.ServeHTTP(w, r)
		return
	}
	if d.cfg.Docs != nil && (path == "/docs" || strings.HasPrefix(path, "/docs/")) && !strings.HasPrefix(path, schemas) {
		d.cfg.Docs.ServeHTTP(w, r)
		return
	}
	if d.cfg.Console != nil && (path == "/console" || strings.HasPrefix(path, "/console/")) {
		d.cfg.Console.ServeHTTP(w, r)
		return
	}
	d.page(w, r, path)
}

// underREST reports whether a path belongs to the REST face: its first word is one
// of its roots, and more follows than that. Words match without regard to case, and
// slashes may be doubled, as tills do.
func underREST(path string) bool {
	root, rest, _ := strings.Cut(strings.TrimLeft(path, "/"), "/")
	switch strings.ToLower(root) {
	case "pac", "pat":
		return strings.Trim(rest, "/") != ""
	case "retail":
		return true
	}
	return false
}

// rest stops the pings.
func (d *Door) rest() {
	d.mu.Lock()
	keepers := slices.Collect(maps.Values(d.keepers))
	clear(d.keepers)
	d.mu.Unlock()
	for _, k := range keepers {
		k.Stop()
	}
}

// remote is the peer's address, for the log.
func (d *Door) remote(r *http.Request) string {
	if d.cfg.BehindProxy {
		// Only the last entry is our proxy's; the ones before it are what the
		// peer claimed.
		lines := r.Header.Values("X-Forwarded-For")
		if len(lines) > 0 {
			last := lines[len(lines)-1]
			last = strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
			if ip := net.ParseIP(last); ip != nil {
				return ip.String()
			}
		}
	}
	return r.RemoteAddr
}

// shown is a path as it may stand in the log: up to the first character that
// none of our paths has, because a key can follow it (/pac&token=…).
func shown(path string) string {
	for i, c := range []byte(path) {
		plain := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("/._-", c) >= 0
		if !plain || i == 64 {
			return path[:i] + "…"
		}
	}
	return path
}

// LoadTLS reads a certificate chain and its key, both PEM.
func LoadTLS(certFile, keyFile string) (*tls.Config, error) {
	if certFile == "" || keyFile == "" {
		return nil, errors.New("door: TLS needs both a certificate file and a key file")
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("door: certificate %s with key %s: %w", certFile, keyFile, err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// CheckListen says whether the gateway may listen on addr, host:port. Plain
// sockets carry keys in clear, so off loopback they are only for a proxy that
// does the TLS; and the development site, whose key everybody knows, stays on
// loopback whatever protects the line.
func CheckListen(addr string, tls, behindProxy, dev bool) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("listen address %q: want host:port, as in 127.0.0.1:8484", addr)
	}
	switch {
	case isLoopback(host):
		return nil
	case dev:
		return fmt.Errorf("listen address %q is not loopback: with --dev anybody who reaches it can use the site demo; listen on 127.0.0.1, or leave out --dev", addr)
	case tls || behindProxy:
		return nil
	}
	return fmt.Errorf("listen address %q is not loopback: tills would send their keys in clear; give --tls-cert and --tls-key, or --behind-proxy if a proxy in front does the TLS", addr)
}

// isLoopback reports whether only this machine can reach the host. Names other
// than localhost are not looked up: what they mean can change.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
