package conform

// pacDuplicate: the last transaction can be asked for again.
func pacDuplicate() Check {
	return Check{ID: "pac.duplicate", Needs: ByWire, Acts: []Act{{
		Name: "sale", Order: sale(firstTID, 670), Judge: ended,
	}, {
		Name:  "duplicate",
		Order: Order{Method: "duplicate", TID: firstTID, Currency: "GBP", Text: "Have the till ask for the last transaction on card machine " + firstTID + " again, with duplicate."},
		Judge: func(s *Seen) Verdict {
			c := s.ordered()
			if c != nil && c.tid() != s.Order.TID {
				return fail("the last transaction on card machine "+s.Order.TID+" was to be asked for, and the till has asked for that on "+quoted(c.params["tid"])+": a till that believes this answer books somebody else's sale", c.at)
			}
			if v, wrong := s.refusal(c); wrong {
				return v
			}
			return ended(s)
		},
	}}}
}

// ended passes with a transaction that has a result.
func ended(s *Seen) Verdict {
	c, v, ok := s.ran("")
	if !ok {
		return v
	}
	return pass(c.at, c.answered)
}
