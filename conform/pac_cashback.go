package conform

// pacCashback: cashback is asked for, and what was granted is used.
func pacCashback() Check {
	o := sale(firstTID, 1000)
	o.Cashback = 500
	return Check{ID: "pac.cashback", Needs: ByBoth, Acts: []Act{{
		Order:    o.with("Sell for 10.00 with 5.00 cashback on card machine " + firstTID + "."),
		Question: "Does the till say that 5.00 are to be given out, of the 15.00 that were taken?",
		Judge: func(s *Seen) Verdict {
			c, v, ok := s.ran("SUCCESSFUL")
			if !ok {
				return v
			}
			if n, ok := whole(c.params["amountCashback"]); !ok || n == 0 {
				return wait("the sale asked for no amountCashback", c.at)
			}
			return s.saidOr("the cashback that came back is the one that is given out",
				"use amountCashback of the response, for what was asked for is an attempt",
				func(w Word) (bool, string) {
					came := number(c.answer.result["amountCashback"])
					if w.Cashback != nil && *w.Cashback != came {
						return true, "amountCashback came back as " + itoa(came) + ", and the till gives out " + itoa(*w.Cashback) + ": what was asked for is an attempt"
					}
					return w.Cashback != nil, ""
				}, c.at, c.answered)
		},
	}}}
}
