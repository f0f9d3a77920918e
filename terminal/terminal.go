// Package terminal is the contract between the gateway and whatever drives a
// card machine: a simulated one, a remote one on a link, a real protocol. It
// holds the interface that both sides need and nothing that does anything.
//
// What a driver must keep: Start is idempotent on the request's id; an
// outcome is told until it is acknowledged; NeverRan is a fence and not an
// absence; what cannot be told is said to be so.
package terminal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/txn"
)

// A Terminal is one card machine as the gateway sees it. Its methods may be
// called from several goroutines and return when ctx ends.
type Terminal interface {
	// Start begins a transaction or a report. It returns nil when the terminal
	// has accepted it, and again when it is told the same request anew. It
	// returns ErrBusy or a *RefusedError when the terminal said no,
	// ErrNotDelivered when the request certainly did not arrive. With any other
	// error it may have arrived.
	Start(ctx context.Context, r Request) error
	// Cancel passes on a wish. The terminal answers with the notification
	// CANCELLING or UNABLE_TO_CANCEL, and with its outcome.
	Cancel(ctx context.Context, id txn.RequestID) error
	// AnswerSignature tells what was decided on the signature. It returns nil
	// when the terminal has taken the answer, also when told it anew.
	AnswerSignature(ctx context.Context, id txn.RequestID, accepted bool) error
	// Query asks what became of a request.
	Query(ctx context.Context, id txn.RequestID) (Answer, error)
	// Acknowledge says that the outcome is on our disk: the terminal may forget it.
	Acknowledge(ctx context.Context, id txn.RequestID) error
	// Last names the last transaction in the terminal's memory, with the
	// duplicate of its customer receipt. It returns ErrNoLast when there is none.
	Last(ctx context.Context) (Last, error)
	// Capabilities says what the terminal can do. It does not change while the
	// terminal stays connected, and does not block.
	Capabilities() Capabilities
}

// A Request is what a terminal is told to begin: a transaction, or a report
// when Report is set.
type Request struct {
	ID     txn.RequestID
	Txn    txn.Request
	Report report.Type
}

// IsReport reports whether r asks for a report.
func (r Request) IsReport() bool { return r.Report != "" }

// An AnswerKind is one of the four answers to a query.
type AnswerKind int

// The four answers.
const (
	CannotTell AnswerKind = iota // the terminal does not know; so it is not known
	InProgress                   // it has it and will end it
	Final                        // Outcome or Report is set
	NeverRan                     // it did not run it and will refuse it from now on
)

// AnswerKinds lists the four answers.
func AnswerKinds() []AnswerKind { return []AnswerKind{CannotTell, InProgress, Final, NeverRan} }

// String names the answer as the records do.
func (k AnswerKind) String() string {
	switch k {
	case CannotTell:
		return "cannotTell"
	case InProgress:
		return "inProgress"
	case Final:
		return "final"
	case NeverRan:
		return "neverRan"
	}
	return fmt.Sprintf("AnswerKind(%d)", int(k))
}

// An Answer is what a terminal says of a request.
type Answer struct {
	Kind    AnswerKind
	Outcome *txn.Outcome   // a final transaction's
	Report  *report.Report // a final report's
}

// A Last is the newest transaction in a terminal's memory. ID is empty when
// the terminal made it by itself. The customer receipt is headed DUPLICATE.
type Last struct {
	ID      txn.RequestID
	Outcome txn.Outcome
}

// Capabilities are what a terminal says of itself.
type Capabilities struct {
	Currency      money.Currency
	Model         string // "Desk/5000", for people
	Software      string // "9053"
	Types         []txn.Type
	Reports       []report.Type
	Duplicate     bool
	Cashback      bool
	NotPresent    bool // keyed entry for a cardholder who is not there
	CancelAllowed bool

	// Memory names the terminal's memory: made by chance when that began, and no
	// other memory's ever. Empty where the terminal does not name it. What one
	// memory does not know, another cannot say that it never ran.
	Memory string
}

// The errors of a Terminal. A driver may wrap them.
var (
	ErrBusy         = errors.New("terminal: busy")
	ErrNotDelivered = errors.New("terminal: the request certainly did not arrive")
	ErrNoLast       = errors.New("terminal: no transaction in memory")
)

// A RefusedError says that the terminal cannot do what was asked.
type RefusedError struct {
	Reason      string // for a developer
	UserMessage string // for staff
}

// Error gives the reason.
func (e *RefusedError) Error() string { return "terminal: refused: " + e.Reason }

// An Event is something that a terminal says of its own accord. The set is
// closed. Events of one terminal arrive in order.
type Event interface{ event() }

// The events.
type (
	// Notified: progress of the transaction with that id.
	Notified struct {
		ID    txn.RequestID
		Value txn.Notification
	}
	// SignatureWanted: the cashier is to verify a signature.
	SignatureWanted struct {
		ID   txn.RequestID
		Wish txn.SignatureWish
	}
	// Ended: the final outcome of a transaction. Told again until acknowledged.
	Ended struct {
		ID      txn.RequestID
		Outcome txn.Outcome
	}
	// Reported: a finished report. Told again until acknowledged.
	Reported struct {
		ID     txn.RequestID
		Report report.Report
	}
	// WentAway: the link is lost; nothing more comes until CameBack.
	WentAway struct{}
	// CameBack: the terminal is there again; Restarted says that it lost power
	// in between.
	CameBack struct{ Restarted bool }
	// StatusChanged: busy or idle by the terminal's own word.
	StatusChanged struct{ Busy bool }
)

func (Notified) event()        {}
func (SignatureWanted) event() {}
func (Ended) event()           {}
func (Reported) event()        {}
func (WentAway) event()        {}
func (CameBack) event()        {}
func (StatusChanged) event()   {}

// A Sink takes a terminal's events. It never blocks for long and may be called
// from any goroutine, one event at a time.
type Sink func(Event)

// SignatureLimit is how long a terminal itself waits for the answer on a
// signature. It is longer than the gateway's limit: it is for a lost gateway.
const SignatureLimit = 120 * time.Second
