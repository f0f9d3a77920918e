package gateway

import "sync"

// A mailbox is an actor's queue of things to do, and sees that one goroutine at
// a time does any. Putting never blocks: what comes in is bounded by what
// terminals and tills can have in flight, which their own limits bound.
type mailbox struct {
	mu     sync.Mutex
	queue  []func()
	taken  bool // somebody does things
	signal chan struct{}
}

func newMailbox() *mailbox { return &mailbox{signal: make(chan struct{}, 1)} }

func (m *mailbox) put(f func()) {
	m.mu.Lock()
	m.queue = append(m.queue, f)
	m.mu.Unlock()
	m.wake()
}

func (m *mailbox) wake() {
	select {
	case m.signal <- struct{}{}:
	default:
	}
}

// swap returns all that is queued, for the used slice of the swap before. While
// it returns something the caller has the actor; again says that it has it
// already. While somebody else has it, it returns nothing.
func (m *mailbox) swap(used []func(), again bool) []func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.taken && !again {
		return used[:0]
	}
	used, m.queue = m.queue, used[:0]
	m.taken = len(used) > 0
	return used
}

// take gives the caller the actor, if nobody has it and nothing is queued. The
// caller gives it back.
func (m *mailbox) take() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.taken || len(m.queue) > 0 {
		return false
	}
	m.taken = true
	return true
}

func (m *mailbox) giveBack() {
	m.mu.Lock()
	m.taken = false
	waiting := len(m.queue) > 0
	m.mu.Unlock()
	if waiting {
		m.wake()
	}
}
