package gateway

import (
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// A TerminalTicket is the granted knock of a terminal that dials in, to be
// opened with its connection.
type TerminalTicket struct {
	g    *Gateway
	site *site
	key  journal.Key
	tid  txn.TID
	slot *linkSlot
	turn uint64 // of the terminal's knocks, this is the one of that number
}

// Site names whom the terminal belongs to.
func (t *TerminalTicket) Site() txn.SiteID { return t.site.settings.Load().ID }

// Key is the public id of the key that opened the door.
func (t *TerminalTicket) Key() string { return t.key.ID }

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
	slot := s.links.slot(key.TID)
	return &TerminalTicket{g: g, site: s, key: key, tid: key.TID, slot: slot, turn: slot.knock()}, nil
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

// A linkSlot is where a terminal's connection is plugged in. Only the terminal's
// actor plugs one in, in the moment in which it takes the link into use: so the
// newest link is the newest here and there, and nobody waits for a lock meanwhile.
type linkSlot struct {
	mu     sync.Mutex    // held for moments; Gateway.mu may be taken under it, never the other way round
	knocks uint64        // tickets that were given out
	newest uint64        // the turn of the newest link that was plugged in
	live   *terminalLink // nil while none is connected
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

// knock gives out the next turn.
func (s *linkSlot) knock() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.knocks++
	return s.knocks
}

// take makes a link the one that is connected and returns the one that was, or
// nil. A link whose turn came before that of one that is or was here is an old
// one that was held up on its way.
func (s *linkSlot) take(t *TerminalTicket, l *terminalLink) (older *terminalLink, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.turn < s.newest {
		return nil, errTerminalOvertaken
	}
	// Revoking closes what is in its slot; what was revoked before it was there
	// does not get in.
	if !t.g.works(t.key) {
		return nil, errTerminalRevoked
	}
	older, s.live, s.newest = s.live, l, t.turn
	return older, nil
}

func (s *linkSlot) release(l *terminalLink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live == l {
		s.live = nil
	}
}

// works reports whether a key was not revoked.
func (g *Gateway) works(k journal.Key) bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	_, ok := g.keys[k.Hash]
	return ok
}

// Reasons why a terminal that was admitted is not let in.
var (
	errTerminalRevoked   = errors.New("gateway: the terminal key was revoked since it knocked")
	errTerminalOvertaken = errors.New("gateway: the terminal has dialled anew since it knocked")
)

// Open plugs the terminal in over a connection; connect is as for Plug. A
// connection of the same terminal that is still there is closed with 1008: it
// may be a ghost, and the newest counts, by the order of their knocks. close must
// not block; it is called at most a few times, from any goroutine, until release
// was called, once the connection is over. On an error the caller closes the
// connection.
func (t *TerminalTicket) Open(close func(code int, reason string), connect func(terminal.Sink) terminal.Terminal) (release func(), err error) {
	l := &terminalLink{key: t.key.ID, close: close}
	err = t.g.plug(t.Site(), t.tid, func() error {
		older, err := t.slot.take(t, l)
		if older != nil {
			t.g.log.Info("a newer connection of a terminal took over", "site", t.Site(), "tid", t.tid)
			older.close(closePolicy, "a newer connection of this terminal took over")
		}
		return err
	}, connect)
	release = func() { t.slot.release(l) }
	if err != nil {
		release()
		return nil, err
	}
	return release, nil
}
