package spec_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/spec"
)

// The cards are complete: each says what it is and does, and each kind of card
// that a till meets is among them.
func TestTestCards(t *testing.T) {
	x := spec.Default()
	all := x.TestCards()
	if all.Clause == "" || all.About == "" || all.PINTries != 3 {
		t.Errorf("%q, %q and %d tries", all.Clause, all.About, all.PINTries)
	}
	var ways []string
	for _, w := range all.Ways {
		if w.Meaning == "" {
			t.Errorf("%s says nothing", w.Name)
		}
		ways = append(ways, w.Name)
	}
	if diff := cmp.Diff([]string{"insert", "insertWrongly", "tap", "swipe"}, ways); diff != "" {
		t.Error(diff)
	}
	kinds := map[string]int{}
	names, labels := map[string]bool{}, map[string]bool{}
	for _, c := range all.Cards {
		if c.Name == "" || c.Label == "" || c.Product == "" || c.Happens == "" || names[c.Name] || labels[c.Label] {
			t.Errorf("%q says too little, or is there twice: %+v", c.Name, c)
		}
		names[c.Name], labels[c.Label] = true, true
		if got, ok := x.TestCard(c.Name); !ok || got.Label != c.Label {
			t.Errorf("TestCard(%q) = %+v, %v", c.Name, got, ok)
		}
		if (c.Verification == "PIN") != (c.PIN == "1234") || c.Verification != "PIN" && c.PIN != "" {
			t.Errorf("%s: verified by %s with the PIN %q", c.Name, c.Verification, c.PIN)
		}
		if len(c.Ways) == 0 {
			t.Errorf("%s cannot be presented", c.Name)
		}
		for _, w := range c.Ways {
			if w == "insertWrongly" || !slices.Contains(ways, w) {
				t.Errorf("%s: no way %q", c.Name, w)
			}
		}
		if c.ChipDamaged && !slices.Contains(c.Ways, "swipe") {
			t.Errorf("%s cannot be read at all", c.Name)
		}
		kind := "good"
		switch {
		case c.Declined:
			kind = "declined"
		case c.Funds > 0:
			kind = "insufficient"
		case c.Expires != "":
			kind = "expired"
		case c.ChipDamaged:
			kind = "chip damaged"
		case c.Verification != "PIN":
			kind = c.Verification
		}
		kinds[kind]++
	}
	want := map[string]int{"good": 3, "declined": 1, "insufficient": 1, "expired": 1, "chip damaged": 1, "SIGNATURE": 1, "DEVICE": 1}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("kinds of cards (-want +got):\n%s", diff)
	}
	if _, ok := x.TestCard("platinum"); ok {
		t.Error("a card that is not there was found")
	}
	for _, c := range all.Cards {
		for _, s := range []string{c.Name, c.Label, c.Happens} {
			if strings.Count(strings.Map(func(r rune) rune {
				if r >= '0' && r <= '9' {
					return 'd'
				}
				return r
			}, s), "d") >= 12 {
				t.Errorf("%s may hold a card number", c.Name)
			}
		}
	}
}
