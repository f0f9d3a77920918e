package conform_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tillwire/tillwire/conform"
	"github.com/tillwire/tillwire/spec"
)

// Each line about tables is decided by one check, whose scene is whole.
func TestTableChecks(t *testing.T) {
	lines := map[string]spec.ChecklistLine{}
	for _, l := range spec.Default().Checklist() {
		lines[l.ID] = l
	}
	seen, steps := map[string]bool{}, map[string]*conform.Scene{}
	for _, c := range conform.TableChecks(conform.TableOptions{}) {
		if l := lines[c.ID]; l.Clause == "" || seen[c.ID] || l.Side == "pac" {
			t.Errorf("%s: no line about tables, or decided twice", c.ID)
		}
		seen[c.ID] = true
		if c.Scene == nil {
			continue
		}
		if c.Judge == nil || c.Scene.Play == nil || c.Scene.Text == "" || len(c.Acts) > 0 || c.Stands != nil {
			t.Errorf("%s: its scene is not whole, or not all that decides it", c.ID)
		}
		names := c.Steps()
		for i, a := range c.Scene.Steps {
			if (a.Order.Text == "") == (a.Question == "") || a.Judge != nil || a.Order.Method == "" {
				t.Errorf("%s: either an order or a question, with a method", names[i])
			}
			if other := steps[names[i]]; other != nil && other != c.Scene || slices.Index(names, names[i]) != i {
				t.Errorf("%s: the name is taken", names[i])
			}
			steps[names[i]] = c.Scene
		}
	}
	for id, l := range lines {
		if l.Side == "pat" && !seen[id] {
			t.Errorf("%s: no check decides it", id)
		}
	}
}

// talk is a conversation at a table as frames: lines that begin with "> " are the
// gateway's and with "< " the till's; "pong", "cut" and "back" are what they say.
func talk(text string) []conform.Frame {
	frames := []conform.Frame{}
	conn := 1
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		f := conform.Frame{Conn: conn, Kind: conform.Message}
		switch {
		case line == "":
			continue
		case line == "pong":
			f.Kind = conform.Pong
		case line == "cut":
			f.Kind, f.Cut = conform.Closed, true
		case line == "back":
			conn++
			f = conform.Frame{Conn: conn, Kind: conform.Opened, Version: "v1"}
		default:
			f.FromGateway, f.Text = line[0] == '>', strings.TrimSpace(line[1:])
		}
		frames = append(frames, f)
	}
	return frames
}

const (
	lock12    = `> {"id":2,"method":"tableLockRequest","params":{"tid":"A","waiterId":"1","tableId":"12","timeout":10}}` + "\n"
	lock12Yes = lock12 + `< {"id":2,"result":{"confirmed":true,"amount":6410,"currency":"GBP"}}` + "\n"
	unlock12  = `> {"method":"tableUnlock","params":{"tid":"A","waiterId":"1","tableId":"12"}}` + "\n"
	paid12    = `> {"method":"transactionResponse","params":{"tid":"A","tableId":"12","payments":[{"paymentId":"p","amountPaid":1000,"amountGratuity":100}]}}` + "\n"
	next12    = `> {"id":3,"method":"tableLockRequest","params":{"tid":"A","waiterId":"1","tableId":"12","timeout":10}}` + "\n"
)

func next12With(amount string) string {
	return next12 + `< {"id":3,"result":{"confirmed":true,"amount":` + amount + `,"currency":"GBP"}}` + "\n"
}

// Judges find what is wrong in conversations that are not as a scene has them.
func TestTableJudges(t *testing.T) {
	told := paid12 + "pong\n" + unlock12 + "pong\n"
	lost := lock12Yes + paid12 + "pong\ncut\nback\n" + told
	away := lock12Yes + "cut\nback\n" + told
	acked := `> {"id":9,"method":"transactionResponse","params":{"tid":"A","tableId":"12","payments":[{"paymentId":"p","amountPaid":1000,"amountGratuity":0}]}}` + "\n"
	tests := []struct {
		name, line, talk string
		state            conform.State
		hint             string
	}{
		{"nothing", "pat.list", "", conform.Open, "has not connected: are the address"},
		{"a text for a list", "pat.list", "> {\"id\":1,\"method\":\"tableListRequest\"}\n< {\"id\":1,\"result\":{\"tableIds\":\"12\"}}", conform.Failed, "array"},
		{"null for a list", "pat.list", "> {\"id\":1,\"method\":\"tableListRequest\"}\n< {\"id\":1,\"result\":{\"tableIds\":null}}", conform.Failed, "array"},
		{"another name for the list", "pat.list", "> {\"id\":1,\"method\":\"tableListRequest\"}\n< {\"id\":1,\"result\":{\"tables\":[\"12\"]}}", conform.Open, "while the table was locked"},
		{"another id", "pat.list", "> {\"id\":1,\"method\":\"tableListRequest\"}\n< {\"id\":7,\"result\":{\"tableIds\":[]}}", conform.Failed, "bears the id 7"},
		{"cut before the answer", "pat.list", "> {\"id\":1,\"method\":\"tableListRequest\"}\ncut", conform.Open, "the connection ended"},
		{"answered on the next connection only", "pat.list", "> {\"id\":1,\"method\":\"tableListRequest\"}\ncut\nback\n< {\"id\":1,\"result\":{\"tableIds\":[]}}", conform.Open, "the connection ended"},

		{"the gateway blames the answer", "pat.lock", lock12Yes + `> {"id":2,"error":{"code":-32602,"message":"Invalid params: something"}}`, conform.Failed, "Invalid params: something"},
		{"it blames without an id", "pat.lock", lock12Yes + `> {"error":{"code":-32600,"message":"Invalid Request"}}`, conform.Failed, "Invalid Request"},
		{"another answer after that", "pat.lock", lock12Yes + `> {"id":2,"error":{"code":-32602,"message":"Invalid params"}}` + "\n" + `< {"id":2,"result":{"confirmed":true,"amount":6410,"currency":"GBP"}}`, conform.Open, "nobody can edit"},
		{"an exponent", "pat.lock", lock12 + `< {"id":2,"result":{"confirmed":true,"amount":6.41e3,"currency":"GBP"}}`, conform.Failed, "6.41e3"},
		{"too little", "pat.lock", lock12 + `< {"id":2,"result":{"confirmed":true,"amount":6409,"currency":"GBP"}}`, conform.Failed, "6409"},
		{"euros", "pat.lock", lock12 + `< {"id":2,"result":{"confirmed":true,"amount":6410,"currency":"EUR"}}`, conform.Failed, "GBP"},
		{"null for an answer", "pat.lock", lock12 + `< {"id":2,"result":null}`, conform.Failed, "confirmed"},

		{"an unlock without a next lock", "pat.unlock", lock12Yes + unlock12, conform.Open, "asked for again"},
		{"another machine's unlock", "pat.unlock", lock12Yes + strings.ReplaceAll(unlock12, `"A"`, `"B"`) + next12 + `< {"id":3,"result":{"confirmed":false}}`, conform.Open, "asked for again"},
		{"refused after the unlock", "pat.unlock", lock12Yes + unlock12 + next12 + `< {"id":3,"result":{"confirmed":false}}`, conform.Failed, "after it was unlocked"},
		{"locked after the unlock", "pat.unlock", lock12Yes + unlock12 + next12With("6410"), conform.Passed, ""},

		{"gratuity taken off", "pat.gratuity", lock12Yes + told + next12With("5310"), conform.Failed, "1.00"},
		{"gratuity on top", "pat.gratuity", lock12Yes + told + next12With("5410"), conform.Open, "the gratuity is booked"},
		{"nothing booked", "pat.split", lock12Yes + told + next12With("6410"), conform.Failed, "54.10"},
		{"closed", "pat.split", lock12Yes + told + next12 + `< {"id":3,"result":{"confirmed":false}}`, conform.Failed, "54.10"},

		{"told once", "pat.once", lock12Yes + told + next12With("5410"), conform.Open, "second time"},
		{"told twice, booked once", "pat.once", lost + next12With("5410"), conform.Passed, ""},
		{"told twice, booked twice", "pat.once", lost + next12With("4410"), conform.Failed, "booked twice"},
		{"told twice, not booked", "pat.once", lost + next12With("6410"), conform.Failed, "not booked"},
		{"told twice, something booked", "pat.once", lost + next12With("1"), conform.Failed, "0.01"},
		{"no pong", "pat.once", lock12Yes + paid12, conform.Failed, "ping"},
		{"not recorded", "pat.once", lock12Yes + acked + `< {"id":9,"result":{"recorded":false}}`, conform.Failed, "recorded"},
		{"an error for recorded", "pat.once", lock12Yes + acked + `< {"id":9,"error":{"code":-32601,"message":"what?"}}`, conform.Failed, "recorded"},

		{"told when it is back, booked", "pat.offline", away + next12With("5410"), conform.Passed, ""},
		{"told when it is back, not booked", "pat.offline", away + next12With("6410"), conform.Failed, "while it was away"},
		{"told when it is back, still locked", "pat.offline", away + next12 + `< {"id":3,"result":{"confirmed":false}}`, conform.Failed, "refuses"},
		{"it does not come back", "pat.offline", lock12Yes + "cut", conform.Failed, "come back"},

		{"a bill of nothing", "pat.bill", bill(`[]`), conform.Failed, "no text"},
		{"a bill of texts", "pat.bill", bill(`["TABLE 12"]`), conform.Failed, "array of lines"},
		{"a line of a terminal", "pat.bill", bill(`[{"type":"BOX_VOID","format":[],"value":"VOID"}]`), conform.Failed, "line 0"},
		{"a line without a value", "pat.bill", bill(`[{"type":"TEXT","format":[],"value":"A"},{"type":"TICKET_FEED","format":[]}]`), conform.Failed, "line 1"},
		{"a format that is a text", "pat.bill", bill(`[{"type":"TEXT","format":"BOLD","value":"A"}]`), conform.Failed, "format"},
		{"a bill", "pat.bill", bill(`[{"type":"TEXT","value":"TABLE 12"}]`), conform.Passed, ""},
	}
	checks := map[string]conform.Check{}
	for _, c := range conform.TableChecks(conform.TableOptions{}) {
		checks[c.ID] = c
	}
	for _, tt := range tests {
		t.Run(tt.line+"/"+tt.name, func(t *testing.T) {
			order := conform.Order{Table: "12", Amount: 6410, Currency: "GBP", Waiter: "1"}
			frames := talk(tt.talk)
			v := checks[tt.line].Judge(&conform.Seen{Order: order, Frames: frames})
			if v.State != tt.state || !strings.Contains(v.Hint, tt.hint) {
				t.Errorf("%q: %s; want %q: …%s…", v.State, v.Hint, tt.state, tt.hint)
			}
			for _, n := range v.Frames {
				if n < 0 || n >= len(frames) {
					t.Errorf("names frame %d", n)
				}
			}
		})
	}
}

// A till that opens a second connection beside its first is noticed, and one whose
// connection was lost before is not taken for it.
func TestTwoConnections(t *testing.T) {
	opened := func(n int) conform.Frame { return conform.Frame{Conn: n, Kind: conform.Opened} }
	closed := func(n int, byTill, cut bool) conform.Frame {
		return conform.Frame{Conn: n, Kind: conform.Closed, ByTill: byTill, Cut: cut}
	}
	for name, tt := range map[string]struct {
		before []conform.Frame
		want   conform.State
	}{
		"one":                       {[]conform.Frame{opened(1)}, conform.Passed},
		"one after the other":       {[]conform.Frame{opened(1), closed(1, true, false), opened(2)}, conform.Passed},
		"lost":                      {[]conform.Frame{opened(1), closed(1, false, true), opened(2)}, conform.Passed},
		"two":                       {[]conform.Frame{opened(1), opened(2), closed(1, false, false)}, conform.Failed},
		"two, the second gone":      {[]conform.Frame{opened(1), opened(2), closed(2, true, false)}, conform.Passed},
		"the first was just ending": {[]conform.Frame{opened(1), opened(2), closed(1, true, false)}, conform.Passed},
	} {
		t.Run(name, func(t *testing.T) {
			for _, c := range conform.TableChecks(conform.TableOptions{}) {
				if c.ID != "pat.oneConnection" {
					continue
				}
				v := c.Judge(&conform.Seen{Before: tt.before, Frames: []conform.Frame{closed(2, false, false)}})
				if v.State != tt.want {
					t.Errorf("%q: %s; want %q", v.State, v.Hint, tt.want)
				}
			}
		})
	}
}

// A pong acknowledges what was said before its ping, and nothing later.
func TestPongOfAnEarlierPing(t *testing.T) {
	told := time.Date(2026, 10, 7, 21, 4, 11, 0, time.UTC)
	for _, tt := range []struct {
		pinged time.Time
		hint   string
	}{
		{told.Add(-time.Second), "has not answered the ping that followed"},
		{told, "second time"},
		{told.Add(time.Second), "second time"},
	} {
		frames := talk(lock12Yes + paid12 + "pong\n")
		frames[2].At, frames[3].Pinged = told, tt.pinged
		for _, c := range conform.TableChecks(conform.TableOptions{}) {
			if c.ID != "pat.once" {
				continue
			}
			v := c.Judge(&conform.Seen{Order: conform.Order{Table: "12"}, Frames: frames})
			if !strings.Contains(v.Hint, tt.hint) {
				t.Errorf("pinged %v after: %q: %s; want …%s…", tt.pinged.Sub(told), v.State, v.Hint, tt.hint)
			}
		}
	}
}

func bill(lines string) string {
	return `> {"id":4,"method":"posReceiptRequest","params":{"tid":"A","tableId":"12"}}` + "\n" + `< {"id":4,"result":{"receiptLines":` + lines + `}}`
}
