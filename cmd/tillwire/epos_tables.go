package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tillwire/tillwire/epos"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
)

type eposTablesCmd struct {
	File    string `default:"tables.yaml" type:"path" placeholder:"FILE" help:"The tables, with their items, waiters and payments."`
	Init    bool   `help:"Write a file of sample tables, and exit."`
	Reports string `type:"path" placeholder:"DIR" help:"Folder for the reports that are made at terminals; by default FILE-reports beside the file."`
	URL     string `name:"url" default:"${dev_tables_url}" env:"TILLWIRE_URL" placeholder:"URL" help:"Address of the gateway, as it prints it; an address of /pac is taken as one of /pat."`
	JSON    bool   `name:"json" help:"Print what happens as JSON on stdout, one value a line."`

	face faceFlags
}

// Help is shown with the command's own help.
func (eposTablesCmd) Help() string {
	return `Be the till that keeps the tables of a restaurant: answer the waiters at the
terminals from a file, and write into it what is locked and paid. The file may be
edited while this runs: it is read again before each answer when it has changed.

    tillwire epos tables --init
    tillwire epos tables --file tables.yaml
    TILLWIRE_URL=wss://gateway.example.com/pat?token=KEY tillwire epos tables --file tables.yaml --json

One till can serve the tables of a site. When another connects, this one ends.

Exit codes: 0 stopped by Ctrl-C or SIGTERM; 1 refused by the gateway, or another
till took over; 2 wrong usage, or a file that cannot be read.`
}

// Run serves the tables until it is told to stop.
func (c eposTablesCmd) Run(s streams) error {
	if c.face.REST {
		return usageError{hint(errors.New("--rest: over REST the gateway keeps the tables, and no till answers for them"), "docs/rest.md stores and pays one with curl")}
	}
	if c.Init {
		return c.writeSample(s)
	}
	address, err := tablesURL(c.URL)
	if err != nil {
		return err
	}
	book, err := openTables(c.File)
	if err != nil {
		return err
	}
	interrupts, ignore := onInterrupt()
	defer ignore()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() {
		select {
		case <-interrupts:
			stop()
		case <-ctx.Done():
		}
	}()
	t := &tablesTill{
		book: book, s: s, json: c.JSON, now: time.Now,
		reports: cmp.Or(c.Reports, strings.TrimSuffix(c.File, filepath.Ext(c.File))+"-reports"),
	}
	err = epos.Tables{
		Options: epos.Options{URL: address, Handler: epos.Handler{Error: t.complained}},
		Handler: t, Payments: t, Connection: t.connection, Failed: t.failed,
	}.Run(ctx)
	switch {
	case ctx.Err() != nil:
		return nil
	case errors.Is(err, epos.ErrDiscontinued):
		return hint(errors.New("another till has taken over the tables of this site"), "only one can serve them: stop that one before this one is started again")
	}
	return dialAdvice(err)
}

// tablesURL makes the address of Pay-At-Table of one that a gateway printed.
func tablesURL(address string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || (u.Scheme != "ws" && u.Scheme != "wss") {
		return "", usageError{hint(errors.New("--url: the address begins with ws:// or wss://"), "the gateway prints it; with --dev it is %s", devURL(defaultListen))}
	}
	if strings.EqualFold(strings.Trim(u.Path, "/"), "pac") {
		u.Path = "/pat"
	}
	return u.String(), nil
}

func (c eposTablesCmd) writeSample(s streams) error {
	f, err := os.OpenFile(c.File, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return usageError{hint(fmt.Errorf("--init: %s is there already", c.File), "name another one with --file")}
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(sampleTables)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s is written; next: tillwire epos tables --file %s\n", c.File, c.File)
	return err
}

// sampleTables is what --init writes.
const sampleTables = `# The tables of a restaurant, for: tillwire epos tables --file tables.yaml
# Edit it as you like, also while the till runs. What the till adds is: paid,
# locked, closed and payments.

name: The Tilted Wire
currency: GBP # or EUR: what the terminals take

# Who may use the terminals. Without this line anybody may.
waiters: ["1", "3", "7"]

tables:
  - id: "12"
    items:
      - name: Fish and chips
        price: "14.50" # or in pence: 1450
        quantity: 2
      - name: House white, bottle
        price: "16.50"
  - id: "14"
    # Nobody else sees it.
    waiters: ["3"]
    items:
      - name: Sunday roast
        price: "18.00"
      - name: Staff discount
        price: "-2.00"
  - id: Bar 2
    items:
      - name: Pint of bitter
        price: "4.80"
        quantity: 3
`

// A tablesTill answers for the tables of a file, and shows what happens.
type tablesTill struct {
	book    *tablesBook
	reports string // folder
	s       streams
	json    bool
	now     func() time.Time

	mu sync.Mutex // of what is printed
}

// A tablesEvent is one thing that happened, as --json prints it. Amounts are in
// minor units.
type tablesEvent struct {
	At       string          `json:"at"`
	Event    string          `json:"event"`
	TID      string          `json:"tid,omitzero"`
	Waiter   string          `json:"waiter,omitzero"`
	Table    string          `json:"table,omitzero"`
	Tables   []epos.TableID  `json:"tables,omitzero"`
	Granted  *bool           `json:"granted,omitzero"`
	Currency money.Currency  `json:"currency,omitzero"`
	Amount   money.Minor     `json:"amount,omitzero"`
	Payments []tablesPayment `json:"payments,omitzero"`
	Report   string          `json:"report,omitzero"` // file
	Reason   string          `json:"reason,omitzero"`
}

// happened prints an event, for people with the given words.
func (t *tablesTill) happened(e tablesEvent, words string) {
	now := t.now()
	e.At = now.Format(time.RFC3339)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.json {
		// A till serves on when nobody reads what it prints.
		_ = printJSON(t.s, e)
		return
	}
	who := e.TID
	if e.Waiter != "" {
		who += ", waiter " + e.Waiter
	}
	if who != "" {
		who += ": "
	}
	fmt.Fprintf(t.s.out, "%s  %-12s %s%s\n", now.Format("15:04:05"), e.Event, who, words)
}

func (t *tablesTill) connection(c epos.ConnectionState) {
	switch {
	case c.Up:
		t.happened(tablesEvent{Event: "connected"}, "serving "+t.book.path)
	case c.Retry > 0:
		t.happened(tablesEvent{Event: "offline", Reason: c.Err.Error()}, fmt.Sprintf("%v; trying again in %v", c.Err, c.Retry.Round(100*time.Millisecond)))
	default:
		t.happened(tablesEvent{Event: "offline", Reason: c.Err.Error()}, c.Err.Error())
	}
}

func (t *tablesTill) complained(e *epos.Error) {
	t.happened(tablesEvent{Event: "gateway", Reason: e.Message}, "says: "+e.Message)
}

func (t *tablesTill) failed(method string, err error) {
	t.happened(tablesEvent{Event: "failed", Reason: method + ": " + err.Error()}, method+": "+err.Error())
}

func eventOf(event string, r epos.TableRequest) tablesEvent {
	return tablesEvent{Event: event, TID: string(r.TID), Waiter: string(r.WaiterID), Table: string(r.TableID)}
}

// ListTables is part of epos.TableHandler.
func (t *tablesTill) ListTables(_ context.Context, r epos.TableListRequest) (epos.TableList, error) {
	e := eventOf("list", epos.TableRequest{TID: r.TID, WaiterID: r.WaiterID})
	var list epos.TableList
	err := t.book.read(func(f *tablesFile) error {
		if !f.knows(r.WaiterID) {
			return fmt.Errorf("waiter %q is not known", r.WaiterID)
		}
		list = f.payable(r.WaiterID)
		return nil
	})
	if err != nil {
		e.Reason = err.Error()
		t.happened(e, "refused: "+e.Reason)
		return list, onScreen(err)
	}
	e.Tables, e.Currency = list.Tables, list.Currency
	names := make([]string, len(list.Tables))
	for i, id := range list.Tables {
		names[i] = string(id)
	}
	t.happened(e, cmp.Or(strings.Join(names, ", "), "no table"))
	return list, nil
}

// onScreen has a terminal show why there is no answer. What is wrong with the
// file is nothing for a waiter.
func onScreen(err error) error {
	if _, ok := errors.AsType[*fileError](err); ok {
		return &epos.Error{Message: "the tables cannot be read", UserMessage: "The till's tables cannot be read."}
	}
	return &epos.Error{Message: err.Error(), UserMessage: strings.ToUpper(err.Error()[:1]) + err.Error()[1:] + "."}
}

// LockTable is part of epos.TableHandler. What goes wrong is a refusal: after an
// error the gateway would have a table unlocked that another terminal may hold.
func (t *tablesTill) LockTable(_ context.Context, r epos.TableRequest) (epos.TableLock, error) {
	e, lock := eventOf("lock", r), epos.TableLock{}
	err := t.book.change(func(f *tablesFile) error {
		due, err := f.lock(r, t.now())
		lock = epos.TableLock{Granted: err == nil, Amount: money.Amount{Minor: due, Currency: f.Currency}}
		return err
	})
	if err != nil {
		lock = epos.TableLock{}
		e.Reason = err.Error()
	}
	e.Granted = &lock.Granted
	if !lock.Granted {
		t.happened(e, fmt.Sprintf("table %s refused: %s", r.TableID, e.Reason))
		return lock, nil
	}
	e.Amount, e.Currency = lock.Amount.Minor, lock.Amount.Currency
	t.happened(e, fmt.Sprintf("table %s locked, %s to pay", r.TableID, lock.Amount))
	return lock, nil
}

// UnlockTable is part of epos.TableHandler.
func (t *tablesTill) UnlockTable(_ context.Context, r epos.TableRequest) error {
	unlocked := false
	err := t.book.change(func(f *tablesFile) error {
		unlocked = f.unlock(r)
		return nil
	})
	if err != nil {
		return err
	}
	e := eventOf("unlock", r)
	if !unlocked {
		e.Reason = "it was not locked there"
		t.happened(e, fmt.Sprintf("table %s: %s", r.TableID, e.Reason))
		return nil
	}
	t.happened(e, fmt.Sprintf("table %s unlocked", r.TableID))
	return nil
}

// Bill is part of epos.TableHandler.
func (t *tablesTill) Bill(_ context.Context, r epos.TableRequest) ([]receipt.Line, error) {
	return t.print("bill", r, (*tablesFile).bill)
}

// FinalReceipt is part of epos.FinalReceiptHandler.
func (t *tablesTill) FinalReceipt(_ context.Context, r epos.TableRequest) ([]receipt.Line, error) {
	return t.print("final", r, (*tablesFile).final)
}

func (t *tablesTill) print(event string, r epos.TableRequest, lines func(*tablesFile, *tablesTable) []receipt.Line) ([]receipt.Line, error) {
	e := eventOf(event, r)
	var out []receipt.Line
	err := t.book.read(func(f *tablesFile) error {
		table := f.table(string(r.TableID))
		if table == nil {
			return fmt.Errorf("there is no table %s", r.TableID)
		}
		out = lines(f, table)
		return nil
	})
	if err != nil {
		e.Reason = err.Error()
		t.happened(e, "refused: "+e.Reason)
		return nil, onScreen(err)
	}
	t.happened(e, fmt.Sprintf("table %s printed\n%s", r.TableID, strings.TrimRight(paper(out), "\n")))
	return out, nil
}

// Once is part of epos.PaymentStore: the file says what is booked.
func (t *tablesTill) Once(ctx context.Context, ids []epos.PaymentID, book func(context.Context, []epos.PaymentID) error) error {
	var fresh []epos.PaymentID
	err := t.book.read(func(f *tablesFile) error {
		fresh = f.unbooked(ids)
		return nil
	})
	if err != nil || len(fresh) == 0 {
		return err
	}
	return book(ctx, fresh)
}

// Paid is part of epos.TableHandler. The payments and their ids are written at
// once, which makes a payment booked exactly once.
func (t *tablesTill) Paid(_ context.Context, p epos.TablePayments) error {
	e := eventOf("paid", p.TableRequest)
	var after string
	err := t.book.change(func(f *tablesFile) error {
		e.Payments, after = f.book(p, t.now())
		return nil
	})
	if err != nil {
		return err
	}
	e.Amount, e.Currency = p.AmountTotal, p.Currency
	for _, one := range e.Payments {
		words := fmt.Sprintf("table %s paid %s by %s %s", p.TableID, money.Amount{Minor: one.AmountPaid, Currency: one.Currency}, orDash(one.Scheme), one.PAN)
		if one.Gratuity > 0 {
			words += ", gratuity " + one.Gratuity.Decimal()
		}
		if one.Cashback > 0 {
			words += ", cashback " + one.Cashback.Decimal()
		}
		single := e
		single.Payments, single.Amount = []tablesPayment{one}, one.AmountPaid+one.Gratuity+one.Cashback
		t.happened(single, words+", payment "+one.ID)
	}
	if after != "" && !t.json {
		t.happened(eventOf("paid", p.TableRequest), fmt.Sprintf("table %s %s", p.TableID, after))
	}
	return nil
}

// TableReport is part of epos.TableReportHandler. A report that comes again is
// written over itself.
func (t *tablesTill) TableReport(_ context.Context, r epos.Report) error {
	if err := os.MkdirAll(t.reports, 0o700); err != nil {
		return err
	}
	data, err := json.Marshal(r, json.Deterministic(true))
	if err != nil {
		return err
	}
	base := filepath.Join(t.reports, fileName(string(r.Time)+"-"+string(r.TID)+"-"+string(r.Type)))
	if err := replaceFile(base+".json", append(data, '\n'), 0o600); err != nil {
		return err
	}
	text := fmt.Sprintf("%s of %s at %s: %s\n\n%s", r.Type, r.TID, r.Time, r.Result, receipt.Plain(r.Lines))
	if err := replaceFile(base+".txt", []byte(text), 0o600); err != nil {
		return err
	}
	t.happened(tablesEvent{Event: "report", TID: string(r.TID), Report: base + ".txt"}, fmt.Sprintf("%s, %s, kept in %s.txt", r.Type, r.Result, base))
	return nil
}

// fileName keeps what came over the wire from naming other folders.
func fileName(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '-'
	}, s)
}
