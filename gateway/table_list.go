package gateway

import (
	"time"

	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/wire"
)

const (
	// maxTables is how many tables a terminal is shown.
	maxTables = 1000
	// maxTableName is how long a table's name may be, in characters, to be locked.
	maxTableName = 64
)

// tablesWanted has the waiter shown the tables (the contract, section 5.1).
func (a *actor) tablesWanted(e terminal.TablesWanted) {
	v := a.openVisit(e.Visit, e.Waiter)
	if v == nil || v.state.State != table.Listing {
		return
	}
	a.site.source().list(v, func(l terminal.TableList) { v.answer(l) })
}

// list asks the till for its tables.
func (b *switchboard) list(v *visit, show func(terminal.TableList)) {
	a, state := v.a, v.state
	b.ask(&question{
		method: wire.MethodTableList, deadline: a.patDeadline(),
		params: func(seconds float64) wire.Message {
			return wire.TableListRequest{TerminalID: wire.TerminalID{TID: state.TID}, WaiterID: string(state.Waiter), Timeout: seconds}
		},
		take: taking(wire.DecodeTableListResult, nil, func(r wire.TableListResult) {
			a.do(func() { show(terminal.TableList{Tables: lockable(r.Tables), Currency: r.Currency}) })
		}),
		none: func(n noAnswer) { a.do(func() { show(terminal.TableList{Message: n.screen()}) }) },
	})
}

func (a *actor) patDeadline() time.Time {
	return time.Now().Add(a.site.settings.Load().limits[spec.TimerPATAnswer])
}

// lockable are the tables that a terminal can show and lock: each once, with a
// name of 1 to 64 printable characters, and not more than a waiter can page
// through.
func lockable(names []string) []table.TableID {
	seen := make(map[string]bool, len(names))
	out := make([]table.TableID, 0, min(len(names), maxTables))
	for _, name := range names {
		if seen[name] || !lockableName(name) {
			continue
		}
		seen[name] = true
		if out = append(out, table.TableID(name)); len(out) == maxTables {
			break
		}
	}
	return out
}

func lockableName(name string) bool { return nameable(name, maxTableName) }
