package rest

import (
	"net/http"
	"slices"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/wire/rest"
)

// beginReport has a report begin (the contract of REST, sections 2 and 5).
func (q *request) beginReport() *refusal {
	asked, devs, fault := rest.DecodeReport(q.body)
	if fault != nil {
		return q.badBody(fault)
	}
	status := http.StatusCreated
	if q.version == rest.V0 {
		status = http.StatusOK
	}
	w := gateway.Wish{TID: txn.TID(q.args[0]), Report: report.Type(asked.ReportType), Key: q.key, Deviations: tolerated(devs)}
	return q.begun(w, "reports", status)
}

// report shows how a report stands.
func (q *request) report() *refusal {
	v, bad := q.look(gateway.OfReport)
	if bad != nil {
		return bad
	}
	if !v.Ended && q.version == rest.V0 {
		return q.refusal(spec.RESTReportRunning)
	}
	q.answer(http.StatusOK, q.reportForm(v))
	return nil
}

func (q *request) reportForm(v gateway.View) *rest.Report {
	out := &rest.Report{RequestID: string(v.ID), Location: q.location(v.TID, "reports", string(v.ID))}
	if !v.Ended {
		return out
	}
	if v.Report != nil {
		done := q.reportResult(v.TID, *v.Report)
		out.Result = &done
		return out
	}
	none := q.reportResult(v.TID, report.Report{Type: v.ReportType})
	none.ReportResult, none.ReportTime = rest.ReportTimedOut, v.At.In(q.till.Zone())
	none.ReportLines = new(receipt.Builder).Text(spec.RESTTextReportTimedOut).Lines()
	if v.ReportType != report.Banking {
		none.Balances = rest.ZeroTotals(v.Currency)
	}
	out.Result = &none
	return out
}

// reportResult is what a terminal said in a report.
func (q *request) reportResult(tid txn.TID, r report.Report) rest.ReportResult {
	out := rest.ReportResult{
		TID: string(tid), ReportType: string(r.Type), ReportResult: rest.ReportComplete, ReportTime: r.Time.In(q.till.Zone()),
		ReportLines: reportLines(r), Balances: gateway.WireBalances(r.Balances, q.till.Zone()),
	}
	if r.Type == report.Banking || r.Type == report.EndOfDay {
		out.Banking = gateway.WireBanking(r.Banking)
	}
	return out
}

// reportLines are the lines of a report. Those of an end of day have the words that
// tills wait for.
func reportLines(r report.Report) []receipt.Line {
	if r.Type != report.EndOfDay || slices.ContainsFunc(r.Lines, func(l receipt.Line) bool { return l.Type == receipt.Text && l.Value == spec.RESTTextReportComplete }) {
		return r.Lines
	}
	return slices.Concat(r.Lines, new(receipt.Builder).Text(spec.RESTTextReportComplete).Lines())
}
