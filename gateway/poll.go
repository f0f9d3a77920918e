package gateway

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/txn"
)

// A View is one request as a till sees it that comes back to look: what it was
// told so far. Nobody changes one once it was handed out.
type View struct {
	ID   txn.RequestID
	TID  txn.TID // as the terminal is named
	Kind Kind
	At   time.Time // when it was accepted

	// Notices are the progress that was told, oldest first, without the word that
	// it is finished. Of those the first Kept are on disk.
	Notices []Notice
	Kept    int

	// Wish is the question to the cashier, if there was one, and SignBy when it is
	// too late for an answer. Signing says that it is open, SignedBy who decided.
	Wish     *txn.SignatureWish
	SignBy   time.Time
	Signing  bool
	SignedBy txn.SignatureBy

	// Ended says that it has its end as far as tills are concerned, which changes
	// no more. Outcome is what is told then: not known is TIMED_OUT. It is nil for a
	// report, and for a duplicate where there is nothing to repeat.
	Ended   bool
	EndedAt time.Time
	Outcome *txn.Outcome
	NotRun  txn.Reason // it certainly did not run

	// Late is what became known after the end was told, and is something else.
	// Waits says that such may still come.
	Late   *txn.Outcome
	LateAt time.Time
	Waits  bool

	ReportType report.Type
	Report     *report.Report // nil once it has ended: none came in time
	Currency   money.Currency // the terminal's, of a report or a duplicate
}

// A Kind says what a till asked for.
type Kind string

// The kinds of requests.
const (
	OfTransaction Kind = "transaction"
	OfReport      Kind = "report"
	OfDuplicate   Kind = "duplicate" // the last transaction once more
)

// A Notice is a notification and when it came.
type Notice struct {
	Value txn.Notification
	At    time.Time
}

// Polls are the views of a site's requests that were looked at: of those that are
// in hand, and lately of those that are not.
type polls struct {
	mu  sync.Mutex
	all map[txn.RequestID]*poll
	old map[txn.RequestID]oldView
}

// An oldView is what a number of records came to.
type oldView struct {
	records int
	view    View
}

// maxOldViews bounds how many are kept.
const maxOldViews = 512

// recall returns the view of a stream of so many records, if it is remembered.
func (p *polls) recall(id txn.RequestID, records int) (View, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o, ok := p.old[id]
	return o.view, ok && o.records == records
}

// remember keeps a view for the next look; any other may go for it.
func (p *polls) remember(id txn.RequestID, records int, v View) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.old == nil {
		p.old = map[txn.RequestID]oldView{}
	}
	for other := range p.old {
		if len(p.old) < maxOldViews {
			break
		}
		delete(p.old, other)
	}
	p.old[id] = oldView{records, v}
}

// A poll is the view of one request while it changes.
type poll struct {
	view    View
	changed chan struct{} // closed with each change; nil while nobody waits for one
}

// begin has a request in hand be looked at from now on.
func (p *polls) begin(id txn.RequestID, v View) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil {
		p.all = map[txn.RequestID]*poll{}
	}
	if p.all[id] == nil {
		p.all[id] = &poll{view: v}
	}
}

// end shows the last view of a request; from now on the journal has it.
func (p *polls) end(id txn.RequestID, view func() View) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w := p.all[id]; w != nil {
		w.turn(view())
		delete(p.all, id)
	}
}

// show shows how a request goes on, if it was looked at.
func (p *polls) show(id txn.RequestID, view func() View) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w := p.all[id]; w != nil {
		w.turn(view())
	}
}

// turn takes the next view. The lock of the polls is held.
func (w *poll) turn(v View) {
	w.view = v
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
}

// get returns the view of a request in hand, and a channel that is closed when it
// has changed.
func (p *polls) get(id txn.RequestID) (View, <-chan struct{}, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.all[id]
	if w == nil {
		return View{}, nil, false
	}
	if w.changed == nil {
		w.changed = make(chan struct{})
	}
	return w.view, w.changed, true
}

// Look returns how a request of the site at that terminal stands, and a channel
// that is closed when that has changed, or nil when it will not any more. It writes
// nothing. The error is ErrNoRequest, or one of the journal.
func (t *Till) Look(ctx context.Context, tid txn.TID, id txn.RequestID) (View, <-chan struct{}, error) {
	if v, changed, ok := t.site.polls.get(id); ok {
		if foldTID(v.TID) != foldTID(tid) {
			return View{}, nil, ErrNoRequest
		}
		return v, changed, nil
	}
	h, err := t.head(ctx, tid, id)
	if err != nil {
		return View{}, nil, err
	}
	if a := t.site.actor(h.TID); h.Open && a != nil {
		err := a.ordered(ctx, func() error {
			if w, ok := a.works[id].(viewable); ok {
				t.site.polls.begin(id, w.view())
			}
			return nil
		})
		if err != nil && !errors.Is(err, errClosed) { // else the journal is what is left
			return View{}, nil, err
		}
		if v, changed, ok := t.site.polls.get(id); ok {
			return v, changed, nil
		}
	}
	if v, ok := t.site.polls.recall(id, h.Records); ok {
		return v, nil, nil
	}
	v, err := t.read(ctx, h)
	if err == nil && v.Ended && !v.Waits { // else it is shown as it goes on, by who has it in hand
		t.site.polls.remember(id, h.Records, v)
	}
	return v, nil, err
}

// A viewable is a work that tills may look at.
type viewable interface {
	work
	view() View
}

// read makes the view of what the journal has of a request.
func (t *Till) read(ctx context.Context, h journal.Head) (View, error) {
	records, err := t.g.store.Records(ctx, h.Stream)
	if err != nil {
		return View{}, err
	}
	a := t.sess().nobody(h.TID)
	switch h.Kind {
	case journal.TransactionStream:
		w := &transaction{a: a}
		w.txn, err = journal.ReplayTxn(records)
		w.hear(records)
		return w.view(), err
	case journal.ReportStream:
		r := &reportRun{a: a}
		if r.run, err = journal.ReplayReport(records); err == nil && r.run.Brought {
			err = ErrNoRequest // nobody asked for it here
		}
		return r.view(), err
	case journal.DuplicateStream:
		d := a.newDuplicate(h.Stream, "", len(records))
		d.state, err = journal.ReplayDuplicate(records)
		return d.view(), err
	default:
		return View{}, ErrNoRequest
	}
}

// hear takes from records, which are all of the stream, what was told and when.
func (t *transaction) hear(records []journal.Record) {
	t.heard = nil
	for _, r := range records {
		e, err := journal.DecodeTxn(r)
		if err != nil {
			continue // who replays them says so
		}
		switch e := e.(type) {
		case txn.Notified:
			t.hears(e)
		case txn.Answered:
			t.toldAt = e.At
		default:
		}
	}
	t.keptHeard = len(t.heard)
}

// hears takes in one notification, once if it comes twice running. The question
// about a signature is one, however often it is put on connections.
func (t *transaction) hears(n txn.Notified) {
	same := func(before Notice) bool { return before.Value == n.Value }
	switch {
	case n.Value == txn.TransactionFinished, len(t.heard) > 0 && same(t.heard[len(t.heard)-1]):
		return
	case (n.Value == txn.SignatureVerification || n.Value == txn.SignatureInProgress) && slices.ContainsFunc(t.heard, same):
		return
	}
	t.heard = append(t.heard, Notice{n.Value, n.At})
}

// show has tills that look see the transaction as it stands.
func (t *transaction) show() { t.a.site.polls.show(t.txn.ID, t.view) }

// view implements viewable.
func (t *transaction) view() View {
	v := View{
		ID: t.txn.ID, TID: t.a.tid, Kind: OfTransaction, At: t.txn.AcceptedAt,
		Notices: slices.Clip(t.heard), Kept: t.keptHeard, SignedBy: t.txn.SignatureBy, NotRun: t.txn.NotRun,
	}
	if t.decision != nil {
		v.SignedBy = t.decision.By
	}
	if t.txn.Wish != nil {
		v.Wish, v.SignBy = t.txn.Wish, t.txn.WantedAt.Add(t.a.site.settings.Load().limits[spec.TimerSignature])
		v.Signing = v.SignedBy == "" && t.signable()
	}
	o := t.toldOutcome()
	if o == nil {
		return v
	}
	v.Ended, v.Outcome, v.EndedAt = true, o, t.toldAt
	switch late := t.txn; {
	case late.Told == txn.ToldTimedOut && late.State == txn.Finished:
		known := paymentOf(late)
		v.Late, v.LateAt = &known, late.KnownAt
	case late.Told == txn.ToldTimedOut:
		v.Waits = true
	case late.Conflict != nil:
		v.Late, v.LateAt = late.Conflict, late.KnownAt
	}
	return v
}

// signable reports whether the cashier's word counts, as far as the state goes: a
// machine that went away with its question hears the answer when it is back.
func (t *transaction) signable() bool {
	open := t.txn.State == txn.Signing || t.txn.State == txn.Unresolved && t.txn.Wish != nil && t.txn.SignatureBy == ""
	return open && t.txn.Told == txn.ToldNothing
}

// toldOutcome is what tills were told, whatever became known since, or nil.
func (t *transaction) toldOutcome() *txn.Outcome {
	var o txn.Outcome
	switch k := t.txn; {
	case k.Told == txn.ToldNothing:
		return nil
	case k.Told == txn.ToldTimedOut:
		o = attempted(k, txn.TimedOut)
	case k.Outcome != nil:
		o = *k.Outcome
	default:
		k.Conflict = nil
		o = attempted(k, resultOf(k))
	}
	return &o
}

// show has tills that look see the report as it stands.
func (r *reportRun) show() { r.a.site.polls.show(r.requestID(), r.view) }

// view implements viewable.
func (r *reportRun) view() View {
	v := View{ID: r.requestID(), TID: r.a.tid, Kind: OfReport, At: r.run.At, ReportType: r.run.Type, Currency: r.anyCurrency()}
	switch {
	case r.run.Failed != "":
		v.Ended = true
	case r.run.Told == report.Complete:
		v.Ended, v.Report = true, r.run.Report
	case r.told():
		v.Ended = true
	}
	return v
}

// view implements viewable.
func (d *duplicateRun) view() View {
	return View{
		ID: d.stream, TID: d.a.tid, Kind: OfDuplicate, At: d.state.At,
		Ended: d.state.State == txn.DuplicateFinished, EndedAt: d.state.EndedAt, Outcome: d.state.Outcome, Currency: d.a.anyCurrency(),
	}
}
