// Package report adds up what a terminal took: running totals, banking totals
// by acquirer, and the reports of the contract, section 3.6. It is pure. It
// never prints; who makes a report adds its lines.
package report

import (
	"time"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
)

// A Type is a kind of report.
type Type string

// The reports.
const (
	EndOfDay Type = "END_OF_DAY"
	Banking  Type = "BANKING"
	XBalance Type = "X_BALANCE"
	ZBalance Type = "Z_BALANCE"
)

// Types lists the reports.
func Types() []Type { return []Type{EndOfDay, Banking, XBalance, ZBalance} }

// A Result is how a report ended.
type Result string

// The results.
const (
	Complete Result = "COMPLETE"
	TimedOut Result = "TIMED_OUT"
)

// CompleteLine is the text of a line that a complete end of day contains; some
// tills look for it.
const CompleteLine = "REPORT COMPLETE"

// A Report is what a terminal answers. Balances is nil for a banking report,
// Banking nil for the X and Z balances.
type Report struct {
	Type     Type
	Result   Result
	Time     time.Time
	Balances *Balances
	Banking  map[string]AcquirerTotals
	Lines    []receipt.Line
}

// A Breakdown is sales and refunds in minor units. TotalAmount is sales less
// refunds; sales count what cardholders paid in all, cashback and gratuity
// included.
type Breakdown struct {
	Currency      money.Currency
	TotalAmount   money.Minor
	SalesAmount   money.Minor
	SalesCount    int
	RefundsAmount money.Minor
	RefundsCount  int
}

// Balances are the running totals since Since; a zero Since is the terminal's
// installation.
type Balances struct {
	Breakdown
	CashbackAmount money.Minor
	CashbackCount  int
	GratuityAmount money.Minor
	GratuityCount  int
	Since          time.Time
	Issuers        map[string]Breakdown
	Waiters        map[string]Breakdown
}

// Numbers are the first and the last transaction number of a session, empty
// when there was none.
type Numbers struct{ First, Last string }

// AcquirerTotals are the session totals with one acquirer.
type AcquirerTotals struct {
	Currency        money.Currency
	Current         Breakdown
	Previous        Breakdown
	CurrentIssuers  map[string]Breakdown
	PreviousIssuers map[string]Breakdown
	CurrentNumbers  Numbers
	PreviousNumbers Numbers
}
