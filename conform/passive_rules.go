package conform

import (
	"slices"
	"strings"
	"time"
)

// A rule says where in a till's own conversation one part of a line can be
// judged. The judging is left to the part's check.
type rule struct {
	check Check
	part  string // its name, that of the act where there are several; empty for the only one
	judge func(*Seen) Verdict
	find  func(*window) []occasion // nil where a conversation never shows it
	state State                    // then
	todo  string                   // how to have it seen
	ask   func(*Seen) string       // the question, where that of the act does not fit
}

func (r rule) step() string { return stepName(r.check.ID, r.part) }

// question is what a person is asked when the wire has shown its part.
func (r rule) question(s *Seen) string {
	if r.ask != nil && s != nil {
		return r.ask(s)
	}
	for _, a := range r.check.Acts {
		if a.Name == r.part {
			return a.Question
		}
	}
	return ""
}

// A window is what can be looked at of a till's conversation.
type window struct {
	*tally
	opt       ScorerOptions
	now       time.Time
	calls     []*call
	questions []*question
	asked     []*ask // at tables; nil until somebody looks
	waits     bool   // something depends on how long nothing comes
}

// An occasion is a place at which a part can be judged.
type occasion struct {
	earlier []Frame // that are looked at as well; they need not be in the window
	frames  []int   // of the window
	seen    Seen    // without its frames
	kind    string  // what is judged apart within a part: a method
	over    bool    // nothing more is to be waited for
	waits   bool    // but it will be, in time
	lost    int     // where a connection ended with something unanswered; -1
}

// of is the occasion of one call: what was said on its card machine from the
// request to its end.
func (w *window) of(c *call) occasion {
	to, over := len(w.frames)-1, true
	switch {
	case c.answered >= 0:
		to = c.answered
	case c.closed >= 0:
		to = c.closed
	default:
		over = false
	}
	frames := slices.DeleteFunc(w.about(c, to), func(i int) bool {
		return slices.ContainsFunc(w.calls, func(other *call) bool { // another sale, that met a busy machine
			return other != c && isTransaction(other.method) && number(other.params["amount"]) != number(c.params["amount"]) && (other.at == i || other.answered == i)
		})
	})
	return occasion{frames: frames, seen: Seen{Order: orderOf(c)}, over: over, lost: -1}
}

// after is the occasion of one call with all that came after it. It is over when
// the till, while it was connected, has done nothing about it for long enough.
func (w *window) after(c *call, from int) occasion {
	o := occasion{frames: w.about(c, len(w.frames)-1), seen: Seen{Order: orderOf(c)}, lost: -1}
	since := w.frames[from].At
	for _, f := range w.frames[from:] {
		if f.Kind == Opened {
			since = f.At
			break
		}
	}
	if o.waits = len(w.open) > 0; o.waits {
		o.over = w.now.Sub(since) >= w.opt.Patience
	}
	return o
}

// orderOf is the order that a till gave itself.
func orderOf(c *call) Order {
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
		if w.tidOf(q) != c.tid() {
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

// tidOf is the card machine that a signature is asked about.
func (w *window) tidOf(q *question) string { return text1(read(w.frames[q.at].Text).params["tid"]) }

// signature is the first question about a signature in a call, or nil.
func (w *window) signature(c *call) *question {
	for _, q := range w.questions {
		if q.conn == c.conn && q.at > c.at && (c.answered < 0 || q.at < c.answered) && w.tidOf(q) == c.tid() {
			return q
		}
	}
	return nil
}

// wished finds a wish to cancel while a call ran.
func (w *window) wished(c *call) bool {
	return slices.ContainsFunc(w.calls, func(wish *call) bool {
		return wish.method == "cancelTransaction" && wish.tid() == c.tid() && wish.at > c.at && (c.answered < 0 || wish.at < c.answered)
	})
}

// new are the calls that were not judged to their end.
func (w *window) new() []*call {
	return slices.DeleteFunc(slices.Clone(w.calls), func(c *call) bool { return w.base+c.at < w.ended })
}

// whenever is the occasion of each call that a condition takes.
func whenever(is func(*window, *call) bool) func(*window) []occasion {
	return func(w *window) []occasion {
		var out []occasion
		for _, c := range w.new() {
			if is(w, c) {
				out = append(out, w.of(c))
			}
		}
		return out
	}
}

// each is the occasion of each frame that a condition takes, by itself. What it
// returns names what is judged apart.
func each(is func(*window, Frame) (kind string, ok bool)) func(*window) []occasion {
	return func(w *window) []occasion {
		var out []occasion
		for i, f := range w.frames {
			if w.base+i < w.stood {
				continue
			}
			if kind, ok := is(w, f); ok {
				out = append(out, occasion{frames: []int{i}, kind: kind, over: true, lost: -1})
			}
		}
		return out
	}
}

// ranAs takes what ended with a result; empty is any.
func ranAs(result string, methods ...string) func(*window, *call) bool {
	return func(_ *window, c *call) bool {
		return slices.Contains(methods, c.method) && c.took() != "" && (result == "" || c.took() == result)
	}
}

// transactions takes what ended with a result, whatever it was.
func transactions(result string) func(*window, *call) bool {
	return ranAs(result, "sale", "refund", "preAuth", "completion", "accountVerification")
}

// refusedAs takes a transaction that met an error.
func refusedAs(code int) func(*window, *call) bool {
	return func(_ *window, c *call) bool {
		return isTransaction(c.method) && c.answered >= 0 && c.answer.fault != nil && c.answer.fault.Code == code
	}
}

// sentAs takes a request by its method once it has a result, or was refused for
// what stands in it.
func sentAs(method string, codes ...int) func(*window, *call) bool {
	return func(_ *window, c *call) bool {
		return c.method == method && c.answered >= 0 && (c.answer.fault == nil || slices.Contains(codes, c.answer.fault.Code))
	}
}

// knocks takes each time that a till came, together with the time before it.
func knocks(w *window) []occasion {
	var out []occasion
	for i, f := range w.frames {
		if w.base+i < w.stood || f.Kind != Opened && f.Kind != Refused {
			continue
		}
		o := occasion{frames: []int{i}, over: true, lost: -1}
		if last := w.knock; last != nil && last.SoftwareHouse != "" && last.Installer != "" && last.Version == "v1" {
			o.earlier = []Frame{*last}
		}
		if f.Kind == Opened {
			w.knock = &f
		}
		out = append(out, o)
	}
	return out
}

// fromTill takes what a till says on /pac, by its method.
func fromTill(requests bool) func(*window, Frame) (string, bool) {
	return func(_ *window, f Frame) (string, bool) {
		if f.Kind != Message || f.FromGateway || f.Path != "/pac" {
			return "", false
		}
		method := read(f.Text).method
		if requests && method == "" {
			return "", false
		}
		if !known(method) {
			method = "other"
		}
		return method, true
	}
}

// judge is what judges a part of a check that is an act, or all of it.
func (c Check) judge(part string) func(*Seen) Verdict {
	switch {
	case c.Stands != nil:
		return func(s *Seen) Verdict { return c.Stands(s.Frames) }
	case c.Judge != nil:
		return c.Judge
	}
	for _, a := range c.Acts {
		if a.Name == part {
			return a.Judge
		}
	}
	return c.Acts[0].Judge
}

// onlyIn is the rule of a line that has to be brought about.
func onlyIn(id, why string) rule {
	side, _, _ := strings.Cut(id, ".")
	if side == "general" {
		side = "pac"
	}
	return rule{todo: why + " Run: tillwire check " + side + " --only " + id}
}

// sale19 is the amount that shows how a till rounds.
const sale19 = 1999

// rules are the rules, in the order of the checklist. Card machines are those of
// the development site.
func rules(o ScorerOptions) []rule {
	checks := map[string]Check{}
	all := slices.Concat(Checks(Options{Slow: o.Slow}), TableChecks(TableOptions{}))
	for _, c := range slices.Backward(all) { // those of the counter go before
		checks[c.ID] = c
	}
	var out []rule
	add := func(step string, r rule) {
		id, part, _ := strings.Cut(step, "/")
		r.check, r.part = checks[id], part
		if r.judge == nil {
			r.judge = r.check.judge(part)
		}
		out = append(out, r)
	}
	booked := func(text string) func(*Seen) string {
		return func(s *Seen) string {
			c := s.ordered()
			return strings.NewReplacer(
				"TOTAL", pounds(number(c.answer.result["amountTotal"])),
				"CASHBACK", pounds(number(c.answer.result["amountCashback"])),
				"GRATUITY", pounds(number(c.answer.result["amountGratuity"])),
			).Replace(text)
		}
	}

	// In general.
	add("general.address", rule{
		todo: "Put host and key of this gateway into the settings of the till, and connect.",
		find: each(func(_ *window, f Frame) (string, bool) { return "", f.Kind == Opened || f.Kind == Refused }),
	})
	add("general.partnerIds", rule{todo: "Connect with software-house-id, installer-id and api-version=v1.", find: knocks})
	add("general.softwareHouse", rule{state: Eyes, todo: "Look through the settings of the till for the software house id."})
	add("general.installer", rule{state: Eyes, todo: "Look through the settings of the till for the installer id."})
	const daily = "Run an end of day on VCMDEMOSIP0, from the till, or at the card machine where a till keeps tables."
	for _, line := range []struct{ id, table string }{{"general.endOfDay", "general.endOfDay"}, {"general.endOfDayCopy", "pat.endOfDay"}} {
		i := slices.IndexFunc(all, func(c Check) bool { return c.ID == line.table && c.Scene != nil })
		add(line.id, rule{
			todo: daily, judge: atTable(checks[line.id].judge(""), all[i].Judge),
			find: func(w *window) []occasion {
				return append(whenever(sentAs("reportEndOfDay", codeInvalidParams))(w), eachAsk("reportResponse", nil)(w)...)
			},
		})
	}

	// At the counter.
	add("pac.envelope", rule{todo: "Connect to /pac and send anything.", find: each(fromTill(false))})
	add("pac.ids", rule{todo: "Connect to /pac and send a request.", find: each(fromTill(true))})
	add("pac.chooseTerminal/one", rule{
		todo: "Sell something on one card machine.",
		find: whenever(func(w *window, c *call) bool {
			ok := transactions("")(w, c)
			if ok && w.chose == "" {
				w.chose = c.tid()
			}
			return ok
		}),
	})
	add("pac.chooseTerminal/other", rule{
		todo: "Sell something on another card machine, say VCMDEMOSIP3.",
		find: whenever(func(w *window, c *call) bool { return transactions("")(w, c) && w.chose != "" && c.tid() != w.chose }),
	})
	add("pac.sale", rule{todo: "Sell something on VCMDEMOSIP0.", find: whenever(sentAs("sale", codeInvalidParams, codeNotSupported))})
	add("pac.amounts/form", rule{
		todo: "Sell something.",
		find: whenever(func(_ *window, c *call) bool { return c.method == "sale" }),
	})
	add("pac.amounts/rounding", rule{
		todo: "Sell for 19.99. It must arrive as 1999: a till that counts in fractions sends 1998.",
		find: whenever(func(_ *window, c *call) bool { return c.method == "sale" && number(c.params["amount"]) == sale19 }),
	})
	add("pac.refund", rule{todo: "Refund something on VCMDEMOSIP0.", find: whenever(sentAs("refund", codeInvalidParams, codeNotSupported))})
	add("pac.notifications", rule{todo: "Sell something on VCMDEMOSIP0, and watch what the till shows.", find: whenever(ranAs("", "sale"))})
	add("pac.unknown", onlyIn("pac.unknown", "This gateway says nothing that is not known."))
	add("pac.signature", rule{
		todo: "Sell something on VCMDEMOSIS0, and accept the signature.",
		find: func(w *window) []occasion {
			var out []occasion
			for _, c := range w.new() {
				if w.signature(c) != nil {
					o := w.of(c)
					o.over = false // a cashier may leave it unanswered
					out = append(out, o)
				}
			}
			return out
		},
	})
	add("pac.signatureRejected", rule{
		todo: "Sell something on VCMDEMOSIS0, and reject the signature.",
		find: whenever(func(w *window, c *call) bool {
			q := w.signature(c)
			return q != nil && q.form && !q.accepted
		}),
	})
	add("pac.signatureSlow", rule{
		todo: "Sell something on VCMDEMOSIS0, and accept the signature only after " + o.Slow.String() + ".",
		find: whenever(func(w *window, c *call) bool {
			q := w.signature(c)
			return q != nil && q.form && q.accepted && w.frames[q.answered].At.Sub(w.frames[q.at].At) >= o.Slow
		}),
	})
	add("pac.signatureTimeout", rule{
		todo: "Sell something on VCMDEMOSIS0, and leave the question about the signature unanswered until its time is over.",
		find: whenever(func(w *window, c *call) bool {
			return slices.ContainsFunc(c.notes, func(n note) bool { return n.value == "SIGNATURE_VERIFICATION_TIMEOUT" })
		}),
		ask: booked("Has the till taken its question back by itself, and booked the TOTAL as paid?"),
	})
	add("pac.cancel", rule{
		todo: "Sell something on VCMDEMOSIP0, and cancel while the till shows PRESENT_CARD.",
		find: whenever((*window).wished),
	})
	add("pac.cancelLate", rule{
		todo: "Sell something on VCMDEMOSIP0, and cancel once the till shows CONNECTING.",
		find: whenever(func(w *window, c *call) bool { return c.took() == "SUCCESSFUL" && w.wished(c) }),
		ask:  booked("Has the till booked the TOTAL as paid, although it was asked to cancel?"),
	})
	add("pac.successful", rule{
		todo: "Sell something on VCMDEMOSIP2, where the cardholder adds a gratuity.",
		find: whenever(ranAs("SUCCESSFUL", "sale")),
		ask:  booked("Has the till cleared the amount, and booked TOTAL in all, of which CASHBACK are cashback and GRATUITY gratuity?"),
	})
	for _, r := range []struct{ result, tid string }{
		{"DECLINED", "VCMDEMODIP0"}, {"VOID", "VCMDEMOVIS0"}, {"UNSUCCESSFUL", "VCMDEMOUIP0"}, {"CANCELLED", "VCMDEMOCIP0"},
	} {
		add("pac.notTaken/"+strings.ToLower(r.result), rule{todo: "Sell something on " + r.tid + ".", find: whenever(transactions(r.result))})
	}
	add("pac.timedOut", rule{
		todo: "Sell something on VCMDEMOTIP0, which falls silent: TIMED_OUT comes after more than three minutes. Do then what the till says.",
		find: func(w *window) []occasion {
			var out []occasion
			for _, c := range w.calls {
				if transactions("TIMED_OUT")(w, c) {
					out = append(out, w.after(c, c.answered))
				}
			}
			return out
		},
	})
	add("pac.userMessage", rule{
		todo: "Pull the cable of VCMDEMOSIP3 on its page in this console, sell something on it, and read what the till shows.",
		find: whenever(refusedAs(-32070)),
		ask: func(s *Seen) string {
			c, _, _ := s.refused(-32070)
			return "Did the till show this text, word for word? \"" + c.answer.fault.staff() + "\""
		},
	})
	add("pac.unavailable", rule{
		todo: "Pull the cable of VCMDEMOSIP3 on its page in this console, and sell something on it.",
		find: whenever(refusedAs(-32070)),
	})
	add("pac.busy", rule{
		todo: "Choose “You, by hand” on the page of VCMDEMOSIP3 in this console, begin a sale on it with the console's own till, and sell something on it with yours.",
		find: whenever(refusedAs(-32071)),
	})
	add("pac.lostBefore", onlyIn("pac.lostBefore", "The connection has to be cut between two sales."))
	add("pac.lostDuring", rule{
		todo: "Cut the till's connection while a sale runs: end its process, or unplug its network. Then start it again, and do what it says.",
		find: func(w *window) []occasion {
			var out []occasion
			for _, c := range w.calls {
				if c.method == "sale" && len(c.notes) > 0 && c.answered < 0 && c.closed >= 0 {
					o := w.after(c, c.closed)
					o.lost = c.closed
					out = append(out, o)
				}
			}
			return out
		},
		ask: func(s *Seen) string {
			return "Has the till found out what became of the sale for " + pounds(s.Order.Amount) + ", and booked it once if it was SUCCESSFUL?"
		},
	})
	add("pac.lostAfter", onlyIn("pac.lostAfter", "The connection has to be cut right after a response."))
	add("pac.balances/x", rule{todo: "Run an X balance on VCMDEMOSIP0.", find: whenever(sentAs("reportXBalance", codeInvalidParams))})
	add("pac.balances/z", rule{todo: "Run a Z balance on VCMDEMOSIP0.", find: whenever(sentAs("reportZBalance", codeInvalidParams))})
	add("pac.banking", rule{todo: "Run a banking report on VCMDEMOSIP0.", find: whenever(sentAs("reportBanking", codeInvalidParams))})
	add("pac.duplicate/duplicate", rule{
		todo: "Sell something on VCMDEMOSIP0, then have the till ask for the last transaction again.",
		find: whenever(sentAs("duplicate", codeInvalidParams)),
	})
	add("pac.preAuth/preAuth", rule{todo: "Reserve something with a pre-authorisation on VCMDEMOSIP0.", find: whenever(ranAs("SUCCESSFUL", "preAuth"))})
	add("pac.preAuth/completion", rule{
		todo: "Complete a pre-authorisation on the same card machine.",
		find: func(w *window) []occasion {
			var out []occasion
			for _, c := range w.new() {
				if before := w.reserved(c); c.method == "completion" && before != nil {
					o := w.of(c)
					o.seen.Before = before
					out = append(out, o)
				}
			}
			return out
		},
	})
	add("pac.cashback", rule{
		todo: "Sell something on VCMDEMOSIP0 and ask for cashback.",
		find: whenever(func(w *window, c *call) bool {
			return ranAs("SUCCESSFUL", "sale")(w, c) && number(c.params["amountCashback"]) > 0
		}),
		ask: booked("Does the till say that CASHBACK are to be given out, of the TOTAL that were taken?"),
	})
	add("pac.notPresent", rule{
		todo: "Sell something on VCMDEMOSIP0 with the cardholder not present.",
		find: whenever(func(_ *window, c *call) bool {
			return slices.Contains([]string{"sale", "refund"}, c.method) && len(c.params["cardholderNotPresent"]) > 0 && c.answered >= 0
		}),
	})
	tableRules(add)
	// What no conversation was thought of for.
	for _, c := range all {
		if !slices.ContainsFunc(out, func(r rule) bool { return r.check.ID == c.ID }) {
			add(c.ID, onlyIn(c.ID, "This has to be brought about."))
		}
	}
	return out
}

// maxReserved bounds the pre-authorisations of a till that are remembered.
const maxReserved = 16

// reserved remembers pre-authorisations, and is the one that a completion is
// for: with its code, else the latest on its card machine.
func (w *window) reserved(c *call) []Frame {
	if ranAs("SUCCESSFUL", "preAuth")(w, c) {
		w.reserves = append(w.reserves, []Frame{w.frames[c.at], w.frames[c.answered]})
		if n := len(w.reserves) - maxReserved; n > 0 {
			w.reserves = slices.Delete(w.reserves, 0, n)
		}
	}
	if c.method != "completion" {
		return nil
	}
	var latest []Frame
	for _, pair := range slices.Backward(w.reserves) {
		result := read(pair[1].Text).result
		if text1(result["authCode"]) == text1(c.params["authCode"]) {
			return pair
		}
		if latest == nil && text1(result["tid"]) == c.tid() {
			latest = pair
		}
	}
	return latest
}
