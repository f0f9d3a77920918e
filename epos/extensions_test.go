package epos

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/wire"
	"github.com/tillwire/tillwire/ws"
)

// A host is a gateway that may know extensions: it grants what it is asked for,
// or refuses it, and has each message answered by a function.
type host struct {
	t       *testing.T
	server  *httptest.Server
	knows   bool
	ignores bool // it knows no extensions and does not look at them
	status  int  // refuses every knock

	mu    sync.Mutex
	asked []url.Values
	lines int                                          // connections so far
	serve func(line int, conn *ws.Conn, m callMessage) // a nil one drops the line
}

type callMessage struct {
	jsonrpc.Message
	key string
}

// set changes how it behaves from now on.
func (h *host) set(change func(h *host)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(h)
}

func newHost(t *testing.T) *host {
	h := &host{t: t, knows: true}
	h.server = httptest.NewServer(h)
	t.Cleanup(h.server.Close)
	return h
}

func (h *host) options() Options {
	return Options{Host: strings.Replace(h.server.URL, "http", "ws", 1), Key: "k", SoftwareHouseID: "S", InstallerID: "I"}
}

func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	h.mu.Lock()
	h.asked = append(h.asked, q)
	h.lines++
	line, knows, ignores, status := h.lines, h.knows, h.ignores, h.status
	h.mu.Unlock()
	asked := q.Get("extensions")
	switch {
	case status != 0:
		w.WriteHeader(status)
		return
	case asked != "" && !knows && !ignores:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"userMessage":"Extension is not known."}`))
		return
	}
	var o ws.Options
	if asked != "" && knows {
		o.Answer = http.Header{spec.ExtensionsHeader: {asked}}
	}
	conn, err := ws.Upgrade(w, r, o)
	if err != nil {
		h.t.Error(err)
		return
	}
	defer conn.Abort()
	for {
		text, err := conn.Read()
		if err != nil {
			return
		}
		m, fault := jsonrpc.Decode(text)
		if fault != nil {
			h.t.Error(fault)
			return
		}
		var params struct {
			Key string `json:"requestKey"`
		}
		if err := json.Unmarshal(m.Params, &params); err != nil {
			h.t.Error(err)
		}
		h.mu.Lock()
		serve := h.serve
		h.mu.Unlock()
		if serve == nil {
			return
		}
		serve(line, conn, callMessage{m, params.Key})
	}
}

func (h *host) tell(conn *ws.Conn, message []byte, err error) {
	if err == nil {
		err = conn.Send(message)
	}
	if err != nil {
		h.t.Error(err)
	}
}

func (h *host) sold(conn *ws.Conn, m callMessage) {
	message, err := jsonrpc.AppendResult(nil, m.ID, wire.Raw(example(h.t, "performTransaction", "saleSuccessful")))
	h.tell(conn, message, err)
}

func dialled(t *testing.T, o Options) *Client {
	t.Helper()
	c, err := Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// A client asks for what it makes use of, and makes use of what is granted.
func TestExtensionsAskedFor(t *testing.T) {
	corrected := Handler{Corrected: func(Correction) {}}
	for _, tt := range []struct {
		name    string
		host    func(*host)
		o       func(*Options)
		asked   []string // at each knock; "-" for none
		granted []string
	}{
		{"all", nil, nil, []string{"keys,status,errors"}, []string{"keys", "status", "errors"}},
		{"late", nil, func(o *Options) { o.Handler = corrected }, []string{"keys,status,errors,late"}, []string{"keys", "status", "errors", "late"}},
		{"plain", nil, func(o *Options) { o.Plain = true }, []string{"-"}, nil},
		{"a gateway that refuses them", func(h *host) { h.knows = false }, nil, []string{"keys,status,errors", "-"}, nil},
		{"a gateway that looks at none", func(h *host) { h.knows, h.ignores = false, true }, nil, []string{"keys,status,errors"}, nil},
		{"a URL that says which", nil, func(o *Options) {
			*o = Options{URL: o.Host + "/pac?token=k&api-version=v1&extensions=status"}
		}, []string{"status"}, []string{"status"}},
		{"a URL that says none", nil, func(o *Options) { *o = Options{URL: o.Host + "/pac?token=k&api-version=v1&extensions="} }, []string{""}, nil},
		{"a URL", nil, func(o *Options) { *o = Options{URL: o.Host + "/pac?token=k"} }, []string{"keys,status,errors"}, []string{"keys", "status", "errors"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t)
			if tt.host != nil {
				tt.host(h)
			}
			o := h.options()
			if tt.o != nil {
				tt.o(&o)
			}
			c := dialled(t, o)
			var asked []string
			for _, q := range h.asked {
				if q.Has("extensions") {
					asked = append(asked, q.Get("extensions"))
				} else {
					asked = append(asked, "-")
				}
				if q.Get("token") != "k" {
					t.Errorf("the query became %v", q)
				}
			}
			if diff := cmp.Diff(tt.asked, asked); diff != "" {
				t.Errorf("asked for (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(tt.granted, c.Extensions()); diff != "" {
				t.Errorf("granted (-want +got)\n%s", diff)
			}
		})
	}
	t.Run("another refusal is told", func(t *testing.T) {
		h := newHost(t)
		h.status = http.StatusUnauthorized
		_, err := Dial(t.Context(), h.options())
		if refused, ok := errors.AsType[*RefusedError](err); !ok || refused.Status != 401 || len(h.asked) != 1 {
			t.Errorf("got %v after %d knocks", err, len(h.asked))
		}
	})
}

// Each request has a key of its own, or the one that it is given.
func TestKeys(t *testing.T) {
	h := newHost(t)
	keys := map[string]bool{}
	var last string
	h.serve = func(_ int, conn *ws.Conn, m callMessage) {
		keys[m.key], last = true, m.key
		if m.Method == wire.MethodReportXBalance {
			message, err := jsonrpc.AppendResult(nil, m.ID, wire.Raw(example(t, "report", "xBalanceComplete")))
			h.tell(conn, message, err)
			return
		}
		h.sold(conn, m)
	}
	c := dialled(t, h.options())
	for range 3 {
		if _, err := c.Sale(t.Context(), sale1250()); err != nil {
			t.Fatal(err)
		}
		if uuid.Validate(last) != nil {
			t.Errorf("the key is %q", last)
		}
	}
	if _, err := c.ReportXBalance(t.Context(), tid); err != nil || uuid.Validate(last) != nil || len(keys) != 4 {
		t.Errorf("%v, keys %v", err, keys)
	}
	if _, err := c.Refund(t.Context(), Refund{TID: tid, Amount: gbp(1)}, WithKey("mine")); err != nil || last != "mine" {
		t.Errorf("%v, key %q", err, last)
	}
	if _, err := c.ReportXBalance(t.Context(), tid, WithKey("report")); err != nil || last != "report" {
		t.Errorf("%v, key %q", err, last)
	}
}

// Without the extensions nothing is sent that the gateway does not know.
func TestWithoutExtensions(t *testing.T) {
	h := newHost(t)
	var heard []string
	h.serve = func(_ int, conn *ws.Conn, m callMessage) {
		heard = append(heard, string(m.Params))
		h.sold(conn, m)
	}
	o := h.options()
	o.Plain = true
	c := dialled(t, o)
	if _, err := c.Sale(t.Context(), sale1250()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{`{"tid":"12345678","currency":"GBP","amount":1250}`}, heard); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	_, err := c.Sale(t.Context(), sale1250(), WithKey("k"))
	_, reportErr := c.ReportBanking(t.Context(), tid, WithKey("k"))
	_, statusErr := c.TransactionStatus(t.Context(), tid, "k")
	_, againErr := (&OutcomeUnknownError{Method: "sale", TID: tid}).TryAgain(t.Context(), o)
	for _, err := range []error{err, reportErr, statusErr, againErr} {
		known(t, err)
		if !errors.Is(err, ErrNoExtension) || !strings.HasPrefix(err.Error(), "epos: ") {
			t.Errorf("got %v", err)
		}
	}
	if len(heard) != 1 {
		t.Errorf("sent all the same: %v", heard)
	}
}

// After a lost line the same request goes out under the same key until there is
// an answer.
func TestTryAgain(t *testing.T) {
	h := newHost(t)
	var keys []string
	h.serve = func(line int, conn *ws.Conn, m callMessage) {
		h.mu.Lock()
		keys = append(keys, m.key+" "+m.Method+" "+strings.ReplaceAll(string(m.Params), m.key, "KEY"))
		h.mu.Unlock()
		if line < 3 {
			conn.Abort() // a line that breaks, twice
			return
		}
		message, err := jsonrpc.AppendNotification(nil, wire.MethodTerminalNotification, wire.Encode(wire.V1, wire.TerminalNotification{
			NotificationValue: string(PINEntry), TerminalID: terminalID(tid),
		}))
		h.tell(conn, message, err)
		h.sold(conn, m)
	}
	var heard []Notification
	hears := WithHandler(Handler{Notification: func(_ TID, n Notification) { heard = append(heard, n) }})
	_, err := dialled(t, h.options()).Sale(t.Context(), sale1250())
	doubt := unknown(t, err)
	if doubt.Key == "" {
		t.Fatal("there is no key in the doubt")
	}
	p, err := doubt.TryAgain(t.Context(), h.options(), hears)
	if err != nil || p.MoneyTaken() != TakenYes {
		t.Errorf("got %v, %v", p.Result, err)
	}
	if diff := cmp.Diff([]Notification{PINEntry}, heard); diff != "" {
		t.Errorf("notifications (-want +got)\n%s", diff)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(keys) != 3 || keys[0] != keys[1] || keys[1] != keys[2] || !strings.HasPrefix(keys[0], doubt.Key+" sale ") {
		t.Errorf("sent %q", keys)
	}
}

// What TryAgain makes of other ends.
func TestTryAgainEnds(t *testing.T) {
	doubt := func(h *host) *OutcomeUnknownError {
		c, err := Dial(t.Context(), h.options())
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Sale(t.Context(), sale1250(), WithKey("k"))
		_ = c.Close()
		return unknown(t, err)
	}
	t.Run("refused by the gateway", func(t *testing.T) {
		h := newHost(t)
		u := doubt(h)
		h.set(func(h *host) {
			h.serve = func(_ int, conn *ws.Conn, m callMessage) {
				message, err := jsonrpc.AppendError(nil, m.ID, &jsonrpc.Error{
					Code: int(ErrTerminalBusy), Message: "busy", Data: wire.Encode(wire.V1, wire.ErrorData{Pointer: "/a", Rule: "b", Docs: "/c"}),
				})
				h.tell(conn, message, err)
			}
		})
		_, err := u.TryAgain(t.Context(), h.options())
		known(t, err)
		said, ok := errors.AsType[*Error](err)
		if !ok || !errors.Is(err, ErrTerminalBusy) || said.Pointer != "/a" || said.Rule != "b" || said.Docs != "/c" {
			t.Errorf("got %+v", err)
		}
	})
	t.Run("the till is not wanted", func(t *testing.T) {
		h := newHost(t)
		u := doubt(h)
		h.set(func(h *host) { h.status = http.StatusUnauthorized })
		if _, err := u.TryAgain(t.Context(), h.options()); !errors.As(err, new(*RefusedError)) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("another gateway, without keys", func(t *testing.T) {
		h := newHost(t)
		u := doubt(h)
		h.set(func(h *host) { h.knows = false })
		if _, err := u.TryAgain(t.Context(), h.options()); !errors.Is(err, ErrNoExtension) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		h := newHost(t)
		u := doubt(h)
		h.set(func(h *host) { h.status = http.StatusServiceUnavailable })
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := u.TryAgain(ctx, h.options())
		again := unknown(t, err)
		if again.Key != "k" || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %+v", again)
		}
		h.set(func(h *host) {
			h.status = 0
			h.serve = func(_ int, conn *ws.Conn, m callMessage) { h.sold(conn, m) }
		})
		if p, err := again.TryAgain(t.Context(), h.options()); err != nil || p.Result != Successful {
			t.Errorf("tried once more: %v, %v", p.Result, err)
		}
	})
	t.Run("a report", func(t *testing.T) {
		h := newHost(t)
		c := dialled(t, h.options())
		_, err := c.ReportZBalance(t.Context(), tid)
		u := unknown(t, err)
		if u.Key == "" {
			t.Error("there is no key in the doubt")
		}
		if _, err := u.TryAgain(t.Context(), h.options()); !errors.Is(err, ErrNoExtension) {
			t.Errorf("got %v", err)
		}
	})
}

func TestTransactionStatus(t *testing.T) {
	h := newHost(t)
	status, _ := spec.Default().Extension("status")
	message, _ := status.Message("transactionStatus")
	var params string
	var answer spec.Example
	h.serve = func(_ int, conn *ws.Conn, m callMessage) {
		params = string(m.Params)
		var body struct {
			Result wire.Raw `json:"result"`
		}
		if err := json.Unmarshal(answer.Text, &body); err != nil {
			t.Error(err)
		}
		text, err := jsonrpc.AppendResult(nil, m.ID, body.Result)
		h.tell(conn, text, err)
	}
	c := dialled(t, h.options())
	for _, state := range []State{Pending, Finished, Unresolved, NotRun, NotFound} {
		answer, _ = message.Example(string(state))
		s, err := c.TransactionStatus(t.Context(), tid, "k")
		if err != nil || s.State != state || (s.RequestID == "") != (state == NotFound) || (s.Payment != nil) != (state == Finished) {
			t.Errorf("%s: got %+v, %v", state, s, err)
		}
		if s.Payment != nil && (s.Payment.Result != Successful || s.Payment.TID != tid) {
			t.Errorf("the payment is %+v", s.Payment)
		}
	}
	if want := `{"tid":"12345678","requestKey":"k"}`; params != want {
		t.Errorf("sent %s, want %s", params, want)
	}
	if _, err := c.TransactionStatusByID(t.Context(), tid, "r1"); err != nil || params != `{"tid":"12345678","requestId":"r1"}` {
		t.Errorf("sent %s, %v", params, err)
	}
}

func TestCorrected(t *testing.T) {
	late, _ := spec.Default().Extension("late")
	message, _ := late.Message("transactionCorrected")
	told := make(chan Correction, 2)
	h := newHost(t)
	h.serve = func(_ int, conn *ws.Conn, m callMessage) {
		for _, name := range []string{"paid", "neverRan"} {
			e, _ := message.Example(name)
			h.tell(conn, e.Text, nil)
		}
		h.sold(conn, m)
	}
	o := h.options()
	o.Handler.Corrected = func(c Correction) { told <- c }
	c := dialled(t, o)
	if _, err := c.Sale(t.Context(), sale1250()); err != nil {
		t.Fatal(err)
	}
	paid, neverRan := <-told, <-told
	if paid.TID != tid || paid.RequestID == "" || paid.TransactionID != paid.Payment.TransactionID || paid.Payment.MoneyTaken() != TakenYes {
		t.Errorf("got %+v", paid)
	}
	if neverRan.TransactionID != "" || neverRan.Payment.MoneyTaken() != TakenNo {
		t.Errorf("got %+v", neverRan)
	}
}
