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
// nothing. Its methods are called by many goroutines, hold up the connection
// until they return, and must not block; of one connection the calls come in
// the order of the wire, Opened first and Closed last. It never hears the key
// or the rest of the query.
type Tap interface {
	Opened(Tapped)
	// Message tells one text message: from the gateway, or from its peer. The
	// bytes may not be kept or changed.
	Message(conn uint64, fromGateway bool, text []byte)
	// Closed gives the close code. The reason is empty where it is the peer's:
	// some software puts the URI into it, key included.
	Closed(conn uint64, code int, reason string)
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

// tap has the tap told of the connection's messages. The connection itself is
// told by tapOpened, once it is open.
func (d *Door) tap(c *conn, o *ws.Options) {
	if d.cfg.Tap == nil {
		return
	}
	number, told := d.numbers.Add(1), d.cfg.Tap
	c.number = number
	o.Tap = func(sent bool, text []byte) { told.Message(number, sent, text) }
}

func (c *conn) tapOpened(face string, a admission, query url.Values) {
	if c.number == 0 {
		return
	}
	t := Tapped{
		Conn: c.number, Site: c.site, Key: c.key, Face: face, Version: a.version, Remote: c.remote, Extensions: a.extensions,
		FinalReceipt: face == "pat" && (query.Has("final-pos-receipt-request") || query.Has("final-pos-receipt")),
	}
	if face != gateway.FaceTerminal && a.version != "v0" { // in v0 nobody has checked them
		t.SoftwareHouse, t.Installer = strings.Clone(query.Get("software-house-id")), strings.Clone(query.Get("installer-id"))
	}
	c.door.cfg.Tap.Opened(t)
}

func (c *conn) tapClosed() {
	if c.number == 0 {
		return
	}
	code, reason := int(ws.Internal), ""
	if closed, ok := errors.AsType[*ws.CloseError](c.ws.Err()); ok {
		code = int(closed.Code)
		if !closed.Remote {
			reason = closed.Reason
		}
	}
	c.door.cfg.Tap.Closed(c.number, code, reason)
}
