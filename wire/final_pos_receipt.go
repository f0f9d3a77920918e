package wire

import "github.com/go-json-experiment/json/jsontext"

// A FinalPOSReceiptRequest asks the till for its receipt of what was paid (the
// contract, section 5.4). The answer is a POSReceiptResult.
type FinalPOSReceiptRequest struct {
	TerminalID
	WaiterID string  `json:"waiterId"`
	TableID  string  `json:"tableId"`
	Timeout  float64 `json:"timeout"` // seconds
}

func (r FinalPOSReceiptRequest) in(v Version) any {
	r.TerminalID = r.TerminalID.in(v)
	return &r
}

// DecodeFinalPOSReceipt reads the gateway's question.
func DecodeFinalPOSReceipt(params jsontext.Value) (FinalPOSReceiptRequest, error) {
	return decodeObject[FinalPOSReceiptRequest]("a final receipt request", params)
}
