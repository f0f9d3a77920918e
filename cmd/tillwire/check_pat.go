package main

import (
	"github.com/tillwire/tillwire/conform"
	"github.com/tillwire/tillwire/spec"
)

type checkPatCmd struct {
	checkFlags
	Tables  []string `default:"12,14,15" placeholder:"A,B,C" help:"Names of three tables that the check may use."`
	Waiters []string `default:"1,2" placeholder:"A,B" help:"Ids of two waiters who may use the card machines."`
}

// Help is shown with the command's own help.
func (checkPatCmd) Help() string {
	return `It starts a gateway with simulated card machines in a temporary folder, and waiters
who use them. It says which tables to open in the till, watches what the till
answers, and decides line by line. The data folder gives the key that signs the
report, and is not used otherwise.

    tillwire check pat
    tillwire check pat --tables T1,T2,T3 --waiters 101,102
    tillwire check pat --only pat.list,pat.lock
    tillwire check pat --till-command ./drive-my-till.sh --junit till.xml --report report.json

Exit codes: 0 every line that must pass has passed; 1 not so, or an error; 2 wrong
usage. A line of the optional ones may be left out, but not fail.`
}

// Run tries a till.
func (c checkPatCmd) Run(s streams) error {
	o := conform.TableOptions{}
	if len(c.Tables) != len(o.Tables) || len(c.Waiters) != len(o.Waiters) {
		return usage("--tables takes three names and --waiters two ids, with commas between them")
	}
	copy(o.Tables[:], c.Tables)
	copy(o.Waiters[:], c.Waiters)
	return c.run(s, spec.PAT, conform.TableChecks(o))
}
