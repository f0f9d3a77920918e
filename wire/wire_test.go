package wire

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/spec/schema"
)

// envelope is what stands around the params and results that are tested here.
type envelope struct {
	Method string         `json:"method"`
	Params jsontext.Value `json:"params"`
	Result jsontext.Value `json:"result"`
}

func open(t *testing.T, text []byte) envelope {
	t.Helper()
	var e envelope
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func version(t *testing.T, s string) Version {
	t.Helper()
	v, ok := ParseVersion(s)
	if !ok {
		t.Fatalf("no version %q", s)
	}
	return v
}

// decodeFromTill decodes what a till sent under the name of its message. The
// message that it returns encodes it again.
func decodeFromTill(v Version, name string, e envelope) (Message, []Deviation, *Fault) {
	switch name := strings.TrimPrefix(name, "resume/"); name {
	case "connectedTerminals":
		return decoded(DecodeConnectedTerminals(v, e.Params))
	case "terminalDetails":
		return decoded(DecodeTerminalDetails(v, e.Params))
	case "performTransaction":
		return decoded(DecodePerformTransaction(v, e.Method, e.Params))
	case "cancelTransaction":
		return decoded(DecodeCancelTransaction(v, e.Params))
	case "duplicate":
		return decoded(DecodeDuplicate(v, e.Params))
	case "report":
		return decoded(DecodeReport(v, e.Params))
	case "verifySignature":
		accepted, devs, fault := DecodeVerifySignatureResponse(e.Result)
		return decoded(VerifySignatureResponse{accepted}, devs, fault)
	case "tableList":
		return decoded(DecodeTableListResult(v, e.Result))
	case "tableLock":
		return decoded(DecodeTableLockResult(v, e.Result))
	case "posReceipt", "finalPOSReceipt":
		return decoded(DecodePOSReceiptResult(v, e.Result))
	case "keys/performTransaction":
		return decoded(DecodeKeyedTransaction(v, e.Method, e.Params))
	case "keys/report":
		return decoded(DecodeKeyedReport(v, e.Params))
	case "status/transactionStatus":
		return decoded(DecodeTransactionStatus(v, e.Params))
	case "acks/transactionResponse", "acks/tableUnlock", "acks/reportResponse":
		yes, devs, fault := DecodeRecorded(v, e.Result)
		return decoded(Recorded(yes), devs, fault)
	}
	panic("no decoder for " + name)
}

func decoded[M Message](m M, devs []Deviation, fault *Fault) (Message, []Deviation, *Fault) {
	return m, devs, fault
}

// decodeFromGateway decodes what the gateway sent.
func decodeFromGateway(v Version, name string, e envelope) (Message, error) {
	switch name := strings.TrimPrefix(strings.TrimPrefix(name, "acks/"), "resume/"); name {
	case "status/transactionStatus":
		return read(DecodeTransactionStatusResult(e.Result))
	case "late/transactionCorrected":
		return read(DecodeTransactionCorrected(e.Params))
	case "connectedTerminals":
		return read(DecodeTerminals(e.Result))
	case "terminalDetails":
		if v == V0 {
			return read(DecodeTerminals(e.Result))
		}
		return read(DecodeTerminal(e.Result))
	case "performTransaction", "duplicate":
		return read(DecodePayment(e.Result))
	case "cancelTransaction":
		return read(DecodeCancelResult(e.Result))
	case "report":
		return read(DecodeReportResult(e.Result))
	case "verifySignature":
		return read(DecodeVerifySignature(e.Params))
	case "terminalNotification":
		return read(DecodeTerminalNotification(e.Params))
	case "tableList":
		return read(DecodeTableList(e.Params))
	case "tableLock":
		return read(DecodeTableLock(e.Params))
	case "posReceipt":
		return read(DecodePOSReceipt(e.Params))
	case "finalPOSReceipt":
		return read(DecodeFinalPOSReceipt(e.Params))
	case "transactionResponse":
		return read(DecodeTransactionResponse(e.Params))
	case "tableUnlock":
		return read(DecodeTableUnlock(e.Params))
	case "reportResponse":
		return read(DecodeReportResponse(e.Params))
	}
	panic("no decoder for " + name)
}

func read[M Message](m M, err error) (Message, error) { return m, err }

// messages are those of the contract and those of its extensions, which have the
// extension's name before their own.
func messages() []spec.Message {
	all := spec.Default().Messages()
	for _, e := range spec.Default().Extensions() {
		for _, m := range e.Messages {
			m.Name = e.Name + "/" + m.Name
			all = append(all, m)
		}
	}
	return all
}

// examples calls f for each example of a direction that is about params or
// result; the envelope is another package's.
func examples(t *testing.T, d spec.Direction, f func(*testing.T, spec.Message, spec.Example)) {
	for _, m := range messages() {
		if m.Kind == spec.KindError || m.Name == "resume/streamGap" { // which is an error too
			continue
		}
		for _, e := range m.Examples {
			ours := e.Valid || strings.HasPrefix(e.Place, "/params") || strings.HasPrefix(e.Place, "/result")
			if e.Direction == d && ours {
				t.Run(m.Name+"/"+e.Name, func(t *testing.T) { f(t, m, e) })
			}
		}
	}
}

func TestExamplesFromTills(t *testing.T) {
	check, err := schema.New(spec.Default())
	if err != nil {
		t.Fatal(err)
	}
	examples(t, spec.ToConnect, func(t *testing.T, m spec.Message, e spec.Example) {
		v, env := version(t, e.Version), open(t, e.Text)
		got, devs, fault := decodeFromTill(v, m.Name, env)
		if fault == nil && len(devs) > 0 {
			fault = devs[0].Fault()
		}
		if !e.Valid {
			if fault == nil {
				t.Fatalf("accepted, want a fault at %s by %s", e.Place, e.Rule)
			}
			if fault.Pointer != e.Place || fault.Rule != e.Rule {
				t.Errorf("got %s by %s, want %s by %s", fault.Pointer, fault.Rule, e.Place, e.Rule)
			}
			return
		}
		if fault != nil {
			t.Fatalf("refused: %v", fault)
		}
		again := Encode(v, got)
		field := &env.Params
		if env.Result != nil {
			field = &env.Result
		}
		*field = again
		back, devs, fault := decodeFromTill(v, m.Name, env)
		if fault != nil || len(devs) > 0 {
			t.Fatalf("what was encoded is refused: %v %v: %s", fault, devs, again)
		}
		if diff := cmp.Diff(got, back); diff != "" {
			t.Errorf("encoded and decoded again (-first +second):\n%s", diff)
		}
		text := replaced(t, e.Text, again)
		s, _ := m.Schema(e.Version, e.Kind)
		if faults, err := check.Check(s.Folder, s.File, text); err != nil || len(faults) > 0 {
			t.Errorf("what was encoded does not fit its schema: %v %v", faults, err)
		}
	})
}

// replaced puts value in the place of the params or the result of a message.
func replaced(t *testing.T, text []byte, value jsontext.Value) []byte {
	t.Helper()
	var members map[string]jsontext.Value
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	name := "params"
	if _, ok := members["result"]; ok {
		name = "result"
	}
	members[name] = value
	out, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// What the gateway sends is written again byte for byte.
func TestExamplesFromTheGateway(t *testing.T) {
	examples(t, spec.ToEPOS, func(t *testing.T, m spec.Message, e spec.Example) {
		if !e.Valid {
			return
		}
		v, env := version(t, e.Version), open(t, e.Text)
		got, err := decodeFromGateway(v, m.Name, env)
		if err != nil {
			t.Fatal(err)
		}
		want := env.Result
		if want == nil {
			want = env.Params
		}
		if err := want.Compact(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(Encode(v, got))); diff != "" {
			t.Errorf("(-example +encoded)\n%s", diff)
		}
	})
}

// The error examples show the wording of what is refused here.
func TestErrorExamples(t *testing.T) {
	for _, side := range []spec.Side{spec.PAC, spec.PAT} {
		m, _ := spec.Default().Message(side, "errorMessage")
		seen := 0
		for _, pair := range m.Errors {
			var e struct {
				Error struct {
					Code    int    `json:"code"`
					Message string `json:"message"`
				} `json:"error"`
			}
			if err := json.Unmarshal(pair.ErrorToEPOS, &e); err != nil {
				t.Fatal(err)
			}
			if e.Error.Code != spec.CodeInvalidParams {
				continue
			}
			seen++
			_, _, fault := decodeFromTill(V1, pair.Message, open(t, []byte(pair.ToConnect)))
			if fault == nil || fault.Message() != e.Error.Message {
				t.Errorf("%s: got %v, want %q", pair.Name, fault, e.Error.Message)
			}
		}
		if seen == 0 {
			t.Errorf("%s: no example of invalid params", side)
		}
	}
}

func TestWordingsShareTheirBeginning(t *testing.T) {
	for _, wording := range []string{
		spec.MessageRequired, spec.MessageWrongType, spec.MessageBelowMinimum, spec.MessageAboveMaximum, spec.MessageNotAllowed,
	} {
		if !strings.HasPrefix(wording, invalidParams+"{pointer}") {
			t.Errorf("%q does not begin with %q and the pointer", wording, invalidParams)
		}
	}
}

func TestFaults(t *testing.T) {
	const head = `{"tid":"12345678","currency":"GBP",`
	for _, test := range []struct {
		name, version, method, params string
		pointer, rule, text           string
	}{
		{"no params", "v1", "sale", ``, "/params", "required", "/params is required"},
		{"null", "v1", "sale", `null`, "/params", "type", "/params must be an object"},
		{"by position", "v1", "sale", `["12345678"]`, "/params", "type", "/params must be an object"},
		{"not JSON", "v1", "sale", `{"tid"`, "/params", "type", "/params must be an object"},
		{"duplicate name", "v1", "sale", head + `"amount":1,"amount":2}`, "/params", "type", "/params must be an object"},
		{"nothing", "v1", "sale", `{}`, "/params/tid", "required", "/params/tid is required"},
		{"wrong case", "v1", "sale", head + `"Amount":1}`, "/params/amount", "required", "/params/amount is required"},
		{"null member", "v1", "sale", head + `"amount":null}`, "/params/amount", "type", "/params/amount must be an integer"},
		{"fraction", "v1", "sale", head + `"amount":1250.0}`, "/params/amount", "type", "/params/amount must be an integer"},
		{"exponent", "v1", "sale", head + `"amount":1e3}`, "/params/amount", "type", "/params/amount must be an integer"},
		{"string", "v1", "sale", head + `"amount":"1250"}`, "/params/amount", "type", "/params/amount must be an integer"},
		{"zero", "v1", "sale", head + `"amount":-0}`, "/params/amount", "minimum", "/params/amount must be at least 1"},
		{"too much", "v1", "sale", head + `"amount":100000000}`, "/params/amount", "maximum", "/params/amount must be at most 99999999"},
		{"beyond int64", "v1", "sale", head + `"amount":99999999999999999999999}`, "/params/amount", "maximum", "/params/amount must be at most 99999999"},
		{"below int64", "v1", "sale", head + `"amount":-99999999999999999999999}`, "/params/amount", "minimum", "/params/amount must be at least 1"},
		{"sum", "v1", "sale", head + `"amount":99999999,"amountCashback":1}`, "/params/amount", "maximum", "/params/amount must be at most 99999999 together with amountCashback"},
		{"currency", "v1", "sale", `{"tid":"1","currency":"USD","amount":1}`, "/params/currency", "enum", "/params/currency must be GBP or EUR"},
		{"the first fault", "v1", "sale", `{"tid":7,"currency":"USD"}`, "/params/tid", "type", "/params/tid must be a string"},
		{"cashback outside a sale", "v1", "refund", head + `"amount":1,"amountCashback":1}`, "/params/amountCashback", "maximum", "/params/amountCashback must be at most 0"},
		{"authCode empty", "v1", "completion", head + `"amount":1,"authCode":""}`, "/params/authCode", "minLength", "/params/authCode must be a string of 1 to 16 characters"},
		{"authCode long", "v1", "completion", head + `"amount":1,"authCode":"éééééééééééééééé!"}`, "/params/authCode", "maxLength", "/params/authCode must be a string of 1 to 16 characters"},
		{"boolean", "v1", "sale", head + `"amount":1,"cardholderNotPresent":0}`, "/params/cardholderNotPresent", "type", "/params/cardholderNotPresent must be true or false"},
		{"tid in v0", "v0", "sale", head + `"amount":1}`, "/params/tpi", "required", "/params/tpi is required"},
		{"v0 cashback", "v0", "sale", `{"tpi":"1","currency":"GBP","amount":1,"amountCashback":1}`, "/params/amountCashback", "additionalProperties", "/params/amountCashback is not allowed here"},
		{"v0 cashback as a string", "v0", "sale", `{"tpi":"1","currency":"GBP","amount":1,"amountCashback":"0"}`, "/params/amountCashback", "additionalProperties", "/params/amountCashback is not allowed here"},
		{"v0 not present", "v0", "refund", `{"tpi":"1","currency":"GBP","amount":1,"cardholderNotPresent":true}`, "/params/cardholderNotPresent", "additionalProperties", "/params/cardholderNotPresent is not allowed here"},
		{"v0 preAuth", "v0", "preAuth", `{"tpi":"1","currency":"GBP","amount":1}`, "/method", "enum", "/method must be a kind of transaction"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var params jsontext.Value
			if test.params != "" {
				params = jsontext.Value(test.params)
			}
			r, devs, fault := DecodePerformTransaction(version(t, test.version), test.method, params)
			want := &Fault{Pointer: test.pointer, Rule: test.rule, Text: test.text}
			if diff := cmp.Diff(want, fault); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if r != (PerformTransactionRequest{}) || devs != nil {
				t.Errorf("got %+v and %v beside the fault", r, devs)
			}
		})
	}
}

func TestFaultsInLists(t *testing.T) {
	for _, test := range []struct {
		name, message, params string
		pointer, rule, text   string
	}{
		{"capabilities", "connectedTerminals", `{"capabilities":{}}`, "/params/capabilities", "type", "/params/capabilities must be an array"},
		{"capability", "connectedTerminals", `{"capabilities":["SALE",1]}`, "/params/capabilities/1", "type", "/params/capabilities/1 must be a string"},
		{"tpis", "terminalDetails", `{}`, "/params/tpis", "required", "/params/tpis is required"},
		{"tpi", "terminalDetails", `{"tpis":["1",null]}`, "/params/tpis/1", "type", "/params/tpis/1 must be a string"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, _, fault := decodeFromTill(V0, test.message, envelope{Params: jsontext.Value(test.params)})
			if diff := cmp.Diff(&Fault{test.pointer, test.rule, test.text}, fault); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestDeviations(t *testing.T) {
	const v0 = `{"tpi":"1","currency":"GBP","amount":1`
	for _, test := range []struct {
		name, message, version, method, value string
		want                                  []string // pointer and rule
	}{
		{"none", "performTransaction", "v1", "sale", `{"tid":"1","currency":"GBP","amount":1,"authCode":"","cardholderNotPresent":false,"amountCashback":0}`, nil},
		{"sorted by name", "duplicate", "v1", "duplicate", `{"z":1,"tid":"1","a/b~":{"c":[]}}`, []string{"/params/a~1b~0 additionalProperties", "/params/z additionalProperties"}},
		{"v1 members in v0", "performTransaction", "v0", "refund", v0 + `,"amountCashback":0,"cardholderNotPresent":false,"authCode":"x"}`, []string{
			"/params/amountCashback additionalProperties", "/params/authCode additionalProperties", "/params/cardholderNotPresent additionalProperties",
		}},
		{"capabilities in v1", "connectedTerminals", "v1", "connectedTerminals", `{"capabilities":7}`, []string{"/params/capabilities additionalProperties"}},
		{"a word for a boolean", "verifySignature", "v1", "", `{"accepted":"false","x":1}`, []string{"/result/accepted type", "/result/x additionalProperties"}},
		{"a card number as a name", "report", "v1", "reportXBalance", `{"tid":"1","4111 1111 1111 1111":1}`, []string{"/params/**** **** **** 1111 additionalProperties"}},
		{"a long name", "report", "v1", "reportXBalance", `{"tid":"1","x` + strings.Repeat("é", 40) + `":1}`, []string{"/params/x" + strings.Repeat("é", 31) + "… additionalProperties"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			env := envelope{Method: test.method, Params: jsontext.Value(test.value), Result: jsontext.Value(test.value)}
			_, devs, fault := decodeFromTill(version(t, test.version), test.message, env)
			if fault != nil {
				t.Fatal(fault)
			}
			var got []string
			for _, d := range devs {
				got = append(got, d.Pointer+" "+d.Rule)
				if f := d.Fault(); *f != Fault(d) || !strings.HasPrefix(f.Error(), d.Pointer+" ") {
					t.Errorf("as a fault: %+v", f)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestDeviationsAreBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"tid":"1"`)
	for i := range 3 * maxDeviations {
		b.WriteString(`,"m` + strings.Repeat("m", i) + `":0`)
	}
	_, devs, fault := DecodeDuplicate(V1, jsontext.Value(b.String()+"}"))
	if fault != nil || len(devs) != maxDeviations {
		t.Errorf("got %d deviations and %v, want %d", len(devs), fault, maxDeviations)
	}
}

// A member that is taken but not used leaves no trace in what was decoded.
func TestPerformTransactionKeepsWhatIsUsed(t *testing.T) {
	const all = `"tid":"1","currency":"EUR","cardholderNotPresent":true,"authCode":"A1"`
	id := TerminalID{TID: "1"}
	for method, test := range map[string]struct {
		params string
		want   PerformTransactionRequest
	}{
		MethodSale:                {`{` + all + `,"amount":5,"amountCashback":10000}`, PerformTransactionRequest{TerminalID: id, Currency: money.EUR, Amount: 5, AmountCashback: 10000, CardholderNotPresent: true}},
		MethodRefund:              {`{` + all + `,"amount":5}`, PerformTransactionRequest{TerminalID: id, Currency: money.EUR, Amount: 5, CardholderNotPresent: true}},
		MethodPreAuth:             {`{` + all + `,"amount":5}`, PerformTransactionRequest{TerminalID: id, Currency: money.EUR, Amount: 5}},
		MethodCompletion:          {`{` + all + `,"amount":5,"amountPreAuthorisedTotal":7}`, PerformTransactionRequest{TerminalID: id, Currency: money.EUR, Amount: 5, AuthCode: "A1", AmountPreAuthorisedTotal: 7}},
		MethodAccountVerification: {`{` + all + `,"amount":5}`, PerformTransactionRequest{TerminalID: id, Currency: money.EUR}},
	} {
		got, devs, fault := DecodePerformTransaction(V1, method, jsontext.Value(test.params))
		if fault != nil || devs != nil {
			t.Errorf("%s: %v %v", method, fault, devs)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", method, diff)
		}
	}
}

func TestAcceptedAsAWord(t *testing.T) {
	for text, want := range map[string]bool{`"true"`: true, `"false"`: false, `true`: true, `false`: false} {
		got, _, fault := DecodeVerifySignatureResponse(jsontext.Value(`{"accepted":` + text + `}`))
		if fault != nil || got != want {
			t.Errorf("%s: got %v, %v", text, got, fault)
		}
	}
	for _, text := range []string{`"True"`, `"yes"`, `1`, `null`, `""`} {
		got, _, fault := DecodeVerifySignatureResponse(jsontext.Value(`{"accepted":` + text + `}`))
		if fault == nil || fault.Rule != RuleType || got {
			t.Errorf("%s: got %v, %v", text, got, fault)
		}
	}
}

func TestVersions(t *testing.T) {
	for s, want := range map[string]Version{"": V0, "v0": V0, "v1": V1} {
		if v, ok := ParseVersion(s); !ok || v != want {
			t.Errorf("%q: got %v, %v", s, v, ok)
		}
		if s != "" && want.String() != s {
			t.Errorf("%v is written %q", want, want.String())
		}
	}
	for _, s := range []string{"V1", "1", "v2", " v1"} {
		if v, ok := ParseVersion(s); ok {
			t.Errorf("%q is taken for %v", s, v)
		}
	}
}

func TestEncodeByVersion(t *testing.T) {
	terminal := Terminal{TerminalID: TerminalID{TID: "1"}, Currency: money.GBP, Status: StatusBusy, Capabilities: []string{CapabilitySale}}
	for _, test := range []struct {
		name   string
		m      Message
		v1, v0 string
	}{
		{
			"terminal", terminal,
			`{"tid":"1","currency":"GBP","status":"BUSY"}`, `{"tpi":"1","currency":"GBP","status":"BUSY","capabilities":["SALE"]}`,
		},
		{
			"terminals",
			Terminals{terminal},
			`[{"tid":"1","currency":"GBP","status":"BUSY"}]`, `[{"tpi":"1","currency":"GBP","status":"BUSY","capabilities":["SALE"]}]`,
		},
		{"no terminals", Terminals(nil), `[]`, `[]`},
		{"cancelled", CancelResult{true}, `{"cancelling":true}`, `{"cancelled":true}`},
		{"not cancelled", CancelResult{false}, `{"cancelling":false}`, `{"cancelled":false}`},
		{"details", TerminalDetailsRequest{[]string{"1"}}, `{"tid":"1"}`, `{"tpis":["1"]}`},
		{
			"filter",
			ConnectedTerminalsRequest{Status: StatusAvailable, Capabilities: []string{CapabilitySale}},
			`{"status":"AVAILABLE"}`, `{"status":"AVAILABLE","capabilities":["SALE"]}`,
		},
		{
			"an empty report",
			ReportResult{TerminalID: TerminalID{TID: "1"}},
			`{"tid":"1","reportType":"","reportTime":"","reportResult":"","balances":{},"banking":{},"reportLines":[]}`,
			`{"tpi":"1","reportType":"","reportTime":"","reportResult":"","balances":{},"banking":{},"reportLines":[]}`,
		},
	} {
		if got := string(Encode(V1, test.m)); got != test.v1 {
			t.Errorf("%s in v1: got %s", test.name, got)
		}
		if got := string(Encode(V0, test.m)); got != test.v0 {
			t.Errorf("%s in v0: got %s", test.name, got)
		}
	}
}

func TestAnEmptyPaymentHasAllFields(t *testing.T) {
	p := Payment{TerminalID: TerminalID{TID: "1"}, CardholderVerificationMethod: "UNKNOWN"}
	for v, cvm := range map[Version]string{V0: "NONE", V1: "UNKNOWN"} {
		var got map[string]any
		if err := json.Unmarshal(Encode(v, p), &got); err != nil {
			t.Fatal(err)
		}
		if len(got) != 22 {
			t.Errorf("%v: %d fields: %v", v, len(got), got)
		}
		if got["cardholderVerificationMethod"] != cvm {
			t.Errorf("%v: got %v, want %s", v, got["cardholderVerificationMethod"], cvm)
		}
	}
}

// Whatever a terminal has put into it, a result can be written.
func TestEncodeNeverFails(t *testing.T) {
	r := ReportResult{
		TerminalID:  TerminalID{TID: "1\xff"},
		Banking:     map[string]AcquirerTotals{"b\xff": {}, "b\xfe": {}, "a": {}},
		ReportLines: Lines([]receipt.Line{{Type: receipt.Text, Value: "caf\xe9\u2028<"}}),
	}
	first := Encode(V1, r)
	if !strings.Contains(string(first), "{\"type\":\"TEXT\",\"format\":[],\"value\":\"caf\uFFFD\u2028<\"}") {
		t.Errorf("got %s", first)
	}
	if a, b := strings.Index(string(first), `"a":`), strings.Index(string(first), "\"b\uFFFD\":"); a < 0 || a > b {
		t.Errorf("names are not sorted: %s", first)
	}
}

func TestMethods(t *testing.T) {
	for _, v := range []Version{V0, V1} {
		var want []string
		for _, m := range spec.Default().Messages() {
			if s, ok := m.Schema(v.String(), spec.KindRequest); ok && m.Side == spec.PAC && m.Direction == spec.ToConnect {
				want = append(want, s.Methods...)
			}
		}
		if diff := cmp.Diff(want, Methods(v)); diff != "" {
			t.Errorf("%v (-schemas +Methods)\n%s", v, diff)
		}
	}
	for _, m := range Methods(V1) {
		kind, isTransaction := TransactionType(V1, m)
		report, isReport := ReportType(m)
		if back, ok := TransactionMethod(kind); ok != isTransaction || ok && back != m {
			t.Errorf("%s is %q, which is asked for by %q", m, kind, back)
		}
		if back, ok := ReportMethod(report); ok != isReport || ok && back != m {
			t.Errorf("%s is %q, which is asked for by %q", m, report, back)
		}
		_, inV0 := TransactionType(V0, m)
		if want := m == MethodSale || m == MethodRefund; inV0 != want {
			t.Errorf("%s in v0: %v", m, inV0)
		}
	}
}

// The messages the other way have the methods of their schemas, too.
func TestMethodsToTills(t *testing.T) {
	for method, name := range map[string]string{MethodVerifySignature: "verifySignature", MethodTerminalNotification: "terminalNotification"} {
		if m, ok := spec.Default().ByMethod(spec.PAC, spec.V1, method); !ok || m.Name != name {
			t.Errorf("%s belongs to %q", method, m.Name)
		}
	}
}

func TestWhatCannotBeRead(t *testing.T) {
	for _, text := range []string{``, `null`, `"x"`, `[1]`, `{"tid":`, `{"tid":1,"notificationValue":1,"timeout":"x","currency":2,"amountTotal":12.5,"reportType":0,"cancelling":"x","cancelled":"","waiterId":3}`} {
		for _, name := range []string{
			"connectedTerminals", "terminalDetails", "performTransaction", "cancelTransaction", "report", "verifySignature", "terminalNotification",
			"tableList", "tableLock", "posReceipt", "finalPOSReceipt", "transactionResponse", "tableUnlock", "reportResponse",
		} {
			value := jsontext.Value(text)
			_, err := decodeFromGateway(V1, name, envelope{Params: value, Result: value})
			if err == nil {
				t.Errorf("%s: %s was read", name, text)
			} else if !strings.HasPrefix(err.Error(), "wire: ") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// An error must not repeat what may be a card number.
func TestErrorsRepeatNoValue(t *testing.T) {
	const pan = "4111111111111111"
	for _, text := range []string{`{"amountTotal":"` + pan + `"}`, `{"currency":` + pan + `}`, `{"amountTotal":` + pan + `.5}`, `{"` + pan} {
		if _, err := DecodePayment(jsontext.Value(text)); err == nil || strings.Contains(err.Error(), pan) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{`{"tid":` + pan + `}`, `{"tid":"1","currency":"` + pan + `"}`, `{"tid":"1","currency":"GBP","amount":` + pan + `}`} {
		if _, _, fault := DecodePerformTransaction(V1, MethodSale, jsontext.Value(text)); fault == nil || strings.Contains(fault.Message(), pan) {
			t.Errorf("%s: %v", text, fault)
		}
	}
}

func TestReceiptLines(t *testing.T) {
	in := []receipt.Line{{Type: receipt.Text, Format: []receipt.Format{receipt.Bold, receipt.DoubleWidth}, Value: "x"}, {Type: receipt.TicketFeed}}
	if diff := cmp.Diff(in, ReceiptLines(Lines(in))); diff != "" {
		t.Errorf("(-in +back)\n%s", diff)
	}
}

func TestRefusal(t *testing.T) {
	for body, want := range map[string]string{
		`{"userMessage":"Check the key."}`: "Check the key.",
		`{"userMessage":7}`:                "",
		`<html>502</html>`:                 "",
		``:                                 "",
	} {
		if got := DecodeRefusal([]byte(body)).UserMessage; got != want {
			t.Errorf("%s: got %q, want %q", body, got, want)
		}
	}
}
