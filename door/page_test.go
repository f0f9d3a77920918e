package door

import (
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tillwire/tillwire/spec"
)

func TestPages(t *testing.T) {
	registry := prometheus.NewRegistry()
	planted := prometheus.NewCounter(prometheus.CounterOpts{Name: "planted_total", Help: "A figure."})
	registry.MustRegister(planted)
	planted.Add(7)
	s := open(t, Config{Gatherer: registry})
	tests := []struct {
		path, kind, says string
	}{
		{"/", "text/plain; charset=utf-8", "/pac?token="},
		{"/healthz", "text/plain; charset=utf-8", "ok"},
		{"/readyz", "text/plain; charset=utf-8", "ready"},
		{"//readyz", "text/plain; charset=utf-8", "ready"},
		{"/metrics", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", "planted_total 7"},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			res, body := s.get("GET", tt.path, nil)
			if res.StatusCode != 200 || !strings.Contains(body, tt.says) {
				t.Errorf("%d: %s", res.StatusCode, body)
			}
			equal(t, "Content-Type", res.Header.Get("Content-Type"), tt.kind)
			equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"), "nosniff")

			res, body = s.get("HEAD", tt.path, nil)
			if res.StatusCode != 200 || body != "" {
				t.Errorf("HEAD: %d: %q", res.StatusCode, body)
			}
			res, body = s.get("DELETE", tt.path, nil)
			if res.StatusCode != 405 || res.Header.Get("Allow") != "GET, HEAD" || !strings.Contains(body, "userMessage") {
				t.Errorf("DELETE: %d, Allow %q: %s", res.StatusCode, res.Header.Get("Allow"), body)
			}
		})
	}
}

func TestNotReady(t *testing.T) {
	s := open(t, Config{})
	why := "gateway: stopping"
	s.fake.unready.Store(&why)
	res, body := s.get("GET", "/readyz", nil)
	var got map[string]string
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	equal(t, "status", res.StatusCode, 503)
	equal(t, "body", got, map[string]string{"userMessage": "Not ready: gateway: stopping."})
	if res, _ := s.get("GET", "/healthz", nil); res.StatusCode != 200 {
		t.Errorf("healthz: %d", res.StatusCode)
	}
}

func TestNoMetrics(t *testing.T) {
	s := open(t, Config{})
	if res, _ := s.get("GET", "/metrics", nil); res.StatusCode != 404 {
		t.Errorf("status %d, want 404", res.StatusCode)
	}
}

// TestSchemas: every schema file is there, byte for byte, for any origin.
func TestSchemas(t *testing.T) {
	s := open(t, Config{})
	n := 0
	messages := spec.Default().Messages()
	for _, e := range spec.Default().Extensions() {
		messages = append(messages, e.Messages...)
	}
	for _, m := range messages {
		for _, schema := range m.Schemas {
			n++
			path := "/docs/schemas/" + schema.Folder + "/" + schema.File
			res, body := s.get("GET", path, http.Header{"Origin": {"https://till.example"}})
			if res.StatusCode != 200 || body != string(schema.Raw) {
				t.Errorf("%s: %d, %d bytes, want %d", path, res.StatusCode, len(body), len(schema.Raw))
			}
			equal(t, path, res.Header.Get("Content-Type"), "application/schema+json; charset=utf-8")
			equal(t, path, res.Header.Get("Access-Control-Allow-Origin"), "*")
		}
	}
	if n < 20 {
		t.Errorf("only %d schemas", n)
	}
	for _, path := range []string{
		"/docs/schemas/", "/docs/schemas/extensions/keys/v1/", "/docs/schemas/extensions/keys/v1/StCE_ErrorMessage.json", "/docs/schemas/v1", "/docs/schemas/v1/", "/docs/schemas/v1/none.json",
		"/docs/schemas/v2/StCE_ErrorMessage.json", "/docs/schemas/v1/../v1/StCE_ErrorMessage.json",
		"/docs/schemas/v1/%2e%2e/StCE_ErrorMessage.json", "/docs/schemas/v1/ctse_errormessage.json",
	} {
		res, body := s.get("GET", path, nil)
		if res.StatusCode != 404 || !strings.Contains(body, "userMessage") {
			t.Errorf("%s: %d: %s", path, res.StatusCode, body)
		}
	}
}

// TestConsoleIsHandedOver: what lies under /console is the console's, and nothing
// else is; without one there is nothing.
func TestConsoleIsHandedOver(t *testing.T) {
	console := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) })
	with, without := open(t, Config{Console: console}), open(t, Config{})
	for path, want := range map[string]int{
		"/console": 418, "/console/": 418, "/console/terminals/1?site=x": 418,
		"/consoles": 404, "/Console/": 404, "/healthz": 200,
	} {
		res, _ := with.get("GET", path, nil)
		equal(t, path, res.StatusCode, want)
		if want == 418 {
			res, _ = without.get("GET", path, nil)
			equal(t, path+" without a console", res.StatusCode, 404)
		}
	}
}
