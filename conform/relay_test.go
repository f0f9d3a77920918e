package conform_test

import (
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/conform"
	"github.com/tillwire/tillwire/ws"
)

// A relayed is a relay before a gateway that only passes on what it is told.
type relayed struct {
	relay    *conform.Relay
	url      string
	gateways chan *ws.Conn // the gateway's side of each connection
	heard    chan string   // what the gateway was told

	mu   sync.Mutex
	seen []string
}

func newRelayed(t *testing.T) *relayed {
	t.Helper()
	r := &relayed{gateways: make(chan *ws.Conn, 10), heard: make(chan string, 10)}
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	behind, before := listen(), listen()
	var running sync.WaitGroup
	gateway := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		conn, err := ws.Upgrade(w, req, ws.Options{})
		if err != nil {
			return
		}
		r.gateways <- conn
		running.Go(func() { hear(conn, r.heard) })
	})}
	r.relay = conform.NewRelay(conform.RelayConfig{
		Key: "key", GatewayKey: "gateway's", Gateway: behind.Addr().String(),
		Saw: func(f conform.Frame) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.seen = append(r.seen, f.Tell())
		},
	})
	running.Go(func() { _ = gateway.Serve(behind) })
	running.Go(func() { _ = r.relay.Serve(before) })
	t.Cleanup(func() {
		if err := r.relay.Close(); err != nil {
			t.Error(err)
		}
		gateway.Close()
		close(r.gateways)
		for conn := range r.gateways {
			conn.Abort()
		}
		running.Wait()
	})
	r.url = "ws://" + before.Addr().String() + "/pat?token=key&api-version=v1"
	return r
}

// hear takes down what a connection brings until its end.
func hear(conn *ws.Conn, into chan<- string) {
	for {
		text, err := conn.Read()
		if err != nil {
			return
		}
		into <- string(text)
	}
}

// till connects one, and returns its side and the gateway's.
func (r *relayed) till(t *testing.T, o ws.DialOptions) (till, gateway *ws.Conn, heard <-chan string) {
	t.Helper()
	till, err := ws.Dial(t.Context(), r.url, o)
	if err != nil {
		t.Fatal(err)
	}
	into := make(chan string, 10)
	var reading sync.WaitGroup
	reading.Go(func() { hear(till, into) })
	t.Cleanup(func() {
		till.Abort()
		reading.Wait()
	})
	gateway = <-r.gateways
	t.Cleanup(gateway.Abort)
	return till, gateway, into
}

func (r *relayed) saw(what string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.seen, what)
}

// A ping of the gateway is answered when the till has answered it, and not by the
// relay.
func TestRelayHandsPingsOn(t *testing.T) {
	r := newRelayed(t)
	pings := make(chan func(), 1)
	_, gateway, heard := r.till(t, ws.DialOptions{Options: ws.Options{Pinged: func(answer func()) { pings <- answer }}})
	if err := gateway.Send([]byte(`{"method":"tableUnlock"}`)); err != nil {
		t.Fatal(err)
	}
	ponged := make(chan struct{})
	if err := gateway.Ping(func() { close(ponged) }); err != nil {
		t.Fatal(err)
	}
	answer := <-pings
	if got := <-heard; got != `{"method":"tableUnlock"}` {
		t.Errorf("the till heard %s before the ping", got)
	}
	select {
	case <-ponged:
		t.Error("the relay has answered for the till")
	default:
	}
	if r.saw("till answers a ping") {
		t.Error("a pong was seen before there was one")
	}
	answer()
	<-ponged
	if !r.saw("till answers a ping") {
		t.Error("the pong was not seen")
	}
}

// The acknowledgement that is lost is seen, and does not reach the gateway.
func TestRelayLosesAcknowledgements(t *testing.T) {
	for name, notice := range map[string]string{
		"pong":   `{"method":"transactionResponse"}`,
		"answer": `{"id":5,"method":"transactionResponse"}`,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRelayed(t)
			till, gateway, heard := r.till(t, ws.DialOptions{})
			r.relay.Lose("transactionResponse")
			delivered := make(chan struct{}, 1)
			for _, text := range []string{`{"id":4,"method":"tableListRequest"}`, notice} {
				if err := gateway.Send([]byte(text)); err != nil {
					t.Fatal(err)
				}
				<-heard
			}
			last := "till answers a ping"
			if name == "pong" {
				if err := gateway.Ping(func() { delivered <- struct{}{} }); err != nil {
					t.Fatal(err)
				}
			} else {
				last = `till: {"id":5,"result":{"recorded":true}}`
				for _, text := range []string{`{"id":4,"result":{}}`, `{"id":5,"result":{"recorded":true}}`} {
					if err := till.Send([]byte(text)); err != nil {
						t.Fatal(err)
					}
				}
				if got := <-r.heard; got != `{"id":4,"result":{}}` {
					t.Errorf("the gateway heard %s", got)
				}
			}
			<-till.Done()
			<-gateway.Done()
			select {
			case <-delivered:
				t.Error("the gateway has the acknowledgement")
			case got := <-r.heard:
				t.Errorf("the gateway has %s", got)
			default:
			}
			r.mu.Lock()
			tail := slices.Clone(r.seen[len(r.seen)-2:])
			r.mu.Unlock()
			if diff := cmp.Diff([]string{last, "checker cuts the connection"}, tail); diff != "" {
				t.Errorf("was seen last (-want +got):\n%s", diff)
			}
			// Only once.
			till, gateway, heard = r.till(t, ws.DialOptions{})
			if err := gateway.Send([]byte(notice)); err != nil {
				t.Fatal(err)
			}
			<-heard
			if err := till.Send([]byte(`{"id":5,"result":{"recorded":true}}`)); err != nil {
				t.Fatal(err)
			}
			<-r.heard
		})
	}
}

// A till that is kept away is cut off and not let in until it may be.
func TestRelayKeepsAway(t *testing.T) {
	r := newRelayed(t)
	till, gateway, _ := r.till(t, ws.DialOptions{})
	r.relay.Away(true)
	<-till.Done()
	<-gateway.Done()
	if conn, err := ws.Dial(context.Background(), r.url, ws.DialOptions{}); err == nil {
		conn.Abort()
		t.Error("a till came in")
	}
	r.relay.Away(false)
	r.till(t, ws.DialOptions{})
	if r.saw("till is refused at /pat with status 503") {
		t.Error("the till was refused, and there was to be no network")
	}
}
