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

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/internal/folder"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
)

type historyCmd struct {
	List       historyListCmd       `cmd:"" help:"List transactions, reports, visits to tables and stored tables, newest first."`
	Show       historyShowCmd       `cmd:"" help:"Show the whole life of one: each record, what was told, what is true, the receipts."`
	Unresolved historyUnresolvedCmd `cmd:"" help:"List those of which nobody knows yet what became of them."`
	Resolve    historyResolveCmd    `cmd:"" help:"Say by hand what became of one of which no terminal tells."`
	Orphans    historyOrphansCmd    `cmd:"" help:"List what terminals told of requests that are not known here, and what was paid for tables that were deleted."`
	Outbox     historyOutboxCmd     `cmd:"" help:"List what waits for Pay-At-Table tills, and why."`
	Resend     historyResendCmd     `cmd:"" help:"Have a Pay-At-Table till sent anew what it lost after it had it."`
	Tables     historyTablesCmd     `cmd:"" help:"List the tables that tills have stored here."`
	Table      historyTableCmd      `cmd:"" help:"Show the life of a table that a till stored here."`
	Unlock     historyUnlockCmd     `cmd:"" help:"End the lock of a stored table by hand."`
	Prune      historyPruneCmd      `cmd:"" help:"Remove what has its end and is old."`
	Verify     historyVerifyCmd     `cmd:"" help:"Read everything and check that nothing was altered or cut off."`
	Rebuild    historyRebuildCmd    `cmd:"" help:"Make the lists anew from the records."`
}

// Help is shown with the command's own help.
func (historyCmd) Help() string {
	return `The history is read straight from the data folder, whether a gateway runs on it
or not.

    tillwire history list --tid VCMDEMOSIP0 --since 24h
    tillwire history show rABCDEFGHIJKLMNOPQRSTUVWXYZ
    tillwire history verify`
}

// historyFilter selects what is listed.
type historyFilter struct {
	Site  string `placeholder:"SITE" help:"Only this site."`
	TID   string `name:"tid" placeholder:"TID" help:"Only this terminal."`
	Since since  `placeholder:"TIME" help:"Only what was accepted since then: 24h ago, or a time like 2026-10-07 or 2026-10-07T21:00:00."`
	Limit int    `default:"100" help:"At most so many."`
	JSON  bool   `name:"json" help:"Print one JSON object a line."`
}

// A since is a time given as such or as how long ago it was.
type since struct{ time.Time }

// UnmarshalText reads a time or a duration.
func (t *since) UnmarshalText(b []byte) error {
	text := string(b)
	if d, err := parseAge(text); err == nil && d >= 0 {
		t.Time = time.Now().Add(-d)
		return nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			t.Time = at
			return nil
		}
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		t.Time = at
		return nil
	}
	return fmt.Errorf("%q is neither a time like 2026-10-07T21:00:00 nor a duration like 24h", text)
}

type historyListCmd struct {
	historyFilter
	Unresolved bool `help:"Only those of which nobody knows yet what became of them."`
	dataFlags
}

// Help is shown with the command's own help.
func (historyListCmd) Help() string {
	return `Example:

    tillwire history list --site shop --since 2026-10-07 --limit 20`
}

// Run lists the history.
func (c historyListCmd) Run(s streams) error {
	return c.list(s, c.dataFlags, c.Unresolved)
}

type historyUnresolvedCmd struct {
	historyFilter
	dataFlags
}

// Help is shown with the command's own help.
func (historyUnresolvedCmd) Help() string {
	return `It says how long nobody has known, and why. The terminal is asked again and again,
at least once a minute while it is connected. Once it is certain otherwise what
became of the money, say so by hand:

    tillwire history unresolved --json
    tillwire history resolve rABCDEFGHIJKLMNOPQRSTUVWXYZ --result successful --reason "slip 0012 is in the drawer"`
}

// Run lists what is unresolved.
func (c historyUnresolvedCmd) Run(s streams) error {
	return c.list(s, c.dataFlags, true)
}

func (f historyFilter) list(s streams, d dataFlags, unresolved bool) error {
	if f.Limit < 1 {
		return usage("--limit: at least 1")
	}
	f.TID = strings.ToUpper(f.TID) // simulated terminals are matched without regard to case
	return d.read(func(ctx context.Context, store journal.Store) error {
		var heads []journal.Head
		var err error
		if unresolved {
			heads, err = f.unresolved(ctx, d, store)
		} else {
			heads, err = store.List(ctx, journal.Query{
				Site: txn.SiteID(f.Site), TID: txn.TID(f.TID), Since: f.Since.Time, Limit: f.Limit,
			})
		}
		if err != nil {
			return err
		}
		entries, err := entriesOf(ctx, store, heads)
		if err != nil {
			return err
		}
		if unresolved {
			if err := addDoubts(ctx, store, entries); err != nil {
				return err
			}
		}
		if !f.JSON && unresolved {
			return printDoubts(s.out, entries, time.Now())
		}
		if !f.JSON {
			return printEntries(s.out, entries)
		}
		for _, e := range entries {
			if err := printJSON(s, e.view()); err != nil {
				return err
			}
		}
		return nil
	})
}

// unresolved returns what nobody knows the end of, newest first. What runs at
// the moment is not among it; but where no gateway runs, nothing does.
func (f historyFilter) unresolved(ctx context.Context, d dataFlags, store journal.Store) ([]journal.Head, error) {
	_, err := folder.Client(ctx, d.Data)
	running := !errors.Is(err, folder.ErrNobody)
	open, err := store.OpenStreams(ctx)
	if err != nil {
		return nil, err
	}
	slices.Reverse(open)
	var out []journal.Head
	for _, h := range open {
		if f.Site != "" && string(h.Site) != f.Site || f.TID != "" && string(h.TID) != f.TID || h.AcceptedAt.Before(f.Since.Time) {
			continue
		}
		unknown, err := isUnknown(ctx, store, h, running)
		if err != nil {
			return nil, err
		}
		if !unknown {
			continue
		}
		if out = append(out, h); len(out) == f.Limit {
			break
		}
	}
	return out, nil
}

// isUnknown reports whether nobody knows what became of an open stream.
func isUnknown(ctx context.Context, store journal.Store, h journal.Head, running bool) (bool, error) {
	if h.Kind == journal.KeptStream {
		return false, nil // what may be in doubt are the visits to it
	}
	if h.Kind == journal.VisitStream {
		if running || h.State == string(table.Unresolved) {
			return h.State == string(table.Unresolved), nil
		}
		v, err := visitOf(ctx, store, h)
		_, open := v.OpenPayment()
		return open, err
	}
	switch h.State {
	case string(txn.Unresolved), string(report.Unknown):
		return true, nil
	case string(txn.Finished), string(txn.Requested):
		return false, nil
	}
	return !running, nil
}

// An entry is a transaction, report, visit or stored table in a list.
type entry struct {
	journal.Head
	visit *visitView // nil for others
	kept  *keptView  // nil for others
	note  note
	doubt *doubtView // set where the list is of what is unresolved
}

// A note is what people should see at once of a truth.
type note string

// The notes.
const (
	byHand   note = "byHand"   // an operator said so, and no terminal
	disputed note = "conflict" // two words differ
)

// aside is a note behind what is true.
func (n note) aside() string {
	switch n {
	case byHand:
		return " (by hand)"
	case disputed:
		return " (conflict)"
	}
	return ""
}

func entriesOf(ctx context.Context, store journal.Journal, heads []journal.Head) ([]entry, error) {
	out := make([]entry, len(heads))
	for i, h := range heads {
		out[i].Head = h
		switch {
		case h.Kind == journal.TransactionStream && h.State == string(txn.Finished):
			records, err := store.Records(ctx, h.Stream)
			if errors.Is(err, journal.ErrNotFound) {
				continue // it was pruned just now
			}
			t := txn.Transaction{}
			if err == nil {
				t, err = journal.ReplayTxn(records)
			}
			if err != nil {
				return nil, fmt.Errorf("request %s: %w", h.Stream, err)
			}
			out[i].note = noteOf(t)
		case h.Kind == journal.VisitStream:
			v, err := visitOf(ctx, store, h)
			if errors.Is(err, journal.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("visit %s: %w", h.Stream, err)
			}
			out[i].visit, out[i].note = viewVisit(v), noteOfVisit(v)
		case h.Kind == journal.KeptStream:
			k, err := keptOf(ctx, store, h)
			if errors.Is(err, journal.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("table %s: %w", h.Stream, err)
			}
			out[i].kept = viewKept(k)
		}
	}
	return out, nil
}

func noteOf(t txn.Transaction) note {
	switch {
	case t.Disputed():
		return disputed
	case t.Resolution != nil && t.Truth() == nil:
		return byHand
	}
	return ""
}

func noteOfVisit(v table.Visit) note {
	out := note("")
	for _, p := range v.Payments {
		if p.Conflict != nil {
			return disputed
		}
		if p.By != "" {
			out = byHand
		}
	}
	return out
}

func (e entry) view() headView {
	v := viewHead(e.Head)
	v.Visit, v.Table, v.Note, v.Doubt = e.visit, e.kept, e.note, e.doubt
	return v
}

// A headView is a transaction, report, visit or stored table as its head says.
type headView struct {
	ID         txn.RequestID      `json:"id"`
	Kind       journal.StreamKind `json:"kind"`
	Site       txn.SiteID         `json:"site"`
	TID        txn.TID            `json:"tid"`
	Type       string             `json:"type"`
	Amount     int64              `json:"amount"` // minor units
	Currency   string             `json:"currency"`
	State      string             `json:"state"`
	Result     string             `json:"result"` // what is true; empty while nobody knows, or when it did not run
	Told       string             `json:"told"`
	RequestKey string             `json:"requestKey,omitzero"`
	Accepted   time.Time          `json:"accepted"`
	Dispatched time.Time          `json:"dispatched,omitzero"`
	Ended      time.Time          `json:"ended,omitzero"`
	Records    int                `json:"records"`
	Note       note               `json:"note,omitzero"`
	Visit      *visitView         `json:"visit,omitzero"`
	Table      *keptView          `json:"table,omitzero"`
	Doubt      *doubtView         `json:"unresolved,omitzero"`
}

func viewHead(h journal.Head) headView {
	return headView{
		ID: h.Stream, Kind: h.Kind, Site: h.Site, TID: h.TID, Type: h.Type, Amount: h.Minor, Currency: h.Currency,
		State: h.State, Result: h.Result, Told: h.Told, RequestKey: h.RequestKey,
		Accepted: h.AcceptedAt.UTC(), Dispatched: h.DispatchedAt.UTC(), Ended: h.EndedAt.UTC(), Records: h.Records,
	}
}

func printEntries(out io.Writer, entries []entry) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, entryColumns)
	for _, h := range entries {
		fmt.Fprintln(w, h.row())
	}
	return w.Flush()
}

const entryColumns = "ACCEPTED\tSITE\tTID\tTYPE\tAMOUNT\tSTATE\tTRUE\tTOLD\tID"

// row is a line of a list, its columns parted by tabs.
func (h entry) row() string {
	what, truth, told := h.Type, trueWord(h.Head), orDash(h.Told)
	if v := h.visit; v != nil {
		what, truth, told = strings.TrimSpace(h.Type+" "+string(v.Table)), v.truth(h.Head), v.told(h.Head)
	}
	if k := h.kept; k != nil {
		what, truth = h.Type+" "+string(k.Name), k.truth(h.Head)
		h.Minor = int64(k.Amount) // its head knows what it was stored with
	}
	return strings.Join([]string{
		clock(h.AcceptedAt), string(h.Site), orDash(string(h.TID)), what, amountOf(h.Head), h.State, truth + h.note.aside(), told, string(h.Stream),
	}, "\t")
}

// amountOf is what was asked, or was due at a table.
func amountOf(h journal.Head) string {
	if h.Currency == "" {
		return "-"
	}
	return money.Amount{Minor: money.Minor(h.Minor), Currency: money.Currency(h.Currency)}.String()
}

// trueWord says what is true of a stream.
func trueWord(h journal.Head) string {
	switch {
	case h.Result != "":
		return h.Result
	case h.State == string(txn.Finished):
		return "did not run"
	}
	return "not known"
}

type historyShowCmd struct {
	ID   string `arg:"" help:"The id, as history list shows it."`
	JSON bool   `name:"json" help:"Print one JSON object."`
	dataFlags
}

// Help is shown with the command's own help.
func (historyShowCmd) Help() string {
	return `Example:

    tillwire history show rABCDEFGHIJKLMNOPQRSTUVWXYZ`
}

// Run shows one life.
func (c historyShowCmd) Run(s streams) error {
	return c.read(func(ctx context.Context, store journal.Store) error {
		head, err := store.Head(ctx, txn.RequestID(c.ID))
		if errors.Is(err, journal.ErrNotFound) {
			return hint(fmt.Errorf("nothing has the id %q", c.ID), "tillwire history list shows the ids")
		}
		if err != nil {
			return err
		}
		records, err := store.Records(ctx, head.Stream)
		if err != nil {
			return err
		}
		entries, err := entriesOf(ctx, store, []journal.Head{head})
		if err != nil {
			return err
		}
		if c.JSON {
			return showJSON(s, entries[0], records)
		}
		return show(s.out, entries[0], records)
	})
}

// A recordView is a record as it is stored.
type recordView struct {
	Seq     int            `json:"seq"`
	Kind    string         `json:"kind"`
	Version int            `json:"version"`
	At      time.Time      `json:"at"`
	Body    jsontext.Value `json:"body"`
}

func showJSON(s streams, e entry, records []journal.Record) error {
	life := struct {
		headView `json:",inline"`
		Life     []recordView `json:"life"`
	}{headView: e.view()}
	for _, r := range records {
		life.Life = append(life.Life, recordView{r.Seq, r.Kind, r.Version, r.At.UTC(), jsontext.Value(r.Body)})
	}
	return printJSON(s, life)
}

func show(out io.Writer, head entry, records []journal.Record) error {
	if err := printEntries(out, []entry{head}); err != nil {
		return err
	}
	fmt.Fprintln(out)
	for _, r := range records {
		what, err := tell(head.Kind, r)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%3d  %s  %-24s %s\n", r.Seq, r.At.Local().Format("15:04:05.000"), r.Kind, what)
	}
	fmt.Fprintln(out)
	switch head.Kind {
	case journal.TransactionStream:
		t, err := journal.ReplayTxn(records)
		if err != nil {
			return err
		}
		return showTransaction(out, t)
	case journal.ReportStream:
		run, err := journal.ReplayReport(records)
		if err != nil {
			return err
		}
		showReport(out, run)
		return nil
	case journal.VisitStream:
		v, err := journal.ReplayTable(records)
		if err != nil {
			return err
		}
		return showVisit(out, v)
	case journal.KeptStream:
		k, err := journal.ReplayKept(records)
		if err != nil {
			return err
		}
		return showKept(out, k)
	case journal.DuplicateStream:
		d, err := journal.ReplayDuplicate(records)
		if err == nil && d.Outcome != nil {
			printCopies(out, d.Outcome.Receipts)
		}
		return err
	case journal.OrphanStream:
		o, err := journal.DecodeOrphan(records[0])
		if err == nil && o.Outcome != nil {
			printCopies(out, o.Outcome.Receipts)
		}
		return err
	}
	return nil
}

func showReport(out io.Writer, r report.Run) {
	switch {
	case !r.Brought: // a till asked for it
	case !r.Delivered && r.Resent > 0:
		fmt.Fprintln(out, "till     waits: sent anew, not delivered yet")
	case !r.Delivered:
		fmt.Fprintln(out, "till     waits: not delivered yet")
	case r.Resent > 0:
		fmt.Fprintf(out, "till     has it, sent anew %s\n", times(r.Resent))
	default:
		fmt.Fprintln(out, "till     has it")
	}
	if r.Report != nil {
		fmt.Fprint(out, receipt.Plain(r.Report.Lines))
	}
}

func showTransaction(out io.Writer, t txn.Transaction) error {
	told := map[txn.Told]string{
		txn.ToldNothing: "nothing yet", txn.ToldResult: "the result",
		txn.ToldTimedOut: "TIMED_OUT: may or may not have been taken", txn.ToldError: "an error: it did not run",
	}[t.Told]
	fmt.Fprintf(out, "told     %s\n", told)
	switch truth := t.Truth(); {
	case truth != nil:
		fmt.Fprintf(out, "true     %s, %s\n", truth.Result, money.Amount{Minor: truth.Total(), Currency: truth.Currency})
		fmt.Fprintf(out, "number   %s, transaction id %s\n", truth.Number, truth.TransactionID)
		fmt.Fprintf(out, "card     %s %s, %s, verified by %s, auth code %s\n", orDash(truth.Scheme), orDash(truth.PAN), truth.Method, truth.CVM, orDash(truth.AuthCode))
	case t.NotRun != "":
		fmt.Fprintf(out, "true     it did not run on the terminal (%s)\n", t.NotRun)
	case t.Resolution == nil:
		fmt.Fprintln(out, "true     not known")
	}
	if r := t.Resolution; r != nil {
		fmt.Fprintf(out, "resolved %s, by %s: %s\n", r.Result, r.By, r.Reason)
	}
	switch {
	case t.Disputed():
		fmt.Fprintf(out, "conflict the terminal also said %s, %s\n", t.Conflict.Result, money.Amount{Minor: t.Conflict.Total(), Currency: t.Conflict.Currency})
	case t.Conflict != nil:
		fmt.Fprintln(out, "confirmed by the terminal afterwards")
	}
	if truth := t.Truth(); truth != nil {
		printCopies(out, truth.Receipts)
	}
	return nil
}

// printCopies prints the receipts as they come from the printer.
func printCopies(out io.Writer, c receipt.Copies) {
	for _, lines := range [][]receipt.Line{c.Merchant, c.Customer} {
		if len(lines) > 0 {
			fmt.Fprintf(out, "\n%s", paper(lines))
		}
	}
}

// paper renders a receipt with the edge of its paper.
func paper(lines []receipt.Line) string { return sheet(receipt.Plain(lines)) }

// tell says in a few words what a record says.
func tell(kind journal.StreamKind, r journal.Record) (string, error) {
	switch kind {
	case journal.TransactionStream:
		e, err := journal.DecodeTxn(r)
		return tellTxn(e), err
	case journal.ReportStream:
		e, err := journal.DecodeReport(r)
		return tellReport(e), err
	case journal.VisitStream:
		e, err := journal.DecodeTable(r)
		return tellTable(e), err
	case journal.KeptStream:
		e, err := journal.DecodeKept(r)
		return tellKept(e), err
	case journal.DuplicateStream:
		e, err := journal.DecodeDuplicate(r)
		return tellDuplicate(e), err
	case journal.OrphanStream:
		o, err := journal.DecodeOrphan(r)
		switch {
		case o.Outcome != nil:
			return fmt.Sprintf("%s names the request %s, which nobody here knows: %s", o.TID, o.ID, o.Outcome.Result), err
		case o.Report != nil:
			return fmt.Sprintf("%s names the report %s, which nobody here knows", o.TID, o.ID), err
		}
		return "", err
	default:
		return string(r.Body), nil // as it is stored
	}
}

// tellDuplicate says in a few words what an event of a duplicate says.
func tellDuplicate(e txn.DuplicateEvent) string {
	switch e := e.(type) {
	case txn.DuplicateWanted:
		return "the till wants the last transaction once more" + tolerated(e.Deviations)
	case txn.DuplicateFound:
		if e.Outcome == nil {
			return "there was none"
		}
		return fmt.Sprintf("that was a %s, %s", e.Outcome.Type, e.Outcome.Result)
	}
	return ""
}

// tolerated says what of a till's message is not of the contract and was let pass.
func tolerated(deviations []string) string {
	if len(deviations) == 0 {
		return ""
	}
	return "; tolerated: " + strings.Join(deviations, ", ")
}

func tellTxn(e txn.Event) string {
	switch e := e.(type) {
	case txn.Accepted:
		amount := money.Amount{Minor: e.Request.Amount, Currency: e.Request.Currency}
		text := fmt.Sprintf("%s %s by %s %s", e.Request.Type, amount, e.Caller.Face, e.Caller.Version)
		if e.Request.Cashback != 0 {
			text += ", cashback " + e.Request.Cashback.Decimal()
		}
		if e.Caller.SoftwareHouse != "" {
			text += fmt.Sprintf(", software house %q, installer %q", e.Caller.SoftwareHouse, e.Caller.Installer)
		}
		return text + tolerated(e.Deviations)
	case txn.Dispatched:
		return "about to tell the terminal"
	case txn.Started:
		return "the terminal has taken it"
	case txn.Notified:
		return string(e.Value)
	case txn.CancelWished:
		return "somebody wishes to cancel"
	case txn.SignatureWanted:
		return "the terminal asks for the signature to be verified"
	case txn.SignatureAnswered:
		word := map[bool]string{true: "accepted", false: "rejected"}[e.Accepted]
		return fmt.Sprintf("%s by %s", word, e.By) + tolerated(e.Deviations)
	case txn.LinkLost:
		return "the terminal went away"
	case txn.Restarted:
		return "the gateway began anew and found it open"
	case txn.Resumed:
		return "the terminal says that it is in progress"
	case txn.CouldNotTell:
		return "the terminal cannot say what became of it"
	case txn.Ended:
		return fmt.Sprintf("%s %s", e.Outcome.Type, e.Outcome.Result)
	case txn.NeverRan:
		return fmt.Sprintf("it did not run: %s", e.Reason)
	case txn.Answered:
		return fmt.Sprintf("told: %s", e.Told)
	case txn.Resolved:
		return fmt.Sprintf("%s, by %s: %s", e.Resolution.Result, e.Resolution.By, e.Resolution.Reason)
	case txn.Contradicted:
		return fmt.Sprintf("the terminal says after the end: %s", e.Outcome.Result)
	case txn.Corrected:
		if e.Lapsed {
			return "no till asked for the truth in time; it is not pushed any more"
		}
		return "a till that was told TIMED_OUT has the truth"
	}
	return ""
}

func tellReport(e report.Event) string {
	switch e := e.(type) {
	case report.Dispatched:
		return fmt.Sprintf("%s; about to tell the terminal", e.Type) + tolerated(e.Deviations)
	case report.Brought:
		return fmt.Sprintf("%s, started at the terminal: %s", e.Report.Type, e.Report.Result)
	case report.Delivered:
		return "the till has it"
	case report.Requeued:
		return "sent to the till anew, by " + e.By + because(e.Reason)
	case report.Interrupted:
		return "the gateway or the terminal was lost in between"
	case report.Made:
		return string(e.Report.Result)
	case report.GaveUp:
		return "told: TIMED_OUT"
	case report.NotMade:
		return "there is none: " + e.Reason
	}
	return ""
}

type historyVerifyCmd struct {
	JSON bool `name:"json" help:"Print one JSON object."`
	dataFlags
}

// Help is shown with the command's own help.
func (historyVerifyCmd) Help() string {
	return `It exits 1 and names the first fault when the record is not whole.

    tillwire history verify --data /var/lib/tillwire`
}

// Run checks the record.
func (c historyVerifyCmd) Run(s streams) error {
	return c.read(func(ctx context.Context, store journal.Store) error {
		v, err := store.Verify(ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			if err := printJSON(s, struct {
				Records int    `json:"records"`
				Streams int    `json:"streams"`
				Pruned  int    `json:"pruned,omitzero"`
				Head    string `json:"head"`
				Fault   string `json:"fault,omitzero"`
			}(v)); err != nil {
				return err
			}
		}
		if v.Fault != "" {
			return hint(fmt.Errorf("the record is not whole: %s", v.Fault), "keep a copy of the data folder as it is, then compare it with a backup")
		}
		if !c.JSON {
			pruned := ""
			if v.Pruned > 0 {
				pruned = fmt.Sprintf(", %d appends pruned", v.Pruned)
			}
			_, err = fmt.Fprintf(s.out, "whole: %d records of %d requests%s, chain head %s\n", v.Records, v.Streams, pruned, orDash(v.Head))
		}
		return err
	})
}

type historyRebuildCmd struct {
	dataFlags
}

// Help is shown with the command's own help.
func (historyRebuildCmd) Help() string {
	return `The records stay as they are; lists and states are made from them once more.

    tillwire history rebuild`
}

// Run makes the lists anew.
func (c historyRebuildCmd) Run(s streams) error {
	r, err := c.give(context.Background(), "tillwire history rebuild", order{Rebuild: true})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "rebuilt from the records: %d requests\n", r.Rebuilt)
	return err
}
