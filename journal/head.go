package journal

import (
	"errors"
	"fmt"
	"time"

	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
)

// TxnHead returns the head of a transaction, but for what the journal sets
// and the request key. It is open until it has its end, and the till the truth
// or, for the time that it is offered, no till has asked for it.
func TxnHead(t txn.Transaction) Head {
	h := Head{
		Stream: t.ID, Kind: TransactionStream, Site: t.Site, TID: t.TID,
		State: string(t.State), Told: string(t.Told), Type: string(t.Request.Type),
		Open:  t.State != txn.Finished || t.Told == txn.ToldNothing || t.Uncorrected(),
		Minor: int64(t.Request.Total()), Currency: string(t.Request.Currency),
		Counts:     !t.DispatchedAt.IsZero() && (t.NotRun == "" || t.Told != txn.ToldError || t.Conflict != nil),
		AcceptedAt: utc(t.AcceptedAt), DispatchedAt: utc(t.DispatchedAt),
	}
	if truth := t.Truth(); truth != nil {
		h.Type, h.Result = string(truth.Type), string(truth.Result)
	} else if t.Resolution != nil {
		h.Result = string(t.Resolution.Result)
	}
	return h
}

// ReportHead returns the head of a report, but for what the journal sets. One
// that was started at the terminal is open until the till has it.
func ReportHead(r report.Run) Head {
	h := Head{
		Stream: Stream(r.ID), Kind: ReportStream, Site: txn.SiteID(r.Site), TID: txn.TID(r.TID),
		State: string(r.State), Told: string(r.Told), Type: string(r.Type),
		Open:       r.State != report.Finished || r.Owed(),
		AcceptedAt: utc(r.At),
	}
	if !r.Brought {
		h.DispatchedAt = h.AcceptedAt
	}
	if r.Report != nil {
		h.Result = string(r.Report.Result)
	}
	return h
}

// visitType is the type in the head of every visit.
const visitType = "VISIT"

// The results of visits and kept tables.
const (
	resultRefused  = "REFUSED"
	resultUnpaid   = "UNPAID"
	resultPartPaid = "PART_PAID"
	resultPaid     = "PAID"
)

// TableHead returns the head of a visit, but for what the journal sets. It is
// open until the visit is done. Its amount is what the table owed when it was
// locked; its result, once no payment can change it, is REFUSED, UNPAID,
// PART_PAID or PAID.
func TableHead(v table.Visit) Head {
	h := Head{
		Stream: Stream(v.ID), Kind: VisitStream, Site: txn.SiteID(v.Site), TID: txn.TID(v.TID),
		State: string(v.State), Type: visitType, Open: !v.Done(),
		Minor: int64(v.Due), Currency: string(v.Currency), AcceptedAt: utc(v.At),
	}
	switch v.State {
	case table.Refused:
		h.Result = resultRefused
	case table.Settled, table.Unlocked:
		switch {
		case !v.Took():
			h.Result = resultUnpaid
		case v.Balance() > 0:
			h.Result = resultPartPaid
		default:
			h.Result = resultPaid
		}
	case table.Listing, table.Locking, table.Locked, table.Printing, table.Paying, table.Unresolved:
	}
	return h
}

// duplicateType is the type in the head of every duplicate.
const duplicateType = "DUPLICATE"

// DuplicateHead returns the head of a duplicate, but for what the journal sets
// and the request key. Its result is that of the transaction that it names.
func DuplicateHead(d txn.Duplicate) Head {
	h := Head{
		Stream: d.ID, Kind: DuplicateStream, Site: d.Site, TID: d.TID,
		State: string(d.State), Type: duplicateType, Open: d.State != txn.DuplicateFinished, AcceptedAt: utc(d.At),
	}
	if o := d.Outcome; o != nil {
		h.Result, h.Minor, h.Currency = string(o.Result), int64(o.Total()), string(o.Currency)
	}
	return h
}

// OrphanHead returns the head of an orphan that was heard of at the given time.
func OrphanHead(o Orphan, at time.Time) Head {
	h := Head{Stream: o.ID, Kind: OrphanStream, Site: o.Site, TID: o.TID, State: "orphan", AcceptedAt: utc(at)}
	if o.Outcome != nil {
		h.Type, h.Result = string(o.Outcome.Type), string(o.Outcome.Result)
		h.Minor, h.Currency = int64(o.Outcome.Total()), string(o.Outcome.Currency)
	}
	if o.Report != nil {
		h.Type, h.Result = string(o.Report.Type), string(o.Report.Result)
	}
	return h
}

// HeadOf replays a stream of the given kind and returns its head, but for what
// the journal sets and the request key. Backends rebuild and verify by it.
func HeadOf(kind StreamKind, records []Record) (Head, error) {
	switch kind {
	case TransactionStream:
		t, err := ReplayTxn(records)
		return TxnHead(t), err
	case ReportStream:
		r, err := ReplayReport(records)
		return ReportHead(r), err
	case VisitStream:
		v, err := ReplayTable(records)
		return TableHead(v), err
	case KeptStream:
		k, err := ReplayKept(records)
		return KeptHead(k), err
	case DuplicateStream:
		d, err := ReplayDuplicate(records)
		return DuplicateHead(d), err
	case OrphanStream:
		if len(records) != 1 {
			return Head{}, fmt.Errorf("journal: an orphan has %d records", len(records))
		}
		o, err := DecodeOrphan(records[0])
		return OrphanHead(o, records[0].At), err
	}
	return Head{}, fmt.Errorf("journal: unknown kind of stream %q", kind)
}

// Check returns an error when no journal could take the append, whatever it holds.
func (a Append) Check() error {
	switch {
	case a.Stream == "":
		return errors.New("journal: append to a stream without a name")
	case a.Expect < 0:
		return errors.New("journal: append after fewer than no records")
	case len(a.Records) == 0:
		return errors.New("journal: append of no records")
	case a.Head.Kind == "":
		return errors.New("journal: append without the kind of stream")
	}
	for _, r := range a.Records {
		if r.Kind == "" || r.Version < 1 {
			return fmt.Errorf("journal: append of a record of kind %q version %d", r.Kind, r.Version)
		}
	}
	return nil
}

// Next returns the head as it stands after the append, where prev stood
// before; a zero prev is a new stream. Backends call it.
func (a Append) Next(prev Head) Head {
	h := a.Head
	h.Stream, h.Records = a.Stream, a.Expect+len(a.Records)
	if a.Expect > 0 {
		h.Kind, h.Site, h.TID, h.RequestKey = prev.Kind, prev.Site, prev.TID, prev.RequestKey
		h.AcceptedAt = prev.AcceptedAt
		if prev.Currency != "" {
			h.Minor, h.Currency = prev.Minor, prev.Currency
		}
	}
	h.AcceptedAt, h.DispatchedAt = utc(h.AcceptedAt), utc(h.DispatchedAt)
	h.EndedAt = time.Time{}
	if !h.Open {
		if h.EndedAt = prev.EndedAt; h.EndedAt.IsZero() {
			h.EndedAt = utc(a.Records[len(a.Records)-1].At)
		}
	}
	return h
}

// defaultLimit is how many heads a query without a limit returns.
const defaultLimit = 100

// Max is the number of heads that q asks for at most.
func (q Query) Max() int {
	if q.Limit <= 0 {
		return defaultLimit
	}
	return q.Limit
}

// Selects reports whether q selects h, leaving limit and order aside.
func (q Query) Selects(h Head) bool {
	return (q.Site == "" || q.Site == h.Site) &&
		(q.TID == "" || q.TID == h.TID) &&
		(q.Kind == "" || q.Kind == h.Kind) &&
		(q.State == "" || q.State == h.State) &&
		(q.Since.IsZero() || !h.AcceptedAt.Before(q.Since)) &&
		(q.Until.IsZero() || h.AcceptedAt.Before(q.Until))
}
