package conform

// pacSignatureRejected: a cashier can reject, and the sale is VOID then.
func pacSignatureRejected() Check {
	return Check{ID: "pac.signatureRejected", Needs: ByWire, Acts: []Act{{
		Order:   signing(810, "reject", 0),
		Prepare: func(st Stage) error { return st.Play(firstTID, Part{Signature: true}) },
		Judge: func(s *Seen) Verdict {
			q, v, ok := s.answered()
			if !ok {
				return v
			}
			if q.accepted {
				return fail("the signature was to be rejected, and the till has answered that it was accepted: let the cashier reject it", q.at, q.answered)
			}
			c, v, ok := s.ran("VOID")
			if !ok {
				return v
			}
			return pass(q.at, q.answered, c.answered)
		},
	}}}
}
