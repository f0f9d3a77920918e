package rest_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/spec"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// A pipe is a ResponseWriter whose reader is there while the answer goes on, or is
// not.
type pipe struct {
	mu       sync.Mutex
	header   http.Header
	status   int
	buf      bytes.Buffer
	stuck    bool // nobody reads
	deadline time.Time
}

func (p *pipe) Header() http.Header { return p.header }

func (p *pipe) WriteHeader(status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = status
}

func (p *pipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stuck {
		left := time.Until(p.deadline)
		p.mu.Unlock()
		time.Sleep(left) // fake time
		p.mu.Lock()
		return 0, os.ErrDeadlineExceeded
	}
	return p.buf.Write(b)
}

func (p *pipe) Flush() {}

func (p *pipe) SetReadDeadline(time.Time) error { return nil }

func (p *pipe) SetWriteDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = t
	return nil
}

func (p *pipe) jam() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stuck = true
}

// text takes what has come since the last time.
func (p *pipe) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.buf.Reset()
	return p.buf.String()
}

// A follower is a till with a stream open.
type follower struct {
	w    *world
	pipe *pipe
	end  context.CancelFunc
	done <-chan struct{}
}

// follows opens a stream.
func (w *world) follows(a ask) *follower {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	f := &follower{w: w, pipe: &pipe{header: http.Header{}}, end: cancel}
	done, close := signal()
	f.done = done
	go func() {
		defer close()
		w.face.ServeHTTP(f.pipe, a.request().WithContext(ctx))
	}()
	w.t.Cleanup(func() {
		cancel()
		<-done
	})
	synctest.Wait()
	return f
}

func (f *follower) over() bool {
	synctest.Wait()
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// An event as it came.
type event struct {
	id   int
	name string
	data string
}

// events reads what has come since the last time. Comments and the pause before
// coming back are events without a name.
func (f *follower) events() (list []event) {
	f.w.t.Helper()
	synctest.Wait()
	for _, block := range strings.Split(f.pipe.text(), "\n\n") {
		if block == "" {
			continue
		}
		var e event
		for _, line := range strings.Split(block, "\n") {
			name, value, _ := strings.Cut(line, ": ")
			switch name {
			case "id":
				n, err := strconv.Atoi(value)
				if err != nil {
					f.w.t.Errorf("an event without a number: %q", block)
				}
				e.id = n
			case "event":
				e.name = value
			case "data":
				e.data = value
			default:
				e.data = line
			}
		}
		list = append(list, e)
	}
	return list
}

// words are events in short.
func words(list []event) (out []string) {
	for _, e := range list {
		var data struct {
			Notification      string `json:"notification"`
			TransactionResult string `json:"transactionResult"`
			LateResult        struct {
				TransactionResult string `json:"transactionResult"`
			} `json:"lateResult"`
			Deadline string `json:"deadline"`
		}
		switch {
		case e.name == "":
			out = append(out, e.data)
			continue
		case json.Unmarshal([]byte(e.data), &data) != nil:
			out = append(out, "not JSON: "+e.data)
			continue
		}
		out = append(out, fmt.Sprintf("%d %s %s", e.id, e.name, data.Notification+data.TransactionResult+data.LateResult.TransactionResult+data.Deadline))
	}
	return out
}

func (f *follower) sees(want ...string) {
	f.w.t.Helper()
	if diff := cmp.Diff(want, words(f.events())); diff != "" {
		f.w.t.Errorf("the stream (- want, + got):\n%s", diff)
	}
}

const retry = "retry: 1000"

// TestStream follows a sale with a signature, in each version, leaves it, comes
// back, and looks at it again after a restart.
func TestStream(t *testing.T) {
	inWorld(t, func(w *world) {
		at := w.begins(aSale())
		f := w.follows(ask{path: at + "/events"})
		if f.pipe.status != http.StatusOK || f.pipe.header.Get("Content-Type") != "text/event-stream" || f.pipe.header.Get("Cache-Control") != "no-store" || f.pipe.header.Get("Content-Length") != "" {
			t.Errorf("%d %v", f.pipe.status, f.pipe.header)
		}
		pass(time.Second) // notes come to disk a moment later
		f.sees(retry, "1 notification TRANSACTION_STARTED")
		w.pdq.shows("PRESENT_CARD", "REPLACE_PAPER")
		f.sees() // before it is on disk it has no number
		pass(time.Second)
		f.sees("2 notification PRESENT_CARD", "3 notification REPLACE_PAPER")
		w.pdq.asksSignature()
		deadline := time.Now().Add(80 * time.Second).UTC().Format(time.RFC3339)
		pass(time.Second)
		f.sees("4 notification SIGNATURE_VERIFICATION", "5 signature "+deadline)
		f.end()
		w.signs(at, "v2", true).is(http.StatusAccepted)
		w.pdq.ends(outcome(txn.Successful))
		if !f.over() {
			t.Error("the stream of a till that went goes on")
		}
		rest := []string{
			"6 notification SIGNATURE_VERIFICATION_IN_PROGRESS", "7 notification SIGNATURE_VERIFICATION_PROCESS_COMPLETED",
			"8 notification TRANSACTION_FINISHED", "9 finished SUCCESSFUL",
		}
		for range 2 {
			for name, a := range map[string]ask{
				"header":        ask{path: at + "/events"}.with("Last-Event-ID", "5"),
				"query":         {path: at + "/events?after=5"},
				"header first":  ask{path: at + "/events?after=1"}.with("Last-Event-ID", "5"),
				"any JSON":      ask{path: at + "/events?after=5", version: none}.with("Software-House-Id", "a", "Installer-Id", "b"),
				"a stream only": ask{path: at + "/events?after=5", version: none}.with("Accept", "text/event-stream", "Software-House-Id", "a", "Installer-Id", "b"),
			} {
				f := w.follows(a)
				all := f.events()
				if diff := cmp.Diff(append([]string{retry}, rest...), words(all)); diff != "" || !f.over() {
					t.Errorf("%s: over %t; (- want, + got):\n%s", name, f.over(), diff)
				}
				if got, want := all[len(all)-1].data, w.polled(at).body; got != want {
					t.Errorf("%s: it finished with %s, polled is %s", name, got, want)
				}
			}
			// Older versions do not know all notifications; their numbers have no gaps either.
			old := w.follows(ask{path: at + "/events", version: "v1"}.with("Software-House-Id", "a", "Installer-Id", "b"))
			old.sees(retry, "1 notification TRANSACTION_STARTED", "2 notification PRESENT_CARD", "3 notification SIGNATURE_VERIFICATION",
				"4 signature "+deadline, "5 notification SIGNATURE_VERIFICATION_IN_PROGRESS", "6 notification SIGNATURE_VERIFICATION_PROCESS_COMPLETED",
				"7 notification TRANSACTION_FINISHED", "8 finished SUCCESSFUL")
			for _, after := range []string{"9", "10", "99999999999999999999"} { // nothing more comes
				w.do(ask{path: at + "/events?after=" + after}).is(http.StatusNoContent)
			}
			w.restart()
		}
	})
}

// TestStreamForms looks at the data of each kind of event.
func TestStreamForms(t *testing.T) {
	inWorld(t, func(w *world) {
		at := w.begins(aSale())
		begun := time.Now().UTC().Format(time.RFC3339)
		w.pdq.asksSignature()
		asked := time.Now().Add(80 * time.Second).UTC().Format(time.RFC3339)
		pass(time.Second)
		id := string(w.pdq.newest())
		got := w.follows(ask{path: at + "/events"}).events()
		want := []event{
			{data: retry},
			{1, "notification", `{"requestId":"` + id + `","notification":"TRANSACTION_STARTED","time":"` + begun + `"}`},
			{2, "notification", `{"requestId":"` + id + `","notification":"SIGNATURE_VERIFICATION","time":"` + begun + `"}`},
			{3, "signature", `{"authCode":"789DE0","applicationId":"A0000000031010","applicationLabel":"VISA DEBIT","cardholderVerificationMethod":"SIGNATURE",` +
				`"paymentMethod":"ICC_CHIP","primaryAccountNumber":"************1234","transactionType":"SALE","deadline":"` + asked + `"}`},
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(event{})); diff != "" {
			t.Errorf("the stream (- want, + got):\n%s", diff)
		}
	})
}

// TestStreamOfWhatIsLate: after TIMED_OUT the stream stays for a while.
func TestStreamOfWhatIsLate(t *testing.T) {
	inWorld(t, func(w *world) {
		at := w.begins(aSale())
		f := w.follows(ask{path: at + "/events"})
		gone := w.follows(ask{path: at + "/events"})
		pass(200 * time.Second)
		f.events()
		gone.events()
		pass(9 * time.Minute)
		if f.over() {
			t.Error("it closed early")
		}
		w.pdq.ends(outcome(txn.Successful))
		got := f.events()
		if last := words(got)[len(got)-1]; last != "4 late SUCCESSFUL" || !f.over() {
			t.Errorf("at last %q; over: %t", last, f.over())
		}
		if late := got[len(got)-1].data; !strings.Contains(late, `"requestId":"`+string(w.pdq.newest())+`","lateResult":{"amountBase":1250,`) || strings.Contains(late, "userMessage") {
			t.Errorf("late is %s", late)
		}
		again := w.follows(ask{path: at + "/events?after=3"})
		again.sees(retry, "4 late SUCCESSFUL")
		w.do(ask{path: at + "/events?after=4"}).is(http.StatusNoContent)
		body := w.polled(at).body
		if strings.Contains(body, "lateResult") || !strings.Contains(body, "TIMED_OUT") {
			t.Errorf("polled: %s", body)
		}
	})
}

// TestStreamWaitsForTheDisk: TIMED_OUT may be polled before it can be kept; the
// stream has what is kept alone.
func TestStreamWaitsForTheDisk(t *testing.T) {
	inWorld(t, func(w *world) {
		at := w.begins(aSale())
		pass(time.Second)
		f := w.follows(ask{path: at + "/events"})
		w.store.set(func(c *counted) { c.err = journal.ErrFull })
		w.pdq.shows("PRESENT_CARD")
		pass(210 * time.Second)
		if got := w.polled(at).object()["transactionResult"]; got != "TIMED_OUT" {
			t.Errorf("polled it is %v", got)
		}
		for _, word := range words(f.events()) {
			if word != retry && word != ": keep-alive" && word != "1 notification TRANSACTION_STARTED" {
				t.Errorf("with a full disk the stream says %s", word)
			}
		}
		w.store.set(func(c *counted) { c.err = nil })
		pass(time.Second)
		if diff := cmp.Diff([]string{"2 notification PRESENT_CARD", "3 notification TRANSACTION_FINISHED", "4 finished TIMED_OUT"}, words(numbered(f.events()))); diff != "" {
			t.Errorf("then (- want, + got):\n%s", diff)
		}
	})
}

// TestStreamEnds: nobody waits for ever for what is late.
func TestStreamEnds(t *testing.T) {
	inWorld(t, func(w *world) {
		at := w.begins(aSale())
		f := w.follows(ask{path: at + "/events"})
		pass(200*time.Second + 10*time.Minute - time.Second)
		if f.over() {
			t.Error("it closed early")
		}
		pass(2 * time.Second)
		if !f.over() {
			t.Error("it is open for ever")
		}
		again := w.follows(ask{path: at + "/events?after=3"})
		if again.over() {
			t.Error("something may still come, and nobody may wait for it")
		}
		w.do(ask{path: at + "/events", method: http.MethodHead}).is(http.StatusOK)
	})
}

// TestStreamIsKept: signs of life, an end beyond the last number, a stop.
func TestStreamIsKept(t *testing.T) {
	inWorld(t, func(w *world) {
		at := w.begins(aSale())
		pass(time.Second)
		f := w.follows(ask{path: at + "/events?after=3"})
		f.sees(retry)
		pass(31 * time.Second)
		f.sees(": keep-alive", ": keep-alive")
		w.pdq.shows("PRESENT_CARD", "PIN_ENTRY", "PLEASE_WAIT") // events 2, 3 and 4
		pass(time.Second)
		f.sees("4 notification PLEASE_WAIT")
		w.h.Close()
		if !f.over() {
			t.Error("the stream outlives the face")
		}
		if again := w.follows(ask{path: at + "/events"}); !again.over() {
			t.Error("a stream began after the end")
		}
	})
}

// TestStreamsAreFew: a ninth stream closes the oldest, and who does not read is cut.
func TestStreamsAreFew(t *testing.T) {
	inWorld(t, func(w *world) {
		at := w.begins(aSale())
		pass(time.Second)
		var list []*follower
		for range 9 {
			list = append(list, w.follows(ask{path: at + "/events"}))
		}
		for i, f := range list {
			if f.over() != (i == 0) {
				t.Errorf("the stream number %d is over: %t", i+1, f.over())
			}
		}
		w.do(ask{path: at + "/events", method: http.MethodHead}).is(http.StatusOK)
		list[8].end()
		if !list[8].over() {
			t.Error("a stream that was ended goes on")
		}
		tenth := w.follows(ask{path: at + "/events"})
		if list[1].over() {
			t.Error("one was closed although there was room")
		}
		tenth.events()
		tenth.pipe.jam()
		w.pdq.shows("PRESENT_CARD")
		pass(9 * time.Second)
		if tenth.over() {
			t.Error("a slow reader has more time than that")
		}
		pass(2 * time.Second)
		if !tenth.over() {
			t.Error("who does not read is waited for")
		}
		if list[1].over() {
			t.Error("who reads was cut with who does not")
		}
		list[1].sees(retry, "1 notification TRANSACTION_STARTED", "2 notification PRESENT_CARD")
	})
}

// TestStreamRefuses: what a stream wants.
func TestStreamRefuses(t *testing.T) {
	inWorld(t, func(w *world) {
		at := w.begins(aSale()) + "/events"
		for _, id := range []string{"x", "-1", "+1", "1.0", "0x1", "1 2", "१"} {
			w.refuses(ask{path: at}.with("Last-Event-ID", id), spec.RESTBadEventID)
		}
		w.refuses(ask{path: at + "?after=x"}, spec.RESTBadEventID)
		w.refuses(ask{path: at, without: []string{"Installer-Id"}}, spec.RESTNoPartnerHeaders)
		w.do(ask{path: at, version: none}).says(textOf(spec.RESTNoPartnerHeaders, "v2"))
		if f := w.follows(ask{path: at, version: "v1"}); f.pipe.status != http.StatusOK {
			t.Errorf("in v1: %d", f.pipe.status)
		}
		if got := w.refuses(ask{path: at, method: http.MethodPost}, spec.RESTMethodNotAllowed).header.Get("Allow"); got != "GET, HEAD, OPTIONS" {
			t.Errorf("Allow %q", got)
		}
		report := w.begins(ask{method: http.MethodPost, path: of(nextTID) + "/reports", body: `{"reportType":"X_BALANCE"}`})
		w.refuses(ask{path: strings.Replace(report, "/reports/", "/transactions/", 1) + "/events"}, spec.RESTUnknownRequest)
		w.do(ask{path: report + "/events"}).says(textOf(spec.RESTUnknownPath, "v2"))
		w.refuses(ask{path: of(tid) + "/transactions/none/events"}, spec.RESTUnknownRequest)
	})
}

// TestStreamOfDuplicate: what repeats the last transaction has an end only.
func TestStreamOfDuplicate(t *testing.T) {
	inWorld(t, func(w *world) {
		w.begins(aSale())
		o := outcome(txn.Successful)
		w.pdq.last = func() (terminal.Last, error) { return terminal.Last{ID: w.pdq.newest(), Outcome: o}, nil }
		w.pdq.ends(o)
		at := w.begins(ask{method: http.MethodPost, path: of(tid) + "/transactions", body: `{"transactionType":"DUPLICATE"}`})
		w.follows(ask{path: at + "/events"}).sees(retry, "1 notification TRANSACTION_STARTED", "2 notification TRANSACTION_FINISHED", "3 finished SUCCESSFUL")
	})
}

// TestStreamInOldVersions: what is of our own making is there in each version.
func TestStreamInOldVersions(t *testing.T) {
	inWorld(t, func(w *world) {
		at := w.begins(aSale())
		for _, version := range []string{"v0", "v1"} {
			w.refuses(ask{path: at + "/events?after=x", version: version}, spec.RESTBadEventID)
		}
		w.pdq.ends(outcome(txn.Successful))
		for _, version := range []string{"v0", "v1", "v2"} {
			for _, path := range []string{at, strings.Replace(at, "pac", "retail", 1)} {
				all := w.follows(ask{path: path + "/events", version: version}).events()
				if got, want := all[len(all)-1].data, w.do(ask{path: path, version: version}).body; got != want {
					t.Errorf("in %s it finished with %s, polled is %s", version, got, want)
				}
			}
			w.do(ask{path: at + "/events?after=3", version: version}).is(http.StatusNoContent)
		}
	})
}
