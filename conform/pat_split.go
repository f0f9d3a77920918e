package conform

const bookEach = "book every payment of a transactionResponse"

// patSplit: what is left of a bill stays open, and each payment is booked.
func patSplit(table *Scene) Check {
	return Check{ID: "pat.split", Needs: ByBoth, Scene: table, Judge: func(s *Seen) Verdict {
		all := asks(s.Frames)
		missing := wait("no part of the bill could be paid")
		for _, st := range stays(all, s.Order.Table) {
			left := st.left()
			if len(st.told) == 0 || left <= 0 {
				continue
			}
			missing = wait("the table was not unlocked and asked for again after a part was paid", st.told[0].at)
			if st.unlock == nil || st.next == nil {
				continue
			}
			if v, bad := s.unanswered(st.next); bad {
				return v
			}
			frames := []int{st.lock.answered, st.told[0].at, st.next.at, st.next.answered}
			switch due := st.next.due(); {
			case !st.next.confirmed():
				return fail(pounds(left)+" of the bill is left to pay, and the till refuses the table: a part that is paid leaves the table open", frames...)
			case due != left && due != left-st.gratuity():
				return fail(pounds(left)+" of the bill is left to pay, and the till says "+pounds(due)+": take the amountPaid of each payment off it", frames...)
			}
			paid := payments(all, s.Order.Table)
			if len(paid) < 3 {
				return wait("the rest of the bill could not be paid in two parts", frames...)
			}
			return s.after("booked").saidOr("each part is booked as a payment", bookEach, func(w Word) (bool, string) { return booked(w, paid) }, frames...)
		}
		return missing
	}}
}

// booked looks for each payment in the books of the till.
func booked(w Word, paid []taken) (known bool, wrong string) {
	if w.Payments == nil {
		return false, ""
	}
	for _, p := range paid {
		n := 0
		for _, b := range w.Payments {
			if b.ID != p.id {
				continue
			}
			if n++; b.Paid != p.paid {
				return true, "the till has booked " + pounds(b.Paid) + " for payment " + p.id + ", and " + pounds(p.paid) + " was paid towards the bill"
			}
		}
		switch {
		case n == 0:
			return true, "the till has not booked payment " + p.id + " of " + pounds(p.paid) + ": " + bookEach
		case n > 1:
			return true, "the till has booked payment " + p.id + " more than once"
		}
	}
	return true, ""
}
