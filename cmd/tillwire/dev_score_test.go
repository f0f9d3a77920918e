package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/conform"
	"github.com/tillwire/tillwire/internal/browser"
	"github.com/tillwire/tillwire/site/console"
	"github.com/tillwire/tillwire/ws"
)

// scoreOf has a scorer hear a run that was recorded.
func scoreOf(t *testing.T, r conform.Report) conform.Score {
	t.Helper()
	s := conform.NewScorer(conform.ScorerOptions{Slow: 50 * time.Millisecond})
	house := map[int]string{}
	for i, f := range r.Frames {
		if f.Kind == conform.Opened || f.Kind == conform.Refused {
			house[f.Conn] = f.SoftwareHouse
		}
		if f.Added || f.Kind == conform.Pong {
			continue // that no tap tells
		}
		s.Saw(conform.Caller{Site: devSite, Key: "key", Host: "this computer", SoftwareHouse: house[f.Conn]}, f, uint64(i+1))
	}
	all := s.Scores(devSite, time.Now().Add(time.Hour)) // nobody does anything more
	if len(all) != 1 {
		t.Fatalf("%d tills were told apart, want 1", len(all))
	}
	return all[0]
}

// TestScoreOfTills: of a till that does all that a run asks for, everything is
// seen and nothing is wrong; of one with a flaw, no line fails but that which
// fails in the run.
func TestScoreOfTills(t *testing.T) {
	seen := []string{ // flaws that show on the wire, whoever asks
		"no partner ids", "its own method", "another installer each time", "floats", "another id for signatures", "asks nobody on timed out",
		"sends again when cut off", "loses auth codes",
	}
	unseen := []string{"", "cuts fractions off", "never answers signatures", "keeps a dead socket"} // and such that do not
	var tills []*sampleTill
	for _, flaw := range slices.Concat(seen, unseen) {
		tills = append(tills, &sampleTill{flaw: flaw})
	}
	for i, r := range tryTills(t, tills) {
		flaw := tills[i].flaw
		t.Run("till "+flaw, func(t *testing.T) {
			judgeScore(t, r, slices.Contains(seen, flaw), flaw == "", "general", "pac")
		})
	}
}

// TestScoreOfTableTills: the same of tills that keep tables.
func TestScoreOfTableTills(t *testing.T) {
	seen := []string{
		"never answers", "another id in answers", "lists locked tables", "floats", "confirms a locked table", "refuses with an error",
		"pays the bill with gratuity", "does not book what was paid while offline", "dials back at once",
	}
	unseen := []string{"", "lists paid tables", "confirms a paid table", "ignores unlock", "books twice"}
	var tills []*tableTill
	for _, flaw := range slices.Concat(seen, unseen) {
		tills = append(tills, &tableTill{flaw: flaw})
	}
	for i, r := range tryTableTills(t, tills) {
		flaw := tills[i].flaw
		t.Run("till "+flaw, func(t *testing.T) {
			judgeScore(t, r, slices.Contains(seen, flaw), flaw == "", "general", "pat")
		})
	}
}

// judgeScore looks at what a score makes of a run: of a till that is good it has
// seen all lines of those sides, and those fail that have failed in the run, if
// they can be seen to.
func judgeScore(t *testing.T, r conform.Report, seen, good bool, sides ...string) {
	t.Helper()
	var failed []string
	for _, l := range scoreOf(t, r).Lines {
		if l.State == conform.Failed {
			failed = append(failed, l.ID)
		}
		if good && l.State == conform.Unseen && slices.Contains(sides, l.Side) {
			t.Errorf("%s: not seen, though the till did it", l.ID)
		}
		for _, p := range l.Parts {
			if p.State == conform.Failed && (len(p.Hint) < 20 || len(p.Evidence) == 0) {
				t.Errorf("%s: failed without saying why: %q, %d messages", p.Step, p.Hint, len(p.Evidence))
			}
			if p.State != conform.Passed && p.Todo == "" {
				t.Errorf("%s: is open, and nothing says what to do", p.Step)
			}
			if p.State == conform.Eyes && !strings.HasSuffix(p.Question, "?") && !strings.HasSuffix(p.Question, `"`) {
				t.Errorf("%s: asks %q", p.Step, p.Question)
			}
		}
	}
	var want []string
	if seen {
		want = linesIn(r, conform.Failed)
	}
	if diff := cmp.Diff(want, failed); diff != "" {
		t.Errorf("failed lines (-want +got):\n%s", diff)
	}
}

// A handTill says what a test has it say.
type handTill struct {
	t    *testing.T
	conn *ws.Conn
	sign string // the result of a signature request; empty leaves it
}

func dialByHand(t *testing.T, address string) *handTill {
	t.Helper()
	conn, err := ws.Dial(t.Context(), address, ws.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Abort)
	return &handTill{t: t, conn: conn, sign: `{"accepted":true}`}
}

// do sends a request and waits for its answer, or for a text in what comes.
func (p *handTill) do(id int, method, params string, until ...string) {
	p.t.Helper()
	p.say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":{%s}}`, id, method, params))
	for {
		text, err := p.conn.Read()
		if err != nil {
			p.t.Fatalf("%s: %v", method, err)
		}
		var m struct {
			ID     *int   `json:"id"`
			Method string `json:"method"`
		}
		if err := json.Unmarshal(text, &m); err != nil {
			p.t.Fatal(err)
		}
		switch {
		case m.Method == "signatureVerificationRequest" && p.sign != "":
			p.say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":%s}`, *m.ID, p.sign))
		case len(until) > 0 && strings.Contains(string(text), until[0]), m.Method == "" && (m.ID == nil || *m.ID == id):
			return
		}
	}
}

func (p *handTill) say(text string) {
	p.t.Helper()
	if err := p.conn.Send([]byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

func on(tid string, amount int) string {
	return fmt.Sprintf(`"tid":%q,"currency":"GBP","amount":%d`, tid, amount)
}

// TestChecklistPage: the checklist fills in by itself while a till works, says
// what is missing, and takes somebody's word for what no wire shows.
func TestChecklistPage(t *testing.T) {
	b, address := browser.Start(t), devHouse(t)
	till := strings.Replace(strings.TrimSuffix(address, "console/"), "http", "ws", 1) + "pac?token=demo&api-version=v1&software-house-id=ACME&installer-id=FITTERS"
	state := func(tab *browser.Tab, line, want string) {
		t.Helper()
		tab.WaitFor(fmt.Sprintf(`.score-line[id="%s"][data-state="%s"]`, line, want))
	}
	tab := b.Open(t, address+"checklist", 1280, 900)
	tab.WaitText("main", "No till has connected yet")

	// One that is refused is seen before it has ever come in.
	if _, err := ws.Dial(t.Context(), strings.Replace(till, "token=demo", "token=nobody", 1), ws.DialOptions{}); err == nil {
		t.Fatal("a till without a key was let in")
	}
	state(tab, "general.address", "failed")
	tab.WaitText(".score-till", "never let in")

	p := dialByHand(t, till)
	state(tab, "general.address", "passed")
	tab.WaitText(`[id="general.address"]`, "It failed at")
	state(tab, "pac.sale", "not seen yet")
	p.do(1, "sale", on("VCMDEMOSIP0", 1250))
	state(tab, "pac.sale", "passed")
	state(tab, "pac.amounts", "not seen yet")
	p.do(2, "sale", `"tid":"VCMDEMOSIP0","currency":"GBP","amount":19.99`)
	state(tab, "pac.amounts", "failed")
	tab.WaitText(`[id="pac.amounts"]`, "the till sent 19.99")
	p.do(2, "sale", on("VCMDEMOSIP0", 1999))
	state(tab, "pac.amounts", "passed")
	tab.WaitText(`[id="pac.amounts"]`, "It failed at")
	p.do(3, "sale", on("VCMDEMODIP0", 300))
	p.do(4, "sale", on("VCMDEMOSIS0", 800))
	state(tab, "pac.signature", "passed")
	p.sign = `{"accepted":false}`
	p.do(5, "sale", on("VCMDEMOSIS0", 800))
	state(tab, "pac.signatureRejected", "passed")
	p.sign = `{"accepted":"true"}`
	p.do(6, "refund", on("VCMDEMOSIS0", 800))
	state(tab, "pac.signature", "failed")

	// What nobody but the person at the till can see.
	state(tab, "general.installer", "only eyes can tell")
	tab.Click(`[id="general.installer"] .score-keys button`)
	state(tab, "general.installer", "passed")
	tab.WaitText(`[id="general.installer"]`, "By your word")
	tab.Click(`[id="general.softwareHouse"] .score-keys button:last-child`)
	state(tab, "general.softwareHouse", "failed")
	tab.Click(`[id="general.softwareHouse"] .score-by button`)
	state(tab, "general.softwareHouse", "only eyes can tell")
	if got := tab.Text(`[id="general.softwareHouse"]`); strings.Contains(got, "It failed") {
		t.Errorf("a word that was taken back is held against the till: %s", got)
	}

	// What is to be done can be done: here, at the card machine that is named.
	machine := b.Open(t, browser.Eval[string](tab, `document.querySelector('[id="pac.unavailable"] .score-part a').href`), 390, 844)
	machine.Click("#cable button:last-child")
	machine.WaitText("#machine", "NO LINE")
	p.do(7, "sale", on("VCMDEMOSIP3", 610))
	state(tab, "pac.unavailable", "only eyes can tell")
	tab.WaitText(`[id="pac.userMessage"]`, "VCMDEMOSIP3 is unavailable")

	// What decided lies in the traffic.
	tab.Click(`[id="pac.signature"] summary`)
	for _, fault := range slices.Concat(tab.Unlabelled(), tab.TooWide(), tab.LowContrast()) {
		t.Error(fault)
	}
	tab.Shot("checklist-desk")
	tab.Dark(true)
	tab.Shot("checklist-desk-dark")
	for _, fault := range tab.LowContrast() {
		t.Error(fault)
	}
	tab.Click(`[id="pac.signature"] .score-seen li:last-child a`)
	tab.WaitText("#json", `"accepted"`)

	// A second one, which the page does not jump to.
	phone := b.Open(t, address+"checklist?only=open", 390, 844)
	state(phone, "pac.signature", "failed")
	other := dialByHand(t, strings.Replace(till, "ACME", "OTHER", 1))
	phone.WaitFor(`#score-till option[value="2"]`)
	other.do(1, "connectedTerminals", "")
	state(phone, "pac.signature", "failed")
	for _, fault := range slices.Concat(phone.Unlabelled(), phone.TooWide(), phone.LowContrast()) {
		t.Error(fault)
	}
	phone.Shot("checklist-phone")
	phone.Choose("#score-till", "2")
	state(phone, "pac.sale", "not seen yet")

	// For scripts.
	list, err := scoresAt(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].SoftwareHouse != "OTHER" || list[1].SoftwareHouse != "ACME" {
		t.Fatalf("the tills are %+v", list)
	}
	i := slices.IndexFunc(list[1].Lines, func(l console.ScoreLine) bool { return l.ID == "pac.sale" })
	if got := list[1].Lines[i]; got.State != "passed" || len(got.Parts) != 1 || len(got.Parts[0].Evidence) != 2 {
		t.Errorf("the sale stands so: %+v", got)
	}
}

// scoresAt reads the scores as a script does.
func scoresAt(ctx context.Context, address string) (list []console.Score, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"checklist/scores", nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, errors.New(res.Status)
	}
	return list, json.UnmarshalRead(res.Body, &list)
}
