package main

import (
	"context"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/internal/browser"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/journaltest"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/site/console"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/ws"
)

// aHouse is a development gateway on a free port.
func aHouse(t *testing.T) *house {
	t.Helper()
	h, err := openHouse(context.Background(), houseConfig{
		Dir: t.TempDir(), Command: "test", Listen: "127.0.0.1:0", Dev: true, Controls: true, Speed: sim.Max, Seed: 7,
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// A plainTill says and hears messages as they are.
type plainTill struct {
	t *testing.T
	c *ws.Conn
}

const strange = `<script>document.title="taken over"</script>`

func tillOf(t *testing.T, h *house, face string) plainTill {
	t.Helper()
	q := url.Values{"token": {devKey}, "api-version": {"v1"}, "software-house-id": {strange}, "installer-id": {"INST"}}
	c, err := ws.Dial(t.Context(), "ws://"+h.addr+"/"+face+"?"+q.Encode(), ws.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Abort()
		<-c.Done()
	})
	return plainTill{t, c}
}

func (p plainTill) say(message string) {
	p.t.Helper()
	if err := p.c.Send([]byte(message)); err != nil {
		p.t.Fatal(err)
	}
}

// hears reads until a message has the text.
func (p plainTill) hears(text string) {
	p.t.Helper()
	for {
		m, err := p.c.Read()
		if err != nil {
			p.t.Fatalf("waiting for %s: %v", text, err)
		}
		if strings.Contains(string(m), text) {
			return
		}
	}
}

// TestConsoleTraffic: a sale and a wrong message, seen in the page as they were
// said, and played again from there.
func TestConsoleTraffic(t *testing.T) {
	h := aHouse(t)
	till := tillOf(t, h, "pac")
	till.say(`{"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":"VCMDEMOSIP0","currency":"GBP","amount":"1250"}}`)
	till.hears("-32602")
	till.say(`{"jsonrpc":"2.0","id":2,"method":"sale","params":{"tid":"VCMDEMOSIP0","currency":"GBP","amount":1250}}`)
	till.hears("SUCCESSFUL")
	tab := browser.Start(t).Open(t, "http://"+h.addr+"/console/traffic", 1400, 900)
	tab.WaitText("#traffic", "1 deviation")
	tab.WaitText("#traffic", "SUCCESSFUL")
	tab.Click("#traffic tbody tr:last-child .traffic-name")
	tab.WaitText("#detail", "Answers")
	tab.WaitText("#traffic tr.partner", "GBP 12.50")
	tab.WaitText("#detail", "As the contract has it")
	tab.Click("#traffic tr.partner .traffic-name")
	tab.WaitText("#detail", "messages are part of it")
	tab.Shot("traffic-sale")
	tab.Click("#traffic tbody tr:nth-child(2) .traffic-name")
	tab.WaitText("#json .marked", "/params/amount is a string, must be an integer")

	file := filepath.Join(t.TempDir(), "sale.txt")
	text := browser.Eval[string](tab, `fetch(document.getElementById("export").href).then((r) => r.text())`)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	address := devURL(h.addr)
	var out, errs strings.Builder
	if code := run([]string{"replay", file, "--url", address, "--speed", "max"}, streams{out: &out, err: &errs}); code != 0 {
		t.Errorf("the export does not play: %d\n%s%s\n%s", code, out.String(), errs.String(), text)
	}
	tampered := strings.Replace(text, `"amountTotal":1250`, `"amountTotal":1249`, 1)
	if tampered == text {
		t.Fatal("the export has no result")
	}
	if err := os.WriteFile(file, []byte(tampered), 0o600); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if code := run([]string{"replay", file, "--url", address, "--speed", "max"}, streams{out: &out, err: &errs}); code != exitError || !strings.Contains(out.String(), "/result/amountTotal: want 1249, got 1250") {
		t.Errorf("a tampered export plays: %d\n%s", code, out.String())
	}
}

// TestConsoleRecord: what was told and what was true, an operator's word, and
// texts that stay texts.
func TestConsoleRecord(t *testing.T) {
	h := aHouse(t)
	ctx := t.Context()
	s, err := gateway.FindSite(ctx, h.store, devSite)
	if err != nil {
		t.Fatal(err)
	}
	s.Limits = map[string]time.Duration{spec.TimerTransaction: time.Second}
	if err := h.store.PutSite(ctx, s); err != nil {
		t.Fatal(err)
	}
	if err := h.gw.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	m, ok := h.sims.machine(h.gw, devSite, testTID)
	if !ok {
		t.Fatal("no machine")
	}
	till := tillOf(t, h, "pac")
	b := browser.Start(t)

	// A machine whose cable was pulled tells late.
	m.Touch(true)
	till.say(`{"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":"VCMDEMOSIP0","currency":"GBP","amount":1250}}`)
	till.hears("PRESENT_CARD")
	m.CutLink()
	till.hears("TIMED_OUT")
	tab := b.Open(t, "http://"+h.addr+"/console/transactions?view=unresolved", 1280, 900)
	tab.WaitText("#entries", "not known")
	tab.WaitText("#entries", "TIMED_OUT")
	tab.Click("#entries tbody th a")
	tab.WaitText("#words", "TIMED_OUT: may or may not have been taken")
	tab.WaitText("#words", "not known")
	tab.WaitText("#facts", strange)
	tab.WaitFor("#resolve")
	m.RestoreLink()
	tab.WaitText("#timeline", "in progress")
	if err := m.Press("cancel"); err != nil {
		t.Fatal(err)
	}
	tab.WaitText("#words", "CANCELLED")
	tab.WaitText("#words", "TIMED_OUT: may or may not have been taken")
	tab.WaitText("#facts", "the truth came after TIMED_OUT was told")
	tab.WaitText("#timeline", "told: timedOut")
	tab.WaitText("#timeline", "terminalNotification")
	tab.Wait(`!document.getElementById("resolve")`)
	tab.Wait(`document.title.startsWith("SALE at VCMDEMOSIP0")`)
	tab.Shot("life-late")
	tab.Click("#timeline .message a")
	tab.WaitText("#detail", "Perform Transaction")
	tab.WaitText("#detail", "Answered by")
	tab.Wait(`location.pathname === "/console/traffic"`)
	m.Touch(false)

	// One that can never tell is resolved by hand.
	till.say(`{"jsonrpc":"2.0","id":2,"method":"sale","params":{"tid":"VCMDEMOTIP0","currency":"GBP","amount":700}}`)
	till.hears("TIMED_OUT")
	tab = b.Open(t, "http://"+h.addr+"/console/transactions?view=unresolved", 360, 780)
	tab.WaitText("#entries", "VCMDEMOTIP0")
	for _, fault := range append(tab.Unlabelled(), tab.TooWide()...) {
		t.Error(fault)
	}
	tab.Shot("unresolved-phone")
	tab.Click("#entries tbody th a")
	tab.Click("#taken-yes")
	tab.Click("#record")
	tab.WaitFor("#resolve")
	tab.Fill("#reason", "slip 0012 "+strange)
	for _, fault := range append(tab.Unlabelled(), tab.TooWide()...) {
		t.Error(fault)
	}
	tab.Shot("resolve-phone")
	tab.Click("#record")
	tab.WaitText("#words", "SUCCESSFUL, by console: slip 0012 "+strange)
	tab.Wait(`!document.getElementById("resolve")`)
	tab.Shot("life-phone")
	tab.Go("http://" + h.addr + "/console/transactions?view=unresolved")
	tab.WaitText("main", "Of everything it is known")
	tab.Click("#view-all")
	tab.WaitText("#entries", "by hand")

	// The list, by what was told.
	tab = b.Open(t, "http://"+h.addr+"/console/transactions?result=CANCELLED", 1280, 900)
	tab.WaitText("#entries", "12.50")
	if text := tab.Text("#entries"); strings.Contains(text, "VCMDEMOTIP0") {
		t.Errorf("what was not asked for is listed: %s", text)
	}
	for _, fault := range append(tab.Unlabelled(), tab.TooWide()...) {
		t.Error(fault)
	}
	tab.Shot("transactions-desk")
}

// TestConsoleOutbox: what a Pay-At-Table till is owed, and what it is sent anew.
func TestConsoleOutbox(t *testing.T) {
	h := aHouse(t)
	m, ok := h.sims.machine(h.gw, devSite, testTID)
	if !ok {
		t.Fatal("no machine")
	}
	till := tillOf(t, h, "pat")
	done := make(chan error, 1)
	go func() {
		_, err := m.Visit(context.Background(), sim.Visit{Waiter: "3", Table: strange, Split: 1}, func(sim.VisitStep) {})
		done <- err
	}()
	till.hears("tableListRequest")
	till.say(`{"jsonrpc":"2.0","id":1,"result":{"tableIds":[` + quoted(strange) + `],"currency":"GBP"}}`)
	till.hears("tableLockRequest")
	till.say(`{"jsonrpc":"2.0","id":2,"result":{"confirmed":true,"amount":4550,"currency":"GBP"}}`)
	till.hears("transactionResponse")
	till.hears("tableUnlock")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	// Whoever reads the socket answers pings, and so has what was sent.
	go func() {
		for {
			if _, err := till.c.Read(); err != nil {
				return
			}
		}
	}()
	b := browser.Start(t)
	tab := b.Open(t, "http://"+h.addr+"/console/transactions?kind=visit", 1280, 900)
	tab.WaitText("#entries", strange)
	tab.Click("#entries tbody th a")
	tab.WaitText("#payments", "£45.50")
	tab.WaitText("#notices tbody tr:last-child", "the till has it")
	tab.WaitText("#notices tbody tr:first-child", "the till has it")
	tab.Fill("#resend-reason", "yesterday's backup")
	tab.Click("#resend-do")
	tab.WaitText("#resend", "2 notices are sent anew")
	tab.WaitText("#timeline", "sent anew, by console: yesterday's backup")
	tab.Shot("visit-desk")
	tab.Go("http://" + h.addr + "/console/transactions?view=outbox")
	tab.WaitText("main", "The till has everything that it is owed.")
}

func quoted(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"` }

// TestLedgerKeepsSitesApart: nothing of another site is found by its id, or can be
// resolved or sent anew.
func TestLedgerKeepsSitesApart(t *testing.T) {
	h := aHouse(t)
	till := tillOf(t, h, "pac")
	till.say(`{"jsonrpc":"2.0","id":2,"method":"sale","params":{"tid":"VCMDEMOTIP0","currency":"GBP","amount":700}}`)
	till.hears("TIMED_OUT")
	ctx := t.Context()
	l := &consoleLedger{store: h.store, office: h.office}
	list, _, err := l.Entries(ctx, console.LedgerQuery{Site: devSite, Limit: 10})
	if err != nil || len(list) != 1 {
		t.Fatalf("%d entries, %v", len(list), err)
	}
	id := list[0].ID
	if others, more, err := l.Entries(ctx, console.LedgerQuery{Site: "other", Limit: 10}); err != nil || len(others) > 0 || more {
		t.Errorf("another site lists %v, %v", others, err)
	}
	if others, _, err := l.Entries(ctx, console.LedgerQuery{Site: "other", Limit: 10, Unresolved: true}); err != nil || len(others) > 0 {
		t.Errorf("another site lists %v, %v", others, err)
	}
	if _, err := l.Life(ctx, "other", id); err != console.ErrNoEntry {
		t.Errorf("another site reads it: %v", err)
	}
	if err := l.Resolve(ctx, "other", console.Resolution{ID: id, Taken: true, By: "x", Reason: "y"}); err != console.ErrNoEntry {
		t.Errorf("another site resolves it: %v", err)
	}
	if _, err := l.Resend(ctx, "other", id, 0, "x", "y"); err != console.ErrNoEntry {
		t.Errorf("another site has it sent: %v", err)
	}
	mark := l.Mark()
	if err := l.Resolve(ctx, devSite, console.Resolution{ID: id, By: "x", Reason: "y"}); err != nil {
		t.Error(err)
	}
	if l.Mark() == mark {
		t.Error("the mark is the same after something was recorded")
	}
	err = l.Resolve(ctx, devSite, console.Resolution{ID: id, By: "x", Reason: "y"})
	if err == nil || !regexp.MustCompile(`^`+id+` is not unresolved`).MatchString(err.Error()) {
		t.Errorf("a second word: %v", err)
	}
	if _, err := h.store.Head(ctx, journal.Stream(id)); err != nil {
		t.Error(err)
	}
}

// TestLedgerTellsReportsAndOrphans: what is no transaction and no visit has its
// life, too.
func TestLedgerTellsReportsAndOrphans(t *testing.T) {
	h := aHouse(t)
	ctx := t.Context()
	till := tillOf(t, h, "pac")
	till.say(`{"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":"VCMDEMOSIP0","currency":"GBP","amount":700}}`)
	till.hears("SUCCESSFUL")
	till.say(`{"jsonrpc":"2.0","id":2,"method":"reportEndOfDay","params":{"tid":"VCMDEMOSIP0"}}`)
	till.hears("END_OF_DAY")
	m, ok := h.sims.machine(h.gw, devSite, testTID)
	if !ok {
		t.Fatal("no machine")
	}
	if _, err := m.Report(ctx, report.XBalance); err != nil {
		t.Fatal(err)
	}
	outcome := txn.Outcome{Type: txn.Sale, Result: txn.Successful, Currency: money.GBP, Base: 4711, TransactionID: "99", Number: "0007", AuthCode: "A1B2C3"}
	orphan := journal.Orphan{ID: "rORPHAN", Site: devSite, TID: testTID, Outcome: &outcome}
	at := time.Now()
	if err := h.store.Append(ctx, journal.Append{Stream: "rORPHAN", Records: []journal.Record{journal.EncodeOrphan(orphan, at)}, Head: journal.OrphanHead(orphan, at)}); err != nil {
		t.Fatal(err)
	}
	for _, a := range journaltest.Table("tSTRAY", devSite, "12", at.Add(time.Second)) {
		if err := h.store.Append(ctx, a); err != nil {
			t.Fatal(err)
		}
	}
	l := &consoleLedger{store: h.store, office: h.office}
	for until := time.Now().Add(patience); ; { // the machine has told it, and it is taken in
		waiting, err := l.Waiting(ctx, devSite)
		if err != nil || time.Now().After(until) {
			t.Fatalf("the report never came: %v", err)
		}
		if len(waiting) == 1 {
			break
		}
		runtime.Gosched()
	}
	lives := func(q console.LedgerQuery) []console.Life {
		t.Helper()
		q.Site, q.Limit = devSite, 10
		list, more, err := l.Entries(ctx, q)
		if err != nil || more {
			t.Fatalf("%+v: %v, more %v", q, err, more)
		}
		var out []console.Life
		for _, e := range list {
			life, err := l.Life(ctx, devSite, e.ID)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, life)
		}
		return out
	}
	fact := func(life console.Life, name string) string {
		for _, f := range life.Facts {
			if f.Name == name {
				return f.Text
			}
		}
		return ""
	}
	reports := lives(console.LedgerQuery{Kind: "report"})
	if len(reports) != 2 {
		t.Fatalf("%d reports", len(reports))
	}
	brought, asked := reports[0], reports[1]
	if fact(asked, "Started") != "by a till" || fact(asked, "True") != "COMPLETE" || len(asked.Copies) != 1 || len(asked.Notices) != 0 {
		t.Errorf("a till's report: %+v", asked)
	}
	if fact(brought, "Started") != "at the terminal" || len(brought.Notices) != 1 || brought.Notices[0].Delivered || brought.Notices[0].Notice != "reportResponse" {
		t.Errorf("a terminal's report: %+v", brought)
	}
	if waiting, err := l.Waiting(ctx, devSite); err != nil || len(waiting) != 1 || waiting[0].ID != brought.ID {
		t.Errorf("the outbox: %+v, %v", waiting, err)
	}
	if waiting, err := l.Waiting(ctx, "other"); err != nil || len(waiting) != 0 {
		t.Errorf("another site's outbox: %+v, %v", waiting, err)
	}
	orphans := lives(console.LedgerQuery{Kind: "orphan", TID: "vcmdemosip0"})
	if len(orphans) != 1 || fact(orphans[0], "Says") != "SUCCESSFUL, GBP 47.11" || fact(orphans[0], "Auth code") != "A1B2C3" || orphans[0].Resolvable {
		t.Errorf("orphans: %+v", orphans)
	}
	orphans = lives(console.LedgerQuery{Kind: "orphan"})
	if len(orphans) != 2 || orphans[0].Table != "12" || orphans[0].True != "PAID 45.50 (paid after it was deleted)" ||
		fact(orphans[0], "Paid") != "GBP 45.50, gratuity GBP 9.00; GBP 0.00 is left" || len(orphans[0].Payments) != 2 || len(orphans[0].Copies) != 1 {
		t.Errorf("with a table that was paid after it was deleted: %+v", orphans)
	}
	if sales := lives(console.LedgerQuery{Result: "successful", Kind: "transaction"}); len(sales) != 1 || len(sales[0].Copies) != 2 || fact(sales[0], "True") != "SUCCESSFUL, GBP 7.00" {
		t.Errorf("sales: %+v", sales)
	}
	if none := lives(console.LedgerQuery{Until: at.Add(-time.Hour)}); len(none) != 0 {
		t.Errorf("before the day began: %+v", none)
	}
	if _, more, err := l.Entries(ctx, console.LedgerQuery{Site: devSite, Limit: 2}); err != nil || !more {
		t.Errorf("of four, two: more %v, %v", more, err)
	}
}
