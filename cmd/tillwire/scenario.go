package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/go-json-experiment/json"

	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
)

// maxTimes bounds how often a scenario can be ordered in advance.
const maxTimes = 1000

// A scenarioOrder is what a simulated terminal is to play: in its next Times
// transactions, or in all from now on when Times is 0.
type scenarioOrder struct {
	Name  string `json:"name"`
	Times int    `json:"times"`
}

// scenario has a terminal play a scenario.
func (c *controls) scenario(w http.ResponseWriter, r *http.Request) {
	m, _, ok := c.machine(w, r)
	if !ok {
		return
	}
	o := scenarioOrder{Times: 1}
	if !readDev(w, r, &o) {
		return
	}
	script, ok := sim.Scenario(o.Name)
	switch {
	case !ok:
		refuseDev(w, http.StatusUnprocessableEntity, noScenario(o.Name).Error())
		return
	case o.Times < 0 || o.Times > maxTimes:
		refuseDev(w, http.StatusUnprocessableEntity, fmt.Sprintf("times is 1 to %d, or 0 for always", maxTimes))
		return
	case o.Times == 0:
		m.Always(script)
	default:
		m.Script(slices.Repeat([]sim.Script{script}, o.Times)...)
	}
	w.WriteHeader(http.StatusNoContent)
}

// calm takes back what a terminal was to play.
func (c *controls) calm(w http.ResponseWriter, r *http.Request) {
	if m, _, ok := c.machine(w, r); ok {
		m.Calm()
		w.WriteHeader(http.StatusNoContent)
	}
}

func noScenario(name string) error {
	return hint(fmt.Errorf("there is no scenario %q", name), "tillwire terminals scenarios lists them")
}

// tidScenarios are scenarios that simulated terminals always play, by TID in
// upper case.
type tidScenarios map[txn.TID]string

// UnmarshalText reads TID=NAME pairs joined by commas.
func (t *tidScenarios) UnmarshalText(b []byte) error {
	*t = tidScenarios{}
	if len(b) == 0 {
		return nil
	}
	for pair := range strings.SplitSeq(string(b), ",") {
		tid, name, _ := strings.Cut(pair, "=")
		v, ok := spec.Default().VirtualTerminals().Parse(tid)
		if !ok {
			return fmt.Errorf("%q is not TID=NAME with a virtual terminal's TID", pair)
		}
		s, ok := spec.Default().Scenario(name)
		if !ok {
			return noScenario(name)
		}
		(*t)[txn.TID(v.TID)] = s.Name
	}
	return nil
}

// String writes the pairs as they are read.
func (t tidScenarios) String() string {
	var pairs []string
	for _, tid := range slices.Sorted(maps.Keys(t)) {
		pairs = append(pairs, string(tid)+"="+t[tid])
	}
	return strings.Join(pairs, ",")
}

// arrange has the machines of a park play theirs.
func (t tidScenarios) arrange(p *sim.Park) {
	for tid, name := range t {
		if m, ok := p.Machine(tid); ok {
			script, _ := sim.Scenario(name) // UnmarshalText knows it
			m.Always(script)
		}
	}
}

type terminalsScenarioCmd struct {
	Name  string `arg:"" help:"The scenario, as tillwire terminals scenarios names it; off takes back what was ordered before."`
	Times int    `default:"1" placeholder:"N" help:"In so many of its next transactions; 0 is all from now on."`
	terminalFlags
	devFlags
}

// Help is shown with the command's own help.
func (terminalsScenarioCmd) Help() string {
	return `The next transactions at that simulated terminal go as the scenario says. What
was ordered before comes first. Nothing of it outlives the gateway; to have it
from the start: tillwire serve --dev --scenarios TID=NAME.

    tillwire terminals scenario --tid VCMDEMOSIP0 link-cut-after-authorisation
    tillwire terminals scenario --tid VCMDEMOSIP0 declined --times 3
    tillwire terminals scenario --tid VCMDEMOSIP0 paper-out --times 0
    tillwire terminals scenario --tid VCMDEMOSIP0 off`
}

// Run orders the scenario.
func (c terminalsScenarioCmd) Run(s streams) error {
	known, ok := spec.Default().Scenario(c.Name)
	off := strings.EqualFold(c.Name, "off")
	switch {
	case !ok && !off:
		return usageError{noScenario(c.Name)}
	case c.Times < 0 || c.Times > maxTimes:
		return usage("--times: 1 to %d, or 0 for always", maxTimes)
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), quick)
	defer cancel()
	if off {
		resp, err := client.ask(ctx, http.MethodDelete, nil, c.TID, "scenario")
		if err != nil {
			return err
		}
		resp.Body.Close()
		if c.JSON {
			return printJSON(s, struct{}{})
		}
		_, err = fmt.Fprintf(s.out, "%s plays what its name says\n", c.TID)
		return err
	}
	resp, err := client.ask(ctx, http.MethodPost, scenarioOrder{known.Name, c.Times}, c.TID, "scenario")
	if err != nil {
		return err
	}
	resp.Body.Close()
	if c.JSON {
		return printJSON(s, known)
	}
	when := "next"
	switch {
	case c.Times == 0:
		when = "always"
	case c.Times > 1:
		when = fmt.Sprintf("the next %d times", c.Times)
	}
	_, err = fmt.Fprintf(s.out, "%s plays %s %s: %s\n%s\nThe till: %s\n", c.TID, known.Name, when, known.Title, known.Happens, known.Till)
	return err
}

type terminalsScenariosCmd struct {
	Faults bool `help:"Only those in which something breaks."`
	JSON   bool `name:"json" help:"Print each as JSON on stdout, one a line."`
}

// Help is shown with the command's own help.
func (terminalsScenariosCmd) Help() string {
	return `AMOUNT ends the amounts that choose the scenario at a gateway that runs with
--dev --scenarios-by-amount: 12.53 or 0.53 for .53. TOLD is what the till is told,
TRUTH what is known in the end; both at the pace of people.

    tillwire terminals scenarios
    tillwire terminals scenarios --faults --json`
}

// Run lists the scenarios.
func (c terminalsScenariosCmd) Run(s streams) error {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	if !c.JSON {
		fmt.Fprintln(w, "NAME\tAMOUNT\tTOLD\tTRUTH\tWHAT HAPPENS")
	}
	for _, sc := range spec.Default().Scenarios().Scenarios {
		if c.Faults && !sc.Fault {
			continue
		}
		if c.JSON {
			if err := json.MarshalWrite(s.out, sc, json.OmitZeroStructFields(true)); err != nil {
				return err
			}
			fmt.Fprintln(s.out)
			continue
		}
		told := sc.Expect.Told
		if told == "" {
			told = fmt.Sprintf("error %d", sc.Expect.Error)
		}
		fmt.Fprintf(w, "%s\t.%02d\t%s\t%s\t%s\n", sc.Name, sc.Ending, told, sc.Expect.Truth, sc.Happens)
	}
	return w.Flush()
}
