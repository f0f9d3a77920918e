package epos

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/wire"
	"github.com/tillwire/tillwire/ws"
)

// A Version is a version of the contract.
type Version string

// The versions.
const (
	V1 Version = "v1"
	V0 Version = "v0" // deprecated
)

// Options says where and as whom to connect. Give either URL, or Host, Key and
// the rest. They hold the API key: do not print them.
type Options struct {
	// URL is the whole address, as a gateway prints it to be pasted:
	// wss://host/pac?token=…&api-version=v1&software-house-id=…&installer-id=…
	// (Pay-At-Table: /pat)
	URL string

	Host            string  // "gateway.example.com", "10.0.0.5:8484"; with ws:// before it for no TLS
	Key             string  // the site's API key; an operator must be able to set it
	SoftwareHouseID string  // v1: issued to who writes the till software
	InstallerID     string  // v1: issued to who installs it; an operator must be able to set it
	Version         Version // empty is V1

	// Plain asks for the published contract only. Otherwise a Client opts in to
	// the extensions that it makes use of (the contract, section 10), as far as
	// the gateway knows them: keys, status, errors, and late if Handler.Corrected
	// is set. A URL that names extensions itself is left as it is.
	Plain bool

	TLS *tls.Config // for wss; nil is the system's

	Handler Handler // for all transactions; see WithHandler for one. Tables uses its Error and Trace only
}

// Dial connects to a gateway's Pay-At-Counter interface (the contract, section
// 1). ctx bounds the dialling only. A gateway that does not want this till gives
// a *RefusedError. No error contains the key.
func Dial(ctx context.Context, o Options) (*Client, error) {
	address, version, err := o.address("/pac")
	if err != nil {
		return nil, err
	}
	var granted []string
	hear := func(name, value string) {
		if strings.EqualFold(name, spec.ExtensionsHeader) {
			granted = strings.Split(value, ",")
		}
	}
	asking := o.asking(address)
	conn, keeper, err := o.dialHearing(ctx, asking, hear)
	if refused, ok := errors.AsType[*RefusedError](err); ok && refused.Status == http.StatusBadRequest && asking != address {
		// A gateway that is older, or not ours, and does not know one of them.
		conn, keeper, err = o.dialHearing(ctx, address, hear)
	}
	if err != nil {
		return nil, err
	}
	return newClient(conn, keeper, version, o.Handler, granted...), nil
}

// asking is the address with the wish for extensions.
func (o Options) asking(address string) string {
	u, err := url.Parse(address)
	if err != nil || o.Plain {
		return address
	}
	q := u.Query()
	if q.Has("extensions") {
		return address
	}
	names := []string{wire.ExtensionKeys, wire.ExtensionStatus, wire.ExtensionErrors}
	if o.Handler.Corrected != nil { // else what others wait for would be delivered here, to nobody
		names = append(names, wire.ExtensionLate)
	}
	more := "extensions=" + strings.Join(names, ",")
	if u.RawQuery != "" {
		more = u.RawQuery + "&" + more
	}
	u.RawQuery = more
	return u.String()
}

// dial opens a connection and has it pinged by a keeper of its own.
func (o Options) dial(ctx context.Context, address string) (*ws.Conn, *ws.Keeper, error) {
	return o.dialHearing(ctx, address, nil)
}

// dialHearing is dial that is told of the headers of the answer.
func (o Options) dialHearing(ctx context.Context, address string, hear func(name, value string)) (*ws.Conn, *ws.Keeper, error) {
	keeper := ws.NewKeeper(pingInterval, pingsMissed)
	conn, err := ws.Dial(ctx, address, ws.DialOptions{Options: ws.Options{Keeper: keeper}, TLS: o.TLS, OnHeader: hear})
	if err == nil {
		return conn, keeper, nil
	}
	keeper.Stop()
	if refused, ok := errors.AsType[*ws.RefusedError](err); ok {
		return nil, nil, &RefusedError{
			Status:      refused.Status,
			UserMessage: wire.DecodeRefusal(refused.Body).UserMessage,
			RetryAfter:  retryAfter(refused.Header.Get("Retry-After")),
		}
	}
	return nil, nil, fmt.Errorf("epos: %w", err)
}

// A connection on which nothing comes back to two pings is dead: a till must
// not wait for ever on a line that somebody has unplugged.
const (
	pingInterval = 30 * time.Second
	pingsMissed  = 2
)

// address gives the address to dial, with its query, and the version in it. The
// path is that of the interface, if the options do not hold a whole address.
func (o Options) address(path string) (string, wire.Version, error) {
	if o.URL != "" {
		if o.Host != "" || o.Key != "" || o.SoftwareHouseID != "" || o.InstallerID != "" || o.Version != "" {
			return "", 0, errors.New("epos: give either URL, or Host, Key and the rest")
		}
		return pasted(o.URL)
	}
	if o.Host == "" {
		return "", 0, errors.New("epos: give a URL or a Host")
	}
	host := o.Host
	if !strings.Contains(host, "://") {
		host = "wss://" + host
	}
	u, err := url.Parse(host)
	if err != nil || (u.Scheme != "ws" && u.Scheme != "wss") || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		// What stands there may be a whole address with its key, so it is not repeated.
		return "", 0, errors.New("epos: Host is not of the form gateway.example.com or ws://127.0.0.1:8484")
	}
	version := o.Version
	if version == "" {
		version = V1
	}
	v, err := parseVersion(string(version))
	if err != nil {
		return "", 0, err
	}
	q := url.Values{"token": {o.Key}, "api-version": {v.String()}}
	if v != wire.V0 {
		q.Set("software-house-id", o.SoftwareHouseID)
		q.Set("installer-id", o.InstallerID)
	}
	u.Path, u.RawQuery = path, q.Encode()
	return u.String(), v, nil
}

// pasted reads a whole address. Its errors do not repeat it: it bears the key.
func pasted(address string) (string, wire.Version, error) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || (u.Scheme != "ws" && u.Scheme != "wss") || u.Host == "" {
		return "", 0, errors.New("epos: the URL is not of the form wss://host/pac?token=…")
	}
	v, err := parseVersion(u.Query().Get("api-version"))
	u.Fragment = ""
	return u.String(), v, err
}

func parseVersion(s string) (wire.Version, error) {
	v, ok := wire.ParseVersion(s)
	if !ok {
		return 0, fmt.Errorf("epos: api-version %q is not one of v1, v0", s)
	}
	return v, nil
}

// retryAfter reads a number of seconds.
func retryAfter(s string) time.Duration {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}
