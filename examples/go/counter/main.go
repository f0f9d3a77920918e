// Counter is a whole till for the counter, with the library epos: sales, refunds,
// pre-authorisations and reports, signatures, cancelling, and what to do when
// nobody knows how a sale has ended.
//
//	go run ./examples/go/counter sale 12.50
//	go run ./examples/go/counter -cashback 5.00 sale 10.00
//	go run ./examples/go/counter refund 7.00
//	go run ./examples/go/counter preauth 50.00     and, when the guest leaves: complete 40.00
//	go run ./examples/go/counter report end-of-day        or x-balance, z-balance, banking
//	go run ./examples/go/counter last
//	go run ./examples/go/counter settle            what nobody knows the end of
//
// Ctrl-C while a transaction runs asks for it to be cancelled. Exit code: 0 paid,
// or done; 10 no money; 11 cancelled; 12 not known; 1 nothing ran; 2 wrong usage.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"strings"

	"github.com/tillwire/tillwire/epos"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
)

// softwareHouse was issued to who wrote this till. Nobody can change it in the field.
const softwareHouse = "EXAMPLESWH"

func main() {
	gateway := flag.String("gateway", "ws://127.0.0.1:8484", "the gateway's host, with ws:// before it for one without TLS")
	key := flag.String("key", "demo", "the site's key")
	installer := flag.String("installer", "DEMOINST", "the installer's id")
	data := flag.String("data", "counter-data", "folder for what must outlive the program")
	tid := flag.String("tid", "VCMDEMOSIP0", "the card machine")
	cashback := flag.String("cashback", "0.00", "cashback to ask for in a sale")
	away := flag.Bool("not-present", false, "the cardholder is not present")
	flag.Parse()
	// An address as a gateway prints it to be pasted holds three of the settings.
	if u, err := url.Parse(os.Getenv("TILLWIRE_URL")); err == nil && u.Host != "" {
		*gateway, *key, *installer = u.Scheme+"://"+u.Host, u.Query().Get("token"), u.Query().Get("installer-id")
	}
	t := &till{
		books:   books{*data},
		options: epos.Options{Host: *gateway, Key: *key, SoftwareHouseID: softwareHouse, InstallerID: *installer},
		show:    func(_ epos.TID, n epos.Notification) { fmt.Println(n) },
		sign:    askCashier,
	}
	ctx := context.Background()
	if os.Getenv("TILLWIRE_CHECK_STEP") != "" {
		os.Exit(t.check(ctx)) // the integration checklist tries this till
	}
	r := request{TID: epos.TID(*tid), NotPresent: *away}
	var err error
	if r.Cashback, err = pence(*cashback); err != nil {
		os.Exit(fail(2, err))
	}
	os.Exit(t.do(ctx, r, append(flag.Args(), "", "", "")))
}

// do carries one command out.
func (t *till) do(ctx context.Context, r request, args []string) int {
	methods := map[string]string{"sale": "sale", "refund": "refund", "preauth": "preAuth", "complete": "completion"}
	command := args[0]
	switch r.Method = methods[command]; {
	case command == "settle":
		return t.settle(args[1], args[2])
	case r.Method != "":
		var err error
		if r.Amount, err = pence(args[1]); err != nil {
			return fail(2, err)
		}
	case command != "report" && command != "last":
		return fail(2, errors.New("say what to do: sale, refund, preauth, complete, report, last or settle"))
	}
	if err := t.connect(ctx); err != nil {
		return fail(1, err)
	}
	defer t.client.Close()
	t.lookBack(ctx)
	switch command {
	case "report":
		report, err := t.report(ctx, r.TID, args[1])
		if err != nil {
			return fail(1, err)
		}
		fmt.Print(receipt.Plain(report.Lines))
		return 0
	case "last":
		p, err := t.client.Duplicate(ctx, r.TID)
		if err != nil {
			return fail(1, err)
		}
		fmt.Printf("%s%s\n", receipt.Plain(p.Receipts.Customer), p.Result)
		return 0
	}
	defer t.cancelOnInterrupt(ctx, r.TID)()
	return t.tell(t.transact(ctx, r))
}

// tell says how a transaction has ended. Its result alone decides.
func (t *till) tell(p epos.Payment, err error) int {
	switch {
	case errors.Is(err, errUnknown):
		fmt.Println("NOT KNOWN whether money was taken. Do not repeat it: look at the card machine and its paper, then settle it.")
		return 12
	case err != nil:
		return fail(1, err)
	}
	fmt.Print(receipt.Plain(p.Receipts.Customer))
	switch {
	case p.MoneyTaken() == epos.TakenYes:
		fmt.Printf("%s: %s, of which gratuity %s and cashback %s\n", p.Result, p.Total(), p.AmountGratuity.Decimal(), p.AmountCashback.Decimal())
		return 0
	case p.Result == epos.Cancelled:
		fmt.Printf("%s: no money has moved\n", p.Result)
		return 11
	}
	fmt.Printf("%s: no money has moved\n", p.Result)
	return 10
}

// fail shows what is meant for the staff.
func fail(code int, err error) int {
	text := err.Error()
	if refused, ok := errors.AsType[*epos.Error](err); ok {
		text = refused.StaffMessage()
	}
	fmt.Println(text)
	return code
}

// pence reads 19.99 as 1999, without a float in between.
func pence(text string) (money.Minor, error) {
	a, err := money.Parse(text, money.GBP)
	return a.Minor, err
}

// askCashier asks whether a signature is right. Nobody else may answer that.
func askCashier(_ context.Context, r epos.SignatureRequest) (bool, error) {
	fmt.Printf("%sDoes the signature match the card? y or n, within %v: ", receipt.Plain(r.Merchant), r.Timeout)
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	return strings.EqualFold(strings.TrimSpace(line), "y"), err
}

// cancelOnInterrupt makes Ctrl-C a wish to cancel. What comes of it, the result tells.
func (t *till) cancelOnInterrupt(ctx context.Context, tid epos.TID) (stop func()) {
	keys := make(chan os.Signal, 1)
	signal.Notify(keys, os.Interrupt)
	go func() {
		for range keys {
			if err := t.client.Cancel(ctx, tid); err != nil {
				fail(1, err)
			}
		}
	}()
	return func() { signal.Stop(keys) }
}
