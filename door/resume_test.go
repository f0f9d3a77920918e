package door

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/gateway"
)

const toStream = "/pac?token=" + planted + "good&api-version=v1&software-house-id=S&installer-id=I&extensions=keys,resume&stream="

// heard is a message of a stream.
type heard struct {
	text   string
	Seq    int64          `json:"seq"`
	ID     *int           `json:"id"`
	Method string         `json:"method"`
	Result jsontext.Value `json:"result"`
	Error  *struct {
		Code int `json:"code"`
		Data struct {
			FirstKept int64 `json:"firstKept"`
		} `json:"data"`
	} `json:"error"`
}

func (c *till) numbered() heard {
	c.t.Helper()
	text, err := c.hear()
	if err != nil {
		c.t.Fatal(err)
	}
	m := heard{text: text}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		c.t.Fatalf("%s: %v", text, err)
	}
	return m
}

// TestResume has the line of a signature sale cut before the question can be
// answered. The next connection of the stream is asked once more, under the same
// number, and has the result under the id of the request.
func TestResume(t *testing.T) {
	r, _ := openShop(t)
	first := r.dial(toStream + "till-1")
	first.say(`{"jsonrpc":"2.0","id":7,"method":"sale","params":{"tid":"VCMDEMOSIS0","currency":"GBP","amount":1250}}`)
	var question heard
	for want := int64(1); question.Method != "signatureVerificationRequest"; want++ {
		if question = first.numbered(); question.Seq != want {
			t.Fatalf("%s, want number %d", question.text, want)
		}
	}
	_ = first.CloseNow()

	second := r.dial(fmt.Sprintf("%still-1&since=%d", toStream, question.Seq-1))
	if again := second.numbered(); again.text != question.text {
		t.Fatalf("replayed %s, want %s", again.text, question.text)
	}
	if next := second.numbered(); next.Seq != question.Seq+1 || next.Method != "terminalNotification" {
		t.Errorf("then %s", next.text)
	}

	// The newest wins, and answers for the stream.
	third := r.dial(fmt.Sprintf("%still-1&since=%d", toStream, question.Seq+1))
	second.closed(websocket.StatusPolicyViolation)
	third.say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":{"accepted":true}}`, *question.ID))
	last := question.Seq + 1
	for {
		m := third.numbered()
		if last++; m.Seq != last {
			t.Fatalf("%s, want number %d", m.text, last)
		}
		if m.Result == nil {
			continue
		}
		if *m.ID != 7 || !strings.Contains(m.text, `"transactionResult":"SUCCESSFUL"`) {
			t.Errorf("ended with %s", m.text)
		}
		break
	}

	// All that it was sent is there for the asking, and nothing beyond.
	fourth := r.dial(toStream + "till-1&since=0")
	for want := int64(1); want <= last; want++ {
		if want == question.Seq {
			continue // answered: it is not asked again
		}
		if m := fourth.numbered(); m.Seq != want {
			t.Fatalf("%s, want number %d", m.text, want)
		}
	}
	fifth := r.dial(fmt.Sprintf("%still-1&since=%d", toStream, last+40))
	gap := fifth.numbered()
	if gap.Error == nil || gap.Error.Code != -32602 || gap.ID != nil || gap.Error.Data.FirstKept != last+42 || gap.Seq != last+41 {
		t.Errorf("told %s", gap.text)
	}
	fifth.say(`{"jsonrpc":"2.0","id":8,"method":"connectedTerminals"}`)
	if m := fifth.numbered(); m.Seq != gap.Error.Data.FirstKept || *m.ID != 8 {
		t.Errorf("then %s, want number %d", m.text, gap.Error.Data.FirstKept)
	}
}

// TestResumeRefused: what cannot be a stream is not opened.
func TestResumeRefused(t *testing.T) {
	r := openReal(t, gateway.Limits{})
	const pac, v1 = "/pac?token=" + planted + "good", "&api-version=v1&software-house-id=S&installer-id=I"
	for _, tt := range []struct {
		query  string
		status int
		says   string
	}{
		{pac + v1 + "&extensions=resume", 422, "stream=<name>"},
		{pac + "&extensions=resume", 422, "stream=<name>"},
		{pac + v1 + "&extensions=resume&since=4", 422, "stream=<name>"},
		{pac + v1 + "&stream=a", 422, "Add resume"},
		{pac + v1 + "&since=4", 422, "Add resume"},
		{pac + v1 + "&extensions=keys&stream=a", 422, "Add resume"},
		{pac + v1 + "&extensions=resume&stream=", 400, "1 to 64"},
		{pac + v1 + "&extensions=resume&stream=" + strings.Repeat("x", 65), 400, "1 to 64"},
		{pac + v1 + "&extensions=resume&stream=a%0Ab", 400, "1 to 64"},
		{pac + v1 + "&extensions=resume&stream=a%FF", 400, "1 to 64"},
		{pac + v1 + "&extensions=resume&stream=a&stream=b", 400, "once"},
		{pac + v1 + "&extensions=resume&stream=a&since=1&since=2", 400, "once"},
		{pac + v1 + "&extensions=resume&stream=a&since=", 400, "integer"},
		{pac + v1 + "&extensions=resume&stream=a&since=-1", 400, "integer"},
		{pac + v1 + "&extensions=resume&stream=a&since=1.0", 400, "integer"},
		{pac + v1 + "&extensions=resume&stream=a&since=1000000000000", 400, "integer"},
		{"/pat?token=" + planted + "good" + v1 + "&extensions=resume&stream=a", 400, "resume"},
	} {
		res, body := r.get("GET", tt.query, upgrade())
		if res.StatusCode != tt.status || !strings.Contains(body, tt.says) {
			t.Errorf("%s: %d %s, want %d with %q", strings.TrimPrefix(tt.query, pac), res.StatusCode, body, tt.status, tt.says)
		}
	}
	c := r.dial(pac + v1 + "&extensions=resume&stream=" + url.QueryEscape("Kasse 1 – Bäckerei"))
	c.say(`{"jsonrpc":"2.0","id":1,"method":"connectedTerminals"}`)
	if m := c.numbered(); m.Seq != 1 {
		t.Errorf("told %s", m.text)
	}
}
