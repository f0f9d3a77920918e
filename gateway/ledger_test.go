package gateway

import (
	"context"
	"errors"
	"testing"

	"github.com/tillwire/tillwire/journal"
	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/report"
)

// A doubtful store keeps what it is given, or not, and says that nobody knows.
type doubtful struct {
	journal.Store
	keeps, unsure, blind bool
}

func (d *doubtful) Append(ctx context.Context, a journal.Append) error {
	if d.keeps {
		if err := d.Store.Append(ctx, a); err != nil {
			return err
		}
	}
	if d.unsure {
		return journal.ErrUncertain
	}
	return nil
}

func (d *doubtful) Head(ctx context.Context, s journal.Stream) (journal.Head, error) {
	if d.blind {
		return journal.Head{}, errors.New("it cannot be read")
	}
	return d.Store.Head(ctx, s)
}

// TestLedgerMistakesNoAppendForAnother: an append of which nobody knew was kept.
// One more that has as many records and is not kept must not pass for it, not
// even when the conflict was seen and nothing was done about it.
func TestLedgerMistakesNoAppendForAnother(t *testing.T) {
	d := &doubtful{Store: memory.New(), keeps: true}
	l := ledger{store: d, stream: "r"}
	asked := report.Dispatched{ID: "r", Site: "s", TID: "1", Type: report.XBalance}
	run, err := report.Replay(asked)
	if err != nil {
		t.Fatal(err)
	}
	commit := func(e report.Event) error {
		return l.commit(t.Context(), journal.ReportHead(run), journal.EncodeReport(e, asked.At))
	}
	if err := commit(asked); err != nil {
		t.Fatal(err)
	}
	d.unsure, d.blind = true, true
	if err := commit(report.Interrupted{}); !errors.Is(err, journal.ErrUncertain) {
		t.Fatalf("got %v", err)
	}
	d.blind = false
	if err := commit(report.Interrupted{}); !errors.Is(err, journal.ErrConflict) {
		t.Fatalf("got %v", err)
	}
	d.keeps = false
	if err := commit(report.NotMade{Reason: "x"}); !errors.Is(err, journal.ErrConflict) {
		t.Errorf("an append that was not kept was taken for one that was: %v", err)
	}
}
