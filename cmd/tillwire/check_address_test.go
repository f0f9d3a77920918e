package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

// openCheckBench makes a bench that listens by itself.
func openCheckBench(s streams, under, listen string, speed simSpeed, earlier checkState) (*checkBench, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, err
	}
	return newCheckBench(s, under, l, speed, earlier)
}

// certificate makes one for these names.
func certificate(t *testing.T, names []string, ips ...net.IP) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, IPAddresses: ips, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// A till is told an address that it can use: one that the certificate is for,
// where the check listens on all of them.
func TestTillURL(t *testing.T) {
	shop := []string{"*.example.com", "shop.example.com"}
	for _, tt := range []struct {
		name, listen string
		secure       *tls.Config
		want         string // scheme and host without the port
	}{
		{"on this machine", "127.0.0.1:0", nil, "ws://127.0.0.1"},
		{"by name", "localhost:0", nil, "ws://localhost"},
		{"on all addresses", "0.0.0.0:0", certificate(t, shop), "wss://shop.example.com"},
		{"with no address", ":0", certificate(t, nil, net.IPv4(192, 0, 2, 7)), "wss://192.0.2.7"},
		{"on one of them", "127.0.0.1:0", certificate(t, shop), "wss://127.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := net.Listen("tcp", tt.listen)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if tt.secure != nil {
				l = secured{l, certifiedHost(tt.secure)}
			}
			u, err := url.Parse(tillURL(tt.listen, l, "check-key"))
			if err != nil {
				t.Fatal(err)
			}
			_, port, _ := net.SplitHostPort(l.Addr().String())
			if got := u.Scheme + "://" + u.Host; got != tt.want+":"+port || u.Query().Get("token") != "check-key" || u.Path != "/pac" {
				t.Errorf("address %s, want one that begins %s:%s", u, tt.want, port)
			}
		})
	}
}

// A run that goes on is found where the till was set to look for it; when that
// address is taken, it takes another.
func TestListenAgain(t *testing.T) {
	first, err := listenAgain("127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	was := first.Addr().String()
	taken, err := listenAgain("127.0.0.1:0", was)
	if err != nil {
		t.Fatal(err)
	}
	if taken.Addr().String() == was {
		t.Error("two listen on one address")
	}
	taken.Close()
	first.Close()
	again, err := listenAgain("127.0.0.1:0", was)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Addr().String() != was {
		t.Errorf("listens on %s, and the till knows %s", again.Addr(), was)
	}
	if _, err := listenAgain("nowhere", was); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("a wrong address gives %v", err)
	}
}
