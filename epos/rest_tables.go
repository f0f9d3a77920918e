package epos

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/wire/rest"
)

// This file is for tills whose tables the gateway keeps. Waiters at the card machines
// choose and pay them there, and the till looks what was paid.

// A NewTable is what REST.StoreTable stores.
type NewTable struct {
	Name    TableID // 1 to 64 characters
	Amount  money.Amount
	Receipt []receipt.Line // the bill; nil has the gateway write one
	Waiters []WaiterID     // who may serve it; none is anybody
}

// A StoredTable is a table that the gateway keeps. All amounts are in minor units
// of its currency.
type StoredTable struct {
	Name           TableID
	Amount         money.Minor // the bill; payments do not reduce it
	AmountPaid     money.Minor // towards the bill, the sum of the payments, as the next two
	AmountCashback money.Minor
	AmountGratuity money.Minor
	Payments       []TablePayment // each of which took money, the oldest first
	Locked         bool
	LockedBy       string // a TID, or the name of a till
	Waiters        []WaiterID
	Receipt        []receipt.Line // where it was asked for
}

// A TableFilter chooses tables. What is empty does not filter.
type TableFilter struct {
	Currency money.Currency
	Locked   *bool
}

// What the methods below make of a lost answer: an error that is no *Error leaves
// open whether a change was made. It does no harm to make it again: where it was made,
// or the table is no longer what the till knew, the error has the Status 422, and
// nothing was changed by it.
//
// Other statuses of an *Error: 404 no such table, 409 there is one of that name, or the
// site's tables are kept by a till on a WebSocket, 423 somebody holds its lock.

// StoreTable stores a table, which waiters see from then on.
func (c *REST) StoreTable(ctx context.Context, t NewTable) error {
	r := rest.TableCreate{TableName: string(t.Name), Amount: t.Amount.Minor, Currency: t.Amount.Currency, Receipt: t.Receipt}
	for _, w := range t.Waiters {
		r.WaiterIDs = append(r.WaiterIDs, string(w))
	}
	method := http.MethodPut
	if c.tableVersion() == rest.V0 {
		method = http.MethodPost
	}
	return c.change(ctx, "storing a table", method, c.at("pat", "tables"), r.Append(nil))
}

// StoredTables lists the stored tables, the oldest first, without their receipts.
func (c *REST) StoredTables(ctx context.Context, f TableFilter) ([]StoredTable, error) {
	q := url.Values{}
	if f.Currency != "" {
		q.Set("currency", string(f.Currency))
	}
	if f.Locked != nil {
		q.Set("locked", strconv.FormatBool(*f.Locked))
	}
	at := c.at("pat", "tables")
	if len(q) > 0 {
		at += "?" + q.Encode()
	}
	const what = "listing the tables"
	body, err := c.readTables(ctx, what, at)
	if err != nil {
		return nil, err
	}
	list, err := rest.ReadTables(body)
	if err != nil {
		return nil, about(what, err)
	}
	out := make([]StoredTable, len(list))
	for i, t := range list {
		out[i] = storedTable(t)
	}
	return out, nil
}

// StoredTable returns a table with its receipt.
func (c *REST) StoredTable(ctx context.Context, name TableID) (StoredTable, error) {
	const what = "looking at a table"
	body, err := c.readTables(ctx, what, c.at("pat", "tables", string(name))+"?receipt=true")
	if err != nil {
		return StoredTable{}, err
	}
	t, err := rest.ReadTable(body)
	if err != nil {
		return StoredTable{}, about(what, err)
	}
	return storedTable(t), nil
}

// ChangeAmount gives a table another bill. It is changed only if it is still as the
// till knows it, as by all that follow.
func (c *REST) ChangeAmount(ctx context.Context, known StoredTable, amount money.Minor) error {
	return c.changeTable(ctx, known, "amount", rest.TableAmount{LastKnown: lastKnown(known), NewAmount: amount}.Append(nil))
}

// ChangeReceipt gives a table another receipt.
func (c *REST) ChangeReceipt(ctx context.Context, known StoredTable, lines []receipt.Line) error {
	return c.changeTable(ctx, known, "receipt", rest.TableReceipt{LastKnown: lastKnown(known), NewReceipt: lines}.Append(nil))
}

// ChangeWaiters says who may serve a table; none is anybody.
func (c *REST) ChangeWaiters(ctx context.Context, known StoredTable, waiters []WaiterID) error {
	r := rest.TableWaiterIDs{LastKnown: lastKnown(known), NewWaiterIDs: []string{}}
	for _, w := range waiters {
		r.NewWaiterIDs = append(r.NewWaiterIDs, string(w))
	}
	return c.changeTable(ctx, known, "waiterids", r.Append(nil))
}

// LockTable hides a table from the card machines, under the name of who works at it.
// Override takes the lock from a till or a card machine that failed while it held it:
// a payment that it has begun is booked to the table all the same.
func (c *REST) LockTable(ctx context.Context, known StoredTable, by string, override bool) error {
	return c.changeTable(ctx, known, "lock", rest.TableLock{LastKnown: lastKnown(known), Locked: true, LockedBy: by, Override: override}.Append(nil))
}

// UnlockTable shows it to the card machines again.
func (c *REST) UnlockTable(ctx context.Context, known StoredTable, by string, override bool) error {
	return c.changeTable(ctx, known, "lock", rest.TableLock{LastKnown: lastKnown(known), LockedBy: by, Override: override}.Append(nil))
}

// DeleteTable deletes a table, with its payments: book them before.
func (c *REST) DeleteTable(ctx context.Context, known StoredTable) error {
	return c.change(ctx, "deleting a table", http.MethodDelete, c.at("pat", "tables", string(known.Name)), lastKnown(known).Append(nil))
}

// TableReports lists the reports that were started at a card machine, the newest
// first; of all of them where tid is empty. The gateway keeps them for three days.
func (c *REST) TableReports(ctx context.Context, tid TID) ([]Report, error) {
	at := c.at("pat", "reports")
	if tid != "" {
		at += "?" + url.Values{"tpi": {string(tid)}}.Encode()
	}
	const what = "listing the reports"
	body, err := c.readTables(ctx, what, at)
	if err != nil {
		return nil, err
	}
	list, err := rest.ReadPATReports(body)
	if err != nil {
		return nil, about(what, err)
	}
	out := make([]Report, len(list))
	for i, r := range list {
		out[i] = reportOverREST(&r.Result)
	}
	return out, nil
}

// BookPayments looks at all tables once and books what was paid since, each payment
// once, by its id: the store says which are new. A payment stays in its table until
// that is deleted, so that nothing is missed by a till that was away. Call it every
// five seconds or so. The errors of book are joined, and their payments come again.
func (c *REST) BookPayments(ctx context.Context, store PaymentStore, book func(context.Context, StoredTable, []TablePayment) error) error {
	tables, err := c.StoredTables(ctx, TableFilter{})
	if err != nil {
		return err
	}
	var errs []error
	for _, t := range tables {
		byID := map[PaymentID]TablePayment{}
		var ids []PaymentID
		for _, p := range t.Payments {
			if _, twice := byID[p.ID]; !twice && p.ID != "" {
				ids = append(ids, p.ID)
			}
			byID[p.ID] = p
		}
		if len(ids) == 0 {
			continue
		}
		errs = append(errs, store.Once(ctx, ids, func(ctx context.Context, fresh []PaymentID) error {
			var payments []TablePayment
			for _, id := range fresh {
				payments = append(payments, byID[id])
			}
			return book(ctx, t, payments)
		}))
	}
	return errors.Join(errs...)
}

// tableVersion is that of requests about tables, which v2 does not have.
func (c *REST) tableVersion() rest.Version {
	if c.version == rest.V2 {
		return rest.V1
	}
	return c.version
}

func (c *REST) readTables(ctx context.Context, what, at string) ([]byte, error) {
	ctx, cancel := c.during(ctx)
	defer cancel()
	a, err := c.do(ctx, restRequest{method: http.MethodGet, url: at, version: c.tableVersion()})
	if err != nil {
		return nil, about(what, err)
	}
	if a.status != http.StatusOK {
		return nil, about(what, c.refused(a, ""))
	}
	return a.body, nil
}

func (c *REST) changeTable(ctx context.Context, known StoredTable, part string, body []byte) error {
	return c.change(ctx, "changing a table", http.MethodPut, c.at("pat", "tables", string(known.Name), part), body)
}

// change sends a change, once.
func (c *REST) change(ctx context.Context, what, method, at string, body []byte) error {
	ctx, cancel := c.during(ctx)
	defer cancel()
	a, err := c.do(ctx, restRequest{method: method, url: at, body: body, version: c.tableVersion()})
	switch {
	case err != nil:
		return about(what, err)
	case a.status < 200 || a.status > 299:
		return about(what, c.refused(a, ""))
	}
	return nil
}

func lastKnown(t StoredTable) rest.LastKnown {
	return rest.LastKnown{Amount: t.Amount, PaidAmount: t.AmountPaid}
}

func storedTable(t rest.Table) StoredTable {
	out := StoredTable{
		Name: TableID(t.TableName), Amount: t.Amount, AmountPaid: t.AmountPaid, AmountCashback: t.AmountCashback,
		AmountGratuity: t.AmountGratuity, Locked: t.Locked, LockedBy: t.LockedBy, Receipt: t.Receipt,
	}
	for _, w := range t.WaiterIDs {
		out.Waiters = append(out.Waiters, WaiterID(w))
	}
	for _, p := range t.Payments {
		out.Payments = append(out.Payments, TablePayment{
			ID: PaymentID(p.PaymentID), Currency: p.Currency, AmountPaid: p.AmountPaid, AmountCashback: p.AmountCashback,
			AmountGratuity: p.AmountGratuity, PaymentMethod: PaymentMethod(p.PaymentMethod), Scheme: p.CardSchemeName,
			AuthCode: p.AuthCode, Time: paidAt(p.Time),
		})
	}
	return out
}

// paidAt is the time of a payment, by the clock at the site.
func paidAt(t time.Time) LocalTime {
	if t.IsZero() {
		return ""
	}
	return localTime(t)
}
