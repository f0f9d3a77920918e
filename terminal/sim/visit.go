package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
)

// A Visit is what a waiter does at a machine, start to end (the contract,
// section 5). Its zero value looks at the list of tables and leaves.
type Visit struct {
	Waiter table.WaiterID
	// Table is the one that is picked; empty only looks at the list.
	Table table.TableID
	// ByName keys the table in when the list does not have it.
	ByName    bool
	PrintBill bool

	// Pay is the cards that are presented, one after the other, until all that
	// is to be paid is paid. Empty: one card, or one for each part of a split.
	Pay []Card
	// Split is how many equal parts are paid; what does not divide goes on the
	// first. 0 is one.
	Split int
	// Amount is what is paid in all, minor units without gratuity; 0 and more
	// than is due are all of it.
	Amount money.Minor
	Tip    Tip

	DeclineFirst bool // one more card comes first and is declined
	Contactless  bool // cards are tapped, unless their script says otherwise
	Signature    bool // cardholders sign, and the waiter verifies it on the machine

	// CancelAt leaves once that step is reached, from the list to the card.
	CancelAt Step

	// HoldAt stops the visit at that step until Until is closed, whatever the
	// pace. Where a waiter could leave, that ends the hold.
	HoldAt Step
	Until  <-chan struct{}
}

// A Card is presented for one payment.
type Card struct {
	Amount money.Minor // towards the bill, minor units; 0 is the next part, or what is left
	Script Script      // LoseReply has no meaning at a table
}

// A Tip is the gratuity that is chosen before the card: none, a share of the
// payment rounded down, or an amount. It comes with the first payment that is
// taken, or with each.
type Tip struct {
	Percent int // 0 to 100
	Amount  money.Minor
	Each    bool
}

// of is the gratuity on a payment. The total stays in a terminal's range.
func (t Tip) of(asked money.Minor) money.Minor {
	return min(t.Amount+asked*money.Minor(t.Percent)/100, maxTotal-asked)
}

// A Step is where a visit stands on the machine's screen.
type Step string

// The steps, in their order.
const (
	StepList      Step = "list"
	StepLock      Step = "lock"
	StepBill      Step = "bill"
	StepSplit     Step = "split"
	StepGratuity  Step = "gratuity"
	StepCard      Step = "card"
	StepSignature Step = "signature"
	StepReceipt   Step = "receipt" // a card's receipt, or the final one of the till
	StepLeave     Step = "leave"
)

// Steps lists the steps.
func Steps() []Step {
	return []Step{StepList, StepLock, StepBill, StepSplit, StepGratuity, StepCard, StepSignature, StepReceipt, StepLeave}
}

// CancelSteps lists the steps at which a waiter can leave.
func CancelSteps() []Step { return Steps()[:6] }

// A VisitStep is one text on the machine's screen or paper; it may have lines.
type VisitStep struct {
	Step Step
	Text string
	At   time.Time
}

// A VisitEnd says how a visit ended for the waiter.
type VisitEnd string

// The ends. Whatever the end, what was taken is in the result.
const (
	EndPaid       VisitEnd = "paid"       // nothing is left to pay
	EndPartPaid   VisitEnd = "partPaid"   // something was paid, and a balance is left
	EndDeclined   VisitEnd = "declined"   // no card was taken
	EndRefused    VisitEnd = "refused"    // no lock, or gateway or machine would take no payment
	EndNoTable    VisitEnd = "noTable"    // the list lacks the table, or there is no list, as when the till is offline
	EndListed     VisitEnd = "listed"     // only the list was wanted
	EndOffline    VisitEnd = "offline"    // the gateway cannot be reached, or did not answer
	EndCancelled  VisitEnd = "cancelled"  // the waiter left, or the cardholder would not pay
	EndUnresolved VisitEnd = "unresolved" // the machine fell mute, or lost its power or memory
)

// VisitEnds lists the ends.
func VisitEnds() []VisitEnd {
	return []VisitEnd{
		EndPaid, EndPartPaid, EndDeclined, EndRefused, EndNoTable, EndListed, EndOffline, EndCancelled, EndUnresolved,
	}
}

// why is an end in the words of the record.
func (e VisitEnd) why() string {
	switch e {
	case EndPartPaid:
		return "left with a balance"
	case EndNoTable:
		return "no table"
	case EndPaid, EndDeclined, EndRefused, EndListed, EndOffline, EndCancelled, EndUnresolved:
	}
	return string(e)
}

// A VisitPayment is one payment of a visit whose end the machine knows.
type VisitPayment struct {
	ID      table.PaymentID
	Result  txn.Result
	Receipt table.Receipt // when successful
}

// A VisitResult is what became of a visit. Amounts are minor units of Currency;
// Paid is towards the bill, without gratuity.
type VisitResult struct {
	ID       table.VisitID
	End      VisitEnd
	Steps    []VisitStep
	Tables   []table.TableID // the list
	Currency money.Currency  // once locked
	Due      money.Minor     // when locked
	Paid     money.Minor
	Gratuity money.Minor
	Balance  money.Minor
	Payments []VisitPayment

	Bill         []receipt.Line
	FinalReceipt []receipt.Line
}

// maxSplit is the most parts that a machine splits a bill into.
const maxSplit = 99

func (v Visit) check() error {
	bad := func(what string) error { return fmt.Errorf("sim: a visit with %s", what) }
	switch {
	case v.Split < 0 || v.Split > maxSplit:
		return bad(fmt.Sprintf("a bill split into %d", v.Split))
	case v.Amount < 0 || v.Amount > maxTotal || v.Tip.Amount < 0 || v.Tip.Amount > maxTotal:
		return bad("an amount that is out of range")
	case v.Tip.Percent < 0 || v.Tip.Percent > 100 || v.Tip.Percent > 0 && v.Tip.Amount > 0:
		return bad("a gratuity that is neither a percentage nor an amount")
	case v.CancelAt != "" && !slices.Contains(CancelSteps(), v.CancelAt):
		return bad(fmt.Sprintf("a cancel at %q", v.CancelAt))
	case v.HoldAt != "" && !slices.Contains(Steps(), v.HoldAt):
		return bad(fmt.Sprintf("a hold at %q", v.HoldAt))
	case v.HoldAt != "" && v.Until == nil:
		return errors.New("sim: a visit with a hold that nothing ends")
	}
	for _, c := range v.Pay {
		if c.Amount < 0 || c.Amount > maxTotal {
			return bad("a card for an amount that is out of range")
		}
	}
	return nil
}

// cards are the cards that are presented, each with its part in full.
func (v Visit) cards() []Card {
	cards := slices.Clone(v.Pay)
	if len(cards) == 0 {
		cards = make([]Card, max(1, v.Split))
	}
	if v.DeclineFirst {
		first := cards[0]
		first.Script = Script{Result: txn.Declined, Entry: first.Script.Entry, CVM: first.Script.CVM}
		cards = append([]Card{first}, cards...)
	}
	for i := range cards {
		s := &cards[i].Script
		if v.Signature && s.CVM == "" {
			s.CVM = txn.CVMSignature
		}
		if v.Contactless && s.Entry == "" {
			s.Entry = txn.MethodContactless
			if s.CVM == "" {
				s.CVM = txn.CVMDevice
			}
		}
	}
	return cards
}

// parts splits what is to be paid; there is at least one.
func parts(sum money.Minor, n int) []money.Minor {
	n = max(1, n)
	out := slices.Repeat([]money.Minor{sum / money.Minor(n)}, n)
	out[0] += sum % money.Minor(n)
	return out
}

// What fits on the screen.
const (
	tablesOnPage = 8
	nameOnScreen = 24 // characters, then the name is shortened
)

// onScreen is a name from outside as the machine shows it.
func onScreen(name string) string {
	r := []rune(printable(name))
	if len(r) > nameOnScreen {
		return string(r[:nameOnScreen]) + "…"
	}
	return string(r)
}

// printable has a space wherever a screen would do something else than show.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return ' '
	}, s)
}

// onPaper is what the machine prints of the till's lines.
func onPaper(lines []receipt.Line) string {
	out := slices.Clone(lines)
	for i := range out {
		out[i].Value = printable(out[i].Value)
	}
	return receipt.Plain(out)
}
