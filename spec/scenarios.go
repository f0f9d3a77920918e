package spec

import (
	"slices"
	"strings"
)

// Scenarios are what can happen in a sale at a simulated card machine (after
// the contract, sections 4.2, 9, 12 and 15).
type Scenarios struct {
	Clause    string       `json:"clause"`
	About     string       `json:"about"`
	Points    []NamedThing `json:"points"`  // of a transaction, besides its notifications
	Mishaps   []NamedThing `json:"mishaps"` // what can happen there
	Scenarios []Scenario   `json:"scenarios"`
}

// A NamedThing is a word of the scenarios and what it means.
type NamedThing struct {
	Name    string `json:"name"`
	Meaning string `json:"meaning"`
}

// A Scenario is one thing that can happen in a sale, with what it is played by
// and what has to come of it.
type Scenario struct {
	Name    string           `json:"name"`
	Title   string           `json:"title"`
	Ending  int              `json:"ending"` // the last two digits of the amounts that choose it
	Fault   bool             `json:"fault"`  // something breaks; otherwise people and cards did it
	Happens string           `json:"happens"`
	Till    string           `json:"till"` // what the till sees and should do
	Clause  string           `json:"clause"`
	Script  ScenarioScript   `json:"script"`
	Expect  ScenarioExpected `json:"expect"`
}

// A ScenarioScript is how a machine plays a scenario. What is absent stays as
// the machine's name says. Seconds are those of speed 1.
type ScenarioScript struct {
	Result                string           `json:"result"`
	Entry                 string           `json:"entry"`
	Verification          string           `json:"verification"`
	Cashback              int64            `json:"cashback"` // minor units, asked for at the machine
	GratuityPercent       int              `json:"gratuityPercent"`
	Shows                 []ScenarioShow   `json:"shows"`
	EndsAfter             string           `json:"endsAfter"` // a notification with which it breaks off
	LoseReply             bool             `json:"loseReply"` // to the start
	PaperOutSeconds       int              `json:"paperOutSeconds"`
	AcquirerSilentSeconds int              `json:"acquirerSilentSeconds"`
	ClockSeconds          int              `json:"clockSeconds"` // how far the machine's clock is ahead
	Mishaps               []ScenarioMishap `json:"mishaps"`
}

// A ScenarioShow is one more notification after another one.
type ScenarioShow struct {
	After string `json:"after"`
	Value string `json:"value"`
}

// A ScenarioMishap is what happens at a point of the transaction: one of
// Scenarios.Points, or a notification that was just told.
type ScenarioMishap struct {
	At      string `json:"at"`
	Do      string `json:"do"`
	Seconds int    `json:"seconds"` // 0 where it lasts to the end
}

// The words of ScenarioExpected.Truth besides results.
const (
	TruthNotRun  = "NOT_RUN" // the machine took no request, and never will take that one
	TruthUnknown = "UNKNOWN" // the machine cannot tell, and took no money
)

// ScenarioExpected is what has to come of a scenario: what the till is told,
// a result or the code of an error; what is recorded as the truth in the end, a
// result or one of the Truth words; and notifications that the till sees in that
// order, perhaps among others.
type ScenarioExpected struct {
	Told  string   `json:"told"`
	Error int      `json:"error"`
	Truth string   `json:"truth"`
	Shows []string `json:"shows"`
}

// Scenarios returns the scenarios of simulated card machines.
func (x *Index) Scenarios() Scenarios { return x.scenarios }

// Scenario returns a scenario by its name, in upper or lower case.
func (x *Index) Scenario(name string) (Scenario, bool) {
	return x.scenario(func(s Scenario) bool { return strings.EqualFold(s.Name, name) })
}

// ScenarioFor returns the scenario that an amount in minor units chooses by its
// last two digits.
func (x *Index) ScenarioFor(amount int64) (Scenario, bool) {
	return x.scenario(func(s Scenario) bool { return amount > 0 && int64(s.Ending) == amount%100 })
}

func (x *Index) scenario(fits func(Scenario) bool) (Scenario, bool) {
	if i := slices.IndexFunc(x.scenarios.Scenarios, fits); i >= 0 {
		return x.scenarios.Scenarios[i], true
	}
	return Scenario{}, false
}
