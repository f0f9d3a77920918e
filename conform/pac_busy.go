package conform

// pacBusy: an error says that nothing ran. The amount stays open.
func pacBusy() Check {
	return Check{ID: "pac.busy", Needs: ByBoth, Acts: []Act{{
		Order:    sale(secondTID, 620).with("Sell for 6.20 on card machine " + secondTID + ", which another till is using."),
		Question: "Has the till said so, and left the amount open?",
		Prepare:  func(st Stage) error { return st.Occupy(secondTID) },
		Judge: func(s *Seen) Verdict {
			c, v, ok := s.refused(-32071)
			if !ok {
				return v
			}
			return s.saidOr("the till tells the staff, and leaves the amount open",
				"an error says that nothing ran. Show its userMessage, and keep the amount to be paid, later or on another card machine",
				cleared(false, "error -32071"), c.at, c.answered)
		},
	}}}
}
