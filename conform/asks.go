package conform

import (
	"encoding/json"
	"slices"
)

// An ask is something that the gateway wants of a till that keeps tables: a
// request, or a notice.
type ask struct {
	conn, at int
	message
	answered int     // number of the frame of the answer under its id; -1
	answer   message // then
	acked    int     // where the till acknowledged it: by that answer, or by a pong that followed; -1
	astray   int     // number of a frame with an answer under an id that asks nothing, while this one was open; -1
	blamed   int     // number of a frame with the gateway's word against the answer; -1
	closed   int     // number of the frame with which its connection ended before it was acknowledged; -1
}

func (a *ask) table() string  { return text1(a.params["tableId"]) }
func (a *ask) waiter() string { return text1(a.params["waiterId"]) }
func (a *ask) tid() string    { return text1(a.params["tid"]) }

// open reports whether nothing has come of it.
func (a *ask) open() bool { return a.answered < 0 && a.closed < 0 }

// confirmed reports whether a lock was confirmed and the gateway took that.
func (a *ask) confirmed() bool {
	yes, ok := truth(a.answer.result["confirmed"])
	return ok && yes && a.answered >= 0 && a.blamed < 0
}

// due is the amount of a lock that was confirmed.
func (a *ask) due() int64 { return number(a.answer.result["amount"]) }

// tables are those of a list's answer; false where there is no list in it.
func (a *ask) tables() ([]string, bool) {
	raw := a.answer.result["tableIds"]
	if raw == nil {
		raw = a.answer.result["tables"]
	}
	var tables []string
	if a.answered < 0 || json.Unmarshal(raw, &tables) != nil || tables == nil {
		return nil, false
	}
	return tables, true
}

// A booked payment, as the gateway tells it.
type taken struct {
	id             string
	paid, gratuity int64
}

// payments are those that a transactionResponse tells.
func (a *ask) payments() []taken {
	var all []struct {
		ID       string          `json:"paymentId"`
		Paid     json.RawMessage `json:"amountPaid"`
		Gratuity json.RawMessage `json:"amountGratuity"`
	}
	if json.Unmarshal(a.params["payments"], &all) != nil {
		return nil
	}
	var out []taken
	for _, p := range all {
		out = append(out, taken{p.ID, number(p.Paid), number(p.Gratuity)})
	}
	return out
}

// asks finds what the gateway wants of a till that keeps tables, in frames.
func asks(frames []Frame) []*ask {
	var all []*ask
	for i, f := range frames {
		on := func(take func(*ask)) {
			for _, a := range all {
				if a.conn == f.Conn && a.closed < 0 {
					take(a)
				}
			}
		}
		switch f.Kind {
		case Closed:
			on(func(a *ask) {
				if a.acked < 0 {
					a.closed = i
				}
			})
			continue
		case Pong:
			on(func(a *ask) {
				if a.id == "" && a.acked < 0 && !frames[a.at].At.After(f.Pinged) {
					a.acked = i
				}
			})
			continue
		case Message:
		case Opened, Refused, Asked:
			continue
		}
		m := read(f.Text)
		switch {
		case !m.valid || f.Added:
		case f.FromGateway && m.method != "":
			all = append(all, &ask{conn: f.Conn, at: i, message: m, answered: -1, acked: -1, astray: -1, blamed: -1, closed: -1})
		case f.FromGateway && m.fault != nil && m.fault.Code == codeDiscontinued: // is about no answer
		case f.FromGateway && m.fault != nil:
			if a := blamed(all, f.Conn, m.id); a != nil {
				a.blamed = i
			}
		case !f.FromGateway && m.method == "":
			known := false
			on(func(a *ask) {
				if a.id != "" && a.id == m.id && (a.answered < 0 || a.blamed >= 0) {
					a.answered, a.answer, a.blamed, known = i, m, -1, true
					if recorded, _ := truth(m.result["recorded"]); recorded || !isNotice(a.method) {
						a.acked = i
					}
				}
			})
			if !known {
				on(func(a *ask) {
					if a.id != "" && a.answered < 0 {
						a.astray = i
					}
				})
			}
		}
	}
	return all
}

// codeDiscontinued says that another till has taken over.
const codeDiscontinued = -32076

// isNotice reports whether a till is told something and asked nothing.
func isNotice(method string) bool {
	return method == "transactionResponse" || method == "tableUnlock" || method == "reportResponse"
}

// blamed is the ask whose answer the gateway has a word against: that with the
// id, or where there is none, the one that was answered last.
func blamed(all []*ask, conn int, id string) *ask {
	for _, a := range slices.Backward(all) {
		if a.conn == conn && a.answered >= 0 && (id == "" || a.id == id) {
			return a
		}
	}
	return nil
}

// by are the asks by a method.
func by(all []*ask, method string) []*ask {
	return slices.DeleteFunc(slices.Clone(all), func(a *ask) bool { return a.method != method })
}

// about are the asks about a table.
func about(all []*ask, table string) []*ask {
	return slices.DeleteFunc(slices.Clone(all), func(a *ask) bool { return a.table() != table })
}

// errorsAreFine is for requests that may be answered with an error.
const errorsAreFine = ""

// unanswered judges a request that has no good answer. It reports false for one
// that has. Advice is what to answer in place of an error.
func (s *Seen) unanswered(a *ask, advice ...string) (Verdict, bool) {
	switch {
	case a.astray >= 0 && a.answered < 0:
		return fail("the answer to "+a.method+" bears the id "+quoted(read(s.Frames[a.astray].Text).fields["id"])+" and the request has "+a.id+": repeat the id of each request as it came", a.at, a.astray), true
	case a.closed >= 0 && a.answered < 0:
		return wait("the connection ended before "+a.method+" was answered", a.at, a.closed), true
	case a.answered < 0:
		return fail("the till has not answered "+a.method+" in time: each request wants an answer with its id, within its timeout in seconds", a.at), true
	case a.blamed >= 0:
		return fail("the gateway cannot use the answer to "+a.method+": "+read(s.Frames[a.blamed].Text).fault.Message, a.at, a.answered, a.blamed), true
	case a.answer.fault == nil:
		return Verdict{}, false
	case len(advice) == 0:
		return fail("the till has answered "+a.method+" with an error: "+a.answer.fault.staff(), a.at, a.answered), true
	case advice[0] != errorsAreFine:
		return fail("the till has answered "+a.method+" with an error: "+advice[0], a.at, a.answered), true
	}
	return Verdict{}, false
}

// unasked says that a card machine could ask for nothing, and why the till was not
// there.
func (s *Seen) unasked(what string) Verdict {
	v := wait(what)
	connected := len(s.Alive) > 0
	for i, f := range s.Frames {
		switch f.Kind {
		case Opened:
			connected = true
		case Refused:
			v = wait(what+": the till was refused as it connected: "+turnedAway(f), i)
		case Message, Closed, Pong, Asked:
		}
	}
	if !connected && len(v.Frames) == 0 {
		v.Hint += ": the till has not connected: are the address and the key of this check in its settings?"
	}
	return v
}
