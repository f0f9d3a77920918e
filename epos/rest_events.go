package epos

import (
	"bufio"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tillwire/tillwire/wire/rest"
)

// A watcher follows one transaction: by its event stream where there is one that
// works, by looking at it where there is none, and in the gaps.
type watcher struct {
	c        *REST
	r        *running
	at       string
	patience *patience

	last    int64 // the number of the newest event
	place   int   // that the next notification of the stream has in their list
	started time.Time
	failed  int // streams in a row that brought nothing
}

// maxFailed is how many streams are tried in vain before the transaction is only
// looked at.
const maxFailed = 2

// next returns how the transaction stands, at its end at the latest.
func (w *watcher) next(ctx context.Context) (rest.Transaction, error) {
	if w.c.keys.Load() && !w.c.options.Plain && w.failed < maxFailed {
		t, err := w.stream(ctx)
		if err == nil {
			return t, nil
		}
		if ctx.Err() != nil {
			return t, context.Cause(ctx)
		}
	}
	return w.c.look(ctx, w.at)
}

const eventStream = "text/event-stream"

// errNoStream says that there is no event stream to read from.
var errNoStream = errors.New("there is no event stream")

// stream reads events until the transaction has ended. The error says nothing about
// the transaction.
func (w *watcher) stream(ctx context.Context) (rest.Transaction, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silent := time.AfterFunc(w.c.limits.request, cancel)
	defer silent.Stop()
	before := w.last
	w.failed++
	response, err := w.c.send(ctx, restRequest{method: http.MethodGet, url: w.at + "/events", version: w.c.version, events: true, after: w.last})
	if err != nil {
		return rest.Transaction{}, err
	}
	defer response.Body.Close()
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if response.StatusCode != http.StatusOK || kind != eventStream {
		return rest.Transaction{}, errNoStream
	}
	silent.Reset(w.c.limits.speak)
	events := newEventReader(&watched{response.Body, func() { silent.Reset(w.c.limits.silence) }})
	for {
		e, err := events.next()
		if err != nil {
			return rest.Transaction{}, err
		}
		if e.data == "" {
			w.patience.answered(false)
			continue
		}
		see(w.c.handler.Trace, &w.c.tracing, false, []byte(e.data))
		t, err := w.take(e)
		if err != nil || t.Result != nil {
			return t, err
		}
		if w.last > before {
			w.failed = 0
		}
		if err := w.patience.over(nil); err != nil {
			return rest.Transaction{}, err
		}
	}
}

// take takes one event. What it returns has a result when the transaction has
// ended.
func (w *watcher) take(e serverEvent) (rest.Transaction, error) {
	switch e.name {
	case rest.EventNotification, rest.EventSignature, rest.EventFinished, rest.EventLate:
	default: // one that this version of the library does not know
		if e.id == w.last+1 {
			w.last = e.id
		}
		return rest.Transaction{}, nil
	}
	if e.id != w.last+1 {
		return rest.Transaction{}, errors.New("an event is missing")
	}
	switch e.name {
	case rest.EventNotification:
		n, err := rest.ReadNotificationEvent([]byte(e.data))
		if err != nil {
			return rest.Transaction{}, err
		}
		w.patience.answered(w.c.hearOne(w.r, w.place, n.Notification))
		w.place++
		w.started = n.Time
	case rest.EventSignature:
		s, err := rest.ReadSignatureEvent([]byte(e.data))
		if err != nil {
			return rest.Transaction{}, err
		}
		within := s.Deadline.Sub(w.started) // by the gateway's clock alone
		if w.started.IsZero() || within <= 0 {
			within = signatureTime()
		}
		w.c.question(w.r, s.Signature, within)
	case rest.EventFinished:
		t, err := readLook([]byte(e.data))
		if err != nil || t.Result == nil {
			return rest.Transaction{}, errors.Join(err, errNoStream)
		}
		return t, nil
	}
	w.last = e.id
	return rest.Transaction{}, nil
}

// A watched reader tells when something was read.
type watched struct {
	io.Reader
	read func()
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if n > 0 {
		w.read()
	}
	return n, err
}

// A serverEvent is one event, or a sign of life, which has no data.
type serverEvent struct {
	id   int64
	name string
	data string
}

// An eventReader takes an event stream apart.
type eventReader struct{ lines *bufio.Scanner }

// maxEvent bounds a line of a stream.
const maxEvent = 1 << 20

func newEventReader(r io.Reader) *eventReader {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxEvent)
	return &eventReader{lines}
}

// next returns the next event that is there whole. A comment, and what sets the
// pause before coming back, count as signs of life.
func (r *eventReader) next() (serverEvent, error) {
	var e serverEvent
	var data []string
	size := 0
	for r.lines.Scan() {
		line := r.lines.Text()
		if line == "" {
			e.data = strings.Join(data, "\n")
			return e, nil
		}
		if size += len(line); size > maxEvent {
			return serverEvent{}, bufio.ErrTooLong
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return serverEvent{}, errors.New("the number of an event cannot be read")
			}
			e.id = n
		case "event":
			e.name = value
		case "data":
			data = append(data, value)
		}
	}
	if err := r.lines.Err(); err != nil {
		return serverEvent{}, err
	}
	return serverEvent{}, io.ErrUnexpectedEOF
}
