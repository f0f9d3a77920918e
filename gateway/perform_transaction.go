package gateway

import (
	"slices"
	"time"

	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/wire"
)

// performTransaction serves sale, refund, preAuth, completion and
// accountVerification (the contract, section 3.3).
func (s *Session) performTransaction(m jsonrpc.Message, kind txn.Type) *fault {
	decode := wire.DecodePerformTransaction
	if s.ext.keys {
		decode = wire.DecodeKeyedTransaction
	}
	params, devs, bad := decode(s.version, m.Method, m.Params)
	key := keptKey(params.RequestKey)
	asked := body{tid: txn.TID(params.TID), txn: requestOf(kind, params)}
	return s.toTerminal(m, key, asked, devs, bad, func(a *actor, c *call, deviations []string) {
		a.performTransaction(c, key, asked.txn, deviations)
	})
}

// performTransaction checks what only the terminal can say and begins.
func (a *actor) performTransaction(c *call, key string, req txn.Request, deviations []string) {
	if f := a.beginTransaction(c, key, NewRequestID(time.Now()), req, c.sess.caller, deviations); f != nil {
		c.fail(f)
		a.site.keys.free(key)
	}
}

// beginTransaction begins, or returns why not. Waits is the call of the till, or
// nil where none waits.
func (a *actor) beginTransaction(waits *call, key string, id txn.RequestID, req txn.Request, caller txn.Caller, deviations []string) *fault {
	method := suchRequest
	if waits != nil {
		method = waits.method
	}
	f := a.takes(func(caps terminal.Capabilities) *fault {
		if req.Currency == "" { // which a till need not say where no amount is asked for
			req.Currency = caps.Currency
		}
		return unable(a.tid, caps, method, req)
	})
	if f != nil {
		return f
	}
	t := &transaction{a: a, calls: callersOf(waits), led: ledger{key: key}}
	err := t.begin(a.g.ctx, txn.Accepted{
		ID: id, Site: a.site.settings.Load().ID, TID: a.tid, Request: req, Caller: caller, Deviations: deviations,
	})
	if err != nil {
		a.g.log.Error("a request was refused: it could not be recorded", "tid", a.tid, "error", err)
		return storage(err)
	}
	a.site.keys.hand(key, t)
	return nil
}

// takes reports why the terminal takes no new request: it is not connected, it
// cannot do it, or it is busy.
func (a *actor) takes(unable func(terminal.Capabilities) *fault) *fault {
	if !a.connected() {
		return unavailable(a.tid)
	}
	if f := unable(a.term.Capabilities()); f != nil {
		return f
	}
	if a.busy() {
		return busy(a.tid)
	}
	return nil
}

// unable says what of a transaction's request the terminal cannot do.
func unable(tid txn.TID, caps terminal.Capabilities, method string, req txn.Request) *fault {
	switch {
	case !slices.Contains(caps.Types, req.Type):
		return methodUnsupported(tid, method)
	case req.Currency != caps.Currency:
		return currencyUnsupported(tid, string(req.Currency))
	case req.Cashback > 0 && !caps.Cashback:
		return cashbackUnsupported(tid)
	case req.CardholderNotPresent && !caps.NotPresent:
		return methodUnsupported(tid, "keyed entry for a cardholder who is not present")
	}
	return nil
}
