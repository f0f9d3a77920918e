package epos_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tillwire/tillwire/epos"
	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal/sim"
)

// selling starts a sale on VCMDEMOSIP0 that stands at the PIN when it returns.
func (c *counter) selling(ctx context.Context, till *epos.REST, opts ...epos.CallOption) (sold func() (epos.Payment, error), goOn func()) {
	goOn = c.hold()
	return c.sellingUntil(ctx, till, epos.PINEntry, opts), goOn
}

// presenting is selling up to where the card is presented, and a cancel honoured.
func (c *counter) presenting(till *epos.REST, opts ...epos.CallOption) (sold func() (epos.Payment, error)) {
	c.wait()
	return c.sellingUntil(c.t.Context(), till, epos.PresentCard, opts)
}

// wait has the next sale on VCMDEMOSIP0 wait for a card.
func (c *counter) wait() {
	m, _ := c.park.Machine("VCMDEMOSIP0")
	until := make(chan struct{})
	c.t.Cleanup(func() { close(until) })
	m.Script(sim.Script{HoldAt: sim.PresentCard, Until: until})
}

func (c *counter) sellingUntil(ctx context.Context, till *epos.REST, at epos.Notification, opts []epos.CallOption) (sold func() (epos.Payment, error)) {
	there := make(chan struct{})
	once := sync.OnceFunc(func() { close(there) })
	opts = append(opts, epos.WithHandler(epos.Handler{Notification: func(_ epos.TID, n epos.Notification) {
		if n == at {
			once()
		}
	}}))
	type end struct {
		p   epos.Payment
		err error
	}
	ended := make(chan end, 1)
	go func() {
		p, err := till.Sale(ctx, saleOn("VCMDEMOSIP0"), opts...)
		ended <- end{p, err}
	}()
	select {
	case <-there:
	case e := <-ended:
		c.t.Fatalf("it never came to %s: %+v, %v", at, e.p, e.err)
	}
	return func() (epos.Payment, error) { e := <-ended; return e.p, e.err }
}

// doubtful fails unless err says that the outcome is not known.
func doubtful(t *testing.T, err error) *epos.OutcomeUnknownError {
	t.Helper()
	unknown, ok := errors.AsType[*epos.OutcomeUnknownError](err)
	if !ok {
		t.Fatalf("%v, want that the outcome is not known", err)
	}
	return unknown
}

// certain fails if err says that the outcome is not known, or nothing.
func certain(t *testing.T, err error) {
	t.Helper()
	if unknown, ok := errors.AsType[*epos.OutcomeUnknownError](err); ok || err == nil {
		t.Fatalf("%v, want that nothing ran (%v)", err, unknown)
	}
}

// A till that gives up waiting does not know, and learns it where the gateway said
// that it would be: by trying again, after a restart of its own, by asking.
func TestRESTGivesUpWaiting(t *testing.T) {
	c := openCounter(t)
	ctx, cancel := context.WithCancel(t.Context())
	first := c.till(epos.Handler{})
	sold, goOn := c.selling(ctx, first)
	cancel()
	_, err := sold()
	unknown := doubtful(t, err)
	if unknown.Location == "" || unknown.Key == "" || !errors.Is(err, context.Canceled) {
		t.Fatalf("%+v", unknown)
	}
	status, err := first.TransactionStatusAt(t.Context(), "VCMDEMOSIP0", unknown.Location)
	if err != nil || status.State != epos.Pending || status.Payment != nil {
		t.Errorf("while it runs: %+v, %v", status, err)
	}
	goOn()
	p, err := first.TryAgain(t.Context(), unknown)
	if err != nil || p.Result != epos.Successful {
		t.Errorf("tried again: %+v, %v", p, err)
	}
	second := c.till(epos.Handler{})
	if q, err := second.Await(t.Context(), "VCMDEMOSIP0", unknown.Location); err != nil || q.TransactionID != p.TransactionID {
		t.Errorf("after a restart of the till: %+v, %v", q, err)
	}
	status, err = second.TransactionStatusByID(t.Context(), "VCMDEMOSIP0", unknown.Location[strings.LastIndex(unknown.Location, "/")+1:])
	if err != nil || status.State != epos.Finished || status.Payment == nil || status.Payment.TransactionID != p.TransactionID {
		t.Errorf("%+v, %v", status, err)
	}
	if n, _ := c.charged(); n != 1 {
		t.Errorf("%d charges", n)
	}
}

// A client that is closed leaves its calls in doubt.
func TestRESTClosed(t *testing.T) {
	c := openCounter(t)
	till := c.till(epos.Handler{})
	sold, goOn := c.selling(t.Context(), till)
	defer goOn()
	_ = till.Close()
	_, err := sold()
	doubtful(t, err)
	_, err = till.Sale(t.Context(), saleOn("VCMDEMODIP0"))
	certain(t, err)
}

// The gateway is killed in a sale and comes back: the call is told the end.
func TestRESTOverARestart(t *testing.T) {
	for _, change := range [][]func(*epos.RESTOptions){nil, {plain}} {
		c := openCounter(t)
		sold, goOn := c.selling(t.Context(), c.till(epos.Handler{}, change...))
		c.playing(func(int, *http.Request) string { return reset })
		c.handler().Close()
		c.stop()
		c.start()
		c.open()
		c.playing(nil)
		goOn()
		if p, err := sold(); err != nil || p.Result != epos.Successful {
			t.Errorf("%s, %v", p.Result, err)
		}
		if n, _ := c.charged(); n != 1 {
			t.Errorf("%d charges", n)
		}
	}
}

// What cannot have arrived did not run, and what may have is in doubt. Nobody waits
// for ever.
func TestRESTDoubt(t *testing.T) {
	c := openCounter(t)
	posts := func(trick string) func(int, *http.Request) string {
		return func(_ int, r *http.Request) string {
			if r.Method == http.MethodPost {
				return trick
			}
			return ""
		}
	}
	looks := func(trick string) func(int, *http.Request) string {
		return func(_ int, r *http.Request) string {
			if r.Method == http.MethodGet {
				return trick
			}
			return ""
		}
	}
	for _, tt := range []struct {
		name  string
		trick func(int, *http.Request) string
		taken bool // the gateway said so
	}{
		{"no answer is whole", posts(half), false},
		{"each is lost", posts(lost), false},
		{"nothing arrives", posts(reset), false},
		{"a machine in between", posts(between), false},
		{"another page", posts(nowhere), false},
		{"silence", posts(silent), false},
		{"each look fails", looks(failing), true},
		{"each look finds nothing", looks(nothing), true},
		{"each look is no transaction", looks(nowhere), true},
		{"each look is silence", looks(silent), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			till := c.till(epos.Handler{})
			if tt.taken {
				epos.GiveUpLooking(till)
			} else {
				epos.GiveUpSending(till, 30*time.Millisecond)
			}
			if strings.Contains(tt.name, "silence") {
				epos.Impatient(till)
			}
			c.playing(tt.trick)
			_, err := till.Sale(t.Context(), saleOn("VCMDEMOSIP0"))
			unknown := doubtful(t, err)
			if (unknown.Location != "") != tt.taken {
				t.Errorf("%+v", unknown)
			}
			c.playing(nil)
			whole := c.till(epos.Handler{})
			if unknown.Key == "" {
				t.Fatalf("%+v", unknown)
			}
			if p, err := whole.TryAgain(t.Context(), unknown); err != nil || p.Result != epos.Successful {
				t.Errorf("tried again: %+v, %v", p, err)
			}
		})
	}
	if n, _ := c.charged(); n != 10 {
		t.Errorf("%d charges of 10 sales", n)
	}

	t.Run("nobody listens", func(t *testing.T) {
		till := c.till(epos.Handler{}, func(o *epos.RESTOptions) { o.URL = "http://127.0.0.1:1" })
		_, err := till.Sale(t.Context(), saleOn("VCMDEMOSIP0"))
		certain(t, err)
	})
	t.Run("a ctx that has ended", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := c.till(epos.Handler{}).Sale(ctx, saleOn("VCMDEMOSIP0"))
		certain(t, err)
	})
	t.Run("refused after a try that was lost", func(t *testing.T) {
		c := openCounter(t)
		sold, goOn := c.selling(t.Context(), c.till(epos.Handler{}))
		lines := 0
		c.playing(func(_ int, r *http.Request) string {
			if lines++; r.Method == http.MethodPost && lines == 1 {
				return reset
			}
			return ""
		})
		_, err := c.till(epos.Handler{}).Sale(t.Context(), saleOn("VCMDEMOSIP0"))
		if !errors.Is(err, epos.ErrTerminalBusy) {
			t.Errorf("%v", err)
		}
		goOn()
		if p, err := sold(); err != nil || p.Result != epos.Successful {
			t.Errorf("%+v, %v", p, err)
		}
	})
	t.Run("a key that was revoked after a try that was lost", func(t *testing.T) {
		c := openCounter(t)
		till := c.till(epos.Handler{})
		if _, err := till.ConnectedTerminals(t.Context(), epos.Filter{}); err != nil { // it knows keys
			t.Fatal(err)
		}
		epos.GiveUpSending(till, time.Second)
		lines := 0
		c.playing(func(_ int, r *http.Request) string {
			if lines++; lines == 1 {
				return lost
			}
			r.SetBasicAuth("", "revoked")
			return ""
		})
		_, err := till.Sale(t.Context(), saleOn("VCMDEMOSIP0"))
		if unknown := doubtful(t, err); unknown.Err == nil || !strings.Contains(unknown.Error(), "401") {
			t.Errorf("%v", unknown)
		}
	})
}

// What is refused did not run, and says why in the words of the WebSocket.
func TestRESTRefusals(t *testing.T) {
	c := openCounter(t)
	till := c.till(epos.Handler{})
	sold, goOn := c.selling(t.Context(), till)
	for name, tt := range map[string]struct {
		change func(*epos.RESTOptions)
		ask    func(*epos.REST) error
		want   error
	}{
		"busy": {nil, func(r *epos.REST) error {
			_, err := r.Refund(t.Context(), epos.Refund{TID: "VCMDEMOSIP0", Amount: twelveFifty})
			return err
		}, epos.ErrTerminalBusy},
		"report on a busy one": {nil, func(r *epos.REST) error { _, err := r.ReportBanking(t.Context(), "VCMDEMOSIP0"); return err }, epos.ErrTerminalBusy},
		"no terminal":          {nil, func(r *epos.REST) error { _, err := r.Sale(t.Context(), saleOn("12345678")); return err }, epos.ErrTerminalUnavailable},
		"no terminal in v1":    {inVersion(epos.V1), func(r *epos.REST) error { _, err := r.Sale(t.Context(), saleOn("12345678")); return err }, epos.ErrTerminalUnavailable},
		"details of none":      {nil, func(r *epos.REST) error { _, err := r.TerminalDetails(t.Context(), "12345678"); return err }, epos.ErrTerminalUnavailable},
		"currency": {nil, func(r *epos.REST) error {
			_, err := r.Sale(t.Context(), epos.Sale{TID: "VCMDEMODIP0", Amount: money.Amount{Minor: 1, Currency: money.EUR}})
			return err
		}, epos.ErrRequestNotSupported},
		"amount": {nil, func(r *epos.REST) error {
			_, err := r.Sale(t.Context(), epos.Sale{TID: "VCMDEMODIP0", Amount: money.Amount{Currency: money.GBP}})
			return err
		}, epos.ErrInvalidParams},
		"pre-auth in v1": {inVersion(epos.V1), func(r *epos.REST) error {
			_, err := r.PreAuth(t.Context(), epos.PreAuth{TID: "VCMDEMODIP0", Amount: twelveFifty})
			return err
		}, epos.ErrInvalidParams},
		"nothing to repeat": {nil, func(r *epos.REST) error { _, err := r.Duplicate(t.Context(), "VCMDEMODIP0"); return err }, epos.ErrRequestNotSupported},
		"nothing to cancel": {nil, func(r *epos.REST) error { return r.Cancel(t.Context(), "VCMDEMODIP0") }, epos.ErrNoTransactionInProgress},
		"partner ids":       {func(o *epos.RESTOptions) { o.InstallerID = "" }, func(r *epos.REST) error { _, err := r.ConnectedTerminals(t.Context(), epos.Filter{}); return err }, epos.ErrInvalidParams},
	} {
		t.Run(name, func(t *testing.T) {
			change := tt.change
			if change == nil {
				change = func(*epos.RESTOptions) {}
			}
			err := tt.ask(c.till(epos.Handler{}, change))
			if certain(t, err); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
	_, err := c.till(epos.Handler{}, func(o *epos.RESTOptions) { o.Key = "M4RKED" }).Sale(t.Context(), saleOn("VCMDEMODIP0"))
	if refused, ok := errors.AsType[*epos.RefusedError](err); !ok || refused.Status != http.StatusUnauthorized || strings.Contains(err.Error(), "M4RKED") {
		t.Errorf("a wrong key: %v", err)
	}
	goOn()
	if p, err := sold(); err != nil || p.Result != epos.Successful {
		t.Errorf("%+v, %v", p, err)
	}
}

// A wish to cancel reaches the transaction that this client runs there.
func TestRESTCancel(t *testing.T) {
	for _, change := range []func(*epos.RESTOptions){inVersion(epos.V2), plain, inVersion(epos.V1), inVersion(epos.V0)} {
		c := openCounter(t)
		till := c.till(epos.Handler{}, change)
		sold := c.presenting(till)
		if err := till.Cancel(t.Context(), "vcmdemosip0"); err != nil {
			t.Error(err)
		}
		p, err := sold()
		if err != nil || p.Result != epos.Cancelled || p.MoneyTaken() != epos.TakenNo {
			t.Errorf("%+v, %v", p, err)
		}
	}

	t.Run("before the gateway has answered", func(t *testing.T) {
		c := openCounter(t)
		till := c.till(epos.Handler{})
		c.wait()
		came, again := make(chan struct{}), make(chan struct{})
		first := true
		c.playing(func(_ int, r *http.Request) string {
			if r.Method != http.MethodPost || !first {
				return ""
			}
			first = false
			close(came)
			<-again
			return ""
		})
		done := make(chan error, 1)
		go func() {
			p, err := till.Sale(t.Context(), saleOn("VCMDEMOSIP0"))
			if err == nil && p.Result != epos.Cancelled {
				err = errors.New(string(p.Result))
			}
			done <- err
		}()
		<-came
		if err := till.Cancel(t.Context(), "VCMDEMOSIP0"); err != nil {
			t.Error(err)
		}
		close(again)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})

	t.Run("by another till", func(t *testing.T) {
		c := openCounter(t)
		begun := make(chan epos.Begun, 1)
		till := c.till(epos.Handler{Begun: func(b epos.Begun) { begun <- b }})
		sold := c.presenting(till)
		other := c.till(epos.Handler{})
		if err := other.CancelAt(t.Context(), other.Location("VCMDEMOSIP0", (<-begun).RequestID)); err != nil {
			t.Error(err)
		}
		if p, err := sold(); err != nil || p.Result != epos.Cancelled {
			t.Errorf("%+v, %v", p, err)
		}
		if err := other.CancelAt(t.Context(), other.Location("VCMDEMOSIP0", "rNONE")); err == nil {
			t.Error("a wish about nothing was taken")
		}
	})
}

// shorten sets time limits of the site.
func (c *counter) shorten(limits map[string]time.Duration) {
	c.t.Helper()
	site, err := gateway.FindSite(c.t.Context(), c.store, "demo")
	if err != nil {
		c.t.Fatal(err)
	}
	site.Limits = limits
	if err := c.store.PutSite(c.t.Context(), site); err != nil {
		c.t.Fatal(err)
	}
	if err := c.g.Reload(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
}

// TIMED_OUT is no failure: nobody knows, until the truth comes late and is told.
func TestRESTLate(t *testing.T) {
	c := openCounter(t)
	c.shorten(map[string]time.Duration{spec.TimerTransaction: 50 * time.Millisecond})
	told := make(chan epos.Correction, 10)
	till := c.till(epos.Handler{Corrected: func(r epos.Correction) { told <- r }})
	begun := make(chan epos.Begun, 1)
	sold, goOn := c.selling(t.Context(), till, epos.WithHandler(epos.Handler{Begun: func(b epos.Begun) { begun <- b }}))
	p, err := sold()
	if err != nil || p.Result != epos.TimedOut || p.MoneyTaken() != epos.TakenUnknown || p.UserMessage != spec.RESTTextOutcomeUnknown {
		t.Fatalf("%+v, %v", p, err)
	}
	b := <-begun
	if s, err := till.TransactionStatusAt(t.Context(), "VCMDEMOSIP0", b.Location); err != nil || s.State != epos.Unresolved {
		t.Errorf("%+v, %v", s, err)
	}
	goOn()
	late := <-told
	if late.RequestID != b.RequestID || late.TID != "VCMDEMOSIP0" || late.Payment.Result != epos.Successful || late.Payment.TransactionID == "" {
		t.Errorf("%+v", late)
	}
	s, err := till.TransactionStatusAt(t.Context(), "VCMDEMOSIP0", b.Location)
	if err != nil || s.State != epos.Finished || s.Payment == nil || s.Payment.Result != epos.Successful {
		t.Errorf("%+v, %v", s, err)
	}
	// The call of before stands by what it said; the duplicate tells the truth.
	if again, err := till.Await(t.Context(), "VCMDEMOSIP0", b.Location); err != nil || again.Result != epos.TimedOut {
		t.Errorf("%+v, %v", again, err)
	}
	if d, err := till.Duplicate(t.Context(), "VCMDEMOSIP0"); err != nil || d.Result != epos.Successful {
		t.Errorf("%+v, %v", d, err)
	}
}

// A signature that nobody answers in time is accepted by the gateway; the till is
// not told that it was asked in vain.
func TestRESTSignatureUnanswered(t *testing.T) {
	c := openCounter(t)
	c.shorten(map[string]time.Duration{spec.TimerSignature: 50 * time.Millisecond})
	for _, change := range []func(*epos.RESTOptions){inVersion(epos.V2), plain, inVersion(epos.V1)} {
		asked := make(chan epos.SignatureRequest, 1)
		ended := make(chan struct{})
		till := c.till(epos.Handler{
			Error: func(e *epos.Error) { t.Errorf("told %v", e) },
			Signature: func(ctx context.Context, r epos.SignatureRequest) (bool, error) {
				asked <- r
				<-ctx.Done()
				close(ended)
				return false, nil
			},
		}, change)
		p, err := till.Sale(t.Context(), saleOn("VCMDEMOSIS0"))
		if err != nil || p.Result != epos.Successful || p.CVM != epos.CVMSignature {
			t.Errorf("%+v, %v", p, err)
		}
		r := <-asked
		if r.Type != epos.TypeSale || r.Timeout <= 0 || r.AuthCode == "" || !strings.HasPrefix(r.PAN, "***") {
			t.Errorf("%+v", r)
		}
		<-ended
	}
}

// Each report, in each version.
func TestRESTReports(t *testing.T) {
	c := openCounter(t)
	for _, v := range []epos.Version{epos.V2, epos.V1, epos.V0} {
		till := c.till((&account{}).handler(true), inVersion(v))
		if _, err := till.Sale(t.Context(), saleOn("VCMDEMOSIP0")); err != nil {
			t.Fatal(err)
		}
		for typ, ask := range map[epos.ReportType]func(context.Context, epos.TID, ...epos.CallOption) (epos.Report, error){
			epos.XBalance: till.ReportXBalance, epos.Banking: till.ReportBanking, epos.ZBalance: till.ReportZBalance, epos.EndOfDay: till.ReportEndOfDay,
		} {
			r, err := ask(t.Context(), "VCMDEMOSIP0")
			if err != nil || r.Type != typ || r.Result != epos.ReportComplete || r.TID != "VCMDEMOSIP0" || r.Time == "" || len(r.Lines) == 0 {
				t.Errorf("%s in %s: %+v, %v", typ, v, r, err)
			}
			if (r.Balances == nil) != (typ == epos.Banking) || (len(r.Banking) == 0) != (typ == epos.XBalance || typ == epos.ZBalance) {
				t.Errorf("%s in %s: %+v", typ, v, r)
			}
		}
	}
}

// A report that its terminal does not finish ends all the same, and one whose
// answers are lost is in doubt and can be asked for under its key.
func TestRESTReportsInDoubt(t *testing.T) {
	c := openCounter(t)
	m, _ := c.park.Machine("VCMDEMOSIP0")
	until := make(chan struct{})
	m.Script(sim.Script{Until: until})
	c.shorten(map[string]time.Duration{spec.TimerReport: 50 * time.Millisecond})
	for _, v := range []epos.Version{epos.V2, epos.V0} {
		r, err := c.till(epos.Handler{}, inVersion(v)).ReportXBalance(t.Context(), "VCMDEMOSIP0", epos.WithKey("x-1"))
		if err != nil || r.Result != epos.ReportTimedOut || r.Balances == nil {
			t.Errorf("%s: %+v, %v", v, r, err)
		}
	}
	close(until)

	till := c.till(epos.Handler{})
	epos.GiveUpLooking(till)
	c.playing(func(_ int, r *http.Request) string {
		if r.Method == http.MethodGet {
			return failing
		}
		return ""
	})
	_, err := till.ReportEndOfDay(t.Context(), "VCMDEMODIP0")
	unknown := doubtful(t, err)
	c.playing(nil)
	r, err := c.till(epos.Handler{}).ReportEndOfDay(t.Context(), "VCMDEMODIP0", epos.WithKey(unknown.Key))
	if err != nil || r.Result != epos.ReportComplete {
		t.Errorf("%+v, %v", r, err)
	}
	if n := strings.Count(strings.Join(c.requests(), "\n"), "POST reports "+unknown.Key); n != 1 {
		t.Errorf("%d requests under the key", n)
	}
}
