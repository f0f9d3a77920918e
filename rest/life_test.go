package rest_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
)

// TestSale has a sale begin, go on and end, and looks at it in each version.
func TestSale(t *testing.T) {
	inWorld(t, func(w *world) {
		begun := w.do(aSale()).is(http.StatusCreated)
		at := begun.path()
		if got := begun.header.Get("Location"); got != "http://gateway.example"+at {
			t.Errorf("Location %q", got)
		}
		id := string(w.pdq.newest())
		if want := of(tid) + "/transactions/" + id; at != want {
			t.Errorf("it is at %s, want %s", at, want)
		}
		first := w.polled(at)
		want := map[string]any{"requestId": id, "location": "http://gateway.example" + at, "notifications": []any{"TRANSACTION_STARTED"}}
		if diff := cmp.Diff(want, first.object()); diff != "" {
			t.Errorf("at first (- want, + got):\n%s", diff)
		}
		w.pdq.shows("PRESENT_CARD", "PRESENT_CARD", "PIN_ENTRY")
		if diff := cmp.Diff([]string{"PIN_ENTRY", "PRESENT_CARD", "TRANSACTION_STARTED"}, w.polled(at).notes()); diff != "" {
			t.Errorf("on the way (- want, + got):\n%s", diff)
		}
		w.pdq.ends(outcome(txn.Successful))
		got := w.polled(at).object()
		line := func(s string) []any {
			return []any{map[string]any{"type": "TEXT", "format": []any{}, "value": s}}
		}
		for name, value := range map[string]any{
			"notifications": []any{"TRANSACTION_FINISHED", "PIN_ENTRY", "PRESENT_CARD", "TRANSACTION_STARTED"},
			"amountBase":    1250.0, "amountCashback": 0.0, "amountGratuity": 0.0, "amountTotal": 1250.0,
			"applicationId": "A0000000031010", "applicationLabel": "VISA DEBIT", "authCode": "789DE0", "cardSchemeName": "VISA",
			"cardholderVerificationMethod": "PIN", "currency": "GBP", "dateOfExpiry": "01/28", "dateOfStart": "", "paymentMethod": "ICC_CHIP",
			"primaryAccountNumber": "************1234", "primaryAccountNumberSequence": "01",
			"receiptLines":  map[string]any{"MERCHANT": line("MERCHANT COPY"), "CUSTOMER": line("CUSTOMER COPY")},
			"transactionId": "1000123", "transactionNumber": "0042", "transactionResult": "SUCCESSFUL", "transactionType": "SALE",
			"transactionTime": time.Now().UTC().Format("2006-01-02T15:04:05"),
		} {
			want[name] = value
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("in the end (- want, + got):\n%s", diff)
		}
		if diff := cmp.Diff(want, w.do(ask{path: at, version: "v1"}).object()); diff != "" {
			t.Errorf("in v1 (- want, + got):\n%s", diff)
		}
		want["location"] = strings.Replace(want["location"].(string), "pac", "retail", 1)
		want["transactionTime"] = time.Now().In(london(t)).Format("2006-01-02T15:04:05-07:00")
		if diff := cmp.Diff(want, w.do(ask{path: at, version: "v0"}).object()); diff != "" {
			t.Errorf("in v0 (- want, + got):\n%s", diff)
		}
	})
}

// london is where the site is.
func london(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// A watch is one request that is polled whenever it changes, and what was seen last
// of it in each version.
type watch struct {
	w     *world
	at    string
	id    txn.RequestID
	seen  map[string][]string
	final map[string]string
	asked bool
}

// looks polls it in each version, and looks at what must always hold.
func (x *watch) looks() (ended bool) {
	t := x.w.t
	t.Helper()
	for _, version := range []string{"v0", "v1", "v2"} {
		got := x.w.do(ask{path: x.at, version: version}).is(http.StatusOK)
		notes, body := got.notes(), got.object()
		before := x.seen[version]
		x.seen[version] = notes
		if len(notes) == 0 || notes[len(notes)-1] != "TRANSACTION_STARTED" || len(notes) < len(before) || !slices.Equal(notes[len(notes)-len(before):], before) {
			t.Errorf("in %s, after %q it says %q", version, before, notes)
		}
		if len(slices.Compact(slices.Clone(notes))) != len(notes) {
			t.Errorf("in %s it repeats itself: %q", version, notes)
		}
		_, result := body["transactionResult"]
		if finished := strings.Contains(got.body, "TRANSACTION_FINISHED"); result != finished || finished != (notes[0] == "TRANSACTION_FINISHED") {
			t.Errorf("in %s half an end: %s", version, got.body)
		}
		x.asked = x.asked || slices.Contains(notes, "SIGNATURE_VERIFICATION")
		if strings.Contains(got.body, "SIGNATURE_VERIFICATION") && !x.asked {
			t.Errorf("in %s the question before it is asked: %s", version, got.body)
		}
		open := x.asked && !strings.Contains(got.body, "SIGNATURE_VERIFICATION_") && !result
		if open != (notes[0] == "SIGNATURE_VERIFICATION") || open && version != "v0" != (body["cardholderVerificationMethod"] == "SIGNATURE") {
			t.Errorf("in %s a question that is open %t: %s", version, open, got.body)
		}
		switch {
		case result && x.final[version] == "":
			x.final[version] = got.body
			if version == "v2" {
				x.ends(got)
			}
		case result && got.body != x.final[version]:
			t.Errorf("in %s the end was %s, and is %s", version, x.final[version], got.body)
		case !result && !open && len(body) != 3:
			t.Errorf("in %s there is more than there can be: %s", version, got.body)
		}
		ended = result
	}
	return ended
}

// ends looks at the end.
func (x *watch) ends(got *answer) {
	t := x.w.t
	t.Helper()
	var body struct {
		AmountBase, AmountCashback, AmountGratuity, AmountTotal int64
		TransactionResult, TransactionType, UserMessage         string
		PrimaryAccountNumber                                    string
		ReceiptLines                                            map[string][]any
	}
	if err := json.Unmarshal([]byte(got.body), &body, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	if body.AmountBase+body.AmountCashback+body.AmountGratuity != body.AmountTotal || body.AmountBase != 1250 || !strings.HasPrefix(body.TransactionType, "SALE") {
		t.Errorf("the end is %s", got.body)
	}
	if p := body.PrimaryAccountNumber; p != "" && !regexp.MustCompile(`^\*{12}\d{4}$`).MatchString(p) {
		t.Errorf("the card is %s", p)
	}
	never := body.TransactionResult == "UNSUCCESSFUL" && len(body.ReceiptLines["MERCHANT"]) == 0
	if message := body.UserMessage != ""; message != (never || body.TransactionResult == "TIMED_OUT" || slices.Contains(got.notes(), "SIGNATURE_VERIFICATION_TIMEOUT")) {
		t.Errorf("with or without a message: %s", got.body)
	}
}

// numbered leaves out what keeps a stream alive.
func numbered(list []event) []event {
	return slices.DeleteFunc(list, func(e event) bool { return e.name == "" })
}

// TestScenarios plays every scenario of the simulated machines, polls at each
// change, follows the stream, and looks again after restarts and days.
func TestScenarios(t *testing.T) {
	for _, s := range spec.Default().Scenarios().Scenarios {
		t.Run(s.Name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				script, ok := sim.Scenario(s.Name)
				if !ok {
					t.Fatal("no such scenario")
				}
				m, _ := w.park.Machine(simApproves)
				a := aSale()
				a.path = of(simApproves) + "/transactions"
				before := w.begins(a)
				pass(time.Minute)
				if got := w.polled(before).object()["transactionResult"]; got != "SUCCESSFUL" {
					t.Fatalf("the sale before it is %v", got)
				}
				m.Script(script)
				at := w.begins(a)
				x := &watch{w: w, at: at, id: txn.RequestID(at[strings.LastIndexByte(at, '/')+1:]), seen: map[string][]string{}, final: map[string]string{}}
				f := w.follows(ask{path: at + "/events"})
				till, err := w.g.Till(demoKey, txn.Caller{})
				if err != nil {
					t.Fatal(err)
				}
				limit := time.After(10 * time.Minute)
				for over := false; !over; {
					_, changed, err := till.Look(w.t.Context(), simApproves, x.id)
					if err != nil {
						t.Fatal(err)
					}
					if ended := x.looks(); ended && changed == nil {
						break
					}
					select {
					case <-changed:
						synctest.Wait()
					case <-limit:
						over = true
					}
				}
				pass(time.Minute)
				if !x.looks() {
					t.Fatal("it has no end")
				}
				told := s.Expect.Told
				if told == "" {
					told = "UNSUCCESSFUL" // what is an error on the other face
				}
				if got := w.polled(at).object()["transactionResult"]; got != told {
					t.Errorf("it ended %v, want %s", got, told)
				}
				late := w.do(ask{path: at + "?extensions=late"}).body
				first := numbered(f.events())
				for i, e := range first {
					if e.id != i+1 {
						t.Errorf("the event number %d has the number %d", i+1, e.id)
					}
				}
				for range 2 {
					w.restart()
					pass(time.Minute)
					x.looks()
					if got := w.do(ask{path: at + "?extensions=late"}).body; got != late {
						t.Errorf("with what is late it was %s, and is %s", late, got)
					}
					again := w.follows(ask{path: at + "/events"})
					if diff := cmp.Diff(first, numbered(again.events()), cmp.AllowUnexported(event{})); diff != "" {
						t.Errorf("the events after a restart (- before, + after):\n%s", diff)
					}
					again.end()
				}
				pass(6 * 24 * time.Hour)
				x.looks()
			})
		})
	}
}

// TestSignature has a cashier accept and reject signatures.
func TestSignature(t *testing.T) {
	inWorld(t, func(w *world) {
		at := w.begins(aSale())
		if got := w.polled(at).body; strings.Contains(got, "SIGNATURE") {
			t.Errorf("the word is there before it is asked: %s", got)
		}
		w.pdq.asksSignature()
		got := w.polled(at).object()
		want := map[string]any{
			"requestId": got["requestId"], "location": got["location"], "notifications": []any{"SIGNATURE_VERIFICATION", "TRANSACTION_STARTED"},
			"authCode": "789DE0", "applicationId": "A0000000031010", "applicationLabel": "VISA DEBIT", "cardholderVerificationMethod": "SIGNATURE",
			"paymentMethod": "ICC_CHIP", "primaryAccountNumber": "************1234", "transactionType": "SALE",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("while it is asked (- want, + got):\n%s", diff)
		}
		w.signs(at, "v2", false).is(http.StatusAccepted)
		w.signs(at, "v2", true).is(http.StatusAccepted) // the first stands
		w.pdq.ends(outcome(txn.Void))
		want2 := []string{
			"TRANSACTION_FINISHED", "SIGNATURE_VERIFICATION_PROCESS_COMPLETED", "SIGNATURE_VERIFICATION_IN_PROGRESS",
			"SIGNATURE_VERIFICATION", "TRANSACTION_STARTED",
		}
		if diff := cmp.Diff(want2, w.polled(at).notes()); diff != "" {
			t.Errorf("in the end (- want, + got):\n%s", diff)
		}
		if w.pdq.heard("rejected") != 1 || w.pdq.heard("accepted") != 0 {
			t.Errorf("the machine heard %v", w.pdq.calls)
		}
	})
}

// TestTimedOut has a machine fall silent.
func TestTimedOut(t *testing.T) {
	inWorld(t, func(w *world) {
		at := w.begins(aSale())
		pass(200*time.Second - time.Millisecond)
		if _, ended := w.polled(at).object()["transactionResult"]; ended {
			t.Error("it has ended before its time")
		}
		pass(time.Millisecond)
		got := w.polled(at).object()
		if got["transactionResult"] != "TIMED_OUT" || got["userMessage"] != spec.RESTTextOutcomeUnknown {
			t.Errorf("after 200 s it is %v", got)
		}
	})
}
