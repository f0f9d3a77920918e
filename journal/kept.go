package journal

import (
	"fmt"
	"strings"
	"time"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
)

// This file keeps the tables that tills store at the gateway: the records of
// their events, and their heads. The visits at which they are paid are streams of
// their own; a visit's intention to lock names the table that is meant.

// The kinds of a kept table's records. A kind that was written once is read for
// ever.
const (
	kindKeptCreated          = "kept.created"
	kindKeptAmountChanged    = "kept.amountChanged"
	kindKeptReceiptChanged   = "kept.receiptChanged"
	kindKeptWaitersChanged   = "kept.waitersChanged"
	kindKeptTillLocked       = "kept.tillLocked"
	kindKeptTillUnlocked     = "kept.tillUnlocked"
	kindKeptTerminalLocked   = "kept.terminalLocked"
	kindKeptTerminalUnlocked = "kept.terminalUnlocked"
	kindKeptUnlockedByHand   = "kept.unlockedByHand"
	kindKeptPaymentBooked    = "kept.paymentBooked"
	kindKeptRemoved          = "kept.removed"
)

// The stored forms, version 1; see forms.go for the rules.

type knownForm struct {
	Amount money.Minor `json:"amount"`
	Paid   money.Minor `json:"paid,omitzero"`
}

type keptCreatedForm struct {
	ID         table.KeptID     `json:"id"`
	Site       string           `json:"site"`
	Name       table.TableID    `json:"name"`
	Amount     money.Minor      `json:"amount"`
	Currency   money.Currency   `json:"currency"`
	Receipt    []lineForm       `json:"receipt,omitzero"`
	Waiters    []table.WaiterID `json:"waiters,omitzero"`
	By         string           `json:"by,omitzero"`
	Deviations []string         `json:"deviations,omitzero"`
	At         *time.Time       `json:"at,omitempty"`
}

type keptAmountForm struct {
	Known      knownForm   `json:"known"`
	Amount     money.Minor `json:"amount"`
	By         string      `json:"by,omitzero"`
	Deviations []string    `json:"deviations,omitzero"`
	At         *time.Time  `json:"at,omitempty"`
}

type keptReceiptForm struct {
	Known      knownForm  `json:"known"`
	Receipt    []lineForm `json:"receipt,omitzero"`
	By         string     `json:"by,omitzero"`
	Deviations []string   `json:"deviations,omitzero"`
	At         *time.Time `json:"at,omitempty"`
}

type keptWaitersForm struct {
	Known      knownForm        `json:"known"`
	Waiters    []table.WaiterID `json:"waiters,omitzero"`
	By         string           `json:"by,omitzero"`
	Deviations []string         `json:"deviations,omitzero"`
	At         *time.Time       `json:"at,omitempty"`
}

type keptLockForm struct {
	Known      knownForm  `json:"known"`
	Holder     string     `json:"holder,omitzero"`
	Over       string     `json:"over,omitzero"`
	By         string     `json:"by,omitzero"`
	Deviations []string   `json:"deviations,omitzero"`
	At         *time.Time `json:"at,omitempty"`
}

type keptTerminalForm struct {
	TID    string         `json:"tid"`
	Visit  table.VisitID  `json:"visit"`
	Waiter table.WaiterID `json:"waiter,omitzero"`
	At     *time.Time     `json:"at,omitempty"`
}

type keptVisitForm struct {
	Visit table.VisitID `json:"visit"`
	At    *time.Time    `json:"at,omitempty"`
}

type keptByHandForm struct {
	By     string     `json:"by"`
	Reason string     `json:"reason,omitzero"`
	At     *time.Time `json:"at,omitempty"`
}

type keptBookedForm struct {
	Payment table.PaymentID `json:"payment"`
	Visit   table.VisitID   `json:"visit"`
	TID     string          `json:"tid"`
	Waiter  table.WaiterID  `json:"waiter,omitzero"`
	Receipt receiptForm     `json:"receipt"`
	At      *time.Time      `json:"at,omitempty"`
}

type keptRemovedForm struct {
	Known      knownForm  `json:"known"`
	By         string     `json:"by,omitzero"`
	Deviations []string   `json:"deviations,omitzero"`
	At         *time.Time `json:"at,omitempty"`
}

// EncodeKept is EncodeTxn for the events of a kept table. Names of tables and of
// who holds them, and ids of waiters and payments, stay as they are, and so do
// the barcodes of a bill: tills know their own by them.
func EncodeKept(e table.KeptEvent, at time.Time) Record {
	at = utc(at)
	switch e := e.(type) {
	case table.Created:
		return encode(kindKeptCreated, at, keptCreatedForm{
			e.ID, e.Site, e.Name, e.Amount, e.Currency, formBill(e.Receipt), e.Waiters, masked(e.By), maskedAll(e.Deviations), own(e.At, at),
		})
	case table.AmountChanged:
		return encode(kindKeptAmountChanged, at, keptAmountForm{knownForm(e.Known), e.Amount, masked(e.By), maskedAll(e.Deviations), own(e.At, at)})
	case table.ReceiptChanged:
		return encode(kindKeptReceiptChanged, at, keptReceiptForm{knownForm(e.Known), formBill(e.Receipt), masked(e.By), maskedAll(e.Deviations), own(e.At, at)})
	case table.WaitersChanged:
		return encode(kindKeptWaitersChanged, at, keptWaitersForm{knownForm(e.Known), e.Waiters, masked(e.By), maskedAll(e.Deviations), own(e.At, at)})
	case table.TillLocked:
		return encode(kindKeptTillLocked, at, keptLockForm{knownForm(e.Known), e.Holder, e.Over, masked(e.By), maskedAll(e.Deviations), own(e.At, at)})
	case table.TillUnlocked:
		return encode(kindKeptTillUnlocked, at, keptLockForm{knownForm(e.Known), e.Holder, e.Over, masked(e.By), maskedAll(e.Deviations), own(e.At, at)})
	case table.TerminalLocked:
		return encode(kindKeptTerminalLocked, at, keptTerminalForm{e.TID, e.Visit, e.Waiter, own(e.At, at)})
	case table.TerminalUnlocked:
		return encode(kindKeptTerminalUnlocked, at, keptVisitForm{e.Visit, own(e.At, at)})
	case table.UnlockedByHand:
		return encode(kindKeptUnlockedByHand, at, keptByHandForm{e.By, masked(e.Reason), own(e.At, at)})
	case table.PaymentBooked:
		return encode(kindKeptPaymentBooked, at, keptBookedForm{e.Payment, e.Visit, e.TID, e.Waiter, formReceipt(e.Receipt), own(e.At, at)})
	case table.Removed:
		return encode(kindKeptRemoved, at, keptRemovedForm{knownForm(e.Known), masked(e.By), maskedAll(e.Deviations), own(e.At, at)})
	default:
		panic(fmt.Sprintf("journal: no kind for %T", e))
	}
}

// DecodeKept is DecodeTxn for the events of a kept table.
func DecodeKept(r Record) (table.KeptEvent, error) {
	switch r.Kind {
	case kindKeptCreated:
		f, err := decode[keptCreatedForm](r)
		return table.Created{
			ID: f.ID, Site: f.Site, Name: f.Name, Amount: f.Amount, Currency: f.Currency,
			Receipt: bill(f.Receipt), Waiters: f.Waiters, By: masked(f.By), Deviations: maskedAll(f.Deviations), At: when(f.At, r.At),
		}, err
	case kindKeptAmountChanged:
		f, err := decode[keptAmountForm](r)
		return table.AmountChanged{Known: table.Known(f.Known), Amount: f.Amount, By: masked(f.By), Deviations: maskedAll(f.Deviations), At: when(f.At, r.At)}, err
	case kindKeptReceiptChanged:
		f, err := decode[keptReceiptForm](r)
		return table.ReceiptChanged{Known: table.Known(f.Known), Receipt: bill(f.Receipt), By: masked(f.By), Deviations: maskedAll(f.Deviations), At: when(f.At, r.At)}, err
	case kindKeptWaitersChanged:
		f, err := decode[keptWaitersForm](r)
		return table.WaitersChanged{Known: table.Known(f.Known), Waiters: f.Waiters, By: masked(f.By), Deviations: maskedAll(f.Deviations), At: when(f.At, r.At)}, err
	case kindKeptTillLocked:
		f, err := decode[keptLockForm](r)
		return table.TillLocked{Known: table.Known(f.Known), Holder: f.Holder, Over: f.Over, By: masked(f.By), Deviations: maskedAll(f.Deviations), At: when(f.At, r.At)}, err
	case kindKeptTillUnlocked:
		f, err := decode[keptLockForm](r)
		return table.TillUnlocked{Known: table.Known(f.Known), Holder: f.Holder, Over: f.Over, By: masked(f.By), Deviations: maskedAll(f.Deviations), At: when(f.At, r.At)}, err
	case kindKeptTerminalLocked:
		f, err := decode[keptTerminalForm](r)
		return table.TerminalLocked{TID: f.TID, Visit: f.Visit, Waiter: f.Waiter, At: when(f.At, r.At)}, err
	case kindKeptTerminalUnlocked:
		f, err := decode[keptVisitForm](r)
		return table.TerminalUnlocked{Visit: f.Visit, At: when(f.At, r.At)}, err
	case kindKeptUnlockedByHand:
		f, err := decode[keptByHandForm](r)
		return table.UnlockedByHand{By: f.By, Reason: masked(f.Reason), At: when(f.At, r.At)}, err
	case kindKeptPaymentBooked:
		f, err := decode[keptBookedForm](r)
		return table.PaymentBooked{
			Payment: f.Payment, Visit: f.Visit, TID: f.TID, Waiter: f.Waiter, Receipt: f.Receipt.receipt(), At: when(f.At, r.At),
		}, err
	case kindKeptRemoved:
		f, err := decode[keptRemovedForm](r)
		return table.Removed{Known: table.Known(f.Known), By: masked(f.By), Deviations: maskedAll(f.Deviations), At: when(f.At, r.At)}, err
	}
	return nil, unknownKind(r)
}

// ReplayKept returns the kept table that the records tell of.
func ReplayKept(records []Record) (table.Kept, error) {
	return replay(records, DecodeKept, table.ApplyKept)
}

// formBill is formLines for a till's bill.
func formBill(bill []receipt.Line) []lineForm {
	out := formLines(bill)
	for i, l := range bill {
		if barcode(l.Type) {
			out[i].Value = l.Value
		}
	}
	return out
}

// bill is lines for a till's bill.
func bill(form []lineForm) []receipt.Line {
	out := lines(form)
	for i, l := range form {
		if barcode(l.Type) {
			out[i].Value = l.Value
		}
	}
	return out
}

// barcode reports whether a line is the till's own number of something: many of
// such look like card numbers and would no longer be readable.
func barcode(t receipt.LineType) bool { return strings.HasPrefix(string(t), "BARCODE_") }

// keptType is the type in the head of every kept table.
const keptType = "TABLE"

// KeptHead returns the head of a kept table, but for what the journal sets. It is
// open until the table is deleted, and has no TID. Its amount is that with which
// it was stored; its result, once it is deleted, says what was paid by the end:
// UNPAID, PART_PAID or PAID.
func KeptHead(k table.Kept) Head {
	h := Head{
		Stream: Stream(k.ID), Kind: KeptStream, Site: txn.SiteID(k.Site),
		State: string(k.State), Type: keptType, Open: k.Stored(),
		Minor: int64(k.Amount), Currency: string(k.Currency), AcceptedAt: utc(k.At),
	}
	switch {
	case k.State == "" || k.Stored():
	case len(k.Payments) == 0:
		h.Result = resultUnpaid
	case k.Outstanding() > 0:
		h.Result = resultPartPaid
	default:
		h.Result = resultPaid
	}
	return h
}
