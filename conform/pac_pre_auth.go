package conform

// pacPreAuth: a completion bears the auth code of the card's first
// pre-authorisation.
func pacPreAuth() Check {
	preAuth := Order{
		Method: "preAuth", TID: firstTID, Currency: "GBP", Amount: 5000, Present: true,
		Text: "Reserve 50.00 with a pre-authorisation on card machine " + firstTID + ".",
	}
	return Check{ID: "pac.preAuth", Needs: ByWire, Acts: []Act{{
		Name: "preAuth", Order: preAuth,
		Judge: func(s *Seen) Verdict {
			c, v, ok := s.ran("SUCCESSFUL")
			if !ok {
				return v
			}
			return pass(c.at, c.answered)
		},
	}, {
		Name: "completion",
		Order: Order{
			Method: "completion", TID: firstTID, Currency: "GBP", Amount: 4000, Present: true, AuthCode: true,
			Text: "Complete it for 40.00 on card machine " + firstTID + ".",
		},
		Judge: func(s *Seen) Verdict {
			before := Seen{Order: preAuth, Frames: s.Before}
			first, _, ok := before.ran("SUCCESSFUL")
			if !ok {
				return wait("there was no pre-authorisation before it")
			}
			all := s.requests("completion")
			if len(all) == 0 {
				return s.absent("completion")
			}
			want := text1(first.answer.result["authCode"])
			if sent := text1(all[0].params["authCode"]); sent != want {
				return fail("the completion must bear the authCode of the card's first pre-authorisation, "+want+", and has "+quoted(all[0].params["authCode"])+": keep it between the two", all[0].at)
			}
			c, v, ok := s.ran("SUCCESSFUL")
			if !ok {
				return v
			}
			return pass(c.at, c.answered)
		},
	}}}
}
