package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// raw connects a till to a stream as it was put, replays and all.
func (s *shop) raw(stream, since string, ext ...string) *till {
	s.t.Helper()
	c, open := s.knocks(stream, since, ext...)
	if err := open(); err != nil {
		s.t.Fatal(err)
	}
	synctest.Wait()
	return c
}

// knocks has a till admitted, whose connection is opened later.
func (s *shop) knocks(stream, since string, ext ...string) (c *till, open func() error) {
	s.t.Helper()
	q := pacQuery(demoKey, "v1")
	q.Set("extensions", strings.Join(append([]string{"keys", "status", "resume"}, ext...), ","))
	q.Set("stream", stream)
	if since != "" {
		q.Set("since", since)
	}
	ticket, err := s.g.Admit(gateway.Knock{Face: "pac", Query: q})
	if err != nil {
		s.t.Fatal(err)
	}
	c = &till{name: stream, face: "pac", version: "v1", methods: map[int]string{}}
	return c, func() error {
		var err error
		c.sess, err = ticket.Open(c)
		return err
	}
}

// hears compares what came, in words behind their numbers.
func (s *shop) hears(c *till, want ...string) {
	s.t.Helper()
	synctest.Wait()
	got := []string{}
	for _, m := range c.take() {
		got = append(got, numberedWord(s.t, m))
	}
	if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
		s.t.Errorf("%s was told (- want, + got):\n%s", c.name, diff)
	}
}

func numberedWord(t *testing.T, m string) string {
	t.Helper()
	found := seqMember.FindStringSubmatch(m)
	if found == nil {
		t.Errorf("%s has no number", m)
		return m
	}
	return found[1] + " " + word(m)
}

const asksSignature = "signatureVerificationRequest"

// signs has the terminal want a signature.
func (s *shop) wantsSignature() {
	s.t.Helper()
	s.pdq.say(terminal.SignatureWanted{ID: s.pdq.id(), Wish: txn.SignatureWish{Type: txn.Sale}})
}

func (s *shop) ends(r txn.Result) {
	s.t.Helper()
	s.pdq.say(terminal.Ended{ID: s.pdq.id(), Outcome: outcome(r)})
}

// TestStream: a sale goes on over a line that breaks twice; ids, numbers and what
// was missed belong to the stream.
func TestStream(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		a := s.raw("x", "")
		a.sale(7)
		s.hears(a, "1 "+started)
		a.sess.Ended(nil)
		s.pdq.say(terminal.Notified{ID: s.pdq.id(), Value: "PRESENT_CARD"})
		b := s.raw("x", "1")
		s.hears(b, "2 PRESENT_CARD")
		b.sale(7) // as it was
		s.hears(b, "3 - error -32600")
		b.cancels(7)
		s.hears(b, "4 7 map[cancelling:true]", "5 ATTEMPTING_CANCEL")
		s.wantsSignature()
		b.sess.Ended(nil)
		c := s.raw("x", "5")
		s.hears(c, "6 UNABLE_TO_CANCEL", "7 SIGNATURE_VERIFICATION", "8 1 "+asksSignature, "9 SIGNATURE_VERIFICATION_IN_PROGRESS")
		c.sess.Ended(nil)
		d := s.raw("x", "9")
		s.hears(d)
		a.signs(1, false) // from a line that is no more
		d.signs(7, false) // its own id only
		s.hears(d, "10 - error -32075")
		d.signs(1, true)
		s.terminalHeard(s.pdq, "answer true", 1)
		s.terminalHeard(s.pdq, "answer false", 0)
		s.hears(d, "11 SIGNATURE_VERIFICATION_PROCESS_COMPLETED")
		d.sess.Ended(nil)
		s.ends(txn.Successful)
		e := s.raw("x", "11")
		s.hears(e, "12 "+finished, "13 7 SUCCESSFUL")
		e.sale(7) // free again
		s.hears(e, "14 "+started)
		s.terminalHeard(s.pdq, "start", 2)

		// The same once more for who asks, but for the question: it was answered.
		again := s.raw("x", "5")
		s.hears(again, "6 UNABLE_TO_CANCEL", "7 SIGNATURE_VERIFICATION", "9 SIGNATURE_VERIFICATION_IN_PROGRESS", "10 - error -32075",
			"11 SIGNATURE_VERIFICATION_PROCESS_COMPLETED", "12 "+finished, "13 7 SUCCESSFUL", "14 "+started)
		if e.shut != "1008 a newer connection of this stream took over" {
			s.t.Errorf("the older connection: %q", e.shut)
		}
		e.sess.Ended(nil) // late, and of no account
		if !again.sess.Busy() {
			s.t.Error("a sale of the stream runs, and its connection is not busy")
		}
		s.ends(txn.Declined)
		s.hears(again, "15 "+finished, "16 7 DECLINED")
		if again.sess.Busy() {
			s.t.Error("busy with nothing")
		}
	})
}

// TestStreamWithoutSince: the stream goes on; only an open question comes again.
func TestStreamWithoutSince(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		a := s.raw("x", "")
		a.sale(1)
		s.wantsSignature()
		s.hears(a, "1 "+started, "2 SIGNATURE_VERIFICATION", "3 1 "+asksSignature, "4 SIGNATURE_VERIFICATION_IN_PROGRESS")
		a.sess.Ended(nil)
		b := s.raw("x", "")
		s.hears(b, "3 1 "+asksSignature)
		sleep(80 * time.Second) // silence accepts
		s.hears(b, "5 SIGNATURE_VERIFICATION_TIMEOUT", "6 SIGNATURE_VERIFICATION_PROCESS_COMPLETED")
		b.sess.Ended(nil)
		s.ends(txn.Successful)
		c := s.raw("x", "")
		s.hears(c)
		c.sale(1)
		s.hears(c, "9 "+started)
	})
}

// TestStreamGaps: whoever asks for what is not kept is told the first that is,
// in place of what is lost, and the stream goes on.
func TestStreamGaps(t *testing.T) {
	gap := func(s *shop, c *till, first int64) {
		s.t.Helper()
		got := c.take()
		if len(got) == 0 {
			s.t.Fatal("told nothing")
		}
		faults, err := s.check.Check("extensions/resume/v1", "StCN_streamGap.json", []byte(got[0]))
		if err != nil || len(faults) > 0 {
			s.t.Errorf("%s: %v, %v", got[0], faults, err)
		}
		if !strings.Contains(got[0], fmt.Sprintf(`"firstKept":%d}`, first)) || !strings.HasSuffix(got[0], fmt.Sprintf(`,"seq":%d}`, first-1)) {
			s.t.Errorf("told %s, want that the first is %d", got[0], first)
		}
		c.mu.Lock()
		c.got = append(got[1:], c.got...)
		c.mu.Unlock()
	}
	ask := func(c *till, n int) {
		for range n {
			c.asks(1, "terminalDetails", "")
		}
	}
	t.Run("restart", func(t *testing.T) {
		inShop(t, memory.New(), func(s *shop) {
			a := s.raw("x", "")
			a.keyedSale(1, "k")
			s.wantsSignature()
			s.hears(a, "1 "+started, "2 SIGNATURE_VERIFICATION", "3 1 "+asksSignature, "4 SIGNATURE_VERIFICATION_IN_PROGRESS")
			s.restart()
			b := s.raw("x", "4")
			gap(s, b, 6)
			s.hears(b)
			s.pdq.query = going
			b.keyedSale(1, "k") // joins what there is
			s.pdq.say(terminal.WentAway{}, terminal.CameBack{})
			s.wantsSignature()
			got := b.take()
			if len(got) < 2 || !strings.Contains(got[len(got)-2], `"id":5,"method":"`+asksSignature) {
				s.t.Errorf("told %q", got)
			}
			b.signs(1, false) // to the question of before the restart, whose number nobody else gets
			s.terminalHeard(s.pdq, "answer false", 0)
			if got = b.take(); len(got) == 0 || !strings.Contains(got[len(got)-1], "-32075") {
				s.t.Errorf("told %q", got)
			}
			b.signs(5, true)
			s.ends(txn.Successful)
			got = b.take()
			if len(got) == 0 || !strings.Contains(got[len(got)-1], `"id":1,"result"`) {
				s.t.Errorf("told %q", got)
			}
		})
	})
	t.Run("restart before anything was told", func(t *testing.T) {
		inShop(t, memory.New(), func(s *shop) {
			b := s.raw("x", "0")
			gap(s, b, 2)
			ask(b, 1)
			s.hears(b, "2 1 AVAILABLE")
		})
	})
	t.Run("more than there was", func(t *testing.T) {
		inShop(t, memory.New(), func(s *shop) {
			a := s.raw("x", "")
			a.sale(5)
			s.wantsSignature()
			b := s.raw("x", "1000")
			gap(s, b, 1002)
			s.hears(b, "1002 1 "+asksSignature) // the cashier must have it
			b.signs(1, true)
			s.terminalHeard(s.pdq, "answer true", 1)
			s.ends(txn.Successful)
			s.hears(b, "1003 SIGNATURE_VERIFICATION_PROCESS_COMPLETED", "1004 "+finished, "1005 5 SUCCESSFUL")
			ask(s.raw("x", "999999999999"), 1)
			c := s.raw("x", "999999999999")
			gap(s, c, 1_000_000_000_001)
		})
	})
	t.Run("10,000 messages", func(t *testing.T) {
		inShop(t, memory.New(), func(s *shop) {
			a := s.raw("x", "")
			for range 21 {
				ask(a, 500)
				sleep(time.Second)
			}
			a.take()
			b := s.raw("x", "499")
			gap(s, b, 501)
			got := b.take()
			if len(got) != 10_000 || numberedWord(s.t, got[9_999]) != "10500 1 AVAILABLE" {
				s.t.Errorf("%d messages, the last is %s", len(got), got[len(got)-1])
			}
			if c := s.raw("x", "500"); numberedWord(s.t, c.take()[0]) != "501 1 AVAILABLE" {
				s.t.Error("what is kept is not replayed")
			}
		})
	})
	t.Run("24 hours", func(t *testing.T) {
		inShop(t, memory.New(), func(s *shop) {
			a := s.raw("x", "")
			ask(a, 2)
			sleep(23 * time.Hour)
			ask(a, 1)
			sleep(time.Hour)
			b := s.raw("x", "1")
			gap(s, b, 3)
			s.hears(b, "3 1 AVAILABLE")
			sleep(23 * time.Hour)
			c := s.raw("x", "2")
			gap(s, c, 4)
			s.hears(c)
			s.hears(s.raw("x", "3"))
		})
	})
	t.Run("4 MiB", func(t *testing.T) {
		inShop(t, memory.New(), func(s *shop) {
			a := s.raw("x", "")
			long := strings.Repeat("y", 1000)
			for range 5 { // the error repeats a piece of what is not known, so that bytes are counted and not messages
				for range 1000 {
					a.says(`{"jsonrpc":"2.0","id":1,"method":"terminalDetails","params":{"tid":%q}}`, long)
				}
				sleep(2 * time.Second)
			}
			got := a.take()
			size := 0
			for _, m := range got {
				size += len(m)
			}
			if size < 5<<20 {
				s.t.Fatalf("%d messages of %d bytes in all", len(got), size)
			}
			b := s.raw("x", "0")
			kept := b.take()
			size = 0
			for _, m := range kept[1:] {
				size += len(m)
			}
			if !strings.Contains(kept[0], "firstKept") || size > 5<<20 || size < 3<<20 {
				s.t.Errorf("%d messages of %d bytes are kept; first came %s", len(kept), size, kept[0])
			}
		})
	})
}

// TestStreamReplayIsPaced: no more is sent to a till than it can be thought to
// read, until it has shown by a pong that it does.
func TestStreamReplayIsPaced(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		a := s.raw("x", "")
		long := strings.Repeat("y", 1000)
		for range 1000 {
			a.says(`{"jsonrpc":"2.0","id":1,"method":"terminalDetails","params":{"tid":%q}}`, long)
		}
		a.take()
		size := func(got []string) (n int) {
			for _, m := range got {
				n += len(m)
			}
			return n
		}
		if got := s.raw("x", "0").take(); len(got) != 1000 || !strings.HasPrefix(numberedWord(s.t, got[999]), "1000 ") {
			s.t.Errorf("%d messages", len(got))
		}
		mute, open := s.knocks("x", "0")
		mute.mute = true
		if err := open(); err != nil {
			s.t.Fatal(err)
		}
		sleep(time.Hour)
		if got := mute.take(); size(got) > 256<<10 || mute.shut != "" {
			s.t.Errorf("%d bytes without a pong; %s", size(got), mute.shut)
		}
		deaf, open := s.knocks("x", "0")
		deaf.pingErr = errors.New("too many pings")
		if err := open(); err != nil || deaf.shut == "" {
			s.t.Errorf("%v, shut %q", err, deaf.shut)
		}
		deaf.sess.Ended(nil)
		s.hears(s.raw("x", "999"), "1000 1 error -32070")
	})
}

// TestStreamsEnd: a stream without a connection is given up after a day, and a
// site has only so many.
func TestStreamsEnd(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		a := s.raw("x", "")
		a.sale(1)
		s.hears(a, "1 "+started)
		a.sess.Ended(nil)
		sleep(23 * time.Hour)
		b := s.raw("x", "1") // it lives
		if got := b.take(); len(got) != 2 {
			s.t.Errorf("told %q", got)
		}
		b.sess.Ended(nil)
		sleep(24*time.Hour + time.Second)
		c := s.raw("x", "3")
		if got := c.take(); len(got) != 1 || !strings.Contains(got[0], `"firstKept":5`) {
			s.t.Errorf("told %q", got)
		}
	})
	t.Run("many", func(t *testing.T) {
		inShop(t, memory.New(), func(s *shop) {
			_, late := s.knocks("late", "")
			for i := range 256 {
				s.raw(strconv.Itoa(i), "").sess.Ended(nil)
			}
			q := pacQuery(demoKey, "v1")
			q.Set("extensions", "resume")
			q.Set("stream", "one more")
			knock := gateway.Knock{Face: "pac", Query: q}
			refused := func(err error) bool {
				var r *gateway.Refusal
				return errors.As(err, &r) && r.Status == 429 && r.RetryAfter > 0 && strings.Contains(r.UserMessage, "256 streams")
			}
			if _, err := s.g.Admit(knock); !refused(err) {
				s.t.Errorf("one more: %v", err)
			}
			if err := late(); !refused(err) {
				s.t.Errorf("one that was admitted before: %v", err)
			}
			s.raw("7", "") // is there
			sleep(24*time.Hour + time.Second)
			if _, err := s.g.Admit(knock); err != nil {
				s.t.Errorf("a day later: %v", err)
			}
		})
	})
}

// TestStreamBegunAnew: a till that comes back as another one finds nothing of
// its stream, and is told.
func TestStreamBegunAnew(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		a := s.raw("x", "")
		a.sale(1)
		s.hears(a, "1 "+started)
		b := s.raw("x", "1", "errors")
		if got := b.take(); len(got) != 1 || !strings.Contains(got[0], `"rule":"minimum","docs":"/docs/errors#-32602","firstKept":3`) {
			s.t.Errorf("told %q", got)
		}
		if a.shut == "" {
			s.t.Error("the older connection is open")
		}
		s.ends(txn.Successful)
		s.hears(b)
		b.sale(1) // its ids are free
		s.hears(b, "3 "+started)
	})
}

// TestStreamOvertaken: a connection that was asked for before another one does
// not push that off because its handshake took longer.
func TestStreamOvertaken(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		_, slow := s.knocks("x", "")
		fast := s.raw("x", "")
		if err := slow(); err == nil || !strings.Contains(err.Error(), "newer") {
			s.t.Errorf("opened: %v", err)
		}
		_, other := s.knocks("x", "", "errors")
		again := s.raw("x", "")
		if err := other(); err == nil {
			s.t.Error("opened, and with other extensions")
		}
		again.asks(1, "terminalDetails", "")
		s.hears(again, "1 1 AVAILABLE")
		if fast.shut == "" {
			s.t.Error("two connections of one stream")
		}
	})
}

// TestStreamScope: streams are known within their site; any key of it opens them.
func TestStreamScope(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		_, second, err := gateway.AddKey(s.t.Context(), s.store, "demo", "second", "", nil)
		if err != nil {
			s.t.Fatal(err)
		}
		site(s.t, s.store, "other", "elsewhere")
		if err := s.g.Reload(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		open := func(key string) *till {
			q := pacQuery(key, "v1")
			for name, value := range (url.Values{"extensions": {"keys,status,resume"}, "stream": {"x"}}) {
				q[name] = value
			}
			ticket, err := s.g.Admit(gateway.Knock{Face: "pac", Query: q})
			if err != nil {
				s.t.Fatal(err)
			}
			c := &till{name: key, face: "pac", version: "v1", methods: map[int]string{}}
			if c.sess, err = ticket.Open(c); err != nil {
				s.t.Fatal(err)
			}
			return c
		}
		a := open("second")
		a.sale(1)
		s.hears(a, "1 "+started)
		if _, err := gateway.RevokeKey(s.t.Context(), s.store, second.ID); err != nil {
			s.t.Fatal(err)
		}
		if err := s.g.Reload(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		if a.shut != "1008 the key was revoked" {
			s.t.Errorf("shut: %q", a.shut)
		}
		a.sess.Ended(nil)
		stranger := open("elsewhere")
		s.ends(txn.Successful)
		s.hears(stranger)
		s.hears(s.raw("x", "1"), "2 "+finished, "3 1 SUCCESSFUL")
	})
}

// TestStreamCorrections: what comes late reaches a till that is away for a
// moment, once, and counts as delivered when it says that it has it.
func TestStreamCorrections(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		s.pdq.query = going
		a := s.raw("x", "", "late")
		a.sale(1)
		sleep(200 * time.Second)
		s.hears(a, "1 "+started, "2 "+finished, "3 1 TIMED_OUT")
		a.sess.Ended(nil)
		s.ends(txn.Successful)
		b, open := s.knocks("x", "3", "late")
		b.mute = true
		if err := open(); err != nil {
			s.t.Fatal(err)
		}
		s.hears(b, "4 - transactionCorrected")
		b.sess.Ended(nil)
		witness := s.connect("b", "v1", "ext=late")
		s.corrected(witness, "SUCCESSFUL") // nobody has said yet that it has it
		witness.sess.Ended(nil)
	})
	inShop(t, memory.New(), func(s *shop) {
		s.pdq.query = going
		a := s.raw("x", "", "late")
		a.sale(1)
		sleep(200 * time.Second)
		a.take()
		a.mute = true
		s.ends(txn.Successful)
		s.hears(a, "4 - transactionCorrected")
		a.sess.Ended(nil)
		b, open := s.knocks("x", "4", "late") // it has it, and says so
		b.mute = true
		if err := open(); err != nil {
			s.t.Fatal(err)
		}
		s.hears(b)
		s.gets(s.connect("b", "v1", "ext=late")) // so nobody else is told
	})
	inShop(t, memory.New(), func(s *shop) {
		s.pdq.query = going
		a := s.raw("x", "", "late")
		a.sale(1)
		sleep(200 * time.Second)
		a.take()
		a.mute = true
		s.ends(txn.Successful)
		a.sess.Ended(nil)
		s.hears(s.raw("x", "", "late"), "5 - transactionCorrected") // it does not say what it has
		s.gets(s.connect("b", "v1", "ext=late"))
	})
}

// TestStatusAtAnotherTerminal: a key that is in use says nothing about a terminal
// that it was not used at.
func TestStatusAtAnotherTerminal(t *testing.T) {
	inShop(t, memory.New(), func(s *shop) {
		a := s.keyed("a", "v1")
		a.keyedSale(1, "k")
		a.take()
		for where, want := range map[string]string{tid: "pending", otherTID: "notFound"} {
			a.says(`{"jsonrpc":"2.0","id":2,"method":"transactionStatus","params":{"tid":%q,"requestKey":"k"}}`, where)
			if got := a.take(); len(got) != 1 || !strings.Contains(got[0], `"state":"`+want+`"`) {
				s.t.Errorf("at %s: %q, want %s", where, got, want)
			}
		}
	})
}

// FuzzResumption: what stands in the query is a stream or is refused, and what is
// a stream has its messages numbered.
func FuzzResumption(f *testing.F) {
	for _, q := range []string{
		"", "stream=x", "stream=x&since=0", "stream=x&since=12", "stream=&since=", "since=1", "stream=a&stream=b", "stream=%00", "stream=%ff",
		"stream=x&since=999999999999", "stream=x&since=1000000000000", "stream=x&since=-1", "stream=x&since=+1", "stream=x&since=0x1", "stream=x&since=1_0",
		"stream=" + strings.Repeat("%C3%A4", 64), "stream=" + strings.Repeat("%C3%A4", 65),
	} {
		f.Add(q)
	}
	store := memory.New()
	ctx := context.Background()
	if err := gateway.AddSite(ctx, store, journal.Site{ID: "demo"}); err != nil {
		f.Fatal(err)
	}
	if _, _, err := gateway.AddKey(ctx, store, "demo", demoKey, "", nil); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, query string) {
		own, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		g, err := gateway.New(ctx, gateway.Config{Store: store})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		q := pacQuery(demoKey, "v1")
		q.Set("extensions", "resume")
		for _, name := range []string{"stream", "since"} {
			if values, ok := own[name]; ok {
				q[name] = values
			}
		}
		name, since := q.Get("stream"), q.Get("since")
		n := utf8.RuneCountInString(name)
		good := len(q["stream"]) == 1 && n >= 1 && n <= 64 && utf8.ValidString(name) &&
			!strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) &&
			(len(q["since"]) == 0 || len(q["since"]) == 1 && regexp.MustCompile(`^0*[0-9]{1,12}$`).MatchString(since))
		ticket, err := g.Admit(gateway.Knock{Face: "pac", Query: q})
		var refused *gateway.Refusal
		if errors.As(err, &refused) != !good || refused != nil && refused.Status != 400 && refused.Status != 422 {
			t.Fatalf("%q: good is %t, and it was answered with %v", query, good, err)
		}
		if !good {
			return
		}
		c := &till{name: "a", face: "pac", version: "v1", methods: map[int]string{}}
		if c.sess, err = ticket.Open(c); err != nil {
			t.Fatal(err)
		}
		c.sess.Receive([]byte(`{"jsonrpc":"2.0","id":1,"method":"connectedTerminals"}`))
		got := c.take()
		want := int64(1)
		if len(q["since"]) == 1 {
			had, _ := strconv.ParseInt(since, 10, 64)
			want = had + 2
		}
		if last := got[len(got)-1]; !strings.HasSuffix(last, fmt.Sprintf(`,"seq":%d}`, want)) {
			t.Errorf("%q: told %q, want number %d", query, got, want)
		}
	})
}
