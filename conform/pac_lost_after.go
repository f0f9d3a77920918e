package conform

// pacLostAfter: a connection that ends after the response takes nothing back,
// and the next sale works.
func pacLostAfter() Check {
	return Check{ID: "pac.lostAfter", Needs: ByBoth, Acts: []Act{{
		Name:     "sale",
		Order:    sale(firstTID, 650).with("Sell for 6.50 on card machine " + firstTID + ". The connection ends right after the response."),
		Question: "Has the till booked the 6.50 as paid?",
		React: func(s *Seen, st Stage) error {
			if c := s.ordered(); c != nil && c.answered == len(s.Frames)-1 {
				st.HangUp()
			}
			return nil
		},
		Judge: func(s *Seen) Verdict {
			c, v, ok := s.ran("SUCCESSFUL")
			if !ok {
				return v
			}
			return s.saidOr("the till books the sale",
				"a response that was received stays true. Write it down before anything that needs the connection",
				cleared(true, "SUCCESSFUL and a lost connection"), c.at, c.answered)
		},
	}, {
		Name:  "next",
		Order: sale(firstTID, 660),
		Judge: func(s *Seen) Verdict {
			c, v, ok := s.ran("")
			if !ok {
				return v
			}
			return pass(c.at, c.answered)
		},
	}}}
}
