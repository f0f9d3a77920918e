package main

import (
	"github.com/tillwire/tillwire/door"
	"github.com/tillwire/tillwire/site/traffic"
)

// A tap tells the hub of the traffic what goes over the door's connections.
type tap struct{ hub *traffic.Hub }

// Opened tells of a new connection.
func (t tap) Opened(c door.Tapped) door.TapLine {
	return t.hub.Opened(traffic.Connection{
		Number: c.Conn, Site: c.Site, Key: c.Key, Face: c.Face, Version: c.Version, Remote: c.Remote,
		SoftwareHouse: c.SoftwareHouse, Installer: c.Installer, Extensions: c.Extensions, FinalReceipt: c.FinalReceipt,
	})
}
