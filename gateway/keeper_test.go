package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
)

// A kitchen is a diner whose till stores its tables at the gateway.
type kitchen struct {
	*diner
	*gateway.Till
	disk *faulty
	log  bytes.Buffer
}

func inKitchen(t *testing.T, f func(k *kitchen)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		k := &kitchen{disk: newFaulty()}
		k.diner = &diner{shop: newShop(t, k.disk, &k.log), w: &fakeWaiter{fake: newFake()}}
		k.plugWaiter()
		k.shows()
		f(k)
		k.disk.set(nil, nil)
		sleep(time.Second)
		verify(t, k.disk)
		tablesAddUp(t, k.disk)
	})
}

// shows has the till show its key to the gateway that runs.
func (k *kitchen) shows() {
	k.t.Helper()
	var err error
	k.Till, err = k.g.Till(demoKey, txn.Caller{Version: "v1", SoftwareHouse: "SOFT", Installer: "INST"})
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k *kitchen) restart() {
	k.diner.restart()
	k.shows()
}

// stores stores a table of 45.50.
func (k *kitchen) stores(names ...table.TableID) {
	k.t.Helper()
	for _, name := range names {
		if _, err := k.StoreTable(k.t.Context(), gateway.NewTable{Name: name, Amount: 4550, Currency: money.GBP}); err != nil {
			k.t.Fatalf("table %q: %v", name, err)
		}
		time.Sleep(time.Second) // fake time: so that one is older
	}
}

// is compares how a table stands: its state, who holds it, amount, paid and
// gratuity.
func (k *kitchen) is(name table.TableID, want string) {
	k.t.Helper()
	synctest.Wait()
	got := ""
	switch s, err := k.Table(name); {
	case errors.Is(err, gateway.ErrNoTable):
		got = "gone"
	case err != nil:
		got = err.Error()
	default:
		got = strings.TrimSpace(fmt.Sprintf("%s %s", s.State, s.LockedBy)) + fmt.Sprintf(" %d/%d+%d", s.Paid(), s.Amount, s.Gratuity())
	}
	if got != want {
		k.t.Errorf("table %q is %q, want %q", name, got, want)
	}
}

func known(amount, paid money.Minor) table.Known { return table.Known{Amount: amount, Paid: paid} }

// wants compares an error.
func (k *kitchen) wants(what string, got, want error) {
	k.t.Helper()
	if !errors.Is(got, want) || (got == nil) != (want == nil) {
		k.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// picks has the terminal lock a table in a visit.
func (k *kitchen) picks(v table.VisitID, name table.TableID) {
	k.t.Helper()
	k.w.say(terminal.TableWanted{Visit: v, Waiter: "3", Table: name})
}

func (k *kitchen) pays(v table.VisitID, n int, minor money.Minor) {
	k.t.Helper()
	k.w.say(terminal.PaymentStarted{Visit: v, Payment: payID(n), Asked: minor}, taken(v, n, minor))
}

func taken(v table.VisitID, n int, minor money.Minor) terminal.PaymentEnded {
	return terminal.PaymentEnded{Visit: v, Payment: payID(n), Taken: true, Receipt: table.Receipt{
		Paid: minor, Gratuity: 50, Scheme: "VISA", Method: "ICC_CHIP", AuthCode: "789DE0", Time: time.Now(), PAN: "************1234",
	}}
}

// recordedTables replays all kept tables of the journal.
func recordedTables(t *testing.T, store journal.Store) []table.Kept {
	t.Helper()
	heads, err := store.List(t.Context(), journal.Query{Kind: journal.KeptStream, Limit: 1 << 20, OldestFirst: true})
	if err != nil {
		t.Fatal(err)
	}
	var out []table.Kept
	for _, h := range heads {
		records, err := store.Records(t.Context(), h.Stream)
		if err != nil {
			t.Fatal(err)
		}
		k, err := journal.ReplayKept(records)
		if err != nil {
			t.Fatal(err)
		}
		if h.Open != k.Stored() || h.State != string(k.State) {
			t.Errorf("table %s: its head says %s, open %t; its records %s", k.ID, h.State, h.Open, k.State)
		}
		out = append(out, k)
	}
	return out
}

// tablesAddUp holds the tables against the visits that are done: each payment is
// booked once, to the table that was locked for it, with its amounts, and no done
// visit holds a lock.
func tablesAddUp(t *testing.T, store journal.Store) {
	t.Helper()
	booked := map[table.PaymentID][]table.Booked{}
	at := map[table.PaymentID]table.KeptID{}
	held := map[table.VisitID]table.KeptID{}
	for _, k := range recordedTables(t, store) {
		for _, p := range k.Payments {
			booked[p.ID] = append(booked[p.ID], p)
			at[p.ID] = k.ID
		}
		if k.Visit != "" {
			held[k.Visit] = k.ID
		}
	}
	for _, v := range recordedVisits(t, store) {
		if v.Kept == "" || !v.Done() {
			continue
		}
		for _, p := range v.Payments {
			b := booked[p.ID]
			switch took := p.State == table.Taken; {
			case !took && len(b) == 0:
			case took && len(b) == 1 && at[p.ID] == v.Kept && b[0].Receipt.Paid == p.Receipt.Paid && b[0].Receipt.Gratuity == p.Receipt.Gratuity:
			default:
				t.Errorf("payment %s of visit %s, %s at table %s, is booked %d times: %+v", p.ID, v.ID, p.State, v.Kept, len(b), b)
			}
			delete(booked, p.ID)
		}
		if id, ok := held[v.ID]; ok {
			t.Errorf("visit %s is done and holds table %s", v.ID, id)
		}
	}
	for _, v := range recordedVisits(t, store) {
		for _, p := range v.Payments {
			delete(booked, p.ID) // of one that is not done
		}
	}
	for id := range booked {
		t.Errorf("payment %s is booked and of no visit", id)
	}
}

// TestKeptTables has a till and a terminal meet at tables that are kept here.
func TestKeptTables(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		name string
		play func(k *kitchen)
	}{
		{"what a terminal is shown", func(k *kitchen) {
			k.stores("12", "Bar 2", "held", "EUR?", "tab\u00a0", "done")
			k.wants("lock", k.LockTable(ctx, "held", gateway.LockWish{Known: known(4550, 0), Locked: true}), nil)
			k.wants("nothing owed", k.ChangeAmount(ctx, "done", known(4550, 0), 0), nil)
			k.wants("delete", k.DeleteTable(ctx, "EUR?", known(4550, 0)), nil)
			_, err := k.StoreTable(ctx, gateway.NewTable{Name: "EUR?", Amount: 1, Currency: money.EUR})
			k.wants("store", err, nil)
			_, err = k.StoreTable(ctx, gateway.NewTable{Name: "7", Amount: 1, Currency: money.GBP, Waiters: []table.WaiterID{"4", "5"}})
			k.wants("store", err, nil)
			for i, w := range []table.WaiterID{"", "3", "4"} {
				k.w.say(terminal.TablesWanted{Visit: table.VisitID(fmt.Sprint("v", i)), Waiter: w})
			}
			// The table whose name no machine can show is not offered.
			k.hears("v0 TableList [12 Bar 2 7]", "v0 VisitClosed 0", "v1 TableList [12 Bar 2]", "v1 VisitClosed 0", "v2 TableList [12 Bar 2 7]")
			k.stands("AVAILABLE")
			if n := len(k.heads(journal.VisitStream)); n != 0 {
				k.t.Errorf("looking wrote %d streams", n)
			}
		}},
		{"paid in two parts, with the bill made of the amounts", func(k *kitchen) {
			k.stores("12")
			k.picks("v1", "12")
			k.hears("v1 TableLock true 4550")
			k.stands("BUSY")
			k.is("12", "heldByTerminal 11111111 0/4550+0")
			k.w.say(terminal.BillWanted{Visit: "v1"})
			k.hears("v1 Bill 6")
			k.pays("v1", 1, 2000)
			k.is("12", "heldByTerminal 11111111 0/4550+0") // the table learns of it at the end of the visit
			k.pays("v1", 2, 2550)
			k.w.say(terminal.VisitLeft{Visit: "v1"})
			k.hears("v1 PaymentAllowed", "v1 PaymentKept", "v1 PaymentAllowed", "v1 PaymentKept", "v1 VisitClosed 0")
			k.is("12", "free 4550/4550+100")
			k.stands("AVAILABLE")
			got, err := k.Table("12")
			k.wants("table", err, nil)
			if p := got.Payments; len(p) != 2 || p[0].ID != payID(1) || p[0].TID != tid || p[0].Waiter != "3" || p[0].Receipt.AuthCode != "789DE0" || p[1].ID != payID(2) {
				k.t.Errorf("payments %+v", p)
			}
			k.picks("v2", "12")
			k.hears("v2 TableLock false 0 Nothing is left to pay.")
			if v := k.visitState("v1"); !v.Done() || v.Kept != got.ID {
				k.t.Errorf("the visit is %+v", v)
			}
		}},
		{"the bill that was stored is printed", func(k *kitchen) {
			bill := []receipt.Line{
				{Type: receipt.ImageLogo},
				{Type: receipt.Text, Value: "CARD 4000001234567899", Format: []receipt.Format{receipt.Bold}},
				{Type: receipt.BarcodeCode128, Value: "4000001234567899"},
			}
			_, err := k.StoreTable(ctx, gateway.NewTable{Name: "12", Amount: 4550, Currency: money.GBP, Receipt: bill})
			k.wants("store", err, nil)
			k.picks("v1", "12")
			k.w.say(terminal.BillWanted{Visit: "v1"})
			k.hears("v1 TableLock true 4550", "v1 Bill 3")
			got, _ := k.Table("12")
			want := slices.Clone(bill)
			want[1].Value = "CARD ************7899"
			if d := cmp.Diff(want, got.Receipt); d != "" {
				k.t.Errorf("(-want +got)\n%s", d)
			}
			k.restart()
			if again, _ := k.Table("12"); !cmp.Equal(again.Receipt, want) {
				k.t.Errorf("after a restart it is %+v", again.Receipt)
			}
		}},
		{"a waiter who may not", func(k *kitchen) {
			k.stores("12")
			k.wants("waiters", k.ChangeWaiters(ctx, "12", known(4550, 0), []table.WaiterID{"4"}), nil)
			k.picks("v1", "12") // keyed in, for it was not in the list
			k.hears("v1 TableLock false 0 The table is another waiter's.")
			k.wants("waiters", k.ChangeWaiters(ctx, "12", known(4550, 0), nil), nil)
			k.picks("v1", "12")
			k.hears("v1 TableLock true 4550")
		}},
		{"a table in another currency, one that the till holds, one that is not there", func(k *kitchen) {
			k.stores("held")
			_, err := k.StoreTable(ctx, gateway.NewTable{Name: "€", Amount: 1, Currency: money.EUR})
			k.wants("store", err, nil)
			k.wants("lock", k.LockTable(ctx, "held", gateway.LockWish{Known: known(4550, 0), Locked: true, Holder: "till1"}), nil)
			k.picks("v1", "€")
			k.picks("v1", "held")
			k.picks("v1", "none")
			k.hears("v1 TableLock false 0 The table is in another currency.", "v1 TableLock false 0 The table is in use at the till.", "v1 TableLock false 0 There is no such table.")
			k.stands("AVAILABLE")
			if n := len(k.heads(journal.VisitStream)); n != 0 {
				k.t.Errorf("%d visits were recorded that asked for no lock", n)
			}
		}},
		{"two terminals want one table", func(k *kitchen) {
			k.stores("12")
			other := &fakeWaiter{fake: newFake()}
			if err := k.g.Plug("demo", otherTID, other.connect); err != nil {
				k.t.Fatal(err)
			}
			k.picks("v1", "12")
			other.say(terminal.TableWanted{Visit: "v2", Waiter: "3", Table: "12"})
			k.hears("v1 TableLock true 4550")
			if got := other.answers; len(got) != 1 || got[0] != "v2 TableLock false 0 The table is being paid at another card machine." {
				k.t.Errorf("the other heard %q", got)
			}
			k.w.say(terminal.VisitLeft{Visit: "v1"})
			other.say(terminal.TableWanted{Visit: "v3", Table: "12"})
			k.is("12", "heldByTerminal 22222222 0/4550+0")
		}},
		{"what a till may not change while the table is being paid", func(k *kitchen) {
			k.stores("12")
			k.picks("v1", "12")
			now := known(4550, 0)
			for what, err := range map[string]error{
				"amount": k.ChangeAmount(ctx, "12", now, 1), "receipt": k.ChangeReceipt(ctx, "12", now, nil), "waiters": k.ChangeWaiters(ctx, "12", now, nil),
				"delete": k.DeleteTable(ctx, "12", now), "lock": k.LockTable(ctx, "12", gateway.LockWish{Known: now, Locked: true, Holder: tid}),
				"unlock": k.LockTable(ctx, "12", gateway.LockWish{Known: now}),
			} {
				k.wants(what, err, gateway.ErrTableLocked)
			}
			k.wants("stale", k.ChangeAmount(ctx, "12", known(1, 0), 1), gateway.ErrStaleAmount)
			k.wants("stale", k.LockTable(ctx, "12", gateway.LockWish{Known: known(4550, 1), Override: true}), gateway.ErrStalePaid)
			k.wants("none", k.ChangeAmount(ctx, "13", now, 1), gateway.ErrNoTable)
			_, err := k.StoreTable(ctx, gateway.NewTable{Name: "12", Amount: 1, Currency: money.GBP})
			k.wants("again", err, gateway.ErrTableExists)
			_, err = k.StoreTable(ctx, gateway.NewTable{Name: "..", Amount: 1, Currency: money.GBP})
			k.wants("a name that is none", err, gateway.ErrTableLimits)
			k.is("12", "heldByTerminal 11111111 0/4550+0")
		}},
		{"a lock that is overridden while a card pays", func(k *kitchen) {
			k.stores("12")
			k.picks("v1", "12")
			k.w.say(terminal.PaymentStarted{Visit: "v1", Payment: payID(1), Asked: 4550})
			k.wants("override", k.Tolerating([]string{"/extra"}).LockTable(ctx, "12", gateway.LockWish{Known: known(4550, 0), Locked: true, Holder: "till2", Override: true}), nil)
			k.is("12", "heldByTill till2 0/4550+0")
			k.wants("unlock", k.LockTable(ctx, "12", gateway.LockWish{Known: known(4550, 0), Holder: "till2"}), nil)
			k.wants("amount", k.ChangeAmount(ctx, "12", known(4550, 0), 5000), nil)
			k.stands("BUSY") // the visit goes on
			k.w.say(taken("v1", 1, 4550), terminal.VisitLeft{Visit: "v1"})
			k.is("12", "free 4550/5000+50")
			k.stands("AVAILABLE")
			if n := strings.Count(k.log.String(), "overrode the lock"); n != 1 || !strings.Contains(k.log.String(), `"held by"=11111111`) {
				k.t.Errorf("logged %d times:\n%s", n, k.log.String())
			}
			var over []string
			for _, r := range k.recordsOf("12") {
				if e, _ := journal.DecodeKept(r); e != nil {
					if l, ok := e.(table.TillLocked); ok {
						over = append(over, fmt.Sprintf("%s by %s, %s %v", l.Over, l.Holder, l.By, l.Deviations))
					}
				}
			}
			want := []string{`11111111 by till2, key ` + k.Key() + `, software house "SOFT", installer "INST" [/extra]`}
			if d := cmp.Diff(want, over); d != "" {
				k.t.Errorf("the record says (-want +got)\n%s", d)
			}
		}},
		{"a lock that is overridden, and taken by another terminal", func(k *kitchen) {
			k.stores("12")
			k.picks("v1", "12")
			k.w.say(terminal.PaymentStarted{Visit: "v1", Payment: payID(1), Asked: 1000})
			k.wants("override", k.LockTable(ctx, "12", gateway.LockWish{Known: known(4550, 0), Override: true}), nil)
			other := &fakeWaiter{fake: newFake()}
			if err := k.g.Plug("demo", otherTID, other.connect); err != nil {
				k.t.Fatal(err)
			}
			other.say(terminal.TableWanted{Visit: "v2", Table: "12"})
			k.is("12", "heldByTerminal 22222222 0/4550+0")
			k.w.say(taken("v1", 1, 1000), terminal.VisitLeft{Visit: "v1"})
			k.is("12", "heldByTerminal 22222222 1000/4550+50") // booked, and not unlocked
			other.say(terminal.VisitLeft{Visit: "v2"})
			k.is("12", "free 1000/4550+50")
		}},
		{"deleted and stored anew while a card pays", func(k *kitchen) {
			k.stores("12")
			first, _ := k.Table("12")
			k.picks("v1", "12")
			k.w.say(terminal.PaymentStarted{Visit: "v1", Payment: payID(1), Asked: 4550})
			k.wants("override", k.LockTable(ctx, "12", gateway.LockWish{Known: known(4550, 0), Override: true}), nil)
			k.wants("delete", k.DeleteTable(ctx, "12", known(4550, 0)), nil)
			k.is("12", "gone")
			k.stores("12")
			k.w.say(taken("v1", 1, 4550), terminal.VisitLeft{Visit: "v1"})
			k.is("12", "free 0/4550+0") // the new one inherits nothing
			var old table.Kept
			for _, s := range recordedTables(k.t, k.disk) {
				if s.ID == first.ID {
					old = s
				}
			}
			if old.State != table.Stray || old.Paid() != 4550 || !old.Payments[0].Late {
				k.t.Errorf("the first is %+v", old)
			}
			if !strings.Contains(k.log.String(), "paid after it was deleted") {
				k.t.Error("nobody was told")
			}
			k.w.say(terminal.PaymentStarted{Visit: "v1", Payment: payID(2), Asked: 1}, taken("v1", 3, 7)) // more of it, and late
			sleep(time.Second)
			k.is("12", "free 0/4550+0")
			k.picks("v2", "12") // and is not held by the old visit
			k.is("12", "heldByTerminal 11111111 0/4550+0")
		}},
		{"a table whose record is pruned when the payment is known", func(k *kitchen) {
			k.stores("12")
			k.picks("v1", "12")
			k.w.say(terminal.PaymentStarted{Visit: "v1", Payment: payID(1), Asked: 4550})
			k.wants("override", k.LockTable(ctx, "12", gateway.LockWish{Known: known(4550, 0), Override: true}), nil)
			k.wants("delete", k.DeleteTable(ctx, "12", known(4550, 0)), nil)
			if _, err := k.disk.Prune(ctx, k.heads(journal.KeptStream), "test"); err != nil {
				k.t.Fatal(err)
			}
			k.w.say(taken("v1", 1, 4550), terminal.VisitLeft{Visit: "v1"})
			k.hears("v1 TableLock true 4550", "v1 PaymentAllowed", "v1 PaymentKept", "v1 VisitClosed 0")
			sleep(time.Second)
			if h := k.heads(journal.OrphanStream); len(h) != 1 || h[0].Minor != 4600 {
				k.t.Errorf("orphans %+v", h)
			}
			v := k.visitState("v1")
			if !v.Done() {
				k.t.Errorf("the visit is %+v", v)
			}
			// It is not of a table any more, so tablesAddUp has nothing to see.
			if _, err := k.disk.Prune(ctx, k.heads(journal.VisitStream), "test"); err != nil {
				k.t.Fatal(err)
			}
		}},
		{"an operator ends a terminal's lock", func(k *kitchen) {
			k.stores("12")
			k.picks("v1", "12")
			held, err := k.g.UnlockTable(ctx, "demo", "12", "anna", "the machine burnt")
			if err != nil || held != tid {
				k.t.Errorf("%q, %v", held, err)
			}
			k.is("12", "free 0/4550+0")
			_, err = k.g.UnlockTable(ctx, "demo", "12", "anna", "again")
			k.wants("again", err, gateway.ErrNotLocked)
			_, err = k.g.UnlockTable(ctx, "demo", "13", "anna", "none")
			k.wants("another", err, gateway.ErrNoTable)
			k.pays("v1", 1, 4550)
			k.w.say(terminal.VisitLeft{Visit: "v1"})
			k.is("12", "free 4550/4550+50")
			if !strings.Contains(k.log.String(), "an operator ended the lock") {
				k.t.Error("not logged")
			}
		}},
		{"the terminal is lost, with nothing paid", func(k *kitchen) {
			k.stores("12")
			k.picks("v1", "12")
			k.w.say(terminal.WentAway{})
			sleep(119 * time.Second)
			k.is("12", "heldByTerminal 11111111 0/4550+0")
			sleep(2 * time.Second)
			k.is("12", "free 0/4550+0")
		}},
		{"the terminal is lost, with a payment open", func(k *kitchen) {
			k.stores("12")
			k.picks("v1", "12")
			k.pays("v1", 1, 1000)
			k.w.say(terminal.PaymentStarted{Visit: "v1", Payment: payID(2), Asked: 1000}, terminal.WentAway{})
			k.is("12", "heldByTerminal 11111111 1000/4550+50") // what is known is booked
			sleep(time.Hour)
			k.is("12", "heldByTerminal 11111111 1000/4550+50")
			k.picks("v2", "12") // nobody hears it: it is away
			k.w.say(terminal.CameBack{})
			k.stands("AVAILABLE")
			k.picks("v3", "12")
			k.w.mu.Lock()
			last := k.w.answers[len(k.w.answers)-1]
			k.w.mu.Unlock()
			if last != "v3 TableLock false 0 The table is not settled yet. Please try again in a moment." {
				k.t.Errorf("a second visit: %s", last)
			}
			k.w.say(taken("v1", 2, 1000))
			sleep(time.Second)
			k.is("12", "free 2000/4550+100")
		}},
		{"an operator resolves what no terminal tells", func(k *kitchen) {
			k.stores("12")
			k.picks("v1", "12")
			k.w.say(terminal.PaymentStarted{Visit: "v1", Payment: payID(1), Asked: 4550}, terminal.WentAway{})
			k.wants("resolve", k.g.Resolve(ctx, gateway.Resolution{Stream: "v1", Taken: true, Payment: payID(1), By: "anna", Reason: "slip"}), nil)
			k.is("12", "free 4550/4550+0")
			k.w.say(terminal.CameBack{}, taken("v1", 1, 4550)) // with a gratuity: a conflict for people, and no second booking
			sleep(time.Second)
			k.is("12", "free 4550/4550+0")
		}},
		{"money that comes after the end", func(k *kitchen) {
			k.stores("12")
			k.picks("v1", "12")
			k.w.say(terminal.PaymentStarted{Visit: "v1", Payment: payID(1), Asked: 4550})
			k.w.say(terminal.PaymentEnded{Visit: "v1", Payment: payID(1)}, terminal.VisitLeft{Visit: "v1"})
			k.is("12", "free 0/4550+0")
			k.w.say(taken("v1", 1, 4550))
			k.is("12", "free 4550/4550+50")
		}},
		{"the journal is full", func(k *kitchen) {
			k.stores("12", "13")
			k.picks("v1", "12")
			k.w.say(terminal.PaymentStarted{Visit: "v1", Payment: payID(1), Asked: 4550})
			k.hears("v1 TableLock true 4550", "v1 PaymentAllowed")
			k.disk.set(always(journal.ErrFull), nil)
			_, err := k.StoreTable(ctx, gateway.NewTable{Name: "14", Amount: 1, Currency: money.GBP})
			k.wants("store", err, gateway.ErrUnavailable)
			k.wants("amount", k.ChangeAmount(ctx, "13", known(4550, 0), 1), gateway.ErrUnavailable)
			k.wants("delete", k.DeleteTable(ctx, "13", known(4550, 0)), gateway.ErrUnavailable)
			k.is("13", "free 0/4550+0") // reads go on
			k.is("14", "gone")
			k.w.say(taken("v1", 1, 4550), terminal.VisitLeft{Visit: "v1"})
			sleep(time.Minute)
			k.hears() // it may not forget
			k.is("12", "heldByTerminal 11111111 0/4550+0")
			k.disk.set(nil, nil)
			k.w.payment = func() (terminal.PaymentAnswer, error) {
				return terminal.PaymentAnswer{Kind: terminal.Final, Taken: true, Receipt: taken("v1", 1, 4550).Receipt}, nil
			}
			sleep(2 * time.Minute)
			k.is("12", "free 4550/4550+50")
			k.wants("store", k.ChangeAmount(ctx, "13", known(4550, 0), 1), nil)
		}},
		{"only the table cannot be written for a while", func(k *kitchen) {
			k.stores("12")
			k.picks("v1", "12")
			k.pays("v1", 1, 4550)
			k.disk.set(func(_ int, a journal.Append) mishap {
				if a.Head.Kind == journal.KeptStream {
					return mishap{before: journal.ErrFull}
				}
				return mishap{}
			}, nil)
			k.w.say(terminal.VisitLeft{Visit: "v1"})
			sleep(time.Minute)
			k.is("12", "heldByTerminal 11111111 0/4550+0")
			k.stands("AVAILABLE")
			k.disk.set(nil, nil)
			sleep(time.Minute)
			k.is("12", "free 4550/4550+50")
		}},
		{"a lock that cannot be recorded, and one of which nobody knows", func(k *kitchen) {
			k.stores("12", "13")
			fail := func(m mishap) func(int, journal.Append) mishap {
				return func(_ int, a journal.Append) mishap {
					if a.Head.Kind == journal.KeptStream {
						return m
					}
					return mishap{}
				}
			}
			k.disk.set(fail(mishap{before: journal.ErrFull}), nil)
			k.picks("v1", "12")
			k.hears("v1 TableLock false 0 Payments cannot be stored at the moment.")
			k.stands("AVAILABLE")
			k.disk.set(fail(mishap{after: journal.ErrUncertain}), errDisk)
			k.picks("v2", "13")
			k.hears("v2 TableLock false 0 Payments cannot be stored at the moment.", "v2 VisitClosed 0")
			sleep(time.Minute)
			k.disk.set(nil, nil)
			sleep(time.Minute)
			k.is("12", "free 0/4550+0")
			k.is("13", "free 0/4550+0") // it was locked after all, and is not any more
			if v := k.visitState("v1"); v.State != table.Refused {
				k.t.Errorf("the visit is %s", v.State)
			}
		}},
		{"a change of which nobody knows whether it was kept", func(k *kitchen) {
			k.stores("12")
			for _, m := range []mishap{{before: journal.ErrUncertain}, {after: journal.ErrUncertain}} {
				k.disk.set(func(int, journal.Append) mishap { return m }, errDisk)
				k.wants("amount", k.ChangeAmount(ctx, "12", known(4550, 0), 4600), gateway.ErrUnavailable)
				k.wants("while nobody knows", k.ChangeAmount(ctx, "12", known(4550, 0), 4550), gateway.ErrUnavailable)
				k.is("12", "free 0/4550+0")
				k.disk.set(nil, nil)
				if m.before != nil {
					k.wants("it was not", k.ChangeAmount(ctx, "12", known(4550, 0), 4550), nil)
				}
			}
			// It was, the second time: what the till knows is stale.
			k.wants("amount", k.ChangeAmount(ctx, "12", known(4550, 0), 4700), gateway.ErrStaleAmount)
			k.is("12", "free 0/4600+0")
			k.wants("amount", k.ChangeAmount(ctx, "12", known(4600, 0), 4700), nil)
		}},
		{"a new table of which nobody knows whether it was kept", func(k *kitchen) {
			k.disk.set(func(int, journal.Append) mishap { return mishap{after: journal.ErrUncertain} }, errDisk)
			_, err := k.StoreTable(ctx, gateway.NewTable{Name: "12", Amount: 1, Currency: money.GBP})
			k.wants("store", err, gateway.ErrUnavailable)
			_, err = k.StoreTable(ctx, gateway.NewTable{Name: "12", Amount: 2, Currency: money.GBP})
			k.wants("while nobody knows", err, gateway.ErrUnavailable)
			k.disk.set(nil, nil)
			k.stores("12")
			_, err = k.StoreTable(ctx, gateway.NewTable{Name: "13", Amount: 1, Currency: money.GBP})
			k.wants("store", err, nil)
			k.restart()
			k.is("12", "free 0/4550+0")
			if all, err := k.Tables(gateway.TableFilter{}); err != nil || len(all) != 2 {
				k.t.Errorf("%+v, %v", all, err)
			}
		}},
		{"one that nobody asks for again", func(k *kitchen) {
			k.disk.set(func(int, journal.Append) mishap { return mishap{after: journal.ErrUncertain} }, errDisk)
			_, err := k.StoreTable(ctx, gateway.NewTable{Name: "12", Amount: 1, Currency: money.GBP})
			k.wants("store", err, gateway.ErrUnavailable)
			sleep(3 * time.Minute)
			k.disk.set(nil, nil)
			sleep(3 * time.Minute)
			if all := recordedTables(k.t, k.disk); len(all) != 1 || all[0].State != table.Deleted {
				k.t.Errorf("recorded %+v", all)
			}
		}},
		{"what changes nothing writes nothing", func(k *kitchen) {
			k.stores("12")
			lock := gateway.LockWish{Known: known(4550, 0), Locked: true, Holder: "till1"}
			k.wants("lock", k.LockTable(ctx, "12", lock), nil)
			n := k.disk.appends()
			for range 1000 {
				if _, err := k.Table("12"); err != nil {
					k.t.Fatal(err)
				}
			}
			_, err := k.Tables(gateway.TableFilter{Currency: money.GBP})
			k.wants("list", err, nil)
			_, err = k.TableReports(ctx, "")
			k.wants("reports", err, nil)
			k.wants("lock", k.LockTable(ctx, "12", lock), nil)
			lock.Override = true
			k.wants("override of one's own", k.LockTable(ctx, "12", lock), nil)
			if got := k.disk.appends(); got != n {
				k.t.Errorf("%d appends", got-n)
			}
			k.wants("unlock", k.LockTable(ctx, "12", gateway.LockWish{Known: known(4550, 0), Holder: "till1", Override: true}), nil)
			k.wants("unlock", k.LockTable(ctx, "12", gateway.LockWish{Known: known(4550, 0), Holder: "till1"}), nil)
			k.wants("the same waiters", k.ChangeWaiters(ctx, "12", known(4550, 0), []table.WaiterID{}), nil)
			k.wants("the same receipt", k.ChangeReceipt(ctx, "12", known(4550, 0), []receipt.Line{}), nil)
			k.wants("the same amount", k.ChangeAmount(ctx, "12", known(4550, 0), 4550), nil)
			if got := k.disk.appends(); got != n+1 {
				k.t.Errorf("%d appends, want that of the unlock", got-n)
			}
			if strings.Contains(k.log.String(), "overrode") {
				k.t.Error("an override of nobody was logged")
			}
		}},
		{"filters, and the order of the list", func(k *kitchen) {
			k.stores("c", "a", "b")
			_, err := k.StoreTable(ctx, gateway.NewTable{Name: "€", Amount: 1, Currency: money.EUR})
			k.wants("store", err, nil)
			k.wants("lock", k.LockTable(ctx, "a", gateway.LockWish{Known: known(4550, 0), Locked: true}), nil)
			yes, no := true, false
			for i := range 2 {
				for want, f := range map[string]gateway.TableFilter{
					"c a b €": {}, "a": {Locked: &yes}, "c b €": {Locked: &no}, "€": {Currency: money.EUR}, "c b": {Locked: &no, Currency: money.GBP},
				} {
					all, err := k.Tables(f)
					var names []string
					for _, s := range all {
						names = append(names, string(s.Name))
					}
					if got := strings.Join(names, " "); err != nil || got != want {
						k.t.Errorf("%+v: %q, %v, want %q", f, got, err, want)
					}
				}
				if i == 0 {
					k.restart()
				}
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) { inKitchen(t, c.play) })
	}
}

// recordsOf are the records of the newest table of that name.
func (k *kitchen) recordsOf(name table.TableID) (records []journal.Record) {
	k.t.Helper()
	s, err := k.Table(name)
	if err != nil {
		k.t.Fatal(err)
	}
	if records, err = k.disk.Records(k.t.Context(), journal.Stream(s.ID)); err != nil {
		k.t.Fatal(err)
	}
	return records
}

// TestWhoKeepsTheTables holds that a site is served by one of the two.
func TestWhoKeepsTheTables(t *testing.T) {
	ctx := context.Background()
	set := func(k *kitchen, pat journal.PATKeeper) {
		k.t.Helper()
		s, err := gateway.FindSite(ctx, k.store, "demo")
		if err != nil {
			k.t.Fatal(err)
		}
		s.PAT = pat
		if err := k.store.PutSite(ctx, s); err != nil {
			k.t.Fatal(err)
		}
		if err := k.g.Reload(ctx); err != nil {
			k.t.Fatal(err)
		}
	}
	refused := func(k *kitchen, names string) {
		k.t.Helper()
		_, err := k.g.Admit(gateway.Knock{Face: "pat", Query: pacQuery(demoKey, "v1")})
		var r *gateway.Refusal
		if !errors.As(err, &r) || r.Status != http.StatusForbidden || !strings.Contains(r.UserMessage, names) {
			k.t.Errorf("admitted: %v", err)
		}
		if _, err := k.g.Admit(gateway.Knock{Face: "pac", Query: pacQuery(demoKey, "v1")}); err != nil {
			k.t.Errorf("at the counter: %v", err)
		}
	}
	one := gateway.NewTable{Name: "12", Amount: 4550, Currency: money.GBP}
	for _, c := range []struct {
		name string
		play func(k *kitchen)
	}{
		{"auto: a socket first", func(k *kitchen) {
			a := k.connect("a", "v1", "pat")
			_, err := k.StoreTable(ctx, one)
			k.wants("store", err, gateway.ErrOverSocket)
			_, err = k.Table("12")
			k.wants("look", err, gateway.ErrNoTable)
			k.locks(a, "v1", 1)
			a.sess.Ended(nil)
			k.stores("12")
			k.pays("v1", 1, 4550) // of the till's own table 12
			k.w.say(terminal.VisitLeft{Visit: "v1"})
			sleep(time.Second)
			k.is("12", "free 0/4550+0")
			refused(k, `"12" is stored`)
			k.wants("delete", k.DeleteTable(ctx, "12", known(4550, 0)), nil)
			b := k.connect("b", "v1", "pat")
			k.gets(b, paid, unlocked)
		}},
		{"auto: a table first", func(k *kitchen) {
			k.stores("12", "13")
			refused(k, `"12", "13" are stored`)
			for i := range 15 {
				k.stores(table.TableID(fmt.Sprint("t", i)))
			}
			refused(k, "and 7 more are stored")
		}},
		{"auto: a socket that knocked before the table was there", func(k *kitchen) {
			ticket, err := k.g.Admit(gateway.Knock{Face: "pat", Query: pacQuery(demoKey, "v1")})
			if err != nil {
				k.t.Fatal(err)
			}
			k.stores("12")
			var r *gateway.Refusal
			if _, err := ticket.Open(&till{name: "late", face: "pat", version: "v1"}); !errors.As(err, &r) || r.Status != http.StatusForbidden {
				k.t.Errorf("opened: %v", err)
			}
			k.picks("v1", "12")
			k.hears("v1 TableLock true 4550")
		}},
		{"rest", func(k *kitchen) {
			a := k.connect("a", "v1", "pat")
			set(k, journal.PATREST)
			a.mu.Lock()
			shut := a.shut
			a.mu.Unlock()
			if !strings.HasPrefix(shut, "1008 ") {
				k.t.Errorf("the socket was closed with %q", shut)
			}
			a.sess.Ended(nil)
			refused(k, "none is stored")
			k.w.say(terminal.TablesWanted{Visit: "v1"})
			k.hears("v1 TableList []")
			k.stores("12")
			k.is("12", "free 0/4550+0")
		}},
		{"websocket", func(k *kitchen) {
			k.stores("12")
			k.picks("v1", "12")
			k.hears("v1 TableLock true 4550")
			set(k, journal.PATWebSocket)
			_, err := k.StoreTable(ctx, one)
			k.wants("store", err, gateway.ErrOverSocket)
			_, err = k.Tables(gateway.TableFilter{})
			k.wants("list", err, gateway.ErrOverSocket)
			_, err = k.Table("12")
			k.wants("look", err, gateway.ErrOverSocket)
			k.wants("amount", k.ChangeAmount(ctx, "12", known(4550, 0), 1), gateway.ErrOverSocket)
			_, err = k.TableReports(ctx, "")
			k.wants("reports", err, nil)
			a := k.connect("a", "v1", "pat")
			k.pays("v1", 1, 4550) // the visit is still of the stored table
			k.w.say(terminal.VisitLeft{Visit: "v1"})
			k.gets(a)
			k.hears("v1 PaymentAllowed", "v1 PaymentKept", "v1 VisitClosed 0")
			k.locks(a, "v2", 1)
			set(k, journal.PATAuto)
			k.is("12", "free 4550/4550+50")
		}},
		{"another site's tables", func(k *kitchen) {
			site(k.t, k.store, "bar", "bar-key")
			if err := k.g.Reload(ctx); err != nil {
				k.t.Fatal(err)
			}
			bar, err := k.g.Till("bar-key", txn.Caller{})
			k.wants("till", err, nil)
			k.stores("12")
			if _, err := bar.Table("12"); !errors.Is(err, gateway.ErrNoTable) {
				k.t.Errorf("%v", err)
			}
			k.wants("delete", bar.DeleteTable(ctx, "12", known(4550, 0)), gateway.ErrNoTable)
			_, err = bar.StoreTable(ctx, one)
			k.wants("store", err, nil)
			k.restart()
			k.is("12", "free 0/4550+0")
			if all, err := k.Tables(gateway.TableFilter{}); err != nil || len(all) != 1 {
				k.t.Errorf("%+v, %v", all, err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) { inKitchen(t, c.play) })
	}
}

// TestReportsOfTerminals: a report that a terminal started is stored, and nobody
// is owed it, where tables are kept here.
func TestReportsOfTerminals(t *testing.T) {
	ctx := context.Background()
	made := func(kind report.Type) report.Report {
		r, _ := report.New(money.GBP).Make(kind, time.Now())
		return r
	}
	inKitchen(t, func(k *kitchen) {
		ids := func(tid txn.TID) string {
			k.t.Helper()
			all, err := k.TableReports(ctx, tid)
			k.wants("reports", err, nil)
			var out []string
			for _, r := range all {
				out = append(out, string(r.ID))
			}
			return strings.Join(out, " ")
		}
		k.w.say(terminal.ReportMade{ID: "x1", Report: made(report.XBalance)}) // nobody is there: it waits
		waiting := func(want int) {
			k.t.Helper()
			synctest.Wait()
			w, err := journal.WaitingOf(ctx, k.store, "")
			if err != nil || len(w) != want {
				k.t.Errorf("%d wait, %v, want %d", len(w), err, want)
			}
		}
		waiting(1)
		k.stores("12") // from now on tills come for them
		waiting(0)
		sleep(time.Minute)
		k.w.say(terminal.ReportMade{ID: "x2", Report: made(report.EndOfDay)}, terminal.ReportMade{ID: "x2", Report: made(report.EndOfDay)})
		sleep(time.Minute)
		k.other.say(terminal.ReportMade{ID: "x3", Report: made(report.ZBalance)})
		b, err := k.Begin(ctx, gateway.Wish{TID: otherTID, Report: report.XBalance}) // a till's own is none of these
		k.wants("begin", err, nil)
		waiting(0)
		if got := ids(""); got != "x3 x2 x1" {
			k.t.Errorf("reports %q", got)
		}
		if got := ids(tid) + "," + ids(otherTID) + "," + ids("none"); got != "x2 x1,x3," {
			k.t.Errorf("of a terminal %q", got)
		}
		r, err := k.TableReport(ctx, "x2")
		if err != nil || r.Report.Type != report.EndOfDay || r.TID != tid || r.Report.Balances == nil {
			k.t.Errorf("%+v, %v", r, err)
		}
		k.picks("v1", "12")
		for _, id := range []txn.RequestID{"none", b.ID, "v1"} {
			_, err = k.TableReport(ctx, id)
			k.wants(string(id), err, gateway.ErrNoReport)
		}
		site(k.t, k.store, "bar", "bar-key")
		k.wants("reload", k.g.Reload(ctx), nil)
		bar, err := k.g.Till("bar-key", txn.Caller{})
		k.wants("till", err, nil)
		_, err = bar.TableReport(ctx, "x2")
		k.wants("another site's", err, gateway.ErrNoReport)
		k.restart()
		waiting(0)
		sleep(71*time.Hour + 59*time.Minute)
		if got := ids(""); got != "x3 x2" {
			k.t.Errorf("after three days %q", got)
		}
		sleep(2 * time.Minute)
		if got := ids(""); got != "" {
			k.t.Errorf("later %q", got)
		}
		_, err = k.TableReport(ctx, "x2")
		k.wants("too old", err, gateway.ErrNoReport)
	})
}

// TestKeptTablesAreAsTheyWere restarts the gateway in each state.
func TestKeptTablesAreAsTheyWere(t *testing.T) {
	ctx := context.Background()
	inKitchen(t, func(k *kitchen) {
		k.stores("free", "till", "terminal", "paid", "open", "deleted")
		k.wants("lock", k.LockTable(ctx, "till", gateway.LockWish{Known: known(4550, 0), Locked: true, Holder: "till1"}), nil)
		k.picks("v1", "paid")
		k.pays("v1", 1, 4550)
		k.w.say(terminal.VisitLeft{Visit: "v1"})
		k.wants("delete", k.DeleteTable(ctx, "deleted", known(4550, 0)), nil)
		k.picks("v2", "open")
		k.w.say(terminal.PaymentStarted{Visit: "v2", Payment: payID(2), Asked: 1000}, terminal.WentAway{}, terminal.CameBack{})
		k.picks("v3", "terminal")
		all := map[table.TableID]string{
			"free": "free 0/4550+0", "till": "heldByTill till1 0/4550+0", "terminal": "heldByTerminal 11111111 0/4550+0",
			"paid": "free 4550/4550+50", "open": "heldByTerminal 11111111 0/4550+0", "deleted": "gone",
		}
		for name, want := range all {
			k.is(name, want)
		}
		before, err := k.Tables(gateway.TableFilter{})
		k.wants("list", err, nil)
		n := len(k.recordsOf("free"))
		k.restart()
		after, err := k.Tables(gateway.TableFilter{})
		k.wants("list", err, nil)
		if d := cmp.Diff(before, after); d != "" {
			k.t.Errorf("(-before +after)\n%s", d)
		}
		if got := len(k.recordsOf("free")); got != n {
			k.t.Errorf("a restart wrote %d records", got-n)
		}
		// The visits go on.
		sleep(3 * time.Minute)
		k.is("open", "heldByTerminal 11111111 0/4550+0")
		k.is("terminal", "heldByTerminal 11111111 0/4550+0")
		k.w.say(terminal.VisitLeft{Visit: "v3"})
		k.is("terminal", "free 0/4550+0")
		k.w.say(taken("v2", 2, 1000))
		sleep(time.Second)
		k.is("open", "free 1000/4550+50")
	})
}

// TestChangesAndPaymentsDoNotCross has many tills and a terminal work on one
// table at once, on a disk that takes its time: each change was made with what
// was true, and no payment is lost.
func TestChangesAndPaymentsDoNotCross(t *testing.T) {
	ctx := context.Background()
	inKitchen(t, func(k *kitchen) {
		k.stores("12")
		k.disk.set(func(int, journal.Append) mishap { return mishap{wait: 10 * time.Millisecond} }, nil)
		done := make(chan int)
		for i := range 8 {
			go func() {
				changed := 0
				for range 30 {
					s, err := k.Table("12")
					if err != nil {
						k.t.Error(err)
					}
					err = k.ChangeAmount(ctx, "12", known(s.Amount, s.Paid()), s.Amount+1)
					switch {
					case err == nil:
						changed++
					case !errors.Is(err, gateway.ErrStaleAmount) && !errors.Is(err, gateway.ErrStalePaid) && !errors.Is(err, gateway.ErrTableLocked):
						k.t.Error(err)
					}
					time.Sleep(time.Duration(i+1) * time.Millisecond) // fake time
				}
				done <- changed
			}()
		}
		paid := 0
		for n := range 5 {
			id := table.VisitID(fmt.Sprint("v", n))
			k.w.say(terminal.TableWanted{Visit: id, Waiter: "3", Table: "12"})
			time.Sleep(50 * time.Millisecond) // fake time
			k.w.say(terminal.PaymentStarted{Visit: id, Payment: payID(n), Asked: 100})
			time.Sleep(50 * time.Millisecond) // fake time
			k.w.say(taken(id, n, 100), terminal.VisitLeft{Visit: id})
			time.Sleep(100 * time.Millisecond) // fake time
			if k.visitState(id).Took() {
				paid++
			}
		}
		changes := 0
		for range 8 {
			changes += <-done
		}
		if paid == 0 || changes == 0 {
			k.t.Fatalf("%d paid, %d changed", paid, changes)
		}
		sleep(time.Second)
		k.is("12", fmt.Sprintf("free %d/%d+%d", 100*paid, 4550+changes, 50*paid))
	})
}

// TestKeptTablesAtSims has simulated machines pay stored tables: parts, a
// gratuity, waiters, the stored bill.
func TestKeptTablesAtSims(t *testing.T) {
	ctx := context.Background()
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		w := newWorld(t, store, sim.Options{Seed: 3, Speed: 1})
		till, err := w.g.Till(demoKey, txn.Caller{})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []gateway.NewTable{
			{Name: "12", Amount: 4550, Currency: money.GBP, Waiters: []table.WaiterID{"3"}, Receipt: []receipt.Line{{Type: receipt.Text, Value: "2 SOUP"}}},
			{Name: "14", Amount: 999, Currency: money.GBP},
			{Name: "15", Amount: 999, Currency: money.EUR},
		} {
			if _, err := till.StoreTable(ctx, n); err != nil {
				t.Fatal(err)
			}
			sleep(time.Second)
		}
		m := w.machine("VCMDEMOSIP0")
		got, err := m.Visit(ctx, sim.Visit{Waiter: "3", Table: "12", PrintBill: true, Split: 2, Tip: sim.Tip{Percent: 10}}, nil)
		if err != nil || got.End != sim.EndPaid || got.Due != 4550 || got.Paid != 4550 || got.Gratuity != 227 || len(got.Tables) != 2 {
			t.Errorf("%+v, %v", got, err)
		}
		if len(got.Bill) != 1 || got.Bill[0].Value != "2 SOUP" || len(got.FinalReceipt) != 0 {
			t.Errorf("bill %+v, final receipt %+v", got.Bill, got.FinalReceipt)
		}
		synctest.Wait()
		s, err := till.Table("12")
		if err != nil || s.State != table.Free || s.Paid() != 4550 || s.Gratuity() != 227 || s.Outstanding() != 0 || len(s.Payments) != 2 {
			t.Errorf("%+v, %v", s, err)
		}
		for i, p := range s.Payments {
			if p.Receipt.Method != "ICC_CHIP" || p.Receipt.AuthCode == "" || p.Receipt.Scheme == "" || p.Receipt.Time.IsZero() || p.ID != got.Payments[i].ID {
				t.Errorf("payment %d is %+v", i, p)
			}
		}
		other, err := m.Visit(ctx, sim.Visit{Waiter: "4", Table: "12", ByName: true}, nil)
		if err != nil || other.End != sim.EndRefused || !cmp.Equal(other.Tables, []table.TableID{"14"}) {
			t.Errorf("another waiter: %+v, %v", other, err)
		}
		tablesAddUp(t, store)
	})
}

// TestFreeTable ends a lock where no gateway runs.
func TestFreeTable(t *testing.T) {
	ctx := context.Background()
	inKitchen(t, func(k *kitchen) {
		k.stores("12", "13")
		k.wants("lock", k.LockTable(ctx, "13", gateway.LockWish{Known: known(4550, 0), Locked: true, Holder: "till1"}), nil)
		k.g.Close()
		for _, c := range []struct {
			site txn.SiteID
			name table.TableID
			held string
			err  error
		}{
			{"demo", "13", "till1", nil},
			{"demo", "13", "", gateway.ErrNotLocked},
			{"demo", "14", "", gateway.ErrNoTable},
			{"bar", "13", "", gateway.ErrNoTable},
		} {
			held, err := gateway.FreeTable(ctx, k.store, c.site, c.name, "anna", "till1 is broken")
			k.wants(string(c.name), err, c.err)
			if held != c.held {
				k.t.Errorf("held by %q", held)
			}
		}
		k.restart()
		k.is("13", "free 0/4550+0")
	})
}
