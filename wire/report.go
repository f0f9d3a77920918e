package wire

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/money"
)

// A ReportRequest asks for a report; its type is the method (the contract,
// section 3.6).
type ReportRequest struct {
	TerminalID
	RequestKey string `json:"requestKey,omitzero"` // with the extension keys
}

func (r ReportRequest) in(v Version) any {
	r.TerminalID = r.TerminalID.in(v)
	return &r
}

// DecodeReport reads the params of a till.
func DecodeReport(v Version, params jsontext.Value) (ReportRequest, []Deviation, *Fault) {
	t, devs, fault := decodeTerminalID(v, params)
	return ReportRequest{TerminalID: t}, devs, fault
}

// DecodeKeyedReport is DecodeReport for a connection with the extension keys
// (the contract, section 10): it takes a requestKey as well.
func DecodeKeyedReport(v Version, params jsontext.Value) (ReportRequest, []Deviation, *Fault) {
	var r ReportRequest
	o := openObject("/params", params)
	o.need(v.terminalMember())
	r.TID = o.text(v.terminalMember())
	r.RequestKey = o.textWithin("requestKey", 1, MaxRequestKey)
	devs, fault := o.close()
	if fault != nil {
		return ReportRequest{}, nil, fault
	}
	return r, devs, nil
}

// A ReportResult is a report.
type ReportResult struct {
	TerminalID
	ReportType   string                    `json:"reportType"`
	ReportTime   string                    `json:"reportTime"` // local, see TimeLayout
	ReportResult string                    `json:"reportResult"`
	Balances     Balances                  `json:"balances"`
	Banking      map[string]AcquirerTotals `json:"banking"` // by acquirer; {} if none
	ReportLines  []Line                    `json:"reportLines"`
}

// Balances are the totals of a session, {} where the pointer is nil: a banking
// report has none.
type Balances struct{ *SessionTotals }

// SessionTotals are the running totals of a terminal, in minor units.
type SessionTotals struct {
	Breakdown
	TotalCashbackAmount money.Minor          `json:"totalCashbackAmount"`
	TotalCashbackCount  int                  `json:"totalCashbackCount"`
	TotalGratuityAmount money.Minor          `json:"totalGratuityAmount"`
	TotalGratuityCount  int                  `json:"totalGratuityCount"`
	TotalsSince         string               `json:"totalsSince"` // local, or TotalsSinceInstallation
	IssuerTotals        map[string]Breakdown `json:"issuerTotals"`
	WaiterTotals        map[string]Breakdown `json:"waiterTotals"`
}

// TotalsSinceInstallation stands for a time where totals were never reset.
const TotalsSinceInstallation = "INSTALLATION"

// A Breakdown is sales and refunds in minor units.
type Breakdown struct {
	Currency           money.Currency `json:"currency"`
	TotalAmount        money.Minor    `json:"totalAmount"`
	TotalSalesAmount   money.Minor    `json:"totalSalesAmount"`
	TotalSalesCount    int            `json:"totalSalesCount"`
	TotalRefundsAmount money.Minor    `json:"totalRefundsAmount"`
	TotalRefundsCount  int            `json:"totalRefundsCount"`
}

// AcquirerTotals are the sessions with one acquirer. The transaction numbers
// are the first and the last, none if there was no transaction.
type AcquirerTotals struct {
	Currency                          money.Currency       `json:"currency"`
	CurrentSessionTotals              Breakdown            `json:"currentSessionTotals"`
	PreviousSessionTotals             Breakdown            `json:"previousSessionTotals"`
	CurrentSessionIssuerTotals        map[string]Breakdown `json:"currentSessionIssuerTotals"`
	PreviousSessionIssuerTotals       map[string]Breakdown `json:"previousSessionIssuerTotals"`
	CurrentSessionTransactionNumbers  []string             `json:"currentSessionTransactionNumbers"`
	PreviousSessionTransactionNumbers []string             `json:"previousSessionTransactionNumbers"`
}

func (r ReportResult) in(v Version) any {
	r.TerminalID = r.TerminalID.in(v)
	return &r
}

// DecodeReportResult reads the gateway's answer.
func DecodeReportResult(result jsontext.Value) (ReportResult, error) {
	return decodeObject[ReportResult]("a report", result)
}
