package gateway_test

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// corrections are the results that a till was corrected to since the last time.
func (s *shop) corrections(c *till) (got []string) {
	s.t.Helper()
	synctest.Wait()
	for _, m := range c.take() {
		s.fits(c, m)
		if !strings.Contains(m, `"method":"transactionCorrected"`) {
			s.t.Errorf("%s was told %s", c.name, m)
			continue
		}
		_, after, _ := strings.Cut(m, `"transactionResult":"`)
		result, _, _ := strings.Cut(after, `"`)
		got = append(got, result)
	}
	return got
}

func (s *shop) corrected(c *till, want ...string) {
	s.t.Helper()
	if got := s.corrections(c); strings.Join(got, " ") != strings.Join(want, " ") {
		s.t.Errorf("%s was corrected to %v, want %v", c.name, got, want)
	}
}

// unresolved has a sale end with TIMED_OUT, and returns its id.
func (s *shop) unresolved(c *till) txn.RequestID {
	s.t.Helper()
	c.sale(1)
	sleep(200 * time.Second)
	s.gets(c, started, finished, "1 TIMED_OUT")
	return s.pdq.id()
}

// TestCorrectedByHand: a person says what became of it, and later the terminal
// says otherwise. Tills hear of both, also after restarts.
func TestCorrectedByHand(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		a, b := s.connect("a", "v1"), s.connect("b", "v1", "ext=late")
		id := s.unresolved(a)
		err := s.g.Resolve(s.t.Context(), gateway.Resolution{Stream: id, By: "manager", Reason: "the slip says so"})
		if err != nil {
			s.t.Fatal(err)
		}
		s.gets(a)
		s.corrected(b, "UNSUCCESSFUL")
		s.restart()
		c := s.connect("c", "v1", "ext=late")
		s.corrected(c) // it was delivered
		s.pdq.say(terminal.Ended{ID: id, Outcome: outcome(txn.Successful)})
		s.corrected(c, "SUCCESSFUL")
		s.pdq.say(terminal.Ended{ID: id, Outcome: outcome(txn.Declined)}) // of two words the first stands
		s.corrected(c)
		s.restart()
		s.corrected(s.connect("d", "v1", "ext=late"))
		if got := s.recorded(); !got.Corrected || got.Uncorrected() {
			s.t.Errorf("recorded %+v", got)
		}
	})
}

// TestCorrectedBeforeAnybodyListened: the terminal contradicts a person before
// any till heard of either. Only the truth is told.
func TestCorrectedBeforeAnybodyListened(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		a, mute := s.connect("a", "v1"), s.connect("mute", "v1", "ext=late")
		mute.mute = true
		id := s.unresolved(a)
		if err := s.g.Resolve(s.t.Context(), gateway.Resolution{Stream: id, By: "manager", Reason: "a guess"}); err != nil {
			s.t.Fatal(err)
		}
		s.corrected(mute, "UNSUCCESSFUL")
		s.pdq.say(terminal.Ended{ID: id, Outcome: outcome(txn.Successful)})
		s.corrected(mute, "SUCCESSFUL")
		s.corrected(s.connect("b", "v1", "ext=late"), "SUCCESSFUL")
		s.corrected(s.connect("c", "v1", "ext=late"))
	})
}

// TestCorrectedOnAFullDisk: that a till has it cannot be recorded. The next one
// is told as well, until it can.
func TestCorrectedOnAFullDisk(t *testing.T) {
	for _, kind := range []string{"full", "uncertain, and kept", "uncertain, and not kept", "mute"} {
		t.Run(kind, func(t *testing.T) {
			f := newFaulty()
			inShop(t, f, func(s *shop) {
				a := s.connect("a", "v1")
				id := s.unresolved(a)
				s.pdq.say(terminal.Ended{ID: id, Outcome: outcome(txn.Successful)})
				f.set(diskFault(kind))
				s.corrected(s.connect("b", "v1", "ext=late"), "SUCCESSFUL")
				sleep(2 * time.Second)
				f.set(nil, nil)
				sleep(time.Second)
				s.corrected(s.connect("c", "v1", "ext=late"))
				if got := s.recorded(); !got.Corrected {
					s.t.Errorf("recorded %+v", got)
				}
				open, err := f.OpenStreams(s.t.Context())
				if err != nil || len(open) > 0 {
					s.t.Errorf("open: %+v, %v", open, err)
				}
			})
		})
	}
}

// TestCorrectedLapses: after 24 hours nobody is told any more, and the stream is
// closed.
func TestCorrectedLapses(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		id := s.unresolved(s.connect("a", "v1"))
		s.pdq.say(terminal.Ended{ID: id, Outcome: outcome(txn.Successful)})
		sleep(12 * time.Hour)
		s.g.Close()
		sleep(13 * time.Hour) // it ran out while no gateway was there
		s.open(io.Discard, gateway.Limits{})
		open, err := s.store.OpenStreams(s.t.Context())
		if err != nil || len(open) > 0 {
			s.t.Errorf("open: %+v, %v", open, err)
		}
		s.corrected(s.connect("b", "v1", "ext=late"))
	})
}

// TestCorrectedInV0: of what v0 has no word for, nothing is said on a v0 line.
func TestCorrectedInV0(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		a := s.connect("a", "v1")
		old := s.connect("old", "v0", "ext=late,status,keys")
		a.asks(1, "preAuth", `,"currency":"GBP","amount":500,"requestKey":"k"`)
		sleep(200 * time.Second)
		o := outcome(txn.Successful)
		o.Type = txn.PreAuth
		s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: o})
		s.corrected(old)
		old.asks(1, "transactionStatus", `,"requestId":"`+string(s.pdq.id())+`"`)
		if got := old.take(); len(got) != 1 || !strings.Contains(got[0], `"state":"finished"`) || strings.Contains(got[0], "payment") {
			s.t.Errorf("told %q", got)
		}
		s.corrected(s.connect("b", "v1", "ext=late"), "SUCCESSFUL")
	})
}

// TestExtensionsGranted: what a till asked for is granted or refused as a whole.
func TestExtensionsGranted(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		for _, tt := range []struct {
			face, asked, granted, refused string
		}{
			{"pac", "", "", ""},
			{"pac", "keys, late,keys,,errors", "keys late errors", ""},
			{"pac", "status", "status", ""},
			{"pat", "acks,errors", "acks errors", ""},
			{"pac", "acks", "", `"acks" is not known to this gateway on /pac`},
			{"pat", "keys", "", `"keys" is not known to this gateway on /pat`},
			{"pac", "keys,Keys", "", `"Keys"`},
			{"pat", "resume", "", `"resume" is not known to this gateway on /pat`},
		} {
			q := pacQuery(demoKey, "v1")
			q.Set("extensions", tt.asked)
			ticket, err := s.g.Admit(gateway.Knock{Face: tt.face, Query: q})
			switch {
			case err != nil && (tt.refused == "" || !strings.HasPrefix(err.Error(), "400") || !strings.Contains(err.Error(), tt.refused)):
				s.t.Errorf("%s %q: %v", tt.face, tt.asked, err)
			case err == nil && (tt.refused != "" || strings.Join(ticket.Extensions(), " ") != tt.granted):
				s.t.Errorf("%s %q: granted %q", tt.face, tt.asked, ticket.Extensions())
			}
		}
	})
}

// TestKeyedBodies: what was read is compared, so that what is not used may
// differ, and what is used may not.
func TestKeyedBodies(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		s.pdq.caps.Currency = money.GBP
		a := s.connect("a", "v1", "ext=keys,errors")
		ask := func(id int, method, params string) string {
			a.asks(id, method, `,"currency":"GBP","requestKey":"`+method+`"`+params)
			for _, m := range a.take() {
				s.fits(a, m)
				if !strings.Contains(m, "terminalNotification") {
					return m
				}
			}
			return ""
		}
		differs := func(message, pointer string) {
			s.t.Helper()
			if !strings.Contains(message, `"code":-32602`) || !strings.Contains(message, `"data":{"pointer":"`+pointer+`"`) {
				s.t.Errorf("told %q, want one about %s", message, pointer)
			}
		}
		end := func() { s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Declined)}); a.take() }

		ask(1, "completion", `,"amount":5000,"authCode":"A","amountPreAuthorisedTotal":6000`)
		differs(ask(2, "completion", `,"amount":5000,"authCode":"B","amountPreAuthorisedTotal":6000`), "/params/authCode")
		differs(ask(2, "completion", `,"amount":5000,"authCode":"A"`), "/params/amountPreAuthorisedTotal")
		differs(ask(2, "completion", `,"amount":5001,"authCode":"A","amountPreAuthorisedTotal":6000`), "/params/amount")
		end()
		ask(3, "sale", `,"amount":1,"cardholderNotPresent":true,"authCode":"x"`)
		differs(ask(4, "sale", `,"amount":1`), "/params/cardholderNotPresent")
		end()
		if got := ask(5, "sale", `,"amount":1,"cardholderNotPresent":true,"reference":"tolerated"`); !strings.Contains(got, "DECLINED") {
			s.t.Errorf("told %q", got)
		}
		ask(6, "accountVerification", `,"amount":0`)
		end()
		if got := ask(7, "accountVerification", `,"amount":7`); !strings.Contains(got, "DECLINED") {
			s.t.Errorf("an amount that is not used made a difference: %q", got)
		}
		s.terminalHeard(s.pdq, "start", 3)
		if n := len(s.heads(journal.TransactionStream)); n != 3 {
			s.t.Errorf("%d transactions", n)
		}
	})
}
