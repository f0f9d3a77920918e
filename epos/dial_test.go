package epos

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/wire"
	"github.com/tillwire/tillwire/ws"
)

const secret = "S3CRET-KEY"

func TestAddress(t *testing.T) {
	for _, test := range []struct {
		name    string
		o       Options
		want    string
		version wire.Version
	}{
		{
			"v1",
			Options{Host: "gateway.example.com", Key: secret, SoftwareHouseID: "a b", InstallerID: "i&j"},
			"wss://gateway.example.com/pac?api-version=v1&installer-id=i%26j&software-house-id=a+b&token=S3CRET-KEY", wire.V1,
		},
		{"v0", Options{Host: "ws://127.0.0.1:8484/", Key: secret, Version: V0}, "ws://127.0.0.1:8484/pac?api-version=v0&token=S3CRET-KEY", wire.V0},
		{"IPv6", Options{Host: "wss://[::1]:8484", Key: "k", Version: V0}, "wss://[::1]:8484/pac?api-version=v0&token=k", wire.V0},
		{"pasted", Options{URL: " wss://h/pac?token=k&api-version=v1#top\n"}, "wss://h/pac?token=k&api-version=v1", wire.V1},
		{"pasted without a version", Options{URL: "ws://h:1//PAC?token=k"}, "ws://h:1//PAC?token=k", wire.V0},
	} {
		got, v, err := test.o.address("/pac")
		if err != nil || got != test.want || v != test.version {
			t.Errorf("%s: got %s, %v, %v", test.name, got, v, err)
		}
	}
}

// Addresses that cannot be right are refused before anything is dialled, and
// nothing that may hold the key is repeated.
func TestBadAddresses(t *testing.T) {
	for name, o := range map[string]Options{
		"nothing":          {},
		"both":             {URL: "ws://h/pac?token=" + secret, Host: "h"},
		"URL and key":      {URL: "ws://h/pac", Key: secret},
		"no host":          {Key: secret},
		"URL as a host":    {Host: "wss://h/pac?token=" + secret},
		"user in the host": {Host: "wss://u:" + secret + "@h"},
		"http host":        {Host: "https://h", Key: secret},
		"broken host":      {Host: "h%zz" + secret},
		"http URL":         {URL: "https://h/pac?token=" + secret},
		"no scheme":        {URL: "h/pac?token=" + secret},
		"broken URL":       {URL: "ws://h/%zz?token=" + secret},
		"version":          {Host: "h", Key: secret, Version: "v2"},
		"pasted version":   {URL: "ws://h/pac?api-version=2&token=" + secret},
	} {
		c, err := Dial(t.Context(), o)
		if err == nil {
			t.Errorf("%s: dialled", name)
			_ = c.Close()
		} else if strings.Contains(err.Error(), secret) || !strings.HasPrefix(err.Error(), "epos: ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// serve runs an HTTP server until the end of the test, and returns its address
// with the scheme ws.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.Replace(s.URL, "http", "ws", 1)
}

// details upgrades and answers every request with an available terminal.
func details(t *testing.T, knocked func(*url.URL)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		knocked(r.URL)
		conn, err := ws.Upgrade(w, r, ws.Options{})
		if err != nil {
			t.Error(err)
			return
		}
		for {
			text, err := conn.Read()
			if err != nil {
				return
			}
			m, fault := jsonrpc.Decode(text)
			if fault != nil {
				t.Error(fault)
			}
			answer, err := jsonrpc.AppendResult(nil, m.ID, wire.Encode(wire.V1, wire.Terminal{TerminalID: terminalID(tid), Status: wire.StatusAvailable}))
			if err != nil {
				t.Error(err)
			}
			if err := conn.Send(answer); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestDial(t *testing.T) {
	var got *url.URL
	host := serve(t, details(t, func(u *url.URL) { got = u }))
	ctx, cancel := context.WithCancel(t.Context())
	c, err := Dial(ctx, Options{Host: host, Key: secret, SoftwareHouseID: "SWH", InstallerID: "INST"})
	cancel() // bounds the dialling only
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.TerminalDetails(t.Context(), tid)
	if err != nil || d.Status != Available {
		t.Errorf("got %v, %v", d, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	want := url.Values{
		"token": {secret}, "api-version": {"v1"}, "software-house-id": {"SWH"}, "installer-id": {"INST"},
		"extensions": {"keys,status,errors"},
	}
	if diff := cmp.Diff(want, got.Query()); diff != "" || got.Path != "/pac" {
		t.Errorf("path %s, query (-want +got)\n%s", got.Path, diff)
	}
}

func TestDialTLS(t *testing.T) {
	s := httptest.NewTLSServer(details(t, func(*url.URL) {}))
	defer s.Close()
	host := strings.Replace(s.URL, "https", "wss", 1)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	c, err := Dial(t.Context(), Options{Host: host, Key: secret, TLS: &tls.Config{RootCAs: roots}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.TerminalDetails(t.Context(), tid); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestRefused(t *testing.T) {
	for _, test := range []struct {
		status       int
		header, body string
		message      string
		retry        time.Duration
	}{
		{401, "", `{"userMessage":"Check the key."}`, "Check the key.", 0},
		{422, "", `{"userMessage":"installer-id is missing."}`, "installer-id is missing.", 0},
		{429, "7", `{"userMessage":"Too many."}`, "Too many.", 7 * time.Second},
		{503, "Wed, 21 Oct 2026 07:28:00 GMT", `{}`, "", 0},
		{502, "-1", `<html>Bad Gateway</html>`, "", 0},
		{200, "", `welcome`, "", 0},
	} {
		host := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if test.header != "" {
				w.Header().Set("Retry-After", test.header)
			}
			w.WriteHeader(test.status)
			_, _ = w.Write([]byte(test.body))
		})
		_, err := Dial(t.Context(), Options{Host: host, Key: secret})
		got, ok := errors.AsType[*RefusedError](err)
		if !ok {
			t.Errorf("%d: got %v", test.status, err)
			continue
		}
		if want := (RefusedError{Status: test.status, UserMessage: test.message, RetryAfter: test.retry}); *got != want {
			t.Errorf("got %+v, want %+v", *got, want)
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("got %v", err)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	host := strings.Replace(s.URL, "http", "ws", 1)
	s.Close()
	_, err := Dial(t.Context(), Options{Host: host, Key: secret})
	if err == nil || strings.Contains(err.Error(), secret) || !strings.HasPrefix(err.Error(), "epos: ") {
		t.Errorf("got %v", err)
	}
}

func TestDialGivesUp(t *testing.T) {
	release := make(chan struct{})
	host := serve(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := Dial(ctx, Options{Host: host, Key: secret})
	if err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("got %v", err)
	}
}
