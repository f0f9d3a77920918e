package sim

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// A served table is a machine by hand with a gateway that knows tables.
type served struct {
	*hall
	hands
	p *Park
}

func serve(t *testing.T, tid string) *served {
	t.Helper()
	p := open(t, Options{Speed: 1})
	h := newHall(t, p, txn.TID("VCMDEMO"+tid))
	h.m.Touch(true)
	return &served{h, hands{t, h.m}, p}
}

// signsIn is MENU, tables, and the waiter's number.
func signsIn(waiter string) []string {
	return []string{"key menu", "key f1", "number " + waiter}
}

func TestTablesByHand(t *testing.T) {
	begin := []string{"tables for 3", "table 12"}
	pay := []string{"insert visa-debit", "pin 1234", "out", "choose enter"}
	both := []Copy{MerchantCopy, CustomerCopy}
	for _, c := range []struct {
		name    string
		with    func(*served)
		acts    []string
		want    []string // what the gateway hears
		paid    money.Minor
		tips    money.Minor
		printed []Copy
	}{
		{
			name: "the whole bill", acts: slices.Concat([]string{"choose 1", "choose enter", "choose enter"}, pay, []string{"choose enter"}),
			want: append(slices.Clip(begin), "started 45.50", "ended taken=true", "left: paid"), paid: 4550,
			printed: append(slices.Clip(both), FinalCopy),
		},
		{
			name: "with a bill and a gratuity", acts: slices.Concat([]string{"choose 1", "choose f3", "choose enter", "choose f1"}, pay, []string{"choose enter"}),
			want: append(slices.Clip(begin), "bill", "started 45.50", "ended taken=true", "left: paid"), paid: 4550, tips: 455,
			printed: []Copy{BillCopy, MerchantCopy, CustomerCopy, FinalCopy},
		},
		{
			name: "a gratuity as an amount", acts: slices.Concat([]string{"choose 1", "choose enter", "choose f4", "amount 500"}, pay, []string{"choose enter"}),
			want: append(slices.Clip(begin), "started 45.50", "ended taken=true", "left: paid"), paid: 4550, tips: 500,
			printed: append(slices.Clip(both), FinalCopy),
		},
		{
			name: "no gratuity after all, and nobody pays", acts: []string{"choose 1", "choose enter", "choose cancel", "choose cancel", "choose enter"},
			want: append(slices.Clip(begin), "left: cancelled"), printed: []Copy{FinalCopy},
		},
		{
			name: "split in three",
			acts: slices.Concat(
				[]string{"choose 1", "choose f1", "number 3", "choose enter", "choose enter"}, pay,
				[]string{"choose enter", "choose enter", "tap phone", "wait 12s", "choose enter", "choose enter"}, pay, []string{"choose enter"},
			),
			want: append(slices.Clip(begin), "started 15.18", "ended taken=true", "started 15.16", "ended taken=true", "started 15.16", "ended taken=true", "left: paid"),
			paid: 4550, printed: []Copy{MerchantCopy, CustomerCopy, MerchantCopy, MerchantCopy, CustomerCopy, FinalCopy},
		},
		{
			name: "a part, and then the rest",
			acts: slices.Concat(
				[]string{"choose 1", "choose f2", "amount 99999", "amount 1000", "choose enter"}, pay,
				[]string{"choose enter", "choose f1"}, pay, []string{"choose enter"},
			),
			want: append(slices.Clip(begin), "started 10.00", "ended taken=true", "started 35.50", "ended taken=true", "left: paid"),
			paid: 4550, tips: 355, printed: []Copy{MerchantCopy, CustomerCopy, MerchantCopy, CustomerCopy, FinalCopy},
		},
		{
			name: "a part, and the rest is left",
			acts: slices.Concat([]string{"choose 1", "choose f2", "amount 1000", "choose enter"}, pay, []string{"choose cancel", "choose enter"}),
			want: append(slices.Clip(begin), "started 10.00", "ended taken=true", "left: left with a balance"),
			paid: 1000, printed: append(slices.Clip(both), FinalCopy),
		},
		{
			name: "declined, then another card",
			acts: slices.Concat(
				[]string{"choose 1", "choose enter", "choose enter", "insert declined", "pin 1234", "out", "choose enter"},
				[]string{"choose enter", "choose enter"}, pay, []string{"choose enter"},
			),
			want: append(slices.Clip(begin), "started 45.50", "ended taken=false", "started 45.50", "ended taken=true", "left: paid"),
			paid: 4550, printed: []Copy{MerchantCopy, CustomerCopy, MerchantCopy, CustomerCopy, FinalCopy},
		},
		{
			name: "signature accepted",
			acts: []string{"choose 1", "choose enter", "choose enter", "insert signature", "out", "choose enter", "choose enter", "choose enter"},
			want: append(slices.Clip(begin), "started 45.50", "ended taken=true", "left: paid"), paid: 4550,
			printed: append(slices.Clip(both), FinalCopy),
		},
		{
			name:    "signature refused",
			acts:    []string{"choose 1", "choose enter", "choose enter", "insert signature", "out", "choose cancel", "choose enter", "choose cancel", "choose enter"},
			want:    append(slices.Clip(begin), "started 45.50", "ended taken=false", "left: cancelled"),
			printed: []Copy{MerchantCopy, MerchantCopy, CustomerCopy, FinalCopy},
		},
		{
			name: "the cardholder will not pay",
			acts: []string{"choose 1", "choose enter", "choose enter", "until card", "key cancel", "choose cancel", "choose enter"},
			want: append(slices.Clip(begin), "started 45.50", "ended taken=false", "left: cancelled"), printed: []Copy{FinalCopy},
		},
		{
			name: "a table that is typed in and refused", acts: []string{"choose f3", "number 99", "choose enter", "choose enter"},
			want: []string{"tables for 3", "table 99", "left: refused"}, printed: []Copy{FinalCopy},
		},
		{
			name: "nobody picks a table", acts: []string{"choose cancel", "choose enter"},
			want: []string{"tables for 3", "left: cancelled"}, printed: []Copy{FinalCopy},
		},
		{
			name: "pages", with: func(h *served) {
				h.list = nil
				for _, id := range strings.Split("abcdefghijklmnopq", "") {
					h.list = append(h.list, table.TableID(id))
				}
				h.due["k"] = 700
			},
			acts: slices.Concat([]string{"choose f2", "choose f2", "choose f1", "choose 3", "choose enter", "choose enter"}, pay, []string{"choose enter"}),
			want: []string{"tables for 3", "table k", "started 7.00", "ended taken=true", "left: paid"}, paid: 700,
			printed: append(slices.Clip(both), FinalCopy),
		},
		{
			name: "the till is offline", with: func(h *served) { h.list, h.listMsg = nil, "The till is offline" },
			acts: []string{"choose enter", "choose enter"}, want: []string{"tables for 3", "left: no table"}, printed: []Copy{FinalCopy},
		},
		{
			name: "no bill", with: func(h *served) { h.bill = nil },
			acts: []string{"choose 1", "choose f3", "choose enter", "choose cancel", "choose enter"},
			want: append(slices.Clip(begin), "bill", "left: cancelled"), printed: []Copy{FinalCopy},
		},
		{
			name: "paper runs out at the bill", acts: []string{"choose 1", "empty", "choose f3", "paper", "choose cancel", "choose enter"},
			want: append(slices.Clip(begin), "bill", "left: cancelled"), printed: []Copy{BillCopy, FinalCopy},
		},
		{
			name: "a table is forgotten", acts: []string{"choose 1", "until choice", "wait 6m"},
			want: append(slices.Clip(begin), "left: cancelled"), printed: []Copy{FinalCopy},
		},
		{
			name: "the cable is out from the list on", acts: []string{"until choice", "cut", "choose 1", "choose enter", "plug", "ready"},
			want: []string{"tables for 3", "went away", "came back restarted=false", "left: offline"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := serve(t, "SIP0")
				if c.with != nil {
					c.with(h)
				}
				h.does(signsIn("3")...)
				h.does(c.acts...)
				h.ready()
				if diff := cmp.Diff(c.want, words(h.heard())); diff != "" {
					t.Errorf("heard (-want +got):\n%s", diff)
				}
				var paid, tips money.Minor
				for _, v := range h.visits {
					for _, p := range v.Payments {
						paid, tips = paid+p.Receipt.Paid, tips+p.Receipt.Gratuity
					}
				}
				if paid != c.paid || tips != c.tips {
					t.Errorf("paid %d with %d gratuity", paid, tips)
				}
				if diff := cmp.Diff(c.printed, h.copies()); diff != "" {
					t.Errorf("printed (-want +got):\n%s", diff)
				}
				h.agree(h.p)
				h.perfect()
			})
		})
	}
}

// A waiter whose machine loses power in a visit, at the PIN: nothing was taken,
// and the gateway hears so.
func TestTablesAndPower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, "SIP0")
		h.does(signsIn("3")...)
		h.does("choose 1", "choose enter", "choose enter", "insert visa-debit", "until pin", "key 1", "off")
		if f := h.hands.m.Face(); f.Power || f.Link || f.Slot == nil || len(f.Screen.Keys) != 0 || f.Screen.Title != "" {
			t.Errorf("%+v", f)
		}
		h.does("snatch", "on", "ready")
		want := []string{"tables for 3", "table 12", "started 45.50", "went away", "came back restarted=true", "ended taken=false", "left: the card machine lost power"}
		if diff := cmp.Diff(want, words(h.heard())); diff != "" {
			t.Error(diff)
		}
		h.agree(h.p)
		h.perfect()
	})
}

// While a waiter looks at the list, the counter can have the machine: its sale
// is on the screen, and then the list is again.
func TestListGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, "SIP0")
		h.does(signsIn("3")...)
		h.does("until choice")
		if err := h.link.Start(ctx, terminal.Request{ID: "s", Txn: sale(500)}); err != nil {
			t.Fatal(err)
		}
		h.does("tap phone")
		h.sees(func(f Face) bool { return f.Busy != InTransaction })
		h.does("choose 1", "choose cancel", "choose enter")
		h.ready()
		if got := words(h.heard()); got[len(got)-1] != "left: cancelled" || !slices.Contains(got, "ended SUCCESSFUL") {
			t.Errorf("%v", got)
		}
		h.perfect()
	})
}

func TestMenu(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, "SIP0")
		h.does("key menu", "key f3", "choose enter") // nothing to duplicate
		if got := h.copies(); got != nil {
			t.Errorf("printed %v", got)
		}
		if err := h.link.Start(ctx, terminal.Request{ID: "s", Txn: sale(500)}); err != nil {
			t.Fatal(err)
		}
		h.does("tap phone", "ready", "key menu", "key f3", "key menu", "key f2", "key f1", "ready")
		if got, want := h.copies(), []Copy{MerchantCopy, DuplicateCopy, ReportCopy}; !slices.Equal(got, want) {
			t.Errorf("printed %v", got)
		}
		rolls := h.hands.m.Face().Rolls
		if text := receipt.Plain(rolls[1].Lines); !strings.Contains(text, "DUPLICATE") || !strings.Contains(text, "5.00") {
			t.Errorf("duplicate:\n%s", text)
		}
		for key, want := range map[string]report.Type{"f2": report.ZBalance, "f3": report.Banking, "f4": report.EndOfDay} {
			h.does("tear", "key menu", "key f2", "key "+key, "ready")
			if r := h.hands.m.Face().Rolls; len(r) != 1 || !strings.Contains(receipt.Plain(r[0].Lines), reportTitle(want)) {
				t.Errorf("%s: printed %+v", want, r)
			}
		}
		if len(h.reports) != 4 {
			t.Errorf("the gateway was told of %d reports", len(h.reports))
		}

		// Nobody there, the red key, and a request: each ends the menu.
		h.does("key menu", "key f1", "key 7")
		if f := h.hands.m.Face(); f.Busy != LookingAtMenus || f.Screen.Entry != "7" {
			t.Errorf("%+v", f)
		}
		h.does("wait 61s")
		h.perfect()
		h.does("key menu", "key cancel")
		h.perfect()
		h.does("key menu")
		if err := h.link.Start(ctx, terminal.Request{ID: "t", Txn: sale(500)}); err != nil {
			t.Fatal(err)
		}
		h.does("tap phone", "ready")
		h.perfect()
	})
}

// A machine with older software has neither reports nor duplicates in its menu.
func TestOlderMenu(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, "SIP1")
		h.does("key menu")
		var got []Key
		for _, k := range h.hands.m.Face().Screen.Keys {
			got = append(got, k.Key)
		}
		if diff := cmp.Diff([]Key{KeyF1, KeyCancel}, got); diff != "" {
			t.Error(diff)
		}
	})
}
