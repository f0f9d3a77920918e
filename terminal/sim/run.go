package sim

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// A run is one request while a machine performs it, on a goroutine of its own.
type run struct {
	m      *Machine
	c      current // as this goroutine knows it
	script Script
	part   part
	began  time.Time

	ctx      context.Context // ends when the power goes
	off      context.CancelFunc
	wish     chan struct{} // somebody wants it cancelled
	answered chan struct{} // closed, under the machine's lock, when the answer on the signature is on disk
	asked    bool          // under the machine's lock: the signature was asked for
	done     chan struct{}

	shows    []Show           // not told yet
	endAfter txn.Notification // where it breaks off
	paperOut bool             // the roll is at its end
	mishaps  []Mishap         // under the machine's lock once it plays: not happened yet

	people      people
	cancellable bool
	refused     bool // UNABLE_TO_CANCEL was said, or is not to be
	printed     bool // the receipts are out of the printer, or nobody wants them

	round     *round        // of a payment at a table; nil at the counter
	forbidden chan struct{} // of a payment: closed, under the machine's lock, when it may not be charged
	charging  bool          // under the machine's lock: too late to forbid it

	made *report.Report // once done is closed; nil when none was made
}

// How a run can leave its course.
var (
	errOff       = errors.New("sim: the power is gone")
	errCancelled = errors.New("sim: cancelled")
	errMute      = errors.New("sim: mute")
	errForbidden = errors.New("sim: the payment may not be charged")
	errBrokenOff = errors.New("sim: broken off")
)

func newRun(ctx context.Context, m *Machine, c current, s Script) *run {
	r := &run{
		m: m, c: c, script: s, part: m.name.part, began: time.Now(),
		wish: make(chan struct{}, 1), answered: make(chan struct{}), done: make(chan struct{}),
		shows: slices.Clone(s.Shows), endAfter: s.EndAfter, paperOut: s.PaperOut > 0, mishaps: slices.Clone(s.Mishaps),
		cancellable: true,
	}
	r.c.Outcome.Time = r.c.Outcome.Time.Add(s.ClockOff)
	r.ctx, r.off = context.WithCancel(ctx)
	if s.Result != "" {
		r.part.result = s.Result
	}
	if s.Entry != "" {
		r.part.entry = s.Entry
	}
	if s.CVM != "" {
		r.part.cvm = s.CVM
	}
	if r.notPresent() {
		r.part.entry, r.part.cvm = txn.MethodKeyed, txn.CVMNone
	}
	r.people = byHeart{r}
	return r
}

// notPresent reports whether the number is keyed in for somebody who is not
// there: only sales and refunds know that.
func (r *run) notPresent() bool {
	t := r.c.Request.Txn
	return t.CardholderNotPresent && (t.Type == txn.Sale || t.Type == txn.Refund)
}

// play performs the request. What it leaves open when the power goes is ended
// by Machine.wake.
func (r *run) play() {
	defer close(r.done)
	defer r.off()
	if r.c.Request.IsReport() {
		r.report()
		return
	}
	result, err := r.transaction()
	switch {
	case err == nil:
	case errors.Is(err, errCancelled):
		result = txn.Cancelled
	case errors.Is(err, errMute):
		r.goMute()
		return
	case errors.Is(err, errOff):
		return
	default:
		r.fail(err)
		return
	}
	if r.people.copies(result) == nil { // else the power is gone
		r.finish(result)
	}
}

// transaction performs it and returns how it ended.
func (r *run) transaction() (txn.Result, error) {
	result, err := r.course()
	if !errors.Is(err, errBrokenOff) {
		return result, err
	}
	if result = r.c.verdict(); r.c.Phase == begun && r.part.result == txn.Declined {
		result = txn.Declined
	}
	return result, r.removeCard()
}

// course goes through the steps that people and lines take.
func (r *run) course() (txn.Result, error) {
	for _, stage := range []func() error{r.people.gratuity, r.untilCard, r.withCard, r.connect} {
		if err := stage(); err != nil {
			return "", err
		}
	}
	if r.part.result == txn.Unsuccessful {
		if err := r.step(ProcessingError, verdictTakes); err != nil {
			return "", err
		}
		return txn.Unsuccessful, r.removeCard()
	}
	if err := r.step(RequestSent, answerTakes); err != nil {
		return "", err
	}
	approved, err := r.authorise()
	if err != nil {
		return "", err
	}
	if !approved {
		if err := r.step(Declined, verdictTakes); err != nil {
			return "", err
		}
		return txn.Declined, r.removeCard()
	}
	if err := r.afterApproval(); err != nil {
		return "", err
	}
	return r.c.verdict(), nil
}

// untilCard is the time in which a cancel is honoured.
func (r *run) untilCard() error {
	c, err := r.people.present()
	r.cancellable = false
	if err != nil {
		return err
	}
	r.c.Card = &c.id
	c.show(&r.c.Outcome, r.part.entry, r.part.cvm)
	return nil
}

// withCard has the card checked and the cardholder verified at the machine.
func (r *run) withCard() error {
	if !r.notPresent() {
		if err := r.step(PleaseWait, waitTakes); err != nil {
			return err
		}
	}
	if err := r.people.refuse(); err != nil {
		return err
	}
	if err := r.people.cashback(); err != nil {
		return err
	}
	if r.part.cvm == txn.CVMPIN {
		if err := r.people.pin(); err != nil {
			return err
		}
	}
	if r.part.result == txn.TimedOut {
		return errMute
	}
	return nil
}

// asksCashback reports whether the machine may ask for it: in a sale at the
// counter.
func (r *run) asksCashback() bool {
	return r.c.Outcome.Type == txn.Sale && r.round == nil && r.m.can.Cashback
}

// givesCashback reports whether the card gives it: with chip and PIN.
func (r *run) givesCashback() bool {
	return r.part.entry == txn.MethodChip && r.part.cvm == txn.CVMPIN
}

// redKeyWithCard is the red key once the card was presented.
func (r *run) redKeyWithCard() error {
	r.notify(txn.Cancelling)
	r.refused = true
	if err := r.removeCard(); err != nil {
		return err
	}
	return errCancelled
}

func (r *run) connect() error {
	if err := r.step(Connecting, connectingTakes); err != nil {
		return err
	}
	return r.step(ConnectionMade, connectedTakes)
}

// authorise asks the acquirer, and has an approval on disk when it returns.
func (r *run) authorise() (approved bool, err error) {
	if err := r.people.decide(); err != nil {
		return false, err
	}
	o := &r.c.Outcome
	o.Time = r.m.park.now().Add(r.script.ClockOff)
	if r.part.result == txn.Declined {
		return false, nil
	}
	charge := Charge{
		TID: r.m.name.tid, TransactionID: o.TransactionID, Type: o.Type,
		Currency: o.Currency, Amount: o.Total(), Time: o.Time,
	}
	if r.round != nil {
		charge.Payment = table.PaymentID(r.c.ID)
		if !r.mayCharge() {
			return false, errForbidden
		}
	}
	o.AuthCode, approved, err = r.m.park.bank.authorise(charge, *r.c.Card, r.c.Request.Txn.AuthCode)
	if err != nil || !approved {
		return false, err
	}
	if r.script.AcquirerSilent > 0 {
		return false, r.unheard()
	}
	r.c.Phase, r.c.Reverse = authorised, r.part.result == txn.Void
	if r.part.cvm == txn.CVMSignature {
		r.c.Phase = signing
	}
	c := r.c
	r.m.mu.Lock()
	err = r.m.commit(func(mem *memory) { mem.Current = &c })
	r.m.mu.Unlock()
	if err != nil {
		return false, err
	}
	return true, r.at(AtAuthorised)
}

// unheard is an approval that the machine never hears of. As it ends without
// one, what the acquirer may have done is taken back.
func (r *run) unheard() error {
	r.c.Outcome.AuthCode = ""
	if err := r.pause(r.script.AcquirerSilent); err != nil {
		return err
	}
	if err := r.step(ProcessingError, verdictTakes); err != nil {
		return err
	}
	return errBrokenOff
}

// mayCharge is the last moment in which a payment can be forbidden.
func (r *run) mayCharge() bool {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	select {
	case <-r.forbidden:
		return false
	default:
		r.charging = true
		return true
	}
}

func (r *run) afterApproval() error {
	if err := r.step(Approved, verdictTakes); err != nil {
		return err
	}
	if r.c.Reverse && r.c.Phase == authorised {
		why := ProcessingError
		if r.part.entry == txn.MethodChip {
			why = DeclinedByCard
		}
		if err := r.step(why, verdictTakes); err != nil {
			return err
		}
	}
	if err := r.removeCard(); err != nil {
		return err
	}
	if r.c.Phase != signing {
		return nil
	}
	if err := r.people.toSign(); err != nil {
		return err
	}
	if r.round != nil {
		return r.signedAtTable()
	}
	return r.signature()
}

// signature asks for it to be verified and waits for the answer. Its own limit
// is for a gateway that is lost: then the signature counts as accepted.
func (r *run) signature() error {
	m := r.m
	m.mu.Lock()
	r.asked = true
	r.m.panel.screen[atCounter] = Screen{Title: r.title(), Lines: []string{"Signature: the till is asked"}}
	m.enqueue(terminal.SignatureWanted{ID: r.c.ID, Wish: m.park.wish(m.name.tid, r.c)})
	r.strike(AtSigning)
	m.mu.Unlock()
	m.tell()
	limit := time.NewTimer(terminal.SignatureLimit)
	defer limit.Stop()
	for waiting := true; waiting; {
		select {
		case <-r.answered:
			waiting = false
		case <-limit.C:
			m.mu.Lock()
			err := m.answer(r.c.ID, true)
			m.mu.Unlock()
			if err != nil {
				return err
			}
		case <-r.wish:
			r.wished() //nolint:errcheck // too late to be honoured
		case <-r.ctx.Done():
			return errOff
		}
	}
	m.mu.Lock()
	r.c = *m.mem.Current
	m.mu.Unlock()
	return nil
}

// removeCard has the card taken out, and then the printer needs paper.
func (r *run) removeCard() error {
	if err := r.people.takeOut(); err != nil {
		return err
	}
	if r.paperOut {
		r.paperOut = false
		r.m.EmptyRoll()
		defer r.m.NewRoll() //nolint:errcheck // somebody may have been faster
		return r.step(ReplacePaper, r.script.PaperOut)
	}
	return nil
}

// notify shows progress: to the people and the gateway, or to the waiter at a
// table.
func (r *run) notify(n txn.Notification) {
	if r.round != nil {
		r.round.shows(StepCard, strings.ReplaceAll(string(n), "_", " "))
		return
	}
	m := r.m
	m.mu.Lock()
	if text := says(n); text != "" {
		m.panel.screen[atCounter] = Screen{Title: r.title(), Lines: []string{text}}
	}
	if !r.c.Request.IsReport() { // of which there is no progress
		m.enqueue(terminal.Notified{ID: r.c.ID, Value: n})
	}
	m.mu.Unlock()
	m.tell()
}

// title says what the transaction is about.
func (r *run) title() string {
	o := r.c.Outcome
	if r.c.Request.IsReport() {
		return reportTitle(r.c.Request.Report)
	}
	if o.Type == txn.AccountVerification {
		return typeText(o.Type)
	}
	return typeText(o.Type) + " " + amount(o.Total(), o.Currency)
}

// step notifies and then takes its time, or is held there by the script.
func (r *run) step(n txn.Notification, takes time.Duration) error {
	r.notify(n)
	if r.script.HoldAt == n {
		if err := r.hold(); err != nil {
			return err
		}
	}
	if err := r.at(Point(n)); err != nil {
		return err
	}
	if err := r.pause(takes); err != nil {
		return err
	}
	for {
		i := slices.IndexFunc(r.shows, func(s Show) bool { return s.After == n })
		if i < 0 {
			break
		}
		next := r.shows[i].Value
		r.shows = slices.Delete(r.shows, i, i+1)
		if err := r.step(next, showTakes); err != nil {
			return err
		}
	}
	if r.endAfter == n {
		r.endAfter = ""
		return errBrokenOff
	}
	return nil
}

// hold waits until the script lets it go.
func (r *run) hold() error { return await(r, r.script.Until) }

// pause lets time go by at the machine's pace.
func (r *run) pause(takes time.Duration) error {
	if r.m.park.o.Speed == Max {
		return r.look()
	}
	t := time.NewTimer(r.m.park.pace(takes))
	defer t.Stop()
	return await(r, t.C)
}

// await waits for c; a wish for a cancel and the loss of power come between.
func await[T any](r *run, c <-chan T) error {
	for {
		select {
		case <-c:
			return r.look()
		case <-r.wish:
			if err := r.wished(); err != nil {
				return err
			}
		case <-r.forbidden:
			return errForbidden
		case <-r.ctx.Done():
			return errOff
		}
	}
}

// look sees what came meanwhile, without waiting.
func (r *run) look() error {
	select {
	case <-r.ctx.Done():
		return errOff
	default:
	}
	select {
	case <-r.wish:
		return r.wished()
	case <-r.forbidden:
		return errForbidden
	default:
		return nil
	}
}

// wished answers a wish for a cancel: errCancelled while it is honoured, then
// UNABLE_TO_CANCEL, once.
func (r *run) wished() error {
	if r.c.Request.IsReport() {
		return nil
	}
	if r.cancellable {
		r.notify(txn.Cancelling)
		return errCancelled
	}
	if !r.refused {
		r.refused = true
		r.notify(txn.UnableToCancel)
	}
	return nil
}

// finish puts the outcome on disk and then tells it. The machine is idle before
// anybody can read it.
func (r *run) finish(result txn.Result) {
	m := r.m
	m.mu.Lock()
	select {
	case <-r.wish:
		if result != txn.Cancelled && !r.refused {
			m.enqueue(terminal.Notified{ID: r.c.ID, Value: txn.UnableToCancel})
		}
	default:
	}
	if e, err := m.conclude(r.c, result); err != nil {
		m.breakDown(err)
	} else {
		m.run = nil
		r.hangSlips(*e.Outcome)
		m.panel.after = r.title() + " " + strings.ReplaceAll(string(result), "_", " ")
		r.strike(AtEnded)
		m.enqueue(e.event())
		r.strike(AtTold)
		m.park.o.Log.Debug("card machine ended a transaction", "tid", m.name.tid, "request", e.ID, "result", result)
	}
	m.mu.Unlock()
	m.tell()
}

// fail is for a memory that cannot be written.
func (r *run) fail(err error) {
	r.m.mu.Lock()
	r.m.breakDown(err)
	r.m.mu.Unlock()
	r.m.tell()
}

// goMute forgets the transaction, which took no money, and stays busy until the
// site has given up on it. As fast as it can, and at a table, where nobody gives
// up, it restarts to be idle.
func (r *run) goMute() {
	m := r.m
	m.mu.Lock()
	err := m.commit(func(mem *memory) {
		mem.Current = nil
		mem.see(r.c.ID, lost)
		if r.round != nil {
			mem.leave(ending{Visit: r.c.Visit, Left: "the card machine fell mute"})
		}
	})
	m.mu.Unlock()
	if err != nil {
		r.fail(err)
		return
	}
	if m.park.o.Speed != Max {
		if r.round != nil {
			r.round.tellWaiter(EndUnresolved) // who does not wait for it
		}
		if !r.sitOut() {
			return
		}
	}
	m.mu.Lock()
	if r.round != nil {
		m.round = nil
	} else {
		m.run = nil
	}
	if m.park.o.Speed == Max || r.round != nil {
		m.enqueue(terminal.WentAway{})
		m.woken = true
		m.round.unheard()
		m.comeBack()
	} else {
		m.enqueue(terminal.StatusChanged{Busy: false})
	}
	m.mu.Unlock()
	m.tell()
}

// How long a mute machine sits it out where Options do not say: the contract's
// limits (section 9) and a little more.
const (
	muteFor           = 210 * time.Second
	muteForNotPresent = 310 * time.Second
)

// sitOut waits until nobody waits for the transaction any more. It reports
// false when the power went first.
func (r *run) sitOut() bool {
	d := r.m.park.o.MuteFor
	switch {
	case d > 0:
	case r.notPresent():
		d = muteForNotPresent
	default:
		d = muteFor
	}
	t := time.NewTimer(time.Until(r.began.Add(d)))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.ctx.Done():
		return false
	}
}

// report adds up, puts the report on disk and then tells it.
func (r *run) report() {
	if r.script.Until != nil {
		if r.hold() != nil {
			return
		}
	}
	m := r.m
	m.shows(atCounter, Screen{Title: r.title(), Lines: []string{"Printing"}})
	if r.pause(printTakes) != nil {
		return
	}
	if err := r.paper(); err != nil && !errors.Is(err, errUnattended) {
		return
	}
	m.mu.Lock()
	made, ledger := m.mem.Ledger.Make(r.c.Request.Report, m.park.now())
	made.Lines = m.park.reportLines(m.name.tid, made)
	e := ending{ID: r.c.ID, Report: &made, Own: r.c.Own}
	err := m.commit(func(mem *memory) {
		mem.Ledger = ledger
		if made.Banking != nil && made.Balances != nil { // the session is closed
			mem.Number = 0
		}
		mem.end(e)
	})
	if err != nil {
		m.breakDown(err)
	} else {
		m.run, r.made = nil, &made
		if !m.panel.noPaper {
			m.hang(ReportCopy, made.Lines)
		}
		m.enqueue(e.event())
	}
	m.mu.Unlock()
	m.tell()
}
