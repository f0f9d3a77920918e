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
				return s.said("the till tells the operator, and leaves the amount open", cleared(false, result), c.at, c.answered)
			},
		})
	}
	return Check{ID: "pac.notTaken", Needs: ByBoth, Acts: acts}
}
