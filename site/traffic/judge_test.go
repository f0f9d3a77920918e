package traffic

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/spec"
)

// TestExamples: what the contract shows as right has no deviation, and what it
// shows as wrong has one at the place that it names.
func TestExamples(t *testing.T) {
	judge := NewJudge()
	x := spec.Default()
	right, wrong := 0, 0
	for _, msg := range x.Messages() {
		for _, e := range msg.Examples {
			l := &Line{Connection: Connection{Face: string(msg.Side), Version: e.Version}, hub: &Hub{}}
			fromGateway := e.Direction == spec.ToEPOS
			if e.Kind == spec.KindResponse { // somebody asked for it
				s, _ := msg.Schema(e.Version, spec.KindRequest)
				m := newMessage(event{line: l, fromGateway: fromGateway, text: e.Text, size: len(e.Text)})
				m.Answers, m.Method = 1, s.Methods[0]
				if m.Kind != Reply {
					continue
				}
				check(t, judge, m, msg.Name, e, &right, &wrong)
				continue
			}
			m := newMessage(event{line: l, fromGateway: fromGateway, text: e.Text, size: len(e.Text)})
			check(t, judge, m, msg.Name, e, &right, &wrong)
		}
	}
	if right < 50 || wrong < 100 {
		t.Errorf("only %d right and %d wrong examples", right, wrong)
	}
}

func check(t *testing.T, judge *Judge, m *Message, name string, e spec.Example, right, wrong *int) {
	t.Helper()
	v := judge.Judge(m)
	var places []string
	for _, d := range v.Deviations {
		places = append(places, d.Pointer)
		if d.Text == "" || d.Rule == "" || d.Pointer != "" && !strings.HasPrefix(d.Text, d.Pointer+" ") {
			t.Errorf("%s %s: said as %+v", name, e.Name, d)
		}
	}
	switch {
	case e.Valid:
		*right++
		if len(places) > 0 || v.Schema == "" {
			t.Errorf("%s %s is right, found %+v by %q (%s)", name, e.Name, v.Deviations, v.Schema, v.Unjudged)
		}
	case len(places) == 0:
		t.Errorf("%s %s: nothing found, %s breaks %s (%s)", name, e.Name, e.Place, e.Rule, v.Unjudged)
	default:
		*wrong++
		if !slicesContain(places, e.Place) {
			t.Errorf("%s %s: found at %v, want %s", name, e.Name, places, e.Place)
		}
	}
}

func slicesContain(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// TestDeviations: how they are said.
func TestDeviations(t *testing.T) {
	pac := Connection{Number: 1, Site: "demo", Face: FacePAC, Version: "v1"}
	keys := pac
	keys.Extensions = []string{"keys"}
	tests := []struct {
		name string
		conn Connection
		said string
		want string
	}{
		{"right", pac, `> {"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":"T1","currency":"GBP","amount":1250}}`, "v1/CtSR_PerformTransaction_Request.json"},
		{"a string", pac, `> {"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":"T1","currency":"GBP","amount":"1250"}}`, "v1/CtSR_PerformTransaction_Request.json\n/params/amount is a string, must be an integer"},
		{"a fraction", pac, `> {"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":"T1","currency":"GBP","amount":1250.0}}`, "v1/CtSR_PerformTransaction_Request.json\n/params/amount is written 1250.0, must be written without fraction and exponent"},
		{"too much", pac, `> {"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":"T1","currency":"GBP","amount":100000000}}`, "v1/CtSR_PerformTransaction_Request.json\n/params/amount is 100000000, must be at most 99999999"},
		{"a member too many", pac, `> {"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":"T1","currency":"GBP","amount":1250,"orderNumber":7}}`, "v1/CtSR_PerformTransaction_Request.json\n/params/orderNumber is not a member of this message (tolerated)"},
		{"an extension's", pac, `> {"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":"T1","currency":"GBP","amount":1250,"requestKey":"k"}}`, "v1/CtSR_PerformTransaction_Request.json\n/params/requestKey is not a member of this message (tolerated)"},
		{"an extension's, asked for", keys, `> {"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":"T1","currency":"GBP","amount":1250,"requestKey":"k"}}`, "extensions/keys/v1/CtSR_PerformTransaction_Request.json"},
		{"nothing there", pac, `> {"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":"T1","currency":"GBP"}}`, "v1/CtSR_PerformTransaction_Request.json\n/params/amount is required"},
		{"a string for an id", pac, `> {"jsonrpc":"2.0","id":"1","method":"connectedTerminals"}`, "v1/CtSR_connectedTerminals_Request.json\n/id is a string, must be an integer from 0 to 999999"},
		{"an id too large", pac, `> {"jsonrpc":"2.0","id":1000000,"method":"connectedTerminals"}`, "v1/CtSR_connectedTerminals_Request.json\n/id is 1000000, must be an integer from 0 to 999999"},
		{"another case", pac, `> {"jsonrpc":"2.0","id":1,"method":"Sale","params":{}}`, "\n/method is Sale, which /pac v1 does not have; names are case-sensitive: sale"},
		{"the other version's", pac, `> {"jsonrpc":"2.0","id":1,"method":"terminalsDetails","params":{"tpis":["T"]}}`, "\n/method is terminalsDetails, which /pac v1 does not have; /pac v0 does"},
		{"an extension that was not asked for", pac, `> {"jsonrpc":"2.0","id":1,"method":"transactionStatus","params":{"tid":"T"}}`, "\n/method is transactionStatus, which /pac v1 does not have; the extension status does, which this connection did not ask for"},
		{"the gateway's", pac, `> {"jsonrpc":"2.0","method":"terminalNotification","params":{"notificationValue":"PIN_ENTRY","tid":"T"}}`, "\n/method is terminalNotification, which only the gateway sends"},
		{"a batch", pac, `> [{"jsonrpc":"2.0","id":1,"method":"connectedTerminals"}]`, "\nthe message is an array, must be one JSON-RPC object"},
		{"not JSON", pac, `> {"jsonrpc":"2.0",id:1}`, "\nthe message is not JSON, from character 18 on"},
		{"a name twice", pac, `> {"jsonrpc":"2.0","id":1,"id":2,"method":"connectedTerminals"}`, "\nthe message has the name at /id twice"},
		{"nothing", pac, `> {"jsonrpc":"2.0","id":1}`, "\n/method is required, or result or error in an answer"},
		{"an answer to nothing", pac, `> {"jsonrpc":"2.0","id":5,"result":{"accepted":true}}`, "\n/id is 5, which no open request has"},
		{"a card number", pac, `> {"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":"T1","currency":"GBP","amount":1250,"card":"4111 1111 1111 1111"}}`, "v1/CtSR_PerformTransaction_Request.json\n/params/card had a card number, which was masked before it was kept here"},
		{"an error", pac, `< {"jsonrpc":"2.0","id":5,"error":{"code":-32070,"message":"m"}}`, "v1/StCE_ErrorMessage.json"},
	}
	judge := NewJudge()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := open(t, Options{})
			h.Opened(tt.conn).Message(tt.said[0] == '<', []byte(tt.said[2:]))
			m := all(t, h, 2)[1]
			if m.Judged() != nil {
				t.Error("it was judged before anybody asked")
			}
			v := judge.Judge(m)
			got := v.Schema
			for _, d := range v.Deviations {
				got += "\n" + d.Text
				if d.Tolerated {
					got += " (tolerated)"
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(- want):\n%s", diff)
			}
			if m.Judged() != v {
				t.Error("the verdict was not kept")
			}
		})
	}
}

func TestLayout(t *testing.T) {
	const text = `{"jsonrpc":"2.0","params":{"a":[],"b":{},"c":["x, y",1.50],"d":[{"q":"<script>"}]},"amount":"1250"}`
	v := &Verdict{Deviations: []Deviation{{Pointer: "/params/d/0/q"}, {Pointer: "/params/tid"}, {Pointer: "/amount"}, {Pointer: ""}}}
	var got []string
	for _, r := range Layout(text, v) {
		got = append(got, strings.TrimRight(fmt.Sprintf("%d %s|%s %v", r.Depth, r.Pointer, r.Text, r.Marks), " []"))
	}
	want := []string{
		"0 |{ [3", `1 /jsonrpc|"jsonrpc": "2.0",`, `1 /params|"params": { [1`, `2 /params/a|"a": [],`, `2 /params/b|"b": {},`,
		`2 /params/c|"c": ["x, y", 1.50],`, `2 /params/d|"d":`, `3 /params/d/0|{`, `4 /params/d/0/q|"q": "<script>" [0`, "3 |}", "2 |", "1 |},",
		`1 /amount|"amount": "1250" [2`, "0 |}",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(- want):\n%s", diff)
	}
	if got := Layout("not\nJSON", nil); len(got) != 1 || got[0].Text != "not\nJSON" {
		t.Errorf("no JSON: %+v", got)
	}
}
