package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/epos"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
)

func TestTablesPrice(t *testing.T) {
	for text, want := range map[string]tablesPrice{
		"1450": 1450, `"14.50"`: 1450, "14.50": 1450, "'14.50' # each": 1450, "0": 0, "-2.00": -200, `"-200"`: -200, "0.05": 5, "999999.99": maxTablesPrice,
	} {
		f, _, err := parseTables([]byte("currency: EUR\ntables:\n  - id: a\n    items:\n      - name: x\n        price: " + text + "\n"))
		if err != nil || f.Tables[0].Items[0].Price != want {
			t.Errorf("%s: got %+v, %v", text, f, err)
		}
	}
	for _, text := range []string{"14.5", "1e3", "1_000", "0x10", "12.345", "free", `""`, "[1]", "{a: 1}", "--1", "+1", "1000000.00", "99999999999", ".50", "NaN", "1,50"} {
		if f, _, err := parseTables([]byte("currency: EUR\ntables:\n  - id: a\n    items:\n      - name: x\n        price: " + text + "\n")); err == nil {
			t.Errorf("%s was read as %v", text, f.Tables[0].Items[0].Price)
		}
	}
}

func TestBadTables(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "currency is to be GBP or EUR",
		"currency: USD":                "currency is to be GBP or EUR",
		"currency: GBP\ntabels: []":    `unknown field "tabels"`,
		"currency: GBP\ntables: [{}]":  "table 1 has no id",
		"currency: GBP\ntables: [~]":   "table 1 has no id",
		"currency: GBP\ntables: 7":     "sequence is expected",
		"currency: GBP\ncurrency: EUR": "already defined",
		"currency: GBP\ntables: [{id: a}, {id: b}, {id: a}]":                           `table "a" is there twice`,
		"currency: GBP\ntables: [{id: \"a\\tb\"}]":                                     "table 1: an id is up to 64 printable characters",
		"currency: GBP\ntables: [{id: " + strings.Repeat("é", 65) + "}]":               "table 1: an id is up to 64 printable characters",
		"currency: GBP\ntables: [{id: a, items: [{name: b, price: 1, quantity: -1}]}]": `table "a", item 1: a quantity is 1 to 1000`,
		"\t: [": "",
	} {
		if _, _, err := parseTables([]byte(text)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

// FuzzParseTables: what is read can be written and is read alike again, with
// its payments.
func FuzzParseTables(f *testing.F) {
	f.Add([]byte(sampleTables), "2627BD", "Bar 2")
	f.Add([]byte("currency: EUR\ntables: []\n"), "12E456", "~")
	f.Add([]byte("# a\ncurrency: EUR # b\ntables:\n# c\n- id: x # d\n  paid: 1\n  locked: {tid: T, since: now}\n# e\n"), "0123", "no")
	f.Fuzz(func(t *testing.T, data []byte, auth, table string) {
		file, comments, err := parseTables(data)
		if err != nil {
			return
		}
		p := epos.TablePayments{TableRequest: epos.TableRequest{TID: "T", TableID: epos.TableID(table)}, Payments: []epos.TablePayment{{ID: "p", AuthCode: auth, AmountPaid: 1}}}
		file.book(p, time.Unix(0, 0))
		out, err := file.write(comments)
		if err != nil {
			return // said, and not written
		}
		again, _, err := parseTables(out)
		if err != nil {
			t.Fatalf("%v in\n%s", err, out)
		}
		if len(again.unbooked([]epos.PaymentID{"p"})) > 0 {
			t.Errorf("the payment is lost in\n%s", out)
		}
	})
}

// What a terminal may send can be written.
func TestTablesWritten(t *testing.T) {
	for _, odd := range []string{"2627BD", "123456", "012345", "12E456", "1_000", "0x1F", "true", "no", "~", "null", "", " ", "- a", "a: b", "# c", "'", `"`, "a\nb", "é", "*a", "&a", "!x", "%", "@", "[", "{", "2026-10-07"} {
		f, comments, err := parseTables([]byte(sampleTables))
		if err != nil {
			t.Fatal(err)
		}
		p := epos.TablePayments{
			TableRequest: epos.TableRequest{TID: epos.TID(odd), WaiterID: epos.WaiterID(odd), TableID: "Bar 2"},
			Payments:     []epos.TablePayment{{ID: epos.PaymentID("p" + odd), AuthCode: odd, Scheme: odd, PAN: odd, Time: epos.LocalTime(odd)}},
		}
		f.book(p, time.Unix(0, 0))
		p.TableID = "gone"
		p.Payments[0].ID += "2"
		f.book(p, time.Unix(0, 0))
		data, err := f.write(comments)
		if err != nil {
			t.Errorf("%q: %v", odd, err)
			continue
		}
		again, _, err := parseTables(data)
		if diff := cmp.Diff(f, again); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got)\n%s", odd, err, diff)
		}
		if !strings.Contains(string(data), "# Nobody else sees it.") {
			t.Errorf("%q: the comments are lost:\n%s", odd, data)
		}
	}
}

// A tillOnFile is a till in a folder of its own.
type tillOnFile struct {
	*tablesTill
	t    *testing.T
	path string
	out  *bytes.Buffer
}

func newTill(t *testing.T) *tillOnFile {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tables.yaml")
	if err := os.WriteFile(path, []byte(sampleTables), 0o600); err != nil {
		t.Fatal(err)
	}
	x := &tillOnFile{t: t, path: path, out: &bytes.Buffer{}}
	x.restart()
	return x
}

// restart begins anew with what is in the file.
func (x *tillOnFile) restart() {
	x.t.Helper()
	book, err := openTables(x.path)
	if err != nil {
		x.t.Fatal(err)
	}
	x.tablesTill = &tablesTill{
		book: book, reports: filepath.Join(filepath.Dir(x.path), "reports"), s: streams{out: x.out},
		now: func() time.Time { return time.Date(2026, 10, 7, 21, 0, 0, 0, time.UTC) },
	}
}

// said returns what was printed since the last call.
func (x *tillOnFile) said() string {
	defer x.out.Reset()
	return x.out.String()
}

func (x *tillOnFile) edit(from, to string) {
	x.t.Helper()
	data, err := os.ReadFile(x.path)
	if err != nil {
		x.t.Fatal(err)
	}
	if !bytes.Contains(data, []byte(from)) {
		x.t.Fatalf("the file has no %q", from)
	}
	if err := os.WriteFile(x.path, bytes.Replace(data, []byte(from), []byte(to), 1), 0o600); err != nil {
		x.t.Fatal(err)
	}
}

func (x *tillOnFile) holds(want string) {
	x.t.Helper()
	if data, err := os.ReadFile(x.path); err != nil || !bytes.Contains(data, []byte(want)) {
		x.t.Errorf("the file has no %q, %v:\n%s", want, err, data)
	}
}

func at(table, waiter string) epos.TableRequest {
	return epos.TableRequest{TID: "VCMDEMOSIP0", WaiterID: epos.WaiterID(waiter), TableID: epos.TableID(table)}
}

func (x *tillOnFile) list(waiter string) []epos.TableID {
	x.t.Helper()
	list, err := x.ListTables(x.t.Context(), epos.TableListRequest{TID: "VCMDEMOSIP0", WaiterID: epos.WaiterID(waiter)})
	if err != nil {
		x.t.Error(err)
	}
	return list.Tables
}

// pay tells of payments as the library does: through the store.
func (x *tillOnFile) pay(table string, amount money.Minor, ids ...epos.PaymentID) error {
	return x.Once(x.t.Context(), ids, func(ctx context.Context, fresh []epos.PaymentID) error {
		p := epos.TablePayments{TableRequest: at(table, "3"), Currency: money.GBP}
		for _, id := range fresh {
			p.Payments = append(p.Payments, epos.TablePayment{ID: id, Currency: money.GBP, AmountPaid: amount, AmountGratuity: 50, Scheme: "VISA", PAN: "************1234"})
		}
		return x.Paid(ctx, p)
	})
}

// The till refuses what it should, and says why.
func TestTablesRefuses(t *testing.T) {
	x := newTill(t)
	if got := x.list("3"); !slices.Equal(got, []epos.TableID{"12", "14", "Bar 2"}) {
		t.Errorf("waiter 3 sees %q", got)
	}
	if got := x.list("7"); !slices.Equal(got, []epos.TableID{"12", "Bar 2"}) {
		t.Errorf("waiter 7 sees %q", got)
	}
	_, err := x.ListTables(t.Context(), epos.TableListRequest{WaiterID: "9"})
	if e, ok := errors.AsType[*epos.Error](err); !ok || e.UserMessage != `Waiter "9" is not known.` {
		t.Errorf("got %v", err)
	}
	if lock, err := x.LockTable(t.Context(), at("12", "3")); err != nil || lock != (epos.TableLock{Granted: true, Amount: money.Amount{Minor: 4550, Currency: money.GBP}}) {
		t.Errorf("got %+v, %v", lock, err)
	}
	x.edit("  - id: Bar 2\n", "  - id: Empty\n  - id: Dear\n    items: [{name: all, price: 99999999, quantity: 2}]\n  - id: Done\n    closed: today\n    items: [{name: a, price: 1}]\n  - id: Bar 2\n")
	x.said()
	for _, test := range []struct {
		r    epos.TableRequest
		want string
	}{
		{at("99", "3"), "there is no such table"},
		{at("12", "3"), "it is locked at VCMDEMOSIP0 since 2026-10-07T21:00:00Z"},
		{at("14", "7"), "it is not waiter 7's"},
		{at("14", ""), `waiter "" is not known`},
		{at("14", "9"), `waiter "9" is not known`},
		{at("Empty", "3"), "there is nothing to pay"},
		{at("Dear", "3"), "1999999.98 is more than a card can pay"},
		{at("Done", "3"), "it is paid"},
	} {
		lock, err := x.LockTable(t.Context(), test.r)
		if err != nil || lock != (epos.TableLock{}) {
			t.Errorf("%v: got %+v, %v", test.r, lock, err)
		}
		if got := x.said(); !strings.HasSuffix(got, "table "+string(test.r.TableID)+" refused: "+test.want+"\n") {
			t.Errorf("%v: said %s", test.r, got)
		}
	}
	if got := x.list("3"); !slices.Equal(got, []epos.TableID{"14", "Bar 2"}) {
		t.Errorf("waiter 3 sees %q", got)
	}
	for _, ask := range []func(context.Context, epos.TableRequest) ([]receipt.Line, error){x.Bill, x.FinalReceipt} {
		if lines, err := ask(t.Context(), at("99", "3")); err == nil || lines != nil {
			t.Errorf("got %v, %v", lines, err)
		}
	}
	// An unlock of another terminal changes nothing.
	other := at("12", "3")
	other.TID = "VCMDEMOSCD0"
	if err := x.UnlockTable(t.Context(), other); err != nil {
		t.Error(err)
	}
	x.holds("tid: VCMDEMOSIP0")
	x.restart()
	if err := x.UnlockTable(t.Context(), at("12", "")); err != nil {
		t.Error(err)
	}
	if got := x.list("3"); !slices.Equal(got, []epos.TableID{"12", "14", "Bar 2"}) {
		t.Errorf("waiter 3 sees %q", got)
	}
}

// Each payment is booked once, also by a till that was restarted, and wherever
// its table has gone.
func TestTablesBook(t *testing.T) {
	x := newTill(t)
	for _, ids := range [][]epos.PaymentID{{"a"}, {"a"}, {"a", "b"}} {
		if err := x.pay("12", 2000, ids...); err != nil {
			t.Error(err)
		}
		x.restart()
	}
	if got := x.said(); strings.Count(got, "payment a\n") != 1 || strings.Count(got, "payment b\n") != 1 || !strings.Contains(got, "table 12 has GBP 5.50 left to pay\n") {
		t.Errorf("said %s", got)
	}
	x.holds(`paid: "40.00"`)
	bill, err := x.Bill(t.Context(), at("12", "3"))
	if text := receipt.Plain(bill); err != nil || !strings.Contains(text, "Paid so far                40.00\nTO PAY GBP                  5.50\n") {
		t.Errorf("got %v\n%s", err, text)
	}
	x.edit(`"12"`, `"12a"`)
	if err := x.pay("12", 550, "c"); err != nil {
		t.Error(err)
	}
	x.edit(`id: 12a`, `id: "12"`)
	if err := x.pay("12", 550, "c"); err != nil {
		t.Error(err)
	}
	x.holds("unplaced:\n  - id: c\n    table: \"12\"\n")
	x.said()
	if err := x.pay("12", 551, "d"); err != nil {
		t.Error(err)
	}
	if got := x.said(); !strings.Contains(got, "table 12 is closed, with GBP 0.01 too much\n") {
		t.Errorf("said %s", got)
	}
	x.holds(`closed: "2026-10-07T21:00:00Z"`)
	final, err := x.FinalReceipt(t.Context(), at("12", "3"))
	if text := receipt.Plain(final); err != nil || !strings.Contains(text, "VISA 1234                  20.00\n") || !strings.Contains(text, "Gratuity, with thanks       1.50\n") || !strings.Contains(text, "PAID, THANK YOU") {
		t.Errorf("got %v\n%s", err, text)
	}
}

// While the file cannot be read or written, nothing is locked or booked, and
// what could not be booked comes again.
func TestTablesFileBroken(t *testing.T) {
	x := newTill(t)
	x.edit("currency: GBP", "currency: GBP oh")
	_, err := x.ListTables(t.Context(), epos.TableListRequest{WaiterID: "3"})
	if e, ok := errors.AsType[*epos.Error](err); !ok || e.UserMessage != "The till's tables cannot be read." {
		t.Errorf("got %v", err)
	}
	if lock, err := x.LockTable(t.Context(), at("12", "3")); err != nil || lock.Granted {
		t.Errorf("got %+v, %v", lock, err)
	}
	if err := x.pay("12", 100, "a"); err == nil {
		t.Error("booked in a file that cannot be read")
	}
	if err := x.UnlockTable(t.Context(), at("12", "3")); err == nil {
		t.Error("unlocked in a file that cannot be read")
	}
	x.edit("currency: GBP oh", "currency: GBP")
	if err := os.Mkdir(x.path+".new", 0o700); err != nil { // where it is written first
		t.Fatal(err)
	}
	if err := x.pay("12", 100, "a"); err == nil {
		t.Error("booked in a file that cannot be written")
	}
	if lock, err := x.LockTable(t.Context(), at("12", "3")); err != nil || lock.Granted {
		t.Errorf("got %+v, %v", lock, err)
	}
	if err := os.Remove(x.path + ".new"); err != nil {
		t.Fatal(err)
	}
	if got := x.list("3"); !slices.Contains(got, "12") {
		t.Errorf("waiter 3 sees %q", got)
	}
	if err := x.pay("12", 100, "a"); err != nil {
		t.Error(err)
	}
	x.holds(`paid: "1.00"`)
	if err := os.Remove(x.path); err != nil {
		t.Fatal(err)
	}
	if err := x.pay("12", 100, "b"); err == nil {
		t.Error("booked in a file that is gone")
	}
}

func TestTablesReport(t *testing.T) {
	x := newTill(t)
	r := epos.Report{
		TID: "../evil", Type: epos.EndOfDay, Result: epos.ReportComplete, Time: "2026-10-07T23:40:00",
		Lines: []receipt.Line{{Type: receipt.Text, Value: "REPORT COMPLETE"}},
	}
	for range 2 {
		if err := x.TableReport(t.Context(), r); err != nil {
			t.Error(err)
		}
	}
	found, err := filepath.Glob(filepath.Join(x.reports, "*"))
	want := filepath.Join(x.reports, "2026-10-07T23-40-00----evil-END-OF-DAY")
	if err != nil || !slices.Equal(found, []string{want + ".json", want + ".txt"}) {
		t.Errorf("got %q, %v", found, err)
	}
	if text, err := os.ReadFile(want + ".txt"); err != nil || !strings.Contains(string(text), "END_OF_DAY of ../evil at 2026-10-07T23:40:00: COMPLETE\n\nREPORT COMPLETE\n") {
		t.Errorf("got %q, %v", text, err)
	}
	if text, err := os.ReadFile(want + ".json"); err != nil || !strings.Contains(string(text), `"Type":"END_OF_DAY"`) {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestTablesURL(t *testing.T) {
	for address, want := range map[string]string{
		"ws://h:1/pac?token=k": "ws://h:1/pat?token=k", " wss://h//PAC?token=k&x=%2F ": "wss://h/pat?token=k&x=%2F", "wss://h/pat?token=k": "wss://h/pat?token=k",
	} {
		if got, err := tablesURL(address); err != nil || got != want {
			t.Errorf("%s: got %s, %v", address, got, err)
		}
	}
	for _, address := range []string{"", "h/pat?token=SECRET", "https://h/pat?token=SECRET", "ws://%zz?token=SECRET"} {
		if got, err := tablesURL(address); err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%q: got %s, %v", address, got, err)
		}
	}
}
