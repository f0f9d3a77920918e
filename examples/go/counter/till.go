package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tillwire/tillwire/epos"
	"github.com/tillwire/tillwire/money"
)

// A till is what stands between the staff and the card machines.
type till struct {
	options epos.Options
	books   books
	client  *epos.Client

	show func(epos.TID, epos.Notification)
	sign func(context.Context, epos.SignatureRequest) (bool, error)
}

// errUnknown is how a transaction ends whose outcome nobody knows. It is kept
// in the books until it is known.
var errUnknown = errors.New("it is not known whether money was taken")

// A request is what a card machine is asked for. It is in the books before it
// is sent, under a key that no other request has.
type request struct {
	Key        string      `json:"key"`
	Method     string      `json:"method"`
	TID        epos.TID    `json:"tid"`
	Amount     money.Minor `json:"amount"`
	Cashback   money.Minor `json:"cashback,omitempty"`
	NotPresent bool        `json:"notPresent,omitempty"`
	AuthCode   string      `json:"authCode,omitempty"`
}

// connect sees to it that there is a connection.
func (t *till) connect(ctx context.Context) (err error) {
	if t.client != nil {
		select {
		case <-t.client.Done():
		default:
			return nil
		}
	}
	t.options.Handler = epos.Handler{
		Notification: t.show, Signature: t.sign,
		Error: func(e *epos.Error) { fmt.Println(e.StaffMessage()) },
	}
	t.client, err = epos.Dial(ctx, t.options)
	return err
}

// transact runs a transaction to its end. With a nil error the Payment says what
// came of it; errUnknown says that nobody knows; any other error, that nothing ran.
func (t *till) transact(ctx context.Context, r request) (epos.Payment, error) {
	r.Key = epos.NewKey()
	if r.Method == "completion" {
		r.AuthCode = t.books.authCode(r.TID)
	}
	if err := t.books.open(r); err != nil {
		return epos.Payment{}, err // what cannot be remembered is not begun
	}
	p, err := t.send(ctx, r)
	if lost, ok := errors.AsType[*epos.OutcomeUnknownError](err); ok {
		// The card machine goes on by itself. The same key finds the same
		// transaction: this can never be a second one.
		fmt.Println("The connection is lost. Asking what became of it.")
		p, err = lost.TryAgain(ctx, t.options)
	}
	if _, lost := errors.AsType[*epos.OutcomeUnknownError](err); lost || err == nil && p.MoneyTaken() == epos.TakenUnknown {
		return t.look(ctx, r)
	}
	return p, errors.Join(err, t.books.close(r, p))
}

// look is what to do when nobody knows whether money was taken: look at the
// card machine, then at what the gateway has found out since.
func (t *till) look(ctx context.Context, r request) (epos.Payment, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := t.connect(ctx); err != nil {
		return epos.Payment{}, errUnknown
	}
	machine, err := t.client.TerminalDetails(ctx, r.TID)
	switch {
	case err != nil:
		fmt.Println("The card machine is away: is it switched on, and its cable in?")
	case machine.Status != epos.Available:
		fmt.Println("The card machine is busy: what does it show?")
	}
	return t.ask(ctx, r)
}

// ask asks the gateway what became of a request. That starts nothing.
func (t *till) ask(ctx context.Context, r request) (epos.Payment, error) {
	status, err := t.client.TransactionStatus(ctx, r.TID, r.Key)
	switch {
	case err == nil && status.State == epos.Finished && status.Payment != nil && status.Payment.MoneyTaken() != epos.TakenUnknown:
		return *status.Payment, t.books.close(r, *status.Payment)
	case err == nil && status.State == epos.NotRun:
		return epos.Payment{}, errors.Join(errors.New("it did not run: nothing was taken"), t.books.close(r, epos.Payment{}))
	}
	return epos.Payment{}, errUnknown
}

// lookBack asks after what an earlier run of this till left open, and reminds of
// the end of day.
func (t *till) lookBack(ctx context.Context) {
	for _, r := range t.books.left() {
		p, err := t.ask(ctx, r)
		switch {
		case errors.Is(err, errUnknown):
			fmt.Printf("Still not known: %s of %s on %s, %s\n", r.Method, r.Amount.Decimal(), r.TID, r.Key)
		case err != nil:
			fmt.Printf("%s of %s on %s: %v\n", r.Method, r.Amount.Decimal(), r.TID, err)
		default:
			fmt.Printf("%s of %s on %s: %s\n", r.Method, r.Amount.Decimal(), r.TID, p.Result)
		}
	}
	if t.books.dayIsOpen() {
		fmt.Println("The end of day is due: report end-of-day")
	}
}

// settle writes down what the staff have seen on the card machine and its paper.
func (t *till) settle(key, word string) int {
	for _, r := range t.books.left() {
		if r.Key == key && (word == "taken" || word == "nothing") {
			p := epos.Payment{TID: r.TID, Result: epos.Unsuccessful, Currency: money.GBP, AmountBase: r.Amount, AmountTotal: r.Amount}
			if word == "taken" {
				p.Result = epos.Successful
			}
			if err := t.books.close(r, p); err != nil {
				return fail(1, err)
			}
			return 0
		}
	}
	for _, r := range t.books.left() {
		fmt.Printf("Not known: %s of %s on %s, %s\n", r.Method, r.Amount.Decimal(), r.TID, r.Key)
	}
	return fail(2, errors.New("settle KEY taken, or settle KEY nothing: KEY is one that is not known"))
}

// send asks the card machine.
func (t *till) send(ctx context.Context, r request) (epos.Payment, error) {
	amount, key := money.Amount{Minor: r.Amount, Currency: money.GBP}, epos.WithKey(r.Key)
	switch r.Method {
	case "refund":
		return t.client.Refund(ctx, epos.Refund{TID: r.TID, Amount: amount, CardholderNotPresent: r.NotPresent}, key)
	case "preAuth":
		return t.client.PreAuth(ctx, epos.PreAuth{TID: r.TID, Amount: amount}, key)
	case "completion":
		return t.client.Completion(ctx, epos.Completion{TID: r.TID, Amount: amount, AuthCode: r.AuthCode}, key)
	}
	return t.client.Sale(ctx, epos.Sale{TID: r.TID, Amount: amount, Cashback: r.Cashback, CardholderNotPresent: r.NotPresent}, key)
}

// report runs a report, and keeps a copy of each.
func (t *till) report(ctx context.Context, tid epos.TID, name string) (epos.Report, error) {
	run := map[string]func(context.Context, epos.TID, ...epos.CallOption) (epos.Report, error){
		"x-balance": t.client.ReportXBalance, "z-balance": t.client.ReportZBalance,
		"banking": t.client.ReportBanking, "end-of-day": t.client.ReportEndOfDay,
	}[name]
	if run == nil {
		return epos.Report{}, errors.New("the reports are x-balance, z-balance, banking and end-of-day")
	}
	report, err := run(ctx, tid)
	if err != nil {
		return report, err
	}
	if report.Result != epos.ReportComplete {
		return report, errors.New("the card machine did not finish the report: run it again")
	}
	return report, t.books.keepReport(report)
}
