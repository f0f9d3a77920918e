package main

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
)

// devFace is the controls over the simulated terminals of a site demo, with a
// site shop that has none.
func devFace(t *testing.T) *httptest.Server {
	t.Helper()
	ctx := t.Context()
	store := memory.New()
	for _, s := range []journal.Site{{ID: "demo", Simulated: "DEMO"}, {ID: "shop"}} {
		if err := gateway.AddSite(ctx, store, s); err != nil {
			t.Fatal(err)
		}
	}
	sims := &simulators{dir: t.TempDir(), speed: float64(sim.Max), seed: 1, log: slog.New(slog.DiscardHandler), parks: map[txn.SiteID]*simPark{}}
	g, err := gateway.New(ctx, gateway.Config{Store: store, Summon: sims.summon})
	if err != nil {
		t.Fatal(err)
	}
	if err := sims.arrange(ctx, g, store); err != nil {
		t.Fatal(err)
	}
	c := newControls(g, sims)
	srv := httptest.NewServer(c)
	t.Cleanup(func() {
		c.stop()
		srv.Close()
		g.Close()
		if err := sims.close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return srv
}

func TestControlsAnswerProgramsOfThisMachineOnly(t *testing.T) {
	reached := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	c := &controls{pages: reached}
	for name, test := range map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"a program":                   {func(*http.Request) {}, 204},
		"by name":                     {func(r *http.Request) { r.Host = "LocalHost:8484" }, 204},
		"without a port":              {func(r *http.Request) { r.Host = "127.0.0.1" }, 204},
		"over IPv6":                   {func(r *http.Request) { r.Host, r.RemoteAddr = "[::1]:8484", "[::1]:9" }, 204},
		"IPv6 without a port":         {func(r *http.Request) { r.Host = "[::1]" }, 204},
		"typed into a browser":        {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "none") }, 204},
		"another machine":             {func(r *http.Request) { r.RemoteAddr = "192.0.2.1:9" }, 403},
		"nobody knows who":            {func(r *http.Request) { r.RemoteAddr = "" }, 403},
		"a name bent to this address": {func(r *http.Request) { r.Host = "tills.example:8484" }, 403},
		"a name that begins alike":    {func(r *http.Request) { r.Host = "localhost.example" }, 403},
		"no name":                     {func(r *http.Request) { r.Host = "" }, 403},
		"a web page":                  {func(r *http.Request) { r.Header.Set("Origin", "https://tills.example") }, 403},
		"a page from a file":          {func(r *http.Request) { r.Header.Set("Origin", "null") }, 403},
		"a page of this gateway":      {func(r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1:8484") }, 403},
		"an image in a web page":      {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403},
		"through a proxy":             {func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.1") }, 403},
		"through another proxy":       {func(r *http.Request) { r.Header.Set("Forwarded", "for=192.0.2.1") }, 403},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/dev/sites/demo/terminals", nil)
			r.Host, r.RemoteAddr = "127.0.0.1:8484", "127.0.0.1:9"
			test.change(r)
			w := httptest.NewRecorder()
			c.ServeHTTP(w, r)
			if w.Code != test.want {
				t.Errorf("status %d, want %d: %s", w.Code, test.want, w.Body)
			}
		})
	}
}

func TestControlsRefuse(t *testing.T) {
	srv := devFace(t)
	const visit = "/dev/sites/demo/terminals/VCMDEMOSIP0/visit"
	const scenario = "/dev/sites/demo/terminals/VCMDEMOSIP0/scenario"
	for name, test := range map[string]struct {
		method, path, kind, body string
		status                   int
		want                     string
	}{
		"no such site":                  {"GET", "/dev/sites/nowhere/terminals", "", "", 404, "nowhere"},
		"a site without simulated ones": {"GET", "/dev/sites/shop/terminals", "", "", 404, "shop"},
		"a terminal that is not ours":   {"POST", "/dev/sites/demo/terminals/12345678/visit", "application/json", "{}", 404, "12345678"},
		"another site's terminal":       {"POST", "/dev/sites/demo/terminals/VCMSHOPSIP0/visit", "application/json", "{}", 404, "VCMSHOPSIP0"},
		"a form of a web page":          {"POST", visit, "text/plain", "{}", 415, "application/json"},
		"no JSON":                       {"POST", visit, "application/json", "{", 400, ""},
		"an unknown member":             {"POST", visit, "application/json", `{"tabel":"12"}`, 400, "tabel"},
		"an amount that is no integer":  {"POST", visit, "application/json", `{"pay":12.5}`, 400, "pay"},
		"more than a body may have":     {"POST", visit, "application/json", `{"table":"` + strings.Repeat("1", maxOrder) + `"}`, 400, ""},
		"a step that there is not":      {"POST", visit, "application/json", `{"cancelAt":"lunch"}`, 422, "lunch"},
		"nobody to leave":               {"DELETE", visit, "", "", 409, "nobody"},
		"a report that there is not":    {"POST", "/dev/sites/demo/terminals/VCMDEMOSIP0/report", "application/json", `{"type":"WEEKLY"}`, 422, "WEEKLY"},
		"a scenario that there is not":  {"POST", scenario, "application/json", `{"name":"lunch"}`, 422, "lunch"},
		"a scenario without a name":     {"POST", scenario, "application/json", `{}`, 422, "no scenario"},
		"less than no times":            {"POST", scenario, "application/json", `{"name":"declined","times":-1}`, 422, "times"},
		"more times than are kept":      {"POST", scenario, "application/json", `{"name":"declined","times":1001}`, 422, "times"},
		"a scenario nowhere":            {"POST", "/dev/sites/demo/terminals/12345678/scenario", "application/json", `{"name":"declined"}`, 404, "12345678"},
		"calm nowhere":                  {"DELETE", "/dev/sites/demo/terminals/12345678/scenario", "", "", 404, "12345678"},
		"another method":                {"PUT", visit, "application/json", "{}", 405, ""},
		"another path":                  {"GET", "/dev/sites", "", "", 404, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), test.method, srv.URL+test.path, strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", test.kind)
			resp, err := srv.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != test.status || !strings.Contains(string(body), test.want) {
				t.Errorf("status %d, want %d with %q: %s", resp.StatusCode, test.status, test.want, body)
			}
		})
	}
}

func postVisit(t *testing.T, srv *httptest.Server, body string) []visitLine {
	t.Helper()
	resp, err := srv.Client().Post(srv.URL+"/dev/sites/demo/terminals/vcmdemosip0/visit", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out []visitLine
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		var l visitLine
		if err := json.Unmarshal(lines.Bytes(), &l, json.RejectUnknownMembers(true)); err != nil {
			t.Fatalf("%s: %v", lines.Bytes(), err)
		}
		out = append(out, l)
	}
	if resp.StatusCode != http.StatusOK || lines.Err() != nil {
		t.Fatalf("status %d, %v", resp.StatusCode, lines.Err())
	}
	return out
}

// TestVisitLines: a visit is told step by step, and its result is the last line
// and the only one of its kind.
func TestVisitLines(t *testing.T) {
	srv := devFace(t)
	for range 2 { // the terminal is free again
		lines := postVisit(t, srv, `{"waiter":"3","table":"12"}`)
		var got []string
		for _, l := range lines {
			switch {
			case l.Step != nil && l.Result == nil:
				got = append(got, string(l.Step.Step)+": "+l.Step.Text)
			case l.Result != nil && l.Step == nil:
				got = append(got, "result: "+string(l.Result.End))
			default:
				t.Errorf("line %+v", l)
			}
		}
		want := []string{"list: Please wait", "list: The till is offline.", "leave: Nothing was paid", "result: noTable"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("lines (-want +got)\n%s", diff)
		}
	}
}

// TestReportAtTheTerminal: it is printed, and owed to the till.
func TestReportAtTheTerminal(t *testing.T) {
	srv := devFace(t)
	resp, err := srv.Client().Post(srv.URL+"/dev/sites/demo/terminals/VCMDEMOSIP0/report", "application/json", strings.NewReader(`{"type":"X_BALANCE"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var r reportView
	if err := json.UnmarshalRead(resp.Body, &r); err != nil {
		t.Fatal(err)
	}
	if r.Type != "X_BALANCE" || r.Result != "COMPLETE" || !strings.Contains(r.Paper, "X BALANCE") {
		t.Errorf("report %+v", r)
	}
}

func TestStandings(t *testing.T) {
	srv := devFace(t)
	resp, err := srv.Client().Get(srv.URL + "/dev/sites/demo/terminals")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var list []standingView
	if err := json.UnmarshalRead(resp.Body, &list); err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 {
		t.Fatal("no terminals")
	}
	for _, v := range list {
		if v.status() != "AVAILABLE" || v.Currency == "" || v.LastSeen.IsZero() {
			t.Errorf("%+v", v)
		}
	}
	for want, v := range map[string]standingView{
		"NOT CONNECTED": {Busy: true}, "BUSY": {Connected: true, Busy: true}, "AVAILABLE": {Connected: true},
	} {
		if got := v.status(); got != want {
			t.Errorf("%+v: %s, want %s", v, got, want)
		}
	}
}

// FuzzVisitOrder: whatever order comes, the answer ends.
func FuzzVisitOrder(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"table":"12","pay":4550,"tip":450}`, `{"table":"12","tipPercent":10,"split":2,"cancelAt":"card"}`,
		`{"table":"12","byName":true,"signature":true}`, `{"split":-1}`, `{"tip":9223372036854775807,"tipPercent":1}`, `[]`, ``,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var o visitOrder
		if err := json.Unmarshal([]byte(body), &o, json.RejectUnknownMembers(true)); err != nil {
			return
		}
		again, err := json.Marshal(o)
		if err != nil {
			return // invalid UTF-8 is no order
		}
		var back visitOrder
		if err := json.Unmarshal(again, &back, json.RejectUnknownMembers(true)); err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		if back != o {
			t.Errorf("%+v, then %+v", o, back)
		}
		_ = o.visit()
	})
}
