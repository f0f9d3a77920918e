package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tillwire/tillwire/epos"
	"github.com/tillwire/tillwire/money"
)

type eposCmd struct {
	faceFlags

	Terminals     eposTerminalsCmd     `cmd:"" help:"List the connected terminals."`
	Details       eposDetailsCmd       `cmd:"" help:"Tell how one terminal is."`
	Sale          eposSaleCmd          `cmd:"" help:"Take money."`
	Refund        eposRefundCmd        `cmd:"" help:"Give money back."`
	Preauth       eposPreauthCmd       `cmd:"" help:"Reserve money."`
	Completion    eposCompletionCmd    `cmd:"" help:"Take money that was reserved, from the same card."`
	VerifyAccount eposVerifyAccountCmd `cmd:"" help:"Check a card and take nothing."`
	Cancel        eposCancelCmd        `cmd:"" help:"Wish that what runs on a terminal be cancelled."`
	Status        eposStatusCmd        `cmd:"" help:"Tell what became of a transaction or report: the way to learn of a lost outcome."`
	Duplicate     eposDuplicateCmd     `cmd:"" help:"Ask for a terminal's last transaction, whoever asked for it."`
	Report        eposReportCmd        `cmd:"" help:"Have a terminal report its totals."`
	Tables        eposTablesCmd        `cmd:"" help:"Keep the tables of a restaurant for Pay-At-Table, in a file."`
}

// faceFlags say by which of its interfaces a gateway is asked.
type faceFlags struct {
	REST        bool   `name:"rest" help:"Ask over REST instead of a WebSocket; an address that begins with http does, too."`
	RESTVersion string `name:"rest-version" default:"v2" enum:"v2,v1,v0" placeholder:"v2|v1|v0" help:"Version of REST."`
}

// AfterApply hands the choice of the interface down to what is asked.
func (c *eposCmd) AfterApply() error {
	for _, f := range []*tillFlags{
		&c.Terminals.tillFlags, &c.Details.tillFlags, &c.Sale.tillFlags, &c.Refund.tillFlags, &c.Preauth.tillFlags,
		&c.Completion.tillFlags, &c.VerifyAccount.tillFlags, &c.Cancel.tillFlags, &c.Status.tillFlags,
		&c.Duplicate.tillFlags, &c.Report.tillFlags,
	} {
		f.face = c.faceFlags
	}
	c.Tables.face = c.faceFlags
	return nil
}

// Help is shown with the command's own help.
func (eposCmd) Help() string {
	return `The address of the gateway bears the key of the site, so put it into TILLWIRE_URL.

    tillwire epos terminals
    tillwire epos sale --tid VCMDEMOSIP0 --amount 12.50
    tillwire epos report end-of-day --tid VCMDEMOSIP0
    tillwire epos --rest sale --tid VCMDEMOSIP0 --amount 12.50

Each transaction and report has a request key, which is printed before it is
sent. However often it is asked for under one --key, it is done once.

Exit codes of transactions, status and duplicate: 0 SUCCESSFUL; 10 DECLINED, VOID or
UNSUCCESSFUL; 11 CANCELLED; 12 TIMED_OUT, or the connection was lost: it is not
known whether money was taken; 1 an error, and no transaction ran; 2 wrong usage.

Ctrl-C during a transaction wishes to cancel it and waits for its result; a
second one gives up waiting, exit code 12.`
}

// tillFlags say which gateway a till talks to and how it shows what came.
type tillFlags struct {
	URL  string `name:"url" default:"${dev_url}" env:"TILLWIRE_URL" placeholder:"URL" help:"Address of the gateway, with key, version and partner ids, as the gateway prints it."`
	JSON bool   `name:"json" help:"Print the result as it came, one JSON value, on stdout; of a transaction or report with its requestKey."`

	face faceFlags
}

// terminalFlags name a terminal.
type terminalFlags struct {
	TID string `name:"tid" required:"" placeholder:"TID" help:"The terminal."`
}

func (t terminalFlags) tid() epos.TID { return epos.TID(t.TID) }

// currencyFlags name a currency.
type currencyFlags struct {
	Currency string `default:"GBP" enum:"GBP,EUR" placeholder:"GBP|EUR" help:"The terminal's currency."`
}

// amountFlags name an amount.
type amountFlags struct {
	Amount string `required:"" placeholder:"12.50" help:"The amount."`
	currencyFlags
}

// amount reads an amount as it is typed.
func (c currencyFlags) amount(flag, text string) (money.Amount, error) {
	a, err := money.Parse(text, money.Currency(c.Currency))
	if err != nil {
		return a, usage("--%s: %w", flag, err)
	}
	return a, nil
}

// signatureFlags say who answers when a signature is to be verified.
type signatureFlags struct {
	Signature string `default:"ask" enum:"ask,accept,reject,ignore" placeholder:"ask|accept|reject|ignore" help:"What to answer when a signature is to be verified; ignore lets the gateway decide when the time is up."`
}

// keyFlags name a request.
type keyFlags struct {
	Key string `name:"key" placeholder:"KEY" help:"Name of this request, 1 to 64 characters: asked for again under the same key it is the same one, and is done once. By default a new UUID, which is printed."`
}

// quick bounds what is answered at once: dialling, lists, details.
const quick = 20 * time.Second

type eposTerminalsCmd struct {
	Currency string `enum:"GBP,EUR," default:"" placeholder:"GBP|EUR" help:"Only of this currency."`
	Status   string `enum:"AVAILABLE,BUSY," default:"" placeholder:"AVAILABLE|BUSY" help:"Only in this state."`
	tillFlags
}

// Help is shown with the command's own help.
func (eposTerminalsCmd) Help() string {
	return `Example:

    tillwire epos terminals --status AVAILABLE`
}

// Run lists terminals.
func (c eposTerminalsCmd) Run(s streams) error {
	return c.ask(s, func(ctx context.Context, t *till) error {
		list, err := t.client.ConnectedTerminals(ctx, epos.Filter{Currency: money.Currency(c.Currency), Status: epos.Status(c.Status)})
		return t.showTerminals(list, err)
	})
}

type eposDetailsCmd struct {
	terminalFlags
	tillFlags
}

// Help is shown with the command's own help.
func (eposDetailsCmd) Help() string {
	return `Example:

    tillwire epos details --tid VCMDEMOSIP0`
}

// Run tells how a terminal is.
func (c eposDetailsCmd) Run(s streams) error {
	return c.ask(s, func(ctx context.Context, t *till) error {
		d, err := t.client.TerminalDetails(ctx, c.tid())
		return t.showTerminals([]epos.Terminal{d}, err)
	})
}

type eposSaleCmd struct {
	terminalFlags
	amountFlags
	Cashback   string `placeholder:"5.00" help:"Cashback to try to add."`
	NotPresent bool   `help:"The cardholder is not there: the card number is keyed in."`
	signatureFlags
	keyFlags
	tillFlags
}

// Help is shown with the command's own help.
func (eposSaleCmd) Help() string {
	return `Example:

    tillwire epos sale --tid VCMDEMOSIP0 --amount 12.50 --cashback 5.00
    tillwire epos sale --tid VCMDEMOSIP0 --amount 12.50 --key receipt-4711-try-1`
}

// Run takes money.
func (c eposSaleCmd) Run(s streams) error {
	amount, err := c.amount("amount", c.Amount)
	if err != nil {
		return err
	}
	var cashback money.Amount
	if c.Cashback != "" {
		if cashback, err = c.amount("cashback", c.Cashback); err != nil {
			return err
		}
	}
	return c.transact(s, c.tid(), c.Signature, c.Key, func(ctx context.Context, t *till) (epos.Payment, error) {
		return t.client.Sale(ctx, epos.Sale{TID: c.tid(), Amount: amount, Cashback: cashback.Minor, CardholderNotPresent: c.NotPresent}, t.keyed()...)
	})
}

type eposRefundCmd struct {
	terminalFlags
	amountFlags
	NotPresent bool `help:"The cardholder is not there: the card number is keyed in."`
	signatureFlags
	keyFlags
	tillFlags
}

// Help is shown with the command's own help.
func (eposRefundCmd) Help() string {
	return `Example:

    tillwire epos refund --tid VCMDEMOSIP0 --amount 12.50`
}

// Run gives money back.
func (c eposRefundCmd) Run(s streams) error {
	amount, err := c.amount("amount", c.Amount)
	if err != nil {
		return err
	}
	return c.transact(s, c.tid(), c.Signature, c.Key, func(ctx context.Context, t *till) (epos.Payment, error) {
		return t.client.Refund(ctx, epos.Refund{TID: c.tid(), Amount: amount, CardholderNotPresent: c.NotPresent}, t.keyed()...)
	})
}

type eposPreauthCmd struct {
	terminalFlags
	amountFlags
	signatureFlags
	keyFlags
	tillFlags
}

// Help is shown with the command's own help.
func (eposPreauthCmd) Help() string {
	return `Keep the auth code of a card's first pre-auth for the completion.

    tillwire epos preauth --tid VCMDEMOSIP0 --amount 50.00`
}

// Run reserves money.
func (c eposPreauthCmd) Run(s streams) error {
	amount, err := c.amount("amount", c.Amount)
	if err != nil {
		return err
	}
	return c.transact(s, c.tid(), c.Signature, c.Key, func(ctx context.Context, t *till) (epos.Payment, error) {
		return t.client.PreAuth(ctx, epos.PreAuth{TID: c.tid(), Amount: amount}, t.keyed()...)
	})
}

type eposCompletionCmd struct {
	terminalFlags
	amountFlags
	AuthCode string `required:"" placeholder:"CODE" help:"Auth code of the card's first pre-auth."`
	Total    string `placeholder:"50.00" help:"Sum of all pre-auths on the card."`
	signatureFlags
	keyFlags
	tillFlags
}

// Help is shown with the command's own help.
func (eposCompletionCmd) Help() string {
	return `Example:

    tillwire epos completion --tid VCMDEMOSIP0 --amount 40.00 --auth-code 789DE0 --total 50.00`
}

// Run takes money that was reserved.
func (c eposCompletionCmd) Run(s streams) error {
	amount, err := c.amount("amount", c.Amount)
	if err != nil {
		return err
	}
	var total money.Amount
	if c.Total != "" {
		if total, err = c.amount("total", c.Total); err != nil {
			return err
		}
	}
	return c.transact(s, c.tid(), c.Signature, c.Key, func(ctx context.Context, t *till) (epos.Payment, error) {
		return t.client.Completion(ctx, epos.Completion{TID: c.tid(), Amount: amount, AuthCode: c.AuthCode, PreAuthorisedTotal: total.Minor}, t.keyed()...)
	})
}

type eposVerifyAccountCmd struct {
	terminalFlags
	currencyFlags
	signatureFlags
	keyFlags
	tillFlags
}

// Help is shown with the command's own help.
func (eposVerifyAccountCmd) Help() string {
	return `Example:

    tillwire epos verify-account --tid VCMDEMOSIP0`
}

// Run checks a card.
func (c eposVerifyAccountCmd) Run(s streams) error {
	return c.transact(s, c.tid(), c.Signature, c.Key, func(ctx context.Context, t *till) (epos.Payment, error) {
		return t.client.AccountVerification(ctx, epos.AccountVerification{TID: c.tid(), Currency: money.Currency(c.Currency)}, t.keyed()...)
	})
}

type eposCancelCmd struct {
	terminalFlags
	RequestID string `name:"request-id" placeholder:"ID" help:"With --rest: the transaction, as the till that runs it was told."`
	tillFlags
}

// Help is shown with the command's own help.
func (eposCancelCmd) Help() string {
	return `It is a wish: the till that runs the transaction learns from its result what came of it.

    tillwire epos cancel --tid VCMDEMOSIP0
    tillwire epos --rest cancel --tid VCMDEMOSIP0 --request-id 3f0c7c0e-6a6e-4c1a-9d51-2f5b3f9a7e10`
}

// Run wishes to cancel.
func (c eposCancelCmd) Run(s streams) error {
	return c.ask(s, func(ctx context.Context, t *till) error {
		if err := c.cancel(ctx, t); err != nil {
			return t.refused(err)
		}
		if c.JSON {
			return t.printRaw()
		}
		_, err := fmt.Fprintf(s.out, "the wish was passed on to %s\n", c.TID)
		return err
	})
}

func (c eposCancelCmd) cancel(ctx context.Context, t *till) error {
	r, ok := t.client.(*epos.REST)
	switch {
	case ok && c.RequestID == "":
		return usage("--request-id: over REST a wish to cancel names the transaction")
	case ok:
		return r.CancelAt(ctx, r.Location(c.tid(), c.RequestID))
	case c.RequestID != "":
		return usage("--request-id: it goes with --rest")
	}
	return t.client.Cancel(ctx, c.tid())
}

type eposDuplicateCmd struct {
	terminalFlags
	tillFlags
}

// Help is shown with the command's own help.
func (eposDuplicateCmd) Help() string {
	return `The same transaction id as that of the last result that the till already holds
means that its latest request did not run.

    tillwire epos duplicate --tid VCMDEMOSIP0`
}

// Run asks for the last transaction.
func (c eposDuplicateCmd) Run(s streams) error {
	return c.ask(s, func(ctx context.Context, t *till) error {
		p, err := t.client.Duplicate(ctx, c.tid())
		return t.showPayment(c.tid(), p, err)
	})
}

type eposReportCmd struct {
	Type string `arg:"" enum:"x-balance,z-balance,banking,end-of-day" help:"x-balance: running totals. z-balance: totals, then reset. banking: the sessions with the acquirers. end-of-day: all of it, and closes the session."`
	terminalFlags
	keyFlags
	tillFlags
}

// Help is shown with the command's own help.
func (eposReportCmd) Help() string {
	return `Exit codes: 0 COMPLETE; 12 TIMED_OUT, or the connection was lost: the terminal may
have done it; 1 an error.

    tillwire epos report end-of-day --tid VCMDEMOSIP0`
}

// Run has a terminal report.
func (c eposReportCmd) Run(s streams) error {
	return c.run(s, "", func(ctx context.Context, t *till) error {
		report := map[string]func(context.Context, epos.TID, ...epos.CallOption) (epos.Report, error){
			"x-balance": t.client.ReportXBalance, "z-balance": t.client.ReportZBalance,
			"banking": t.client.ReportBanking, "end-of-day": t.client.ReportEndOfDay,
		}[c.Type]
		t.name(c.Key)
		r, err := report(ctx, c.tid(), t.keyed()...)
		return t.showReport(r, err)
	})
}

func (t *till) showTerminals(list []epos.Terminal, err error) error {
	if err != nil {
		return t.refused(err)
	}
	if t.json {
		return t.printRaw()
	}
	w := tabwriter.NewWriter(t.s.out, 0, 0, 2, ' ', 0)
	for _, d := range list {
		line := fmt.Sprintf("%s\t%s\t%s", d.TID, d.Currency, d.Status)
		if len(d.Capabilities) > 0 {
			line += "\t" + strings.Join(d.Capabilities, " ")
		}
		fmt.Fprintln(w, line)
	}
	return w.Flush()
}
