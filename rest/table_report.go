package rest

import (
	"net/http"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/wire/rest"
)

// tableReports lists the reports that terminals started, newest first (the contract
// of REST, section 7.6).
func (q *request) tableReports() *refusal {
	query := q.r.URL.Query()
	tid := query.Get("tpi")
	if tid == "" {
		tid = query.Get("tid")
	}
	reports, err := q.till.TableReports(q.r.Context(), txn.TID(tid))
	if err != nil {
		return q.failTable(err, "")
	}
	list := make(rest.PATReports, len(reports))
	for i, r := range reports {
		list[i] = q.tableReportForm(r)
	}
	q.answer(http.StatusOK, list)
	return nil
}

// tableReport shows one of them.
func (q *request) tableReport() *refusal {
	r, err := q.till.TableReport(q.r.Context(), txn.RequestID(q.args[0]))
	if err != nil {
		return q.failTable(err, "")
	}
	form := q.tableReportForm(r)
	q.answer(http.StatusOK, &form)
	return nil
}

func (q *request) tableReportForm(r gateway.TableReport) rest.PATReport {
	return rest.PATReport{
		ReportID: string(r.ID), Location: q.address("/pat", "reports", string(r.ID)), Currency: currencyOf(r.Report),
		Result: q.reportResult(r.TID, r.Report),
	}
}

// currencyOf is the currency of a report, as far as it names one.
func currencyOf(r report.Report) money.Currency {
	if r.Balances != nil {
		return r.Balances.Currency
	}
	for _, acquirer := range r.Banking {
		return acquirer.Currency
	}
	return money.GBP
}
