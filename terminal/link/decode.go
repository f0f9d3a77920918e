package link

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// A form can say what no type of Go can.
type form interface{ check(*checker) }

// decode reads one form. The fault names the first place that is wrong, below
// under; values are not repeated, for they may be what must not be logged.
func decode[F form](under string, raw jsontext.Value) (F, *jsonrpc.Error) {
	var f F
	if raw == nil {
		raw = jsontext.Value("{}")
	}
	if at, found := findNull(raw); found {
		return f, fault(under+at, "is null; leave it out instead")
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		at, why := under, "is not JSON of the right form"
		if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
			at += string(semantic.JSONPointer)
			if semantic.GoType != nil {
				why = "is not of the right type"
			}
		}
		return f, fault(at, why)
	}
	c := checker{at: under}
	f.check(&c)
	return f, c.found
}

// findNull returns the place of a null, which no member may be.
func findNull(raw jsontext.Value) (string, bool) {
	if !bytes.Contains(raw, []byte("null")) {
		return "", false
	}
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	for {
		tok, err := dec.ReadToken()
		if err != nil {
			return "", false // what is no JSON is found by Unmarshal
		}
		if tok.Kind() == 'n' {
			return string(dec.StackPointer()), true
		}
	}
}

func fault(at, why string) *jsonrpc.Error {
	if at == "" {
		at = "the message"
	}
	return &jsonrpc.Error{Code: jsonrpc.InvalidParams, Message: "Invalid params: " + at + " " + why}
}

// A checker notes the first fault.
type checker struct {
	at    string
	found *jsonrpc.Error
}

func (c *checker) bad(name, why string) {
	if c.found == nil {
		c.found = fault(c.at+"/"+escape(name), why)
	}
}

// escape writes a name as a part of a JSON pointer.
func escape(name string) string {
	if !strings.ContainsAny(name, "~/") {
		return name
	}
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// in checks what lies under a name.
func (c *checker) in(name string, f form) {
	if c.found != nil {
		return
	}
	at := c.at
	c.at += "/" + escape(name)
	f.check(c)
	c.at = at
}

func (c *checker) need(name string, there bool) bool {
	if !there {
		c.bad(name, "is required")
	}
	return there
}

// What names and texts may have, in characters.
const (
	maxID   = 128
	maxText = 256
	maxLine = 1024 // of a receipt
	// maxMinor is the most that an amount can be, in minor units.
	maxMinor money.Minor = 99_999_999
)

// id is the name of a terminal, request, visit or payment: 1 to 128 printable
// ASCII characters, none of them a space.
func (c *checker) id(name, id string) {
	switch {
	case !c.need(name, id != ""):
	case len(id) > maxID:
		c.bad(name, fmt.Sprintf("must have at most %d characters", maxID))
	case strings.ContainsFunc(id, func(r rune) bool { return r < '!' || r > '~' }):
		c.bad(name, "must have printable ASCII characters only, and no spaces")
	}
}

func (c *checker) text(name, s string) {
	if utf8.RuneCountInString(s) > maxText {
		c.bad(name, fmt.Sprintf("must have at most %d characters", maxText))
	}
}

func (c *checker) amount(name string, m money.Minor) {
	if m < 0 || m > maxMinor {
		c.bad(name, fmt.Sprintf("must be from 0 to %d", maxMinor))
	}
}

func (c *checker) needAmount(name string, m *money.Minor) {
	if c.need(name, m != nil) {
		c.amount(name, *m)
	}
}

func (c *checker) currency(name string, cur money.Currency) {
	one(c, name, cur, money.Currencies())
}

// one checks that v is one of a few.
func one[T ~string](c *checker, name string, v T, of []T) {
	if c.need(name, v != "") && !slices.Contains(of, v) {
		c.bad(name, fmt.Sprintf("must be one of %v", of))
	}
}

func (c *checker) lines(name string, lines []lineForm) {
	for i, l := range lines {
		if l.Type == "" {
			c.bad(name, "has a line without a type, the one at "+strconv.Itoa(i))
		}
		if utf8.RuneCountInString(l.Value) > maxLine {
			c.bad(name, fmt.Sprintf("has a line of more than %d characters, the one at %d", maxLine, i))
		}
	}
}

// resultTypes are the types that an outcome can bear.
func resultTypes() []txn.Type {
	return append(txn.RequestTypes(), txn.SaleReversal, txn.RefundReversal, txn.Logon)
}

func reportTypes() []report.Type { return report.Types() }

// The messages to the gateway.

func (f helloForm) check(c *checker) {
	c.id("tid", string(f.TID))
	if c.need("linkVersion", f.LinkVersion != nil) && *f.LinkVersion != Version {
		c.bad("linkVersion", "must be "+strconv.Itoa(Version))
	}
	c.text("model", f.Model)
	c.text("software", f.Software)
	if f.Memory != nil {
		c.id("memory", *f.Memory)
	}
	c.in("capabilities", f.Capabilities)
}

func (f capabilitiesForm) check(c *checker) {
	c.currency("currency", f.Currency)
	if c.need("types", f.Types != nil) {
		for _, t := range f.Types {
			one(c, "types", t, txn.RequestTypes())
		}
	}
	for _, t := range f.Reports {
		one(c, "reports", t, reportTypes())
	}
}

func (f welcomeForm) check(c *checker) {
	if c.need("linkVersion", f.LinkVersion != nil) && *f.LinkVersion < 1 {
		c.bad("linkVersion", "must be at least 1")
	}
}

func (f notifiedForm) check(c *checker) {
	c.id("requestId", string(f.RequestID))
	if c.need("value", f.Value != "") {
		c.text("value", string(f.Value))
	}
}

func (f signatureWantedForm) check(c *checker) {
	c.id("requestId", string(f.RequestID))
	one(c, "type", f.Type, resultTypes())
	c.lines("merchantReceipt", f.MerchantReceipt)
	for _, t := range []struct{ name, value string }{
		{"authCode", f.AuthCode}, {"aid", f.AID}, {"label", f.Label}, {"paymentMethod", string(f.Method)}, {"pan", f.PAN},
	} {
		c.text(t.name, t.value)
	}
}

func (f endedForm) check(c *checker) {
	c.id("requestId", string(f.RequestID))
	if c.need("outcome", f.Outcome != nil) {
		c.in("outcome", f.Outcome)
	}
}

func (f *outcomeForm) check(c *checker) {
	one(c, "type", f.Type, resultTypes())
	one(c, "result", f.Result, txn.Results())
	c.currency("currency", f.Currency)
	c.needAmount("amountBase", f.AmountBase)
	c.amount("amountCashback", f.AmountCashback)
	c.amount("amountGratuity", f.AmountGratuity)
	for _, t := range []struct{ name, value string }{
		{"transactionId", string(f.TransactionID)},
		{"number", f.Number},
		{"paymentMethod", string(f.Method)},
		{"cardholderVerification", string(f.CVM)},
		{"scheme", f.Scheme},
		{"aid", f.AID},
		{"label", f.Label},
		{"authCode", f.AuthCode},
		{"pan", f.PAN},
		{"panSequence", f.PANSequence},
		{"start", f.Start},
		{"expiry", f.Expiry},
	} {
		c.text(t.name, t.value)
	}
	c.lines("merchantReceipt", f.MerchantReceipt)
	c.lines("customerReceipt", f.CustomerReceipt)
}

func (f *receiptForm) check(c *checker) {
	c.currency("currency", f.Currency)
	c.needAmount("amountPaid", f.AmountPaid)
	c.amount("amountCashback", f.AmountCashback)
	c.amount("amountGratuity", f.AmountGratuity)
	for _, t := range []struct{ name, value string }{
		{"transactionId", f.TransactionID},
		{"number", f.Number},
		{"paymentMethod", f.Method},
		{"cardholderVerification", f.CVM},
		{"scheme", f.Scheme},
		{"aid", f.AID},
		{"label", f.Label},
		{"authCode", f.AuthCode},
		{"pan", f.PAN},
		{"expiry", f.Expiry},
	} {
		c.text(t.name, t.value)
	}
	c.lines("merchantReceipt", f.MerchantReceipt)
	c.lines("customerReceipt", f.CustomerReceipt)
}

func (f reportedForm) check(c *checker) {
	c.id("requestId", string(f.RequestID))
	if c.need("report", f.Report != nil) {
		c.in("report", f.Report)
	}
}

func (f *reportForm) check(c *checker) {
	one(c, "type", f.Type, reportTypes())
	one(c, "result", f.Result, []report.Result{report.Complete, report.TimedOut})
	if f.Balances != nil {
		c.in("balances", f.Balances)
	}
	for _, name := range sorted(f.Banking) {
		c.in("banking", keyed[acquirerForm]{name, f.Banking[name]})
	}
	c.lines("lines", f.Lines)
}

// A keyed form lies in an object whose names are anybody's.
type keyed[F form] struct {
	name string
	form F
}

func (k keyed[F]) check(c *checker) { c.in(k.name, k.form) }

// Totals are sums of amounts: they may be negative, and more than one amount.
const maxTotal = 1 << 53

func (c *checker) total(name string, m *money.Minor) {
	if c.need(name, m != nil) && (*m > maxTotal || *m < -maxTotal) {
		c.bad(name, "is out of range")
	}
}

func (c *checker) count(name string, n *int) {
	if c.need(name, n != nil) && *n < 0 {
		c.bad(name, "must be at least 0")
	}
}

func (f breakdownForm) check(c *checker) {
	c.currency("currency", f.Currency)
	c.total("totalAmount", f.TotalAmount)
	c.total("salesAmount", f.SalesAmount)
	c.count("salesCount", f.SalesCount)
	c.total("refundsAmount", f.RefundsAmount)
	c.count("refundsCount", f.RefundsCount)
}

func (f *balancesForm) check(c *checker) {
	c.in("total", f.Total)
	c.total("cashbackAmount", &f.CashbackAmount)
	c.count("cashbackCount", &f.CashbackCount)
	c.total("gratuityAmount", &f.GratuityAmount)
	c.count("gratuityCount", &f.GratuityCount)
	for _, name := range sorted(f.Issuers) {
		c.in("issuers", keyed[breakdownForm]{name, f.Issuers[name]})
	}
	for _, name := range sorted(f.Waiters) {
		c.in("waiters", keyed[breakdownForm]{name, f.Waiters[name]})
	}
}

func (f acquirerForm) check(c *checker) {
	c.currency("currency", f.Currency)
	c.in("current", f.Current)
	c.in("previous", f.Previous)
	for _, name := range sorted(f.CurrentIssuers) {
		c.in("currentIssuers", keyed[breakdownForm]{name, f.CurrentIssuers[name]})
	}
	for _, name := range sorted(f.PreviousIssuers) {
		c.in("previousIssuers", keyed[breakdownForm]{name, f.PreviousIssuers[name]})
	}
}

func (f statusForm) check(c *checker) { c.need("busy", f.Busy != nil) }

func (f tablesWantedForm) check(c *checker) {
	c.id("visitId", string(f.VisitID))
	c.text("waiterId", string(f.WaiterID))
}

func (f tableWantedForm) check(c *checker) {
	c.id("visitId", string(f.VisitID))
	c.text("waiterId", string(f.WaiterID))
	if c.need("tableId", f.TableID != "") {
		c.text("tableId", string(f.TableID))
	}
}

func (f billWantedForm) check(c *checker) { c.id("visitId", string(f.VisitID)) }

func (f paymentStartedForm) check(c *checker) {
	c.id("visitId", string(f.VisitID))
	c.id("paymentId", string(f.PaymentID))
	c.currency("currency", f.Currency)
	c.needAmount("amountAsked", f.AmountAsked)
}

func (f paymentEndedForm) check(c *checker) {
	c.id("visitId", string(f.VisitID))
	c.id("paymentId", string(f.PaymentID))
	if c.need("taken", f.Taken != nil) {
		c.paid(*f.Taken, f.Receipt)
	}
}

// paid checks that a receipt is there exactly where money moved.
func (c *checker) paid(taken bool, r *receiptForm) {
	switch {
	case taken && c.need("receipt", r != nil):
		c.in("receipt", r)
	case !taken && r != nil:
		c.bad("receipt", "must not be there when nothing was taken")
	}
}

func (f visitLeftForm) check(c *checker) {
	c.id("visitId", string(f.VisitID))
	c.text("why", f.Why)
}

// The answers to the gateway.

func (f answerForm) check(c *checker) { c.answer(f, answerTaken, answerRefused) }

func (f startAnswerForm) check(c *checker) {
	c.answer(answerForm(f), answerAccepted, answerBusy, answerRefused)
}

func (c *checker) answer(f answerForm, of ...string) {
	one(c, "answer", f.Answer, of)
	c.text("reason", f.Reason)
	c.text("userMessage", f.UserMessage)
}

func (f queryAnswerForm) check(c *checker) {
	kind, known := kindOf(f.Answer)
	there := 0
	if f.Outcome != nil {
		there++
		c.in("outcome", f.Outcome)
	}
	if f.Report != nil {
		there++
		c.in("report", f.Report)
	}
	switch {
	case !known:
		c.bad("answer", fmt.Sprintf("must be one of %v", terminal.AnswerKinds()))
	case kind == terminal.Final && there != 1:
		c.bad("answer", "is final, so it wants either an outcome or a report")
	case kind != terminal.Final && there > 0:
		c.bad("answer", "is not final, so there must be no outcome and no report")
	}
}

func (f lastAnswerForm) check(c *checker) {
	one(c, "answer", f.Answer, []string{answerFound, answerNone, answerRefused})
	c.text("reason", f.Reason)
	c.text("userMessage", f.UserMessage)
	if f.RequestID != nil {
		c.id("requestId", string(*f.RequestID))
	}
	switch {
	case f.Answer == answerFound && c.need("outcome", f.Outcome != nil):
		c.in("outcome", f.Outcome)
	case f.Answer != answerFound && f.Outcome != nil:
		c.bad("outcome", "must not be there when none was found")
	}
}

func (f paymentAnswerForm) check(c *checker) {
	kind, known := kindOf(f.Answer)
	switch {
	case !known:
		c.bad("answer", fmt.Sprintf("must be one of %v", terminal.AnswerKinds()))
	case kind == terminal.Final && c.need("taken", f.Taken != nil):
		c.paid(*f.Taken, f.Receipt)
	case kind != terminal.Final && (f.Taken != nil || f.Receipt != nil):
		c.bad("answer", "is not final, so nothing is said of what was taken")
	}
}

// The messages to the machine.

func (f startForm) check(c *checker) {
	c.id("requestId", string(f.RequestID))
	switch {
	case f.Transaction == nil && f.Report == nil:
		c.bad("transaction", "is required where there is no report")
	case f.Transaction != nil && f.Report != nil:
		c.bad("report", "must not be there beside a transaction")
	case f.Transaction != nil:
		c.in("transaction", f.Transaction)
	default:
		c.in("report", f.Report)
	}
}

func (f *transactionForm) check(c *checker) {
	one(c, "type", f.Type, txn.RequestTypes())
	c.currency("currency", f.Currency)
	c.needAmount("amountBase", f.AmountBase)
	c.amount("amountCashback", f.AmountCashback)
	c.text("authCode", f.AuthCode)
	c.amount("amountPreAuthorised", f.AmountPreAuthorised)
}

func (f *askedReportForm) check(c *checker) { one(c, "type", f.Type, reportTypes()) }

func (f requestForm) check(c *checker) { c.id("requestId", string(f.RequestID)) }

func (f signatureForm) check(c *checker) {
	c.id("requestId", string(f.RequestID))
	c.need("accepted", f.Accepted != nil)
}

// An emptyForm has no members that are known.
type emptyForm struct{}

func (emptyForm) check(*checker) {}

func (f answerTableForm) check(c *checker) {
	c.id("visitId", string(f.VisitID))
	there := 0
	for _, part := range []struct {
		name  string
		there bool
		form  form
	}{
		{"tableList", f.TableList != nil, f.TableList},
		{"tableLock", f.TableLock != nil, f.TableLock},
		{"bill", f.Bill != nil, f.Bill},
		{"paymentAllowed", f.PaymentAllowed != nil, f.PaymentAllowed},
		{"paymentForbidden", f.PaymentForbidden != nil, f.PaymentForbidden},
		{"paymentKept", f.PaymentKept != nil, f.PaymentKept},
		{"visitClosed", f.VisitClosed != nil, f.VisitClosed},
	} {
		if !part.there {
			continue
		}
		if there++; there > 1 {
			c.bad(part.name, "must not be there beside another answer")
			continue
		}
		c.in(part.name, part.form)
	}
	c.need("tableList", there > 0)
}

func (f *tableListForm) check(c *checker) {
	c.need("tables", f.Tables != nil)
	for _, t := range f.Tables {
		c.tableName("tables", t)
	}
	if f.Currency != nil {
		c.currency("currency", *f.Currency)
	}
	c.text("message", f.Message)
}

func (c *checker) tableName(name string, t table.TableID) {
	if c.need(name, t != "") {
		c.text(name, string(t))
	}
}

func (f *tableLockForm) check(c *checker) {
	granted := c.need("granted", f.Granted != nil) && *f.Granted
	if f.Currency != nil || granted && c.need("currency", false) {
		c.currency("currency", *f.Currency)
	}
	if f.AmountOutstanding != nil || granted && c.need("amountOutstanding", false) {
		c.amount("amountOutstanding", *f.AmountOutstanding)
	}
	c.text("message", f.Message)
}

func (f *billForm) check(c *checker) {
	c.lines("lines", f.Lines)
	c.text("message", f.Message)
}

func (f *paymentForm) check(c *checker) { c.id("paymentId", string(f.Payment)) }

func (f *forbiddenForm) check(c *checker) {
	c.id("paymentId", string(f.Payment))
	c.text("message", f.Message)
}

func (f *visitClosedForm) check(c *checker) { c.lines("finalReceipt", f.FinalReceipt) }

func (f queryPaymentForm) check(c *checker) {
	c.id("visitId", string(f.VisitID))
	c.id("paymentId", string(f.PaymentID))
}
