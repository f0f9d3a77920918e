package main

import (
	"github.com/tillwire/tillwire/door"
	"github.com/tillwire/tillwire/site/traffic"
)

// A tap tells the hub of the traffic what goes over the door's connections.
type tap struct {
	hub *traffic.Hub
	// site is shown those who were refused, whatever site they wanted: that is not
	// known. Empty shows them to nobody.
	site string
}

// Opened tells of a new connection.
func (t tap) Opened(c door.Tapped) door.TapLine {
	return t.hub.Opened(traffic.Connection{
		Number: c.Conn, Site: c.Site, Key: c.Key, Face: c.Face, Version: c.Version, Remote: c.Remote,
		SoftwareHouse: c.SoftwareHouse, Installer: c.Installer, Extensions: c.Extensions, FinalReceipt: c.FinalReceipt,
	})
}

// Refused tells of a till that was not let in.
func (t tap) Refused(c door.Tapped, status int) {
	if t.site == "" || c.Face == traffic.FaceTerminal {
		return
	}
	t.hub.Refused(traffic.Connection{
		Number: c.Conn, Site: t.site, Face: c.Face, Version: c.Version, Remote: c.Remote, SoftwareHouse: c.SoftwareHouse, Installer: c.Installer,
	}, status)
}
