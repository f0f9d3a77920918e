package gateway_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// specTIDs are the terminals of the examples and their currencies.
var specTIDs = map[txn.TID]money.Currency{"12345678": money.GBP, "12345679": money.EUR}

// plugExamples plugs the terminals of the examples in.
func (s *shop) plugExamples(currencies map[txn.TID]money.Currency) map[txn.TID]*fake {
	s.t.Helper()
	all := map[txn.TID]*fake{}
	for id, currency := range currencies {
		f := newFake()
		f.caps.Currency = currency
		f.start = func(_ context.Context, r terminal.Request) error {
			if r.IsReport() {
				made, _ := report.New(currency).Make(r.Report, outcome("").Time)
				f.sink(terminal.Reported{ID: r.ID, Report: made})
			}
			return nil
		}
		all[id] = f
		if err := s.g.Plug("demo", id, f.connect); err != nil {
			s.t.Fatal(err)
		}
	}
	synctest.Wait()
	return all
}

// TestErrorExamples plays each published error example of Pay-At-Counter and
// compares what the gateway says with what is published.
func TestErrorExamples(t *testing.T) {
	m, ok := spec.Default().Message(spec.PAC, "errorMessage")
	if !ok || len(m.Errors) != 10 {
		t.Fatalf("%d error examples", len(m.Errors))
	}
	for _, pair := range m.Errors {
		t.Run(pair.Name, func(t *testing.T) {
			inShop(t, memory.New(), func(s *shop) {
				other := s.connect("other", "v1")
				if pair.Name != "unknownTerminal" {
					s.plugExamples(specTIDs)
				}
				if pair.Name == "busy" {
					other.says(`{"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":"12345678","currency":"GBP","amount":1}}`)
				}
				a := s.connect("a", "v1")
				a.sess.Receive([]byte(pair.ToConnect))
				synctest.Wait()
				got := a.take()
				if len(got) != 1 {
					s.t.Fatalf("answered with %d messages: %q", len(got), got)
				}
				s.fits(a, got[0])
				if diff := cmp.Diff(value(s.t, []byte(pair.ErrorToEPOS)), value(s.t, []byte(got[0]))); diff != "" {
					s.t.Errorf("- published, + said:\n%s", diff)
				}
			})
		})
	}
}

func value(t *testing.T, data []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestRequestExamples plays each valid request of the contract that goes from
// the till to the gateway, and holds the answer against its schema.
func TestRequestExamples(t *testing.T) {
	played := 0
	for _, m := range spec.Default().Messages() {
		if m.Side != spec.PAC || m.Kind != spec.KindRequest || m.Direction != spec.ToConnect {
			continue
		}
		for _, e := range m.Examples {
			if !e.Valid || e.Kind != spec.KindRequest || e.Direction != spec.ToConnect {
				continue
			}
			played++
			t.Run(fmt.Sprintf("%s/%s/%s", m.Name, e.Version, e.Name), func(t *testing.T) {
				inShop(t, memory.New(), func(s *shop) { s.playExample(m.Name, e) })
			})
		}
	}
	if played < 20 {
		t.Errorf("only %d examples", played)
	}
}

func (s *shop) playExample(name string, e spec.Example) {
	var sent struct {
		ID     int `json:"id"`
		Params struct {
			TID      txn.TID        `json:"tid"`
			TPI      txn.TID        `json:"tpi"`
			Currency money.Currency `json:"currency"`
		} `json:"params"`
	}
	if err := json.Unmarshal(e.Text, &sent); err != nil {
		s.t.Fatal(err)
	}
	currencies := maps.Clone(specTIDs)
	if p := sent.Params; p.Currency != "" && p.TID+p.TPI != "" {
		currencies[p.TID+p.TPI] = p.Currency
	}
	pdqs := s.plugExamples(currencies)
	other, a := s.connect("other", "v1"), s.connect("a", e.Version)
	end := func() {
		for id, f := range pdqs {
			o := outcome(txn.Successful)
			o.Currency = currencies[id]
			if f.heard("start") > 0 && f.heard("acknowledge") == 0 {
				f.say(terminal.Ended{ID: f.id(), Outcome: o})
			}
		}
	}
	if name == "cancelTransaction" || name == "duplicate" { // there is something to cancel, or to print again
		for id, currency := range currencies {
			other.says(`{"jsonrpc":"2.0","id":%d,"method":"sale","params":{"tid":%q,"currency":%q,"amount":1250}}`, len(other.methods), id, currency)
		}
	}
	if name == "duplicate" {
		end()
	}
	a.sends(string(e.Text))
	synctest.Wait()
	end()
	if name == "cancelTransaction" && e.Version == spec.V0 {
		sleep(spec.Default().Timer(spec.TimerCancelV0Wait))
	}
	answers := 0
	for _, m := range a.take() {
		s.fits(a, m)
		w := word(m)
		if strings.Contains(w, "error") {
			s.t.Errorf("%s\nwas answered with %s", e.Text, m)
		}
		if strings.HasPrefix(w, fmt.Sprint(sent.ID)+" ") {
			answers++
		}
	}
	if answers != 1 {
		s.t.Errorf("%s\nwas answered %d times", e.Text, answers)
	}
}

// TestEveryCodeIsRaised finds each code of the error table for Pay-At-Counter
// in a conversation that the gateway had.
func TestEveryCodeIsRaised(t *testing.T) {
	files, err := filepath.Glob("testdata/scenario/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	var said strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if name, _, _ := strings.Cut(line, " "); strings.HasSuffix(name, "<") { // TestScenarios sees that it is so
				said.WriteString(line)
			}
		}
	}
	inShop(t, memory.New(), func(s *shop) { // a scenario cannot stop the gateway
		a := s.connect("a", "v1")
		if err := s.g.Drain(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		a.sale(1)
		said.WriteString(strings.Join(a.take(), "\n"))
	})
	for _, e := range spec.Default().Errors() {
		if slices.Contains(e.Sides, spec.PAC) && !strings.Contains(said.String(), fmt.Sprintf(`"code":%d,`, e.Code)) {
			t.Errorf("no scenario raises %d %s", e.Code, e.Title)
		}
	}
}

// TestFieldBehaviours has the habits of tills in the field (the contract,
// section 13), by their numbers there. Those about the upgrade and about pings
// (9, 10, 12, 15) are tested in package door and package ws.
func TestFieldBehaviours(t *testing.T) {
	for _, c := range []struct {
		name string
		play func(s *shop, a *till)
	}{
		{"1 one id for everything, used again once answered", func(s *shop, a *till) {
			for range 3 {
				a.asks(1, "terminalDetails", "")
				s.gets(a, "1 AVAILABLE")
				a.sale(1)
				s.gets(a, started)
				a.sess.Receive([]byte(`{"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":"22222222","currency":"GBP","amount":1}}`))
				s.gets(a, "- error -32600")
				s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
				s.gets(a, finished, "1 SUCCESSFUL")
			}
		}},
		{"2 connectedTerminals without params", func(s *shop, a *till) {
			a.says(`{"jsonrpc":"2.0","id":1,"method":"connectedTerminals"}`)
			a.says(`{"jsonrpc":"2.0","id":2,"method":"connectedTerminals","params":{}}`)
			s.gets(a, "1 list", "2 list")
		}},
		{"3 members in any order", func(s *shop, a *till) {
			a.says(`{"params":{"amount":1250,"currency":"GBP","tid":"11111111"},"id":1,"method":"sale","jsonrpc":"2.0"}`)
			a.says(`{"method":"terminalDetails","jsonrpc":"2.0","params":{"tid":"11111111"},"id":2}`)
			s.gets(a, started, "2 BUSY")
		}},
		{"4 members where they mean nothing", func(s *shop, a *till) {
			for i, method := range []string{"refund", "sale"} {
				a.asks(i, method, `,"currency":"GBP","amount":1250,"authCode":`+[]string{`"789DE0"`, `""`}[i]+`,"cardholderNotPresent":false`)
				s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
				s.gets(a, started, finished, itoa(i)+" SUCCESSFUL")
				if r := s.recorded().Request; r.AuthCode != "" || r.CardholderNotPresent {
					s.t.Errorf("asked of the terminal: %+v", r)
				}
			}
		}},
		{"5 a socket for each call", func(s *shop, a *till) {
			a.asks(1, "terminalDetails", "")
			s.gets(a, "1 AVAILABLE")
			a.sess.Ended(nil)
			b := s.connect("b", "v1")
			b.sale(1)
			s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Successful)})
			s.gets(b, started, finished, "1 SUCCESSFUL")
			s.gets(a)
		}},
		{"6 a signature answered with id 1 or the sale's, on the notification", func(s *shop, a *till) {
			for i, id := range []int{1, 77} {
				a.sale(77)
				s.pdq.say(terminal.SignatureWanted{ID: s.pdq.id()})
				s.gets(a, started, signature, itoa(i+1)+" signatureVerificationRequest", inProgress)
				a.signs(id, i == 0)
				s.gets(a, sigDone)
				s.terminalHeard(s.pdq, fmt.Sprintf("answer %t", i == 0), 1)
				s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Void)})
				s.gets(a, finished, "77 VOID")
			}
			// With two open it must be the question's own id.
			a.sale(77)
			s.pdq.say(terminal.SignatureWanted{ID: s.pdq.id()})
			a.says(`{"jsonrpc":"2.0","id":78,"method":"sale","params":{"tid":"22222222","currency":"GBP","amount":1}}`)
			s.other.say(terminal.SignatureWanted{ID: s.other.id()})
			a.take()
			a.signs(77, true)
			s.gets(a, "- error -32075")
			a.signs(4, false)
			s.gets(a, sigDone)
			s.terminalHeard(s.other, "answer false", 1)
		}},
		{"7 a signature that nobody answers", func(s *shop, a *till) {
			a.sale(1)
			s.pdq.say(terminal.SignatureWanted{ID: s.pdq.id()})
			sleep(spec.Default().Timer(spec.TimerSignature))
			s.gets(a, started, signature, "1 signatureVerificationRequest", inProgress, sigTimeout, sigDone)
			s.terminalHeard(s.pdq, "answer true", 1)
		}},
		{"8 accepted as a string", func(s *shop, a *till) {
			for _, word := range []string{"true", "false"} {
				a.sale(9)
				s.pdq.say(terminal.SignatureWanted{ID: s.pdq.id()})
				a.says(`{"jsonrpc":"2.0","id":1,"result":{"accepted":%q}}`, word)
				s.terminalHeard(s.pdq, "answer "+word, 1)
				s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Void)})
			}
		}},
		{"11 nothing on a fresh socket", func(s *shop, a *till) {
			b := s.connect("b", "v1")
			b.sale(1)
			s.pdq.say(terminal.SignatureWanted{ID: s.pdq.id()}, terminal.WentAway{}, terminal.CameBack{}, terminal.StatusChanged{Busy: true})
			s.g.Unplug("demo", otherTID)
			sleep(spec.Default().Timer(spec.TimerTransaction))
			s.gets(a)
		}},
		{"13 cancels again and again", func(s *shop, a *till) {
			a.sale(1)
			for range 5 {
				a.cancels(2)
			}
			yes := "2 map[cancelling:true]"
			s.gets(a, started, yes, attempting, yes, yes, yes, yes)
			s.terminalHeard(s.pdq, "cancel", 1)
		}},
		{"14 quick calls while the terminal hangs", func(s *shop, a *till) {
			s.pdq.start = func(ctx context.Context, _ terminal.Request) error { return mute(ctx) }
			s.pdq.query = func(ctx context.Context, _ txn.RequestID) (terminal.Answer, error) {
				return terminal.Answer{}, mute(ctx)
			}
			a.sale(1)
			a.asks(2, "terminalDetails", "")
			a.says(`{"jsonrpc":"2.0","id":3,"method":"connectedTerminals"}`)
			s.gets(a, "2 BUSY", "3 list")
		}},
		{"16 two tills in the same instant", func(s *shop, a *till) {
			b := s.connect("b", "v1")
			for range 20 {
				begun := s.pdq.heard("start")
				for _, c := range []*till{a, b} {
					go c.sends(`{"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":"11111111","currency":"GBP","amount":1250}}`)
				}
				synctest.Wait()
				first, second := a.take(), b.take()
				if word(first[0]) != started {
					first, second = second, first
				}
				if len(first) != 1 || len(second) != 1 || word(first[0]) != started || word(second[0]) != "1 error -32071" {
					s.t.Fatalf("told %q and %q", first, second)
				}
				s.terminalHeard(s.pdq, "start", begun+1)
				s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(txn.Declined)})
				a.take()
				b.take()
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inShop(t, memory.New(), func(s *shop) { c.play(s, s.connect("a", "v1")) })
		})
	}
}
