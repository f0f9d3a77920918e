package rest

import (
	"slices"
	"time"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/wire"
)

// A Transaction is what polling gives (the contract of REST, section 3.3).
type Transaction struct {
	RequestID string
	Location  string
	// Notifications, the newest first. Those that the version does not have are
	// left out, and of equal ones that meet then only one is written.
	Notifications []string
	Signature     *Signature // while a signature is awaited; not written in v0
	Result        *Result    // once it has finished
	LateResult    *Result    // to who asks for it, once there is one
}

// A Signature is what can be said of a transaction while the signature is
// awaited. The verification method is SIGNATURE.
type Signature struct {
	AuthCode             string
	ApplicationID        string
	ApplicationLabel     string
	PaymentMethod        string
	PrimaryAccountNumber string // masked
	TransactionType      string
}

// A Result is all that is said of a finished transaction. Each field is written
// but UserMessage, empty or 0 where there is nothing to say. The tags are for
// reading it.
type Result struct {
	AmountBase                   money.Minor    `json:"amountBase"`
	AmountCashback               money.Minor    `json:"amountCashback"`
	AmountGratuity               money.Minor    `json:"amountGratuity"`
	AmountTotal                  money.Minor    `json:"amountTotal"`
	ApplicationID                string         `json:"applicationId"`
	ApplicationLabel             string         `json:"applicationLabel"`
	AuthCode                     string         `json:"authCode"`
	CardSchemeName               string         `json:"cardSchemeName"`
	CardholderVerificationMethod string         `json:"cardholderVerificationMethod"` // UNKNOWN is written as NONE in v0 and v1
	Currency                     money.Currency `json:"currency"`
	DateOfExpiry                 string         `json:"dateOfExpiry"` // MM/YY or empty
	DateOfStart                  string         `json:"dateOfStart"`  // MM/YY or empty
	PaymentMethod                string         `json:"paymentMethod"`
	PrimaryAccountNumber         string         `json:"primaryAccountNumber"` // masked
	PrimaryAccountNumberSequence string         `json:"primaryAccountNumberSequence"`
	ReceiptLines                 receipt.Copies `json:"-"`
	TransactionID                string         `json:"transactionId"`
	TransactionNumber            string         `json:"transactionNumber"`
	TransactionResult            string         `json:"transactionResult"`
	TransactionTime              time.Time      `json:"-"`               // in the site's zone; the zero time is written as ""
	TransactionType              string         `json:"transactionType"` // one that the version does not have is written as ""
	UserMessage                  string         `json:"userMessage"`     // v2; left out when it is empty
}

// ResultTypes lists the types that a finished transaction can be of in a version.
func ResultTypes(v Version) []string {
	types := []string{"LOGON", "REFUND", "REFUND_REVERSAL", "SALE", "SALE_REVERSAL"}
	if v == V2 {
		types = append(types, TypePreAuth, TypeCompletion, TypeAccountVerification)
	}
	return types
}

const (
	cvmUnknown   = "UNKNOWN"
	cvmNone      = "NONE"
	cvmSignature = wire.CVMSignature
)

// Append writes the transaction.
func (t *Transaction) Append(dst []byte, v Version) []byte {
	if t.Result != nil {
		copies := t.Result.ReceiptLines
		dst = slices.Grow(dst, 1280+80*(len(copies.Merchant)+len(copies.Customer)))
	}
	b := wire.AppendText(append(dst, `{"requestId":`...), t.RequestID)
	b = wire.AppendText(append(b, `,"location":`...), t.Location)
	b = appendNotifications(append(b, `,"notifications":`...), v, t.Notifications)
	if t.Signature != nil && t.Result == nil && v != V0 {
		b = t.Signature.append(append(b, ','), v)
	}
	if t.Result != nil {
		b = t.Result.append(append(b, ','), v)
	}
	if t.LateResult != nil {
		b = t.LateResult.append(append(b, `,"lateResult":{`...), v)
		b = append(b, '}')
	}
	return append(b, '}')
}

// appendNotifications writes those that the version has.
func appendNotifications(b []byte, v Version, values []string) []byte {
	b = append(b, '[')
	last := ""
	for _, value := range values {
		if value == last || !Tells(v, value) {
			continue
		}
		if last != "" {
			b = append(b, ',')
		}
		b = wire.AppendText(b, value)
		last = value
	}
	return append(b, ']')
}

// Tells reports whether the version has a notification; v0 and v1 lack some.
func Tells(v Version, notification string) bool {
	if v == V2 {
		return true
	}
	switch notification {
	case "ATTEMPTING_CANCEL", "CANCELLING", "UNABLE_TO_CANCEL", "ENTER_CASHBACK", "REPLACE_PAPER":
		return false
	}
	return true
}

// append writes the fields without the braces around them.
func (s *Signature) append(b []byte, v Version) []byte {
	b = wire.AppendText(append(b, `"authCode":`...), s.AuthCode)
	b = wire.AppendText(append(b, `,"applicationId":`...), s.ApplicationID)
	b = wire.AppendText(append(b, `,"applicationLabel":`...), s.ApplicationLabel)
	b = append(b, `,"cardholderVerificationMethod":"`+cvmSignature+`"`...)
	b = wire.AppendText(append(b, `,"paymentMethod":`...), s.PaymentMethod)
	b = wire.AppendText(append(b, `,"primaryAccountNumber":`...), s.PrimaryAccountNumber)
	return wire.AppendText(append(b, `,"transactionType":`...), typeIn(v, s.TransactionType))
}

// append writes the fields without the braces around them.
func (r *Result) append(b []byte, v Version) []byte {
	cvm := r.CardholderVerificationMethod
	if v != V2 && cvm == cvmUnknown {
		cvm = cvmNone
	}
	b = wire.AppendMinor(append(b, `"amountBase":`...), r.AmountBase)
	b = wire.AppendMinor(append(b, `,"amountCashback":`...), r.AmountCashback)
	b = wire.AppendMinor(append(b, `,"amountGratuity":`...), r.AmountGratuity)
	b = wire.AppendMinor(append(b, `,"amountTotal":`...), r.AmountTotal)
	b = wire.AppendText(append(b, `,"applicationId":`...), r.ApplicationID)
	b = wire.AppendText(append(b, `,"applicationLabel":`...), r.ApplicationLabel)
	b = wire.AppendText(append(b, `,"authCode":`...), r.AuthCode)
	b = wire.AppendText(append(b, `,"cardSchemeName":`...), r.CardSchemeName)
	b = wire.AppendText(append(b, `,"cardholderVerificationMethod":`...), cvm)
	b = wire.AppendText(append(b, `,"currency":`...), r.Currency)
	b = wire.AppendText(append(b, `,"dateOfExpiry":`...), r.DateOfExpiry)
	b = wire.AppendText(append(b, `,"dateOfStart":`...), r.DateOfStart)
	b = wire.AppendText(append(b, `,"paymentMethod":`...), r.PaymentMethod)
	b = wire.AppendText(append(b, `,"primaryAccountNumber":`...), r.PrimaryAccountNumber)
	b = wire.AppendText(append(b, `,"primaryAccountNumberSequence":`...), r.PrimaryAccountNumberSequence)
	b = appendLines(append(b, `,"receiptLines":{"MERCHANT":`...), r.ReceiptLines.Merchant)
	b = appendLines(append(b, `,"CUSTOMER":`...), r.ReceiptLines.Customer)
	b = wire.AppendText(append(b, `},"transactionId":`...), r.TransactionID)
	b = wire.AppendText(append(b, `,"transactionNumber":`...), r.TransactionNumber)
	b = wire.AppendText(append(b, `,"transactionResult":`...), r.TransactionResult)
	b = appendTime(append(b, `,"transactionTime":`...), r.TransactionTime, v.layout())
	b = wire.AppendText(append(b, `,"transactionType":`...), typeIn(v, r.TransactionType))
	if v == V2 && r.UserMessage != "" {
		b = wire.AppendText(append(b, `,"userMessage":`...), r.UserMessage)
	}
	return b
}

// typeIn gives the type of a transaction as a version can say it: nothing where
// it has no word for it.
func typeIn(v Version, typ string) string {
	if v == V2 {
		return typ
	}
	switch typ {
	case TypePreAuth, TypeCompletion, TypeAccountVerification:
		return ""
	}
	return typ
}
