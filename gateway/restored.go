package gateway

import (
	"context"
	"errors"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/terminal"
)

// This file is for a journal that came back from a backup, and so is older than
// the terminals. What they have not been told to forget they tell by themselves.
// Of what was acknowledged after the backup they know the last at least.

// takeStock has a terminal name its last transaction, once, and keeps it as an
// orphan when it is not known here. One that was not begun by a gateway has no
// id and is none of ours.
func (a *actor) takeStock() {
	if !a.g.restored || a.term == nil || a.stockTaken || !a.term.Capabilities().Duplicate {
		return
	}
	a.stockTaken = true
	a.call(askLimit, func(ctx context.Context, term terminal.Terminal) {
		last, err := term.Last(ctx)
		a.do(func() {
			switch {
			case errors.Is(err, terminal.ErrNoLast), err == nil && last.ID == "":
			case err != nil:
				a.stockTaken = false // it is asked when it connects anew
				a.g.log.Warn("terminal did not name its last transaction after a restore", "tid", a.tid, "error", loggable(err))
			default:
				a.keepLast(last)
			}
		})
	})
}

// keepLast keeps what a terminal named as its last transaction, if nobody here
// knows it.
func (a *actor) keepLast(last terminal.Last) {
	_, err := a.g.store.Head(a.g.ctx, last.ID)
	if err == nil {
		return
	}
	if errors.Is(err, journal.ErrNotFound) {
		err = a.g.keepOutcome(a.g.ctx, a, last.ID, last.Outcome)
	}
	if err != nil {
		a.stockTaken = false
		a.g.log.Error("a terminal's last transaction could not be kept after a restore", "tid", a.tid, "request", last.ID, "error", err)
	}
}
