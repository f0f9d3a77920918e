package epos

// A Notification says how far a transaction is, to be shown while it runs (the
// contract, section 4.2). None of them decides the outcome: the answer does.
type Notification string

// The notifications.
const (
	TransactionStarted  Notification = "TRANSACTION_STARTED"  // always the first
	TransactionFinished Notification = "TRANSACTION_FINISHED" // always the last; the answer follows

	PresentCard        Notification = "PRESENT_CARD"
	InsertCard         Notification = "INSERT_CARD"
	RePresentCard      Notification = "RE_PRESENT_CARD"
	PresentOnlyOneCard Notification = "PRESENT_ONLY_ONE_CARD"
	RemoveCard         Notification = "REMOVE_CARD"
	PINEntry           Notification = "PIN_ENTRY"

	PleaseWait      Notification = "PLEASE_WAIT"
	Connecting      Notification = "CONNECTING"
	ConnectionMade  Notification = "CONNECTION_MADE"
	RequestSent     Notification = "REQUEST_SENT"
	Retrying        Notification = "RETRYING"
	ProcessingError Notification = "PROCESSING_ERROR"

	SaidApproved       Notification = "APPROVED" // not the outcome
	SaidDeclined       Notification = "DECLINED" // not the outcome
	SaidDeclinedByCard Notification = "DECLINED_BY_CARD"

	BadSwipe         Notification = "BAD_SWIPE"
	CardError        Notification = "CARD_ERROR"
	CardExpired      Notification = "CARD_EXPIRED"
	CardNotSupported Notification = "CARD_NOT_SUPPORTED"

	SignatureVerification     Notification = "SIGNATURE_VERIFICATION"
	SignatureInProgress       Notification = "SIGNATURE_VERIFICATION_IN_PROGRESS"
	SignatureCompleted        Notification = "SIGNATURE_VERIFICATION_PROCESS_COMPLETED"
	SignatureCouldNotComplete Notification = "SIGNATURE_VERIFICATION_PROCESS_COULD_NOT_BE_COMPLETED"
	SignatureTimeout          Notification = "SIGNATURE_VERIFICATION_TIMEOUT"

	AttemptingCancel Notification = "ATTEMPTING_CANCEL"
	Cancelling       Notification = "CANCELLING"
	UnableToCancel   Notification = "UNABLE_TO_CANCEL"

	ReplacePaper  Notification = "REPLACE_PAPER"  // v1
	EnterCashback Notification = "ENTER_CASHBACK" // v1
)

// Notifications lists them in the order of the contract.
func Notifications() []Notification {
	return []Notification{
		TransactionStarted, TransactionFinished,
		PresentCard, InsertCard, RePresentCard, PresentOnlyOneCard, RemoveCard, PINEntry,
		PleaseWait, Connecting, ConnectionMade, RequestSent, Retrying, ProcessingError,
		SaidApproved, SaidDeclined, SaidDeclinedByCard,
		BadSwipe, CardError, CardExpired, CardNotSupported,
		SignatureVerification, SignatureInProgress, SignatureCompleted, SignatureCouldNotComplete, SignatureTimeout,
		AttemptingCancel, Cancelling, UnableToCancel,
		ReplacePaper, EnterCashback,
	}
}
