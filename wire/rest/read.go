package rest

import (
	"errors"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/wire"
)

// This file reads what a gateway answers, on a till's side. The versions need
// not be told: their names differ, and whichever is there is taken.

// ReadTerminals reads a list of terminals.
func ReadTerminals(body []byte) (Terminals, error) {
	var in struct {
		Terminals []terminalForm `json:"terminals"`
	}
	err := read("a list of terminals", body, &in)
	out := make(Terminals, len(in.Terminals))
	for i, t := range in.Terminals {
		out[i] = t.terminal()
	}
	return out, err
}

// ReadTerminal reads a terminal.
func ReadTerminal(body []byte) (Terminal, error) {
	var in terminalForm
	err := read("a terminal", body, &in)
	return in.terminal(), err
}

type terminalForm struct {
	nameForm
	Status       string         `json:"status"`
	Currency     money.Currency `json:"currency"`
	Capabilities []string       `json:"capabilities"`
	Location     string         `json:"location"`
}

func (f terminalForm) terminal() Terminal {
	return Terminal{TID: f.tid(), Status: f.Status, Currency: f.Currency, Capabilities: f.Capabilities, Location: f.Location}
}

// nameForm is the name of a terminal under either of its names.
type nameForm struct {
	InV2 string `json:"tid"`
	InV1 string `json:"tpi"`
}

func (f nameForm) tid() string {
	if f.InV2 != "" {
		return f.InV2
	}
	return f.InV1
}

// ReadBegun reads the answer to a transaction or a report.
func ReadBegun(body []byte) (Begun, error) {
	var out Begun
	err := read("the answer to a request", body, &out)
	return out, err
}

// ReadTransaction reads a transaction. It has a Result if the gateway said one.
func ReadTransaction(body []byte) (Transaction, error) {
	var in struct {
		RequestID     string   `json:"requestId"`
		Location      string   `json:"location"`
		Notifications []string `json:"notifications"`
		resultForm
		LateResult *resultForm `json:"lateResult"`
	}
	err := read("a transaction", body, &in)
	t := Transaction{RequestID: in.RequestID, Location: in.Location, Notifications: in.Notifications}
	switch {
	case in.TransactionResult != "":
		t.Result = in.result()
	case in.CardholderVerificationMethod == cvmSignature:
		asked := in.signature()
		t.Signature = &asked
	}
	if in.LateResult != nil {
		t.LateResult = in.LateResult.result()
	}
	return t, err
}

// resultForm is a Result as it stands on the wire.
type resultForm struct {
	Result
	Copies wire.ReceiptCopies `json:"receiptLines"`
	Time   string             `json:"transactionTime"`
}

func (f resultForm) result() *Result {
	r := f.Result
	r.TransactionTime = parseTime(f.Time)
	r.ReceiptLines = receipt.Copies{Merchant: wire.ReceiptLines(f.Copies.Merchant), Customer: wire.ReceiptLines(f.Copies.Customer)}
	return &r
}

func (f resultForm) signature() Signature {
	return Signature{
		AuthCode: f.AuthCode, ApplicationID: f.ApplicationID, ApplicationLabel: f.ApplicationLabel,
		PaymentMethod: f.PaymentMethod, PrimaryAccountNumber: f.PrimaryAccountNumber, TransactionType: f.TransactionType,
	}
}

// ReadNotificationEvent reads the data of an EventNotification.
func ReadNotificationEvent(data []byte) (NotificationEvent, error) {
	var in struct {
		RequestID    string `json:"requestId"`
		Notification string `json:"notification"`
		Time         string `json:"time"`
	}
	err := read("a notification", data, &in)
	return NotificationEvent{in.RequestID, in.Notification, parseTime(in.Time)}, err
}

// ReadSignatureEvent reads the data of an EventSignature.
func ReadSignatureEvent(data []byte) (SignatureEvent, error) {
	var in struct {
		resultForm
		Deadline string `json:"deadline"`
	}
	err := read("a question about a signature", data, &in)
	return SignatureEvent{in.signature(), parseTime(in.Deadline)}, err
}

// ReadReport reads a report. It has a Result if it has finished.
func ReadReport(body []byte) (Report, error) {
	var in struct {
		RequestID string `json:"requestId"`
		Location  string `json:"location"`
		reportForm
	}
	err := read("a report", body, &in)
	r := Report{RequestID: in.RequestID, Location: in.Location}
	if in.ReportType != "" {
		result := in.result()
		r.Result = &result
	}
	return r, err
}

// ReadPATReports reads the list of the reports that terminals started.
func ReadPATReports(body []byte) (PATReports, error) {
	var in struct {
		Reports []patReportForm `json:"reports"`
	}
	err := read("a list of reports", body, &in)
	out := make(PATReports, len(in.Reports))
	for i, r := range in.Reports {
		out[i] = r.report()
	}
	return out, err
}

// ReadPATReport reads a report that a terminal started.
func ReadPATReport(body []byte) (PATReport, error) {
	var in patReportForm
	err := read("a report", body, &in)
	return in.report(), err
}

type patReportForm struct {
	ReportID  string `json:"reportId"`
	RequestID string `json:"requestId"` // the same
	Location  string `json:"location"`
	reportForm
}

func (f patReportForm) report() PATReport {
	r := PATReport{ReportID: f.ReportID, Location: f.Location, Result: f.result()}
	if r.ReportID == "" {
		r.ReportID = f.RequestID
	}
	if r.Result.Balances != nil {
		r.Currency = r.Result.Balances.Currency
	}
	return r
}

// reportForm is a ReportResult as it stands on the wire.
type reportForm struct {
	nameForm
	ReportType   string                    `json:"reportType"`
	ReportResult string                    `json:"reportResult"`
	ReportTime   string                    `json:"reportTime"`
	ReportLines  []wire.Line               `json:"reportLines"`
	Balances     *SessionTotals            `json:"balances"`
	Banking      map[string]AcquirerTotals `json:"banking"`
}

func (f reportForm) result() ReportResult {
	return ReportResult{
		TID: f.tid(), ReportType: f.ReportType, ReportResult: f.ReportResult, ReportTime: parseTime(f.ReportTime),
		ReportLines: wire.ReceiptLines(f.ReportLines), Balances: f.Balances, Banking: f.Banking,
	}
}

// ReadTables reads a list of tables.
func ReadTables(body []byte) (Tables, error) {
	var in struct {
		Tables []tableForm `json:"tables"`
	}
	err := read("a list of tables", body, &in)
	out := make(Tables, len(in.Tables))
	for i, t := range in.Tables {
		out[i] = t.table()
	}
	return out, err
}

// ReadTable reads a table.
func ReadTable(body []byte) (Table, error) {
	var in tableForm
	err := read("a table", body, &in)
	return in.table(), err
}

type tableForm struct {
	TableName      string        `json:"tableName"`
	Amount         money.Minor   `json:"amount"`
	AmountCashback money.Minor   `json:"amountCashback"`
	AmountGratuity money.Minor   `json:"amountGratuity"`
	AmountPaid     money.Minor   `json:"amountPaid"`
	Payments       []paymentForm `json:"payments"`
	Receipt        *[]wire.Line  `json:"receipt"`
	Locked         bool          `json:"locked"`
	LockedBy       string        `json:"lockedBy"`
	WaiterIDs      []string      `json:"waiterIds"`
}

type paymentForm struct {
	PaymentID      string         `json:"paymentId"`
	AmountPaid     money.Minor    `json:"amountPaid"`
	AmountCashback money.Minor    `json:"amountCashback"`
	AmountGratuity money.Minor    `json:"amountGratuity"`
	AuthCode       string         `json:"authCode"`
	Currency       money.Currency `json:"currency"`
	CardSchemeName string         `json:"cardSchemeName"`
	PaymentMethod  string         `json:"paymentMethod"`
	Time           time.Time      `json:"time"`
}

func (f tableForm) table() Table {
	t := Table{
		TableName: f.TableName, Amount: f.Amount, AmountCashback: f.AmountCashback, AmountGratuity: f.AmountGratuity,
		AmountPaid: f.AmountPaid, Payments: make([]TablePayment, len(f.Payments)),
		Locked: f.Locked, LockedBy: f.LockedBy, WaiterIDs: f.WaiterIDs,
	}
	for i, p := range f.Payments {
		t.Payments[i] = TablePayment(p)
	}
	if f.Receipt != nil {
		t.Receipt, t.WithReceipt = wire.ReceiptLines(*f.Receipt), true
	}
	return t
}

// ReadTableCreated reads the answer to a table that was stored.
func ReadTableCreated(body []byte) (TableCreated, error) {
	var out TableCreated
	err := read("the answer to a table", body, &out)
	return out, err
}

// ReadError reads the body of a refusal, in either shape.
func ReadError(body []byte) (Error, error) {
	var in struct {
		UserMessage string `json:"userMessage"`
		Messages    struct {
			Error []string `json:"error"`
		} `json:"messages"`
		Location jsontext.Value `json:"location"`
	}
	if err := read("an error", body, &in); err != nil {
		return Error{}, err
	}
	e := Error{Text: in.UserMessage}
	if e.Text == "" && len(in.Messages.Error) > 0 {
		e.Text = in.Messages.Error[0]
	}
	var list []string
	switch {
	case read("a location", in.Location, &e.Location) == nil:
	case read("a location", in.Location, &list) == nil && len(list) > 0:
		e.Location = list[0]
	}
	if e.Text == "" {
		return Error{}, errors.New("rest: an error cannot be read: it says nothing")
	}
	return e, nil
}
