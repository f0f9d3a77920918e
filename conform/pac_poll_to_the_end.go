package conform

import "time"

// pacPollToTheEnd: a transaction is looked at until it has finished. The gateway
// ends each, after 200 s at the latest; a till that stops before leaves a customer
// who may have paid.
func pacPollToTheEnd(long time.Duration) Check {
	return Check{ID: "pac.pollToTheEnd", Needs: ByWire, Acts: []Act{{
		Order:   sale(firstTID, 700).with("Sell for 7.00 on card machine " + firstTID + ". The customer looks for the card for " + long.String() + "."),
		Prepare: func(st Stage) error { return st.Play(firstTID, Part{HoldAt: "PRESENT_CARD"}) },
		React: func(s *Seen, st Stage) error {
			if c := s.ordered(); c != nil && s.Frames[len(s.Frames)-1].At.Sub(s.Frames[c.at].At) >= long {
				st.Release(firstTID)
			}
			return nil
		},
		Judge: func(s *Seen) Verdict {
			c := s.ordered()
			looks, events := s.looks()
			if c != nil && c.answered < 0 && c.answer.fault == nil && len(looks) > 0 && events < 0 {
				last := looks[len(looks)-1]
				v := wait("the till has last looked "+s.Frames[last].At.Sub(s.Frames[c.at].At).Round(time.Second).String()+" after it began the sale: go on until transactionResult is there, which is after 200 s at the latest", c.at, last)
				v.Else = Failed
				return v
			}
			c, v, ok := s.ran("")
			if !ok {
				return v
			}
			return pass(c.at, c.answered)
		},
	}}}
}
