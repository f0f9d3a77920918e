package rest

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/spec/schema"
)

// decoderOf is what reads the body of an endpoint. What it decoded can write
// itself again.
func decoderOf(endpoint string) func(Version, []byte) (request, []Deviation, *Fault) {
	plain := func(name string) func(Version, []byte) (request, []Deviation, *Fault) {
		return func(_ Version, b []byte) (request, []Deviation, *Fault) {
			d := decoders()[name](b)
			return d.request.(request), d.devs, d.fault
		}
	}
	switch endpoint {
	case "startTransaction":
		return func(v Version, b []byte) (request, []Deviation, *Fault) {
			r, devs, fault := DecodeTransaction(v, b)
			return r, devs, fault
		}
	case "signature":
		return plain("signature")
	case "startReport":
		return plain("report")
	case "createTable":
		return plain("create")
	case "deleteTable":
		return plain("delete")
	case "tableAmount":
		return plain("amount")
	case "tableReceipt":
		return plain("receipt")
	case "tableWaiterIds":
		return plain("waiterids")
	case "tableLock":
		return plain("lock")
	}
	return nil
}

// A request is a body that a till sends.
type request interface{ Append(dst []byte) []byte }

func versionOf(t testing.TB, name string) Version {
	t.Helper()
	for _, v := range Versions() {
		if v.String() == name {
			return v
		}
	}
	t.Fatalf("no version %s", name)
	return 0
}

func validator(t testing.TB) *schema.REST {
	t.Helper()
	v, err := schema.NewREST(spec.Default().REST())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Each request of the examples is taken, taken in spite of a deviation, or
// refused for the fault that it names.
func TestRequestExamples(t *testing.T) {
	read := 0
	for _, e := range spec.Default().REST().Endpoints() {
		decode := decoderOf(e.Name)
		if (decode == nil) != (e.Body == "") {
			t.Errorf("%s has a body or a decoder, not both", e.Name)
		}
		for _, ex := range e.Examples {
			if ex.Kind != spec.KindRequest {
				continue
			}
			for _, version := range ex.Versions {
				t.Run(e.Name+"/"+ex.Name+"/"+version, func(t *testing.T) {
					read++
					_, devs, fault := decode(versionOf(t, version), ex.Text)
					switch {
					case ex.Valid:
						if fault != nil || devs != nil {
							t.Errorf("got %v and %v", fault, devs)
						}
					case ex.Tolerated:
						if fault != nil {
							t.Errorf("got %v", fault)
						}
						if ex.Rule != wireMinimum && ex.Rule != wireMinLength && (len(devs) != 1 || devs[0].Pointer != ex.Place || devs[0].Rule != ex.Rule) {
							t.Errorf("got deviations %v, want %s at %s", devs, ex.Rule, ex.Place)
						}
					case fault == nil || fault.Pointer != ex.Place || fault.Rule != ex.Rule:
						t.Errorf("got %+v, want %s at %q", fault, ex.Rule, ex.Place)
					}
				})
			}
		}
	}
	if read < 100 {
		t.Errorf("only %d examples were read", read)
	}
}

// What is passed over where it is of no use breaks these rules, and is no deviation.
const (
	wireMinimum   = "minimum"
	wireMinLength = "minLength"
)

// Each answer of the examples can be read on a till's side, and written again it
// is the same.
func TestAnswerExamples(t *testing.T) {
	for _, e := range spec.Default().REST().Endpoints() {
		for _, ex := range e.Examples {
			if ex.Kind != spec.KindResponse || !ex.Valid {
				continue
			}
			for _, version := range ex.Versions {
				t.Run(e.Name+"/"+ex.Name+"/"+version, func(t *testing.T) {
					v := versionOf(t, version)
					var body Body
					var err error
					switch {
					case ex.Status >= 400:
						body, err = bodyOf(ReadError(ex.Text))
					case ex.Status == 202:
						body = Status{Text: spec.RESTTextSignatureInProgress}
					default:
						body, err = readAnswer(t, e.Name, ex.Text)
					}
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(canonical(t, ex.Text), canonical(t, body.Append(nil, v))); diff != "" {
						t.Errorf("written again (-example +got):\n%s", diff)
					}
				})
			}
		}
	}
}

func bodyOf[T Body](body T, err error) (Body, error) { return body, err }

func readAnswer(t *testing.T, endpoint string, text []byte) (Body, error) {
	t.Helper()
	switch endpoint {
	case "terminals":
		return bodyOf(ReadTerminals(text))
	case "terminal":
		return bodyOf(ReadTerminal(text))
	case "startTransaction", "startReport":
		return bodyOf(ReadBegun(text))
	case "transaction":
		r, err := ReadTransaction(text)
		return &r, err
	case "report":
		r, err := ReadReport(text)
		return &r, err
	case "tables":
		return bodyOf(ReadTables(text))
	case "createTable":
		return bodyOf(ReadTableCreated(text))
	case "table":
		r, err := ReadTable(text)
		return &r, err
	case "patReports":
		return bodyOf(ReadPATReports(text))
	case "patReport":
		r, err := ReadPATReport(text)
		return &r, err
	}
	t.Fatalf("nothing reads the answers of %s", endpoint)
	return nil, nil
}

func canonical(t *testing.T, text []byte) string {
	t.Helper()
	v := jsontext.Value(bytes.Clone(text))
	if err := v.Canonicalize(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return string(v)
}

// Whatever is written fits the schema of its object, in each version.
func TestBodiesFit(t *testing.T) {
	check := validator(t)
	signing := Transaction{RequestID: requestID, Location: "https://gateway.example/x", Notifications: []string{"SIGNATURE_VERIFICATION", "TRANSACTION_STARTED"}, Signature: &Signature{
		PaymentMethod: "SWIPED", TransactionType: "PRE_AUTH",
	}}
	late := Transaction{RequestID: requestID, Location: "https://gateway.example/x", Notifications: []string{"TRANSACTION_FINISHED", "CANCELLING", "TRANSACTION_STARTED"}, Result: someResult(), LateResult: someResult()}
	late.Result.TransactionType, late.Result.CardholderVerificationMethod = "COMPLETION", "UNKNOWN"
	banking := someReport()
	banking.Location, banking.Result.ReportType, banking.Result.Balances = "https://gateway.example/x", ReportBanking, nil
	pat := PATReport{ReportID: requestID, Location: "https://gateway.example/x", Currency: "EUR", Result: *banking.Result}
	table := someTable()
	at := time.Date(2026, 3, 4, 16, 12, 0, 0, time.UTC)
	terminal := Terminal{TID: "t", Status: StatusBusy, Currency: "EUR", Location: "https://gateway.example/x", Capabilities: Capabilities()}
	for _, tt := range []struct {
		object string
		body   Body
	}{
		{"terminal", terminal},
		{"terminals", Terminals{terminal, terminal}},
		{"terminals", Terminals(nil)},
		{"begun", Begun{requestID, "https://gateway.example/x"}},
		{"transaction", &Transaction{RequestID: requestID, Location: "https://gateway.example/x", Notifications: []string{"TRANSACTION_STARTED"}}},
		{"transaction", &signing},
		{"transaction", &late},
		{"signatureStatus", Status{"Now."}},
		{"report", &Report{RequestID: requestID, Location: "https://gateway.example/x"}},
		{"report", banking},
		{"error", Error{Text: "No."}},
		{"tableError", Error{"No.", "https://gateway.example/x"}},
		{"tableCreated", TableCreated{"https://gateway.example/x", "12"}},
		{"table", table},
		{"table", &Table{}},
		{"tables", Tables{*table}},
		{"patReport", &pat},
		{"patReports", PATReports{pat}},
		{"notificationEvent", NotificationEvent{requestID, "PRESENT_CARD", at}},
		{"signatureEvent", SignatureEvent{*signing.Signature, at}},
		{"lateEvent", LateEvent{requestID, late.Result}},
	} {
		o, ok := spec.Default().REST().Object(tt.object)
		if !ok {
			t.Fatalf("no object %s", tt.object)
		}
		for _, version := range o.Versions {
			if r, ok := tt.body.(*Report); ok && r.Result == nil && version == spec.V0 {
				continue // which has no body for a report that runs
			}
			text := tt.body.Append(nil, versionOf(t, version))
			if faults, err := check.Check(tt.object, version, text); err != nil || len(faults) > 0 {
				t.Errorf("%s in %s: %v %v\n%s", tt.object, version, err, faults, text)
			}
		}
	}
}

// The words here are those of spec.
func TestWordsAreThoseOfSpec(t *testing.T) {
	r := spec.Default().REST()
	words := func(enum string, v Version) []string {
		e, ok := r.Enum(enum)
		if !ok {
			t.Fatalf("no enum %s", enum)
		}
		return e.In(v.String())
	}
	for _, v := range Versions() {
		for enum, got := range map[string][]string{
			"requestType": RequestTypes(v), "resultType": ResultTypes(v), "capability": Capabilities(), "reportType": ReportTypes(),
			"terminalStatus": {StatusAvailable, StatusBusy}, "reportNotification": {ReportStarted, ReportFinished}, "reportResult": {ReportComplete, ReportTimedOut},
			"lineFormat": spelt[string](receipt.Formats()), "lineType": spelt[string](receipt.TerminalTypes()),
		} {
			if diff := cmp.Diff(sorted(words(enum, v)), sorted(got)); diff != "" {
				t.Errorf("%s in %s (-spec +got):\n%s", enum, v, diff)
			}
		}
		if diff := cmp.Diff(sorted(words("tableLineType", v)), sorted(spelt[string](LineTypes()))); diff != "" {
			t.Errorf("tableLineType (-spec +got):\n%s", diff)
		}
		has := words("notification", v)
		for _, word := range words("notification", V2) {
			if Tells(v, word) != slices.Contains(has, word) {
				t.Errorf("%s tells %s: %v", v, word, Tells(v, word))
			}
		}
		if got, want := v.MediaType(), spec.MediaType(v.String()); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

// fuzz holds a decoder to the closed schema of its body: what fits is taken
// without deviation, and what is taken without deviation fits; but for what no
// schema can say, and for what is passed over. Taken and written, it is taken as
// the same again.
func fuzz(f *testing.F, endpoint string) {
	e, ok := spec.Default().REST().Endpoint(endpoint)
	if !ok {
		f.Fatalf("no endpoint %s", endpoint)
	}
	check, decode := validator(f), decoderOf(endpoint)
	for _, ex := range e.Examples {
		if ex.Kind == spec.KindRequest {
			for _, version := range ex.Versions {
				f.Add(int(versionOf(f, version)), ex.Text)
			}
		}
	}
	f.Fuzz(func(t *testing.T, n int, body []byte) {
		v := Version(n)
		if !slices.Contains(e.Versions, v.String()) {
			return
		}
		first, devs, fault := decode(v, body)
		if fault != nil && (fault.Text == "" || strings.Contains(fault.Text, "{")) {
			t.Fatalf("%q is no sentence", fault.Text)
		}
		if fault == nil {
			second, more, fault := decode(v, first.Append(nil))
			if fault != nil || len(more) > 0 {
				t.Fatalf("written again it is refused: %v %v", fault, more)
			}
			if diff := cmp.Diff(first, second); diff != "" {
				t.Fatalf("written and read again (-first +second):\n%s", diff)
			}
		}
		if bytes.Contains(body, []byte("null")) || bytes.HasPrefix(body, byteOrderMark) {
			return // absent here, and something to a schema
		}
		faults, err := check.Check(e.Body, v.String(), body)
		switch {
		case errors.Is(err, schema.ErrNotJSON):
			if fault == nil && !jsontext.Value(body).IsValid() {
				t.Fatal("what is no JSON is taken")
			}
		case err != nil:
			t.Fatal(err)
		case fault != nil && len(faults) == 0:
			if fault.Text != "amount together with amountCashback must be at most 99999999 pence." && !asNumber(fault) {
				t.Fatalf("fits, and is refused: %v", fault)
			}
		case fault == nil && len(devs) == 0 && len(faults) > 0:
			if !slices.ContainsFunc(faults, passedOver) {
				t.Fatalf("is taken, and does not fit: %v", faults)
			}
		}
	})
}

// asNumber reports a number that is an integer to a schema only: written with an
// exponent or a sign.
func asNumber(f *Fault) bool { return f.Rule == "type" && strings.Contains(f.Text, "whole number") }

// passedOver reports a field of a transaction that its type has no use for.
func passedOver(f schema.Fault) bool {
	return slices.Contains([]string{"/amount", "/authCode", "/amountPreAuthorisedTotal"}, f.Pointer)
}

func FuzzTransactionRequest(f *testing.F) { fuzz(f, "startTransaction") }
func FuzzSignature(f *testing.F)          { fuzz(f, "signature") }
func FuzzReportRequest(f *testing.F)      { fuzz(f, "startReport") }
func FuzzTableCreate(f *testing.F)        { fuzz(f, "createTable") }
func FuzzTableDelete(f *testing.F)        { fuzz(f, "deleteTable") }
func FuzzTableAmount(f *testing.F)        { fuzz(f, "tableAmount") }
func FuzzTableReceipt(f *testing.F)       { fuzz(f, "tableReceipt") }
func FuzzTableWaiterIDs(f *testing.F)     { fuzz(f, "tableWaiterIds") }
func FuzzTableLock(f *testing.F)          { fuzz(f, "tableLock") }

// FuzzRead has a till read whatever a gateway may send: it is read or refused,
// and what was read can be written as JSON in each version.
func FuzzRead(f *testing.F) {
	for _, e := range spec.Default().REST().Endpoints() {
		for _, ex := range e.Examples {
			if ex.Kind == spec.KindResponse {
				f.Add(ex.Text)
			}
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		check := func(b Body, err error) {
			if err != nil {
				return
			}
			for _, v := range Versions() {
				if text := b.Append(nil, v); !jsontext.Value(text).IsValid(jsontext.AllowDuplicateNames(true)) {
					t.Fatalf("%T in %s is no JSON: %s", b, v, text)
				}
			}
		}
		tr, err := ReadTransaction(body)
		check(&tr, err)
		r, err := ReadReport(body)
		check(&r, err)
		p, err := ReadPATReport(body)
		check(&p, err)
		tb, err := ReadTable(body)
		check(&tb, err)
		check(bodyOf(ReadTerminals(body)))
		check(bodyOf(ReadTerminal(body)))
		check(bodyOf(ReadBegun(body)))
		check(bodyOf(ReadTables(body)))
		check(bodyOf(ReadTableCreated(body)))
		check(bodyOf(ReadPATReports(body)))
		check(bodyOf(ReadError(body)))
	})
}
