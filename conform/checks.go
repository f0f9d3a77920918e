package conform

import "fmt"

// Checks returns every check, in the order in which they are run.
func Checks() []Check {
	return []Check{
		pacSale(),
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
		return nil, wait(fmt.Sprintf("no request %q came from the till", s.Order.Method)), false
	case c.answered < 0:
		return c, wait(fmt.Sprintf("the till's request %q was not answered while the till listened", c.method), c.at), false
	case c.answer.fault != nil:
		return c, wait(fmt.Sprintf("the till's request %q was refused: %s", c.method, c.answer.fault.Message), c.at, c.answered), false
	case result != "" && c.took() != result:
		return c, wait(fmt.Sprintf("the %s ended %s and should have ended %s; it could not be judged", c.method, c.took(), result), c.at, c.answered), false
	}
	return c, Verdict{}, true
}
