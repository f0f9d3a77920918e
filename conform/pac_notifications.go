package conform

import "slices"

// pacNotifications: notifications are shown, in the order in which they came.
func pacNotifications() Check {
	return Check{ID: "pac.notifications", Needs: ByBoth, Acts: []Act{{
		Order:    sale(firstTID, 450).with("Sell for 4.50 on card machine " + firstTID + ", and watch what the till shows while the sale runs."),
		Question: "Did the till show what the card machine was doing, step by step, and never go back to an earlier step?",
		Judge: func(s *Seen) Verdict {
			c, v, ok := s.ran("")
			if !ok {
				return v
			}
			frames := []int{c.at}
			for _, n := range c.notes {
				frames = append(frames, n.at)
			}
			return s.saidOr("the till shows each notification while the transaction runs, in the order of the wire",
				"show what each terminalNotification says as it comes, and forget the one before",
				func(w Word) (bool, string) {
					return w.Notifications != nil, outOfOrder(c.notes, w.Notifications)
				}, frames...)
		},
	}}}
}

// outOfOrder says what is wrong with what a till has shown.
func outOfOrder(came []note, shown []string) string {
	if len(shown) == 0 {
		return "the till has shown no notification: show the staff what each terminalNotification says"
	}
	next := 0
	for _, value := range shown {
		at := slices.IndexFunc(came[next:], func(n note) bool { return n.value == value })
		if at < 0 {
			return "the till has shown " + value + " where it did not come: show notifications as they come, and each once"
		}
		next += at + 1
	}
	if !slices.Contains(shown, "PRESENT_CARD") {
		return "the till has not shown PRESENT_CARD: show the staff what each terminalNotification says"
	}
	return ""
}
