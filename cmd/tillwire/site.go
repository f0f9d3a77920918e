package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/txn"
)

type siteCmd struct {
	Add  siteAddCmd  `cmd:"" help:"Add a site."`
	List siteListCmd `cmd:"" help:"List the sites."`
	Set  siteSetCmd  `cmd:"" help:"Change what a site is like; what is not named stays."`
}

// Help is shown with the command's own help.
func (siteCmd) Help() string {
	return `A site is a shop or restaurant with its own keys and terminals. No till sees
anything of another site. A running gateway takes changes over at once.

    tillwire site add shop --name "Shop in Leeds" --time-zone Europe/London
    tillwire key add shop`
}

// siteFlags say what a site is like.
type siteFlags struct {
	Name       *string           `placeholder:"TEXT" help:"Name, for people."`
	TimeZone   *string           `placeholder:"ZONE" help:"Time zone of the times on the wire, as in Europe/London; by default the machine's."`
	Strict     *bool             `negatable:"" help:"Refuse unknown members in messages."`
	Unanswered *string           `name:"unanswered-signature" enum:"accept,reject" placeholder:"accept|reject" help:"What becomes of a signature that nobody answers; the contract accepts it."`
	PAT        *string           `name:"pat" enum:"auto,websocket,rest" placeholder:"auto|websocket|rest" help:"Who keeps the tables of Pay-At-Table: the till, asked over its WebSocket, or the gateway, for tills that store them over REST; auto is the gateway while it has any, else the till."`
	Simulated  *string           `placeholder:"LETTERS" help:"Give the site simulated terminals, named by these four letters; an empty word takes them away."`
	Limit      map[string]string `placeholder:"NAME=TIME" help:"Another time limit than the contract's, as in signature=60s; without a time the contract's again."`
}

func (f siteFlags) order(id string) *siteOrder {
	o := &siteOrder{
		ID: txn.SiteID(id), Name: f.Name, TimeZone: f.TimeZone,
		Strict: f.Strict, PAT: f.PAT, Simulated: f.Simulated, Limits: f.Limit,
	}
	if f.Unanswered != nil {
		reject := *f.Unanswered == "reject"
		o.RejectUnanswered = &reject
	}
	return o
}

type siteAddCmd struct {
	ID   string `arg:"" help:"Short name of the site: lower-case letters, digits and hyphens."`
	JSON bool   `name:"json" help:"Print one JSON object."`
	siteFlags
	dataFlags
}

// Help is shown with the command's own help.
func (siteAddCmd) Help() string {
	return `Example:

    tillwire site add shop --name "Shop in Leeds" --simulated SHOP`
}

// Run adds the site.
func (c siteAddCmd) Run(s streams) error {
	r, err := c.give(context.Background(), "tillwire site add", order{AddSite: c.order(c.ID)})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s, r.Site)
	}
	_, err = fmt.Fprintf(s.out, "site %s is there; tillwire key add %s makes a key for its tills\n", c.ID, c.ID)
	return err
}

type siteSetCmd struct {
	ID   string `arg:"" help:"The site."`
	JSON bool   `name:"json" help:"Print one JSON object."`
	siteFlags
	dataFlags
}

// Help is shown with the command's own help.
func (siteSetCmd) Help() string {
	return `Example:

    tillwire site set shop --unanswered-signature reject --limit signature=60s
    tillwire site set bistro --pat rest`
}

// Run changes the site.
func (c siteSetCmd) Run(s streams) error {
	r, err := c.give(context.Background(), "tillwire site set", order{SetSite: c.order(c.ID)})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s, r.Site)
	}
	return printSites(s, []*siteView{r.Site})
}

type siteListCmd struct {
	JSON bool `name:"json" help:"Print one JSON object a line."`
	dataFlags
}

// Help is shown with the command's own help.
func (siteListCmd) Help() string {
	return `Example:

    tillwire site list --json`
}

// Run lists the sites.
func (c siteListCmd) Run(s streams) error {
	return c.read(func(ctx context.Context, store journal.Store) error {
		sites, err := store.Sites(ctx)
		if err != nil {
			return err
		}
		views := make([]*siteView, len(sites))
		for i, site := range sites {
			views[i] = viewSite(site)
		}
		if !c.JSON {
			return printSites(s, views)
		}
		for _, v := range views {
			if err := printJSON(s, v); err != nil {
				return err
			}
		}
		return nil
	})
}

// patAuto is how the setting is written that a site has by default.
const patAuto = "auto"

// A siteView is a site as it is shown.
type siteView struct {
	ID               txn.SiteID        `json:"id"`
	Name             string            `json:"name"`
	TimeZone         string            `json:"timeZone"`
	Strict           bool              `json:"strict"`
	RejectUnanswered bool              `json:"rejectUnanswered"`
	PAT              string            `json:"pat"`
	Simulated        string            `json:"simulated"`
	Limits           map[string]string `json:"limits"`
	Created          time.Time         `json:"created"`
}

func viewSite(s journal.Site) *siteView {
	v := &siteView{
		ID: s.ID, Name: s.Name, TimeZone: s.TimeZone, Strict: s.Strict, RejectUnanswered: s.RejectUnanswered,
		PAT: cmp.Or(string(s.PAT), patAuto), Simulated: s.Simulated, Limits: map[string]string{}, Created: s.Created.UTC(),
	}
	for name, d := range s.Limits {
		v.Limits[name] = d.String()
	}
	return v
}

func printSites(s streams, sites []*siteView) error {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SITE\tNAME\tTIME ZONE\tMODE\tUNANSWERED SIGNATURE\tPAY AT TABLE\tSIMULATED\tLIMITS")
	for _, v := range sites {
		mode, unanswered := "as deployed", "accepted"
		if v.Strict {
			mode = "strict"
		}
		if v.RejectUnanswered {
			unanswered = "rejected"
		}
		var limits []string
		for _, name := range slices.Sorted(maps.Keys(v.Limits)) {
			limits = append(limits, name+"="+v.Limits[name])
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", v.ID, orDash(v.Name), orDash(v.TimeZone), mode, unanswered, v.PAT, orDash(v.Simulated), orDash(strings.Join(limits, " ")))
	}
	return w.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
