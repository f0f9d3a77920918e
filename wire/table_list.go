package wire

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/money"
	"github.com/tillwire/tillwire/spec"
)

// A TableListRequest asks the till which tables can be paid (the contract,
// section 5.1).
type TableListRequest struct {
	TerminalID
	WaiterID string  `json:"waiterId"` // empty where the terminal asks for none
	Timeout  float64 `json:"timeout"`  // seconds
}

func (r TableListRequest) in(v Version) any {
	r.TerminalID = r.TerminalID.in(v)
	return &r
}

// DecodeTableList reads the gateway's question.
func DecodeTableList(params jsontext.Value) (TableListRequest, error) {
	return decodeObject[TableListRequest]("a table list request", params)
}

// A TableListResult is the till's answer: its tables by its own names for them,
// which may be anything, and their currency, empty only if there is no table.
type TableListResult struct {
	Tables   []string       `json:"tableIds"`
	Currency money.Currency `json:"currency,omitzero"`
}

func (r TableListResult) in(Version) any { return &r }

// DecodeTableListResult reads the result that a till sent; it is the same in
// both versions. The list may stand under either of its two names. How many
// tables there are and how long their names is not bounded here but by the
// length of a message.
func DecodeTableListResult(_ Version, result jsontext.Value) (TableListResult, []Deviation, *Fault) {
	const name, otherName = "tableIds", "tables"
	o := openObject("/result", result)
	_, one := o.members[name]
	_, other := o.members[otherName]
	if one && other && o.fault == nil {
		o.fault = newFault(o.at, RuleNot, spec.MessageWrongType, "type", "an object with either "+name+" or "+otherName)
	}
	used := name
	if other {
		used = otherName
	}
	var r TableListResult
	o.need(used)
	r.Tables = o.list(used, o.textOf)
	if len(r.Tables) > 0 {
		o.need("currency")
	}
	r.Currency = o.currency("currency")
	devs, fault := o.close()
	if fault != nil {
		return TableListResult{}, nil, fault
	}
	return r, devs, nil
}
