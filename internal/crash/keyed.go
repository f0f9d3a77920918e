package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/tillwire/tillwire/epos"
	"github.com/tillwire/tillwire/money"
)

// A keyedConfig says how a till in a process of its own is run.
type keyedConfig struct {
	url  string
	book string   // the file of its notebook
	tids []string // the terminals it works at
	base int64    // its amounts begin after this one
	seed uint64
	rest bool // it has no connection: it asks over REST, and comes back
}

// A keyedTill is a till in a process of its own. It makes the key of each
// request first and writes it down, asks as often as it takes, and drops lines
// whenever it likes. After a restart it first finishes what it finds. Some of its
// lines are those of a stream, which it leaves open when it is killed.
type keyedTill struct {
	keyedConfig
	ctx     context.Context // ends its day whatever is open
	rng     *rand.Rand
	notes   *diary[line]
	open    []pending // what it does not know the end of
	amount  int64
	closing atomic.Bool // nothing new is begun, and nobody disturbs any more
	client  desk
}

// A desk is where a till asks: over a connection, or without.
type desk interface {
	Sale(context.Context, epos.Sale, ...epos.CallOption) (epos.Payment, error)
	Refund(context.Context, epos.Refund, ...epos.CallOption) (epos.Payment, error)
	Cancel(context.Context, epos.TID) error
	ReportXBalance(context.Context, epos.TID, ...epos.CallOption) (epos.Report, error)
	Close() error
}

// A pending is a request of which a till does not know the end.
type pending struct {
	wish
	key     string
	doubted bool   // TIMED_OUT was told
	at      string // over REST: where it is asked about, once that is known
}

// keepTill is such a till. It works until standard input ends, and returns once
// it knows what became of everything.
func keepTill(ctx context.Context, c keyedConfig, in io.Reader, out io.Writer) (err error) {
	t := &keyedTill{keyedConfig: c, ctx: ctx, rng: rand.New(rand.NewPCG(c.seed, uint64(c.base))), amount: c.base}
	var lines []line
	if t.notes, lines, err = openDiary[line](c.book); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.notes.close()) }()
	t.remember(lines)
	go func() {
		io.Copy(io.Discard, in) //nolint:errcheck // its end is what counts
		t.closing.Store(true)
	}()
	if _, err := io.WriteString(out, "ready\n"); err != nil {
		return err
	}
	defer t.hangUp()
	for !t.closing.Load() {
		if err := t.settle(); err != nil {
			return err
		}
		if err := t.serve(); err != nil {
			return err
		}
		switch t.rng.IntN(20) {
		case 0:
			t.report()
		case 1, 2, 3, 4:
			t.hangUp()
		}
		t.pause(time.Duration(t.rng.IntN(20)) * time.Millisecond)
	}
	for len(t.open) > 0 && ctx.Err() == nil {
		if err := t.settle(); err != nil {
			return err
		}
		t.pause(askPause)
	}
	return ctx.Err()
}

// remember takes up what is written down.
func (t *keyedTill) remember(lines []line) {
	for _, l := range lines {
		switch {
		case l.Corrected != nil:
			continue
		case l.Wish != nil:
			t.open = append(t.open, pending{wish: *l.Wish, key: l.Key})
			t.amount = max(t.amount, l.Wish.Amount)
			continue
		}
		for i := range t.open {
			if t.open[i].key != l.Key {
				continue
			}
			if l.At != "" {
				t.open[i].at = l.At
				break
			}
			if l.Told.Word == unknown {
				t.open[i].doubted = true
			} else {
				t.open = append(t.open[:i], t.open[i+1:]...)
			}
			break
		}
	}
}

func (t *keyedTill) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-t.ctx.Done():
	}
}

func (t *keyedTill) hangUp() {
	if t.client != nil {
		t.client.Close() //nolint:errcheck // always nil
		t.client = nil
	}
}

// options are those of its next line: with a stream that outlives it, or without.
func (t *keyedTill) options() epos.Options {
	o := epos.Options{URL: t.url, Handler: epos.Handler{Signature: cashier, Corrected: t.corrected}}
	if t.rng.IntN(2) == 0 {
		o.Stream = filepath.Base(t.book)
	}
	return o
}

// corrected writes down what nobody asked for.
func (t *keyedTill) corrected(c epos.Correction) {
	said := correction{TID: string(c.TID), RequestID: c.RequestID, TransactionID: c.TransactionID, Result: string(c.Payment.Result)}
	if err := t.notes.write(line{Corrected: &said}); err != nil && !errors.Is(err, os.ErrClosed) { // its day is over
		panic(err) // a till that cannot write stops, and the run says so
	}
}

// line returns a connection that was alive a moment ago, or nil for now.
func (t *keyedTill) line() desk {
	if c, ok := t.client.(*epos.Client); t.client != nil && (!ok || c.Err() == nil) {
		return t.client
	}
	t.client = nil
	if t.rest {
		c, err := epos.NewREST(epos.RESTOptions{
			URL: t.url, Poll: time.Duration(1+t.rng.IntN(100)) * time.Millisecond,
			Handler: epos.Handler{Signature: cashier, Corrected: t.corrected},
		})
		if err != nil {
			panic(err) // its options are wrong
		}
		t.client = c
		return c
	}
	ctx, cancel := context.WithTimeout(t.ctx, 5*time.Second)
	defer cancel()
	c, err := epos.Dial(ctx, t.options())
	if err != nil {
		t.pause(redialPause)
		return nil
	}
	t.client = c
	return c
}

// serve has one customer pay or be paid back, with as many cards as it takes.
func (t *keyedTill) serve() error {
	if t.line() == nil {
		return nil
	}
	t.amount++
	w := wish{TID: t.tids[t.rng.IntN(len(t.tids))], Type: "SALE", Amount: t.amount}
	if t.rng.IntN(40) == 0 {
		w.TID = mute
	}
	if t.rng.IntN(6) == 0 {
		w.Type = "REFUND"
	}
	for range 1 + t.rng.IntN(3) {
		if t.closing.Load() {
			return nil
		}
		a := pending{wish: w, key: epos.NewKey()}
		if err := t.notes.write(line{Key: a.key, Wish: &w}); err != nil {
			return err
		}
		said, known := t.request(&a)
		if !known {
			t.open = append(t.open, a)
			return nil // settle finds out, or the customer leaves
		}
		if err := t.notes.write(line{Key: a.key, Told: &said}); err != nil {
			return err
		}
		if said.Word == unknown {
			a.doubted = true
			t.open = append(t.open, a)
		}
		if said.Word == taken || said.Word == unknown {
			return nil
		}
		t.pause(time.Duration(t.rng.IntN(30)) * time.Millisecond)
	}
	return nil
}

// request asks for a transaction for the first time, and as the library does,
// until there is an answer or patience ends. It reports whether there was one.
func (t *keyedTill) request(a *pending) (try, bool) {
	c := t.line()
	if c == nil {
		return try{}, false // nothing was sent, but a key that is written down is one to ask about
	}
	p, err := t.transact(c, a)
	lost, isLost := errors.AsType[*epos.OutcomeUnknownError](err)
	if isLost && t.rng.IntN(2) == 0 {
		ctx, cancel := context.WithTimeout(t.ctx, time.Duration(1+t.rng.IntN(4000))*time.Millisecond)
		defer cancel()
		if over, ok := c.(*epos.REST); ok {
			p, err = over.TryAgain(ctx, lost, t.takes(a))
		} else {
			p, err = lost.TryAgain(ctx, t.options())
		}
		if err != nil {
			return try{}, false // even a refusal is no word on what was sent before
		}
	} else if isLost {
		return try{}, false
	}
	if e, ok := errors.AsType[*epos.Error](err); ok {
		return try{Word: refused, Code: e.Code}, true
	}
	if err != nil {
		return try{}, false
	}
	return believed(p), true
}

// believed is what a till believes after an answer.
func believed(p epos.Payment) try {
	if p.MoneyTaken() == epos.TakenUnknown {
		return try{Word: unknown, Result: string(p.Result), TransactionID: p.TransactionID}
	}
	return told(p)
}

// transact asks for a transaction under its key. In between a cashier may want
// it cancelled, and a line may be dropped.
func (t *keyedTill) transact(c desk, a *pending) (epos.Payment, error) {
	ctx, cancel := context.WithTimeout(t.ctx, 15*time.Second)
	defer cancel()
	wait := time.Duration(t.rng.IntN(150)) * time.Millisecond
	later := func(do func()) {
		go func() {
			select {
			case <-time.After(wait):
				do()
			case <-ctx.Done():
			}
		}()
	}
	if !t.closing.Load() {
		switch t.rng.IntN(12) {
		case 0:
			later(func() { c.Cancel(ctx, epos.TID(a.TID)) }) //nolint:errcheck // a wish
		case 1:
			later(func() { c.Close() }) //nolint:errcheck // always nil
		case 2:
			later(cancel) // the till gives up, and its line stays
		}
	}
	amount := money.Amount{Minor: money.Minor(a.Amount), Currency: money.GBP}
	if a.Type == "REFUND" {
		return c.Refund(ctx, epos.Refund{TID: epos.TID(a.TID), Amount: amount}, epos.WithKey(a.key), t.takes(a))
	}
	return c.Sale(ctx, epos.Sale{TID: epos.TID(a.TID), Amount: amount}, epos.WithKey(a.key), t.takes(a))
}

// takes has a till without a connection write down where it asks about a request,
// before anything else.
func (t *keyedTill) takes(a *pending) epos.CallOption {
	return epos.WithHandler(epos.Handler{Begun: func(b epos.Begun) {
		if b.Location == "" || a.at != "" {
			return
		}
		if err := t.notes.write(line{Key: a.key, At: b.Location}); err != nil {
			panic(err) // as in corrected
		}
		a.at = b.Location
	}})
}

// report asks for one. What is in it, or that it failed, is of no consequence
// here.
func (t *keyedTill) report() {
	if c := t.line(); c != nil {
		ctx, cancel := context.WithTimeout(t.ctx, 5*time.Second)
		defer cancel()
		c.ReportXBalance(ctx, epos.TID(t.tids[0]), epos.WithKey(epos.NewKey())) //nolint:errcheck // see above
	}
}

// settle asks once about each request whose end is not known, and keeps those
// of which it still is not.
func (t *keyedTill) settle() error {
	quiet := t.closing.Load()
	var left []pending
	for i, a := range t.open {
		said, known, err := t.find(&a, quiet)
		if err != nil {
			t.open = append(left, t.open[i:]...)
			return err
		}
		if known && (said.Word != unknown || !a.doubted) {
			if err := t.notes.write(line{Key: a.key, Told: &said}); err != nil {
				t.open = append(left, t.open[i:]...)
				return err
			}
		}
		switch {
		case !known:
			left = append(left, a)
		case said.Word == unknown:
			a.doubted = true
			if !tellsNothing(a.TID) || !quiet && t.rng.IntN(4) > 0 { // else nobody will ever know
				left = append(left, a)
			}
		}
	}
	t.open = left
	return nil
}

// find asks what became of a request: by its status, or by sending it again. An
// error is a word that nobody may say.
func (t *keyedTill) find(a *pending, quiet bool) (said try, known bool, err error) {
	c := t.line()
	if c == nil {
		return try{}, false, nil
	}
	over, polls := c.(*epos.REST)
	if !quiet && t.rng.IntN(3) == 0 || polls && a.at == "" { // without an address there is only the key
		p, err := t.transact(c, a)
		if err != nil { // even a refusal is no word on what was sent before, and may be on its way
			return try{}, false, nil
		}
		return believed(p), true, nil
	}
	ctx, cancel := context.WithTimeout(t.ctx, 5*time.Second)
	defer cancel()
	var s epos.TransactionStatus
	if polls {
		s, err = over.TransactionStatusAt(ctx, epos.TID(a.TID), a.at)
	} else {
		s, err = c.(*epos.Client).TransactionStatus(ctx, epos.TID(a.TID), a.key)
	}
	if err != nil {
		return try{}, false, nil
	}
	switch s.State {
	case epos.Finished:
		said = believed(*s.Payment)
		said.Asked = true
		return said, true, nil
	case epos.NotRun:
		return try{Word: notRun, Asked: true}, true, nil
	case epos.Unresolved:
		return try{Word: unknown, Asked: true}, true, nil
	case epos.NotFound:
		if polls {
			return try{}, false, fmt.Errorf("%s was taken, and is not known any more", a.at)
		}
		return try{Word: notRun, Asked: true}, quiet, nil // while lines are bad, it may still be on its way
	default:
		return try{}, false, nil
	}
}
