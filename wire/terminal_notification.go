package wire

import "github.com/go-json-experiment/json/jsontext"

// A TerminalNotification tells how far a transaction is (the contract, section
// 4.2).
type TerminalNotification struct {
	NotificationValue string `json:"notificationValue"`
	TerminalID
}

func (n TerminalNotification) in(v Version) any {
	n.TerminalID = n.TerminalID.in(v)
	return &n
}

// encode writes what marshalling would, in a fraction of its time: of all that
// the gateway sends, these are by far the most, and somebody looks at each.
func (n TerminalNotification) encode(v Version) jsontext.Value {
	name := `,"tid":`
	if v == V0 {
		name = `,"tpi":`
	}
	// An error says that there was no UTF-8; what was written is sound.
	b, _ := jsontext.AppendQuote(append(make([]byte, 0, 96), `{"notificationValue":`...), n.NotificationValue)
	b, _ = jsontext.AppendQuote(append(b, name...), n.TID)
	return append(b, '}')
}

// DecodeTerminalNotification reads what the gateway told.
func DecodeTerminalNotification(params jsontext.Value) (TerminalNotification, error) {
	return decodeObject[TerminalNotification]("a notification", params)
}
