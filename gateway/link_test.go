package gateway_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/terminal/link"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/ws"
)

// An exchange lets terminals dial in over pipes, as they do over sockets. Its
// methods do nothing on a nil exchange.
type exchange struct {
	t     *testing.T
	store journal.Store
	// wire is put between the two ends of each connection; nil is none.
	wire func(tid txn.TID, machine, gateway net.Conn) (net.Conn, net.Conn)
	// Who pings: the machines, the gateway; nil does not.
	machinePings, gatewayPings *ws.Keeper

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	moved    *sync.Cond
	gateways map[txn.TID]*gateway.Gateway // who lets the terminal in; nil for nobody
	plugged  map[txn.TID]*gateway.Gateway // who has it
	runs     map[txn.TID]bool
	dials    map[txn.TID]int
}

func newExchange(t *testing.T) *exchange {
	x := &exchange{
		t: t, gateways: map[txn.TID]*gateway.Gateway{}, plugged: map[txn.TID]*gateway.Gateway{},
		runs: map[txn.TID]bool{}, dials: map[txn.TID]int{},
	}
	x.moved = sync.NewCond(&x.mu)
	x.ctx, x.cancel = context.WithCancel(context.Background())
	return x
}

func terminalKey(tid txn.TID) string { return "key of " + string(tid) }

// bind makes a terminal's key.
func bind(t *testing.T, store journal.Store, g *gateway.Gateway, tid txn.TID) {
	t.Helper()
	key := journal.Key{
		ID: "k" + string(tid), Site: "demo", Hash: gateway.HashKey(terminalKey(tid)), Faces: []string{gateway.FaceTerminal}, TID: tid,
	}
	if err := store.PutKey(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if err := g.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// plug has the machine dial g and returns once it is there. Like Gateway.Plug it
// undoes CutLink.
func (x *exchange) plug(g *gateway.Gateway, m *sim.Machine) error {
	tid := m.TID()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.gateways[tid] = g
	x.mu.Unlock()
	m.RestoreLink()
	x.mu.Lock()
	x.moved.Broadcast()
	if !x.runs[tid] {
		x.runs[tid] = true
		bind(x.t, x.store, g, tid)
		m := link.Machine{
			TID: tid, Connect: m.Connect, Dial: func(ctx context.Context) (*ws.Conn, error) { return x.dial(ctx, tid) },
			Pause: func(int) time.Duration { return 0 },
		}
		x.wg.Go(func() {
			if err := m.Run(x.ctx); !errors.Is(err, context.Canceled) {
				x.t.Errorf("terminal %s: %v", tid, err)
			}
		})
	}
	for x.plugged[tid] != g && x.ctx.Err() == nil {
		x.moved.Wait()
	}
	return x.ctx.Err()
}

// dial waits for a gateway that lets the terminal in.
func (x *exchange) dial(ctx context.Context, tid txn.TID) (*ws.Conn, error) {
	x.mu.Lock()
	for x.gateways[tid] == nil && ctx.Err() == nil {
		x.moved.Wait()
	}
	g := x.gateways[tid]
	x.dials[tid]++
	x.mu.Unlock()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	ticket, err := g.AdmitTerminal(gateway.Knock{Query: url.Values{"token": {terminalKey(tid)}}})
	if err != nil {
		return nil, err
	}
	near, far := net.Pipe()
	if x.wire != nil {
		near, far = x.wire(tid, near, far)
	}
	machine := ws.New(near, ws.Client, ws.Options{Keeper: x.machinePings})
	server := ws.New(far, ws.Server, ws.Options{Keeper: x.gatewayPings})
	x.wg.Go(func() { x.serve(g, ticket, server) })
	return machine, nil
}

// serve is the gateway's end of a connection.
func (x *exchange) serve(g *gateway.Gateway, t *gateway.TerminalTicket, c *ws.Conn) {
	defer func() { <-c.Done() }()
	line, err := link.Greet(c, t.TID(), nil)
	if err != nil {
		return // the machine dials again
	}
	release, err := t.Open(func(code int, reason string) { c.StartClose(ws.Code(code), reason) }, line.Connect)
	if err != nil { // the gateway has closed
		x.mu.Lock()
		if x.gateways[t.TID()] == g {
			x.gateways[t.TID()] = nil
		}
		x.mu.Unlock()
		c.StartClose(ws.GoingAway, err.Error())
		return
	}
	defer release()
	x.mu.Lock()
	x.plugged[t.TID()] = g
	x.moved.Broadcast()
	x.mu.Unlock()
	<-c.Done()
}

// down lets nobody in until plug.
func (x *exchange) down() {
	if x == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	clear(x.gateways)
}

// end switches the links off.
func (x *exchange) end() {
	if x == nil {
		return
	}
	x.cancel()
	x.mu.Lock()
	x.moved.Broadcast()
	x.mu.Unlock()
	x.wg.Wait()
}

// TestScenariosOverLinks plays the conversations of TestScenarios with the
// machines at the other end of terminal links. No till sees a difference.
func TestScenariosOverLinks(t *testing.T) {
	files, err := filepath.Glob("testdata/scenario/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var got string
			synctest.Test(t, func(t *testing.T) { got = play(t, string(data), newExchange(t)) })
			if diff := cmp.Diff(strings.Split(string(data), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("%s (- without a link, + over one):\n%s", file, diff)
			}
		})
	}
}

// TestRandomDaysOverLinks lives through days as TestRandomDays does, with the
// machines at the other end of links.
func TestRandomDaysOverLinks(t *testing.T) {
	for n := *seed; n < *seed+uint64(min(*lives, 20)) && !t.Failed(); n++ {
		synctest.Test(t, func(t *testing.T) {
			d := newDay(t, n, false)
			for range 40 {
				d.step()
				d.read()
			}
			d.evening()
			if t.Failed() {
				t.Fatalf("seed %d:\n%s", n, strings.Join(d.diary, "\n"))
			}
		})
	}
}

// A cutter cuts the connections of a terminal once: before or after the message
// of that number, counted over both directions once it is armed.
type cutter struct {
	at    int
	after bool

	mu    sync.Mutex
	armed bool
	seen  int
}

func (c *cutter) arm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed = true
}

// next reports whether this message is the one.
func (c *cutter) next() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.armed {
		c.seen++
	}
	return c.armed && c.seen == c.at
}

// A cuttable is one end of a pipe that a cutter can cut.
type cuttable struct {
	net.Conn
	c    *cutter
	both [2]net.Conn
}

func (c *cutter) wire(near, far net.Conn) (net.Conn, net.Conn) {
	both := [2]net.Conn{near, far}
	return &cuttable{near, c, both}, &cuttable{far, c, both}
}

func (e *cuttable) cut() {
	for _, c := range e.both {
		c.Close()
	}
}

// Write is called once a message: none of them is long.
func (e *cuttable) Write(p []byte) (int, error) {
	mine := e.c.next()
	if mine && !e.c.after {
		e.cut()
		return 0, net.ErrClosed
	}
	n, err := e.Conn.Write(p)
	if mine {
		e.cut()
	}
	return n, err
}

// TestLinkCutAtEachMessage cuts the link before and after each of its messages
// in a sale. Whatever is lost, the card is charged once at most, the journal says
// what the acquirer's books say, and the till is told that or TIMED_OUT.
func TestLinkCutAtEachMessage(t *testing.T) {
	told := map[string]int{}
	for _, machine := range []txn.TID{"VCMDEMOSIP0", "VCMDEMOSIS0", "VCMDEMODIP0", "VCMDEMOCIP0"} {
		for _, after := range []bool{false, true} {
			for at, reached := 1, true; reached; at++ {
				synctest.Test(t, func(t *testing.T) {
					c := &cutter{at: at, after: after}
					x := newExchange(t)
					x.wire = func(tid txn.TID, near, far net.Conn) (net.Conn, net.Conn) {
						if tid != machine {
							return near, far
						}
						return c.wire(near, far)
					}
					w := newWorldOver(t, memory.New(), sim.Options{Seed: 1, Speed: 1}, x)
					till := w.connect("a", "v1")
					// A machine that has done nothing yet cannot tell what it never saw.
					w.machine(string(machine)).Script(sim.Script{Result: txn.Declined, CVM: txn.CVMPIN})
					till.says(`{"jsonrpc":"2.0","id":2,"method":"sale","params":{"tid":%q,"currency":"GBP","amount":1}}`, machine)
					sleep(time.Minute)
					c.arm()
					till.says(`{"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":%q,"currency":"GBP","amount":1250}}`, machine)
					sleep(20 * time.Minute)
					w.whole()
					reached = c.seen >= at
					if got := x.dials[machine]; reached != (got > 1) {
						t.Errorf("cut %t at message %d: %d dials", reached, at, got)
					}
					told[w.answeredTruly(till)]++
					if t.Failed() {
						t.Fatalf("%s, cut at message %d, after it %t", machine, at, after)
					}
				})
				if t.Failed() {
					return
				}
			}
		}
	}
	if told["SUCCESSFUL"] == 0 || told["DECLINED"] == 0 || told["CANCELLED"] == 0 || told["an error"] == 0 {
		t.Errorf("told %v", told)
	}
}

// answeredTruly compares the one answer that the till has to the second sale with
// what is recorded.
func (w *world) answeredTruly(c *till) string {
	w.t.Helper()
	var answers []string
	for _, m := range c.take() {
		w.fits(c, m)
		if said := word(m); strings.HasPrefix(said, "1 ") && !strings.Contains(m, `"method"`) {
			answers = append(answers, strings.TrimPrefix(said, "1 "))
		}
	}
	all := transactions(w.t, w.store, "demo")
	if len(answers) != 1 || len(all) != 2 {
		w.t.Errorf("%d transactions, the second answered with %q", len(all), answers)
		return ""
	}
	truth := string(truthOf(all[1]))
	if strings.HasPrefix(answers[0], "error ") {
		if truth == string(txn.Successful) {
			w.t.Errorf("the card was charged, and the till was told %s", answers[0])
		}
		return "an error"
	}
	if answers[0] != truth && answers[0] != string(txn.TimedOut) {
		w.t.Errorf("the till was told %s, and the truth is %s", answers[0], truth)
	}
	return answers[0]
}

// TestRandomVisitsOverLinks serves tables on evenings as TestRandomVisits does,
// with the machines at the other end of links.
func TestRandomVisitsOverLinks(t *testing.T) {
	for n := *seed; n < *seed+8 && !t.Failed(); n++ {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(n, 1))
			e := newRestaurant(t, r, n, r.IntN(2) == 0, r.IntN(2) == 0)
			defer e.leave()
			for range 15 * visitsADay {
				e.step()
			}
			e.close()
			if t.Failed() {
				t.Fatalf("seed %d:\n%s", n, strings.Join(e.diary, "\n"))
			}
		})
	}
}
