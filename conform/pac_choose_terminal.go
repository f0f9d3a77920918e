package conform

// pacChooseTerminal: the card machine can be chosen.
func pacChooseTerminal() Check {
	act := func(name, tid string) Act {
		return Act{Name: name, Order: sale(tid, 300), Judge: func(s *Seen) Verdict {
			c, v, ok := s.ran("")
			if !ok {
				return v
			}
			if c.tid() != s.Order.TID {
				return fail("the sale was to go to card machine "+s.Order.TID+", and the till sent it to "+quoted(c.params["tid"])+": let the card machine be chosen for each transaction or set for each till", c.at)
			}
			return pass(c.at)
		}}
	}
	return Check{ID: "pac.chooseTerminal", Needs: ByWire, Acts: []Act{act("one", firstTID), act("other", secondTID)}}
}
