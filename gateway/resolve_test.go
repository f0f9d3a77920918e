package gateway_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

func byHand(id txn.RequestID, taken bool) gateway.Resolution {
	return gateway.Resolution{Stream: id, Taken: taken, By: "anna", Reason: "seen on the terminal's list"}
}

// refusedAs holds that nothing was resolved, and why.
func refusedAs(t *testing.T, err error, why string) {
	t.Helper()
	e, ok := errors.AsType[*gateway.NotUnresolvedError](err)
	if !ok || !strings.Contains(e.Error(), why) {
		t.Errorf("got %v, want a refusal that says %q", err, why)
	}
}

// TestResolve plays operators who say by hand what became of a sale.
func TestResolve(t *testing.T) {
	timedOut := func(s *shop, a *till) txn.RequestID {
		a.sale(1)
		s.pdq.say(terminal.WentAway{}, terminal.CameBack{Restarted: true})
		s.gets(a, started, finished, "1 TIMED_OUT")
		return s.pdq.id()
	}
	// duplicate says what a duplicate says, and whether by hand.
	duplicate := func(s *shop, a *till, result string, hand bool) {
		s.t.Helper()
		a.asks(9, "duplicate", "")
		got := a.take()
		if len(got) != 1 || word(got[0]) != "9 "+result || strings.Contains(got[0], "RECORDED BY HAND: "+result) != hand {
			s.t.Errorf("a duplicate says %q, want %s, by hand %t", got, result, hand)
		}
		for _, m := range got {
			s.fits(a, m)
		}
	}
	for _, c := range []struct {
		name string
		play func(s *shop, a *till)
	}{
		{"after TIMED_OUT, and the terminal contradicts", func(s *shop, a *till) {
			id := timedOut(s, a)
			duplicate(s, a, "TIMED_OUT", false)
			if err := s.g.Resolve(s.t.Context(), byHand(id, true)); err != nil {
				s.t.Fatal(err)
			}
			s.gets(a) // it has its answer
			got := s.recorded()
			want := &txn.Resolution{Result: txn.Successful, By: "anna", Reason: "seen on the terminal's list"}
			if diff := cmp.Diff(want, got.Resolution); diff != "" || got.State != txn.Finished || got.Told != txn.ToldTimedOut {
				s.t.Errorf("recorded %+v\n%s", got, diff)
			}
			asked := s.pdq.heard("query")
			sleep(10 * time.Minute)
			s.terminalHeard(s.pdq, "query", asked)
			duplicate(s, a, "SUCCESSFUL", true)

			end := terminal.Ended{ID: id, Outcome: outcome(txn.Declined)}
			s.pdq.say(end, end)
			got = s.recorded()
			if got.Conflict == nil || got.Conflict.Result != txn.Declined || !got.Disputed() || got.Resolution == nil {
				s.t.Errorf("the terminal's word is recorded as %+v", got)
			}
			s.terminalHeard(s.pdq, "acknowledge "+string(id), 2)
			duplicate(s, a, "DECLINED", false)
			refusedAs(s.t, s.g.Resolve(s.t.Context(), byHand(id, true)), "the terminal has said that it was DECLINED")
		}},
		{"and the terminal confirms", func(s *shop, a *till) {
			id := timedOut(s, a)
			if err := s.g.Resolve(s.t.Context(), byHand(id, true)); err != nil {
				s.t.Fatal(err)
			}
			s.pdq.say(terminal.Ended{ID: id, Outcome: outcome(txn.Successful)})
			if got := s.recorded(); got.Conflict == nil || got.Disputed() {
				s.t.Errorf("the terminal's word is recorded as %+v", got)
			}
			s.terminalHeard(s.pdq, "acknowledge "+string(id), 1)
			duplicate(s, a, "SUCCESSFUL", false) // with the terminal's receipt
		}},
		{"while the till waits", func(s *shop, a *till) {
			a.sale(1)
			s.pdq.say(terminal.WentAway{})
			s.gets(a, started)
			if err := s.g.Resolve(s.t.Context(), byHand(s.pdq.id(), false)); err != nil {
				s.t.Fatal(err)
			}
			s.gets(a, finished, "1 UNSUCCESSFUL")
			if got := s.recorded(); got.Told != txn.ToldResult {
				s.t.Errorf("told %q", got.Told)
			}
			sleep(5 * time.Minute)
			s.gets(a)
			s.pdq.say(terminal.CameBack{})
			s.stands("AVAILABLE")
			s.terminalHeard(s.pdq, "query", 0)
		}},
		{"with a wish for a cancel", func(s *shop, a *till) {
			a.sale(1)
			a.cancels(2)
			s.pdq.say(terminal.WentAway{})
			if err := s.g.Resolve(s.t.Context(), byHand(s.pdq.id(), true)); err != nil {
				s.t.Fatal(err)
			}
			s.gets(a, started, "2 map[cancelling:true]", attempting, unable, finished, "1 SUCCESSFUL")
		}},
		{"while the terminal is being asked", func(s *shop, a *till) {
			id := timedOut(s, a)
			s.pdq.query = func(context.Context, txn.RequestID) (terminal.Answer, error) {
				time.Sleep(5 * time.Second)
				o := outcome(txn.Declined)
				return terminal.Answer{Kind: terminal.Final, Outcome: &o}, nil
			}
			s.pdq.say(terminal.WentAway{}, terminal.CameBack{})
			if err := s.g.Resolve(s.t.Context(), byHand(id, true)); err != nil {
				s.t.Fatal(err)
			}
			sleep(10 * time.Second)
			if got := s.recorded(); got.Resolution == nil {
				s.t.Errorf("recorded %+v", got)
			}
			s.stands("AVAILABLE")
		}},
		{"what is not unresolved", func(s *shop, a *till) {
			a.sale(1)
			id := s.pdq.id()
			refusedAs(s.t, s.g.Resolve(s.t.Context(), byHand(id, true)), "it is running at the terminal")
			s.pdq.say(terminal.Ended{ID: id, Outcome: outcome(txn.Declined)}, terminal.Ended{ID: "orphan", Outcome: outcome(txn.Void)})
			refusedAs(s.t, s.g.Resolve(s.t.Context(), byHand(id, true)), "the terminal has said that it was DECLINED")
			refusedAs(s.t, s.g.Resolve(s.t.Context(), byHand("orphan", true)), "the terminal has said")
			if err := s.g.Resolve(s.t.Context(), byHand("nothing", true)); !errors.Is(err, journal.ErrNotFound) {
				s.t.Errorf("an unknown id: %v", err)
			}
			s.pdq.start = func(context.Context, terminal.Request) error { return terminal.ErrBusy }
			a.sale(2)
			refusedAs(s.t, s.g.Resolve(s.t.Context(), byHand(s.pdq.id(), true)), "did not run on the terminal (busy)")
			s.pdq.start = nil
			a.asks(3, "reportXBalance", "")
			refusedAs(s.t, s.g.Resolve(s.t.Context(), byHand(s.pdq.id(), true)), "no money depends on a report")
			r, _ := report.New(money.GBP).Make(report.XBalance, time.Now())
			s.pdq.say(terminal.Reported{ID: s.pdq.id(), Report: r})

			a.take()
			id = timedOut(s, a)
			r2 := byHand(id, true)
			r2.Payment = "p"
			if err := s.g.Resolve(s.t.Context(), r2); err == nil || !strings.Contains(err.Error(), "no payments of its own") {
				s.t.Errorf("with a payment: %v", err)
			}
			r2 = byHand(id, true)
			r2.Receipt.Paid = 1
			if err := s.g.Resolve(s.t.Context(), r2); err == nil || !strings.Contains(err.Error(), "asked for") {
				s.t.Errorf("with an amount: %v", err)
			}
			if err := s.g.Resolve(s.t.Context(), byHand(id, false)); err != nil {
				s.t.Error(err)
			}
			refusedAs(s.t, s.g.Resolve(s.t.Context(), byHand(id, true)), "anna has said by hand that it was UNSUCCESSFUL")
		}},
		{"that cannot be recorded", func(s *shop, a *till) {
			id := timedOut(s, a)
			f := s.store.(*faulty)
			f.set(always(journal.ErrFull), nil)
			if err := s.g.Resolve(s.t.Context(), byHand(id, true)); !errors.Is(err, journal.ErrFull) {
				s.t.Errorf("on a full disk: %v", err)
			}
			if got := s.recorded(); got.State != txn.Unresolved {
				s.t.Errorf("recorded as %s", got.State)
			}
			f.set(nil, nil)
			sleep(time.Second)
			if err := s.g.Resolve(s.t.Context(), byHand(id, true)); err != nil {
				s.t.Error(err)
			}
			if got := s.recorded(); got.State != txn.Finished {
				s.t.Errorf("recorded as %s", got.State)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inShop(t, newFaulty(), func(s *shop) { c.play(s, s.connect("a", "v1")) })
		})
	}
}

// TestSettle resolves by hand while no gateway runs: what was at a terminal when
// the last one was killed is unresolved, and the next start leaves it alone.
func TestSettle(t *testing.T) {
	at := time.Date(2026, time.October, 7, 21, 4, 0, 0, time.UTC)
	accepted := txn.Accepted{ID: "r1", Site: "demo", TID: tid, At: at, Request: txn.Request{Type: txn.Sale, Currency: money.GBP, Amount: 1250}}
	dispatched := txn.Dispatched{At: at}
	for _, c := range []struct {
		name   string
		events []txn.Event
		why    string // of the refusal
	}{
		{"at the terminal", []txn.Event{accepted, dispatched, txn.Started{}}, ""},
		{"signing", []txn.Event{accepted, dispatched, txn.SignatureWanted{At: at}}, ""},
		{"unresolved", []txn.Event{accepted, dispatched, txn.LinkLost{At: at}, txn.Answered{Told: txn.ToldTimedOut, At: at}}, ""},
		{"never sent", []txn.Event{accepted}, "nothing was told to the terminal"},
		{"ended", []txn.Event{accepted, dispatched, txn.Ended{Outcome: outcome(txn.Void), At: at}, txn.Answered{Told: txn.ToldResult, At: at}}, "VOID"},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := memory.New()
			tx, err := txn.Replay(c.events...)
			if err != nil {
				t.Fatal(err)
			}
			var records []journal.Record
			for _, e := range c.events {
				records = append(records, journal.EncodeTxn(e, at))
			}
			if err := store.Append(t.Context(), journal.Append{Stream: "r1", Records: records, Head: journal.TxnHead(tx)}); err != nil {
				t.Fatal(err)
			}
			err = gateway.Settle(t.Context(), store, byHand("r1", true))
			if c.why != "" {
				refusedAs(t, err, c.why)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			h, err := store.Head(t.Context(), "r1")
			if err != nil || h.State != string(txn.Finished) || h.Result != "SUCCESSFUL" || h.Told == "" {
				t.Errorf("head %+v, %v", h, err)
			}
			refusedAs(t, gateway.Settle(t.Context(), store, byHand("r1", true)), "anna has said by hand")
			inShop(t, store, func(s *shop) {
				s.terminalHeard(s.pdq, "query", 0)
				s.pdq.say(terminal.Ended{ID: "r1", Outcome: outcome(txn.Declined)})
				if got := s.recorded(); !got.Disputed() {
					t.Errorf("recorded %+v", got)
				}
			})
		})
	}
	if err := gateway.Settle(t.Context(), memory.New(), byHand("r1", true)); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("an unknown id: %v", err)
	}
}

const (
	first  table.PaymentID = "0d7f2a44-6a52-4c0c-9a1e-5f5b6a3e9c01"
	second table.PaymentID = "5b1f0c36-83f5-4a56-8a83-0f8f1e2f7a02"
)

// openVisit puts a visit into a store: one payment of 22.75 was taken, the
// second is open.
func openVisit(t *testing.T, store journal.Journal, more ...table.Event) {
	t.Helper()
	at := time.Date(2026, time.October, 7, 21, 4, 0, 0, time.UTC)
	events := append([]table.Event{
		table.Opened{ID: "v1", Site: "demo", TID: tid, At: at},
		table.LockIntended{Table: "12", At: at},
		table.LockConfirmed{Amount: 4550, Currency: money.GBP, At: at},
		table.PaymentStarted{Payment: first, Asked: 2275, At: at},
		table.PaymentTaken{Payment: first, Receipt: table.Receipt{Paid: 2275, Time: at}, At: at},
		table.PaymentStarted{Payment: second, Asked: 2275, At: at},
	}, more...)
	v, err := table.Replay(events...)
	if err != nil {
		t.Fatal(err)
	}
	var records []journal.Record
	for _, e := range events {
		records = append(records, journal.EncodeTable(e, at))
	}
	if err := store.Append(t.Context(), journal.Append{Stream: "v1", Records: records, Head: journal.TableHead(v)}); err != nil {
		t.Fatal(err)
	}
}

func visitIn(t *testing.T, store journal.Journal) table.Visit {
	t.Helper()
	records, err := store.Records(t.Context(), "v1")
	if err != nil {
		t.Fatal(err)
	}
	v, err := journal.ReplayTable(records)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestResolvePayment says by hand what became of a payment at a table, with a
// gateway that runs and without one.
func TestResolvePayment(t *testing.T) {
	type resolver = func(context.Context, gateway.Resolution) error
	for _, running := range []bool{true, false} {
		inPub := func(t *testing.T, play func(t *testing.T, store journal.Store, resolve resolver, s func() *shop)) {
			synctest.Test(t, func(t *testing.T) {
				store := memory.New()
				openVisit(t, store)
				var s *shop
				open := func() *shop {
					if s == nil {
						s = newShop(t, store, t.Output())
					}
					return s
				}
				resolve := func(ctx context.Context, r gateway.Resolution) error { return gateway.Settle(ctx, store, r) }
				if running {
					resolve = open().g.Resolve
				}
				play(t, store, resolve, open)
			})
		}
		name := map[bool]string{true: "running ", false: "stopped "}[running]
		t.Run(name+"refused", func(t *testing.T) {
			inPub(t, func(t *testing.T, store journal.Store, resolve resolver, _ func() *shop) {
				r := byHand("v1", true)
				if err := resolve(t.Context(), r); err == nil || !strings.Contains(err.Error(), "which of its payments") {
					t.Errorf("without a payment: %v", err)
				}
				r.Payment = first
				refusedAs(t, resolve(t.Context(), r), "the terminal has said that payment "+string(first)+" took money")
				r.Payment = "other"
				refusedAs(t, resolve(t.Context(), r), "it has no payment other")
				r.Payment, r.Receipt.Paid = second, 2276
				if err := resolve(t.Context(), r); err == nil || !strings.Contains(err.Error(), "was of 22.75 and cannot have paid 22.76") {
					t.Errorf("with more than was asked: %v", err)
				}
				if p, open := visitIn(t, store).OpenPayment(); !open || p.ID != second {
					t.Errorf("afterwards %+v", visitIn(t, store))
				}
			})
		})
		for taken, want := range map[bool]table.PaymentState{true: table.Taken, false: table.NotTaken} {
			t.Run(name+string(want), func(t *testing.T) {
				inPub(t, func(t *testing.T, store journal.Store, resolve resolver, open func() *shop) {
					r := byHand("v1", taken)
					r.Payment = second
					if taken {
						r.Receipt = table.Receipt{Gratuity: 100, Paid: 2000}
					}
					if err := resolve(t.Context(), r); err != nil {
						t.Fatal(err)
					}
					s := open()
					synctest.Wait()
					v := visitIn(t, store)
					p := v.Payments[1]
					if p.State != want || p.By != "anna" || p.Reason != r.Reason || taken && p.Receipt.Paid != 2000 {
						t.Errorf("recorded %+v", p)
					}
					// The till is owed what was taken and its table.
					var told []table.PaymentID
					last := table.Notice("")
					for _, e := range v.Outbox {
						told, last = append(told, e.Payments...), e.Notice
					}
					owed := []table.PaymentID{first}
					if taken {
						owed = append(owed, second)
					}
					if diff := cmp.Diff(owed, told); diff != "" || v.State != table.Unlocked || last != table.TableUnlock {
						t.Errorf("owed %+v in state %s\n%s", v.Outbox, v.State, diff)
					}
					s.stands("AVAILABLE")
					refusedAs(t, s.g.Resolve(t.Context(), r), "anna has said that payment "+string(second))

					// The terminal comes with another word. Money counts.
					s.pdq.say(terminal.PaymentEnded{Visit: "v1", Payment: second, Taken: !taken, Receipt: table.Receipt{Paid: 2275}})
					p = visitIn(t, store).Payments[1]
					if p.Conflict == nil || p.State != table.Taken {
						t.Errorf("the terminal's word is recorded as %+v", p)
					}
					if !taken && (p.Conflict.By != "anna" || p.Conflict.Reason != r.Reason) {
						t.Errorf("the operator's word is kept as %+v", p.Conflict)
					}
				})
			})
		}
	}
}
