package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/tillwire/tillwire/epos"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
)

// A till answers for its tables. What it knows is in its books, so that it is
// the same till after a crash.
type till struct {
	mu    sync.Mutex // calls about different tables come at the same time
	books books
}

var (
	_ epos.TableHandler        = (*till)(nil)
	_ epos.FinalReceiptHandler = (*till)(nil)
	_ epos.TableReportHandler  = (*till)(nil)
	_ epos.PaymentStore        = (*till)(nil)
)

// ListTables gives what this waiter can have paid.
func (t *till) ListTables(_ context.Context, r epos.TableListRequest) (epos.TableList, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := epos.TableList{Currency: money.GBP}
	for _, b := range t.books.all() {
		if b.payable(r.WaiterID) {
			list.Tables = append(list.Tables, epos.TableID(b.Name))
		}
	}
	return list, nil
}

// LockTable locks a table for one card machine. From here on nobody may edit it.
// All that stands against it is a refusal and no error: after an error the
// gateway cannot know whether the table is locked.
func (t *till) LockTable(_ context.Context, r epos.TableRequest) (epos.TableLock, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b, err := t.books.table(string(r.TableID))
	if err != nil || !b.payable(r.WaiterID) {
		return epos.TableLock{}, nil
	}
	b.LockedBy = r.TID
	if err := t.books.keep(b); err != nil {
		return epos.TableLock{}, nil
	}
	fmt.Printf("Table %s is locked by %s, with %s to pay.\n", b.Name, r.TID, b.owed().Decimal())
	return epos.TableLock{Granted: true, Amount: money.Amount{Minor: b.owed(), Currency: money.GBP}}, nil
}

// UnlockTable gives a table back, if that card machine has it.
func (t *till) UnlockTable(_ context.Context, r epos.TableRequest) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	b, err := t.books.table(string(r.TableID))
	if err != nil || b.LockedBy != r.TID {
		return nil
	}
	b.LockedBy = ""
	fmt.Printf("Table %s is unlocked.\n", b.Name)
	return t.books.keep(b)
}

// Bill is printed by the card machine.
func (t *till) Bill(_ context.Context, r epos.TableRequest) ([]receipt.Line, error) {
	return t.paper(r, "TO PAY", (*bill).owed)
}

// FinalReceipt is printed once the table was paid.
func (t *till) FinalReceipt(_ context.Context, r epos.TableRequest) ([]receipt.Line, error) {
	return t.paper(r, "PAID", (*bill).paid)
}

func (t *till) paper(r epos.TableRequest, label string, amount func(*bill) money.Minor) ([]receipt.Line, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b, err := t.books.table(string(r.TableID))
	if err != nil {
		return nil, &epos.Error{Message: err.Error(), UserMessage: "There is no table " + string(r.TableID) + "."}
	}
	return []receipt.Line{
		{Type: receipt.Text, Format: []receipt.Format{receipt.Bold}, Value: "TABLE " + b.Name},
		{Type: receipt.Text, Value: fmt.Sprintf("%-20s%12s", "TOTAL", b.Due.Decimal())},
		{Type: receipt.Text, Format: []receipt.Format{receipt.Bold}, Value: fmt.Sprintf("%-20s%12s", label, amount(b).Decimal())},
		{Type: receipt.TicketFeed},
	}, nil
}

// Once has those payments booked that are not in the books. They and their ids
// are in one file, so each is booked once whatever fails.
func (t *till) Once(ctx context.Context, ids []epos.PaymentID, book func(context.Context, []epos.PaymentID) error) error {
	t.mu.Lock()
	known := map[epos.PaymentID]bool{}
	for _, b := range t.books.all() {
		for _, p := range b.Payments {
			known[p.ID] = true
		}
	}
	t.mu.Unlock()
	var fresh []epos.PaymentID
	for _, id := range ids {
		if !known[id] {
			fresh = append(fresh, id)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	return book(ctx, fresh)
}

// Paid books what was paid, whatever state the table is in: the cards were charged.
func (t *till) Paid(_ context.Context, p epos.TablePayments) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	b, err := t.books.table(string(p.TableID))
	if err != nil {
		fmt.Printf("Money was paid for table %s, which is not there: find out for whom.\n", p.TableID)
		b = &bill{Name: string(p.TableID)}
	}
	for _, one := range p.Payments {
		b.Payments = append(b.Payments, payment{ID: one.ID, Paid: one.AmountPaid, Gratuity: one.AmountGratuity, Cashback: one.AmountCashback})
		fmt.Printf("Table %s: %s paid by %s, and %s gratuity.\n", b.Name, one.AmountPaid.Decimal(), one.Scheme, one.AmountGratuity.Decimal())
	}
	return t.books.keep(b)
}

// TableReport keeps a copy of a report that was made at a card machine. One that
// comes again is the same file.
func (t *till) TableReport(_ context.Context, r epos.Report) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.books.keepReport(r)
}
