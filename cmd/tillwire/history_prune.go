package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/txn"
)

type historyPruneCmd struct {
	OlderThan age    `required:"" placeholder:"AGE" help:"What had its end longer ago, as in 90d; at least 7d."`
	Site      string `placeholder:"SITE" help:"Only this site."`
	DryRun    bool   `help:"Only say what would go."`
	Looked    bool   `help:"Somebody has looked at the conflicts and orphans, so that those go as well."`
	JSON      bool   `name:"json" help:"Print one JSON object."`
	dataFlags
}

// Help is shown with the command's own help.
func (historyPruneCmd) Help() string {
	return `Removes what has its end and is old. What is open, unresolved or owed to a till
stays however old it is. So do stored tables, the last transaction of each terminal,
which a duplicate names, and, unless you say --looked, each conflict, orphan and table
that was paid after it was deleted. What was removed and by whom is recorded; the
links of the chain stay, so that history verify still finds any other record that was
altered or taken away. The space is used again; the file does not shrink. Keep a
backup of what the law wants kept.

By itself a gateway removes nothing. For a site it does once you say how long to
keep: tillwire site set shop --limit keepOutcomes=90d --limit keepReports=30d

    tillwire history prune --older-than 90d --dry-run
    tillwire history prune --older-than 90d --site shop`
}

// An age is a duration that may be given in days.
type age time.Duration

// UnmarshalText reads a duration like 90d, 12h or 1d12h.
func (a *age) UnmarshalText(b []byte) error {
	d, err := parseAge(string(b))
	*a = age(d)
	return err
}

// parseAge is time.ParseDuration with days in front.
func parseAge(text string) (time.Duration, error) {
	days, rest, ok := strings.Cut(text, "d")
	if !ok {
		return time.ParseDuration(text)
	}
	n, err := strconv.Atoi(days)
	if err != nil || n < 0 || n > 36500 {
		return 0, fmt.Errorf("%q is not a time like 90d or 12h", text)
	}
	d := time.Duration(n) * 24 * time.Hour
	if rest == "" {
		return d, nil
	}
	more, err := time.ParseDuration(rest)
	if more < 0 {
		err = fmt.Errorf("%q is not a time like 90d or 12h", text)
	}
	return d + more, err
}

// A pruneOrder names what may go.
type pruneOrder struct {
	Site   txn.SiteID `json:"site,omitzero"`
	Before time.Time  `json:"before"`
	Looked bool       `json:"looked,omitzero"`
	By     string     `json:"by"`
}

// prunedView is what went, or would go.
type prunedView struct {
	Requests int                     `json:"requests"`
	Records  int                     `json:"records"`
	Kept     map[journal.Keeping]int `json:"kept"`
	DryRun   bool                    `json:"dryRun,omitzero"`
}

// pruneMost is how many one order removes: a gateway that is asked to stop does
// not wait long for it.
const pruneMost = 2000

func (o pruneOrder) cut() journal.Cut {
	return journal.Cut{
		Site: o.Site, Outcomes: o.Before, Reports: o.Before, Looked: o.Looked, Most: pruneMost,
		Why: fmt.Sprintf("ended before %s, by %s", o.Before.UTC().Format(time.RFC3339), o.By),
	}
}

func (o pruneOrder) carryOut(ctx context.Context, store journal.Store) (result, error) {
	if time.Since(o.Before) < spec.Default().Timer(spec.TimerKeepOutcomes) {
		return result{}, fmt.Errorf("what ended after %s is kept", o.Before)
	}
	done, err := journal.Sweep(ctx, store, o.cut())
	return result{Pruned: &prunedView{Requests: done.Streams, Records: done.Records, Kept: done.Kept}}, err
}

// Run prunes.
func (c historyPruneCmd) Run(s streams) error {
	least := spec.Default().Timer(spec.TimerKeepOutcomes)
	if time.Duration(c.OlderThan) < least {
		return usage("--older-than: at least %dd, for tills that come back for an outcome", int(least.Hours())/24)
	}
	o := pruneOrder{Site: txn.SiteID(c.Site), Before: time.Now().Add(-time.Duration(c.OlderThan)).UTC(), Looked: c.Looked, By: thisPerson()}
	out := prunedView{DryRun: c.DryRun}
	if c.DryRun {
		err := c.read(func(ctx context.Context, store journal.Store) error {
			cut := o.cut()
			cut.DryRun, cut.Most = true, 0
			done, err := journal.Sweep(ctx, store, cut)
			out.Requests, out.Records, out.Kept = done.Streams, done.Records, done.Kept
			return err
		})
		if err != nil {
			return err
		}
		return out.print(s, c.JSON)
	}
	for {
		r, err := c.give(context.Background(), "tillwire history prune", order{Prune: &o})
		if err != nil {
			return err
		}
		out.Requests += r.Pruned.Requests
		out.Records += r.Pruned.Records
		out.Kept = r.Pruned.Kept
		if r.Pruned.Requests < pruneMost {
			return out.print(s, c.JSON)
		}
	}
}

func (v prunedView) print(s streams, asJSON bool) error {
	if asJSON {
		return printJSON(s, v)
	}
	verb := "removed"
	if v.DryRun {
		verb = "would remove"
	}
	fmt.Fprintf(s.out, "%s %d requests with %d records\n", verb, v.Requests, v.Records)
	words := map[journal.Keeping]string{
		journal.KeptOpen:     "open, stored, unresolved or owed to a till",
		journal.KeptConflict: "conflicts to be looked at",
		journal.KeptOrphan:   "orphans, or tables paid after they were deleted, to be looked at",
		journal.KeptLast:     "the last of their terminals",
	}
	for _, why := range slices.Sorted(maps.Keys(v.Kept)) {
		fmt.Fprintf(s.out, "kept %d: %s\n", v.Kept[why], words[why])
	}
	return nil
}
