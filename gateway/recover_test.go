package gateway_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/txn"
)

// TestRecoverTogether: what was left open is recorded as interrupted side by
// side, so that a start waits for a few commits and not for one each; and yet
// terminals are in the order in which theirs was accepted.
func TestRecoverTogether(t *testing.T) {
	const left, each = 100, time.Second
	for name, c := range map[string]struct {
		broken string // the stream whose append fails
	}{
		"all of it":    {},
		"one does not": {broken: "r37"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newFaulty()
				site(t, store, "demo", demoKey)
				begun := time.Now().UTC()
				var want []txn.TID
				for i := range left {
					id, tid := txn.RequestID(fmt.Sprintf("r%d", i)), txn.TID(fmt.Sprintf("t%d", (i*37)%left))
					accepted := txn.Accepted{ID: id, Site: "demo", TID: tid, Request: txn.Request{Type: txn.Sale, Currency: "GBP", Amount: 1250}, At: begun.Add(time.Duration(i))}
					dispatched := txn.Dispatched{At: accepted.At}
					open, err := txn.Replay(accepted, dispatched)
					if err != nil {
						t.Fatal(err)
					}
					if err := store.Append(t.Context(), journal.Append{Stream: id, Head: journal.TxnHead(open), Records: []journal.Record{
						journal.EncodeTxn(accepted, accepted.At), journal.EncodeTxn(dispatched, accepted.At),
					}}); err != nil {
						t.Fatal(err)
					}
					want = append(want, tid)
				}
				broken := errors.New("broken")
				store.mishap = func(_ int, a journal.Append) mishap {
					m := mishap{wait: each}
					if string(a.Stream) == c.broken {
						m.before = broken
					}
					return m
				}
				g, err := gateway.New(t.Context(), gateway.Config{Store: store})
				if err != nil {
					t.Fatal(err)
				}
				defer g.Close()
				begun = time.Now()
				n, err := g.Recover(t.Context())
				if took := time.Since(begun); took != each {
					t.Errorf("it took as long as %s, want that of one append, %s", took, each)
				}
				if c.broken != "" {
					if !errors.Is(err, broken) || !strings.Contains(err.Error(), c.broken) {
						t.Errorf("got %v, want an error that names %s", err, c.broken)
					}
					return
				}
				if err != nil || n != left {
					t.Errorf("recovered %d, %v, want %d", n, err, left)
				}
				var got []txn.TID
				for _, v := range g.Terminals("demo") {
					got = append(got, v.TID)
				}
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("terminals %v, want %v", got, want)
				}
				heads, err := store.OpenStreams(t.Context())
				if err != nil || len(heads) != left {
					t.Errorf("%d open, %v, want %d", len(heads), err, left)
				}
				for _, h := range heads {
					if h.State != string(txn.Unresolved) {
						t.Errorf("%s is %s", h.Stream, h.State)
					}
				}
			})
		})
	}
}
