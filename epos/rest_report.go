package epos

import (
	"context"
	"fmt"
	"net/http"

	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/wire"
	"github.com/tillwire/tillwire/wire/rest"
)

// ReportEndOfDay closes the terminal's session, as [Client.ReportEndOfDay] does.
func (c *REST) ReportEndOfDay(ctx context.Context, tid TID, opts ...CallOption) (Report, error) {
	return c.report(ctx, wire.MethodReportEndOfDay, rest.ReportEndOfDay, tid, opts)
}

// ReportBanking gives the totals of the sessions with the acquirers and changes
// nothing. Without an answer it returns an *OutcomeUnknownError.
func (c *REST) ReportBanking(ctx context.Context, tid TID, opts ...CallOption) (Report, error) {
	return c.report(ctx, wire.MethodReportBanking, rest.ReportBanking, tid, opts)
}

// ReportXBalance gives the running totals and changes nothing. Without an answer
// it returns an *OutcomeUnknownError.
func (c *REST) ReportXBalance(ctx context.Context, tid TID, opts ...CallOption) (Report, error) {
	return c.report(ctx, wire.MethodReportXBalance, rest.ReportXBalance, tid, opts)
}

// ReportZBalance gives the running totals and resets them. Without an answer it
// returns an *OutcomeUnknownError: they may be reset.
func (c *REST) ReportZBalance(ctx context.Context, tid TID, opts ...CallOption) (Report, error) {
	return c.report(ctx, wire.MethodReportZBalance, rest.ReportZBalance, tid, opts)
}

func (c *REST) report(ctx context.Context, method, typ string, tid TID, opts []CallOption) (Report, error) {
	r := c.begin(method, tid, opts)
	defer c.end(r)
	unknown := &OutcomeUnknownError{Method: method, TID: tid}
	if err := c.ask(ctx, r, "reports", rest.ReportRequest{ReportType: typ}.Append(nil)); err != nil {
		unknown.Key = r.key
		return Report{}, unknown.inDoubt(err)
	}
	unknown.Key, unknown.Location = r.begun.Key, r.begun.Location
	result, err := c.awaitReport(ctx, r.begun.Location)
	if err != nil {
		unknown.Err = err
		return Report{}, unknown
	}
	return reportOverREST(result), nil
}

// awaitReport looks at a report until it has finished. In v0 one that runs is a
// refusal.
func (c *REST) awaitReport(ctx context.Context, location string) (*rest.ReportResult, error) {
	at, err := c.found(location)
	if err != nil {
		return nil, err
	}
	ctx, cancel := c.during(ctx)
	defer cancel()
	p := c.newPatience()
	for {
		a, err := c.get(ctx, at)
		switch {
		case err != nil:
		case a.status == http.StatusOK:
			var report rest.Report
			if report, err = rest.ReadReport(a.body); err == nil {
				if report.Result != nil {
					return report.Result, nil
				}
				p.answered(false)
			}
		case a.status == http.StatusConflict && c.version == rest.V0:
			p.answered(false)
		default:
			err = fmt.Errorf("the gateway answered %d", a.status)
		}
		if err := p.over(err); err != nil {
			return nil, err
		}
		if !wait(ctx, c.limits.poll) {
			return nil, context.Cause(ctx)
		}
	}
}

func reportOverREST(r *rest.ReportResult) Report {
	out := Report{
		TID: TID(r.TID), Type: ReportType(r.ReportType), Result: ReportResult(r.ReportResult),
		Banking: acquirersOf(r.Banking), Lines: r.ReportLines,
	}
	if out.Result == "" { // v0 does not say
		out.Result = ReportComplete
		if len(r.ReportLines) == 1 && r.ReportLines[0].Type == receipt.Text && r.ReportLines[0].Value == spec.RESTTextReportTimedOut {
			out.Result = ReportTimedOut
		}
	}
	if !r.ReportTime.IsZero() {
		out.Time = localTime(r.ReportTime)
	}
	if r.Balances != nil {
		out.Balances = balancesOf(r.Balances)
	}
	return out
}
