package conform

import (
	"strings"
	"testing"
)

// What a till did in place of what was ordered is said, so that nobody has to
// look for it.
func TestAbsent(t *testing.T) {
	for _, tt := range []struct {
		name   string
		frames []Frame
		met    bool
		want   string
	}{
		{"nothing ever came", nil, false, `"sale" came from the till, which has not connected yet: are the address and the key`},
		{"nothing came this time", nil, true, `no request "sale" came from the till`},
		{"it has connected", []Frame{{Kind: Opened}}, false, `no request "sale" came from the till`},
		{"another key", []Frame{{Kind: Refused, Status: 401, WrongKey: true}}, false, "refused as it connected: its key (token) is not that of this check"},
		{"another path", []Frame{{Kind: Refused, Status: 404, Path: "/pay"}}, false, "the path of the address is /pay"},
		{"no partner ids", []Frame{{Kind: Refused, Status: 422}}, false, "software-house-id or installer-id is missing"},
		{"no WebSocket", []Frame{{Kind: Refused, Status: 426}}, false, "did not ask for a WebSocket"},
		{"anything else", []Frame{{Kind: Refused, Status: 400}}, false, "status 400"},
		{"another method", []Frame{{Kind: Opened}, {Kind: Message, Text: `{"jsonrpc":"2.0","id":1,"method":"performTransaction"}`}}, false, `but one by the method "performTransaction"`},
		{"no JSON", []Frame{{Kind: Opened}, {Kind: Message, Text: `<sale/>`}}, false, "something that is not one JSON object"},
		{"an answer", []Frame{{Kind: Message, FromGateway: true, Text: `{"jsonrpc":"2.0","id":1,"method":"signatureVerificationRequest"}`}}, true, `no request "sale" came from the till`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := (&Seen{Frames: tt.frames, met: tt.met}).absent("sale")
			if v.State != Open || !strings.Contains(v.Hint, tt.want) || strings.HasSuffix(tt.want, "till") && v.Hint != tt.want {
				t.Errorf("%q, want %q", v.Hint, tt.want)
			}
		})
	}
}
