package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tillwire/tillwire/epos"
	"github.com/tillwire/tillwire/money"
)

// A crowd is the tills of a run, and what they have written down.
type crowd struct {
	pac    string // the URL
	amount atomic.Int64
	ctx    context.Context // ends when they go home, whatever is open

	mu      sync.Mutex
	closing bool // nothing new is begun
	tickets []*ticket
}

func (c *crowd) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
}

func (c *crowd) closed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing || c.ctx.Err() != nil
}

// written returns what the tills have written down.
func (c *crowd) written() []ticket {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]ticket, 0, len(c.tickets))
	for _, k := range c.tickets {
		all = append(all, *k)
	}
	return all
}

// A till works at the terminals it is given until its crowd closes, by nothing
// but the published contract. In doubt it asks for the terminal's last
// transaction, which needs a network on which nothing that was given up arrives
// after all; one that shares its terminals never tries again, for the last
// transaction may be another's.
type till struct {
	*crowd
	name   string
	tids   []string
	shares bool
	rng    *rand.Rand
	client *epos.Client
	held   map[string]string // the TransactionID of the last Payment of each terminal
}

// Pauses are short: the day of a shop passes in seconds.
const (
	redialPause = 30 * time.Millisecond
	askPause    = 60 * time.Millisecond
	// giveUp is how long a till asks for what it does not know. A till that
	// crashes are done to for longer writes down that it does not know.
	giveUp = 20 * time.Second
)

// pause waits, and reports false when the crowd goes home.
func (t *till) pause(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-t.ctx.Done():
		return false
	}
}

// work is a day at the till.
func (t *till) work() {
	defer t.hangUp()
	for !t.closed() {
		tid := t.tids[t.rng.IntN(len(t.tids))]
		if t.shares && t.rng.IntN(40) == 0 {
			tid = mute
		}
		switch n := t.rng.IntN(20); {
		case n == 0:
			t.report(tid)
		case n == 1:
			t.look(tid)
		default:
			t.serve(tid)
		}
		if t.shares || t.rng.IntN(15) == 0 {
			t.hangUp()
		}
		if !t.pause(time.Duration(t.rng.IntN(20)) * time.Millisecond) {
			return
		}
	}
}

func (t *till) hangUp() {
	if t.client != nil {
		t.client.Close() //nolint:errcheck // always nil
		t.client = nil
	}
}

// line returns a connection that was alive a moment ago, or nil when the crowd
// goes home.
func (t *till) line() *epos.Client {
	for {
		if t.client != nil && t.client.Err() == nil {
			return t.client
		}
		ctx, cancel := context.WithTimeout(t.ctx, 5*time.Second)
		c, err := epos.Dial(ctx, epos.Options{URL: t.pac, Handler: epos.Handler{Signature: cashier}})
		cancel()
		if err == nil {
			t.client = c
			return c
		}
		if !t.pause(redialPause) {
			return nil
		}
	}
}

// cashier looks at signatures: quick, slow, or elsewhere. It is called while a
// transaction runs and keeps off the till's own dice.
func cashier(ctx context.Context, _ epos.SignatureRequest) (bool, error) {
	switch rand.IntN(8) {
	case 0:
		return false, nil
	case 1:
		return false, errors.New("nobody looked")
	case 2:
		select {
		case <-time.After(300 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return true, nil
}

func (t *till) report(tid string) {
	c := t.line()
	if c == nil {
		return
	}
	ctx, cancel := context.WithTimeout(t.ctx, 5*time.Second)
	defer cancel()
	// What is in it, or that it failed, is of no consequence here.
	if t.rng.IntN(2) == 0 {
		c.ReportXBalance(ctx, epos.TID(tid)) //nolint:errcheck // see above
		return
	}
	c.ReportEndOfDay(ctx, epos.TID(tid)) //nolint:errcheck // see above
}

// look asks for what a till shows in idle moments.
func (t *till) look(tid string) {
	c := t.line()
	if c == nil {
		return
	}
	ctx, cancel := context.WithTimeout(t.ctx, 5*time.Second)
	defer cancel()
	c.ConnectedTerminals(ctx, epos.Filter{}) //nolint:errcheck // an error is as good as a list
	c.Duplicate(ctx, epos.TID(tid))          //nolint:errcheck // likewise
}

// serve has one customer pay or be paid back.
func (t *till) serve(tid string) {
	k := &ticket{Till: t.name, TID: tid, Type: "SALE", Amount: t.amount.Add(1)}
	if t.rng.IntN(6) == 0 {
		k.Type = "REFUND"
	}
	t.mu.Lock()
	t.tickets = append(t.tickets, k)
	t.mu.Unlock()
	for range 1 + t.rng.IntN(4) {
		c := t.line()
		if c == nil {
			return
		}
		said := t.attempt(c, k)
		t.mu.Lock()
		k.Tries = append(k.Tries, said)
		t.mu.Unlock()
		if said.TransactionID != "" {
			t.held[tid] = said.TransactionID
		}
		if said.Word == taken || said.Word == unknown || t.closed() {
			return
		}
		if !t.pause(time.Duration(t.rng.IntN(30)) * time.Millisecond) {
			return
		}
	}
}

// attempt asks for the transaction once and finds out what became of it.
func (t *till) attempt(c *epos.Client, k *ticket) try {
	amount := money.Amount{Minor: money.Minor(k.Amount), Currency: money.GBP}
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	var cancelling sync.WaitGroup
	defer cancelling.Wait()
	if t.rng.IntN(6) == 0 {
		wait := time.Duration(t.rng.IntN(150)) * time.Millisecond
		cancelling.Go(func() {
			select {
			case <-time.After(wait):
				c.Cancel(ctx, epos.TID(k.TID)) //nolint:errcheck // a wish
			case <-ctx.Done():
			}
		})
	}
	var p epos.Payment
	var err error
	if k.Type == "REFUND" {
		p, err = c.Refund(ctx, epos.Refund{TID: epos.TID(k.TID), Amount: amount})
	} else {
		p, err = c.Sale(ctx, epos.Sale{TID: epos.TID(k.TID), Amount: amount})
	}
	cancel()
	_, isLost := errors.AsType[*epos.OutcomeUnknownError](err)
	switch {
	case isLost:
	case err != nil: // an *epos.Error, or nothing was sent
		said := try{Word: refused}
		if e, ok := errors.AsType[*epos.Error](err); ok {
			said.Code = e.Code
		}
		return said
	case p.MoneyTaken() != epos.TakenUnknown:
		return told(p)
	}
	found := t.findOut(k)
	if err == nil { // TIMED_OUT: what was told first is judged, too
		found.Asked = found.Word != unknown
		if !found.Asked {
			found.Result = string(p.Result)
		}
	}
	return found
}

func told(p epos.Payment) try {
	w := notTaken
	if p.MoneyTaken() == epos.TakenYes {
		w = taken
	}
	return try{Word: w, Result: string(p.Result), TransactionID: p.TransactionID}
}

// findOut does what package epos says about outcomes that are not known.
func (t *till) findOut(k *ticket) try {
	doubt := try{Word: unknown, Asked: true}
	for since := time.Now(); time.Since(since) < giveUp; {
		if !t.pause(askPause) {
			return doubt
		}
		c := t.line()
		if c == nil {
			return doubt
		}
		ctx, cancel := context.WithTimeout(t.ctx, 5*time.Second)
		d, err := c.TerminalDetails(ctx, epos.TID(k.TID))
		var p epos.Payment
		if err == nil && d.Status == epos.Available {
			p, err = c.Duplicate(ctx, epos.TID(k.TID))
		}
		cancel()
		switch {
		case errors.Is(err, epos.ErrRequestNotSupported) && !t.shares && t.held[k.TID] == "":
			return try{Word: notRun, Asked: true} // the terminal has never done anything
		case err != nil || d.Status != epos.Available:
		case p.TransactionID != "" && p.TransactionID == t.held[k.TID]:
			return try{Word: notRun, Asked: true, TransactionID: p.TransactionID}
		case t.shares && int64(p.AmountBase) != k.Amount:
			return doubt // another till's
		case p.MoneyTaken() == epos.TakenUnknown:
			if tellsNothing(k.TID) {
				return doubt
			}
		default:
			said := told(p)
			said.Asked = true
			return said
		}
	}
	return doubt
}
