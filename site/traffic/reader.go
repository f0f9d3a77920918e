package traffic

import (
	"context"
	"errors"
	"strings"
)

// A Filter selects messages. Empty fields select everything, but a page must
// name its site: what a session may not see is left out there.
type Filter struct {
	Site   string
	Conn   uint64
	Face   string
	TID    string // without regard to case
	Method string // of requests with their replies; or what a terminal notifies
}

func (f Filter) takes(m *Message) bool {
	l := m.Line
	switch {
	case f.Site != "" && f.Site != l.Site,
		f.Conn != 0 && f.Conn != l.Number,
		f.Face != "" && f.Face != l.Face,
		f.TID != "" && !strings.EqualFold(f.TID, m.TID),
		f.Method != "" && f.Method != m.Method && f.Method != m.Note:
		return false
	}
	return true
}

// A Batch is what a reader is given at once, oldest first.
type Batch struct {
	Messages []*Message
	// Before is how many messages that the filter takes were kept when the
	// reader began, and are not in its first batch.
	Before int
	// Passed is how many that the filter takes were passed over, because more
	// came than the reader wanted at once. They are kept, for the moment.
	Passed int
	// Gone is how many were pushed out of the ring before the reader looked,
	// whatever they were.
	Gone uint64
	// Dropped is how many were never kept, of all connections, because they came
	// faster than they could be taken in.
	Dropped uint64
}

// A Reader takes messages out as they come. It belongs to one goroutine.
type Reader struct {
	hub     *Hub
	filter  Filter
	news    chan struct{} // of capacity 1
	begun   bool
	seen    uint64 // number of the last message looked at
	dropped uint64
}

// ErrClosed says that the hub was closed.
var ErrClosed = errors.New("traffic: closed")

// Read makes a reader. Leave it in the end.
func (h *Hub) Read(f Filter) *Reader {
	r := &Reader{hub: h, filter: f, news: make(chan struct{}, 1), dropped: h.dropped.Load()}
	h.enter(r) // of a closed hub nothing can be taken
	r.wake()
	return r
}

// wake has the reader look again. It never blocks.
func (r *Reader) wake() {
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// Leave ends the reader.
func (r *Reader) Leave() { r.hub.leave(r) }

// News is readable when there may be something to Take.
func (r *Reader) News() <-chan struct{} { return r.news }

// Take returns what has come since the last time, the newest most of it where
// there is more. It does not wait.
func (r *Reader) Take(most int) (Batch, error) {
	h := r.hub
	h.takeIn()
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return Batch{}, ErrClosed
	}
	ring := h.ring[h.first:]
	from := 0
	if len(ring) > 0 && r.seen >= ring[0].Seq {
		from = int(r.seen - ring[0].Seq + 1)
	}
	fresh := append([]*Message(nil), ring[min(from, len(ring)):]...)
	b := Batch{}
	if r.begun && h.evicted > r.seen {
		b.Gone = h.evicted - r.seen
	}
	r.seen = h.seq
	h.mu.Unlock()

	took := 0
	for i := len(fresh) - 1; i >= 0; i-- {
		if !r.filter.takes(fresh[i]) {
			continue
		}
		if took++; took <= most {
			b.Messages = append(b.Messages, fresh[i])
		}
	}
	for i, j := 0, len(b.Messages)-1; i < j; i, j = i+1, j-1 {
		b.Messages[i], b.Messages[j] = b.Messages[j], b.Messages[i]
	}
	if left := took - len(b.Messages); r.begun {
		b.Passed = left
	} else {
		b.Before = left
	}
	dropped := h.dropped.Load()
	b.Dropped, r.dropped = dropped-r.dropped, dropped
	r.begun = true
	return b, nil
}

// Next waits until there is something to take, and takes it.
func (r *Reader) Next(ctx context.Context, most int) (Batch, error) {
	for {
		select {
		case <-ctx.Done():
			return Batch{}, ctx.Err()
		case <-r.news:
		}
		began := r.begun
		b, err := r.Take(most)
		if err != nil || !began || len(b.Messages) > 0 || b.Gone > 0 || b.Dropped > 0 {
			return b, err
		}
	}
}
