package gateway

import "time"

// A pace bounds how often something may happen.
type pace struct {
	each  time.Duration // one of it, sustained
	burst time.Duration // as much of it at once as would be due in that time
}

// newPace allows so much a second, and so much at once.
func newPace(perSecond float64, burst int) pace {
	const longest = float64(24 * time.Hour)
	each := min(max(float64(time.Second)/perSecond, 1), longest)
	return pace{time.Duration(each), time.Duration(min(float64(burst)*each, 1000*longest))}
}

// What is spent of a pace is one number, the time by which all that was counted
// will have been due, since each connection that idles has one.
type spent time.Duration

// take counts one more and reports true, unless that is more than the pace
// allows. Now is the time since some moment before the first.
func (t *spent) take(now time.Duration, p pace) bool {
	due := max(time.Duration(*t), now) + p.each
	if due-now > p.burst {
		return false
	}
	*t = spent(due)
	return true
}
