package conform

// pacBalances: the X and Z balances can be run.
func pacBalances() Check {
	return Check{ID: "pac.balances", Needs: ByWire, Acts: []Act{
		{Name: "x", Order: report("reportXBalance", "X balance"), Judge: complete},
		{Name: "z", Order: report("reportZBalance", "Z balance"), Judge: complete},
	}}
}

// complete passes with a report that was made.
func complete(s *Seen) Verdict {
	c, v, ok := s.reported()
	if !ok {
		return v
	}
	return pass(c.at, c.answered)
}
