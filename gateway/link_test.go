package gateway_test

import (
	"context"
	"errors"
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
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/terminal/link"
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

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	moved    *sync.Cond
	gateways map[txn.TID]*gateway.Gateway // who lets the terminal in; nil for nobody
	plugged  map[txn.TID]*gateway.Gateway // who has it
	runs     map[txn.TID]bool
	ups      map[txn.TID]int // links so far
}

func newExchange(t *testing.T) *exchange {
	x := &exchange{
		t: t, gateways: map[txn.TID]*gateway.Gateway{}, plugged: map[txn.TID]*gateway.Gateway{},
		runs: map[txn.TID]bool{}, ups: map[txn.TID]int{},
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

// plug has the terminal dial g and returns once it is there.
func (x *exchange) plug(g *gateway.Gateway, tid txn.TID, connect func(terminal.Sink) terminal.Terminal) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.gateways[tid] = g
	x.moved.Broadcast()
	if !x.runs[tid] {
		x.runs[tid] = true
		bind(x.t, x.store, g, tid)
		m := link.Machine{
			TID: tid, Connect: connect, Dial: func(ctx context.Context) (*ws.Conn, error) { return x.dial(ctx, tid) },
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
	machine, server := ws.New(near, ws.Client, ws.Options{}), ws.New(far, ws.Server, ws.Options{})
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
	if err != nil {
		c.StartClose(ws.GoingAway, err.Error())
		return
	}
	defer release()
	x.mu.Lock()
	x.plugged[t.TID()] = g
	x.ups[t.TID()]++
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
