package gateway_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
)

// A visitFlow is one visit, from the list to the unlock.
type visitFlow struct {
	name  string
	tid   string
	visit sim.Visit
	till  func(*tables) // before it begins
}

func visitFlows() []visitFlow {
	declined := sim.Card{Script: sim.Script{Result: txn.Declined}}
	return []visitFlow{
		{name: "paid in two parts", tid: "VCMDEMOSIP0", visit: sim.Visit{Waiter: "3", Table: "12", PrintBill: true, Split: 2, Tip: sim.Tip{Amount: 50, Each: true}}},
		{name: "declined, then part of it", tid: "VCMDEMOSCD0", visit: sim.Visit{Table: "14", Pay: []sim.Card{declined, {Amount: 300}}, Amount: 300}},
		{name: "signed", tid: "VCMDEMOSIS0", visit: sim.Visit{Table: "12"}},
		{name: "left without paying", tid: "VCMDEMOSIP0", visit: sim.Visit{Table: "12", CancelAt: sim.StepGratuity}},
		{name: "refused", tid: "VCMDEMOSIP0", visit: sim.Visit{Table: "12", ByName: true}, till: func(m *tables) { m.tables["12"].holder = "another" }},
		{name: "no answer to the lock", tid: "VCMDEMOSIP0", visit: sim.Visit{Table: "12"}, till: func(m *tables) { m.mute = true }},
		{name: "falls mute", tid: "VCMDEMOTIP0", visit: sim.Visit{Table: "12"}},
	}
}

// TestVisitCrashes kills the gateway before and after each append of each
// visit, with and without the machine losing power meanwhile, and starts
// another one on what is on disk.
func TestVisitCrashes(t *testing.T) {
	for _, fl := range visitFlows() {
		for _, acks := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s acks=%t", fl.name, acks), func(t *testing.T) {
				everyCrash(t, func(t *testing.T, c crash) int { return crashVisit(t, fl, acks, c) })
			})
		}
	}
}

// crashVisit plays the visit, crashes, restarts, and looks at
// what became of it. It returns how many appends the visit took.
func crashVisit(t *testing.T, fl visitFlow, acks bool, at crash) int {
	e := newRestaurant(t, rand.New(rand.NewPCG(7, 1)), 7, acks, true)
	defer e.leave()
	e.epos.behave()
	if fl.till != nil {
		fl.till(e.epos)
	}
	at.strike(e.disk)
	e.begin(fl.tid, fl.visit)
	sleep(70 * time.Second)
	appends := e.disk.appends()

	e.disk.set(nil, nil)
	e.g.Close()
	e.disk.revive()
	if at.power {
		if err := e.machine(fl.tid).PowerCycle(); err != nil {
			t.Fatal(err)
		}
	}
	e.start(gateway.Limits{})
	sleep(200 * time.Second) // everything is done before the till is back
	e.epos.mu.Lock()
	e.epos.mute = false
	if tb := e.epos.tables["12"]; tb.holder == "another" {
		tb.holder = ""
	}
	e.epos.mu.Unlock()
	e.close()
	if t.Failed() {
		t.Logf("what happened:\n%s", strings.Join(e.diary, "\n"))
	}
	return appends
}

// TestReportCrashes does so with a report that is started at the machine: the
// till has it once it was told, and nobody loses it.
func TestReportCrashes(t *testing.T) {
	for n := 1; n <= 2; n++ {
		for _, kept := range []bool{false, true} {
			for _, power := range []bool{false, true} {
				t.Run(fmt.Sprintf("append %d kept=%t power=%t", n, kept, power), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						e := newRestaurant(t, rand.New(rand.NewPCG(7, 1)), 7, true, false)
						defer e.leave()
						e.epos.behave()
						e.disk.set(func(i int, _ journal.Append) mishap {
							m := mishap{crash: i == n}
							if m.crash && kept {
								m.after = journal.ErrUncertain
							}
							return m
						}, nil)
						if _, err := e.machine("VCMDEMOSIP0").Report(t.Context(), report.EndOfDay); err != nil {
							t.Fatal(err)
						}
						e.reports++
						sleep(time.Minute)
						if got := e.disk.appends(); got < n {
							t.Fatalf("%d appends", got)
						}
						e.disk.set(nil, nil)
						e.g.Close()
						e.disk.revive()
						if power {
							if err := e.machine("VCMDEMOSIP0").PowerCycle(); err != nil {
								t.Fatal(err)
							}
						}
						e.start(gateway.Limits{})
						e.close()
					})
				})
			}
		}
	}
}

// TestDoubtfulVisits has each append of a visit be uncertain for a while in
// which nobody can say whether it was kept.
func TestDoubtfulVisits(t *testing.T) {
	for _, fl := range visitFlows() {
		appends := 0
		synctest.Test(t, func(t *testing.T) { appends = crashVisit(t, fl, true, crash{}) })
		for n := 1; n <= appends; n++ {
			for _, kept := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s append %d kept=%t", fl.name, n, kept), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						e := newRestaurant(t, rand.New(rand.NewPCG(7, 1)), 7, true, true)
						defer e.leave()
						e.epos.behave()
						if fl.till != nil {
							fl.till(e.epos)
						}
						doubt := mishap{before: journal.ErrUncertain}
						if kept {
							doubt = mishap{after: journal.ErrUncertain}
						}
						e.disk.set(func(i int, _ journal.Append) mishap {
							if i >= n {
								e.disk.headErr = errDisk // until set is called; it holds the lock
								return doubt
							}
							return mishap{}
						}, nil)
						e.begin(fl.tid, fl.visit)
						sleep(50 * time.Second)
						e.disk.set(nil, nil)
						sleep(2 * time.Minute) // without a restart
						e.epos.mu.Lock()
						e.epos.mute = false
						if tb := e.epos.tables["12"]; tb.holder == "another" {
							tb.holder = ""
						}
						e.epos.mu.Unlock()
						e.close()
						for _, v := range recordedVisits(t, e.disk) {
							if v.State == table.Unresolved && fl.tid != visitTIDs[3] {
								t.Errorf("visit %s is unresolved", v.ID)
							}
						}
						if t.Failed() {
							t.Logf("what happened:\n%s", strings.Join(e.diary, "\n"))
						}
					})
				})
			}
		}
	}
}
