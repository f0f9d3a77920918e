package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/txn"
)

type keyCmd struct {
	Add    keyAddCmd    `cmd:"" help:"Make a key for a site. It is shown this once: only its hash is kept."`
	List   keyListCmd   `cmd:"" help:"List the keys by their public ids, revoked ones too."`
	Revoke keyRevokeCmd `cmd:"" help:"End a key and close the connections that it opened."`
}

// Help is shown with the command's own help.
func (keyCmd) Help() string {
	return `A key opens one site to its tills. Revoking one stops no transaction that runs.
The keys of terminals are made by tillwire terminals enrol.

    tillwire key add shop --note "till 3"
    tillwire key list
    tillwire key revoke kABCDEFGH`
}

type keyAddCmd struct {
	Site string   `arg:"" help:"The site that it opens."`
	Note string   `placeholder:"TEXT" help:"What it is for, for people."`
	For  []string `enum:"pac,pat,rest,console" placeholder:"FACE" help:"Only for these: pac, pat, rest, console; by default for what tills have, pac, pat and rest."`
	JSON bool     `name:"json" help:"Print one JSON object."`
	dataFlags
}

// Help is shown with the command's own help.
func (keyAddCmd) Help() string {
	return `Example:

    tillwire key add shop --for pac --note "till 3"
    tillwire key add shop --for console --note "back office"`
}

// Run makes the key and shows it.
func (c keyAddCmd) Run(s streams) error {
	o := order{AddKey: &keyOrder{Site: txn.SiteID(c.Site), Note: c.Note, Faces: c.For}}
	r, err := c.give(context.Background(), "tillwire key add", o)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s, r)
	}
	fmt.Fprintf(s.err, "this is the only time that the key is shown; its id for list and revoke is %s\n", r.Key.ID)
	_, err = fmt.Fprintln(s.out, r.Secret)
	return err
}

type keyRevokeCmd struct {
	ID   string `arg:"" help:"The key's public id, as key list shows it."`
	JSON bool   `name:"json" help:"Print one JSON object."`
	dataFlags
}

// Help is shown with the command's own help.
func (keyRevokeCmd) Help() string {
	return `Example:

    tillwire key revoke kABCDEFGH`
}

// Run ends the key.
func (c keyRevokeCmd) Run(s streams) error {
	r, err := c.give(context.Background(), "tillwire key revoke", order{RevokeKey: c.ID})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s, r.Key)
	}
	_, err = fmt.Fprintf(s.out, "key %s of site %s is revoked\n", r.Key.ID, r.Key.Site)
	return err
}

type keyListCmd struct {
	Site string `placeholder:"SITE" help:"Only keys of this site."`
	JSON bool   `name:"json" help:"Print one JSON object a line."`
	dataFlags
}

// Help is shown with the command's own help.
func (keyListCmd) Help() string {
	return `Example:

    tillwire key list --site shop`
}

// Run lists the keys.
func (c keyListCmd) Run(s streams) error {
	return c.read(func(ctx context.Context, store journal.Store) error {
		keys, err := store.Keys(ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
		if !c.JSON {
			fmt.Fprintln(w, "KEY\tSITE\tFOR\tSTATE\tCREATED\tNOTE")
		}
		for _, k := range keys {
			if c.Site != "" && string(k.Site) != c.Site {
				continue
			}
			v := viewKey(k)
			if c.JSON {
				if err := printJSON(s, v); err != nil {
					return err
				}
				continue
			}
			state, faces := "works", "all"
			if !v.Revoked.IsZero() {
				state = "revoked " + clock(v.Revoked)
			}
			if len(v.Faces) > 0 {
				faces = strings.Join(v.Faces, ",")
			}
			if v.TID != "" {
				faces += " " + string(v.TID)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", v.ID, v.Site, faces, state, clock(v.Created), orDash(v.Note))
		}
		return w.Flush()
	})
}

// A keyView is a key as it is shown: neither itself nor its hash.
type keyView struct {
	ID      string     `json:"id"`
	Site    txn.SiteID `json:"site"`
	Faces   []string   `json:"faces"`        // empty is all that tills have
	TID     txn.TID    `json:"tid,omitzero"` // of the terminal that it is for
	Note    string     `json:"note"`
	Created time.Time  `json:"created"`
	Revoked time.Time  `json:"revoked,omitzero"`
}

func viewKey(k journal.Key) *keyView {
	return &keyView{ID: k.ID, Site: k.Site, Faces: k.Faces, TID: k.TID, Note: k.Note, Created: k.Created.UTC(), Revoked: k.Revoked.UTC()}
}

// clock writes a time as people of this machine read it.
func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }
