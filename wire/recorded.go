package wire

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/spec"
)

// Recorded is the till's answer to a transactionResponse, a tableUnlock or a
// reportResponse that came as a request: it has it for good (the contract,
// section 10, acks).
type Recorded struct{}

type recorded struct {
	Yes bool `json:"recorded"`
}

func (Recorded) in(Version) any { return &recorded{true} }

// DecodeRecorded reads the result that a till sent; it is the same in both
// versions. A till that says false has recorded nothing, which is a fault.
func DecodeRecorded(_ Version, result jsontext.Value) (Recorded, []Deviation, *Fault) {
	o := openObject("/result", result)
	o.need("recorded")
	if yes := o.flag("recorded"); o.fault == nil && !yes {
		o.fault = newFault(o.at+"/recorded", RuleEnum, spec.MessageWrongType, "type", "true")
	}
	devs, fault := o.close()
	return Recorded{}, devs, fault
}
