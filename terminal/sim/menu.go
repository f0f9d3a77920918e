package sim

import (
	"context"
	"slices"
	"time"

	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
)

// The menu of a machine that people touch. Nothing runs while they look at it,
// and whatever begins takes its place on the screen.

// openMenu shows what a machine can do by itself. The caller holds m.mu.
func (m *Machine) openMenu() {
	keys := []KeyUse{{KeyF1, "Tables"}}
	if len(m.can.Reports) > 0 {
		keys = append(keys, KeyUse{KeyF2, "Reports"})
	}
	if m.can.Duplicate {
		keys = append(keys, KeyUse{KeyF3, "Duplicate receipt"})
	}
	m.menuChoice(Screen{Title: "MENU"}, func(k Key) {
		switch k {
		case KeyF1:
			m.openTables()
		case KeyF2:
			m.openReports()
		case KeyF3:
			m.printDuplicate()
		default: // no key that was shown
		}
	}, keys...)
}

// menuChoice shows a page of the menu. The red key leaves it.
func (m *Machine) menuChoice(s Screen, then func(Key), keys ...KeyUse) {
	c := newChoice(s, append(keys, KeyUse{KeyCancel, "Leave"})...)
	c.press = func(k Key) {
		m.panel.menu = nil
		then(k)
	}
	m.openPage(&c.prompt)
}

// openPage shows a page until MenuLimit has passed.
func (m *Machine) openPage(p *prompt) {
	m.panel.menu = p
	time.AfterFunc(MenuLimit, func() {
		m.mu.Lock()
		if m.panel.menu == p {
			m.panel.menu = nil
			m.stir()
		}
		m.mu.Unlock()
	})
}

// openNote shows something that has to be read.
func (m *Machine) openNote(title, text string) {
	m.menuChoice(Screen{Title: title, Lines: []string{text}}, func(Key) {}, KeyUse{KeyEnter, "OK"})
}

// waiterDigits is how long a waiter's number may be.
const waiterDigits = 8

// openTables asks who serves, and begins a visit.
func (m *Machine) openTables() {
	s := Screen{Title: "TABLES", Lines: []string{"Waiter number"}, Asks: AsksNumber}
	k := newKeypad(s, 0, waiterDigits, func(typed []byte) string { return string(typed) })
	press := k.press
	k.press = func(key Key) {
		if press(key); key != KeyCancel && key != KeyEnter {
			return
		}
		m.panel.menu = nil
		if k.red {
			return
		}
		by := func(w *round) waiter { return &bySteps{round: w} }
		if _, err := m.welcome(context.Background(), table.WaiterID(k.typed), nil, by); err != nil {
			m.openNote("TABLES", "The card machine is busy")
		}
	}
	k.done = make(chan struct{})
	m.openPage(&k.prompt)
}

// openReports offers those that the machine makes.
func (m *Machine) openReports() {
	byKey := map[Key]report.Type{KeyF1: report.XBalance, KeyF2: report.ZBalance, KeyF3: report.Banking, KeyF4: report.EndOfDay}
	var keys []KeyUse
	for _, k := range []Key{KeyF1, KeyF2, KeyF3, KeyF4} {
		if slices.Contains(m.can.Reports, byKey[k]) {
			keys = append(keys, KeyUse{k, reportTitle(byKey[k])})
		}
	}
	m.menuChoice(Screen{Title: "REPORTS"}, func(k Key) {
		if t, ok := byKey[k]; ok {
			if _, err := m.startReport(t); err != nil {
				m.openNote(reportTitle(t), "The report cannot be made")
			}
		}
	}, keys...)
}

// printDuplicate prints the last customer receipt once more.
func (m *Machine) printDuplicate() {
	const title = "DUPLICATE"
	switch last := m.mem.Last; {
	case last == nil || len(last.Outcome.Receipts.Customer) == 0:
		m.openNote(title, "There is no transaction")
	case m.panel.noPaper:
		m.openNote(title, says(ReplacePaper))
	default:
		m.hang(DuplicateCopy, duplicate(last.Outcome.Receipts.Customer))
	}
}
