package rest

import (
	"time"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/wire"
)

// A Table is a table that the gateway keeps (the contract of REST, section 7.3),
// which v0 and v1 have.
type Table struct {
	TableName      string
	Amount         money.Minor // the bill; payments do not reduce it
	AmountCashback money.Minor // what the payments have together
	AmountGratuity money.Minor // likewise
	AmountPaid     money.Minor // likewise
	Payments       []TablePayment
	// Receipt is written where WithReceipt says so, of a single table; in v0 always.
	Receipt     []receipt.Line
	WithReceipt bool
	Locked      bool
	LockedBy    string // empty if it is not locked
	WaiterIDs   []string
}

// A TablePayment is a payment that a terminal took for a table.
type TablePayment struct {
	PaymentID      string
	AmountPaid     money.Minor // without the gratuity
	AmountCashback money.Minor
	AmountGratuity money.Minor
	AuthCode       string
	Currency       money.Currency
	CardSchemeName string
	PaymentMethod  string
	Time           time.Time // written with its offset
}

// Append writes the table.
func (t *Table) Append(dst []byte, v Version) []byte {
	return t.append(dst, t.WithReceipt || v == V0)
}

func (t *Table) append(dst []byte, withReceipt bool) []byte {
	b := wire.AppendText(append(dst, `{"tableName":`...), t.TableName)
	b = wire.AppendMinor(append(b, `,"amount":`...), t.Amount)
	b = wire.AppendMinor(append(b, `,"amountCashback":`...), t.AmountCashback)
	b = wire.AppendMinor(append(b, `,"amountGratuity":`...), t.AmountGratuity)
	b = wire.AppendMinor(append(b, `,"amountPaid":`...), t.AmountPaid)
	b = wire.AppendList(append(b, `,"payments":`...), t.Payments, appendPayment)
	if withReceipt {
		b = appendLines(append(b, `,"receipt":`...), t.Receipt)
	}
	b = appendBool(append(b, `,"locked":`...), t.Locked)
	b = wire.AppendText(append(b, `,"lockedBy":`...), t.LockedBy)
	b = appendTexts(append(b, `,"waiterIds":`...), t.WaiterIDs)
	return append(b, '}')
}

func appendPayment(b []byte, p TablePayment) []byte {
	b = wire.AppendText(append(b, `{"paymentId":`...), p.PaymentID)
	b = wire.AppendMinor(append(b, `,"amountPaid":`...), p.AmountPaid)
	b = wire.AppendMinor(append(b, `,"amountCashback":`...), p.AmountCashback)
	b = wire.AppendMinor(append(b, `,"amountGratuity":`...), p.AmountGratuity)
	b = wire.AppendText(append(b, `,"authCode":`...), p.AuthCode)
	b = wire.AppendText(append(b, `,"currency":`...), p.Currency)
	b = wire.AppendText(append(b, `,"cardSchemeName":`...), p.CardSchemeName)
	b = wire.AppendText(append(b, `,"paymentMethod":`...), p.PaymentMethod)
	b = appendTime(append(b, `,"time":`...), p.Time, offsetLayout)
	return append(b, '}')
}

// Tables is the list of the tables of a site.
type Tables []Table

// Append writes the list, in which only v0 has receipts.
func (ts Tables) Append(dst []byte, v Version) []byte {
	b := append(dst, `{"tables":[`...)
	for i := range ts {
		if i > 0 {
			b = append(b, ',')
		}
		b = ts[i].append(b, v == V0)
	}
	return append(b, `]}`...)
}

// A TableCreated says where a table that was stored is found.
type TableCreated struct {
	Location  string `json:"location"`
	TableName string `json:"tableName"`
}

// Append writes the answer.
func (r TableCreated) Append(dst []byte, _ Version) []byte {
	b := wire.AppendText(append(dst, `{"location":`...), r.Location)
	b = wire.AppendText(append(b, `,"tableName":`...), r.TableName)
	return append(b, '}')
}
