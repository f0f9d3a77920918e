package conform

// generalPartnerIDs: the ids of software house and installer are there, and the
// same on every connection.
func generalPartnerIDs() Check {
	return Check{ID: "general.partnerIds", Needs: ByWire, Stands: func(frames []Frame) Verdict {
		first := -1
		for i, f := range frames {
			switch {
			case f.Kind != Opened && (f.Kind != Refused || f.WrongKey):
				continue
			case f.REST && f.Version != "v2":
				if f.Kind == Opened {
					return fail("the till asks in "+f.Version+" over REST, and so need not say its partner ids: put application/connect.v2+json into Accept", i)
				}
				continue
			case !f.REST && f.Version != "v1":
				if f.Kind == Opened {
					return fail("the till connects without api-version=v1, and so without partner ids: use v1", i)
				}
				continue
			case f.SoftwareHouse == "" || f.Installer == "":
				return fail("software-house-id or installer-id is missing or empty in the address: send both with every connection", i)
			case f.Kind == Refused:
				continue
			case first < 0:
				first = i
			case frames[first].SoftwareHouse != f.SoftwareHouse || frames[first].Installer != f.Installer:
				return fail("the partner ids are others than on an earlier connection: they name who wrote and who fitted the till, and stay", first, i)
			}
		}
		if first < 0 {
			return wait("no till has connected")
		}
		return pass(first)
	}}
}
