package gateway

// A Conn is a till's connection as the gateway sees it. Send never blocks for
// the peer and keeps order; a peer that does not read is cut off by the
// connection itself. Its methods may be called from many goroutines.
type Conn interface {
	Send(message []byte) error
	Close(code int, reason string) error
	RemoteAddr() string
}

// Close codes of RFC 6455 that the gateway uses.
const (
	closeGoingAway = 1001
	closePolicy    = 1008
)
