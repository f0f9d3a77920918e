package door

import (
	"errors"
	"net/url"
	"strings"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/ws"
)

// A Tap is told of what goes over every open connection, of tills and of
// terminals that dial in, for people who look at the traffic. It decides
// nothing, and never hears the key or the rest of the query. It is called by
// many goroutines, which wait for it: it must not block.
type Tap interface {
	// Opened tells of a connection, and returns who is told the rest of it.
	Opened(Tapped) TapLine
}

// A RefusalTap is a Tap that hears of tills that were not let in as well. What
// is told of them is what they said of themselves, shortened; nobody has checked
// it, and the site is known only where the key was.
type RefusalTap interface {
	// Refused tells of it, with the status of the answer.
	Refused(t Tapped, status int)
}

// A TapLine is told what goes over one connection, in the order of the wire.
type TapLine interface {
	// Message tells one text message: from the gateway, or from its peer. The
	// bytes may not be kept or changed.
	Message(fromGateway bool, text []byte)
	// Closed comes last, with the close code and who closed. A peer's reason is
	// not told: some software puts the URI into it, key included.
	Closed(code int, byPeer bool, reason string)
}

// A Tapped is a connection as its tap hears of it.
type Tapped struct {
	Conn    uint64 // its number, 1 for the door's first
	Site    string
	Key     string // its public id
	Face    string // pac, pat or terminal
	Version string // of the contract; empty for a terminal
	Remote  string // the peer's address
	// The partner ids of a till; empty in v0, which has none.
	SoftwareHouse, Installer string
	Extensions               []string // that are granted; not to be changed
	FinalReceipt             bool     // asked to be asked for final receipts
}

// tap has the connection tapped from tapOpened on, before which nothing is read
// or sent.
func (c *conn) tap(o *ws.Options) {
	if c.door.cfg.Tap != nil {
		o.Tap = func(sent bool, text []byte) { c.tapped.Message(sent, text) }
	}
}

func (c *conn) tapOpened(face string, a admission, query url.Values) {
	if c.door.cfg.Tap == nil {
		return
	}
	t := Tapped{
		Conn: c.door.numbers.Add(1), Site: c.site, Key: c.key, Face: face, Version: a.version, Remote: c.remote, Extensions: a.extensions,
		FinalReceipt: face == "pat" && (query.Has("final-pos-receipt-request") || query.Has("final-pos-receipt")),
	}
	if face != gateway.FaceTerminal && a.version != "v0" { // in v0 nobody has checked them
		t.SoftwareHouse, t.Installer = strings.Clone(query.Get("software-house-id")), strings.Clone(query.Get("installer-id"))
	}
	c.tapped = c.door.cfg.Tap.Opened(t)
}

// tapRefused tells of a till that was not let in.
func (d *Door) tapRefused(face, remote string, query url.Values, status int) {
	tap, ok := d.cfg.Tap.(RefusalTap)
	if !ok {
		return
	}
	said := func(name string) string {
		text := query.Get(name)
		return strings.Clone(strings.ToValidUTF8(text[:min(len(text), maxSaid)], ""))
	}
	tap.Refused(Tapped{
		Conn: d.numbers.Add(1), Face: face, Version: said("api-version"), Remote: remote,
		SoftwareHouse: said("software-house-id"), Installer: said("installer-id"),
	}, status)
}

// maxSaid bounds what is told of one that was not let in, in bytes of each text.
const maxSaid = 64

func (c *conn) tapClosed() {
	if c.tapped == nil {
		return
	}
	code, byPeer, reason := int(ws.Internal), false, ""
	if closed, ok := errors.AsType[*ws.CloseError](c.ws.Err()); ok {
		code, byPeer = int(closed.Code), closed.Remote
		if !byPeer {
			reason = closed.Reason
		}
	}
	c.tapped.Closed(code, byPeer, reason)
}
