package conform

// patEndOfDay: a copy of an end of day is kept.
func patEndOfDay(day *Scene) Check {
	return Check{ID: "pat.endOfDay", Needs: ByBoth, Scene: day, Judge: func(s *Seen) Verdict {
		for _, r := range by(asks(s.Frames), "reportResponse") {
			if r.answered >= 0 && r.acked < 0 {
				return fail("the till has not said that the report is recorded: answer reportResponse with recorded true once it is kept", r.at, r.answered)
			}
		}
		return s.kept("copy", "a digital copy of the end of day is kept", "keep the whole of reportResponse, with its reportLines")
	}}
}
