package conform

// patRefuse: a table that is locked, paid or not there is refused.
func patRefuse(table *Scene) Check {
	return Check{ID: "pat.refuse", Needs: ByWire, Scene: table, Judge: func(s *Seen) Verdict {
		all := asks(s.Frames)
		seen := map[string]bool{}
		var frames []int
		for _, l := range by(all, "tableLockRequest") {
			why := refusable(all, l)
			if why == "" {
				continue
			}
			if v := s.refuses(l, why); v.State != Passed {
				return v
			}
			seen[why] = true
			frames = append(frames, l.answered)
		}
		for _, why := range []string{isNotThere, isLocked, isPaid} {
			if !seen[why] {
				return wait("no card machine could ask for a table that "+why, frames...)
			}
		}
		return pass(frames...)
	}}
}

// Why a table cannot be paid.
const (
	isNotThere = "is not there"
	isLocked   = "another card machine has locked"
	isPaid     = "is paid"
)

// refusable says why a table that is asked for cannot be paid, as far as the wire
// shows; nothing where it may be.
func refusable(all []*ask, l *ask) string {
	stands := standing(about(all, l.table()), l.at)
	switch {
	case l.table() == noSuchTable:
		return isNotThere
	case stands.locked:
		return isLocked
	case stands.paid():
		return isPaid
	}
	return ""
}

// refuses judges the answer to a lock of a table that cannot be paid.
func (s *Seen) refuses(l *ask, why string) Verdict {
	if v, bad := s.unanswered(l, "answer with confirmed false. After an error nobody knows whether the table is locked, and the till is told to unlock it"); bad {
		return v
	}
	switch yes, ok := truth(l.answer.result["confirmed"]); {
	case !ok:
		return fail("result.confirmed must be true or false, without quotes, and is "+quoted(l.answer.result["confirmed"]), l.at, l.answered)
	case yes:
		return fail("the till has confirmed table "+quoted(l.params["tableId"])+", which "+why+": answer with confirmed false", l.at, l.answered)
	}
	return pass(l.at, l.answered)
}
