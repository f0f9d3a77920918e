package main

import (
	"context"
	"fmt"

	"github.com/tillwire/tillwire/txn"
)

type terminalsEnrolCmd struct {
	Site string `arg:"" help:"The site that the terminal belongs to."`
	TID  string `arg:"" name:"tid" help:"Its terminal id, as tills name it."`
	Note string `placeholder:"TEXT" help:"Where it stands, for people."`
	JSON bool   `name:"json" help:"Print one JSON object."`
	dataFlags
}

// Help is shown with the command's own help.
func (terminalsEnrolCmd) Help() string {
	return `The key lets this one terminal dial the gateway's terminal link, and opens
nothing else. It is shown this once: only its hash is kept. A terminal can have
several; tillwire key revoke ends one and closes the link that it opened.

    tillwire terminals enrol shop 10001234 --note "counter 2"`
}

// An enrolOrder names a terminal that is to have a key.
type enrolOrder struct {
	Site txn.SiteID `json:"site"`
	TID  txn.TID    `json:"tid"`
	Note string     `json:"note,omitzero"`
}

// Run makes the key and shows it.
func (c terminalsEnrolCmd) Run(s streams) error {
	o := order{Enrol: &enrolOrder{Site: txn.SiteID(c.Site), TID: txn.TID(c.TID), Note: c.Note}}
	r, err := c.give(context.Background(), "tillwire terminals enrol", o)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s, r)
	}
	fmt.Fprintf(s.err, "this is the only time that the key is shown; its id for key revoke is %s\n", r.Key.ID)
	_, err = fmt.Fprintln(s.out, r.Secret)
	return err
}
