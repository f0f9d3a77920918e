package epos

import (
	"context"
	"errors"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/wire"
)

// A Sale is what Client.Sale asks for.
type Sale struct {
	TID                  TID
	Amount               money.Amount // 1 to 99999999 minor units, in the terminal's currency
	Cashback             money.Minor  // v1: to try to add, at most 10000; the Payment tells what was added
	CardholderNotPresent bool         // v1: keyed entry, which takes longer
}

// A Refund is what Client.Refund asks for.
type Refund struct {
	TID                  TID
	Amount               money.Amount
	CardholderNotPresent bool // v1
}

// A PreAuth is what Client.PreAuth asks for.
type PreAuth struct {
	TID    TID
	Amount money.Amount // to reserve
}

// A Completion is what Client.Completion asks for.
type Completion struct {
	TID                TID
	Amount             money.Amount // to take
	AuthCode           string       // of the card's first pre-auth
	PreAuthorisedTotal money.Minor  // sum of the card's pre-auths; 0 leaves it out
}

// An AccountVerification is what Client.AccountVerification asks for.
type AccountVerification struct {
	TID      TID
	Currency money.Currency // the terminal's
}

// Sale takes money. It returns when the transaction has ended, which takes as
// long as the customer does, up to some 200 s (300 s without the card).
//
// A nil error means that the transaction ran: look at the Payment's MoneyTaken.
// An *Error means that it did not run. An *OutcomeUnknownError means that it may
// have run; it is what a ctx that ends gives, too, for the terminal carries on.
// Any other error means that nothing was sent.
func (c *Client) Sale(ctx context.Context, s Sale, opts ...CallOption) (Payment, error) {
	return c.transact(ctx, wire.MethodSale, wire.PerformTransactionRequest{
		TerminalID: terminalID(s.TID), Currency: s.Amount.Currency, Amount: s.Amount.Minor,
		AmountCashback: s.Cashback, CardholderNotPresent: s.CardholderNotPresent,
	}, opts)
}

// Refund gives money back. It ends as Sale does.
func (c *Client) Refund(ctx context.Context, r Refund, opts ...CallOption) (Payment, error) {
	return c.transact(ctx, wire.MethodRefund, wire.PerformTransactionRequest{
		TerminalID: terminalID(r.TID), Currency: r.Amount.Currency, Amount: r.Amount.Minor,
		CardholderNotPresent: r.CardholderNotPresent,
	}, opts)
}

// PreAuth reserves money, v1 only. Keep the AuthCode of a card's first one for
// the completion. It ends as Sale does.
func (c *Client) PreAuth(ctx context.Context, p PreAuth, opts ...CallOption) (Payment, error) {
	return c.transact(ctx, wire.MethodPreAuth, wire.PerformTransactionRequest{
		TerminalID: terminalID(p.TID), Currency: p.Amount.Currency, Amount: p.Amount.Minor,
	}, opts)
}

// Completion takes money that was reserved, from the same card, v1 only. It ends
// as Sale does.
func (c *Client) Completion(ctx context.Context, p Completion, opts ...CallOption) (Payment, error) {
	return c.transact(ctx, wire.MethodCompletion, wire.PerformTransactionRequest{
		TerminalID: terminalID(p.TID), Currency: p.Amount.Currency, Amount: p.Amount.Minor,
		AuthCode: p.AuthCode, AmountPreAuthorisedTotal: p.PreAuthorisedTotal,
	}, opts)
}

// AccountVerification checks a card and takes nothing, v1 only. It ends as Sale
// does.
func (c *Client) AccountVerification(ctx context.Context, a AccountVerification, opts ...CallOption) (Payment, error) {
	return c.transact(ctx, wire.MethodAccountVerification, wire.PerformTransactionRequest{
		TerminalID: terminalID(a.TID), Currency: a.Currency,
	}, opts)
}

func (c *Client) transact(ctx context.Context, method string, r wire.PerformTransactionRequest, opts []CallOption) (Payment, error) {
	tid := TID(r.TID)
	t := c.begin(tid, opts)
	defer c.end(t)
	key, err := c.keyFor(t)
	if err != nil {
		return Payment{}, about(method, err)
	}
	r.RequestKey = key
	unknown := &OutcomeUnknownError{Method: method, TID: tid, Key: key, request: &r}
	result, err := c.call(ctx, method, r)
	t.cancel() // a signature is not wanted any more
	if err != nil {
		return Payment{}, unknown.unless(err)
	}
	p, err := wire.DecodePayment(result)
	if err == nil && p.TransactionResult == "" {
		err = errors.New("the payment has no result")
	}
	if err != nil {
		unknown.Err = err
		return Payment{}, unknown
	}
	c.events.settle(ctx)
	return paymentOf(p), nil
}

// unless returns e with its cause, unless that shows that the request did not
// run.
func (e *OutcomeUnknownError) unless(err error) error {
	if _, refused := errors.AsType[*Error](err); refused || errors.Is(err, errNotSent) {
		return about(e.Method, err)
	}
	e.Err = err
	return e
}
