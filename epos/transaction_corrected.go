package epos

import "github.com/tillwire/tillwire/wire"

// A Correction is the truth about a transaction that ended as TimedOut (the
// contract, section 10, late).
type Correction struct {
	TID           TID
	RequestID     string  // the gateway's own name for the request, the same each time
	TransactionID string  // the terminal's; empty where it never ran
	Payment       Payment // how it really ended
}

// corrected takes the notification. It runs on the goroutine that reads.
func (c *Client) corrected(params wire.Raw) {
	f := c.handler.Corrected
	if f == nil {
		return
	}
	r, err := wire.DecodeTransactionCorrected(params)
	if err != nil {
		return // the status has it, too
	}
	c.events.add(func() {
		f(Correction{TID: TID(r.TID), RequestID: r.RequestID, TransactionID: r.TransactionID, Payment: paymentOf(r.Payment)})
	})
}
