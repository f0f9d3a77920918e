package gateway

import (
	"strings"

	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/txn"
)

// masked is the door for what terminals say: card numbers arrive masked, and
// are masked again in case a driver forgot.
func masked(o txn.Outcome) txn.Outcome {
	o.PAN = maskPAN(o.PAN)
	o.Receipts.Merchant = receipt.Masked(o.Receipts.Merchant)
	o.Receipts.Customer = receipt.Masked(o.Receipts.Customer)
	return o
}

func maskedWish(w txn.SignatureWish) txn.SignatureWish {
	w.PAN = maskPAN(w.PAN)
	w.Merchant = receipt.Masked(w.Merchant)
	return w
}

// maskPAN gives a card number the one form that leaves this gateway: twelve
// asterisks and the last four digits.
func maskPAN(pan string) string {
	if pan == "" {
		return ""
	}
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, pan)
	if len(digits) < 4 {
		return "" // no number at all
	}
	return strings.Repeat("*", 12) + digits[len(digits)-4:]
}

// loggable is what a driver's error says, fit for the log.
func loggable(err error) string { return receipt.MaskPANs(err.Error()) }
