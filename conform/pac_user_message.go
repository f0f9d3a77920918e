package conform

import (
	"strings"

	"github.com/tillwire/tillwire/spec"
)

// pacUserMessage: what is meant for the staff reaches the staff as it is.
func pacUserMessage() Check {
	return Check{ID: "pac.userMessage", Needs: ByBoth, Acts: []Act{{
		Order:    sale(secondTID, 600).with("Sell for 6.00 on card machine " + secondTID + ", which is not connected, and read what the till shows."),
		Question: "Did the till show this text, word for word? \"" + unavailableText() + "\"",
		Prepare:  func(st Stage) error { return st.Unplug(secondTID) },
		Judge: func(s *Seen) Verdict {
			c, v, ok := s.refused(-32070)
			if !ok {
				return v
			}
			return s.saidOr("the userMessage is shown word for word",
				"show userMessage as it came, or message where there is none, neither translated nor cut",
				func(w Word) (bool, string) {
					switch {
					case w.Message == nil:
						return false, ""
					case *w.Message != c.answer.fault.staff():
						return true, "the till has shown \"" + *w.Message + "\" in place of the userMessage: show it as it came"
					}
					return true, ""
				}, c.at, c.answered)
		},
	}}}
}

// unavailableText is what staff are told of a card machine that is away.
func unavailableText() string {
	return strings.ReplaceAll(spec.UserMessageTerminalUnavailable, "{tid}", secondTID)
}

// refused waits for the ordered request to be refused with a code.
func (s *Seen) refused(code int) (*call, Verdict, bool) {
	all := s.requests(s.Order.Method)
	for _, c := range all {
		if c.answered >= 0 && c.answer.fault != nil && c.answer.fault.Code == code {
			return c, Verdict{}, true
		}
	}
	if len(all) == 0 {
		return nil, s.absent(s.Order.Method), false
	}
	return nil, wait("the till's request for card machine "+quoted(all[0].params["tid"])+" did not meet the error "+itoa(int64(code))+", as one for "+s.Order.TID+" would have", all[0].at), false
}
