package conform

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// What a score makes of a till that keeps tables. In a run it is known how a
// table stands when a card machine asks for it. Here guests may have ordered more,
// paid in cash or sat down anew in between, so that what is not as it was left is
// no fault by itself.

// tableRules are the rules for tables.
func tableRules(add func(string, rule)) {
	add("pat.list/free", rule{
		todo: "Open a table in the till, and have a card machine ask for the list: tillwire terminals pat --list --tid VCMDEMOSIP0 --waiter 1",
		judge: func(s *Seen) Verdict {
			l, v, ok := s.listed()
			if tables, _ := l.tables(); ok && len(tables) == 0 {
				return wait("the list is empty", l.at, l.answered)
			}
			return v
		},
		find: eachAsk("tableListRequest", nil),
	})
	for _, part := range []struct {
		name, todo string
		when       func(stand) bool
	}{
		{"locked", "While a card machine has a table, ask for the list on another, say VCMDEMOSIP3.", func(s stand) bool { return s.locked }},
		{"paid", "Once a table is paid, ask for the list again.", stand.paid},
	} {
		add("pat.list/"+part.name, rule{
			todo: part.todo,
			judge: func(s *Seen) Verdict {
				l, v, ok := s.listed()
				tables, _ := l.tables()
				switch {
				case !ok || !slices.Contains(tables, s.Order.Table):
					return v
				case part.name == "paid":
					return wait("the table may have been opened again", l.at, l.answered)
				}
				return fail(stand{locked: true}.unlisted(s.Order.Table), l.at, l.answered)
			},
			find: func(w *window) []occasion {
				var out []occasion
				for _, l := range by(w.asks(), "tableListRequest") {
					for _, table := range w.tables() {
						if part.when(standing(about(w.asks(), table), l.at)) && w.settled(l) {
							o := w.only(l)
							o.seen.Order.Table = table
							out = append(out, o)
						}
					}
				}
				return out
			},
		})
	}
	add("pat.lock", rule{
		todo: "Open a table in the till, and have a waiter lock it: tillwire terminals pat --tid VCMDEMOSIP0 --waiter 1 --table 12",
		find: eachAsk("tableLockRequest", func(_ *window, l *ask) bool {
			yes, ok := truth(l.answer.result["confirmed"])
			return l.answer.fault == nil && (yes || !ok)
		}),
		ask: func(s *Seen) string {
			return "A card machine has had table " + s.Order.Table + ". Does the till keep everybody from editing it until it is unlocked?"
		},
	})
	refused := func(name, why, todo string, when func(*window, *ask) bool) {
		add("pat.refuse/"+name, rule{
			todo: todo,
			judge: func(s *Seen) Verdict {
				l := asks(s.Frames)[0]
				if l.confirmed() && why != isLocked {
					return wait("the table may be open", l.at, l.answered) // again, or nobody knew of it
				}
				return s.refuses(l, why)
			},
			find: eachAsk("tableLockRequest", when),
		})
	}
	refused("missing", isNotThere, "Have a waiter key in a table that is not there: tillwire terminals pat --by-name --tid VCMDEMOSIP0 --table 99", func(w *window, l *ask) bool {
		return !slices.Contains(w.known(l), l.table()) && !standing(about(w.asks(), l.table()), l.at).known
	})
	refused("locked", isLocked, "While a card machine has a table, key it in at another, say VCMDEMOSIP3.", func(w *window, l *ask) bool {
		return standing(about(w.asks(), l.table()), l.at).locked
	})
	refused("paid", isPaid, "Once a table is paid, key it in again.", func(w *window, l *ask) bool {
		return standing(about(w.asks(), l.table()), l.at).paid()
	})
	add("pat.bill", rule{todo: "Have a waiter print the bill: F3 on the page of VCMDEMOSIP0, once a table is locked.", find: eachAsk("posReceiptRequest", nil)})
	add("pat.finalReceipt", rule{
		todo: "Connect with final-pos-receipt-request in the address, and have a table paid.",
		find: eachAsk("finalPOSReceiptRequest", nil),
	})
	add("pat.unlock", rule{
		todo: "Have a waiter lock a table, leave without a payment, and lock it again.",
		find: eachStay(func(st *stay) bool { return st.next.confirmed() && len(st.told) == 0 }),
	})
	add("pat.gratuity", rule{
		todo: "Have a part of a table paid with a gratuity, and the table locked again.",
		find: eachStay(func(st *stay) bool { return st.gratuity() > 0 && st.leaves(st.left(), st.left()-st.gratuity()) }),
		ask: func(s *Seen) string {
			st := stays(asks(s.Frames), s.Order.Table)[0]
			return "Has the till booked a gratuity of " + pounds(st.gratuity()) + " at table " + s.Order.Table + ", apart from what was paid of the bill?"
		},
	})
	add("pat.split", rule{
		todo: "Have a part of a table paid, and then the rest with two cards: tillwire terminals pat --split 2 --tid VCMDEMOSIP0 --table 12",
		find: eachStay(func(st *stay) bool {
			return len(st.told) > 0 && st.told[0].conn == st.lock.conn && st.leaves(st.left(), st.left()-st.gratuity(), st.lock.due())
		}),
		ask: func(s *Seen) string {
			var parts []string
			for _, p := range payments(asks(s.Frames), s.Order.Table) {
				parts = append(parts, pounds(p.paid))
			}
			return "Has the till booked these payments for table " + s.Order.Table + ": " + strings.Join(parts, ", ") + "?"
		},
	})
	add("pat.offline", rule{
		todo: "While a card machine has a table, end the till. Have a part of the table paid, start the till again, and lock the table once more.",
		find: eachStay(func(st *stay) bool {
			return len(st.told) > 0 && st.told[0].conn != st.lock.conn && st.leaves(st.left(), st.lock.due())
		}),
	})
	add("pat.endOfDay", rule{
		todo: "Make an end of day at a card machine: tillwire terminals report end-of-day --tid VCMDEMOSIP0",
		find: eachAsk("reportResponse", nil),
		ask:  func(*Seen) string { return "Has the till kept a digital copy of the end of day?" },
	})
	add("pat.oneConnection", rule{
		todo: "Connect another till of the site to /pat: tillwire epos tables. Yours is told Connection Discontinued, and has to stay away.",
		find: (*window).takenOver,
	})
	add("pat.once", onlyIn("pat.once", "An acknowledgement has to be lost."))
	add("pat.waiters", onlyIn("pat.waiters", "It has to be known whose table it is."))
}

// atTable has a report that was made at a card machine judged as the checks of
// tables do, and any other as those of the counter.
func atTable(counter, table func(*Seen) Verdict) func(*Seen) Verdict {
	return func(s *Seen) Verdict {
		if len(by(asks(s.Frames), "reportResponse")) > 0 {
			return table(s)
		}
		return counter(s)
	}
}

// listed judges the answer to the one request for a list.
func (s *Seen) listed() (*ask, Verdict, bool) {
	l := by(asks(s.Frames), "tableListRequest")[0]
	if v, bad := s.unanswered(l, errorsAreFine); bad {
		return l, v, false
	}
	if l.answer.fault != nil {
		return l, wait("the till gives this waiter no list", l.at, l.answered), false
	}
	if _, ok := l.tables(); !ok {
		return l, fail("result.tableIds must be an array of texts, and is "+quoted(l.answer.result["tableIds"]), l.at, l.answered), false
	}
	return l, pass(l.at, l.answered), true
}

// leaves reports whether the next lock says that one of these amounts is due.
func (s *stay) leaves(amounts ...int64) bool {
	return s.next.confirmed() && slices.Contains(amounts, s.next.due())
}

// asks is what was asked of the till at its tables.
func (w *window) asks() []*ask {
	if w.asked == nil && slices.Contains(w.faces, "pat") {
		w.asked = slices.DeleteFunc(asks(w.frames), func(a *ask) bool { return w.frames[a.at].Path != "/pat" })
	}
	return w.asked
}

// tables are those that were asked for.
func (w *window) tables() []string {
	var out []string
	for _, l := range by(w.asks(), "tableLockRequest") {
		if !slices.Contains(out, l.table()) {
			out = append(out, l.table())
		}
	}
	return out
}

// known are the tables of the last list before a lock.
func (w *window) known(lock *ask) (tables []string) {
	for _, l := range by(w.asks(), "tableListRequest") {
		if listed, ok := l.tables(); ok && l.answered < lock.at {
			tables = listed
		}
	}
	return tables
}

// grace is how long after its time an answer is still waited for.
const grace = 2 * time.Second

// settled reports whether nothing more is to come of a question.
func (w *window) settled(a *ask) bool {
	if !a.open() || w.now.Sub(w.frames[a.at].At) >= a.timeout()+grace {
		return true
	}
	w.waits = true
	return false
}

// timeout is how long a question waits for its answer.
func (a *ask) timeout() time.Duration {
	return cmp.Or(time.Duration(number(a.params["timeout"])), 10) * time.Second
}

// only is the occasion of a question by itself.
func (w *window) only(a *ask) occasion {
	o := occasion{seen: Seen{Order: Order{Table: a.table(), Waiter: a.waiter(), TID: a.tid()}}, over: true, lost: -1}
	for _, i := range sorted([]int{a.at, a.answered, a.closed, a.astray, a.blamed}) {
		if late := i == a.closed && w.frames[max(i, 0)].At.Sub(w.frames[a.at].At) >= a.timeout(); i >= 0 && !late {
			o.frames = append(o.frames, i)
		}
	}
	return o
}

// since is the occasion of a question with all that was said at tables after it.
func (w *window) since(a *ask) occasion {
	o := w.only(a)
	o.frames = nil
	for i, f := range w.frames[a.at:] {
		if f.Kind != Message || f.Path == "/pat" {
			o.frames = append(o.frames, a.at+i)
		}
	}
	return o
}

// eachAsk is the occasion of each question by a method that a condition takes.
func eachAsk(method string, is func(*window, *ask) bool) func(*window) []occasion {
	return func(w *window) []occasion {
		var out []occasion
		for _, a := range by(w.asks(), method) {
			if !w.settled(a) || is != nil && !is(w, a) {
				continue
			}
			o := w.only(a)
			o.seen.Order.Amount, o.seen.Order.Currency = a.due(), text1(a.answer.result["currency"])
			if o.seen.Order.Amount == 0 {
				o.seen.Order.Amount = tableDue // so that a hint has an example
			}
			if !slices.Contains([]string{"GBP", "EUR"}, o.seen.Order.Currency) {
				o.seen.Order.Currency = "GBP or EUR"
			}
			out = append(out, o)
		}
		return out
	}
}

// eachStay is the occasion of each stay at a table that a condition takes, once
// the table was unlocked and asked for again.
func eachStay(is func(*stay) bool) func(*window) []occasion {
	return func(w *window) []occasion {
		var out []occasion
		for _, table := range w.tables() {
			for _, st := range stays(w.asks(), table) {
				if st.unlock != nil && st.next != nil && st.next.answered >= 0 && is(st) {
					out = append(out, w.since(st.lock))
				}
			}
		}
		return out
	}
}

// staysAway is how long a till that was taken over has to stay away.
const staysAway = 5 * time.Second

// takenOver finds where another till has taken the tables over.
func (w *window) takenOver() []occasion {
	open := map[int]bool{} // at first those that were open before
	for conn, path := range w.open {
		open[conn] = path == "/pat"
	}
	for _, f := range w.frames {
		if f.Kind == Closed && f.Path == "/pat" {
			open[f.Conn] = true
		}
	}
	for _, f := range w.frames {
		if f.Kind == Opened {
			delete(open, f.Conn)
		}
	}
	var out []occasion
	told := map[int]int{}
	for i, f := range w.frames {
		switch {
		case f.Path != "/pat":
		case f.Kind == Opened:
			open[f.Conn] = true
		case f.Kind == Message:
			if m := read(f.Text); f.FromGateway && m.fault != nil && m.fault.Code == codeDiscontinued {
				told[f.Conn] = i
			}
		case f.Kind == Closed:
			delete(open, f.Conn)
			from, was := told[f.Conn]
			if !was || slices.Contains(slices.Collect(maps.Values(open)), true) { // one that dials anew takes over from itself
				continue
			}
			if !slices.ContainsFunc(w.frames[i:], isOpened) && w.now.Sub(f.At) < staysAway {
				w.waits = true
				continue
			}
			o := occasion{over: true, lost: -1}
			for n := from; n < len(w.frames) && w.frames[n].At.Sub(f.At) < staysAway; n++ {
				o.frames = append(o.frames, n)
			}
			out = append(out, o)
		}
	}
	return out
}
