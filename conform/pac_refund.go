package conform

// pacRefund: a refund works.
func pacRefund() Check {
	return Check{ID: "pac.refund", Needs: ByWire, Acts: []Act{{
		Order: Order{
			Method: "refund", TID: firstTID, Currency: "GBP", Amount: 700, Present: true,
			Text: "Refund 7.00 on card machine " + firstTID + ".",
		},
		Judge: func(s *Seen) Verdict {
			if sold := s.requests("sale"); len(sold) > 0 && len(s.requests("refund")) == 0 {
				return fail("a refund was ordered, and the till has sent a sale of "+quoted(sold[0].params["amount"])+": a refund is a method of its own, with an amount above nothing", sold[0].at)
			}
			if v, wrong := s.refusal(s.ordered()); wrong {
				return v
			}
			c, v, ok := s.ran("SUCCESSFUL")
			if !ok {
				return v
			}
			return pass(c.at, c.answered)
		},
	}}}
}
