package wire

import "github.com/go-json-experiment/json/jsontext"

// A TableUnlock tells the till that it may edit a table again (the contract,
// section 5.6).
type TableUnlock struct {
	TerminalID
	WaiterID string `json:"waiterId"`
	TableID  string `json:"tableId"`
}

func (u TableUnlock) in(v Version) any {
	u.TerminalID = u.TerminalID.in(v)
	return &u
}

// DecodeTableUnlock reads what the gateway told.
func DecodeTableUnlock(params jsontext.Value) (TableUnlock, error) {
	return decodeObject[TableUnlock]("an unlock", params)
}
