package gateway_test

import (
	"errors"
	"testing"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

var errDisk = errors.New("disk: input/output error")

// TestFaultyJournal has the journal fail at each step at which something must
// be on disk before anybody hears of it.
func TestFaultyJournal(t *testing.T) {
	for _, c := range []struct {
		name string
		play func(s *shop, f *faulty, a *till)
	}{
		{"refused at the beginning", func(s *shop, f *faulty, a *till) {
			for i, err := range []error{journal.ErrFull, errDisk, journal.ErrClosed, journal.ErrConflict} {
				f.set(always(err), nil)
				a.sale(1 + i)
				s.gets(a, itoa(1+i)+" error -32603")
				a.asks(1, "reportBanking", "")
				s.gets(a, "1 error -32603")
			}
			s.stands("AVAILABLE")
			f.set(nil, nil)
			if n := len(s.heads("")); n != 0 {
				s.t.Errorf("%d streams", n)
			}
			s.terminalHeard(s.pdq, "start", 0)
			a.sale(9)
			s.gets(a, started)
		}},
		{"uncertain at the beginning, and kept", func(s *shop, f *faulty, a *till) {
			f.set(func(int, journal.Append) mishap { return mishap{after: journal.ErrUncertain} }, nil)
			a.sale(1)
			s.gets(a, started)
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
			s.gets(a, finished, "1 SUCCESSFUL")
			s.ended(txn.Successful, txn.ToldResult)
		}},
		{"uncertain at the beginning, and not kept", func(s *shop, f *faulty, a *till) {
			once := true
			f.set(func(int, journal.Append) mishap {
				if once {
					once = false
					return mishap{before: journal.ErrUncertain}
				}
				return mishap{}
			}, nil)
			a.sale(1)
			s.gets(a, started)
		}},
		{"uncertain at the beginning, and nobody can say", func(s *shop, f *faulty, a *till) {
			f.set(func(int, journal.Append) mishap { return mishap{after: journal.ErrUncertain} }, errDisk)
			a.sale(1)
			s.gets(a, "1 error -32603")
			s.terminalHeard(s.pdq, "start", 0)
			sleep(90 * time.Second)
			f.set(nil, nil)
			sleep(2 * time.Minute)
			s.notRun(txn.NeverSent, txn.ToldError) // it has its one end all the same
			s.terminalHeard(s.pdq, "start", 0)
			a.asks(2, "duplicate", "")
			s.gets(a, "2 error -32072")
		}},
		{"full at the end", func(s *shop, f *faulty, a *till) {
			a.sale(1)
			f.set(always(journal.ErrFull), nil)
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
			sleep(30 * time.Second)
			s.gets(a, started) // not a word before it is on disk
			s.terminalHeard(s.pdq, "acknowledge", 0)
			s.stands("BUSY")
			f.set(nil, nil)
			sleep(time.Second)
			s.gets(a, finished, "1 SUCCESSFUL")
			s.terminalHeard(s.pdq, "acknowledge", 1)
			s.stands("AVAILABLE")
		}},
		{"full for longer than the limit", func(s *shop, f *faulty, a *till) {
			s.pdq.query = going
			a.sale(1)
			f.set(always(journal.ErrFull), nil)
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
			sleep(199 * time.Second)
			s.gets(a, started)
			sleep(time.Second)
			s.gets(a, finished, "1 TIMED_OUT") // it claims nothing, so it may be told
			f.set(nil, nil)
			sleep(time.Second)
			s.gets(a)
			s.ended(txn.Successful, txn.ToldTimedOut)
			s.terminalHeard(s.pdq, "acknowledge", 1)
		}},
		{"uncertain at the end, and nobody can say until much later", func(s *shop, f *faulty, a *till) {
			for i, late := range []time.Duration{10 * time.Second, 250 * time.Second} {
				a.sale(i)
				f.set(func(int, journal.Append) mishap { return mishap{after: journal.ErrUncertain} }, errDisk)
				s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
				sleep(late)
				f.set(nil, nil)
				sleep(2 * time.Second)
				if late < 200*time.Second {
					s.gets(a, started, finished, "0 SUCCESSFUL")
				} else {
					s.gets(a, started, finished, "1 TIMED_OUT")
				}
				if got := s.recorded(); got.State != txn.Finished || got.Outcome == nil {
					s.t.Errorf("recorded as %s", got.State)
				}
				s.terminalHeard(s.pdq, "acknowledge", i+1)
				s.stands("AVAILABLE")
			}
		}},
		{"two ends while neither can be recorded", func(s *shop, f *faulty, a *till) {
			a.sale(1)
			f.set(always(journal.ErrFull), nil)
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Declined)}, terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)}, terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Declined)})
			sleep(10 * time.Second)
			f.set(nil, nil)
			sleep(2 * time.Second)
			s.gets(a, started, finished, "1 DECLINED")
			if got := s.recorded(); got.Outcome.Result != txn.Declined || got.Conflict == nil || got.Conflict.Result != txn.Successful {
				s.t.Errorf("recorded %+v, conflict %+v", got.Outcome, got.Conflict)
			}
		}},
		{"the cashier's no cannot be recorded until after the limit", func(s *shop, f *faulty, a *till) {
			a.sale(1)
			s.pdq.say(terminal.SignatureWanted{ID: s.pdq.id()})
			sleep(time.Second)
			f.set(always(journal.ErrFull), nil)
			a.signs(1, false)
			sleep(100 * time.Second)
			s.gets(a, started, signature, "1 signatureVerificationRequest", inProgress)
			f.set(nil, nil)
			sleep(time.Second)
			s.gets(a, sigDone)
			s.terminalHeard(s.pdq, "answer false", 1) // silence accepts; but there was no silence
			s.terminalHeard(s.pdq, "answer true", 0)
			if got := s.recorded(); got.SignatureBy != txn.ByTill || got.SignatureAccepted {
				s.t.Errorf("recorded: accepted %t by %s", got.SignatureAccepted, got.SignatureBy)
			}
		}},
		{"the decision on a signature is uncertain, and was kept", func(s *shop, f *faulty, a *till) {
			s.pdq.query = going
			a.sale(1)
			s.pdq.say(terminal.SignatureWanted{ID: s.pdq.id()})
			sleep(time.Second)
			f.set(func(int, journal.Append) mishap { return mishap{after: journal.ErrUncertain} }, errDisk)
			a.signs(1, false)
			sleep(5 * time.Second)
			s.terminalHeard(s.pdq, "answer false", 0)
			f.set(nil, nil)
			sleep(5 * time.Second)
			s.gets(a, started, signature, "1 signatureVerificationRequest", inProgress, sigDone)
			s.terminalHeard(s.pdq, "answer false", 1)
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Void)})
			s.gets(a, finished, "1 VOID")
			s.ended(txn.Void, txn.ToldResult)
		}},
		{"cancelled during the append before the dispatch", func(s *shop, f *faulty, a *till) {
			b := s.connect("b", "v0")
			f.set(func(int, journal.Append) mishap { return mishap{wait: time.Second} }, nil)
			a.sale(1)
			b.cancels(3)
			sleep(3 * time.Second)
			s.gets(a, attempting, cancelling, finished, "1 CANCELLED")
			s.gets(b, "3 map[cancelled:true]")
			s.notRun(txn.Withdrawn, txn.ToldResult)
			s.terminalHeard(s.pdq, "start", 0)
			s.terminalHeard(s.pdq, "cancel", 0)
			s.stands("AVAILABLE")
		}},
		{"cancelled then, and that cannot be recorded", func(s *shop, f *faulty, a *till) {
			first := true
			f.set(func(int, journal.Append) mishap {
				if first {
					first = false
					return mishap{wait: time.Second}
				}
				return mishap{before: journal.ErrFull}
			}, nil)
			a.sale(1)
			a.cancels(2)
			sleep(20 * time.Second)
			s.gets(a, "2 map[cancelling:true]", attempting, cancelling)
			s.terminalHeard(s.pdq, "start", 0) // it was promised that it never hears of it
			f.set(nil, nil)
			sleep(time.Second)
			s.gets(a, finished, "1 CANCELLED")
			s.notRun(txn.Withdrawn, txn.ToldResult)
			s.terminalHeard(s.pdq, "start", 0)
		}},
		{"the end of something unknown cannot be kept at once", func(s *shop, f *faulty, a *till) {
			f.set(always(journal.ErrFull), nil)
			s.pdq.say(terminal.Ended{ID: "x", Outcome: outcome(txn.Successful)})
			sleep(10 * time.Second)
			s.terminalHeard(s.pdq, "acknowledge", 0)
			f.set(nil, nil)
			sleep(2 * time.Second)
			s.terminalHeard(s.pdq, "acknowledge", 1)
			if n := len(s.heads(journal.OrphanStream)); n != 1 {
				s.t.Errorf("%d orphans", n)
			}
		}},
		{"a report's limit and its end cannot be recorded", func(s *shop, f *faulty, a *till) {
			a.asks(1, "reportBanking", "")
			f.set(always(journal.ErrFull), nil)
			sleep(120 * time.Second)
			s.gets(a, "1 TIMED_OUT")
			s.pdq.say(terminal.Reported{ID: s.pdq.id(), Report: report.Report{Type: report.Banking, Result: report.Complete, Time: time.Now()}})
			sleep(10 * time.Second)
			s.terminalHeard(s.pdq, "acknowledge", 0)
			f.set(nil, nil)
			sleep(2 * time.Second)
			s.gets(a)
			s.terminalHeard(s.pdq, "acknowledge", 1)
			if h := s.heads(journal.ReportStream)[0]; h.Open || h.Told != "TIMED_OUT" || h.Result != "COMPLETE" {
				s.t.Errorf("head %+v", h)
			}
		}},
		{"a report's end is uncertain, and was kept", func(s *shop, f *faulty, a *till) {
			a.asks(1, "reportBanking", "")
			f.set(func(int, journal.Append) mishap { return mishap{after: journal.ErrUncertain} }, errDisk)
			s.pdq.say(terminal.Reported{ID: s.pdq.id(), Report: report.Report{Type: report.Banking, Result: report.Complete, Time: time.Now()}})
			sleep(10 * time.Second)
			s.gets(a)
			f.set(nil, nil)
			sleep(2 * time.Second)
			s.gets(a, "1 COMPLETE")
			s.stands("AVAILABLE")
		}},
		{"slow", func(s *shop, f *faulty, a *till) {
			f.set(func(int, journal.Append) mishap { return mishap{wait: 3 * time.Second} }, nil)
			a.sale(1)
			s.terminalHeard(s.pdq, "start", 0)
			sleep(4 * time.Second)
			s.terminalHeard(s.pdq, "start", 1)
			sleep(10 * time.Second)
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
			s.gets(a, started)
			sleep(3 * time.Second)
			s.gets(a, finished, "1 SUCCESSFUL")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFaulty()
			inShop(t, f, func(s *shop) {
				c.play(s, f, s.connect("a", "v1"))
				f.set(nil, nil)
				sleep(time.Second)
				verify(s.t, f)
			})
		})
	}
}

// verify fails the test when the journal does not verify.
func verify(t *testing.T, store journal.Store) {
	t.Helper()
	v, err := store.Verify(t.Context())
	if err != nil || v.Fault != "" {
		t.Errorf("the journal does not verify: %v %s", err, v.Fault)
	}
}
