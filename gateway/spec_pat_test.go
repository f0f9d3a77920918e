package gateway_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/wire"
)

// exampleTID is the terminal of the Pay-At-Table examples.
const exampleTID = "12345678"

// atExampleTables runs f in a shop whose terminal is the one of the examples.
func atExampleTables(t *testing.T, f func(d *diner)) {
	t.Helper()
	inDiner(t, func(d *diner, _ *till, _ *faulty) {
		d.w = &fakeWaiter{fake: newFake()}
		if err := d.g.Plug("demo", exampleTID, d.w.connect); err != nil {
			d.t.Fatal(err)
		}
		synctest.Wait()
		f(d)
	})
}

// published is an example of a message, by the message's name and its own.
func published(t *testing.T, name, example string) spec.Example {
	t.Helper()
	m, ok := spec.Default().Message(spec.PAT, name)
	if !ok {
		t.Fatalf("no message %s", name)
	}
	e, ok := m.Example(example)
	if !ok {
		t.Fatalf("no example %s of %s", example, name)
	}
	return e
}

// answered has the till answer with an example.
func (d *diner) answered(a *till, name, example string) {
	d.t.Helper()
	a.says("%s", string(published(d.t, name, example).Text))
}

// TestPATErrorExamples plays each published error example of Pay-At-Table and
// compares what the gateway says with what is published. Where the question is
// open still, it can be answered afterwards.
func TestPATErrorExamples(t *testing.T) {
	m, ok := spec.Default().Message(spec.PAT, "errorMessage")
	if !ok || len(m.Errors) != 10 {
		t.Fatalf("%d error examples", len(m.Errors))
	}
	list := func(d *diner, _ *till) { d.w.say(terminal.TablesWanted{Visit: "v1", Waiter: "3"}) }
	lock := func(d *diner, a *till) {
		list(d, a)
		d.w.say(terminal.TableWanted{Visit: "v1", Waiter: "3", Table: "12"})
	}
	const tables, granted = "v1 TableList [12 14 Bar 2]", "v1 TableLock true 4550"
	setups := map[string]struct {
		before func(*diner, *till)
		then   string // what the terminal hears once the till answers rightly
	}{
		"parseError": {list, tables}, "array": {list, tables}, "stringID": {list, tables},
		"counterMethod":          {list, tables},
		"confirmedWithoutAmount": {lock, granted}, "negativeAmount": {lock, granted},
		"unknownID": {list, tables},
		"secondAnswer": {func(d *diner, a *till) {
			list(d, a)
			d.answered(a, "tableList", "tables")
			d.hears(tables)
		}, ""},
		"lateAnswer": {func(d *diner, a *till) {
			lock(d, a)
			d.answered(a, "tableList", "tables")
			d.answered(a, "tableLock", "confirmed")
			d.w.say(terminal.BillWanted{Visit: "v1"})
			sleep(11 * time.Second)
			d.hears(tables, granted, "v1 Bill 0 The till did not answer.")
		}, ""},
		"discontinued": {func(d *diner, _ *till) { d.connect("newer", "v1", "pat") }, ""},
	}
	for _, pair := range m.Errors {
		t.Run(pair.Name, func(t *testing.T) {
			atExampleTables(t, func(d *diner) {
				setup, ok := setups[pair.Name]
				if !ok {
					d.t.Fatal("nothing is known of how this comes about")
				}
				a := d.connect("a", "v1", "pat")
				if pair.ToConnect != "" {
					setup.before(d, a)
					a.take()
					a.sess.Receive([]byte(pair.ToConnect))
					synctest.Wait()
				} else {
					setup.before(d, a)
				}
				got := a.take()
				if len(got) != 1 {
					d.t.Fatalf("answered with %d messages: %q", len(got), got)
				}
				d.fits(a, got[0])
				if diff := cmp.Diff(value(d.t, pair.ErrorToEPOS), value(d.t, []byte(got[0]))); diff != "" {
					d.t.Errorf("- published, + said:\n%s", diff)
				}
				switch setup.then {
				case tables:
					d.answered(a, "tableList", "tables")
					d.hears(tables)
				case granted:
					d.answered(a, "tableLock", "confirmed")
					d.hears(granted)
				}
				d.gets(a)
			})
		})
	}
}

// TestPATAnswerExamples plays each valid answer of a till: it is taken without
// a word, and the terminal hears it.
func TestPATAnswerExamples(t *testing.T) {
	asks := map[string]struct {
		ask  func(*diner, *till)
		hear func(text string) string
	}{
		"tableList": {
			func(d *diner, _ *till) { d.w.say(terminal.TablesWanted{Visit: "v1", Waiter: "3"}) },
			func(string) string { return "v1 TableList [" },
		},
		"tableLock": {
			func(d *diner, _ *till) {
				d.w.say(terminal.TablesWanted{Visit: "v1", Waiter: "3"}, terminal.TableWanted{Visit: "v1", Waiter: "3", Table: "12"})
			},
			func(text string) string { return fmt.Sprintf("v1 TableLock %t", strings.Contains(text, "true")) },
		},
		"posReceipt":      {askBill, func(text string) string { return fmt.Sprintf("v1 Bill %d", strings.Count(text, `"value"`)) }},
		"finalPOSReceipt": {askFinal, func(text string) string { return fmt.Sprintf("v1 VisitClosed %d", strings.Count(text, `"value"`)) }},
	}
	played := 0
	for _, m := range spec.Default().Messages() {
		if m.Side != spec.PAT {
			continue
		}
		for _, e := range m.Examples {
			if !e.Valid || e.Direction != spec.ToConnect {
				continue
			}
			played++
			t.Run(m.Name+"/"+e.Name, func(t *testing.T) {
				atExampleTables(t, func(d *diner) {
					a := d.connect("a", e.Version, "pat", "final")
					how := asks[m.Name]
					how.ask(d, a)
					a.take()
					d.w.mu.Lock()
					d.w.answers = nil
					d.w.mu.Unlock()
					a.says("%s", string(e.Text))
					for _, text := range a.take() {
						if strings.Contains(text, `"error"`) {
							d.t.Errorf("%s\nwas answered with %s", e.Text, text)
						}
					}
					d.w.mu.Lock()
					defer d.w.mu.Unlock()
					if got := strings.Join(d.w.answers, "; "); !strings.HasPrefix(got, how.hear(string(e.Text))) || len(d.w.answers) != 1 {
						d.t.Errorf("the terminal heard %q of\n%s", got, e.Text)
					}
				})
			})
		}
	}
	if played < 11 {
		t.Errorf("only %d examples", played)
	}
}

// askBill has question 3 be one for the bill.
func askBill(d *diner, a *till) {
	d.w.say(terminal.TablesWanted{Visit: "v1", Waiter: "3"}, terminal.TableWanted{Visit: "v1", Waiter: "3", Table: "12"})
	d.answered(a, "tableList", "tables")
	d.answered(a, "tableLock", "confirmed")
	d.w.say(terminal.BillWanted{Visit: "v1"})
}

// askFinal has question 4 be one for the final receipt.
func askFinal(d *diner, a *till) {
	askBill(d, a)
	d.answered(a, "posReceipt", "billLines")
	d.payLike(published(d.t, "transactionResponse", "split"))
	d.w.say(terminal.VisitLeft{Visit: "v1"})
}

// payLike has the terminal take the payments of an example.
func (d *diner) payLike(e spec.Example) {
	d.t.Helper()
	var m struct {
		Params jsontext.Value `json:"params"`
	}
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(e.Text), `"tpi"`, `"tid"`)), &m); err != nil {
		d.t.Fatal(err)
	}
	r, err := wire.DecodeTransactionResponse(m.Params)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, p := range r.Payments {
		at, err := time.Parse(wire.TimeLayout, p.Time)
		if err != nil {
			d.t.Fatal(err)
		}
		var copies receipt.Copies
		if p.ReceiptLines != nil {
			copies = receipt.Copies{Merchant: wire.ReceiptLines(p.ReceiptLines.Merchant), Customer: wire.ReceiptLines(p.ReceiptLines.Customer)}
		}
		d.w.say(terminal.PaymentStarted{Visit: "v1", Payment: table.PaymentID(p.PaymentID), Asked: p.AmountPaid}, terminal.PaymentEnded{
			Visit: "v1", Payment: table.PaymentID(p.PaymentID), Taken: true, Receipt: table.Receipt{
				Paid: p.AmountPaid, Cashback: p.AmountCashback, Gratuity: p.AmountGratuity,
				AuthCode: p.AuthCode, Scheme: p.CardSchemeName, Method: p.PaymentMethod, Time: at,
				TransactionID: p.TransactionID, Number: p.TransactionNumber, CVM: p.CardholderVerificationMethod,
				AID: p.ApplicationID, Label: p.ApplicationLabel, PAN: p.PrimaryAccountNumber, Expiry: p.DateOfExpiry, Receipts: copies,
			},
		})
	}
}

// TestPATMessageExamples has the gateway send each valid message of the
// contract to a till, in both versions, and compares it with what is published.
func TestPATMessageExamples(t *testing.T) {
	played := map[string]bool{}
	same := func(d *diner, a *till, name, example string) {
		d.t.Helper()
		got := a.take()
		if len(got) == 0 {
			d.t.Fatalf("%s was not sent", example)
		}
		last := got[len(got)-1]
		d.fits(a, last)
		e := published(d.t, name, example)
		played[name+"/"+example] = true
		if diff := cmp.Diff(value(d.t, e.Text), without(value(d.t, []byte(last)), value(d.t, e.Text))); diff != "" {
			d.t.Errorf("%s (- published, + sent):\n%s", example, diff)
		}
	}
	for version, suffix := range map[string]string{spec.V1: "", spec.V0: "V0"} {
		atExampleTables(t, func(d *diner) {
			a := d.connect("a", version, "pat", "final")
			d.w.say(terminal.TablesWanted{Visit: "v1", Waiter: "3"})
			same(d, a, "tableList", "list"+suffix)
			d.answered(a, "tableList", "tables"+suffix)
			d.w.say(terminal.TableWanted{Visit: "v1", Waiter: "3", Table: "12"})
			same(d, a, "tableLock", "lock"+suffix)
			d.answered(a, "tableLock", "confirmed"+suffix)
			d.w.say(terminal.BillWanted{Visit: "v1"})
			same(d, a, "posReceipt", "bill"+suffix)
			d.answered(a, "posReceipt", "billLines"+suffix)
			d.payLike(published(d.t, "transactionResponse", "split"))
			d.w.say(terminal.VisitLeft{Visit: "v1"})
			same(d, a, "finalPOSReceipt", "receipt"+suffix)
			d.answered(a, "finalPOSReceipt", "receiptLines"+suffix)
			same(d, a, "tableUnlock", "unlock"+suffix)
			z := report.Breakdown{Currency: money.GBP, TotalAmount: 5000, SalesAmount: 5000, SalesCount: 2}
			d.w.say(terminal.ReportMade{ID: "t1", Report: report.Report{
				Type: report.ZBalance, Result: report.Complete, Time: time.Date(2026, 10, 7, 23, 40, 0, 0, time.UTC),
				Balances: &report.Balances{Breakdown: z, GratuityAmount: 450, GratuityCount: 1, Waiters: map[string]report.Breakdown{"3": z}},
				Lines:    []receipt.Line{{Type: receipt.Text, Format: []receipt.Format{receipt.Bold}, Value: "Z BALANCE"}},
			}})
			same(d, a, "reportResponse", "zBalance"+suffix)
		})
	}
	for example, version := range map[string]string{"split": spec.V1, "splitV0": spec.V0, "allFields": spec.V1} {
		atExampleTables(t, func(d *diner) {
			a := d.connect("a", version, "pat")
			askBill(d, a)
			d.payLike(published(d.t, "transactionResponse", example))
			a.mute = true // the unlock waits
			d.w.say(terminal.VisitLeft{Visit: "v1"})
			same(d, a, "transactionResponse", example)
		})
	}
	atExampleTables(t, func(d *diner) {
		a := d.connect("a", "v1", "pat")
		for _, c := range []struct {
			message, name string
			say           terminal.Event
		}{
			{"tableList", "noWaiter", terminal.TablesWanted{Visit: "v1"}},
			{"tableLock", "longestName", terminal.TableWanted{Visit: "v2", Waiter: "3", Table: table.TableID(strings.Repeat("T", 64))}},
		} {
			d.w.say(c.say)
			got := a.take()
			if diff := cmp.Diff(value(d.t, published(d.t, c.message, c.name).Text), value(d.t, []byte(got[0]))); diff != "" {
				d.t.Errorf("%s (- published, + sent):\n%s", c.name, diff)
			}
			played[c.message+"/"+c.name] = true
		}
	})
	for _, m := range spec.Default().Messages() {
		for _, e := range m.Examples {
			if m.Side == spec.PAT && e.Valid && e.Direction == spec.ToEPOS && e.Kind != spec.KindError && !played[m.Name+"/"+e.Name] {
				t.Errorf("nothing is like %s of %s", e.Name, m.Name)
			}
		}
	}
}

// without leaves out of got the members that an example does not show.
func without(got, shown any) any {
	switch s := shown.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return got
		}
		out := map[string]any{}
		for name, v := range g {
			if example, ok := s[name]; ok {
				out[name] = without(v, example)
			}
		}
		return out
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(s) {
			return got
		}
		out := make([]any, len(g))
		for i := range g {
			out[i] = without(g[i], s[i])
		}
		return out
	}
	return got
}
