package openapi_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/spec/openapi"
)

func recorder(t *testing.T) *openapi.Recorder {
	t.Helper()
	rec, err := openapi.New(spec.Default().REST())
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

const (
	v2       = "application/connect.v2+json"
	v1       = "application/connect.v1+json"
	json     = "application/json"
	charset  = "; charset=utf-8"
	terminal = `{"tid":"1","status":"BUSY","currency":"GBP","location":"https://gateway.example/pac/terminals/1"}`
	oldOne   = `{"tpi":"1","status":"BUSY","currency":"GBP","capabilities":["SALE"],"location":"https://gateway.example/pac/terminals/1"}`
	begun    = `{"requestId":"r","location":"https://gateway.example/pac/terminals/1/transactions/r"}`
	at       = "https://gateway.example/pac/terminals/1/transactions/r"
	stream   = "retry: 1000\n\nid: 1\nevent: notification\ndata: {\"requestId\":\"r\",\"notification\":\"PRESENT_CARD\",\"time\":\"2026-03-04T16:11:53Z\"}\n\n: keep-alive\n\n" +
		"id: 2\nevent: finished\ndata: {\"requestId\":\"r\",\"location\":\"https://gateway.example/x\",\"notifications\":[\"TRANSACTION_STARTED\"]}\n\nid: 3\nev"
)

// Each answer is found good, or bad for what is wrong with it.
func TestJudge(t *testing.T) {
	rec := recorder(t)
	all := rec.Unseen()
	for _, tt := range []struct {
		name, request, accept string
		status                int
		headers               []string // names and values in turn
		kind, body            string
		fault                 string // a part of it
		seen                  string
	}{
		{name: "v2", request: "GET /pac/terminals/1", accept: v2, status: 200, kind: v2 + charset, body: terminal, seen: "GET /pac/terminals/{tid} 200 v2"},
		{name: "the best of several", request: "GET //PAC/terminals/1/", accept: v2 + ";q=0.2, " + v1 + ";q=0.9", status: 200, kind: v1 + charset, body: oldOne, seen: "GET /pac/terminals/{tid} 200 v1"},
		{name: "no version", request: "GET /pac/terminals/1", accept: "*/*", status: 200, kind: json + charset, body: oldOne, seen: "GET /pac/terminals/{tid} 200 v1"},
		{name: "no version, the old name", request: "GET /retail/terminals/1", status: 200, kind: json + charset, body: oldOne, seen: "GET /retail/terminals/{tid}"},
		{name: "another version", request: "GET /pac/terminals/1", accept: v2, status: 200, kind: v1 + charset, body: oldOne, fault: "media type"},
		{name: "no charset", request: "GET /pac/terminals/1", accept: v2, status: 200, kind: v2, body: terminal, fault: "media type"},
		{name: "a field too many", request: "GET /pac/terminals/1", accept: v2, status: 200, kind: v2 + charset, body: strings.Replace(terminal, "{", `{"tpi":"1",`, 1), fault: "/tpi is not allowed here"},
		{name: "null", request: "GET /pac/terminals/1", accept: v2, status: 200, kind: v2 + charset, body: strings.Replace(terminal, `"1"`, "null", 1), fault: "/tid must be of type"},
		{name: "no JSON", request: "GET /pac/terminals/1", accept: v2, status: 200, kind: v2 + charset, body: "Hello", fault: "not JSON"},
		{name: "another status", request: "GET /pac/terminals/1", accept: v2, status: 202, kind: v2 + charset, body: terminal, fault: "the status is not described"},
		{name: "kept by what stands between", request: "GET /pac/terminals/1", accept: v2, status: 200, headers: []string{"Cache-Control", "public"}, kind: v2 + charset, body: terminal, fault: "Cache-Control is"},
		{name: "begun", request: "POST /pac/terminals/1/transactions", accept: v2, status: 201, headers: []string{"Location", at}, kind: v2 + charset, body: begun, seen: "POST /pac/terminals/{tid}/transactions 201 v2"},
		{name: "no Location", request: "POST /pac/terminals/1/transactions", accept: v2, status: 201, kind: v2 + charset, body: begun, fault: "no header Location"},
		{name: "two locations", request: "POST /pac/terminals/1/transactions", accept: v2, status: 201, headers: []string{"Location", "https://other.example"}, kind: v2 + charset, body: begun, fault: "is not the location"},
		{name: "empty", request: "DELETE /pac/terminals/1/transactions/r", accept: v2, status: 202, headers: []string{"Content-Length", "0"}, seen: "DELETE /pac/terminals/{tid}/transactions/{requestId} 202 v2"},
		{name: "empty without a length", request: "DELETE /pac/terminals/1/transactions/r", accept: v2, status: 202, fault: "the length of no body"},
		{name: "204 in v2", request: "DELETE /pac/terminals/1/transactions/r", accept: v2, status: 204, fault: "the status is not described"},
		{name: "204", request: "DELETE /pac/terminals/1/transactions/r", accept: v1, status: 204, seen: "DELETE /pac/terminals/{tid}/transactions/{requestId} 204 v1"},
		{name: "204 with a length", request: "DELETE /pac/terminals/1/transactions/r", accept: v1, status: 204, headers: []string{"Content-Length", "0"}, fault: "a length where there must be none"},
		{name: "refused", request: "GET /pac/terminals/1", accept: v1, status: 404, kind: v1 + charset, body: `{"messages":{"error":["Unavailable terminal or no data available for terminal."]}}`, seen: "GET /pac/terminals/{tid} 404 v1"},
		{name: "in other words", request: "GET /pac/terminals/1", accept: v1, status: 404, kind: v1 + charset, body: `{"messages":{"error":["No."]}}`, fault: `"No." is no text`},
		{name: "with values", request: "GET /pac/terminals/1", accept: v2, status: 404, kind: v2 + charset, body: `{"userMessage":"1 is unavailable. Please try again in 10 seconds or check the PDQ screen and cabling or restart the PDQ. Contact support if the problem persists."}`},
		{name: "no key", request: "GET /pac/terminals/1", accept: v2, status: 401, headers: []string{"WWW-Authenticate", `Basic realm="connect"`}, kind: v2 + charset, body: `{"userMessage":"Authorization credentials must be provided in the request headers."}`},
		{name: "no key, and no word how", request: "GET /pac/terminals/1", accept: v2, status: 401, kind: v2 + charset, body: `{"userMessage":"Authorization credentials must be provided in the request headers."}`, fault: "no header WWW-Authenticate"},
		{name: "unknown version", request: "GET /pac/terminals/1", accept: "application/connect.v9+json", status: 406, kind: v2 + charset, body: `{"userMessage":"No version named in the Accept header is served here; v0, v1 and v2 are."}`, seen: "GET /pac/terminals/{tid} 406 v2"},
		{name: "tables in v2", request: "GET /pat/tables", accept: v2, status: 404, kind: v2 + charset, body: `{"userMessage":"Pay-At-Table is not part of v2. Use v1 or the WebSocket."}`, seen: "GET /pat/tables 404 v2"},
		{name: "table exists", request: "POST /pat/tables", accept: "application/connect.v0+json", status: 409, kind: "application/connect.v0+json" + charset, body: `{"messages":{"error":["Table already exists."]},"location":["https://gateway.example/pat/tables/1"]}`, seen: "POST /pat/tables 409 v0"},
		{name: "table exists, with another location", request: "PUT /pat/tables", accept: v1, status: 409, kind: v1 + charset, body: `{"messages":{"error":["Table already exists."]},"location":["https://gateway.example/pat/tables/1"]}`, fault: "/location"},
		{name: "no such path", request: "GET /pac/nothing", accept: v1, status: 404, kind: v1 + charset, body: `{"messages":{"error":["There is nothing at this path."]}}`, seen: "elsewhere 404 v1"},
		{name: "no such path, and nobody says so", request: "GET /pac/nothing", accept: v1, status: 200, kind: v1 + charset, body: `{}`, fault: "there is no such path"},
		{name: "wrong method", request: "PATCH /pac/terminals/1", accept: v2, status: 405, headers: []string{"Allow", "GET, HEAD"}, kind: v2 + charset, body: `{"userMessage":"This path does not take this method."}`, seen: "elsewhere 405 v2"},
		{name: "wrong method without Allow", request: "PATCH /pac/terminals/1", accept: v2, status: 405, kind: v2 + charset, body: `{"userMessage":"This path does not take this method."}`, fault: "no Allow"},
		{name: "stream", request: "GET /pac/terminals/1/transactions/r/events", accept: "text/event-stream", status: 200, kind: "text/event-stream", body: stream, seen: "GET /pac/terminals/{tid}/transactions/{requestId}/events 200 v2"},
		{name: "stream with a gap", request: "GET /pac/terminals/1/transactions/r/events", accept: "text/event-stream", status: 200, kind: "text/event-stream", body: strings.Replace(stream, "id: 2", "id: 3", 1), fault: "has the number 3"},
		{name: "stream with a word of another", request: "GET /pac/terminals/1/transactions/r/events", accept: "text/event-stream", status: 200, kind: "text/event-stream", body: strings.Replace(stream, "PRESENT_CARD", "HELLO", 1), fault: "event notification: /notification"},
		{name: "a table name with a slash", request: "GET /pat/tables/a%2Fb", accept: v1, status: 404, kind: v1 + charset, body: `{"messages":{"error":["Table could not be found."]}}`, seen: "GET /pat/tables/{tableName} 404 v1"},
		{name: "browser", request: "OPTIONS /pac/terminals", status: 204, headers: []string{"Access-Control-Allow-Methods", "GET"}},
		{name: "browser is told nothing", request: "OPTIONS /pac/terminals", status: 204, fault: "a browser that asks first"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := rec.Faults()
			h := rec.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Cache-Control", "no-store")
				for pair := range slices.Chunk(tt.headers, 2) {
					w.Header().Set(pair[0], pair[1])
				}
				if tt.kind != "" {
					w.Header().Set("Content-Type", tt.kind)
				}
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.body))
			}))
			method, path, _ := strings.Cut(tt.request, " ")
			r := httptest.NewRequest(method, "http://gateway.example"+path, nil)
			r.Header.Set("Accept", tt.accept)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tt.status || w.Body.String() != tt.body {
				t.Errorf("the answer came through as %d %q", w.Code, w.Body)
			}
			faults := slices.DeleteFunc(rec.Faults(), func(f string) bool { return slices.Contains(before, f) })
			switch {
			case tt.fault == "" && len(faults) > 0:
				t.Errorf("faults %q", faults)
			case tt.fault != "" && (len(faults) != 1 || !strings.Contains(faults[0], tt.fault)):
				t.Errorf("faults %q, want one with %q", faults, tt.fault)
			}
			if tt.seen == "" {
				return
			}
			if !slices.Contains(all, tt.seen) || slices.Contains(rec.Unseen(), tt.seen) {
				t.Errorf("%q was not seen", tt.seen)
			}
		})
	}
}

// A HEAD is judged like a GET and is none.
func TestHeadIsNotSeen(t *testing.T) {
	rec := recorder(t)
	before := len(rec.Unseen())
	a := openapi.Answer{
		Method: http.MethodHead, Path: "/pac/terminals/1", Accept: []string{v2}, Status: 200,
		Header: http.Header{"Content-Type": {v2 + charset}, "Cache-Control": {"no-store"}},
	}
	rec.Judge(a)
	if faults := rec.Faults(); len(faults) > 0 || len(rec.Unseen()) != before {
		t.Errorf("faults %q, %d unseen, want none and %d", faults, len(rec.Unseen()), before)
	}
	a.Header = http.Header{}
	rec.Judge(a)
	if faults := rec.Faults(); len(faults) != 2 {
		t.Errorf("faults %q, want one for each header", faults)
	}
}

// The described answers are those that the contract lists.
func TestDescribed(t *testing.T) {
	all := recorder(t).Unseen()
	for _, want := range []string{
		"GET /pac/terminals 200 v0", "DELETE /pac/terminals/{tid}/transactions/{requestId} 422 v1", "POST /pac/terminals/{tid}/reports 200 v0",
		"GET /pac/terminals/{tid}/reports/{requestId} 409 v0", "PUT /pat/tables/{tableName}/lock 423 v1", "GET /pat/reports 401 v2", "elsewhere 405 v0",
		"GET /retail/terminals/{tid}/transactions/{requestId}/events",
	} {
		if !slices.Contains(all, want) {
			t.Errorf("%q is missing", want)
		}
	}
	for _, not := range []string{"GET /pat/tables 200 v2", "POST /pac/terminals/{tid}/reports 201 v0", "GET /pac/terminals/{tid}/reports/{requestId} 409 v1", "GET /pac/terminals 406 v1"} {
		if slices.Contains(all, not) {
			t.Errorf("%q is described", not)
		}
	}
}
