package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/ws"
)

// A topic feeds one watch of one page. It reads what the page asks for from
// ask, sends what the page is to show, and sends again whenever that has
// changed, until ctx ends. send waits while the page does not read. What a
// topic returns while the page is still there is shown to it as a refusal, so
// its text is for people. A topic must look at viewer before it shows a site.
type topic func(ctx context.Context, v viewer, ask jsontext.Value, send func(any) error) error

// A deed does something once that a page asks for. Its data is the answer; the
// text of its error is for people. The deeds of one page are done one after
// another, in the order in which it asked for them.
type deed func(ctx context.Context, v viewer, ask jsontext.Value) (data any, err error)

// Bounds of one page's socket.
const (
	maxAsk     = 64 << 10  // bytes of a message from a page
	maxQueue   = 512 << 10 // bytes that wait for a page
	maxWatches = 32
	maxDeeds   = 64  // that wait
	maxPages   = 256 // sockets at once
	helloTime  = 10 * time.Second
	keyEvery   = 5 * time.Second // how often it is seen to that the session still lives
)

// An ask is a message from a page. What else it has is for the topic or deed.
type ask struct {
	Hello   string `json:"hello"`
	Watch   string `json:"watch"`
	Unwatch int    `json:"unwatch"`
	Do      string `json:"do"`
	As      int    `json:"as"`
}

// An answer is a message to a page.
type answer struct {
	As    int    `json:"as"`
	Data  any    `json:"data,omitzero"`
	Error string `json:"error,omitzero"`
}

// A page is one live socket.
type page struct {
	c      *Console
	ws     *ws.Conn // nil until it is open; set under c.mu
	viewer viewer
	ctx    context.Context // ends with the socket
	end    context.CancelFunc

	mu      sync.Mutex
	greeted bool
	watches map[int]context.CancelFunc
	todo    []func() // deeds that wait
	doing   bool     // somebody does them
}

// live opens a page's socket.
func (c *Console) live(w http.ResponseWriter, r *http.Request) {
	if !ws.IsUpgrade(r) {
		http.Error(w, "This address takes WebSocket connections of the console's pages only.", http.StatusUpgradeRequired)
		return
	}
	if !c.ours(r) {
		http.Error(w, "This did not come from a page of the console.", http.StatusForbidden)
		return
	}
	v, ok := c.viewer(r)
	if !ok {
		http.Error(w, "Nobody is logged in.", http.StatusUnauthorized)
		return
	}
	p := &page{c: c, viewer: v, watches: map[int]context.CancelFunc{}}
	if !c.enter(p) {
		http.Error(w, "There is no room for another page now.", http.StatusServiceUnavailable)
		return
	}
	socket, err := ws.Upgrade(w, r, ws.Options{MaxMessage: maxAsk, MaxQueue: maxQueue, Keeper: c.keeper})
	if err != nil {
		c.leave(p)
		if bad, ok := errors.AsType[*ws.HandshakeError](err); ok {
			http.Error(w, "The WebSocket handshake is not right: "+bad.Reason+".", bad.Status)
		} // else the page has gone
		return
	}
	p.ctx, p.end = context.WithCancel(c.ctx)
	c.mu.Lock()
	p.ws = socket
	if c.closed { // while it was in its handshake
		socket.StartClose(ws.GoingAway, errClosing.Error())
	}
	c.mu.Unlock()
	c.running.Go(p.guard)
	socket.Serve(p)
}

// enter takes a place for a page, if there is one.
func (c *Console) enter(p *page) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.pages) >= maxPages {
		return false
	}
	c.pages[p] = struct{}{}
	c.running.Add(1)
	return true
}

// leave gives the place back.
func (c *Console) leave(p *page) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pages, p)
	c.running.Done()
}

// guard closes the socket of a page that does not say hello, and of one whose
// session is over or whose key was revoked.
func (p *page) guard() {
	hello := time.NewTimer(helloTime)
	defer hello.Stop()
	again := time.NewTicker(keyEvery)
	defer again.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-hello.C:
			p.mu.Lock()
			greeted := p.greeted
			p.mu.Unlock()
			if !greeted {
				p.ws.StartClose(ws.Policy, "no hello")
			}
		case <-again.C:
			if !p.c.cfg.Dev && !p.c.lives(p.viewer.id) {
				p.ws.StartClose(ws.Policy, "the session is over")
			}
		}
	}
}

// Ended is called once, when nothing more will be heard.
func (p *page) Ended(error) {
	p.end()
	p.c.leave(p)
}

// closePages closes the sockets of a session.
func (c *Console) closePages(session string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := range c.pages {
		if p.viewer.id == session && p.ws != nil {
			p.ws.StartClose(ws.Policy, "logged out")
		}
	}
}

// Receive takes one message of the page.
func (p *page) Receive(message []byte) {
	var a ask
	if err := json.Unmarshal(message, &a); err != nil {
		p.ws.StartClose(ws.Policy, "not understood")
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.greeted {
		if p.greeted = p.c.holds(p.viewer, a.Hello); !p.greeted {
			p.ws.StartClose(ws.Policy, "wrong token")
			return
		}
		_ = p.post(answer{Data: "welcome"}) // one that is gone needs no answer
		return
	}
	switch {
	case a.Watch != "":
		p.watch(a, message)
	case a.Unwatch != 0:
		if stop, ok := p.watches[a.Unwatch]; ok {
			stop()
			delete(p.watches, a.Unwatch)
		}
	case a.Do != "":
		p.do(a, message)
	}
}

// watch begins a watch. The caller holds p.mu.
func (p *page) watch(a ask, message []byte) {
	feed, ok := p.c.topics[a.Watch]
	_, taken := p.watches[a.As]
	switch {
	case !ok:
		p.refuse(a.As, fmt.Errorf("there is nothing named %q to watch", a.Watch))
		return
	case a.As == 0 || taken || len(p.watches) >= maxWatches:
		p.refuse(a.As, errors.New("this page watches too much at once"))
		return
	}
	ctx, stop := context.WithCancel(p.ctx)
	p.watches[a.As] = stop
	p.c.running.Go(func() {
		err := p.try(func() error {
			return feed(ctx, p.viewer, message, func(data any) error { return p.send(ctx, answer{As: a.As, Data: data}) })
		})
		if err != nil && ctx.Err() == nil {
			p.refuse(a.As, err)
		}
	})
}

// do has a deed done after those that were asked for before: keys are pressed in
// the order in which they were typed. The caller holds p.mu.
func (p *page) do(a ask, message []byte) {
	act, ok := p.c.deeds[a.Do]
	switch {
	case !ok:
		p.refuse(a.As, fmt.Errorf("there is nothing named %q to do", a.Do))
		return
	case len(p.todo) >= maxDeeds:
		p.refuse(a.As, errors.New("too much at once; try again"))
		return
	}
	p.todo = append(p.todo, func() {
		var data any
		err := p.try(func() (err error) {
			data, err = act(p.ctx, p.viewer, message)
			return err
		})
		if err != nil {
			p.refuse(a.As, err)
			return
		}
		_ = p.send(p.ctx, answer{As: a.As, Data: data})
	})
	if !p.doing {
		p.doing = true
		p.c.running.Go(p.work)
	}
}

// work does what waits to be done.
func (p *page) work() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.todo) > 0 && p.ctx.Err() == nil {
		next := p.todo[0]
		p.todo = p.todo[1:]
		p.mu.Unlock()
		next()
		p.mu.Lock()
	}
	p.todo, p.doing = nil, false
}

// errFailed is what a page is told of a panic.
var errFailed = errors.New("the console failed at this; its log says why")

// try keeps a panic from the rest of the house.
func (p *page) try(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			p.c.log.Error("panic in the console", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = errFailed
		}
	}()
	return f()
}

// refuse tells the page what is wrong.
func (p *page) refuse(as int, err error) {
	_ = p.post(answer{As: as, Error: err.Error()})
}

// send puts an answer into the queue once there is room.
func (p *page) send(ctx context.Context, a answer) error {
	if err := p.ws.Room(ctx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return p.post(a)
}

func (p *page) post(a answer) error {
	text, err := json.Marshal(a, jsontext.AllowInvalidUTF8(true)) // a till's text may be anything
	if err != nil {
		return err
	}
	return p.ws.Send(text)
}

// read takes a page's question apart.
func read[T any](ask jsontext.Value) (T, error) {
	var q T
	if err := json.Unmarshal(ask, &q); err != nil {
		return q, errors.New("the page asked in a way that is not understood; load it again")
	}
	return q, nil
}
