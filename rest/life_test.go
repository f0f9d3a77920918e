package rest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/spec"
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
		for _, version := range []string{"v0", "v1"} {
			got := w.do(ask{path: at, version: version}).is(http.StatusOK).object()
			want := map[string]any{}
			for name, value := range want {
				want[name] = value
			}
			if got["transactionResult"] != "SUCCESSFUL" || got["cardholderVerificationMethod"] != "PIN" {
				t.Errorf("in %s it is %v", version, got)
			}
		}
	})
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
