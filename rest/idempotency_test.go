package rest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

func (a ask) keyed(key string) ask { return a.with("Idempotency-Key", key) }

// TestIdempotency asks again, in the same words and in others.
func TestIdempotency(t *testing.T) {
	inWorld(t, func(w *world) {
		first := w.do(aSale().keyed("k")).is(http.StatusCreated)
		if _, said := first.header["Idempotency-Replayed"]; said {
			t.Error("the first is said to be a replay")
		}
		again := func(why string) {
			t.Helper()
			for _, body := range []string{saleBody, `{ "currency":"GBP", "amount":"1250","amountCashback":0,"x":1, "transactionType":"SALE" }`} {
				a := aSale().keyed("k")
				a.body = body
				got := w.do(a).is(http.StatusCreated)
				if got.body != first.body || got.header.Get("Location") != first.header.Get("Location") || got.header.Get("Idempotency-Replayed") != "true" {
					t.Errorf("%s: %s, %v", why, got.body, got.header)
				}
			}
			old := aSale().keyed("k").in("v1")
			old.path = strings.Replace(old.path, tid, "%31"+tid[1:], 1)
			if got := w.do(old).is(http.StatusCreated); got.body != first.body {
				t.Errorf("%s, in v1: %s", why, got.body)
			}
			for name, change := range map[string]func(*ask){
				"amount":     func(a *ask) { a.body = strings.Replace(a.body, "1250", "1251", 1) },
				"type":       func(a *ask) { a.body = strings.Replace(a.body, "SALE", "REFUND", 1) },
				"cashback":   func(a *ask) { a.body = strings.Replace(a.body, "{", `{"amountCashback":1,`, 1) },
				"presence":   func(a *ask) { a.body = strings.Replace(a.body, "{", `{"cardholderNotPresent":true,`, 1) },
				"terminal":   func(a *ask) { a.path = of(nextTID) + "/transactions" },
				"no machine": func(a *ask) { a.path = of("none") + "/transactions" },
				"report":     func(a *ask) { *a = aReport("X_BALANCE").keyed("k") },
				"duplicate":  func(a *ask) { a.body = `{"transactionType":"DUPLICATE"}` },
			} {
				for _, version := range []string{"v0", "v1", "v2"} {
					a := aSale().keyed("k").in(version)
					if change(&a); version != "v2" && (name == "cashback" || name == "presence") {
						continue
					}
					a.version = version
					w.refuses(a, spec.RESTKeyReused)
				}
			}
			// Another site's keys are its own.
			theirs := aSale().keyed("k")
			theirs.key, theirs.path = otherKey, of(theirTID)+"/transactions"
			if got := w.do(theirs); got.status == http.StatusConflict || got.body == first.body {
				t.Errorf("%s: another site got %s", why, got.body)
			}
		}
		again("while it runs")
		w.pdq.say(terminal.WentAway{})
		again("while the machine is away")
		pass(201 * time.Second)
		again("timed out")
		w.restart()
		again("after a restart")
		w.pdq.ends(outcome(txn.Successful))
		again("after the end")
		w.restart()
		again("after another restart")
		pass(6 * 24 * time.Hour)
		again("days later")
		if w.pdq.heard("start") != 1 {
			t.Errorf("the machine began %d times", w.pdq.heard("start"))
		}
	})
}

// TestIdempotentReports has reports asked for again.
func TestIdempotentReports(t *testing.T) {
	inWorld(t, func(w *world) {
		for version, status := range map[string]int{"v0": 200, "v1": 201, "v2": 201} {
			a := aReport("X_BALANCE").keyed("of " + version).in(version)
			a = a.setting("Idempotency-Key", "of-"+version)
			first := w.do(a).is(status)
			for range 2 {
				got := w.do(a).is(status)
				if got.body != first.body || got.header.Get("Idempotency-Replayed") != "true" {
					t.Errorf("%s, %v", got.body, got.header)
				}
				other := a
				other.body = `{"reportType":"Z_BALANCE"}`
				w.refuses(other, spec.RESTKeyReused)
				w.pdq.say(terminal.Reported{ID: w.pdq.newest(), Report: reported(report.XBalance)})
			}
		}
	})
}

// TestIdempotencyKeys: what can be a key.
func TestIdempotencyKeys(t *testing.T) {
	inWorld(t, func(w *world) {
		for _, key := range []string{"", "a b", strings.Repeat("x", 65), "é", "a\x7f", "a\tb"} {
			for _, a := range []ask{aSale(), aReport("X_BALANCE")} {
				for _, version := range []string{"v0", "v1", "v2"} {
					w.refuses(a.keyed(key).in(version), spec.RESTBadKey)
				}
			}
		}
		w.refuses(aSale().keyed("a").keyed("a"), spec.RESTBadKey)
		for _, key := range []string{"!", "~", strings.Repeat("x", 64), `"quoted"`, "4111111111111111"} {
			a := aSale().keyed(key)
			at := w.begins(a)
			if again := w.begins(a); again != at {
				t.Errorf("%s began twice", key)
			}
			w.pdq.ends(outcome(txn.Declined))
		}
	})
}

// TestIdempotencyRefused: what was refused leaves its key free.
func TestIdempotencyRefused(t *testing.T) {
	inWorld(t, func(w *world) {
		w.pdq.say(terminal.WentAway{})
		w.refuses(aSale().keyed("k"), spec.RESTTerminalUnavailable, "tid", tid)
		w.pdq.say(terminal.CameBack{})
		w.store.set(func(c *counted) { c.err = errTest })
		if got := w.do(aSale().keyed("k")); got.status != http.StatusServiceUnavailable {
			t.Errorf("%d %s", got.status, got.body)
		}
		w.store.set(func(c *counted) { c.err = nil })
		euro := aSale().keyed("k")
		euro.body = strings.Replace(saleBody, "GBP", "EUR", 1)
		w.do(euro).is(http.StatusUnprocessableEntity)
		running := w.begins(aSale())
		w.refuses(aSale().keyed("k"), spec.RESTTerminalBusy)
		w.pdq.ends(outcome(txn.Successful))
		if at := w.begins(aSale().keyed("k")); at == running {
			t.Error("it is the one before")
		}
	})
}

// TestIdempotencyAtOnce: of two at once the second waits for the first.
func TestIdempotencyAtOnce(t *testing.T) {
	for _, kept := range []bool{true, false} {
		t.Run(fmt.Sprintf("kept %t", kept), func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.store.set(func(c *counted) { c.slow = 300 * time.Millisecond })
				first := w.follows(aSale().keyed("k"))
				second := w.follows(aSale().keyed("k"))
				if first.over() || second.over() {
					t.Error("they did not wait for the journal")
				}
				if !kept {
					w.pdq.say(terminal.WentAway{}) // the first is in its append already
				}
				pass(time.Second)
				if !first.over() || !second.over() {
					t.Fatal("they wait for ever")
				}
				a, b := first.pipe.text(), second.pipe.text()
				if first.pipe.status != 201 || second.pipe.status != 201 || a != b {
					t.Errorf("%d %s and %d %s", first.pipe.status, a, second.pipe.status, b)
				}
				if second.pipe.header.Get("Idempotency-Replayed") != "true" {
					t.Error("the second is no replay")
				}
			})
		})
	}
}

// A socket is a till on the WebSocket.
type socket struct {
	sess *gateway.Session
	mu   sync.Mutex
	got  []string
}

func (s *socket) Send(m []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, string(m))
	return nil
}

func (s *socket) Ping(answered func()) error { go answered(); return nil }
func (s *socket) Close(int, string) error    { return nil }
func (s *socket) RemoteAddr() string         { return "a till" }

// connects opens a WebSocket of the demo site.
func (w *world) connects(face string) *socket {
	w.t.Helper()
	q := url.Values{"token": {demoKey}, "api-version": {"v1"}, "software-house-id": {"SWH"}, "installer-id": {"INST"}}
	if face == "pac" {
		q.Set("extensions", "keys")
	}
	ticket, err := w.g.Admit(gateway.Knock{Face: face, Query: q})
	if err != nil {
		w.t.Fatal(err)
	}
	s := &socket{}
	if s.sess, err = ticket.Open(s); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.sess.Ended(nil) })
	return s
}

// says sends a message and returns what came since.
func (s *socket) says(format string, args ...any) string {
	s.sess.Receive(fmt.Appendf(nil, format, args...))
	return s.hears()
}

func (s *socket) hears() string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.got = nil }()
	return strings.Join(s.got, "\n")
}

// TestBothFaces has one card machine used on both faces.
func TestBothFaces(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.connects("pac")
		sale := `{"jsonrpc":"2.0","id":%d,"method":"sale","params":{"tid":"` + tid + `","currency":"GBP","amount":1250,"requestKey":%q}}`

		// Begun over REST: busy, joined and repeated over the WebSocket.
		at := w.begins(aSale().keyed("one"))
		if got := s.says(`{"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":%q,"currency":"GBP","amount":1}}`, tid); !strings.Contains(got, "-32071") {
			t.Errorf("the other face is told %s", got)
		}
		if got := s.says(sale, 2, "one"); strings.Contains(got, "error") {
			t.Errorf("joining: %s", got)
		}
		w.pdq.shows("PRESENT_CARD")
		o := outcome(txn.Successful)
		w.pdq.last = func() (terminal.Last, error) { return terminal.Last{ID: w.pdq.newest(), Outcome: o}, nil }
		w.pdq.ends(o)
		if got := s.hears(); !strings.Contains(got, `"id":2,"result"`) || !strings.Contains(got, "SUCCESSFUL") {
			t.Errorf("who joined hears %s", got)
		}
		if got := w.polled(at).object()["transactionResult"]; got != "SUCCESSFUL" {
			t.Errorf("polled it is %v", got)
		}
		if got := s.says(`{"jsonrpc":"2.0","id":3,"method":"duplicate","params":{"tid":%q}}`, tid); !strings.Contains(got, `"transactionId":"1000123"`) {
			t.Errorf("duplicate: %s", got)
		}
		if got := s.says(sale, 4, "one"); !strings.Contains(got, `"id":4,"result"`) {
			t.Errorf("again: %s", got)
		}

		// Begun over the WebSocket: busy, polled, repeated and duplicated over REST.
		s.says(sale, 5, "two")
		w.refuses(aSale(), spec.RESTTerminalBusy)
		w.refuses(aReport("X_BALANCE"), spec.RESTTerminalBusy)
		if got := w.do(ask{path: of(tid)}).object()["status"]; got != "BUSY" {
			t.Errorf("the terminal is %v", got)
		}
		replay := w.do(aSale().keyed("two")).is(http.StatusCreated)
		if replay.header.Get("Idempotency-Replayed") != "true" {
			t.Error("it began anew")
		}
		at = replay.path()
		if diff := cmp.Diff([]string{"TRANSACTION_STARTED"}, w.polled(at).notes()); diff != "" {
			t.Error(diff)
		}
		w.pdq.asksSignature()
		w.signs(at, "v1", true).is(http.StatusAccepted)
		if got := s.hears(); !strings.Contains(got, "SIGNATURE_VERIFICATION_PROCESS_COMPLETED") {
			t.Errorf("the other face hears %s", got)
		}
		w.pdq.ends(o)
		if got := w.polled(at).object()["transactionResult"]; got != "SUCCESSFUL" {
			t.Errorf("polled it is %v", got)
		}
		again := w.begins(ask{method: http.MethodPost, path: of(tid) + "/transactions", body: `{"transactionType":"DUPLICATE"}`})
		if got := w.polled(again).object(); got["transactionId"] != "1000123" || fmt.Sprint(got["receiptLines"].(map[string]any)["MERCHANT"]) != "[]" {
			t.Errorf("duplicate: %v", got)
		}
	})
}
