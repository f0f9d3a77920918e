package conform

// patUnlock: after an unlock a table that is not paid can be locked again.
func patUnlock(table *Scene) Check {
	return Check{ID: "pat.unlock", Needs: ByWire, Scene: table, Judge: func(s *Seen) Verdict {
		all := asks(s.Frames)
		for _, st := range stays(all, s.Order.Table) {
			if st.unlock == nil || st.next == nil || len(st.told) > 0 {
				continue
			}
			if v, bad := s.unanswered(st.next); bad {
				return v
			}
			frames := []int{st.lock.answered, st.unlock.at, st.next.at, st.next.answered}
			if !st.next.confirmed() {
				return fail("the till refuses table "+s.Order.Table+" after it was unlocked: tableUnlock of the card machine that has it makes the table free again", frames...)
			}
			return pass(frames...)
		}
		return wait("the table was not unlocked and asked for again")
	}}
}
