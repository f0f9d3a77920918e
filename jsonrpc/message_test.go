package jsonrpc

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/creachadair/jrpc2"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

func TestDecode(t *testing.T) {
	raw := func(s string) jsontext.Value { return jsontext.Value(s) }
	for _, tc := range []struct {
		in   string
		want Message
	}{
		{
			`{"jsonrpc":"2.0","id":1,"method":"connectedTerminals"}`,
			Message{Kind: Request, ID: 1, Method: "connectedTerminals"},
		},
		{
			`{"jsonrpc":"2.0","id":0,"method":"sale","params":{"tid":"12345678","amount":1250}}`,
			Message{Kind: Request, ID: 0, Method: "sale", Params: raw(`{"tid":"12345678","amount":1250}`)},
		},
		{ // any order, any white space, escapes
			" {\n\"params\" : { } , \"meth\\u006fd\":\"s\\u0061le\",\t\"id\" : 999999 ,\"jsonrpc\":\"\\u0032.0\"}\r\n",
			Message{Kind: Request, ID: 999999, Method: "sale", Params: raw(`{ }`)},
		},
		{
			`{"jsonrpc":"2.0","method":"terminalNotification","params":{}}`,
			Message{Kind: Notification, ID: NoID, Method: "terminalNotification", Params: raw(`{}`)},
		},
		{
			`{"jsonrpc":"2.0","method":""}`,
			Message{Kind: Notification, ID: NoID},
		},
		{
			`{"jsonrpc":"2.0","id":2,"result":[]}`,
			Message{Kind: Response, ID: 2, Result: raw(`[]`)},
		},
		{
			`{"jsonrpc":"2.0","id":2,"result":null}`,
			Message{Kind: Response, ID: 2, Result: raw(`null`)},
		},
		{
			`{"jsonrpc":"2.0","id":3,"error":{"code":-32071,"message":"Terminal Busy","userMessage":"The card machine is busy.","data":{"a":1}}}`,
			Message{Kind: ErrorResponse, ID: 3, Error: &Error{-32071, "Terminal Busy", "The card machine is busy.", raw(`{"a":1}`)}},
		},
		{
			`{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"}}`,
			Message{Kind: ErrorResponse, ID: NoID, Error: &Error{Code: -32700, Message: "Parse error"}},
		},
		{
			`{"jsonrpc":"2.0","id":1,"method":"sale","x":1,"a/b~c":{"y":2},"JSONRPC":""}`,
			Message{Kind: Request, ID: 1, Method: "sale", Unknown: []string{"/x", "/a~1b~0c", "/JSONRPC"}},
		},
		{
			`{"z":0,"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"","extra":[]}}`,
			Message{Kind: ErrorResponse, ID: 1, Error: &Error{Code: 1}, Unknown: []string{"/z", "/error/extra"}},
		},
	} {
		got, fault := Decode([]byte(tc.in))
		if fault != nil {
			t.Errorf("%s: %v", tc.in, fault)
			continue
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.in, diff)
		}
	}
}

func TestFaults(t *testing.T) {
	deep := strings.Repeat("[", 20000) + strings.Repeat("]", 20000)
	for _, tc := range []struct {
		in      string
		code    int
		id      ID
		pointer string
	}{
		// Not JSON.
		{``, ParseError, NoID, ""},
		{` `, ParseError, NoID, ""},
		{`hello`, ParseError, NoID, ""},
		{`{"jsonrpc":"2.0","id":1,"method":"sale"`, ParseError, NoID, ""},
		{`{"jsonrpc":"2.0","id":1,"method":"sale",}`, ParseError, NoID, ""},
		{`{"jsonrpc":"2.0","id":1,"method":"sale"}}`, ParseError, NoID, ""},
		{`{"jsonrpc":"2.0","id":1,"method":"sale"} {}`, ParseError, NoID, ""},
		{`{"jsonrpc":"2.0","id":1,"method":"sale"} x`, ParseError, NoID, ""},
		{`{"jsonrpc":"2.0","id":01,"method":"sale"}`, ParseError, NoID, ""},
		{`{"jsonrpc":"2.0","id":1,"method":'sale'}`, ParseError, NoID, ""},
		{`{"jsonrpc":"2.0","id":+1,"method":"sale"}`, ParseError, NoID, ""},
		{`{1:2}`, ParseError, NoID, ""},
		{`[1,]`, ParseError, NoID, ""},
		{`[] []`, ParseError, NoID, ""},
		{"\xef\xbb\xbf{}", ParseError, NoID, ""},
		{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}", ParseError, NoID, ""},
		{`{"jsonrpc":"2.0","id":1,"method":"\ud800"}`, ParseError, NoID, ""},
		{deep, ParseError, NoID, ""},
		{`{"id":1,"id":2,`, ParseError, NoID, ""},
		{`{"a":1,"a":2} x`, ParseError, NoID, ""},
		// Not one object.
		{`[]`, InvalidRequest, NoID, ""},
		{`[{"jsonrpc":"2.0","id":1,"method":"sale"}]`, InvalidRequest, NoID, ""},
		{`null`, InvalidRequest, NoID, ""},
		{`1`, InvalidRequest, NoID, ""},
		{`"x"`, InvalidRequest, NoID, ""},
		// A name twice, anywhere.
		{`{"jsonrpc":"2.0","id":1,"id":1,"method":"sale"}`, InvalidRequest, NoID, "/id"},
		{`{"jsonrpc":"2.0","id":1,"method":"sale","params":{"amount":1,"amount":2}}`, InvalidRequest, NoID, "/params/amount"},
		{`{"jsonrpc":"2.0","id":1,"method":"sale","params":{"a":[{"b":1,"\u0062":2}]}}`, InvalidRequest, NoID, "/params/a/0/b"},
		{`[{"a":1,"a":1}]`, InvalidRequest, NoID, "/0/a"},
		// The id.
		{`{"jsonrpc":"2.0","id":"1","method":"sale"}`, InvalidRequest, NoID, "/id"},
		{`{"jsonrpc":"2.0","id":null,"method":"sale"}`, InvalidRequest, NoID, "/id"},
		{`{"jsonrpc":"2.0","id":1.0,"method":"sale"}`, InvalidRequest, NoID, "/id"},
		{`{"jsonrpc":"2.0","id":1.5,"method":"sale"}`, InvalidRequest, NoID, "/id"},
		{`{"jsonrpc":"2.0","id":1e3,"method":"sale"}`, InvalidRequest, NoID, "/id"},
		{`{"jsonrpc":"2.0","id":-1,"method":"sale"}`, InvalidRequest, NoID, "/id"},
		{`{"jsonrpc":"2.0","id":-0,"method":"sale"}`, InvalidRequest, NoID, "/id"},
		{`{"jsonrpc":"2.0","id":1000000,"method":"sale"}`, InvalidRequest, NoID, "/id"},
		{`{"jsonrpc":"2.0","id":4294967296,"method":"sale"}`, InvalidRequest, NoID, "/id"},
		{`{"jsonrpc":"2.0","id":18446744073709551617,"method":"sale"}`, InvalidRequest, NoID, "/id"},
		{`{"jsonrpc":"2.0","id":true,"method":"sale"}`, InvalidRequest, NoID, "/id"},
		{`{"jsonrpc":"2.0","id":{},"method":"sale"}`, InvalidRequest, NoID, "/id"},
		{`{"jsonrpc":"1.0","id":"x","method":"sale"}`, InvalidRequest, NoID, "/id"},
		// The rest of the envelope.
		{`{"id":7,"method":"sale"}`, InvalidRequest, 7, "/jsonrpc"},
		{`{"jsonrpc":"1.0","id":7,"method":"sale"}`, InvalidRequest, 7, "/jsonrpc"},
		{`{"jsonrpc":2.0,"id":7,"method":"sale"}`, InvalidRequest, 7, "/jsonrpc"},
		{`{"jsonrpc":"2.0","id":7,"method":1}`, InvalidRequest, 7, "/method"},
		{`{"jsonrpc":"2.0","id":7,"method":null}`, InvalidRequest, 7, "/method"},
		{`{"jsonrpc":"2.0","id":7}`, InvalidRequest, 7, "/method"},
		{`{"jsonrpc":"2.0","id":7,"params":{}}`, InvalidRequest, 7, "/method"},
		{`{"jsonrpc":"2.0"}`, InvalidRequest, NoID, "/method"},
		{`{}`, InvalidRequest, NoID, "/jsonrpc"},
		{`{"jsonrpc":"2.0","id":7,"Method":"sale"}`, InvalidRequest, 7, "/method"},
		{`{"jsonrpc":"2.0","id":7,"method":"sale","result":{}}`, InvalidRequest, 7, "/result"},
		{`{"jsonrpc":"2.0","id":7,"method":"sale","error":null}`, InvalidRequest, 7, "/error"},
		{`{"jsonrpc":"2.0","id":7,"result":{},"error":null}`, InvalidRequest, 7, "/error"},
		{`{"jsonrpc":"2.0","id":7,"result":{},"params":{}}`, InvalidRequest, 7, "/params"},
		{`{"jsonrpc":"2.0","result":{}}`, InvalidRequest, NoID, "/id"},
		{`{"jsonrpc":"2.0","id":7,"error":null}`, InvalidRequest, 7, "/error"},
		{`{"jsonrpc":"2.0","id":7,"error":[]}`, InvalidRequest, 7, "/error"},
		{`{"jsonrpc":"2.0","id":7,"error":{"message":"m"}}`, InvalidRequest, 7, "/error/code"},
		{`{"jsonrpc":"2.0","id":7,"error":{"code":1}}`, InvalidRequest, 7, "/error/message"},
		{`{"jsonrpc":"2.0","id":7,"error":{"code":1.0,"message":"m"}}`, InvalidRequest, 7, "/error/code"},
		{`{"jsonrpc":"2.0","id":7,"error":{"code":99999999999,"message":"m"}}`, InvalidRequest, 7, "/error/code"},
		{`{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":null}}`, InvalidRequest, 7, "/error/message"},
		{`{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"m","userMessage":1}}`, InvalidRequest, 7, "/error/userMessage"},
		// Params.
		{`{"jsonrpc":"2.0","id":7,"method":"sale","params":[1]}`, InvalidParams, 7, "/params"},
		{`{"jsonrpc":"2.0","id":7,"method":"sale","params":null}`, InvalidParams, 7, "/params"},
		{`{"jsonrpc":"2.0","method":"sale","params":"x"}`, InvalidParams, NoID, "/params"},
	} {
		m, fault := Decode([]byte(tc.in))
		in := tc.in[:min(len(tc.in), 80)]
		if fault == nil {
			t.Errorf("%s: accepted", in)
			continue
		}
		if fault.Code != tc.code || fault.ID != tc.id || fault.Pointer != tc.pointer {
			t.Errorf("%s:\n got %d, id %d, at %q\nwant %d, id %d, at %q", in, fault.Code, fault.ID, fault.Pointer, tc.code, tc.id, tc.pointer)
		}
		if m.Kind != Invalid {
			t.Errorf("%s: kind %d beside a fault", in, m.Kind)
		}
		if !strings.Contains(fault.Message, fault.Pointer+" "+fault.Rule) && fault.Pointer != "" || fault.Rule == "" {
			t.Errorf("%s: message %q, rule %q", in, fault.Message, fault.Rule)
		}
		if fault.Reply().Code != tc.code || fault.Reply().Message != fault.Error() {
			t.Errorf("%s: reply %v", in, fault.Reply())
		}
	}
}

func TestFaultMessages(t *testing.T) {
	for in, want := range map[string]string{
		`{"jsonrpc":"2.0","id":"x","method":"sale"}`: "Invalid Request: /id must be an integer from 0 to 999999",
		`[]`:                "Invalid Request: a message is one object",
		`{"jsonrpc":"2.0",`: "Parse error: not JSON at byte 17",
		`{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":{"b":0,"b":0}}}`:  "Invalid Request: /params/a/b occurs twice",
		`{"jsonrpc":"2.0","id":1,"method":"m","params":[]}`:                   "Invalid params: /params must be an object",
		`{"jsonrpc":"2.0","id":1,"method":"m"} {"jsonrpc":"2.0","method":""}`: "Parse error: not JSON at byte 37",
	} {
		if _, fault := Decode([]byte(in)); fault == nil || fault.Message != want {
			t.Errorf("%s:\n got %v\nwant %s", in, fault, want)
		}
	}
}

func TestUnknownMembersAreBounded(t *testing.T) {
	var extra strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&extra, `,"x%d":0`, i)
	}
	m, fault := Decode([]byte(`{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""` + extra.String() + `}` + extra.String() + `}`))
	if fault != nil || len(m.Unknown) != 2*MaxUnknown || m.Unknown[MaxUnknown] != "/error/x0" {
		t.Errorf("%v, %d listed", fault, len(m.Unknown))
	}
}

// On a socket where an error about an answer must not bear the answer's id, the
// fault has to say what it is about.
func TestFaultySideIsKnown(t *testing.T) {
	for in, want := range map[string]bool{
		`{"jsonrpc":"1.0","id":5,"result":{}}`:            true,
		`{"jsonrpc":"2.0","id":"5","result":{}}`:          true,
		`{"jsonrpc":"2.0","id":5,"result":{},"error":{}}`: true,
		`{"jsonrpc":"2.0","id":5,"error":{}}`:             true,
		`{"jsonrpc":"1.0","id":5,"method":"sale"}`:        false,
		`{"jsonrpc":"2.0","id":5}`:                        false,
		`{"jsonrpc":"2.0","id":5,"method":1,"result":{}}`: false,
	} {
		if _, fault := Decode([]byte(in)); fault == nil || fault.Answer != want {
			t.Errorf("%s: %+v, want Answer %v", in, fault, want)
		}
	}
}

// encode is a decoded message as bytes again.
func encode(m Message) ([]byte, error) {
	switch m.Kind {
	case Request:
		return AppendRequest(nil, m.ID, m.Method, m.Params)
	case Notification:
		return AppendNotification(nil, m.Method, m.Params)
	case Response:
		return AppendResult(nil, m.ID, m.Result)
	case ErrorResponse:
		return AppendError(nil, m.ID, m.Error)
	case Invalid:
	}
	return nil, fmt.Errorf("kind %d", m.Kind)
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":"12345678","amount":1250}}`,
		`{"jsonrpc":"2.0","method":"n"}`, `{"jsonrpc":"2.0","id":2,"result":[{"a":null}]}`,
		`{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error","userMessage":"u","data":[1]}}`,
		`[]`, `{"a":1,"a":2}`, `{"jsonrpc":"2.0","id":1e3}`, `{"jsonrpc":"2.0","id":1} x`, `{"jsonrpc":"2.0","id":-0,"x":{}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		was := string(in)
		m, fault := Decode(in)
		if string(in) != was {
			t.Fatal("Decode changed its input")
		}
		if (fault == nil) != (m.Kind != Invalid) {
			t.Fatalf("fault %v beside kind %d", fault, m.Kind)
		}
		if fault != nil {
			if fault.ID != NoID && (fault.ID < 0 || fault.ID > MaxID) {
				t.Fatalf("fault with id %d", fault.ID)
			}
			if (fault.Code == ParseError) == jsontext.Value(in).IsValid(jsontext.AllowDuplicateNames(true)) {
				t.Fatalf("%v for %q", fault, in)
			}
			if _, err := AppendError(nil, fault.ID, fault.Reply()); err != nil {
				t.Fatalf("the fault cannot be sent: %v", err)
			}
			return
		}
		out, err := encode(m)
		if err != nil {
			t.Fatal(err)
		}
		again, fault := Decode(out)
		if fault != nil {
			t.Fatalf("%s became %s: %v", in, out, fault)
		}
		m.Unknown = nil
		if m.Error != nil && m.Error.Data != nil {
			// Marshalling may rewrite the white space of data.
			if err := errors.Join(m.Error.Data.Compact(), again.Error.Data.Compact()); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(m, again); diff != "" {
			t.Fatalf("%s became %s:\n%s", in, out, diff)
		}
	})
}

func TestEncode(t *testing.T) {
	type params struct {
		TID  string `json:"tid"`
		Text string `json:"text,omitzero"`
	}
	must := func(b []byte, err error) string {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
		return string(b)
	}
	for _, tc := range []struct{ got, want string }{
		{
			must(AppendRequest([]byte("> "), 1, "terminalDetails", params{TID: "12345678"})),
			`> {"jsonrpc":"2.0","id":1,"method":"terminalDetails","params":{"tid":"12345678"}}`,
		},
		{must(AppendRequest(nil, 0, "m", nil)), `{"jsonrpc":"2.0","id":0,"method":"m"}`},
		{must(AppendRequest(nil, 0, "m", jsontext.Value(nil))), `{"jsonrpc":"2.0","id":0,"method":"m"}`},
		{must(AppendRequest(nil, 0, "m", jsontext.Value(`{"a": 1}`))), `{"jsonrpc":"2.0","id":0,"method":"m","params":{"a": 1}}`},
		{
			must(AppendNotification(nil, "n", params{Text: "<b>&\u2028\"\n"})),
			`{"jsonrpc":"2.0","method":"n","params":{"tid":"","text":"<b>&` + "\u2028" + `\"\n"}}`,
		},
		{must(AppendResult(nil, 999999, []params{})), `{"jsonrpc":"2.0","id":999999,"result":[]}`},
		{must(AppendResult(nil, 2, nil)), `{"jsonrpc":"2.0","id":2,"result":null}`},
		{
			must(AppendError(nil, 21, &Error{Code: InvalidParams, Message: "Invalid params: /params/amount is required"})),
			`{"jsonrpc":"2.0","id":21,"error":{"code":-32602,"message":"Invalid params: /params/amount is required"}}`,
		},
		{
			must(AppendError(nil, NoID, &Error{Code: -32071, Message: "Terminal Busy", UserMessage: "u", Data: jsontext.Value(`{}`)})),
			`{"jsonrpc":"2.0","error":{"code":-32071,"message":"Terminal Busy","userMessage":"u","data":{}}}`,
		},
	} {
		if tc.got != tc.want {
			t.Errorf("got  %s\nwant %s", tc.got, tc.want)
		}
	}
	if b, err := AppendRequest([]byte("keep"), 1, "m", func() {}); err == nil || string(b) != "keep" {
		t.Errorf("a func was encoded: %q, %v", b, err)
	}
	if _, err := AppendRequest(nil, 1, "\xff", nil); err == nil {
		t.Error("a method that is no UTF-8 was encoded")
	}
	if _, err := AppendError(nil, 1, &Error{Data: jsontext.Value(`{`)}); err == nil {
		t.Error("data that is no JSON was encoded")
	}
}

func TestErrorsCompareByCode(t *testing.T) {
	busy := &Error{Code: -32071, Message: "Terminal Busy", UserMessage: "The card machine is busy."}
	wrapped := fmt.Errorf("sale: %w", busy)
	if !errors.Is(wrapped, &Error{Code: -32071}) || errors.Is(wrapped, &Error{Code: -32070, Message: busy.Message}) {
		t.Error("errors.Is does not compare by code")
	}
	if want := "Terminal Busy (-32071): The card machine is busy."; busy.Error() != want {
		t.Errorf("got %q", busy.Error())
	}
}

// What we write, an independent implementation reads the same.
func TestRequestsByOracle(t *testing.T) {
	for _, m := range []Message{
		{Kind: Request, ID: 0, Method: "a"},
		{Kind: Request, ID: MaxID, Method: "\u20ac \"quoted\"", Params: jsontext.Value(`{"a":[1,2,{"b":null}]}`)},
		{Kind: Notification, ID: NoID, Method: "n", Params: jsontext.Value(`{}`)},
		{Kind: Notification, ID: NoID, Method: "n"},
	} {
		b, err := encode(m)
		if err != nil {
			t.Fatal(err)
		}
		reqs, err := jrpc2.ParseRequests(b)
		if err != nil || len(reqs) != 1 || reqs[0].Error != nil || reqs[0].Batch {
			t.Fatalf("%s: %+v, %v", b, reqs, err)
		}
		id := ""
		if m.ID != NoID {
			id = fmt.Sprint(m.ID)
		}
		if r := reqs[0]; r.ID != id || r.Method != m.Method || string(r.Params) != string(m.Params) {
			t.Errorf("%s was read as %+v", b, r)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	in := []byte(`{"jsonrpc":"2.0","id":21,"method":"sale","params":{"tid":"12345678","currency":"GBP","amount":1250}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, fault := Decode(in); fault != nil {
			b.Fatal(fault)
		}
	}
}

func BenchmarkAppendNotification(b *testing.B) {
	type params struct {
		TID          string `json:"tid"`
		Notification string `json:"notification"`
	}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if dst, err = AppendNotification(dst[:0], "terminalNotification", &params{"12345678", "PRESENT_CARD"}); err != nil {
			b.Fatal(err)
		}
	}
}
