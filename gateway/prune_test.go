package gateway_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// TestPrunes: a site that says how long it keeps what has its end is rid of it
// then, and one that says nothing keeps it. What is unresolved stays.
func TestPrunes(t *testing.T) {
	const day = 24 * time.Hour
	for name, limits := range map[string]map[string]time.Duration{
		"kept for ever": nil,
		"eight days":    {spec.TimerKeepOutcomes: 8 * day},
		"reports only":  {spec.TimerKeepReports: 4 * day},
	} {
		t.Run(name, func(t *testing.T) {
			store := newFaulty()
			if err := gateway.AddSite(t.Context(), store, journal.Site{ID: "demo", TimeZone: "UTC", Limits: limits}); err != nil {
				t.Fatal(err)
			}
			if _, _, err := gateway.AddKey(t.Context(), store, "demo", demoKey, "", nil); err != nil {
				t.Fatal(err)
			}
			inShop(t, store, func(s *shop) {
				a := s.connect("a", "v1")
				sell := func() journal.Stream {
					a.sale(1)
					s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
					a.take()
					return s.pdq.id()
				}
				there := func(id journal.Stream, want bool) {
					s.t.Helper()
					if _, err := s.store.Head(s.t.Context(), id); (err == nil) != want {
						s.t.Errorf("%s is there: %t, want %t", id, err == nil, want)
					}
				}
				first := sell()
				a.sale(2)
				unresolved := s.pdq.id()
				s.pdq.say(terminal.WentAway{}, terminal.CameBack{Restarted: true})
				a.take()
				sleep(7 * day)
				second := sell()
				there(first, true)
				sleep(2 * day)
				there(first, limits[spec.TimerKeepOutcomes] == 0)
				there(second, true)
				sleep(30 * day)
				there(second, true) // the last of its terminal
				there(unresolved, true)
				a.asks(3, "duplicate", "")
				s.gets(a, "3 SUCCESSFUL")
				// What the terminal says of one that is gone is kept all the same.
				s.pdq.say(terminal.Ended{ID: first, Outcome: outcome(txn.Declined)})
				there(first, true)
				s.terminalHeard(s.pdq, "acknowledge "+string(first), 2)
				orphans := 0
				if limits[spec.TimerKeepOutcomes] > 0 {
					orphans = 1
				}
				if n := len(s.heads(journal.OrphanStream)); n != orphans {
					s.t.Errorf("%d orphans, want %d", n, orphans)
				}
			})
		})
	}
}

// TestKeepingTimes: a site cannot keep for a shorter time than the contract says.
func TestKeepingTimes(t *testing.T) {
	for name, d := range map[string]time.Duration{spec.TimerKeepOutcomes: 168 * time.Hour, spec.TimerKeepReports: 72 * time.Hour} {
		if err := gateway.CheckSite(journal.Site{ID: "shop", Limits: map[string]time.Duration{name: d}}); err != nil {
			t.Error(err)
		}
		err := gateway.CheckSite(journal.Site{ID: "shop", Limits: map[string]time.Duration{name: d - time.Second}})
		if err == nil || !strings.Contains(err.Error(), name+" must be "+d.String()+" at least") {
			t.Errorf("%s of less: %v", name, err)
		}
	}
}
