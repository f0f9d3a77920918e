package wire

import "github.com/go-json-experiment/json"

// A Refusal is the body of an HTTP answer that refuses an upgrade (the
// contract, section 1).
type Refusal struct {
	UserMessage string `json:"userMessage"` // says what to correct
}

// DecodeRefusal reads such a body. What is no refusal, such as the page of a
// proxy, reads as one without a message.
func DecodeRefusal(body []byte) Refusal {
	var r Refusal
	if json.Unmarshal(body, &r) != nil {
		return Refusal{}
	}
	return r
}
