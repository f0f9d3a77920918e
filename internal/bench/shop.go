package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/tillwire/tillwire/door"
	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/rest"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// A shop is a gateway with its door on a loopback socket and played terminals,
// in this process.
type shop struct {
	store    journal.Store
	gw       *gateway.Gateway
	machines []*machine
	addr     string
	url      string        // for tills
	found    int           // open, when it began
	plugged  chan struct{} // one for each terminal that dialled in

	shut context.CancelFunc
	wg   sync.WaitGroup
	err  error // the door's
}

const (
	siteID = "bench"
	key    = "bench"
	// firstTID is the first terminal's; all have eight digits.
	firstTID = 10_000_001
)

// mostLinks are terminals that may have dialled in before anybody counts them.
const mostLinks = 1024

func tid(i int) txn.TID { return txn.TID(strconv.Itoa(firstTID + i)) }

// unlimited are limits that are not what is measured.
func unlimited() gateway.Limits {
	return gateway.Limits{MessagesPerSecond: 1e9, MessageBurst: 1e9, InFlight: 1e6, Connections: 1e6}
}

// unpaced is a pace that is not what is measured.
func unpaced() rest.Pace { return rest.Pace{Burst: 1e9, Every: 1} }

// settleIn makes the shop's site and key, unless they are there.
func settleIn(ctx context.Context, r journal.Register) error {
	if sites, err := r.Sites(ctx); err != nil || len(sites) > 0 {
		return err
	}
	if err := gateway.AddSite(ctx, r, journal.Site{ID: siteID, Name: "Bench", TimeZone: "UTC"}); err != nil {
		return err
	}
	_, _, err := gateway.AddKey(ctx, r, siteID, key, "for this run", nil)
	return err
}

// openShop opens one with n terminals. The store is the shop's from here on.
func openShop(ctx context.Context, store journal.Store, n int, perform func(*machine, terminal.Request)) (*shop, error) {
	return openTappedShop(ctx, store, n, perform, nil)
}

// openTappedShop opens one whose messages somebody hears; nil for nobody.
func openTappedShop(ctx context.Context, store journal.Store, n int, perform func(*machine, terminal.Request), tap door.Tap) (_ *shop, err error) {
	s := &shop{store: store, shut: func() {}, plugged: make(chan struct{}, mostLinks)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := settleIn(ctx, store); err != nil {
		return nil, err
	}
	if s.gw, err = gateway.New(ctx, gateway.Config{Store: store, Limits: unlimited()}); err != nil {
		return nil, err
	}
	if s.found, err = s.gw.Recover(ctx); err != nil {
		return nil, err
	}
	for i := range n {
		m := &machine{perform: perform}
		s.machines = append(s.machines, m)
		if err := s.gw.Plug(siteID, tid(i), func(sink terminal.Sink) terminal.Terminal {
			m.sink = sink
			return m
		}); err != nil {
			return nil, err
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.addr = ln.Addr().String()
	s.url = fmt.Sprintf("ws://%s/pac?token=%s&api-version=v1&software-house-id=BENCH&installer-id=BENCH", s.addr, key)
	// The tills here answer no pings, and nothing here takes long enough to miss
	// one.
	d := door.New(door.Config{Gateway: s.gw, PingInterval: time.Hour, MaxConnections: 1e6, Terminals: s.dialIn, Tap: tap, REST: rest.New(rest.Config{Gateway: s.gw, Pace: unpaced()})})
	open, shut := context.WithCancel(context.Background())
	s.shut = shut
	s.wg.Go(func() { s.err = d.Serve(open, ln) })
	return s, nil
}

func (s *shop) close() error {
	s.shut()
	s.wg.Wait()
	if s.gw != nil {
		s.gw.Close()
	}
	return errors.Join(s.err, s.store.Close())
}
