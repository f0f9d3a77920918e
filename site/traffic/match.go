package traffic

import (
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/spec"
)

// maxOpen is how many requests of one connection may wait for their answers
// before all of them are given up.
const maxOpen = 512

// A matcher knows which requests of one connection are open. It belongs to the
// hub's goroutine.
type matcher struct {
	open  [2]map[int][]asked // by who asked, and id
	count int
	runs  map[string]asked // transactions and reports at a terminal, by its TID or the request's id
	last  uint64           // the last message of the peer
}

// An asked is a request that is open.
type asked struct {
	seq    uint64
	at     time.Time
	method string
	tid    string
	ref    string
}

func side(fromGateway bool) int {
	if fromGateway {
		return 1
	}
	return 0
}

// match gives a message its place among those before it, and returns the number
// of the request that it answers, or 0.
func (x *matcher) match(m *Message) uint64 {
	if m.Line.Face == FaceTerminal {
		x.introduce(m)
	}
	switch m.Kind {
	case Request:
		if m.ID != NoID {
			x.ask(m)
		}
		if run, ok := x.runs[x.place(m)]; ok && !isRun(m) { // a question in the course of it
			m.Of = run.seq
		}
		x.begin(m)
	case Notification:
		if run, ok := x.runs[x.place(m)]; ok {
			m.Of = run.seq
		}
	case Reply, Error:
		x.answer(m)
	case Unreadable, Opened, Closed, Refused: // have no counterpart
	}
	if !m.FromGateway && m.Kind.IsMessage() {
		x.last = m.Seq
	}
	return m.Answers
}

// introduce learns which terminal is at the other end.
func (x *matcher) introduce(m *Message) {
	if m.Method == "hello" && !m.FromGateway && m.TID != "" && m.Line.tid.Load() == nil {
		tid := strings.Clone(m.TID)
		m.Line.tid.Store(&tid)
	}
	if m.TID == "" {
		m.TID = m.Line.TID()
	}
}

// place is under which name what runs at a terminal is known.
func (x *matcher) place(m *Message) string {
	if m.Line.Face == FaceTerminal {
		return m.Ref
	}
	return m.TID
}

func (x *matcher) ask(m *Message) {
	if x.count >= maxOpen {
		x.open, x.count = [2]map[int][]asked{}, 0
		m.Line.unsure.Store(true)
	}
	s := side(m.FromGateway)
	if x.open[s] == nil {
		x.open[s] = map[int][]asked{}
	}
	x.open[s][m.ID] = append(x.open[s][m.ID], asked{seq: m.Seq, at: m.At, method: m.Method, tid: m.TID, ref: m.Ref})
	x.count++
}

// begin notes a request that runs at a terminal for a while.
func (x *matcher) begin(m *Message) {
	name := x.place(m)
	if name == "" || !isRun(m) {
		return
	}
	if x.runs == nil || len(x.runs) >= maxOpen {
		x.runs = map[string]asked{}
	}
	if _, ok := x.runs[name]; !ok { // another one is refused: the terminal is busy
		x.runs[name] = asked{seq: m.Seq, at: m.At, method: m.Method, tid: m.TID}
	}
}

// isRun reports whether a request starts something at a terminal that others
// messages are about.
func isRun(m *Message) bool {
	switch m.Line.Face {
	case FaceTerminal:
		return m.FromGateway && m.Method == "start"
	case FacePAC:
		return !m.FromGateway && runs(m.Line.Version, m.Method)
	case FacePAT:
		return m.FromGateway && m.Method == "tableLockRequest"
	}
	return false
}

// runs reports whether a method is a transaction or a report.
func runs(version, method string) bool {
	msg, ok := spec.Default().ByMethod(spec.PAC, version, method)
	return ok && (msg.Name == "performTransaction" || msg.Name == "report")
}

// answer finds the request that a reply is for.
func (x *matcher) answer(m *Message) {
	s := side(!m.FromGateway)
	var found asked
	var ok bool
	if m.ID != NoID {
		found, ok = x.take(s, m)
	}
	if !ok && !m.FromGateway && m.Kind == Reply {
		found, ok = x.onlySignature(m)
	}
	if !ok {
		if m.Kind == Error && m.FromGateway {
			x.complain(m)
		}
		return
	}
	m.Answers, m.Method, m.After = found.seq, found.method, m.At.Sub(found.at)
	if m.TID == "" {
		m.TID = found.tid
	}
	// A transaction or report over the counter ends with its answer; a visit and
	// what a terminal does go on after theirs.
	for name, run := range x.runs {
		switch {
		case run.seq != found.seq:
		case m.Line.Face == FacePAC || m.Kind == Error:
			delete(x.runs, name)
		default:
			m.Of = run.seq
		}
	}
}

// take removes the open request that the message answers. Where several have
// its id it is the newest that the result fits; an error is for the newest that
// does not run at a terminal, for the one that does has its id taken.
func (x *matcher) take(s int, m *Message) (asked, bool) {
	list := x.open[s][m.ID]
	if len(list) == 0 {
		return asked{}, false
	}
	at := len(list) - 1
	if at > 0 {
		names := resultNames(m)
		for i := at; i >= 0; i-- {
			fits := m.Kind == Error && !runs(m.Line.Version, list[i].method) ||
				m.Kind == Reply && fitsResult(m.Line, list[i].method, names)
			if fits {
				at = i
				break
			}
		}
	}
	found := list[at]
	x.remove(s, m.ID, at)
	return found, true
}

func (x *matcher) remove(s, id, at int) {
	list := x.open[s][id]
	list = append(list[:at:at], list[at+1:]...)
	x.count--
	if len(list) == 0 {
		delete(x.open[s], id)
	} else {
		x.open[s][id] = list
	}
}

// signatureMethod asks whether a signature is right.
const signatureMethod = "signatureVerificationRequest"

// onlySignature is the one open question for a signature, which a till may
// answer with an id of its own making (the contract, section 4.1).
func (x *matcher) onlySignature(m *Message) (asked, bool) {
	if m.Line.Face != FacePAC || !resultNames(m)["accepted"] {
		return asked{}, false
	}
	id, n := 0, 0
	for i, list := range x.open[1] {
		for _, a := range list {
			if a.method == signatureMethod {
				id = i
				n++
			}
		}
	}
	if n != 1 {
		return asked{}, false
	}
	list := x.open[1][id]
	for at, a := range list {
		if a.method == signatureMethod {
			x.remove(1, id, at)
			return a, true
		}
	}
	return asked{}, false
}

// complain is about an error that answers no request: it is most likely about
// what the peer said last, which is thereby answered.
func (x *matcher) complain(m *Message) {
	m.About = x.last
	for id, list := range x.open[0] {
		for at, a := range list {
			if a.seq == x.last {
				x.remove(0, id, at)
				for name, run := range x.runs {
					if run.seq == x.last {
						delete(x.runs, name)
					}
				}
				return
			}
		}
	}
}

// resultNames are the names at the top of a result; "[]" where it is an array.
func resultNames(m *Message) map[string]bool {
	names := map[string]bool{}
	dec := jsontext.NewDecoder(strings.NewReader(m.Text), jsontext.AllowDuplicateNames(true))
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '{' {
		return names
	}
	for {
		name, err := dec.ReadToken()
		if err != nil || name.Kind() != '"' {
			return names
		}
		if name.String() != "result" {
			if dec.SkipValue() != nil {
				return names
			}
			continue
		}
		switch tok, err := dec.ReadToken(); {
		case err != nil:
			return names
		case tok.Kind() == '[':
			names["[]"] = true
			return names
		case tok.Kind() != '{':
			return names
		}
		for {
			name, err := dec.ReadToken()
			if err != nil || name.Kind() != '"' {
				return names
			}
			names[name.String()] = true
			if dec.SkipValue() != nil {
				return names
			}
		}
	}
}

// fitsResult reports whether a result with members of those names can be that
// of a method.
func fitsResult(l *Line, method string, names map[string]bool) bool {
	s, ok := schemaOf(l, method, spec.KindResponse)
	if !ok {
		return false
	}
	want, array := requiredOf(s.Raw)
	if array {
		return names["[]"]
	}
	for _, name := range want {
		if !names[name] {
			return false
		}
	}
	return len(want) > 0
}
