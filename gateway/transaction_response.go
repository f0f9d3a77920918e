package gateway

import (
	"time"

	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/wire"
)

// transactionResponse tells the till what was paid (the contract, section 5.5).
// Its totals are those of the payments in it.
func transactionResponse(v table.Visit, e table.Entry, zone *time.Location) wire.TransactionResponse {
	out := wire.TransactionResponse{
		TerminalID: wire.TerminalID{TID: v.TID}, WaiterID: string(v.Waiter), TableID: string(v.Table), Currency: v.Currency,
		Payments: []wire.TablePayment{},
	}
	for _, p := range paymentsOf(v, e.Payments) {
		r := p.Receipt
		out.AmountPaid += r.Paid
		out.AmountCashback += r.Cashback
		out.AmountGratuity += r.Gratuity
		w := wire.TablePayment{
			PaymentID: string(p.ID), AmountPaid: r.Paid, AmountCashback: r.Cashback, AmountGratuity: r.Gratuity,
			AuthCode: r.AuthCode, CardSchemeName: r.Scheme, Currency: v.Currency,
			PaymentMethod: r.Method, Time: localTime(r.Time, zone),
			TransactionID: r.TransactionID, TransactionNumber: r.Number, TransactionResult: string(txn.Successful),
			CardholderVerificationMethod: r.CVM, ApplicationID: r.AID, ApplicationLabel: r.Label,
			PrimaryAccountNumber: r.PAN, DateOfExpiry: r.Expiry,
		}
		if len(r.Receipts.Merchant)+len(r.Receipts.Customer) > 0 {
			w.ReceiptLines = &wire.ReceiptCopies{Merchant: wire.Lines(r.Receipts.Merchant), Customer: wire.Lines(r.Receipts.Customer)}
		}
		out.Payments = append(out.Payments, w)
	}
	out.AmountTotal = out.AmountPaid + out.AmountCashback + out.AmountGratuity
	return out
}
