package gateway_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
)

// TestSimScenarios plays each scenario of the simulated terminals between two
// ordinary sales, and compares what the till was told and what is true in the
// end with what the scenario's data says. At another speed than 1 what is told
// may differ; what must always hold is checked all the same.
func TestSimScenarios(t *testing.T) {
	for _, s := range spec.Default().Scenarios().Scenarios {
		for _, speed := range []float64{1, 7, sim.Max} {
			t.Run(fmt.Sprintf("%s/speed %v", s.Name, speed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { playScenario(t, s, speed, nil) })
			})
		}
	}
}

// TestSimScenariosOverLinks plays each of them twice, with the machine plugged
// in and at the other end of a terminal link. What is told, recorded and charged
// is the same. Where the mishap is one of the link, the link was really lost.
func TestSimScenariosOverLinks(t *testing.T) {
	breaks := []string{string(sim.CutLink), string(sim.HalfOpen), string(sim.PowerOff)}
	for _, s := range spec.Default().Scenarios().Scenarios {
		t.Run(s.Name, func(t *testing.T) {
			var near, far scenarioEnd
			dials := 0
			synctest.Test(t, func(t *testing.T) { near = playScenario(t, s, 1, nil) })
			synctest.Test(t, func(t *testing.T) {
				x := newExchange(t)
				far = playScenario(t, s, 1, x)
				x.mu.Lock()
				defer x.mu.Unlock()
				dials = x.dials[scenarioTID]
			})
			if diff := cmp.Diff(near, far, cmp.AllowUnexported(scenarioEnd{})); diff != "" {
				t.Errorf("the end (- plugged in, + over a link):\n%s", diff)
			}
			lost := slices.ContainsFunc(s.Script.Mishaps, func(m spec.ScenarioMishap) bool { return slices.Contains(breaks, m.Do) })
			if lost != (dials > 1) {
				t.Errorf("the machine dialled %d times; its link is lost: %t", dials, lost)
			}
		})
	}
}

const scenarioTID = "VCMDEMOSIP0"

// A scenarioEnd is what is left of a scenario.
type scenarioEnd struct {
	told    string
	code    int
	truth   string
	charged []money.Minor // at the acquirer, in order; reversed ones are 0
}

// playScenario plays one, over links if there are any, and returns its end.
func playScenario(t *testing.T, s spec.Scenario, speed float64, links *exchange) scenarioEnd {
	script, ok := sim.Scenario(s.Name)
	if !ok {
		t.Fatalf("no scenario %q", s.Name)
	}
	w := newWorldOver(t, memory.New(), sim.Options{Seed: 1, Speed: speed}, links)
	c := w.connect("a", "v1")
	if got := w.sells(c, 1, 900, 0); got.told != "SUCCESSFUL" {
		t.Fatalf("the sale before: %+v", got)
	}
	w.machine(scenarioTID).Script(script)
	got := w.sells(c, 2, 1250, 20*time.Minute)
	all := transactions(t, w.store, "demo")
	tx := all[len(all)-1]
	w.bookedOnce(tx)
	got.checkFrame(t, tx)
	if speed == 1 {
		got.check(t, s.Expect, truth(tx))
	}
	if got := w.sells(c, 3, 700, 0); got.told != "SUCCESSFUL" {
		t.Errorf("the sale after it: %+v", got)
	}
	if all = transactions(t, w.store, "demo"); len(all) != 3 {
		t.Errorf("%d transactions are recorded, want 3", len(all))
	}
	end := scenarioEnd{told: got.told, code: got.code, truth: truth(tx)}
	for _, b := range w.park.Charges() {
		if b.Reversed {
			b.Amount = 0
		}
		end.charged = append(end.charged, b.Amount)
	}
	return end
}

// A saleHeard is what a till heard of one sale.
type saleHeard struct {
	answers int    // to the sale
	told    string // the result
	code    int    // of the error
	shown   []string
	after   []string // what came after the answer
}

// sells makes a sale and accepts any signature. It waits until the answer is
// there and the terminal is AVAILABLE again, and so long at least.
func (w *world) sells(c *till, id, amount int, atLeast time.Duration) saleHeard {
	w.t.Helper()
	var h saleHeard
	c.says(`{"jsonrpc":"2.0","id":%d,"method":"sale","params":{"tid":%q,"currency":"GBP","amount":%d}}`, id, scenarioTID, amount)
	begun := time.Now()
	for {
		for _, m := range c.take() {
			w.fits(c, m)
			h.hears(w.t, c, id, m)
		}
		since := time.Since(begun)
		if h.answers > 0 && since >= atLeast && w.available() {
			return h
		}
		if since > time.Hour {
			w.t.Fatalf("after an hour the till had heard %+v, and the terminal is AVAILABLE: %t", h, w.available())
		}
		sleep(500 * time.Millisecond)
	}
}

func (w *world) available() bool {
	for _, v := range w.g.Terminals("demo") {
		if v.TID == scenarioTID {
			return v.Connected && !v.Busy
		}
	}
	return false
}

// hears takes one message.
func (h *saleHeard) hears(t *testing.T, c *till, id int, message string) {
	t.Helper()
	var m struct {
		ID     *int   `json:"id"`
		Method string `json:"method"`
		Params struct {
			Value string `json:"notificationValue"`
		} `json:"params"`
		Result struct {
			Result string `json:"transactionResult"`
		} `json:"result"`
		Error struct {
			Code int `json:"code"`
		} `json:"error"`
	}
	if err := json.Unmarshal([]byte(message), &m); err != nil {
		t.Fatal(err)
	}
	if h.answers > 0 {
		h.after = append(h.after, word(message))
	}
	switch {
	case m.Method == "signatureVerificationRequest":
		c.signs(*m.ID, true)
	case m.Params.Value != "":
		h.shown = append(h.shown, m.Params.Value)
	case m.ID != nil && *m.ID == id:
		h.answers++
		h.told, h.code = m.Result.Result, m.Error.Code
	default:
		t.Errorf("an unexpected message: %s", message)
	}
}

// checkFrame holds against the contract what the till heard, whatever happened.
func (h saleHeard) checkFrame(t *testing.T, tx txn.Transaction) {
	t.Helper()
	if h.answers != 1 || len(h.after) > 0 {
		t.Errorf("the till got %d answers, want 1, and after it %v, want nothing", h.answers, h.after)
	}
	if h.code != 0 {
		if len(h.shown) > 0 || tx.NotRun == "" {
			t.Errorf("an error after %v; recorded %s, not run %q", h.shown, tx.State, tx.NotRun)
		}
		return
	}
	n := len(h.shown)
	if n == 0 || h.shown[n-1] != "TRANSACTION_FINISHED" || slices.Index(h.shown, "TRANSACTION_FINISHED") != n-1 {
		t.Errorf("TRANSACTION_FINISHED is not the last of %v", h.shown)
	}
	if n > 1 && slices.Index(h.shown[1:], "TRANSACTION_STARTED") >= 0 || n > 1 && h.shown[0] != "TRANSACTION_STARTED" {
		t.Errorf("TRANSACTION_STARTED is not the first of %v", h.shown)
	}
	for i := 1; i < n; i++ {
		if h.shown[i] == h.shown[i-1] {
			t.Errorf("%s twice in a row in %v", h.shown[i], h.shown)
		}
	}
	if h.told != "TIMED_OUT" && h.told != truth(tx) {
		t.Errorf("the till was told %s, recorded is %s", h.told, truth(tx))
	}
}

// check compares with what the scenario says.
func (h saleHeard) check(t *testing.T, want spec.ScenarioExpected, truth string) {
	t.Helper()
	if h.told != want.Told || h.code != want.Error || truth != want.Truth {
		t.Errorf("told %q %d, truth %s; want %q %d, %s; shown %v", h.told, h.code, truth, want.Told, want.Error, want.Truth, h.shown)
	}
	rest := h.shown
	for _, n := range want.Shows {
		i := slices.Index(rest, n)
		if i < 0 {
			t.Errorf("the till was shown %v, want %v in that order", h.shown, want.Shows)
			return
		}
		rest = rest[i+1:]
	}
}

// truth is the recorded end in the scenarios' words.
func truth(tx txn.Transaction) string {
	switch {
	case tx.State != txn.Finished:
		return spec.TruthUnknown
	case tx.NotRun == txn.Fenced && tx.Told == txn.ToldResult:
		return string(txn.Unsuccessful) // as the till was told
	case tx.NotRun != "":
		return spec.TruthNotRun
	case tx.Outcome == nil:
		return "nothing"
	}
	return string(tx.Outcome.Result)
}

// bookedOnce compares a transaction's recorded end with the acquirer's books.
func (w *world) bookedOnce(tx txn.Transaction) {
	w.t.Helper()
	var charged money.Minor
	var standing []string
	before := transactions(w.t, w.store, "demo")
	for _, b := range w.park.Charges() {
		if b.Reversed || slices.ContainsFunc(before, func(o txn.Transaction) bool {
			return o.ID != tx.ID && o.Outcome != nil && o.Outcome.TransactionID == b.TransactionID
		}) {
			continue
		}
		charged += b.Amount
		standing = append(standing, string(b.TransactionID))
	}
	var want money.Minor
	if o := tx.Outcome; o != nil && o.Result == txn.Successful {
		want = o.Total()
		if !slices.Equal(standing, []string{string(o.TransactionID)}) {
			w.t.Errorf("the acquirer has %s, recorded is %s", strings.Join(standing, " "), o.TransactionID)
		}
	}
	if charged != want || tx.Conflict != nil {
		w.t.Errorf("the acquirer charged %d, recorded is %d; conflict %+v", charged, want, tx.Conflict)
	}
}
