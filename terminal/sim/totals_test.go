package sim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// A tally adds up outcomes, independently of the machine's ledger.
type tally struct {
	sales, refunds, cashback, gratuity     money.Minor
	nSales, nRefunds, nCashback, nGratuity int
	issuers                                map[string]money.Minor
	first, last                            string
}

func (y *tally) add(o txn.Outcome) {
	if o.Result != txn.Successful {
		return
	}
	total := o.Base + o.Cashback + o.Gratuity
	if y.issuers == nil {
		y.issuers = map[string]money.Minor{}
	}
	switch o.Type {
	case txn.Sale, txn.Completion:
		y.sales += total
		y.nSales++
		y.issuers[o.Scheme] += total
	case txn.Refund:
		y.refunds += total
		y.nRefunds++
		y.issuers[o.Scheme] -= total
	default:
		return
	}
	if o.Cashback > 0 {
		y.cashback += o.Cashback
		y.nCashback++
	}
	if o.Gratuity > 0 {
		y.gratuity += o.Gratuity
		y.nGratuity++
	}
	if y.first == "" {
		y.first = o.Number
	}
	y.last = o.Number
}

func (y tally) breakdown(c money.Currency) report.Breakdown {
	return report.Breakdown{
		Currency: c, TotalAmount: y.sales - y.refunds,
		SalesAmount: y.sales, SalesCount: y.nSales, RefundsAmount: y.refunds, RefundsCount: y.nRefunds,
	}
}

// Whatever is done on a machine, and however often it loses power, its reports
// add up to the successful outcomes, and the acquirer's books agree.
func TestTotalsAddUp(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := open(t, Options{Seed: rapid.Uint64().Draw(rt, "seed")})
		defer shut(t, p)
		d := connect(t, p, txn.TID("VCMDEMOSIP"+rapid.SampledFrom([]string{"0", "2"}).Draw(rt, "machine")))
		outcomes := map[txn.TransactionID]txn.Outcome{}
		var balance, session, previous tally
		var codes []string
		for i := range rapid.IntRange(1, 25).Draw(rt, "steps") {
			id := txn.RequestID(fmt.Sprint(i))
			if rapid.IntRange(0, 4).Draw(rt, "report?") == 0 {
				kind := rapid.SampledFrom(report.Types()).Draw(rt, "report")
				checkReport(rt, d.print(id, kind), kind, balance, session, previous)
				switch kind {
				case report.ZBalance:
					balance = tally{}
				case report.EndOfDay:
					balance, previous, session = tally{}, session, tally{}
				case report.Banking, report.XBalance:
				}
				continue
			}
			r := txn.Request{
				Type:     rapid.SampledFrom(txn.RequestTypes()).Draw(rt, "type"),
				Currency: money.GBP, Amount: money.Minor(rapid.Int64Range(1, 20_000).Draw(rt, "amount")),
			}
			switch r.Type {
			case txn.Sale:
				r.Cashback = money.Minor(rapid.Int64Range(0, 10_000).Draw(rt, "cashback"))
			case txn.Completion:
				r.AuthCode = rapid.SampledFrom(append(codes, "none")).Draw(rt, "code")
			default:
			}
			results := []txn.Result{txn.Successful, txn.Successful, txn.Declined, txn.Void, txn.Unsuccessful, txn.Cancelled}
			s := Script{
				Result: rapid.SampledFrom(results).Draw(rt, "result"),
				CVM:    rapid.SampledFrom([]txn.CVM{txn.CVMPIN, txn.CVMNone, txn.CVMSignature}).Draw(rt, "cvm"),
			}
			var o txn.Outcome
			if rapid.IntRange(0, 5).Draw(rt, "power?") == 0 {
				s.HoldAt = rapid.SampledFrom([]txn.Notification{PresentCard, Approved}).Draw(rt, "hold")
				o = d.powerless(id, r, s)
			} else {
				d.m.Script(s)
				o = d.perform(id, r)
			}
			outcomes[o.TransactionID] = o
			balance.add(o)
			session.add(o)
			if o.Type == txn.PreAuth && o.Result == txn.Successful {
				codes = append(codes, o.AuthCode)
			}
		}
		checkBooks(t, p, outcomes)
		if t.Failed() {
			rt.Fatal("the books do not agree")
		}
	})
}

// powerless runs a transaction to a hold, or to an end before it, and takes the
// power away.
func (d *desk) powerless(id txn.RequestID, r txn.Request, s Script) txn.Outcome {
	d.t.Helper()
	d.m.Script(s)
	d.start(id, r)
	d.until(func(e terminal.Event) bool {
		switch e := e.(type) {
		case terminal.Notified:
			return e.ID == id && e.Value == s.HoldAt
		case terminal.Ended:
			return e.ID == id
		default:
			return false
		}
	})
	if err := d.m.PowerCycle(); err != nil {
		d.t.Fatal(err)
	}
	o := d.ended(id)
	if err := d.Acknowledge(ctx, id); err != nil {
		d.t.Fatal(err)
	}
	return o
}

func checkReport(t *rapid.T, r report.Report, kind report.Type, balance, session, previous tally) {
	if r.Type != kind || r.Result != report.Complete {
		t.Fatalf("got %s %s", r.Type, r.Result)
	}
	if (r.Balances != nil) != (kind != report.Banking) || (r.Banking != nil) != (kind == report.Banking || kind == report.EndOfDay) {
		t.Fatalf("%s has balances %v and banking %v", kind, r.Balances, r.Banking)
	}
	if b := r.Balances; b != nil {
		if diff := cmp.Diff(balance.breakdown(money.GBP), b.Breakdown); diff != "" {
			t.Fatalf("%s: %s", kind, diff)
		}
		if b.CashbackAmount != balance.cashback || b.CashbackCount != balance.nCashback || b.GratuityAmount != balance.gratuity || b.GratuityCount != balance.nGratuity {
			t.Fatalf("%s: cashback or gratuity of %+v, want %+v", kind, b, balance)
		}
		checkIssuers(t, b.Issuers, balance)
	}
	if r.Banking == nil {
		return
	}
	a := r.Banking[acquirerName]
	if session.nSales+session.nRefunds+previous.nSales+previous.nRefunds == 0 {
		return // nothing to bank with anybody
	}
	if diff := cmp.Diff(session.breakdown(money.GBP), a.Current); diff != "" {
		t.Fatalf("%s, this session: %s", kind, diff)
	}
	if diff := cmp.Diff(previous.breakdown(money.GBP), a.Previous); diff != "" {
		t.Fatalf("%s, the session before: %s", kind, diff)
	}
	if a.CurrentNumbers != (report.Numbers{First: session.first, Last: session.last}) || a.PreviousNumbers != (report.Numbers{First: previous.first, Last: previous.last}) {
		t.Fatalf("%s: numbers %+v %+v, want %+v %+v", kind, a.CurrentNumbers, a.PreviousNumbers, session, previous)
	}
	checkIssuers(t, a.CurrentIssuers, session)
}

func checkIssuers(t *rapid.T, got map[string]report.Breakdown, want tally) {
	if len(got) != len(want.issuers) {
		t.Fatalf("issuers %v, want %v", got, want.issuers)
	}
	for name, sum := range want.issuers {
		if got[name].TotalAmount != sum {
			t.Fatalf("%s: %+v, want %d", name, got[name], sum)
		}
	}
}

func TestReportLines(t *testing.T) {
	p := open(t, Options{})
	d := connect(t, p, "VCMDEMOSIP0")
	d.perform("1", sale(123456))
	for _, kind := range report.Types() {
		r := d.print(txn.RequestID(kind), kind)
		if err := receipt.Check(r.Lines, receipt.TerminalTypes()); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		exact := 0
		for _, l := range r.Lines {
			if l.Value == report.CompleteLine {
				exact++
			}
			if len(l.Value) > receipt.Width {
				t.Errorf("%s: too wide: %q", kind, l.Value)
			}
		}
		if want := map[report.Type]int{report.EndOfDay: 1}[kind]; exact != want {
			t.Errorf("%s has %d lines %q, want %d", kind, exact, report.CompleteLine, want)
		}
		text := receipt.Plain(r.Lines)
		parts := []string{strings.ReplaceAll(string(kind), "_", " "), "VCMDEMOSIP0", stamp(r.Time)}
		if kind != report.EndOfDay { // which comes first
			parts = append(parts, "SALES")
		}
		for _, part := range parts {
			if !strings.Contains(text, part) {
				t.Errorf("%s does not say %q:\n%s", kind, part, text)
			}
		}
		if first := report.Types()[0]; kind == first && !strings.Contains(text, "1234.56") {
			t.Errorf("%s does not say the amount:\n%s", kind, text)
		}
	}
	if o := d.perform("2", sale(100)); o.Number != "0001" {
		t.Errorf("after the end of day the numbers go on with %s", o.Number)
	}
}

// A report is made once, told until it is acknowledged, and not made anew.
func TestReportOnce(t *testing.T) {
	p := open(t, Options{Dir: t.TempDir()})
	d := connect(t, p, "VCMDEMOSIP0")
	d.perform("1", sale(100))
	z := terminal.Request{ID: "z", Report: report.ZBalance}
	if err := d.Start(ctx, z); err != nil {
		t.Fatal(err)
	}
	e := d.until(func(e terminal.Event) bool { _, ok := e.(terminal.Reported); return ok })
	if err := d.Start(ctx, z); err != nil {
		t.Errorf("the same report anew: %v", err)
	}
	if a := d.query("z"); a.Kind != terminal.Final || a.Report.Balances.SalesCount != 1 {
		t.Errorf("query: %+v", a)
	}
	p = reopen(t, p)
	d = connect(t, p, "VCMDEMOSIP0")
	want := []terminal.Event{terminal.CameBack{Restarted: true}, e}
	if diff := cmp.Diff(want, d.heard()); diff != "" {
		t.Error(diff)
	}
	if err := d.Acknowledge(ctx, "z"); err != nil {
		t.Fatal(err)
	}
	p = reopen(t, p)
	d = connect(t, p, "VCMDEMOSIP0")
	if diff := cmp.Diff([]terminal.Event{terminal.CameBack{Restarted: true}}, d.heard()); diff != "" {
		t.Error(diff)
	}
	if r := d.print("x", report.XBalance); r.Balances.SalesCount != 0 || r.Balances.Since.IsZero() {
		t.Errorf("after Z: %+v", r.Balances)
	}
}

func FuzzName(f *testing.F) {
	v := spec.Default().VirtualTerminals()
	for _, l := range v.Listed {
		f.Add(l.TID)
	}
	for _, s := range []string{"", "vcmdemosip0", "VCMDEMOSIP", "VCMDEMOSIPſ", "VCM\x00\x00\x00\x00SIP0", "12345678"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, ok := parseName(txn.TID(s))
		if !ok {
			return
		}
		if !strings.EqualFold(string(n.tid), s) || len(s) != 11 {
			t.Errorf("%q became %q", s, n.tid)
		}
		again, ok := parseName(n.tid)
		if !ok || again != n {
			t.Errorf("%q is read as %+v, then as %+v", s, n, again)
		}
		if len(n.account) != 4 || n.part.result == "" || n.part.entry == "" || n.part.cvm == "" || n.currency() == "" {
			t.Errorf("%q lacks something: %+v", s, n)
		}
	})
}

func TestCardNumbers(t *testing.T) {
	for i := range products() {
		for serial := range uint64(50) {
			c := makeCard(9, cardID{i, serial})
			if receipt.MaskPANs(c.pan) == c.pan || len(c.pan) != products()[i].digits {
				t.Errorf("card %d/%d has no valid number", i, serial)
			}
			for _, date := range []string{c.start, c.expiry} {
				if _, err := time.Parse("01/06", date); err != nil {
					t.Errorf("card %d/%d: date %q", i, serial, date)
				}
			}
		}
	}
}

func BenchmarkSale(b *testing.B) {
	for name, dir := range map[string]string{"ram": "", "disk": b.TempDir()} {
		b.Run(name, func(b *testing.B) {
			p, err := Open(Options{Dir: dir})
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close(ctx) //nolint:errcheck // measured, not tested
			m, _ := p.Machine("VCMDEMOSIP0")
			ended := make(chan struct{}, 1)
			l := m.Connect(func(e terminal.Event) {
				if _, ok := e.(terminal.Ended); ok {
					ended <- struct{}{}
				}
			})
			b.ReportAllocs()
			for i := range b.N {
				id := txn.RequestID(fmt.Sprintf("%s-%d-%d", name, b.N, i))
				if err := l.Start(ctx, terminal.Request{ID: id, Txn: sale(100)}); err != nil {
					b.Fatal(err)
				}
				<-ended
				if err := l.Acknowledge(ctx, id); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
