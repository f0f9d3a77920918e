package conform

// dayScene is an end of day that is made at a card machine.
func dayScene() *Scene {
	asked := Order{Method: "report", TID: firstTID, Currency: "GBP"}
	return &Scene{
		Name: "pat.endOfDay", Text: "An end of day is made at a card machine.",
		Steps: []Act{{
			Name: "copy", Order: asked,
			Question: "Has the till kept a digital copy of the end of day that card machine " + firstTID + " has just made?",
		}, {
			Name: "daily", Order: asked,
			Question: "Is an end of day made at each card machine every day, and does the till or somebody see to it?",
		}},
		Play: func(p *Play) error {
			if !p.Connected() {
				return nil
			}
			p.Tell("An end of day is made at card machine %s.", firstTID)
			if err := p.stage().EndOfDay(p.ctx, firstTID); err != nil {
				return err
			}
			if !p.until(p.from, p.run.cfg.Patience, func(f []Frame) bool {
				all := by(asks(f), "reportResponse")
				return len(all) > 0 && all[0].acked >= 0
			}) && len(by(asks(p.frames()), "reportResponse")) == 0 {
				return nil
			}
			if err := p.Ask("copy"); err != nil {
				return err
			}
			return p.Ask("daily")
		},
	}
}

// kept judges what became of a report of the card machine's.
func (s *Seen) kept(step, right, change string) Verdict {
	all := by(asks(s.Frames), "reportResponse")
	if len(all) == 0 {
		return s.unasked("the till could not be told of an end of day")
	}
	return s.after(step).saidOr(right, change, none, all[len(all)-1].at)
}
