package journaltest

import (
	"testing"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
)

// Table returns the life of a kept table of 45.50 that is stored at the given
// time, an append an event: changed, locked in a visit, paid, unlocked, deleted
// and paid afterwards.
func Table(id table.KeptID, site txn.SiteID, name table.TableID, at time.Time) []journal.Append {
	known := table.Known{Amount: 4550}
	paid := func(id table.PaymentID, s int) table.KeptEvent {
		r := table.Receipt{Paid: 2275, Gratuity: 450, AuthCode: "789DE0", Scheme: "VISA", Method: "ICC_CHIP", Time: at}
		return table.PaymentBooked{Payment: id, Visit: "v1", TID: "1001", Waiter: "3", Receipt: r, At: at.Add(time.Duration(s) * time.Second)}
	}
	return keptLife(at,
		table.Created{ID: id, Site: string(site), Name: name, Amount: 4000, Currency: money.GBP, By: "till1", At: at},
		table.AmountChanged{Known: table.Known{Amount: 4000}, Amount: 4550, By: "till1", At: at},
		table.ReceiptChanged{Known: known, Receipt: []receipt.Line{{Type: receipt.Text, Value: "TABLE 12"}, {Type: receipt.BarcodeCode39, Value: "T12"}}, At: at},
		table.WaitersChanged{Known: known, Waiters: []table.WaiterID{"3"}, At: at},
		table.TerminalLocked{TID: "1001", Visit: "v1", Waiter: "3", At: at},
		paid("0d7f2a44-6a52-4c0c-9a1e-5f5b6a3e9c01", 40),
		table.TerminalUnlocked{Visit: "v1", At: at},
		table.Removed{Known: table.Known{Amount: 4550, Paid: 2275}, By: "till1", At: at},
		paid("5b1f0c36-83f5-4a56-8a83-0f8f1e2f7a02", 90),
	)
}

func keptLife(at time.Time, events ...table.KeptEvent) []journal.Append {
	var k table.Kept
	var out []journal.Append
	for i, e := range events {
		var err error
		if k, err = table.ApplyKept(k, e); err != nil {
			panic(err)
		}
		at := at.Add(time.Duration(i) * time.Second)
		out = append(out, journal.Append{
			Stream: journal.Stream(k.ID), Expect: i, Records: []journal.Record{journal.EncodeKept(e, at)}, Head: journal.KeptHead(k),
		})
	}
	return out
}

// kept: a table is open until it is deleted, and of no terminal; what is paid
// afterwards does not open it again.
func (s suite) kept(t *testing.T) {
	st := s.begin(t)
	life := Table("t1", "shop", "12", noon)
	want := journal.Head{
		Stream: "t1", Kind: journal.KeptStream, Site: "shop", Type: "TABLE", Minor: 4000, Currency: "GBP", AcceptedAt: noon,
	}
	gone := noon.Add(7 * time.Second)
	for i, state := range []table.KeptState{
		table.Free, table.Free, table.Free, table.Free, table.HeldByTerminal, table.HeldByTerminal, table.Free, table.Deleted, table.Stray,
	} {
		must(t, st.Append(t.Context(), life[i]))
		want.State, want.Records = string(state), i+1
		if i == 7 {
			want.Result = "PART_PAID"
		}
		if i == 8 {
			want.Result = "PAID"
		}
		s.standing(t, st, &want, i < 7, gone)
	}
	records, err := st.Records(t.Context(), "t1")
	must(t, err)
	k, err := journal.ReplayKept(records)
	must(t, err)
	if k.State != table.Stray || k.Paid() != 4550 || k.Name != "12" || len(k.Receipt) != 2 || len(k.Payments) != 2 || !k.Payments[1].Late {
		t.Errorf("replayed to %+v", k)
	}

	put(t, st, Table("t2", "shop", "12", noon.Add(time.Minute))[:1])
	put(t, st, Table("t3", "bar", "12", noon.Add(2*time.Minute))[:8])
	put(t, st, Appends("r1", "shop", "1001", noon.Add(3*time.Minute)))
	for _, c := range []struct {
		q    journal.Query
		want []journal.Stream
	}{
		{journal.Query{Kind: journal.KeptStream}, []journal.Stream{"t3", "t2", "t1"}},
		{journal.Query{Kind: journal.KeptStream, Site: "shop", OldestFirst: true}, []journal.Stream{"t1", "t2"}},
		{journal.Query{Kind: journal.KeptStream, Site: "shop", State: string(table.Stray)}, []journal.Stream{"t1"}},
		{journal.Query{Kind: journal.KeptStream, TID: "1001"}, nil},
		{journal.Query{Site: "shop"}, []journal.Stream{"r1", "t2", "t1"}},
	} {
		heads, err := st.List(t.Context(), c.q)
		must(t, err)
		diff(t, c.want, streams(heads))
	}
	sound(t, st, 4, 9+1+8+headOf(t, st, "r1").Records)
	if s.reopen == nil {
		return
	}
	st = s.reopen(t, st)
	defer func() { must(t, st.Close()) }()
	again, err := st.Records(t.Context(), "t1")
	must(t, err)
	diff(t, records, again)
	open, err := st.OpenStreams(t.Context())
	must(t, err)
	diff(t, []journal.Stream{"t2"}, streams(open))
}

// sweepTables: a table stays until it is deleted, and one that was paid
// afterwards until somebody has looked.
func (s suite) sweepTables(t *testing.T) {
	st := s.begin(t)
	put(t, st, Table("stray", "shop", "11", noon))
	put(t, st, Table("stored", "shop", "12", noon)[:7])
	put(t, st, Table("deleted", "shop", "13", noon)[:8])
	late := Table("late", "shop", "14", noon)[:8] // deleted long after it was stored
	late[7].Records[0].At = noon.AddDate(0, 0, 30)
	put(t, st, late)
	for _, c := range []struct {
		looked bool
		gone   journal.Stream
		kept   map[journal.Keeping]int
	}{
		{false, "deleted", map[journal.Keeping]int{journal.KeptOpen: 1, journal.KeptOrphan: 1}},
		{true, "stray", map[journal.Keeping]int{journal.KeptOpen: 1}},
	} {
		got, err := journal.Sweep(t.Context(), st, journal.Cut{Outcomes: noon.AddDate(0, 0, 20), Looked: c.looked, Why: "test"})
		must(t, err)
		diff(t, c.kept, got.Kept)
		if got.Streams != 1 {
			t.Errorf("looked %t: %d went", c.looked, got.Streams)
		}
		gone(t, st, c.gone)
	}
	sound(t, st, 2, 15)
}
