package conform

import "time"

// pacSignatureSlow: a cashier may take time over a signature.
func pacSignatureSlow(slow time.Duration) Check {
	return Check{ID: "pac.signatureSlow", Needs: ByWire, Acts: []Act{{
		Order:   signing(820, "accept", slow),
		Prepare: func(st Stage) error { return st.Play(firstTID, Part{Signature: true}) },
		Judge: func(s *Seen) Verdict {
			q, v, ok := s.answered()
			if !ok {
				return v
			}
			// A script counts from its own start, which is before the question.
			if took := s.Frames[q.answered].At.Sub(s.Frames[q.at].At); took < slow/2 {
				if q.accepted {
					return fail("the till has answered the signature request before the cashier did: wait for the cashier, up to the timeout of the request", q.at, q.answered)
				}
				return wait("the signature was to be accepted", q.at, q.answered)
			}
			c, v, ok := s.ran("")
			if !ok {
				return v
			}
			return pass(q.at, q.answered, c.answered)
		},
	}}}
}
