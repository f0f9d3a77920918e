package epos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
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
	"github.com/tillwire/tillwire/ws"
)

// tables is a handler whose answers a test sets. Those that it does not set
// refuse, print nothing and take everything.
type tables struct {
	list   func(context.Context, TableListRequest) (TableList, error)
	lock   func(context.Context, TableRequest) (TableLock, error)
	unlock func(context.Context, TableRequest) error
	bill   func(context.Context, TableRequest) ([]receipt.Line, error)
	paid   func(context.Context, TablePayments) error
}

func (h *tables) ListTables(ctx context.Context, r TableListRequest) (TableList, error) {
	if h.list == nil {
		return TableList{}, nil
	}
	return h.list(ctx, r)
}

func (h *tables) LockTable(ctx context.Context, r TableRequest) (TableLock, error) {
	if h.lock == nil {
		return TableLock{}, nil
	}
	return h.lock(ctx, r)
}

func (h *tables) UnlockTable(ctx context.Context, r TableRequest) error {
	if h.unlock == nil {
		return nil
	}
	return h.unlock(ctx, r)
}

func (h *tables) Bill(ctx context.Context, r TableRequest) ([]receipt.Line, error) {
	if h.bill == nil {
		return nil, nil
	}
	return h.bill(ctx, r)
}

func (h *tables) Paid(ctx context.Context, p TablePayments) error {
	if h.paid == nil {
		return nil
	}
	return h.paid(ctx, p)
}

// fullTables has the optional parts, too.
type fullTables struct {
	tables
	final  func(context.Context, TableRequest) ([]receipt.Line, error)
	report func(context.Context, Report) error
}

func (h *fullTables) FinalReceipt(ctx context.Context, r TableRequest) ([]receipt.Line, error) {
	return h.final(ctx, r)
}
func (h *fullTables) TableReport(ctx context.Context, r Report) error { return h.report(ctx, r) }

// A site is what a test has of a till that serves tables: the gateway's end of
// each of its connections, one after the other.
type site struct {
	t      *testing.T
	lines  chan *gateway
	dialed chan error // to fail a dial with, if anything
	states chan ConnectionState
	failed chan string
	errs   chan *Error

	stop func()
	err  error // of Run, once done is closed
	done chan struct{}
}

// serveTables runs a test with a till and its gateway in a bubble of fake time.
// Whatever the till sends must be expected by the test.
func serveTables(t *testing.T, v wire.Version, tab Tables, test func(*testing.T, *site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &site{
			t: t, lines: make(chan *gateway, 100), dialed: make(chan error, 100), states: make(chan ConnectionState, 100),
			failed: make(chan string, 100), errs: make(chan *Error, 100), done: make(chan struct{}),
		}
		var keep []*gateway
		tab.Connection = func(c ConnectionState) { s.states <- c }
		tab.Failed = func(method string, err error) { s.failed <- method + ": " + err.Error() }
		tab.Options.Handler.Error = func(e *Error) { s.errs <- e }
		ctx, cancel := context.WithCancel(t.Context())
		s.stop = cancel
		go func() {
			defer close(s.done)
			s.err = newTableServer(tab, v).run(ctx, func(context.Context) (*ws.Conn, *ws.Keeper, error) {
				select {
				case err := <-s.dialed:
					return nil, nil, err
				default:
				}
				near, far := net.Pipe()
				keeper := ws.NewKeeper(pingInterval, pingsMissed)
				l := &line{Conn: far}
				g := &gateway{t: t, conn: ws.New(l, ws.Server, ws.Options{}), line: l, got: make(chan message, 100)}
				go g.read()
				keep = append(keep, g)
				s.lines <- g
				return ws.New(near, ws.Client, ws.Options{Keeper: keeper}), keeper, nil
			})
		}()
		test(t, s)
		cancel()
		<-s.done
		for _, g := range keep {
			for m := range g.got {
				t.Errorf("the gateway received %s, which no test expected", m.text)
			}
		}
		select {
		case text := <-s.failed:
			t.Errorf("failed with %s, which no test expected", text)
		case e := <-s.errs:
			t.Errorf("was told %v, which no test expected", e)
		default:
		}
	})
}

// up waits for the till's next connection.
func (s *site) up() *gateway {
	s.t.Helper()
	g := <-s.lines
	if c := <-s.states; !c.Up || c.Err != nil {
		s.t.Errorf("the state is %+v, want up", c)
	}
	return g
}

// down waits for the word that the connection is not up, and says why and when
// it is tried again.
func (s *site) down() ConnectionState {
	s.t.Helper()
	c := <-s.states
	if c.Up || c.Err == nil {
		s.t.Errorf("the state is %+v, want down", c)
	}
	return c
}

// ended waits for Run.
func (s *site) ended() error {
	<-s.done
	return s.err
}

func (g *gateway) request(id int, method, params string) {
	g.send(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`, id, method, params)
}

func (g *gateway) tell(method, params string) {
	g.send(`{"jsonrpc":"2.0","method":%q,"params":%s}`, method, params)
}

// wants checks the next answer.
func (g *gateway) wants(id int, result string) {
	g.t.Helper()
	m := g.next()
	if m.ID != id || string(m.Result) != result {
		g.t.Errorf("got %s, want result %s with id %d", m.text, result, id)
	}
}

// wantsError checks that the next answer is an error.
func (g *gateway) wantsError(id int, e string) {
	g.t.Helper()
	m := g.next()
	if m.ID != id || string(m.Error) != e {
		g.t.Errorf("got %s, want error %s with id %d", m.text, e, id)
	}
}

// about12 are the params of what is about table 12.
const about12 = `{"tid":"12345678","waiterId":"3","tableId":"12","timeout":10}`

func paid12(ids ...string) string {
	var payments []string
	for _, id := range ids {
		payments = append(payments, fmt.Sprintf(
			`{"paymentId":%q,"amountPaid":1000,"amountCashback":0,"amountGratuity":50,"authCode":"A","cardSchemeName":"VISA","currency":"GBP","paymentMethod":"ICC_CHIP","time":"2026-10-07T21:04:11"}`, id))
	}
	n := len(ids)
	return fmt.Sprintf(`{"tid":"12345678","waiterId":"3","tableId":"12","currency":"GBP","amountPaid":%d,"amountCashback":0,"amountGratuity":%d,"amountTotal":%d,"payments":[%s]}`,
		1000*n, 50*n, 1050*n, strings.Join(payments, ","))
}

// A visit as the contract has it, in both versions: every question of its
// examples, and the answers.
func TestTablesVisit(t *testing.T) {
	for v, member := range map[wire.Version]string{wire.V1: "tid", wire.V0: "tpi"} {
		var told []any
		r := TableRequest{TID: tid, WaiterID: "3", TableID: "12"}
		h := &fullTables{
			tables: tables{
				list: func(_ context.Context, r TableListRequest) (TableList, error) {
					told = append(told, r)
					return TableList{Tables: []TableID{"12", "14", "Bar 2"}, Currency: money.GBP}, nil
				},
				lock: func(_ context.Context, r TableRequest) (TableLock, error) {
					told = append(told, r)
					return TableLock{Granted: r.TableID == "12", Amount: gbp(4550)}, nil
				},
				unlock: func(_ context.Context, r TableRequest) error { told = append(told, r); return nil },
				bill: func(_ context.Context, r TableRequest) ([]receipt.Line, error) {
					told = append(told, r)
					return []receipt.Line{{Type: receipt.Text, Format: []receipt.Format{receipt.Bold}, Value: "TABLE 12"}, {Type: receipt.BarcodeCode39, Value: "T12"}}, nil
				},
				paid: func(_ context.Context, p TablePayments) error { told = append(told, p); return nil },
			},
			final: func(_ context.Context, r TableRequest) ([]receipt.Line, error) {
				told = append(told, r)
				return nil, nil
			},
			report: func(_ context.Context, r Report) error {
				told = append(told, string(r.TID)+" "+string(r.Type)+" "+string(r.Time)+" "+r.Balances.Waiters["3"].TotalAmount.Decimal())
				return nil
			},
		}
		serveTables(t, v, Tables{Handler: h}, func(t *testing.T, s *site) {
			g := s.up()
			in := func(params string) string { return strings.Replace(params, `"tid"`, `"`+member+`"`, 1) }
			g.request(1, "tableListRequest", in(`{"tid":"12345678","waiterId":"3","timeout":10}`))
			g.wants(1, `{"tableIds":["12","14","Bar 2"],"currency":"GBP"}`)
			g.request(2, "tableLockRequest", in(`{"tid":"12345678","waiterId":"3","tableId":"14","timeout":10}`))
			g.wants(2, `{"confirmed":false}`)
			g.request(3, "tableLockRequest", in(about12))
			g.wants(3, `{"confirmed":true,"amount":4550,"currency":"GBP"}`)
			g.request(4, "posReceiptRequest", in(about12))
			g.wants(4, `{"receiptLines":[{"type":"TEXT","format":["BOLD"],"value":"TABLE 12"},{"type":"BARCODE_CODE39","format":[],"value":"T12"}]}`)
			name := map[wire.Version]string{wire.V1: "split", wire.V0: "splitV0"}[v]
			g.request(5, "transactionResponse", patExample(t, "transactionResponse", name))
			g.wants(5, `{"recorded":true}`)
			g.request(6, "finalPOSReceiptRequest", in(about12))
			g.wants(6, `{"receiptLines":[]}`)
			g.request(7, "tableUnlock", in(`{"tid":"12345678","waiterId":"3","tableId":"12"}`))
			g.wants(7, `{"recorded":true}`)
			g.request(8, "reportResponse", in(`{"tid":"12345678","reportType":"Z_BALANCE","reportTime":"2026-10-07T23:40:00","reportResult":"COMPLETE","balances":{"currency":"GBP","totalAmount":5000,"waiterTotals":{"3":{"totalAmount":5000}}},"banking":{},"reportLines":[]}`))
			g.wants(8, `{"recorded":true}`)
		})
		other := r
		other.TableID = "14"
		want := []any{
			TableListRequest{TID: tid, WaiterID: "3"},
			other, r, r,
			TablePayments{
				TableRequest: r, Currency: money.GBP, AmountPaid: 4550, AmountGratuity: 450, AmountTotal: 5000,
				Payments: []TablePayment{
					{ID: "0d7f2a44-6a52-4c0c-9a1e-5f5b6a3e9c01", Currency: money.GBP, AmountPaid: 2275, AmountGratuity: 450, PaymentMethod: MethodChip, Scheme: "VISA", AuthCode: "789DE0", Time: "2026-10-07T21:04:11"},
					{ID: "5b1f0c36-83f5-4a56-8a83-0f8f1e2f7a02", Currency: money.GBP, AmountPaid: 2275, PaymentMethod: MethodContactless, Scheme: "MASTERCARD", AuthCode: "55A1B2", Time: "2026-10-07T21:05:02"},
				},
			},
			r, r, "12345678 Z_BALANCE 2026-10-07T23:40:00 50.00",
		}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("%v: the handler was told (-want +got)\n%s", v, diff)
		}
	}
}

// patExample returns the params of an example of Pay-At-Table.
func patExample(t *testing.T, name, example string) string {
	t.Helper()
	m, _ := spec.Default().Message(spec.PAT, name)
	e, ok := m.Example(example)
	if !ok {
		t.Fatalf("no example %s of %s", example, name)
	}
	return paramsOf(t, e.Text)
}

// What a payment says beyond what it must say.
func TestTablePaymentInFull(t *testing.T) {
	var got TablePayments
	h := &tables{paid: func(_ context.Context, p TablePayments) error { got = p; return nil }}
	serveTables(t, wire.V1, Tables{Handler: h}, func(t *testing.T, s *site) {
		g := s.up()
		g.request(1, "transactionResponse", `{"tid":"12345678","waiterId":"3","tableId":"12","currency":"EUR","payments":[{"paymentId":"p","amountPaid":1000,"amountCashback":20,"amountGratuity":3,`+
			`"authCode":"A","cardSchemeName":"VISA","currency":"EUR","paymentMethod":"SWIPED","time":"2026-10-07T21:04:11","transactionId":"1000123","transactionNumber":"0042","transactionResult":"SUCCESSFUL",`+
			`"cardholderVerificationMethod":"SIGNATURE","applicationId":"A0","applicationLabel":"VISA DEBIT","primaryAccountNumber":"************1234","dateOfExpiry":"01/29",`+
			`"receiptLines":{"MERCHANT":[{"type":"TEXT","format":[],"value":"M"}],"CUSTOMER":[{"type":"TEXT","format":[],"value":"C"}]}}]}`)
		g.wants(1, `{"recorded":true}`)
	})
	want := TablePayments{
		TableRequest: TableRequest{TID: tid, WaiterID: "3", TableID: "12"},
		Currency:     money.EUR, AmountPaid: 1000, AmountCashback: 20, AmountGratuity: 3, AmountTotal: 1023,
		Payments: []TablePayment{{
			ID: "p", Currency: money.EUR, AmountPaid: 1000, AmountCashback: 20, AmountGratuity: 3,
			PaymentMethod: MethodSwiped, Scheme: "VISA", AuthCode: "A", Time: "2026-10-07T21:04:11",
			TransactionID: "1000123", TransactionNumber: "0042", CVM: CVMSignature, ApplicationID: "A0", ApplicationLabel: "VISA DEBIT",
			PAN: "************1234", ExpiryDate: "01/29",
			Receipts: receipt.Copies{
				Merchant: []receipt.Line{{Type: receipt.Text, Format: []receipt.Format{}, Value: "M"}},
				Customer: []receipt.Line{{Type: receipt.Text, Format: []receipt.Format{}, Value: "C"}},
			},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A book is what a till has booked.
type book []TablePayments

func (b *book) paid(_ context.Context, p TablePayments) error {
	*b = append(*b, p)
	return nil
}

// ids are the payments in the order in which they were booked, and the sum that
// was booked.
func (b book) ids() (ids []PaymentID, total money.Minor) {
	for _, p := range b {
		total += p.AmountTotal
		for _, one := range p.Payments {
			ids = append(ids, one.ID)
		}
	}
	return ids, total
}

func (b book) wants(t *testing.T, want ...PaymentID) {
	t.Helper()
	ids, total := b.ids()
	if !slices.Equal(ids, want) || total != money.Minor(1050*len(want)) {
		t.Errorf("booked %q for %d, want %q", ids, total, want)
	}
}

// However often the gateway tells of a payment, it is booked once, and the
// amounts are those of what is new.
func TestPaidOnce(t *testing.T) {
	var b book
	serveTables(t, wire.V1, Tables{Handler: &tables{paid: b.paid}}, func(t *testing.T, s *site) {
		g := s.up()
		for i, ids := range [][]string{{"a"}, {"a"}, {"a", "b"}, {"c", "b", "c"}, {}, {"c"}} {
			g.request(i, "transactionResponse", paid12(ids...))
			g.wants(i, `{"recorded":true}`)
		}
		g.conn.Abort()
		s.down()
		g = s.up()
		g.request(1, "transactionResponse", paid12("b", "d"))
		g.wants(1, `{"recorded":true}`)
	})
	b.wants(t, "a", "b", "c", "d")
}

// A payment that could not be booked is not said to be, and comes again.
func TestPaidFails(t *testing.T) {
	var b book
	broken := true
	h := &tables{paid: func(ctx context.Context, p TablePayments) error {
		if broken {
			return errors.New("the disk is full")
		}
		return b.paid(ctx, p)
	}}
	serveTables(t, wire.V1, Tables{Handler: h}, func(t *testing.T, s *site) {
		g := s.up()
		g.request(1, "transactionResponse", paid12("a"))
		g.wants(1, `{"recorded":false}`)
		if got := <-s.failed; got != "transactionResponse: the disk is full" {
			t.Errorf("failed with %s", got)
		}
		broken = false
		g.request(2, "transactionResponse", paid12("a"))
		g.wants(2, `{"recorded":true}`)
		g.request(3, "transactionResponse", paid12("a"))
		g.wants(3, `{"recorded":true}`)
	})
	b.wants(t, "a")
}

// The line breaks while a payment is being booked. It is booked, the gateway
// tells of it again, and it is not booked twice, though the first call still
// runs.
func TestLineBreaksWhileBooking(t *testing.T) {
	var b book
	var begun, release chan struct{}
	h := &tables{paid: func(ctx context.Context, p TablePayments) error {
		close(begun)
		<-release
		if ctx.Err() != nil {
			t.Error("the booking was broken off")
		}
		return b.paid(ctx, p)
	}}
	serveTables(t, wire.V1, Tables{Handler: h}, func(t *testing.T, s *site) {
		begun, release = make(chan struct{}), make(chan struct{}) // of the bubble
		g := s.up()
		g.request(1, "transactionResponse", paid12("a"))
		<-begun
		g.conn.Abort()
		s.down()
		g = s.up()
		g.request(1, "transactionResponse", paid12("a"))
		g.silent()
		close(release)
		g.wants(1, `{"recorded":true}`)
	})
	b.wants(t, "a")
}

// answered sends a ping and returns what says whether it was answered. It never
// is on a line that was dropped.
func (g *gateway) answered() <-chan struct{} {
	c := make(chan struct{})
	_ = g.conn.Ping(func() { close(c) })
	return c
}

// Without acks a notice counts as delivered when the ping after it is answered.
// It is not, before the payment is booked.
func TestNoAcks(t *testing.T) {
	var b book
	var begun, release chan struct{}
	h := &tables{paid: func(ctx context.Context, p TablePayments) error {
		close(begun)
		<-release
		return b.paid(ctx, p)
	}}
	serveTables(t, wire.V1, Tables{Handler: h, NoAcks: true}, func(t *testing.T, s *site) {
		begun, release = make(chan struct{}), make(chan struct{}) // of the bubble
		g := s.up()
		g.tell("transactionResponse", paid12("a"))
		pong := g.answered()
		<-begun
		synctest.Wait()
		select {
		case <-pong:
			t.Error("the ping was answered while the payment was being booked")
		default:
		}
		close(release)
		<-pong
		g.tell("transactionResponse", paid12("a"))
		g.tell("somethingNew", "{}")
		g.tell("tableListRequest", "{}") // a question without an id wants nothing
		<-g.answered()
	})
	b.wants(t, "a")
}

// Without acks the line is dropped when a payment could not be booked, so that
// it comes again.
func TestNoAcksPaidFails(t *testing.T) {
	var b book
	var stuck chan struct{}
	var turn int
	h := &tables{paid: func(ctx context.Context, p TablePayments) error {
		switch turn++; turn {
		case 1:
			return errors.New("the disk is full")
		case 2:
			<-stuck // pays no heed to its ctx
			return errors.New("the disk is slow")
		}
		return b.paid(ctx, p)
	}}
	serveTables(t, wire.V1, Tables{Handler: h, NoAcks: true}, func(t *testing.T, s *site) {
		stuck = make(chan struct{}) // of the bubble
		g := s.up()
		g.tell("transactionResponse", paid12("a"))
		unanswered := []<-chan struct{}{g.answered()}
		if got := <-s.failed; got != "transactionResponse: the disk is full" {
			t.Errorf("failed with %s", got)
		}
		if c := s.down(); c.Err.Error() != "epos: transactionResponse could not be dealt with: the disk is full" {
			t.Errorf("the state is %+v", c)
		}
		g = s.up()
		g.tell("transactionResponse", paid12("a"))
		unanswered = append(unanswered, g.answered())
		if c := s.down(); c.Err.Error() != "epos: transactionResponse could not be dealt with in time" {
			t.Errorf("the state is %+v", c)
		}
		g = s.up()
		g.tell("transactionResponse", paid12("a"))
		close(stuck)
		if got := <-s.failed; got != "transactionResponse: the disk is slow" {
			t.Errorf("failed with %s", got)
		}
		<-g.answered()
		for i, c := range unanswered {
			select {
			case <-c:
				t.Errorf("ping %d was answered", i)
			default:
			}
		}
	})
	b.wants(t, "a")
}

// A newer connection took over: this till stops, and does not come back.
func TestDiscontinued(t *testing.T) {
	serveTables(t, wire.V1, Tables{Handler: &tables{}}, func(t *testing.T, s *site) {
		g := s.up()
		g.send(`{"jsonrpc":"2.0","error":{"code":-32076,"message":"Connection Discontinued: a newer connection of this site took over"}}`)
		if err := s.ended(); !errors.Is(err, ErrDiscontinued) {
			t.Errorf("got %v", err)
		}
		if c := s.down(); c.Retry != 0 || !errors.Is(c.Err, ErrDiscontinued) {
			t.Errorf("the state is %+v", c)
		}
		if len(s.lines) > 0 {
			t.Error("it dialled again")
		}
	})
}

// It dials again with growing pauses, and anew with a short one after a
// connection that has held.
func TestRedial(t *testing.T) {
	serveTables(t, wire.V1, Tables{Handler: &tables{}}, func(t *testing.T, s *site) {
		first := s.up()
		for range 9 {
			s.dialed <- errors.New("nobody there")
		}
		s.dialed <- &RefusedError{Status: http.StatusTooManyRequests, RetryAfter: 2 * time.Minute}
		s.dialed <- &RefusedError{Status: http.StatusServiceUnavailable, RetryAfter: 100 * time.Hour}
		first.conn.Abort()
		for i, most := range []time.Duration{500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000, 30000} {
			most *= time.Millisecond
			if c := s.down(); c.Retry < most/2 || c.Retry > most {
				t.Errorf("pause %d is %v, want up to %v", i, c.Retry, most)
			}
		}
		for _, want := range []time.Duration{2 * time.Minute, 10 * time.Minute} {
			if c := s.down(); c.Retry != want {
				t.Errorf("pause of %v, want %v", c.Retry, want)
			}
		}
		g := s.up()
		time.Sleep(heldLong) // of the bubble's time
		g.conn.StartClose(ws.GoingAway, "stopping")
		c := s.down()
		closed, ok := errors.AsType[*ClosedError](c.Err)
		if !ok || closed.Code != 1001 || c.Retry > firstPause {
			t.Errorf("the state is %+v", c)
		}
		s.up()
	})
}

// A refusal that will not change ends it; a gateway that cannot be reached does
// not.
func TestHopeless(t *testing.T) {
	for status, want := range map[int]bool{400: true, 401: true, 403: true, 404: true, 408: false, 422: true, 426: true, 429: false, 500: false, 502: false, 503: false, 200: false} {
		err := &RefusedError{Status: status}
		if got := hopeless(err); got != want {
			t.Errorf("%d: got %v", status, got)
		}
	}
	serveTables(t, wire.V1, Tables{Handler: &tables{}}, func(t *testing.T, s *site) {
		s.up().conn.StartClose(ws.Policy, "the key was revoked")
		s.dialed <- &RefusedError{Status: 401}
		s.down()
		if refused, ok := errors.AsType[*RefusedError](s.ended()); !ok || refused.Status != 401 {
			t.Errorf("got %v", s.err)
		}
		s.down()
	})
}

// Calls about one table keep their order, calls about others do not wait.
func TestOrder(t *testing.T) {
	var gate chan struct{}
	var order []string
	h := &tables{
		lock: func(_ context.Context, r TableRequest) (TableLock, error) {
			if r.TableID == "12" {
				<-gate
				order = append(order, "lock")
			}
			return TableLock{}, nil
		},
		paid: func(context.Context, TablePayments) error { order = append(order, "paid"); return nil },
		bill: func(context.Context, TableRequest) ([]receipt.Line, error) {
			order = append(order, "bill")
			return nil, nil
		},
		unlock: func(context.Context, TableRequest) error { order = append(order, "unlock"); return nil },
	}
	serveTables(t, wire.V1, Tables{Handler: h}, func(t *testing.T, s *site) {
		gate = make(chan struct{}) // of the bubble
		g := s.up()
		g.request(1, "tableLockRequest", about12)
		g.request(2, "transactionResponse", paid12("a"))
		g.request(3, "posReceiptRequest", about12)
		g.request(4, "tableUnlock", about12)
		g.silent()
		g.request(5, "tableLockRequest", strings.Replace(about12, `"12"`, `"14"`, 1))
		g.wants(5, `{"confirmed":false}`)
		g.request(6, "tableListRequest", `{"tid":"12345678","waiterId":"","timeout":10}`)
		g.wants(6, `{"tableIds":[]}`)
		close(gate)
		g.wants(1, `{"confirmed":false}`)
		g.wants(2, `{"recorded":true}`)
		g.wants(3, `{"receiptLines":[]}`)
		g.wants(4, `{"recorded":true}`)
	})
	if want := []string{"lock", "paid", "bill", "unlock"}; !slices.Equal(order, want) {
		t.Errorf("got %q", order)
	}
}

// A call that waits for its turn for too long is not made, and does not let
// those behind it overtake the one before it.
func TestTurnTooLate(t *testing.T) {
	var gate chan struct{}
	var order []string
	h := &tables{
		lock: func(ctx context.Context, r TableRequest) (TableLock, error) {
			order = append(order, "lock of "+string(r.WaiterID))
			if r.WaiterID == "3" {
				<-gate // pays no heed to its ctx
			}
			return TableLock{Granted: true, Amount: gbp(1)}, nil
		},
		unlock: func(_ context.Context, r TableRequest) error {
			order = append(order, "unlock of "+string(r.WaiterID))
			return nil
		},
	}
	serveTables(t, wire.V1, Tables{Handler: h}, func(t *testing.T, s *site) {
		gate = make(chan struct{}) // of the bubble
		g := s.up()
		other := strings.Replace(about12, `"3"`, `"4"`, 1)
		g.request(1, "tableLockRequest", about12)
		g.request(2, "tableLockRequest", other)
		if got, want := <-s.failed, "tableLockRequest: epos: no answer was sent, nobody waits for it any more: its turn did not come in time"; got != want {
			t.Errorf("failed with %s", got)
		}
		g.request(3, "tableUnlock", about12)
		g.request(4, "tableUnlock", other)
		g.silent()
		close(gate)
		if got, want := <-s.failed, "tableLockRequest: epos: no answer was sent, nobody waits for it any more"; got != want {
			t.Errorf("failed with %s", got)
		}
		g.wants(3, `{"recorded":true}`)
		g.wants(4, `{"recorded":true}`)
	})
	if want := []string{"lock of 3", "unlock of 3", "unlock of 4"}; !slices.Equal(order, want) {
		t.Errorf("got %q", order)
	}
}

// The ctx of a question ends with its time and with the connection, and what it
// returns then is not sent.
func TestQuestionsEnd(t *testing.T) {
	h := &tables{bill: func(ctx context.Context, _ TableRequest) ([]receipt.Line, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	const late = "posReceiptRequest: epos: no answer was sent, nobody waits for it any more: context "
	serveTables(t, wire.V1, Tables{Handler: h}, func(t *testing.T, s *site) {
		g := s.up()
		for timeout, want := range map[string]time.Duration{"2.5": 2500 * time.Millisecond, "0": noTimeout, "-7": noTimeout, "1e300": time.Hour} {
			began := time.Now()
			g.request(1, "posReceiptRequest", strings.Replace(about12, `:10`, `:`+timeout, 1))
			if got := <-s.failed; got != late+"deadline exceeded" {
				t.Errorf("failed with %s", got)
			}
			if got := time.Since(began); got != want {
				t.Errorf("timeout %s ended after %v", timeout, got)
			}
		}
		g.request(1, "posReceiptRequest", about12)
		synctest.Wait()
		g.conn.Abort()
		if got := <-s.failed; got != late+"canceled" {
			t.Errorf("failed with %s", got)
		}
		s.down()
		s.up()
	})
}

// What the waiter reads when a question ends in an error.
func TestQuestionFails(t *testing.T) {
	long := strings.Repeat("x", 70)
	line := func(kind receipt.LineType, value string) ([]receipt.Line, error) {
		return []receipt.Line{{Type: kind, Value: value}}, nil
	}
	const hidden = `{"code":-32603,"message":"Internal error","userMessage":"The till could not answer."}`
	for name, test := range map[string]struct {
		list   TableList
		lock   TableLock
		bill   []receipt.Line
		err    error
		method string
		want   string // error on the wire
		failed string // what the till's developer hears
	}{
		"for the screen": {
			err: &Error{Message: "waiter 9 is not known", UserMessage: "Unknown waiter."}, method: "tableListRequest",
			want: `{"code":-32603,"message":"waiter 9 is not known","userMessage":"Unknown waiter."}`,
		},
		"wrapped": {
			err: fmt.Errorf("door: %w", &Error{Code: ErrTerminalBusy, Message: "Closed."}), method: "tableListRequest",
			want: `{"code":-32071,"message":"Closed."}`,
		},
		"plain":          {err: errors.New("dial 10.0.0.5: refused"), method: "posReceiptRequest", want: hidden, failed: "dial 10.0.0.5: refused"},
		"no currency":    {list: TableList{Tables: []TableID{"1"}}, method: "tableListRequest", want: hidden, failed: "epos: the handler's answer cannot be sent: /result/currency is required"},
		"nothing owed":   {lock: TableLock{Granted: true, Amount: gbp(0)}, method: "tableLockRequest", want: hidden, failed: "epos: the handler's answer cannot be sent: /result/amount is required"},
		"less":           {lock: TableLock{Granted: true, Amount: gbp(-1)}, method: "tableLockRequest", want: hidden, failed: "epos: the handler's answer cannot be sent: /result/amount must be at least 1"},
		"other currency": {lock: TableLock{Granted: true, Amount: money.Amount{Minor: 1, Currency: "USD"}}, method: "tableLockRequest", want: hidden, failed: "epos: the handler's answer cannot be sent: /result/currency must be GBP or EUR"},
		"line type":      {bill: one(line(receipt.BoxVoid, long)), method: "posReceiptRequest", want: hidden, failed: "epos: the handler's answer cannot be sent: /result/receiptLines/0/type must be TEXT, IMAGE_LOGO, CARRIAGE_RETURN, LINE_SEPARATOR_SINGLE, LINE_SEPARATOR_DOUBLE, TICKET_FEED, BARCODE_CODE25, BARCODE_CODE39 or BARCODE_CODE128"},
		"too long": {
			bill: one(line(receipt.ImageLogo, strings.Repeat("x", 1<<20))), method: "posReceiptRequest",
			want:   `{"code":-32603,"message":"Internal error: the answer is too long","userMessage":"The till could not answer."}`,
			failed: "epos: the handler's answer of 1048673 bytes is too long to be sent",
		},
	} {
		h := &tables{
			list: func(context.Context, TableListRequest) (TableList, error) { return test.list, test.err },
			lock: func(context.Context, TableRequest) (TableLock, error) { return test.lock, test.err },
			bill: func(context.Context, TableRequest) ([]receipt.Line, error) { return test.bill, test.err },
		}
		t.Run(name, func(t *testing.T) {
			serveTables(t, wire.V1, Tables{Handler: h}, func(t *testing.T, s *site) {
				g := s.up()
				g.request(7, test.method, about12)
				g.wantsError(7, test.want)
				if test.failed == "" {
					return
				}
				if got, want := <-s.failed, test.method+": "+test.failed; got != want {
					t.Errorf("failed with %s, want %s", got, want)
				}
			})
		})
	}
}

func one(lines []receipt.Line, _ error) []receipt.Line { return lines }

// What cannot be read is refused where it has an id; else the line is dropped,
// for it may have been money.
func TestUnreadable(t *testing.T) {
	serveTables(t, wire.V1, Tables{Handler: &tables{}}, func(t *testing.T, s *site) {
		g := s.up()
		g.request(1, "sale", `{}`)
		g.wantsError(1, `{"code":-32601,"message":"Method not found: sale"}`)
		g.request(2, "finalPOSReceiptRequest", about12) // the handler has none
		g.wantsError(2, `{"code":-32601,"message":"Method not found: finalPOSReceiptRequest"}`)
		g.request(3, "transactionResponse", `{"payments":1}`)
		g.wantsError(3, `{"code":-32602,"message":"Invalid params: wire: a transaction response cannot be read: unexpected value at \"/payments\""}`)
		<-s.failed
		g.request(4, "transactionResponse", paid12("a", ""))
		g.wantsError(4, `{"code":-32602,"message":"Invalid params: a payment has no paymentId"}`)
		<-s.failed
		g.request(5, "reportResponse", `{"tid":"12345678"}`) // the handler keeps none
		g.wants(5, `{"recorded":true}`)
		g.send(`{"jsonrpc":"2.0","id":5,"result":{}}`) // an answer to nothing
		g.send(`{"jsonrpc":"2.0","id":5,"error":{"code":-32074,"message":"late"}}`)
		if e := <-s.errs; e.Code != ErrRequestTimedOut {
			t.Errorf("told %v", e)
		}
		g.tell("transactionResponse", paid12(""))
		<-s.failed
		s.down()
		g = s.up()
		g.send(`{"jsonrpc":"2.0","method":1}`)
		s.down()
		s.up()
	})
}

// A till that is told to stop lets bookings end and answers for them; questions
// are broken off, and nothing new is begun.
func TestStop(t *testing.T) {
	for _, noAcks := range []bool{false, true} {
		var b book
		var begun, release chan struct{}
		h := &tables{
			paid: func(ctx context.Context, p TablePayments) error {
				close(begun)
				<-release
				if ctx.Err() != nil {
					t.Error("the booking was broken off")
				}
				return b.paid(ctx, p)
			},
			bill: func(ctx context.Context, _ TableRequest) ([]receipt.Line, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			},
		}
		serveTables(t, wire.V1, Tables{Handler: h, NoAcks: noAcks}, func(t *testing.T, s *site) {
			begun, release = make(chan struct{}), make(chan struct{}) // of the bubble
			g := s.up()
			g.request(1, "posReceiptRequest", strings.Replace(about12, `"12"`, `"14"`, 1))
			if noAcks {
				g.tell("transactionResponse", paid12("a"))
			} else {
				g.request(2, "transactionResponse", paid12("a"))
			}
			<-begun
			s.stop()
			<-s.failed // the bill
			synctest.Wait()
			g.request(3, "transactionResponse", paid12("b"))
			synctest.Wait()
			close(release)
			if !noAcks {
				g.wants(2, `{"recorded":true}`)
			}
			if err := s.ended(); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
		b.wants(t, "a")
	}
}

// A gateway that asks more than can be served at a time is read from more
// slowly, and every one is answered.
func TestManyAtOnce(t *testing.T) {
	const n = 3 * maxCalls
	var gate chan struct{}
	h := &tables{unlock: func(context.Context, TableRequest) error { <-gate; return nil }}
	serveTables(t, wire.V1, Tables{Handler: h}, func(t *testing.T, s *site) {
		gate = make(chan struct{}) // of the bubble
		g := s.up()
		for i := range n {
			g.request(i, "tableUnlock", fmt.Sprintf(`{"tid":"12345678","waiterId":"","tableId":"%d"}`, i%100))
		}
		g.silent()
		close(gate)
		answered := map[int]bool{}
		for range n {
			answered[g.next().ID] = true
		}
		if len(answered) != n {
			t.Errorf("%d answers, want %d", len(answered), n)
		}
	})
}

func TestTablesAddress(t *testing.T) {
	for _, test := range []struct {
		name string
		tab  Tables
		want url.Values
	}{
		{
			"v1",
			Tables{Options: Options{Host: "h", Key: "k", SoftwareHouseID: "S", InstallerID: "I"}, Handler: &tables{}},
			url.Values{"token": {"k"}, "api-version": {"v1"}, "software-house-id": {"S"}, "installer-id": {"I"}, "extensions": {"acks"}},
		},
		{
			"v0, final receipts, no acks",
			Tables{Options: Options{Host: "h", Key: "k", Version: V0}, Handler: &fullTables{}, NoAcks: true},
			url.Values{"token": {"k"}, "api-version": {"v0"}, "final-pos-receipt-request": {""}},
		},
		{"pasted", Tables{Options: Options{URL: "wss://h//PAT?token=k&extensions=errors"}}, url.Values{"token": {"k"}, "extensions": {"errors,acks"}}},
		{"pasted with acks", Tables{Options: Options{URL: "wss://h/pat/?token=k&extensions=acks"}}, url.Values{"token": {"k"}, "extensions": {"acks"}}},
	} {
		address, _, err := test.tab.address()
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, u.Query()); diff != "" || !strings.EqualFold(strings.Trim(u.Path, "/"), "pat") {
			t.Errorf("%s: %s (-want +got)\n%s", test.name, u.Path, diff)
		}
	}
	for name, o := range map[string]Options{
		"nothing":          {},
		"Pay-At-Counter's": {URL: "wss://h/pac?token=" + secret},
		"no path":          {URL: "wss://h?token=" + secret},
		"version":          {Host: "h", Key: secret, Version: "v2"},
	} {
		err := ServeTables(t.Context(), o, &tables{})
		if err == nil || strings.Contains(err.Error(), secret) || !strings.HasPrefix(err.Error(), "epos: ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
