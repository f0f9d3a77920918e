package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// A record keeps what is logged.
type record struct {
	mu   sync.Mutex
	text strings.Builder
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

// TestSecrets plants a key and card numbers wherever a terminal can say them,
// and looks for them in all that leaves the gateway.
func TestSecrets(t *testing.T) {
	const key = "tw_PLANTEDKEY7d1f"
	pans := []string{"4111111111111111", "5500005555555559", "6011000990139424", "340000000000009"}
	store, log := memory.New(), &record{}
	var out []string
	keep := func(tills ...*till) {
		for _, c := range tills {
			out = append(out, c.take()...)
		}
	}
	play := func(s *shop) {
		site(s.t, s.store, "vault", key)
		if err := s.g.Reload(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		pdq := newFake()
		if err := s.g.Plug("vault", tid, pdq.connect); err != nil {
			s.t.Fatal(err)
		}
		a := s.mustEnter(key, "a", "v1")
		if _, err := s.enter(key+"x", "b", "v1"); err == nil || strings.Contains(err.Error(), key) {
			s.t.Errorf("a wrong key: %v", err)
		}
		for i, pan := range pans {
			spaced := pan[:4] + " " + pan[4:8] + "-" + pan[8:12] + " " + pan[12:]
			lines := []receipt.Line{{Type: receipt.Text, Value: "CARD " + pan}, {Type: receipt.Text, Value: spaced + "."}}
			o := outcome(txn.Successful)
			o.PAN, o.Receipts = pan, receipt.Copies{Merchant: lines, Customer: lines}
			fail := fmt.Errorf("the reader says %s", pan)
			pdq.cancel = func(context.Context, txn.RequestID) error { return fail }
			pdq.query = func(context.Context, txn.RequestID) (terminal.Answer, error) { return terminal.Answer{}, fail }
			pdq.answer = func(context.Context, txn.RequestID, bool) error { return fail }
			pdq.last = func(context.Context) (terminal.Last, error) { return terminal.Last{Outcome: o}, nil }

			pdq.start = nil
			a.sale(1)
			a.cancels(2)
			pdq.say(terminal.SignatureWanted{ID: pdq.id(), Wish: txn.SignatureWish{PAN: spaced, Merchant: lines}})
			a.signs(i+1, true)
			a.asks(3, "duplicate", "")
			pdq.say(terminal.WentAway{}, terminal.CameBack{})
			o2 := o
			o2.Result = txn.Declined
			pdq.say(
				terminal.Ended{ID: pdq.id(), Outcome: o}, terminal.Ended{ID: pdq.id(), Outcome: o2},
				terminal.Ended{ID: txn.RequestID(fmt.Sprint("orphan", i)), Outcome: o},
				terminal.Reported{ID: txn.RequestID(fmt.Sprint("lost", i)), Report: report.Report{Type: report.Banking, Lines: lines}},
			)
			a.asks(4, "duplicate", "")
			a.asks(5, "reportBanking", "")
			pdq.say(terminal.Reported{ID: pdq.id(), Report: report.Report{Type: report.Banking, Result: report.Complete, Time: time.Now(), Lines: lines}})
			a.asks(6, "reportBanking", "")
			sleep(2 * time.Minute)
			pdq.say(terminal.Reported{ID: pdq.id(), Report: report.Report{Type: report.Banking, Result: report.Complete, Time: time.Now(), Lines: lines}})
			for _, err := range []error{fail, &terminal.RefusedError{Reason: pan, UserMessage: "No " + spaced}, errors.Join(terminal.ErrBusy, fail)} {
				pdq.start = func(context.Context, terminal.Request) error { return err }
				a.sale(7)
				sleep(5 * time.Minute)
			}
			keep(a)
		}
	}
	synctest.Test(t, func(t *testing.T) { play(newShop(t, store, log)) })

	for _, k := range []journal.StreamKind{journal.TransactionStream, journal.ReportStream, journal.OrphanStream} {
		heads, err := store.List(t.Context(), journal.Query{Kind: k, Limit: 1000})
		if err != nil || len(heads) < len(pans) {
			t.Fatalf("%s: %d streams, %v", k, len(heads), err)
		}
		for _, h := range heads {
			records, err := store.Records(t.Context(), h.Stream)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range records {
				out = append(out, r.Kind+" "+string(r.Body))
			}
		}
	}
	out = append(out, log.text.String())
	if len(log.text.String()) < 1000 {
		t.Errorf("hardly anything was logged: %s", log.text.String())
	}
	last4 := 0
	for _, text := range out {
		bare := strings.NewReplacer(" ", "", "-", "").Replace(text)
		for _, pan := range pans {
			if i := strings.Index(bare, pan); i >= 0 {
				t.Errorf("a card number: …%s…", bare[max(0, i-100):min(len(bare), i+50)])
			}
			if strings.Contains(text, pan[len(pan)-4:]) {
				last4++
			}
		}
		if strings.Contains(text, key) {
			t.Errorf("the key: %s", text)
		}
	}
	if last4 < 20 {
		t.Errorf("the last four digits are shown %d times only: what was planted did not come through", last4)
	}
	if h := gateway.HashKey(key); strings.Contains(strings.Join(out, ""), string(h[:])) {
		t.Error("the hash of the key")
	}
}
