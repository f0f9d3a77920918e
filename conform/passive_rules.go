package conform

import (
	"strings"
	"time"
)

// A rule says where in a till's own conversation one part of a line can be
// judged. The judging is left to the part's check.
type rule struct {
	check Check
	part  string // the act; empty where there is only one
	judge func(*Seen) Verdict
	find  func(*window) []occasion // nil where a conversation never shows it
	state State                    // then
	todo  string                   // how to have it seen
	ask   func(*Seen) string       // the question, where the wire is not all
}

func (r rule) step() string { return stepName(r.check.ID, r.part) }

// A window is what can be looked at of a till's conversation.
type window struct {
	*tally
	opt       ScorerOptions
	now       time.Time
	calls     []*call
	questions []*question
	again     bool // something depends on how long nothing comes
}

// An occasion is a place at which a part can be judged.
type occasion struct {
	frames []int  // of the window
	seen   Seen   // without its frames
	kind   string // parts of a part that are judged apart: methods
	over   bool   // nothing more is to be waited for
	lost   int    // where a connection ended with something unanswered; -1
}

// of is the occasion of one call, with all that was said on its card machine from
// the request to its end.
func (w *window) of(c *call) occasion {
	to := len(w.tally.frames) - 1
	over := true
	switch {
	case c.answered >= 0:
		to = c.answered
	case c.closed >= 0:
		to = c.closed
	default:
		over = false
	}
	return occasion{frames: w.about(c, to), seen: Seen{Order: ordered(c)}, over: over, lost: -1}
}

// ordered is the order that a till gave itself.
func ordered(c *call) Order {
	away, _ := truth(c.params["cardholderNotPresent"])
	return Order{
		Method: c.method, TID: c.tid(), Currency: text1(c.params["currency"]), Amount: number(c.params["amount"]),
		Cashback: number(c.params["amountCashback"]), Present: !away,
	}
}

// about are the frames from a call on that are not about another card machine.
func (w *window) about(c *call, to int) []int {
	foreign := map[int]bool{}
	for _, other := range w.calls {
		if other.tid() == c.tid() || other.tid() == "" {
			continue
		}
		foreign[other.at], foreign[other.answered] = true, true
		for _, n := range other.notes {
			foreign[n.at] = true
		}
	}
	for _, q := range w.questions {
		if text1(read(w.tally.frames[q.at].Text).params["tid"]) != c.tid() {
			foreign[q.at], foreign[q.answered] = true, true
		}
	}
	var out []int
	for i := c.at; i <= to; i++ {
		if i == c.at || !foreign[i] {
			out = append(out, i)
		}
	}
	return out
}

// new are the calls that were not judged to their end.
func (w *window) new() []*call {
	var out []*call
	for _, c := range w.calls {
		if w.base+c.at >= w.ended {
			out = append(out, c)
		}
	}
	return out
}

// whenever is the occasion of each call that a condition takes.
func whenever(is func(*call) bool) func(*window) []occasion {
	return func(w *window) []occasion {
		var out []occasion
		for _, c := range w.new() {
			if is(c) {
				out = append(out, w.of(c))
			}
		}
		return out
	}
}

// ended takes a method with a result.
func endedAs(method, result string) func(*call) bool {
	return func(c *call) bool { return c.method == method && c.took() == result }
}

// rules are the rules, in the order of the checklist.
func rules(o ScorerOptions) []rule {
	checks := map[string]Check{}
	for _, c := range Checks(Options{Slow: o.Slow}) {
		checks[c.ID] = c
	}
	var out []rule
	add := func(step string, r rule) {
		id, part, _ := strings.Cut(step, "/")
		r.check, r.part = checks[id], part
		for _, a := range r.check.Acts {
			if r.judge == nil && a.Name == part {
				r.judge = a.Judge
			}
		}
		out = append(out, r)
	}
	add("pac.sale", rule{
		todo: "Sell something on VCMDEMOSIP0.",
		find: whenever(endedAs("sale", "SUCCESSFUL")),
	})
	return out
}
