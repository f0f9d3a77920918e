package console

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
)

// A fakeHouse is a house of one site whose terminals and keys a test sets.
type fakeHouse struct {
	mu        sync.Mutex
	sites     []string
	keys      map[string]Key // by secret
	terminals map[string][]Terminal
	machines  map[string]*fakeMachine
}

func (h *fakeHouse) Sites() []string { return h.sites }

func (h *fakeHouse) Key(secret string) (Key, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k, ok := h.keys[secret]
	return k, ok
}

func (h *fakeHouse) KeyWorks(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, k := range h.keys {
		if k.ID == id {
			return true
		}
	}
	return false
}

func (h *fakeHouse) revoke(secret string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.keys, secret)
}

func (h *fakeHouse) Terminals(site string) []Terminal {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.terminals[site])
}

func (h *fakeHouse) set(site string, list ...Terminal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.terminals == nil {
		h.terminals = map[string][]Terminal{}
	}
	h.terminals[site] = list
}

func (h *fakeHouse) Machine(site, tid string) (Machine, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m, ok := h.machines[site+" "+tid]
	return m, ok
}

// A fakeMachine notes what is done with it.
type fakeMachine struct {
	mu    sync.Mutex
	face  Face
	deeds []string
	eyes  map[chan struct{}]struct{}
}

func (m *fakeMachine) did(deed string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deeds = append(m.deeds, deed)
	return nil
}

func (m *fakeMachine) show(f Face) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.face = f
	for eye := range m.eyes {
		select {
		case eye <- struct{}{}:
		default:
		}
	}
}

func (m *fakeMachine) Face() Face {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.face
}

func (m *fakeMachine) Watch() (<-chan struct{}, func()) {
	eye := make(chan struct{}, 1)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.eyes == nil {
		m.eyes = map[chan struct{}]struct{}{}
	}
	m.eyes[eye] = struct{}{}
	return eye, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.eyes, eye)
	}
}

func word(on bool, yes, no string) string {
	if on {
		return yes
	}
	return no
}

func (m *fakeMachine) Touch(on bool) error            { return m.did(word(on, "touch", "let go")) }
func (m *fakeMachine) Press(key string) error         { return m.did("press " + key) }
func (m *fakeMachine) Present(card, how string) error { return m.did(how + " " + card) }
func (m *fakeMachine) TakeCard() error                { return m.did("take card") }
func (m *fakeMachine) TearOff() error                 { return m.did("tear off") }
func (m *fakeMachine) Paper(in bool) error            { return m.did(word(in, "paper in", "paper out")) }

func (m *fakeMachine) Cable(in bool) error { return m.did(word(in, "cable in", "cable out")) }
func (m *fakeMachine) Power(on bool) error { return m.did(word(on, "on", "off")) }
func (m *fakeMachine) Scenario(name string, times int) error {
	return m.did(fmt.Sprintf("scenario %s %d", name, times))
}

// serve has a console answer on a loopback port until the test is over.
func serve(t *testing.T, cfg Config) (*Console, string) {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(c)
	t.Cleanup(func() {
		c.Close()
		srv.Close()
	})
	return c, srv.URL
}
