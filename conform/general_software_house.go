package conform

// generalSoftwareHouse: nobody in the field can change the software house's id.
func generalSoftwareHouse() Check {
	return Check{ID: "general.softwareHouse", Needs: ByWord, Acts: []Act{{
		Order:    Order{Text: "Look through the settings of the till for the software house id."},
		Question: "Is the software house id fixed in the software, so that nobody can change it in the field?",
		Judge: func(s *Seen) Verdict {
			return s.saidOr("the software house id cannot be changed in the field",
				"build it into the software: it names who wrote the till, and is no setting",
				none)
		},
	}}}
}
