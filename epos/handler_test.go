package epos

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/wire"
)

// ask puts the contract's example of a signature request to the client.
func (g *gateway) ask() {
	g.send(`{"jsonrpc":"2.0","id":1,"method":"signatureVerificationRequest","params":%s}`, example(g.t, "verifySignature", "question"))
}

func TestSignature(t *testing.T) {
	for _, accept := range []bool{true, false} {
		var got SignatureRequest
		h := Handler{Signature: func(ctx context.Context, r SignatureRequest) (bool, error) {
			got = r
			return accept, nil
		}}
		connect(t, wire.V1, h, func(t *testing.T, c *Client, g *gateway) {
			sale := later(func() (Payment, error) { return c.Sale(t.Context(), sale1250()) })
			m := g.next()
			g.ask()
			answer := g.next()
			want := map[bool]string{
				true:  `{"jsonrpc":"2.0","id":1,"result":{"accepted":true}}`,
				false: `{"jsonrpc":"2.0","id":1,"result":{"accepted":false}}`,
			}[accept]
			if answer.text != want {
				t.Errorf("got %s, want %s", answer.text, want)
			}
			g.answer(m, example(t, "performTransaction", "saleVoid"))
			if p, err := sale(); err != nil || p.Result != Void {
				t.Errorf("got %v, %v", p.Result, err)
			}
		})
		want := SignatureRequest{
			TID: tid, Type: TypeSale, Timeout: 80 * time.Second, AuthCode: "789DE0", PaymentMethod: MethodSwiped, PAN: "************1234",
			Merchant: []receipt.Line{{Type: receipt.Text, Format: []receipt.Format{}, Value: "SIGN BELOW"}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}

// The context of a question ends when no answer is wanted any more, and what the
// cashier says after that is not sent.
func TestSignatureTooLate(t *testing.T) {
	for name, end := range map[string]func(*gateway, message){
		"time is up":            func(g *gateway, m message) { time.Sleep(80 * time.Second) }, // of fake time
		"the transaction ended": func(g *gateway, m message) { g.answer(m, example(g.t, "performTransaction", "saleSuccessful")) },
	} {
		t.Run(name, func(t *testing.T) {
			asked, gone := make(chan struct{}), make(chan time.Duration, 1)
			h := Handler{Signature: func(ctx context.Context, r SignatureRequest) (bool, error) {
				start := time.Now()
				close(asked)
				<-ctx.Done()
				gone <- time.Since(start)
				return false, nil
			}}
			connect(t, wire.V1, h, func(t *testing.T, c *Client, g *gateway) {
				sale := later(func() (Payment, error) { return c.Sale(t.Context(), sale1250()) })
				m := g.next()
				g.ask()
				<-asked
				end(g, m)
				<-gone
				g.silent()
				if name == "time is up" {
					g.answer(m, example(t, "performTransaction", "saleSuccessful"))
				}
				if _, err := sale(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestSignatureWhenTheLineIsLost(t *testing.T) {
	asked, gone := make(chan struct{}), make(chan struct{})
	h := Handler{Signature: func(ctx context.Context, r SignatureRequest) (bool, error) {
		close(asked)
		<-ctx.Done()
		close(gone)
		return true, nil
	}}
	connect(t, wire.V1, h, func(t *testing.T, c *Client, g *gateway) {
		g.ask() // also without a call: the till may have given up waiting
		<-asked
		g.conn.Abort()
		<-gone
		<-c.Done()
	})
}

func TestSignatureUnanswered(t *testing.T) {
	for name, h := range map[string]Handler{
		"no handler": {},
		"an error":   {Signature: func(context.Context, SignatureRequest) (bool, error) { return true, errors.New("no paper") }},
	} {
		t.Run(name, func(t *testing.T) {
			connect(t, wire.V1, h, func(t *testing.T, c *Client, g *gateway) {
				g.ask()
				g.silent()
			})
		})
	}
}

func TestSignatureThatCannotBeRead(t *testing.T) {
	h := Handler{Signature: func(context.Context, SignatureRequest) (bool, error) {
		t.Error("the cashier was asked")
		return true, nil
	}}
	connect(t, wire.V1, h, func(t *testing.T, c *Client, g *gateway) {
		g.send(`{"jsonrpc":"2.0","id":5,"method":"signatureVerificationRequest","params":{"timeout":"80"}}`)
		if m := g.next(); m.ID != 5 || m.Error == nil {
			t.Errorf("got %s", m.text)
		}
	})
}

func TestSignatureTimeouts(t *testing.T) {
	for seconds, want := range map[float64]time.Duration{80: 80 * time.Second, 0.5: 500 * time.Millisecond, -1: 0, 1e300: time.Hour} {
		if got := signatureOf(wire.VerifySignatureRequest{Timeout: seconds}).Timeout; got != want {
			t.Errorf("%v: got %v, want %v", seconds, got, want)
		}
	}
}

// A handler for one transaction takes what is about its terminal, in any case of
// letters; the rest goes to the client's.
func TestWithHandler(t *testing.T) {
	var own, common []string
	record := func(into *[]string) Handler {
		return Handler{
			Notification: func(on TID, n Notification) { *into = append(*into, string(on)+" "+string(n)) },
			Signature: func(_ context.Context, r SignatureRequest) (bool, error) {
				*into = append(*into, string(r.TID)+" signature")
				return true, nil
			},
		}
	}
	connect(t, wire.V1, record(&common), func(t *testing.T, c *Client, g *gateway) {
		const name = "vcmdemosis0"
		notify := func(on string, n Notification) {
			g.send(`{"jsonrpc":"2.0","method":"terminalNotification","params":{"notificationValue":%q,"tid":%q}}`, string(n), on)
		}
		sale := later(func() (Payment, error) {
			return c.Sale(t.Context(), Sale{TID: name, Amount: gbp(5)}, WithHandler(record(&own)))
		})
		m := g.next()
		notify("VCMDEMOSIS0", PresentCard)
		notify("12345678", PINEntry)
		synctest.Wait()
		g.send(`{"jsonrpc":"2.0","id":7,"method":"signatureVerificationRequest","params":{"timeout":80,"tid":"VCMDEMOSIS0"}}`)
		g.next()
		g.send(`{"jsonrpc":"2.0","id":8,"method":"signatureVerificationRequest","params":{"timeout":80,"tid":"12345678"}}`)
		g.next()
		g.answer(m, example(t, "performTransaction", "saleSuccessful"))
		if _, err := sale(); err != nil {
			t.Error(err)
		}
		notify("VCMDEMOSIS0", PleaseWait)
		synctest.Wait()
	})
	if diff := cmp.Diff([]string{"VCMDEMOSIS0 PRESENT_CARD", "VCMDEMOSIS0 signature"}, own); diff != "" {
		t.Errorf("own (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"12345678 PIN_ENTRY", "12345678 signature", "VCMDEMOSIS0 PLEASE_WAIT"}, common); diff != "" {
		t.Errorf("common (-want +got)\n%s", diff)
	}
}

// What an option leaves nil is the client's.
func TestWithPartOfAHandler(t *testing.T) {
	told := 0
	h := Handler{Notification: func(TID, Notification) { told++ }}
	connect(t, wire.V1, h, func(t *testing.T, c *Client, g *gateway) {
		sale := later(func() (Payment, error) {
			return c.Sale(t.Context(), sale1250(), WithHandler(Handler{Signature: func(context.Context, SignatureRequest) (bool, error) { return true, nil }}))
		})
		m := g.next()
		g.notify(PresentCard)
		g.ask()
		g.next()
		g.answer(m, example(t, "performTransaction", "saleSuccessful"))
		if _, err := sale(); err != nil || told != 1 {
			t.Errorf("told %d times, %v", told, err)
		}
	})
}

// Of two sales on one terminal the gateway refuses the second, which must not
// take over what belongs to the first.
func TestTwoSalesOnOneTerminal(t *testing.T) {
	told := map[string]int{}
	count := func(name string) CallOption {
		return WithHandler(Handler{Notification: func(TID, Notification) { told[name]++ }})
	}
	connect(t, wire.V1, Handler{}, func(t *testing.T, c *Client, g *gateway) {
		first := later(func() (Payment, error) { return c.Sale(t.Context(), sale1250(), count("first")) })
		m := g.next()
		second := later(func() (Payment, error) { return c.Sale(t.Context(), sale1250(), count("second")) })
		refused := g.next()
		g.notify(PresentCard)
		synctest.Wait()
		g.send(`{"jsonrpc":"2.0","id":%d,"error":{"code":-32071,"message":"Terminal Busy"}}`, refused.ID)
		if _, err := second(); !errors.Is(err, ErrTerminalBusy) {
			t.Error(err)
		}
		g.notify(PINEntry)
		g.answer(m, example(t, "performTransaction", "saleSuccessful"))
		if _, err := first(); err != nil {
			t.Error(err)
		}
	})
	if diff := cmp.Diff(map[string]int{"first": 2}, told); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestErrorsThatAnswerNothing(t *testing.T) {
	var got []Error
	h := Handler{Error: func(e *Error) { got = append(got, *e) }}
	connect(t, wire.V1, h, func(t *testing.T, c *Client, g *gateway) {
		g.send(`{"jsonrpc":"2.0","error":{"code":-32074,"message":"Request Timed Out"}}`)
		synctest.Wait()
	})
	if diff := cmp.Diff([]Error{{Code: ErrRequestTimedOut, Message: "Request Timed Out"}}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A handler may call the client, and may even run a transaction.
func TestHandlerCallsTheClient(t *testing.T) {
	var c *Client
	var details, refund error
	h := Handler{Notification: func(_ TID, n Notification) {
		switch n {
		case PresentCard:
			_, details = c.TerminalDetails(context.Background(), tid)
		case RemoveCard:
			_, refund = c.Refund(context.Background(), Refund{TID: "2", Amount: gbp(1)})
		default:
			t.Errorf("told of %s", n)
		}
	}}
	connect(t, wire.V1, h, func(t *testing.T, client *Client, g *gateway) {
		c = client
		g.notify(PresentCard)
		g.answer(g.next(), example(t, "terminalDetails", "available"))
		g.notify(RemoveCard)
		g.answer(g.next(), example(t, "performTransaction", "refundSuccessful"))
		time.Sleep(settleLimit) // of fake time: it waits for itself, but not for ever
		synctest.Wait()
	})
	if details != nil || refund != nil {
		t.Errorf("got %v and %v", details, refund)
	}
}

// A handler that does not return keeps no outcome from its caller.
func TestStuckHandler(t *testing.T) {
	release := make(chan struct{})
	told := 0
	h := Handler{Notification: func(TID, Notification) { told++; <-release }}
	connect(t, wire.V1, h, func(t *testing.T, c *Client, g *gateway) {
		release = make(chan struct{}) // of this bubble
		sale := later(func() (Payment, error) { return c.Sale(t.Context(), sale1250()) })
		m := g.next()
		for range 3 * maxEvents {
			g.notify(PleaseWait)
		}
		g.answer(m, example(t, "performTransaction", "saleSuccessful"))
		start := time.Now()
		if p, err := sale(); err != nil || p.MoneyTaken() != TakenYes {
			t.Errorf("got %v, %v", p.Result, err)
		}
		if waited := time.Since(start); waited != settleLimit {
			t.Errorf("the outcome waited %v", waited)
		}
		close(release)
		synctest.Wait()
	})
	if told != maxEvents+1 {
		t.Errorf("told %d times, want %d", told, maxEvents+1)
	}
}

func TestCloseWithinAHandler(t *testing.T) {
	var c *Client
	h := Handler{Notification: func(TID, Notification) {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}}
	connect(t, wire.V1, h, func(t *testing.T, client *Client, g *gateway) {
		c = client
		g.notify(PresentCard)
		<-c.Done()
	})
}
