package sim

import (
	"errors"
	"slices"

	"github.com/tillwire/tillwire/spec"
)

// A Key is a key of a machine: a digit, or one of the constants.
type Key string

// The keys besides the digits, which are "0" to "9".
const (
	KeyEnter  Key = "enter"  // green
	KeyClear  Key = "clear"  // yellow
	KeyCancel Key = "cancel" // red
	KeyMenu   Key = "menu"
	KeyF1     Key = "f1" // beside the screen
	KeyF2     Key = "f2"
	KeyF3     Key = "f3"
	KeyF4     Key = "f4"
)

// Keys lists the keys.
func Keys() []Key {
	return []Key{
		"1", "2", "3", "4", "5", "6", "7", "8", "9", "0",
		KeyEnter, KeyClear, KeyCancel, KeyMenu, KeyF1, KeyF2, KeyF3, KeyF4,
	}
}

// digitKeys are the ten digits, which say themselves what they do.
func digitKeys() []KeyUse {
	out := make([]KeyUse, 10)
	for i := range out {
		out[i].Key = Keys()[i]
	}
	return out
}

// How says how a card is presented; the words are those of package spec.
type How string

// The ways of presenting a card. Typing its number in is done with keys.
const (
	Insert        How = "insert"
	InsertWrongly How = "insertWrongly" // so that the chip cannot be read
	Tap           How = "tap"
	Swipe         How = "swipe"
)

// Errors of hands.
var (
	// ErrNoEffect says that the machine does not take that at this moment. Nothing
	// was changed. What it takes is in its Face.
	ErrNoEffect = errors.New("sim: the machine does not take that now")
	// ErrNoCard says that there is no test card of that name, or that it cannot be
	// presented like that: a phone has no stripe.
	ErrNoCard = errors.New("sim: no such card")
)

// TestCards are the cards that can be presented, in the order in which they are
// shown to people.
func TestCards() []spec.TestCard { return spec.Default().TestCards().Cards }

// A held card is one of the test cards as it is presented.
type held struct {
	card spec.TestCard
	how  How
}

// Touch says whether the machine waits for people: from its next request on it
// shows what it wants on its Face, and takes keys and cards instead of playing
// its name's part. A request for which Script or Always said what happens is
// still played as they say, while people look on; what amounts choose is not.
func (m *Machine) Touch(on bool) {
	m.mu.Lock()
	m.panel.touched = on
	m.panel.menu = nil
	m.stir()
	m.mu.Unlock()
}

// Press presses a key. It returns ErrNoEffect when the key does nothing at this
// moment.
func (m *Machine) Press(k Key) error {
	m.mu.Lock()
	err := m.press(k)
	m.mu.Unlock()
	m.tell()
	return err
}

// press is Press. The caller holds m.mu.
func (m *Machine) press(k Key) error {
	if !slices.ContainsFunc(m.display().Keys, func(u KeyUse) bool { return u.Key == k }) {
		return ErrNoEffect
	}
	if p := m.asking(); p != nil {
		p.press(k)
	} else { // the machine is ready
		m.openMenu()
	}
	m.stir()
	return nil
}

// asking is what people are asked; nil when nothing is. The caller holds m.mu.
func (m *Machine) asking() *prompt {
	p := m.panel.prompt[m.front()]
	if m.run == nil && m.round == nil {
		p = m.panel.menu
	}
	if p == nil || p.over || m.troubles.dark || m.broken {
		return nil
	}
	return p
}

// Present holds a test card to the machine. It returns ErrNoEffect when the
// machine takes no card like that at this moment, and ErrNoCard for a card that
// does not exist or cannot be presented so.
func (m *Machine) Present(card string, how How) error {
	c, ok := spec.Default().TestCard(card)
	way := how
	if way == InsertWrongly {
		way = Insert
	}
	if !ok || !slices.Contains(c.Ways, string(way)) {
		return ErrNoCard
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.asking()
	if p == nil || !slices.Contains(p.draw().Cards, how) {
		return ErrNoEffect
	}
	h := held{c, how}
	if way == Insert {
		m.panel.slot = &h
	}
	p.present(h)
	m.stir()
	return nil
}

// TakeOutCard takes the card out of the reader, at any moment. It returns
// ErrNoEffect when there is none.
func (m *Machine) TakeOutCard() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.panel.slot == nil {
		return ErrNoEffect
	}
	m.panel.slot = nil
	m.notice()
	return nil
}

// notice lets a prompt see what was done to the machine. The caller holds m.mu.
func (m *Machine) notice() {
	if p := m.asking(); p != nil && p.noticed != nil {
		p.noticed()
	}
	m.stir()
}

// TearOff takes away what is printed. It returns ErrNoEffect when there is
// nothing, or only what is still being printed.
func (m *Machine) TearOff() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	rest := slices.DeleteFunc(slices.Clone(m.panel.rolls), func(r Roll) bool { return !r.Printing })
	if len(rest) == len(m.panel.rolls) {
		return ErrNoEffect
	}
	m.panel.rolls = rest
	m.notice()
	return nil
}

// EmptyRoll has the paper run out: a machine that prints asks for a new roll,
// also one that plays by itself.
func (m *Machine) EmptyRoll() {
	m.mu.Lock()
	m.panel.noPaper = true
	m.stir()
	m.mu.Unlock()
}

// NewRoll puts paper in. It returns ErrNoEffect when there is some.
func (m *Machine) NewRoll() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.panel.noPaper {
		return ErrNoEffect
	}
	m.panel.noPaper = false
	m.notice()
	return nil
}

// SwitchOff takes the machine's power away until SwitchOn or PowerCycle; its
// cable stays as it is. What runs ends as the memory says once the power is back.
func (m *Machine) SwitchOff() {
	m.mu.Lock()
	if !m.troubles.dark {
		m.troubles.pulled = m.cut
		m.losePower(Mishap{})
	}
	m.mu.Unlock()
	m.tell()
}

// SwitchOn gives the power back and returns once the machine has woken. It does
// nothing to a machine that is on. It returns an error when the memory cannot be
// written; then the machine stays mute.
func (m *Machine) SwitchOn() error {
	defer m.tell()
	for {
		m.mu.Lock()
		r, w, dark := m.run, m.round, m.troubles.dark
		m.mu.Unlock()
		if !dark {
			return nil
		}
		if r != nil {
			<-r.done
		}
		if w != nil {
			<-w.done
		}
		if woken, err := m.wakeAfter(r); woken {
			return err
		}
	}
}

// wakeAfter wakes a machine without power whose last run is over. It reports
// false when somebody else was faster.
func (m *Machine) wakeAfter(r *run) (woken bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.troubles.dark || m.run != r {
		return false, nil
	}
	return true, m.wakeUp()
}
