package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
)

// This file shows the tables that tills store at the gateway.

// keptOf replays the stored table of a head.
func keptOf(ctx context.Context, store journal.Journal, h journal.Head) (table.Kept, error) {
	records, err := store.Records(ctx, h.Stream)
	if err != nil {
		return table.Kept{}, err
	}
	return journal.ReplayKept(records)
}

// A keptView is what a list says of a stored table. Amounts are minor units.
type keptView struct {
	Name     table.TableID `json:"name"`
	Amount   money.Minor   `json:"amount"` // the bill
	Paid     money.Minor   `json:"paid"`
	Gratuity money.Minor   `json:"gratuity"`
	LockedBy string        `json:"lockedBy,omitzero"`
	Payments int           `json:"payments"`
	Late     int           `json:"late,omitzero"` // of those, how many came after it was deleted
}

func viewKept(k table.Kept) *keptView {
	out := &keptView{Name: k.Name, Amount: k.Amount, Paid: k.Paid(), Gratuity: k.Gratuity(), LockedBy: k.LockedBy, Payments: len(k.Payments)}
	for _, p := range k.Payments {
		if p.Late {
			out.Late++
		}
	}
	return out
}

// truth says what is true of a stored table.
func (v keptView) truth(h journal.Head) string {
	paid := ""
	if v.Paid > 0 {
		paid = " " + v.Paid.Decimal()
	}
	switch {
	case v.Late > 0:
		return h.Result + paid + " (paid after it was deleted)"
	case h.Result != "":
		return h.Result + paid
	case v.Paid > 0:
		return "so far" + paid
	}
	return "nothing yet"
}

type historyTablesCmd struct {
	Site string `placeholder:"SITE" help:"Only this site."`
	JSON bool   `name:"json" help:"Print one JSON object a line."`
	dataFlags
}

// Help is shown with the command's own help.
func (historyTablesCmd) Help() string {
	return `Tables that tills store at the gateway are there until a till deletes them.

    tillwire history tables --site shop`
}

// Run lists the stored tables.
func (c historyTablesCmd) Run(s streams) error {
	return c.read(func(ctx context.Context, store journal.Store) error {
		heads, err := store.OpenStreams(ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
		if !c.JSON {
			fmt.Fprintln(w, "STORED\tSITE\tTABLE\tAMOUNT\tPAID\tSTATE\tBY\tWAITERS\tID")
		}
		for _, h := range heads {
			if h.Kind != journal.KeptStream || c.Site != "" && string(h.Site) != c.Site {
				continue
			}
			k, err := keptOf(ctx, store, h)
			if err != nil {
				return fmt.Errorf("table %s: %w", h.Stream, err)
			}
			if c.JSON {
				if err := printJSON(s, entry{Head: h, kept: viewKept(k)}.view()); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", clock(k.At), k.Site, k.Name, keptAmount(k, k.Amount), keptAmount(k, k.Paid()),
				k.State, orDash(k.LockedBy), orDash(waiterList(k.Waiters)), k.ID)
		}
		return w.Flush()
	})
}

func keptAmount(k table.Kept, m money.Minor) string {
	return money.Amount{Minor: m, Currency: k.Currency}.String()
}

func waiterList(ids []table.WaiterID) string {
	words := make([]string, len(ids))
	for i, w := range ids {
		words[i] = string(w)
	}
	return strings.Join(words, " ")
}

type historyTableCmd struct {
	Name string `arg:"" help:"The table's name."`
	Site string `placeholder:"SITE" help:"Only at this site."`
	JSON bool   `name:"json" help:"Print one JSON object."`
	dataFlags
}

// Help is shown with the command's own help.
func (historyTableCmd) Help() string {
	return `Shows the life of the newest table of that name which a till stored at the
gateway, whether it is still there or not: each change, who held its lock, the
payments. Earlier tables of the name are listed; each is a table of its own.

    tillwire history table 12 --site shop`
}

// Run shows the newest table of the name.
func (c historyTableCmd) Run(s streams) error {
	return c.read(func(ctx context.Context, store journal.Store) error {
		all, err := tablesNamed(ctx, store, txn.SiteID(c.Site), table.TableID(c.Name))
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return hint(fmt.Errorf("no table %q was stored", c.Name), "tillwire history tables lists those that are")
		}
		records, err := store.Records(ctx, all[0].Stream)
		if err != nil {
			return err
		}
		if c.JSON {
			return showJSON(s, all[0], records)
		}
		if err := show(s.out, all[0], records); err != nil {
			return err
		}
		if len(all) == 1 {
			return nil
		}
		fmt.Fprintln(s.out, "\nearlier")
		return printEntries(s.out, all[1:])
	})
}

// tablesNamed finds the tables of a name, newest first.
func tablesNamed(ctx context.Context, store journal.Store, site txn.SiteID, name table.TableID) ([]entry, error) {
	var out []entry
	q := journal.Query{Site: site, Kind: journal.KeptStream, Limit: 256}
	seen := map[journal.Stream]bool{}
	for {
		heads, err := store.List(ctx, q)
		if err != nil {
			return nil, err
		}
		entries, err := entriesOf(ctx, store, heads)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !seen[e.Stream] && e.kept != nil && e.kept.Name == name {
				out = append(out, e)
			}
			seen[e.Stream] = true
		}
		if len(heads) < q.Limit {
			return out, nil
		}
		until := heads[len(heads)-1].AcceptedAt.Add(time.Nanosecond) // that instant once more
		if until.Equal(q.Until) {
			q.Limit *= 2 // more than a page was stored in one instant
		}
		q.Until = until
	}
}

type historyUnlockCmd struct {
	Name   string `arg:"" help:"The stored table."`
	Site   string `required:"" placeholder:"SITE" help:"The site whose table it is."`
	Reason string `required:"" placeholder:"TEXT" help:"Why, for the record."`
	JSON   bool   `name:"json" help:"Print one JSON object."`
	dataFlags
}

// Help is shown with the command's own help.
func (historyUnlockCmd) Help() string {
	return `Ends whatever lock a stored table is under: of a till that failed while it held
one, or of a card machine that will not come back. A till can do so itself by an
override. A visit that held the table goes on, and what is paid in it is booked to
the table all the same. Who wanted it is recorded with the reason.

    tillwire history unlock 12 --site shop --reason "till 2 is broken"`
}

// An unlockOrder ends the lock of a stored table.
type unlockOrder struct {
	Site   txn.SiteID    `json:"site"`
	Table  table.TableID `json:"table"`
	By     string        `json:"by"`
	Reason string        `json:"reason"`
}

// An unlockedView says whose lock was ended.
type unlockedView struct {
	Site   txn.SiteID    `json:"site"`
	Table  table.TableID `json:"table"`
	Holder string        `json:"heldBy"`
}

func (o unlockOrder) carryOut(ctx context.Context, store journal.Store, g *gateway.Gateway) (result, error) {
	unlock := func() (string, error) { return gateway.FreeTable(ctx, store, o.Site, o.Table, o.By, o.Reason) }
	if g != nil { // it holds the tables in its hands
		unlock = func() (string, error) { return g.UnlockTable(ctx, o.Site, o.Table, o.By, o.Reason) }
	}
	holder, err := unlock()
	switch {
	case errors.Is(err, gateway.ErrNoTable):
		return result{}, fmt.Errorf("no table %q is stored at site %q", o.Table, o.Site)
	case errors.Is(err, gateway.ErrNotLocked):
		return result{}, fmt.Errorf("nobody holds table %q", o.Table)
	case err != nil:
		return result{}, err
	}
	return result{Unlocked: &unlockedView{o.Site, o.Table, holder}}, nil
}

// Run ends the lock.
func (c historyUnlockCmd) Run(s streams) error {
	if strings.TrimSpace(c.Reason) == "" {
		return usage("--reason: say why, for who reads the record later")
	}
	o := order{Unlock: &unlockOrder{Site: txn.SiteID(c.Site), Table: table.TableID(c.Name), By: thisPerson(), Reason: c.Reason}}
	r, err := c.give(context.Background(), "tillwire history unlock", o)
	if err != nil && adviceOn(err) == "" {
		err = hint(err, "tillwire history tables --site %s lists the stored tables and who holds them", c.Site)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s, r.Unlocked)
	}
	_, err = fmt.Fprintf(s.out, "table %s is unlocked; %s held it\n", c.Name, r.Unlocked.Holder)
	return err
}

// showKept prints how a stored table stands, its payments and its bill.
func showKept(out io.Writer, k table.Kept) error {
	amount := func(m money.Minor) string { return keptAmount(k, m) }
	fmt.Fprintf(out, "table    %s\n", k.Name)
	fmt.Fprintf(out, "bill     %s\n", amount(k.Amount))
	fmt.Fprintf(out, "paid     %s, gratuity %s; %s is left\n", amount(k.Paid()), amount(k.Gratuity()), amount(max(k.Outstanding(), 0)))
	fmt.Fprintf(out, "waiters  %s\n", cmp.Or(waiterList(k.Waiters), "all"))
	if k.LockedBy != "" {
		visit := ""
		if k.Visit != "" {
			visit = ", in visit " + string(k.Visit)
		}
		fmt.Fprintf(out, "locked   by %s since %s%s\n", k.LockedBy, clock(k.LockedAt), visit)
	}
	if !k.DeletedAt.IsZero() {
		fmt.Fprintf(out, "deleted  %s\n", clock(k.DeletedAt))
	}
	if k.State == table.Stray {
		fmt.Fprintln(out, "stray    it was paid after it was deleted: no till may have booked that")
	}
	if len(k.Payments) > 0 {
		fmt.Fprintln(out)
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "PAYMENT\tTOWARDS THE BILL\tGRATUITY\tCARD\tAUTH CODE\tTID\tWAITER\tVISIT\tNOTE")
		for _, p := range k.Payments {
			note := "-"
			if p.Late {
				note = "the table was deleted by then"
			}
			r := p.Receipt
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.ID, amount(r.Paid), amount(r.Gratuity),
				orDash(strings.TrimSpace(r.Scheme+" "+r.PAN)), orDash(r.AuthCode), p.TID, orDash(string(p.Waiter)), p.Visit, note)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	printCopies(out, receipt.Copies{Customer: k.Receipt})
	return nil
}

// tellKept says in a few words what an event of a stored table says.
func tellKept(e table.KeptEvent) string {
	by := func(who string) string {
		if who == "" {
			return ""
		}
		return ", by " + who
	}
	over := func(who string) string {
		if who == "" {
			return ""
		}
		return fmt.Sprintf(", overriding the lock of %s", who)
	}
	switch e := e.(type) {
	case table.Created:
		return fmt.Sprintf("table %s is stored, of %s", e.Name, money.Amount{Minor: e.Amount, Currency: e.Currency}) + by(e.By) + tolerated(e.Deviations)
	case table.AmountChanged:
		return fmt.Sprintf("the bill is %s, was %s", e.Amount.Decimal(), e.Known.Amount.Decimal()) + by(e.By) + tolerated(e.Deviations)
	case table.ReceiptChanged:
		return fmt.Sprintf("the bill has %d lines", len(e.Receipt)) + by(e.By) + tolerated(e.Deviations)
	case table.WaitersChanged:
		return "the waiters are " + cmp.Or(waiterList(e.Waiters), "all") + by(e.By) + tolerated(e.Deviations)
	case table.TillLocked:
		return "locked by " + cmp.Or(e.Holder, table.DefaultHolder) + over(e.Over) + by(e.By) + tolerated(e.Deviations)
	case table.TillUnlocked:
		return "unlocked by " + cmp.Or(e.Holder, "a till") + over(e.Over) + by(e.By) + tolerated(e.Deviations)
	case table.TerminalLocked:
		return fmt.Sprintf("locked at %s in visit %s", e.TID, e.Visit) + waiterWords(e.Waiter)
	case table.TerminalUnlocked:
		return fmt.Sprintf("visit %s is over", e.Visit)
	case table.UnlockedByHand:
		return "unlocked by hand, by " + e.By + because(e.Reason)
	case table.PaymentBooked:
		return fmt.Sprintf("payment %s of visit %s at %s is booked: %s", e.Payment, e.Visit, e.TID, taken(e.Receipt))
	case table.Removed:
		return "deleted" + by(e.By) + tolerated(e.Deviations)
	}
	return ""
}

// strays are the payments of tables that were deleted by then: money that no till
// may have booked.
func strays(ctx context.Context, store journal.Store, q journal.Query) ([]orphanView, error) {
	tid := q.TID
	q.Kind, q.State, q.TID = journal.KeptStream, string(table.Stray), ""
	heads, err := store.List(ctx, q)
	if err != nil {
		return nil, err
	}
	var out []orphanView
	for _, h := range heads {
		k, err := keptOf(ctx, store, h)
		if errors.Is(err, journal.ErrNotFound) {
			continue // it was pruned just now
		}
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", h.Stream, err)
		}
		for _, p := range k.Payments {
			if !p.Late || tid != "" && txn.TID(p.TID) != tid {
				continue
			}
			v := orphanView{headView: viewHead(h), AuthCode: p.Receipt.AuthCode, TransactionID: txn.TransactionID(p.Receipt.TransactionID), Number: p.Receipt.Number}
			v.TID, v.Accepted, v.Payment, v.Table = txn.TID(p.TID), p.At.UTC(), p.ID, k.Name
			v.Amount = int64(p.Receipt.Paid + p.Receipt.Gratuity + p.Receipt.Cashback)
			v.Type, v.Result = "PAYMENT", string(txn.Successful)
			out = append(out, v)
		}
	}
	return out, nil
}
