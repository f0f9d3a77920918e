package wire

import (
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// This file has the form of messages in a stream (the contract, section 10,
// resume): each is what it is without, and bears its number beside.

// Number returns a message of the gateway, which is one JSON object, with its
// number in the stream.
func Number(message []byte, seq int64) []byte {
	const member, longest = `,"seq":`, 20
	out := make([]byte, 0, len(message)+len(member)+longest)
	out = append(out, message[:len(message)-1]...)
	out = strconv.AppendInt(append(out, member...), seq, 10)
	return append(out, '}')
}

// A Numbered is what a message says of the stream that it comes in.
type Numbered struct {
	Seq       int64 // its number; 0 if it has none
	Unasked   bool  // it is an error that answers no request
	Code      int   // of such an error
	ErrorData       // of such an error
}

// DecodeNumbered reads of a message what it says of its stream. One that cannot
// be read, or bears no number from 1 on, says nothing.
func DecodeNumbered(message []byte) Numbered {
	var m struct {
		Seq   int64          `json:"seq"`
		ID    jsontext.Value `json:"id"`
		Error *struct {
			Code int            `json:"code"`
			Data jsontext.Value `json:"data"`
		} `json:"error"`
	}
	if json.Unmarshal(message, &m) != nil || m.Seq < 1 {
		return Numbered{}
	}
	n := Numbered{Seq: m.Seq}
	if m.Error != nil && m.ID == nil {
		n.Unasked, n.Code, n.ErrorData = true, m.Error.Code, DecodeErrorData(m.Error.Data)
	}
	return n
}
