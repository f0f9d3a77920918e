package conform

// pacRefund: a refund works.
func pacRefund() Check {
	return Check{ID: "pac.refund", Needs: ByWire, Acts: []Act{{
		Order: Order{
			Method: "refund", TID: firstTID, Currency: "GBP", Amount: 700, Present: true,
			Text: "Refund 7.00 on card machine " + firstTID + ".",
		},
		Judge: func(s *Seen) Verdict {
			c, v, ok := s.ran("SUCCESSFUL")
			if !ok {
				return v
			}
			return pass(c.at, c.answered)
		},
	}}}
}
