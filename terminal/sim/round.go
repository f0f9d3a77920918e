package sim

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// A round is a visit while the waiter is at the machine, on a goroutine of its
// own. Its payments run on the same one.
type round struct {
	m      *Machine
	id     table.VisitID
	who    table.WaiterID
	table  table.TableID // the one that was picked
	waiter waiter
	show   func(VisitStep)

	ctx  context.Context // ends when the power goes
	off  context.CancelFunc
	walk context.Context // ends when the waiter walks off
	done chan struct{}

	// Under the machine's lock.
	busy   bool      // the counter has to wait
	open   *question // what an answer is waited for
	paying *run      // the payment that is not ended; only this goroutine changes it
	barred string    // why the last payment was forbidden

	res  VisitResult
	told chan VisitResult // what Machine.Visit returns
}

// How long a waiter takes at speed 1.
const (
	listTakes      = 2 * time.Second // a page
	lockTakes      = time.Second
	billTakes      = 2 * time.Second
	splitTakes     = 2 * time.Second
	presentedTakes = time.Second
	signatureTakes = 5 * time.Second
	slipTakes      = 2 * time.Second
)

// errLeave is the waiter's way out.
var errLeave = errors.New("sim: the waiter leaves")

// stopped is a visit that cannot go on.
type stopped VisitEnd

func (s stopped) Error() string { return "sim: the visit ends: " + string(s) }

// What the screen says.
const (
	pleaseWait = "Please wait"
	noTables   = "There are no open tables"
	noAnswer   = "No connection. Please try again"
)

// Visit has a waiter do v at the machine and returns when that is over. Each
// step is given to show, which may be nil, must not wait for the machine and
// must not switch it off. When ctx ends, the waiter leaves as soon as the
// machine lets go: a card that is being charged is charged.
//
// An error means that the visit has not begun: [terminal.ErrBusy] while the
// machine is in use, others for a visit that no waiter can do and for a machine
// that is off.
func (m *Machine) Visit(ctx context.Context, v Visit, show func(VisitStep)) (VisitResult, error) {
	if err := v.check(); err != nil {
		return VisitResult{}, err
	}
	if err := ctx.Err(); err != nil {
		return VisitResult{}, err
	}
	m.mu.Lock()
	w, err := m.welcome(ctx, v.Waiter, show, func(w *round) waiter { return &byPlan{round: w, v: v} })
	m.mu.Unlock()
	if err != nil {
		return VisitResult{}, err
	}
	return <-w.told, nil
}

// welcome begins a visit. The caller holds m.mu.
func (m *Machine) welcome(ctx context.Context, id table.WaiterID, show func(VisitStep), by func(*round) waiter) (*round, error) {
	if err := m.idle(); err != nil {
		return nil, err
	}
	w := &round{
		m: m, id: table.VisitID("v" + rand.Text()), who: id, show: show, walk: ctx,
		done: make(chan struct{}), told: make(chan VisitResult, 1),
	}
	w.waiter = by(w)
	w.res.ID = w.id
	w.ctx, w.off = context.WithCancel(m.park.ctx)
	if !m.park.run(w.play) {
		w.off()
		return nil, errClosed
	}
	m.round, m.panel.menu = w, nil
	return w, nil
}

// idle says why somebody at the machine cannot begin, or nil. The caller holds
// m.mu.
func (m *Machine) idle() error {
	switch {
	case m.park.ctx.Err() != nil:
		return errClosed
	case m.troubles.dark:
		return errOff
	case m.broken:
		return errors.New("sim: the machine cannot write its memory")
	case m.run != nil || m.round != nil:
		return terminal.ErrBusy
	}
	return nil
}

// Report has the machine make a report by itself and returns it once it is on
// disk and told; ctx only limits the wait. The gateway is told until it
// acknowledges. It returns [terminal.ErrBusy] while the machine is in use and a
// *[terminal.RefusedError] where it has no such report.
func (m *Machine) Report(ctx context.Context, t report.Type) (report.Report, error) {
	m.mu.Lock()
	r, err := m.startReport(t)
	m.mu.Unlock()
	m.tell()
	if err != nil {
		return report.Report{}, err
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		return report.Report{}, ctx.Err()
	}
	if r.made == nil {
		return report.Report{}, errOff
	}
	return *r.made, nil
}

// EndOfDayAtTerminal is Report for the end of day.
func (m *Machine) EndOfDayAtTerminal(ctx context.Context) error {
	_, err := m.Report(ctx, report.EndOfDay)
	return err
}

func (m *Machine) startReport(t report.Type) (*run, error) {
	if err := m.idle(); err != nil {
		return nil, err
	}
	r := terminal.Request{ID: txn.RequestID("t" + rand.Text()), Report: t}
	if err := m.refusal(r); err != nil {
		return nil, err
	}
	c := m.opened(r)
	c.Own = true
	return m.accept(c)
}

// newPaymentID makes a UUID of version 4. It is not of the park's dice: tills
// know a payment by it for ever.
func newPaymentID() table.PaymentID {
	var b [16]byte
	rand.Read(b[:]) //nolint:errcheck // it never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return table.PaymentID(fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]))
}

// holds reports whether the counter has to wait. The caller holds m.mu.
func (w *round) holds() bool { return w != nil && w.busy }

// play goes through the visit. What it leaves open when the power goes is ended
// by Machine.wake.
func (w *round) play() {
	defer close(w.done)
	defer w.off()
	defer w.finish(EndUnresolved) // where nothing better was told
	err := w.serve()
	var s stopped
	switch {
	case errors.Is(err, errMute):
		w.paying.goMute()
	case err == nil, errors.Is(err, errLeave), errors.As(err, &s):
		if end := w.end(err); w.leave(end) == nil {
			w.finish(end)
		}
	}
}

// finish lets go of the machine and then of the waiter.
func (w *round) finish(end VisitEnd) {
	w.m.mu.Lock()
	if w.m.round == w {
		w.m.round = nil
		w.m.panel.after = w.title() + ": " + end.why()
		w.m.stir()
	}
	w.m.mu.Unlock()
	w.tellWaiter(end)
}

// tellWaiter has Machine.Visit return. Only the first call counts.
func (w *round) tellWaiter(end VisitEnd) {
	w.res.End = end
	select {
	case w.told <- w.res:
	default:
	}
}

// end is how the visit ends, after what stopped it.
func (w *round) end(stop error) VisitEnd {
	var s stopped
	switch {
	case w.res.Paid > 0 && w.res.Balance == 0:
		return EndPaid
	case w.res.Paid > 0:
		return EndPartPaid
	case errors.As(stop, &s):
		return VisitEnd(s)
	case errors.Is(stop, errLeave):
		return EndCancelled
	}
	for _, p := range w.res.Payments {
		if p.Result != txn.Cancelled {
			return EndDeclined
		}
	}
	return EndCancelled
}

// serve is the visit up to its end.
func (w *round) serve() error {
	for _, stage := range []func() error{w.list, w.lock, w.bill, w.pay} {
		if err := stage(); err != nil {
			return err
		}
	}
	return nil
}

// list has the waiter find the table.
func (w *round) list() error {
	w.shows(StepList, pleaseWait)
	a, err := w.ask(newQuestion[terminal.TableList](), func() (terminal.Event, error) {
		if w.m.link == nil || w.m.cut {
			return nil, stopped(EndOffline) // and the visit has not begun
		}
		err := w.m.commit(func(mem *memory) { mem.Visit = &visit{ID: w.id, Waiter: w.who} })
		return terminal.TablesWanted{Visit: w.id, Waiter: w.who}, err
	})
	if err != nil {
		if errors.Is(err, stopped(EndOffline)) {
			return w.stop(StepList, noAnswer, EndOffline)
		}
		return err
	}
	list, ok := a.(terminal.TableList)
	switch {
	case !ok:
		return w.stop(StepList, noAnswer, EndOffline)
	case len(list.Tables) == 0 && list.Message != "":
		return w.stop(StepList, printable(list.Message), EndNoTable)
	}
	w.res.Tables = list.Tables
	w.table, err = w.waiter.pick(list.Tables)
	return err
}

// stop shows why the visit does not go on.
func (w *round) stop(s Step, text string, end VisitEnd) error {
	w.shows(s, text)
	if err := w.waiter.learn(s, 0); err != nil && !errors.Is(err, errLeave) {
		return err
	}
	return stopped(end)
}

// lock asks for the table. From then on the machine is busy for the counter.
func (w *round) lock() error {
	name := "Table " + onScreen(string(w.table))
	w.shows(StepLock, name+": "+strings.ToLower(pleaseWait))
	q := newQuestion[terminal.TableLock]()
	q.patient = true // a lock that comes after the waiter left would be in the way
	a, err := w.ask(q, func() (terminal.Event, error) {
		if w.m.run != nil {
			return nil, stopped(EndRefused)
		}
		w.busy = true
		return terminal.TableWanted{Visit: w.id, Waiter: w.who, Table: w.table}, nil
	})
	if err != nil {
		if errors.Is(err, stopped(EndRefused)) {
			return w.stop(StepLock, "The card machine is busy", EndRefused)
		}
		return err
	}
	lock, ok := a.(terminal.TableLock)
	switch {
	case !ok:
		return w.stop(StepLock, noAnswer, EndOffline)
	case !lock.Granted:
		text := printable(lock.Message)
		if text == "" {
			text = name + " cannot be locked"
		}
		return w.stop(StepLock, text, EndRefused)
	case lock.Currency != w.m.can.Currency || lock.Amount <= 0 || lock.Amount > maxTotal:
		return w.stop(StepLock, "This card machine cannot take "+amount(lock.Amount, lock.Currency), EndRefused)
	}
	w.res.Currency, w.res.Due, w.res.Balance = lock.Currency, lock.Amount, lock.Amount
	return w.halt(StepLock, name+": "+amount(lock.Amount, lock.Currency), lockTakes)
}

func amount(m money.Minor, c money.Currency) string {
	return money.Amount{Minor: m, Currency: c}.String()
}

func (w *round) amount(m money.Minor) string { return amount(m, w.res.Currency) }

// bill is the bill before the payments, where it is wanted.
func (w *round) bill() error {
	wanted, err := w.waiter.wantsBill()
	if err != nil || !wanted {
		return err
	}
	return w.printBill()
}

// printBill prints the till's bill. The visit goes on without one.
func (w *round) printBill() error {
	w.shows(StepBill, pleaseWait)
	a, err := w.ask(newQuestion[terminal.Bill](), func() (terminal.Event, error) {
		return terminal.BillWanted{Visit: w.id}, nil
	})
	if err != nil {
		return err
	}
	bill, ok := a.(terminal.Bill)
	switch {
	case !ok:
		return w.fails(StepBill, noAnswer, billTakes)
	case len(bill.Lines) == 0:
		text := printable(bill.Message)
		if text == "" {
			text = "There is no bill"
		}
		return w.fails(StepBill, text, billTakes)
	}
	w.res.Bill = receipt.Masked(bill.Lines)
	if err := w.waiter.prints(BillCopy, w.res.Bill); err != nil {
		return err
	}
	return w.halt(StepBill, onPaper(w.res.Bill), billTakes)
}

// pay has the bill split and then card after card pay its part.
func (w *round) pay() error {
	if err := w.waiter.split(); err != nil {
		return err
	}
	for {
		next, err := w.waiter.next()
		if err != nil || next.asked == 0 {
			return err
		}
		if _, err := w.payment(next); err != nil {
			return err
		}
	}
}

// payment has one card pay. The order is the driver contract's: it is on disk
// before it is told, allowed before the card is charged, and its end is on disk
// before that is told.
func (w *round) payment(s share) (txn.Result, error) {
	id := newPaymentID()
	r, a, err := w.begin(id, s)
	result := txn.Cancelled
	switch a.(type) {
	case terminal.PaymentAllowed:
		result, err = w.charge(r)
	case terminal.PaymentForbidden:
		err = errForbidden
	default: // no other answer fits; none came
		if err == nil {
			err = w.stop(StepCard, noAnswer, EndOffline)
		}
	}
	var stop stopped
	switch {
	case err == nil, errors.Is(err, errLeave), errors.As(err, &stop):
		return w.ended(r, result, err)
	case errors.Is(err, errForbidden):
		return "", w.forbidden()
	}
	return "", err
}

// begin notes a payment, tells it and waits to be allowed.
func (w *round) begin(id table.PaymentID, s share) (*run, terminal.TableAnswer, error) {
	q := newQuestion[terminal.PaymentAllowed]()
	q.fits = func(a terminal.TableAnswer) bool {
		switch a := a.(type) {
		case terminal.PaymentAllowed:
			return a.Payment == id
		case terminal.PaymentForbidden:
			return a.Payment == id
		default:
			return false
		}
	}
	q.lasting, q.again = true, terminal.PaymentStarted{Visit: w.id, Payment: id, Asked: s.asked}
	w.shows(StepCard, pleaseWait)
	var r *run
	a, err := w.ask(q, func() (terminal.Event, error) {
		c := w.m.opened(terminal.Request{ID: txn.RequestID(id), Txn: txn.Request{
			Type: txn.Sale, Currency: w.res.Currency, Amount: s.asked,
		}})
		c.Outcome.Gratuity, c.Visit, c.Waiter = s.tip, w.id, w.who
		r = newRun(w.ctx, w.m, c, s.script)
		r.people = s.people(r)
		r.round, r.forbidden = w, make(chan struct{})
		w.paying = r
		return q.again, w.m.commit(func(mem *memory) { mem.open(c) })
	})
	return r, a, err
}

// charge performs an allowed payment.
func (w *round) charge(r *run) (txn.Result, error) {
	if err := w.halt(StepCard, "Pay "+w.amount(r.c.Outcome.Total()), presentedTakes); err != nil {
		return txn.Cancelled, err
	}
	stop := context.AfterFunc(w.walk, func() {
		select {
		case r.wish <- struct{}{}:
		default: // one wish is enough
		}
	})
	defer stop()
	result, err := r.transaction()
	switch {
	case err == nil, errors.Is(err, errMute), errors.Is(err, errOff), errors.Is(err, errForbidden):
	case !errors.Is(err, errCancelled):
		r.fail(err)
	case w.walk.Err() != nil:
		return txn.Cancelled, errLeave
	default: // by the cardholder
		return txn.Cancelled, nil
	}
	return result, err
}

// forbidden tells the waiter that the gateway will not have it.
func (w *round) forbidden() error {
	w.m.mu.Lock()
	text := printable(w.barred)
	w.paying = nil
	w.m.mu.Unlock()
	if text == "" {
		text = "The payment was not allowed"
	}
	return w.stop(StepCard, text, EndRefused)
}

// ended notes how a payment ended, tells it and prints the receipt. While the
// gateway does not have it, no other one is begun.
func (w *round) ended(r *run, result txn.Result, stop error) (txn.Result, error) {
	id := table.PaymentID(r.c.ID)
	q := newQuestion[terminal.PaymentKept]()
	q.fits = func(a terminal.TableAnswer) bool { k, ok := a.(terminal.PaymentKept); return ok && k.Payment == id }
	q.lasting, q.patient = true, true
	var e ending
	a, err := w.ask(q, func() (terminal.Event, error) {
		select {
		case <-r.forbidden: // in the last instant
			return nil, errForbidden
		default:
		}
		var err error
		if e, err = w.m.conclude(r.c, result); err != nil {
			return nil, err
		}
		w.paying = nil
		return e.event(), nil
	})
	if errors.Is(err, errForbidden) {
		return "", w.forbidden()
	}
	if e.Outcome != nil { // it ended, whatever came then
		w.add(e)
	}
	if err != nil {
		return "", err
	}
	w.m.park.o.Log.Debug("card machine ended a payment", "tid", w.m.name.tid, "payment", id, "result", result)
	out := func() error { return r.people.copies(result) }
	if err := w.print(onPaper(e.Outcome.Receipts.Customer), out); err != nil {
		return "", err
	}
	if a == nil && stop == nil {
		stop = w.stop(StepCard, noAnswer, EndOffline)
	}
	return result, stop
}

// add takes a payment's end into the result.
func (w *round) add(e ending) {
	p := VisitPayment{ID: table.PaymentID(e.ID), Result: e.Outcome.Result}
	_, p.Receipt = e.payment()
	w.res.Payments = append(w.res.Payments, p)
	w.res.Paid += p.Receipt.Paid
	w.res.Gratuity += p.Receipt.Gratuity
	w.res.Balance -= p.Receipt.Paid
}

// leave ends the visit, and prints what the till gave for the end.
func (w *round) leave(end VisitEnd) error {
	w.m.mu.Lock()
	begun := w.m.mem.Visit != nil
	w.m.mu.Unlock()
	if !begun {
		return nil
	}
	q := newQuestion[terminal.VisitClosed]()
	q.lasting, q.patient = true, true
	a, err := w.ask(q, func() (terminal.Event, error) {
		left, err := w.m.leave(end.why())
		if err != nil || w.m.cut || w.m.owes(w.id) {
			return nil, err // it is told later, and nobody waits for that
		}
		return left.event(), nil
	})
	if err != nil {
		return err
	}
	if closed, ok := a.(terminal.VisitClosed); ok && len(closed.FinalReceipt) > 0 {
		w.res.FinalReceipt = receipt.Masked(closed.FinalReceipt)
		out := func() error { return w.waiter.prints(FinalCopy, w.res.FinalReceipt) }
		if err := w.print(onPaper(w.res.FinalReceipt), out); err != nil {
			return err
		}
	}
	text := "Nothing was paid"
	if w.res.Paid > 0 {
		text = "Paid " + w.amount(w.res.Paid)
	}
	if w.res.Balance > 0 {
		text += ", " + w.amount(w.res.Balance) + " is left"
	}
	w.shows(StepLeave, text)
	return w.waiter.stay(StepLeave)
}

// shows puts a text on the screen.
func (w *round) shows(s Step, text string) {
	w.m.shows(atTable, w.screen(s, text))
	step := VisitStep{Step: s, Text: text, At: w.m.park.now()}
	w.res.Steps = append(w.res.Steps, step)
	if w.show != nil {
		w.show(step)
	}
}

// screen is a step as the machine's face shows it: what is on paper is in the
// printer.
func (w *round) screen(s Step, text string) Screen {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > 1 && s != StepList {
		lines = []string{"Printing"}
	}
	return Screen{Title: w.title(), Lines: lines}
}

// title is what the screen is about.
func (w *round) title() string {
	if w.table == "" {
		return "TABLES"
	}
	return "TABLE " + onScreen(string(w.table))
}

// halt shows a text and lets the waiter look at it, and leave.
func (w *round) halt(s Step, text string, takes time.Duration) error {
	w.shows(s, text)
	return w.waiter.look(s, takes)
}

// fails is halt for what went wrong.
func (w *round) fails(s Step, text string, takes time.Duration) error {
	w.shows(s, text)
	return w.waiter.learn(s, takes)
}

// pause lets time go by at the machine's pace.
func (w *round) pause(takes time.Duration) error {
	t := time.NewTimer(w.m.park.pace(takes))
	defer t.Stop()
	return waitFor(w, t.C)
}

// pace is how long something takes on these machines.
func (p *Park) pace(takes time.Duration) time.Duration {
	if p.o.Speed == Max {
		return 0
	}
	return time.Duration(float64(takes) / p.o.Speed)
}

// waitFor waits for c; the waiter may walk off and the power may go before.
func waitFor[T any](w *round, c <-chan T) error {
	var forbidden chan struct{}
	if w.paying != nil {
		forbidden = w.paying.forbidden
	}
	select {
	case <-c:
	case <-forbidden:
	case <-w.walk.Done():
	case <-w.ctx.Done():
	}
	switch {
	case w.ctx.Err() != nil:
		return errOff
	case w.walk.Err() != nil:
		return errLeave
	}
	select {
	case <-forbidden:
		return errForbidden
	default:
		return nil
	}
}

// print is paper: nobody leaves before it is out.
func (w *round) print(text string, out func() error) error {
	w.shows(StepReceipt, text)
	if err := w.waiter.stay(StepReceipt); err != nil {
		return err
	}
	return out()
}

// powered waits for c, or for the power to go.
func powered[T any](w *round, c <-chan T) error {
	select {
	case <-c:
		return nil
	case <-w.ctx.Done():
		return errOff
	}
}

// signedAtTable has the waiter verify a signature on the machine.
func (r *run) signedAtTable() error {
	r.round.shows(StepSignature, onPaper(r.m.park.wish(r.m.name.tid, r.c).Merchant))
	verified, err := r.people.verify()
	if err != nil {
		return err
	}
	r.c.Answer = &verified
	c := r.c
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	return r.m.commit(func(mem *memory) { mem.Current = &c })
}
