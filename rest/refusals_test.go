package rest_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tillwire/tillwire/spec"
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
	name string
	ask  ask
	read bool // its body is read
	// allow is what the path takes.
	allow string
}

// endpoints lists the endpoints for the counter, as they are called for a sale and
// a report that are known.
func (w *world) endpoints() []endpoint {
	w.t.Helper()
	sale := w.begins(aSale())
	report := w.begins(ask{method: http.MethodPost, path: of(nextTID) + "/reports", body: `{"reportType":"X_BALANCE"}`})
	return []endpoint{
		{name: "terminals", ask: ask{path: "/pac/terminals"}, allow: "GET, HEAD, OPTIONS"},
		{name: "terminal", ask: ask{path: of(tid)}, allow: "GET, HEAD, OPTIONS"},
		{name: "begin", ask: ask{method: http.MethodPost, path: of(simApproves) + "/transactions", body: saleBody}, read: true, allow: "POST, OPTIONS"},
		{name: "transaction", ask: ask{path: sale}, allow: "DELETE, GET, HEAD, OPTIONS"},
		{name: "cancel", ask: ask{method: http.MethodDelete, path: sale}, allow: "DELETE, GET, HEAD, OPTIONS"},
		{name: "signature", ask: ask{method: http.MethodPut, path: sale + "/signature", body: `{"accepted":true}`}, read: true, allow: "PUT, OPTIONS"},
		{name: "report begin", ask: ask{method: http.MethodPost, path: of(simApproves) + "/reports", body: `{"reportType":"X_BALANCE"}`}, read: true, allow: "POST, OPTIONS"},
		{name: "report", ask: ask{path: report}, allow: "GET, HEAD, OPTIONS"},
	}
}

// TestEachEndpointRefuses goes through what can be wrong with any request. None of
// it changes anything.
func TestEachEndpointRefuses(t *testing.T) {
	inWorld(t, func(w *world) {
		list := w.endpoints()
		written := w.store.written()
		for _, e := range list {
			for _, auth := range []string{"-", "Basic", "Basic !", "Bearer demo", "Basic " + "bm9jb2xvbg==", "demo", "Basic " + "dGlsbDE6", "Digest dGlsbDE6ZGVtbw=="} {
				a := e.ask
				a.auth = auth
				got := w.refuses(a, spec.RESTNoCredentials)
				if got.header.Get("WWW-Authenticate") != `Basic realm="connect"` {
					t.Errorf("WWW-Authenticate %q", got.header.Get("WWW-Authenticate"))
				}
			}
			a := e.ask
			a.without = []string{"Authorization"}
			w.refuses(a, spec.RESTNoCredentials)
			a = e.ask
			a.key = "wrong"
			if got := w.refuses(a, spec.RESTWrongCredentials); got.header.Get("WWW-Authenticate") == "" {
				t.Error("nothing says how to authenticate")
			}

			a = e.ask
			a.version = "v3"
			got := w.do(a)
			status, text := textOf(spec.RESTUnknownVersion, "v2")
			got.says(status, text)
			if !strings.HasPrefix(got.body, `{"userMessage":`) || got.header.Get("Content-Type") != "application/connect.v2+json; charset=utf-8" {
				t.Errorf("406 as %q, %s", got.header.Get("Content-Type"), got.body)
			}

			for _, name := range []string{"Software-House-Id", "Installer-Id"} {
				a = e.ask
				a.without = []string{name}
				w.refuses(a, spec.RESTNoPartnerHeaders)
				a.without = nil
				r := a.request()
				r.Header.Set(name, "  ")
				w.serve(r).says(textOf(spec.RESTNoPartnerHeaders, "v2"))
				r = a.request()
				r.Header.Set(name, strings.Repeat("x", 65))
				w.serve(r).says(textOf(spec.RESTLongPartnerHeaders, "v2"))
			}

			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodTrace, "PROPFIND", "get"} {
				if slices.Contains(strings.Split(e.allow, ", "), method) {
					continue
				}
				a = e.ask
				a.method = method
				if got := w.refuses(a, spec.RESTMethodNotAllowed); got.header.Get("Allow") != e.allow {
					t.Errorf("%s: Allow %q, want %q", method, got.header.Get("Allow"), e.allow)
				}
			}

			if e.read {
				a = e.ask
				a.body = e.ask.body + strings.Repeat(" ", 2<<20)
				w.refuses(a, spec.RESTBodyTooLarge)
				for _, body := range []string{"", "{", `{"accepted":true,"reportType":"X_BALANCE","transactionType":"SALE","amount":1,"currency":"GBP"`, e.ask.body + "x", e.ask.body + "{}", "[]", "null", "1", `"` + "\xff" + `"`, "\x00"} {
					a = e.ask
					a.body = body
					w.refuses(a, spec.RESTBadBody, "fault", spec.RESTFaultNotAnObject)
				}
				a = e.ask
				a.body = `{"x":1,"x":2}`
				w.refuses(a, spec.RESTBadBody, "fault", spec.RESTFaultNameTwice)
			}
		}
		if got := w.store.written(); got != written {
			t.Errorf("%d records were written", got-written)
		}
	})
}

// TestEachEndpointTakes: what matters to none does not matter.
func TestEachEndpointTakes(t *testing.T) {
	inWorld(t, func(w *world) {
		for _, e := range w.endpoints() {
			if e.ask.method == http.MethodPost || e.name == "cancel" || e.name == "signature" {
				continue // they change things, and are tried below
			}
			plain := w.do(e.ask).is(http.StatusOK)
			for name, a := range map[string]ask{
				"content type": e.ask.with("Content-Type", "text/plain; charset=latin1"),
				"a body":       {path: e.ask.path, body: `{"x":`},
				"slashes":      {path: "//" + strings.ReplaceAll(e.ask.path, "/", "///") + "//"},
				"upper case":   {path: strings.ReplaceAll(strings.ReplaceAll(e.ask.path, "pac", "PAC"), "terminals", "Terminals")},
				"escapes":      {path: strings.Replace(e.ask.path, "pac", "%70a%63", 1)},
				"retail":       {path: strings.Replace(e.ask.path, "pac", "retail", 1)},
				"a query":      {path: e.ask.path + "?x=%zz&;&y"},
			} {
				if got := w.do(a).is(http.StatusOK); got.body != plain.body {
					t.Errorf("%s, %s: %s instead of %s", e.name, name, got.body, plain.body)
				}
			}
			head := e.ask
			head.method = http.MethodHead
			if got := w.do(head).is(http.StatusOK); got.header.Get("Content-Length") != plain.header.Get("Content-Length") {
				t.Errorf("%s: HEAD says %s bytes", e.name, got.header.Get("Content-Length"))
			}
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
		// Their own till sees them.
		w.do(ask{path: sale, key: otherKey}).is(http.StatusOK)
		if got := w.theirs.heard("cancel"); got != 0 {
			t.Errorf("a stranger's cancel reached the machine %d times", got)
		}
	})
}
