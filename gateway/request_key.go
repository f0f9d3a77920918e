package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/wire"
)

// This file ties a till's tries together by the key that it gave them (the
// contract, section 10, keys). Who holds a key is known here while its request
// is being taken and until it has its recorded end; the journal knows the rest.

// A keyring is the request keys of a site that are in use.
type keyring struct {
	mu   sync.Mutex
	held map[string]*holding
}

// A holding is one key in use.
type holding struct {
	work    keyed    // nil while its request is being taken
	waiting []func() // what to do once that is decided: others came with the key meanwhile
}

// A keyed is a work whose request may have a key.
type keyed interface {
	work
	requestKey() string
	// join has one more call wait for the end, or tells it where it is known. It
	// runs in the goroutine of the work's actor.
	join(c *call)
	asked() body
	actor() *actor
}

// claim returns who holds the key; or makes it the caller's own, who has to
// hand it to a work or to free it; or, while it is somebody else's own, has
// again called once that is decided.
func (k *keyring) claim(key string, again func()) (w keyed, mine bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	h := k.held[key]
	switch {
	case h == nil:
		if k.held == nil {
			k.held = map[string]*holding{}
		}
		k.held[key] = &holding{}
		return nil, true
	case h.work == nil:
		h.waiting = append(h.waiting, again)
	}
	return h.work, false
}

// hand gives the key, if there is one, to a work that was recorded.
func (k *keyring) hand(key string, w keyed) {
	if key == "" {
		return
	}
	k.mu.Lock()
	if k.held == nil {
		k.held = map[string]*holding{}
	}
	h := k.held[key]
	k.held[key] = &holding{work: w}
	k.mu.Unlock()
	if h != nil {
		for _, again := range h.waiting {
			again()
		}
	}
}

// free makes the key, if there is one, nobody's. Who waits for that goes on, and
// the first of them has it next.
func (k *keyring) free(key string) {
	if key == "" {
		return
	}
	k.mu.Lock()
	h := k.held[key]
	delete(k.held, key)
	k.mu.Unlock()
	if h != nil {
		for _, again := range h.waiting {
			again()
		}
	}
}

// taken reports whether somebody's request with the key is being recorded.
func (k *keyring) taken(key string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.held[key] != nil
}

// A body is what a request asks for, as it was read.
type body struct {
	tid    txn.TID
	txn    txn.Request // of a transaction
	report report.Type // of a report
}

// differs returns a pointer to the first member in which b is not what a was,
// or "" when they ask for the same.
func (b body) differs(v wire.Version, a body) string {
	r, was := b.txn, a.txn
	switch {
	case b.report != a.report, r.Type != was.Type:
		return "/method"
	case foldTID(b.tid) != foldTID(a.tid):
		return "/params/" + terminalMember(v)
	case r.Currency != was.Currency:
		return "/params/currency"
	case r.Amount != was.Amount:
		return "/params/amount"
	case r.Cashback != was.Cashback:
		return "/params/amountCashback"
	case r.CardholderNotPresent != was.CardholderNotPresent:
		return "/params/cardholderNotPresent"
	case r.AuthCode != was.AuthCode:
		return "/params/authCode"
	case r.PreAuthorisedTotal != was.PreAuthorisedTotal:
		return "/params/amountPreAuthorisedTotal"
	}
	return ""
}

// terminalMember is how version v names the terminal.
func terminalMember(v wire.Version) string {
	if v == wire.V0 {
		return "tpi"
	}
	return "tid"
}

func keyDiffers(pointer string) *fault {
	f := newFault(spec.CodeInvalidParams, spec.MessageKeyDiffers, "", "pointer", pointer)
	f.pointer = pointer
	return f
}

// withKey serves a request that bears a key: it joins the one that has the key
// already, or begins as any other does. Begin runs in the terminal's actor.
func (s *Session) withKey(m jsonrpc.Message, key string, asked body, begin func(a *actor, c *call)) {
	s.serveKey(s.enter(m), key, asked, begin)
}

func (s *Session) serveKey(c *call, key string, asked body, begin func(a *actor, c *call)) {
	w, mine := s.site.keys.claim(key, func() { s.serveKey(c, key, asked, begin) })
	if w != nil {
		w.actor().do(func() { c.joins(w, asked) })
		return
	}
	if !mine {
		return // it goes on here once the first one was recorded or refused
	}
	done, f := s.knownKey(c, key, asked)
	var a *actor
	if !done && f == nil {
		f = s.refusesMore(s.inFlight() - 1)
	}
	if !done && f == nil {
		a, f = s.connectedActor(asked.tid)
	}
	if a != nil && c.waits() {
		a.do(func() { begin(a, c) })
		return
	}
	if f != nil {
		c.fail(f)
	}
	s.site.keys.free(key)
}

// joins has c wait for the end of w, or be told it, if it asks for the same.
func (c *call) joins(w keyed, asked body) {
	if pointer := asked.differs(c.sess.version, w.asked()); pointer != "" {
		c.fail(keyDiffers(pointer))
		return
	}
	c.sess.g.metrics.joined.Inc()
	w.join(c)
}

// knownKey answers a request whose key is that of one that has its end. It
// reports whether there is one.
func (s *Session) knownKey(c *call, key string, asked body) (done bool, f *fault) {
	ctx := s.g.ctx
	h, err := s.g.store.ByKey(ctx, s.site.settings.Load().ID, key)
	if errors.Is(err, journal.ErrNotFound) {
		return false, nil
	}
	var w keyed
	if err == nil {
		w, err = s.ended(ctx, h)
	}
	if err != nil {
		s.g.log.Error("what a request key stands for could not be read", "error", err)
		return false, storage(err)
	}
	c.joins(w, asked)
	return true, nil
}

// ended reads a transaction or report that has its end.
func (s *Session) ended(ctx context.Context, h journal.Head) (keyed, error) {
	w, err := s.read(ctx, h)
	if err != nil {
		return nil, err
	}
	switch w := w.(type) {
	case *transaction:
		if w.txn.State == txn.Finished {
			return w, nil
		}
	case *reportRun:
		if w.run.State == report.Finished {
			return w, nil
		}
	}
	// Its till was told that it was not taken, as nobody could know that it had
	// come to disk; its end is about to be recorded. Nothing ran, or will.
	return nil, fmt.Errorf("gateway: request %s is open and in nobody's hands", h.Stream)
}

// read makes a transaction or report of what the journal has of it. It is in
// nobody's hands: it only tells.
func (s *Session) read(ctx context.Context, h journal.Head) (keyed, error) {
	records, err := s.g.store.Records(ctx, h.Stream)
	if err != nil {
		return nil, err
	}
	a := &actor{g: s.g, site: s.site, tid: h.TID}
	if h.Kind == journal.ReportStream {
		r := &reportRun{a: a}
		if known := s.site.actor(h.TID); known != nil {
			r.currency = known.view.Load().Capabilities.Currency
		}
		r.run, err = journal.ReplayReport(records)
		return r, err
	}
	t := &transaction{a: a}
	t.txn, err = journal.ReplayTxn(records)
	return t, err
}

func (t *transaction) requestKey() string { return t.led.key }
func (t *transaction) actor() *actor      { return t.a }
func (t *transaction) asked() body        { return body{tid: t.a.tid, txn: t.txn.Request} }

// join implements keyed. Where TIMED_OUT was told and the truth is not known
// yet, that is the answer once more.
func (t *transaction) join(c *call) {
	switch {
	case t.txn.State == txn.Finished && t.txn.Told == txn.ToldError && t.txn.Conflict == nil:
		c.fail(t.faultFor(nil))
	case t.txn.State == txn.Finished:
		c.payment(t.a.tid, paymentOf(t.txn))
	case t.txn.Told != txn.ToldNothing:
		c.payment(t.a.tid, attempted(t.txn, txn.TimedOut))
	default:
		t.calls = t.calls.with(c)
		c.sess.bound()
		if t.txn.State == txn.Signing && t.decision == nil {
			c.askSignature(t, t.signatureLeft())
		}
	}
}

func (r *reportRun) requestKey() string { return r.led.key }
func (r *reportRun) actor() *actor      { return r.a }
func (r *reportRun) asked() body        { return body{tid: r.a.tid, report: r.run.Type} }

// join implements keyed.
func (r *reportRun) join(c *call) {
	switch {
	case r.run.Report != nil:
		c.report(r.a.tid, *r.run.Report)
	case r.told():
		c.reportTimedOut(r.a.tid, r.run.Type, r.anyCurrency())
	case r.run.State == report.Finished:
		c.fail(notTaken(r.a.tid))
	default:
		r.calls = r.calls.with(c)
		c.sess.bound()
	}
}
