package gateway_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
)

// keyed is a till with extensions.
func (s *shop) keyed(name, version string) *till {
	return s.connect(name, version, "ext=keys,status,late")
}

// keyedSale asks for the sale of the other tests, under a key.
func (c *till) keyedSale(id int, key string) {
	c.asks(id, "sale", fmt.Sprintf(`,"currency":"GBP","amount":1250,"requestKey":%q`, key))
}

func (c *till) asksStatus(id int, key string) {
	c.asks(id, "transactionStatus", fmt.Sprintf(`,"requestKey":%q`, key))
}

// state takes the answer to asksStatus.
func (s *shop) state(c *till, id int, key string) string {
	s.t.Helper()
	c.take()
	c.asksStatus(id, key)
	got := c.take()
	if len(got) != 1 {
		s.t.Fatalf("answered with %q", got)
	}
	s.fits(c, got[0])
	_, after, _ := strings.Cut(got[0], `"state":"`)
	state, _, _ := strings.Cut(after, `"`)
	return state
}

// TestKeysAtOnce has two requests come with one key while the first is being
// recorded.
func TestKeysAtOnce(t *testing.T) {
	slow := func(n int, _ journal.Append) mishap { return mishap{wait: time.Second} }
	t.Run("the first is recorded", func(t *testing.T) {
		f := newFaulty()
		inShop(t, f, func(s *shop) {
			a, b := s.keyed("a", "v1"), s.keyed("b", "v0")
			f.set(slow, nil)
			a.keyedSale(1, "k")
			b.keyedSale(2, "k")
			b.keyedSale(3, "k")
			s.gets(a)
			s.gets(b)
			if got := s.state(a, 9, "k"); got != "pending" {
				s.t.Errorf("state %q", got)
			}
			sleep(2 * time.Second)
			s.gets(b, started) // the newest hears it
			s.gets(a)
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
			sleep(3 * time.Second)
			s.gets(a, "1 SUCCESSFUL")
			s.gets(b, finished, "2 SUCCESSFUL", "3 SUCCESSFUL")
			s.terminalHeard(s.pdq, "start", 1)
		})
	})
	t.Run("the first is refused", func(t *testing.T) {
		f := newFaulty()
		inShop(t, f, func(s *shop) {
			a, b := s.keyed("a", "v1"), s.keyed("b", "v1")
			f.set(func(n int, _ journal.Append) mishap {
				if n == f.n && s.pdq.heard("start") == 0 && !f.failedOnce {
					f.failedOnce = true
					return mishap{wait: time.Second, before: journal.ErrFull}
				}
				return mishap{}
			}, nil)
			a.keyedSale(1, "k")
			b.keyedSale(2, "k")
			s.gets(b)
			sleep(time.Second)
			s.gets(a, "1 error -32603")
			s.gets(b, started) // the key was free, and it was its turn
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Declined)})
			s.gets(b, finished, "2 DECLINED")
			s.terminalHeard(s.pdq, "start", 1)
		})
	})
	t.Run("the second has gone when its turn comes", func(t *testing.T) {
		f := newFaulty()
		inShop(t, f, func(s *shop) {
			a, b := s.keyed("a", "v1"), s.keyed("b", "v1")
			f.set(func(int, journal.Append) mishap { return mishap{wait: time.Second, before: journal.ErrFull} }, nil)
			a.keyedSale(1, "k")
			b.keyedSale(2, "k")
			b.sess.Ended(nil)
			f.set(nil, nil)
			sleep(time.Second)
			s.gets(a, "1 error -32603")
			s.terminalHeard(s.pdq, "start", 0)
			a.keyedSale(3, "k") // nobody holds the key
			s.gets(a, started)
		})
	})
}

// TestKeysShareTheEnd has each way to end be told to all that wait, and to who
// comes later.
func TestKeysShareTheEnd(t *testing.T) {
	ends := []struct {
		name         string
		prepare, end func(s *shop)
		told, later  string
		state        string
	}{
		{
			"busy by its own word", func(s *shop) { s.pdq.start = slowly(terminal.ErrBusy) },
			func(*shop) { sleep(time.Second) }, "error -32071", "error -32071", "notRun",
		},
		{
			"refused", func(s *shop) { s.pdq.start = slowly(&terminal.RefusedError{Reason: "no paper"}) },
			func(*shop) { sleep(time.Second) }, "error -32072", "error -32072", "notRun",
		},
		{
			"not delivered", func(s *shop) { s.pdq.start = slowly(terminal.ErrNotDelivered) },
			func(*shop) { sleep(time.Second) }, "error -32074", "error -32074", "notRun",
		},
		{
			"declined", nil,
			func(s *shop) { s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Declined)}) },
			"DECLINED", "DECLINED", "finished",
		},
		{
			"never ran after all", func(s *shop) { s.pdq.query = never },
			func(s *shop) { s.pdq.say(terminal.WentAway{}, terminal.CameBack{}) }, "UNSUCCESSFUL", "UNSUCCESSFUL", "notRun",
		},
		{
			"not known in time", func(s *shop) { s.pdq.query = going },
			func(*shop) { sleep(200 * time.Second) }, "TIMED_OUT", "TIMED_OUT", "unresolved",
		},
	}
	for _, tt := range ends {
		t.Run(tt.name, func(t *testing.T) {
			inShop(t, memory.New(), func(s *shop) {
				if tt.prepare != nil {
					tt.prepare(s)
				}
				a, b := s.keyed("a", "v1"), s.keyed("b", "v0")
				a.keyedSale(1, "k")
				b.keyedSale(2, "k")
				tt.end(s)
				for c, want := range map[*till]string{a: "1 " + tt.told, b: "2 " + tt.told} {
					got := c.take()
					if len(got) == 0 || word(got[len(got)-1]) != want {
						s.t.Errorf("%s was told %q, want %s", c.name, got, want)
					}
				}
				if got := s.state(a, 3, "k"); got != tt.state {
					s.t.Errorf("state %q, want %q", got, tt.state)
				}
				a.keyedSale(4, "k")
				s.gets(a, "4 "+tt.later)
				s.restart()
				c := s.keyed("c", "v1")
				c.keyedSale(5, "k")
				s.gets(c, "5 "+tt.later)
				if got := s.state(c, 6, "k"); got != tt.state {
					s.t.Errorf("state after a restart %q, want %q", got, tt.state)
				}
				s.terminalHeard(s.pdq, "start", 1)
			})
		})
	}
}

// slowly is a start that takes its time to fail.
func slowly(err error) func(context.Context, terminal.Request) error {
	return func(context.Context, terminal.Request) error {
		time.Sleep(500 * time.Millisecond) // fake time: a synctest bubble
		return err
	}
}

// restart starts another gateway on what is on disk.
func (s *shop) restart() {
	s.t.Helper()
	s.g.Close()
	for _, c := range s.tills {
		c.sess.Ended(nil)
	}
	s.open(io.Discard, gateway.Limits{})
}

// TestKeysWhenNothingNewIsTaken: a request that joins is answered all the same.
func TestKeysWhenNothingNewIsTaken(t *testing.T) {
	f := newFaulty()
	inShop(t, f, func(s *shop) {
		s.g.Close()
		s.open(io.Discard, gateway.Limits{InFlight: 2})
		a := s.keyed("a", "v1")
		a.keyedSale(1, "done")
		s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
		a.keyedSale(2, "runs")
		a.take()

		a.asks(3, "sale", `,"currency":"GBP","amount":1250,"requestKey":"new"`)
		s.gets(a, "3 error -32071")
		b := s.keyed("b", "v1")
		b.keyedSale(1, "runs")
		b.keyedSale(2, "runs") // its limit is reached
		b.keyedSale(3, "new")
		s.gets(b, "3 error -32603")
		b.keyedSale(3, "done")
		s.gets(b, "3 SUCCESSFUL")
		b.keyedSale(4, "runs")
		s.gets(b)
		s.g.Unplug("demo", tid)
		c := s.keyed("c", "v1")
		c.keyedSale(1, "done")
		s.gets(c, "1 SUCCESSFUL")
		c.keyedSale(2, "runs")
		s.gets(c)
		c.keyedSale(3, "new")
		s.gets(c, "3 error -32070")
		if got := s.state(c, 4, "new"); got != "notFound" {
			s.t.Errorf("a refused request is %s", got)
		}
		s.plug()
		go func() { _ = s.g.Drain(context.Background()) }()
		synctest.Wait()
		c.keyedSale(5, "done")
		s.gets(c, "5 SUCCESSFUL")
		// More than twice the limit waits: the line is given up, nothing is denied.
		for id := 6; id < 10 && c.shut == ""; id++ {
			c.keyedSale(id, "runs")
		}
		if !strings.HasPrefix(c.shut, "1008") {
			s.t.Errorf("closed with %q", c.shut)
		}
		for _, m := range c.take() {
			s.t.Errorf("told %s", m)
		}
	})
}

// TestKeysInAHurry: a try that comes faster than messages may is told what
// became of the first one, never that nothing ran.
func TestKeysInAHurry(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		s.g.Close()
		s.open(io.Discard, gateway.Limits{MessagesPerSecond: 1, MessageBurst: 3})
		a := s.keyed("a", "v1")
		a.keyedSale(1, "runs")
		a.take()
		b := s.keyed("b", "v1")
		for id := 1; id < 4; id++ {
			b.asks(id, "terminalDetails", "")
		}
		b.take()
		b.asks(4, "terminalDetails", "")
		b.keyedSale(5, "new")
		b.sale(6)
		s.gets(b, "4 error -32603", "5 error -32603", "6 error -32603")
		b.keyedSale(7, "runs")
		s.gets(b)
		s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
		s.gets(b, finished, "7 SUCCESSFUL")
		b.keyedSale(8, "runs")
		s.gets(b, "8 SUCCESSFUL")
	})
}

// TestKeysUncertain has nobody know whether a request came to disk. Its key may
// be known or not; nothing runs under it either way.
func TestKeysUncertain(t *testing.T) {
	f := newFaulty()
	inShop(t, f, func(s *shop) {
		a := s.keyed("a", "v1")
		f.keysWork = true
		f.set(func(int, journal.Append) mishap { return mishap{after: journal.ErrUncertain} }, errLost)
		a.keyedSale(1, "k")
		s.gets(a, "1 error -32603")
		f.set(nil, nil)
		a.keyedSale(2, "k") // on disk, open, and nobody's
		s.gets(a, "2 error -32603")
		sleep(2 * time.Minute) // its end is recorded meanwhile
		a.keyedSale(3, "k")
		s.gets(a, "3 error -32074")
		if got := s.state(a, 4, "k"); got != "notRun" {
			s.t.Errorf("state %q", got)
		}
		s.terminalHeard(s.pdq, "start", 0)
	})
}

// TestKeysUnreadable: what a key stands for cannot be read, so no error may be
// told. It may have taken money.
func TestKeysUnreadable(t *testing.T) {
	f := newFaulty()
	inShop(t, f, func(s *shop) {
		a := s.keyed("a", "v1")
		a.keyedSale(1, "k")
		s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
		a.take()
		f.set(nil, errLost)
		b := s.keyed("b", "v1")
		a.keyedSale(2, "k")
		b.keyedSale(2, "k")
		a.asksStatus(3, "k")
		s.gets(a, "3 error -32603") // about the question
		sleep(30 * time.Second)
		s.gets(a)
		s.gets(b)
		f.set(nil, nil)
		sleep(time.Second)
		s.gets(a, "2 SUCCESSFUL")
		s.gets(b, "2 SUCCESSFUL")

		f.set(nil, errLost)
		a.keyedSale(4, "k")
		a.asks(5, "reportXBalance", `,"requestKey":"r"`)
		b.keyedSale(6, "other")
		b.sess.Ended(nil)
		sleep(120 * time.Second)
		s.gets(a, "5 TIMED_OUT")
		sleep(80 * time.Second)
		s.gets(a, "4 TIMED_OUT")
		f.set(nil, nil)
		sleep(time.Second)
		s.terminalHeard(s.pdq, "start", 1)
		a.keyedSale(7, "other") // nobody holds its key
		s.gets(a, started)
	})
}

// TestKeysOfReports: a report under a key is made once.
func TestKeysOfReports(t *testing.T) {
	made := func(s *shop) {
		rep, _ := report.New("GBP").Make(report.ZBalance, time.Now())
		s.pdq.say(terminal.Reported{ID: s.pdq.id(), Report: rep})
	}
	ask := func(c *till, id int) { c.asks(id, "reportZBalance", `,"requestKey":"k"`) }
	tests := []struct {
		name  string
		end   func(s *shop)
		query func(context.Context, txn.RequestID) (terminal.Answer, error)
		told  string
		state string
	}{
		{"made", made, nil, "COMPLETE", "finished"},
		{"late", func(s *shop) { sleep(120 * time.Second) }, going, "TIMED_OUT", "unresolved"},
		{"the terminal cannot tell", func(s *shop) { s.pdq.say(terminal.WentAway{}, terminal.CameBack{}) }, nil, "TIMED_OUT", "unresolved"},
		{"never made", func(s *shop) { s.pdq.say(terminal.WentAway{}, terminal.CameBack{}) }, never, "error -32074", "notRun"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inShop(t, memory.New(), func(s *shop) {
				s.pdq.query = tt.query
				a, b := s.keyed("a", "v1"), s.keyed("b", "v0")
				ask(a, 1)
				ask(b, 2)
				if got := s.state(b, 3, "k"); got != "pending" {
					s.t.Errorf("state %q", got)
				}
				tt.end(s)
				s.gets(a, "1 "+tt.told)
				s.gets(b, "2 "+tt.told)
				ask(a, 4)
				s.gets(a, "4 "+tt.told)
				if got := s.state(a, 5, "k"); got != tt.state {
					s.t.Errorf("state %q, want %q", got, tt.state)
				}
				a.asks(6, "reportXBalance", `,"requestKey":"k"`)
				s.gets(a, "6 error -32602")
				if tt.name == "late" {
					made(s)
				}
				s.restart()
				c := s.keyed("c", "v1")
				ask(c, 7)
				if tt.name == "late" {
					s.gets(c, "7 COMPLETE")
				} else {
					s.gets(c, "7 "+tt.told)
				}
				s.terminalHeard(s.pdq, "start", 1)
			})
		})
	}
}

// TestKeysBelongToASite has two sites use the same key, and ask about each
// other's requests.
func TestKeysBelongToASite(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		site(s.t, s.store, "elsewhere", "key of elsewhere")
		if err := s.g.Reload(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		there := newFake()
		if err := s.g.Plug("elsewhere", tid, there.connect); err != nil {
			s.t.Fatal(err)
		}
		q := pacQuery("key of elsewhere", "v1")
		q.Set("extensions", "keys,status,late")
		ticket, err := s.g.Admit(gateway.Knock{Face: "pac", Query: q})
		if err != nil {
			s.t.Fatal(err)
		}
		z := &till{name: "z", version: "v1", methods: map[int]string{}}
		if z.sess, err = ticket.Open(z); err != nil {
			s.t.Fatal(err)
		}
		a := s.keyed("a", "v1")
		a.keyedSale(1, "k")
		z.keyedSale(1, "k")
		s.gets(a, started)
		s.gets(z, started)
		s.terminalHeard(s.pdq, "start", 1)
		s.terminalHeard(there, "start", 1)
		s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
		there.say(terminal.Ended{ID: there.id(), Outcome: outcome(txn.Declined)})
		s.gets(a, finished, "1 SUCCESSFUL")
		s.gets(z, finished, "1 DECLINED")
		z.asks(2, "transactionStatus", fmt.Sprintf(`,"requestId":%q`, s.pdq.id()))
		if got := z.take(); len(got) != 1 || !strings.Contains(got[0], `{"state":"notFound"}`) {
			s.t.Errorf("another site's request: %q", got)
		}
		z.asks(3, "transactionStatus", fmt.Sprintf(`,"requestId":%q`, there.id()))
		if got := z.take(); len(got) != 1 || !strings.Contains(got[0], `"state":"finished"`) {
			s.t.Errorf("its own request: %q", got)
		}
	})
}

// TestKeysThatAreCardNumbers: a till that takes a card number for its key is
// served, and the number is not stored.
func TestKeysThatAreCardNumbers(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		const pan = "4111111111111111"
		a := s.keyed("a", "v1")
		a.keyedSale(1, pan)
		s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Declined)})
		s.gets(a, started, finished, "1 DECLINED")
		a.keyedSale(2, pan)
		s.gets(a, "2 DECLINED")
		if got := s.state(a, 3, pan); got != "finished" {
			s.t.Errorf("state %q", got)
		}
		a.keyedSale(4, "4111111111111112") // no card number
		s.gets(a, started)
		for _, h := range s.heads(journal.TransactionStream) {
			if strings.Contains(h.RequestKey, pan) || h.RequestKey == "" {
				s.t.Errorf("the key is kept as %q", h.RequestKey)
			}
		}
	})
}

// TestKeyedCrashes is TestCrashes for a till that tries again under its key, as
// soon as the gateway is back, and once more later.
func TestKeyedCrashes(t *testing.T) {
	for _, fl := range flows() {
		if fl.name == "two sales" {
			continue // one key, one sale
		}
		fl.steps = append([]string{strings.Replace(fl.steps[0], `"TID"`, `"TID","requestKey":"k"`, 1)}, fl.steps[1:]...)
		t.Run(fl.name, func(t *testing.T) {
			everyCrash(t, func(t *testing.T, c crash) int { return crashKeyed(t, fl, c) })
		})
	}
}

func crashKeyed(t *testing.T, fl flow, at crash) int {
	f := newFaulty()
	w := newWorld(t, f, sim.Options{Seed: 7, Speed: 1})
	a := w.connect("a", "v1", "ext=keys")
	w.machine(fl.tid).Script(sim.Script{Result: txn.Declined, CVM: txn.CVMPIN})
	a.says("%s", strings.ReplaceAll(request(1, "sale", payment), "TID", fl.tid))
	sleep(time.Minute)
	a.take()
	before := f.appends()
	at.strike(f)
	for _, step := range fl.steps {
		if d, err := time.ParseDuration(step); err == nil {
			sleep(d)
			continue
		}
		a.says("%s", strings.ReplaceAll(step, "TID", fl.tid))
	}
	appends := f.appends() - before
	f.set(nil, nil)
	w.g.Close()
	a.sess.Ended(nil)
	f.revive()
	if at.power {
		if err := w.machine(fl.tid).PowerCycle(); err != nil {
			t.Fatal(err)
		}
	}
	w.start(gateway.Limits{})
	again := strings.ReplaceAll(fl.steps[0], "TID", fl.tid)
	b, c := w.connect("b", "v1", "ext=keys"), w.connect("c", "v0", "ext=keys")
	b.says("%s", again)
	c.says("%s", strings.Replace(again, `"tid"`, `"tpi"`, 1))
	sleep(10 * time.Minute)
	ends := map[string]string{}
	for _, till := range []*till{b, c} {
		for _, m := range till.take() {
			w.fits(till, m)
			if end, ok := strings.CutPrefix(word(m), "1 "); ok && end != "signatureVerificationRequest" {
				ends[till.name] = end
			}
		}
	}
	later := w.connect("later", "v1", "ext=keys")
	later.says("%s", again)
	end := word(later.take()[0])[2:]
	busy := "error -32071" // the machine was still at something else
	for name, got := range ends {
		if got != end && got != string(txn.TimedOut) && got != busy && end != "" {
			t.Errorf("%s was told %s; now it is %s", name, got, end)
		}
	}
	if len(ends) != 2 {
		t.Errorf("told %v", ends)
	}
	sleep(10 * time.Minute)
	w.whole()
	if fl.name == "report" {
		heads, err := f.List(t.Context(), journal.Query{Kind: journal.ReportStream})
		if err != nil || len(heads) != 1 {
			t.Errorf("%d reports, %v", len(heads), err)
		}
		return appends
	}
	if all := transactions(t, f, "demo"); len(all) != 2 {
		t.Errorf("%d transactions instead of two", len(all))
	} else if h, err := f.ByKey(t.Context(), "demo", "k"); err != nil || h.Stream != all[1].ID {
		t.Errorf("the key is that of %q, %v", h.Stream, err)
	}
	charges := 0
	for _, ch := range w.park.Charges() {
		if !ch.Reversed {
			charges++
		}
	}
	if charges > 1 {
		t.Errorf("%d charges", charges)
	}
	return appends
}
