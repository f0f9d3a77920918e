package txn_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/txn"
)

// TestDuplicate tries every state with every event.
func TestDuplicate(t *testing.T) {
	at := time.Date(2026, time.March, 14, 12, 0, 0, 0, time.UTC)
	wanted := txn.DuplicateWanted{ID: "d", Site: "shop", TID: "1001", Caller: txn.Caller{Face: "rest"}, At: at}
	found := txn.DuplicateFound{Outcome: &txn.Outcome{Result: txn.Declined}, At: at.Add(time.Second)}
	none := txn.Duplicate{}
	asked := txn.Duplicate{ID: "d", Site: "shop", TID: "1001", Caller: txn.Caller{Face: "rest"}, State: txn.DuplicateAsked, At: at}
	ended := asked
	ended.State, ended.Outcome, ended.EndedAt = txn.DuplicateFinished, found.Outcome, found.At
	for _, c := range []struct {
		d    txn.Duplicate
		e    txn.DuplicateEvent
		want *txn.Duplicate // nil where it is not allowed
	}{
		{none, wanted, &asked},
		{none, found, nil},
		{asked, wanted, nil},
		{asked, found, &ended},
		{ended, wanted, nil},
		{ended, found, nil},
	} {
		got, err := txn.ApplyDuplicate(c.d, c.e)
		want := c.d
		if c.want != nil {
			want = *c.want
		}
		if (err == nil) != (c.want != nil) {
			t.Errorf("%T in state %q: %v", c.e, c.d.State, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%T in state %q (- want, + got):\n%s", c.e, c.d.State, diff)
		}
	}
}
