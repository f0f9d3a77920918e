package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// A child plays with a machine, and with the gateway that it hangs on.
type child struct {
	*hall
	p *Park

	requests map[txn.RequestID]bool // that were accepted for certain, or perhaps
	told     map[txn.RequestID]txn.Outcome
	pin      string                 // typed so far
	right    map[txn.RequestID]bool // in which a right one was entered
	dark     bool
	cut      bool
}

// kinds of things that a child does, and how often.
func (c *child) kinds() []func(n int) {
	var out []func(int)
	for _, k := range []struct {
		often int
		do    func(int)
	}{
		{50, c.useful},
		{3, c.card},
		{3, c.enter},
		{15, c.takeOut},
		{40, c.wait},
		{5, c.request},
		{4, c.gateway},
		{3, c.anyKey},
		{2, c.paper},
		{1, c.power},
		{1, c.cable},
	} {
		out = append(out, slices.Repeat([]func(int){k.do}, k.often)...)
	}
	return out
}

// play does so many things. What makes it hard to go on is soon put right.
func (c *child) play(seed uint64, steps int) {
	dice := rand.New(rand.NewPCG(seed, 1))
	kinds := c.kinds()
	for range steps {
		kinds[dice.IntN(len(kinds))](dice.IntN(1 << 20))
		switch {
		case c.dark && dice.IntN(5) == 0:
			c.power(1)
		case c.cut && dice.IntN(10) == 0:
			c.cable(0)
		case dice.IntN(3) > 0: // else it is faster than the machine
			synctest.Wait()
		}
	}
}

func (c *child) press(k Key) {
	asked := c.m.Face().Screen.Asks == AsksPIN
	err := c.m.Press(k)
	switch {
	case !asked || err == nil && k == KeyClear:
		c.pin = ""
	case err == nil && k == KeyEnter:
		if c.pin == "1234" {
			c.m.mu.Lock()
			if now := c.m.mem.Current; now != nil {
				c.right[now.ID] = true
			}
			c.m.mu.Unlock()
		}
		c.pin = ""
	case err == nil:
		c.pin += string(k)
	}
}

// useful is mostly what goes on.
func (c *child) useful(n int) {
	s := c.m.Face().Screen
	keys := s.Keys
	if n%8 > 0 {
		switch s.Asks {
		case AsksCard:
			c.card(n)
			return
		case AsksPIN:
			c.enter(n)
			return
		case AsksPAN:
			for _, d := range goodNumber {
				c.press(Key(d))
			}
			c.press(KeyEnter)
			return
		default:
			keys = slices.DeleteFunc(keys, func(u KeyUse) bool { return u.Key == KeyCancel || u.Key == KeyClear })
		}
	}
	if len(keys) > 0 {
		c.press(keys[n%len(keys)].Key)
	}
}

func (c *child) anyKey(n int) { c.press(Keys()[n%len(Keys())]) }

// enter is a PIN, mostly the right one.
func (c *child) enter(n int) {
	pin := "1234"
	if n%4 == 0 {
		pin = "4321"
	}
	if c.m.Face().Screen.Asks == AsksPIN {
		c.press(KeyClear)
		for _, d := range pin {
			c.press(Key(d))
		}
		c.press(KeyEnter)
	}
}

func (c *child) card(n int) {
	cards := TestCards()
	hows := []How{Insert, Insert, Insert, Tap, Swipe, InsertWrongly}
	_ = c.m.Present(cards[n%len(cards)].Name, hows[n/len(cards)%len(hows)])
}

// takeOut is mostly when it is asked for.
func (c *child) takeOut(n int) {
	if n%10 == 0 || c.m.Face().Screen.Asks == AsksTakeOut {
		_ = c.m.TakeOutCard()
	}
}

func (c *child) wait(n int) { time.Sleep(time.Duration(1+n%100) * 97 * time.Millisecond) }

func (c *child) power(n int) {
	var err error
	switch {
	case n%4 == 0:
		err = c.m.PowerCycle()
		c.dark, c.cut = false, false
	case c.dark:
		err = c.m.SwitchOn()
		c.dark = false
	default:
		c.m.SwitchOff()
		c.dark = true
	}
	if err != nil {
		c.t.Error(err)
	}
}

func (c *child) cable(int) {
	if c.cut {
		c.m.RestoreLink()
	} else {
		c.m.CutLink()
	}
	c.cut = !c.cut
}

func (c *child) paper(n int) {
	switch n % 4 {
	case 0:
		c.m.EmptyRoll()
	case 1, 2:
		_ = c.m.NewRoll()
	default:
		_ = c.m.TearOff()
	}
}

func (c *child) request(n int) {
	types := []txn.Type{txn.Sale, txn.Sale, txn.Sale, txn.Sale, txn.Refund, txn.PreAuth, txn.AccountVerification}
	r := terminal.Request{
		ID: txn.RequestID(fmt.Sprint("r", len(c.requests))),
		Txn: txn.Request{
			Type: types[n%len(types)], Currency: money.GBP, Amount: money.Minor(1 + n*31%12_000),
			CardholderNotPresent: n%13 == 0,
		},
	}
	if r.Txn.Type == txn.Sale && n%5 == 0 && !r.Txn.CardholderNotPresent {
		r.Txn.Cashback = 500
	}
	if n%11 == 0 {
		r = terminal.Request{ID: r.ID, Report: report.Types()[n%len(report.Types())]}
	}
	if err := c.link.Start(ctx, r); err == nil {
		c.requests[r.ID] = !r.IsReport()
	}
}

// gateway is what the other end does besides.
func (c *child) gateway(n int) {
	id := txn.RequestID(fmt.Sprint("r", len(c.requests)-1))
	switch n % 6 {
	case 0:
		_ = c.link.Cancel(ctx, id)
	case 1, 2, 3:
		_ = c.link.AnswerSignature(ctx, id, n%6 != 1)
	case 4:
		_, _ = c.link.Query(ctx, id)
	default:
		c.connect()
	}
}

// heed keeps what is told: of each request always the same.
func (c *child) heed(e terminal.Event) bool {
	c.mu.Lock()
	link := c.hall.link
	defer c.mu.Unlock()
	switch e := e.(type) {
	case terminal.Ended:
		if old, ok := c.told[e.ID]; ok && cmp.Diff(old, e.Outcome) != "" {
			c.t.Errorf("%s was %s and is told as %s", e.ID, old.Result, e.Outcome.Result)
		}
		c.told[e.ID] = e.Outcome
	case terminal.Reported:
		c.after = func(terminal.Event) { _ = link.Acknowledge(ctx, e.ID) }
	default:
	}
	return false
}

// Whatever hands do at a machine, and whatever becomes of its card, paper, cable
// and power: it never hangs; each request that it took ends once, the same
// however often it is told; what was charged is what was told; and nothing is
// charged without the PIN that is needed.
func TestRandomHands(t *testing.T) {
	var games, ended, pins, charges, payments int
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		tid := txn.TID("VCMDEMODI" + rapid.SampledFrom([]string{"P0", "P2"}).Draw(rt, "machine"))
		speed := rapid.SampledFrom([]float64{Max, 1, 20}).Draw(rt, "speed")
		steps := rapid.IntRange(1000, 4000).Draw(rt, "steps")
		synctest.Test(t, func(t *testing.T) {
			p := open(t, Options{Seed: seed, Speed: speed})
			c := &child{
				hall: newHall(t, p, tid), p: p,
				requests: map[txn.RequestID]bool{}, told: map[txn.RequestID]txn.Outcome{}, right: map[txn.RequestID]bool{},
			}
			c.first, c.reset = c.heed, true
			c.m.Touch(true)
			c.play(seed, steps)

			// Everybody leaves, and all is put right.
			if err := c.m.SwitchOn(); err != nil {
				t.Error(err)
			}
			c.m.RestoreLink()
			time.Sleep(5 * time.Hour)
			synctest.Wait()
			if f := c.m.Face(); f.Busy != Idle || f.Screen.Title != "READY" || !f.Link {
				t.Errorf("not ready: %+v", f)
			}
			c.adds()
			games, ended, pins, charges = games+1, ended+len(c.told), pins+len(c.right), charges+len(p.Charges())
			for _, v := range c.visits {
				payments += len(v.Payments)
			}
			if t.Failed() {
				t.Logf("seed %d, %s, speed %v, %d steps", seed, tid, speed, steps)
			}
		})
	})
	// A child that achieves nothing proves nothing.
	t.Logf("%d games: %d ended, %d right PINs, %d charges, %d payments at tables", games, ended, pins, charges, payments)
	if min(ended/4, pins, charges/2, payments*3) < games {
		t.Errorf("too little came of %d games", games)
	}
}

// adds holds what was told against the acquirer.
func (c *child) adds() {
	c.ok(c.p)
	bank := map[txn.TransactionID]money.Minor{}
	for _, e := range c.p.Charges() {
		if !e.Reversed && e.Payment == "" {
			bank[e.TransactionID] = e.Amount
		}
	}
	till := map[txn.TransactionID]money.Minor{}
	for id, o := range c.told {
		if o.Result != txn.Successful {
			continue
		}
		if o.Type != txn.AccountVerification {
			till[o.TransactionID] = o.Total()
		}
		c.verified(id, o.Method, o.CVM, o.Total())
	}
	for _, v := range c.visits {
		for _, pay := range v.Payments {
			if r := pay.Receipt; r.AuthCode != "" {
				c.verified(txn.RequestID(pay.ID), txn.PaymentMethod(r.Method), txn.CVM(r.CVM), r.Paid+r.Gratuity)
			}
		}
	}
	if diff := cmp.Diff(till, bank); diff != "" {
		c.t.Errorf("told (-) and charged (+): %s", diff)
	}
	for id, transaction := range c.requests {
		if _, ok := c.told[id]; transaction && !ok {
			c.t.Errorf("%s was taken and never ended", id)
		}
	}
}

// verified checks that somebody was.
func (c *child) verified(id txn.RequestID, m txn.PaymentMethod, v txn.CVM, sum money.Minor) {
	ok := false
	switch v {
	case txn.CVMPIN:
		ok = m == txn.MethodChip && c.right[id]
	case txn.CVMSignature:
		ok = m != txn.MethodContactless
	case txn.CVMDevice:
		ok = m == txn.MethodContactless
	case txn.CVMNone:
		ok = m == txn.MethodContactless && sum <= contactlessLimit || m == txn.MethodKeyed
	default:
	}
	if !ok {
		c.t.Errorf("%s: %d charged by %s, verified by %s", id, sum, m, v)
	}
}
