package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
)

// A visitOrder is what a waiter is to do at a terminal. Amounts are minor units
// of the terminal's currency.
type visitOrder struct {
	Waiter       table.WaiterID `json:"waiter,omitzero"`
	Table        table.TableID  `json:"table,omitzero"` // empty only looks at the list
	ByName       bool           `json:"byName,omitzero"`
	PrintBill    bool           `json:"printBill,omitzero"`
	Pay          money.Minor    `json:"pay,omitzero"`        // 0 is all of it
	Tip          money.Minor    `json:"tip,omitzero"`        // with the first card
	TipPercent   int            `json:"tipPercent,omitzero"` // with each card
	Split        int            `json:"split,omitzero"`
	DeclineFirst bool           `json:"declineFirst,omitzero"`
	Contactless  bool           `json:"contactless,omitzero"`
	Signature    bool           `json:"signature,omitzero"`
	CancelAt     sim.Step       `json:"cancelAt,omitzero"`
}

func (o visitOrder) visit() sim.Visit {
	return sim.Visit{
		Waiter: o.Waiter, Table: o.Table, ByName: o.ByName, PrintBill: o.PrintBill,
		Amount: o.Pay, Tip: sim.Tip{Percent: o.TipPercent, Amount: o.Tip, Each: o.TipPercent > 0}, Split: o.Split,
		DeclineFirst: o.DeclineFirst, Contactless: o.Contactless, Signature: o.Signature, CancelAt: o.CancelAt,
	}
}

// A visitLine is one line of the answer: a step, and in the end the result.
type visitLine struct {
	Step   *stepView   `json:"step,omitzero"`
	Result *resultView `json:"result,omitzero"`
}

type stepView struct {
	Step sim.Step  `json:"step"`
	Text string    `json:"text"`
	At   time.Time `json:"at"`
}

// A resultView is what became of a visit, amounts in minor units of Currency.
type resultView struct {
	ID       table.VisitID   `json:"id"`
	End      sim.VisitEnd    `json:"end"`
	Tables   []table.TableID `json:"tables"`
	Currency money.Currency  `json:"currency,omitzero"`
	Due      money.Minor     `json:"due"`
	Paid     money.Minor     `json:"paid"`
	Gratuity money.Minor     `json:"gratuity"`
	Balance  money.Minor     `json:"balance"`
	Payments []paidView      `json:"payments"`
}

type paidView struct {
	ID       table.PaymentID `json:"paymentId"`
	Result   txn.Result      `json:"result"`
	Paid     money.Minor     `json:"paid"`
	Gratuity money.Minor     `json:"gratuity"`
	Method   string          `json:"method,omitzero"`
	Scheme   string          `json:"scheme,omitzero"`
	PAN      string          `json:"pan,omitzero"` // masked
	AuthCode string          `json:"authCode,omitzero"`
}

func viewResult(r sim.VisitResult) *resultView {
	v := &resultView{
		ID: r.ID, End: r.End, Tables: r.Tables, Currency: r.Currency,
		Due: r.Due, Paid: r.Paid, Gratuity: r.Gratuity, Balance: r.Balance,
	}
	for _, p := range r.Payments {
		v.Payments = append(v.Payments, paidView{
			ID: p.ID, Result: p.Result, Paid: p.Receipt.Paid, Gratuity: p.Receipt.Gratuity,
			Method: p.Receipt.Method, Scheme: p.Receipt.Scheme, PAN: p.Receipt.PAN, AuthCode: p.Receipt.AuthCode,
		})
	}
	return v
}

// A reportOrder names a report that is to be started at a terminal.
type reportOrder struct {
	Type report.Type `json:"type"`
}

type reportView struct {
	Type   report.Type   `json:"type"`
	Result report.Result `json:"result"`
	Time   time.Time     `json:"time"`
	Paper  string        `json:"paper"` // as it comes from the printer
}

// A standingView is how a terminal stands.
type standingView struct {
	Site      txn.SiteID     `json:"site"`
	TID       txn.TID        `json:"tid"`
	Model     string         `json:"model"`
	Software  string         `json:"software"`
	Currency  money.Currency `json:"currency"`
	Connected bool           `json:"connected"`
	Busy      bool           `json:"busy"`
	LastSeen  time.Time      `json:"lastSeen,omitzero"`
	Keys      []string       `json:"keys,omitzero"` // public ids, of one that is enrolled
}

// The controls have people do things at simulated terminals. They are for
// development: whoever reaches them needs no key, so they answer programs of
// this machine only, and no web page.
type controls struct {
	gw    *gateway.Gateway
	sims  *simulators
	pages http.Handler

	ctx  context.Context // ends with stop: waiters leave
	stop context.CancelFunc

	mu     sync.Mutex
	visits map[atMachine]context.CancelFunc // those that run
}

// atMachine names a simulated terminal of a site.
type atMachine struct {
	site txn.SiteID
	tid  txn.TID
}

func newControls(g *gateway.Gateway, sims *simulators) *controls {
	c := &controls{gw: g, sims: sims, visits: map[atMachine]context.CancelFunc{}}
	c.ctx, c.stop = context.WithCancel(context.Background())
	pages := http.NewServeMux()
	pages.HandleFunc("GET /dev/sites/{site}/terminals", c.list)
	pages.HandleFunc("POST /dev/sites/{site}/terminals/{tid}/visit", c.visit)
	pages.HandleFunc("DELETE /dev/sites/{site}/terminals/{tid}/visit", c.leave)
	pages.HandleFunc("POST /dev/sites/{site}/terminals/{tid}/report", c.report)
	pages.HandleFunc("POST /dev/sites/{site}/terminals/{tid}/scenario", c.scenario)
	pages.HandleFunc("DELETE /dev/sites/{site}/terminals/{tid}/scenario", c.calm)
	c.pages = pages
	return c
}

// ServeHTTP answers one request.
func (c *controls) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if why := foreign(r); why != "" {
		refuseDev(w, http.StatusForbidden, why)
		return
	}
	c.pages.ServeHTTP(w, r)
}

// foreign says why a request is not to be trusted, or nothing. A page in a
// browser of this machine can send requests here too: its own have an Origin,
// and those to a name that was bent to this address have another Host.
func foreign(r *http.Request) string {
	const only = "the controls of simulated terminals are for programs of this machine"
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = strings.Trim(r.Host, "[]")
	}
	from, _, err := net.SplitHostPort(r.RemoteAddr)
	switch {
	case err != nil || !loopback(from):
		return only
	case !strings.EqualFold(host, "localhost") && !loopback(host):
		return only + ": the Host must be localhost or a loopback address"
	case r.Header.Get("Origin") != "", r.Header.Get("Sec-Fetch-Site") != "" && r.Header.Get("Sec-Fetch-Site") != "none":
		return only + ", not for web pages"
	case r.Header.Get("Forwarded") != "", r.Header.Get("X-Forwarded-For") != "", r.Header.Get("Via") != "":
		return only + ", not for a proxy"
	}
	return ""
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// refuseDev answers why something is not done.
func refuseDev(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, refusedOrder{why}) // one that is gone needs no answer
}

// readDev reads the body of a request. It reports false after it refused.
func readDev(w http.ResponseWriter, r *http.Request, into any) bool {
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(kind) != "application/json" {
		refuseDev(w, http.StatusUnsupportedMediaType, "the Content-Type must be application/json")
		return false
	}
	if err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, maxOrder), into, json.RejectUnknownMembers(true)); err != nil {
		refuseDev(w, http.StatusBadRequest, err.Error())
		return false
	}
	return true
}

// machine finds the simulated terminal of a request. It reports false after it
// refused.
func (c *controls) machine(w http.ResponseWriter, r *http.Request) (*sim.Machine, atMachine, bool) {
	at := atMachine{txn.SiteID(r.PathValue("site")), txn.TID(r.PathValue("tid"))}
	m, ok := c.sims.machine(c.gw, at.site, at.tid)
	if !ok {
		refuseDev(w, http.StatusNotFound, fmt.Sprintf("site %q has no simulated terminal %q", at.site, at.tid))
		return nil, at, false
	}
	at.tid = m.TID()
	return m, at, true
}

// list tells how the terminals of a site stand.
func (c *controls) list(w http.ResponseWriter, r *http.Request) {
	site := txn.SiteID(r.PathValue("site"))
	if !c.sims.has(site) {
		refuseDev(w, http.StatusNotFound, fmt.Sprintf("there is no site %q with simulated terminals", site))
		return
	}
	list := standing(site, nil, c.gw)
	w.Header().Set("Content-Type", "application/json")
	_ = json.MarshalWrite(w, list) // one that is gone needs no answer
}

// begin notes something that is done at a terminal. The context ends when the
// asker is gone, when the house closes, and when end is called.
func (c *controls) begin(r *http.Request, w http.ResponseWriter) (ctx context.Context, end context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	off := context.AfterFunc(c.ctx, cancel)
	// People take longer than the time limits of a request.
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Time{})
	_ = rc.SetWriteDeadline(time.Time{})
	return ctx, func() {
		off()
		cancel()
	}
}

// visit has a waiter serve a table, and tells each step as it happens. When
// the asker goes away, the waiter leaves.
func (c *controls) visit(w http.ResponseWriter, r *http.Request) {
	m, at, ok := c.machine(w, r)
	if !ok {
		return
	}
	var o visitOrder
	if !readDev(w, r, &o) {
		return
	}
	ctx, end := c.begin(r, w)
	defer end()
	walk, leave := context.WithCancel(ctx)
	defer leave()
	c.mu.Lock()
	if _, runs := c.visits[at]; runs {
		c.mu.Unlock()
		refuseDev(w, http.StatusConflict, busyText)
		return
	}
	c.visits[at] = leave
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.visits, at)
		c.mu.Unlock()
	}()

	told := &teller{w: w}
	defer told.hush()
	result, err := m.Visit(walk, o.visit(), func(s sim.VisitStep) {
		told.tell(visitLine{Step: &stepView{s.Step, s.Text, s.At}})
	})
	if err != nil { // it has not begun
		refuseDev(w, statusOf(err), textOf(err))
		return
	}
	told.tell(visitLine{Result: viewResult(result)})
}

const busyText = "the terminal is in use"

func statusOf(err error) int {
	if errors.Is(err, terminal.ErrBusy) {
		return http.StatusConflict
	}
	return http.StatusUnprocessableEntity
}

func textOf(err error) string {
	if errors.Is(err, terminal.ErrBusy) {
		return busyText
	}
	if refused, ok := errors.AsType[*terminal.RefusedError](err); ok {
		return refused.Reason
	}
	return strings.TrimPrefix(err.Error(), "sim: ")
}

// A teller writes lines to an asker, until it is hushed.
type teller struct {
	mu     sync.Mutex
	w      http.ResponseWriter // nil once hushed
	header bool
}

// lineLimit is how long an asker may take to read a line. While it does, the
// machine waits.
const lineLimit = 5 * time.Second

func (t *teller) tell(line visitLine) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.w == nil {
		return
	}
	if !t.header {
		t.w.Header().Set("Content-Type", "application/x-ndjson")
		t.header = true
	}
	rc := http.NewResponseController(t.w)
	_ = rc.SetWriteDeadline(time.Now().Add(lineLimit))
	b, err := json.Marshal(line)
	if err == nil {
		_, err = t.w.Write(append(b, '\n'))
	}
	if err == nil {
		err = rc.Flush()
	}
	if err != nil {
		t.w = nil // the asker is gone, and its context ends
	}
}

func (t *teller) hush() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.w = nil
}

// leave has the waiter leave, as soon as the machine lets go.
func (c *controls) leave(w http.ResponseWriter, r *http.Request) {
	_, at, ok := c.machine(w, r)
	if !ok {
		return
	}
	c.mu.Lock()
	leave := c.visits[at]
	c.mu.Unlock()
	if leave == nil {
		refuseDev(w, http.StatusConflict, "nobody serves a table at the terminal")
		return
	}
	leave()
	w.WriteHeader(http.StatusNoContent)
}

// report has the terminal make a report by itself.
func (c *controls) report(w http.ResponseWriter, r *http.Request) {
	m, _, ok := c.machine(w, r)
	if !ok {
		return
	}
	var o reportOrder
	if !readDev(w, r, &o) {
		return
	}
	ctx, end := c.begin(r, w)
	defer end()
	made, err := m.Report(ctx, o.Type)
	if err != nil {
		refuseDev(w, statusOf(err), textOf(err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.MarshalWrite(w, reportView{made.Type, made.Result, made.Time, receipt.Plain(made.Lines)})
}
