package gateway

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	for name, c := range map[string]struct {
		perSecond float64
		burst     int
		at        []time.Duration
		want      []bool
	}{
		"a burst, then one as each is due": {
			10, 3,
			[]time.Duration{0, 0, 0, 0, 99 * time.Millisecond, 100 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond},
			[]bool{true, true, true, false, false, true, false, true},
		},
		"rest gives no more than a burst": {
			10, 2,
			[]time.Duration{time.Hour, time.Hour, time.Hour, time.Hour + 100*time.Millisecond},
			[]bool{true, true, false, true},
		},
		"what is refused costs nothing": {
			1, 1,
			[]time.Duration{0, 0, 0, time.Second},
			[]bool{true, false, false, true},
		},
		"no burst is nothing":    {10, 0, []time.Duration{0, time.Hour}, []bool{false, false}},
		"one in a century":       {1e-300, 1, []time.Duration{0, time.Hour}, []bool{true, false}},
		"as many as one likes":   {1e300, 1 << 62, []time.Duration{0, 0, 0}, []bool{true, true, true}},
		"more than a nanosecond": {1e9, 1e9, []time.Duration{0, 0}, []bool{true, true}},
	} {
		t.Run(name, func(t *testing.T) {
			var taken spent
			p := newPace(c.perSecond, c.burst)
			for i, at := range c.at {
				if got := taken.take(at, p); got != c.want[i] {
					t.Errorf("number %d at %s: got %t, want %t", i+1, at, got, c.want[i])
				}
			}
		})
	}
}
