package gateway_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
)

var (
	lives = flag.Int("lives", 60, "how many random days TestRandomDays lives through")
	seed  = flag.Uint64("seed", 1, "the seed of the first of them")
)

// TestRandomDays lives through days in a shop in which everything goes wrong
// that can: tills come and go, links are cut, machines lose power, a dozen of the
// simulator's scenarios happen, the disk is full or slow or says nothing, the
// gateway is restarted, in any order. In the evening all is put right, and
// everything must add up. Over all days each scenario has its turn.
func TestRandomDays(t *testing.T) {
	staged := map[string]int{}
	for i := range *lives {
		n := *seed + uint64(i)
		synctest.Test(t, func(t *testing.T) {
			d := newDay(t, n, false)
			for range 40 {
				d.step()
				d.read()
			}
			d.evening()
			for name, n := range d.staged {
				staged[name] += n
			}
			if t.Failed() {
				t.Fatalf("seed %d; again by -seed %d -lives 1:\n%s", n, n, strings.Join(d.diary, "\n"))
			}
		})
		if t.Failed() {
			return
		}
	}
	if all := len(spec.Default().Scenarios().Scenarios); *lives >= 60 && len(staged) < all*2/3 {
		t.Errorf("of %d scenarios only %d were chosen: %v", all, len(staged), staged)
	}
}

// TestRandomDaysWithKeys is the same for tills that give keys to their requests
// and send them again whenever they like, from whatever connection: whatever
// goes wrong, no request is run twice, and every try is told the same truth.
func TestRandomDaysWithKeys(t *testing.T) {
	again, joined := 0, 0
	for i := range *lives {
		n := *seed + uint64(i)
		synctest.Test(t, func(t *testing.T) {
			d := newDay(t, n, true)
			for range 60 {
				d.step()
				d.read()
			}
			d.evening()
			again, joined = again+d.again, joined+d.sameEnd
			if t.Failed() {
				t.Fatalf("seed %d; again by -seed %d -lives 1:\n%s", n, n, strings.Join(d.diary, "\n"))
			}
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("%d requests were sent again, %d of them shared an end", again, joined)
	if *lives >= 60 && (again < 100 || joined < 50) {
		t.Errorf("only %d requests were sent again, and only %d of them shared an end", again, joined)
	}
}

// A day is a shop and what happened in it.
type day struct {
	*world
	r     *rand.Rand
	disk  *faulty
	diary []string
	tills []*dayTill
	all   []*asked
	cut   map[string]bool
	last  int // amount, no two alike but those under one key

	scenarios []spec.Scenario // what can happen at the machines this day
	staged    map[string]int  // how often they were chosen

	keys      bool // the tills use request keys
	again     int  // requests that were sent once more
	sameEnd   int  // of those, how many had the end of another one
	corrected map[string]string
}

// An asked is a request of a till.
type asked struct {
	method, tid string
	amount      int
	answer      string    // in words
	at          time.Time // of the answer
}

type dayTill struct {
	*till
	next    int
	pending map[int]*asked
	signs   []int // questions that are not answered
	gone    bool
}

var dayTIDs = []string{"VCMDEMOSIP0", "VCMDEMODIP0", "VCMDEMOSIS0", "VCMDEMOSCD0", "VCMDEMOTIP0", "VCMDEMOVIS0"}

func newDay(t *testing.T, seed uint64, keys bool) *day {
	disk := newFaulty()
	d := &day{
		world: newWorld(t, disk, sim.Options{Seed: seed, Speed: 1}), disk: disk,
		r: rand.New(rand.NewPCG(seed, 0)), cut: map[string]bool{}, last: 1000, keys: keys, corrected: map[string]string{},
		staged: map[string]int{},
	}
	all := spec.Default().Scenarios().Scenarios
	for _, i := range d.r.Perm(len(all))[:12] {
		d.scenarios = append(d.scenarios, all[i])
		d.note("a day of %s", all[i].Name)
	}
	d.come("v1")
	for _, id := range dayTIDs { // a machine that has done nothing yet cannot tell what it never saw
		d.machine(id).Script(sim.Script{Result: txn.Declined, CVM: txn.CVMPIN})
		d.ask(d.tills[0], "sale", id)
	}
	sleep(time.Minute)
	d.read()
	d.come("v0")
	d.come("v1")
	return d
}

func (d *day) note(format string, args ...any) {
	d.diary = append(d.diary, time.Now().Format("15:04:05 ")+fmt.Sprintf(format, args...))
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

func (d *day) come(version string) {
	var flags []string
	if d.keys {
		flags = []string{"ext=keys,status,late,errors"}
	}
	c := &dayTill{till: d.connect(fmt.Sprintf("till%d", len(d.tills)), version, flags...), next: 1, pending: map[int]*asked{}}
	d.tills = append(d.tills, c)
	d.note("%s comes, %s", c.name, version)
}

// open returns some till that is there, or nil.
func (d *day) open() *dayTill {
	var open []*dayTill
	for _, c := range d.tills {
		if !c.gone {
			open = append(open, c)
		}
	}
	if len(open) == 0 {
		return nil
	}
	return pick(d.r, open...)
}

func (d *day) leave(c *dayTill) {
	c.gone = true
	c.sess.Ended(nil)
}

// ask sends a request under an id of its own.
func (d *day) ask(c *dayTill, method, tid string) {
	a := &asked{method: method, tid: tid}
	params := fmt.Sprintf(`{%q:%q}`, c.tidName(), tid)
	switch method {
	case "sale", "refund", "preAuth":
		if old := d.earlier(c); old != nil {
			d.again++
			*a = asked{method: old.method, tid: old.tid, amount: old.amount}
			method, tid = old.method, old.tid
		} else {
			d.last++
			a.amount = d.last
		}
		params = fmt.Sprintf(`{%q:%q,"currency":"GBP","amount":%d%s}`, c.tidName(), tid, a.amount, d.key(a))
	case "terminalsDetails":
		params = fmt.Sprintf(`{"tpis":[%q]}`, tid)
	}
	id := c.next
	c.next++
	c.pending[id] = a
	d.all = append(d.all, a)
	d.note("%s> %d %s %s %d", c.name, id, method, tid, a.amount)
	c.sends(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`, id, method, params))
}

// key is the member with the request's key: there is one for each amount.
func (d *day) key(a *asked) string {
	if !d.keys {
		return ""
	}
	return fmt.Sprintf(`,"requestKey":"key %d"`, a.amount)
}

// earlier is, now and then, a request that the till could send again.
func (d *day) earlier(c *dayTill) *asked {
	if !d.keys || d.r.IntN(2) == 0 {
		return nil
	}
	var all []*asked
	for _, a := range d.all[max(len(d.all)-12, 0):] {
		if a.amount > 0 && (c.version == "v1" || a.method != "preAuth") {
			all = append(all, a)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return pick(d.r, all...)
}

func (d *day) step() {
	tid := pick(d.r, dayTIDs...)
	c := d.open()
	if c == nil {
		d.come(pick(d.r, "v0", "v1"))
		return
	}
	details := map[string]string{"v0": "terminalsDetails", "v1": "terminalDetails"}[c.version]
	switch n := d.r.IntN(100); {
	case n < 25:
		methods := []string{"sale", "sale", "refund"}
		if c.version == "v1" {
			methods = append(methods, "preAuth")
		}
		d.ask(c, pick(d.r, methods...), tid)
	case n < 30:
		d.ask(c, pick(d.r, "reportXBalance", "reportBanking", "reportZBalance"), tid)
	case n < 40:
		d.ask(c, "cancelTransaction", tid)
	case n < 50:
		if len(c.signs) > 0 {
			id, yes := c.signs[0], d.r.IntN(2) == 0
			c.signs = c.signs[1:]
			d.note("%s answers %d: %t", c.name, id, yes)
			c.sends(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":{"accepted":%t}}`, id, yes))
		}
	case n < 54:
		d.ask(c, pick(d.r, "duplicate", details), tid)
	case n < 58:
		d.note("%s goes", c.name)
		d.leave(c)
	case n < 61:
		d.come(pick(d.r, "v0", "v1"))
	case n < 67:
		d.note("cut %s", tid)
		d.cut[tid] = true
		d.machine(tid).CutLink()
	case n < 74:
		d.note("restore %s", tid)
		delete(d.cut, tid)
		d.machine(tid).RestoreLink()
	case n < 78:
		d.note("power %s", tid)
		delete(d.cut, tid)
		if err := d.machine(tid).PowerCycle(); err != nil {
			d.t.Fatal(err)
		}
	case n < 80:
		d.restart()
	case n < 83:
		d.scenario(tid)
	case n < 86:
		s := sim.Script{
			Result:    pick(d.r, txn.Result(""), txn.Successful, txn.Declined, txn.Void, txn.Cancelled, txn.Unsuccessful),
			Entry:     pick(d.r, txn.PaymentMethod(""), txn.MethodChip, txn.MethodSwiped),
			CVM:       pick(d.r, txn.CVM(""), txn.CVMPIN, txn.CVMSignature),
			LoseReply: d.r.IntN(3) == 0,
		}
		d.note("script %s %+v", tid, s)
		d.machine(tid).Script(s)
	case n < 90:
		kind := pick(d.r, "well", "well", "full", "slow", "uncertain, and kept", "uncertain, and not kept", "mute")
		d.note("the disk is %s", kind)
		d.disk.set(diskFault(kind))
	default:
		span := pick(d.r, 0, 100*time.Millisecond, time.Second, 4*time.Second, 15*time.Second, 90*time.Second)
		d.note("wait %s", span)
		sleep(span)
	}
	if d.r.IntN(3) > 0 { // else the next step meets things on their way
		synctest.Wait()
	}
}

// scenario has the next transaction of a machine be one of the day's scenarios.
// One that leaves for ever unknown what became of it is for machines that do so by
// their name.
func (d *day) scenario(tid string) {
	s := pick(d.r, d.scenarios...)
	if s.Expect.Truth == spec.TruthUnknown && !strings.HasPrefix(tid[7:], "T") {
		return
	}
	script, ok := sim.Scenario(s.Name)
	if !ok {
		d.t.Fatalf("no scenario %q", s.Name)
	}
	d.note("scenario %s %s", tid, s.Name)
	d.machine(tid).Script(script)
	d.staged[s.Name]++
}

// diskFault is a journal that fails in that way.
func diskFault(kind string) (func(int, journal.Append) mishap, error) {
	var m mishap
	var head error
	switch kind {
	case "full":
		m.before = journal.ErrFull
	case "slow":
		m.wait = 300 * time.Millisecond
	case "uncertain, and kept":
		m.after = journal.ErrUncertain
	case "uncertain, and not kept":
		m.before = journal.ErrUncertain
	case "mute":
		m.after, head = journal.ErrUncertain, errDisk
	}
	return func(int, journal.Append) mishap { return m }, head
}

func (d *day) restart() {
	d.note("the gateway is restarted")
	d.disk.set(nil, nil)
	d.g.Close()
	d.read()
	for _, c := range d.tills {
		if !c.gone {
			d.leave(c)
		}
	}
	d.start(gateway.Limits{})
	clear(d.cut) // it has a new link to each
}

// read takes what the tills were told, and holds it against what they asked.
func (d *day) read() {
	for _, c := range d.tills {
		got, when := c.takeTimed()
		for i, m := range got {
			d.fits(c.till, m)
			d.note("%s< %s", c.name, word(m))
			d.told(c, m, when[i])
		}
	}
}

func (d *day) told(c *dayTill, message string, at time.Time) {
	var m struct {
		ID     *int   `json:"id"`
		Method string `json:"method"`
		Params struct {
			TID       string `json:"tid"`
			TPI       string `json:"tpi"`
			RequestID string `json:"requestId"`
			Payment   struct {
				Result string `json:"transactionResult"`
			} `json:"payment"`
		} `json:"params"`
		Result any `json:"result"`
	}
	if err := json.Unmarshal([]byte(message), &m); err != nil {
		d.t.Fatal(err)
	}
	if m.Method == "transactionCorrected" {
		d.corrected[m.Params.RequestID] = m.Params.Payment.Result
		return
	}
	if m.Method != "" {
		own := slices.ContainsFunc(slices.Collect(maps.Values(c.pending)), func(a *asked) bool { return a.tid == m.Params.TID+m.Params.TPI && a.amount > 0 })
		if !own {
			d.t.Errorf("%s runs nothing there, and was told %s", c.name, message)
		}
		if m.ID != nil {
			c.signs = append(c.signs, *m.ID)
		}
		return
	}
	if m.ID == nil {
		if w := word(message); w != "- error -32074" && w != "- error -32075" {
			d.t.Errorf("%s was told %s", c.name, message)
		}
		return
	}
	a := c.pending[*m.ID]
	if a == nil {
		d.t.Errorf("%s was told something that it did not ask, or once more: %s", c.name, message)
		return
	}
	delete(c.pending, *m.ID)
	_, a.answer, _ = strings.Cut(word(message), " ")
	a.at = at
}

// evening puts everything right and sees whether it adds up.
func (d *day) evening() {
	for _, tid := range dayTIDs {
		if d.cut[tid] {
			d.machine(tid).RestoreLink()
		}
	}
	d.disk.set(nil, nil)
	sleep(15 * time.Minute)
	d.read()
	for _, c := range d.tills {
		for id, a := range c.pending {
			if !c.gone {
				d.t.Errorf("%s has no answer to its request %d: %+v", c.name, id, a)
			}
		}
	}
	for _, v := range d.g.Terminals("demo") {
		if v.Busy || !v.Connected {
			d.t.Errorf("%s: connected %t, busy %t", v.TID, v.Connected, v.Busy)
		}
	}
	d.whole()
	byAmount := map[int]txn.Transaction{}
	for _, tx := range transactions(d.t, d.store, "demo") {
		if _, ok := byAmount[int(tx.Request.Amount)]; ok {
			d.t.Errorf("%d was begun twice", tx.Request.Amount)
		}
		byAmount[int(tx.Request.Amount)] = tx
	}
	for _, a := range d.all {
		tx, begun := byAmount[a.amount]
		code, isError := strings.CutPrefix(a.answer, "error ")
		switch {
		case a.amount == 0, a.answer == "": // no transaction; or nobody was there to hear
		case isError && begun && d.keys && !tx.AcceptedAt.Before(a.at): // a later try under the same key
		case isError && begun && (tx.NotRun == "" || tx.Told != txn.ToldError && code != "-32603"):
			// A -32603 may be all that anybody knew, until a restart found it on disk.
			d.t.Errorf("%+v was answered with %s and stands as %+v", a, code, tx)
		case d.keys && !begun && a.answer == string(txn.TimedOut): // its key could not be looked up for so long
		case !isError && !begun:
			d.t.Errorf("%+v was never recorded", a)
		case !isError && a.answer != string(txn.TimedOut) && a.answer != string(truthOf(tx)):
			d.t.Errorf("%+v is recorded as %s", a, truthOf(tx))
		}
	}
	c := d.connect("evening", "v1")
	for _, tid := range dayTIDs {
		d.duplicateAgrees(c, tid)
	}
	if d.keys {
		d.everyKeyTells(byAmount)
	}
}

// everyKeyTells sends each request that was begun once more, and compares what
// it is told with the record and with what others were told.
func (d *day) everyKeyTells(byAmount map[int]txn.Transaction) {
	c := d.connect("night", "v1", "ext=keys")
	ends := map[int]int{}
	for _, a := range d.all {
		tx, begun := byAmount[a.amount]
		if a.amount == 0 || !begun {
			continue
		}
		if a.answer != "" {
			ends[a.amount]++
		}
		c.take()
		c.says(`{"jsonrpc":"2.0","id":5,"method":%q,"params":{"tid":%q,"currency":"GBP","amount":%d%s}}`, a.method, a.tid, a.amount, d.key(a))
		want := "5 " + string(truthOf(tx))
		if tx.Told == txn.ToldError {
			want = "5 error"
		}
		if got := c.take(); len(got) != 1 || !strings.HasPrefix(word(got[0]), want) {
			d.t.Errorf("%+v under its key: %q, want %s", a, got, want)
		}
	}
	for amount, n := range ends {
		if n > 1 {
			d.sameEnd += n - 1
		}
		tx := byAmount[amount]
		if told, ok := d.corrected[string(tx.ID)]; ok && (told != string(truthOf(tx)) || tx.Told != txn.ToldTimedOut) {
			d.t.Errorf("%s was corrected to %s; it was told %s, and is %s", tx.ID, told, tx.Told, truthOf(tx))
		}
	}
	if after := len(transactions(d.t, d.store, "demo")); after != len(byAmount) {
		d.t.Errorf("%d transactions, %d after all were sent again", len(byAmount), after)
	}
	d.whole()
}
