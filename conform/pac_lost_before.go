package conform

import "slices"

// pacLostBefore: a till whose connection was lost between two sales connects
// again for the next.
func pacLostBefore() Check {
	return Check{ID: "pac.lostBefore", Needs: ByWire, Acts: []Act{{
		Order: sale(firstTID, 630).with("The till's connection has just been cut. Sell for 6.30 on card machine " + firstTID + "."),
		Prepare: func(st Stage) error {
			st.Cut()
			return nil
		},
		Judge: func(s *Seen) Verdict {
			c, v, ok := s.ran("")
			if !ok {
				if c == nil && len(s.Alive) > 0 && s.opened() < 0 {
					v = wait("the till has not connected again after its connection was cut: notice that it is dead, at the latest when something is to be sent, and dial anew", s.cut())
					v.Else = Failed
				}
				return v
			}
			return pass(c.at, c.answered)
		},
	}}}
}

// cut is where the checker cut a connection in the act.
func (s *Seen) cut() int {
	return max(0, slices.IndexFunc(s.Frames, func(f Frame) bool { return f.Cut }))
}

// opened is where a connection was opened in the act, or -1.
func (s *Seen) opened() int {
	return slices.IndexFunc(s.Frames, func(f Frame) bool { return f.Kind == Opened })
}
