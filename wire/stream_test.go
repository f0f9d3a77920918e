package wire

import (
	"bytes"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/spec"
)

// TestNumbered: the examples of messages in a stream are read, and made, as they
// stand.
func TestNumbered(t *testing.T) {
	e, _ := spec.Default().Extension(ExtensionResume)
	seen := 0
	for _, m := range e.Messages {
		for _, x := range m.Examples {
			if !x.Valid || x.Direction != spec.ToEPOS {
				continue
			}
			seen++
			n := DecodeNumbered(x.Text)
			at := bytes.LastIndex(x.Text, []byte(`,"seq":`))
			if n.Seq < 1 || at < 0 {
				t.Errorf("%s: number %d", x.Name, n.Seq)
				continue
			}
			if again := Number(append(bytes.Clone(x.Text[:at]), '}'), n.Seq); string(again) != string(x.Text) {
				t.Errorf("made %s, want %s", again, x.Text)
			}
			gap := m.Name == "streamGap"
			if n.Unasked != gap || gap && (n.FirstKept != n.Seq+1 || n.Pointer != "/since" || n.Code != spec.CodeInvalidParams) {
				t.Errorf("%s: read %+v", x.Name, n)
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d examples", seen)
	}
	for _, nothing := range []string{
		``, `[]`, `{"jsonrpc":"2.0"}`, `{"seq":0}`, `{"seq":-1}`, `{"seq":"1"}`, `{"seq":1.5}`, `{"seq":1,"seq":2}`, `{"seq":1`,
	} {
		if n := DecodeNumbered([]byte(nothing)); n != (Numbered{}) {
			t.Errorf("%s: read %+v", nothing, n)
		}
	}
	got := DecodeNumbered([]byte(`{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"","data":{"firstKept":9}},"seq":4}`))
	if diff := cmp.Diff(Numbered{Seq: 4}, got); diff != "" {
		t.Errorf("an error that answers a request (-want +got):\n%s", diff)
	}
}

func FuzzNumbered(f *testing.F) {
	for _, m := range messages() {
		for _, e := range m.Examples {
			f.Add([]byte(e.Text), int64(7))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, seq int64) {
		if n := DecodeNumbered(data); n.Seq < 0 || n.Seq == 0 && n != (Numbered{}) {
			t.Errorf("%q: read %+v", data, n)
		}
		v := jsontext.Value(bytes.Clone(data))
		if seq < 1 || v.Compact() != nil || v.Kind() != '{' || len(v) == 2 || bytes.Contains(v, []byte(`"seq"`)) || bytes.Contains(v, []byte(`\`)) {
			return
		}
		numbered := Number(v, seq)
		if n := DecodeNumbered(numbered); jsontext.Value(numbered).IsValid() && n.Seq != seq && n != (Numbered{}) {
			t.Errorf("%s: read %+v", numbered, n)
		}
	})
}
