package sim

import (
	"fmt"
	"time"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
)

// A waiter is who serves a table at a machine: one with a Visit to do, or hands.
// What the machine and the gateway do between that is the same for both. Each
// method may return errLeave, or how the visit is stopped.
type waiter interface {
	// pick chooses from the list, or a table that is not in it.
	pick(tables []table.TableID) (table.TableID, error)
	// look lets the waiter see a step on the screen, which takes that long.
	look(s Step, takes time.Duration) error
	// learn is look for what went wrong.
	learn(s Step, takes time.Duration) error
	// wantsBill says whether the bill is printed once the table is locked.
	wantsBill() (bool, error)
	// split settles how much is paid by how many.
	split() error
	// next is the next payment; nothing is asked for when there is none.
	next() (share, error)
	// prints lets paper out.
	prints(c Copy, lines []receipt.Line) error
	// stay is a step at which nobody leaves.
	stay(s Step) error
}

// A share is one card's part of a bill.
type share struct {
	asked, tip money.Minor
	script     Script
	people     func(*run) people
}

// byPlan is a waiter with a Visit to do.
type byPlan struct {
	*round
	v      Visit
	cards  []Card
	parts  []money.Minor
	target money.Minor
}

func (p *byPlan) pick(tables []table.TableID) (table.TableID, error) {
	found, err := p.leaf(tables)
	switch {
	case err != nil:
		return "", err
	case p.v.Table == "":
		return "", stopped(EndListed)
	case !found && !p.v.ByName:
		p.shows(StepList, "Table "+onScreen(string(p.v.Table))+" is not in the list")
		return "", stopped(EndNoTable)
	}
	return p.v.Table, nil
}

// leaf goes through the pages of the list up to the waiter's table.
func (p *byPlan) leaf(tables []table.TableID) (found bool, err error) {
	if len(tables) == 0 {
		return false, p.halt(StepList, noTables, listTakes)
	}
	pages := paged(tables)
	for i, page := range pages {
		text := fmt.Sprintf("Tables, page %d of %d", i+1, len(pages))
		for _, id := range page {
			text += "\n" + onScreen(string(id))
			found = found || id == p.v.Table
		}
		if err := p.halt(StepList, text, listTakes); err != nil || found {
			return found, err
		}
	}
	return false, nil
}

// look stops at a step where the visit says so.
func (p *byPlan) look(s Step, takes time.Duration) error {
	if p.v.HoldAt == s {
		if err := waitFor(p.round, p.v.Until); err != nil {
			return err
		}
	}
	if err := p.pause(takes); err != nil {
		return err
	}
	if p.v.CancelAt == s {
		return errLeave
	}
	return nil
}

func (p *byPlan) learn(s Step, takes time.Duration) error {
	if takes == 0 { // the visit stops anyway
		return nil
	}
	return p.look(s, takes)
}

func (p *byPlan) wantsBill() (bool, error) {
	if p.v.PrintBill {
		return true, nil
	}
	return false, p.halt(StepBill, "No bill printed", 0)
}

func (p *byPlan) split() error {
	p.target = p.res.Due
	if p.v.Amount > 0 {
		p.target = min(p.v.Amount, p.target)
	}
	text := "Pay " + p.amount(p.target)
	if p.target < p.res.Due {
		text += " of " + p.amount(p.res.Due)
	}
	if p.v.Split > 1 {
		text += fmt.Sprintf(" in %d parts", p.v.Split)
	}
	p.parts, p.cards = parts(p.target, p.v.Split), p.v.cards()
	return p.halt(StepSplit, text, splitTakes)
}

func (p *byPlan) next() (share, error) {
	left := p.target - p.res.Paid
	if left == 0 || len(p.cards) == 0 {
		return share{}, nil
	}
	card, taken := p.cards[0], p.taken()
	p.cards = p.cards[1:]
	s := share{asked: left, script: card.Script, people: func(r *run) people { return byHeart{r} }}
	switch {
	case card.Amount > 0:
		s.asked = min(card.Amount, left)
	case taken < len(p.parts)-1 && p.parts[taken] > 0: // the last part is all that is left
		s.asked = min(p.parts[taken], left)
	}
	var err error
	s.tip, err = p.gratuity(s.asked, taken)
	return s, err
}

// gratuity has the cardholder choose one, where one is asked for.
func (p *byPlan) gratuity(asked money.Minor, taken int) (money.Minor, error) {
	if taken > 0 && !p.v.Tip.Each {
		return 0, nil
	}
	tip, text := p.v.Tip.of(asked), "No gratuity"
	if tip > 0 {
		text = "Gratuity " + p.amount(tip)
	}
	return tip, p.halt(StepGratuity, text, gratuityTakes)
}

// prints lets the paper out at once. A bill is looked at as other steps are.
func (p *byPlan) prints(c Copy, lines []receipt.Line) error {
	p.m.mu.Lock()
	if !p.m.panel.noPaper {
		p.m.hang(c, lines)
	}
	p.m.mu.Unlock()
	if c == BillCopy {
		return nil
	}
	return p.slip()
}

// stay waits out a hold.
func (p *byPlan) stay(s Step) error {
	if p.v.HoldAt != s {
		return nil
	}
	return powered(p.round, p.v.Until)
}

// slip is the time that a receipt takes. Nobody leaves before it is out.
func (w *round) slip() error {
	t := time.NewTimer(w.m.park.pace(slipTakes))
	defer t.Stop()
	return powered(w, t.C)
}

// taken is how many cards were charged.
func (w *round) taken() int {
	n := 0
	for _, p := range w.res.Payments {
		if p.Result == txn.Successful {
			n++
		}
	}
	return n
}

// paged has the tables as they stand on the screen's pages.
func paged(tables []table.TableID) [][]table.TableID {
	var pages [][]table.TableID
	for len(tables) > 0 {
		n := min(tablesOnPage, len(tables))
		pages = append(pages, tables[:n])
		tables = tables[n:]
	}
	return pages
}
