package conform

// pacSuccessful: what comes back is what is booked. The cardholder adds a
// gratuity, so that it is not what was asked for.
func pacSuccessful() Check {
	return Check{ID: "pac.successful", Needs: ByBoth, Acts: []Act{{
		Order:    sale(firstTID, 1250),
		Question: "Has the till cleared the amount, and booked 13.75 in all, of which 1.25 are gratuity?",
		Prepare:  func(st Stage) error { return st.Play(firstTID, Part{GratuityPercent: 10}) },
		Judge: func(s *Seen) Verdict {
			c, v, ok := s.ran("SUCCESSFUL")
			if !ok {
				return v
			}
			return s.saidOr("the till clears the amount, with amountTotal, amountCashback and amountGratuity as they came back",
				"book what the response says, for the cardholder may have added to what was asked for",
				func(w Word) (bool, string) {
					known, wrong := cleared(true, "SUCCESSFUL")(w)
					if !known || wrong != "" || w.Total == nil || w.Gratuity == nil {
						return known && wrong != "", wrong // what was booked is only known in part
					}
					for _, part := range []struct {
						name   string
						booked *int64
					}{{"amountTotal", w.Total}, {"amountCashback", w.Cashback}, {"amountGratuity", w.Gratuity}} {
						if came := number(c.answer.result[part.name]); part.booked != nil && *part.booked != came {
							return true, part.name + " came back as " + itoa(came) + ", and the till has booked " + itoa(*part.booked) + ": book what came back, not what was asked for"
						}
					}
					return true, ""
				}, c.at, c.answered)
		},
	}}}
}
