package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/tillwire/tillwire/door"
	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/terminal/link"
	"github.com/tillwire/tillwire/ws"
)

// link compares durable sales with sales that are kept in memory only, both over
// the terminal link.
func (b *bench) link(ctx context.Context) (Group, error) {
	written, err := b.written(ctx)
	if err != nil {
		return Group{}, err
	}
	g := Group{
		Meaning: "Sales per second as in the measurement sales, but over the terminal link: the terminals are played in a process of their own, each with its own " +
			"connection to the gateway's /terminal, and share its processors too; there are four for each sale in flight, since the link reads a machine that " +
			"sells without a pause more slowly. With the journal on disk, over the same run with the journal in " +
			"memory; and with 2 ms added to each sync, over the smaller of that and of plain group-committed appends. The processor's time is that of the gateway and the tills.",
	}
	n := slices.Max(b.InFlight)
	ram, disk, slow, plain, err := b.onDiskAndNot(ctx, "link", n, written, b.sellOverLinks)
	if err != nil {
		return Group{}, err
	}
	g.Figures = durable(n, ram, disk, slow, plain)
	for i := range g.Figures[:2] {
		g.Figures[i] = g.Figures[i].atLeast(0.8)
	}
	return g, nil
}

// sellOverLinks runs sales in a new shop on that store with its terminals in
// another process, and ends both.
func (b *bench) sellOverLinks(ctx context.Context, store journal.Store, n int) (r rate, err error) {
	s, err := openShop(ctx, store, 0, nil)
	if err != nil {
		return rate{}, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	p, err := startAssistant(b.Assistant(ctx, RoleTerminals))
	if err != nil {
		return rate{}, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	var said strings.Builder
	terminals := linksPerSale * n
	fmt.Fprintf(&said, "%d %d", b.Seed, terminals)
	for i := range terminals {
		secret, _, err := gateway.EnrolTerminal(ctx, store, siteID, tid(i), "for this run")
		if err != nil {
			return rate{}, err
		}
		fmt.Fprintf(&said, "\nws://%s%s?token=%s", s.addr, link.Path, secret)
	}
	if err := s.gw.Reload(ctx); err != nil {
		return rate{}, err
	}
	if err := p.tell(said.String()); err != nil {
		return rate{}, err
	}
	if _, err := p.hear(); err != nil { // they are linked, each as it sees it
		return rate{}, err
	}
	if err := s.linked(ctx, terminals); err != nil {
		return rate{}, err
	}
	return drive(ctx, s.url, b.atOnce(terminals), stretch{window: b.Window, inFlight: n})
}

// linksPerSale is how many terminals are linked for each sale in flight.
const linksPerSale = 4

// dialIn lets terminals in that dial the shop's door.
func (s *shop) dialIn(k gateway.Knock) (door.Link, error) {
	t, err := s.gw.AdmitTerminal(k)
	if err != nil {
		return door.Link{}, err
	}
	return door.Link{Site: string(t.Site()), Key: t.Key(), PingInterval: t.PingInterval(), Serve: func(c *ws.Conn) {
		line, err := link.Greet(c, t.TID(), nil)
		if err != nil {
			return // the terminal fails, and says so
		}
		release, err := t.Open(func(code int, reason string) { c.StartClose(ws.Code(code), reason) }, line.Connect)
		if err != nil {
			c.StartClose(ws.Policy, err.Error())
			return
		}
		defer release()
		s.plugged <- struct{}{}
		<-c.Done()
	}}, nil
}

// linked waits until so many terminals are plugged in that dialled.
func (s *shop) linked(ctx context.Context, n int) error {
	for range n {
		select {
		case <-s.plugged:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// serveTerminals is the process with the terminals: it reads a seed and how many
// there are, then the address of each, and says a line once all are linked.
func serveTerminals(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	var seed uint64
	var n int
	if !lines.Scan() {
		return errors.Join(errors.New("no terminals were named"), lines.Err())
	}
	if _, err := fmt.Sscan(lines.Text(), &seed, &n); err != nil {
		return err
	}
	p, err := perform(seed)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel(nil)
	up := make(chan struct{}, n)
	for i := range n {
		if !lines.Scan() {
			return errors.Join(errors.New("a terminal has no address"), lines.Err())
		}
		dial, err := link.Dialler(lines.Text(), nil, nil)
		if err != nil {
			return err
		}
		linked := sync.OnceFunc(func() { up <- struct{}{} })
		m := link.Machine{
			TID: tid(i), Dial: dial,
			Connect: func(sink terminal.Sink) terminal.Terminal { return &machine{sink: sink, perform: p.atOnce} },
			Watch: func(st link.Standing) {
				if st.Up {
					linked()
				}
			},
		}
		running.Go(func() {
			if err := m.Run(ctx); ctx.Err() == nil {
				cancel(fmt.Errorf("terminal %s: %w", m.TID, err))
			}
		})
	}
	for range n {
		if err := reached(ctx, up); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintln(out, "linked"); err != nil {
		return err
	}
	return untilEnd(ctx, in)
}
