package gateway

import (
	"slices"
	"time"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/wire"
)

// An outbox holds the notices that a site's till is owed, in a queue for each
// table (and each terminal's reports): the next of a queue is sent when the one
// before it is delivered. All of it is in the journal; this is only the order
// of sending. It belongs to its switchboard's lock.
type outbox struct {
	queues map[string][]*notice
}

// A notice is one message that a till is owed until it is delivered.
type notice struct {
	queue   string
	stream  journal.Stream
	at      time.Time // when it came to be owed
	method  string
	message func() wire.Message
	// delivered is called once, under the switchboard's lock; it passes the word
	// on.
	delivered func()

	flying bool
}

const (
	// resendAfter is the pause before a notice that a till did not acknowledge is
	// sent again on the same connection.
	resendAfter = 30 * time.Second
	// followAgain is the pause before a ping that could not be sent is tried again.
	followAgain = time.Second
)

func newOutbox() outbox { return outbox{queues: map[string][]*notice{}} }

// owe puts a notice into its queue, behind those that came to be owed before
// it: after a restart visits to one table by several terminals are taken up in
// any order. Those of one stream stay in their order whatever the clock said.
func (b *switchboard) owe(n *notice) {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := b.box.queues[n.queue]
	i := len(q)
	for i > 0 && q[i-1].stream != n.stream && q[i-1].at.After(n.at) && !q[i-1].flying {
		i--
	}
	b.box.queues[n.queue] = slices.Insert(q, i, n)
	b.box.next(b, n.queue)
}

// begin sends the first of each queue on a new line.
func (o *outbox) begin(b *switchboard) {
	o.pause()
	for queue := range o.queues {
		o.next(b, queue)
	}
}

// pause forgets what is under way: nobody will confirm it any more.
func (o *outbox) pause() {
	for _, q := range o.queues {
		for _, n := range q {
			n.flying = false
		}
	}
}

// next sends the first notice of a queue, unless it is under way.
func (o *outbox) next(b *switchboard, queue string) {
	q := o.queues[queue]
	if len(q) == 0 {
		delete(o.queues, queue)
		return
	}
	n, l := q[0], b.live
	if n.flying || l == nil {
		return
	}
	n.flying = true
	if l.acks {
		o.request(b, l, n)
		return
	}
	l.sess.send(jsonrpc.AppendNotification(nil, n.method, wire.Encode(l.sess.version, n.message())))
	b.follow(l, n)
}

// follow sees without acknowledgements that a notice arrived: by the pong to a
// ping behind it. A connection takes only so many pings at a time.
func (b *switchboard) follow(l *line, n *notice) {
	err := l.sess.conn.Ping(func() { b.arrived(l, n) })
	if err == nil {
		return
	}
	b.g.log.Debug("a notice could not be followed by a ping yet", "remote", l.sess.conn.RemoteAddr(), "error", err)
	time.AfterFunc(followAgain, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.live == l && n.flying {
			b.follow(l, n)
		}
	})
}

// request sends a notice that wants an answer.
func (o *outbox) request(b *switchboard, l *line, n *notice) {
	again := func() {
		time.AfterFunc(resendAfter, func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.live == l {
				n.flying = false
				b.box.next(b, n.queue)
			}
		})
	}
	q := &question{
		method: n.method, once: true,
		params:   func(float64) wire.Message { return n.message() },
		deadline: time.Now().Add(resendAfter),
		take: taking(wire.DecodeRecorded, nil, func(recorded bool) {
			if recorded {
				o.done(b, n)
			} else {
				again()
			}
		}),
		none: func(noAnswer) {
			if b.live == l {
				again()
			}
		},
	}
	b.questions[q] = struct{}{}
	q.timer = time.AfterFunc(time.Until(q.deadline), func() { b.lapse(q) })
	b.put(q)
}

// arrived is the pong.
func (b *switchboard) arrived(l *line, n *notice) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.live == l && n.flying {
		b.box.done(b, n)
	}
}

// done takes a delivered notice out and sends the next of its queue.
func (o *outbox) done(b *switchboard, n *notice) {
	q := o.queues[n.queue]
	if len(q) == 0 || q[0] != n {
		return
	}
	o.queues[n.queue] = q[1:]
	n.delivered()
	b.g.metrics.delivered.WithLabelValues(n.method).Inc()
	o.next(b, n.queue)
}

// withdrawReports takes the reports out that wait, as delivered: tills come for
// them themselves.
func (b *switchboard) withdrawReports() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for queue, q := range b.box.queues {
		q = slices.DeleteFunc(q, func(n *notice) bool {
			if n.method == wire.MethodReportResponse {
				n.delivered()
			}
			return n.method == wire.MethodReportResponse
		})
		if b.box.queues[queue] = q; len(q) == 0 {
			delete(b.box.queues, queue)
		}
	}
}

// waiting counts the notices that wait.
func (b *switchboard) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, q := range b.box.queues {
		n += len(q)
	}
	return n
}
