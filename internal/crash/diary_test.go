package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/epos"
)

// TestTillAfterKill opens a diary whose last line was cut by a kill, at every
// byte: what is whole is there, and the next line follows it.
func TestTillAfterKill(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "one"+tillSuffix)
	w := wish{TID: "A", Type: "SALE", Amount: 7}
	all := []line{
		{Key: "k1", Wish: &w},
		{Key: "k1", Told: &try{Word: notTaken, Result: "DECLINED", TransactionID: "1"}},
		{Key: "k2", Wish: &w},
		{Key: "k2", Told: &try{Word: unknown, Asked: true}},
		{Key: "k3", Wish: &wish{TID: "A", Type: "REFUND", Amount: 9}},
		{Corrected: &correction{TID: "B", RequestID: "r", TransactionID: "5", Result: "SUCCESSFUL"}},
	}
	var sizes []int64
	for _, l := range all {
		d, _, err := openDiary[line](path)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.write(l); err != nil {
			t.Fatal(err)
		}
		if err := d.close(); err != nil {
			t.Fatal(err)
		}
		s, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, s.Size())
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	last := line{Key: "k4", Wish: &wish{TID: "B", Type: "SALE", Amount: 10}}
	for cut := range int64(len(whole)) + 1 {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		n := 0
		for n < len(sizes) && sizes[n] <= cut {
			n++
		}
		d, got, err := openDiary[line](path)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if diff := cmp.Diff(all[:n], got, cmp.Transformer("nil", func(l []line) []line { return append([]line{}, l...) })); diff != "" {
			t.Fatalf("cut at %d: %s", cut, diff)
		}
		if err := d.write(last); err != nil {
			t.Fatal(err)
		}
		if err := d.close(); err != nil {
			t.Fatal(err)
		}
		if got, _, err = readDiary[line](path); err != nil || len(got) != n+1 || *got[n].Wish != *last.Wish {
			t.Fatalf("cut at %d and gone on with: %+v, %v", cut, got, err)
		}
	}

	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	tickets, told, err := readTickets(dir)
	want := []ticket{
		{Till: "one", TID: "A", Type: "SALE", Amount: 7, Keys: []string{"k1", "k2"}, Tries: []try{
			{Key: "k1", Word: notTaken, Result: "DECLINED", TransactionID: "1"}, {Key: "k2", Word: unknown, Asked: true},
		}},
		{Till: "one", TID: "A", Type: "REFUND", Amount: 9, Keys: []string{"k3"}},
	}
	if diff := cmp.Diff(want, tickets); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if diff := cmp.Diff([]correction{*all[5].Corrected}, told); diff != "" {
		t.Error(diff)
	}
	after := keyedTill{}
	after.remember(all)
	if diff := cmp.Diff([]pending{{wish: w, key: "k2", doubted: true}, {wish: *all[4].Wish, key: "k3"}}, after.open, cmp.AllowUnexported(pending{}, wish{})); diff != "" || after.amount != 9 {
		t.Errorf("after a restart, with amount %d: %s", after.amount, diff)
	}
	if err := os.WriteFile(path, []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readTickets(dir); err == nil {
		t.Error("a diary that cannot be read was read")
	}
}

// TestTablesAfterKill: locks, what is owed and what is booked outlive the till.
func TestTablesAfterKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tables")
	d, _, err := openDiary[page](path)
	if err != nil {
		t.Fatal(err)
	}
	tid, nobody := epos.TID("A"), epos.TID("")
	for _, p := range []page{
		{Table: "1", Holder: &tid, Due: 1000},
		{Table: "1", Due: 400, Paid: []booking{{Payment: "p1", TID: "A", Amount: 600}}},
		{Table: "1", Holder: &nobody, Due: 400},
		{Table: "2", Holder: &tid, Due: 2000},
		{Table: "99", Due: -5, Paid: []booking{{Payment: "p2", TID: "B", Amount: 5}}},
		{Table: "2", Due: 2000, Paid: []booking{{Payment: "p2", TID: "B", Amount: 5}}},
	} {
		if err := d.write(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	r, err := newRestaurant("", path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.pages.close()
	if one, two := *r.tables["1"], *r.tables["2"]; one != (place{due: 400}) || two != (place{due: 2000, holder: "A"}) || len(r.tables) != places {
		t.Errorf("%d tables, %+v, %+v", len(r.tables), one, two)
	}
	if !r.booked["p1"] || !r.booked["p2"] || len(r.booked) != 2 {
		t.Errorf("booked: %v", r.booked)
	}
	booked, held, err := readRestaurant(path)
	want := []booking{{Payment: "p1", TID: "A", Amount: 600, Times: 1}, {Payment: "p2", TID: "B", Amount: 5, Times: 2}}
	if diff := cmp.Diff(want, booked); err != nil || diff != "" || len(held) != 1 {
		t.Errorf("%v, held: %v\n%s", err, held, diff)
	}
}
