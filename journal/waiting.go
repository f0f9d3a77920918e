package journal

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
)

// ReportResponse is the notice with a report that was started at the terminal
// (the contract, section 5.7); those of visits are in table.
const ReportResponse table.Notice = "reportResponse"

// A Waiting is a notice that a till is owed and does not have yet (the
// contract, sections 5.5 to 5.7).
type Waiting struct {
	Stream Stream
	Kind   StreamKind // VisitStream or ReportStream
	Site   txn.SiteID
	TID    txn.TID
	Table  table.TableID // empty for a report
	N      int           // its number in the stream, 1 for the first
	Notice table.Notice
	At     time.Time // since when the till is owed it, UTC
	Resent int       // how often an operator had it sent anew
}

// WaitingOf lists what the tills of a site, or of all when it is empty, are
// owed and do not have, oldest first: the notices for one table are in the
// order in which its till must get them. It replays the open visits and
// reports, so it costs what is open, whatever the history.
func WaitingOf(ctx context.Context, j Journal, site txn.SiteID) ([]Waiting, error) {
	heads, err := j.OpenStreams(ctx)
	if err != nil {
		return nil, err
	}
	var out []Waiting
	for _, h := range heads {
		if h.Kind != VisitStream && h.Kind != ReportStream || site != "" && h.Site != site {
			continue
		}
		records, err := j.Records(ctx, h.Stream)
		if err != nil {
			return nil, fmt.Errorf("journal: what waits in %s: %w", h.Stream, err)
		}
		found, err := waiting(h, records)
		if err != nil {
			return nil, fmt.Errorf("journal: what waits in %s: %w", h.Stream, err)
		}
		out = append(out, found...)
	}
	slices.SortStableFunc(out, func(a, b Waiting) int { return a.At.Compare(b.At) })
	return out, nil
}

func waiting(h Head, records []Record) ([]Waiting, error) {
	w := Waiting{Stream: h.Stream, Kind: h.Kind, Site: h.Site, TID: h.TID}
	if h.Kind == ReportStream {
		run, err := ReplayReport(records)
		if err != nil || !run.Owed() {
			return nil, err
		}
		w.N, w.Notice, w.At, w.Resent = 1, ReportResponse, run.At, run.Resent
		return []Waiting{w}, nil
	}
	v, err := ReplayTable(records)
	if err != nil {
		return nil, err
	}
	var out []Waiting
	w.Table = v.Table
	for _, e := range v.Outbox {
		if e.At.After(w.At) {
			w.At = e.At // else the clock went back; the order of a visit stands
		}
		if !e.Delivered {
			w.N, w.Notice, w.Resent = e.N, e.Notice, e.Resent
			out = append(out, w)
		}
	}
	return out, nil
}
