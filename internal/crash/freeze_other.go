//go:build !unix

package main

import (
	"errors"
	"os"
)

// freeze stops a process where it stands, where a system can do that.
func freeze(*os.Process) error { return errors.ErrUnsupported }

func thaw(*os.Process) error { return errors.ErrUnsupported }
