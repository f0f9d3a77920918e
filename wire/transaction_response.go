package wire

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/money"
)

// A TransactionResponse tells the till what was paid at a table (the contract,
// section 5.5). Amounts are minor units; AmountPaid counts towards the bill,
// without cashback and gratuity, and AmountTotal is the sum of the three.
type TransactionResponse struct {
	TerminalID
	WaiterID       string         `json:"waiterId"`
	TableID        string         `json:"tableId"`
	Currency       money.Currency `json:"currency"`
	AmountPaid     money.Minor    `json:"amountPaid"`
	AmountCashback money.Minor    `json:"amountCashback"`
	AmountGratuity money.Minor    `json:"amountGratuity"`
	AmountTotal    money.Minor    `json:"amountTotal"`
	Payments       []TablePayment `json:"payments"` // each took money
}

// A TablePayment is one card payment of a visit. The members from TransactionID
// on are left out where there is nothing to say.
type TablePayment struct {
	PaymentID      string         `json:"paymentId"` // a UUID, unique for ever
	AmountPaid     money.Minor    `json:"amountPaid"`
	AmountCashback money.Minor    `json:"amountCashback"`
	AmountGratuity money.Minor    `json:"amountGratuity"`
	AuthCode       string         `json:"authCode"`
	CardSchemeName string         `json:"cardSchemeName"`
	Currency       money.Currency `json:"currency"`
	PaymentMethod  string         `json:"paymentMethod"`
	Time           string         `json:"time"` // local, see TimeLayout

	TransactionID                string         `json:"transactionId,omitzero"`
	TransactionNumber            string         `json:"transactionNumber,omitzero"`
	TransactionResult            string         `json:"transactionResult,omitzero"`
	CardholderVerificationMethod string         `json:"cardholderVerificationMethod,omitzero"`
	ApplicationID                string         `json:"applicationId,omitzero"`
	ApplicationLabel             string         `json:"applicationLabel,omitzero"`
	PrimaryAccountNumber         string         `json:"primaryAccountNumber,omitzero"` // masked
	DateOfExpiry                 string         `json:"dateOfExpiry,omitzero"`         // MM/YY
	ReceiptLines                 *ReceiptCopies `json:"receiptLines,omitzero"`
}

func (r TransactionResponse) in(v Version) any {
	r.TerminalID = r.TerminalID.in(v)
	r.Payments = slices.Clone(r.Payments)
	for i := range r.Payments {
		p := &r.Payments[i]
		p.CardholderVerificationMethod = cvmIn(v, p.CardholderVerificationMethod)
	}
	return &r
}

// DecodeTransactionResponse reads what the gateway told.
func DecodeTransactionResponse(params jsontext.Value) (TransactionResponse, error) {
	return decodeObject[TransactionResponse]("a transaction response", params)
}
