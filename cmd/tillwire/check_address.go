package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/tillwire/tillwire/door"
)

// listen takes the address for the till. A run that goes on takes the one that
// the till was set to, if it is free.
func (c checkFlags) listen(earlier checkState) (net.Listener, error) {
	secure, err := readTLS(c.TLSCert, c.TLSKey)
	if err != nil {
		return nil, err
	}
	if err := door.CheckListen(c.Listen, true, false, false); err != nil {
		return nil, usageError{err}
	}
	if secure == nil && door.CheckListen(c.Listen, false, false, false) != nil {
		return nil, usageError{hint(fmt.Errorf("--listen: %s is not loopback, and a till on another machine would send its key in clear", c.Listen), "give --tls-cert and --tls-key")}
	}
	l, err := listenAgain(c.Listen, earlier.Listen)
	if err != nil {
		return nil, err
	}
	if secure != nil {
		l = secured{tls.NewListener(l, secure), certifiedHost(secure)}
	}
	return l, nil
}

// listenAgain listens on an address; where that leaves the port open, on the one
// that an earlier run had, if it can still be had.
func listenAgain(address, earlier string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	_, before, none := net.SplitHostPort(earlier)
	if err == nil && none == nil && port == "0" {
		if l, err := net.Listen("tcp", net.JoinHostPort(host, before)); err == nil {
			return l, nil
		}
	}
	return net.Listen("tcp", address)
}

// A secured listener does the TLS, and knows the name that its certificate is for.
type secured struct {
	net.Listener
	host string
}

// certifiedHost is the first name that the certificate is good for, to be used
// where the address to listen on names none; empty when it names none either.
func certifiedHost(c *tls.Config) string {
	if len(c.Certificates) == 0 || len(c.Certificates[0].Certificate) == 0 {
		return ""
	}
	cert, err := x509.ParseCertificate(c.Certificates[0].Certificate[0])
	if err != nil {
		return ""
	}
	for _, name := range cert.DNSNames {
		if !strings.HasPrefix(name, "*") {
			return name
		}
	}
	if len(cert.IPAddresses) > 0 {
		return cert.IPAddresses[0].String()
	}
	return ""
}

// tillURL is the address of a listener as a till at the counter needs it.
func tillURL(asked string, l net.Listener, key string) string {
	scheme, at := "ws", reachable(asked, l.Addr())
	if s, ok := l.(secured); ok {
		scheme = "wss"
		host, port, err := net.SplitHostPort(at)
		if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
			name, _ := os.Hostname() // without one the address stays as it is
			at = net.JoinHostPort(cmp.Or(s.host, name, host), port)
		}
	}
	q := url.Values{"token": {key}, "api-version": {"v1"}, "software-house-id": {"DEMOSWH"}, "installer-id": {"DEMOINST"}}
	return (&url.URL{Scheme: scheme, Host: at, Path: "/pac", RawQuery: q.Encode()}).String()
}

// restURL is the address for a till that asks over REST, with the key as its
// password.
func restURL(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address // it was made here
	}
	q := u.Query()
	u.Scheme, u.Path, u.User = "http"+strings.TrimPrefix(u.Scheme, "ws"), "/", url.UserPassword("till", q.Get("token"))
	q.Del("token")
	q.Del("api-version")
	u.RawQuery = q.Encode()
	return u.String()
}

// tellAddress says how the till is to be set.
func tellAddress(s streams, address string) {
	u, err := url.Parse(address)
	if err != nil {
		return // it was made here
	}
	fmt.Fprintf(s.err, "Set up the till for this address, which stays the same for the whole run:\n\n%s\n\n", address)
	key, what := u.Query().Get("token"), "the key (token)"
	if u.User != nil {
		key, _ = u.User.Password()
		what = "the key, which is the password of HTTP Basic,"
	}
	fmt.Fprintf(s.err, "Where the till wants it in parts, the host is %s://%s and %s %s.\n", u.Scheme, u.Host, what, key)
	fmt.Fprint(s.err, "Let it use its own software house and installer ids in place of those.\n")
}
