package traffic

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestWriteScript: what was said is written as the gateway's scenarios are.
func TestWriteScript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{Always: true, MaxText: 200})
		defer h.Close()
		a := h.Opened(Connection{Number: 1, Site: "demo", Face: FacePAC, Version: "v1", Extensions: []string{"keys", "late"}})
		b := h.Opened(Connection{Number: 2, Site: "demo", Face: FacePAT, Version: "v0", FinalReceipt: true, Extensions: []string{"acks"}})
		m := h.Opened(Connection{Number: 3, Site: "demo", Face: FaceTerminal})
		say := func(l *Line, s string) {
			l.Message(s[0] == '<', []byte(s[2:]))
			synctest.Wait()
		}
		say(a, "> {\"jsonrpc\":\"2.0\",\n \"id\":1,\"method\":\"preAuth\",\"params\":{\"tid\":\"T1\"}}")
		say(m, `> {"jsonrpc":"2.0","id":1,"method":"hello","params":{"tid":"T1"}}`)
		time.Sleep(1260 * time.Millisecond)
		say(a, `< {"jsonrpc":"2.0","id":1,"result":{"authCode":"789DE0"}}`)
		time.Sleep(20 * time.Millisecond)
		say(a, `> {"jsonrpc":"2.0","id":2,"method":"completion","params":{"tid":"T1","authCode": "789DE0"}}`)
		say(b, `< {"jsonrpc":"2.0","id":1,"method":"tableListRequest","params":{"tpi":"T1"}}`)
		say(a, `> {"card":"4111111111111111"}`)
		say(a, `> {"long":"`+string(make([]byte, 300))+`"}`)
		b.Closed(1008, false, "a newer connection")
		a.Closed(1000, true, "")
		synctest.Wait()
		got := WriteScript(h.Select(Filter{Site: "demo"}))
		want := `# Recorded 2000-01-01 00:00:00 UTC at site demo.
# A message was too long to be kept whole; it is missing here.
# A card number in a message was masked before it was kept.
# may differ: transactionId transactionNumber transactionTime time requestId
# may differ: paymentId authCode applicationId applicationLabel cardSchemeName
# may differ: primaryAccountNumber primaryAccountNumberSequence dateOfStart
# may differ: dateOfExpiry receiptLines reportTime reportLines balances
# may differ: banking seq
till a v1 ext=keys,late
till b v0 pat final acks
a> {"jsonrpc":"2.0","id":1,"method":"preAuth","params":{"tid":"T1"}}
wait 1.3s
a< {"jsonrpc":"2.0","id":1,"result":{"authCode":"789DE0"}}
a> {"jsonrpc":"2.0","id":2,"method":"completion","params":{"tid":"T1","authCode":"$authCode"}}
visit T1
b< {"jsonrpc":"2.0","id":1,"method":"tableListRequest","params":{"tpi":"T1"}}
a> {"card":"************1111"}
b< closed: 1008 a newer connection
a closes
`
		if diff := cmp.Diff(want, got.Text); diff != "" {
			t.Errorf("(- want):\n%s", diff)
		}
		if got.Tills != 2 || len(got.Notes) != 2 {
			t.Errorf("%d tills, notes %q", got.Tills, got.Notes)
		}
		if late := WriteScript(h.Of(1)[3:]); late.Tills != 1 || late.Notes[0] != "A connection was open before the recording began." {
			t.Errorf("a piece of it: %q", late.Notes)
		}
		if none := WriteScript(nil); none.Tills != 0 {
			t.Errorf("nothing is written as %+v", none)
		}
	})
}
