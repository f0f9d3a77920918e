package epos

import (
	"context"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/wire"
)

// A TID names a terminal of the site: eight digits, or the name of a virtual
// one.
type TID string

func terminalID(tid TID) wire.TerminalID { return wire.TerminalID{TID: string(tid)} }

// A Status says whether a terminal takes a transaction now.
type Status string

// The states of a terminal.
const (
	Available Status = wire.StatusAvailable
	Busy      Status = wire.StatusBusy
)

// A Terminal is a connected terminal.
type Terminal struct {
	TID          TID
	Currency     money.Currency
	Status       Status
	Capabilities []string // v0 only
}

// A Filter chooses terminals. What is empty does not filter.
type Filter struct {
	Currency     money.Currency
	Status       Status
	Capabilities []string // v0 only: all of these
}

// ConnectedTerminals lists the site's connected terminals, possibly none (the
// contract, section 3.1).
func (c *Client) ConnectedTerminals(ctx context.Context, f Filter) ([]Terminal, error) {
	var params wire.Message // none without a filter
	if f.Currency != "" || f.Status != "" || len(f.Capabilities) > 0 {
		params = wire.ConnectedTerminalsRequest{Currency: f.Currency, Status: string(f.Status), Capabilities: f.Capabilities}
	}
	result, err := c.call(ctx, wire.MethodConnectedTerminals, params)
	if err != nil {
		return nil, about(wire.MethodConnectedTerminals, err)
	}
	ts, err := wire.DecodeTerminals(result)
	if err != nil {
		return nil, about(wire.MethodConnectedTerminals, err)
	}
	out := make([]Terminal, len(ts))
	for i, t := range ts {
		out[i] = terminalOf(t)
	}
	return out, nil
}

func terminalOf(t wire.Terminal) Terminal {
	return Terminal{TID: TID(t.TID), Currency: t.Currency, Status: Status(t.Status), Capabilities: t.Capabilities}
}
