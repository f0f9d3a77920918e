package main

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/tillwire/tillwire/internal/folder"
	"github.com/tillwire/tillwire/journal"
)

// adviceOn says what to do about an error, or nothing when nobody can know. An
// error's own hint comes first.
func adviceOn(err error) string {
	if h, ok := errors.AsType[hinted](err); ok {
		return h.hint
	}
	if _, ok := errors.AsType[*folder.HeldError](err); ok {
		return "stop that process, or name another folder with --data"
	}
	if _, ok := errors.AsType[*journal.TamperedError](err); ok {
		return "keep a copy of the data folder as it is; then take a whole one from a backup, or begin anew with another --data"
	}
	if _, ok := errors.AsType[*journal.NewerError](err); ok {
		return "run the newer tillwire on this folder, or name another one with --data"
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "another program listens there: stop it, or choose another address with --listen (port 0 takes a free one)"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "this machine does not have that address: name one of its own with --listen"
	case errors.Is(err, journal.ErrFull), errors.Is(err, syscall.ENOSPC):
		return "make space on the disk of the data folder, then try again"
	case errors.Is(err, fs.ErrPermission):
		return "see who owns that file or folder, or name another one"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "is the gateway running there? tillwire serve --dev starts one; --url or TILLWIRE_URL says where it is"
	}
	return ""
}
