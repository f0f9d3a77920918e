package epos

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// TryAgain ends the doubt: it connects anew, as often as it takes until ctx
// ends, and sends the same request under the same Key. That joins the
// transaction if the gateway has it, whether it runs or has ended, and runs it
// if it never arrived; either way there is one transaction. The opts are those
// of Sale; a signature that is still open is asked anew.
//
// It returns what Sale would have returned: a Payment, which says TimedOut while
// nobody knows better, or an *Error if it did not run; what is tried after that is
// best tried under the same key, by WithKey(e.Key). When ctx ends first, it is
// an *OutcomeUnknownError once more, and can be tried again. A *RefusedError
// means that the gateway does not want this till. Without a Key, and for a
// report, it is ErrNoExtension at once; a report is called for again by
// WithKey(e.Key).
//
// An *Error such as busy says that this try did not run. While the first one may
// still lie in a bad network it could be taken yet: keep the Key until the terminal
// is seen to be free, and use it for whatever is tried next.
//
// When the customer may have left, use TransactionStatus instead: it starts
// nothing.
func (e *OutcomeUnknownError) TryAgain(ctx context.Context, o Options, opts ...CallOption) (Payment, error) {
	if e.Key == "" || e.request == nil {
		return Payment{}, about(e.Method, fmt.Errorf("%w: it has no key, or is a report", ErrNoExtension))
	}
	opts = append(opts[:len(opts):len(opts)], WithKey(e.Key))
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		p, err := e.once(ctx, o, opts)
		if err == nil || settled(err) {
			return p, err
		}
		select {
		case <-ctx.Done():
			again := *e
			again.Err = ctx.Err()
			return Payment{}, &again
		case <-time.After(pause):
		}
	}
}

func (e *OutcomeUnknownError) once(ctx context.Context, o Options, opts []CallOption) (Payment, error) {
	o.Stream = "" // a Client may still have it
	c, err := Dial(ctx, o)
	if err != nil {
		return Payment{}, err
	}
	defer c.Close()
	return c.transact(ctx, e.Method, *e.request, opts)
}

// settled reports whether an error is the last word. An *Error is: a gateway
// answers for a request that it has, whatever else it refuses at the moment.
func settled(err error) bool {
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		return refused.Status >= 400 && refused.Status < 429
	}
	_, said := errors.AsType[*Error](err)
	return said || errors.Is(err, ErrNoExtension)
}
