package gateway_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
)

var visits = flag.Int("visits", 300, "how many random visits TestRandomVisits pays for")

// visitsADay is how many visits share one restaurant and its mishaps.
const visitsADay = 10

// TestRandomVisits has waiters serve tables on evenings on which everything
// goes wrong that can: tills drop, die, answer late, wrongly or not at all and
// push each other off; links are cut, machines lose power, the disk fails, the
// gateway is restarted. In the end all is put right; then the till has booked
// what the cards were charged, once each, and no table is locked but those that
// an operator must see.
func TestRandomVisits(t *testing.T) {
	var sum count
	for i := range (*visits + visitsADay - 1) / visitsADay {
		n := *seed + uint64(i)
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(n, 1))
			e := newRestaurant(t, r, n, r.IntN(2) == 0, r.IntN(2) == 0)
			defer e.leave()
			for range 15 * visitsADay {
				e.step()
			}
			e.close()
			sum.add(e.count)
			if t.Failed() {
				t.Fatalf("seed %d; again by -seed %d -visits 1:\n%s", n, n, strings.Join(e.diary, "\n"))
			}
		})
		if t.Failed() {
			return
		}
	}
	fmt.Printf("seeds from %d: %+v\n", *seed, sum) // shown where somebody asks for it
	if *visits >= 300 && (sum.Paid == 0 || sum.Again == 0 || sum.Takeovers == 0 || sum.Late == 0 || sum.Unlocks == 0) {
		t.Errorf("nothing of a kind happened: %+v", sum)
	}
}

// A count is what happened on some evenings.
type count struct {
	Visits, Payments, Paid, Again, Unlocks, Late, Takeovers, Drops, Deaths, Restarts, Cuts, PowerCycles, Unresolved int
}

func (c *count) add(o count) {
	c.Visits += o.Visits
	c.Payments += o.Payments
	c.Paid += o.Paid
	c.Again += o.Again
	c.Unlocks += o.Unlocks
	c.Late += o.Late
	c.Takeovers += o.Takeovers
	c.Drops += o.Drops
	c.Deaths += o.Deaths
	c.Restarts += o.Restarts
	c.Cuts += o.Cuts
	c.PowerCycles += o.PowerCycles
	c.Unresolved += o.Unresolved
}

// A restaurant is an evening: a gateway, its machines and a till.
type restaurant struct {
	*world
	r       *rand.Rand
	seed    uint64
	disk    *faulty
	epos    *tables
	conns   int
	live    *patConn           // the newest; nil when it was dropped
	running map[string]waiting // by terminal
	reports int

	diaryMu sync.Mutex
	diary   []string
	count   count
}

// visitTIDs are the machines. The last one falls mute with the card in it, and
// never knows what became of that: its visits are for an operator.
var visitTIDs = []string{"VCMDEMOSIP0", "VCMDEMOSCD0", "VCMDEMOSIS0", "VCMDEMOTIP0"}

func newRestaurant(t *testing.T, r *rand.Rand, seed uint64, acks, final bool) *restaurant {
	t.Helper()
	e := &restaurant{seed: seed, disk: newFaulty(), r: r, running: map[string]waiting{}}
	e.world = newWorld(t, e.disk, sim.Options{Seed: seed, Speed: 1})
	e.epos = newTables(e)
	e.epos.acks, e.epos.final = acks, final
	e.note("acks %t, final %t", acks, final)
	e.come()
	return e
}

func (e *restaurant) note(format string, args ...any) {
	e.diaryMu.Lock()
	defer e.diaryMu.Unlock()
	e.diary = append(e.diary, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// come has the till open a connection. One that was open is pushed off.
func (e *restaurant) come() {
	e.conns++
	if e.live != nil && !e.live.over() {
		e.epos.counted(func(c *count) { c.Takeovers++ })
	}
	e.live = e.epos.dial(e.g, rand.New(rand.NewPCG(e.seed, 100+uint64(e.conns))), fmt.Sprintf("conn%d", e.conns))
}

// serve has a waiter begin a visit at the machine, if none is there.
func (e *restaurant) serve(tid string) {
	if _, ok := e.running[tid]; ok || tid == visitTIDs[3] && e.r.IntN(4) > 0 {
		return
	}
	r := e.r
	v := sim.Visit{
		Waiter: table.WaiterID(pick(r, "", "3", "14")), Table: table.TableID(pick(r, tableNames...)), ByName: r.IntN(4) == 0,
		PrintBill: r.IntN(3) == 0, Split: r.IntN(4), DeclineFirst: r.IntN(6) == 0, Contactless: r.IntN(4) == 0, Signature: r.IntN(6) == 0,
	}
	switch r.IntN(6) {
	case 0:
		v.Tip.Percent = 10
	case 1:
		v.Tip = sim.Tip{Amount: 250, Each: true}
	case 2:
		v.Tip = sim.Tip{Amount: 99_999_000, Each: true}
	}
	if r.IntN(4) == 0 {
		v.Amount = 700
	}
	if r.IntN(5) == 0 {
		v.CancelAt = pick(r, sim.CancelSteps()...)
	}
	for range r.IntN(3) {
		v.Pay = append(v.Pay, sim.Card{Script: sim.Script{Result: pick(r, txn.Result(""), txn.Successful, txn.Declined, txn.Void, txn.Cancelled, txn.Unsuccessful)}})
	}
	e.begin(tid, v)
}

// begin has a waiter do v.
func (e *restaurant) begin(tid string, v sim.Visit) {
	e.count.Visits++
	e.note("%s: visit %+v", tid, v)
	ctx, cancel := context.WithCancel(e.ctx)
	w := waiting{walk: cancel, done: make(chan struct{})}
	e.running[tid] = w
	m := e.machine(tid)
	e.wg.Go(func() {
		defer close(w.done)
		res, err := m.Visit(ctx, v, nil)
		e.note("%s: visit %s over: %s, paid %d, %v", tid, res.ID, res.End, res.Paid, err)
	})
}

// A waiting is a waiter at a machine.
type waiting struct {
	walk context.CancelFunc // has the waiter walk off
	done chan struct{}      // closed when the waiter is gone
}

func (e *restaurant) step() {
	if e.live.over() && e.r.IntN(3) > 0 {
		e.come()
	}
	tid := pick(e.r, visitTIDs...)
	switch n := e.r.IntN(100); {
	case n < 22:
		if e.count.Visits < visitsADay {
			e.serve(tid)
		}
	case n < 24:
		e.note("drop")
		e.count.Drops++
		e.live.drop(pick(e.r, 0, 0, time.Second, 40*time.Second))
	case n < 29:
		e.come()
	case n < 31:
		e.note("cut %s", tid)
		e.count.Cuts++
		e.machine(tid).CutLink()
	case n < 35:
		e.note("restore %s", tid)
		e.machine(tid).RestoreLink()
	case n < 36:
		e.note("power %s", tid)
		e.count.PowerCycles++
		if err := e.machine(tid).PowerCycle(); err != nil {
			e.t.Fatal(err)
		}
	case n < 37:
		e.restart()
	case n < 38:
		m := e.machine(tid)
		e.wg.Go(func() {
			if _, err := m.Report(e.ctx, report.XBalance); err == nil {
				e.epos.mu.Lock()
				e.reports++
				e.epos.mu.Unlock()
			}
		})
	case n < 41:
		kind := pick(e.r, "well", "well", "well", "well", "well", "full", "slow", "uncertain, and kept", "uncertain, and not kept", "mute")
		e.note("the disk is %s", kind)
		e.disk.set(diskFault(kind))
	case n < 42:
		if w, ok := e.running[tid]; ok {
			e.note("%s: the waiter walks off", tid)
			w.walk()
		}
	default:
		span := pick(e.r, 0, 200*time.Millisecond, time.Second, 3*time.Second, 3*time.Second, 5*time.Second, 8*time.Second, 8*time.Second, 20*time.Second, 40*time.Second)
		e.note("wait %s", span)
		sleep(span)
	}
	if e.r.IntN(3) > 0 { // else the next step meets things on their way
		synctest.Wait()
	}
	for tid, gone := range e.running {
		select {
		case <-gone.done:
			delete(e.running, tid)
		default:
		}
	}
}

func (e *restaurant) restart() {
	e.note("the gateway is restarted")
	e.count.Restarts++
	e.disk.set(nil, nil)
	e.g.Close()
	e.start(gateway.Limits{})
	if e.r.IntN(2) == 0 {
		e.come()
	}
}

// close puts everything right and sees whether it adds up.
func (e *restaurant) close() {
	e.note("closing time")
	e.disk.set(nil, nil)
	for _, tid := range visitTIDs {
		e.machine(tid).RestoreLink()
	}
	e.epos.behave()
	sleep(3 * time.Minute)
	e.come()
	sleep(20 * time.Minute)
	e.addsUp()
}

// leave ends what still runs, so that nothing outlives the evening.
func (e *restaurant) leave() {
	for _, w := range e.running {
		w.walk()
	}
	e.epos.behave()
	if e.live != nil {
		e.live.drop(0)
	}
	sleep(5 * time.Minute)
	e.epos.wg.Wait()
}

// addsUp holds the till's books against the acquirer's and the journal.
func (e *restaurant) addsUp() {
	t := e.t
	e.epos.mu.Lock()
	defer e.epos.mu.Unlock()
	charged := map[string]int64{}
	for _, c := range e.park.Charges() {
		if c.Reversed || c.Payment == "" {
			continue
		}
		charged[string(c.Payment)] += int64(c.Amount)
	}
	for id, amount := range charged {
		if b, ok := e.epos.booked[id]; !ok || b.total != amount {
			t.Errorf("the card paid %d with payment %s; booked: %+v", amount, id, b)
		}
	}
	for id, b := range e.epos.booked {
		if _, ok := charged[id]; !ok {
			t.Errorf("booked, and no card was charged: %s %+v", id, b)
		}
	}
	e.count.Payments, e.count.Paid = len(charged), len(e.epos.booked)
	e.count.add(e.epos.count)

	unresolved := map[string]bool{}
	for _, v := range recordedVisits(t, e.disk) {
		e.orderly(v)
		switch {
		case v.State == table.Unresolved:
			unresolved[string(v.Table)] = true
			e.count.Unresolved++
			if v.TID != visitTIDs[3] {
				t.Errorf("visit %s is unresolved, and its machine knows what became of it", v.ID)
			}
			t.Logf("seed %d: visit %s to table %s at %s is unresolved", e.seed, v.ID, v.Table, v.TID)
		case !v.Done():
			t.Errorf("visit %s at %s to table %q stands as %s, outbox %+v", v.ID, v.TID, v.Table, v.State, v.Outbox)
		}
		for _, p := range v.Payments {
			if p.Conflict != nil {
				t.Errorf("payment %s has a conflict: %+v", p.ID, p.Conflict)
			}
			if _, ok := charged[string(p.ID)]; ok != (p.State == table.Taken) {
				t.Errorf("payment %s is recorded as %s; charged: %t", p.ID, p.State, ok)
			}
		}
	}
	for name, tb := range e.epos.tables {
		if tb.holder != "" && !unresolved[name] {
			t.Errorf("table %q is still locked by %s", name, tb.holder)
		}
	}
	for _, v := range e.g.Terminals("demo") {
		if v.Busy || !v.Connected {
			t.Errorf("%s: connected %t, busy %t", v.TID, v.Connected, v.Busy)
		}
	}
	if got := len(e.epos.reports); got != e.reports {
		t.Errorf("the till has %d reports, %d were made", got, e.reports)
	}
	heads, err := e.disk.List(t.Context(), journal.Query{Kind: journal.OrphanStream})
	if err != nil || len(heads) > 0 {
		t.Errorf("orphans: %+v, %v", heads, err)
	}
	verify(t, e.disk)
	if err := e.g.Drain(t.Context()); err != nil { // a work that was forgotten would hold it
		t.Error(err)
	}
}

// orderly checks that nothing is in the outbox behind the unlock but money that
// was learned of after it, and that the till saw it so.
func (e *restaurant) orderly(v table.Visit) {
	unlocked := false
	for _, en := range v.Outbox {
		switch en.Notice {
		case table.TableUnlock:
			unlocked = true
		case table.TransactionResponse:
			for _, p := range en.Payments {
				if late := slices.Contains(e.epos.late, string(p)); late && !unlocked {
					e.t.Errorf("payment %s of visit %s came when its table was not locked, and was in the outbox before the unlock", p, v.ID)
				}
			}
		}
	}
}

// recordedVisits replays all visits of the journal.
func recordedVisits(t *testing.T, store journal.Store) []table.Visit {
	t.Helper()
	heads, err := store.List(t.Context(), journal.Query{Kind: journal.VisitStream, Limit: 1 << 20, OldestFirst: true})
	if err != nil {
		t.Fatal(err)
	}
	var out []table.Visit
	for _, h := range heads {
		records, err := store.Records(t.Context(), h.Stream)
		if err != nil {
			t.Fatal(err)
		}
		v, err := journal.ReplayTable(records)
		if err != nil {
			t.Fatal(err)
		}
		if h.Open == v.Done() || h.State != string(v.State) {
			t.Errorf("visit %s: its head says %s, open %t; its records %s, done %t", v.ID, h.State, h.Open, v.State, v.Done())
		}
		out = append(out, v)
	}
	return out
}

var tableNames = []string{"12", "14", "Bar 2", "Ünï/\"7\"\\", strings.Repeat("W", 64)}

// A tables is a till that keeps its tables over all its connections. It books
// what is new to it, by paymentId.
type tables struct {
	e     *restaurant
	acks  bool
	final bool
	wg    sync.WaitGroup

	mu      sync.Mutex
	calm    bool
	mute    bool // about locks: they are taken, and not a word is said
	tables  map[string]*openTable
	booked  map[string]booking
	late    []string // payments that came when their table was not locked by their terminal
	reports map[string]bool
	count   count
}

type openTable struct {
	due    int64
	holder string
}

type booking struct{ paid, total int64 }

func newTables(e *restaurant) *tables {
	m := &tables{e: e, tables: map[string]*openTable{}, booked: map[string]booking{}, reports: map[string]bool{}}
	for i, name := range tableNames {
		m.tables[name] = &openTable{due: int64(1000 + 777*i)}
	}
	return m
}

// behave ends the mishaps of the till.
func (m *tables) behave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calm = true
}

func (m *tables) counted(f func(*count)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(&m.count)
}

// A patConn is one connection of the till. What arrives is read in its order; a
// pong goes out when all before it was read.
type patConn struct {
	till *tables
	like *till // for the schemas
	name string
	sess *gateway.Session
	r    *rand.Rand

	mu    sync.Mutex
	inbox []any // a message, or what a pong calls
	wake  chan struct{}
	dead  chan struct{}
	ended sync.Once
}

func (m *tables) dial(g *gateway.Gateway, r *rand.Rand, name string) *patConn {
	t := m.e.t
	t.Helper()
	query := pacQuery(demoKey, "v1")
	if m.acks {
		query.Set("extensions", "acks")
	}
	// The flag changes from one connection to the next where anybody wants it.
	if m.final && r.IntN(3) > 0 {
		query.Set("final-pos-receipt-request", "")
	}
	ticket, err := g.Admit(gateway.Knock{Face: "pat", Query: query})
	if err != nil {
		t.Fatal(err)
	}
	c := &patConn{
		till: m, like: &till{name: name, face: "pat", version: "v1"}, name: name, r: r,
		wake: make(chan struct{}, 1), dead: make(chan struct{}),
	}
	m.e.note("%s connects, final %t", name, query.Has("final-pos-receipt-request"))
	if c.sess, err = ticket.Open(c); err != nil {
		t.Fatal(err)
	}
	m.wg.Go(c.read)
	return c
}

func (c *patConn) put(item any) {
	c.mu.Lock()
	c.inbox = append(c.inbox, item)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *patConn) Send(m []byte) error {
	c.put(string(m))
	return nil
}

func (c *patConn) Ping(answered func()) error {
	c.put(answered)
	return nil
}

func (c *patConn) Close(int, string) error {
	c.drop(time.Duration(0))
	return nil
}

func (c *patConn) RemoteAddr() string { return c.name }

func (c *patConn) over() bool {
	select {
	case <-c.dead:
		return true
	default:
		return false
	}
}

// drop ends the connection; the gateway learns of it after a while.
func (c *patConn) drop(noticed time.Duration) {
	c.ended.Do(func() {
		close(c.dead)
		c.till.wg.Go(func() {
			time.Sleep(noticed) // fake time: a synctest bubble
			c.sess.Ended(nil)
		})
	})
}

// die is the end of the till's process: what was not on its disk is gone.
func (c *patConn) die() {
	c.till.counted(func(n *count) { n.Deaths++ })
	c.till.e.note("%s: the till dies", c.name)
	c.drop(time.Second)
}

func (c *patConn) read() {
	for {
		c.mu.Lock()
		var item any
		if len(c.inbox) > 0 {
			item, c.inbox = c.inbox[0], c.inbox[1:]
		}
		c.mu.Unlock()
		if item == nil {
			select {
			case <-c.wake:
				continue
			case <-c.dead:
				return
			}
		}
		if c.over() {
			return
		}
		switch item := item.(type) {
		case func():
			item()
		case string:
			c.till.e.fits(c.like, item)
			c.handle(item)
		}
	}
}

// mishap draws what goes wrong: 0 is nothing.
func (c *patConn) mishap(most int) int {
	c.till.mu.Lock()
	calm := c.till.calm
	c.till.mu.Unlock()
	if n := c.r.IntN(most * 7); !calm && n <= most {
		return n
	}
	return 0
}

// pause lets time pass while the till does something, and reports whether the
// connection lived through it.
func (c *patConn) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return !c.over()
	case <-c.dead:
		return false
	}
}

type patMessage struct {
	ID     *int   `json:"id"`
	Method string `json:"method"`
	Params struct {
		TID        string `json:"tid"`
		WaiterID   string `json:"waiterId"`
		TableID    string `json:"tableId"`
		ReportType string `json:"reportType"`
		ReportTime string `json:"reportTime"`
		Payments   []struct {
			ID       string `json:"paymentId"`
			Paid     int64  `json:"amountPaid"`
			Cashback int64  `json:"amountCashback"`
			Gratuity int64  `json:"amountGratuity"`
		} `json:"payments"`
	} `json:"params"`
	Error *struct {
		Code int `json:"code"`
	} `json:"error"`
}

func (c *patConn) says(format string, args ...any) {
	if c.over() {
		return
	}
	c.till.e.note("%s> "+format, append([]any{c.name}, args...)...)
	c.sess.Receive(fmt.Appendf(nil, format, args...))
}

func (c *patConn) result(id int, result string) {
	c.says(`{"jsonrpc":"2.0","id":%d,"result":%s}`, id, result)
}

func (c *patConn) handle(text string) {
	var m patMessage
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		c.till.e.t.Errorf("%s: %v", text, err)
		return
	}
	c.till.e.note("%s< %s", c.name, text[:min(len(text), 160)])
	if m.Error != nil {
		return
	}
	switch c.mishap(12) { // of any message
	case 1:
		c.pause(500 * time.Millisecond)
	case 2:
		c.pause(4 * time.Second)
	case 3: // gone before it did anything with it
		if c.till.acks || m.ID != nil {
			c.die()
			return
		}
	}
	switch m.Method {
	case "tableListRequest":
		c.list(m)
	case "tableLockRequest":
		c.lock(m)
	case "posReceiptRequest", "finalPOSReceiptRequest":
		c.receipt(m)
	case "transactionResponse", "tableUnlock", "reportResponse":
		c.notice(m)
	default:
		c.till.e.t.Errorf("%s was asked %s", c.name, text)
	}
}

func (c *patConn) list(m patMessage) {
	c.till.mu.Lock()
	var names []string
	for _, name := range slices.Sorted(maps.Keys(c.till.tables)) {
		tb := c.till.tables[name]
		if tb.holder == "" {
			if tb.due == 0 {
				tb.due = 2345 // new guests
			}
			names = append(names, name)
		}
	}
	c.till.mu.Unlock()
	data, err := json.Marshal(names)
	if err != nil {
		c.till.e.t.Error(err)
	}
	switch c.mishap(5) {
	case 1:
		return
	case 2:
		c.says(`{"jsonrpc":"2.0","id":%d,"error":{"code":-32000,"message":"no"}}`, *m.ID)
	default:
		c.result(*m.ID, fmt.Sprintf(`{"tableIds":%s,"currency":"GBP"}`, string(data)))
	}
}

// take locks the table if it is free, and returns the answer.
func (m *tables) take(p patMessage) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	tb := m.tables[p.Params.TableID]
	if tb == nil || tb.holder != "" || tb.due == 0 {
		return `{"confirmed":false}`
	}
	tb.holder = p.Params.TID
	return fmt.Sprintf(`{"confirmed":true,"amount":%d,"currency":"GBP"}`, tb.due)
}

func (c *patConn) lock(m patMessage) {
	id := *m.ID
	c.till.mu.Lock()
	mute := c.till.mute
	c.till.mu.Unlock()
	if mute {
		c.till.take(m)
		return
	}
	later := func(d time.Duration, f func()) {
		c.till.wg.Go(func() {
			if c.pause(d) {
				f()
			}
		})
	}
	switch c.mishap(10) {
	case 1:
		c.result(id, `{"confirmed":false}`)
	case 2:
		c.till.take(m)
		c.says(`{"jsonrpc":"2.0","id":%d,"error":{"code":-32000,"message":"no"}}`, id)
	case 3:
		c.till.take(m) // and not a word
	case 4:
		c.till.take(m)
		c.die()
	case 5: // locked at once, told late
		answer := c.till.take(m)
		later(time.Duration(8+c.r.IntN(6))*time.Second, func() { c.result(id, answer) })
	case 6: // locked late, and told at once
		c.till.counted(func(n *count) { n.Late++ })
		later(time.Duration(9+c.r.IntN(5))*time.Second, func() { c.result(id, c.till.take(m)) })
	case 7:
		answer := c.till.take(m)
		c.result(id, `{"confirmed":true}`)
		c.result(id, answer)
		c.result(id, answer)
	case 8: // says one thing and means the other
		answer := c.till.take(m)
		c.result(id+1000, answer)
	default:
		c.result(id, c.till.take(m))
	}
}

func (c *patConn) receipt(m patMessage) {
	switch c.mishap(6) {
	case 1:
	case 2:
		c.result(*m.ID, `{"receiptLines":[{"type":"QR","value":""}]}`)
	default:
		c.result(*m.ID, `{"receiptLines":[{"type":"TEXT","value":"TOTAL"}]}`)
	}
}

// notice books, unlocks or files, and says so where that is wanted.
func (c *patConn) notice(m patMessage) {
	if m.ID == nil {
		c.till.keep(m)
		if c.mishap(2) == 1 { // it has it, and the pong is lost
			c.drop(time.Second)
		}
		return
	}
	switch c.mishap(8) {
	case 1:
		c.result(*m.ID, `{"recorded":false}`)
	case 2:
		c.till.keep(m)
		c.die()
	case 3:
		c.till.keep(m)
		c.pause(31 * time.Second)
		c.result(*m.ID, `{"recorded":true}`)
	case 4:
		c.result(*m.ID, `{"recorded":"yes"}`)
	case 5:
		c.says(`{"jsonrpc":"2.0","id":%d,"error":{"code":-32000,"message":"no"}}`, *m.ID)
	default:
		c.till.keep(m)
		c.result(*m.ID, `{"recorded":true}`)
	}
}

func (m *tables) keep(n patMessage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	tb := m.tables[n.Params.TableID]
	switch n.Method {
	case "reportResponse":
		m.reports[n.Params.TID+n.Params.ReportType+n.Params.ReportTime] = true
	case "tableUnlock":
		if tb.holder == n.Params.TID { // what another terminal holds stays locked
			tb.holder = ""
			m.count.Unlocks++
		}
	case "transactionResponse":
		for _, p := range n.Params.Payments {
			b := booking{p.Paid, p.Paid + p.Cashback + p.Gratuity}
			if was, ok := m.booked[p.ID]; ok {
				m.count.Again++
				if was != b {
					m.e.t.Errorf("payment %s came as %+v and as %+v", p.ID, was, b)
				}
				continue
			}
			if tb.holder != n.Params.TID {
				m.late = append(m.late, p.ID)
			}
			m.booked[p.ID] = b
			if tb.due -= p.Paid; tb.due < 0 {
				m.e.t.Errorf("payment %s paid more than table %q owed", p.ID, n.Params.TableID)
			}
		}
	}
}
