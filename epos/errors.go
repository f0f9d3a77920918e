package epos

import (
	"errors"
	"fmt"
	"time"

	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/wire"
	"github.com/tillwire/tillwire/wire/rest"
)

// A Code is the number of an error (the contract, section 6). The codes are
// errors themselves, to compare with: errors.Is(err, epos.ErrTerminalBusy).
type Code int

// The codes that a till can meet.
const (
	ErrParse                   Code = spec.CodeParse
	ErrInvalidRequest          Code = spec.CodeInvalidRequest
	ErrMethodNotFound          Code = spec.CodeMethodNotFound
	ErrInvalidParams           Code = spec.CodeInvalidParams
	ErrInternal                Code = spec.CodeInternal
	ErrTerminalUnavailable     Code = spec.CodeTerminalUnavailable     // unknown or not connected
	ErrTerminalBusy            Code = spec.CodeTerminalBusy            // does something else
	ErrRequestNotSupported     Code = spec.CodeRequestNotSupported     // this terminal cannot do it
	ErrNoTransactionInProgress Code = spec.CodeNoTransactionInProgress // nothing to cancel
	ErrRequestTimedOut         Code = spec.CodeRequestTimedOut         // the terminal certainly did not take it
	ErrUnexpectedResponse      Code = spec.CodeUnexpectedResponse
	ErrDiscontinued            Code = spec.CodeConnectionDiscontinued // a newer Pay-At-Table connection took over
)

// Error names the code.
func (c Code) Error() string { return fmt.Sprintf("epos: error %d", int(c)) }

// An Error says that the gateway did not do what it was asked: no transaction
// ran. It compares by its code, with errors.Is.
type Error struct {
	Code        Code
	Message     string // for a developer
	UserMessage string // for staff, to be shown as it is; may be empty
	Status      int    // of the answer over REST, where the code is what the WebSocket has for it; else 0

	// With the extension errors, for a developer; each may be empty.
	Pointer string // JSON pointer to the fault in the message that was sent
	Rule    string // the schema keyword that is broken, or what must be so
	Docs    string // path of a page about the error on the gateway
}

// Error gives the developer's message and the code.
func (e *Error) Error() string { return fmt.Sprintf("epos: %s (%d)", e.Message, int(e.Code)) }

// Is reports whether target is the code of e.
func (e *Error) Is(target error) bool {
	code, ok := target.(Code)
	return ok && code == e.Code
}

// StaffMessage is what to show: the message for staff, else the one for
// developers.
func (e *Error) StaffMessage() string {
	if e.UserMessage != "" {
		return e.UserMessage
	}
	return e.Message
}

// An OutcomeUnknownError says that a transaction or a report was sent to the
// gateway and that its answer was not received: it may have run, and money may
// have been taken. Doing it again may charge the card twice, unless it
// is done under the same Key, as TryAgain does. The package comment says how to
// find out where there is no key.
type OutcomeUnknownError struct {
	Method string // as the contract names it, "sale"
	TID    TID
	Key    string // the request's own; empty where the gateway knows no keys
	Err    error  // why there is no answer: a *ClosedError, the context's error, or an answer that cannot be read

	// Location is where a transaction that was taken over REST is asked about. It is
	// empty if the gateway did not get to say so.
	Location string

	request     *wire.PerformTransactionRequest // nil for a report
	restRequest *rest.TransactionRequest        // likewise, over REST
}

// Error says what is not known and why.
func (e *OutcomeUnknownError) Error() string {
	return fmt.Sprintf("epos: %s on %s: the outcome is not known: %v", e.Method, e.TID, e.Err)
}

// Unwrap returns the cause.
func (e *OutcomeUnknownError) Unwrap() error { return e.Err }

// A RefusedError says that the gateway did not let the till connect. A Status
// from 400 to 428 will not change by trying again.
type RefusedError struct {
	Status      int           // HTTP status: 401 is the key, 422 the partner ids (the contract, section 1)
	UserMessage string        // says what to correct; may be empty
	RetryAfter  time.Duration // when to try again; 0 if the gateway did not say
}

// Error gives the status and what to correct.
func (e *RefusedError) Error() string {
	if e.UserMessage == "" {
		return fmt.Sprintf("epos: the gateway refused the connection: %d", e.Status)
	}
	return fmt.Sprintf("epos: the gateway refused the connection: %d: %s", e.Status, e.UserMessage)
}

// A ClosedError says that the connection has ended, and how.
type ClosedError struct {
	// Code is the close code of RFC 6455: 1000 after Close, 1001 when the
	// gateway stops, 1006 when the line was lost, 1008 when the gateway wants
	// this till gone, which dialling again does not mend (a revoked key).
	Code   int
	Reason string
	err    error
}

// Error gives code and reason.
func (e *ClosedError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("the connection has ended: %d", e.Code)
	}
	return fmt.Sprintf("the connection has ended: %d %s", e.Code, e.Reason)
}

// Unwrap returns what the network said, if it said something.
func (e *ClosedError) Unwrap() error { return e.err }

// ErrNoExtension says that the gateway does not know what the call needs: the
// extensions keys or status. Nothing was sent.
var ErrNoExtension = errors.New("the gateway does not know this extension")

// errNotSent marks a request of which it is certain that it did not leave.
var errNotSent = errors.New("the request was not sent")
