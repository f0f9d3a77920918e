package rest_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/rest"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// textOf is what a refusal says in a version.
func textOf(name, version string, namesAndValues ...string) (status int, text string) {
	e := spec.Default().REST().Error(name)
	return e.Status, e.Text(version, namesAndValues...)
}

// refuses checks that the answer is that refusal.
func (w *world) refuses(a ask, name string, namesAndValues ...string) *answer {
	w.t.Helper()
	version := a.version
	switch version {
	case "":
		version = "v2"
	case none:
		version = "v1"
	}
	status, text := textOf(name, version, namesAndValues...)
	return w.do(a).says(status, text)
}

// An endpoint as the tests call it, with everything right.
type endpoint struct {
	name     string
	ask      ask
	read     bool   // its body is read
	writes   bool   // and it begins or changes something that is kept
	allow    string // what the path takes
	versions []string
}

// endpoints lists the endpoints as they are called for a sale, a report and a table
// that are known.
func (w *world) endpoints() []endpoint {
	w.t.Helper()
	const (
		known = `"lastKnownAmount":4550,"lastKnownPaidAmount":0`
		looks = "GET, HEAD, OPTIONS"
	)
	pac, pat := []string{"v0", "v1", "v2"}, []string{"v0", "v1"}
	sale := w.begins(aSale())
	rep := w.begins(ask{method: http.MethodPost, path: of(nextTID) + "/reports", body: `{"reportType":"X_BALANCE"}`})
	w.next.say(terminal.Reported{ID: w.next.newest(), Report: reported(report.XBalance)})
	table := w.stores("12", 4550)
	list := []endpoint{
		{name: "terminals", ask: ask{path: "/pac/terminals"}, allow: looks, versions: pac},
		{name: "terminal", ask: ask{path: of(tid)}, allow: looks, versions: pac},
		{name: "begin", ask: ask{method: http.MethodPost, path: of(simApproves) + "/transactions", body: saleBody}, read: true, writes: true, allow: "POST, OPTIONS", versions: pac},
		{name: "transaction", ask: ask{path: sale}, allow: "DELETE, GET, HEAD, OPTIONS", versions: pac},
		{name: "cancel", ask: ask{method: http.MethodDelete, path: sale}, allow: "DELETE, GET, HEAD, OPTIONS", versions: pac},
		{name: "signature", ask: ask{method: http.MethodPut, path: sale + "/signature", body: `{"accepted":true}`}, read: true, allow: "PUT, OPTIONS", versions: pac},
		{name: "events", ask: ask{path: sale + "/events?after=9"}, allow: looks, versions: pac},
		{name: "report begin", ask: ask{method: http.MethodPost, path: of(simApproves) + "/reports", body: `{"reportType":"X_BALANCE"}`}, read: true, writes: true, allow: "POST, OPTIONS", versions: pac},
		{name: "report", ask: ask{path: rep}, allow: looks, versions: pac},

		{name: "tables", ask: ask{path: "/pat/tables"}, allow: "GET, HEAD, POST, PUT, OPTIONS", versions: pat},
		{name: "table create", ask: ask{method: http.MethodPut, path: "/pat/tables", body: `{"tableName":"13","amount":4550,"currency":"GBP"}`}, read: true, writes: true, allow: "GET, HEAD, POST, PUT, OPTIONS", versions: pat},
		{name: "table create, v0", ask: ask{method: http.MethodPost, path: "/pat/tables", body: `{"tableName":"14","amount":4550,"currency":"GBP"}`}, read: true, writes: true, allow: "GET, HEAD, POST, PUT, OPTIONS", versions: pat},
		{name: "table", ask: ask{path: table}, allow: "DELETE, GET, HEAD, OPTIONS", versions: pat},
		{name: "amount", ask: ask{method: http.MethodPut, path: table + "/amount", body: `{` + known + `,"newAmount":4550}`}, read: true, writes: true, allow: "PUT, OPTIONS", versions: pat},
		{name: "receipt", ask: ask{method: http.MethodPut, path: table + "/receipt", body: `{` + known + `,"newReceipt":[{"value":"A"}]}`}, read: true, writes: true, allow: "PUT, OPTIONS", versions: pat},
		{name: "waiterids", ask: ask{method: http.MethodPut, path: table + "/waiterids", body: `{` + known + `,"newWaiterIds":["3"]}`}, read: true, writes: true, allow: "PUT, OPTIONS", versions: pat},
		{name: "lock", ask: ask{method: http.MethodPut, path: table + "/lock", body: `{` + known + `,"locked":true,"lockedBy":"17"}`}, read: true, writes: true, allow: "PUT, OPTIONS", versions: pat},
		{name: "table delete", ask: ask{method: http.MethodDelete, path: table, body: `{` + known + `}`}, read: true, writes: true, allow: "DELETE, GET, HEAD, OPTIONS", versions: pat},
		{name: "reports at terminals", ask: ask{path: "/pat/reports"}, allow: looks, versions: pat},
		{name: "report at a terminal", ask: ask{path: "/pat/reports/" + w.brings()}, allow: looks, versions: pat},
	}
	pass(time.Second) // notes come to disk a moment later
	return list
}

// each calls f for each endpoint in each of its versions.
func (w *world) each(f func(e endpoint)) {
	w.t.Helper()
	for _, e := range w.endpoints() {
		for _, version := range e.versions {
			e.ask.version = version
			f(e)
		}
	}
}

// brings has somebody start a report at the machine itself, and returns its id.
func (w *world) brings() string {
	w.t.Helper()
	m, ok := w.park.Machine(simApproves)
	if !ok {
		w.t.Fatal("no such machine")
	}
	if _, err := m.Report(w.t.Context(), report.XBalance); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
	var body struct {
		Reports []struct {
			ReportID string `json:"reportId"`
		} `json:"reports"`
	}
	w.do(ask{path: "/pat/reports", version: "v1"}).is(http.StatusOK).read(&body)
	if len(body.Reports) != 1 {
		w.t.Fatalf("%d reports came from machines", len(body.Reports))
	}
	return body.Reports[0].ReportID
}

// TestEachEndpointRefuses goes through what can be wrong with any request. None of
// it changes anything.
func TestEachEndpointRefuses(t *testing.T) {
	inWorld(t, func(w *world) {
		written := -1
		large := strings.Repeat(" ", 2<<20)
		w.each(func(e endpoint) {
			if written < 0 {
				written = w.store.written()
			}
			version := e.ask.version
			w.refusesAuth(e.ask)

			a := e.ask
			a.version = "v3"
			got := w.do(a).says(textOf(spec.RESTUnknownVersion, "v2"))
			if !strings.HasPrefix(got.body, `{"userMessage":`) || got.header.Get("Content-Type") != "application/connect.v2+json; charset=utf-8" {
				t.Errorf("406 as %q, %s", got.header.Get("Content-Type"), got.body)
			}

			if version == "v2" {
				for _, name := range []string{"Software-House-Id", "Installer-Id"} {
					a = e.ask
					a.without = []string{name}
					w.refuses(a, spec.RESTNoPartnerHeaders)
					w.refuses(e.ask.setting(name, "  "), spec.RESTNoPartnerHeaders)
					w.refuses(e.ask.setting(name, strings.Repeat("x", 65)), spec.RESTLongPartnerHeaders)
				}
			} else {
				w.refuses(ask{path: "/pac/terminals?status=x", version: version, headers: []string{"Installer-Id", strings.Repeat("x", 65)}}, spec.RESTBadParameter, "fault", "status must be AVAILABLE or BUSY.")
			}

			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodTrace, "PROPFIND", "get"} {
				if slices.Contains(strings.Split(e.allow, ", "), method) {
					continue
				}
				a = e.ask
				a.method = method
				if got := w.refuses(a, spec.RESTMethodNotAllowed); got.header.Get("Allow") != e.allow {
					t.Errorf("%s: Allow %q, want %q", got.what, got.header.Get("Allow"), e.allow)
				}
			}

			if e.read {
				a = e.ask
				a.body = large
				w.refuses(a, spec.RESTBodyTooLarge)
				for _, body := range []string{"", "{", `{"accepted":true,"reportType":"X_BALANCE","transactionType":"SALE","amount":1,"currency":"GBP"`, e.ask.body + "x", e.ask.body + "{}", "[]", "null", "1", `"` + "\xff" + `"`, "\x00", `{"x":"` + "\xff" + `"}`} {
					a = e.ask
					a.body = body
					w.refuses(a, spec.RESTBadBody, "fault", spec.RESTFaultNotAnObject)
				}
				a = e.ask
				a.body = `{"x":1,"x":2}`
				w.refuses(a, spec.RESTBadBody, "fault", spec.RESTFaultNameTwice)
				a.body = "{}"
				if got := w.do(a).is(http.StatusUnprocessableEntity).text(); !strings.HasSuffix(got, " is required.") {
					t.Errorf("%s: %s", e.name, got)
				}
			}
		})
		if got := w.store.written(); got != written {
			t.Errorf("%d records were written", got-written)
		}
	})
}

// refusesAuth has a request come without working credentials.
func (w *world) refusesAuth(a ask) {
	w.t.Helper()
	for _, auth := range []string{"-", "Basic", "Basic !", "Bearer demo", "Basic bm9jb2xvbg==", "demo", "Basic dGlsbDE6", "Digest dGlsbDE6ZGVtbw=="} {
		a.auth = auth
		if got := w.refuses(a, spec.RESTNoCredentials).header.Get("WWW-Authenticate"); got != `Basic realm="connect"` {
			w.t.Errorf("WWW-Authenticate %q", got)
		}
	}
	a.auth = ""
	a.without = []string{"Authorization"}
	w.refuses(a, spec.RESTNoCredentials)
	a.without, a.key = nil, "wrong"
	if got := w.refuses(a, spec.RESTWrongCredentials); got.header.Get("WWW-Authenticate") == "" {
		w.t.Error("nothing says how to authenticate")
	}
}

// TestNoTablesInV2: v2 has no paths for tables, whatever is asked.
func TestNoTablesInV2(t *testing.T) {
	inWorld(t, func(w *world) {
		for _, e := range w.endpoints() {
			if !strings.HasPrefix(e.ask.path, "/pat/") {
				continue
			}
			w.refusesAuth(e.ask)
			w.refuses(e.ask, spec.RESTNoTablesInV2)
			e.ask.without = []string{"Installer-Id"}
			w.refuses(e.ask, spec.RESTNoTablesInV2)
		}
		w.refuses(ask{path: "/pat"}, spec.RESTNoTablesInV2)
		w.refuses(ask{path: "/PAT/x/y/z"}, spec.RESTNoTablesInV2)
	})
}

// TestElsewhere: paths that are no endpoint's.
func TestElsewhere(t *testing.T) {
	inWorld(t, func(w *world) {
		for _, version := range []string{"v0", "v1", "v2"} {
			for _, path := range []string{
				"/", "/pac", "/retail", "/pac/", "/pac/terminal", "/pac/terminals/" + tid + "/transactions/x/y", "/pac/terminals/" + tid + "/report/x",
				"/pac/terminals/" + tid + "/transactions/x/signature/", "/pac%2Fterminals", "/pac/../pac/terminals", "/pac/./terminals", "/x",
			} {
				if strings.HasSuffix(path, "signature/") {
					w.refuses(ask{path: path, version: version}, spec.RESTMethodNotAllowed)
					continue
				}
				w.refuses(ask{path: path, version: version}, spec.RESTUnknownPath)
				w.refuses(ask{path: path, version: version, auth: "-"}, spec.RESTNoCredentials)
			}
			for _, path := range []string{"/pat", "/pat/table", "/pat/tables/12/Amounts", "/pat/tables/12/lock/x", "/pat/reports/1/2"} {
				if version != "v2" {
					w.refuses(ask{path: path, version: version}, spec.RESTUnknownPath)
				}
			}
		}
	})
}

// TestEachEndpointTakes: what matters to none does not matter.
func TestEachEndpointTakes(t *testing.T) {
	inWorld(t, func(w *world) {
		w.each(func(e endpoint) {
			if e.ask.method != "" || e.name == "events" {
				return // they change things, or have no end
			}
			plain := w.do(e.ask).is(http.StatusOK)
			if got := plain.header.Get("Content-Type"); got != "application/connect."+e.ask.version+"+json; charset=utf-8" {
				t.Errorf("%s: Content-Type %q", e.name, got)
			}
			pac := strings.HasPrefix(e.ask.path, "/pac")
			for name, change := range map[string]func(*ask){
				"content type": func(a *ask) { *a = a.with("Content-Type", "text/plain; charset=latin1") },
				"a body":       func(a *ask) { a.body = `{"x":` },
				"a large body": func(a *ask) { a.body = strings.Repeat("x", 2<<20) },
				"slashes":      func(a *ask) { a.path = "//" + strings.ReplaceAll(a.path, "/", "///") + "//" },
				"upper case": func(a *ask) {
					for _, word := range []string{"pac", "pat", "terminals", "transactions", "reports", "tables"} {
						a.path = strings.Replace(a.path, "/"+word, "/"+strings.ToUpper(word), 1)
					}
				},
				"escapes": func(a *ask) { a.path = strings.Replace(a.path, "/pa", "/%70%61", 1) },
				"retail": func(a *ask) {
					if pac {
						a.path = strings.Replace(a.path, "/pac", "/retail", 1)
					}
				},
				"a query":          func(a *ask) { a.path += "?x=%zz&;&y" },
				"a version with q": func(a *ask) { a.headers = []string{"Accept", "text/html;q=0.9"} },
				"key":              func(a *ask) { *a = a.with("Idempotency-Key", "", "Idempotency-Key", strings.Repeat("x", 100)) },
				"a range":          func(a *ask) { *a = a.with("Range", "bytes=0-1", "If-None-Match", "*", "Accept-Encoding", "gzip") },
				"much of a version": func(a *ask) {
					*a = a.setting("Accept", "APPLICATION/Connect."+strings.ToUpper(a.version)+"+JSON ; charset=utf-8; q=0.1; q=0.1")
				},
			} {
				a := e.ask
				change(&a)
				if got := w.do(a).is(http.StatusOK); got.body != plain.body || got.header.Get("Content-Encoding") != "" {
					t.Errorf("%s, %s: %s instead of %s", e.name, name, got.body, plain.body)
				}
			}
			head := e.ask
			head.method = http.MethodHead
			if got := w.do(head).is(http.StatusOK); got.header.Get("Content-Length") != plain.header.Get("Content-Length") {
				t.Errorf("%s: HEAD says %s bytes", e.name, got.header.Get("Content-Length"))
			}
		})
	})
}

// TestVersion chooses among several.
func TestVersion(t *testing.T) {
	inWorld(t, func(w *world) {
		for accept, want := range map[string]string{
			"application/connect.v0+json, application/connect.v1+json":                                     "v1",
			"application/connect.v2+json, application/connect.v0+json":                                     "v2",
			"application/connect.v2+json;q=0.5, application/connect.v1+json;q=0.6":                         "v1",
			"application/connect.v2+json;q=0, application/connect.v0+json;q=0.001":                         "v0",
			"application/connect.v3+json, application/connect.v0+json":                                     "v0",
			"application/connect.v2+json;q=x, application/connect.v1+json;q=0.9":                           "v2",
			"application/connect.v2+json;q=NaN, application/connect.v1+json;q=0.9":                         "v2",
			"application/connect.v2+json;q=0.2;charset=utf-8, application/connect.v1+json; Q=\"1\"; q=0.1": "v2",
			",,application/connect.v0+json,,":                                                              "v0",
			"application/connect.v1+json, application/connect.v3+json;q=1":                                 "v1",
		} {
			got := w.do(ask{path: of(tid), version: none}.with("Accept", accept, "Software-House-Id", "a", "Installer-Id", "b")).is(http.StatusOK)
			if kind := got.header.Get("Content-Type"); kind != "application/connect."+want+"+json; charset=utf-8" {
				t.Errorf("%s: served as %s", accept, kind)
			}
		}
		two := ask{path: of(tid), version: "v0"}.with("Accept", "application/connect.v1+json")
		if got := w.do(two).header.Get("Content-Type"); !strings.Contains(got, "v1") {
			t.Errorf("of two headers %s", got)
		}
		for _, accept := range []string{"application/connect.v3+json", "application/connect.v02+json", "application/connect.v+json, text/html", "text/event-stream, application/connect.v9+json"} {
			w.do(ask{path: of(tid), version: none}.with("Accept", accept)).says(textOf(spec.RESTUnknownVersion, "v2"))
		}
	})
}

// TestOrder breaks two things at once: the first of the contract's order is what
// is answered.
func TestOrder(t *testing.T) {
	inWorld(t, func(w *world) {
		busy := w.begins(aSale())
		keyed := ask{method: http.MethodPost, path: of(nextTID) + "/transactions", body: saleBody}.with("Idempotency-Key", "k")
		w.begins(keyed)
		large := strings.Repeat(" ", 300<<10)
		for _, c := range []struct {
			name string
			ask  ask
			want string
		}{
			{"401 before 406", ask{path: "/pac/terminals", version: "v3", auth: "-"}, spec.RESTNoCredentials},
			{"406 before 404 of a path", ask{path: "/pac/x", version: "v3"}, spec.RESTUnknownVersion},
			{"406 before 405", ask{path: "/pac/terminals", version: "v3", method: "POST"}, spec.RESTUnknownVersion},
			{"404 of a path before 413", ask{path: "/pac/x", method: "POST", body: large}, spec.RESTUnknownPath},
			{"405 before 413", ask{path: "/pac/terminals", method: "POST", body: large}, spec.RESTMethodNotAllowed},
			{"413 before headers", ask{path: of(tid) + "/transactions", method: "POST", body: large, without: []string{"Installer-Id"}}, spec.RESTBodyTooLarge},
			{"headers before the body", ask{path: of(tid) + "/transactions", method: "POST", body: "{", without: []string{"Installer-Id"}}, spec.RESTNoPartnerHeaders},
			{"a key that is none before the body", ask{path: of(tid) + "/transactions", method: "POST", body: "{"}.with("Idempotency-Key", "a b"), spec.RESTBadKey},
			{"the body before a key that is used", ask{path: of(tid) + "/transactions", method: "POST", body: "{}"}.with("Idempotency-Key", "k"), spec.RESTBadBody},
			{"a key that is used before 404 of a terminal", ask{path: of("33333333") + "/transactions", method: "POST", body: saleBody}.with("Idempotency-Key", "k"), spec.RESTKeyReused},
			{"a key that is used before busy", ask{path: of(tid) + "/transactions", method: "POST", body: saleBody}.with("Idempotency-Key", "k"), spec.RESTKeyReused},
			{"the body before 404 of a terminal", ask{path: of("33333333") + "/transactions", method: "POST", body: "{"}, spec.RESTBadBody},
			{"the body before 404 of a request", ask{path: of(tid) + "/transactions/x/signature", method: "PUT", body: "{"}, spec.RESTBadBody},
			{"404 of a terminal before its currency", ask{path: of("33333333") + "/transactions", method: "POST", body: strings.Replace(saleBody, "GBP", "EUR", 1)}, spec.RESTTerminalUnavailable},
			{"headers before a number of events", ask{path: busy + "/events?after=x", without: []string{"Installer-Id"}}, spec.RESTNoPartnerHeaders},
			{"a number of events before 404 of a request", ask{path: of(tid) + "/transactions/x/events?after=x"}, spec.RESTBadEventID},
			{"the body before 409 of a table", ask{path: "/pat/tables", method: "PUT", version: "v1", body: "{"}, spec.RESTBadBody},
			{"404 of a table before what was known", ask{path: "/pat/tables/99/amount", method: "PUT", version: "v1", body: `{"lastKnownAmount":1,"lastKnownPaidAmount":1,"newAmount":1}`}, spec.RESTUnknownTable},
		} {
			e := spec.Default().REST().Error(c.want)
			version := c.ask.version
			if version == "" || version == "v3" && c.want == spec.RESTUnknownVersion {
				version = "v2"
			}
			got := w.do(c.ask)
			if text := got.text(); got.status != e.Status || c.want != spec.RESTBadBody && c.want != spec.RESTTerminalUnavailable && text != e.Text(version) {
				t.Errorf("%s: %d %s", c.name, got.status, text)
			}
		}
		// What was known comes before a lock.
		at := w.stores("12", 4550)
		lock := func(known int, who string) *answer {
			return w.do(ask{method: http.MethodPut, path: at + "/lock", version: "v1", body: fmt.Sprintf(`{"lastKnownAmount":%d,"lastKnownPaidAmount":0,"locked":true,"lockedBy":%q}`, known, who)})
		}
		lock(4550, "a").is(http.StatusNoContent)
		lock(1, "b").says(textOf(spec.RESTAmountDiffers, "v1"))
		lock(4550, "b").says(textOf(spec.RESTTableLocked, "v1"))
	})
}

// TestJournalFails: while nothing can be kept nothing new is taken, and reads go on.
func TestJournalFails(t *testing.T) {
	inWorld(t, func(w *world) {
		full := func(c *counted) { c.err = journal.ErrFull }
		fine := func(c *counted) { c.err = nil }
		w.each(func(e endpoint) {
			if e.writes {
				w.store.set(full)
				if got := w.refuses(e.ask, spec.RESTStorageFull); got.header.Get("Retry-After") != "5" {
					t.Errorf("%s: Retry-After %q", e.name, got.header.Get("Retry-After"))
				}
				w.store.set(fine)
				return
			}
			if e.ask.method == "" && e.name != "events" {
				w.store.set(full)
				w.do(e.ask).is(http.StatusOK)
				w.store.set(fine)
			}
		})
		for _, version := range []string{"v0", "v1", "v2"} {
			w.refuses(ask{method: http.MethodPost, path: of(nextTID) + "/transactions", version: version, body: "{"}, spec.RESTBadBody, "fault", spec.RESTFaultNotAnObject)
		}
	})
}

// TestStopped: a gateway that has stopped says so, and shows what it has.
func TestStopped(t *testing.T) {
	inWorld(t, func(w *world) {
		list := w.endpoints()
		unseen := w.pdq.newest() // which nobody has looked at yet
		w.g.Close()
		for _, e := range list {
			for _, version := range e.versions {
				a := e.ask.in(version)
				switch {
				case e.name == "events":
					continue
				case e.writes, e.name == "cancel", e.name == "signature":
					if got := w.refuses(a, spec.RESTStopping); got.header.Get("Retry-After") != "5" {
						t.Errorf("%s: Retry-After %q", e.name, got.header.Get("Retry-After"))
					}
				default:
					w.do(a).is(http.StatusOK)
				}
			}
		}
		w.refuses(aSale().keyed("k"), spec.RESTStopping)
		w.polled(of(tid) + "/transactions/" + string(unseen))
		if strings.Contains(w.log.String(), "level=ERROR") {
			t.Errorf("the log says %s", w.log)
		}
	})
}

// TestFaultOfOurOwn: a fault of the program is a 500 in the form of the version, says
// nothing, and is logged.
func TestFaultOfOurOwn(t *testing.T) {
	inWorld(t, func(w *world) {
		list := w.endpoints()
		log := &record{}
		whole := w.face
		w.face = described().Handler(rest.New(rest.Config{Log: slog.New(slog.NewTextHandler(log, nil))})) // before no gateway at all
		for _, e := range list {
			for _, version := range e.versions {
				w.refuses(e.ask.in(version), spec.RESTInternal)
			}
		}
		if !strings.Contains(log.String(), "panic in a request") {
			t.Errorf("the log says %s", log)
		}
		w.face = whole
		w.store.set(func(c *counted) { c.broken = errTest })
		w.refuses(ask{path: of(tid) + "/transactions/unknown"}, spec.RESTInternal)
		if got := w.log.String(); !strings.Contains(got, "a request over REST failed") || !strings.Contains(got, errTest.Error()) {
			t.Errorf("the log says %s", got)
		}
	})
}

// TestStrangers: what is another site's is answered byte for byte like what is
// nobody's.
func TestStrangers(t *testing.T) {
	inWorld(t, func(w *world) {
		theirs := aSale()
		theirs.key, theirs.path = otherKey, of(theirTID)+"/transactions"
		sale := w.begins(theirs)
		w.theirs.ends(outcome(txn.Successful))
		theirs.path, theirs.body = of(theirTID)+"/reports", `{"reportType":"X_BALANCE"}`
		report := w.begins(theirs)
		unknown := "/" + "3f0c7c0e-6a6e-4c1a-9d51-2f5b3f9a7e10"
		for _, version := range []string{"v0", "v1", "v2"} {
			for _, c := range []struct {
				theirs, nobodys ask
				masks           string
			}{
				{ask{path: of(theirTID)}, ask{path: of("99999998")}, "99999998"},
				{ask{path: of("33333333")}, ask{path: of("99999998")}, "99999998"},
				{ask{method: "POST", path: of(theirTID) + "/transactions", body: saleBody}, ask{method: "POST", path: of("99999998") + "/transactions", body: saleBody}, "99999998"},
				{ask{method: "POST", path: of(theirTID) + "/reports", body: `{"reportType":"X_BALANCE"}`}, ask{method: "POST", path: of("99999998") + "/reports", body: `{"reportType":"X_BALANCE"}`}, "99999998"},
				{ask{path: sale}, ask{path: of(theirTID) + "/transactions" + unknown}, ""},
				{ask{path: sale}, ask{path: of(tid) + "/transactions" + unknown}, ""},
				{ask{path: sale}, ask{path: of("99999998") + "/transactions" + unknown}, ""},
				{ask{path: sale + "/events"}, ask{path: of(tid) + "/transactions" + unknown + "/events"}, ""},
				{ask{method: "DELETE", path: sale}, ask{method: "DELETE", path: of(tid) + "/transactions" + unknown}, ""},
				{ask{method: "PUT", path: sale + "/signature", body: `{"accepted":true}`}, ask{method: "PUT", path: of(tid) + "/transactions" + unknown + "/signature", body: `{"accepted":true}`}, ""},
				{ask{path: report}, ask{path: of(tid) + "/reports" + unknown}, ""},
			} {
				c.theirs.version, c.nobodys.version = version, version
				c.theirs.headers = []string{"Software-House-Id", "DEMOSWH", "Installer-Id", "DEMOINST"}
				c.nobodys.headers = c.theirs.headers
				a, b := w.do(c.theirs).is(http.StatusNotFound), w.do(c.nobodys).is(http.StatusNotFound)
				if c.masks != "" {
					b.body = strings.ReplaceAll(b.body, c.masks, strings.Split(c.theirs.path, "/")[3])
				}
				if a.body != b.body || fmt.Sprint(a.header) != fmt.Sprint(b.header) {
					t.Errorf("%s in %s: %s, %v; but %s, %v of nobody's", a.what, version, a.body, a.header, b.body, b.header)
				}
			}
		}
		// One's own, at another card machine than it is at.
		own := w.begins(aSale())
		elsewhere := strings.Replace(own, tid, nextTID, 1)
		for range 2 {
			w.refuses(ask{path: elsewhere}, spec.RESTUnknownRequest)
			w.refuses(ask{path: elsewhere + "/events"}, spec.RESTUnknownRequest)
			w.refuses(ask{method: http.MethodDelete, path: elsewhere}, spec.RESTUnknownRequest)
			w.refuses(ask{method: http.MethodPut, path: elsewhere + "/signature", body: `{"accepted":true}`}, spec.RESTUnknownRequest)
			w.polled(own) // from now on it is at hand
		}
		w.pdq.ends(outcome(txn.Successful))
		for range 2 {
			w.refuses(ask{path: elsewhere}, spec.RESTUnknownRequest)
			w.polled(own)
		}
		// A simulated one is known by its name in any case.
		simulated := w.begins(ask{method: http.MethodPost, path: of(strings.ToLower(simApproves)) + "/transactions", body: saleBody})
		if !strings.HasPrefix(simulated, of(simApproves)) {
			t.Errorf("it is at %s", simulated)
		}
		w.polled(strings.Replace(simulated, simApproves, strings.ToLower(simApproves), 1))
		id := simulated[strings.LastIndexByte(simulated, '/')+1:]
		if lower := strings.ToLower(id); lower != id {
			w.refuses(ask{path: strings.Replace(simulated, id, lower, 1)}, spec.RESTUnknownRequest)
		}
		// Their own till sees them.
		w.do(ask{path: sale, key: otherKey}).is(http.StatusOK)
		if got := w.theirs.heard("cancel"); got != 0 {
			t.Errorf("a stranger's cancel reached the machine %d times", got)
		}
	})
}
