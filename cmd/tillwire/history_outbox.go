package main

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
)

type historyOutboxCmd struct {
	Site string `placeholder:"SITE" help:"Only this site."`
	JSON bool   `name:"json" help:"Print one JSON object a line."`
	dataFlags
}

// Help is shown with the command's own help.
func (historyOutboxCmd) Help() string {
	return `What was paid at tables, unlocks, and reports that were started at terminals are
sent to the Pay-At-Table till until it has them: what is for one table in order.

    tillwire history outbox --site shop`
}

// A waitingView is a notice that a till is owed.
type waitingView struct {
	ID     journal.Stream `json:"id"`
	Site   txn.SiteID     `json:"site"`
	TID    txn.TID        `json:"tid"`
	Table  table.TableID  `json:"table,omitzero"`
	Number int            `json:"number"`
	Notice table.Notice   `json:"notice"`
	Since  time.Time      `json:"since"`
	Resent int            `json:"resent"`
	Why    string         `json:"why"`
}

// viewWaiting says why each notice waits. Those for one table, and a terminal's
// reports, wait for each other.
func viewWaiting(list []journal.Waiting) []waitingView {
	type queue struct {
		site  txn.SiteID
		table table.TableID
		tid   txn.TID // of reports
	}
	first := map[queue]bool{}
	out := make([]waitingView, 0, len(list))
	for _, w := range list {
		q := queue{site: w.Site, table: w.Table}
		if w.Notice == journal.ReportResponse {
			q.tid = w.TID
		}
		v := waitingView{
			ID: w.Stream, Site: w.Site, TID: w.TID, Table: w.Table, Number: w.N, Notice: w.Notice,
			Since: w.At.UTC(), Resent: w.Resent, Why: "not delivered yet",
		}
		switch {
		case first[q]:
			v.Why = "waits for the one before it"
		case w.Resent > 0:
			v.Why = "not delivered yet, sent anew"
		}
		first[q] = true
		out = append(out, v)
	}
	return out
}

// Run lists what waits.
func (c historyOutboxCmd) Run(s streams) error {
	return c.read(func(ctx context.Context, store journal.Store) error {
		list, err := journal.WaitingOf(ctx, store, txn.SiteID(c.Site))
		if err != nil {
			return err
		}
		views := viewWaiting(list)
		if c.JSON {
			for _, v := range views {
				if err := printJSON(s, v); err != nil {
					return err
				}
			}
			return nil
		}
		w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "SINCE\tSITE\tTID\tTABLE\tNOTICE\tWHY\tID\tNUMBER")
		for _, v := range views {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\n", clock(v.Since), v.Site, v.TID, orDash(string(v.Table)), v.Notice, v.Why, v.ID, v.Number)
		}
		return w.Flush()
	})
}

type historyResendCmd struct {
	ID     string `arg:"" help:"The visit or report, as history list shows it."`
	Notice int    `placeholder:"N" help:"Only this notice, as history show numbers them; by default all that were delivered."`
	Reason string `required:"" placeholder:"TEXT" help:"Why, for the record."`
	JSON   bool   `name:"json" help:"Print one JSON object."`
	dataFlags
}

// Help is shown with the command's own help.
func (historyResendCmd) Help() string {
	return `For what a till lost after it had it: a till that died before it booked, or came
back from a backup. A till knows payments that it has by their paymentId. Who
wanted it is recorded with the reason. What was not delivered yet is sent by
itself.

    tillwire history resend vABCDEFGHIJKLMNOPQRSTUVWXYZ --reason "the till came back from yesterday's backup"`
}

// Run has delivered notices sent anew.
func (c historyResendCmd) Run(s streams) error {
	if c.Notice < 0 {
		return usage("--notice: the first is 1")
	}
	if strings.TrimSpace(c.Reason) == "" {
		return usage("--reason: say why, for who reads the record later")
	}
	o := order{Resend: &resendOrder{ID: journal.Stream(c.ID), Notice: c.Notice, By: thisPerson(), Reason: c.Reason}}
	r, err := c.give(context.Background(), "tillwire history resend", o)
	if err != nil && adviceOn(err) == "" {
		err = hint(err, "tillwire history show %s shows what was delivered, tillwire history outbox what waits", c.ID)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s, r.Resent)
	}
	notices := "1 notice"
	if r.Resent.Count != 1 {
		notices = fmt.Sprintf("%d notices", r.Resent.Count)
	}
	when := "when a gateway runs and the till is connected"
	if r.Resent.Running {
		when = "now, or when the till is connected"
	}
	_, err = fmt.Fprintf(s.out, "%s of %s will be sent anew, %s\n", notices, c.ID, when)
	return err
}

// thisPerson is who runs this program, as the system knows them.
func thisPerson() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return fmt.Sprintf("uid %d", os.Getuid())
}
