package gateway_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// A dialled is a terminal's connection as the gateway closes it.
type dialled struct {
	*fake
	release func()

	mu   sync.Mutex
	shut []string
}

func (d *dialled) close(code int, reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = append(d.shut, fmt.Sprint(code, " ", reason))
}

// dial has a terminal come with a key.
func (s *shop) dial(key string) (*dialled, error) {
	ticket, err := s.g.AdmitTerminal(gateway.Knock{Face: gateway.FaceTerminal, Query: url.Values{"token": {key}}})
	if err != nil {
		return nil, err
	}
	d := &dialled{fake: newFake()}
	d.release, err = ticket.Open(d.close, d.connect)
	return d, err
}

func enrol(t *testing.T, store journal.Store, tid txn.TID) (string, journal.Key) {
	t.Helper()
	secret, key, err := gateway.EnrolTerminal(t.Context(), store, "demo", tid, "counter 2")
	if err != nil {
		t.Fatal(err)
	}
	return secret, key
}

// TestTerminalKeys: a terminal's key lets that terminal in and nobody else, a
// till's key lets no terminal in.
func TestTerminalKeys(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		secret, key := enrol(s.t, s.store, "10001234")
		if !strings.HasPrefix(secret, "tt_") || key.TID != "10001234" || key.Site != "demo" {
			s.t.Errorf("key %q %+v", secret, key)
		}
		for _, bad := range []txn.TID{"", "a b", "../x", txn.TID(strings.Repeat("1", 33)), "TÜ"} {
			if _, _, err := gateway.EnrolTerminal(s.t.Context(), s.store, "demo", bad, ""); err == nil {
				s.t.Errorf("TID %q was enrolled", bad)
			}
		}
		if _, _, err := gateway.EnrolTerminal(s.t.Context(), s.store, "nowhere", "1", ""); err == nil {
			s.t.Error("a terminal of no site was enrolled")
		}
		if err := s.store.PutSite(s.t.Context(), journal.Site{ID: "demo", TimeZone: "UTC", Simulated: "SHOP"}); err != nil {
			s.t.Fatal(err)
		}
		if _, _, err := gateway.EnrolTerminal(s.t.Context(), s.store, "demo", "vcmshopSIP0", ""); err == nil {
			s.t.Error("a simulated terminal of the site was enrolled")
		}
		if err := s.g.Reload(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		for token, want := range map[string]int{"": 401, "guessed": 401, demoKey: 403} {
			_, err := s.dial(token)
			if no, ok := errors.AsType[*gateway.Refusal](err); !ok || no.Status != want || no.UserMessage == "" {
				s.t.Errorf("a terminal with key %q: %v, want %d", token, err, want)
			}
		}
		for _, face := range []string{"pac", "pat"} {
			_, err := s.g.Admit(gateway.Knock{Face: face, Query: pacQuery(secret, "v1")})
			if no, ok := errors.AsType[*gateway.Refusal](err); !ok || no.Status != 403 {
				s.t.Errorf("a till with a terminal's key at /%s: %v", face, err)
			}
		}
		if _, err := s.dial(secret); err != nil {
			s.t.Error(err)
		}
		for _, v := range s.g.Terminals("demo") {
			if v.TID == "10001234" && v.Connected {
				return
			}
		}
		s.t.Error("the terminal is not there")
	})
}

// TestTerminalRevoked: a key that is revoked closes its link, and the terminal
// that had it is away; a link that is gone is not closed again.
func TestTerminalRevoked(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		secret, key := enrol(s.t, s.store, "10001234")
		other, otherKey := enrol(s.t, s.store, "10001235")
		if err := s.g.Reload(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		d, err := s.dial(secret)
		if err != nil {
			s.t.Fatal(err)
		}
		gone, err := s.dial(other)
		if err != nil {
			s.t.Fatal(err)
		}
		gone.release()
		late, err := s.g.AdmitTerminal(gateway.Knock{Query: url.Values{"token": {secret}}})
		if err != nil {
			s.t.Fatal(err)
		}
		for _, k := range []journal.Key{key, otherKey} {
			if _, err := gateway.RevokeKey(s.t.Context(), s.store, k.ID); err != nil {
				s.t.Fatal(err)
			}
		}
		if err := s.g.Reload(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"1008 the key was revoked"}, d.shut); diff != "" || len(gone.shut) > 0 {
			s.t.Errorf("closed %q, and the one that was gone %q", d.shut, gone.shut)
		}
		if _, err := s.dial(secret); err == nil {
			s.t.Error("a revoked key let a terminal in")
		}
		if _, err := late.Open(d.close, newFake().connect); err == nil {
			s.t.Error("a key that was revoked after the knock let a terminal in")
		}
		s.g.Close()
		if _, err := late.Open(d.close, newFake().connect); err == nil {
			s.t.Error("a gateway that is closed let a terminal in")
		}
	})
}

// TestTerminalsWhileStopping: a gateway that waits for outcomes lets terminals
// in that bring them, and closes their links in the end.
func TestTerminalsWhileStopping(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		secret, _ := enrol(s.t, s.store, tid)
		if err := s.g.Reload(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		c := s.connect("a", "v1")
		c.sale(1)
		s.pdq.say(terminal.WentAway{})
		drained := make(chan error, 1)
		go func() { drained <- s.g.Drain(s.t.Context()) }()
		synctest.Wait()
		d, err := s.dial(secret)
		if err != nil {
			s.t.Fatal(err)
		}
		d.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
		if err := <-drained; err != nil {
			s.t.Error(err)
		}
		s.gets(c, "TRANSACTION_STARTED", "TRANSACTION_FINISHED", "1 SUCCESSFUL")
		s.g.Close()
		if diff := cmp.Diff([]string{"1001 the gateway stops"}, d.shut); diff != "" {
			s.t.Errorf("closed (-want +got):\n%s", diff)
		}
	})
}
