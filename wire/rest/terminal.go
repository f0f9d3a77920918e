package rest

import (
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/wire"
)

// The states of a terminal.
const (
	StatusAvailable = wire.StatusAvailable
	StatusBusy      = wire.StatusBusy
)

// Capabilities lists what a terminal can say of itself in v0 and v1, and what it
// can be filtered by.
func Capabilities() []string { return wire.Capabilities() }

// A Terminal is a connected terminal (the contract of REST, section 3.1).
type Terminal struct {
	TID          string
	Status       string
	Currency     money.Currency
	Capabilities []string // v0 and v1
	Location     string
}

// Append writes the terminal.
func (t Terminal) Append(dst []byte, v Version) []byte {
	b := wire.AppendText(append(dst, `{"`+v.terminalMember()+`":`...), t.TID)
	b = wire.AppendText(append(b, `,"status":`...), t.Status)
	b = wire.AppendText(append(b, `,"currency":`...), t.Currency)
	if v != V2 {
		b = appendTexts(append(b, `,"capabilities":`...), t.Capabilities)
	}
	b = wire.AppendText(append(b, `,"location":`...), t.Location)
	return append(b, '}')
}

// Terminals is the list of connected terminals.
type Terminals []Terminal

// Append writes the list.
func (ts Terminals) Append(dst []byte, v Version) []byte {
	b := wire.AppendList(append(dst, `{"terminals":`...), ts, func(b []byte, t Terminal) []byte { return t.Append(b, v) })
	return append(b, '}')
}
