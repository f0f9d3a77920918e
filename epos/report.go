package epos

import (
	"context"
	"errors"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/wire"
)

// A ReportType is a kind of report.
type ReportType string

// The reports.
const (
	EndOfDay ReportType = "END_OF_DAY"
	Banking  ReportType = "BANKING"
	XBalance ReportType = "X_BALANCE"
	ZBalance ReportType = "Z_BALANCE"
)

// A ReportResult is how a report ended.
type ReportResult string

// How a report ended.
const (
	ReportComplete ReportResult = "COMPLETE"
	ReportTimedOut ReportResult = "TIMED_OUT" // the terminal may finish it later; its totals here say nothing
)

// A Report is what a terminal answered (the contract, section 3.6).
type Report struct {
	TID    TID
	Type   ReportType
	Result ReportResult
	Time   LocalTime

	Balances *Balances                 // X, Z and end of day; else nil
	Banking  map[string]AcquirerTotals // banking and end of day, by acquirer; else empty
	Lines    []receipt.Line
}

// A Breakdown is sales and refunds, in minor units of Currency.
type Breakdown struct {
	Currency      money.Currency
	TotalAmount   money.Minor // sales less refunds
	SalesAmount   money.Minor
	SalesCount    int
	RefundsAmount money.Minor
	RefundsCount  int
}

// Balances are the running totals of a terminal, in minor units.
type Balances struct {
	Breakdown
	CashbackAmount money.Minor
	CashbackCount  int
	GratuityAmount money.Minor
	GratuityCount  int
	Since          LocalTime // or SinceInstallation
	Issuers        map[string]Breakdown
	Waiters        map[string]Breakdown
}

// SinceInstallation stands for a time where totals were never reset.
const SinceInstallation LocalTime = wire.TotalsSinceInstallation

// AcquirerTotals are the sessions with one acquirer. The transaction numbers
// are the first and the last, none if there was no transaction.
type AcquirerTotals struct {
	Currency        money.Currency
	Current         Breakdown
	Previous        Breakdown
	CurrentIssuers  map[string]Breakdown
	PreviousIssuers map[string]Breakdown
	CurrentNumbers  []string
	PreviousNumbers []string
}

// ReportEndOfDay closes the terminal's session: it settles what is pending and
// resets the totals. A till runs it every day and keeps the report. Without an
// answer it returns an *OutcomeUnknownError: the session may be closed. WithKey
// of its Key asks for the same report again, here as with the other reports.
func (c *Client) ReportEndOfDay(ctx context.Context, tid TID, opts ...CallOption) (Report, error) {
	return c.report(ctx, wire.MethodReportEndOfDay, tid, opts)
}

// ReportBanking gives the totals of the sessions with the acquirers and changes
// nothing. Without an answer it returns an *OutcomeUnknownError.
func (c *Client) ReportBanking(ctx context.Context, tid TID, opts ...CallOption) (Report, error) {
	return c.report(ctx, wire.MethodReportBanking, tid, opts)
}

// ReportXBalance gives the running totals and changes nothing. Without an
// answer it returns an *OutcomeUnknownError.
func (c *Client) ReportXBalance(ctx context.Context, tid TID, opts ...CallOption) (Report, error) {
	return c.report(ctx, wire.MethodReportXBalance, tid, opts)
}

// ReportZBalance gives the running totals and resets them. Without an answer it
// returns an *OutcomeUnknownError: they may be reset.
func (c *Client) ReportZBalance(ctx context.Context, tid TID, opts ...CallOption) (Report, error) {
	return c.report(ctx, wire.MethodReportZBalance, tid, opts)
}

func (c *Client) report(ctx context.Context, method string, tid TID, opts []CallOption) (Report, error) {
	t := &transaction{}
	for _, opt := range opts {
		opt(t)
	}
	key, err := c.keyFor(t)
	if err != nil {
		return Report{}, about(method, err)
	}
	unknown := &OutcomeUnknownError{Method: method, TID: tid, Key: key}
	result, err := c.call(ctx, method, wire.ReportRequest{TerminalID: terminalID(tid), RequestKey: key})
	if err != nil {
		return Report{}, unknown.unless(err)
	}
	r, err := wire.DecodeReportResult(result)
	if err == nil && r.ReportResult == "" {
		err = errors.New("the report has no result")
	}
	if err != nil {
		unknown.Err = err
		return Report{}, unknown
	}
	return reportOf(r), nil
}

func reportOf(r wire.ReportResult) Report {
	out := Report{
		TID: TID(r.TID), Type: ReportType(r.ReportType), Result: ReportResult(r.ReportResult), Time: LocalTime(r.ReportTime),
		Banking: acquirersOf(r.Banking), Lines: wire.ReceiptLines(r.ReportLines),
	}
	if b := r.Balances.SessionTotals; b != nil {
		out.Balances = balancesOf(b)
	}
	return out
}

func balancesOf(b *wire.SessionTotals) *Balances {
	return &Balances{
		Breakdown:      breakdownOf(b.Breakdown),
		CashbackAmount: b.TotalCashbackAmount, CashbackCount: b.TotalCashbackCount,
		GratuityAmount: b.TotalGratuityAmount, GratuityCount: b.TotalGratuityCount,
		Since:   LocalTime(b.TotalsSince),
		Issuers: breakdownsOf(b.IssuerTotals), Waiters: breakdownsOf(b.WaiterTotals),
	}
}

func acquirersOf(m map[string]wire.AcquirerTotals) map[string]AcquirerTotals {
	out := make(map[string]AcquirerTotals, len(m))
	for name, a := range m {
		out[name] = AcquirerTotals{
			Currency: a.Currency,
			Current:  breakdownOf(a.CurrentSessionTotals), Previous: breakdownOf(a.PreviousSessionTotals),
			CurrentIssuers: breakdownsOf(a.CurrentSessionIssuerTotals), PreviousIssuers: breakdownsOf(a.PreviousSessionIssuerTotals),
			CurrentNumbers: a.CurrentSessionTransactionNumbers, PreviousNumbers: a.PreviousSessionTransactionNumbers,
		}
	}
	return out
}

func breakdownOf(b wire.Breakdown) Breakdown {
	return Breakdown{
		Currency: b.Currency, TotalAmount: b.TotalAmount,
		SalesAmount: b.TotalSalesAmount, SalesCount: b.TotalSalesCount,
		RefundsAmount: b.TotalRefundsAmount, RefundsCount: b.TotalRefundsCount,
	}
}

func breakdownsOf(m map[string]wire.Breakdown) map[string]Breakdown {
	out := make(map[string]Breakdown, len(m))
	for name, b := range m {
		out[name] = breakdownOf(b)
	}
	return out
}
