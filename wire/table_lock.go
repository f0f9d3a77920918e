package wire

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/money"
)

// A TableLockRequest asks the till to lock a table and to say what is owed (the
// contract, section 5.2).
type TableLockRequest struct {
	TerminalID
	WaiterID string  `json:"waiterId"`
	TableID  string  `json:"tableId"` // 1 to 64 characters
	Timeout  float64 `json:"timeout"` // seconds
}

func (r TableLockRequest) in(v Version) any {
	r.TerminalID = r.TerminalID.in(v)
	return &r
}

// DecodeTableLock reads the gateway's question.
func DecodeTableLock(params jsontext.Value) (TableLockRequest, error) {
	return decodeObject[TableLockRequest]("a table lock request", params)
}

// A TableLockResult is the till's answer: locked, with what is owed in minor
// units, or refused, with nothing else.
type TableLockResult struct {
	Confirmed bool           `json:"confirmed"`
	Amount    money.Minor    `json:"amount,omitzero"`
	Currency  money.Currency `json:"currency,omitzero"`
}

func (r TableLockResult) in(Version) any { return &r }

// DecodeTableLockResult reads the result that a till sent; it is the same in
// both versions. What a refusal says of an amount is checked and then left out.
func DecodeTableLockResult(_ Version, result jsontext.Value) (TableLockResult, []Deviation, *Fault) {
	var r TableLockResult
	o := openObject("/result", result)
	o.need("confirmed")
	r.Confirmed = o.flag("confirmed")
	if r.Confirmed {
		o.need("amount")
	}
	r.Amount = o.minor("amount", 1, MaxAmount)
	if r.Confirmed {
		o.need("currency")
	}
	r.Currency = o.currency("currency")
	devs, fault := o.close()
	switch {
	case fault != nil:
		return TableLockResult{}, nil, fault
	case !r.Confirmed:
		return TableLockResult{}, devs, nil
	}
	return r, devs, nil
}
