package gateway_test

import (
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/ws"
)

// A severed is one end of a pipe whose wire can be severed without either end
// hearing of it: what is written goes nowhere, and the other end's close does not
// come through.
type severed struct {
	net.Conn
	deaf *severance // of what is written at this end

	closed chan struct{}
	close  sync.Once
}

// A severance is when a direction was severed.
type severance struct {
	mu   sync.Mutex
	done bool
}

func (s *severance) sever() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = true
}

func (s *severance) severed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done
}

func (c *severed) Write(p []byte) (int, error) {
	if c.deaf.severed() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (c *severed) Close() error {
	c.close.Do(func() { close(c.closed) })
	if c.deaf.severed() {
		return c.Conn.SetDeadline(time.Unix(1, 0)) // wakes this end only
	}
	return c.Conn.Close()
}

func (c *severed) Read(p []byte) (int, error) {
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	default:
		return c.Conn.Read(p)
	}
}

// TestGhosts: a socket whose peer is gone without a word is found within two
// missed pings, by the gateway and by the terminal, whichever direction is lost
// and whatever runs. The terminal that comes back is never turned away because of
// its own ghost, and what it did meanwhile is told.
func TestGhosts(t *testing.T) {
	interval, missed := spec.Default().Timer(spec.TimerPing), spec.Default().Count(spec.CountPingsMissed)
	found := time.Duration(missed+1)*interval + time.Second // the first ping may be an interval away
	for _, tt := range []struct {
		name                       string
		machinePings, gatewayPings bool
		toGateway, toMachine       bool // what is severed
		away                       bool // the machine cannot know, and does not come back
	}{
		{"the machine is gone, the gateway pings", false, true, true, true, true},
		{"the gateway is gone, the machine pings", true, false, true, true, false},
		{"both ping", true, true, true, true, false},
		{"only what the machine says is lost", true, true, true, false, false},
		{"only what the gateway says is lost", true, true, false, true, false},
	} {
		for _, busy := range []bool{false, true} {
			if busy && tt.away {
				continue // as when the power is gone, for which there are scenarios
			}
			t.Run(tt.name+map[bool]string{true: ", during the PIN"}[busy], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					x := newExchange(t)
					var cuts []*severance // of the machine's first link: to the gateway, to the machine
					x.wire = func(tid txn.TID, near, far net.Conn) (net.Conn, net.Conn) {
						if tid != scenarioTID || cuts != nil {
							return near, far
						}
						cuts = []*severance{{}, {}}
						return &severed{Conn: near, deaf: cuts[0], closed: make(chan struct{})}, &severed{Conn: far, deaf: cuts[1], closed: make(chan struct{})}
					}
					for _, p := range []struct {
						on bool
						at **ws.Keeper
					}{{tt.machinePings, &x.machinePings}, {tt.gatewayPings, &x.gatewayPings}} {
						if p.on {
							*p.at = ws.NewKeeper(interval, missed)
							defer (*p.at).Stop()
						}
					}
					w := newWorldOver(t, memory.New(), sim.Options{Seed: 1, Speed: 1}, x)
					c := w.connect("a", "v1")
					if got := w.sells(c, 1, 900, 5*time.Minute); got.told != "SUCCESSFUL" {
						t.Fatalf("the sale before: %+v", got)
					}
					if busy {
						c.says(`{"jsonrpc":"2.0","id":2,"method":"sale","params":{"tid":%q,"currency":"GBP","amount":1250}}`, scenarioTID)
						for !slices.ContainsFunc(c.take(), func(m string) bool { return word(m) == "PIN_ENTRY" }) {
							sleep(100 * time.Millisecond)
						}
					}
					if n := x.dialsOf(scenarioTID); n != 1 {
						t.Fatalf("%d dials before anything was severed", n)
					}
					if tt.toGateway {
						cuts[0].sever()
					}
					if tt.toMachine {
						cuts[1].sever()
					}
					sleep(found)
					if tt.away {
						if w.available() {
							t.Error("the gateway believes in the ghost")
						}
						c.says(`{"jsonrpc":"2.0","id":2,"method":"sale","params":{"tid":%q,"currency":"GBP","amount":1250}}`, scenarioTID)
						if got := c.take(); len(got) != 1 || word(got[0]) != "2 error -32070" {
							t.Errorf("a sale on a ghost: %q", got)
						}
						return
					}
					if n := x.dialsOf(scenarioTID); n != 2 {
						t.Errorf("%d dials, want 2", n)
					}
					if busy {
						var answers []string
						for _, m := range c.take() {
							if w := word(m); w == "2 SUCCESSFUL" || w == "2 TIMED_OUT" {
								answers = append(answers, w)
							}
						}
						if !slices.Equal(answers, []string{"2 SUCCESSFUL"}) {
							t.Errorf("the sale was answered with %q", answers)
						}
					}
					if !w.available() {
						t.Error("the machine is not AVAILABLE")
					}
					if got := w.sells(c, 3, 700, 0); got.told != "SUCCESSFUL" {
						t.Errorf("the sale after it: %+v", got)
					}
					w.whole()
				})
			})
		}
	}
}

func (x *exchange) dialsOf(tid txn.TID) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.dials[tid]
}
