package door

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/go-json-experiment/json"

	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal/sim"
)

const toPAT = "/pat?token=" + planted + "good&api-version=v1&software-house-id=S&installer-id=I"

// A dining is a real gateway with a door, and waiters at simulated terminals.
type dining struct {
	*real
	park   *sim.Park
	over   chan sim.VisitResult
	visits int
}

func openDining(t *testing.T) *dining {
	t.Helper()
	r, park := openShop(t)
	return &dining{real: r, park: park, over: make(chan sim.VisitResult, 8)}
}

// soon makes the till's time for an answer short.
func (d *dining) soon() {
	d.t.Helper()
	sites, err := d.store.Sites(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	sites[0].Limits = map[string]time.Duration{spec.TimerPATAnswer: 200 * time.Millisecond}
	if err := d.store.PutSite(d.t.Context(), sites[0]); err != nil {
		d.t.Fatal(err)
	}
	if err := d.gateway.Reload(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
}

// online dials as a till that keeps tables, and returns once the gateway knows
// it: the handshake is answered a moment before.
func (d *dining) online() *till {
	d.t.Helper()
	c := d.dial(toPAT)
	c.say(`{"jsonrpc":"2.0","id":1,"method":"here"}`)
	c.refused(-32601)
	return c
}

// visit has a waiter begin at the terminal. Where the visit is to a table, each
// is to another: the next to the same one has to wait until the till has the
// unlock of the one before.
func (d *dining) visit(v sim.Visit) {
	if v.Table != "" {
		v.Table, v.ByName = table.TableID(fmt.Sprint(12+d.visits)), true
		d.visits++
	}
	m, ok := d.park.Machine("VCMDEMOSIP0")
	if !ok {
		d.t.Fatal("no machine")
	}
	go func() {
		res, err := m.Visit(d.t.Context(), v, nil)
		if err != nil {
			d.t.Error(err)
		}
		d.over <- res
	}()
}

type asked struct {
	ID     int    `json:"id"`
	Method string `json:"method"`
	Error  struct {
		Code int `json:"code"`
	} `json:"error"`
}

// next reads one message of the gateway.
func (c *till) next() asked {
	c.t.Helper()
	text, err := c.hear()
	if err != nil {
		c.t.Fatal(err)
	}
	var m asked
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		c.t.Fatalf("%s: %v", text, err)
	}
	return m
}

// asked reads one message and fails the test unless it asks that; it returns
// the id.
func (c *till) asked(method string) int {
	c.t.Helper()
	m := c.next()
	if m.Method != method {
		c.t.Fatalf("got %+v, want %s", m, method)
	}
	return m.ID
}

// refused reads one message and fails the test unless it is that error.
func (c *till) refused(code int) {
	c.t.Helper()
	if m := c.next(); m.Error.Code != code {
		c.t.Fatalf("got %+v, want error %d", m, code)
	}
}

func (c *till) result(id int, result string) {
	c.t.Helper()
	c.say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":%s}`, id, result))
}

const (
	oneTable  = `{"tableIds":["12"],"currency":"GBP"}`
	isLocked  = `{"confirmed":true,"amount":4550,"currency":"GBP"}`
	isABill   = `{"receiptLines":[{"type":"TEXT","value":"TOTAL"}]}`
	tableList = "tableListRequest"
	tableLock = "tableLockRequest"
	theBill   = "posReceiptRequest"
	unlock    = "tableUnlock"
)

// TestWrongAnswers: a till answers wrongly on a real socket. It is told so, its
// connection goes on, and the right answer is taken as long as there is time.
func TestWrongAnswers(t *testing.T) {
	d := openDining(t)
	c := d.online()
	for _, tt := range []struct {
		name   string
		wrong  string // with the id of the lock request
		code   int
		decide bool // the question is over by it
	}{
		{"another id", `{"jsonrpc":"2.0","id":9%d,"result":` + isLocked + `}`, -32075, false},
		{"no id", `{"jsonrpc":"2.0","result":` + isLocked + `}`, -32600, false},
		{"an id that is a string", `{"jsonrpc":"2.0","id":"%d","result":` + isLocked + `}`, -32600, false},
		{"not JSON", `{"jsonrpc":"2.0","id":%d`, -32700, false},
		{"an array", `[{"jsonrpc":"2.0","id":%d,"result":` + isLocked + `}]`, -32600, false},
		{"wrong shape", `{"jsonrpc":"2.0","id":%d,"result":["confirmed"]}`, -32602, false},
		{"a word", `{"jsonrpc":"2.0","id":%d,"result":"yes"}`, -32602, false},
		{"null", `{"jsonrpc":"2.0","id":%d,"result":null}`, -32602, false},
		{"a list for a lock", `{"jsonrpc":"2.0","id":%d,"result":` + oneTable + `}`, -32602, false},
		{"confirmed without amount", `{"jsonrpc":"2.0","id":%d,"result":{"confirmed":true,"currency":"GBP"}}`, -32602, false},
		{"amount 0", `{"jsonrpc":"2.0","id":%d,"result":{"confirmed":true,"amount":0,"currency":"GBP"}}`, -32602, false},
		{"a negative amount", `{"jsonrpc":"2.0","id":%d,"result":{"confirmed":true,"amount":-4550,"currency":"GBP"}}`, -32602, false},
		{"a float", `{"jsonrpc":"2.0","id":%d,"result":{"confirmed":true,"amount":45.5,"currency":"GBP"}}`, -32602, false},
		{"a float without fraction", `{"jsonrpc":"2.0","id":%d,"result":{"confirmed":true,"amount":4550.0,"currency":"GBP"}}`, -32602, false},
		{"too much", `{"jsonrpc":"2.0","id":%d,"result":{"confirmed":true,"amount":100000000,"currency":"GBP"}}`, -32602, false},
		{"another currency", `{"jsonrpc":"2.0","id":%d,"result":{"confirmed":true,"amount":4550,"currency":"EUR"}}`, -32602, false},
		{"an unknown currency", `{"jsonrpc":"2.0","id":%d,"result":{"confirmed":true,"amount":4550,"currency":"USD"}}`, -32602, false},
		{"a sale", `{"jsonrpc":"2.0","id":%d,"method":"sale","params":{"tid":"VCMDEMOSIP0","currency":"GBP","amount":1}}`, -32601, false},
		{"a list of terminals", `{"jsonrpc":"2.0","id":%d,"method":"connectedTerminals"}`, -32601, false},
		{"a notification", `{"jsonrpc":"2.0","method":"tableUnlock","params":{"tableId":"%d"}}`, -32600, false},
		{"two answers", `{"jsonrpc":"2.0","id":%d,"result":` + isLocked + `}`, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d.visit(sim.Visit{Table: "12", CancelAt: sim.StepSplit})
			c.result(c.asked(tableList), oneTable)
			id := c.asked(tableLock)
			wrong := tt.wrong
			if strings.Contains(wrong, "%d") {
				wrong = fmt.Sprintf(wrong, id)
			}
			c.say(wrong)
			if tt.code != 0 {
				c.refused(tt.code)
			}
			c.result(id, isLocked)
			if tt.decide { // the unlock may come before the error or after it
				a, b := c.next(), c.next()
				if a.Method != unlock {
					a, b = b, a
				}
				if a.Method != unlock || b.Error.Code != -32075 {
					t.Errorf("got %+v and %+v", a, b)
				}
			} else {
				c.asked(unlock)
			}
			if res := take(t, d.over); res.End != sim.EndCancelled || res.Due != 4550 {
				t.Errorf("the visit ended %s with %d due", res.End, res.Due)
			}
		})
	}
}

// TestLateAndMissingAnswers: an error, silence, an answer that is too late.
func TestLateAndMissingAnswers(t *testing.T) {
	d := openDining(t)
	d.soon()
	c := d.online()
	d.visit(sim.Visit{Table: "12"})
	c.result(c.asked(tableList), oneTable)
	c.say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"error":{"code":-32000,"message":"no","userMessage":"Ask the manager"}}`, c.asked(tableLock)))
	c.asked(unlock)
	if res := take(t, d.over); res.End != sim.EndRefused || !strings.Contains(fmt.Sprint(res.Steps), "Ask the manager") {
		t.Errorf("an error: %s, %v", res.End, res.Steps)
	}

	d.visit(sim.Visit{Table: "12"})
	c.result(c.asked(tableList), oneTable)
	id := c.asked(tableLock)
	c.asked(unlock)
	c.result(id, isLocked)
	c.refused(-32074)
	c.asked(unlock) // once more: it was locked after the first
	if res := take(t, d.over); res.End != sim.EndRefused {
		t.Errorf("silence: %s", res.End)
	}

	d.visit(sim.Visit{Table: "12"})
	id = c.asked(tableList)
	if res := take(t, d.over); res.End != sim.EndNoTable {
		t.Errorf("no list: %s", res.End)
	}
	c.result(id, oneTable)
	c.refused(-32074)
	c.result(id, oneTable)
	c.refused(-32075)
}

// TestLists: what a till can call its tables.
func TestLists(t *testing.T) {
	d := openDining(t)
	c := d.online()
	list := func(names ...string) []table.TableID {
		t.Helper()
		d.visit(sim.Visit{})
		data, err := json.Marshal(names)
		if err != nil {
			t.Fatal(err)
		}
		c.result(c.asked(tableList), fmt.Sprintf(`{"tableIds":%s,"currency":"GBP"}`, string(data)))
		return take(t, d.over).Tables
	}
	many := make([]string, 10_000)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	if got := list(many...); len(got) != 1000 || got[0] != "0" {
		t.Errorf("of 10,000 tables %d are shown", len(got))
	}
	long := strings.Repeat("\x00\x1b[2J\n", 100)
	if got := list("1", "1", long, strings.Repeat("x", 500), strings.Repeat("é", 64), "", "1"); fmt.Sprint(got) != "[1 "+strings.Repeat("é", 64)+"]" {
		t.Errorf("shown: %q", got)
	}
	for _, wrong := range []string{`{"tableIds":["1"]}`, `{"tableIds":[1],"currency":"GBP"}`, `{"tableIds":{},"currency":"GBP"}`} {
		d.visit(sim.Visit{})
		id := c.asked(tableList)
		c.result(id, wrong)
		c.refused(-32602)
		c.result(id, oneTable)
		if got := take(t, d.over).Tables; len(got) != 1 {
			t.Errorf("after %s: %q", wrong, got)
		}
	}
}

// TestBills: lines of an unknown type are no bill. A logo beyond the limit of a
// message closes the connection; the next one is asked anew, and the visit goes
// on.
func TestBills(t *testing.T) {
	d := openDining(t)
	c := d.online()
	d.visit(sim.Visit{Table: "12", PrintBill: true, CancelAt: sim.StepSplit})
	c.result(c.asked(tableList), oneTable)
	c.result(c.asked(tableLock), isLocked)
	id := c.asked(theBill)
	c.result(id, `{"receiptLines":[{"type":"QR_CODE","value":"x"}]}`)
	c.refused(-32602)
	logo := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":{"receiptLines":[{"type":"IMAGE_LOGO","value":%q}]}}`, id, strings.Repeat("A", 5<<20))
	_ = c.Write(t.Context(), websocket.MessageText, []byte(logo)) // the close may come first
	c.closed(websocket.StatusMessageTooBig)
	c = d.dial(toPAT)
	c.result(c.asked(theBill), isABill)
	c.asked(unlock)
	if res := take(t, d.over); res.End != sim.EndCancelled || len(res.Bill) != 1 {
		t.Errorf("ended %s with a bill of %d lines", res.End, len(res.Bill))
	}
}

// TestTakeover: the newer connection has the rest of the visit; what the older
// one says changes nothing.
func TestTakeover(t *testing.T) {
	d := openDining(t)
	a := d.online()
	d.visit(sim.Visit{Table: "12", Split: 2})
	first := a.asked(tableList)
	b := d.dial(toPAT)
	second := b.asked(tableList)
	a.refused(-32076)
	_ = a.Write(t.Context(), websocket.MessageText, fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"result":{"tableIds":["99"],"currency":"GBP"}}`, first))
	a.closed(websocket.StatusPolicyViolation)
	b.result(second, oneTable)
	b.asked(tableLock)
	c := d.dial(toPAT)
	c.asked(unlock) // the lock counts as unanswered
	b.refused(-32076)
	b.closed(websocket.StatusPolicyViolation)
	if res := take(t, d.over); res.End != sim.EndRefused {
		t.Errorf("ended %s", res.End)
	}
	d.visit(sim.Visit{Table: "12", Split: 2})
	c.result(c.asked(tableList), oneTable)
	c.result(c.asked(tableLock), isLocked)
	c.asked("transactionResponse")
	c.asked(unlock)
	if res := take(t, d.over); res.End != sim.EndPaid || res.Paid != 4550 {
		t.Errorf("ended %s, paid %d", res.End, res.Paid)
	}
}

// TestTillsInALoop: two tills that push each other off are slowed down, never
// refused, logged and counted; meanwhile a visit goes on.
func TestTillsInALoop(t *testing.T) {
	d := openDining(t)
	most := spec.Default().Count(spec.CountTakeovers)
	last := d.online()
	for range most - 1 {
		next := d.dial(toPAT)
		last.refused(-32076)
		last.closed(websocket.StatusPolicyViolation)
		last = next
	}
	begun := time.Now()
	next := d.dial(toPAT)
	if took := time.Since(begun); took < spec.Default().Timer(spec.TimerTakeoverDelay) {
		t.Errorf("the takeover number %d was let in after %s", most, took)
	}
	last.closed(websocket.StatusPolicyViolation)
	d.visit(sim.Visit{Table: "12"})
	next.result(next.asked(tableList), oneTable)
	next.result(next.asked(tableLock), isLocked)
	next.asked("transactionResponse")
	next.asked(unlock)
	if res := take(t, d.over); res.End != sim.EndPaid {
		t.Errorf("ended %s", res.End)
	}
	_, page := d.get(http.MethodGet, "/metrics", nil)
	for _, line := range []string{fmt.Sprintf("tillwire_pat_takeovers_total %d\n", most), "tillwire_pat_takeover_loops_total 1\n"} {
		if !strings.Contains(page, line) {
			t.Errorf("the metrics lack %q", line)
		}
	}
	if !strings.Contains(d.gatewayLog.String(), "push each other off") {
		t.Error("nothing was logged")
	}
}
