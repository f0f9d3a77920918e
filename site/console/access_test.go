package console

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/site/look"
	"github.com/tillwire/tillwire/ws"
)

// TestDevIsForThisMachine: whoever is not of this machine gets nothing, not even
// the stylesheet.
func TestDevIsForThisMachine(t *testing.T) {
	c, err := New(Config{House: &fakeHouse{sites: []string{"demo"}}, Dev: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for name, test := range map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"by address":                  {func(*http.Request) {}, 200},
		"by name":                     {func(r *http.Request) { r.Host = "LocalHost:8484" }, 200},
		"over IPv6":                   {func(r *http.Request) { r.Host, r.RemoteAddr = "[::1]:8484", "[::1]:9" }, 200},
		"another machine":             {func(r *http.Request) { r.RemoteAddr = "192.0.2.1:9" }, 403},
		"a name bent to this address": {func(r *http.Request) { r.Host = "tills.example" }, 403},
		"a name that begins alike":    {func(r *http.Request) { r.Host = "localhost.example:8484" }, 403},
		"no name":                     {func(r *http.Request) { r.Host = "" }, 403},
		"through a proxy":             {func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.1") }, 403},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/console/", c.assets.path(look.Stylesheet().Name)} {
				r := httptest.NewRequest(http.MethodGet, path, nil)
				r.Host, r.RemoteAddr = "127.0.0.1:8484", "127.0.0.1:40000"
				test.change(r)
				w := httptest.NewRecorder()
				c.ServeHTTP(w, r)
				if w.Code != test.want {
					t.Errorf("%s: got %d, want %d", path, w.Code, test.want)
				}
			}
		})
	}
}

// A visitor is a browser's part of HTTP.
type visitor struct {
	t    *testing.T
	url  string
	http *http.Client
}

func newVisitor(t *testing.T, url string) *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(client.CloseIdleConnections)
	return &visitor{t, url, client}
}

// send sends a request and returns the answer's status, place and body.
func (v *visitor) send(method, path, origin string, form url.Values) (int, string, string) {
	v.t.Helper()
	r, err := http.NewRequest(method, v.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	resp, err := v.http.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Security-Policy"); got != look.Policy {
		v.t.Errorf("%s: the policy is %q", path, got)
	}
	return resp.StatusCode, resp.Header.Get("Location"), string(body)
}

// cookie is the header with which a socket shows the session.
func (v *visitor) cookie() string {
	u, err := url.Parse(v.url + "/console/")
	if err != nil {
		v.t.Fatal(err)
	}
	var parts []string
	for _, c := range v.http.Jar.Cookies(u) {
		parts = append(parts, c.String())
	}
	return strings.Join(parts, "; ")
}

var settingData = regexp.MustCompile(`data-setting="([^"]*)"`)

// setting is what the page at a path is told.
func (v *visitor) setting(path string) setting {
	v.t.Helper()
	_, _, body := v.send(http.MethodGet, path, "", nil)
	m := settingData.FindStringSubmatch(body)
	if m == nil {
		v.t.Fatalf("the page has no setting:\n%s", body)
	}
	var s setting
	if err := json.Unmarshal([]byte(strings.ReplaceAll(m[1], "&#34;", `"`)), &s); err != nil {
		v.t.Fatal(err)
	}
	return s
}

// TestLogin: a key for the console opens its site, and nothing else does.
func TestLogin(t *testing.T) {
	house := &fakeHouse{sites: []string{"shop", "bar"}, keys: map[string]Key{"good": {"k1", "shop"}}}
	house.set("shop", Terminal{Site: "shop", TID: "1"})
	house.set("bar", Terminal{Site: "bar", TID: "2"})
	house.machines = map[string]*fakeMachine{"shop 1": {}, "bar 2": {}}
	_, address := serve(t, Config{House: house, Secure: false})
	v := newVisitor(t, address)

	if status, to, _ := v.send(http.MethodGet, "/console/", "", nil); status != 303 || to != "/console/login" {
		t.Errorf("without a session: %d to %q, want 303 to the login", status, to)
	}
	if status, _, _ := v.send(http.MethodPost, "/console/login", "", url.Values{"key": {"good"}}); status != 403 {
		t.Errorf("a login without an origin: %d, want 403", status)
	}
	if status, _, _ := v.send(http.MethodPost, "/console/login", "http://tills.example", url.Values{"key": {"good"}}); status != 403 {
		t.Errorf("a login from another site: %d, want 403", status)
	}
	if status, _, body := v.send(http.MethodPost, "/console/login", address, url.Values{"key": {"marked-secret"}}); status != 401 || !strings.Contains(body, "does not open") || strings.Contains(body, "marked-secret") {
		t.Errorf("a wrong key: %d, want 401, with a word about it and without the key:\n%s", status, body)
	}
	if _, err := dial(t, address, address, v.cookie()); err == nil {
		t.Error("a live socket was opened without a session")
	}
	if status, to, _ := v.send(http.MethodPost, "/console/login", address, url.Values{"key": {"good"}}); status != 303 || to != "/console/" {
		t.Fatalf("the login: %d to %q", status, to)
	}
	s := v.setting("/console/")
	if diff := cmp.Diff(setting{Token: s.Token, Sites: []string{"shop"}}, s); diff != "" {
		t.Errorf("the page is told (-want +got):\n%s", diff)
	}

	p := open(t, address, v.cookie(), s.Token)
	p.say(`{"watch":"terminals","as":1}`)
	if got := p.hear(); !strings.Contains(got, `"tid":"1"`) || strings.Contains(got, "bar") {
		t.Errorf("the terminals: %s, want those of the shop only", got)
	}
	for ask, want := range map[string]string{
		`{"watch":"machine","as":2,"site":"bar","tid":"2"}`:                     errNoMachine.Error(),
		`{"do":"press","as":3,"site":"shop","tid":"1","key":"1"}`:               errNoHands.Error(),
		`{"do":"scenario","as":4,"site":"bar","tid":"2","name":"chip-and-pin"}`: errNoHands.Error(),
	} {
		p.say(ask)
		if got := p.hear(); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %q", ask, got, want)
		}
	}
	if got := house.machines["shop 1"].deeds; len(got) != 0 {
		t.Errorf("a machine was touched: %q", got)
	}

	if status, _, _ := v.send(http.MethodPost, "/console/logout", address, url.Values{"token": {"wrong"}}); status != 403 {
		t.Errorf("a logout with a wrong token: %d, want 403", status)
	}
	if status, _, _ := v.send(http.MethodPost, "/console/logout", address, url.Values{"token": {s.Token}}); status != 303 {
		t.Errorf("the logout: %d, want 303", status)
	}
	p.closed("logged out")
	if status, _, _ := v.send(http.MethodGet, "/console/", "", nil); status != 303 {
		t.Errorf("after the logout the page is %d, want 303", status)
	}

	v.send(http.MethodPost, "/console/login", address, url.Values{"key": {"good"}})
	if status, _, _ := v.send(http.MethodGet, "/console/", "", nil); status != 200 {
		t.Fatalf("the second login shows %d", status)
	}
	house.revoke("good")
	if status, _, _ := v.send(http.MethodGet, "/console/", "", nil); status != 303 {
		t.Errorf("with a revoked key the page is %d, want 303", status)
	}
}

// TestCookie: no script reads it, no other site sends it, and it stays with the
// console and on TLS.
func TestCookie(t *testing.T) {
	house := &fakeHouse{sites: []string{"shop"}, keys: map[string]Key{"good": {"k1", "shop"}}}
	c, err := New(Config{House: house, Secure: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := httptest.NewRequest(http.MethodPost, "/console/login", strings.NewReader("key=good"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", "https://"+r.Host)
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	cookies := w.Result().Cookies()
	if len(cookies) != 1 {
		t.Fatalf("%d cookies", len(cookies))
	}
	got := cookies[0]
	if !got.HttpOnly || !got.Secure || got.SameSite != http.SameSiteStrictMode || got.Path != "/console" || len(got.Value) < 40 {
		t.Errorf("the cookie is %s", got)
	}
}

// TestSocketOfAnotherSite: a page of somewhere else cannot open the live socket,
// and a page without the token can do nothing with it.
func TestSocketOfAnotherSite(t *testing.T) {
	house := &fakeHouse{sites: []string{"demo"}, machines: map[string]*fakeMachine{"demo 1": {}}}
	_, address := serve(t, Config{House: house, Dev: true})
	for _, origin := range []string{"", "null", "http://tills.example", "http://localhost.example", strings.Replace(address, "http", "ftp", 1)} {
		if _, err := dial(t, address, origin, ""); err == nil {
			t.Errorf("a page of %q was let in", origin)
		}
	}
	for _, hello := range []string{`{"hello":"wrong"}`, `{"do":"press","as":1,"site":"demo","tid":"1","key":"1"}`, `{}`, `[]`} {
		c, err := dial(t, address, address, "")
		if err != nil {
			t.Fatal(err)
		}
		p := &peer{t, c}
		p.say(hello)
		p.closed("")
	}
	if got := house.machines["demo 1"].deeds; len(got) != 0 {
		t.Errorf("a machine was touched: %q", got)
	}
}

// ---- the page's end of a live socket ----

type peer struct {
	t *testing.T
	c *ws.Conn
}

// dial opens a live socket as a page of origin would.
func dial(t *testing.T, address, origin, cookie string) (*ws.Conn, error) {
	t.Helper()
	h := http.Header{}
	if origin != "" {
		h.Set("Origin", origin)
	}
	if cookie != "" {
		h.Set("Cookie", cookie)
	}
	c, err := ws.Dial(context.Background(), strings.Replace(address, "http", "ws", 1)+"/console/live", ws.DialOptions{Header: h})
	if err == nil {
		t.Cleanup(c.Abort)
	}
	return c, err
}

// open opens a live socket and says hello.
func open(t *testing.T, address, cookie, token string) *peer {
	t.Helper()
	c, err := dial(t, address, address, cookie)
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t, c}
	p.say(`{"hello":"` + token + `"}`)
	if got := p.hear(); got != `{"as":0,"data":"welcome"}` {
		t.Fatalf("the socket says %s", got)
	}
	return p
}

func (p *peer) say(text string) {
	p.t.Helper()
	if err := p.c.Send([]byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) hear() string {
	p.t.Helper()
	text, err := p.c.Read()
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// answers hears a message and takes it apart.
func (p *peer) answers() (as int, data jsontext.Value, fault string) {
	p.t.Helper()
	var a struct {
		As    int            `json:"as"`
		Data  jsontext.Value `json:"data"`
		Error string         `json:"error"`
	}
	if err := json.Unmarshal([]byte(p.hear()), &a); err != nil {
		p.t.Fatal(err)
	}
	return a.As, a.Data, a.Error
}

// closed waits until the console has closed the socket, for that reason.
func (p *peer) closed(reason string) {
	p.t.Helper()
	for {
		if _, err := p.c.Read(); err != nil {
			if !strings.Contains(err.Error(), reason) {
				p.t.Errorf("the socket was closed with %v, want %q", err, reason)
			}
			return
		}
	}
}
