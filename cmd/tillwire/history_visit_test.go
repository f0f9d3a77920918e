package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
)

func eventsOfAVisit() []table.Event {
	at := time.Date(2026, time.October, 7, 21, 4, 0, 0, time.UTC)
	return []table.Event{
		table.Opened{ID: "v1", Site: "shop", TID: "1001", Waiter: "3", At: at},
		table.LockIntended{Table: "12", At: at},
		table.LockConfirmed{Amount: 4550, Currency: money.GBP, At: at},
		table.BillWanted{At: at},
		table.BillAnswered{At: at},
		table.PaymentStarted{Payment: "p1", Asked: 2275, At: at},
		table.PaymentTaken{Payment: "p1", Receipt: table.Receipt{Paid: 2275, Gratuity: 450, Scheme: "VISA", PAN: "************1234", AuthCode: "789DE0", Time: at}, At: at},
		table.PaymentStarted{Payment: "p2", Asked: 2275, At: at},
		table.TerminalLost{At: at},
	}
}

// TestTellTable: every event of a visit has words.
func TestTellTable(t *testing.T) {
	told := map[string]bool{}
	for _, e := range append(eventsOfAVisit(),
		table.LockRefused{Why: "in use"}, table.LockUnanswered{Why: "late"}, table.NotAsked{Why: "offline"},
		table.PaymentNotTaken{Payment: "p1"}, table.PaymentResolved{Payment: "p1", By: "anna"},
		table.PaymentResolved{Payment: "p1", Taken: true, Receipt: table.Receipt{Paid: 100, Cashback: 50}, By: "anna"},
		table.Left{Why: "paid"}, table.TerminalBack{}, table.Queued{Notice: table.TableUnlock},
		table.Queued{Notice: table.TransactionResponse, Payments: []table.PaymentID{"p1"}},
		table.Queued{Notice: table.TransactionResponse, Payments: []table.PaymentID{"p1", "p2"}},
		table.Delivered{N: 2}, table.Requeued{N: 2, By: "anna", Reason: "lost"}, table.Opened{ID: "v2"},
	) {
		if tellTable(e) == "" {
			t.Errorf("there are no words for %T", e)
		}
		told[reflect.TypeOf(e).Name()] = true
	}
	for _, name := range eventTypes(t, "table", "event") {
		if !told[name] {
			t.Errorf("table.%s is not among them", name)
		}
	}
	if got := tellReport(report.Requeued{By: "anna", Reason: "lost"}); got != "sent to the till anew, by anna: lost" {
		t.Errorf("a report sent anew is told as %q", got)
	}
}

// TestShowVisit: what people see of a visit in which nobody knows the end of a
// payment.
func TestShowVisit(t *testing.T) {
	v, err := table.Replay(eventsOfAVisit()...)
	if err != nil {
		t.Fatal(err)
	}
	v.Payments[0].Conflict = &table.Word{By: "anna"}
	if v, err = table.Apply(v, table.Queued{Notice: table.TransactionResponse, Payments: []table.PaymentID{"p1"}, At: v.At}); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := showVisit(&out, v); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"table    12, waiter 3", "due      GBP 45.50", "paid     GBP 22.75, gratuity GBP 4.50; GBP 22.75 is left",
		"open     payment p2 of GBP 22.75", "lost     the terminal is away",
		"VISA ************1234", "789DE0", "conflict: anna also said nothing was taken",
		"waits: not delivered yet", "transactionResponse",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	view := viewVisit(v)
	if got := view.truth(journal.TableHead(v)); got != "not known, at least 22.75" {
		t.Errorf("true: %q", got)
	}
	if got := view.told(journal.TableHead(v)); got != "1 to tell" {
		t.Errorf("told: %q", got)
	}
}

// TestVisitTruth: a list says of each visit what is true.
func TestVisitTruth(t *testing.T) {
	events := eventsOfAVisit()
	for name, test := range map[string]struct {
		events      []table.Event
		truth, told string
	}{
		"a lock is asked for": {events[:2], "nothing yet", "-"},
		"locked":              {events[:3], "nothing yet", "-"},
		"paying":              {events[:6], "not known", "-"},
		"paid in part":        {events[:7], "so far 22.75", "-"},
		"refused":             {append(events[:2:2], table.LockRefused{Why: "in use"}), "REFUSED", "-"},
		"left": {
			append(events[:7:7], table.Left{Why: "left with a balance"}, table.Queued{Notice: table.TransactionResponse, Payments: []table.PaymentID{"p1"}},
				table.Queued{Notice: table.TableUnlock}, table.Delivered{N: 1}), "PART_PAID 22.75", "1 to tell",
		},
		"left without a payment": {
			append(events[:3:3], table.Left{Why: "cancelled"}, table.Queued{Notice: table.TableUnlock}, table.Delivered{N: 1}), "UNPAID", "all",
		},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := table.Replay(test.events...)
			if err != nil {
				t.Fatal(err)
			}
			head := journal.TableHead(v)
			if truth, told := viewVisit(v).truth(head), viewVisit(v).told(head); truth != test.truth || told != test.told {
				t.Errorf("true %q, told %q; want %q, %q", truth, told, test.truth, test.told)
			}
		})
	}
}

// TestWhyItWaits: what is for one table waits for what is before it, what is
// for others does not.
func TestWhyItWaits(t *testing.T) {
	const now, behind, anew = "not delivered yet", "waits for the one before it", "not delivered yet, sent anew"
	waiting := []journal.Waiting{
		{Site: "shop", TID: "1001", Table: "12", Notice: table.TransactionResponse},
		{Site: "shop", TID: "1002", Table: "12", Notice: table.TableUnlock},
		{Site: "shop", TID: "1001", Table: "14", Notice: table.TableUnlock, Resent: 1},
		{Site: "pub", TID: "2001", Table: "12", Notice: table.TableUnlock},
		{Site: "shop", TID: "1001", Notice: journal.ReportResponse},
		{Site: "shop", TID: "1001", Notice: journal.ReportResponse},
		{Site: "shop", TID: "1002", Notice: journal.ReportResponse},
	}
	var got []string
	for _, v := range viewWaiting(waiting) {
		got = append(got, v.Why)
	}
	if diff := cmp.Diff([]string{now, behind, anew, now, now, behind, now}, got); diff != "" {
		t.Errorf("why (-want +got)\n%s", diff)
	}
}

// eventTypes returns the names of the types in a room that are events.
func eventTypes(t *testing.T, room, method string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", room, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv != nil && fn.Name.Name == method {
				names = append(names, fn.Recv.List[0].Type.(*ast.Ident).Name)
			}
		}
	}
	if len(names) == 0 {
		t.Fatalf("no events in %s", room)
	}
	return names
}
