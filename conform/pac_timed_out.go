package conform

import (
	"cmp"
	"time"
)

// pacTimedOut: nobody knows whether money was taken, so nothing is cleared or
// sent again before the card machine was asked.
func pacTimedOut() Check {
	return Check{ID: "pac.timedOut", Needs: ByBoth, Acts: []Act{{
		Order:    sale(firstTID, 560).with("Sell for 5.60 on card machine " + firstTID + ". Within half a minute it ends TIMED_OUT; do then what the till says."),
		Question: "Has the till left the amount open, without calling the sale failed?",
		Prepare: func(st Stage) error {
			// The contract's limit is for people who look for their cards.
			return cmp.Or(st.Limit("transaction", 30*time.Second), st.Play(firstTID, Part{Result: "TIMED_OUT"}))
		},
		Judge: func(s *Seen) Verdict {
			c := s.timedOut()
			if c == nil {
				_, v, _ := s.ran("TIMED_OUT")
				return v
			}
			asks, again := s.learns(c, c.answered), s.again(c, c.answered)
			switch {
			case again >= 0 && (asks < 0 || again < asks):
				return fail("the till has sent the transaction again after TIMED_OUT, without asking the card machine: the customer may pay twice. Ask with terminalDetails, then look at the last transaction", c.at, c.answered, again)
			case asks < 0:
				if known, wrong := cleared(false, "TIMED_OUT")(or(s.Word)); known && wrong != "" {
					return fail(wrong, c.at, c.answered)
				}
				v := wait("after TIMED_OUT the till has not asked how the card machine is: send terminalDetails, and if it is AVAILABLE look at the last transaction with duplicate or on the card machine", c.at, c.answered)
				v.Else = Failed
				return v
			}
			return s.saidOr("the till leaves the amount open and does not call the sale failed",
				"TIMED_OUT says that nobody knows. Keep the amount open, say so, and have the operator record what the card machine shows",
				cleared(false, "TIMED_OUT"), c.at, c.answered, asks)
		},
	}}}
}

// timedOut is the ordered transaction if it has ended so.
func (s *Seen) timedOut() *call {
	for _, c := range s.requests(s.Order.Method) {
		if c.answered >= 0 && c.took() == "TIMED_OUT" {
			return c
		}
	}
	return nil
}

// or is the word, or one that says nothing.
func or(w *Word) Word {
	if w == nil {
		return Word{}
	}
	return *w
}
