package journal

import (
	"slices"
	"time"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
)

// The stored forms, version 1. A name or a meaning here never changes once it
// was written to a disk: a change is a new version of the kind. Where a form
// has the fields of its domain type in the same order, Go converts one into
// the other, and a field added over there does not compile here.

// A timed is an event that has nothing but its time. At is absent when it is
// the record's own time, here and in every other form. (Absent is nil, which
// omitempty drops; omitzero would drop a zero time as well.)
type timed struct {
	At *time.Time `json:"at,omitempty"`
}

type dispatchedForm struct {
	Memory string     `json:"memory,omitzero"`
	At     *time.Time `json:"at,omitempty"`
}

type acceptedForm struct {
	ID         txn.RequestID `json:"id"`
	Site       txn.SiteID    `json:"site"`
	TID        txn.TID       `json:"tid"`
	Request    requestForm   `json:"request"`
	Caller     callerForm    `json:"caller,omitzero"`
	Deviations []string      `json:"deviations,omitzero"`
	At         *time.Time    `json:"at,omitempty"`
}

type requestForm struct {
	Type     txn.Type       `json:"type"`
	Currency money.Currency `json:"currency"`
	Amount   money.Minor    `json:"amount"`
	Cashback money.Minor    `json:"cashback,omitzero"`

	CardholderNotPresent bool        `json:"cardholderNotPresent,omitzero"`
	AuthCode             string      `json:"authCode,omitzero"`
	PreAuthorisedTotal   money.Minor `json:"preAuthorisedTotal,omitzero"`
}

type callerForm struct {
	Face          string `json:"face,omitzero"`
	Version       string `json:"version,omitzero"`
	SoftwareHouse string `json:"softwareHouse,omitzero"`
	Installer     string `json:"installer,omitzero"`
}

type notifiedForm struct {
	Value txn.Notification `json:"value"`
	At    *time.Time       `json:"at,omitempty"`
}

type wantedForm struct {
	Wish wishForm   `json:"wish"`
	At   *time.Time `json:"at,omitempty"`
}

type wishForm struct {
	Type     txn.Type          `json:"type"`
	Merchant []lineForm        `json:"merchant,omitzero"`
	AuthCode string            `json:"authCode,omitzero"`
	AID      string            `json:"aid,omitzero"`
	Label    string            `json:"label,omitzero"`
	Method   txn.PaymentMethod `json:"method,omitzero"`
	PAN      string            `json:"pan,omitzero"`
}

type signedForm struct {
	Accepted   bool            `json:"accepted"`
	By         txn.SignatureBy `json:"by"`
	Deviations []string        `json:"deviations,omitzero"`
	At         *time.Time      `json:"at,omitempty"`
}

type outcomeEventForm struct {
	Outcome outcomeForm `json:"outcome"`
	At      *time.Time  `json:"at,omitempty"`
}

type outcomeForm struct {
	Type   txn.Type   `json:"type"`
	Result txn.Result `json:"result"`

	Currency money.Currency `json:"currency"`
	Base     money.Minor    `json:"base"`
	Cashback money.Minor    `json:"cashback,omitzero"`
	Gratuity money.Minor    `json:"gratuity,omitzero"`

	TransactionID txn.TransactionID `json:"transactionId,omitzero"`
	Number        string            `json:"number,omitzero"`
	Time          time.Time         `json:"time,omitzero"`

	Method      txn.PaymentMethod `json:"method,omitzero"`
	CVM         txn.CVM           `json:"cvm,omitzero"`
	Scheme      string            `json:"scheme,omitzero"`
	AID         string            `json:"aid,omitzero"`
	Label       string            `json:"label,omitzero"`
	AuthCode    string            `json:"authCode,omitzero"`
	PAN         string            `json:"pan,omitzero"`
	PANSequence string            `json:"panSequence,omitzero"`
	Start       string            `json:"start,omitzero"`
	Expiry      string            `json:"expiry,omitzero"`
	Merchant    []lineForm        `json:"merchant,omitzero"`
	Customer    []lineForm        `json:"customer,omitzero"`
}

// A lineForm has short names, and no type when it is TEXT: receipts are most
// of what a journal holds.
type lineForm struct {
	Type   receipt.LineType `json:"t,omitzero"`
	Format []receipt.Format `json:"f,omitzero"`
	Value  string           `json:"v,omitzero"`
}

type neverRanForm struct {
	Reason txn.Reason `json:"reason"`
	At     *time.Time `json:"at,omitempty"`
}

type answeredForm struct {
	Told txn.Told   `json:"told"`
	At   *time.Time `json:"at,omitempty"`
}

type correctedForm struct {
	Lapsed bool       `json:"lapsed,omitzero"`
	At     *time.Time `json:"at,omitempty"`
}

type resolvedForm struct {
	Resolution resolutionForm `json:"resolution"`
	At         *time.Time     `json:"at,omitempty"`
}

type resolutionForm struct {
	Result txn.Result `json:"result"`
	By     string     `json:"by"`
	Reason string     `json:"reason"`
}

type reportDispatchedForm struct {
	ID         string      `json:"id"`
	Site       string      `json:"site"`
	TID        string      `json:"tid"`
	Type       report.Type `json:"type"`
	Deviations []string    `json:"deviations,omitzero"`
	At         *time.Time  `json:"at,omitempty"`
}

type broughtForm struct {
	ID     string     `json:"id"`
	Site   string     `json:"site"`
	TID    string     `json:"tid"`
	Report reportForm `json:"report"`
	At     *time.Time `json:"at,omitempty"`
}

type requeuedForm struct {
	By     string     `json:"by"`
	Reason string     `json:"reason,omitzero"`
	At     *time.Time `json:"at,omitempty"`
}

type madeForm struct {
	Report reportForm `json:"report"`
	At     *time.Time `json:"at,omitempty"`
}

type notMadeForm struct {
	Reason string     `json:"reason"`
	At     *time.Time `json:"at,omitempty"`
}

type reportForm struct {
	Type     report.Type                   `json:"type"`
	Result   report.Result                 `json:"result"`
	Time     time.Time                     `json:"time,omitzero"`
	Balances *balancesForm                 `json:"balances,omitzero"`
	Banking  map[string]acquirerTotalsForm `json:"banking,omitzero"`
	Lines    []lineForm                    `json:"lines,omitzero"`
}

type breakdownForm struct {
	Currency      money.Currency `json:"currency"`
	TotalAmount   money.Minor    `json:"totalAmount"`
	SalesAmount   money.Minor    `json:"salesAmount"`
	SalesCount    int            `json:"salesCount"`
	RefundsAmount money.Minor    `json:"refundsAmount"`
	RefundsCount  int            `json:"refundsCount"`
}

type balancesForm struct {
	Total          breakdownForm            `json:"total"`
	CashbackAmount money.Minor              `json:"cashbackAmount"`
	CashbackCount  int                      `json:"cashbackCount"`
	GratuityAmount money.Minor              `json:"gratuityAmount"`
	GratuityCount  int                      `json:"gratuityCount"`
	Since          time.Time                `json:"since,omitzero"`
	Issuers        map[string]breakdownForm `json:"issuers,omitzero"`
	Waiters        map[string]breakdownForm `json:"waiters,omitzero"`
}

type numbersForm struct {
	First string `json:"first,omitzero"`
	Last  string `json:"last,omitzero"`
}

type acquirerTotalsForm struct {
	Currency        money.Currency           `json:"currency"`
	Current         breakdownForm            `json:"current"`
	Previous        breakdownForm            `json:"previous"`
	CurrentIssuers  map[string]breakdownForm `json:"currentIssuers,omitzero"`
	PreviousIssuers map[string]breakdownForm `json:"previousIssuers,omitzero"`
	CurrentNumbers  numbersForm              `json:"currentNumbers,omitzero"`
	PreviousNumbers numbersForm              `json:"previousNumbers,omitzero"`
}

type openedForm struct {
	ID     table.VisitID  `json:"id"`
	Site   string         `json:"site"`
	TID    string         `json:"tid"`
	Waiter table.WaiterID `json:"waiter,omitzero"`
	At     *time.Time     `json:"at,omitempty"`
}

type lockIntendedForm struct {
	Table table.TableID `json:"table"`
	Kept  table.KeptID  `json:"kept,omitzero"` // since version 2
	At    *time.Time    `json:"at,omitempty"`
}

type lockConfirmedForm struct {
	Amount   money.Minor    `json:"amount"`
	Currency money.Currency `json:"currency"`
	At       *time.Time     `json:"at,omitempty"`
}

// A whyForm is an event of a visit that has nothing but its reason.
type whyForm struct {
	Why string     `json:"why"`
	At  *time.Time `json:"at,omitempty"`
}

type paymentStartedForm struct {
	Payment table.PaymentID `json:"payment"`
	Asked   money.Minor     `json:"asked"`
	Memory  string          `json:"memory,omitzero"`
	At      *time.Time      `json:"at,omitempty"`
}

type paymentTakenForm struct {
	Payment table.PaymentID `json:"payment"`
	Receipt receiptForm     `json:"receipt"`
	At      *time.Time      `json:"at,omitempty"`
}

type paymentNotTakenForm struct {
	Payment table.PaymentID `json:"payment"`
	At      *time.Time      `json:"at,omitempty"`
}

type paymentResolvedForm struct {
	Payment table.PaymentID `json:"payment"`
	Taken   bool            `json:"taken"`
	Receipt receiptForm     `json:"receipt,omitzero"`
	By      string          `json:"by"`
	Reason  string          `json:"reason,omitzero"`
	At      *time.Time      `json:"at,omitempty"`
}

// A receiptForm has the names of an outcomeForm where they mean the same.
type receiptForm struct {
	Paid     money.Minor `json:"paid"`
	Cashback money.Minor `json:"cashback,omitzero"`
	Gratuity money.Minor `json:"gratuity,omitzero"`

	AuthCode string    `json:"authCode,omitzero"`
	Scheme   string    `json:"scheme,omitzero"`
	Method   string    `json:"method,omitzero"`
	Time     time.Time `json:"time,omitzero"`

	TransactionID string     `json:"transactionId,omitzero"`
	Number        string     `json:"number,omitzero"`
	CVM           string     `json:"cvm,omitzero"`
	AID           string     `json:"aid,omitzero"`
	Label         string     `json:"label,omitzero"`
	PAN           string     `json:"pan,omitzero"`
	Expiry        string     `json:"expiry,omitzero"`
	Merchant      []lineForm `json:"merchant,omitzero"`
	Customer      []lineForm `json:"customer,omitzero"`
}

type queuedForm struct {
	Notice   table.Notice      `json:"notice"`
	Payments []table.PaymentID `json:"payments,omitzero"`
	At       *time.Time        `json:"at,omitempty"`
}

type deliveredForm struct {
	N  int        `json:"n"`
	At *time.Time `json:"at,omitempty"`
}

type visitRequeuedForm struct {
	N      int        `json:"n"`
	By     string     `json:"by"`
	Reason string     `json:"reason,omitzero"`
	At     *time.Time `json:"at,omitempty"`
}

type duplicateWantedForm struct {
	ID         txn.RequestID `json:"id"`
	Site       txn.SiteID    `json:"site"`
	TID        txn.TID       `json:"tid"`
	Caller     callerForm    `json:"caller,omitzero"`
	Deviations []string      `json:"deviations,omitzero"`
	At         *time.Time    `json:"at,omitempty"`
}

type duplicateFoundForm struct {
	Outcome *outcomeForm `json:"outcome,omitzero"`
	At      *time.Time   `json:"at,omitempty"`
}

type orphanForm struct {
	ID      txn.RequestID `json:"id"`
	Site    txn.SiteID    `json:"site"`
	TID     txn.TID       `json:"tid"`
	Outcome *outcomeForm  `json:"outcome,omitzero"`
	Report  *reportForm   `json:"report,omitzero"`
}

// utc brings a time into the form that is kept: UTC, no monotonic reading, a
// year of four digits. A terminal's clock may say anything.
func utc(t time.Time) time.Time {
	t = t.Round(0).UTC()
	if t.Year() > 9999 {
		return time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)
	}
	if t.Year() < 0 {
		return time.Date(0, time.January, 1, 0, 0, 0, 0, time.UTC)
	}
	return t
}

// own returns what a form keeps of an event's time: nothing when it is the record's.
func own(event, record time.Time) *time.Time {
	if utc(event).Equal(record) {
		return nil
	}
	kept := utc(event)
	return &kept
}

// when is own read back.
func when(own *time.Time, record time.Time) time.Time {
	if own == nil {
		return utc(record)
	}
	return utc(*own)
}

// masked masks until nothing is left to mask: the digits that one pass leaves
// may be part of another number.
func masked(s string) string {
	for {
		m := receipt.MaskPANs(s)
		if m == s {
			return s
		}
		s = m
	}
}

func maskedAll(texts []string) []string {
	out := slices.Clone(texts)
	for i, s := range out {
		out[i] = masked(s)
	}
	return out
}

func formLines(lines []receipt.Line) []lineForm {
	if lines == nil {
		return nil
	}
	out := make([]lineForm, len(lines))
	for i, l := range lines {
		out[i] = lineForm{Type: l.Type, Format: l.Format, Value: masked(l.Value)}
		if l.Type == receipt.Text {
			out[i].Type = ""
		}
	}
	return out
}

func lines(form []lineForm) []receipt.Line {
	if form == nil {
		return nil
	}
	out := make([]receipt.Line, len(form))
	for i, l := range form {
		out[i] = receipt.Line{Type: l.Type, Format: l.Format, Value: masked(l.Value)}
		if l.Type == "" {
			out[i].Type = receipt.Text
		}
	}
	return out
}

func formWish(w txn.SignatureWish) wishForm {
	return wishForm{w.Type, formLines(w.Merchant), w.AuthCode, w.AID, w.Label, w.Method, masked(w.PAN)}
}

func (f wishForm) wish() txn.SignatureWish {
	return txn.SignatureWish{
		Type: f.Type, Merchant: lines(f.Merchant), AuthCode: f.AuthCode, AID: f.AID, Label: f.Label,
		Method: f.Method, PAN: masked(f.PAN),
	}
}

func formOutcome(o txn.Outcome) outcomeForm {
	return outcomeForm{
		Type: o.Type, Result: o.Result,
		Currency: o.Currency, Base: o.Base, Cashback: o.Cashback, Gratuity: o.Gratuity,
		TransactionID: o.TransactionID, Number: o.Number, Time: utc(o.Time),
		Method: o.Method, CVM: o.CVM, Scheme: o.Scheme, AID: o.AID, Label: o.Label, AuthCode: o.AuthCode,
		PAN: masked(o.PAN), PANSequence: o.PANSequence, Start: o.Start, Expiry: o.Expiry,
		Merchant: formLines(o.Receipts.Merchant), Customer: formLines(o.Receipts.Customer),
	}
}

func (f outcomeForm) outcome() txn.Outcome {
	return txn.Outcome{
		Type: f.Type, Result: f.Result,
		Currency: f.Currency, Base: f.Base, Cashback: f.Cashback, Gratuity: f.Gratuity,
		TransactionID: f.TransactionID, Number: f.Number, Time: utc(f.Time),
		Method: f.Method, CVM: f.CVM, Scheme: f.Scheme, AID: f.AID, Label: f.Label, AuthCode: f.AuthCode,
		PAN: masked(f.PAN), PANSequence: f.PANSequence, Start: f.Start, Expiry: f.Expiry,
		Receipts: receipt.Copies{Merchant: lines(f.Merchant), Customer: lines(f.Customer)},
	}
}

func formReceipt(r table.Receipt) receiptForm {
	return receiptForm{
		Paid: r.Paid, Cashback: r.Cashback, Gratuity: r.Gratuity,
		AuthCode: r.AuthCode, Scheme: r.Scheme, Method: r.Method, Time: utc(r.Time),
		TransactionID: r.TransactionID, Number: r.Number, CVM: r.CVM, AID: r.AID, Label: r.Label,
		PAN: masked(r.PAN), Expiry: r.Expiry,
		Merchant: formLines(r.Receipts.Merchant), Customer: formLines(r.Receipts.Customer),
	}
}

func (f receiptForm) receipt() table.Receipt {
	return table.Receipt{
		Paid: f.Paid, Cashback: f.Cashback, Gratuity: f.Gratuity,
		AuthCode: f.AuthCode, Scheme: f.Scheme, Method: f.Method, Time: utc(f.Time),
		TransactionID: f.TransactionID, Number: f.Number, CVM: f.CVM, AID: f.AID, Label: f.Label,
		PAN: masked(f.PAN), Expiry: f.Expiry,
		Receipts: receipt.Copies{Merchant: lines(f.Merchant), Customer: lines(f.Customer)},
	}
}

func formReport(r report.Report) reportForm {
	f := reportForm{Type: r.Type, Result: r.Result, Time: utc(r.Time), Lines: formLines(r.Lines)}
	if b := r.Balances; b != nil {
		f.Balances = &balancesForm{
			Total:          breakdownForm(b.Breakdown),
			CashbackAmount: b.CashbackAmount, CashbackCount: b.CashbackCount,
			GratuityAmount: b.GratuityAmount, GratuityCount: b.GratuityCount,
			Since: utc(b.Since), Issuers: formBreakdowns(b.Issuers), Waiters: formBreakdowns(b.Waiters),
		}
	}
	if r.Banking != nil {
		f.Banking = make(map[string]acquirerTotalsForm, len(r.Banking))
	}
	for name, a := range r.Banking {
		f.Banking[name] = acquirerTotalsForm{
			Currency: a.Currency, Current: breakdownForm(a.Current), Previous: breakdownForm(a.Previous),
			CurrentIssuers: formBreakdowns(a.CurrentIssuers), PreviousIssuers: formBreakdowns(a.PreviousIssuers),
			CurrentNumbers: numbersForm(a.CurrentNumbers), PreviousNumbers: numbersForm(a.PreviousNumbers),
		}
	}
	return f
}

func (f reportForm) report() report.Report {
	r := report.Report{Type: f.Type, Result: f.Result, Time: utc(f.Time), Lines: lines(f.Lines)}
	if b := f.Balances; b != nil {
		r.Balances = &report.Balances{
			Breakdown:      report.Breakdown(b.Total),
			CashbackAmount: b.CashbackAmount, CashbackCount: b.CashbackCount,
			GratuityAmount: b.GratuityAmount, GratuityCount: b.GratuityCount,
			Since: utc(b.Since), Issuers: breakdowns(b.Issuers), Waiters: breakdowns(b.Waiters),
		}
	}
	if f.Banking != nil {
		r.Banking = make(map[string]report.AcquirerTotals, len(f.Banking))
	}
	for name, a := range f.Banking {
		r.Banking[name] = report.AcquirerTotals{
			Currency: a.Currency, Current: report.Breakdown(a.Current), Previous: report.Breakdown(a.Previous),
			CurrentIssuers: breakdowns(a.CurrentIssuers), PreviousIssuers: breakdowns(a.PreviousIssuers),
			CurrentNumbers: report.Numbers(a.CurrentNumbers), PreviousNumbers: report.Numbers(a.PreviousNumbers),
		}
	}
	return r
}

func formBreakdowns(m map[string]report.Breakdown) map[string]breakdownForm {
	if m == nil {
		return nil
	}
	out := make(map[string]breakdownForm, len(m))
	for name, b := range m {
		out[name] = breakdownForm(b)
	}
	return out
}

func breakdowns(m map[string]breakdownForm) map[string]report.Breakdown {
	if m == nil {
		return nil
	}
	out := make(map[string]report.Breakdown, len(m))
	for name, b := range m {
		out[name] = report.Breakdown(b)
	}
	return out
}
