// Package journal is what must survive: the interface of the append-only
// record of every transaction, report, visit and kept table, and of the register
// of sites and keys. Backends live in rooms inside; one suite, journaltest, runs on each.
//
// A journal never decides anything about a transaction. It keeps records in
// the order of their stream, refuses a second writer, and has everything on
// disk when Append returns.
package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tillwire/tillwire/txn"
)

// A Stream is the life of one request, or of one visit to a table, whose id is
// its name: its records, in order.
type Stream = txn.RequestID

// A StreamKind says whose life a stream is.
type StreamKind string

// The kinds of streams.
const (
	TransactionStream StreamKind = "transaction"
	ReportStream      StreamKind = "report"
	VisitStream       StreamKind = "visit"
	// KeptStream is a table that a till stored here, from then on until it is
	// deleted.
	KeptStream StreamKind = "table"
	// DuplicateStream is a till's wish to see a terminal's last transaction once
	// more, where such a wish has an id of its own and its answer is polled.
	DuplicateStream StreamKind = "duplicate"
	// OrphanStream holds what a terminal said of a request that nobody here
	// knows. It is never open; people look at it.
	OrphanStream StreamKind = "orphan"
)

// A Record is one entry of a stream. Body is JSON in the form that Kind and
// Version name; see codec.go. Nobody changes a body once it was appended or
// returned.
type Record struct {
	Seq     int       // 1 for the first of the stream; set by the journal
	Kind    string    // "txn.ended"
	Version int       // of the body's form
	At      time.Time // UTC
	Body    []byte
}

// A Head is how a stream is found, and its state in short. It is what
// TxnHead, ReportHead, TableHead, KeptHead and their like make of the records, plus the
// request key; Verify says so when it is anything else. Each append replaces
// it, but for Kind, Site, TID, RequestKey and AcceptedAt, which are those of the
// first, and Minor and Currency, which are those of the first that has a
// currency. It is rebuilt from records and never trusted over them.
type Head struct {
	Stream Stream
	Kind   StreamKind
	Site   txn.SiteID
	TID    txn.TID

	State  string // the state's name
	Open   bool   // recovery and running must look at it
	Told   string
	Type   string // SALE…, the report's type, VISIT or TABLE
	Result string // the true result once known, else empty

	Minor    int64 // what was asked, was due at a table, or was its bill when it was stored, in minor units
	Currency string

	// Counts says that the stream may be what `duplicate` names: dispatched,
	// and not answered with an error, unless the terminal said afterwards that it
	// ran all the same.
	Counts bool

	RequestKey   string    // the site's idempotency key; empty when none
	AcceptedAt   time.Time // UTC
	DispatchedAt time.Time // zero while nothing was dispatched
	EndedAt      time.Time // when it ceased to be open, zero while it is; set by the journal

	Records int // how many the stream has; set by the journal
}

// An Append adds records to the end of a stream, all or none.
type Append struct {
	Stream  Stream
	Expect  int // how many records the stream has before; another number is ErrConflict
	Records []Record
	Head    Head
}

// A Query selects heads. Zero fields select everything.
type Query struct {
	Site        txn.SiteID
	TID         txn.TID
	Kind        StreamKind
	State       string
	Since       time.Time // accepted at or after
	Until       time.Time // accepted before
	Limit       int       // 0 is 100
	OldestFirst bool
}

// A Journal keeps streams. Its methods may be called from many goroutines.
type Journal interface {
	// Append is durable when it returns nil. When it returns an error nothing
	// was kept, unless the error is ErrUncertain. A ctx that ends takes back
	// an append that waits; one that is being written is awaited. ErrConflict: somebody else
	// wrote the stream. ErrFull: no space; try again when there is some.
	Append(ctx context.Context, a Append) error
	// Records returns a stream's records in order, or ErrNotFound.
	Records(ctx context.Context, s Stream) ([]Record, error)
	// Head returns a stream's head, or ErrNotFound.
	Head(ctx context.Context, s Stream) (Head, error)
	// OpenStreams returns the heads of all open streams, oldest first.
	OpenStreams(ctx context.Context) ([]Head, error)
	// LastCounting returns the transaction stream of that terminal that was
	// accepted last among those that count, or ErrNotFound: by the order in which
	// they were appended, for a clock can be set back. A terminal has one at a time,
	// so it is also the one that was dispatched last.
	LastCounting(ctx context.Context, site txn.SiteID, tid txn.TID) (Head, error)
	// ByKey returns the stream with that request key, or ErrNotFound. A key
	// names one stream of its site: the first append of another is ErrKeyTaken.
	ByKey(ctx context.Context, site txn.SiteID, key string) (Head, error)
	// List returns the heads that q selects, newest first.
	List(ctx context.Context, q Query) ([]Head, error)
	// Prune removes streams that have their end: their records and heads. One that
	// is open, or is not as the head given says, is left alone, and so is one that
	// is not there. It returns the heads of those that are gone, durably. Who
	// prunes and why is recorded; which streams may go is the caller's to know.
	Prune(ctx context.Context, heads []Head, why string) ([]Head, error)
	// Verify reads everything and checks the chain, the heads and the mark of
	// how far it went.
	Verify(ctx context.Context) (Verification, error)
	// Healthy returns why appends are refused at the moment, or nil.
	Healthy() error
	// Stats are counters for the metrics.
	Stats() Stats
	Close() error
}

// A Verification is what Verify found. Fault names the first thing wrong.
type Verification struct {
	Records int
	Streams int
	Pruned  int    // appends of which only the link in the chain is left
	Head    string // hex of the chain's head
	Fault   string // empty when everything fits
}

// Stats count what a journal did since it was opened.
type Stats struct {
	Appends, Records, Commits, Failures uint64
	CommitTime                          time.Duration // in all
}

// A PATKeeper says who keeps a site's tables (section 7.1 of the contract for
// REST): a site uses one or the other.
type PATKeeper string

// Who keeps the tables.
const (
	PATAuto      PATKeeper = ""          // the gateway while it has any of the site, else the till
	PATWebSocket PATKeeper = "websocket" // the till, which is asked over its socket
	PATREST      PATKeeper = "rest"      // the gateway, for tills that store them here
)

// A Site is a shop with its keys and terminals.
type Site struct {
	ID       txn.SiteID
	Name     string
	TimeZone string // IANA name; empty is the machine's
	Strict   bool   // refuse unknown members
	// RejectUnanswered rejects a signature that nobody answered; the contract
	// accepts it.
	RejectUnanswered bool
	// PAT says who keeps the tables of Pay-At-Table.
	PAT PATKeeper
	// Simulated are the four letters of the site's simulated terminals; empty
	// when it has none.
	Simulated string
	// Limits overrides time limits by the names of the contract's table.
	Limits  map[string]time.Duration
	Created time.Time
}

// A Key opens a site to a till, or to one terminal that dials in. Only its hash
// is kept.
type Key struct {
	ID      string // a public handle, for lists and logs
	Site    txn.SiteID
	Hash    [32]byte // SHA-256 of the key
	Faces   []string // "pac", "pat", "rest"; empty is all of those. Or "terminal" alone
	TID     txn.TID  // of the terminal that the key is bound to; empty for a till's
	Note    string
	Created time.Time
	Revoked time.Time // zero while it works
}

// A Register keeps sites and keys.
type Register interface {
	PutSite(ctx context.Context, s Site) error // adds or replaces
	Sites(ctx context.Context) ([]Site, error)
	PutKey(ctx context.Context, k Key) error // adds or replaces
	Keys(ctx context.Context) ([]Key, error) // revoked ones too
}

// A Store is all that a data folder or database keeps.
type Store interface {
	Journal
	Register
}

// The errors of a Store.
var (
	ErrConflict  = errors.New("journal: the stream was written by somebody else")
	ErrKeyTaken  = fmt.Errorf("%w: another one has its request key", ErrConflict)
	ErrNotFound  = errors.New("journal: not found")
	ErrFull      = errors.New("journal: no space left to write")
	ErrUncertain = errors.New("journal: it is not known whether the write was kept")
	ErrClosed    = errors.New("journal: closed")
	ErrReadOnly  = errors.New("journal: opened for reading only")
)

// A TamperedError says that what is kept was altered from outside, cut, or
// damaged by the disk. Nothing of it is to be believed before a person looked.
type TamperedError struct {
	What string // the first thing found wrong
}

// Error says what was found wrong.
func (e *TamperedError) Error() string {
	return "journal: altered, cut or damaged: " + e.What
}

// A NewerError says that a record, or the database as such, was written by a
// newer Tillwire.
type NewerError struct {
	Kind    string // of the record; "schema" for the database
	Version int
}

// Error names what this binary cannot read.
func (e *NewerError) Error() string {
	return fmt.Sprintf("journal: %q version %d was written by a newer tillwire; use that one", e.Kind, e.Version)
}
