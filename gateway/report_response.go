package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/wire"
)

// reportMade keeps a report that was started at the terminal, owes it to the
// till that keeps the tables (the contract, section 5.7), and lets the terminal
// forget it.
func (a *actor) reportMade(e terminal.ReportMade) {
	b := a.brought(e.ID, 0)
	_, err := a.g.store.Head(a.g.ctx, e.ID)
	switch {
	case err == nil: // it is on disk already
	case errors.Is(err, journal.ErrNotFound):
		e.Report.Lines = receipt.Masked(e.Report.Lines)
		err = b.record(a.g.ctx, report.Brought{
			ID: string(e.ID), Site: string(a.site.settings.Load().ID), TID: string(a.tid), Report: e.Report, At: time.Now().UTC(),
		})
		if err == nil {
			b.owe()
		}
	}
	if err != nil {
		a.g.log.Error("a report could not be kept yet", "tid", a.tid, "request", e.ID, "error", err)
		a.after(recordAgain, func() { a.reportMade(e) })
		return
	}
	a.acknowledge(e.ID)
}

// A broughtReport is a report that was started at the terminal, on its way to
// the till.
type broughtReport struct {
	a *actor
	life[report.Run, report.Event]
}

func (a *actor) brought(id txn.RequestID, count int) *broughtReport {
	return &broughtReport{a: a, life: reportLife(a.g.store, id, count)}
}

// owe hands the report to the switchboard.
func (b *broughtReport) owe() {
	zone, rep := b.a.site.settings.Load().zone, *b.state.Report
	b.a.site.board.owe(&notice{
		queue: "reports of " + string(b.a.tid), at: b.state.At, method: wire.MethodReportResponse,
		message:   func() wire.Message { return wireReport(b.a.tid, rep, zone) },
		delivered: func() { b.a.do(b.delivered) },
	})
}

func (b *broughtReport) delivered() {
	err := b.record(b.a.g.ctx, report.Delivered{At: time.Now().UTC()})
	var illegal *report.IllegalMove
	switch {
	case err == nil:
	case errors.As(err, &illegal):
		b.a.g.log.Warn("event refused", "error", err)
	default:
		b.a.g.log.Error("a delivery could not be recorded yet", "request", b.state.ID, "error", err)
		b.a.after(recordAgain, b.delivered)
	}
}

// recover owes it again after a restart.
func (b *broughtReport) recover(context.Context) error {
	b.a.do(b.owe)
	return nil
}
