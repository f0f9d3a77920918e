package epos

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/wire/rest"
)

// RESTOptions says where and as whom to ask over REST. They hold the API key: do
// not print them.
type RESTOptions struct {
	// URL is the gateway's, https://gateway.example.com, with a path where a proxy
	// wants one. The address of the WebSocket as a gateway prints it will do, too:
	// key and partner ids are then taken from it.
	URL string

	Key             string // the site's API key, where the URL has none
	SoftwareHouseID string // v2: issued to who writes the till software
	InstallerID     string // v2: issued to who installs it

	Till    string  // a name of this till, for the gateway's log; without colons
	Version Version // empty is V2

	// Plain asks for the published contract only: no Idempotency-Key, no event
	// stream, no late outcomes. Otherwise they are used as far as the gateway knows
	// them.
	Plain bool

	// Poll is the pause between two looks where there is no event stream; 0 is 1 s.
	Poll time.Duration

	TLS *tls.Config // for https; nil is the system's

	// Handler is for all transactions; see WithHandler for one. Notification,
	// Signature and Begun are told of, and asked about, those that this client waits
	// for. Corrected is told of those that ended here as TimedOut, until Close.
	Handler Handler
}

// The pauses and limits of a REST client.
type restLimits struct {
	poll    time.Duration
	request time.Duration // for one request
	retry   time.Duration // before one is tried again
	deliver time.Duration // how long after it was made a request is still sent
	away    time.Duration // how long a call waits for a gateway that says nothing useful
	still   time.Duration // how long a call waits for one that says nothing new
	speak   time.Duration // for an event stream to begin to speak; a machine in between may hold it back
	silence time.Duration // in one that has begun to
	late    time.Duration // before the first look for a late outcome
}

func defaultLimits() restLimits {
	return restLimits{
		poll: time.Second, request: 10 * time.Second, retry: firstPause, deliver: deliverLimit,
		away: awayLimit, still: 15 * time.Minute,
		speak: 3 * time.Second, silence: 40 * time.Second, late: 2 * time.Second,
	}
}

// A REST is a till's side of the REST interface. It keeps no connection: each
// call asks, and comes back to look. Its methods do what those of a [Client] do,
// and may be called by many goroutines at once.
type REST struct {
	base    *url.URL
	options RESTOptions
	version rest.Version
	handler Handler
	limits  restLimits
	http    *http.Client
	events  *events
	tracing sync.Mutex

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	working sync.WaitGroup

	// The gateway was seen to know the Idempotency-Key, and so what else goes beyond
	// the published contract.
	keys atomic.Bool

	mu      sync.Mutex
	running []*running
}

// NewREST makes a client of the REST interface. It asks nothing yet: a key that
// is wrong shows at the first call, as a *RefusedError.
func NewREST(o RESTOptions) (*REST, error) {
	base, err := o.complete()
	if err != nil {
		return nil, err
	}
	v, ok := restVersions[cmp.Or(o.Version, V2)]
	if !ok {
		return nil, fmt.Errorf("epos: version %q is not one of v2, v1, v0", string(o.Version))
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = o.TLS
	c := &REST{base: base, options: o, version: v, handler: o.Handler, limits: defaultLimits()}
	c.limits.poll = cmp.Or(o.Poll, c.limits.poll)
	// A redirect would lose the body or the key.
	c.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.events = newEvents(c.ctx.Done())
	return c, nil
}

var restVersions = map[Version]rest.Version{V0: rest.V0, V1: rest.V1, V2: rest.V2}

// complete takes the URL apart. Its errors do not repeat it: it may bear the key.
func (o *RESTOptions) complete() (*url.URL, error) {
	wrong := errors.New("epos: the URL is not of the form https://gateway.example.com")
	u, err := url.Parse(strings.TrimSpace(o.URL))
	if err != nil || u.Host == "" {
		return nil, wrong
	}
	q, key := u.Query(), ""
	switch u.Scheme {
	case "http", "https":
		key, _ = u.User.Password()
		o.Till = cmp.Or(o.Till, u.User.Username())
	case "ws", "wss":
		u.Scheme = "http" + strings.TrimPrefix(u.Scheme, "ws")
		key = q.Get("token")
		for _, face := range []string{"/pac", "/pat"} {
			if path := strings.TrimRight(u.Path, "/"); strings.HasSuffix(strings.ToLower(path), face) {
				u.Path = path[:len(path)-len(face)]
			}
		}
	default:
		return nil, wrong
	}
	o.Key = cmp.Or(o.Key, key)
	o.SoftwareHouseID = cmp.Or(o.SoftwareHouseID, q.Get("software-house-id"))
	o.InstallerID = cmp.Or(o.InstallerID, q.Get("installer-id"))
	if strings.Contains(o.Till, ":") {
		return nil, errors.New("epos: the name of a till has no colon in it")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimRight(u.Path, "/")}, nil
}

// Close ends all calls, those that wait for a transaction as not known, and stops
// looking for late outcomes. The error is always nil.
func (c *REST) Close() error {
	c.cancel()
	c.working.Wait()
	c.http.CloseIdleConnections()
	return nil
}

// during is a context that ends with ctx and with Close.
func (c *REST) during(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.ctx, func() { cancel(errClosed) })
	return ctx, func() { stop(); cancel(nil) }
}

var errClosed = errors.New("the client was closed")

// A restRequest is one request over HTTP.
type restRequest struct {
	method, url string
	body        []byte // nil for none
	version     rest.Version
	key         string // Idempotency-Key; empty for none
	limit       time.Duration
	events      bool  // the stream of them is asked for
	after       int64 // this one of them
}

// A restAnswer is its answer, whole.
type restAnswer struct {
	status int
	header http.Header
	body   []byte
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 4 << 20

// do sends a request and reads the answer. Its error wraps errNotSent where it is
// certain that nothing left.
func (c *REST) do(ctx context.Context, r restRequest) (restAnswer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, cmp.Or(r.limit, c.limits.request), errNoAnswer)
	defer cancel()
	var sent atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }}
	response, err := c.send(httptrace.WithClientTrace(ctx, trace), r)
	if err != nil {
		if err = because(ctx, err); !sent.Load() {
			err = fmt.Errorf("%w: %w", errNotSent, err)
		}
		return restAnswer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return restAnswer{}, because(ctx, err)
	case len(body) > maxAnswer:
		return restAnswer{}, errors.New("the answer is too long")
	}
	if len(body) > 0 {
		see(c.handler.Trace, &c.tracing, false, body)
	}
	return restAnswer{response.StatusCode, response.Header, body}, nil
}

var errNoAnswer = errors.New("no answer in time")

// because is an error of the network as it is told: without the address, and with
// the reason why ctx has ended.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// send sends a request and returns the answer whose body is still to be read.
func (c *REST) send(ctx context.Context, r restRequest) (*http.Response, error) {
	var body io.Reader
	if r.body != nil {
		see(c.handler.Trace, &c.tracing, true, r.body)
		// Package http would send a body that it can read twice, and that has an
		// Idempotency-Key, once more by itself: also to a gateway that ignores it.
		body = struct{ io.Reader }{strings.NewReader(string(r.body))}
	}
	q, err := http.NewRequestWithContext(ctx, r.method, r.url, body)
	if err != nil {
		return nil, errors.New("the address cannot be read")
	}
	q.SetBasicAuth(c.options.Till, c.options.Key)
	q.Header.Set("Accept", r.version.MediaType())
	if r.events {
		q.Header.Add("Accept", eventStream)
		q.Header.Set("Last-Event-ID", strconv.FormatInt(r.after, 10))
	}
	if c.options.SoftwareHouseID != "" {
		q.Header.Set(headerSoftwareHouse, c.options.SoftwareHouseID)
	}
	if c.options.InstallerID != "" {
		q.Header.Set(headerInstaller, c.options.InstallerID)
	}
	if r.body != nil {
		q.ContentLength = int64(len(r.body))
		q.Header.Set("Content-Type", "application/json")
	}
	if r.key != "" {
		q.Header.Set(headerKey, r.key)
	}
	response, err := c.http.Do(q)
	if err == nil && strings.Contains(strings.ToLower(response.Header.Get("Access-Control-Expose-Headers")), strings.ToLower(headerReplayed)) {
		c.keys.Store(true)
	}
	return response, err
}

const (
	headerSoftwareHouse = "Software-House-Id"
	headerInstaller     = "Installer-Id"
	headerKey           = "Idempotency-Key"
	headerReplayed      = "Idempotency-Replayed" // who announces it knows the key
)

// get asks for something that changes nothing.
func (c *REST) get(ctx context.Context, url string) (restAnswer, error) {
	return c.do(ctx, restRequest{method: http.MethodGet, url: url, version: c.version})
}

// at is the address of something of the gateway.
func (c *REST) at(words ...string) string {
	var b strings.Builder
	b.WriteString(c.base.String())
	for _, w := range words {
		b.WriteString("/" + url.PathEscape(w))
	}
	return b.String()
}

// found is a location as it is to be asked. One that would send the key without
// TLS, where the gateway itself has it, is looked for at the gateway.
func (c *REST) found(location string) (string, error) {
	u, err := c.base.Parse(location)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", errors.New("the location cannot be read")
	}
	u.User, u.Fragment = nil, ""
	if c.base.Scheme == "https" && u.Scheme == "http" {
		u.Scheme, u.Host = c.base.Scheme, c.base.Host
	}
	return u.String(), nil
}

// refused reads the refusal of a request: a *RefusedError if it is about who asks,
// else an *Error.
func (c *REST) refused(a restAnswer, tid TID) error {
	said, _ := rest.ReadError(a.body) // without a text the status must do
	switch a.status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotAcceptable:
		return &RefusedError{Status: a.status, UserMessage: said.Text, RetryAfter: retryAfter(a.header.Get("Retry-After"))}
	}
	return &Error{
		Code: restCode(a.status, said.Text, tid), Status: a.status,
		Message: fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)), UserMessage: said.Text,
	}
}

// restCode finds the code that the WebSocket has for what was said.
func restCode(status int, text string, tid TID) Code {
	is := func(names ...string) bool {
		for _, name := range names {
			e := spec.Default().REST().Error(name)
			for _, v := range spec.RESTVersions() {
				for _, currency := range money.Currencies() {
					if e.Status == status && e.Text(v, "tid", string(tid), "currency", string(currency)) == text {
						return true
					}
				}
			}
		}
		return false
	}
	switch {
	case is(spec.RESTTerminalBusy):
		return ErrTerminalBusy
	case is(spec.RESTUnsupported, spec.RESTCurrencyUnsupported, spec.RESTCashbackUnsupported):
		return ErrRequestNotSupported
	case is(spec.RESTTerminalUnavailable):
		return ErrTerminalUnavailable
	case status == http.StatusUnprocessableEntity, status == http.StatusConflict:
		return ErrInvalidParams
	case status >= http.StatusInternalServerError:
		return ErrInternal
	}
	return ErrInvalidRequest
}

// wait waits, and reports false if ctx has ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
