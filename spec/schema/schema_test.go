package schema

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tillwire/tillwire/spec"
)

func compiled(t testing.TB) *Validator {
	t.Helper()
	v, err := New(spec.Default())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Every schema says that it is draft-04, and is.
func TestSchemasAreDraft04(t *testing.T) {
	const draft = "http://json-schema.org/draft-04/schema#"
	meta, err := jsonschema.NewCompiler().Compile(draft)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range spec.Default().Messages() {
		for _, s := range m.Schemas {
			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(s.Raw))
			if err != nil {
				t.Fatalf("%s/%s: %v", s.Version, s.File, err)
			}
			if got := doc.(map[string]any)["$schema"]; got != draft {
				t.Errorf("%s/%s: $schema is %v", s.Version, s.File, got)
			}
			if err := meta.Validate(doc); err != nil {
				t.Errorf("%s/%s: %v", s.Version, s.File, err)
			}
		}
	}
}

// Every object is closed or says what its members are, every property is
// described, and nothing refers outside the file or uses a word that draft-04
// does not have.
func TestSchemasAreClosedAndDescribed(t *testing.T) {
	for _, m := range spec.Default().Messages() {
		for _, s := range m.Schemas {
			var root node
			if err := json.Unmarshal(s.Raw, &root, json.RejectUnknownMembers(true)); err != nil {
				t.Errorf("%s/%s: %v", s.Version, s.File, err)
				continue
			}
			name := s.Version + "/" + s.File
			if root.Title == "" || root.Description == "" {
				t.Errorf("%s: no title or no description", name)
			}
			root.walk(t, name+"#", false, len(root.AnyOf) > 0)
		}
	}
}

// node is a schema with the keywords of draft-04 that the contract uses.
type node struct {
	Schema      string          `json:"$schema"`
	Ref         string          `json:"$ref"`
	Title       string          `json:"title"`
	Description string          `json:"description"`
	Type        string          `json:"type"`
	Default     jsontext.Value  `json:"default"`
	Enum        []any           `json:"enum"`
	Minimum     *int            `json:"minimum"`
	Maximum     *int            `json:"maximum"`
	MinLength   *int            `json:"minLength"`
	MaxLength   *int            `json:"maxLength"`
	MaxItems    *int            `json:"maxItems"`
	MaxProps    *int            `json:"maxProperties"`
	Pattern     string          `json:"pattern"`
	Required    []string        `json:"required"`
	Properties  map[string]node `json:"properties"`
	Additional  jsontext.Value  `json:"additionalProperties"`
	Items       *node           `json:"items"`
	AnyOf       []node          `json:"anyOf"`
	Not         *node           `json:"not"`
	Definitions map[string]node `json:"definitions"`
}

// walk visits a node. Alternatives only add to the object that they stand in, so
// they are neither closed nor described; and an object whose alternatives say
// more about a property leaves that to them.
func (n node) walk(t *testing.T, at string, alternative, refined bool) {
	t.Helper()
	if n.Ref != "" {
		if !strings.HasPrefix(n.Ref, "#/definitions/") {
			t.Errorf("%s refers to %s", at, n.Ref)
		}
		return
	}
	if n.Type == "object" && n.Additional == nil && n.MaxProps == nil && !refined {
		t.Errorf("%s is open", at)
	}
	if n.Type == "array" && n.Items == nil {
		t.Errorf("%s takes any items", at)
	}
	for _, name := range n.Required {
		if _, ok := n.Properties[name]; !ok && !alternative {
			t.Errorf("%s requires %s, which it does not have", at, name)
		}
	}
	for name, p := range n.Properties {
		if !alternative && p.Ref == "" && p.Description == "" {
			t.Errorf("%s/properties/%s is not described", at, name)
		}
		p.walk(t, at+"/properties/"+name, alternative, len(n.AnyOf) > 0 && refinedBy(n.AnyOf, name))
	}
	if n.Items != nil {
		n.Items.walk(t, at+"/items", alternative, false)
	}
	for i, a := range n.AnyOf {
		a.walk(t, fmt.Sprintf("%s/anyOf/%d", at, i), true, false)
	}
	for name, d := range n.Definitions {
		d.walk(t, at+"/definitions/"+name, false, false)
	}
}

// refinedBy reports whether every alternative says what the property is, or at
// least one does so by reference.
func refinedBy(alternatives []node, name string) bool {
	for _, a := range alternatives {
		if a.Properties[name].Ref != "" {
			return true
		}
	}
	return false
}

func TestCheck(t *testing.T) {
	const (
		perform = "CtSR_PerformTransaction_Request.json"
		lock    = "StCR_tableLock_Response.json"
		list    = "StCR_tableList_Response.json"
	)
	sale := func(params string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":"1","currency":"GBP",` + params + `}}`
	}
	completion := func(code string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"completion","params":{"tid":"1","currency":"GBP","amount":1,"authCode":"` + code + `"}}`
	}
	tests := []struct {
		name, file, text string
		want             []string // pointer and rule of each fault
	}{
		{"smallest", perform, sale(`"amount":1`), nil},
		{"largest", perform, sale(`"amount":99999999`), nil},
		{"nothing", perform, sale(`"amount":0`), []string{"/params/amount minimum"}},
		{"too much", perform, sale(`"amount":100000000`), []string{"/params/amount maximum"}},
		{"most cashback", perform, sale(`"amount":1,"amountCashback":10000`), nil},
		{"more cashback", perform, sale(`"amount":1,"amountCashback":10001`), []string{"/params/amountCashback maximum"}},
		{"no sale, nothing taken", perform, `{"jsonrpc":"2.0","id":1,"method":"accountVerification","params":{"tid":"1","currency":"GBP","amount":0}}`, nil},
		{"longest code", perform, completion(strings.Repeat("9", 16)), nil},
		{"longer code", perform, completion(strings.Repeat("9", 17)), []string{"/params/authCode maxLength"}},
		{"empty code", perform, completion(""), []string{"/params/authCode minLength"}},
		{"any code elsewhere", perform, sale(`"amount":1,"authCode":"` + strings.Repeat("9", 40) + `"`), nil},
		{"two faults", perform, sale(`"amount":0,"colour":"red"`), []string{"/params/amount minimum", "/params/colour additionalProperties"}},
		{"two members missing", perform, `{"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":"1"}}`, []string{"/params/amount required", "/params/currency required"}},
		{"wrong currency belongs to the method", perform, `{"jsonrpc":"2.0","id":1,"method":"refund","params":{"tid":"1","currency":"USD","amount":1}}`, []string{"/params/currency enum"}},
		{"unknown method hides its params", perform, `{"jsonrpc":"2.0","id":1,"method":"gift","params":{}}`, []string{"/method enum"}},
		{"no method", perform, `{"jsonrpc":"2.0","id":1,"params":{"tid":"1","currency":"GBP","amount":1}}`, []string{"/method required"}},
		{"params by position", perform, `{"jsonrpc":"2.0","id":1,"method":"sale","params":[1]}`, []string{"/params type"}},
		{"an array", perform, `[]`, []string{" type"}},
		{"a name to escape", perform, sale(`"amount":1,"a/b~c":1`), []string{"/params/a~1b~0c additionalProperties"}},
		{"confirmed without more", lock, `{"jsonrpc":"2.0","id":1,"result":{"confirmed":true}}`, []string{"/result/amount required", "/result/currency required"}},
		{"refused", lock, `{"jsonrpc":"2.0","id":1,"result":{"confirmed":false}}`, nil},
		{"neither", lock, `{"jsonrpc":"2.0","id":1,"result":{}}`, []string{"/result/confirmed required"}},
		{"confirmed in words", lock, `{"jsonrpc":"2.0","id":1,"result":{"confirmed":"yes"}}`, []string{"/result/confirmed type"}},
		{"no list", list, `{"jsonrpc":"2.0","id":1,"result":{}}`, []string{"/result/tableIds required"}},
		{"empty list", list, `{"jsonrpc":"2.0","id":1,"result":{"tables":[]}}`, nil},
		{"list without currency", list, `{"jsonrpc":"2.0","id":1,"result":{"tableIds":["1"]}}`, []string{"/result/currency required"}},
	}
	v := compiled(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			faults, err := v.Check("v1", tt.file, []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range faults {
				got = append(got, f.Pointer+" "+f.Rule)
				if !strings.HasPrefix(f.Message, f.Pointer) || len(f.Message) < len(f.Pointer)+5 {
					t.Errorf("message %q says too little", f.Message)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheckRefuses(t *testing.T) {
	const file = "CtSR_duplicate_Request.json"
	tests := []struct {
		name, version, file, text string
		want                      error
	}{
		{"not JSON", "v1", file, `{`, ErrNotJSON},
		{"nothing", "v1", file, ``, ErrNotJSON},
		{"two values", "v1", file, `{} {}`, ErrNotJSON},
		{"rubbish behind", "v1", file, `{} x`, ErrNotJSON},
		{"one name twice", "v1", file, `{"id":1,"id":2}`, ErrNotJSON},
		{"invalid UTF-8", "v1", file, "{\"id\":\"\xff\"}", ErrNotJSON},
		{"a number to fill all memory", "v1", file, `{"id":1e999999999}`, ErrNotJSON},
		{"a number to fill all memory, small", "v1", file, `{"id":1e-999999999}`, ErrNotJSON},
		{"no such version", "v2", file, `{}`, ErrNoSchema},
		{"no such file", "v1", "CtSR_gift_Request.json", `{}`, ErrNoSchema},
	}
	v := compiled(t)
	for _, tt := range tests {
		if _, err := v.Check(tt.version, tt.file, []byte(tt.text)); !errors.Is(err, tt.want) {
			t.Errorf("%s: got error %v, want %v", tt.name, err, tt.want)
		}
	}
}

// A fault tells no value of the message: it may be one that must not be shown.
func TestFaultsTellNoValues(t *testing.T) {
	const secret = "4111111111111111"
	v := compiled(t)
	m, _ := spec.Default().Message(spec.PAC, "performTransaction")
	for _, e := range m.Examples {
		if e.Valid || !bytes.Contains(e.Text, []byte(secret)) {
			continue
		}
		s, _ := m.Schema(e.Version, e.Kind)
		faults, err := v.Check(e.Version, s.File, e.Text)
		if err != nil || len(faults) == 0 {
			t.Fatalf("%s: %v %v", e.Name, faults, err)
		}
		if strings.Contains(fmt.Sprint(faults), secret) {
			t.Errorf("%s: %v", e.Name, faults)
		}
		return
	}
	t.Error("no example has a whole card number")
}

func FuzzCheck(f *testing.F) {
	v := compiled(f)
	var files []spec.Schema
	for _, m := range spec.Default().Messages() {
		files = append(files, m.Schemas...)
		for _, e := range m.Examples {
			if e.Valid {
				f.Add(uint(len(files)-1), e.Text)
			}
		}
	}
	f.Fuzz(func(t *testing.T, n uint, text []byte) {
		s := files[n%uint(len(files))]
		faults, err := v.Check(s.Version, s.File, text)
		if err != nil {
			if !errors.Is(err, ErrNotJSON) {
				t.Fatal(err)
			}
			return
		}
		for _, fault := range faults {
			if fault.Rule == "" || fault.Message == "" {
				t.Errorf("%+v says too little", fault)
			}
		}
	})
}
