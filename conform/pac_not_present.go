package conform

// pacNotPresent: the cardholder may be somewhere else.
func pacNotPresent() Check {
	o := sale(firstTID, 680)
	o.Present = false
	return Check{ID: "pac.notPresent", Needs: ByWire, Acts: []Act{{
		Order: o.with("Sell for 6.80 on card machine " + firstTID + " with the cardholder not present."),
		Judge: func(s *Seen) Verdict {
			c := s.ordered()
			if c != nil && len(c.params["cardholderNotPresent"]) > 0 {
				if _, ok := truth(c.params["cardholderNotPresent"]); !ok {
					return fail("cardholderNotPresent must be true or false, without quotes, and the till sent "+quoted(c.params["cardholderNotPresent"]), c.at)
				}
			}
			c, v, ok := s.ran("")
			if !ok {
				return v
			}
			if away, _ := truth(c.params["cardholderNotPresent"]); !away {
				return wait("the sale did not say cardholderNotPresent: true", c.at)
			}
			return pass(c.at, c.answered)
		},
	}}}
}
