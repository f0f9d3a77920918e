package gateway

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"time"

	"github.com/tillwire/tillwire/txn"
)

// NewRequestID makes an id for a request of that moment. It is unique for ever,
// and nobody can guess it: 100 bits of it are random. It begins with the time, so
// that ids sort as they were made: a journal's index of them grows at its end,
// where one page serves many, and not all over. Nobody reads the time back out
// of an id; ids of any other form are as good.
func NewRequestID(at time.Time) txn.RequestID {
	var millis [8]byte
	binary.BigEndian.PutUint64(millis[:], uint64(max(at.UnixMilli(), 0))<<idShift)
	id := make([]byte, 0, 1+idTime+idRandom)
	id = append(id, 'r')
	id = base32.HexEncoding.WithPadding(base32.NoPadding).AppendEncode(id, millis[:])[:1+idTime]
	return txn.RequestID(append(id, rand.Text()[:idRandom]...))
}

const (
	idTime   = 9  // letters of five bits, which sort as their values do: milliseconds for a thousand years
	idRandom = 20 // letters of five random bits
	idShift  = 64 - 5*idTime
)
