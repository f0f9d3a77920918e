package conform

const keepLocked = "keep it locked until tableUnlock"

// patLock: a table that is free is confirmed with what is due, and then cannot be
// edited.
func patLock(table *Scene) Check {
	return Check{ID: "pat.lock", Needs: ByBoth, Scene: table, Judge: func(s *Seen) Verdict {
		locks := by(about(asks(s.Frames), s.Order.Table), "tableLockRequest")
		if len(locks) == 0 {
			return s.unasked("no card machine could ask for table " + s.Order.Table)
		}
		l := locks[0]
		if l.answered >= 0 && l.answer.fault == nil {
			if yes, ok := truth(l.answer.result["confirmed"]); !ok {
				return fail("result.confirmed must be true or false, without quotes, and is "+quoted(l.answer.result["confirmed"]), l.at, l.answered)
			} else if !yes {
				return fail("the till refuses table "+l.table()+", which is open, unpaid and free: confirm it with amount and currency", l.at, l.answered)
			}
			raw := l.answer.result["amount"]
			switch n, ok := whole(raw); {
			case !ok:
				return fail("the amount must be a whole number of pence or cents, without point or quotes: "+pounds(s.Order.Amount)+" is "+itoa(s.Order.Amount)+", and the till sent "+quoted(raw), l.at, l.answered)
			case n != s.Order.Amount:
				return fail(pounds(s.Order.Amount)+" is to pay, which is "+itoa(s.Order.Amount)+" pence, and the till sent "+itoa(n)+": count money in whole minor units, or round when you multiply", l.at, l.answered)
			case text1(l.answer.result["currency"]) != s.Order.Currency:
				return fail("currency must be "+s.Order.Currency+", and is "+quoted(l.answer.result["currency"]), l.at, l.answered)
			}
		}
		if v, bad := s.unanswered(l); bad {
			return v
		}
		return s.after("locked").saidOr("nobody can edit a table that a card machine has", keepLocked, func(w Word) (bool, string) {
			switch {
			case w.Locked == nil:
				return false, ""
			case !*w.Locked:
				return true, "the till has confirmed the table and lets it be edited: " + keepLocked
			}
			return true, ""
		}, l.at, l.answered)
	}}
}
