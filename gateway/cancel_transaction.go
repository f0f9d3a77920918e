package gateway

import (
	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/wire"
)

// cancelTransaction passes a wish on (the contract, section 3.4). It is served
// under an id in flight and so is no call of its own.
func (s *Session) cancelTransaction(m jsonrpc.Message) *fault {
	params, devs, bad := wire.DecodeCancelTransaction(s.version, m.Params)
	if bad != nil {
		return invalidParams(bad)
	}
	if f := s.deviations(devs); f != nil {
		return f
	}
	a := s.g.find(s.site, txn.TID(params.TID))
	if a == nil {
		return unavailable(txn.TID(params.TID))
	}
	a.do(func() { a.cancelTransaction(s, m.ID) })
	return nil
}

func (a *actor) cancelTransaction(s *Session, id jsonrpc.ID) {
	t := a.cancellable()
	switch {
	case t == nil && !a.connected():
		s.fail(s.usable(id), unavailable(a.tid))
		return
	case t == nil:
		s.fail(s.usable(id), nothingToCancel(a.tid))
		return
	}
	if s.version == wire.V0 {
		t.waitCancelled(func(yes bool) { s.result(id, wire.CancelResult{Yes: yes}) })
	} else {
		s.result(id, wire.CancelResult{Yes: true}) // the reply goes first
	}
	t.cancel()
}

// cancellable is the transaction that a cancel would be for: the one whose till
// has no answer yet, also while the terminal is away.
func (a *actor) cancellable() *transaction {
	if t, ok := a.current.(*transaction); ok && t.txn.Told == txn.ToldNothing {
		return t
	}
	for _, w := range a.works {
		if t, ok := w.(*transaction); ok && t.txn.Told == txn.ToldNothing {
			return t
		}
	}
	return nil
}

// waitCancelled has reply called once: with true when CANCELLED is recorded,
// with false when that cannot be any more or a v0 till has waited long enough.
func (t *transaction) waitCancelled(reply func(cancelled bool)) {
	if t.refused {
		reply(false)
		return
	}
	replied := false
	once := func(yes bool) {
		if !replied {
			replied = true
			reply(yes)
		}
	}
	t.cancelReply = append(t.cancelReply, once)
	timer := t.a.after(spec.Default().Timer(spec.TimerCancelV0Wait), func() { once(false) })
	t.cancelReply = append(t.cancelReply, func(bool) { timer.Stop() })
}
