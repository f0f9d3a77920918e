package gateway_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

const (
	started     = "TRANSACTION_STARTED"
	finished    = "TRANSACTION_FINISHED"
	attempting  = "ATTEMPTING_CANCEL"
	cancelling  = "CANCELLING"
	unable      = "UNABLE_TO_CANCEL"
	signature   = "SIGNATURE_VERIFICATION"
	inProgress  = "SIGNATURE_VERIFICATION_IN_PROGRESS"
	sigDone     = "SIGNATURE_VERIFICATION_PROCESS_COMPLETED"
	sigCouldNot = "SIGNATURE_VERIFICATION_PROCESS_COULD_NOT_BE_COMPLETED"
	sigTimeout  = "SIGNATURE_VERIFICATION_TIMEOUT"
)

// TestDrivers has terminals behave in every way that their contract forbids or
// leaves open, and looks at what the till hears and what is on disk.
func TestDrivers(t *testing.T) {
	for _, c := range []struct {
		name string
		play func(s *shop, a *till)
	}{
		{"refuses", func(s *shop, a *till) {
			s.pdq.start = func(context.Context, terminal.Request) error {
				return &terminal.RefusedError{Reason: "no paper", UserMessage: "Put paper in."}
			}
			a.sale(1)
			s.gets(a, "1 error -32072")
			s.notRun(txn.Refused, txn.ToldError)
			s.stands("AVAILABLE")
		}},
		{"is busy by its own word", func(s *shop, a *till) {
			s.pdq.start = func(context.Context, terminal.Request) error { return terminal.ErrBusy }
			a.sale(1)
			s.gets(a, "1 error -32071")
			s.notRun(txn.WasBusy, txn.ToldError)
			s.pdq.say(terminal.StatusChanged{Busy: true})
			s.stands("BUSY")
			a.sale(2)
			s.gets(a, "2 error -32071")
			s.terminalHeard(s.pdq, "start", 1)
			s.pdq.say(terminal.StatusChanged{})
			s.stands("AVAILABLE")
		}},
		{"certainly did not hear", func(s *shop, a *till) {
			s.pdq.start = func(context.Context, terminal.Request) error { return terminal.ErrNotDelivered }
			a.sale(1)
			s.gets(a, "1 error -32074")
			s.notRun(txn.NotDelivered, txn.ToldError)
		}},
		{"start hangs, and it never ran", func(s *shop, a *till) {
			s.pdq.start = func(ctx context.Context, _ terminal.Request) error { return mute(ctx) }
			s.pdq.query = never
			a.sale(1)
			s.gets(a)
			s.stands("BUSY")
			sleep(10 * time.Second)
			s.gets(a, "1 error -32074")
			s.notRun(txn.Fenced, txn.ToldError)
			s.stands("AVAILABLE")
		}},
		{"start hangs, and it runs", func(s *shop, a *till) {
			s.pdq.start = func(ctx context.Context, _ terminal.Request) error { return mute(ctx) }
			s.pdq.query = going
			a.sale(1)
			sleep(10 * time.Second)
			s.gets(a, started)
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
			s.gets(a, finished, "1 SUCCESSFUL")
			s.terminalHeard(s.pdq, "start", 1)
		}},
		{"start succeeds long after its limit", func(s *shop, a *till) {
			s.pdq.start = func(context.Context, terminal.Request) error { time.Sleep(15 * time.Second); return nil }
			a.sale(1)
			sleep(14 * time.Second)
			s.gets(a)
			sleep(2 * time.Second)
			s.gets(a, started)
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
			s.gets(a, finished, "1 SUCCESSFUL")
		}},
		{"start succeeds after TIMED_OUT", func(s *shop, a *till) {
			s.pdq.start = func(context.Context, terminal.Request) error { time.Sleep(300 * time.Second); return nil }
			s.pdq.query = going
			a.sale(1)
			sleep(200 * time.Second)
			s.gets(a, finished, "1 TIMED_OUT")
			sleep(200 * time.Second)
			s.gets(a)
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Declined)})
			s.gets(a)
			s.ended(txn.Declined, txn.ToldTimedOut)
			s.terminalHeard(s.pdq, "start", 1)
		}},
		{"an error for a start that its events belie", func(s *shop, a *till) {
			s.pdq.start = func(_ context.Context, r terminal.Request) error {
				s.pdq.sink(terminal.Notified{ID: r.ID, Value: "PRESENT_CARD"})
				return terminal.ErrNotDelivered
			}
			a.sale(1)
			s.gets(a, started, "PRESENT_CARD")
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
			s.gets(a, finished, "1 SUCCESSFUL")
			s.ended(txn.Successful, txn.ToldResult)
		}},
		{"the end comes before the start has returned", func(s *shop, a *till) {
			s.pdq.start = func(_ context.Context, r terminal.Request) error {
				s.pdq.sink(terminal.Ended{ID: r.ID, Outcome: outcome(txn.Successful)})
				return terminal.ErrBusy
			}
			a.sale(1)
			s.gets(a, started, finished, "1 SUCCESSFUL")
			s.ended(txn.Successful, txn.ToldResult)
		}},
		{"events for ids that nobody knows", func(s *shop, a *till) {
			a.sale(1)
			s.pdq.say(
				terminal.Notified{ID: "x", Value: "PRESENT_CARD"}, terminal.SignatureWanted{ID: "x"},
				terminal.Ended{ID: "x", Outcome: outcome(txn.Successful)}, terminal.Ended{ID: "x", Outcome: outcome(txn.Successful)},
				terminal.Ended{ID: "", Outcome: outcome(txn.Successful)}, terminal.Reported{ID: "y", Report: report.Report{Type: report.XBalance}},
			)
			s.gets(a, started)
			s.terminalHeard(s.pdq, "acknowledge x", 2)
			s.terminalHeard(s.pdq, "acknowledge y", 1)
			if n := len(s.heads(journal.OrphanStream)); n != 3 {
				s.t.Errorf("%d orphans, want 3", n)
			}
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Declined)})
			s.gets(a, finished, "1 DECLINED")
		}},
		{"a terminal speaks of another one's transaction", func(s *shop, a *till) {
			a.sale(1)
			s.gets(a, started)
			s.other.say(
				terminal.Notified{ID: s.pdq.id(), Value: "PRESENT_CARD"}, terminal.SignatureWanted{ID: s.pdq.id()},
				terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)},
				terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)},
			)
			s.gets(a)
			s.stands("BUSY")
			s.terminalHeard(s.other, "acknowledge", 2) // it is kept, as what it is
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Declined)})
			s.gets(a, finished, "1 DECLINED")
			s.other.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Void)})
			s.ended(txn.Declined, txn.ToldResult)
			if got := s.recorded(); got.Conflict != nil {
				s.t.Errorf("another terminal's word was recorded as a conflict: %+v", got.Conflict)
			}
			if n := len(s.heads(journal.OrphanStream)); n != 1 {
				s.t.Errorf("%d orphans, want 1", n)
			}
		}},
		{"a report for a transaction, and an outcome for a report", func(s *shop, a *till) {
			a.sale(1)
			s.pdq.say(terminal.Reported{ID: s.pdq.id(), Report: report.Report{Type: report.XBalance, Result: report.Complete}})
			s.gets(a, started)
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Declined)})
			s.gets(a, finished, "1 DECLINED")
			a.asks(2, "reportBanking", "")
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
			s.gets(a)
			s.pdq.say(terminal.Reported{ID: s.pdq.id(), Report: report.Report{Type: report.Banking, Result: report.Complete, Time: time.Now()}})
			s.gets(a, "2 COMPLETE")
			if n := len(s.heads(journal.OrphanStream)); n != 2 {
				s.t.Errorf("%d orphans, want 2", n)
			}
		}},
		{"the same end again and again", func(s *shop, a *till) {
			a.sale(1)
			end := terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)}
			s.pdq.say(end, end, end)
			end.Outcome.Receipts.Customer = []receipt.Line{{Type: receipt.Text, Value: "worded anew"}}
			s.pdq.say(end)
			s.gets(a, started, finished, "1 SUCCESSFUL")
			s.ended(txn.Successful, txn.ToldResult)
			s.terminalHeard(s.pdq, "acknowledge", 4)
			if s.recorded().Conflict != nil {
				s.t.Error("the same end was recorded as a conflict")
			}
		}},
		{"another end after the end", func(s *shop, a *till) {
			a.sale(1)
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Declined)})
			s.gets(a, started, finished, "1 DECLINED")
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
			s.gets(a)
			got := s.recorded()
			if got.Conflict == nil || got.Conflict.Result != txn.Successful || got.Outcome.Result != txn.Declined {
				s.t.Errorf("the conflict is not recorded: %+v", got)
			}
			s.terminalHeard(s.pdq, "acknowledge", 2)
			a.asks(2, "duplicate", "")
			s.gets(a, "2 DECLINED") // of two words the first stands
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: txn.Outcome{Result: "PERHAPS"}}, terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.TimedOut)})
			s.terminalHeard(s.pdq, "acknowledge", 4)
			if again := s.recorded(); again.Conflict.Result != txn.Successful {
				s.t.Errorf("the conflict became %+v", again.Conflict)
			}
		}},
		{"an end after it said that it was busy", func(s *shop, a *till) {
			s.pdq.start = func(context.Context, terminal.Request) error { return terminal.ErrBusy }
			a.sale(1)
			s.gets(a, "1 error -32071")
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
			if got := s.recorded(); got.Conflict == nil || got.NotRun != txn.WasBusy {
				s.t.Errorf("recorded %+v", got)
			}
			a.asks(2, "duplicate", "")
			s.gets(a, "2 SUCCESSFUL") // the terminal's word counts, above all now
		}},
		{"a final word that cannot be used", func(s *shop, a *till) {
			for i, spoil := range []func(*txn.Outcome){
				func(o *txn.Outcome) { o.Result = "" },
				func(o *txn.Outcome) { o.Result = "successful" },
				func(o *txn.Outcome) { o.Type = "GIFT" },
				func(o *txn.Outcome) { o.Currency = money.EUR },
				func(o *txn.Outcome) { o.Currency = "" },
				func(o *txn.Outcome) { o.Base = -1 },
				func(o *txn.Outcome) { o.Gratuity = 100_000_000 },
			} {
				id := 10 + i
				a.sale(id)
				bad := outcome(txn.Successful)
				spoil(&bad)
				acknowledged := s.pdq.heard("acknowledge")
				s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: bad})
				s.gets(a, started, finished, word(`{"id":`+itoa(id)+`,"result":{"transactionResult":"TIMED_OUT"}}`))
				if got := s.recorded(); got.State != txn.Unresolved || got.Told != txn.ToldTimedOut {
					s.t.Errorf("%d: recorded %s, told %s", i, got.State, got.Told)
				}
				s.terminalHeard(s.pdq, "acknowledge", acknowledged) // it stays with the terminal
				s.stands("AVAILABLE")
				s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
				s.gets(a)
				s.ended(txn.Successful, txn.ToldTimedOut)
			}
		}},
		{"other amounts than asked", func(s *shop, a *till) {
			a.sale(1)
			o := outcome(txn.Successful)
			o.Base, o.Cashback, o.Gratuity = 1, 2, 3
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: o})
			s.gets(a, started, finished, "1 SUCCESSFUL") // its word; the till books what it is told
			if got := s.recorded().Outcome.Total(); got != 6 {
				s.t.Errorf("recorded %d", got)
			}
		}},
		{"what does not fit the wire", func(s *shop, a *till) {
			a.sale(1)
			id := s.pdq.id()
			lines := []receipt.Line{{Type: "QR", Format: []receipt.Format{"BLINK", receipt.Bold}, Value: "a\xffb"}, {}}
			s.pdq.say(terminal.SignatureWanted{ID: id, Wish: txn.SignatureWish{Type: "?", Method: "?", PAN: "12", Merchant: lines, Label: "\xff"}})
			s.gets(a, started, signature, "1 signatureVerificationRequest", inProgress)
			a.signs(1, true)
			s.gets(a, sigDone)
			o := outcome(txn.Successful)
			o.Method, o.CVM, o.Start, o.Expiry, o.PAN, o.Time, o.AuthCode = "?", "", "1/2", "13/30", "1", time.Time{}, "\xc3"
			o.Receipts = receipt.Copies{Merchant: lines, Customer: lines}
			s.pdq.say(terminal.Notified{ID: id, Value: "NO_SUCH_WORD"}, terminal.Notified{ID: id, Value: txn.TransactionFinished}, terminal.Ended{ID: id, Outcome: o})
			s.gets(a, finished, "1 SUCCESSFUL")
			s.pdq.last = func(context.Context) (terminal.Last, error) { return terminal.Last{Outcome: o}, nil }
			a.asks(2, "duplicate", "")
			s.gets(a, "2 SUCCESSFUL")
		}},
		{"it says TIMED_OUT itself", func(s *shop, a *till) {
			a.sale(1)
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.TimedOut)})
			s.gets(a, started, finished, "1 TIMED_OUT")
			if got := s.recorded(); got.State != txn.Unresolved {
				s.t.Errorf("recorded as %s", got.State)
			}
			s.stands("AVAILABLE")
		}},
		{"query hangs after the link was back", func(s *shop, a *till) {
			s.pdq.query = func(ctx context.Context, _ txn.RequestID) (terminal.Answer, error) {
				return terminal.Answer{}, mute(ctx)
			}
			a.sale(1)
			s.gets(a, started)
			s.g.Unplug("demo", tid)
			s.stands("away")
			s.plug()
			s.stands("BUSY")
			sleep(199 * time.Second)
			s.gets(a)
			s.stands("BUSY") // its transaction holds it
			sleep(time.Second)
			s.gets(a, finished, "1 TIMED_OUT")
			s.stands("AVAILABLE") // although it is asked on and on
			for range 20 {
				sleep(7 * time.Second)
				s.stands("AVAILABLE")
			}
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
			s.ended(txn.Successful, txn.ToldTimedOut)
		}},
		{"its end comes while it is being asked", func(s *shop, a *till) {
			s.pdq.query = func(ctx context.Context, _ txn.RequestID) (terminal.Answer, error) {
				return terminal.Answer{}, mute(ctx)
			}
			a.sale(1)
			s.plug()
			s.stands("BUSY")
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
			s.gets(a, started, finished, "1 SUCCESSFUL")
			s.stands("AVAILABLE") // by the time that the result can be read
			a.sale(1)
			s.gets(a, started)
		}},
		{"blips do not make it be asked more and more", func(s *shop, a *till) {
			s.pdq.query = going
			a.sale(1)
			for range 20 {
				s.pdq.say(terminal.WentAway{}, terminal.CameBack{})
			}
			sleep(199 * time.Second)
			sleep(time.Second)
			s.gets(a, started, finished, "1 TIMED_OUT")
			before := s.pdq.heard("query")
			sleep(10 * time.Minute)
			if n := s.pdq.heard("query") - before; n > 16 {
				s.t.Errorf("asked %d times in ten minutes", n)
			}
		}},
		{"an answer from before a loss is no answer", func(s *shop, a *till) {
			slow := true
			s.pdq.query = func(context.Context, txn.RequestID) (terminal.Answer, error) {
				if slow {
					time.Sleep(5 * time.Second)
					return terminal.Answer{Kind: terminal.InProgress}, nil
				}
				time.Sleep(8 * time.Second)
				return terminal.Answer{Kind: terminal.NeverRan}, nil
			}
			s.pdq.start = func(context.Context, terminal.Request) error { return errLost }
			a.sale(1)
			s.pdq.say(terminal.WentAway{})
			slow = false
			s.pdq.say(terminal.CameBack{})
			sleep(6 * time.Second)
			s.gets(a)
			s.stands("BUSY")
			sleep(3 * time.Second)
			s.gets(a, "1 error -32074")
			s.stands("AVAILABLE")
		}},
		{"lost power and does not know", func(s *shop, a *till) {
			a.sale(1)
			s.pdq.say(terminal.WentAway{}, terminal.CameBack{Restarted: true})
			s.gets(a, started, finished, "1 TIMED_OUT") // at once
			s.stands("AVAILABLE")
			// The next one was not there when the power went: it has its whole time.
			s.pdq.start = func(context.Context, terminal.Request) error { return errLost }
			a.sale(2)
			sleep(199 * time.Second)
			s.gets(a)
			sleep(time.Second)
			s.gets(a, finished, "2 TIMED_OUT")
		}},
		{"takes back what it wanted signed", func(s *shop, a *till) {
			a.sale(1)
			s.pdq.say(terminal.SignatureWanted{ID: s.pdq.id()})
			s.pdq.query = never
			sleep(79 * time.Second)
			a.take()
			s.pdq.say(terminal.WentAway{}, terminal.CameBack{})
			s.gets(a, finished, "1 UNSUCCESSFUL")
			s.notRun(txn.Fenced, txn.ToldResult)
			a.signs(1, true)
			s.gets(a, "- error -32074")
		}},
		{"does not take the answer on a signature, for ever", func(s *shop, a *till) {
			s.pdq.answer = func(context.Context, txn.RequestID, bool) error { return errLost }
			s.pdq.query = going
			a.sale(1)
			s.pdq.say(terminal.SignatureWanted{ID: s.pdq.id()})
			s.gets(a, started, signature, "1 signatureVerificationRequest", inProgress)
			a.signs(1, false)
			s.gets(a, sigCouldNot)
			sleep(150 * time.Second)
			s.gets(a)
			if n := s.pdq.heard("answer false"); n < 2 || n > 12 {
				s.t.Errorf("told %d times", n)
			}
			s.terminalHeard(s.pdq, "answer true", 0)
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Void)})
			s.gets(a, finished, "1 VOID")
		}},
		{"does not take it once", func(s *shop, a *till) {
			n := 0
			s.pdq.answer = func(context.Context, txn.RequestID, bool) error {
				if n++; n == 1 {
					return errLost
				}
				return nil
			}
			s.pdq.query = going
			a.sale(1)
			s.pdq.say(terminal.SignatureWanted{ID: s.pdq.id()})
			a.signs(1, false)
			sleep(time.Second)
			s.gets(a, started, signature, "1 signatureVerificationRequest", inProgress, sigCouldNot, sigDone)
			s.terminalHeard(s.pdq, "answer false", 2)
		}},
		{"tells everything from within connect", func(s *shop, a *till) {
			a.sale(1)
			s.gets(a, started)
			s.pdq.query = going
			s.pdq.welcome = []terminal.Event{
				terminal.CameBack{},
				terminal.Notified{ID: s.pdq.id(), Value: "PRESENT_CARD"},
				terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)},
			}
			s.plug()
			s.gets(a, "PRESENT_CARD", finished, "1 SUCCESSFUL")
			s.stands("AVAILABLE")
		}},
		{"an older link goes on talking", func(s *shop, a *till) {
			a.sale(1)
			old := s.pdq.sink
			s.pdq.query = going
			s.plug()
			old(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Declined)})
			old(terminal.WentAway{})
			s.gets(a, started)
			s.stands("BUSY")
			done := make(chan struct{})
			go func() { // while a newer link is being plugged in
				defer close(done)
				for range 100 {
					s.pdq.sink(terminal.Notified{ID: s.pdq.id(), Value: "PLEASE_WAIT"})
				}
			}()
			next := newFake()
			next.query = going
			if err := s.g.Plug("demo", tid, next.connect); err != nil {
				s.t.Fatal(err)
			}
			<-done
			synctest.Wait()
			a.take()
			next.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
			s.gets(a, finished, "1 SUCCESSFUL")
			s.terminalHeard(next, "acknowledge", 1)
		}},
		{"goes away before anything was told to it, and does not come back", func(s *shop, a *till) {
			f := s.store.(*faulty)
			f.set(func(int, journal.Append) mishap { return mishap{wait: time.Second} }, nil)
			a.sale(1)
			s.pdq.say(terminal.WentAway{})
			sleep(2 * time.Second)
			s.gets(a, "1 error -32074")
			s.notRun(txn.NotDelivered, txn.ToldError)
			s.terminalHeard(s.pdq, "start", 0)
			a.sale(2)
			s.gets(a, "2 error -32070")
		}},
		{"a cancel fails with the link", func(s *shop, a *till) {
			s.pdq.cancel = func(context.Context, txn.RequestID) error { return errLost }
			s.pdq.query = going
			a.sale(1)
			a.cancels(2)
			s.gets(a, started, "2 map[cancelling:true]", attempting)
			s.pdq.cancel = nil
			s.pdq.say(terminal.WentAway{}, terminal.CameBack{}) // the wish is kept for its return
			s.terminalHeard(s.pdq, "cancel", 2)
			s.pdq.say(terminal.Notified{ID: s.pdq.id(), Value: txn.Cancelling}, terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Cancelled)})
			s.gets(a, cancelling, finished, "1 CANCELLED")
		}},
		{"cannot cancel", func(s *shop, a *till) {
			s.pdq.cancel = func(context.Context, txn.RequestID) error { return &terminal.RefusedError{Reason: "no such key"} }
			a.sale(1)
			a.cancels(2)
			s.gets(a, started, "2 map[cancelling:true]", attempting, unable)
		}},
		{"never says what became of a cancel", func(s *shop, a *till) {
			for _, r := range []txn.Result{txn.Successful, txn.Cancelled} {
				a.sale(1)
				a.cancels(2)
				s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(r)})
				said := unable
				if r == txn.Cancelled {
					said = cancelling
				}
				s.gets(a, started, "2 map[cancelling:true]", attempting, said, finished, "1 "+string(r))
			}
		}},
		{"cancels that nobody asked for, and twice", func(s *shop, a *till) {
			a.sale(1)
			id := s.pdq.id()
			s.pdq.say(terminal.Notified{ID: id, Value: txn.UnableToCancel})
			a.cancels(2)
			no := terminal.Notified{ID: id, Value: txn.UnableToCancel}
			s.pdq.say(no, no, terminal.Notified{ID: id, Value: txn.AttemptingCancel})
			s.gets(a, started, "2 map[cancelling:true]", attempting, unable)
		}},
		{"busy after a cancel was asked for", func(s *shop, a *till) {
			s.pdq.start = func(context.Context, terminal.Request) error { time.Sleep(time.Second); return terminal.ErrBusy }
			a.sale(1)
			a.cancels(2)
			sleep(time.Second)
			// It has notified, so it ends in a result and not in an error.
			s.gets(a, "2 map[cancelling:true]", attempting, unable, finished, "1 UNSUCCESSFUL")
			s.notRun(txn.WasBusy, txn.ToldResult)
		}},
		{"asks for a signature again and again", func(s *shop, a *till) {
			a.sale(1)
			w := terminal.SignatureWanted{ID: s.pdq.id()}
			s.pdq.say(w, w)
			a.signs(1, false)
			s.pdq.say(w)
			s.gets(a, started, signature, "1 signatureVerificationRequest", inProgress, sigDone)
			sleep(100 * time.Second)
			s.terminalHeard(s.pdq, "answer true", 0)
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Void)}, w)
			s.gets(a, finished, "1 VOID")
		}},
		{"wants a signature when the till has been told", func(s *shop, a *till) {
			s.pdq.query = going
			a.sale(1)
			sleep(200 * time.Second)
			s.gets(a, started, finished, "1 TIMED_OUT")
			s.pdq.say(terminal.SignatureWanted{ID: s.pdq.id()})
			s.gets(a)
			sleep(80 * time.Second)
			s.gets(a)
			s.terminalHeard(s.pdq, "answer true", 1)
		}},
		{"makes another report than asked, late, and twice", func(s *shop, a *till) {
			balances := report.New(money.GBP)
			made := func(kind report.Type) terminal.Reported {
				r, _ := balances.Make(kind, time.Now())
				return terminal.Reported{ID: s.pdq.id(), Report: r}
			}
			a.asks(1, "reportXBalance", "")
			s.pdq.say(made(report.ZBalance), made(report.XBalance))
			s.gets(a, "1 TIMED_OUT")
			s.stands("AVAILABLE")
			a.asks(2, "reportZBalance", "")
			sleep(120 * time.Second)
			s.gets(a, "2 TIMED_OUT")
			s.stands("AVAILABLE")
			s.pdq.say(made(report.ZBalance), made(report.ZBalance))
			s.gets(a)
			a.asks(3, "reportEndOfDay", "")
			none := made(report.EndOfDay)
			none.Report.Balances = nil
			s.pdq.say(none)
			s.gets(a, "3 TIMED_OUT")
			a.asks(4, "reportXBalance", "")
			euro, _ := report.New(money.EUR).Make(report.XBalance, time.Now())
			s.pdq.say(terminal.Reported{ID: s.pdq.id(), Report: euro})
			s.gets(a, "4 TIMED_OUT")
			a.asks(5, "reportXBalance", "")
			s.pdq.say(made(report.XBalance))
			s.gets(a, "5 COMPLETE")
			for _, h := range s.heads(journal.ReportStream) {
				if h.Open {
					s.t.Errorf("open: %+v", h)
				}
			}
		}},
		{"a report's start fails", func(s *shop, a *till) {
			for i, c := range []struct {
				err  error
				want string
			}{{terminal.ErrBusy, "-32071"}, {terminal.ErrNotDelivered, "-32074"}, {&terminal.RefusedError{Reason: "no"}, "-32072"}} {
				s.pdq.start = func(context.Context, terminal.Request) error { return c.err }
				a.asks(i, "reportBanking", "")
				s.gets(a, itoa(i)+" error "+c.want)
				s.stands("AVAILABLE")
			}
			s.pdq.start = func(context.Context, terminal.Request) error { return errLost }
			s.pdq.query = never
			a.asks(7, "reportBanking", "")
			s.gets(a, "7 error -32074")
			s.pdq.query = nil
			a.asks(8, "reportBanking", "")
			s.gets(a, "8 TIMED_OUT")
		}},
		{"names a last transaction that is not its own, or is newer", func(s *shop, a *till) {
			a.sale(1)
			first := s.pdq.id()
			s.pdq.say(terminal.Ended{ID: first, Outcome: outcome(txn.Declined)})
			a.sale(2)
			second := s.pdq.id()
			s.pdq.say(terminal.Ended{ID: second, Outcome: outcome(txn.Successful)}, terminal.Ended{ID: "orphan", Outcome: outcome(txn.Void)})
			a.take()
			for _, c := range []struct {
				last txn.RequestID
				want string
			}{
				{second, "SUCCESSFUL"}, {first, "SUCCESSFUL"}, // an older one of ours is never named
				{"", "VOID"}, {"orphan", "VOID"}, {"unknown", "VOID"}, // later, and not from here
			} {
				s.pdq.last = func(context.Context) (terminal.Last, error) {
					return terminal.Last{ID: c.last, Outcome: outcome(txn.Void)}, nil
				}
				a.asks(3, "duplicate", "")
				s.gets(a, "3 "+c.want)
			}
			s.pdq.last = func(context.Context) (terminal.Last, error) { return terminal.Last{}, errors.New("no") }
			a.asks(4, "duplicate", "")
			s.gets(a, "4 SUCCESSFUL")
		}},
		{"a sale begins while a duplicate is fetched", func(s *shop, a *till) {
			s.pdq.last = func(context.Context) (terminal.Last, error) {
				time.Sleep(time.Second)
				return terminal.Last{Outcome: outcome(txn.Void)}, nil
			}
			a.asks(1, "duplicate", "")
			a.sale(2)
			sleep(time.Second)
			s.gets(a, started, "1 error -32071")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inShop(t, newFaulty(), func(s *shop) { c.play(s, s.connect("a", "v1")) })
		})
	}
}

func itoa(i int) string { return strconv.Itoa(i) }
