package epos

import (
	"context"

	"github.com/tillwire/tillwire/wire"
)

// TerminalDetails tells how a terminal is (the contract, section 3.2). If it is
// unknown or not connected the error is ErrTerminalUnavailable.
func (c *Client) TerminalDetails(ctx context.Context, tid TID) (Terminal, error) {
	method := wire.TerminalDetailsMethod(c.version)
	result, err := c.call(ctx, method, wire.TerminalDetailsRequest{TIDs: []string{string(tid)}})
	if err != nil {
		return Terminal{}, about(method, err)
	}
	if c.version != wire.V0 {
		t, err := wire.DecodeTerminal(result)
		if err != nil {
			return Terminal{}, about(method, err)
		}
		return terminalOf(t), nil
	}
	ts, err := wire.DecodeTerminals(result)
	switch {
	case err != nil:
		return Terminal{}, about(method, err)
	case len(ts) == 0: // v0 leaves out what is not connected
		return Terminal{}, &Error{Code: ErrTerminalUnavailable, Message: string(tid) + " is not connected"}
	}
	return terminalOf(ts[0]), nil
}
