package gateway

import (
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// A TerminalTicket is the granted knock of a terminal that dials in, to be
// opened with its connection.
type TerminalTicket struct {
	g    *Gateway
	site *site
	key  string
	tid  txn.TID
}

// Site names whom the terminal belongs to.
func (t *TerminalTicket) Site() txn.SiteID { return t.site.settings.Load().ID }

// Key is the public id of the key that opened the door.
func (t *TerminalTicket) Key() string { return t.key }

// TID is the terminal that the key is for.
func (t *TerminalTicket) TID() txn.TID { return t.tid }

// PingInterval is how often connections of the site are pinged.
func (t *TerminalTicket) PingInterval() time.Duration {
	return t.site.settings.Load().limits[spec.TimerPing]
}

// AdmitTerminal decides on the knock of a terminal that dials in: a ticket, or a
// *Refusal. The key must be one for a terminal; a till's opens nothing here. A
// gateway that stops lets terminals in to the end: it waits for their outcomes.
func (g *Gateway) AdmitTerminal(k Knock) (*TerminalTicket, error) {
	token := k.Query.Get("token")
	if token == "" {
		return nil, refuse(http.StatusUnauthorized, "No terminal key was sent. Put it into the query: ?token=<terminal key>.")
	}
	key, ok := g.key(token)
	switch {
	case !ok:
		return nil, refuse(http.StatusUnauthorized, "The terminal key is not known here or was revoked. Check the token in the query and that this is the right host.")
	case key.TID == "" || !slices.Contains(key.Faces, FaceTerminal):
		return nil, refuse(http.StatusForbidden, "This API key is for tills, not for terminals. Enrol the terminal and use the key that it is given.")
	}
	s := g.site(key.Site)
	if s == nil {
		return nil, refuse(http.StatusUnauthorized, "The site of this terminal key is no longer there.")
	}
	return &TerminalTicket{g: g, site: s, key: key.ID, tid: key.TID}, nil
}

// A terminalLink is the connection of a terminal that dialled in.
type terminalLink struct {
	key   string
	close func(code int, reason string)
}

// links are the connections of a site's terminals, the newest of each.
type links struct {
	mu  sync.Mutex
	tid map[string]*linkSlot // by foldTID
}

// A linkSlot is where a terminal's connection is plugged in. Its lock is held
// while one takes over, so that the newest link is the newest here and there.
type linkSlot struct {
	takeover sync.Mutex

	mu   sync.Mutex
	live *terminalLink // nil while none is connected
}

func (l *links) slot(tid txn.TID) *linkSlot {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tid == nil {
		l.tid = map[string]*linkSlot{}
	}
	s, ok := l.tid[foldTID(tid)]
	if !ok {
		s = &linkSlot{}
		l.tid[foldTID(tid)] = s
	}
	return s
}

// closeWhere closes the connections whose key passes the test, or all.
func (l *links) closeWhere(key func(id string) bool, code int, reason string) {
	l.mu.Lock()
	var found []*terminalLink
	for _, s := range l.tid {
		s.mu.Lock()
		if s.live != nil && (key == nil || key(s.live.key)) {
			found = append(found, s.live)
		}
		s.mu.Unlock()
	}
	l.mu.Unlock()
	for _, f := range found {
		f.close(code, reason)
	}
}

// swap makes a link the one that is connected and returns the one that was.
func (s *linkSlot) swap(to *terminalLink) *terminalLink {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.live
	s.live = to
	return was
}

func (s *linkSlot) release(l *terminalLink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live == l {
		s.live = nil
	}
}

// errTerminalRevoked is for a key that was revoked between the knock and now.
var errTerminalRevoked = errors.New("gateway: the terminal key was revoked")

// Open plugs the terminal in over a connection; connect is as for Plug. A
// connection of the same terminal that is still there is closed with 1008: it
// may be a ghost, and the newest counts. close must not block; it is called at
// most a few times, from any goroutine, until release was called, once the
// connection is over. On an error the caller closes the connection.
func (t *TerminalTicket) Open(close func(code int, reason string), connect func(terminal.Sink) terminal.Terminal) (release func(), err error) {
	l := &terminalLink{key: t.key, close: close}
	slot := t.site.links.slot(t.tid)
	slot.takeover.Lock()
	defer slot.takeover.Unlock()
	if older := slot.swap(l); older != nil {
		t.g.log.Info("a newer connection of a terminal took over", "site", t.Site(), "tid", t.tid)
		older.close(closePolicy, "a newer connection of this terminal took over")
	}
	release = func() { slot.release(l) }
	// Revoking closes what is in its slot; what was revoked before it was there
	// closes here.
	if _, ok := t.g.workingKey(t.key); !ok {
		release()
		return nil, errTerminalRevoked
	}
	if err := t.g.Plug(t.Site(), t.tid, connect); err != nil {
		release()
		return nil, err
	}
	return release, nil
}
