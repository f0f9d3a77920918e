package conform

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/spec"
)

// A hearing tells a scorer what a till and its gateway say, a second apart.
type hearing struct {
	*Scorer
	caller Caller
	at     time.Time
	ref    uint64
}

func newHearing(o ScorerOptions) *hearing {
	return &hearing{
		Scorer: NewScorer(o), caller: Caller{Site: "demo", Key: "k", Host: "this computer", SoftwareHouse: "H"},
		at: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
	}
}

func (h *hearing) saw(f Frame) {
	h.at = h.at.Add(time.Second)
	h.ref++
	f.At = h.at
	h.Saw(h.caller, f, h.ref)
}

func (h *hearing) open(conn int) {
	h.saw(Frame{Conn: conn, Kind: Opened, Path: "/pac", Version: "v1", SoftwareHouse: h.caller.SoftwareHouse, Installer: "I"})
}

func (h *hearing) closes(conn int) { h.saw(Frame{Conn: conn, Kind: Closed, ByTill: true}) }

// says tells messages of a connection: of the till, and with "<" before them of
// the gateway.
func (h *hearing) says(conn int, texts ...string) {
	for _, text := range texts {
		text, fromGateway := strings.CutPrefix(text, "<")
		h.saw(Frame{Conn: conn, Kind: Message, FromGateway: fromGateway, Text: text})
	}
}

func request(id int, method, tid string, amount int) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":{"tid":%q,"currency":"GBP","amount":%d}}`, id, method, tid, amount)
}

func shows(tid, value string) string {
	return fmt.Sprintf(`<{"jsonrpc":"2.0","method":"terminalNotification","params":{"tid":%q,"notificationValue":%q}}`, tid, value)
}

func ends(id int, tid, result string) string {
	return fmt.Sprintf(`<{"jsonrpc":"2.0","id":%d,"result":{"tid":%q,"transactionResult":%q,"amountTotal":100,"amountCashback":0,"amountGratuity":0}}`, id, tid, result)
}

// sale is a whole one.
func (h *hearing) sale(conn, id int, tid, result string) {
	h.says(conn, request(id, "sale", tid, 100), shows(tid, "TRANSACTION_STARTED"), shows(tid, "TRANSACTION_FINISHED"), ends(id, tid, result))
}

// part is how a part of the till that was heard last stands.
func (h *hearing) part(t *testing.T, step string) ScorePart {
	t.Helper()
	if all := h.Scores("demo", h.at); len(all) > 0 {
		for _, l := range all[0].Lines {
			for _, p := range l.Parts {
				if p.Step == step {
					return p
				}
			}
		}
	}
	t.Fatalf("there is no part %s", step)
	return ScorePart{}
}

// TestScoreRules: each check has a rule, each rule has its check and says what to
// do, and parts have names of their own.
func TestScoreRules(t *testing.T) {
	all := rules(ScorerOptions{Slow: time.Second})
	steps := map[string]bool{}
	lines := spec.Default().Checklist()
	for _, r := range all {
		if steps[r.step()] {
			t.Errorf("%s: twice", r.step())
		}
		steps[r.step()] = true
		if !slices.ContainsFunc(lines, func(l spec.ChecklistLine) bool { return l.ID == r.check.ID }) {
			t.Errorf("%s: no line of the checklist", r.step())
		}
		if r.todo == "" || r.judge == nil {
			t.Errorf("%s: says nothing of what to do, or judges nothing", r.step())
		}
		if r.find != nil && r.check.Needs != ByWire && r.question(nil) == "" && r.ask == nil {
			t.Errorf("%s: needs somebody's word, and asks nothing", r.step())
		}
	}
	for _, c := range Checks(Options{}) {
		if !slices.ContainsFunc(all, func(r rule) bool { return r.check.ID == c.ID }) {
			t.Errorf("%s: no rule", c.ID)
		}
	}
}

// TestScoreTurnsGreen: what went wrong and is then done right is right, and it is
// said that it went wrong.
func TestScoreTurnsGreen(t *testing.T) {
	h := newHearing(ScorerOptions{})
	h.open(1)
	h.says(1, `{"jsonrpc":"2.0","id":"1","method":"sale","params":{"tid":"A","amount":100}}`, `{"jsonrpc":"2.0","id":2,"method":"connectedTerminals"}`)
	if p := h.part(t, "pac.ids"); p.State != Failed || !p.Failed.Equal(h.at.Add(-time.Second)) || len(p.Evidence) != 1 || p.Evidence[0].Ref != 2 {
		t.Errorf("a bad id, though another request was right: %+v", p)
	}
	h.sale(1, 3, "A", "SUCCESSFUL")
	if p := h.part(t, "pac.ids"); p.State != Passed || p.Failed.IsZero() || p.Hint != "" {
		t.Errorf("the same request with a good id: %+v", p)
	}
	if p := h.part(t, "pac.chooseTerminal/other"); p.State != Unseen {
		t.Errorf("one card machine: %+v", p)
	}
	h.sale(1, 3, "B", "DECLINED")
	for step, want := range map[string]State{"pac.chooseTerminal/other": Passed, "pac.notTaken/declined": Eyes, "pac.notTaken/void": Unseen, "pac.sale": Passed} {
		if p := h.part(t, step); p.State != want {
			t.Errorf("%s: %s, want %s", step, p.State, want)
		}
	}
}

// TestScorePatience: after TIMED_OUT a till that does nothing fails in time, but
// not one that has gone, and one that asks late is right all the same.
func TestScorePatience(t *testing.T) {
	h := newHearing(ScorerOptions{Patience: time.Minute})
	h.open(1)
	h.sale(1, 1, "A", "TIMED_OUT")
	if p := h.part(t, "pac.timedOut"); p.State != Unseen {
		t.Errorf("at once: %+v", p)
	}
	h.at = h.at.Add(time.Minute)
	if p := h.part(t, "pac.timedOut"); p.State != Failed || !strings.Contains(p.Hint, "terminalDetails") {
		t.Errorf("after a minute: %+v", p)
	}
	h.says(1, `{"jsonrpc":"2.0","id":2,"method":"terminalDetails","params":{"tid":"A"}}`, `<{"jsonrpc":"2.0","id":2,"result":{"tid":"A","status":"AVAILABLE"}}`)
	if p := h.part(t, "pac.timedOut"); p.State != Eyes || p.Failed.IsZero() || len(p.Evidence) != 3 {
		t.Errorf("once it has asked: %+v", p)
	}
	h.sale(1, 3, "A", "TIMED_OUT")
	h.says(1, request(4, "sale", "A", 100))
	if p := h.part(t, "pac.timedOut"); p.State != Failed || !strings.Contains(p.Hint, "twice") {
		t.Errorf("sent again: %+v", p)
	}

	gone := newHearing(ScorerOptions{Patience: time.Minute})
	gone.open(1)
	gone.sale(1, 1, "A", "TIMED_OUT")
	gone.closes(1)
	gone.at = gone.at.Add(time.Hour)
	if p := gone.part(t, "pac.timedOut"); p.State != Unseen {
		t.Errorf("a till that was switched off: %+v", p)
	}
}

// TestScoreLost: a till whose connection was lost in a sale has to ask, on its
// next connection.
func TestScoreLost(t *testing.T) {
	lose := func() *hearing {
		h := newHearing(ScorerOptions{})
		h.open(1)
		h.says(1, request(1, "sale", "A", 640), shows("A", "TRANSACTION_STARTED"))
		h.closes(1)
		h.open(2)
		return h
	}
	asks := lose()
	asks.says(2, `{"jsonrpc":"2.0","id":1,"method":"duplicate","params":{"tid":"A"}}`, ends(1, "A", "SUCCESSFUL"))
	if p := asks.part(t, "pac.lostDuring"); p.State != Eyes || !strings.Contains(p.Question, "6.40") {
		t.Errorf("asked: %+v", p)
	}
	again := lose()
	again.says(2, request(1, "sale", "A", 640))
	if p := again.part(t, "pac.lostDuring"); p.State != Failed {
		t.Errorf("sent again: %+v", p)
	}
	silent := lose()
	if p := silent.part(t, "pac.lostDuring"); p.State != Unseen {
		t.Errorf("back: %+v", p)
	}
	silent.at = silent.at.Add(time.Hour)
	if p := silent.part(t, "pac.lostDuring"); p.State != Failed {
		t.Errorf("back for an hour: %+v", p)
	}
}

// TestScoreApart: what runs on two card machines at once is told apart.
func TestScoreApart(t *testing.T) {
	h := newHearing(ScorerOptions{})
	h.open(1)
	h.says(1, request(1, "sale", "A", 100), request(2, "sale", "B", 200), shows("B", "TRANSACTION_STARTED"), shows("A", "TRANSACTION_STARTED"),
		`<{"jsonrpc":"2.0","id":1,"method":"signatureVerificationRequest","params":{"tid":"B"}}`,
		`{"jsonrpc":"2.0","id":3,"method":"cancelTransaction","params":{"tid":"A"}}`, `<{"jsonrpc":"2.0","id":3,"result":{"cancelling":true}}`,
		ends(1, "A", "CANCELLED"),
		`{"jsonrpc":"2.0","id":1,"result":{"accepted":false}}`, ends(2, "B", "VOID"))
	for step, want := range map[string]State{"pac.cancel": Passed, "pac.signatureRejected": Passed, "pac.signature": Unseen, "pac.notTaken/void": Eyes, "pac.notTaken/cancelled": Eyes} {
		if p := h.part(t, step); p.State != want {
			t.Errorf("%s: %s %s, want %s", step, p.State, p.Hint, want)
		}
	}
}

// TestScoreTills: tills are told apart by whose they are, where they are and
// their key; one that was refused is the one that is let in from there; and there
// are not more than so many.
func TestScoreTills(t *testing.T) {
	h := newHearing(ScorerOptions{Tills: 3})
	real := h.caller
	h.caller.Key, h.caller.SoftwareHouse = "", ""
	h.saw(Frame{Conn: 1, Kind: Refused, Path: "/pac", Status: 401, WrongKey: true})
	if p := h.part(t, "general.address"); p.State != Failed {
		t.Errorf("a wrong key: %+v", p)
	}
	h.caller = real
	h.open(2)
	if p := h.part(t, "general.address"); p.State != Passed || p.Failed.IsZero() {
		t.Errorf("then the right one: %+v", p)
	}
	h.caller.Key = ""
	h.saw(Frame{Conn: 3, Kind: Refused, Path: "/pac", Version: "v1", SoftwareHouse: "H", Status: 422})
	h.caller = real
	if p := h.part(t, "general.partnerIds"); p.State != Failed {
		t.Errorf("refused without an installer: %+v", p)
	}
	if got := h.Scores("demo", h.at); len(got) != 1 {
		t.Fatalf("%d tills, want 1", len(got))
	}
	h.caller.Site = "other"
	h.open(4)
	h.caller.Site = "demo"
	for i, host := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.1"} {
		h.caller.Host = host
		h.open(5 + i)
	}
	got := []string{}
	for _, s := range h.Scores("demo", h.at) {
		got = append(got, fmt.Sprintf("%d %s %d", s.Number, s.Host, s.Open))
	}
	if diff := cmp.Diff([]string{"3 10.0.0.1 2", "4 10.0.0.2 1"}, got); diff != "" {
		t.Errorf("tills (-want +got):\n%s", diff)
	}
}

// TestScoreInstaller: the ids of a till stay the same.
func TestScoreInstaller(t *testing.T) {
	h := newHearing(ScorerOptions{})
	h.open(1)
	h.saw(Frame{Conn: 2, Kind: Opened, Path: "/pac", Version: "v1", SoftwareHouse: "H", Installer: "ANOTHER"})
	if p := h.part(t, "general.partnerIds"); p.State != Failed {
		t.Errorf("another installer: %+v", p)
	}
	h.saw(Frame{Conn: 3, Kind: Opened, Path: "/pac", Version: "v1", SoftwareHouse: "H", Installer: "ANOTHER"})
	if p := h.part(t, "general.partnerIds"); p.State != Passed || p.Failed.IsZero() {
		t.Errorf("the same again: %+v", p)
	}
}

// TestScoreBounds: a till that says a great deal is kept score of, and little is
// kept of what it said.
func TestScoreBounds(t *testing.T) {
	h := newHearing(ScorerOptions{Frames: 40, Bytes: 8 << 10})
	h.open(1)
	h.sale(1, 1, "A", "VOID")
	long := strings.Repeat("x", 3<<10)
	for i := range 60 {
		h.sale(1, i, "B", "SUCCESSFUL")
		h.says(1, `{"jsonrpc":"2.0","id":7,"method":"connectedTerminals","params":{"x":"`+long+`"}}`)
		tally := h.tills[0]
		if len(tally.frames) > 40 || tally.bytes > 8<<10 || len(tally.refs) != len(tally.frames) {
			t.Fatalf("%d frames of %d bytes are kept", len(tally.frames), tally.bytes)
		}
	}
	for step, want := range map[string]State{"pac.notTaken/void": Eyes, "pac.sale": Passed, "pac.chooseTerminal/other": Passed} {
		if p := h.part(t, step); p.State != want {
			t.Errorf("%s: %s, want %s", step, p.State, want)
		}
	}
	if n := len(h.tills[0].marks); n > 60 {
		t.Errorf("%d marks", n)
	}
	h.says(1, strings.Repeat("[", 50<<10))
	if p := h.part(t, "pac.envelope"); p.State != Failed || len(p.Evidence[0].Text) > maxSighting+10 {
		t.Errorf("%s, with %d bytes", p.State, len(p.Evidence[0].Text))
	}
}

// TestScoreMissed: what was not seen is not held against a till.
func TestScoreMissed(t *testing.T) {
	h := newHearing(ScorerOptions{})
	h.open(1)
	h.sale(1, 1, "A", "SUCCESSFUL")
	h.says(1, request(2, "sale", "A", 640), shows("A", "TRANSACTION_STARTED"))
	h.Missed()
	if s := h.Scores("demo", h.at); s[0].Open != 0 {
		t.Errorf("%d connections, and nobody knows", s[0].Open)
	}
	h.saw(Frame{Conn: 1, Kind: Message, Path: "/pac", FromGateway: true, Text: shows("A", "PRESENT_CARD")[1:]})
	if s := h.Scores("demo", h.at); s[0].Open != 1 {
		t.Errorf("%d connections, and one was heard", s[0].Open)
	}
	h.closes(1)
	h.open(2)
	h.at = h.at.Add(time.Hour)
	for step, want := range map[string]State{"pac.lostDuring": Unseen, "pac.sale": Passed} {
		if p := h.part(t, step); p.State != want {
			t.Errorf("%s: %s %s, want %s", step, p.State, p.Hint, want)
		}
	}
}

// TestScoreWord: a yes holds for what comes later and is the same, a no until it
// is tried again; what the wire shows goes before both; and a word can be taken
// back.
func TestScoreWord(t *testing.T) {
	h := newHearing(ScorerOptions{})
	h.open(1)
	say := func(step string, yes *bool) {
		t.Helper()
		if err := h.Say("demo", 1, step, yes, h.at); err != nil {
			t.Fatalf("%s: %v", step, err)
		}
	}
	yes, no := true, false
	want := func(step string, state State, word bool) ScorePart {
		t.Helper()
		p := h.part(t, step)
		if p.State != state || p.Word != word {
			t.Errorf("%s: %s by word %t, want %s %t", step, p.State, p.Word, state, word)
		}
		return p
	}
	for _, bad := range []struct {
		site, step string
		till       int
	}{{"demo", "pac.successful", 1}, {"demo", "pac.sale", 1}, {"demo", "nothing", 1}, {"demo", "general.installer", 2}, {"other", "general.installer", 1}} {
		if err := h.Say(bad.site, bad.till, bad.step, &yes, h.at); !errors.Is(err, ErrNoQuestion) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	h.sale(1, 1, "A", "SUCCESSFUL")
	if p := want("pac.successful", Eyes, false); !strings.Contains(p.Question, "booked 1.00 in all") {
		t.Errorf("the question is %q", p.Question)
	}
	say("pac.successful", &yes)
	h.sale(1, 2, "A", "SUCCESSFUL")
	want("pac.successful", Passed, true)
	say("pac.successful", &no)
	if p := want("pac.successful", Failed, true); !strings.Contains(p.Hint, "clears the amount") || p.Failed.IsZero() {
		t.Errorf("a no says %q", p.Hint)
	}
	h.sale(1, 3, "A", "SUCCESSFUL")
	want("pac.successful", Eyes, false)
	say("pac.successful", &yes)
	say("pac.successful", nil)
	want("pac.successful", Eyes, false)

	say("general.installer", &no)
	if p := want("general.installer", Failed, true); !strings.Contains(p.Hint, "installer id can be set") {
		t.Errorf("a no says %q", p.Hint)
	}
	say("general.installer", nil)
	if p := want("general.installer", Eyes, false); !p.Failed.IsZero() {
		t.Error("a no that was taken back is held against the till")
	}

	h.sale(1, 4, "A", "TIMED_OUT")
	h.says(1, `{"jsonrpc":"2.0","id":5,"method":"duplicate","params":{"tid":"A"}}`, ends(5, "A", "TIMED_OUT"))
	want("pac.timedOut", Eyes, false)
	say("pac.timedOut", &yes)
	h.sale(1, 6, "A", "TIMED_OUT")
	h.says(1, request(7, "sale", "A", 100))
	want("pac.timedOut", Failed, false)
}

// FuzzScorer: whatever a till and a gateway say, a scorer keeps score.
func FuzzScorer(f *testing.F) {
	f.Add(request(1, "sale", "A", 1999) + "\n" + shows("A", "SIGNATURE_VERIFICATION_TIMEOUT") + "\n" + ends(1, "A", "SUCCESSFUL"))
	f.Add(`{"id":1,"method":"completion","params":{"tid":"A","authCode":1}}` + "\n" + `<{"id":1,"error":{"code":-32070}}` + "\n!\n[]")
	f.Add(`<{"id":1,"method":"signatureVerificationRequest","params":{}}` + "\n" + `{"id":1,"result":{"accepted":"x"}}`)
	f.Add(`<{"id":1,"method":"tableLockRequest","params":{"tableId":"1"}}` + "\n" + `{"id":1,"result":{"confirmed":true,"amount":1}}`)
	f.Fuzz(func(t *testing.T, text string) {
		h := newHearing(ScorerOptions{Frames: 30, Tills: 2})
		h.open(1)
		for i, line := range strings.Split(text, "\n") {
			switch line {
			case "!":
				h.closes(1)
				h.open(1)
			case "?":
				h.Missed()
			default:
				h.says(1+i%2, line)
			}
		}
		for _, s := range h.Scores("demo", h.at.Add(time.Hour)) {
			for _, l := range s.Lines {
				for _, p := range l.Parts {
					if p.State == Failed && p.Hint == "" || p.State != Passed && p.Todo == "" || l.State == "" {
						t.Errorf("%s: %+v", l.ID, p)
					}
				}
			}
		}
	})
}
