package sqlite

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"

	"github.com/tillwire/tillwire/journal"
)

// The result codes of SQLite that decide something here. The low byte is the
// kind, the whole says more.
const (
	codeError      = 1
	codeIO         = 10
	codeCorrupt    = 11
	codeFull       = 13
	codeCantOpen   = 14
	codeConstraint = 19
	codeNotADB     = 26

	codeShortRead = codeIO | 2<<8
	codeUnique    = codeConstraint | 8<<8
	codeFsync     = codeIO | 4<<8
	codeDirFsync  = codeIO | 5<<8
)

// code returns SQLite's extended result code in err, or 0.
func code(err error) int {
	var coded interface{ Code() int }
	if errors.As(err, &coded) {
		return coded.Code()
	}
	return 0
}

// wrap makes an error of SQLite one of the journal's. What is malformed was
// altered from outside.
func wrap(err error) error {
	var tampered *journal.TamperedError
	if err == nil || errors.As(err, &tampered) {
		return err
	}
	switch c := code(err) & 0xff; {
	case c == codeCorrupt, c == codeNotADB,
		// A column of a type that is never written. database/sql has no other name for it.
		strings.HasPrefix(err.Error(), "sql: Scan error"):
		return &journal.TamperedError{What: err.Error()}
	}
	return fmt.Errorf("journal: %w", err)
}

// foreign is wrap for the time of opening, when a statement of ours that makes
// no sense to the database, or a page that ends early, has one cause only.
func foreign(err error) error {
	if c := code(err); c == codeError || c == codeShortRead {
		return &journal.TamperedError{What: err.Error()}
	}
	return wrap(err)
}

// short reports whether err may go away with more space, or with time.
func short(err error) bool {
	switch code(err) & 0xff {
	case codeFull, codeIO, codeCantOpen:
		return true
	}
	return errors.Is(err, syscall.ENOSPC)
}

// A commitError says that COMMIT itself failed.
type commitError struct{ err error }

func (e *commitError) Error() string { return "commit: " + e.err.Error() }
func (e *commitError) Unwrap() error { return e.err }

// refusal is what the waiting appends are told after err, the errors of all
// tries, when nothing was kept or, with ErrUncertain, perhaps something.
//
// Only a sync that failed at a commit leaves it open: the frames may be on
// disk and be found after a power loss, although SQLite has forgotten them.
// When a write fails instead, the commit frame, the last of all, is not whole,
// and a log without it is not read. The next commit that works overwrites the
// frames; then it is certain that they are gone.
func refusal(err error) error {
	switch {
	case unsynced(err):
		return fmt.Errorf("%w: %w", journal.ErrUncertain, err)
	case code(err)&0xff == codeFull:
		return fmt.Errorf("%w: %w", journal.ErrFull, err)
	}
	return wrap(err)
}

// unsynced reports whether a sync at a commit is among the errors.
func unsynced(err error) bool {
	switch e := err.(type) {
	case *commitError:
		c := code(e)
		return c == codeFsync || c == codeDirFsync
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(e.Unwrap(), unsynced)
	case interface{ Unwrap() error }:
		return unsynced(e.Unwrap())
	}
	return false
}

// end returns nil at the end of a raw driver's rows.
func end(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return wrap(err)
}
