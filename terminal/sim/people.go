package sim

import (
	"errors"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/txn"
)

// People are who stands at a machine while it performs a transaction: those of
// a script, who know their part by heart, or hands. Between what they do come
// the machine's own steps, which are the same for both.
type people interface {
	// gratuity has the cardholder choose one, before the card.
	gratuity() error
	// present returns the card that the machine goes on with, once it is in the
	// reader or was read, and has the run's part say how. A cancel is honoured
	// until then.
	present() (card, error)
	// refuse breaks the transaction off for a card that cannot be used.
	refuse() error
	// cashback settles how much is given.
	cashback() error
	// pin returns once the right PIN was entered.
	pin() error
	// decide is the last moment before the acquirer is asked.
	decide() error
	// takeOut returns once the card is out of the reader.
	takeOut() error
	// toSign prints what the cardholder signs.
	toSign() error
	// verify has the waiter say whether a signature is right.
	verify() (bool, error)
	// copies prints the receipts of a transaction that ends so.
	copies(txn.Result) error
}

// byHeart are the people of a script, or of the machine's name.
type byHeart struct{ *run }

// gratuity is ten per cent where nothing else is said, in whole minor units. At
// a table it was asked for before.
func (p byHeart) gratuity() error {
	o := &p.c.Outcome
	percent := p.script.GratuityPercent
	if percent == 0 && p.m.name.machine.Gratuity {
		percent = 10
	}
	if percent == 0 || o.Type != txn.Sale || p.round != nil {
		return nil
	}
	o.Gratuity = min(o.Base*money.Minor(percent)/100, maxTotal-o.Total())
	return p.pause(gratuityTakes)
}

func (p byHeart) present() (card, error) {
	n, takes := PresentCard, presentTakes
	switch {
	case p.notPresent():
		n, takes = PleaseWait, keyingTakes
	case p.part.entry == txn.MethodKeyed:
		takes = keyingTakes
	}
	if err := p.step(n, takes); err != nil {
		return card{}, err
	}
	if p.part.result == txn.Cancelled && p.part.cvm != txn.CVMPIN {
		p.notify(txn.Cancelling)
		return card{}, errCancelled // the red key
	}
	return makeCard(p.m.park.o.Seed, p.presented()), nil
}

// presented is the card that comes: the same as before by script, the one that
// was pre-authorised for a completion, else a new cardholder's.
func (p byHeart) presented() cardID {
	if p.script.SameCard {
		p.m.mu.Lock()
		last := p.m.mem.Card
		p.m.mu.Unlock()
		if last != nil && last.Serial < firstKeyed { // of one that was typed in too little is known
			return *last
		}
	}
	if t := p.c.Request.Txn; t.Type == txn.Completion && !p.script.SameCard {
		if id, ok := p.m.park.bank.heldOn(t.AuthCode); ok {
			return id
		}
	}
	of := string(p.m.name.tid) + "/" + string(p.c.Outcome.TransactionID)
	return dealCard(p.part.entry, draw(p.m.park.o.Seed, "cardholder", of, 0))
}

// refuse does nothing: a script shows what is wrong and ends after it.
func (p byHeart) refuse() error { return nil }

// cashback is given with chip and PIN only; else the sale goes on without.
func (p byHeart) cashback() error {
	o := &p.c.Outcome
	if o.Cashback == 0 && p.asksCashback() {
		o.Cashback = max(0, min(p.script.Cashback, maxTotal-o.Total()))
	}
	if o.Cashback == 0 {
		return nil
	}
	if !p.givesCashback() {
		o.Cashback = 0
		return nil
	}
	return p.step(EnterCashback, cashbackTakes)
}

func (p byHeart) pin() error {
	if err := p.step(PINEntry, pinTakes); err != nil {
		return err
	}
	if p.part.result == txn.Cancelled {
		return p.redKeyWithCard()
	}
	return nil
}

func (p byHeart) decide() error { return nil }

func (p byHeart) takeOut() error {
	if p.part.entry != txn.MethodChip {
		return nil
	}
	return p.step(RemoveCard, removeTakes)
}

func (p byHeart) toSign() error {
	if err := p.paper(); err != nil && !errors.Is(err, errUnattended) {
		return err
	}
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	if !p.m.panel.noPaper {
		p.m.hang(MerchantCopy, p.m.park.wish(p.m.name.tid, p.c).Merchant)
	}
	return nil
}

func (p byHeart) verify() (bool, error) {
	if err := p.round.waiter.stay(StepSignature); err != nil {
		return false, err
	}
	return true, p.pause(signatureTakes)
}

// copies takes no time at the counter: the paper hangs there once the
// transaction is over.
func (p byHeart) copies(result txn.Result) error {
	if p.c.Outcome.PAN != "" {
		if err := p.paper(); err != nil && !errors.Is(err, errUnattended) {
			return err
		}
	}
	if p.round == nil {
		return nil
	}
	p.m.mu.Lock()
	p.hangSlips(p.m.outcome(p.c, result))
	p.m.mu.Unlock()
	return p.round.slip()
}
