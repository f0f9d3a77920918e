package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/epos"
	"github.com/tillwire/tillwire/spec"
)

// A till is a connection to a gateway, and shows what comes.
type till struct {
	s      streams
	json   bool
	client tillClient
	key    string // of the request; empty where there is none

	mu    sync.Mutex
	raw   jsontext.Value // the last result as it came
	begun epos.Begun     // what was taken over REST
}

// A tillClient asks a gateway, over a WebSocket or over REST.
type tillClient interface {
	ConnectedTerminals(context.Context, epos.Filter) ([]epos.Terminal, error)
	TerminalDetails(context.Context, epos.TID) (epos.Terminal, error)
	Sale(context.Context, epos.Sale, ...epos.CallOption) (epos.Payment, error)
	Refund(context.Context, epos.Refund, ...epos.CallOption) (epos.Payment, error)
	PreAuth(context.Context, epos.PreAuth, ...epos.CallOption) (epos.Payment, error)
	Completion(context.Context, epos.Completion, ...epos.CallOption) (epos.Payment, error)
	AccountVerification(context.Context, epos.AccountVerification, ...epos.CallOption) (epos.Payment, error)
	Cancel(context.Context, epos.TID) error
	TransactionStatusByID(ctx context.Context, tid epos.TID, requestID string) (epos.TransactionStatus, error)
	Duplicate(context.Context, epos.TID) (epos.Payment, error)
	ReportXBalance(context.Context, epos.TID, ...epos.CallOption) (epos.Report, error)
	ReportZBalance(context.Context, epos.TID, ...epos.CallOption) (epos.Report, error)
	ReportBanking(context.Context, epos.TID, ...epos.CallOption) (epos.Report, error)
	ReportEndOfDay(context.Context, epos.TID, ...epos.CallOption) (epos.Report, error)
	Close() error
}

var (
	_ tillClient = (*epos.Client)(nil)
	_ tillClient = (*epos.REST)(nil)
)

// dial connects to the gateway. No error of it repeats the address, which
// bears the key.
func (f tillFlags) dial(ctx context.Context, s streams, signature string) (*till, error) {
	t := &till{s: s, json: f.JSON}
	ctx, cancel := context.WithTimeout(ctx, quick)
	defer cancel()
	h := epos.Handler{
		Trace:        t.trace,
		Notification: t.notify,
		Error:        func(e *epos.Error) { fmt.Fprintf(s.err, "the gateway says: %s\n", e.StaffMessage()) },
	}
	if signature != "" && signature != "ignore" {
		h.Signature = t.signature(signature)
	}
	if f.face.REST {
		h.Trace, h.Begun = t.traceREST, t.taken
		client, err := epos.NewREST(epos.RESTOptions{URL: f.URL, Version: epos.Version(f.face.RESTVersion), Till: "tillwire", Handler: h})
		if err != nil {
			return nil, dialAdvice(err)
		}
		t.client = client
		return t, nil
	}
	client, err := epos.Dial(ctx, epos.Options{URL: f.URL, Handler: h})
	if err != nil {
		return nil, dialAdvice(err)
	}
	t.client = client
	return t, nil
}

// dialAdvice says what to do when a gateway cannot be reached.
func dialAdvice(err error) error {
	refused, ok := errors.AsType[*epos.RefusedError](err)
	switch {
	case !ok:
		return err
	case refused.Status == 401 || refused.Status == 403:
		return hint(err, "the key stands in --url or TILLWIRE_URL after token=; tillwire key add makes one")
	case refused.RetryAfter > 0:
		return hint(err, "try again in %v", refused.RetryAfter)
	}
	return hint(err, "correct the address in --url or TILLWIRE_URL")
}

// trace keeps the newest result as it came over the wire.
func (t *till) trace(sent bool, message []byte) {
	var m struct {
		Result jsontext.Value `json:"result"`
	}
	if sent || json.Unmarshal(message, &m) != nil || m.Result == nil {
		return
	}
	var wish struct {
		Cancelling *bool `json:"cancelling"`
		Cancelled  *bool `json:"cancelled"` // v0
	}
	err := json.Unmarshal(m.Result, &wish)
	onCancel := err == nil && (wish.Cancelling != nil || wish.Cancelled != nil)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.raw == nil || !onCancel { // the answer to a wish replaces no result
		t.raw = m.Result.Clone()
	}
}

// traceREST keeps the newest body as it came, unless it only says why something was
// not done.
func (t *till) traceREST(sent bool, message []byte) {
	var m struct {
		UserMessage jsontext.Value `json:"userMessage"`
		Messages    jsontext.Value `json:"messages"`
		Result      jsontext.Value `json:"transactionResult"`
	}
	if sent || json.Unmarshal(message, &m) != nil || m.Messages != nil || m.UserMessage != nil && m.Result == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.raw = slices.Clone(message)
}

// taken prints where a request is found from now on.
func (t *till) taken(b epos.Begun) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begun = b
	fmt.Fprintf(t.s.err, "request id %s\n", b.RequestID)
}

// printRaw prints the newest result as it came, with the request key if there is
// one.
func (t *till) printRaw() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	raw := t.raw
	if raw == nil { // REST says nothing more of a wish than that it was heard
		raw = jsontext.Value("{}")
	}
	if t.key != "" && raw.Kind() == jsontext.KindBeginObject {
		key, err := jsontext.AppendQuote(nil, t.key)
		if err != nil {
			return err
		}
		raw = fmt.Appendf(nil, "%s,\"requestKey\":%s}", raw[:len(raw)-1], key)
	}
	_, err := fmt.Fprintf(t.s.out, "%s\n", raw)
	return err
}

// name gives the request the key that was asked for, or a new one where the
// gateway knows keys, and prints it: whatever happens now, it can be asked about.
func (t *till) name(key string) {
	socket, ok := t.client.(*epos.Client)
	if key == "" && (!ok || slices.Contains(socket.Extensions(), "keys")) {
		key = epos.NewKey()
	}
	if t.key = key; key != "" {
		fmt.Fprintf(t.s.err, "request key %s\n", key)
	}
}

// printKey prints, for machines, all that there is to tell of a lost outcome.
func (t *till) printKey() error {
	if !t.json || t.key == "" {
		return nil
	}
	type lost struct {
		RequestKey string `json:"requestKey"`
		RequestID  string `json:"requestId,omitzero"`
		Location   string `json:"location,omitzero"`
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return printJSON(t.s, lost{t.key, t.begun.RequestID, t.begun.Location})
}

// keyed is what a call needs for the key.
func (t *till) keyed() []epos.CallOption {
	if t.key == "" {
		return nil
	}
	return []epos.CallOption{epos.WithKey(t.key)}
}

// notify shows progress.
func (t *till) notify(tid epos.TID, n epos.Notification) {
	fmt.Fprintf(t.s.err, "%s  %-12s %-22s %s\n", time.Now().Format("15:04:05.000"), tid, n, meaning(n))
}

func meaning(n epos.Notification) string {
	for _, v := range spec.Default().Notifications() {
		if v.Value == string(n) {
			return v.Meaning
		}
	}
	return ""
}

// signature answers for the cashier, or asks who sits there.
func (t *till) signature(how string) func(context.Context, epos.SignatureRequest) (bool, error) {
	return func(ctx context.Context, r epos.SignatureRequest) (bool, error) {
		if len(r.Merchant) > 0 { // over REST there is no receipt to compare yet
			fmt.Fprint(t.s.err, paper(r.Merchant))
		}
		if how != "ask" {
			return how == "accept", nil
		}
		fmt.Fprintf(t.s.err, "The customer signs: does it match the card? y or n, within %v: ", r.Timeout)
		answer := make(chan string, 1)
		go func() { // may read on when the time is up; the program is over then
			line, _ := bufio.NewReader(t.s.in).ReadString('\n')
			answer <- strings.ToLower(strings.TrimSpace(line))
		}()
		select {
		case line := <-answer:
			switch line {
			case "y", "yes":
				return true, nil
			case "n", "no":
				return false, nil
			}
			fmt.Fprintln(t.s.err, "that is no answer: the gateway decides when the time is up")
			return false, errors.New("no answer")
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// ask connects, asks what is answered at once, and hangs up.
func (f tillFlags) ask(s streams, do func(context.Context, *till) error) error {
	return f.run(s, "", func(ctx context.Context, t *till) error {
		ctx, cancel := context.WithTimeout(ctx, quick)
		defer cancel()
		return do(ctx, t)
	})
}

func (f tillFlags) run(s streams, signature string, do func(context.Context, *till) error) error {
	scheme, _, _ := strings.Cut(f.URL, "://")
	switch scheme {
	case "ws", "wss":
	case "http", "https":
		f.face.REST = true
	default:
		return usageError{hint(errors.New("--url: the address begins with ws://, wss://, http:// or https://"), "the gateway prints it; with --dev it is %s", devURL(defaultListen))}
	}
	ctx := context.Background()
	t, err := f.dial(ctx, s, signature)
	if err != nil {
		return err
	}
	defer t.client.Close()
	return do(ctx, t)
}

// transact runs a transaction. The first Ctrl-C wishes to cancel it, a second
// one gives up waiting.
func (f tillFlags) transact(s streams, tid epos.TID, signature, key string, do func(context.Context, *till) (epos.Payment, error)) error {
	interrupts, ignore := onInterrupt()
	defer ignore()
	return f.run(s, signature, func(ctx context.Context, t *till) error {
		t.name(key)
		ctx, giveUp := context.WithCancel(ctx)
		defer giveUp()
		var watching sync.WaitGroup
		watching.Go(func() { t.watch(ctx, tid, interrupts, giveUp) })
		p, err := do(ctx, t)
		giveUp()
		watching.Wait()
		return t.showPayment(tid, p, err)
	})
}

// watch turns interrupts into a wish to cancel, then into giving up.
func (t *till) watch(ctx context.Context, tid epos.TID, interrupts <-chan os.Signal, giveUp func()) {
	select {
	case <-ctx.Done():
		return
	case <-interrupts:
	}
	fmt.Fprintln(t.s.err, "asked to cancel; waiting for the result. Ctrl-C again gives up, and then the outcome is not known")
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := t.client.Cancel(ctx, tid); err != nil && ctx.Err() == nil {
			fmt.Fprintf(t.s.err, "the wish to cancel was not taken: %v\n", staffText(err))
		}
	}()
	defer func() { <-done }()
	select {
	case <-ctx.Done():
	case <-interrupts:
		giveUp()
	}
}

// staffText is the text for staff where there is one.
func staffText(err error) string {
	if e, ok := errors.AsType[*epos.Error](err); ok {
		return fmt.Sprintf("%s (%d)", strings.TrimSuffix(e.StaffMessage(), "."), int(e.Code))
	}
	return err.Error()
}

// refused tells of a request that was not carried out.
func (t *till) refused(err error) error {
	if refused, ok := errors.AsType[*epos.RefusedError](err); ok {
		return dialAdvice(refused)
	}
	e, ok := errors.AsType[*epos.Error](err)
	if !ok {
		return err
	}
	if t.json {
		type fault struct {
			Code        int    `json:"code"`
			Message     string `json:"message"`
			UserMessage string `json:"userMessage,omitzero"`
		}
		type failure struct {
			Error      fault  `json:"error"`
			RequestKey string `json:"requestKey,omitzero"`
		}
		if err := printJSON(t.s, failure{fault{int(e.Code), e.Message, e.UserMessage}, t.key}); err != nil {
			return err
		}
	}
	advice := ""
	if c, ok := spec.Default().Error(int(e.Code)); ok {
		advice = c.AdviceText
	}
	return hint(errors.New(staffText(err)), "%s; for the developer: %s", lowerFirst(strings.TrimSuffix(advice, ".")), e.Message)
}

func lowerFirst(s string) string {
	if s == "" {
		return "nothing ran"
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// unknownOutcome says how to learn what nobody at this till knows.
func (t *till) unknownOutcome(tid epos.TID, err error) error {
	if err != nil {
		fmt.Fprintf(t.s.err, "tillwire: error: %v\n", err)
	}
	t.mu.Lock()
	id := t.begun.RequestID
	t.mu.Unlock()
	if _, ok := t.client.(*epos.REST); ok && id != "" {
		fmt.Fprintf(t.s.err, "tillwire: hint: tillwire epos --rest status --tid %s --request-id %s tells what became of it; the same request with --key %s goes on waiting for it\n", tid, id, t.key)
	} else if ok && t.key != "" {
		fmt.Fprintf(t.s.err, "tillwire: hint: the same request with --key %s is one and the same, and goes on waiting for it\n", t.key)
	} else if t.key != "" {
		fmt.Fprintf(t.s.err, "tillwire: hint: tillwire epos status --tid %s --key %s tells what became of it; the same request with that --key goes on waiting for it\n", tid, t.key)
	} else {
		fmt.Fprintf(t.s.err, "tillwire: hint: tillwire epos duplicate --tid %s tells the terminal's last transaction; do not try again before\n", tid)
	}
	return exitStatus(exitUnknown)
}

// showPayment prints how a transaction ended and returns the exit status.
func (t *till) showPayment(tid epos.TID, p epos.Payment, err error) error {
	if unknown, ok := errors.AsType[*epos.OutcomeUnknownError](err); ok {
		if err := t.printKey(); err != nil {
			return err
		}
		return t.unknownOutcome(tid, unknown)
	}
	if err != nil {
		return t.refused(err)
	}
	if t.json {
		if err := t.printRaw(); err != nil {
			return err
		}
	} else if err := t.printPayment(p); err != nil {
		return err
	}
	err = exitOf(p.Result)
	if err == exitStatus(exitUnknown) {
		return t.unknownOutcome(tid, nil)
	}
	return err
}

// exitOf is the exit status that tells a result, nil for SUCCESSFUL.
func exitOf(r epos.Result) error {
	switch r {
	case epos.Successful:
		return nil
	case epos.Declined, epos.Void, epos.Unsuccessful:
		return exitStatus(exitNotTaken)
	case epos.Cancelled:
		return exitStatus(exitCancelled)
	case epos.TimedOut:
	}
	return exitStatus(exitUnknown)
}

func (t *till) printPayment(p epos.Payment) error {
	out := t.s.out
	fmt.Fprintln(out, p.Result)
	fmt.Fprintf(out, "%s %s on %s", p.Type, p.Total(), p.TID)
	if p.TransactionID != "" {
		fmt.Fprintf(out, ", number %s, transaction id %s", p.TransactionNumber, p.TransactionID)
	}
	fmt.Fprintln(out)
	if p.PAN != "" {
		fmt.Fprintf(out, "%s %s, %s, verified by %s, auth code %s\n", orDash(p.Scheme), p.PAN, p.PaymentMethod, p.CVM, orDash(p.AuthCode))
	}
	printCopies(out, p.Receipts)
	for _, r := range spec.Default().Results() {
		if r.Value == string(p.Result) {
			fmt.Fprintf(out, "\n%s. %s\n", r.Title, r.Till)
		}
	}
	return nil
}

// showReport prints a report and returns the exit status.
func (t *till) showReport(r epos.Report, err error) error {
	if unknown, ok := errors.AsType[*epos.OutcomeUnknownError](err); ok {
		if err := t.printKey(); err != nil {
			return err
		}
		fmt.Fprintf(t.s.err, "tillwire: error: %v\n", unknown)
		if t.key != "" {
			fmt.Fprintf(t.s.err, "tillwire: hint: the same report with --key %s is the one that was asked for\n", t.key)
		} else {
			fmt.Fprintln(t.s.err, "tillwire: hint: the terminal may have made it: look at its paper before it is asked again")
		}
		return exitStatus(exitUnknown)
	}
	if err != nil {
		return t.refused(err)
	}
	if t.json {
		err = t.printRaw()
	} else {
		_, err = fmt.Fprintf(t.s.out, "%s\n%s", r.Result, paper(r.Lines))
	}
	if err == nil && r.Result != epos.ReportComplete {
		return exitStatus(exitUnknown)
	}
	return err
}
