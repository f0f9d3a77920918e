package link

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// The methods: gateway → machine, each a request.
const (
	methodStart           = "start"
	methodCancel          = "cancel"
	methodAnswerSignature = "answerSignature"
	methodQuery           = "query"
	methodAcknowledge     = "acknowledge"
	methodLast            = "last"
	methodAnswerTable     = "answerTable"
	methodQueryPayment    = "queryPayment"
)

// The methods: machine → gateway. Hello is a request, the others notifications.
const (
	methodHello           = "hello"
	methodNotified        = "notified"
	methodSignatureWanted = "signatureWanted"
	methodEnded           = "ended"
	methodReported        = "reported"
	methodStatusChanged   = "statusChanged"
	methodTablesWanted    = "tablesWanted"
	methodTableWanted     = "tableWanted"
	methodBillWanted      = "billWanted"
	methodPaymentStarted  = "paymentStarted"
	methodPaymentEnded    = "paymentEnded"
	methodVisitLeft       = "visitLeft"
	methodReportMade      = "reportMade"
)

// eventForm is an event as it is sent; ok is false for those of the link itself.
func eventForm(e terminal.Event, c money.Currency) (method string, params form, ok bool) {
	switch e := e.(type) {
	case terminal.Notified:
		return methodNotified, notifiedForm{e.ID, e.Value}, true
	case terminal.SignatureWanted:
		w := e.Wish
		return methodSignatureWanted, signatureWantedForm{
			RequestID: e.ID, Type: w.Type, MerchantReceipt: formLines(w.Merchant),
			AuthCode: w.AuthCode, AID: w.AID, Label: w.Label, Method: w.Method, PAN: w.PAN,
		}, true
	case terminal.Ended:
		return methodEnded, endedForm{e.ID, formOutcome(e.Outcome)}, true
	case terminal.Reported:
		return methodReported, reportedForm{e.ID, formReport(e.Report)}, true
	case terminal.StatusChanged:
		return methodStatusChanged, statusForm{&e.Busy}, true
	case terminal.TablesWanted:
		return methodTablesWanted, tablesWantedForm{e.Visit, e.Waiter}, true
	case terminal.TableWanted:
		return methodTableWanted, tableWantedForm{e.Visit, e.Waiter, e.Table}, true
	case terminal.BillWanted:
		return methodBillWanted, billWantedForm{e.Visit}, true
	case terminal.PaymentStarted:
		return methodPaymentStarted, paymentStartedForm{e.Visit, e.Payment, c, &e.Asked}, true
	case terminal.PaymentEnded:
		f := paymentEndedForm{VisitID: e.Visit, PaymentID: e.Payment, Taken: &e.Taken}
		if e.Taken {
			f.Receipt = formReceipt(e.Receipt, c)
		}
		return methodPaymentEnded, f, true
	case terminal.VisitLeft:
		return methodVisitLeft, visitLeftForm{e.Visit, e.Why}, true
	case terminal.ReportMade:
		return methodReportMade, reportedForm{e.ID, formReport(e.Report)}, true
	case terminal.WentAway, terminal.CameBack:
	}
	return "", nil, false
}

// decodeEvent reads an event of a machine that takes payments in the currency.
func decodeEvent(method string, params jsontext.Value, c money.Currency) (terminal.Event, *jsonrpc.Error) {
	switch method {
	case methodNotified:
		return event(params, func(f notifiedForm) terminal.Event { return terminal.Notified{ID: f.RequestID, Value: f.Value} })
	case methodSignatureWanted:
		return event(params, func(f signatureWantedForm) terminal.Event {
			return terminal.SignatureWanted{ID: f.RequestID, Wish: txn.SignatureWish{
				Type: f.Type, Merchant: linesOf(f.MerchantReceipt), AuthCode: f.AuthCode, AID: f.AID, Label: f.Label, Method: f.Method, PAN: f.PAN,
			}}
		})
	case methodEnded:
		return event(params, func(f endedForm) terminal.Event {
			return terminal.Ended{ID: f.RequestID, Outcome: f.Outcome.outcome()}
		})
	case methodReported:
		return event(params, func(f reportedForm) terminal.Event {
			return terminal.Reported{ID: f.RequestID, Report: f.Report.report()}
		})
	case methodStatusChanged:
		return event(params, func(f statusForm) terminal.Event { return terminal.StatusChanged{Busy: *f.Busy} })
	case methodTablesWanted:
		return event(params, func(f tablesWantedForm) terminal.Event {
			return terminal.TablesWanted{Visit: f.VisitID, Waiter: f.WaiterID}
		})
	case methodTableWanted:
		return event(params, func(f tableWantedForm) terminal.Event {
			return terminal.TableWanted{Visit: f.VisitID, Waiter: f.WaiterID, Table: f.TableID}
		})
	case methodBillWanted:
		return event(params, func(f billWantedForm) terminal.Event { return terminal.BillWanted{Visit: f.VisitID} })
	case methodPaymentStarted:
		f, bad := decode[paymentStartedForm]("/params", params)
		if bad == nil {
			bad = ofCurrency("/params/currency", f.Currency, c)
		}
		if bad != nil {
			return nil, bad
		}
		return terminal.PaymentStarted{Visit: f.VisitID, Payment: f.PaymentID, Asked: *f.AmountAsked}, nil
	case methodPaymentEnded:
		f, bad := decode[paymentEndedForm]("/params", params)
		if bad == nil && f.Receipt != nil {
			bad = ofCurrency("/params/receipt/currency", f.Receipt.Currency, c)
		}
		if bad != nil {
			return nil, bad
		}
		return terminal.PaymentEnded{Visit: f.VisitID, Payment: f.PaymentID, Taken: *f.Taken, Receipt: f.Receipt.receipt()}, nil
	case methodVisitLeft:
		return event(params, func(f visitLeftForm) terminal.Event { return terminal.VisitLeft{Visit: f.VisitID, Why: f.Why} })
	case methodReportMade:
		return event(params, func(f reportedForm) terminal.Event {
			return terminal.ReportMade{ID: f.RequestID, Report: f.Report.report()}
		})
	}
	return nil, noMethod()
}

// noMethod is the error for a method that is not of this version. The name is
// not repeated: it can be as long as a message.
func noMethod() *jsonrpc.Error {
	return &jsonrpc.Error{Code: jsonrpc.MethodNotFound, Message: "Method not found: it is not of the terminal link"}
}

func event[F form](params jsontext.Value, of func(F) terminal.Event) (terminal.Event, *jsonrpc.Error) {
	f, bad := decode[F]("/params", params)
	if bad != nil {
		return nil, bad
	}
	return of(f), nil
}

// ofCurrency finds money in another currency than the machine's.
func ofCurrency(at string, got, want money.Currency) *jsonrpc.Error {
	if got != want {
		return fault(at, "must be "+string(want)+", as in the hello")
	}
	return nil
}
