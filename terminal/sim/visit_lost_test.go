package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// is reports whether an event is one of visits, by the first of its words.
func is(e terminal.Event, word string) bool {
	return strings.HasPrefix(words([]terminal.Event{e})[0], word)
}

// The link goes just when something was told, before it is heard of or after it
// was answered, and comes back while the waiter waits or when he is gone.
func TestLinkCutInVisit(t *testing.T) {
	for _, c := range []struct {
		at       string
		heard    bool
		gone     bool // it stays away longer than the waiter
		end      VisitEnd
		paid     money.Minor
		untaken  bool // a payment ends without a charge
		messages int  // noAnswer on the screen
	}{
		{"tables", false, false, EndOffline, 0, false, 1},
		{"tables", true, false, EndPaid, 4550, false, 0},
		{"tables", true, true, EndOffline, 0, false, 1},
		{"table 12", false, false, EndOffline, 0, false, 1},
		{"table 12", true, false, EndPaid, 4550, false, 1}, // the bill is not printed
		{"table 12", true, true, EndOffline, 0, true, 2},
		{"bill", false, false, EndPaid, 4550, false, 1},
		{"bill", true, true, EndOffline, 0, true, 1},
		{"started", false, false, EndPaid, 4550, false, 0},
		{"started", true, false, EndPaid, 4550, false, 0},
		{"started", false, true, EndOffline, 0, true, 1},
		{"started", true, true, EndPartPaid, 2275, false, 1},
		{"ended", false, false, EndPaid, 4550, false, 0},
		{"ended", true, false, EndPaid, 4550, false, 0},
		{"ended", false, true, EndPartPaid, 2275, false, 1},
		{"ended", true, true, EndPartPaid, 2275, true, 1},
		{"left", false, false, EndPaid, 4550, false, 0},
		{"left", true, true, EndPaid, 4550, false, 0},
		{"left", false, true, EndPaid, 4550, false, 0},
	} {
		t.Run(fmt.Sprintf("%s heard=%v gone=%v", c.at, c.heard, c.gone), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := open(t, Options{Dir: t.TempDir(), Speed: 100})
				h := newHall(t, p, "VCMDEMOSIP0")
				var once sync.Once
				cut := func(e terminal.Event) bool {
					if is(e, c.at) {
						silent := false
						once.Do(func() {
							h.m.CutLink()
							silent = !c.heard
							if !c.gone {
								time.AfterFunc(5*time.Second, h.m.RestoreLink)
							}
						})
						return silent
					}
					return false
				}
				if c.heard {
					h.after = func(e terminal.Event) { cut(e) }
				} else {
					h.first = cut
				}
				v := Visit{Waiter: "3", Table: "12", PrintBill: true, Split: 2, Tip: Tip{Amount: 100}}
				if c.at == "tables" && c.heard && !c.gone { // the waiter looks at the list meanwhile
					back := make(chan struct{})
					v.HoldAt, v.Until = StepList, back
					time.AfterFunc(6*time.Second, func() { close(back) })
				}
				got := h.visit(v)
				if c.gone {
					h.m.RestoreLink()
				} else {
					time.Sleep(6 * time.Second) // fake: it is back
				}
				synctest.Wait()
				if got.End != c.end || got.Paid != c.paid {
					t.Errorf("ended %s with %d paid, want %s and %d", got.End, got.Paid, c.end, c.paid)
				}
				untaken := slices.ContainsFunc(got.Payments, func(p VisitPayment) bool { return p.Result != txn.Successful })
				if untaken != c.untaken {
					t.Errorf("payments %+v", got.Payments)
				}
				messages := 0
				for _, s := range got.Steps {
					if s.Text == noAnswer {
						messages++
					}
				}
				if messages != c.messages {
					t.Errorf("%d times %q, want %d: %q", messages, noAnswer, c.messages, screen(got.Steps))
				}
				h.ok(p)
			})
		})
	}
}

// A card that is out is charged without the gateway, and that is told later.
func TestLinkCutWhileCharging(t *testing.T) {
	for _, at := range []txn.Notification{PresentCard, PINEntry, RequestSent, Approved, RemoveCard} {
		p := open(t, Options{})
		h := newHall(t, p, "VCMDEMOSIP0")
		until := make(chan struct{})
		text := strings.ReplaceAll(string(at), "_", " ")
		var got VisitResult
		var wait sync.WaitGroup
		there := make(chan struct{})
		wait.Go(func() {
			var err error
			got, err = h.m.Visit(ctx, Visit{Table: "12", Pay: []Card{{Script: Script{HoldAt: at, Until: until}}}}, func(s VisitStep) {
				if s.Text == text {
					close(there)
				}
			})
			if err != nil {
				t.Error(err)
			}
		})
		<-there
		v, pay := h.started()
		h.m.CutLink()
		if _, err := h.link.(terminal.Waiter).QueryPayment(ctx, v, pay); err == nil {
			t.Error("a query came through a cut link")
		}
		if err := h.link.(terminal.Waiter).AnswerTable(ctx, v, terminal.VisitClosed{}); err == nil {
			t.Error("an answer came through a cut link")
		}
		close(until)
		for len(h.charged(p)) == 0 {
			synctestless(t)
		}
		h.connect()
		wait.Wait()
		if got.End != EndPaid {
			t.Errorf("%s: %+v", at, got)
		}
		h.ok(p)
	}
}

// synctestless lets other goroutines go on in a test without fake time.
func synctestless(t *testing.T) {
	t.Helper()
	done := make(chan struct{})
	go close(done)
	<-done
}

func (h *hall) charged(p *Park) []Charge {
	return slices.DeleteFunc(p.Charges(), func(c Charge) bool { return c.Reversed || c.TID != h.m.TID() })
}

// Without a link no visit begins, and the gateway never hears of it.
func TestVisitOffline(t *testing.T) {
	p := open(t, Options{})
	h := newHall(t, p, "VCMDEMOSIP0")
	h.m.CutLink()
	got := h.visit(Visit{Table: "12"})
	if got.End != EndOffline || !slices.Contains(screen(got.Steps), "list: "+noAnswer) {
		t.Errorf("got %+v", got)
	}
	h.m.RestoreLink()
	if diff := cmp.Diff([]string{"went away", "came back restarted=false"}, words(h.heard())); diff != "" {
		t.Error(diff)
	}
	h.ok(p)
	m, _ := p.Machine("VCMDEMOSCD0") // never connected
	if got, err := m.Visit(ctx, Visit{Table: "12"}, nil); err != nil || got.End != EndOffline {
		t.Errorf("got %+v, %v", got, err)
	}
}

// What was asked for over a link that is gone is not waited for.
func TestQuestionLostWithLink(t *testing.T) {
	for _, at := range []string{"tables", "table", "bill"} {
		for name, lose := range map[string]func(*hall){
			"cut": func(h *hall) { h.m.CutLink() }, "another": func(h *hall) { h.connect() },
		} {
			t.Run(at+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := open(t, Options{})
					h := newHall(t, p, "VCMDEMOSIP0")
					h.first = func(e terminal.Event) bool {
						if is(e, at) {
							go lose(h)
							return true
						}
						return false
					}
					began := time.Now()
					got := h.visit(Visit{Table: "12", PrintBill: true, CancelAt: StepBill})
					if got.End == EndPaid || time.Since(began) != 0 {
						t.Errorf("%s after %v", got.End, time.Since(began))
					}
					h.m.CutLink()
					h.m.RestoreLink()
					h.free()
				})
			})
		}
	}
}

// A gateway that says nothing is given up after the limit, and no card is
// charged that it did not allow. What it has to know it is told again.
func TestSilentGateway(t *testing.T) {
	for at, c := range map[string]struct {
		end   VisitEnd
		waits int
		again []string
	}{
		"tables":  {EndOffline, 1, nil},
		"table":   {EndOffline, 1, nil},
		"bill":    {EndPaid, 1, nil},
		"started": {EndOffline, 1, nil},
		"ended":   {EndPartPaid, 1, []string{"ended taken=true", "left: left with a balance"}}, // in that order
		"left":    {EndPaid, 1, []string{"left: paid"}},
	} {
		t.Run(at, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := open(t, Options{})
				h := newHall(t, p, "VCMDEMOSIP0")
				h.first = func(e terminal.Event) bool {
					if !is(e, at) {
						return false
					}
					for _, a := range []terminal.TableAnswer{ // to another visit
						terminal.TableList{Tables: h.list},
						terminal.TableLock{Granted: true, Amount: 1, Currency: money.GBP},
						terminal.Bill{Lines: h.bill},
						terminal.VisitClosed{FinalReceipt: h.final},
					} {
						h.answer("v0", a)
					}
					return true
				}
				began := time.Now()
				got := h.visit(Visit{Table: "12", PrintBill: true, Split: 2})
				if took := time.Since(began); got.End != c.end || took != time.Duration(c.waits)*answerLimit {
					t.Errorf("%s after %v", got.End, took)
				}
				// What comes after the limit is taken and changes nothing.
				for _, e := range h.heard() {
					if s, ok := e.(terminal.PaymentStarted); ok && at == "started" {
						h.answer(s.Visit, terminal.PaymentAllowed{Payment: s.Payment})
						if a := h.query(s.Visit, s.Payment); a.Kind != terminal.Final || a.Taken {
							t.Errorf("query: %+v", a)
						}
						h.mu.Lock() // it did not listen; the machine said that nothing came of it
						h.first = nil
						h.mu.Unlock()
					}
				}
				h.first = nil
				n := len(h.heard())
				h.connect()
				want := append([]string{"came back restarted=false"}, c.again...)
				if diff := cmp.Diff(want, words(h.heard())[n:]); diff != "" {
					t.Error(diff)
				}
				h.ok(p)
			})
		})
	}
}

func TestPaymentQueries(t *testing.T) {
	p := open(t, Options{Dir: t.TempDir()})
	h := newHall(t, p, "VCMDEMOSIP0")
	if a := h.query("v0", "before"); a.Kind != terminal.CannotTell {
		t.Errorf("a machine without a memory says %v of the time before", a.Kind)
	}
	h.first = func(e terminal.Event) bool {
		s, ok := e.(terminal.PaymentStarted)
		if ok { // not allowed yet
			if a := h.query(s.Visit, s.Payment); a.Kind != terminal.InProgress {
				t.Errorf("started: %v", a.Kind)
			}
			if err := h.link.AnswerSignature(ctx, txn.RequestID(s.Payment), false); err == nil {
				t.Error("an answer on a signature was taken for a payment")
			}
			h.answer("v0", terminal.PaymentAllowed{Payment: s.Payment})         // another visit's
			h.answer(s.Visit, terminal.PaymentAllowed{Payment: "another"})      // another payment's
			h.answer(s.Visit, terminal.PaymentForbidden{Payment: "another"})    // another payment's
			h.answer("v0", terminal.PaymentForbidden{Payment: s.Payment})       // another visit's
			h.answer(s.Visit, terminal.TableLock{Granted: false, Amount: 1})    // long answered
			h.answer(s.Visit, terminal.VisitClosed{})                           // not asked for
			h.answer(s.Visit, terminal.PaymentKept{Payment: s.Payment})         // not ended
			h.answer(s.Visit, terminal.Bill{Lines: h.bill, Message: "unasked"}) // not asked for
			if a := h.query(s.Visit, s.Payment); a.Kind != terminal.InProgress {
				t.Errorf("after answers to nothing: %v", a.Kind)
			}
			if err := h.link.Start(ctx, terminal.Request{ID: "r", Txn: sale(1)}); !errors.Is(err, terminal.ErrBusy) {
				t.Errorf("start: %v", err)
			}
		}
		if s, ok := e.(terminal.PaymentEnded); ok {
			a := h.query(s.Visit, s.Payment)
			if diff := cmp.Diff(terminal.PaymentAnswer{Kind: terminal.Final, Taken: s.Taken, Receipt: s.Receipt}, a); diff != "" {
				t.Error(diff)
			}
			if err := h.link.Acknowledge(ctx, txn.RequestID(s.Payment)); err != nil { // not the way to say it
				t.Error(err)
			}
			if err := h.link.AnswerSignature(ctx, txn.RequestID(s.Payment), false); err != nil {
				t.Error(err)
			}
			if len(h.m.mem.Untold) != 1 {
				t.Errorf("untold %+v", h.m.mem.Untold)
			}
		}
		return false
	}
	got := h.visit(Visit{Table: "12", DeclineFirst: true})
	h.ok(p)
	last := got.Payments[1]
	if a := h.query(got.ID, last.ID); a.Kind != terminal.Final || !a.Taken {
		t.Errorf("the last one: %+v", a)
	}
	if a := h.query(got.ID, got.Payments[0].ID); a.Kind != terminal.CannotTell { // it was kept
		t.Errorf("what the gateway has: %+v", a)
	}
	// A visit is no proof that the gateway has asked about the time before.
	if a := h.query("v0", "earlier"); a.Kind != terminal.CannotTell {
		t.Errorf("query: %v", a.Kind)
	}
	if err := h.link.Start(ctx, terminal.Request{ID: "r", Report: report.XBalance}); err != nil {
		t.Fatal(err)
	}
	if a := h.query("v0", "never"); a.Kind != terminal.NeverRan {
		t.Errorf("query: %v", a.Kind)
	}
	for _, id := range []table.PaymentID{"", "a\nb", table.PaymentID(strings.Repeat("x", 129))} {
		if a := h.query("v0", id); a.Kind != terminal.NeverRan {
			t.Errorf("%q: %v", id, a.Kind)
		}
		if _, ok := h.m.seen[txn.RequestID(id)]; ok {
			t.Errorf("%q is remembered", id)
		}
	}
	p = reopen(t, p)
	h = newHall(t, p, "VCMDEMOSIP0")
	for id, want := range map[table.PaymentID]terminal.AnswerKind{
		"never": terminal.NeverRan, "earlier": terminal.CannotTell, last.ID: terminal.Final, "new": terminal.NeverRan,
	} {
		if a := h.query("v0", id); a.Kind != want {
			t.Errorf("%s: %v, want %v", id, a.Kind, want)
		}
	}
	var refused *terminal.RefusedError
	if err := h.link.Start(ctx, terminal.Request{ID: "never", Txn: sale(1)}); !errors.As(err, &refused) {
		t.Errorf("a fenced id: %v", err)
	}
}

// forbid has the gateway stop the payment that runs; where it is in time, that
// is because an operator said that nothing was taken.
func (h *hall) forbid(inTime bool) {
	v, pay := h.started()
	if inTime {
		h.mu.Lock()
		h.apply(v, table.PaymentNotTaken{Payment: pay})
		h.mu.Unlock()
	}
	h.answer(v, terminal.PaymentForbidden{Payment: pay, Message: "Not now"})
	h.answer(v, terminal.PaymentForbidden{Payment: pay, Message: "Not now"}) // told anew
}

// A payment that is forbidden is fenced off for good, on disk before the answer
// is taken; once it goes to the acquirer it is too late.
func TestForbidden(t *testing.T) {
	for at, stopped := range map[string]bool{
		"Pay GBP 45.50": true, "PRESENT CARD": true, "PIN ENTRY": true, "REQUEST SENT": true, "APPROVED": false, "REMOVE CARD": false,
	} {
		t.Run(at, func(t *testing.T) {
			p := open(t, Options{Dir: t.TempDir()})
			h := newHall(t, p, "VCMDEMOSIP0")
			got, err := h.m.Visit(ctx, Visit{Table: "12"}, func(s VisitStep) {
				if s.Step == StepCard && s.Text == at {
					h.forbid(stopped)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			v, pay := h.started()
			want := terminal.NeverRan
			if !stopped {
				want = terminal.Final
			}
			if a := h.query(v, pay); a.Kind != want {
				t.Errorf("query: %v, want %v", a.Kind, want)
			}
			if !stopped {
				if got.End != EndPaid {
					t.Errorf("got %+v", got)
				}
				h.ok(p)
				return
			}
			if got.End != EndRefused || len(got.Payments) != 0 || !slices.Contains(screen(got.Steps), "card: Not now") {
				t.Errorf("got %+v", got)
			}
			if slices.ContainsFunc(h.heard(), func(e terminal.Event) bool { _, ok := e.(terminal.PaymentEnded); return ok }) {
				t.Errorf("a fenced payment was told: %v", words(h.heard()))
			}
			h.free()
			if len(p.Charges()) != 0 {
				t.Errorf("charged %+v", p.Charges())
			}
			again := reopen(t, p)
			h = newHall(t, again, "VCMDEMOSIP0")
			if a := h.query(v, pay); a.Kind != terminal.NeverRan {
				t.Errorf("after a restart: %v", a.Kind)
			}
		})
	}
}

// A word that comes while nothing moves, and one that comes when the cardholder
// had enough already.
func TestForbiddenWhileHeld(t *testing.T) {
	never := make(chan struct{})
	for name, c := range map[string]struct {
		visit Visit
		text  string
	}{
		"the card": {Visit{HoldAt: StepCard, Until: never}, "Pay GBP 45.50"},
		"the PIN":  {Visit{Pay: []Card{{Script: Script{HoldAt: PINEntry, Until: never}}}}, "PIN ENTRY"},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t, Options{})
			h := newHall(t, p, "VCMDEMOSIP0")
			c.visit.Table = "12"
			there, done := make(chan struct{}), make(chan VisitResult, 1)
			go func() {
				got, err := h.m.Visit(ctx, c.visit, func(s VisitStep) {
					if s.Step == StepCard && s.Text == c.text {
						close(there)
					}
				})
				if err != nil {
					t.Error(err)
				}
				done <- got
			}()
			<-there
			v, pay := h.started()
			h.forbid(true)
			if got := <-done; got.End != EndRefused || len(p.Charges()) != 0 {
				t.Errorf("got %+v", got)
			}
			if a := h.query(v, pay); a.Kind != terminal.NeverRan {
				t.Errorf("query: %v", a.Kind)
			}
		})
	}
	t.Run("too late to matter", func(t *testing.T) {
		p := open(t, Options{})
		h := newHall(t, p, "VCMDEMOCIP0")
		got, err := h.m.Visit(ctx, Visit{Table: "12", Pay: []Card{{Script: Script{CVM: txn.CVMNone}}}}, func(s VisitStep) {
			if s.Text == "CANCELLING" {
				h.forbid(true)
			}
		})
		if err != nil || got.End != EndRefused || slices.Contains(words(h.heard()), "ended taken=false") {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

func TestMuteInVisit(t *testing.T) {
	t.Run("as fast as it can", func(t *testing.T) {
		p := open(t, Options{})
		h := newHall(t, p, "VCMDEMOTIP0")
		got := h.visit(Visit{Table: "12"})
		v, pay := h.started()
		if got.End != EndUnresolved || len(got.Payments) != 0 {
			t.Errorf("got %+v", got)
		}
		if a := h.query(v, pay); a.Kind != terminal.CannotTell {
			t.Errorf("query: %v", a.Kind)
		}
		events := words(h.heard())
		// The hall cannot let a table go with a payment open.
		want := []string{"went away", "came back restarted=true", "left: the card machine fell mute"}
		if diff := cmp.Diff(want, events[len(events)-3:]); diff != "" {
			t.Error(diff)
		}
		if len(p.Charges()) != 0 {
			t.Errorf("charged %+v", p.Charges())
		}
	})
	for name, c := range map[string]struct {
		limit time.Duration
		power bool
	}{"by the contract": {muteFor, false}, "until the power goes": {time.Second, true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := open(t, Options{Speed: 1e6})
				h := newHall(t, p, "VCMDEMOTIP0")
				h.first = func(e terminal.Event) bool { return is(e, "left") }
				began := time.Now()
				got := h.visit(Visit{Table: "12"})
				if got.End != EndUnresolved || time.Since(began) > time.Second {
					t.Errorf("%s after %v", got.End, time.Since(began))
				}
				v, pay := h.started()
				time.Sleep(c.limit - time.Second)
				synctest.Wait()
				if err := h.link.Start(ctx, terminal.Request{ID: "r", Txn: sale(1)}); !errors.Is(err, terminal.ErrBusy) {
					t.Errorf("a mute machine took a start: %v", err)
				}
				if _, err := h.m.Visit(ctx, Visit{}, nil); !errors.Is(err, terminal.ErrBusy) {
					t.Errorf("a mute machine took a visit: %v", err)
				}
				if a := h.query(v, pay); a.Kind != terminal.CannotTell {
					t.Errorf("mute: %v", a.Kind)
				}
				h.answer(v, terminal.PaymentForbidden{Payment: pay}) // it does nothing any more
				heard := words(h.heard())
				if last := heard[len(heard)-1]; !strings.HasPrefix(last, "started") {
					t.Errorf("a mute machine said %q", last)
				}
				want := []string{"went away", "came back restarted=true", "left: the card machine fell mute"}
				if c.power {
					if err := h.m.PowerCycle(); err != nil {
						t.Fatal(err)
					}
				} else {
					time.Sleep(time.Second)
					synctest.Wait()
				}
				if diff := cmp.Diff(want, words(h.heard())[len(heard):]); diff != "" {
					t.Error(diff)
				}
				if a := h.query(v, pay); a.Kind != terminal.CannotTell {
					t.Errorf("afterwards: %v", a.Kind)
				}
				h.answer(v, terminal.VisitClosed{})
				h.free()
				h.m.Script() // nothing: cards bring their own
				next := h.visit(Visit{Table: "12", Pay: []Card{{Script: Script{Result: txn.Successful}}}})
				if next.End != EndPaid {
					t.Errorf("afterwards: %+v", next)
				}
			})
		})
	}
}

// Power lost at each step of a visit and at each notification of a payment.
func TestPowerCycleInVisit(t *testing.T) {
	type cut struct {
		tid    txn.TID
		step   Step
		notice txn.Notification
		paid   money.Minor // of two parts
		ends   []string    // told after the power is back
	}
	left := "left: the card machine lost power"
	untaken, taken := "ended taken=false", "ended taken=true"
	for _, c := range []cut{
		{"VCMDEMOSIP0", StepList, "", 0, []string{left}},
		{"VCMDEMOSIP0", StepLock, "", 0, []string{left}},
		{"VCMDEMOSIP0", StepBill, "", 0, []string{left}},
		{"VCMDEMOSIP0", StepSplit, "", 0, []string{left}},
		{"VCMDEMOSIP0", StepGratuity, "", 0, []string{left}},
		{"VCMDEMOSIP0", StepCard, "", 0, []string{untaken, left}},
		{"VCMDEMOSIS0", StepSignature, "", 0, []string{untaken, left}},
		{"VCMDEMOSIP0", StepReceipt, "", 2275, []string{left}},
		{"VCMDEMOSIP0", StepLeave, "", 4550, nil},
		{"VCMDEMOSIP0", "", PresentCard, 2275, []string{untaken, left}},
		{"VCMDEMOSIP0", "", PINEntry, 2275, []string{untaken, left}},
		{"VCMDEMOSIP0", "", RequestSent, 2275, []string{untaken, left}},
		{"VCMDEMOSIP0", "", Approved, 4550, []string{taken, left}},
		{"VCMDEMOSIP0", "", RemoveCard, 4550, []string{taken, left}},
		{"VCMDEMOVIP0", "", Approved, 2275, []string{untaken, left}},
		{"VCMDEMODIP0", "", Declined, 2275, []string{untaken, left}},
	} {
		t.Run(string(c.tid)+" "+string(c.step)+string(c.notice), func(t *testing.T) {
			p := open(t, Options{Dir: t.TempDir()})
			h := newHall(t, p, c.tid)
			v := Visit{Waiter: "3", Table: "12", PrintBill: true, Split: 2, Pay: []Card{{}, {}}}
			never := make(chan struct{})
			shown := func(s VisitStep) bool {
				return s.Step == c.step && s.Text != pleaseWait && !strings.HasSuffix(s.Text, "please wait")
			}
			if c.step != "" {
				v.HoldAt, v.Until = c.step, never
			} else { // of the second payment
				v.Pay[0].Script.Result = txn.Successful
				v.Pay[1].Script = Script{HoldAt: c.notice, Until: never}
				n := 0
				text := strings.ReplaceAll(string(c.notice), "_", " ")
				shown = func(s VisitStep) bool {
					if s.Text == text {
						n++
					}
					return s.Text == text && (n == 2 || c.notice == Declined)
				}
			}
			there := make(chan struct{})
			done := make(chan VisitResult, 1)
			go func() {
				got, err := h.m.Visit(ctx, v, func(s VisitStep) {
					if shown(s) {
						close(there)
					}
				})
				if err != nil {
					t.Error(err)
				}
				done <- got
			}()
			<-there
			n := len(h.heard())
			if err := h.m.PowerCycle(); err != nil {
				t.Fatal(err)
			}
			if got := <-done; got.End != EndUnresolved {
				t.Errorf("the waiter is told %+v", got)
			}
			want := append([]string{"went away", "came back restarted=true"}, c.ends...)
			if diff := cmp.Diff(want, words(h.heard())[n:]); diff != "" {
				t.Error(diff)
			}
			h.ok(p)
			var paid money.Minor
			for _, charge := range h.charged(p) {
				paid += charge.Amount
			}
			if paid != c.paid {
				t.Errorf("paid %d, want %d", paid, c.paid)
			}
			next := h.visit(Visit{Table: "12", Pay: []Card{{Script: Script{Result: txn.Successful}}}})
			if next.End != EndPaid {
				t.Errorf("the next visit: %+v", next)
			}
			h.ok(p)
		})
	}
}

// A machine that is switched off in a visit leaves it when it is on again.
func TestClosedInVisit(t *testing.T) {
	p := open(t, Options{Dir: t.TempDir()})
	h := newHall(t, p, "VCMDEMOSIP0")
	there := make(chan struct{})
	done := make(chan VisitResult, 1)
	go func() {
		got, err := h.m.Visit(ctx, Visit{Table: "12", HoldAt: StepCard, Until: make(chan struct{})}, func(s VisitStep) {
			if s.Step == StepCard && s.Text == "Pay GBP 45.50" {
				close(there)
			}
		})
		if err != nil {
			t.Error(err)
		}
		done <- got
	}()
	<-there
	shut(t, p)
	if got := <-done; got.End != EndUnresolved {
		t.Errorf("got %+v", got)
	}
	if _, err := h.m.Visit(ctx, Visit{}, nil); err == nil {
		t.Error("a machine that is off took a visit")
	}
	if err := h.m.EndOfDayAtTerminal(ctx); err == nil {
		t.Error("a machine that is off made a report")
	}
	again := open(t, p.o)
	h.m, _ = again.Machine("VCMDEMOSIP0")
	n := len(h.heard())
	h.connect()
	want := []string{"came back restarted=true", "ended taken=false", "left: the card machine lost power"}
	if diff := cmp.Diff(want, words(h.heard())[n:]); diff != "" {
		t.Error(diff)
	}
	h.ok(again)
}

// A memory that fails anywhere in a visit: the machine goes away, and when it
// can write again it knows what became of everything.
func TestVisitMemoryFails(t *testing.T) {
	for _, at := range []string{"tables", "table", "started", "PRESENT CARD", "APPROVED", "ended", "left"} {
		t.Run(at, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "sim")
			p := open(t, Options{Dir: dir})
			h := newHall(t, p, "VCMDEMOSIP0")
			var once sync.Once
			fail := func() {
				once.Do(func() {
					if err := os.Rename(dir, dir+"-gone"); err != nil {
						t.Error(err)
					}
				})
			}
			h.after = func(e terminal.Event) {
				if is(e, at) {
					fail()
				}
			}
			got, err := h.m.Visit(ctx, Visit{Waiter: "3", Table: "12", Split: 2}, func(s VisitStep) {
				if s.Text == at {
					fail()
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			h.after = nil
			want := EndUnresolved
			if at == "left" { // nothing more is written
				want = EndPaid
			}
			if got.End != want {
				t.Errorf("got %+v", got)
			}
			if want == EndUnresolved {
				if events := words(h.heard()); events[len(events)-1] != "went away" {
					t.Errorf("heard %v", events)
				}
				if _, err := h.m.Visit(ctx, Visit{}, nil); err == nil || errors.Is(err, terminal.ErrBusy) {
					t.Errorf("a machine that cannot remember took a visit: %v", err)
				}
			}
			if err := os.Rename(dir+"-gone", dir); err != nil {
				t.Fatal(err)
			}
			h.connect()
			h.ok(p)
			if got := h.visit(Visit{Table: "12"}); got.End != EndPaid {
				t.Errorf("the next visit: %+v", got)
			}
			h.ok(p)
		})
	}
	t.Run("at the counter while the waiter looks at the list", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "sim")
		p := open(t, Options{Dir: dir})
		h := newHall(t, p, "VCMDEMOSIP0")
		h.after = func(e terminal.Event) {
			if !is(e, "tables") {
				return
			}
			if err := os.Rename(dir, dir+"-gone"); err != nil {
				t.Error(err)
			}
			if err := h.link.Start(ctx, terminal.Request{ID: "r", Txn: sale(1)}); err == nil {
				t.Error("a start was taken that is not on disk")
			}
			if err := os.Rename(dir+"-gone", dir); err != nil {
				t.Error(err)
			}
		}
		if got := h.visit(Visit{Table: "12"}); got.End != EndUnresolved {
			t.Errorf("got %+v", got)
		}
		h.connect()
		h.ok(p)
	})
	t.Run("when the gateway forbids", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "sim")
		p := open(t, Options{Dir: dir})
		h := newHall(t, p, "VCMDEMOSIP0")
		h.first = func(e terminal.Event) bool {
			s, ok := e.(terminal.PaymentStarted)
			if !ok {
				return false
			}
			if err := os.Rename(dir, dir+"-gone"); err != nil {
				t.Error(err)
			}
			f := terminal.PaymentForbidden{Payment: s.Payment}
			if err := h.link.(terminal.Waiter).AnswerTable(ctx, s.Visit, f); err == nil {
				t.Error("a fence that is not on disk was promised")
			}
			if _, err := h.link.(terminal.Waiter).QueryPayment(ctx, s.Visit, "another"); err == nil {
				t.Error("a fence that is not on disk was promised")
			}
			if err := os.Rename(dir+"-gone", dir); err != nil {
				t.Error(err)
			}
			h.answer(s.Visit, f)
			return true
		}
		if got := h.visit(Visit{Table: "12"}); got.End != EndRefused {
			t.Errorf("got %+v", got)
		}
		h.free()
	})
}

// Every write in a visit is the last one before the power goes, with the till's
// books as they were at that moment: what the machine tells then completes them.
func TestVisitCrashCuts(t *testing.T) {
	for _, c := range []struct {
		name  string
		tid   txn.TID
		visit Visit
	}{
		{"two cards", "VCMDEMOSIP0", Visit{Split: 2, Tip: Tip{Percent: 10, Each: true}, PrintBill: true}},
		{"declined first", "VCMDEMOSIP0", Visit{DeclineFirst: true}},
		{"signature", "VCMDEMOSIS0", Visit{}},
		{"reversed", "VCMDEMOVIP0", Visit{}},
		{"signature, reversed", "VCMDEMOVIS0", Visit{}},
		{"unsuccessful", "VCMDEMOUIP0", Visit{}},
		{"cancelled", "VCMDEMOSIP0", Visit{CancelAt: StepCard}},
		{"part paid", "VCMDEMOSCD0", Visit{Amount: 1000}},
		{"mute", "VCMDEMOTIP0", Visit{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			type moment struct {
				dir    string
				visits map[table.VisitID]table.Visit
			}
			root := t.TempDir()
			live := filepath.Join(root, "live")
			var cuts []moment
			var h *hall
			cut := func(dir string, of func() map[table.VisitID]table.Visit) {
				to := filepath.Join(root, fmt.Sprintf("cut%03d", len(cuts)))
				copyDir(t, dir, to)
				cuts = append(cuts, moment{to, of()})
			}
			o := Options{Dir: live, wrote: func() {
				cut(live, func() map[table.VisitID]table.Visit {
					if h == nil {
						return nil
					}
					h.mu.Lock()
					defer h.mu.Unlock()
					return maps.Clone(h.visits)
				})
			}}
			p := open(t, o)
			h = newHall(t, p, c.tid)
			c.visit.Waiter, c.visit.Table = "3", "12"
			h.visit(c.visit)
			if c.name != "mute" {
				h.ok(p)
			}
			shut(t, p)
			if len(cuts) < 4 {
				t.Fatalf("%d writes", len(cuts))
			}
			for i := 0; i < len(cuts); i++ { // grows by the cuts of the recoveries
				was := cuts[i]
				o := Options{Dir: was.dir, wrote: func() { cut(was.dir, func() map[table.VisitID]table.Visit { return was.visits }) }}
				q := open(t, o)
				q.o.wrote = func() {}
				h := hallWith(t, q, c.tid, maps.Clone(was.visits))
				for id, v := range h.visits {
					if pay, open := v.OpenPayment(); open {
						a := h.query(id, pay.ID)
						if c.name != "mute" || a.Kind != terminal.CannotTell {
							t.Fatalf("cut %d: payment %s is open, and the machine says %+v", i, pay.ID, a)
						}
						h.apply(id, table.TerminalLost{}, table.PaymentResolved{Payment: pay.ID})
						h.answer(id, terminal.VisitClosed{})
						continue
					}
					if s := v.State; !s.Ended() && s != table.Settled && s != table.Listing {
						t.Fatalf("cut %d: the visit is %s", i, s)
					}
				}
				h.ok(q)
				if got := h.visit(Visit{Table: "12", Pay: []Card{{Script: Script{Result: txn.Successful}}}}); got.End != EndPaid {
					t.Errorf("the next visit: %+v", got)
				}
				h.ok(q)
				shut(t, q)
				if t.Failed() || len(cuts) > 200 {
					t.Fatalf("cut %d of %d", i, len(cuts))
				}
			}
		})
	}
}

// An act is something that is done at a machine, and what fails meanwhile.
type act struct {
	What  string
	Due   money.Minor
	Visit Visit
	Fails string
	After time.Duration
}

func drawAct(t *rapid.T) act {
	a := act{
		What:  rapid.SampledFrom([]string{"visit", "visit", "visit", "sale", "report"}).Draw(t, "what"),
		Due:   money.Minor(rapid.Int64Range(1, 30_000).Draw(t, "due")),
		Fails: rapid.SampledFrom([]string{"", "", "link", "link for long", "power", "gateway", "waiter"}).Draw(t, "fails"),
		After: time.Duration(rapid.IntRange(1, 3_000).Draw(t, "after")) * time.Millisecond,
		Visit: Visit{
			Table:     "12",
			Waiter:    table.WaiterID(rapid.SampledFrom([]string{"3", "7"}).Draw(t, "waiter")),
			PrintBill: rapid.Bool().Draw(t, "bill"),
			Split:     rapid.IntRange(0, 4).Draw(t, "split"),
			Amount:    money.Minor(rapid.SampledFrom([]int64{0, 0, 1, 5000}).Draw(t, "amount")),
			Tip:       rapid.SampledFrom([]Tip{{}, {Amount: 150}, {Percent: 12}, {Percent: 10, Each: true}}).Draw(t, "tip"),

			DeclineFirst: rapid.Bool().Draw(t, "decline"),
			Contactless:  rapid.Bool().Draw(t, "tap"),
			CancelAt:     rapid.SampledFrom([]Step{"", "", "", StepBill, StepCard}).Draw(t, "cancel"),
		},
	}
	results := []txn.Result{txn.Successful, txn.Successful, txn.Declined, txn.Void, txn.Unsuccessful, txn.Cancelled}
	for range rapid.IntRange(0, 4).Draw(t, "cards") {
		a.Visit.Pay = append(a.Visit.Pay, Card{
			Amount: money.Minor(rapid.SampledFrom([]int64{0, 0, 1000}).Draw(t, "card")),
			Script: Script{Result: rapid.SampledFrom(results).Draw(t, "result")},
		})
	}
	return a
}

// Whatever is done at a machine and whatever fails, the till has each payment
// that was charged once and no other, and the ledger and its reports add up.
func TestVisitsAddUp(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		tid := txn.TID("VCMDEMOSI" + rapid.SampledFrom([]string{"P0", "S0", "N2"}).Draw(rt, "machine"))
		acts := rapid.SliceOfN(rapid.Custom(drawAct), 1, 8).Draw(rt, "acts")
		synctest.Test(t, func(t *testing.T) {
			p := open(t, Options{Seed: seed, Speed: 10})
			h := newHall(t, p, tid)
			var counter money.Minor
			for i, a := range acts {
				switch a.What {
				case "sale":
					counter += h.sale(txn.RequestID(fmt.Sprint(i)))
				case "report":
					if _, err := h.m.Report(ctx, report.XBalance); err != nil {
						t.Errorf("report: %v", err)
					}
				default:
					h.visitWith(a)
				}
				h.ok(p)
			}
			x, err := h.m.Report(ctx, report.XBalance)
			if err != nil {
				t.Fatal(err)
			}
			var sum, waiters money.Minor
			for _, c := range h.charged(p) {
				sum += c.Amount
			}
			for _, b := range x.Balances.Waiters {
				waiters += b.TotalAmount
			}
			if x.Balances.TotalAmount != sum || x.Balances.SalesCount != len(h.charged(p)) || waiters+counter != sum {
				t.Errorf("the report says %+v, waiters %d and counter %d, the acquirer %d", x.Balances.Breakdown, waiters, counter, sum)
			}
			if t.Failed() {
				t.Logf("seed %d, %s: %+v", seed, tid, acts)
			}
		})
	})
}

// sale runs one at the counter and returns what it took.
func (h *hall) sale(id txn.RequestID) money.Minor {
	if err := h.link.Start(ctx, terminal.Request{ID: id, Txn: sale(700)}); err != nil {
		h.t.Errorf("start: %v", err)
	}
	time.Sleep(terminal.SignatureLimit + time.Minute)
	synctest.Wait()
	a, err := h.link.Query(ctx, id)
	if err != nil || a.Kind != terminal.Final || a.Outcome.Result != txn.Successful {
		h.t.Errorf("query: %+v, %v", a, err)
		return 0
	}
	return a.Outcome.Total()
}

// visitWith is a visit in which something may fail.
func (h *hall) visitWith(a act) {
	h.due["12"] = a.Due
	gone, walk := context.WithCancel(ctx)
	defer walk()
	var wait sync.WaitGroup
	wait.Go(func() {
		time.Sleep(a.After)
		switch a.Fails {
		case "link":
			h.m.CutLink()
			time.Sleep(3 * time.Second)
			h.m.RestoreLink()
		case "link for long":
			h.m.CutLink()
			time.Sleep(3 * answerLimit)
			h.m.RestoreLink()
		case "power":
			if err := h.m.PowerCycle(); err != nil {
				h.t.Error(err)
			}
		case "gateway":
			h.connect()
		case "waiter":
			walk()
		}
	})
	got, err := h.m.Visit(gone, a.Visit, nil)
	if err != nil {
		h.t.Errorf("visit: %v", err)
	}
	wait.Wait()
	synctest.Wait()
	paid := got.Paid > 0 && got.Balance == 0
	if got.Balance != got.Due-got.Paid || got.Paid > a.Due || got.End != EndUnresolved && (got.End == EndPaid) != paid {
		h.t.Errorf("got %+v", got)
	}
}

// The steps take as long as people do, at the machine's speed.
func TestVisitPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, Options{Speed: 2})
		h := newHall(t, p, "VCMDEMOSIS0")
		began := time.Now()
		got := h.visit(Visit{Table: "12", PrintBill: true, Tip: Tip{Percent: 10}})
		card := presentTakes + waitTakes + connectingTakes + connectedTakes + answerTakes + verdictTakes + removeTakes + signatureTakes
		want := listTakes + lockTakes + billTakes + splitTakes + gratuityTakes + presentedTakes + card + 2*slipTakes
		if took := time.Since(began); got.End != EndPaid || took != want/2 {
			t.Errorf("%s after %v, want %v", got.End, took, want/2)
		}
		last := got.Steps[len(got.Steps)-1]
		if !last.At.Equal(began.Add(want / 2)) {
			t.Errorf("the last step is at %v", last.At)
		}
		began = time.Now()
		r, err := h.m.Report(ctx, report.ZBalance)
		if err != nil || !r.Time.Equal(began.Add(printTakes/2)) {
			t.Errorf("report at %v, %v", r.Time, err)
		}
	})
}

func TestReportAtTerminal(t *testing.T) {
	p := open(t, Options{Dir: t.TempDir()})
	h := newHall(t, p, "VCMDEMOSIP0")
	for _, v := range []Visit{
		{Waiter: "3", Split: 2, Tip: Tip{Amount: 450}}, {Waiter: "7"}, {Waiter: "3"}, {Waiter: "", Amount: 1}, {Waiter: "9", Pay: []Card{{Script: Script{Result: txn.Declined}}}},
	} {
		v.Table = "12"
		h.visit(v)
	}
	if err := h.link.Start(ctx, terminal.Request{ID: "r", Txn: sale(100)}); err != nil {
		t.Fatal(err)
	}
	h.until(func() bool { return slices.Contains(words(h.heard()), "ended SUCCESSFUL") })
	h.first = func(e terminal.Event) bool { return is(e, "made") }
	if err := h.m.EndOfDayAtTerminal(ctx); err != nil {
		t.Fatal(err)
	}
	var made terminal.ReportMade
	h.until(func() bool {
		for _, e := range h.heard() {
			if m, ok := e.(terminal.ReportMade); ok {
				made = m
			}
		}
		return made.ID != ""
	})
	b := made.Report.Balances
	want := map[string]report.Breakdown{
		"3": {Currency: money.GBP, TotalAmount: 9550, SalesAmount: 9550, SalesCount: 3},
		"7": {Currency: money.GBP, TotalAmount: 4550, SalesAmount: 4550, SalesCount: 1},
	}
	if diff := cmp.Diff(want, b.Waiters); diff != "" {
		t.Error(diff)
	}
	if b.TotalAmount != 9550+4550+1+100 || b.GratuityAmount != 450 || b.GratuityCount != 1 || made.Report.Banking[acquirerName].Current.TotalAmount != b.TotalAmount {
		t.Errorf("totals %+v", b)
	}
	text := receipt.Plain(made.Report.Lines)
	for _, part := range []string{report.CompleteLine, "WAITER 3", "WAITER 7", "95.50"} {
		if !strings.Contains(text, part) {
			t.Errorf("the report does not say %q:\n%s", part, text)
		}
	}
	if strings.Contains(text, "WAITER 9") {
		t.Error("a waiter who took nothing is on the report")
	}
	if a, err := h.link.Query(ctx, made.ID); err != nil || a.Kind != terminal.Final || cmp.Diff(*a.Report, made.Report) != "" {
		t.Errorf("query: %+v, %v", a, err)
	}
	// Told until it is acknowledged, the same each time, and not after.
	p = reopen(t, p)
	h.m, _ = p.Machine("VCMDEMOSIP0")
	h.first = nil
	h.connect()
	if diff := cmp.Diff(map[txn.RequestID]terminal.ReportMade{made.ID: made}, h.reports); diff != "" {
		t.Error(diff)
	}
	p = reopen(t, p)
	h.m, _ = p.Machine("VCMDEMOSIP0")
	n := len(h.heard())
	h.connect()
	if diff := cmp.Diff([]string{"came back restarted=true"}, words(h.heard())[n:]); diff != "" {
		t.Error(diff)
	}
	x, err := h.m.Report(ctx, report.XBalance)
	if err != nil || x.Balances.SalesCount != 0 || len(x.Balances.Waiters) != 0 {
		t.Errorf("after the end of day: %+v, %v", x.Balances, err)
	}

	t.Run("while the link is cut", func(t *testing.T) {
		h.m.CutLink()
		n := len(h.heard())
		if _, err := h.m.Report(ctx, report.ZBalance); err != nil {
			t.Fatal(err)
		}
		h.m.RestoreLink()
		if diff := cmp.Diff([]string{"came back restarted=false", "made Z_BALANCE"}, words(h.heard())[n:]); diff != "" {
			t.Error(diff)
		}
		h.free()
	})
	t.Run("an older machine", func(t *testing.T) {
		var refused *terminal.RefusedError
		h := newHall(t, open(t, Options{}), "VCMDEMOSIP1")
		if err := h.m.EndOfDayAtTerminal(ctx); !errors.As(err, &refused) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the power goes", func(t *testing.T) {
		until := make(chan struct{})
		h.m.Script(Script{Until: until})
		gone, leave := context.WithCancel(ctx)
		leave()
		if _, err := h.m.Report(gone, report.ZBalance); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if err := h.link.Start(ctx, terminal.Request{ID: "s", Txn: sale(1)}); !errors.Is(err, terminal.ErrBusy) {
			t.Errorf("start: %v", err)
		}
		n := len(h.heard())
		if err := h.m.PowerCycle(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"went away", "came back restarted=true"}, words(h.heard())[n:]); diff != "" {
			t.Error(diff)
		}
		h.free()
	})
	t.Run("the power goes while somebody waits", func(t *testing.T) {
		h.m.Script(Script{Until: make(chan struct{})})
		done := make(chan error, 1)
		go func() { done <- h.m.EndOfDayAtTerminal(ctx) }()
		h.until(func() bool {
			h.m.mu.Lock()
			defer h.m.mu.Unlock()
			return h.m.run != nil
		})
		if err := h.m.PowerCycle(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err == nil {
			t.Error("a report that was not made is made")
		}
	})
}

// until waits for what another goroutine does.
func (h *hall) until(true func() bool) {
	for !true() {
		synctestless(h.t)
	}
}

// No full card number leaves a visit: not onto screen and paper, into events,
// files or logs; not even the till's.
func TestNoCardNumberLeaksFromVisits(t *testing.T) {
	var log bytes.Buffer
	o := Options{Dir: t.TempDir(), Seed: 11, Log: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	p := open(t, o)
	tills := "4761730000000011"
	if receipt.MaskPANs(tills) == tills {
		t.Fatal("that is no card number")
	}
	var said strings.Builder
	pans := []string{tills}
	for _, tid := range []txn.TID{"VCMDEMOSIP0", "VCMDEMOSCD0", "VCMDEMOSIS0", "VCMDEMOSSN0", "VCMDEMOSKN0", "VCMDEMOVIP0", "VCMDEMODIP0"} {
		h := newHall(t, p, tid)
		h.bill = append(h.bill, receipt.Line{Type: receipt.Text, Value: "MEMBER " + tills})
		h.final = h.bill
		got := h.visit(Visit{Waiter: "3", Table: "12", PrintBill: true})
		pans = append(pans, makeCard(o.Seed, *h.m.mem.Card).pan)
		fmt.Fprintf(&said, "%+v %+v", got, h.heard())
	}
	shut(t, p)
	err := fs.WalkDir(os.DirFS(o.Dir), ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := fs.ReadFile(os.DirFS(o.Dir), path)
		said.Write(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	all := said.String() + log.String()
	for _, pan := range pans {
		if !strings.Contains(all, pan[len(pan)-4:]) {
			t.Error("not even the last four digits are there: nothing was looked at")
		}
		if strings.Contains(all, pan) || strings.Contains(all, pan[:10]) {
			t.Error("the number of a card is in the open")
		}
	}
}
