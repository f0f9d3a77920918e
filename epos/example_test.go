package epos_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tillwire/tillwire/epos"
	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/wire"
)

// A sale, with all the ways in which it can end.
func Example() {
	g := &fakeGateway{serve: map[string]func(*till, jsonrpc.ID){
		"sale": func(t *till, id jsonrpc.ID) {
			t.notify("TRANSACTION_STARTED", "PRESENT_CARD", "PIN_ENTRY", "TRANSACTION_FINISHED")
			t.answer(id, payment("1000123", "SUCCESSFUL", 1250))
		},
	}}
	address := g.start()
	defer g.stop()
	ctx := context.Background()

	c, err := epos.Dial(ctx, epos.Options{
		URL: address,
		Handler: epos.Handler{
			Notification: func(tid epos.TID, n epos.Notification) { fmt.Println("  ", n) },
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	p, err := c.Sale(ctx, epos.Sale{TID: "12345678", Amount: money.Amount{Minor: 1250, Currency: money.GBP}})
	var refused *epos.Error
	var unknown *epos.OutcomeUnknownError
	switch {
	case errors.As(err, &refused):
		fmt.Println("no payment took place:", refused.StaffMessage())
	case errors.As(err, &unknown), err == nil && p.MoneyTaken() == epos.TakenUnknown:
		fmt.Println("not known; see the example of OutcomeUnknownError")
	case err != nil:
		fmt.Println("not sent:", err)
	case p.MoneyTaken() == epos.TakenYes:
		fmt.Println("paid", p.Total())
	default:
		fmt.Println("not paid:", p.Result)
	}
	// Output:
	//    TRANSACTION_STARTED
	//    PRESENT_CARD
	//    PIN_ENTRY
	//    TRANSACTION_FINISHED
	// paid GBP 12.50
}

// The line breaks while the customer enters the PIN. The same request under the
// same key joins the sale that runs: the card is charged once, and the till
// learns of it.
func ExampleOutcomeUnknownError_TryAgain() {
	keys := map[string]int{}
	g := &fakeGateway{keys: func(key string) { keys[key]++ }, serve: map[string]func(*till, jsonrpc.ID){
		"sale": func(t *till, id jsonrpc.ID) {
			for _, tries := range keys {
				if tries == 1 {
					t.notify("PIN_ENTRY")
					t.hangUp()
					return
				}
			}
			t.answer(id, payment("1000124", "SUCCESSFUL", 1250))
		},
	}}
	options := epos.Options{URL: g.start()}
	defer g.stop()
	ctx := context.Background()

	c, err := epos.Dial(ctx, options)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	p, err := c.Sale(ctx, epos.Sale{TID: "12345678", Amount: money.Amount{Minor: 1250, Currency: money.GBP}})
	var unknown *epos.OutcomeUnknownError
	if errors.As(err, &unknown) {
		fmt.Println("the line is lost, the sale is not")
		p, err = unknown.TryAgain(ctx, options)
	}
	if err != nil || p.MoneyTaken() == epos.TakenUnknown {
		fmt.Println("the operator must look at the card machine")
		return
	}
	fmt.Println(p.Result, p.Total(), "by", len(keys), "sale")
	// Output:
	// the line is lost, the sale is not
	// SUCCESSFUL GBP 12.50 by 1 sale
}

// The gateway knows no request keys, and the line breaks while the customer
// enters the PIN. The till finds out what became of the sale: it must neither
// sell twice nor lose the payment.
func ExampleOutcomeUnknownError() {
	g := &fakeGateway{serve: map[string]func(*till, jsonrpc.ID){
		"sale":            func(t *till, id jsonrpc.ID) { t.notify("PIN_ENTRY"); t.hangUp() },
		"terminalDetails": available,
		"duplicate":       func(t *till, id jsonrpc.ID) { t.answer(id, payment("1000124", "SUCCESSFUL", 1250)) },
	}}
	options := epos.Options{URL: g.start()}
	defer g.stop()
	ctx := context.Background()

	const last = "1000123" // the last transaction of this terminal that the till holds, from disk

	// findOut returns the terminal's last transaction. The outcome of the sale is
	// its MoneyTaken, unless it is one that the till holds already.
	findOut := func(ctx context.Context, tid epos.TID) (epos.Payment, error) {
		ctx, cancel := context.WithTimeout(ctx, 6*time.Minute) // a transaction does not run longer
		defer cancel()
		c, err := epos.Dial(ctx, options) // a real till tries this a few times
		if err != nil {
			return epos.Payment{}, err
		}
		defer c.Close()
		for {
			t, err := c.TerminalDetails(ctx, tid)
			if err == nil && t.Status == epos.Available {
				return c.Duplicate(ctx, tid)
			}
			if err != nil && !errors.Is(err, epos.ErrTerminalUnavailable) {
				return epos.Payment{}, err
			}
			select {
			case <-ctx.Done():
				return epos.Payment{}, ctx.Err()
			case <-time.After(2 * time.Second):
			}
		}
	}

	c, err := epos.Dial(ctx, options)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	p, err := c.Sale(ctx, epos.Sale{TID: "12345678", Amount: money.Amount{Minor: 1250, Currency: money.GBP}})
	var unknown *epos.OutcomeUnknownError
	if errors.As(err, &unknown) {
		fmt.Println("finding out about the", unknown.Method, "on", unknown.TID)
		p, err = findOut(ctx, unknown.TID)
	}
	switch {
	case err != nil || p.MoneyTaken() == epos.TakenUnknown:
		fmt.Println("the operator must look at the card machine")
	case p.TransactionID != "" && p.TransactionID == last:
		fmt.Println("the sale did not run and may be tried again")
	case p.MoneyTaken() == epos.TakenYes:
		fmt.Println("paid", p.Total())
	default:
		fmt.Println("not paid:", p.Result)
	}
	// Output:
	// finding out about the sale on 12345678
	// paid GBP 12.50
}

// The cashier compares the signature on the receipt with the card.
func ExampleHandler() {
	var sale jsonrpc.ID
	g := &fakeGateway{serve: map[string]func(*till, jsonrpc.ID){
		"sale": func(t *till, id jsonrpc.ID) {
			sale = id
			t.send(jsonrpc.AppendRequest(nil, 1, wire.MethodVerifySignature, wire.Encode(wire.V1, wire.VerifySignatureRequest{
				Timeout: 80, TerminalID: wire.TerminalID{TID: terminal}, CardholderVerificationMethod: wire.CVMSignature,
				ReceiptLines: wire.MerchantCopy{Merchant: []wire.Line{{Type: "TEXT", Value: "SIGN BELOW"}}},
			})))
		},
	}, signed: func(t *till, accepted bool) {
		result := map[bool]string{true: "SUCCESSFUL", false: "VOID"}[accepted]
		t.answer(sale, payment("1000125", result, 1250))
	}}
	address := g.start()
	defer g.stop()
	ctx := context.Background()

	c, err := epos.Dial(ctx, epos.Options{URL: address})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	p, err := c.Sale(ctx, epos.Sale{TID: "12345678", Amount: money.Amount{Minor: 1250, Currency: money.GBP}},
		epos.WithHandler(epos.Handler{
			Signature: func(ctx context.Context, r epos.SignatureRequest) (bool, error) {
				fmt.Print(receipt.Plain(r.Merchant))
				fmt.Println("does the signature match? within", r.Timeout)
				return false, nil // a real till asks, and gives up when ctx ends
			},
		}))
	fmt.Println(p.Result, err)
	// Output:
	// SIGN BELOW
	// does the signature match? within 1m20s
	// VOID <nil>
}

// A customer has second thoughts. The sale's own call tells what came of it.
func ExampleClient_Cancel() {
	var sale jsonrpc.ID
	g := &fakeGateway{serve: map[string]func(*till, jsonrpc.ID){
		"sale": func(t *till, id jsonrpc.ID) { sale = id; t.notify("PRESENT_CARD") },
		"cancelTransaction": func(t *till, id jsonrpc.ID) {
			t.answer(id, wire.CancelResult{Yes: true})
			t.notify("ATTEMPTING_CANCEL", "CANCELLING")
			t.answer(sale, payment("1000126", "CANCELLED", 1250))
		},
	}}
	address := g.start()
	defer g.stop()
	ctx := context.Background()

	c, err := epos.Dial(ctx, epos.Options{URL: address})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	h := epos.Handler{Notification: func(tid epos.TID, n epos.Notification) {
		fmt.Println("  ", n)
		if n == epos.PresentCard { // the operator presses the key
			go func() {
				if err := c.Cancel(ctx, tid); err != nil {
					fmt.Println(err)
				}
			}()
		}
	}}
	p, err := c.Sale(ctx, epos.Sale{TID: "12345678", Amount: money.Amount{Minor: 1250, Currency: money.GBP}}, epos.WithHandler(h))
	fmt.Println(p.Result, err)
	// Output:
	//    PRESENT_CARD
	//    ATTEMPTING_CANCEL
	//    CANCELLING
	// CANCELLED <nil>
}

// A terminal that does something else: the error compares by its code.
func ExampleError() {
	g := &fakeGateway{serve: map[string]func(*till, jsonrpc.ID){
		"sale": func(t *till, id jsonrpc.ID) {
			t.send(jsonrpc.AppendError(nil, id, &jsonrpc.Error{Code: -32071, Message: "Terminal Busy: 12345678", UserMessage: "The card machine is busy."}))
		},
	}}
	address := g.start()
	defer g.stop()
	ctx := context.Background()

	c, err := epos.Dial(ctx, epos.Options{URL: address})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	_, err = c.Sale(ctx, epos.Sale{TID: "12345678", Amount: money.Amount{Minor: 1250, Currency: money.GBP}})
	fmt.Println(errors.Is(err, epos.ErrTerminalBusy))
	var e *epos.Error
	if errors.As(err, &e) {
		fmt.Println(e.StaffMessage())
	}
	// Output:
	// true
	// The card machine is busy.
}

// A key that the gateway does not know.
func ExampleRefusedError() {
	g := &fakeGateway{}
	g.start()
	defer g.stop()

	_, err := epos.Dial(context.Background(), epos.Options{
		Host: "ws://" + g.server.Listener.Addr().String(),
		Key:  "mistyped", SoftwareHouseID: "MYHOUSE", InstallerID: "ME",
	})
	var refused *epos.RefusedError
	if errors.As(err, &refused) {
		fmt.Println(refused.Status, refused.UserMessage)
	}
	// Output: 401 The API key is not known here. Check the token in the query.
}

// A restaurant keeps its tables in memory, in pence. A till that must survive a
// restart keeps them, and its PaymentStore, on disk.
type restaurant struct {
	mu     sync.Mutex // calls about different tables come at the same time
	owed   map[epos.TableID]money.Minor
	locked map[epos.TableID]epos.TID
}

func (r *restaurant) ListTables(context.Context, epos.TableListRequest) (epos.TableList, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := epos.TableList{Currency: money.GBP}
	for id, owed := range r.owed {
		if owed > 0 && r.locked[id] == "" {
			list.Tables = append(list.Tables, id)
		}
	}
	return list, nil
}

func (r *restaurant) LockTable(_ context.Context, q epos.TableRequest) (epos.TableLock, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.owed[q.TableID] <= 0 || r.locked[q.TableID] != "" {
		return epos.TableLock{}, nil
	}
	r.locked[q.TableID] = q.TID
	return epos.TableLock{Granted: true, Amount: money.Amount{Minor: r.owed[q.TableID], Currency: money.GBP}}, nil
}

func (r *restaurant) UnlockTable(_ context.Context, q epos.TableRequest) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.locked[q.TableID] == q.TID { // not what another terminal has locked
		delete(r.locked, q.TableID)
	}
	return nil
}

func (r *restaurant) Bill(_ context.Context, q epos.TableRequest) ([]receipt.Line, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b receipt.Builder
	b.Text("TABLE "+string(q.TableID), receipt.Bold).Pair("TOTAL", r.owed[q.TableID].Decimal()).Line(receipt.TicketFeed)
	return b.Lines(), nil
}

func (r *restaurant) Paid(_ context.Context, p epos.TablePayments) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.owed[p.TableID] -= p.AmountPaid
	for _, card := range p.Payments {
		fmt.Println("table", p.TableID, card.Scheme, card.AmountTotal().Decimal(), "with gratuity", card.AmountGratuity.Decimal())
	}
	return nil
}

// A till with one table. The gateway's side is played here: a waiter takes the
// table, a card pays it, and the gateway tells of that payment twice, as it does
// when an answer was lost.
func ExampleServeTables() {
	ctx, stop := context.WithCancel(context.Background())
	at := wire.TerminalID{TID: "12345678"}
	paid := wire.TransactionResponse{
		TerminalID: at, WaiterID: "3", TableID: "12", Currency: money.GBP, AmountPaid: 4550, AmountGratuity: 450, AmountTotal: 5000,
		Payments: []wire.TablePayment{{
			PaymentID: "0d7f2a44-6a52-4c0c-9a1e-5f5b6a3e9c01", AmountPaid: 4550, AmountGratuity: 450,
			Currency: money.GBP, CardSchemeName: "VISA", PaymentMethod: "ICC_CHIP", Time: "2026-10-07T21:04:11",
		}},
	}
	g := &fakeGateway{visit: func(t *till) {
		fmt.Println(t.ask("tableListRequest", wire.TableListRequest{TerminalID: at, WaiterID: "3", Timeout: 10}))
		fmt.Println(t.ask("tableLockRequest", wire.TableLockRequest{TerminalID: at, WaiterID: "3", TableID: "12", Timeout: 10}))
		fmt.Println(t.ask("transactionResponse", paid))
		fmt.Println(t.ask("transactionResponse", paid))
		fmt.Println(t.ask("tableUnlock", wire.TableUnlock{TerminalID: at, WaiterID: "3", TableID: "12"}))
		stop()
		for { // until the till has closed the line
			if _, err := t.conn.Read(); err != nil {
				return
			}
		}
	}}
	address := strings.Replace(g.start(), "/pac", "/pat", 1)
	defer g.stop()

	err := epos.ServeTables(ctx, epos.Options{URL: address}, &restaurant{
		owed:   map[epos.TableID]money.Minor{"12": 4550},
		locked: map[epos.TableID]epos.TID{},
	})
	switch {
	case errors.Is(err, epos.ErrDiscontinued):
		fmt.Println("another till serves the tables now; do not go on by yourself")
	case errors.Is(err, context.Canceled):
		fmt.Println("stopped")
	default:
		fmt.Println(err)
	}
	// Output:
	// {"tableIds":["12"],"currency":"GBP"}
	// {"confirmed":true,"amount":4550,"currency":"GBP"}
	// table 12 VISA 50.00 with gratuity 4.50
	// {"recorded":true}
	// {"recorded":true}
	// {"recorded":true}
	// stopped
}
