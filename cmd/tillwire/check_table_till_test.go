package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tillwire/tillwire/conform"
	"github.com/tillwire/tillwire/ws"
)

// A tableTill is a small till that keeps tables, of its own make: it shares no
// message code with the product. Without a flaw it does everything right.
type tableTill struct {
	url  string
	flaw string
	// What is no flaw.
	acks, noFinal, noWaiters bool

	stop    context.CancelFunc // of serve; nil before it runs
	stopped chan struct{}

	mu     sync.Mutex
	conn   *ws.Conn
	dials  int
	tables map[string]*tableOfTill
	booked map[string]bool // payment ids
	log    []string
}

// A tableOfTill is one table. Amounts are minor units.
type tableOfTill struct {
	waiter   string
	due      int64
	paid     int64
	locked   []string // by those card machines
	lockedOn int      // the connection over which it was locked last
	closed   bool
	payments []conform.Booked
}

func (t *tableTill) has(flaw string) bool { return t.flaw == flaw }

func (t *tableTill) Tells() bool { return true }

func (t *tableTill) Tell(string) {}

func (t *tableTill) Again(context.Context, conform.Line, []conform.Frame) (bool, error) {
	return false, nil
}

func (t *tableTill) Decided(l conform.Line) {
	t.log = append(t.log, fmt.Sprintf("%s %s %s", l.State, l.ID, l.Hint))
}

// Do opens a table, and has the till serve from the first on.
func (t *tableTill) Do(_ context.Context, step conform.Step) (*conform.Word, error) {
	yes := true
	if step.Order.Method != "open" {
		return &conform.Word{Yes: &yes}, nil
	}
	due := step.Order.Amount
	if t.has("cuts fractions off") {
		f, _ := strconv.ParseFloat(fmt.Sprintf("%d.%02d", due/100, due%100), 64)
		due = int64(math.Trunc(f * 100))
	}
	t.mu.Lock()
	if t.tables == nil {
		t.tables, t.booked = map[string]*tableOfTill{}, map[string]bool{}
	}
	t.tables[step.Order.Table] = &tableOfTill{waiter: step.Order.Waiter, due: due}
	t.mu.Unlock()
	if t.stop == nil {
		ctx, stop := context.WithCancel(context.Background())
		t.stop, t.stopped = stop, make(chan struct{})
		go t.serve(ctx)
	}
	return nil, nil
}

// Ask tells what the books say.
func (t *tableTill) Ask(_ context.Context, step conform.Step) (*conform.Word, error) {
	if !step.Apart {
		return nil, nil
	}
	yes := true
	if step.Order.Method != "books" {
		yes = !t.has("drops the end of day") || step.Act != "copy"
		yes = yes && (!t.has("no end of day at night") || step.Act != "daily")
		return &conform.Word{Yes: &yes}, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	apart, table := !t.noWaiters, t.tables[step.Order.Table]
	locked := len(table.locked) > 0 && !t.has("lets a locked table be edited")
	return &conform.Word{Locked: &locked, Waiters: &apart, Payments: append([]conform.Booked{}, table.payments...)}, nil
}

func (t *tableTill) close() {
	if t.stop == nil {
		return
	}
	t.stop()
	t.mu.Lock()
	if t.conn != nil {
		t.conn.Abort()
	}
	t.mu.Unlock()
	<-t.stopped
}

// serve keeps the till connected.
func (t *tableTill) serve(ctx context.Context) {
	defer close(t.stopped)
	for ctx.Err() == nil {
		over := t.connect(ctx)
		if over || t.has("keeps a dead socket") {
			return
		}
		pause(ctx, 5*time.Millisecond)
	}
}

// connect is one connection. It reports whether the till was taken over.
func (t *tableTill) connect(ctx context.Context) (over bool) {
	u, err := url.Parse(t.url)
	if err != nil {
		return true
	}
	t.dials++
	q := u.Query()
	q.Set("software-house-id", "SAMPLE")
	q.Set("installer-id", "FITTER")
	switch {
	case t.has("a key of its own"):
		q.Set("token", "built-in")
	case t.has("another installer each time"):
		q.Set("installer-id", "FITTER"+strconv.Itoa(t.dials))
	}
	if !t.noFinal {
		q.Set("final-pos-receipt-request", "")
	}
	if t.acks {
		q.Set("extensions", "acks")
	}
	u.RawQuery = q.Encode()
	options := ws.DialOptions{Timeout: patienceOfTill}
	if t.has("answers no pings") {
		options.Pinged = func(func()) {}
	}
	conn, err := ws.Dial(ctx, u.String(), options)
	if err != nil {
		return false
	}
	t.mu.Lock()
	t.conn = conn
	t.mu.Unlock()
	if ctx.Err() != nil { // it was not there to be ended
		conn.Abort()
	}
	for {
		text, err := conn.Read()
		if err != nil {
			return false
		}
		var m tableMessage
		if json.Unmarshal(text, &m) != nil {
			continue
		}
		if m.Error != nil && m.Error.Code == -32076 && !t.has("dials back at once") {
			conn.Abort()
			return true
		}
		if m.Method == "" {
			continue
		}
		answer := t.answer(m)
		if m.ID == nil || answer == nil {
			continue
		}
		id := any(*m.ID)
		switch {
		case t.has("another id in answers"):
			id = *m.ID + 1000
		case t.has("ids as text"):
			id = strconv.Itoa(*m.ID)
		}
		answer["jsonrpc"], answer["id"] = "2.0", id
		out, err := json.Marshal(answer)
		if err != nil {
			panic(err)
		}
		_ = conn.Send(out) // one that is gone needs no answer
	}
}

// A tableMessage is what the gateway sends.
type tableMessage struct {
	ID     *int   `json:"id"`
	Method string `json:"method"`
	Params struct {
		TID      string `json:"tid"`
		Waiter   string `json:"waiterId"`
		Table    string `json:"tableId"`
		Payments []struct {
			ID       string `json:"paymentId"`
			Paid     int64  `json:"amountPaid"`
			Gratuity int64  `json:"amountGratuity"`
		} `json:"payments"`
	} `json:"params"`
	Error *struct {
		Code int `json:"code"`
	} `json:"error"`
}

func answerOf(members map[string]any) map[string]any { return map[string]any{"result": members} }

func errorOf(code int, message string) map[string]any {
	return map[string]any{"error": map[string]any{"code": code, "message": message}}
}

// answer does what a message wants. Nil is no answer.
func (t *tableTill) answer(m tableMessage) map[string]any {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.has("never answers") {
		return nil
	}
	table := t.tables[m.Params.Table]
	switch m.Method {
	case "tableListRequest":
		return t.list(m.Params.Waiter)
	case "tableLockRequest":
		return t.lock(table, m.Params.TID, m.Params.Waiter)
	case "posReceiptRequest":
		if t.has("prints no bill") {
			return answerOf(map[string]any{"receiptLines": []any{}})
		}
		return answerOf(map[string]any{"receiptLines": receiptOf(m.Params.Table)})
	case "finalPOSReceiptRequest":
		if t.has("loses the final receipt") {
			return errorOf(-32601, "Method not found")
		}
		return answerOf(map[string]any{"receiptLines": receiptOf(m.Params.Table)})
	case "transactionResponse":
		if t.has("does not say that it is recorded") {
			return errorOf(-32601, "Method not found")
		}
		t.book(table, m)
	case "reportResponse":
		if t.has("knows no reports") {
			return errorOf(-32601, "Method not found")
		}
	case "tableUnlock":
		if table != nil && !t.has("ignores unlock") {
			table.locked = slices.DeleteFunc(table.locked, func(tid string) bool { return tid == m.Params.TID })
		}
	}
	return answerOf(map[string]any{"recorded": true})
}

func receiptOf(name string) []any {
	return []any{
		map[string]any{"type": "TEXT", "format": []string{"BOLD"}, "value": "TABLE " + name},
		map[string]any{"type": "TICKET_FEED", "value": ""},
	}
}

// free reports whether a table can be paid by a waiter.
func (t *tableTill) free(table *tableOfTill, waiter string) bool {
	switch {
	case len(table.locked) > 0 || table.closed:
		return false
	case t.noWaiters || t.has("ignores waiters"):
		return table.due > table.paid
	}
	return table.due > table.paid && table.waiter == waiter
}

func (t *tableTill) list(waiter string) map[string]any {
	names := []string{}
	for name, table := range t.tables {
		listed := t.free(table, waiter)
		switch {
		case t.has("lists locked tables") && len(table.locked) > 0, t.has("lists paid tables") && table.due <= table.paid:
			listed = true
		case t.has("lists nothing"):
			listed = false
		}
		if listed {
			names = append(names, name)
		}
	}
	return answerOf(map[string]any{"tableIds": names, "currency": "GBP"})
}

func (t *tableTill) lock(table *tableOfTill, tid, waiter string) map[string]any {
	refused := answerOf(map[string]any{"confirmed": false})
	if t.has("refuses with an error") {
		refused = errorOf(-32000, "no such table")
	}
	if table == nil {
		if t.has("confirms an unknown table") {
			return answerOf(map[string]any{"confirmed": true, "amount": 100, "currency": "GBP"})
		}
		return refused
	}
	left := table.due - table.paid
	switch {
	case t.has("confirms a locked table") && len(table.locked) > 0:
	case t.has("confirms a paid table") && left <= 0:
		left = table.due
	case t.has("checks waiters in lists only") && len(table.locked) == 0 && left > 0:
	case !t.free(table, waiter), t.has("refuses free tables"):
		return refused
	}
	amount := any(left)
	switch {
	case t.has("floats"):
		amount = json.RawMessage(fmt.Sprintf("%d.%02d", left/100, left%100))
	case t.has("amounts as text"):
		amount = strconv.FormatInt(left, 10)
	}
	table.locked, table.lockedOn = append(table.locked, tid), t.dials
	answer := map[string]any{"confirmed": true, "amount": amount, "currency": "GBP"}
	switch {
	case t.has("confirms without a currency"):
		delete(answer, "currency")
	case t.has("confirmed as text"):
		answer["confirmed"] = "true"
	}
	return answerOf(answer)
}

// book books payments.
func (t *tableTill) book(table *tableOfTill, m tableMessage) {
	if t.has("does not book what was paid while offline") && table.lockedOn != t.dials {
		return
	}
	var visit conform.Booked
	for _, p := range m.Params.Payments {
		if t.booked[p.ID] && !t.has("books twice") {
			continue
		}
		t.booked[p.ID] = true
		b := conform.Booked{ID: p.ID, Paid: p.Paid, Gratuity: p.Gratuity}
		table.paid += p.Paid
		switch {
		case t.has("pays the bill with gratuity"):
			table.paid += p.Gratuity
		case t.has("forgets gratuity"):
			b.Gratuity = 0
		}
		if visit.ID == "" {
			visit.ID = b.ID
		}
		visit.Paid += b.Paid
		visit.Gratuity += b.Gratuity
		if !t.has("books a visit as one payment") {
			table.payments = append(table.payments, b)
		}
	}
	if t.has("books a visit as one payment") && visit.ID != "" {
		table.payments = append(table.payments, visit)
	}
	if t.has("closes the table after the first part") && len(table.payments) > 0 {
		table.closed = true
	}
}
