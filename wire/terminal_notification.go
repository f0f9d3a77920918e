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

// DecodeTerminalNotification reads what the gateway told.
func DecodeTerminalNotification(params jsontext.Value) (TerminalNotification, error) {
	return decodeObject[TerminalNotification]("a notification", params)
}
