package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
)

// A polling till.
type polling struct {
	*gateway.Till
	s *shop
}

func (s *shop) polling(key string) *polling {
	s.t.Helper()
	till, err := s.g.Till(key, txn.Caller{Version: "v2"})
	if err != nil {
		s.t.Fatal(err)
	}
	return &polling{till, s}
}

var aSale = gateway.Wish{TID: tid, Txn: txn.Request{Type: txn.Sale, Currency: "GBP", Amount: 1250}}

func under(key string, w gateway.Wish) gateway.Wish {
	w.Key = key
	return w
}

func (p *polling) begins(w gateway.Wish) txn.RequestID {
	p.s.t.Helper()
	b, err := p.Begin(p.s.t.Context(), w)
	if err != nil {
		p.s.t.Fatal(err)
	}
	synctest.Wait()
	return b.ID
}

// refused begins what is not taken.
func (p *polling) refused(w gateway.Wish, want error) {
	p.s.t.Helper()
	if _, err := p.Begin(p.s.t.Context(), w); !errors.Is(err, want) {
		p.s.t.Errorf("begun with %v, want %v", err, want)
	}
}

func (p *polling) looks(id txn.RequestID) gateway.View {
	p.s.t.Helper()
	synctest.Wait()
	v, _, err := p.Look(p.s.t.Context(), tid, id)
	if err != nil {
		p.s.t.Fatal(err)
	}
	return v
}

// sees compares what a look shows, in words: the notices, then the end.
func (p *polling) sees(id txn.RequestID, want ...string) {
	p.s.t.Helper()
	if diff := cmp.Diff(want, inWords(p.looks(id))); diff != "" {
		p.s.t.Errorf("the till sees (- want, + got):\n%s", diff)
	}
}

func inWords(v gateway.View) (out []string) {
	for _, n := range v.Notices {
		out = append(out, string(n.Value))
	}
	if v.Signing {
		out = append(out, "signature?")
	}
	switch {
	case !v.Ended:
	case v.Kind == gateway.OfReport && v.Report == nil:
		out = append(out, "no report")
	case v.Kind == gateway.OfReport:
		out = append(out, "report "+string(v.Report.Type))
	case v.Outcome == nil:
		out = append(out, "nothing")
	default:
		out = append(out, fmt.Sprintf("%s %s %s", v.Outcome.Type, v.Outcome.Result, v.Outcome.Total().Decimal()))
	}
	if v.Waits {
		out = append(out, "may be known later")
	}
	if v.Late != nil {
		out = append(out, "late "+string(v.Late.Result))
	}
	return out
}

// TestTillPolls has a till without a connection do what there is to do.
func TestTillPolls(t *testing.T) {
	for _, c := range []struct {
		name string
		play func(s *shop, p *polling)
	}{
		{"a sale", func(s *shop, p *polling) {
			id := p.begins(aSale)
			p.sees(id, started)
			s.pdq.say(terminal.Notified{ID: id, Value: "PRESENT_CARD"}, terminal.Notified{ID: id, Value: "PRESENT_CARD"})
			p.sees(id, started, "PRESENT_CARD")
			p.refused(aSale, gateway.ErrBusy)
			s.pdq.say(terminal.Ended{ID: id, Outcome: outcome(txn.Successful)})
			p.sees(id, started, "PRESENT_CARD", "SALE SUCCESSFUL 12.50")
			if got := s.recorded().Caller; got.Face != gateway.FaceREST || got.Version != "v2" {
				s.t.Errorf("recorded caller %+v", got)
			}
		}},
		{"a terminal that is not there, and one that cannot", func(s *shop, p *polling) {
			w := aSale
			w.TID = "33333333"
			p.refused(w, gateway.ErrNoTerminal)
			w = aSale
			w.Txn.Currency = "EUR"
			var unable *gateway.UnableError
			if _, err := p.Begin(s.t.Context(), w); !errors.As(err, &unable) || unable.Text == "" {
				s.t.Errorf("begun with %v", err)
			}
			s.pdq.say(terminal.WentAway{})
			p.refused(aSale, gateway.ErrNoTerminal)
		}},
		{"the terminal refuses", func(s *shop, p *polling) {
			s.pdq.start = func(context.Context, terminal.Request) error { return &terminal.RefusedError{Reason: "no paper"} }
			id := p.begins(aSale)
			p.sees(id, "SALE UNSUCCESSFUL 12.50")
			s.notRun(txn.Refused, txn.ToldResult)
		}},
		{"a look while the terminal is away, and what comes late", func(s *shop, p *polling) {
			id := p.begins(aSale)
			s.pdq.say(terminal.WentAway{})
			p.sees(id, started)
			sleep(200 * time.Second)
			p.sees(id, started, "SALE TIMED_OUT 12.50", "may be known later")
			before := p.looks(id)
			s.pdq.query = func(context.Context, txn.RequestID) (terminal.Answer, error) {
				o := outcome(txn.Declined)
				return terminal.Answer{Kind: terminal.Final, Outcome: &o}, nil
			}
			s.pdq.say(terminal.CameBack{})
			p.sees(id, started, "SALE TIMED_OUT 12.50", "late DECLINED")
			after := p.looks(id)
			if diff := cmp.Diff(before.Outcome, after.Outcome); diff != "" || !before.EndedAt.Equal(after.EndedAt) {
				s.t.Errorf("what was told has changed, from %s to %s:\n%s", before.EndedAt, after.EndedAt, diff)
			}
		}},
		{"a cancel that works, waited for", func(s *shop, p *polling) {
			id := p.begins(aSale)
			s.pdq.cancel = func(context.Context, txn.RequestID) error {
				s.pdq.sink(terminal.Notified{ID: id, Value: cancelling})
				s.pdq.sink(terminal.Ended{ID: id, Outcome: outcome(txn.Cancelled)})
				return nil
			}
			for range 3 { // and asked for again
				if yes, err := p.Cancel(s.t.Context(), tid, id, true); !yes || err != nil {
					s.t.Errorf("cancelled %t, %v", yes, err)
				}
			}
			p.sees(id, started, attempting, cancelling, "SALE CANCELLED 12.50")
			s.terminalHeard(s.pdq, "cancel", 1)
		}},
		{"a cancel that is too late", func(s *shop, p *polling) {
			id := p.begins(aSale)
			s.pdq.say(terminal.Ended{ID: id, Outcome: outcome(txn.Successful)})
			if yes, err := p.Cancel(s.t.Context(), tid, id, true); yes || err != nil {
				s.t.Errorf("cancelled %t, %v", yes, err)
			}
		}},
		{"a cancel whose outcome takes too long", func(s *shop, p *polling) {
			id := p.begins(aSale)
			if yes, err := p.Cancel(s.t.Context(), tid, id, true); yes || err != nil {
				s.t.Errorf("cancelled %t, %v", yes, err)
			}
			s.pdq.say(terminal.Ended{ID: id, Outcome: outcome(txn.Cancelled)})
			p.sees(id, started, attempting, cancelling, "SALE CANCELLED 12.50")
			if yes, err := p.Cancel(s.t.Context(), tid, id, true); !yes || err != nil {
				s.t.Errorf("cancelled %t, %v", yes, err)
			}
		}},
		{"a signature", func(s *shop, p *polling) {
			id := p.begins(aSale)
			sign := func(accepted bool) gateway.Signed {
				said, err := p.AnswerSignature(s.t.Context(), tid, id, accepted, nil)
				if err != nil {
					s.t.Error(err)
				}
				return said
			}
			if sign(true) != gateway.SignatureUnwanted {
				s.t.Error("an answer was taken that nobody wanted")
			}
			s.pdq.say(terminal.SignatureWanted{ID: id, Wish: txn.SignatureWish{Type: txn.Sale, Method: txn.MethodChip}})
			p.sees(id, started, signature, inProgress, "signature?")
			for _, accepted := range []bool{false, true, false} {
				want := gateway.SignatureTaken
				if accepted {
					want = gateway.SignatureUnwanted // the first one stands
				}
				if got := sign(accepted); got != want {
					s.t.Errorf("%t came to %d, want %d", accepted, got, want)
				}
			}
			s.terminalHeard(s.pdq, "answer false", 1)
			s.terminalHeard(s.pdq, "answer true", 0)
			s.pdq.say(terminal.Ended{ID: id, Outcome: outcome(txn.Void)})
			p.sees(id, started, signature, inProgress, sigDone, "SALE VOID 12.50")
			if sign(false) != gateway.SignatureTaken || sign(true) != gateway.SignatureUnwanted {
				s.t.Error("the answer is not what it was")
			}
		}},
		{"a signature that nobody answers", func(s *shop, p *polling) {
			id := p.begins(aSale)
			s.pdq.say(terminal.SignatureWanted{ID: id, Wish: txn.SignatureWish{Type: txn.Sale, Method: txn.MethodChip}})
			if v := p.looks(id); time.Until(v.SignBy) != 80*time.Second {
				s.t.Errorf("to be signed within %s", time.Until(v.SignBy))
			}
			sleep(80 * time.Second)
			if said, _ := p.AnswerSignature(s.t.Context(), tid, id, true, nil); said != gateway.SignatureUnwanted {
				s.t.Error("a late answer was taken")
			}
			s.pdq.say(terminal.Ended{ID: id, Outcome: outcome(txn.Successful)})
			p.sees(id, started, signature, inProgress, sigTimeout, sigDone, "SALE SUCCESSFUL 12.50")
			if by := p.looks(id).SignedBy; by != txn.ByTimeout {
				s.t.Errorf("signed by %q", by)
			}
		}},
		{"a signature while the terminal is away", func(s *shop, p *polling) {
			id := p.begins(aSale)
			s.pdq.say(terminal.SignatureWanted{ID: id, Wish: txn.SignatureWish{Type: txn.Sale, Method: txn.MethodChip}})
			s.pdq.say(terminal.WentAway{})
			p.sees(id, started, signature, inProgress, "signature?")
			s.pdq.query = going
			s.pdq.say(terminal.CameBack{}, terminal.WentAway{})
			p.sees(id, started, signature, inProgress, "signature?")
			if said, err := p.AnswerSignature(s.t.Context(), tid, id, false, nil); said != gateway.SignatureTaken || err != nil {
				s.t.Errorf("it came to %d, %v", said, err)
			}
			s.pdq.say(terminal.CameBack{})
			s.terminalHeard(s.pdq, "answer false", 1)
			p.sees(id, started, signature, inProgress, sigDone)
		}},
		{"a signature after the end was told", func(s *shop, p *polling) {
			id := p.begins(aSale)
			sleep(150 * time.Second)
			s.pdq.say(terminal.SignatureWanted{ID: id, Wish: txn.SignatureWish{Type: txn.Sale, Method: txn.MethodChip}})
			sleep(51 * time.Second)
			if said, err := p.AnswerSignature(s.t.Context(), tid, id, false, nil); said != gateway.SignatureUnwanted || err != nil {
				s.t.Errorf("it came to %d, %v", said, err)
			}
			s.terminalHeard(s.pdq, "answer false", 0)
		}},
		{"an account verification in the terminal's currency", func(s *shop, p *polling) {
			w := gateway.Wish{TID: tid, Txn: txn.Request{Type: txn.AccountVerification}, Key: "k"}
			id := p.begins(w)
			if got := s.recorded().Request.Currency; got != "GBP" {
				s.t.Errorf("recorded in %q", got)
			}
			for _, currency := range []money.Currency{"", "GBP"} { // said or not, it is the same
				w.Txn.Currency = currency
				if b, err := p.Begin(s.t.Context(), w); err != nil || b.ID != id || !b.Replayed {
					s.t.Errorf("%+v, %v", b, err)
				}
			}
			w.Txn.Currency = "EUR"
			p.refused(w, gateway.ErrKeyDiffers)
		}},
		{"a report", func(s *shop, p *polling) {
			id := p.begins(gateway.Wish{TID: tid, Report: report.ZBalance})
			p.sees(id)
			s.stands("BUSY")
			s.pdq.say(terminal.Reported{ID: id, Report: report.Report{
				Type: report.ZBalance, Result: report.Complete, Time: time.Now(), Balances: &report.Balances{Breakdown: report.Breakdown{Currency: "GBP"}},
			}})
			p.sees(id, "report Z_BALANCE")
			s.stands("AVAILABLE")
		}},
		{"a report that never comes", func(s *shop, p *polling) {
			id := p.begins(gateway.Wish{TID: tid, Report: report.EndOfDay})
			sleep(120 * time.Second)
			p.sees(id, "no report")
			s.pdq.say(terminal.Reported{ID: id, Report: report.Report{Type: report.EndOfDay, Result: report.Complete, Time: time.Now(), Balances: &report.Balances{Breakdown: report.Breakdown{Currency: "GBP"}}}})
			p.sees(id, "no report") // an end changes no more
		}},
		{"a report that the terminal refuses", func(s *shop, p *polling) {
			s.pdq.start = func(context.Context, terminal.Request) error { return &terminal.RefusedError{Reason: "no paper"} }
			id := p.begins(gateway.Wish{TID: tid, Report: report.EndOfDay})
			p.sees(id, "no report")
		}},
		{"a duplicate of nothing, of a sale, and of one that is not known", func(s *shop, p *polling) {
			again := gateway.Wish{TID: tid, Duplicate: true}
			p.sees(p.begins(again), "nothing")
			sale := p.begins(aSale)
			p.refused(again, gateway.ErrBusy)
			s.pdq.say(terminal.Ended{ID: sale, Outcome: outcome(txn.Declined)})
			id := p.begins(again)
			p.sees(id, "SALE DECLINED 12.50")
			if v := p.looks(id); len(v.Outcome.Receipts.Merchant) != 0 || len(v.Outcome.Receipts.Customer) == 0 {
				s.t.Errorf("receipts %+v", v.Outcome.Receipts)
			}
			if yes, err := p.Cancel(s.t.Context(), tid, id, true); yes || err != nil {
				s.t.Errorf("cancelled %t, %v", yes, err)
			}
			p.begins(aSale)
			sleep(200 * time.Second)
			p.sees(p.begins(again), "SALE TIMED_OUT 12.50")
			p.sees(id, "SALE DECLINED 12.50")
		}},
		{"a duplicate while the terminal does not answer", func(s *shop, p *polling) {
			sale := p.begins(aSale)
			s.pdq.say(terminal.Ended{ID: sale, Outcome: outcome(txn.Successful)})
			s.pdq.last = func(ctx context.Context) (terminal.Last, error) { return terminal.Last{}, mute(ctx) }
			id := p.begins(gateway.Wish{TID: tid, Duplicate: true})
			p.sees(id)
			p.refused(aSale, gateway.ErrBusy)
			s.pdq.say(terminal.WentAway{}, terminal.CameBack{}) // which asks about what is open
			sleep(10 * time.Second)
			p.sees(id, "SALE SUCCESSFUL 12.50")
			s.stands("AVAILABLE")
		}},
		{"seen from a connection too", func(s *shop, p *polling) {
			a := s.keyed("a", "v1")
			id := p.begins(under("k", aSale))
			if got := s.state(a, 1, "k"); got != "pending" {
				s.t.Errorf("state %q", got)
			}
			a.keyedSale(2, "k") // joins
			s.pdq.say(terminal.Ended{ID: id, Outcome: outcome(txn.Successful)})
			s.gets(a, finished, "2 SUCCESSFUL")
			a.asks(3, "duplicate", "")
			s.gets(a, "3 SUCCESSFUL")
			if b, err := p.Begin(s.t.Context(), under("k", aSale)); err != nil || b.ID != id || !b.Replayed {
				s.t.Errorf("%+v, %v", b, err)
			}
		}},
		{"begun on a connection", func(s *shop, p *polling) {
			a := s.keyed("a", "v1")
			a.keyedSale(1, "k")
			b, err := p.Begin(s.t.Context(), under("k", aSale))
			if err != nil || b.ID != s.pdq.id() || !b.Replayed {
				s.t.Errorf("%+v, %v", b, err)
			}
			s.gets(a, started)
			p.sees(b.ID, started)
			if yes, err := p.Cancel(s.t.Context(), tid, b.ID, false); yes || err != nil {
				s.t.Errorf("cancelled %t, %v", yes, err)
			}
			s.gets(a, attempting)
		}},
		{"keys", func(s *shop, p *polling) {
			id := p.begins(under("k", aSale))
			other := aSale
			other.Txn.Amount++
			for name, w := range map[string]gateway.Wish{
				"amount": other, "terminal": {TID: otherTID, Txn: aSale.Txn},
				"duplicate": {TID: tid, Duplicate: true}, "report": {TID: tid, Report: report.XBalance},
			} {
				if _, err := p.Begin(s.t.Context(), under("k", w)); !errors.Is(err, gateway.ErrKeyDiffers) {
					s.t.Errorf("another %s under the key: %v", name, err)
				}
			}
			s.pdq.say(terminal.Ended{ID: id, Outcome: outcome(txn.Successful)})
			if b, err := p.Begin(s.t.Context(), under("k", aSale)); err != nil || b.ID != id || !b.Replayed {
				s.t.Errorf("%+v, %v", b, err)
			}
			again := gateway.Wish{TID: tid, Duplicate: true}
			d := p.begins(under("d", again))
			if b, err := p.Begin(s.t.Context(), under("d", again)); err != nil || b.ID != d || !b.Replayed {
				s.t.Errorf("%+v, %v", b, err)
			}
			if _, err := p.Begin(s.t.Context(), under("d", aSale)); !errors.Is(err, gateway.ErrKeyDiffers) {
				s.t.Error(err)
			}
			s.pdq.say(terminal.WentAway{})
			p.refused(under("free", aSale), gateway.ErrNoTerminal)
			s.pdq.say(terminal.CameBack{})
			p.begins(under("free", aSale)) // a refusal leaves the key free
		}},
		{"another site's, another terminal's, and nobody's", func(s *shop, p *polling) {
			site(s.t, s.store, "other", "other-key")
			if err := s.g.Reload(s.t.Context()); err != nil {
				s.t.Fatal(err)
			}
			theirs := s.polling("other-key")
			id := p.begins(aSale)
			for name, look := range map[string]func() error{
				"another site":     func() error { _, _, err := theirs.Look(s.t.Context(), tid, id); return err },
				"another terminal": func() error { _, _, err := p.Look(s.t.Context(), otherTID, id); return err },
				"nobody's id":      func() error { _, _, err := p.Look(s.t.Context(), tid, "none"); return err },
				"their cancel":     func() error { _, err := theirs.Cancel(s.t.Context(), tid, id, true); return err },
				"their signature":  func() error { _, err := theirs.AnswerSignature(s.t.Context(), tid, id, true, nil); return err },
			} {
				if err := look(); !errors.Is(err, gateway.ErrNoRequest) {
					s.t.Errorf("%s: %v", name, err)
				}
			}
			p.sees(id, started) // and it was looked at before
			if _, _, err := theirs.Look(s.t.Context(), tid, id); !errors.Is(err, gateway.ErrNoRequest) {
				s.t.Error(err)
			}
			if len(theirs.Terminals()) != 0 || len(p.Terminals()) != 2 {
				s.t.Error("terminals are seen across sites")
			}
			if _, err := s.g.Till("wrong", txn.Caller{}); !errors.Is(err, gateway.ErrWrongKey) {
				s.t.Error(err)
			}
		}},
		{"kept for its time, then gone", func(s *shop, p *polling) {
			id := p.begins(aSale)
			s.pdq.say(terminal.Ended{ID: id, Outcome: outcome(txn.Successful)})
			sleep(7*24*time.Hour - time.Minute)
			p.sees(id, started, "SALE SUCCESSFUL 12.50")
			sleep(2 * time.Minute)
			if _, _, err := p.Look(s.t.Context(), tid, id); !errors.Is(err, gateway.ErrNoRequest) {
				s.t.Error(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inShop(t, memory.New(), func(s *shop) { c.play(s, s.polling(demoKey)) })
		})
	}
}

// TestTillIsTold has a till follow a sale: each change wakes it, and what it sees
// only grows.
func TestTillIsTold(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		p := s.polling(demoKey)
		id := p.begins(aSale)
		var seen []string
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				v, changed, err := p.Look(s.t.Context(), tid, id)
				if err != nil {
					s.t.Error(err)
					return
				}
				if v.Kept > len(v.Notices) {
					s.t.Errorf("%d of %d notices are on disk", v.Kept, len(v.Notices))
				}
				now := inWords(v)
				if len(now) < len(seen) || !slices.Equal(seen, now[:len(seen)]) {
					s.t.Errorf("after %q it sees %q", seen, now)
				}
				seen = now
				if changed == nil {
					return
				}
				if v.Ended {
					<-changed // it is told that there is no more
					continue
				}
				<-changed
			}
		}()
		for _, n := range []txn.Notification{"PRESENT_CARD", "PIN_ENTRY", "CONNECTING", "APPROVED"} {
			s.pdq.say(terminal.Notified{ID: id, Value: n})
		}
		sleep(time.Second)
		if v := p.looks(id); v.Kept != 5 {
			s.t.Errorf("%d notices are on disk", v.Kept)
		}
		s.pdq.say(terminal.Ended{ID: id, Outcome: outcome(txn.Successful)})
		select {
		case <-done:
		default:
			s.t.Error("it was not told of the end")
		}
		if got := strings.Join(seen, " "); got != started+" PRESENT_CARD PIN_ENTRY CONNECTING APPROVED SALE SUCCESSFUL 12.50" {
			s.t.Errorf("it saw %s", got)
		}
	})
}

// TestTillAtOnce has two tills come with one key while the first is recorded.
func TestTillAtOnce(t *testing.T) {
	for _, kept := range []bool{true, false} {
		t.Run(fmt.Sprintf("kept %t", kept), func(t *testing.T) {
			f := newFaulty()
			inShop(t, f, func(s *shop) {
				p := s.polling(demoKey)
				f.set(func(int, journal.Append) mishap {
					if kept {
						return mishap{wait: time.Second}
					}
					return mishap{wait: time.Second, before: journal.ErrFull}
				}, nil)
				type answer struct {
					b   gateway.Begun
					err error
				}
				answers := make(chan answer, 3)
				for range 3 {
					go func() {
						b, err := p.Begin(s.t.Context(), under("k", aSale))
						answers <- answer{b, err}
					}()
					synctest.Wait()
				}
				ids, replayed := map[txn.RequestID]bool{}, 0
				for range 3 {
					a := <-answers
					if kept == (a.err != nil) {
						s.t.Errorf("begun with %v", a.err)
					}
					ids[a.b.ID] = true
					if a.b.Replayed {
						replayed++
					}
				}
				if kept && (len(ids) != 1 || replayed != 2) {
					s.t.Errorf("%d requests, %d of them replayed", len(ids), replayed)
				}
				want := 0
				if kept {
					want = 1
				}
				s.terminalHeard(s.pdq, "start", want)
			})
		})
	}
}

// TestTillAfterRestart has a gateway die with requests of polling tills open, and
// the tills come back for them.
func TestTillAfterRestart(t *testing.T) {
	store := memory.New()
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, store, io.Discard)
		p := s.polling(demoKey)
		sale := p.begins(under("k", aSale))
		s.pdq.say(terminal.Notified{ID: sale, Value: "PRESENT_CARD"})
		sleep(time.Second)
		s.other.last = func(ctx context.Context) (terminal.Last, error) { return terminal.Last{}, mute(ctx) }
		again := p.begins(gateway.Wish{TID: otherTID, Duplicate: true, Key: "d"})
		s.g.Close()

		s.pdq.query = func(context.Context, txn.RequestID) (terminal.Answer, error) {
			o := outcome(txn.Successful)
			return terminal.Answer{Kind: terminal.Final, Outcome: &o}, nil
		}
		s.open(io.Discard, gateway.Limits{})
		p = s.polling(demoKey)
		p.sees(sale, started, "PRESENT_CARD", "SALE SUCCESSFUL 12.50")
		if v := p.looks(sale); v.Kept != 2 {
			t.Errorf("%d notices are on disk", v.Kept)
		}
		if b, err := p.Begin(t.Context(), under("k", aSale)); err != nil || b.ID != sale || !b.Replayed {
			t.Errorf("%+v, %v", b, err)
		}
		v, _, err := p.Look(t.Context(), otherTID, again)
		if diff := cmp.Diff([]string{"nothing"}, inWords(v)); err != nil || diff != "" {
			t.Errorf("%v, %s", err, diff)
		}
		if b, err := p.Begin(t.Context(), gateway.Wish{TID: otherTID, Duplicate: true, Key: "d"}); err != nil || b.ID != again || !b.Replayed {
			t.Errorf("%+v, %v", b, err)
		}
		s.terminalHeard(s.pdq, "start", 1)
	})
}

// TestDuplicateIsRecorded has the journal fail under a duplicate: it has one end
// all the same, and the terminal is free then.
func TestDuplicateIsRecorded(t *testing.T) {
	for name, m := range map[string]mishap{
		"full":              {before: journal.ErrFull},
		"uncertain, kept":   {after: journal.ErrUncertain},
		"uncertain, or not": {before: journal.ErrUncertain},
	} {
		for _, at := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s at %d", name, at), func(t *testing.T) {
				f := newFaulty()
				inShop(t, f, func(s *shop) {
					p := s.polling(demoKey)
					n := 0
					f.set(func(int, journal.Append) mishap {
						if n++; n == at {
							return m
						}
						return mishap{}
					}, nil)
					b, err := p.Begin(s.t.Context(), under("k", gateway.Wish{TID: tid, Duplicate: true}))
					sleep(2 * time.Minute)
					s.stands("AVAILABLE")
					open, openErr := s.store.OpenStreams(s.t.Context())
					if openErr != nil || len(open) != 0 {
						s.t.Errorf("left open: %+v, %v", open, openErr)
					}
					if err == nil {
						p.sees(b.ID, "nothing")
					} else if at != 1 || !errors.Is(err, gateway.ErrUnavailable) {
						s.t.Error(err)
					}
				})
			})
		}
	}
}

// TestPolledCrashes kills the gateway before and after each append of what polling
// tills ask for, and starts another one on what is on disk. What a till was given is
// still there, and asking again under the same key gives the same.
func TestPolledCrashes(t *testing.T) {
	for _, c := range []struct {
		name, tid string
		wish      gateway.Wish
		then      func(ctx context.Context, p *polling, id txn.RequestID)
	}{
		{"sale", "VCMDEMOSIP0", aSale, nil},
		{"signed", "VCMDEMOSIS0", aSale, func(ctx context.Context, p *polling, id txn.RequestID) {
			sleep(20 * time.Second)
			_, _ = p.AnswerSignature(ctx, "VCMDEMOSIS0", id, true, nil)
		}},
		{"cancelled", "VCMDEMOSIP0", aSale, func(ctx context.Context, p *polling, id txn.RequestID) {
			sleep(time.Second)
			_, _ = p.Cancel(ctx, "VCMDEMOSIP0", id, true)
		}},
		{"timed out", "VCMDEMOTIP0", aSale, func(context.Context, *polling, txn.RequestID) { sleep(200 * time.Second) }},
		{"report", "VCMDEMOSIP0", gateway.Wish{Report: report.EndOfDay}, nil},
		{"duplicate", "VCMDEMOSIP0", gateway.Wish{Duplicate: true}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			everyCrash(t, func(t *testing.T, at crash) int { return crashPolled(t, c.tid, c.wish, at, c.then) })
		})
	}
}

func crashPolled(t *testing.T, tid string, wish gateway.Wish, at crash, then func(context.Context, *polling, txn.RequestID)) int {
	f := newFaulty()
	w := newWorld(t, f, sim.Options{Seed: 7, Speed: 1})
	wish.TID = txn.TID(tid)
	came := func() *polling { return (&shop{world: w}).polling(demoKey) }
	p := came()
	w.machine(tid).Script(sim.Script{Result: txn.Declined, CVM: txn.CVMPIN})
	p.begins(gateway.Wish{TID: wish.TID, Txn: aSale.Txn})
	sleep(time.Minute)
	before := f.appends()
	at.strike(f)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // the gateway may be dead
	defer cancel()
	b, err := p.Begin(ctx, under("k", wish))
	var seen gateway.View
	if err == nil {
		if then != nil {
			then(ctx, p, b.ID)
		}
		sleep(40 * time.Second)
		if seen, _, err = p.Look(ctx, wish.TID, b.ID); err != nil {
			t.Error(err)
		}
	}
	appends := f.appends() - before
	f.set(nil, nil)
	w.g.Close()
	f.revive()
	if at.power {
		if err := w.machine(tid).PowerCycle(); err != nil {
			t.Fatal(err)
		}
	}
	w.start(gateway.Limits{})
	p = came()
	again, err := p.Begin(t.Context(), under("k", wish))
	if b.ID != "" && (again.ID != b.ID || !again.Replayed || err != nil) {
		t.Errorf("%s was begun; afterwards %+v, %v", b.ID, again, err)
	}
	sleep(10 * time.Minute)
	w.whole()
	open, err := w.store.OpenStreams(t.Context())
	for _, h := range open {
		if h.Kind == journal.DuplicateStream {
			t.Errorf("left open: %+v", h)
		}
	}
	if err != nil {
		t.Error(err)
	}
	if again.ID == "" {
		return appends // it was not taken: the machine was still at something else
	}
	v, _, err := p.Look(t.Context(), wish.TID, again.ID)
	if err != nil || !v.Ended {
		t.Fatalf("in the end it is %+v, %v", v, err)
	}
	if seen.Ended { // an end changes no more, but for what came late
		seen.Late, seen.LateAt, seen.Waits, seen.Kept = v.Late, v.LateAt, v.Waits, v.Kept
		if diff := cmp.Diff(seen, v); diff != "" {
			t.Errorf("what it saw in the end (- before, + after the crash):\n%s", diff)
		}
	}
	for i, n := range seen.Notices[:seen.Kept] {
		if v.Notices[i] != n {
			t.Errorf("notice %d was %v, now %v", i, n, v.Notices[i])
		}
	}
	if wish.Report != "" || wish.Duplicate {
		return appends
	}
	if all := transactions(t, f, "demo"); len(all) != 2 {
		t.Errorf("%d transactions instead of two", len(all))
	}
	return appends
}

// TestTillSignsAfterRestart: a question that was open when a gateway died is one
// question still, and its answer counts.
func TestTillSignsAfterRestart(t *testing.T) {
	store := memory.New()
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, store, io.Discard)
		id := s.polling(demoKey).begins(aSale)
		wanted := terminal.SignatureWanted{ID: id, Wish: txn.SignatureWish{Type: txn.Sale, Method: txn.MethodChip}}
		s.pdq.say(wanted)
		sleep(time.Second)
		s.g.Close()
		s.pdq.query = going
		s.open(io.Discard, gateway.Limits{})
		s.pdq.say(wanted)
		p := s.polling(demoKey)
		p.sees(id, started, signature, inProgress, "signature?")
		if said, err := p.AnswerSignature(t.Context(), tid, id, false, nil); said != gateway.SignatureTaken || err != nil {
			t.Errorf("it came to %d, %v", said, err)
		}
		p.sees(id, started, signature, inProgress, sigDone)
		s.terminalHeard(s.pdq, "answer false", 1)
	})
}

// TestTillHearsOfTheJournal: whatever is wrong with a journal, a till hears that
// nothing can be stored, and no more.
func TestTillHearsOfTheJournal(t *testing.T) {
	for _, err := range []error{journal.ErrFull, errLost} {
		f := newFaulty()
		inShop(t, f, func(s *shop) {
			f.set(func(int, journal.Append) mishap { return mishap{before: err} }, nil)
			var unavailable *gateway.UnavailableError
			if _, got := s.polling(demoKey).Begin(s.t.Context(), aSale); !errors.As(got, &unavailable) || unavailable.Text != spec.UserMessageStorageFull {
				s.t.Errorf("after %v it hears %v", err, got)
			}
		})
	}
}

// A writing journal is one that cannot be stopped once it writes, which takes it a
// second.
type writing struct{ journal.Store }

func (w writing) Append(ctx context.Context, a journal.Append) error {
	time.Sleep(time.Second) // fake time
	return w.Store.Append(context.WithoutCancel(ctx), a)
}

// TestTillBeginsAsTheGatewayEnds has the gateway end while a request is recorded: its
// till is not told that nothing was begun, for it is on disk.
func TestTillBeginsAsTheGatewayEnds(t *testing.T) {
	inShop(t, writing{memory.New()}, func(s *shop) {
		p := s.polling(demoKey)
		said := make(chan error, 1)
		go func() {
			_, err := p.Begin(s.t.Context(), aSale)
			said <- err
		}()
		synctest.Wait()
		s.g.Close()
		if err := <-said; err == nil || errors.Is(err, gateway.ErrUnavailable) {
			s.t.Errorf("told %v", err)
		}
		if got := s.recorded(); got.State != txn.AtTerminal {
			s.t.Errorf("recorded as %q", got.State)
		}
	})
}
