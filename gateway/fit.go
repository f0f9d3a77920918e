package gateway

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
)

// This file is the door for what terminals say. What the gateway sends always
// fits the closed schemas, so what a driver says is made to fit where that
// changes nothing about the money, and is not used where it would.

// maxMinor is the most that an amount can be, in minor units (the contract,
// section 3.3).
const maxMinor money.Minor = 99_999_999

// unusable says why an outcome cannot be a terminal's final word on a
// transaction in that currency, or nil. Other amounts than were asked for are
// the terminal's to say.
func unusable(o txn.Outcome, currency money.Currency) error {
	switch {
	case !slices.Contains(txn.Results(), o.Result):
		return fmt.Errorf("its result is %q", o.Result)
	case !knownType(o.Type):
		return fmt.Errorf("its type is %q", o.Type)
	case o.Currency != currency:
		return fmt.Errorf("its currency is %q, not %s", o.Currency, currency)
	}
	for _, m := range []money.Minor{o.Base, o.Cashback, o.Gratuity} {
		if m < 0 || m > maxMinor {
			return errors.New("an amount of it is out of range")
		}
	}
	return nil
}

func knownType(t txn.Type) bool {
	switch t {
	case txn.Sale, txn.Refund, txn.PreAuth, txn.Completion, txn.AccountVerification,
		txn.SaleReversal, txn.RefundReversal, txn.Logon:
		return true
	}
	return false
}

// fitting makes an outcome fit, card numbers masked.
func fitting(o txn.Outcome) txn.Outcome {
	o = masked(o)
	o.Method, o.CVM = fittingMethod(o.Method), fittingCVM(o.CVM)
	o.Start, o.Expiry = fittingDate(o.Start), fittingDate(o.Expiry)
	o.Time = fittingTime(o.Time)
	o.Receipts.Merchant = fittingLines(o.Receipts.Merchant)
	o.Receipts.Customer = fittingLines(o.Receipts.Customer)
	return o
}

// unusableReceipt says why a receipt cannot be that of a payment at a table that
// took money, or nil.
func unusableReceipt(r table.Receipt) error {
	amounts := []money.Minor{r.Paid, r.Cashback, r.Gratuity}
	if slices.Min(amounts) < 0 || slices.Max(amounts) > maxMinor || slices.Max(amounts) == 0 {
		return errors.New("an amount of it is out of range, or none moved")
	}
	return nil
}

// fittingReceipt makes the receipt of a payment fit, card numbers masked.
func fittingReceipt(r table.Receipt) table.Receipt {
	r.PAN, r.Expiry, r.Time = receipt.MaskPAN(r.PAN), fittingDate(r.Expiry), fittingTime(r.Time)
	r.Method, r.CVM = string(fittingMethod(txn.PaymentMethod(r.Method))), string(fittingCVM(txn.CVM(r.CVM)))
	r.Receipts.Merchant = fittingLines(receipt.Masked(r.Receipts.Merchant))
	r.Receipts.Customer = fittingLines(receipt.Masked(r.Receipts.Customer))
	return r
}

// errNoUUID is for a payment of whose end no till could be told.
var errNoUUID = errors.New("gateway: the id of a payment is not a UUID")

var uuidForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
})

func isUUID(p table.PaymentID) bool { return uuidForm().MatchString(string(p)) }

// What names in visits may have, in characters.
const (
	maxVisitID  = 128
	maxWaiterID = 64
)

// nameable reports whether a name has 1 to most printable characters.
func nameable(name string, most int) bool {
	n := utf8.RuneCountInString(name)
	return n >= 1 && n <= most && utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
}

// printable is the text without what no screen shows, cut at most characters.
func printable(text string, most int) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, text))
	return string(runes[:min(len(runes), most)])
}

// fittingWaiter is what was keyed in for a waiter, as tills can be told it.
func fittingWaiter(w table.WaiterID) table.WaiterID {
	return table.WaiterID(printable(string(w), maxWaiterID))
}

// fittingWish makes what a terminal shows for a signature fit, card numbers
// masked.
func fittingWish(w txn.SignatureWish, asked txn.Type) txn.SignatureWish {
	w = maskedWish(w)
	if !knownType(w.Type) {
		w.Type = asked
	}
	w.Method, w.Merchant = fittingMethod(w.Method), fittingLines(w.Merchant)
	return w
}

// fittingReport makes a report fit, card numbers masked.
func fittingReport(r report.Report) report.Report {
	r.Lines = fittingLines(receipt.Masked(r.Lines))
	r.Time = fittingTime(r.Time)
	return r
}

// unusableReport says why a report is not the one of that type that a terminal
// with that currency was asked for, or nil.
func unusableReport(r report.Report, kind report.Type, currency money.Currency) error {
	switch {
	case r.Type != kind:
		return fmt.Errorf("it is a report %q", r.Type)
	case r.Result != report.Complete:
		return fmt.Errorf("its result is %q", r.Result)
	case (r.Balances != nil) != (kind != report.Banking):
		return errors.New("it has balances where it should not, or none where it should")
	case r.Banking != nil && kind != report.Banking && kind != report.EndOfDay:
		return errors.New("it has sessions where it should not")
	}
	var all []report.Breakdown
	if b := r.Balances; b != nil {
		all = append(all, b.Breakdown)
		all = slices.AppendSeq(all, maps.Values(b.Issuers))
		all = slices.AppendSeq(all, maps.Values(b.Waiters))
	}
	for _, s := range r.Banking {
		all = append(all, report.Breakdown{Currency: s.Currency}, s.Current, s.Previous)
		all = slices.AppendSeq(all, maps.Values(s.CurrentIssuers))
		all = slices.AppendSeq(all, maps.Values(s.PreviousIssuers))
	}
	for _, b := range all {
		if b.Currency != currency {
			return fmt.Errorf("a currency of it is %q, not %s", b.Currency, currency)
		}
	}
	return nil
}

func fittingMethod(m txn.PaymentMethod) txn.PaymentMethod {
	switch m {
	case txn.MethodKeyed, txn.MethodSwiped, txn.MethodChip, txn.MethodContactless, txn.MethodUnknown:
		return m
	}
	return txn.MethodUnknown
}

func fittingCVM(c txn.CVM) txn.CVM {
	switch c {
	case txn.CVMNone, txn.CVMPIN, txn.CVMSignature, txn.CVMDevice, txn.CVMUnknown:
		return c
	}
	return txn.CVMUnknown
}

var cardDate = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(0[1-9]|1[0-2])/[0-9]{2}$`) })

func fittingDate(d string) string {
	if cardDate().MatchString(d) {
		return d
	}
	return ""
}

// fittingTime is the terminal's time where it can be written, else ours.
func fittingTime(t time.Time) time.Time {
	if y := t.Year(); y < 1970 || y > 9998 {
		return time.Now().UTC()
	}
	return t
}

// fittingLines prints lines of a kind that terminals do not send as plain text.
func fittingLines(lines []receipt.Line) []receipt.Line {
	if receipt.Check(lines, receipt.TerminalTypes()) == nil {
		return lines
	}
	lines = slices.Clone(lines)
	for i, l := range lines {
		if !slices.Contains(receipt.TerminalTypes(), l.Type) {
			lines[i].Type = receipt.Text
		}
		lines[i].Format = slices.DeleteFunc(slices.Clone(l.Format), func(f receipt.Format) bool { return !slices.Contains(receipt.Formats(), f) })
	}
	return lines
}
