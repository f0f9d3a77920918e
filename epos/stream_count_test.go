package epos

import (
	"testing"
	"time"
)

// TestStreamCounts: what comes twice is dropped, what is missing is noticed, and
// what is about the stream itself is nobody else's.
func TestStreamCounts(t *testing.T) {
	s := newStream(Options{}, "ws://host/pac?stream=a", nil, nil)
	s.again = 1
	for _, step := range []struct {
		message     string
		fresh       bool
		gaps, turns int
		since       string
	}{
		{`{"jsonrpc":"2.0","method":"terminalNotification"}`, true, 0, 0, ""}, // not numbered: for the peer to judge
		{`{"seq":7,"method":"signatureVerificationRequest","id":1}`, true, 0, 0, "&since=7"},
		{`{"seq":8,"id":1,"result":{}}`, true, 0, 0, "&since=8"},
		{`{"seq":8,"id":1,"result":{}}`, false, 0, 0, "&since=8"},
		{`{"seq":7,"method":"signatureVerificationRequest","id":1}`, false, 0, 0, "&since=8"},
		{`{"seq":10,"id":2,"result":{}}`, true, 1, 1, "&since=10"},
		{`{"seq":11,"error":{"code":-32602,"message":"","data":{"pointer":"/since","firstKept":12}}}`, false, 2, 2, "&since=11"},
		{`{"seq":19,"error":{"code":-32602,"message":"","data":{"firstKept":20}}}`, false, 3, 3, "&since=19"},
		{`{"seq":20,"error":{"code":-32600,"message":"","data":{"pointer":"/id"}}}`, false, 4, 4, "&since=20"},
		{`{"seq":21,"id":4,"error":{"code":-32600,"message":"","data":{"pointer":"/id"}}}`, true, 4, 4, "&since=21"},
		{`{"seq":22,"error":{"code":-32075,"message":""}}`, false, 4, 4, "&since=22"}, // to the answer that went out twice
		{`{"seq":23,"error":{"code":-32075,"message":""}}`, true, 4, 4, "&since=23"},
		{`{"seq":24,"error":{"code":-32074,"message":""}}`, true, 4, 4, "&since=24"},
	} {
		fresh := s.fresh([]byte(step.message))
		if fresh != step.fresh || s.gaps != step.gaps || s.turns != step.turns || s.since() != s.address+step.since {
			t.Errorf("%s: fresh %t, %d gaps, %d turns, %s", step.message, fresh, s.gaps, s.turns, s.since())
		}
	}
	s.cancel()
}

// TestStreamPauses: lines that break as soon as they are opened are not opened
// for ever as fast as that.
func TestStreamPauses(t *testing.T) {
	for short, want := range map[int]time.Duration{0: 0, 1: 0, 2: 0, 3: firstPause, 4: 2 * firstPause, 8: 16 * time.Second, 9: lastPause, 1 << 20: lastPause} {
		if got := afterShort(short); got != want {
			t.Errorf("after %d: %v, want %v", short, got, want)
		}
	}
}
