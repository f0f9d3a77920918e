package sqlite

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/tillwire/tillwire/journal"
)

// A row is one of the table heads.
type row struct {
	id   int64 // the stream's first entry
	last int64 // its last
	head journal.Head
}

// headColumns is in the order of row.scan.
const headColumns = `id, last, stream, kind, site, tid, minor, currency, request_key, accepted,
	state, open, told, type, result, counts, dispatched, ended, records, sum`

// scan reads a row by the driver's own Scan. A row whose sum does not fit is
// a *journal.TamperedError.
func (r *row) scan(scan scanner) error {
	h := &r.head
	var accepted, dispatched, ended, sum int64
	err := scan(&r.id, &r.last, (*string)(&h.Stream), (*string)(&h.Kind), (*string)(&h.Site), (*string)(&h.TID),
		&h.Minor, &h.Currency, &h.RequestKey, &accepted,
		&h.State, &h.Open, &h.Told, &h.Type, &h.Result, &h.Counts, &dispatched, &ended, &h.Records, &sum)
	if err != nil {
		return wrap(err)
	}
	h.AcceptedAt, h.DispatchedAt, h.EndedAt = fromNanos(accepted), fromNanos(dispatched), fromNanos(ended)
	if r.sum() != sum {
		return &journal.TamperedError{What: fmt.Sprintf("the head of stream %q", h.Stream)}
	}
	return nil
}

// canonical returns bytes that are equal for equal rows only.
func (r *row) canonical() []byte {
	h := &r.head
	b := make([]byte, 0, 256)
	for _, v := range [...]int64{
		r.id, r.last, h.Minor, nanos(h.AcceptedAt), nanos(h.DispatchedAt), nanos(h.EndedAt), int64(h.Records), number(h.Open), number(h.Counts),
	} {
		b = binary.AppendVarint(b, v)
	}
	for _, s := range [...]string{
		string(h.Stream), string(h.Kind), string(h.Site), string(h.TID), h.Currency, h.RequestKey, h.State, h.Told, h.Type, h.Result,
	} {
		b = appendBytes(b, s)
	}
	return b
}

// sum finds a row that a disk or a person altered by hand. It proves nothing
// against intent; the records do.
func (r *row) sum() int64 {
	return int64(crc32.Checksum(r.canonical(), crc32.MakeTable(crc32.Castagnoli)))
}

// nanos keeps a time as nanoseconds since 1970, 0 for the zero time. What
// does not fit becomes the nearest that does: heads order and find, records tell.
func nanos(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Before(time.Unix(0, math.MinInt64)):
		return math.MinInt64
	case t.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// rebuilt returns the row as its stream's entries make it.
func rebuilt(ids []int64, entries []entry) (row, error) {
	var r row
	var records []journal.Record
	for i, e := range entries {
		records = append(records, e.records...)
		head, err := journal.HeadOf(entries[0].kind, records)
		if err != nil {
			return row{}, err
		}
		head.RequestKey = entries[0].key
		a := journal.Append{Stream: e.stream, Expect: e.expect, Records: e.records, Head: head}
		r = row{id: ids[0], last: ids[i], head: a.Next(r.head)}
	}
	return r, nil
}
