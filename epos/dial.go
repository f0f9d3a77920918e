package epos

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/wire"
	"github.com/tillwire/tillwire/ws"
)

// A Version is a version of the contract.
type Version string

// The versions.
const (
	V2 Version = "v2" // REST only
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
	// the gateway knows them: keys, status, errors, late if Handler.Corrected is
	// set, and resume with a Stream. A URL that names extensions itself is left as it is.
	Plain bool

	// Stream is a name for this till, 1 to 64 printable characters, that no other
	// till of the site has. With it a Client outlives its connection, where the
	// gateway knows the extension resume: it dials again by itself and goes on
	// where it was, and calls that wait get their answers there. See the package
	// comment.
	Stream string

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
	asking, err := o.asking(address)
	if err != nil {
		return nil, err
	}
	conn, keeper, granted, err := o.dialGranted(ctx, asking)
	if refused, ok := errors.AsType[*RefusedError](err); ok && refused.Status == http.StatusBadRequest && asking != address {
		// A gateway that is older, or not ours, and does not know one of them.
		conn, keeper, granted, err = o.dialGranted(ctx, address)
	}
	if err != nil {
		return nil, err
	}
	if o.Stream != "" && streams(granted) {
		return beginStream(ctx, newStream(o, asking, conn, keeper), version, o.Handler, granted)
	}
	return newClient(conn, keeper, version, o.Handler, granted...), nil
}

// beginStream makes a client of the first connection of a stream, once it knows
// where in the stream it is: without that it could not take it up again.
func beginStream(ctx context.Context, s *stream, v wire.Version, h Handler, granted []string) (*Client, error) {
	c := newStreamClient(s, v, h, granted...)
	if _, err := c.call(ctx, wire.MethodConnectedTerminals, nil); err != nil {
		if _, said := errors.AsType[*Error](err); !said { // what it says has a number, too
			_ = c.Close()
			return nil, about("connecting", err)
		}
	}
	return c, nil
}

// streams reports whether what is granted is all that a stream needs.
func streams(granted []string) bool {
	for _, name := range []string{wire.ExtensionResume, wire.ExtensionKeys, wire.ExtensionStatus} {
		if !slices.Contains(granted, name) {
			return false
		}
	}
	return true
}

// dialGranted is dial that tells which extensions are granted.
func (o Options) dialGranted(ctx context.Context, address string) (_ *ws.Conn, _ *ws.Keeper, granted []string, _ error) {
	conn, keeper, err := o.dialHearing(ctx, address, func(name, value string) {
		if strings.EqualFold(name, spec.ExtensionsHeader) {
			granted = strings.Split(value, ",")
		}
	})
	return conn, keeper, granted, err
}

// maxStreamName is how long the name of a stream may be, in characters.
const maxStreamName = 64

// asking is the address with the wish for extensions.
func (o Options) asking(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || o.Plain || u.Query().Has("extensions") {
		if o.Stream != "" {
			return "", errors.New("epos: Stream goes with neither Plain nor a URL that names extensions")
		}
		return address, nil
	}
	names := []string{wire.ExtensionKeys, wire.ExtensionStatus, wire.ExtensionErrors}
	if o.Handler.Corrected != nil { // else what others wait for would be delivered here, to nobody
		names = append(names, wire.ExtensionLate)
	}
	if o.Stream != "" {
		if utf8.RuneCountInString(o.Stream) > maxStreamName || !utf8.ValidString(o.Stream) || strings.ContainsFunc(o.Stream, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return "", fmt.Errorf("epos: Stream is not 1 to %d printable characters", maxStreamName)
		}
		names = append(names, wire.ExtensionResume)
	}
	more := "extensions=" + strings.Join(names, ",")
	if o.Stream != "" {
		more += "&stream=" + url.QueryEscape(o.Stream)
	}
	if u.RawQuery != "" {
		more = u.RawQuery + "&" + more
	}
	u.RawQuery = more
	return u.String(), nil
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
