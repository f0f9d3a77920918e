package gateway

// A Conn is a till's connection as the gateway sees it. Send never blocks for
// the peer and keeps order; a peer that does not read is cut off by the
// connection itself. Its methods may be called from many goroutines.
type Conn interface {
	Send(message []byte) error
	// Ping sends a ping behind what was sent before, and calls answered when its
	// pong has come; never when the connection ends first. It does not block.
	Ping(answered func()) error
	Close(code int, reason string) error
	RemoteAddr() string
}

// Close codes of RFC 6455 that the gateway uses.
const (
	closeGoingAway = 1001
	closePolicy    = 1008
)
