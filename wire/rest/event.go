package rest

import (
	"strconv"
	"time"

	"github.com/tillwire/tillwire/wire"
)

// The names of the events of a stream (the contract of REST, section 10). The
// data of EventFinished is the Transaction.
const (
	EventNotification = "notification"
	EventSignature    = "signature"
	EventFinished     = "finished"
	EventLate         = "late"
)

// An Event is one event of a stream.
type Event struct {
	ID   int64 // 1 and up, without gaps
	Name string
	Data Body
}

// Append writes the event as it stands in the stream, with its data in the form
// of a version.
func (e Event) Append(dst []byte, v Version) []byte {
	b := strconv.AppendInt(append(dst, "id: "...), e.ID, 10)
	b = append(append(b, "\nevent: "...), e.Name...)
	b = e.Data.Append(append(b, "\ndata: "...), v) // one line: JSON escapes the others
	return append(b, "\n\n"...)
}

// AppendRetry writes what a stream begins with: how long to wait before coming
// back.
func AppendRetry(dst []byte, after time.Duration) []byte {
	b := strconv.AppendInt(append(dst, "retry: "...), after.Milliseconds(), 10)
	return append(b, "\n\n"...)
}

// AppendKeepAlive writes the comment that keeps a stream open.
func AppendKeepAlive(dst []byte) []byte { return append(dst, ": keep-alive\n\n"...) }

// A NotificationEvent tells of one notification.
type NotificationEvent struct {
	RequestID    string
	Notification string
	Time         time.Time // written in UTC
}

// Append writes the data of the event.
func (e NotificationEvent) Append(dst []byte, _ Version) []byte {
	b := wire.AppendText(append(dst, `{"requestId":`...), e.RequestID)
	b = wire.AppendText(append(b, `,"notification":`...), e.Notification)
	b = appendTime(append(b, `,"time":`...), e.Time.UTC(), time.RFC3339)
	return append(b, '}')
}

// A SignatureEvent asks for the answer to a signature.
type SignatureEvent struct {
	Signature Signature
	Deadline  time.Time // written in UTC
}

// Append writes the data of the event.
func (e SignatureEvent) Append(dst []byte, v Version) []byte {
	b := e.Signature.append(append(dst, '{'), v)
	b = appendTime(append(b, `,"deadline":`...), e.Deadline.UTC(), time.RFC3339)
	return append(b, '}')
}

// A LateEvent tells the outcome of a transaction that had timed out.
type LateEvent struct {
	RequestID  string
	LateResult *Result
}

// Append writes the data of the event.
func (e LateEvent) Append(dst []byte, v Version) []byte {
	b := wire.AppendText(append(dst, `{"requestId":`...), e.RequestID)
	b = e.LateResult.append(append(b, `,"lateResult":{`...), v)
	return append(b, `}}`...)
}
