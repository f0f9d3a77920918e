package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
)

// This file serves tills that store their tables here: Pay-At-Table of section 7
// of the contract for REST.

// The errors of a Till about tables. Where several apply, the first of this list
// is the one that is returned; nothing was changed.
var (
	// ErrOverSocket is said where the site's tables are served over the WebSocket.
	ErrOverSocket = errOverSocket
	// ErrTableExists is said of a new table whose name a stored one has.
	ErrTableExists = errNameTaken
	// ErrTooManyTables is said of a new table where the site has as many as it may.
	ErrTooManyTables = errManyTables
	// ErrNoTable is said of a name that no stored table has.
	ErrNoTable = errors.New("gateway: no such table")
	// ErrStaleAmount is said where the amount is not what the till knew.
	ErrStaleAmount = errors.New("gateway: the amount of the table is another one")
	// ErrStalePaid is said where what was paid is not what the till knew.
	ErrStalePaid = errors.New("gateway: another amount of the table was paid")
	// ErrTableLocked is said where somebody's lock is in the way.
	ErrTableLocked = errors.New("gateway: the table is locked")
	// ErrTableLimits is said of a value outside the contract's limits.
	ErrTableLimits = errors.New("gateway: a value is outside the limits")
	// ErrNoReport is said of an id that no report of the last days has.
	ErrNoReport = errors.New("gateway: no such report")
)

// A TableFilter selects tables. Zero fields select everything.
type TableFilter struct {
	Locked   *bool
	Currency money.Currency
}

// selects reports whether the filter lets a table pass.
func (f TableFilter) selects(t table.Kept) bool {
	return (f.Locked == nil || *f.Locked == (t.State != table.Free)) && (f.Currency == "" || f.Currency == t.Currency)
}

// Tables returns the tables that the filter selects, oldest first. Nobody changes
// what it returns; nothing is written. The error is ErrOverSocket.
func (t *Till) Tables(f TableFilter) ([]table.Kept, error) {
	if err := t.tablesHere(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(t.site.keeper.all(), func(k table.Kept) bool { return !f.selects(k) }), nil
}

// Table returns a table, as Tables does. The error is ErrNoTable or ErrOverSocket.
func (t *Till) Table(name table.TableID) (table.Kept, error) {
	if err := t.tablesHere(); err != nil {
		return table.Kept{}, err
	}
	k := t.site.keeper.named(name)
	if k == nil {
		return table.Kept{}, ErrNoTable
	}
	return *k.seen.Load(), nil
}

// tablesHere returns ErrOverSocket where tills cannot store tables.
func (t *Till) tablesHere() error {
	if t.site.settings.Load().PAT == journal.PATWebSocket {
		return ErrOverSocket
	}
	return nil
}

// A NewTable is a table to be stored.
type NewTable struct {
	Name     table.TableID
	Amount   money.Minor // the bill
	Currency money.Currency
	Receipt  []receipt.Line   // what terminals print as the bill; may be nil
	Waiters  []table.WaiterID // who may take payments; none is everybody
}

// Tolerating is the till with what was tolerated of its message, which is recorded
// with what it does to tables.
func (t *Till) Tolerating(deviations []string) *Till {
	with := *t
	with.devs = deviations
	t.g.metrics.deviations.Add(float64(len(deviations)))
	return &with
}

// StoreTable stores a table. It is on disk when the call returns without an error.
func (t *Till) StoreTable(ctx context.Context, n NewTable) (table.Kept, error) {
	if err := t.writable(); err != nil {
		return table.Kept{}, err
	}
	now := time.Now().UTC()
	k, err := t.site.keeper.store(ctx, table.Created{
		ID: newKeptID(now), Site: string(t.Site()), Name: n.Name, Amount: n.Amount, Currency: n.Currency,
		Receipt: maskedBill(n.Receipt), Waiters: n.Waiters, By: t.by(), Deviations: t.devs, At: now,
	})
	return k, t.tableError(err)
}

// DeleteTable deletes a table. A terminal's lock hinders it, a till's does not.
func (t *Till) DeleteTable(ctx context.Context, name table.TableID, known table.Known) error {
	return t.changeTable(ctx, name, func(table.Kept) table.KeptEvent {
		return table.Removed{Known: known, By: t.by(), Deviations: t.devs, At: time.Now().UTC()}
	})
}

// ChangeAmount gives a table another bill, in minor units.
func (t *Till) ChangeAmount(ctx context.Context, name table.TableID, known table.Known, amount money.Minor) error {
	return t.changeTable(ctx, name, func(table.Kept) table.KeptEvent {
		return table.AmountChanged{Known: known, Amount: amount, By: t.by(), Deviations: t.devs, At: time.Now().UTC()}
	})
}

// ChangeReceipt gives a table other lines for terminals to print.
func (t *Till) ChangeReceipt(ctx context.Context, name table.TableID, known table.Known, lines []receipt.Line) error {
	lines = maskedBill(lines)
	return t.changeTable(ctx, name, func(table.Kept) table.KeptEvent {
		return table.ReceiptChanged{Known: known, Receipt: lines, By: t.by(), Deviations: t.devs, At: time.Now().UTC()}
	})
}

// ChangeWaiters gives a table other waiters.
func (t *Till) ChangeWaiters(ctx context.Context, name table.TableID, known table.Known, waiters []table.WaiterID) error {
	return t.changeTable(ctx, name, func(table.Kept) table.KeptEvent {
		return table.WaitersChanged{Known: known, Waiters: waiters, By: t.by(), Deviations: t.devs, At: time.Now().UTC()}
	})
}

// A LockWish is a till's wish to lock a table, or to unlock it.
type LockWish struct {
	Known    table.Known
	Locked   bool
	Holder   string // under which name; may be empty
	Override bool   // also where somebody else holds it
}

// LockTable locks or unlocks a table. A lock that it overrides is logged and
// stands in the record with whose it was.
func (t *Till) LockTable(ctx context.Context, name table.TableID, w LockWish) error {
	over := ""
	err := t.changeTable(ctx, name, func(k table.Kept) table.KeptEvent {
		over = ""
		if w.Override && k.Hinders(w.Holder, w.Locked) {
			over = k.LockedBy
		}
		if w.Locked {
			return table.TillLocked{Known: w.Known, Holder: w.Holder, Over: over, By: t.by(), Deviations: t.devs, At: time.Now().UTC()}
		}
		return table.TillUnlocked{Known: w.Known, Holder: w.Holder, Over: over, By: t.by(), Deviations: t.devs, At: time.Now().UTC()}
	})
	if err == nil && over != "" {
		t.g.metrics.overrides.Inc()
		t.g.log.Warn("a till overrode the lock of a stored table", "site", t.Site(), "table", receipt.MaskPANs(string(name)), "held by", receipt.MaskPANs(over), "by", receipt.MaskPANs(w.Holder), "key", t.key)
	}
	return err
}

// changeTable has the table of that name changed by what decide makes of it.
func (t *Till) changeTable(ctx context.Context, name table.TableID, decide func(table.Kept) table.KeptEvent) error {
	if err := t.writable(); err != nil {
		return err
	}
	k := t.site.keeper.named(name)
	if k == nil {
		return ErrNoTable
	}
	_, _, err := t.site.keeper.change(ctx, k, func(now table.Kept) []table.KeptEvent { return []table.KeptEvent{decide(now)} })
	return t.tableError(err)
}

// writable says why no table can be changed, or nothing.
func (t *Till) writable() error {
	if err := t.tablesHere(); err != nil {
		return err
	}
	if err := t.g.store.Healthy(); err != nil {
		t.g.log.Error("a request was refused: the journal cannot take it", "error", err)
		return errorOf(storage(err))
	}
	if t.g.Stopping() {
		return errorOf(stopping())
	}
	return nil
}

// by names the till in the record: by the key that it showed, and who wrote and
// fitted it where it says so.
func (t *Till) by() string {
	by := "key " + t.key
	if t.caller.SoftwareHouse != "" || t.caller.Installer != "" {
		by += fmt.Sprintf(", software house %q, installer %q", t.caller.SoftwareHouse, t.caller.Installer)
	}
	return by
}

// tableError is an inner error as a Till's caller hears it.
func (t *Till) tableError(err error) error {
	var refused *table.KeptRefusal
	switch {
	case err == nil, errors.Is(err, ErrOverSocket), errors.Is(err, ErrTableExists), errors.Is(err, ErrTooManyTables):
		return err
	case errors.As(err, &refused):
		switch refused.Why {
		case table.NotThere:
			return ErrNoTable
		case table.There:
			return ErrTableExists
		case table.StaleAmount:
			return ErrStaleAmount
		case table.StalePaid:
			return ErrStalePaid
		case table.LockHeld:
			return ErrTableLocked
		case table.LockNotHeld, table.NothingDue, table.SaidBefore, table.Unfit:
		}
		return fmt.Errorf("%w: %w", ErrTableLimits, err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	t.g.log.Error("a stored table was not changed: it could not be recorded", "error", err)
	return errorOf(storage(err))
}

// A TableReport is a report that was started at a terminal.
type TableReport struct {
	ID     txn.RequestID
	TID    txn.TID
	Report report.Report
	At     time.Time // when it came
}

// TableReports returns the reports of the last days that terminals started, newest
// first: of one terminal, or of all where tid is empty. They are there whoever
// keeps the tables.
func (t *Till) TableReports(ctx context.Context, tid txn.TID) ([]TableReport, error) {
	if tid != "" {
		if a := t.site.actor(tid); a != nil {
			tid = a.tid // as it is named
		}
	}
	q := journal.Query{Site: t.Site(), TID: tid, Kind: journal.ReportStream, Since: t.reportsSince(), Limit: maxReports}
	heads, err := t.g.store.List(ctx, q)
	if err != nil {
		return nil, t.tableError(err)
	}
	out := []TableReport{}
	for _, h := range heads {
		r, err := t.tableReport(ctx, h)
		switch {
		case err == nil:
			out = append(out, r)
		case !errors.Is(err, ErrNoReport):
			return nil, t.tableError(err)
		}
	}
	return out, nil
}

// maxReports bounds how many reports of the last days are looked through.
const maxReports = 1000

// TableReport returns one of them, or ErrNoReport.
func (t *Till) TableReport(ctx context.Context, id txn.RequestID) (TableReport, error) {
	h, err := t.g.store.Head(ctx, id)
	if errors.Is(err, journal.ErrNotFound) {
		return TableReport{}, ErrNoReport
	}
	if err != nil {
		return TableReport{}, t.tableError(err)
	}
	if h.Site != t.Site() || h.AcceptedAt.Before(t.reportsSince()) {
		return TableReport{}, ErrNoReport
	}
	r, err := t.tableReport(ctx, h)
	if err != nil && !errors.Is(err, ErrNoReport) {
		err = t.tableError(err)
	}
	return r, err
}

// reportsSince is how far back reports are shown, however long a site keeps them.
func (t *Till) reportsSince() time.Time {
	return time.Now().Add(-spec.Default().Timer(spec.TimerKeepReports))
}

// tableReport reads a report, or returns ErrNoReport for a stream that is none, or
// one that a till asked for.
func (t *Till) tableReport(ctx context.Context, h journal.Head) (TableReport, error) {
	if h.Kind != journal.ReportStream || !h.DispatchedAt.IsZero() {
		return TableReport{}, ErrNoReport
	}
	records, err := t.g.store.Records(ctx, h.Stream)
	if errors.Is(err, journal.ErrNotFound) {
		return TableReport{}, ErrNoReport // it was pruned just now
	}
	if err != nil {
		return TableReport{}, err
	}
	run, err := journal.ReplayReport(records)
	if err != nil {
		return TableReport{}, err
	}
	if !run.Brought || run.Report == nil {
		return TableReport{}, ErrNoReport
	}
	return TableReport{ID: h.Stream, TID: h.TID, Report: *run.Report, At: run.At}, nil
}
