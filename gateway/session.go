package gateway

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/wire"
)

// A Session is one connection of a till. It sends nothing that was not asked
// for: answers to its own requests, and the notifications and signature
// questions of its own transactions.
type Session struct {
	g       *Gateway
	site    *site
	conn    Conn
	key     string
	version wire.Version
	caller  txn.Caller
	ext     extensions
	taken   spent   // messages
	hurried bool    // the one that is being received is more than may come
	line    *line   // on /pat; nil on /pac
	stream  *stream // that this is a connection of; nil without the extension resume

	place      int32 // among the site's sessions; the site's
	mu         sync.Mutex
	gone       bool
	silent     bool         // a newer connection took over: nothing more is sent
	calls      []*call      // in flight
	signatures []*signature // asked on this connection; those that are over stay a while
	lastAsked  jsonrpc.ID   // numbers our own requests from 1
}

func newSession(t *Ticket, c Conn) *Session {
	return &Session{g: t.g, site: t.site, conn: c, key: t.key, version: t.version, caller: t.caller, ext: t.ext}
}

// Busy reports whether a transaction or report of this connection runs; such a
// connection is not closed for want of pongs.
func (s *Session) Busy() bool {
	s = s.home()
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls) > 0
}

// Ended is told once when the connection is gone. What runs goes on.
func (s *Session) Ended(err error) {
	left := s.fallSilent()
	s.site.leave(s)
	if s.line != nil {
		s.site.board.disconnect(s.line)
	}
	if s.stream != nil {
		s.stream.leave(s)
	}
	if s.ext.late {
		s.site.late.forget(s)
	}
	s.g.metrics.sessions.WithLabelValues(s.caller.Face, s.version.String()).Dec()
	if left > 0 {
		s.g.log.Warn("a till went away with requests out; their outcomes are kept",
			"site", s.site.settings.Load().ID, "requests", left, "error", err)
	}
}

// fallSilent has nothing more said to the till, and returns how many requests of
// it are out.
func (s *Session) fallSilent() (left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	left = len(s.calls)
	s.calls, s.signatures = nil, nil
	return left
}

// A call is one request of a till that is not answered at once. Its methods do
// nothing on a nil call, nor once the connection is gone.
type call struct {
	sess   *Session
	id     jsonrpc.ID
	method string
}

// waits reports whether the till is still there to hear the answer.
func (c *call) waits() bool {
	if c == nil {
		return false
	}
	c.sess.mu.Lock()
	defer c.sess.mu.Unlock()
	return !c.sess.gone
}

// settled ends the call: its id is free again.
func (c *call) settled() {
	c.sess.mu.Lock()
	defer c.sess.mu.Unlock()
	for i, other := range c.sess.calls {
		if other == c {
			c.sess.calls = append(c.sess.calls[:i:i], c.sess.calls[i+1:]...)
			return
		}
	}
}

func (c *call) result(m wire.Message) {
	if c == nil {
		return
	}
	c.settled()
	c.sess.result(c.id, m)
}

func (c *call) fail(f *fault) {
	if c == nil {
		return
	}
	c.settled()
	c.sess.fail(c.id, f)
}

func (c *call) payment(tid txn.TID, o txn.Outcome) {
	if c != nil {
		c.result(wirePayment(tid, o, c.sess.site.settings.Load().zone))
	}
}

func (c *call) report(tid txn.TID, r report.Report) {
	if c != nil {
		c.result(wireReport(tid, r, c.sess.site.settings.Load().zone))
	}
}

func (c *call) reportTimedOut(tid txn.TID, kind report.Type, cur money.Currency) {
	if c != nil {
		c.result(reportTimedOut(tid, kind, cur, c.sess.site.settings.Load().zone))
	}
}

// notify sends a notification, unless the till's version has no word for it.
func (c *call) notify(tid txn.TID, n txn.Notification) {
	if c == nil || !notifiable(c.sess.version, n) {
		return
	}
	c.sess.send(jsonrpc.AppendNotification(nil, wire.MethodTerminalNotification, wire.Encode(c.sess.version,
		wire.TerminalNotification{NotificationValue: string(n), TerminalID: wire.TerminalID{TID: string(tid)}})))
}

// send takes a message as the encoders give it.
func (s *Session) send(message []byte, err error) {
	s.mu.Lock()
	over := s.gone || s.silent
	s.mu.Unlock()
	if over {
		return
	}
	if err == nil {
		err = s.conn.Send(message)
	}
	if err != nil {
		s.g.log.Warn("a message was not sent", "remote", s.conn.RemoteAddr(), "error", err)
	}
}

func (s *Session) result(id jsonrpc.ID, m wire.Message) {
	s.send(jsonrpc.AppendResult(nil, id, wire.Encode(s.version, m)))
}

// fail sends an error about the request with that id, or about none (NoID).
func (s *Session) fail(id jsonrpc.ID, f *fault) {
	if f.noID {
		id = jsonrpc.NoID
	}
	s.g.metrics.faults.WithLabelValues(strconv.Itoa(f.code)).Inc()
	e := &jsonrpc.Error{
		Code: f.code, Message: strings.ToValidUTF8(f.message, "\uFFFD"), UserMessage: strings.ToValidUTF8(f.userMessage, "\uFFFD"),
	}
	if s.ext.errors {
		e.Data = wire.Encode(s.version, wire.ErrorData{Pointer: f.pointer, Rule: f.rule, Docs: spec.ErrorDocs(f.code)})
	}
	s.send(jsonrpc.AppendError(nil, id, e))
}

// silence has nothing more sent.
func (s *Session) silence() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = true
}

// Receive takes one message of the till. It is called by one goroutine at a
// time, in the order of arrival, and does not wait for terminals.
func (s *Session) Receive(data []byte) {
	if s.stream != nil {
		s.stream.receive(s, data)
		return
	}
	m, bad := jsonrpc.Decode(data)
	answers := s.line != nil && bad == nil && s.line.awaits(m)
	s.hurried = !answers && !s.taken.take(time.Since(s.g.born), s.g.pace)
	// A request that may have a key comes first to whatever runs under that: it
	// must not be told that it did not run.
	if keyed := bad == nil && m.Kind == jsonrpc.Request && s.ext.keys && takesKey(s.version, m.Method); s.hurried && !keyed {
		id := jsonrpc.NoID
		if m.Kind == jsonrpc.Request {
			id = s.usable(m.ID)
		}
		s.fail(id, s.tooMany())
		return
	}
	if bad != nil {
		s.malformed(data, m, bad)
		return
	}
	if s.line != nil {
		s.line.receive(m)
		return
	}
	if !s.tolerate(m) {
		return
	}
	switch m.Kind {
	case jsonrpc.Request:
		s.request(m)
	case jsonrpc.Notification:
		// Tills have nothing to notify: what lacks an id is a broken request.
		s.fail(jsonrpc.NoID, &fault{code: spec.CodeInvalidRequest, message: "Invalid Request: /id is required", noID: true, pointer: "/id", rule: wire.RuleRequired})
	case jsonrpc.Response:
		s.signatureResponse(m)
	case jsonrpc.ErrorResponse:
		if m.ID == jsonrpc.NoID {
			// It answers nothing, and an error about an error could go on for ever.
			s.g.log.Warn("a till sent an error", "remote", s.conn.RemoteAddr(), "code", m.Error.Code)
			return
		}
		s.signatureResponse(m)
	case jsonrpc.Invalid: // has a fault
	}
}

// malformed answers what is no message at all.
func (s *Session) malformed(data []byte, m jsonrpc.Message, bad *jsonrpc.Fault) {
	id := s.usable(bad.ID)
	if bad.Answer && s.line == nil {
		id = jsonrpc.NoID
	}
	if bad.Code == spec.CodeInvalidParams && (s.line != nil || !slices.Contains(wire.Methods(s.version), m.Method)) {
		s.fail(id, methodNotFound(m.Method)) // which comes first
		return
	}
	f := &fault{code: bad.Code, message: bad.Message, pointer: bad.Pointer, rule: bad.Rule}
	switch {
	case bad.Code == spec.CodeParse:
		f.message = spec.MessageNotJSON
	case bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("[")):
		f.message = spec.MessageBatch
	}
	s.fail(id, f)
}

// usable returns the id for an error, or none where a request in flight has it:
// a till with one constant id must not read its running sale as refused.
func (s *Session) usable(id jsonrpc.ID) jsonrpc.ID {
	if s.flies(id) {
		return jsonrpc.NoID
	}
	return id
}

func (s *Session) flies(id jsonrpc.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if c.id == id {
			return true
		}
	}
	return false
}

// tolerate deals with unknown members of the envelope. It reports whether the
// message may be served.
func (s *Session) tolerate(m jsonrpc.Message) bool {
	f := s.deviations(unknownMembers(m))
	if f == nil {
		return true
	}
	if m.Kind == jsonrpc.Request {
		s.fail(s.usable(m.ID), f)
	} else {
		s.fail(jsonrpc.NoID, f)
	}
	return false
}

func unknownMembers(m jsonrpc.Message) []wire.Deviation {
	var devs []wire.Deviation
	for _, pointer := range m.Unknown {
		devs = append(devs, wire.Deviation{Pointer: pointer, Rule: wire.RuleAdditional, Text: pointer + " is not allowed here"})
	}
	return devs
}

// tolerated says for the record what a message has beyond the contract.
func tolerated(m jsonrpc.Message, params []wire.Deviation) []string {
	var out []string
	for _, d := range append(unknownMembers(m), params...) {
		out = append(out, d.Text)
	}
	return out
}

// deviations counts what a message has beyond the contract; on a strict site
// the first of them is a fault.
func (s *Session) deviations(devs []wire.Deviation) *fault {
	if len(devs) == 0 {
		return nil
	}
	s.g.metrics.deviations.Add(float64(len(devs)))
	if s.site.settings.Load().Strict {
		return invalidParams(devs[0].Fault())
	}
	// The names are the till's own, and anything could be in them: not for the log.
	s.g.log.Debug("deviations tolerated", "site", s.site.settings.Load().ID, "count", len(devs), "first", devs[0].Rule)
	return nil
}

// tooMany says that messages come faster than they may.
func (s *Session) tooMany() *fault {
	return limitReached(strconv.FormatFloat(s.g.limits.MessagesPerSecond, 'f', -1, 64) + " messages a second on one connection")
}

// takesKey reports whether requests of a method may have a key.
func takesKey(v wire.Version, method string) bool {
	_, transaction := wire.TransactionType(v, method)
	_, report := wire.ReportType(method)
	return transaction || report
}

// servedInFlight are the methods that are served under an id in flight.
func servedInFlight(method string) bool {
	switch method {
	case wire.MethodCancelTransaction, wire.MethodConnectedTerminals, wire.MethodTerminalDetails, wire.MethodTerminalsDetails:
		return true
	}
	return false
}

// request serves one request: checks in the order of the contract, section 2.
func (s *Session) request(m jsonrpc.Message) {
	s.g.metrics.requests.WithLabelValues(methodName(s.version, m.Method)).Inc()
	if !servedInFlight(m.Method) && s.flies(m.ID) {
		s.fail(jsonrpc.NoID, inFlight(strconv.Itoa(int(m.ID))))
		return
	}
	var f *fault
	kind, isTransaction := wire.TransactionType(s.version, m.Method)
	reportKind, isReport := wire.ReportType(m.Method)
	switch {
	case isTransaction:
		f = s.performTransaction(m, txn.Type(kind))
	case isReport:
		f = s.report(m, report.Type(reportKind))
	case m.Method == wire.MethodConnectedTerminals:
		f = s.connectedTerminals(m)
	case m.Method == wire.TerminalDetailsMethod(s.version):
		f = s.terminalDetails(m)
	case m.Method == wire.MethodCancelTransaction:
		f = s.cancelTransaction(m)
	case m.Method == wire.MethodDuplicate:
		f = s.duplicate(m)
	case m.Method == wire.MethodTransactionStatus && s.ext.status:
		f = s.transactionStatus(m)
	default:
		f = methodNotFound(m.Method)
	}
	if f != nil {
		s.fail(s.usable(m.ID), f)
	}
}

// accept makes a call of a request that is answered later. It returns a fault
// when the gateway takes no more.
func (s *Session) accept(m jsonrpc.Message) (*call, *fault) {
	if f := s.refusesMore(s.inFlight()); f != nil {
		return nil, f
	}
	return s.enter(m), nil
}

// enter makes a call of a request: its id is in flight from now on.
func (s *Session) enter(m jsonrpc.Message) *call {
	c := &call{sess: s, id: m.ID, method: m.Method}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, c)
	return c
}

func (s *Session) inFlight() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

// refusesMore says why no new request is taken, with so many in flight.
func (s *Session) refusesMore(inFlight int) *fault {
	if err := s.g.store.Healthy(); err != nil {
		s.g.log.Error("a request was refused: the journal cannot take it", "error", err)
		return storage(err)
	}
	if s.g.Stopping() {
		return stopping()
	}
	if inFlight >= s.g.limits.InFlight {
		return limitReached(strconv.Itoa(s.g.limits.InFlight) + " requests in flight on one connection")
	}
	return nil
}

// bound closes a connection on which more requests wait than may. Those that
// joined others cannot be told that they were not taken: what they ask for runs.
func (s *Session) bound() {
	if s.inFlight() > 2*s.g.limits.InFlight {
		s.conn.Close(closePolicy, "too many requests in flight")
	}
}

// toTerminal hands a request whose params were decoded to the terminal that it
// names, as a call that is answered later. Serve runs in the terminal's actor
// and is told what was tolerated of the message. With a key the request may be
// one that is known already.
func (s *Session) toTerminal(
	m jsonrpc.Message, key string, asked body, devs []wire.Deviation, bad *wire.Fault,
	serve func(a *actor, c *call, deviations []string),
) *fault {
	if bad != nil {
		return invalidParams(bad)
	}
	if f := s.deviations(devs); f != nil {
		return f
	}
	if key != "" {
		deviations := tolerated(m, devs)
		s.withKey(m, key, asked, func(a *actor, c *call) { serve(a, c, deviations) })
		return nil
	}
	if s.hurried {
		return s.tooMany()
	}
	c, f := s.accept(m)
	if f != nil {
		return f
	}
	a, f := s.connectedActor(asked.tid)
	if f != nil {
		c.settled()
		return f
	}
	a.do(func() { serve(a, c, tolerated(m, devs)) })
	return nil
}

// connectedActor finds the terminal that a till named.
func (s *Session) connectedActor(tid txn.TID) (*actor, *fault) {
	a := s.g.find(s.site, tid)
	if a == nil || !a.view.Load().Connected {
		return nil, unavailable(tid)
	}
	return a, nil
}

// A signature is a question to the till about a transaction's signature.
type signature struct {
	id   jsonrpc.ID // of our request
	t    *transaction
	call *call
	over string // why it is over: answered, late; empty while it is open
}

const (
	sigAnswered = "answered"
	sigLapsed   = "lapsed"
	// sigsKept bounds how many questions that are over are remembered, to tell a
	// late answer from one that answers nothing.
	sigsKept = 64
)

// askSignature sends the question, to be answered within so many seconds.
func (c *call) askSignature(t *transaction, seconds float64) {
	if c == nil {
		return
	}
	s := c.sess
	s.mu.Lock()
	if s.gone {
		s.mu.Unlock()
		return
	}
	s.lastAsked = s.lastAsked%jsonrpc.MaxID + 1
	id := s.lastAsked
	if len(s.signatures) >= sigsKept {
		for i, old := range s.signatures {
			if old.over != "" {
				s.signatures = append(s.signatures[:i:i], s.signatures[i+1:]...)
				break
			}
		}
	}
	sig := &signature{id: id, t: t, call: c}
	s.signatures = append(s.signatures, sig)
	s.mu.Unlock()
	message, err := jsonrpc.AppendRequest(nil, id, wire.MethodVerifySignature,
		wire.Encode(s.version, wireSignature(t.a.tid, *t.txn.Wish, seconds)))
	s.sendQuestion(sig, message, err)
}

// signatureOver closes the question: why says what an answer from now on is. It
// reports whether the till had answered before.
func (c *call) signatureOver(t *transaction, why string) (answered bool) {
	if c == nil {
		return false
	}
	c.sess.mu.Lock()
	defer c.sess.mu.Unlock()
	for _, sig := range c.sess.signatures {
		switch {
		case sig.t != t:
		case sig.over == "":
			sig.over = why
		case sig.over == sigAnswered:
			answered = true
		}
	}
	return answered
}

// signatureResponse is a till's answer to one of our requests; signature
// questions are all that we ask on /pac.
func (s *Session) signatureResponse(m jsonrpc.Message) {
	accepted, devs, f := s.signatureWord(m)
	sig, was := s.answerSignature(m.ID, f == nil)
	id := strconv.Itoa(int(m.ID))
	switch {
	case sig == nil:
		f = aboutAnswer(spec.CodeUnexpectedResponse, spec.MessageUnknownAnswer, id)
	case was == sigLapsed:
		f = aboutAnswer(spec.CodeRequestTimedOut, spec.MessageLateAnswer, id)
	case was == sigAnswered:
		f = aboutAnswer(spec.CodeUnexpectedResponse, spec.MessageSecondAnswer, id)
	}
	if f != nil {
		s.fail(jsonrpc.NoID, f)
		return
	}
	sig.t.a.do(func() { sig.t.signatureAnswered(accepted, tolerated(m, devs)) })
}

// signatureWord reads what a till said of a signature. A fault is no answer.
func (s *Session) signatureWord(m jsonrpc.Message) (accepted bool, devs []wire.Deviation, f *fault) {
	if m.Kind == jsonrpc.ErrorResponse {
		return false, nil, &fault{code: spec.CodeInvalidParams, message: "Invalid params: /result is required; an error decides nothing about a signature"}
	}
	accepted, devs, bad := wire.DecodeVerifySignatureResponse(m.Result)
	f = s.deviations(devs)
	if bad != nil {
		f = invalidParams(bad)
	}
	return accepted, devs, f
}

// answerSignature finds the question that an answer is for, says how it stood,
// and with usable closes it: a second late answer is a second answer too.
func (s *Session) answerSignature(id jsonrpc.ID, usable bool) (sig *signature, was string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sig = s.matchSignature(id); sig == nil {
		return nil, ""
	}
	was = sig.over
	if was != "" || usable {
		sig.over = sigAnswered
	}
	return sig, was
}

// matchSignature finds the question that an answer is for: by its own id, or,
// while exactly one is open, by id 1 or the id of the transaction (the
// contract, section 2). In a stream it is the own id only: an answer may come
// twice there, after a line broke, and must not decide another question. The
// caller holds s.mu.
func (s *Session) matchSignature(id jsonrpc.ID) *signature {
	var open, own *signature
	n := 0
	for _, sig := range s.signatures {
		if sig.id == id {
			own = sig
		}
		if sig.over == "" {
			if open == nil || open.t != sig.t { // a till that joined its own request was asked twice
				n++
			}
			open = sig
		}
	}
	if own != nil && (own.over == "" || n == 0) {
		return own
	}
	if n == 1 && !s.ext.resume && (id == 1 || id == open.call.id) {
		return open
	}
	return own
}
