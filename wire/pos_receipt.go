package wire

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/receipt"
)

// A POSReceiptRequest asks the till for the bill of a table (the contract,
// section 5.3).
type POSReceiptRequest struct {
	TerminalID
	WaiterID string  `json:"waiterId"`
	TableID  string  `json:"tableId"`
	Timeout  float64 `json:"timeout"` // seconds
}

func (r POSReceiptRequest) in(v Version) any {
	r.TerminalID = r.TerminalID.in(v)
	return &r
}

// DecodePOSReceipt reads the gateway's question.
func DecodePOSReceipt(params jsontext.Value) (POSReceiptRequest, error) {
	return decodeObject[POSReceiptRequest]("a receipt request", params)
}

// A POSReceiptResult is the till's answer to both receipt requests: the lines
// to print, in their order.
type POSReceiptResult struct {
	ReceiptLines []Line `json:"receiptLines"`
}

func (r POSReceiptResult) in(Version) any { return &r }

// DecodePOSReceiptResult reads the result that a till sent; it is the same in
// both versions, and for both receipts. A line of a type or a format that a till
// may not send is a fault; the format may be left out.
func DecodePOSReceiptResult(_ Version, result jsontext.Value) (POSReceiptResult, []Deviation, *Fault) {
	var r POSReceiptResult
	o := openObject("/result", result)
	o.need("receiptLines")
	r.ReceiptLines = o.lines("receiptLines", receipt.EPOSTypes())
	devs, fault := o.close()
	if fault != nil {
		return POSReceiptResult{}, nil, fault
	}
	return r, devs, nil
}
