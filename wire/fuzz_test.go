package wire

import (
	"bytes"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/spec/schema"
)

// fuzzFromTill holds a decoder equal to the schemas: what is accepted without
// deviation fits, what is refused does not, and for the same reason. Numbers are
// made canonical first, for a schema takes 1250.0 for an integer.
func fuzzFromTill(f *testing.F, name string, kind spec.Kind) {
	check, err := schema.New(spec.Default())
	if err != nil {
		f.Fatal(err)
	}
	all := messages()
	i := slices.IndexFunc(all, func(m spec.Message) bool { return m.Name == name })
	if i < 0 {
		f.Fatalf("no message %s", name)
	}
	m := all[i]
	for _, e := range m.Examples {
		var env envelope
		if e.Direction != spec.ToConnect || e.Kind != kind || json.Unmarshal(e.Text, &env) != nil {
			continue
		}
		value := env.Params
		if kind == spec.KindResponse {
			value = env.Result
		}
		f.Add(e.Version == spec.V0, env.Method, []byte(value))
	}
	f.Fuzz(func(t *testing.T, v0 bool, method string, value []byte) {
		v := V1
		if v0 {
			v = V0
		}
		s, ok := m.Schema(v.String(), kind)
		if !ok {
			t.Fatal("no schema")
		}
		if kind == spec.KindRequest && !slices.Contains(s.Methods, method) {
			return // is refused before
		}
		env := put(method, kind, value)
		first, devs, fault := decodeFromTill(v, name, env)
		if fault == nil {
			again := put(method, kind, Encode(v, first))
			second, more, fault := decodeFromTill(v, name, again)
			if fault != nil || len(more) > 0 {
				t.Fatalf("encoded again it is refused: %v %v", fault, more)
			}
			if diff := cmp.Diff(first, second); diff != "" {
				t.Fatalf("encoded and decoded again (-first +second):\n%s", diff)
			}
		}

		canonical := jsontext.Value(bytes.Clone(value))
		if len(value) > 0 && canonical.Canonicalize() != nil {
			if fault == nil {
				t.Fatalf("accepted with %v although it is not JSON", devs)
			}
			return
		}
		env = put(method, kind, canonical)
		_, devs, fault = decodeFromTill(v, name, env)
		faults, err := check.Check(s.Folder, s.File, whole(t, env, kind))
		if err != nil {
			return // the validator cannot hold one of its numbers
		}
		switch {
		case fault == nil && len(devs) == 0:
			if len(faults) > 0 {
				t.Fatalf("accepted, but the schema says %v", faults)
			}
		case len(faults) == 0:
			if !sumTooLarge(canonical) {
				t.Fatalf("refused (%v %v), but it fits the schema", fault, devs)
			}
		case fault != nil && !among(faults, *fault):
			t.Fatalf("got %s by %s, the schema says %v", fault.Pointer, fault.Rule, faults)
		}
	})
}

func put(method string, kind spec.Kind, value jsontext.Value) envelope {
	if len(value) == 0 {
		value = nil
	}
	if kind == spec.KindResponse {
		return envelope{Result: value}
	}
	return envelope{Method: method, Params: value}
}

// whole writes the message that the schema judges.
func whole(t *testing.T, e envelope, kind spec.Kind) []byte {
	t.Helper()
	members := map[string]jsontext.Value{"jsonrpc": jsontext.Value(`"2.0"`), "id": jsontext.Value(`1`)}
	value := e.Result
	if kind == spec.KindRequest {
		name, err := jsontext.AppendQuote(nil, e.Method)
		if err != nil {
			t.Fatal(err)
		}
		members["method"] = name
		value = e.Params
	}
	if value != nil {
		members[map[spec.Kind]string{spec.KindRequest: "params", spec.KindResponse: "result"}[kind]] = value
	}
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// among reports whether the schema found that fault as well.
func among(faults []schema.Fault, f Fault) bool {
	return slices.ContainsFunc(faults, func(s schema.Fault) bool { return s.Pointer == f.Pointer && s.Rule == f.Rule })
}

// sumTooLarge is the one rule that no schema can say.
func sumTooLarge(params jsontext.Value) bool {
	var p struct {
		Amount   money.Minor `json:"amount"`
		Cashback money.Minor `json:"amountCashback"`
	}
	return json.Unmarshal(params, &p) == nil && p.Amount+p.Cashback > MaxAmount
}

func FuzzConnectedTerminals(f *testing.F) { fuzzFromTill(f, "connectedTerminals", spec.KindRequest) }
func FuzzTerminalDetails(f *testing.F)    { fuzzFromTill(f, "terminalDetails", spec.KindRequest) }
func FuzzPerformTransaction(f *testing.F) { fuzzFromTill(f, "performTransaction", spec.KindRequest) }
func FuzzCancelTransaction(f *testing.F)  { fuzzFromTill(f, "cancelTransaction", spec.KindRequest) }
func FuzzDuplicate(f *testing.F)          { fuzzFromTill(f, "duplicate", spec.KindRequest) }
func FuzzReport(f *testing.F)             { fuzzFromTill(f, "report", spec.KindRequest) }

func FuzzVerifySignatureResponse(f *testing.F) {
	fuzzFromTill(f, "verifySignature", spec.KindResponse)
}

func FuzzTableListResult(f *testing.F)  { fuzzFromTill(f, "tableList", spec.KindResponse) }
func FuzzTableLockResult(f *testing.F)  { fuzzFromTill(f, "tableLock", spec.KindResponse) }
func FuzzPOSReceiptResult(f *testing.F) { fuzzFromTill(f, "posReceipt", spec.KindResponse) }

func FuzzKeyedTransaction(f *testing.F) { fuzzFromTill(f, "keys/performTransaction", spec.KindRequest) }
func FuzzKeyedReport(f *testing.F)      { fuzzFromTill(f, "keys/report", spec.KindRequest) }
func FuzzTransactionStatus(f *testing.F) {
	fuzzFromTill(f, "status/transactionStatus", spec.KindRequest)
}

// FuzzFromTheGateway feeds everything to the decoders of a till's side. What
// they read is written and read again unchanged.
func FuzzFromTheGateway(f *testing.F) {
	for _, m := range messages() {
		if m.Kind == spec.KindError {
			continue
		}
		for _, e := range m.Examples {
			var env envelope
			if e.Direction != spec.ToEPOS || json.Unmarshal(e.Text, &env) != nil {
				continue
			}
			value := env.Result
			if value == nil {
				value = env.Params
			}
			f.Add(m.Name, []byte(value))
		}
	}
	names := []string{"connectedTerminals", "terminalDetails", "performTransaction", "duplicate", "cancelTransaction", "report", "verifySignature", "terminalNotification", "status/transactionStatus", "late/transactionCorrected"}
	for _, m := range spec.Default().Messages() {
		if m.Side == spec.PAT && m.Kind != spec.KindError {
			names = append(names, m.Name)
		}
	}
	f.Fuzz(func(t *testing.T, name string, value []byte) {
		if !slices.Contains(names, name) {
			return
		}
		first, err := decodeFromGateway(V1, name, envelope{Params: value, Result: value})
		if err != nil {
			return
		}
		text := Encode(V1, first)
		second, err := decodeFromGateway(V1, name, envelope{Params: text, Result: text})
		if err != nil {
			t.Fatalf("encoded again it cannot be read: %v: %s", err, text)
		}
		if again := Encode(V1, second); !bytes.Equal(text, again) {
			t.Fatalf("got %s, then %s", text, again)
		}
	})
}
