package main

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/site/console"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
)

// A consoleHouse is what the console sees of this process.
type consoleHouse struct {
	gw   *gateway.Gateway
	sims *simulators
}

// Sites lists the sites, the development site first.
func (h *consoleHouse) Sites() []string {
	var out []string
	for _, s := range h.gw.Sites() {
		out = append(out, string(s))
	}
	if i := slices.Index(out, devSite); i > 0 {
		out = slices.Insert(slices.Delete(out, i, i+1), 0, devSite)
	}
	return out
}

// Key finds a working key for the console.
func (h *consoleHouse) Key(secret string) (console.Key, bool) {
	site, id, ok := h.gw.ConsoleKey(secret)
	return console.Key{ID: id, Site: string(site)}, ok
}

// KeyWorks reports whether a key still works.
func (h *consoleHouse) KeyWorks(id string) bool { return h.gw.KeyWorks(id) }

// Terminals lists the terminals of a site.
func (h *consoleHouse) Terminals(site string) []console.Terminal {
	var out []console.Terminal
	for _, t := range h.gw.Terminals(txn.SiteID(site)) {
		v := console.Terminal{
			Site: site, TID: string(t.TID), Model: t.Capabilities.Model, Software: t.Capabilities.Software, Currency: string(t.Capabilities.Currency),
			Connected: t.Connected, Busy: t.Busy,
		}
		if !t.LastSeen.IsZero() {
			v.LastSeen = t.LastSeen.UTC().Truncate(time.Second).Format(time.RFC3339)
		}
		if m, ok := h.sims.plugged(txn.SiteID(site), t.TID); ok {
			v.Simulated = true
			v.Doing = m.Face().Screen.Title
		} else {
			v.Enrolled = true
		}
		out = append(out, v)
	}
	slices.SortStableFunc(out, func(a, b console.Terminal) int { return strings.Compare(a.TID, b.TID) })
	return out
}

// Machine finds a simulated terminal and plugs it in.
func (h *consoleHouse) Machine(site, tid string) (console.Machine, bool) {
	m, ok := h.sims.machine(h.gw, txn.SiteID(site), txn.TID(tid))
	if !ok {
		return nil, false
	}
	return &consoleMachine{m}, true
}

// A consoleMachine is a simulated terminal as the console touches it.
type consoleMachine struct{ m *sim.Machine }

// Face is what can be seen of it.
func (c *consoleMachine) Face() console.Face {
	f := c.m.Face()
	v := console.Face{
		TID: string(f.TID), Model: f.Model, Software: f.Software, Currency: string(f.Currency),
		ByHand: f.ByHand, Power: f.Power, Cable: f.Cable, Link: f.Link, Paper: f.Paper, Broken: f.Broken,
		Busy: string(f.Busy), Scenarios: f.Scenarios, Always: f.Always,
		Screen: console.Screen{Title: f.Screen.Title, Lines: f.Screen.Lines, Entry: f.Screen.Entry, Asks: string(f.Screen.Asks)},
	}
	for _, k := range f.Screen.Keys {
		v.Screen.Keys = append(v.Screen.Keys, console.KeyUse{Key: string(k.Key), Does: k.Does})
	}
	for _, h := range f.Screen.Cards {
		v.Screen.Cards = append(v.Screen.Cards, string(h))
	}
	if f.Slot != nil {
		v.Slot = &console.SlotCard{Name: f.Slot.Name, Label: f.Slot.Label}
	}
	for _, r := range f.Rolls {
		roll := console.Roll{ID: r.ID, Copy: string(r.Copy), Printing: r.Printing, Torn: r.Torn}
		for _, l := range r.Lines {
			line := console.Line{Type: string(l.Type), Value: l.Value}
			for _, format := range l.Format {
				line.Format = append(line.Format, string(format))
			}
			roll.Lines = append(roll.Lines, line)
		}
		v.Rolls = append(v.Rolls, roll)
	}
	return v
}

// Watch has somebody look again whenever the face has changed.
func (c *consoleMachine) Watch() (<-chan struct{}, func()) { return c.m.Watch() }

// Touch says whether people play the machine's part.
func (c *consoleMachine) Touch(on bool) error {
	c.m.Touch(on)
	return nil
}

// Press presses a key.
func (c *consoleMachine) Press(key string) error { return plain(c.m.Press(sim.Key(key))) }

// Present holds a test card to the machine.
func (c *consoleMachine) Present(card, how string) error {
	return plain(c.m.Present(card, sim.How(how)))
}

// TakeCard takes the card out.
func (c *consoleMachine) TakeCard() error { return plain(c.m.TakeOutCard()) }

// TearOff takes away what was printed.
func (c *consoleMachine) TearOff() error { return plain(c.m.TearOff()) }

// Paper puts a roll in, or lets it run out.
func (c *consoleMachine) Paper(in bool) error {
	if in {
		return plain(c.m.NewRoll())
	}
	c.m.EmptyRoll()
	return nil
}

// Cable plugs the link in or pulls it.
func (c *consoleMachine) Cable(in bool) error {
	if in {
		c.m.RestoreLink()
	} else {
		c.m.CutLink()
	}
	return nil
}

// Power switches the machine on or off.
func (c *consoleMachine) Power(on bool) error {
	if on {
		return plain(c.m.SwitchOn())
	}
	c.m.SwitchOff()
	return nil
}

// Scenario has the machine play a scenario, or its name's part again.
func (c *consoleMachine) Scenario(name string, times int) error {
	if name == "" {
		c.m.Calm()
		return nil
	}
	script, ok := sim.Scenario(name)
	switch {
	case !ok:
		return noScenario(name)
	case times == 0:
		c.m.Always(script)
	default:
		c.m.Script(slices.Repeat([]sim.Script{script}, times)...)
	}
	return nil
}

// plain is an error of a machine without the name of its room.
func plain(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(textOf(err))
}
