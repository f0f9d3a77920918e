package sim

import (
	"slices"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/txn"
)

// A Face is how a machine looks to somebody in front of it, at one moment. It
// holds no full card number and no PIN. Its slices must not be changed.
type Face struct {
	TID      txn.TID
	Model    string
	Software string
	Currency money.Currency

	ByHand bool // it waits for people: Touch
	Power  bool
	Cable  bool // plugged in; with power and without a Link it dials
	Link   bool // a gateway is at the other end
	Paper  bool // there is some on the roll
	Broken bool // it cannot write its memory and has fallen mute

	Busy   Busy
	Screen Screen
	Slot   *SlotCard // the card in the reader; nil when there is none
	Rolls  []Roll    // printed and not torn off, oldest first

	Scenarios int  // requests for which Script has said what happens
	Always    bool // Always has said it for the others
}

// Busy says what a machine is doing.
type Busy string

// What a machine can be doing.
const (
	Idle           Busy = "idle"
	InTransaction  Busy = "transaction"
	MakingReport   Busy = "report"
	ServingTable   Busy = "visit"
	LookingAtMenus Busy = "menu" // somebody looks at the menu; the counter finds it idle
)

// A SlotCard is the card that is in the reader.
type SlotCard struct{ Name, Label string }

// A Screen is what a machine shows, and what it takes at that moment.
type Screen struct {
	Title string   // what it is about, as in "SALE GBP 12.50"
	Lines []string // what it says
	Entry string   // what was typed so far; a PIN and a card number are stars
	Asks  Asks     // what it waits for; empty when for nothing that people do
	Keys  []KeyUse // the keys that do something
	Cards []How    // the ways of presenting a card that do something
}

// Asks says what a screen waits for.
type Asks string

// What a screen can wait for.
const (
	AsksNothing Asks = ""
	AsksCard    Asks = "card"    // to be presented
	AsksNumber  Asks = "number"  // digits in clear: a card's date, a waiter, a table, a count
	AsksPAN     Asks = "pan"     // digits that are starred
	AsksPIN     Asks = "pin"     // digits that are starred
	AsksAmount  Asks = "amount"  // digits, in minor units
	AsksChoice  Asks = "choice"  // one of the keys
	AsksTakeOut Asks = "takeOut" // the card is to be taken out
	AsksPaper   Asks = "paper"   // a new roll is to be put in
)

// A KeyUse is a key and what it does.
type KeyUse struct {
	Key  Key
	Does string // short, for people; empty where the key says it, as a digit does
}

// A panel is what people see and touch of a machine, under the machine's lock.
type panel struct {
	touched bool
	screen  [2]Screen  // where nothing is asked
	prompt  [2]*prompt // what is asked; nil when nothing is
	menu    *prompt    // what somebody who looks at the menu is shown
	after   string     // what the idle screen says of the last transaction
	slot    *held
	noPaper bool
	rolls   []Roll
	rollID  int
	eyes    map[chan struct{}]struct{}
}

// A place is where somebody is who does something at a machine. While a waiter looks at the
// list of tables, the counter may have a transaction; then that is on the screen.
type place int

const (
	atCounter place = iota
	atTable
)

// front is the place that is on the screen. The caller holds m.mu.
func (m *Machine) front() place {
	if m.run == nil && m.round != nil {
		return atTable
	}
	return atCounter
}

// Face returns how the machine looks. Every machine has one, also those that
// nobody touches.
func (m *Machine) Face() Face {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := Face{
		TID: m.name.tid, Model: m.can.Model, Software: m.can.Software, Currency: m.can.Currency,
		ByHand: m.panel.touched, Power: !m.troubles.dark, Cable: !m.unplugged(), Paper: !m.panel.noPaper, Broken: m.broken,
		Link: m.link != nil && !m.cut && !m.broken,
		Busy: m.busy(), Screen: m.display(), Rolls: slices.Clone(m.panel.rolls),
		Scenarios: len(m.scripts), Always: m.always != nil,
	}
	if h := m.panel.slot; h != nil {
		f.Slot = &SlotCard{Name: h.card.Name, Label: h.card.Label}
	}
	return f
}

// busy says what the machine does. The caller holds m.mu.
func (m *Machine) busy() Busy {
	switch {
	case m.run != nil && m.run.c.Request.IsReport():
		return MakingReport
	case m.run != nil:
		return InTransaction
	case m.round != nil:
		return ServingTable
	case m.panel.menu != nil:
		return LookingAtMenus
	}
	return Idle
}

// display is what the machine shows. The caller holds m.mu.
func (m *Machine) display() Screen {
	p := &m.panel
	switch {
	case m.troubles.dark:
		return Screen{}
	case m.broken:
		return Screen{Title: "OUT OF ORDER", Lines: []string{"The memory cannot be written"}}
	case m.asking() != nil:
		return m.asking().draw()
	case m.run != nil || m.round != nil:
		return p.screen[m.front()]
	}
	s := Screen{Title: "READY"}
	if p.after != "" {
		s.Lines = []string{p.after}
	}
	if p.touched {
		s.Keys = []KeyUse{{KeyMenu, "Menu"}}
	}
	return s
}

// shows puts on the screen what asks for nothing.
func (m *Machine) shows(at place, s Screen) {
	m.mu.Lock()
	m.panel.screen[at] = s
	m.stir()
	m.mu.Unlock()
}

// Watch returns a channel with a token in it whenever there is reason to look
// at Face again, the first at once, and a function that ends this. The machine
// never waits for who watches: tokens that are not taken become one.
func (m *Machine) Watch() (<-chan struct{}, func()) {
	eye := make(chan struct{}, 1)
	eye <- struct{}{}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.panel.eyes == nil {
		m.panel.eyes = map[chan struct{}]struct{}{}
	}
	m.panel.eyes[eye] = struct{}{}
	return eye, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.panel.eyes, eye)
	}
}

// stir has those who watch look again. The caller holds m.mu.
func (m *Machine) stir() {
	for eye := range m.panel.eyes {
		select {
		case eye <- struct{}{}:
		default:
		}
	}
}

// says is what a machine shows while it tells a notification.
func says(n txn.Notification) string {
	switch n {
	case PresentCard:
		return "Insert, tap or swipe card"
	case PleaseWait:
		return "Please wait"
	case EnterCashback:
		return "Cashback"
	case PINEntry:
		return "Enter PIN"
	case Connecting:
		return "Connecting"
	case ConnectionMade:
		return "Connected"
	case RequestSent:
		return "Waiting for the bank"
	case ProcessingError:
		return "Processing error"
	case Approved:
		return "Approved"
	case Declined:
		return "Declined"
	case DeclinedByCard:
		return "Declined by the card"
	case ReplacePaper:
		return "Out of paper. Please put a new roll in"
	case RemoveCard:
		return "Please remove card"
	case InsertCard:
		return "Please insert card"
	case RePresentCard:
		return "Please present card again"
	case PresentOnlyOneCard:
		return "Please present one card only"
	case Retrying:
		return "Line engaged. Trying again"
	case BadSwipe:
		return "Bad swipe"
	case CardError:
		return "Card cannot be read"
	case CardExpired:
		return "Card is past its date"
	case CardNotSupported:
		return "Card is not taken here"
	case txn.Cancelling:
		return "Cancelled"
	case txn.UnableToCancel:
		return "Too late to cancel"
	default:
		return ""
	}
}

// unplugged reports whether the cable is out. The caller holds m.mu.
func (m *Machine) unplugged() bool {
	if m.troubles.dark {
		return m.troubles.pulled
	}
	return m.cut
}
