package conform

// pacCancelLate: a wish to cancel that comes after the card changes nothing, and
// the till goes by the response.
func pacCancelLate() Check {
	return Check{ID: "pac.cancelLate", Needs: ByBoth, Acts: []Act{{
		Order:    cancelling(910, "CONNECTING"),
		Question: "Has the till booked the 9.10 as paid, although it was asked to cancel?",
		Prepare: func(st Stage) error {
			st.Linger(`"cancelling"`)
			return st.Play(firstTID, Part{HoldAt: "CONNECTING"})
		},
		React: func(s *Seen, st Stage) error {
			if wish := s.wish(); wish != nil && wish.answered == len(s.Frames)-1 {
				st.Release(firstTID)
			}
			return nil
		},
		Judge: func(s *Seen) Verdict {
			wish := s.wish()
			if wish == nil {
				return wait("no cancelTransaction came from the till after the card was in")
			}
			c, v, ok := s.ran("SUCCESSFUL")
			if !ok {
				return v
			}
			return s.saidOr("the till books the amount, because the response says SUCCESSFUL",
				"cancelTransaction is a wish, and transactionResult of the sale's own response alone says what became of it",
				cleared(true, "SUCCESSFUL in spite of a wish to cancel"), c.at, wish.at, c.answered)
		},
	}}}
}
