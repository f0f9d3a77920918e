package door

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"github.com/go-json-experiment/json"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
)

const toPAC = "/pac?token=" + planted + "good&api-version=v1&software-house-id=S&installer-id=I"

// openShop is a real gateway with simulated terminals that wait for nothing.
func openShop(t *testing.T) (*real, *sim.Park) {
	t.Helper()
	r := openReal(t, gateway.Limits{})
	park, err := sim.Open(sim.Options{Seed: 1, Speed: sim.Max})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := park.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	for _, tid := range park.Listed() {
		m, _ := park.Machine(tid)
		if err := r.gateway.Plug("demo", tid, m.Connect); err != nil {
			t.Fatal(err)
		}
	}
	return r, park
}

// hold stops the terminal's next transaction while the PIN is entered, until
// the returned function is called.
func hold(t *testing.T, park *sim.Park, tid txn.TID) (release func()) {
	t.Helper()
	m, ok := park.Machine(tid)
	if !ok {
		t.Fatalf("no machine %s", tid)
	}
	until := make(chan struct{})
	m.Script(sim.Script{HoldAt: sim.PINEntry, Until: until})
	release = sync.OnceFunc(func() { close(until) })
	t.Cleanup(release)
	return release
}

type reply struct {
	ID     *int   `json:"id"`
	Method string `json:"method"`
	Params struct {
		NotificationValue string `json:"notificationValue"`
	} `json:"params"`
	Result struct {
		TransactionResult string `json:"transactionResult"`
		Cancelling        bool   `json:"cancelling"`
	} `json:"result"`
	Error struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// hears reads messages until one that want accepts.
func hears(t *testing.T, c *till, what string, want func(reply) bool) reply {
	t.Helper()
	for {
		text, err := c.hear()
		if err != nil {
			t.Fatalf("waiting for %s: %v", what, err)
		}
		var m reply
		if strings.HasPrefix(text, `{"jsonrpc":"2.0","id":9,"result":[`) {
			continue // a list of terminals
		}
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if want(m) {
			return m
		}
	}
}

func notification(value string) func(reply) bool {
	return func(m reply) bool { return m.Params.NotificationValue == value }
}

func ended(m reply) bool { return m.Result.TransactionResult != "" }

func failed(code int) func(reply) bool { return func(m reply) bool { return m.Error.Code == code } }

func sale(id int, tid, currency string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"sale","params":{"tid":%q,"currency":%q,"amount":1250}}`, id, tid, currency)
}

// TestWhileASaleRuns: what else a till may send while its sale is at the
// terminal, over a real socket. The sale goes on and has its one result.
func TestWhileASaleRuns(t *testing.T) {
	r, park := openShop(t)
	release := hold(t, park, "VCMDEMOSIP0")
	c, other := r.dial(toPAC), r.dial(toPAC)
	c.say(sale(1, "VCMDEMOSIP0", "GBP"))
	hears(t, c, "the PIN", notification("PIN_ENTRY"))

	noID := func(code int) func(reply) bool {
		return func(m reply) bool { return m.Error.Code == code && m.ID == nil }
	}
	c.say(sale(1, "VCMDEMOSIP0", "GBP"))
	hears(t, c, "an error about the id in flight, without it", noID(-32600))
	c.say(`{"jsonrpc":"2.0","id":1,"result":{"accepted":true}}`)
	hears(t, c, "an error about a reply to nothing", noID(-32075))
	c.say(`{"jsonrpc":"2.0","id":1,"method":"cancelTransaction","params":{"tid":"VCMDEMOSIP0"}}`)
	hears(t, c, "the answer to a cancel under the sale's id", func(m reply) bool { return m.ID != nil && *m.ID == 1 && m.Result.Cancelling })
	hears(t, c, "that it is too late", notification("UNABLE_TO_CANCEL"))

	for _, tt := range []struct {
		message string
		code    int
	}{
		{sale(2, "VCMDEMOSIP0", "GBP"), -32071},
		{sale(2, "VCMDEMODIP0", "EUR"), -32072},
		{`{"jsonrpc":"2.0","id":2,"method":"completion","params":{"tid":"VCMDEMODIP0","currency":"GBP","amount":1}}`, -32602},
		{`{"jsonrpc":"2.0","id":2,"method":"duplicate","params":{"tid":"VCMDEMOSIP1"}}`, -32072},
		{`{"jsonrpc":"2.0","id":2,"method":"cancelTransaction","params":{"tid":"VCMDEMODIP0"}}`, -32073},
	} {
		other.say(tt.message)
		hears(t, other, tt.message, failed(tt.code))
	}
	release()
	if m := hears(t, c, "the result", ended); m.Result.TransactionResult != "SUCCESSFUL" {
		t.Errorf("result %q", m.Result.TransactionResult)
	}
	other.say(sale(2, "VCMDEMOSIP0", "GBP"))
	hears(t, other, "the terminal's next result", ended)
}

// TestInTheSameInstant: of two sales on one terminal one runs, the other is
// told that it is busy.
func TestInTheSameInstant(t *testing.T) {
	r, park := openShop(t)
	release := hold(t, park, "VCMDEMOSIP0")
	a, b := r.dial(toPAC), r.dial(toPAC)
	for _, c := range []*till{a, b} {
		go func() { _ = c.Write(t.Context(), websocket.MessageText, []byte(sale(1, "VCMDEMOSIP0", "GBP"))) }()
	}
	first := make(chan bool, 2) // whether it was busy
	for _, c := range []*till{a, b} {
		go func() {
			for {
				text, err := c.hear()
				if err != nil {
					first <- false
					return
				}
				if strings.Contains(text, "-32071") || strings.Contains(text, "PIN_ENTRY") {
					first <- strings.Contains(text, "-32071")
					return
				}
			}
		}()
	}
	if one, two := take(t, first), take(t, first); one == two {
		t.Errorf("both were told the same: busy %v", one)
	}
	release()
}

// TestTillVanishes: the terminal carries on, and another connection learns of
// the outcome.
func TestTillVanishes(t *testing.T) {
	r, park := openShop(t)
	release := hold(t, park, "VCMDEMOSIP0")
	c := r.dial(toPAC)
	c.say(sale(1, "VCMDEMOSIP0", "GBP"))
	hears(t, c, "the PIN", notification("PIN_ENTRY"))
	if err := c.CloseNow(); err != nil {
		t.Fatal(err)
	}
	release()
	other := r.dial(toPAC)
	for {
		other.say(`{"jsonrpc":"2.0","id":3,"method":"duplicate","params":{"tid":"VCMDEMOSIP0"}}`)
		m := hears(t, other, "the duplicate", func(m reply) bool { return m.ID != nil && *m.ID == 3 })
		if m.Error.Code == -32071 {
			continue // it still runs
		}
		if m.Result.TransactionResult != "SUCCESSFUL" {
			t.Errorf("got %+v", m)
		}
		return
	}
}

// TestSecondReply: one answer decides on a signature, the second is told that
// it comes too late.
func TestSecondReply(t *testing.T) {
	r, _ := openShop(t)
	c := r.dial(toPAC)
	c.say(sale(7, "VCMDEMOSIS0", "GBP"))
	hears(t, c, "the signature", notification("SIGNATURE_VERIFICATION_IN_PROGRESS"))
	c.say(`{"jsonrpc":"2.0","id":1,"result":{"accepted":false}}`)
	c.say(`{"jsonrpc":"2.0","id":1,"result":{"accepted":true}}`)
	var result, second bool
	hears(t, c, "the result and the error", func(m reply) bool {
		result = result || m.Result.TransactionResult == "VOID"
		second = second || m.Error.Code == -32075 && m.ID == nil
		return result && second
	})
}

// TestFlood: a till that sends more than its share is told so, message by
// message, and is served again afterwards.
func TestFlood(t *testing.T) {
	r := openReal(t, gateway.Limits{MessagesPerSecond: 1, MessageBurst: 10})
	c := r.dial(toPAC)
	const n = 200
	for range n {
		c.say(`{"jsonrpc":"2.0","id":9,"method":"connectedTerminals"}`)
	}
	served, refused := 0, 0
	for range n {
		text, err := c.hear()
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.Contains(text, "-32603") && strings.Contains(text, "limit reached: 1 messages a second"):
			refused++
		case strings.Contains(text, `"result"`):
			served++
		default:
			t.Fatal(text)
		}
	}
	if served < 10 || refused == 0 || served+refused != n {
		t.Errorf("served %d, refused %d", served, refused)
	}
}
