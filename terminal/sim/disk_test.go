package sim

import (
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// reopen switches a park off and on again over the same memory.
func reopen(t *testing.T, p *Park) *Park {
	t.Helper()
	shut(t, p)
	return open(t, p.o)
}

func TestMemorySurvives(t *testing.T) {
	const many = 2*keepSeen + 3 // more ids than the memory file keeps
	p := open(t, Options{Dir: t.TempDir(), Seed: 3})
	d := connect(t, p, "VCMDEMOSIP0")
	for i := range many {
		d.perform(txn.RequestID(fmt.Sprint(i)), sale(100))
	}
	held := d.perform("held", preAuth(4000))
	d.start("untold", sale(700))
	untold := d.ended("untold")
	charges := p.Charges()
	if mem := d.m.mem; len(mem.Seen) >= 2*keepSeen || mem.Spilled == 0 || mem.Spilled+len(mem.Seen) != many+2 {
		t.Errorf("%d ids in the memory and %d in the file, of %d", len(mem.Seen), mem.Spilled, many+2)
	}

	p = reopen(t, p)
	d = connect(t, p, "VCMDEMOSIP0")
	if diff := cmp.Diff([]string{"came back restarted=true", "ended SUCCESSFUL"}, names(d.heard())); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"came back restarted=false", "ended SUCCESSFUL"}, names(connect(t, p, "VCMDEMOSIP0").heard())); diff != "" {
		t.Error(diff)
	}
	d = connect(t, p, "VCMDEMOSIP0")
	if got := d.ended("untold"); !txn.Same(got, untold) {
		t.Errorf("told again: %+v, want %+v", got, untold)
	}
	if diff := cmp.Diff(charges, p.Charges()); diff != "" {
		t.Error(diff)
	}
	for i := range many {
		d.start(txn.RequestID(fmt.Sprint(i)), sale(100))
	}
	if got := len(p.Charges()); got != len(charges) {
		t.Errorf("%d charges, want %d", got, len(charges))
	}
	o := d.perform("completion", completion(4000, held.AuthCode))
	if o.Result != txn.Successful || o.PAN != held.PAN || o.Number != fmt.Sprintf("%04d", many+3) {
		t.Errorf("got %+v", o)
	}
	r := d.print("x", report.XBalance)
	if want := money.Minor(many*100 + 700 + 4000); r.Balances.TotalAmount != want || r.Balances.SalesCount != many+2 {
		t.Errorf("totals %+v", r.Balances)
	}

	// A file of ids that lacks some is no memory: nothing would be fenced.
	shut(t, p)
	if err := os.Remove(d.m.path(seenSuffix)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(p.o); err == nil || !strings.Contains(err.Error(), seenSuffix) {
		t.Errorf("got %v", err)
	}
}

// An answer on a signature that was taken stands, whatever comes.
func TestAnswerSurvives(t *testing.T) {
	for _, accepted := range []bool{true, false} {
		p := open(t, Options{Dir: t.TempDir()})
		d := connect(t, p, "VCMDEMOSIS0")
		d.start("r", sale(100))
		d.wanted("r")
		dir := filepath.Join(t.TempDir(), "cut")
		d.m.mu.Lock() // so that the transaction does not end meanwhile
		err := d.m.answer("r", accepted)
		copyDir(t, p.o.Dir, dir)
		d.m.mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		want := d.ended("r")
		got := connect(t, open(t, Options{Dir: dir}), "VCMDEMOSIS0").ended("r")
		if !txn.Same(got, want) || (got.Result == txn.Successful) != accepted {
			t.Errorf("accepted %v: %+v, want %+v", accepted, got, want)
		}
	}
}

// A machine whose memory was thrown away uses no name again.
func TestMemoryThrownAway(t *testing.T) {
	p := open(t, Options{Dir: t.TempDir()})
	first := connect(t, p, "VCMDEMOSIP0")
	before := first.perform("1", sale(100))
	shut(t, p)
	p = open(t, p.o)
	if again := connect(t, p, "VCMDEMOSIP0"); again.Capabilities().Memory != first.Capabilities().Memory {
		t.Error("the memory changed its name")
	}
	shut(t, p)
	if err := os.Remove(filepath.Join(p.o.Dir, "VCMDEMOSIP0.json")); err != nil {
		t.Fatal(err)
	}
	p = open(t, p.o)
	if other := connect(t, p, "VCMDEMOSIP0"); other.Capabilities().Memory == first.Capabilities().Memory {
		t.Error("another memory has the same name")
	}
	shut(t, p) // it loses power too, before anybody has asked
	p = open(t, p.o)
	d := connect(t, p, "VCMDEMOSIP0")
	if a := d.query("1"); a.Kind != terminal.CannotTell {
		t.Errorf("query: %v", a.Kind)
	}
	if o := d.perform("2", sale(100)); o.Result != txn.Successful || o.TransactionID == before.TransactionID {
		t.Errorf("got %+v after %+v", o, before)
	}
}

func copyDir(t *testing.T, from, to string) {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Error(err)
	}
}

// Every write of every kind of transaction is the last one before the power
// goes: what comes after agrees with the acquirer's books, whatever is lost
// again on the way.
func TestCrashCuts(t *testing.T) {
	refund := txn.Request{Type: txn.Refund, Currency: money.GBP, Amount: 1234}
	for _, c := range []struct {
		name    string
		tid     txn.TID
		req     txn.Request
		accept  bool
		allowed []txn.Result // also UNSUCCESSFUL while nothing was approved
	}{
		{"sale", "VCMDEMOSIP2", sale(1234), true, []txn.Result{txn.Successful}},
		{"refund", "VCMDEMOSCN0", refund, true, []txn.Result{txn.Successful}},
		{"declined", "VCMDEMODIP0", sale(1234), true, []txn.Result{txn.Declined}},
		{"unsuccessful", "VCMDEMOUIP0", sale(1234), true, nil},
		{"cancelled", "VCMDEMOCIP0", sale(1234), true, []txn.Result{txn.Cancelled}},
		{"void", "VCMDEMOVIP0", sale(1234), true, []txn.Result{txn.Void}},
		{"signature accepted", "VCMDEMOSIS0", sale(1234), true, []txn.Result{txn.Successful, txn.Void}},
		{"signature rejected", "VCMDEMOSIS0", sale(1234), false, []txn.Result{txn.Void}},
		{"void with a signature", "VCMDEMOVIS0", sale(1234), true, []txn.Result{txn.Void}},
		{"pre-auth", "VCMDEMOSIP0", preAuth(1234), true, []txn.Result{txn.Successful}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			live := filepath.Join(root, "live")
			cuts := 0
			cut := func(dir string) func() {
				return func() { cuts++; copyDir(t, dir, filepath.Join(root, fmt.Sprintf("cut%03d", cuts))) }
			}
			o := Options{Dir: live, wrote: cut(live)}
			p := open(t, o)
			d := connect(t, p, c.tid)
			d.start("r", c.req)
			d.until(func(e terminal.Event) bool {
				switch e.(type) {
				case terminal.SignatureWanted, terminal.Ended:
					return true
				default:
					return false
				}
			})
			if d.m.name.part.cvm == txn.CVMSignature {
				d.answer("r", c.accept)
			}
			final := d.ended("r")
			checkBooks(t, p, map[txn.TransactionID]txn.Outcome{final.TransactionID: final})
			shut(t, p)
			if cuts < 3 {
				t.Fatalf("%d writes", cuts)
			}
			for i := 1; i <= cuts; i++ { // grows by the cuts of the recoveries
				dir := filepath.Join(root, fmt.Sprintf("cut%03d", i))
				recovered(t, Options{Dir: dir, wrote: cut(dir)}, c.tid, c.allowed)
				if t.Failed() || cuts > 200 {
					t.Fatalf("cut %d of %d", i, cuts)
				}
			}
		})
	}
}

// recovered holds what a woken machine says against the books. What it writes
// while it wakes is cut as well, what it writes later is not.
func recovered(t *testing.T, o Options, tid txn.TID, allowed []txn.Result) {
	t.Helper()
	p := open(t, o)
	p.o.wrote = func() {}
	d := connect(t, p, tid)
	a := d.query("r")
	switch a.Kind {
	case terminal.NeverRan:
		checkBooks(t, p, nil)
	case terminal.CannotTell: // cut before it had accepted anything
		if !d.m.newborn {
			t.Error("it cannot tell")
		}
		checkBooks(t, p, nil)
	case terminal.Final:
		told := false
		for _, e := range d.heard() {
			ended, ok := e.(terminal.Ended)
			told = told || ok && txn.Same(ended.Outcome, *a.Outcome)
		}
		if !told {
			t.Errorf("not told again: %v", names(d.heard()))
		}
		ok := a.Outcome.Result == txn.Unsuccessful
		for _, r := range allowed {
			ok = ok || a.Outcome.Result == r
		}
		if !ok {
			t.Errorf("ended %s, allowed %v", a.Outcome.Result, allowed)
		}
		checkReceipts(t, *a.Outcome)
		checkBooks(t, p, map[txn.TransactionID]txn.Outcome{a.Outcome.TransactionID: *a.Outcome})
	default:
		t.Errorf("query: %v", a.Kind)
	}
	d.m.Script(Script{Result: txn.Successful, Entry: txn.MethodChip, CVM: txn.CVMPIN})
	if next := d.perform("next", sale(500)); next.Result != txn.Successful {
		t.Errorf("the next one: %+v", next)
	}
	shut(t, p)
}

// A machine whose memory cannot be written says nothing until it can be, and then
// what became of what ran: as after a loss of power.
func TestRevive(t *testing.T) {
	p := open(t, Options{Dir: t.TempDir()})
	d := connect(t, p, "VCMDEMOSIP0")
	d.perform("0", sale(100))
	if err := d.m.Revive(); err != nil {
		t.Errorf("a machine that is well: %v", err)
	}
	good := p.o.Dir
	p.o.Dir = filepath.Join(good, "nowhere")
	if err := d.Start(ctx, terminal.Request{ID: "1", Txn: sale(200)}); err == nil {
		t.Fatal("it took a request that it could not write down")
	}
	d.until(func(e terminal.Event) bool { return e == terminal.WentAway{} })
	if err := d.m.Revive(); err == nil {
		t.Error("it is on, and its memory cannot be written")
	}
	if a, err := d.Query(ctx, "1"); err == nil {
		t.Errorf("it says %v", a)
	}
	p.o.Dir = good
	if err := d.m.Revive(); err != nil {
		t.Fatal(err)
	}
	d.until(func(e terminal.Event) bool { return e == terminal.CameBack{Restarted: true} })
	if a := d.query("1"); a.Kind != terminal.NeverRan {
		t.Errorf("what it could not write down: %v", a.Kind)
	}
	if o := d.perform("2", sale(300)); o.Result != txn.Successful {
		t.Errorf("the next sale: %+v", o)
	}
}

// The acquirer's last line may be torn anywhere: it was never reported.
func TestTornBooks(t *testing.T) {
	p := open(t, Options{Dir: t.TempDir()})
	d := connect(t, p, "VCMDEMOSIP0")
	d.perform("1", sale(100))
	books := filepath.Join(p.o.Dir, booksFile)
	whole, err := os.ReadFile(books)
	if err != nil {
		t.Fatal(err)
	}
	shut(t, p)
	for n := range len(whole) {
		if err := os.WriteFile(books, append(bytes.Clone(whole), whole[:n]...), 0o600); err != nil {
			t.Fatal(err)
		}
		q := open(t, p.o)
		if got := len(q.Charges()); got != 1 {
			t.Fatalf("torn after %d bytes: %d charges", n, got)
		}
		shut(t, q)
	}
}

// One seed, one story; another seed, another.
func TestSeed(t *testing.T) {
	play := func(seed uint64) []string {
		p := open(t, Options{Seed: seed})
		var story []string
		for _, tid := range p.Listed() {
			d := connect(t, p, tid)
			if d.m.name.part.result == txn.TimedOut {
				continue
			}
			for i := range 3 {
				r := sale(100)
				r.Currency = d.Capabilities().Currency
				o := d.perform(txn.RequestID(fmt.Sprint(i)), r)
				story = append(story, fmt.Sprint(o.TransactionID, o.AuthCode, o.PAN, o.Expiry, o.Label, o.Number))
			}
		}
		return story
	}
	first := play(1)
	if diff := cmp.Diff(first, play(1)); diff != "" {
		t.Error(diff)
	}
	other := play(2)
	for i := range first {
		if first[i] == other[i] {
			t.Errorf("%q under both seeds", first[i])
		}
	}
}

// No full card number leaves a card: not into events, files or logs.
func TestNoCardNumberLeaks(t *testing.T) {
	var log bytes.Buffer
	o := Options{Dir: t.TempDir(), Seed: 11, Log: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	p := open(t, o)
	var said strings.Builder
	var pans []string
	for _, entry := range []string{"SIP0", "SCD0", "SSS0", "SKN0", "DIP0", "VIS0"} {
		d := connect(t, p, txn.TID("VCMDEMO"+entry))
		for i := range 10 {
			d.perform(txn.RequestID(fmt.Sprint(entry, i)), sale(100))
			pans = append(pans, makeCard(o.Seed, *d.m.mem.Card).pan)
		}
		fmt.Fprintf(&said, "%+v", d.heard())
	}
	shut(t, p)
	err := fs.WalkDir(os.DirFS(o.Dir), ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := fs.ReadFile(os.DirFS(o.Dir), path)
		said.Write(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	all := said.String() + log.String()
	if !strings.Contains(all, pans[0][len(pans[0])-4:]) {
		t.Error("not even the last four digits are there: nothing was looked at")
	}
	for _, pan := range pans {
		if strings.Contains(all, pan) || strings.Contains(all, pan[:10]) {
			t.Errorf("the number of a card is in the open")
		}
		if c := fmt.Sprintf("%v %+v", card{pan: pan}, &card{pan: pan}); strings.Contains(c, pan) {
			t.Errorf("a printed card shows its number")
		}
	}
}
