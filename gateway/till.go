package gateway

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/txn"
)

// This file serves tills that have no connection of their own: they ask, and come
// back to see what became of it. Actors, journal, timers and keys are those of the
// tills that are connected; only nobody is told anything.

// A Till is somebody who showed a working key of a site, for one request. What it
// can see starts from that site.
type Till struct {
	g      *Gateway
	site   *site
	key    string
	caller txn.Caller
	devs   []string // tolerated of its message; of what it does to tables
}

// FaceREST is the face of tills that poll.
const FaceREST = "rest"

// The errors of a Till that have no more to say.
var (
	// ErrWrongKey is said of a key that does not work here.
	ErrWrongKey = errors.New("gateway: the key is not known or was revoked")
	// ErrNoTerminal is said of a terminal that is not the site's or is not
	// connected.
	ErrNoTerminal = errors.New("gateway: no such terminal is connected")
	// ErrNoRequest is said of an id that no request at that terminal has.
	ErrNoRequest = errors.New("gateway: no such request")
	// ErrBusy is said where the terminal does something else.
	ErrBusy = errors.New("gateway: the terminal is busy")
	// ErrKeyDiffers is said of a request key that was used for something else.
	ErrKeyDiffers = errors.New("gateway: the request key was used for a different request")
	// ErrUnavailable is said while no new request is taken: the journal cannot
	// write, or the gateway stops.
	ErrUnavailable = errors.New("gateway: new requests are not taken at the moment")
)

// An UnavailableError is an ErrUnavailable with a Text for the cashier.
type UnavailableError struct{ Text string }

// Error is the text.
func (e *UnavailableError) Error() string { return "gateway: " + e.Text }

// Is makes it an ErrUnavailable.
func (e *UnavailableError) Is(target error) bool { return target == ErrUnavailable }

// An UnableError says that a terminal cannot do what it was asked for. Text is for
// the cashier.
type UnableError struct{ Text string }

// Error is the text.
func (e *UnableError) Error() string { return "gateway: " + e.Text }

// Till finds whose key that is. Of c the face is filled in. The error is
// ErrWrongKey.
func (g *Gateway) Till(key string, c txn.Caller) (*Till, error) {
	k, ok := g.key(key)
	if !ok || len(k.Faces) > 0 && !slices.Contains(k.Faces, FaceREST) {
		return nil, ErrWrongKey
	}
	s := g.site(k.Site)
	if s == nil {
		return nil, ErrWrongKey
	}
	c.Face = FaceREST
	return &Till{g: g, site: s, key: k.ID, caller: c}, nil
}

// Site and Key name whom the till belongs to, for the log.
func (t *Till) Site() txn.SiteID { return t.site.settings.Load().ID }

// Key is the public id of the key that was shown.
func (t *Till) Key() string { return t.key }

// Zone is the site's time zone.
func (t *Till) Zone() *time.Location { return t.site.settings.Load().zone }

// Terminals lists the site's connected terminals in the order in which they were
// plugged in.
func (t *Till) Terminals() []TerminalView {
	all := t.g.Terminals(t.Site())
	return slices.DeleteFunc(all, func(v TerminalView) bool { return !v.Connected })
}

// Terminal returns a connected terminal of the site, or ErrNoTerminal.
func (t *Till) Terminal(tid txn.TID) (TerminalView, error) {
	a := t.g.find(t.site, tid)
	if a == nil || !a.view.Load().Connected {
		return TerminalView{}, ErrNoTerminal
	}
	return *a.view.Load(), nil
}

// CapabilityNames lists what a terminal can do in the words of the contract's older
// versions.
func (v TerminalView) CapabilityNames() []string { return capabilities(v) }

// A Wish is what a till asks a terminal for: a transaction, or a report, or its
// last transaction once more.
type Wish struct {
	TID       txn.TID
	Txn       txn.Request
	Report    report.Type // of a report, whose Txn is zero
	Duplicate bool

	Key        string   // of the till's, so that it can ask again; empty for none
	Deviations []string // what was tolerated of the till's message
}

func (w Wish) body() body {
	return body{tid: w.TID, txn: w.Txn, report: w.Report, duplicate: w.Duplicate}
}

// A Begun is a request that was taken.
type Begun struct {
	ID       txn.RequestID
	TID      txn.TID // as the terminal is named
	Replayed bool    // it was taken before, under the same key
}

// Begin records a request, after which it goes its way. It waits for the journal
// and never for the terminal. With one of these errors nothing was begun:
// ErrNoTerminal, ErrBusy, an *UnableError, ErrKeyDiffers or an *UnavailableError. Any
// other error, as when ctx or the gateway ends meanwhile, says nothing about that.
func (t *Till) Begin(ctx context.Context, w Wish) (Begun, error) {
	key := keptKey(w.Key)
	if w.Key == "" {
		return t.start(ctx, "", w)
	}
	for {
		decided := make(chan struct{})
		held, mine := t.site.keys.claim(key, func() { close(decided) })
		switch {
		case held != nil:
			return t.replayed(ctx, held, w)
		case mine:
			return t.claimed(ctx, key, w)
		}
		select {
		case <-decided:
		case <-ctx.Done():
			return Begun{}, ctx.Err()
		case <-t.g.ctx.Done():
			return Begun{}, errorOf(stopping())
		}
	}
}

// claimed goes on with the key in hand: what the journal has of it is the answer,
// else it begins.
func (t *Till) claimed(ctx context.Context, key string, w Wish) (Begun, error) {
	before, err := t.sess().kept(key)
	switch {
	case err != nil && t.g.ctx.Err() != nil:
		t.site.keys.free(key)
		return Begun{}, errorOf(stopping())
	case err != nil:
		t.g.log.Error("what a request key stands for could not be read", "error", err)
		t.site.keys.free(key)
		return Begun{}, errorOf(storage(err))
	case before != nil:
		t.site.keys.free(key)
		return t.replayed(ctx, before, w)
	}
	return t.start(ctx, key, w)
}

// replayed is the answer to a request whose key another one has.
func (t *Till) replayed(ctx context.Context, held keyed, w Wish) (Begun, error) {
	var differs bool
	b := Begun{Replayed: true}
	asked := func() {
		differs = held.asked().differs(0, w.body()) != ""
		b.ID = held.requestID()
	}
	a := held.actor()
	if a.mail == nil { // it has its end, and is in nobody's hands
		asked()
	} else if err := a.ordered(ctx, func() error { asked(); return nil }); err != nil {
		return Begun{}, err
	}
	if differs {
		return Begun{}, ErrKeyDiffers
	}
	t.g.metrics.joined.Inc()
	b.TID = a.tid
	return b, nil
}

// start hands the request to its terminal. The key, if there is one, is the
// caller's until then.
func (t *Till) start(ctx context.Context, key string, w Wish) (Begun, error) {
	a, err := t.ready(w.TID)
	if err != nil {
		t.site.keys.free(key)
		return Begun{}, err
	}
	type begun struct {
		id  txn.RequestID
		err error
	}
	taken := make(chan begun, 1)
	a.do(func() {
		id, err := a.begin(t, key, w)
		if err != nil {
			a.site.keys.free(key)
		}
		taken <- begun{id, err}
	})
	select {
	case b := <-taken:
		return Begun{ID: b.id, TID: a.tid}, b.err
	case <-ctx.Done():
		return Begun{}, ctx.Err()
	case <-t.g.ctx.Done():
		return Begun{}, errClosed // it may be on disk: that it was not taken is nobody's to say
	}
}

// ready finds the terminal, where requests are taken at all.
func (t *Till) ready(tid txn.TID) (*actor, error) {
	if err := t.g.store.Healthy(); err != nil {
		t.g.log.Error("a request was refused: the journal cannot take it", "error", err)
		return nil, errorOf(storage(err))
	}
	if t.g.Stopping() {
		return nil, errorOf(stopping())
	}
	a := t.g.find(t.site, tid)
	if a == nil || !a.view.Load().Connected {
		return nil, ErrNoTerminal
	}
	return a, nil
}

// begin takes a request for which nobody waits.
func (a *actor) begin(t *Till, key string, w Wish) (txn.RequestID, error) {
	var f *fault
	a.g.metrics.deviations.Add(float64(len(w.Deviations)))
	id := NewRequestID(time.Now())
	switch {
	case w.Report != "":
		f = a.beginReport(nil, key, id, w.Report, w.Deviations)
	case w.Duplicate:
		f = a.beginDuplicate(key, id, t.caller, w.Deviations)
	default:
		f = a.beginTransaction(nil, key, id, w.Txn, t.caller, w.Deviations)
	}
	if v, ok := a.works[id].(viewable); ok { // looks need not wait for the actor, which may wait for a disk
		a.site.polls.begin(id, v.view())
	}
	return id, errorOf(f)
}

// errorOf is a fault as a Till's caller hears it.
func errorOf(f *fault) error {
	if f == nil {
		return nil
	}
	switch f.code {
	case spec.CodeTerminalUnavailable:
		return ErrNoTerminal
	case spec.CodeTerminalBusy:
		return ErrBusy
	case spec.CodeRequestNotSupported:
		return &UnableError{f.userMessage}
	}
	if f.userMessage == spec.UserMessageInternal { // of what else is wrong with a journal a till need not know
		return &UnavailableError{spec.UserMessageStorageFull}
	}
	return &UnavailableError{f.userMessage}
}

// sess stands for the session that there is not, to read what its site has.
func (t *Till) sess() *Session { return &Session{g: t.g, site: t.site, caller: t.caller} }

// head finds a request of the site at that terminal that is still kept, or
// ErrNoRequest.
func (t *Till) head(ctx context.Context, tid txn.TID, id txn.RequestID) (journal.Head, error) {
	h, err := t.g.store.Head(ctx, id)
	if errors.Is(err, journal.ErrNotFound) {
		return h, ErrNoRequest
	}
	if err != nil {
		return h, err
	}
	if h.Site != t.Site() || foldTID(h.TID) != foldTID(tid) || t.site.settings.Load().lapsed(h) {
		return h, ErrNoRequest
	}
	return h, nil
}

// lapsed reports whether a request has its end for longer than ends are kept.
func (s *settings) lapsed(h journal.Head) bool {
	keep, own := s.Limits[spec.TimerKeepOutcomes]
	if !own {
		keep = spec.Default().Timer(spec.TimerKeepOutcomes)
	}
	return !h.Open && time.Since(h.EndedAt) > keep
}

// live has f run in the actor's goroutine on the transaction of that id, if it is
// one that has no end yet. It reports whether there was one.
func (t *Till) live(ctx context.Context, tid txn.TID, id txn.RequestID, f func(*transaction)) (bool, error) {
	a := t.site.actor(tid)
	if a == nil {
		return false, nil
	}
	found := false
	err := a.ordered(ctx, func() error {
		if w, ok := a.works[id].(*transaction); ok {
			found = true
			f(w)
		}
		return nil
	})
	switch {
	case errors.Is(err, errClosed):
		return false, errorOf(stopping())
	case err != nil:
		return false, err // it may be under way all the same
	}
	return found, nil
}

// Cancel passes the wish on that a transaction be cancelled. With wait it returns
// once it is recorded how that went, or the contract's time for it is over;
// cancelled says that no money moves. The error is ErrNoRequest.
func (t *Till) Cancel(ctx context.Context, tid txn.TID, id txn.RequestID, wait bool) (cancelled bool, err error) {
	h, err := t.head(ctx, tid, id)
	if err != nil {
		return false, err
	}
	if h.Kind != journal.TransactionStream {
		if h.Kind == journal.DuplicateStream {
			return false, nil // it is over before anybody could cancel it
		}
		return false, ErrNoRequest
	}
	decided := make(chan bool, 1)
	found, err := t.live(ctx, h.TID, id, func(w *transaction) {
		if w.txn.Told != txn.ToldNothing {
			decided <- false
			return
		}
		if wait {
			w.waitCancelled(func(yes bool) { decided <- yes })
		}
		w.cancel()
	})
	if err != nil {
		return false, err
	}
	if !found {
		v, err := t.read(ctx, h)
		return err == nil && v.Outcome != nil && v.Outcome.Result == txn.Cancelled, err
	}
	if !wait {
		return false, nil
	}
	select {
	case yes := <-decided:
		return yes, nil
	case <-ctx.Done():
		return false, ctx.Err()
	case <-t.g.ctx.Done():
		return false, errorOf(stopping())
	}
}

// A Signed says what an answer to a signature came to.
type Signed int

// What an answer can come to.
const (
	SignatureTaken    Signed = iota // it decides, or is what decided before
	SignatureUnwanted               // none is wanted, or another one decided
)

// AnswerSignature is the cashier's word on a signature. The first one stands; it is
// on disk when the call returns, unless the disk cannot take it, in which case it
// is tried on. The error is ErrNoRequest.
func (t *Till) AnswerSignature(ctx context.Context, tid txn.TID, id txn.RequestID, accepted bool, deviations []string) (Signed, error) {
	h, err := t.head(ctx, tid, id)
	if err != nil {
		return 0, err
	}
	if h.Kind == journal.ReportStream || h.Kind == journal.VisitStream {
		return 0, ErrNoRequest
	}
	if h.Kind != journal.TransactionStream {
		return SignatureUnwanted, nil
	}
	said := SignatureUnwanted
	judge := func(by txn.SignatureBy, decided bool) {
		if by == txn.ByTill && decided == accepted {
			said = SignatureTaken
		}
	}
	found, err := t.live(ctx, h.TID, id, func(w *transaction) {
		switch {
		case w.decision != nil:
			judge(w.decision.By, w.decision.Accepted)
		case w.signable():
			t.g.metrics.deviations.Add(float64(len(deviations)))
			w.signatureAnswered(accepted, deviations)
			said = SignatureTaken
		default:
			judge(w.txn.SignatureBy, w.txn.SignatureAccepted)
		}
	})
	switch {
	case err != nil:
		return 0, err
	case found:
		return said, nil
	}
	records, err := t.g.store.Records(ctx, id)
	if err != nil {
		return 0, err
	}
	was, err := journal.ReplayTxn(records)
	judge(was.SignatureBy, was.SignatureAccepted)
	return said, err
}

// PrintableKey reports whether a till may give that request key: 1 to 64 visible
// ASCII characters.
func PrintableKey(key string) bool {
	return key != "" && len(key) <= maxStreamName && !strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' })
}
