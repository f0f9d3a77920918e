package conform

// pacAmounts: an amount is a whole number of minor units. 19.99 times 100 is a
// little less than 1999 for a computer that counts in binary fractions.
func pacAmounts() Check {
	return Check{ID: "pac.amounts", Needs: ByWire, Acts: []Act{{
		Order: sale(firstTID, 1999),
		Judge: func(s *Seen) Verdict {
			all := s.requests("sale")
			if len(all) == 0 {
				return s.absent("sale")
			}
			c := all[0]
			raw := c.params["amount"]
			n, ok := whole(raw)
			switch {
			case !ok:
				return fail("the amount must be a whole number of pence or cents, without point or quotes: 19.99 is 1999, and the till sent "+quoted(raw), c.at)
			case n != s.Order.Amount:
				return fail("19.99 is 1999 pence, and the till sent "+itoa(n)+": count money in whole minor units, or round when you multiply", c.at)
			}
			return pass(c.at)
		},
	}}}
}
