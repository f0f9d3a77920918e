package sim

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/txn"
)

// touched is a machine by hand in fake time, with hands that fail the test.
type touched struct {
	*desk
	p *Park
}

func touch(t *testing.T, tid txn.TID, o Options) *touched {
	t.Helper()
	p := open(t, o)
	d := connect(t, p, tid)
	d.m.Touch(true)
	return &touched{d, p}
}

// press presses keys, one after the other, each once the machine waits for it.
func (h *touched) press(keys ...Key) {
	h.t.Helper()
	for _, k := range keys {
		synctest.Wait()
		if err := h.m.Press(k); err != nil {
			h.t.Fatalf("%s: %v at %+v", k, err, h.m.Face().Screen)
		}
	}
	synctest.Wait()
}

// types presses the digits.
func (h *touched) types(digits string) {
	h.t.Helper()
	for _, d := range strings.Split(digits, "") {
		h.press(Key(d))
	}
}

func (h *touched) present(card string, how How) {
	h.t.Helper()
	synctest.Wait()
	if err := h.m.Present(card, how); err != nil {
		h.t.Fatalf("%s to %s: %v at %+v", card, how, err, h.m.Face().Screen)
	}
	synctest.Wait()
}

func (h *touched) takeOut() {
	h.t.Helper()
	synctest.Wait()
	if err := h.m.TakeOutCard(); err != nil {
		h.t.Fatal(err)
	}
	synctest.Wait()
}

// asks waits until the machine asks for that.
func (h *touched) asks(want Asks) Screen {
	h.t.Helper()
	eye, blink := h.m.Watch()
	defer blink()
	for {
		if s := h.m.Face().Screen; s.Asks == want {
			return s
		}
		<-eye
	}
}

func (h *touched) copies() []Copy {
	var out []Copy
	for _, r := range h.m.Face().Rolls {
		out = append(out, r.Copy)
	}
	return out
}

func TestChipSaleByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := touch(t, "VCMDEMODIP0", Options{Speed: 1})
		h.start("r", sale(1250))
		h.asks(AsksCard)
		h.present("visa-debit", Insert)
		h.asks(AsksChoice) // cashback
		h.press(KeyEnter)
		h.asks(AsksPIN)
		h.types("1234")
		if s := h.m.Face().Screen; s.Entry != "****" || s.Title != "SALE GBP 12.50" {
			t.Errorf("%+v", s)
		}
		h.press(KeyEnter)
		h.asks(AsksTakeOut)
		h.takeOut()
		o := h.ended("r")
		want := []string{
			"PRESENT_CARD", "PLEASE_WAIT", "PIN_ENTRY", "CONNECTING", "CONNECTION_MADE",
			"REQUEST_SENT", "APPROVED", "REMOVE_CARD", "ended SUCCESSFUL",
		}
		if diff := cmp.Diff(want, names(h.heard())); diff != "" {
			t.Error(diff)
		}
		if o.Method != txn.MethodChip || o.CVM != txn.CVMPIN || o.Scheme != "VISA" || len(h.p.Charges()) != 1 {
			t.Errorf("%+v, charges %+v", o, h.p.Charges())
		}
		if got := h.copies(); !slices.Equal(got, []Copy{MerchantCopy, CustomerCopy}) {
			t.Errorf("printed %v", got)
		}
	})
}
