//go:build !unix

package ws

import "syscall"

// Elsewhere (Windows) a raw write is not a non-blocking one.
const canOffer = false

func offer(syscall.RawConn, []byte) (int, error) { return 0, nil }
