package main

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"sync"

	"github.com/tillwire/tillwire/conform"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/ws"
)

// A checkVisit is a waiter at a card machine of the stage.
type checkVisit struct {
	leave context.CancelFunc // has the waiter leave
	free  func()             // ends the hold
	ended chan struct{}
	err   error // once it has ended
}

// Serve has a waiter do a visit.
func (s *checkStage) Serve(ctx context.Context, tid string, v conform.Visit) error {
	m, err := s.machine(tid)
	if err != nil {
		return err
	}
	if err := s.Resume(ctx, tid, true); err != nil {
		return err
	}
	plan := sim.Visit{
		Waiter: table.WaiterID(v.Waiter), Table: table.TableID(v.Table), ByName: true, PrintBill: v.Bill,
		Amount: money.Minor(v.Pay), Split: v.Parts, Tip: sim.Tip{Amount: money.Minor(v.Tip)},
	}
	switch v.HoldAt {
	case conform.HoldLocked:
		plan.HoldAt = sim.StepSplit
	case conform.HoldCard:
		plan.HoldAt = sim.StepCard
	}
	if v.Leave {
		plan.CancelAt = sim.StepLock
	}
	walk, leave := context.WithCancel(context.WithoutCancel(ctx))
	until, held := make(chan struct{}), make(chan struct{})
	var once, hold sync.Once
	visit := &checkVisit{leave: leave, free: func() { once.Do(func() { close(until) }) }, ended: make(chan struct{})}
	plan.Until = until
	s.mu.Lock()
	if s.visits == nil {
		s.visits = map[string]*checkVisit{}
	}
	s.visits[tid] = visit
	s.mu.Unlock()
	go func() {
		defer close(visit.ended)
		_, visit.err = m.Visit(walk, plan, func(step sim.VisitStep) {
			if plan.HoldAt != "" && step.Step == plan.HoldAt {
				hold.Do(func() { close(held) })
			}
		})
	}()
	select {
	case <-held:
		return nil
	case <-visit.ended:
		leave()
		return visit.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Resume lets a visit that holds go on to its end.
func (s *checkStage) Resume(ctx context.Context, tid string, leave bool) error {
	s.mu.Lock()
	v := s.visits[tid]
	delete(s.visits, tid)
	s.mu.Unlock()
	if v == nil {
		return nil
	}
	if leave {
		v.leave()
	}
	v.free()
	select {
	case <-v.ended:
		v.leave()
		return v.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// EndOfDay has the end of day made at a machine.
func (s *checkStage) EndOfDay(ctx context.Context, tid string) error {
	m, err := s.machine(tid)
	if err != nil {
		return err
	}
	_, err = m.Report(ctx, report.EndOfDay)
	return err
}

// Lose loses the till's next acknowledgement.
func (s *checkStage) Lose(method string) { s.relay.Lose(method) }

// Away keeps the till away.
func (s *checkStage) Away(away bool) { s.relay.Away(away) }

// TakeOver connects another till until Calm.
func (s *checkStage) TakeOver(ctx context.Context) error {
	q := url.Values{"token": {devKey}, "api-version": {"v1"}, "software-house-id": {"OTHERTILL"}, "installer-id": {"OTHERTILL"}}
	address := url.URL{Scheme: "ws", Host: s.house.addr, Path: "/pat", RawQuery: q.Encode()}
	conn, err := ws.Dial(ctx, address.String(), ws.DialOptions{})
	if err != nil {
		return fmt.Errorf("another till cannot connect: %w", err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for {
			if _, err := conn.Read(); err != nil {
				return
			}
		}
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.others = append(s.others, func() {
		conn.Abort()
		<-read
	})
	return nil
}

// endVisits has all waiters leave.
func (s *checkStage) endVisits() {
	s.mu.Lock()
	tids := slices.Collect(maps.Keys(s.visits))
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), patienceOfBench)
	defer cancel()
	for _, tid := range tids {
		_ = s.Resume(ctx, tid, true) // how it ended was Serve's business
	}
}
