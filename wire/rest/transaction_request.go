package rest

import (
	"strconv"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/wire"
)

// The types of a transaction that can be asked for, the last three in v2.
const (
	TypeSale                = "SALE"
	TypeRefund              = "REFUND"
	TypeDuplicate           = "DUPLICATE"
	TypePreAuth             = "PRE_AUTH"
	TypeCompletion          = "COMPLETION"
	TypeAccountVerification = "ACCOUNT_VERIFICATION"
)

// RequestTypes lists the types of a transaction that can be asked for in a
// version.
func RequestTypes(v Version) []string {
	types := []string{TypeSale, TypeRefund, TypeDuplicate}
	if v == V2 {
		types = append(types, TypePreAuth, TypeCompletion, TypeAccountVerification)
	}
	return types
}

// A TransactionRequest asks for a card transaction (the contract of REST,
// section 3.2).
type TransactionRequest struct {
	TransactionType          string
	Currency                 money.Currency // may be missing of a duplicate and an account verification
	Amount                   money.Minor    // 0 of these two
	AmountCashback           money.Minor    // a sale in v2
	CardholderNotPresent     bool           // v2
	AuthCode                 string         // a completion
	AmountPreAuthorisedTotal money.Minor    // a completion
}

// Append writes the request. Fields that say nothing are left out.
func (r TransactionRequest) Append(dst []byte) []byte {
	b := wire.AppendText(append(dst, `{"transactionType":`...), r.TransactionType)
	if !r.withoutAmount() {
		b = wire.AppendMinor(append(b, `,"amount":`...), r.Amount)
	}
	if r.AmountCashback != 0 {
		b = wire.AppendMinor(append(b, `,"amountCashback":`...), r.AmountCashback)
	}
	if r.Currency != "" {
		b = wire.AppendText(append(b, `,"currency":`...), r.Currency)
	}
	if r.CardholderNotPresent {
		b = append(b, `,"cardholderNotPresent":true`...)
	}
	if r.AuthCode != "" {
		b = wire.AppendText(append(b, `,"authCode":`...), r.AuthCode)
	}
	if r.AmountPreAuthorisedTotal != 0 {
		b = wire.AppendMinor(append(b, `,"amountPreAuthorisedTotal":`...), r.AmountPreAuthorisedTotal)
	}
	return append(b, '}')
}

// withoutAmount reports whether the type has no use for an amount.
func (r TransactionRequest) withoutAmount() bool {
	return r.TransactionType == TypeDuplicate || r.TransactionType == TypeAccountVerification
}

// DecodeTransaction reads the body of a till. What the contract takes but does
// not use with a type is left out: the amount of a duplicate and of an account
// verification, and what only a completion has.
func DecodeTransaction(v Version, body []byte) (TransactionRequest, []Deviation, *Fault) {
	var r TransactionRequest
	o := openBody(body)
	o.need("transactionType")
	r.TransactionType = o.oneOf("transactionType", RequestTypes(v))
	if r.withoutAmount() {
		r.Currency = o.currency("currency")
		o.ignore("amount")
	} else {
		o.need("currency")
		r.Currency = o.currency("currency")
		o.need("amount")
		r.Amount = o.minor("amount", 1, wire.MaxAmount)
	}
	if v == V2 {
		r.readV2(o)
	} else {
		// Money would change if these were passed over.
		o.forbid("amountCashback", isZero, spec.RESTFaultNotIn, "version", v.String())
		o.forbid("cardholderNotPresent", isFalse, spec.RESTFaultNotIn, "version", v.String())
	}
	devs, fault := o.close()
	if fault != nil {
		return TransactionRequest{}, nil, fault
	}
	return r, devs, nil
}

// readV2 reads the fields that v2 has beyond those of v1.
func (r *TransactionRequest) readV2(o *object) {
	if r.TransactionType == TypeSale {
		r.AmountCashback = o.minor("amountCashback", 0, wire.MaxCashback)
		if o.fault == nil && r.Amount+r.AmountCashback > wire.MaxAmount {
			o.fault = newFault("/amount", wire.RuleMaximum, spec.RESTFaultSum,
				"maximum", strconv.FormatInt(int64(wire.MaxAmount), 10))
		}
	} else {
		o.forbid("amountCashback", isZero, spec.RESTFaultNotWith, "transactionType", r.TransactionType)
		o.ignore("amountCashback")
	}
	r.CardholderNotPresent = o.flag("cardholderNotPresent")
	if r.TransactionType == TypeDuplicate && r.CardholderNotPresent && o.fault == nil {
		o.fault = newFault("/cardholderNotPresent", wire.RuleAdditional, spec.RESTFaultNotWith, "transactionType", r.TransactionType)
	}
	if r.TransactionType == TypeCompletion {
		o.need("authCode")
		r.AuthCode = o.textWithin("authCode", 1, wire.MaxAuthCode)
		o.need("amountPreAuthorisedTotal")
		r.AmountPreAuthorisedTotal = o.minor("amountPreAuthorisedTotal", 1, wire.MaxAmount)
	} else {
		o.ignore("authCode")
		o.ignore("amountPreAuthorisedTotal")
	}
}
