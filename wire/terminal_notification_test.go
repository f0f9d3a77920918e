package wire

import (
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// FuzzNotification holds the short way of writing a notification to what
// marshalling it gives.
func FuzzNotification(f *testing.F) {
	f.Add("PRESENT_CARD", "12345678")
	f.Add("", "")
	f.Add("a \"quoted\" \\ <value> & a tab\t, a null\x00", "\u2028 é 卡 😀")
	f.Add("no UTF-8: \xff\xc0", "\xed\xa0\x80")
	f.Fuzz(func(t *testing.T, value, tid string) {
		for _, v := range []Version{V0, V1} {
			n := TerminalNotification{NotificationValue: value, TerminalID: TerminalID{TID: tid}}
			want, err := json.Marshal(n.in(v), json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
			if err != nil {
				t.Fatal(err)
			}
			if got := Encode(v, n); string(got) != string(want) {
				t.Errorf("%s: got %s, want %s", v, got, want)
			}
		}
	})
}
