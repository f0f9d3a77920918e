package conform

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// How often a till looks, with room for machines that have much to do.
const (
	fewLooks   = 6
	soonest    = 400 * time.Millisecond
	latestLook = 2500 * time.Millisecond
)

// pacPoll: a running transaction is looked at about once a second, or its events
// are followed.
func pacPoll() Check {
	return Check{ID: "pac.poll", Needs: ByWire, Acts: []Act{{
		Order:   sale(firstTID, 690),
		Prepare: func(st Stage) error { return st.Play(firstTID, Part{HoldAt: "PRESENT_CARD"}) },
		React: func(s *Seen, st Stage) error {
			if looks, events := s.looks(); len(looks) >= fewLooks || events >= 0 {
				st.Release(firstTID)
			}
			return nil
		},
		Judge: func(s *Seen) Verdict {
			c := s.ordered()
			if c == nil {
				return s.absent("sale")
			}
			looks, events := s.looks()
			switch {
			case events >= 0:
				return pass(c.at, events)
			case len(looks) < fewLooks:
				v := wait(fmt.Sprintf("the till has looked %d times at a sale that ran on: look at its location until transactionResult is there", len(looks)), append(looks, c.at)...)
				v.Else = Failed
				return v
			}
			var pauses []time.Duration
			for i := range looks[:len(looks)-1] {
				pauses = append(pauses, s.Frames[looks[i+1]].At.Sub(s.Frames[looks[i]].At))
			}
			slices.Sort(pauses)
			usual := pauses[len(pauses)/2]
			switch {
			case usual < soonest:
				return fail("the till looks every "+usual.Round(time.Millisecond).String()+": once a second is enough, and who looks more often is answered later", looks...)
			case usual > latestLook:
				return fail("the till looks every "+usual.Round(time.Millisecond).String()+": look once a second, so that the staff see what the customer has to do", looks...)
			}
			return pass(append(looks, c.at)...)
		},
	}}}
}

// looks are where the till looked at a transaction, and the first place where it
// asked for the events of one; -1 for nowhere.
func (s *Seen) looks() (looks []int, events int) {
	events = -1
	for i, f := range s.Frames {
		path := strings.ToLower(f.Path)
		switch {
		case f.Kind != Asked || f.Method != "GET" || !strings.Contains(path, "/transactions/"):
		case !strings.HasSuffix(path, "/events"):
			looks = append(looks, i)
		case events < 0:
			events = i
		}
	}
	return looks, events
}
