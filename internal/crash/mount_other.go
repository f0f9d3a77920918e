//go:build !linux

package main

import "errors"

// mountSmall makes dir a small disk where it can, which is on Linux.
func mountSmall(string, int) (unmount func(), err error) { return nil, errors.ErrUnsupported }
