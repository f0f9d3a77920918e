package conform

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options change the checks.
type Options struct {
	// Slow is how long a signature is looked at in the line about that; 5 s by
	// default.
	Slow time.Duration
	// Unsigned is how long a signature can be answered in the line about none; 5 s
	// by default.
	Unsigned time.Duration
	// Long is how long a sale takes that a till has to wait for, over REST; 190 s by
	// default.
	Long time.Duration
}

// RESTChecks are those for a till that asks over REST: all but what is about the
// messages of the WebSocket, and what is about asking.
func RESTChecks(o Options) []Check {
	o.Long = cmp.Or(o.Long, 190*time.Second)
	all := slices.DeleteFunc(Checks(o), func(c Check) bool { return c.ID == "pac.envelope" || c.ID == "pac.ids" })
	at := slices.IndexFunc(all, func(c Check) bool { return c.ID == "pac.lostBefore" })
	return slices.Insert(all, at, pacPoll(), pacPollToTheEnd(o.Long), pacRetry())
}

// Checks returns every check, in the order of a report. Those with acts are run
// in that order, those that stand over the whole run are judged in the end.
func Checks(o Options) []Check {
	o.Slow = cmp.Or(o.Slow, 5*time.Second)
	o.Unsigned = cmp.Or(o.Unsigned, 5*time.Second)
	return []Check{
		generalAddress(), generalPartnerIDs(), generalSoftwareHouse(), generalInstaller(),
		pacEnvelope(), pacIDs(),
		pacSale(), pacAmounts(), pacRefund(), pacChooseTerminal(), pacNotifications(), pacUnknown(),
		pacSignature(), pacSignatureRejected(), pacSignatureSlow(o.Slow), pacSignatureTimeout(o.Unsigned),
		pacCancel(), pacCancelLate(),
		pacSuccessful(), pacNotTaken(), pacTimedOut(),
		pacUserMessage(), pacUnavailable(), pacBusy(),
		pacLostBefore(), pacLostDuring(), pacLostAfter(),
		pacBalances(), pacBanking(), pacDuplicate(), pacPreAuth(), pacCashback(), pacNotPresent(),
		generalEndOfDay(), generalEndOfDayCopy(),
	}
}

// pounds writes minor units as people do.
func pounds(minor int64) string { return fmt.Sprintf("%d.%02d", minor/100, minor%100) }

// sale orders one.
func sale(tid string, amount int64) Order {
	return Order{
		Method: "sale", TID: tid, Currency: "GBP", Amount: amount, Present: true,
		Text: "Sell for " + pounds(amount) + " on card machine " + tid + ".",
	}
}

// with gives an order another text for people.
func (o Order) with(text string) Order {
	o.Text = text
	return o
}

// requests are the till's requests by a method that were sent in the act.
func (s *Seen) requests(method string) []*call {
	var out []*call
	for _, c := range calls(s.Frames) {
		if c.method == method {
			out = append(out, c)
		}
	}
	return out
}

// ordered finds the request that the order asks for: the first of its method
// that ran to a result, else the first at all.
func (s *Seen) ordered() *call {
	var first *call
	for _, c := range s.requests(s.Order.Method) {
		if c.answered >= 0 && c.answer.fault == nil {
			return c
		}
		if first == nil {
			first = c
		}
	}
	return first
}

// ran waits for the transaction that was ordered to end, with that result. It
// returns false with a verdict that says what is missing.
func (s *Seen) ran(result string) (*call, Verdict, bool) {
	c := s.ordered()
	switch {
	case c == nil:
		return nil, s.absent(s.Order.Method), false
	case c.answered < 0:
		return c, wait(fmt.Sprintf("the till's request %q was not answered before its connection ended, or the step did", c.method), c.at), false
	case c.answer.fault != nil:
		return c, wait(fmt.Sprintf("the till's request %q was refused: %s", c.method, c.answer.fault.Message), c.at, c.answered), false
	case result != "" && c.took() != result:
		return c, wait(fmt.Sprintf("this step needs a %s that ends %s, and it ended %s", c.method, result, c.took()), c.at, c.answered), false
	}
	return c, Verdict{}, true
}

// saidOr decides by a word. It is given what is right, what to change where the
// plain answer is no, and what precise members say: whether they say anything, and
// what is wrong. Where they say nothing, the plain yes or no counts.
func (s *Seen) saidOr(right, change string, precise func(Word) (known bool, wrong string), frames ...int) Verdict {
	asks := Verdict{Hint: right, Ask: true, Frames: sorted(frames)}
	if s.Word == nil {
		return asks
	}
	if known, wrong := precise(*s.Word); known {
		if wrong != "" {
			return fail(wrong, frames...)
		}
		return settled(frames...)
	}
	switch {
	case s.Word.Yes == nil:
		return asks
	case *s.Word.Yes:
		return settled(frames...)
	}
	hint := "the answer to the question was no, and it has to be so that " + right
	if change != "" {
		hint += ": " + change
	}
	return fail(hint, frames...)
}

// none is for words without members of their own.
func none(Word) (bool, string) { return false, "" }

// cleared says what a word says of the amount, and what is wrong where it was to
// be booked as paid or not.
func cleared(want bool, result string) func(Word) (bool, string) {
	return func(w Word) (bool, string) {
		switch {
		case w.Cleared == nil:
			return false, ""
		case *w.Cleared && !want:
			return true, "the till has booked the amount as paid, after " + result + ": compare the whole value of transactionResult with SUCCESSFUL, and clear for that alone"
		case !*w.Cleared && want:
			return true, "the till has not booked the amount as paid, after " + result + ": the response of the transaction alone decides"
		}
		return true, ""
	}
}

// absent says that a request did not come, and what came in its place.
func (s *Seen) absent(method string) Verdict {
	v := wait(fmt.Sprintf("no request %q came from the till", method))
	connected := s.met
	for i, f := range s.Frames {
		switch m := read(f.Text); {
		case f.Kind == Opened:
			connected = true
		case f.Kind == Refused:
			connected = true
			v = wait(fmt.Sprintf("no request %q came from the till, which was refused as it connected: %s", method, turnedAway(f)), i)
		case f.Kind != Message || f.FromGateway:
		case !m.valid:
			v = wait(fmt.Sprintf("no request %q came from the till, but something that is not one JSON object", method), i)
		case m.method != "" && m.method != "cancelTransaction":
			v = wait(fmt.Sprintf("no request %q came from the till, but one by the method %s", method, quoted(m.fields["method"])), i)
		}
	}
	if !connected {
		v.Hint += ", which has not connected yet: are the address and the key of this check in its settings?"
	}
	return v
}

// turnedAway says why a till could not connect.
func turnedAway(f Frame) string {
	switch {
	case f.WrongKey:
		return "its key (token) is not that of this check"
	case f.Status == http.StatusNotFound:
		return "the path of the address is " + f.Path + ", and must be that of this check"
	case f.Status == http.StatusUnprocessableEntity:
		return "software-house-id or installer-id is missing in the address"
	case f.Status == http.StatusUpgradeRequired:
		return "it did not ask for a WebSocket"
	}
	return fmt.Sprintf("the answer has the status %d and says what to correct", f.Status)
}

// refusal fails a request that was refused for what stands in it, except in the
// parameters that other lines judge. It reports false for any other end.
func (s *Seen) refusal(c *call) (Verdict, bool) {
	if c == nil || c.answer.fault == nil {
		return Verdict{}, false
	}
	f := c.answer.fault
	if f.Code != codeInvalidParams && f.Code != codeNotSupported || strings.Contains(f.Message, "/params/amount ") {
		return Verdict{}, false
	}
	return fail("the till's request was refused for what stands in it, and nothing ran. The gateway says: "+f.Message, c.at, c.answered), true
}

// The codes of errors that are about what a till has sent.
const (
	codeInvalidParams = -32602
	codeNotSupported  = -32072
)

// again finds a transaction that the till sends on a card machine after a frame,
// unless it joins the one that is given by its request key. It returns -1 for
// none.
func (s *Seen) again(first *call, after int) int {
	key := text1(first.params["requestKey"])
	for _, c := range calls(s.Frames) {
		if c.at > after && isTransaction(c.method) && c.tid() == first.tid() && (key == "" || text1(c.params["requestKey"]) != key) {
			return c.at
		}
	}
	return -1
}

// learns finds where the till asks after a transaction, or is told its outcome,
// after a frame. It returns -1 for nowhere.
func (s *Seen) learns(first *call, after int) int {
	if first.answered > after {
		return first.answered
	}
	key := text1(first.params["requestKey"])
	for _, c := range calls(s.Frames) {
		if c.at <= after || c.answered < 0 {
			continue
		}
		switch {
		case slices.Contains([]string{"terminalDetails", "connectedTerminals", "duplicate", "transactionStatus"}, c.method),
			isTransaction(c.method) && key != "" && text1(c.params["requestKey"]) == key:
			return c.answered
		}
	}
	for i, f := range s.Frames {
		if m := read(f.Text); i > after && f.Kind == Message && f.FromGateway && m.method == "" && m.id == first.id && m.result["transactionResult"] != nil {
			return i // over a stream that was resumed
		}
	}
	return -1
}

// last reports whether the newest frame is a notification of that value.
func (s *Seen) last(value string) bool {
	f := s.Frames[len(s.Frames)-1]
	m := read(f.Text)
	return f.FromGateway && !f.Added && m.method == "terminalNotification" && text1(m.params["notificationValue"]) == value
}

// quoted is a value as it stood on the wire, for hints.
func quoted(raw json.RawMessage) string {
	if len(raw) == 0 {
		return "nothing"
	}
	text := strings.TrimSpace(string(raw))
	if len(text) > 60 {
		text = text[:60] + "…"
	}
	return strings.ToValidUTF8(text, "?")
}

// number reads an integer of a result; 0 where there is none.
func number(raw json.RawMessage) int64 {
	n, _ := whole(raw)
	return n
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
