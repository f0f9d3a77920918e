package door

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// certificate writes a fresh one for 127.0.0.1 and returns its files and a
// pool that trusts it.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(parsed)
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", keyDER), pool
}

func TestTLS(t *testing.T) {
	certFile, keyFile, pool := certificate(t)
	conf, err := LoadTLS(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, Config{TLS: conf})
	over := func(c *tls.Config) *http.Client {
		return &http.Client{Transport: &http.Transport{TLSClientConfig: c, DisableKeepAlives: true, ForceAttemptHTTP2: true}}
	}
	trusting := over(&tls.Config{RootCAs: pool})

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, "wss://"+s.addr+good, &websocket.DialOptions{HTTPClient: trusting})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	secure := &till{c, t}
	secure.alive()

	req, err := http.NewRequestWithContext(ctx, "GET", "https://"+s.addr+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	if res, body := do(t, trusting, req); res.StatusCode != 200 || body != "ok\n" || res.ProtoMajor != 1 {
		t.Errorf("%s %d: %s", res.Proto, res.StatusCode, body)
	}
	for name, weak := range map[string]*tls.Config{
		"TLS 1.1":               {RootCAs: pool, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
		"an unknown issuer":     {},
		"another name than its": {RootCAs: pool, ServerName: "till.example"},
	} {
		if res, err := over(weak).Do(req); err == nil {
			_ = res.Body.Close()
			t.Errorf("%s: went through", name)
		}
	}
	if res, _ := s.get("GET", good, upgrade()); res.StatusCode != 400 {
		t.Errorf("plain HTTP on a TLS port: %d, want 400", res.StatusCode)
	}
	secure.alive()
	s.stop()
	secure.closed(websocket.StatusGoingAway)
}

// TestMuteTLS: half a TLS handshake is bounded like half a header.
func TestMuteTLS(t *testing.T) {
	certFile, keyFile, _ := certificate(t)
	conf, err := LoadTLS(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, Config{TLS: conf, HeaderTimeout: 50 * time.Millisecond})
	c := s.raw()
	c.send("\x16\x03\x01") // a record begins
	if n, err := c.in.Discard(1 << 20); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("%d bytes, %v; want the connection closed", n, err)
	}
}

func TestLoadTLS(t *testing.T) {
	certFile, keyFile, _ := certificate(t)
	_, otherKey, _ := certificate(t)
	for _, tt := range []struct{ cert, key, says string }{
		{"", keyFile, "both"},
		{certFile, "", "both"},
		{certFile, filepath.Join(t.TempDir(), "none.pem"), "none.pem"},
		{keyFile, keyFile, keyFile},
		{certFile, otherKey, "does not match"},
	} {
		if _, err := LoadTLS(tt.cert, tt.key); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("LoadTLS(%q, %q): %v, want an error with %q", tt.cert, tt.key, err, tt.says)
		}
	}
}
