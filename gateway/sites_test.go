package gateway_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// enter connects a till with any key.
func (s *shop) enter(key, name, version string) (*till, error) {
	ticket, err := s.g.Admit(gateway.Knock{Face: "pac", Query: pacQuery(key, version)})
	if err != nil {
		return nil, err
	}
	c := &till{name: name, version: version, methods: map[int]string{}}
	c.sess, err = ticket.Open(c)
	return c, err
}

func (s *shop) mustEnter(key, name, version string) *till {
	s.t.Helper()
	c, err := s.enter(key, name, version)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// TestTwoSites has two shops use the same TIDs and ids at the same time.
func TestTwoSites(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		site(s.t, s.store, "elsewhere", "key of elsewhere")
		if err := s.g.Reload(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		there := newFake()
		if err := s.g.Plug("elsewhere", tid, there.connect); err != nil {
			s.t.Fatal(err)
		}
		a, z := s.connect("a", "v1"), s.mustEnter("key of elsewhere", "z", "v1")

		a.sale(1)
		s.gets(a, started)
		s.gets(z)
		z.cancels(1)
		s.gets(z, "1 error -32073") // nothing runs on its own terminal of that name
		z.asks(2, "terminalDetails", "")
		s.gets(z, "2 AVAILABLE")
		z.sale(1)
		s.gets(z, started)
		there.say(terminal.Ended{ID: there.id(), Outcome: outcome(txn.Declined)})
		s.gets(z, finished, "1 DECLINED")
		s.gets(a)

		// What a terminal of one site says of a request of the other one.
		there.say(terminal.SignatureWanted{ID: s.pdq.id()}, terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
		s.gets(a)
		z.signs(1, true)
		s.gets(z, "- error -32075")
		s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Void)})
		s.gets(a, finished, "1 VOID")
		there.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
		if got := s.recorded(); got.Conflict != nil || got.Outcome.Result != txn.Void {
			s.t.Errorf("recorded %+v", got)
		}

		a.asks(3, "duplicate", "")
		z.asks(3, "duplicate", "")
		s.gets(a, "3 VOID")
		s.gets(z, "3 DECLINED")
		// A terminal names as its last one what belongs to the other site.
		there.last = func(context.Context) (terminal.Last, error) {
			return terminal.Last{ID: s.pdq.id(), Outcome: outcome(txn.Cancelled)}, nil
		}
		z.asks(4, "duplicate", "")
		s.gets(z, "4 CANCELLED") // its own word, not the other site's record

		// A terminal of the other site, and one that is nowhere, are the same.
		for _, method := range []string{"terminalDetails", "cancelTransaction", "duplicate", "reportBanking"} {
			var said []string
			for _, id := range []string{otherTID, "33333333"} {
				z.says(`{"jsonrpc":"2.0","id":5,"method":%q,"params":{"tid":%q}}`, method, id)
				for _, m := range z.take() {
					said = append(said, strings.ReplaceAll(m, id, "TID"))
				}
			}
			if len(said) != 2 || said[0] != said[1] || !strings.Contains(said[0], "-32070") {
				s.t.Errorf("%s: %q", method, said)
			}
		}
		z.says(`{"jsonrpc":"2.0","id":6,"method":"connectedTerminals"}`)
		if got := z.take(); len(got) != 1 || strings.Contains(got[0], otherTID) || !strings.Contains(got[0], tid) {
			s.t.Errorf("the list of the other site: %q", got)
		}
	})
}

// TestRevoked has a key revoked while its transaction runs.
func TestRevoked(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		_, key, err := gateway.AddKey(s.t.Context(), s.store, "demo", "second", "", nil)
		if err != nil {
			s.t.Fatal(err)
		}
		reload := func() {
			if err := s.g.Reload(s.t.Context()); err != nil {
				s.t.Fatal(err)
			}
		}
		reload()
		a, b := s.connect("a", "v1"), s.mustEnter("second", "b", "v1")
		b.sale(1)
		s.gets(b, started)
		late, err := s.g.Admit(gateway.Knock{Face: "pac", Query: pacQuery("second", "v1")})
		if err != nil {
			s.t.Fatal(err)
		}
		if _, err := gateway.RevokeKey(s.t.Context(), s.store, key.ID); err != nil {
			s.t.Fatal(err)
		}
		reload()
		if a.shut != "" || !strings.HasPrefix(b.shut, "1008 ") {
			t.Errorf("closed: a %q, b %q", a.shut, b.shut)
		}
		b.sess.Ended(errors.New("closed"))
		var no *gateway.Refusal
		if _, err := s.enter("second", "c", "v1"); !errors.As(err, &no) || no.Status != http.StatusUnauthorized {
			t.Errorf("a revoked key opens the door: %v", err)
		}
		if _, err := late.Open(&till{}); err == nil {
			t.Error("a ticket of a revoked key was opened")
		}
		s.stands("BUSY")
		s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
		s.gets(b)
		s.ended(txn.Successful, txn.ToldResult)
		a.asks(2, "duplicate", "")
		s.gets(a, "2 SUCCESSFUL")
	})
}

// TestLimits reaches each limit; what is under way goes on.
func TestLimits(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		s.g.Close()
		s.world.store = memory.New()
		site(s.t, s.store, "demo", demoKey)
		s.open(io.Discard, gateway.Limits{Connections: 2, InFlight: 1, MessagesPerSecond: 1, MessageBurst: 5})
		a, b := s.connect("a", "v1"), s.connect("b", "v1")
		var no *gateway.Refusal
		if _, err := s.enter(demoKey, "c", "v1"); !errors.As(err, &no) || no.Status != http.StatusTooManyRequests || no.RetryAfter == 0 {
			t.Errorf("a third connection: %v", err)
		}
		b.sess.Ended(nil)
		b = s.mustEnter(demoKey, "b", "v1")

		a.sale(1)
		a.says(`{"jsonrpc":"2.0","id":2,"method":"sale","params":{"tid":%q,"currency":"GBP","amount":1}}`, otherTID)
		s.gets(a, started, "2 error -32603")
		for range 4 {
			a.asks(3, "terminalDetails", "")
		}
		s.gets(a, "3 BUSY", "3 BUSY", "3 BUSY", "3 error -32603")
		a.sess.Receive([]byte(`{"jsonrpc":"2.0","id":1,"method":"terminalDetails","params":{"tid":"11111111"}}`))
		s.gets(a, "- error -32603") // its sale runs under that id
		b.asks(1, "terminalDetails", "")
		s.gets(b, "1 BUSY")
		sleep(time.Second)
		s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
		s.gets(a, finished, "1 SUCCESSFUL")
	})
}

// TestDrain stops a gateway while a sale and a report run.
func TestDrain(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		a := s.connect("a", "v1")
		a.sale(1)
		a.says(`{"jsonrpc":"2.0","id":2,"method":"reportBanking","params":{"tid":%q}}`, otherTID)
		s.gets(a, started)
		drained := make(chan error, 1)
		go func() { drained <- s.g.Drain(s.t.Context()) }()
		synctest.Wait()
		if s.g.Ready() == nil {
			t.Error("ready while stopping")
		}
		a.sale(3)
		a.asks(4, "reportBanking", "")
		a.asks(5, "duplicate", "")
		a.asks(6, "terminalDetails", "")
		s.gets(a, "3 error -32603", "4 error -32603", "5 error -32603", "6 BUSY")
		var no *gateway.Refusal
		if _, err := s.enter(demoKey, "b", "v1"); !errors.As(err, &no) || no.Status != http.StatusServiceUnavailable {
			t.Errorf("the door while stopping: %v", err)
		}
		s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
		s.gets(a, finished, "1 SUCCESSFUL")
		select {
		case err := <-drained:
			t.Errorf("drained with a report running: %v", err)
		default:
		}
		sleep(2 * time.Minute)
		s.gets(a, "2 TIMED_OUT")
		if err := <-drained; err != nil {
			t.Error(err)
		}
		s.g.Close()
		if !strings.HasPrefix(a.shut, "1001 ") {
			t.Errorf("closed with %q", a.shut)
		}
		s.g.Close() // again does nothing
		if err := s.g.Plug("demo", tid, s.pdq.connect); err == nil {
			t.Error("a terminal was plugged into a closed gateway")
		}
	})
}

// TestTillGone has the till go at each step; the transaction goes on without.
func TestTillGone(t *testing.T) {
	steps := []func(s *shop){
		func(s *shop) {},
		func(s *shop) { s.pdq.say(terminal.Notified{ID: s.pdq.id(), Value: "PRESENT_CARD"}) },
		func(s *shop) { s.pdq.say(terminal.SignatureWanted{ID: s.pdq.id()}) },
		func(s *shop) { s.tills["a"].signs(1, true) },
		func(s *shop) { s.pdq.say(terminal.WentAway{}) },
		func(s *shop) { s.pdq.query = going; s.pdq.say(terminal.CameBack{}) },
	}
	for n := range steps {
		inShop(t, memory.New(), func(s *shop) {
			a, b := s.connect("a", "v1"), s.connect("b", "v1")
			a.sale(1)
			for i, step := range steps {
				if i == n {
					a.take()
					a.sess.Ended(nil)
				}
				step(s)
			}
			sleep(80 * time.Second)
			if got := a.take(); len(got) > 0 && n == 0 {
				s.t.Errorf("%d: a till that is gone was told %q", n, got)
			}
			s.gets(b) // nor does anybody else hear of it
			s.terminalHeard(s.pdq, "answer false", 0)
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
			s.ended(txn.Successful, txn.ToldResult)
			s.stands("AVAILABLE")
			if got := a.take(); len(got) > 0 {
				s.t.Errorf("%d: a till that is gone was told %q", n, got)
			}
		})
	}
}

// TestSignatureInTheLastInstant answers when the time runs out. Whichever comes
// first stands; the terminal hears one decision.
func TestSignatureInTheLastInstant(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		a := s.connect("a", "v1")
		for range 50 {
			a.sale(1)
			asked := s.pdq.heard("answer true") + s.pdq.heard("answer false")
			s.pdq.say(terminal.SignatureWanted{ID: s.pdq.id()})
			q := a.take()
			id := strings.Split(word(q[len(q)-2]), " ")[0]
			go func() {
				time.Sleep(80 * time.Second)
				a.sess.Receive([]byte(`{"jsonrpc":"2.0","id":` + id + `,"result":{"accepted":false}}`))
			}()
			sleep(81 * time.Second)
			if n := s.pdq.heard("answer true") + s.pdq.heard("answer false"); n != asked+1 {
				s.t.Fatalf("the terminal heard %d decisions", n-asked)
			}
			var words []string
			for _, m := range a.take() {
				words = append(words, word(m))
			}
			tx := s.recorded()
			late := strings.Contains(strings.Join(words, " "), "- error -32074")
			timedOut := strings.Contains(strings.Join(words, " "), sigTimeout)
			if late != timedOut || timedOut != (tx.SignatureBy == txn.ByTimeout) || tx.SignatureAccepted != timedOut {
				s.t.Fatalf("told %q; recorded: accepted %t by %s", words, tx.SignatureAccepted, tx.SignatureBy)
			}
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Void)})
			a.take()
		}
	})
}

// TestV0Cancel looks at the answers that wait for the end.
func TestV0Cancel(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		a, b := s.connect("a", "v0"), s.connect("b", "v0")
		a.sale(1)
		b.cancels(1)
		s.gets(a, started, attempting)
		s.gets(b)
		sleep(9 * time.Second)
		a.cancels(2)
		s.gets(b)
		sleep(time.Second)
		s.gets(b, "1 map[cancelled:false]")
		s.pdq.say(terminal.Notified{ID: s.pdq.id(), Value: txn.Cancelling})
		s.gets(a, cancelling)
		s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Cancelled)})
		s.gets(a, finished, "1 CANCELLED", "2 map[cancelled:true]")
		sleep(time.Minute)
		s.gets(b)

		a.sale(1)
		b.cancels(1)
		s.pdq.say(terminal.Notified{ID: s.pdq.id(), Value: txn.UnableToCancel})
		s.gets(b, "1 map[cancelled:false]")
		b.cancels(2)
		s.gets(b, "2 map[cancelled:false]")
		s.gets(a, started, attempting, unable)

		s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
		a.sale(1)
		sleep(195 * time.Second)
		b.cancels(1)
		sleep(5 * time.Second)
		s.gets(b, "1 map[cancelled:false]") // TIMED_OUT was told
	})
}
