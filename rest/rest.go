// Package rest is the REST face of the gateway: it reads what a till asks for over
// HTTP, has the gateway do it, and writes how that stands (the contract of REST,
// sections 1 to 10).
//
// It keeps no transaction, decides nothing about money, and never asks a terminal:
// it looks at what the gateway shows. A look changes nothing.
package rest

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/wire/rest"
)

// Config is what the face is made of. Gateway is required; the other zero fields
// have defaults.
type Config struct {
	Gateway *gateway.Gateway
	Log     *slog.Logger // nil discards

	// PublicURL is how tills reach the gateway, as in https://gateway.example: the
	// beginning of each location. Nil takes it from each request.
	PublicURL *url.URL
	// TLS says that the listener speaks it, which locations then name.
	TLS bool
	// TrustedProxies are the addresses of proxies whose X-Forwarded headers are
	// believed.
	TrustedProxies []netip.Prefix
	// Origins are those of pages that may call; none is any.
	Origins []string

	// Pace bounds how fast one address is polled.
	Pace Pace
	// KeepAlive is the pause between two signs of life in an event stream; 15 s.
	KeepAlive time.Duration
	// LateWaits is how long an event stream waits for an outcome that is late; 10
	// minutes.
	LateWaits time.Duration
}

// A Handler serves what lies under /pac/, /pat/ and /retail/.
type Handler struct {
	cfg     Config
	log     *slog.Logger
	texts   texts
	pace    *pacer
	streams streams
}

// New returns the face.
func New(cfg Config) *Handler {
	cfg.KeepAlive = cmp.Or(cfg.KeepAlive, 15*time.Second)
	cfg.LateWaits = cmp.Or(cfg.LateWaits, 10*time.Minute)
	h := &Handler{cfg: cfg, log: cfg.Log, texts: newTexts(spec.Default().REST()), pace: newPacer(cfg.Pace)}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	return h
}

// Close ends the event streams, whose tills come back to wherever they are served
// next.
func (h *Handler) Close() { h.streams.close() }

// A request is one request on its way. It is refused by the first thing that is
// wrong with it, in the order of the contract, section 1.10.
type request struct {
	h *Handler
	w http.ResponseWriter
	r *http.Request

	route    route
	args     []string // what stands in the path for names in braces
	version  rest.Version
	named    bool // the version was asked for by name
	till     *gateway.Till
	tillName string // as it calls itself, fit for the log
	secret   string // its API key
	body     []byte
	key      string // its Idempotency-Key
	answered bool   // the answer was begun
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := &request{h: h, w: w, r: r}
	defer q.recover()
	q.crossOrigin()
	if r.Method == http.MethodOptions {
		q.preflight()
		return
	}
	if bad := q.read(); bad != nil {
		q.refuse(bad)
		return
	}
	if q.route.polled {
		q.h.pace.wait(r.Context(), strings.Join(append(q.args, string(q.till.Site()), q.route.pattern), "/"))
	}
	if bad := q.route.serve(q); bad != nil {
		q.refuse(bad)
	}
}

// recover answers where our own logic broke, in the form that the till reads. Of an
// answer that was begun nobody can tell the end: its connection is cut.
func (q *request) recover() {
	p := recover()
	if p == nil {
		return
	}
	q.h.log.Error("panic in a request", "path", q.route.pattern, "panic", receipt.MaskPANs(fmt.Sprint(p)), "stack", string(debug.Stack()))
	if q.answered {
		panic(http.ErrAbortHandler)
	}
	q.refuse(q.refusal(spec.RESTInternal))
}

// read takes from the request what does not depend on what it asks for.
func (q *request) read() *refusal {
	path := split(q.r.URL.EscapedPath())
	served := q.negotiate(path)
	if bad := q.authenticate(); bad != nil {
		return bad
	}
	if !served {
		q.version = rest.V2 // whose shape the refusal has
		return q.refusal(spec.RESTUnknownVersion)
	}
	if bad := q.find(path); bad != nil {
		return bad
	}
	if bad := q.readBody(); bad != nil {
		return bad
	}
	return q.readHeaders()
}

// authenticate finds the till by its key (the contract of REST, section 1.2).
func (q *request) authenticate() *refusal {
	name, key, ok := credentials(q.r.Header.Get("Authorization"))
	if !ok {
		return q.refusal(spec.RESTNoCredentials)
	}
	till, err := q.h.cfg.Gateway.Till(key, txn.Caller{Version: q.version.String(), SoftwareHouse: partner(q.r, headerSoftwareHouse), Installer: partner(q.r, headerInstaller)})
	if err != nil {
		return q.refusal(spec.RESTWrongCredentials)
	}
	q.till, q.secret = till, key
	q.tillName = q.repeatable(name, maxTillName)
	return nil
}

// maxTillName is how much of a till's name is logged.
const maxTillName = 64

// repeatable is what a till wrote, as far as it may be shown: no key, no card
// number, no more than so many characters.
func (q *request) repeatable(s string, most int) string {
	if strings.Contains(s, q.secret) {
		return "…"
	}
	s = receipt.MaskPANs(strings.ToValidUTF8(s, "\uFFFD"))
	if all := []rune(s); len(all) > most {
		s = string(all[:most]) + "…"
	}
	return s
}

// terminalName is the name of a terminal that is not there, for people.
func (q *request) terminalName() string {
	tid := q.args[0]
	if !tidLike.MatchString(tid) || strings.Contains(tid, q.secret) {
		return "The card machine"
	}
	return receipt.MaskPANs(tid)
}

// tidLike is what a terminal can be called.
var tidLike = regexp.MustCompile(`^[0-9A-Za-z_-]{1,32}$`)

// fail is the answer to an error of the gateway's.
func (q *request) fail(err error) *refusal {
	switch unable, isUnable := errors.AsType[*gateway.UnableError](err); {
	case errors.Is(err, gateway.ErrNoTerminal):
		return q.refusal(spec.RESTTerminalUnavailable, "tid", q.terminalName())
	case errors.Is(err, gateway.ErrNoRequest):
		return q.refusal(spec.RESTUnknownRequest)
	case errors.Is(err, gateway.ErrBusy):
		return q.refusal(spec.RESTTerminalBusy)
	case errors.Is(err, gateway.ErrKeyDiffers):
		return q.refusal(spec.RESTKeyReused)
	case isUnable:
		return &refusal{status: http.StatusUnprocessableEntity, text: unable.Text}
	}
	if unavailable, ok := errors.AsType[*gateway.UnavailableError](err); ok {
		return &refusal{status: http.StatusServiceUnavailable, text: unavailable.Text}
	}
	if q.r.Context().Err() == nil {
		q.h.log.Error("a request over REST failed", "site", q.till.Site(), "path", q.route.pattern, "error", err)
	}
	return q.refusal(spec.RESTInternal)
}
