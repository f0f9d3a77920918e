package sim

import (
	"context"
	"testing"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/txn"
)

// TestNamed: a machine with a name of its own plays what it is told, and has
// its memory under that name.
func TestNamed(t *testing.T) {
	o := Options{Dir: t.TempDir(), Named: map[txn.TID]string{"10001234": "SIP1", "till-a": "dip0"}, Speed: Max}
	for range 2 {
		p, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		for tid, want := range map[txn.TID]money.Currency{"10001234": money.EUR, "TILL-A": money.GBP, "VCMDEMOSIP0": money.GBP} {
			m, ok := p.Machine(tid)
			if !ok || m.TID() != tid || m.can.Currency != want {
				t.Errorf("machine %s: %v %+v", tid, ok, m)
			}
		}
		if m, _ := p.Machine("Till-A"); m.name.part.result != txn.Declined {
			t.Errorf("it plays %s", m.name.part.result)
		}
		if _, ok := p.Machine("10001235"); ok {
			t.Error("a machine that nobody named is there")
		}
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
	for tid, plays := range map[txn.TID]string{"": "SIP0", "../x": "SIP0", "10001234": "SIP", "10001235": "XXX0", "a b": "SIP0"} {
		if _, err := Open(Options{Named: map[txn.TID]string{tid: plays}}); err == nil {
			t.Errorf("a machine %q that plays %q was taken", tid, plays)
		}
	}
}
