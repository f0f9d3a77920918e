package sim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

var ctx = context.Background()

func (d *desk) cancel(id txn.RequestID) {
	d.t.Helper()
	if err := d.Cancel(ctx, id); err != nil {
		d.t.Fatal(err)
	}
}

// running is what the machine does; nil when it is idle.
func (d *desk) running() *run {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	return d.m.run
}

func (d *desk) answer(id txn.RequestID, accepted bool) {
	d.t.Helper()
	if err := d.AnswerSignature(ctx, id, accepted); err != nil {
		d.t.Fatal(err)
	}
}

func TestCancel(t *testing.T) {
	notPresent := sale(100)
	notPresent.CardholderNotPresent = true
	for _, c := range []struct {
		name   string
		tid    txn.TID
		req    txn.Request
		holdAt txn.Notification
		want   []string
	}{
		{"before the card", "VCMDEMOSIP0", sale(100), PresentCard, []string{"PRESENT_CARD", "CANCELLING", "ended CANCELLED"}},
		{"while keying", "VCMDEMOSIP0", notPresent, PleaseWait, []string{"PLEASE_WAIT", "CANCELLING", "ended CANCELLED"}},
		{
			"at the PIN", "VCMDEMOSIP0", sale(100), PINEntry,
			[]string{"PRESENT_CARD", "PLEASE_WAIT", "PIN_ENTRY", "UNABLE_TO_CANCEL", "CONNECTING", "CONNECTION_MADE", "REQUEST_SENT", "APPROVED", "REMOVE_CARD", "ended SUCCESSFUL"},
		},
		{
			"at the end", "VCMDEMODCD0", sale(100), Declined,
			[]string{"PRESENT_CARD", "PLEASE_WAIT", "CONNECTING", "CONNECTION_MADE", "REQUEST_SENT", "DECLINED", "UNABLE_TO_CANCEL", "ended DECLINED"},
		},
		{
			"after the red key", "VCMDEMOCIP0", sale(100), RemoveCard,
			[]string{"PRESENT_CARD", "PLEASE_WAIT", "PIN_ENTRY", "CANCELLING", "REMOVE_CARD", "ended CANCELLED"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := open(t, Options{})
			d := connect(t, p, c.tid)
			until := make(chan struct{})
			d.m.Script(Script{HoldAt: c.holdAt, Until: until})
			d.start("r", c.req)
			d.notified(c.holdAt)
			d.cancel("r")
			d.cancel("r")
			if c.want[len(c.want)-1] != "ended CANCELLED" {
				d.notified(txn.UnableToCancel)
			}
			d.cancel("r") // repeats are answered and change nothing
			d.cancel("unknown")
			close(until)
			o := d.ended("r")
			d.cancel("r")
			if diff := cmp.Diff(c.want, names(d.heard())); diff != "" {
				t.Error(diff)
			}
			checkBooks(t, p, map[txn.TransactionID]txn.Outcome{o.TransactionID: o})
			if o := d.perform("next", sale(100)); o.Number != "0002" {
				t.Errorf("the next one is %+v", o)
			}
		})
	}
}

// A wish that comes when everything is over but the telling is answered too.
func TestCancelInTheLastInstant(t *testing.T) {
	for result, want := range map[txn.Result][]string{
		txn.Declined:  {"UNABLE_TO_CANCEL", "ended DECLINED"},
		txn.Cancelled: {"ended CANCELLED"},
	} {
		d := connect(t, open(t, Options{}), "VCMDEMOSIP0")
		r := newRun(ctx, d.m, current{ID: "r"}, Script{})
		r.wish <- struct{}{}
		r.finish(result)
		r.off()
		if diff := cmp.Diff(want, names(d.heard())); diff != "" {
			t.Error(diff)
		}
	}
}

func TestSignature(t *testing.T) {
	for _, c := range []struct {
		name     string
		kind     txn.Type
		accepted bool
		result   txn.Result
		becomes  txn.Type
	}{
		{"accepted", txn.Sale, true, txn.Successful, txn.Sale},
		{"rejected", txn.Sale, false, txn.Void, txn.SaleReversal},
		{"refund accepted", txn.Refund, true, txn.Successful, txn.Refund},
		{"refund rejected", txn.Refund, false, txn.Void, txn.RefundReversal},
		{"pre-auth rejected", txn.PreAuth, false, txn.Void, txn.PreAuth},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := open(t, Options{})
			d := connect(t, p, "VCMDEMOSIS0")
			d.start("r", txn.Request{Type: c.kind, Currency: money.GBP, Amount: 900})
			w := d.wanted("r")
			if w.Type != c.kind || w.AuthCode == "" || w.Method != txn.MethodChip || !strings.HasPrefix(w.PAN, "***") ||
				!strings.Contains(receipt.Plain(w.Merchant), "SIGN BELOW") {
				t.Errorf("wish %+v", w)
			}
			d.cancel("r")
			d.notified(txn.UnableToCancel)
			if a := d.query("r"); a.Kind != terminal.InProgress {
				t.Errorf("query: %v", a.Kind)
			}
			d.answer("r", c.accepted)
			d.answer("r", c.accepted) // told anew
			o := d.ended("r")
			d.answer("r", c.accepted)
			if o.Result != c.result || o.Type != c.becomes || o.AuthCode != w.AuthCode || o.CVM != txn.CVMSignature {
				t.Errorf("got %+v", o)
			}
			checkReceipts(t, o)
			checkBooks(t, p, map[txn.TransactionID]txn.Outcome{o.TransactionID: o})
		})
	}
}

func TestAnswerToNothing(t *testing.T) {
	p := open(t, Options{})
	d := connect(t, p, "VCMDEMOSIS0")
	if err := d.AnswerSignature(ctx, "r", true); err == nil {
		t.Error("an answer about an unknown request was taken")
	}
	until := make(chan struct{})
	d.m.Script(Script{HoldAt: Approved, Until: until})
	d.start("r", sale(100))
	d.notified(Approved)
	if err := d.AnswerSignature(ctx, "r", true); err == nil {
		t.Error("an answer before the question was taken")
	}
	close(until)
	d.wanted("r")
	d.answer("r", true)
	d.ended("r")
}

// A gateway that is lost while the cashier decides: the machine accepts.
func TestSignatureLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, Options{})
		d := connect(t, p, "VCMDEMOSIS0")
		d.start("r", sale(100))
		d.wanted("r")
		d.m.CutLink()
		time.Sleep(terminal.SignatureLimit - time.Nanosecond)
		synctest.Wait()
		if d.running() == nil {
			t.Error("gave up before the limit")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		d.m.RestoreLink()
		if o := d.ended("r"); o.Result != txn.Successful {
			t.Errorf("result %s", o.Result)
		}
	})
}

func TestHumanPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, Options{Speed: 2})
		d := connect(t, p, "VCMDEMOSIP2")
		began := time.Now()
		d.start("r", sale(100))
		d.ended("r")
		steps := gratuityTakes + presentTakes + waitTakes + pinTakes + connectingTakes + connectedTakes + answerTakes + verdictTakes + removeTakes
		if got := time.Since(began); got != steps/2 {
			t.Errorf("took %v, want %v", got, steps/2)
		}
		r := d.print("x", report.XBalance)
		if want := began.Add(steps/2 + printTakes/2).UTC(); !r.Time.Equal(want) {
			t.Errorf("report at %v, want %v", r.Time, want)
		}
	})
}

func TestMuteAtHumanPace(t *testing.T) {
	for _, c := range []struct {
		name       string
		notPresent bool
		options    time.Duration
		want       time.Duration
	}{
		{"by the contract", false, 0, muteFor},
		{"cardholder not present", true, 0, muteForNotPresent},
		{"by the site", false, 20 * time.Second, 20 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := open(t, Options{Speed: 1, MuteFor: c.options})
				d := connect(t, p, "VCMDEMOTIP0")
				began := time.Now()
				r := sale(100)
				r.CardholderNotPresent = c.notPresent
				d.start("r", r)
				time.Sleep(c.want - time.Nanosecond)
				synctest.Wait()
				d.cancel("r") // it hears nothing
				if a := d.query("r"); a.Kind != terminal.CannotTell {
					t.Errorf("mute: %v", a.Kind)
				}
				if err := d.Start(ctx, terminal.Request{ID: "s", Txn: sale(1)}); !errors.Is(err, terminal.ErrBusy) {
					t.Errorf("mute machine took a start: %v", err)
				}
				d.until(func(e terminal.Event) bool { return e == terminal.StatusChanged{} })
				if got := time.Since(began); got != c.want {
					t.Errorf("mute for %v, want %v", got, c.want)
				}
				want := []string{"PRESENT_CARD", "PLEASE_WAIT", "PIN_ENTRY", "status busy=false"}
				if c.notPresent {
					want = []string{"PLEASE_WAIT", "status busy=false"}
				}
				if diff := cmp.Diff(want, names(d.heard())); diff != "" {
					t.Error(diff)
				}
				if a := d.query("r"); a.Kind != terminal.CannotTell {
					t.Errorf("afterwards: %v", a.Kind)
				}
				d.m.Script(Script{Result: txn.Successful})
				if o := d.perform("s", sale(1)); o.Result != txn.Successful {
					t.Errorf("afterwards: %+v", o)
				}
			})
		})
	}
}

func TestCashback(t *testing.T) {
	for tid, granted := range map[txn.TID]money.Minor{
		"VCMDEMOSIP0": 500, "VCMDEMOSIS0": 0, "VCMDEMOSIN0": 0, "VCMDEMOSCD0": 0, "VCMDEMOSCP0": 0, "VCMDEMOSSP0": 0, "VCMDEMOSKP0": 0,
	} {
		p := open(t, Options{})
		d := connect(t, p, tid)
		r := sale(1000)
		r.Cashback = 500
		o := d.perform("r", r)
		if o.Result != txn.Successful || o.Cashback != granted || o.Total() != 1000+granted {
			t.Errorf("%s: %+v", tid, o)
		}
		if got := slices.Contains(names(d.heard()), "ENTER_CASHBACK"); got != (granted > 0) {
			t.Errorf("%s: ENTER_CASHBACK %v", tid, got)
		}
		checkBooks(t, p, map[txn.TransactionID]txn.Outcome{o.TransactionID: o})
	}
}

func TestGratuityStaysInRange(t *testing.T) {
	p := open(t, Options{})
	d := connect(t, p, "VCMDEMOSIP2")
	for i, c := range []struct{ amount, want money.Minor }{{9, 0}, {10, 1}, {1999, 199}, {maxTotal, 0}, {maxTotal - 5, 5}} {
		if o := d.perform(txn.RequestID(fmt.Sprint(i)), sale(c.amount)); o.Gratuity != c.want {
			t.Errorf("of %d: %d, want %d", c.amount, o.Gratuity, c.want)
		}
	}
	if o := d.perform("refund", txn.Request{Type: txn.Refund, Currency: money.GBP, Amount: 1000}); o.Gratuity != 0 {
		t.Errorf("a refund has gratuity %d", o.Gratuity)
	}
}

func TestRefusals(t *testing.T) {
	with := func(r txn.Request, f func(*txn.Request)) terminal.Request {
		f(&r)
		return terminal.Request{ID: "r", Txn: r}
	}
	euro := sale(100)
	euro.Currency = money.EUR
	for _, c := range []struct {
		name string
		tid  txn.TID
		r    terminal.Request
	}{
		{"other currency", "VCMDEMOSIP0", terminal.Request{ID: "r", Txn: euro}},
		{"nothing to take", "VCMDEMOSIP0", terminal.Request{ID: "r", Txn: sale(0)}},
		{"less than nothing", "VCMDEMOSIP0", terminal.Request{ID: "r", Txn: sale(-1)}},
		{"too much", "VCMDEMOSIP0", terminal.Request{ID: "r", Txn: sale(maxTotal + 1)}},
		{"too much with cashback", "VCMDEMOSIP0", with(sale(maxTotal), func(r *txn.Request) { r.Cashback = 1 })},
		{"overflow", "VCMDEMOSIP0", with(sale(1<<62), func(r *txn.Request) { r.Cashback = 1 << 62 })},
		{"cashback on a refund", "VCMDEMOSIP0", with(sale(100), func(r *txn.Request) { r.Type, r.Cashback = txn.Refund, 1 })},
		{"unknown type", "VCMDEMOSIP0", with(sale(100), func(r *txn.Request) { r.Type = txn.Logon })},
		{"completion without a code", "VCMDEMOSIP0", with(sale(100), func(r *txn.Request) { r.Type = txn.Completion })},
		{"older: cashback", "VCMDEMOSIP1", with(euro, func(r *txn.Request) { r.Cashback = 100 })},
		{"older: pre-auth", "VCMDEMOSIP1", with(euro, func(r *txn.Request) { r.Type = txn.PreAuth })},
		{"older: account verification", "VCMDEMOSIP1", with(euro, func(r *txn.Request) { r.Type, r.Amount = txn.AccountVerification, 0 })},
		{"older: not present", "VCMDEMOSIP1", with(euro, func(r *txn.Request) { r.CardholderNotPresent = true })},
		{"older: report", "VCMDEMOSIP1", terminal.Request{ID: "r", Report: report.XBalance}},
		{"unknown report", "VCMDEMOSIP0", terminal.Request{ID: "r", Report: "Y"}},
		{"no id", "VCMDEMOSIP0", terminal.Request{Txn: sale(100)}},
		{"an id that breaks a line", "VCMDEMOSIP0", terminal.Request{ID: "a\nb", Txn: sale(100)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := open(t, Options{})
			d := connect(t, p, c.tid)
			var refused *terminal.RefusedError
			if err := d.Start(ctx, c.r); !errors.As(err, &refused) || refused.UserMessage == "" || refused.Reason == "" {
				t.Errorf("got %v", err)
			}
			if got := d.heard(); len(got) != 0 {
				t.Errorf("heard %v", names(got))
			}
		})
	}
	t.Run("older: duplicate", func(t *testing.T) {
		d := connect(t, open(t, Options{}), "VCMDEMOSIP1")
		d.perform("r", euro)
		var refused *terminal.RefusedError
		if _, err := d.Last(ctx); !errors.As(err, &refused) {
			t.Errorf("got %v", err)
		}
	})
}

func TestCapabilities(t *testing.T) {
	p := open(t, Options{})
	older := connect(t, p, "VCMDEMOSIP1").Capabilities()
	newer := connect(t, p, "VCMDEMOSIP0").Capabilities()
	if older.Memory == "" || older.Memory == newer.Memory {
		t.Errorf("memories %q and %q", older.Memory, newer.Memory)
	}
	older.Memory, newer.Memory = "", ""
	want := terminal.Capabilities{
		Currency: money.EUR, Model: "Desk/5000", Software: "9052", Types: []txn.Type{txn.Sale, txn.Refund}, CancelAllowed: true,
	}
	if diff := cmp.Diff(want, older); diff != "" {
		t.Error(diff)
	}
	want = terminal.Capabilities{
		Currency: money.GBP, Model: "Desk/5000", Software: "9053", Types: txn.RequestTypes(), Reports: report.Types(),
		Duplicate: true, Cashback: true, NotPresent: true, CancelAllowed: true,
	}
	if diff := cmp.Diff(want, newer); diff != "" {
		t.Error(diff)
	}
}

func preAuth(amount money.Minor) txn.Request {
	return txn.Request{Type: txn.PreAuth, Currency: money.GBP, Amount: amount}
}

func completion(amount money.Minor, code string) txn.Request {
	return txn.Request{Type: txn.Completion, Currency: money.GBP, Amount: amount, AuthCode: code}
}

func TestPreAuthAndCompletion(t *testing.T) {
	p := open(t, Options{})
	d := connect(t, p, "VCMDEMOSIP0")
	n := 0
	do := func(r txn.Request, want txn.Result, s ...Script) txn.Outcome {
		t.Helper()
		n++
		d.m.Script(s...)
		o := d.perform(txn.RequestID(fmt.Sprint(n)), r)
		if o.Result != want {
			t.Errorf("%s of %d with code %q: %s, want %s", r.Type, r.Amount, r.AuthCode, o.Result, want)
		}
		return o
	}
	first := do(preAuth(5000), txn.Successful)
	more := do(preAuth(2000), txn.Successful, Script{SameCard: true})
	if more.PAN != first.PAN || more.AuthCode == first.AuthCode {
		t.Errorf("the second pre-auth is %+v after %+v", more, first)
	}
	other := do(preAuth(9000), txn.Successful) // another cardholder
	if other.PAN == first.PAN {
		t.Errorf("the same card came without being told to")
	}
	do(completion(100, "000000"), txn.Declined)
	do(completion(100, more.AuthCode), txn.Declined)                                     // not the first one's
	do(completion(7001, first.AuthCode), txn.Declined)                                   // more than was held
	do(completion(100, first.AuthCode), txn.Declined, Script{Result: txn.Declined})      // the issuer says no
	rejected := do(completion(7000, first.AuthCode), txn.Void, Script{Result: txn.Void}) // reversed: held again
	if rejected.PAN != first.PAN {
		t.Errorf("another card came to the completion")
	}
	done := do(completion(7000, strings.ToLower(first.AuthCode)), txn.Successful)
	if done.PAN != first.PAN || done.Total() != 7000 {
		t.Errorf("completed %+v", done)
	}
	do(completion(1, first.AuthCode), txn.Declined) // nothing is held any more
}

// A completion with the code of another cardholder's card.
func TestCompletionOnAnotherCard(t *testing.T) {
	p := open(t, Options{})
	d := connect(t, p, "VCMDEMOSIP0")
	first := d.perform("1", preAuth(5000))
	second := d.perform("2", preAuth(5000))
	d.m.Script(Script{SameCard: true})
	if o := d.perform("3", completion(100, first.AuthCode)); o.PAN != second.PAN || o.Result != txn.Declined {
		t.Errorf("got %+v", o)
	}
	if o := d.perform("4", completion(5000, first.AuthCode)); o.Result != txn.Successful {
		t.Errorf("got %+v", o)
	}
}

// What is held in one currency completes nothing in another.
func TestHeldInAnotherCurrency(t *testing.T) {
	p := open(t, Options{})
	hold := Charge{TID: "VCMDEMOSIP0", TransactionID: "1", Type: txn.PreAuth, Currency: money.EUR, Amount: 100}
	code, approved, err := p.bank.authorise(hold, cardID{}, "")
	if err != nil || !approved {
		t.Fatal(approved, err)
	}
	for c, want := range map[money.Currency]bool{money.GBP: false, money.EUR: true} {
		if _, approved, err := p.bank.authorise(Charge{TID: "VCMDEMOSIP0", TransactionID: "in " + txn.TransactionID(c), Type: txn.Completion, Currency: c, Amount: 100}, cardID{}, code); err != nil || approved != want {
			t.Errorf("%s: approved %v, %v", c, approved, err)
		}
	}
	if _, _, err := p.bank.authorise(hold, cardID{}, ""); err == nil {
		t.Error("the same transaction was authorised twice")
	}
}

func TestAccountVerification(t *testing.T) {
	p := open(t, Options{})
	d := connect(t, p, "VCMDEMOSIP2")
	o := d.perform("r", txn.Request{Type: txn.AccountVerification, Currency: money.GBP, Amount: 0})
	if o.Result != txn.Successful || o.Type != txn.AccountVerification || o.Total() != 0 || o.AuthCode == "" {
		t.Errorf("got %+v", o)
	}
	if strings.Contains(receipt.Plain(o.Receipts.Customer), "TOTAL") {
		t.Error("the receipt names an amount")
	}
	if got := p.Charges(); len(got) != 0 {
		t.Errorf("charged %+v", got)
	}
}

func TestCardholderNotPresent(t *testing.T) {
	p := open(t, Options{})
	d := connect(t, p, "VCMDEMOSIS0")
	r := sale(100)
	r.CardholderNotPresent = true
	o := d.perform("r", r)
	if o.Method != txn.MethodKeyed || o.CVM != txn.CVMNone || o.AID != "" || o.Result != txn.Successful {
		t.Errorf("got %+v", o)
	}
	want := []string{"PLEASE_WAIT", "CONNECTING", "CONNECTION_MADE", "REQUEST_SENT", "APPROVED", "ended SUCCESSFUL"}
	if diff := cmp.Diff(want, names(d.heard())); diff != "" {
		t.Error(diff)
	}
}

func TestLast(t *testing.T) {
	p := open(t, Options{})
	d := connect(t, p, "VCMDEMOSIP0")
	if _, err := d.Last(ctx); !errors.Is(err, terminal.ErrNoLast) {
		t.Errorf("without a transaction: %v", err)
	}
	d.perform("1", sale(100))
	d.m.Script(Script{Result: txn.Declined})
	o := d.perform("2", sale(200))
	d.print("x", report.XBalance)
	last, err := d.Last(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if last.ID != "2" || !txn.Same(last.Outcome, o) || len(last.Outcome.Receipts.Merchant) != 0 {
		t.Errorf("last is %+v", last)
	}
	lines := last.Outcome.Receipts.Customer
	if strings.TrimSpace(lines[0].Value) != "DUPLICATE" {
		t.Errorf("headed %q", lines[0].Value)
	}
	if diff := cmp.Diff(o.Receipts.Customer, lines[1:]); diff != "" {
		t.Error(diff)
	}
}

func TestBusyAndIdempotence(t *testing.T) {
	p := open(t, Options{})
	d := connect(t, p, "VCMDEMOSIP0")
	until := make(chan struct{})
	d.m.Script(Script{HoldAt: PresentCard, Until: until})
	d.start("1", sale(100))
	d.start("1", sale(100))
	if err := d.Start(ctx, terminal.Request{ID: "2", Txn: sale(100)}); !errors.Is(err, terminal.ErrBusy) {
		t.Errorf("a second start: %v", err)
	}
	if err := d.Start(ctx, terminal.Request{ID: "3", Report: report.XBalance}); !errors.Is(err, terminal.ErrBusy) {
		t.Errorf("a report: %v", err)
	}
	var refused *terminal.RefusedError
	if err := d.Start(ctx, terminal.Request{ID: "1", Txn: sale(101)}); !errors.As(err, &refused) {
		t.Errorf("the same id with another amount: %v", err)
	}
	close(until)
	d.ended("1")
	d.start("1", sale(100))
	d.perform("2", sale(100)) // what was refused as busy may be asked anew
	d.start("1", sale(100))
	if got := len(p.Charges()); got != 2 {
		t.Errorf("%d charges, want 2", got)
	}
}

func TestFence(t *testing.T) {
	p := open(t, Options{Dir: t.TempDir()})
	d := connect(t, p, "VCMDEMOSIP0")
	d.perform("1", sale(100))
	for range 2 {
		if a := d.query("never"); a.Kind != terminal.NeverRan {
			t.Errorf("query: %v", a.Kind)
		}
	}
	again := reopen(t, p)
	d = connect(t, again, "VCMDEMOSIP0")
	var refused *terminal.RefusedError
	if err := d.Start(ctx, terminal.Request{ID: "never", Txn: sale(100)}); !errors.As(err, &refused) {
		t.Errorf("a fenced request: %v", err)
	}
	if a := d.query("another"); a.Kind != terminal.NeverRan {
		t.Errorf("after a restart: %v", a.Kind)
	}
	if got := len(again.Charges()); got != 1 {
		t.Errorf("%d charges, want 1", got)
	}
}

// A machine without a memory may have run what it is asked about before it
// takes anything new.
func TestWithoutMemory(t *testing.T) {
	p := open(t, Options{})
	d := connect(t, p, "VCMDEMOSIP0")
	for range 2 {
		if a := d.query("earlier"); a.Kind != terminal.CannotTell {
			t.Errorf("query: %v", a.Kind)
		}
	}
	d.perform("1", sale(100))
	if a := d.query("earlier"); a.Kind != terminal.CannotTell {
		t.Errorf("later: %v", a.Kind)
	}
	var refused *terminal.RefusedError
	if err := d.Start(ctx, terminal.Request{ID: "earlier", Txn: sale(100)}); err == nil || errors.As(err, &refused) || errors.Is(err, terminal.ErrNotDelivered) {
		t.Errorf("start: %v", err)
	}
	if a := d.query("later"); a.Kind != terminal.NeverRan {
		t.Errorf("query: %v", a.Kind)
	}
}

func TestLinks(t *testing.T) {
	p := open(t, Options{})
	older := connect(t, p, "VCMDEMOSIS0")
	until := make(chan struct{})
	older.m.Script(Script{HoldAt: Approved, Until: until})
	older.start("r", sale(100))
	older.notified(Approved)
	newer := connect(t, p, "vcmdemosis0")
	if newer.m != older.m {
		t.Fatal("two machines of one name")
	}
	if err := older.Start(ctx, terminal.Request{ID: "s", Txn: sale(1)}); !errors.Is(err, terminal.ErrNotDelivered) {
		t.Errorf("a start in the older link: %v", err)
	}
	if _, err := older.Query(ctx, "r"); err == nil {
		t.Error("a query in the older link was answered")
	}
	close(until)
	newer.wanted("r")
	again := connect(t, p, "VCMDEMOSIS0")
	again.wanted("r")
	again.answer("r", true)
	o := again.ended("r")
	last := connect(t, p, "VCMDEMOSIS0") // not acknowledged: told once more
	if got := last.ended("r"); !txn.Same(got, o) {
		t.Errorf("told again: %+v, want %+v", got, o)
	}
	for name, c := range map[string]struct {
		d    *desk
		want []string
	}{
		"older": {older, []string{"PRESENT_CARD", "PLEASE_WAIT", "CONNECTING", "CONNECTION_MADE", "REQUEST_SENT", "APPROVED"}},
		"newer": {newer, []string{"came back restarted=false", "REMOVE_CARD", "signature wanted"}},
		"again": {again, []string{"came back restarted=false", "signature wanted", "ended SUCCESSFUL"}},
		"last":  {last, []string{"came back restarted=false", "ended SUCCESSFUL"}},
	} {
		if diff := cmp.Diff(c.want, names(c.d.heard())); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if err := last.Acknowledge(ctx, "r"); err != nil {
		t.Fatal(err)
	}
	quiet := connect(t, p, "VCMDEMOSIS0")
	if diff := cmp.Diff([]string{"came back restarted=false"}, names(quiet.heard())); diff != "" {
		t.Error(diff)
	}
}

// A machine that is linked anew without power has its cable in once it wakes,
// also where it was pulled before.
func TestLinkedInTheDark(t *testing.T) {
	p := open(t, Options{})
	older := connect(t, p, "VCMDEMOSIP0")
	older.perform("1", sale(100))
	older.m.SwitchOff()
	older.m.CutLink()
	newer := connect(t, p, "VCMDEMOSIP0")
	if err := newer.m.SwitchOn(); err != nil {
		t.Fatal(err)
	}
	if o := newer.perform("2", sale(200)); o.Result != txn.Successful {
		t.Errorf("the next sale: %+v", o)
	}
}

// What still lay in an older link comes over no link.
func TestEventsOfAnOlderLink(t *testing.T) {
	p := open(t, Options{})
	older := connect(t, p, "VCMDEMOSIP0")
	older.m.mu.Lock()
	older.m.enqueue(terminal.Notified{ID: "r", Value: PleaseWait})
	older.m.mu.Unlock()
	newer := connect(t, p, "VCMDEMOSIP0")
	if got := older.heard(); len(got) != 0 {
		t.Errorf("older: %v", names(got))
	}
	if diff := cmp.Diff([]string{"came back restarted=false"}, names(newer.heard())); diff != "" {
		t.Error(diff)
	}
}

func TestCutLink(t *testing.T) {
	p := open(t, Options{})
	d := connect(t, p, "VCMDEMOSIP0")
	until := make(chan struct{})
	d.m.Script(Script{HoldAt: PINEntry, Until: until})
	d.start("r", sale(100))
	d.notified(PINEntry)
	d.m.CutLink()
	d.m.CutLink()
	if err := d.Start(ctx, terminal.Request{ID: "s", Txn: sale(1)}); !errors.Is(err, terminal.ErrNotDelivered) {
		t.Errorf("start: %v", err)
	}
	for name, err := range map[string]error{
		"cancel": d.Cancel(ctx, "r"), "answer": d.AnswerSignature(ctx, "r", true), "acknowledge": d.Acknowledge(ctx, "r"),
	} {
		if err == nil {
			t.Errorf("%s went through", name)
		}
	}
	done := d.running().done
	close(until)
	<-done
	d.m.RestoreLink()
	d.m.RestoreLink()
	want := []string{"PRESENT_CARD", "PLEASE_WAIT", "PIN_ENTRY", "went away", "came back restarted=false", "ended SUCCESSFUL"}
	if diff := cmp.Diff(want, names(d.heard())); diff != "" {
		t.Error(diff)
	}
}

func TestLostReply(t *testing.T) {
	p := open(t, Options{})
	d := connect(t, p, "VCMDEMOSIP0")
	d.m.Script(Script{LoseReply: true})
	err := d.Start(ctx, terminal.Request{ID: "r", Txn: sale(100)})
	var refused *terminal.RefusedError
	if err == nil || errors.Is(err, terminal.ErrNotDelivered) || errors.Is(err, terminal.ErrBusy) || errors.As(err, &refused) {
		t.Errorf("got %v", err)
	}
	if o := d.ended("r"); o.Result != txn.Successful {
		t.Errorf("got %+v", o)
	}
}

func TestCallThatWasGivenUp(t *testing.T) {
	p := open(t, Options{})
	d := connect(t, p, "VCMDEMOSIP0")
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if err := d.Start(gone, terminal.Request{ID: "r", Txn: sale(100)}); !errors.Is(err, terminal.ErrNotDelivered) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	d.perform("r", sale(100))
}

// Power lost at each notification of each kind of transaction.
func TestPowerCycle(t *testing.T) {
	for _, c := range []struct {
		tid    txn.TID
		holdAt txn.Notification
		want   txn.Result
	}{
		{"VCMDEMOSIP0", PresentCard, txn.Unsuccessful},
		{"VCMDEMOSIP0", PINEntry, txn.Unsuccessful},
		{"VCMDEMOSIP0", RequestSent, txn.Unsuccessful},
		{"VCMDEMOSIP0", Approved, txn.Successful},
		{"VCMDEMOSIP0", RemoveCard, txn.Successful},
		{"VCMDEMOVIP0", DeclinedByCard, txn.Void},
		{"VCMDEMODIP0", Declined, txn.Unsuccessful},
		{"VCMDEMOSIS0", Approved, txn.Void},
		{"VCMDEMOCIP0", RemoveCard, txn.Unsuccessful},
	} {
		t.Run(string(c.tid)+" "+string(c.holdAt), func(t *testing.T) {
			p := open(t, Options{})
			d := connect(t, p, c.tid)
			d.m.Script(Script{HoldAt: c.holdAt})
			d.start("r", sale(100))
			d.notified(c.holdAt)
			if err := d.m.PowerCycle(); err != nil {
				t.Fatal(err)
			}
			o := d.ended("r")
			if o.Result != c.want {
				t.Errorf("result %s, want %s", o.Result, c.want)
			}
			checkReceipts(t, o)
			checkBooks(t, p, map[txn.TransactionID]txn.Outcome{o.TransactionID: o})
			got := names(d.heard())
			if want := []string{"went away", "came back restarted=true", "ended " + string(c.want)}; !slices.Equal(got[len(got)-3:], want) {
				t.Errorf("heard %v", got)
			}
			d.perform("next", sale(100))
		})
	}
	t.Run("while a signature is wanted", func(t *testing.T) {
		p := open(t, Options{})
		d := connect(t, p, "VCMDEMOSIS0")
		d.start("r", sale(100))
		d.wanted("r")
		if err := d.m.PowerCycle(); err != nil {
			t.Fatal(err)
		}
		if o := d.ended("r"); o.Result != txn.Void || o.Type != txn.SaleReversal {
			t.Errorf("got %+v", o)
		}
	})
	t.Run("mute", func(t *testing.T) {
		p := open(t, Options{Speed: 1e6, MuteFor: time.Hour})
		d := connect(t, p, "VCMDEMOTCN0")
		d.start("r", sale(100))
		d.notified(PleaseWait)
		for d.query("r").Kind != terminal.CannotTell {
		}
		if err := d.m.PowerCycle(); err != nil {
			t.Fatal(err)
		}
		d.m.Script(Script{Result: txn.Successful})
		d.perform("s", sale(100))
	})
	t.Run("a report", func(t *testing.T) {
		p := open(t, Options{})
		d := connect(t, p, "VCMDEMOSIP0")
		d.perform("1", sale(100))
		d.m.Script(Script{Until: make(chan struct{})})
		if err := d.Start(ctx, terminal.Request{ID: "z", Report: report.ZBalance}); err != nil {
			t.Fatal(err)
		}
		d.cancel("z") // a report is not cancelled
		if a := d.query("z"); a.Kind != terminal.InProgress {
			t.Errorf("query: %v", a.Kind)
		}
		if err := d.m.PowerCycle(); err != nil {
			t.Fatal(err)
		}
		if a := d.query("z"); a.Kind != terminal.NeverRan {
			t.Errorf("query: %v", a.Kind)
		}
		if r := d.print("x", report.XBalance); r.Balances.SalesCount != 1 {
			t.Errorf("the report that was not made has reset the totals: %+v", r.Balances)
		}
	})
}

func TestMemoryThatCannotBeWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sim")
	p := open(t, Options{Dir: dir})
	d := connect(t, p, "VCMDEMOSIP0")
	d.perform("1", sale(100))
	until := make(chan struct{})
	d.m.Script(Script{HoldAt: PINEntry, Until: until})
	d.start("2", sale(200))
	d.notified(PINEntry)
	if err := os.Rename(dir, dir+"-gone"); err != nil {
		t.Fatal(err)
	}
	close(until)
	d.until(func(e terminal.Event) bool { return e == terminal.WentAway{} })
	if err := d.Start(ctx, terminal.Request{ID: "3", Txn: sale(300)}); !errors.Is(err, terminal.ErrNotDelivered) {
		t.Errorf("start: %v", err)
	}
	if again := connect(t, p, "VCMDEMOSIP0"); len(again.heard()) != 0 {
		t.Errorf("a machine that cannot remember says %v", names(again.heard()))
	}
	if err := os.Rename(dir+"-gone", dir); err != nil {
		t.Fatal(err)
	}
	d = connect(t, p, "VCMDEMOSIP0")
	if o := d.ended("2"); o.Result != txn.Unsuccessful {
		t.Errorf("result %s", o.Result)
	}
	d.perform("3", sale(300))
	var sum money.Minor
	for _, c := range p.Charges() {
		if !c.Reversed {
			sum += c.Amount
		}
	}
	if sum != 400 {
		t.Errorf("taken %d, want 400", sum)
	}
}

// Machines do not wait for each other, and the books have all of them.
func TestManyMachines(t *testing.T) {
	p := open(t, Options{Dir: t.TempDir()})
	t.Run("all", func(t *testing.T) {
		for _, tail := range []string{"SIP0", "SCD0", "SSN0", "SKN0", "VIP0", "DIP0"} {
			t.Run(tail, func(t *testing.T) {
				t.Parallel()
				d := connect(t, p, txn.TID("VCMDEMO"+tail))
				for i := range 5 {
					d.perform(txn.RequestID(fmt.Sprint(tail, i)), sale(100))
				}
			})
		}
	})
	stands, reversed := 0, 0
	for _, c := range p.Charges() {
		if c.Reversed {
			reversed++
		} else {
			stands++
		}
	}
	if stands != 20 || reversed != 5 {
		t.Errorf("%d charges stand and %d are reversed, want 20 and 5", stands, reversed)
	}
}

func TestMachines(t *testing.T) {
	p := open(t, Options{Account: "Acme"})
	want := []txn.TID{
		"VCMACMESIP0", "VCMACMEDIP0", "VCMACMEUIP0", "VCMACMETIP0", "VCMACMESCD0", "VCMACMESIS0", "VCMACMEVIS0", "VCMACMECIP0", "VCMACMESIP1",
	}
	if diff := cmp.Diff(want, p.Listed()); diff != "" {
		t.Error(diff)
	}
	for _, tid := range want {
		if m, ok := p.Machine(txn.TID(strings.ToLower(string(tid)))); !ok || m.TID() != tid {
			t.Errorf("%s: %v", tid, ok)
		}
	}
	for _, tid := range []txn.TID{"", "12345678", "VCMDEMOSIP0", "VCMACMEXIP0", "VCMACMESXP0", "VCMACMESIX0", "VCMACMESIPA", "VCMACMESIP00", "VCMACM1SIP0", "VCMACMESİP0"} {
		if _, ok := p.Machine(tid); ok {
			t.Errorf("%q exists", tid)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, o := range map[string]Options{
		"account": {Account: "DEMO1"}, "speed": {Speed: -1},
	} {
		if _, err := Open(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for file, text := range map[string]string{
		"VCMDEMOSIP0.json": "{", "VCMDEMOSIP2.json": "{}", "acquirer.log": "x\n",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestClosed(t *testing.T) {
	p := open(t, Options{})
	d := connect(t, p, "VCMDEMOSIP0")
	d.m.Script(Script{HoldAt: PINEntry})
	d.start("r", sale(100))
	d.notified(PINEntry)
	shut(t, p)
	shut(t, p)
	if err := d.Start(ctx, terminal.Request{ID: "s", Txn: sale(1)}); !errors.Is(err, terminal.ErrNotDelivered) {
		t.Errorf("start: %v", err)
	}
}
