package rest_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/tillwire/tillwire/rest"
)

// TestLocation: how tills reach what they began.
func TestLocation(t *testing.T) {
	address := func(s string) *url.URL {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	for _, c := range []struct {
		name string
		cfg  rest.Config
		ask  ask
		want string // before /terminals
	}{
		{"host", rest.Config{}, ask{}, "http://gateway.example/pac"},
		{"host and port", rest.Config{}, ask{host: "gateway.example:8484"}, "http://gateway.example:8484/pac"},
		{"IPv4", rest.Config{}, ask{host: "10.1.2.3:80"}, "http://10.1.2.3:80/pac"},
		{"IPv6", rest.Config{}, ask{host: "[2001:db8::1]:8484"}, "http://[2001:db8::1]:8484/pac"},
		{"TLS", rest.Config{TLS: true}, ask{}, "https://gateway.example/pac"},
		{"v1", rest.Config{}, ask{version: "v1"}, "http://gateway.example/pac"},
		{"v0", rest.Config{}, ask{version: "v0"}, "http://gateway.example/retail"},
		{"public", rest.Config{PublicURL: address("https://pay.example")}, ask{host: "evil.example"}, "https://pay.example/pac"},
		{"public, with a path", rest.Config{PublicURL: address("https://pay.example:8443/connect/")}, ask{version: "v0"}, "https://pay.example:8443/connect/retail"},
		{"forwarded by anybody", rest.Config{TrustedProxies: proxies}, ask{from: "192.0.2.1:1"}.with("X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "https"), "http://gateway.example/pac"},
		{"forwarded, nobody is believed", rest.Config{}, ask{from: "10.0.0.1:1"}.with("X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "https"), "http://gateway.example/pac"},
		{"forwarded", rest.Config{TrustedProxies: proxies}, ask{from: "10.0.0.1:1"}.with("X-Forwarded-Host", "pay.example", "X-Forwarded-Proto", "https"), "https://pay.example/pac"},
		{"forwarded, the scheme alone", rest.Config{TrustedProxies: proxies}, ask{from: "10.0.0.1:1"}.with("X-Forwarded-Proto", "HTTPS"), "https://gateway.example/pac"},
		{"forwarded by several", rest.Config{TrustedProxies: proxies}, ask{from: "[2001:db8::7]:1"}.with("X-Forwarded-Host", "pay.example, inner.example", "X-Forwarded-Proto", "https, http"), "https://pay.example/pac"},
		{"forwarded, IPv4 in IPv6", rest.Config{TrustedProxies: proxies}, ask{from: "[::ffff:10.0.0.1]:1"}.with("X-Forwarded-Host", "pay.example"), "http://pay.example/pac"},
		{"forwarded, a zone", rest.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("fe80::/10")}}, ask{from: "[fe80::1%eth0]:1"}.with("X-Forwarded-Host", "pay.example"), "http://pay.example/pac"},
		{"forwarded, none of a scheme", rest.Config{TrustedProxies: proxies}, ask{from: "10.0.0.1:1"}.with("X-Forwarded-Proto", "javascript"), "http://gateway.example/pac"},
		{"forwarded, none of a host", rest.Config{TrustedProxies: proxies}, ask{from: "10.0.0.1:1"}.with("X-Forwarded-Host", "evil.example/x?"), "http://gateway.example/pac"},
		{"a peer without a port", rest.Config{TrustedProxies: proxies}, ask{from: "@"}.with("X-Forwarded-Host", "evil.example"), "http://gateway.example/pac"},
		{"an injected header", rest.Config{TrustedProxies: proxies}, ask{from: "10.0.0.1:1", host: "a\r\nSet-Cookie: x"}.with("X-Forwarded-Host", "b\r\nSet-Cookie: x"), "http://localhost/pac"},
		{"an injected text", rest.Config{}, ask{host: `a"},{"x":"`}, "http://localhost/pac"},
		{"a user", rest.Config{}, ask{host: "user@evil.example"}, "http://localhost/pac"},
		{"a port too many", rest.Config{}, ask{host: "a:1:2"}, "http://localhost/pac"},
		{"a path", rest.Config{}, ask{host: "a/b"}, "http://localhost/pac"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorldWith(t, c.cfg, func(w *world) {
				a := aSale()
				a.host, a.from, a.headers, a.version = c.ask.host, c.ask.from, c.ask.headers, c.ask.version
				got := w.do(a).is(http.StatusCreated)
				id := string(w.pdq.newest())
				want := c.want + "/terminals/" + tid + "/transactions/" + id
				if at := got.object()["location"]; at != want || got.header.Get("Location") != want {
					t.Errorf("the location is %v, and %q, want %s", at, got.header.Get("Location"), want)
				}
				a.method, a.path, a.body = http.MethodGet, of(tid)+"/transactions/"+id, ""
				if at := w.do(a).is(http.StatusOK).object()["location"]; at != want {
					t.Errorf("polled, the location is %v", at)
				}
				a.path = "/pac/terminals"
				if list := w.do(a).is(http.StatusOK).body; !strings.Contains(list, `"`+c.want+"/terminals/"+tid+`"`) {
					t.Errorf("the list is %s", list)
				}
			})
		})
	}
}

// TestOrigins: whose pages may read what.
func TestOrigins(t *testing.T) {
	inWorldWith(t, rest.Config{Origins: []string{"https://till.example", "http://localhost:3000"}}, func(w *world) {
		for origin, want := range map[string]string{
			"https://till.example": "https://till.example", "http://localhost:3000": "http://localhost:3000",
			"https://evil.example": "", "": "", "null": "", "https://till.example.evil.example": "", "https://TILL.example": "",
		} {
			for _, a := range []ask{{path: "/pac/terminals"}, {path: "/pac/terminals", auth: "-"}, {path: "/x"}, {method: http.MethodOptions, path: "/pac/terminals", without: []string{"Authorization"}}} {
				if origin != "" {
					a = a.with("Origin", origin)
				}
				got := w.do(a)
				if allowed := got.header.Get("Access-Control-Allow-Origin"); allowed != want || got.header.Get("Vary") != "Origin" {
					t.Errorf("%s from %q: allowed is %q, Vary %q", got.what, origin, allowed, got.header.Get("Vary"))
				}
			}
		}
	})
}
