package gateway

import (
	"context"
	"errors"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/wire"
)

// transactionStatus says what became of a request (the contract, section 10,
// status). It is a question to the record: whether the terminal is connected
// does not matter.
func (s *Session) transactionStatus(m jsonrpc.Message) *fault {
	params, devs, bad := wire.DecodeTransactionStatus(s.version, m.Params)
	if bad != nil {
		return invalidParams(bad)
	}
	if f := s.deviations(devs); f != nil {
		return f
	}
	h, err := s.headOf(s.g.ctx, params)
	if errors.Is(err, journal.ErrNotFound) && params.RequestKey != "" {
		if s.site.keys.taken(keptKey(params.RequestKey)) { // it is on its way to the disk
			s.result(m.ID, wire.TransactionStatus{State: wire.StatePending})
			return nil
		}
		h, err = s.headOf(s.g.ctx, params) // where it may have arrived in between
	}
	if errors.Is(err, journal.ErrNotFound) {
		s.result(m.ID, wire.TransactionStatus{State: wire.StateNotFound})
		return nil
	}
	var w keyed
	if err == nil {
		w, err = s.read(s.g.ctx, h)
	}
	if err != nil {
		s.g.log.Error("the state of a request could not be read", "error", err)
		return storage(err)
	}
	a := s.site.actor(h.TID)
	if !h.Open || a == nil {
		s.result(m.ID, s.statusOf(w))
		return nil
	}
	a.do(func() { // who has it in hand knows more
		if live, ok := a.works[h.Stream].(keyed); ok {
			w = live
		}
		s.result(m.ID, s.statusOf(w))
	})
	return nil
}

// headOf finds the transaction or report that a till asks about: one of its own
// site, at the terminal that it names.
func (s *Session) headOf(ctx context.Context, asked wire.TransactionStatusRequest) (h journal.Head, err error) {
	site := s.site.settings.Load().ID
	if asked.RequestKey != "" {
		h, err = s.g.store.ByKey(ctx, site, keptKey(asked.RequestKey))
	} else {
		h, err = s.g.store.Head(ctx, txn.RequestID(asked.RequestID))
	}
	if err != nil {
		return h, err
	}
	its := h.Kind == journal.TransactionStream || h.Kind == journal.ReportStream
	if !its || h.Site != site || foldTID(h.TID) != foldTID(txn.TID(asked.TID)) {
		return journal.Head{}, journal.ErrNotFound
	}
	return h, nil
}

func (s *Session) statusOf(w keyed) wire.TransactionStatus {
	st := wire.TransactionStatus{RequestID: string(w.requestID())}
	switch w := w.(type) {
	case *transaction:
		switch t := w.txn; {
		case t.State == txn.Finished && t.NotRun != "" && t.Conflict == nil:
			st.State = wire.StateNotRun
		case t.State == txn.Finished:
			st.State = wire.StateFinished
			if o := paymentOf(t); s.version != wire.V0 || v0Type(o.Type) {
				p := wirePayment(w.a.tid, o, s.site.settings.Load().zone)
				st.Payment = &p
			}
		case t.Told != txn.ToldNothing:
			st.State = wire.StateUnresolved
		default:
			st.State = wire.StatePending
		}
	case *reportRun:
		switch r := w.run; {
		case r.Report != nil:
			st.State = wire.StateFinished
		case r.State == report.Finished && r.Told == "":
			st.State = wire.StateNotRun
		case w.told():
			st.State = wire.StateUnresolved
		default:
			st.State = wire.StatePending
		}
	}
	return st
}
