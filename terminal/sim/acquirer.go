package sim

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
)

// A Charge is an entry of the acquirer's books. Only sales, completions and
// refunds move money; a pre-authorisation holds some.
type Charge struct {
	TID           txn.TID
	TransactionID txn.TransactionID
	Payment       table.PaymentID // at a table; empty at the counter
	Type          txn.Type
	Currency      money.Currency
	Amount        money.Minor // minor units, in all
	AuthCode      string
	Time          time.Time
	Reversed      bool
}

// booking is a line of the acquirer's books: a charge, or the reversal of an
// earlier one of the same machine and transaction.
type booking struct {
	Charge
	Card cardID
}

// chargeKey is how a machine names a transaction to the acquirer.
type chargeKey struct {
	tid txn.TID
	id  txn.TransactionID
}

// An acquirer stands in for the acquirer, the scheme and the issuer. It
// decides, and keeps books of its own, so that they can be compared with what
// the machines said. Its lock is taken after a machine's.
type acquirer struct {
	park *Park

	mu    sync.Mutex
	file  *lineFile // nil in RAM
	books []booking
	at    map[chargeKey]int
	holds map[cardID][]int // pre-authorisations that are neither completed nor reversed, oldest first
}

const booksFile = "acquirer.log"

func openAcquirer(p *Park) (*acquirer, error) {
	a := &acquirer{park: p, at: map[chargeKey]int{}, holds: map[cardID][]int{}}
	if p.o.Dir == "" {
		return a, nil
	}
	file, lines, err := openLines(p.o.Disk, filepath.Join(p.o.Dir, booksFile))
	if err != nil {
		return nil, err
	}
	a.file = file
	for i, line := range lines {
		var b booking
		if err := json.Unmarshal(line, &b); err != nil {
			file.close() //nolint:errcheck // nothing was written
			return nil, fmt.Errorf("sim: %s: line %d: %w", booksFile, i+1, err)
		}
		a.book(b)
	}
	return a, nil
}

// write puts a booking on disk and then into the books.
func (a *acquirer) write(b booking) error {
	if a.file != nil {
		line, err := json.Marshal(b)
		if err != nil {
			return fmt.Errorf("sim: %w", err)
		}
		if err := a.file.append(append(line, '\n')); err != nil {
			return err
		}
		a.park.o.wrote()
	}
	a.book(b)
	return nil
}

func (a *acquirer) book(b booking) {
	key := chargeKey{b.TID, b.TransactionID}
	i, known := a.at[key]
	if known {
		a.books[i].Reversed = b.Reversed
	} else {
		i = len(a.books)
		a.at[key] = i
		a.books = append(a.books, b)
	}
	switch b.Type {
	case txn.PreAuth:
		a.holds[b.Card] = slices.DeleteFunc(a.holds[b.Card], func(h int) bool { return h == i })
		if !b.Reversed {
			a.holds[b.Card] = append(a.holds[b.Card], i)
		}
	case txn.Completion:
		a.holds[b.Card] = nil
		if b.Reversed {
			a.holds[b.Card] = a.heldBefore(b.Card, i)
		}
	default: // holds nothing
	}
}

// heldBefore lists the pre-authorisations of a card that the reversal of the
// completion at place i sets free again.
func (a *acquirer) heldBefore(c cardID, i int) []int {
	var held []int
	for j, b := range a.books {
		switch {
		case b.Card != c || b.Reversed:
		case b.Type == txn.PreAuth:
			held = append(held, j)
		case b.Type == txn.Completion && j != i:
			held = nil
		}
	}
	return held
}

// authorise decides on a transaction. An approved one is in the books when it
// returns, with its auth code; an error means that it is not.
func (a *acquirer) authorise(c Charge, card cardID, completes string) (code string, approved bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.at[chargeKey{c.TID, c.TransactionID}]; ok {
		return "", false, fmt.Errorf("sim: the acquirer has seen transaction %s of %s before", c.TransactionID, c.TID)
	}
	if c.Type == txn.Completion && !a.mayComplete(c, card, completes) {
		return "", false, nil
	}
	c.AuthCode = a.newCode(c)
	if c.Type == txn.AccountVerification {
		return c.AuthCode, true, nil
	}
	return c.AuthCode, true, a.write(booking{Charge: c, Card: card})
}

// mayComplete holds a completion against the card's pre-authorisations: the
// auth code is the first one's, the amount at most their sum.
func (a *acquirer) mayComplete(c Charge, card cardID, code string) bool {
	var held money.Minor
	for i, h := range a.holds[card] {
		b := a.books[h]
		if i == 0 && !strings.EqualFold(b.AuthCode, strings.TrimSpace(code)) {
			return false
		}
		if b.Currency == c.Currency {
			held += b.Amount
		}
	}
	return c.Amount <= held
}

// newCode makes six characters as issuers do.
func (a *acquirer) newCode(c Charge) string {
	d := draw(a.park.o.Seed, "auth", string(c.TID)+"/"+string(c.TransactionID), 0)
	return fmt.Sprintf("%06X", d%(1<<24))
}

// reverse takes back what was approved, if anything was.
func (a *acquirer) reverse(tid txn.TID, id txn.TransactionID) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, ok := a.at[chargeKey{tid, id}]
	if !ok || a.books[i].Reversed {
		return nil
	}
	b := a.books[i]
	b.Reversed = true
	return a.write(b)
}

// heldOn finds the card on which a pre-authorisation has that code.
func (a *acquirer) heldOn(code string) (cardID, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := len(a.books) - 1; i >= 0; i-- {
		b := a.books[i]
		if b.Type == txn.PreAuth && strings.EqualFold(b.AuthCode, strings.TrimSpace(code)) {
			return b.Card, true
		}
	}
	return cardID{}, false
}

// highest is the last transaction that the acquirer has of a machine, so that
// one that lost its memory does not use a name again.
func (a *acquirer) highest(tid txn.TID) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	var n uint64
	for _, b := range a.books {
		var id uint64
		if b.TID != tid {
			continue
		}
		if _, err := fmt.Sscan(string(b.TransactionID), &id); err == nil {
			n = max(n, id)
		}
	}
	return n
}

func (a *acquirer) list() []Charge {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]Charge, len(a.books))
	for i, b := range a.books {
		out[i] = b.Charge
	}
	return out
}

func (a *acquirer) close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file == nil {
		return nil
	}
	return a.file.close()
}
