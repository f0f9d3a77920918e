package sim

import (
	"errors"
	"slices"
	"time"

	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/txn"
)

// A Roll is a piece of paper that hangs out of the printer.
type Roll struct {
	ID       int  // counts up for as long as the process runs
	Copy     Copy // whose
	Printing bool // more lines follow
	Torn     bool // the paper ended in the middle; it is printed again
	Lines    []receipt.Line
}

// A Copy says what a roll is.
type Copy string

// What machines print.
const (
	MerchantCopy  Copy = "merchant"
	CustomerCopy  Copy = "customer"
	DuplicateCopy Copy = "duplicate"
	BillCopy      Copy = "bill"  // the till's, at a table
	FinalCopy     Copy = "final" // the till's, at the end of a visit
	ReportCopy    Copy = "report"
)

// How many pieces of paper hang out of the printer before the oldest falls to the
// floor. Where nobody takes them they are those of the last transaction.
const (
	keepRolls     = 12
	keepUntouched = 2
)

// hang lets paper out of the printer. The caller holds m.mu.
func (m *Machine) hang(c Copy, lines []receipt.Line) *Roll {
	p := &m.panel
	p.rollID++
	p.rolls = append(p.rolls, Roll{ID: p.rollID, Copy: c, Lines: lines})
	keep := keepUntouched
	if p.touched {
		keep = keepRolls
	}
	if n := len(p.rolls) - keep; n > 0 {
		p.rolls = slices.Clone(p.rolls[n:])
	}
	m.stir()
	return &p.rolls[len(p.rolls)-1]
}

// hangs reports whether such a copy hangs there. The caller holds m.mu.
func (m *Machine) hangs(c Copy) bool {
	return slices.ContainsFunc(m.panel.rolls, func(r Roll) bool { return r.Copy == c })
}

// lineTakes is how long a line of a receipt takes to print at speed 1.
const lineTakes = 60 * time.Millisecond

// unroll prints line by line, and reports whether the paper lasted.
func (m *Machine) unroll(c Copy, lines []receipt.Line, pause func(time.Duration) error) (whole bool, err error) {
	m.mu.Lock()
	r := m.hang(c, nil)
	r.Printing = true
	id := r.ID
	m.mu.Unlock()
	for i := range lines {
		if err = pause(lineTakes); err != nil || m.outOfPaper() {
			break
		}
		m.roll(id, func(r *Roll) { r.Lines = lines[:i+1] })
	}
	whole = err == nil && !m.outOfPaper()
	m.roll(id, func(r *Roll) { r.Printing, r.Torn = false, !whole })
	return whole, err
}

// roll changes what hangs out of the printer.
func (m *Machine) roll(id int, change func(*Roll)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.IndexFunc(m.panel.rolls, func(r Roll) bool { return r.ID == id }); i >= 0 {
		change(&m.panel.rolls[i])
		m.stir()
	}
}

// outOfPaper reports whether a new roll is needed.
func (m *Machine) outOfPaper() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.panel.noPaper
}

// newRoll is the prompt for paper.
func (m *Machine) newRoll(title string) *prompt {
	p := &prompt{}
	p.draw = func() Screen {
		return Screen{Title: title, Lines: []string{says(ReplacePaper)}, Asks: AsksPaper}
	}
	p.noticed = func() {
		if !m.panel.noPaper {
			p.end()
		}
	}
	return p
}

// paper waits for a new roll where there is none. It returns errUnattended when
// nobody brings one.
func (r *run) paper() error {
	for r.m.outOfPaper() {
		r.notify(ReplacePaper)
		if err := r.ask(r.m.newRoll(r.title()), PaperLimit); err != nil {
			return err
		}
	}
	return nil
}

// hangSlips lets out the copies that are not out yet. A merchant copy that was
// signed stands, unless nothing was taken after all. The caller holds m.mu.
func (r *run) hangSlips(o txn.Outcome) {
	if o.PAN == "" || r.printed || r.m.panel.noPaper {
		return
	}
	if !r.signed(o.Result) {
		r.m.hang(MerchantCopy, o.Receipts.Merchant)
	}
	r.m.hang(CustomerCopy, o.Receipts.Customer)
}

// signed reports whether the merchant copy was printed to be signed, and stands.
func (r *run) signed(result txn.Result) bool {
	return r.c.Phase == signing && result == txn.Successful
}

// copies prints the merchant's copy, and then the customer's. Without paper, and
// nobody to bring some, it prints none.
func (h *byHand) copies(result txn.Result) error {
	o := h.m.outcome(h.c, result)
	if o.PAN == "" {
		return nil
	}
	err := h.bothCopies(o)
	h.printed = true
	if errors.Is(err, errUnattended) {
		return nil
	}
	return err
}

// bothCopies: for a card that was tapped there is no customer copy unless F1
// asks for it (the contract, section 15).
func (h *byHand) bothCopies(o txn.Outcome) error {
	if !h.signed(o.Result) {
		if err := h.prints(MerchantCopy, o.Receipts.Merchant); err != nil {
			return err
		}
	}
	tapped := o.Method == txn.MethodContactless
	s := Screen{Title: h.title(), Lines: []string{"Please tear off the merchant copy"}}
	key := KeyUse{KeyEnter, "Customer copy"}
	if tapped {
		s.Lines, key.Key = []string{"F1 prints a customer copy"}, KeyF1
	}
	q := newChoice(s, key)
	q.noticed = func() {
		if !tapped && !h.m.hangs(MerchantCopy) {
			q.end()
		}
	}
	wanted := !tapped
	if d := h.m.park.pace(CopyTakes); d > 0 {
		err := h.ask(&q.prompt, d)
		if err != nil && !errors.Is(err, errUnattended) {
			return err
		}
		wanted = wanted || q.chosen == KeyF1
	}
	if !wanted {
		return nil
	}
	return h.prints(CustomerCopy, o.Receipts.Customer)
}

// prints lets a copy out of the printer, line by line. Where the paper ends it
// is printed again on a new roll.
func (h *byHand) prints(c Copy, lines []receipt.Line) error {
	at := atCounter
	if h.round != nil {
		at = atTable
	}
	h.m.shows(at, Screen{Title: h.title(), Lines: []string{"Printing"}})
	for {
		if err := h.paper(); err != nil {
			return err
		}
		whole, err := h.m.unroll(c, lines, h.pause)
		if whole || err != nil {
			return err
		}
	}
}
