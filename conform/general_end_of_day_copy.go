package conform

// generalEndOfDayCopy: a copy of each end of day is kept.
func generalEndOfDayCopy() Check {
	return Check{ID: "general.endOfDayCopy", Needs: ByBoth, Acts: []Act{{
		Order:    report("reportEndOfDay", "end of day"),
		Question: "Has the till kept a digital copy of this end of day?",
		Judge: func(s *Seen) Verdict {
			c, v, ok := s.reported()
			if !ok {
				v.State = Open // what is wrong with the report is judged elsewhere
				return v
			}
			return s.saidOr("a digital copy of the end of day is kept",
				"keep the totals and the reportLines of each where they outlive the till",
				none, c.at, c.answered)
		},
	}}}
}
