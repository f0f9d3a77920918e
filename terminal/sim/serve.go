package sim

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/table"
)

// bySteps is a waiter who touches the machine.
type bySteps struct {
	*round
	parts  []money.Minor // of what was left when the bill was split; none when it is not
	before int           // cards that were charged before that
}

// tableDigits is how long the number of a table is that is typed in.
const tableDigits = 8

// pick has a waiter leaf through the list and choose by number, or type another
// table. Nobody there leaves.
func (b *bySteps) pick(tables []table.TableID) (table.TableID, error) {
	pages := paged(tables)
	for at := 0; ; {
		s := Screen{Title: "TABLES", Lines: []string{noTables}}
		var keys []KeyUse
		var page []table.TableID
		if len(pages) > 0 {
			page = pages[at]
			s.Lines = []string{fmt.Sprintf("Page %d of %d", at+1, len(pages))}
		}
		for i, id := range page {
			s.Lines = append(s.Lines, strconv.Itoa(i+1)+"  "+onScreen(string(id)))
			keys = append(keys, KeyUse{Keys()[i], "Table " + onScreen(string(id))})
		}
		if at > 0 {
			keys = append(keys, KeyUse{KeyF1, "Back"})
		}
		if at+1 < len(pages) {
			keys = append(keys, KeyUse{KeyF2, "More"})
		}
		keys = append(keys, KeyUse{KeyF3, "Type a table"}, KeyUse{KeyCancel, "Leave"})
		k, err := b.choose(s, keys...)
		switch {
		case err != nil:
			return "", err
		case k == KeyF1:
			at--
		case k == KeyF2:
			at++
		case k == KeyF3:
			typed, err := b.types(Screen{Title: "TABLES", Lines: []string{"Table number"}}, 1, tableDigits)
			if err == nil {
				return table.TableID(typed), nil
			} else if !errors.Is(err, errLeave) {
				return "", err
			}
		default:
			return page[slices.Index(Keys(), k)], nil
		}
	}
}

// choose has the waiter press a key. The red key, and nobody there, is errLeave.
func (b *bySteps) choose(s Screen, keys ...KeyUse) (Key, error) {
	c := newChoice(s, keys...)
	err := b.asks(&c.prompt, TableLimit)
	if errors.Is(err, errUnattended) || err == nil && c.chosen == KeyCancel {
		err = errLeave
	}
	return c.chosen, err
}

// types has the waiter type a number.
func (b *bySteps) types(s Screen, least, most int) (string, error) {
	s.Asks = AsksNumber
	k := newKeypad(s, least, most, func(typed []byte) string { return string(typed) })
	err := b.asks(&k.prompt, TableLimit)
	if errors.Is(err, errUnattended) || err == nil && k.red {
		err = errLeave
	}
	return string(k.typed), err
}

func (b *bySteps) look(_ Step, takes time.Duration) error { return b.pause(takes) }

// learn has to be read, by somebody or by nobody.
func (b *bySteps) learn(Step, time.Duration) error {
	b.m.mu.Lock()
	s := b.m.panel.screen[atTable]
	b.m.mu.Unlock()
	c := newChoice(s, KeyUse{KeyEnter, "OK"})
	if err := b.asks(&c.prompt, NoteLimit); err != nil && !errors.Is(err, errUnattended) {
		return err
	}
	return nil
}

// wantsBill is asked with the payments.
func (b *bySteps) wantsBill() (bool, error) { return false, nil }

func (b *bySteps) split() error { return nil }

// next is what the waiter chooses to have paid: all of it, an amount, or the next
// of equal parts.
func (b *bySteps) next() (share, error) {
	for b.res.Balance > 0 {
		asked, err := b.choosePart()
		if err != nil {
			return share{}, err
		}
		if asked == 0 {
			continue
		}
		s := Screen{Title: b.title(), Lines: []string{"Pay " + b.amount(asked), "Add a gratuity?"}}
		tip, err := askGratuity(b.asks, s, asked, maxTotal-asked)
		switch {
		case errors.Is(err, errLeave), errors.Is(err, errUnattended):
			continue // nobody pays yet
		case err != nil:
			return share{}, err
		}
		return share{asked: asked, tip: tip, people: func(r *run) people { return &byHand{run: r} }}, nil
	}
	return share{}, nil
}

// choosePart asks how much is paid next; 0 to be asked again.
func (b *bySteps) choosePart() (money.Minor, error) {
	asked := b.res.Balance
	s := Screen{Title: b.title(), Lines: []string{"To pay " + b.amount(asked)}}
	whole := KeyUse{KeyEnter, "Pay all"}
	if i := b.taken() - b.before; i < len(b.parts) {
		if i < len(b.parts)-1 { // the last part is all that is left
			asked = min(b.parts[i], asked)
		}
		s.Lines = append(s.Lines, fmt.Sprintf("Part %d of %d: %s", i+1, len(b.parts), b.amount(asked)))
		whole.Does = "Pay this part"
	}
	k, err := b.choose(
		s, whole, KeyUse{KeyF1, "Split"}, KeyUse{KeyF2, "Amount"}, KeyUse{KeyF3, "Print bill"}, KeyUse{KeyCancel, "Leave"},
	)
	if err != nil {
		return 0, err
	}
	switch k {
	case KeyF1:
		err = b.divide()
	case KeyF2:
		s := Screen{Title: b.title(), Lines: []string{"Amount"}}
		if asked, err = askAmount(b.asks, s, 1, b.res.Balance); err == nil {
			b.parts = nil
			return asked, nil
		}
	case KeyF3:
		err = b.printBill()
	default:
		return asked, nil
	}
	if errors.Is(err, errLeave) || errors.Is(err, errUnattended) {
		err = nil
	}
	return 0, err
}

// divide asks into how many equal parts what is left is split.
func (b *bySteps) divide() error {
	most := min(maxSplit, int(b.res.Balance))
	typed, err := b.types(Screen{Title: b.title(), Lines: []string{fmt.Sprintf("Split by how many? 1 to %d", most)}}, 1, 2)
	if err != nil {
		return err
	}
	n := int(asNumber([]byte(typed)))
	if n > most {
		return nil // it is asked again
	}
	b.parts, b.before = parts(b.res.Balance, n), b.taken()
	return nil
}

// prints lets paper out line by line, on a new roll where the old one ends.
func (b *bySteps) prints(c Copy, lines []receipt.Line) error {
	for {
		for b.m.outOfPaper() {
			if err := b.asks(b.m.newRoll(b.title()), PaperLimit); errors.Is(err, errUnattended) {
				return nil // nothing is printed
			} else if err != nil {
				return err
			}
		}
		whole, err := b.m.unroll(c, lines, b.pause)
		if whole || err != nil {
			return err
		}
	}
}

func (b *bySteps) stay(s Step) error {
	if s != StepLeave {
		return nil
	}
	return b.learn(s, 0)
}
