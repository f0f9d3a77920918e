package sim

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// A question is something that the gateway is to answer.
type question struct {
	fits    func(terminal.TableAnswer) bool
	answer  chan terminal.TableAnswer // one; closed when none will come
	lasting bool                      // a lost link does not end it
	patient bool                      // the waiter does not walk off meanwhile
	again   terminal.Event            // what to tell again over a new link
}

func newQuestion[A terminal.TableAnswer]() *question {
	return &question{
		fits:   func(a terminal.TableAnswer) bool { _, ok := a.(A); return ok },
		answer: make(chan terminal.TableAnswer, 1),
	}
}

// answerLimit is how long a machine waits for the gateway's word in a visit. It
// is for a lost gateway: tills have less (the contract, section 9).
const answerLimit = 30 * time.Second

// AnswerTable implements [terminal.Waiter].
func (l *link) AnswerTable(ctx context.Context, v table.VisitID, a terminal.TableAnswer) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	m := l.m
	defer m.tell()
	defer m.mu.Unlock()
	switch a := a.(type) {
	case terminal.PaymentForbidden:
		if err := m.forbid(v, a); err != nil {
			return err
		}
	case terminal.PaymentKept:
		m.heard(func(e ending) bool { return e.Visit == v && e.Outcome != nil && e.ID == txn.RequestID(a.Payment) })
		m.tellLeft(v)
	case terminal.VisitClosed:
		m.heard(func(e ending) bool { return e.Visit == v && e.Left != "" })
	case terminal.TableList, terminal.TableLock, terminal.Bill, terminal.PaymentAllowed:
	}
	if w := m.round; w != nil && w.id == v && w.open != nil && w.open.fits(a) {
		w.take(a)
	}
	return nil
}

// forbid fences off a payment that is not being charged yet.
func (m *Machine) forbid(v table.VisitID, a terminal.PaymentForbidden) error {
	w := m.round
	if w == nil || w.id != v || w.paying == nil || w.paying.c.ID != txn.RequestID(a.Payment) || w.paying.charging {
		return nil
	}
	c := m.mem.Current
	if c == nil {
		return nil // it is already
	}
	err := m.commit(func(mem *memory) {
		mem.Current = nil
		mem.see(c.ID, fenced)
	})
	if err == nil {
		w.barred = a.Message
		close(w.paying.forbidden)
	}
	return err
}

// QueryPayment implements [terminal.Waiter]. It answers like Query.
func (l *link) QueryPayment(ctx context.Context, _ table.VisitID, p table.PaymentID) (terminal.PaymentAnswer, error) {
	if err := l.enter(ctx); err != nil {
		return terminal.PaymentAnswer{}, err
	}
	m, id := l.m, txn.RequestID(p)
	defer m.mu.Unlock()
	if c := m.mem.Current; c != nil && c.ID == id {
		return terminal.PaymentAnswer{Kind: terminal.InProgress}, nil
	}
	if e, ok := m.ending(id); ok && e.Visit != "" {
		taken, r := e.payment()
		return terminal.PaymentAnswer{Kind: terminal.Final, Taken: taken, Receipt: r}, nil
	}
	kind, err := m.fence(id)
	return terminal.PaymentAnswer{Kind: kind}, err
}

// take gives an answer to the one who waits. The caller holds m.mu.
func (w *round) take(a terminal.TableAnswer) {
	switch a := a.(type) {
	case terminal.TableLock:
		w.busy = a.Granted
	case terminal.VisitClosed:
		w.busy = false
	case terminal.TableList, terminal.Bill, terminal.PaymentAllowed, terminal.PaymentForbidden, terminal.PaymentKept:
	}
	w.open.answer <- a
	w.open = nil
}

// unheard ends the wait for an answer that was lost with the link. The caller
// holds m.mu.
func (w *round) unheard() {
	if w != nil && w.open != nil && !w.open.lasting {
		close(w.open.answer)
		w.open = nil
	}
}

// ask tells the event that note returns, if any, and waits for the answer to it.
// The answer is nil when none came. What note changes in the memory is on disk
// before anything is told; it runs under the machine's lock.
func (w *round) ask(q *question, note func() (terminal.Event, error)) (terminal.TableAnswer, error) {
	if err := w.tell(q, note); err != nil {
		return nil, err
	}
	limit := time.NewTimer(answerLimit)
	defer limit.Stop()
	var walk <-chan struct{}
	if !q.patient {
		walk = w.walk.Done()
	}
	var err error
	select {
	case a := <-q.answer:
		return a, nil
	case <-limit.C:
	case <-walk:
		err = errLeave
	case <-w.ctx.Done():
		err = errOff
	}
	w.m.mu.Lock()
	if w.open == q {
		w.open = nil
	}
	w.m.mu.Unlock()
	select {
	case a := <-q.answer: // in the last instant
		if a != nil && !errors.Is(err, errOff) {
			return a, nil
		}
	default:
	}
	return nil, err
}

func (w *round) tell(q *question, note func() (terminal.Event, error)) error {
	m := w.m
	defer m.tell()
	m.mu.Lock()
	defer m.mu.Unlock()
	if w.ctx.Err() != nil {
		return errOff
	}
	e, err := note()
	if err != nil {
		var s stopped
		if !errors.As(err, &s) && !errors.Is(err, errForbidden) {
			m.breakDown(err)
		}
		return err
	}
	w.open = q
	switch {
	case e == nil:
		q.lasting = false
		w.unheard()
	case m.cut:
		w.unheard()
	default:
		m.enqueue(e)
	}
	return nil
}

// leave notes that the visit is over. The caller holds m.mu.
func (m *Machine) leave(why string) (ending, error) {
	e := ending{Visit: m.mem.Visit.ID, Left: why}
	return e, m.commit(func(mem *memory) { mem.leave(e) })
}

// owes reports whether the gateway does not have the end of a payment of the
// visit. While it has not, it cannot let the table go, and is not told to. The
// caller holds m.mu.
func (m *Machine) owes(v table.VisitID) bool {
	return slices.ContainsFunc(m.mem.Untold, func(e ending) bool { return e.Visit == v && e.Outcome != nil })
}

// tellLeft tells that a visit was left, when it was and can be told. The caller
// holds m.mu.
func (m *Machine) tellLeft(v table.VisitID) {
	for _, e := range m.mem.Untold {
		if e.Visit == v && e.Left != "" && !m.owes(v) {
			m.enqueue(e.event())
		}
	}
}

var _ terminal.Waiter = (*link)(nil)
