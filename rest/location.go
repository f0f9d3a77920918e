package rest

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/wire/rest"
)

// location is the absolute address of something of a terminal, as the till can
// reach it (the contract of REST, section 1.7).
func (q *request) location(tid txn.TID, words ...string) string {
	top := "/pac"
	if q.version == rest.V0 {
		top = "/retail"
	}
	return q.address(top, append([]string{"terminals", string(tid)}, words...)...)
}

// address is an absolute address under one of the interface's roots.
func (q *request) address(top string, words ...string) string {
	var b strings.Builder
	b.WriteString(q.base())
	b.WriteString(top)
	for _, w := range words {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(w))
	}
	return b.String()
}

// base is how the till reached the gateway.
func (q *request) base() string {
	if u := q.h.cfg.PublicURL; u != nil {
		return strings.TrimRight(u.String(), "/")
	}
	scheme, host := "http", q.r.Host
	if q.h.cfg.TLS || q.r.TLS != nil {
		scheme = "https"
	}
	if q.fromProxy() {
		if proto := strings.ToLower(firstOf(q.r, "X-Forwarded-Proto")); proto == "http" || proto == "https" {
			scheme = proto
		}
		if forwarded := firstOf(q.r, "X-Forwarded-Host"); hostPort.MatchString(forwarded) {
			host = forwarded
		}
	}
	if !hostPort.MatchString(host) { // HTTP/1.0 may name none
		host = q.here()
	}
	return scheme + "://" + host
}

// here is the address at which the request came in.
func (q *request) here() string {
	if at, ok := q.r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		if a, err := netip.ParseAddrPort(at.String()); err == nil {
			return netip.AddrPortFrom(a.Addr().WithZone(""), a.Port()).String()
		}
	}
	return "localhost"
}

// hostPort is what can stand in an address as host and port.
var hostPort = regexp.MustCompile(`^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)

// fromProxy reports whether the peer is a proxy that is believed.
func (q *request) fromProxy() bool {
	peer, err := netip.ParseAddrPort(q.r.RemoteAddr)
	if err != nil {
		return false
	}
	for _, p := range q.h.cfg.TrustedProxies {
		if p.Contains(peer.Addr().Unmap().WithZone("")) {
			return true
		}
	}
	return false
}

// firstOf is the first value of a header that proxies add to.
func firstOf(r *http.Request, header string) string {
	first, _, _ := strings.Cut(r.Header.Get(header), ",")
	return strings.ToValidUTF8(strings.TrimSpace(first), "")
}
