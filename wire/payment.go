package wire

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/money"
)

// A Payment is the result of a transaction and of a duplicate (the contract,
// sections 3.3 and 3.5). All members are always written, empty or 0 where there
// is nothing to say.
type Payment struct {
	TerminalID
	TransactionType              string         `json:"transactionType"`
	TransactionResult            string         `json:"transactionResult"`
	TransactionID                string         `json:"transactionId"`
	TransactionNumber            string         `json:"transactionNumber"`
	TransactionTime              string         `json:"transactionTime"` // local, see TimeLayout
	Currency                     money.Currency `json:"currency"`
	AmountBase                   money.Minor    `json:"amountBase"`
	AmountCashback               money.Minor    `json:"amountCashback"`
	AmountGratuity               money.Minor    `json:"amountGratuity"`
	AmountTotal                  money.Minor    `json:"amountTotal"`
	PaymentMethod                string         `json:"paymentMethod"`
	CardholderVerificationMethod string         `json:"cardholderVerificationMethod"`
	CardSchemeName               string         `json:"cardSchemeName"`
	ApplicationID                string         `json:"applicationId"`
	ApplicationLabel             string         `json:"applicationLabel"`
	AuthCode                     string         `json:"authCode"`
	PrimaryAccountNumber         string         `json:"primaryAccountNumber"` // masked
	PrimaryAccountNumberSequence string         `json:"primaryAccountNumberSequence"`
	DateOfStart                  string         `json:"dateOfStart"`  // MM/YY or empty
	DateOfExpiry                 string         `json:"dateOfExpiry"` // MM/YY or empty
	ReceiptLines                 ReceiptCopies  `json:"receiptLines"`
}

// ReceiptCopies are the two receipts of a transaction.
type ReceiptCopies struct {
	Merchant []Line `json:"MERCHANT"`
	Customer []Line `json:"CUSTOMER"`
}

// TimeLayout is how times are written: local time of the site, without a zone.
const TimeLayout = "2006-01-02T15:04:05"

const (
	cvmUnknown = "UNKNOWN"
	cvmNone    = "NONE"
)

func (p Payment) in(v Version) any {
	p.TerminalID = p.TerminalID.in(v)
	p.CardholderVerificationMethod = cvmIn(v, p.CardholderVerificationMethod)
	return &p
}

// cvmIn gives the form of version v, of which the older knows no UNKNOWN.
func cvmIn(v Version, cvm string) string {
	if v == V0 && cvm == cvmUnknown {
		return cvmNone
	}
	return cvm
}

// DecodePayment reads the gateway's answer to a transaction or a duplicate.
func DecodePayment(result jsontext.Value) (Payment, error) {
	return decodeObject[Payment]("a payment", result)
}
