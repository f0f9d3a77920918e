package rest_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/rest"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/spec/openapi"
	"github.com/tillwire/tillwire/txn"
)

// FuzzServeHTTP sends requests of any kind, with the right key or another one.
// Whatever comes, the answer is one of those described, no fault of our own, and
// nothing secret is in it or in the log.
func FuzzServeHTTP(f *testing.F) {
	const secret = "k3y-that-nobody-may-see"
	const pan = "4929123412341234"
	store := memory.New()
	ctx := context.Background()
	if err := gateway.AddSite(ctx, store, journal.Site{ID: "demo", TimeZone: "UTC"}); err != nil {
		f.Fatal(err)
	}
	if _, _, err := gateway.AddKey(ctx, store, "demo", secret, "", nil); err != nil {
		f.Fatal(err)
	}
	log := &record{}
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	g, err := gateway.New(ctx, gateway.Config{Store: store, Log: logger})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(g.Close)
	pdq := newMachine()
	if err := g.Plug("demo", tid, pdq.connect); err != nil {
		f.Fatal(err)
	}
	till, err := g.Till(secret, txn.Caller{})
	if err != nil {
		f.Fatal(err)
	}
	b, err := till.Begin(ctx, gateway.Wish{TID: tid, Txn: txn.Request{Type: txn.Sale, Currency: "GBP", Amount: 1250}})
	if err != nil {
		f.Fatal(err)
	}
	face := rest.New(rest.Config{Gateway: g, Log: logger, Pace: rest.Pace{Hold: time.Nanosecond}})
	f.Cleanup(face.Close)
	sale := of(tid) + "/transactions/" + string(b.ID)
	for _, seed := range [][4]string{
		{"GET", "/pac/terminals?status=BUSY&currency=GBP&capabilities=[SALE]", "Accept: application/connect.v1+json", ""},
		{"GET", of(tid), "Accept: */*", ""},
		{"POST", of(tid) + "/transactions", "Idempotency-Key: a", saleBody},
		{"POST", of(pan) + "/transactions", "Accept: application/connect.v0+json", `{"transactionType":"DUPLICATE"}`},
		{"GET", sale + "?extensions=late", "Accept: application/connect.v2+json;q=0.1", ""},
		{"GET", "//retail/terminals/x/transactions/" + pan, "X-Forwarded-Host: " + pan, ""},
		{"PUT", sale + "/signature", "Accept: application/connect.v1+json", `{"accepted":"true"}`},
		{"DELETE", sale, "Software-House-Id: a\nInstaller-Id: b\nAccept: application/connect.v2+json", "{}"},
		{"POST", of(tid) + "/reports", "", `{"reportType":"` + pan + `"}`},
		{"GET", of(tid) + "/reports/x", "Origin: null", ""},
		{"PUT", "/pat/tables", "", `{"tableName":"a/b","amount":4550,"currency":"GBP","waiterIds":["3"],"receipt":[{"value":"x"}]}`},
		{"GET", "/pat/tables/a%2Fb?receipt", "", ""},
		{"PUT", "/pat/tables/a%2Fb/lock", "", known(4550, 0, `"locked":true,"lockedBy":"17","override":true`)},
		{"PUT", "/pat/tables/a%2Fb/amount", "", known(4550, 0, `"newAmount":"1.0"`)},
		{"DELETE", "/pat/tables/a%2Fb", "", known(4550, 0, "")},
		{"GET", "/pat/reports?tpi=" + secret, "Accept: application/connect.v0+json", ""},
		{"GET", "/pat/reports/" + secret, "Authorization: Basic " + secret, ""},
		{"OPTIONS", "*", "Access-Control-Request-Private-Network: true", ""},
		{"PATCH", sale + "/signature", "Idempotency-Key: " + pan, "\ufeff{}"},
		{"HEAD", "/%2e%2e/%zz", "Last-Event-ID: 1", `{"a":1,"a":2}`},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	judge, err := openapi.New(spec.Default().REST())
	if err != nil {
		f.Fatal(err)
	}
	judged, found := judge.Handler(face), 0
	f.Fuzz(func(t *testing.T, method, target, headers, body string) {
		r, ok := requestOf(method, target, headers, body)
		if !ok || strings.HasSuffix(strings.ToLower(strings.TrimRight(r.URL.Path, "/")), "/events") {
			return // no server would hand it on, or it has no end
		}
		if r.Header.Get("Authorization") == "" {
			r.Header.Set("Authorization", basic("till", secret))
		}
		tables := strings.HasPrefix(strings.ToLower(strings.TrimLeft(r.URL.Path, "/")), "pat")
		if r.Method == http.MethodDelete && !tables {
			r.Header.Set("Accept", "application/connect.v2+json") // the others wait for the end
		}
		log.take()
		rec := httptest.NewRecorder()
		judged.ServeHTTP(rec, r)
		if faults := judge.Faults(); len(faults) > found {
			t.Errorf("%s %s: %q", method, target, faults)
			found = len(faults)
		}
		if rec.Code >= 500 {
			t.Errorf("%s %s: %d %s", method, target, rec.Code, rec.Body)
		}
		// What a till stored it gets back; nothing else that it said.
		if all := rec.Body.String(); rec.Code >= 400 && !tables {
			for _, word := range []string{secret, pan} {
				if strings.Contains(all, word) {
					t.Errorf("%s %s: it says %s", method, target, all)
				}
			}
		}
		said := log.take()
		if strings.Contains(said, secret) || strings.Contains(said, pan) || strings.Contains(said, "level=ERROR") {
			t.Errorf("%s %s: the log says %s", method, target, said)
		}
	})
}

// requestOf makes a request as a server would hand it on.
func requestOf(method, target, headers, body string) (*http.Request, bool) {
	if len(body) > 1<<20 || method == "" || strings.ContainsFunc(method, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r) }) {
		return nil, false
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil, false
	}
	r := httptest.NewRequest(http.MethodGet, "http://gateway.example/", strings.NewReader(body))
	r.Method, r.URL, r.RequestURI = method, u, target
	for _, l := range lines(headers) {
		name, value, found := strings.Cut(l, ":")
		value = strings.TrimSpace(value)
		control := func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
		if !found || name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' }) || strings.ContainsFunc(value, control) {
			return nil, false
		}
		if strings.EqualFold(name, "Host") {
			continue
		}
		r.Header.Add(name, value)
	}
	if slices.Contains([]string{"CONNECT"}, method) && u.Host == "" {
		return nil, false
	}
	return r, true
}
