package gateway

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/wire"
)

// This file tells tills that opted in of outcomes that came after TIMED_OUT (the
// contract, section 10, late).

// Corrections are what the tills of a site have yet to hear.
type corrections struct {
	mu  sync.Mutex
	all []*correction // in the order in which they became known
}

// A correction is a truth that came after TIMED_OUT was told, on its way to a
// till. It counts as delivered when the pong has come to the ping that followed
// it: what went into a line that nobody reads any more reached nobody.
type correction struct {
	a     *actor
	txn   txn.Transaction
	led   ledger
	lapse *time.Timer
	over  bool                  // delivered, lapsed, or another truth took its place
	sent  map[*Session]struct{} // belongs to the lock of the site's corrections
}

// correct begins to tell of what is known of t now, whose stream has so many
// records. It runs in the actor's goroutine, as all that follows.
func (a *actor) correct(t txn.Transaction, records int) {
	c := &correction{
		a: a, txn: t, led: ledger{store: a.g.store, stream: t.ID, count: records},
		sent: map[*Session]struct{}{},
	}
	waits := spec.Default().Timer(spec.TimerLateWaits)
	c.lapse = a.after(min(max(waits-time.Since(t.KnownAt), 0), waits), func() { c.end(true) })
	late := &a.site.late
	late.mu.Lock()
	for _, old := range late.all {
		if old.txn.ID == t.ID { // the terminal contradicts what was to be told
			old.over = true
			old.lapse.Stop()
		}
	}
	late.all = append(slices.DeleteFunc(late.all, func(old *correction) bool { return old.over }), c)
	late.mu.Unlock()
	for _, sess := range a.site.sessionsOf(nil) {
		if sess.ext.late && !sess.ext.resume {
			late.offer(sess)
		}
	}
	for _, home := range a.site.streams.homes() { // those too whose tills are away for a moment
		if home.ext.late {
			late.offer(home)
		}
	}
}

// offer sends a session what it was not sent yet.
func (l *corrections) offer(sess *Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.all {
		if _, sent := c.sent[sess]; !sent {
			c.sent[sess] = struct{}{}
			sess.correct(c)
		}
	}
}

// forget drops a session that is gone.
func (l *corrections) forget(sess *Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.all {
		delete(c.sent, sess)
	}
}

// correct sends the notification, and a ping to learn that it arrived.
func (s *Session) correct(c *correction) {
	o := paymentOf(c.txn)
	if s.version == wire.V0 && !v0Type(o.Type) {
		return // it has no word for it
	}
	zone := s.site.settings.Load().zone
	s.send(jsonrpc.AppendNotification(nil, wire.MethodTransactionCorrected, wire.Encode(s.version, wire.TransactionCorrected{
		TerminalID: wire.TerminalID{TID: string(c.a.tid)}, RequestID: string(c.txn.ID), TransactionID: string(o.TransactionID),
		Was: wire.WasTimedOut, Payment: wirePayment(c.a.tid, o, zone),
	})))
	if err := s.conn.Ping(func() { c.a.do(func() { c.end(false) }) }); err != nil {
		s.g.log.Warn("a correction could not be followed by a ping", "remote", s.conn.RemoteAddr(), "error", err)
	}
}

// end records that nothing more is owed. Until that is on disk the next till
// that connects is told as well.
func (c *correction) end(lapsed bool) {
	if c.over {
		return
	}
	e := txn.Corrected{Lapsed: lapsed, At: time.Now().UTC()}
	next, err := txn.Apply(c.txn, e)
	if err == nil {
		err = c.led.commit(c.a.g.ctx, journal.TxnHead(next), txnRecord(e))
	}
	if err != nil {
		c.a.g.log.Error("that a till was corrected could not be recorded yet", "request", c.txn.ID, "error", err)
		if done := c.conflicted(err); !done {
			c.a.after(recordAgain, func() { c.end(lapsed) })
			return
		}
	}
	if !lapsed {
		c.a.g.metrics.corrected.Inc()
	}
	c.lapse.Stop()
	late := &c.a.site.late
	late.mu.Lock()
	defer late.mu.Unlock()
	c.over = true
	late.all = slices.DeleteFunc(late.all, func(other *correction) bool { return other == c })
}

// conflicted takes up what the journal says where that is more than we know: an
// append was kept after all whose fate was not known. It reports whether nothing
// is owed any more.
func (c *correction) conflicted(err error) (done bool) {
	if !errors.Is(err, journal.ErrConflict) {
		return false
	}
	records, err := c.led.store.Records(c.a.g.ctx, c.led.stream)
	if err != nil {
		return false
	}
	t, err := journal.ReplayTxn(records)
	if err != nil {
		return false
	}
	c.a.site.late.mu.Lock()
	defer c.a.site.late.mu.Unlock()
	c.txn, c.led = t, ledger{store: c.led.store, stream: c.led.stream, count: len(records)}
	return !t.Uncorrected()
}
