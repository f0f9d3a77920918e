package wire

import "github.com/go-json-experiment/json/jsontext"

// A CancelTransactionRequest asks that what runs on a terminal be cancelled (the
// contract, section 3.4).
type CancelTransactionRequest struct{ TerminalID }

func (r CancelTransactionRequest) in(v Version) any { return r.TerminalID.in(v) }

// DecodeCancelTransaction reads the params of a till.
func DecodeCancelTransaction(v Version, params jsontext.Value) (CancelTransactionRequest, []Deviation, *Fault) {
	t, devs, fault := decodeTerminalID(v, params)
	return CancelTransactionRequest{t}, devs, fault
}

// decodeTerminalID reads params that name a terminal and nothing else.
func decodeTerminalID(v Version, params jsontext.Value) (TerminalID, []Deviation, *Fault) {
	o := openObject("/params", params)
	o.need(v.terminalMember())
	t := TerminalID{TID: o.text(v.terminalMember())}
	devs, fault := o.close()
	return t, devs, fault
}

// A CancelResult is the answer. v1 answers at once that it tries, and says
// cancelling; v0 answers after waiting, and says whether it is cancelled.
type CancelResult struct{ Yes bool }

type (
	cancelling struct {
		Yes bool `json:"cancelling"`
	}
	cancelled struct {
		Yes bool `json:"cancelled"`
	}
)

func (r CancelResult) in(v Version) any {
	if v == V0 {
		return &cancelled{r.Yes}
	}
	return &cancelling{r.Yes}
}

// DecodeCancelResult reads the gateway's answer in either version.
func DecodeCancelResult(result jsontext.Value) (CancelResult, error) {
	var r struct {
		Cancelling bool `json:"cancelling"`
		Cancelled  bool `json:"cancelled"`
	}
	err := decode("the answer to a cancel", jsontext.KindBeginObject, result, &r)
	return CancelResult{r.Cancelling || r.Cancelled}, err
}
