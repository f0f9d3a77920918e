package gateway

import (
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/terminal"
)

// A source is who answers for the tables of a site: the till at the socket, which
// the switchboard asks, or the keeper, for tills that store their tables here. The
// visit is the same with both. Its methods are called in the visit's actor, and
// what they are given to call, they call there.
type source interface {
	// list finds the tables that the waiter may choose from.
	list(v *visit, show func(terminal.TableList))
	// find says which table of that name is meant, where that is known here, or in
	// words for the waiter why none can be locked. Nothing is asked or changed.
	find(v *visit, name table.TableID) (kept table.KeptID, hindrance string)
	// lock locks the table of which the visit has recorded that it is about to be,
	// and tells the visit by lockAnswered or lockUnanswered.
	lock(v *visit)
	// bill finds what to print as the bill, or in words for the waiter why nothing.
	bill(v *visit, show func(lines []receipt.Line, message string))
	// final finds what to print at the end. It reports whether show will be called.
	final(v *visit, show func(lines []receipt.Line, message string)) bool
	// tell passes an entry of the visit's outbox on, and tells the visit by
	// delivered once it has arrived.
	tell(v *visit, e table.Entry)
}

var (
	_ source = (*switchboard)(nil)
	_ source = (*keeper)(nil)
)

// source is who answers for the site's tables now.
func (s *site) source() source {
	if s.keeps() {
		return s.keeper
	}
	return s.board
}

// keeps reports whether the tables of the site are kept here (section 7.1 of the
// contract for REST).
func (s *site) keeps() bool {
	switch s.settings.Load().PAT {
	case journal.PATREST:
		return true
	case journal.PATWebSocket:
		return false
	case journal.PATAuto:
	}
	return s.keeper.any()
}

// source is who answers for the visit's table, whatever the site says by now.
func (v *visit) source() source {
	switch {
	case v.state.Kept != "":
		return v.a.site.keeper
	case v.state.Asked:
		return v.a.site.board
	}
	return v.a.site.source()
}
