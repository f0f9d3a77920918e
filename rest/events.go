package rest

import (
	"context"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/txn"
	"github.com/tillwire/tillwire/wire/rest"
)

const (
	// streamRetry is how long a till waits before it comes back to a stream.
	streamRetry = time.Second
	// streamWrite is how long a till may take to read what was written.
	streamWrite = 10 * time.Second
	// maxStreams bounds the streams of one transaction.
	maxStreams = 8
)

// events streams a transaction as it goes on (the contract of REST, section 10).
func (q *request) events() *refusal {
	after, bad := q.lastEvent()
	if bad != nil {
		return bad
	}
	v, bad := q.look(gateway.OfTransaction, gateway.OfDuplicate)
	if bad != nil {
		return bad
	}
	if all := q.eventsOf(v); int64(len(all)) <= after && v.Ended && !v.Waits {
		q.answer(http.StatusNoContent, nil)
		return nil
	}
	q.answered = true
	header := q.w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Type", "text/event-stream")
	header.Set("X-Accel-Buffering", "no") // a proxy in between passes on what comes
	q.w.WriteHeader(http.StatusOK)
	if q.r.Method == http.MethodHead {
		return nil
	}
	ctx, done := q.h.streams.open(q.r.Context(), v.ID)
	defer done()
	q.patient()
	q.follow(ctx, after)
	return nil
}

// lastEvent is the number of the event that the till has.
func (q *request) lastEvent() (int64, *refusal) {
	said := q.r.Header.Get("Last-Event-ID")
	if said == "" {
		said = q.r.URL.Query().Get("after")
	}
	if said == "" {
		return 0, nil
	}
	if strings.Trim(said, "0123456789") != "" {
		return 0, q.refusal(spec.RESTBadEventID)
	}
	n, err := strconv.ParseInt(said, 10, 64)
	if err != nil {
		n = math.MaxInt64 // no stream gets there
	}
	return n, nil
}

// follow writes events until there are no more, the till is gone, or a newer stream
// takes the place of this one.
func (q *request) follow(ctx context.Context, sent int64) {
	alive := time.NewTicker(q.h.cfg.KeepAlive)
	defer alive.Stop()
	var enough <-chan time.Time // once only what is late can come
	out := rest.AppendRetry(nil, streamRetry)
	for {
		v, changed, err := q.till.Look(ctx, txn.TID(q.args[0]), txn.RequestID(q.args[1]))
		if err != nil {
			return // it comes back, and hears why then
		}
		all := q.eventsOf(v)
		for ; sent < int64(len(all)); sent++ {
			out = all[sent].Append(out, q.version)
		}
		if len(out) > 0 && !q.write(out) {
			return
		}
		out = nil
		if v.Ended && (changed == nil || !v.Waits && v.Kept == len(v.Notices)) {
			return
		}
		if v.Ended && enough == nil {
			timer := time.NewTimer(q.h.cfg.LateWaits)
			defer timer.Stop()
			enough = timer.C
		}
		select {
		case <-changed:
		case <-alive.C:
			out = rest.AppendKeepAlive(out)
		case <-enough:
			return
		case <-ctx.Done():
			return
		}
	}
}

// write writes and flushes, within a time limit.
func (q *request) write(data []byte) bool {
	c := http.NewResponseController(q.w)
	_ = c.SetWriteDeadline(time.Now().Add(streamWrite)) // what has no such limit waits
	_, err := q.w.Write(data)
	return err == nil && c.Flush() == nil
}

// eventsOf are all events so far. They come from what is on disk alone, and only
// grow: the same transaction has the same events after a restart.
func (q *request) eventsOf(v gateway.View) []rest.Event {
	var all []rest.Event
	add := func(name string, data rest.Body) {
		all = append(all, rest.Event{ID: int64(len(all) + 1), Name: name, Data: data})
	}
	kept := v
	kept.Notices = v.Notices[:v.Kept]
	last := ""
	for _, n := range notices(kept) {
		value := string(n.Value)
		if value == last || !rest.Tells(q.version, value) {
			continue
		}
		last = value
		add(rest.EventNotification, rest.NotificationEvent{RequestID: string(v.ID), Notification: value, Time: n.At})
		if n.Value == txn.SignatureVerification && v.Wish != nil {
			add(rest.EventSignature, rest.SignatureEvent{Signature: signatureForm(v.Wish), Deadline: v.SignBy})
		}
	}
	if !v.Ended || v.Kept < len(v.Notices) {
		return all
	}
	add(rest.EventNotification, rest.NotificationEvent{RequestID: string(v.ID), Notification: string(txn.TransactionFinished), Time: v.EndedAt})
	add(rest.EventFinished, q.transactionForm(v))
	if v.Late != nil {
		add(rest.EventLate, rest.LateEvent{RequestID: string(v.ID), LateResult: q.resultForm(v, v.Late, false)})
	}
	return all
}

// Streams are the event streams that are open, by transaction, oldest first.
type streams struct {
	mu     sync.Mutex
	all    map[txn.RequestID][]*stream
	closed bool
}

type stream struct{ cancel context.CancelFunc }

// open counts a stream in. Its context ends when it has to.
func (s *streams) open(ctx context.Context, id txn.RequestID) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	mine := &stream{cancel}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[txn.RequestID][]*stream{}
	}
	list := append(s.all[id], mine)
	if len(list) > maxStreams {
		list[0].cancel()
		list = list[1:]
	}
	s.all[id] = list
	if s.closed {
		cancel()
	}
	return ctx, func() { s.leave(id, mine) }
}

func (s *streams) leave(id txn.RequestID, mine *stream) {
	mine.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[id] = slices.DeleteFunc(s.all[id], func(other *stream) bool { return other == mine })
	if len(s.all[id]) == 0 {
		delete(s.all, id)
	}
}

// close ends all streams, those to come included.
func (s *streams) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, list := range s.all {
		for _, one := range list {
			one.cancel()
		}
	}
}
