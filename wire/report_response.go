package wire

import "github.com/go-json-experiment/json/jsontext"

// DecodeReportResponse reads the copy of a report that was started at a terminal
// (the contract, section 5.7). It is built like the result of a report.
func DecodeReportResponse(params jsontext.Value) (ReportResult, error) {
	return DecodeReportResult(params)
}
