package conform

import "slices"

// overScene is another till that takes over.
func overScene(o TableOptions) *Scene {
	return &Scene{
		Name: "pat.oneConnection", Text: "Another till takes over.",
		Play: func(p *Play) error {
			if !p.Connected() {
				return nil
			}
			if err := p.Serve(firstTID, Visit{Waiter: o.Waiters[0]}); err != nil { // so the gateway has it
				return err
			}
			p.Tell("Another till connects; this one must stay away for %v.", o.Stays)
			if err := p.stage().TakeOver(p.ctx); err != nil {
				return err
			}
			if p.until(p.from, p.run.cfg.Patience, func(f []Frame) bool { return slices.ContainsFunc(f, isClosed) }) {
				p.until(p.from, o.Stays, func(f []Frame) bool { return slices.ContainsFunc(f, isOpened) })
			}
			return nil
		},
	}
}

func isClosed(f Frame) bool { return f.Kind == Closed }
func isOpened(f Frame) bool { return f.Kind == Opened }

// patOneConnection: a till that was taken over stays away.
func patOneConnection(over *Scene) Check {
	return Check{ID: "pat.oneConnection", Needs: ByWire, Scene: over, Judge: func(s *Seen) Verdict {
		closed := slices.IndexFunc(s.Frames, isClosed)
		switch {
		case closed < 0:
			return s.unasked("no other till could take over")
		case twice(s.Before):
			return fail("the till has opened a second connection beside its first, earlier in this run: only the last to connect is asked, and the other is closed. Open one for the whole site", closed)
		}
		if again := slices.IndexFunc(s.Frames[closed:], isOpened); again >= 0 {
			return fail("the till has connected again at once after another till took over: so the two take the connection from each other for ever. After Connection Discontinued, or a close with 1008, leave it to a person", closed, closed+again)
		}
		return pass(closed)
	}}
}

// twice reports whether a connection was ever closed by the gateway because the
// till had opened another.
func twice(frames []Frame) bool {
	open, doubled := map[int]bool{}, map[int]bool{}
	for _, f := range frames {
		switch f.Kind {
		case Opened:
			for n := range open {
				doubled[n] = true
			}
			open[f.Conn] = true
		case Closed:
			if doubled[f.Conn] && !f.ByTill && !f.Cut {
				return true
			}
			delete(open, f.Conn)
		case Refused, Message, Pong, Asked:
		}
	}
	return false
}
