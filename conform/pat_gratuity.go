package conform

// patGratuity: a gratuity pays nothing of the bill, and is booked.
func patGratuity(table *Scene) Check {
	return Check{ID: "pat.gratuity", Needs: ByBoth, Scene: table, Judge: func(s *Seen) Verdict {
		all := asks(s.Frames)
		for _, st := range stays(all, s.Order.Table) {
			if st.gratuity() == 0 || st.unlock == nil || st.next == nil || !st.next.confirmed() {
				continue
			}
			frames := []int{st.lock.answered, st.told[0].at, st.next.answered}
			switch st.next.due() {
			case st.left():
			case st.left() - st.gratuity():
				return fail("the till has taken the gratuity of "+pounds(st.gratuity())+" off the bill: amountPaid pays the bill, amountGratuity comes on top", frames...)
			default:
				return wait("the till does not know what is left of the bill, so nothing can be told of the gratuity", frames...)
			}
			return s.after("gratuity").saidOr("the gratuity is booked", "book amountGratuity beside amountPaid, payment by payment", func(w Word) (bool, string) {
				if w.Payments == nil {
					return false, ""
				}
				var sum int64
				for _, b := range w.Payments {
					sum += b.Gratuity
				}
				if sum != st.gratuity() {
					return true, "the till has booked " + pounds(sum) + " as gratuity, and " + pounds(st.gratuity()) + " was given"
				}
				return true, ""
			}, frames...)
		}
		return wait("no gratuity was paid and the table asked for again")
	}}
}
