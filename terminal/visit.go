package terminal

import (
	"context"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
)

// A Waiter is a terminal that serves tables: a waiter at it lists tables, locks
// one and takes payments for it (the contract, section 5). Terminals that only
// serve the counter do not implement it.
//
// The order that keeps money: the terminal makes the payment's id, says
// PaymentStarted, and charges a card only once it was answered with
// PaymentAllowed. It tells the payment's end until that is answered with
// PaymentKept. A restart changes neither.
type Waiter interface {
	// AnswerTable answers what the terminal asked in a visit. It returns nil
	// when the terminal has taken the answer; an answer to a question that is no
	// longer open is taken and dropped.
	AnswerTable(ctx context.Context, v table.VisitID, a TableAnswer) error
	// QueryPayment asks what became of a payment.
	QueryPayment(ctx context.Context, v table.VisitID, p table.PaymentID) (PaymentAnswer, error)
}

// A PaymentAnswer is what a terminal says of a payment. Final: Taken says
// whether money moved, and Receipt what was taken. NeverRan is a fence: the
// terminal did not charge and will not charge under that id.
type PaymentAnswer struct {
	Kind    AnswerKind
	Taken   bool
	Receipt table.Receipt
}

// The events of a terminal that serves tables.
type (
	// TablesWanted: the waiter opened the table screen; a visit begins.
	TablesWanted struct {
		Visit  table.VisitID
		Waiter table.WaiterID
	}
	// TableWanted: the waiter picked a table, from the list or by its name.
	TableWanted struct {
		Visit  table.VisitID
		Waiter table.WaiterID
		Table  table.TableID
	}
	// BillWanted: the waiter wants the bill printed.
	BillWanted struct{ Visit table.VisitID }
	// PaymentStarted: a card is about to be charged. Told again until answered.
	PaymentStarted struct {
		Visit   table.VisitID
		Payment table.PaymentID
		Asked   money.Minor // towards the bill, minor units
	}
	// PaymentEnded: what became of it. Told again until answered.
	PaymentEnded struct {
		Visit   table.VisitID
		Payment table.PaymentID
		Taken   bool
		Receipt table.Receipt // when taken
	}
	// VisitLeft: the waiter is done with the table. Told again until answered.
	VisitLeft struct {
		Visit table.VisitID
		Why   string // for the record: "paid", "left with a balance", "cancelled"
	}
	// ReportMade: a report that was started at the terminal itself. Told again
	// until acknowledged with Terminal.Acknowledge.
	ReportMade struct {
		ID     txn.RequestID // the terminal's own, unique for ever
		Report report.Report
	}
)

func (TablesWanted) event()   {}
func (TableWanted) event()    {}
func (BillWanted) event()     {}
func (PaymentStarted) event() {}
func (PaymentEnded) event()   {}
func (VisitLeft) event()      {}
func (ReportMade) event()     {}

// A TableAnswer answers a terminal's question in a visit. The set is closed.
type TableAnswer interface{ tableAnswer() }

// The answers.
type (
	// TableList answers TablesWanted. Message is for the terminal's screen when
	// there is no list: the till is offline, or does not know the waiter.
	TableList struct {
		Tables   []table.TableID
		Currency money.Currency
		Message  string
	}
	// TableLock answers TableWanted. Where it is not granted no payment is taken.
	TableLock struct {
		Granted  bool
		Amount   money.Minor // outstanding
		Currency money.Currency
		Message  string
	}
	// Bill answers BillWanted; no lines when there is none, and Message says why.
	Bill struct {
		Lines   []receipt.Line
		Message string
	}
	// PaymentAllowed answers PaymentStarted: it is on disk, the card may be charged.
	PaymentAllowed struct{ Payment table.PaymentID }
	// PaymentForbidden answers PaymentStarted: it may not be charged, and never
	// will be under that id.
	PaymentForbidden struct {
		Payment table.PaymentID
		Message string
	}
	// PaymentKept answers PaymentEnded: the end is on disk.
	PaymentKept struct{ Payment table.PaymentID }
	// VisitClosed answers VisitLeft, with the final receipt where the till gave one.
	VisitClosed struct{ FinalReceipt []receipt.Line }
)

func (TableList) tableAnswer()        {}
func (TableLock) tableAnswer()        {}
func (Bill) tableAnswer()             {}
func (PaymentAllowed) tableAnswer()   {}
func (PaymentForbidden) tableAnswer() {}
func (PaymentKept) tableAnswer()      {}
func (VisitClosed) tableAnswer()      {}
