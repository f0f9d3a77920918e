package conform

// generalInstaller: the installer's id can be set.
func generalInstaller() Check {
	return Check{ID: "general.installer", Needs: ByWord, Acts: []Act{{
		Order:    Order{Text: "Look through the settings of the till for the installer id."},
		Question: "Can the installer id be set?",
		Judge: func(s *Seen) Verdict {
			return s.saidOr("the installer id can be set",
				"make it a setting, for whoever fits the till has one of their own",
				none)
		},
	}}}
}
