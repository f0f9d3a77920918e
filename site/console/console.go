package console

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/tillwire/tillwire/site/look"
	"github.com/tillwire/tillwire/site/traffic"
	"github.com/tillwire/tillwire/ws"
)

// root is where the console lies.
const root = "/console/"

// A House is what the console shows and moves. Its methods may be called from
// several goroutines and answer from memory.
type House interface {
	// Sites lists the sites that there are, the one to begin with first.
	Sites() []string
	// Key finds the working key of that secret if it is for the console.
	Key(secret string) (Key, bool)
	// KeyWorks reports whether a key, by its public id, still works.
	KeyWorks(id string) bool
	// Terminals lists the terminals of a site.
	Terminals(site string) []Terminal
	// Machine finds a simulated terminal, which exists once it was asked for. It
	// reports false for a name that no machine of the site can have.
	Machine(site, tid string) (Machine, bool)
}

// A Key opens the console for one site.
type Key struct {
	ID   string // public
	Site string
}

// Config is what a console is made of. House is required.
type Config struct {
	House House
	// Dev says that the gateway is for development and listens on loopback
	// only: nobody logs in, all sites are shown, machines can be touched.
	Dev bool
	// Secure says that browsers come over TLS, so that the cookie may demand it.
	Secure bool
	// Traffic has what is said to and by the gateway; nil for no such page.
	Traffic *traffic.Hub
	// Score goes by the integration checklist; nil for no such page.
	Score Scorer
	// Ledger reads the record; nil for no such pages.
	Ledger Ledger
	Log    *slog.Logger // nil discards
}

// A Console serves the pages under /console. Use New, and Close it in the end.
type Console struct {
	cfg    Config
	log    *slog.Logger
	assets *assets
	mux    *http.ServeMux
	secret [32]byte // of the tokens
	topics map[string]topic
	deeds  map[string]deed
	keeper *ws.Keeper
	judge  *traffic.Judge // of messages

	ctx  context.Context // ends with Close
	stop context.CancelFunc

	mu       sync.Mutex
	closed   bool
	sessions map[string]*session // by the cookie's hash
	pages    map[*page]struct{}  // live sockets
	running  sync.WaitGroup      // of them, and of what they watch
}

// pingEvery and pingsMissed find pages that have gone without a word.
const (
	pingEvery   = 30 * time.Second
	pingsMissed = 2
)

// New makes a console. It starts the goroutine that pings.
func New(cfg Config) (*Console, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Console{cfg: cfg, log: cfg.Log, sessions: map[string]*session{}, pages: map[*page]struct{}{}}
	_, _ = rand.Read(c.secret[:]) // never fails
	var err error
	if c.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	c.topics = map[string]topic{
		"terminals": c.watchTerminals,
		"machine":   c.watchMachine,
		"names":     watchNames,
		"props":     watchProps,
		"words":     watchWords,
		"checklist": c.watchChecklist,
	}
	c.deeds = map[string]deed{"say": c.say}
	for name, d := range c.machineDeeds() {
		c.deeds[name] = d
	}
	c.addTraffic()
	c.addTransactions()
	c.route()
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.keeper = ws.NewKeeper(pingEvery, pingsMissed)
	return c, nil
}

// route says what is where.
func (c *Console) route() {
	c.mux = http.NewServeMux()
	for _, p := range c.shells() {
		c.mux.Handle("GET "+p.pattern, c.shown(p))
	}
	c.mux.HandleFunc("GET "+root+"assets/{hash}/{file}", c.assets.serve)
	c.mux.HandleFunc("GET "+root+"live", c.live)
	c.mux.HandleFunc("GET "+root+"traffic/script", c.exportTraffic)
	c.mux.HandleFunc("GET "+root+"checklist/scores", c.scores)
	c.mux.HandleFunc("GET "+root+"login", c.loginPage)
	c.mux.HandleFunc("POST "+root+"login", c.login)
	c.mux.HandleFunc("POST "+root+"logout", c.logout)
	c.mux.HandleFunc("GET /console", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, root, http.StatusMovedPermanently)
	})
	c.mux.HandleFunc(root, func(w http.ResponseWriter, r *http.Request) {
		c.problem(w, r, http.StatusNotFound, "There is no such page", "The navigation lists those that there are.")
	})
}

// ServeHTTP answers one request.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", look.Policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // with none at all, the Origin of a form would be null
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if why := c.foreign(r); why != "" {
		http.Error(w, why, http.StatusForbidden)
		return
	}
	c.mux.ServeHTTP(w, r)
}

// errClosing is for what comes while the console closes.
var errClosing = errors.New("the gateway stops")

// Close lets nobody in any more, closes the live sockets and waits until they
// are gone.
func (c *Console) Close() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	for p := range c.pages {
		if p.ws == nil {
			continue // live closes it
		}
		p.ws.StartClose(ws.GoingAway, errClosing.Error())
	}
	c.mu.Unlock()
	c.stop()
	c.running.Wait()
	c.keeper.Stop()
}
