package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tillwire/tillwire/journal"
)

// Pruning takes the data of entries away and leaves their place in the chain: a
// stub with the digest that the chain covers. So every hash can still be checked
// from the first to the last. Which entries were pruned stands in an entry of
// its own, written in the same transaction: a stub that no such entry names was
// made by somebody else.

// pruneEntry is the kind of the entries that say what was pruned. They are no
// part of a stream and are never pruned themselves.
const pruneEntry journal.StreamKind = "pruned"

const (
	pruneRecord       = "journal.pruned"
	stubEntryQuery    = `UPDATE entries SET data=? WHERE id=?`
	removeHeadQuery   = `DELETE FROM heads WHERE id=? AND open=0 AND records=?`
	maxPrune          = 1024 // streams in one transaction
	pagesPerPrunedRow = 2
)

// prunedForm is the body of what was pruned.
type prunedForm struct {
	Why     string `json:"why"`
	Streams int    `json:"streams"`
	Entries string `json:"entries"` // their ids, as in "4-9,12"
}

// Prune implements journal.Journal. What was altered is not pruned: it returns a
// *journal.TamperedError then.
func (s *Store) Prune(ctx context.Context, heads []journal.Head, why string) (gone []journal.Head, err error) {
	if len(heads) > maxPrune {
		return nil, fmt.Errorf("journal: %d streams are too many to be pruned at once; %d at most", len(heads), maxPrune)
	}
	if err := s.ready(); err != nil {
		return nil, err
	}
	if len(heads) == 0 {
		return nil, ctx.Err()
	}
	r := &request{done: make(chan error, 1)}
	r.do = func(w *writer) error {
		gone = nil // the writer may try again
		p, err := newPruner(w)
		if err != nil {
			return err
		}
		defer p.close()
		for _, h := range heads {
			was, err := p.stream(h)
			if err != nil {
				return err
			}
			if was != nil {
				gone = append(gone, *was)
			}
		}
		if len(gone) == 0 {
			return nil
		}
		return p.record(why, len(gone))
	}
	if err := s.submit(ctx, r); err != nil {
		return nil, err
	}
	return gone, nil
}

// A pruner works in one transaction of the writer.
type pruner struct {
	w                  *writer
	read, stub, unlist *stmt
	ids                []int64
}

func newPruner(w *writer) (*pruner, error) {
	p := &pruner{w: w}
	for query, to := range map[string]**stmt{entryQuery: &p.read, stubEntryQuery: &p.stub, removeHeadQuery: &p.unlist} {
		var err error
		if *to, err = w.c.prepare(query); err != nil {
			p.close()
			return nil, err
		}
	}
	return p, nil
}

func (p *pruner) close() {
	for _, s := range []*stmt{p.read, p.stub, p.unlist} {
		if s != nil {
			s.close()
		}
	}
}

// stream prunes one stream, unless it is not as h says any more. It returns its
// head if it did.
func (p *pruner) stream(h journal.Head) (*journal.Head, error) {
	known, err := p.w.row(h.Stream, h.Records)
	if err != nil || known == nil || known.head.Open || known.head.Records != h.Records {
		return nil, err
	}
	n, err := p.unlist.exec(known.id, int64(h.Records))
	if err != nil || n != 1 {
		return nil, err
	}
	for id := known.last; id != 0; {
		var l loaded
		found, err := p.read.row(func(v []driver.Value) {
			l.prev, _ = v[0].(int64)
			l.hash, _ = v[1].([]byte)
			l.data, _ = v[2].([]byte)
			l.before, _ = v[3].([]byte)
		}, id)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, &journal.TamperedError{What: fmt.Sprintf("entry %d is missing", id)}
		}
		e, err := l.check(id, p.w.s.genesis)
		if err != nil {
			return nil, err
		}
		if e.stream != h.Stream || l.prev >= id {
			return nil, &journal.TamperedError{What: fmt.Sprintf("entry %d is not what stream %q follows", id, h.Stream)}
		}
		if _, err := p.stub.exec(stub(l.sum()), id); err != nil {
			return nil, fmt.Errorf("entry %d: %w", id, err)
		}
		p.ids = append(p.ids, id)
		id = l.prev
	}
	return &known.head, nil
}

// record writes what was pruned into the chain.
func (p *pruner) record(why string, streams int) error {
	slices.Sort(p.ids)
	var all spans
	for _, id := range p.ids {
		all = all.add(id)
	}
	body, err := json.Marshal(prunedForm{Why: why, Streams: streams, Entries: all.String()})
	if err != nil {
		return err
	}
	data := entry{stream: journal.Stream(pruneEntry), kind: pruneEntry, records: []journal.Record{
		{Kind: pruneRecord, Version: 1, At: time.Now().UTC(), Body: body},
	}}.encode()
	p.w.pages += pagesPerPrunedRow * (len(p.ids) + streams)
	return p.w.chain(0, sha256.Sum256(data), data)
}

// prunedBy returns the ids that an entry says were pruned.
func prunedBy(e entry) (spans, error) {
	r := e.records[0]
	if r.Kind != pruneRecord || r.Version != 1 {
		return nil, &journal.NewerError{Kind: r.Kind, Version: r.Version}
	}
	var f prunedForm
	if err := json.Unmarshal(r.Body, &f); err != nil {
		return nil, fmt.Errorf("what was pruned: %w", err)
	}
	return parseSpans(f.Entries)
}

// A span is the ids from the first to the last.
type span struct{ first, last int64 }

// spans are ids in growing order.
type spans []span

// add adds an id behind all others.
func (s spans) add(id int64) spans {
	if n := len(s); n > 0 && s[n-1].last+1 == id {
		s[n-1].last = id
		return s
	}
	return append(s, span{id, id})
}

// String writes the spans as parseSpans reads them.
func (s spans) String() string {
	var b strings.Builder
	for i, x := range s {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatInt(x.first, 10))
		if x.last > x.first {
			b.WriteString("-" + strconv.FormatInt(x.last, 10))
		}
	}
	return b.String()
}

func parseSpans(text string) (spans, error) {
	var out spans
	for part := range strings.SplitSeq(text, ",") {
		from, to, ranged := strings.Cut(part, "-")
		if !ranged {
			to = from
		}
		first, err := strconv.ParseInt(from, 10, 64)
		last, err2 := strconv.ParseInt(to, 10, 64)
		if err != nil || err2 != nil || first < 1 || last < first || len(out) > 0 && first <= out[len(out)-1].last {
			return nil, fmt.Errorf("what was pruned: %q are no ids", text)
		}
		out = append(out, span{first, last})
	}
	return out, nil
}

// uncovered returns the first id of s that is in none of the spans given, which
// may be in any order, or 0.
func (s spans) uncovered(by spans) int64 {
	slices.SortFunc(by, func(a, b span) int {
		if a.first < b.first {
			return -1
		}
		return 1
	})
	i := 0
	for _, x := range s {
		for at := x.first; at <= x.last; {
			for i < len(by) && by[i].last < at {
				i++
			}
			if i == len(by) || by[i].first > at {
				return at
			}
			at = by[i].last + 1
		}
	}
	return 0
}
