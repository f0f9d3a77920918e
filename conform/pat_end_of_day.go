package conform

// patEndOfDay: a copy of an end of day is kept.
func patEndOfDay(day *Scene) Check {
	return Check{ID: "pat.endOfDay", Needs: ByBoth, Scene: day, Judge: func(s *Seen) Verdict {
		return s.kept("copy", "a digital copy of the end of day is kept", "keep the whole of reportResponse, with its reportLines")
	}}
}
