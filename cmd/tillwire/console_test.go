package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/internal/browser"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
)

// devHouse is a development gateway with its console, on a free port. It returns
// the console's address.
func devHouse(t *testing.T) string {
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
	return "http://" + h.addr + "/console/"
}

// A desk is a browser with the card machine in one tab and the till in another.
type desk struct {
	t             *testing.T
	b             *browser.Browser
	address       string
	machine, till *browser.Tab
}

const testTID = "VCMDEMOSIP0"

// sit opens both tabs; the machine is touched from then on.
func sit(t *testing.T) *desk {
	b := browser.Start(t)
	d := &desk{t: t, b: b, address: devHouse(t)}
	d.machine = b.Open(t, d.address+"terminals/"+testTID, 390, 844)
	d.machine.Click("#by-hand")
	d.machine.WaitFor(`#by-hand[aria-pressed="true"]`)
	d.till = b.Open(t, d.address+"till", 1280, 900)
	d.till.WaitText("main", "connected")
	return d
}

// sale starts a sale of that amount at the till.
func (d *desk) sale(amount string) {
	d.t.Helper()
	d.till.Fill("#amount", amount)
	d.till.Click("#start")
}

// card presents a card.
func (d *desk) card(name, how string) {
	d.t.Helper()
	d.machine.Click(fmt.Sprintf(`.wallet [data-card="%s"]`, name))
	d.machine.Click(fmt.Sprintf(`[data-way="%s"]:not(:disabled)`, how))
}

// press presses keys of the machine with a finger.
func (d *desk) press(keys ...string) {
	d.t.Helper()
	const screen = `document.querySelector(".machine-screen").innerHTML`
	for _, k := range keys {
		key := fmt.Sprintf(`[data-key="%s"]:not([aria-disabled])`, k)
		d.machine.WaitFor(key)
		before := browser.Eval[string](d.machine, screen)
		d.machine.Click(key)
		// What follows is for the next thing that the machine shows.
		d.machine.Wait(fmt.Sprintf(`%s !== %q`, screen, before))
	}
}

// outcome waits for what the till made of it.
func (d *desk) outcome(want string) {
	d.t.Helper()
	d.till.WaitFor(fmt.Sprintf(`#outcome[data-outcome="%s"]`, want))
}

// TestConsoleChipAndPIN: a sale by touch, from the amount to the receipts, with a
// wrong PIN on the way.
func TestConsoleChipAndPIN(t *testing.T) {
	d := sit(t)
	d.sale("12.50")
	d.machine.WaitText("#machine", "12.50")
	d.till.WaitText("#running", "PRESENT_CARD")
	d.machine.Shot("machine-card-phone")
	d.till.Shot("till-running")
	d.card("visa-debit", "insert")
	d.press("enter") // no cashback
	d.till.WaitText("#running", "PIN_ENTRY")
	d.press("9", "9", "9", "9")
	d.machine.WaitText("#entry", "****")
	d.machine.Shot("machine-pin-phone")
	d.press("enter")
	d.press("1", "2", "3", "4", "enter")
	d.machine.Click(`[data-way="takeOut"]:not(:disabled)`)
	d.outcome("SUCCESSFUL")
	if got := browser.Eval[string](d.till, `document.getElementById("amount").value`); got != "" {
		t.Errorf("the till kept the amount %q after a successful sale", got)
	}
	d.till.WaitText("#outcome", "£12.50")
	d.machine.WaitText(".machine-pile", "CUSTOMER COPY")
	d.machine.Shot("machine-paper-phone")
	d.till.Shot("till-successful")
	for _, fault := range slices.Concat(d.till.Unlabelled(), d.till.TooWide(), d.till.LowContrast(), d.machine.Unlabelled(), d.machine.TooWide(), d.machine.LowContrast()) {
		t.Error(fault)
	}
	d.machine.Size(1280, 900)
	d.machine.Shot("machine-paper-desk")
}

// TestConsoleKeyboard: a sale without a finger on the machine. Whoever has put a
// card in can type at once.
func TestConsoleKeyboard(t *testing.T) {
	d := sit(t)
	d.machine.Size(1280, 900)
	d.sale("3.20")
	d.card("visa-debit", "insert")
	d.machine.WaitText("#machine", "Cashback")
	d.machine.Keys("\r")
	d.machine.WaitText("#machine", "PIN")
	d.machine.Keys("12")
	d.machine.WaitText("#entry", "**")
	d.machine.Keys("\b") // Backspace takes all of it back
	d.machine.Wait(`!document.getElementById("entry")`)
	d.machine.Keys("1234")
	d.machine.Keys("\r")
	d.machine.Click(`[data-way="takeOut"]:not(:disabled)`)
	d.outcome("SUCCESSFUL")
}

// TestConsoleSummon: a machine that nobody has asked for is put together by its
// name.
func TestConsoleSummon(t *testing.T) {
	b, address := browser.Start(t), devHouse(t)
	tab := b.Open(t, address, 1280, 900)
	tab.Choose("#summon-result", "D")
	tab.Choose("#summon-card", "C")
	tab.Choose("#summon-cardholder", "N")
	tab.Choose("#summon-machine", "2")
	tab.Click("#summon-open")
	tab.WaitText("#machine", "VCMDEMODCN2")
	tab.Go(address)
	tab.WaitText("#terminals", "VCMDEMODCN2")
}

// TestConsoleRestart: the gateway is started again, and the page finds it.
func TestConsoleRestart(t *testing.T) {
	b, dir := browser.Start(t), t.TempDir()
	run := func(listen string) *house {
		t.Helper()
		h, err := openHouse(context.Background(), houseConfig{
			Dir: dir, Command: "test", Listen: listen, Dev: true, Controls: true, Speed: sim.Max, Seed: 7, Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	h := run("127.0.0.1:0")
	tab := b.Open(t, "http://"+h.addr+"/console/terminals/"+testTID, 1280, 900)
	tab.WaitText("#machine", "READY")
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	tab.WaitText("#line", "lost")
	h = run(h.addr)
	defer func() {
		if err := h.close(); err != nil {
			t.Error(err)
		}
	}()
	tab.WaitText("#line", "live")
	tab.Click("#by-hand")
	tab.WaitFor(`#by-hand[aria-pressed="true"]`)
	tab.Faults() // that nobody listened for a moment is on its console
}

// TestConsoleWithAKey: on a gateway that is not for development the console wants
// a key, shows that site, and touches nothing; its till wants the site's key.
func TestConsoleWithAKey(t *testing.T) {
	ctx := context.Background()
	b := browser.Start(t)
	h, err := openHouse(ctx, houseConfig{Dir: t.TempDir(), Command: "test", Listen: "127.0.0.1:0", Speed: sim.Max, Seed: 7, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.close(); err != nil {
			t.Error(err)
		}
	})
	keys := map[string]string{}
	for _, site := range []string{"shop", "bar"} {
		if err := gateway.AddSite(ctx, h.store, journal.Site{ID: txn.SiteID(site), Simulated: strings.ToUpper(site + "SHOP")[:4]}); err != nil {
			t.Fatal(err)
		}
		for _, face := range []string{gateway.FaceConsole, "pac"} {
			if keys[site+face], _, err = gateway.AddKey(ctx, h.store, txn.SiteID(site), "", "", []string{face}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := h.gw.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	if err := h.sims.arrange(ctx, h.gw, h.store); err != nil {
		t.Fatal(err)
	}
	tab := b.Open(t, "http://"+h.addr+"/console/", 390, 844)
	tab.Fill("#key", keys["shoppac"])
	tab.Click("form button")
	tab.WaitText(`[role="alert"]`, "does not open")
	tab.Faults() // a 401 is an error on its console
	tab.Shot("page-login-phone")
	tab.Fill("#key", keys["shop"+gateway.FaceConsole])
	tab.Click("form button")
	tab.WaitText("#terminals", "VCMSHOPSIP0")
	if strings.Contains(tab.Text("main"), "VCMBARS") {
		t.Error("the console of one site shows terminals of another")
	}
	tab.Go("http://" + h.addr + "/console/terminals/VCMSHOPSIP0")
	tab.WaitText("#machine", "READY")
	if browser.Eval[bool](tab, `!!document.getElementById("by-hand")`) {
		t.Error("the machine can be touched")
	}
	tab.Go("http://" + h.addr + "/console/till")
	tab.Fill("#key-pac", keys["barpac"])
	tab.Click("#open-pac:not(:disabled)")
	tab.WaitText("main", "/pac connected")
	tab.Click("header form button")
	tab.WaitFor("#key")
}

// TestConsoleWrongPINs: three wrong PINs, and no money is taken.
func TestConsoleWrongPINs(t *testing.T) {
	d := sit(t)
	d.sale("8.00")
	d.card("mastercard", "insert")
	d.press("enter")
	for range 3 {
		d.press("1", "1", "1", "1", "enter")
	}
	d.machine.Click(`[data-way="takeOut"]:not(:disabled)`)
	d.outcome("DECLINED")
	if got := browser.Eval[string](d.till, `document.getElementById("amount").value`); got != "8.00" {
		t.Errorf("the till shows %q, want the amount to stay", got)
	}
}

// TestConsoleSignature: accepted, and rejected.
func TestConsoleSignature(t *testing.T) {
	d := sit(t)
	for _, c := range []struct{ answer, want string }{{"#accept", "SUCCESSFUL"}, {"#reject", "VOID"}} {
		d.sale("30.00")
		d.card("signature", "insert")
		d.machine.Click(`[data-way="takeOut"]:not(:disabled)`)
		d.till.WaitFor("#signature")
		d.machine.Click(".receipt-sign:not(:disabled)")
		d.machine.WaitFor(".receipt-sign svg")
		d.machine.Shot("machine-signed-phone")
		d.till.Shot("till-signature")
		d.till.Click(c.answer)
		d.outcome(c.want)
	}
}

// TestConsoleCancel: the till cancels while the machine waits for a card.
func TestConsoleCancel(t *testing.T) {
	d := sit(t)
	d.sale("5.00")
	d.till.WaitText("#running", "PRESENT_CARD")
	d.till.Click("#cancel")
	d.outcome("CANCELLED")
}

// TestConsoleTimedOut: nobody knows what became of it. The amount stays, nothing
// else can be started, and loading the page anew does not make it forget; it is
// the operator who says what the machine shows.
func TestConsoleTimedOut(t *testing.T) {
	b, address := browser.Start(t), devHouse(t)
	till := b.Open(t, address+"till", 1280, 900)
	till.WaitText("main", "connected")
	till.Fill("#tid", "VCMDEMOTIP0")
	till.Fill("#amount", "9.99")
	till.Click("#start:not(:disabled)")
	till.WaitFor("#doubt")
	till.Wait(`document.getElementById("start").disabled && document.getElementById("duplicate").disabled`)
	till.Go(address + "terminals/VCMDEMOTIP0")
	till.Go(address + "till")
	till.WaitFor("#doubt")
	if got := browser.Eval[string](till, `document.getElementById("amount").value`); got != "9.99" {
		t.Errorf("the till shows the amount %q, want it to stay", got)
	}
	till.WaitText("main", "connected")
	till.Click("#check:not(:disabled)")
	till.WaitText("#doubt", "does not know yet either")
	till.Shot("till-doubt")
	till.Click("#settle-unpaid")
	till.WaitFor(`#outcome[data-outcome="settled"]`)
	till.Wait(`!document.getElementById("start").disabled`)
}

// TestConsoleOtherResults: a decline keeps the amount, an error says that nothing
// ran, and a report is shown.
func TestConsoleOtherResults(t *testing.T) {
	b, address := browser.Start(t), devHouse(t)
	till := b.Open(t, address+"till", 1280, 900)
	till.WaitText("main", "connected")
	for _, c := range []struct{ tid, want, amount string }{
		{"VCMDEMODIP0", "DECLINED", "4.00"}, {"99999999", "error", "4.00"}, {"VCMDEMOSCD0", "SUCCESSFUL", ""},
	} {
		till.Fill("#tid", c.tid)
		till.Fill("#amount", "4.00")
		till.Click("#start:not(:disabled)")
		till.WaitFor(`#outcome[data-outcome="` + c.want + `"]`)
		if got := browser.Eval[string](till, `document.getElementById("amount").value`); got != c.amount {
			t.Errorf("after %s the till shows the amount %q, want %q", c.want, got, c.amount)
		}
	}
	till.Click("#duplicate:not(:disabled)")
	till.WaitText("#outcome", "DUPLICATE")
	till.Choose("#report", "reportXBalance")
	till.Click("#make-report:not(:disabled)")
	till.WaitFor(`#outcome[data-outcome="COMPLETE"]`)
	till.Fill("#amount", "12.345")
	till.Click("#start")
	till.WaitText("form", "as in 12.50")
}

// TestConsoleCable: the cable is pulled while the PIN is entered, and plugged in
// again when all is done: the till hears the truth.
func TestConsoleCable(t *testing.T) {
	d := sit(t)
	d.sale("7.77")
	d.card("visa-debit", "insert")
	d.press("enter", "1", "2")
	d.machine.Click(`#cable button:last-child`)
	d.machine.WaitText("#machine", "NO LINE")
	d.press("3", "4", "enter")
	d.machine.Click(`[data-way="takeOut"]:not(:disabled)`)
	d.machine.Shot("machine-no-line-phone")
	d.machine.Click(`#cable button:first-child`)
	d.outcome("SUCCESSFUL")
}

// TestConsolePaperAndPower: the paper ends in the middle of a sale and somebody
// puts a roll in; the power goes before the PIN is in, and no money is taken.
func TestConsolePaperAndPower(t *testing.T) {
	d := sit(t)
	d.machine.Click(`#roll button:last-child`)
	d.sale("6.00")
	d.card("visa-debit", "insert")
	d.press("enter", "1", "2", "3", "4", "enter")
	d.machine.Click(`[data-way="takeOut"]:not(:disabled)`)
	d.till.WaitText("#running", "REPLACE_PAPER")
	d.machine.WaitText("main", "Put a new roll in")
	d.machine.Click(`#roll button:first-child`)
	d.outcome("SUCCESSFUL")
	d.machine.WaitText(".machine-pile", "MERCHANT COPY")
	d.machine.Click("#tear-off")
	d.machine.Wait(`document.querySelectorAll(".machine-pile figure").length === 0`)
	d.machine.Click(`#cable button:last-child`) // while nothing runs
	d.machine.WaitText("#machine", "NO LINE")
	d.machine.Click(`#cable button:first-child`)
	d.machine.WaitText("#machine", "ONLINE")

	d.sale("6.00")
	d.card("visa-debit", "insert")
	d.press("enter", "1", "2")
	d.machine.Click(`#power button:last-child`)
	d.machine.WaitFor(".machine-screen.off")
	d.machine.Click(`#power button:first-child`)
	d.outcome("UNSUCCESSFUL")
	d.machine.WaitText("#machine", "READY")
}

// TestConsoleScenario: one that is chosen is played once, while people look on.
func TestConsoleScenario(t *testing.T) {
	b, address := browser.Start(t), devHouse(t)
	d := &desk{t: t, b: b, address: address}
	d.machine = b.Open(t, address+"terminals/"+testTID, 390, 844)
	d.machine.Choose("#scenario-name", "declined")
	d.machine.Click("#scenario-set")
	d.machine.WaitText("main", "1 chosen")
	d.till = b.Open(t, address+"till", 1280, 900)
	d.till.WaitText("main", "connected")
	for _, want := range []string{"DECLINED", "SUCCESSFUL"} {
		d.sale("1.00")
		d.outcome(want)
	}
	d.machine.Choose("#scenario-times", "0")
	d.machine.Click("#scenario-set")
	d.machine.WaitText("main", "always one")
	d.sale("1.00")
	d.outcome("DECLINED")
	d.machine.Click("#scenario-off:not(:disabled)")
	d.machine.Wait(`document.getElementById("scenario-off").disabled`)
}

// TestConsolePreAuthorisation: its auth code goes into the completion.
func TestConsolePreAuthorisation(t *testing.T) {
	b, address := browser.Start(t), devHouse(t)
	d := &desk{t: t, b: b, till: b.Open(t, address+"till", 1280, 900)}
	d.till.WaitText("main", "connected")
	d.till.Choose("#method", "preAuth")
	d.sale("50.00")
	d.outcome("SUCCESSFUL")
	code := browser.Eval[string](d.till, `document.querySelector("#outcome .facts dd.mono").innerText`)
	d.till.Choose("#method", "completion")
	d.till.Fill("#amount", "45.00")
	d.till.Click("#start")
	d.till.WaitText("form", "needs the auth code")
	d.till.Fill("#auth-code", code)
	d.till.Click("#start")
	d.till.WaitText("#outcome", "COMPLETION")
	d.till.Choose("#method", "accountVerification")
	d.till.Wait(`!document.getElementById("amount")`)
	d.till.Click("#start:not(:disabled)")
	d.till.WaitText("#outcome", "ACCOUNT_VERIFICATION")
}

// TestConsoleTabsInStep: two tabs show one machine, and keys typed in one of them
// appear in the other.
func TestConsoleTabsInStep(t *testing.T) {
	d := sit(t)
	other := d.b.Open(t, d.address+"terminals/"+strings.ToLower(testTID), 1280, 900)
	other.WaitFor(`#by-hand[aria-pressed="true"]`)
	d.sale("2.00")
	other.WaitText("#machine", "2.00")
	d.card("visa-debit", "insert")
	other.WaitFor(".machine-card.in")
	browser.Eval[bool](other, `(document.getElementById("machine").focus(), true)`)
	other.Keys("\r")
	other.WaitText("#machine", "PIN")
	other.Keys("123")
	d.machine.WaitText("#entry", "***")
	other.WaitText("#entry", "***")
	other.Keys("4")
	other.Keys("\r")
	other.WaitText("main", "Take the card out")
	d.machine.Click(`[data-way="takeOut"]:not(:disabled)`)
	other.Wait(`!document.querySelector(".machine-card.in")`)
	d.outcome("SUCCESSFUL")
}

// TestConsoleTables: a waiter serves a table by touch. It is split, a gratuity is
// added, each card is booked once, and the table is free again.
func TestConsoleTables(t *testing.T) {
	d := sit(t)
	d.till.Go(d.address + "till#pat")
	d.till.Click("#open-pat")
	d.till.WaitText(`[data-face="pat"]`, "/pat connected")
	const name = "<script>alert(1)</script>"
	d.till.Fill("#new-table", name)
	d.till.Click("#add-table")
	d.till.WaitText(".till-tables", name)

	d.press("menu", "f1", "3", "enter")
	d.machine.WaitText("#machine", name[:20]) // as text, on its screen, cut as terminals do
	d.machine.Shot("machine-tables-phone")
	d.press("1")
	d.till.WaitText(`[data-table="12"]`, "locked by "+testTID+", waiter 3")
	d.machine.Click(`[data-key="f3"]:not([aria-disabled])`) // the bill, after which the screen is as before
	d.machine.WaitText(".machine-pile", "T12")
	d.press("f1", "2", "enter", "enter")
	d.machine.WaitText("#machine", "gratuity")
	d.machine.Shot("machine-gratuity-phone")
	d.press("f1") // 10 %
	d.card("visa-debit", "insert")
	d.press("1", "2", "3", "4", "enter")
	d.machine.Click(`[data-way="takeOut"]:not(:disabled)`)
	d.press("enter") // the other half
	d.machine.WaitText("#machine", "gratuity")
	d.press("enter")
	d.card("phone", "tap")

	d.till.WaitFor(`[data-table="12"] [data-due="0"]`)
	d.till.Wait(`!document.querySelector('[data-table="12"]').innerText.includes("locked")`)
	if n := browser.Eval[int](d.till, `document.querySelectorAll('[data-table="12"] .till-booking').length`); n != 2 {
		t.Errorf("%d payments are booked, want 2", n)
	}
	d.till.WaitText(`[data-table="12"]`, "tip £2.27")
	d.till.Shot("till-tables-paid")
	d.machine.WaitText(".machine-pile", "PAID")
	d.machine.Shot("machine-final-phone")
	for _, tab := range []*browser.Tab{d.till, d.machine} {
		if n := browser.Eval[int](tab, `document.querySelectorAll("body script").length`); n != 0 {
			t.Errorf("%d scripts came to stand in a page", n)
		}
	}
}

// TestConsolePages: each page, on a phone and on a desk.
func TestConsolePages(t *testing.T) {
	b, address := browser.Start(t), devHouse(t)
	for _, page := range []struct{ name, path, ready string }{
		{"terminals", "", "#terminals"},
		{"machine", "terminals/" + testTID, "#machine"},
		{"till-counter", "till", "#amount"},
		{"till-tables", "till#pat", "#add-table"},
		{"traffic", "traffic", "#f-conn"},
		{"checklist", "checklist", ".score-head, .empty"},
	} {
		for _, size := range []struct {
			name          string
			width, height int
		}{{"phone", 390, 844}, {"desk", 1280, 900}, {"narrow", 360, 640}} {
			t.Run(page.name+"-"+size.name, func(t *testing.T) {
				tab := b.Open(t, address+page.path, size.width, size.height)
				tab.WaitFor(page.ready)
				tab.WaitText("#line", "live")
				for _, fault := range slices.Concat(tab.Unlabelled(), tab.TooWide(), tab.LowContrast()) {
					t.Error(fault)
				}
				tab.Shot("page-" + page.name + "-" + size.name)
				if size.name == "desk" {
					tab.Dark(true)
					for _, fault := range tab.LowContrast() {
						t.Error("in the dark: " + fault)
					}
					tab.Shot("page-" + page.name + "-dark")
				}
			})
		}
	}
}

// TestConsoleIsForThisMachine: a page of somewhere else that calls this address
// by a name of its own gets nothing.
func TestConsoleIsForThisMachine(t *testing.T) {
	address := devHouse(t)
	r, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "tills.example"
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("got %s, want 403", resp.Status)
	}
}
