package conform

import (
	"slices"
	"strings"
)

// patList: a list has the tables that can be paid and no others: neither one that
// a card machine has locked, nor one that is paid.
func patList(table *Scene) Check {
	return Check{ID: "pat.list", Needs: ByWire, Scene: table, Judge: func(s *Seen) Verdict {
		all := asks(s.Frames)
		lists := by(all, "tableListRequest")
		if len(lists) == 0 {
			return s.unasked("no card machine could ask for the tables")
		}
		name := s.Order.Table
		var frames []int
		whenLocked, whenPaid := false, false
		for i, l := range lists {
			if v, bad := s.unanswered(l); bad {
				return v
			}
			tables, ok := l.tables()
			if !ok {
				return fail("result.tableIds must be an array of texts, and is "+quoted(l.answer.result["tableIds"]), l.at, l.answered)
			}
			has := slices.Contains(tables, name)
			stands := standing(about(all, name), l.at)
			switch {
			case i == 0 && !has:
				return fail("table "+name+" is open and unpaid, and the list has "+listed(tables)+": list every table with something to pay that is not locked", l.at, l.answered)
			case has && (stands.locked || stands.paid()):
				return fail(stands.unlisted(name), stands.at, l.at, l.answered)
			}
			whenLocked, whenPaid = whenLocked || stands.locked, whenPaid || stands.paid()
			frames = append(frames, l.answered)
		}
		switch {
		case !whenLocked:
			return wait("the list was not seen while the table was locked", frames...)
		case !whenPaid:
			return wait("the list was not seen after the table was paid", frames...)
		}
		return pass(frames...)
	}}
}

// unlisted says why a table that stands so does not belong on a list.
func (s stand) unlisted(name string) string {
	if s.locked {
		return "the list has table " + name + ", which another card machine has locked: leave locked tables out"
	}
	return "the list has table " + name + ", of which nothing is left to pay: leave paid tables out"
}

func listed(tables []string) string {
	if len(tables) == 0 {
		return "none"
	}
	return "only " + strings.Join(tables, ", ")
}

// A stand is how a table stands, as far as the wire tells.
type stand struct {
	at     int // number of the frame that says so last
	locked bool
	known  bool // what is left is known
	left   int64
}

func (s stand) paid() bool { return s.known && s.left <= 0 && !s.locked }

// standing is how a table stands before a frame, by what was asked about it.
func standing(all []*ask, before int) stand {
	s := stand{}
	booked := map[string]bool{}
	for _, a := range all {
		switch {
		case a.at >= before:
		case a.method == "tableLockRequest" && a.confirmed() && a.answered < before:
			s = stand{at: a.answered, locked: true, known: true, left: a.due()}
		case a.method == "transactionResponse":
			for _, p := range a.payments() {
				if !booked[p.id] {
					booked[p.id] = true
					s.left -= p.paid
					s.at = a.at
				}
			}
		case a.method == "tableUnlock":
			s.locked, s.at = false, a.at
		}
	}
	return s
}
