package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// A Machine is one simulated card machine. Its methods may be called from
// several goroutines.
type Machine struct {
	park *Park
	name name
	can  terminal.Capabilities

	mu      sync.Mutex
	mem     memory
	seen    map[txn.RequestID]fate
	newborn bool // it began without a memory and has accepted nothing since
	written bool // the memory is on disk
	stale   bool // something was forgotten since it was written
	woken   bool // it lost power and has not said so yet
	broken  bool // its memory cannot be written; it says nothing until it is switched on again
	cut     bool // its link is cut
	link    *link
	run     *run   // what it does for the gateway, or a report of its own; nil when idle
	round   *round // the waiter's visit; nil when there is none
	scripts []Script
	always  *Script // when no script is left

	troubles troubles
	panel    panel

	queue   []told // events that wait for the one who tells them
	telling bool
}

// A told is an event and the link that it is for.
type told struct {
	to    *link
	event terminal.Event
}

// A link is one connection to a machine. Only the newest one counts.
type link struct {
	m    *Machine
	sink terminal.Sink
	can  terminal.Capabilities
}

// Errors of a link. What was asked certainly was not done.
var (
	errLinkDown = errors.New("sim: the machine is not connected")
	errNotKnown = errors.New("sim: the machine does not run that request")
)

func newMachine(p *Park, n name) *Machine {
	return &Machine{park: p, name: n, can: capabilities(n), seen: map[txn.RequestID]fate{}}
}

func capabilities(n name) terminal.Capabilities {
	c := terminal.Capabilities{
		Currency: n.currency(), Model: "Desk/5000", Software: "9053",
		Types: txn.RequestTypes(), Duplicate: n.machine.Duplicate, Cashback: n.machine.Cashback,
		NotPresent: true, CancelAllowed: true,
	}
	if n.machine.Reports {
		c.Reports = report.Types()
	}
	if n.older() {
		c.Software, c.Types, c.NotPresent = "9052", []txn.Type{txn.Sale, txn.Refund}, false
	}
	return c
}

// TID is the machine's name, upper case.
func (m *Machine) TID() txn.TID { return m.name.tid }

// Connect links the machine to a gateway; an older link is dead from then on.
// Before it returns, the sink has been told that the machine came back, if it
// lost power or had another link before, then what runs and waits for a
// signature, then every ending that is not acknowledged.
func (m *Machine) Connect(sink terminal.Sink) terminal.Terminal {
	l := &link{m: m, sink: sink, can: m.can}
	m.mu.Lock()
	l.can.Memory = m.mem.Name
	again := m.link != nil
	m.drop()
	m.link, m.cut, m.troubles.pulled = l, m.troubles.dark, false
	m.round.unheard()
	if err := m.ready(); err != nil {
		m.breakDown(err)
	} else if again || m.woken {
		m.comeBack()
	}
	m.mu.Unlock()
	m.tell()
	return l
}

// ready makes sure that the memory is on disk and nothing is half done in it.
func (m *Machine) ready() error {
	if m.park.ctx.Err() != nil {
		return errClosed
	}
	if m.broken {
		if err := m.wake(); err != nil {
			return err
		}
		m.broken, m.woken = false, true
	}
	if m.written || m.park.o.Dir == "" {
		return nil
	}
	return m.commit(func(*memory) {})
}

// comeBack tells the newest link how things stand. The caller holds m.mu.
func (m *Machine) comeBack() {
	if m.cut {
		return // RestoreLink will
	}
	m.enqueue(terminal.CameBack{Restarted: m.woken})
	m.woken = false
	if c := m.mem.Current; c != nil && m.run != nil && m.run.asked && c.Answer == nil {
		m.enqueue(terminal.SignatureWanted{ID: c.ID, Wish: m.park.wish(m.name.tid, *c)})
	}
	for _, e := range m.mem.Untold {
		if e.Left == "" || !m.owes(e.Visit) {
			m.enqueue(e.event())
		}
	}
	if w := m.round; w != nil && w.open != nil && w.open.again != nil {
		m.enqueue(w.open.again)
	}
}

// CutLink cuts the machine off; it goes on with what it does. Until RestoreLink
// or Connect, nothing reaches it and nothing comes from it.
func (m *Machine) CutLink() {
	m.mu.Lock()
	m.cutLink()
	m.troubles.pulled = m.troubles.dark
	m.mu.Unlock()
	m.tell()
}

// cutLink is CutLink. The caller holds m.mu.
func (m *Machine) cutLink() {
	if m.cut {
		return
	}
	m.drop()
	if m.link != nil && !m.broken {
		m.queue = append(m.queue, told{m.link, terminal.WentAway{}})
	}
	m.cut = true
	m.troubles.cuts++
	m.round.unheard()
}

// RestoreLink undoes CutLink, unless the power is gone. What was not
// acknowledged is told again.
func (m *Machine) RestoreLink() {
	m.mu.Lock()
	m.troubles.pulled = false
	m.restoreLink()
	m.mu.Unlock()
	m.tell()
}

// restoreLink is RestoreLink. The caller holds m.mu.
func (m *Machine) restoreLink() {
	if m.cut && !m.troubles.dark {
		m.cut = false
		m.comeBack()
	}
}

// PowerCycle takes the machine's power away and gives it back: what ran ends as
// its memory says.
func (m *Machine) PowerCycle() error {
	m.mu.Lock()
	m.cutLink()
	m.troubles.pulled = false
	r, w := m.run, m.round
	m.mu.Unlock()
	m.tell()
	if r != nil {
		r.off()
		<-r.done
	}
	if w != nil {
		w.off()
		<-w.done
	}
	m.mu.Lock()
	err := m.wakeUp()
	m.mu.Unlock()
	m.tell()
	return err
}

// wakeUp is a machine that has its power back. The caller holds m.mu.
func (m *Machine) wakeUp() error {
	m.run, m.troubles.dark, m.panel.menu = nil, false, nil
	if err := m.wake(); err != nil {
		m.breakDown(err)
		return err
	}
	m.broken, m.woken, m.cut = false, true, m.troubles.pulled
	m.comeBack()
	return nil
}

// wake ends what was open when the power went. The caller holds m.mu.
func (m *Machine) wake() error {
	if c := m.mem.Current; c != nil {
		m.park.o.Log.Info("card machine woke with an open request", "tid", m.name.tid, "request", c.ID, "phase", c.Phase)
		if err := m.wakeWith(*c); err != nil {
			return err
		}
	}
	if m.mem.Visit == nil {
		return nil
	}
	m.park.o.Log.Info("card machine woke in a visit", "tid", m.name.tid, "visit", m.mem.Visit.ID)
	_, err := m.leave("the card machine lost power")
	return err
}

// wakeWith ends the request that ran when the power went.
func (m *Machine) wakeWith(c current) error {
	if c.Request.IsReport() { // nothing was printed and no total reset
		return m.commit(func(mem *memory) {
			mem.Current = nil
			mem.see(c.ID, fenced)
		})
	}
	_, err := m.conclude(c, c.verdict())
	return err
}

// conclude writes how a transaction ended and returns it. What must not stand
// is reversed at the acquirer first. The caller holds m.mu.
func (m *Machine) conclude(c current, result txn.Result) (ending, error) {
	o := m.outcome(c, result)
	if result != txn.Successful {
		if err := m.park.bank.reverse(m.name.tid, o.TransactionID); err != nil {
			return ending{}, err
		}
	}
	e := ending{ID: c.ID, Outcome: &o, Visit: c.Visit}
	return e, m.commit(func(mem *memory) {
		mem.Current = &c
		mem.end(e)
		if result == txn.Successful {
			mem.book(o, c.Waiter)
		}
	})
}

// outcome is what a transaction comes to that ends so.
func (m *Machine) outcome(c current, result txn.Result) txn.Outcome {
	o := c.Outcome
	o.Result = result
	switch result {
	case txn.Void:
		o.Type = reversalOf(o.Type)
	case txn.Successful:
	default:
		o.AuthCode = ""
	}
	o.Receipts = m.park.receipts(m.name.tid, o)
	return o
}

// book adds a transaction that moved money to the totals.
func (mem *memory) book(o txn.Outcome, w table.WaiterID) {
	switch o.Type {
	case txn.Sale, txn.Completion, txn.Refund:
		mem.Ledger = mem.Ledger.Add(report.Entry{
			Refund: o.Type == txn.Refund, Total: o.Total(), Cashback: o.Cashback, Gratuity: o.Gratuity,
			Issuer: o.Scheme, Acquirer: acquirerName, Waiter: string(w), Number: o.Number,
		})
	default: // nothing was charged
	}
}

// acquirerName is how the reports name the one acquirer.
const acquirerName = "SIMULATED ACQUIRER"

func reversalOf(t txn.Type) txn.Type {
	switch t {
	case txn.Sale:
		return txn.SaleReversal
	case txn.Refund:
		return txn.RefundReversal
	default:
		return t
	}
}

// breakDown is the end of a machine whose memory fails: better mute than
// forgetful. The caller holds m.mu.
func (m *Machine) breakDown(err error) {
	m.park.o.Log.Error("card machine cannot write its memory", "tid", m.name.tid, "error", err)
	m.enqueue(terminal.WentAway{})
	m.broken, m.run = true, nil
	if m.round != nil {
		m.round.off()
	}
}

// tell calls the sink with what waits, in order, one event at a time. While
// another goroutine does so it leaves the work to it.
func (m *Machine) tell() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stir()
	if m.telling {
		return
	}
	m.telling = true
	for len(m.queue) > 0 {
		next := m.queue[0]
		m.queue = m.queue[1:]
		if next.to != m.link {
			continue
		}
		m.mu.Unlock()
		next.to.sink(next.event)
		m.mu.Lock()
	}
	m.queue, m.telling = nil, false
}

// reaches reports whether what comes over l arrives. The caller holds m.mu.
func (m *Machine) reaches(l *link) bool {
	return m.link == l && !m.cut && !m.broken && m.park.ctx.Err() == nil
}

// enter locks the machine for a call over l. It waits while nothing gets
// through.
func (l *link) enter(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		l.m.mu.Lock()
		if !l.m.reaches(l) {
			l.m.mu.Unlock()
			return errLinkDown
		}
		h := l.m.troubles.hush
		if h == nil {
			return nil
		}
		l.m.mu.Unlock()
		if err := h.wait(ctx, l.m.park); err != nil {
			return err
		}
	}
}

// Capabilities implements [terminal.Terminal].
func (l *link) Capabilities() terminal.Capabilities { return l.can }

// Start implements [terminal.Terminal].
func (l *link) Start(ctx context.Context, r terminal.Request) error {
	if err := l.enter(ctx); err != nil {
		if errors.Is(err, errSilent) {
			return err
		}
		return fmt.Errorf("%w: %w", terminal.ErrNotDelivered, err)
	}
	m := l.m
	err := m.start(r)
	h := m.troubles.hush
	m.mu.Unlock()
	m.tell()
	if h != nil { // the reply is stuck
		if stuck := h.wait(ctx, m.park); err == nil {
			err = stuck
		}
	}
	return err
}

// start is Start once it has come to the machine. The caller holds m.mu.
func (m *Machine) start(r terminal.Request) error {
	if f, ok := m.seen[r.ID]; ok {
		return m.startedBefore(f, r)
	}
	if err := m.refusal(r); err != nil {
		return err
	}
	if m.run != nil || m.round.holds() {
		return terminal.ErrBusy
	}
	if err := m.keptAway(r); err != nil {
		return err
	}
	return m.begin(r)
}

// keptAway has the request's script keep it from arriving, or returns nil.
func (m *Machine) keptAway(r terminal.Request) error {
	s, _ := m.pick(r)
	i := slices.IndexFunc(s.Mishaps, func(mi Mishap) bool { return mi.At == AtStart && mi.bars() })
	if i < 0 {
		return nil
	}
	m.take(r)
	m.suffer(s.Mishaps[i])
	if s.Mishaps[i].loud() {
		return fmt.Errorf("%w: %w", terminal.ErrNotDelivered, errLinkDown)
	}
	return errSilent
}

// startedBefore answers a start whose id is known.
func (m *Machine) startedBefore(f fate, r terminal.Request) error {
	switch f {
	case fenced:
		return refuse("the request is fenced off: it was asked about before it arrived", "The card machine did not take this request. Please try again.")
	case before:
		return errors.New("sim: the machine cannot tell whether it had this request before its memory begins")
	case taken, lost:
	}
	if c := m.mem.Current; c != nil && c.ID == r.ID && c.Request != r {
		return refuse("another request with this id is running", "The card machine is busy with another request.")
	}
	return nil
}

func refuse(reason, user string) error {
	return &terminal.RefusedError{Reason: reason, UserMessage: user}
}

// maxTotal is the most that a terminal asks for, in minor units (the contract,
// section 3.3).
const maxTotal money.Minor = 99_999_999

// legal reports whether an id can be taken and remembered.
func legal(id txn.RequestID) bool {
	return id != "" && len(id) <= 128 && !strings.ContainsFunc(string(id), func(c rune) bool { return c <= ' ' || c == 0x7f })
}

// refusal says why the machine cannot do what is asked, or nil.
func (m *Machine) refusal(r terminal.Request) error {
	if !legal(r.ID) {
		return refuse("the request id is not 1 to 128 printable characters", "The card machine did not take this request.")
	}
	if r.IsReport() {
		if !slices.Contains(m.can.Reports, r.Report) {
			return refuse("no report "+string(r.Report)+" on software "+m.can.Software, "This card machine cannot print that report.")
		}
		return nil
	}
	t := r.Txn
	switch {
	case !slices.Contains(m.can.Types, t.Type):
		return refuse("no "+string(t.Type)+" on software "+m.can.Software, "This card machine cannot do that kind of transaction.")
	case t.Currency != m.can.Currency:
		return refuse("the currency is "+string(m.can.Currency), "This card machine takes "+string(m.can.Currency)+" only.")
	case t.Cashback != 0 && (!m.can.Cashback || t.Type != txn.Sale):
		return refuse("no cashback with "+string(t.Type)+" on software "+m.can.Software, "This card machine cannot give cashback. Please take the payment without it.")
	case t.CardholderNotPresent && !m.can.NotPresent:
		return refuse("no keyed entry for an absent cardholder on software "+m.can.Software, "This card machine needs the cardholder and the card.")
	case t.Amount < 0 || t.Cashback < 0 || t.Amount > maxTotal || t.Cashback > maxTotal || t.Total() > maxTotal,
		t.Amount == 0 && t.Type != txn.AccountVerification:
		return refuse("the amount is out of range", "The card machine cannot take this amount.")
	case t.Type == txn.Completion && t.AuthCode == "":
		return refuse("a completion without an auth code", "Please give the auth code of the pre-authorisation.")
	}
	return nil
}

// begin accepts a request: on disk first, then it runs. The caller holds m.mu.
func (m *Machine) begin(r terminal.Request) error {
	run, err := m.accept(m.opened(r))
	if err != nil {
		return err
	}
	m.newborn = false
	struck := run.strike(AtStarted)
	if run.script.LoseReply || slices.ContainsFunc(struck, Mishap.loud) {
		return errors.New("sim: the reply of the machine was lost")
	}
	return nil
}

// opened is a request before anything is done about it.
func (m *Machine) opened(r terminal.Request) current {
	c := current{ID: r.ID, Request: r, Phase: begun}
	if !r.IsReport() {
		c.Outcome = txn.Outcome{
			Type: r.Txn.Type, Currency: r.Txn.Currency, Base: r.Txn.Amount, Cashback: r.Txn.Cashback,
			TransactionID: txn.TransactionID(fmt.Sprint(m.mem.NextID)),
			Number:        fmt.Sprintf("%04d", m.mem.Number%9999+1),
			Time:          m.park.now(), Method: txn.MethodUnknown, CVM: txn.CVMUnknown,
		}
		if r.Txn.Type == txn.AccountVerification {
			c.Outcome.Base = 0
		}
	}
	return c
}

// open notes a request as the one that runs.
func (mem *memory) open(c current) {
	mem.Current = &c
	mem.see(c.ID, taken)
	if !c.Request.IsReport() {
		mem.NextID++
		mem.Number = mem.Number%9999 + 1
	}
}

// accept notes a request, and then it runs. The caller holds m.mu.
func (m *Machine) accept(c current) (*run, error) {
	if err := m.commit(func(mem *memory) { mem.open(c) }); err != nil {
		m.breakDown(err)
		return nil, fmt.Errorf("sim: the machine could not note the request: %w", err)
	}
	m.calm()
	byHands := m.panel.touched && len(m.scripts) == 0 && m.always == nil
	run := newRun(m.park.ctx, m, c, m.take(c.Request))
	if byHands {
		run.people = &byHand{run: run}
	}
	m.panel.menu = nil
	run.strike(AtStart)
	if !m.park.run(run.play) { // closed in this instant: it wakes with the request
		run.off()
		return nil, errLinkDown
	}
	m.run = run
	return run, nil
}

// Cancel implements [terminal.Terminal].
func (l *link) Cancel(ctx context.Context, id txn.RequestID) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	defer l.m.mu.Unlock()
	if r := l.m.run; r != nil && r.c.ID == id {
		select {
		case r.wish <- struct{}{}:
		default: // one wish is enough
		}
	}
	return nil
}

// AnswerSignature implements [terminal.Terminal].
func (l *link) AnswerSignature(ctx context.Context, id txn.RequestID, accepted bool) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	defer l.m.mu.Unlock()
	return l.m.answer(id, accepted)
}

// answer takes the decision on a signature. The caller holds m.mu.
func (m *Machine) answer(id txn.RequestID, accepted bool) error {
	c := m.mem.Current
	if c == nil || c.ID != id || m.run == nil {
		if _, ok := m.ending(id); ok {
			return nil
		}
		return errNotKnown
	}
	if !m.run.asked {
		return errors.New("sim: the machine waits for no signature")
	}
	if c.Answer != nil {
		return nil
	}
	next := *c
	next.Answer = &accepted
	if err := m.commit(func(mem *memory) { mem.Current = &next }); err != nil {
		return err
	}
	close(m.run.answered)
	return nil
}

// Query implements [terminal.Terminal]. An id that the machine never saw is
// fenced off, on disk, before it says NeverRan. A machine that began without a
// memory, and has accepted nothing since, may be asked about the time before: it
// cannot tell, and stays with that word.
func (l *link) Query(ctx context.Context, id txn.RequestID) (terminal.Answer, error) {
	if err := l.enter(ctx); err != nil {
		return terminal.Answer{}, err
	}
	m := l.m
	defer m.mu.Unlock()
	if c := m.mem.Current; c != nil && c.ID == id {
		return terminal.Answer{Kind: terminal.InProgress}, nil
	}
	if e, ok := m.ending(id); ok {
		return terminal.Answer{Kind: terminal.Final, Outcome: e.Outcome, Report: e.Report}, nil
	}
	kind, err := m.fence(id)
	return terminal.Answer{Kind: kind}, err
}

// fence answers a query for an id of which the machine knows no ending. An
// unknown one never runs from then on. The caller holds m.mu.
func (m *Machine) fence(id txn.RequestID) (terminal.AnswerKind, error) {
	if !legal(id) {
		return terminal.NeverRan, nil // it is refused anyway
	}
	f, ok := m.seen[id]
	if !ok {
		f = fenced
		if m.newborn {
			f = before
		}
		if err := m.commit(func(mem *memory) { mem.see(id, f) }); err != nil {
			return terminal.CannotTell, err
		}
	}
	if f == fenced {
		return terminal.NeverRan, nil
	}
	return terminal.CannotTell, nil
}

// Acknowledge implements [terminal.Terminal]. The machine forgets at its next
// write; should it lose power before, it tells the ending once more.
func (l *link) Acknowledge(ctx context.Context, id txn.RequestID) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	defer l.m.mu.Unlock()
	m := l.m
	m.heard(func(e ending) bool { return e.ID == id && e.Visit == "" })
	return nil
}

// heard forgets an ending that was answered. The caller holds m.mu.
func (m *Machine) heard(which func(ending) bool) {
	if i := slices.IndexFunc(m.mem.Untold, which); i >= 0 {
		m.mem.Untold = slices.Concat(m.mem.Untold[:i], m.mem.Untold[i+1:])
		m.stale = m.park.o.Dir != ""
	}
}

// Last implements [terminal.Terminal]. Machines without duplicates refuse.
func (l *link) Last(ctx context.Context) (terminal.Last, error) {
	if err := l.enter(ctx); err != nil {
		return terminal.Last{}, err
	}
	defer l.m.mu.Unlock()
	if !l.m.can.Duplicate {
		return terminal.Last{}, refuse("no duplicate on software "+l.m.can.Software, "This card machine cannot print a duplicate.")
	}
	last := l.m.mem.Last
	if last == nil {
		return terminal.Last{}, terminal.ErrNoLast
	}
	o := *last.Outcome
	o.Receipts.Merchant, o.Receipts.Customer = nil, duplicate(o.Receipts.Customer)
	if last.Visit != "" { // the machine made it by itself
		return terminal.Last{Outcome: o}, nil
	}
	return terminal.Last{ID: last.ID, Outcome: o}, nil
}

func (p *Park) now() time.Time { return time.Now().In(p.o.Zone) }
