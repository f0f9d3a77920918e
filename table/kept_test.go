package table_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tillwire/tillwire/internal/machinetest"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/table"
)

// obstacle says why an event is refused, or nothing.
func obstacle(k table.Kept, e table.KeptEvent) table.Obstacle {
	_, err := table.ApplyKept(k, e)
	var refused *table.KeptRefusal
	if errors.As(err, &refused) {
		return refused.Why
	}
	return ""
}

// TestKeptTransitions holds the table of every way of standing in a state with
// every event.
func TestKeptTransitions(t *testing.T) {
	summary, list := keptMachine().Table(t)
	machinetest.Golden(t, "../spec/states/table.json", summary, *update)
	machinetest.Golden(t, "testdata/kept_transitions.txt", list, *update)
}

func TestKeptNamesAreUnique(t *testing.T) { keptMachine().NamesAreUnique(t) }

func TestNothingKeptIsForgotten(t *testing.T) { keptMachine().NothingIsForgotten(t, ".") }

// stood is a kept table after a story.
func stood(t *testing.T, story ...table.KeptEvent) table.Kept {
	t.Helper()
	return machinetest.Stand(t, table.ReplayKept, story)
}

// TestLockTable is the contract's table of who may lock and unlock what (for
// REST, section 7.5), cell by cell.
func TestLockTable(t *testing.T) {
	free, byEPoS, byTill, byTID := stood(t, created), stood(t, created, table.TillLocked{Known: unpaid}), stood(t, created, atTill), stood(t, created, atTID)
	const no = table.LockHeld
	for _, c := range []struct {
		name         string
		k            table.Kept
		holder       string
		lock, unlock table.Obstacle
		hinders      bool // so that an override names whose lock it is
	}{
		{"held by nobody", free, "till1", "", "", false},
		{"held by nobody, no name", free, "", "", "", false},
		{"held by the same", byTill, "till1", "", "", false},
		{"held by EPoS, no name", byEPoS, "", "", "", false},
		{"held by EPoS by name", byEPoS, "EPoS", "", "", false},
		{"held by another, no name", byTill, "", no, "", true},
		{"held by another", byTill, "till2", no, no, true},
		{"held by EPoS, a name", byEPoS, "till1", no, no, true},
		{"held by a terminal", byTID, "till1", no, no, true},
		{"held by a terminal, no name", byTID, "", no, no, true},
		{"held by a terminal, in its name", byTID, tid, no, no, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := obstacle(c.k, table.TillLocked{Known: unpaid, Holder: c.holder}); got != c.lock {
				t.Errorf("locking: %q, want %q", got, c.lock)
			}
			if got := obstacle(c.k, table.TillUnlocked{Known: unpaid, Holder: c.holder}); got != c.unlock {
				t.Errorf("unlocking: %q, want %q", got, c.unlock)
			}
			if got := c.k.Hinders(c.holder, true); got != c.hinders {
				t.Errorf("hinders: %t, want %t", got, c.hinders)
			}
			if !c.hinders {
				return
			}
			k, err := table.ApplyKept(c.k, table.TillLocked{Known: unpaid, Holder: c.holder, Over: c.k.LockedBy})
			if want := c.holder; err != nil || k.State != table.HeldByTill || want != "" && k.LockedBy != want || k.Visit != "" {
				t.Errorf("overridden: %s by %q, %v", k.State, k.LockedBy, err)
			}
			if got := obstacle(c.k, table.TillLocked{Known: unpaid, Holder: c.holder, Over: "somebody"}); got != no {
				t.Errorf("overriding a lock that is another one's: %q", got)
			}
			if c.unlock == "" {
				return
			}
			if k, err := table.ApplyKept(c.k, table.TillUnlocked{Known: unpaid, Holder: c.holder, Over: c.k.LockedBy}); err != nil || k.State != table.Free || k.LockedBy != "" {
				t.Errorf("undone: %s by %q, %v", k.State, k.LockedBy, err)
			}
		})
	}
}

// TestObstacles holds why each is refused, and which of several counts.
func TestObstacles(t *testing.T) {
	free, gone := stood(t, created), stood(t, created, table.Removed{Known: unpaid})
	paid := stood(t, created, booked(first))
	long := strings.Repeat("x", table.MaxName+1)
	many := make([]table.WaiterID, table.MaxWaiters+1)
	for i := range many {
		many[i] = "w"
	}
	for _, c := range []struct {
		name string
		k    table.Kept
		e    table.KeptEvent
		want table.Obstacle
	}{
		{"changed before it was stored", table.Kept{}, table.AmountChanged{}, table.NotThere},
		{"changed after it was deleted", gone, table.ReceiptChanged{Known: unpaid}, table.NotThere},
		{"stored twice", free, created, table.There},
		{"stale by the amount", free, table.AmountChanged{Known: table.Known{Amount: 1}}, table.StaleAmount},
		{"stale by what was paid", paid, table.AmountChanged{Known: unpaid}, table.StalePaid},
		{"stale by both", paid, table.AmountChanged{}, table.StaleAmount},
		{"stale and locked", stood(t, created, atTill), table.AmountChanged{}, table.StaleAmount},
		{"overriding does not make up for what is stale", stood(t, created, atTill), table.TillLocked{Holder: "till2", Over: "till1"}, table.StaleAmount},
		{"changed under the own lock", stood(t, created, atTill), table.AmountChanged{Known: unpaid, By: "till1"}, table.LockHeld},
		{"receipt under a terminal's lock", stood(t, created, atTID), table.ReceiptChanged{Known: unpaid}, table.LockHeld},
		{"waiters under a lock", stood(t, created, atTill), table.WaitersChanged{Known: unpaid}, table.LockHeld},
		{"deleted under a terminal's lock", stood(t, created, atTID), table.Removed{Known: unpaid}, table.LockHeld},
		{"deleted under a till's lock", stood(t, created, atTill), table.Removed{Known: unpaid}, ""},
		{"less than was paid", paid, table.AmountChanged{Known: halfPaid, Amount: 100}, ""},
		{"nothing at all", free, table.AmountChanged{Known: unpaid}, ""},
		{"locked at a terminal with nothing left", stood(t, created, booked(first), booked(second)), atTID, table.NothingDue},
		{"booked again", paid, booked(first), table.SaidBefore},
		{"booked after it was deleted", gone, booked(first), ""},
		{"a name too long", table.Kept{}, table.Created{ID: "t", Name: table.TableID(long), Currency: money.GBP}, table.Unfit},
		{"a name with a control character", table.Kept{}, table.Created{ID: "t", Name: "1\n2", Currency: money.GBP}, table.Unfit},
		{"a name with slash and umlaut", table.Kept{}, table.Created{ID: "t", Name: "Küche/2", Currency: money.GBP}, ""},
		{"too many waiters", free, table.WaitersChanged{Known: unpaid, Waiters: many}, table.Unfit},
		{"as many waiters as may be", free, table.WaitersChanged{Known: unpaid, Waiters: many[1:]}, ""},
		{"too long a bill", free, table.ReceiptChanged{Known: unpaid, Receipt: lines(slices.Repeat([]string{"x"}, table.MaxReceiptLines+1)...)}, table.Unfit},
		{"as long a bill as may be", free, table.ReceiptChanged{Known: unpaid, Receipt: lines(slices.Repeat([]string{"x"}, table.MaxReceiptLines)...)}, ""},
	} {
		if got := obstacle(c.k, c.e); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestOffered holds which tables a terminal shows.
func TestOffered(t *testing.T) {
	k := stood(t, created)
	for _, c := range []struct {
		name   string
		k      table.Kept
		waiter table.WaiterID
		cur    money.Currency
		want   bool
	}{
		{"free", k, "3", money.GBP, true},
		{"to nobody in particular", k, "", money.GBP, true},
		{"another waiter's", k, "4", money.GBP, false},
		{"in another currency", k, "3", money.EUR, false},
		{"of everybody", stood(t, created, table.WaitersChanged{Known: unpaid}), "4", money.GBP, true},
		{"held by a till", stood(t, created, atTill), "3", money.GBP, false},
		{"held by a terminal", stood(t, created, atTID), "3", money.GBP, false},
		{"half paid", stood(t, created, booked(first)), "3", money.GBP, true},
		{"paid", stood(t, created, booked(first), booked(second)), "3", money.GBP, false},
		{"of less than was paid", stood(t, created, booked(first), table.AmountChanged{Known: halfPaid, Amount: 100}), "3", money.GBP, false},
		{"deleted", stood(t, created, table.Removed{Known: unpaid}), "3", money.GBP, false},
	} {
		if got := c.k.Offered(c.waiter, c.cur); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
}

// A payment is booked to its table after its lock was overridden; the visit's
// unlock ends nobody else's lock then.
func TestOverriddenVisit(t *testing.T) {
	story := []table.KeptEvent{created, atTID, table.TillLocked{Known: unpaid, Holder: "till2", Over: tid, At: at(6)}, booked(first)}
	k := stood(t, story...)
	if k.Paid() != 2275 || k.Gratuity() != 450 || k.Outstanding() != 2275 || k.State != table.HeldByTill || k.LockedBy != "till2" {
		t.Errorf("%+v", k)
	}
	if got := obstacle(k, table.TerminalUnlocked{Visit: "visit-1"}); got != table.LockNotHeld {
		t.Errorf("the visit's unlock: %q", got)
	}
	// Another visit of the same terminal took it over.
	k = stood(t, created, atTID, table.TerminalLocked{TID: tid, Visit: "visit-2"})
	if got := obstacle(k, table.TerminalUnlocked{Visit: "visit-1"}); got != table.LockNotHeld {
		t.Errorf("the earlier visit's unlock: %q", got)
	}
	if k, err := table.ApplyKept(k, table.TerminalUnlocked{Visit: "visit-2"}); err != nil || k.State != table.Free {
		t.Errorf("%s, %v", k.State, err)
	}
}

// What a till repeats changes nothing, not even since when.
func TestLockedTwice(t *testing.T) {
	k := stood(t, created, atTill)
	again := atTill
	again.At = at(99)
	next, err := table.ApplyKept(k, again)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(k, next); d != "" {
		t.Errorf("(-before +after)\n%s", d)
	}
}

// What was handed over is the table's own.
func TestKeptIsNotShared(t *testing.T) {
	e := created
	e.Receipt, e.Waiters = lines("A"), []table.WaiterID{"3"}
	k := stood(t, e)
	e.Receipt[0].Value, e.Waiters[0] = "B", "4"
	if k.Receipt[0].Value != "A" || k.Waiters[0] != "3" {
		t.Errorf("%+v", k)
	}
	one, err := table.ApplyKept(k, booked(first))
	if err != nil {
		t.Fatal(err)
	}
	two, err := table.ApplyKept(one, booked(second))
	other, err2 := table.ApplyKept(one, booked(unannounced))
	if err != nil || err2 != nil || two.Payments[1].ID != second || other.Payments[1].ID != unannounced {
		t.Errorf("%v, %v: %s and %s", err, err2, two.Payments[1].ID, other.Payments[1].ID)
	}
}

func TestKeptRefusalNamesAllFour(t *testing.T) {
	_, err := table.ApplyKept(stood(t, created), created)
	for _, word := range []string{"table.Created", "free", "table-1", string(table.There)} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not name %s", err, word)
		}
	}
	if _, err := table.ApplyKept(table.Kept{}, table.Removed{}); err == nil || !strings.Contains(err.Error(), "not stored") {
		t.Errorf("%v", err)
	}
}

func TestApplyKeptPanicsOnAForgottenEvent(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("nil is no event; want a panic")
		}
	}()
	_, _ = table.ApplyKept(table.Kept{}, nil)
}

// A keptModel is the contract's own view of a kept table, without states: what
// is in it, who holds it, what was paid.
type keptModel struct {
	there, begun bool
	amount       money.Minor
	paid         map[table.PaymentID]money.Minor
	holder       string
	terminal     bool
	visit        table.VisitID
}

func (m *keptModel) total() (sum money.Minor) {
	for _, p := range m.paid {
		sum += p
	}
	return sum
}

// step does to the model what e says, and reports whether the contract allows it.
func (m *keptModel) step(e table.KeptEvent) bool {
	fresh := func(k table.Known) bool { return m.there && k.Amount == m.amount && k.Paid == m.total() }
	switch e := e.(type) {
	case table.Created:
		if m.begun || e.ID == "" || e.Name == ".." || e.Amount > table.MaxAmount {
			return false
		}
		m.there, m.begun, m.amount, m.paid = true, true, e.Amount, map[table.PaymentID]money.Minor{}
	case table.AmountChanged:
		if !fresh(e.Known) || m.holder != "" || e.Amount < 0 {
			return false
		}
		m.amount = e.Amount
	case table.ReceiptChanged:
		return fresh(e.Known) && m.holder == "" && (len(e.Receipt) == 0 || e.Receipt[0].Type != "SONG")
	case table.WaitersChanged:
		return fresh(e.Known) && m.holder == "" && !slices.Contains(e.Waiters, "")
	case table.TillLocked:
		name := e.Holder
		if name == "" {
			name = "EPoS"
		}
		others := m.holder != "" && (m.terminal || m.holder != name)
		if !fresh(e.Known) || others != (e.Over != "") || others && e.Over != m.holder || len(name) > 64 {
			return false
		}
		m.holder, m.terminal, m.visit = name, false, ""
	case table.TillUnlocked:
		others := m.holder != "" && (m.terminal || e.Holder != "" && m.holder != e.Holder)
		if !fresh(e.Known) || others != (e.Over != "") || others && e.Over != m.holder {
			return false
		}
		m.holder, m.terminal, m.visit = "", false, ""
	case table.TerminalLocked:
		if !m.there || m.holder != "" && (!m.terminal || m.holder != e.TID) || m.amount <= m.total() || e.Visit == "" {
			return false
		}
		m.holder, m.terminal, m.visit = e.TID, true, e.Visit
	case table.TerminalUnlocked:
		if !m.there || !m.terminal || m.visit != e.Visit {
			return false
		}
		m.holder, m.terminal, m.visit = "", false, ""
	case table.UnlockedByHand:
		if !m.there || m.holder == "" {
			return false
		}
		m.holder, m.terminal, m.visit = "", false, ""
	case table.PaymentBooked:
		if _, known := m.paid[e.Payment]; !m.begun || known || e.Payment == "" || !e.Receipt.Moved() {
			return false
		}
		m.paid[e.Payment] = e.Receipt.Paid
	case table.Removed:
		if !fresh(e.Known) || m.terminal {
			return false
		}
		m.there, m.holder = false, ""
	}
	return true
}

// anyKept draws what may happen next: one of the trials, or something that fits
// what the table is now.
func anyKept(t *rapid.T, k table.Kept) table.KeptEvent {
	known := table.Known{Amount: k.Amount, Paid: k.Paid()}
	if rapid.IntRange(0, 9).Draw(t, "stale") == 0 {
		known.Paid++
	}
	holder := rapid.SampledFrom([]string{"", "EPoS", "till1", "till2", tid}).Draw(t, "holder")
	over := rapid.SampledFrom([]string{"", "", k.LockedBy, "till1", tid}).Draw(t, "over")
	visit := rapid.SampledFrom([]table.VisitID{"visit-1", "visit-2", k.Visit}).Draw(t, "visit")
	id := rapid.SampledFrom([]table.PaymentID{first, second, unannounced, "4", "5"}).Draw(t, "payment")
	amount := money.Minor(rapid.IntRange(0, 5000).Draw(t, "amount"))
	switch rapid.IntRange(0, 11).Draw(t, "kind") {
	case 0:
		return rapid.SampledFrom(keptTrials()).Draw(t, "trial").Event
	case 1:
		return table.AmountChanged{Known: known, Amount: amount, At: at(1)}
	case 2:
		return table.TillLocked{Known: known, Holder: holder, Over: over, At: at(2)}
	case 3:
		return table.TillUnlocked{Known: known, Holder: holder, Over: over, At: at(3)}
	case 4, 5:
		return table.TerminalLocked{TID: rapid.SampledFrom([]string{tid, "12345679"}).Draw(t, "tid"), Visit: visit, At: at(4)}
	case 6:
		return table.TerminalUnlocked{Visit: visit, At: at(5)}
	case 7, 8:
		return table.PaymentBooked{Payment: id, Visit: visit, TID: tid, Receipt: table.Receipt{Paid: amount, Gratuity: 1}, At: at(6)}
	case 9:
		return table.UnlockedByHand{By: "manager", Reason: "test", At: at(7)}
	case 10:
		return table.WaitersChanged{Known: known, Waiters: []table.WaiterID{"3"}, At: at(8)}
	default:
		if rapid.IntRange(0, 3).Draw(t, "delete") > 0 {
			return table.ReceiptChanged{Known: known, Receipt: lines("X"), At: at(9)}
		}
		return table.Removed{Known: known, At: at(10)}
	}
}

// TestRandomTables holds the machine against the model, however events fall.
func TestRandomTables(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var k table.Kept
		var log []table.KeptEvent
		var m keptModel
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			var e table.KeptEvent = created
			if m.begun {
				e = anyKept(t, k)
			}
			before := m
			before.paid = nil
			next, err := table.ApplyKept(k, e)
			if allowed := m.step(e); allowed != (err == nil) {
				t.Fatalf("%#v in %+v: %v; the contract allows it: %t", e, before, err, allowed)
			}
			if err != nil {
				if d := cmp.Diff(k, next); d != "" {
					t.Fatalf("refused %#v changed the table:\n%s", e, d)
				}
				continue
			}
			k, log = next, append(log, e)
			hold(t, k, &m)
		}
		again, err := table.ReplayKept(log...)
		if err != nil {
			t.Fatalf("the log of a table does not replay: %v", err)
		}
		if d := cmp.Diff(k, again); d != "" {
			t.Fatalf("replay differs from the live state:\n%s", d)
		}
	})
}

func hold(t *rapid.T, k table.Kept, m *keptModel) {
	t.Helper()
	switch {
	case k.Stored() != m.there:
		t.Fatalf("stored %t, want %t", k.Stored(), m.there)
	case k.Amount != m.amount || k.Paid() != m.total() || k.Outstanding() != m.amount-m.total():
		t.Fatalf("%d of %d paid, want %d of %d", k.Paid(), k.Amount, m.total(), m.amount)
	case k.LockedBy != m.holder || k.Visit != m.visit || (k.State == table.HeldByTerminal) != (m.there && m.terminal):
		t.Fatalf("%s by %q in %q, want %q in %q", k.State, k.LockedBy, k.Visit, m.holder, m.visit)
	case (k.LockedBy == "") != k.LockedAt.IsZero():
		t.Fatalf("held by %q since %v", k.LockedBy, k.LockedAt)
	case k.Offered("3", money.GBP) && (m.holder != "" || m.amount <= m.total() || !m.there):
		t.Fatalf("%s is offered", k.State)
	}
	late := false
	for _, p := range k.Payments {
		late = late || p.Late
	}
	if late != (k.State == table.Stray) {
		t.Fatalf("in %s, paid after the end: %t", k.State, late)
	}
}
