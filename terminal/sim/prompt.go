package sim

import (
	"errors"
	"time"
)

// How long a machine waits for people who do nothing, at any Speed: it is for
// people who have gone. As on a real machine the wait has an end.
const (
	// CardLimit is for a card to be presented or its number to be typed; then the
	// transaction is cancelled at the machine.
	CardLimit = 3 * time.Minute
	// ChoiceLimit is for a PIN, an amount or a choice; then it counts as the red key.
	ChoiceLimit = time.Minute
	// TakeOutLimit is for the card to be taken out. It is longer than the limit
	// after which a till is told TIMED_OUT; then the machine goes on with the card
	// in its reader.
	TakeOutLimit = 10 * time.Minute
	// PaperLimit is for a new roll; then the machine goes on without printing.
	PaperLimit = 10 * time.Minute
	// CopyTakes is how long the machine leaves for the merchant copy to be torn
	// off, at speed 1, before it prints the customer's. For a card that was tapped
	// it prints none unless somebody wants it within that time.
	CopyTakes = 5 * time.Second
	// TableLimit is for what a waiter chooses in a visit; then the table is left.
	TableLimit = 5 * time.Minute
	// NoteLimit is for what has to be read and asks for nothing.
	NoteLimit = 10 * time.Second
	// MenuLimit is for a choice in the menu; then the machine shows that it is ready.
	MenuLimit = time.Minute
)

// errUnattended says that nobody did what the machine waited for.
var errUnattended = errors.New("sim: nobody is at the machine")

// A prompt is what a machine asks of people. Its functions are called under the
// machine's lock, and only for what draw says that it takes.
type prompt struct {
	draw    func() Screen
	press   func(Key)
	present func(held)
	noticed func() // the card was taken out, or paper put in

	done chan struct{}
	over bool
	late bool // nobody was there
}

// end is the answer to a prompt. Only the first counts.
func (p *prompt) end() {
	if !p.over {
		p.over = true
		close(p.done)
	}
}

// raise puts a prompt on the screen until the function that it returns is
// called. It is over by itself once limit has passed.
func (m *Machine) raise(at place, p *prompt, limit time.Duration) (lower func()) {
	p.done = make(chan struct{})
	m.mu.Lock()
	m.panel.prompt[at] = p
	if p.noticed != nil { // it may be so already
		p.noticed()
	}
	m.stir()
	m.mu.Unlock()
	t := time.AfterFunc(limit, func() {
		m.mu.Lock()
		if !p.over {
			p.late = true
			p.end()
		}
		m.mu.Unlock()
	})
	return func() {
		t.Stop()
		m.mu.Lock()
		p.end()
		m.panel.prompt[at] = nil
		m.stir()
		m.mu.Unlock()
	}
}

// ask puts a prompt to the people at the machine, and returns errUnattended
// when nobody answered it.
func (r *run) ask(p *prompt, limit time.Duration) error {
	at := atCounter
	if r.round != nil {
		at = atTable
	}
	lower := r.m.raise(at, p, limit)
	defer lower()
	if err := await(r, p.done); err != nil {
		return err
	}
	if p.late {
		return errUnattended
	}
	return nil
}

// asks is run.ask for what is no part of a payment.
func (w *round) asks(p *prompt, limit time.Duration) error {
	lower := w.m.raise(atTable, p, limit)
	defer lower()
	if err := waitFor(w, p.done); err != nil {
		return err
	}
	if p.late {
		return errUnattended
	}
	return nil
}

// A keypad collects digits for a prompt.
type keypad struct {
	prompt
	typed []byte
	red   bool // the red key was pressed
}

// newKeypad is a prompt for at least and at most so many digits.
func newKeypad(s Screen, least, most int, show func(typed []byte) string) *keypad {
	k := &keypad{}
	k.draw = func() Screen {
		s := s
		s.Entry = show(k.typed)
		if len(k.typed) < most {
			s.Keys = digitKeys()
		}
		if len(k.typed) > 0 {
			s.Keys = append(s.Keys, KeyUse{KeyClear, "Clear"})
		}
		if len(k.typed) >= least {
			s.Keys = append(s.Keys, KeyUse{KeyEnter, "Confirm"})
		}
		s.Keys = append(s.Keys, KeyUse{KeyCancel, "Cancel"})
		return s
	}
	k.press = func(key Key) {
		switch {
		case key == KeyCancel:
			k.red = true
			k.end()
		case key == KeyEnter:
			k.end()
		case key == KeyClear:
			clear(k.typed)
			k.typed = k.typed[:0]
		default:
			k.typed = append(k.typed, key[0])
		}
	}
	return k
}

// A choice is a prompt for one key.
type choice struct {
	prompt
	chosen Key
}

func newChoice(s Screen, keys ...KeyUse) *choice {
	c := &choice{}
	s.Asks, s.Keys = AsksChoice, keys
	c.draw = func() Screen { return s }
	c.press = func(k Key) {
		c.chosen = k
		c.end()
	}
	return c
}
