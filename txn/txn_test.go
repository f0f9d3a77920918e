package txn_test

import (
	"flag"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/txn"
)

// TestMain gives the random sequences one seed, so that a run can be repeated;
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

// anyEvent draws one of the trials, or one with another outcome, told or reason.
func anyEvent() *rapid.Generator[txn.Event] {
	base := make([]txn.Event, 0, len(trials()))
	for _, try := range trials() {
		base = append(base, try.Event)
	}
	return rapid.Custom(func(t *rapid.T) txn.Event {
		when := at(rapid.IntRange(0, 400).Draw(t, "at"))
		o := outcome(rapid.SampledFrom([]string{"0042", "0043"}).Draw(t, "number"), rapid.SampledFrom(txn.Results()).Draw(t, "result"))
		switch e := rapid.SampledFrom(base).Draw(t, "event").(type) {
		case txn.Ended:
			return txn.Ended{Outcome: o, At: when}
		case txn.Contradicted:
			return txn.Contradicted{Outcome: o, At: when}
		case txn.Resolved:
			return txn.Resolved{Resolution: txn.Resolution{Result: o.Result, By: "manager"}, At: when}
		case txn.NeverRan:
			reasons := []txn.Reason{"", txn.NeverSent, txn.Withdrawn, txn.NotDelivered, txn.Refused, txn.WasBusy, txn.Fenced}
			return txn.NeverRan{Reason: rapid.SampledFrom(reasons).Draw(t, "reason"), At: when}
		case txn.SignatureWanted:
			e.At = when
			return e
		case txn.SignatureAnswered:
			return txn.SignatureAnswered{Accepted: rapid.Bool().Draw(t, "accepted"), By: e.By, At: when}
		default:
			return e
		}
	})
}

// story draws a life: it begins as every transaction does, most often as far as
// the terminal, and goes on with anything.
func story() *rapid.Generator[[]txn.Event] {
	return rapid.Custom(func(t *rapid.T) []txn.Event {
		begins := [][]txn.Event{
			nil,
			{accepted},
			{accepted, txn.Dispatched{At: at(1)}},
			{accepted, txn.Dispatched{At: at(1)}, txn.Started{}},
			{accepted, txn.Dispatched{At: at(1)}, txn.Started{}, wanted},
			{accepted, txn.Dispatched{At: at(1)}, txn.LinkLost{At: at(2)}},
		}
		first := rapid.SampledFrom(begins).Draw(t, "begin")
		return append(slices.Clone(first), rapid.SliceOfN(anyEvent(), 20, 80).Draw(t, "then")...)
	})
}

// TestRandomLives holds what must be true of every life, however the events fall.
func TestRandomLives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var (
			live        txn.Transaction
			log         []txn.Event
			interrupted bool
		)
		for _, e := range story().Draw(t, "story") {
			was := live
			next, err := txn.Apply(live, e)
			if err != nil {
				if d := cmp.Diff(was, next); d != "" {
					t.Fatalf("refused %#v changed the transaction:\n%s", e, d)
				}
				continue
			}
			live, log = next, append(log, e)

			switch e := e.(type) {
			case txn.LinkLost, txn.Restarted:
				interrupted = true
			case txn.Answered:
				if was.Told != txn.ToldNothing {
					t.Fatalf("told %s, then %s", was.Told, e.Told)
				}
				if e.Told == txn.ToldTimedOut && was.State == txn.Finished {
					t.Fatal("TIMED_OUT told although the end was known")
				}
				if e.Told != txn.ToldTimedOut && was.State != txn.Finished {
					t.Fatalf("%s told before the end was known", e.Told)
				}
				if e.Told == txn.ToldError && was.Truth() != nil {
					t.Fatal("an error told of a transaction that ran")
				}
			default:
				if live.Told != was.Told {
					t.Fatalf("%#v changed what was told", e)
				}
			}
			if was.State == txn.Finished && live.State != txn.Finished {
				t.Fatalf("%#v left finished for %s", e, live.State)
			}
			if was.State == txn.Finished && (live.Outcome != was.Outcome || live.NotRun != was.NotRun || live.Resolution != was.Resolution) {
				t.Fatalf("%#v rewrote the recorded end", e)
			}
			if was.SignatureBy != "" && (live.SignatureBy != was.SignatureBy || live.SignatureAccepted != was.SignatureAccepted) {
				t.Fatalf("%#v changed a decided signature", e)
			}
			if was.Wish != nil && live.WantedAt != was.WantedAt {
				t.Fatalf("%#v moved the signature's time", e)
			}
			hold(t, live, interrupted)
		}

		again, err := txn.Replay(log...)
		if err != nil {
			t.Fatalf("the log of a life does not replay: %v", err)
		}
		if d := cmp.Diff(live, again); d != "" {
			t.Fatalf("replay differs from the live state:\n%s", d)
		}
	})
}

// hold checks what must be true of a transaction at every moment.
func hold(t *rapid.T, tx txn.Transaction, interrupted bool) {
	ends := 0
	for _, set := range []bool{tx.Outcome != nil, tx.NotRun != "", tx.Resolution != nil} {
		if set {
			ends++
		}
	}
	switch finished := tx.State == txn.Finished; {
	case finished && ends != 1:
		t.Fatalf("finished with %d recorded ends", ends)
	case !finished && ends != 0:
		t.Fatalf("%s with a recorded end", tx.State)
	case finished != tx.Known():
		t.Fatalf("Known is %t in %s", tx.Known(), tx.State)
	}
	if !slices.Contains(txn.States(), tx.State) {
		t.Fatalf("state %q is not listed", tx.State)
	}
	if tx.State == txn.AtTerminal && tx.Wish != nil && tx.SignatureBy == "" {
		t.Fatal("a signature is open and nobody is asked")
	}
	if tx.Late() != (tx.Told == txn.ToldTimedOut && tx.State == txn.Finished) {
		t.Fatal("Late is wrong")
	}

	due := txn.Due(tx)
	for i, d := range due {
		if slices.Contains(due[:i], d) {
			t.Fatalf("%#v is due twice", d)
		}
	}
	if slices.Contains(due, txn.Effect(txn.StartTerminal{})) && (interrupted || tx.Started || tx.Told != txn.ToldNothing) {
		t.Fatalf("a start is due of %+v", tx)
	}
	tell := slices.Contains(due, txn.Effect(txn.TellTill{}))
	if want := tx.State == txn.Finished && tx.Told == txn.ToldNothing; tell != want {
		t.Fatalf("TellTill due: %t, want %t, in %s, told %q", tell, want, tx.State, tx.Told)
	}
	acknowledge := slices.Contains(due, txn.Effect(txn.AcknowledgeTerminal{}))
	if want := tx.Truth() != nil; acknowledge != want {
		t.Fatalf("AcknowledgeTerminal due: %t, want %t", acknowledge, want)
	}
	cancel := slices.Contains(due, txn.Effect(txn.CancelTerminal{}))
	if want := tx.State == txn.AtTerminal && tx.Started && tx.CancelWished && tx.Wish == nil; cancel != want {
		t.Fatalf("CancelTerminal due: %t, want %t", cancel, want)
	}
	if ask := slices.Contains(due, txn.Effect(txn.AskTerminal{})); ask != (tx.State == txn.Unresolved) {
		t.Fatalf("AskTerminal due: %t in %s", ask, tx.State)
	}
}

// TestSignatureIsDecidedOnce: a cashier's refusal survives a blip of the link
// at any moment, and a terminal that asks again.
func TestSignatureIsDecidedOnce(t *testing.T) {
	var (
		start    = []txn.Event{accepted, txn.Dispatched{At: at(1)}, txn.Started{}, wanted}
		rejected = txn.SignatureAnswered{By: txn.ByTill, At: at(30)}
		lost     = txn.LinkLost{At: at(20)}
		resumed  = txn.Resumed{At: at(40)}
		again    = txn.SignatureWanted{Wish: wanted.Wish, At: at(41)}
	)
	for _, c := range []struct {
		name string
		then []txn.Event
	}{
		{"no blip", []txn.Event{rejected}},
		{"terminal asks again at once", []txn.Event{rejected, again}},
		{"lost after the answer, in progress", []txn.Event{rejected, lost, resumed}},
		{"lost after the answer, asks again", []txn.Event{rejected, lost, again}},
		{"answered while lost, in progress", []txn.Event{lost, rejected, resumed}},
		{"answered while lost, asks again", []txn.Event{lost, rejected, again}},
		{"in progress, then answered", []txn.Event{lost, resumed, rejected}},
		{"asks again, then answered", []txn.Event{lost, again, rejected}},
		{"gateway restarted after the answer", []txn.Event{rejected, txn.Restarted{At: at(35)}, again}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tx := replay(t, slices.Concat(start, c.then))
			want := []txn.Effect{txn.AnswerTerminal{Accepted: false}}
			if d := cmp.Diff(want, txn.Due(tx)); d != "" {
				t.Errorf("due (-want +got):\n%s", d)
			}
			if tx.State != txn.AtTerminal || tx.WantedAt != wanted.At {
				t.Errorf("state %s, wanted at %v; want %s, %v", tx.State, tx.WantedAt, txn.AtTerminal, wanted.At)
			}
			if _, err := txn.Apply(tx, txn.SignatureAnswered{Accepted: true, By: txn.ByTimeout, At: at(90)}); err == nil {
				t.Error("a second answer was taken")
			}
		})
	}
}

// TestWhatIsKept reads one whole life back.
func TestWhatIsKept(t *testing.T) {
	late := txn.Contradicted{Outcome: declined, At: at(500)}
	got := replay(t, []txn.Event{
		accepted,
		txn.Dispatched{At: at(1)},
		txn.Started{},
		txn.CancelWished{At: at(2)},
		wanted,
		txn.LinkLost{At: at(5)},
		txn.SignatureAnswered{Accepted: true, By: txn.ByTimeout, At: at(84)},
		txn.Resumed{At: at(90)},
		txn.Answered{Told: txn.ToldTimedOut, At: at(201)},
		txn.Ended{Outcome: successful, At: at(210)},
		late,
	})
	want := txn.Transaction{
		ID: accepted.ID, Site: accepted.Site, TID: accepted.TID, Request: accepted.Request, Caller: accepted.Caller,
		State: txn.Finished, Told: txn.ToldTimedOut, Started: true, CancelWished: true,
		Wish: &wanted.Wish, SignatureAccepted: true, SignatureBy: txn.ByTimeout,
		Outcome: &successful, Conflict: &declined,
		AcceptedAt: at(0), DispatchedAt: at(1), WantedAt: at(4), KnownAt: at(210), Interrupted: true,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestTruth(t *testing.T) {
	var (
		sent = []txn.Event{accepted, txn.Dispatched{At: at(1)}}
		lost = txn.LinkLost{At: at(2)}
		bad  = txn.Resolved{Resolution: txn.Resolution{Result: txn.Unsuccessful, By: "manager"}, At: at(300)}
		word = txn.Contradicted{Outcome: successful, At: at(400)}
	)
	for _, c := range []struct {
		name string
		then []txn.Event
		want *txn.Outcome
	}{
		{"while it runs", nil, nil},
		{"the terminal's word", []txn.Event{txn.Ended{Outcome: successful}}, &successful},
		{"the first of two words", []txn.Event{txn.Ended{Outcome: declined}, word}, &declined},
		{"an operator alone", []txn.Event{lost, bad}, nil},
		{"the terminal over an operator", []txn.Event{lost, bad, word}, &successful},
		{"not run", []txn.Event{txn.NeverRan{Reason: txn.Fenced}}, nil},
		{"it ran all the same", []txn.Event{txn.NeverRan{Reason: txn.Fenced}, word}, &successful},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, replay(t, slices.Concat(sent, c.then)).Truth()); d != "" {
				t.Errorf("truth (-want +got):\n%s", d)
			}
		})
	}
}

func TestSame(t *testing.T) {
	base := successful
	for _, c := range []struct {
		name   string
		change func(*txn.Outcome)
		want   bool
	}{
		{"itself", func(*txn.Outcome) {}, true},
		{"receipts worded anew", func(o *txn.Outcome) { o.Receipts.Customer = wanted.Wish.Merchant }, true},
		{"another clock", func(o *txn.Outcome) { o.Time = at(50) }, true},
		{"result", func(o *txn.Outcome) { o.Result = txn.Void }, false},
		{"type", func(o *txn.Outcome) { o.Type = txn.SaleReversal }, false},
		{"gratuity", func(o *txn.Outcome) { o.Gratuity = 1 }, false},
		{"cashback", func(o *txn.Outcome) { o.Cashback = 1 }, false},
		{"currency", func(o *txn.Outcome) { o.Currency = money.EUR }, false},
		{"number", func(o *txn.Outcome) { o.Number = "0043" }, false},
		{"transaction id", func(o *txn.Outcome) { o.TransactionID = "7" }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			other := base
			c.change(&other)
			if got := txn.Same(base, other); got != c.want {
				t.Errorf("Same = %t, want %t", got, c.want)
			}
			if !reflect.DeepEqual(base, successful) {
				t.Error("Same changed what it was given")
			}
		})
	}
}

func TestTotals(t *testing.T) {
	if got := (txn.Request{Amount: 1000, Cashback: 250}).Total(); got != 1250 {
		t.Errorf("request total %d, want 1250", got)
	}
	if got := (txn.Outcome{Base: 1000, Cashback: 250, Gratuity: 99}).Total(); got != 1349 {
		t.Errorf("outcome total %d, want 1349", got)
	}
}

func TestIllegalMoveNamesAllThree(t *testing.T) {
	for _, c := range []struct {
		tx   txn.Transaction
		want []string
	}{
		{txn.Transaction{}, []string{"txn.Started", "not begun"}},
		{replay(t, []txn.Event{accepted}), []string{"txn.Started", "requested", "request-1"}},
	} {
		_, err := txn.Apply(c.tx, txn.Started{})
		if err == nil {
			t.Fatalf("Started was allowed in %q", c.tx.State)
		}
		for _, word := range c.want {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q does not name %s", err, word)
			}
		}
	}
}

func TestReplayStopsAtTheFirstFault(t *testing.T) {
	tx, err := txn.Replay(accepted, txn.Started{}, txn.Dispatched{At: at(1)})
	if err == nil || tx.State != txn.Requested {
		t.Errorf("got state %s and error %v, want %s and an error", tx.State, err, txn.Requested)
	}
}

func TestApplyPanicsOnAForgottenEvent(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("nil is no event; want a panic")
		}
	}()
	_, _ = txn.Apply(txn.Transaction{}, nil)
}

func TestRequestTypesAreResultTypes(t *testing.T) {
	for _, typ := range []txn.Type{txn.SaleReversal, txn.RefundReversal, txn.Logon} {
		if slices.Contains(txn.RequestTypes(), typ) {
			t.Errorf("%s can be asked for", typ)
		}
	}
}

// TestDisputed: a terminal that confirms an operator's word disputes nothing.
func TestDisputed(t *testing.T) {
	request := txn.Request{Type: txn.Sale, Currency: money.GBP, Amount: 1250, Cashback: 500}
	said := func(kind txn.Type, r txn.Result, total money.Minor) *txn.Outcome {
		return &txn.Outcome{Type: kind, Result: r, Currency: money.GBP, Base: total}
	}
	byHand := func(r txn.Result) *txn.Resolution { return &txn.Resolution{Result: r, By: "anna"} }
	for name, c := range map[string]struct {
		t    txn.Transaction
		want bool
	}{
		"one word":                 {txn.Transaction{Outcome: said(txn.Sale, txn.Successful, 1750)}, false},
		"by hand only":             {txn.Transaction{Resolution: byHand(txn.Successful)}, false},
		"two of the terminal's":    {txn.Transaction{Outcome: said(txn.Sale, txn.Declined, 1750), Conflict: said(txn.Sale, txn.Void, 1750)}, true},
		"it had not run":           {txn.Transaction{NotRun: txn.WasBusy, Conflict: said(txn.Sale, txn.Declined, 1750)}, true},
		"taken, confirmed":         {txn.Transaction{Resolution: byHand(txn.Successful), Conflict: said(txn.Sale, txn.Successful, 1750)}, false},
		"taken, with a gratuity":   {txn.Transaction{Resolution: byHand(txn.Successful), Conflict: said(txn.Sale, txn.Successful, 1850)}, true},
		"taken, and given back":    {txn.Transaction{Resolution: byHand(txn.Successful), Conflict: said(txn.SaleReversal, txn.Successful, 1750)}, true},
		"taken, denied":            {txn.Transaction{Resolution: byHand(txn.Successful), Conflict: said(txn.Sale, txn.Declined, 1750)}, true},
		"not taken, confirmed":     {txn.Transaction{Resolution: byHand(txn.Unsuccessful), Conflict: said(txn.Sale, txn.Declined, 1750)}, false},
		"not taken, contradicted":  {txn.Transaction{Resolution: byHand(txn.Unsuccessful), Conflict: said(txn.Sale, txn.Successful, 1750)}, true},
		"not taken, void and less": {txn.Transaction{Resolution: byHand(txn.Unsuccessful), Conflict: said(txn.Sale, txn.Void, 1)}, false},
	} {
		c.t.Request = request
		if got := c.t.Disputed(); got != c.want {
			t.Errorf("%s: disputed %t, want %t", name, got, c.want)
		}
	}
}
