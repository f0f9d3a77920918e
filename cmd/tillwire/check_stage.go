package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/tillwire/tillwire/conform"
	"github.com/tillwire/tillwire/epos"
	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
)

// A checkStage is the stage of the checklist: a gateway of this process with its
// simulated card machines, and a relay before it.
type checkStage struct {
	house *house
	relay *conform.Relay

	mu     sync.Mutex
	held   map[string][]chan struct{} // by TID: closed to let a transaction go on
	cut    map[string]bool            // machines off their cable
	others []func()                   // end other tills' transactions
	visits map[string]*checkVisit     // by TID: the last of each machine
	limits map[string]time.Duration   // other than the contract's
}

var _ conform.Stage = (*checkStage)(nil)

func (s *checkStage) machine(tid string) (*sim.Machine, error) {
	m, ok := s.house.sims.machine(s.house.gw, devSite, txn.TID(tid))
	if !ok {
		return nil, fmt.Errorf("the stage has no card machine %q", tid)
	}
	return m, nil
}

// Play says how the next transaction at a machine goes.
func (s *checkStage) Play(tid string, p conform.Part) error {
	m, err := s.machine(tid)
	if err != nil {
		return err
	}
	script := sim.Script{
		Result: txn.Result(p.Result), Entry: txn.MethodChip, CVM: txn.CVMPIN,
		GratuityPercent: p.GratuityPercent, HoldAt: txn.Notification(p.HoldAt),
	}
	if script.Result == "" {
		script.Result = txn.Successful
	}
	if p.Signature {
		script.CVM = txn.CVMSignature
	}
	if p.HoldAt != "" {
		script.Until = s.hold(tid)
	}
	m.Script(script)
	return nil
}

func (s *checkStage) hold(tid string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		s.held = map[string][]chan struct{}{}
	}
	until := make(chan struct{})
	s.held[tid] = append(s.held[tid], until)
	return until
}

// Release ends what a part holds.
func (s *checkStage) Release(tid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, until := range s.held[tid] {
		close(until)
	}
	delete(s.held, tid)
}

// Occupy has another till's sale run at a machine until Calm.
func (s *checkStage) Occupy(tid string) error {
	if err := s.Play(tid, conform.Part{HoldAt: string(sim.PresentCard)}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), quick)
	defer cancel()
	begun := make(chan struct{})
	var once sync.Once
	client, err := epos.Dial(ctx, epos.Options{URL: devURL(s.house.addr), Plain: true, Handler: epos.Handler{
		Notification: func(_ epos.TID, n epos.Notification) {
			if string(n) == string(sim.PresentCard) {
				once.Do(func() { close(begun) })
			}
		},
	}})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		_, err := client.Sale(context.Background(), epos.Sale{TID: epos.TID(tid), Amount: money.Amount{Minor: 100, Currency: money.GBP}})
		ended <- err
	}()
	s.mu.Lock()
	s.others = append(s.others, func() {
		client.Close()
		<-ended
	})
	s.mu.Unlock()
	select {
	case <-begun:
		return nil
	case err := <-ended:
		ended <- nil
		return errors.Join(errors.New("the other till's sale did not hold the card machine"), err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Unplug takes a machine off its cable until Calm.
func (s *checkStage) Unplug(tid string) error {
	m, err := s.machine(tid)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut == nil {
		s.cut = map[string]bool{}
	}
	s.cut[tid] = true
	m.CutLink()
	return nil
}

// Cut cuts the till's connections.
func (s *checkStage) Cut() { s.relay.Cut() }

// HangUp closes them.
func (s *checkStage) HangUp() { s.relay.HangUp() }

// Linger gives a till that does not wait the time to leave.
func (s *checkStage) Linger(after string) { s.relay.Linger(after) }

// Limit sets a time limit until Calm.
func (s *checkStage) Limit(name string, d time.Duration) error {
	s.mu.Lock()
	limits := maps.Clone(s.limits)
	if limits == nil {
		limits = map[string]time.Duration{}
	}
	limits[name] = d
	s.limits = limits
	s.mu.Unlock()
	return s.setLimits(limits)
}

// setLimits gives the site these limits, and the contract's for all others.
func (s *checkStage) setLimits(limits map[string]time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), quick)
	defer cancel()
	site, err := gateway.FindSite(ctx, s.house.store, devSite)
	if err != nil {
		return err
	}
	site.Limits = limits
	if err := s.house.store.PutSite(ctx, site); err != nil {
		return err
	}
	return s.house.gw.Reload(ctx)
}

// Say sends the till what no gateway would.
func (s *checkStage) Say(conn int, text string) error { return s.relay.Say(conn, text) }

// calmTakes is how long what runs may take to end by itself, and patienceOfBench
// how long it may take in all.
const (
	calmTakes       = 2 * time.Second
	patienceOfBench = 20 * time.Second
)

// Calm undoes everything, and waits until the machines are idle. One that is
// still busy after a moment, because a till answers no signature, say, loses its
// power: that ends whatever runs.
func (s *checkStage) Calm() error {
	s.leave()
	s.mu.Lock()
	limited := len(s.limits) > 0
	s.limits = nil
	s.mu.Unlock()
	if limited {
		if err := s.setLimits(nil); err != nil {
			return err
		}
	}
	begun, off := time.Now(), map[txn.TID]bool{}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		idle := true
		for _, t := range s.house.gw.Terminals(devSite) {
			if t.Connected && !t.Busy {
				continue
			}
			idle = false
			if time.Since(begun) < calmTakes || off[t.TID] {
				continue
			}
			off[t.TID] = true
			m, err := s.machine(string(t.TID))
			if err != nil {
				return err
			}
			m.SwitchOff()
			if err := m.SwitchOn(); err != nil {
				return err
			}
		}
		if idle {
			return nil
		}
		if time.Since(begun) > patienceOfBench {
			return errors.New("the card machines of the check do not come to rest")
		}
		<-tick.C
	}
}

// leave takes back all that was prepared.
func (s *checkStage) leave() {
	s.mu.Lock()
	var tids []string
	for tid := range s.held {
		tids = append(tids, tid)
	}
	cut, others := s.cut, s.others
	s.cut, s.others = nil, nil
	s.mu.Unlock()
	for _, tid := range tids {
		s.Release(tid)
	}
	if s.relay != nil {
		s.relay.Linger("")
		s.relay.Lose("")
		s.relay.Away(false)
	}
	if s.house == nil {
		return
	}
	s.endVisits()
	for tid := range cut {
		if m, err := s.machine(tid); err == nil {
			m.RestoreLink()
		}
	}
	for _, t := range s.house.gw.Terminals(devSite) {
		if m, ok := s.house.sims.plugged(devSite, t.TID); ok {
			m.Calm()
		}
	}
	for _, end := range others {
		end()
	}
}
