package docs

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/site/look"
)

// Handlers that all tests share: each makes its pages once.
var (
	plainHandler = sync.OnceValue(func() http.Handler { return Handler(Options{}) })
	devHandler   = sync.OnceValue(func() http.Handler { return Handler(Options{Try: true, Console: true}) })
)

func get(h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestHandler(t *testing.T) {
	h := plainHandler()
	for _, c := range []struct {
		method, path string
		status       int
		kind, more   string // of the body, or where a redirect leads
	}{
		{"GET", "/docs", 301, "", "docs/"},
		{"GET", "/docs/", 200, "text/html; charset=utf-8", "<h1>Tillwire docs</h1>"},
		{"HEAD", "/docs/errors", 200, "text/html; charset=utf-8", ""},
		{"GET", "/docs/errors", 200, "text/html; charset=utf-8", `id="-32602"`},
		{"GET", "http://example.com//docs/errors", 200, "text/html; charset=utf-8", `id="-32602"`},
		{"GET", "/docs/errors.md", 200, "text/markdown; charset=utf-8", "# Errors"},
		{"GET", "/docs/extensions", 301, "", "extensions/"},
		{"GET", "/docs/extensions/", 200, "text/html; charset=utf-8", "<h1>Extensions</h1>"},
		{"GET", "/docs/v1/pac/performTransaction", 200, "text/html; charset=utf-8", "<h1>Perform Transaction</h1>"},
		{"GET", "/docs/v1/pac/performTransaction/faults", 200, "text/html; charset=utf-8", "what does not fit"},
		{"GET", "/docs/v1/pac/report.html", 301, "", "report"},
		{"GET", "/docs/index.html", 301, "", "./"},
		{"GET", "/docs/schemas/v1/CtSR_Report_Request.json", 200, "application/schema+json; charset=utf-8", "draft-04"},
		{"GET", "/docs/search.json", 200, "application/json; charset=utf-8", "performTransaction"},
		{"GET", "/docs/llms.txt", 200, "text/plain; charset=utf-8", "# Tillwire"},
		{"GET", "/docs/asyncapi.json", 200, "application/json; charset=utf-8", "3.0.0"},
		{"GET", "/docs/openapi.json", 200, "application/json; charset=utf-8", "3.1.0"},
		{"GET", "/docs/sitemap.xml", 200, "application/xml; charset=utf-8", "<loc>http://example.com/docs/errors</loc>"},
		{"GET", "/docs/nothing", 404, "text/html; charset=utf-8", "There is no such page"},
		{"GET", "/docs/v9/x/<script>", 404, "text/html; charset=utf-8", `href="../../all"`},
		{"POST", "/docs/errors", 405, "text/plain; charset=utf-8", "GET"},
		{"POST", "/docs/try/check", 405, "text/plain; charset=utf-8", "GET"},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			w := get(h, c.method, c.path)
			if w.Code != c.status {
				t.Fatalf("status %d, want %d: %s", w.Code, c.status, w.Body)
			}
			if c.status == 301 {
				if got := w.Header().Get("Location"); got != c.more {
					t.Errorf("leads to %s, want %s", got, c.more)
				}
				return
			}
			if got := w.Header().Get("Content-Type"); got != c.kind || c.method == "GET" && !strings.Contains(w.Body.String(), c.more) {
				t.Errorf("%s without %q", got, c.more)
			}
			if got := w.Header().Get("Content-Security-Policy"); got != look.Policy {
				t.Errorf("policy %q", got)
			}
			if strings.Contains(w.Body.String(), "<script>") {
				t.Error("repeats what was asked for")
			}
		})
	}
	page := get(h, "GET", "/docs/")
	for _, l := range read(page.Body.String()).links {
		if strings.HasPrefix(l, "assets/") {
			if w := get(h, "GET", "/docs/"+l); w.Code != 200 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
				t.Errorf("%s: %d", l, w.Code)
			}
		}
	}
}

// TestHandlerPacks: compressed on request, and not sent again to who has it.
func TestHandlerPacks(t *testing.T) {
	h := plainHandler()
	plain := get(h, "GET", "/docs/flows")
	for range 2 {
		packed := get(h, "GET", "/docs/flows", "Accept-Encoding", "gzip, br")
		if packed.Header().Get("Content-Encoding") != "gzip" || packed.Body.Len()*3 > plain.Body.Len() {
			t.Fatalf("%q, %d bytes of %d", packed.Header().Get("Content-Encoding"), packed.Body.Len(), plain.Body.Len())
		}
		z, err := gzip.NewReader(packed.Body)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(z); err != nil || string(body) != plain.Body.String() {
			t.Errorf("unpacked to %d bytes, %v", len(body), err)
		}
	}
	if w := get(h, "GET", "/docs/flows", "If-None-Match", plain.Header().Get("ETag")); w.Code != 304 || w.Body.Len() != 0 {
		t.Errorf("asked again: %d with %d bytes", w.Code, w.Body.Len())
	}
}

func TestCheck(t *testing.T) {
	h := devHandler()
	check := func(t *testing.T, o checkOrder, header ...string) (int, verdict) {
		t.Helper()
		body, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("POST", checkPath, strings.NewReader(string(body)))
		r.Header.Set("Origin", "http://example.com")
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var v verdict
		if w.Code == 200 {
			if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
				t.Fatal(err)
			}
		}
		return w.Code, v
	}
	const sale = `{"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":"VCMDEMOSIP0","currency":"GBP","amount":1250}}`
	for _, c := range []struct {
		name  string
		order checkOrder
		page  string
		want  []string // pointer and rule of each fault
	}{
		{"a sale", checkOrder{Version: "v1", Face: "pac", Direction: "EPOS → Connect", Text: sale}, "/docs/v1/pac/performTransaction", nil},
		{"an amount in quotes", checkOrder{Version: "v1", Face: "pac", Direction: "EPOS → Connect", Text: strings.Replace(sale, "1250", `"1250"`, 1)}, "/docs/v1/pac/performTransaction", []string{"/params/amount type"}},
		{"in v0 it has no tid", checkOrder{Version: "v0", Face: "pac", Direction: "EPOS → Connect", Text: sale}, "/docs/v0/pac/performTransaction", []string{"/params/tid additionalProperties", "/params/tpi required"}},
		{"a key without the extension", checkOrder{Version: "v1", Face: "pac", Direction: "EPOS → Connect", Text: strings.Replace(sale, `"amount"`, `"requestKey":"k","amount"`, 1)}, "/docs/v1/pac/performTransaction", []string{"/params/requestKey additionalProperties"}},
		{"a key with it", checkOrder{Version: "v1", Face: "pac", Extensions: "status,keys", Direction: "EPOS → Connect", Text: strings.Replace(sale, `"amount"`, `"requestKey":"k","amount"`, 1)}, "/docs/v1/extensions/keys", nil},
		{"a method in the wrong case", checkOrder{Version: "v1", Face: "pac", Direction: "EPOS → Connect", Text: strings.Replace(sale, "sale", "Sale", 1)}, "", []string{"/method enum"}},
		{"a notification", checkOrder{Version: "v1", Face: "pac", Direction: "Connect → EPOS", Text: `{"jsonrpc":"2.0","method":"terminalNotification","params":{"notificationValue":"PIN_ENTRY","tid":"1"}}`}, "/docs/v1/pac/terminalNotification", nil},
		{"an answer to a signature", checkOrder{Version: "v1", Face: "pac", Direction: "EPOS → Connect", Method: "signatureVerificationRequest", Text: `{"jsonrpc":"2.0","id":1,"result":{"accepted":"true"}}`}, "/docs/v1/pac/verifySignature", []string{"/result/accepted type"}},
		{"a result", checkOrder{Version: "v1", Face: "pac", Direction: "Connect → EPOS", Method: "terminalDetails", Text: `{"jsonrpc":"2.0","id":1,"result":{"tid":"1","currency":"GBP","status":"AVAILABLE"}}`}, "/docs/v1/pac/terminalDetails", nil},
		{"an error", checkOrder{Version: "v1", Face: "pac", Direction: "Connect → EPOS", Method: "sale", Text: `{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"}}`}, "/docs/v1/pac/errorMessage", nil},
		{"no JSON", checkOrder{Version: "v1", Face: "pac", Direction: "EPOS → Connect", Text: `{`}, "", []string{" JSON"}},
		{"a table", checkOrder{Version: "v1", Face: "pat", Direction: "EPOS → Connect", Method: "tableLockRequest", Text: `{"jsonrpc":"2.0","id":1,"result":{"confirmed":false}}`}, "/docs/v1/pat/tableLock", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, v := check(t, c.order)
			var got []string
			for _, f := range v.Faults {
				got = append(got, f.Pointer+" "+f.Rule)
			}
			if diff := cmp.Diff(c.want, got); status != 200 || v.Page != c.page || diff != "" {
				t.Errorf("status %d, page %q, want %q; faults (- want, + got):\n%s", status, v.Page, c.page, diff)
			}
		})
	}
	order := checkOrder{Version: "v1", Face: "pac", Direction: "EPOS → Connect", Text: sale}
	for name, header := range map[string][]string{
		"another origin": {"Origin", "http://evil.example"}, "no origin": {"Origin", ""},
		"another site": {"Sec-Fetch-Site", "cross-site"},
	} {
		if status, _ := check(t, order, header...); status != 403 {
			t.Errorf("%s: status %d, want 403", name, status)
		}
	}
	if w := get(h, "GET", checkPath); w.Code != 405 {
		t.Errorf("GET: status %d, want 405", w.Code)
	}
	r := httptest.NewRequest("POST", checkPath, strings.NewReader(`{"text":"`+strings.Repeat("x", maxCheck)+`"}`))
	r.Header.Set("Origin", "http://example.com")
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != 400 {
		t.Errorf("a message that is too long: status %d, want 400", w.Code)
	}
}
