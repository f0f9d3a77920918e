package conform

import "strings"

// pacNotTaken: after these results no money was taken, and nothing is cleared.
func pacNotTaken() Check {
	var acts []Act
	for i, result := range []string{"DECLINED", "VOID", "UNSUCCESSFUL", "CANCELLED"} {
		acts = append(acts, Act{
			Name:     strings.ToLower(result),
			Order:    sale(firstTID, 510+10*int64(i)),
			Question: "Has the till said that it ended " + result + ", and left the amount open?",
			Prepare:  func(st Stage) error { return st.Play(firstTID, Part{Result: result}) },
			Judge: func(s *Seen) Verdict {
				c, v, ok := s.ran(result)
				if !ok {
					return v
				}
				return s.saidOr("the till tells the operator, and leaves the amount open",
					"compare the whole value of transactionResult. Only SUCCESSFUL clears an amount, and UNSUCCESSFUL has that word in it",
					cleared(false, result), c.at, c.answered)
			},
		})
	}
	return Check{ID: "pac.notTaken", Needs: ByBoth, Acts: acts}
}
