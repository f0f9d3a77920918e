package console

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tillwire/tillwire/internal/browser"
)

// TestTransactionsPage: the list on a phone and on a desk, what is older, and
// texts that stay texts.
func TestTransactionsPage(t *testing.T) {
	b := browser.Start(t)
	const strange = `<img src=x onerror="document.title='gone'">`
	l := &fakeLedger{life: Life{
		LedgerEntry: LedgerEntry{
			ID: "r1", Kind: "transaction", TID: strange, Type: "SALE", Amount: 123456, Currency: "GBP", State: "unresolved", True: "not known", Told: "timedOut",
			Accepted: "2026-10-07T21:00:00.123Z", Doubt: &Doubt{Since: "2026-10-07T21:00:10.000Z", Why: strange},
		},
		Facts:      []Fact{{"Told", "TIMED_OUT", "unsure"}, {"True", "not known", "unsure"}, {"By", strange, ""}},
		Steps:      []LifeStep{{Seq: 1, Kind: "txn.accepted", At: "2026-10-07T21:00:00.123Z", Text: strange, Body: []byte(`{"a":"<b>"}`)}},
		Copies:     []PaperCopy{{Title: "Merchant copy", Lines: []Line{{Type: "TEXT", Value: strange}}}},
		Resolvable: true,
	}}
	_, url := serve(t, Config{House: &fakeHouse{sites: []string{"demo", "shop"}}, Dev: true, Ledger: l})
	for _, width := range []int{360, 1280} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			tab := b.Open(t, url+"/console/transactions?view=unresolved&site=shop", width, 800)
			tab.WaitText("#entries", "£1,234.56")
			tab.WaitText("#entries", strange)
			for _, fault := range append(tab.Unlabelled(), tab.TooWide()...) {
				t.Error(fault)
			}
			tab.Click("#older")
			tab.Wait(`new URLSearchParams(location.search).get("to")?.endsWith(":00.124")`)
			tab.WaitText("#entries", "£1,234.56")
			tab.Click("#entries tbody th a")
			tab.WaitText("#timeline", strange)
			tab.WaitText(".receipt", strange)
			tab.WaitText("#facts", strange)
			for _, fault := range append(tab.Unlabelled(), tab.TooWide()...) {
				t.Error(fault)
			}
			tab.Click("#taken-no")
			tab.Fill("#reason", "acquirer, ref 4711")
			tab.Keys("\r")
			tab.Wait(`!document.getElementById("record").disabled`)
		})
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	resolved := 0
	for _, a := range l.asked {
		if strings.HasPrefix(a, "resolve shop {ID:r1 Payment: Taken:false By:console Reason:acquirer, ref 4711") {
			resolved++
		}
		if strings.Contains(a, "demo") {
			t.Errorf("another site was asked for: %s", a)
		}
	}
	if resolved != 2 {
		t.Errorf("resolved %d times: %q", resolved, l.asked)
	}
}
