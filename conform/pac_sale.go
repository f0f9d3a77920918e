package conform

// pacSale: a sale works, and is one sale. The amount is judged by pac.amounts.
func pacSale() Check {
	return Check{ID: "pac.sale", Needs: ByWire, Acts: []Act{{
		Order: sale(firstTID, 1250),
		Judge: func(s *Seen) Verdict {
			if v, wrong := s.refusal(s.ordered()); wrong {
				return v
			}
			c, v, ok := s.ran("SUCCESSFUL")
			if !ok {
				return v
			}
			if again := s.again(c, c.at); again >= 0 {
				return fail("the till has sent the sale twice, and the customer pays twice: send it once for each time that the cashier asks for it, and let no second press of the key through while it runs", c.at, c.answered, again)
			}
			return settled(c.at, c.answered)
		},
	}}}
}
