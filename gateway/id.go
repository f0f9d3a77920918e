package gateway

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"time"

	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
)

// NewRequestID makes an id for a request of that moment. It is unique for ever,
// and nobody can guess it: 100 bits of it are random. It begins with the time, so
// that ids sort as they were made: a journal's index of them grows at its end,
// where one page serves many, and not all over. Nobody reads the time back out
// of an id; ids of any other form are as good.
func NewRequestID(at time.Time) txn.RequestID { return txn.RequestID(newID('r', at)) }

// newKeptID makes an id for a table that is stored at that moment, in the form of
// NewRequestID's.
func newKeptID(at time.Time) table.KeptID { return table.KeptID(newID('t', at)) }

func newID(kind byte, at time.Time) string {
	var millis [8]byte
	binary.BigEndian.PutUint64(millis[:], uint64(max(at.UnixMilli(), 0))<<idShift)
	id := make([]byte, 0, 1+idTime+idRandom)
	id = append(id, kind)
	id = base32.HexEncoding.WithPadding(base32.NoPadding).AppendEncode(id, millis[:])[:1+idTime]
	return string(append(id, rand.Text()[:idRandom]...))
}

const (
	idTime   = 9  // letters of five bits, which sort as their values do: milliseconds for a thousand years
	idRandom = 20 // letters of five random bits
	idShift  = 64 - 5*idTime
)
