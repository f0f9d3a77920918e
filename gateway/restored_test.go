package gateway_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/tillwire/tillwire/gateway"
	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/terminal"
	"github.com/tillwire/tillwire/txn"
)

// TestRestored: a gateway on a journal that came back from a backup asks each
// terminal for its last transaction, and keeps what it does not know.
func TestRestored(t *testing.T) {
	named := func(id txn.RequestID, r txn.Result) func(context.Context) (terminal.Last, error) {
		return func(context.Context) (terminal.Last, error) { return terminal.Last{ID: id, Outcome: outcome(r)}, nil }
	}
	for name, c := range map[string]struct {
		restored bool
		last     func(context.Context) (terminal.Last, error)
		orphans  int
		asked    int // after the link was lost once
	}{
		"one that is not known":    {true, named("newer", txn.Successful), 1, 1},
		"no restored journal":      {false, named("newer", txn.Successful), 0, 0},
		"of the machine's own":     {true, named("", txn.Successful), 0, 1},
		"none":                     {true, nil, 0, 1},
		"it fails, and once again": {true, func(context.Context) (terminal.Last, error) { return terminal.Last{}, errors.New("no") }, 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memory.New()
				site(t, store, "demo", demoKey)
				g, err := gateway.New(t.Context(), gateway.Config{Store: store, Restored: c.restored, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
				if err != nil {
					t.Fatal(err)
				}
				defer g.Close()
				if _, err := g.Recover(t.Context()); err != nil {
					t.Fatal(err)
				}
				pdq := newFake()
				pdq.last = c.last
				if err := g.Plug("demo", tid, pdq.connect); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				pdq.say(terminal.WentAway{}, terminal.CameBack{})
				heads, err := store.List(t.Context(), journal.Query{Kind: journal.OrphanStream})
				if err != nil || len(heads) != c.orphans {
					t.Errorf("orphans %+v, %v; want %d", heads, err, c.orphans)
				}
				if n := pdq.heard("last"); n != c.asked {
					t.Errorf("asked %d times, want %d", n, c.asked)
				}
				if n := pdq.heard("acknowledge"); n != 0 {
					t.Errorf("acknowledged %d times", n)
				}
			})
		})
	}
}
