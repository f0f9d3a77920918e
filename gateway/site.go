package gateway

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tillwire/tillwire/txn"
)

// A site is one shop: its terminals and the tills that are connected. Every
// lookup of a till's request starts here, so that no till sees another site.
type site struct {
	settings atomic.Pointer[settings]
	board    *switchboard // its Pay-At-Table side
	keeper   *keeper      // of the tables that are stored here
	keys     keyring      // the request keys in use
	late     corrections  // what tills that were told TIMED_OUT have yet to hear
	streams  streams      // of tills that resume
	links    links        // of its terminals that dial in
	polls    polls        // what tills that come back to look see

	mu       sync.RWMutex
	actors   map[string]*actor // by foldTID
	order    []*actor
	sessions []*Session
}

func newSite(g *Gateway, s *settings) *site {
	n := &site{board: newSwitchboard(g), actors: map[string]*actor{}}
	n.keeper = newKeeper(g, n)
	n.settings.Store(s)
	return n
}

// foldTID makes names of terminals alike without regard to case. Real TIDs are
// digits; virtual ones are matched so by the contract, section 12.
func foldTID(t txn.TID) string { return strings.ToUpper(string(t)) }

func (s *site) actor(tid txn.TID) *actor {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.actors[foldTID(tid)]
}

func (s *site) actorList() []*actor {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.order)
}

// adopt adds an actor unless one of that name is there; it returns the one
// that is.
func (s *site) adopt(a *actor) (*actor, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.actors[foldTID(a.tid)]; ok {
		return known, false
	}
	s.actors[foldTID(a.tid)] = a
	s.order = append(s.order, a)
	return a, true
}

// join adds a session if the site has room for it.
func (s *site) join(sess *Session, most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sessions) >= most {
		return false
	}
	sess.place = int32(len(s.sessions))
	s.sessions = append(s.sessions, sess)
	return true
}

func (s *site) leave(sess *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if int(sess.place) < len(s.sessions) && s.sessions[sess.place] == sess { // else it has left already
		last := len(s.sessions) - 1
		s.sessions[sess.place], s.sessions[last].place = s.sessions[last], sess.place
		s.sessions[last] = nil
		s.sessions = s.sessions[:last]
	}
}

func (s *site) full(most int) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.sessions) >= most
}

// sessionsOf returns the sessions whose key's id passes the test, or all.
func (s *site) sessionsOf(key func(id string) bool) []*Session {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []*Session
	for _, sess := range s.sessions {
		if key == nil || key(sess.key) {
			out = append(out, sess)
		}
	}
	return out
}
