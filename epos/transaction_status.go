package epos

import (
	"context"
	"fmt"

	"github.com/tillwire/tillwire/wire"
)

// A State says how a request stands (the contract, section 10, status).
type State string

// The states.
const (
	Pending    State = wire.StatePending    // its answer is to come
	Finished   State = wire.StateFinished   // its outcome is known
	Unresolved State = wire.StateUnresolved // it ended as TimedOut, and the gateway still seeks the truth
	NotRun     State = wire.StateNotRun     // it certainly did not run, and will not
	// NotFound: the site has not had it on this terminal, or keeps it no longer. A
	// request that still lies in a bad network may arrive after that; NotRun is
	// the word that it will not.
	NotFound State = wire.StateNotFound
)

// A TransactionStatus is what is known of a request now.
type TransactionStatus struct {
	State     State
	RequestID string   // the gateway's own name for it; may be empty
	Payment   *Payment // of a transaction that is Finished; else nil
}

// TransactionStatus says what became of the request with that key on that
// terminal. It reads the gateway's record: the terminal may be busy or away, and
// asking changes nothing. Without the extension status it is ErrNoExtension.
func (c *Client) TransactionStatus(ctx context.Context, tid TID, key string) (TransactionStatus, error) {
	return c.status(ctx, wire.TransactionStatusRequest{TerminalID: terminalID(tid), RequestKey: key})
}

// TransactionStatusByID is TransactionStatus for a request of which the till
// knows the gateway's RequestID, from a Correction or an earlier status.
func (c *Client) TransactionStatusByID(ctx context.Context, tid TID, requestID string) (TransactionStatus, error) {
	return c.status(ctx, wire.TransactionStatusRequest{TerminalID: terminalID(tid), RequestID: requestID})
}

func (c *Client) status(ctx context.Context, r wire.TransactionStatusRequest) (TransactionStatus, error) {
	const method = wire.MethodTransactionStatus
	if !c.has(wire.ExtensionStatus) {
		return TransactionStatus{}, about(method, fmt.Errorf("%w: %s", ErrNoExtension, wire.ExtensionStatus))
	}
	result, err := c.call(ctx, method, r)
	if err != nil {
		return TransactionStatus{}, about(method, err)
	}
	s, err := wire.DecodeTransactionStatusResult(result)
	if err != nil {
		return TransactionStatus{}, about(method, err)
	}
	out := TransactionStatus{State: State(s.State), RequestID: s.RequestID}
	if s.Payment != nil {
		p := paymentOf(*s.Payment)
		out.Payment = &p
	}
	return out, nil
}
