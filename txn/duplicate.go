package txn

import (
	"fmt"
	"time"
)

// This file is a till's wish, over an interface where answers are polled, to see a
// terminal's last transaction once more. It moves no money and starts nothing.

// A Duplicate is one such wish; its zero value has not begun.
type Duplicate struct {
	ID     RequestID
	Site   SiteID
	TID    TID
	Caller Caller

	State   DuplicateState
	Outcome *Outcome // of the transaction it names; nil where there is none, or before the end
	At      time.Time
	EndedAt time.Time
}

// A DuplicateState says where a duplicate stands.
type DuplicateState string

// The states of a duplicate.
const (
	DuplicateAsked    DuplicateState = "asked"
	DuplicateFinished DuplicateState = "finished"
)

// A DuplicateEvent is something that happened to a duplicate. The set is closed.
type DuplicateEvent interface{ duplicateEvent() }

// The events of a duplicate.
type (
	// DuplicateWanted: accepted, and on disk before anybody is asked.
	DuplicateWanted struct {
		ID         RequestID
		Site       SiteID
		TID        TID
		Caller     Caller
		Deviations []string // what was tolerated of the till's message
		At         time.Time
	}
	// DuplicateFound: the transaction that it names, or nil for none at all.
	DuplicateFound struct {
		Outcome *Outcome
		At      time.Time
	}
)

func (DuplicateWanted) duplicateEvent() {}
func (DuplicateFound) duplicateEvent()  {}

// ApplyDuplicate returns d as it stands after e, or an error and d as it was.
func ApplyDuplicate(d Duplicate, e DuplicateEvent) (Duplicate, error) {
	switch e := e.(type) {
	case DuplicateWanted:
		if d.State == "" {
			return Duplicate{ID: e.ID, Site: e.Site, TID: e.TID, Caller: e.Caller, State: DuplicateAsked, At: e.At}, nil
		}
	case DuplicateFound:
		if d.State == DuplicateAsked {
			d.State, d.Outcome, d.EndedAt = DuplicateFinished, e.Outcome, e.At
			return d, nil
		}
	}
	return d, fmt.Errorf("txn: %T in state %q of duplicate %s", e, d.State, d.ID)
}
