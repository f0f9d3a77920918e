package conform

import "slices"

// waitersScene is a table of the second waiter that the first asks for.
func waitersScene(o TableOptions) *Scene {
	table, other, own := o.Tables[1], o.Waiters[0], o.Waiters[1]
	return &Scene{
		Name: "pat.waiters", Text: "A table belongs to one waiter.",
		Steps: []Act{{
			Name:  "open",
			Order: open(table, 1000, own, "Open table "+table+" with 10.00 to pay for waiter "+own+" alone, so that waiter "+other+" must not have it. If your till does not keep waiters apart, open it all the same."),
		}, {
			Name: "apart", Order: books(table, own),
			Question: "The till lets waiter " + other + " have the table of waiter " + own + ". Does it do without waiters, on purpose?",
		}},
		Play: func(p *Play) error {
			if err := p.Order("open"); err != nil || !p.Connected() {
				return err
			}
			for _, w := range []string{other, own} {
				if err := p.Serve(firstTID, Visit{Waiter: w, Table: table, Leave: true}); err != nil {
					return err
				}
				p.Released(table)
			}
			if shown(asks(p.frames()), other, table) == nil {
				return nil
			}
			return p.Ask("apart")
		},
	}
}

// shown finds a list of a waiter's that has a table.
func shown(all []*ask, waiter, table string) *ask {
	for _, l := range by(all, "tableListRequest") {
		if tables, _ := l.tables(); l.waiter() == waiter && slices.Contains(tables, table) {
			return l
		}
	}
	return nil
}

// patWaiters: a table of one waiter's is not another's.
func patWaiters(o TableOptions, scene *Scene) Check {
	other, own := o.Waiters[0], o.Waiters[1]
	return Check{ID: "pat.waiters", Needs: ByBoth, Scene: scene, Judge: func(s *Seen) Verdict {
		all := asks(s.Frames)
		table := s.Order.Table
		if l := shown(all, other, table); l != nil {
			if w := s.words["apart"]; w != nil && (w.Waiters != nil && !*w.Waiters || w.Yes != nil && *w.Yes) {
				return wait("the till does without waiters, so there is nothing to honour", l.at, l.answered)
			}
			return fail("the list of waiter "+other+" has table "+table+", which is waiter "+own+"'s: leave out what waiterId may not pay", l.at, l.answered)
		}
		var frames []int
		for _, l := range by(all, "tableListRequest") {
			if _, bad := s.unanswered(l, errorsAreFine); bad {
				return wait("the till gives no list that can be used", l.at)
			}
			frames = append(frames, l.answered)
		}
		for _, l := range by(about(all, table), "tableLockRequest") {
			if _, bad := s.unanswered(l, errorsAreFine); bad {
				continue // which another line is about
			}
			if l.waiter() == other && l.confirmed() {
				return fail("the till has confirmed table "+table+" to waiter "+other+", and it is waiter "+own+"'s: the list leaves it out, but it can be keyed in", l.at, l.answered)
			}
		}
		l := shown(all, own, table)
		if l == nil {
			return wait("the list of waiter "+own+" does not have table "+table+" either", frames...)
		}
		return pass(frames...)
	}}
}
