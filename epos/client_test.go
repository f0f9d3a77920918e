package epos

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/wire"
)

const tid TID = "12345678"

func gbp(n money.Minor) money.Amount { return money.Amount{Minor: n, Currency: money.GBP} }

func sale1250() Sale { return Sale{TID: tid, Amount: gbp(1250)} }

// soldExample is the contract's example of a successful sale.
func soldExample() Payment {
	return Payment{
		TID: tid, Type: TypeSale, Result: Successful,
		TransactionID: "1000123", TransactionNumber: "0042", Time: "2026-10-07T12:30:15",
		Currency: money.GBP, AmountBase: 1250, AmountTotal: 1250,
		PaymentMethod: MethodChip, CVM: CVMPIN, Scheme: "VISA",
		ApplicationID: "A0000000031010", ApplicationLabel: "VISA DEBIT", AuthCode: "789DE0",
		PAN: "************1234", PANSequence: "01", StartDate: "01/25", ExpiryDate: "01/29",
		Receipts: receipt.Copies{
			Merchant: []receipt.Line{{Type: receipt.Text, Format: []receipt.Format{receipt.Bold}, Value: "MERCHANT COPY"}},
			Customer: []receipt.Line{{Type: receipt.Text, Format: []receipt.Format{}, Value: "CUSTOMER COPY"}},
		},
	}
}

func TestSale(t *testing.T) {
	var seen []Notification
	h := Handler{Notification: func(on TID, n Notification) {
		if on != tid {
			t.Errorf("a notification on %s", on)
		}
		seen = append(seen, n)
	}}
	connect(t, wire.V1, h, func(t *testing.T, c *Client, g *gateway) {
		sale := later(func() (Payment, error) { return c.Sale(t.Context(), sale1250()) })
		m := g.next()
		want := []Notification{TransactionStarted, PresentCard, PINEntry, TransactionFinished}
		for _, n := range want {
			g.notify(n)
		}
		g.answer(m, example(t, "performTransaction", "saleSuccessful"))
		p, err := sale()
		if err != nil {
			t.Fatal(err)
		}
		// The race detector proves that all were told before the call returned.
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Errorf("notifications (-want +got)\n%s", diff)
		}
		if diff := cmp.Diff(soldExample(), p); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if p.MoneyTaken() != TakenYes || p.Total() != gbp(1250) {
			t.Errorf("taken %v, total %v", p.MoneyTaken(), p.Total())
		}
	})
}

// Every request, as it stands on the wire.
func TestRequests(t *testing.T) {
	payment := func(p Payment, err error) error { return err }
	report := func(r Report, err error) error { return err }
	for _, test := range []struct {
		name   string
		v      wire.Version
		call   func(context.Context, *Client) error
		want   string
		result string // of the contract's examples: message/name
	}{
		{
			"sale", wire.V1, func(ctx context.Context, c *Client) error {
				return payment(c.Sale(ctx, Sale{TID: tid, Amount: gbp(1250), Cashback: 2000, CardholderNotPresent: true}))
			},
			`{"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":"12345678","currency":"GBP","amount":1250,"amountCashback":2000,"cardholderNotPresent":true}}`,
			"performTransaction/saleSuccessful",
		},
		{
			"sale in v0", wire.V0, func(ctx context.Context, c *Client) error { return payment(c.Sale(ctx, sale1250())) },
			`{"jsonrpc":"2.0","id":1,"method":"sale","params":{"tpi":"12345678","currency":"GBP","amount":1250}}`,
			"performTransaction/saleSuccessfulV0",
		},
		{
			"refund", wire.V1, func(ctx context.Context, c *Client) error {
				return payment(c.Refund(ctx, Refund{TID: tid, Amount: money.Amount{Minor: 5, Currency: money.EUR}, CardholderNotPresent: true}))
			},
			`{"jsonrpc":"2.0","id":1,"method":"refund","params":{"tid":"12345678","currency":"EUR","amount":5,"cardholderNotPresent":true}}`,
			"performTransaction/refundSuccessful",
		},
		{
			"preAuth", wire.V1, func(ctx context.Context, c *Client) error {
				return payment(c.PreAuth(ctx, PreAuth{TID: tid, Amount: gbp(20000)}))
			},
			`{"jsonrpc":"2.0","id":1,"method":"preAuth","params":{"tid":"12345678","currency":"GBP","amount":20000}}`,
			"performTransaction/preAuthDeclined",
		},
		{
			"completion", wire.V1, func(ctx context.Context, c *Client) error {
				return payment(c.Completion(ctx, Completion{TID: tid, Amount: gbp(5000), AuthCode: "789DE0", PreAuthorisedTotal: 20000}))
			},
			`{"jsonrpc":"2.0","id":1,"method":"completion","params":{"tid":"12345678","currency":"GBP","amount":5000,"authCode":"789DE0","amountPreAuthorisedTotal":20000}}`,
			"performTransaction/saleSuccessful",
		},
		{
			"accountVerification", wire.V1, func(ctx context.Context, c *Client) error {
				return payment(c.AccountVerification(ctx, AccountVerification{TID: tid, Currency: money.GBP}))
			},
			`{"jsonrpc":"2.0","id":1,"method":"accountVerification","params":{"tid":"12345678","currency":"GBP","amount":0}}`,
			"performTransaction/accountVerificationSuccessful",
		},
		{
			"cancel", wire.V1, func(ctx context.Context, c *Client) error { return c.Cancel(ctx, tid) },
			`{"jsonrpc":"2.0","id":1,"method":"cancelTransaction","params":{"tid":"12345678"}}`,
			"cancelTransaction/cancelling",
		},
		{
			"duplicate", wire.V1, func(ctx context.Context, c *Client) error { return payment(c.Duplicate(ctx, tid)) },
			`{"jsonrpc":"2.0","id":1,"method":"duplicate","params":{"tid":"12345678"}}`,
			"duplicate/lastSale",
		},
		{
			"end of day", wire.V1, func(ctx context.Context, c *Client) error { return report(c.ReportEndOfDay(ctx, tid)) },
			`{"jsonrpc":"2.0","id":1,"method":"reportEndOfDay","params":{"tid":"12345678"}}`,
			"report/endOfDayComplete",
		},
		{
			"banking", wire.V1, func(ctx context.Context, c *Client) error { return report(c.ReportBanking(ctx, tid)) },
			`{"jsonrpc":"2.0","id":1,"method":"reportBanking","params":{"tid":"12345678"}}`,
			"report/bankingComplete",
		},
		{
			"X balance", wire.V0, func(ctx context.Context, c *Client) error { return report(c.ReportXBalance(ctx, tid)) },
			`{"jsonrpc":"2.0","id":1,"method":"reportXBalance","params":{"tpi":"12345678"}}`,
			"report/xBalanceCompleteV0",
		},
		{
			"Z balance", wire.V1, func(ctx context.Context, c *Client) error { return report(c.ReportZBalance(ctx, tid)) },
			`{"jsonrpc":"2.0","id":1,"method":"reportZBalance","params":{"tid":"12345678"}}`,
			"report/xBalanceComplete",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			connect(t, test.v, Handler{}, func(t *testing.T, c *Client, g *gateway) {
				call := later(func() (struct{}, error) { return struct{}{}, test.call(t.Context(), c) })
				m := g.next()
				if m.text != test.want {
					t.Errorf("got  %s\nwant %s", m.text, test.want)
				}
				name, ex, _ := strings.Cut(test.result, "/")
				g.answer(m, example(t, name, ex))
				if _, err := call(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestTerminals(t *testing.T) {
	two := []Terminal{{TID: tid, Currency: money.GBP, Status: Available}, {TID: "12345679", Currency: money.EUR, Status: Busy}}
	connect(t, wire.V1, Handler{}, func(t *testing.T, c *Client, g *gateway) {
		all := later(func() ([]Terminal, error) { return c.ConnectedTerminals(t.Context(), Filter{}) })
		m := g.next()
		if m.text != `{"jsonrpc":"2.0","id":1,"method":"connectedTerminals"}` {
			t.Errorf("got %s", m.text)
		}
		g.answer(m, example(t, "connectedTerminals", "two"))
		got, err := all()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(two, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}

		some := later(func() ([]Terminal, error) {
			return c.ConnectedTerminals(t.Context(), Filter{Currency: money.GBP, Status: Available})
		})
		m = g.next()
		if m.text != `{"jsonrpc":"2.0","id":2,"method":"connectedTerminals","params":{"currency":"GBP","status":"AVAILABLE"}}` {
			t.Errorf("got %s", m.text)
		}
		g.answer(m, `[]`)
		if got, err := some(); err != nil || got == nil || len(got) != 0 {
			t.Errorf("got %v, %v", got, err)
		}

		one := later(func() (Terminal, error) { return c.TerminalDetails(t.Context(), tid) })
		m = g.next()
		if m.text != `{"jsonrpc":"2.0","id":3,"method":"terminalDetails","params":{"tid":"12345678"}}` {
			t.Errorf("got %s", m.text)
		}
		g.answer(m, example(t, "terminalDetails", "available"))
		if got, err := one(); err != nil || got.Status != Available {
			t.Errorf("got %v, %v", got, err)
		}
	})
}

func TestTerminalsV0(t *testing.T) {
	connect(t, wire.V0, Handler{}, func(t *testing.T, c *Client, g *gateway) {
		for result, want := range map[string]error{
			`[{"tpi":"12345678","currency":"GBP","status":"BUSY","capabilities":["SALE"]}]`: nil,
			`[]`: ErrTerminalUnavailable,
		} {
			one := later(func() (Terminal, error) { return c.TerminalDetails(t.Context(), tid) })
			m := g.next()
			if m.Method != "terminalsDetails" || string(m.Params) != `{"tpis":["12345678"]}` {
				t.Errorf("got %s", m.text)
			}
			g.answer(m, result)
			got, err := one()
			if !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v", result, err, want)
			}
			if want == nil && (got.TID != tid || !slices.Equal(got.Capabilities, []string{"SALE"})) {
				t.Errorf("got %v", got)
			}
		}
	})
}

func TestReport(t *testing.T) {
	connect(t, wire.V1, Handler{}, func(t *testing.T, c *Client, g *gateway) {
		call := later(func() (Report, error) { return c.ReportEndOfDay(t.Context(), tid) })
		g.answer(g.next(), example(t, "report", "endOfDayComplete"))
		got, err := call()
		if err != nil {
			t.Fatal(err)
		}
		total := Breakdown{Currency: money.GBP, TotalAmount: 2000, SalesAmount: 2500, SalesCount: 2, RefundsAmount: 500, RefundsCount: 1}
		before := Breakdown{Currency: money.GBP, TotalAmount: 900, SalesAmount: 900, SalesCount: 1}
		want := Report{
			TID: tid, Type: EndOfDay, Result: ReportComplete, Time: "2026-10-07T23:10:00",
			Balances: &Balances{
				Breakdown: total, Since: "2026-10-06T23:10:00",
				Issuers: map[string]Breakdown{"VISA": total}, Waiters: map[string]Breakdown{},
			},
			Banking: map[string]AcquirerTotals{"DEMO ACQUIRER": {
				Currency: money.GBP, Current: total, Previous: before,
				CurrentIssuers: map[string]Breakdown{"VISA": total}, PreviousIssuers: map[string]Breakdown{"MASTERCARD": before},
				CurrentNumbers: []string{"0042", "0044"}, PreviousNumbers: []string{"0041", "0041"},
			}},
			Lines: []receipt.Line{
				{Type: receipt.Text, Format: []receipt.Format{receipt.Bold}, Value: "END OF DAY"},
				{Type: receipt.SeparatorSingle, Format: []receipt.Format{}},
				{Type: receipt.Text, Format: []receipt.Format{}, Value: "REPORT COMPLETE"},
			},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}

		call = later(func() (Report, error) { return c.ReportBanking(t.Context(), tid) })
		g.answer(g.next(), example(t, "report", "bankingComplete"))
		if got, err := call(); err != nil || got.Balances != nil || len(got.Banking) != 1 {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

func TestErrorAnswers(t *testing.T) {
	connect(t, wire.V1, Handler{}, func(t *testing.T, c *Client, g *gateway) {
		for _, call := range []func() (Payment, error){
			func() (Payment, error) { return c.Sale(t.Context(), sale1250()) },
			func() (Payment, error) { return c.Duplicate(t.Context(), tid) },
			func() (Payment, error) { _, err := c.ReportZBalance(t.Context(), tid); return Payment{}, err },
			func() (Payment, error) { _, err := c.TerminalDetails(t.Context(), tid); return Payment{}, err },
			func() (Payment, error) { _, err := c.ConnectedTerminals(t.Context(), Filter{}); return Payment{}, err },
			func() (Payment, error) { return Payment{}, c.Cancel(t.Context(), tid) },
		} {
			got := later(call)
			g.send(`{"jsonrpc":"2.0","id":%d,"error":{"code":-32071,"message":"Terminal Busy: 12345678","userMessage":"The card machine is busy."}}`, g.next().ID)
			_, err := got()
			known(t, err)
			if !errors.Is(err, ErrTerminalBusy) || errors.Is(err, ErrTerminalUnavailable) {
				t.Errorf("got %v", err)
			}
			want := &Error{Code: ErrTerminalBusy, Message: "Terminal Busy: 12345678", UserMessage: "The card machine is busy."}
			if e, ok := errors.AsType[*Error](err); !ok || *e != *want || e.StaffMessage() != want.UserMessage {
				t.Errorf("got %v, want %v", e, want)
			}
		}
	})
}

func TestStaffMessage(t *testing.T) {
	if got := (&Error{Code: ErrInvalidParams, Message: "m"}).StaffMessage(); got != "m" {
		t.Errorf("got %q", got)
	}
}

// A call whose request left and whose answer did not come may have charged a
// card: whatever the reason, it says so.
func TestOutcomeUnknown(t *testing.T) {
	calls := map[string]func(context.Context, *Client) error{
		"sale": func(ctx context.Context, c *Client) error { _, err := c.Sale(ctx, sale1250()); return err },
		"refund": func(ctx context.Context, c *Client) error {
			_, err := c.Refund(ctx, Refund{TID: tid, Amount: gbp(1)})
			return err
		},
		"reportEndOfDay": func(ctx context.Context, c *Client) error { _, err := c.ReportEndOfDay(ctx, tid); return err },
	}
	for method, call := range calls {
		t.Run(method+"/line lost", func(t *testing.T) {
			connect(t, wire.V1, Handler{}, func(t *testing.T, c *Client, g *gateway) {
				got := later(func() (int, error) { return 0, call(t.Context(), c) })
				g.next()
				g.conn.Abort()
				_, err := got()
				u := unknown(t, err)
				if u.Method != method || u.TID != tid {
					t.Errorf("got %+v", u)
				}
				if e, ok := errors.AsType[*ClosedError](err); !ok || e.Code != 1006 {
					t.Errorf("got %v, want the end of the connection in it", err)
				}
				<-c.Done()
			})
		})
		t.Run(method+"/closed by the gateway", func(t *testing.T) {
			connect(t, wire.V1, Handler{}, func(t *testing.T, c *Client, g *gateway) {
				got := later(func() (int, error) { return 0, call(t.Context(), c) })
				g.next()
				g.conn.StartClose(1008, "key revoked")
				_, err := got()
				unknown(t, err)
				<-c.Done()
				for _, err := range []error{err, c.Err()} {
					if e, ok := errors.AsType[*ClosedError](err); !ok || e.Code != 1008 || e.Reason != "key revoked" {
						t.Errorf("got %v", err)
					}
				}
			})
		})
		t.Run(method+"/closed by the till", func(t *testing.T) {
			connect(t, wire.V1, Handler{}, func(t *testing.T, c *Client, g *gateway) {
				got := later(func() (int, error) { return 0, call(t.Context(), c) })
				g.next()
				if err := c.Close(); err != nil {
					t.Error(err)
				}
				_, err := got()
				unknown(t, err)
			})
		})
		t.Run(method+"/the till gives up", func(t *testing.T) {
			connect(t, wire.V1, Handler{}, func(t *testing.T, c *Client, g *gateway) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				got := later(func() (int, error) { return 0, call(ctx, c) })
				m := g.next()
				_, err := got()
				if unknown(t, err); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
				g.silent() // nothing is cancelled behind the till's back
				g.answer(m, `{}`)
				details := later(func() (Terminal, error) { return c.TerminalDetails(t.Context(), tid) })
				g.answer(g.next(), example(t, "terminalDetails", "available"))
				if _, err := details(); err != nil {
					t.Errorf("the connection is of no use any more: %v", err)
				}
			})
		})
		for name, result := range map[string]string{
			"null": `null`, "an array": `[]`, "nothing in it": `{}`, "a word": `"SUCCESSFUL"`,
			"ill-typed": `{"transactionResult":"SUCCESSFUL","amountTotal":12.5,"reportResult":"COMPLETE","reportTime":0}`,
		} {
			t.Run(method+"/answered by "+name, func(t *testing.T) {
				connect(t, wire.V1, Handler{}, func(t *testing.T, c *Client, g *gateway) {
					got := later(func() (int, error) { return 0, call(t.Context(), c) })
					g.answer(g.next(), result)
					_, err := got()
					unknown(t, err)
				})
			})
		}
		for name, text := range map[string]string{
			"half an answer": `{"jsonrpc":"2.0","id":1,"result":{`, "a bad id": `{"jsonrpc":"2.0","id":"1","result":{}}`,
			"both": `{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}`,
		} {
			t.Run(method+"/answered by "+name, func(t *testing.T) {
				connect(t, wire.V1, Handler{}, func(t *testing.T, c *Client, g *gateway) {
					got := later(func() (int, error) { return 0, call(t.Context(), c) })
					g.next()
					g.send("%s", text)
					_, err := got()
					unknown(t, err)
					<-c.Done()
				})
			})
		}
	}
}

func TestNothingWasSent(t *testing.T) {
	connect(t, wire.V1, Handler{}, func(t *testing.T, c *Client, g *gateway) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := c.Sale(ctx, sale1250())
		if known(t, err); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		g.silent()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		_, err = c.Sale(t.Context(), sale1250())
		known(t, err)
		if e, ok := errors.AsType[*ClosedError](err); !ok || e.Code != 1000 {
			t.Errorf("got %v", err)
		}
		_, err = c.ReportEndOfDay(t.Context(), tid)
		known(t, err)
	})
}

// What only asks has no outcome to be in doubt of.
func TestQuestionsLost(t *testing.T) {
	for name, call := range map[string]func(context.Context, *Client) error{
		"duplicate": func(ctx context.Context, c *Client) error { _, err := c.Duplicate(ctx, tid); return err },
		"details":   func(ctx context.Context, c *Client) error { _, err := c.TerminalDetails(ctx, tid); return err },
		"terminals": func(ctx context.Context, c *Client) error { _, err := c.ConnectedTerminals(ctx, Filter{}); return err },
		"cancel":    func(ctx context.Context, c *Client) error { return c.Cancel(ctx, tid) },
	} {
		t.Run(name+"/lost", func(t *testing.T) {
			connect(t, wire.V1, Handler{}, func(t *testing.T, c *Client, g *gateway) {
				got := later(func() (int, error) { return 0, call(t.Context(), c) })
				g.next()
				g.conn.Abort()
				_, err := got()
				known(t, err)
				<-c.Done()
			})
		})
		t.Run(name+"/unreadable", func(t *testing.T) {
			connect(t, wire.V1, Handler{}, func(t *testing.T, c *Client, g *gateway) {
				got := later(func() (int, error) { return 0, call(t.Context(), c) })
				g.answer(g.next(), `7`)
				_, err := got()
				known(t, err)
			})
		})
	}
}

func TestADeadLineIsNoticed(t *testing.T) {
	connect(t, wire.V1, Handler{}, func(t *testing.T, c *Client, g *gateway) {
		got := later(func() (Payment, error) { return c.Sale(t.Context(), sale1250()) })
		g.next()
		g.line.cut.Store(true)
		start := time.Now()
		_, err := got()
		unknown(t, err)
		if waited := time.Since(start); waited > 2*time.Minute {
			t.Errorf("noticed after %v", waited)
		}
		<-c.Done()
	})
}

func TestNoAnswerForMinutes(t *testing.T) {
	connect(t, wire.V1, Handler{}, func(t *testing.T, c *Client, g *gateway) {
		got := later(func() (Payment, error) { return c.Sale(t.Context(), sale1250()) })
		m := g.next()
		time.Sleep(5 * time.Minute) // of fake time; the gateway answers pings
		g.answer(m, example(t, "performTransaction", "saleSuccessful"))
		if p, err := got(); err != nil || p.MoneyTaken() != TakenYes {
			t.Errorf("got %v, %v", p.Result, err)
		}
	})
}

func TestCancelWhileASaleRuns(t *testing.T) {
	connect(t, wire.V1, Handler{}, func(t *testing.T, c *Client, g *gateway) {
		sale := later(func() (Payment, error) { return c.Sale(t.Context(), sale1250()) })
		m := g.next()
		cancel := later(func() (int, error) { return 0, c.Cancel(t.Context(), tid) })
		g.answer(g.next(), `{"cancelling":true}`)
		if _, err := cancel(); err != nil {
			t.Error(err)
		}
		g.answer(m, example(t, "performTransaction", "saleCancelled"))
		if p, err := sale(); err != nil || p.Result != Cancelled || p.MoneyTaken() != TakenNo {
			t.Errorf("got %v, %v", p.Result, err)
		}
	})
}

func TestCancelV0(t *testing.T) {
	connect(t, wire.V0, Handler{}, func(t *testing.T, c *Client, g *gateway) {
		cancel := later(func() (int, error) { return 0, c.Cancel(t.Context(), tid) })
		g.answer(g.next(), `{"cancelled":false}`)
		if _, err := cancel(); err != nil {
			t.Error(err)
		}
	})
}

func TestClose(t *testing.T) {
	connect(t, wire.V1, Handler{}, func(t *testing.T, c *Client, g *gateway) {
		if err := c.Err(); err != nil {
			t.Errorf("while open: %v", err)
		}
		for range 2 {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		<-c.Done()
		if e, ok := errors.AsType[*ClosedError](c.Err()); !ok || e.Code != 1000 {
			t.Errorf("got %v", c.Err())
		}
	})
}

func TestMoneyTaken(t *testing.T) {
	words := map[Taken]string{TakenYes: "yes", TakenNo: "no", TakenUnknown: "unknown"}
	for _, r := range spec.Default().Results() {
		if got := words[(Payment{Result: Result(r.Value)}).MoneyTaken()]; got != r.Money {
			t.Errorf("%s: got %s, want %s", r.Value, got, r.Money)
		}
	}
	for _, r := range []Result{"", "SUCCESSFULLY", "successful", "NOT_SUCCESSFUL"} {
		if got := (Payment{Result: r}).MoneyTaken(); got != TakenUnknown {
			t.Errorf("%q: got %v", r, got)
		}
	}
	for taken, word := range words {
		if taken.String() != word {
			t.Errorf("got %s, want %s", taken, word)
		}
	}
	if (Payment{}).MoneyTaken() != TakenUnknown {
		t.Error("an empty payment is not unknown")
	}
}

func TestLocalTime(t *testing.T) {
	zone := time.FixedZone("", 3600)
	got, err := LocalTime("2026-10-07T12:30:15").In(zone)
	if want := time.Date(2026, 10, 7, 12, 30, 15, 0, zone); err != nil || !got.Equal(want) {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := SinceInstallation.In(zone); err == nil {
		t.Error("INSTALLATION was read as a time")
	}
}

// The constants are the contract's.
func TestConstants(t *testing.T) {
	var want, got []string
	for _, n := range spec.Default().Notifications() {
		want = append(want, n.Value)
	}
	for _, n := range Notifications() {
		got = append(got, string(n))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("notifications (-contract +ours)\n%s", diff)
	}
	for _, e := range spec.Default().Errors() {
		if slices.Contains(e.Sides, spec.PAC) && !slices.Contains(codes(), Code(e.Code)) {
			t.Errorf("no constant for %s", e.Name)
		}
	}
	for _, c := range codes() {
		if _, ok := spec.Default().Error(int(c)); !ok {
			t.Errorf("%d is no code", c)
		}
	}
}

func codes() []Code {
	return []Code{
		ErrParse, ErrInvalidRequest, ErrMethodNotFound, ErrInvalidParams, ErrInternal, ErrTerminalUnavailable, ErrTerminalBusy,
		ErrRequestNotSupported, ErrNoTransactionInProgress, ErrRequestTimedOut, ErrUnexpectedResponse, ErrDiscontinued,
	}
}

func TestErrorTexts(t *testing.T) {
	for want, err := range map[string]error{
		"epos: error -32071": ErrTerminalBusy,
		"epos: m (-32602)":   &Error{Code: ErrInvalidParams, Message: "m"},
		"epos: sale on 12345678: the outcome is not known: the connection has ended: 1006 lost": &OutcomeUnknownError{Method: "sale", TID: tid, Err: &ClosedError{Code: 1006, Reason: "lost"}},
		"the connection has ended: 1000":                                &ClosedError{Code: 1000},
		"epos: the gateway refused the connection: 502":                 &RefusedError{Status: 502},
		"epos: the gateway refused the connection: 401: Check the key.": &RefusedError{Status: 401, UserMessage: "Check the key."},
	} {
		if err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
}

func TestWhatIsNotOfThisVersion(t *testing.T) {
	h := Handler{Notification: func(_ TID, n Notification) { t.Errorf("told of %s", n) }}
	connect(t, wire.V1, h, func(t *testing.T, c *Client, g *gateway) {
		g.send(`{"jsonrpc":"2.0","method":"terminalNotification","params":{"notificationValue":7}}`)
		g.send(`{"jsonrpc":"2.0","method":"terminalNotification"}`)
		g.send(`{"jsonrpc":"2.0","method":"somethingNew","params":{}}`)
		g.send(`{"jsonrpc":"2.0","id":999999,"result":{}}`) // an answer to nothing
		synctest.Wait()
		g.send(`{"jsonrpc":"2.0","id":1,"method":"somethingNew","params":{}}`)
		if m := g.next(); m.ID != 1 || string(m.Error) != `{"code":-32601,"message":"Method not found: somethingNew"}` {
			t.Errorf("got %s", m.text)
		}
		g.silent()
	})
}

func TestTrace(t *testing.T) {
	var got []string
	h := Handler{Trace: func(sent bool, message []byte) {
		got = append(got, map[bool]string{true: "> ", false: "< "}[sent]+string(message))
	}}
	connect(t, wire.V1, h, func(t *testing.T, c *Client, g *gateway) {
		cancel := later(func() (int, error) { return 0, c.Cancel(t.Context(), tid) })
		g.answer(g.next(), `{"cancelling":true}`)
		if _, err := cancel(); err != nil {
			t.Error(err)
		}
	})
	want := []string{
		`> {"jsonrpc":"2.0","id":1,"method":"cancelTransaction","params":{"tid":"12345678"}}`,
		`< {"jsonrpc":"2.0","id":1,"result":{"cancelling":true}}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
