package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/table"
)

// This file keeps tables for tills that store theirs here (section 7 of the
// contract for REST). Each is a stream of the journal. What anybody changes, till
// or terminal, is decided on and appended as one step, so that what a till knows
// of a table and what a card pays for it never cross.

// A keeper keeps the tables of one site.
type keeper struct {
	g    *Gateway
	site *site

	// door is held by who stores a new table, and by a till that comes to /pat: the
	// site is served by one of the two.
	door gate

	mu     sync.RWMutex
	byName map[table.TableID]*keptTable
	byID   map[journal.Stream]*keptTable
	order  []*keptTable // as they were stored
	doubts map[table.TableID]ledger
}

// A gate lets one in at a time, and who waits at it can give up.
type gate chan struct{}

func newGate() gate { return make(gate, 1) }

func (g gate) enter(ctx context.Context) error {
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g gate) leave() { <-g }

// A keptTable is one table.Kept. Who changes it holds its turn.
type keptTable struct {
	turn gate
	life[table.Kept, table.KeptEvent]
	seen atomic.Pointer[table.Kept] // as it is on disk, for who only looks
}

// keptLife is the life of a kept table before its state is known.
func keptLife(j journal.Journal, stream journal.Stream, count int) life[table.Kept, table.KeptEvent] {
	return life[table.Kept, table.KeptEvent]{
		ledger: ledger{store: j, stream: stream, count: count},
		apply:  table.ApplyKept, encode: journal.EncodeKept, head: journal.KeptHead, replay: journal.ReplayKept,
	}
}

func newKeeper(g *Gateway, s *site) *keeper {
	return &keeper{g: g, site: s, door: newGate(), byName: map[table.TableID]*keptTable{}, byID: map[journal.Stream]*keptTable{}, doubts: map[table.TableID]ledger{}}
}

// any reports whether a table is stored.
func (k *keeper) any() bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return len(k.order) > 0
}

// named returns the stored table of that name, or nil.
func (k *keeper) named(name table.TableID) *keptTable {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.byName[name]
}

// identified returns the stored table with that id, or nil.
func (k *keeper) identified(id table.KeptID) *keptTable {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.byID[journal.Stream(id)]
}

// all returns the stored tables as they are on disk, oldest first.
func (k *keeper) all() []table.Kept {
	k.mu.RLock()
	defer k.mu.RUnlock()
	out := make([]table.Kept, len(k.order))
	for i, t := range k.order {
		out[i] = *t.seen.Load()
	}
	return out
}

// names says in words which tables are stored.
func (k *keeper) names() string {
	const shown = 10
	var quoted []string
	for _, t := range k.all() {
		quoted = append(quoted, fmt.Sprintf("%q", t.Name))
	}
	switch n := len(quoted); {
	case n == 0:
		return "none is stored at the moment"
	case n > shown:
		return fmt.Sprintf("%s and %d more are stored", strings.Join(quoted[:shown], ", "), n-shown)
	case n == 1:
		return quoted[0] + " is stored"
	}
	return strings.Join(quoted, ", ") + " are stored"
}

// adopt takes in a table that is on disk.
func (k *keeper) adopt(l life[table.Kept, table.KeptEvent]) *keptTable {
	t := &keptTable{turn: newGate(), life: l}
	t.show()
	k.mu.Lock()
	defer k.mu.Unlock()
	if other := k.byName[l.state.Name]; other != nil {
		// By the rules of storing this cannot be. Terminals and tills see the first.
		k.g.log.Error("two tables of one name are stored", "site", l.state.Site, "table", l.state.Name, "first", other.stream, "second", l.stream)
		return t
	}
	k.byName[l.state.Name], k.byID[l.stream] = t, t
	i := len(k.order)
	for i > 0 && k.order[i-1].seen.Load().At.After(l.state.At) {
		i--
	}
	k.order = slices.Insert(k.order, i, t)
	k.g.metrics.tables.Inc()
	return t
}

// release lets go of a table that was deleted.
func (k *keeper) release(t *keptTable) {
	k.mu.Lock()
	defer k.mu.Unlock()
	i := slices.Index(k.order, t)
	if i < 0 {
		return
	}
	k.order = slices.Delete(k.order, i, i+1)
	delete(k.byName, t.state.Name)
	delete(k.byID, t.stream)
	k.g.metrics.tables.Dec()
}

func (t *keptTable) show() {
	state := t.state
	t.seen.Store(&state)
}

// A decision makes events of a table as it stands, or none.
type decision func(table.Kept) []table.KeptEvent

// change decides and appends, as one step. What would change nothing is not
// appended; without a decision it is only made sure how the table stands. The error
// is a *table.KeptRefusal, or the journal's; then nothing is changed, as far as
// anybody can know. It returns the table before and after.
func (k *keeper) change(ctx context.Context, t *keptTable, decide decision) (before, after table.Kept, err error) {
	if err := t.turn.enter(ctx); err != nil {
		return before, after, err
	}
	defer t.turn.leave()
	if t.doubt { // what it was decided on would not be true
		if err := t.conflicted(ctx, t.resolve(ctx)); err != nil && !errors.Is(err, journal.ErrConflict) {
			return before, after, err
		}
	}
	for range 2 {
		before, err = t.state, nil
		if decide != nil {
			err = t.append(ctx, decide(before))
		}
		if !errors.Is(err, journal.ErrConflict) {
			break
		}
		// An append of which nobody knew was kept: decide anew with what is true.
	}
	t.show()
	if !t.state.Stored() {
		k.release(t)
	}
	return before, t.state, err
}

// append appends the events that change something.
func (t *keptTable) append(ctx context.Context, events []table.KeptEvent) error {
	if len(events) == 0 {
		return nil
	}
	next := t.state
	for _, e := range events {
		var err error
		if next, err = t.apply(next, e); err != nil {
			return err
		}
	}
	if reflect.DeepEqual(t.state, next) {
		return nil
	}
	return t.record(ctx, events...)
}

// Why a new table is not stored.
var (
	errNameTaken  = errors.New("gateway: a table of that name is stored")
	errOverSocket = errors.New("gateway: the site's tables are served over the WebSocket")
	errManyTables = fmt.Errorf("gateway: a site can store %d tables", maxKept)
)

// maxKept is how many tables a site can store.
const maxKept = 10_000

// store stores a new table.
func (k *keeper) store(ctx context.Context, e table.Created) (table.Kept, error) {
	if err := k.door.enter(ctx); err != nil {
		return table.Kept{}, err
	}
	defer k.door.leave()
	pat := k.site.settings.Load().PAT
	if pat == journal.PATWebSocket || pat == journal.PATAuto && k.site.board.online() {
		return table.Kept{}, errOverSocket
	}
	if t := k.named(e.Name); t != nil {
		// Unless it is doubted whether it was deleted, and it was.
		if _, now, err := k.change(ctx, t, nil); err != nil || now.Stored() {
			return table.Kept{}, cmp.Or(err, errNameTaken)
		}
	}
	k.mu.RLock()
	full := len(k.order) >= maxKept
	k.mu.RUnlock()
	if full {
		return table.Kept{}, errManyTables
	}
	if err := k.settle(ctx, e.Name); err != nil {
		return table.Kept{}, err
	}
	l := keptLife(k.g.store, journal.Stream(e.ID), 0)
	if err := l.record(ctx, e); err != nil {
		if errors.Is(err, journal.ErrUncertain) {
			k.doubt(e.Name, l.ledger)
		}
		return table.Kept{}, err
	}
	t := k.adopt(l)
	// The till comes for the reports itself from now on.
	k.site.board.withdrawReports()
	return *t.seen.Load(), nil
}

// doubt remembers a table that may be on disk although its till was told that it
// is not stored.
func (k *keeper) doubt(name table.TableID, l ledger) {
	k.mu.Lock()
	k.doubts[name] = l
	k.mu.Unlock()
	time.AfterFunc(disownAgain, func() {
		if k.g.ctx.Err() != nil || k.door.enter(k.g.ctx) != nil {
			return
		}
		defer k.door.leave()
		if err := k.settle(k.g.ctx, name); err != nil {
			k.g.log.Error("a table that was refused may be on disk, stored", "site", k.site.settings.Load().ID, "table", name, "error", err)
			k.doubt(name, l)
		}
	})
}

// settle ends a doubt: what is on disk is deleted there. Whoever calls it is at
// the door.
func (k *keeper) settle(ctx context.Context, name table.TableID) error {
	k.mu.RLock()
	l, doubted := k.doubts[name]
	k.mu.RUnlock()
	if !doubted {
		return nil
	}
	n, err := l.kept(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", journal.ErrUncertain, err)
	}
	if n > 0 {
		records, err := l.store.Records(ctx, l.stream)
		if err != nil {
			return err
		}
		ghost := keptLife(l.store, l.stream, len(records))
		if ghost.state, err = journal.ReplayKept(records); err != nil {
			return err
		}
		if ghost.state.Stored() {
			if err := ghost.record(ctx, table.Removed{Known: knownOf(ghost.state), By: "the gateway: storing it was refused", At: time.Now().UTC()}); err != nil {
				return err
			}
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.doubts, name)
	return nil
}

func knownOf(t table.Kept) table.Known { return table.Known{Amount: t.Amount, Paid: t.Paid()} }

// recover takes in a table that an earlier process stored. It is as it was.
func (k *keeper) recover(stream journal.Stream, records []journal.Record) error {
	l := keptLife(k.g.store, stream, len(records))
	var err error
	if l.state, err = journal.ReplayKept(records); err == nil {
		k.adopt(l)
	}
	return err
}

// book books payments of a visit to the table that was locked for them, once
// each, and whatever became of the table. The error is the journal's, with
// journal.ErrNotFound where not even its record is left.
func (k *keeper) book(ctx context.Context, id table.KeptID, payments []table.PaymentBooked) error {
	t, err := k.recall(ctx, id)
	if err != nil {
		return err
	}
	before, after, err := k.change(ctx, t, func(now table.Kept) (events []table.KeptEvent) {
		for _, p := range payments {
			if !now.HasPayment(p.Payment) {
				events = append(events, p)
			}
		}
		return events
	})
	if err == nil && after.State == table.Stray && len(after.Payments) > len(before.Payments) {
		k.g.log.Error("a table was paid after it was deleted; no till may have booked it", "site", after.Site, "table", after.Name, "stream", after.ID)
		k.g.metrics.strays.Inc()
	}
	return err
}

// recall returns the table with that id, from the journal if it was deleted.
func (k *keeper) recall(ctx context.Context, id table.KeptID) (*keptTable, error) {
	if t := k.identified(id); t != nil {
		return t, nil
	}
	records, err := k.g.store.Records(ctx, journal.Stream(id))
	if err != nil {
		return nil, err
	}
	t := &keptTable{turn: newGate(), life: keptLife(k.g.store, journal.Stream(id), len(records))}
	t.state, err = journal.ReplayKept(records)
	return t, err
}

// unlock ends the lock of a visit, if it is still that one's.
func (k *keeper) unlock(ctx context.Context, id table.KeptID, visit table.VisitID) error {
	t := k.identified(id)
	if t == nil {
		return nil // it was deleted, and so is not locked
	}
	_, _, err := k.change(ctx, t, func(now table.Kept) []table.KeptEvent {
		if now.State != table.HeldByTerminal || now.Visit != visit {
			return nil
		}
		return []table.KeptEvent{table.TerminalUnlocked{Visit: visit, At: time.Now().UTC()}}
	})
	return err
}

// maskedBill is the bill of a till with card numbers masked, but for barcodes.
func maskedBill(lines []receipt.Line) []receipt.Line {
	out := slices.Clone(receipt.Masked(lines))
	for i, l := range lines {
		if strings.HasPrefix(string(l.Type), "BARCODE_") {
			out[i] = l
		}
	}
	return out
}
