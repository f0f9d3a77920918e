package wire

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/spec"
)

// A TransactionStatusRequest asks what became of a request, by the key that the
// till gave it or by the id that the gateway did (the contract, section 10,
// status). One of the two is set.
type TransactionStatusRequest struct {
	TerminalID
	RequestKey string `json:"requestKey,omitzero"`
	RequestID  string `json:"requestId,omitzero"`
}

func (r TransactionStatusRequest) in(v Version) any {
	r.TerminalID = r.TerminalID.in(v)
	return &r
}

// maxRequestID bounds what a till may give as a request's id, in characters.
const maxRequestID = 64

// DecodeTransactionStatus reads the params of a till.
func DecodeTransactionStatus(v Version, params jsontext.Value) (TransactionStatusRequest, []Deviation, *Fault) {
	var r TransactionStatusRequest
	o := openObject("/params", params)
	o.need(v.terminalMember())
	r.TID = o.text(v.terminalMember())
	r.RequestKey = o.textWithin("requestKey", 1, MaxRequestKey)
	r.RequestID = o.textWithin("requestId", 1, maxRequestID)
	switch {
	case o.fault != nil:
	case r.RequestKey != "" && r.RequestID != "":
		o.fault = newFault("/params", RuleNot, spec.MessageWrongType, "type", "an object with one of requestKey and requestId")
	case r.RequestKey == "" && r.RequestID == "":
		o.fault = newFault("/params/requestKey", RuleRequired, spec.MessageRequired)
	}
	devs, fault := o.close()
	if fault != nil {
		return TransactionStatusRequest{}, nil, fault
	}
	return r, devs, nil
}

// The states of a request.
const (
	StatePending    = "pending"    // it runs; its answer is to come
	StateFinished   = "finished"   // its outcome is known
	StateUnresolved = "unresolved" // TIMED_OUT was told, and the truth is still sought
	StateNotRun     = "notRun"     // it certainly did not run, and will not
	StateNotFound   = "notFound"   // this site's terminal was never asked for it, or it is no longer kept
)

// A TransactionStatus is the answer. RequestID is there unless the request was
// not found, or is being recorded; Payment where a transaction is finished.
type TransactionStatus struct {
	State     string   `json:"state"`
	RequestID string   `json:"requestId,omitzero"`
	Payment   *Payment `json:"payment,omitzero"`
}

func (s TransactionStatus) in(v Version) any {
	if s.Payment == nil {
		return &s
	}
	return &struct {
		State     string `json:"state"`
		RequestID string `json:"requestId,omitzero"`
		Payment   any    `json:"payment"`
	}{s.State, s.RequestID, s.Payment.in(v)}
}

// DecodeTransactionStatusResult reads the gateway's answer.
func DecodeTransactionStatusResult(result jsontext.Value) (TransactionStatus, error) {
	var s TransactionStatus
	err := decode("a status", jsontext.KindBeginObject, result, &s)
	if s.Payment != nil {
		s.Payment.fold()
	}
	return s, err
}
