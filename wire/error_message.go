package wire

import "github.com/tillwire/tillwire/spec"

// The codes of the error message (the contract, section 6), for those who do
// not read the contract as data themselves.
const (
	CodeParse                   = spec.CodeParse
	CodeInvalidRequest          = spec.CodeInvalidRequest
	CodeMethodNotFound          = spec.CodeMethodNotFound
	CodeInvalidParams           = spec.CodeInvalidParams
	CodeInternal                = spec.CodeInternal
	CodeTerminalUnavailable     = spec.CodeTerminalUnavailable
	CodeTerminalBusy            = spec.CodeTerminalBusy
	CodeRequestNotSupported     = spec.CodeRequestNotSupported
	CodeNoTransactionInProgress = spec.CodeNoTransactionInProgress
	CodeRequestTimedOut         = spec.CodeRequestTimedOut
	CodeUnexpectedResponse      = spec.CodeUnexpectedResponse
	CodeConnectionDiscontinued  = spec.CodeConnectionDiscontinued
)
