package main

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/tillwire/tillwire/internal/faultproxy"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/sqlite"
	"github.com/tillwire/tillwire/txn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestCrash kills a gateway ten times, and then has the referee look at copies
// of the books in which something was planted.
func TestCrash(t *testing.T) {
	c := config{kills: 10, seed: uint64(time.Now().UnixNano()) % 1_000_000_000, dir: t.TempDir(), out: t.Output()}
	var err error
	if c.tillwire, c.self, err = build(t.Context(), filepath.Join(c.dir, "bin")); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c.out = &out
	err = tell(t.Context(), c)
	t.Log(out.String())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	last := lines[len(lines)-1]
	if !strings.HasPrefix(last, "crash: kills=10 charges=") || !strings.HasSuffix(last, " lost=0 doubled=0 stuck=0") {
		t.Errorf("the last line is %q", last)
	}
	for _, pair := range pairs {
		for _, f := range faultproxy.Faults() {
			if !regexp.MustCompile(pair + `: ([a-z]+ \d+, )*` + string(f) + ` [1-9]`).MatchString(out.String()) {
				t.Errorf("no %s between %s", f, pair)
			}
		}
	}
	for _, one := range []string{`[1-9]\d* kills of tills`, `power cuts: [1-9]\d* of gateways, [1-9]\d* of terminals; [1-9]\d* writes`, `stopped for a while [1-9]\d* times, at most`, `side, stopped for a while [1-9]\d* times\n`} {
		if runtime.GOOS != "windows" && !regexp.MustCompile(one).MatchString(out.String()) {
			t.Errorf("it does not say %s", one)
		}
	}
	plantInFiles(t, filepath.Join(c.dir, "data"), filepath.Join(c.dir, "terminals"))
}

// plantInFiles alters copies of what is on disk after a run.
func plantInFiles(t *testing.T, dir, remotes string) {
	acquirer := func(dir string) string { return filepath.Join(dir, "sim", siteID, acquirerFile) }
	books := func(edit func(dir string, standing charge)) verdict {
		copied := t.TempDir()
		text, err := os.ReadFile(acquirer(dir))
		if err = errors.Join(err, copyJournal(dir, copied), os.MkdirAll(filepath.Dir(acquirer(copied)), 0o700)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(acquirer(copied), text, 0o600); err != nil {
			t.Fatal(err)
		}
		charges, err := readCharges(acquirer(dir))
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(charges, func(c charge) bool { return c.Payment == "" && !c.Reversed && c.Type == string(txn.Sale) })
		if at < 0 {
			t.Fatal("no sale was charged")
		}
		edit(copied, charges[at])
		b, err := readBooks(t.Context(), copied, remotes)
		if err != nil {
			t.Fatal(err)
		}
		v := verdict{}
		v.ofCharges(b)
		return v
	}
	rewrite := func(t *testing.T, dir string, f func(line string) string) {
		b, err := os.ReadFile(acquirer(dir))
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		for line := range strings.Lines(string(b)) {
			out.WriteString(f(line))
		}
		if err := os.WriteFile(acquirer(dir), []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	about := func(line string, c charge) bool {
		return strings.Contains(line, `"`+c.TID+`"`) && strings.Contains(line, `"`+c.TransactionID+`"`)
	}
	t.Run("untouched", func(t *testing.T) {
		if v := books(func(string, charge) {}); v.Lost+v.Doubled > 0 {
			t.Errorf("lost %d, doubled %d: %.2000q", v.Lost, v.Doubled, v.Findings)
		}
	})
	t.Run("a payment that the journal does not know", func(t *testing.T) {
		v := books(func(dir string, c charge) {
			rewrite(t, dir, func(line string) string {
				if about(line, c) {
					return line + strings.Replace(line, `"`+c.TransactionID+`"`, `"9999999"`, 1)
				}
				return line
			})
		})
		if v.Lost != 1 || v.Doubled != 0 {
			t.Errorf("lost %d, doubled %d: %.2000q", v.Lost, v.Doubled, v.Findings)
		}
	})
	t.Run("a payment that the acquirer does not know", func(t *testing.T) {
		v := books(func(dir string, c charge) {
			rewrite(t, dir, func(line string) string {
				if about(line, c) {
					return ""
				}
				return line
			})
		})
		if v.Lost != 1 || v.Doubled != 0 {
			t.Errorf("lost %d, doubled %d: %.2000q", v.Lost, v.Doubled, v.Findings)
		}
	})
	t.Run("a payment that is in the journal twice", func(t *testing.T) {
		if v := books(func(dir string, c charge) { writeTwice(t, dir, c) }); v.Lost != 0 || v.Doubled != 1 {
			t.Errorf("lost %d, doubled %d: %.2000q", v.Lost, v.Doubled, v.Findings)
		}
	})
}

// writeTwice appends the transaction of a charge to the journal once more, as
// another request.
func writeTwice(t *testing.T, dir string, c charge) {
	t.Helper()
	s, err := sqlite.Open(dir, sqlite.Options{BallastSize: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	heads, err := s.List(t.Context(), journal.Query{Kind: journal.TransactionStream, TID: txn.TID(c.TID), Limit: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range heads {
		records, err := s.Records(t.Context(), h.Stream)
		if err != nil {
			t.Fatal(err)
		}
		tx, err := journal.ReplayTxn(records)
		if err != nil {
			t.Fatal(err)
		}
		if o := tx.Truth(); o == nil || string(o.TransactionID) != c.TransactionID {
			continue
		}
		again := make([]journal.Record, 0, len(records))
		for _, r := range records {
			e, err := journal.DecodeTxn(r)
			if err != nil {
				t.Fatal(err)
			}
			if a, ok := e.(txn.Accepted); ok {
				a.ID = "again"
				e = a
			}
			again = append(again, journal.EncodeTxn(e, r.At))
		}
		if tx, err = journal.ReplayTxn(again); err != nil {
			t.Fatal(err)
		}
		if err := s.Append(t.Context(), journal.Append{Stream: "again", Records: again, Head: journal.TxnHead(tx)}); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("no transaction is that of %+v", c)
}

// TestPlan: a seed repeats the schedule, another makes another one, and a long
// one comes to every point.
func TestPlan(t *testing.T) {
	if a, b := planMachines(20, rand.New(rand.NewPCG(7, 7))), planMachines(20, rand.New(rand.NewPCG(7, 7))); !reflect.DeepEqual(a, b) {
		t.Error("the same seed differs for terminals")
	}
	of := func(n int, seed uint64) []blow { return plan(n, rand.New(rand.NewPCG(seed, 4))) }
	n := 2 * len(points())
	first := of(n, 7)
	if d := cmp.Diff(first, of(n, 7), cmp.AllowUnexported(blow{})); d != "" {
		t.Errorf("the same seed differs: %s", d)
	}
	if reflect.DeepEqual(first, of(n, 8)) {
		t.Error("two seeds have one schedule")
	}
	planned := map[string]bool{}
	outside, long := 0, 0
	for _, b := range first {
		if b.freeze == longFreeze {
			long++
		}
		planned[b.point] = true
		if b.point == "" {
			outside++
		}
	}
	for _, p := range points() {
		if !planned[p] {
			t.Errorf("%q is not planned", p)
		}
	}
	if long != 1 {
		t.Errorf("stopped for long %d times", long)
	}
	if outside != n/2 {
		t.Errorf("%d kills from outside", outside)
	}
}

// TestOwed: points that were missed get another turn, until they are hit.
func TestOwed(t *testing.T) {
	done := tally{points: map[string]bool{"hit since": true}, retry: []string{"hit since", "missed"}}
	b := blow{point: "planned", nth: 3, power: true}
	if got := done.owed(b); got != (blow{point: "missed", nth: 1, power: true}) {
		t.Errorf("first %+v", got)
	}
	if got := done.owed(b); got != b {
		t.Errorf("then %+v", got)
	}
}

func TestReadCharges(t *testing.T) {
	file := filepath.Join(t.TempDir(), acquirerFile)
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := readCharges(file); err != nil || got != nil {
		t.Errorf("a file that is not there: %+v, %v", got, err)
	}
	write(`{"TID":"A","TransactionID":"1","Type":"SALE","Amount":5,"Reversed":false}
{"TID":"A","TransactionID":"2","Payment":"p","Type":"SALE","Amount":6,"Reversed":false}
{"TID":"A","TransactionID":"1","Type":"SALE","Amount":5,"Reversed":true}
{"TID":"B","TransactionID":"1","Type":"REF`)
	got, err := readCharges(file)
	want := []charge{
		{TID: "A", TransactionID: "1", Type: "SALE", Amount: 5, Reversed: true},
		{TID: "A", TransactionID: "2", Payment: "p", Type: "SALE", Amount: 6},
	}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v\n%s", err, d)
	}
	write("{}\nnonsense\n")
	if _, err := readCharges(file); err == nil {
		t.Error("a line that cannot be read was read")
	}
}

func TestMessageIn(t *testing.T) {
	for in, want := range map[string]string{
		"\x81\x20" + `{"jsonrpc":"2.0","method":"terminalNotification","params":{}}`: "terminalNotification",
		`{"jsonrpc":"2.0","id":1,"result":{"cancelling":true}}`:                      "result",
		`{"jsonrpc":"2.0","id":1,"error":{"code":-32071}}`:                           "error",
		"HTTP/1.1 101 Switching Protocols\r\n":                                       "",
	} {
		if got := messageIn(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
