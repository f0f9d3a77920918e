package epos

import (
	"context"

	"github.com/tillwire/tillwire/wire"
)

// Cancel asks that what runs on a terminal be cancelled (the contract, section
// 3.4), whichever till started it. It is a wish: nil means that it was passed
// on, and the transaction's own call tells what came of it. On v0 the gateway
// first waits for that, up to 10 s. If nothing runs there the error is
// ErrNoTransactionInProgress.
func (c *Client) Cancel(ctx context.Context, tid TID) error {
	result, err := c.call(ctx, wire.MethodCancelTransaction, wire.CancelTransactionRequest{TerminalID: terminalID(tid)})
	if err != nil {
		return about(wire.MethodCancelTransaction, err)
	}
	if _, err := wire.DecodeCancelResult(result); err != nil {
		return about(wire.MethodCancelTransaction, err)
	}
	return nil
}
