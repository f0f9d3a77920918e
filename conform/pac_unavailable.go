package conform

// pacUnavailable: an error says that nothing ran. The amount stays open.
func pacUnavailable() Check {
	return Check{ID: "pac.unavailable", Needs: ByBoth, Acts: []Act{{
		Order:    sale(secondTID, 610).with("Sell for 6.10 on card machine " + secondTID + ", which is not connected."),
		Question: "Has the till said so, and left the amount open?",
		Prepare:  func(st Stage) error { return st.Unplug(secondTID) },
		Judge: func(s *Seen) Verdict {
			c, v, ok := s.refused(-32070)
			if !ok {
				return v
			}
			return s.saidOr("the till tells the staff, and leaves the amount open",
				"an error says that nothing ran. Show its userMessage, and keep the amount to be paid, later or on another card machine",
				cleared(false, "error -32070"), c.at, c.answered)
		},
	}}}
}
