package table_test

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/table"
)

// TestMain gives the random lives one seed, so that a run can be repeated;
// -rapid.seed on the command line still wins.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"rapid.seed": "1", "rapid.checks": "300"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	flag.Parse()
	os.Exit(m.Run())
}

// performed is the event by which the gateway performs what is due first, nil
// when the effect is none that is recorded or nothing is due.
func performed(v table.Visit) table.Event {
	for _, d := range table.Due(v) {
		switch d.(type) {
		case table.QueuePayments:
			return table.Queued{Notice: table.TransactionResponse, Payments: v.Unreported(), At: at(500)}
		case table.QueueUnlock:
			return table.Queued{Notice: table.TableUnlock, At: at(500)}
		case table.Deliver:
			n := slices.IndexFunc(v.Outbox, func(e table.Entry) bool { return !e.Delivered })
			return table.Delivered{N: n + 1, At: at(501)}
		case table.AskFinalReceipt, table.AskTerminal:
		}
	}
	return nil
}

// anyEvent draws what may happen to v next: one of the trials, a payment with
// other amounts, or what the gateway does.
func anyEvent(t *rapid.T, v table.Visit) table.Event {
	id := rapid.SampledFrom([]table.PaymentID{first, second, unannounced, "4", "5"})
	amount := rapid.Custom(func(t *rapid.T) money.Minor {
		return money.Minor(rapid.IntRange(0, int(v.Balance())).Draw(t, "amount"))
	})
	receipt := rapid.Custom(func(t *rapid.T) table.Receipt {
		return table.Receipt{Paid: amount.Draw(t, "paid"), Gratuity: money.Minor(rapid.IntRange(0, 500).Draw(t, "gratuity"))}
	})
	honest := rapid.Custom(func(t *rapid.T) table.Receipt {
		r := receipt.Draw(t, "receipt")
		if p, open := v.OpenPayment(); open {
			r.Paid = min(max(r.Paid, 1), p.Asked)
		}
		return r
	})
	open := func() table.PaymentID {
		if p, ok := v.OpenPayment(); ok {
			return p.ID
		}
		return id.Draw(t, "payment")
	}
	switch rapid.IntRange(0, 11).Draw(t, "kind") {
	case 0:
		return rapid.SampledFrom(trials()).Draw(t, "trial").Event
	case 1:
		return table.PaymentTaken{Payment: id.Draw(t, "payment"), Receipt: receipt.Draw(t, "receipt"), At: at(40)}
	case 2, 3:
		return table.PaymentStarted{Payment: id.Draw(t, "payment"), Asked: amount.Draw(t, "asked"), At: at(10)}
	case 4, 5:
		return table.PaymentTaken{Payment: open(), Receipt: honest.Draw(t, "receipt"), At: at(40)}
	case 6:
		return table.PaymentNotTaken{Payment: open(), At: at(40)}
	case 7:
		return table.PaymentResolved{Payment: open(), Taken: rapid.Bool().Draw(t, "taken"), Receipt: honest.Draw(t, "receipt"), By: "manager", At: at(300)}
	case 8:
		return table.TerminalLost{At: at(rapid.IntRange(20, 99).Draw(t, "at"))}
	case 9:
		return table.TerminalBack{At: at(100)}
	default:
		if e := performed(v); e != nil {
			return e
		}
		return table.Left{Why: "left", At: at(400)}
	}
}

// A life is a visit under random events, with what must be remembered to judge
// it.
type life struct {
	visit  table.Visit
	log    []table.Event
	booked map[table.PaymentID]money.Minor // taken, by the events that were allowed
	lied   bool                            // a terminal took what it had not announced, or said two things
	ended  table.State
}

// apply applies e and holds what must be true of every step. It reports whether
// e was allowed.
func (l *life) apply(t *rapid.T, e table.Event) bool {
	t.Helper()
	copied, err := table.Replay(l.log...)
	if err != nil {
		t.Fatalf("the log of a life does not replay: %v", err)
	}
	was := l.visit
	next, err := table.Apply(was, e)
	if d := cmp.Diff(copied, was); d != "" {
		t.Fatalf("%#v changed what it was applied to:\n%s", e, d)
	}
	if err != nil {
		if d := cmp.Diff(was, next); d != "" {
			t.Fatalf("refused %#v changed the visit:\n%s", e, d)
		}
		return false
	}
	l.visit, l.log = next, append(l.log, e)

	switch e := e.(type) {
	case table.PaymentTaken:
		asked := slices.IndexFunc(was.Payments, func(p table.Payment) bool {
			return p.ID == e.Payment && p.State == table.Open && e.Receipt.Paid <= p.Asked
		})
		l.lied = l.lied || asked < 0
		if _, known := l.booked[e.Payment]; !known {
			l.booked[e.Payment] = e.Receipt.Paid
		}
	case table.PaymentResolved:
		if e.Taken {
			l.booked[e.Payment] = e.Receipt.Paid
		}
	case table.Queued:
		if e.Notice == table.TableUnlock && (len(was.Unreported()) > 0 || was.State != table.Settled) {
			t.Fatalf("unlocked in %s with %v unreported", was.State, was.Unreported())
		}
	}
	if l.ended != "" && next.State != l.ended {
		t.Fatalf("%#v left %s for %s", e, l.ended, next.State)
	}
	if next.State.Ended() {
		l.ended = next.State
	}
	l.hold(t)
	return true
}

// hold checks what must be true of a visit at every moment.
func (l *life) hold(t *rapid.T) {
	t.Helper()
	v := l.visit
	if !slices.Contains(table.States(), v.State) {
		t.Fatalf("state %q is not listed", v.State)
	}
	p, open := v.OpenPayment()
	if open && v.State != table.Paying && v.State != table.Unresolved {
		t.Fatalf("%s with payment %s open", v.State, p.ID)
	}
	if v.State == table.Unresolved && (!open || !v.Lost) {
		t.Fatalf("unresolved; payment open: %t, terminal lost: %t", open, v.Lost)
	}
	if v.Lost != !v.LostAt.IsZero() {
		t.Fatalf("lost: %t since %v", v.Lost, v.LostAt)
	}

	// Money: what was said to be taken is there, and adds up.
	var took money.Minor
	for _, p := range v.Payments {
		paid, booked := l.booked[p.ID]
		if taken := p.State == table.Taken; taken != booked || taken && p.Receipt.Paid != paid {
			t.Fatalf("payment %s is %s of %d; booked: %t, %d", p.ID, p.State, p.Receipt.Paid, booked, paid)
		}
		took += paid
	}
	switch left := v.Balance(); {
	case left < 0:
		t.Fatalf("%d left", left)
	case took <= v.Due && took+left != v.Due:
		t.Fatalf("%d taken and %d left of %d", took, left, v.Due)
	case took > v.Due && left != 0:
		t.Fatalf("%d left although %d of %d were taken", left, took, v.Due)
	case took > v.Due && !l.lied:
		t.Fatalf("%d of %d were taken by honest terminals", took, v.Due)
	}

	// The outbox: each payment once, the unlock once.
	reported, unlocks := map[table.PaymentID]int{}, 0
	for i, e := range v.Outbox {
		if e.N != i+1 {
			t.Fatalf("entry %d has the number %d", i+1, e.N)
		}
		if e.Notice == table.TableUnlock {
			unlocks++
		}
		for _, id := range e.Payments {
			reported[id]++
		}
	}
	for _, p := range v.Payments {
		if n := reported[p.ID]; n > 1 || p.Queued != (n == 1) || n == 1 && p.State != table.Taken {
			t.Fatalf("payment %s is %s, queued %t, and %d times in the outbox", p.ID, p.State, p.Queued, n)
		}
	}
	owed := 0
	if v.State == table.Unlocked {
		owed = 1
	}
	if unlocks != owed || v.State == table.Unlocked && !v.Asked || v.State == table.Refused && (v.Asked || len(v.Payments) > 0) {
		t.Fatalf("%s, asked %t, with %d unlocks and %d payments", v.State, v.Asked, unlocks, len(v.Payments))
	}
	if v.State == table.Settled && !v.Asked {
		t.Fatal("settled without a lock to end")
	}

	// What is due can be done, and nothing that must be done is not due.
	due := table.Due(v)
	for i, d := range due {
		if slices.Contains(due[:i], d) {
			t.Fatalf("%#v is due twice", d)
		}
	}
	if e := performed(v); e != nil {
		if _, err := table.Apply(v, e); err != nil {
			t.Fatalf("what is due cannot be done: %v", err)
		}
	}
	if (v.State == table.Settled || v.State == table.Unresolved || v.Owes()) && len(due) == 0 {
		t.Fatalf("nothing is due in %s", v.State)
	}
	if v.State.Ended() && v.Done() != (len(due) == 0) {
		t.Fatalf("done: %t, due: %v", v.Done(), due)
	}
	if slices.Contains(due, table.Effect(table.QueueUnlock{})) && len(v.Unreported()) > 0 {
		t.Fatal("an unlock is due before what was paid")
	}
}

// finish leads a life to its end as the gateway and an operator can: whatever
// happened, there is a way.
func (l *life) finish(t *rapid.T) {
	t.Helper()
	must := func(e table.Event) {
		if !l.apply(t, e) {
			t.Fatalf("no way out of %s by %#v", l.visit.State, e)
		}
	}
	if l.visit.State == "" {
		return
	}
	if _, open := l.visit.OpenPayment(); open && l.visit.State == table.Paying {
		must(table.TerminalLost{At: at(600)})
	}
	switch l.visit.State {
	case table.Locking:
		must(table.LockUnanswered{Why: "no answer", At: at(601)})
	case table.Listing, table.Locked, table.Printing, table.Paying:
		must(table.Left{Why: "terminal lost", At: at(601)})
	case table.Unresolved:
		p, _ := l.visit.OpenPayment()
		must(table.PaymentResolved{Payment: p.ID, By: "manager", At: at(601)})
	case table.Settled, table.Unlocked, table.Refused:
	}
	for steps := 0; len(table.Due(l.visit)) > 0; steps++ {
		if steps > 50 {
			t.Fatalf("%v is due for ever", table.Due(l.visit))
		}
		must(performed(l.visit))
	}
	if !l.visit.Done() {
		t.Fatalf("nothing is due, but it is not done: %+v", l.visit)
	}
	for _, p := range l.visit.Payments {
		if p.State == table.Taken && !p.Queued {
			t.Fatalf("payment %s never came to the till", p.ID)
		}
	}
}

// TestRandomLives holds what must be true of every life, however the events
// fall. Half-way and at the end each is led to its end; money that a terminal
// tells of in between, after the first end, is told as well.
func TestRandomLives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := life{booked: map[table.PaymentID]money.Minor{}}
		for _, e := range rapid.SampledFrom(variants()).Draw(t, "begin").Story {
			if !l.apply(t, e) {
				t.Fatalf("%#v was refused", e)
			}
		}
		for range 2 {
			for range rapid.IntRange(0, 40).Draw(t, "steps") {
				l.apply(t, anyEvent(t, l.visit))
			}
			l.finish(t)
		}
		again, err := table.Replay(l.log...)
		if err != nil {
			t.Fatalf("the log of a life does not replay: %v", err)
		}
		if d := cmp.Diff(l.visit, again); d != "" {
			t.Fatalf("replay differs from the live state:\n%s", d)
		}
	})
}

// Behind the unlock stand only payments that were learned of after it.
func TestTheUnlockIsLastButForLateMoney(t *testing.T) {
	story := []table.Event{opened, intended, confirmed, started(first), table.TerminalLost{At: at(20)}}
	operator := table.PaymentResolved{Payment: first, By: "manager", At: at(300)}
	for _, c := range []struct {
		name string
		then []table.Event
		want []table.Notice
	}{
		{"the terminal tells in time", []table.Event{taken(first), queued(first), unlocked}, []table.Notice{table.TransactionResponse, table.TableUnlock}},
		{"the terminal tells before the unlock", []table.Event{operator, taken(first), queued(first), unlocked}, []table.Notice{table.TransactionResponse, table.TableUnlock}},
		{"the terminal tells after the unlock", []table.Event{operator, unlocked, taken(first), queued(first)}, []table.Notice{table.TableUnlock, table.TransactionResponse}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := replay(t, slices.Concat(story, c.then))
			var got []table.Notice
			for _, e := range v.Outbox {
				got = append(got, e.Notice)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("outbox (-want +got):\n%s", d)
			}
			if v.State != table.Unlocked || v.Balance() != 2275 {
				t.Errorf("got %s with %d left", v.State, v.Balance())
			}
		})
	}
}

// Of words that differ, money counts, and else the first.
func TestConflicts(t *testing.T) {
	var (
		lost  = []table.Event{opened, intended, confirmed, started(first), table.TerminalLost{At: at(20)}}
		other = receiptOf(2000)
		full  = half
		bare  = table.Receipt{Paid: half.Paid, Gratuity: half.Gratuity}
		no    = table.PaymentNotTaken{Payment: first, At: at(400)}
		byNo  = table.PaymentResolved{Payment: first, By: "manager", At: at(300)}
		byYes = table.PaymentResolved{Payment: first, Taken: true, Receipt: bare, By: "manager", At: at(300)}
		told  = func(r table.Receipt) table.PaymentTaken {
			return table.PaymentTaken{Payment: first, Receipt: r, At: at(400)}
		}
	)
	for _, c := range []struct {
		name string
		then []table.Event
		want table.Payment
	}{
		{"an operator alone", []table.Event{byNo}, table.Payment{State: table.NotTaken, By: "manager"}},
		{"the operator saw no money, the terminal did", []table.Event{byNo, told(full)}, table.Payment{State: table.Taken, Receipt: full, Conflict: &table.Word{By: "manager"}}},
		{"the terminal saw no money, then some", []table.Event{no, told(full)}, table.Payment{State: table.Taken, Receipt: full, Conflict: &table.Word{}}},
		{"the operator was right", []table.Event{byYes, told(full)}, table.Payment{State: table.Taken, Receipt: full}},
		{"the operator was wrong by some", []table.Event{byYes, told(other)}, table.Payment{State: table.Taken, Receipt: bare, By: "manager", Conflict: &table.Word{Taken: true, Receipt: other}}},
		{"the operator saw money, the terminal did not", []table.Event{byYes, no}, table.Payment{State: table.Taken, Receipt: bare, By: "manager", Conflict: &table.Word{}}},
		{"the terminal says two things", []table.Event{told(full), told(other)}, table.Payment{State: table.Taken, Receipt: full, Conflict: &table.Word{Taken: true, Receipt: other}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := replay(t, slices.Concat(lost, c.then))
			c.want.ID, c.want.Asked = first, 2275
			if d := cmp.Diff([]table.Payment{c.want}, v.Payments); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if _, err := table.Apply(v, c.then[len(c.then)-1]); err == nil {
				t.Error("what says nothing new was recorded again")
			}
		})
	}
}

// A terminal that took more than is left is believed, and nothing is left.
func TestTakenMoreThanWasOwed(t *testing.T) {
	v := replay(t, []table.Event{
		opened, intended, confirmed, started(first),
		table.PaymentTaken{Payment: first, Receipt: receiptOf(5000), At: at(40)},
	})
	if v.Balance() != 0 || v.Payments[0].Receipt.Paid != 5000 {
		t.Errorf("%d left of %d, %+v", v.Balance(), v.Due, v.Payments)
	}
	if _, err := table.Apply(v, table.PaymentStarted{Payment: second, Asked: 1}); err == nil {
		t.Error("a further payment was begun")
	}
}

// A terminal that stays away is away since it was lost first.
func TestLostSince(t *testing.T) {
	lost := []table.Event{opened, intended, confirmed, table.TerminalLost{At: at(20)}, table.TerminalLost{At: at(90)}}
	if v := replay(t, lost); v.LostAt != at(20) {
		t.Errorf("lost since %v, want %v", v.LostAt, at(20))
	}
	if v := replay(t, append(lost, table.TerminalBack{At: at(95)})); v.Lost || !v.LostAt.IsZero() {
		t.Errorf("back, but lost since %v", v.LostAt)
	}
}

// The outbox is the visit's own, whatever becomes of the event.
func TestTheOutboxIsNotShared(t *testing.T) {
	ids := []table.PaymentID{first}
	v := replay(t, []table.Event{opened, intended, confirmed, started(first), taken(first), table.Left{}, queued(ids...)})
	ids[0] = "another"
	if got := v.Outbox[0].Payments[0]; got != first {
		t.Errorf("the entry now names %s", got)
	}
}

// TestWhatIsKept reads one whole life back.
func TestWhatIsKept(t *testing.T) {
	got := replay(t, []table.Event{
		opened, intended, confirmed,
		table.BillWanted{At: at(5)},
		table.BillAnswered{At: at(6)},
		started(first),
		table.PaymentNotTaken{Payment: first, At: at(20)},
		started(second),
		table.TerminalLost{At: at(21)},
		table.TerminalBack{At: at(22)},
		taken(second),
		table.Left{Why: "left with a balance", At: at(45)},
		queued(second),
		unlocked,
		table.Delivered{N: 1, At: at(60)},
		table.Delivered{N: 2, At: at(61)},
		table.Requeued{N: 1, By: "manager", At: at(900)},
	})
	want := table.Visit{
		ID: "visit-1", Site: "demo", TID: "12345678", Waiter: "3",
		State: table.Unlocked, Table: "12", Asked: true, LockedAt: at(1), Currency: money.GBP, Due: 4550, Why: "left with a balance",
		Payments: []table.Payment{
			{ID: first, State: table.NotTaken, Asked: 2275},
			{ID: second, State: table.Taken, Asked: 2275, Receipt: half, Queued: true},
		},
		Outbox: []table.Entry{
			{N: 1, Notice: table.TransactionResponse, Payments: []table.PaymentID{second}, At: at(50), Resent: 1},
			{N: 2, Notice: table.TableUnlock, At: at(51), Delivered: true},
		},
		At: at(0),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got.Balance() != 2275 || !got.Took() || !got.Owes() || got.Done() {
		t.Errorf("balance %d, took %t, owes %t, done %t", got.Balance(), got.Took(), got.Owes(), got.Done())
	}
}

func TestIllegalMoveNamesAllThree(t *testing.T) {
	for _, c := range []struct {
		visit table.Visit
		want  []string
	}{
		{table.Visit{}, []string{"table.BillWanted", "not begun"}},
		{replay(t, []table.Event{opened}), []string{"table.BillWanted", "listing", "visit-1"}},
	} {
		_, err := table.Apply(c.visit, table.BillWanted{})
		if err == nil {
			t.Fatalf("BillWanted was allowed in %q", c.visit.State)
		}
		for _, word := range c.want {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q does not name %s", err, word)
			}
		}
	}
}

func TestReplayStopsAtTheFirstFault(t *testing.T) {
	v, err := table.Replay(opened, confirmed, intended)
	if err == nil || v.State != table.Listing {
		t.Errorf("got state %s and error %v, want %s and an error", v.State, err, table.Listing)
	}
}

func TestApplyPanicsOnAForgottenEvent(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("nil is no event; want a panic")
		}
	}()
	_, _ = table.Apply(table.Visit{}, nil)
}
