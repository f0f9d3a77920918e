package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/door"
	"github.com/tillwire/tillwire/journal/sqlite"
	"github.com/tillwire/tillwire/site/console"
	"github.com/tillwire/tillwire/site/traffic"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/ws"
)

// tapped tells a hub what goes over a door, as the product does.
type tapped struct{ hub *traffic.Hub }

func (t tapped) Opened(c door.Tapped) door.TapLine {
	return t.hub.Opened(traffic.Connection{
		Number: c.Conn, Site: c.Site, Key: c.Key, Face: c.Face, Version: c.Version, Remote: c.Remote,
		SoftwareHouse: c.SoftwareHouse, Installer: c.Installer, Extensions: c.Extensions, FinalReceipt: c.FinalReceipt,
	})
}

// A gallery is a console whose page of the traffic can be opened.
type gallery struct {
	console *console.Console
	server  *http.Server
	addr    string
	wg      sync.WaitGroup
}

// emptyHouse is all that this console shows beside the traffic.
type emptyHouse struct{}

func (emptyHouse) Sites() []string                                { return []string{siteID} }
func (emptyHouse) Key(string) (console.Key, bool)                 { return console.Key{}, false }
func (emptyHouse) KeyWorks(string) bool                           { return false }
func (emptyHouse) Terminals(string) []console.Terminal            { return nil }
func (emptyHouse) Machine(string, string) (console.Machine, bool) { return nil, false }

func openGallery(hub *traffic.Hub) (*gallery, error) {
	c, err := console.New(console.Config{House: emptyHouse{}, Dev: true, Traffic: hub})
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.Close()
		return nil, err
	}
	g := &gallery{console: c, server: &http.Server{Handler: c, ReadHeaderTimeout: time.Minute}, addr: ln.Addr().String()}
	g.wg.Go(func() { _ = g.server.Serve(ln) }) // until it is closed
	return g, nil
}

func (g *gallery) close() {
	g.console.Close()
	_ = g.server.Close()
	g.wg.Wait()
}

// A visitorPage is a page of the traffic, read as fast as it comes.
type visitorPage struct {
	c    *ws.Conn
	done chan struct{}

	rows, left atomic.Int64
	batches    chan struct{} // one that says that another batch came
}

// open opens the page.
func (g *gallery) open(ctx context.Context) (*visitorPage, error) {
	token, err := g.token(ctx)
	if err != nil {
		return nil, err
	}
	c, err := ws.Dial(ctx, "ws://"+g.addr+"/console/live", ws.DialOptions{Header: http.Header{"Origin": {"http://" + g.addr}}})
	if err != nil {
		return nil, err
	}
	p := &visitorPage{c: c, done: make(chan struct{}), batches: make(chan struct{}, 1)}
	go p.read()
	for _, m := range []string{`{"hello":"` + token + `"}`, `{"watch":"traffic","as":1}`} {
		if err := c.Send([]byte(m)); err != nil {
			return nil, err
		}
	}
	return p, p.news(ctx)
}

// token is what a page proves itself with.
func (g *gallery) token(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.addr+"/console/traffic", nil)
	if err != nil {
		return "", err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var b strings.Builder
	buf := make([]byte, 16<<10)
	for {
		n, err := resp.Body.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			break
		}
	}
	_, rest, ok := strings.Cut(b.String(), `&#34;token&#34;:&#34;`)
	token, _, end := strings.Cut(rest, `&#34;`)
	if !ok || !end {
		return "", errors.New("the page has no token")
	}
	return token, nil
}

func (p *visitorPage) read() {
	defer close(p.done)
	for {
		text, err := p.c.Read()
		if err != nil {
			return
		}
		var m struct {
			Data struct {
				Rows    []jsontext.Value `json:"rows"`
				Passed  int64            `json:"passed"`
				Gone    int64            `json:"gone"`
				Dropped int64            `json:"dropped"`
			} `json:"data"`
		}
		if json.Unmarshal(text, &m) != nil {
			continue
		}
		p.rows.Add(int64(len(m.Data.Rows)))
		p.left.Add(m.Data.Passed + m.Data.Gone + m.Data.Dropped)
		select {
		case p.batches <- struct{}{}:
		default:
		}
	}
}

// news waits for a batch.
func (p *visitorPage) news(ctx context.Context) error {
	select {
	case <-p.batches:
		return nil
	case <-p.done:
		return errors.New("the page's socket was closed")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *visitorPage) close() {
	p.c.StartClose(ws.Normal, "")
	<-p.done
	<-p.c.Done()
}

// traffic times notifications with the page of the traffic closed and open, and
// finds how many messages a second it shows.
func (b *bench) traffic(ctx context.Context) (_ Group, err error) {
	hub := traffic.New(traffic.Options{Always: true})
	defer hub.Close()
	g, err := openGallery(hub)
	if err != nil {
		return Group{}, err
	}
	defer g.close()
	relay, err := b.watchedRelay(ctx, hub, g)
	if err != nil {
		return Group{}, err
	}
	shows, err := b.shows(ctx, hub, g)
	if err != nil {
		return Group{}, err
	}
	return Group{
		Meaning: "The console's page of the traffic. First the relay of a notification, as in relay, through a door whose messages are kept for the page: " +
			"while nobody has the page open, and while a page shows each message; both over the same door without a tap, in turns. Then how many messages a second, " +
			"half of them of a till, a page is shown with none left out, over a real socket to the gateway's console.",
		Notes: []string{
			"The page's own end is in this process, too, and takes part of its time; a browser would be another.",
			"More than that a page is not sent, on purpose: it shows the newest, and says how many it left out.",
		},
		Figures: append(relay, shows...),
	}, nil
}

func (b *bench) watchedRelay(ctx context.Context, hub *traffic.Hub, g *gallery) (_ []Figure, err error) {
	type side struct {
		s     *shop
		h     *hop
		began chan terminal.Request
	}
	open := func(tap door.Tap) (side, error) {
		store, err := sqlite.Open(b.folder(), sqlite.Options{})
		if err != nil {
			return side{}, err
		}
		began := make(chan terminal.Request, 1)
		s, err := openTappedShop(ctx, store, 1, func(_ *machine, r terminal.Request) { began <- r }, tap)
		if err != nil {
			return side{}, err
		}
		client, err := dial(ctx, s.url)
		if err != nil {
			return side{}, errors.Join(err, s.close())
		}
		return side{s, newHop(client), began}, nil
	}
	plain, err := open(nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, plain.s.close()) }()
	defer plain.h.close()
	kept, err := open(tapped{hub})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, kept.s.close()) }()
	defer kept.h.close()

	var without, closed, opened []float64
	sample := func(to *[]float64, x side) error {
		took, err := b.sampleSales(ctx, x.s, x.h, x.began)
		if err != nil {
			return err
		}
		slices.Sort(took)
		*to = append(*to, median(took))
		return nil
	}
	for round := range b.Rounds {
		b.say("traffic: relay, round %d of %d", round+1, b.Rounds)
		if err := sample(&without, plain); err != nil {
			return nil, err
		}
		if err := sample(&closed, kept); err != nil {
			return nil, err
		}
		page, err := g.open(ctx)
		if err != nil {
			return nil, err
		}
		err = sample(&opened, kept)
		page.close()
		if err != nil {
			return nil, err
		}
	}
	under := Value{"without a tap", "µs", spread(without)}
	return []Figure{
		Figure{Case: "relay, the page closed / without a tap", Figure: spread(ratios(closed, without)), Values: []Value{{"the page closed", "µs", spread(closed)}, under}}.atMost(1.1),
		Figure{Case: "relay, the page open / without a tap", Figure: spread(ratios(opened, without)), Values: []Value{{"the page open", "µs", spread(opened)}, under}}.atMost(1.1),
	}, nil
}

// rates are how many messages a second are tried.
var rates = [...]int{250, 500, 1000, 1500, 2000, 2500, 3000, 4000}

// shows finds the highest rate at which a page leaves nothing out, and how many
// the hub takes in when as many come as can.
func (b *bench) shows(ctx context.Context, hub *traffic.Hub, g *gallery) ([]Figure, error) {
	line := hub.Opened(traffic.Connection{Number: 1 << 32, Site: siteID, Face: traffic.FacePAC, Version: "v1"})
	defer line.Closed(1000, true, "")
	ask := []byte(`{"jsonrpc":"2.0","id":7,"method":"terminalDetails","params":{"tid":"10000001"}}`)
	answer := []byte(`{"jsonrpc":"2.0","id":7,"result":{"tid":"10000001","currency":"GBP","status":"AVAILABLE"}}`)
	tell := func(i int) {
		if i%2 == 0 {
			line.Message(false, ask)
		} else {
			line.Message(true, answer)
		}
	}
	var most, taken []float64
	for round := range b.Rounds {
		b.say("traffic: messages a second, round %d of %d", round+1, b.Rounds)
		best := 0
		for _, rate := range rates {
			ok, err := b.showsAll(ctx, g, rate, tell)
			if err != nil {
				return nil, err
			}
			if !ok {
				break
			}
			best = rate
		}
		most = append(most, float64(best))
		n, err := b.takesIn(ctx, hub, tell)
		if err != nil {
			return nil, err
		}
		taken = append(taken, n)
	}
	return []Figure{
		{Case: "shown with none left out", Unit: "messages/s", Figure: spread(most)},
		{Case: "kept with none dropped", Unit: "messages/s", Figure: spread(taken)},
	}, nil
}

// showsAll reports whether a page is shown all of a window's messages at a rate.
func (b *bench) showsAll(ctx context.Context, g *gallery, rate int, tell func(int)) (bool, error) {
	page, err := g.open(ctx)
	if err != nil {
		return false, err
	}
	defer page.close()
	before, left := page.rows.Load(), page.left.Load()
	n := max(1, int(float64(rate)*b.Window.Seconds()))
	began := time.Now()
	for i := range n {
		if early := time.Until(began.Add(time.Duration(float64(i) / float64(rate) * float64(time.Second)))); early > time.Millisecond {
			if err := sleep(ctx, early); err != nil {
				return false, err
			}
		}
		tell(i)
	}
	for page.rows.Load()-before+page.left.Load()-left < int64(n) {
		if err := page.news(ctx); err != nil {
			return false, err
		}
	}
	return page.left.Load() == left, nil
}

// takesIn is how many messages a second the hub keeps when the next comes as soon
// as there is room.
func (b *bench) takesIn(ctx context.Context, hub *traffic.Hub, tell func(int)) (float64, error) {
	r := hub.Read(traffic.Filter{Site: siteID})
	defer r.Leave()
	last := func() (uint64, error) {
		batch, err := r.Take(1)
		if err != nil || len(batch.Messages) == 0 {
			return 0, err
		}
		return batch.Messages[0].Seq, nil
	}
	first, err := last()
	if err != nil {
		return 0, err
	}
	const burst = 512 // far less than may wait
	before := hub.Dropped()
	began, told := time.Now(), uint64(0)
	for time.Since(began) < b.Window {
		for i := range burst {
			tell(i)
		}
		told += burst
		n, err := last() // takes in what waits
		switch {
		case err != nil:
			return 0, err
		case n != first+told:
			return 0, fmt.Errorf("%d messages are kept, %d were told", n-first, told)
		case ctx.Err() != nil:
			return 0, ctx.Err()
		}
	}
	took := time.Since(began)
	if dropped := hub.Dropped() - before; dropped > 0 {
		return 0, fmt.Errorf("%d messages were dropped", dropped)
	}
	return float64(told) / took.Seconds(), nil
}
