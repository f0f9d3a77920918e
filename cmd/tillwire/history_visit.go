package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/table"
)

// visitOf replays the visit of a head.
func visitOf(ctx context.Context, store journal.Journal, h journal.Head) (table.Visit, error) {
	records, err := store.Records(ctx, h.Stream)
	if err != nil {
		return table.Visit{}, err
	}
	return journal.ReplayTable(records)
}

// A visitView is what a list says of a visit. Amounts are minor units.
type visitView struct {
	Table    table.TableID  `json:"table"`
	Waiter   table.WaiterID `json:"waiter"`
	Paid     money.Minor    `json:"paid"`
	Gratuity money.Minor    `json:"gratuity"`
	Balance  money.Minor    `json:"balance"`
	Open     bool           `json:"paymentOpen"` // a card may be charged, or was, and nobody knows
	Waiting  int            `json:"waiting"`     // notices that the till does not have
}

func viewVisit(v table.Visit) *visitView {
	_, open := v.OpenPayment()
	out := &visitView{Table: v.Table, Waiter: v.Waiter, Balance: v.Balance(), Open: open}
	for _, p := range v.Payments {
		if p.State == table.Taken {
			out.Paid += p.Receipt.Paid
			out.Gratuity += p.Receipt.Gratuity
		}
	}
	for _, e := range v.Outbox {
		if !e.Delivered {
			out.Waiting++
		}
	}
	return out
}

// truth says what is true of a visit.
func (v visitView) truth(h journal.Head) string {
	paid := ""
	if v.Paid > 0 {
		paid = " " + v.Paid.Decimal()
	}
	switch {
	case h.Result != "":
		return h.Result + paid
	case v.Open && v.Paid > 0:
		return "not known, at least" + paid
	case v.Open:
		return "not known"
	case v.Paid > 0:
		return "so far" + paid
	}
	return "nothing yet"
}

// told says how far the till has heard of a visit.
func (v visitView) told(h journal.Head) string {
	switch {
	case v.Waiting > 0:
		return fmt.Sprintf("%d to tell", v.Waiting)
	case h.State == string(table.Unlocked):
		return "all"
	}
	return "-"
}

// showVisit prints how a visit stands, its payments and its outbox.
func showVisit(out io.Writer, v table.Visit) error {
	view := viewVisit(v)
	amount := func(m money.Minor) string { return money.Amount{Minor: m, Currency: v.Currency}.String() }
	where := orDash(string(v.Table))
	if v.Waiter != "" {
		where += ", waiter " + string(v.Waiter)
	}
	if !v.LockedAt.IsZero() {
		if v.Kept == "" {
			where += ", till asked for the lock " + clock(v.LockedAt)
		} else {
			where += ", stored here as " + string(v.Kept) + ", to be locked " + clock(v.LockedAt)
		}
	}
	fmt.Fprintf(out, "table    %s\n", where)
	if v.Due > 0 {
		fmt.Fprintf(out, "due      %s when locked\n", amount(v.Due))
		fmt.Fprintf(out, "paid     %s, gratuity %s; %s is left\n", amount(view.Paid), amount(view.Gratuity), amount(view.Balance))
	}
	if v.Why != "" {
		fmt.Fprintf(out, "ended    %s\n", v.Why)
	}
	if p, open := v.OpenPayment(); open {
		fmt.Fprintf(out, "open     payment %s of %s: it is not known whether the card was charged\n", p.ID, amount(p.Asked))
	}
	if v.Lost {
		fmt.Fprintf(out, "lost     the terminal is away since %s\n", clock(v.LostAt))
	}
	if err := showPayments(out, v, amount); err != nil {
		return err
	}
	if err := showOutbox(out, v); err != nil {
		return err
	}
	for _, p := range v.Payments {
		printCopies(out, p.Receipt.Receipts)
	}
	return nil
}

func showPayments(out io.Writer, v table.Visit, amount func(money.Minor) string) error {
	if len(v.Payments) == 0 {
		return nil
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PAYMENT\tSTATE\tTOWARDS THE BILL\tGRATUITY\tCASHBACK\tCARD\tAUTH CODE\tNOTE")
	for _, p := range v.Payments {
		r := p.Receipt
		towards, gratuity, cashback := "-", "-", "-"
		if p.State == table.Taken {
			towards, gratuity, cashback = amount(r.Paid), amount(r.Gratuity), amount(r.Cashback)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.ID, paymentWord(p.State), towards, gratuity, cashback,
			orDash(strings.TrimSpace(r.Scheme+" "+r.PAN)), orDash(r.AuthCode), orDash(paymentNote(p, amount)))
	}
	return w.Flush()
}

func paymentWord(s table.PaymentState) string {
	switch s {
	case table.Open:
		return "open"
	case table.Taken:
		return "taken"
	case table.NotTaken:
		return "not taken"
	}
	return string(s)
}

// paymentNote says what people should know of a payment.
func paymentNote(p table.Payment, amount func(money.Minor) string) string {
	var notes []string
	if p.By != "" {
		notes = append(notes, "by the word of "+p.By+because(p.Reason))
	}
	if c := p.Conflict; c != nil {
		who := "the terminal"
		if c.By != "" {
			who = c.By
			if c.Reason != "" {
				who += because(c.Reason) + ","
			}
		}
		said := "nothing was taken"
		if c.Taken {
			said = fmt.Sprintf("%s and gratuity %s", amount(c.Receipt.Paid), amount(c.Receipt.Gratuity))
		}
		notes = append(notes, fmt.Sprintf("conflict: %s also said %s", who, said))
	}
	return strings.Join(notes, "; ")
}

func showOutbox(out io.Writer, v table.Visit) error {
	if len(v.Outbox) == 0 {
		return nil
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NOTICE\tNUMBER\tSINCE\tSTATE\tPAYMENTS")
	for _, e := range v.Outbox {
		state := "delivered"
		switch {
		case !e.Delivered && e.Resent > 0:
			state = "waits: sent anew, not delivered yet"
		case !e.Delivered:
			state = "waits: not delivered yet"
		case e.Resent > 0:
			state = "delivered, sent anew " + times(e.Resent)
		}
		ids := make([]string, len(e.Payments))
		for i, id := range e.Payments {
			ids[i] = string(id)
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\n", e.Notice, e.N, clock(e.At), state, orDash(strings.Join(ids, " ")))
	}
	return w.Flush()
}

func times(n int) string {
	if n == 1 {
		return "1 time"
	}
	return fmt.Sprintf("%d times", n)
}

func tellTable(e table.Event) string {
	switch e := e.(type) {
	case table.Opened:
		if e.Waiter == "" {
			return "a waiter began at the terminal"
		}
		return fmt.Sprintf("waiter %s began at the terminal", e.Waiter)
	case table.LockIntended:
		if e.Kept != "" {
			return fmt.Sprintf("about to lock table %s, which is stored here as %s", e.Table, e.Kept)
		}
		return fmt.Sprintf("about to ask the till to lock table %s", e.Table)
	case table.LockConfirmed:
		return "locked, due " + money.Amount{Minor: e.Amount, Currency: e.Currency}.String()
	case table.LockRefused:
		return "not locked: " + e.Why
	case table.LockUnanswered:
		return "no answer to the lock, so it is to be unlocked: " + e.Why
	case table.NotAsked:
		return "the till was never asked: " + e.Why
	case table.BillWanted:
		return "the waiter wants the bill"
	case table.BillAnswered:
		return "the terminal was answered about the bill"
	case table.PaymentStarted:
		return fmt.Sprintf("payment %s of %s: the card may be charged", e.Payment, e.Asked.Decimal())
	case table.PaymentTaken:
		return fmt.Sprintf("payment %s took %s", e.Payment, taken(e.Receipt))
	case table.PaymentNotTaken:
		return fmt.Sprintf("payment %s took nothing", e.Payment)
	case table.PaymentResolved:
		if e.Taken {
			return fmt.Sprintf("payment %s took %s, by the word of %s", e.Payment, taken(e.Receipt), e.By) + because(e.Reason)
		}
		return fmt.Sprintf("payment %s took nothing, by the word of %s", e.Payment, e.By) + because(e.Reason)
	case table.Left:
		return "the visit ends: " + e.Why
	case table.TerminalLost:
		return "the terminal went away, or the gateway began anew"
	case table.TerminalBack:
		return "the terminal is back in the visit"
	case table.Queued:
		switch n := len(e.Payments); n {
		case 0:
			return fmt.Sprintf("%s is owed to the till", e.Notice)
		case 1:
			return fmt.Sprintf("%s with 1 payment is owed to the till", e.Notice)
		default:
			return fmt.Sprintf("%s with %d payments is owed to the till", e.Notice, n)
		}
	case table.Delivered:
		return fmt.Sprintf("the till has notice %d", e.N)
	case table.Requeued:
		return fmt.Sprintf("notice %d is sent anew, by %s", e.N, e.By) + because(e.Reason)
	}
	return ""
}

// taken is the money of a payment.
func taken(r table.Receipt) string {
	text := r.Paid.Decimal()
	if r.Gratuity != 0 {
		text += " and gratuity " + r.Gratuity.Decimal()
	}
	if r.Cashback != 0 {
		text += " and cashback " + r.Cashback.Decimal()
	}
	return text
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
