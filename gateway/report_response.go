package gateway

import (
	"errors"
	"slices"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/wire"
)

// reportMade keeps a report that was started at the terminal, owes it to the
// till that keeps the tables (the contract, section 5.7), and lets the terminal
// forget it.
func (a *actor) reportMade(e terminal.ReportMade) {
	if a.term == nil {
		return // it is told again
	}
	e.Report = fittingReport(e.Report)
	unusable := unusableReport(e.Report, e.Report.Type, a.currency())
	if !slices.Contains(report.Types(), e.Report.Type) {
		unusable = errors.New("it is of no known type")
	}
	a.keepBrought(a.brought(e.ID, 0), e, unusable)
}

func (a *actor) keepBrought(b *broughtReport, e terminal.ReportMade, unusable error) {
	if err := b.keep(e, unusable); err != nil {
		a.g.log.Error("a report could not be kept yet", "tid", a.tid, "request", e.ID, "error", err)
		a.after(recordAgain, func() { a.keepBrought(b, e, unusable) })
		return
	}
	a.acknowledge(e.ID)
}

// keep sees that the report is on disk, and owed if it was not there before.
// What no till can be told is kept for people to see.
func (b *broughtReport) keep(e terminal.ReportMade, unusable error) error {
	a := b.a
	h, mine, err := a.stream(a.g.ctx, journal.ReportStream, e.ID)
	if err != nil {
		return err
	}
	switch {
	case h.Records > 0 && !mine, h.Records == 0 && unusable != nil:
		if unusable != nil {
			a.g.log.Error("a terminal's own report cannot be used", "tid", a.tid, "request", e.ID, "error", unusable)
		}
		return a.keepOrphan(a.g.ctx, journal.Orphan{ID: e.ID, Report: &e.Report})
	case h.Records > 0 && b.doubt: // the append was kept after all
		records, err := a.g.store.Records(a.g.ctx, e.ID)
		if err != nil {
			return err
		}
		if b.state, err = journal.ReplayReport(records); err != nil {
			return err
		}
		b.count, b.doubt = len(records), false
	case h.Records > 0:
		return nil
	default:
		err := b.record(a.g.ctx, report.Brought{
			ID: string(e.ID), Site: string(a.site.settings.Load().ID), TID: string(a.tid), Report: e.Report, At: time.Now().UTC(),
		})
		if err != nil {
			return err
		}
	}
	b.owe()
	return nil
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

// owe hands the report to the switchboard. Tills that store their tables here come
// for it themselves: that it is on disk is all that they are owed.
func (b *broughtReport) owe() {
	if b.a.site.keeps() {
		b.delivered()
		return
	}
	zone, rep := b.a.site.settings.Load().zone, *b.state.Report
	b.a.site.board.owe(&notice{
		queue: "reports of " + string(b.a.tid), stream: b.stream, at: b.state.At, method: wire.MethodReportResponse,
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
func (b *broughtReport) recover() (resume func()) {
	return func() { b.a.do(b.owe) }
}
