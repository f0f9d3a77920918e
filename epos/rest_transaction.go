package epos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/wire"
	"github.com/tillwire/tillwire/wire/rest"
)

// A Begun is a transaction or a report that a gateway has taken over REST.
type Begun struct {
	TID       TID
	Key       string // of the request; empty where the gateway knows no keys
	RequestID string
	Location  string // where it is asked about, and nowhere else
}

// A running request is one that a call waits for.
type running struct {
	transaction
	method  string
	chosen  bool     // its key is the till's choice
	heard   []string // its notifications, the oldest first
	asked   bool     // about a signature
	unasked context.CancelFunc

	// Under the client's mu.
	begun Begun
	wish  bool // to cancel it, which came before there was a location
}

// Sale takes money, as [Client.Sale] does.
func (c *REST) Sale(ctx context.Context, s Sale, opts ...CallOption) (Payment, error) {
	return c.transact(ctx, wire.MethodSale, s.TID, rest.TransactionRequest{
		TransactionType: rest.TypeSale, Currency: s.Amount.Currency, Amount: s.Amount.Minor,
		AmountCashback: s.Cashback, CardholderNotPresent: s.CardholderNotPresent,
	}, opts)
}

// Refund gives money back. It ends as Sale does.
func (c *REST) Refund(ctx context.Context, r Refund, opts ...CallOption) (Payment, error) {
	return c.transact(ctx, wire.MethodRefund, r.TID, rest.TransactionRequest{
		TransactionType: rest.TypeRefund, Currency: r.Amount.Currency, Amount: r.Amount.Minor,
		CardholderNotPresent: r.CardholderNotPresent,
	}, opts)
}

// PreAuth reserves money, v2 only. It ends as Sale does.
func (c *REST) PreAuth(ctx context.Context, p PreAuth, opts ...CallOption) (Payment, error) {
	return c.transact(ctx, wire.MethodPreAuth, p.TID, rest.TransactionRequest{
		TransactionType: rest.TypePreAuth, Currency: p.Amount.Currency, Amount: p.Amount.Minor,
	}, opts)
}

// Completion takes money that was reserved, v2 only. It ends as Sale does.
func (c *REST) Completion(ctx context.Context, p Completion, opts ...CallOption) (Payment, error) {
	return c.transact(ctx, wire.MethodCompletion, p.TID, rest.TransactionRequest{
		TransactionType: rest.TypeCompletion, Currency: p.Amount.Currency, Amount: p.Amount.Minor,
		AuthCode: p.AuthCode, AmountPreAuthorisedTotal: p.PreAuthorisedTotal,
	}, opts)
}

// AccountVerification checks a card and takes nothing, v2 only. It ends as Sale
// does.
func (c *REST) AccountVerification(ctx context.Context, a AccountVerification, opts ...CallOption) (Payment, error) {
	return c.transact(ctx, wire.MethodAccountVerification, a.TID, rest.TransactionRequest{
		TransactionType: rest.TypeAccountVerification, Currency: a.Currency,
	}, opts)
}

// Duplicate returns a terminal's last transaction, as [Client.Duplicate] does.
func (c *REST) Duplicate(ctx context.Context, tid TID) (Payment, error) {
	silent := func(t *transaction) { t.handler = Handler{} } // it is no transaction of its own
	p, err := c.transact(ctx, wire.MethodDuplicate, tid, rest.TransactionRequest{TransactionType: rest.TypeDuplicate}, []CallOption{silent})
	if unknown, ok := errors.AsType[*OutcomeUnknownError](err); ok {
		return p, about(wire.MethodDuplicate, unknown.Err) // it charges nobody
	}
	if err == nil && p.Type == "" && p.Result == Unsuccessful {
		return Payment{}, &Error{Code: ErrRequestNotSupported, Message: "there is no transaction to repeat", UserMessage: p.UserMessage}
	}
	return p, err
}

// Await waits for the end of a transaction of which the till has kept the
// location, as after a restart of the till. It starts nothing.
func (c *REST) Await(ctx context.Context, tid TID, location string, opts ...CallOption) (Payment, error) {
	r := c.begin("transaction", tid, opts)
	defer c.end(r)
	c.mu.Lock()
	r.begun = Begun{TID: tid, Key: r.key, Location: location}
	c.mu.Unlock()
	return c.await(ctx, r, &OutcomeUnknownError{Method: r.method, TID: tid, Key: r.key, Location: location})
}

// TryAgain ends the doubt that an OutcomeUnknownError tells of, as its own
// TryAgain does for the WebSocket: it asks the gateway, as often as it takes until
// ctx ends, about the transaction that it has taken, or sends the same request
// under the same Key.
func (c *REST) TryAgain(ctx context.Context, e *OutcomeUnknownError, opts ...CallOption) (Payment, error) {
	if e.Location == "" && (e.Key == "" || e.restRequest == nil) {
		return Payment{}, about(e.Method, fmt.Errorf("%w: it has neither key nor location, or is a report", ErrNoExtension))
	}
	opts = append(slices.Clone(opts), WithKey(e.Key))
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		var p Payment
		var err error
		if e.Location != "" {
			p, err = c.Await(ctx, e.TID, e.Location, opts...)
		} else {
			p, err = c.transact(ctx, e.Method, e.TID, *e.restRequest, opts)
		}
		if err == nil || settled(err) {
			return p, err
		}
		if !wait(ctx, pause) {
			again := *e
			again.Err = ctx.Err()
			return Payment{}, &again
		}
	}
}

// transact asks for a transaction and waits for its end.
func (c *REST) transact(ctx context.Context, method string, tid TID, asked rest.TransactionRequest, opts []CallOption) (Payment, error) {
	r := c.begin(method, tid, opts)
	defer c.end(r)
	unknown := &OutcomeUnknownError{Method: method, TID: tid, restRequest: &asked}
	if err := c.ask(ctx, r, "transactions", asked.Append(nil)); err != nil {
		unknown.Key = r.key
		return Payment{}, unknown.inDoubt(err)
	}
	unknown.Key, unknown.Location = r.begun.Key, r.begun.Location
	return c.await(ctx, r, unknown)
}

// await waits for the end of what was begun.
func (c *REST) await(ctx context.Context, r *running, unknown *OutcomeUnknownError) (Payment, error) {
	t, err := c.follow(ctx, r)
	r.cancel() // a signature is not wanted any more
	if err != nil {
		unknown.Err = err
		return Payment{}, unknown
	}
	p := paymentOverREST(r.tid, t.Result)
	if p.Result == TimedOut && r.method != wire.MethodDuplicate {
		c.watch(r, t.RequestID)
	}
	c.events.settle(ctx)
	return p, nil
}

// begin notes a request that is asked for.
func (c *REST) begin(method string, tid TID, opts []CallOption) *running {
	r := &running{method: method, transaction: transaction{tid: tid, handler: c.handler}, unasked: func() {}}
	r.ctx, r.cancel = context.WithCancel(c.ctx)
	for _, opt := range opts {
		opt(&r.transaction)
	}
	r.chosen = r.key != ""
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = append(c.running, r)
	return r
}

func (c *REST) end(r *running) {
	r.cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = slices.DeleteFunc(c.running, func(other *running) bool { return other == r })
}

// ask sends a request until the gateway has said whether it takes it. Each time it
// has the same key, so that it is taken once; where the gateway is not known to
// heed keys, a request that may have arrived is not sent again.
//
// The error is a *doubtError where it is open whether the request was taken. Any
// other says that it was not.
func (c *REST) ask(ctx context.Context, r *running, what string, body []byte) error {
	ctx, cancel := c.during(ctx)
	defer cancel()
	if err := c.nameIt(ctx, r); err != nil {
		return err
	}
	request := restRequest{
		method: http.MethodPost, url: c.at("pac", "terminals", string(r.tid), what), body: body, version: c.version, key: r.key,
	}
	began, doubt := time.Now(), false
	for pause := c.limits.retry; ; pause = min(2*pause, lastPause) {
		switch {
		case ctx.Err() != nil && doubt:
			return &doubtError{context.Cause(ctx)}
		case ctx.Err() != nil:
			return fmt.Errorf("%w: %w", errNotSent, context.Cause(ctx))
		}
		a, err := c.do(ctx, request)
		switch {
		case err == nil && (a.status == http.StatusCreated || a.status == http.StatusOK):
			if err = c.take(r, a); err == nil {
				return nil
			}
			doubt = true
		case err == nil && a.refuses():
			err = c.refused(a, r.tid)
			if !doubt || speaksForAll(a.status) {
				return err
			}
		case err == nil:
			err = fmt.Errorf("the gateway answered %d", a.status)
			doubt = true
		default:
			doubt = doubt || !errors.Is(err, errNotSent)
		}
		if !doubt || r.key == "" || time.Since(began)+pause > c.limits.deliver {
			return ended(doubt, err)
		}
		if unheeded := c.heedsKeys(ctx, r); unheeded != nil {
			if errors.Is(unheeded, ErrNoExtension) {
				r.key = "" // it is worth nothing
			}
			return ended(doubt, err)
		}
		wait(ctx, pause)
	}
}

// A doubtError is why it is not known whether a request was taken.
type doubtError struct{ err error }

func (e *doubtError) Error() string { return e.err.Error() }
func (e *doubtError) Unwrap() error { return e.err }

func ended(doubt bool, err error) error {
	if doubt {
		return &doubtError{err}
	}
	return err
}

// inDoubt returns e with its cause, if err is one, and else what says that the
// request did not run.
func (e *OutcomeUnknownError) inDoubt(err error) error {
	d, ok := errors.AsType[*doubtError](err)
	if !ok {
		return about(e.Method, err)
	}
	e.Err = d.err
	return e
}

// refuses reports whether it is certain that the request was not taken. A 5xx that
// is no word of the interface may be one of a machine in between, about an answer
// that it lost.
func (a restAnswer) refuses() bool {
	if a.status == http.StatusServiceUnavailable {
		_, err := rest.ReadError(a.body)
		return err == nil
	}
	return a.status >= 300 && a.status < 500 && a.status != http.StatusRequestTimeout
}

// speaksForAll reports whether a refusal says of earlier tries of the request, too,
// that they were not taken. The gateway would have answered 201 before it came to
// look at these; who asks, and whether new work is taken, it looks at before.
func speaksForAll(status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// nameIt gives a request a key. Where the till has chosen one it relies on it, so the
// gateway must be known to heed it.
func (c *REST) nameIt(ctx context.Context, r *running) error {
	switch {
	case r.chosen && c.options.Plain:
		return fmt.Errorf("%w: %w: %s", errNotSent, ErrNoExtension, wire.ExtensionKeys)
	case r.chosen:
		if err := c.heedsKeys(ctx, r); err != nil {
			return fmt.Errorf("%w: %w", errNotSent, err)
		}
	case !c.options.Plain:
		r.key = NewKey()
	}
	return nil
}

// heedsKeys returns nil if one key is one request to the gateway. Its answers show it;
// if there was none so far, it asks for one. It is an ErrNoExtension if the gateway
// does not know keys.
func (c *REST) heedsKeys(ctx context.Context, r *running) error {
	if c.keys.Load() {
		return nil
	}
	var err error
	for range 3 {
		if _, err = c.get(ctx, c.at("pac", "terminals", string(r.tid))); err == nil {
			if c.keys.Load() {
				return nil
			}
			return fmt.Errorf("%w: %s", ErrNoExtension, wire.ExtensionKeys)
		}
		if !wait(ctx, c.limits.retry) {
			break
		}
	}
	return err
}

// take keeps what the gateway said of a request that it took, and tells of it.
func (c *REST) take(r *running, a restAnswer) error {
	b, err := rest.ReadBegun(a.body)
	if err == nil && b.Location == "" {
		err = errors.New("the answer has no location")
	}
	if err != nil {
		return err
	}
	begun := Begun{TID: r.tid, RequestID: b.RequestID, Location: b.Location}
	if c.keys.Load() {
		begun.Key = r.key
	}
	if f := r.handler.Begun; f != nil {
		f(begun) // before anything else: what the till keeps is all that it has after a crash
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.begun = begun; r.wish {
		c.working.Go(func() {
			if err := c.CancelAt(r.ctx, begun.Location); err != nil {
				c.tell(r, err)
			}
		})
	}
	return nil
}

// tell tells of an error that ends no call.
func (c *REST) tell(r *running, err error) {
	e, ok := errors.AsType[*Error](err)
	if f := c.handler.Error; ok && f != nil && r.ctx.Err() == nil {
		c.events.add(func() { f(e) })
	}
}

// Cancel asks that the transaction which this client runs on a terminal be
// cancelled. It is a wish: nil means that it was passed on, or will be once the
// gateway has taken the transaction, and the transaction's own call tells what came
// of it. If there is none the error is ErrNoTransactionInProgress; that of another
// till is cancelled by [REST.CancelAt].
func (c *REST) Cancel(ctx context.Context, tid TID) error {
	c.mu.Lock()
	location, found := "", false
	for _, r := range c.running {
		if strings.EqualFold(string(r.tid), string(tid)) && r.method != wire.MethodDuplicate {
			location, found = r.begun.Location, true
			r.wish = location == ""
			break
		}
	}
	c.mu.Unlock()
	switch {
	case !found:
		return &Error{Code: ErrNoTransactionInProgress, Message: "this client runs no transaction on " + string(tid)}
	case location == "":
		return nil
	}
	return c.CancelAt(ctx, location)
}

// cancelLimit is for v0 and v1, where the answer waits up to 10 s for the end.
const cancelLimit = 20 * time.Second

// Location is where a transaction is asked about, for a till that has kept no more
// than its RequestID.
func (c *REST) Location(tid TID, requestID string) string {
	return c.at("pac", "terminals", string(tid), "transactions", requestID)
}

// CancelAt asks that the transaction at a location be cancelled. It is a wish: nil
// means that it was passed on.
func (c *REST) CancelAt(ctx context.Context, location string) error {
	at, err := c.found(location)
	if err != nil {
		return about(wire.MethodCancelTransaction, err)
	}
	return c.put(ctx, wire.MethodCancelTransaction, restRequest{method: http.MethodDelete, url: at, version: c.version, limit: cancelLimit})
}

// put sends what may be said more than once, until it was heard.
func (c *REST) put(ctx context.Context, what string, r restRequest) error {
	ctx, cancel := c.during(ctx)
	defer cancel()
	const tries = 4
	for n, pause := 1, c.limits.retry; ; n, pause = n+1, 2*pause {
		a, err := c.do(ctx, r)
		switch {
		case err == nil && a.status >= 200 && a.status < 300:
			return nil
		case err == nil && a.status == http.StatusUnprocessableEntity && r.method == http.MethodDelete && r.version != rest.V2:
			return nil // it did not come of it, or not yet; the result will tell
		case err == nil && a.refuses():
			return about(what, c.refused(a, ""))
		case err == nil:
			err = fmt.Errorf("the gateway answered %d", a.status)
		}
		if n == tries || !wait(ctx, pause) {
			return about(what, err)
		}
	}
}

// paymentOverREST makes the payment of a result.
func paymentOverREST(tid TID, r *rest.Result) Payment {
	p := Payment{
		TID: tid, Type: TransactionType(r.TransactionType), Result: Result(r.TransactionResult),
		TransactionID: r.TransactionID, TransactionNumber: r.TransactionNumber,
		Currency: r.Currency, AmountBase: r.AmountBase, AmountCashback: r.AmountCashback,
		AmountGratuity: r.AmountGratuity, AmountTotal: r.AmountTotal,
		PaymentMethod: PaymentMethod(r.PaymentMethod), CVM: CVM(r.CardholderVerificationMethod), Scheme: r.CardSchemeName,
		ApplicationID: r.ApplicationID, ApplicationLabel: r.ApplicationLabel, AuthCode: r.AuthCode,
		PAN: r.PrimaryAccountNumber, PANSequence: r.PrimaryAccountNumberSequence,
		StartDate: r.DateOfStart, ExpiryDate: r.DateOfExpiry,
		Receipts:    receipt.Copies{Merchant: r.ReceiptLines.Merchant, Customer: r.ReceiptLines.Customer},
		UserMessage: r.UserMessage,
	}
	if !r.TransactionTime.IsZero() {
		p.Time = localTime(r.TransactionTime)
	}
	return p
}

// localTime is the time of the wall clock at the site.
func localTime(t time.Time) LocalTime { return LocalTime(t.Format(wire.TimeLayout)) }
