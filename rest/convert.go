package rest

import (
	"slices"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/wire/rest"
)

// This file holds the conversions from what the gateway shows to what tills get.

// transactionForm is what polling gives. The word that it is finished and all that
// is said then come in one and the same body.
func (q *request) transactionForm(v gateway.View) *rest.Transaction {
	t := &rest.Transaction{RequestID: string(v.ID), Location: q.location(v.TID, "transactions", string(v.ID))}
	told := notices(v)
	if v.Ended {
		t.Notifications = append(t.Notifications, string(txn.TransactionFinished))
	}
	for _, n := range slices.Backward(told) {
		t.Notifications = append(t.Notifications, string(n.Value))
	}
	switch {
	case v.Ended:
		t.Result = q.resultForm(v, v.Outcome, true)
	case v.Signing:
		s := signatureForm(v.Wish)
		t.Signature = &s
	}
	return t
}

// notices are the notifications that tills see so far, oldest first. There always
// is one. While a signature is awaited the question for it is the newest: what came
// behind it shows with the answer.
func notices(v gateway.View) []gateway.Notice {
	told := v.Notices
	if v.Signing {
		if i := slices.IndexFunc(told, func(n gateway.Notice) bool { return n.Value == txn.SignatureVerification }); i >= 0 {
			told = told[:i+1]
		}
	}
	if len(told) > 0 && told[0].Value == txn.TransactionStarted {
		told = told[1:]
	}
	return slices.Concat([]gateway.Notice{{Value: txn.TransactionStarted, At: v.At}}, told)
}

// signatureForm is what is said of a transaction while its signature is awaited.
func signatureForm(w *txn.SignatureWish) rest.Signature {
	return rest.Signature{
		AuthCode: w.AuthCode, ApplicationID: w.AID, ApplicationLabel: w.Label,
		PaymentMethod: string(w.Method), PrimaryAccountNumber: w.PAN, TransactionType: string(w.Type),
	}
}

// resultForm is all that is said of an outcome. Told says that it is the one that
// the till was told, which may need words for the cashier.
func (q *request) resultForm(v gateway.View, o *txn.Outcome, told bool) *rest.Result {
	if o == nil { // a duplicate of nothing
		return &rest.Result{
			TransactionResult: string(txn.Unsuccessful), PaymentMethod: string(txn.MethodUnknown), CardholderVerificationMethod: string(txn.CVMUnknown),
			Currency: v.Currency, TransactionTime: v.EndedAt.In(q.till.Zone()),
		}
	}
	r := &rest.Result{
		AmountBase: o.Base, AmountCashback: o.Cashback, AmountGratuity: o.Gratuity, AmountTotal: o.Total(),
		ApplicationID: o.AID, ApplicationLabel: o.Label, AuthCode: o.AuthCode, CardSchemeName: o.Scheme,
		CardholderVerificationMethod: string(o.CVM), Currency: o.Currency, DateOfExpiry: o.Expiry, DateOfStart: o.Start,
		PaymentMethod: string(o.Method), PrimaryAccountNumber: o.PAN, PrimaryAccountNumberSequence: o.PANSequence,
		ReceiptLines: o.Receipts, TransactionID: string(o.TransactionID), TransactionNumber: o.Number,
		TransactionResult: string(o.Result), TransactionTime: o.Time.In(q.till.Zone()), TransactionType: string(o.Type),
	}
	if told {
		r.UserMessage = userMessage(v)
	}
	return r
}

// userMessage is what the cashier has to know of an end, or nothing.
func userMessage(v gateway.View) string {
	switch {
	case v.Outcome.Result == txn.TimedOut:
		return spec.RESTTextOutcomeUnknown
	case v.NotRun != "" && v.NotRun != txn.Withdrawn:
		return spec.Fill(spec.RESTTextNotRun, "tid", string(v.TID))
	case v.SignedBy == txn.ByTimeout:
		return spec.RESTTextSignatureTimeout
	}
	return ""
}
