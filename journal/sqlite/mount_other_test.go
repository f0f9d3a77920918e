//go:build !linux

package sqlite

import (
	"errors"
	"testing"
)

// mountSmall makes dir a small disk where it can, which is on Linux.
func mountSmall(*testing.T, string, int) error { return errors.ErrUnsupported }
