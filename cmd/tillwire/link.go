package main

import (
	"log/slog"
	"net/http"

	"github.com/tillwire/tillwire/door"
	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/terminal/link"
	"github.com/tillwire/tillwire/ws"
)

// dialIn lets terminals in that dial the gateway's terminal link.
func dialIn(g *gateway.Gateway, log *slog.Logger) func(gateway.Knock) (door.Link, error) {
	return func(k gateway.Knock) (door.Link, error) {
		t, err := g.AdmitTerminal(k)
		if err != nil {
			return door.Link{}, err
		}
		if err := link.CheckVersion(k.Query.Get("link-version")); err != nil {
			return door.Link{}, &gateway.Refusal{Status: http.StatusBadRequest, UserMessage: err.Error() + "."}
		}
		serve := func(c *ws.Conn) { serveTerminal(g, c, t, log.With("site", t.Site())) }
		return door.Link{Site: string(t.Site()), Key: t.Key(), PingInterval: t.PingInterval(), Serve: serve}, nil
	}
}

// serveTerminal has the gateway use a terminal for as long as it is connected.
func serveTerminal(g *gateway.Gateway, c *ws.Conn, t *gateway.TerminalTicket, log *slog.Logger) {
	line, err := link.Greet(c, t.TID(), log)
	if err != nil {
		log.Warn("a terminal was not let in", "tid", t.TID(), "key", t.Key(), "error", err)
		return
	}
	release, err := t.Open(func(code int, reason string) { c.StartClose(ws.Code(code), reason) }, line.Connect)
	if err != nil {
		log.Warn("a terminal was not let in", "tid", t.TID(), "key", t.Key(), "error", err)
		code := ws.Policy
		if g.Stopping() { // it is to dial again soon
			code = ws.GoingAway
		}
		c.StartClose(code, "not let in")
		return
	}
	defer release()
	<-c.Done()
}
