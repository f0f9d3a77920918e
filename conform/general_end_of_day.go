package conform

import "strings"

// generalEndOfDay: an end of day can be run, and is run each day.
func generalEndOfDay() Check {
	return Check{ID: "general.endOfDay", Needs: ByBoth, Acts: []Act{{
		Order:    report("reportEndOfDay", "end of day"),
		Question: "Does the till run an end of day each day, or see to it that somebody does?",
		Judge: func(s *Seen) Verdict {
			c, v, ok := s.reported()
			if !ok {
				return v
			}
			return s.saidOr("an end of day is run each day",
				"run reportEndOfDay once a day on each card machine, by a clock or by a reminder that nobody can miss: what is pending is settled only then",
				none, c.at, c.answered)
		},
	}}}
}

// report orders one.
func report(method, name string) Order {
	return Order{Method: method, TID: firstTID, Currency: "GBP", Text: "Run the " + name + " report on card machine " + firstTID + "."}
}

// reported waits for the report that was ordered.
func (s *Seen) reported() (*call, Verdict, bool) {
	c := s.ordered()
	if c == nil {
		for _, other := range calls(s.Frames) {
			if strings.HasPrefix(other.method, "report") {
				return other, fail("the report "+s.Order.Method+" was ordered, and the till has asked for "+other.method+": each report is a method of its own, and an end of day or a Z balance resets totals", other.at), false
			}
		}
	}
	if v, wrong := s.refusal(c); wrong {
		return c, v, false
	}
	c, v, ok := s.ran("")
	if ok && text1(c.answer.result["reportResult"]) != "COMPLETE" {
		return c, wait("the card machine did not complete the report", c.at, c.answered), false
	}
	return c, v, ok
}
