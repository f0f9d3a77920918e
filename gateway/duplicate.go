package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/wire"
)

// duplicate serves the recovery tool of tills (the contract, section 3.5).
func (s *Session) duplicate(m jsonrpc.Message) *fault {
	params, devs, bad := wire.DecodeDuplicate(s.version, m.Params)
	return s.toTerminal(m, "", body{tid: txn.TID(params.TID)}, devs, bad, func(a *actor, c *call, _ []string) { a.duplicate(c) })
}

func (a *actor) duplicate(c *call) {
	if f := a.takesDuplicate(c.method); f != nil {
		c.fail(f)
		return
	}
	begun := a.begun
	a.call(askLimit, func(ctx context.Context, term terminal.Terminal) {
		o, err := a.lastAt(ctx, term)
		a.do(func() {
			switch {
			case a.begun != begun:
				c.fail(busy(a.tid)) // a newer one began meanwhile: this is no longer the last
			case errors.Is(err, journal.ErrNotFound):
				c.fail(nothingToDuplicate(a.tid))
			case err != nil:
				a.g.log.Error("a duplicate could not be read", "tid", a.tid, "error", err)
				c.fail(storage(err))
			case c.sess.version == wire.V0 && !v0Type(o.Type):
				c.fail(typeUnknownToV0(a.tid))
			default:
				c.payment(a.tid, o)
			}
		})
	})
}

// takesDuplicate reports why a terminal cannot name its last transaction.
func (a *actor) takesDuplicate(method string) *fault {
	return a.takes(func(caps terminal.Capabilities) *fault {
		if !caps.Duplicate {
			return methodUnsupported(a.tid, method)
		}
		return nil
	})
}

// lastAt asks the terminal for its last transaction and says which one a duplicate
// names. It does not run in the actor's goroutine.
func (a *actor) lastAt(ctx context.Context, term terminal.Terminal) (txn.Outcome, error) {
	last, err := term.Last(ctx)
	if err == nil {
		last.Outcome = fitting(last.Outcome)
		err = unusable(last.Outcome, term.Capabilities().Currency)
	}
	if err != nil && !errors.Is(err, terminal.ErrNoLast) {
		a.g.log.Warn("terminal did not name its last transaction", "tid", a.tid, "error", loggable(err))
	}
	// What the terminal took its time for must not keep the record from being read.
	return a.g.lastTransaction(a.g.ctx, a.site.settings.Load().ID, a.tid, last, err == nil)
}

// lastTransaction says which transaction a duplicate names: the last that was
// dispatched to the terminal, or a later one that the terminal names itself.
// While the outcome of the last one is not known it is that one, and never an
// older.
func (g *Gateway) lastTransaction(ctx context.Context, site txn.SiteID, tid txn.TID, last terminal.Last, named bool) (txn.Outcome, error) {
	own := func() txn.Outcome {
		o := last.Outcome
		o.Receipts.Merchant = nil
		return o
	}
	h, err := g.store.LastCounting(ctx, site, tid)
	if errors.Is(err, journal.ErrNotFound) && named {
		return own(), nil
	}
	if err != nil {
		return txn.Outcome{}, err
	}
	records, err := g.store.Records(ctx, h.Stream)
	if err != nil {
		return txn.Outcome{}, err
	}
	t, err := journal.ReplayTxn(records)
	if err != nil {
		return txn.Outcome{}, fmt.Errorf("gateway: request %s: %w", h.Stream, err)
	}
	if named && t.Truth() != nil && last.ID != t.ID {
		// The terminal told the end of t, and names another now. Unless that is
		// one that it was given from here before, it came later.
		other, err := g.store.Head(ctx, last.ID)
		if err != nil && !errors.Is(err, journal.ErrNotFound) {
			return txn.Outcome{}, err
		}
		if err != nil || other.Kind != journal.TransactionStream || other.Site != site || foldTID(other.TID) != foldTID(tid) {
			return own(), nil
		}
	}
	return duplicateOf(t), nil
}

// v0Type reports whether v0 has a word for the type.
func v0Type(t txn.Type) bool {
	switch t {
	case txn.PreAuth, txn.Completion, txn.AccountVerification:
		return false
	case txn.Sale, txn.Refund, txn.SaleReversal, txn.RefundReversal, txn.Logon:
	}
	return true
}
