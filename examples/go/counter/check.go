package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/tillwire/tillwire/epos"
	"github.com/tillwire/tillwire/money"
)

// A word is what no wire shows: what this till has shown and booked.
type word struct {
	Yes           *bool               `json:"yes,omitempty"`
	Cleared       *bool               `json:"cleared,omitempty"`
	Total         *money.Minor        `json:"amountTotal,omitempty"`
	Cashback      *money.Minor        `json:"amountCashback,omitempty"`
	Gratuity      *money.Minor        `json:"amountGratuity,omitempty"`
	Notifications []epos.Notification `json:"notifications,omitempty"`
	Message       string              `json:"message,omitempty"`
}

// check does what the integration checklist orders, which docs/checklist.md
// describes, in place of a cashier:
//
//	tillwire check pac --till-command 'go run ./examples/go/counter'
//
// The last line of its output says what was shown and booked.
func (t *till) check(ctx context.Context) int {
	w := t.carryOut(ctx, func(name string) string { return os.Getenv("TILLWIRE_CHECK_" + name) })
	text, err := json.Marshal(w)
	if err != nil {
		return fail(1, err)
	}
	fmt.Println(string(text))
	return 0
}

func (t *till) carryOut(ctx context.Context, order func(string) string) (w word) {
	yes, no := true, false
	if order("METHOD") == "" {
		return word{Yes: &yes} // the installer's id is a flag, the software house's none
	}
	number := func(name string) money.Minor {
		n, _ := strconv.ParseInt(order(name), 10, 64) // the check writes numbers
		return money.Minor(n)
	}
	tid := epos.TID(order("TID"))
	var cancels sync.WaitGroup
	defer cancels.Wait()
	t.show = func(_ epos.TID, n epos.Notification) {
		w.Notifications = append(w.Notifications, n)
		if string(n) == order("CANCEL_AFTER") {
			cancels.Go(func() {
				if err := t.client.Cancel(ctx, tid); err != nil {
					fail(1, err)
				}
			})
		}
	}
	t.sign = func(ctx context.Context, _ epos.SignatureRequest) (bool, error) {
		wait, err := time.ParseDuration(order("WAIT") + "s")
		if err != nil || order("SIGNATURE") == "leave" {
			<-ctx.Done() // nobody looks at it
			return false, ctx.Err()
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		return order("SIGNATURE") == "accept", ctx.Err()
	}
	if err := t.connect(ctx); err != nil {
		return word{Message: err.Error()}
	}
	defer t.client.Close()
	t.lookBack(ctx)
	reports := map[string]string{"reportXBalance": "x-balance", "reportZBalance": "z-balance", "reportBanking": "banking", "reportEndOfDay": "end-of-day"}
	switch method := order("METHOD"); {
	case reports[method] != "":
		_, err := t.report(ctx, tid, reports[method])
		w.Yes = &yes
		if err != nil {
			w.Yes = &no
		}
	case method == "duplicate":
		if _, err := t.client.Duplicate(ctx, tid); err != nil {
			fail(1, err)
		}
	default:
		p, err := t.transact(ctx, request{Method: method, TID: tid, Amount: number("AMOUNT"), Cashback: number("CASHBACK"), NotPresent: order("PRESENT") == "no"})
		w.Cleared = &no
		if err == nil && p.MoneyTaken() == epos.TakenYes {
			w.Cleared, w.Total, w.Cashback, w.Gratuity = &yes, &p.AmountTotal, &p.AmountCashback, &p.AmountGratuity
		}
		if refused, ok := errors.AsType[*epos.Error](err); ok {
			w.Message = cmp.Or(refused.StaffMessage(), refused.Message)
		}
	}
	return w
}
