package gateway

import (
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/txn"
)

// masked is the door for what terminals say: card numbers arrive masked, and
// are masked again in case a driver forgot.
func masked(o txn.Outcome) txn.Outcome {
	o.PAN = receipt.MaskPAN(o.PAN)
	o.Receipts.Merchant = receipt.Masked(o.Receipts.Merchant)
	o.Receipts.Customer = receipt.Masked(o.Receipts.Customer)
	return o
}

func maskedWish(w txn.SignatureWish) txn.SignatureWish {
	w.PAN = receipt.MaskPAN(w.PAN)
	w.Merchant = receipt.Masked(w.Merchant)
	return w
}

// loggable is what a driver's error says, fit for the log.
func loggable(err error) string { return receipt.MaskPANs(err.Error()) }
