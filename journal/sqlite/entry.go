package sqlite

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/tillwire/tillwire/journal"
)

// A digest is one link of the chain.
type digest = [sha256.Size]byte

// genesis is what the first entry of a writer's chain follows.
func genesis(writer string) digest {
	return sha256.Sum256([]byte("tillwire journal\n" + writer))
}

// link returns the chain's digest after an entry: it covers the digest before
// it, where its stream stood, and its data.
func link(before digest, prev int64, data digest) digest {
	var b [2*sha256.Size + 8]byte
	copy(b[:], before[:])
	binary.BigEndian.PutUint64(b[sha256.Size:], uint64(prev))
	copy(b[sha256.Size+8:], data[:])
	return sha256.Sum256(b[:])
}

// An entry is one append as it is kept: the canonical bytes that the chain
// covers hold all of it, and what of the head is not in the records.
type entry struct {
	stream  journal.Stream
	kind    journal.StreamKind
	key     string // the request key; in the first entry of a stream only
	expect  int
	records []journal.Record
}

// entryFormat is the first byte of every entry.
const entryFormat = 1

// stubFormat is the first byte of what is left of an entry that was pruned: the
// digest of its data follows, so that the chain can be followed over it.
const stubFormat = 2

// stub returns what is left of an entry whose data has that digest.
func stub(sum digest) []byte { return append([]byte{stubFormat}, sum[:]...) }

// gone reports whether only a stub is left of the entry. Every other one has
// records.
func (e entry) gone() bool { return len(e.records) == 0 }

// encode returns the canonical bytes. Times are seconds since 1970 and
// nanoseconds, so that any time fits.
func (e entry) encode() []byte {
	size := 32 + len(e.stream) + len(e.kind) + len(e.key)
	for _, r := range e.records {
		size += 32 + len(r.Kind) + len(r.Body)
	}
	b := make([]byte, 0, size)
	b = append(b, entryFormat)
	b = appendBytes(b, e.stream)
	b = appendBytes(b, e.kind)
	b = appendBytes(b, e.key)
	b = binary.AppendUvarint(b, uint64(e.expect))
	b = binary.AppendUvarint(b, uint64(len(e.records)))
	for _, r := range e.records {
		b = appendBytes(b, r.Kind)
		b = binary.AppendUvarint(b, uint64(r.Version))
		b = binary.AppendVarint(b, r.At.Unix())
		b = binary.AppendUvarint(b, uint64(r.At.Nanosecond()))
		b = appendBytes(b, r.Body)
	}
	return b
}

func appendBytes[T ~string | ~[]byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// maxNumber bounds the small numbers of an entry, far from overflow.
const maxNumber = 1 << 31

// decodeEntry reads what encode wrote, and nothing else.
func decodeEntry(data []byte) (entry, error) {
	r := reader{rest: data}
	if r.byte() != entryFormat {
		return entry{}, errors.New("entry: not of a known format")
	}
	e := entry{
		stream: journal.Stream(r.bytes()),
		kind:   journal.StreamKind(r.bytes()),
		key:    string(r.bytes()),
		expect: r.number(),
	}
	n := r.number()
	for i := 0; i < n && !r.bad; i++ {
		rec := journal.Record{Seq: e.expect + i + 1, Kind: string(r.bytes()), Version: r.number()}
		sec, nano := r.signed(), r.number()
		rec.At = time.Unix(sec, int64(nano)).UTC()
		rec.Body = r.bytes()
		e.records = append(e.records, rec)
		if nano >= int(time.Second) {
			r.bad = true
		}
	}
	if r.bad || len(r.rest) > 0 || n == 0 {
		return entry{}, fmt.Errorf("entry: damaged at byte %d of %d", len(data)-len(r.rest), len(data))
	}
	return e, nil
}

// A reader takes an entry apart. Once bad, it returns zeros.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) byte() byte {
	if r.bad || len(r.rest) == 0 {
		r.bad = true
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) number() int {
	v, n := binary.Uvarint(r.rest)
	if r.bad || n <= 0 || v > maxNumber {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return int(v)
}

func (r *reader) signed() int64 {
	v, n := binary.Varint(r.rest)
	if r.bad || n <= 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) bytes() []byte {
	n := r.number()
	if r.bad || n > len(r.rest) {
		r.bad = true
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}
