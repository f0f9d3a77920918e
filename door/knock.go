package door

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/ws"
)

// knock answers a till that wants a socket: with the socket, or with a refusal.
//
// The Origin header is not looked at. It would protect a user whose browser
// holds a cookie; here nothing but the key in the URI authorises, a page that
// has it may connect from anywhere, and browser tills do so from file: and from
// hosts that we cannot know.
func (d *Door) knock(w http.ResponseWriter, r *http.Request, face string) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		d.refuse(w, r, refusal(http.StatusMethodNotAllowed, "This address takes WebSocket connections only: use GET with an upgrade."))
		return
	}
	if !ws.IsUpgrade(r) {
		d.refuse(w, r, refusal(http.StatusUpgradeRequired, "This is not a WebSocket request. Connect with a WebSocket library to ws:// or wss://, over HTTP/1.1; a proxy in between must pass Upgrade and Connection on."))
		return
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil { // the error's text repeats the query
		d.refuse(w, r, refusal(http.StatusBadRequest, "The query of the URI cannot be read. Write name=value pairs joined by &, and percent-encode what is not a letter or digit."))
		return
	}
	granted, err := d.admit(gateway.Knock{Face: face, Query: query, HasAuthorization: r.Header.Get("Authorization") != ""})
	if err != nil {
		why := d.refusalOf(err)
		d.tapRefused(face, d.remote(r), query, why.Status)
		d.refuse(w, r, why)
		return
	}
	if granted.delay > 0 {
		select {
		case <-time.After(granted.delay):
		case <-r.Context().Done():
			return
		}
	}
	if full := d.enter(); full != nil {
		d.refuse(w, r, full)
		return
	}
	c := &conn{door: d, site: granted.site, key: granted.key, remote: d.remote(r)}
	handed := false
	defer func() {
		if !handed {
			d.leave(c)
		}
	}()
	options := d.cfg.Socket
	options.Keeper, options.Busy = d.keeper(cmp.Or(d.cfg.PingInterval, granted.ping)), c.busy
	if len(granted.extensions) > 0 { // a till that asked for none gets the published answer
		options.Answer = http.Header{spec.ExtensionsHeader: {strings.Join(granted.extensions, ",")}}
	}
	c.tap(&options)
	socket, err := ws.Upgrade(w, r, options)
	if bad, ok := errors.AsType[*ws.HandshakeError](err); ok {
		d.refuse(w, r, refusal(bad.Status, "The WebSocket handshake is not right: "+bad.Reason+"."))
		return
	}
	if err != nil {
		d.log.Info("till gone before its connection was open", "site", c.site, "key", c.key, "remote", c.remote, "error", err)
		return
	}
	c.ws = socket
	c.tapOpened(face, granted, query)
	d.moveIn(c)
	handed = true
	// From here on the connection must not need this goroutine: the request and
	// its buffers would stay in memory for as long as the till is connected.
	if granted.serve != nil {
		go c.lend(granted.serve)
		return
	}
	if err := c.open(granted); err != nil {
		go c.Ended(err)
		return
	}
	c.ws.Serve(c)
}

// keeper returns the one that pings at that interval.
func (d *Door) keeper(interval time.Duration) *ws.Keeper {
	interval = cmp.Or(interval, spec.Default().Timer(spec.TimerPing))
	d.mu.Lock()
	defer d.mu.Unlock()
	k, ok := d.keepers[interval]
	if !ok {
		k = ws.NewKeeper(interval, d.cfg.PingsMissed)
		d.keepers[interval] = k
	}
	return k
}

const failedText = "The gateway failed to handle this request. Please try again."

func refusal(status int, text string) *gateway.Refusal {
	return &gateway.Refusal{Status: status, UserMessage: text}
}

// refusalOf is the gateway's own, or a fixed one for an error that should not
// be.
func (d *Door) refusalOf(err error) *gateway.Refusal {
	if r, ok := errors.AsType[*gateway.Refusal](err); ok {
		return r
	}
	d.log.Error("admission failed", "error", err)
	return refusal(http.StatusInternalServerError, failedText)
}

// refuse answers with a refusal and logs it. The text is not logged: it may
// repeat what stood in the query.
func (d *Door) refuse(w http.ResponseWriter, r *http.Request, why *gateway.Refusal) {
	d.log.Info("refused", "status", why.Status, "method", r.Method, "path", shown(r.URL.EscapedPath()), "remote", d.remote(r))
	if why.RetryAfter > 0 {
		seconds := int64((why.RetryAfter + time.Second - 1) / time.Second)
		w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
	if why.Status == http.StatusUpgradeRequired {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Sec-WebSocket-Version", "13")
	}
	w.Header().Set("Connection", "close")
	answer(w, why.Status, map[string]string{"userMessage": why.UserMessage})
}

// enter takes a place for one connection, or says why there is none.
func (d *Door) enter() *gateway.Refusal {
	d.mu.Lock()
	defer d.mu.Unlock()
	var why *gateway.Refusal
	switch {
	case d.closed:
		why = refusal(http.StatusServiceUnavailable, "The gateway is stopping. Please connect again in a few seconds.")
	case d.entered >= d.cfg.MaxConnections:
		why = refusal(http.StatusTooManyRequests, fmt.Sprintf("The gateway has reached its limit of %d connections. Please try again in a few seconds.", d.cfg.MaxConnections))
	default:
		d.entered++
		d.wg.Add(1)
		return nil
	}
	why.RetryAfter = 5 * time.Second
	return why
}

// moveIn makes an open connection one that Close knows.
func (d *Door) moveIn(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c.place = len(d.inside)
	d.inside = append(d.inside, c)
	if d.closed { // it was in its handshake when the others were closed
		c.ws.StartClose(ws.GoingAway, goodbye)
	}
}

// leave gives the place back.
func (d *Door) leave(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entered--
	if c.place < len(d.inside) && d.inside[c.place] == c { // else it never moved in
		last := len(d.inside) - 1
		d.inside[c.place], d.inside[last].place = d.inside[last], c.place
		d.inside[last] = nil
		d.inside = d.inside[:last]
	}
	d.wg.Done()
}
