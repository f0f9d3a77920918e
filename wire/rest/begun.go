package rest

import "github.com/tillwire/tillwire/wire"

// Begun says that a transaction or a report was taken, and where it is asked
// about (the contract of REST, section 2).
type Begun struct {
	RequestID string `json:"requestId"`
	Location  string `json:"location"`
}

// Append writes the answer.
func (r Begun) Append(dst []byte, _ Version) []byte {
	b := wire.AppendText(append(dst, `{"requestId":`...), r.RequestID)
	b = wire.AppendText(append(b, `,"location":`...), r.Location)
	return append(b, '}')
}
