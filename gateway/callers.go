package gateway

import (
	"slices"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/txn"
)

// Callers are the calls that wait for one end: the first one's and those that
// joined it by its request key. Whoever came last hears what follows; all of
// them get the end.
type callers []*call

// callersOf is a call, if there is one.
func callersOf(c *call) callers {
	if c == nil {
		return nil
	}
	return callers{c}
}

// with adds one, and forgets those whose tills have gone.
func (cs callers) with(c *call) callers {
	return append(slices.DeleteFunc(cs, func(c *call) bool { return !c.waits() }), c)
}

// newest is the call of the till that came last and is still there, or nil.
func (cs callers) newest() *call {
	for _, c := range slices.Backward(cs) {
		if c.waits() {
			return c
		}
	}
	return nil
}

// waits reports whether a till is there to hear the answer.
func (cs callers) waits() bool { return cs.newest() != nil }

func (cs callers) notify(tid txn.TID, n txn.Notification) { cs.newest().notify(tid, n) }

func (cs callers) fail(f *fault) {
	for _, c := range cs {
		c.fail(f)
	}
}

func (cs callers) payment(tid txn.TID, o txn.Outcome) {
	for _, c := range cs {
		c.payment(tid, o)
	}
}

func (cs callers) report(tid txn.TID, r report.Report) {
	for _, c := range cs {
		c.report(tid, r)
	}
}

func (cs callers) reportTimedOut(tid txn.TID, kind report.Type, cur money.Currency) {
	for _, c := range cs {
		c.reportTimedOut(tid, kind, cur)
	}
}

// signatureOver closes the questions about the signature of t: why says what an
// answer from now on is. It reports whether a till had answered before.
func (cs callers) signatureOver(t *transaction, why string) (answered bool) {
	for _, c := range cs {
		answered = c.signatureOver(t, why) || answered
	}
	return answered
}
