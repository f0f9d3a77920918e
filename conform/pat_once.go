package conform

// patOnce: a payment that is told again is booked once.
func patOnce(lost *Scene) Check {
	return Check{ID: "pat.once", Needs: ByWire, Scene: lost, Judge: func(s *Seen) Verdict {
		for _, st := range stays(asks(s.Frames), s.Order.Table) {
			if len(st.told) == 0 {
				continue
			}
			first, last := st.told[0], st.told[len(st.told)-1]
			frames := []int{st.lock.answered}
			for _, a := range st.told {
				frames = append(frames, a.at)
			}
			switch {
			case last.acked < 0 && last.closed < 0 && last.id == "":
				return fail("the till has not answered the ping that followed the payment: a WebSocket answers each ping with a pong. Without it the payment counts as not delivered, is told again on each connection, and the table is not unlocked", frames...)
			case last.acked < 0 && last.closed < 0:
				return fail("the till has not said that the payment is recorded: answer transactionResponse with recorded true once it is booked", frames...)
			case first == last:
				return wait("the payment was not told a second time, because the till has not come back", frames...)
			case st.next == nil || !st.next.confirmed():
				return wait("the table could not be locked again, so its balance was not seen", frames...)
			}
			frames = append(frames, st.next.answered)
			switch due := st.next.due(); due {
			case st.left():
				return pass(frames...)
			case st.left() - st.paid():
				return fail("the payment was told twice and is booked twice: know a payment by its paymentId, and keep the ids of those that are booked", frames...)
			case st.lock.due():
				return fail("the payment was told twice and is not booked: book it when it is told", frames...)
			default:
				return fail(pounds(st.left())+" is left to pay, and the till says "+pounds(due), frames...)
			}
		}
		return wait("nothing could be paid")
	}}
}
