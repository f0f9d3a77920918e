package rest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal/sim"
)

// known begins a body with what the till believes.
func known(amount, paid int, more string) string {
	if more != "" {
		more = "," + more
	}
	return fmt.Sprintf(`{"lastKnownAmount":%d,"lastKnownPaidAmount":%d%s}`, amount, paid, more)
}

// writes changes a table; word is the end of its path.
func (w *world) writes(at, word, version, body string) *answer {
	w.t.Helper()
	method := http.MethodPut
	if word == "" {
		method = http.MethodDelete
	} else {
		at += "/" + word
	}
	return w.do(ask{method: method, path: at, version: version, body: body})
}

func (w *world) locks(at string, locked bool, more string) *answer {
	w.t.Helper()
	return w.writes(at, "lock", "v1", known(4550, 0, fmt.Sprintf(`"locked":%t%s`, locked, more)))
}

// TestTable has a table from its beginning to its end, in both versions.
func TestTable(t *testing.T) {
	inWorld(t, func(w *world) {
		for _, version := range []string{"v0", "v1"} {
			for _, method := range []string{http.MethodPut, http.MethodPost} {
				create := ask{method: method, path: "/pat/tables", version: version, body: `{"tableName":"12","amount":4550,"currency":"GBP","waiterIds":["3"],"receipt":[{"value":"45.50"}]}`}
				got := w.do(create).is(http.StatusCreated)
				at := "http://gateway.example/pat/tables/12"
				if diff := cmp.Diff(map[string]any{"location": at, "tableName": "12"}, got.object()); diff != "" || got.header.Get("Location") != at {
					t.Errorf("Location %q, %s", got.header.Get("Location"), diff)
				}
				got = w.do(create).is(http.StatusConflict)
				status, text := textOf(spec.RESTTableExists, version)
				got.status = status
				if want := map[string]any{"v0": []any{at}, "v1": at}[version]; !cmp.Equal(got.object()["location"], want) || !strings.Contains(got.body, text) {
					t.Errorf("of a name that is taken: %s", got.body)
				}
				path := "/pat/tables/12"
				want := map[string]any{
					"tableName": "12", "amount": 4550.0, "amountPaid": 0.0, "amountCashback": 0.0, "amountGratuity": 0.0,
					"payments": []any{}, "locked": false, "lockedBy": "", "waiterIds": []any{"3"},
				}
				paper := []any{map[string]any{"type": "TEXT", "format": []any{}, "value": "45.50"}}
				if version == "v0" {
					want["receipt"] = paper
				}
				if diff := cmp.Diff(want, w.do(ask{path: path, version: version}).is(http.StatusOK).object()); diff != "" {
					t.Errorf("it is (- want, + got):\n%s", diff)
				}
				if diff := cmp.Diff([]any{any(want)}, w.do(ask{path: "/pat/tables", version: version}).object()["tables"]); diff != "" {
					t.Errorf("the list (- want, + got):\n%s", diff)
				}
				want["receipt"] = paper
				for _, query := range []string{"?receipt=true", "?receipt=1", "?receipt", "?receipt="} {
					if diff := cmp.Diff(want, w.do(ask{path: path + query, version: version}).object()); diff != "" {
						t.Errorf("with its receipt, %s (- want, + got):\n%s", query, diff)
					}
				}
				for word, more := range map[string]string{"amount": `"newAmount":4550`, "receipt": `"newReceipt":[]`, "waiterids": `"newWaiterIds":[]`, "lock": `"locked":false`} {
					w.writes(path, word, version, known(4550, 0, more)).is(http.StatusNoContent)
					w.writes(path, word, version, known(4551, 0, more)).says(textOf(spec.RESTAmountDiffers, version))
					w.writes(path, word, version, known(4550, 1, more)).says(textOf(spec.RESTPaidAmountDiffers, version))
					w.writes("/pat/tables/99", word, version, known(4550, 0, more)).says(textOf(spec.RESTUnknownTable, version))
				}
				w.writes(path, "", version, known(1, 0, "")).says(textOf(spec.RESTAmountDiffers, version))
				w.writes("/pat/tables/99", "", version, known(4550, 0, "")).says(textOf(spec.RESTUnknownTable, version))
				w.restart()
				w.writes(path, "", version, known(4550, 0, "")).is(http.StatusNoContent)
				w.do(ask{path: path, version: version}).says(textOf(spec.RESTUnknownTable, version))
				w.do(ask{path: "/pat/reports/none", version: version}).says(textOf(spec.RESTUnknownReport, version))
			}
		}
	})
}

// TestTableFilters lists some of the tables.
func TestTableFilters(t *testing.T) {
	inWorld(t, func(w *world) {
		w.stores("a", 4550)
		locked := w.stores("b", 4550)
		w.locks(locked, true, "").is(http.StatusNoContent)
		w.do(ask{method: http.MethodPut, path: "/pat/tables", version: "v1", body: `{"tableName":"c","amount":1,"currency":"EUR"}`}).is(http.StatusCreated)
		for query, want := range map[string]string{
			"": "a b c", "?locked=true": "b", "?locked=false": "a c", "?currency=EUR": "c", "?currency=GBP&locked=true": "b", "?locked=": "a b c", "?x=y": "a b c",
		} {
			var body struct {
				Tables []struct {
					TableName string `json:"tableName"`
				} `json:"tables"`
			}
			w.do(ask{path: "/pat/tables" + query, version: "v1"}).is(http.StatusOK).read(&body)
			var names []string
			for _, one := range body.Tables {
				names = append(names, one.TableName)
			}
			if got := strings.Join(names, " "); got != want {
				t.Errorf("%s: %s, want %s", query, got, want)
			}
		}
		for _, version := range []string{"v0", "v1"} {
			w.do(ask{path: "/pat/tables?locked=yes", version: version}).says(textOf(spec.RESTBadParameter, version, "fault", "locked must be true or false."))
			w.do(ask{path: "/pat/tables?currency=USD", version: version}).says(textOf(spec.RESTBadParameter, version, "fault", "currency must be GBP or EUR."))
		}
	})
}

// TestTableNames: what a table can be called, and how it is found again.
func TestTableNames(t *testing.T) {
	inWorld(t, func(w *world) {
		for name, path := range map[string]string{
			"12": "12", "Tisch 7": "Tisch%207", "a/b": "a%2Fb", "//": "%2F%2F", "50%": "50%25", "café": "caf%C3%A9", "桌子": "%E6%A1%8C%E5%AD%90", "?x=y&z": "%3Fx=y&z", "#1": "%231",
			"...": "...", "events": "events", "é́": "%C3%A9%CC%81", strings.Repeat("桌", 64): strings.Repeat("%E6%A1%8C", 64), "a;b": "a%3Bb", `"\`: "%22%5C", " ": "%20",
		} {
			at := w.stores(name, 100)
			if at != "/pat/tables/"+path {
				t.Errorf("%q is at %s, want %s", name, at, path)
			}
			if got := w.do(ask{path: at, version: "v1"}).is(http.StatusOK).object()["tableName"]; got != name {
				t.Errorf("at %s is %v", at, got)
			}
			w.do(ask{path: "/" + strings.Replace(at, "tables", "TABLES", 1) + "/", version: "v1"}).is(http.StatusOK)
			w.writes(at, "", "v1", known(100, 0, "")).is(http.StatusNoContent)
		}
		w.stores("Bar", 100)
		for _, other := range []string{"bar", "Bar%20", "%EF%BC%A2ar"} {
			w.do(ask{path: "/pat/tables/" + other, version: "v1"}).says(textOf(spec.RESTUnknownTable, "v1"))
		}
		for _, bad := range []string{`""`, `"."`, `".."`, `"a\u0000"`, `"a\n"`, `17`, `null`, `["12"]`, `"` + strings.Repeat("x", 65) + `"`} {
			for _, version := range []string{"v0", "v1"} {
				got := w.do(ask{method: http.MethodPut, path: "/pat/tables", version: version, body: `{"tableName":` + bad + `,"amount":1,"currency":"GBP"}`}).is(http.StatusUnprocessableEntity)
				if !strings.HasPrefix(got.text(), "Incorrect JSON received. tableName ") {
					t.Errorf("%s: %s", bad, got.text())
				}
			}
		}
	})
}

// TestTableBodies goes through the limits of what a table is given.
func TestTableBodies(t *testing.T) {
	inWorld(t, func(w *world) {
		at := w.stores("12", 4550)
		list := func(n int, one string) string { return "[" + strings.Repeat(one+",", n-1) + one + "]" }
		for _, c := range []struct {
			word, more string
			taken      bool
		}{
			{"amount", `"newAmount":0`, true},
			{"amount", `"newAmount":"99999999"`, true},
			{"amount", `"newAmount":100000000`, false},
			{"amount", `"newAmount":-1`, false},
			{"amount", `"newAmount":4550.5`, false},
			{"amount", `"newamount":4550`, false},
			{"receipt", `"newReceipt":` + list(500, `{"value":"x"}`), true},
			{"receipt", `"newReceipt":` + list(501, `{"value":"x"}`), false},
			{"receipt", `"newReceipt":[{"value":"x","type":"BARCODE_CODE39","format":["BOLD","DOUBLE_WIDTH"]},{"value":"","type":"LINE_SEPARATOR_DOUBLE"}]`, true},
			{"receipt", `"newReceipt":[{"value":"x","type":"PICTURE"}]`, false},
			{"receipt", `"newReceipt":[{"type":"TEXT"}]`, false},
			{"receipt", `"newReceipt":{"value":"x"}`, false},
			{"receipt", `"newReceipt":["x"]`, false},
			{"waiterids", `"newWaiterIds":` + list(50, `"12345678901234567890"`), true},
			{"waiterids", `"newWaiterIds":` + list(51, `"1"`), false},
			{"waiterids", `"newWaiterIds":["123456789012345678901"]`, false},
			{"waiterids", `"newWaiterIds":[""]`, false},
			{"waiterids", `"newWaiterIds":[1]`, false},
			{"waiterids", `"newWaiterIds":["a\u0000"]`, false},
			{"lock", `"locked":"false"`, true},
			{"lock", `"locked":null`, false},
			{"lock", `"locked":true,"lockedBy":"` + strings.Repeat("x", 65) + `"`, false},
			{"lock", `"locked":true,"override":"yes"`, false},
		} {
			amount := int(w.do(ask{path: at, version: "v1"}).object()["amount"].(float64))
			before := w.do(ask{path: at, version: "v0"}).body
			got := w.writes(at, c.word, "v1", known(amount, 0, c.more))
			if c.taken != (got.status == http.StatusNoContent) || !c.taken && got.status != http.StatusUnprocessableEntity {
				t.Errorf("%s %.60s: %d %s", c.word, c.more, got.status, got.body)
			}
			if after := w.do(ask{path: at, version: "v0"}).body; !c.taken && after != before {
				t.Errorf("%s %.60s: it was %s, and is %s", c.word, c.more, before, after)
			}
		}
	})
}

// TestTableLocks goes through who may lock and unlock what (the contract of REST,
// section 7.5).
func TestTableLocks(t *testing.T) {
	inWorld(t, func(w *world) {
		for i, c := range []struct {
			held   string // by whom, "" for nobody
			locked bool
			more   string
			want   int
			holder string // in the end
		}{
			{"", true, `,"lockedBy":"a"`, 204, "a"},
			{"", true, ``, 204, "EPoS"},
			{"", false, ``, 204, ""},
			{"a", true, `,"lockedBy":"a"`, 204, "a"},
			{"a", false, `,"lockedBy":"a"`, 204, ""},
			{"EPoS", true, ``, 204, "EPoS"},
			{"EPoS", false, ``, 204, ""},
			{"a", true, ``, 423, "a"},
			{"a", false, ``, 204, ""},
			{"a", true, `,"lockedBy":"b"`, 423, "a"},
			{"a", false, `,"lockedBy":"b"`, 423, "a"},
			{"a", true, `,"lockedBy":"b","override":false`, 423, "a"},
			{"a", true, `,"lockedBy":"b","override":true`, 204, "b"},
			{"a", false, `,"lockedBy":"b","override":true`, 204, ""},
		} {
			at := w.stores(fmt.Sprint("t", i), 4550)
			if c.held != "" {
				w.locks(at, true, fmt.Sprintf(`,"lockedBy":%q`, c.held)).is(http.StatusNoContent)
			}
			if got := w.locks(at, c.locked, c.more); got.status != c.want {
				t.Errorf("held by %q, locked %t%s: %d %s", c.held, c.locked, c.more, got.status, got.body)
			}
			if got := w.do(ask{path: at, version: "v1"}).object(); got["lockedBy"] != c.holder || got["locked"] != (c.holder != "") {
				t.Errorf("held by %q, locked %t%s: then by %v", c.held, c.locked, c.more, got["lockedBy"])
			}
		}
		// Whoever holds a lock hinders every other change, and the answer says where.
		at := w.stores("held", 4550)
		w.locks(at, true, "").is(http.StatusNoContent)
		for _, version := range []string{"v0", "v1"} {
			for word, more := range map[string]string{"amount": `"newAmount":1`, "receipt": `"newReceipt":[]`, "waiterids": `"newWaiterIds":[]`, "lock": `"locked":true,"lockedBy":"b"`} {
				got := w.writes(at, word, version, known(4550, 0, more)).is(http.StatusLocked)
				_, text := textOf(spec.RESTTableLocked, version)
				want := map[string]any{"v0": []any{"http://gateway.example" + at}, "v1": "http://gateway.example" + at}[version]
				if !cmp.Equal(got.object()["location"], want) || !strings.Contains(got.body, text) {
					t.Errorf("%s in %s: %s", word, version, got.body)
				}
				w.writes(at, word, version, known(4551, 0, more)).says(textOf(spec.RESTAmountDiffers, version))
			}
		}
		w.writes(at, "", "v1", known(4550, 0, "")).is(http.StatusNoContent) // an EPOS lock does not hinder this
	})
}

// TestTableIsPaid has a waiter take payments at a card machine.
func TestTableIsPaid(t *testing.T) {
	inWorld(t, func(w *world) {
		at := w.stores("12", 4550)
		m, _ := w.park.Machine(simApproves)
		hold, goOn := signal()
		visit := func(v sim.Visit) <-chan sim.VisitEnd {
			done := make(chan sim.VisitEnd, 1)
			go func() {
				r, err := m.Visit(w.t.Context(), v, func(sim.VisitStep) {})
				if err != nil {
					t.Error(err)
				}
				done <- r.End
			}()
			return done
		}
		done := visit(sim.Visit{Waiter: "3", Table: "12", Amount: 2275, Tip: sim.Tip{Amount: 450}, HoldAt: sim.StepCard, Until: hold})
		pass(30 * time.Second)
		if got := w.do(ask{path: at, version: "v1"}).object(); got["locked"] != true || got["lockedBy"] != simApproves {
			t.Errorf("under a waiter it is %v", got)
		}
		if got := w.do(ask{path: of(simApproves)}).object()["status"]; got != "BUSY" {
			t.Errorf("the machine is %v", got)
		}
		w.refuses(ask{method: http.MethodPost, path: of(simApproves) + "/transactions", body: saleBody}, spec.RESTTerminalBusy)
		for _, version := range []string{"v0", "v1"} {
			for word, more := range map[string]string{"": "", "amount": `"newAmount":1`, "lock": `"locked":false,"lockedBy":"` + simApproves + `"`} {
				if got := w.writes(at, word, version, known(4550, 0, more)).is(http.StatusLocked); !strings.Contains(got.body, `"location":`) {
					t.Errorf("%s", got.body)
				}
			}
		}
		goOn()
		if end := <-done; end != sim.EndPartPaid {
			t.Errorf("the visit ended %s", end)
		}
		synctest.Wait()
		got := w.do(ask{path: at, version: "v1"}).object()
		payments, _ := got["payments"].([]any)
		if got["amount"] != 4550.0 || got["amountPaid"] != 2275.0 || got["amountGratuity"] != 450.0 || got["locked"] != false || len(payments) != 1 {
			t.Fatalf("then it is %v", got)
		}
		payment := payments[0].(map[string]any)
		if payment["amountPaid"] != 2275.0 || payment["amountGratuity"] != 450.0 || payment["amountCashback"] != 0.0 || payment["currency"] != "GBP" || len(payment) != 9 {
			t.Errorf("the payment is %v", payment)
		}
		if _, err := time.Parse(time.RFC3339, payment["time"].(string)); err != nil {
			t.Error(err)
		}
		w.restart()
		if diff := cmp.Diff(got, w.do(ask{path: at, version: "v1"}).object()); diff != "" {
			t.Errorf("after a restart:\n%s", diff)
		}
		// The bill changes, the rest is paid, and the table is closed.
		w.writes(at, "amount", "v1", known(4550, 2275, `"newAmount":5000`)).is(http.StatusNoContent)
		if end := <-visit(sim.Visit{Waiter: "3", Table: "12"}); end != sim.EndPaid {
			t.Errorf("the visit ended %s", end)
		}
		synctest.Wait()
		if end := <-visit(sim.Visit{Waiter: "3", Table: "12"}); end != sim.EndNoTable {
			t.Errorf("a table that is paid is offered: %s", end)
		}
		w.writes(at, "", "v1", known(5000, 2275, "")).says(textOf(spec.RESTPaidAmountDiffers, "v1"))
		w.writes(at, "", "v1", known(5000, 5000, "")).is(http.StatusNoContent)
	})
}

// TestTableOverridden: a payment belongs to its table although a till broke the
// machine's lock.
func TestTableOverridden(t *testing.T) {
	inWorld(t, func(w *world) {
		at := w.stores("12", 4550)
		m, _ := w.park.Machine(simApproves)
		hold, goOn := signal()
		done := make(chan struct{})
		go func() {
			defer close(done)
			if _, err := m.Visit(w.t.Context(), sim.Visit{Table: "12", HoldAt: sim.StepCard, Until: hold}, func(sim.VisitStep) {}); err != nil {
				t.Error(err)
			}
		}()
		pass(30 * time.Second)
		w.locks(at, false, `,"lockedBy":"17","override":true`).is(http.StatusNoContent)
		if !strings.Contains(w.log.String(), "a till overrode the lock") {
			t.Error("nothing was said of it")
		}
		goOn()
		<-done
		synctest.Wait()
		if got := w.do(ask{path: at, version: "v1"}).object(); got["amountPaid"] != 4550.0 {
			t.Errorf("then it is %v", got)
		}
	})
}

// TestTablesElsewhere: a site whose till keeps the tables.
func TestTablesElsewhere(t *testing.T) {
	inWorld(t, func(w *world) {
		at := w.stores("12", 4550)
		keeps := func(k journal.PATKeeper) {
			site, err := gateway.FindSite(w.t.Context(), w.store, "demo")
			if err != nil {
				t.Fatal(err)
			}
			site.PAT = k
			if err := w.store.PutSite(w.t.Context(), site); err != nil {
				t.Fatal(err)
			}
			if err := w.g.Reload(w.t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		keeps(journal.PATWebSocket)
		id := w.brings()
		for _, version := range []string{"v0", "v1"} {
			for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPost} {
				w.do(ask{method: method, path: "/pat/tables", version: version, body: `{"tableName":"13","amount":1,"currency":"GBP"}`}).says(textOf(spec.RESTTablesElsewhere, version))
			}
			w.do(ask{path: at, version: version}).says(textOf(spec.RESTTablesElsewhere, version))
			for word, more := range map[string]string{"": "", "amount": `"newAmount":1`, "receipt": `"newReceipt":[]`, "waiterids": `"newWaiterIds":[]`, "lock": `"locked":true`} {
				w.writes(at, word, version, known(4550, 0, more)).says(textOf(spec.RESTTablesElsewhere, version))
			}
			w.do(ask{path: "/pat/reports", version: version}).is(http.StatusOK)
			w.do(ask{path: "/pat/reports/" + id, version: version}).is(http.StatusOK)
		}
		keeps(journal.PATREST)
		w.do(ask{path: at, version: "v1"}).is(http.StatusOK)
		keeps(journal.PATAuto)
		w.writes(at, "", "v1", known(4550, 0, "")).is(http.StatusNoContent)
		s := w.connects("pat")
		w.do(ask{method: http.MethodPut, path: "/pat/tables", version: "v1", body: `{"tableName":"13","amount":1,"currency":"GBP"}`}).says(textOf(spec.RESTTablesElsewhere, "v1"))
		s.sess.Ended(nil)
		synctest.Wait()
		w.stores("13", 1)
	})
}

// TestTableReports looks at what was started at machines.
func TestTableReports(t *testing.T) {
	inWorld(t, func(w *world) {
		id := w.brings()
		w.begins(aReport("X_BALANCE")) // a till's own is none of them
		pass(121 * time.Second)
		one := w.do(ask{path: "/pat/reports/" + id, version: "v1"}).is(http.StatusOK).object()
		if one["requestId"] != id || one["reportId"] != id || one["tpi"] != simApproves || one["reportType"] != "X_BALANCE" || one["reportResult"] != "COMPLETE" {
			t.Errorf("it is %v", one)
		}
		for _, name := range []string{"balances", "banking", "reportLines", "location"} {
			if one[name] == nil {
				t.Errorf("it has no %s", name)
			}
		}
		if _, has := one["notifications"]; has {
			t.Error("it has notifications")
		}
		if _, err := time.Parse(time.RFC3339, one["reportTime"].(string)); err != nil {
			t.Error(err)
		}
		for query, want := range map[string]int{"": 1, "?tpi=" + simApproves: 1, "?tpi=" + strings.ToLower(simApproves): 1, "?tid=" + simApproves: 1, "?tpi=" + tid: 0, "?tpi=none": 0} {
			var body struct {
				Reports []map[string]any `json:"reports"`
			}
			w.do(ask{path: "/pat/reports" + query, version: "v1"}).is(http.StatusOK).read(&body)
			if len(body.Reports) != want || body.Reports == nil {
				t.Errorf("%s: %v", query, body.Reports)
			}
			if want == 1 && cmp.Diff(one, body.Reports[0]) != "" {
				t.Errorf("listed: %s", cmp.Diff(one, body.Reports[0]))
			}
		}
		if got := w.do(ask{path: "/pat/reports", version: "v1", key: otherKey}).is(http.StatusOK).body; got != `{"reports":[]}` {
			t.Errorf("another site sees %s", got)
		}
		w.do(ask{path: "/pat/reports/" + id, version: "v1", key: otherKey}).says(textOf(spec.RESTUnknownReport, "v1"))
		w.refuses(ask{path: of(simApproves) + "/reports/" + id}, spec.RESTUnknownRequest)
		m, _ := w.park.Machine(simApproves)
		if _, err := m.Report(w.t.Context(), report.EndOfDay); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		list := w.do(ask{path: "/pat/reports", version: "v0"}).is(http.StatusOK)
		if first := list.object()["reports"].([]any)[0].(map[string]any); first["reportType"] != "END_OF_DAY" || !strings.Contains(list.body, "REPORT COMPLETE") {
			t.Errorf("the newest is %v", first)
		}
		pass(3*24*time.Hour - 5*time.Minute)
		w.do(ask{path: "/pat/reports/" + id, version: "v1"}).is(http.StatusOK)
		pass(6 * time.Minute)
		w.do(ask{path: "/pat/reports/" + id, version: "v1"}).says(textOf(spec.RESTUnknownReport, "v1"))
	})
}
