package console

import (
	"context"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/spec"
)

// The topics of this file tell what the contract as data says. They never change.

// props are what lies beside a machine: cards to hold to it, and scenarios.
type props struct {
	Cards     []prop `json:"cards"`
	Scenarios []prop `json:"scenarios"`
}

// A prop is a test card, or a scenario.
type prop struct {
	Name    string   `json:"name"`
	Label   string   `json:"label"`
	Happens string   `json:"happens"`
	Ways    []string `json:"ways,omitzero"` // of presenting a card
	PIN     string   `json:"pin,omitzero"`
	Fault   bool     `json:"fault,omitzero"` // something breaks in the scenario
}

// watchProps is the topic "props".
func watchProps(_ context.Context, _ viewer, _ jsontext.Value, send func(any) error) error {
	var p props
	for _, c := range spec.Default().TestCards().Cards {
		p.Cards = append(p.Cards, prop{Name: c.Name, Label: c.Label, Happens: c.Happens, Ways: c.Ways, PIN: c.PIN})
	}
	for _, s := range spec.Default().Scenarios().Scenarios {
		p.Scenarios = append(p.Scenarios, prop{Name: s.Name, Label: s.Title, Happens: s.Happens, Fault: s.Fault})
	}
	return send(p)
}

// names says how virtual terminals are named (the contract, section 12): the
// letters of each place.
type names struct {
	Prefix string     `json:"prefix"`
	Parts  [][]letter `json:"parts"`
}

type letter struct {
	Letter  string `json:"letter"`
	Meaning string `json:"meaning"`
}

// watchNames is the topic "names".
func watchNames(_ context.Context, _ viewer, _ jsontext.Value, send func(any) error) error {
	v := spec.Default().VirtualTerminals()
	n := names{Prefix: v.Prefix, Parts: make([][]letter, 4)}
	for i, letters := range [][]spec.VirtualLetter{v.Results, v.Entries, v.Verifications} {
		for _, l := range letters {
			n.Parts[i] = append(n.Parts[i], letter{l.Letter, l.Meaning})
		}
	}
	for _, m := range v.Machines {
		n.Parts[3] = append(n.Parts[3], letter{m.Digit, m.Meaning})
	}
	return send(n)
}

// words are what a till says to its cashier: of results (the contract, section 7)
// and of notifications (section 4.2).
type words struct {
	Results       map[string]string `json:"results"`
	Notifications map[string]string `json:"notifications"`
}

// watchWords is the topic "words".
func watchWords(_ context.Context, _ viewer, _ jsontext.Value, send func(any) error) error {
	w := words{map[string]string{}, map[string]string{}}
	for _, r := range spec.Default().Results() {
		w.Results[r.Value] = r.Title
	}
	for _, n := range spec.Default().Notifications() {
		w.Notifications[n.Value] = n.Meaning
	}
	return send(w)
}
