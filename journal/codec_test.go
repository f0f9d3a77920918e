package journal_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
)

// times are any that the forms keep, the zero time among them.
func times() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "zero") {
			return time.Time{}
		}
		sec := rapid.Int64Range(0, 250_000_000_000).Draw(t, "seconds")
		return time.Unix(sec, rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds")).UTC()
	})
}

// values makes events of one type, any of their fields' values among them.
func values[E any]() func(*rapid.T) any {
	lineTypes := append(receipt.TerminalTypes(), receipt.EPOSTypes()...)
	g := rapid.MakeCustom[E](rapid.MakeConfig{Types: map[reflect.Type]*rapid.Generator[any]{
		reflect.TypeFor[time.Time]():        times().AsAny(),
		reflect.TypeFor[receipt.LineType](): rapid.SampledFrom(lineTypes).AsAny(),
	}})
	return func(t *rapid.T) any { return g.Draw(t, "event") }
}

func txnEvents() map[string]func(*rapid.T) any {
	return map[string]func(*rapid.T) any{
		"Accepted":          values[txn.Accepted](),
		"Dispatched":        values[txn.Dispatched](),
		"Started":           func(*rapid.T) any { return txn.Started{} },
		"Notified":          values[txn.Notified](),
		"CancelWished":      values[txn.CancelWished](),
		"SignatureWanted":   values[txn.SignatureWanted](),
		"SignatureAnswered": values[txn.SignatureAnswered](),
		"LinkLost":          values[txn.LinkLost](),
		"Restarted":         values[txn.Restarted](),
		"Resumed":           values[txn.Resumed](),
		"CouldNotTell":      values[txn.CouldNotTell](),
		"Ended":             values[txn.Ended](),
		"NeverRan":          values[txn.NeverRan](),
		"Answered":          values[txn.Answered](),
		"Resolved":          values[txn.Resolved](),
		"Contradicted":      values[txn.Contradicted](),
		"Corrected":         values[txn.Corrected](),
	}
}

func reportEvents() map[string]func(*rapid.T) any {
	return map[string]func(*rapid.T) any{
		"Dispatched":  values[report.Dispatched](),
		"Brought":     values[report.Brought](),
		"Delivered":   values[report.Delivered](),
		"Requeued":    values[report.Requeued](),
		"Interrupted": values[report.Interrupted](),
		"Made":        values[report.Made](),
		"GaveUp":      values[report.GaveUp](),
		"NotMade":     values[report.NotMade](),
	}
}

func tableEvents() map[string]func(*rapid.T) any {
	return map[string]func(*rapid.T) any{
		"Opened":          values[table.Opened](),
		"LockIntended":    values[table.LockIntended](),
		"LockConfirmed":   values[table.LockConfirmed](),
		"LockRefused":     values[table.LockRefused](),
		"LockUnanswered":  values[table.LockUnanswered](),
		"NotAsked":        values[table.NotAsked](),
		"BillWanted":      values[table.BillWanted](),
		"BillAnswered":    values[table.BillAnswered](),
		"PaymentStarted":  values[table.PaymentStarted](),
		"PaymentTaken":    values[table.PaymentTaken](),
		"PaymentNotTaken": values[table.PaymentNotTaken](),
		"PaymentResolved": values[table.PaymentResolved](),
		"Left":            values[table.Left](),
		"TerminalLost":    values[table.TerminalLost](),
		"TerminalBack":    values[table.TerminalBack](),
		"Queued":          values[table.Queued](),
		"Delivered":       values[table.Delivered](),
		"Requeued":        values[table.Requeued](),
	}
}

// declared returns the names of the types in a package that are events of one
// machine, by the method that they are sealed with.
func declared(t *testing.T, dir, method string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == method && fn.Recv != nil {
				names = append(names, fn.Recv.List[0].Type.(*ast.Ident).Name)
			}
		}
	}
	slices.Sort(names)
	return names
}

func TestEveryEventRoundTrips(t *testing.T) {
	for _, c := range []struct {
		pack   string // of the kinds
		dir    string
		method string
		events map[string]func(*rapid.T) any
		encode func(any, time.Time) journal.Record
		decode func(journal.Record) (any, error)
	}{
		{
			"txn", "txn", "event", txnEvents(),
			func(e any, at time.Time) journal.Record { return journal.EncodeTxn(e.(txn.Event), at) },
			func(r journal.Record) (any, error) { return journal.DecodeTxn(r) },
		},
		{
			"report", "report", "event", reportEvents(),
			func(e any, at time.Time) journal.Record { return journal.EncodeReport(e.(report.Event), at) },
			func(r journal.Record) (any, error) { return journal.DecodeReport(r) },
		},
		{
			"table", "table", "event", tableEvents(),
			func(e any, at time.Time) journal.Record { return journal.EncodeTable(e.(table.Event), at) },
			func(r journal.Record) (any, error) { return journal.DecodeTable(r) },
		},
		{
			"kept", "table", "keptEvent", keptEvents(),
			func(e any, at time.Time) journal.Record { return journal.EncodeKept(e.(table.KeptEvent), at) },
			func(r journal.Record) (any, error) { return journal.DecodeKept(r) },
		},
	} {
		if got, want := slices.Sorted(maps.Keys(c.events)), declared(t, c.dir, c.method); !slices.Equal(got, want) {
			t.Errorf("%s: events under test %v, declared %v", c.pack, got, want)
		}
		kinds := map[string]string{}
		for name, draw := range c.events {
			t.Run(c.pack+"."+name, func(t *testing.T) {
				rapid.Check(t, func(t *rapid.T) {
					e, at := draw(t), times().Draw(t, "record's time")
					r := c.encode(e, at)
					version := 1
					if i, ok := e.(table.LockIntended); ok && i.Kept != "" {
						version = 2
					}
					if want := c.pack + "." + strings.ToLower(name[:1]) + name[1:]; r.Kind != want || r.Version != version || !r.At.Equal(at) {
						t.Fatalf("record of kind %q version %d at %v, want %q version %d", r.Kind, r.Version, r.At, want, version)
					}
					kinds[r.Kind] = name
					got, err := c.decode(r)
					if err != nil {
						t.Fatalf("%v\n%s", err, r.Body)
					}
					if d := cmp.Diff(e, got); d != "" {
						t.Fatalf("(-want +got)\n%s\n%s", d, r.Body)
					}
				})
			})
		}
		if len(kinds) != len(c.events) {
			t.Errorf("%s: %d kinds for %d events", c.pack, len(kinds), len(c.events))
		}
	}
}

func TestOrphanRoundTrips(t *testing.T) {
	draw := values[journal.Orphan]()
	rapid.Check(t, func(t *rapid.T) {
		o, at := draw(t), times().Draw(t, "at")
		got, err := journal.DecodeOrphan(journal.EncodeOrphan(o.(journal.Orphan), at))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(o, any(got)); d != "" {
			t.Fatalf("(-want +got)\n%s", d)
		}
	})
}

func TestDuplicateRoundTrips(t *testing.T) {
	for kind, draw := range map[string]func(*rapid.T) any{
		"duplicate.wanted": values[txn.DuplicateWanted](), "duplicate.found": values[txn.DuplicateFound](),
	} {
		rapid.Check(t, func(t *rapid.T) {
			e, at := draw(t).(txn.DuplicateEvent), times().Draw(t, "at")
			r := journal.EncodeDuplicate(e, at)
			got, err := journal.DecodeDuplicate(r)
			if err != nil || r.Kind != kind || r.Version != 1 {
				t.Fatalf("%s, version %d: %v", r.Kind, r.Version, err)
			}
			if d := cmp.Diff(e, got); d != "" {
				t.Fatalf("(-want +got)\n%s\n%s", d, r.Body)
			}
		})
	}
}

// TestForms holds what was written to disks once: these bytes are read for
// ever, and version 1 is written like this for ever.
func TestForms(t *testing.T) {
	at := time.Date(2026, time.March, 14, 12, 0, 0, 5, time.UTC)
	later := at.Add(time.Second)
	for _, c := range []struct {
		e    txn.Event
		want string
	}{
		{
			txn.Accepted{
				ID: "r1", Site: "shop", TID: "1001", At: at, Caller: txn.Caller{Face: "pac"},
				Request: txn.Request{Type: txn.Sale, Currency: money.GBP, Amount: 1250, Cashback: 500},
			},
			`{"id":"r1","site":"shop","tid":"1001","request":{"type":"SALE","currency":"GBP","amount":1250,"cashback":500},"caller":{"face":"pac"}}`,
		},
		{txn.Dispatched{At: at}, `{}`},
		{txn.Dispatched{At: later}, `{"at":"2026-03-14T12:00:01.000000005Z"}`},
		{txn.Dispatched{}, `{"at":"0001-01-01T00:00:00Z"}`},
		{txn.Started{}, `{}`},
		{txn.Notified{Value: "INSERT_CARD", At: at}, `{"value":"INSERT_CARD"}`},
		{txn.Notified{Value: "A\"B", At: later}, `{"value":"A\"B","at":"2026-03-14T12:00:01.000000005Z"}`},
		{txn.SignatureAnswered{Accepted: true, By: txn.ByTill, At: at}, `{"accepted":true,"by":"till"}`},
		{
			txn.Ended{At: at, Outcome: txn.Outcome{
				Type: txn.Sale, Result: txn.Declined, Currency: money.EUR, Base: 1 << 60, PAN: "************1234",
				Receipts: receipt.Copies{Merchant: []receipt.Line{
					{Type: receipt.Text, Value: "SALE", Format: []receipt.Format{receipt.Bold}}, {Type: receipt.TicketFeed},
				}},
			}},
			`{"outcome":{"type":"SALE","result":"DECLINED","currency":"EUR","base":1152921504606846976,"pan":"************1234",` +
				`"merchant":[{"f":["BOLD"],"v":"SALE"},{"t":"TICKET_FEED"}]}}`,
		},
		{txn.NeverRan{Reason: txn.Fenced, At: at}, `{"reason":"fenced"}`},
		{txn.Answered{Told: txn.ToldTimedOut, At: at}, `{"told":"timedOut"}`},
	} {
		r := journal.EncodeTxn(c.e, at)
		if string(r.Body) != c.want {
			t.Errorf("%T\n got %s\nwant %s", c.e, r.Body, c.want)
		}
	}
	for _, c := range []struct {
		e    report.Event
		want string
	}{
		{
			report.Brought{
				ID: "v1", Site: "shop", TID: "1001", At: at,
				Report: report.Report{Type: report.Banking, Result: report.Complete, Time: at, Lines: []receipt.Line{{Type: receipt.Text, Value: "BANKING"}}},
			},
			`{"id":"v1","site":"shop","tid":"1001","report":{"type":"BANKING","result":"COMPLETE","time":"2026-03-14T12:00:00.000000005Z","lines":[{"v":"BANKING"}]}}`,
		},
		{report.Delivered{At: at}, `{}`},
		{report.Requeued{By: "anna", At: later}, `{"by":"anna","at":"2026-03-14T12:00:01.000000005Z"}`},
		{report.Requeued{By: "anna", Reason: "lost", At: at}, `{"by":"anna","reason":"lost"}`},
	} {
		r := journal.EncodeReport(c.e, at)
		if string(r.Body) != c.want {
			t.Errorf("%T\n got %s\nwant %s", c.e, r.Body, c.want)
		}
	}
	rec := table.Receipt{
		Paid: 2275, Cashback: 100, Gratuity: 450, AuthCode: "789DE0", Scheme: "VISA", Method: "ICC_CHIP", Time: at,
		TransactionID: "t1", Number: "0012", CVM: "PIN", AID: "A0000000031010", Label: "VISA DEBIT",
		PAN: "************1234", Expiry: "12/29",
		Receipts: receipt.Copies{
			Merchant: []receipt.Line{{Type: receipt.Text, Value: "SALE", Format: []receipt.Format{receipt.Bold}}},
			Customer: []receipt.Line{{Type: receipt.TicketFeed}},
		},
	}
	const recWant = `{"paid":2275,"cashback":100,"gratuity":450,"authCode":"789DE0","scheme":"VISA","method":"ICC_CHIP",` +
		`"time":"2026-03-14T12:00:00.000000005Z","transactionId":"t1","number":"0012","cvm":"PIN","aid":"A0000000031010",` +
		`"label":"VISA DEBIT","pan":"************1234","expiry":"12/29","merchant":[{"f":["BOLD"],"v":"SALE"}],"customer":[{"t":"TICKET_FEED"}]}`
	for _, c := range []struct {
		e    txn.DuplicateEvent
		want string
	}{
		{txn.DuplicateWanted{ID: "d1", Site: "shop", TID: "1001", Caller: txn.Caller{Face: "rest"}, At: at}, `{"id":"d1","site":"shop","tid":"1001","caller":{"face":"rest"}}`},
		{txn.DuplicateFound{At: later}, `{"at":"2026-03-14T12:00:01.000000005Z"}`},
		{txn.DuplicateFound{Outcome: &txn.Outcome{Type: txn.Sale, Result: txn.Void, Currency: money.GBP, Base: 1250}, At: at}, `{"outcome":{"type":"SALE","result":"VOID","currency":"GBP","base":1250}}`},
	} {
		if r := journal.EncodeDuplicate(c.e, at); string(r.Body) != c.want {
			t.Errorf("%T\n got %s\nwant %s", c.e, r.Body, c.want)
		}
	}
	for _, c := range []struct {
		e    table.Event
		want string
	}{
		{table.Opened{ID: "v1", Site: "shop", TID: "1001", Waiter: "3", At: at}, `{"id":"v1","site":"shop","tid":"1001","waiter":"3"}`},
		{table.Opened{ID: "v1", Site: "shop", TID: "1001", At: at}, `{"id":"v1","site":"shop","tid":"1001"}`},
		{table.LockIntended{Table: "12", At: at}, `{"table":"12"}`},
		{table.LockIntended{Table: "12", Kept: "t1", At: at}, `{"table":"12","kept":"t1"}`},
		{table.LockConfirmed{Amount: 4550, Currency: money.GBP, At: at}, `{"amount":4550,"currency":"GBP"}`},
		{table.LockRefused{Why: "in use", At: later}, `{"why":"in use","at":"2026-03-14T12:00:01.000000005Z"}`},
		{table.LockUnanswered{Why: "late", At: at}, `{"why":"late"}`},
		{table.NotAsked{Why: "offline", At: at}, `{"why":"offline"}`},
		{table.BillWanted{At: at}, `{}`},
		{table.BillAnswered{At: at}, `{}`},
		{table.PaymentStarted{Payment: "p1", Asked: 2275, At: at}, `{"payment":"p1","asked":2275}`},
		{table.PaymentTaken{Payment: "p1", Receipt: rec, At: at}, `{"payment":"p1","receipt":` + recWant + `}`},
		{table.PaymentTaken{Payment: "p1", At: at}, `{"payment":"p1","receipt":{"paid":0}}`},
		{table.PaymentNotTaken{Payment: "p1", At: at}, `{"payment":"p1"}`},
		{table.PaymentResolved{Payment: "p1", Taken: true, Receipt: rec, By: "anna", At: at}, `{"payment":"p1","taken":true,"receipt":` + recWant + `,"by":"anna"}`},
		{table.PaymentResolved{Payment: "p1", By: "anna", Reason: "no slip", At: at}, `{"payment":"p1","taken":false,"by":"anna","reason":"no slip"}`},
		{table.PaymentResolved{Payment: "p1", By: "anna", At: at}, `{"payment":"p1","taken":false,"by":"anna"}`},
		{table.Left{Why: "done", At: at}, `{"why":"done"}`},
		{table.TerminalLost{At: at}, `{}`},
		{table.TerminalBack{At: later}, `{"at":"2026-03-14T12:00:01.000000005Z"}`},
		{table.Queued{Notice: table.TransactionResponse, Payments: []table.PaymentID{"p1", "p2"}, At: at}, `{"notice":"transactionResponse","payments":["p1","p2"]}`},
		{table.Queued{Notice: table.TableUnlock, At: at}, `{"notice":"tableUnlock"}`},
		{table.Delivered{N: 1, At: at}, `{"n":1}`},
		{table.Requeued{N: 2, By: "anna", At: at}, `{"n":2,"by":"anna"}`},
		{table.Requeued{N: 2, By: "anna", Reason: "lost", At: at}, `{"n":2,"by":"anna","reason":"lost"}`},
	} {
		r := journal.EncodeTable(c.e, at)
		if string(r.Body) != c.want {
			t.Errorf("%T\n got %s\nwant %s", c.e, r.Body, c.want)
		}
	}
}

func TestCardNumbersAreMasked(t *testing.T) {
	const pan = "4111111111111111"
	line := []receipt.Line{{Type: receipt.Text, Value: "CARD " + pan}, {Type: receipt.Text, Value: "4111 1111 1111 1111"}}
	o := txn.Outcome{PAN: pan, Receipts: receipt.Copies{Merchant: line, Customer: line}}
	taken := table.Receipt{PAN: pan, Receipts: receipt.Copies{Merchant: line, Customer: line}}
	for _, r := range []journal.Record{
		journal.EncodeTxn(txn.Ended{Outcome: o}, time.Time{}),
		journal.EncodeTxn(txn.Contradicted{Outcome: o}, time.Time{}),
		journal.EncodeTxn(txn.SignatureWanted{Wish: txn.SignatureWish{PAN: pan, Merchant: line}}, time.Time{}),
		journal.EncodeTxn(txn.Resolved{Resolution: txn.Resolution{Reason: "card " + pan + " was charged"}}, time.Time{}),
		journal.EncodeReport(report.Made{Report: report.Report{Lines: line}}, time.Time{}),
		journal.EncodeReport(report.NotMade{Reason: pan}, time.Time{}),
		journal.EncodeReport(report.Brought{Report: report.Report{Lines: line}}, time.Time{}),
		journal.EncodeReport(report.Dispatched{Deviations: []string{pan}}, time.Time{}),
		journal.EncodeTxn(txn.Accepted{Deviations: []string{"member " + pan}}, time.Time{}),
		journal.EncodeOrphan(journal.Orphan{Outcome: &o, Report: &report.Report{Lines: line}}, time.Time{}),
		journal.EncodeDuplicate(txn.DuplicateFound{Outcome: &o}, time.Time{}),
		journal.EncodeDuplicate(txn.DuplicateWanted{Deviations: []string{pan}}, time.Time{}),
		journal.EncodeTable(table.PaymentTaken{Receipt: taken}, time.Time{}),
		journal.EncodeTable(table.PaymentResolved{Receipt: taken}, time.Time{}),
		journal.EncodeTable(table.PaymentResolved{Reason: "card " + pan}, time.Time{}),
		journal.EncodeTable(table.LockRefused{Why: "card " + pan}, time.Time{}),
		journal.EncodeTable(table.LockUnanswered{Why: "card " + pan}, time.Time{}),
		journal.EncodeTable(table.NotAsked{Why: "card " + pan}, time.Time{}),
		journal.EncodeTable(table.Left{Why: "card " + pan}, time.Time{}),
		journal.EncodeTable(table.Requeued{N: 1, Reason: "card " + pan}, time.Time{}),
		journal.EncodeReport(report.Requeued{Reason: "card " + pan}, time.Time{}),
	} {
		body := string(r.Body)
		if strings.Contains(body, pan[:12]) || strings.Contains(body, "4111 1111") || !strings.Contains(body, "1111") {
			t.Errorf("%s: %s", r.Kind, body)
		}
	}
	if o.PAN != pan || taken.PAN != pan || line[0].Value != "CARD "+pan {
		t.Error("the event itself was changed")
	}
}

// TestIDsThatLookLikeCardsAreKept: an id that was changed would be another.
func TestIDsThatLookLikeCardsAreKept(t *testing.T) {
	const uuid = "0d7f2a4f-6a52-4c0c-9abe-411111111117"
	if receipt.MaskPANs(uuid) == uuid {
		t.Fatal("this id does not look like a card number")
	}
	for _, e := range []table.Event{
		table.PaymentStarted{Payment: uuid},
		table.PaymentTaken{Payment: uuid, Receipt: table.Receipt{TransactionID: uuid}},
		table.PaymentNotTaken{Payment: uuid},
		table.PaymentResolved{Payment: uuid},
		table.Queued{Payments: []table.PaymentID{uuid}},
		table.LockIntended{Table: uuid},
	} {
		got, err := journal.DecodeTable(journal.EncodeTable(e, time.Time{}))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(e, got); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
	}
}

func TestWhatAnyClockSaysIsKept(t *testing.T) {
	for _, at := range []time.Time{
		time.Date(12026, time.January, 1, 0, 0, 0, 0, time.UTC),
		time.Date(-5, time.January, 1, 0, 0, 0, 0, time.UTC),
		time.Date(9999, time.December, 31, 23, 59, 59, 0, time.FixedZone("west", -3600)),
		time.Now(),
	} {
		r := journal.EncodeTxn(txn.Ended{Outcome: txn.Outcome{Time: at, Label: "\xff"}, At: at}, at)
		e, err := journal.DecodeTxn(r)
		if err != nil {
			t.Errorf("%v: %v", at, err)
			continue
		}
		if got := e.(txn.Ended).Outcome; got.Time.Location() != time.UTC || got.Label != "\uFFFD" {
			t.Errorf("%v: %v, label %q", at, got.Time, got.Label)
		}
	}
}

func TestRefusedRecords(t *testing.T) {
	for name, c := range map[string]struct {
		r     journal.Record
		newer bool
	}{
		"unknown kind":   {journal.Record{Kind: "txn.vanished", Version: 1, Body: []byte(`{}`)}, false},
		"newer":          {journal.Record{Kind: "txn.started", Version: 2, Body: []byte(`{}`)}, true},
		"no version":     {journal.Record{Kind: "txn.started", Body: []byte(`{}`)}, false},
		"unknown member": {journal.Record{Kind: "txn.started", Version: 1, Body: []byte(`{"x":1}`)}, false},
		"twice":          {journal.Record{Kind: "txn.answered", Version: 1, Body: []byte(`{"told":"error","told":"result"}`)}, false},
		"a float":        {journal.Record{Kind: "txn.ended", Version: 1, Body: []byte(`{"outcome":{"base":12.5}}`)}, false},
		"other case":     {journal.Record{Kind: "txn.answered", Version: 1, Body: []byte(`{"Told":"error"}`)}, false},
		"not JSON":       {journal.Record{Kind: "txn.started", Version: 1, Body: []byte(`{`)}, false},
		"empty":          {journal.Record{Kind: "txn.started", Version: 1}, false},
	} {
		var newer *journal.NewerError
		if _, err := journal.DecodeTxn(c.r); err == nil || errors.As(err, &newer) != c.newer {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := journal.ReplayTxn([]journal.Record{c.r}); err == nil || errors.As(err, &newer) != c.newer {
			t.Errorf("%s, replayed: %v", name, err)
		}
	}
	if _, err := journal.DecodeReport(journal.Record{Kind: "report.gaveUp", Version: 9}); !errors.As(err, new(*journal.NewerError)) {
		t.Errorf("newer report: %v", err)
	}
	if _, err := journal.DecodeTable(journal.Record{Kind: "table.left", Version: 9}); !errors.As(err, new(*journal.NewerError)) {
		t.Errorf("newer visit: %v", err)
	}
	if _, err := journal.DecodeTable(journal.Record{Kind: "txn.started", Version: 1, Body: []byte(`{}`)}); err == nil {
		t.Error("a transaction's record was read as a visit's")
	}
	if _, err := journal.ReplayTable([]journal.Record{{Kind: "table.vanished", Version: 1, Body: []byte(`{}`)}}); err == nil {
		t.Error("an unknown kind was replayed")
	}
	// The records are fine; the machine does not allow them.
	if _, err := journal.ReplayTxn([]journal.Record{journal.EncodeTxn(txn.Started{}, time.Time{})}); !errors.As(err, new(*txn.IllegalMove)) {
		t.Errorf("replay of a start alone: %v", err)
	}
	if _, err := journal.ReplayTable([]journal.Record{journal.EncodeTable(table.Left{}, time.Time{})}); !errors.As(err, new(*table.IllegalMove)) {
		t.Errorf("replay of an end alone: %v", err)
	}
}

// FuzzDecode holds that no bytes make a decoder panic, and that what it takes
// is kept whole when it is written again.
func FuzzDecode(f *testing.F) {
	outcome := txn.Outcome{Type: txn.Sale, Time: time.Unix(1, 0), PAN: "1234", Receipts: receipt.Copies{Merchant: []receipt.Line{{Value: "x"}}}}
	made, _ := report.New(money.GBP).Add(report.Entry{Total: 1, Issuer: "VISA", Acquirer: "BANK"}).Make(report.EndOfDay, time.Unix(1, 0))
	for _, r := range []journal.Record{
		journal.EncodeTxn(txn.Accepted{ID: "r"}, time.Time{}),
		journal.EncodeTxn(txn.Notified{Value: "x"}, time.Time{}),
		journal.EncodeTxn(txn.SignatureWanted{}, time.Time{}),
		journal.EncodeTxn(txn.Ended{Outcome: outcome}, time.Time{}),
		journal.EncodeTxn(txn.Resolved{}, time.Time{}),
		journal.EncodeReport(report.Made{Report: made}, time.Time{}),
		journal.EncodeReport(report.NotMade{Reason: "x"}, time.Time{}),
		journal.EncodeReport(report.Brought{ID: "v", Report: made}, time.Time{}),
		journal.EncodeReport(report.Requeued{By: "x"}, time.Time{}),
		journal.EncodeOrphan(journal.Orphan{Outcome: &outcome, Report: &made}, time.Time{}),
		journal.EncodeDuplicate(txn.DuplicateWanted{ID: "d"}, time.Time{}),
		journal.EncodeDuplicate(txn.DuplicateFound{Outcome: &outcome}, time.Time{}),
		journal.EncodeTable(table.Opened{ID: "v", Waiter: "3"}, time.Time{}),
		journal.EncodeTable(table.LockConfirmed{Amount: 1, Currency: money.GBP}, time.Time{}),
		journal.EncodeTable(table.LockRefused{Why: "x"}, time.Time{}),
		journal.EncodeTable(table.PaymentTaken{Payment: "p", Receipt: table.Receipt{Paid: 1, PAN: "1234", Time: time.Unix(1, 0), Receipts: outcome.Receipts}}, time.Time{}),
		journal.EncodeTable(table.PaymentResolved{Payment: "p", Taken: true, By: "x"}, time.Time{}),
		journal.EncodeTable(table.Queued{Notice: table.TableUnlock, Payments: []table.PaymentID{"p"}}, time.Time{}),
		journal.EncodeTable(table.Requeued{N: 1, By: "x"}, time.Time{}),
	} {
		f.Add(r.Kind, 1, int64(0), r.Body)
	}
	f.Fuzz(func(t *testing.T, kind string, version int, at int64, body []byte) {
		r := journal.Record{Kind: kind, Version: version, At: time.Unix(at, 0), Body: body}
		again := func(decode func(journal.Record) (any, error), encode func(any) journal.Record) {
			e, err := decode(r)
			if err != nil {
				return
			}
			r2 := encode(e)
			e2, err := decode(r2)
			if err != nil {
				t.Fatalf("%s\nwritten again as %s: %v", body, r2.Body, err)
			}
			if d := cmp.Diff(e, e2); d != "" {
				t.Fatalf("%s\nwritten again as %s\n%s", body, r2.Body, d)
			}
		}
		again(func(r journal.Record) (any, error) { return journal.DecodeTxn(r) },
			func(e any) journal.Record { return journal.EncodeTxn(e.(txn.Event), r.At) })
		again(func(r journal.Record) (any, error) { return journal.DecodeReport(r) },
			func(e any) journal.Record { return journal.EncodeReport(e.(report.Event), r.At) })
		again(func(r journal.Record) (any, error) { return journal.DecodeTable(r) },
			func(e any) journal.Record { return journal.EncodeTable(e.(table.Event), r.At) })
		again(func(r journal.Record) (any, error) { return journal.DecodeOrphan(r) },
			func(e any) journal.Record { return journal.EncodeOrphan(e.(journal.Orphan), r.At) })
		again(func(r journal.Record) (any, error) { return journal.DecodeDuplicate(r) },
			func(e any) journal.Record { return journal.EncodeDuplicate(e.(txn.DuplicateEvent), r.At) })
	})
}

func TestHeads(t *testing.T) {
	at := time.Date(2026, time.March, 14, 12, 0, 0, 0, time.UTC)
	accepted := txn.Accepted{ID: "r1", Site: "shop", TID: "1001", At: at, Request: txn.Request{Type: txn.Sale, Currency: money.GBP, Amount: 1000, Cashback: 250}}
	dispatched := txn.Dispatched{At: at.Add(time.Second)}
	reversed := txn.Ended{Outcome: txn.Outcome{Type: txn.SaleReversal, Result: txn.Successful}}
	base := journal.Head{
		Stream: "r1", Kind: journal.TransactionStream, Site: "shop", TID: "1001", Type: "SALE", Open: true,
		Minor: 1250, Currency: "GBP", AcceptedAt: at, DispatchedAt: dispatched.At, Counts: true,
	}
	for _, c := range []struct {
		name   string
		events []txn.Event
		change func(*journal.Head)
	}{
		{"requested", nil, func(h *journal.Head) { h.State, h.Counts, h.DispatchedAt = "requested", false, time.Time{} }},
		{"at terminal", []txn.Event{dispatched}, func(h *journal.Head) { h.State = "atTerminal" }},
		{"given up", []txn.Event{dispatched, txn.LinkLost{}, txn.Answered{Told: txn.ToldTimedOut}}, func(h *journal.Head) {
			h.State, h.Told = "unresolved", "timedOut"
		}},
		{"reversed, not yet told", []txn.Event{dispatched, reversed}, func(h *journal.Head) {
			h.State, h.Type, h.Result = "finished", "SALE_REVERSAL", "SUCCESSFUL"
		}},
		{"reversed", []txn.Event{dispatched, reversed, txn.Answered{Told: txn.ToldResult}}, func(h *journal.Head) {
			h.State, h.Type, h.Result, h.Told, h.Open = "finished", "SALE_REVERSAL", "SUCCESSFUL", "result", false
		}},
		{"did not run, told as a result", []txn.Event{dispatched, txn.NeverRan{Reason: txn.Fenced}, txn.Answered{Told: txn.ToldResult}}, func(h *journal.Head) {
			h.State, h.Told, h.Open = "finished", "result", false
		}},
		{"did not run, told as an error", []txn.Event{dispatched, txn.NeverRan{Reason: txn.WasBusy}, txn.Answered{Told: txn.ToldError}}, func(h *journal.Head) {
			h.State, h.Told, h.Open, h.Counts = "finished", "error", false, false
		}},
		{"resolved", []txn.Event{dispatched, txn.LinkLost{}, txn.Answered{Told: txn.ToldTimedOut}, txn.Resolved{Resolution: txn.Resolution{Result: txn.Unsuccessful}}}, func(h *journal.Head) {
			h.State, h.Told, h.Open, h.Result = "finished", "timedOut", true, "UNSUCCESSFUL"
		}},
		{"resolved, and the till was corrected", []txn.Event{dispatched, txn.LinkLost{}, txn.Answered{Told: txn.ToldTimedOut}, txn.Resolved{Resolution: txn.Resolution{Result: txn.Unsuccessful}}, txn.Corrected{}}, func(h *journal.Head) {
			h.State, h.Told, h.Open, h.Result = "finished", "timedOut", false, "UNSUCCESSFUL"
		}},
		{
			"resolved and contradicted",
			[]txn.Event{
				dispatched,
				txn.LinkLost{},
				txn.Answered{Told: txn.ToldTimedOut},
				txn.Resolved{Resolution: txn.Resolution{Result: txn.Unsuccessful}},
				txn.Contradicted{Outcome: txn.Outcome{Type: txn.Sale, Result: txn.Successful}},
			},
			func(h *journal.Head) {
				h.State, h.Told, h.Open, h.Result = "finished", "timedOut", true, "SUCCESSFUL"
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			events := append([]txn.Event{accepted}, c.events...)
			tr, err := txn.Replay(events...)
			if err != nil {
				t.Fatal(err)
			}
			want := base
			c.change(&want)
			if d := cmp.Diff(want, journal.TxnHead(tr)); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
			var records []journal.Record
			for _, e := range events {
				records = append(records, journal.EncodeTxn(e, at))
			}
			got, err := journal.HeadOf(journal.TransactionStream, records)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("from records (-want +got)\n%s", d)
			}
		})
	}
	for _, c := range []struct {
		run  report.Run
		open bool
	}{
		{report.Run{State: report.Asked}, true},
		{report.Run{State: report.Unknown, Told: report.TimedOut}, true},
		{report.Run{State: report.Finished, Failed: "busy"}, false},
		{report.Run{State: report.Finished, Report: &report.Report{Result: report.Complete}, Brought: true}, true},
		{report.Run{State: report.Finished, Report: &report.Report{Result: report.Complete}, Brought: true, Delivered: true}, false},
		{report.Run{State: report.Finished, Report: &report.Report{Result: report.Complete}}, false},
	} {
		if h := journal.ReportHead(c.run); h.Open != c.open || h.Counts {
			t.Errorf("%+v: open %t, counts %t", c.run, h.Open, h.Counts)
		}
	}
	if _, err := journal.HeadOf("nobody knows", nil); err == nil {
		t.Error("a head of an unknown kind of stream")
	}
}

func TestVisitHeads(t *testing.T) {
	at := time.Date(2026, time.March, 14, 12, 0, 0, 0, time.UTC)
	var (
		opened   = table.Opened{ID: "v1", Site: "shop", TID: "1001", Waiter: "3", At: at}
		intended = table.LockIntended{Table: "12", At: at}
		locked   = table.LockConfirmed{Amount: 4550, Currency: money.GBP, At: at}
		started  = table.PaymentStarted{Payment: "p1", Asked: 4550, At: at}
		left     = table.Left{Why: "done"}
		told     = table.Queued{Notice: table.TransactionResponse, Payments: []table.PaymentID{"p1"}}
		unlock   = table.Queued{Notice: table.TableUnlock}
	)
	taken := func(paid money.Minor) table.Event {
		return table.PaymentTaken{Payment: "p1", Receipt: table.Receipt{Paid: paid, Gratuity: 450}}
	}
	for _, c := range []struct {
		name   string
		events []table.Event
		state  table.State
		result string
		due    int64
		done   bool
	}{
		{"begun", []table.Event{opened}, table.Listing, "", 0, false},
		{"asked", []table.Event{opened, intended}, table.Locking, "", 0, false},
		{"no lock", []table.Event{opened, intended, table.LockRefused{Why: "in use"}}, table.Refused, "REFUSED", 0, true},
		{"nothing chosen", []table.Event{opened, left}, table.Refused, "REFUSED", 0, true},
		{"no answer", []table.Event{opened, intended, table.LockUnanswered{Why: "late"}}, table.Settled, "UNPAID", 0, false},
		{"locked", []table.Event{opened, intended, locked}, table.Locked, "", 4550, false},
		{"printing", []table.Event{opened, intended, locked, table.BillWanted{}}, table.Printing, "", 4550, false},
		{"paying", []table.Event{opened, intended, locked, started, taken(4550)}, table.Paying, "", 4550, false},
		{"nobody knows", []table.Event{opened, intended, locked, started, table.TerminalLost{}}, table.Unresolved, "", 4550, false},
		{"nothing taken", []table.Event{opened, intended, locked, started, table.PaymentNotTaken{Payment: "p1"}, left}, table.Settled, "UNPAID", 4550, false},
		{"a part taken", []table.Event{opened, intended, locked, started, taken(4549), left}, table.Settled, "PART_PAID", 4550, false},
		{"all taken", []table.Event{opened, intended, locked, started, taken(4550), left}, table.Settled, "PAID", 4550, false},
		{
			"resolved by an operator",
			[]table.Event{opened, intended, locked, started, table.TerminalLost{}, table.PaymentResolved{Payment: "p1", Taken: true, Receipt: table.Receipt{Paid: 4550}, By: "anna"}},
			table.Settled, "PAID", 4550, false,
		},
		{"owed", []table.Event{opened, intended, locked, started, taken(4550), left, told, unlock, table.Delivered{N: 1}}, table.Unlocked, "PAID", 4550, false},
		{"done", []table.Event{opened, intended, locked, started, taken(4550), left, told, unlock, table.Delivered{N: 1}, table.Delivered{N: 2}}, table.Unlocked, "PAID", 4550, true},
		{
			"owed again",
			[]table.Event{opened, intended, locked, started, taken(4550), left, told, unlock, table.Delivered{N: 1}, table.Delivered{N: 2}, table.Requeued{N: 1, By: "anna"}},
			table.Unlocked, "PAID", 4550, false,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := table.Replay(c.events...)
			if err != nil {
				t.Fatal(err)
			}
			want := journal.Head{
				Stream: "v1", Kind: journal.VisitStream, Site: "shop", TID: "1001", Type: "VISIT",
				State: string(c.state), Result: c.result, Open: !c.done, Minor: c.due, AcceptedAt: at,
			}
			if c.due > 0 {
				want.Currency = "GBP"
			}
			if d := cmp.Diff(want, journal.TableHead(v)); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
			var records []journal.Record
			for _, e := range c.events {
				records = append(records, journal.EncodeTable(e, at))
			}
			got, err := journal.HeadOf(journal.VisitStream, records)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("from records (-want +got)\n%s", d)
			}
		})
	}
}
