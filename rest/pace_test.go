package rest_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/rest"
	"github.com/tillwire/tillwire/txn"
)

// took is how long an answer was held back.
func (w *world) took(a ask, status int) time.Duration {
	w.t.Helper()
	began := time.Now()
	w.do(a).is(status)
	return time.Since(began)
}

// TestPace: who polls too fast is held back for a moment, never refused, and nobody
// else is.
func TestPace(t *testing.T) {
	inWorld(t, func(w *world) {
		at := w.begins(aSale())
		table := w.stores("12", 4550)
		for _, c := range []struct {
			ask    ask
			status int
		}{
			{ask{path: at}, 200},
			{ask{path: "/pac/terminals"}, 200},
			{ask{path: of(tid)}, 200},
			{ask{path: of(tid) + "/transactions/unknown"}, 404},
			{ask{path: of("unknown")}, 404},
			{ask{path: table, version: "v1"}, 200},
			{ask{path: "/pat/tables", version: "v1"}, 200},
			{ask{path: "/pat/reports", version: "v1"}, 200},
		} {
			var got []time.Duration
			for range 30 {
				got = append(got, w.took(c.ask, c.status))
			}
			want := make([]time.Duration, 20, 30) // the burst
			for range 10 {
				want = append(want, 100*time.Millisecond)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s was held (- want, + got):\n%s", c.ask.path, diff)
			}
			pass(time.Minute)
			if held := w.took(c.ask, c.status); held != 0 {
				t.Errorf("%s was held for %s although it came at leisure", c.ask.path, held)
			}
		}
		w.pdq.ends(outcome(txn.Declined)) // which had timed out
		at = w.begins(aSale())
		// One path by whatever name, but each site its own; and changes are never held.
		for i := range 20 {
			w.took(ask{path: []string{at, strings.Replace(at, "pac", "retail", 1), "/" + at + "/", at + "?extensions=late", strings.Replace(at, tid, "%31"+tid[1:], 1)}[i%5]}, 200)
		}
		if held := w.took(ask{path: at, method: http.MethodHead}, 200); held != 100*time.Millisecond {
			t.Errorf("the same by other names was held for %s", held)
		}
		for range 30 {
			if held := w.took(ask{path: "/pac/terminals", key: otherKey}, 200); held > 100*time.Millisecond {
				t.Errorf("another site was held for %s", held)
			}
			for _, a := range []ask{{path: at, method: http.MethodDelete}, {path: at + "/signature", method: http.MethodPut, body: `{"accepted":true}`}} {
				if held := w.took(a, 202); held != 0 {
					t.Errorf("%s was held for %s", a.method, held)
				}
			}
			if held := w.took(aSale(), 422); held != 0 {
				t.Errorf("POST was held for %s", held)
			}
		}
	})
}

// TestPaceAtOnce: many at once are held for half a second at most.
func TestPaceAtOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		at := w.begins(aSale())
		began := time.Now()
		ends := make(chan time.Duration, 500)
		for range cap(ends) {
			go func() {
				w.h.ServeHTTP(&pipe{header: http.Header{}}, ask{path: at}.request())
				ends <- time.Since(began)
			}()
		}
		held := map[time.Duration]int{}
		for range cap(ends) {
			held[<-ends]++
		}
		want := map[time.Duration]int{0: 20, 100 * time.Millisecond: 1, 200 * time.Millisecond: 1, 300 * time.Millisecond: 1, 400 * time.Millisecond: 1, 500 * time.Millisecond: 476}
		if diff := cmp.Diff(want, held); diff != "" {
			t.Errorf("held (- want, + got):\n%s", diff)
		}
		// A till that is gone is not waited for.
		f := w.follows(ask{path: at})
		f.end()
		if !f.over() {
			t.Error("a poll of a till that is gone is held")
		}
	})
}

// TestPaceIsSet: a pace of one's own, and many addresses.
func TestPaceIsSet(t *testing.T) {
	inWorldWith(t, rest.Config{Pace: rest.Pace{Burst: 1, Every: time.Second, Hold: 2 * time.Second}}, func(w *world) {
		at := w.begins(aSale())
		for i, want := range []time.Duration{0, time.Second, time.Second} {
			if held := w.took(ask{path: at}, 200); held != want {
				t.Errorf("the poll number %d was held for %s", i+1, held)
			}
		}
		for i := range 10_000 {
			w.do(ask{path: fmt.Sprintf("%s/transactions/r%d", of(tid), i)}).is(http.StatusNotFound)
		}
	})
}

// TestPollingWritesNothing looks at everything ten thousand times in all: while it
// runs, asks, and has ended.
func TestPollingWritesNothing(t *testing.T) {
	inWorldWith(t, rest.Config{Pace: rest.Pace{Hold: time.Nanosecond}}, func(w *world) {
		list := slices.DeleteFunc(w.endpoints(), func(e endpoint) bool { return e.ask.method != "" || e.name == "events" })
		for _, goOn := range []func(){func() {}, w.pdq.asksSignature, func() { w.pdq.ends(outcome(txn.Successful)) }} {
			goOn()
			pass(time.Second) // notes come to disk a moment later
			written, reads := w.store.written(), 0
			for reads < 3500 {
				for _, e := range list {
					for _, version := range e.versions {
						got := &pipe{header: http.Header{}}
						if w.h.ServeHTTP(got, e.ask.in(version).request()); got.status != http.StatusOK {
							t.Fatalf("%s: %d", e.name, got.status)
						}
						reads++
					}
				}
			}
			if got := w.store.written(); got != written {
				t.Errorf("%d appends under %d reads", got-written, reads)
			}
		}
	})
}

// TestSecrets has tills write keys and card numbers wherever they can. None of them
// comes back, or stands in the log.
func TestSecrets(t *testing.T) {
	const pan, secret = "4111111111111111", "demo" // the key
	inWorld(t, func(w *world) {
		at := w.begins(aSale())
		w.stores("12", 4550)
		for _, version := range []string{"v0", "v1", "v2"} {
			for _, dirt := range []string{pan, "4111 1111 1111 1111", "x" + secret + "x"} {
				quoted, escaped := fmt.Sprintf("%q", dirt), strings.ReplaceAll(dirt, " ", "%20")
				asks := []ask{
					{path: "/" + escaped},
					{path: of(escaped)},
					{path: "/pac/terminals?status=" + escaped},
					{path: "/pac/terminals?currency=" + escaped},
					{path: of(tid) + "/transactions/" + escaped},
					{path: at + "/events?after=x" + escaped},
					{path: of(escaped) + "/transactions", method: http.MethodPost, body: saleBody},
					{path: of(escaped) + "/reports", method: http.MethodPost, body: `{"reportType":"X_BALANCE"}`},
					{path: of(tid) + "/transactions", method: http.MethodPost, body: `{"transactionType":` + quoted + `,"amount":1,"currency":"GBP"}`},
					{path: of(tid) + "/transactions", method: http.MethodPost, body: `{"transactionType":"SALE","amount":` + quoted + `,"currency":"GBP"}`},
					{path: of(tid) + "/transactions", method: http.MethodPost, body: `{"transactionType":"SALE","amount":1,"currency":` + quoted + `}`},
					{path: of(tid) + "/transactions", method: http.MethodPost, body: `{` + quoted + `:1,` + quoted + `:2}`},
					{path: of(tid) + "/transactions", method: http.MethodPost, body: quoted},
					{path: of(tid) + "/transactions", method: http.MethodPost, body: dirt},
					ask{path: of(tid) + "/transactions", method: http.MethodPost, body: saleBody}.with("Idempotency-Key", dirt+" "+dirt),
					{path: of(tid) + "/reports", method: http.MethodPost, body: `{"reportType":` + quoted + `}`},
					{path: at + "/signature", method: http.MethodPut, body: `{"accepted":` + quoted + `}`},
					{path: "/pat/tables/" + escaped},
					{path: "/pat/tables/12/lock", method: http.MethodPut, body: known(4550, 0, `"locked":true,"override":`+quoted)},
					{path: "/pat/reports/" + escaped},
					{path: "/pac/terminals", auth: basic("x", dirt)},
					{path: "/pac/terminals", auth: dirt},
					ask{path: "/pac/x"}.with("X-Forwarded-Host", dirt),
				}
				for _, a := range asks {
					a.version = version
					got := w.do(a)
					all := got.body + fmt.Sprint(got.header)
					if got.status < 400 || strings.Contains(all, dirt) || strings.Contains(all, pan) {
						t.Errorf("%s %s: %d %s", a.path, a.body, got.status, all)
					}
				}
			}
		}
		w.pdq.ends(outcome(txn.Declined))
		for _, word := range []string{pan, "4111 1111 1111 1111", "x" + secret + "x"} {
			if strings.Contains(w.log.String(), word) {
				t.Errorf("%s is in the log:\n%s", word, w.log)
			}
		}
	})
}

// TestRetail uses the older name of each path.
func TestRetail(t *testing.T) {
	inWorld(t, func(w *world) {
		for _, version := range []string{"v0", "v1", "v2", none} {
			sale := aSale().in(version)
			sale.path = strings.Replace(sale.path, "pac", "retail", 1)
			got := w.do(sale).is(http.StatusCreated)
			want := map[string]string{"v0": "retail", "v1": "pac", "v2": "pac", none: "retail"}[version]
			if at := got.path(); !strings.HasPrefix(at, "/"+want+"/") {
				t.Errorf("in %s it is at %s", version, at)
			}
			w.pdq.ends(outcome(txn.Declined))
			rep := aReport("X_BALANCE").in(version)
			rep.path = strings.Replace(rep.path, "pac", "Retail", 1)
			w.do(rep).is(map[string]int{"v0": 200, "v1": 201, "v2": 201, none: 200}[version])
			pass(121 * time.Second)
		}
	})
}
