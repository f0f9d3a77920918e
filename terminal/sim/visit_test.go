package sim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// A hall is a gateway and its till to one machine in visits. It holds what the
// machine says against the rules of package table.
type hall struct {
	t *testing.T
	m *Machine

	mu      sync.Mutex
	link    terminal.Terminal
	early   []terminal.Event // told before Connect returned
	events  []terminal.Event
	visits  map[table.VisitID]table.Visit
	reports map[txn.RequestID]terminal.ReportMade

	list    []table.TableID
	listMsg string
	due     map[table.TableID]money.Minor // a table that is missing is refused
	in      money.Currency
	bill    []receipt.Line
	final   []receipt.Line

	// first sees each event before it is dealt with; what it returns true for is
	// not answered.
	first func(terminal.Event) bool
	after func(terminal.Event)

	reset bool // reports have reset the machine's ledger
}

func newHall(t *testing.T, p *Park, tid txn.TID) *hall {
	t.Helper()
	return hallWith(t, p, tid, nil)
}

// hallWith has a gateway that knows of visits.
func hallWith(t *testing.T, p *Park, tid txn.TID, visits map[table.VisitID]table.Visit) *hall {
	t.Helper()
	if visits == nil {
		visits = map[table.VisitID]table.Visit{}
	}
	m, ok := p.Machine(tid)
	if !ok {
		t.Fatalf("no machine %s", tid)
	}
	h := &hall{
		t: t, m: m, visits: visits, reports: map[txn.RequestID]terminal.ReportMade{},
		list: []table.TableID{"12", "14", "Bar 2"}, due: map[table.TableID]money.Minor{"12": 4550}, in: m.can.Currency,
		bill: []receipt.Line{
			{Type: receipt.ImageLogo},
			{Type: receipt.Text, Value: "TABLE 12"},
			{Type: receipt.SeparatorSingle},
			{Type: receipt.SeparatorDouble},
			{Type: receipt.BarcodeCode39, Value: "T12"},
			{Type: receipt.TicketFeed},
		},
		final: []receipt.Line{{Type: receipt.Text, Value: "THANK YOU"}},
	}
	h.connect()
	return h
}

// connect links the machine anew.
func (h *hall) connect() {
	h.mu.Lock()
	h.link = nil
	h.mu.Unlock()
	l := h.m.Connect(h.sink)
	h.mu.Lock()
	early := h.early
	h.link, h.early = l, nil
	h.mu.Unlock()
	for _, e := range early {
		h.sink(e)
	}
}

func (h *hall) sink(e terminal.Event) {
	h.mu.Lock()
	if h.link == nil {
		h.early = append(h.early, e)
		h.mu.Unlock()
		return
	}
	first := h.first
	h.mu.Unlock()
	silent := first != nil && first(e)
	h.mu.Lock()
	h.events = append(h.events, e)
	answer := func() {}
	if !silent {
		answer = h.deal(e)
	}
	after := h.after
	h.mu.Unlock()
	answer()
	if after != nil {
		after(e)
	}
}

func (h *hall) answer(v table.VisitID, a terminal.TableAnswer) {
	// A link that is gone takes nothing; the machine tells it again.
	h.mu.Lock()
	l := h.link
	h.mu.Unlock()
	if l != nil {
		_ = l.(terminal.Waiter).AnswerTable(ctx, v, a)
	}
}

// apply moves a visit, and fails the test where the rules do not allow it.
func (h *hall) apply(id table.VisitID, events ...table.Event) {
	for _, e := range events {
		next, err := table.Apply(h.visits[id], e)
		if err != nil {
			h.t.Error(err)
			return
		}
		h.visits[id] = next
	}
}

// deal takes an event in, and returns what answers it. The caller holds h.mu.
func (h *hall) deal(e terminal.Event) (answer func()) {
	reply := func(v table.VisitID, a terminal.TableAnswer) func() { return func() { h.answer(v, a) } }
	switch e := e.(type) {
	case terminal.TablesWanted:
		h.apply(e.Visit, table.Opened{ID: e.Visit, TID: string(h.m.TID()), Waiter: e.Waiter})
		return reply(e.Visit, terminal.TableList{Tables: h.list, Currency: h.in, Message: h.listMsg})
	case terminal.TableWanted:
		h.apply(e.Visit, table.LockIntended{Table: e.Table})
		sum, ok := h.due[e.Table]
		if !ok {
			h.apply(e.Visit, table.LockRefused{Why: "no such table"})
			return reply(e.Visit, terminal.TableLock{Message: "No such\x07 table"})
		}
		if sum > 0 {
			h.apply(e.Visit, table.LockConfirmed{Amount: sum, Currency: h.in})
		}
		return reply(e.Visit, terminal.TableLock{Granted: true, Amount: sum, Currency: h.in})
	case terminal.BillWanted:
		h.apply(e.Visit, table.BillWanted{}, table.BillAnswered{})
		return reply(e.Visit, terminal.Bill{Lines: h.bill})
	case terminal.PaymentStarted:
		v := h.visits[e.Visit]
		if p, open := v.OpenPayment(); !open || p.ID != e.Payment {
			next, err := table.Apply(v, table.PaymentStarted{Payment: e.Payment, Asked: e.Asked})
			if err != nil {
				return reply(e.Visit, terminal.PaymentForbidden{Payment: e.Payment})
			}
			h.visits[e.Visit] = next
		}
		return reply(e.Visit, terminal.PaymentAllowed{Payment: e.Payment})
	case terminal.PaymentEnded:
		h.ended(e)
		return reply(e.Visit, terminal.PaymentKept{Payment: e.Payment})
	case terminal.VisitLeft:
		if _, open := h.visits[e.Visit].OpenPayment(); open {
			return func() {} // an operator has to say what became of it
		}
		switch h.visits[e.Visit].State {
		case table.Listing, table.Locked, table.Printing, table.Paying:
			h.apply(e.Visit, table.Left{Why: e.Why})
		case table.Locking: // nothing was confirmed to the machine
			h.apply(e.Visit, table.LockUnanswered{Why: e.Why})
		default: // told again, or over, or never heard of
		}
		return reply(e.Visit, terminal.VisitClosed{FinalReceipt: h.final})
	case terminal.ReportMade:
		if old, ok := h.reports[e.ID]; ok {
			if diff := cmp.Diff(old, e); diff != "" {
				h.t.Errorf("told again: %s", diff)
			}
		}
		h.reports[e.ID] = e
		return h.acknowledge(e.ID)
	case terminal.Ended:
		return h.acknowledge(e.ID)
	default:
		return func() {}
	}
}

// acknowledge does so over the link as it is now. The caller holds h.mu.
func (h *hall) acknowledge(id txn.RequestID) func() {
	l := h.link
	return func() { _ = l.Acknowledge(ctx, id) }
}

// ended books a payment once.
func (h *hall) ended(e terminal.PaymentEnded) {
	for _, p := range h.visits[e.Visit].Payments {
		if p.ID != e.Payment || p.State == table.Open {
			continue
		}
		if (p.State == table.Taken) != e.Taken || cmp.Diff(p.Receipt, e.Receipt) != "" {
			h.t.Errorf("payment %s was %+v and is told as %+v", p.ID, p, e)
		}
		return
	}
	switch {
	case e.Taken:
		h.apply(e.Visit, table.PaymentTaken{Payment: e.Payment, Receipt: e.Receipt})
	case slices.ContainsFunc(h.visits[e.Visit].Payments, func(p table.Payment) bool { return p.ID == e.Payment }):
		h.apply(e.Visit, table.PaymentNotTaken{Payment: e.Payment})
	default: // its start was never heard
	}
}

func (h *hall) heard() []terminal.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.events)
}

// started is the newest payment that was heard of.
func (h *hall) started() (table.VisitID, table.PaymentID) {
	events := h.heard()
	for _, e := range slices.Backward(events) {
		if s, ok := e.(terminal.PaymentStarted); ok {
			return s.Visit, s.Payment
		}
	}
	h.t.Fatal("no payment was started")
	return "", ""
}

func (h *hall) query(v table.VisitID, p table.PaymentID) terminal.PaymentAnswer {
	h.t.Helper()
	a, err := h.link.(terminal.Waiter).QueryPayment(ctx, v, p)
	if err != nil {
		h.t.Fatal(err)
	}
	return a
}

// visit has the waiter do v.
func (h *hall) visit(v Visit) VisitResult {
	h.t.Helper()
	got, err := h.m.Visit(ctx, v, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return got
}

// words writes events of visits as a word or a few.
func words(events []terminal.Event) []string {
	var out []string
	for _, e := range events {
		switch e := e.(type) {
		case terminal.TablesWanted:
			out = append(out, "tables for "+string(e.Waiter))
		case terminal.TableWanted:
			out = append(out, "table "+string(e.Table))
		case terminal.BillWanted:
			out = append(out, "bill")
		case terminal.PaymentStarted:
			out = append(out, "started "+e.Asked.Decimal())
		case terminal.PaymentEnded:
			out = append(out, fmt.Sprintf("ended taken=%v", e.Taken))
		case terminal.VisitLeft:
			out = append(out, "left: "+e.Why)
		case terminal.ReportMade:
			out = append(out, "made "+string(e.Report.Type))
		default:
			out = append(out, names([]terminal.Event{e})...)
		}
	}
	return out
}

// screen writes steps without what is on paper.
func screen(steps []VisitStep) []string {
	var out []string
	for _, s := range steps {
		text, _, _ := strings.Cut(s.Text, "\n")
		if strings.Contains(s.Text, "\n") {
			text += "…"
		}
		out = append(out, string(s.Step)+": "+strings.TrimSpace(text))
	}
	return out
}

// agree holds the till's books, the acquirer's and the machine's ledger against
// each other: each payment that was taken was charged once, and nothing else.
func (h *hall) agree(p *Park) {
	h.t.Helper()
	h.mu.Lock()
	visits := maps.Clone(h.visits)
	h.mu.Unlock()
	type booked struct {
		total money.Minor
		code  string
	}
	till, bank := map[table.PaymentID]booked{}, map[table.PaymentID]booked{}
	byWaiter := map[string]money.Minor{}
	var sum money.Minor
	for _, v := range visits {
		for _, pay := range v.Payments {
			if pay.State == table.Open {
				h.t.Errorf("payment %s of visit %s is still open", pay.ID, v.ID)
			}
			if pay.State != table.Taken {
				continue
			}
			r := pay.Receipt
			if r.Paid != pay.Asked || r.Cashback != 0 || r.Number == "" || r.TransactionID == "" {
				h.t.Errorf("asked for %d: %+v", pay.Asked, r)
			}
			till[pay.ID] = booked{r.Paid + r.Gratuity, r.AuthCode}
			sum += r.Paid + r.Gratuity
			if v.Waiter != "" {
				byWaiter[string(v.Waiter)] += r.Paid + r.Gratuity
			}
		}
	}
	for _, c := range p.Charges() {
		if c.Reversed || c.Payment == "" || c.TID != h.m.TID() {
			continue
		}
		if _, ok := bank[c.Payment]; ok {
			h.t.Errorf("payment %s was charged twice", c.Payment)
		}
		bank[c.Payment] = booked{c.Amount, c.AuthCode}
	}
	if diff := cmp.Diff(till, bank, cmp.AllowUnexported(booked{})); diff != "" {
		h.t.Errorf("told (-) and charged (+): %s", diff)
	}
	if h.reset {
		return
	}
	h.m.mu.Lock()
	ledger := h.m.mem.Ledger.Balances
	h.m.mu.Unlock()
	got := map[string]money.Minor{}
	for w, b := range ledger.Waiters {
		got[w] = b.TotalAmount
	}
	if diff := cmp.Diff(byWaiter, got); diff != "" {
		h.t.Errorf("paid to waiters (-) and in the ledger (+): %s", diff)
	}
	if ledger.SalesAmount < sum {
		h.t.Errorf("the ledger has %d, the tables %d", ledger.SalesAmount, sum)
	}
}

// free checks that the machine takes transactions and visits again.
func (h *hall) free() {
	h.t.Helper()
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if h.m.round != nil || h.m.run != nil || h.m.mem.Visit != nil || h.m.mem.Current != nil {
		h.t.Errorf("round %v, run %v, memory %+v", h.m.round, h.m.run, h.m.mem)
	}
	if len(h.m.mem.Untold) != 0 {
		h.t.Errorf("still untold: %+v", h.m.mem.Untold)
	}
}

// ok is both, at the end of a test.
func (h *hall) ok(p *Park) {
	h.t.Helper()
	h.agree(p)
	h.free()
}

// A full visit: list, lock, bill, two cards, gratuity, final receipt.
func TestVisit(t *testing.T) {
	p := open(t, Options{Seed: 7})
	h := newHall(t, p, "VCMDEMOSIP0")
	var shown []VisitStep
	got, err := h.m.Visit(ctx, Visit{
		Waiter: "3", Table: "12", PrintBill: true, Split: 2, Tip: Tip{Amount: 450},
		Pay: []Card{{}, {Script: Script{Entry: txn.MethodContactless, CVM: txn.CVMDevice}}},
	}, func(s VisitStep) { shown = append(shown, s) })
	if err != nil {
		t.Fatal(err)
	}
	wantEvents := []string{
		"tables for 3", "table 12", "bill", "started 22.75", "ended taken=true", "started 22.75", "ended taken=true", "left: paid",
	}
	if diff := cmp.Diff(wantEvents, words(h.heard())); diff != "" {
		t.Error(diff)
	}
	wantScreen := []string{
		"list: Please wait", "list: Tables, page 1 of 1…", "lock: Table 12: please wait", "lock: Table 12: GBP 45.50",
		"bill: Please wait", "bill: [logo]…", "split: Pay GBP 45.50 in 2 parts", "gratuity: Gratuity GBP 4.50",
		"card: Please wait", "card: Pay GBP 27.25", "card: PRESENT CARD", "card: PLEASE WAIT", "card: PIN ENTRY",
		"card: CONNECTING", "card: CONNECTION MADE", "card: REQUEST SENT", "card: APPROVED", "card: REMOVE CARD",
		"receipt: TILLWIRE DEMO STORE…",
		"card: Please wait", "card: Pay GBP 22.75", "card: PRESENT CARD", "card: PLEASE WAIT",
		"card: CONNECTING", "card: CONNECTION MADE", "card: REQUEST SENT", "card: APPROVED",
		"receipt: TILLWIRE DEMO STORE…", "receipt: THANK YOU…", "leave: Paid GBP 45.50",
	}
	if diff := cmp.Diff(wantScreen, screen(got.Steps)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(got.Steps, shown); diff != "" {
		t.Errorf("shown otherwise than returned: %s", diff)
	}
	if got.End != EndPaid || got.Due != 4550 || got.Paid != 4550 || got.Gratuity != 450 || got.Balance != 0 || got.Currency != money.GBP {
		t.Errorf("got %+v", got)
	}
	if diff := cmp.Diff([]any{h.bill, h.final, h.list}, []any{got.Bill, got.FinalReceipt, got.Tables}); diff != "" {
		t.Error(diff)
	}
	if bill := got.Steps[5].Text; bill != receipt.Plain(h.bill) || !strings.Contains(bill, "||T12||") {
		t.Errorf("the bill is printed as\n%s", bill)
	}
	one, two := got.Payments[0], got.Payments[1]
	if one.Receipt.Method != "ICC_CHIP" || one.Receipt.CVM != "PIN" || two.Receipt.Method != "CONTACTLESS" || two.Receipt.CVM != "DEVICE" ||
		one.Receipt.Number != "0001" || two.Receipt.Number != "0002" || one.Receipt.Gratuity != 450 || two.Receipt.Gratuity != 0 {
		t.Errorf("payments %+v", got.Payments)
	}
	for _, pay := range got.Payments {
		if id := string(pay.ID); len(id) != 36 || id[14] != '4' || !strings.ContainsRune("89ab", rune(id[19])) {
			t.Errorf("%s is no UUID of version 4", id)
		}
		r := pay.Receipt
		checkReceipts(t, txn.Outcome{
			Result: pay.Result, Currency: money.GBP, Base: r.Paid, Gratuity: r.Gratuity, CVM: txn.CVM(r.CVM), AID: r.AID, Label: r.Label,
			PAN: r.PAN, Number: r.Number, AuthCode: r.AuthCode, TransactionID: txn.TransactionID(r.TransactionID), Expiry: r.Expiry, Receipts: r.Receipts,
		})
	}
	h.ok(p)
	if last, err := h.link.Last(ctx); err != nil || last.ID != "" || string(last.Outcome.TransactionID) != two.Receipt.TransactionID {
		t.Errorf("last is %+v, %v", last, err)
	}
	// The counter goes on with the same batch.
	d := connect(t, p, "VCMDEMOSIP0")
	if o := d.perform("r", sale(100)); o.Number != "0003" {
		t.Errorf("the next one at the counter is %s", o.Number)
	}
}

func TestVisitEnds(t *testing.T) {
	declined, keyRed := Script{Result: txn.Declined}, Script{Result: txn.Cancelled}
	gbp := func(s string) string { return "GBP " + s }
	for name, c := range map[string]struct {
		tid   txn.TID // SIP0 when empty
		set   func(*hall)
		visit Visit

		end            VisitEnd
		paid, gratuity money.Minor
		results        []txn.Result
		asked          []string // by each payment that was started
		why            string   // that is told; nothing when empty
		says           string   // on the screen
	}{
		"only the list":      {visit: Visit{}, end: EndListed, why: "listed", says: "12\n14\nBar 2"},
		"no tables":          {visit: Visit{Table: "12"}, set: func(h *hall) { h.list = nil }, end: EndNoTable, why: "no table", says: "There are no open tables"},
		"only an empty list": {visit: Visit{}, set: func(h *hall) { h.list = nil }, end: EndListed, why: "listed", says: "There are no open tables"},
		"till offline": {
			visit: Visit{Table: "12", ByName: true}, set: func(h *hall) { h.list, h.listMsg = nil, "The till\x1b is offline" },
			end: EndNoTable, why: "no table", says: "The till  is offline",
		},
		"not in the list": {visit: Visit{Table: "99"}, end: EndNoTable, why: "no table", says: "Table 99 is not in the list"},
		"by its name": {
			visit: Visit{Table: "VIP", ByName: true}, set: func(h *hall) { h.due["VIP"] = 100 },
			end: EndPaid, paid: 100, results: []txn.Result{txn.Successful}, asked: []string{"1.00"}, why: "paid",
		},
		"by its name, and there is none": {visit: Visit{Table: "VIP", ByName: true}, end: EndRefused, why: "refused", says: "No such  table"},
		"by its name, from an empty list": {
			visit: Visit{Table: "12", ByName: true}, set: func(h *hall) { h.list = nil },
			end: EndPaid, paid: 4550, results: []txn.Result{txn.Successful}, asked: []string{"45.50"}, why: "paid",
		},
		"lock refused": {visit: Visit{Table: "14"}, end: EndRefused, why: "refused", says: "No such  table"},
		"another currency": {
			tid: "VCMDEMOSIP1", visit: Visit{Table: "12"}, set: func(h *hall) { h.in = money.GBP },
			end: EndRefused, why: "refused", says: "This card machine cannot take GBP 45.50",
		},
		"too much": {
			visit: Visit{Table: "12"}, set: func(h *hall) { h.due["12"] = maxTotal + 1 },
			end: EndRefused, why: "refused", says: "This card machine cannot take GBP 1000000.00",
		},
		"nothing to pay": {
			visit: Visit{Table: "12"}, set: func(h *hall) { h.due["12"] = 0 },
			end: EndRefused, why: "refused", says: "This card machine cannot take GBP 0.00",
		},
		"no bill": {
			visit: Visit{Table: "12", PrintBill: true}, set: func(h *hall) { h.bill = nil },
			end: EndPaid, paid: 4550, results: []txn.Result{txn.Successful}, asked: []string{"45.50"}, why: "paid", says: "There is no bill",
		},
		"an older machine in euros": {
			tid: "VCMDEMOSIP1", visit: Visit{Table: "12"},
			end: EndPaid, paid: 4550, results: []txn.Result{txn.Successful}, asked: []string{"45.50"}, why: "paid", says: "EUR 45.50",
		},
		"a machine that asks at the counter": {
			tid: "VCMDEMOSIP2", visit: Visit{Table: "12"},
			end: EndPaid, paid: 4550, results: []txn.Result{txn.Successful}, asked: []string{"45.50"}, why: "paid", says: "No gratuity",
		},
		"pay in part": {
			visit: Visit{Table: "12", Amount: 2000},
			end:   EndPartPaid, paid: 2000, results: []txn.Result{txn.Successful}, asked: []string{"20.00"}, why: "left with a balance",
			says: "Pay GBP 20.00 of GBP 45.50",
		},
		"more than is due": {
			visit: Visit{Table: "12", Amount: 9999},
			end:   EndPaid, paid: 4550, results: []txn.Result{txn.Successful}, asked: []string{"45.50"}, why: "paid",
		},
		"by amounts": {
			visit: Visit{Table: "12", Pay: []Card{{Amount: 1000}, {Amount: 9999}, {Amount: 1}}},
			end:   EndPaid, paid: 4550, results: []txn.Result{txn.Successful, txn.Successful}, asked: []string{"10.00", "35.50"}, why: "paid",
		},
		"by amounts, and not all": {
			visit: Visit{Table: "12", Pay: []Card{{Amount: 1000}, {Amount: 550}}},
			end:   EndPartPaid, paid: 1550, results: []txn.Result{txn.Successful, txn.Successful}, asked: []string{"10.00", "5.50"}, why: "left with a balance",
			says: "Paid GBP 15.50, GBP 30.00 is left",
		},
		"split in three": {
			visit: Visit{Table: "12", Split: 3},
			end:   EndPaid, paid: 4550, results: []txn.Result{txn.Successful, txn.Successful, txn.Successful},
			asked: []string{"15.18", "15.16", "15.16"}, why: "paid", says: "in 3 parts",
		},
		"split, one guest pays more": {
			visit: Visit{Table: "12", Split: 3, Pay: []Card{{}, {Amount: 2000}, {}}},
			end:   EndPaid, paid: 4550, results: []txn.Result{txn.Successful, txn.Successful, txn.Successful},
			asked: []string{"15.18", "20.00", "10.32"}, why: "paid",
		},
		"a part of the bill in two parts": {
			visit: Visit{Table: "12", Amount: 2001, Split: 2},
			end:   EndPartPaid, paid: 2001, results: []txn.Result{txn.Successful, txn.Successful},
			asked: []string{"10.01", "10.00"}, why: "left with a balance", says: "Pay GBP 20.01 of GBP 45.50 in 2 parts",
		},
		"more parts than pence": {
			visit: Visit{Table: "12", Split: 9, Pay: []Card{{Amount: 1}, {}, {}}}, set: func(h *hall) { h.due["12"] = 3 },
			end: EndPaid, paid: 3, results: []txn.Result{txn.Successful, txn.Successful}, asked: []string{"0.01", "0.02"}, why: "paid",
		},
		"per cent, rounded down": {
			visit: Visit{Table: "12", Split: 2, Tip: Tip{Percent: 15}},
			end:   EndPaid, paid: 4550, gratuity: 341, results: []txn.Result{txn.Successful, txn.Successful},
			asked: []string{"22.75", "22.75"}, why: "paid", says: gbp("3.41"),
		},
		"per cent of each": {
			visit: Visit{Table: "12", Split: 2, Tip: Tip{Percent: 10, Each: true}},
			end:   EndPaid, paid: 4550, gratuity: 454, results: []txn.Result{txn.Successful, txn.Successful}, asked: []string{"22.75", "22.75"}, why: "paid",
		},
		"an amount with each": {
			visit: Visit{Table: "12", Split: 2, Tip: Tip{Amount: 100, Each: true}},
			end:   EndPaid, paid: 4550, gratuity: 200, results: []txn.Result{txn.Successful, txn.Successful}, asked: []string{"22.75", "22.75"}, why: "paid",
		},
		"a gratuity that leaves the range": {
			visit: Visit{Table: "12", Tip: Tip{Amount: 100}}, set: func(h *hall) { h.due["12"] = maxTotal - 1 },
			end: EndPaid, paid: maxTotal - 1, gratuity: 1, results: []txn.Result{txn.Successful}, asked: []string{"999999.98"}, why: "paid",
		},
		"decline, then another card": {
			visit: Visit{Table: "12", DeclineFirst: true, Split: 2, Tip: Tip{Amount: 50}},
			end:   EndPaid, paid: 4550, gratuity: 50, results: []txn.Result{txn.Declined, txn.Successful, txn.Successful},
			asked: []string{"22.75", "22.75", "22.75"}, why: "paid", says: "DECLINED",
		},
		"declined": {
			visit: Visit{Table: "12", Pay: []Card{{Script: declined}, {Script: keyRed}}},
			end:   EndDeclined, results: []txn.Result{txn.Declined, txn.Cancelled}, asked: []string{"45.50", "45.50"}, why: "declined",
		},
		"a machine that declines": {
			tid: "VCMDEMODIP0", visit: Visit{Table: "12"}, end: EndDeclined, results: []txn.Result{txn.Declined}, asked: []string{"45.50"}, why: "declined",
		},
		"a machine that breaks off": {
			tid: "VCMDEMOUIP0", visit: Visit{Table: "12"}, end: EndDeclined, results: []txn.Result{txn.Unsuccessful}, asked: []string{"45.50"}, why: "declined",
		},
		"a machine that reverses": {
			tid: "VCMDEMOVIP0", visit: Visit{Table: "12"}, end: EndDeclined, results: []txn.Result{txn.Void}, asked: []string{"45.50"}, why: "declined",
		},
		"a signature that is reversed": {
			tid: "VCMDEMOVIS0", visit: Visit{Table: "12"}, end: EndDeclined, results: []txn.Result{txn.Void}, asked: []string{"45.50"}, why: "declined",
		},
		"the cardholder would not": {
			tid: "VCMDEMOCIP0", visit: Visit{Table: "12"}, end: EndCancelled, results: []txn.Result{txn.Cancelled}, asked: []string{"45.50"}, why: "cancelled",
			says: "CANCELLING",
		},
		"the second guest would not": {
			visit: Visit{Table: "12", Split: 2, Pay: []Card{{}, {Script: keyRed}}},
			end:   EndPartPaid, paid: 2275, results: []txn.Result{txn.Successful, txn.Cancelled}, asked: []string{"22.75", "22.75"}, why: "left with a balance",
		},
		"contactless": {
			visit: Visit{Table: "12", Contactless: true},
			end:   EndPaid, paid: 4550, results: []txn.Result{txn.Successful}, asked: []string{"45.50"}, why: "paid", says: "CONSUMER DEVICE CVM",
		},
		"signature at the table": {
			visit: Visit{Table: "12", Signature: true},
			end:   EndPaid, paid: 4550, results: []txn.Result{txn.Successful}, asked: []string{"45.50"}, why: "paid", says: "SIGN BELOW",
		},
		"a machine of signatures, tapped": {
			tid: "VCMDEMOSIS0", visit: Visit{Table: "12", Contactless: true, Signature: true},
			end: EndPaid, paid: 4550, results: []txn.Result{txn.Successful}, asked: []string{"45.50"}, why: "paid", says: "SIGN BELOW",
		},
		"forbidden": {
			visit: Visit{Table: "12"}, set: func(h *hall) {
				h.first = func(e terminal.Event) bool {
					s, ok := e.(terminal.PaymentStarted)
					if ok {
						h.answer(s.Visit, terminal.PaymentForbidden{Payment: s.Payment, Message: "Not\tnow"})
					}
					return ok
				}
			},
			end: EndRefused, asked: []string{"45.50"}, why: "refused", says: "Not now",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if c.tid == "" {
				c.tid = "VCMDEMOSIP0"
			}
			p := open(t, Options{})
			h := newHall(t, p, c.tid)
			if c.set != nil {
				c.set(h)
			}
			c.visit.Waiter = "3"
			got := h.visit(c.visit)
			if got.End != c.end || got.Paid != c.paid || got.Gratuity != c.gratuity || got.Balance != got.Due-c.paid {
				t.Errorf("got %+v", got)
			}
			var results []txn.Result
			for _, p := range got.Payments {
				results = append(results, p.Result)
			}
			if diff := cmp.Diff(c.results, results); diff != "" {
				t.Error(diff)
			}
			var asked []string
			why := ""
			for _, w := range words(h.heard()) {
				if a, ok := strings.CutPrefix(w, "started "); ok {
					asked = append(asked, a)
				}
				if l, ok := strings.CutPrefix(w, "left: "); ok {
					why += l
				}
				if w == "signature wanted" {
					t.Error("the till was asked about a signature")
				}
			}
			if diff := cmp.Diff(c.asked, asked); diff != "" {
				t.Error(diff)
			}
			if why != c.why {
				t.Errorf("left: %q, want %q", why, c.why)
			}
			said := false
			for _, s := range got.Steps {
				said = said || strings.Contains(s.Text, c.says)
			}
			if !said {
				t.Errorf("%q was not shown:\n%s", c.says, strings.Join(screen(got.Steps), "\n"))
			}
			h.ok(p)
		})
	}
}

func TestPages(t *testing.T) {
	p := open(t, Options{})
	h := newHall(t, p, "VCMDEMOSIP0")
	h.list = nil
	for i := range 200 {
		h.list = append(h.list, table.TableID(fmt.Sprint(i+1)))
	}
	h.list[2] = "Terrace by the river, under the old trees"
	h.list[3] = "Größte Tafel im Saal 123"
	pages := func(v Visit) []string {
		var out []string
		for _, s := range h.visit(v).Steps {
			if strings.HasPrefix(s.Text, "Tables, page") {
				out = append(out, s.Text)
			}
		}
		return out
	}
	all := pages(Visit{})
	if len(all) != 25 {
		t.Fatalf("%d pages", len(all))
	}
	want := "Tables, page 1 of 25\n1\n2\nTerrace by the river, un…\nGrößte Tafel im Saal 123\n5\n6\n7\n8"
	if diff := cmp.Diff(want, all[0]); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(all[24], "Tables, page 25 of 25\n193\n") || strings.Count(all[24], "\n") != 8 {
		t.Errorf("the last page is %q", all[24])
	}
	h.due["17"] = 100
	if got := pages(Visit{Table: "17"}); len(got) != 3 {
		t.Errorf("%d pages up to table 17", len(got))
	}
	h.list = h.list[:9]
	if got := pages(Visit{}); len(got) != 2 || got[1] != "Tables, page 2 of 2\n9" {
		t.Errorf("pages %q", got)
	}
	h.due[h.list[2]] = 100
	got := h.visit(Visit{Table: h.list[2]})
	if got.End != EndPaid || !slices.Contains(screen(got.Steps), "lock: Table Terrace by the river, un…: GBP 1.00") {
		t.Errorf("%s: %q", got.End, screen(got.Steps))
	}
	h.ok(p)
}

// What counts is what the lock says, not what was due before.
func TestAmountChanged(t *testing.T) {
	p := open(t, Options{})
	h := newHall(t, p, "VCMDEMOSIP0")
	h.first = func(e terminal.Event) bool {
		if _, ok := e.(terminal.TableWanted); ok {
			h.due["12"] = 6000
		}
		return false
	}
	if got := h.visit(Visit{Table: "12"}); got.Due != 6000 || got.Paid != 6000 {
		t.Errorf("got %+v", got)
	}
	h.ok(p)
}

func TestParts(t *testing.T) {
	for _, c := range []struct {
		sum  money.Minor
		n    int
		want []money.Minor
	}{
		{100, 0, []money.Minor{100}},
		{100, 1, []money.Minor{100}},
		{100, 3, []money.Minor{34, 33, 33}},
		{2, 3, []money.Minor{2, 0, 0}},
	} {
		if diff := cmp.Diff(c.want, parts(c.sum, c.n)); diff != "" {
			t.Errorf("%d in %d: %s", c.sum, c.n, diff)
		}
	}
}

// A waiter who leaves at a step takes no money along, whatever was begun.
func TestCancelAt(t *testing.T) {
	for _, at := range CancelSteps() {
		t.Run(string(at), func(t *testing.T) {
			p := open(t, Options{})
			h := newHall(t, p, "VCMDEMOSIP0")
			got := h.visit(Visit{Table: "12", PrintBill: true, CancelAt: at})
			if got.End != EndCancelled || got.Paid != 0 {
				t.Errorf("got %+v", got)
			}
			want := map[Step][]string{
				StepList: {"tables for "},
				StepLock: {"tables for ", "table 12"},
				StepCard: {"tables for ", "table 12", "bill", "started 45.50", "ended taken=false"},
			}[at]
			if want == nil {
				want = []string{"tables for ", "table 12", "bill"}
			}
			if diff := cmp.Diff(append(want, "left: cancelled"), words(h.heard())); diff != "" {
				t.Error(diff)
			}
			if got := p.Charges(); len(got) != 0 {
				t.Errorf("charged %+v", got)
			}
			h.ok(p)
		})
	}
}

// walk begins a visit, waits until shown has been shown, has the waiter walk
// off, and then lets the hold go.
func (h *hall) walk(v Visit, shown func(VisitStep) bool, until chan struct{}) VisitResult {
	h.t.Helper()
	gone, walk := context.WithCancel(ctx)
	defer walk()
	there, once := make(chan struct{}), sync.Once{}
	done := make(chan VisitResult, 1)
	go func() {
		got, err := h.m.Visit(gone, v, func(s VisitStep) {
			if shown(s) {
				once.Do(func() { close(there) })
			}
		})
		if err != nil {
			h.t.Error(err)
		}
		done <- got
	}()
	<-there
	walk()
	if until != nil {
		close(until)
	}
	return <-done
}

func TestWalkOff(t *testing.T) {
	for _, at := range CancelSteps() {
		t.Run(string(at), func(t *testing.T) {
			p := open(t, Options{})
			h := newHall(t, p, "VCMDEMOSIP0")
			got := h.walk(Visit{Table: "12", HoldAt: at, Until: make(chan struct{})}, func(s VisitStep) bool { return s.Step == at }, nil)
			if got.End != EndCancelled || got.Paid != 0 {
				t.Errorf("got %+v", got)
			}
			h.ok(p)
		})
	}
	for at, end := range map[txn.Notification]VisitEnd{PresentCard: EndCancelled, PINEntry: EndPaid, Approved: EndPaid, RemoveCard: EndPaid} {
		t.Run(string(at), func(t *testing.T) {
			p := open(t, Options{})
			h := newHall(t, p, "VCMDEMOSIP0")
			var until chan struct{}
			if end == EndPaid { // too late: it is charged
				until = make(chan struct{})
			}
			s := Script{HoldAt: at, Until: until}
			text := strings.ReplaceAll(string(at), "_", " ")
			got := h.walk(Visit{Table: "12", Pay: []Card{{Script: s}}}, func(s VisitStep) bool { return s.Text == text }, until)
			if got.End != end {
				t.Errorf("got %+v", got)
			}
			h.ok(p)
		})
	}
	for _, at := range []Step{StepSignature, StepReceipt, StepLeave} {
		t.Run(string(at), func(t *testing.T) {
			p := open(t, Options{})
			h := newHall(t, p, "VCMDEMOSIS0")
			until := make(chan struct{})
			got := h.walk(Visit{Table: "12", HoldAt: at, Until: until}, func(s VisitStep) bool { return s.Step == at }, until)
			if got.End != EndPaid {
				t.Errorf("got %+v", got)
			}
			h.ok(p)
		})
	}
	t.Run("with part of it paid", func(t *testing.T) {
		p := open(t, Options{})
		h := newHall(t, p, "VCMDEMOSIP0")
		s := Script{HoldAt: PresentCard}
		seen := 0
		got := h.walk(Visit{Table: "12", Split: 3, Pay: []Card{{}, {Script: s}, {}}}, func(s VisitStep) bool {
			if s.Text == "PRESENT CARD" {
				seen++
			}
			return seen == 2
		}, nil)
		if got.End != EndPartPaid || got.Paid != 1518 || len(got.Payments) != 2 {
			t.Errorf("got %+v", got)
		}
		h.ok(p)
	})
	t.Run("while the till is asked for the lock", func(t *testing.T) {
		p := open(t, Options{})
		h := newHall(t, p, "VCMDEMOSIP0")
		gone, walk := context.WithCancel(ctx)
		asked := make(chan terminal.TableWanted, 1)
		h.first = func(e terminal.Event) bool {
			w, ok := e.(terminal.TableWanted)
			if ok {
				walk()
				asked <- w
			}
			return ok
		}
		done := make(chan VisitResult, 1)
		go func() {
			got, err := h.m.Visit(gone, Visit{Table: "12"}, nil)
			if err != nil {
				t.Error(err)
			}
			done <- got
		}()
		w := <-asked
		h.mu.Lock()
		answer := h.deal(w) // a leave before it is against the rules of a visit
		h.mu.Unlock()
		answer()
		if got := <-done; got.End != EndCancelled || got.Due != 4550 {
			t.Errorf("got %+v", got)
		}
		h.ok(p)
	})
	t.Run("before it began", func(t *testing.T) {
		p := open(t, Options{})
		h := newHall(t, p, "VCMDEMOSIP0")
		gone, walk := context.WithCancel(ctx)
		walk()
		if _, err := h.m.Visit(gone, Visit{}, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if got := h.heard(); len(got) != 0 {
			t.Errorf("heard %v", words(got))
		}
	})
}

// From the lock on, until the gateway has closed the visit, the counter waits.
func TestBusyInVisit(t *testing.T) {
	p := open(t, Options{})
	h := newHall(t, p, "VCMDEMOSIP0")
	n := 0
	start := func() error {
		n++
		return h.link.Start(ctx, terminal.Request{ID: txn.RequestID(fmt.Sprint("r", n)), Txn: sale(100)})
	}
	busy := map[string]bool{}
	h.first = func(e terminal.Event) bool {
		if _, ok := e.(terminal.TableWanted); ok && !errors.Is(start(), terminal.ErrBusy) {
			t.Error("the counter came in while the table was asked for")
		}
		return false
	}
	h.after = func(e terminal.Event) {
		word := words([]terminal.Event{e})[0]
		switch e.(type) {
		case terminal.TableWanted, terminal.BillWanted, terminal.PaymentStarted, terminal.PaymentEnded:
			busy[word] = errors.Is(start(), terminal.ErrBusy)
		case terminal.VisitLeft: // the answer has been given
			busy[word] = errors.Is(start(), terminal.ErrBusy)
		default:
		}
		if _, ok := e.(terminal.PaymentStarted); ok {
			if _, err := h.m.Visit(ctx, Visit{}, nil); !errors.Is(err, terminal.ErrBusy) {
				t.Errorf("a second visit: %v", err)
			}
			if err := h.m.EndOfDayAtTerminal(ctx); !errors.Is(err, terminal.ErrBusy) {
				t.Errorf("a report: %v", err)
			}
		}
	}
	h.visit(Visit{Table: "12", PrintBill: true})
	want := map[string]bool{"table 12": true, "bill": true, "started 45.50": true, "ended taken=true": true, "left: paid": false}
	if diff := cmp.Diff(want, busy); diff != "" {
		t.Error(diff)
	}

	t.Run("not after a refused lock", func(t *testing.T) {
		h := newHall(t, open(t, Options{}), "VCMDEMOSIP0")
		h.after = func(e terminal.Event) {
			if _, ok := e.(terminal.TableWanted); ok {
				if err := h.link.Start(ctx, terminal.Request{ID: "r", Txn: sale(100)}); err != nil {
					t.Errorf("start: %v", err)
				}
			}
		}
		if got := h.visit(Visit{Table: "14"}); got.End != EndRefused {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("a counter transaction goes first", func(t *testing.T) {
		p := open(t, Options{})
		h := newHall(t, p, "VCMDEMOSIP0")
		until := make(chan struct{})
		h.m.Script(Script{HoldAt: PINEntry, Until: until})
		if err := h.link.Start(ctx, terminal.Request{ID: "r", Txn: sale(100)}); err != nil {
			t.Fatal(err)
		}
		h.m.mu.Lock()
		r := h.m.run
		h.m.mu.Unlock()
		if _, err := h.m.Visit(ctx, Visit{Table: "12"}, nil); !errors.Is(err, terminal.ErrBusy) {
			t.Errorf("got %v", err)
		}
		if _, err := h.m.Report(ctx, "X_BALANCE"); !errors.Is(err, terminal.ErrBusy) {
			t.Errorf("a report: %v", err)
		}
		close(until)
		<-r.done
		if got := h.visit(Visit{Table: "12"}); got.End != EndPaid {
			t.Errorf("got %+v", got)
		}
		h.ok(p)
	})
	t.Run("one that comes while the waiter looks at the list", func(t *testing.T) {
		p := open(t, Options{})
		h := newHall(t, p, "VCMDEMOSIP0")
		until := make(chan struct{})
		h.m.Script(Script{HoldAt: PINEntry, Until: until})
		h.after = func(e terminal.Event) {
			if _, ok := e.(terminal.TablesWanted); ok {
				if err := h.link.Start(ctx, terminal.Request{ID: "r", Txn: sale(100)}); err != nil {
					t.Errorf("start: %v", err)
				}
			}
		}
		got := h.visit(Visit{Table: "12"})
		if got.End != EndRefused || !slices.Contains(screen(got.Steps), "lock: The card machine is busy") {
			t.Errorf("got %+v", got)
		}
		h.m.mu.Lock()
		r := h.m.run
		h.m.mu.Unlock()
		close(until)
		<-r.done
		if got := p.Charges(); len(got) != 1 || got[0].Payment != "" {
			t.Errorf("charges %+v", got)
		}
		h.ok(p)
	})
}

func TestBadVisits(t *testing.T) {
	p := open(t, Options{})
	h := newHall(t, p, "VCMDEMOSIP0")
	for name, v := range map[string]Visit{
		"split": {Split: -1}, "large split": {Split: maxSplit + 1}, "amount": {Amount: -1}, "large amount": {Amount: maxTotal + 1},
		"tip": {Tip: Tip{Amount: -1}}, "large tip": {Tip: Tip{Amount: maxTotal + 1}}, "per cent": {Tip: Tip{Percent: 101}},
		"less than nothing": {Tip: Tip{Percent: -1}}, "both": {Tip: Tip{Percent: 10, Amount: 1}},
		"card": {Pay: []Card{{Amount: -1}}}, "large card": {Pay: []Card{{Amount: maxTotal + 1}}},
		"cancel": {CancelAt: StepReceipt}, "hold": {HoldAt: "x", Until: make(chan struct{})}, "a hold for ever": {HoldAt: StepList},
	} {
		if _, err := h.m.Visit(ctx, v, nil); err == nil || errors.Is(err, terminal.ErrBusy) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := h.heard(); len(got) != 0 {
		t.Errorf("heard %v", words(got))
	}
	h.free()
}

// One seed, one visit; only ids and times differ.
func TestVisitSeed(t *testing.T) {
	play := func(seed uint64) (story []string, ids []table.PaymentID) {
		h := newHall(t, open(t, Options{Seed: seed}), "VCMDEMOSIP0")
		for range 2 {
			for _, pay := range h.visit(Visit{Table: "12", Split: 2, DeclineFirst: true}).Payments {
				r := pay.Receipt
				story = append(story, fmt.Sprint(pay.Result, r.Paid, r.AuthCode, r.PAN, r.TransactionID, r.Number, r.Label))
				ids = append(ids, pay.ID)
			}
		}
		return story, ids
	}
	one, ids := play(1)
	again, others := play(1)
	if diff := cmp.Diff(one, again); diff != "" {
		t.Error(diff)
	}
	if other, _ := play(2); cmp.Equal(one, other) {
		t.Error("the same under both seeds")
	}
	all := append(ids, others...)
	slices.Sort(all)
	if n := len(all); len(slices.Compact(all)) != n {
		t.Error("a payment id came twice")
	}
}
