package journal_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/table"
)

func keptEvents() map[string]func(*rapid.T) any {
	return map[string]func(*rapid.T) any{
		"Created":          values[table.Created](),
		"AmountChanged":    values[table.AmountChanged](),
		"ReceiptChanged":   values[table.ReceiptChanged](),
		"WaitersChanged":   values[table.WaitersChanged](),
		"TillLocked":       values[table.TillLocked](),
		"TillUnlocked":     values[table.TillUnlocked](),
		"TerminalLocked":   values[table.TerminalLocked](),
		"TerminalUnlocked": values[table.TerminalUnlocked](),
		"UnlockedByHand":   values[table.UnlockedByHand](),
		"PaymentBooked":    values[table.PaymentBooked](),
		"Removed":          values[table.Removed](),
	}
}

// TestKeptForms is TestForms for kept tables.
func TestKeptForms(t *testing.T) {
	at := time.Date(2026, time.March, 14, 12, 0, 0, 5, time.UTC)
	later := at.Add(time.Second)
	known := table.Known{Amount: 4550, Paid: 2275}
	const knownWant = `"known":{"amount":4550,"paid":2275}`
	for _, c := range []struct {
		e    table.KeptEvent
		want string
	}{
		{
			table.Created{
				ID: "t1", Site: "shop", Name: "12", Amount: 4550, Currency: money.GBP, Waiters: []table.WaiterID{"3"}, By: "till1", At: at,
				Receipt: []receipt.Line{{Type: receipt.Text, Value: "SOUP"}, {Type: receipt.BarcodeCode39, Value: "T12"}},
			},
			`{"id":"t1","site":"shop","name":"12","amount":4550,"currency":"GBP","receipt":[{"v":"SOUP"},{"t":"BARCODE_CODE39","v":"T12"}],"waiters":["3"],"by":"till1"}`,
		},
		{table.Created{ID: "t1", Site: "shop", Name: "12", Currency: money.EUR, At: at}, `{"id":"t1","site":"shop","name":"12","amount":0,"currency":"EUR"}`},
		{table.AmountChanged{Known: known, Amount: 5000, By: "till1", At: at}, `{` + knownWant + `,"amount":5000,"by":"till1"}`},
		{table.AmountChanged{Deviations: []string{"/extra"}, At: at}, `{"known":{"amount":0},"amount":0,"deviations":["/extra"]}`},
		{table.AmountChanged{At: later}, `{"known":{"amount":0},"amount":0,"at":"2026-03-14T12:00:01.000000005Z"}`},
		{table.ReceiptChanged{Known: known, At: at}, `{` + knownWant + `}`},
		{table.WaitersChanged{Known: known, Waiters: []table.WaiterID{"3", "4"}, At: at}, `{` + knownWant + `,"waiters":["3","4"]}`},
		{table.TillLocked{Known: known, Holder: "till2", Over: "till1", By: "u", At: at}, `{` + knownWant + `,"holder":"till2","over":"till1","by":"u"}`},
		{table.TillUnlocked{Known: known, At: at}, `{` + knownWant + `}`},
		{table.TerminalLocked{TID: "1001", Visit: "v1", Waiter: "3", At: at}, `{"tid":"1001","visit":"v1","waiter":"3"}`},
		{table.TerminalUnlocked{Visit: "v1", At: at}, `{"visit":"v1"}`},
		{table.UnlockedByHand{By: "anna", Reason: "broken", At: at}, `{"by":"anna","reason":"broken"}`},
		{
			table.PaymentBooked{Payment: "p1", Visit: "v1", TID: "1001", Waiter: "3", Receipt: table.Receipt{Paid: 2275, Gratuity: 450, Scheme: "VISA", Time: at}, At: at},
			`{"payment":"p1","visit":"v1","tid":"1001","waiter":"3","receipt":{"paid":2275,"gratuity":450,"scheme":"VISA","time":"2026-03-14T12:00:00.000000005Z"}}`,
		},
		{table.Removed{Known: known, By: "till1", At: at}, `{` + knownWant + `,"by":"till1"}`},
	} {
		if r := journal.EncodeKept(c.e, at); string(r.Body) != c.want {
			t.Errorf("%T\n got %s\nwant %s", c.e, r.Body, c.want)
		}
	}
}

// TestKeptMasks: card numbers are masked wherever a person wrote; what a till
// knows its own by is kept.
func TestKeptMasks(t *testing.T) {
	const pan = "4111111111111111"
	text := []receipt.Line{{Type: receipt.Text, Value: "CARD " + pan}}
	for _, e := range []table.KeptEvent{
		table.Created{Receipt: text},
		table.Created{By: pan},
		table.ReceiptChanged{Receipt: text},
		table.AmountChanged{By: pan},
		table.WaitersChanged{By: pan},
		table.TillLocked{By: pan},
		table.TillUnlocked{By: pan},
		table.Removed{By: pan},
		table.Created{Deviations: []string{pan}},
		table.TillLocked{Deviations: []string{pan}},
		table.Removed{Deviations: []string{pan}},
		table.UnlockedByHand{Reason: "card " + pan},
		table.PaymentBooked{Receipt: table.Receipt{PAN: pan}},
	} {
		if body := string(journal.EncodeKept(e, time.Time{}).Body); strings.Contains(body, pan[:12]) || !strings.Contains(body, "1111") {
			t.Errorf("%T: %s", e, body)
		}
	}
	for _, e := range []table.KeptEvent{
		table.Created{ID: pan, Name: pan, Waiters: []table.WaiterID{pan}, Receipt: []receipt.Line{{Type: receipt.BarcodeCode128, Value: pan}}},
		table.ReceiptChanged{Receipt: []receipt.Line{{Type: receipt.Text, Value: "x"}, {Type: receipt.BarcodeCode25, Value: pan}}},
		table.TillLocked{Holder: pan, Over: pan},
		table.PaymentBooked{Payment: pan, Visit: pan},
	} {
		got, err := journal.DecodeKept(journal.EncodeKept(e, time.Time{}))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(e, got); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
	}
}

func TestKeptHeads(t *testing.T) {
	at := time.Date(2026, time.March, 14, 12, 0, 0, 0, time.UTC)
	created := table.Created{ID: "t1", Site: "shop", Name: "12", Amount: 4550, Currency: money.GBP, At: at}
	paid := func(id table.PaymentID, m money.Minor) table.KeptEvent {
		return table.PaymentBooked{Payment: id, Visit: "v1", TID: "1001", Receipt: table.Receipt{Paid: m}}
	}
	removed := func(m money.Minor) table.KeptEvent { return table.Removed{Known: table.Known{Amount: 4550, Paid: m}} }
	for _, c := range []struct {
		name   string
		then   []table.KeptEvent
		state  table.KeptState
		result string
		open   bool
	}{
		{"stored", nil, table.Free, "", true},
		{"locked", []table.KeptEvent{table.TillLocked{Known: table.Known{Amount: 4550}}}, table.HeldByTill, "", true},
		{"in a visit", []table.KeptEvent{table.TerminalLocked{TID: "1001", Visit: "v1"}}, table.HeldByTerminal, "", true},
		{"paid", []table.KeptEvent{paid("p1", 4550)}, table.Free, "", true},
		{"deleted", []table.KeptEvent{removed(0)}, table.Deleted, "UNPAID", false},
		{"half paid, deleted", []table.KeptEvent{paid("p1", 2275), removed(2275)}, table.Deleted, "PART_PAID", false},
		{"paid, deleted", []table.KeptEvent{paid("p1", 4550), removed(4550)}, table.Deleted, "PAID", false},
		{"paid afterwards", []table.KeptEvent{removed(0), paid("p1", 4550)}, table.Stray, "PAID", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var records []journal.Record
			for _, e := range append([]table.KeptEvent{created}, c.then...) {
				records = append(records, journal.EncodeKept(e, at))
			}
			got, err := journal.HeadOf(journal.KeptStream, records)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(journal.Head{
				Stream: "t1", Kind: journal.KeptStream, Site: "shop", Type: "TABLE", State: string(c.state), Result: c.result,
				Open: c.open, Minor: 4550, Currency: "GBP", AcceptedAt: at,
			}, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

func TestRefusedKeptRecords(t *testing.T) {
	newer := &journal.NewerError{}
	if _, err := journal.DecodeKept(journal.Record{Kind: "kept.removed", Version: 2, Body: []byte(`{}`)}); !errors.As(err, &newer) {
		t.Errorf("a newer one: %v", err)
	}
	if _, err := journal.DecodeTable(journal.Record{Kind: "table.lockIntended", Version: 3, Body: []byte(`{}`)}); !errors.As(err, &newer) {
		t.Errorf("a newer intention: %v", err)
	}
	for name, r := range map[string]journal.Record{
		"an unknown kind":   {Kind: "kept.vanished", Version: 1, Body: []byte(`{}`)},
		"a visit's":         {Kind: "table.opened", Version: 1, Body: []byte(`{}`)},
		"an unknown member": {Kind: "kept.terminalUnlocked", Version: 1, Body: []byte(`{"visit":"v","x":1}`)},
	} {
		if _, err := journal.ReplayKept([]journal.Record{r}); err == nil || errors.As(err, &newer) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := journal.ReplayKept([]journal.Record{journal.EncodeKept(table.Removed{}, time.Time{})}); !errors.As(err, new(*table.KeptRefusal)) {
		t.Errorf("replay of an end alone: %v", err)
	}
}

// FuzzDecodeKept is FuzzDecode for kept tables.
func FuzzDecodeKept(f *testing.F) {
	for _, e := range []table.KeptEvent{
		table.Created{ID: "t", Name: "12", Receipt: []receipt.Line{{Type: receipt.BarcodeCode39, Value: "1"}}, Waiters: []table.WaiterID{"3"}},
		table.AmountChanged{Amount: 1},
		table.TillLocked{Holder: "a", Over: "b"},
		table.TerminalLocked{TID: "1", Visit: "v"},
		table.PaymentBooked{Payment: "p", Receipt: table.Receipt{Paid: 1}},
		table.Removed{By: "x"},
		table.UnlockedByHand{By: "x"},
	} {
		r := journal.EncodeKept(e, time.Time{})
		f.Add(r.Kind, int64(0), r.Body)
	}
	f.Fuzz(func(t *testing.T, kind string, at int64, body []byte) {
		r := journal.Record{Kind: kind, Version: 1, At: time.Unix(at, 0), Body: body}
		e, err := journal.DecodeKept(r)
		if err != nil {
			return
		}
		again, err := journal.DecodeKept(journal.EncodeKept(e, r.At))
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if d := cmp.Diff(e, again); d != "" {
			t.Fatalf("%s\n%s", body, d)
		}
	})
}
