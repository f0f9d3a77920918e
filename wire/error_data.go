package wire

import "github.com/go-json-experiment/json/jsontext"

// An ErrorData is error.data, for the developer of a till that asked for it (the
// contract, section 10, errors). What is not known is left out.
type ErrorData struct {
	Pointer string `json:"pointer,omitzero"` // of the fault, into the message
	Rule    string `json:"rule,omitzero"`    // the schema keyword that is broken
	Docs    string `json:"docs,omitzero"`    // the page about the error, a path on the gateway

	// FirstKept is the number of the first message of a stream that is kept, in
	// the error about a since before it (the contract, section 10, resume).
	FirstKept int64 `json:"firstKept,omitzero"`
}

func (d ErrorData) in(Version) any { return &d }

// DecodeErrorData reads error.data. What cannot be read says nothing.
func DecodeErrorData(data jsontext.Value) ErrorData {
	var d ErrorData
	if data == nil || decode("error.data", jsontext.KindBeginObject, data, &d) != nil {
		return ErrorData{}
	}
	return d
}
