package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
)

// A keptFlow is a till and a waiter at stored tables. The till does its part
// whatever it is answered, as one that writes down what it knows.
type keptFlow struct {
	name  string
	play  func(c *canteen)
	stray bool // it is paid after it was deleted, if nothing goes wrong
}

// A canteen is a gateway that keeps tables, simulated machines, and a till that
// remembers what it was promised.
type canteen struct {
	*world
	disk   *faulty
	stored map[table.TableID]bool // by a call that returned no error, and not deleted since
	gone   map[table.TableID]bool // deleted by one
}

func newCanteen(t *testing.T, seed uint64) *canteen {
	t.Helper()
	c := &canteen{disk: newFaulty(), stored: map[table.TableID]bool{}, gone: map[table.TableID]bool{}}
	c.world = newWorld(t, c.disk, sim.Options{Seed: seed, Speed: 1})
	return c
}

// till is the till, for one call. It gives up soon: a process that crashed answers
// nobody.
func (c *canteen) till() (*gateway.Till, context.Context, context.CancelFunc) {
	c.t.Helper()
	till, err := c.g.Till(demoKey, txn.Caller{Version: "v1"})
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	return till, ctx, cancel
}

func (c *canteen) stores(name table.TableID, amount money.Minor) {
	till, ctx, cancel := c.till()
	defer cancel()
	lines := []receipt.Line{{Type: receipt.Text, Value: "SOUP"}}
	switch _, err := till.StoreTable(ctx, gateway.NewTable{Name: name, Amount: amount, Currency: money.GBP, Receipt: lines}); {
	case err == nil:
		if c.stored[name] {
			c.t.Errorf("table %q was stored twice", name)
		}
		c.stored[name] = true
		delete(c.gone, name)
	case errors.Is(err, gateway.ErrTableExists) && c.gone[name]:
		c.t.Errorf("table %q was deleted and exists", name)
	default:
		delete(c.gone, name) // it may be stored anew
	}
}

// changes has the till do something with a table as it sees it.
func (c *canteen) changes(name table.TableID, f func(ctx context.Context, t *gateway.Till, known table.Known) error) {
	till, ctx, cancel := c.till()
	defer cancel()
	for range 2 { // an earlier change that was uncertain may come to light
		s, err := till.Table(name)
		if err != nil {
			return
		}
		err = f(ctx, till, known(s.Amount, s.Paid()))
		if !errors.Is(err, gateway.ErrStaleAmount) && !errors.Is(err, gateway.ErrStalePaid) {
			return
		}
	}
	c.t.Errorf("table %q: what was read a moment ago is stale, time after time", name)
}

func (c *canteen) deletes(name table.TableID) {
	c.changes(name, func(ctx context.Context, t *gateway.Till, known table.Known) error {
		err := t.DeleteTable(ctx, name, known)
		if err == nil {
			delete(c.stored, name)
			c.gone[name] = true
		} else if !errors.Is(err, gateway.ErrTableLocked) {
			delete(c.stored, name) // it may be gone
		}
		return err
	})
}

func (c *canteen) overrides(name table.TableID) {
	c.changes(name, func(ctx context.Context, t *gateway.Till, known table.Known) error {
		return t.LockTable(ctx, name, gateway.LockWish{Known: known, Override: true})
	})
}

// visits has a waiter do v, and lets time pass until it is done or two minutes
// have.
func (c *canteen) visits(tid string, v sim.Visit) (walk context.CancelFunc) {
	m := c.machine(tid)
	ctx, cancel := context.WithCancel(c.ctx)
	c.wg.Go(func() { _, _ = m.Visit(ctx, v, nil) })
	return cancel
}

func keptFlows() []keptFlow {
	atCard := func(c *canteen, v sim.Visit, then func()) {
		hold := make(chan struct{})
		v.HoldAt, v.Until = sim.StepReceipt, hold // the card has paid, and the machine is about to print
		walk := c.visits("VCMDEMOSIP0", v)
		defer walk()
		sleep(25 * time.Second)
		then()
		close(hold)
		sleep(time.Minute)
	}
	return []keptFlow{
		{name: "paid in two parts, then deleted", play: func(c *canteen) {
			c.stores("12", 4550)
			c.changes("12", func(ctx context.Context, t *gateway.Till, k table.Known) error {
				return t.ChangeAmount(ctx, "12", k, 5000)
			})
			walk := c.visits("VCMDEMOSIP0", sim.Visit{Waiter: "3", Table: "12", PrintBill: true, Split: 2, Tip: sim.Tip{Amount: 50, Each: true}})
			defer walk()
			sleep(70 * time.Second)
			c.deletes("12")
		}},
		{name: "a part paid, locked by the till, paid by another machine", play: func(c *canteen) {
			c.stores("12", 4550)
			walk := c.visits("VCMDEMOSCD0", sim.Visit{Table: "12", Amount: 1000})
			defer walk()
			sleep(40 * time.Second)
			c.changes("12", func(ctx context.Context, t *gateway.Till, k table.Known) error {
				return t.LockTable(ctx, "12", gateway.LockWish{Known: k, Locked: true, Holder: "till1"})
			})
			c.changes("12", func(ctx context.Context, t *gateway.Till, k table.Known) error {
				return t.LockTable(ctx, "12", gateway.LockWish{Known: k, Holder: "till1"})
			})
			walk2 := c.visits("VCMDEMOSIP0", sim.Visit{Table: "12"})
			defer walk2()
			sleep(70 * time.Second)
		}},
		{name: "overridden while it is paid", play: func(c *canteen) {
			c.stores("12", 4550)
			atCard(c, sim.Visit{Table: "12"}, func() { c.overrides("12") })
		}},
		{name: "deleted and stored anew while it is paid", stray: true, play: func(c *canteen) {
			c.stores("12", 4550)
			atCard(c, sim.Visit{Table: "12"}, func() {
				c.overrides("12")
				c.deletes("12")
				c.stores("12", 100)
			})
		}},
		{name: "left without paying", play: func(c *canteen) {
			c.stores("12", 4550)
			walk := c.visits("VCMDEMOSIP0", sim.Visit{Table: "12", CancelAt: sim.StepGratuity})
			defer walk()
			sleep(30 * time.Second)
		}},
		{name: "falls mute", play: func(c *canteen) {
			c.stores("12", 4550)
			walk := c.visits("VCMDEMOTIP0", sim.Visit{Table: "12"})
			defer walk()
			sleep(70 * time.Second)
		}},
	}
}

// TestKeptTableCrashes kills the gateway before and after each append of each
// flow, with and without the machines losing power meanwhile, and starts another
// one on what is on disk.
func TestKeptTableCrashes(t *testing.T) {
	for _, fl := range keptFlows() {
		t.Run(fl.name, func(t *testing.T) {
			appends := 0
			synctest.Test(t, func(t *testing.T) { appends = crashKept(t, fl, 0, mishap{}, false) })
			if appends < 5 {
				t.Fatalf("only %d appends", appends)
			}
			for n := 1; n <= appends; n++ {
				for _, kept := range []bool{false, true} {
					for _, power := range []bool{false, true} {
						m := mishap{crash: true}
						if kept {
							m.after = journal.ErrUncertain
						}
						t.Run(fmt.Sprintf("append %d kept=%t power=%t", n, kept, power), func(t *testing.T) {
							synctest.Test(t, func(t *testing.T) { crashKept(t, fl, n, m, power) })
						})
					}
				}
			}
		})
	}
}

// TestDoubtfulKeptTables has each append from the n-th on be uncertain for a while
// in which nobody can say whether it was kept.
func TestDoubtfulKeptTables(t *testing.T) {
	for _, fl := range keptFlows() {
		appends := 0
		synctest.Test(t, func(t *testing.T) { appends = crashKept(t, fl, 0, mishap{}, false) })
		for n := 1; n <= appends; n++ {
			for _, m := range []mishap{{before: journal.ErrUncertain}, {after: journal.ErrUncertain}} {
				t.Run(fmt.Sprintf("%s append %d kept=%t", fl.name, n, m.after != nil), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { crashKept(t, fl, n, m, false) })
				})
			}
		}
	}
}

// crashKept plays the flow with a mishap at its n-th append, restarts if it was a
// crash, and looks at what became of it. It returns how many appends it took.
func crashKept(t *testing.T, fl keptFlow, n int, m mishap, power bool) int {
	c := newCanteen(t, 7)
	c.disk.set(func(i int, _ journal.Append) mishap {
		switch {
		case i == n && m.crash:
			return m
		case n > 0 && i >= n && i < n+3 && !m.crash:
			c.disk.headErr = errDisk // until set is called; it holds the lock
			return m
		}
		return mishap{}
	}, nil)
	fl.play(c)
	appends := c.disk.appends()
	c.disk.set(nil, nil)
	if m.crash {
		c.g.Close()
		c.disk.revive()
		if power {
			for _, tid := range []string{"VCMDEMOSIP0", "VCMDEMOSCD0"} {
				if err := c.machine(tid).PowerCycle(); err != nil {
					t.Fatal(err)
				}
			}
		}
		c.start(gateway.Limits{})
	}
	sleep(10 * time.Minute)
	strays := c.addsUp()
	if n == 0 && (strays > 0) != fl.stray {
		t.Errorf("%d tables were paid after they were deleted", strays)
	}
	return appends
}

// addsUp holds the tables against the visits, the acquirer's charges and what the
// till was promised. It returns how many were paid after they were deleted.
func (c *canteen) addsUp() (strays int) {
	t := c.t
	tablesAddUp(t, c.disk)
	charged := map[table.PaymentID]money.Minor{}
	for _, ch := range c.park.Charges() {
		if !ch.Reversed && ch.Payment != "" {
			charged[ch.Payment] += ch.Amount
		}
	}
	names := map[table.TableID]bool{}
	for _, k := range recordedTables(t, c.disk) {
		for _, p := range k.Payments {
			if got := p.Receipt.Paid + p.Receipt.Gratuity; charged[p.ID] != got {
				t.Errorf("payment %s is booked with %d, and the card paid %d", p.ID, got, charged[p.ID])
			}
			delete(charged, p.ID)
		}
		if k.State == table.Stray {
			strays++
		}
		if !k.Stored() {
			continue
		}
		if names[k.Name] {
			t.Errorf("two tables %q are stored", k.Name)
		}
		names[k.Name] = true
		if c.gone[k.Name] {
			t.Errorf("table %q was deleted and is stored", k.Name)
		}
		if k.State == table.HeldByTerminal && k.LockedBy != "VCMDEMOTIP0" {
			t.Errorf("table %q is still held by %s", k.Name, k.LockedBy)
		}
	}
	for id, amount := range charged {
		t.Errorf("the card paid %d with payment %s, which no table has", amount, id)
	}
	for name := range c.stored {
		if !names[name] {
			t.Errorf("table %q was stored and is not there", name)
		}
	}
	for _, v := range recordedVisits(t, c.disk) {
		if !v.Done() && v.TID != "VCMDEMOTIP0" {
			t.Errorf("visit %s at %s stands as %s, outbox %+v", v.ID, v.TID, v.State, v.Outbox)
		}
	}
	for _, v := range c.g.Terminals("demo") {
		if v.Busy || !v.Connected {
			t.Errorf("%s: connected %t, busy %t", v.TID, v.Connected, v.Busy)
		}
	}
	if heads, err := c.disk.List(t.Context(), journal.Query{Kind: journal.OrphanStream}); err != nil || len(heads) > 0 {
		t.Errorf("orphans: %+v, %v", heads, err)
	}
	verify(t, c.disk)
	if err := c.g.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	return strays
}
