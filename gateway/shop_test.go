package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// A fake is a driver that does what the test says, right or wrong. Hooks that
// are nil take everything, and know of nothing when they are asked.
type fake struct {
	caps    terminal.Capabilities
	start   func(context.Context, terminal.Request) error
	cancel  func(context.Context, txn.RequestID) error
	answer  func(context.Context, txn.RequestID, bool) error
	query   func(context.Context, txn.RequestID) (terminal.Answer, error)
	last    func(context.Context) (terminal.Last, error)
	welcome []terminal.Event // told from within connect

	mu    sync.Mutex
	sink  terminal.Sink
	calls []string
	ids   []txn.RequestID // started
}

func newFake() *fake {
	return &fake{caps: terminal.Capabilities{
		Currency: money.GBP, Types: txn.RequestTypes(), Reports: report.Types(),
		Duplicate: true, Cashback: true, NotPresent: true, CancelAllowed: true,
	}}
}

func (f *fake) connect(sink terminal.Sink) terminal.Terminal {
	f.mu.Lock()
	f.sink = sink
	f.mu.Unlock()
	for _, e := range f.welcome {
		sink(e)
	}
	return f
}

func (f *fake) called(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, what)
}

// heard counts the calls of that name.
func (f *fake) heard(what string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.calls {
		if c == what {
			n++
		}
	}
	return n
}

// id is the newest request that was started.
func (f *fake) id() txn.RequestID {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.ids) == 0 {
		return "nothing was started"
	}
	return f.ids[len(f.ids)-1]
}

func (f *fake) say(events ...terminal.Event) {
	f.mu.Lock()
	sink := f.sink
	f.mu.Unlock()
	for _, e := range events {
		sink(e)
	}
	synctest.Wait()
}

func (f *fake) Start(ctx context.Context, r terminal.Request) error {
	f.called("start")
	f.mu.Lock()
	f.ids = append(f.ids, r.ID)
	f.mu.Unlock()
	if f.start == nil {
		return nil
	}
	return f.start(ctx, r)
}

func (f *fake) Cancel(ctx context.Context, id txn.RequestID) error {
	f.called("cancel")
	if f.cancel == nil {
		return nil
	}
	return f.cancel(ctx, id)
}

func (f *fake) AnswerSignature(ctx context.Context, id txn.RequestID, accepted bool) error {
	f.called(fmt.Sprintf("answer %t", accepted))
	if f.answer == nil {
		return nil
	}
	return f.answer(ctx, id, accepted)
}

func (f *fake) Query(ctx context.Context, id txn.RequestID) (terminal.Answer, error) {
	f.called("query")
	if f.query == nil {
		return terminal.Answer{Kind: terminal.CannotTell}, nil
	}
	return f.query(ctx, id)
}

func (f *fake) Acknowledge(_ context.Context, id txn.RequestID) error {
	f.called("acknowledge")
	f.called("acknowledge " + string(id))
	return nil
}

func (f *fake) Last(ctx context.Context) (terminal.Last, error) {
	f.called("last")
	if f.last == nil {
		return terminal.Last{}, terminal.ErrNoLast
	}
	return f.last(ctx)
}

func (f *fake) Capabilities() terminal.Capabilities { return f.caps }

// never and going are answers to a query.
func never(context.Context, txn.RequestID) (terminal.Answer, error) {
	return terminal.Answer{Kind: terminal.NeverRan}, nil
}

func going(context.Context, txn.RequestID) (terminal.Answer, error) {
	return terminal.Answer{Kind: terminal.InProgress}, nil
}

// mute waits until nobody waits for it any more.
func mute(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

var errLost = errors.New("the line is dead")

const (
	tid      = "11111111"
	otherTID = "22222222"
)

func outcome(r txn.Result) txn.Outcome {
	return txn.Outcome{
		Type: txn.Sale, Result: r, Currency: money.GBP, Base: 1250, TransactionID: "T1", Number: "0001",
		Time: time.Now(), Method: txn.MethodChip, CVM: txn.CVMPIN, PAN: "************1234",
	}
}

// A shop is one site with a gateway and fake terminals.
type shop struct {
	*world
	pdq, other *fake
}

// inShop runs f in fake time, in a shop whose journal is store.
func inShop(t *testing.T, store journal.Store, f func(s *shop)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newShop(t, store, io.Discard)) })
}

func newShop(t *testing.T, store journal.Store, log io.Writer) *shop {
	t.Helper()
	s := &shop{world: &world{t: t, store: store, tills: map[string]*till{}, check: validator()}, pdq: newFake(), other: newFake()}
	site(t, store, "demo", demoKey)
	s.open(log, gateway.Limits{})
	t.Cleanup(func() { s.g.Close() })
	return s
}

func site(t *testing.T, store journal.Store, id txn.SiteID, key string) {
	t.Helper()
	if _, err := gateway.FindSite(t.Context(), store, id); err == nil {
		return
	}
	if err := gateway.AddSite(t.Context(), store, journal.Site{ID: id, TimeZone: "UTC"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := gateway.AddKey(t.Context(), store, id, key, "", nil); err != nil {
		t.Fatal(err)
	}
}

// open starts a gateway and plugs the terminals in.
func (s *shop) open(log io.Writer, limits gateway.Limits) {
	s.t.Helper()
	var err error
	s.g, err = gateway.New(s.t.Context(), gateway.Config{
		Store: s.store, Limits: limits,
		Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.g.Recover(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.plug()
}

func (s *shop) plug() {
	s.t.Helper()
	for id, f := range map[txn.TID]*fake{tid: s.pdq, otherTID: s.other} {
		if err := s.g.Plug("demo", id, f.connect); err != nil {
			s.t.Fatal(err)
		}
	}
	synctest.Wait()
}

// says has a till send a message, and waits until nothing moves.
func (c *till) says(format string, args ...any) {
	c.sends(fmt.Sprintf(format, args...))
	synctest.Wait()
}

func (c *till) asks(id int, method, params string) {
	c.says(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":{%q:%q%s}}`, id, method, c.tidName(), tid, params)
}

func (c *till) tidName() string {
	if c.version == "v0" {
		return "tpi"
	}
	return "tid"
}

func (c *till) sale(id int) { c.asks(id, "sale", `,"currency":"GBP","amount":1250`) }

func (c *till) cancels(id int) { c.asks(id, "cancelTransaction", "") }

func (c *till) signs(id int, accepted bool) {
	c.says(`{"jsonrpc":"2.0","id":%d,"result":{"accepted":%t}}`, id, accepted)
}

// sleep lets fake time pass.
func sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// gets compares what a till was told since the last time, in words, and holds
// each message against its schema.
func (s *shop) gets(c *till, want ...string) {
	s.t.Helper()
	synctest.Wait()
	var got []string
	for _, m := range c.take() {
		s.fits(c, m)
		got = append(got, word(m))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("till %s was told (- want, + got):\n%s", c.name, diff)
	}
}

// word is a message in short.
func word(message string) string {
	var m struct {
		ID     *int   `json:"id"`
		Method string `json:"method"`
		Params struct {
			Value string `json:"notificationValue"`
		} `json:"params"`
		Result any `json:"result"`
		Error  *struct {
			Code int `json:"code"`
		} `json:"error"`
	}
	if err := json.Unmarshal([]byte(message), &m); err != nil {
		return err.Error()
	}
	id := "-"
	if m.ID != nil {
		id = fmt.Sprint(*m.ID)
	}
	switch {
	case m.Error != nil:
		return fmt.Sprintf("%s error %d", id, m.Error.Code)
	case m.Params.Value != "":
		return m.Params.Value
	case m.Method != "":
		return id + " " + m.Method
	}
	result, ok := m.Result.(map[string]any)
	if !ok {
		return id + " list"
	}
	for _, name := range []string{"transactionResult", "reportResult", "status"} {
		if v, ok := result[name]; ok {
			return fmt.Sprintf("%s %s", id, v)
		}
	}
	return fmt.Sprintf("%s %v", id, result)
}

// status is what the gateway says of the terminal.
func (s *shop) status() string {
	for _, v := range s.g.Terminals("demo") {
		if v.TID == tid {
			switch {
			case !v.Connected:
				return "away"
			case v.Busy:
				return "BUSY"
			}
			return "AVAILABLE"
		}
	}
	return "unknown"
}

func (s *shop) stands(want string) {
	s.t.Helper()
	synctest.Wait()
	if got := s.status(); got != want {
		s.t.Errorf("the terminal is %s, want %s", got, want)
	}
}

// recorded replays the only, or else the newest, transaction of the terminal.
func (s *shop) recorded() txn.Transaction {
	s.t.Helper()
	all := transactions(s.t, s.store, "demo")
	for _, t := range slices.Backward(all) {
		if t.TID == tid {
			return t
		}
	}
	return txn.Transaction{}
}

// transactions replays all transactions of a site, oldest first.
func transactions(t *testing.T, store journal.Store, site txn.SiteID) []txn.Transaction {
	t.Helper()
	heads, err := store.List(t.Context(), journal.Query{Site: site, Kind: journal.TransactionStream, Limit: 1 << 20, OldestFirst: true})
	if err != nil {
		t.Fatal(err)
	}
	var out []txn.Transaction
	for _, h := range heads {
		records, err := store.Records(t.Context(), h.Stream)
		if err != nil {
			t.Fatal(err)
		}
		tx, err := journal.ReplayTxn(records)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, tx)
	}
	return out
}

// ended compares the recorded end and what was told.
func (s *shop) ended(result txn.Result, told txn.Told) {
	s.t.Helper()
	synctest.Wait()
	got := s.recorded()
	if got.State != txn.Finished || got.Outcome == nil || got.Outcome.Result != result || got.Told != told {
		s.t.Errorf("recorded %s, outcome %+v, not run %q, told %q; want %s, told %q", got.State, got.Outcome, got.NotRun, got.Told, result, told)
	}
}

func (s *shop) notRun(reason txn.Reason, told txn.Told) {
	s.t.Helper()
	synctest.Wait()
	got := s.recorded()
	if got.State != txn.Finished || got.NotRun != reason || got.Told != told {
		s.t.Errorf("recorded %s, outcome %+v, not run %q, told %q; want not run %q, told %q", got.State, got.Outcome, got.NotRun, got.Told, reason, told)
	}
}

func (s *shop) heads(kind journal.StreamKind) []journal.Head {
	s.t.Helper()
	heads, err := s.store.List(s.t.Context(), journal.Query{Kind: kind})
	if err != nil {
		s.t.Fatal(err)
	}
	return heads
}

// terminalHeard compares how often the terminal was told something.
func (s *shop) terminalHeard(f *fake, what string, want int) {
	s.t.Helper()
	synctest.Wait()
	if got := f.heard(what); got != want {
		s.t.Errorf("the terminal heard %q %d times, want %d; all: %s", what, got, want, strings.Join(f.calls, ", "))
	}
}
