package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/txn"
)

// A product is a kind of card. Its numbers begin with a range that the scheme
// keeps for tests.
type product struct {
	scheme, aid, label string
	prefix             string // of the card number
	digits             int    // of the card number
	contactless        bool
	stripe             bool // and so a number that can be swiped or keyed in
}

func products() []product {
	return []product{
		{"VISA", "A0000000031010", "VISA DEBIT", "476173", 16, true, true},
		{"MASTERCARD", "A0000000041010", "MASTERCARD", "541333", 16, true, true},
		{"VISA", "A0000000031010", "VISA CREDIT", "476134", 16, true, true},
		{"MASTERCARD", "A0000000041010", "DEBIT MASTERCARD", "541338", 16, true, true},
		{"MAESTRO", "A0000000043060", "MAESTRO", "679999", 16, false, false},
		{"AMERICAN EXPRESS", "A000000025010801", "AMERICAN EXPRESS", "374245", 15, false, true},
	}
}

// A cardID names a card of a cardholder without its number: the product's
// place and a serial.
type cardID struct {
	Product int
	Serial  uint64
}

// A card is what a cardholder presents. The full number stays in pan.
type card struct {
	id      cardID
	product product
	pan     string

	sequence, start, expiry string
}

// dealCard picks the card that a new cardholder presents by that entry.
func dealCard(entry txn.PaymentMethod, draw uint64) cardID {
	var fit []int
	for i, p := range products() {
		if p.reads(entry) {
			fit = append(fit, i)
		}
	}
	return cardID{Product: fit[draw%uint64(len(fit))], Serial: draw / uint64(len(fit)) % 1_000_000}
}

// reads reports whether such a card can be read by that entry.
func (p product) reads(entry txn.PaymentMethod) bool {
	switch entry {
	case txn.MethodContactless:
		return p.contactless
	case txn.MethodSwiped, txn.MethodKeyed:
		return p.stripe
	case txn.MethodChip, txn.MethodUnknown:
	}
	return true
}

// makeCard makes the card of that name: the same one whenever it is asked for.
func makeCard(seed uint64, id cardID) card {
	p := products()[id.Product]
	d := draw(seed, "card", fmt.Sprint(id.Product), id.Serial)
	body := fmt.Sprintf("%s%0*d", p.prefix, p.digits-len(p.prefix)-1, d%pow10(p.digits-len(p.prefix)-1))
	return card{
		id: id, product: p, pan: body + checkDigit(body),
		sequence: fmt.Sprintf("%02d", d>>40%3),
		start:    fmt.Sprintf("%02d/%02d", d>>44%12+1, 24+d>>48%2),
		expiry:   fmt.Sprintf("%02d/%02d", d>>52%12+1, 40+d>>56%9),
	}
}

// Serials of cards that are dealt lie below firstTest, those of test cards below
// firstKeyed, and those of numbers that were typed in above it.
const (
	firstTest  = 1_000_000
	firstKeyed = 2_000_000
)

// makeTestCard makes the card that somebody holds in his hand.
func makeTestCard(seed uint64, t spec.TestCard) card {
	i := productOf(t.Product)
	serial := slices.IndexFunc(TestCards(), func(c spec.TestCard) bool { return c.Name == t.Name })
	c := makeCard(seed, cardID{Product: i, Serial: firstTest + uint64(serial)})
	if t.Expires != "" {
		c.expiry = t.Expires
		c.start = ""
	}
	return c
}

// productOf finds the place of a product by its label; -1 for none.
func productOf(label string) int {
	return slices.IndexFunc(products(), func(p product) bool { return p.label == label })
}

// keyedCard is a card of which only the number is known. It is named by no more
// of it than receipts show. It reports false for what is no card number; a
// scheme that no machine takes has no product.
func keyedCard(pan string) (card, bool) {
	if len(pan) < 12 || len(pan) > 19 || checkDigit(pan[:len(pan)-1]) != pan[len(pan)-1:] {
		return card{}, false
	}
	c := card{pan: pan, id: cardID{Product: -1}}
	if i := slices.IndexFunc(products(), func(p product) bool { return p.stripe && p.prefix[:1] == pan[:1] && p.digits == len(pan) }); i >= 0 {
		c.product, c.id.Product = products()[i], i
	}
	for _, d := range pan[len(pan)-4:] {
		c.id.Serial = c.id.Serial*10 + uint64(d-'0')
	}
	c.id.Serial += firstKeyed
	return c, true
}

// A purse is what the test cards of a park remember: how many wrong PINs in a row
// each has had.
type purse struct {
	mu   sync.Mutex
	pins map[string]int
}

// wrong counts more wrong PINs on a card, and says how many there are.
func (p *purse) wrong(card string, more int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pins == nil {
		p.pins = map[string]int{}
	}
	p.pins[card] += more
	return p.pins[card]
}

// forget has a card count anew.
func (p *purse) forget(card string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.pins, card)
}

// masked is the number with all but the last four digits starred.
func (c card) masked() string {
	return strings.Repeat("*", len(c.pan)-4) + c.pan[len(c.pan)-4:]
}

// String hides the number from logs and failures.
func (c card) String() string { return c.product.label + " " + c.masked() }

// show writes into an outcome what the machine reads from the card.
func (c card) show(o *txn.Outcome, entry txn.PaymentMethod, cvm txn.CVM) {
	o.Method, o.CVM = entry, cvm
	o.Scheme, o.PAN, o.Expiry = c.product.scheme, c.masked(), c.expiry
	if entry == txn.MethodChip || entry == txn.MethodContactless {
		o.AID, o.Label = c.product.aid, c.product.label
		o.PANSequence, o.Start = c.sequence, c.start
	}
}

func pow10(n int) uint64 {
	p := uint64(1)
	for range n {
		p *= 10
	}
	return p
}

// checkDigit is the Luhn digit that completes the number.
func checkDigit(body string) string {
	sum := 0
	for i := range len(body) {
		d := int(body[len(body)-1-i] - '0')
		if i%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return fmt.Sprint((10 - sum%10) % 10)
}

// draw is the park's dice: the same throw for the same seed, purpose and number.
func draw(seed uint64, purpose, of string, n uint64) uint64 {
	b := binary.BigEndian.AppendUint64(nil, seed)
	b = binary.BigEndian.AppendUint64(b, n)
	b = append(append(append(b, purpose...), 0), of...)
	sum := sha256.Sum256(b)
	return binary.BigEndian.Uint64(sum[:8])
}
