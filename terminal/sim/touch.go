package sim

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/txn"
)

// byHand are people who touch the machine.
type byHand struct {
	*run
	card  spec.TestCard // that was presented; without a name when its number was typed
	fails int           // how often the chip could not be read
}

// contactlessLimit is the most that a card, not a phone, pays by a tap, in
// minor units.
const contactlessLimit money.Minor = 100_00

// chipTries is how often a chip may fail before its stripe is taken.
const chipTries = 3

// percents are the gratuities that keys beside the screen offer.
func percents() map[Key]money.Minor { return map[Key]money.Minor{KeyF1: 10, KeyF2: 15, KeyF3: 20} }

// gratuity is asked for on machines that do so, in a sale at the counter.
func (h *byHand) gratuity() error {
	o := &h.c.Outcome
	if !h.m.name.machine.Gratuity || o.Type != txn.Sale || h.round != nil {
		return nil
	}
	s := Screen{Title: h.title(), Lines: []string{"Add a gratuity?"}}
	tip, err := askGratuity(h.ask, s, o.Base, maxTotal-o.Total())
	switch {
	case errors.Is(err, errUnattended): // nobody is asked twice
		return nil
	case errors.Is(err, errLeave):
		return h.redKey()
	}
	o.Gratuity = tip
	return err
}

// askGratuity has somebody choose one, up to most. The red key is errLeave.
func askGratuity(ask func(*prompt, time.Duration) error, s Screen, of, most money.Minor) (money.Minor, error) {
	c := newChoice(
		s,
		KeyUse{KeyF1, "10 %"}, KeyUse{KeyF2, "15 %"}, KeyUse{KeyF3, "20 %"}, KeyUse{KeyF4, "Amount"},
		KeyUse{KeyEnter, "None"}, KeyUse{KeyCancel, "Cancel"},
	)
	if err := ask(&c.prompt, ChoiceLimit); err != nil {
		return 0, err
	}
	switch c.chosen {
	case KeyCancel:
		return 0, errLeave
	case KeyF4:
		s.Lines = []string{"Gratuity"}
		return askAmount(ask, s, 0, most)
	case KeyEnter:
		return 0, nil
	default:
		return min(of*percents()[c.chosen]/100, most), nil
	}
}

// askAmount has somebody type an amount between least and most, which is above
// 0. The red key is errLeave.
func askAmount(ask func(*prompt, time.Duration) error, s Screen, least, most money.Minor) (money.Minor, error) {
	s.Asks = AsksAmount
	lines := s.Lines
	for {
		k := newKeypad(s, 1, 8, func(typed []byte) string { return money.Minor(asNumber(typed)).Decimal() })
		if err := ask(&k.prompt, ChoiceLimit); err != nil {
			return 0, err
		}
		if k.red {
			return 0, errLeave
		}
		n := money.Minor(asNumber(k.typed))
		if least <= n && n <= most {
			return n, nil
		}
		s.Lines = append(slices.Clip(lines), "Between "+least.Decimal()+" and "+most.Decimal())
	}
}

func asNumber(typed []byte) int64 {
	var n int64
	for _, d := range typed {
		n = n*10 + int64(d-'0')
	}
	return n
}

// redKey cancels the transaction at the machine before a card is presented.
func (h *byHand) redKey() error {
	h.notify(txn.Cancelling)
	return errCancelled
}

// A wantsCard is the prompt for a card, or for the menu in which its number is
// typed.
type wantsCard struct {
	prompt
	got held
	key Key
}

func (h *byHand) wantsCard(text string, ways []How) *wantsCard {
	w := &wantsCard{}
	title := h.title()
	w.draw = func() Screen {
		s := Screen{Title: title, Lines: []string{text}, Asks: AsksCard, Keys: []KeyUse{{KeyMenu, "Type the number"}, {KeyCancel, "Cancel"}}}
		s.Cards = ways
		if h.m.panel.slot != nil {
			s.Lines, s.Asks, s.Cards = []string{"Please take the card out first"}, AsksTakeOut, nil
		}
		return s
	}
	w.press = func(k Key) { w.key = k; w.end() }
	w.present = func(got held) { w.got = got; w.end() }
	return w
}

func (h *byHand) present() (card, error) {
	if h.notPresent() {
		if err := h.step(PleaseWait, 0); err != nil {
			return card{}, err
		}
		return h.keyIn()
	}
	show, text, ways := PresentCard, says(PresentCard), []How{Insert, InsertWrongly, Tap, Swipe}
	for {
		if err := h.step(show, 0); err != nil {
			return card{}, err
		}
		w := h.wantsCard(text, ways)
		err := h.ask(&w.prompt, CardLimit)
		switch {
		case errors.Is(err, errUnattended), err == nil && w.key == KeyCancel:
			return card{}, h.redKey()
		case err != nil:
			return card{}, err
		case w.key == KeyMenu:
			return h.keyIn()
		}
		switch next := h.held(w.got); {
		case next == "":
			return h.accepted(w.got), nil
		case next == CardError:
			if err := h.unreadable(); err != nil {
				return card{}, err
			}
			show, text = RePresentCard, says(RePresentCard)
			if h.fails >= chipTries {
				text, ways = "Please swipe card", []How{Swipe}
			}
		default:
			show, text, ways = next, says(next), []How{Insert, InsertWrongly}
		}
	}
}

// held says what is shown for a card that the machine does not go on with: its
// chip cannot be read, or is to be. For one that it does go on with, nothing.
func (h *byHand) held(got held) txn.Notification {
	switch got.how {
	case Insert, InsertWrongly:
		if got.how == InsertWrongly || got.card.ChipDamaged {
			return CardError
		}
	case Swipe:
		if h.fails < chipTries { // it has a chip
			return InsertCard
		}
	case Tap:
		t := h.c.Outcome
		small := got.card.Verification == string(txn.CVMDevice) || t.Total() <= contactlessLimit
		if !small || t.Type != txn.Sale && t.Type != txn.Refund {
			return InsertCard
		}
	}
	return ""
}

// unreadable is a chip that cannot be read: the card has to come out again.
func (h *byHand) unreadable() error {
	h.fails++
	if err := h.step(CardError, 0); err != nil {
		return err
	}
	err := h.ask(h.untilOut("Please take the card out"), CardLimit)
	if errors.Is(err, errUnattended) {
		return h.redKey()
	}
	return err
}

// untilOut is the prompt for the card to be taken out.
func (h *byHand) untilOut(text string) *prompt {
	p := &prompt{}
	title, text := h.title(), text
	p.draw = func() Screen { return Screen{Title: title, Lines: []string{text}, Asks: AsksTakeOut} }
	p.noticed = func() {
		if h.m.panel.slot == nil {
			p.end()
		}
	}
	return p
}

// accepted is a card that the machine goes on with.
func (h *byHand) accepted(got held) card {
	h.card = got.card
	c := makeTestCard(h.m.park.o.Seed, got.card)
	h.part = part{result: txn.Successful}
	switch got.how {
	case Insert, InsertWrongly:
		h.part.entry, h.part.cvm = txn.MethodChip, txn.CVM(got.card.Verification)
		if h.c.Outcome.Type == txn.Refund { // the contract, section 15
			h.part.cvm = txn.CVMSignature
		}
	case Swipe:
		h.part.entry, h.part.cvm = txn.MethodSwiped, txn.CVMSignature
	case Tap:
		h.part.entry, h.part.cvm = txn.MethodContactless, txn.CVMNone
		if got.card.Verification == string(txn.CVMDevice) {
			h.part.cvm = txn.CVMDevice
		}
	}
	return c
}

// refuse is for cards that are past their date, or of no scheme.
func (h *byHand) refuse() error {
	switch o := h.c.Outcome; {
	case o.Scheme == "":
		return h.breakOff(CardNotSupported)
	case h.card.Expires != "", past(o.Expiry, h.m.park.now()):
		return h.breakOff(CardExpired)
	}
	return nil
}

// breakOff shows why the transaction goes no further.
func (h *byHand) breakOff(why txn.Notification) error {
	if err := h.step(why, verdictTakes); err != nil {
		return err
	}
	return errBrokenOff
}

// CashbackMost is the most cash that a machine gives, in minor units (the
// contract, section 3.3).
const CashbackMost money.Minor = 10_000

// cashback is asked for where a till has not, and is given with chip and PIN.
func (h *byHand) cashback() error {
	o := &h.c.Outcome
	if !h.givesCashback() {
		o.Cashback = 0
		return nil
	}
	if o.Cashback > 0 {
		return h.step(EnterCashback, cashbackTakes)
	}
	most := min(CashbackMost, maxTotal-o.Total())
	if !h.asksCashback() || most <= 0 {
		return nil
	}
	q := newChoice(
		Screen{Title: h.title(), Lines: []string{"Cashback?"}},
		KeyUse{KeyF1, "Yes"}, KeyUse{KeyEnter, "No"}, KeyUse{KeyCancel, "Cancel"},
	)
	switch err := h.whileIn(&q.prompt); {
	case err != nil:
		return err
	case q.chosen == KeyCancel:
		return h.redKeyWithCard()
	case q.chosen != KeyF1:
		return nil
	}
	if err := h.step(EnterCashback, 0); err != nil {
		return err
	}
	sum, err := askAmount(func(p *prompt, _ time.Duration) error { return h.whileIn(p) },
		Screen{Title: h.title(), Lines: []string{"Cashback"}}, 0, most)
	if errors.Is(err, errLeave) {
		return h.redKeyWithCard()
	}
	o.Cashback = sum
	return err
}

// whileIn asks something while the card has to stay in the reader: taken out, or
// with nobody there, the transaction goes no further.
func (h *byHand) whileIn(p *prompt) error {
	gone := false
	p.noticed = func() {
		if h.m.panel.slot == nil {
			gone = true
			p.end()
		}
	}
	err := h.ask(p, ChoiceLimit)
	switch {
	case errors.Is(err, errUnattended):
		return h.redKeyWithCard()
	case err == nil && gone:
		return h.breakOff(CardError)
	}
	return err
}

// pin is up to three tries; the card counts them, over transactions, until one
// is right.
func (h *byHand) pin() error {
	tries, purse := spec.Default().TestCards().PINTries, &h.m.park.purse
	stars := func(typed []byte) string { return strings.Repeat("*", len(typed)) }
	for {
		if err := h.step(PINEntry, 0); err != nil {
			return err
		}
		lines := []string{says(PINEntry)}
		if left := tries - purse.wrong(h.card.Name, 0); left == 1 {
			lines = []string{"Wrong PIN. 1 try left", says(PINEntry)}
		} else if left < tries {
			lines = []string{fmt.Sprintf("Wrong PIN. %d tries left", left), says(PINEntry)}
		}
		k := newKeypad(Screen{Title: h.title(), Lines: lines, Asks: AsksPIN}, 4, 12, stars)
		if err := h.whileIn(&k.prompt); err != nil {
			return err
		}
		if k.red {
			return h.redKeyWithCard()
		}
		right := bytes.Equal(k.typed, []byte(h.card.PIN))
		clear(k.typed)
		switch {
		case right:
			purse.forget(h.card.Name)
			return nil
		case purse.wrong(h.card.Name, 1) >= tries:
			purse.forget(h.card.Name) // the holder is sent a new one
			h.part.result = txn.Declined
			return h.breakOff(DeclinedByCard)
		}
		if err := h.step(PleaseWait, waitTakes); err != nil {
			return err
		}
	}
}

// decide has a chip card be there, and its issuer make up its mind.
func (h *byHand) decide() error {
	if h.part.entry == txn.MethodChip && h.slotEmpty() {
		return h.breakOff(CardError)
	}
	o := h.c.Outcome
	short := h.card.Funds > 0 && o.Total() > money.Minor(h.card.Funds) && o.Type != txn.Refund
	if h.card.Declined || short {
		h.part.result = txn.Declined
	}
	return nil
}

func (h *byHand) slotEmpty() bool {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	return h.m.panel.slot == nil
}

// takeOut waits for it, and in the end goes on with the card in the reader.
func (h *byHand) takeOut() error {
	if h.slotEmpty() {
		return nil
	}
	if err := h.step(RemoveCard, 0); err != nil {
		return err
	}
	err := h.ask(h.untilOut(says(RemoveCard)), TakeOutLimit)
	if errors.Is(err, errUnattended) {
		return nil
	}
	return err
}

func (h *byHand) toSign() error {
	err := h.prints(MerchantCopy, h.m.park.wish(h.m.name.tid, h.c).Merchant)
	if errors.Is(err, errUnattended) {
		return nil
	}
	return err
}

// verify has the waiter decide. Without an answer the signature is refused:
// nobody has seen it.
func (h *byHand) verify() (bool, error) {
	q := newChoice(
		Screen{Title: h.title(), Lines: []string{"Is the signature right?"}},
		KeyUse{KeyEnter, "Accept"}, KeyUse{KeyCancel, "Refuse"},
	)
	err := h.ask(&q.prompt, ChoiceLimit)
	if errors.Is(err, errUnattended) {
		return false, nil
	}
	return q.chosen == KeyEnter, err
}
