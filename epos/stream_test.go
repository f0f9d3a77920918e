package epos_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tillwire/tillwire/door"
	"github.com/tillwire/tillwire/epos"
	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/terminal/sim"
)

// A shop is the real gateway with simulated card machines, behind a line that can
// be cut.
type shop struct {
	t     *testing.T
	store *memory.Store
	park  *sim.Park
	line  *cutter

	limits gateway.Limits // of the gateway that is started next

	mu     sync.Mutex
	g      *gateway.Gateway
	server *httptest.Server
}

func openShop(t *testing.T) *shop {
	s := &shop{t: t, store: memory.New()}
	ctx := t.Context()
	if err := gateway.AddSite(ctx, s.store, journal.Site{ID: "demo"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := gateway.AddKey(ctx, s.store, "demo", "key", "", nil); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.park, err = sim.Open(sim.Options{Seed: 1, Speed: sim.Max}); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.line = newCutter(t, func() string {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.server.Listener.Addr().String()
	})
	t.Cleanup(func() {
		s.line.close()
		s.stop()
		if err := s.park.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// start starts a gateway on what is recorded.
func (s *shop) start() {
	s.t.Helper()
	g, err := gateway.New(s.t.Context(), gateway.Config{Store: s.store, Limits: s.limits})
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := g.Recover(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	for _, tid := range s.park.Listed() {
		m, _ := s.park.Machine(tid)
		if err := g.Plug("demo", tid, m.Connect); err != nil {
			s.t.Fatal(err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.g, s.server = g, httptest.NewServer(door.New(door.Config{Gateway: g}))
}

func (s *shop) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.g.Close()
	s.server.Config.Handler.(*door.Door).Close()
	s.server.Close()
}

func (s *shop) options(h epos.Handler) epos.Options {
	return epos.Options{
		Host: "ws://" + s.line.addr(), Key: "key", SoftwareHouseID: "S", InstallerID: "I", Stream: "till 1", Handler: h,
	}
}

func (s *shop) dial(h epos.Handler) *epos.Client {
	s.t.Helper()
	c, err := epos.Dial(s.t.Context(), s.options(h))
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// charged is how often, and how much, cards were charged for good.
func (s *shop) charged() (n int, sum money.Minor) {
	for _, c := range s.park.Charges() {
		if c.Reversed {
			continue
		}
		n++
		sum += c.Amount
	}
	return n, sum
}

// A cutter passes connections on, and cuts them at messages. It knows WebSocket
// frames well enough to count the messages, and nothing else.
type cutter struct {
	t      *testing.T
	ln     net.Listener
	to     func() string
	wg     sync.WaitGroup
	passed atomic.Int64 // messages so far, both ways
	at     atomic.Int64 // the one to cut at; 0 for none
	lose   atomic.Bool  // cut before it has passed, not after
	down   atomic.Bool  // nobody gets through

	mu   sync.Mutex
	open map[net.Conn]struct{}
}

func newCutter(t *testing.T, to func() string) *cutter {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{t: t, ln: ln, to: to, open: map[net.Conn]struct{}{}}
	c.wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			c.wg.Go(func() { c.serve(conn) })
		}
	})
	return c
}

func (c *cutter) addr() string { return c.ln.Addr().String() }

func (c *cutter) close() {
	_ = c.ln.Close()
	c.cut()
	c.wg.Wait()
}

// cut cuts all lines.
func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.open {
		_ = conn.Close()
	}
}

func (c *cutter) serve(near net.Conn) {
	defer near.Close()
	if c.down.Load() {
		return
	}
	far, err := net.Dial("tcp", c.to())
	if err != nil {
		return
	}
	defer far.Close()
	c.mu.Lock()
	c.open[near], c.open[far] = struct{}{}, struct{}{}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.open, near)
		delete(c.open, far)
	}()
	var both sync.WaitGroup
	for from, to := range map[net.Conn]net.Conn{near: far, far: near} {
		both.Go(func() {
			c.pass(to, bufio.NewReader(from))
			_ = near.Close()
			_ = far.Close()
		})
	}
	both.Wait()
}

// pass passes one direction on until it ends or is cut.
func (c *cutter) pass(to net.Conn, from *bufio.Reader) {
	for { // the handshake
		line, err := from.ReadString('\n')
		if err != nil {
			return
		}
		if _, err := io.WriteString(to, line); err != nil {
			return
		}
		if line == "\r\n" {
			break
		}
	}
	for {
		frame, err := readFrame(from)
		if err != nil {
			return
		}
		const text = 1
		cut := frame[0]&0xf == text && c.passed.Add(1) == c.at.Load()
		if cut && c.lose.Load() {
			return
		}
		if _, err := to.Write(frame); err != nil || cut {
			return
		}
	}
}

// readFrame reads one frame as it is.
func readFrame(r *bufio.Reader) ([]byte, error) {
	frame := make([]byte, 2)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, err
	}
	const masked, size16, size64 = 0x80, 126, 127
	more := func(n int) ([]byte, error) {
		at := len(frame)
		frame = append(frame, make([]byte, n)...)
		_, err := io.ReadFull(r, frame[at:])
		return frame[at:], err
	}
	size := int(frame[1] &^ masked)
	switch size {
	case size16:
		b, err := more(2)
		if err != nil {
			return nil, err
		}
		size = int(binary.BigEndian.Uint16(b))
	case size64:
		b, err := more(8)
		if err != nil {
			return nil, err
		}
		size = int(binary.BigEndian.Uint64(b))
	}
	if frame[1]&masked != 0 {
		size += 4
	}
	_, err := more(size)
	return frame, err
}

// An account is what a till has heard of one sale.
type account struct {
	mu            sync.Mutex
	notifications []epos.Notification
	errors        []string
	questions     int
}

func (a *account) handler(accept bool) epos.Handler {
	return epos.Handler{
		Notification: func(_ epos.TID, n epos.Notification) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.notifications = append(a.notifications, n)
		},
		Error: func(e *epos.Error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.errors = append(a.errors, e.Error())
		},
		Signature: func(context.Context, epos.SignatureRequest) (bool, error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.questions++
			return accept, nil
		},
	}
}

// TestStreamCutAtEachMessage cuts the line at each message of a sale, before and
// after it has passed. The sale ends as it does on a whole line, by one call, and
// the till has heard everything once and in order.
func TestStreamCutAtEachMessage(t *testing.T) {
	for _, tt := range []struct {
		name   string
		tid    epos.TID
		accept bool
		want   epos.Result
		charge int
	}{
		{"sale", "VCMDEMOSIP0", false, epos.Successful, 1},
		{"declined", "VCMDEMODIP0", false, epos.Declined, 0},
		{"signature accepted", "VCMDEMOSIS0", true, epos.Successful, 1},
		{"signature rejected", "VCMDEMOSIS0", false, epos.Void, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			whole, messages := sellOnce(t, tt.tid, tt.accept, 0, false, tt.want, tt.charge)
			if messages < 8 || len(whole.notifications) < 5 {
				t.Fatalf("%d messages, %v", messages, whole.notifications)
			}
			for at := int64(1); at <= messages; at++ {
				for _, lose := range []bool{true, false} {
					name := fmt.Sprintf("cut after %d", at)
					if lose {
						name = fmt.Sprintf("cut before %d", at)
					}
					t.Run(name, func(t *testing.T) {
						got, _ := sellOnce(t, tt.tid, tt.accept, at, lose, tt.want, tt.charge)
						if fmt.Sprint(got.notifications) != fmt.Sprint(whole.notifications) || got.questions != whole.questions || len(got.errors) > 0 {
							t.Errorf("heard %v, %d questions, errors %v\nwant  %v, %d questions", got.notifications, got.questions, got.errors, whole.notifications, whole.questions)
						}
					})
				}
			}
		})
	}
}

// sellOnce makes one sale in a shop of its own whose line is cut at a message.
func sellOnce(t *testing.T, tid epos.TID, accept bool, at int64, lose bool, want epos.Result, charges int) (*account, int64) {
	t.Helper()
	s := openShop(t)
	s.line.at.Store(at)
	s.line.lose.Store(lose)
	a := &account{}
	c := s.dial(a.handler(accept))
	defer c.Close()
	p, err := c.Sale(t.Context(), epos.Sale{TID: tid, Amount: money.Amount{Minor: 1250, Currency: money.GBP}})
	if err != nil || p.Result != want || p.TransactionID == "" {
		t.Errorf("%s, %v; want %s", p.Result, err, want)
	}
	if n, sum := s.charged(); n != charges || sum != money.Minor(charges)*1250 {
		t.Errorf("%d charges of %d in all, want %d", n, sum, charges)
	}
	if at > 0 && s.line.passed.Load() < at {
		t.Errorf("only %d messages passed", s.line.passed.Load())
	}
	passed := s.line.passed.Load()
	// The stream is as good as ever.
	if list, err := c.ConnectedTerminals(t.Context(), epos.Filter{}); err != nil || len(list) == 0 {
		t.Errorf("the terminals after it: %v, %v", list, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return &account{notifications: a.notifications, errors: a.errors, questions: a.questions}, passed
}

// hold stops the next sale on VCMDEMOSIP0 at the PIN. It returns how to go on.
func (s *shop) hold() (goOn func()) {
	m, _ := s.park.Machine("VCMDEMOSIP0")
	until := make(chan struct{})
	m.Script(sim.Script{HoldAt: sim.PINEntry, Until: until})
	goOn = sync.OnceFunc(func() { close(until) })
	s.t.Cleanup(goOn)
	return goOn
}

// TestStreamOverARestart: the gateway is killed in a sale and comes back with
// nothing of the stream. The call finds its sale by its key.
func TestStreamOverARestart(t *testing.T) {
	s := openShop(t)
	c, sold, goOn := s.begun(t.Context())
	defer c.Close()
	s.line.down.Store(true)
	s.line.cut()
	s.stop()
	s.start()
	s.line.down.Store(false)
	goOn()
	if p, err := sold(); err != nil || p.Result != epos.Successful {
		t.Errorf("%s, %v", p.Result, err)
	}
	if n, _ := s.charged(); n != 1 {
		t.Errorf("%d charges", n)
	}
}

// TestStreamRefusedWhileItRuns: a gateway that is asked too much at once, as when it
// is back, refuses messages. Of a sale that it has that says nothing.
func TestStreamRefusedWhileItRuns(t *testing.T) {
	s := openShop(t)
	c, sold, goOn := s.begun(t.Context())
	defer c.Close()
	s.line.down.Store(true)
	s.line.cut()
	s.stop()
	s.limits = gateway.Limits{MessagesPerSecond: 10, MessageBurst: 2}
	s.start()
	s.line.down.Store(false)
	goOn()
	if p, err := sold(); err != nil || p.Result != epos.Successful {
		t.Errorf("%s, %v", p.Result, err)
	}
	if n, _ := s.charged(); n != 1 {
		t.Errorf("%d charges", n)
	}
}

// begun starts a sale on VCMDEMOSIP0 that stands at the PIN when it returns.
func (s *shop) begun(ctx context.Context) (c *epos.Client, sold func() (epos.Payment, error), goOn func()) {
	goOn = s.hold()
	atPIN := make(chan struct{})
	once := sync.OnceFunc(func() { close(atPIN) })
	c = s.dial(epos.Handler{Notification: func(_ epos.TID, n epos.Notification) {
		if n == epos.PINEntry {
			once()
		}
	}})
	type end struct {
		p   epos.Payment
		err error
	}
	ended := make(chan end, 1)
	go func() {
		p, err := c.Sale(ctx, epos.Sale{TID: "VCMDEMOSIP0", Amount: money.Amount{Minor: 1250, Currency: money.GBP}})
		ended <- end{p, err}
	}()
	<-atPIN
	return c, func() (epos.Payment, error) { e := <-ended; return e.p, e.err }, goOn
}

// TestStreamOfAnEarlierRun: a till that was killed comes back under its name. The
// number of the request that it left open is not free, and no call is lost for it;
// the sale is found by its key.
func TestStreamOfAnEarlierRun(t *testing.T) {
	s := openShop(t)
	killed, sold, goOn := s.begun(t.Context())
	before := epos.NextID(killed)
	if err := killed.Close(); err != nil {
		t.Error(err)
	}
	_, err := sold()
	var unknown *epos.OutcomeUnknownError
	if !errors.As(err, &unknown) {
		t.Fatal(err)
	}
	c := s.dial(epos.Handler{Error: func(e *epos.Error) { t.Errorf("told %v", e) }})
	defer c.Close()
	epos.SetNextID(c, before-1)
	p, err := c.Sale(t.Context(), epos.Sale{TID: "VCMDEMODIP0", Amount: money.Amount{Minor: 100, Currency: money.GBP}})
	if err != nil || p.Result != epos.Declined {
		t.Errorf("%s, %v", p.Result, err)
	}
	goOn()
	p, err = c.Sale(t.Context(), epos.Sale{TID: "VCMDEMOSIP0", Amount: money.Amount{Minor: 1250, Currency: money.GBP}}, epos.WithKey(unknown.Key))
	if err != nil || p.Result != epos.Successful {
		t.Errorf("%s, %v", p.Result, err)
	}
	if n, _ := s.charged(); n != 1 {
		t.Errorf("%d charges", n)
	}
}

// TestStreamAnswerOfAnEarlierRun: the sale that a killed till left open ends while
// a sale of its next run, which had the same number first, still runs. Neither is
// taken for the other.
func TestStreamAnswerOfAnEarlierRun(t *testing.T) {
	s := openShop(t)
	killed, sold, goOn := s.begun(t.Context())
	before := epos.NextID(killed)
	if err := killed.Close(); err != nil {
		t.Error(err)
	}
	if _, err := sold(); err == nil {
		t.Fatal("a call of a closed client had an end")
	}
	other, _ := s.park.Machine("VCMDEMODIP0")
	heard := make(chan struct{})
	other.Script(sim.Script{HoldAt: sim.PINEntry, Until: heard})
	answer := fmt.Sprintf(`"id":%d,"result":`, before)
	once := sync.OnceFunc(func() { close(heard) })
	t.Cleanup(once)
	c := s.dial(epos.Handler{
		Trace: func(sent bool, message []byte) {
			if !sent && strings.Contains(string(message), answer) {
				once()
			}
		},
		Notification: func(_ epos.TID, n epos.Notification) {
			if n == epos.PINEntry {
				goOn()
			}
		},
	})
	defer c.Close()
	epos.SetNextID(c, before-1)
	p, err := c.Sale(t.Context(), epos.Sale{TID: "VCMDEMODIP0", Amount: money.Amount{Minor: 100, Currency: money.GBP}})
	if err != nil || p.Result != epos.Declined || p.AmountTotal != 100 {
		t.Errorf("%s of %d, %v", p.Result, p.AmountTotal, err)
	}
}

// TestStreamWishIsNotCarried: a wish to cancel whose line was cut is given up, and
// the sale goes on.
func TestStreamWishIsNotCarried(t *testing.T) {
	s := openShop(t)
	c, sold, goOn := s.begun(t.Context())
	defer c.Close()
	s.line.lose.Store(true)
	s.line.at.Store(s.line.passed.Load() + 1)
	if err := c.Cancel(t.Context(), "VCMDEMOSIP0"); err == nil {
		t.Error("it was carried out")
	}
	goOn()
	if p, err := sold(); err != nil || p.Result != epos.Successful {
		t.Errorf("%s, %v", p.Result, err)
	}
}

// TestStreamCallsEnd: a call ends with its context while the line is down, and
// says so of what it cannot know.
func TestStreamCallsEnd(t *testing.T) {
	s := openShop(t)
	ctx, giveUp := context.WithCancel(t.Context())
	c, sold, _ := s.begun(ctx)
	defer c.Close()
	s.line.down.Store(true)
	s.line.cut()
	giveUp()
	var unknown *epos.OutcomeUnknownError
	if _, err := sold(); !errors.As(err, &unknown) || unknown.Key == "" || !errors.Is(err, context.Canceled) {
		t.Errorf("the sale: %v", err)
	}
	if _, err := c.ConnectedTerminals(ctx, epos.Filter{}); !errors.Is(err, context.Canceled) {
		t.Errorf("another call: %v", err)
	}
}

// TestStreamTakenByAnother: of two clients with one name the newer has it, and
// the older does not come back.
func TestStreamTakenByAnother(t *testing.T) {
	s := openShop(t)
	a := s.dial(epos.Handler{})
	defer a.Close()
	b := s.dial(epos.Handler{})
	defer b.Close()
	<-a.Done()
	var closed *epos.ClosedError
	if !errors.As(a.Err(), &closed) || closed.Code != 1008 || !strings.Contains(closed.Reason, "newer") {
		t.Errorf("ended with %v", a.Err())
	}
	if _, err := a.ConnectedTerminals(t.Context(), epos.Filter{}); err == nil {
		t.Error("it still answers")
	}
	if _, err := b.ConnectedTerminals(t.Context(), epos.Filter{}); err != nil {
		t.Error(err)
	}
}

// TestStreamEnds: a revoked key is the end, and so is Close, also while the line
// is down.
func TestStreamEnds(t *testing.T) {
	s := openShop(t)
	c := s.dial(epos.Handler{})
	keys, err := s.store.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.line.down.Store(true)
	s.line.cut()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	s.line.down.Store(false)
	c = s.dial(epos.Handler{})
	if _, err := gateway.RevokeKey(t.Context(), s.store, keys[0].ID); err != nil {
		t.Fatal(err)
	}
	if err := s.g.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-c.Done()
	if err := c.Close(); err != nil || c.Err() == nil {
		t.Errorf("%v, %v", err, c.Err())
	}
}

// TestStreamOptions: a stream that cannot be asked for is a mistake.
func TestStreamOptions(t *testing.T) {
	for _, o := range []epos.Options{
		{URL: "ws://127.0.0.1:1/pac?token=k&extensions=keys", Stream: "a"},
		{URL: "ws://127.0.0.1:1/pac?token=k", Stream: "a", Plain: true},
		{URL: "ws://127.0.0.1:1/pac?token=k", Stream: "a\nb"},
		{URL: "ws://127.0.0.1:1/pac?token=k", Stream: strings.Repeat("ä", 65)},
		{URL: "ws://127.0.0.1:1/pac?token=k", Stream: "a\xff"},
	} {
		if _, err := epos.Dial(t.Context(), o); err == nil || !strings.Contains(err.Error(), "Stream") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
