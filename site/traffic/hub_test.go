package traffic

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens a hub that keeps messages at once.
func open(t *testing.T, o Options) *Hub {
	t.Helper()
	o.Always = true
	h := New(o)
	t.Cleanup(h.Close)
	return h
}

// all waits until the hub has taken in n messages, and returns those that are
// kept.
func all(t *testing.T, h *Hub, n uint64) []*Message {
	t.Helper()
	r := h.Read(Filter{})
	defer r.Leave()
	for {
		if kept := h.kept(); len(kept) > 0 && kept[len(kept)-1].Seq >= n {
			return kept
		}
		<-r.News()
	}
}

var till = Connection{Number: 1, Site: "demo", Face: FacePAC, Version: "v1"}

// TestFlood: whatever comes in whatever amount, what is kept and what waits stay
// in their bounds, nobody who tells waits, each connection's messages stay in
// their order, and each that is not kept is counted.
func TestFlood(t *testing.T) {
	const (
		tills    = 8
		each     = 3000
		messages = 500
		size     = 64 << 10
		queue    = 64
	)
	h := open(t, Options{Messages: messages, Bytes: size, Queue: queue, QueueBytes: size, MaxText: 4 << 10})
	r := h.Read(Filter{})
	defer r.Leave()
	if _, err := r.Take(1); err != nil { // what comes from now on is accounted for
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range tills {
		wg.Go(func() {
			chance := rand.New(rand.NewPCG(1, uint64(i)))
			l := h.Opened(Connection{Number: uint64(i + 1), Site: "demo", Face: FacePAC, Version: "v1"})
			for n := range each {
				text := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"sale","params":{"note":"%d %s"}}`, n, n, strings.Repeat("x", chance.IntN(6<<10)))
				l.Message(n%2 == 0, []byte(text))
				h.queueMu.Lock()
				w, q := h.waiting, len(h.queue)
				h.queueMu.Unlock()
				if w > size || q > queue {
					t.Errorf("%d messages of %d bytes wait", q, w)
				}
			}
			l.Closed(1000, true, "")
		})
	}
	var seen, gone, dropped, passed uint64
	last := map[uint64]int{}
	watched := make(chan struct{})
	stop := make(chan struct{})
	look := func() {
		b, err := r.Take(50)
		if err != nil {
			t.Error(err)
		}
		seen += uint64(len(b.Messages))
		passed += uint64(b.Passed + b.Before)
		gone += b.Gone
		dropped += b.Dropped
		for _, m := range b.Messages {
			if m.Kind != Request || m.Cut {
				continue
			}
			if before, ok := last[m.Line.Number]; ok && m.ID <= before {
				t.Errorf("connection %d: %d came after %d", m.Line.Number, m.ID, before)
			}
			last[m.Line.Number] = m.ID
		}
		kept := h.kept()
		total := 0
		for i, m := range kept {
			total += m.cost()
			if i > 0 && m.Seq != kept[i-1].Seq+1 {
				t.Errorf("%d stands behind %d", m.Seq, kept[i-1].Seq)
			}
		}
		if len(kept) > messages || total > size {
			t.Errorf("%d messages of %d bytes are kept", len(kept), total)
		}
	}
	go func() {
		defer close(watched)
		for {
			select {
			case <-r.News():
				look()
			case <-stop:
				return
			}
		}
	}()
	wg.Wait()
	close(stop)
	<-watched
	marker := h.Opened(Connection{Number: 99, Site: "demo", Face: FacePAC, Version: "v1"})
	for h.Select(Filter{Conn: 99}) == nil { // the last one is in
		<-r.News()
	}
	look()
	told := uint64(tills*(each+2)) + 1
	if seen+passed+gone+dropped != told {
		t.Errorf("%d seen, %d passed over, %d pushed out and %d dropped are not the %d told", seen, passed, gone, dropped, told)
	}
	if marker.Missed() || h.Dropped() != dropped {
		t.Errorf("%d were dropped, the reader knows of %d", h.Dropped(), dropped)
	}
}

// TestReaderInTurns: what a reader takes is what came since, the newest of it.
func TestReaderInTurns(t *testing.T) {
	h := open(t, Options{Messages: 10})
	l := h.Opened(till)
	other := h.Opened(Connection{Number: 2, Site: "other", Face: FacePAC, Version: "v1"})
	tell := func(n int) {
		t.Helper()
		for range n {
			l.Message(false, []byte(`{"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":"T1"}}`))
		}
	}
	other.Message(false, []byte(`{}`))
	tell(3)
	all(t, h, 6)
	r := h.Read(Filter{Site: "demo", Method: "sale"})
	defer r.Leave()
	take := func(want Batch, n int) {
		t.Helper()
		b, err := r.Take(2)
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Messages) != n {
			t.Errorf("took %d messages, want %d", len(b.Messages), n)
		}
		b.Messages = nil
		if diff := cmp.Diff(want, b, cmp.AllowUnexported(Message{})); diff != "" {
			t.Errorf("batch (- want):\n%s", diff)
		}
	}
	take(Batch{Before: 1}, 2)
	take(Batch{}, 0)
	tell(5)
	all(t, h, 11)
	take(Batch{Passed: 3}, 2)
	tell(25)
	all(t, h, 36)
	take(Batch{Passed: 8, Gone: 15}, 2)
	if got := len(h.Of(1)); got != 10 {
		t.Errorf("%d messages of the connection are kept", got)
	}
	if h.Message(1) != nil || h.Message(36) == nil || h.Message(37) != nil {
		t.Error("a message is found that is not kept, or the other way round")
	}
	h.Close()
	if _, err := r.Take(1); !errors.Is(err, ErrClosed) {
		t.Errorf("after the close: %v", err)
	}
	if _, err := r.Next(t.Context(), 1); !errors.Is(err, ErrClosed) {
		t.Errorf("after the close: %v", err)
	}
	l.Message(false, []byte("lost"))
	l.Closed(1000, true, "")
}

// TestKeptOnlyWhileSomebodyLooks: a gateway that is not for development keeps
// what tills say from when somebody looks until a while after.
func TestKeptOnlyWhileSomebodyLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{Linger: time.Minute})
		defer h.Close()
		l := h.Opened(till)
		say := func() {
			l.Message(true, []byte(`{"jsonrpc":"2.0","method":"terminalNotification","params":{"notificationValue":"PIN_ENTRY","tid":"T1"}}`))
			synctest.Wait()
		}
		say()
		if n := len(h.kept()); n != 0 || !l.Missed() {
			t.Errorf("%d messages are kept while nobody looks", n)
		}
		r := h.Read(Filter{})
		say()
		r.Leave()
		time.Sleep(30 * time.Second)
		say()
		r = h.Read(Filter{})
		time.Sleep(2 * time.Minute)
		say()
		if n := len(h.kept()); n != 3 {
			t.Errorf("%d messages are kept, want 3", n)
		}
		r.Leave()
		time.Sleep(2 * time.Minute)
		say()
		if n := len(h.kept()); n != 0 {
			t.Errorf("%d messages are kept long after the last one looked", n)
		}
		r = h.Read(Filter{})
		say()
		if b, err := r.Take(10); err != nil || len(b.Messages) != 1 || b.Gone != 0 {
			t.Errorf("a new look: %+v, %v", b, err)
		}
		r.Leave()
	})
}

// TestLines: who is connected, and who was.
func TestLines(t *testing.T) {
	h := open(t, Options{})
	a := h.Opened(till)
	h.Opened(Connection{Number: 2, Site: "other", Face: FacePAC})
	h.Opened(Connection{Number: 3, Site: "demo", Face: FacePAT, Version: "v1"})
	a.Message(false, []byte("{"))
	a.Closed(1008, false, "too slow")
	kept := all(t, h, 5)
	var got []string
	for _, l := range h.Lines("demo") {
		got = append(got, fmt.Sprintf("%d %d %v", l.Number, l.Heard(), l.Ending() != nil))
	}
	if diff := cmp.Diff([]string{"1 1 true", "3 0 false"}, got); diff != "" {
		t.Error(diff)
	}
	if e := kept[4].Ending; e == nil || e.Code != 1008 || e.Reason != "too slow" || kept[4].Kind != Closed {
		t.Errorf("the end is kept as %+v", kept[4])
	}
}

// TestNextWaits: nothing is taken before there is something.
func TestNextWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{Always: true})
		defer h.Close()
		l := h.Opened(till)
		r := h.Read(Filter{TID: "t1"})
		defer r.Leave()
		if b, err := r.Next(t.Context(), 5); err != nil || len(b.Messages) != 0 {
			t.Errorf("the first look: %+v %v", b, err)
		}
		go func() {
			time.Sleep(time.Second)
			l.Message(false, []byte(`{"jsonrpc":"2.0","id":1,"method":"sale","params":{"tid":"OTHER"}}`))
			time.Sleep(time.Second)
			l.Message(false, []byte(`{"jsonrpc":"2.0","id":2,"method":"sale","params":{"tid":"T1"}}`))
		}()
		began := time.Now()
		b, err := r.Next(t.Context(), 5)
		if err != nil || len(b.Messages) != 1 || b.Messages[0].ID != 2 || time.Since(began) < 2*time.Second {
			t.Errorf("after %v: %+v %v", time.Since(began), b, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.Next(ctx, 5); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("nothing came: %v", err)
		}
	})
}
