package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tillwire/tillwire/epos"
	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal/sim"
)

// A restaurant is the till that keeps tables, and what it booked.
type restaurant struct {
	url      string
	payments epos.MemoryStore

	mu     sync.Mutex
	tables map[epos.TableID]*place
	booked map[epos.PaymentID]*booking
	errors []error // that a till should never see
}

// places is how many tables there are.
const places = 8

// A place is a table: what is owed at it, and which terminal holds it.
type place struct {
	due    int64
	holder epos.TID
}

func newRestaurant(url string) *restaurant {
	r := &restaurant{url: url, tables: map[epos.TableID]*place{}, booked: map[epos.PaymentID]*booking{}}
	for i := range places {
		r.tables[epos.TableID(strconv.Itoa(i+1))] = &place{due: int64(1000 * (i + 1))}
	}
	return r
}

// serve keeps the till connected until ctx ends. A till that lost its line
// often waits long before it dials anew; this one has no time for that.
func (r *restaurant) serve(ctx context.Context) {
	for ctx.Err() == nil {
		one, again := context.WithCancel(ctx)
		err := epos.Tables{
			Options: epos.Options{URL: r.url}, Handler: r, Payments: &r.payments,
			Connection: func(s epos.ConnectionState) {
				if !s.Up {
					again()
				}
			},
		}.Run(one)
		if one.Err() == nil {
			r.mu.Lock()
			r.errors = append(r.errors, err)
			r.mu.Unlock()
		}
		again()
		select {
		case <-time.After(redialPause):
		case <-ctx.Done():
		}
	}
}

// ListTables is part of epos.TableHandler, as are those below.
func (r *restaurant) ListTables(context.Context, epos.TableListRequest) (epos.TableList, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := epos.TableList{Currency: money.GBP}
	for id, p := range r.tables {
		if p.holder == "" {
			l.Tables = append(l.Tables, id)
		}
	}
	slices.Sort(l.Tables)
	return l, nil
}

// LockTable locks a table that nobody holds.
func (r *restaurant) LockTable(_ context.Context, q epos.TableRequest) (epos.TableLock, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.tables[q.TableID]
	if p == nil || p.holder != "" {
		return epos.TableLock{}, nil
	}
	p.holder = q.TID
	return epos.TableLock{Granted: true, Amount: money.Amount{Minor: money.Minor(p.due), Currency: money.GBP}}, nil
}

// UnlockTable gives the table back, and new guests sit down at one that is paid.
func (r *restaurant) UnlockTable(_ context.Context, q epos.TableRequest) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.tables[q.TableID]
	if p == nil || p.holder != q.TID {
		return nil
	}
	p.holder = ""
	if p.due <= 0 {
		p.due = 500 + rand.Int64N(5000)
	}
	return nil
}

// Bill gives the bill.
func (r *restaurant) Bill(_ context.Context, q epos.TableRequest) ([]receipt.Line, error) {
	return []receipt.Line{{Type: receipt.Text, Value: "TABLE " + string(q.TableID)}}, nil
}

// Paid books payments.
func (r *restaurant) Paid(_ context.Context, q epos.TablePayments) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range q.Payments {
		k := r.booked[p.ID]
		if k == nil {
			k = &booking{Payment: string(p.ID), TID: string(q.TID), Amount: int64(p.AmountTotal())}
			r.booked[p.ID] = k
		}
		k.Times++
		if t := r.tables[q.TableID]; t != nil {
			t.due -= int64(p.AmountPaid)
		}
	}
	return nil
}

// TableReport keeps nothing: reports are not money.
func (r *restaurant) TableReport(context.Context, epos.Report) error { return nil }

// close returns what was booked and which tables are still held.
func (r *restaurant) close() (booked []booking, held []string, failed []error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.booked {
		booked = append(booked, *k)
	}
	for id, p := range r.tables {
		if p.holder != "" {
			held = append(held, fmt.Sprintf("table %s is held by %s", id, p.holder))
		}
	}
	return booked, held, r.errors
}

// waits reports whether a table is held.
func (r *restaurant) waits() bool {
	_, held, _ := r.close()
	return len(held) > 0
}

// A waiter goes from table to table with one machine, until ctx ends.
type waiter struct {
	base string // http://host:port
	tid  string
	rng  *rand.Rand
}

func (w *waiter) work(ctx context.Context) {
	for ctx.Err() == nil {
		if w.rng.IntN(12) == 0 {
			w.send(ctx, "report", errand{Report: report.XBalance})
		} else {
			w.send(ctx, "visit", newErrand(w.rng))
		}
		select {
		case <-time.After(time.Duration(5+w.rng.IntN(30)) * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// newErrand is something that waiters do at tables.
func newErrand(rng *rand.Rand) errand {
	o := errand{
		Waiter: table.WaiterID(strconv.Itoa(1 + rng.IntN(3))), Table: table.TableID(strconv.Itoa(1 + rng.IntN(places))),
		PrintBill: rng.IntN(3) == 0, Decline: rng.IntN(5) == 0, Signature: rng.IntN(6) == 0,
	}
	switch rng.IntN(6) {
	case 0:
		o.Split = 2 + rng.IntN(2)
	case 1:
		o.Pay = 1 + rng.Int64N(400)
	case 2:
		o.Tip = 1 + rng.Int64N(300)
	case 3:
		steps := sim.CancelSteps()
		o.CancelAt = steps[rng.IntN(len(steps))]
	}
	return o
}

// send has an errand done and waits for its end. That there is no gateway, or
// that the machine is in use, is part of the day.
func (w *waiter) send(ctx context.Context, what string, o errand) {
	body, err := json.Marshal(o)
	if err != nil {
		panic(err) // plain fields
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, w.base+"/dev/sites/"+siteID+"/terminals/"+w.tid+"/"+what, bytes.NewReader(body))
	if err != nil {
		panic(err) // a fixed URL
	}
	q.Header.Set("Content-Type", "application/json")
	if answer, err := http.DefaultClient.Do(q); err == nil {
		io.Copy(io.Discard, answer.Body) //nolint:errcheck // the steps do not matter
		answer.Body.Close()
	}
}
