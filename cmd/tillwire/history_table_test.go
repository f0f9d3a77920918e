package main

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
)

// storedTables has a till store tables in a data folder, and one of an earlier
// name be deleted and paid afterwards.
func storedTables(t *testing.T, dir string) {
	t.Helper()
	store, err := openStore(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := context.Background()
	must(gateway.AddSite(ctx, store, journal.Site{ID: "shop"}))
	_, _, err = gateway.AddKey(ctx, store, "shop", "shop-key", "", nil)
	must(err)

	at := time.Now().Add(-time.Hour).UTC()
	known := table.Known{Amount: 1000}
	var k table.Kept
	for i, e := range []table.KeptEvent{
		table.Created{ID: "told", Site: "shop", Name: "12", Amount: 1000, Currency: money.GBP, At: at},
		table.TerminalLocked{TID: "1001", Visit: "v1", Waiter: "3", At: at},
		table.TillUnlocked{Known: known, Holder: "till2", Over: "1001", By: "key k1", At: at},
		table.Removed{Known: known, At: at},
		table.PaymentBooked{Payment: "0d7f2a44-6a52-4c0c-9a1e-5f5b6a3e9c01", Visit: "v1", TID: "1001", Waiter: "3", At: at, Receipt: table.Receipt{
			Paid: 1000, Gratuity: 50, Scheme: "VISA", PAN: "************1234", AuthCode: "789DE0", Time: at,
		}},
	} {
		var err error
		k, err = table.ApplyKept(k, e)
		must(err)
		must(store.Append(ctx, journal.Append{
			Stream: "told", Expect: i, Records: []journal.Record{journal.EncodeKept(e, at)}, Head: journal.KeptHead(k),
		}))
	}

	g, err := gateway.New(ctx, gateway.Config{Store: store})
	must(err)
	defer g.Close()
	_, err = g.Recover(ctx)
	must(err)
	till, err := g.Till("shop-key", txn.Caller{})
	must(err)
	_, err = till.StoreTable(ctx, gateway.NewTable{
		Name: "12", Amount: 4000, Currency: money.GBP, Waiters: []table.WaiterID{"3", "4"}, Receipt: []receipt.Line{{Type: receipt.Text, Value: "2 SOUP"}},
	})
	must(err)
	must(till.Tolerating([]string{"/extra"}).ChangeAmount(ctx, "12", table.Known{Amount: 4000}, 4550))
	_, err = till.StoreTable(ctx, gateway.NewTable{Name: "Bar 2", Amount: 100, Currency: money.EUR})
	must(err)
	must(till.LockTable(ctx, "12", gateway.LockWish{Known: table.Known{Amount: 4550}, Locked: true, Holder: "till1"}))
}

// TestHistoryOfTables: what people see of stored tables, and how they end a lock.
func TestHistoryOfTables(t *testing.T) {
	dir := t.TempDir()
	storedTables(t, dir)
	want := func(code int, args []string, texts ...string) string {
		t.Helper()
		got, out, errs := tillwire(append(args, "--data", dir)...)
		text := strings.Join(strings.Fields(out+errs), " ")
		for _, want := range texts {
			if got != code || !strings.Contains(text, want) {
				t.Errorf("%v: exit code %d, want %d with %q:\n%s%s", args, got, code, want, out, errs)
			}
		}
		return out
	}
	words := strings.Fields
	want(0, words("history tables"), "12 GBP 45.50 GBP 0.00 heldByTill till1 3 4 t", "Bar 2 EUR 1.00 EUR 0.00 free - - t")
	want(0, words("history tables --site bar --json"))
	want(0, words("history list"), "shop - TABLE 12 GBP 45.50 heldByTill nothing yet -", "TABLE 12 GBP 10.00 stray PAID 10.00 (paid after it was deleted) - told")
	if out := want(0, words("history unresolved")); strings.Contains(out, "TABLE") {
		t.Errorf("a table is unresolved:\n%s", out)
	}
	want(0, words("history orphans"), "shop 1001 PAYMENT 12 GBP 10.50 SUCCESSFUL - 789DE0 told")
	want(0, words("history orphans --tid 1002"), "HEARD")
	if out := want(0, words("history orphans --tid 1002 --json")); out != "" {
		t.Errorf("another terminal's: %s", out)
	}
	want(0, words("history orphans --json"), `"payment":"0d7f2a44-6a52-4c0c-9a1e-5f5b6a3e9c01","ofTable":"12"`)
	want(0, words("history table 12 --site shop"), "table 12 is stored, of GBP 40.00, by key ", "the bill is 45.50, was 40.00, by key ", "; tolerated: /extra", "locked by till1", "bill GBP 45.50",
		"paid GBP 0.00, gratuity GBP 0.00; GBP 45.50 is left", "waiters 3 4", "locked by till1 since", "2 SOUP", "earlier", "told")
	want(0, words("history show told"), "locked at 1001 in visit v1, waiter 3", "unlocked by till2, overriding the lock of 1001, by key k1", "deleted", "is booked: 10.00 and gratuity 0.50",
		"stray it was paid after it was deleted", "VISA ************1234", "the table was deleted by then")
	var life struct {
		Kind  string `json:"kind"`
		Table struct {
			Name   string `json:"name"`
			Amount int    `json:"amount"`
			Locked string `json:"lockedBy"`
		} `json:"table"`
		Life []struct {
			Kind string `json:"kind"`
		} `json:"life"`
	}
	if err := json.Unmarshal([]byte(want(0, words("history table 12 --json"))), &life); err != nil {
		t.Fatal(err)
	}
	if life.Kind != "table" || life.Table.Name != "12" || life.Table.Amount != 4550 || life.Table.Locked != "till1" || len(life.Life) != 3 || life.Life[2].Kind != "kept.tillLocked" {
		t.Errorf("%+v", life)
	}
	want(exitError, words("history table 13"), `no table "13" was stored`)
	want(exitUsage, words("history unlock 12 --site shop"), "--reason")
	want(exitError, words("history unlock 12 --site bar --reason x"), `no table "12" is stored at site "bar"`)
	want(0, []string{"history", "unlock", "12", "--site", "shop", "--reason", "till1 is broken"}, "table 12 is unlocked; till1 held it")
	want(exitError, words("history unlock 12 --site shop --reason x"), `nobody holds table "12"`, "tillwire history tables --site shop")
	want(0, words("history table 12"), "unlocked by hand, by ", ": till1 is broken")
	want(0, words("history verify"), "whole: ")
	want(0, words("history rebuild"), "rebuilt from the records: 3 requests")
	want(0, words("history tables"), "12 GBP 45.50 GBP 0.00 free -")
	want(exitError, words("history resend told --reason x"), "none of its notices was delivered")
	want(exitError, words("history resolve told --result successful --reason x"), "it is a table")

	want(0, words("site set shop --pat rest"), "shop", "rest")
	want(0, words("site list --json"), `"pat":"rest"`)
	want(0, words("site set shop --pat auto --name Shop"), "auto")
	want(exitUsage, words("site set shop --pat both"), "auto")
	want(0, words("history verify"), "whole: ")
}

// TestTellKept: every event of a stored table has words.
func TestTellKept(t *testing.T) {
	told := map[string]bool{}
	for _, e := range []table.KeptEvent{
		table.Created{Name: "12", Currency: money.GBP},
		table.AmountChanged{},
		table.ReceiptChanged{},
		table.WaitersChanged{},
		table.TillLocked{},
		table.TillUnlocked{},
		table.TerminalLocked{},
		table.TerminalUnlocked{},
		table.UnlockedByHand{By: "anna"},
		table.PaymentBooked{},
		table.Removed{},
	} {
		if tellKept(e) == "" {
			t.Errorf("there are no words for %T", e)
		}
		told[reflect.TypeOf(e).Name()] = true
	}
	for _, name := range eventTypes(t, "table", "keptEvent") {
		if !told[name] {
			t.Errorf("table.%s is not among them", name)
		}
	}
}
