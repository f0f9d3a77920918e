package main

import (
	"context"
	"net"
	"os"
	"strings"
	"sync"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// A fuse ends the process at one of its points, when it is passed for the n-th
// time.
type fuse struct {
	point string

	mu   sync.Mutex
	left int
}

// pass is a point. It does not return where the fuse burns.
func (f *fuse) pass(point string) {
	if point != f.point {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left--; f.left != 0 {
		return
	}
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		self.Kill() //nolint:errcheck // it cannot fail on oneself
	}
	select {} // until the signal has arrived; nobody else passes
}

// appended are the kinds of records at whose appends the gateway is killed.
// Those of progress ride along with others and are left out.
var appended = []string{
	"txn.accepted", "txn.cancelWished", "txn.signatureWanted", "txn.signatureAnswered", "txn.restarted",
	"txn.ended", "txn.neverRan", "txn.answered",
	"report.dispatched", "report.interrupted", "report.made", "report.brought", "report.delivered",
	"table.opened", "table.lockIntended", "table.lockConfirmed", "table.paymentStarted", "table.paymentTaken", "table.paymentNotTaken",
	"table.left", "table.terminalLost", "table.queued", "table.delivered",
}

// sent are messages to tills, as they stand on the wire.
var sent = []string{
	"terminalNotification", "signatureVerificationRequest", "result", "error",
	"tableListRequest", "tableLockRequest", "posReceiptRequest", "transactionResponse", "tableUnlock", "reportResponse",
}

// asked are calls of a terminal, and said are its events.
var (
	asked = []string{"Start", "Cancel", "AnswerSignature", "Query", "Acknowledge", "AnswerTable", "QueryPayment"}
	said  = []string{"CameBack", "SignatureWanted", "Ended", "Reported", "ReportMade", "TableWanted", "PaymentStarted", "PaymentEnded", "VisitLeft"}
)

// points lists all of them: before and after each.
func points() []string {
	var all []string
	add := func(what string, names []string) {
		for _, n := range names {
			all = append(all, "before "+what+" "+n, "after "+what+" "+n)
		}
	}
	add("append", appended)
	add("send", sent)
	add("call", asked)
	add("event", said)
	return all
}

// around passes the points before and after f.
func (f *fuse) around(what string, do func()) {
	f.pass("before " + what)
	do()
	f.pass("after " + what)
}

// A fusedStore is a store with a point before and after each append.
type fusedStore struct {
	journal.Store
	fuse *fuse
}

// Append is part of journal.Journal.
func (s *fusedStore) Append(ctx context.Context, a journal.Append) error {
	for _, r := range a.Records {
		s.fuse.pass("before append " + r.Kind)
	}
	err := s.Store.Append(ctx, a)
	for _, r := range a.Records {
		s.fuse.pass("after append " + r.Kind)
	}
	return err
}

// A fusedListener has points around what is sent over its connections.
type fusedListener struct {
	net.Listener
	fuse *fuse
}

// Accept is part of net.Listener.
func (l *fusedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &fusedConn{c, l.fuse}, nil
}

type fusedConn struct {
	net.Conn
	fuse *fuse
}

// Write is part of net.Conn. What a gateway sends is not masked, so the
// messages in it can be read.
func (c *fusedConn) Write(b []byte) (n int, err error) {
	c.fuse.around("send "+messageIn(string(b)), func() { n, err = c.Conn.Write(b) })
	return n, err
}

// CloseWrite ends one direction, as a close handshake wants it.
func (c *fusedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return net.ErrClosed
}

// messageIn names the first message in what is written, or is empty.
func messageIn(b string) string {
	if _, rest, ok := strings.Cut(b, `"method":"`); ok {
		name, _, _ := strings.Cut(rest, `"`)
		return name
	}
	for _, member := range []string{"result", "error"} {
		if strings.Contains(b, `,"`+member+`":`) {
			return member
		}
	}
	return ""
}

// A fusedTerminal has points around its calls.
type fusedTerminal struct {
	terminal.Terminal
	terminal.Waiter
	fuse *fuse
}

// fused connects a terminal with points around its calls and events.
func (f *fuse) fused(connect func(terminal.Sink) terminal.Terminal) func(terminal.Sink) terminal.Terminal {
	return func(sink terminal.Sink) terminal.Terminal {
		t := connect(func(e terminal.Event) {
			f.around("event "+nameOf(e), func() { sink(e) })
		})
		w, ok := t.(terminal.Waiter)
		if !ok {
			panic("crash: a terminal that serves no tables")
		}
		return &fusedTerminal{t, w, f}
	}
}

func nameOf(e terminal.Event) string {
	switch e.(type) {
	case terminal.CameBack:
		return "CameBack"
	case terminal.SignatureWanted:
		return "SignatureWanted"
	case terminal.Ended:
		return "Ended"
	case terminal.Reported:
		return "Reported"
	case terminal.ReportMade:
		return "ReportMade"
	case terminal.TableWanted:
		return "TableWanted"
	case terminal.PaymentStarted:
		return "PaymentStarted"
	case terminal.PaymentEnded:
		return "PaymentEnded"
	case terminal.VisitLeft:
		return "VisitLeft"
	default:
		return "" // no money depends on it
	}
}

// Start is part of terminal.Terminal, as are those below.
func (t *fusedTerminal) Start(ctx context.Context, r terminal.Request) (err error) {
	t.fuse.around("call Start", func() { err = t.Terminal.Start(ctx, r) })
	return err
}

// Cancel passes on a wish.
func (t *fusedTerminal) Cancel(ctx context.Context, id txn.RequestID) (err error) {
	t.fuse.around("call Cancel", func() { err = t.Terminal.Cancel(ctx, id) })
	return err
}

// AnswerSignature tells what was decided.
func (t *fusedTerminal) AnswerSignature(ctx context.Context, id txn.RequestID, accepted bool) (err error) {
	t.fuse.around("call AnswerSignature", func() { err = t.Terminal.AnswerSignature(ctx, id, accepted) })
	return err
}

// Query asks what became of a request.
func (t *fusedTerminal) Query(ctx context.Context, id txn.RequestID) (a terminal.Answer, err error) {
	t.fuse.around("call Query", func() { a, err = t.Terminal.Query(ctx, id) })
	return a, err
}

// Acknowledge lets the terminal forget.
func (t *fusedTerminal) Acknowledge(ctx context.Context, id txn.RequestID) (err error) {
	t.fuse.around("call Acknowledge", func() { err = t.Terminal.Acknowledge(ctx, id) })
	return err
}

// AnswerTable is part of terminal.Waiter.
func (t *fusedTerminal) AnswerTable(ctx context.Context, v table.VisitID, a terminal.TableAnswer) (err error) {
	t.fuse.around("call AnswerTable", func() { err = t.Waiter.AnswerTable(ctx, v, a) })
	return err
}

// QueryPayment is part of terminal.Waiter.
func (t *fusedTerminal) QueryPayment(ctx context.Context, v table.VisitID, p table.PaymentID) (a terminal.PaymentAnswer, err error) {
	t.fuse.around("call QueryPayment", func() { a, err = t.Waiter.QueryPayment(ctx, v, p) })
	return a, err
}
