package wire

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/spec"
)

func TestPATMethods(t *testing.T) {
	for _, v := range []Version{V0, V1} {
		var want []string
		for _, m := range spec.Default().Messages() {
			for _, kind := range []spec.Kind{spec.KindRequest, spec.KindNotification} {
				if s, ok := m.Schema(v.String(), kind); ok && m.Side == spec.PAT {
					want = append(want, s.Methods...)
				}
			}
		}
		if diff := cmp.Diff(want, PATMethods()); diff != "" {
			t.Errorf("%v (-schemas +PATMethods)\n%s", v, diff)
		}
	}
}

func TestFaultsInAnswersOfATill(t *testing.T) {
	line := func(s string) string { return `{"receiptLines":[{"type":"TEXT","value":""},` + s + `]}` }
	for _, test := range []struct {
		name, message, result string
		pointer, rule, text   string
	}{
		{"no list", "tableList", ``, "/result", "required", "/result is required"},
		{"a list alone", "tableList", `["12"]`, "/result", "type", "/result must be an object"},
		{"neither name", "tableList", `{"currency":"GBP"}`, "/result/tableIds", "required", "/result/tableIds is required"},
		{"both names", "tableList", `{"tableIds":[],"tables":[]}`, "/result", "not", "/result must be an object with either tableIds or tables"},
		{"a number for a table", "tableList", `{"tables":["1",2],"currency":"GBP"}`, "/result/tables/1", "type", "/result/tables/1 must be a string"},
		{"no currency", "tableList", `{"tableIds":["1"]}`, "/result/currency", "required", "/result/currency is required"},
		{"another currency", "tableList", `{"tableIds":[],"currency":"USD"}`, "/result/currency", "enum", "/result/currency must be GBP or EUR"},

		{"not decided", "tableLock", `{}`, "/result/confirmed", "required", "/result/confirmed is required"},
		{"a word", "tableLock", `{"confirmed":"true","amount":1,"currency":"GBP"}`, "/result/confirmed", "type", "/result/confirmed must be true or false"},
		{"no amount", "tableLock", `{"confirmed":true,"currency":"GBP"}`, "/result/amount", "required", "/result/amount is required"},
		{"no amount's currency", "tableLock", `{"confirmed":true,"amount":1}`, "/result/currency", "required", "/result/currency is required"},
		{"nothing owed", "tableLock", `{"confirmed":true,"amount":0,"currency":"GBP"}`, "/result/amount", "minimum", "/result/amount must be at least 1"},
		{"negative", "tableLock", `{"confirmed":true,"amount":-1,"currency":"GBP"}`, "/result/amount", "minimum", "/result/amount must be at least 1"},
		{"too much", "tableLock", `{"confirmed":true,"amount":100000000,"currency":"GBP"}`, "/result/amount", "maximum", "/result/amount must be at most 99999999"},
		{"pounds", "tableLock", `{"confirmed":true,"amount":45.00,"currency":"GBP"}`, "/result/amount", "type", "/result/amount must be an integer"},
		{"dollars", "tableLock", `{"confirmed":true,"amount":1,"currency":"USD"}`, "/result/currency", "enum", "/result/currency must be GBP or EUR"},
		{"refused for nothing", "tableLock", `{"confirmed":false,"amount":0}`, "/result/amount", "minimum", "/result/amount must be at least 1"},

		{"no lines", "posReceipt", `{}`, "/result/receiptLines", "required", "/result/receiptLines is required"},
		{"copies", "posReceipt", `{"receiptLines":{"CUSTOMER":[]}}`, "/result/receiptLines", "type", "/result/receiptLines must be an array"},
		{"a line of text", "finalPOSReceipt", `{"receiptLines":["x"]}`, "/result/receiptLines/0", "type", "/result/receiptLines/0 must be an object"},
		{"duplicate name", "posReceipt", line(`{"type":"TEXT","value":"1","value":"2"}`), "/result", "type", "/result must be an object"},
		{"no type", "posReceipt", line(`{"value":""}`), "/result/receiptLines/1/type", "required", "/result/receiptLines/1/type is required"},
		{"a terminal's line", "posReceipt", line(`{"type":"BOX_VOID","value":""}`), "/result/receiptLines/1/type", "enum", "/result/receiptLines/1/type must be TEXT, IMAGE_LOGO, CARRIAGE_RETURN, LINE_SEPARATOR_SINGLE, LINE_SEPARATOR_DOUBLE, TICKET_FEED, BARCODE_CODE25, BARCODE_CODE39 or BARCODE_CODE128"},
		{"no value", "posReceipt", line(`{"type":"TEXT"}`), "/result/receiptLines/1/value", "required", "/result/receiptLines/1/value is required"},
		{"a number printed", "posReceipt", line(`{"type":"TEXT","value":12}`), "/result/receiptLines/1/value", "type", "/result/receiptLines/1/value must be a string"},
		{"one format", "posReceipt", line(`{"type":"TEXT","format":"BOLD","value":""}`), "/result/receiptLines/1/format", "type", "/result/receiptLines/1/format must be an array"},
		{"null format", "posReceipt", line(`{"type":"TEXT","format":null,"value":""}`), "/result/receiptLines/1/format", "type", "/result/receiptLines/1/format must be an array"},
		{"unknown format", "posReceipt", line(`{"type":"TEXT","format":["BOLD","RED"],"value":""}`), "/result/receiptLines/1/format/1", "enum", "/result/receiptLines/1/format/1 must be BOLD, DOUBLE_HEIGHT or DOUBLE_WIDTH"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, v := range []Version{V0, V1} {
				var env envelope
				if test.result != "" {
					env.Result = jsontext.Value(test.result)
				}
				got, devs, fault := decodeFromTill(v, test.message, env)
				if diff := cmp.Diff(&Fault{test.pointer, test.rule, test.text}, fault); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
				empty := map[string]Message{"tableList": TableListResult{}, "tableLock": TableLockResult{}}[test.message]
				if empty == nil {
					empty = POSReceiptResult{}
				}
				if diff := cmp.Diff(empty, got); diff != "" || devs != nil {
					t.Errorf("beside the fault: %v\n%s", devs, diff)
				}
			}
		})
	}
}

func TestAnswersOfATill(t *testing.T) {
	plain := func(s string) Line { return Line{Type: "TEXT", Format: []string{}, Value: s} }
	for _, test := range []struct {
		name, message, result string
		want                  Message
		devs                  []string // pointer and rule
	}{
		{"no table", "tableList", `{"tableIds":[]}`, TableListResult{Tables: []string{}}, nil},
		{"no table, but a currency", "tableList", `{"tables":[],"currency":"EUR"}`, TableListResult{Tables: []string{}, Currency: money.EUR}, nil},
		{"names of all kinds", "tableList", `{"tables":["","a\u0000\n","a\u0000\n"],"currency":"GBP"}`, TableListResult{Tables: []string{"", "a\x00\n", "a\x00\n"}, Currency: money.GBP}, nil},
		{"more than was asked", "tableList", `{"tableIds":[],"status":"open"}`, TableListResult{Tables: []string{}}, []string{"/result/status additionalProperties"}},
		{"locked", "tableLock", `{"confirmed":true,"amount":99999999,"currency":"EUR"}`, TableLockResult{true, 99999999, money.EUR}, nil},
		{"refused", "tableLock", `{"confirmed":false}`, TableLockResult{}, nil},
		{"refused with an amount", "tableLock", `{"confirmed":false,"amount":4550,"currency":"GBP","why":"busy"}`, TableLockResult{}, []string{"/result/why additionalProperties"}},
		{"an empty bill", "posReceipt", `{"receiptLines":[]}`, POSReceiptResult{[]Line{}}, nil},
		{"without format", "posReceipt", `{"receiptLines":[{"value":"x","type":"TEXT"}]}`, POSReceiptResult{[]Line{plain("x")}}, nil},
		{
			"colours", "finalPOSReceipt", `{"receiptLines":[{"type":"TEXT","value":"x","colour":1},{"type":"TEXT","format":["BOLD"],"value":"y","colour":1}],"a":1}`,
			POSReceiptResult{[]Line{plain("x"), {Type: "TEXT", Format: []string{"BOLD"}, Value: "y"}}},
			[]string{"/result/receiptLines/0/colour additionalProperties", "/result/receiptLines/1/colour additionalProperties", "/result/a additionalProperties"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, devs, fault := decodeFromTill(V1, test.message, envelope{Result: jsontext.Value(test.result)})
			if fault != nil {
				t.Fatal(fault)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			var places []string
			for _, d := range devs {
				places = append(places, d.Pointer+" "+d.Rule)
			}
			if diff := cmp.Diff(test.devs, places); diff != "" {
				t.Errorf("deviations (-want +got)\n%s", diff)
			}
		})
	}
}

// What a till floods with is read as it is, but its deviations are bounded.
func TestFloods(t *testing.T) {
	tables := strings.Repeat(`"Table",`, 9_999) + `"Table"`
	r, devs, fault := DecodeTableListResult(V1, jsontext.Value(`{"tableIds":[`+tables+`],"currency":"GBP"}`))
	if len(r.Tables) != 10_000 || devs != nil || fault != nil {
		t.Errorf("got %d tables, %v, %v", len(r.Tables), devs, fault)
	}
	lines := strings.Repeat(`{"type":"TEXT","value":"","x":0},`, 9_999) + `{"type":"TEXT","value":""}`
	bill, devs, fault := DecodePOSReceiptResult(V1, jsontext.Value(`{"receiptLines":[`+lines+`]}`))
	if len(bill.ReceiptLines) != 10_000 || len(devs) != maxDeviations || fault != nil {
		t.Errorf("got %d lines, %d deviations, %v", len(bill.ReceiptLines), len(devs), fault)
	}
}

func TestRecorded(t *testing.T) {
	for _, test := range []struct {
		result string
		want   bool
		devs   int
		fault  *Fault
	}{
		{`{"recorded":true}`, true, 0, nil},
		{`{"recorded":false}`, false, 0, nil},
		{`{"recorded":true,"at":"noon"}`, true, 1, nil},
		{`{}`, false, 0, &Fault{"/result/recorded", "required", "/result/recorded is required"}},
		{`{"recorded":"true"}`, false, 0, &Fault{"/result/recorded", "type", "/result/recorded must be true or false"}},
		{`null`, false, 0, &Fault{"/result", "type", "/result must be an object"}},
	} {
		for _, v := range []Version{V0, V1} {
			got, devs, fault := DecodeRecorded(v, jsontext.Value(test.result))
			if diff := cmp.Diff(test.fault, fault); diff != "" || got != test.want || len(devs) != test.devs {
				t.Errorf("%s: got %v, %v\n%s", test.result, got, devs, diff)
			}
			if test.fault == nil && test.devs == 0 {
				if again := string(Encode(v, Recorded(got))); again != test.result {
					t.Errorf("%s was encoded as %s", test.result, again)
				}
			}
		}
	}
}

func FuzzRecorded(f *testing.F) {
	f.Add([]byte(`{"recorded":true}`))
	f.Add([]byte(`{"recorded":false,"x":{}}`))
	f.Fuzz(func(t *testing.T, result []byte) {
		yes, _, fault := DecodeRecorded(V1, result)
		var r struct {
			Recorded *bool `json:"recorded"`
		}
		ok := json.Unmarshal(result, &r) == nil && r.Recorded != nil
		if ok != (fault == nil) || ok && yes != *r.Recorded {
			t.Errorf("%s: got %v, %v", result, yes, fault)
		}
	})
}

// A verification that is not known has no name in v0, and what was given to be
// encoded stays as it was.
func TestTransactionResponseInV0(t *testing.T) {
	r := TransactionResponse{TerminalID: TerminalID{TID: "1"}, Payments: []TablePayment{
		{CardholderVerificationMethod: "UNKNOWN"}, {CardholderVerificationMethod: "PIN"}, {},
	}}
	for v, want := range map[Version][]string{V0: {"NONE", "PIN", ""}, V1: {"UNKNOWN", "PIN", ""}} {
		back, err := DecodeTransactionResponse(Encode(v, r))
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range back.Payments {
			if p.CardholderVerificationMethod != want[i] {
				t.Errorf("%v: payment %d: got %q, want %q", v, i, p.CardholderVerificationMethod, want[i])
			}
		}
		if back.TID != "1" {
			t.Errorf("%v: got TID %q", v, back.TID)
		}
	}
	if got := r.Payments[0].CardholderVerificationMethod; got != "UNKNOWN" {
		t.Errorf("encoding made it %s", got)
	}
}

// A till reads what it can of what the gateway sends.
func TestATillIsLenient(t *testing.T) {
	r, err := DecodeTableLock(jsontext.Value(`{"tpi":"1","tableId":"12","soon":true}`))
	if want := (TableLockRequest{TerminalID: TerminalID{TID: "1"}, TableID: "12"}); err != nil || r != want {
		t.Errorf("got %+v, %v", r, err)
	}
}
