package epos

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/wire"
	"github.com/tillwire/tillwire/wire/rest"
)

// This file waits for the end of what a gateway has taken. Whatever it says that is
// no look at the transaction is no word on it: it is asked again.

// follow waits until a transaction has ended. The error leaves open how it will.
func (c *REST) follow(ctx context.Context, r *running) (rest.Transaction, error) {
	at, err := c.found(r.begun.Location)
	if err != nil {
		return rest.Transaction{}, err
	}
	ctx, cancel := c.during(ctx)
	defer cancel()
	p := c.newPatience()
	w := &watcher{c: c, r: r, at: at, patience: p}
	for {
		t, err := w.next(ctx)
		if err == nil && t.Result != nil {
			c.hear(r, t)
			return t, nil
		}
		if err == nil {
			p.answered(c.hear(r, t))
		}
		if err := p.over(err); err != nil {
			return rest.Transaction{}, err
		}
		if !wait(ctx, c.limits.poll) {
			return rest.Transaction{}, context.Cause(ctx)
		}
	}
}

// A patience is how long a call waits.
type patience struct {
	limits           restLimits
	heard, something time.Time // when the gateway last answered, and had something new to say
}

func (c *REST) newPatience() *patience {
	now := time.Now()
	return &patience{limits: c.limits, heard: now, something: now}
}

// answered notes that the gateway has answered, with something new or not.
func (p *patience) answered(fresh bool) {
	p.heard = time.Now()
	if fresh {
		p.something = p.heard
	}
}

// over is why to wait no longer, nil if there is hope.
func (p *patience) over(err error) error {
	switch {
	case time.Since(p.heard) >= p.limits.away:
		if err == nil {
			err = errNoAnswer
		}
		return err
	case time.Since(p.something) >= p.limits.still:
		return errors.New("the gateway says nothing new")
	}
	return nil
}

// look asks once how a transaction stands.
func (c *REST) look(ctx context.Context, at string) (rest.Transaction, error) {
	a, err := c.get(ctx, at)
	if err != nil {
		return rest.Transaction{}, err
	}
	if a.status != http.StatusOK {
		return rest.Transaction{}, c.refused(a, "")
	}
	return readLook(a.body)
}

func readLook(body []byte) (rest.Transaction, error) {
	t, err := rest.ReadTransaction(body)
	if err == nil && t.RequestID == "" && t.Location == "" && len(t.Notifications) == 0 && t.Result == nil {
		err = errors.New("the answer is no transaction")
	}
	return t, err
}

// hear tells of the notifications in a look that were not told before, and reports
// whether there were any.
func (c *REST) hear(r *running, t rest.Transaction) (fresh bool) {
	values := slices.Clone(t.Notifications)
	slices.Reverse(values)
	for i, v := range values {
		fresh = c.hearOne(r, i, v) || fresh
	}
	if t.Result == nil && len(values) > 0 && values[len(values)-1] == string(SignatureVerification) {
		var asked rest.Signature
		if t.Signature != nil {
			asked = *t.Signature
		}
		c.question(r, asked, signatureTime())
	}
	return fresh
}

// hearOne tells of the notification in a place of their list, unless it is the one
// that was told of there. A gateway that was restarted may have lost the last ones.
func (c *REST) hearOne(r *running, place int, value string) (fresh bool) {
	if place < len(r.heard) {
		if r.heard[place] == value {
			return false
		}
		r.heard = r.heard[:place]
	}
	if n := len(r.heard); n > 0 && r.heard[n-1] == string(SignatureVerification) {
		r.unasked() // whatever it is, the question is over
	}
	r.heard = append(r.heard, value)
	if f := r.handler.Notification; f != nil {
		c.events.add(func() { f(r.tid, Notification(value)) })
	}
	return true
}

// signatureTime is how long a signature can be answered where the gateway does not
// say.
func signatureTime() time.Duration { return spec.Default().Timer(spec.TimerSignature) }

// question has the till asked about a signature, once.
func (c *REST) question(r *running, asked rest.Signature, within time.Duration) {
	if r.asked {
		return
	}
	r.asked = true
	f := r.handler.Signature
	if f == nil {
		return
	}
	ctx, cancel := context.WithTimeout(r.ctx, within)
	r.unasked = cancel
	go func() {
		defer cancel()
		accept, err := f(ctx, SignatureRequest{
			TID: r.tid, Type: TransactionType(asked.TransactionType), Timeout: within,
			AuthCode: asked.AuthCode, ApplicationID: asked.ApplicationID, ApplicationLabel: asked.ApplicationLabel,
			PaymentMethod: PaymentMethod(asked.PaymentMethod), PAN: asked.PrimaryAccountNumber,
		})
		if err != nil || ctx.Err() != nil {
			return
		}
		at, err := c.found(r.begun.Location)
		if err == nil {
			err = c.put(ctx, wire.MethodVerifySignature, restRequest{
				method: http.MethodPut, url: at + "/signature", body: rest.SignatureRequest{Accepted: accept}.Append(nil), version: c.version,
			})
		}
		if err != nil {
			c.tell(r, err)
		}
	}()
}

// TransactionStatusByID says what became of a request of which the till knows the
// RequestID, as [Client.TransactionStatusByID] does. A transaction that ended as
// TimedOut is Unresolved until its outcome is known.
func (c *REST) TransactionStatusByID(ctx context.Context, tid TID, requestID string) (TransactionStatus, error) {
	return c.status(ctx, tid, c.Location(tid, requestID))
}

// TransactionStatusAt is TransactionStatusByID for one of which the till has kept
// the location.
func (c *REST) TransactionStatusAt(ctx context.Context, tid TID, location string) (TransactionStatus, error) {
	at, err := c.found(location)
	if err != nil {
		return TransactionStatus{}, about(wire.MethodTransactionStatus, err)
	}
	return c.status(ctx, tid, at)
}

func (c *REST) status(ctx context.Context, tid TID, at string) (TransactionStatus, error) {
	ctx, cancel := c.during(ctx)
	defer cancel()
	const method = wire.MethodTransactionStatus
	a, err := c.get(ctx, c.withLate(at))
	switch {
	case err != nil:
		return TransactionStatus{}, about(method, err)
	case a.status == http.StatusNotFound:
		return TransactionStatus{State: NotFound}, nil
	case a.status != http.StatusOK:
		return TransactionStatus{}, about(method, c.refused(a, tid))
	}
	t, err := readLook(a.body)
	if err != nil {
		return TransactionStatus{}, about(method, err)
	}
	out := TransactionStatus{State: Pending, RequestID: t.RequestID}
	var p Payment
	switch {
	case t.LateResult != nil:
		out.State, p = Finished, paymentOverREST(tid, t.LateResult)
	case t.Result == nil:
		return out, nil
	case Result(t.Result.TransactionResult) == TimedOut:
		out.State = Unresolved
		return out, nil
	default:
		out.State, p = Finished, paymentOverREST(tid, t.Result)
	}
	out.Payment = &p
	return out, nil
}

func (c *REST) withLate(at string) string {
	if c.options.Plain {
		return at
	}
	return at + "?extensions=" + wire.ExtensionLate
}

// The pauses between two looks for a late outcome: at most this, and for so long.
const (
	lastLate = time.Minute
	lateDays = 24 * time.Hour
)

// watch tells the truth about a transaction that has timed out, once the gateway
// knows it.
func (c *REST) watch(r *running, requestID string) {
	f := c.handler.Corrected
	at, err := c.found(r.begun.Location)
	if f == nil || c.options.Plain || err != nil {
		return
	}
	began, tid := time.Now(), r.tid
	c.working.Go(func() {
		for pause := c.limits.late; time.Since(began) < lateDays && wait(c.ctx, pause); pause = min(2*pause, lastLate) {
			t, err := c.look(c.ctx, c.withLate(at))
			if err != nil || t.LateResult == nil {
				continue
			}
			p := paymentOverREST(tid, t.LateResult)
			c.events.add(func() { f(Correction{TID: tid, RequestID: requestID, TransactionID: p.TransactionID, Payment: p}) })
			return
		}
	})
}
