package conform

// pacLostDuring: the card machine goes on without the till. A till that comes
// back does not send the sale again: it finds out what became of it, and books
// that.
func pacLostDuring() Check {
	return Check{ID: "pac.lostDuring", Needs: ByBoth, Acts: []Act{{
		Order:    sale(firstTID, 640).with("Sell for 6.40 on card machine " + firstTID + ". The connection is cut while the sale runs; do then what the till says."),
		Question: "Has the till found out that the sale was SUCCESSFUL, and booked the 6.40 once?",
		Prepare:  func(st Stage) error { return st.Play(firstTID, Part{HoldAt: "PRESENT_CARD"}) },
		React: func(s *Seen, st Stage) error {
			if s.last("PRESENT_CARD") {
				st.Cut()
				st.Release(firstTID)
			}
			return nil
		},
		Judge: func(s *Seen) Verdict {
			var c *call
			for _, sent := range s.requests("sale") {
				if sent.closed >= 0 && s.Frames[sent.closed].Cut {
					c = sent
					break
				}
			}
			if c == nil {
				return wait("no sale ran when the connection was cut")
			}
			asks, again := s.learns(c, c.closed), s.again(c, c.closed)
			switch {
			case again >= 0 && (asks < 0 || again < asks):
				return fail("the till has sent the sale again after its connection was lost, without asking what became of it: the customer may pay twice. Ask with duplicate", c.at, c.closed, again)
			case asks < 0:
				v := wait("the till has not asked what became of the sale after its connection was lost: connect again, and ask with duplicate, or look at the card machine with terminalDetails", c.at, c.closed)
				v.Else = Failed
				return v
			}
			return s.saidOr("the till books the sale, which was SUCCESSFUL",
				"book what duplicate says as if the response had come, and once",
				cleared(true, "a sale that was SUCCESSFUL while the till was away"), c.at, c.closed, asks)
		},
	}}}
}
