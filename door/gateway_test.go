package door

import (
	"bytes"
	"context"
	"encoding/base64"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/memory"
)

// planted is in everything that must never be logged.
const planted = "SECRET-7d1f"

// real is a door to the real gateway, with the site demo, its key, one that is
// for something else, and one that was revoked.
type real struct {
	*stage
	store   *memory.Store
	gateway *gateway.Gateway
	keys    map[string]journal.Key

	gatewayLog *record
}

func openReal(t *testing.T, limits gateway.Limits) *real {
	t.Helper()
	ctx := context.Background()
	r := &real{store: memory.New(), keys: map[string]journal.Key{}}
	if err := gateway.AddSite(ctx, r.store, journal.Site{ID: "demo", Name: "Demo"}); err != nil {
		t.Fatal(err)
	}
	for name, faces := range map[string][]string{"good": nil, "rest": {"rest"}, "revoked": nil} {
		_, key, err := gateway.AddKey(ctx, r.store, "demo", planted+name, "", faces)
		if err != nil {
			t.Fatal(err)
		}
		r.keys[name] = key
	}
	if _, err := gateway.RevokeKey(ctx, r.store, r.keys["revoked"].ID); err != nil {
		t.Fatal(err)
	}
	log := &record{}
	r.gatewayLog = log
	metrics, page := gateway.NewMetrics(), prometheus.NewRegistry()
	page.MustRegister(metrics)
	var err error
	if r.gateway, err = gateway.New(ctx, gateway.Config{Store: r.store, Metrics: metrics, Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})), Limits: limits}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.gateway.Recover(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.gateway.Close)
	r.stage = open(t, Config{Gateway: r.gateway, Gatherer: page})
	t.Cleanup(func() {
		r.stop()
		for range r.done {
		}
		for _, all := range []string{r.log.String(), log.String()} {
			if i := strings.Index(all, planted); i >= 0 {
				t.Errorf("a secret is in the log: %s", all[max(0, i-300):min(len(all), i+100)])
			}
		}
	})
	return r
}

// TestRefusedByTheGateway has each refusal of the contract, section 1, as the
// till sees it.
func TestRefusedByTheGateway(t *testing.T) {
	r := openReal(t, gateway.Limits{})
	const ids = "&software-house-id=S&installer-id=I"
	key := "token=" + planted + "good"
	tests := []struct {
		name   string
		query  string
		header http.Header
		status int
		says   string
	}{
		{"no key", "?api-version=v1" + ids, nil, 401, "token="},
		{"an empty key", "?token=&api-version=v1" + ids, nil, 401, "token="},
		{"the key in a header", "?api-version=v1" + ids, http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("x:"+planted+"good"))}}, 401, "Authorization"},
		{"an unknown key", "?token=" + planted + "wrong&api-version=v1" + ids, nil, 401, "not known"},
		{"a revoked key", "?token=" + planted + "revoked&api-version=v1" + ids, nil, 401, "revoked"},
		{"a key for something else", "?token=" + planted + "rest&api-version=v1" + ids, nil, 403, "not for pac"},
		{"an unknown version", "?" + key + "&api-version=v2" + ids, nil, 400, "api-version"},
		{"a second question mark", "?api-version=v1?" + key + ids, nil, 401, "token="},
		{"an unknown extension", "?" + key + "&api-version=v1&extensions=" + planted + ids, nil, 400, "xtension"},
		{"v1 without partner ids", "?" + key + "&api-version=v1", nil, 422, "software-house-id"},
		{"v1 without the installer", "?" + key + "&api-version=v1&software-house-id=S", nil, 422, "installer-id"},
		{"a partner id that is too long", "?" + key + "&api-version=v1&software-house-id=S&installer-id=" + strings.Repeat("x", 65), nil, 422, "installer-id"},
		{"the key in a query that cannot be read", "?" + key + "%zz", nil, 400, "query"},
		{"the key in the path", "%3F" + key, nil, 404, "/pac"},
		{"the key after an ampersand", "&" + key, nil, 404, "/pac"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			header := upgrade()
			for name, values := range tt.header {
				header[name] = values
			}
			res, body := r.get("GET", "/pac"+tt.query, header)
			var got map[string]string
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatalf("%d: %v: %s", res.StatusCode, err, body)
			}
			if res.StatusCode != tt.status || !strings.Contains(got["userMessage"], tt.says) {
				t.Errorf("%d %s, want %d with %q", res.StatusCode, body, tt.status, tt.says)
			}
		})
	}
	for _, query := range []string{
		"?" + key + "&api-version=v1" + ids,
		"?" + key + "&api-version=v0",
		"?" + key, // v0
		"?" + key + "&api-version=v1" + ids + "&final-pos-receipt-request",
	} {
		c := r.dial("/pac" + query)
		c.say(`{"jsonrpc":"2.0","id":7,"method":"connectedTerminals"}`)
		if m, err := c.hear(); err != nil || !strings.Contains(m, `"result":[]`) || !strings.Contains(m, `"id":7`) {
			t.Errorf("%s: %s, %v", query[:10], m, err)
		}
		_ = c.Close(websocket.StatusCode(4000), "failed at ws://host/pac?"+key) // as libraries do
	}
	if log := r.log.String(); !strings.Contains(log, r.keys["good"].ID) {
		t.Errorf("the log does not name the key's public id: %s", log)
	}
}

// TestBadInput: what is wrong is answered, and the connection goes on.
func TestBadInput(t *testing.T) {
	r := openReal(t, gateway.Limits{})
	path := "/pac?token=" + planted + "good&api-version=v1&software-house-id=S&installer-id=I"
	other, c := r.dial(path), r.dial(path)
	ask := func(c *till, m string) map[string]any {
		t.Helper()
		c.say(m)
		text, err := c.hear()
		if err != nil {
			t.Fatalf("%s: %v", m, err)
		}
		var got map[string]any
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return got
	}
	sale := func(params string) string {
		return `{"jsonrpc":"2.0","id":5,"method":"sale","params":{` + params + `}}`
	}
	for _, tt := range []struct {
		message string
		code    float64
		id      any // nil for none
	}{
		{`not JSON ` + planted, -32700, nil},
		{``, -32700, nil},
		{`{"jsonrpc":"2.0","id":5,`, -32700, nil},
		{`[{"jsonrpc":"2.0","id":5,"method":"connectedTerminals"}]`, -32600, nil},
		{`{"jsonrpc":"2.0","id":"5","method":"connectedTerminals"}`, -32600, nil},
		{`{"jsonrpc":"2.0","id":5.5,"method":"connectedTerminals"}`, -32600, nil},
		{`{"jsonrpc":"2.0","id":1000000,"method":"connectedTerminals"}`, -32600, nil},
		{`{"jsonrpc":"2.0","id":5,"id":6,"method":"connectedTerminals"}`, -32600, nil},
		{`{"jsonrpc":"2.0","id":5,"method":"ConnectedTerminals"}`, -32601, 5.0},
		{`{"jsonrpc":"2.0","id":5,"method":"` + planted + `"}`, -32601, 5.0},
		{sale(`"tid":"12345678","currency":"GBP"`), -32602, 5.0},
		{sale(`"tid":"12345678","currency":"GBP","amount":12.50`), -32602, 5.0},
		{sale(`"tid":"12345678","currency":"GBP","amount":"1250"`), -32602, 5.0},
		{sale(`"tid":"12345678","currency":"GBP","amount":-1`), -32602, 5.0},
		{sale(`"tid":"12345678","currency":"GBP","amount":100000000`), -32602, 5.0},
		{sale(`"tid":"` + planted + `","currency":"GBP","amount":1250,"extra":"` + planted + `"`), -32070, 5.0},
		{`{"jsonrpc":"2.0","id":5,"result":{"accepted":true}}`, -32075, nil},
	} {
		got := ask(c, tt.message)
		fault, _ := got["error"].(map[string]any)
		if fault["code"] != tt.code || got["id"] != tt.id {
			t.Errorf("%s\ngot %v, want code %v, id %v", tt.message, got, tt.code, tt.id)
		}
		for _, one := range []*till{c, other} {
			if got := ask(one, `{"jsonrpc":"2.0","id":5,"method":"connectedTerminals"}`); got["result"] == nil {
				t.Errorf("after %s: %v", tt.message, got)
			}
		}
	}
}

func TestBurst(t *testing.T) {
	r := openReal(t, gateway.Limits{MessagesPerSecond: 1e6, MessageBurst: 1e6})
	c := r.dial("/pac?token=" + planted + "good")
	const n = 10_000
	wrote := make(chan error, 1)
	go func() {
		for range n {
			if err := c.Write(t.Context(), websocket.MessageText, []byte(`{"jsonrpc":"2.0","id":1,"method":"connectedTerminals"}`)); err != nil {
				wrote <- err
				return
			}
		}
		wrote <- nil
	}()
	for i := range n {
		if m, err := c.hear(); err != nil || !strings.Contains(m, `"result":[]`) {
			t.Fatalf("answer %d: %s, %v", i, m, err)
		}
	}
	if err := take(t, wrote); err != nil {
		t.Error(err)
	}
}

func TestSiteIsFull(t *testing.T) {
	r := openReal(t, gateway.Limits{Connections: 1})
	path := "/pac?token=" + planted + "good"
	c := r.dial(path)
	c.say(`{"jsonrpc":"2.0","id":1,"method":"connectedTerminals"}`)
	if _, err := c.hear(); err != nil {
		t.Fatal(err)
	}
	res, body := r.get("GET", path, upgrade())
	if res.StatusCode != 429 || res.Header.Get("Retry-After") == "" || !strings.Contains(body, "limit of 1 connections") {
		t.Errorf("%d, header %v: %s", res.StatusCode, res.Header, body)
	}
}

func TestRevoked(t *testing.T) {
	r := openReal(t, gateway.Limits{})
	c := r.dial("/pac?token=" + planted + "good")
	c.say(`{"jsonrpc":"2.0","id":1,"method":"connectedTerminals"}`)
	if _, err := c.hear(); err != nil {
		t.Fatal(err)
	}
	if _, err := gateway.RevokeKey(t.Context(), r.store, r.keys["good"].ID); err != nil {
		t.Fatal(err)
	}
	if err := r.gateway.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.closed(websocket.StatusPolicyViolation)
	if res, _ := r.get("GET", "/pac?token="+planted+"good", upgrade()); res.StatusCode != 401 {
		t.Errorf("status %d, want 401", res.StatusCode)
	}
}

func TestDraining(t *testing.T) {
	r := openReal(t, gateway.Limits{})
	if res, _ := r.get("GET", "/readyz", nil); res.StatusCode != 200 {
		t.Errorf("readyz before: %d", res.StatusCode)
	}
	c := r.dial("/pac?token=" + planted + "good")
	c.say(`{"jsonrpc":"2.0","id":1,"method":"connectedTerminals"}`)
	if _, err := c.hear(); err != nil { // by then its session is open
		t.Fatal(err)
	}
	if err := r.gateway.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if res, body := r.get("GET", "/readyz", nil); res.StatusCode != 503 || !strings.Contains(body, "stopping") {
		t.Errorf("readyz: %d: %s", res.StatusCode, body)
	}
	if res, body := r.get("GET", "/pac?token="+planted+"good", upgrade()); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || !bytes.Contains([]byte(body), []byte("stopping")) {
		t.Errorf("upgrade: %d: %s", res.StatusCode, body)
	}
	r.gateway.Close()
	c.closed(websocket.StatusGoingAway)
}

// TestExtensionsAreNamed: a till that asked for extensions reads in the answer
// which it has; one that did not gets the answer of the contract, and no more.
func TestExtensionsAreNamed(t *testing.T) {
	r := openReal(t, gateway.Limits{})
	for path, want := range map[string]string{
		"/pac?api-version=v1": "", "/pac?api-version=v1&extensions=": "",
		"/pac?api-version=v1&extensions=keys,late": "keys,late", "/pat?api-version=v1&extensions=acks": "acks",
	} {
		c := r.raw()
		c.send("GET " + path + "&token=" + planted + "good&software-house-id=S&installer-id=I HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
		var got strings.Builder
		for !strings.HasSuffix(got.String(), "\r\n\r\n") {
			b, err := c.in.ReadByte()
			if err != nil {
				t.Fatal(err)
			}
			got.WriteByte(b)
		}
		answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
		if want != "" {
			answer += "Tillwire-Extensions: " + want + "\r\n"
		}
		equal(t, path, got.String(), answer+"\r\n")
	}
}
