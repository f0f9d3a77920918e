package conform

// pacCancel: a running transaction can be cancelled, and the till waits for the
// transaction's own response.
func pacCancel() Check {
	return Check{ID: "pac.cancel", Needs: ByWire, Acts: []Act{{
		Order: cancelling(900, "PRESENT_CARD"),
		Prepare: func(st Stage) error {
			st.Linger(`"cancelling"`)
			return st.Play(firstTID, Part{HoldAt: "PRESENT_CARD"})
		},
		Judge: func(s *Seen) Verdict {
			c, wish := s.ordered(), s.wish()
			switch {
			case c == nil:
				return s.absent("sale")
			case wish == nil:
				return wait("no cancelTransaction came from the till while the sale ran", c.at)
			case wish.answered >= 0 && wish.answer.fault != nil:
				return wait("the wish to cancel was refused: "+wish.answer.fault.Message, c.at, wish.at, wish.answered)
			case c.answered < 0 && c.closed >= 0 && s.Frames[c.closed].ByTill:
				return fail("the till has closed the connection before the sale's own response came: cancelling is a wish, and the response under the sale's id says what became of it", c.at, wish.at, c.closed)
			}
			c, v, ok := s.ran("CANCELLED")
			if !ok {
				if c.answered < 0 && s.Frames[c.at].REST {
					v = wait("the till has not looked at the sale again after its wish to cancel was heard: 202 is no result, so look until transactionResult is there", c.at, wish.at)
					v.Else = Failed
				}
				return v
			}
			return pass(c.at, wish.at, c.answered)
		},
	}}}
}

// cancelling orders a sale that is cancelled.
func cancelling(amount int64, after string) Order {
	o := sale(firstTID, amount)
	o.CancelAfter = after
	o.Text += " When the till shows that it has come to " + after + ", in whatever words, cancel it there."
	return o
}

// wish is the till's wish to cancel on the machine of the order.
func (s *Seen) wish() *call {
	for _, c := range s.requests("cancelTransaction") {
		if c.tid() == s.Order.TID {
			return c
		}
	}
	return nil
}
