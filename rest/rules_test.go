package rest_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// begun is a request with that body on the machine of the test.
func begun(body string) ask {
	return ask{method: http.MethodPost, path: of(tid) + "/transactions", body: body}
}

// TestTransactionBodies goes through what can be asked for in each version.
func TestTransactionBodies(t *testing.T) {
	whole := func(field string) string {
		return strings.NewReplacer("{field}", field, "{minimum}", "1", "{maximum}", "99999999").Replace(spec.RESTFaultWholePence)
	}
	for _, c := range []struct {
		versions, body, fault string // no fault: it is taken
	}{
		{"v0 v1 v2", `{"transactionType":"REFUND","amount":1,"currency":"GBP"}`, ""},
		{"v2", `{"transactionType":"PRE_AUTH","amount":99999999,"currency":"GBP"}`, ""},
		{"v2", `{"transactionType":"COMPLETION","amount":1250,"currency":"GBP","authCode":"78YT6RS0","amountPreAuthorisedTotal":2000}`, ""},
		{"v2", `{"transactionType":"ACCOUNT_VERIFICATION"}`, ""},
		{"v2", `{"transactionType":"ACCOUNT_VERIFICATION","currency":"GBP","amount":-5}`, ""},
		{"v2", `{"transactionType":"SALE","amount":1250,"amountCashback":10000,"currency":"GBP","cardholderNotPresent":true}`, ""},
		{"v2", `{"transactionType":"SALE","amount":99989999,"amountCashback":10000,"currency":"GBP"}`, ""},
		{"v0 v1", `{"transactionType":"SALE","amount":1250,"amountCashback":"0","currency":"GBP","cardholderNotPresent":"false","authCode":1}`, ""},
		{"v0 v1", `{"transactionType":"PRE_AUTH","amount":1,"currency":"GBP"}`, "transactionType must be SALE, REFUND or DUPLICATE."},
		{"v2", `{"transactionType":"sale","amount":1,"currency":"GBP"}`, "transactionType must be SALE, REFUND, DUPLICATE, PRE_AUTH, COMPLETION or ACCOUNT_VERIFICATION."},
		{"v0 v1 v2", `{"amount":1,"currency":"GBP"}`, "transactionType is required."},
		{"v0 v1 v2", `{"TransactionType":"SALE","amount":1,"currency":"GBP"}`, "transactionType is required."},
		{"v0 v1 v2", `{"transactionType":null,"amount":1,"currency":"GBP"}`, "transactionType is required."},
		{"v0 v1 v2", `{"transactionType":"SALE","amount":1}`, "currency is required."},
		{"v0 v1 v2", `{"transactionType":"SALE","amount":1,"currency":"USD"}`, "currency must be GBP or EUR."},
		{"v0 v1 v2", `{"transactionType":"SALE","amount":1,"currency":"gbp"}`, "currency must be GBP or EUR."},
		{"v0 v1 v2", `{"transactionType":"SALE","currency":"GBP"}`, "amount is required."},
		{"v0 v1 v2", `{"transactionType":"SALE","currency":"GBP","amount":0}`, whole("amount")},
		{"v0 v1", `{"transactionType":"SALE","amount":1250,"amountCashback":1,"currency":"GBP"}`, "amountCashback is not part of {version}."},
		{"v0 v1", `{"transactionType":"SALE","amount":1250,"amountCashback":"x","currency":"GBP"}`, "amountCashback is not part of {version}."},
		{"v0 v1", `{"transactionType":"SALE","amount":1250,"cardholderNotPresent":true,"currency":"GBP"}`, "cardholderNotPresent is not part of {version}."},
		{"v2", `{"transactionType":"SALE","amount":99999999,"amountCashback":1,"currency":"GBP"}`, "amount together with amountCashback must be at most 99999999 pence."},
		{"v2", `{"transactionType":"SALE","amount":1,"amountCashback":10001,"currency":"GBP"}`, "amountCashback must be a whole number of pence from 0 to 10000."},
		{"v2", `{"transactionType":"REFUND","amount":1,"amountCashback":1,"currency":"GBP"}`, "amountCashback is not taken with REFUND."},
		{"v2", `{"transactionType":"DUPLICATE","cardholderNotPresent":true}`, "cardholderNotPresent is not taken with DUPLICATE."},
		{"v2", `{"transactionType":"COMPLETION","amount":1250,"currency":"GBP","amountPreAuthorisedTotal":2000}`, "authCode is required."},
		{"v2", `{"transactionType":"COMPLETION","amount":1250,"currency":"GBP","authCode":"","amountPreAuthorisedTotal":2000}`, "authCode must be a string of 1 to 16 characters."},
		{"v2", `{"transactionType":"COMPLETION","amount":1250,"currency":"GBP","authCode":"12345678901234567","amountPreAuthorisedTotal":2000}`, "authCode must be a string of 1 to 16 characters."},
		{"v2", `{"transactionType":"COMPLETION","amount":1250,"currency":"GBP","authCode":"1"}`, "amountPreAuthorisedTotal is required."},
		{"v2", `{"transactionType":"COMPLETION","amount":1250,"currency":"GBP","authCode":"1","amountPreAuthorisedTotal":0}`, whole("amountPreAuthorisedTotal")},
	} {
		for _, version := range strings.Fields(c.versions) {
			t.Run(version+" "+c.body, func(t *testing.T) {
				inWorld(t, func(w *world) {
					if c.fault == "" {
						w.do(begun(c.body).in(version)).is(http.StatusCreated)
						return
					}
					w.refuses(begun(c.body).in(version), spec.RESTBadBody, "fault", spec.Fill(c.fault, "version", version))
				})
			})
		}
	}
}

// TestAbilities: what a machine cannot do is said, and nothing is begun.
func TestAbilities(t *testing.T) {
	inWorld(t, func(w *world) {
		written := w.store.written()
		for _, version := range []string{"v0", "v1", "v2"} {
			for body, name := range map[string]string{
				`{"transactionType":"SALE","amount":1,"currency":"GBP"}`:                    spec.RESTCurrencyUnsupported,
				`{"transactionType":"DUPLICATE"}`:                                           spec.RESTUnsupported,
				`{"transactionType":"SALE","amount":1,"amountCashback":1,"currency":"EUR"}`: spec.RESTCashbackUnsupported,
			} {
				if version != "v2" && name == spec.RESTCashbackUnsupported {
					continue
				}
				a := begun(body).in(version)
				a.path = of(simEuro) + "/transactions"
				w.refuses(a, name, "tid", simEuro, "currency", "GBP", "method", "such request")
			}
			a := aReport("X_BALANCE").in(version)
			a.path = of(simEuro) + "/reports"
			w.refuses(a, spec.RESTUnsupported, "tid", simEuro, "method", "such request")
			w.refuses(ask{method: http.MethodPost, path: of(tid) + "/reports", version: version, body: `{"reportType":"Y_BALANCE"}`}, spec.RESTBadBody, "fault", "reportType must be END_OF_DAY, BANKING, X_BALANCE or Z_BALANCE.")
		}
		if w.store.written() != written {
			t.Error("something was written")
		}
	})
}

// TestTerminalFilters lists some of the machines.
func TestTerminalFilters(t *testing.T) {
	inWorld(t, func(w *world) {
		w.begins(aSale())
		w.next.say(terminal.WentAway{})
		list := func(query, version string) []string {
			var body struct {
				Terminals []struct {
					TID, TPI string
				} `json:"terminals"`
			}
			got := w.do(ask{path: "/pac/terminals" + query, version: version}).is(http.StatusOK)
			for _, one := range got.object()["terminals"].([]any) {
				m := one.(map[string]any)
				id, _ := m[map[string]string{"v0": "tpi", "v1": "tpi", "v2": "tid"}[version]].(string)
				body.Terminals = append(body.Terminals, struct{ TID, TPI string }{TID: id})
				if _, has := m["capabilities"]; has != (version != "v2") {
					t.Errorf("in %s it is %v", version, m)
				}
			}
			out := []string{}
			for _, one := range body.Terminals {
				out = append(out, one.TID)
			}
			return out
		}
		for _, version := range []string{"v0", "v1", "v2"} {
			all := list("", version)
			if len(all) != 1+len(w.park.Listed()) || slices.Contains(all, nextTID) || !slices.Contains(all, tid) {
				t.Errorf("all: %q", all)
			}
			if diff := cmp.Diff([]string{tid}, list("?status=BUSY", version)); diff != "" {
				t.Errorf("busy: %s", diff)
			}
			if got := list("?status=AVAILABLE", version); len(got) != len(all)-1 {
				t.Errorf("available: %q", got)
			}
			if diff := cmp.Diff([]string{simEuro}, list("?currency=EUR", version)); diff != "" {
				t.Errorf("in euros: %s", diff)
			}
			if got := list("?currency=EUR&status=BUSY", version); len(got) != 0 {
				t.Errorf("nothing is %q", got)
			}
			if got := list("?status=&currency=", version); len(got) != len(all) {
				t.Errorf("no filter: %q", got)
			}
			for _, query := range []string{"?capabilities=REPORT_END_OF_DAY", "?capabilities=[%22SALE%22,%22DUPLICATE%22]", "?capabilities=%5BREFUND,REPORT_X_BALANCE%5D"} {
				want := len(all) - 1 // the machine in euros cannot
				if version == "v2" {
					want = len(all)
				}
				if got := list(query, version); len(got) != want {
					t.Errorf("%s in %s: %q", query, version, got)
				}
			}
			if got := list("?capabilities=SALE,FLYING", version); (len(got) == 0) != (version != "v2") {
				t.Errorf("what nobody can, in %s: %q", version, got)
			}
			for query, fault := range map[string]string{"?status=busy": "status must be AVAILABLE or BUSY.", "?currency=USD": "currency must be GBP or EUR."} {
				w.refuses(ask{path: "/pac/terminals" + query, version: version}, spec.RESTBadParameter, "fault", fault)
			}
		}
		if diff := cmp.Diff([]string{theirTID}, func() []string {
			var out []string
			for _, one := range w.do(ask{path: "/pac/terminals", key: otherKey}).object()["terminals"].([]any) {
				out = append(out, one.(map[string]any)["tid"].(string))
			}
			return out
		}()); diff != "" {
			t.Errorf("another site: %s", diff)
		}
		w.theirs.say(terminal.WentAway{})
		if got := w.do(ask{path: "/pac/terminals", key: otherKey}).is(http.StatusOK).body; got != `{"terminals":[]}` {
			t.Errorf("none: %s", got)
		}
	})
}

// TestVersionsCross: what one version began another may look at, sign and cancel.
func TestVersionsCross(t *testing.T) {
	inWorld(t, func(w *world) {
		for _, begins := range []string{"v0", "v1", "v2"} {
			for _, ends := range []string{"v0", "v1", "v2"} {
				at := w.do(aSale().in(begins)).is(http.StatusCreated).path()
				w.pdq.cancel = func(txn.RequestID) error {
					w.pdq.endsIn(0, txn.Cancelled)
					return nil
				}
				w.cancels(at, ends).is(map[string]int{"v0": 204, "v1": 204, "v2": 202}[ends])
				w.pdq.cancel = nil
				at = w.do(aSale().in(begins)).is(http.StatusCreated).path()
				w.pdq.asksSignature()
				w.signs(at, ends, false).is(http.StatusAccepted)
				w.pdq.ends(outcome(txn.Void))
				if got := w.do(ask{path: at, version: ends}).object()["transactionResult"]; got != "VOID" {
					t.Errorf("begun in %s, in %s it is %v", begins, ends, got)
				}
			}
		}
		// What the older versions have no word for.
		at := w.begins(begun(`{"transactionType":"PRE_AUTH","amount":1250,"currency":"GBP"}`))
		w.pdq.shows("PRESENT_CARD", "REPLACE_PAPER", "PRESENT_CARD", "ENTER_CASHBACK")
		o := outcome(txn.Successful)
		o.Type, o.CVM = txn.PreAuth, txn.CVMUnknown
		w.pdq.ends(o)
		for version, want := range map[string][3]any{
			"v0": {"", "NONE", "TRANSACTION_FINISHED PRESENT_CARD TRANSACTION_STARTED"},
			"v1": {"", "NONE", "TRANSACTION_FINISHED PRESENT_CARD TRANSACTION_STARTED"},
			"v2": {"PRE_AUTH", "UNKNOWN", "TRANSACTION_FINISHED ENTER_CASHBACK PRESENT_CARD REPLACE_PAPER PRESENT_CARD TRANSACTION_STARTED"},
		} {
			got := w.do(ask{path: at, version: version})
			body := got.object()
			if diff := cmp.Diff(want, [3]any{body["transactionType"], body["cardholderVerificationMethod"], strings.Join(got.notes(), " ")}); diff != "" {
				t.Errorf("in %s:\n%s", version, diff)
			}
		}
	})
}

// TestSignatureRules: which answers count, in each version.
func TestSignatureRules(t *testing.T) {
	inWorld(t, func(w *world) {
		for _, version := range []string{"v0", "v1"} {
			for _, accepted := range []bool{true, false} {
				at := w.begins(aSale())
				status, text := textOf(spec.RESTSignatureRefused, version)
				w.signs(at, version, accepted).says(status, text) // not wanted yet
				w.pdq.asksSignature()
				for range 2 { // once more is no harm
					got := w.signs(at, version, accepted).is(http.StatusAccepted)
					want := map[string]any{"messages": map[string]any{"status": []any{spec.RESTTextSignatureInProgress}}}
					if diff := cmp.Diff(want, got.object()); diff != "" {
						t.Errorf("in %s:\n%s", version, diff)
					}
				}
				w.signs(at, version, !accepted).says(status, text)
				w.pdq.ends(outcome(txn.Void))
				w.signs(at, version, accepted).is(http.StatusAccepted)
				w.signs(at, version, !accepted).says(status, text)
				w.restart()
				w.signs(at, version, accepted).is(http.StatusAccepted)
				w.signs(at, version, !accepted).says(status, text)
			}
		}
		// What never asked for one.
		at := w.begins(aSale())
		w.pdq.ends(outcome(txn.Successful))
		w.signs(at, "v1", true).is(http.StatusUnprocessableEntity)
		w.signs(at, "v2", true).is(http.StatusAccepted)
		duplicate := w.begins(begun(`{"transactionType":"DUPLICATE"}`))
		w.signs(duplicate, "v1", true).is(http.StatusUnprocessableEntity)
		w.signs(duplicate, "v2", true).is(http.StatusAccepted)
		w.cancels(duplicate, "v1").is(http.StatusUnprocessableEntity)
		w.cancels(duplicate, "v2").is(http.StatusAccepted)
		rep := strings.Replace(w.begins(aReport("X_BALANCE")), "reports", "transactions", 1)
		w.do(ask{method: http.MethodPut, path: rep + "/signature", body: `{"accepted":true}`}).says(textOf(spec.RESTUnknownRequest, "v2"))
		w.cancels(rep, "v2").says(textOf(spec.RESTUnknownRequest, "v2"))
		w.do(ask{path: rep}).says(textOf(spec.RESTUnknownRequest, "v2"))
		w.do(ask{path: strings.Replace(at, "transactions", "reports", 1)}).says(textOf(spec.RESTUnknownRequest, "v2"))
	})
}

// TestSignatureAcrossLosses: the cashier's word counts although the machine is away,
// and no more once the end was told.
func TestSignatureAcrossLosses(t *testing.T) {
	inWorld(t, func(w *world) {
		at := w.begins(aSale())
		w.pdq.asksSignature()
		w.pdq.say(terminal.WentAway{})
		w.signs(at, "v1", false).is(http.StatusAccepted)
		w.signs(at, "v2", true).is(http.StatusAccepted)
		w.pdq.query = func(txn.RequestID) (terminal.Answer, error) { return terminal.Answer{Kind: terminal.InProgress}, nil }
		w.pdq.say(terminal.CameBack{})
		if w.pdq.heard("rejected") != 1 || w.pdq.heard("accepted") != 0 {
			t.Errorf("the machine heard %q", w.pdq.calls)
		}
		w.pdq.ends(outcome(txn.Void))

		at = w.begins(aSale())
		pass(150 * time.Second)
		w.pdq.asksSignature()
		pass(51 * time.Second) // TIMED_OUT was told meanwhile
		body := w.polled(at).body
		w.signs(at, "v1", false).is(http.StatusUnprocessableEntity)
		w.signs(at, "v2", false).is(http.StatusAccepted)
		if w.pdq.heard("rejected") != 1 {
			t.Errorf("the machine heard %q", w.pdq.calls)
		}
		w.pdq.ends(outcome(txn.Successful))
		if got := w.polled(at).body; got != body {
			t.Errorf("it was %s, and is %s", body, got)
		}
	})
}

// TestSiteRejects: a site can have silence reject.
func TestSiteRejects(t *testing.T) {
	inWorld(t, func(w *world) {
		site, err := gateway.FindSite(w.t.Context(), w.store, "demo")
		if err != nil {
			t.Fatal(err)
		}
		site.RejectUnanswered = true
		if err := w.store.PutSite(w.t.Context(), site); err != nil {
			t.Fatal(err)
		}
		if err := w.g.Reload(w.t.Context()); err != nil {
			t.Fatal(err)
		}
		w.begins(aSale())
		w.pdq.asksSignature()
		pass(80 * time.Second)
		if w.pdq.heard("rejected") != 1 {
			t.Errorf("the machine heard %q", w.pdq.calls)
		}
	})
}

// TestLimits: how long things take at most, and what is said then.
func TestLimits(t *testing.T) {
	inWorld(t, func(w *world) {
		at := w.begins(begun(`{"transactionType":"SALE","amount":1250,"currency":"GBP","cardholderNotPresent":true}`))
		pass(300*time.Second - time.Millisecond)
		if _, ended := w.polled(at).object()["transactionResult"]; ended {
			t.Error("it has ended before its time")
		}
		pass(time.Millisecond)
		got := w.polled(at).object()
		for name, want := range map[string]any{
			"transactionResult": "TIMED_OUT", "userMessage": spec.RESTTextOutcomeUnknown, "amountBase": 1250.0, "amountTotal": 1250.0,
			"paymentMethod": "UNKNOWN", "cardholderVerificationMethod": "UNKNOWN", "transactionType": "SALE", "currency": "GBP",
		} {
			if got[name] != want {
				t.Errorf("%s is %v", name, got[name])
			}
		}
		if got := w.do(ask{path: at, version: "v1"}).object()["cardholderVerificationMethod"]; got != "NONE" {
			t.Errorf("in v1 verified by %v", got)
		}
		again := w.begins(begun(`{"transactionType":"DUPLICATE"}`))
		if got := w.polled(again).object(); got["transactionResult"] != "TIMED_OUT" || got["userMessage"] != spec.RESTTextOutcomeUnknown || got["amountTotal"] != 1250.0 {
			t.Errorf("what is not known is repeated as %v", got)
		}
	})
	for name, err := range map[string]error{"not delivered": terminal.ErrNotDelivered, "busy by its own word": terminal.ErrBusy, "refused": &terminal.RefusedError{Reason: "no paper"}} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.pdq.start = func(terminal.Request) error { return err }
				at := w.begins(aSale())
				got := w.polled(at).object()
				if got["transactionResult"] != "UNSUCCESSFUL" || got["userMessage"] == nil || got["amountBase"] != 1250.0 {
					t.Errorf("what never ran is %v", got)
				}
				if rep := w.polled(w.begins(aReport("X_BALANCE"))).object(); rep["reportResult"] != "TIMED_OUT" {
					t.Errorf("a report that never ran is %v", rep)
				}
			})
		})
	}
	t.Run("cancelled before it was sent", func(t *testing.T) {
		inWorld(t, func(w *world) {
			w.store.set(func(c *counted) { c.slow = time.Second })
			f := w.follows(aSale())
			w.connects("pac").says(`{"jsonrpc":"2.0","id":1,"method":"cancelTransaction","params":{"tid":%q}}`, tid)
			pass(time.Minute)
			begun := &answer{w: w, body: f.pipe.text()}
			if at := begun.path(); w.pdq.heard("start") != 0 || w.polled(at).object()["transactionResult"] != "CANCELLED" {
				t.Errorf("the machine heard %q, and it is %s", w.pdq.calls, w.polled(at).body)
			}
			at := begun.path()
			if diff := cmp.Diff([]string{"TRANSACTION_FINISHED", "CANCELLING", "ATTEMPTING_CANCEL", "TRANSACTION_STARTED"}, w.polled(at).notes()); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]string{"TRANSACTION_FINISHED", "TRANSACTION_STARTED"}, w.do(ask{path: at, version: "v1"}).notes()); diff != "" {
				t.Error(diff)
			}
			if _, said := w.polled(at).object()["userMessage"]; said {
				t.Error("who cancelled is told why it was not taken")
			}
		})
	})
}

// TestReports: each type in each version, complete and not.
func TestReports(t *testing.T) {
	inWorld(t, func(w *world) {
		for _, version := range []string{"v0", "v1", "v2"} {
			for _, kind := range report.Types() {
				a := aReport(string(kind)).in(version)
				begun := w.do(a)
				at := begun.path()
				running := w.do(ask{path: at, version: version})
				if version == "v0" {
					running.says(textOf(spec.RESTReportRunning, version))
				} else if diff := cmp.Diff(map[string]any{"requestId": begun.object()["requestId"], "location": begun.object()["location"], "notifications": []any{"REPORT_STARTED"}}, running.is(http.StatusOK).object()); diff != "" {
					t.Errorf("running:\n%s", diff)
				}
				r := reported(kind)
				w.pdq.say(terminal.Reported{ID: w.pdq.newest(), Report: r})
				got := w.do(ask{path: at, version: version}).is(http.StatusOK)
				body := got.object()
				want := map[string]any{
					"requestId": begun.object()["requestId"], "location": begun.object()["location"],
					"reportType": string(kind), "reportTime": r.Time.In(london(t)).Format("2006-01-02T15:04:05"),
					"reportLines": body["reportLines"],
				}
				if version == "v0" {
					want["reportTime"] = r.Time.In(london(t)).Format("2006-01-02T15:04:05-07:00")
				} else {
					want["reportResult"], want["notifications"] = "COMPLETE", []any{"REPORT_FINISHED", "REPORT_STARTED"}
				}
				want[map[string]string{"v0": "tpi", "v1": "tpi", "v2": "tid"}[version]] = tid
				if kind != report.Banking {
					want["balances"] = body["balances"]
				}
				if kind == report.Banking || kind == report.EndOfDay {
					want["banking"] = map[string]any{}
				}
				if diff := cmp.Diff(want, body); diff != "" {
					t.Errorf("%s in %s (- want, + got):\n%s", kind, version, diff)
				}
				w.restart()
				if again := w.do(ask{path: at, version: version}); again.body != got.body {
					t.Errorf("it was %s, and is %s", got.body, again.body)
				}
			}
		}
	})
}

// TestReportIsComplete: the words that tills wait for are there once, as a text.
func TestReportIsComplete(t *testing.T) {
	inWorld(t, func(w *world) {
		for name, c := range map[string]struct {
			line  receipt.Line
			times int
		}{
			"said by the machine": {receipt.Line{Type: receipt.Text, Value: "REPORT COMPLETE"}, 1},
			"as no text":          {receipt.Line{Type: receipt.BoxDecline, Value: "REPORT COMPLETE"}, 2},
			"as a part":           {receipt.Line{Type: receipt.Text, Value: "  REPORT COMPLETE"}, 2},
		} {
			at := w.begins(aReport("END_OF_DAY"))
			r := reported(report.EndOfDay)
			r.Lines = append(r.Lines, c.line)
			w.pdq.say(terminal.Reported{ID: w.pdq.newest(), Report: r})
			body := w.polled(at).body
			if got := strings.Count(body, "REPORT COMPLETE"); got != c.times || !strings.Contains(body, `{"type":"TEXT","format":[],"value":"REPORT COMPLETE"}`) {
				t.Errorf("%s: %s", name, body)
			}
		}
	})
}

// TestReportsEnd: a report has an end after 120 s, wherever its machine is, and that
// stays.
func TestReportsEnd(t *testing.T) {
	for name, mishap := range map[string]func(w *world){
		"silent":   func(*world) {},
		"away":     func(w *world) { w.pdq.say(terminal.WentAway{}) },
		"restart":  func(w *world) { w.restart() },
		"away too": func(w *world) { w.pdq.say(terminal.WentAway{}); w.restart(); w.pdq.say(terminal.WentAway{}) },
		"no disk":  func(w *world) { w.store.set(func(c *counted) { c.err = errTest }) },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.pdq.query = func(txn.RequestID) (terminal.Answer, error) { return terminal.Answer{Kind: terminal.InProgress}, nil }
				at := w.begins(aReport("END_OF_DAY"))
				began := time.Now()
				pass(time.Second)
				mishap(w)
				pass(time.Until(began.Add(120 * time.Second)))
				got := w.polled(at)
				body := got.object()
				want := map[string]any{
					"requestId": body["requestId"], "location": body["location"], "notifications": []any{"REPORT_FINISHED", "REPORT_STARTED"},
					"tid": tid, "reportType": "END_OF_DAY", "reportResult": "TIMED_OUT", "reportTime": began.In(london(t)).Format("2006-01-02T15:04:05"),
					"reportLines": []any{map[string]any{"type": "TEXT", "format": []any{}, "value": "REPORT TIMED OUT"}},
					"balances": map[string]any{
						"currency": "GBP", "issuerTotals": map[string]any{}, "waiterTotals": map[string]any{}, "totalAmount": 0.0, "totalCashbackAmount": 0.0,
						"totalCashbackCount": 0.0, "totalGratuityAmount": 0.0, "totalGratuityCount": 0.0, "totalRefundsAmount": 0.0, "totalRefundsCount": 0.0,
						"totalSalesAmount": 0.0, "totalSalesCount": 0.0, "totalsSince": "",
					},
					"banking": map[string]any{},
				}
				if diff := cmp.Diff(want, body); diff != "" {
					t.Errorf("(- want, + got):\n%s", diff)
				}
				w.store.set(func(c *counted) { c.err = nil })
				w.pdq.say(terminal.CameBack{})
				w.pdq.say(terminal.Reported{ID: w.pdq.newest(), Report: reported(report.EndOfDay)})
				pass(time.Minute)
				if after := w.polled(at).body; after != got.body {
					t.Errorf("it was %s, and is %s", got.body, after)
				}
				w.restart()
				if after := w.polled(at).body; after != got.body {
					t.Errorf("after a restart it was %s, and is %s", got.body, after)
				}
			})
		})
	}
}

// TestDeviations: what a till makes up is recorded, without card numbers.
func TestDeviations(t *testing.T) {
	inWorld(t, func(w *world) {
		at := w.begins(begun(`{"transactionType":"SALE","amount":"1250","currency":"GBP","tip":1,"4111111111111111":"x","`+strings.Repeat("long", 1000)+`":1}`).with("Software-House-Id", "x"))
		records, err := w.store.Records(w.t.Context(), txn.RequestID(at[strings.LastIndexByte(at, '/')+1:]))
		if err != nil {
			t.Fatal(err)
		}
		first := string(records[0].Body)
		for _, want := range []string{"tip is not a field of this request.", "amount must be a whole number", "DEMOSWH", "DEMOINST", `"rest"`, `"v2"`} {
			if !strings.Contains(first, want) {
				t.Errorf("%q is not in %s", want, first)
			}
		}
		if strings.Contains(first, "4111111111111111") || len(first) > 4000 {
			t.Errorf("recorded: %s", first)
		}
	})
}

// TestLogNamesTills: the log says which till asked, and never a key.
func TestLogNamesTills(t *testing.T) {
	inWorld(t, func(w *world) {
		for user, shown := range map[string]string{"Bar 2": "till=\"Bar 2\"", demoKey + "-till": "till=…", "card 4111111111111111": "till=\"card ************1111\"", strings.Repeat("y", 100): "till=" + strings.Repeat("y", 64) + "…"} {
			a := aSale()
			a.auth = basic(user, demoKey)
			at := w.begins(a)
			id := at[strings.LastIndexByte(at, '/')+1:]
			found := slices.ContainsFunc(lines(w.log.String()), func(l string) bool {
				return strings.Contains(l, "request="+id) && strings.Contains(l, shown) && strings.Contains(l, "site=demo")
			})
			if !found {
				t.Errorf("%q: no line with %s in\n%s", user, fmt.Sprint(shown), w.log)
			}
			w.pdq.ends(outcome(txn.Declined))
		}
	})
}
