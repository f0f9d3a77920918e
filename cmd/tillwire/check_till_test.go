package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tillwire/tillwire/conform"
	"github.com/tillwire/tillwire/ws"
)

// A sampleTill is a small till of its own make: it shares no message code with
// the product. Without a flaw it does everything right.
type sampleTill struct {
	url  string
	flaw string

	dials, ids int
	line       *sampleLine
	dead       bool   // a till with the flaw of a dead socket has lost its first
	authCode   string // of the pre-authorisation
	log        []string
}

// A sampleLine is one connection and who reads it.
type sampleLine struct {
	conn *ws.Conn
	in   chan []byte // closed when the connection has ended
}

// patienceOfTill is how long a sample waits for what has to come.
const patienceOfTill = 30 * time.Second

func (t *sampleTill) has(flaw string) bool { return t.flaw == flaw }

func (t *sampleTill) Tells() bool { return true }

func (t *sampleTill) Ask(context.Context, conform.Step) (*conform.Word, error) { return nil, nil }

func (t *sampleTill) Again(context.Context, conform.Line, []conform.Frame) (bool, error) {
	return false, nil
}

func (t *sampleTill) Tell(string) {}

func (t *sampleTill) Decided(l conform.Line) {
	t.log = append(t.log, fmt.Sprintf("%s %s %s", l.State, l.ID, l.Hint))
}

// Do does what is ordered.
func (t *sampleTill) Do(ctx context.Context, step conform.Step) (*conform.Word, error) {
	yes := true
	word := &conform.Word{Yes: &yes}
	switch o := step.Order; {
	case o.Method == "":
		yes = !t.has("software house in the settings") || step.Line.ID != "general.softwareHouse"
		yes = yes && (!t.has("installer fixed") || step.Line.ID != "general.installer")
		return word, nil
	case strings.HasPrefix(o.Method, "report"):
		if t.has("no reports") {
			return nil, nil
		}
		method, params := o.Method, map[string]any{"tid": o.TID}
		switch {
		case t.has("runs X for Z") && method == "reportZBalance":
			method = "reportXBalance"
		case t.has("closes the day for banking") && method == "reportBanking":
			method = "reportEndOfDay"
		case t.has("end of day of no machine") && method == "reportEndOfDay":
			params = map[string]any{}
		}
		t.call(ctx, o, method, params)
		yes = !t.has("keeps no copies") || step.Line.ID != "general.endOfDayCopy"
		yes = yes && (!t.has("no end of day at night") || step.Line.ID != "general.endOfDay")
		return word, nil
	case o.Method == "refund" && t.has("no refunds"):
		return nil, nil
	case o.Method == "duplicate":
		tid := o.TID
		if t.has("duplicate of another machine") {
			tid = "VCMDEMOSIP3"
		}
		t.call(ctx, o, "duplicate", map[string]any{"tid": tid})
		return nil, nil
	}
	return t.transact(ctx, step), nil
}

// An answer is what came of a request.
type sampleAnswer struct {
	lost   bool // the connection ended, or nothing came
	result map[string]any
	code   int
	text   string // for the staff
	shown  []string
	wished bool // cancelling was granted
	gaveUp bool // the till has hung up, and asks no more
}

func (a sampleAnswer) took() string {
	s, _ := a.result["transactionResult"].(string)
	return s
}

func (a sampleAnswer) amount(name string) *int64 {
	f, ok := a.result[name].(float64)
	if !ok {
		return nil
	}
	n := int64(f)
	return &n
}

// transact runs a transaction and follows it to its end.
func (t *sampleTill) transact(ctx context.Context, step conform.Step) *conform.Word {
	o := step.Order
	tid := o.TID
	if t.has("one card machine") {
		tid = "VCMDEMOSIP0"
	}
	params := map[string]any{"tid": tid, "currency": o.Currency, "amount": o.Amount}
	price := strconv.FormatFloat(float64(o.Amount)/100, 'f', 2, 64)
	switch {
	case t.has("floats"):
		params["amount"] = json.RawMessage(price)
	case t.has("amounts as text"):
		params["amount"] = strconv.FormatInt(o.Amount, 10)
	case t.has("cuts fractions off"):
		f, _ := strconv.ParseFloat(price, 64)
		params["amount"] = int64(math.Trunc(f * 100))
	}
	if o.Cashback > 0 {
		params["amountCashback"] = o.Cashback
	}
	if !o.Present {
		params["cardholderNotPresent"] = true
		if t.has("not present as text") {
			params["cardholderNotPresent"] = "true"
		}
	}
	method := o.Method
	switch {
	case t.has("sells without currency") && step.Line.ID == "pac.sale":
		delete(params, "currency")
	case t.has("sells euros") && step.Line.ID == "pac.sale":
		params["currency"] = "EUR"
	case t.has("refunds by a sale") && method == "refund":
		method = "sale"
	case t.has("refunds below nothing") && method == "refund":
		method, params["amount"] = "sale", -o.Amount
	case t.has("refunds without currency") && method == "refund":
		delete(params, "currency")
	}
	if o.AuthCode {
		params["authCode"] = t.authCode
		if t.has("loses auth codes") {
			params["authCode"] = "000000"
		}
	}
	a := t.call(ctx, o, method, params)
	if t.has("sells twice") && step.Line.ID == "pac.sale" {
		t.call(ctx, o, method, params)
	}
	if o.Method == "preAuth" {
		t.authCode, _ = a.result["authCode"].(string)
	}
	switch {
	case a.gaveUp:
		return nil // it has no word on what became of it
	case a.lost && t.has("sends again when cut off"):
		a = t.call(ctx, o, o.Method, params)
	case a.lost && t.has("forgets when cut off"):
		t.connect(ctx)
	case a.lost && !t.dead:
		a = t.recover(ctx, o, a)
	case a.took() == "TIMED_OUT":
		t.timedOut(ctx, o, params)
	}
	cleared := t.clears(a, step)
	word := &conform.Word{Cleared: &cleared, Notifications: a.shown}
	if a.text != "" {
		word.Message = &a.text
		if t.has("texts of its own") {
			own := "Card machine error " + strconv.Itoa(a.code)
			word.Message = &own
		}
	}
	if cleared {
		word.Total, word.Cashback, word.Gratuity = a.amount("amountTotal"), a.amount("amountCashback"), a.amount("amountGratuity")
		if t.has("books what was asked for") {
			word.Total = &o.Amount
		}
		if t.has("forgets cashback") {
			word.Cashback = new(int64)
		}
		if t.has("forgets gratuity") {
			word.Gratuity = new(int64)
		}
	}
	switch {
	case t.has("shows nothing"):
		word.Notifications = []string{}
	case t.has("goes back"):
		word.Notifications = slices.Clone(a.shown)
		slices.Reverse(word.Notifications)
	}
	return word
}

// clears decides whether the amount is booked as paid.
func (t *sampleTill) clears(a sampleAnswer, step conform.Step) bool {
	switch {
	case t.has("looks for a part of the word"):
		return strings.Contains(a.took(), "SUCCESSFUL")
	case t.has("clears on declined") && a.took() == "DECLINED",
		t.has("clears on void") && a.took() == "VOID",
		t.has("clears on cancelled") && a.took() == "CANCELLED",
		t.has("clears on timed out") && a.took() == "TIMED_OUT",
		t.has("clears on unavailable") && a.code == -32070,
		t.has("clears on busy") && a.code == -32071:
		return true
	case t.has("believes the wish") && a.wished,
		t.has("takes back when cut off later") && step.Line.ID == "pac.lostAfter",
		t.has("books nothing after recovery") && step.Line.ID == "pac.lostDuring",
		t.has("takes silence for a no") && slices.Contains(a.shown, "SIGNATURE_VERIFICATION_TIMEOUT"):
		return false
	}
	return a.took() == "SUCCESSFUL"
}

// recover finds out what became of a transaction.
func (t *sampleTill) recover(ctx context.Context, o conform.Order, a sampleAnswer) sampleAnswer {
	for ctx.Err() == nil {
		d := t.call(ctx, o, "duplicate", map[string]any{"tid": o.TID})
		if d.took() != "" {
			d.shown = a.shown
			return d
		}
		if d.code != -32071 { // else it still runs
			return a
		}
		pause(ctx, 10*time.Millisecond)
	}
	return a
}

func (t *sampleTill) timedOut(ctx context.Context, o conform.Order, params map[string]any) {
	switch {
	case t.has("sends again on timed out"):
		t.call(ctx, o, o.Method, params)
	case t.has("asks nobody on timed out"):
	default:
		if d := t.call(ctx, o, "terminalDetails", map[string]any{"tid": o.TID}); d.result["status"] == "AVAILABLE" {
			t.call(ctx, o, "duplicate", map[string]any{"tid": o.TID})
		}
	}
}

// connect sees that there is a connection. It reports false when there is none
// to be had.
func (t *sampleTill) connect(ctx context.Context) bool {
	if t.line != nil {
		alive := make(chan struct{})
		if t.line.conn.Ping(func() { close(alive) }) != nil {
			alive = nil
		}
		select {
		case <-t.line.conn.Done():
			t.line = nil
			t.dead = t.has("keeps a dead socket")
		case <-alive:
			return true
		}
	}
	if t.dead {
		return false
	}
	t.dials++
	u, err := url.Parse(t.url)
	if err != nil {
		return false
	}
	q := u.Query()
	q.Set("software-house-id", "SAMPLE")
	q.Set("installer-id", "FITTER")
	switch {
	case t.has("another installer each time"):
		q.Set("installer-id", "FITTER"+strconv.Itoa(t.dials))
	case t.has("no partner ids"):
		q.Del("software-house-id")
		q.Del("installer-id")
	case t.has("a key of its own"):
		q.Set("token", "built-in")
	}
	u.RawQuery = q.Encode()
	conn, err := ws.Dial(ctx, u.String(), ws.DialOptions{Timeout: patienceOfTill})
	if err != nil {
		return false
	}
	line := &sampleLine{conn: conn, in: make(chan []byte, 256)}
	go func() {
		defer close(line.in)
		for {
			text, err := conn.Read()
			if err != nil {
				return
			}
			line.in <- text
		}
	}()
	t.line = line
	return true
}

func (t *sampleTill) close() {
	if t.line != nil {
		t.line.conn.Abort()
		for range t.line.in {
		}
	}
}

// envelope makes a request.
func (t *sampleTill) envelope(id any, method string, params map[string]any) []byte {
	m := map[string]any{"jsonrpc": "2.0", "id": id, "method": method, "params": params}
	switch {
	case t.has("ids as text"):
		m["id"] = "T" + fmt.Sprint(id)
	case t.has("no version"):
		delete(m, "jsonrpc")
	case t.has("its own method") && method == "sale":
		m["method"] = "performTransaction"
	case t.has("positional params"):
		m["params"] = []any{params}
	}
	out, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	if t.has("batches") {
		out = []byte("[" + string(out) + "]")
	}
	return out
}

// call sends a request and serves the connection until its answer.
func (t *sampleTill) call(ctx context.Context, o conform.Order, method string, params map[string]any) (a sampleAnswer) {
	if !t.connect(ctx) {
		return sampleAnswer{lost: true}
	}
	line := t.line
	t.ids++
	id := t.ids
	if t.has("one id for all") {
		id = 1 // which is no flaw
	}
	if line.conn.Send(t.envelope(id, method, params)) != nil {
		return sampleAnswer{lost: true}
	}
	patience := patienceOfTill
	if slices.Contains([]string{"ids as text", "no version", "batches"}, t.flaw) {
		patience = 50 * time.Millisecond // nothing will come under its id
	}
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		var text []byte
		open := true
		select {
		case text, open = <-line.in:
		case <-limit.C:
			a.lost = true
			return a
		case <-ctx.Done():
			a.lost = true
			return a
		}
		if !open {
			a.lost = true
			return a
		}
		var m struct {
			ID     *int            `json:"id"`
			Method string          `json:"method"`
			Params map[string]any  `json:"params"`
			Result json.RawMessage `json:"result"`
			Error  *struct {
				Code        int    `json:"code"`
				Message     string `json:"message"`
				UserMessage string `json:"userMessage"`
			} `json:"error"`
		}
		if json.Unmarshal(text, &m) != nil {
			continue
		}
		switch {
		case m.Method == "terminalNotification":
			value, _ := m.Params["notificationValue"].(string)
			if value == "CHECK_UNKNOWN_VALUE" {
				if t.has("breaks on what it does not know") {
					t.hangUp()
					a.lost = true
					return a
				}
				continue
			}
			if !slices.Contains([]string{"sale", "refund", "preAuth", "completion"}, method) {
				continue
			}
			a.shown = append(a.shown, value)
			if value == "SIGNATURE_VERIFICATION_TIMEOUT" && t.has("hangs up when time is up") {
				t.hangUp()
				a.gaveUp = true
				return a
			}
			if value != o.CancelAfter {
				continue
			}
			if t.has("cannot cancel") {
				t.hangUp() // else the card machine waits for somebody who is not there
				a.gaveUp = true
				return a
			}
			_ = line.conn.Send(t.envelope(900_000, "cancelTransaction", map[string]any{"tid": o.TID}))
		case m.Method == "signatureVerificationRequest" && m.ID != nil:
			if !t.sign(ctx, line, o, *m.ID) {
				t.hangUp()
				a.gaveUp = true
				return a
			}
		case m.ID != nil && *m.ID == 900_000:
			a.wished = true
			if t.has("hangs up on cancelling") {
				t.hangUp()
				a.gaveUp = true
				return a
			}
		case m.ID != nil && *m.ID == id && m.Error != nil:
			a.code, a.text = m.Error.Code, m.Error.UserMessage
			if a.text == "" {
				a.text = m.Error.Message
			}
			return a
		case m.ID != nil && *m.ID == id:
			_ = json.Unmarshal(m.Result, &a.result) // a list stays nil
			return a
		}
	}
}

// hangUp closes the connection, and the next call dials anew.
func (t *sampleTill) hangUp() {
	_ = t.line.conn.Close(ws.Normal, "")
	t.line = nil
}

// sign answers a signature request. It reports false when the till can go on no
// longer.
func (t *sampleTill) sign(ctx context.Context, line *sampleLine, o conform.Order, id int) bool {
	if o.Signature == "leave" && !t.has("accepts by itself") {
		return true // the cashier does not look
	}
	if t.has("never answers signatures") {
		return false
	}
	accepted := any(o.Signature == "accept")
	switch {
	case o.Signature == "leave":
		accepted = true
	case t.has("accepts every signature"):
		accepted = true
	case t.has("accepted as text"):
		accepted = strconv.FormatBool(o.Signature == "accept")
	case t.has("another id for signatures"):
		id += 4711
	}
	if o.Signature != "leave" && !t.has("signs for the cashier") {
		pause(ctx, o.Wait) // the cashier looks
	}
	text, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": id, "result": map[string]any{"accepted": accepted}})
	return err == nil && line.conn.Send(text) == nil && !t.has("another id for signatures")
}

// pause waits, as a till or a cashier does.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
