package rest

import (
	"errors"
	"net/http"
	"slices"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/wire/rest"
)

// tables lists the stored tables, oldest first (the contract of REST, section 7.2).
func (q *request) tables() *refusal {
	query := q.r.URL.Query()
	var filter gateway.TableFilter
	locked, bad := q.choice("locked", query.Get("locked"), "true", "false")
	if bad != nil {
		return bad
	}
	if locked != "" {
		only := locked == "true"
		filter.Locked = &only
	}
	currency, bad := q.choice("currency", query.Get("currency"), string(money.GBP), string(money.EUR))
	if bad != nil {
		return bad
	}
	filter.Currency = money.Currency(currency)
	kept, err := q.till.Tables(filter)
	if err != nil {
		return q.failTable(err, "")
	}
	list := make(rest.Tables, len(kept))
	for i, k := range kept {
		list[i] = q.tableForm(k)
	}
	q.answer(http.StatusOK, list)
	return nil
}

// table shows one table.
func (q *request) table() *refusal {
	k, err := q.till.Table(q.tableName())
	if err != nil {
		return q.failTable(err, q.tableName())
	}
	t := q.tableForm(k)
	q.answer(http.StatusOK, &t)
	return nil
}

// storeTable stores a table.
func (q *request) storeTable() *refusal {
	asked, devs, fault := rest.DecodeTableCreate(q.body)
	if fault != nil {
		return q.badBody(fault)
	}
	name := table.TableID(asked.TableName)
	_, err := q.tolerating(devs).StoreTable(q.r.Context(), gateway.NewTable{
		Name: name, Amount: asked.Amount, Currency: asked.Currency, Receipt: asked.Receipt, Waiters: waiters(asked.WaiterIDs),
	})
	if err != nil {
		return q.failTable(err, name)
	}
	at := q.tableLocation(name)
	q.w.Header().Set("Location", at)
	q.answer(http.StatusCreated, rest.TableCreated{Location: at, TableName: asked.TableName})
	return nil
}

// deleteTable deletes a table. It is the one DELETE whose body counts.
func (q *request) deleteTable() *refusal {
	asked, devs, fault := rest.DecodeTableDelete(q.body)
	if fault != nil {
		return q.badBody(fault)
	}
	return q.changed(q.tolerating(devs).DeleteTable(q.r.Context(), q.tableName(), known(asked)))
}

// changeAmount gives a table another bill.
func (q *request) changeAmount() *refusal {
	asked, devs, fault := rest.DecodeTableAmount(q.body)
	if fault != nil {
		return q.badBody(fault)
	}
	return q.changed(q.tolerating(devs).ChangeAmount(q.r.Context(), q.tableName(), known(asked.LastKnown), asked.NewAmount))
}

// changeReceipt gives a table another receipt.
func (q *request) changeReceipt() *refusal {
	asked, devs, fault := rest.DecodeTableReceipt(q.body)
	if fault != nil {
		return q.badBody(fault)
	}
	return q.changed(q.tolerating(devs).ChangeReceipt(q.r.Context(), q.tableName(), known(asked.LastKnown), asked.NewReceipt))
}

// changeWaiters gives a table other waiters.
func (q *request) changeWaiters() *refusal {
	asked, devs, fault := rest.DecodeTableWaiterIDs(q.body)
	if fault != nil {
		return q.badBody(fault)
	}
	return q.changed(q.tolerating(devs).ChangeWaiters(q.r.Context(), q.tableName(), known(asked.LastKnown), waiters(asked.NewWaiterIDs)))
}

// lockTable locks or unlocks a table (the contract of REST, section 7.5).
func (q *request) lockTable() *refusal {
	asked, devs, fault := rest.DecodeTableLock(q.body)
	if fault != nil {
		return q.badBody(fault)
	}
	return q.changed(q.tolerating(devs).LockTable(q.r.Context(), q.tableName(), gateway.LockWish{
		Known: known(asked.LastKnown), Locked: asked.Locked, Holder: asked.LockedBy, Override: asked.Override,
	}))
}

// changed answers a change that was made, or says why it was not.
func (q *request) changed(err error) *refusal {
	if err != nil {
		return q.failTable(err, q.tableName())
	}
	q.answer(http.StatusNoContent, nil)
	return nil
}

// failTable is fail for what the gateway says about tables. A table that is in the
// way is named by its location.
func (q *request) failTable(err error, name table.TableID) *refusal {
	at := func(bad *refusal) *refusal {
		bad.location = q.tableLocation(name)
		return bad
	}
	switch {
	case errors.Is(err, gateway.ErrOverSocket):
		return q.refusal(spec.RESTTablesElsewhere)
	case errors.Is(err, gateway.ErrNoTable):
		return q.refusal(spec.RESTUnknownTable)
	case errors.Is(err, gateway.ErrNoReport):
		return q.refusal(spec.RESTUnknownReport)
	case errors.Is(err, gateway.ErrTableExists):
		return at(q.refusal(spec.RESTTableExists))
	case errors.Is(err, gateway.ErrStaleAmount):
		return q.refusal(spec.RESTAmountDiffers)
	case errors.Is(err, gateway.ErrStalePaid):
		return q.refusal(spec.RESTPaidAmountDiffers)
	case errors.Is(err, gateway.ErrTableLocked):
		return at(q.refusal(spec.RESTTableLocked))
	case errors.Is(err, gateway.ErrTableLimits):
		return q.refusal(spec.RESTBadBody, "fault", "A value is outside its limits.")
	case errors.Is(err, gateway.ErrTooManyTables):
		return q.refusal(spec.RESTLimitReached, "limit", "tables")
	}
	return q.fail(err)
}

// tolerating is the till, with what of its body was tolerated.
func (q *request) tolerating(devs []rest.Deviation) *gateway.Till {
	return q.till.Tolerating(tolerated(devs))
}

func (q *request) tableName() table.TableID { return table.TableID(q.args[0]) }

func (q *request) tableLocation(name table.TableID) string {
	return q.address("/pat", "tables", string(name))
}

func known(k rest.LastKnown) table.Known { return table.Known{Amount: k.Amount, Paid: k.PaidAmount} }

func waiters(ids []string) []table.WaiterID {
	out := make([]table.WaiterID, len(ids))
	for i, id := range ids {
		out[i] = table.WaiterID(id)
	}
	return out
}

// tableForm is what a till sees of a table.
func (q *request) tableForm(k table.Kept) rest.Table {
	t := rest.Table{
		TableName: string(k.Name), Amount: k.Amount, AmountPaid: k.Paid(), AmountCashback: k.Cashback(), AmountGratuity: k.Gratuity(),
		Locked: k.State != table.Free, LockedBy: k.LockedBy, WithReceipt: q.version == rest.V0 || q.wantsReceipt(), Receipt: k.Receipt,
	}
	for _, w := range k.Waiters {
		t.WaiterIDs = append(t.WaiterIDs, string(w))
	}
	for _, b := range k.Payments {
		t.Payments = append(t.Payments, rest.TablePayment{
			PaymentID: string(b.ID), AmountPaid: b.Receipt.Paid, AmountCashback: b.Receipt.Cashback, AmountGratuity: b.Receipt.Gratuity,
			AuthCode: b.Receipt.AuthCode, Currency: k.Currency, CardSchemeName: b.Receipt.Scheme, PaymentMethod: string(b.Receipt.Method),
			Time: b.Receipt.Time.In(q.till.Zone()),
		})
	}
	return t
}

// wantsReceipt reports whether a table is asked for with its receipt.
func (q *request) wantsReceipt() bool {
	said, ok := q.r.URL.Query()["receipt"]
	return ok && slices.Contains([]string{"", "1", "true"}, said[0])
}
