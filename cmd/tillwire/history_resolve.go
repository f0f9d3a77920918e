package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
)

type historyResolveCmd struct {
	ID       string       `arg:"" help:"The transaction or visit, as history unresolved shows it."`
	Result   string       `required:"" enum:"successful,unsuccessful" placeholder:"successful|unsuccessful" help:"Whether money was taken."`
	Reason   string       `required:"" placeholder:"TEXT" help:"How that is known, for the record."`
	Payment  string       `placeholder:"PAYMENT" help:"The payment of a visit that is meant."`
	Amount   *amountValue `placeholder:"AMOUNT" help:"What that payment paid towards the bill, as in 22.75; by default what it was begun with."`
	Gratuity *amountValue `placeholder:"AMOUNT" help:"Its gratuity."`
	AuthCode string       `placeholder:"CODE" help:"The auth code on its slip, for the till."`
	JSON     bool         `name:"json" help:"Print one JSON object."`
	dataFlags
}

// An amountValue is an amount as it is typed, of whatever currency: all that the
// contract knows have two decimals.
type amountValue struct{ minor money.Minor }

// UnmarshalText reads an amount that is more than nothing.
func (v *amountValue) UnmarshalText(b []byte) error {
	a, err := money.Parse(string(b), money.GBP)
	if err == nil && a.Minor <= 0 {
		err = errors.New("it must be more than nothing")
	}
	v.minor = a.Minor
	return err
}

// Help is shown with the command's own help.
func (historyResolveCmd) Help() string {
	return `For what no terminal will tell any more: one that was replaced, lost its memory,
or never comes back. Look at the terminal's own list, at the slip, or ask the
acquirer; do not guess. Who said so is recorded with the reason. From then on the
terminal is not asked any more, and a duplicate says the result with the words
RECORDED BY HAND. Should the terminal speak after all, its word is kept beside
this one and counts; where they differ history marks a conflict.

    tillwire history resolve rABCDEFGHIJKLMNOPQRSTUVWXYZ --result unsuccessful --reason "acquirer: no such payment, ref 4711"
    tillwire history resolve vABCDEFGHIJKLMNOPQRSTUVWXYZ --payment 0d7f2a44-6a52-4c0c-9a1e-5f5b6a3e9c01 --result successful --amount 22.75 --reason "slip in the drawer"`
}

// A resolveOrder is an operator's word on what is unresolved.
type resolveOrder struct {
	ID       journal.Stream  `json:"id"`
	Taken    bool            `json:"taken"`
	By       string          `json:"by"`
	Reason   string          `json:"reason"`
	Payment  table.PaymentID `json:"payment,omitzero"`
	Amount   money.Minor     `json:"amount,omitzero"` // minor units, as the gratuity
	Gratuity money.Minor     `json:"gratuity,omitzero"`
	AuthCode string          `json:"authCode,omitzero"`
}

func (o resolveOrder) carryOut(ctx context.Context, store journal.Store, g *gateway.Gateway) (result, error) {
	r := gateway.Resolution{
		Stream: o.ID, Taken: o.Taken, By: o.By, Reason: o.Reason, Payment: o.Payment,
		Receipt: table.Receipt{Paid: o.Amount, Gratuity: o.Gratuity, AuthCode: o.AuthCode},
	}
	var err error
	if g != nil { // it holds what is open in its hands
		err = g.Resolve(ctx, r)
	} else {
		err = gateway.Settle(ctx, store, r)
	}
	if errors.Is(err, journal.ErrNotFound) {
		err = fmt.Errorf("nothing has the id %q", o.ID)
	}
	return result{Resolved: err == nil}, err
}

// Run records the operator's word.
func (c historyResolveCmd) Run(s streams) error {
	if strings.TrimSpace(c.Reason) == "" {
		return usage("--reason: say how it is known, for who reads the record later")
	}
	o := resolveOrder{
		ID: journal.Stream(c.ID), Taken: c.Result == "successful", By: thisPerson(), Reason: c.Reason,
		Payment: table.PaymentID(c.Payment), AuthCode: c.AuthCode,
	}
	switch {
	case c.Payment == "" && (c.Amount != nil || c.Gratuity != nil || c.AuthCode != ""):
		return usage("--amount, --gratuity and --auth-code are for a visit's payment: name it with --payment")
	case !o.Taken && (c.Amount != nil || c.Gratuity != nil || c.AuthCode != ""):
		return usage("a payment that took nothing has no amount, gratuity or auth code")
	}
	if c.Amount != nil {
		o.Amount = c.Amount.minor
	}
	if c.Gratuity != nil {
		o.Gratuity = c.Gratuity.minor
	}
	_, err := c.give(context.Background(), "tillwire history resolve", order{Resolve: &o})
	if err != nil && adviceOn(err) == "" {
		err = hint(err, "tillwire history unresolved lists what can be resolved, tillwire history show %s shows how this one stands", c.ID)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s, o)
	}
	what := c.ID
	if c.Payment != "" {
		what = "payment " + c.Payment + " of " + c.ID
	}
	_, err = fmt.Fprintf(s.out, "recorded: %s was %s, by the word of %s\n", what, strings.ToUpper(c.Result), o.By)
	return err
}

// A doubtView says since when and why nobody knows what became of something.
type doubtView struct {
	Since   time.Time       `json:"since"`
	Why     string          `json:"why"`
	Payment table.PaymentID `json:"payment,omitzero"` // of a visit
}

// addDoubts says of each entry since when and why nobody knows.
func addDoubts(ctx context.Context, store journal.Journal, entries []entry) error {
	for i := range entries {
		e := &entries[i]
		records, err := store.Records(ctx, e.Stream)
		if err == nil {
			e.doubt, err = doubtOf(e.Kind, records)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", e.Stream, err)
		}
	}
	return nil
}

// doubtOf replays a stream and looks when it came to be in doubt. One that was
// going on when the gateway ended came to be so with its last record.
func doubtOf(kind journal.StreamKind, records []journal.Record) (*doubtView, error) {
	d := &doubtView{}
	in := false
	note := func(r journal.Record, doubt bool, why string) {
		if doubt && !in {
			d.Since = r.At.UTC()
		}
		if doubt {
			d.Why = why
		}
		in = doubt
	}
	var err error
	switch kind {
	case journal.TransactionStream:
		err = follow(records, journal.DecodeTxn, txn.Apply, func(r journal.Record, e txn.Event, t txn.Transaction) {
			why := d.Why
			switch e.(type) {
			case txn.LinkLost, txn.Restarted, txn.CouldNotTell:
				why = tellTxn(e)
			default: // as before
			}
			note(r, t.State == txn.Unresolved, why)
		})
	case journal.VisitStream:
		err = follow(records, journal.DecodeTable, table.Apply, func(r journal.Record, e table.Event, v table.Visit) {
			if p, open := v.OpenPayment(); open {
				d.Payment = p.ID
			}
			why := d.Why
			if _, lost := e.(table.TerminalLost); lost {
				why = tellTable(e)
			}
			note(r, v.State == table.Unresolved, why)
		})
	case journal.ReportStream:
		err = follow(records, journal.DecodeReport, report.Apply, func(r journal.Record, e report.Event, run report.Run) {
			note(r, run.State == report.Unknown, tellReport(e))
		})
	case journal.DuplicateStream, journal.KeptStream, journal.OrphanStream:
	}
	if !in && len(records) > 0 {
		d.Since, d.Why = records[len(records)-1].At.UTC(), "the gateway ended with it; the terminal is asked at the next start"
	}
	return d, err
}

// follow replays records and tells of each step.
func follow[V, E any](records []journal.Record, decode func(journal.Record) (E, error), apply func(V, E) (V, error), step func(journal.Record, E, V)) error {
	var v V
	for _, r := range records {
		e, err := decode(r)
		if err == nil {
			v, err = apply(v, e)
		}
		if err != nil {
			return err
		}
		step(r, e, v)
	}
	return nil
}

// printDoubts lists what is unresolved, how long and why first.
func printDoubts(out io.Writer, entries []entry, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FOR\tWHY\t"+entryColumns)
	for _, e := range entries {
		fmt.Fprintf(w, "%s\t%s\t%s\n", ago(now.Sub(e.doubt.Since)), e.doubt.Why, e.row())
	}
	return w.Flush()
}

// ago is a time that has passed, as exact as people need it.
func ago(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours())/24)
}

type historyOrphansCmd struct {
	historyFilter
	dataFlags
}

// Help is shown with the command's own help.
func (historyOrphansCmd) Help() string {
	return `What a terminal told of a request that this journal does not know is kept as an
orphan: after a restore from a backup, or from a terminal that another gateway
had before. It may be money that no till has booked. Compare it with the tills,
book it by hand where it is missing, and keep the receipt that history show prints.
A payment for a stored table that was deleted before the payment was known is
listed too, under the id of that table.

    tillwire history orphans --since 24h`
}

// An orphanView is an orphan in a list.
type orphanView struct {
	headView
	TransactionID txn.TransactionID `json:"transactionId,omitzero"`
	Number        string            `json:"number,omitzero"`
	AuthCode      string            `json:"authCode,omitzero"`

	Payment table.PaymentID `json:"payment,omitzero"` // for a stored table that was deleted
	Table   table.TableID   `json:"ofTable,omitzero"`
}

// what it is of, in a list.
func (v orphanView) what() string {
	if v.Payment == "" {
		return orDash(v.Type)
	}
	return v.Type + " " + string(v.Table)
}

// Run lists the orphans.
func (c historyOrphansCmd) Run(s streams) error {
	if c.Limit < 1 {
		return usage("--limit: at least 1")
	}
	return c.read(func(ctx context.Context, store journal.Store) error {
		q := journal.Query{
			Site: txn.SiteID(c.Site), TID: txn.TID(strings.ToUpper(c.TID)), Kind: journal.OrphanStream,
			Since: c.Since.Time, Limit: c.Limit,
		}
		views, err := strays(ctx, store, q)
		if err != nil {
			return err
		}
		heads, err := store.List(ctx, q)
		if err != nil {
			return err
		}
		for _, h := range heads {
			v, err := viewOrphan(ctx, store, h)
			if err != nil {
				return fmt.Errorf("%s: %w", h.Stream, err)
			}
			views = append(views, v)
		}
		w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
		if !c.JSON {
			fmt.Fprintln(w, "HEARD\tSITE\tTID\tTYPE\tAMOUNT\tRESULT\tNUMBER\tAUTH CODE\tID")
		}
		slices.SortStableFunc(views, func(a, b orphanView) int { return b.Accepted.Compare(a.Accepted) })
		for _, v := range views[:min(len(views), c.Limit)] {
			if c.JSON {
				if err := printJSON(s, v); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", clock(v.Accepted), v.Site, v.TID, v.what(),
				amountOf(journal.Head{Minor: v.Amount, Currency: v.Currency}), orDash(v.Result), orDash(v.Number), orDash(v.AuthCode), v.ID)
		}
		return w.Flush()
	})
}

func viewOrphan(ctx context.Context, store journal.Journal, h journal.Head) (orphanView, error) {
	v := orphanView{headView: viewHead(h)}
	records, err := store.Records(ctx, h.Stream)
	if err != nil {
		return v, err
	}
	o, err := journal.DecodeOrphan(records[0])
	if o.Outcome != nil {
		v.TransactionID, v.Number, v.AuthCode = o.Outcome.TransactionID, o.Outcome.Number, o.Outcome.AuthCode
	}
	return v, err
}
