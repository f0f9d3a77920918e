package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/wire"
)

// A Knock is a till's wish to connect: the path and query of its upgrade
// request (the contract, section 1).
type Knock struct {
	Face             string // "pac"
	Query            url.Values
	HasAuthorization bool // credentials came in a header
}

// A Refusal is an HTTP answer to an upgrade that is not granted. UserMessage
// says what to correct.
type Refusal struct {
	Status      int
	UserMessage string
	RetryAfter  time.Duration // zero for none
}

// Error gives status and message.
func (r *Refusal) Error() string { return fmt.Sprintf("%d: %s", r.Status, r.UserMessage) }

func refuse(status int, format string, args ...any) *Refusal {
	return &Refusal{Status: status, UserMessage: fmt.Sprintf(format, args...)}
}

// A Ticket is a granted knock, to be opened with its connection.
type Ticket struct {
	g       *Gateway
	site    *site
	key     string
	version wire.Version
	caller  txn.Caller
	ext     extensions
	granted []string // the names of those in ext
	final   bool     // /pat: wants to be asked for final receipts
	resume  resumption
}

// Extensions are what a connection opted in to (the contract, section 10).
type extensions struct{ keys, status, resume, late, errors, acks bool }

// field is where an extension of that name is kept, or nil for one that there
// is not on that face.
func (e *extensions) field(face, name string) *bool {
	x, ok := spec.Default().Extension(name)
	if !ok || !slices.Contains(x.Sides, spec.Side(face)) {
		return nil
	}
	return map[string]*bool{
		wire.ExtensionKeys: &e.keys, wire.ExtensionStatus: &e.status, wire.ExtensionResume: &e.resume,
		wire.ExtensionLate: &e.late, wire.ExtensionErrors: &e.errors, wire.ExtensionAcks: &e.acks,
	}[name]
}

// Extensions lists the extensions that are granted, in the order in which the
// till asked for them. It is empty when it asked for none.
func (t *Ticket) Extensions() []string { return t.granted }

// Delay is how long the door waits before it opens: tills that push each other
// off in a loop are slowed down, never refused.
func (t *Ticket) Delay() time.Duration {
	if t.caller.Face != facePAT {
		return 0
	}
	return t.site.board.delay()
}

// PingInterval is how often connections of the site are pinged.
func (t *Ticket) PingInterval() time.Duration {
	return t.site.settings.Load().limits[spec.TimerPing]
}

// The integration types that have sockets.
const (
	facePAC = "pac"
	facePAT = "pat"
)

// Site and Key name whom the ticket belongs to, for the log.
func (t *Ticket) Site() txn.SiteID { return t.site.settings.Load().ID }

// Key is the public id of the key that opened the door.
func (t *Ticket) Key() string { return t.key }

// Version is the version of the contract that the till speaks.
func (t *Ticket) Version() wire.Version { return t.version }

// maxPartner is how long a partner id may be, in characters.
const maxPartner = 64

// Admit decides on a knock: a ticket, or a *Refusal.
func (g *Gateway) Admit(k Knock) (*Ticket, error) {
	if g.Stopping() {
		r := refuse(http.StatusServiceUnavailable, "The gateway is stopping. Please connect again in a few seconds.")
		r.RetryAfter = 5 * time.Second
		return nil, r
	}
	token := k.Query.Get("token")
	if token == "" {
		hint := "Put your API key into the query: ?token=<your key>."
		if k.HasAuthorization {
			hint = "Credentials in an Authorization header do not open a WebSocket. " + hint
		}
		return nil, refuse(http.StatusUnauthorized, "No API key was sent. %s", hint)
	}
	key, ok := g.key(token)
	if !ok {
		return nil, refuse(http.StatusUnauthorized, "The API key is not known here or was revoked. Check the token in the query and that this is the right host.")
	}
	if len(key.Faces) > 0 && !slices.Contains(key.Faces, k.Face) {
		return nil, refuse(http.StatusForbidden, "This API key is not for %s. Ask for a key that is, or connect to %s.", k.Face, strings.Join(key.Faces, " or "))
	}
	s := g.site(key.Site)
	if s == nil {
		return nil, refuse(http.StatusUnauthorized, "The site of this API key is no longer there.")
	}
	if k.Face == facePAT {
		if r := s.unserved(); r != nil {
			return nil, r
		}
	}
	t := &Ticket{g: g, site: s, key: key.ID, caller: txn.Caller{Face: k.Face}}
	if err := t.read(k.Query); err != nil {
		return nil, err
	}
	if s.full(g.limits.Connections) {
		return nil, tooMany(g.limits.Connections)
	}
	if t.ext.resume {
		if r := s.streams.admit(t); r != nil {
			return nil, r
		}
	}
	return t, nil
}

// unserved refuses a till that would serve the tables of a site which keeps them
// here, or returns nil.
func (s *site) unserved() *Refusal {
	if !s.keeps() {
		return nil
	}
	return refuse(http.StatusForbidden, "This site's tables are kept over REST (%s). Delete them there, or have the operator set the site to websocket.", s.keeper.names())
}

func tooMany(most int) *Refusal {
	r := refuse(http.StatusTooManyRequests, "This site has reached its limit of %d connections. Close some and try again.", most)
	r.RetryAfter = 5 * time.Second
	return r
}

// read takes version, partner ids and extensions from the query.
func (t *Ticket) read(q url.Values) error {
	v, ok := wire.ParseVersion(q.Get("api-version"))
	if !ok {
		return refuse(http.StatusBadRequest, "api-version %q is not known. Use api-version=v1, or v0 for the older contract.", q.Get("api-version"))
	}
	t.version, t.caller.Version = v, v.String()
	for _, name := range strings.Split(q.Get("extensions"), ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		on := t.ext.field(t.caller.Face, name)
		if on == nil {
			return refuse(http.StatusBadRequest, "Extension %q is not known to this gateway on /%s. Leave it out of extensions.", name, t.caller.Face)
		}
		if !*on {
			t.granted = append(t.granted, strings.Clone(name))
		}
		*on = true
	}
	var err error
	if t.resume, err = readResumption(q, t.ext.resume); err != nil {
		return err
	}
	t.final = q.Has("final-pos-receipt-request") || q.Has("final-pos-receipt")
	// Cloned, because a piece of the URI would hold all of it, key included, in
	// memory for as long as the connection lasts.
	t.caller.SoftwareHouse, t.caller.Installer = strings.Clone(q.Get("software-house-id")), strings.Clone(q.Get("installer-id"))
	if v == wire.V0 {
		return nil
	}
	for _, name := range []string{"software-house-id", "installer-id"} {
		switch id := q.Get(name); {
		case id == "":
			return refuse(http.StatusUnprocessableEntity, "%s is missing. In v1 put software-house-id and installer-id, as issued to you, into the query.", name)
		case utf8.RuneCountInString(id) > maxPartner || !utf8.ValidString(id) || strings.ContainsFunc(id, func(r rune) bool { return !unicode.IsPrint(r) }):
			return refuse(http.StatusUnprocessableEntity, "%s must be 1 to %d printable characters.", name, maxPartner)
		}
	}
	return nil
}

// Open begins the session of a connection. It returns a *Refusal when the site
// has filled up in between; the caller closes the connection.
func (t *Ticket) Open(c Conn) (*Session, error) {
	sess := newSession(t, c)
	if !t.site.join(sess, t.g.limits.Connections) {
		return nil, tooMany(t.g.limits.Connections)
	}
	// A key that was revoked between the knock and now closes at once.
	if _, ok := t.g.workingKey(t.key); !ok {
		t.site.leave(sess)
		return nil, refuse(http.StatusUnauthorized, "The API key was revoked.")
	}
	if t.ext.resume {
		if r := t.enter(sess); r != nil {
			t.site.leave(sess)
			return nil, r
		}
	}
	if t.caller.Face == facePAT {
		if r := t.serve(sess); r != nil {
			t.site.leave(sess)
			return nil, r
		}
	}
	t.g.metrics.sessions.WithLabelValues(t.caller.Face, t.version.String()).Inc()
	if t.ext.late {
		t.site.late.offer(sess.home())
	}
	return sess, nil
}

// serve makes a session the one that serves the site's tables, unless one was
// stored here since the till knocked.
func (t *Ticket) serve(sess *Session) *Refusal {
	if t.site.keeper.door.enter(t.g.ctx) != nil {
		return refuse(http.StatusServiceUnavailable, "The gateway is stopping. Please connect again in a few seconds.")
	}
	defer t.site.keeper.door.leave()
	if r := t.site.unserved(); r != nil {
		return r
	}
	sess.line = &line{
		sess: sess, board: t.site.board, final: t.final, acks: t.ext.acks,
		open: map[jsonrpc.ID]*question{}, over: map[jsonrpc.ID]string{}, late: map[jsonrpc.ID]func(jsontext.Value){},
	}
	t.site.board.connect(sess.line)
	return nil
}

// workingKey finds a key by its public id.
func (g *Gateway) workingKey(id string) (journal.Key, bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	for _, k := range g.keys {
		if k.ID == id {
			return k, true
		}
	}
	return journal.Key{}, false
}
