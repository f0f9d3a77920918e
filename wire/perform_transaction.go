package wire

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/spec"
)

// The limits of what can be asked for, in minor units and characters.
const (
	MaxAmount     money.Minor = 99_999_999
	MaxCashback   money.Minor = 10_000
	MaxAuthCode               = 16
	MaxRequestKey             = 64
)

// A PerformTransactionRequest asks for a card transaction; its type is the
// method (the contract, section 3.3).
type PerformTransactionRequest struct {
	TerminalID
	Currency                 money.Currency `json:"currency"`
	Amount                   money.Minor    `json:"amount"`
	AmountCashback           money.Minor    `json:"amountCashback,omitzero"`       // a sale in v1
	CardholderNotPresent     bool           `json:"cardholderNotPresent,omitzero"` // a sale or a refund in v1
	AuthCode                 string         `json:"authCode,omitzero"`             // a completion
	AmountPreAuthorisedTotal money.Minor    `json:"amountPreAuthorisedTotal,omitzero"`
	RequestKey               string         `json:"requestKey,omitzero"` // with the extension keys
}

func (r PerformTransactionRequest) in(v Version) any {
	r.TerminalID = r.TerminalID.in(v)
	return &r
}

// DecodePerformTransaction reads the params that a till sent with one of the
// methods of a transaction. A member that the contract takes but does not use
// with that method is checked and then left out: the amount of an account
// verification is 0, only a completion has an authCode, only a sale and a
// refund have cardholderNotPresent.
func DecodePerformTransaction(v Version, method string, params jsontext.Value) (PerformTransactionRequest, []Deviation, *Fault) {
	return decodePerformTransaction(v, method, params, false)
}

// DecodeKeyedTransaction is DecodePerformTransaction for a connection with the
// extension keys (the contract, section 10): it takes a requestKey as well.
func DecodeKeyedTransaction(v Version, method string, params jsontext.Value) (PerformTransactionRequest, []Deviation, *Fault) {
	return decodePerformTransaction(v, method, params, true)
}

func decodePerformTransaction(v Version, method string, params jsontext.Value, keyed bool) (PerformTransactionRequest, []Deviation, *Fault) {
	var r PerformTransactionRequest
	if _, ok := TransactionType(v, method); !ok {
		return r, nil, newFault("/method", RuleEnum, spec.MessageWrongType, "type", "a kind of transaction")
	}
	o := openObject("/params", params)
	o.need(v.terminalMember())
	r.TID = o.text(v.terminalMember())
	o.need("currency")
	r.Currency = o.currency("currency")
	o.need("amount")
	if method == MethodAccountVerification {
		o.minor("amount", 0, MaxAmount)
	} else {
		r.Amount = o.minor("amount", 1, MaxAmount)
	}
	if v == V0 {
		// Money would change if these were passed over.
		o.forbid("amountCashback", isZero)
		o.forbid("cardholderNotPresent", isFalse)
	} else {
		r.readV1(o, method)
	}
	if keyed {
		r.RequestKey = o.textWithin("requestKey", 1, MaxRequestKey)
	}
	devs, fault := o.close()
	if fault != nil {
		return PerformTransactionRequest{}, nil, fault
	}
	return r, devs, nil
}

// readV1 reads the members that v1 has beyond v0.
func (r *PerformTransactionRequest) readV1(o *object, method string) {
	if method == MethodSale {
		r.AmountCashback = o.minor("amountCashback", 0, MaxCashback)
		if o.fault == nil && r.Amount+r.AmountCashback > MaxAmount {
			o.fault = newFault(o.at+"/amount", RuleMaximum, spec.MessageAboveMaximum,
				"maximum", strconv.FormatInt(int64(MaxAmount), 10)+" together with amountCashback")
		}
	} else {
		o.minor("amountCashback", 0, 0)
	}
	notPresent := o.flag("cardholderNotPresent")
	if method == MethodSale || method == MethodRefund {
		r.CardholderNotPresent = notPresent
	}
	if method == MethodCompletion {
		o.need("authCode")
		r.AuthCode = o.textWithin("authCode", 1, MaxAuthCode)
		r.AmountPreAuthorisedTotal = o.minor("amountPreAuthorisedTotal", 1, MaxAmount)
	} else {
		o.text("authCode")
	}
}
