package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A desk is a gateway's side of one machine: it keeps what it was told.
type desk struct {
	t *testing.T
	terminal.Terminal
	m *Machine

	mu     sync.Mutex
	events []terminal.Event
	more   chan struct{}
}

func open(t *testing.T, o Options) *Park {
	t.Helper()
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	p, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, p) })
	return p
}

func shut(t *testing.T, p *Park) {
	t.Helper()
	if err := p.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func connect(t *testing.T, p *Park, tid txn.TID) *desk {
	t.Helper()
	m, ok := p.Machine(tid)
	if !ok {
		t.Fatalf("no machine %s", tid)
	}
	d := &desk{t: t, m: m, more: make(chan struct{}, 1)}
	d.Terminal = m.Connect(d.sink)
	return d
}

func (d *desk) sink(e terminal.Event) {
	d.mu.Lock()
	d.events = append(d.events, e)
	d.mu.Unlock()
	select {
	case d.more <- struct{}{}:
	default:
	}
}

func (d *desk) heard() []terminal.Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.events)
}

// until waits for the first event that fits.
func (d *desk) until(fits func(terminal.Event) bool) terminal.Event {
	d.t.Helper()
	for {
		events := d.heard()
		if i := slices.IndexFunc(events, fits); i >= 0 {
			return events[i]
		}
		<-d.more
	}
}

func (d *desk) ended(id txn.RequestID) txn.Outcome {
	d.t.Helper()
	e := d.until(func(e terminal.Event) bool { x, ok := e.(terminal.Ended); return ok && x.ID == id })
	return e.(terminal.Ended).Outcome
}

func (d *desk) notified(n txn.Notification) {
	d.t.Helper()
	d.until(func(e terminal.Event) bool { x, ok := e.(terminal.Notified); return ok && x.Value == n })
}

func (d *desk) wanted(id txn.RequestID) txn.SignatureWish {
	d.t.Helper()
	e := d.until(func(e terminal.Event) bool { x, ok := e.(terminal.SignatureWanted); return ok && x.ID == id })
	return e.(terminal.SignatureWanted).Wish
}

// names writes what was heard as one word an event.
func names(events []terminal.Event) []string {
	var out []string
	for _, e := range events {
		switch e := e.(type) {
		case terminal.Notified:
			out = append(out, string(e.Value))
		case terminal.SignatureWanted:
			out = append(out, "signature wanted")
		case terminal.Ended:
			out = append(out, "ended "+string(e.Outcome.Result))
		case terminal.Reported:
			out = append(out, "reported "+string(e.Report.Type))
		case terminal.WentAway:
			out = append(out, "went away")
		case terminal.CameBack:
			out = append(out, fmt.Sprintf("came back restarted=%v", e.Restarted))
		case terminal.StatusChanged:
			out = append(out, fmt.Sprintf("status busy=%v", e.Busy))
		}
	}
	return out
}

func (d *desk) start(id txn.RequestID, r txn.Request) {
	d.t.Helper()
	if err := d.Start(context.Background(), terminal.Request{ID: id, Txn: r}); err != nil {
		d.t.Fatalf("start %s: %v", id, err)
	}
}

// perform runs a transaction to its end, with the signature accepted, and
// acknowledges it.
func (d *desk) perform(id txn.RequestID, r txn.Request) txn.Outcome {
	d.t.Helper()
	d.start(id, r)
	d.until(func(e terminal.Event) bool {
		switch e := e.(type) {
		case terminal.Ended:
			return e.ID == id
		case terminal.SignatureWanted:
			return e.ID == id
		default:
			return false
		}
	})
	if err := d.AnswerSignature(context.Background(), id, true); err != nil {
		d.t.Fatal(err)
	}
	o := d.ended(id)
	if err := d.Acknowledge(context.Background(), id); err != nil {
		d.t.Fatal(err)
	}
	return o
}

func (d *desk) print(id txn.RequestID, r report.Type) report.Report {
	d.t.Helper()
	if err := d.Start(context.Background(), terminal.Request{ID: id, Report: r}); err != nil {
		d.t.Fatal(err)
	}
	e := d.until(func(e terminal.Event) bool { x, ok := e.(terminal.Reported); return ok && x.ID == id })
	if err := d.Acknowledge(context.Background(), id); err != nil {
		d.t.Fatal(err)
	}
	return e.(terminal.Reported).Report
}

func (d *desk) query(id txn.RequestID) terminal.Answer {
	d.t.Helper()
	a, err := d.Query(context.Background(), id)
	if err != nil {
		d.t.Fatal(err)
	}
	return a
}

func sale(amount money.Minor) txn.Request {
	return txn.Request{Type: txn.Sale, Currency: money.GBP, Amount: amount}
}

func TestChipAndPIN(t *testing.T) {
	p := open(t, Options{Seed: 7})
	d := connect(t, p, "vcmdemosip0")
	o := d.perform("r1", txn.Request{Type: txn.Sale, Currency: money.GBP, Amount: 1250, Cashback: 500})
	want := []string{
		"PRESENT_CARD", "PLEASE_WAIT", "ENTER_CASHBACK", "PIN_ENTRY", "CONNECTING", "CONNECTION_MADE",
		"REQUEST_SENT", "APPROVED", "REMOVE_CARD", "ended SUCCESSFUL",
	}
	if diff := cmp.Diff(want, names(d.heard())); diff != "" {
		t.Error(diff)
	}
	if o.Base != 1250 || o.Cashback != 500 || o.Gratuity != 0 || o.Method != txn.MethodChip || o.CVM != txn.CVMPIN || len(o.AuthCode) != 6 || o.Number != "0001" {
		t.Errorf("got %+v", o)
	}
	if got := p.Charges(); len(got) != 1 || got[0].Amount != 1750 || got[0].AuthCode != o.AuthCode || got[0].TransactionID != o.TransactionID {
		t.Errorf("charges %+v", got)
	}
}

// steps is what must be heard of a transaction without cashback.
func steps(r txn.Result, e txn.PaymentMethod, v txn.CVM) []string {
	if r == txn.Cancelled && v != txn.CVMPIN {
		return []string{"PRESENT_CARD", "CANCELLING", "ended CANCELLED"}
	}
	s := []string{"PRESENT_CARD", "PLEASE_WAIT"}
	if v == txn.CVMPIN {
		s = append(s, "PIN_ENTRY")
	}
	var remove []string
	if e == txn.MethodChip {
		remove = []string{"REMOVE_CARD"}
	}
	online := []string{"CONNECTING", "CONNECTION_MADE"}
	switch r {
	case txn.Cancelled:
		s = append(s, "CANCELLING")
	case txn.TimedOut:
		return append(s, "went away", "came back restarted=true")
	case txn.Unsuccessful:
		s = append(append(s, online...), "PROCESSING_ERROR")
	case txn.Declined:
		s = append(append(s, online...), "REQUEST_SENT", "DECLINED")
	case txn.Successful, txn.Void:
		s = append(append(s, online...), "REQUEST_SENT", "APPROVED")
		switch {
		case v == txn.CVMSignature:
			remove = append(remove, "signature wanted")
		case r == txn.Void && e == txn.MethodChip:
			s = append(s, "DECLINED_BY_CARD")
		case r == txn.Void:
			s = append(s, "PROCESSING_ERROR")
		}
	}
	return append(append(s, remove...), "ended "+string(r))
}

func TestEveryName(t *testing.T) {
	v := spec.Default().VirtualTerminals()
	known := map[string]bool{}
	for _, n := range spec.Default().Notifications() {
		known[n.Value] = true
	}
	for _, r := range v.Results {
		for _, e := range v.Entries {
			for _, c := range v.Verifications {
				for _, digit := range []string{"0", "1", "2", "9"} {
					tid := txn.TID("VCMDEMO" + r.Letter + e.Letter + c.Letter + digit)
					t.Run(string(tid), func(t *testing.T) {
						p := open(t, Options{})
						d := connect(t, p, tid)
						everyName(t, p, d, txn.Result(r.Value), txn.PaymentMethod(e.Value), txn.CVM(c.Value))
						for _, ev := range d.heard() {
							if n, ok := ev.(terminal.Notified); ok && !known[string(n.Value)] {
								t.Errorf("%s is no notification of the contract", n.Value)
							}
						}
					})
				}
			}
		}
	}
}

func everyName(t *testing.T, p *Park, d *desk, r txn.Result, e txn.PaymentMethod, v txn.CVM) {
	req := txn.Request{Type: txn.Sale, Currency: d.Capabilities().Currency, Amount: 1259}
	if r == txn.TimedOut {
		d.start("r", req)
		d.until(func(e terminal.Event) bool { _, ok := e.(terminal.CameBack); return ok })
		if a := d.query("r"); a.Kind != terminal.CannotTell {
			t.Errorf("query: %v", a.Kind)
		}
		if err := d.Start(context.Background(), terminal.Request{ID: "r", Txn: req}); err != nil {
			t.Errorf("the same request anew: %v", err)
		}
		if got := p.Charges(); len(got) != 0 {
			t.Errorf("charged %+v", got)
		}
	} else {
		o := d.perform("r", req)
		if o.Result != r || o.Base != 1259 || o.Currency != req.Currency || o.TransactionID == "" || o.Number != "0001" {
			t.Errorf("got %+v", o)
		}
		if d.m.name.machine.Gratuity && o.Gratuity != 125 || !d.m.name.machine.Gratuity && o.Gratuity != 0 {
			t.Errorf("gratuity %d", o.Gratuity)
		}
		if carded := r != txn.Cancelled || v == txn.CVMPIN; carded && (o.Method != e || o.CVM != v || o.PAN == "" || o.Scheme == "") {
			t.Errorf("card: %+v", o)
		}
		wantType := txn.Sale
		if r == txn.Void {
			wantType = txn.SaleReversal
		}
		if o.Type != wantType {
			t.Errorf("type %s", o.Type)
		}
		checkReceipts(t, o)
		checkBooks(t, p, map[txn.TransactionID]txn.Outcome{o.TransactionID: o})
		if a := d.query("r"); a.Kind != terminal.Final || !txn.Same(*a.Outcome, o) {
			t.Errorf("query: %+v", a)
		}
	}
	if diff := cmp.Diff(steps(r, e, v), names(d.heard())); diff != "" {
		t.Error(diff)
	}
}

// checkReceipts holds both copies against the outcome.
func checkReceipts(t *testing.T, o txn.Outcome) {
	t.Helper()
	for name, lines := range map[string][]receipt.Line{"MERCHANT COPY": o.Receipts.Merchant, "CUSTOMER COPY": o.Receipts.Customer} {
		if err := receipt.Check(lines, receipt.TerminalTypes()); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(lines, receipt.Masked(lines)); diff != "" {
			t.Errorf("a card number: %s", diff)
		}
		box := receipt.LineType("")
		for _, l := range lines {
			if len(l.Value) > receipt.Width {
				t.Errorf("too wide: %q", l.Value)
			}
			if l.Type == receipt.BoxDecline || l.Type == receipt.BoxVoid {
				box = l.Type
			}
		}
		want := map[txn.Result]receipt.LineType{txn.Declined: receipt.BoxDecline, txn.Void: receipt.BoxVoid}[o.Result]
		if box != want {
			t.Errorf("%s: box %q, want %q", name, box, want)
		}
		text := receipt.Plain(lines)
		for _, part := range []string{name, o.AID, o.Label, o.PAN, o.Number, o.AuthCode, string(o.TransactionID), money.Amount{Minor: o.Total(), Currency: o.Currency}.String()} {
			if !strings.Contains(text, part) {
				t.Errorf("%s does not say %q:\n%s", name, part, text)
			}
		}
		if got, want := strings.Contains(text, "EXPIRES"), name == "MERCHANT COPY" && o.Expiry != ""; got != want {
			t.Errorf("%s: expiry %v, want %v", name, got, want)
		}
		signed := strings.Contains(text, "SIGN BELOW")
		if want := name == "MERCHANT COPY" && o.CVM == txn.CVMSignature && o.Result == txn.Successful; signed != want {
			t.Errorf("%s: to be signed %v, want %v", name, signed, want)
		}
	}
}

// checkBooks holds the acquirer's books against the outcomes: what was
// successful and moves money is there once, everything else is not or is
// reversed.
func checkBooks(t *testing.T, p *Park, outcomes map[txn.TransactionID]txn.Outcome) {
	t.Helper()
	stands := map[txn.TransactionID]Charge{}
	for _, c := range p.Charges() {
		if !c.Reversed {
			stands[c.TransactionID] = c
		}
	}
	for id, o := range outcomes {
		c, ok := stands[id]
		want := o.Result == txn.Successful && o.Type != txn.AccountVerification
		if ok != want {
			t.Errorf("transaction %s %s %s: on the books %v, want %v", id, o.Type, o.Result, ok, want)
		}
		if ok && (c.Amount != o.Total() || c.Currency != o.Currency || c.Type != o.Type || c.AuthCode != o.AuthCode) {
			t.Errorf("booked %+v for %+v", c, o)
		}
		delete(stands, id)
	}
	if len(stands) != 0 {
		t.Errorf("on the books without an outcome: %+v", stands)
	}
}
