package main

import (
	"errors"
	"fmt"
	"syscall"
)

// mountSmall makes dir a disk of the given size in bytes, where this user may.
func mountSmall(dir string, size int) (unmount func(), err error) {
	if err := syscall.Mount("tillwire-crash", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		return nil, errors.Join(errors.ErrUnsupported, err)
	}
	return func() { syscall.Unmount(dir, syscall.MNT_DETACH) }, nil //nolint:errcheck // nothing depends on it
}
