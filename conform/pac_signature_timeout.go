package conform

import (
	"cmp"
	"time"
)

// pacSignatureTimeout: when nobody answers in time, the question is settled
// without the till, and the response says what came of it.
func pacSignatureTimeout(limit time.Duration) Check {
	o := sale(firstTID, 830)
	o.Signature, o.Wait = "leave", limit
	o.Text += " The till asks about a signature: do not answer it. After " + limit.String() + " the time for it is over; see what the till does then."
	return Check{ID: "pac.signatureTimeout", Needs: ByBoth, Acts: []Act{{
		Order:    o,
		Question: "Has the till taken its question back by itself, and booked the 8.30 as paid?",
		Prepare: func(st Stage) error {
			st.Linger("SIGNATURE_VERIFICATION_TIMEOUT")
			return cmp.Or(st.Limit("signature", limit), st.Play(firstTID, Part{Signature: true}))
		},
		Judge: func(s *Seen) Verdict {
			q, c := s.question(), s.ordered()
			if q == nil || c == nil {
				return wait("the sale did not come so far that a signature was asked for")
			}
			over := -1
			for _, n := range c.notes {
				if n.value == "SIGNATURE_VERIFICATION_TIMEOUT" {
					over = n.at
				}
			}
			switch {
			case q.answered >= 0 && (over < 0 || q.answered < over) && q.accepted:
				return fail("the till has accepted the signature by itself, though nobody had looked at it: send an answer only when the cashier gives one", q.at, q.answered)
			case q.answered >= 0 && (over < 0 || q.answered < over):
				return wait("the signature was to be left unanswered, and was rejected", q.at, q.answered)
			case over < 0:
				return wait("the time for the signature was not over while the till listened", q.at)
			case c.answered < 0 && c.closed >= 0 && s.Frames[c.closed].ByTill:
				return fail("the till has closed the connection when the time for the signature was over: the sale goes on without an answer, so wait for the response", q.at, over, c.closed)
			}
			c, v, ok := s.ran("SUCCESSFUL")
			if !ok {
				return v
			}
			return s.saidOr("the till takes its question back, and books what the response says",
				"close the question when SIGNATURE_VERIFICATION_TIMEOUT comes, and wait for the response as before",
				cleared(true, "SUCCESSFUL, with a signature that nobody looked at"), q.at, over, c.answered)
		},
	}}}
}
