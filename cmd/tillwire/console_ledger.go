package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/site/console"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
)

// A consoleLedger is what the console sees of the record. What it says in words
// is what tillwire history says.
type consoleLedger struct {
	store  journal.Store
	office *office
}

// Mark changes with every append.
func (l *consoleLedger) Mark() uint64 { return l.store.Stats().Appends }

// looked bounds how many entries are looked at for those of a result, which no
// index knows.
const looked = 2000

// Entries lists what the query selects.
func (l *consoleLedger) Entries(ctx context.Context, q console.LedgerQuery) ([]console.LedgerEntry, bool, error) {
	heads, more, err := l.heads(ctx, q)
	if err != nil {
		return nil, false, err
	}
	entries, err := entriesOf(ctx, l.store, heads)
	if err != nil {
		return nil, false, err
	}
	if q.Unresolved {
		if err := addDoubts(ctx, l.store, entries); err != nil {
			return nil, false, err
		}
	}
	out := make([]console.LedgerEntry, len(entries))
	for i, e := range entries {
		out[i] = ledgerEntry(e)
	}
	return out, more, nil
}

// heads finds what the query selects, newest first.
func (l *consoleLedger) heads(ctx context.Context, q console.LedgerQuery) ([]journal.Head, bool, error) {
	fits := func(h journal.Head) bool {
		stray := q.Kind == string(journal.OrphanStream) && h.Kind == journal.KeptStream && h.State == string(table.Stray)
		return (q.Kind == "" || string(h.Kind) == q.Kind || stray) && (q.State == "" || h.State == q.State) &&
			(q.Result == "" || strings.EqualFold(h.Result, q.Result) || strings.EqualFold(h.Told, q.Result)) &&
			(q.Until.IsZero() || h.AcceptedAt.Before(q.Until))
	}
	var out []journal.Head
	take := func(list []journal.Head) (full bool) {
		for _, h := range list {
			if !fits(h) {
				continue
			}
			if len(out) == q.Limit {
				return true
			}
			out = append(out, h)
		}
		return false
	}
	tid := strings.ToUpper(q.TID) // simulated terminals are matched without regard to case
	if q.Unresolved {
		open, err := l.store.OpenStreams(ctx)
		if err != nil {
			return nil, false, err
		}
		slices.Reverse(open)
		var unknown []journal.Head
		for _, h := range open {
			if string(h.Site) != q.Site || tid != "" && string(h.TID) != tid || h.AcceptedAt.Before(q.Since) {
				continue
			}
			is, err := isUnknown(ctx, l.store, h, true)
			if err != nil {
				return nil, false, err
			}
			if is {
				unknown = append(unknown, h)
			}
		}
		return out, take(unknown), nil
	}
	find := journal.Query{
		Site: txn.SiteID(q.Site), TID: txn.TID(tid), Kind: journal.StreamKind(q.Kind), State: q.State, Since: q.Since, Until: q.Until, Limit: q.Limit + 1,
	}
	if q.Result != "" {
		find.Limit = looked
	}
	list, err := l.store.List(ctx, find)
	if err != nil {
		return nil, false, err
	}
	if find.Kind == journal.OrphanStream && q.State == "" {
		// A table that was paid after it was deleted is money that no till may have
		// booked, as they are.
		find.Kind, find.State = journal.KeptStream, string(table.Stray)
		paid, err := l.store.List(ctx, find)
		if err != nil {
			return nil, false, err
		}
		list = append(list, paid...)
		slices.SortStableFunc(list, func(a, b journal.Head) int { return b.AcceptedAt.Compare(a.AcceptedAt) })
	}
	full := take(list)
	return out, full || q.Result != "" && len(list) == looked, nil
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

func ledgerEntry(e entry) console.LedgerEntry {
	out := console.LedgerEntry{
		ID: string(e.Stream), Kind: string(e.Kind), TID: string(e.TID), Type: e.Type, Amount: e.Minor, Currency: e.Currency,
		State: e.State, True: trueWord(e.Head), Result: e.Result, Told: e.Told, Accepted: stamp(e.AcceptedAt), Ended: stamp(e.EndedAt), Open: e.Open,
		Note: string(e.note),
	}
	if v := e.visit; v != nil {
		out.True, out.Told = v.truth(e.Head), v.told(e.Head)
		out.Table, out.Waiter, out.Waits = string(v.Table), string(v.Waiter), v.Waiting
	}
	if k := e.kept; k != nil {
		out.True, out.Table, out.Amount = k.truth(e.Head), string(k.Name), int64(k.Amount)
	}
	if d := e.doubt; d != nil {
		out.Doubt = &console.Doubt{Since: stamp(d.Since), Why: d.Why, Payment: string(d.Payment)}
	}
	return out
}

// Life tells all that is known of one.
func (l *consoleLedger) Life(ctx context.Context, site, id string) (console.Life, error) {
	head, err := l.head(ctx, site, id)
	if err != nil {
		return console.Life{}, err
	}
	records, err := l.store.Records(ctx, head.Stream)
	if errors.Is(err, journal.ErrNotFound) {
		return console.Life{}, console.ErrNoEntry // it was pruned just now
	}
	if err != nil {
		return console.Life{}, err
	}
	entries, err := entriesOf(ctx, l.store, []journal.Head{head})
	if err != nil {
		return console.Life{}, err
	}
	unknown, err := isUnknown(ctx, l.store, head, true)
	if err == nil && unknown && head.Open {
		err = addDoubts(ctx, l.store, entries)
	}
	if err != nil {
		return console.Life{}, err
	}
	out := console.Life{LedgerEntry: ledgerEntry(entries[0])}
	for _, r := range records {
		text, err := tell(head.Kind, r)
		if err != nil {
			return console.Life{}, err
		}
		out.Steps = append(out.Steps, console.LifeStep{Seq: r.Seq, Kind: r.Kind, At: stamp(r.At), Text: text, Body: jsontext.Value(r.Body)})
	}
	switch head.Kind {
	case journal.TransactionStream:
		err = lifeOfTransaction(&out, records)
	case journal.ReportStream:
		err = lifeOfReport(&out, records)
	case journal.VisitStream:
		err = lifeOfVisit(&out, records)
	case journal.KeptStream:
		err = lifeOfKept(&out, records)
	case journal.DuplicateStream:
		err = lifeOfDuplicate(&out, records)
	case journal.OrphanStream:
		err = lifeOfOrphan(&out, records)
	}
	return out, err
}

// head finds an entry of a site.
func (l *consoleLedger) head(ctx context.Context, site, id string) (journal.Head, error) {
	h, err := l.store.Head(ctx, journal.Stream(id))
	if errors.Is(err, journal.ErrNotFound) || err == nil && string(h.Site) != site {
		return h, console.ErrNoEntry
	}
	return h, err
}

// facts is a list that grows.
type facts []console.Fact

func (f *facts) add(name, kind, format string, args ...any) {
	*f = append(*f, console.Fact{Name: name, Kind: kind, Text: fmt.Sprintf(format, args...)})
}

// resultKind is the colour of a result.
func resultKind(r txn.Result) string {
	switch r {
	case txn.Successful:
		return "good"
	case txn.TimedOut:
		return "unsure"
	case txn.Declined, txn.Void, txn.Unsuccessful, txn.Cancelled:
		return "bad"
	}
	return ""
}

func amountWords(minor money.Minor, c money.Currency) string {
	return money.Amount{Minor: minor, Currency: c}.String()
}

func lifeOfTransaction(out *console.Life, records []journal.Record) error {
	t, err := journal.ReplayTxn(records)
	if err != nil {
		return err
	}
	var f facts
	q := t.Request
	f.add("Asked", "", "%s of %s", q.Type, amountWords(q.Total(), q.Currency))
	f.add("By", "", "%s", strings.TrimSpace(strings.Join([]string{t.Caller.Face, t.Caller.Version, t.Caller.SoftwareHouse, t.Caller.Installer}, " ")))
	switch t.Told {
	case txn.ToldNothing:
		f.add("Told", "unsure", "nothing yet")
	case txn.ToldResult:
		f.add("Told", "", "the result")
	case txn.ToldTimedOut:
		f.add("Told", "unsure", "TIMED_OUT: may or may not have been taken")
	case txn.ToldError:
		f.add("Told", "", "an error: it did not run")
	}
	switch truth := t.Truth(); {
	case truth != nil:
		f.add("True", resultKind(truth.Result), "%s, %s", truth.Result, amountWords(truth.Total(), truth.Currency))
		f.add("Number", "", "%s, transaction id %s", orDash(truth.Number), orDash(string(truth.TransactionID)))
		f.add("Card", "", "%s %s, %s, verified by %s", orDash(truth.Scheme), orDash(truth.PAN), truth.Method, truth.CVM)
		f.add("Auth code", "", "%s", orDash(truth.AuthCode))
	case t.NotRun != "":
		f.add("True", "bad", "it did not run on the terminal (%s)", t.NotRun)
	case t.Resolution == nil:
		f.add("True", "unsure", "not known")
	}
	if r := t.Resolution; r != nil {
		f.add("By hand", resultKind(r.Result), "%s, by %s: %s", r.Result, r.By, r.Reason)
	}
	switch {
	case t.Disputed():
		f.add("Conflict", "bad", "the terminal also said %s, %s", t.Conflict.Result, amountWords(t.Conflict.Total(), t.Conflict.Currency))
	case t.Conflict != nil:
		f.add("Confirmed", "good", "by the terminal afterwards")
	}
	if t.Late() {
		f.add("Late", "warn", "the truth came after TIMED_OUT was told")
	}
	out.Facts = f
	out.Resolvable = t.State == txn.Unresolved
	if truth := t.Truth(); truth != nil {
		out.Copies = papers("", truth.Receipts)
	}
	return nil
}

// papers are the copies of a receipt.
func papers(whose string, c receipt.Copies) []console.PaperCopy {
	var out []console.PaperCopy
	for _, p := range []struct {
		title string
		lines []receipt.Line
	}{{"Merchant copy", c.Merchant}, {"Customer copy", c.Customer}} {
		if len(p.lines) > 0 {
			out = append(out, console.PaperCopy{Title: p.title + whose, Lines: paperLines(p.lines)})
		}
	}
	return out
}

func paperLines(lines []receipt.Line) []console.Line {
	out := make([]console.Line, len(lines))
	for i, l := range lines {
		out[i] = console.Line{Type: string(l.Type), Value: l.Value}
		for _, format := range l.Format {
			out[i].Format = append(out[i].Format, string(format))
		}
	}
	return out
}

func lifeOfReport(out *console.Life, records []journal.Record) error {
	run, err := journal.ReplayReport(records)
	if err != nil {
		return err
	}
	var f facts
	if run.Brought {
		f.add("Started", "", "at the terminal")
		n := console.WaitingNotice{
			ID: out.ID, TID: out.TID, Number: 1, Notice: string(journal.ReportResponse), Since: stamp(run.At), Resent: run.Resent, Delivered: run.Delivered,
		}
		if !run.Delivered {
			n.Why = "not delivered yet"
		}
		out.Notices = []console.WaitingNotice{n}
	} else {
		f.add("Started", "", "by a till")
		f.add("Told", "", "%s", cmp.Or(string(run.Told), "nothing yet"))
	}
	switch {
	case run.Report != nil:
		kind := "good"
		if run.Report.Result != report.Complete {
			kind = "unsure"
		}
		f.add("True", kind, "%s", run.Report.Result)
		out.Copies = []console.PaperCopy{{Title: "Report", Lines: paperLines(run.Report.Lines)}}
	case run.Failed != "":
		f.add("True", "bad", "there is none: %s", run.Failed)
	default:
		f.add("True", "unsure", "not known")
	}
	out.Facts = f
	return nil
}

func lifeOfVisit(out *console.Life, records []journal.Record) error {
	v, err := journal.ReplayTable(records)
	if err != nil {
		return err
	}
	view := viewVisit(v)
	var f facts
	f.add("Table", "", "%s%s", orDash(string(v.Table)), waiterWords(v.Waiter))
	if v.Due > 0 {
		f.add("Due", "", "%s when locked", amountWords(v.Due, v.Currency))
		f.add("Paid", "", "%s, gratuity %s; %s is left", amountWords(view.Paid, v.Currency), amountWords(view.Gratuity, v.Currency), amountWords(view.Balance, v.Currency))
	}
	if v.Why != "" {
		f.add("Ended", "", "%s", v.Why)
	}
	open, isOpen := v.OpenPayment()
	if isOpen {
		f.add("Open", "unsure", "payment %s of %s: it is not known whether the card was charged", open.ID, amountWords(open.Asked, v.Currency))
	}
	if v.Lost {
		f.add("Lost", "bad", "the terminal is away since %s", clock(v.LostAt))
	}
	out.Facts = f
	out.Resolvable = isOpen && v.State == table.Unresolved
	if isOpen && out.Doubt != nil {
		out.Doubt.Payment, out.Doubt.Asked = string(open.ID), int64(open.Asked)
	}
	amount := func(m money.Minor) string { return amountWords(m, v.Currency) }
	for i, p := range v.Payments {
		r := p.Receipt
		out.Payments = append(out.Payments, console.Payment{
			ID: string(p.ID), State: paymentWord(p.State), Paid: int64(r.Paid), Gratuity: int64(r.Gratuity), Cashback: int64(r.Cashback), Asked: int64(p.Asked),
			Card: strings.TrimSpace(r.Scheme + " " + r.PAN), AuthCode: r.AuthCode, Note: paymentNote(p, amount),
		})
		whose := ""
		if len(v.Payments) > 1 {
			whose = fmt.Sprintf(", payment %d", i+1)
		}
		out.Copies = append(out.Copies, papers(whose, r.Receipts)...)
	}
	for _, e := range v.Outbox {
		n := console.WaitingNotice{
			ID: out.ID, TID: out.TID, Table: string(v.Table), Number: e.N, Notice: string(e.Notice), Since: stamp(e.At), Resent: e.Resent, Delivered: e.Delivered,
		}
		if !e.Delivered {
			n.Why = "not delivered yet"
		}
		out.Notices = append(out.Notices, n)
	}
	return nil
}

func lifeOfKept(out *console.Life, records []journal.Record) error {
	k, err := journal.ReplayKept(records)
	if err != nil {
		return err
	}
	amount := func(m money.Minor) string { return amountWords(m, k.Currency) }
	var f facts
	f.add("Table", "", "%s, for waiters: %s", k.Name, cmp.Or(waiterList(k.Waiters), "all"))
	f.add("Bill", "", "%s", amount(k.Amount))
	f.add("Paid", "", "%s, gratuity %s; %s is left", amount(k.Paid()), amount(k.Gratuity()), amount(max(k.Outstanding(), 0)))
	if k.LockedBy != "" {
		f.add("Locked", "", "by %s since %s", k.LockedBy, clock(k.LockedAt))
	}
	if k.State == table.Stray {
		f.add("Stray", "warn", "it was paid after it was deleted: no till may have booked that")
	}
	out.Facts = f
	for _, p := range k.Payments {
		r := p.Receipt
		note := ""
		if p.Late {
			note = "the table was deleted by then"
		}
		out.Payments = append(out.Payments, console.Payment{
			ID: string(p.ID), State: paymentWord(table.Taken), Paid: int64(r.Paid), Gratuity: int64(r.Gratuity), Cashback: int64(r.Cashback),
			Card: strings.TrimSpace(r.Scheme + " " + r.PAN), AuthCode: r.AuthCode, Note: note,
		})
	}
	if len(k.Receipt) > 0 {
		out.Copies = []console.PaperCopy{{Title: "Bill", Lines: paperLines(k.Receipt)}}
	}
	return nil
}

func waiterWords(w table.WaiterID) string {
	if w == "" {
		return ""
	}
	return ", waiter " + string(w)
}

func lifeOfDuplicate(out *console.Life, records []journal.Record) error {
	d, err := journal.ReplayDuplicate(records)
	if err != nil {
		return err
	}
	var f facts
	switch o := d.Outcome; {
	case o != nil:
		f.add("Names", resultKind(o.Result), "%s, %s, %s", o.Type, o.Result, amountWords(o.Total(), o.Currency))
		f.add("Number", "", "%s, transaction id %s", orDash(o.Number), orDash(string(o.TransactionID)))
		out.Copies = papers("", o.Receipts)
	case d.State == txn.DuplicateFinished:
		f.add("Names", "", "nothing: there was no transaction before")
	}
	out.Facts = f
	return nil
}

func lifeOfOrphan(out *console.Life, records []journal.Record) error {
	o, err := journal.DecodeOrphan(records[0])
	if err != nil {
		return err
	}
	var f facts
	f.add("Orphan", "warn", "a terminal told of a request that is not known here; it may be money that no till has booked")
	if r := o.Outcome; r != nil {
		f.add("Says", resultKind(r.Result), "%s, %s", r.Result, amountWords(r.Total(), r.Currency))
		f.add("Number", "", "%s, transaction id %s", orDash(r.Number), orDash(string(r.TransactionID)))
		f.add("Auth code", "", "%s", orDash(r.AuthCode))
		out.Copies = papers("", r.Receipts)
	}
	if r := o.Report; r != nil {
		out.Copies = []console.PaperCopy{{Title: "Report", Lines: paperLines(r.Lines)}}
	}
	out.Facts = f
	return nil
}

// Waiting lists what the site's till is owed.
func (l *consoleLedger) Waiting(ctx context.Context, site string) ([]console.WaitingNotice, error) {
	list, err := journal.WaitingOf(ctx, l.store, txn.SiteID(site))
	if err != nil {
		return nil, err
	}
	var out []console.WaitingNotice
	for _, w := range viewWaiting(list) {
		out = append(out, console.WaitingNotice{
			ID: string(w.ID), TID: string(w.TID), Table: string(w.Table), Number: w.Number, Notice: string(w.Notice), Since: stamp(w.Since), Resent: w.Resent, Why: w.Why,
		})
	}
	return out, nil
}

// Resolve records an operator's word, as tillwire history resolve does.
func (l *consoleLedger) Resolve(ctx context.Context, site string, r console.Resolution) error {
	if _, err := l.head(ctx, site, r.ID); err != nil {
		return err
	}
	_, err := l.office.carryOut(ctx, order{Resolve: &resolveOrder{
		ID: journal.Stream(r.ID), Taken: r.Taken, By: r.By, Reason: r.Reason, Payment: table.PaymentID(r.Payment),
		Amount: money.Minor(r.Amount), Gratuity: money.Minor(r.Gratuity), AuthCode: r.AuthCode,
	}})
	return plainOf(err)
}

// Resend has a till sent anew what it had before, as tillwire history resend does.
func (l *consoleLedger) Resend(ctx context.Context, site, id string, notice int, by, reason string) (int, error) {
	if _, err := l.head(ctx, site, id); err != nil {
		return 0, err
	}
	r, err := l.office.carryOut(ctx, order{Resend: &resendOrder{ID: journal.Stream(id), Notice: notice, By: by, Reason: reason}})
	if err != nil {
		return 0, plainOf(err)
	}
	return r.Resent.Count, nil
}

// plainOf is an error as people are told it, without the name of its room.
func plainOf(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(strings.TrimPrefix(err.Error(), "gateway: "))
}
