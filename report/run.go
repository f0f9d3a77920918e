package report

import (
	"fmt"
	"slices"
	"time"
)

// A State says where a report stands.
type State string

// The states.
const (
	Asked    State = "asked"    // may have reached the terminal; the terminal moves next
	Unknown  State = "unknown"  // the gateway or the link was lost in between; ask the terminal
	Finished State = "finished" // Report is set, or Failed says why there is none
)

// States lists the states.
func States() []State { return []State{Asked, Unknown, Finished} }

// A Run is one report that a till asked for; its zero value has not begun.
type Run struct {
	ID   string // the request's
	Site string
	TID  string
	Type Type

	State  State
	Told   Result // what the till was given: nothing yet, COMPLETE, or TIMED_OUT
	Report *Report
	Failed string // why it did not run

	// Brought says that it was started at the terminal itself: no till asked, and
	// the till that keeps the tables is owed it until Delivered.
	Brought   bool
	Delivered bool
	Resent    int // how often an operator had it sent anew

	At time.Time
}

// Owed reports whether the till that keeps the tables has yet to get it.
func (r Run) Owed() bool { return r.Brought && !r.Delivered }

// An Event is something that happened to a report. The set is closed.
type Event interface{ event() }

// The events.
type (
	// Dispatched: accepted, and on disk before the terminal is told.
	Dispatched struct {
		ID, Site, TID string
		Type          Type
		Deviations    []string // what was tolerated of the till's message
		At            time.Time
	}
	// Brought: the terminal made a report that was started at the terminal itself.
	// The first and, but for its delivery, only event of such a report.
	Brought struct {
		ID, Site, TID string
		Report        Report
		At            time.Time
	}
	// Delivered: the till has the report that was brought.
	Delivered struct{ At time.Time }
	// Requeued: an operator had a delivered report sent anew.
	Requeued struct {
		By     string
		Reason string // in the operator's words
		At     time.Time
	}
	// Interrupted: the link or the gateway was lost in between.
	Interrupted struct{ At time.Time }
	// Made: the terminal's report.
	Made struct {
		Report Report
		At     time.Time
	}
	// GaveUp: the limit passed and the till was told TIMED_OUT.
	GaveUp struct{ At time.Time }
	// NotMade: it is certain, or was never known, that no report came of it.
	NotMade struct {
		Reason string
		At     time.Time
	}
)

func (Dispatched) event()  {}
func (Brought) event()     {}
func (Delivered) event()   {}
func (Requeued) event()    {}
func (Interrupted) event() {}
func (Made) event()        {}
func (GaveUp) event()      {}
func (NotMade) event()     {}

// An IllegalMove is the error for an event that the state does not allow.
type IllegalMove struct {
	ID    string
	State State
	Event Event
}

// Error names the event, the state and the request.
func (e *IllegalMove) Error() string {
	state := e.State
	if state == "" {
		state = "not begun"
	}
	return fmt.Sprintf("report: %T in state %s of request %s", e.Event, state, e.ID)
}

// Apply returns r as it stands after e, or an *IllegalMove and r as it was.
func Apply(r Run, e Event) (Run, error) {
	switch e := e.(type) {
	case Dispatched:
		return r.move(e, Asked, func(r *Run) {
			r.ID, r.Site, r.TID, r.Type, r.At = e.ID, e.Site, e.TID, e.Type, e.At
		}, "")
	case Brought:
		return r.move(e, Finished, func(r *Run) {
			r.ID, r.Site, r.TID, r.Type, r.At = e.ID, e.Site, e.TID, e.Report.Type, e.At
			r.Report, r.Brought = &e.Report, true
		}, "")
	case Delivered:
		if !r.Owed() {
			break
		}
		return r.move(e, Finished, func(r *Run) { r.Delivered = true }, Finished)
	case Requeued:
		if !r.Brought || !r.Delivered {
			break
		}
		return r.move(e, Finished, func(r *Run) { r.Delivered, r.Resent = false, r.Resent+1 }, Finished)
	case Interrupted:
		return r.move(e, Unknown, nil, Asked, Unknown)
	case Made:
		if r.Report != nil {
			break // it is recorded
		}
		// Finished without a report: what came late is kept all the same.
		return r.move(e, Finished, func(r *Run) {
			r.Report = &e.Report
			if r.Told == "" && r.Failed == "" {
				r.Told = e.Report.Result
			}
		}, Asked, Unknown, Finished)
	case GaveUp:
		if r.Told != "" {
			break
		}
		return r.move(e, r.State, func(r *Run) { r.Told = TimedOut }, Asked, Unknown)
	case NotMade:
		if e.Reason == "" {
			break // the reason is the recorded end
		}
		return r.move(e, Finished, func(r *Run) { r.Failed = e.Reason }, Asked, Unknown)
	default:
		panic(fmt.Sprintf("report: no rule for %T", e))
	}
	return r, &IllegalMove{r.ID, r.State, e}
}

func (r Run) move(e Event, to State, change func(*Run), from ...State) (Run, error) {
	if !slices.Contains(from, r.State) {
		return r, &IllegalMove{r.ID, r.State, e}
	}
	r.State = to
	if change != nil {
		change(&r)
	}
	return r, nil
}

// Replay applies the events in order to a report that has not begun. It stops
// at the first that is not allowed.
func Replay(events ...Event) (Run, error) {
	var r Run
	for _, e := range events {
		var err error
		if r, err = Apply(r, e); err != nil {
			return r, err
		}
	}
	return r, nil
}
