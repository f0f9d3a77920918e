package rest

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/wire"
)

// The types of a report.
const (
	ReportEndOfDay = "END_OF_DAY"
	ReportBanking  = "BANKING"
	ReportXBalance = "X_BALANCE"
	ReportZBalance = "Z_BALANCE"
)

// ReportTypes lists the types of a report.
func ReportTypes() []string {
	return []string{ReportEndOfDay, ReportBanking, ReportXBalance, ReportZBalance}
}

// What the notifications and the result of a report say.
const (
	ReportStarted  = "REPORT_STARTED"
	ReportFinished = "REPORT_FINISHED"
	ReportComplete = "COMPLETE"
	ReportTimedOut = "TIMED_OUT"
)

// A ReportRequest asks for a report (the contract of REST, section 5).
type ReportRequest struct {
	ReportType string `json:"reportType"`
}

// Append writes the request.
func (r ReportRequest) Append(dst []byte) []byte {
	return append(wire.AppendText(append(dst, `{"reportType":`...), r.ReportType), '}')
}

// DecodeReport reads the body of a till.
func DecodeReport(body []byte) (ReportRequest, []Deviation, *Fault) {
	var r ReportRequest
	o := openBody(body)
	o.need("reportType")
	r.ReportType = o.oneOf("reportType", ReportTypes())
	devs, fault := o.close()
	if fault != nil {
		return ReportRequest{}, nil, fault
	}
	return r, devs, nil
}

// The totals of a report have one form on both faces.
type (
	// SessionTotals are the running totals of a terminal, in minor units.
	SessionTotals = wire.SessionTotals
	// AcquirerTotals are the sessions with one acquirer.
	AcquirerTotals = wire.AcquirerTotals
	// A Breakdown is sales and refunds in minor units.
	Breakdown = wire.Breakdown
)

// TotalsSinceInstallation stands for a time where totals were never reset.
const TotalsSinceInstallation = wire.TotalsSinceInstallation

// ZeroTotals are balances of which nothing is known.
func ZeroTotals(c money.Currency) *SessionTotals {
	return &SessionTotals{Breakdown: Breakdown{Currency: c}}
}

// A Report is what polling gives (the contract of REST, section 5).
type Report struct {
	RequestID string
	Location  string
	Result    *ReportResult // once it has finished
}

// A ReportResult is a finished report.
type ReportResult struct {
	TID        string
	ReportType string
	// ReportResult is COMPLETE or TIMED_OUT; v0 has none.
	ReportResult string
	ReportTime   time.Time // in the site's zone
	ReportLines  []receipt.Line
	Balances     *SessionTotals            // nil for a banking report
	Banking      map[string]AcquirerTotals // by acquirer; nil for an X and a Z balance
}

// Append writes the report. v0 has no notifications, and no body for one that
// runs.
func (r *Report) Append(dst []byte, v Version) []byte {
	b := wire.AppendText(append(dst, `{"requestId":`...), r.RequestID)
	b = wire.AppendText(append(b, `,"location":`...), r.Location)
	switch {
	case v == V0:
	case r.Result == nil:
		b = append(b, `,"notifications":["`+ReportStarted+`"]`...)
	default:
		b = append(b, `,"notifications":["`+ReportFinished+`","`+ReportStarted+`"]`...)
	}
	if r.Result != nil {
		b = r.Result.append(b, v, v.layout())
	}
	return append(b, '}')
}

// append writes the members, each behind a comma.
func (r *ReportResult) append(b []byte, v Version, layout string) []byte {
	b = wire.AppendText(append(b, `,"`+v.terminalMember()+`":`...), r.TID)
	b = wire.AppendText(append(b, `,"reportType":`...), r.ReportType)
	if v != V0 {
		b = wire.AppendText(append(b, `,"reportResult":`...), r.ReportResult)
	}
	b = appendTime(append(b, `,"reportTime":`...), r.ReportTime, layout)
	b = appendLines(append(b, `,"reportLines":`...), r.ReportLines)
	if r.Balances != nil {
		b = append(append(b, `,"balances":`...), marshal(r.Balances)...)
	}
	if r.Banking != nil {
		b = append(append(b, `,"banking":`...), marshal(r.Banking)...)
	}
	return b
}

// A PATReport is a report that a terminal started (the contract of REST, section
// 7.6), which v0 and v1 have. It always has balances and banking.
type PATReport struct {
	ReportID string
	Location string
	Currency money.Currency // of the balances, where the report has none
	Result   ReportResult
}

// Append writes the report.
func (r *PATReport) Append(dst []byte, v Version) []byte {
	b := wire.AppendText(append(dst, `{"requestId":`...), r.ReportID)
	b = wire.AppendText(append(b, `,"reportId":`...), r.ReportID)
	b = wire.AppendText(append(b, `,"location":`...), r.Location)
	whole := r.Result
	if whole.Balances == nil {
		whole.Balances = ZeroTotals(r.Currency)
	}
	if whole.Banking == nil {
		whole.Banking = map[string]AcquirerTotals{}
	}
	return append(whole.append(b, v, offsetLayout), '}')
}

// PATReports is the list of the reports that terminals started.
type PATReports []PATReport

// Append writes the list.
func (rs PATReports) Append(dst []byte, v Version) []byte {
	b := wire.AppendList(append(dst, `{"reports":`...), rs, func(b []byte, r PATReport) []byte { return r.Append(b, v) })
	return append(b, '}')
}

// marshal writes totals, the names in them sorted.
func marshal(totals any) []byte {
	data, err := json.Marshal(totals, json.Deterministic(true),
		jsontext.AllowInvalidUTF8(true),
		jsontext.AllowDuplicateNames(true), // two names of totals may become one by U+FFFD
	)
	if err != nil {
		panic(fmt.Sprintf("rest: %T cannot be encoded: %v", totals, err))
	}
	return data
}
