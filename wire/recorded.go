package wire

import "github.com/go-json-experiment/json/jsontext"

// Recorded is the till's answer to a transactionResponse, a tableUnlock or a
// reportResponse that came as a request: whether it has it for good (the
// contract, section 10, acks).
type Recorded bool

type recorded struct {
	Yes bool `json:"recorded"`
}

func (r Recorded) in(Version) any { return &recorded{bool(r)} }

// DecodeRecorded reads the result that a till sent; it is the same in both
// versions. A till that says false is to be told again.
func DecodeRecorded(_ Version, result jsontext.Value) (yes bool, devs []Deviation, fault *Fault) {
	o := openObject("/result", result)
	o.need("recorded")
	yes = o.flag("recorded")
	if devs, fault = o.close(); fault != nil {
		return false, nil, fault
	}
	return yes, devs, nil
}
