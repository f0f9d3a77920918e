package link

import (
	"maps"
	"slices"
	"time"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// The forms of what is sent, version 1. A member that must be there and could be
// left out unseen, such as an amount, is a pointer. Members that are not known
// are passed over, so that a later version of either side can add some.

type helloForm struct {
	TID          txn.TID          `json:"tid"`
	LinkVersion  *int             `json:"linkVersion"`
	Model        string           `json:"model,omitzero"`
	Software     string           `json:"software,omitzero"`
	Memory       *string          `json:"memory,omitzero"`
	Restarted    bool             `json:"restarted,omitzero"`
	Capabilities capabilitiesForm `json:"capabilities"`
}

type capabilitiesForm struct {
	Currency             money.Currency `json:"currency"`
	Types                []txn.Type     `json:"types"`
	Reports              []report.Type  `json:"reports,omitzero"`
	Duplicate            bool           `json:"duplicate,omitzero"`
	Cashback             bool           `json:"cashback,omitzero"`
	CardholderNotPresent bool           `json:"cardholderNotPresent,omitzero"`
	Cancel               bool           `json:"cancel,omitzero"`
	Tables               bool           `json:"tables,omitzero"`
}

type welcomeForm struct {
	LinkVersion *int `json:"linkVersion"`
}

// A lineForm is a line of a receipt.
type lineForm struct {
	Type   receipt.LineType `json:"type"`
	Format []receipt.Format `json:"format,omitzero"`
	Value  string           `json:"value,omitzero"`
}

func formLines(lines []receipt.Line) []lineForm {
	out := make([]lineForm, len(lines))
	for i, l := range lines {
		out[i] = lineForm(l)
		out[i].Value = cut(l.Value, maxLine)
	}
	return out
}

// cut leaves out what of a text is more than the other side reads.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	if r := []rune(s); len(r) > most {
		return string(r[:most])
	}
	return s
}

func linesOf(forms []lineForm) []receipt.Line {
	if len(forms) == 0 {
		return nil
	}
	out := make([]receipt.Line, len(forms))
	for i, f := range forms {
		out[i] = receipt.Line(f)
	}
	return out
}

func ref[T any](v T) *T { return &v }

// value is what p points at, if there is something.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// written is a time as it can be written: the clock of a machine may say
// anything.
func written(t time.Time) time.Time {
	t = t.Round(0)
	if _, offset := t.Zone(); offset%60 != 0 || offset <= -24*3600 || offset >= 24*3600 {
		t = t.UTC()
	}
	if y := t.Year(); y < 1 || y > 9998 {
		return time.Time{}
	}
	return t
}

type startForm struct {
	RequestID   txn.RequestID    `json:"requestId"`
	Transaction *transactionForm `json:"transaction,omitzero"`
	Report      *askedReportForm `json:"report,omitzero"`
}

type transactionForm struct {
	Type                 txn.Type       `json:"type"`
	Currency             money.Currency `json:"currency"`
	AmountBase           *money.Minor   `json:"amountBase"`
	AmountCashback       money.Minor    `json:"amountCashback,omitzero"`
	CardholderNotPresent bool           `json:"cardholderNotPresent,omitzero"`
	AuthCode             string         `json:"authCode,omitzero"`
	AmountPreAuthorised  money.Minor    `json:"amountPreAuthorised,omitzero"`
}

type askedReportForm struct {
	Type report.Type `json:"type"`
}

func formStart(r terminal.Request) startForm {
	if r.IsReport() {
		return startForm{RequestID: r.ID, Report: &askedReportForm{r.Report}}
	}
	t := r.Txn
	return startForm{RequestID: r.ID, Transaction: &transactionForm{
		Type: t.Type, Currency: t.Currency, AmountBase: &t.Amount, AmountCashback: t.Cashback,
		CardholderNotPresent: t.CardholderNotPresent, AuthCode: t.AuthCode, AmountPreAuthorised: t.PreAuthorisedTotal,
	}}
}

func (f startForm) request() terminal.Request {
	if f.Report != nil {
		return terminal.Request{ID: f.RequestID, Report: f.Report.Type}
	}
	t := f.Transaction
	return terminal.Request{ID: f.RequestID, Txn: txn.Request{
		Type: t.Type, Currency: t.Currency, Amount: *t.AmountBase, Cashback: t.AmountCashback,
		CardholderNotPresent: t.CardholderNotPresent, AuthCode: t.AuthCode, PreAuthorisedTotal: t.AmountPreAuthorised,
	}}
}

// A requestForm names a request and nothing else.
type requestForm struct {
	RequestID txn.RequestID `json:"requestId"`
}

type signatureForm struct {
	RequestID txn.RequestID `json:"requestId"`
	Accepted  *bool         `json:"accepted"`
}

// An answerForm is the result of a request that is taken or not.
type answerForm struct {
	Answer      string `json:"answer"`
	Reason      string `json:"reason,omitzero"`
	UserMessage string `json:"userMessage,omitzero"`
}

// A startAnswerForm is the result of a start.
type startAnswerForm answerForm

// The answers.
const (
	answerAccepted = "accepted" // start
	answerBusy     = "busy"     // start
	answerTaken    = "taken"
	answerRefused  = "refused"
	answerFound    = "found" // last
	answerNone     = "none"  // last
)

type queryAnswerForm struct {
	Answer  string       `json:"answer"`
	Outcome *outcomeForm `json:"outcome,omitzero"`
	Report  *reportForm  `json:"report,omitzero"`
}

type lastAnswerForm struct {
	Answer      string         `json:"answer"`
	RequestID   *txn.RequestID `json:"requestId,omitzero"`
	Outcome     *outcomeForm   `json:"outcome,omitzero"`
	Reason      string         `json:"reason,omitzero"`
	UserMessage string         `json:"userMessage,omitzero"`
}

type paymentAnswerForm struct {
	Answer  string       `json:"answer"`
	Taken   *bool        `json:"taken,omitzero"`
	Receipt *receiptForm `json:"receipt,omitzero"`
}

// kindOf is the answer to a query of that name.
func kindOf(answer string) (terminal.AnswerKind, bool) {
	i := slices.IndexFunc(terminal.AnswerKinds(), func(k terminal.AnswerKind) bool { return k.String() == answer })
	if i < 0 {
		return 0, false
	}
	return terminal.AnswerKinds()[i], true
}

type outcomeForm struct {
	Type   txn.Type   `json:"type"`
	Result txn.Result `json:"result"`

	Currency       money.Currency `json:"currency"`
	AmountBase     *money.Minor   `json:"amountBase"`
	AmountCashback money.Minor    `json:"amountCashback,omitzero"`
	AmountGratuity money.Minor    `json:"amountGratuity,omitzero"`

	TransactionID txn.TransactionID `json:"transactionId,omitzero"`
	Number        string            `json:"number,omitzero"`
	Time          time.Time         `json:"time,omitzero"`

	Method      txn.PaymentMethod `json:"paymentMethod,omitzero"`
	CVM         txn.CVM           `json:"cardholderVerification,omitzero"`
	Scheme      string            `json:"scheme,omitzero"`
	AID         string            `json:"aid,omitzero"`
	Label       string            `json:"label,omitzero"`
	AuthCode    string            `json:"authCode,omitzero"`
	PAN         string            `json:"pan,omitzero"`
	PANSequence string            `json:"panSequence,omitzero"`
	Start       string            `json:"start,omitzero"`
	Expiry      string            `json:"expiry,omitzero"`

	MerchantReceipt []lineForm `json:"merchantReceipt,omitempty"`
	CustomerReceipt []lineForm `json:"customerReceipt,omitempty"`
}

func formOutcome(o txn.Outcome) *outcomeForm {
	return &outcomeForm{
		Type: o.Type, Result: o.Result,
		Currency: o.Currency, AmountBase: &o.Base, AmountCashback: o.Cashback, AmountGratuity: o.Gratuity,
		TransactionID: o.TransactionID, Number: o.Number, Time: written(o.Time),
		Method: o.Method, CVM: o.CVM, Scheme: o.Scheme, AID: o.AID, Label: o.Label, AuthCode: o.AuthCode,
		PAN: o.PAN, PANSequence: o.PANSequence, Start: o.Start, Expiry: o.Expiry,
		MerchantReceipt: formLines(o.Receipts.Merchant), CustomerReceipt: formLines(o.Receipts.Customer),
	}
}

func (f *outcomeForm) outcome() txn.Outcome {
	return txn.Outcome{
		Type: f.Type, Result: f.Result,
		Currency: f.Currency, Base: *f.AmountBase, Cashback: f.AmountCashback, Gratuity: f.AmountGratuity,
		TransactionID: f.TransactionID, Number: f.Number, Time: f.Time,
		Method: f.Method, CVM: f.CVM, Scheme: f.Scheme, AID: f.AID, Label: f.Label, AuthCode: f.AuthCode,
		PAN: f.PAN, PANSequence: f.PANSequence, Start: f.Start, Expiry: f.Expiry,
		Receipts: receipt.Copies{Merchant: linesOf(f.MerchantReceipt), Customer: linesOf(f.CustomerReceipt)},
	}
}

// A receiptForm is a payment at a table that took money.
type receiptForm struct {
	Currency       money.Currency `json:"currency"`
	AmountPaid     *money.Minor   `json:"amountPaid"`
	AmountCashback money.Minor    `json:"amountCashback,omitzero"`
	AmountGratuity money.Minor    `json:"amountGratuity,omitzero"`

	TransactionID string    `json:"transactionId,omitzero"`
	Number        string    `json:"number,omitzero"`
	Time          time.Time `json:"time,omitzero"`

	Method   string `json:"paymentMethod,omitzero"`
	CVM      string `json:"cardholderVerification,omitzero"`
	Scheme   string `json:"scheme,omitzero"`
	AID      string `json:"aid,omitzero"`
	Label    string `json:"label,omitzero"`
	AuthCode string `json:"authCode,omitzero"`
	PAN      string `json:"pan,omitzero"`
	Expiry   string `json:"expiry,omitzero"`

	MerchantReceipt []lineForm `json:"merchantReceipt,omitempty"`
	CustomerReceipt []lineForm `json:"customerReceipt,omitempty"`
}

func formReceipt(r table.Receipt, c money.Currency) *receiptForm {
	return &receiptForm{
		Currency: c, AmountPaid: &r.Paid, AmountCashback: r.Cashback, AmountGratuity: r.Gratuity,
		TransactionID: r.TransactionID, Number: r.Number, Time: written(r.Time),
		Method: r.Method, CVM: r.CVM, Scheme: r.Scheme, AID: r.AID, Label: r.Label, AuthCode: r.AuthCode, PAN: r.PAN, Expiry: r.Expiry,
		MerchantReceipt: formLines(r.Receipts.Merchant), CustomerReceipt: formLines(r.Receipts.Customer),
	}
}

func (f *receiptForm) receipt() table.Receipt {
	if f == nil {
		return table.Receipt{}
	}
	return table.Receipt{
		Paid: *f.AmountPaid, Cashback: f.AmountCashback, Gratuity: f.AmountGratuity,
		TransactionID: f.TransactionID, Number: f.Number, Time: f.Time,
		Method: f.Method, CVM: f.CVM, Scheme: f.Scheme, AID: f.AID, Label: f.Label, AuthCode: f.AuthCode, PAN: f.PAN, Expiry: f.Expiry,
		Receipts: receipt.Copies{Merchant: linesOf(f.MerchantReceipt), Customer: linesOf(f.CustomerReceipt)},
	}
}

type reportForm struct {
	Type     report.Type             `json:"type"`
	Result   report.Result           `json:"result"`
	Time     time.Time               `json:"time,omitzero"`
	Balances *balancesForm           `json:"balances,omitzero"`
	Banking  map[string]acquirerForm `json:"banking,omitempty"`
	Lines    []lineForm              `json:"lines,omitempty"`
}

type breakdownForm struct {
	Currency      money.Currency `json:"currency"`
	TotalAmount   *money.Minor   `json:"totalAmount"`
	SalesAmount   *money.Minor   `json:"salesAmount"`
	SalesCount    *int           `json:"salesCount"`
	RefundsAmount *money.Minor   `json:"refundsAmount"`
	RefundsCount  *int           `json:"refundsCount"`
}

type balancesForm struct {
	Total          breakdownForm            `json:"total"`
	CashbackAmount money.Minor              `json:"cashbackAmount,omitzero"`
	CashbackCount  int                      `json:"cashbackCount,omitzero"`
	GratuityAmount money.Minor              `json:"gratuityAmount,omitzero"`
	GratuityCount  int                      `json:"gratuityCount,omitzero"`
	Since          time.Time                `json:"since,omitzero"`
	Issuers        map[string]breakdownForm `json:"issuers,omitempty"`
	Waiters        map[string]breakdownForm `json:"waiters,omitempty"`
}

type numbersForm struct {
	First string `json:"first,omitzero"`
	Last  string `json:"last,omitzero"`
}

type acquirerForm struct {
	Currency        money.Currency           `json:"currency"`
	Current         breakdownForm            `json:"current"`
	Previous        breakdownForm            `json:"previous"`
	CurrentIssuers  map[string]breakdownForm `json:"currentIssuers,omitempty"`
	PreviousIssuers map[string]breakdownForm `json:"previousIssuers,omitempty"`
	CurrentNumbers  numbersForm              `json:"currentNumbers,omitzero"`
	PreviousNumbers numbersForm              `json:"previousNumbers,omitzero"`
}

// mapped converts the values of a map; what is empty becomes nil.
func mapped[A, B any](m map[string]A, convert func(A) B) map[string]B {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]B, len(m))
	for name, v := range m {
		out[name] = convert(v)
	}
	return out
}

func formBreakdown(b report.Breakdown) breakdownForm {
	return breakdownForm{b.Currency, &b.TotalAmount, &b.SalesAmount, &b.SalesCount, &b.RefundsAmount, &b.RefundsCount}
}

func (f breakdownForm) breakdown() report.Breakdown {
	return report.Breakdown{
		Currency: f.Currency, TotalAmount: *f.TotalAmount, SalesAmount: *f.SalesAmount, SalesCount: *f.SalesCount,
		RefundsAmount: *f.RefundsAmount, RefundsCount: *f.RefundsCount,
	}
}

func formReport(r report.Report) *reportForm {
	f := &reportForm{
		Type: r.Type, Result: r.Result, Time: written(r.Time), Lines: formLines(r.Lines),
		Banking: mapped(r.Banking, func(a report.AcquirerTotals) acquirerForm {
			return acquirerForm{
				Currency: a.Currency, Current: formBreakdown(a.Current), Previous: formBreakdown(a.Previous),
				CurrentIssuers: mapped(a.CurrentIssuers, formBreakdown), PreviousIssuers: mapped(a.PreviousIssuers, formBreakdown),
				CurrentNumbers: numbersForm(a.CurrentNumbers), PreviousNumbers: numbersForm(a.PreviousNumbers),
			}
		}),
	}
	if b := r.Balances; b != nil {
		f.Balances = &balancesForm{
			Total: formBreakdown(b.Breakdown), CashbackAmount: b.CashbackAmount, CashbackCount: b.CashbackCount,
			GratuityAmount: b.GratuityAmount, GratuityCount: b.GratuityCount, Since: written(b.Since),
			Issuers: mapped(b.Issuers, formBreakdown), Waiters: mapped(b.Waiters, formBreakdown),
		}
	}
	return f
}

func (f *reportForm) report() report.Report {
	r := report.Report{
		Type: f.Type, Result: f.Result, Time: f.Time, Lines: linesOf(f.Lines),
		Banking: mapped(f.Banking, func(a acquirerForm) report.AcquirerTotals {
			return report.AcquirerTotals{
				Currency: a.Currency, Current: a.Current.breakdown(), Previous: a.Previous.breakdown(),
				CurrentIssuers: mapped(a.CurrentIssuers, breakdownForm.breakdown), PreviousIssuers: mapped(a.PreviousIssuers, breakdownForm.breakdown),
				CurrentNumbers: report.Numbers(a.CurrentNumbers), PreviousNumbers: report.Numbers(a.PreviousNumbers),
			}
		}),
	}
	if b := f.Balances; b != nil {
		r.Balances = &report.Balances{
			Breakdown: b.Total.breakdown(), CashbackAmount: b.CashbackAmount, CashbackCount: b.CashbackCount,
			GratuityAmount: b.GratuityAmount, GratuityCount: b.GratuityCount, Since: b.Since,
			Issuers: mapped(b.Issuers, breakdownForm.breakdown), Waiters: mapped(b.Waiters, breakdownForm.breakdown),
		}
	}
	return r
}

// The events.

type notifiedForm struct {
	RequestID txn.RequestID    `json:"requestId"`
	Value     txn.Notification `json:"value"`
}

type signatureWantedForm struct {
	RequestID       txn.RequestID     `json:"requestId"`
	Type            txn.Type          `json:"type"`
	MerchantReceipt []lineForm        `json:"merchantReceipt,omitempty"`
	AuthCode        string            `json:"authCode,omitzero"`
	AID             string            `json:"aid,omitzero"`
	Label           string            `json:"label,omitzero"`
	Method          txn.PaymentMethod `json:"paymentMethod,omitzero"`
	PAN             string            `json:"pan,omitzero"`
}

type endedForm struct {
	RequestID txn.RequestID `json:"requestId"`
	Outcome   *outcomeForm  `json:"outcome"`
}

// A reportedForm is a report that was asked for, or one made at the machine.
type reportedForm struct {
	RequestID txn.RequestID `json:"requestId"`
	Report    *reportForm   `json:"report"`
}

type statusForm struct {
	Busy *bool `json:"busy"`
}

type tablesWantedForm struct {
	VisitID  table.VisitID  `json:"visitId"`
	WaiterID table.WaiterID `json:"waiterId,omitzero"`
}

type tableWantedForm struct {
	VisitID  table.VisitID  `json:"visitId"`
	WaiterID table.WaiterID `json:"waiterId,omitzero"`
	TableID  table.TableID  `json:"tableId"`
}

type billWantedForm struct {
	VisitID table.VisitID `json:"visitId"`
}

type paymentStartedForm struct {
	VisitID     table.VisitID   `json:"visitId"`
	PaymentID   table.PaymentID `json:"paymentId"`
	Currency    money.Currency  `json:"currency"`
	AmountAsked *money.Minor    `json:"amountAsked"`
}

type paymentEndedForm struct {
	VisitID   table.VisitID   `json:"visitId"`
	PaymentID table.PaymentID `json:"paymentId"`
	Taken     *bool           `json:"taken"`
	Receipt   *receiptForm    `json:"receipt,omitzero"`
}

type visitLeftForm struct {
	VisitID table.VisitID `json:"visitId"`
	Why     string        `json:"why,omitzero"`
}

// Answers to what a machine asks at a table; one of the last seven is there.
type answerTableForm struct {
	VisitID table.VisitID `json:"visitId"`

	TableList        *tableListForm   `json:"tableList,omitzero"`
	TableLock        *tableLockForm   `json:"tableLock,omitzero"`
	Bill             *billForm        `json:"bill,omitzero"`
	PaymentAllowed   *paymentForm     `json:"paymentAllowed,omitzero"`
	PaymentForbidden *forbiddenForm   `json:"paymentForbidden,omitzero"`
	PaymentKept      *paymentForm     `json:"paymentKept,omitzero"`
	VisitClosed      *visitClosedForm `json:"visitClosed,omitzero"`
}

type tableListForm struct {
	Tables   []table.TableID `json:"tables"`
	Currency *money.Currency `json:"currency,omitzero"`
	Message  string          `json:"message,omitzero"`
}

type tableLockForm struct {
	Granted           *bool           `json:"granted"`
	AmountOutstanding *money.Minor    `json:"amountOutstanding,omitzero"` // when granted
	Currency          *money.Currency `json:"currency,omitzero"`          // when granted
	Message           string          `json:"message,omitzero"`
}

type billForm struct {
	Lines   []lineForm `json:"lines,omitempty"`
	Message string     `json:"message,omitzero"`
}

type paymentForm struct {
	Payment table.PaymentID `json:"paymentId"`
}

type forbiddenForm struct {
	Payment table.PaymentID `json:"paymentId"`
	Message string          `json:"message,omitzero"`
}

type visitClosedForm struct {
	FinalReceipt []lineForm `json:"finalReceipt,omitempty"`
}

func formAnswer(v table.VisitID, a terminal.TableAnswer) answerTableForm {
	f := answerTableForm{VisitID: v}
	switch a := a.(type) {
	case terminal.TableList:
		f.TableList = &tableListForm{Tables: append([]table.TableID{}, a.Tables...), Message: cut(a.Message, maxText)}
		if a.Currency != "" {
			f.TableList.Currency = &a.Currency
		}
	case terminal.TableLock:
		f.TableLock = &tableLockForm{Granted: &a.Granted, Message: cut(a.Message, maxText)}
		if a.Granted {
			f.TableLock.AmountOutstanding, f.TableLock.Currency = &a.Amount, &a.Currency
		}
	case terminal.Bill:
		f.Bill = &billForm{Lines: formLines(a.Lines), Message: cut(a.Message, maxText)}
	case terminal.PaymentAllowed:
		f.PaymentAllowed = ref(paymentForm(a))
	case terminal.PaymentForbidden:
		f.PaymentForbidden = &forbiddenForm{a.Payment, cut(a.Message, maxText)}
	case terminal.PaymentKept:
		f.PaymentKept = ref(paymentForm(a))
	case terminal.VisitClosed:
		f.VisitClosed = &visitClosedForm{FinalReceipt: formLines(a.FinalReceipt)}
	}
	return f
}

// answers lists the answers that are there; a form that was checked has one.
func (f answerTableForm) answers() []terminal.TableAnswer {
	var out []terminal.TableAnswer
	if a := f.TableList; a != nil {
		out = append(out, terminal.TableList{Tables: a.Tables, Currency: value(a.Currency), Message: a.Message})
	}
	if a := f.TableLock; a != nil && a.Granted != nil {
		out = append(out, terminal.TableLock{Granted: *a.Granted, Amount: value(a.AmountOutstanding), Currency: value(a.Currency), Message: a.Message})
	}
	if a := f.Bill; a != nil {
		out = append(out, terminal.Bill{Lines: linesOf(a.Lines), Message: a.Message})
	}
	if a := f.PaymentAllowed; a != nil {
		out = append(out, terminal.PaymentAllowed(*a))
	}
	if a := f.PaymentForbidden; a != nil {
		out = append(out, terminal.PaymentForbidden(*a))
	}
	if a := f.PaymentKept; a != nil {
		out = append(out, terminal.PaymentKept(*a))
	}
	if a := f.VisitClosed; a != nil {
		out = append(out, terminal.VisitClosed{FinalReceipt: linesOf(a.FinalReceipt)})
	}
	return out
}

type queryPaymentForm struct {
	VisitID   table.VisitID   `json:"visitId"`
	PaymentID table.PaymentID `json:"paymentId"`
}

func formHello(tid txn.TID, c terminal.Capabilities, tables, restarted bool) helloForm {
	f := helloForm{
		TID: tid, LinkVersion: ref(Version), Model: c.Model, Software: c.Software, Restarted: restarted,
		Capabilities: capabilitiesForm{
			Currency: c.Currency, Types: append([]txn.Type{}, c.Types...), Reports: c.Reports,
			Duplicate: c.Duplicate, Cashback: c.Cashback, CardholderNotPresent: c.NotPresent, Cancel: c.CancelAllowed, Tables: tables,
		},
	}
	if c.Memory != "" {
		f.Memory = &c.Memory
	}
	return f
}

func (f helloForm) capabilities() terminal.Capabilities {
	c := f.Capabilities
	return terminal.Capabilities{
		Currency: c.Currency, Model: f.Model, Software: f.Software, Types: c.Types, Reports: c.Reports,
		Duplicate: c.Duplicate, Cashback: c.Cashback, NotPresent: c.CardholderNotPresent, CancelAllowed: c.Cancel,
		Memory: value(f.Memory),
	}
}

// sorted gives the names of a map in a fixed order, so that of several faults
// always the same is named.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
