package rest_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// A tolerance is one line of section 11 of the contract: what tills in the field
// do, and what they find here.
type tolerance struct {
	number int
	name   string
	play   func(*world)
}

// TestTolerances plays each of them.
func TestTolerances(t *testing.T) {
	all := slices.Concat(tolerances(), tableTolerances())
	for _, c := range all {
		t.Run(fmt.Sprintf("%02d %s", c.number, c.name), func(t *testing.T) { inWorld(t, c.play) })
	}
	const lines = 31
	for n := 1; n <= lines; n++ {
		if !slices.ContainsFunc(all, func(c tolerance) bool { return c.number == n }) {
			t.Errorf("line %d has no test", n)
		}
	}
}

func tolerances() []tolerance {
	return []tolerance{
		{1, "names of users", func(w *world) {
			for _, user := range []string{"", " ", "42", "The Fox & Hounds", "Shop: Main Street: 3", "caf\xe9", ":", strings.Repeat("x", 500)} {
				for _, key := range []string{demoKey, " " + demoKey + " ", demoKey + "\t"} {
					w.do(ask{path: "/pac/terminals", auth: basic(user, key)}).is(http.StatusOK)
				}
			}
			w.do(ask{path: "/pac/terminals", auth: strings.TrimRight(basic("till", demoKey), "=")}).is(http.StatusOK)
			w.do(ask{path: "/pac/terminals", auth: strings.Replace(basic("till", demoKey), "Basic", "basic ", 1)}).is(http.StatusOK)
		}},
		{2, "no version", func(w *world) {
			want := w.do(ask{path: of(tid), version: "v1"}).object()
			for _, accept := range []string{"", "*/*", "application/json", "application/*", "text/plain", "x", ";", "text/html, image/gif, *; q=.2, */*; q=.2", "application/json, application/connect.v3+json"} {
				a := ask{path: of(tid), version: none}
				if accept != "" {
					a = a.with("Accept", accept)
				}
				got := w.do(a).is(http.StatusOK)
				if diff := cmp.Diff(want, got.object()); diff != "" || got.header.Get("Content-Type") != "application/json; charset=utf-8" {
					w.t.Errorf("Accept %q: %q (- v1, + got):\n%s", accept, got.header.Get("Content-Type"), diff)
				}
			}
			if got := w.do(ask{path: "/retail/terminals/" + tid, version: none}).object()["location"]; got != "http://gateway.example/retail/terminals/"+tid {
				w.t.Errorf("under the name of v0 the location is %v", got)
			}
		}},
		{3, "two slashes in front", func(w *world) {
			at := w.do(ask{method: http.MethodPost, path: "//pac/terminals/" + tid + "/transactions", body: saleBody, version: none}).is(http.StatusCreated).path()
			w.do(ask{path: "//" + at[1:], version: none}).is(http.StatusOK)
			w.do(ask{method: http.MethodPut, path: "//" + at[1:] + "/signature", body: `{"accepted":true}`}).is(http.StatusAccepted)
			w.do(ask{method: http.MethodDelete, path: "/" + at + "/"}).is(http.StatusAccepted)
		}},
		{4, "a content type on GET, and a body on DELETE", func(w *world) {
			at := w.begins(aSale())
			for _, kind := range []string{"application/json", "application/json; charset=utf-8", "application/connect.v1+json", "text/xml", ";;;", "multipart/form-data"} {
				w.do(ask{path: at}.with("Content-Type", kind)).is(http.StatusOK)
				sale := aSale().with("Content-Type", kind)
				sale.path = of(nextTID) + "/transactions"
				w.begins(sale)
				w.next.ends(outcome(txn.Declined))
			}
			for _, body := range []string{"{}", "", "{", "null"} {
				w.do(ask{method: http.MethodDelete, path: at, body: body}).is(http.StatusAccepted)
			}
		}},
		{5, "a browser asks first", func(w *world) {
			for _, path := range []string{"/pac/terminals", of(tid) + "/transactions", of(tid) + "/transactions/x/signature", "/retail/terminals", "/pat/tables/12/lock", "/nowhere", "//pac"} {
				for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH"} {
					got := w.do(ask{method: http.MethodOptions, path: path, version: none, without: []string{"Authorization"}}.with(
						"Origin", "https://till.example", "Access-Control-Request-Method", method, "Access-Control-Request-Headers", "authorization,content-type")).is(http.StatusNoContent)
					for name, want := range map[string]string{
						"Access-Control-Allow-Origin":          "*",
						"Access-Control-Allow-Methods":         "GET, HEAD, POST, PUT, DELETE, OPTIONS",
						"Access-Control-Allow-Headers":         "Authorization, Content-Type, Accept, Software-House-Id, Installer-Id, Idempotency-Key, Last-Event-ID, Cache-Control, X-Requested-With",
						"Access-Control-Max-Age":               "7200",
						"Access-Control-Allow-Private-Network": "",
					} {
						if got.header.Get(name) != want {
							w.t.Errorf("%s is %q, want %q", name, got.header.Get(name), want)
						}
					}
				}
			}
			if got := w.do(ask{method: http.MethodOptions, path: "/pac"}.with("Access-Control-Request-Private-Network", "true")); got.header.Get("Access-Control-Allow-Private-Network") != "true" {
				w.t.Error("a page may not call into a private network")
			}
			for _, a := range []ask{{path: "/pac/terminals"}, {path: "/pac/terminals", auth: "-"}, {path: "/nowhere"}, aSale()} {
				if got := w.do(a).header.Get("Access-Control-Expose-Headers"); got != "Content-Length, Location, Allow, Retry-After, Idempotency-Replayed" {
					w.t.Errorf("a page may read %q", got)
				}
			}
		}},
		{6, "success is one number", func(w *world) {
			for _, c := range []struct {
				version                                       string
				begin, poll, sign, cancel, report, reportPoll int
			}{
				{"v0", 201, 200, 202, 204, 200, 200},
				{"v1", 201, 200, 202, 204, 201, 200},
				{"v2", 201, 200, 202, 202, 201, 200},
			} {
				at := w.do(aSale().in(c.version)).is(c.begin).path()
				w.do(ask{path: at, version: c.version}).is(c.poll)
				w.pdq.asksSignature()
				if got := w.signs(at, c.version, true).is(c.sign); c.version == "v2" && (got.body != "" || got.header.Get("Content-Length") != "0") {
					w.t.Errorf("an empty 202 has %q and %v", got.body, got.header)
				}
				w.pdq.ends(outcome(txn.Successful))
				at = w.do(aSale().in(c.version)).is(c.begin).path()
				w.pdq.cancel = func(txn.RequestID) error {
					w.pdq.endsIn(0, txn.Cancelled)
					return nil
				}
				w.cancels(at, c.version).is(c.cancel)
				w.pdq.cancel = nil
				at = w.do(aReport("X_BALANCE").in(c.version)).is(c.report).path()
				w.pdq.say(terminal.Reported{ID: w.pdq.newest(), Report: reported(report.XBalance)})
				w.do(ask{path: at, version: c.version}).is(c.reportPoll)
			}
		}},
		{7, "what is known is there", func(w *world) {
			sale, rep := w.begins(aSale()), w.begins(ask{method: http.MethodPost, path: of(nextTID) + "/reports", body: `{"reportType":"X_BALANCE"}`})
			all := func(why string) {
				w.t.Helper()
				for _, path := range []string{sale, rep} {
					if got := w.do(ask{path: path}); got.status != http.StatusOK {
						w.t.Errorf("%s: %d %s", why, got.status, got.body)
					}
				}
				for _, version := range []string{"v0", "v1"} {
					w.do(ask{path: sale, version: version}).is(http.StatusOK)
				}
				w.signs(sale, "v2", true).is(http.StatusAccepted)
			}
			all("running")
			w.pdq.say(terminal.WentAway{})
			w.next.say(terminal.WentAway{})
			all("the card machines are away")
			w.refuses(ask{path: of(tid)}, spec.RESTTerminalUnavailable, "tid", tid)
			w.cancels(sale, "v2").is(http.StatusAccepted)
			pass(201 * time.Second)
			all("timed out")
			w.store.set(func(c *counted) { c.err = errTest })
			all("the journal is full")
			w.store.set(func(c *counted) { c.err = nil })
			pass(time.Minute)
			w.g.Close()
			w.h.Close()
			w.pdq, w.next = newMachine(), newMachine()
			w.open()
			w.pdq.say(terminal.WentAway{})
			all("after a restart")
			pass(24 * time.Hour)
			all("a day later")
		}},
		{8, "a loop without end", func(w *world) {
			for _, version := range []string{"v1", "v2"} {
				for _, kind := range []string{"END_OF_DAY", "BANKING", "X_BALANCE", "Z_BALANCE"} {
					at := w.do(aReport(kind).in(version)).is(http.StatusCreated).path()
					polls := 1
					for w.do(ask{path: at, version: version}).is(http.StatusOK).object()["reportResult"] == nil {
						if polls++; polls > 121 {
							w.t.Fatalf("%s: no end after %d polls", kind, polls)
						}
						pass(time.Second)
					}
				}
			}
			at := w.do(aReport("X_BALANCE").in("v0")).is(http.StatusOK).path()
			for polls := 1; w.do(ask{path: at, version: "v0"}).status == http.StatusConflict; pass(time.Second) {
				if polls++; polls > 121 {
					w.t.Fatalf("no end after %d polls", polls)
				}
			}
		}},
		{9, "the first notification is not looked for", func(w *world) {
			at := w.begins(aSale())
			for _, version := range []string{"v0", "v1", "v2"} {
				if got := w.do(ask{path: at, version: version}).notes(); len(got) == 0 || got[0] != "TRANSACTION_STARTED" {
					w.t.Errorf("at first %q", got)
				}
			}
			w.pdq.ends(outcome(txn.Declined))
			w.pdq.start = func(terminal.Request) error { return terminal.ErrNotDelivered }
			never := w.begins(aSale())
			if diff := cmp.Diff([]string{"TRANSACTION_FINISHED", "TRANSACTION_STARTED"}, w.polled(never).notes()); diff != "" {
				w.t.Errorf("what never ran (- want, + got):\n%s", diff)
			}
		}},
		{10, "a result that is there ends the poll", func(w *world) {
			at := w.begins(aSale())
			w.pdq.shows("PRESENT_CARD", "APPROVED")
			for _, version := range []string{"v0", "v1", "v2"} {
				if got := w.do(ask{path: at, version: version}).object(); len(got) != 3 {
					w.t.Errorf("while it runs it has %v", got)
				}
			}
		}},
		{11, "the end is looked for in the text", func(w *world) {
			at := w.begins(aSale())
			w.store.set(func(c *counted) { c.slow = time.Second }) // the outcome takes its time to the disk
			w.pdq.endsIn(0, txn.Successful)
			for range 30 {
				pass(50 * time.Millisecond)
				body := w.polled(at).body
				if strings.Contains(body, "TRANSACTION_FINISHED") != strings.Contains(body, `"transactionResult":"SUCCESSFUL"`) {
					w.t.Fatalf("half an end: %s", body)
				}
			}
			if !strings.Contains(w.polled(at).body, "TRANSACTION_FINISHED") {
				w.t.Error("it never ended")
			}
		}},
		{12, "the question is looked for in the text", func(w *world) {
			at := w.begins(aSale())
			w.pdq.shows("PRESENT_CARD", "APPROVED", "REMOVE_CARD")
			if body := w.polled(at).body; strings.Contains(body, "SIGNATURE") {
				w.t.Errorf("before it is asked: %s", body)
			}
			w.pdq.ends(outcome(txn.Successful))
			if body := w.polled(at).body; strings.Contains(body, "SIGNATURE") {
				w.t.Errorf("it was never asked: %s", body)
			}
		}},
		{13, "the question is looked for in the first place", func(w *world) {
			at := w.begins(aSale())
			w.pdq.asksSignature()
			asks := func(why string) {
				w.t.Helper()
				for _, version := range []string{"v0", "v1", "v2"} {
					got := w.do(ask{path: at, version: version})
					if notes := got.notes(); notes[0] != "SIGNATURE_VERIFICATION" || strings.Contains(got.body, "IN_PROGRESS") {
						w.t.Errorf("%s: %s", why, got.body)
					}
					if cvm := got.object()["cardholderVerificationMethod"]; (cvm == "SIGNATURE") != (version != "v0") {
						w.t.Errorf("%s: in %s verified by %v", why, version, cvm)
					}
				}
			}
			asks("at once")
			w.pdq.shows("PLEASE_WAIT")
			asks("although the machine goes on")
			w.cancels(at, "v2").is(http.StatusAccepted)
			asks("although somebody wants to cancel")
			w.pdq.say(terminal.WentAway{})
			asks("although the machine is away")
			w.pdq.query = func(txn.RequestID) (terminal.Answer, error) { return terminal.Answer{Kind: terminal.InProgress}, nil }
			w.pdq.say(terminal.CameBack{})
			asks("although the machine was away")
			pass(time.Second) // notes come to disk a moment later
			w.restart()
			asks("after a restart")
			w.pdq.asksSignature()
			asks("asked again")
			w.signs(at, "v2", false).is(http.StatusAccepted)
			if notes := w.polled(at).notes(); slices.Index(notes, "SIGNATURE_VERIFICATION") < 1 || slices.Index(notes, "SIGNATURE_VERIFICATION_IN_PROGRESS") < 0 {
				w.t.Errorf("after the answer %q", notes)
			}
			if w.pdq.heard("rejected") != 1 {
				w.t.Errorf("the machine heard %q", w.pdq.calls)
			}
		}},
		{14, "one tap, many requests", func(w *world) {
			at := w.begins(aSale())
			for range 5 {
				w.cancels(at, "v2").is(http.StatusAccepted)
			}
			if w.pdq.heard("cancel") != 1 {
				w.t.Errorf("the machine heard %q", w.pdq.calls)
			}
			w.pdq.shows("UNABLE_TO_CANCEL")
			w.pdq.asksSignature()
			w.signs(at, "v2", true).is(http.StatusAccepted)
			for range 5 {
				w.signs(at, "v2", true).is(http.StatusAccepted)
				w.signs(at, "v2", false).is(http.StatusAccepted)
			}
			if w.pdq.heard("accepted") != 1 || w.pdq.heard("rejected") != 0 {
				w.t.Errorf("the machine heard %q", w.pdq.calls)
			}
			w.pdq.ends(outcome(txn.Successful))
			w.signs(at, "v2", false).is(http.StatusAccepted)
			w.cancels(at, "v2").is(http.StatusAccepted)
			if got := w.polled(at).object()["transactionResult"]; got != "SUCCESSFUL" {
				w.t.Errorf("it became %v", got)
			}
		}},
		{15, "204 is a promise", func(w *world) {
			for _, version := range []string{"v0", "v1"} {
				for _, c := range []struct {
					end  txn.Result
					want int
				}{{txn.Cancelled, 204}, {txn.Successful, 422}, {txn.Declined, 422}, {txn.Void, 422}, {txn.Unsuccessful, 422}, {"", 422}} {
					at := w.begins(aSale())
					w.pdq.cancel = func(txn.RequestID) error {
						if c.end != "" {
							w.pdq.endsIn(5*time.Second, c.end)
						}
						return nil
					}
					began := time.Now()
					got := w.cancels(at, version).is(c.want)
					if took := time.Since(began); c.end != "" && took != 5*time.Second || c.end == "" && took != 10*time.Second {
						w.t.Errorf("%s: it took %s", c.end, took)
					}
					if c.want == 422 {
						got.says(textOf(spec.RESTCancelRefused, version))
					}
					if c.end == "" {
						if w.pdq.heard("cancel") == 0 {
							w.t.Error("the wish did not reach the machine")
						}
						w.pdq.ends(outcome(txn.Cancelled))
						c.want = 204
					}
					w.cancels(at, version).is(c.want) // once more
					w.pdq.cancel = nil
				}
			}
		}},
		{16, "silence accepts", func(w *world) {
			at := w.begins(aSale())
			w.pdq.asksSignature()
			pass(80*time.Second - time.Millisecond)
			if w.pdq.heard("accepted") != 0 {
				w.t.Error("accepted before its time")
			}
			pass(time.Millisecond)
			if w.pdq.heard("accepted") != 1 {
				w.t.Error("silence was not taken for a yes")
			}
			w.signs(at, "v2", false).is(http.StatusAccepted)
			w.signs(at, "v1", false).says(textOf(spec.RESTSignatureRefused, "v1"))
			w.signs(at, "v1", true).says(textOf(spec.RESTSignatureRefused, "v1"))
			w.pdq.ends(outcome(txn.Successful))
			got := w.polled(at)
			if body := got.object(); body["transactionResult"] != "SUCCESSFUL" || body["userMessage"] != spec.RESTTextSignatureTimeout {
				w.t.Errorf("it became %v", body)
			}
			if !slices.Contains(got.notes(), "SIGNATURE_VERIFICATION_TIMEOUT") {
				w.t.Errorf("it says %q", got.notes())
			}
			if _, said := w.do(ask{path: at, version: "v1"}).object()["userMessage"]; said {
				w.t.Error("v1 has no userMessage")
			}
		}},
		{17, "accepted as a string", func(w *world) {
			for body, want := range map[string]string{`{"accepted":"true"}`: "accepted", `{"accepted":"false"}`: "rejected", `{"accepted":true,"x":1}`: "accepted", "\ufeff" + `{"accepted":false}`: "rejected"} {
				at := w.begins(aSale())
				w.pdq.asksSignature()
				for _, bad := range []string{`{}`, `{"accepted":null}`, `{"accepted":""}`, `{"accepted":"True"}`, `{"accepted":1}`, `{"accepted":"yes"}`, `{"Accepted":true}`, `{"accepted":[true]}`, `true`, ``} {
					got := w.do(ask{method: http.MethodPut, path: at + "/signature", body: bad}).is(http.StatusUnprocessableEntity)
					if strings.HasPrefix(bad, "{") && !strings.Contains(got.text(), "accepted") {
						w.t.Errorf("%s: it says %q", bad, got.text())
					}
				}
				before := w.pdq.heard(want)
				w.do(ask{method: http.MethodPut, path: at + "/signature", body: body}).is(http.StatusAccepted)
				if w.pdq.heard(want) != before+1 {
					w.t.Errorf("%s: the machine heard %q", body, w.pdq.calls)
				}
				w.pdq.ends(outcome(txn.Void))
			}
		}},
		{18, "fields that say nothing", func(w *world) {
			for _, body := range []string{
				`{"transactionType":"SALE","amount":1250,"currency":"GBP","authCode":"","cardholderNotPresent":false,"amountCashback":0}`,
				`{"transactionType":"SALE","amount":1250,"currency":"GBP","authCode":null,"cardholderNotPresent":null,"amountCashback":null,"amountPreAuthorisedTotal":null}`,
				`{"transactionType":"SALE","amount":1250,"currency":"GBP","authCode":17,"amountPreAuthorisedTotal":"x"}`,
				`{"transactionType":"REFUND","amount":1250,"currency":"GBP","amountCashback":0,"authCode":"78YT6RS0"}`,
				`{"transactionType":"DUPLICATE","amount":1250,"currency":"GBP"}`,
				`{"transactionType":"DUPLICATE","amount":-1}`,
				`{"transactionType":"DUPLICATE"}`,
				`{"transactionType":"ACCOUNT_VERIFICATION","amount":"x"}`,
			} {
				w.begins(ask{method: http.MethodPost, path: of(tid) + "/transactions", body: body})
				if !strings.Contains(body, "DUPLICATE") {
					o := outcome(txn.Declined)
					if strings.Contains(body, "REFUND") {
						o.Type = txn.Refund
					}
					w.pdq.ends(o)
				}
			}
		}},
		{19, "amounts in other clothes", func(w *world) {
			for amount, want := range map[string]float64{"1234": 1234, "1234.0": 1234, "1234.000": 1234, `"1234"`: 1234, "99999999": 99999999, "1": 1} {
				at := w.begins(ask{method: http.MethodPost, path: of(tid) + "/transactions", body: fmt.Sprintf(`{"transactionType":"SALE","amount":%s,"currency":"GBP"}`, amount)})
				pass(201 * time.Second) // what was attempted is said
				if got := w.polled(at).object()["amountBase"]; got != want {
					w.t.Errorf("%s became %v", amount, got)
				}
				w.pdq.ends(outcome(txn.Declined))
			}
			written := w.store.written()
			for _, amount := range []string{"1998.9999999999998", "0", "-1", "-0", "+1", "1e2", "100000000", "99999999999999999999999", `"1234.5"`, `"1,234"`, `" 1"`, `""`, `"0x1"`, "true", "{}", "[1]", "null", "1.5", `"१"`} {
				got := w.do(ask{method: http.MethodPost, path: of(tid) + "/transactions", body: fmt.Sprintf(`{"transactionType":"SALE","amount":%s,"currency":"GBP"}`, amount)}).is(http.StatusUnprocessableEntity)
				if amount != "+1" && !strings.HasPrefix(got.text(), "amount ") {
					w.t.Errorf("%s: it says %q", amount, got.text())
				}
			}
			if w.store.written() != written {
				w.t.Error("something was written")
			}
		}},
		{20, "amounts are numbers of 32 bits", func(w *world) {
			for _, r := range []txn.Result{txn.Successful, txn.Declined, ""} {
				at := w.begins(aSale())
				if r == "" {
					pass(201 * time.Second)
				} else {
					w.pdq.ends(outcome(r))
				}
				for _, version := range []string{"v0", "v1", "v2"} {
					got := w.do(ask{path: at, version: version})
					body := got.object()
					for _, name := range []string{"amountBase", "amountCashback", "amountGratuity", "amountTotal"} {
						n, ok := body[name].(float64)
						if !ok || n != float64(int32(n)) || !strings.Contains(got.body, fmt.Sprintf("%q:%d,", name, int32(n))) {
							w.t.Errorf("%s: %s is %v", r, name, body[name])
						}
					}
					if strings.Contains(got.body, "null") {
						w.t.Errorf("%s: %s", r, got.body)
					}
				}
			}
		}},
		{21, "only the location is called again", func(w *world) {
			begun := w.do(aSale()).is(http.StatusCreated)
			at := begun.object()["location"]
			same := func(a ask) {
				w.t.Helper()
				if got := w.do(a).object()["location"]; got != at {
					w.t.Errorf("the location is %v, want %v", got, at)
				}
			}
			path := begun.path()
			same(ask{path: path})
			w.pdq.asksSignature()
			same(ask{path: path})
			w.pdq.ends(outcome(txn.Successful))
			same(ask{path: path})
			same(ask{path: strings.Replace(path, "pac", "retail", 1)})
			w.do(ask{path: path, version: "v0"})
			if got, want := w.do(ask{path: path, version: "v0"}).path(), strings.Replace(path, "pac", "retail", 1); got != want {
				w.t.Errorf("in v0 it is at %s", got)
			}
			rep := w.do(aReport("X_BALANCE")).is(http.StatusCreated)
			at = rep.object()["location"]
			same(ask{path: rep.path()})
			pass(121 * time.Second)
			same(ask{path: rep.path()})
			for _, one := range w.do(ask{path: "/pac/terminals"}).object()["terminals"].([]any) {
				terminal := one.(map[string]any)
				if got, want := terminal["location"], "http://gateway.example/pac/terminals/"+terminal["tid"].(string); got != want {
					w.t.Errorf("a terminal is at %v, want %v", got, want)
				}
			}
		}},
		{22, "tills wait for a second", func(w *world) {
			stuck := make(chan struct{})
			defer close(stuck)
			w.pdq.start = func(terminal.Request) error { <-stuck; return nil }
			quick := func(a ask) *answer {
				w.t.Helper()
				began := time.Now()
				got := w.do(a)
				if took := time.Since(began); took > 500*time.Millisecond {
					w.t.Errorf("%s took %s", got.what, took)
				}
				return got
			}
			at := quick(aSale()).is(http.StatusCreated).path()
			for range 50 { // faster than anybody should
				quick(ask{path: at}).is(http.StatusOK)
				quick(ask{path: "/pac/terminals"}).is(http.StatusOK)
				quick(ask{path: of(tid)}).is(http.StatusOK)
			}
			quick(ask{method: http.MethodDelete, path: at}).is(http.StatusAccepted)
			quick(ask{method: http.MethodPut, path: at + "/signature", body: `{"accepted":true}`}).is(http.StatusAccepted)
			quick(aSale()).is(http.StatusUnprocessableEntity)
			quick(aReport("X_BALANCE")).is(http.StatusUnprocessableEntity)
		}},
		{23, "tills that give up early", func(w *world) {
			at := w.begins(aSale())
			pass(150 * time.Second)
			w.pdq.ends(outcome(txn.Successful))
			pass(6 * 24 * time.Hour)
			if got := w.polled(at).object()["transactionResult"]; got != "SUCCESSFUL" {
				w.t.Errorf("it is %v", got)
			}
			pass(25 * time.Hour)
			w.refuses(ask{path: at}, spec.RESTUnknownRequest)
		}},
		{24, "tills that were restarted", func(w *world) {
			at := w.begins(aSale())
			w.pdq.shows("PRESENT_CARD")
			w.pdq.query = func(txn.RequestID) (terminal.Answer, error) { return terminal.Answer{Kind: terminal.InProgress}, nil }
			pass(time.Second)
			w.restart()
			if got := w.polled(at).notes(); !slices.Equal(got, []string{"PRESENT_CARD", "TRANSACTION_STARTED"}) {
				w.t.Errorf("it says %q", got)
			}
			w.pdq.ends(outcome(txn.Successful))
			before := w.polled(at).body
			w.restart()
			if after := w.polled(at).body; after != before {
				w.t.Errorf("it was %s, and is %s", before, after)
			}
		}},
		{25, "what reports are waited for by", func(w *world) {
			for _, version := range []string{"v0", "v1", "v2"} {
				for _, complete := range []bool{true, false} {
					status := http.StatusCreated
					if version == "v0" {
						status = http.StatusOK
					}
					at := w.do(aReport("END_OF_DAY").in(version)).is(status).path()
					if complete {
						w.pdq.say(terminal.Reported{ID: w.pdq.newest(), Report: reported(report.EndOfDay)})
					} else {
						pass(121 * time.Second)
					}
					got := w.do(ask{path: at, version: version}).is(http.StatusOK)
					body := got.object()
					if _, has := body["balances"].(map[string]any); !has {
						w.t.Errorf("no balances: %s", got.body)
					}
					if version != "v0" && !slices.Contains(got.notes(), "REPORT_FINISHED") {
						w.t.Errorf("it says %q", got.notes())
					}
					words := `{"type":"TEXT","format":[],"value":"REPORT COMPLETE"}`
					if strings.Contains(got.body, words) != complete || strings.Contains(got.body, "REPORT COMPLETE") != complete {
						w.t.Errorf("complete %t: %s", complete, got.body)
					}
				}
			}
		}},
		{26, "lists and maps that are not looked for", func(w *world) {
			var all []string
			for _, r := range []txn.Result{txn.Successful, txn.Cancelled, ""} {
				at := w.begins(aSale())
				if r == "" {
					pass(201 * time.Second)
				} else {
					o := outcome(r)
					o.Receipts.Merchant = nil
					w.pdq.ends(o)
				}
				all = append(all, at)
			}
			all = append(all, w.begins(ask{method: http.MethodPost, path: of(nextTID) + "/transactions", body: `{"transactionType":"DUPLICATE"}`}))
			for _, at := range all {
				var body struct {
					ReceiptLines map[string][]map[string]any `json:"receiptLines"`
				}
				w.polled(at).read(&body)
				for _, copy := range []string{"MERCHANT", "CUSTOMER"} {
					list, has := body.ReceiptLines[copy]
					if !has || list == nil {
						w.t.Errorf("no list of %s", copy)
					}
					for _, l := range list {
						if _, is := l["value"].(string); !is {
							w.t.Errorf("a line without a value: %v", l)
						}
					}
				}
			}
			for _, kind := range report.Types() {
				for _, complete := range []bool{true, false} {
					at := w.begins(ask{method: http.MethodPost, path: of(nextTID) + "/reports", body: fmt.Sprintf(`{"reportType":%q}`, kind)})
					if complete {
						w.next.say(terminal.Reported{ID: w.next.newest(), Report: reported(kind)})
					} else {
						pass(121 * time.Second)
					}
					body := w.polled(at).object()
					if balances, has := body["balances"].(map[string]any); has != (kind != report.Banking) || has && (balances["issuerTotals"] == nil || balances["waiterTotals"] == nil) {
						w.t.Errorf("%s, complete %t: balances %v", kind, complete, body["balances"])
					}
					if _, has := body["banking"].(map[string]any); has != (kind == report.Banking || kind == report.EndOfDay) {
						w.t.Errorf("%s, complete %t: banking %v", kind, complete, body["banking"])
					}
					if lines, _ := body["reportLines"].([]any); len(lines) == 0 {
						w.t.Errorf("%s, complete %t: no lines", kind, complete)
					}
				}
			}
		}},
		{29, "everything is read all the time", func(w *world) {
			list := w.endpoints()
			w.pdq.ends(outcome(txn.Successful))
			pass(time.Minute)
			written := w.store.written()
			for range 20 {
				for _, e := range list {
					if e.ask.method == "" && e.name != "events" {
						w.do(e.ask.in(e.versions[0])).is(http.StatusOK)
					}
				}
				pass(10 * time.Second)
			}
			if got := w.store.written(); got != written {
				w.t.Errorf("%d appends", got-written)
			}
		}},
		{30, "the truth comes late", func(w *world) {
			at := w.begins(aSale())
			pass(200 * time.Second)
			before := w.polled(at).body
			if got := w.do(ask{path: at + "?extensions=late"}).is(http.StatusOK).body; got != before {
				w.t.Errorf("there is nothing late yet: %s", got)
			}
			w.pdq.ends(outcome(txn.Successful))
			for range 2 {
				if after := w.polled(at).body; after != before {
					w.t.Errorf("it was %s, and is %s", before, after)
				}
				for _, query := range []string{"?extensions=late", "?extensions=x,%20late", "?extensions=x&extensions=late"} {
					got := w.do(ask{path: at + query}).is(http.StatusOK)
					late, _ := got.object()["lateResult"].(map[string]any)
					if late["transactionResult"] != "SUCCESSFUL" || late["amountTotal"] != 1250.0 || got.object()["transactionResult"] != "TIMED_OUT" {
						w.t.Errorf("with what is late it is %s", got.body)
					}
				}
				w.restart()
			}
			again := w.begins(ask{method: http.MethodPost, path: of(tid) + "/transactions", body: `{"transactionType":"DUPLICATE"}`})
			if got := w.polled(again).object(); got["transactionResult"] != "SUCCESSFUL" || got["transactionType"] != "SALE" || got["amountTotal"] != 1250.0 {
				w.t.Errorf("the last transaction is %v", got)
			}
		}},
		{31, "PATCH without a body", func(w *world) {
			at := w.begins(aSale())
			w.pdq.asksSignature()
			for _, method := range []string{http.MethodPatch, http.MethodPost, http.MethodGet, http.MethodDelete} {
				for _, body := range []string{"", `{"accepted":true}`} {
					got := w.refuses(ask{method: method, path: at + "/signature", body: body}, spec.RESTMethodNotAllowed)
					if got.header.Get("Allow") != "PUT, OPTIONS" {
						w.t.Errorf("Allow %q", got.header.Get("Allow"))
					}
				}
			}
			if w.pdq.heard("accepted")+w.pdq.heard("rejected") != 0 || w.polled(at).notes()[0] != "SIGNATURE_VERIFICATION" {
				w.t.Error("it was taken for an answer")
			}
		}},
	}
}

// tableTolerances are those about tables.
func tableTolerances() []tolerance {
	return []tolerance{
		{2, "no version for tables", func(w *world) {
			w.stores("events", 4550)
			for _, path := range []string{"/pat/tables", "/pat/tables/events"} {
				want := w.do(ask{path: path, version: "v1"}).is(http.StatusOK)
				if got := w.do(ask{path: path, version: none}).is(http.StatusOK); got.body != want.body {
					w.t.Errorf("%s: %s instead of %s", path, got.body, want.body)
				}
			}
			w.do(ask{path: "/pat/tables", version: "v2"}).says(textOf(spec.RESTNoTablesInV2, "v2"))
		}},
		{3, "two slashes in front of tables", func(w *world) {
			w.do(ask{method: http.MethodPut, path: "//pat//tables/", version: none, body: `{"tableName":"12","amount":4550,"currency":"GBP"}`}).is(http.StatusCreated)
			w.do(ask{path: "//pat/tables//12", version: none}).is(http.StatusOK)
		}},
		{4, "a DELETE whose body counts", func(w *world) {
			at := w.stores("12", 4550)
			w.do(ask{method: http.MethodDelete, path: at, version: "v1"}).is(http.StatusUnprocessableEntity)
			w.do(ask{method: http.MethodDelete, path: at, version: "v1", body: `{"lastKnownAmount":4550,"lastKnownPaidAmount":0}`}.with("Content-Type", "text/plain")).is(http.StatusNoContent)
			w.refuses(ask{path: at, version: "v1"}, spec.RESTUnknownTable)
		}},
		{27, "a receipt with what was known before", func(w *world) {
			at := w.stores("12", 4550)
			w.do(ask{method: http.MethodPut, path: at + "/amount", version: "v1", body: `{"lastKnownAmount":4550,"lastKnownPaidAmount":0,"newAmount":5000}`}).is(http.StatusNoContent)
			before := w.do(ask{path: at + "?receipt=true", version: "v1"}).is(http.StatusOK).body
			written := w.store.written()
			for body, name := range map[string]string{
				`{"lastKnownAmount":4550,"lastKnownPaidAmount":0,"newReceipt":[{"value":"50.00"}]}`: spec.RESTAmountDiffers,
				`{"lastKnownAmount":5000,"lastKnownPaidAmount":1,"newReceipt":[{"value":"50.00"}]}`: spec.RESTPaidAmountDiffers,
			} {
				w.refuses(ask{method: http.MethodPut, path: at + "/receipt", version: "v1", body: body}, name)
			}
			if after := w.do(ask{path: at + "?receipt=true", version: "v1"}).body; after != before || w.store.written() != written {
				w.t.Errorf("it was %s, and is %s", before, after)
			}
			w.do(ask{method: http.MethodPut, path: at + "/receipt", version: "v1", body: `{"lastKnownAmount":5000,"lastKnownPaidAmount":0,"newReceipt":[{"value":"50.00"}]}`}).is(http.StatusNoContent)
		}},
		{28, "locks by one name", func(w *world) {
			at := w.stores("12", 4550)
			for _, override := range []string{"", `,"override":false`, `,"override":true`, `,"override":"true"`} {
				for _, locked := range []bool{true, true, false, false} {
					w.do(ask{method: http.MethodPut, path: at + "/lock", version: "v1", body: fmt.Sprintf(
						`{"lastKnownAmount":4550,"lastKnownPaidAmount":0,"locked":%t,"lockedBy":"17"%s}`, locked, override)}).is(http.StatusNoContent)
					if got := w.do(ask{path: at, version: "v1"}).object(); got["locked"] != locked || (got["lockedBy"] == "17") != locked {
						w.t.Errorf("it is locked %v by %v", got["locked"], got["lockedBy"])
					}
				}
			}
		}},
		{29, "every table is read all the time", func(w *world) {
			for i := range 20 {
				w.stores(fmt.Sprint("table ", i), 1000)
			}
			written := w.store.written()
			for range 100 {
				for i := range 20 {
					w.do(ask{path: fmt.Sprintf("/pat/tables/table%%20%d?receipt", i), version: "v1"}).is(http.StatusOK)
				}
				w.do(ask{path: "/pat/tables", version: "v0"}).is(http.StatusOK)
				w.do(ask{path: "/pat/reports", version: "v1"}).is(http.StatusOK)
				pass(10 * time.Second)
			}
			if got := w.store.written(); got != written {
				w.t.Errorf("%d appends", got-written)
			}
		}},
	}
}

// stores stores a table and returns where it is.
func (w *world) stores(name string, amount int) string {
	w.t.Helper()
	return w.do(ask{method: http.MethodPut, path: "/pat/tables", version: "v1", body: fmt.Sprintf(`{"tableName":%q,"amount":%d,"currency":"GBP"}`, name, amount)}).is(http.StatusCreated).path()
}
