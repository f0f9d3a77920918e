package gateway

import "sync"

// A mailbox is an actor's queue of things to do. Putting never blocks: what
// comes in is bounded by what terminals and tills can have in flight, which
// their own limits bound.
type mailbox struct {
	mu     sync.Mutex
	queue  []func()
	signal chan struct{}
}

func newMailbox() *mailbox { return &mailbox{signal: make(chan struct{}, 1)} }

func (m *mailbox) put(f func()) {
	m.mu.Lock()
	m.queue = append(m.queue, f)
	m.mu.Unlock()
	select {
	case m.signal <- struct{}{}:
	default:
	}
}

// swap returns all that is queued, for the used slice of the swap before.
func (m *mailbox) swap(used []func()) []func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	used, m.queue = m.queue, used[:0]
	return used
}
