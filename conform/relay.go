package conform

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/tillwire/tillwire/ws"
)

// A Relay stands between tills and a gateway. It hands on each message as it
// is, and what it sees is told to one watcher. It knows the gateway by its
// address only.
type Relay struct {
	cfg    RelayConfig
	server *http.Server
	done   sync.WaitGroup

	mu     sync.Mutex
	closed bool
	conns  int
	linger string // after a message with it the gateway's are kept back
	lose   string // method of the notice whose acknowledgement is lost; empty for none
	away   bool   // tills are not let in
	pairs  map[int]*pair
	rest   *restTap
}

// A RelayConfig says between whom a relay stands.
type RelayConfig struct {
	Key        string // that the till has to use
	Gateway    string // host:port
	GatewayKey string // that opens the gateway
	After      int    // connections are numbered from the next
	// Lingers is how long a gateway's messages are kept back by Linger; half a
	// second by default.
	Lingers time.Duration
	// Saw is told of each frame, in the order of the wire, before the frame is
	// handed on. It must not block.
	Saw func(Frame)
}

// A pair is a till's connection and the gateway's side of it.
type pair struct {
	till, gateway *ws.Conn
	cut           bool
	tillEnded     bool
	lost          *message // the notice whose acknowledgement is not handed on
}

// NewRelay makes a relay. Serve it, then Close it.
func NewRelay(cfg RelayConfig) *Relay {
	cfg.Lingers = cmp.Or(cfg.Lingers, 500*time.Millisecond)
	r := &Relay{cfg: cfg, conns: cfg.After, pairs: map[int]*pair{}, rest: newRESTTap()}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	return r
}

// Serve takes connections of tills until Close.
func (r *Relay) Serve(l net.Listener) error {
	if err := r.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("conform: %w", err)
	}
	return nil
}

// Close ends all connections and waits until nothing of the relay runs.
func (r *Relay) Close() error {
	r.mu.Lock()
	r.closed = true
	for _, p := range r.pairs {
		p.till.Abort()
		p.gateway.Abort()
	}
	for _, c := range r.rest.conns {
		c.cut()
	}
	r.mu.Unlock()
	err := r.server.Close()
	r.done.Wait()
	r.rest.client.CloseIdleConnections()
	return err
}

// Cut cuts all connections of tills without a word, as a network does.
func (r *Relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut()
}

// cut is Cut. The caller holds r.mu.
func (r *Relay) cut() {
	for number, p := range r.pairs {
		r.ended(number, p, true)
		p.till.Abort()
		p.gateway.Abort()
	}
	r.cutREST()
}

// ended tells the end of a connection, once. The caller holds r.mu.
func (r *Relay) ended(number int, p *pair, cut bool) {
	if r.pairs[number] != p {
		return
	}
	delete(r.pairs, number)
	p.cut = cut
	r.cfg.Saw(Frame{At: time.Now(), Conn: number, Kind: Closed, ByTill: p.tillEnded && !cut, Cut: cut})
}

// HangUp closes all connections of tills once they have been told what waits.
func (r *Relay) HangUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for number, p := range r.pairs {
		r.ended(number, p, true)
		p.till.StartClose(ws.GoingAway, "")
		p.gateway.Abort()
	}
	r.cutREST()
}

// Linger keeps back for a moment what a gateway says after a message with that
// text in it, so that a till that does not wait for more is seen to leave. The
// empty text ends that.
func (r *Relay) Linger(after string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.linger = after
}

// Lose cuts the till's connections when it acknowledges the next notice by that
// method, with an answer or with the pong to the ping that followed; the
// acknowledgement is not handed on. For a till that asks over REST "transactions"
// loses the answer to the next one that it begins. The empty method ends that.
func (r *Relay) Lose(method string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lose = method
}

// Away cuts the till's connections and lets none in, as if there were no network,
// or ends that. The gateway has taken leave of the till when it returns.
func (r *Relay) Away(away bool) {
	r.mu.Lock()
	r.away = away
	var gone []*pair
	if away {
		for number, p := range r.pairs {
			gone = append(gone, p)
			r.ended(number, p, true)
			p.till.Abort()
		}
	}
	r.mu.Unlock()
	for _, p := range gone {
		_ = p.gateway.Close(ws.GoingAway, "") // it is gone one way or the other
	}
}

// Say sends a message to the till as if the gateway had.
func (r *Relay) Say(conn int, text string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.pairs[conn]
	if p == nil && r.sayREST(conn, text) {
		return nil
	}
	if p == nil {
		return fmt.Errorf("conform: connection %d is closed", conn)
	}
	r.cfg.Saw(Frame{At: time.Now(), Conn: conn, Kind: Message, FromGateway: true, Added: true, Text: text})
	return p.till.Send([]byte(text))
}

// ServeHTTP takes one connection of a till.
func (r *Relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		http.Error(w, "the check is over", http.StatusServiceUnavailable)
		return
	}
	if r.away {
		r.mu.Unlock()
		panic(http.ErrAbortHandler) // the connection ends without an answer
	}
	r.done.Add(1)
	r.mu.Unlock()
	defer r.done.Done()
	if !ws.IsUpgrade(req) && isREST(req) {
		r.serveREST(w, req)
		return
	}
	r.mu.Lock()
	r.conns++
	number := r.conns
	r.mu.Unlock()

	query := req.URL.Query()
	f := Frame{
		At: time.Now(), Conn: number, Path: req.URL.Path, Version: query.Get("api-version"),
		SoftwareHouse: query.Get("software-house-id"), Installer: query.Get("installer-id"),
		WrongKey: query.Get("token") != r.cfg.Key,
	}
	if query.Has("token") {
		query.Set("token", r.cfg.GatewayKey)
		if f.WrongKey {
			query.Set("token", "not-the-key-of-this-check")
		}
	}
	refuse := func(status int, header http.Header, body []byte) {
		f.Kind, f.Status = Refused, status
		r.saw(f)
		for _, name := range []string{"Content-Type", "Retry-After", "Upgrade", "Sec-Websocket-Version"} {
			if v := header.Get(name); v != "" {
				w.Header().Set(name, v)
			}
		}
		w.WriteHeader(status)
		_, _ = w.Write(body) // one that is gone needs no answer
	}
	if !ws.IsUpgrade(req) {
		refuse(http.StatusUpgradeRequired, nil, []byte(`{"userMessage":"This address is for WebSockets: use ws:// in the till."}`))
		return
	}
	granted := http.Header{}
	address := url.URL{Scheme: "ws", Host: r.cfg.Gateway, Path: req.URL.Path, RawQuery: query.Encode()}
	header := http.Header{}
	if a := req.Header.Get("Authorization"); a != "" {
		header.Set("Authorization", "of the till") // the gateway says what is wrong with it
	}
	p := &pair{}
	gateway, err := ws.Dial(context.Background(), address.String(), ws.DialOptions{
		Options: ws.Options{Pinged: func(answer func()) { r.pinged(number, p, answer) }},
		Header:  header, OnHeader: granted.Add,
	})
	if refused, ok := errors.AsType[*ws.RefusedError](err); ok {
		refuse(refused.Status, refused.Header, refused.Body)
		return
	}
	if err != nil {
		refuse(http.StatusBadGateway, nil, []byte(`{"userMessage":"The gateway of the check cannot be reached."}`))
		return
	}
	granted.Del("Date")
	till, err := ws.Upgrade(w, req, ws.Options{Answer: granted})
	if err != nil {
		gateway.Abort()
		return
	}
	p.till, p.gateway = till, gateway
	r.mu.Lock()
	if r.closed || r.away {
		r.mu.Unlock()
		till.Abort()
		gateway.Abort()
		return
	}
	r.pairs[number] = p
	f.Kind = Opened
	r.cfg.Saw(f)
	r.mu.Unlock()
	r.done.Go(func() { r.pump(number, p, true) })
	r.done.Go(func() { r.pump(number, p, false) })
}

func (r *Relay) saw(f Frame) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cfg.Saw(f)
}

// pump hands on what one side says.
func (r *Relay) pump(number int, p *pair, fromGateway bool) {
	from, to := p.till, p.gateway
	if fromGateway {
		from, to = to, from
	}
	for {
		text, err := from.Read()
		if err != nil {
			r.over(number, p, fromGateway, err)
			return
		}
		r.mu.Lock()               // what is seen and what is handed on have one order
		if r.pairs[number] != p { // it has ended in the meantime
			r.mu.Unlock()
			return
		}
		r.cfg.Saw(Frame{At: time.Now(), Conn: number, Kind: Message, FromGateway: fromGateway, Text: string(text)})
		if r.loses(p, fromGateway, text) {
			r.mu.Unlock()
			return
		}
		err = to.Send(text)
		lingers := fromGateway && r.linger != "" && bytes.Contains(text, []byte(r.linger))
		r.mu.Unlock()
		if lingers {
			rest := time.NewTimer(r.cfg.Lingers)
			select {
			case <-rest.C:
			case <-to.Done():
			}
			rest.Stop()
		}
		if err != nil {
			r.over(number, p, !fromGateway, err)
			return
		}
	}
}

// over ends both sides once one has ended, and tells it once.
func (r *Relay) over(number int, p *pair, gatewayEnded bool, err error) {
	r.mu.Lock()
	if r.pairs[number] == p {
		p.tillEnded = !gatewayEnded
	}
	r.ended(number, p, false)
	cut := p.cut
	r.mu.Unlock()
	code, reason := ws.GoingAway, ""
	if closed, ok := errors.AsType[*ws.CloseError](err); ok && slices.Contains([]ws.Code{ws.Normal, ws.Policy, ws.Unsupported, ws.TooBig, ws.InvalidData}, closed.Code) {
		code, reason = closed.Code, closed.Reason
	}
	if cut {
		return
	}
	if gatewayEnded {
		p.till.StartClose(code, reason)
	} else {
		p.gateway.StartClose(code, reason)
	}
}

// loses sees to it that an acknowledgement is lost, and reports whether the
// message is one. The caller holds r.mu.
func (r *Relay) loses(p *pair, fromGateway bool, text []byte) bool {
	if r.lose == "" && p.lost == nil {
		return false
	}
	m := read(string(text))
	switch {
	case fromGateway && r.lose != "" && m.method == r.lose:
		p.lost, r.lose = &m, ""
	case !fromGateway && p.lost != nil && m.method == "" && m.id != "" && m.id == p.lost.id:
		r.cut()
		return true
	}
	return false
}

// pinged hands a ping of the gateway's on. The till's pong is the gateway's
// answer, so that what the gateway takes for delivered has been.
func (r *Relay) pinged(number int, p *pair, answer func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, lost := time.Now(), p.lost
	// One that cannot be sent is not answered.
	_ = p.till.Ping(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.pairs[number] != p {
			return
		}
		r.cfg.Saw(Frame{At: time.Now(), Conn: number, Kind: Pong, Pinged: at})
		if lost != nil && lost.id == "" {
			r.cut()
			return
		}
		answer()
	})
}
