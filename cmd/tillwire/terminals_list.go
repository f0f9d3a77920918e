package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/go-json-experiment/json"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/internal/folder"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/txn"
)

type terminalsListCmd struct {
	URL  string `name:"url" env:"TILLWIRE_URL" placeholder:"URL" help:"Ask the gateway with --dev at this address, as in http://127.0.0.1:8484, in place of a data folder."`
	Site string `placeholder:"SITE" help:"Only terminals of this site. With --url it is demo by default."`
	JSON bool   `name:"json" help:"Print one JSON object a line."`
	dataFlags
}

// Help is shown with the command's own help.
func (terminalsListCmd) Help() string {
	return `Those that the gateway knows since it was started, and those that are enrolled.
The gateway that runs on the data folder is asked; without one only the enrolled
ones are listed. To a gateway with --dev --url is another way.

    tillwire terminals list
    tillwire terminals list --url http://127.0.0.1:8484`
}

// Run lists the terminals.
func (c terminalsListCmd) Run(s streams) error {
	list, err := c.list()
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	if !c.JSON {
		fmt.Fprintln(w, "TID\tCURRENCY\tSTATUS\tLAST SEEN\tMODEL\tSOFTWARE\tSITE\tKEYS")
	}
	for _, t := range list {
		if c.JSON {
			if err := printJSON(s, t); err != nil {
				return err
			}
			continue
		}
		seen := "-"
		if !t.LastSeen.IsZero() {
			seen = clock(t.LastSeen)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", t.TID, orDash(string(t.Currency)), t.status(), seen,
			orDash(t.Model), orDash(t.Software), t.Site, orDash(strings.Join(t.Keys, " ")))
	}
	return w.Flush()
}

func (c terminalsListCmd) list() ([]standingView, error) {
	if c.URL != "" {
		return c.atDev()
	}
	dir, err := c.dir()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), quick)
	defer cancel()
	client, err := folder.Client(ctx, dir)
	if err == nil {
		r, err := sendOrder(ctx, client, order{Terminals: &terminalsOrder{Site: txn.SiteID(c.Site)}})
		return r.Terminals, err
	}
	if !errors.Is(err, folder.ErrNobody) {
		return nil, err
	}
	var list []standingView
	err = c.read(func(ctx context.Context, store journal.Store) error {
		list, err = terminalsOrder{Site: txn.SiteID(c.Site)}.list(ctx, store, nil)
		return err
	})
	return list, err
}

// atDev asks a gateway that runs with --dev.
func (c terminalsListCmd) atDev() ([]standingView, error) {
	client, err := devFlags{URL: c.URL, Site: cmp.Or(c.Site, devSite)}.client()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), quick)
	defer cancel()
	resp, err := client.ask(ctx, http.MethodGet, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var list []standingView
	err = json.UnmarshalRead(resp.Body, &list)
	return list, err
}

// status is how a terminal stands, in a word.
func (t standingView) status() string {
	switch {
	case !t.Connected:
		return "NOT CONNECTED"
	case t.Busy:
		return "BUSY"
	}
	return "AVAILABLE"
}

// A terminalsOrder asks for the terminals of a site, or of all.
type terminalsOrder struct {
	Site txn.SiteID `json:"site,omitzero"`
}

// list returns those that the gateway knows, which may be nil, and those that
// are enrolled.
func (o terminalsOrder) list(ctx context.Context, store journal.Store, g *gateway.Gateway) ([]standingView, error) {
	sites, err := store.Sites(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := store.Keys(ctx)
	if err != nil {
		return nil, err
	}
	var out []standingView
	found := false
	for _, s := range sites {
		if o.Site != "" && s.ID != o.Site {
			continue
		}
		found = true
		out = append(out, standing(s.ID, keys, g)...)
	}
	if o.Site != "" && !found {
		return nil, fmt.Errorf("there is no site %q", o.Site)
	}
	return out, nil
}

// standing tells how the terminals of a site stand. Of the keys, the working
// ones of its terminals count.
func standing(site txn.SiteID, keys []journal.Key, g *gateway.Gateway) []standingView {
	out := []standingView{}
	if g != nil {
		for _, t := range g.Terminals(site) {
			out = append(out, standingView{
				Site: site, TID: t.TID, Model: t.Capabilities.Model, Software: t.Capabilities.Software, Currency: t.Capabilities.Currency,
				Connected: t.Connected, Busy: t.Busy, LastSeen: t.LastSeen.UTC(),
			})
		}
	}
	for _, k := range keys {
		if k.Site != site || k.TID == "" || !k.Revoked.IsZero() {
			continue
		}
		i := slices.IndexFunc(out, func(t standingView) bool { return strings.EqualFold(string(t.TID), string(k.TID)) })
		if i < 0 {
			i = len(out)
			out = append(out, standingView{Site: site, TID: k.TID})
		}
		out[i].Keys = append(out[i].Keys, k.ID)
	}
	return out
}
