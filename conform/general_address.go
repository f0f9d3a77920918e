package conform

// generalAddress: host and key can be set. A till that comes to the address of
// the check with the key of the check has had both set.
func generalAddress() Check {
	return Check{ID: "general.address", Needs: ByWire, Stands: func(frames []Frame) Verdict {
		v := wait("no till has connected to the address of this check")
		for i, f := range frames {
			switch {
			case f.Kind == Opened:
				return pass(i)
			case f.Kind == Refused && f.WrongKey:
				v = fail("the till has come with a key that opens nothing here, or with none: put the key of the settings into token, for each till, never a fixed one", i)
			case f.Kind == Refused && v.State == Open:
				v = wait("the till was refused, for another reason than its key: the answer says which", i)
			}
		}
		return v
	}}
}
