package wire

import "github.com/go-json-experiment/json/jsontext"

// A DuplicateRequest asks for a terminal's last transaction (the contract,
// section 3.5). The answer is a Payment.
type DuplicateRequest struct{ TerminalID }

func (r DuplicateRequest) in(v Version) any { return r.TerminalID.in(v) }

// DecodeDuplicate reads the params of a till.
func DecodeDuplicate(v Version, params jsontext.Value) (DuplicateRequest, []Deviation, *Fault) {
	t, devs, fault := decodeTerminalID(v, params)
	return DuplicateRequest{t}, devs, fault
}
