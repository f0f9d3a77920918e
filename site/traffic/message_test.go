package traffic

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/spec"
)

func TestMasked(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"nothing", `{"id":1,"amount":1250}`, `{"id":1,"amount":1250}`},
		{"a text", `{"a":"4111111111111111","b":1}`, `{"a":"************1111","b":1}`},
		{"in a text", `["card 4111 1111 1111 1111, thanks"]`, `["card **** **** **** 1111, thanks"]`},
		{"a number", `{"a":4111111111111111,"b":1}`, `{"a":"************1111","b":1}`},
		{"escapes", `{"a":"4\u0031111111\u00311111111"}`, `{"a":"************1111"}`},
		{"a name of a field", `{"pan":"12345","primaryAccountNumber":"************1234"}`, `{"pan":"************2345","primaryAccountNumber":"************1234"}`},
		{"a UUID", `{"paymentId":"00000000-0000-4000-8000-000000000001"}`, `{"paymentId":"00000000-0000-4000-8000-000000000001"}`},
		{"no JSON", `4111 1111 1111 1111 is it`, `**** **** **** 1111 is it`},
		{"two values", `41111111 11111111`, `************1111`},
		{"broken behind", `{"x": 4111111111111111, broken 4111111111111111`, `{"x": "************1111", broken ************1111`},
		{"white space", "{ \"a\" :\t\"4111111111111111\" }\n", "{ \"a\" :\t\"************1111\" }\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, changed := masked([]byte(tt.in))
			if got != tt.want && strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(tt.want, " ", "") {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if len(changed) > 0 != (tt.in != tt.want) {
				t.Errorf("masked at %v", changed)
			}
		})
	}
}

// TestCutInACardNumber: what is left of a number at the end of a text that was
// cut goes too.
func TestCutInACardNumber(t *testing.T) {
	h := open(t, Options{MaxText: 40})
	l := h.Opened(till)
	l.Message(false, []byte(`{"note":"é paid with 4111 1111 1111 1111 today"}`))
	m := all(t, h, 2)[1]
	if !m.Cut || strings.Contains(m.Text, "4111") || m.Size != 49 {
		t.Errorf("kept %+v", m)
	}
	if m.Kind != Unreadable {
		t.Errorf("it is %s", m.Kind)
	}
}

func FuzzMessage(f *testing.F) {
	for _, m := range spec.Default().Messages() {
		for _, e := range m.Examples {
			f.Add(e.Text)
		}
	}
	f.Add([]byte(`{"primaryAccountNumber":4111111111111111,"a":["4111 1111 1111 1111"]} 4111111111111111`))
	f.Add([]byte(`{"a":"\u0034111111111111111"}`))
	judge := NewJudge()
	f.Fuzz(func(t *testing.T, text []byte) {
		if !utf8.Valid(text) {
			return // the socket lets none through
		}
		h := &Hub{opt: Options{MaxText: 1 << 10}}
		m := newMessage(event{line: &Line{Connection: till, hub: h}, text: text, size: len(text)})
		if m.Kind == "" || m.ID < NoID || m.ID > maxID {
			t.Errorf("%q is read as %+v", text, m)
		}
		if again := receipt.MaskPANs(m.Text); jsontext.Value(m.Text).IsValid() && again != m.Text {
			// In JSON a number of a card can only lie in one value.
			if inner, _ := masked([]byte(m.Text)); inner != m.Text {
				t.Errorf("%q is kept as %q", text, m.Text)
			}
		}
		if jsontext.Value(text).IsValid() && !jsontext.Value(m.Text).IsValid() {
			t.Errorf("%q is no JSON any more: %q", text, m.Text)
		}
		v := judge.Judge(m)
		rows := Layout(m.Text, v)
		if len(text) > 0 && len(rows) == 0 {
			t.Errorf("%q has no lines", text)
		}
		marks := 0
		for _, r := range rows {
			marks += len(r.Marks)
		}
		if marks != len(v.Deviations) && len(rows) > 0 {
			t.Errorf("%q: %d of %d deviations are marked", text, marks, len(v.Deviations))
		}
	})
}

// scenarioLine is a till, or what it said or got.
var scenarioLine = regexp.MustCompile(`^(till) (\w+) (v\d) ?(.*)$|^(\w+)([<>]) (.*)$`)

// TestMatchesOfScenarios: in every conversation of the gateway's tests each reply
// finds its request, and what the gateway says deviates nowhere.
func TestMatchesOfScenarios(t *testing.T) {
	files, err := filepath.Glob("../../gateway/testdata/scenario/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	judge := NewJudge()
	replies, within := 0, 0
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			h := open(t, Options{Messages: 100_000, Queue: 100_000, Bytes: 100 << 20})
			lines := map[string]*Line{}
			n := uint64(0)
			for line := range strings.SplitSeq(string(text), "\n") {
				f := scenarioLine.FindStringSubmatch(line)
				switch {
				case f == nil:
				case f[1] == "till":
					lines[f[2]] = h.Opened(connectionOf(len(lines), f[3], f[4]))
					n++
				case lines[f[5]] != nil && !strings.HasPrefix(f[7], "closed"):
					message := shortened.ReplaceAllString(f[7], `"$1":[]`)
					message = numbered.ReplaceAllString(message, "00000000-0000-4000-8000-00000000000$1")
					lines[f[5]].Message(f[6] == "<", []byte(message))
					n++
				}
			}
			for _, m := range all(t, h, n) {
				if m.Kind == Reply && m.FromGateway {
					replies++
					if m.Answers == 0 || m.Method == "" {
						t.Errorf("nobody asked for %s", m.Text)
					}
				}
				if m.Of != 0 {
					within++
				}
				if m.Kind == Error && m.FromGateway && m.Answers == 0 && m.About == 0 && !strings.Contains(m.Text, "-32076") {
					t.Errorf("nothing is known of %s", m.Text)
				}
				if v := judge.Judge(m); m.FromGateway {
					for _, d := range v.Deviations {
						if strings.HasSuffix(d.Pointer, "/receiptLines") {
							continue // shortened in these files
						}
						t.Errorf("%s\n%s", m.Text, d.Text)
					}
				}
			}
		})
	}
	if replies < 50 || within < 100 {
		t.Errorf("only %d replies and %d messages of transactions", replies, within)
	}
}

// shortened is how these files write the lines of a receipt, numbered how they
// write ids.
var (
	shortened = regexp.MustCompile(`"(receiptLines|reportLines)":"\d+ lines[^"]*"`)
	numbered  = regexp.MustCompile(`payment (\d)`)
)

func connectionOf(n int, version, words string) Connection {
	c := Connection{Number: uint64(n + 1), Site: "demo", Face: FacePAC, Version: version}
	for _, w := range strings.Fields(words) {
		switch {
		case w == "pat":
			c.Face = FacePAT
		case w == "acks":
			c.Extensions = append(c.Extensions, w)
		case strings.HasPrefix(w, "ext="):
			c.Extensions = append(c.Extensions, strings.Split(w[4:], ",")...)
		}
	}
	return c
}

// TestMatch: the ways in which a reply finds its request.
func TestMatch(t *testing.T) {
	const (
		sale   = `> {"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":"T1","currency":"GBP","amount":1}}`
		cancel = `> {"jsonrpc":"2.0","id":1,"method":"cancelTransaction","params":{"tid":"T1"}}`
		list   = `> {"jsonrpc":"2.0","id":1,"method":"connectedTerminals"}`
		sign   = `< {"jsonrpc":"2.0","id":7,"method":"signatureVerificationRequest","params":{"tid":"T1"}}`
		note   = `< {"jsonrpc":"2.0","method":"terminalNotification","params":{"notificationValue":"PIN_ENTRY","tid":"T1"}}`
		paid   = `< {"jsonrpc":"2.0","id":1,"result":{"tid":"T1","transactionType":"SALE","transactionResult":"SUCCESSFUL","transactionId":"1","transactionNumber":"1","transactionTime":"2026-10-07T12:30:15","currency":"GBP","amountBase":1,"amountCashback":0,"amountGratuity":0,"amountTotal":1,"paymentMethod":"ICC_CHIP","cardholderVerificationMethod":"PIN","cardSchemeName":"","applicationId":"","applicationLabel":"","authCode":"","primaryAccountNumber":"","primaryAccountNumberSequence":"","dateOfStart":"","dateOfExpiry":"","receiptLines":{"MERCHANT":[],"CUSTOMER":[]}}}`
	)
	tests := []struct {
		name string
		said []string
		want string // of each message: what it answers, or is about with a ?, and @ what it is part of
	}{
		{"a sale", []string{sale, note, paid}, "- -@1 1"},
		{"after the end nothing is part of it", []string{sale, paid, note}, "- 1 -"},
		{"one id for a sale, its cancel and a list", []string{sale, cancel, list, `< {"jsonrpc":"2.0","id":1,"result":{"cancelling":true}}`, `< {"jsonrpc":"2.0","id":1,"result":[]}`, paid}, "- -@1 - 2 3 1"},
		{"an error beside a sale of the same id", []string{sale, cancel, `< {"jsonrpc":"2.0","id":1,"error":{"code":-32073,"message":"m"}}`, paid}, "- -@1 2 1"},
		{"an id in flight is refused without it", []string{sale, sale, `< {"jsonrpc":"2.0","error":{"code":-32600,"message":"id 1"}}`, note, paid}, "- - 2? -@1 1"},
		{"a signature", []string{sale, sign, `> {"jsonrpc":"2.0","id":7,"result":{"accepted":true}}`, paid}, "- -@1 2 1"},
		{"a signature by the sale's id", []string{sale, sign, `> {"jsonrpc":"2.0","id":1,"result":{"accepted":true}}`, paid}, "- -@1 2 1"},
		{"an answer to nothing", []string{`> {"jsonrpc":"2.0","id":3,"result":{"accepted":true}}`}, "-"},
		{"each side has its ids", []string{sale, `< {"jsonrpc":"2.0","id":1,"method":"signatureVerificationRequest","params":{"tid":"T1"}}`, `> {"jsonrpc":"2.0","id":1,"result":{"accepted":true}}`, paid}, "- -@1 2 1"},
		{"not JSON", []string{`> {`, `< {"jsonrpc":"2.0","error":{"code":-32700,"message":"m"}}`}, "- 1?"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := open(t, Options{})
			l := h.Opened(till)
			for _, s := range tt.said {
				l.Message(s[0] == '<', []byte(s[2:]))
			}
			var got []string
			for _, m := range all(t, h, uint64(len(tt.said))+1)[1:] {
				word := "-"
				if m.Answers > 0 {
					word = fmt.Sprint(m.Answers - 1) // the opening is 1
					if a := h.Message(m.Answers); a.Answer() != m.Seq {
						t.Errorf("%d does not know its answer", a.Seq)
					}
				}
				if m.About > 0 {
					word = fmt.Sprint(m.About-1) + "?"
				}
				if m.Of > 0 {
					word += fmt.Sprintf("@%d", m.Of-1)
				}
				got = append(got, word)
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("got %s, want %s", s, tt.want)
			}
		})
	}
}

// TestTerminalLine: a terminal is known by its hello, and what it tells by the
// request's id.
func TestTerminalLine(t *testing.T) {
	h := open(t, Options{})
	l := h.Opened(Connection{Number: 1, Site: "demo", Face: FaceTerminal})
	for _, s := range []string{
		`> {"jsonrpc":"2.0","id":1,"method":"hello","params":{"tid":"10001234","linkVersion":1,"capabilities":{"currency":"GBP","types":["SALE"]}}}`,
		`< {"jsonrpc":"2.0","id":1,"result":{"linkVersion":1}}`,
		`< {"jsonrpc":"2.0","id":1,"method":"start","params":{"requestId":"r1","transaction":{"type":"SALE","currency":"GBP","amountBase":1250}}}`,
		`> {"jsonrpc":"2.0","id":1,"result":{"answer":"yes"}}`,
		`> {"jsonrpc":"2.0","method":"notified","params":{"requestId":"r1","value":"PIN_ENTRY"}}`,
		`< {"jsonrpc":"2.0","id":2,"method":"acknowledge","params":{"requestId":"r1"}}`,
	} {
		l.Message(s[0] == '<', []byte(s[2:]))
	}
	var got []string
	for _, m := range all(t, h, 7)[1:] {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s %d %d", m.TID, m.Method, m.Note, m.Answers, m.Of)))
	}
	want := []string{
		"10001234 hello  0 0", "10001234 hello  2 0", "10001234 start  0 0", "10001234 start  4 4",
		"10001234 notified PIN_ENTRY 0 4", "10001234 acknowledge  0 4",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if l.TID() != "10001234" {
		t.Errorf("the terminal is %q", l.TID())
	}
}
