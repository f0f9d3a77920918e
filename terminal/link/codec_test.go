package link

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/spec/schema"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

var validator = sync.OnceValue(func() *schema.Validator {
	v, err := schema.New(spec.Default())
	if err != nil {
		panic(err)
	}
	return v
})

// read decodes the params or the result of a message as its receiver does, and
// gives back what its sender would make of the same.
func read(method string, kind spec.Kind, body jsontext.Value) (again any, bad *jsonrpc.Error) {
	if kind == spec.KindNotification {
		e, bad := decodeEvent(method, body, money.GBP)
		if bad != nil {
			return nil, bad
		}
		name, form, ok := eventForm(e, money.GBP)
		if !ok || name != method {
			panic(fmt.Sprintf("%s became %s", method, name))
		}
		return form, nil
	}
	if kind == spec.KindResponse {
		switch method {
		case methodHello:
			return same[welcomeForm]("/result", body)
		case methodStart:
			return same[startAnswerForm]("/result", body)
		case methodQuery:
			f, bad := decode[queryAnswerForm]("/result", body)
			if bad == nil && f.Outcome != nil {
				f.Outcome = formOutcome(f.Outcome.outcome())
			}
			if bad == nil && f.Report != nil {
				f.Report = formReport(f.Report.report())
			}
			return f, bad
		case methodLast:
			f, bad := decode[lastAnswerForm]("/result", body)
			if bad == nil && f.Outcome != nil {
				f.Outcome = formOutcome(f.Outcome.outcome())
			}
			return f, bad
		case methodQueryPayment:
			f, bad := decode[paymentAnswerForm]("/result", body)
			if bad == nil && f.Receipt != nil {
				f.Receipt = formReceipt(f.Receipt.receipt(), f.Receipt.Currency)
			}
			return f, bad
		default:
			return same[answerForm]("/result", body)
		}
	}
	switch method {
	case methodHello:
		f, bad := decode[helloForm]("/params", body)
		if bad != nil {
			return nil, bad
		}
		return formHello(f.TID, f.capabilities(), f.Capabilities.Tables, f.Restarted), nil
	case methodStart:
		f, bad := decode[startForm]("/params", body)
		if bad != nil {
			return nil, bad
		}
		return formStart(f.request()), nil
	case methodAnswerSignature:
		return same[signatureForm]("/params", body)
	case methodLast:
		return same[emptyForm]("/params", body)
	case methodAnswerTable:
		f, bad := decode[answerTableForm]("/params", body)
		if bad != nil {
			return nil, bad
		}
		answers := f.answers()
		if len(answers) != 1 {
			panic(fmt.Sprintf("%d answers in %s", len(answers), body))
		}
		return formAnswer(f.VisitID, answers[0]), nil
	case methodQueryPayment:
		return same[queryPaymentForm]("/params", body)
	default:
		return same[requestForm]("/params", body)
	}
}

func same[F form](under string, body jsontext.Value) (any, *jsonrpc.Error) {
	f, bad := decode[F](under, body)
	return f, bad
}

// body is what of a message a decoder of this package gets: the envelope has its
// own. It reports false where the envelope is wrong.
func body(text []byte, method string, kind spec.Kind) (jsontext.Value, bool) {
	m, fault := jsonrpc.Decode(text)
	want := map[spec.Kind]jsonrpc.Kind{
		spec.KindRequest: jsonrpc.Request, spec.KindResponse: jsonrpc.Response, spec.KindNotification: jsonrpc.Notification,
	}[kind]
	if fault != nil || m.Kind != want || m.Method != method && kind != spec.KindResponse {
		return nil, false
	}
	if kind == spec.KindResponse {
		return m.Result, true
	}
	return m.Params, true
}

func canonical(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	raw := jsontext.Value(b)
	if err := raw.Canonicalize(); err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestExamples: each valid example is read and written again as it was, each
// invalid one is refused.
func TestExamples(t *testing.T) {
	for _, m := range spec.Default().Link() {
		for _, e := range m.Examples {
			t.Run(m.Name+"/"+e.Name, func(t *testing.T) {
				raw, ok := body(e.Text, m.Name, e.Kind)
				var again any
				var bad *jsonrpc.Error
				if ok {
					again, bad = read(m.Name, e.Kind, raw)
				}
				if !e.Valid {
					if ok && bad == nil {
						t.Fatalf("it was taken: %s", e.Text)
					}
					if bad != nil && (bad.Code != jsonrpc.InvalidParams || !strings.Contains(bad.Message, "/")) {
						t.Errorf("refused with %v, which names no place", bad)
					}
					return
				}
				if !ok || bad != nil {
					t.Fatalf("refused: %v", bad)
				}
				if raw == nil {
					raw = jsontext.Value("{}")
				}
				if diff := cmp.Diff(canonical(t, raw), canonical(t, again)); diff != "" {
					t.Errorf("read and written again (-was +is):\n%s", diff)
				}
			})
		}
	}
}

// TestDecodersAndSchemasAgree changes every part of every valid example in many
// ways, and has the decoder and the published schema judge what comes out.
func TestDecodersAndSchemasAgree(t *testing.T) {
	values := []string{
		``, `null`, `true`, `""`, `" "`, `"GBP"`, `"final"`, `"neverRan"`, `"SALE"`, `"` + strings.Repeat("x", 300) + `"`,
		`0`, `-1`, `1250`, `1.5`, `100000000`, `{}`, `[]`, `["a"]`, `[1]`, `[{}]`, `"2026-03-14T12:00:00Z"`,
	}
	tried, deep := 0, map[string]bool{} // places in outcomes and reports, which lie in many messages
	for _, m := range spec.Default().Link() {
		for _, e := range m.Examples {
			if !e.Valid {
				continue
			}
			s, _ := m.Schema(spec.V1, e.Kind)
			root := "/params"
			if e.Kind == spec.KindResponse {
				root = "/result"
			}
			for _, at := range pointers(t, e.Text, root) {
				if parts := strings.SplitN(at, "/", 4); len(parts) == 4 {
					if deep[parts[2]+"/"+parts[3]] {
						continue
					}
					deep[parts[2]+"/"+parts[3]] = true
				}
				for _, v := range values {
					text := changed(t, e.Text, at, v)
					faults, err := validator().Check("link/v1", s.File, text)
					if err != nil {
						t.Fatalf("%s: %v", text, err)
					}
					raw, ok := body(text, m.Name, e.Kind)
					var bad *jsonrpc.Error
					if ok {
						_, bad = read(m.Name, e.Kind, raw)
					}
					if taken := ok && bad == nil; taken != (len(faults) == 0) {
						t.Errorf("%s/%s, %s made %s: the decoder says %v, the schema %v\n%s", m.Name, e.Name, at, v, bad, faults, text)
					}
					tried++
				}
			}
		}
	}
	if tried < 3000 {
		t.Errorf("only %d changes were tried", tried)
	}
}

// pointers lists the places below root of a message.
func pointers(t *testing.T, text []byte, root string) []string {
	t.Helper()
	var out []string
	dec := jsontext.NewDecoder(strings.NewReader(string(text)))
	for {
		if _, err := dec.ReadToken(); err != nil {
			return slices.Compact(out)
		}
		at := string(dec.StackPointer())
		if strings.HasPrefix(at, root+"/") && !slices.Contains(out, at) {
			out = append(out, at)
		}
	}
}

// changed puts a value in place of another; an empty one takes it away.
func changed(t *testing.T, text []byte, at, value string) []byte {
	t.Helper()
	var doc any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	doc = change(doc, strings.Split(at, "/")[1:], value)
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func change(doc any, path []string, value string) any {
	if len(path) == 0 {
		return jsontext.Value(value)
	}
	switch d := doc.(type) {
	case map[string]any:
		if len(path) == 1 && value == "" {
			delete(d, path[0])
			return d
		}
		d[path[0]] = change(d[path[0]], path[1:], value)
	case []any:
		var i int
		if _, err := fmt.Sscan(path[0], &i); err != nil {
			panic(err)
		}
		if len(path) == 1 && value == "" {
			return slices.Delete(d, i, i+1)
		}
		d[i] = change(d[i], path[1:], value)
	}
	return doc
}

// FuzzMessages: nothing that a peer sends makes a decoder panic, and what it
// takes is, written again, what the schema takes and the decoder takes for the
// same.
func FuzzMessages(f *testing.F) {
	methods := map[string]spec.Message{}
	for _, m := range spec.Default().Link() {
		methods[m.Name] = m
		for _, e := range m.Examples {
			f.Add(m.Name, e.Kind == spec.KindResponse, []byte(e.Text))
		}
	}
	f.Fuzz(func(t *testing.T, name string, response bool, text []byte) {
		m, ok := methods[name]
		if !ok {
			return
		}
		kind := m.Kind
		if response {
			kind = spec.KindResponse
		}
		s, ok := m.Schema(spec.V1, kind)
		if !ok {
			return
		}
		raw, ok := body(text, name, kind)
		if !ok {
			return
		}
		again, bad := read(name, kind, raw)
		if bad != nil {
			return
		}
		b, err := json.Marshal(again, json.Deterministic(true))
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		message := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":7,"method":%q,"params":%s}`, name, b)
		switch kind {
		case spec.KindNotification:
			message = fmt.Appendf(nil, `{"jsonrpc":"2.0","method":%q,"params":%s}`, name, b)
		case spec.KindResponse:
			message = fmt.Appendf(nil, `{"jsonrpc":"2.0","id":7,"result":%s}`, b)
		case spec.KindRequest, spec.KindError:
		}
		if faults, err := validator().Check("link/v1", s.File, message); err != nil || len(faults) > 0 {
			t.Fatalf("what was read is written as %s: %v %v", message, faults, err)
		}
		more, bad := read(name, kind, b)
		if bad != nil {
			t.Fatalf("what was written is refused: %v\n%s", bad, b)
		}
		if diff := cmp.Diff(canonical(t, again), canonical(t, more)); diff != "" {
			t.Errorf("another message (-was +is):\n%s", diff)
		}
	})
}

// TestWhateverTheClockSays: an outcome is told also by a machine whose clock is
// out of all reason.
func TestWhateverTheClockSays(t *testing.T) {
	for _, at := range []time.Time{
		{},
		time.Unix(1<<40, 0), time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2026, 3, 14, 12, 0, 0, 5, time.FixedZone("odd", 3601)), time.Date(2026, 3, 14, 12, 0, 0, 0, time.FixedZone("far", 23*3600)),
	} {
		f := endedForm{"r1", formOutcome(txn.Outcome{Type: txn.Sale, Result: txn.Successful, Currency: money.GBP, Base: 1, Time: at})}
		text, err := jsonrpc.AppendNotification(nil, methodEnded, f)
		if err != nil {
			t.Errorf("%v: %v", at, err)
			continue
		}
		m, _ := jsonrpc.Decode(text)
		e, bad := decodeEvent(methodEnded, m.Params, money.GBP)
		if bad != nil {
			t.Errorf("%v: %v", at, bad)
			continue
		}
		if got := e.(terminal.Ended).Outcome.Time; at.Year() == 2026 && !got.Equal(at) {
			t.Errorf("%v was told as %v", at, got)
		}
	}
}

// TestTextsAreCut: what a till says for the screen never keeps an answer from
// the terminal.
func TestTextsAreCut(t *testing.T) {
	long := strings.Repeat("ü", 5000)
	for _, a := range []terminal.TableAnswer{
		terminal.TableList{Message: long},
		terminal.TableLock{Message: long},
		terminal.Bill{Message: long},
		terminal.PaymentForbidden{Payment: "p", Message: long},
	} {
		b, err := json.Marshal(formAnswer("v", a))
		if err != nil {
			t.Fatal(err)
		}
		if _, bad := decode[answerTableForm]("/params", b); bad != nil {
			t.Errorf("%T: %v", a, bad)
		}
	}
}

// TestForeignMoney: a payment at a table in another currency than the hello's is
// refused.
func TestForeignMoney(t *testing.T) {
	for _, e := range []terminal.Event{
		terminal.PaymentStarted{Visit: "v", Payment: "p", Asked: 1},
		terminal.PaymentEnded{Visit: "v", Payment: "p", Taken: true, Receipt: table.Receipt{Paid: 1}},
	} {
		method, f, _ := eventForm(e, money.EUR)
		b, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, bad := decodeEvent(method, b, money.GBP); bad == nil || !strings.Contains(bad.Message, "currency") {
			t.Errorf("%s in EUR from a terminal with GBP: %v", method, bad)
		}
	}
}
