// A till in a page of code: one sale of 12.50 GBP, with the library epos.
//
//	go run ./examples/go [TID [URL [PENCE]]]        the URL also from TILLWIRE_URL
//
// Exit code: 0 paid; 10 no money; 11 cancelled; 12 not known; 1 no sale was made.
package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/tillwire/tillwire/epos"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
)

const local = "ws://127.0.0.1:8484/pac?token=demo&api-version=v1&software-house-id=DEMOSWH&installer-id=DEMOINST"

func main() {
	args := append(os.Args[1:], "", "", "")
	pence, err := strconv.ParseInt(cmp.Or(args[2], "1250"), 10, 64)
	if err != nil {
		fmt.Println("No sale: an amount is a number of pence")
		os.Exit(1)
	}
	os.Exit(sell(context.Background(), cmp.Or(args[0], "VCMDEMOSIP0"), cmp.Or(args[1], os.Getenv("TILLWIRE_URL"), local), money.Minor(pence)))
}

func sell(ctx context.Context, tid, url string, pence money.Minor) int {
	till, err := epos.Dial(ctx, epos.Options{URL: url, Handler: epos.Handler{
		Notification: func(_ epos.TID, n epos.Notification) { fmt.Println(n) },
		Signature:    checkSignature,
		Error:        func(err *epos.Error) { fmt.Println(err.StaffMessage()) },
	}})
	if err != nil {
		fmt.Println("No connection:", err)
		return 1
	}
	defer till.Close()

	payment, err := till.Sale(ctx, epos.Sale{TID: epos.TID(tid), Amount: money.Amount{Minor: pence, Currency: money.GBP}})
	if refused, ok := errors.AsType[*epos.Error](err); ok {
		fmt.Println("No sale:", refused.StaffMessage())
		return 1
	}
	if _, ok := errors.AsType[*epos.OutcomeUnknownError](err); err != nil && !ok {
		fmt.Println("No sale:", err)
		return 1
	}
	if err != nil || payment.MoneyTaken() == epos.TakenUnknown {
		fmt.Println("NOT KNOWN whether money was taken", cmp.Or(string(payment.Result), fmt.Sprint(err))+
			". Do not repeat the sale: look at the card machine, ask with duplicate.")
		return 12
	}
	fmt.Print(receipt.Plain(payment.Receipts.Customer))
	switch {
	case payment.MoneyTaken() == epos.TakenYes:
		fmt.Printf("%s: %s paid\n", payment.Result, payment.Total())
		return 0
	case payment.Result == epos.Cancelled:
		fmt.Printf("%s: nothing paid of %s\n", payment.Result, payment.Total())
		return 11
	default:
		fmt.Printf("%s: nothing paid of %s\n", payment.Result, payment.Total())
		return 10
	}
}

func checkSignature(_ context.Context, r epos.SignatureRequest) (bool, error) {
	fmt.Printf("%sDoes the signature match the card? y or n, within %v: ", receipt.Plain(r.Merchant), r.Timeout)
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	return strings.EqualFold(strings.TrimSpace(line), "y"), err
}
