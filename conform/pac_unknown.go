package conform

// pacUnknown: what a later gateway may say, a value or a member that is not
// known, disturbs nothing.
func pacUnknown() Check {
	return Check{ID: "pac.unknown", Needs: ByWire, Acts: []Act{{
		Order: sale(firstTID, 460),
		Prepare: func(st Stage) error {
			st.Linger("PRESENT_CARD")
			return st.Play(firstTID, Part{HoldAt: "PRESENT_CARD"})
		},
		React: func(s *Seen, st Stage) error {
			if !s.last("PRESENT_CARD") {
				return nil
			}
			conn := s.Frames[len(s.Frames)-1].Conn
			for _, text := range []string{
				`{"jsonrpc":"2.0","method":"terminalNotification","params":{"notificationValue":"CHECK_UNKNOWN_VALUE","tid":"` + firstTID + `"}}`,
				`{"jsonrpc":"2.0","method":"terminalNotification","params":{"notificationValue":"PLEASE_WAIT","tid":"` + firstTID + `","checkUnknownMember":{"a":[1]}}}`,
			} {
				if err := st.Say(conn, text); err != nil {
					return nil // the till has gone, which the judge sees
				}
			}
			st.Release(firstTID)
			return nil
		},
		Judge: func(s *Seen) Verdict {
			c := s.ordered()
			added := -1
			for i, f := range s.Frames {
				if f.Added {
					added = i
				}
			}
			switch {
			case c == nil:
				return s.absent("sale")
			case added < 0:
				return wait("the sale did not come so far that something unknown could be said", c.at)
			case c.answered > added:
				return pass(c.at, added, c.answered)
			case c.closed >= 0 && s.Frames[c.closed].ByTill:
				return fail("the till has closed the connection after a notification with a value or a member that it does not know: pass over what you do not know, and wait for the response", c.at, added, c.closed)
			}
			v := wait("the sale was not answered", c.at, added)
			if s.Frames[c.at].REST {
				v = wait("the till has stopped looking at the sale after a notification or a member that it does not know: pass over what you do not know, and look until transactionResult is there", c.at, added)
				v.Else = Failed
			}
			return v
		},
	}}}
}
