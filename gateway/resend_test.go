package gateway

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
)

// paidVisit puts a visit into a journal whose payments and unlock were, or were
// not, delivered.
func paidVisit(t *testing.T, j journal.Journal, delivered ...int) journal.Stream {
	t.Helper()
	at := time.Date(2026, time.October, 7, 21, 4, 0, 0, time.UTC)
	events := []table.Event{
		table.Opened{ID: "v1", Site: "shop", TID: "1001", Waiter: "3", At: at},
		table.LockIntended{Table: "12", At: at},
		table.LockConfirmed{Amount: 4550, Currency: money.GBP, At: at},
		table.PaymentStarted{Payment: "p1", Asked: 4550, At: at},
		table.PaymentTaken{Payment: "p1", Receipt: table.Receipt{Paid: 4550, Gratuity: 450, Time: at}, At: at},
		table.Left{Why: "paid", At: at},
		table.Queued{Notice: table.TransactionResponse, Payments: []table.PaymentID{"p1"}, At: at},
		table.Queued{Notice: table.TableUnlock, At: at},
	}
	for _, n := range delivered {
		events = append(events, table.Delivered{N: n, At: at})
	}
	l := visitLife(j, "v1", 0)
	if err := l.record(t.Context(), events...); err != nil {
		t.Fatal(err)
	}
	return "v1"
}

func waitingIn(t *testing.T, j journal.Journal) []string {
	t.Helper()
	list, err := journal.WaitingOf(t.Context(), j, "")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, w := range list {
		out = append(out, string(w.Notice))
	}
	return out
}

func TestRequeueVisit(t *testing.T) {
	for name, test := range map[string]struct {
		delivered []int
		n         int
		want      int // how many are sent anew; 0 is ErrNothingToResend
		waiting   []string
	}{
		"all of it":               {[]int{1, 2}, 0, 2, []string{"transactionResponse", "tableUnlock"}},
		"one of two":              {[]int{1, 2}, 1, 1, []string{"transactionResponse"}},
		"what was delivered only": {[]int{1}, 0, 1, []string{"transactionResponse", "tableUnlock"}},
		"one that still waits":    {[]int{1}, 2, 0, []string{"tableUnlock"}},
		"nothing was delivered":   {nil, 0, 0, []string{"transactionResponse", "tableUnlock"}},
		"there is no third":       {[]int{1, 2}, 3, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			j := memory.New()
			stream := paidVisit(t, j, test.delivered...)
			got, err := Requeue(t.Context(), j, stream, test.n, "anna", "the till's disk was replaced")
			if got != test.want || errors.Is(err, ErrNothingToResend) != (test.want == 0) {
				t.Errorf("%d sent anew, %v; want %d", got, err, test.want)
			}
			if diff := cmp.Diff(test.waiting, waitingIn(t, j)); diff != "" {
				t.Errorf("what waits (-want +got)\n%s", diff)
			}
			records, err := j.Records(t.Context(), stream)
			if err != nil {
				t.Fatal(err)
			}
			if test.want == 0 {
				return
			}
			last, err := journal.DecodeTable(records[len(records)-1])
			if err != nil {
				t.Fatal(err)
			}
			if e, ok := last.(table.Requeued); !ok || e.By != "anna" || e.Reason != "the till's disk was replaced" {
				t.Errorf("recorded as %+v", last)
			}
		})
	}
}

func TestRequeueReport(t *testing.T) {
	at := time.Date(2026, time.October, 7, 23, 40, 0, 0, time.UTC)
	brought := report.Brought{ID: "t1", Site: "shop", TID: "1001", At: at, Report: report.Report{Type: report.EndOfDay, Result: report.Complete, Time: at}}
	for name, test := range map[string]struct {
		events []report.Event
		n      int
		want   int
	}{
		"delivered":         {[]report.Event{brought, report.Delivered{At: at}}, 0, 1},
		"by its number":     {[]report.Event{brought, report.Delivered{At: at}}, 1, 1},
		"there is no other": {[]report.Event{brought, report.Delivered{At: at}}, 2, 0},
		"it still waits":    {[]report.Event{brought}, 0, 0},
		"a till asked for it": {[]report.Event{
			report.Dispatched{ID: "t1", Site: "shop", TID: "1001", Type: report.EndOfDay, At: at},
			report.Made{Report: brought.Report, At: at},
		}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			j := memory.New()
			l := reportLife(j, "t1", 0)
			if err := l.record(t.Context(), test.events...); err != nil {
				t.Fatal(err)
			}
			got, err := Requeue(t.Context(), j, "t1", test.n, "anna", "lost")
			if got != test.want || errors.Is(err, ErrNothingToResend) != (test.want == 0) {
				t.Fatalf("%d sent anew, %v; want %d", got, err, test.want)
			}
			if test.want == 1 && len(waitingIn(t, j)) != 1 {
				t.Errorf("sent anew, and %v waits", waitingIn(t, j))
			}
		})
	}
}

func TestRequeueOfNoNotices(t *testing.T) {
	j := memory.New()
	if _, err := Requeue(t.Context(), j, "r1", 0, "anna", "lost"); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("of an unknown stream: %v, want ErrNotFound", err)
	}
	at := time.Date(2026, time.October, 7, 23, 40, 0, 0, time.UTC)
	o := journal.Orphan{ID: "o1", Site: "shop", TID: "1001", Outcome: &txn.Outcome{Type: txn.Sale, Result: txn.Successful, Currency: money.GBP, Base: 100}}
	a := journal.Append{Stream: o.ID, Records: []journal.Record{journal.EncodeOrphan(o, at)}, Head: journal.OrphanHead(o, at)}
	if err := j.Append(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if _, err := Requeue(t.Context(), j, "o1", 0, "anna", "lost"); !errors.Is(err, ErrNothingToResend) {
		t.Errorf("of an orphan: %v, want ErrNothingToResend", err)
	}
}
