package conform

// pacSale: a sale works. The amount is judged by pac.amounts.
func pacSale() Check {
	return Check{ID: "pac.sale", Needs: ByWire, Acts: []Act{{
		Order: sale(firstTID, 1250),
		Judge: func(s *Seen) Verdict {
			c, v, ok := s.ran("SUCCESSFUL")
			if !ok {
				return v
			}
			return pass(c.at, c.answered)
		},
	}}}
}
