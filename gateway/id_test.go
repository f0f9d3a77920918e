package gateway_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/txn"
)

func TestRequestIDs(t *testing.T) {
	from := time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC)
	last := gateway.NewRequestID(from)
	for i, step := range []time.Duration{70 * 365 * 24 * time.Hour, time.Millisecond, 31 * time.Millisecond, time.Hour, 200 * 365 * 24 * time.Hour} {
		from = from.Add(step)
		next := gateway.NewRequestID(from)
		if next <= last || len(next) != len(last) {
			t.Errorf("step %d: %s does not sort behind %s", i, next, last)
		}
		last = next
	}
	seen := map[txn.RequestID]bool{}
	for range 1000 {
		id := gateway.NewRequestID(from)
		if seen[id] || !strings.HasPrefix(string(id), string(last[:10])) || len(id) != 30 {
			t.Fatalf("%s was there already, or does not begin as %s", id, last)
		}
		seen[id] = true
	}
}
