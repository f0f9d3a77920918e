package rest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/rest"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
)

// The names in a world. Two card machines are played by the test; the site has
// simulated ones beside them. The other site has one card machine.
const (
	demoKey  = "demo"
	otherKey = "other-key"

	tid      = "11111111"
	nextTID  = "22222222"
	theirTID = "99999999"

	simApproves = "VCMDEMOSIP0"
	simSigns    = "VCMDEMOSIS0"
	simMute     = "VCMDEMOTIP0"
	simEuro     = "VCMDEMOSIP1"
)

// A world is the face before a gateway with the card machines of two sites.
type world struct {
	t     *testing.T
	store *counted
	park  *sim.Park
	g     *gateway.Gateway
	h     *rest.Handler
	face  http.Handler // h, with its answers judged
	cfg   rest.Config
	log   *record

	pdq, next, theirs *machine
}

// inWorld runs f in fake time.
func inWorld(t *testing.T, f func(*world)) {
	t.Helper()
	inWorldWith(t, rest.Config{}, f)
}

func inWorldWith(t *testing.T, cfg rest.Config, f func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newWorld(t, cfg)) })
}

func newWorld(t *testing.T, cfg rest.Config) *world {
	t.Helper()
	w := &world{t: t, store: &counted{Store: memory.New()}, cfg: cfg, log: &record{}, pdq: newMachine(), next: newMachine(), theirs: newMachine()}
	for _, s := range []struct {
		site journal.Site
		key  string
	}{
		{journal.Site{ID: "demo", TimeZone: "Europe/London", Simulated: "DEMO"}, demoKey},
		{journal.Site{ID: "other", TimeZone: "UTC"}, otherKey},
	} {
		if err := gateway.AddSite(t.Context(), w.store, s.site); err != nil {
			t.Fatal(err)
		}
		if _, _, err := gateway.AddKey(t.Context(), w.store, s.site.ID, s.key, "", nil); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if w.park, err = sim.Open(sim.Options{Seed: 1, Speed: 1, Zone: time.UTC}); err != nil {
		t.Fatal(err)
	}
	w.open()
	t.Cleanup(func() {
		w.h.Close()
		w.g.Close()
		if err := w.park.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return w
}

// open starts a gateway on the store, with the face before it.
func (w *world) open() {
	w.t.Helper()
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	w.g, err = gateway.New(w.t.Context(), gateway.Config{
		Store: w.store, Log: log,
		Summon: func(g *gateway.Gateway, s journal.Site, tid txn.TID) bool {
			m, ok := w.park.Machine(tid)
			return ok && s.Simulated != "" && g.Plug(s.ID, m.TID(), m.Connect) == nil
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.g.Recover(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	for _, p := range []struct {
		site    txn.SiteID
		tid     txn.TID
		connect func(terminal.Sink) terminal.Terminal
	}{{"demo", tid, w.pdq.connect}, {"demo", nextTID, w.next.connect}, {"other", theirTID, w.theirs.connect}} {
		if err := w.g.Plug(p.site, p.tid, p.connect); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, tid := range w.park.Listed() {
		m, _ := w.park.Machine(tid)
		if err := w.g.Plug("demo", m.TID(), m.Connect); err != nil {
			w.t.Fatal(err)
		}
	}
	cfg := w.cfg
	cfg.Gateway, cfg.Log = w.g, log
	w.h = rest.New(cfg)
	w.face = described().Handler(w.h)
	synctest.Wait()
}

// restart ends the gateway as it stands and starts another one on its journal.
func (w *world) restart() {
	w.t.Helper()
	w.h.Close()
	w.g.Close()
	w.open()
}

// pass lets fake time go by.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// A record keeps all that is logged.
type record struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(p)
}

// take returns what was logged since the last time.
func (r *record) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.buf.Reset()
	return r.buf.String()
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String()
}

// A counted journal counts what is written, and fails when it is told to.
type counted struct {
	journal.Store

	mu      sync.Mutex
	appends int
	err     error         // of every append
	broken  error         // of every look
	slow    time.Duration // before every append
}

func (c *counted) Append(ctx context.Context, a journal.Append) error {
	c.mu.Lock()
	c.appends++
	err, slow := c.err, c.slow
	c.mu.Unlock()
	if slow > 0 {
		time.Sleep(slow) // fake time
	}
	if err != nil {
		return err
	}
	return c.Store.Append(ctx, a)
}

func (c *counted) Healthy() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *counted) Head(ctx context.Context, s journal.Stream) (journal.Head, error) {
	c.mu.Lock()
	err := c.broken
	c.mu.Unlock()
	if err != nil {
		return journal.Head{}, err
	}
	return c.Store.Head(ctx, s)
}

func (c *counted) written() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.appends
}

func (c *counted) set(f func(*counted)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(c)
}

// A machine is a card machine that does what the test says. It takes everything,
// and knows of nothing when it is asked, unless a hook says otherwise.
type machine struct {
	caps   terminal.Capabilities
	start  func(terminal.Request) error
	cancel func(txn.RequestID) error
	sign   func(txn.RequestID, bool) error
	query  func(txn.RequestID) (terminal.Answer, error)
	last   func() (terminal.Last, error)

	mu    sync.Mutex
	sink  terminal.Sink
	calls []string
	ids   []txn.RequestID
}

func newMachine() *machine {
	return &machine{caps: terminal.Capabilities{
		Currency: money.GBP, Types: txn.RequestTypes(), Reports: report.Types(),
		Duplicate: true, Cashback: true, NotPresent: true, CancelAllowed: true,
	}}
}

func (m *machine) connect(sink terminal.Sink) terminal.Terminal {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sink = sink
	return m
}

func (m *machine) called(what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, what)
}

// heard counts the calls of that name.
func (m *machine) heard(what string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.calls {
		if c == what {
			n++
		}
	}
	return n
}

// say tells the gateway something, and waits until nothing moves.
func (m *machine) say(events ...terminal.Event) {
	m.tell(events...)
	synctest.Wait()
}

func (m *machine) tell(events ...terminal.Event) {
	m.mu.Lock()
	sink := m.sink
	m.mu.Unlock()
	for _, e := range events {
		sink(e)
	}
}

// endsIn has the machine's request end after a while.
func (m *machine) endsIn(d time.Duration, r txn.Result) {
	time.AfterFunc(d, func() { m.tell(terminal.Ended{ID: m.newest(), Outcome: outcome(r)}) }) // fake time
}

func (m *machine) Start(_ context.Context, r terminal.Request) error {
	m.called("start")
	m.mu.Lock()
	m.ids = append(m.ids, r.ID)
	m.mu.Unlock()
	if m.start == nil {
		return nil
	}
	return m.start(r)
}

func (m *machine) Cancel(_ context.Context, id txn.RequestID) error {
	m.called("cancel")
	if m.cancel == nil {
		return nil
	}
	return m.cancel(id)
}

func (m *machine) AnswerSignature(_ context.Context, id txn.RequestID, accepted bool) error {
	if accepted {
		m.called("accepted")
	} else {
		m.called("rejected")
	}
	if m.sign == nil {
		return nil
	}
	return m.sign(id, accepted)
}

func (m *machine) Query(_ context.Context, id txn.RequestID) (terminal.Answer, error) {
	m.called("query")
	if m.query == nil {
		return terminal.Answer{Kind: terminal.CannotTell}, nil
	}
	return m.query(id)
}

func (m *machine) Acknowledge(context.Context, txn.RequestID) error {
	m.called("acknowledge")
	return nil
}

func (m *machine) Last(context.Context) (terminal.Last, error) {
	if m.last == nil {
		return terminal.Last{}, terminal.ErrNoLast
	}
	return m.last()
}

func (m *machine) Capabilities() terminal.Capabilities { return m.caps }

// newest is the id of the request that it was handed last.
func (m *machine) newest() txn.RequestID {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.ids) == 0 {
		return "none was started"
	}
	return m.ids[len(m.ids)-1]
}

// shows has the machine's request go on.
func (m *machine) shows(values ...txn.Notification) {
	for _, v := range values {
		m.say(terminal.Notified{ID: m.newest(), Value: v})
	}
}

// ends has the machine's request end.
func (m *machine) ends(o txn.Outcome) { m.say(terminal.Ended{ID: m.newest(), Outcome: o}) }

// asksSignature has the machine ask the cashier.
func (m *machine) asksSignature() {
	m.say(terminal.SignatureWanted{ID: m.newest(), Wish: txn.SignatureWish{
		Type: txn.Sale, Method: txn.MethodChip, AuthCode: "789DE0", AID: "A0000000031010", Label: "VISA DEBIT", PAN: "************1234",
	}})
}

// outcome is how a sale of 12.50 ended.
func outcome(r txn.Result) txn.Outcome {
	lines := func(title string) []receipt.Line { return new(receipt.Builder).Text(title).Lines() }
	return txn.Outcome{
		Type: txn.Sale, Result: r, Currency: money.GBP, Base: 1250, TransactionID: "1000123", Number: "0042",
		Time: time.Now().UTC(), Method: txn.MethodChip, CVM: txn.CVMPIN, Scheme: "VISA", AuthCode: "789DE0",
		AID: "A0000000031010", Label: "VISA DEBIT", PAN: "************1234", PANSequence: "01", Expiry: "01/28",
		Receipts: receipt.Copies{Merchant: lines("MERCHANT COPY"), Customer: lines("CUSTOMER COPY")},
	}
}

// reported is a report as it should be.
func reported(t report.Type) report.Report {
	r := report.Report{
		Type: t, Result: report.Complete, Time: time.Now().UTC(),
		Lines: new(receipt.Builder).Text("A REPORT").Lines(),
	}
	if t != report.Banking {
		r.Balances = &report.Balances{Breakdown: report.Breakdown{Currency: money.GBP}}
	}
	return r
}

// signal is a channel that is closed once.
func signal() (wait <-chan struct{}, now func()) {
	c := make(chan struct{})
	return c, sync.OnceFunc(func() { close(c) })
}

var errTest = errors.New("the test says so")

// lines are the lines of a text without those that are empty.
func lines(s string) []string {
	return slices.DeleteFunc(strings.Split(s, "\n"), func(l string) bool { return l == "" })
}

var _ io.Writer = (*record)(nil)
