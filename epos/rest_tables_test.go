package epos_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tillwire/tillwire/epos"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/terminal/sim"
)

// status fails unless err is a refusal with that status.
func status(t *testing.T, what string, err error, want int) {
	t.Helper()
	if e, ok := errors.AsType[*epos.Error](err); !ok || e.Status != want || e.UserMessage == "" {
		t.Errorf("%s: %v, want the status %d", what, err, want)
	}
}

// A table is stored, changed, locked, paid by a waiter at a card machine, and closed.
// Each change is made only on what the till knows, and each payment is booked once.
func TestRESTTables(t *testing.T) {
	for _, v := range []epos.Version{epos.V2, epos.V1, epos.V0} { // v2 has no tables: v1 is asked for
		t.Run(string(v), func(t *testing.T) {
			c := openCounter(t)
			till, ctx := c.till(epos.Handler{}, inVersion(v)), t.Context()
			bill := new(receipt.Builder).Text("FISH").Lines()
			name := epos.TableID("Bar 1/2 é")
			fresh := epos.NewTable{Name: name, Amount: money.Amount{Minor: 3800, Currency: money.GBP}, Receipt: bill, Waiters: []epos.WaiterID{"3"}}
			if err := till.StoreTable(ctx, fresh); err != nil {
				t.Fatal(err)
			}
			status(t, "stored twice", till.StoreTable(ctx, fresh), http.StatusConflict)
			known, err := till.StoredTable(ctx, name)
			want := epos.StoredTable{Name: name, Amount: 3800, Waiters: []epos.WaiterID{"3"}, Receipt: bill}
			if diff := cmp.Diff(want, known, cmpopts.EquateEmpty()); err != nil || diff != "" {
				t.Fatalf("%v (-want +got):\n%s", err, diff)
			}
			if err := till.ChangeAmount(ctx, known, 4550); err != nil {
				t.Error(err)
			}
			status(t, "an amount that is not known any more", till.ChangeAmount(ctx, known, 9999), http.StatusUnprocessableEntity)
			known.Amount = 4550
			if err := till.ChangeWaiters(ctx, known, nil); err != nil {
				t.Error(err)
			}
			if err := till.ChangeReceipt(ctx, known, new(receipt.Builder).Text("FISH AND WINE").Lines()); err != nil {
				t.Error(err)
			}
			if err := till.LockTable(ctx, known, "till 1", false); err != nil {
				t.Error(err)
			}
			status(t, "a locked table", till.ChangeAmount(ctx, known, 1), http.StatusLocked)
			status(t, "another's lock", till.UnlockTable(ctx, known, "till 2", false), http.StatusLocked)
			if err := till.UnlockTable(ctx, known, "till 2", true); err != nil {
				t.Error(err)
			}
			status(t, "no such table", till.DeleteTable(ctx, epos.StoredTable{Name: "13"}), http.StatusNotFound)
			if _, err := till.StoredTable(ctx, "13"); err != nil {
				status(t, "no such table", err, http.StatusNotFound)
			} else {
				t.Error("a table that is not there was found")
			}

			m, _ := c.park.Machine("VCMDEMOSIP0")
			store := &epos.MemoryStore{}
			booked := map[epos.PaymentID]epos.TablePayment{}
			book := func(_ context.Context, table epos.StoredTable, payments []epos.TablePayment) error {
				for _, p := range payments {
					if _, twice := booked[p.ID]; twice || table.Name != name {
						t.Errorf("%s at %s", p.ID, table.Name)
					}
					booked[p.ID] = p
				}
				return nil
			}
			result, err := m.Visit(ctx, sim.Visit{Waiter: "3", Table: "Bar 1/2 é", Split: 2, Tip: sim.Tip{Percent: 10, Each: true}}, func(sim.VisitStep) {})
			if err != nil {
				t.Fatalf("%+v, %v", result, err)
			}
			for paid := known; len(paid.Payments) < 2; { // they come when they are on disk
				if paid, err = till.StoredTable(ctx, name); err != nil {
					t.Fatal(err)
				}
			}
			refuses := errors.New("the books are locked")
			if err := till.BookPayments(ctx, store, func(context.Context, epos.StoredTable, []epos.TablePayment) error { return refuses }); !errors.Is(err, refuses) {
				t.Error(err)
			}
			for range 2 {
				if err := till.BookPayments(ctx, store, book); err != nil {
					t.Error(err)
				}
			}
			var paid, gratuity money.Minor
			for _, p := range booked {
				paid, gratuity = paid+p.AmountPaid, gratuity+p.AmountGratuity
				if p.Currency != money.GBP || p.AuthCode == "" || p.Time == "" || p.PaymentMethod == "" {
					t.Errorf("%+v", p)
				}
			}
			if len(booked) != 2 || paid != 4550 || gratuity == 0 {
				t.Errorf("%d payments of %d and %d", len(booked), paid, gratuity)
			}
			var closing epos.StoredTable
			for closing, err = till.StoredTable(ctx, name); err == nil && closing.Locked; closing, err = till.StoredTable(ctx, name) {
			} // the card machine gives it back
			if err != nil || closing.AmountPaid != 4550 || closing.AmountGratuity != gratuity || len(closing.Payments) != 2 {
				t.Errorf("%+v, %v", closing, err)
			}
			status(t, "a payment in between", till.DeleteTable(ctx, known), http.StatusUnprocessableEntity)
			if err := till.DeleteTable(ctx, closing); err != nil {
				t.Error(err)
			}
			if list, err := till.StoredTables(ctx, epos.TableFilter{Currency: money.GBP, Locked: new(bool)}); err != nil || len(list) != 0 {
				t.Errorf("%+v, %v", list, err)
			}
		})
	}
}

// A change whose answer is lost is an error that leaves it open, and can be made
// again: it is made once.
func TestRESTTableAnswerLost(t *testing.T) {
	c := openCounter(t)
	till, ctx := c.till(epos.Handler{}), t.Context()
	fresh := epos.NewTable{Name: "12", Amount: money.Amount{Minor: 3800, Currency: money.GBP}}
	c.playing(func(n int, _ *http.Request) string {
		if n == 1 {
			return lost
		}
		return ""
	})
	err := till.StoreTable(ctx, fresh)
	if _, said := errors.AsType[*epos.Error](err); said || err == nil {
		t.Errorf("%v", err)
	}
	status(t, "again", till.StoreTable(ctx, fresh), http.StatusConflict)
	known, err := till.StoredTable(ctx, "12")
	if err != nil {
		t.Fatal(err)
	}
	c.playing(func(n int, _ *http.Request) string {
		if n == 1 {
			return lost
		}
		return ""
	})
	if err := till.ChangeAmount(ctx, known, 4550); err == nil {
		t.Error("a lost answer was taken for one")
	}
	status(t, "again", till.ChangeAmount(ctx, known, 4550), http.StatusUnprocessableEntity)
	if now, err := till.StoredTable(ctx, "12"); err != nil || now.Amount != 4550 {
		t.Errorf("%+v, %v", now, err)
	}
}

// Reports that were started at a card machine are there for the till.
func TestRESTTableReports(t *testing.T) {
	c := openCounter(t)
	till, ctx := c.till(epos.Handler{}), t.Context()
	m, _ := c.park.Machine("VCMDEMOSIP0")
	if err := m.EndOfDayAtTerminal(ctx); err != nil {
		t.Fatal(err)
	}
	var list []epos.Report
	for len(list) == 0 {
		var err error
		if list, err = till.TableReports(ctx, "VCMDEMOSIP0"); err != nil {
			t.Fatal(err)
		}
	}
	if r := list[0]; len(list) != 1 || r.Type != epos.EndOfDay || r.Result != epos.ReportComplete || r.TID != "VCMDEMOSIP0" || r.Balances == nil {
		t.Errorf("%+v", list)
	}
	if none, err := till.TableReports(ctx, "VCMDEMODIP0"); err != nil || len(none) != 0 {
		t.Errorf("%+v, %v", none, err)
	}
}
