package txn

import (
	"fmt"
	"reflect"
	"slices"
	"time"
)

// An Event is something that happened to a transaction. The set is closed.
type Event interface{ event() }

// The events, in the past tense.
type (
	// Accepted: the till's request passed every check. The first event of each.
	Accepted struct {
		ID      RequestID
		Site    SiteID
		TID     TID
		Request Request
		Caller  Caller
		// Deviations are what was tolerated of the till's message, as in
		// "/params/reference is not allowed here". They change nothing.
		Deviations []string
		At         time.Time
	}
	// Dispatched: the gateway is about to tell the terminal. On disk before it does.
	// Memory names the memory of the terminal that it went to, where it has a name.
	Dispatched struct {
		Memory string
		At     time.Time
	}
	// Started: the terminal said that it took the request.
	Started struct{}
	// Notified: progress, shown to the till.
	Notified struct {
		Value Notification
		At    time.Time
	}
	// CancelWished: somebody on the site asked for a cancel.
	CancelWished struct{ At time.Time }
	// SignatureWanted: the terminal asks for the signature to be verified.
	SignatureWanted struct {
		Wish SignatureWish
		At   time.Time
	}
	// SignatureAnswered: the signature was decided. On disk before the terminal hears it.
	SignatureAnswered struct {
		Accepted   bool
		By         SignatureBy
		Deviations []string // of the till's answer
		At         time.Time
	}
	// LinkLost: the terminal went away with the transaction.
	LinkLost struct{ At time.Time }
	// Restarted: the gateway began anew and found the transaction open.
	Restarted struct{ At time.Time }
	// Resumed: the terminal said that the transaction is in progress.
	Resumed struct{ At time.Time }
	// CouldNotTell: the terminal was asked and cannot say what became of it.
	CouldNotTell struct{ At time.Time }
	// Ended: the terminal's final word.
	Ended struct {
		Outcome Outcome
		At      time.Time
	}
	// NeverRan: it is certain that the terminal did not and will not run it.
	NeverRan struct {
		Reason Reason
		At     time.Time
	}
	// Answered: the till was given its one answer, or would have been had it
	// still been there.
	Answered struct {
		Told Told
		At   time.Time
	}
	// Resolved: an operator said what became of it.
	Resolved struct {
		Resolution Resolution
		At         time.Time
	}
	// Contradicted: after the end, the terminal said something else.
	Contradicted struct {
		Outcome Outcome
		At      time.Time
	}
	// Corrected: the truth that came after TIMED_OUT reached a till of the site;
	// or, with Lapsed, none asked for it in time, and it is not pushed any more.
	Corrected struct {
		Lapsed bool
		At     time.Time
	}
)

func (Accepted) event()          {}
func (Dispatched) event()        {}
func (Started) event()           {}
func (Notified) event()          {}
func (CancelWished) event()      {}
func (SignatureWanted) event()   {}
func (SignatureAnswered) event() {}
func (LinkLost) event()          {}
func (Restarted) event()         {}
func (Resumed) event()           {}
func (CouldNotTell) event()      {}
func (Ended) event()             {}
func (NeverRan) event()          {}
func (Answered) event()          {}
func (Resolved) event()          {}
func (Contradicted) event()      {}
func (Corrected) event()         {}

// An IllegalMove is the error for an event that the state does not allow.
type IllegalMove struct {
	ID    RequestID
	State State
	Event Event
}

// Error names the event, the state and the request.
func (e *IllegalMove) Error() string {
	state := e.State
	if state == "" {
		state = "not begun"
	}
	return fmt.Sprintf("txn: %T in state %s of request %s", e.Event, state, e.ID)
}

const begin State = "" // before Accepted

// Apply returns t as it stands after e, or an *IllegalMove and t as it was.
func Apply(t Transaction, e Event) (Transaction, error) {
	switch e := e.(type) {
	case Accepted:
		return t.move(e, Requested, func(t *Transaction) {
			t.ID, t.Site, t.TID, t.Request, t.Caller, t.AcceptedAt = e.ID, e.Site, e.TID, e.Request, e.Caller, e.At
		}, begin)
	case Dispatched:
		if t.CancelWished {
			break // it ends withdrawn: the terminal never hears of it
		}
		return t.move(e, AtTerminal, func(t *Transaction) { t.DispatchedAt, t.Memory = e.At, e.Memory }, Requested)
	case Started:
		return t.stay(e, func(t *Transaction) { t.Started = true }, AtTerminal, Signing, Unresolved)
	case Notified:
		return t.stay(e, nil, Requested, AtTerminal, Signing, Unresolved, Finished)
	case CancelWished:
		return t.stay(e, func(t *Transaction) { t.CancelWished = true }, Requested, AtTerminal, Signing, Unresolved)
	case SignatureWanted:
		return t.wantSignature(e)
	case SignatureAnswered:
		return t.answerSignature(e)
	case LinkLost:
		return t.move(e, Unresolved, interrupted, AtTerminal, Signing)
	case Restarted:
		if t.State == Requested {
			return t.move(e, Finished, func(t *Transaction) { t.NotRun, t.Interrupted, t.KnownAt = NeverSent, true, e.At }, Requested)
		}
		return t.move(e, Unresolved, interrupted, AtTerminal, Signing, Unresolved)
	case Resumed:
		to := AtTerminal
		if t.signatureOpen() {
			to = Signing
		}
		return t.move(e, to, func(t *Transaction) { t.Started = true }, AtTerminal, Unresolved)
	case CouldNotTell:
		return t.move(e, Unresolved, nil, AtTerminal, Signing, Unresolved)
	case Ended:
		if e.Outcome.Result == TimedOut {
			break // not a final word: what cannot be told stays unresolved
		}
		return t.move(e, Finished, func(t *Transaction) { t.Started, t.Outcome, t.KnownAt = true, &e.Outcome, e.At }, AtTerminal, Signing, Unresolved)
	case NeverRan:
		if e.Reason == "" {
			break // the reason is the recorded end
		}
		if t.Started && e.Reason != Fenced {
			break // it did begin: only the terminal's own fence could say that nothing came of it
		}
		return t.move(e, Finished, func(t *Transaction) { t.NotRun, t.KnownAt = e.Reason, e.At }, Requested, AtTerminal, Unresolved)
	case Answered:
		return t.answer(e)
	case Resolved:
		if r := e.Resolution.Result; r != Successful && r != Unsuccessful {
			break // an operator says whether money was taken, nothing finer
		}
		return t.move(e, Finished, func(t *Transaction) { t.Resolution, t.KnownAt = &e.Resolution, e.At }, Unresolved)
	case Contradicted:
		if recorded(t.Outcome, e.Outcome) || recorded(t.Conflict, e.Outcome) || e.Outcome.Result == TimedOut {
			break // it says nothing new
		}
		return t.contradict(e)
	case Corrected:
		if !t.Uncorrected() {
			break
		}
		return t.stay(e, func(t *Transaction) { t.Corrected = true }, Finished)
	default:
		panic(fmt.Sprintf("txn: no rule for %T", e))
	}
	return t, &IllegalMove{t.ID, t.State, e}
}

func interrupted(t *Transaction) { t.Interrupted = true }

// contradict keeps the terminal's other word. Where that changes the truth, a
// till that was told the one before is owed it anew.
func (t Transaction) contradict(e Contradicted) (Transaction, error) {
	return t.stay(e, func(t *Transaction) {
		if t.Outcome == nil && t.Conflict == nil {
			t.Corrected, t.KnownAt = false, e.At
		}
		t.Conflict = &e.Outcome
	}, Finished)
}

func recorded(was *Outcome, o Outcome) bool { return was != nil && Same(*was, o) }

// wantSignature has the till asked, once. A terminal that asks again, after a
// blip of the link, is owed the decision if there is one (Due), else the rest
// of the time: a signature that the cashier rejected must not be asked for anew
// and then accepted because nobody was looking any more.
func (t Transaction) wantSignature(e SignatureWanted) (Transaction, error) {
	if t.SignatureBy != "" {
		return t.move(e, AtTerminal, func(t *Transaction) { t.Started = true }, AtTerminal, Unresolved)
	}
	return t.move(e, Signing, func(t *Transaction) {
		if t.Wish == nil {
			t.WantedAt = e.At
		}
		t.Started, t.Wish = true, &e.Wish
	}, AtTerminal, Unresolved)
}

// signatureOpen reports whether a signature was wanted and is not decided.
func (t Transaction) signatureOpen() bool { return t.Wish != nil && t.SignatureBy == "" }

// answerSignature records the decision. While the link is lost it is kept for
// the terminal's return.
func (t Transaction) answerSignature(e SignatureAnswered) (Transaction, error) {
	decide := func(t *Transaction) { t.SignatureAccepted, t.SignatureBy = e.Accepted, e.By }
	if t.State == Unresolved && t.signatureOpen() {
		return t.stay(e, decide, Unresolved)
	}
	return t.move(e, AtTerminal, decide, Signing)
}

// answer gives the till its one answer: a result only once the end is known, an
// error only while nothing says that it ran, TIMED_OUT only while the end is
// not known.
func (t Transaction) answer(e Answered) (Transaction, error) {
	var legal bool
	switch e.Told {
	case ToldResult:
		legal = t.State == Finished
	case ToldError:
		legal = t.State == Finished && t.NotRun != "" && t.Conflict == nil
	case ToldTimedOut:
		legal = t.State == AtTerminal || t.State == Signing || t.State == Unresolved
	case ToldNothing: // nothing to record; nor is a word we do not know
	}
	if !legal || t.Told != ToldNothing {
		return t, &IllegalMove{t.ID, t.State, e}
	}
	t.Told = e.Told
	return t, nil
}

// move returns t in state to, changed by change, if it stands in one of from.
func (t Transaction) move(e Event, to State, change func(*Transaction), from ...State) (Transaction, error) {
	if !slices.Contains(from, t.State) {
		return t, &IllegalMove{t.ID, t.State, e}
	}
	t.State = to
	if change == nil {
		return t, nil
	}
	changed := t // apart, so that a move that changes nothing else takes no memory
	change(&changed)
	return changed, nil
}

// stay is move without a change of state.
func (t Transaction) stay(e Event, change func(*Transaction), in ...State) (Transaction, error) {
	return t.move(e, t.State, change, in...)
}

// Same reports whether two outcomes say the same of the money: type, result,
// amounts and the terminal's own name for it. Receipts may be worded anew.
func Same(a, b Outcome) bool {
	a.Receipts, b.Receipts = Outcome{}.Receipts, Outcome{}.Receipts
	a.Time, b.Time = time.Time{}, time.Time{}
	return reflect.DeepEqual(a, b)
}

// Replay applies the events in order to a transaction that has not begun. It
// stops at the first that is not allowed.
func Replay(events ...Event) (Transaction, error) {
	var t Transaction
	for _, e := range events {
		var err error
		if t, err = Apply(t, e); err != nil {
			return t, err
		}
	}
	return t, nil
}
