package spec

import "slices"

// TestCards are the cards that people can hold to a simulated card machine
// (after the contract, sections 12 and 15).
type TestCards struct {
	Clause   string       `json:"clause"`
	About    string       `json:"about"`
	PINTries int          `json:"pinTries"` // wrong PINs in a row that block a card
	Ways     []NamedThing `json:"ways"`     // of holding a card to the machine
	Cards    []TestCard   `json:"cards"`
}

// A TestCard is one of them. It has no number here.
type TestCard struct {
	Name         string   `json:"name"`
	Label        string   `json:"label"`   // as people are shown it
	Product      string   `json:"product"` // the card machine's label of it
	PIN          string   `json:"pin"`     // empty where none is asked for
	Verification string   `json:"verification"`
	Ways         []string `json:"ways"`
	Declined     bool     `json:"declined"`    // by its issuer, whatever the amount
	Funds        int64    `json:"funds"`       // minor units above which its issuer declines; 0 for none
	Expires      string   `json:"expires"`     // MM/YY, where it is past; else empty
	ChipDamaged  bool     `json:"chipDamaged"` // the chip cannot be read
	Happens      string   `json:"happens"`
}

// TestCards returns the cards that people can hold to a simulated machine.
func (x *Index) TestCards() TestCards { return x.testCards }

// TestCard returns a test card by its name.
func (x *Index) TestCard(name string) (TestCard, bool) {
	cards := x.testCards.Cards
	if i := slices.IndexFunc(cards, func(c TestCard) bool { return c.Name == name }); i >= 0 {
		return cards[i], true
	}
	return TestCard{}, false
}
