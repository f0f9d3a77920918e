package conform

// generalEndOfDayAtTable: an end of day is made each day.
func generalEndOfDayAtTable(day *Scene) Check {
	return Check{ID: "general.endOfDay", Needs: ByBoth, Scene: day, Judge: func(s *Seen) Verdict {
		return s.kept("daily", "an end of day is made each day", "say in the till when it was made last at each card machine, and ask for it before the day is closed")
	}}
}
