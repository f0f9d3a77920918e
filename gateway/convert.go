package gateway

import (
	"slices"
	"sync"
	"time"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/wire"
)

// This file holds the conversions between the types of the machines and those
// of the WebSocket.

// requestOf is what a till asked for. An account verification is a zero-value
// sale whatever amount it came with; an auth code counts for completions only.
func requestOf(kind txn.Type, r wire.PerformTransactionRequest) txn.Request {
	out := txn.Request{
		Type: kind, Currency: r.Currency, Amount: r.Amount,
		Cashback: r.AmountCashback, CardholderNotPresent: r.CardholderNotPresent,
	}
	switch kind {
	case txn.AccountVerification:
		out.Amount = 0
	case txn.Completion:
		out.AuthCode, out.PreAuthorisedTotal = r.AuthCode, r.AmountPreAuthorisedTotal
	default: // as asked
	}
	return out
}

// attempted is a Payment that says what was asked for and nothing more.
func attempted(t txn.Transaction, r txn.Result) txn.Outcome {
	return txn.Outcome{
		Type: t.Request.Type, Result: r, Currency: t.Request.Currency,
		Base: t.Request.Amount, Cashback: t.Request.Cashback, Time: t.AcceptedAt,
		Method: txn.MethodUnknown, CVM: txn.CVMUnknown,
	}
}

// resultOf is the result that is true as far as it is known.
func resultOf(t txn.Transaction) txn.Result {
	switch o := t.Truth(); {
	case o != nil:
		return o.Result
	case t.Resolution != nil:
		return t.Resolution.Result
	case t.NotRun == txn.Withdrawn:
		return txn.Cancelled
	case t.NotRun != "":
		return txn.Unsuccessful
	}
	return txn.TimedOut
}

// paymentOf is the outcome wherever a Payment is needed, whether or not a
// terminal ever told one.
func paymentOf(t txn.Transaction) txn.Outcome {
	if o := t.Truth(); o != nil {
		return *o
	}
	return attempted(t, resultOf(t))
}

// duplicateOf is the Payment with only a duplicate of the customer's receipt
// (the contract, section 3.5).
func duplicateOf(t txn.Transaction) txn.Outcome {
	o := paymentOf(t)
	b := new(receipt.Builder).Text("DUPLICATE", receipt.Bold)
	if len(o.Receipts.Customer) == 0 {
		switch {
		case o.Result == txn.TimedOut:
			b.Text("OUTCOME NOT KNOWN")
		case t.Truth() != nil: // the terminal made no receipt
			b.Text(string(o.Result))
		case t.Resolution != nil:
			b.Text("RECORDED BY HAND: " + string(o.Result))
		default:
			b.Text("NO TRANSACTION TOOK PLACE")
		}
	}
	o.Receipts = receipt.Copies{Customer: slices.Concat(b.Lines(), o.Receipts.Customer)}
	return o
}

// localTime writes a time in the site's zone, without naming it.
func localTime(t time.Time, zone *time.Location) string {
	return t.In(zone).Format(wire.TimeLayout)
}

func wirePayment(tid txn.TID, o txn.Outcome, zone *time.Location) wire.Payment {
	return wire.Payment{
		TerminalID:                   wire.TerminalID{TID: string(tid)},
		TransactionType:              string(o.Type),
		TransactionResult:            string(o.Result),
		TransactionID:                string(o.TransactionID),
		TransactionNumber:            o.Number,
		TransactionTime:              localTime(o.Time, zone),
		Currency:                     o.Currency,
		AmountBase:                   o.Base,
		AmountCashback:               o.Cashback,
		AmountGratuity:               o.Gratuity,
		AmountTotal:                  o.Total(),
		PaymentMethod:                string(o.Method),
		CardholderVerificationMethod: string(o.CVM),
		CardSchemeName:               o.Scheme,
		ApplicationID:                o.AID,
		ApplicationLabel:             o.Label,
		AuthCode:                     o.AuthCode,
		PrimaryAccountNumber:         o.PAN,
		PrimaryAccountNumberSequence: o.PANSequence,
		DateOfStart:                  o.Start,
		DateOfExpiry:                 o.Expiry,
		ReceiptLines: wire.ReceiptCopies{
			Merchant: wire.Lines(o.Receipts.Merchant),
			Customer: wire.Lines(o.Receipts.Customer),
		},
	}
}

func wireSignature(tid txn.TID, w txn.SignatureWish, seconds float64) wire.VerifySignatureRequest {
	return wire.VerifySignatureRequest{
		Timeout:                      seconds,
		TerminalID:                   wire.TerminalID{TID: string(tid)},
		ReceiptLines:                 wire.MerchantCopy{Merchant: wire.Lines(w.Merchant)},
		AuthCode:                     w.AuthCode,
		ApplicationID:                w.AID,
		ApplicationLabel:             w.Label,
		CardholderVerificationMethod: wire.CVMSignature,
		PaymentMethod:                string(w.Method),
		PrimaryAccountNumber:         w.PAN,
		TransactionType:              string(w.Type),
	}
}

func wireTerminal(v TerminalView) wire.Terminal {
	status := wire.StatusAvailable
	if v.Busy {
		status = wire.StatusBusy
	}
	return wire.Terminal{
		TerminalID: wire.TerminalID{TID: string(v.TID)}, Currency: v.Capabilities.Currency,
		Status: status, Capabilities: capabilities(v),
	}
}

// capabilities are those that v0 has words for.
func capabilities(v TerminalView) []string {
	c := v.Capabilities
	out := []string{}
	add := func(has bool, name string) {
		if has {
			out = append(out, name)
		}
	}
	add(slices.Contains(c.Types, txn.Sale), wire.CapabilitySale)
	add(slices.Contains(c.Types, txn.Refund), wire.CapabilityRefund)
	add(c.Duplicate, wire.CapabilityDuplicate)
	add(c.CancelAllowed, wire.CapabilityCancelTransaction)
	add(slices.Contains(c.Reports, report.EndOfDay), wire.CapabilityReportEndOfDay)
	add(slices.Contains(c.Reports, report.Banking), wire.CapabilityReportBanking)
	add(slices.Contains(c.Reports, report.XBalance), wire.CapabilityReportXBalance)
	add(slices.Contains(c.Reports, report.ZBalance), wire.CapabilityReportZBalance)
	return append(out, wire.CapabilityTerminalStatus)
}

func wireReport(tid txn.TID, r report.Report, zone *time.Location) wire.ReportResult {
	out := wire.ReportResult{
		TerminalID:   wire.TerminalID{TID: string(tid)},
		ReportType:   string(r.Type),
		ReportTime:   localTime(r.Time, zone),
		ReportResult: string(r.Result),
		Banking:      WireBanking(r.Banking),
		ReportLines:  wire.Lines(r.Lines),
	}
	if r.Balances != nil {
		out.Balances = wire.Balances{SessionTotals: WireBalances(r.Balances, zone)}
	}
	return out
}

// WireBalances are running totals in the form that tills get, or nil for none.
func WireBalances(b *report.Balances, zone *time.Location) *wire.SessionTotals {
	if b == nil {
		return nil
	}
	since := wire.TotalsSinceInstallation
	if !b.Since.IsZero() {
		since = localTime(b.Since, zone)
	}
	return &wire.SessionTotals{
		Breakdown:           wireBreakdown(b.Breakdown),
		TotalCashbackAmount: b.CashbackAmount, TotalCashbackCount: b.CashbackCount,
		TotalGratuityAmount: b.GratuityAmount, TotalGratuityCount: b.GratuityCount,
		TotalsSince:  since,
		IssuerTotals: wireBreakdowns(b.Issuers), WaiterTotals: wireBreakdowns(b.Waiters),
	}
}

// WireBanking are the sessions with each acquirer in the form that tills get.
func WireBanking(banking map[string]report.AcquirerTotals) map[string]wire.AcquirerTotals {
	out := map[string]wire.AcquirerTotals{}
	for name, a := range banking {
		out[name] = wire.AcquirerTotals{
			Currency:                          a.Currency,
			CurrentSessionTotals:              wireBreakdown(a.Current),
			PreviousSessionTotals:             wireBreakdown(a.Previous),
			CurrentSessionIssuerTotals:        wireBreakdowns(a.CurrentIssuers),
			PreviousSessionIssuerTotals:       wireBreakdowns(a.PreviousIssuers),
			CurrentSessionTransactionNumbers:  numbers(a.CurrentNumbers),
			PreviousSessionTransactionNumbers: numbers(a.PreviousNumbers),
		}
	}
	return out
}

// reportTimedOut is the report that says that none came in time. Where there
// would be balances they are zero, since no time.
func reportTimedOut(tid txn.TID, kind report.Type, c money.Currency, zone *time.Location) wire.ReportResult {
	r := wireReport(tid, report.Report{Type: kind, Result: report.TimedOut, Time: time.Now()}, zone)
	if kind != report.Banking {
		r.Balances = wire.Balances{SessionTotals: &wire.SessionTotals{
			Breakdown:    wire.Breakdown{Currency: c},
			IssuerTotals: map[string]wire.Breakdown{}, WaiterTotals: map[string]wire.Breakdown{},
		}}
	}
	return r
}

func numbers(n report.Numbers) []string {
	if n.First == "" {
		return []string{}
	}
	return []string{n.First, n.Last}
}

func wireBreakdown(b report.Breakdown) wire.Breakdown {
	return wire.Breakdown{
		Currency: b.Currency, TotalAmount: b.TotalAmount,
		TotalSalesAmount: b.SalesAmount, TotalSalesCount: b.SalesCount,
		TotalRefundsAmount: b.RefundsAmount, TotalRefundsCount: b.RefundsCount,
	}
}

func wireBreakdowns(m map[string]report.Breakdown) map[string]wire.Breakdown {
	out := make(map[string]wire.Breakdown, len(m))
	for name, b := range m {
		out[name] = wireBreakdown(b)
	}
	return out
}

// notifiable reports whether version v has a word for the notification.
func notifiable(v wire.Version, n txn.Notification) bool {
	since, ok := notificationVersions()[n]
	return ok && since <= v
}

// notificationVersions says since which version there is each notification.
var notificationVersions = sync.OnceValue(func() map[txn.Notification]wire.Version {
	out := map[txn.Notification]wire.Version{}
	for _, n := range spec.Default().Notifications() {
		v, ok := wire.ParseVersion(n.Since)
		if !ok {
			panic("gateway: no version " + n.Since)
		}
		out[txn.Notification(n.Value)] = v
	}
	return out
})
