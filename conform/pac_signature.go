package conform

import "time"

// pacSignature: the cashier is asked, and the answer goes to the question.
func pacSignature() Check {
	return Check{ID: "pac.signature", Needs: ByWire, Acts: []Act{{
		Order:   signing(800, "accept", 0),
		Prepare: func(st Stage) error { return st.Play(firstTID, Part{Signature: true}) },
		Judge: func(s *Seen) Verdict {
			q := s.question()
			switch {
			case q == nil:
				return wait("the sale did not come so far that a signature was asked for")
			case q.answered < 0 && q.astray >= 0:
				return fail("the signature request has the id "+q.id+", and the till has answered under another: repeat the request's own id", q.at, q.astray)
			case q.answered < 0:
				v := wait("the till has not answered the signature request: ask the cashier, and send {\"accepted\": true} or false within its timeout", q.at)
				v.Else = Failed
				return v
			case !q.form:
				return fail("accepted must be true or false, without quotes", q.at, q.answered)
			case !q.accepted:
				return wait("the signature was to be accepted, and was rejected", q.at, q.answered)
			}
			c, v, ok := s.ran("SUCCESSFUL")
			if !ok {
				return v
			}
			return pass(q.at, q.answered, c.answered)
		},
	}}}
}

// signing orders a sale with a signature.
func signing(amount int64, how string, slow time.Duration) Order {
	o := sale(firstTID, amount)
	o.Signature, o.Wait = how, slow
	o.Text += " The till asks about a signature: " + how + " it"
	if slow > 0 {
		o.Text += ", but only after " + slow.String()
	}
	o.Text += "."
	return o
}

// question is the first signature request of the act.
func (s *Seen) question() *question {
	if all := questions(s.Frames); len(all) > 0 {
		return all[0]
	}
	return nil
}

// answered waits for an answer to a signature request that can be judged.
func (s *Seen) answered() (*question, Verdict, bool) {
	q := s.question()
	switch {
	case q == nil:
		return nil, wait("the sale did not come so far that a signature was asked for"), false
	case q.answered < 0 || !q.form:
		return q, wait("the signature request got no answer that could be judged", q.at), false
	}
	return q, Verdict{}, true
}
