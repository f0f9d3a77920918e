package gateway_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/terminal/sim"
	"github.com/tillwire/tillwire/txn"
)

// A flow is what a till does in one go; pauses are durations.
type flow struct {
	name  string
	tid   string
	steps []string
}

// request is a step that asks for something on the flow's terminal.
func request(id int, method, params string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":{"tid":"TID"%s}}`, id, method, params)
}

const payment = `,"currency":"GBP","amount":1250`

func flows() []flow {
	sale := request(1, "sale", payment)
	accept, reject := `{"jsonrpc":"2.0","id":1,"result":{"accepted":true}}`, `{"jsonrpc":"2.0","id":1,"result":{"accepted":false}}`
	return []flow{
		{"sale", "VCMDEMOSIP0", []string{sale, "30s"}},
		{"declined", "VCMDEMODIP0", []string{sale, "30s"}},
		{"void", "VCMDEMOVIS0", []string{sale, "10s", accept, "30s"}},
		{"refund", "VCMDEMOSCD0", []string{request(1, "refund", payment), "30s"}},
		{"signature accepted", "VCMDEMOSIS0", []string{sale, "20s", accept, "30s"}},
		{"signature rejected", "VCMDEMOSIS0", []string{sale, "20s", reject, "30s"}},
		{"signature unanswered", "VCMDEMOSIS0", []string{sale, "120s"}},
		{"cancelled in time", "VCMDEMOSIP0", []string{sale, "1s", request(2, "cancelTransaction", ""), "30s"}},
		{"cancelled too late", "VCMDEMOSIP0", []string{sale, "5s", request(2, "cancelTransaction", ""), "30s"}},
		{"timed out", "VCMDEMOTIP0", []string{sale, "220s"}},
		{"two sales", "VCMDEMOSCD0", []string{sale, "20s", request(2, "sale", payment), "20s"}},
		{"report", "VCMDEMOSIP0", []string{request(1, "reportEndOfDay", ""), "10s"}},
	}
}

// A crash is a gateway that dies at its n-th append from now on, before or after it
// was kept; with power its terminal loses power meanwhile. With n of 0 none does.
type crash struct {
	n           int
	kept, power bool
}

// strike has the journal stop for the gateway where the crash is.
func (c crash) strike(f *faulty) {
	before := f.appends()
	f.set(func(i int, _ journal.Append) mishap {
		switch {
		case c.n == 0 || i != before+c.n:
			return mishap{}
		case c.kept:
			return mishap{crash: true, after: journal.ErrUncertain}
		}
		return mishap{crash: true}
	}, nil)
}

// everyCrash plays without a crash, which returns how many appends that takes, and
// then with one before and after each of them, with and without the terminal losing
// power.
func everyCrash(t *testing.T, play func(*testing.T, crash) int) {
	appends := 0
	synctest.Test(t, func(t *testing.T) { appends = play(t, crash{}) })
	if appends < 2 {
		t.Fatalf("only %d appends", appends)
	}
	for n := 1; n <= appends; n++ {
		for _, kept := range []bool{false, true} {
			for _, power := range []bool{false, true} {
				t.Run(fmt.Sprintf("append %d kept=%t power=%t", n, kept, power), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { play(t, crash{n, kept, power}) })
				})
			}
		}
	}
}

// TestCrashes kills the gateway before and after each append of each flow, with
// and without the terminal losing power meanwhile, and starts another one on
// what is on disk.
func TestCrashes(t *testing.T) {
	for _, fl := range flows() {
		t.Run(fl.name, func(t *testing.T) {
			everyCrash(t, func(t *testing.T, c crash) int { return crashFlow(t, fl, c) })
		})
	}
}

// crashFlow plays the flow, crashes, restarts, and looks at what became of it. It
// returns how many appends the flow took before the restart.
func crashFlow(t *testing.T, fl flow, at crash) int {
	f := newFaulty()
	w := newWorld(t, f, sim.Options{Seed: 7, Speed: 1})
	a := w.connect("a", "v1")
	// A machine that has done nothing yet cannot tell what it never saw.
	w.machine(fl.tid).Script(sim.Script{Result: txn.Declined, CVM: txn.CVMPIN})
	a.says("%s", strings.ReplaceAll(request(1, "sale", payment), "TID", fl.tid))
	sleep(time.Minute)
	a.take()
	before := f.appends()
	at.strike(f)
	for _, step := range fl.steps {
		if d, err := time.ParseDuration(step); err == nil {
			sleep(d)
			continue
		}
		a.says("%s", strings.ReplaceAll(step, "TID", fl.tid))
	}
	told := a.take()
	for _, m := range told {
		w.fits(a, m)
	}
	appends := f.appends() - before

	f.set(nil, nil)
	w.g.Close()
	a.sess.Ended(nil)
	f.revive()
	if at.power {
		if err := w.machine(fl.tid).PowerCycle(); err != nil {
			t.Fatal(err)
		}
	}
	w.start(gateway.Limits{})
	sleep(10 * time.Minute)
	w.whole()

	// What was told before the crash is what is on disk.
	for _, m := range told {
		if result, ok := strings.CutPrefix(word(m), "1 "); ok && result != "signatureVerificationRequest" && fl.name != "report" {
			tx := transactions(t, f, "demo")[1]
			if got := string(truthOf(tx)); result != got && result != string(txn.TimedOut) {
				t.Errorf("told %s; recorded %s", result, got)
			}
		}
	}
	// The terminal takes the next one.
	b := w.connect("b", "v1")
	b.says("%s", strings.ReplaceAll(request(9, "terminalDetails", ""), "TID", fl.tid))
	if got := b.take(); len(got) != 1 || word(got[0]) != "9 AVAILABLE" {
		t.Errorf("afterwards: %q", got)
	}
	w.duplicateAgrees(b, fl.tid)
	return appends
}

// truthOf is the result that is true as far as it is recorded.
func truthOf(t txn.Transaction) txn.Result {
	switch o := t.Truth(); {
	case o != nil:
		return o.Result
	case t.NotRun == txn.Withdrawn:
		return txn.Cancelled
	case t.NotRun != "":
		return txn.Unsuccessful
	}
	return txn.TimedOut
}

// whole checks what must hold once all is quiet: each stream has its one end,
// or stands unresolved on the machine that cannot tell; the acquirer's books
// and the journal name the same transactions with the same amounts.
func (w *world) whole() {
	w.t.Helper()
	type entry struct {
		tid    txn.TID
		id     txn.TransactionID
		amount int64
	}
	recorded := map[entry]int{}
	for _, tx := range transactions(w.t, w.store, "demo") {
		switch {
		case tx.State == txn.Finished && tx.Told != txn.ToldNothing:
		case tx.State == txn.Unresolved && tx.Told == txn.ToldTimedOut && strings.HasPrefix(string(tx.TID[7:]), "T"):
		default:
			w.t.Errorf("%s on %s stands as %s, told %q", tx.ID, tx.TID, tx.State, tx.Told)
		}
		if tx.Conflict != nil {
			w.t.Errorf("%s on %s has a conflict: %+v and %+v, not run %q", tx.ID, tx.TID, tx.Outcome, tx.Conflict, tx.NotRun)
		}
		if o := tx.Truth(); o != nil && o.Result == txn.Successful && o.Type != txn.AccountVerification {
			recorded[entry{tx.TID, o.TransactionID, int64(o.Total())}]++
		}
	}
	for _, c := range w.park.Charges() {
		if c.Reversed {
			continue
		}
		e := entry{c.TID, c.TransactionID, int64(c.Amount)}
		if recorded[e]--; recorded[e] < 0 {
			w.t.Errorf("charged, and not recorded as successful: %+v", c)
		}
	}
	for e, n := range recorded {
		if n > 0 {
			w.t.Errorf("recorded as successful, and not charged: %+v", e)
		}
	}
	heads, err := w.store.List(w.t.Context(), journal.Query{Kind: journal.ReportStream, Limit: 1 << 20})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, h := range heads {
		if h.Open {
			w.t.Errorf("report %s stands as %s", h.Stream, h.State)
		}
	}
	if heads, err = w.store.List(w.t.Context(), journal.Query{Kind: journal.OrphanStream}); err != nil || len(heads) > 0 {
		w.t.Errorf("orphans: %+v, %v", heads, err)
	}
	verify(w.t, w.store)
}

// duplicateAgrees asks for a duplicate and holds it against the transaction
// that was dispatched last among those that count.
func (w *world) duplicateAgrees(c *till, tid string) {
	w.t.Helper()
	want := "8 error -32072"
	h, err := w.store.LastCounting(w.t.Context(), "demo", txn.TID(tid))
	if err == nil {
		for _, tx := range transactions(w.t, w.store, "demo") {
			if tx.ID == h.Stream {
				want = "8 " + string(truthOf(tx))
			}
		}
	}
	c.take()
	c.says("%s", strings.ReplaceAll(request(8, "duplicate", ""), "TID", tid))
	got := c.take()
	if len(got) != 1 || word(got[0]) != want {
		w.t.Errorf("duplicate on %s: %q, want %s", tid, got, want)
	}
	for _, m := range got {
		w.fits(c, m)
	}
}
