package gateway

import (
	"errors"
	"fmt"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/wire"
)

// A fault is an error as a till hears it (the contract, section 6). Errors of
// the inside become faults here and nowhere else.
type fault struct {
	code        int
	message     string
	userMessage string
	noID        bool // it bears no id even though one was read

	pointer, rule string // where in the message, and which rule; where they are known
}

func newFault(code int, message, userMessage string, namesAndValues ...string) *fault {
	return &fault{
		code:        code,
		message:     spec.Fill(message, namesAndValues...),
		userMessage: spec.Fill(userMessage, namesAndValues...),
	}
}

func unavailable(tid txn.TID) *fault {
	return newFault(spec.CodeTerminalUnavailable, spec.MessageTerminalUnavailable, spec.UserMessageTerminalUnavailable, "tid", string(tid))
}

func busy(tid txn.TID) *fault {
	return newFault(spec.CodeTerminalBusy, spec.MessageTerminalBusy, spec.UserMessageTerminalBusy, "tid", string(tid))
}

func notTaken(tid txn.TID) *fault {
	return newFault(spec.CodeRequestTimedOut, spec.MessageNotTaken, spec.UserMessageNotTaken, "tid", string(tid))
}

func nothingToCancel(tid txn.TID) *fault {
	return newFault(spec.CodeNoTransactionInProgress, spec.MessageNothingToCancel, spec.UserMessageNothingToCancel, "tid", string(tid))
}

func nothingToDuplicate(tid txn.TID) *fault {
	return newFault(spec.CodeRequestNotSupported, spec.MessageNothingToDuplicate, spec.UserMessageNothingToDuplicate, "tid", string(tid))
}

func typeUnknownToV0(tid txn.TID) *fault {
	return newFault(spec.CodeRequestNotSupported, spec.MessageTypeUnknownToV0, spec.UserMessageTypeUnknownToV0, "tid", string(tid))
}

func methodUnsupported(tid txn.TID, method string) *fault {
	return newFault(spec.CodeRequestNotSupported, spec.MessageMethodUnsupported, spec.UserMessageMethodUnsupported, "tid", string(tid), "method", method)
}

func currencyUnsupported(tid txn.TID, currency string) *fault {
	return newFault(spec.CodeRequestNotSupported, spec.MessageCurrencyUnsupported, spec.UserMessageCurrencyUnsupported, "tid", string(tid), "currency", currency)
}

func cashbackUnsupported(tid txn.TID) *fault {
	return newFault(spec.CodeRequestNotSupported, spec.MessageCashbackUnsupported, spec.UserMessageCashbackUnsupported, "tid", string(tid))
}

// suchRequest stands for a method where it is the terminal that says no.
const suchRequest = "such request"

// unsupported is a terminal's own refusal.
func unsupported(tid txn.TID, r *terminal.RefusedError) *fault {
	f := methodUnsupported(tid, suchRequest)
	f.message = receipt.MaskPANs(fmt.Sprintf("Request Not Supported: %s: %s", tid, r.Reason))
	if r.UserMessage != "" {
		f.userMessage = receipt.MaskPANs(r.UserMessage)
	}
	return f
}

func stopping() *fault {
	return newFault(spec.CodeInternal, spec.MessageStopping, spec.UserMessageStopping)
}

func limitReached(which string) *fault {
	return newFault(spec.CodeInternal, spec.MessageLimitReached, spec.UserMessageLimitReached, "limit", which)
}

// storage is a failed append, seen before anything was accepted. What it says
// inside goes to the log only.
func storage(err error) *fault {
	if errors.Is(err, journal.ErrFull) {
		return newFault(spec.CodeInternal, spec.MessageStorageFull, spec.UserMessageStorageFull)
	}
	return newFault(spec.CodeInternal, spec.MessageInternal, spec.UserMessageInternal)
}

func invalidParams(f *wire.Fault) *fault {
	return &fault{code: spec.CodeInvalidParams, message: f.Message(), pointer: f.Pointer, rule: f.Rule}
}

func methodNotFound(method string) *fault {
	const longest = 64
	if len(method) > longest {
		method = method[:longest] + "…"
	}
	f := newFault(spec.CodeMethodNotFound, spec.MessageNoSuchMethod, "", "method", method)
	f.pointer, f.rule = "/method", wire.RuleEnum
	return f
}

func inFlight(id string) *fault {
	f := newFault(spec.CodeInvalidRequest, spec.MessageIDInFlight, "", "id", id)
	f.pointer = "/id"
	f.noID = true // a till with one constant id must not read its running sale as refused
	return f
}

// aboutAnswer makes a fault about a till's answer. On /pac it never bears an
// id: the till's own sale may run under that number.
func aboutAnswer(code int, message, id string) *fault {
	f := newFault(code, message, "", "id", id)
	f.noID = true
	return f
}
