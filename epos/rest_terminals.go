package epos

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/tillwire/tillwire/wire"
	"github.com/tillwire/tillwire/wire/rest"
)

// ConnectedTerminals lists the site's connected terminals, possibly none.
func (c *REST) ConnectedTerminals(ctx context.Context, f Filter) ([]Terminal, error) {
	q := url.Values{}
	for name, value := range map[string]string{
		"currency": string(f.Currency), "status": string(f.Status), "capabilities": strings.Join(f.Capabilities, ","),
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	at := c.at("pac", "terminals")
	if len(q) > 0 {
		at += "?" + q.Encode()
	}
	body, err := c.read(ctx, wire.MethodConnectedTerminals, at, "")
	if err != nil {
		return nil, err
	}
	list, err := rest.ReadTerminals(body)
	if err != nil {
		return nil, about(wire.MethodConnectedTerminals, err)
	}
	out := make([]Terminal, len(list))
	for i, t := range list {
		out[i] = terminalOverREST(t)
	}
	return out, nil
}

// TerminalDetails tells how a terminal is. If it is unknown or not connected the
// error is ErrTerminalUnavailable.
func (c *REST) TerminalDetails(ctx context.Context, tid TID) (Terminal, error) {
	body, err := c.read(ctx, wire.MethodTerminalDetails, c.at("pac", "terminals", string(tid)), tid)
	if err != nil {
		return Terminal{}, err
	}
	t, err := rest.ReadTerminal(body)
	if err != nil {
		return Terminal{}, about(wire.MethodTerminalDetails, err)
	}
	return terminalOverREST(t), nil
}

// read asks once for what changes nothing.
func (c *REST) read(ctx context.Context, what, at string, tid TID) ([]byte, error) {
	ctx, cancel := c.during(ctx)
	defer cancel()
	a, err := c.get(ctx, at)
	if err != nil {
		return nil, about(what, err)
	}
	if a.status != http.StatusOK {
		return nil, about(what, c.refused(a, tid))
	}
	return a.body, nil
}

func terminalOverREST(t rest.Terminal) Terminal {
	return Terminal{TID: TID(t.TID), Currency: t.Currency, Status: Status(t.Status), Capabilities: t.Capabilities}
}
