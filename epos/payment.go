package epos

import (
	"fmt"
	"time"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/wire"
)

// A TransactionType is what a terminal ran.
type TransactionType string

// The transaction types. Reversals and log-ons cannot be asked for.
const (
	TypeSale                TransactionType = "SALE"
	TypeRefund              TransactionType = "REFUND"
	TypePreAuth             TransactionType = "PRE_AUTH"
	TypeCompletion          TransactionType = "COMPLETION"
	TypeAccountVerification TransactionType = "ACCOUNT_VERIFICATION"
	TypeSaleReversal        TransactionType = "SALE_REVERSAL"
	TypeRefundReversal      TransactionType = "REFUND_REVERSAL"
	TypeLogon               TransactionType = "LOGON"
)

// A Result is how a transaction ended (the contract, section 7). Compare it
// with the constants, whole: UNSUCCESSFUL contains SUCCESSFUL.
type Result string

// The results.
const (
	Successful   Result = "SUCCESSFUL"
	Declined     Result = "DECLINED"
	Void         Result = "VOID"         // approved and then reversed
	Unsuccessful Result = "UNSUCCESSFUL" // broke off
	Cancelled    Result = "CANCELLED"
	TimedOut     Result = "TIMED_OUT" // nobody can say yet
)

// Taken says whether money was taken. Its zero value is that it is not known.
type Taken int

// Whether money was taken.
const (
	TakenUnknown Taken = iota // never treat it as no
	TakenNo
	TakenYes
)

// String is "unknown", "no" or "yes".
func (t Taken) String() string {
	switch t {
	case TakenUnknown:
		return "unknown"
	case TakenNo:
		return "no"
	case TakenYes:
		return "yes"
	}
	return fmt.Sprintf("Taken(%d)", int(t))
}

// A CVM is how the cardholder was verified.
type CVM string

// The verification methods. v0 has CVMNone for CVMUnknown.
const (
	CVMUnknown   CVM = "UNKNOWN"
	CVMNone      CVM = "NONE"
	CVMPIN       CVM = "PIN"
	CVMSignature CVM = "SIGNATURE"
	CVMDevice    CVM = "DEVICE"
)

// A PaymentMethod is how the card was read.
type PaymentMethod string

// The payment methods.
const (
	MethodUnknown     PaymentMethod = "UNKNOWN"
	MethodKeyed       PaymentMethod = "KEYED"
	MethodSwiped      PaymentMethod = "SWIPED"
	MethodChip        PaymentMethod = "ICC_CHIP"
	MethodContactless PaymentMethod = "CONTACTLESS"
)

// A Payment is a transaction as it ended (the contract, section 3.3). Amounts
// say what was attempted; Result alone says whether money moved. All amounts
// are in minor units of Currency.
type Payment struct {
	TID    TID
	Type   TransactionType
	Result Result

	// TransactionID is the terminal's own name for the transaction, and
	// TransactionNumber its number in the terminal's session. Both may be empty
	// when Result is TimedOut.
	TransactionID     string
	TransactionNumber string
	Time              LocalTime

	Currency       money.Currency
	AmountBase     money.Minor // without cashback and gratuity
	AmountCashback money.Minor // what was really added
	AmountGratuity money.Minor // what was really added
	AmountTotal    money.Minor // the three together

	PaymentMethod    PaymentMethod
	CVM              CVM
	Scheme           string // "VISA"
	ApplicationID    string // "A0000000031010"
	ApplicationLabel string // "VISA DEBIT"
	AuthCode         string
	PAN              string // masked but for the last four
	PANSequence      string // "01"
	StartDate        string // "MM/YY" or empty
	ExpiryDate       string // "MM/YY" or empty
	Receipts         receipt.Copies
	UserMessage      string // REST v2: for the cashier, to be shown as it is; may be empty
}

// MoneyTaken says whether the transaction did what its type says: took the
// money of a sale, gave back that of a refund, reserved that of a pre-auth. Only
// then may a till clear the amount. It is TakenUnknown for TimedOut and for any
// result that this package does not know.
func (p Payment) MoneyTaken() Taken {
	switch p.Result {
	case Successful:
		return TakenYes
	case Declined, Void, Unsuccessful, Cancelled:
		return TakenNo
	case TimedOut:
	}
	return TakenUnknown
}

// Total is AmountTotal with its currency.
func (p Payment) Total() money.Amount {
	return money.Amount{Minor: p.AmountTotal, Currency: p.Currency}
}

// A LocalTime is a time as the contract writes it, 2026-10-07T12:30:15: in the
// site's time zone, which it does not name.
type LocalTime string

// In reads the time as one of the given zone, which must be the site's.
func (t LocalTime) In(zone *time.Location) (time.Time, error) {
	at, err := time.ParseInLocation(wire.TimeLayout, string(t), zone)
	if err != nil {
		return time.Time{}, fmt.Errorf("epos: %q is not a local time", string(t))
	}
	return at, nil
}

func paymentOf(p wire.Payment) Payment {
	return Payment{
		TID:               TID(p.TID),
		Type:              TransactionType(p.TransactionType),
		Result:            Result(p.TransactionResult),
		TransactionID:     p.TransactionID,
		TransactionNumber: p.TransactionNumber,
		Time:              LocalTime(p.TransactionTime),
		Currency:          p.Currency,
		AmountBase:        p.AmountBase,
		AmountCashback:    p.AmountCashback,
		AmountGratuity:    p.AmountGratuity,
		AmountTotal:       p.AmountTotal,
		PaymentMethod:     PaymentMethod(p.PaymentMethod),
		CVM:               CVM(p.CardholderVerificationMethod),
		Scheme:            p.CardSchemeName,
		ApplicationID:     p.ApplicationID,
		ApplicationLabel:  p.ApplicationLabel,
		AuthCode:          p.AuthCode,
		PAN:               p.PrimaryAccountNumber,
		PANSequence:       p.PrimaryAccountNumberSequence,
		StartDate:         p.DateOfStart,
		ExpiryDate:        p.DateOfExpiry,
		Receipts: receipt.Copies{
			Merchant: wire.ReceiptLines(p.ReceiptLines.Merchant),
			Customer: wire.ReceiptLines(p.ReceiptLines.Customer),
		},
	}
}
