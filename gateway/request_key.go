package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/wire"
)

// This file ties a till's tries together by the key that it gave them (the
// contract, section 10, keys). Who holds a key is known here while its request
// is being taken and until it has its recorded end; the journal knows the rest.

// keptKey is the form in which a request key is kept: as it is, unless it looks
// like a card number, of which no whole one is ever stored. The other form is
// longer than a key may be, so that the two cannot meet.
func keptKey(key string) string {
	if receipt.MaskPANs(key) == key {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return "#" + hex.EncodeToString(sum[:])
}

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

// taken reports whether somebody's request with the key is being recorded, or
// looked for.
func (k *keyring) taken(key string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	h := k.held[key]
	return h != nil && h.work == nil
}

// A body is what a request asks for, as it was read.
type body struct {
	tid    txn.TID
	txn    txn.Request // of a transaction
	report report.Type // of a report

	duplicate bool // the last transaction once more
}

// differs returns a pointer to the first member in which b is not what a was,
// or "" when they ask for the same.
func (b body) differs(v wire.Version, a body) string {
	r, was := b.txn, a.txn
	switch {
	case b.report != a.report, b.duplicate != a.duplicate, r.Type != was.Type:
		return "/method"
	case foldTID(b.tid) != foldTID(a.tid):
		return "/params/" + terminalMember(v)
	case r.Currency != was.Currency && r.Currency != "" && was.Currency != "": // unsaid, it is the terminal's
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
	q := &keyedCall{call: s.enter(m), key: key, body: asked, begin: begin, until: time.Now().Add(s.limitOf(asked)), hurried: s.hurried}
	q.serve()
}

// limitOf is how long a till waits for what it asks for.
func (s *Session) limitOf(b body) time.Duration {
	limits := s.site.settings.Load().limits
	switch {
	case b.report != "":
		return limits[spec.TimerReport]
	case b.txn.CardholderNotPresent:
		return limits[spec.TimerTransactionNotPresent]
	}
	return limits[spec.TimerTransaction]
}

// A keyedCall is a call whose key has yet to be looked at.
type keyedCall struct {
	*call
	key   string
	body  body
	begin func(a *actor, c *call)
	until time.Time // nobody waits longer

	hurried bool // it came faster than requests may: it joins or is refused
}

// serve claims the key, or joins who has it.
func (q *keyedCall) serve() {
	w, mine := q.sess.site.keys.claim(q.key, q.serve)
	switch {
	case w != nil:
		w.actor().do(func() { q.joins(w, q.body) })
	case mine:
		q.look()
	} // else it goes on here once the first one was recorded or refused
}

// look goes on with the key in hand: what the journal has of it is the answer;
// a key that it does not have begins.
func (q *keyedCall) look() {
	s := q.sess
	w, err := s.kept(q.key)
	var f *fault
	switch {
	case errors.Is(err, errNobodys):
		s.g.log.Error("a request came again whose first try could not be recorded", "error", err)
		f = storage(err)
	case err != nil:
		s.g.log.Error("what a request key stands for could not be read yet", "error", err)
		q.lookLater()
		return
	case w != nil:
		q.joins(w, q.body)
	default:
		if f = q.starts(); f == nil {
			return
		}
	}
	if f != nil {
		q.fail(f)
	}
	s.site.keys.free(q.key)
}

// starts hands the request to its terminal, unless its till has gone meanwhile.
func (q *keyedCall) starts() *fault {
	s := q.sess
	if f := s.refusesMore(s.inFlight() - 1); f != nil {
		return f
	}
	if q.hurried {
		return s.tooMany()
	}
	a, f := s.connectedActor(q.body.tid)
	if f != nil {
		return f
	}
	if !q.waits() {
		s.site.keys.free(q.key)
		return nil
	}
	a.do(func() { q.begin(a, q.call) })
	return nil
}

// lookLater looks again after a pause. What the key stands for may have taken
// money, so no error may be told; at the limit TIMED_OUT is, which claims
// nothing.
func (q *keyedCall) lookLater() {
	s := q.sess
	switch {
	case s.g.ctx.Err() != nil:
		return
	case !q.waits():
	case time.Now().Before(q.until):
		time.AfterFunc(recordAgain, q.look)
		return
	case q.body.report != "":
		r := &reportRun{a: s.nobody(q.body.tid)}
		q.reportTimedOut(q.body.tid, q.body.report, r.anyCurrency())
	default:
		q.payment(q.body.tid, attempted(txn.Transaction{Request: q.body.txn, AcceptedAt: time.Now()}, txn.TimedOut))
	}
	s.site.keys.free(q.key)
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

// errNobodys is said of a request that was recorded although nobody could know,
// and whose till was told that it was not taken. It never ran and never will;
// its end is about to be recorded.
var errNobodys = errors.New("gateway: the request is open and in nobody's hands")

// kept returns the transaction or report whose request had the key and that has
// its end, or nil when there is none.
func (s *Session) kept(key string) (keyed, error) {
	h, err := s.g.store.ByKey(s.g.ctx, s.site.settings.Load().ID, key)
	if errors.Is(err, journal.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	w, err := s.read(s.g.ctx, h)
	if err != nil {
		return nil, err
	}
	switch w := w.(type) {
	case *transaction:
		if w.txn.State != txn.Finished {
			return nil, fmt.Errorf("%w: %s", errNobodys, h.Stream)
		}
	case *reportRun:
		if w.run.State != report.Finished {
			return nil, fmt.Errorf("%w: %s", errNobodys, h.Stream)
		}
	case *duplicateRun:
		if w.state.State != txn.DuplicateFinished {
			return nil, fmt.Errorf("%w: %s", errNobodys, h.Stream)
		}
	}
	return w, nil
}

// read makes a transaction or report of what the journal has of it. It is in
// nobody's hands: it only tells.
func (s *Session) read(ctx context.Context, h journal.Head) (keyed, error) {
	records, err := s.g.store.Records(ctx, h.Stream)
	if err != nil {
		return nil, err
	}
	switch h.Kind {
	case journal.ReportStream:
		r := &reportRun{a: s.nobody(h.TID)}
		r.run, err = journal.ReplayReport(records)
		return r, err
	case journal.DuplicateStream:
		d := s.nobody(h.TID).newDuplicate(h.Stream, h.RequestKey, len(records))
		d.state, err = journal.ReplayDuplicate(records)
		return d, err
	default:
	}
	t := &transaction{a: s.nobody(h.TID)}
	t.txn, err = journal.ReplayTxn(records)
	return t, err
}

// nobody stands for the actor of a terminal where nothing is done.
func (s *Session) nobody(tid txn.TID) *actor { return &actor{g: s.g, site: s.site, tid: tid} }

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
