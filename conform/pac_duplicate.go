package conform

// pacDuplicate: the last transaction can be asked for again.
func pacDuplicate() Check {
	return Check{ID: "pac.duplicate", Needs: ByWire, Acts: []Act{{
		Name: "sale", Order: sale(firstTID, 670), Judge: ended,
	}, {
		Name:  "duplicate",
		Order: Order{Method: "duplicate", TID: firstTID, Currency: "GBP", Text: "Have the till ask for the last transaction on card machine " + firstTID + " again, with duplicate."},
		Judge: ended,
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
