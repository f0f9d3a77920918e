package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/site/traffic"
)

func TestReadReplay(t *testing.T) {
	const text = `# A conversation.
# may differ: authCode
# may differ: time
till a v1
till b v0 pat final acks
till c v1 ext=keys,late
wait 1s
a> {"id":1}
wait 2s
a< {"id":1}
VCMDEMOSIP0| list      Tables
wait 1m
b> broken
a<
b< closed: 1008 too slow
wait 3s
wait 4s
visit T1 waiter=3 table=12
a closes
`
	s, err := readReplay(text)
	if err != nil {
		t.Fatal(err)
	}
	want := []replayStep{
		{line: 4, act: replayConnect, who: "a", version: "v1", face: "pac"},
		{line: 5, act: replayConnect, who: "b", version: "v0", face: "pat", final: true, extensions: []string{"acks"}},
		{line: 6, act: replayConnect, who: "c", version: "v1", face: "pac", extensions: []string{"keys", "late"}},
		{line: 7, act: replayWait, wait: time.Second},
		{line: 8, act: replaySend, who: "a", text: `{"id":1}`},
		{line: 10, act: replayReceive, who: "a", text: `{"id":1}`},
		{line: 12, act: replayWait, wait: time.Minute},
		{line: 13, act: replaySend, who: "b", text: "broken"},
		{line: 14, act: replayReceive, who: "a"},
		{line: 15, act: replayClosed, who: "b", text: "1008 too slow"},
		{line: 16, act: replayWait, wait: 3 * time.Second},
		{line: 17, act: replayWait, wait: 4 * time.Second},
		{line: 18, act: replayAtTerminal, words: []string{"visit", "T1", "waiter=3", "table=12"}},
		{line: 19, act: replayHangUp, who: "a"},
	}
	if diff := cmp.Diff(want, s.steps, cmp.AllowUnexported(replayStep{})); diff != "" {
		t.Errorf("(- want):\n%s", diff)
	}
	if len(s.differ) != 2 || !s.differ["time"] {
		t.Errorf("may differ: %v", s.differ)
	}
	if s, err := readReplay("till a v1"); err != nil || len(s.differ) != len(traffic.MayDiffer()) {
		t.Errorf("without a declaration: %v, %v", s, err)
	}
	for _, bad := range []string{"", "till a v2", "till a v1 loud", "till a.b v1", "till a v1\nwait long", "till a v1\nrestart", "till a v1\ncut T1"} {
		if _, err := readReplay(bad); err == nil {
			t.Errorf("%q can be read", bad)
		}
	}
}

func TestCompareMessages(t *testing.T) {
	differ := map[string]bool{"time": true, "receiptLines": true}
	tests := []struct{ name, want, got, diff string }{
		{"the same", `{"a":1,"b":[true,"x"]}`, `{"b":[true,"x"],"a":1}`, ""},
		{"another value", `{"a":1}`, `{"a":2}`, "/a: want 1, got 2"},
		{"another boolean", `{"a":true}`, `{"a":false}`, "/a: want true, got false"},
		{"another type", `{"a":1}`, `{"a":"1"}`, `/a: want 1, got "1"`},
		{"a member less", `{"a":1,"b":2}`, `{"a":1}`, "/b: want 2, got nothing"},
		{"a member more", `{"a":1}`, `{"a":1,"b/c":2}`, "/b~1c: want nothing, got 2"},
		{"in an array", `{"a":[{"x":1}]}`, `{"a":[{"x":2}]}`, "/a/0/x: want 1, got 2"},
		{"an array's length", `{"a":[1]}`, `{"a":[]}`, "/a: want 1 items, got 0"},
		{"may differ", `{"time":"1","x":{"time":"2"}}`, `{"time":"3","x":{"time":"4"}}`, ""},
		{"may differ, but not in its type", `{"time":"1"}`, `{"time":1}`, `/time: want "1", got 1`},
		{"shortened", `{"receiptLines":"12 lines"}`, `{"receiptLines":{"CUSTOMER":[]}}`, ""},
		{"left out", `{"id":1}`, `{"id":2}`, ""},
		{"escapes", `{"a":"\u0041"}`, `{"a":"A"}`, ""},
		{"no JSON", `x`, `y`, "another text\n  want x\n  got  y"},
		{"no JSON, the same", `x`, `x`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Join(compareMessages(tt.want, tt.got, differ, "/id"), "\n"); got != tt.diff {
				t.Errorf("got  %s\nwant %s", got, tt.diff)
			}
		})
	}
}

// TestRewrite: what a till says now of what it said.
func TestRewrite(t *testing.T) {
	p := &player{run: "RUN", keys: map[string]string{}, authCode: "789DE0", requestID: "r2"}
	till := &replayTill{ids: map[int]int{1: 7}}
	for _, tt := range []struct{ said, want string }{
		{`{"id":1,"result":{"accepted":true}}`, `{"id":7,"result":{"accepted":true}}`},
		{`{ "result":{"id":1}, "id" : 1 }`, `{ "result":{"id":1}, "id" : 7 }`},
		{`{"id":5,"result":{"accepted":true}}`, `{"id":5,"result":{"accepted":true}}`},
		{`{"id":1,"method":"sale","params":{"requestKey":"k1"}}`, `{"id":1,"method":"sale","params":{"requestKey":"replay-RUN-1"}}`},
		{`{"id":1,"method":"sale","params":{"requestKey":"k2"}}`, `{"id":1,"method":"sale","params":{"requestKey":"replay-RUN-2"}}`},
		{`{"id":2,"method":"sale","params":{"requestKey":"k1"}}`, `{"id":2,"method":"sale","params":{"requestKey":"replay-RUN-1"}}`},
		{`{"params":{"authCode":"$authCode","requestId":"$requestId"}}`, `{"params":{"authCode":"789DE0","requestId":"r2"}}`},
		{`{broken`, `{broken`},
	} {
		if got, err := p.rewrite(till, tt.said); err != nil || got != tt.want {
			t.Errorf("%s: %s, %v, want %s", tt.said, got, err, tt.want)
		}
	}
}

func FuzzReadReplay(f *testing.F) {
	f.Add("till a v1\na> {\"id\":1}\na< {\"id\":1,\"result\":{}}\nwait 1s\na closes")
	f.Add("# may differ: x\ntill b v0 pat final\nvisit T waiter=1\nb< closed: 1000")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := readReplay(text)
		if err != nil {
			return
		}
		if !slices.ContainsFunc(s.steps, func(step replayStep) bool { return step.act == replayConnect }) {
			t.Error("nobody is in it")
		}
		for _, step := range s.steps {
			if found := compareMessages(step.text, step.text, s.differ, ""); len(found) > 0 {
				t.Errorf("%q differs from itself: %q", step.text, found)
			}
		}
	})
}
