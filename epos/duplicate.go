package epos

import (
	"context"

	"github.com/tillwire/tillwire/wire"
)

// Duplicate returns a terminal's last transaction, with a duplicate of the
// customer's receipt and none of the merchant's (the contract, section 3.5).
//
// It is the way to learn of an outcome that got lost. While that is not known,
// the Payment says TimedOut; it is never an older transaction. While it still
// runs, the error is ErrTerminalBusy; where the terminal has no such function
// or no transaction, ErrRequestNotSupported.
func (c *Client) Duplicate(ctx context.Context, tid TID) (Payment, error) {
	result, err := c.call(ctx, wire.MethodDuplicate, wire.DuplicateRequest{TerminalID: terminalID(tid)})
	if err != nil {
		return Payment{}, about(wire.MethodDuplicate, err)
	}
	p, err := wire.DecodePayment(result)
	if err != nil {
		return Payment{}, about(wire.MethodDuplicate, err)
	}
	return paymentOf(p), nil
}
