package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
)

// A fakeWaiter is a fake that serves tables.
type fakeWaiter struct {
	*fake
	payment func() (terminal.PaymentAnswer, error) // what a query is answered with; nil cannot tell

	mu      sync.Mutex
	answers []string
}

func (f *fakeWaiter) connect(sink terminal.Sink) terminal.Terminal {
	f.fake.connect(sink)
	return f
}

func (f *fakeWaiter) AnswerTable(_ context.Context, v table.VisitID, a terminal.TableAnswer) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	text := fmt.Sprintf("%s %T", v, a)
	text = strings.ReplaceAll(text, "terminal.", "")
	switch a := a.(type) {
	case terminal.TableList:
		text += fmt.Sprintf(" %v %s", a.Tables, a.Message)
	case terminal.TableLock:
		text += fmt.Sprintf(" %t %d %s", a.Granted, a.Amount, a.Message)
	case terminal.Bill:
		text += fmt.Sprintf(" %d %s", len(a.Lines), a.Message)
	case terminal.VisitClosed:
		text += fmt.Sprintf(" %d", len(a.FinalReceipt))
	case terminal.PaymentForbidden:
		text += " " + a.Message
	case terminal.PaymentAllowed, terminal.PaymentKept:
	}
	f.answers = append(f.answers, strings.TrimSpace(text))
	return nil
}

func (f *fakeWaiter) QueryPayment(context.Context, table.VisitID, table.PaymentID) (terminal.PaymentAnswer, error) {
	f.called("queryPayment")
	if f.payment == nil {
		return terminal.PaymentAnswer{Kind: terminal.CannotTell}, nil
	}
	return f.payment()
}

// A diner is a shop whose first terminal serves tables.
type diner struct {
	*shop
	w *fakeWaiter
}

func inDiner(t *testing.T, f func(d *diner, a *till, disk *faulty)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		disk := newFaulty()
		d := &diner{shop: newShop(t, disk, io.Discard), w: &fakeWaiter{fake: newFake()}}
		d.plugWaiter()
		f(d, d.connect("a", "v1", "pat"), disk)
		disk.set(nil, nil)
		sleep(time.Second)
		verify(t, disk)
	})
}

func (d *diner) plugWaiter() {
	d.t.Helper()
	if err := d.g.Plug("demo", tid, d.w.connect); err != nil {
		d.t.Fatal(err)
	}
	synctest.Wait()
}

// restart starts another gateway on the same journal.
func (d *diner) restart() {
	d.g.Close()
	for _, c := range d.tills {
		c.sess.Ended(nil)
	}
	d.open(io.Discard, gateway.Limits{})
	d.plugWaiter()
}

// hears compares what the terminal was answered since the last time, in any
// order: each answer has its question.
func (d *diner) hears(want ...string) {
	d.t.Helper()
	synctest.Wait()
	d.w.mu.Lock()
	got := d.w.answers
	d.w.answers = nil
	d.w.mu.Unlock()
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		d.t.Errorf("the terminal was answered (- want, + got):\n%s", diff)
	}
}

// locks has the terminal lock table 12 in a visit, for 45.50.
func (d *diner) locks(a *till, v table.VisitID, id int) {
	d.t.Helper()
	d.w.say(terminal.TableWanted{Visit: v, Waiter: "3", Table: "12"})
	d.gets(a, itoa(id)+" tableLockRequest")
	a.says(`{"jsonrpc":"2.0","id":%d,"result":{"confirmed":true,"amount":4550,"currency":"GBP"}}`, id)
	d.hears(string(v) + " TableLock true 4550")
}

func payID(n int) table.PaymentID {
	return table.PaymentID(fmt.Sprintf("00000000-0000-4000-8000-%012d", n))
}

func (d *diner) visitState(id table.VisitID) table.Visit {
	d.t.Helper()
	for _, v := range recordedVisits(d.t, d.store) {
		if v.ID == id {
			return v
		}
	}
	return table.Visit{}
}

const (
	paid     = "- transactionResponse"
	unlocked = "- tableUnlock"
)

// TestWaiters has terminals that serve tables behave in every way that their
// contract forbids or leaves open.
func TestWaiters(t *testing.T) {
	taken := func(v table.VisitID, n int, minor money.Minor) terminal.PaymentEnded {
		return terminal.PaymentEnded{Visit: v, Payment: payID(n), Taken: true, Receipt: table.Receipt{
			Paid: minor, Method: "ICC_CHIP", Time: time.Now(), PAN: "************1234",
		}}
	}
	for _, c := range []struct {
		name string
		play func(d *diner, a *till, disk *faulty)
	}{
		{"begins another visit without leaving the first", func(d *diner, a *till, _ *faulty) {
			d.locks(a, "v1", 1)
			d.w.say(terminal.TablesWanted{Visit: "v2"})
			d.gets(a, unlocked, "2 tableListRequest")
			d.hears("v1 VisitClosed 0")
			d.stands("AVAILABLE")
			d.locks(a, "v2", 3) // the list is not waited for
			d.w.say(terminal.VisitLeft{Visit: "v2"})
			d.gets(a, unlocked)
		}},
		{"looks at list after list", func(d *diner, a *till, _ *faulty) {
			for i := range 50 {
				d.w.say(terminal.TablesWanted{Visit: table.VisitID(fmt.Sprint("v", i))})
			}
			d.w.mu.Lock()
			closed := strings.Count(strings.Join(d.w.answers, "\n"), "VisitClosed")
			d.w.mu.Unlock()
			if closed != 49 {
				d.t.Errorf("%d of 50 are over, want all but the last", closed)
			}
			if n := len(d.heads("")); n != 0 {
				d.t.Errorf("%d streams of visits that asked for no table", n)
			}
		}},
		{"lost power and its memory", func(d *diner, a *till, _ *faulty) {
			d.locks(a, "v1", 1)
			d.w.say(terminal.WentAway{}, terminal.CameBack{Restarted: true})
			d.stands("AVAILABLE")
			sleep(119 * time.Second)
			d.gets(a)
			sleep(time.Second)
			d.gets(a, unlocked)
		}},
		{"lost power without a word of it", func(d *diner, a *till, _ *faulty) {
			d.locks(a, "v1", 1)
			d.w.say(terminal.CameBack{Restarted: true})
			d.w.say(terminal.PaymentStarted{Visit: "v1", Payment: payID(1), Asked: 4550}) // but it knows
			d.hears("v1 PaymentAllowed")
			d.stands("BUSY")
			sleep(200 * time.Second)
			d.gets(a)
			d.w.say(taken("v1", 1, 4550), terminal.VisitLeft{Visit: "v1"})
			d.gets(a, paid, unlocked)
		}},
		{"leaves with a payment open, and knows its end", func(d *diner, a *till, _ *faulty) {
			d.locks(a, "v1", 1)
			d.w.payment = func() (terminal.PaymentAnswer, error) {
				return terminal.PaymentAnswer{Kind: terminal.Final, Taken: true, Receipt: taken("v1", 1, 4550).Receipt}, nil
			}
			d.w.say(terminal.PaymentStarted{Visit: "v1", Payment: payID(1), Asked: 4550}, terminal.VisitLeft{Visit: "v1"})
			d.gets(a, paid, unlocked)
			d.hears("v1 PaymentAllowed", "v1 PaymentKept", "v1 VisitClosed 0")
		}},
		{"leaves with a payment open, and cannot tell", func(d *diner, a *till, _ *faulty) {
			d.locks(a, "v1", 1)
			d.w.say(terminal.PaymentStarted{Visit: "v1", Payment: payID(1), Asked: 4550}, terminal.VisitLeft{Visit: "v1"})
			d.stands("AVAILABLE")
			sleep(10 * time.Minute)
			d.gets(a) // the table stays locked, for an operator to see
			if got := d.visitState("v1").State; got != table.Unresolved {
				d.t.Errorf("the visit is %s", got)
			}
			if n := d.w.heard("queryPayment"); n < 5 || n > 20 {
				d.t.Errorf("asked %d times in ten minutes", n)
			}
			d.w.say(taken("v1", 1, 4550))
			d.gets(a, paid, unlocked)
		}},
		{"leaves, and the payment goes on", func(d *diner, a *till, _ *faulty) {
			d.locks(a, "v1", 1)
			d.w.payment = func() (terminal.PaymentAnswer, error) {
				return terminal.PaymentAnswer{Kind: terminal.InProgress}, nil
			}
			d.w.say(terminal.PaymentStarted{Visit: "v1", Payment: payID(1), Asked: 4550}, terminal.VisitLeft{Visit: "v1"})
			sleep(time.Minute)
			d.gets(a)
			d.w.say(taken("v1", 1, 4550))
			d.gets(a, paid, unlocked)
			d.w.say(taken("v1", 2, 1)) // late, and not announced
			d.gets(a, paid)
		}},
		{"is lost while the lock is asked for, for longer than the site waits", func(d *diner, a *till, disk *faulty) {
			d.limits(map[string]time.Duration{"lostTerminal": 2 * time.Second})
			d.w.say(terminal.TableWanted{Visit: "v1", Table: "12"}, terminal.WentAway{})
			sleep(5 * time.Second)
			d.gets(a, "1 tableLockRequest")
			a.says(`{"jsonrpc":"2.0","id":1,"result":{"confirmed":true,"amount":4550,"currency":"GBP"}}`)
			sleep(time.Second)
			d.gets(a, unlocked)
		}},
		{"tells amounts that cannot be", func(d *diner, a *till, _ *faulty) {
			d.locks(a, "v1", 1)
			d.w.say(terminal.PaymentStarted{Visit: "v1", Payment: payID(1), Asked: 4550})
			for _, r := range []table.Receipt{{}, {Paid: -1}, {Paid: 1 << 62, Gratuity: 1 << 62}, {Paid: 1, Gratuity: 100_000_000}} {
				d.w.say(terminal.PaymentEnded{Visit: "v1", Payment: payID(1), Taken: true, Receipt: r})
			}
			d.hears("v1 PaymentAllowed") // it stays with the terminal
			sleep(time.Second)
			d.gets(a)
			if got := d.visitState("v1").State; got != table.Unresolved {
				d.t.Errorf("the visit is %s", got)
			}
			d.w.say(taken("v1", 1, 99_999_999))
			d.hears("v1 PaymentKept", "v1 VisitClosed 0")
			d.gets(a, paid, unlocked)
		}},
		{"tells more gratuity than one message of money can have", func(d *diner, a *till, _ *faulty) {
			d.locks(a, "v1", 1)
			for n := range 3 {
				e := taken("v1", n, 1)
				e.Receipt.Gratuity = 99_999_998
				d.w.say(terminal.PaymentStarted{Visit: "v1", Payment: e.Payment, Asked: 1}, e)
			}
			d.w.say(terminal.VisitLeft{Visit: "v1"})
			got := strings.Join(a.take(), "")
			if !strings.Contains(got, `"amountGratuity":299999994,"amountTotal":299999997`) {
				d.t.Errorf("told %s", got)
			}
		}},
		{"tells what does not fit the wire", func(d *diner, a *till, _ *faulty) {
			long := table.WaiterID(strings.Repeat("\x00é\xff", 500))
			d.w.say(terminal.TablesWanted{Visit: "v1", Waiter: long}, terminal.TableWanted{Visit: "v1", Waiter: long, Table: "a\xffb"})
			d.w.say(terminal.TableWanted{Visit: "v1", Waiter: long, Table: "tab\t"}, terminal.TableWanted{Visit: "v1", Waiter: long, Table: "12"})
			d.w.say(terminal.TableWanted{Visit: "", Table: "12"}, terminal.TableWanted{Visit: "\xff", Table: "12"})
			no := " TableLock false 0 There is no such table."
			d.hears("v1"+no, "v1"+no, strings.TrimSpace(no), "\xff"+no)
			d.gets(a, "1 tableListRequest", "2 tableLockRequest")
			a.says(`{"jsonrpc":"2.0","id":2,"result":{"confirmed":true,"amount":4550,"currency":"GBP"}}`)
			d.hears("v1 TableLock true 4550")
			e := taken("v1", 1, 4550)
			e.Receipt.Method, e.Receipt.CVM, e.Receipt.PAN, e.Receipt.Expiry, e.Receipt.Time = "?", "?", "4000001234567899", "13/30", time.Time{}
			e.Receipt.AuthCode, e.Receipt.Receipts.Customer = "\xc3", []receipt.Line{{Type: "QR", Value: "a\xffb 4000001234567899"}}
			d.w.say(terminal.PaymentStarted{Visit: "v1", Payment: "not a UUID", Asked: 1}, terminal.PaymentStarted{Visit: "v1", Payment: payID(1), Asked: 4550})
			d.w.say(e, terminal.VisitLeft{Visit: "v1"})
			d.hears("v1 PaymentForbidden This payment cannot be taken.", "v1 PaymentAllowed", "v1 PaymentKept", "v1 VisitClosed 0")
			d.gets(a, paid, unlocked)
			odd := taken("v1", 1, 4550)
			odd.Payment = "not a UUID"
			d.w.say(odd)
			d.hears("v1 PaymentKept")
			d.gets(a)
			if n := len(d.heads(journal.OrphanStream)); n != 1 {
				d.t.Errorf("%d orphans, want the money that no till can be told of", n)
			}
		}},
		{"tells of payments in visits that nobody knows", func(d *diner, a *till, _ *faulty) {
			d.w.say(taken("v9", 9, 100), taken("v9", 9, 100), terminal.PaymentEnded{Visit: "v9", Payment: payID(8)})
			d.w.say(terminal.VisitLeft{Visit: "v9"}, terminal.BillWanted{Visit: "v9"}, terminal.PaymentStarted{Visit: "v9", Payment: payID(7), Asked: 1})
			d.hears("v9 PaymentKept", "v9 PaymentKept", "v9 PaymentKept", "v9 VisitClosed 0", "v9 Bill 0 The table is no longer open here.", "v9 PaymentForbidden The table is no longer open here.")
			if n := len(d.heads(journal.OrphanStream)); n != 1 {
				d.t.Errorf("%d orphans", n)
			}
			d.gets(a)
		}},
		{"tells of money in a visit whose id is that of something else", func(d *diner, a *till, _ *faulty) {
			x, _ := report.New(money.GBP).Make(report.XBalance, time.Now())
			d.w.say(terminal.ReportMade{ID: "t1", Report: x}, taken("t1", 1, 100))
			d.hears("t1 PaymentKept")
			if n := len(d.heads(journal.OrphanStream)); n != 1 {
				d.t.Errorf("%d orphans", n)
			}
			d.gets(a, "- reportResponse")
		}},
		{"speaks of another terminal's visit", func(d *diner, a *till, _ *faulty) {
			d.locks(a, "v1", 1)
			other := &fakeWaiter{fake: newFake()}
			if err := d.g.Plug("demo", otherTID, other.connect); err != nil {
				d.t.Fatal(err)
			}
			other.say(terminal.VisitLeft{Visit: "v1"}, taken("v1", 1, 4550), terminal.PaymentStarted{Visit: "v1", Payment: payID(2), Asked: 1})
			d.gets(a)
			if got := d.visitState("v1"); got.State != table.Locked || len(got.Payments) > 0 {
				d.t.Errorf("the visit is %s with %d payments", got.State, len(got.Payments))
			}
		}},
		{"wants the bill twice, and after a restart", func(d *diner, a *till, _ *faulty) {
			d.locks(a, "v1", 1)
			d.w.say(terminal.BillWanted{Visit: "v1"}, terminal.BillWanted{Visit: "v1"})
			d.gets(a, "2 posReceiptRequest")
			sleep(time.Second) // it is on disk that it was wanted
			d.restart()
			d.w.say(terminal.BillWanted{Visit: "v1"})
			d.hears("v1 Bill 0 The till is offline.")
			b := d.connect("b", "v1", "pat")
			d.w.say(terminal.BillWanted{Visit: "v1"})
			d.gets(b, "1 posReceiptRequest")
			b.says(`{"jsonrpc":"2.0","id":1,"result":{"receiptLines":[{"type":"TEXT","value":"x"}]}}`)
			d.hears("v1 Bill 1")
		}},
		{"a final receipt is still asked for after a blip, and after a restart", func(d *diner, a *till, _ *faulty) {
			a.sess.Ended(nil)
			a = d.connect("a", "v1", "pat", "final")
			d.locks(a, "v1", 1)
			d.w.say(terminal.WentAway{}, terminal.CameBack{}, terminal.PaymentStarted{Visit: "v1", Payment: payID(1), Asked: 4550})
			sleep(time.Second)
			d.restart()
			a = d.connect("a", "v1", "pat", "final")
			d.w.payment = func() (terminal.PaymentAnswer, error) {
				return terminal.PaymentAnswer{Kind: terminal.InProgress}, nil
			}
			d.w.say(terminal.WentAway{}, terminal.CameBack{})
			d.w.say(taken("v1", 1, 4550), terminal.VisitLeft{Visit: "v1"})
			d.gets(a, paid, "1 finalPOSReceiptRequest")
			a.says(`{"jsonrpc":"2.0","id":1,"result":{"receiptLines":[{"type":"TEXT","value":"x"}]}}`)
			d.gets(a, unlocked)
			d.hears("v1 PaymentAllowed", "v1 PaymentKept", "v1 VisitClosed 1")
		}},
		{"a report whose id is another stream's, one that is none, and the same twice", func(d *diner, a *till, _ *faulty) {
			d.locks(a, "v1", 1)
			x, _ := report.New(money.GBP).Make(report.XBalance, time.Now())
			d.w.say(terminal.ReportMade{ID: "v1", Report: x}, terminal.ReportMade{ID: "t1", Report: report.Report{Type: "FOO"}})
			euro, _ := report.New(money.EUR).Make(report.XBalance, time.Now())
			d.w.say(terminal.ReportMade{ID: "t2", Report: euro})
			if n := len(d.heads(journal.OrphanStream)); n != 3 {
				d.t.Errorf("%d orphans, want 3", n)
			}
			d.gets(a)
			d.w.say(terminal.ReportMade{ID: "t3", Report: x}, terminal.ReportMade{ID: "t3", Report: x})
			d.gets(a, "- reportResponse")
			d.terminalHeard(d.w.fake, "acknowledge", 5)
		}},
		{"a report whose append was kept although nobody could know", func(d *diner, a *till, disk *faulty) {
			x, _ := report.New(money.GBP).Make(report.XBalance, time.Now())
			disk.set(func(int, journal.Append) mishap { return mishap{after: journal.ErrUncertain} }, errDisk)
			d.w.say(terminal.ReportMade{ID: "t3", Report: x})
			sleep(2 * time.Second)
			d.w.say(terminal.ReportMade{ID: "t3", Report: x}) // told again meanwhile
			disk.set(nil, nil)
			sleep(2 * time.Second)
			d.gets(a, "- reportResponse")
		}},
		{"leaves a visit that could not be recorded", func(d *diner, a *till, disk *faulty) {
			d.locks(a, "v1", 1)
			d.w.say(terminal.PaymentStarted{Visit: "v1", Payment: payID(1), Asked: 4550})
			disk.set(always(journal.ErrFull), nil)
			d.w.say(taken("v1", 1, 4550), terminal.VisitLeft{Visit: "v1"})
			sleep(40 * time.Second)
			d.gets(a)
			d.hears("v1 PaymentAllowed")
			disk.set(nil, nil)
			d.w.payment = func() (terminal.PaymentAnswer, error) {
				return terminal.PaymentAnswer{Kind: terminal.Final, Taken: true, Receipt: taken("v1", 1, 4550).Receipt}, nil
			}
			sleep(2 * time.Minute)
			d.gets(a, paid, unlocked)
		}},
		{"a payment may not begin before it is on disk", func(d *diner, a *till, disk *faulty) {
			d.locks(a, "v1", 1)
			for i, err := range []error{journal.ErrFull, errDisk, journal.ErrClosed} {
				disk.set(always(err), nil)
				d.w.say(terminal.PaymentStarted{Visit: "v1", Payment: payID(i), Asked: 1})
				d.hears("v1 PaymentForbidden Payments cannot be stored at the moment.")
			}
			disk.set(func(int, journal.Append) mishap { return mishap{after: journal.ErrUncertain} }, errDisk)
			d.w.say(terminal.PaymentStarted{Visit: "v1", Payment: payID(5), Asked: 1})
			d.hears("v1 PaymentForbidden Payments cannot be stored at the moment.")
			disk.set(nil, nil)
			d.w.payment = func() (terminal.PaymentAnswer, error) {
				return terminal.PaymentAnswer{Kind: terminal.NeverRan}, nil
			}
			d.w.say(terminal.VisitLeft{Visit: "v1"}) // it was kept after all, and nobody charged
			sleep(time.Minute)
			d.gets(a, unlocked)
			disk.set(func(int, journal.Append) mishap { return mishap{wait: 3 * time.Second} }, nil)
			d.w.say(terminal.TableWanted{Visit: "v2", Table: "12"})
			d.gets(a) // nor is the till asked
			sleep(4 * time.Second)
			d.gets(a, "2 tableLockRequest")
		}},
		{"two visits of one terminal to one table", func(d *diner, a *till, _ *faulty) {
			d.locks(a, "v1", 1)
			a.mute = true
			d.w.say(terminal.VisitLeft{Visit: "v1"})
			d.gets(a, unlocked)
			d.w.say(terminal.TableWanted{Visit: "v2", Table: "12"})
			d.hears("v1 VisitClosed 0", "v2 TableLock false 0 The table is not settled yet. Please try again in a moment.")
			d.gets(a)
		}},
	} {
		t.Run(c.name, func(t *testing.T) { inDiner(t, c.play) })
	}
}

// limits sets the site's own.
func (s *shop) limits(limits map[string]time.Duration) {
	s.t.Helper()
	rec, err := gateway.FindSite(s.t.Context(), s.store, "demo")
	if err != nil {
		s.t.Fatal(err)
	}
	rec.Limits = limits
	if err := s.store.PutSite(s.t.Context(), rec); err != nil {
		s.t.Fatal(err)
	}
	if err := s.g.Reload(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func (c *till) refusePings(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pingErr = err
}

// TestLines has tills come, go and answer in ways that the outbox and the
// questions must live through.
func TestLines(t *testing.T) {
	for _, c := range []struct {
		name string
		play func(d *diner, a *till)
	}{
		{"a newer connection that wants no final receipt", func(d *diner, a *till) {
			a.sess.Ended(nil)
			a = d.connect("a", "v1", "pat", "final")
			d.locks(a, "v1", 1)
			d.w.say(terminal.PaymentStarted{Visit: "v1", Payment: payID(1), Asked: 1})
			d.w.say(terminal.PaymentEnded{Visit: "v1", Payment: payID(1), Taken: true, Receipt: table.Receipt{Paid: 1}}, terminal.VisitLeft{Visit: "v1"})
			d.gets(a, paid, "2 finalPOSReceiptRequest")
			b := d.connect("b", "v1", "pat")
			d.gets(b, unlocked)
		}},
		{"one that wants it again", func(d *diner, a *till) {
			a.sess.Ended(nil)
			a = d.connect("a", "v1", "pat", "final")
			d.locks(a, "v1", 1)
			d.w.say(terminal.PaymentStarted{Visit: "v1", Payment: payID(1), Asked: 1})
			d.w.say(terminal.PaymentEnded{Visit: "v1", Payment: payID(1), Taken: true, Receipt: table.Receipt{Paid: 1}}, terminal.VisitLeft{Visit: "v1"})
			d.gets(a, paid, "2 finalPOSReceiptRequest")
			a.sess.Ended(nil)
			sleep(3 * time.Second)
			b := d.connect("b", "v0", "pat", "final")
			d.gets(b, "1 finalPOSReceiptRequest")
			sleep(6 * time.Second)
			d.gets(b)
			sleep(time.Second)
			d.gets(b, unlocked) // its time was the first one's
		}},
		{"no ping is to be had for a while", func(d *diner, a *till) {
			d.locks(a, "v1", 1)
			a.refusePings(errors.New("too many"))
			d.w.say(terminal.VisitLeft{Visit: "v1"})
			d.gets(a, unlocked)
			sleep(5 * time.Second)
			a.refusePings(nil)
			sleep(time.Second)
			d.gets(a) // it is not sent twice
			if got := d.visitState("v1"); !got.Done() {
				d.t.Errorf("the outbox is %+v", got.Outbox)
			}
		}},
		{"answers do not fall under the till's rate", func(d *diner, _ *till) {
			d.g.Close()
			d.open(io.Discard, gateway.Limits{MessagesPerSecond: 0.001, MessageBurst: 1})
			d.plugWaiter()
			a := d.connect("a", "v1", "pat")
			a.says("not JSON")
			a.says("not JSON")
			d.gets(a, "- error -32700", "- error -32603")
			d.locks(a, "v1", 1)
			d.w.say(terminal.BillWanted{Visit: "v1"})
			for range 3 { // but no flood of wrong ones
				a.says(`{"jsonrpc":"2.0","id":2,"result":{}}`)
			}
			d.gets(a, "2 posReceiptRequest", "2 error -32602", "- error -32603", "- error -32603")
		}},
		{"an error for the waiter's screen", func(d *diner, a *till) {
			d.w.say(terminal.TableWanted{Visit: "v1", Table: "12"})
			a.says(`{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x","userMessage":%q}}`, "Card 4000001234567899\n"+strings.Repeat("é", 3000))
			d.w.mu.Lock()
			got := d.w.answers[0]
			d.w.mu.Unlock()
			if strings.Contains(got, "4000001234567899") || strings.Contains(got, "\n") || len([]rune(got)) > 250 {
				d.t.Errorf("the screen shows %q", got)
			}
			d.gets(a, "1 tableLockRequest", unlocked)
		}},
		{"strict: what the contract does not know is no answer", func(d *diner, a *till) {
			d.setSite([]string{"strict=true"})
			d.w.say(terminal.TableWanted{Visit: "v1", Table: "12"})
			a.says(`{"jsonrpc":"2.0","id":1,"result":{"confirmed":true,"amount":4550,"currency":"GBP","extra":1}}`)
			d.gets(a, "1 tableLockRequest", "1 error -32602")
			a.says(`{"jsonrpc":"2.0","id":1,"result":{"confirmed":true,"amount":4550,"currency":"GBP"}}`)
			d.hears("v1 TableLock true 4550")
		}},
		{"a lock that is confirmed after its unlock", func(d *diner, a *till) {
			d.w.say(terminal.TableWanted{Visit: "v1", Table: "12"})
			sleep(10 * time.Second)
			d.gets(a, "1 tableLockRequest", unlocked)
			a.says(`{"jsonrpc":"2.0","id":1,"result":{"confirmed":true,"amount":4550,"currency":"GBP"}}`)
			d.gets(a, "1 error -32074", unlocked)
			a.says(`{"jsonrpc":"2.0","id":1,"result":{"confirmed":true,"amount":4550,"currency":"GBP"}}`)
			d.gets(a, "1 error -32075")
		}},
		{"one that is confirmed late in the next visit to the table", func(d *diner, a *till) {
			d.w.say(terminal.TableWanted{Visit: "v1", Table: "12"})
			sleep(10 * time.Second)
			d.gets(a, "1 tableLockRequest", unlocked)
			d.w.say(terminal.TableWanted{Visit: "v2", Table: "12"})
			a.says(`{"jsonrpc":"2.0","id":1,"result":{"confirmed":true,"amount":4550,"currency":"GBP"}}`)
			d.gets(a, "2 tableLockRequest", "1 error -32074") // no unlock into the second visit
			a.says(`{"jsonrpc":"2.0","id":2,"result":{"confirmed":true,"amount":4550,"currency":"GBP"}}`)
			d.w.say(terminal.VisitLeft{Visit: "v2"})
			d.gets(a, unlocked)
		}},
		{"tills that push each other off", func(d *diner, a *till) {
			var log bytes.Buffer
			d.g.Close()
			d.open(&log, gateway.Limits{})
			d.plugWaiter()
			delays := 0
			for i := range 30 {
				query := pacQuery(demoKey, "v1")
				ticket, err := d.g.Admit(gateway.Knock{Face: "pat", Query: query})
				if err != nil {
					d.t.Fatal(err)
				}
				if ticket.Delay() > 0 {
					delays++
				}
				d.connect(itoa(i%2), "v1", "pat")
				sleep(time.Second)
			}
			if delays != 10 {
				d.t.Errorf("%d of 30 connections were delayed, want 10", delays)
			}
			if n := strings.Count(log.String(), "push each other off"); n != 10 {
				d.t.Errorf("logged %d times", n)
			}
			sleep(time.Minute)
			ticket, err := d.g.Admit(gateway.Knock{Face: "pat", Query: pacQuery(demoKey, "v1")})
			if err != nil || ticket.Delay() != 0 {
				d.t.Errorf("a minute later: %v, %s", err, ticket.Delay())
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) { inDiner(t, func(d *diner, a *till, _ *faulty) { c.play(d, a) }) })
	}
}
