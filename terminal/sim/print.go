package sim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/txn"
)

// A side says for whom a receipt is, as it is headed.
type side string

const (
	merchantCopy side = "MERCHANT COPY"
	customerCopy side = "CUSTOMER COPY"
)

// receipts prints both copies of a finished transaction.
func (p *Park) receipts(tid txn.TID, o txn.Outcome) receipt.Copies {
	return receipt.Copies{Merchant: p.slip(tid, o, merchantCopy), Customer: p.slip(tid, o, customerCopy)}
}

// wish is what the machine shows when it wants a signature verified.
func (p *Park) wish(tid txn.TID, c current) txn.SignatureWish {
	o := c.Outcome
	o.Result = txn.Successful // so far
	return txn.SignatureWish{
		Type: o.Type, Merchant: p.slip(tid, o, merchantCopy),
		AuthCode: o.AuthCode, AID: o.AID, Label: o.Label, Method: o.Method, PAN: o.PAN,
	}
}

// slip prints one copy.
func (p *Park) slip(tid txn.TID, o txn.Outcome, to side) []receipt.Line {
	b := p.head(tid)
	b.Centred(string(to), receipt.Bold)
	b.Line(receipt.CarriageReturn)
	if o.PAN != "" {
		cardLines(b, o, to)
	}
	b.Text(typeText(o.Type), receipt.Bold)
	amountLines(b, o)
	b.Line(receipt.CarriageReturn)
	resultLines(b, o, to)
	b.Line(receipt.CarriageReturn)
	b.Pair("TXN "+o.Number, "ID "+string(o.TransactionID))
	b.Text(stamp(o.Time))
	if to == customerCopy {
		b.Line(receipt.SeparatorSingle)
		b.Centred("PLEASE RETAIN FOR YOUR RECORDS")
	}
	return b.Line(receipt.TicketFeed).Lines()
}

// head begins every print: whose machine it is.
func (p *Park) head(tid txn.TID) *receipt.Builder {
	b := new(receipt.Builder)
	b.Centred(p.o.Merchant.Name, receipt.Bold)
	for _, a := range p.o.Merchant.Address {
		b.Centred(a)
	}
	b.Line(receipt.SeparatorSingle)
	b.Pair("MID", shortMID(p.o.Merchant.MID))
	return b.Pair("TID", string(tid))
}

// shortMID shows the end of a merchant id only, as receipts do.
func shortMID(mid string) string {
	if n := len(mid) - 4; n > 0 {
		return strings.Repeat("*", n) + mid[n:]
	}
	return mid
}

func cardLines(b *receipt.Builder, o txn.Outcome, to side) {
	if o.Label != "" {
		b.Text(o.Label)
		b.Pair("AID", o.AID)
	} else {
		b.Text(o.Scheme)
	}
	b.Pair(o.PAN, methodText(o.Method))
	if o.PANSequence != "" {
		b.Pair("PAN SEQ", o.PANSequence)
	}
	if to == merchantCopy && o.Expiry != "" {
		b.Pair("EXPIRES", o.Expiry)
	}
	b.Line(receipt.CarriageReturn)
}

func methodText(m txn.PaymentMethod) string {
	switch m {
	case txn.MethodChip:
		return "ICC"
	case txn.MethodContactless, txn.MethodSwiped, txn.MethodKeyed:
		return string(m)
	case txn.MethodUnknown:
	}
	return ""
}

func typeText(t txn.Type) string {
	switch t {
	case txn.PreAuth:
		return "PRE-AUTHORISATION"
	default:
		return strings.ReplaceAll(string(t), "_", " ")
	}
}

func amountLines(b *receipt.Builder, o txn.Outcome) {
	if o.Type == txn.AccountVerification {
		return
	}
	pair := func(label string, m money.Minor, f ...receipt.Format) {
		b.Pair(label, money.Amount{Minor: m, Currency: o.Currency}.String(), f...)
	}
	if o.Cashback != 0 || o.Gratuity != 0 {
		pair("AMOUNT", o.Base)
	}
	if o.Cashback != 0 {
		pair("CASHBACK", o.Cashback)
	}
	if o.Gratuity != 0 {
		pair("GRATUITY", o.Gratuity)
	}
	pair("TOTAL", o.Total(), receipt.Bold)
}

// resultLines say how it ended, and how the cardholder was verified if that
// matters.
func resultLines(b *receipt.Builder, o txn.Outcome, to side) {
	switch o.Result {
	case txn.Successful:
		b.Text(cvmText(o.CVM))
		if o.CVM == txn.CVMSignature && to == merchantCopy {
			b.Text("SIGN BELOW", receipt.Bold)
			b.Line(receipt.CarriageReturn)
			b.Text("X" + strings.Repeat("_", receipt.Width-1))
		}
		b.Pair("AUTH CODE", o.AuthCode)
		b.Centred("APPROVED", receipt.Bold)
		if s := debitText(o.Type); s != "" {
			b.Text(s)
		}
	case txn.Declined:
		b.Box(receipt.BoxDecline, "DECLINED")
	case txn.Void:
		b.Pair("AUTH CODE", o.AuthCode)
		b.Box(receipt.BoxVoid, "VOID")
		b.Centred("NOTHING WAS TAKEN")
	case txn.Cancelled:
		b.Centred("CANCELLED", receipt.Bold)
	case txn.Unsuccessful:
		b.Centred("NOT COMPLETED", receipt.Bold)
		b.Centred("NOTHING WAS TAKEN")
	case txn.TimedOut: // never printed: the machine cannot tell
	}
}

func cvmText(c txn.CVM) string {
	switch c {
	case txn.CVMPIN:
		return "PIN VERIFIED"
	case txn.CVMSignature:
		return "CARDHOLDER SIGNATURE"
	case txn.CVMDevice:
		return "CONSUMER DEVICE CVM"
	case txn.CVMNone, txn.CVMUnknown:
	}
	return "NO CARDHOLDER VERIFICATION"
}

func debitText(t txn.Type) string {
	switch t {
	case txn.Sale, txn.Completion:
		return "PLEASE DEBIT MY ACCOUNT"
	case txn.Refund:
		return "PLEASE CREDIT MY ACCOUNT"
	default:
		return ""
	}
}

// duplicate heads a customer receipt as one.
func duplicate(customer []receipt.Line) []receipt.Line {
	head := new(receipt.Builder).Centred("DUPLICATE", receipt.Bold).Lines()
	return append(head, customer...)
}

func stamp(t time.Time) string { return t.Format("02/01/2006 15:04:05") }

// reportLines prints a report.
func (p *Park) reportLines(tid txn.TID, r report.Report) []receipt.Line {
	b := p.head(tid)
	b.Centred(reportTitle(r.Type), receipt.Bold)
	b.Text(stamp(r.Time))
	if r.Balances != nil {
		balanceLines(b, *r.Balances)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Banking)) {
		b.Line(receipt.SeparatorDouble)
		b.Text(name, receipt.Bold)
		a := r.Banking[name]
		sessionLines(b, "CURRENT SESSION", a.CurrentNumbers, a.Current, a.CurrentIssuers)
		sessionLines(b, "PREVIOUS SESSION", a.PreviousNumbers, a.Previous, a.PreviousIssuers)
	}
	b.Line(receipt.SeparatorDouble)
	if r.Type == report.EndOfDay {
		b.Text(report.CompleteLine, receipt.Bold)
	}
	return b.Line(receipt.TicketFeed).Lines()
}

func reportTitle(t report.Type) string { return strings.ReplaceAll(string(t), "_", " ") }

func balanceLines(b *receipt.Builder, t report.Balances) {
	since := "INSTALLATION"
	if !t.Since.IsZero() {
		since = stamp(t.Since)
	}
	b.Text("TOTALS SINCE " + since)
	breakdownLines(b, t.Breakdown)
	sumLine(b, "CASHBACK", t.CashbackCount, t.CashbackAmount)
	sumLine(b, "GRATUITIES", t.GratuityCount, t.GratuityAmount)
	namedLines(b, "", t.Issuers)
	namedLines(b, "WAITER ", t.Waiters)
}

func sessionLines(b *receipt.Builder, title string, n report.Numbers, t report.Breakdown, issuers map[string]report.Breakdown) {
	b.Line(receipt.SeparatorSingle)
	if n.First != "" {
		title = fmt.Sprintf("%s %s-%s", title, n.First, n.Last)
	}
	b.Text(title)
	breakdownLines(b, t)
	namedLines(b, "", issuers)
}

// namedLines print totals by issuer or by waiter.
func namedLines(b *receipt.Builder, kind string, totals map[string]report.Breakdown) {
	for _, name := range slices.Sorted(maps.Keys(totals)) {
		b.Line(receipt.SeparatorSingle)
		b.Text(kind + onScreen(name))
		breakdownLines(b, totals[name])
	}
}

func breakdownLines(b *receipt.Builder, t report.Breakdown) {
	sumLine(b, "SALES", t.SalesCount, t.SalesAmount)
	sumLine(b, "REFUNDS", t.RefundsCount, t.RefundsAmount)
	b.Pair("TOTAL", money.Amount{Minor: t.TotalAmount, Currency: t.Currency}.String(), receipt.Bold)
}

func sumLine(b *receipt.Builder, label string, count int, sum money.Minor) {
	b.Pair(label+" "+strconv.Itoa(count), sum.Decimal())
}
