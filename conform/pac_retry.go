package conform

import "slices"

// pacRetry: a till that never saw the answer to its request does not know whether
// it runs. It sends it again under its Idempotency-Key, or asks.
func pacRetry() Check {
	return Check{ID: "pac.retry", Needs: ByBoth, Acts: []Act{{
		Order:    sale(firstTID, 710).with("Sell for 7.10 on card machine " + firstTID + ". The answer to the till's request is lost; do then what the till says."),
		Question: "Has the till found out that the sale was SUCCESSFUL, and booked the 7.10 once?",
		Prepare: func(st Stage) error {
			st.Lose(loseREST)
			return nil
		},
		Judge: func(s *Seen) Verdict {
			all := s.requests("sale")
			i := slices.IndexFunc(all, func(c *call) bool { return c.closed >= 0 && s.Frames[c.closed].Cut })
			if i < 0 {
				return s.absent("sale")
			}
			c := all[i]
			asks, again := s.learns(c, c.closed), s.again(c, c.closed)
			switch {
			case again >= 0 && (asks < 0 || again < asks):
				return fail("the till has sent the sale again, as another one, after the answer was lost: the customer pays twice. Send it with an Idempotency-Key, and the same one each time, or ask for the last transaction first", c.at, c.closed, again)
			case asks < 0:
				v := wait("the till has not asked what became of the sale after the answer was lost: send it again with the same Idempotency-Key, or look at the card machine and ask for its last transaction", c.at, c.closed)
				v.Else = Failed
				return v
			}
			return s.saidOr("the till books the sale, which was SUCCESSFUL, once",
				"book what the gateway says when it is asked again, and once",
				cleared(true, "a sale that was SUCCESSFUL and whose answer was lost"), c.at, c.closed, asks)
		},
	}}}
}
