package epos_test

import (
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/wire"
	"github.com/tillwire/tillwire/ws"
)

// A fakeGateway stands in for a gateway in the examples: it has one terminal and
// does to each method what the example says. See the package gateway for the
// real one.
type fakeGateway struct {
	server *httptest.Server
	serve  map[string]func(*till, jsonrpc.ID)
	signed func(*till, bool) // an answer on a signature has come
	visit  func(*till)       // Pay-At-Table: what is asked of a till that connects
	keys   func(key string)  // it knows the extension keys, and this hears of them
}

// A till is the connection of one till to a fakeGateway.
type till struct{ conn *ws.Conn }

const terminal = "12345678"

// start listens on a free loopback port and returns the URL to paste.
func (g *fakeGateway) start() (address string) {
	g.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("token") != "demo" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"userMessage":"The API key is not known here. Check the token in the query."}`))
			return
		}
		var options ws.Options
		if asked := r.URL.Query().Get("extensions"); g.keys != nil && asked != "" {
			options.Answer = http.Header{spec.ExtensionsHeader: {asked}}
		}
		conn, err := ws.Upgrade(w, r, options)
		if err != nil {
			panic(err)
		}
		if g.visit != nil {
			g.visit(&till{conn})
			return
		}
		g.talk(&till{conn})
	}))
	return strings.Replace(g.server.URL, "http", "ws", 1) + "/pac?token=demo&api-version=v1&software-house-id=MYHOUSE&installer-id=ME"
}

func (g *fakeGateway) stop() { g.server.Close() }

func (g *fakeGateway) talk(t *till) {
	for {
		text, err := t.conn.Read()
		if err != nil {
			return
		}
		m, fault := jsonrpc.Decode(text)
		switch {
		case fault != nil:
			panic(fault)
		case m.Kind == jsonrpc.Response:
			accepted, _, _ := wire.DecodeVerifySignatureResponse(m.Result)
			g.signed(t, accepted)
		default:
			if g.keys != nil {
				request, _, _ := wire.DecodeKeyedTransaction(wire.V1, m.Method, m.Params)
				g.keys(request.RequestKey)
			}
			g.serve[m.Method](t, m.ID)
		}
	}
}

func (t *till) send(message []byte, err error) {
	if err != nil {
		panic(err)
	}
	_ = t.conn.Send(message) // it may have gone: that is what some examples are about
}

func (t *till) notify(values ...string) {
	for _, v := range values {
		t.send(jsonrpc.AppendNotification(nil, wire.MethodTerminalNotification,
			wire.Encode(wire.V1, wire.TerminalNotification{NotificationValue: v, TerminalID: wire.TerminalID{TID: terminal}})))
	}
}

func (t *till) answer(id jsonrpc.ID, result wire.Message) {
	t.send(jsonrpc.AppendResult(nil, id, wire.Encode(wire.V1, result)))
}

// hangUp is a line that breaks.
func (t *till) hangUp() { t.conn.Abort() }

func payment(id, result string, amount money.Minor) wire.Payment {
	return wire.Payment{
		TerminalID: wire.TerminalID{TID: terminal}, TransactionType: "SALE", TransactionResult: result, TransactionID: id,
		Currency: money.GBP, AmountBase: amount, AmountTotal: amount, AuthCode: "789DE0",
	}
}

func available(t *till, id jsonrpc.ID) {
	t.answer(id, wire.Terminal{TerminalID: wire.TerminalID{TID: terminal}, Currency: money.GBP, Status: wire.StatusAvailable})
}

// ask asks the till that keeps the tables, and returns its result.
func (t *till) ask(method string, question wire.Message) string {
	t.send(jsonrpc.AppendRequest(nil, 1, method, wire.Encode(wire.V1, question)))
	text, err := t.conn.Read()
	if err != nil {
		panic(err)
	}
	m, fault := jsonrpc.Decode(text)
	if fault != nil {
		panic(fault)
	}
	return string(m.Result)
}
