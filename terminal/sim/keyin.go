package sim

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tillwire/tillwire/txn"
)

// keyIn has the card's number typed in: MENU, the number, its date, and whether
// the cardholder is there (the contract, section 15). The number is starred on
// the screen and forgotten with the transaction.
func (h *byHand) keyIn() (card, error) {
	stars := func(typed []byte) string { return strings.Repeat("*", len(typed)) }
	s := Screen{Title: h.title(), Lines: []string{"Card number"}, Asks: AsksPAN}
	var c card
	for c.pan == "" {
		k := newKeypad(s, 12, 19, stars)
		if err := h.typed(k); err != nil {
			return card{}, err
		}
		var ok bool
		if c, ok = keyedCard(string(k.typed)); !ok {
			s.Lines = []string{"Card number", "That is no card number"}
			c.pan = ""
		}
		clear(k.typed)
	}
	s = Screen{Title: h.title(), Lines: []string{c.masked(), "Expiry date, MMYY"}, Asks: AsksNumber}
	for c.expiry == "" {
		k := newKeypad(s, 4, 4, func(typed []byte) string { return string(typed) })
		if err := h.typed(k); err != nil {
			return card{}, err
		}
		if m := asNumber(k.typed[:2]); m >= 1 && m <= 12 {
			c.expiry = string(k.typed[:2]) + "/" + string(k.typed[2:])
		}
	}
	h.part = part{result: txn.Successful, entry: txn.MethodKeyed, cvm: txn.CVMNone}
	if h.notPresent() {
		return c, nil
	}
	q := newChoice(
		Screen{Title: h.title(), Lines: []string{c.masked(), "Is the cardholder present?"}},
		KeyUse{KeyF1, "No"}, KeyUse{KeyF4, "Yes"}, KeyUse{KeyCancel, "Cancel"},
	)
	err := h.ask(&q.prompt, ChoiceLimit)
	switch {
	case errors.Is(err, errUnattended), err == nil && q.chosen == KeyCancel:
		return card{}, h.redKey()
	case err != nil:
		return card{}, err
	case q.chosen == KeyF4:
		h.part.cvm = txn.CVMSignature
	}
	return c, nil
}

// typed waits for a keypad before the card.
func (h *byHand) typed(k *keypad) error {
	err := h.ask(&k.prompt, CardLimit)
	if errors.Is(err, errUnattended) || err == nil && k.red {
		return h.redKey()
	}
	return err
}

// past reports whether a card's date, MM/YY, was before this month.
func past(expiry string, now time.Time) bool {
	var month, year int
	_, err := fmt.Sscanf(expiry, "%d/%d", &month, &year)
	return err == nil && (2000+year)*12+month < now.Year()*12+int(now.Month())
}
