package rest_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing/synctest"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// An ask is one request of a till. Its zero fields are those of a till of v2 that
// does everything right.
type ask struct {
	method  string // GET
	path    string // escaped, with the query
	body    string
	version string // "" is v2; none is no header Accept
	key     string // the demo site's
	auth    string // in place of the key
	headers []string
	without []string
	instead []string // what is set last
	from    string   // the peer's address
	host    string
}

const none = "none"

// with returns the ask with more headers, by name and value.
func (a ask) with(headers ...string) ask {
	a.headers = slices.Concat(a.headers, headers)
	return a
}

// setting returns the ask with a header in place of those of that name.
func (a ask) setting(name, value string) ask {
	a.without = append(slices.Clone(a.without), name)
	a.instead = append(slices.Clone(a.instead), name, value)
	return a
}

// in returns the ask in another version.
func (a ask) in(version string) ask {
	a.version = version
	return a
}

func basic(user, key string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+key))
}

func (a ask) request() *http.Request {
	method := a.method
	if method == "" {
		method = http.MethodGet
	}
	var body io.Reader
	if a.body != "" {
		body = strings.NewReader(a.body)
	}
	r := httptest.NewRequest(method, "http://gateway.example"+a.path, body)
	if a.host != "" {
		r.Host = a.host
	}
	if a.from != "" {
		r.RemoteAddr = a.from
	}
	key := a.key
	if key == "" {
		key = demoKey
	}
	r.Header.Set("Authorization", basic("till1", key))
	if a.auth != "" {
		r.Header.Set("Authorization", a.auth)
	}
	version := a.version
	if version == "" {
		version = "v2"
	}
	if version != none {
		r.Header.Set("Accept", "application/connect."+version+"+json")
	}
	if version == "v2" {
		r.Header.Set("Software-House-Id", "DEMOSWH")
		r.Header.Set("Installer-Id", "DEMOINST")
	}
	for i := 0; i < len(a.headers); i += 2 {
		r.Header.Add(a.headers[i], a.headers[i+1])
	}
	for _, name := range a.without {
		r.Header.Del(name)
	}
	for i := 0; i < len(a.instead); i += 2 {
		r.Header.Set(a.instead[i], a.instead[i+1])
	}
	return r
}

// An answer is what came back.
type answer struct {
	w      *world
	what   string
	status int
	header http.Header
	body   string
}

// do has the face answer.
func (w *world) do(a ask) *answer {
	w.t.Helper()
	return w.serve(a.request())
}

// serve is do for a request made by hand.
func (w *world) serve(r *http.Request) *answer {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.face.ServeHTTP(rec, r)
	synctest.Wait()
	return w.answered(r, rec)
}

// answered takes what was recorded, and looks at what each answer has to have.
func (w *world) answered(r *http.Request, rec *httptest.ResponseRecorder) *answer {
	w.t.Helper()
	got := &answer{w: w, what: r.Method + " " + r.URL.RequestURI(), status: rec.Code, header: rec.Result().Header, body: rec.Body.String()}
	if got.header.Get("Access-Control-Allow-Origin") == "" && len(w.cfg.Origins) == 0 {
		w.t.Errorf("%s: no page may read the answer", got.what)
	}
	if got.header.Get("Cache-Control") != "no-store" {
		w.t.Errorf("%s: Cache-Control %q", got.what, got.header.Get("Cache-Control"))
	}
	length, stated := got.header["Content-Length"]
	switch {
	case got.status == http.StatusNoContent && (stated || got.body != ""):
		w.t.Errorf("%s: 204 with %q, %q", got.what, length, got.body)
	case got.status != http.StatusNoContent && got.header.Get("Content-Type") != "text/event-stream" && fmt.Sprint(length) != fmt.Sprintf("[%d]", len(got.body)):
		w.t.Errorf("%s: Content-Length %q of %d bytes", got.what, length, len(got.body))
	}
	return got
}

// is checks the status.
func (a *answer) is(status int) *answer {
	a.w.t.Helper()
	if a.status != status {
		a.w.t.Errorf("%s: %d %s, want %d", a.what, a.status, a.body, status)
	}
	return a
}

// says checks the status and what the refusal says.
func (a *answer) says(status int, text string) *answer {
	a.w.t.Helper()
	a.is(status)
	if got := a.text(); got != text {
		a.w.t.Errorf("%s: it says %q, want %q", a.what, got, text)
	}
	return a
}

// text is what a refusal says, in the one place where its version has it.
func (a *answer) text() string {
	a.w.t.Helper()
	var body map[string]jsontext.Value
	a.read(&body)
	var v2 string
	if err := json.Unmarshal(body["userMessage"], &v2); err == nil && len(body) == 1 {
		return v2
	}
	var v1 map[string][]string
	if err := json.Unmarshal(body["messages"], &v1); err == nil && len(v1) == 1 && len(v1["error"]) == 1 {
		return v1["error"][0]
	}
	return "not a refusal: " + a.body
}

// read reads the body.
func (a *answer) read(into any) {
	a.w.t.Helper()
	if err := json.Unmarshal([]byte(a.body), into); err != nil {
		a.w.t.Fatalf("%s: %s: %v", a.what, a.body, err)
	}
}

// object is the body as an object.
func (a *answer) object() map[string]any {
	a.w.t.Helper()
	var body map[string]any
	a.read(&body)
	return body
}

// path takes the address of something as the till can call it again.
func (a *answer) path() string {
	a.w.t.Helper()
	at, _ := a.object()["location"].(string)
	path, ok := strings.CutPrefix(at, "http://gateway.example")
	if !ok {
		a.w.t.Fatalf("%s: the location is %q", a.what, at)
	}
	return path
}

func of(tid string) string { return "/pac/terminals/" + tid }

const saleBody = `{"transactionType":"SALE","amount":1250,"currency":"GBP"}`

func aSale() ask {
	return ask{method: http.MethodPost, path: of(tid) + "/transactions", body: saleBody}
}

func aReport(kind string) ask {
	return ask{method: http.MethodPost, path: of(tid) + "/reports", body: fmt.Sprintf(`{"reportType":%q}`, kind)}
}

// begins has something begin and returns where it is polled.
func (w *world) begins(a ask) string {
	w.t.Helper()
	return w.do(a).is(http.StatusCreated).path()
}

// polled polls once.
func (w *world) polled(path string) *answer {
	w.t.Helper()
	return w.do(ask{path: path}).is(http.StatusOK)
}

// notes are the notifications of a body, newest first.
func (a *answer) notes() []string {
	a.w.t.Helper()
	var body struct {
		Notifications []string `json:"notifications"`
	}
	a.read(&body)
	return body.Notifications
}

func (w *world) cancels(path, version string) *answer {
	w.t.Helper()
	return w.do(ask{method: http.MethodDelete, path: path, version: version})
}

func (w *world) signs(path, version string, accepted bool) *answer {
	w.t.Helper()
	return w.do(ask{method: http.MethodPut, path: path + "/signature", version: version, body: fmt.Sprintf(`{"accepted":%t}`, accepted)})
}
