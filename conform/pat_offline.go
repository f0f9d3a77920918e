package conform

// patOffline: what was paid while the till was away is booked when it is back,
// and the table is free again.
func patOffline(lost *Scene) Check {
	return Check{ID: "pat.offline", Needs: ByWire, Scene: lost, Judge: func(s *Seen) Verdict {
		if cut, back := s.away(); cut >= 0 && !back {
			return fail("the till has not come back after its connection was cut: connect again by yourself, after a pause that grows", cut)
		}
		for _, st := range stays(asks(s.Frames), s.Order.Table) {
			if len(st.told) == 0 || st.told[0].conn == st.lock.conn {
				continue
			}
			frames := []int{st.lock.answered, st.told[0].at}
			if st.unlock == nil || st.next == nil {
				return wait("the table was not unlocked and asked for again after the till was away", frames...)
			}
			if v, bad := s.unanswered(st.next); bad {
				return v
			}
			frames = append(frames, st.next.answered)
			switch due := st.next.due(); {
			case !st.next.confirmed():
				return fail("the till refuses the table that was paid in part and unlocked while it was away: what it is told when it is back counts as ever", frames...)
			case due == st.left():
				return pass(frames...)
			case due == st.lock.due():
				return fail("the till has not booked what was paid while it was away: book what it is told when it is back", frames...)
			default:
				return fail(pounds(st.left())+" is left to pay, and the till says "+pounds(due), frames...)
			}
		}
		return wait("nothing could be paid while the till was away")
	}}
}

// away finds the last connection that was cut, and whether the till came back. It
// returns -1 where none was.
func (s *Seen) away() (cut int, back bool) {
	cut = -1
	for i, f := range s.Frames {
		switch {
		case f.Kind == Closed && f.Cut:
			cut, back = i, false
		case f.Kind == Opened:
			back = true
		}
	}
	return cut, back
}
