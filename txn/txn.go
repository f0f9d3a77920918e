// Package txn is one card transaction: its request, its states, the events
// that move it and what the world is owed in each state. It is pure: Apply
// takes and returns values, does no I/O and reads no clock. It never decides
// what a terminal's word means for a till's wire; the gateway does.
//
// What is true and what was told are kept apart: Outcome is the terminal's
// word (or an operator's, in Resolution), Told is what the till was given. A
// deadline changes Told only.
package txn

import (
	"time"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
)

// Ids are distinct types so that they cannot swap.
type (
	// A SiteID names a site: a shop or restaurant with its own keys and terminals.
	SiteID string
	// A TID names a terminal.
	TID string
	// A RequestID names one request to a terminal. The gateway makes it,
	// unguessable and unique for ever, before anything is sent.
	RequestID string
	// A TransactionID is the terminal's own name for a transaction.
	TransactionID string
)

// A Type is a kind of transaction, as results spell it.
type Type string

// The types. The first five can be asked for; the others only come back.
const (
	Sale                Type = "SALE"
	Refund              Type = "REFUND"
	PreAuth             Type = "PRE_AUTH"
	Completion          Type = "COMPLETION"
	AccountVerification Type = "ACCOUNT_VERIFICATION"
	SaleReversal        Type = "SALE_REVERSAL"
	RefundReversal      Type = "REFUND_REVERSAL"
	Logon               Type = "LOGON"
)

// RequestTypes lists the types that a till can ask for.
func RequestTypes() []Type {
	return []Type{Sale, Refund, PreAuth, Completion, AccountVerification}
}

// A Result is how a transaction ended (the contract, section 7).
type Result string

// The results. Only Successful means that money moved; TimedOut means that it
// is not known.
const (
	Successful   Result = "SUCCESSFUL"
	Declined     Result = "DECLINED"
	Void         Result = "VOID"
	Unsuccessful Result = "UNSUCCESSFUL"
	Cancelled    Result = "CANCELLED"
	TimedOut     Result = "TIMED_OUT"
)

// Results lists the results.
func Results() []Result {
	return []Result{Successful, Declined, Void, Unsuccessful, Cancelled, TimedOut}
}

// A CVM is how the cardholder was verified.
type CVM string

// The verification methods.
const (
	CVMUnknown   CVM = "UNKNOWN"
	CVMNone      CVM = "NONE"
	CVMPIN       CVM = "PIN"
	CVMSignature CVM = "SIGNATURE"
	CVMDevice    CVM = "DEVICE"
)

// A PaymentMethod is how the card was read.
type PaymentMethod string

// The payment methods.
const (
	MethodUnknown     PaymentMethod = "UNKNOWN"
	MethodKeyed       PaymentMethod = "KEYED"
	MethodSwiped      PaymentMethod = "SWIPED"
	MethodChip        PaymentMethod = "ICC_CHIP"
	MethodContactless PaymentMethod = "CONTACTLESS"
)

// A Notification is progress shown to people (the contract, section 4.2).
type Notification string

// The notifications that the gateway itself sends or looks at; terminals may
// send any of the contract's.
const (
	TransactionStarted        Notification = "TRANSACTION_STARTED"
	TransactionFinished       Notification = "TRANSACTION_FINISHED"
	AttemptingCancel          Notification = "ATTEMPTING_CANCEL"
	Cancelling                Notification = "CANCELLING"
	UnableToCancel            Notification = "UNABLE_TO_CANCEL"
	SignatureVerification     Notification = "SIGNATURE_VERIFICATION"
	SignatureInProgress       Notification = "SIGNATURE_VERIFICATION_IN_PROGRESS"
	SignatureCompleted        Notification = "SIGNATURE_VERIFICATION_PROCESS_COMPLETED"
	SignatureCouldNotComplete Notification = "SIGNATURE_VERIFICATION_PROCESS_COULD_NOT_BE_COMPLETED"
	SignatureTimeout          Notification = "SIGNATURE_VERIFICATION_TIMEOUT"
)

// A Request is what a till asked a terminal to do (the contract, section 3.3).
type Request struct {
	Type     Type
	Currency money.Currency
	Amount   money.Minor // minor units; 0 for an account verification
	Cashback money.Minor // an attempt; the outcome tells what was added

	CardholderNotPresent bool
	AuthCode             string      // completion: of the card's first pre-auth
	PreAuthorisedTotal   money.Minor // completion: sum of the card's pre-auths, 0 when not given
}

// Total is what the terminal will ask the cardholder for, without gratuity.
func (r Request) Total() money.Minor { return r.Amount + r.Cashback }

// An Outcome is the terminal's final word on a transaction.
type Outcome struct {
	Type   Type // what was done; a reversal after a refused signature
	Result Result

	Currency money.Currency
	Base     money.Minor
	Cashback money.Minor
	Gratuity money.Minor

	TransactionID TransactionID
	Number        string    // in the terminal's session, "0012"
	Time          time.Time // by the terminal's clock; decides nothing

	Method      PaymentMethod
	CVM         CVM
	Scheme      string // "VISA"
	AID         string // "A0000000031010"
	Label       string // "VISA DEBIT"
	AuthCode    string
	PAN         string // masked but for the last four
	PANSequence string // "01"
	Start       string // "MM/YY" or empty
	Expiry      string // "MM/YY" or empty
	Receipts    receipt.Copies
}

// Total is base, cashback and gratuity together.
func (o Outcome) Total() money.Minor { return o.Base + o.Cashback + o.Gratuity }

// A SignatureWish is what a terminal shows when it wants a signature verified
// (the contract, section 4.1).
type SignatureWish struct {
	Type     Type
	Merchant []receipt.Line // the receipt to be signed
	AuthCode string
	AID      string
	Label    string
	Method   PaymentMethod
	PAN      string // masked
}

// A Caller is who asked: kept for the record, never checked.
type Caller struct {
	Face          string // "pac", later "pat" and "rest"
	Version       string // "v1", "v0"
	SoftwareHouse string
	Installer     string
}

// A State says where a transaction stands, and so who moves next.
type State string

// The states.
const (
	Requested  State = "requested"  // on disk, not dispatched; the gateway moves next
	AtTerminal State = "atTerminal" // may have reached the terminal; the cardholder moves next
	Signing    State = "signing"    // the terminal wants a signature verified; the cashier moves next
	Unresolved State = "unresolved" // outcome unknown; ask the terminal, never guess
	Finished   State = "finished"   // Outcome, NotRun or Resolution is set; nobody moves
)

// States lists the states.
func States() []State { return []State{Requested, AtTerminal, Signing, Unresolved, Finished} }

// Told says what the till was given as its one answer.
type Told string

// What can have been told.
const (
	ToldNothing  Told = ""
	ToldResult   Told = "result"   // the outcome, or a Payment that says it did not run
	ToldTimedOut Told = "timedOut" // not known, and said so
	ToldError    Told = "error"    // the terminal certainly did not take it
)

// A Reason says why a request is known not to have run on the terminal.
type Reason string

// The reasons.
const (
	NeverSent    Reason = "neverSent"    // the gateway stopped before anything was dispatched
	Withdrawn    Reason = "withdrawn"    // cancelled before the terminal heard of it
	NotDelivered Reason = "notDelivered" // the link certainly did not carry it
	Refused      Reason = "refused"      // the terminal said that it cannot do this
	WasBusy      Reason = "busy"         // the terminal said that it is doing something else
	Fenced       Reason = "fenced"       // the terminal never ran it and will refuse it from now on
)

// A SignatureBy says who decided on a signature.
type SignatureBy string

// Who can have decided.
const (
	ByTill    SignatureBy = "till"    // the till answered
	ByTimeout SignatureBy = "timeout" // nobody answered in time; the site's rule decided
)

// A Resolution is an operator's word on an outcome that no terminal told.
type Resolution struct {
	Result Result // Successful or Unsuccessful
	By     string // who said so
	Reason string // why, in the operator's words
}

// A Transaction is the state of one transaction; its zero value is one that
// has not begun.
type Transaction struct {
	ID      RequestID
	Site    SiteID
	TID     TID
	Request Request
	Caller  Caller

	State   State
	Told    Told
	Started bool // the terminal said that it took the request

	CancelWished bool

	Wish              *SignatureWish // the last one; the time runs from the first
	SignatureAccepted bool           // meaningful once SignatureBy is set
	SignatureBy       SignatureBy

	Outcome    *Outcome
	NotRun     Reason
	Resolution *Resolution
	Conflict   *Outcome // a terminal's word that contradicts what was recorded before

	Memory string // of the terminal, by the name that it had when this was dispatched; may be empty

	AcceptedAt   time.Time
	DispatchedAt time.Time
	WantedAt     time.Time // when the terminal first wanted the signature
	KnownAt      time.Time // when the truth became known
	Corrected    bool      // nothing is owed any more to tills that were told TIMED_OUT
	Interrupted  bool      // the gateway was restarted, or the link lost, in between
}

// Known reports whether it is known how the transaction ended.
func (t Transaction) Known() bool { return t.State == Finished }

// Late reports whether the truth came after TIMED_OUT was told.
func (t Transaction) Late() bool { return t.State == Finished && t.Told == ToldTimedOut }

// Uncorrected reports whether a truth that came late has yet to reach a till.
func (t Transaction) Uncorrected() bool { return t.Late() && !t.Corrected }

// Disputed reports whether two words on what became of it differ, so that a
// person has to look. A terminal that confirms what an operator had said by hand
// is heard, and disputes nothing.
func (t Transaction) Disputed() bool {
	o := t.Conflict
	if o == nil || t.Resolution == nil || t.Outcome != nil || t.NotRun != "" {
		return o != nil
	}
	if t.Resolution.Result != Successful || o.Result != Successful {
		return t.Resolution.Result == Successful || o.Result == Successful
	}
	return o.Type != t.Request.Type || o.Total() != t.Request.Total()
}

// Truth is the outcome to believe: the terminal's word, also where an operator
// had said otherwise before, or the terminal itself that it did not run. Of two
// words that differ the first stands. It is nil while there is none.
func (t Transaction) Truth() *Outcome {
	if t.Outcome != nil {
		return t.Outcome
	}
	return t.Conflict
}
