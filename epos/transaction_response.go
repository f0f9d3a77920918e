package epos

import (
	"context"
	"errors"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/wire"
)

// A PaymentID is the terminal's name for a card payment at a table, unique for
// ever: a UUID.
type PaymentID string

// TablePayments are card payments at a table, each of which took money (the
// contract, section 5.5). All amounts are in minor units of Currency, and are
// the sums of those in Payments.
type TablePayments struct {
	TableRequest
	Currency       money.Currency
	AmountPaid     money.Minor // towards the bill
	AmountCashback money.Minor
	AmountGratuity money.Minor
	AmountTotal    money.Minor // the three together: what the cards were charged
	Payments       []TablePayment
}

// A TablePayment is one card payment. What stands below Time may be empty.
type TablePayment struct {
	ID             PaymentID
	Currency       money.Currency
	AmountPaid     money.Minor // towards the bill
	AmountCashback money.Minor
	AmountGratuity money.Minor
	PaymentMethod  PaymentMethod
	Scheme         string // "VISA"
	AuthCode       string
	Time           LocalTime

	TransactionID     string // the terminal's
	TransactionNumber string // in the terminal's session
	CVM               CVM
	ApplicationID     string
	ApplicationLabel  string
	PAN               string // masked but for the last four
	ExpiryDate        string // "MM/YY"
	Receipts          receipt.Copies
}

// AmountTotal is what the card was charged.
func (p TablePayment) AmountTotal() money.Minor {
	return p.AmountPaid + p.AmountCashback + p.AmountGratuity
}

func (s *tableServer) transactionResponse(params wire.Raw) (*call, error) {
	w, err := wire.DecodeTransactionResponse(params)
	r := TableRequest{TID: TID(w.TID), WaiterID: WaiterID(w.WaiterID), TableID: TableID(w.TableID)}
	byID := make(map[PaymentID]wire.TablePayment, len(w.Payments))
	var ids []PaymentID
	for _, p := range w.Payments {
		id := PaymentID(p.PaymentID)
		if id == "" && err == nil {
			err = errors.New("a payment has no paymentId")
		}
		if _, twice := byID[id]; !twice {
			ids = append(ids, id)
		}
		byID[id] = p
	}
	return &call{
		method: wire.MethodTransactionResponse, about: r.about(), limit: NoticeTimeout, notice: true,
		do: func(ctx context.Context) (wire.Message, error) {
			if len(ids) == 0 {
				return recorded(nil)
			}
			return recorded(s.Payments.Once(ctx, ids, func(ctx context.Context, fresh []PaymentID) error {
				out := TablePayments{TableRequest: r, Currency: w.Currency}
				for _, id := range fresh {
					out.add(tablePaymentOf(byID[id]))
				}
				return s.Handler.Paid(ctx, out)
			}))
		},
	}, err
}

func (t *TablePayments) add(p TablePayment) {
	t.AmountPaid += p.AmountPaid
	t.AmountCashback += p.AmountCashback
	t.AmountGratuity += p.AmountGratuity
	t.AmountTotal += p.AmountTotal()
	t.Payments = append(t.Payments, p)
}

func tablePaymentOf(p wire.TablePayment) TablePayment {
	out := TablePayment{
		ID: PaymentID(p.PaymentID), Currency: p.Currency,
		AmountPaid: p.AmountPaid, AmountCashback: p.AmountCashback, AmountGratuity: p.AmountGratuity,
		PaymentMethod: PaymentMethod(p.PaymentMethod), Scheme: p.CardSchemeName, AuthCode: p.AuthCode, Time: LocalTime(p.Time),
		TransactionID: p.TransactionID, TransactionNumber: p.TransactionNumber, CVM: CVM(p.CardholderVerificationMethod),
		ApplicationID: p.ApplicationID, ApplicationLabel: p.ApplicationLabel, PAN: p.PrimaryAccountNumber, ExpiryDate: p.DateOfExpiry,
	}
	if c := p.ReceiptLines; c != nil {
		out.Receipts = receipt.Copies{Merchant: wire.ReceiptLines(c.Merchant), Customer: wire.ReceiptLines(c.Customer)}
	}
	return out
}
