package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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

// A restaurant is the till that keeps tables. It may be killed: what it books
// and which tables it has locked is in a diary.
type restaurant struct {
	url   string
	pages *diary[page]

	mu     sync.Mutex
	tables map[epos.TableID]*place
	booked map[epos.PaymentID]bool
}

// A page of the diary: a table was given to a terminal or taken back, or
// payments were booked.
type page struct {
	Table  epos.TableID `json:"table"`
	Holder *epos.TID    `json:"holder,omitempty"` // from now on; empty is nobody
	Due    int64        `json:"due"`              // from now on
	Paid   []booking    `json:"paid,omitempty"`
}

// places is how many tables there are.
const places = 8

// A place is a table: what is owed at it, and which terminal holds it.
type place struct {
	due    int64
	holder epos.TID
}

func newRestaurant(url, path string) (*restaurant, error) {
	pages, past, err := openDiary[page](path)
	if err != nil {
		return nil, err
	}
	r := &restaurant{url: url, pages: pages, booked: map[epos.PaymentID]bool{}}
	r.tables = placesAfter(past)
	for _, p := range past {
		for _, k := range p.Paid {
			r.booked[epos.PaymentID(k.Payment)] = true
		}
	}
	return r, nil
}

// placesAfter is how the tables are after what the diary says.
func placesAfter(past []page) map[epos.TableID]*place {
	tables := map[epos.TableID]*place{}
	for i := range places {
		tables[epos.TableID(strconv.Itoa(i+1))] = &place{due: int64(1000 * (i + 1))}
	}
	for _, p := range past {
		t := tables[p.Table]
		if t == nil {
			continue // paid at a table that nobody knows
		}
		t.due = p.Due
		if p.Holder != nil {
			t.holder = *p.Holder
		}
	}
	return tables
}

// serve keeps the till connected until ctx ends. A till that lost its line
// often waits long before it dials anew; this one has no time for that.
func (r *restaurant) serve(ctx context.Context) error {
	for ctx.Err() == nil {
		one, again := context.WithCancel(ctx)
		err := epos.Tables{
			Options: epos.Options{URL: r.url}, Handler: r, Payments: r,
			Connection: func(s epos.ConnectionState) {
				if !s.Up {
					again()
				}
			},
		}.Run(one)
		unasked := one.Err() == nil
		again()
		// What it dialled before it was killed may arrive after what it dials now,
		// and take over. There is no other such till, so somebody starts it again.
		if unasked && !errors.Is(err, epos.ErrDiscontinued) {
			return fmt.Errorf("the till with the tables: %w", err)
		}
		select {
		case <-time.After(redialPause):
		case <-ctx.Done():
		}
	}
	return nil
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
	if err := r.pages.write(page{Table: q.TableID, Holder: &q.TID, Due: p.due}); err != nil {
		return epos.TableLock{}, err
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
	due, nobody := p.due, epos.TID("")
	if due <= 0 {
		due = 500 + rand.Int64N(5000)
	}
	if err := r.pages.write(page{Table: q.TableID, Holder: &nobody, Due: due}); err != nil {
		return err
	}
	p.holder, p.due = nobody, due
	return nil
}

// Bill gives the bill.
func (r *restaurant) Bill(_ context.Context, q epos.TableRequest) ([]receipt.Line, error) {
	return []receipt.Line{{Type: receipt.Text, Value: "TABLE " + string(q.TableID)}}, nil
}

// Once is part of epos.PaymentStore: what is booked is in the diary, and so both
// are one.
func (r *restaurant) Once(ctx context.Context, ids []epos.PaymentID, book func(context.Context, []epos.PaymentID) error) error {
	r.mu.Lock()
	fresh := slices.DeleteFunc(slices.Clone(ids), func(id epos.PaymentID) bool { return r.booked[id] })
	r.mu.Unlock()
	if len(fresh) == 0 {
		return nil
	}
	return book(ctx, fresh)
}

// Paid books payments.
func (r *restaurant) Paid(_ context.Context, q epos.TablePayments) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := page{Table: q.TableID}
	t := r.tables[q.TableID]
	if t != nil {
		p.Due = t.due
	}
	for _, one := range q.Payments {
		p.Paid = append(p.Paid, booking{Payment: string(one.ID), TID: string(q.TID), Amount: int64(one.AmountTotal())})
		p.Due -= int64(one.AmountPaid)
	}
	if err := r.pages.write(p); err != nil {
		return err
	}
	for _, one := range q.Payments {
		r.booked[one.ID] = true
	}
	if t != nil {
		t.due = p.Due
	}
	return nil
}

// TableReport keeps nothing: reports are not money.
func (r *restaurant) TableReport(context.Context, epos.Report) error { return nil }

// readRestaurant returns what was booked, and which tables are still held.
func readRestaurant(path string) (booked []booking, held []string, err error) {
	past, _, err := readDiary[page](path)
	at := map[string]int{}
	for _, p := range past {
		for _, k := range p.Paid {
			i, ok := at[k.Payment]
			if !ok {
				i = len(booked)
				at[k.Payment] = i
				booked = append(booked, k)
			}
			booked[i].Times++
		}
	}
	for id, p := range placesAfter(past) {
		if p.holder != "" {
			held = append(held, fmt.Sprintf("table %s is held by %s", id, p.holder))
		}
	}
	return booked, held, err
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
