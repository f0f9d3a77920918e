package wire

import "github.com/go-json-experiment/json/jsontext"

// A TransactionCorrected tells the truth about a transaction of which a till was
// told TIMED_OUT (the contract, section 10, late).
type TransactionCorrected struct {
	TerminalID
	RequestID     string  `json:"requestId"`
	TransactionID string  `json:"transactionId"` // the terminal's; may be empty
	Was           string  `json:"was"`           // always WasTimedOut
	Payment       Payment `json:"payment"`
}

// WasTimedOut is what a till was told before.
const WasTimedOut = "TIMED_OUT"

func (c TransactionCorrected) in(v Version) any {
	return &struct {
		TerminalID
		RequestID     string `json:"requestId"`
		TransactionID string `json:"transactionId"`
		Was           string `json:"was"`
		Payment       any    `json:"payment"`
	}{c.TerminalID.in(v), c.RequestID, c.TransactionID, c.Was, c.Payment.in(v)}
}

// DecodeTransactionCorrected reads what the gateway told.
func DecodeTransactionCorrected(params jsontext.Value) (TransactionCorrected, error) {
	c, err := decodeObject[TransactionCorrected]("a correction", params)
	c.Payment.fold()
	return c, err
}
